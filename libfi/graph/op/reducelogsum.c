/* SPDX-License-Identifier: MIT */
/* ReduceLogSum: the logarithm of the sum (ONNX ReduceLogSum-1, -11, -13, -18). */
#include "graph/op/reduce.h"

FINF_REDUCE_FN(logsum_f32, float, double, 0, all + x, log(all))
FINF_REDUCE_FN(logsum_f64, double, double, 0, all + x, log(all))

static const struct finf_reduce rows[] = {
	{FINF_F32, 7, logsum_f32}, {FINF_F64, 7, logsum_f64}, {0}};

FINF_REDUCE_OP(reducelogsum, "ReduceLogSum", rows, 18, finf_reduce_attrs);
