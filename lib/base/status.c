/* SPDX-License-Identifier: MIT */
/*
 * lib/base/status.c - statuses, errors in words, options structs, element types
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "lib/base/base.h"

/* ------------------------------------------------------------------ status */

static const struct status_line {
    const char *name, *text;
} status_lines[] = {
    { "LQ_OK", "no error" },
    { "LQ_ERR_ARG", "an argument is missing, out of range or contradictory" },
    { "LQ_ERR_SHAPE", "rows, columns or groups do not fit the format" },
    { "LQ_ERR_OVERFLOW", "a size does not fit" },
    { "LQ_ERR_NOMEM", "out of memory" },
    { "LQ_ERR_IO", "the system refused to read or write" },
    { "LQ_ERR_NOSPACE", "no space left for the output" },
    { "LQ_ERR_TRUNCATED", "the data ends too early" },
    { "LQ_ERR_FORMAT", "not a file of this type" },
    { "LQ_ERR_CORRUPT", "the data contradicts itself" },
    { "LQ_ERR_LIMIT", "larger than a documented limit" },
    { "LQ_ERR_UNSUPPORTED", "not supported" },
    { "LQ_ERR_NONFINITE", "NaN or infinity where it is not allowed" },
    { "LQ_ERR_NUMERIC", "the computation has no usable result" },
    { "LQ_ERR_BUFFER", "a buffer is too small" },
    { "LQ_ERR_OVERLAP", "input and output share memory" },
    { "LQ_ERR_ALIGN", "a float array is not aligned" },
    { "LQ_ERR_DUPLICATE", "a name occurs twice" },
    { "LQ_ERR_NOTFOUND", "not found" },
    { "LQ_ERR_EXISTS", "the output exists" },
    { "LQ_ERR_MISMATCH", "two inputs that belong together disagree" },
    { "LQ_ERR_CANCELLED", "cancelled" },
};

static const struct status_line *status_line(lq_status status)
{
    static const struct status_line unknown = { "unknown status", "unknown error" };

    if (status > 0 || status <= -(int)(sizeof status_lines / sizeof *status_lines))
        return &unknown;
    return &status_lines[-status];
}

const char *lq_status_name(lq_status status)
{
    return status_line(status)->name;
}

const char *lq_status_text(lq_status status)
{
    return status_line(status)->text;
}

/* ------------------------------------------------------------------ errors */

void lq_error_init(lq_error *error)
{
    const lq_error init = LQ_ERROR_INIT;

    if (error)
        *error = init;
}

/* Copy 'text', printable ASCII and UTF-8 bytes as they are, the rest as \xNN, cut to fit.
 * A cut never leaves half an escape or half a UTF-8 sequence. */
static void copy_escaped(char *dst, size_t capacity, const char *text)
{
    size_t n = 0;

    for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
        int plain = *s >= 0x20 && *s != 0x7f;
        size_t need = plain ? 1 : 4;
        if (n + need + 1 > capacity)
            break;
        if (plain)
            dst[n] = (char)*s;
        else
            snprintf(dst + n, 5, "\\x%02x", *s);
        n += need;
    }
    while (n > 0 && text[0] && n + 1 == capacity && ((unsigned char)dst[n - 1] & 0x80))
        n--;
    dst[n] = '\0';
}

/* The caller may have been compiled against a shorter lq_error: nothing fits then. */
static int writable(const lq_error *error)
{
    return error && error->struct_size >= sizeof(lq_error);
}

/* Append to a message, as far as there is room. */
static void append(lq_error *error, const char *text)
{
    size_t used = strlen(error->message), room = sizeof error->message - 1 - used;
    size_t n = strlen(text) < room ? strlen(text) : room;

    memcpy(error->message + used, text, n);
    error->message[used + n] = '\0';
}

static void compose(lq_error *error, const char *text)
{
    char at[48] = "";

    if (error->offset != LQ_NO_OFFSET)
        snprintf(at, sizeof at, "at byte %llu: ", (unsigned long long)error->offset);
    error->message[0] = '\0';
    append(error, error->file);
    append(error, error->file[0] ? ": " : "");
    append(error, error->name[0] ? "'" : "");
    append(error, error->name);
    append(error, error->name[0] ? "': " : "");
    append(error, at);
    append(error, text);
}

lq_status lqi_fail(lq_error *error, lq_status status, const lqi_where *where,
                   const char *format, ...)
{
    static const lqi_where nowhere = { NULL, NULL, LQ_NO_OFFSET };
    char text[sizeof error->message];
    va_list args;

    if (!writable(error))
        return status;
    if (!where)
        where = &nowhere;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    error->status = status;
    error->system = 0;
    error->offset = where->offset;
    copy_escaped(error->file, sizeof error->file, where->file ? where->file : "");
    copy_escaped(error->name, sizeof error->name, where->name ? where->name : "");
    compose(error, text);
    return status;
}

static lq_status status_of_errno(int system)
{
    switch (system) {
    case ENOSPC: case EDQUOT: return LQ_ERR_NOSPACE;
    case ENOENT: return LQ_ERR_NOTFOUND;
    case EEXIST: return LQ_ERR_EXISTS;
    case ENOMEM: return LQ_ERR_NOMEM;
    default:     return LQ_ERR_IO;
    }
}

lq_status lqi_fail_errno(lq_error *error, int system, const char *file, const char *doing)
{
    lq_status status = status_of_errno(system);
    lqi_where where = { file, NULL, LQ_NO_OFFSET };
    char reason[128];

#if defined(__GLIBC__) && defined(_GNU_SOURCE)
    const char *text = strerror_r(system, reason, sizeof reason);
#else
    const char *text = strerror_r(system, reason, sizeof reason) ? "system error" : reason;
#endif
    lqi_fail(error, status, &where, "cannot %s: %s", doing, text);
    if (writable(error))
        error->system = system;
    return status;
}

lq_status lqi_opts_read(void *dst, size_t known, const void *src)
{
    size_t given;

    if (!src)
        return LQ_OK;
    memcpy(&given, src, sizeof given);
    if (given < sizeof given)
        return LQ_ERR_ARG;
    for (size_t i = known; i < given; i++)
        if (((const unsigned char *)src)[i])
            return LQ_ERR_UNSUPPORTED;
    memcpy(dst, src, given < known ? given : known);
    memcpy(dst, &known, sizeof known);   /* from here on the struct is complete */
    return LQ_OK;
}

/* ----------------------------------------------------------- element types */

static const struct dtype_line {
    lq_dtype    type;
    size_t      bytes;
    const char *name;
} dtype_lines[] = {
    { LQ_F32, 4, "f32" }, { LQ_F16, 2, "f16" }, { LQ_BF16, 2, "bf16" }, { LQ_F64, 8, "f64" },
    { LQ_F8_E4M3, 1, "e4m3" }, { LQ_F8_E5M2, 1, "e5m2" }, { LQ_E8M0, 1, "e8m0" },
    { LQ_I8, 1, "i8" }, { LQ_U8, 1, "u8" }, { LQ_I16, 2, "i16" }, { LQ_U16, 2, "u16" },
    { LQ_I32, 4, "i32" }, { LQ_U32, 4, "u32" }, { LQ_I64, 8, "i64" }, { LQ_U64, 8, "u64" },
    { LQ_BOOL, 1, "bool" },
};

static const struct dtype_line *dtype_line(lq_dtype type)
{
    for (size_t i = 0; i < sizeof dtype_lines / sizeof *dtype_lines; i++)
        if (dtype_lines[i].type == type)
            return &dtype_lines[i];
    return NULL;
}

size_t lq_dtype_bytes(lq_dtype type)
{
    const struct dtype_line *line = dtype_line(type);

    return line ? line->bytes : 0;
}

const char *lq_dtype_name(lq_dtype type)
{
    const struct dtype_line *line = dtype_line(type);

    return line ? line->name : NULL;
}
