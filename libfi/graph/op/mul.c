/* SPDX-License-Identifier: MIT */
/* Mul with broadcasting (ONNX Mul-7, -13, -14). Integers wrap around: unsigned keeps that defined.
 */
#include <errno.h>

#include "graph/op/arith.h"

FINF_ARITH_ROW(mul_f32, float, p *q, false)
FINF_ARITH_ROW(mul_i64, int64_t, (uint64_t)p *(uint64_t)q, false)
FINF_ARITH_ROW(mul_i32, int32_t, (uint32_t)p *(uint32_t)q, false)

static const struct finf_arith rows = {mul_f32, mul_i64, mul_i32};

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	(void)node;
	return finf_arith_eval(&rows, in, out[0]);
}

const struct finf_op finf_op_mul = {
	.name = "Mul",
	.opset_min = 7,
	.opset_max = 17,
	.min_in = 2,
	.max_in = 2,
	.min_out = 1,
	.max_out = 1,
	.infer = finf_arith_infer,
	.eval = eval,
};
