/* SPDX-License-Identifier: MIT */
/*
 * kernels/arm/codes_neon.c - the NEON kernels: decoders and encoders, templates over v_neon.h
 */
#include "kernels/kernels.h"
#include "lib/base/half.h"

#define V_REGS 2
#include "kernels/arm/v_neon.h"
#include "kernels/arm/v_neon_codes.h"

#include "kernels/tmpl/convert.h"
#include "kernels/tmpl/decode.h"
#include "kernels/tmpl/decode_bits.h"
#include "kernels/tmpl/decode_blocks.h"
#include "kernels/tmpl/decode_grids.h"
#include "kernels/tmpl/encode_blocks.h"
#include "kernels/tmpl/bins.h"
#include "kernels/tmpl/codes.h"
#include "kernels/tmpl/encode_acts.h"
#include "kernels/tmpl/encode_planar.h"
#include "kernels/tmpl/planar_formats.h"
#include "kernels/tmpl/encode_e2m1.h"
#include "kernels/tmpl/encode_ternary.h"
#include "kernels/tmpl/optim.h"
#include "kernels/tmpl/slots_codes.h"

void lqi_kernels_init_neon_codes(lqi_kernels *k)
{
    fill_code_slots(k);
}
