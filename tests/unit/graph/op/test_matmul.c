/* SPDX-License-Identifier: MIT */
/* graph/op: MatMul. */
#include <errno.h>

#include "tests/support/optest.h"

static const struct optest_row rows[] = {
#include "tests/unit/graph/op/torch_matmul.inc"
	{.name = "by hand",
	 .op = "MatMul",
	 .in = {OT(F32, OT_S(1, 2), 1, 2), OT(F32, OT_S(2, 2), 1, 2, 3, 4)},
	 .out = {OT(F32, OT_S(1, 2), 7, 10)}},
	{.name = "a sum of nothing is 0",
	 .op = "MatMul",
	 .in = {OT_ZEROS(F32, OT_S(2, 0)), OT_ZEROS(F32, OT_S(0, 1))},
	 .out = {OT(F32, OT_S(2, 1), 0, 0)}},
	{.name = "no batch at all",
	 .op = "MatMul",
	 .in = {OT_ZEROS(F32, OT_S(0, 2, 3)), OT_ZEROS(F32, OT_S(3, 2))},
	 .out = {OT_ZEROS(F32, OT_S(0, 2, 2))}},
	{.name = "inner dimensions differ",
	 .op = "MatMul",
	 .in = {OT_ZEROS(F32, OT_S(2, 3)), OT_ZEROS(F32, OT_S(2, 3))},
	 .err = -EINVAL,
	 .says = "2x3 and 2x3"},
	{.name = "batches do not broadcast",
	 .op = "MatMul",
	 .in = {OT_ZEROS(F32, OT_S(2, 2, 2)), OT_ZEROS(F32, OT_S(3, 2, 2))},
	 .err = -EINVAL,
	 .says = "2x2x2 and 3x2x2"},
	{.name = "vectors of different length",
	 .op = "MatMul",
	 .in = {OT_ZEROS(F32, OT_S(2)), OT_ZEROS(F32, OT_S(3))},
	 .err = -EINVAL,
	 .says = "2 and 3"},
	{.name = "scalar",
	 .op = "MatMul",
	 .in = {OT_ZEROS(F32, OT_S()), OT_ZEROS(F32, OT_S(1, 1))},
	 .err = -EINVAL,
	 .says = "scalar"},
	{.name = "int64",
	 .op = "MatMul",
	 .in = {OT_ZEROS(I64, OT_S(2, 2)), OT_ZEROS(I64, OT_S(2, 2))},
	 .err = -EOPNOTSUPP,
	 .says = "int64"},
	{.name = "product too large to count",
	 .op = "MatMul",
	 .in = {OT_HUGE(F32, OT_S(1ll << 40, 1)), OT_HUGE(F32, OT_S(1, 1ll << 40))},
	 .err = -EOVERFLOW,
	 .says = "too large"},
	{.name = "one factor", .op = "MatMul", .in = {OT_ZEROS(F32, OT_S(2, 2))}, .err = -EINVAL},
};

OPTEST_SUITE("graph/op/matmul", rows)
