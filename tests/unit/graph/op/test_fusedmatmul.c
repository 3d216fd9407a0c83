/* SPDX-License-Identifier: MIT */
/* graph/op: FusedMatMul, which no model has. */
#include <errno.h>

#include "graph/op.h"
#include "tests/support/optest.h"

#define OWN .op = "FusedMatMul", .opset = FINF_OPSET_OWN

/* clang-format off */
#define A OT(F32, OT_S(2, 2), 1, 2, 3, 4)
#define B OT(F32, OT_S(2, 2), 1, 0, 2, 1)
/* clang-format on */

static const struct optest_row rows[] = {
	{.name = "a product", OWN, .in = {A, B}, .out = {OT(F32, OT_S(2, 2), 5, 2, 11, 4)}},
	{.name = "a factor",
	 OWN,
	 .attrs = {OT_F("alpha", 0.5f)},
	 .in = {A, B},
	 .out = {OT(F32, OT_S(2, 2), 2.5f, 1, 5.5f, 2)}},
	{.name = "a row",
	 OWN,
	 .attrs = {OT_F("alpha", 2)},
	 .in = {A, B, OT(F32, OT_S(2), 1, -1)},
	 .out = {OT(F32, OT_S(2, 2), 11, 3, 23, 7)}},
	{.name = "a column",
	 OWN,
	 .in = {A, B, OT(F32, OT_S(2, 1), 1, -1)},
	 .out = {OT(F32, OT_S(2, 2), 6, 3, 10, 3)}},
	{.name = "a mask for each of a stack",
	 OWN,
	 .in = {OT(F32, OT_S(2, 1, 2), 1, 2, 3, 4), B, OT(F32, OT_S(2, 1, 1), 10, 20)},
	 .out = {OT(F32, OT_S(2, 1, 2), 15, 12, 31, 24)}},
	{.name = "C has more dimensions",
	 OWN,
	 .in = {A, B, OT_ZEROS(F32, OT_S(1, 2, 2))},
	 .err = -EINVAL,
	 .says = "broadcast"},
	{.name = "C has more rows",
	 OWN,
	 .attrs = {OT_F("alpha", 2)},
	 .in = {OT(F32, OT_S(1, 2), 1, 2), B, OT(F32, OT_S(2, 2), 0, 1, 2, 3)},
	 .out = {OT(F32, OT_S(2, 2), 10, 5, 12, 7)}},
	{.name = "C has more columns",
	 OWN,
	 .in = {A, OT(F32, OT_S(2, 1), 1, 2), OT(F32, OT_S(3), 0, 1, 2)},
	 .out = {OT(F32, OT_S(2, 3), 5, 6, 7, 11, 12, 13)}},
	{.name = "C has more matrices",
	 OWN,
	 .in = {OT(F32, OT_S(1, 2, 2), 1, 2, 3, 4), B, OT(F32, OT_S(2, 1, 1), 0, 10)},
	 .out = {OT(F32, OT_S(2, 2, 2), 5, 2, 11, 4, 15, 12, 21, 14)}},
	{.name = "C has more matrices than a stack of stacks",
	 OWN,
	 .in = {OT(F32, OT_S(1, 2, 1, 2), 1, 2, 3, 4), OT(F32, OT_S(2, 2, 1), 1, 0, 0, 1),
		OT(F32, OT_S(2, 1, 1, 1), 0, 10)},
	 .out = {OT(F32, OT_S(2, 2, 1, 1), 1, 4, 11, 14)}},
	{.name = "C does not broadcast",
	 OWN,
	 .in = {A, B, OT_ZEROS(F32, OT_S(3, 2))},
	 .err = -EINVAL,
	 .says = "broadcast"},
	{.name = "a vector",
	 OWN,
	 .in = {OT_ZEROS(F32, OT_S(2)), B},
	 .err = -EINVAL,
	 .says = "vector"},
	{.name = "a model's opset",
	 .op = "FusedMatMul",
	 .opset = 21,
	 .in = {A, B},
	 .err = -EOPNOTSUPP,
	 .says = "opset"},
};

OPTEST_SUITE("graph/op/fusedmatmul", rows)
