/* SPDX-License-Identifier: MIT */
/*
 * op/einsum - an equation that was read: its labels, and how far apart the
 * elements of each operand are along every one of them.
 */
#ifndef FINF_GRAPH_OP_EINSUM_H
#define FINF_GRAPH_OP_EINSUM_H

#include "graph/op/move.h"

#define FINF_EINSUM_OPERANDS 8

/* All labels: first the @n_out of the result, in its order, then those summed over. */
struct finf_einsum {
	uint32_t n, n_out;
	int64_t extent[FINF_RANK_MAX];
	int64_t stride[FINF_EINSUM_OPERANDS][FINF_RANK_MAX]; /* 0: it lacks the label */
};

/**
 * finf_einsum_init - the equation of an Einsum node with inputs of these shapes.
 * Return: 0; -EINVAL, -EOPNOTSUPP with diag.
 */
int finf_einsum_init(const struct finf_node *node, const struct finf_tensor *const *in,
		     struct finf_einsum *ret, struct finf_diag *diag);

#endif
