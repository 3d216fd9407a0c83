/* SPDX-License-Identifier: MIT */
/* Sum of any number of operands, in their order, as Add would (ONNX Sum-6, -8, -13). */
#include <errno.h>

#include "graph/op/arith.h"

FINF_ARITH_ROW(sum_f32, float, p + q, false)
FINF_ARITH_ROW(sum_f64, double, p + q, false)

static const struct finf_arith rows[] = {
	FINF_ARITH_SAME(F32, 7, sum_f32),
	FINF_ARITH_SAME(F64, 7, sum_f64),
	{0},
};

FINF_FOLD_OP(sum, "Sum", rows);
