/* SPDX-License-Identifier: MIT */
/*
 * lib/format/panels.h - the plans of panels that descriptors name; see panel.h
 */
#ifndef LQI_FORMAT_PANELS_H
#define LQI_FORMAT_PANELS_H

typedef struct lqi_panel_plan lqi_panel_plan;

extern const lqi_panel_plan lqi_panel_q4_0, lqi_panel_q4_1, lqi_panel_q5_0, lqi_panel_q5_1,
    lqi_panel_q8_0, lqi_panel_q8_1, lqi_panel_iq4_nl, lqi_panel_gguf_mxfp4,
    lqi_panel_gguf_nvfp4, lqi_panel_q1_0, lqi_panel_q2_0;
extern const lqi_panel_plan lqi_panel_q2_k, lqi_panel_q3_k, lqi_panel_q4_k, lqi_panel_q5_k,
    lqi_panel_q6_k, lqi_panel_q8_k, lqi_panel_iq4_xs, lqi_panel_iq4_ks, lqi_panel_tq1_0,
    lqi_panel_tq2_0;
extern const lqi_panel_plan lqi_panel_iq1_s, lqi_panel_iq1_m, lqi_panel_iq2_xxs,
    lqi_panel_iq2_xs, lqi_panel_iq2_s, lqi_panel_iq3_xxs, lqi_panel_iq3_s;
extern const lqi_panel_plan lqi_panel_int2, lqi_panel_int3, lqi_panel_int4, lqi_panel_int5,
    lqi_panel_int6, lqi_panel_int8, lqi_panel_ternary, lqi_panel_llm_int8, lqi_panel_mxint8,
    lqi_panel_mxfp4, lqi_panel_nvfp4, lqi_panel_mxfp6_e2m3, lqi_panel_mxfp6_e3m2, lqi_panel_e4m3,
    lqi_panel_e5m2, lqi_panel_table4;

#endif
