/* SPDX-License-Identifier: MIT */
/*
 * op/reduce - what ReduceSum, ReduceMax and their kin share: axes from an
 * attribute or an input, the shape, and the walk. Such an operator is a table
 * of functions, one per dtype, and a line that makes it an operator.
 */
#ifndef FINF_GRAPH_OP_REDUCE_H
#define FINF_GRAPH_OP_REDUCE_H

#include <math.h>

#include "graph/op/move.h"

/* Element @i of @y from the @n elements of @x that @walk visits; it comes back to its start. */
typedef void (*finf_reduce_fn)(void *y, size_t i, const void *x, struct finf_walk *walk, int64_t n);

/* One line of a table; a line without a function ends it. */
struct finf_reduce {
	enum finf_dtype dtype;
	uint16_t since; /* opset that has this dtype */
	finf_reduce_fn fn;
};

/* Such a function: @all starts as @first, becomes @step for each x, and @last is stored. */
#define FINF_REDUCE_FN(fn_name, type, wide, first, step, last)                                     \
	static void fn_name(void *y, size_t at, const void *from, struct finf_walk *walk,          \
			    int64_t n)                                                             \
	{                                                                                          \
		wide all = first;                                                                  \
                                                                                                   \
		for (int64_t i = 0; i < n; i++, finf_walk_next(walk)) {                            \
			const wide x = (wide)((const type *)from)[walk->offset];                   \
                                                                                                   \
			all = (wide)(step);                                                        \
		}                                                                                  \
		((type *)y)[at] = (type)(last);                                                    \
	}

/* Attributes while axes is one, up to opset 17; ReduceSum up to 12 has its own. */
extern const struct finf_attr_spec finf_reduce_attrs[];

/** finf_reduce_infer - @axes_since: the opset since which axes are input 1. */
int finf_reduce_infer(struct finf_infer *ctx, const struct finf_reduce *table, uint32_t axes_since);

int finf_reduce_range(const struct finf_reduce *table, const struct finf_node *node,
		      const struct finf_tensor *const *in, struct finf_tensor *y,
		      struct finf_span span);

/* The operator @id from its table. */
#define FINF_REDUCE_OP(id, onnx, table, axes_since, attr_list)                                     \
	static int infer(struct finf_infer *ctx)                                                   \
	{                                                                                          \
		return finf_reduce_infer(ctx, table, axes_since);                                  \
	}                                                                                          \
	static int range(const struct finf_node *node, const struct finf_tensor *const *in,        \
			 struct finf_tensor *const *out, struct finf_span span)                    \
	{                                                                                          \
		return finf_reduce_range(table, node, in, out[0], span);                           \
	}                                                                                          \
	const struct finf_op finf_op_##id = {                                                      \
		.name = onnx,                                                                      \
		.opset_min = 7,                                                                    \
		.opset_max = 21,                                                                   \
		.min_in = 1,                                                                       \
		.max_in = 2,                                                                       \
		.min_out = 1,                                                                      \
		.max_out = 1,                                                                      \
		.attrs = attr_list,                                                                \
		.infer = infer,                                                                    \
		.range = range,                                                                    \
	}

#endif
