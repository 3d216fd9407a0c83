/* SPDX-License-Identifier: MIT */
/* Abs: |x| (ONNX Abs-6, -13). The smallest integer has no positive and stays. */
#include <math.h>

#include "graph/op/unary.h"

FINF_UNARY_FN(abs_f32, float, float, fabsf(x))
FINF_UNARY_FN(abs_f64, double, double, fabs(x))
FINF_UNARY_FN(abs_i64, int64_t, int64_t, x < 0 ? 0 - (uint64_t)x : (uint64_t)x)
FINF_UNARY_FN(abs_i32, int32_t, int32_t, x < 0 ? 0 - (uint32_t)x : (uint32_t)x)
FINF_UNARY_FN(abs_i8, int8_t, int, x < 0 ? -x : x)
FINF_UNARY_FN(abs_u8, uint8_t, int, x)

static const struct finf_unary rows[] = {
	{FINF_F32, 7, abs_f32},
	{FINF_F64, 7, abs_f64},
	{FINF_I64, 7, abs_i64},
	{FINF_I32, 7, abs_i32},
	{FINF_I8, 7, abs_i8},
	{FINF_U8, 7, abs_u8},
	{0},
};

FINF_UNARY_OP(abs, "Abs", 7, rows);
