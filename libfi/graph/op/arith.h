/* SPDX-License-Identifier: MIT */
/*
 * op/arith - what operators on broadcast operands share. Such an operator is a
 * table of row functions, one per pair of dtypes, and a line that makes it an
 * operator: of two operands (Add, Less, Pow) or of any number (Max, Sum).
 */
#ifndef FINF_GRAPH_OP_ARITH_H
#define FINF_GRAPH_OP_ARITH_H

#include "graph/op/compute.h"

/* y[i] = a[i * a_step] op b[i * b_step]; a step is 0 where that side is repeated. */
typedef int (*finf_row_fn)(void *y, const void *a, const void *b, size_t a_step, size_t b_step,
			   size_t n);

/* One line of a table; a line without a row function ends it. */
struct finf_arith {
	enum finf_dtype a, b, y;
	uint16_t since; /* opset that has this pair of dtypes */
	finf_row_fn row;
};

/* A line whose operands and result are of one dtype. */
#define FINF_ARITH_SAME(dtype, since, row)                                                         \
	{                                                                                          \
		FINF_##dtype, FINF_##dtype, FINF_##dtype, since, row                               \
	}

/* A row function from an expression over p and q; -EINVAL where @refuse holds. */
#define FINF_MIXED_ROW(name, y_type, a_type, b_type, expression, refuse)                           \
	static int name(void *y, const void *a, const void *b, size_t a_step, size_t b_step,       \
			size_t n)                                                                  \
	{                                                                                          \
		for (size_t i = 0; i < n; i++) {                                                   \
			const a_type p = ((const a_type *)a)[i * a_step];                          \
			const b_type q = ((const b_type *)b)[i * b_step];                          \
                                                                                                   \
			if (refuse)                                                                \
				return -EINVAL;                                                    \
			((y_type *)y)[i] = (y_type)(expression);                                   \
		}                                                                                  \
		return 0;                                                                          \
	}
#define FINF_ARITH_ROW(name, type, expression, refuse)                                             \
	FINF_MIXED_ROW(name, type, type, type, expression, refuse)

/** finf_arith_infer - dtypes as @table has them; shapes broadcast. */
int finf_arith_infer(struct finf_infer *ctx, const struct finf_arith *table);

/** finf_arith_range - the row function for the operands' dtypes, over elements @span of @y. */
int finf_arith_range(const struct finf_arith *table, const struct finf_tensor *a,
		     const struct finf_tensor *b, struct finf_tensor *y, struct finf_span span);

/** finf_fold_infer - any number of operands of one dtype that @table has. */
int finf_fold_infer(struct finf_infer *ctx, const struct finf_arith *table);

/** finf_fold_range - the first with the second, the result with the third, and on. */
int finf_fold_range(const struct finf_arith *table, const struct finf_node *node,
		    const struct finf_tensor *const *in, struct finf_tensor *y,
		    struct finf_span span);

/* The operator @id of two operands, from its table. */
#define FINF_ARITH_OP(id, onnx, first_opset, table)                                                \
	static int infer(struct finf_infer *ctx)                                                   \
	{                                                                                          \
		return finf_arith_infer(ctx, table);                                               \
	}                                                                                          \
	static int range(const struct finf_node *node, const struct finf_tensor *const *in,        \
			 struct finf_tensor *const *out, struct finf_span span)                    \
	{                                                                                          \
		(void)node;                                                                        \
		return finf_arith_range(table, in[0], in[1], out[0], span);                        \
	}                                                                                          \
	const struct finf_op finf_op_##id = {                                                      \
		.name = onnx,                                                                      \
		.opset_min = first_opset,                                                          \
		.opset_max = 21,                                                                   \
		.min_in = 2,                                                                       \
		.max_in = 2,                                                                       \
		.min_out = 1,                                                                      \
		.max_out = 1,                                                                      \
		.infer = infer,                                                                    \
		.range = range,                                                                    \
	}

/* The operator @id of any number of operands. */
#define FINF_FOLD_OP(id, onnx, table)                                                              \
	static int infer(struct finf_infer *ctx)                                                   \
	{                                                                                          \
		return finf_fold_infer(ctx, table);                                                \
	}                                                                                          \
	static int range(const struct finf_node *node, const struct finf_tensor *const *in,        \
			 struct finf_tensor *const *out, struct finf_span span)                    \
	{                                                                                          \
		return finf_fold_range(table, node, in, out[0], span);                             \
	}                                                                                          \
	const struct finf_op finf_op_##id = {                                                      \
		.name = onnx,                                                                      \
		.opset_min = 7,                                                                    \
		.opset_max = 21,                                                                   \
		.min_in = 1,                                                                       \
		.max_in = 255,                                                                     \
		.min_out = 1,                                                                      \
		.max_out = 1,                                                                      \
		.infer = infer,                                                                    \
		.range = range,                                                                    \
	}

#endif
