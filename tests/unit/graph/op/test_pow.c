/* SPDX-License-Identifier: MIT */
/* graph/op: Pow, Mod, PRelu. */
#include <errno.h>
#include <math.h>

#include "tests/support/optest.h"

#define POW(title, opset_, a, b, y)                                                                \
	{                                                                                          \
		.name = title, .op = "Pow", .opset = opset_, .in = {a, b}, .out = { y }            \
	}
#define MOD(title, opset_, fmod_, a, b, y)                                                         \
	{                                                                                          \
		.name = title, .op = "Mod", .opset = opset_, .attrs = {OT_I("fmod", fmod_)},       \
		.in = {a, b},                                                                      \
		.out = { y }                                                                       \
	}
#define SIGNS(kind)    OT(kind, OT_S(4), -4, 7, 5, -7)
#define DIVISORS(kind) OT(kind, OT_S(4), 2, -3, 8, 3)

static const struct optest_row rows[] = {
	POW("floats, opset 7", 7, OT(F32, OT_S(4), 1, 2, -2, 4), OT(F32, OT_S(4), 3, 3, 3, 0.5),
	    OT(F32, OT_S(4), 1, 8, -8, 2)),
	POW("a root of a negative, 0 to the power 0", 13, OT(F32, OT_S(2), -1, 0),
	    OT(F32, OT_S(2), 0.5, 0), OT(F32, OT_S(2), NAN, 1)),
	POW("float64", 7, OT(F64, OT_S(1), 3), OT(F64, OT_S(), 2), OT(F64, OT_S(1), 9)),
	POW("float32 to float64", 12, OT(F32, OT_S(1), 3), OT(F64, OT_S(), 2), OT(F32, OT_S(1), 9)),
	POW("float32 to int64", 12, OT(F32, OT_S(2), 3, -2), OT(I64, OT_S(), 3),
	    OT(F32, OT_S(2), 27, -8)),
	POW("float32 to int32", 15, OT(F32, OT_S(2, 1), 2, 4), OT(I32, OT_S(2), 1, -1),
	    OT(F32, OT_S(2, 2), 2, 0.5, 4, 0.25)),
	POW("int64 to float32", 12, OT(I64, OT_S(2), 4, 10), OT(F32, OT_S(2), 0.5, 30),
	    OT(I64, OT_S(2), 2, 9223372036854774784.0)),
	POW("int64 to int64", 12, OT(I64, OT_S(5), 3, -3, 2, -1, 7),
	    OT(I64, OT_S(5), 30, 3, -1, -3, 0), OT(I64, OT_S(5), 205891132094649.0, -27, 0, -1, 1)),
	POW("int64 to int32", 13, OT(I64, OT_S(1), 5), OT(I32, OT_S(1), 3), OT(I64, OT_S(1), 125)),
	POW("int32 to float32", 12, OT(I32, OT_S(2), 2, -3), OT(F32, OT_S(2), 40, 3),
	    OT(I32, OT_S(2), INT32_MAX, -27)),
	POW("int32 to int64 wraps", 12, OT(I32, OT_S(2), 2, 3), OT(I64, OT_S(2), 31, 2),
	    OT(I32, OT_S(2), INT32_MIN, 9)),
	POW("int32 to int32", 12, OT(I32, OT_S(2), 1, 3), OT(I32, OT_S(2), -5, 4),
	    OT(I32, OT_S(2), 1, 81)),
	{.name = "0 to a negative power",
	 .op = "Pow",
	 .in = {OT(I32, OT_S(1), 0), OT(I32, OT_S(1), -1)},
	 .err = -EINVAL},
	{.name = "two dtypes before opset 12",
	 .op = "Pow",
	 .opset = 11,
	 .in = {OT(F32, OT_S(1), 1), OT(I64, OT_S(1), 1)},
	 .err = -EOPNOTSUPP,
	 .says = "int64"},
	{.name = "uint8",
	 .op = "Pow",
	 .in = {OT(U8, OT_S(1), 1), OT(U8, OT_S(1), 1)},
	 .err = -EOPNOTSUPP,
	 .says = "uint8"},
	MOD("int64, sign of the divisor", 10, 0, SIGNS(I64), DIVISORS(I64),
	    OT(I64, OT_S(4), 0, -2, 5, 2)),
	MOD("int32, sign of the divisor", 13, 0, SIGNS(I32), DIVISORS(I32),
	    OT(I32, OT_S(4), 0, -2, 5, 2)),
	MOD("int8, sign of the divisor", 13, 0, SIGNS(I8), DIVISORS(I8),
	    OT(I8, OT_S(4), 0, -2, 5, 2)),
	MOD("uint8", 13, 0, OT(U8, OT_S(2), 200, 7), OT(U8, OT_S(1), 9), OT(U8, OT_S(2), 2, 7)),
	MOD("int64, sign of the dividend", 13, 1, SIGNS(I64), DIVISORS(I64),
	    OT(I64, OT_S(4), 0, 1, 5, -1)),
	MOD("int32, sign of the dividend", 13, 1, SIGNS(I32), DIVISORS(I32),
	    OT(I32, OT_S(4), 0, 1, 5, -1)),
	MOD("int8, sign of the dividend", 13, 1, SIGNS(I8), DIVISORS(I8),
	    OT(I8, OT_S(4), 0, 1, 5, -1)),
	MOD("floats", 13, 1, OT(F32, OT_S(3), -4.5, 7, 1), OT(F32, OT_S(3), 2, -3.5, 0),
	    OT(F32, OT_S(3), -0.5, 0, NAN)),
	MOD("float64", 21, 1, OT(F64, OT_S(1), -5), OT(F64, OT_S(1), 3), OT(F64, OT_S(1), -2)),
	MOD("the smallest int32 by -1", 13, 0, OT(I32, OT_S(1), INT32_MIN), OT(I32, OT_S(1), -1),
	    OT(I32, OT_S(1), 0)),
	{.name = "Mod by zero",
	 .op = "Mod",
	 .in = {OT(I32, OT_S(1), 1), OT(I32, OT_S(1), 0)},
	 .err = -EINVAL},
	{.name = "floats without fmod",
	 .op = "Mod",
	 .in = {OT(F32, OT_S(1), 1), OT(F32, OT_S(1), 1)},
	 .err = -EOPNOTSUPP,
	 .says = "float32"},
	{.name = "PRelu, a slope per channel",
	 .op = "PRelu",
	 .opset = 7,
	 .in = {OT(F32, OT_S(2, 2), -1, 1, -2, -3), OT(F32, OT_S(2, 1), 0.5, 2)},
	 .out = {OT(F32, OT_S(2, 2), -0.5, 1, -4, -6)}},
	{.name = "PRelu of float64",
	 .op = "PRelu",
	 .opset = 16,
	 .in = {OT(F64, OT_S(2), -1, 1), OT(F64, OT_S(), 0.25)},
	 .out = {OT(F64, OT_S(2), -0.25, 1)}},
	{.name = "PRelu of int64",
	 .op = "PRelu",
	 .opset = 9,
	 .in = {OT(I64, OT_S(2), -3, 3), OT(I64, OT_S(1), 2)},
	 .out = {OT(I64, OT_S(2), -6, 3)}},
	{.name = "PRelu of int32",
	 .op = "PRelu",
	 .in = {OT(I32, OT_S(2), -3, 3), OT(I32, OT_S(1), 2)},
	 .out = {OT(I32, OT_S(2), -6, 3)}},
	{.name = "PRelu, a slope larger than x",
	 .op = "PRelu",
	 .in = {OT(F32, OT_S(1), -1), OT(F32, OT_S(2), 1, 2)},
	 .err = -EINVAL,
	 .says = "slope"},
	{.name = "PRelu, a slope of more dimensions",
	 .op = "PRelu",
	 .in = {OT(F32, OT_S(1), -1), OT(F32, OT_S(1, 1), 1)},
	 .err = -EINVAL,
	 .says = "slope"},
};

OPTEST_SUITE("graph/op/pow", rows)
