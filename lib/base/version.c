/* SPDX-License-Identifier: MIT */
/*
 * lib/base/version.c - the version that is running
 */
#include "libquant/version.h"

uint32_t lq_version(void)
{
    return LQ_VERSION_NUMBER;
}

const char *lq_version_string(void)
{
    return LQ_VERSION_STRING;
}
