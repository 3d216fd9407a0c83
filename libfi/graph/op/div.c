/* SPDX-License-Identifier: MIT */
/*
 * Div with broadcasting (ONNX Div-7, -13, -14). Integers truncate towards zero
 * and refuse a zero divisor; the smallest integer over -1 wraps around.
 */
#include <errno.h>

#include "graph/op/arith.h"

FINF_ARITH_ROW(div_f32, float, p / q, false)
FINF_ARITH_ROW(div_f64, double, p / q, false)
FINF_ARITH_ROW(div_i64, int64_t, q == -1 ? (int64_t)(0 - (uint64_t)p) : p / q, q == 0)
FINF_ARITH_ROW(div_i32, int32_t, q == -1 ? (int32_t)(0 - (uint32_t)p) : p / q, q == 0)
FINF_ARITH_ROW(div_i8, int8_t, p / q, q == 0)
FINF_ARITH_ROW(div_u8, uint8_t, p / q, q == 0)

static const struct finf_arith rows[] = {
	FINF_ARITH_SAME(F32, 7, div_f32),
	FINF_ARITH_SAME(F64, 7, div_f64),
	FINF_ARITH_SAME(I64, 7, div_i64),
	FINF_ARITH_SAME(I32, 7, div_i32),
	FINF_ARITH_SAME(I8, 14, div_i8),
	FINF_ARITH_SAME(U8, 14, div_u8),
	{0},
};

FINF_ARITH_OP(div, "Div", 7, rows);
