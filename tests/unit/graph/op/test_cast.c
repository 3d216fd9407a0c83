/* SPDX-License-Identifier: MIT */
/* graph/op: Cast. */
#include <errno.h>
#include <math.h>

#include "tests/support/optest.h"

#define CAST(title, to_, from, wanted)                                                             \
	{                                                                                          \
		.name = title, .op = "Cast", .attrs = {OT_I("to", FINF_##to_)}, .in = {from},      \
		.out = { wanted }                                                                  \
	}
#define FLOATS OT(F32, OT_S(6), 1.9, -1.9, 0, 300, -300, 0.5)

static const struct optest_row rows[] = {
	{.name = "opset 7",
	 .op = "Cast",
	 .opset = 7,
	 .attrs = {OT_I("to", FINF_I64)},
	 .in = {OT(F32, OT_S(2), 1.9, -1.9)},
	 .out = {OT(I64, OT_S(2), 1, -1)}},
	{.name = "opset 9",
	 .op = "Cast",
	 .opset = 9,
	 .attrs = {OT_I("to", FINF_F32)},
	 .in = {OT(I64, OT_S(2), 7, -8)},
	 .out = {OT(F32, OT_S(2), 7, -8)}},
	CAST("float32 to int64", I64, FLOATS, OT(I64, OT_S(6), 1, -1, 0, 300, -300, 0)),
	CAST("float32 to int32", I32, FLOATS, OT(I32, OT_S(6), 1, -1, 0, 300, -300, 0)),
	CAST("float32 to int8 stops at the ends", I8, FLOATS,
	     OT(I8, OT_S(6), 1, -1, 0, 127, -128, 0)),
	CAST("float32 to uint8 stops at the ends", U8, FLOATS, OT(U8, OT_S(6), 1, 0, 0, 255, 0, 0)),
	CAST("float32 to bool", BOOL, FLOATS, OT(BOOL, OT_S(6), 1, 1, 0, 1, 1, 1)),
	CAST("float32 to float64", F64, FLOATS, OT(F64, OT_S(6), 1.9f, -1.9f, 0, 300, -300, 0.5)),
	CAST("what is no number", I64, OT(F32, OT_S(3), NAN, INFINITY, -INFINITY),
	     OT(I64, OT_S(3), 0, 9223372036854775807.0, -9223372036854775808.0)),
	CAST("what is no number, to int32", I32, OT(F64, OT_S(3), NAN, 1e300, -1e300),
	     OT(I32, OT_S(3), 0, 2147483647, -2147483648.0)),
	CAST("NaN is true", BOOL, OT(F32, OT_S(2), NAN, -0.0), OT(BOOL, OT_S(2), 1, 0)),
	CAST("float64 to float32", F32, OT(F64, OT_S(2), 0.1, 1e300),
	     OT(F32, OT_S(2), 0.1, INFINITY)),
	CAST("int64 to int32 wraps", I32, OT(I64, OT_S(2), 5, 4294967298.0),
	     OT(I32, OT_S(2), 5, 2)),
	CAST("int64 to uint8 wraps", U8, OT(I64, OT_S(2), 257, -1), OT(U8, OT_S(2), 1, 255)),
	CAST("int64 to bool", BOOL, OT(I64, OT_S(3), 0, 256, -1), OT(BOOL, OT_S(3), 0, 1, 1)),
	CAST("int64 to float64", F64, OT(I64, OT_S(1), -7), OT(F64, OT_S(1), -7)),
	CAST("int32 to int64", I64, OT(I32, OT_S(2), -2147483648.0, 3),
	     OT(I64, OT_S(2), -2147483648.0, 3)),
	CAST("int32 to float32", F32, OT(I32, OT_S(1), -3), OT(F32, OT_S(1), -3)),
	CAST("uint8 to float32", F32, OT(U8, OT_S(2), 0, 255), OT(F32, OT_S(2), 0, 255)),
	CAST("uint8 to int8 wraps", I8, OT(U8, OT_S(1), 255), OT(I8, OT_S(1), -1)),
	CAST("int8 to int32", I32, OT(I8, OT_S(1), -128), OT(I32, OT_S(1), -128)),
	CAST("bool to float32", F32, OT(BOOL, OT_S(2), 0, 1), OT(F32, OT_S(2), 0, 1)),
	CAST("bool to int64", I64, OT(BOOL, OT_S(2), 0, 1), OT(I64, OT_S(2), 0, 1)),
	CAST("the same dtype", F32, OT(F32, OT_S(2), 1.5, NAN), OT(F32, OT_S(2), 1.5, NAN)),
	CAST("scalar", I32, OT(I64, OT_S(), 4), OT(I32, OT_S(), 4)),
	CAST("no elements", F32, OT_ZEROS(I64, OT_S(0)), OT_ZEROS(F32, OT_S(0))),
	{.name = "to float16",
	 .op = "Cast",
	 .attrs = {OT_I("to", 10)},
	 .in = {FLOATS},
	 .err = -EOPNOTSUPP,
	 .says = "dtype 10"},
	{.name = "to string",
	 .op = "Cast",
	 .attrs = {OT_I("to", 8)},
	 .in = {FLOATS},
	 .err = -EOPNOTSUPP,
	 .says = "dtype 8"},
	{.name = "to nothing there is",
	 .op = "Cast",
	 .attrs = {OT_I("to", (1ll << 32) + 1)},
	 .in = {FLOATS},
	 .err = -EOPNOTSUPP,
	 .says = "dtype 4294967297"},
	{.name = "to is missing",
	 .op = "Cast",
	 .in = {FLOATS},
	 .err = -EINVAL,
	 .says = "to is missing"},
	{.name = "to as text, as before opset 6",
	 .op = "Cast",
	 .attrs = {OT_STR("to", "FLOAT")},
	 .in = {FLOATS},
	 .err = -EINVAL,
	 .says = "to is a string"},
};

OPTEST_SUITE("graph/op/cast", rows)
