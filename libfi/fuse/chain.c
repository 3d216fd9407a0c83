/* SPDX-License-Identifier: MIT */
/*
 * fuse: connected elementwise nodes become one FusedElementwise, when what they hand on to
 * each other is read nowhere else and as large as the result. Runs last: what is
 * left by then no other kernel takes in.
 */
#include <errno.h>

#include "fuse/internal.h"
#include "graph/program.h"

/* Nodes in topological order, the root, which makes the result, last. */
struct chain {
	uint32_t nodes[FINF_PROGRAM_STEPS], n_nodes;
	uint32_t in[FINF_PROGRAM_INPUTS], n_in; /* values that come from outside */
	struct finf_program program;
};

static uint32_t result_of(const struct finf_graph *graph, const struct chain *chain)
{
	return graph->nodes[chain->nodes[chain->n_nodes - 1]].out[0];
}

/* Which of the nodes makes this value? n_nodes: none. */
static uint32_t maker(const struct finf_graph *graph, const struct chain *chain, uint32_t value)
{
	uint32_t i = 0;

	while (i < chain->n_nodes && chain->nodes[i] != graph->values[value].producer)
		i++;
	return i;
}

static uint32_t reads_inside(const struct finf_graph *graph, const struct chain *chain,
			     uint32_t value)
{
	uint32_t n = 0;

	for (uint32_t m = 0; m < chain->n_nodes; m++) {
		const struct finf_node *node = &graph->nodes[chain->nodes[m]];

		for (uint32_t k = 0; k < node->n_in; k++)
			n += node->in[k] == value;
	}
	return n;
}

/* ---- what comes in -------------------------------------------------------------------- */

static bool add_input(const struct finf_graph *graph, struct chain *chain, uint32_t value)
{
	const struct finf_value *v = &graph->values[value];

	for (uint32_t i = 0; i < chain->n_in; i++)
		if (chain->in[i] == value)
			return true;
	/* Constants that are no floats stay in kernels of their own. */
	if (!v->has_shape || (v->is_const && v->dtype != FINF_F32) ||
	    chain->n_in == FINF_PROGRAM_INPUTS)
		return false;
	chain->in[chain->n_in++] = value;
	return true;
}

static bool same_shape(const struct finf_value *a, const struct finf_value *b)
{
	return a->has_shape && b->has_shape && finf_shape_equal(&a->shape, &b->shape);
}

/* The result may be written over input 0: one of its shape that nobody else needs, if there is any. */
static void order_inputs(const struct finf_rewrite *rw, struct chain *chain)
{
	const struct finf_graph *graph = rw->graph;
	const struct finf_value *y = &graph->values[result_of(graph, chain)];

	for (uint32_t i = 0; i < chain->n_in; i++) {
		uint32_t value = chain->in[i];
		const struct finf_value *x = &graph->values[value];

		if (x->producer == FINF_NONE || x->dtype != FINF_F32 || !same_shape(x, y) ||
		    reads_inside(graph, chain, value) != rw->uses[value])
			continue;
		chain->in[i] = chain->in[0];
		chain->in[0] = value;
		return;
	}
}

/* Numbers are part of the program, and have no shape: the others must make that of the result. */
static bool make_shape(const struct finf_graph *graph, const struct chain *chain)
{
	const struct finf_value *y = &graph->values[result_of(graph, chain)];
	struct finf_shape all = {0};

	for (uint32_t i = 0; i < chain->n_in; i++)
		if (finf_broadcast(&all, &graph->values[chain->in[i]].shape, &all))
			return false;
	return chain->n_in && y->has_shape && finf_shape_equal(&all, &y->shape);
}

static bool collect_inputs(const struct finf_rewrite *rw, struct chain *chain)
{
	const struct finf_graph *graph = rw->graph;
	uint32_t y = result_of(graph, chain);
	float number;

	chain->n_in = 0;
	for (uint32_t m = 0; m < chain->n_nodes; m++) {
		const struct finf_node *node = &graph->nodes[chain->nodes[m]];

		for (uint32_t k = 0; k < node->n_in; k++)
			if (node->in[k] != FINF_NONE &&
			    maker(graph, chain, node->in[k]) == chain->n_nodes &&
			    !finf_fuse_scalar(graph, node->in[k], y, &number) &&
			    !add_input(graph, chain, node->in[k]))
				return false;
	}
	order_inputs(rw, chain);
	return make_shape(graph, chain);
}

/* ---- the program ----------------------------------------------------------------------- */

/* @made: what the nodes before have made, as operands. */
static int operand(const struct finf_graph *graph, struct chain *chain, const int *made,
		   uint32_t value, int *ret)
{
	uint32_t m = maker(graph, chain, value);
	float number;

	if (m < chain->n_nodes) {
		*ret = made[m];
		return 0;
	}
	for (uint32_t i = 0; i < chain->n_in; i++)
		if (chain->in[i] == value) {
			*ret = (int)i;
			return 0;
		}
	if (!finf_fuse_scalar(graph, value, result_of(graph, chain), &number))
		return -EOPNOTSUPP;
	return finf_program_number(&chain->program, number, ret);
}

static bool compile(const struct finf_rewrite *rw, struct chain *chain)
{
	const struct finf_graph *graph = rw->graph;
	int made[FINF_PROGRAM_STEPS];

	chain->program.n_steps = chain->program.n_numbers = 0;
	if (!collect_inputs(rw, chain))
		return false;
	for (uint32_t m = 0; m < chain->n_nodes; m++) {
		const struct finf_node *node = &graph->nodes[chain->nodes[m]];
		int in[FINF_PROGRAM_INPUTS] = {0}, err = 0;

		for (uint32_t k = 0; k < node->n_in && !err; k++)
			if (node->in[k] != FINF_NONE)
				err = operand(graph, chain, made, node->in[k], &in[k]);
		if (err || finf_program_add(&chain->program, node, in, &made[m]))
			return false;
	}
	return true;
}

/* ---- growing --------------------------------------------------------------------------- */

/* The node that makes @value may come in; FINF_NONE: there is none, or it is inside. */
static uint32_t candidate(const struct finf_rewrite *rw, const struct chain *chain, uint32_t value)
{
	const struct finf_graph *graph = rw->graph;
	uint32_t producer = value == FINF_NONE ? FINF_NONE : graph->values[value].producer;

	if (producer == FINF_NONE || maker(graph, chain, value) < chain->n_nodes ||
	    !finf_program_takes(graph, &graph->nodes[producer]) ||
	    !same_shape(&graph->values[value], &graph->values[result_of(graph, chain)]) ||
	    reads_inside(graph, chain, value) != rw->uses[value])
		return FINF_NONE;
	return producer;
}

/* Put in its place in the order, if the program still has room. */
static bool try_node(const struct finf_rewrite *rw, struct chain *chain, uint32_t node)
{
	struct chain larger = *chain;
	uint32_t at = larger.n_nodes;

	if (larger.n_nodes == FINF_PROGRAM_STEPS)
		return false;
	for (; at && larger.nodes[at - 1] > node; at--)
		larger.nodes[at] = larger.nodes[at - 1];
	larger.nodes[at] = node;
	larger.n_nodes++;
	if (!compile(rw, &larger))
		return false;
	*chain = larger;
	return true;
}

static bool grow(const struct finf_rewrite *rw, struct chain *chain)
{
	for (uint32_t m = chain->n_nodes; m-- > 0;) {
		const struct finf_node *node = &rw->graph->nodes[chain->nodes[m]];

		for (uint32_t k = 0; k < node->n_in; k++) {
			uint32_t next = candidate(rw, chain, node->in[k]);

			if (next != FINF_NONE && try_node(rw, chain, next))
				return true;
		}
	}
	return false;
}

/* The root becomes the program, the others go. */
static int rewrite(struct finf_rewrite *rw, const struct chain *chain)
{
	struct finf_graph *graph = rw->graph;
	struct finf_node *root = &graph->nodes[chain->nodes[chain->n_nodes - 1]];
	uint32_t *in = finf_arena_dup(&graph->arena, chain->in, chain->n_in * sizeof(*in));
	int err = in ? finf_program_attrs(&chain->program, &graph->arena, &root->attrs,
					  &root->n_attrs)
		     : -ENOMEM;

	if (err)
		return err;
	root->op = finf_op_find("FusedElementwise");
	root->opset = FINF_OPSET_OWN;
	root->in = in;
	root->n_in = chain->n_in;
	root->act = FINF_ACT_NONE;
	for (uint32_t m = 0; m + 1 < chain->n_nodes; m++)
		finf_rewrite_drop(rw, chain->nodes[m]);
	return 0;
}

static int run(struct finf_graph *graph, uint32_t *ret_changes, struct finf_diag *diag)
{
	struct finf_rewrite rw;
	int err = finf_rewrite_begin(&rw, graph);

	(void)diag;
	if (err)
		return err;
	for (uint32_t i = graph->n_nodes; i-- > 0 && !err;) {
		struct chain chain = {.nodes = {i}, .n_nodes = 1};

		if (!rw.keep[i] || !finf_program_takes(graph, &graph->nodes[i]) ||
		    graph->values[graph->nodes[i].out[0]].dtype != FINF_F32)
			continue;
		while (grow(&rw, &chain))
			;
		if (chain.n_nodes > 1)
			err = rewrite(&rw, &chain);
	}
	return finf_rewrite_end(&rw, err, ret_changes);
}

const struct finf_fuse_pass finf_fuse_chain = {.name = "chain", .run = run};
