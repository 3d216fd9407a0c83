/* SPDX-License-Identifier: MIT */
/* graph/op: GatherElements. */
#include <errno.h>

#include "tests/support/optest.h"

/* clang-format off */
static const struct optest_row rows[] = {
#include "tests/unit/graph/op/formula_gatherelements.inc"
	{.name = "index out of range", .op = "GatherElements", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT(I64, OT_S(1, 5), 0, 0, 4, 0, 0)},
	 .err = -EINVAL, },
	{.name = "ranks differ", .op = "GatherElements", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_ZEROS(I64, OT_S(1))},
	 .err = -EINVAL, .says = "ranks"},
	{.name = "too many indices", .op = "GatherElements", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_ZEROS(I64, OT_S(4, 6))},
	 .err = -EINVAL, .says = "dimension 1"},
	{.name = "float indices", .op = "GatherElements", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_ZEROS(F32, OT_S(4, 5))},
	 .err = -EINVAL, .says = "float32"},
	{.name = "axis beyond the rank", .op = "GatherElements", .opset = 13,
	 .attrs = {OT_I("axis", -3)},
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_ZEROS(I64, OT_S(4, 5))},
	 .err = -EINVAL, .says = "axis -3"},
};
/* clang-format on */

OPTEST_SUITE("graph/op/gatherelements", rows)
