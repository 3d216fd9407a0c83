/* SPDX-License-Identifier: MIT */
/*
 * op/compare - Equal, Less, Greater and their kin: every dtype compares the
 * same way, bool comes out. Nothing compares with NaN.
 */
#ifndef FINF_GRAPH_OP_COMPARE_H
#define FINF_GRAPH_OP_COMPARE_H

#include <errno.h>

#include "graph/op/arith.h"

#define FINF_COMPARE_ROWS(operator)                                                                \
	FINF_MIXED_ROW(row_f32, uint8_t, float, float, p operator q, false)                        \
	FINF_MIXED_ROW(row_f64, uint8_t, double, double, p operator q, false)                      \
	FINF_MIXED_ROW(row_i64, uint8_t, int64_t, int64_t, p operator q, false)                    \
	FINF_MIXED_ROW(row_i32, uint8_t, int32_t, int32_t, p operator q, false)                    \
	FINF_MIXED_ROW(row_i8, uint8_t, int8_t, int8_t, p operator q, false)                       \
	FINF_MIXED_ROW(row_u8, uint8_t, uint8_t, uint8_t, p operator q, false)

#define FINF_COMPARE(dtype, since, row)                                                            \
	{                                                                                          \
		FINF_##dtype, FINF_##dtype, FINF_BOOL, since, row                                  \
	}

/* The operator @id that compares numbers: floats from its first opset, integers since @ints. */
#define FINF_COMPARE_OP(id, onnx, first_opset, ints, operator)                                     \
	FINF_COMPARE_ROWS(operator)                                                                \
	static const struct finf_arith rows[] = {                                                  \
		FINF_COMPARE(F32, first_opset, row_f32),                                           \
		FINF_COMPARE(F64, first_opset, row_f64),                                           \
		FINF_COMPARE(I64, ints, row_i64),                                                  \
		FINF_COMPARE(I32, ints, row_i32),                                                  \
		FINF_COMPARE(I8, ints, row_i8),                                                    \
		FINF_COMPARE(U8, ints, row_u8),                                                    \
		{0},                                                                               \
	};                                                                                         \
	FINF_ARITH_OP(id, onnx, first_opset, rows)

#endif
