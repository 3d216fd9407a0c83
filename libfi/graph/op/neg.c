/* SPDX-License-Identifier: MIT */
/* Neg: -x (ONNX Neg-6, -13). The smallest integer is its own negative. */
#include "graph/op/unary.h"

FINF_UNARY_FN(neg_f32, float, float, -x)
FINF_UNARY_FN(neg_f64, double, double, -x)
FINF_UNARY_FN(neg_i64, int64_t, uint64_t, 0 - x)
FINF_UNARY_FN(neg_i32, int32_t, uint32_t, 0 - x)
FINF_UNARY_FN(neg_i8, int8_t, int, -x)

static const struct finf_unary rows[] = {
	{FINF_F32, 7, neg_f32}, {FINF_F64, 7, neg_f64}, {FINF_I64, 7, neg_i64},
	{FINF_I32, 7, neg_i32}, {FINF_I8, 7, neg_i8},	{0},
};

FINF_UNARY_OP(neg, "Neg", 7, rows);
