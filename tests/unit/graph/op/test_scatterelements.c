/* SPDX-License-Identifier: MIT */
/* graph/op: ScatterElements. */
#include <errno.h>

#include "tests/support/optest.h"

/* clang-format off */
static const struct optest_row rows[] = {
#include "tests/unit/graph/op/formula_scatterelements.inc"
	{.name = "index out of range", .op = "ScatterElements", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT(I64, OT_S(1, 1), 4), OT_ZEROS(F32, OT_S(1, 1))},
	 .err = -EINVAL, },
	{.name = "ranks differ", .op = "ScatterElements", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_ZEROS(I64, OT_S(2)), OT_ZEROS(F32, OT_S(2))},
	 .err = -EINVAL, .says = "ranks"},
	{.name = "updates do not fit", .op = "ScatterElements", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_ZEROS(I64, OT_S(2, 5)), OT_ZEROS(F32, OT_S(2, 4))},
	 .err = -EINVAL, .says = "dimension 1"},
	{.name = "axis beyond the rank", .op = "ScatterElements", .opset = 13,
	 .attrs = {OT_I("axis", 2)},
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_ZEROS(I64, OT_S(2, 5)), OT_ZEROS(F32, OT_S(2, 5))},
	 .err = -EINVAL, .says = "axis 2"},
	{.name = "an unknown reduction", .op = "ScatterElements", .opset = 18,
	 .attrs = {OT_STR("reduction", "sum")},
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_ZEROS(I64, OT_S(2, 5)), OT_ZEROS(F32, OT_S(2, 5))},
	 .err = -EINVAL, .says = "reduction is sum"},
	{.name = "opset 22", .op = "ScatterElements", .opset = 22,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_ZEROS(I64, OT_S(2, 5)), OT_ZEROS(F32, OT_S(2, 5))},
	 .err = -EOPNOTSUPP, .says = "opset 22"},
	{.name = "under its first name", .op = "Scatter", .opset = 10, .attrs = {OT_I("axis", 1)},
	 .in = {OT(F32, OT_S(1, 3), 1, 2, 3), OT(I64, OT_S(1, 2), 2, 0), OT(F32, OT_S(1, 2), 7, 8)},
	 .out = {OT(F32, OT_S(1, 3), 8, 2, 7)}},
};
/* clang-format on */

OPTEST_SUITE("graph/op/scatterelements", rows)
