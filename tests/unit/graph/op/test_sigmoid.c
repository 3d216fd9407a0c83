/* SPDX-License-Identifier: MIT */
/* graph/op: Sigmoid. */
#include <errno.h>
#include <math.h>

#include "tests/support/optest.h"

static const struct optest_row rows[] = {
	{.name = "opset 7",
	 .op = "Sigmoid",
	 .opset = 7,
	 .in = {OT(F32, OT_S(5), 0, 1, -1, 4, -4)},
	 .out = {OT(F32, OT_S(5), 0.5, 0.731058579, 0.268941421, 0.982013790, 0.0179862100)}},
	{.name = "far out, opset 17",
	 .op = "Sigmoid",
	 .opset = 17,
	 .in = {OT(F32, OT_S(4), 1000, -1000, INFINITY, -INFINITY)},
	 .out = {OT(F32, OT_S(4), 1, 0, 1, 0)}},
	{.name = "what is no number stays so",
	 .op = "Sigmoid",
	 .in = {OT(F32, OT_S(), NAN)},
	 .out = {OT(F32, OT_S(), NAN)}},
	{.name = "float64",
	 .op = "Sigmoid",
	 .in = {OT(F64, OT_S(1), 1)},
	 .err = -EOPNOTSUPP,
	 .says = "float64"},
	{.name = "an attribute",
	 .op = "Sigmoid",
	 .attrs = {OT_F("alpha", 1)},
	 .in = {OT(F32, OT_S(1), 1)},
	 .err = -EOPNOTSUPP,
	 .says = "alpha"},
};

OPTEST_SUITE("graph/op/sigmoid", rows)
