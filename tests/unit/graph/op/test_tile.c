/* SPDX-License-Identifier: MIT */
/* graph/op: Tile. */
#include <errno.h>

#include "tests/support/optest.h"

/* clang-format off */
static const struct optest_row rows[] = {
#include "tests/unit/graph/op/formula_tile.inc"
	{.name = "one repeat for two dimensions", .op = "Tile", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_K(I64, OT_S(1), 2)},
	 .err = -EINVAL, .says = "1 repeats for 2"},
	{.name = "negative", .op = "Tile", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_K(I64, OT_S(2), 2, -1)},
	 .err = -EINVAL, .says = "-1 repeats"},
	{.name = "too large", .op = "Tile", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT_K(I64, OT_S(2), 4e18, 4e18)},
	 .err = -EINVAL, .says = "too large"},
	{.name = "repeats arrive with the request", .op = "Tile", .opset = 13,
	 .in = {OT_ZEROS(F32, OT_S(4, 5)), OT(I64, OT_S(2), 1, 2)},
	 .err = -EOPNOTSUPP, .says = "depends on data"},
};
/* clang-format on */

OPTEST_SUITE("graph/op/tile", rows)
