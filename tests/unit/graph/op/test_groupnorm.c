/* SPDX-License-Identifier: MIT */
/* graph/op: GroupNormalization. */
#include <errno.h>

#include "tests/support/optest.h"

/* clang-format off */
static const struct optest_row rows[] = {
#include "tests/unit/graph/op/formula_groupnorm.inc"
	{.name = "groups do not divide", .op = "GroupNormalization", .opset = 18,
	 .attrs = {OT_I("num_groups", 4)},
	 .in = {OT_ZEROS(F32, OT_S(2, 6, 4)), OT_ZEROS(F32, OT_S(4)), OT_ZEROS(F32, OT_S(4))},
	 .err = -EINVAL, .says = "6 channels do not divide into 4"},
	{.name = "num_groups 0", .op = "GroupNormalization", .opset = 18,
	 .attrs = {OT_I("num_groups", 0)},
	 .in = {OT_ZEROS(F32, OT_S(2, 6, 4)), OT_ZEROS(F32, OT_S(4)), OT_ZEROS(F32, OT_S(4))},
	 .err = -EINVAL, .says = "num_groups is 0"},
	{.name = "num_groups missing", .op = "GroupNormalization", .opset = 18,
	 .in = {OT_ZEROS(F32, OT_S(2, 6, 4)), OT_ZEROS(F32, OT_S(3)), OT_ZEROS(F32, OT_S(3))},
	 .err = -EINVAL, .says = "num_groups is missing"},
	{.name = "opset 18 scales by group", .op = "GroupNormalization", .opset = 18,
	 .attrs = {OT_I("num_groups", 2)},
	 .in = {OT_ZEROS(F32, OT_S(2, 6, 4)), OT_ZEROS(F32, OT_S(6)), OT_ZEROS(F32, OT_S(6))},
	 .err = -EINVAL, .says = "not a vector of 2"},
	{.name = "opset 21 scales by channel", .op = "GroupNormalization", .opset = 21,
	 .attrs = {OT_I("num_groups", 2)},
	 .in = {OT_ZEROS(F32, OT_S(2, 6, 4)), OT_ZEROS(F32, OT_S(2)), OT_ZEROS(F32, OT_S(2))},
	 .err = -EINVAL, .says = "not a vector of 6"},
	{.name = "stash_type before opset 21", .op = "GroupNormalization", .opset = 18,
	 .attrs = {OT_I("num_groups", 2), OT_I("stash_type", 1)},
	 .in = {OT_ZEROS(F32, OT_S(2, 6, 4)), OT_ZEROS(F32, OT_S(2)), OT_ZEROS(F32, OT_S(2))},
	 .err = -EOPNOTSUPP, .says = "stash_type"},
	{.name = "stash_type", .op = "GroupNormalization", .opset = 21,
	 .attrs = {OT_I("num_groups", 2), OT_I("stash_type", 10)},
	 .in = {OT_ZEROS(F32, OT_S(2, 6, 4)), OT_ZEROS(F32, OT_S(6)), OT_ZEROS(F32, OT_S(6))},
	 .err = -EOPNOTSUPP, .says = "stash_type"},
	{.name = "opset 17", .op = "GroupNormalization", .opset = 17,
	 .attrs = {OT_I("num_groups", 2)},
	 .in = {OT_ZEROS(F32, OT_S(2, 6, 4)), OT_ZEROS(F32, OT_S(2)), OT_ZEROS(F32, OT_S(2))},
	 .err = -EOPNOTSUPP, .says = "opset 17"},
};
/* clang-format on */

OPTEST_SUITE("graph/op/groupnorm", rows)
