/* SPDX-License-Identifier: MIT */
/*
 * ReduceMin: the smallest, NaN where one is (ONNX ReduceMin-1, -11, -12, -13, -18;
 * -20: bools, and). Of nothing it is what changes nothing.
 */
#include "graph/op/reduce.h"

FINF_REDUCE_FN(min_f32, float, float, INFINITY, isnan(all) || all < x ? all : x, all)
FINF_REDUCE_FN(min_f64, double, double, INFINITY, isnan(all) || all < x ? all : x, all)
FINF_REDUCE_FN(min_i64, int64_t, int64_t, INT64_MAX, all < x ? all : x, all)
FINF_REDUCE_FN(min_i32, int32_t, int32_t, INT32_MAX, all < x ? all : x, all)
FINF_REDUCE_FN(min_i8, int8_t, int8_t, INT8_MAX, all < x ? all : x, all)
FINF_REDUCE_FN(min_u8, uint8_t, uint8_t, UINT8_MAX, all < x ? all : x, all)
FINF_REDUCE_FN(min_bool, uint8_t, bool, 1, all &&x, all)

static const struct finf_reduce rows[] = {
	{FINF_F32, 7, min_f32},	   {FINF_F64, 7, min_f64},
	{FINF_I64, 7, min_i64},	   {FINF_I32, 7, min_i32},
	{FINF_I8, 12, min_i8},	   {FINF_U8, 12, min_u8},
	{FINF_BOOL, 20, min_bool}, {0},
};

FINF_REDUCE_OP(reducemin, "ReduceMin", rows, 18, finf_reduce_attrs);
