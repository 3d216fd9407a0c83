/* SPDX-License-Identifier: MIT */
/* graph/op: LRN. */
#include <errno.h>

#include "tests/support/optest.h"

/* clang-format off */
static const struct optest_row rows[] = {
#include "tests/unit/graph/op/formula_lrn.inc"
	{.name = "size missing", .op = "LRN", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(1, 4, 3, 3))},
	 .err = -EINVAL, .says = "size is missing"},
	{.name = "size 0", .op = "LRN", .opset = 13,
	 .attrs = {OT_I("size", 0)},
	 .in = {OT_ZEROS(F32, OT_S(1, 4, 3, 3))},
	 .err = -EINVAL, .says = "size is 0"},
	{.name = "a vector", .op = "LRN", .opset = 13,
	 .attrs = {OT_I("size", 3)},
	 .in = {OT_ZEROS(F32, OT_S(4))},
	 .err = -EINVAL, .says = "rank 1"},
};
/* clang-format on */

OPTEST_SUITE("graph/op/lrn", rows)
