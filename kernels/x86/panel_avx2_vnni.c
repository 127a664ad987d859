/* SPDX-License-Identifier: MIT */
/*
 * kernels/x86/panel_avx2_vnni.c - products of panels with AVX2 and VNNI
 */
#include <math.h>

#include "kernels/kernels.h"
#include "kernels/x86/v_avx2.h"

#define STRIP_PANELS  1
#define TILE_MAX      3
#define PANEL_KERNELS lqi_panel_kernels_avx2_vnni
#define SUMS_VECTORS  2
#define SUMS_MAX      6
#define PANEL_SUMS    lqi_panel_sums_avx2_vnni

#include "kernels/tmpl/panel_unit.h"
#include "kernels/tmpl/panel_fused.h"
#include "kernels/tmpl/panel_float.h"
#include "kernels/tmpl/panel_tile.h"
#include "kernels/tmpl/panel_acts.h"
#include "kernels/tmpl/panel_pack.h"
#include "kernels/tmpl/panel_slots.h"
#include "kernels/tmpl/panel_sums.h"
