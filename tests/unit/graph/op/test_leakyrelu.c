/* SPDX-License-Identifier: MIT */
/* graph/op: LeakyRelu. */
#include <errno.h>
#include <math.h>

#include "tests/support/optest.h"

static const struct optest_row rows[] = {
	{.name = "default alpha, opset 7",
	 .op = "LeakyRelu",
	 .opset = 7,
	 .in = {OT(F32, OT_S(4), -100, 0, 1, -0.5)},
	 .out = {OT(F32, OT_S(4), -1, 0, 1, -0.005)}},
	{.name = "alpha, opset 16",
	 .op = "LeakyRelu",
	 .opset = 16,
	 .attrs = {OT_F("alpha", 0.5)},
	 .in = {OT(F32, OT_S(2, 2), -4, 4, -1, 0)},
	 .out = {OT(F32, OT_S(2, 2), -2, 4, -0.5, 0)}},
	{.name = "alpha may be negative",
	 .op = "LeakyRelu",
	 .attrs = {OT_F("alpha", -1)},
	 .in = {OT(F32, OT_S(), -3)},
	 .out = {OT(F32, OT_S(), 3)}},
	{.name = "what is no number stays so",
	 .op = "LeakyRelu",
	 .in = {OT(F32, OT_S(2), NAN, -INFINITY)},
	 .out = {OT(F32, OT_S(2), NAN, -INFINITY)}},
	{.name = "int32",
	 .op = "LeakyRelu",
	 .in = {OT(I32, OT_S(1), -1)},
	 .err = -EOPNOTSUPP,
	 .says = "int32"},
	{.name = "alpha as an integer",
	 .op = "LeakyRelu",
	 .attrs = {OT_I("alpha", 1)},
	 .in = {OT(F32, OT_S(1), -1)},
	 .err = -EINVAL,
	 .says = "alpha"},
};

OPTEST_SUITE("graph/op/leakyrelu", rows)
