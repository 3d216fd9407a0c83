/* SPDX-License-Identifier: MIT */
/* op/matmul - MatMul's own inference and kernel, for operators that are built on it. */
#ifndef FINF_GRAPH_OP_MATMUL_H
#define FINF_GRAPH_OP_MATMUL_H

#include "graph/op/compute.h"

/** finf_matmul_infer - of inputs 0 and 1; inputs behind them are not looked at but for dtype. */
int finf_matmul_infer(struct finf_infer *ctx);
int finf_matmul_eval(const struct finf_node *node, const struct finf_tensor *const *in,
		     struct finf_tensor *const *out);

/**
 * finf_fusedmatmul_repeats - does C make the result @y of a FusedMatMul larger than the
 * product of @a and @b? Shapes are static and were inferred.
 */
bool finf_fusedmatmul_repeats(const struct finf_shape *a, const struct finf_shape *b,
			      const struct finf_shape *y);

#endif
