/* SPDX-License-Identifier: MIT */
/* graph/op: ScatterND. */
#include <errno.h>

#include "tests/support/optest.h"

/* clang-format off */
static const struct optest_row rows[] = {
#include "tests/unit/graph/op/formula_scatternd.inc"
	{.name = "index out of range", .op = "ScatterND", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT(I64, OT_S(2, 1), 0, -5), OT_ZEROS(F32, OT_S(2, 5))},
	 .err = -EINVAL, },
	{.name = "updates of another dtype", .op = "ScatterND", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_ZEROS(I64, OT_S(2, 1)), OT_ZEROS(I64, OT_S(2, 5))},
	 .err = -EINVAL, .says = "int64 updates"},
	{.name = "updates do not fit", .op = "ScatterND", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_ZEROS(I64, OT_S(2, 1)), OT_ZEROS(F32, OT_S(2, 4))},
	 .err = -EINVAL, .says = "updates do not fit"},
	{.name = "tuples too long", .op = "ScatterND", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_ZEROS(I64, OT_S(2, 3)), OT_ZEROS(F32, OT_S(2))},
	 .err = -EINVAL, .says = "tuples of 3"},
	{.name = "reduction before opset 16", .op = "ScatterND", .opset = 13,
	 .attrs = {OT_STR("reduction", "add")},
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_ZEROS(I64, OT_S(2, 1)), OT_ZEROS(F32, OT_S(2, 5))},
	 .err = -EOPNOTSUPP, .says = "reduction"},
	{.name = "max before opset 18", .op = "ScatterND", .opset = 16,
	 .attrs = {OT_STR("reduction", "max")},
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_ZEROS(I64, OT_S(2, 1)), OT_ZEROS(F32, OT_S(2, 5))},
	 .err = -EINVAL, .says = "reduction is max"},
	{.name = "int32 indices", .op = "ScatterND", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_ZEROS(I32, OT_S(2, 1)), OT_ZEROS(F32, OT_S(2, 5))},
	 .err = -EINVAL, .says = "int32"},
};
/* clang-format on */

OPTEST_SUITE("graph/op/scatternd", rows)
