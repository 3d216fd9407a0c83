/* SPDX-License-Identifier: MIT */
/* graph/op: the reductions. */
#include <errno.h>
#include <math.h>

#include "tests/support/optest.h"

#define IN OT(F32, OT_S(2, 3), 1, 2, 3, -4, 5, 6)
#define ROW(onnx, opset_, kind, a, b)                                                              \
	{                                                                                          \
		.name = onnx " of " #kind, .op = onnx, .opset = opset_,                            \
		.attrs = {OT_IS("axes", -1), OT_I("keepdims", 0)},                                 \
		.in = {OT(kind, OT_S(2, 3), 1, 2, 3, 4, 5, 6)},                                    \
		.out = { OT(kind, OT_S(2), a, b) }                                                 \
	}
#define REFUSED(onnx, opset_, kind)                                                                \
	{                                                                                          \
		.name = onnx " of " #kind ", refused", .op = onnx, .opset = opset_,                \
		.in = {OT(kind, OT_S(1), 1)}, .err = -EOPNOTSUPP, .says = "not supported"          \
	}

static const struct optest_row rows[] = {
	ROW("ReduceL1", 7, F32, 6, 15),
	ROW("ReduceL1", 13, I64, 6, 15),
	ROW("ReduceL1", 13, I32, 6, 15),
	ROW("ReduceL2", 7, F32, 3.7416574, 8.7749644),
	ROW("ReduceL2", 11, F64, 3.7416574, 8.7749644),
	ROW("ReduceLogSum", 7, F32, 1.7917595, 2.7080502),
	ROW("ReduceLogSumExp", 11, F32, 3.4076059, 6.4076059),
	ROW("ReduceLogSumExp", 13, F64, 3.4076059, 6.4076059),
	ROW("ReduceMax", 7, F32, 3, 6),
	ROW("ReduceMax", 11, I64, 3, 6),
	ROW("ReduceMax", 11, I32, 3, 6),
	ROW("ReduceMax", 12, I8, 3, 6),
	ROW("ReduceMax", 12, U8, 3, 6),
	ROW("ReduceMean", 13, F64, 2, 5),
	ROW("ReduceMin", 7, F32, 1, 4),
	ROW("ReduceMin", 13, I64, 1, 4),
	ROW("ReduceMin", 13, I32, 1, 4),
	ROW("ReduceMin", 17, I8, 1, 4),
	ROW("ReduceMin", 17, U8, 1, 4),
	ROW("ReduceProd", 7, F32, 6, 120),
	ROW("ReduceProd", 13, I64, 6, 120),
	ROW("ReduceProd", 13, I32, 6, 120),
	ROW("ReduceSum", 7, F32, 6, 15),
	ROW("ReduceSum", 12, I64, 6, 15),
	ROW("ReduceSumSquare", 7, F32, 14, 77),
	ROW("ReduceSumSquare", 13, I32, 14, 77),
#include "numpy_reduce.inc"
	{.name = "ReduceSum, axes input since opset 13",
	 .op = "ReduceSum",
	 .opset = 13,
	 .in = {IN, OT_K(I64, OT_S(1), 0)},
	 .out = {OT(F32, OT_S(1, 3), -3, 7, 9)}},
	{.name = "ReduceSum, axes attribute since opset 13",
	 .op = "ReduceSum",
	 .attrs = {OT_IS("axes", 0)},
	 .in = {IN},
	 .err = -EOPNOTSUPP,
	 .says = "axes"},
	{.name = "ReduceSum, axes input before opset 13",
	 .op = "ReduceSum",
	 .opset = 12,
	 .in = {IN, OT_K(I64, OT_S(1), 0)},
	 .err = -EINVAL,
	 .says = "opset 13"},
	{.name = "ReduceSum, nothing to do, opset 13",
	 .op = "ReduceSum",
	 .attrs = {OT_I("noop_with_empty_axes", 1)},
	 .in = {IN},
	 .out = {IN}},
	{.name = "ReduceSum of int32 wraps",
	 .op = "ReduceSum",
	 .in = {OT(I32, OT_S(2), INT32_MAX, 1)},
	 .out = {OT(I32, OT_S(1), INT32_MIN)}},
	{.name = "ReduceL1 of negative integers",
	 .op = "ReduceL1",
	 .in = {OT(I64, OT_S(3), -1, 2, -3)},
	 .out = {OT(I64, OT_S(1), 6)}},
	{.name = "ReduceMax, NaN wins",
	 .op = "ReduceMax",
	 .in = {OT(F32, OT_S(3), 1, NAN, INFINITY)},
	 .out = {OT(F32, OT_S(1), NAN)}},
	{.name = "ReduceMin of negative int8",
	 .op = "ReduceMin",
	 .in = {OT(I8, OT_S(3), -128, 0, 127)},
	 .out = {OT(I8, OT_S(1), -128)}},
	{.name = "ReduceLogSumExp stays finite",
	 .op = "ReduceLogSumExp",
	 .in = {OT(F32, OT_S(2), 1000, 1000)},
	 .out = {OT(F32, OT_S(1), 1000.69317)}},
	{.name = "ReduceLogSumExp, NaN stays",
	 .op = "ReduceLogSumExp",
	 .in = {OT(F32, OT_S(2), 1, NAN)},
	 .out = {OT(F32, OT_S(1), NAN)}},
	{.name = "ReduceProd of a scalar",
	 .op = "ReduceProd",
	 .in = {OT(F32, OT_S(), 3)},
	 .out = {OT(F32, OT_S(), 3)}},
	{.name = "an axis beyond the rank",
	 .op = "ReduceMax",
	 .opset = 18,
	 .in = {IN, OT_K(I64, OT_S(1), 2)},
	 .err = -EINVAL,
	 .says = "axis 2"},
	{.name = "axes arrive with the request, dimensions go",
	 .op = "ReduceMax",
	 .opset = 18,
	 .attrs = {OT_I("keepdims", 0)},
	 .in = {IN, OT(I64, OT_S(1), 0)},
	 .err = -EOPNOTSUPP,
	 .says = "depends on data"},
	{.name = "axes of float32",
	 .op = "ReduceSum",
	 .in = {IN, OT_K(F32, OT_S(1), 0)},
	 .err = -EINVAL,
	 .says = "float32"},
	REFUSED("ReduceMax", 11, I8),
	REFUSED("ReduceMin", 19, BOOL),
	REFUSED("ReduceSum", 13, BOOL),
	REFUSED("ReduceL2", 13, I64),
	REFUSED("ReduceLogSum", 13, I32),
};

OPTEST_SUITE("graph/op/reduce", rows)
