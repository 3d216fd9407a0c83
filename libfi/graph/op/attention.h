/* SPDX-License-Identifier: MIT */
/*
 * op/attention - where the elements of FusedAttention are, for its kernels on
 * every device.
 * Must not know: any device.
 */
#ifndef FINF_GRAPH_OP_ATTENTION_H
#define FINF_GRAPH_OP_ATTENTION_H

#include "graph/op.h"

/* An operand as a stack of matrices. Strides in elements; 0 where it is repeated or has extent 1.
 */
struct finf_attention_side {
	int64_t stack[FINF_RANK_MAX], outer, inner;
};

/* Each matrix of y, rows x width, is softmax(alpha q k + mask) v. */
struct finf_attention {
	uint32_t rank; /* of the stack */
	int64_t stack[FINF_RANK_MAX];
	int64_t rows, cols, depth, width;
	float alpha;
	bool masked;
	struct finf_attention_side q;	 /* rows x depth */
	struct finf_attention_side k;	 /* depth x cols */
	struct finf_attention_side v;	 /* cols x width */
	struct finf_attention_side mask; /* rows x cols */
	struct finf_attention_side y;	 /* rows x width */
};

/**
 * finf_attention_init - of a node whose shapes are static and were inferred.
 * @param in   shapes of Q, K, V and the mask; NULL = no mask
 * @param out  of Y
 * Return: 0; -EINVAL where they contradict.
 */
int finf_attention_init(const struct finf_node *node, const struct finf_shape *const in[4],
			const struct finf_shape *out, struct finf_attention *ret);

/** finf_attention_matrices - how many there are in the stack. */
int64_t finf_attention_matrices(const struct finf_attention *a);

/** finf_attention_at - the first element of matrix @index of a side. */
int64_t finf_attention_at(const struct finf_attention *a, const struct finf_attention_side *side,
			  int64_t index);

#endif
