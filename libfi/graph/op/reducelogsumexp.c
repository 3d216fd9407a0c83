/* SPDX-License-Identifier: MIT */
/*
 * ReduceLogSumExp: log(sum(e^x)) (ONNX ReduceLogSumExp-1, -11, -13, -18). The
 * largest element is taken off first, so that e^x stays finite.
 */
#include "graph/op/reduce.h"

#define LOGSUMEXP(name, type)                                                                      \
	static void name(void *y, size_t at, const void *from, struct finf_walk *walk, int64_t n)  \
	{                                                                                          \
		double largest = -INFINITY, sum = 0;                                               \
                                                                                                   \
		for (int64_t i = 0; i < n; i++, finf_walk_next(walk))                              \
			largest = fmax(largest, (double)((const type *)from)[walk->offset]);       \
		if (isinf(largest)) { /* of nothing, of nothing but -inf, or beyond all */         \
			((type *)y)[at] = (type)largest;                                           \
			return;                                                                    \
		}                                                                                  \
		for (int64_t i = 0; i < n; i++, finf_walk_next(walk))                              \
			sum += exp((double)((const type *)from)[walk->offset] - largest);          \
		((type *)y)[at] = (type)(largest + log(sum));                                      \
	}

LOGSUMEXP(logsumexp_f32, float)
LOGSUMEXP(logsumexp_f64, double)

static const struct finf_reduce rows[] = {
	{FINF_F32, 7, logsumexp_f32}, {FINF_F64, 7, logsumexp_f64}, {0}};

FINF_REDUCE_OP(reducelogsumexp, "ReduceLogSumExp", rows, 18, finf_reduce_attrs);
