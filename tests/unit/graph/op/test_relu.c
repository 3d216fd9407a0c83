/* SPDX-License-Identifier: MIT */
/* graph/op: Relu. */
#include <errno.h>
#include <math.h>

#include "tests/support/optest.h"

static const struct optest_row rows[] = {
	{.name = "opset 7",
	 .op = "Relu",
	 .opset = 7,
	 .in = {OT(F32, OT_S(2, 3), -1, 0, 1, 2.5, -0.25, 1e30)},
	 .out = {OT(F32, OT_S(2, 3), 0, 0, 1, 2.5, 0, 1e30)}},
	{.name = "scalar, opset 17",
	 .op = "Relu",
	 .opset = 17,
	 .in = {OT(F32, OT_S(), -3)},
	 .out = {OT(F32, OT_S(), 0)}},
	{.name = "what is no number stays so",
	 .op = "Relu",
	 .in = {OT(F32, OT_S(3), NAN, INFINITY, -INFINITY)},
	 .out = {OT(F32, OT_S(3), NAN, INFINITY, 0)}},
	{.name = "nothing",
	 .op = "Relu",
	 .in = {OT_ZEROS(F32, OT_S(0, 2))},
	 .out = {OT_ZEROS(F32, OT_S(0, 2))}},
	{.name = "int64",
	 .op = "Relu",
	 .opset = 14,
	 .in = {OT(I64, OT_S(1), -1)},
	 .err = -EOPNOTSUPP,
	 .says = "int64"},
	{.name = "an attribute",
	 .op = "Relu",
	 .attrs = {OT_F("alpha", 1)},
	 .in = {OT(F32, OT_S(1), -1)},
	 .err = -EOPNOTSUPP,
	 .says = "alpha"},
	{.name = "two inputs",
	 .op = "Relu",
	 .in = {OT(F32, OT_S(1), -1), OT(F32, OT_S(1), -1)},
	 .err = -EINVAL},
};

OPTEST_SUITE("graph/op/relu", rows)
