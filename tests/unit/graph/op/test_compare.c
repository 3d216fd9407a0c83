/* SPDX-License-Identifier: MIT */
/* graph/op: comparisons and logic. */
#include <errno.h>
#include <math.h>

#include "tests/support/optest.h"

#define BITS(...) OT(BOOL, OT_S(4), __VA_ARGS__)
/* One dtype: less, equal, greater, and NaN or the far ends. */
#define COMPARE(onnx, opset_, kind, last, a, b, c, d)                                              \
	{                                                                                          \
		.name = onnx " of " #kind, .op = onnx, .opset = opset_,                            \
		.in = {OT(kind, OT_S(4), 1, 2, 3, last), OT(kind, OT_S(4), 2, 2, 2, 0)},           \
		.out = { BITS(a, b, c, d) }                                                        \
	}
#define LOGIC(onnx, a, b, c, d)                                                                    \
	{                                                                                          \
		.name = onnx, .op = onnx, .opset = 7, .in = {BITS(0, 0, 1, 1), BITS(0, 1, 0, 1)},  \
		.out = { BITS(a, b, c, d) }                                                        \
	}
#define OLD(onnx, opset_, kind)                                                                    \
	{                                                                                          \
		.name = onnx " of " #kind ", too old", .op = onnx, .opset = opset_,                \
		.in = {OT(kind, OT_S(1), 1), OT(kind, OT_S(1), 1)}, .err = -EOPNOTSUPP             \
	}

static const struct optest_row rows[] = {
	COMPARE("Less", 7, F32, NAN, 1, 0, 0, 0),
	COMPARE("Less", 7, F64, INFINITY, 1, 0, 0, 0),
	COMPARE("Less", 9, I64, -5e15, 1, 0, 0, 1),
	COMPARE("Less", 9, I32, -5, 1, 0, 0, 1),
	COMPARE("Less", 13, I8, -128, 1, 0, 0, 1),
	COMPARE("Less", 21, U8, 255, 1, 0, 0, 0),
	COMPARE("LessOrEqual", 12, F32, NAN, 1, 1, 0, 0),
	COMPARE("LessOrEqual", 16, I64, 0, 1, 1, 0, 1),
	COMPARE("LessOrEqual", 16, I32, 5, 1, 1, 0, 0),
	COMPARE("Greater", 7, F32, NAN, 0, 0, 1, 0),
	COMPARE("Greater", 9, I64, 5e15, 0, 0, 1, 1),
	COMPARE("Greater", 9, U8, 255, 0, 0, 1, 1),
	COMPARE("GreaterOrEqual", 12, F32, INFINITY, 0, 1, 1, 1),
	COMPARE("GreaterOrEqual", 12, I32, 0, 0, 1, 1, 1),
	COMPARE("Equal", 11, F32, NAN, 0, 1, 0, 0),
	COMPARE("Equal", 11, F64, -0.0, 0, 1, 0, 1),
	COMPARE("Equal", 7, I64, 5e15, 0, 1, 0, 0),
	COMPARE("Equal", 7, I32, 0, 0, 1, 0, 1),
	COMPARE("Equal", 19, I8, 0, 0, 1, 0, 1),
	COMPARE("Equal", 19, U8, 255, 0, 1, 0, 0),
	{.name = "Equal of bools",
	 .op = "Equal",
	 .opset = 7,
	 .in = {BITS(0, 0, 1, 1), BITS(0, 1, 0, 1)},
	 .out = {BITS(1, 0, 0, 1)}},
	LOGIC("And", 0, 0, 0, 1),
	LOGIC("Or", 0, 1, 1, 1),
	LOGIC("Xor", 0, 1, 1, 0),
	{.name = "a column of int64 and a row",
	 .op = "Less",
	 .in = {OT(I64, OT_S(2, 1), 1, 2), OT(I64, OT_S(3), 1, 2, 3)},
	 .out = {OT(BOOL, OT_S(2, 3), 0, 1, 1, 0, 0, 1)}},
	{.name = "two scalars",
	 .op = "And",
	 .in = {OT(BOOL, OT_S(), 1), OT(BOOL, OT_S(), 1)},
	 .out = {OT(BOOL, OT_S(), 1)}},
	OLD("Less", 8, I64),
	OLD("Greater", 8, I32),
	OLD("Equal", 10, F32),
	OLD("LessOrEqual", 11, F32),
	OLD("GreaterOrEqual", 11, F32),
	OLD("And", 13, F32),
	OLD("Less", 13, BOOL),
	{.name = "two dtypes",
	 .op = "Equal",
	 .in = {OT(F32, OT_S(1), 1), OT(I64, OT_S(1), 1)},
	 .err = -EINVAL,
	 .says = "do not mix"},
	{.name = "shapes apart",
	 .op = "Or",
	 .in = {BITS(0, 0, 0, 0), OT(BOOL, OT_S(3), 0, 0, 0)},
	 .err = -EINVAL,
	 .says = "do not broadcast"},
};

OPTEST_SUITE("graph/op/compare", rows)
