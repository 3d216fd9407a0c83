/* SPDX-License-Identifier: MIT */
/*
 * fuse: a residual into the Conv or the linear layer before it, Conv(x) + z. The Add
 * becomes the convolution, so that z is there by then:
 *
 *	x - conv - relu - conv - add - relu		x - conv - relu - conv+z - relu
 *	 \_____________________/		   ->	 \_________________/
 */
#include <errno.h>
#include <stdlib.h>

#include "fuse/internal.h"

enum { X, W, B, Z };

/* ---- what dimension 0 is, where nobody knows its extent -------------------------------- */

/* Output 0 has as many rows as input 0, whatever else it has. */
static bool keeps_rows(const struct finf_node *node)
{
	static const char *const ops[] = {
		"AveragePool", "BatchNormalization", "Clip",	"Conv", "FusedConv", "HardSigmoid",
		"HardSwish",   "LeakyRelu",	     "MaxPool", "Mish", "Relu",	     "Sigmoid",
		"Tanh",	       "GlobalAveragePool",
	};

	for (size_t i = 0; i < FINF_ARRAY_LEN(ops); i++)
		if (finf_fuse_is(node, ops[i]))
			return true;
	return false;
}

static bool is_sum(const struct finf_node *node)
{
	return node->n_in == 2 && node->in[1] != FINF_NONE &&
	       (finf_fuse_is(node, "Add") || finf_fuse_is(node, "Sum"));
}

/* Both operands of these have the same rows, and so the result has them. */
static bool joins_rows(const struct finf_graph *graph, const struct finf_node *node,
		       const uint32_t *rows)
{
	const struct finf_value *a, *b;

	if (!is_sum(node) && !finf_fuse_is(node, "Mul"))
		return false;
	a = &graph->values[node->in[0]];
	b = &graph->values[node->in[1]];
	return a->has_shape && b->has_shape && a->shape.rank == b->shape.rank &&
	       rows[node->in[0]] == rows[node->in[1]];
}

/* Values with the same number have dimension 0 in common. */
static void number_rows(const struct finf_graph *graph, uint32_t *rows)
{
	for (uint32_t v = 0; v < graph->n_values; v++)
		rows[v] = v;
	for (uint32_t i = 0; i < graph->n_nodes; i++) {
		const struct finf_node *node = &graph->nodes[i];

		if (keeps_rows(node) || joins_rows(graph, node, rows))
			rows[node->out[0]] = rows[node->in[0]];
	}
}

/* ---- the rewrite --------------------------------------------------------------------- */

/* Is @z of float32 and certainly of the shape that @y has? */
static bool fits(const struct finf_graph *graph, uint32_t z, uint32_t y, const uint32_t *rows)
{
	const struct finf_value *a = &graph->values[z], *b = &graph->values[y];

	if (a->is_const || a->dtype != FINF_F32 || !a->has_shape || !b->has_shape ||
	    a->shape.rank != b->shape.rank)
		return false;
	for (uint32_t i = 0; i < a->shape.rank; i++)
		if (a->shape.dim[i] != b->shape.dim[i] ||
		    (a->shape.dim[i] == FINF_DIM_ANY && (i || rows[z] != rows[y])))
			return false;
	return true;
}

/* A matrix for all rows and a bias: any other product that has both is left as it is. */
static bool is_linear(const struct finf_graph *graph, const struct finf_node *node)
{
	const struct finf_value *b, *c;

	if (node->n_in != 3 || node->in[B] == FINF_NONE || finf_node_float(node, "alpha", 1) != 1)
		return false;
	b = &graph->values[node->in[W]];
	c = &graph->values[node->in[B]];
	return b->is_const && b->shape.rank == 2 && c->is_const && c->shape.rank == 1 &&
	       c->shape.dim[0] == b->shape.dim[1];
}

/* What makes @value for one reader alone and can add to it; else FINF_NONE. */
static uint32_t producer_of(const struct finf_rewrite *rw, uint32_t value)
{
	uint32_t at = finf_rewrite_sole(rw, value, "Conv");

	if (at != FINF_NONE)
		return at;
	at = finf_rewrite_sole(rw, value, "FusedMatMul");
	return at != FINF_NONE && is_linear(rw->graph, &rw->graph->nodes[at]) ? at : FINF_NONE;
}

/* Node @at becomes @conv with the addend @z; what activates the sum stays. */
static int become(struct finf_rewrite *rw, uint32_t at, uint32_t conv, uint32_t z)
{
	struct finf_node *node = &rw->graph->nodes[at];
	const struct finf_node *from = &rw->graph->nodes[conv];
	uint32_t *in = finf_arena_array(&rw->graph->arena, Z + 1, sizeof(*in));

	if (!in)
		return -ENOMEM;
	in[X] = from->in[X];
	in[W] = from->in[W];
	in[B] = finf_fuse_input(from, B);
	in[Z] = z;
	node->op = finf_fuse_is(from, "Conv") ? finf_op_find("FusedConv") : from->op;
	node->opset = FINF_OPSET_OWN;
	node->in = in;
	node->n_in = Z + 1;
	node->attrs = from->attrs;
	node->n_attrs = from->n_attrs;
	finf_rewrite_drop(rw, conv);
	return 0;
}

/* Of two producers the later one: then all nodes stay in their order. */
static int rewrite(struct finf_rewrite *rw, uint32_t at, const uint32_t *rows)
{
	const struct finf_node *node = &rw->graph->nodes[at];
	uint32_t conv = FINF_NONE, z = FINF_NONE;

	for (uint32_t k = 0; k < 2; k++) {
		uint32_t found = producer_of(rw, node->in[k]);

		if (found == FINF_NONE || (conv != FINF_NONE && found < conv) ||
		    !fits(rw->graph, node->in[!k], node->in[k], rows))
			continue;
		conv = found;
		z = node->in[!k];
	}
	return conv == FINF_NONE ? 0 : become(rw, at, conv, z);
}

static int run(struct finf_graph *graph, uint32_t *ret_changes, struct finf_diag *diag)
{
	uint32_t *rows = calloc(FINF_MAX(graph->n_values, 1u), sizeof(*rows));
	struct finf_rewrite rw;
	int err;

	(void)diag;
	if (!rows)
		return -ENOMEM;
	err = finf_rewrite_begin(&rw, graph);
	if (err)
		goto out;
	number_rows(graph, rows);
	for (uint32_t i = 0; !err && i < graph->n_nodes; i++)
		if (is_sum(&graph->nodes[i]))
			err = rewrite(&rw, i, rows);
	err = finf_rewrite_end(&rw, err, ret_changes);
out:
	free(rows);
	return err;
}

const struct finf_fuse_pass finf_fuse_residual = {.name = "residual", .run = run};
