/* SPDX-License-Identifier: MIT */
/* graph/op: FusedConv, which no model has. */
#include <errno.h>

#include "graph/op.h"
#include "tests/support/optest.h"

#define OWN .op = "FusedConv", .opset = FINF_OPSET_OWN

/* clang-format off */
#define X OT(F32, OT_S(1, 1, 2, 2), 1, 2, 3, 4)
#define W OT(F32, OT_S(1, 1, 1, 2), 10, 1)
#define B OT(F32, OT_S(1), 100)
#define Z OT(F32, OT_S(1, 1, 2, 1), 0.5f, -0.5f)
/* clang-format on */

static const struct optest_row rows[] = {
	{.name = "bias and addend",
	 OWN,
	 .in = {X, W, B, Z},
	 .out = {OT(F32, OT_S(1, 1, 2, 1), 112.5f, 133.5f)}},
	{.name = "no bias",
	 OWN,
	 .in = {X, W, OT_OMIT, Z},
	 .out = {OT(F32, OT_S(1, 1, 2, 1), 12.5f, 33.5f)}},
	{.name = "attributes of Conv",
	 OWN,
	 .attrs = {OT_IS("strides", 2, 1)},
	 .in = {X, W, B, OT(F32, OT_S(1, 1, 1, 1), 1)},
	 .out = {OT(F32, OT_S(1, 1, 1, 1), 113)}},
	{.name = "no addend",
	 OWN,
	 .in = {X, W, B},
	 .err = -EINVAL,
	 .says = "the addend is missing"},
	{.name = "it does not broadcast",
	 OWN,
	 .in = {X, W, B, OT_ZEROS(F32, OT_S(1, 1, 1, 1))},
	 .err = -EINVAL,
	 .says = "shape"},
	{.name = "another rank",
	 OWN,
	 .in = {X, W, B, OT_ZEROS(F32, OT_S(2, 1))},
	 .err = -EINVAL,
	 .says = "rank"},
	{.name = "another dtype",
	 OWN,
	 .in = {X, W, B, OT_ZEROS(I64, OT_S(1, 1, 2, 1))},
	 .err = -EOPNOTSUPP,
	 .says = "float32"},
	{.name = "a model's opset",
	 .op = "FusedConv",
	 .opset = 21,
	 .in = {X, W, B, Z},
	 .err = -EOPNOTSUPP,
	 .says = "opset"},
};

OPTEST_SUITE("graph/op/fusedconv", rows)
