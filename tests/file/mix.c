/* SPDX-License-Identifier: MIT */
/*
 * tests/file/mix.c - llama-quantize's choices in a model of 32 blocks
 *
 * A letter per block: the type of that block's tensor.  One letter: all blocks alike.
 */
#include <stdio.h>

#include "lib/file/mix.h"
#include "tests/common/common.h"

#define BLOCKS 32

static const struct { char letter; const char *type; } letters[] = {
    { '0', "q4_0" }, { '1', "q4_1" }, { '2', "q2_k" }, { '3', "q3_k" }, { '4', "q4_k" },
    { '5', "q5_k" }, { '6', "q6_k" }, { '8', "q8_0" }, { 'a', "iq2_xxs" }, { 'b', "iq2_xs" },
    { 'c', "iq2_s" }, { 'd', "iq3_xxs" }, { 'e', "iq3_s" }, { 'f', "iq4_xs" },
    { 'g', "iq1_s" }, { 'm', "mxfp4_gguf" }, { 's', "q5_1" }, { 't', "q5_0" }, { 'u', "iq1_m" },
};

static const lqi_mix_model llama7b = { 32, 32, 0, 32, 0, 1, 0, 1 };
static const lqi_mix_model llama8b = { 32, 8, 0, 32, 0, 1, 0, 1 };
static const lqi_mix_model with_imatrix = { 32, 8, 0, 32, 0, 1, 1, 1 };
static const lqi_mix_model mixtral = { 32, 8, 8, 32, 0, 1, 0, 1 };
static const lqi_mix_model falcon = { 71, 1, 0, 32, 1, 0, 0, 1 };
static const lqi_mix_model tied = { 32, 8, 0, 32, 0, 1, 0, 0 };
static const lqi_mix_model llama70b = { 64, 8, 0, 80, 0, 1, 0, 1 };

static const struct {
    const char *mix;
    const lqi_mix_model *model;
    const char *tensor, *types;
} cases[] = {
    { "q4_k_m", &llama7b, "attn_v", "66664464464464464464464464466666" },
    { "Q4_K_M", &llama8b, "ffn_down", "66664464464464464464464464466666" },
    { "q4_k_m", &llama8b, "attn_q", "4" }, { "q4_k_m", &llama8b, "attn_k", "4" },
    { "q4_k_m", &llama8b, "attn_output", "4" }, { "q4_k_m", &llama8b, "ffn_up", "4" },
    { "q4_k_m", &mixtral, "attn_v", "8" }, { "q4_k_m", &mixtral, "attn_k", "8" },
    { "q4_k_m", &mixtral, "attn_output", "5" },
    { "q4_k_m", &falcon, "ffn_down", "66554454454454454454454454455555" },
    { "q4_k_m", &llama70b, "attn_v", "66665565565565565565565565566666" },
    { "q4_k_s", &llama8b, "attn_v", "55554444444444444444444444444444" },
    { "q4_k_s", &llama8b, "ffn_down", "55554444444444444444444444444444" },
    { "q4_k_s", &falcon, "ffn_down", "4" },
    { "q5_k_m", &llama8b, "attn_v", "66665565565565565565565565566666" },
    { "q5_k_m", &llama8b, "ffn_down", "66665565565565565565565565566666" },
    { "q5_k_s", &llama8b, "attn_v", "5" }, { "q5_k_s", &llama8b, "ffn_down", "5" },
    { "q6_k", &llama8b, "attn_v", "6" }, { "q8_0", &llama8b, "attn_v", "8" },
    { "q3_k_s", &llama8b, "attn_v", "3" }, { "q3_k_s", &llama8b, "ffn_down", "3" },
    { "q3_k_m", &llama8b, "attn_v", "55444444444444444444444444444444" },
    { "q3_k_m", &llama8b, "ffn_down", "55444444444444444444444444444444" },
    { "q3_k_m", &falcon, "ffn_down", "55443343343343343343343343344444" },
    { "q3_k_m", &llama8b, "attn_output", "4" }, { "q3_k_m", &llama8b, "ffn_gate", "3" },
    { "q3_k_l", &llama8b, "attn_v", "5" }, { "q3_k_l", &llama8b, "ffn_down", "5" },
    { "q3_k_l", &llama8b, "attn_output", "5" }, { "q3_k_l", &falcon, "attn_output", "4" },
    { "q2_k", &llama7b, "attn_v", "3" }, { "q2_k", &llama8b, "attn_v", "4" },
    { "q2_k", &llama8b, "ffn_down", "3" }, { "q2_k", &llama8b, "attn_output", "3" },
    { "q2_k", &llama8b, "attn_q", "2" },
    { "q2_k_s", &llama7b, "attn_v", "2" }, { "q2_k_s", &llama8b, "attn_v", "4" },
    { "q2_k_s", &llama8b, "ffn_down", "44442222222222222222222222222222" },
    { "iq2_xxs", &llama7b, "attn_v", "2" }, { "iq2_xxs", &llama8b, "attn_v", "4" },
    { "iq2_xxs", &mixtral, "attn_k", "4" },
    { "iq2_xs", &llama8b, "ffn_down", "2222bbbbbbbbbbbbbbbbbbbbbbbbbbbb" },
    { "iq2_s", &llama7b, "attn_v", "e" }, { "iq2_s", &llama8b, "ffn_up", "b" },
    { "iq2_m", &llama8b, "ffn_down", "eeeecccccccccccccccccccccccccccc" },
    { "iq2_m", &llama8b, "attn_output", "e" }, { "iq1_s", &llama8b, "attn_output", "a" },
    { "iq1_m", &mixtral, "attn_output", "5" }, { "iq1_m", &llama8b, "attn_q", "u" },
    { "iq3_xxs", &llama7b, "attn_v", "e" }, { "iq3_xxs", &llama8b, "attn_v", "4" },
    { "iq3_xxs", &llama8b, "attn_q", "c" }, { "iq3_xxs", &llama8b, "attn_k", "c" },
    { "iq3_xxs", &llama8b, "ffn_down", "44443333333333333333333333333333" },
    { "iq3_xxs", &with_imatrix, "ffn_down", "d" }, { "iq3_xxs", &llama8b, "attn_output", "e" },
    { "iq3_xs", &llama8b, "attn_k", "d" }, { "iq3_xs", &llama7b, "attn_v", "e" },
    { "iq3_xs", &llama8b, "ffn_gate", "eeeeddddddddddddddddddddddddeeee" },
    { "iq3_xs", &llama8b, "ffn_up", "eeeeddddddddddddddddddddddddeeee" },
    { "iq3_s", &llama8b, "attn_v", "4" }, { "iq3_m", &llama7b, "attn_v", "4" },
    { "iq3_m", &llama8b, "ffn_down", "4444eeeeeeeeeeeeeeeeeeeeeeeeeeee" },
    { "iq3_m", &mixtral, "ffn_down", "4444ee4ee4ee4ee4ee4ee4ee4ee44444" },
    { "iq3_m", &llama8b, "attn_output", "4" },
    { "iq4_xs", &llama8b, "attn_v", "5" }, { "iq4_xs", &llama7b, "attn_v", "f" },
    { "iq4_xs", &llama8b, "ffn_down", "5555ffffffffffffffffffffffffffff" },
    { "iq4_xs", &with_imatrix, "ffn_down", "f" },
    { "q4_0", &llama8b, "ffn_down", "0" },
    { "q4_0", &with_imatrix, "ffn_down", "11110000000000000000000000000000" },
    { "q5_0", &with_imatrix, "ffn_down", "sssstttttttttttttttttttttttttttt" },
    { "mxfp4_moe", &mixtral, "attn_q", "8" },
};

static const struct {
    const char *mix;
    const lqi_mix_model *model;
    const char *tensor;
    uint64_t cols;
    const char *type;
} singles[] = {
    { "q4_k_m", &llama8b, "output.weight", 4096, "q6_k" },
    { "q4_k_m", &llama8b, "output.weight", 4160, "q8_0" },
    { "q8_0", &llama8b, "output.weight", 4096, "q8_0" },
    { "iq2_m", &llama8b, "output.weight", 4096, "q5_k" },
    { "iq3_xxs", &llama8b, "output.weight", 4096, "q5_k" },
    { "iq3_xs", &llama8b, "output.weight", 4096, "q6_k" },
    { "q4_k_m", &falcon, "output.weight", 4096, "q8_0" },
    { "q4_k_m", &llama8b, "token_embd.weight", 4096, "q4_k" },
    { "q4_k_m", &tied, "token_embd.weight", 4096, "q6_k" },
    { "iq1_s", &llama8b, "token_embd.weight", 4096, "q2_k" },
    { "iq2_s", &llama8b, "token_embd.weight", 4096, "iq3_s" },
    { "iq3_xxs", &llama8b, "token_embd.weight", 4096, "iq3_s" },
    { "tq1_0", &llama8b, "token_embd.weight", 4096, "q4_k" },
    { "mxfp4_moe", &mixtral, "output.weight", 4096, "q8_0" },
};

static const char *type_of(char letter)
{
    for (size_t i = 0; i < COUNT(letters); i++)
        if (letters[i].letter == letter)
            return letters[i].type;
    return "?";
}

static void blocks(void **state)
{
    (void)state;
    for (size_t c = 0; c < COUNT(cases); c++) {
        const lqi_mix *mix = lqi_mix_find(cases[c].mix);
        size_t n = strlen(cases[c].types);
        assert_non_null(mix);
        assert_true(n == 1 || n == BLOCKS);
        for (size_t i = 0; i < BLOCKS; i++) {
            char name[64], reason[192];
            lqi_mix_tensor t = { name, 2, 4096, i, BLOCKS };
            unsigned type;
            snprintf(name, sizeof name, "blk.%zu.%s.weight", i, cases[c].tensor);
            type = lqi_mix_type(mix, cases[c].model, &t, reason, sizeof reason);
            if (strcmp(lqi_gguf_type_name(type), type_of(cases[c].types[n == 1 ? 0 : i])))
                fail_msg("%s %s: %s", cases[c].mix, name, lqi_gguf_type_name(type));
            assert_true((type == mix->base) == !*reason);
        }
    }
}

static void single_tensors(void **state)
{
    (void)state;
    for (size_t c = 0; c < COUNT(singles); c++) {
        lqi_mix_tensor t = { singles[c].tensor, 2, singles[c].cols, 0, 1 };
        unsigned type = lqi_mix_type(lqi_mix_find(singles[c].mix), singles[c].model, &t, NULL, 0);
        if (strcmp(lqi_gguf_type_name(type), singles[c].type))
            fail_msg("%s %s: %s", singles[c].mix, singles[c].tensor, lqi_gguf_type_name(type));
    }
}

static void experts(void **state)
{
    lqi_mix_tensor t = { "blk.0.ffn_up_exps.weight", 3, 4096, 0, 32 };

    (void)state;
    assert_string_equal("mxfp4_gguf", lqi_gguf_type_name(
        lqi_mix_type(lqi_mix_find("mxfp4_moe"), &mixtral, &t, NULL, 0)));
    assert_null(lqi_mix_find("q4_k_xl"));
    assert_null(lqi_mix_find(""));
}

static void importances(void **state)
{
    const lqi_mix *mix = lqi_mix_find("q2_k_s");

    (void)state;
    assert_true(lqi_mix_needs_importance(mix, "blk.0.ffn_up.weight", 10));
    assert_false(lqi_mix_needs_importance(mix, "token_embd.weight", 10));
    assert_false(lqi_mix_needs_importance(lqi_mix_find("q2_k"), "blk.0.ffn_up.weight", 10));
    assert_true(lqi_mix_needs_importance(lqi_mix_find("iq2_m"), "blk.0.ffn_up.weight", 22));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks), cmocka_unit_test(single_tensors), cmocka_unit_test(experts),
        cmocka_unit_test(importances),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
