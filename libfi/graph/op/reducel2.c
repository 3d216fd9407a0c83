/* SPDX-License-Identifier: MIT */
/* ReduceL2: the root of the sum of squares (ONNX ReduceL2-1, -11, -13, -18). */
#include "graph/op/reduce.h"

FINF_REDUCE_FN(l2_f32, float, double, 0, all + x * x, sqrt(all))
FINF_REDUCE_FN(l2_f64, double, double, 0, all + x * x, sqrt(all))

static const struct finf_reduce rows[] = {{FINF_F32, 7, l2_f32}, {FINF_F64, 7, l2_f64}, {0}};

FINF_REDUCE_OP(reducel2, "ReduceL2", rows, 18, finf_reduce_attrs);
