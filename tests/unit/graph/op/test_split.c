/* SPDX-License-Identifier: MIT */
/* graph/op: Split. */
#include <errno.h>

#include "tests/support/optest.h"

/* clang-format off */
static const struct optest_row rows[] = {
#include "tests/unit/graph/op/formula_split.inc"
	{.name = "parts do not divide", .op = "Split", .opset = 13,
	 .attrs = {OT_I("axis", 1)},
	 .in = {OT_ZEROS(F32, OT_S(4, 5))},
	 .out = {OT_ZEROS(F32, OT_S(2, 5)), OT_ZEROS(F32, OT_S(2, 5))},
	 .err = -EINVAL, .says = "5 does not divide into 2"},
	{.name = "sizes do not add up", .op = "Split", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_K(I64, OT_S(2), 1, 2)},
	 .out = {OT_ZEROS(F32, OT_S(2, 5)), OT_ZEROS(F32, OT_S(2, 5))},
	 .err = -EINVAL, .says = "parts make 3 together, not 4"},
	{.name = "a negative size", .op = "Split", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_K(I64, OT_S(2), -1, 5)},
	 .out = {OT_ZEROS(F32, OT_S(2, 5)), OT_ZEROS(F32, OT_S(2, 5))},
	 .err = -EINVAL, .says = "a part of -1"},
	{.name = "three sizes for two outputs", .op = "Split", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_K(I64, OT_S(3), 1, 1, 2)},
	 .out = {OT_ZEROS(F32, OT_S(2, 5)), OT_ZEROS(F32, OT_S(2, 5))},
	 .err = -EINVAL, .says = "3 sizes for 2 outputs"},
	{.name = "axis beyond the rank", .op = "Split", .opset = 13,
	 .attrs = {OT_I("axis", 2)},
	 .in = {OT_ZEROS(F32, OT_S(4, 5))},
	 .out = {OT_ZEROS(F32, OT_S(2, 5)), OT_ZEROS(F32, OT_S(2, 5))},
	 .err = -EINVAL, .says = "axis 2"},
	{.name = "num_outputs contradicts", .op = "Split", .opset = 18,
	 .attrs = {OT_I("num_outputs", 3)},
	 .in = {OT_ZEROS(F32, OT_S(4, 5))},
	 .out = {OT_ZEROS(F32, OT_S(2, 5)), OT_ZEROS(F32, OT_S(2, 5))},
	 .err = -EINVAL, .says = "num_outputs is 3"},
	{.name = "both", .op = "Split", .opset = 18,
	 .attrs = {OT_I("num_outputs", 2)},
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_K(I64, OT_S(2), 2, 2)},
	 .out = {OT_ZEROS(F32, OT_S(2, 5)), OT_ZEROS(F32, OT_S(2, 5))},
	 .err = -EINVAL, .says = "both"},
	{.name = "input before opset 13", .op = "Split", .opset = 11,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_K(I64, OT_S(2), 2, 2)},
	 .out = {OT_ZEROS(F32, OT_S(2, 5)), OT_ZEROS(F32, OT_S(2, 5))},
	 .err = -EINVAL, .says = "before opset 13"},
	{.name = "attribute after opset 12", .op = "Split", .opset = 13,
	 .attrs = {OT_IS("split", 2, 2)},
	 .in = {OT_ZEROS(F32, OT_S(4, 5))},
	 .out = {OT_ZEROS(F32, OT_S(2, 5)), OT_ZEROS(F32, OT_S(2, 5))},
	 .err = -EOPNOTSUPP, .says = "split"},
	{.name = "sizes arrive with the request", .op = "Split", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT(I64, OT_S(2), 2, 2)},
	 .out = {OT_ZEROS(F32, OT_S(2, 5)), OT_ZEROS(F32, OT_S(2, 5))},
	 .err = -EOPNOTSUPP, .says = "depends on data"},
	{.name = "sizes of int32", .op = "Split", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_K(I32, OT_S(2), 2, 2)},
	 .out = {OT_ZEROS(F32, OT_S(2, 5)), OT_ZEROS(F32, OT_S(2, 5))},
	 .err = -EINVAL, .says = "int32"},
};
/* clang-format on */

OPTEST_SUITE("graph/op/split", rows)
