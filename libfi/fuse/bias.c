/* SPDX-License-Identifier: MIT */
/*
 * fuse: a constant row added to a product. MatMul of two matrices becomes
 * Gemm, and Gemm without a bias takes it.
 */
#include <errno.h>

#include "fuse/internal.h"

enum { A, B, C };

static bool is_matrix(const struct finf_graph *graph, uint32_t value)
{
	const struct finf_value *v = &graph->values[value];

	return v->has_shape && v->shape.rank == 2;
}

static bool takes_bias(const struct finf_graph *graph, const struct finf_node *node)
{
	if (node->act != FINF_ACT_NONE || graph->values[node->out[0]].dtype != FINF_F32)
		return false;
	if (finf_fuse_is(node, "MatMul"))
		return is_matrix(graph, node->in[A]) && is_matrix(graph, node->in[B]);
	return finf_fuse_is(node, "Gemm") && finf_fuse_input(node, C) == FINF_NONE &&
	       finf_node_float(node, "beta", 1) == 1;
}

/* One element per column of the product, and no more dimensions than it has. */
static bool is_row(const struct finf_graph *graph, uint32_t value, uint32_t product)
{
	const struct finf_value *v = &graph->values[value], *y = &graph->values[product];
	uint32_t rank = v->shape.rank;
	size_t n;

	return finf_fuse_floats(graph, value, &n) && (rank == 1 || rank == 2) && y->has_shape &&
	       v->shape.dim[rank - 1] == y->shape.dim[1] && (int64_t)n == y->shape.dim[1];
}

static int rewrite(struct finf_rewrite *rw, uint32_t product, uint32_t add, uint32_t bias)
{
	struct finf_node *node = &rw->graph->nodes[product], *gone = &rw->graph->nodes[add];
	uint32_t *in = finf_arena_array(&rw->graph->arena, 3, sizeof(*in));

	if (!in)
		return -ENOMEM;
	in[A] = node->in[A];
	in[B] = node->in[B];
	in[C] = bias;
	node->op = finf_op_find("Gemm");
	node->in = in;
	node->n_in = 3;
	node->act = gone->act;
	node->act_a = gone->act_a;
	node->act_b = gone->act_b;
	finf_rewrite_absorb(rw, product, add);
	return 0;
}

static int at(struct finf_rewrite *rw, uint32_t i)
{
	const struct finf_node *add = &rw->graph->nodes[i];

	for (uint32_t k = 0; k < 2 && finf_fuse_is(add, "Add"); k++) {
		uint32_t product = finf_rewrite_sole_producer(rw, add->in[k]);

		if (product != FINF_NONE && takes_bias(rw->graph, &rw->graph->nodes[product]) &&
		    is_row(rw->graph, add->in[!k], add->in[k]))
			return rewrite(rw, product, i, add->in[!k]);
	}
	return 0;
}

const struct finf_fuse_pass finf_fuse_bias = {.name = "bias", .at = at};
