/* SPDX-License-Identifier: MIT */
/* graph/op: ReduceMean. */
#include <errno.h>
#include <math.h>

#include "tests/support/optest.h"

#define IN OT(F32, OT_S(2, 2, 2), 1, 2, 3, 4, 5, 6, 7, 8)
#define MEAN(title, opset_, wanted, ...)                                                           \
	{                                                                                          \
		.name = title, .op = "ReduceMean", .opset = opset_, .attrs = {__VA_ARGS__},        \
		.in = {IN},                                                                        \
		.out = { wanted }                                                                  \
	}

static const struct optest_row rows[] = {
	{.name = "all axes by default",
	 .op = "ReduceMean",
	 .opset = 7,
	 .in = {IN},
	 .out = {OT(F32, OT_S(1, 1, 1), 4.5)}},
	MEAN("an empty list is all axes", 11, OT(F32, OT_S(1, 1, 1), 4.5), OT_IS("axes")),
	MEAN("nothing kept", 13, OT(F32, OT_S(), 4.5), OT_I("keepdims", 0)),
	MEAN("last axis", 13, OT(F32, OT_S(2, 2, 1), 1.5, 3.5, 5.5, 7.5), OT_IS("axes", 2)),
	MEAN("first axis", 17, OT(F32, OT_S(1, 2, 2), 3, 4, 5, 6), OT_IS("axes", 0)),
	MEAN("middle axis dropped", 13, OT(F32, OT_S(2, 2), 2, 3, 6, 7), OT_IS("axes", 1),
	     OT_I("keepdims", 0)),
	MEAN("two axes, negative and out of order", 11, OT(F32, OT_S(2, 1, 1), 2.5, 6.5),
	     OT_IS("axes", -1, 1)),
	MEAN("outer axes dropped", 13, OT(F32, OT_S(2), 4, 5), OT_IS("axes", 0, 1),
	     OT_I("keepdims", 0)),
	{.name = "scalar",
	 .op = "ReduceMean",
	 .in = {OT(F32, OT_S(), 3)},
	 .out = {OT(F32, OT_S(), 3)}},
	{.name = "the mean of nothing",
	 .op = "ReduceMean",
	 .attrs = {OT_IS("axes", 1)},
	 .in = {OT_ZEROS(F32, OT_S(2, 0))},
	 .out = {OT(F32, OT_S(2, 1), NAN, NAN)}},
	{.name = "no means",
	 .op = "ReduceMean",
	 .attrs = {OT_IS("axes", 1)},
	 .in = {OT_ZEROS(F32, OT_S(0, 2))},
	 .out = {OT_ZEROS(F32, OT_S(0, 1))}},
	{.name = "axis beyond the rank",
	 .op = "ReduceMean",
	 .attrs = {OT_IS("axes", 3)},
	 .in = {IN},
	 .err = -EINVAL,
	 .says = "axis 3"},
	{.name = "axis listed twice",
	 .op = "ReduceMean",
	 .attrs = {OT_IS("axes", 0, -3)},
	 .in = {IN},
	 .err = -EINVAL,
	 .says = "twice"},
	{.name = "int64",
	 .op = "ReduceMean",
	 .in = {OT(I64, OT_S(2), 1, 2)},
	 .err = -EOPNOTSUPP,
	 .says = "int64"},
	{.name = "axes input, as since opset 18",
	 .op = "ReduceMean",
	 .opset = 17,
	 .in = {IN, OT_K(I64, OT_S(1), 0)},
	 .err = -EINVAL,
	 .says = "opset 18"},
	{.name = "axes attribute, as up to opset 17",
	 .op = "ReduceMean",
	 .opset = 18,
	 .attrs = {OT_IS("axes", 0)},
	 .in = {IN},
	 .err = -EOPNOTSUPP,
	 .says = "axes"},
	{.name = "axes that arrive with the request",
	 .op = "ReduceMean",
	 .opset = 18,
	 .in = {IN, OT(I64, OT_S(1), 0)},
	 .err = -EOPNOTSUPP,
	 .says = "depends on data"},
	{.name = "noop_with_empty_axes, as since opset 18",
	 .op = "ReduceMean",
	 .attrs = {OT_I("noop_with_empty_axes", 1)},
	 .in = {IN},
	 .err = -EOPNOTSUPP,
	 .says = "noop_with_empty_axes"},
};

OPTEST_SUITE("graph/op/reducemean", rows)
