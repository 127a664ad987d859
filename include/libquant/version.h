/* SPDX-License-Identifier: MIT */
/*
 * libquant/version.h - version of the API these headers describe
 */
#ifndef LIBQUANT_VERSION_H
#define LIBQUANT_VERSION_H

#include "libquant/base.h"

#define LQ_VERSION_MAJOR 0
#define LQ_VERSION_MINOR 1
#define LQ_VERSION_PATCH 0
#define LQ_VERSION_STRING "0.1.0"

/* One comparable number: 0x00MMmmpp. */
#define LQ_VERSION_NUMBER \
    ((LQ_VERSION_MAJOR << 16) | (LQ_VERSION_MINOR << 8) | LQ_VERSION_PATCH)

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Version of the library that is running, as LQ_VERSION_NUMBER.  A program that
 * was compiled against newer headers than the library it runs on finds a smaller
 * number here.  The soname changes with the major version.  Thread-safe.
 */
LQ_API uint32_t lq_version(void);

/* The same as text, "0.1.0".  Static storage. */
LQ_API const char *lq_version_string(void);

#ifdef __cplusplus
}
#endif
#endif
