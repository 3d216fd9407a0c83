/* SPDX-License-Identifier: MIT */
/* Equal with broadcasting (ONNX Equal-7: int64, int32, bool; -11, -13, -19: all numbers). */
#include "graph/op/compare.h"

FINF_COMPARE_ROWS(==)
FINF_ARITH_ROW(row_bool, uint8_t, !p == !q, false)

static const struct finf_arith rows[] = {
	FINF_COMPARE(F32, 11, row_f32),	 FINF_COMPARE(F64, 11, row_f64),
	FINF_COMPARE(I64, 7, row_i64),	 FINF_COMPARE(I32, 7, row_i32),
	FINF_COMPARE(I8, 11, row_i8),	 FINF_COMPARE(U8, 11, row_u8),
	FINF_COMPARE(BOOL, 7, row_bool), {0},
};

FINF_ARITH_OP(equal, "Equal", 7, rows);
