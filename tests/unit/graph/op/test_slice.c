/* SPDX-License-Identifier: MIT */
/* graph/op: Slice. */
#include <errno.h>

#include "tests/support/optest.h"

/* clang-format off */
static const struct optest_row rows[] = {
#include "tests/unit/graph/op/formula_slice.inc"
	{.name = "bounds arrive with the request", .op = "Slice", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT(I64, OT_S(1), 1), OT(I64, OT_S(1), 2)},
	 .err = -EOPNOTSUPP, .says = "depends on data"},
	{.name = "lengths differ", .op = "Slice", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_K(I64, OT_S(2), 1, 2), OT_K(I64, OT_S(1), 3)},
	 .err = -EINVAL, .says = "different lengths"},
	{.name = "more bounds than dimensions", .op = "Slice", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_K(I64, OT_S(3), 0, 0, 0), OT_K(I64, OT_S(3), 1, 1, 1)},
	 .err = -EINVAL, .says = "different lengths"},
	{.name = "a step of 0", .op = "Slice", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_K(I64, OT_S(1), 0), OT_K(I64, OT_S(1), 1), OT_K(I64, OT_S(1), 0), OT_K(I64, OT_S(1), 0)},
	 .err = -EINVAL, .says = "a step of 0"},
	{.name = "an axis twice", .op = "Slice", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_K(I64, OT_S(2), 0, 0), OT_K(I64, OT_S(2), 1, 1), OT_K(I64, OT_S(2), 1, -1)},
	 .err = -EINVAL, .says = "twice"},
	{.name = "axis beyond the rank", .op = "Slice", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_K(I64, OT_S(1), 0), OT_K(I64, OT_S(1), 1), OT_K(I64, OT_S(1), 2)},
	 .err = -EINVAL, .says = "axis 2"},
	{.name = "ends missing", .op = "Slice", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_K(I64, OT_S(1), 0)},
	 .err = -EINVAL, .says = "missing"},
	{.name = "inputs before opset 10", .op = "Slice", .opset = 9,
	 .attrs = {OT_IS("starts", 0), OT_IS("ends", 1)},
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_K(I64, OT_S(1), 0), OT_K(I64, OT_S(1), 1)},
	 .err = -EINVAL, .says = "before opset 10"},
	{.name = "attributes after opset 9", .op = "Slice", .opset = 10,
	 .attrs = {OT_IS("starts", 0)},
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_K(I64, OT_S(1), 0), OT_K(I64, OT_S(1), 1)},
	 .err = -EOPNOTSUPP, .says = "starts"},
	{.name = "float bounds", .op = "Slice", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_K(F32, OT_S(1), 0), OT_K(F32, OT_S(1), 1)},
	 .err = -EINVAL, .says = "float32"},
	{.name = "the widest bounds and steps", .op = "Slice",
	 .in = {OT(I64, OT_S(3), 1, 2, 3), OT_K(I64, OT_S(1), 9e18), OT_K(I64, OT_S(1), -9e18),
		OT_K(I64, OT_S(1), 0), OT_K(I64, OT_S(1), -9e18)},
	 .out = {OT(I64, OT_S(1), 3)}},
};
/* clang-format on */

OPTEST_SUITE("graph/op/slice", rows)
