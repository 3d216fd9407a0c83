/* SPDX-License-Identifier: MIT */
/* graph/op: operators of one operand, element by element. */
#include <errno.h>
#include <math.h>

#include "tests/support/optest.h"

#define X     OT(F32, OT_S(5), -2, -0.5, 0, 0.5, 2)
#define WRONG OT(F32, OT_S(3), NAN, INFINITY, -INFINITY)
#define MAP(onnx, first_opset, ...)                                                                \
	{                                                                                          \
		.name = onnx, .op = onnx, .opset = first_opset, .in = {X},                         \
		.out = { OT(F32, OT_S(5), __VA_ARGS__) }                                           \
	}
/* NaN and the infinities. */
#define ENDS(onnx, a, b, c)                                                                        \
	{                                                                                          \
		.name = onnx " of what is no number", .op = onnx, .opset = 21, .in = {WRONG},      \
		.out = { OT(F32, OT_S(3), a, b, c) }                                               \
	}
#define OLD(onnx, opset_, text)                                                                    \
	{                                                                                          \
		.name = onnx " in an opset without it", .op = onnx, .opset = opset_, .in = {X},    \
		.err = -EOPNOTSUPP, .says = text                                                   \
	}

static const struct optest_row rows[] = {
	MAP("Abs", 7, 2, 0.5, 0, 0.5, 2),
	MAP("Ceil", 7, -2, -0.0, 0, 1, 2),
	MAP("Cos", 7, -0.41614684, 0.87758256, 1, 0.87758256, -0.41614684),
	MAP("Elu", 7, -0.86466472, -0.39346934, 0, 0.5, 2),
	MAP("Erf", 9, -0.99532227, -0.52049988, 0, 0.52049988, 0.99532227),
	MAP("Exp", 7, 0.13533528, 0.60653066, 1, 1.6487213, 7.3890561),
	MAP("Floor", 7, -2, -1, 0, 0, 2),
	MAP("HardSigmoid", 7, 0.1, 0.4, 0.5, 0.6, 0.9),
	MAP("HardSwish", 14, -0.33333333, -0.20833333, 0, 0.29166667, 1.6666667),
	MAP("Log", 7, NAN, NAN, -INFINITY, -0.69314718, 0.69314718),
	MAP("Neg", 7, 2, 0.5, 0, -0.5, -2),
	MAP("Reciprocal", 7, -0.5, -2, INFINITY, 2, 0.5),
	MAP("Sin", 7, -0.90929743, -0.47942554, 0, 0.47942554, 0.90929743),
	MAP("Softplus", 7, 0.12692801, 0.47407698, 0.69314718, 0.97407698, 2.126928),
	MAP("Softsign", 7, -0.66666667, -0.33333333, 0, 0.33333333, 0.66666667),
	MAP("Sqrt", 7, NAN, NAN, 0, 0.70710678, 1.4142136),
	MAP("Tanh", 7, -0.96402758, -0.46211716, 0, 0.46211716, 0.96402758),
	ENDS("Abs", NAN, INFINITY, INFINITY),
	ENDS("Elu", NAN, INFINITY, -1),
	ENDS("Erf", NAN, 1, -1),
	ENDS("Exp", NAN, INFINITY, 0),
	ENDS("HardSigmoid", NAN, 1, 0),
	ENDS("Softplus", NAN, INFINITY, 0),
	ENDS("Tanh", NAN, 1, -1),
	OLD("Erf", 8, "opset 8"),
	OLD("HardSwish", 13, "opset 13"),
	OLD("Mish", 17, "opset 17"),
	OLD("Gelu", 19, "opset 19"),
	OLD("Exp", 22, "opset 22"),
#include "numpy_activations.inc"
	{.name = "Elu, alpha",
	 .op = "Elu",
	 .attrs = {OT_F("alpha", 2)},
	 .in = {OT(F32, OT_S(2, 1), -1, 1)},
	 .out = {OT(F32, OT_S(2, 1), -1.2642411, 1)}},
	{.name = "HardSigmoid, alpha and beta",
	 .op = "HardSigmoid",
	 .attrs = {OT_F("alpha", 0.5), OT_F("beta", 0.25)},
	 .in = {OT(F32, OT_S(4), -1, 0, 1, 2)},
	 .out = {OT(F32, OT_S(4), 0, 0.25, 0.75, 1)}},
	{.name = "HardSwish far out",
	 .op = "HardSwish",
	 .opset = 14,
	 .in = {OT(F32, OT_S(4), -3, 3, -100, 100)},
	 .out = {OT(F32, OT_S(4), 0, 3, 0, 100)}},
	{.name = "Mish far out",
	 .op = "Mish",
	 .opset = 18,
	 .in = {OT(F32, OT_S(2), -200, 1e30)},
	 .out = {OT(F32, OT_S(2), 0, 1e30)}},
	{.name = "a scalar of float64",
	 .op = "Sqrt",
	 .in = {OT(F64, OT_S(), 2)},
	 .out = {OT(F64, OT_S(), 1.4142135623730951)},
	 .tolerance = 1e-15},
	{.name = "no elements",
	 .op = "Exp",
	 .in = {OT_ZEROS(F32, OT_S(2, 0))},
	 .out = {OT_ZEROS(F32, OT_S(2, 0))}},
	{.name = "Neg of int64",
	 .op = "Neg",
	 .in = {OT(I64, OT_S(3), -1, 0, 5e15)},
	 .out = {OT(I64, OT_S(3), 1, 0, -5e15)}},
	{.name = "Neg of the smallest int32",
	 .op = "Neg",
	 .in = {OT(I32, OT_S(2), INT32_MIN, 7)},
	 .out = {OT(I32, OT_S(2), INT32_MIN, -7)}},
	{.name = "Neg of int8",
	 .op = "Neg",
	 .in = {OT(I8, OT_S(2), -128, 127)},
	 .out = {OT(I8, OT_S(2), -128, -127)}},
	{.name = "Abs of int64",
	 .op = "Abs",
	 .in = {OT(I64, OT_S(2), -5, 5)},
	 .out = {OT(I64, OT_S(2), 5, 5)}},
	{.name = "Abs of the smallest int32",
	 .op = "Abs",
	 .in = {OT(I32, OT_S(2), INT32_MIN, -7)},
	 .out = {OT(I32, OT_S(2), INT32_MIN, 7)}},
	{.name = "Abs of int8",
	 .op = "Abs",
	 .in = {OT(I8, OT_S(2), -128, -7)},
	 .out = {OT(I8, OT_S(2), -128, 7)}},
	{.name = "Abs of uint8",
	 .op = "Abs",
	 .in = {OT(U8, OT_S(2), 200, 0)},
	 .out = {OT(U8, OT_S(2), 200, 0)}},
	{.name = "Not",
	 .op = "Not",
	 .opset = 7,
	 .in = {OT(BOOL, OT_S(2, 1), 0, 1)},
	 .out = {OT(BOOL, OT_S(2, 1), 1, 0)}},
	{.name = "Not of a number", .op = "Not", .in = {X}, .err = -EOPNOTSUPP, .says = "float32"},
	{.name = "Exp of integers",
	 .op = "Exp",
	 .in = {OT(I32, OT_S(1), 1)},
	 .err = -EOPNOTSUPP,
	 .says = "int32"},
	{.name = "Elu of float64",
	 .op = "Elu",
	 .in = {OT(F64, OT_S(1), 1)},
	 .err = -EOPNOTSUPP,
	 .says = "float64"},
	{.name = "Gelu, another curve",
	 .op = "Gelu",
	 .opset = 20,
	 .attrs = {OT_STR("approximate", "sigmoid")},
	 .in = {X},
	 .err = -EINVAL,
	 .says = "sigmoid"},
};

OPTEST_SUITE("graph/op/unary", rows)
