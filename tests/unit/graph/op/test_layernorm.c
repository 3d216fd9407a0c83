/* SPDX-License-Identifier: MIT */
/* graph/op: LayerNormalization. */
#include <errno.h>

#include "tests/support/optest.h"

/* clang-format off */
static const struct optest_row rows[] = {
#include "tests/unit/graph/op/formula_layernorm.inc"
	{.name = "axis beyond the rank", .op = "LayerNormalization", .opset = 17,
	 .attrs = {OT_I("axis", 2)},
	 .in = {OT_ZEROS(F32, OT_S(2, 3)), OT_ZEROS(F32, OT_S(3))},
	 .err = -EINVAL, .says = "axis 2"},
	{.name = "scale of another shape", .op = "LayerNormalization", .opset = 17,
	 .in = {OT_ZEROS(F32, OT_S(2, 3)), OT_ZEROS(F32, OT_S(1))},
	 .err = -EOPNOTSUPP, .says = "input 1 is 1"},
	{.name = "stash_type", .op = "LayerNormalization", .opset = 17,
	 .attrs = {OT_I("stash_type", 10)},
	 .in = {OT_ZEROS(F32, OT_S(2, 3)), OT_ZEROS(F32, OT_S(3))},
	 .err = -EOPNOTSUPP, .says = "stash_type"},
	{.name = "opset 16", .op = "LayerNormalization", .opset = 16,
	 .in = {OT_ZEROS(F32, OT_S(2, 3)), OT_ZEROS(F32, OT_S(3))},
	 .err = -EOPNOTSUPP, .says = "opset 16"},
};
/* clang-format on */

OPTEST_SUITE("graph/op/layernorm", rows)
