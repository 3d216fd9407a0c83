/* SPDX-License-Identifier: MIT */
/* graph/op: QuantizeLinear. */
#include <errno.h>

#include "tests/support/optest.h"

/* clang-format off */
static const struct optest_row rows[] = {
#include "tests/unit/graph/op/formula_quantizelinear.inc"
	{.name = "per axis before opset 13", .op = "QuantizeLinear", .opset = 10,
	 .in = {OT_ZEROS(F32, OT_S(2, 3)), OT_ZEROS(F32, OT_S(3))},
	 .err = -EOPNOTSUPP, .says = "input 1 is 3"},
	{.name = "axis before opset 13", .op = "QuantizeLinear", .opset = 10,
	 .attrs = {OT_I("axis", 1)},
	 .in = {OT_ZEROS(F32, OT_S(2, 3)), OT_ZEROS(F32, OT_S())},
	 .err = -EOPNOTSUPP, .says = "axis"},
	{.name = "scales do not fit", .op = "QuantizeLinear", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(2, 3)), OT_ZEROS(F32, OT_S(2))},
	 .err = -EINVAL, .says = "2 values for 3"},
	{.name = "axis beyond the rank", .op = "QuantizeLinear", .opset = 13,
	 .attrs = {OT_I("axis", 2)},
	 .in = {OT_ZEROS(F32, OT_S(2, 3)), OT_ZEROS(F32, OT_S(3))},
	 .err = -EINVAL, .says = "axis 2"},
	{.name = "zero point of another shape", .op = "QuantizeLinear", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(2, 3)), OT_ZEROS(F32, OT_S(3)), OT_ZEROS(U8, OT_S())},
	 .err = -EINVAL, .says = "different shapes"},
	{.name = "blocks", .op = "QuantizeLinear", .opset = 21,
	 .attrs = {OT_I("block_size", 2)},
	 .in = {OT_ZEROS(F32, OT_S(2, 3)), OT_ZEROS(F32, OT_S())},
	 .err = -EOPNOTSUPP, .says = "block_size"},
	{.name = "to int32", .op = "QuantizeLinear", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(2, 3)), OT_ZEROS(F32, OT_S()), OT_ZEROS(I32, OT_S())},
	 .err = -EOPNOTSUPP, .says = "int8 and uint8"},
	{.name = "output_dtype contradicts", .op = "QuantizeLinear", .opset = 21,
	 .attrs = {OT_I("output_dtype", 2)},
	 .in = {OT_ZEROS(F32, OT_S(2, 3)), OT_ZEROS(F32, OT_S()), OT_ZEROS(I8, OT_S())},
	 .err = -EINVAL, .says = "output_dtype"},
	{.name = "of int64", .op = "QuantizeLinear", .opset = 13,
	 .in = {OT_ZEROS(I64, OT_S(2)), OT_ZEROS(F32, OT_S())},
	 .err = -EOPNOTSUPP, .says = "int64"},
};
/* clang-format on */

OPTEST_SUITE("graph/op/quantizelinear", rows)
