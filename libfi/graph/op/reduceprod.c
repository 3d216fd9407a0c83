/* SPDX-License-Identifier: MIT */
/* ReduceProd: the product (ONNX ReduceProd-1, -11, -13, -18). Integers wrap around. */
#include "graph/op/reduce.h"

FINF_REDUCE_FN(prod_f32, float, double, 1, all *x, all)
FINF_REDUCE_FN(prod_f64, double, double, 1, all *x, all)
FINF_REDUCE_FN(prod_i64, int64_t, uint64_t, 1, all *x, all)
FINF_REDUCE_FN(prod_i32, int32_t, uint64_t, 1, all *x, all)

static const struct finf_reduce rows[] = {
	{FINF_F32, 7, prod_f32},
	{FINF_F64, 7, prod_f64},
	{FINF_I64, 7, prod_i64},
	{FINF_I32, 7, prod_i32},
	{0},
};

FINF_REDUCE_OP(reduceprod, "ReduceProd", rows, 18, finf_reduce_attrs);
