/* SPDX-License-Identifier: MIT */
/* graph/op: GlobalMaxPool. */
#include <errno.h>

#include "tests/support/optest.h"

static const struct optest_row rows[] = {
	{.name = "two planes",
	 .op = "GlobalMaxPool",
	 .in = {OT(F32, OT_S(1, 2, 2, 2), -1, -2, -3, -4, 1, 5, 3, 2)},
	 .out = {OT(F32, OT_S(1, 2, 1, 1), -1, 5)}},
	{.name = "one dimension",
	 .op = "GlobalMaxPool",
	 .opset = 21,
	 .in = {OT(F32, OT_S(1, 1, 3), 1, 7, 3)},
	 .out = {OT(F32, OT_S(1, 1, 1), 7)}},
	{.name = "an empty plane",
	 .op = "GlobalMaxPool",
	 .in = {OT_ZEROS(F32, OT_S(1, 2, 0))},
	 .err = -EINVAL,
	 .says = "is 0"},
	{.name = "a vector",
	 .op = "GlobalMaxPool",
	 .in = {OT_ZEROS(F32, OT_S(2))},
	 .err = -EINVAL,
	 .says = "no channels"},
};

OPTEST_SUITE("graph/op/globalmaxpool", rows)
