/* SPDX-License-Identifier: MIT */
/* graph/op: DequantizeLinear. */
#include <errno.h>

#include "tests/support/optest.h"

/* clang-format off */
static const struct optest_row rows[] = {
#include "tests/unit/graph/op/formula_dequantizelinear.inc"
	{.name = "of float32", .op = "DequantizeLinear", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(2, 3)), OT_ZEROS(F32, OT_S())},
	 .err = -EOPNOTSUPP, .says = "float32"},
	{.name = "zero point of another dtype", .op = "DequantizeLinear", .opset = 13,
	 .in = {OT_ZEROS(U8, OT_S(2)), OT_ZEROS(F32, OT_S()), OT_ZEROS(I8, OT_S())},
	 .err = -EINVAL, .says = "zero point of int8"},
	{.name = "scale of float64", .op = "DequantizeLinear", .opset = 13,
	 .in = {OT_ZEROS(U8, OT_S(2)), OT_ZEROS(F64, OT_S())},
	 .err = -EOPNOTSUPP, .says = "scale of float64"},
	{.name = "blocks", .op = "DequantizeLinear", .opset = 21,
	 .attrs = {OT_I("block_size", 2)},
	 .in = {OT_ZEROS(U8, OT_S(2)), OT_ZEROS(F32, OT_S())},
	 .err = -EOPNOTSUPP, .says = "block_size"},
};
/* clang-format on */

OPTEST_SUITE("graph/op/dequantizelinear", rows)
