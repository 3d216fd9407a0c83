/* SPDX-License-Identifier: MIT */
/* ReduceSum: the sum (ONNX ReduceSum-1, -11; -13: axes are an input). Integers wrap around. */
#include "graph/op/reduce.h"

FINF_REDUCE_FN(sum_f32, float, double, 0, all + x, all)
FINF_REDUCE_FN(sum_f64, double, double, 0, all + x, all)
FINF_REDUCE_FN(sum_i64, int64_t, uint64_t, 0, all + x, all)
FINF_REDUCE_FN(sum_i32, int32_t, uint64_t, 0, all + x, all)

static const struct finf_reduce rows[] = {
	{FINF_F32, 7, sum_f32},
	{FINF_F64, 7, sum_f64},
	{FINF_I64, 7, sum_i64},
	{FINF_I32, 7, sum_i32},
	{0},
};

static const struct finf_attr_spec attrs[] = {
	{.name = "axes", .type = FINF_ATTR_INTS, .until = 12},
	{.name = "keepdims", .type = FINF_ATTR_INT},
	{.name = "noop_with_empty_axes", .type = FINF_ATTR_INT, .since = 13},
	{0},
};

FINF_REDUCE_OP(reducesum, "ReduceSum", rows, 13, attrs);
