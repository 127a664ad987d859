/* SPDX-License-Identifier: MIT */
/*
 * kernels/tmpl/slots_codes.h - puts decoders, encoders and conversions into a table
 *
 * Included last by each ISA unit that has them.
 */
#ifndef V_LANES
#error "include a vocabulary header first"
#endif

static void fill_decoders(lqi_kernels *k)
{
    k->decode[LQI_DECODER_TABLE4] = decode_table4_high;
    k->decode[LQI_DECODER_TABLE4_LOW] = decode_table4_low;
    k->decode[LQI_DECODER_INT4] = decode_int4;
    k->decode[LQI_DECODER_INT8] = decode_int8;
    k->decode[LQI_DECODER_INT8_ABSMAX] = decode_int8_absmax;
    k->decode[LQI_DECODER_INT8_64] = decode_int8_64;
    k->decode[LQI_DECODER_INT_BITS] = decode_int_bits;
    k->decode[LQI_DECODER_TABLE2] = decode_table2;
    k->decode[LQI_DECODER_E2M3] = decode_e2m3;
    k->decode[LQI_DECODER_E3M2] = decode_e3m2;
    k->decode[LQI_DECODER_E4M3] = decode_e4m3;
    k->decode[LQI_DECODER_E5M2] = decode_e5m2;
    k->decode[LQI_DECODER_F16] = decode_f16;
    k->decode[LQI_DECODER_BF16] = decode_bf16;
    k->decode[LQI_DECODER_F16_I8X32] = decode_f16_i8;
    k->decode[LQI_DECODER_F16X2_I8X32] = decode_f16x2_i8;
    k->decode[LQI_DECODER_F16_BITS] = decode_f16_bits;
    k->decode[LQI_DECODER_F16_PAIRS] = decode_f16_pairs;
    k->decode[LQI_DECODER_F16_NIBBLES] = decode_f16_nibbles;
    k->decode[LQI_DECODER_F16_TABLE4] = decode_f16_table4;
    k->decode[LQI_DECODER_E8M0_TABLE4] = decode_e8m0_table4;
    k->decode[LQI_DECODER_UE4M3_TABLE4] = decode_ue4m3_table4;
    k->decode[LQI_DECODER_F16X2_NIBBLES] = decode_f16x2_nibbles;
    k->decode[LQI_DECODER_F16_NIBBLES_BIT] = decode_f16_nibbles_bit;
    k->decode[LQI_DECODER_F16X2_NIBBLES_BIT] = decode_f16x2_nibbles_bit;
    k->decode[LQI_DECODER_AFFINE_2_BITS] = decode_affine_2_bits;
    k->decode[LQI_DECODER_SYMMETRIC_3_BITS] = decode_symmetric_3_bits;
    k->decode[LQI_DECODER_AFFINE_NIBBLES] = decode_affine_nibbles;
    k->decode[LQI_DECODER_AFFINE_NIBBLES_BIT] = decode_affine_nibbles_bit;
    k->decode[LQI_DECODER_SYMMETRIC_6_BITS] = decode_symmetric_6_bits;
    k->decode[LQI_DECODER_TERNARY_DIGITS] = decode_ternary_digits;
    k->decode[LQI_DECODER_TERNARY_PAIRS] = decode_ternary_pairs;
    k->decode[LQI_DECODER_F16_TABLE4_SCALES] = decode_f16_table4_scales;
    k->decode[LQI_DECODER_F32_I8X256] = decode_f32_i8;
    k->decode[LQI_DECODER_ROW_TABLES4] = decode_row_tables4;
    k->decode[LQI_DECODER_EIGHTS_U8] = decode_eights_u8;
    k->decode[LQI_DECODER_EIGHTS_U16] = decode_eights_u16;
    k->decode[LQI_DECODER_EIGHTS_SIGNS] = decode_eights_signs;
    k->decode[LQI_DECODER_FOURS_U8] = decode_fours_u8;
    k->decode[LQI_DECODER_FOURS_SIGNS] = decode_fours_signs;
    k->decode[LQI_DECODER_TERNARY_32] = decode_ternary_32;
    k->decode[LQI_DECODER_TERNARY_16] = decode_ternary_16;
}

static void fill_encoders(lqi_kernels *k)
{
    k->encode[LQI_ENCODER_F32] = encode_f32;
    k->encode[LQI_ENCODER_F16] = encode_f16;
    k->encode[LQI_ENCODER_BF16] = encode_bf16;
    k->encode[LQI_ENCODER_F16_I8X32] = encode_f16_i8;
    k->encode[LQI_ENCODER_F16X2_I8X32] = encode_f16x2_i8;
    k->encode[LQI_ENCODER_F32_I8X256] = encode_f32_i8;
    k->encode[LQI_ENCODER_F16_NIBBLES] = encode_f16_nibbles;
    k->encode[LQI_ENCODER_F16_NIBBLES_BIT] = encode_f16_nibbles_bit;
    k->encode[LQI_ENCODER_F16X2_NIBBLES] = encode_f16x2_nibbles;
    k->encode[LQI_ENCODER_F16X2_NIBBLES_BIT] = encode_f16x2_nibbles_bit;
    k->encode[LQI_ENCODER_E8M0_TABLE4] = encode_e8m0_table4;
    k->encode[LQI_ENCODER_UE4M3_TABLE4] = encode_ue4m3_table4;
    k->encode[LQI_ENCODER_TERNARY_DIGITS] = encode_ternary_digits;
    k->encode[LQI_ENCODER_TERNARY_PAIRS] = encode_ternary_pairs;
    k->encode[LQI_ENCODER_LADDER_HIGH] = encode_ladder_high;
    k->encode[LQI_ENCODER_BINS] = encode_bins;
    k->encode[LQI_ENCODER_INT2] = encode_int2;
    k->encode[LQI_ENCODER_INT3] = encode_int3;
    k->encode[LQI_ENCODER_INT4] = encode_int4;
    k->encode[LQI_ENCODER_INT5] = encode_int5;
    k->encode[LQI_ENCODER_INT6] = encode_int6;
    k->encode[LQI_ENCODER_INT7] = encode_int7;
    k->encode[LQI_ENCODER_INT8] = encode_int8;
    k->encode[LQI_ENCODER_E4M3] = encode_e4m3;
    k->encode[LQI_ENCODER_E5M2] = encode_e5m2;
    k->encode[LQI_ENCODER_MX_E4M3] = encode_mx_e4m3;
    k->encode[LQI_ENCODER_MX_E5M2] = encode_mx_e5m2;
    k->encode[LQI_ENCODER_MX_E2M3] = encode_mx_e2m3;
    k->encode[LQI_ENCODER_MX_E3M2] = encode_mx_e3m2;
    k->encode[LQI_ENCODER_MX_E2M1] = encode_mx_e2m1;
    k->encode[LQI_ENCODER_MX_INT8] = encode_mx_int8;
    k->encode[LQI_ENCODER_E4M3_E2M1] = encode_e4m3_e2m1;
}

static void fill_rounders(lqi_kernels *k)
{
    k->round[LQI_ROUNDER_TERNARY] = round_ternary;
    k->round[LQI_ROUNDER_INT2] = round_int2;
    k->round[LQI_ROUNDER_INT3] = round_int3;
    k->round[LQI_ROUNDER_INT4] = round_int4;
    k->round[LQI_ROUNDER_INT5] = round_int5;
    k->round[LQI_ROUNDER_INT6] = round_int6;
    k->round[LQI_ROUNDER_INT7] = round_int7;
    k->round[LQI_ROUNDER_INT8] = round_int8;
    k->round[LQI_ROUNDER_INT8_64] = round_int8_64;
    k->round[LQI_ROUNDER_INT8_ABSMAX] = round_int8_absmax;
    k->round[LQI_ROUNDER_E4M3] = round_e4m3;
    k->round[LQI_ROUNDER_E5M2] = round_e5m2;
    k->round[LQI_ROUNDER_E2M3] = round_e2m3;
    k->round[LQI_ROUNDER_E3M2] = round_e3m2;
    k->round[LQI_ROUNDER_E2M1] = round_e2m1;
    k->round[LQI_ROUNDER_LADDER_HIGH] = round_ladder_high;
}

static void fill_code_slots(lqi_kernels *k)
{
    fill_decoders(k);
    fill_encoders(k);
    fill_rounders(k);
    fill_steps(k);
    k->nearest = codes_of_bins;
    k->f16_to_f32 = f16_to_f32;
    k->bf16_to_f32 = bf16_to_f32;
    k->e4m3_to_f32 = e4m3_to_f32;
    k->f32_to_f16 = f32_to_f16;
    k->f32_to_bf16 = f32_to_bf16;
}
