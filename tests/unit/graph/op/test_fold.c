/* SPDX-License-Identifier: MIT */
/* graph/op: Max, Min, Sum, Mean. */
#include <errno.h>
#include <math.h>

#include "tests/support/optest.h"

#define A OT(F32, OT_S(3), 1, 5, -2)
#define B OT(F32, OT_S(3), 4, 2, -3)
#define C OT(F32, OT_S(3), 2, 2, 2)
#define THREE(onnx, opset_, ...)                                                                   \
	{                                                                                          \
		.name = onnx " of three", .op = onnx, .opset = opset_, .in = {A, B, C},            \
		.out = { OT(F32, OT_S(3), __VA_ARGS__) }                                           \
	}
#define TWO(onnx, opset_, kind, ...)                                                               \
	{                                                                                          \
		.name = onnx " of " #kind, .op = onnx, .opset = opset_,                            \
		.in = {OT(kind, OT_S(2), 1, 100), OT(kind, OT_S(2), 7, 3)},                        \
		.out = { OT(kind, OT_S(2), __VA_ARGS__) }                                          \
	}

static const struct optest_row rows[] = {
	THREE("Max", 7, 4, 5, 2),
	THREE("Min", 7, 1, 2, -3),
	THREE("Sum", 13, 7, 9, -3),
	THREE("Mean", 21, 2.3333333, 3, -1),
	TWO("Max", 12, F64, 7, 100),
	TWO("Max", 12, I64, 7, 100),
	TWO("Max", 13, I32, 7, 100),
	TWO("Max", 13, I8, 7, 100),
	TWO("Max", 13, U8, 7, 100),
	TWO("Min", 12, F64, 1, 3),
	TWO("Min", 12, I64, 1, 3),
	TWO("Min", 13, I32, 1, 3),
	TWO("Min", 13, I8, 1, 3),
	TWO("Min", 13, U8, 1, 3),
	TWO("Sum", 8, F64, 8, 103),
	{.name = "one operand", .op = "Max", .in = {A}, .out = {A}},
	{.name = "the mean of one", .op = "Mean", .in = {A}, .out = {A}},
	{.name = "NaN on either side",
	 .op = "Max",
	 .in = {OT(F32, OT_S(2), NAN, 1), OT(F32, OT_S(2), 1, NAN)},
	 .out = {OT(F32, OT_S(2), NAN, NAN)}},
	{.name = "NaN on either side of Min",
	 .op = "Min",
	 .in = {OT(F32, OT_S(2), NAN, 1), OT(F32, OT_S(2), 1, NAN)},
	 .out = {OT(F32, OT_S(2), NAN, NAN)}},
	{.name = "the third operand is the largest shape",
	 .op = "Sum",
	 .in = {OT(F32, OT_S(), 100), OT(F32, OT_S(2, 1), 10, 20), OT(F32, OT_S(3), 1, 2, 3)},
	 .out = {OT(F32, OT_S(2, 3), 111, 112, 113, 121, 122, 123)}},
	{.name = "no elements",
	 .op = "Min",
	 .in = {OT_ZEROS(F32, OT_S(0)), OT(F32, OT_S(1), 1)},
	 .out = {OT_ZEROS(F32, OT_S(0))}},
	{.name = "a hole", .op = "Max", .in = {A, OT_OMIT, B}, .err = -EINVAL, .says = "input 1"},
	{.name = "integers before opset 12",
	 .op = "Max",
	 .opset = 11,
	 .in = {OT(I64, OT_S(1), 1), OT(I64, OT_S(1), 1)},
	 .err = -EOPNOTSUPP,
	 .says = "int64"},
	{.name = "Mean of integers",
	 .op = "Mean",
	 .in = {OT(I64, OT_S(1), 1)},
	 .err = -EOPNOTSUPP,
	 .says = "int64"},
	{.name = "two dtypes",
	 .op = "Min",
	 .in = {A, OT(I64, OT_S(1), 1)},
	 .err = -EINVAL,
	 .says = "do not mix"},
	{.name = "shapes apart",
	 .op = "Sum",
	 .in = {A, OT(F32, OT_S(2), 1, 1)},
	 .err = -EINVAL,
	 .says = "do not broadcast"},
};

OPTEST_SUITE("graph/op/fold", rows)
