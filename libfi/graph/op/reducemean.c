/* SPDX-License-Identifier: MIT */
/* ReduceMean of floats (ONNX ReduceMean-1, -11, -13, -18). The mean of nothing is NaN. */
#include "graph/op/reduce.h"

FINF_REDUCE_FN(mean_f32, float, double, 0, all + x, n ? all / (double)n : NAN)
FINF_REDUCE_FN(mean_f64, double, double, 0, all + x, n ? all / (double)n : NAN)

static const struct finf_reduce rows[] = {{FINF_F32, 7, mean_f32}, {FINF_F64, 7, mean_f64}, {0}};

FINF_REDUCE_OP(reducemean, "ReduceMean", rows, 18, finf_reduce_attrs);
