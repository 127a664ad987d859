/* SPDX-License-Identifier: MIT */
/*
 * kernels/arm/panel_neon_i8mm.c - products of panels with NEON, SDOT and SMMLA
 */
#include <math.h>

#include "kernels/kernels.h"

#define V_REGS 1
#include "kernels/arm/v_neon.h"
#include "kernels/arm/v_neon_panel.h"

#define FUSED_VECTORS(T) ((T) == 8 ? 2 : 4)
#define STRIP_PANELS  1
#define TILE_MAX      6
#define PANEL_KERNELS lqi_panel_kernels_neon_i8mm
#define SUMS_VECTORS  4
#define SUMS_MAX      4
#define PANEL_SUMS    lqi_panel_sums_neon_i8mm

#include "kernels/tmpl/panel_unit.h"
#include "kernels/tmpl/panel_fused.h"
#include "kernels/tmpl/panel_float.h"
#include "kernels/tmpl/panel_tile.h"
#include "kernels/tmpl/panel_acts.h"
#include "kernels/tmpl/panel_pack.h"
#include "kernels/tmpl/panel_slots.h"
#include "kernels/tmpl/panel_sums.h"
