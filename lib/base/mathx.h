/* SPDX-License-Identifier: MIT */
/*
 * lib/base/mathx.h - logarithm, exponential and power that are the same everywhere
 *
 * libm's differ from one C library to the next in the last bit; numbers that end up in
 * files must not.  Relative errors are below 1e-14, so that a result rounded to f32 is the
 * nearest one, but for arguments made to be a tie.
 */
#ifndef LQI_MATHX_H
#define LQI_MATHX_H

double lqi_log(double x);              /* x > 0, normal and finite */
double lqi_exp(double x);              /* |x| <= 700 */
double lqi_pow(double x, double y);    /* as lqi_exp(y * lqi_log(x)) */

#endif
