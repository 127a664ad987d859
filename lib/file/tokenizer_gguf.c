/* SPDX-License-Identifier: MIT */
/*
 * lib/file/tokenizer_gguf.c - tokenizer.model and tokenizer.json as GGUF keys
 *
 * tokenizer.model is a SentencePiece ModelProto in protobuf; of it are read: field 1, the
 * pieces { 1: text, 2: score (f32), 3: type }, and field 2, { 40 unk, 41 bos, 42 eos,
 * 43 pad }.  tokenizer.json is read when its model is BPE.  Without either, or outside a
 * directory, the model is "no_vocab".
 *
 * Without jansson the file is empty, like hf_gguf.c.
 */
#include "lib/file/dialect/dialect.h"

#ifdef LQI_HAVE_JSON
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>

#define TOKENIZER_MAX (64u << 20)   /* bytes of a tokenizer file */
#define TOKENS_MAX 4000000u

enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER = 4, UNUSED = 5, BYTE = 6 };

typedef struct vocab {
    lqi_plan    *plan;
    uint64_t     count;         /* tokens, those of config.json included */
    const char **text;
    float       *score;
    int32_t     *type;
    int64_t      special[4];    /* unk, bos, eos, pad; -1: none */
} vocab;

static lq_status fail(const vocab *v, lq_status st, const char *file, const char *what)
{
    return lqi_fail(v->plan->error, st, NULL, "%s/%s: %s", v->plan->in, file, what);
}

static lq_status make_room(vocab *v, uint64_t count)
{
    lqi_arena *arena = &v->plan->arena;
    char text[32];

    v->count = count;
    v->text = lqi_arena_alloc(arena, count * sizeof *v->text + 1);
    v->score = lqi_arena_alloc(arena, count * sizeof *v->score + 1);
    v->type = lqi_arena_alloc(arena, count * sizeof *v->type + 1);
    if (!v->text || !v->score || !v->type)
        return fail(v, LQ_ERR_NOMEM, "tokenizer", "no memory");
    for (uint64_t i = 0; i < count; i++) {
        snprintf(text, sizeof text, "[PAD%llu]", (unsigned long long)i);
        v->text[i] = lqi_arena_text(arena, text, strlen(text));
        v->score[i] = -1000;
        v->type[i] = UNUSED;
        if (!v->text[i])
            return fail(v, LQ_ERR_NOMEM, "tokenizer", "no memory");
    }
    return LQ_OK;
}

static lq_status set_token(vocab *v, uint64_t i, const char *text, uint64_t bytes, float score,
                           int32_t type)
{
    v->text[i] = lqi_arena_text(&v->plan->arena, text, bytes);
    v->score[i] = score;
    v->type[i] = type;
    return v->text[i] ? LQ_OK : fail(v, LQ_ERR_NOMEM, "tokenizer", "no memory");
}

/* ---------------------------------------------------------------------- files */

/* A file of the source directory in new memory; *memory NULL: there is none. */
static lq_status load(const vocab *v, const char *name, void **memory, uint64_t *bytes)
{
    const lq_allocator *a = lqi_ctx_allocator(v->plan->ctx);
    lqi_source *source = NULL;
    struct stat info;
    char path[4096];
    lq_status st;
    int n = snprintf(path, sizeof path, "%s/%s", v->plan->in, name);

    *memory = NULL;
    if (v->plan->cp->file->container != LQ_CONTAINER_DIRECTORY || n < 0 ||
        (size_t)n >= sizeof path || stat(path, &info))
        return LQ_OK;
    st = lqi_source_open(a, path, 0, &source, v->plan->error);
    if (st)
        return st;
    *bytes = lqi_source_bytes(source);
    if (*bytes > TOKENIZER_MAX)
        st = fail(v, LQ_ERR_LIMIT, name, "more than 64 MiB");
    else if (!(*memory = lqi_alloc(a, *bytes + 1)))
        st = fail(v, LQ_ERR_NOMEM, name, "no memory");
    else
        st = lqi_source_read(source, 0, *memory, *bytes, v->plan->error);
    lqi_source_close(source);
    if (st) {
        lqi_free(a, *memory);
        *memory = NULL;
    }
    return st;
}

/* ------------------------------------------------------------------- protobuf */

typedef struct bytes {
    const uint8_t *p, *end;
} bytes;

typedef struct field {
    uint64_t number, value;     /* value of a varint or a fixed number */
    int      wire;
    bytes    data;              /* of a length-delimited field */
} field;

static int varint(bytes *b, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (b->p == b->end)
            return 0;
        *value |= (uint64_t)(*b->p & 127) << shift;
        if (!(*b->p++ & 128))
            return 1;
    }
    return 0;
}

/* 1: a field, 0: the end, -1: not protobuf. */
static int next_field(bytes *b, field *f)
{
    uint64_t tag, n;

    if (b->p == b->end)
        return 0;
    if (!varint(b, &tag))
        return -1;
    f->number = tag >> 3;
    f->wire = (int)(tag & 7);
    if (f->wire == 0)
        return varint(b, &f->value) ? 1 : -1;
    n = f->wire == 1 ? 8 : 4;
    if (f->wire == 2 ? !varint(b, &n) : f->wire != 1 && f->wire != 5)
        return -1;
    if (n > (uint64_t)(b->end - b->p))
        return -1;
    f->data = (bytes){ b->p, b->p + n };
    if (f->wire != 2)
        f->value = n == 8 ? lqi_load64(b->p) : lqi_load32(b->p);
    b->p += n;
    return 1;
}

static int read_piece(bytes b, bytes *text, float *score, int32_t *type)
{
    field f;
    int more;

    *text = (bytes){ b.p, b.p };
    *score = 0;
    *type = NORMAL;
    while ((more = next_field(&b, &f)) == 1) {
        if (f.number == 1 && f.wire == 2)
            *text = f.data;
        else if (f.number == 2 && f.wire == 5)
            *score = lqi_bits_float((uint32_t)f.value);
        else if (f.number == 3 && f.wire == 0 && f.value <= BYTE)
            *type = (int32_t)f.value;
    }
    return more == 0 && !memchr(text->p, 0, (size_t)(text->end - text->p));
}

static int read_specials(vocab *v, bytes b)
{
    field f;
    int more;

    while ((more = next_field(&b, &f)) == 1)
        if (f.wire == 0 && f.number >= 40 && f.number <= 43)
            v->special[f.number - 40] = f.value < v->count ? (int64_t)f.value : -1;
    return more == 0;
}

static lq_status read_model(vocab *v, bytes all, uint64_t vocab_size)
{
    static const char name[] = "tokenizer.model";
    bytes b = all, text;
    uint64_t pieces = 0, i = 0;
    field f;
    int more;
    lq_status st;

    while ((more = next_field(&b, &f)) == 1)
        pieces += f.number == 1 && f.wire == 2;
    if (more || !pieces || pieces > TOKENS_MAX)
        return fail(v, LQ_ERR_CORRUPT, name, "not a SentencePiece model");
    st = make_room(v, pieces > vocab_size ? pieces : vocab_size);
    v->special[0] = 0;      /* the defaults of SentencePiece */
    v->special[1] = 1;
    v->special[2] = 2;
    for (b = all; !st && next_field(&b, &f) == 1;) {
        float score;
        int32_t type;
        if (f.number == 2 && f.wire == 2 && !read_specials(v, f.data))
            st = fail(v, LQ_ERR_CORRUPT, name, "its trainer's settings are damaged");
        if (f.number != 1 || f.wire != 2)
            continue;
        if (!read_piece(f.data, &text, &score, &type))
            st = fail(v, LQ_ERR_CORRUPT, name, "a piece is damaged");
        else
            st = set_token(v, i++, (const char *)text.p, (uint64_t)(text.end - text.p), score,
                           type);
    }
    return st;
}

/* ------------------------------------------------------------------------ JSON */

static int32_t type_of(const char *text, json_t *model)
{
    json_t *unknown = json_object_get(model, "unk_token");

    if (json_is_string(unknown) && !strcmp(text, json_string_value(unknown)))
        return UNKNOWN;
    return strlen(text) == 6 && !strncmp(text, "<0x", 3) && text[5] == '>' ? BYTE : NORMAL;
}

static uint64_t id_of(json_t *id)
{
    return json_is_integer(id) && json_integer_value(id) >= 0 &&
           json_integer_value(id) < TOKENS_MAX ? (uint64_t)json_integer_value(id) : LQI_NONE;
}

/* Largest id and one, or 0 when one is out of range. */
static uint64_t count_ids(json_t *pieces, json_t *added)
{
    const char *key;
    json_t *value;
    uint64_t n = 1;
    size_t i;

    json_object_foreach(pieces, key, value) {
        if (id_of(value) == LQI_NONE)
            return 0;
        n = id_of(value) >= n ? id_of(value) + 1 : n;
    }
    json_array_foreach(added, i, value) {
        uint64_t id = id_of(json_object_get(value, "id"));
        if (id == LQI_NONE || !json_is_string(json_object_get(value, "content")))
            return 0;
        n = id >= n ? id + 1 : n;
    }
    return n;
}

static lq_status read_tokens(vocab *v, json_t *root, uint64_t vocab_size)
{
    json_t *model = json_object_get(root, "model"), *pieces = json_object_get(model, "vocab");
    json_t *added = json_object_get(root, "added_tokens"), *value;
    uint64_t n = count_ids(pieces, added);
    const char *key;
    size_t i;
    lq_status st;

    if (!json_is_object(pieces) || !n)
        return fail(v, LQ_ERR_CORRUPT, "tokenizer.json", "tokens without usable numbers");
    st = make_room(v, n > vocab_size ? n : vocab_size);
    json_object_foreach(pieces, key, value)
        if (!st)
            st = set_token(v, id_of(value), key, strlen(key), -(float)id_of(value),
                           type_of(key, model));
    json_array_foreach(added, i, value) {
        uint64_t id = id_of(json_object_get(value, "id"));
        const char *text = json_string_value(json_object_get(value, "content"));
        int special = json_is_true(json_object_get(value, "special"));
        if (!st && v->type[id] != UNKNOWN)
            st = set_token(v, id, text, strlen(text), v->score[id], special ? CONTROL : USER);
    }
    return st;
}

static const char *merge_text(vocab *v, json_t *merge)
{
    const char *a = json_string_value(json_array_get(merge, 0));
    const char *b = json_string_value(json_array_get(merge, 1));
    lqi_buffer text = { .allocator = lqi_ctx_allocator(v->plan->ctx) };
    const char *result = NULL;

    if (json_is_string(merge))
        return lqi_arena_text(&v->plan->arena, json_string_value(merge),
                              json_string_length(merge));
    if (!a || !b)
        return NULL;
    lqi_buffer_text(&text, a);
    lqi_buffer_text(&text, " ");
    lqi_buffer_text(&text, b);
    if (!text.failed)
        result = lqi_arena_text(&v->plan->arena, text.data, text.bytes);
    lqi_buffer_free(&text);
    return result;
}

static lq_status put_merges(vocab *v, lq_writer *writer, json_t *merges)
{
    size_t n = json_array_size(merges), i;
    const char **list = lqi_arena_alloc(&v->plan->arena, n * sizeof *list + 1);
    json_t *merge;

    if (!list)
        return fail(v, LQ_ERR_NOMEM, "tokenizer.json", "no memory");
    json_array_foreach(merges, i, merge) {
        list[i] = merge_text(v, merge);
        if (!list[i])
            return fail(v, LQ_ERR_CORRUPT, "tokenizer.json", "a merge is not two tokens");
    }
    return lq_writer_meta(writer, "tokenizer.ggml.merges", LQ_META_STRING, 1, list, n);
}

static void config_special(vocab *v, const char *key, int which)
{
    json_t *id = json_object_get(v->plan->config, key);

    if (json_is_array(id))
        id = json_array_get(id, 0);
    if (id_of(id) < v->count)
        v->special[which] = (int64_t)id_of(id);
}

/* ------------------------------------------------------------------------ keys */

static lq_status put_vocab(vocab *v, lq_writer *writer, const char *model, const char *pre)
{
    static const char *const keys[] = {
        "tokenizer.ggml.unknown_token_id", "tokenizer.ggml.bos_token_id",
        "tokenizer.ggml.eos_token_id", "tokenizer.ggml.padding_token_id"
    };
    lq_status st = lq_writer_meta_string(writer, "tokenizer.ggml.model", model);

    if (!st)
        st = lq_writer_meta_string(writer, "tokenizer.ggml.pre", pre);
    if (!st)
        st = lq_writer_meta(writer, "tokenizer.ggml.tokens", LQ_META_STRING, 1, v->text,
                            v->count);
    if (!st && !strcmp(model, "llama"))
        st = lq_writer_meta(writer, "tokenizer.ggml.scores", LQ_META_F32, 1, v->score,
                            v->count);
    if (!st)
        st = lq_writer_meta(writer, "tokenizer.ggml.token_type", LQ_META_I32, 1, v->type,
                            v->count);
    for (int i = 0; i < 4 && !st; i++) {
        uint32_t id = (uint32_t)v->special[i];
        if (v->special[i] >= 0)
            st = lq_writer_meta(writer, keys[i], LQ_META_U32, 0, &id, 1);
    }
    return st;
}

static lq_status from_model(vocab *v, lq_writer *writer, const void *memory, uint64_t n,
                            uint64_t vocab_size)
{
    bytes all = { memory, (const uint8_t *)memory + n };
    lq_status st = read_model(v, all, vocab_size);

    return st ? st : put_vocab(v, writer, "llama", "default");
}

/* Splitting digits in threes is what tells Llama 3's pre-tokenizer from GPT-2's. */
static const char *pre_of(json_t *root)
{
    char *text = json_dumps(json_object_get(root, "pre_tokenizer"), JSON_COMPACT);
    const char *pre = text && strstr(text, "\\\\p{N}{1,3}") ? "llama-bpe" : "default";

    free(text);
    return pre;
}

static lq_status from_json(vocab *v, lq_writer *writer, const void *memory, uint64_t n,
                           uint64_t vocab_size)
{
    json_error_t json_error;
    json_t *root = json_loadb(memory, (size_t)n, 0, &json_error), *model;
    const char *type;
    int bytes_model;
    lq_status st;

    model = json_object_get(root, "model");
    type = json_string_value(json_object_get(model, "type"));
    bytes_model = json_is_true(json_object_get(model, "byte_fallback"));
    if (!root)
        st = fail(v, LQ_ERR_FORMAT, "tokenizer.json", json_error.text);
    else if (type && strcmp(type, "BPE"))
        st = lq_writer_meta_string(writer, "tokenizer.ggml.model", "no_vocab");
    else
        st = read_tokens(v, root, vocab_size);
    if (!st && v->count) {
        config_special(v, "bos_token_id", 1);
        config_special(v, "eos_token_id", 2);
        st = put_vocab(v, writer, bytes_model ? "llama" : "gpt2",
                       bytes_model ? "default" : pre_of(root));
    }
    if (!st && v->count && !bytes_model)
        st = put_merges(v, writer, json_object_get(model, "merges"));
    json_decref(root);
    return st;
}

lq_status lqi_tokenizer_keys(lqi_plan *plan, lq_writer *writer, uint64_t vocab_size)
{
    vocab v = { .plan = plan, .special = { -1, -1, -1, -1 } };
    void *memory = NULL;
    uint64_t n = 0;
    lq_status st;

    if (vocab_size > TOKENS_MAX)
        return fail(&v, LQ_ERR_LIMIT, "config.json", "more than 4,000,000 tokens");
    st = load(&v, "tokenizer.model", &memory, &n);
    if (!st && memory) {
        st = from_model(&v, writer, memory, n, vocab_size);
    } else if (!st) {
        st = load(&v, "tokenizer.json", &memory, &n);
        if (!st && memory)
            st = from_json(&v, writer, memory, n, vocab_size);
        else if (!st)
            st = lq_writer_meta_string(writer, "tokenizer.ggml.model", "no_vocab");
    }
    lqi_free(lqi_ctx_allocator(plan->ctx), memory);
    if (st && plan->error->status != st)
        lqi_fail(plan->error, st, NULL, "the tokenizer's keys: %s", lq_status_text(st));
    return st;
}
#else
typedef int lqi_tokenizer_gguf_empty;
#endif
