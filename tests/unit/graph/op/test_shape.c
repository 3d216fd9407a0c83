/* SPDX-License-Identifier: MIT */
/* graph/op: Shape. */
#include <errno.h>

#include "tests/support/optest.h"

#define IN OT_ZEROS(F32, OT_S(2, 3, 4))
#define ROW(title, wanted, ...)                                                                    \
	{                                                                                          \
		.name = title, .op = "Shape", .opset = 15, .attrs = {__VA_ARGS__}, .in = {IN},     \
		.out = { wanted }                                                                  \
	}

static const struct optest_row rows[] = {
	{.name = "opset 7",
	 .op = "Shape",
	 .opset = 7,
	 .in = {IN},
	 .out = {OT(I64, OT_S(3), 2, 3, 4)}},
	{.name = "scalar",
	 .op = "Shape",
	 .in = {OT(F32, OT_S(), 1)},
	 .out = {OT_ZEROS(I64, OT_S(0))}},
	{.name = "no elements, any dtype",
	 .op = "Shape",
	 .in = {OT_ZEROS(BOOL, OT_S(0, 7))},
	 .out = {OT(I64, OT_S(2), 0, 7)}},
	{.name = "of what nobody could hold",
	 .op = "Shape",
	 .in = {OT_ZEROS(U8, OT_S(0, 1ll << 40))},
	 .out = {OT(I64, OT_S(2), 0, 1099511627776)}},
	ROW("start", OT(I64, OT_S(2), 3, 4), OT_I("start", 1)),
	ROW("end", OT(I64, OT_S(1), 2), OT_I("end", 1)),
	ROW("negative start", OT(I64, OT_S(1), 4), OT_I("start", -1)),
	ROW("negative end", OT(I64, OT_S(2), 2, 3), OT_I("end", -1)),
	ROW("start and end", OT(I64, OT_S(1), 3), OT_I("start", 1), OT_I("end", 2)),
	ROW("beyond both ends", OT(I64, OT_S(3), 2, 3, 4), OT_I("start", -9), OT_I("end", 9)),
	ROW("nothing between", OT_ZEROS(I64, OT_S(0)), OT_I("start", 2), OT_I("end", 1)),
	ROW("numbers without sense", OT_ZEROS(I64, OT_S(0)), OT_I("start", INT64_MAX),
	    OT_I("end", INT64_MIN)),
	{.name = "start before opset 15",
	 .op = "Shape",
	 .opset = 14,
	 .attrs = {OT_I("start", 1)},
	 .in = {IN},
	 .err = -EOPNOTSUPP,
	 .says = "start"},
	{.name = "end before opset 15",
	 .op = "Shape",
	 .opset = 13,
	 .attrs = {OT_I("end", 1)},
	 .in = {IN},
	 .err = -EOPNOTSUPP,
	 .says = "end"},
};

OPTEST_SUITE("graph/op/shape", rows)
