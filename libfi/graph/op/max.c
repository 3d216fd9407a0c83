/* SPDX-License-Identifier: MIT */
/* Max: the larger of any number of operands, NaN where one is (ONNX Max-6, -8, -12, -13). */
#include <errno.h>
#include <math.h>

#include "graph/op/arith.h"

FINF_ARITH_ROW(max_f32, float, isnan(p) || p > q ? p : q, false)
FINF_ARITH_ROW(max_f64, double, isnan(p) || p > q ? p : q, false)
FINF_ARITH_ROW(max_i64, int64_t, p > q ? p : q, false)
FINF_ARITH_ROW(max_i32, int32_t, p > q ? p : q, false)
FINF_ARITH_ROW(max_i8, int8_t, p > q ? p : q, false)
FINF_ARITH_ROW(max_u8, uint8_t, p > q ? p : q, false)

static const struct finf_arith rows[] = {
	FINF_ARITH_SAME(F32, 7, max_f32),
	FINF_ARITH_SAME(F64, 7, max_f64),
	FINF_ARITH_SAME(I64, 12, max_i64),
	FINF_ARITH_SAME(I32, 12, max_i32),
	FINF_ARITH_SAME(I8, 12, max_i8),
	FINF_ARITH_SAME(U8, 12, max_u8),
	{0},
};

FINF_FOLD_OP(max, "Max", rows);
