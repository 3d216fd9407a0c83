/* SPDX-License-Identifier: MIT */
/* ReduceSumSquare: the sum of squares (ONNX ReduceSumSquare-1, -11, -13, -18). Integers wrap
 * around. */
#include "graph/op/reduce.h"

FINF_REDUCE_FN(square_f32, float, double, 0, all + x * x, all)
FINF_REDUCE_FN(square_f64, double, double, 0, all + x * x, all)
FINF_REDUCE_FN(square_i64, int64_t, uint64_t, 0, all + x * x, all)
FINF_REDUCE_FN(square_i32, int32_t, uint64_t, 0, all + x * x, all)

static const struct finf_reduce rows[] = {
	{FINF_F32, 7, square_f32},
	{FINF_F64, 7, square_f64},
	{FINF_I64, 7, square_i64},
	{FINF_I32, 7, square_i32},
	{0},
};

FINF_REDUCE_OP(reducesumsquare, "ReduceSumSquare", rows, 18, finf_reduce_attrs);
