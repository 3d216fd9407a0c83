/* SPDX-License-Identifier: MIT */
/*
 * op/arith - what Add, Sub, Mul and Div share. Each of them is three row
 * functions, one per dtype, and a line that hands them to finf_arith_eval().
 */
#ifndef FINF_GRAPH_OP_ARITH_H
#define FINF_GRAPH_OP_ARITH_H

#include "graph/op/compute.h"

/* y[i] = a[i * a_step] op b[i * b_step]; a step is 0 where that side is repeated. */
typedef int (*finf_row_fn)(void *y, const void *a, const void *b, size_t a_step, size_t b_step,
			   size_t n);

struct finf_arith {
	finf_row_fn f32, i64, i32;
};

/* A row function from an expression over p and q; -EINVAL where @refuse holds. */
#define FINF_ARITH_ROW(name, type, expression, refuse)                                             \
	static int name(void *y, const void *a, const void *b, size_t a_step, size_t b_step,       \
			size_t n)                                                                  \
	{                                                                                          \
		for (size_t i = 0; i < n; i++) {                                                   \
			const type p = ((const type *)a)[i * a_step];                              \
			const type q = ((const type *)b)[i * b_step];                              \
                                                                                                   \
			if (refuse)                                                                \
				return -EINVAL;                                                    \
			((type *)y)[i] = (type)(expression);                                       \
		}                                                                                  \
		return 0;                                                                          \
	}

/** finf_arith_infer - float32, int64 or int32, both the same; shapes broadcast. */
int finf_arith_infer(struct finf_infer *ctx);

/** finf_arith_eval - the row function of y's dtype, over all rows of @y. */
int finf_arith_eval(const struct finf_arith *rows, const struct finf_tensor *const *in,
		    struct finf_tensor *y);

#endif
