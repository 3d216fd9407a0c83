/* SPDX-License-Identifier: MIT */
/*
 * fuse: attention is one node, so that nobody has to keep a square of weights:
 *
 *	MatMul or FusedMatMul -> Softmax -> MatMul	FusedAttention
 *
 * with the Transposes that make heads in front of its inputs and undo them behind it.
 * Runs behind matmul, which has brought scale and mask into the first product.
 */
#include <errno.h>
#include <string.h>

#include "fuse/internal.h"
#include "graph/op.h"

enum { Q, K, V, MASK };

static const char *const perms[] = {"perm_q", "perm_k", "perm_v"};

static bool is_stack(const struct finf_graph *graph, uint32_t value)
{
	const struct finf_value *v = &graph->values[value];

	return v->dtype == FINF_F32 && v->has_shape && v->shape.rank >= 2;
}

/* ---- the three of them --------------------------------------------------------------- */

/* A Softmax along rows that only @value's reader reads. */
static uint32_t find_softmax(const struct finf_rewrite *rw, uint32_t value)
{
	uint32_t at = finf_rewrite_sole(rw, value, "Softmax"), axis, rank;
	const struct finf_node *node;

	if (at == FINF_NONE || !is_stack(rw->graph, value))
		return FINF_NONE;
	node = &rw->graph->nodes[at];
	rank = rw->graph->values[value].shape.rank;
	if (!finf_axis(finf_node_int(node, "axis", node->opset < 13 ? 1 : -1), rank, &axis))
		return FINF_NONE;
	return axis == rank - 1 ? at : FINF_NONE;
}

static uint32_t find_product(const struct finf_rewrite *rw, uint32_t value)
{
	uint32_t at = finf_rewrite_sole(rw, value, "FusedMatMul");

	return at == FINF_NONE ? finf_rewrite_sole(rw, value, "MatMul") : at;
}

/* Node @at takes what product @from has, and multiplies it with what it had. */
static int become(struct finf_rewrite *rw, uint32_t at, const struct finf_node *from)
{
	struct finf_node *node = &rw->graph->nodes[at];
	struct finf_attr *alpha = finf_arena_array(&rw->graph->arena, 1, sizeof(*alpha));
	uint32_t *in = finf_arena_array(&rw->graph->arena, 4, sizeof(*in));

	if (!alpha || !in)
		return -ENOMEM;
	*alpha = (struct finf_attr){
		.name = "alpha", .type = FINF_ATTR_FLOAT, .f = finf_node_float(from, "alpha", 1)};
	in[Q] = from->in[0];
	in[K] = from->in[1];
	in[V] = node->in[1];
	in[MASK] = finf_fuse_input(from, 2);
	node->op = finf_op_find("FusedAttention");
	node->opset = FINF_OPSET_OWN;
	node->in = in;
	node->n_in = in[MASK] == FINF_NONE ? 3 : 4;
	node->attrs = alpha;
	node->n_attrs = 1;
	return 0;
}

static int three_of_them(struct finf_rewrite *rw, uint32_t at)
{
	const struct finf_graph *graph = rw->graph;
	const struct finf_node *node = &graph->nodes[at], *from;
	uint32_t softmax = find_softmax(rw, node->in[0]), product;
	int err;

	if (node->act != FINF_ACT_NONE || softmax == FINF_NONE || !is_stack(graph, node->in[1]))
		return 0;
	product = find_product(rw, graph->nodes[softmax].in[0]);
	if (product == FINF_NONE)
		return 0;
	from = &graph->nodes[product];
	if (!is_stack(graph, from->in[0]) || !is_stack(graph, from->in[1]) ||
	    finf_fuse_input(from, 3) != FINF_NONE)
		return 0;
	err = become(rw, at, from);
	if (!err) {
		finf_rewrite_drop(rw, softmax);
		finf_rewrite_drop(rw, product);
	}
	return err;
}

/* ---- Transposes ------------------------------------------------------------------------- */

/* What a node says about the order of @rank dimensions, else as they are, or @reversed. */
static bool read_perm(const struct finf_node *node, const char *name, uint32_t rank, bool reversed,
		      uint32_t ret[FINF_RANK_MAX])
{
	uint32_t n;
	const int64_t *given = finf_node_ints(node, name, &n);

	for (uint32_t i = 0; i < rank; i++)
		ret[i] = reversed ? rank - 1 - i : i;
	if (given && n != rank)
		return false;
	for (uint32_t i = 0; given && i < rank; i++)
		if (!finf_axis(given[i], rank, &ret[i]))
			return false;
	return true;
}

/* With attribute @name = @perm, in place of the one that is there. */
static int set_perm(struct finf_graph *graph, struct finf_node *node, const char *name,
		    const uint32_t *perm, uint32_t rank)
{
	struct finf_attr *attrs =
		finf_arena_array(&graph->arena, node->n_attrs + 1, sizeof(*attrs));
	int64_t *ints = finf_arena_array(&graph->arena, rank, sizeof(*ints));
	uint32_t n = 0;

	if (!attrs || !ints)
		return -ENOMEM;
	for (uint32_t i = 0; i < rank; i++)
		ints[i] = perm[i];
	for (uint32_t i = 0; i < node->n_attrs; i++)
		if (strcmp(node->attrs[i].name, name))
			attrs[n++] = node->attrs[i];
	attrs[n++] =
		(struct finf_attr){.name = name, .type = FINF_ATTR_INTS, .n = rank, .ints = ints};
	node->attrs = attrs;
	node->n_attrs = n;
	return 0;
}

/*
 * The Transpose in front of input @k, unless neither rows nor columns of the matrices
 * would lie in one piece then. *ret_more: there may be another one.
 */
static int in_front(struct finf_rewrite *rw, uint32_t at, uint32_t k, bool *ret_more)
{
	struct finf_graph *graph = rw->graph;
	struct finf_node *node = &graph->nodes[at];
	uint32_t gone = finf_rewrite_sole(rw, node->in[k], "Transpose"), rank;
	uint32_t own[FINF_RANK_MAX], theirs[FINF_RANK_MAX], both[FINF_RANK_MAX];
	int err;

	*ret_more = false;
	if (gone == FINF_NONE || !is_stack(graph, node->in[k]))
		return 0;
	rank = graph->values[node->in[k]].shape.rank;
	if (!read_perm(node, perms[k], rank, false, own) ||
	    !read_perm(&graph->nodes[gone], "perm", rank, true, theirs))
		return 0;
	for (uint32_t i = 0; i < rank; i++)
		both[i] = theirs[own[i]];
	if (both[rank - 1] != rank - 1 && both[rank - 2] != rank - 1)
		return 0;
	err = set_perm(graph, node, perms[k], both, rank);
	if (err)
		return err;
	node->in[k] = graph->nodes[gone].in[0];
	finf_rewrite_drop(rw, gone);
	*ret_more = true;
	return 0;
}

static int all_in_front(struct finf_rewrite *rw, uint32_t at)
{
	bool more = true;
	int err = 0;

	for (uint32_t k = 0; !err && k < 3; k += !more)
		err = in_front(rw, at, k, &more);
	return err;
}

/* The Transpose @at behind an attention, unless rows of the result would not lie in one piece. */
static int behind(struct finf_rewrite *rw, uint32_t at)
{
	struct finf_graph *graph = rw->graph;
	const struct finf_node *gone = &graph->nodes[at];
	uint32_t into = finf_rewrite_sole(rw, gone->in[0], "FusedAttention"), rank;
	uint32_t own[FINF_RANK_MAX], theirs[FINF_RANK_MAX], both[FINF_RANK_MAX];
	int err;

	if (into == FINF_NONE || gone->act != FINF_ACT_NONE || !is_stack(graph, gone->in[0]))
		return 0;
	rank = graph->values[gone->in[0]].shape.rank;
	if (!read_perm(&graph->nodes[into], "perm_y", rank, false, own) ||
	    !read_perm(gone, "perm", rank, true, theirs))
		return 0;
	for (uint32_t i = 0; i < rank; i++)
		both[i] = own[theirs[i]];
	if (both[rank - 1] != rank - 1)
		return 0;
	err = set_perm(graph, &graph->nodes[into], "perm_y", both, rank);
	if (!err)
		finf_rewrite_absorb(rw, into, at);
	return err;
}

static int at(struct finf_rewrite *rw, uint32_t i)
{
	const struct finf_node *node = &rw->graph->nodes[i];
	int err = finf_fuse_is(node, "MatMul") ? three_of_them(rw, i) : 0;

	if (err)
		return err;
	if (finf_fuse_is(node, "FusedAttention"))
		return all_in_front(rw, i);
	return finf_fuse_is(node, "Transpose") ? behind(rw, i) : 0;
}

const struct finf_fuse_pass finf_fuse_attention = {.name = "attention", .at = at};
