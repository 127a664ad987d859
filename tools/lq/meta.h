/* SPDX-License-Identifier: MIT */
/*
 * tools/lq/meta.h - metadata values as text and as JSON
 */
#ifndef LQ_TOOL_META_H
#define LQ_TOOL_META_H

#include "lq.h"

/* Element 'index' of a number. */
double  meta_real(const lq_meta *m, uint64_t index);
int64_t meta_integer(const lq_meta *m, uint64_t index);

/* First element of a whole number; 'otherwise' if the key is missing or is none. */
uint64_t meta_uint(const lq_file *file, const char *key, uint64_t otherwise);
/* A single string, or NULL. */
const char *meta_text(const lq_file *file, const char *key);

/* Member 'm->key' of the open object. */
void meta_json(doc *j, const lq_file *file, const lq_meta *m);
/* The value on one line; shortened unless 'full'. */
void meta_print(textbuf *out, const lq_file *file, const lq_meta *m, int full);

#endif
