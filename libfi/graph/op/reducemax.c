/* SPDX-License-Identifier: MIT */
/*
 * ReduceMax: the largest, NaN where one is (ONNX ReduceMax-1, -11, -12, -13, -18;
 * -20: bools, or). Of nothing it is what changes nothing.
 */
#include "graph/op/reduce.h"

FINF_REDUCE_FN(max_f32, float, float, -INFINITY, isnan(all) || all > x ? all : x, all)
FINF_REDUCE_FN(max_f64, double, double, -INFINITY, isnan(all) || all > x ? all : x, all)
FINF_REDUCE_FN(max_i64, int64_t, int64_t, INT64_MIN, all > x ? all : x, all)
FINF_REDUCE_FN(max_i32, int32_t, int32_t, INT32_MIN, all > x ? all : x, all)
FINF_REDUCE_FN(max_i8, int8_t, int8_t, INT8_MIN, all > x ? all : x, all)
FINF_REDUCE_FN(max_u8, uint8_t, uint8_t, 0, all > x ? all : x, all)
FINF_REDUCE_FN(max_bool, uint8_t, bool, 0, all || x, all)

static const struct finf_reduce rows[] = {
	{FINF_F32, 7, max_f32},	   {FINF_F64, 7, max_f64},
	{FINF_I64, 7, max_i64},	   {FINF_I32, 7, max_i32},
	{FINF_I8, 12, max_i8},	   {FINF_U8, 12, max_u8},
	{FINF_BOOL, 20, max_bool}, {0},
};

FINF_REDUCE_OP(reducemax, "ReduceMax", rows, 18, finf_reduce_attrs);
