/* SPDX-License-Identifier: MIT */
/*
 * op/unary - operators of one operand, element by element: a table of functions,
 * one per dtype, and a line that makes it an operator.
 */
#ifndef FINF_GRAPH_OP_UNARY_H
#define FINF_GRAPH_OP_UNARY_H

#include "graph/op/compute.h"

/* One line of a table; a line without a function ends it. */
struct finf_unary {
	enum finf_dtype dtype;
	uint16_t since; /* opset that has this dtype */
	void (*fn)(void *y, const void *x, size_t n);
};

/* Such a function from an expression over x, which is of type @wide. */
#define FINF_UNARY_FN(fn_name, type, wide, expression)                                             \
	static void fn_name(void *to, const void *from, size_t n)                                  \
	{                                                                                          \
		for (size_t i = 0; i < n; i++) {                                                   \
			const wide x = (wide)((const type *)from)[i];                              \
                                                                                                   \
			((type *)to)[i] = (type)(expression);                                      \
		}                                                                                  \
	}

/** finf_unary_infer - dtype as @table has it; the same shape. */
int finf_unary_infer(struct finf_infer *ctx, const struct finf_unary *table);

int finf_unary_range(const struct finf_unary *table, const struct finf_tensor *x,
		     struct finf_tensor *y, struct finf_span span);

/* The operator @id from its table. */
#define FINF_UNARY_OP(id, onnx, first_opset, table)                                                \
	static int infer(struct finf_infer *ctx)                                                   \
	{                                                                                          \
		return finf_unary_infer(ctx, table);                                               \
	}                                                                                          \
	static int range(const struct finf_node *node, const struct finf_tensor *const *in,        \
			 struct finf_tensor *const *out, struct finf_span span)                    \
	{                                                                                          \
		(void)node;                                                                        \
		return finf_unary_range(table, in[0], out[0], span);                               \
	}                                                                                          \
	const struct finf_op finf_op_##id = {                                                      \
		.name = onnx,                                                                      \
		.opset_min = first_opset,                                                          \
		.opset_max = 21,                                                                   \
		.min_in = 1,                                                                       \
		.max_in = 1,                                                                       \
		.min_out = 1,                                                                      \
		.max_out = 1,                                                                      \
		.infer = infer,                                                                    \
		.range = range,                                                                    \
	}

/* An operator on floats, computed in double: all that most of them are. */
#define FINF_UNARY_FLOAT_OP(id, onnx, first_opset, expression)                                     \
	FINF_UNARY_FN(unary_f32, float, double, expression)                                        \
	FINF_UNARY_FN(unary_f64, double, double, expression)                                       \
	static const struct finf_unary rows[] = {                                                  \
		{FINF_F32, first_opset, unary_f32},                                                \
		{FINF_F64, first_opset, unary_f64},                                                \
		{0},                                                                               \
	};                                                                                         \
	FINF_UNARY_OP(id, onnx, first_opset, rows)

#endif
