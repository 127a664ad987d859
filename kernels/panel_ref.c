/* SPDX-License-Identifier: MIT */
/*
 * kernels/panel_ref.c - products of panels in plain C
 */
#include <math.h>

#include "kernels/kernels.h"
#include "kernels/v_ref.h"

#define STRIP_PANELS  1
#define TILE_MAX      3
#define PANEL_KERNELS lqi_panel_kernels_ref
#define SUMS_VECTORS  1
#define SUMS_MAX      4
#define PANEL_SUMS    lqi_panel_sums_ref

#include "kernels/tmpl/panel_unit.h"
#include "kernels/tmpl/panel_fused.h"
#include "kernels/tmpl/panel_float.h"
#include "kernels/tmpl/panel_tile.h"
#include "kernels/tmpl/panel_acts.h"
#include "kernels/tmpl/panel_pack.h"
#include "kernels/tmpl/panel_slots.h"
#include "kernels/tmpl/panel_sums.h"
