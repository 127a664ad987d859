/* SPDX-License-Identifier: MIT */
/*
 * kernels/optim_ref.c - steps of optimizers in plain C
 */
#include "kernels/kernels.h"
#include "kernels/v_ref.h"

#include "kernels/tmpl/bins.h"
#include "kernels/tmpl/optim.h"

void lqi_kernels_init_optim_ref(lqi_kernels *k)
{
    fill_steps(k);
}
