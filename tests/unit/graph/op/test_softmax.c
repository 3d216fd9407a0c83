/* SPDX-License-Identifier: MIT */
/* graph/op: Softmax. */
#include <errno.h>

#include "tests/support/optest.h"

static const struct optest_row rows[] = {
#include "tests/unit/graph/op/torch_softmax.inc"
	{.name = "by hand: equal shares",
	 .op = "Softmax",
	 .in = {OT(F32, OT_S(1, 4), 7, 7, 7, 7)},
	 .out = {OT(F32, OT_S(1, 4), 0.25, 0.25, 0.25, 0.25)}},
	{.name = "one dimension, opset 13",
	 .op = "Softmax",
	 .in = {OT(F32, OT_S(1), 3)},
	 .out = {OT(F32, OT_S(1), 1)}},
	{.name = "nothing",
	 .op = "Softmax",
	 .in = {OT_ZEROS(F32, OT_S(2, 0))},
	 .out = {OT_ZEROS(F32, OT_S(2, 0))}},
	{.name = "the default axis 1 of one dimension, opset 11",
	 .op = "Softmax",
	 .opset = 11,
	 .in = {OT_ZEROS(F32, OT_S(3))},
	 .err = -EINVAL,
	 .says = "axis 1 of an input of rank 1"},
	{.name = "axis beyond the rank",
	 .op = "Softmax",
	 .attrs = {OT_I("axis", 2)},
	 .in = {OT_ZEROS(F32, OT_S(3, 3))},
	 .err = -EINVAL,
	 .says = "axis 2"},
	{.name = "axis far below",
	 .op = "Softmax",
	 .attrs = {OT_I("axis", INT64_MIN)},
	 .in = {OT_ZEROS(F32, OT_S(3, 3))},
	 .err = -EINVAL,
	 .says = "axis -"},
	{.name = "scalar",
	 .op = "Softmax",
	 .in = {OT_ZEROS(F32, OT_S())},
	 .err = -EINVAL,
	 .says = "axis"},
	{.name = "float64",
	 .op = "Softmax",
	 .in = {OT_ZEROS(F64, OT_S(3, 3))},
	 .err = -EOPNOTSUPP,
	 .says = "float64"},
};

OPTEST_SUITE("graph/op/softmax", rows)
