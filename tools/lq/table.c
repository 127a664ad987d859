/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/table.c - the table of commands and options
 *
 * Parsing, --help, docs/lq.md, shell completion and suggestions all follow from it.
 */
#include "lq.h"

#include <string.h>

#define COMMON \
    { OPT_JSON, "json", 0, NULL, NULL, "one JSON document on standard output" }, \
    { OPT_HELP, "help", 'h', NULL, NULL, "this text" }, \
    { 0, NULL, 0, NULL, NULL, NULL }
#define CPU \
    { OPT_THREADS, "threads", 'T', "N", NULL, "threads to use (default: all CPUs)" }, \
    { OPT_LEVEL, "level", 0, "LEVEL", "ref|avx2|avx2-vnni|avx512-vnni|avx512-bf16|neon" \
      "|neon-dotprod|neon-i8mm", "CPU level (default: the best there is)" }
#define STRICT \
    { OPT_STRICT, "strict", 0, NULL, NULL, \
      "refuse what the formats' texts forbid but readers in the field accept" }
#define OUTPUT \
    { OPT_DRY_RUN, "dry-run", 0, NULL, NULL, "decide and report sizes, write nothing" }, \
    { OPT_FORCE, "force", 0, NULL, NULL, "replace an existing output" }, \
    { OPT_SPLIT_SIZE, "split-max-size", 0, "SIZE", NULL, "several files of at most this size: " \
      "NAME-00001-of-0000N.gguf, or the shards of a directory" }, \
    { OPT_SPLIT_TENSORS, "split-max-tensors", 0, "N", NULL, "or of at most N tensors each" }, \
    { OPT_QUIET, "quiet", 'q', NULL, NULL, "no progress, no report" }, \
    { OPT_VERBOSE, "verbose", 'v', NULL, NULL, "report every weight, with its error" }

static const option_row formats_options[] = { COMMON };
static const option_row text_options[] = { COMMON };

static const option_row inspect_options[] = {
    { OPT_TENSORS, "tensors", 't', NULL, NULL,
      "list the container's raw tensors with type and offset instead of the weights" },
    { OPT_VERBOSE, "verbose", 'v', NULL, NULL, "metadata in full" },
    STRICT,
    COMMON
};

static const option_row quantize_options[] = {
    { OPT_FORMAT, "format", 'f', "SPEC", NULL, "target: q4_k, nf4:b64:dq, int8:ch..." },
    { OPT_TENSOR, "tensor", 't', "REGEX=SPEC", NULL,
      "other target for the weights whose name matches (repeatable)" },
    { OPT_INCLUDE, "include", 'i', "REGEX", NULL,
      "encode the weights whose name matches, of two or more dimensions, instead of the "
      "default choice (repeatable)" },
    { OPT_EXCLUDE, "exclude", 'x', "REGEX", NULL,
      "leave the weights whose name matches as they are (repeatable)" },
    { OPT_IMATRIX, "imatrix", 0, "FILE", NULL, "importances from llama-imatrix (.dat)" },
    { OPT_TAIL, "tail", 0, "error|pad|fallback|SPEC", "error|pad|fallback",
      "what to do with rows that do not fit the blocks of the target (default: fallback "
      "for .gguf, error elsewhere)" },
    { OPT_NONFINITE, "nonfinite", 0, "error|clamp|zero|propagate",
      "error|clamp|zero|propagate", "what to do with NaN and infinity (default: error)" },
    { OPT_SEARCH, "search", 0, "exact|best", "exact|best",
      "the reference's bytes, or a slower search with lower error (default: exact)" },
    { OPT_REQUANTIZE, "allow-requantize", 0, NULL, NULL,
      "accept an input that is quantized already" },
    OUTPUT,
    CPU,
    COMMON
};

static const option_row dequantize_options[] = {
    { OPT_FORMAT, "format", 'f', "f32|f16|bf16", "f32|f16|bf16", "type (default: f32)" },
    OUTPUT,
    CPU,
    COMMON
};

static const option_row convert_options[] = {
    { OPT_TO, "to", 0, "DIALECT|SPEC", NULL,
      "a dialect: gptq, awq, compressed-tensors...; or the format to change to" },
    OUTPUT,
    CPU,
    COMMON
};

static const option_row compare_options[] = {
    { OPT_TOLERANCE, "tolerance", 0, "E", NULL,
      "largest relative RMSE of a weight that counts as equal (default: 0)" },
    { OPT_VERBOSE, "verbose", 'v', NULL, NULL, "list equal weights too" },
    CPU,
    COMMON
};

static const option_row verify_options[] = {
    STRICT,
    { OPT_VERBOSE, "verbose", 'v', NULL, NULL, "list what is right too" },
    CPU,
    COMMON
};

static const option_row estimate_options[] = {
    { OPT_FORMAT, "format", 'f', "SPEC", NULL, "format of the weights (default: bf16)" },
    { OPT_PARAMS, "params", 0, "N", NULL, "a typical model of this size: 7B, 1.5B, 350M" },
    { OPT_CONTAINER, "container", 0, "safetensors|gguf", "safetensors|gguf",
      "whose rules choose the weights to quantize (default: safetensors)" },
    { OPT_CONTEXT, "context", 'c', "N", NULL, "tokens per sequence (default: 4096)" },
    { OPT_BATCH, "batch", 'b', "N", NULL, "sequences at once (default: 1)" },
    { OPT_KV, "kv", 0, "SPEC", NULL, "format of the KV cache (default: f16)" },
    { OPT_LORA, "lora", 0, "RANK", NULL, "train adapters of this rank" },
    { OPT_TARGETS, "targets", 0, "REGEX", NULL,
      "weights that get adapters (default: all linear layers)" },
    { OPT_OPTIMIZER, "optimizer", 0, "none|adam|adam8bit", "none|adam|adam8bit",
      "training with this state (default: none, or adam with --lora)" },
    { OPT_RECOMPUTE, "recompute", 0, NULL, NULL,
      "training keeps one layer's activations and computes the others again" },
    { OPT_MEMORY, "memory", 'M', "SIZE", NULL, "say whether it fits: 48G, 80GB" },
    COMMON
};

static const option_row bench_options[] = {
    { OPT_FORMAT, "format", 'f', "SPEC,...", NULL,
      "formats to measure (default: q8_0,q4_k,nf4,int8:ch)" },
    { OPT_ROWS, "rows", 0, "N", NULL, "rows of the weight (default: 4096)" },
    { OPT_COLS, "cols", 0, "N", NULL, "columns of the weight (default: 4096)" },
    { OPT_N, "n", 'n', "N,...", NULL,
      "activation vectors of products (default: 1; gemm: 128)" },
    { OPT_MODE, "mode", 0, "fast|bf16|f32|w8a8", "fast|bf16|f32|w8a8",
      "arithmetic of products (default: fast)" },
    { OPT_TYPE, "type", 0, "f32|f16|bf16", "f32|f16|bf16",
      "numbers that dequantize makes (default: f32)" },
    { OPT_WEIGHTED, "weighted", 0, NULL, NULL,
      "quantize with an importance for each column, as from an imatrix" },
    { OPT_UNPREPARED, "unprepared", 0, NULL, NULL, "multiply rows that were not prepared" },
    { OPT_ROTATE, "rotate", 0, "SIZE", NULL,
      "go through copies of the weight that fill SIZE; 0: one, which may stay in the caches "
      "(default: 256M)" },
    { OPT_RULE, "rule", 0, "all|adamw|adam|lion|sgd", "all|adamw|adam|lion|sgd",
      "rule of optimizer (default: all)" },
    { OPT_BITS, "bits", 0, "all|8|32", "all|8|32", "state of optimizer (default: all)" },
    { OPT_REPEAT, "repeat", 0, "N", NULL, "samples, of which the median counts (default: 7)" },
    CPU,
    COMMON
};

const command commands[] = {
    { "formats", "", 0, 0, "list the formats of this build",
      "A SPEC is a format's name with options separated by colons: gN groups of N columns, "
      "bN flat blocks of N, ch one scale per row, t one per tensor, RxC groups of R rows by "
      "C columns, zp integer zero points, gidx act-order, dq or dqN second-level scales, "
      "f32 f16 bf16 e8m0 e4m3 the type of the scales, pad a zero-filled last block.",
      NULL, formats_options, cmd_formats },
    { "inspect", "FILE", 1, 1, "show metadata and weights of a model",
      "FILE is a safetensors file, a checkpoint directory or a GGUF file. Names and values "
      "are printed with control characters escaped.",
      NULL, inspect_options, cmd_inspect },
    { "quantize", "IN OUT -f SPEC", 2, 2, "encode a model",
      "IN is a safetensors file, a checkpoint directory or a GGUF file. The extension of OUT "
      "chooses the container: .gguf, .safetensors, or a directory.\n"
      "By default the two-dimensional weights of linear layers are encoded; norms, biases, "
      "embedding and lm_head are left alone (GGUF: llama-quantize's rules). What was left "
      "alone, and why, is listed. REGEX is a POSIX extended regular expression, searched for "
      "anywhere in the name. --exclude wins over --tensor, --tensor over --include. A rule "
      "that matches nothing, and two --tensor rules that disagree about a weight, are errors "
      "before any work. OUT appears when it is complete, or not at all; an interrupt leaves "
      "nothing behind.",
      NULL, quantize_options, cmd_quantize },
    { "convert", "IN OUT --to DIALECT|SPEC", 2, 2, "write a quantized model in another form",
      "With a dialect every weight keeps its codes and scales and is only packed as others "
      "expect it; what the dialect cannot say is refused. The dialects: bitsandbytes, awq, "
      "awq_gemv, awq_fast, modelopt, fp8, gpt-oss, compressed-tensors, gptq (as gptq_v2), "
      "gptq_v1, gptq_v2, gptq_p, lq.\n"
      "With a SPEC quantized weights change their format: by the same codes where both have "
      "them, else decoded and encoded again. The same codes have q4_0 and int4:g32:f16, q5_0 "
      "and int5:g32:f16, q8_0 and int8:g32:f16, with or without :zp; mxfp4_gguf and mxfp4; "
      "where the numbers of a weight allow, q4_1 and int4:g32:zp:f16, q5_1 and "
      "int5:g32:zp:f16, nvfp4_gguf and nvfp4, and integers with and without :zp.\n"
      "Each quantized weight is listed as lossless or recoded, with the error that was added.",
      NULL, convert_options, cmd_convert },
    { "dequantize", "IN OUT", 2, 2, "decode a model to floating point",
      "Every quantized weight of IN becomes plain numbers in OUT, whose extension chooses "
      "the container as for quantize.",
      NULL, dequantize_options, cmd_dequantize },
    { "compare", "A B", 2, 2, "compare two models weight by weight",
      "Weights are decoded and paired by name, whatever container and format they are in; "
      "a Llama checkpoint and its GGUF are paired as well. Shown are the RMSE relative to "
      "A, the largest absolute error and the cosine. Exit code 1: a weight differs by more "
      "than the tolerance, has another shape, or is missing.",
      NULL, compare_options, cmd_compare },
    { "verify", "FILE", 1, 1, "check a model: checksums, blocks, scales",
      "Exit code 1: something is wrong with a tensor. A file that cannot be read as a model "
      "at all is exit code 3.",
      NULL, verify_options, cmd_verify },
    { "estimate", "[CONFIG_OR_FILE] -f SPEC", 0, 1, "how much memory a model needs",
      "The model is a config.json, a directory with one, a model file, or --params.\n"
      "weights: every weight in its format, chosen as quantize does. KV cache: 2 x layers x "
      "context x batch rows of kv heads x head size; none in training. Adapters: rank x "
      "(rows + cols) f32 per target; gradients f32 for what is trained; adam 8 bytes, "
      "adam8bit 2 + 8/256 bytes for each trained number. --optimizer without --lora trains "
      "everything. Activations, decoding: for the smaller of context and 512 tokens, 4 x "
      "hidden + 3 x intermediate f32, and one row of logits per sequence. Training: 34 x "
      "hidden bytes per token and layer (one layer, and 2 x hidden for the others, with "
      "--recompute), and f32 logits for every token.",
      NULL, estimate_options, cmd_estimate },
    { "bench", "[gemv|gemm|quantize|dequantize|roof|optimizer]", 0, 1, "measure the speed of this machine",
      "gemv and gemm multiply n activation vectors of f32 with a weight; making integers or "
      "bf16 of the vectors is in the time. gemm with f32, f16 and bf16 is lq_gemm, on vectors "
      "of the same type. quantize is from f32, dequantize to --type. Without a word all of these "
      "are measured.\n"
      "optimizer steps an array of 16384 parameters, which stays in the caches with its state, "
      "and one of rows x cols; gweights counts parameters.\n"
      "Before every sample the machine's limits are measured with the same number of threads: "
      "roof is the reading of 256 MiB or more, the better of 256- and 512-bit loads, peak what "
      "the level's best instruction multiplies and adds in registers (8-bit integers, bf16 or "
      "f32, by the mode; two operations a product). The fraction of gemm is that of the peak; "
      "all others are fractions of the roof: of gemv, the bytes of the weight as it is stored; "
      "of quantize and dequantize, those and the numbers; of optimizer, what is read and "
      "written of parameters, gradients and state. nmse is the squared error of "
      "products against float64 of the decoded weights, of quantize and dequantize that of the "
      "decoded weights, by the square of what is right. Data is normal, pseudo-random, the "
      "same every time.\n"
      "With --json every measurement is one line, with op, format, rows, cols, n, threads, "
      "mode, level, seconds (of a call), gbps, gflops, roof_gbps, peak_gops, fraction, nmse, "
      "prepared_bytes and source_bytes; of quantize and dequantize also type, gweights and "
      "gbps_written, of optimizer these and bits, with the rule as mode and n parameters; null is what does not apply.",
      "gemv|gemm|quantize|dequantize|roof|optimizer", bench_options, cmd_bench },
    { "completions", "bash", 1, 1, "print shell completion",
      "Use: source <(lq completions bash)", "bash", text_options, cmd_completions },
    { "manual", "", 0, 0, "print this manual as Markdown",
      "docs/lq.md in the source is this text.", NULL, text_options, cmd_manual },
    { "help", "[COMMAND]", 0, 1, "print help", "The same as lq COMMAND --help.", NULL,
      text_options, cmd_help },
    { NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL }
};

const command *command_find(const char *name)
{
    for (const command *c = commands; c->name; c++)
        if (!strcmp(c->name, name))
            return c;
    return NULL;
}

const option_row *command_option(const command *c, int id)
{
    const option_row *row = c->options;

    while (row->id && row->id != id)
        row++;
    return row;
}
