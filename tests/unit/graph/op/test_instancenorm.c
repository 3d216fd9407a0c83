/* SPDX-License-Identifier: MIT */
/* graph/op: InstanceNormalization. */
#include <errno.h>

#include "tests/support/optest.h"

/* clang-format off */
static const struct optest_row rows[] = {
#include "tests/unit/graph/op/formula_instancenorm.inc"
	{.name = "no spatial dimension", .op = "InstanceNormalization", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(2, 3)), OT_ZEROS(F32, OT_S(3)), OT_ZEROS(F32, OT_S(3))},
	 .err = -EINVAL, .says = "rank 2"},
	{.name = "scale of another length", .op = "InstanceNormalization", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(2, 3, 4)), OT_ZEROS(F32, OT_S(2)), OT_ZEROS(F32, OT_S(3))},
	 .err = -EINVAL, .says = "input 1 is 2"},
	{.name = "float64", .op = "InstanceNormalization", .opset = 13,
	 .in = {OT_ZEROS(F64, OT_S(2, 3, 4)), OT_ZEROS(F64, OT_S(3)), OT_ZEROS(F64, OT_S(3))},
	 .err = -EOPNOTSUPP, .says = "float64"},
};
/* clang-format on */

OPTEST_SUITE("graph/op/instancenorm", rows)
