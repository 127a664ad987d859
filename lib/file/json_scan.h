/* SPDX-License-Identifier: MIT */
/*
 * lib/file/json_scan.h - strict JSON (RFC 8259), one token at a time
 *
 * Reads headers of safetensors files and index files of sharded checkpoints: up to a
 * hundred megabytes whose grammar is tiny.  No tree is built and nothing is allocated
 * but what the caller keeps.  Stricter than the RFC where a name could become ambiguous:
 * lone surrogates, invalid UTF-8 and NUL (also as \u0000) are refused.  Nesting is kept
 * in a bit array, so depth costs no stack.
 */
#ifndef LQI_JSON_SCAN_H
#define LQI_JSON_SCAN_H

#include "lib/file/file.h"

#define LQI_JSON_DEPTH 128   /* levels of nesting; deeper is LQ_ERR_LIMIT */

typedef enum lqi_json_token {
    LQI_JSON_ERROR = 0,      /* status, problem and start say what and where */
    LQI_JSON_END,            /* the document is complete */
    LQI_JSON_OBJECT, LQI_JSON_OBJECT_END,
    LQI_JSON_ARRAY, LQI_JSON_ARRAY_END,
    LQI_JSON_KEY,            /* member name; its colon is consumed as well */
    LQI_JSON_STRING, LQI_JSON_NUMBER,
    LQI_JSON_TRUE, LQI_JSON_FALSE, LQI_JSON_NULL
} lqi_json_token;

typedef struct lqi_json {
    const uint8_t *text;
    uint64_t       bytes, at;
    uint64_t       start, length; /* the token; of strings without the quotes */
    uint64_t       nesting[LQI_JSON_DEPTH / 64]; /* bit 1: object, 0: array */
    uint32_t       depth;
    lqi_json_token token;         /* the current one */
    uint8_t        state;
    uint8_t        escaped;       /* the string contains escapes */
    lq_status      status;        /* of an error: FORMAT or LIMIT */
    const char    *problem;
} lqi_json;

/* 'text' is borrowed. */
void lqi_json_start(lqi_json *json, const void *text, uint64_t bytes);

/* After an error, or the end, the same token comes again. */
lqi_json_token lqi_json_next(lqi_json *json);

/* Pass over the next value, whatever it is: 1, or 0 on an error. */
int lqi_json_skip(lqi_json *json);

/* The current KEY or STRING unescaped: at most json->length bytes, not terminated. */
uint64_t lqi_json_decode(const lqi_json *json, char *out);

/* The same as a terminated string in the arena; NULL: out of memory. */
char *lqi_json_string(const lqi_json *json, lqi_arena *arena, uint64_t *bytes);

/* 1 if the current KEY or STRING, unescaped, is 'word' (at most 32 bytes). */
int lqi_json_equals(const lqi_json *json, const char *word);

/* 1 if the current token is a NUMBER of digits only that fits 64 bits, else 0. */
int lqi_json_u64(const lqi_json *json, uint64_t *value);

/* 1 if the current token is a NUMBER that is finite as a double, else 0.  The nearest,
 * or close to it with more than 15 digits or large exponents; whatever the locale. */
int lqi_json_f64(const lqi_json *json, double *value);

/* 1 if 'text' is one valid JSON object and nothing else; otherwise 'json' says why. */
int lqi_json_is_object(lqi_json *json, const void *text, uint64_t bytes);

#endif
