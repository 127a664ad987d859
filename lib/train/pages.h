/* SPDX-License-Identifier: MIT */
/*
 * lib/train/pages.h - what the system does for paged arrays
 *
 * pages_linux.c maps files and moves their pages.  pages_plain.c, elsewhere, has memory of the
 * allocator's, which named files are read into and written from.  pages_file.c opens files.
 */
#ifndef LQI_PAGES_H
#define LQI_PAGES_H

#include "lib/base/base.h"

#if defined(__linux__) && !defined(LQI_PAGES_PLAIN)
#define LQI_PAGES_LINUX 1
#else
#define LQI_PAGES_LINUX 0
#endif

/* What the file was before. */
enum { LQI_FILE_TEMPORARY, LQI_FILE_CREATED, LQI_FILE_EMPTY, LQI_FILE_FULL };

typedef struct lqi_pages {
    const lq_allocator *allocator;
    uint8_t            *data;
    uint64_t            bytes;
    int                 file;    /* descriptor; -1: none */
    int                 origin;  /* of the file, LQI_FILE_... */
    char               *path;    /* of the file, or of the directory of a temporary one */
} lqi_pages;

/* A temporary file in 'directory', or with 'path' a named one: of 'bytes' (not 0) bytes, zeros
 * where it is new.  Statuses as lq_paged_alloc(). */
lq_status lqi_pages_open(lqi_pages *p, const lq_allocator *allocator, const char *directory,
                         const char *path, uint64_t bytes, lq_error *error);

/* With 'undo' no file is left that was not there before. */
void lqi_pages_close(lqi_pages *p, int undo);

/* Bytes of a page, at most 64 KiB. */
uint64_t lqi_pages_unit(void);

/* Bytes of [at, at + n) in memory, in whole pages; 'at' is a multiple of the page. */
uint64_t lqi_pages_resident(const lqi_pages *p, uint64_t at, uint64_t n);

/* Start to read [at, at + n), or to write it; ask only, failure does no harm. */
void lqi_pages_fetch(const lqi_pages *p, uint64_t at, uint64_t n);
void lqi_pages_start_write(const lqi_pages *p, uint64_t at, uint64_t n);

/* Wait for what was fetched of [at, at + n): pages on their way cannot be given up. */
void lqi_pages_settle(const lqi_pages *p, uint64_t at, uint64_t n);

/* Write [at, at + n) as far as it was changed, and give its memory up.  LQ_ERR_IO,
 * LQ_ERR_NOSPACE. */
lq_status lqi_pages_drop(const lqi_pages *p, uint64_t at, uint64_t n, lq_error *error);

/* Wait until all of it is on the disk. */
lq_status lqi_pages_sync(const lqi_pages *p, lq_error *error);

/* ------------------------------------------------------------------- files */

/* Open or create 'path', which must be empty or of p->bytes bytes; NULL: a temporary file in
 * p->path.  Sets file and origin. */
lq_status lqi_pages_file_open(lqi_pages *p, const char *path, lq_error *error);

/* Close it; with 'undo' as it was before. */
void lqi_pages_file_close(lqi_pages *p, int undo);

#endif
