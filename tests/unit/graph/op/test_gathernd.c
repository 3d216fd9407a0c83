/* SPDX-License-Identifier: MIT */
/* graph/op: GatherND. */
#include <errno.h>

#include "tests/support/optest.h"

/* clang-format off */
static const struct optest_row rows[] = {
#include "tests/unit/graph/op/formula_gathernd.inc"
	{.name = "index out of range", .op = "GatherND", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT(I64, OT_S(1, 2), 0, 5)},
	 .err = -EINVAL, },
	{.name = "tuples too long", .op = "GatherND", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_ZEROS(I64, OT_S(1, 3))},
	 .err = -EINVAL, .says = "tuples of 3"},
	{.name = "int32 indices", .op = "GatherND", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_ZEROS(I32, OT_S(1, 2))},
	 .err = -EINVAL, .says = "int32"},
	{.name = "batches differ", .op = "GatherND", .opset = 13,
	 .attrs = {OT_I("batch_dims", 1)},
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_ZEROS(I64, OT_S(3, 1))},
	 .err = -EINVAL, .says = "batch dimension 0"},
	{.name = "batch_dims before opset 12", .op = "GatherND", .opset = 11,
	 .attrs = {OT_I("batch_dims", 1)},
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_ZEROS(I64, OT_S(4, 1))},
	 .err = -EOPNOTSUPP, .says = "batch_dims"},
	{.name = "batch_dims too many", .op = "GatherND", .opset = 13,
	 .attrs = {OT_I("batch_dims", 2)},
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_ZEROS(I64, OT_S(4, 1))},
	 .err = -EINVAL, .says = "batch_dims is 2"},
};
/* clang-format on */

OPTEST_SUITE("graph/op/gathernd", rows)
