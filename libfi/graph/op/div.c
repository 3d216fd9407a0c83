/* SPDX-License-Identifier: MIT */
/*
 * Div with broadcasting (ONNX Div-7, -13, -14). Integers truncate towards zero
 * and refuse a zero divisor; the smallest integer over -1 wraps around.
 */
#include <errno.h>

#include "graph/op/arith.h"

FINF_ARITH_ROW(div_f32, float, p / q, false)
FINF_ARITH_ROW(div_i64, int64_t, q == -1 ? (int64_t)(0 - (uint64_t)p) : p / q, q == 0)
FINF_ARITH_ROW(div_i32, int32_t, q == -1 ? (int32_t)(0 - (uint32_t)p) : p / q, q == 0)

static const struct finf_arith rows = {div_f32, div_i64, div_i32};

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	(void)node;
	return finf_arith_eval(&rows, in, out[0]);
}

const struct finf_op finf_op_div = {
	.name = "Div",
	.opset_min = 7,
	.opset_max = 17,
	.min_in = 2,
	.max_in = 2,
	.min_out = 1,
	.max_out = 1,
	.infer = finf_arith_infer,
	.eval = eval,
};
