/* SPDX-License-Identifier: MIT */
/* graph/op: ConvTranspose. */
#include <errno.h>

#include "tests/support/optest.h"

/* clang-format off */
static const struct optest_row rows[] = {
#include "tests/unit/graph/op/formula_convtranspose.inc"
	{.name = "channels differ", .op = "ConvTranspose", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(1, 4, 3, 3)), OT_ZEROS(F32, OT_S(3, 2, 2, 2))},
	 .err = -EINVAL, .says = "input has 4 channels, weight 3"},
	{.name = "weight of another rank", .op = "ConvTranspose", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(1, 4, 3, 3)), OT_ZEROS(F32, OT_S(4, 2, 2))},
	 .err = -EINVAL, .says = "weight of rank 3"},
	{.name = "groups do not divide", .op = "ConvTranspose", .opset = 13,
	 .attrs = {OT_I("group", 3)},
	 .in = {OT_ZEROS(F32, OT_S(1, 4, 3, 3)), OT_ZEROS(F32, OT_S(4, 2, 2, 2))},
	 .err = -EINVAL, .says = "groups"},
	{.name = "group 0", .op = "ConvTranspose", .opset = 13,
	 .attrs = {OT_I("group", 0)},
	 .in = {OT_ZEROS(F32, OT_S(1, 4, 3, 3)), OT_ZEROS(F32, OT_S(4, 2, 2, 2))},
	 .err = -EINVAL, .says = "group is 0"},
	{.name = "bias of another length", .op = "ConvTranspose", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(1, 4, 3, 3)), OT_ZEROS(F32, OT_S(4, 2, 2, 2)), OT_ZEROS(F32, OT_S(3))},
	 .err = -EINVAL, .says = "bias is 3 for 2"},
	{.name = "kernel_shape contradicts", .op = "ConvTranspose", .opset = 13,
	 .attrs = {OT_IS("kernel_shape", 3, 3)},
	 .in = {OT_ZEROS(F32, OT_S(1, 4, 3, 3)), OT_ZEROS(F32, OT_S(4, 2, 2, 2))},
	 .err = -EINVAL, .says = "kernel_shape"},
	{.name = "output_padding too large", .op = "ConvTranspose", .opset = 13,
	 .attrs = {OT_IS("strides", 2, 2), OT_IS("output_padding", 0, 2)},
	 .in = {OT_ZEROS(F32, OT_S(1, 4, 3, 3)), OT_ZEROS(F32, OT_S(4, 2, 2, 2))},
	 .err = -EINVAL, .says = "output_padding 2"},
	{.name = "padding leaves nothing", .op = "ConvTranspose", .opset = 13,
	 .attrs = {OT_IS("pads", 2, 2, 2, 2)},
	 .in = {OT_ZEROS(F32, OT_S(1, 4, 3, 3)), OT_ZEROS(F32, OT_S(4, 2, 2, 2))},
	 .err = -EINVAL, .says = "padding leaves nothing"},
	{.name = "output_shape of one", .op = "ConvTranspose", .opset = 13,
	 .attrs = {OT_IS("output_shape", 5)},
	 .in = {OT_ZEROS(F32, OT_S(1, 4, 3, 3)), OT_ZEROS(F32, OT_S(4, 2, 2, 2))},
	 .err = -EINVAL, .says = "output_shape has 1"},
	{.name = "output_shape 0", .op = "ConvTranspose", .opset = 13,
	 .attrs = {OT_IS("output_shape", 5, 0)},
	 .in = {OT_ZEROS(F32, OT_S(1, 4, 3, 3)), OT_ZEROS(F32, OT_S(4, 2, 2, 2))},
	 .err = -EINVAL, .says = "output_shape holds 0"},
	{.name = "the largest of everything", .op = "ConvTranspose", .opset = 13,
	 .attrs = {OT_IS("strides", INT32_MAX, 1)},
	 .in = {OT_ZEROS(F32, OT_S(1, 4, 3, 3)), OT_ZEROS(F32, OT_S(4, 2, 2, 2))},
	 .err = -EINVAL, .says = "out of range"},
	{.name = "four spatial dimensions", .op = "ConvTranspose", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(1, 1, 2, 2, 2, 2)), OT_ZEROS(F32, OT_S(1, 1, 2, 2, 2, 2))},
	 .err = -EOPNOTSUPP, .says = "4 spatial"},
	{.name = "int32", .op = "ConvTranspose", .opset = 13,
	 .in = {OT_ZEROS(I32, OT_S(1, 4, 3, 3)), OT_ZEROS(I32, OT_S(4, 2, 2, 2))},
	 .err = -EOPNOTSUPP, .says = "int32"},
	{.name = "opset 22", .op = "ConvTranspose", .opset = 22,
	 .in = {OT_ZEROS(F32, OT_S(1, 4, 3, 3)), OT_ZEROS(F32, OT_S(4, 2, 2, 2))},
	 .err = -EOPNOTSUPP, .says = "opset 22"},
};
/* clang-format on */

OPTEST_SUITE("graph/op/convtranspose", rows)
