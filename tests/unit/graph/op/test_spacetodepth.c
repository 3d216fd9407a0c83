/* SPDX-License-Identifier: MIT */
/* graph/op: SpaceToDepth. */
#include <errno.h>

#include "tests/support/optest.h"

/* clang-format off */
static const struct optest_row rows[] = {
#include "tests/unit/graph/op/formula_spacetodepth.inc"
	{.name = "blocksize 0", .op = "SpaceToDepth", .opset = 13,
	 .attrs = {OT_I("blocksize", 0)},
	 .in = {OT_ZEROS(F32, OT_S(1, 4, 3, 3))},
	 .err = -EINVAL, .says = "blocksize is 0"},
	{.name = "blocksize missing", .op = "SpaceToDepth", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(1, 4, 3, 3))},
	 .err = -EINVAL, .says = "blocksize is missing"},
	{.name = "blocks do not divide", .op = "SpaceToDepth", .opset = 13,
	 .attrs = {OT_I("blocksize", 2)},
	 .in = {OT_ZEROS(F32, OT_S(1, 4, 3, 3))},
	 .err = -EINVAL, .says = "divide"},
	{.name = "three dimensions", .op = "SpaceToDepth", .opset = 13,
	 .attrs = {OT_I("blocksize", 2)},
	 .in = {OT_ZEROS(F32, OT_S(4, 4, 4))},
	 .err = -EINVAL, .says = "3 dimensions"},
};
/* clang-format on */

OPTEST_SUITE("graph/op/spacetodepth", rows)
