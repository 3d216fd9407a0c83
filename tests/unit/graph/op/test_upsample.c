/* SPDX-License-Identifier: MIT */
/* graph/op: Upsample. */
#include <errno.h>

#include "tests/support/optest.h"

/* clang-format off */
static const struct optest_row rows[] = {
#include "tests/unit/graph/op/formula_upsample.inc"
	{.name = "opset 10", .op = "Upsample", .opset = 10,
	 .in = {OT_ZEROS(F32, OT_S(1, 1, 2, 2)), OT_K(F32, OT_S(4), 1, 1, 2, 2)},
	 .err = -EOPNOTSUPP, .says = "opset 10"},
	{.name = "scales missing", .op = "Upsample", .opset = 7,
	 .in = {OT_ZEROS(F32, OT_S(1, 1, 2, 2))},
	 .err = -EINVAL, .says = "scales is missing"},
	{.name = "no scales", .op = "Upsample", .opset = 9,
	 .in = {OT_ZEROS(F32, OT_S(1, 1, 2, 2))},
	 .err = -EINVAL, .says = "either scales"},
};
/* clang-format on */

OPTEST_SUITE("graph/op/upsample", rows)
