/* SPDX-License-Identifier: MIT */
/* graph/op: DepthToSpace. */
#include <errno.h>

#include "tests/support/optest.h"

/* clang-format off */
static const struct optest_row rows[] = {
#include "tests/unit/graph/op/formula_depthtospace.inc"
	{.name = "blocksize 0", .op = "DepthToSpace", .opset = 13,
	 .attrs = {OT_I("blocksize", 0)},
	 .in = {OT_ZEROS(F32, OT_S(1, 4, 3, 3))},
	 .err = -EINVAL, .says = "blocksize is 0"},
	{.name = "blocksize missing", .op = "DepthToSpace", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(1, 4, 3, 3))},
	 .err = -EINVAL, .says = "blocksize is missing"},
	{.name = "blocks do not divide", .op = "DepthToSpace", .opset = 13,
	 .attrs = {OT_I("blocksize", 3)},
	 .in = {OT_ZEROS(F32, OT_S(1, 4, 3, 3))},
	 .err = -EINVAL, .says = "divide"},
	{.name = "three dimensions", .op = "DepthToSpace", .opset = 13,
	 .attrs = {OT_I("blocksize", 2)},
	 .in = {OT_ZEROS(F32, OT_S(4, 4, 4))},
	 .err = -EINVAL, .says = "3 dimensions"},
	{.name = "an unknown mode", .op = "DepthToSpace", .opset = 13,
	 .attrs = {OT_I("blocksize", 2), OT_STR("mode", "RCD")},
	 .in = {OT_ZEROS(F32, OT_S(1, 4, 3, 3))},
	 .err = -EINVAL, .says = "mode is RCD"},
};
/* clang-format on */

OPTEST_SUITE("graph/op/depthtospace", rows)
