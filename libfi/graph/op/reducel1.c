/* SPDX-License-Identifier: MIT */
/* ReduceL1: the sum of absolute values (ONNX ReduceL1-1, -11, -13, -18). Integers wrap around. */
#include "graph/op/reduce.h"

FINF_REDUCE_FN(l1_f32, float, double, 0, all + fabs(x), all)
FINF_REDUCE_FN(l1_f64, double, double, 0, all + fabs(x), all)
FINF_REDUCE_FN(l1_i64, int64_t, uint64_t, 0, all + ((int64_t)x < 0 ? 0 - x : x), all)
FINF_REDUCE_FN(l1_i32, int32_t, uint64_t, 0, all + ((int64_t)x < 0 ? 0 - x : x), all)

static const struct finf_reduce rows[] = {
	{FINF_F32, 7, l1_f32},
	{FINF_F64, 7, l1_f64},
	{FINF_I64, 7, l1_i64},
	{FINF_I32, 7, l1_i32},
	{0},
};

FINF_REDUCE_OP(reducel1, "ReduceL1", rows, 18, finf_reduce_attrs);
