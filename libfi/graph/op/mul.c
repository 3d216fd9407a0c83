/* SPDX-License-Identifier: MIT */
/* Mul with broadcasting (ONNX Mul-7, -13, -14). Integers wrap around: unsigned keeps that defined.
 */
#include <errno.h>

#include "graph/op/arith.h"

FINF_ARITH_ROW(mul_f32, float, p *q, false)
FINF_ARITH_ROW(mul_f64, double, p *q, false)
FINF_ARITH_ROW(mul_i64, int64_t, (uint64_t)p *(uint64_t)q, false)
FINF_ARITH_ROW(mul_i32, int32_t, (uint32_t)p *(uint32_t)q, false)
FINF_ARITH_ROW(mul_i8, int8_t, p *q, false)
FINF_ARITH_ROW(mul_u8, uint8_t, p *q, false)

static const struct finf_arith rows[] = {
	FINF_ARITH_SAME(F32, 7, mul_f32),
	FINF_ARITH_SAME(F64, 7, mul_f64),
	FINF_ARITH_SAME(I64, 7, mul_i64),
	FINF_ARITH_SAME(I32, 7, mul_i32),
	FINF_ARITH_SAME(I8, 14, mul_i8),
	FINF_ARITH_SAME(U8, 14, mul_u8),
	{0},
};

FINF_ARITH_OP(mul, "Mul", 7, rows);
