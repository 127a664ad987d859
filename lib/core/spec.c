/* SPDX-License-Identifier: MIT */
/*
 * lib/core/spec.c - specs: defaults, checks, text
 */
#include <ctype.h>
#include <stdio.h>

#include "lib/core/core.h"

#define MAX_GROUP 65536   /* columns; longer groups are whole rows */

void lq_spec_init(lq_spec *spec)
{
    const lq_spec init = LQ_SPEC_INIT;

    if (spec)
        *spec = init;
}

/* ---------------------------------------------------------------- complete */

static lq_status refuse(const lqi_format *format, const char *what, lq_error *error)
{
    return lqi_fail(error, LQ_ERR_UNSUPPORTED, NULL, "format %s does not have %s",
                    format->name, what);
}

static lq_status complete_blocked(const lqi_format *f, lq_spec *s, lq_error *error)
{
    if (s->group_rows || s->group_cols || s->scale_type || s->zeros || s->scale2_block ||
        s->codebook || s->scale_mode)
        return refuse(f, "parameters: its blocks are fixed", error);
    if (s->flags & ~(uint32_t)LQ_SPEC_PAD)
        return refuse(f, "flat groups or group indices", error);
    return LQ_OK;
}

static void complete_groups(const lqi_format *f, lq_spec *s)
{
    if (s->group_rows == 0 && s->group_cols == 0) {
        s->group_rows = f->group_rows;
        s->group_cols = f->group_cols;
        s->flags |= f->flags & LQ_SPEC_FLAT;
    }
    if (!(s->flags & LQ_SPEC_GLOBAL))
        s->flags |= f->flags & LQ_SPEC_GLOBAL;
    if (s->group_rows == 0)
        s->group_rows = 1;
    if (s->group_cols == 0)
        s->group_cols = LQ_GROUP_ALL;
}

static lq_status check_groups(const lqi_format *f, const lq_spec *s, lq_error *error)
{
    uint32_t n = s->group_cols;

    if (f->can & LQI_FIXED_GROUP && (s->group_rows != f->group_rows || n != f->group_cols))
        return refuse(f, "other groups than its own", error);
    if (s->group_rows != 1 && !(f->can & LQI_CAN_MULTIROW))
        return refuse(f, "groups of several rows", error);
    if (!(s->flags & LQ_SPEC_FLAT)) {
        if (n != LQ_GROUP_ALL && n > MAX_GROUP)
            return lqi_fail(error, LQ_ERR_UNSUPPORTED, NULL,
                            "group size %u is not in 1..%u (ch: whole rows)", n, MAX_GROUP);
        return LQ_OK;
    }
    if (!(f->can & LQI_CAN_FLAT) || s->group_rows != 1)
        return refuse(f, "flat blocks of this shape", error);
    if (n < 32 || n > 4096 || n & (n - 1))
        return lqi_fail(error, LQ_ERR_UNSUPPORTED, NULL,
                        "flat block %u of format %s is not a power of two in 32..4096", n,
                        f->name);
    return LQ_OK;
}

static lq_status check_options(const lqi_format *f, const lq_spec *s, lq_error *error)
{
    if (s->scale_type < 0 || s->scale_type > 31 || !(f->scale_types >> s->scale_type & 1))
        return refuse(f, "scales of this type", error);
    if ((s->zeros == LQ_ZEROS_INT && !(f->can & LQI_CAN_ZEROS_INT)) ||
        (s->zeros == LQ_ZEROS_FLOAT && !(f->can & LQI_CAN_ZEROS_FLOAT)) || s->zeros < 0 ||
        s->zeros > LQ_ZEROS_FLOAT)
        return refuse(f, "such zero points", error);
    if (s->zeros == LQ_ZEROS_FLOAT && (s->group_rows != 1 || s->group_cols > LQI_VALUES_MAX))
        return refuse(f, "float zero points for groups this large", error);
    if (s->zeros == LQ_ZEROS_FLOAT && s->scale_type != LQ_F32 && s->scale_type != LQ_F16 &&
        s->scale_type != LQ_BF16)
        return refuse(f, "float zero points of this type", error);
    if (s->flags & LQ_SPEC_GLOBAL && (!(f->can & LQI_CAN_GLOBAL) || s->scale2_block ||
                                      (s->flags & LQ_SPEC_GLOBAL) == LQ_SPEC_GLOBAL))
        return refuse(f, "such a global scale", error);
    if (s->scale_mode < 0 || s->scale_mode > LQ_SCALE_RCEIL || s->reserved ||
        (s->scale_mode && !(f->can & LQI_CAN_SCALE_MODE)))
        return refuse(f, "a choice of scales", error);
    if (s->scale2_block && !(f->can & LQI_CAN_SCALE2))
        return refuse(f, "second-level scales", error);
    if (s->scale2_block && s->scale_type != LQ_F32)
        return refuse(f, "second-level scales of another type than f32", error);
    if (s->flags & ~(uint32_t)(LQ_SPEC_FLAT | LQ_SPEC_GIDX | LQ_SPEC_GLOBAL))
        return refuse(f, "padding: short groups need none", error);
    if (s->flags & LQ_SPEC_GIDX &&
        (!(f->can & LQI_CAN_GIDX) || s->flags & LQ_SPEC_FLAT || s->group_rows != 1 ||
         s->group_cols == LQ_GROUP_ALL))
        return refuse(f, "group indices for these groups", error);
    if (s->codebook && f->id != LQ_FORMAT_CODEBOOK)
        return refuse(f, "a codebook of its own", error);
    return LQ_OK;
}

lq_status lq_spec_complete(lq_spec *spec, lq_error *error)
{
    const lqi_format *f;
    lq_spec s = LQ_SPEC_INIT;
    lq_status status;

    if (!spec)
        return LQ_ERR_ARG;
    status = lqi_opts_read(&s, sizeof s, spec);
    if (status)
        return lqi_fail(error, status, NULL, "the spec's struct_size is %zu", spec->struct_size);
    f = lqi_format_by_id(s.format);
    if (!f)
        return lqi_fail(error, LQ_ERR_NOTFOUND, NULL, "no format has id %d", s.format);
    if (f->storage == LQ_BLOCKED) {
        status = complete_blocked(f, &s, error);
    } else {
        complete_groups(f, &s);
        if (s.scale_mode == 0 && f->can & LQI_CAN_SCALE_MODE)
            s.scale_mode = LQ_SCALE_FLOOR;
        if (s.scale_type == LQ_DTYPE_DEFAULT)
            s.scale_type = s.scale2_block ? LQ_F32 : f->scale_type;
        status = check_groups(f, &s, error);
        if (!status)
            status = check_options(f, &s, error);
    }
    if (status)
        return status;
    s.struct_size = spec->struct_size;   /* the caller's, older or newer than ours */
    memcpy(spec, &s, (size_t)lqi_min(s.struct_size, sizeof s));
    return LQ_OK;
}

int lq_spec_equal(const lq_spec *a, const lq_spec *b)
{
    lq_spec x = LQ_SPEC_INIT, y = LQ_SPEC_INIT;

    if (!a || !b || lqi_opts_read(&x, sizeof x, a) || lqi_opts_read(&y, sizeof y, b) ||
        lq_spec_complete(&x, NULL) || lq_spec_complete(&y, NULL))
        return 0;
    return x.format == y.format && x.group_rows == y.group_rows &&
           x.group_cols == y.group_cols && x.scale_type == y.scale_type &&
           x.zeros == y.zeros && x.scale2_block == y.scale2_block && x.flags == y.flags &&
           x.codebook == y.codebook && x.scale_mode == y.scale_mode;
}

/* -------------------------------------------------------------------- text */

/* Words without a number; scale types come from lq_dtype_name(). */
static const struct word {
    const char *text;
    uint32_t    rows, cols;   /* group, when not 0 */
    uint32_t    flags;
    int32_t     zeros;
    uint32_t    scale2;
    int32_t     mode;
} words[] = {
    { "ch", 1, LQ_GROUP_ALL, 0, 0, 0, 0 },
    { "t", LQ_GROUP_ALL, LQ_GROUP_ALL, 0, 0, 0, 0 },
    { "zp", 0, 0, 0, LQ_ZEROS_INT, 0, 0 },
    { "fz", 0, 0, 0, LQ_ZEROS_FLOAT, 0, 0 },
    { "gidx", 0, 0, LQ_SPEC_GIDX, 0, 0, 0 },
    { "dq", 0, 0, 0, 0, 256, 0 },
    { "gm", 0, 0, LQ_SPEC_GLOBAL_MUL, 0, 0, 0 },
    { "gd", 0, 0, LQ_SPEC_GLOBAL_DIV, 0, 0, 0 },
    { "floor", 0, 0, 0, 0, 0, LQ_SCALE_FLOOR },
    { "ceil", 0, 0, 0, 0, 0, LQ_SCALE_CEIL },
    { "even", 0, 0, 0, 0, 0, LQ_SCALE_EVEN },
    { "rceil", 0, 0, 0, 0, 0, LQ_SCALE_RCEIL },
    { "pad", 0, 0, LQ_SPEC_PAD, 0, 0, 0 },
};

static const lq_dtype scale_types[] = { LQ_F32, LQ_F16, LQ_BF16, LQ_E8M0, LQ_F8_E4M3 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* A decimal number in 1..2^31 that ends at 'end' (or the text's); 0 when there is none. */
static uint32_t number(const char *text, char end)
{
    uint32_t n = 0;

    if (!isdigit((unsigned char)*text))
        return 0;
    for (; isdigit((unsigned char)*text); text++) {
        if (n > (1u << 31) / 10)
            return 0;
        n = n * 10 + (uint32_t)(*text - '0');
    }
    return *text == end ? n : 0;
}

static int apply_number(const char *option, lq_spec *s)
{
    const char *x = strchr(option, 'x');
    uint32_t n = number(option + 1, '\0'), rows, cols;

    if (option[0] == 'g' && n) {
        s->group_rows = 1;
        s->group_cols = n;
        return 1;
    }
    if (option[0] == 'b' && n) {
        s->group_rows = 1;
        s->group_cols = n;
        s->flags |= LQ_SPEC_FLAT;
        return 1;
    }
    if (strncmp(option, "dq", 2) == 0 && number(option + 2, '\0')) {
        s->scale2_block = number(option + 2, '\0');
        return 1;
    }
    if (!x || !(rows = number(option, 'x')) || !(cols = number(x + 1, '\0')))
        return 0;
    s->group_rows = rows;
    s->group_cols = cols;
    return 1;
}

static int apply_option(const char *option, lq_spec *s)
{
    for (size_t i = 0; i < COUNT(words); i++) {
        if (strcmp(words[i].text, option) != 0)
            continue;
        if (words[i].rows) {
            s->group_rows = words[i].rows;
            s->group_cols = words[i].cols;
        }
        s->flags |= words[i].flags;
        s->zeros |= words[i].zeros;
        if (words[i].scale2)
            s->scale2_block = words[i].scale2;
        if (words[i].mode)
            s->scale_mode = words[i].mode;
        return 1;
    }
    for (size_t i = 0; i < COUNT(scale_types); i++) {
        if (strcmp(lq_dtype_name(scale_types[i]), option) == 0) {
            s->scale_type = scale_types[i];
            return 1;
        }
    }
    return apply_number(option, s);
}

/* Edit distance of short texts. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[LQ_SPEC_TEXT + 1], n = (unsigned)strlen(b);

    if (strlen(a) > LQ_SPEC_TEXT || n > LQ_SPEC_TEXT)
        return UINT32_MAX;
    for (unsigned j = 0; j <= n; j++)
        row[j] = j;
    for (; *a; a++) {
        unsigned diagonal = row[0]++;
        for (unsigned j = 1; j <= n; j++) {
            unsigned best = diagonal + (*a != b[j - 1]);
            diagonal = row[j];
            best = best < row[j] + 1 ? best : row[j] + 1;
            row[j] = best < row[j - 1] + 1 ? best : row[j - 1] + 1;
        }
    }
    return row[n];
}

static lq_status unknown_format(const char *name, lq_error *error)
{
    const char *near = lqi_formats[0]->name;

    for (int i = 1; i < LQI_FORMATS; i++)
        if (distance(name, lqi_formats[i]->name) < distance(name, near))
            near = lqi_formats[i]->name;
    return lqi_fail(error, LQ_ERR_NOTFOUND, NULL, "no format '%.64s'; did you mean '%s'?",
                    name, near);
}

static lq_status unknown_option(const char *option, lq_error *error)
{
    const char *near = words[0].text;

    for (size_t i = 1; i < COUNT(words); i++)
        if (distance(option, words[i].text) < distance(option, near))
            near = words[i].text;
    for (size_t i = 0; i < COUNT(scale_types); i++)
        if (distance(option, lq_dtype_name(scale_types[i])) < distance(option, near))
            near = lq_dtype_name(scale_types[i]);
    return lqi_fail(error, LQ_ERR_ARG, NULL,
                    "no option '%.64s' (gN, bN, RxC, ch, t, zp, fz, gidx, dq, gm, gd, pad, a scale mode or "
                    "type); did you mean '%s'?", option, near);
}

lq_status lq_spec_parse(const char *text, lq_spec *spec, lq_error *error)
{
    char copy[LQ_SPEC_TEXT], *option, *rest;
    const lqi_format *f;
    lq_spec s = LQ_SPEC_INIT;
    lq_status status;

    if (!text || !spec || spec->struct_size < sizeof s)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "spec text or result is missing");
    if (strlen(text) >= sizeof copy)
        return lqi_fail(error, LQ_ERR_ARG, NULL, "spec text is longer than %zu bytes",
                        sizeof copy - 1);
    for (size_t i = 0; i <= strlen(text); i++)
        copy[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]);
    rest = strchr(copy, ':');
    if (rest)
        *rest++ = '\0';
    f = lqi_format_by_name(copy);
    if (!f)
        return unknown_format(copy, error);
    s.format = f->id;
    while ((option = rest)) {
        rest = strchr(option, ':');
        if (rest)
            *rest++ = '\0';
        if (!apply_option(option, &s))
            return unknown_option(option, error);
    }
    status = lq_spec_complete(&s, error);
    if (!status)
        *spec = s;
    return status;
}

static void print_group(const lq_spec *s, char *text, size_t capacity)
{
    if (s->group_rows == 1 && s->group_cols == LQ_GROUP_ALL)
        snprintf(text, capacity, ":ch");
    else if (s->group_rows == LQ_GROUP_ALL && s->group_cols == LQ_GROUP_ALL)
        snprintf(text, capacity, ":t");
    else if (s->group_rows == 1)
        snprintf(text, capacity, ":%c%u", s->flags & LQ_SPEC_FLAT ? 'b' : 'g', s->group_cols);
    else
        snprintf(text, capacity, ":%ux%u", s->group_rows, s->group_cols);
}

lq_status lq_spec_print(const lq_spec *spec, char *text, size_t capacity)
{
    static const char *const zeros[] = { "", ":zp", ":fz" };
    static const char *const modes[] = { "", "", ":ceil", ":even", ":rceil" };
    char group[32] = "", dq[16] = "", out[LQ_SPEC_TEXT];
    const lqi_format *f;
    const char *type = NULL;
    lq_spec s = LQ_SPEC_INIT;
    int n;

    if (!spec || !text || lqi_opts_read(&s, sizeof s, spec))
        return LQ_ERR_ARG;
    lq_status status = lq_spec_complete(&s, NULL);
    if (status)
        return status;
    f = lqi_format_by_id(s.format);
    if (f->storage == LQ_PLANAR) {
        print_group(&s, group, sizeof group);
        if (s.scale2_block)
            snprintf(dq, sizeof dq, s.scale2_block == 256 ? ":dq" : ":dq%u", s.scale2_block);
        else if (s.scale_type != f->scale_type)
            type = lq_dtype_name(s.scale_type);
    }
    n = snprintf(out, sizeof out, "%s%s%s%s%s%s%s%s%s%s%s", f->name, group, zeros[s.zeros],
                 s.flags & LQ_SPEC_GIDX ? ":gidx" : "", dq,
                 s.flags & LQ_SPEC_GLOBAL_MUL ? ":gm" : "",
                 s.flags & LQ_SPEC_GLOBAL_DIV ? ":gd" : "", type ? ":" : "", type ? type : "",
                 modes[s.scale_mode], s.flags & LQ_SPEC_PAD ? ":pad" : "");
    if (n < 0 || (size_t)n >= sizeof out || (size_t)n >= capacity)
        return LQ_ERR_BUFFER;
    memcpy(text, out, (size_t)n + 1);
    return LQ_OK;
}
