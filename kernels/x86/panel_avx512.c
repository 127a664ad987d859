/* SPDX-License-Identifier: MIT */
/*
 * kernels/x86/panel_avx512.c - products of panels with AVX-512 VNNI
 */
#include <math.h>

#include "kernels/kernels.h"
#include "kernels/x86/v_avx512.h"

#define STRIP_PANELS  2
#define TILE_MAX      6
#define PANEL_KERNELS lqi_panel_kernels_avx512
#define SUMS_VECTORS  1
#define SUMS_MAX      16
#define PANEL_SUMS    lqi_panel_sums_avx512

#include "kernels/tmpl/panel_unit.h"
#include "kernels/tmpl/panel_fused.h"
#include "kernels/tmpl/panel_float.h"
#include "kernels/tmpl/panel_tile.h"
#include "kernels/tmpl/panel_acts.h"
#include "kernels/tmpl/panel_pack.h"
#include "kernels/tmpl/panel_slots.h"
#include "kernels/tmpl/panel_sums.h"
