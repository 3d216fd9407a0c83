/* SPDX-License-Identifier: MIT */
/*
 * fuse: what stands around a MatMul of matrices or stacks becomes part of it:
 *
 *	alpha * (A B) + C	a scale behind it, or in front of a factor; then a
 *				bias, a mask or whatever broadcasts to the product
 *
 * as attention and the layers of transformers have it. The last node becomes the
 * product, so that C is there by then.
 */
#include <errno.h>

#include "fuse/internal.h"

enum { A, B, C };

struct product {
	uint32_t node; /* FINF_NONE: none */
	uint32_t a, b;
	float alpha;
};

static bool is_stack(const struct finf_graph *graph, uint32_t value)
{
	const struct finf_value *v = &graph->values[value];

	return v->dtype == FINF_F32 && v->has_shape && v->shape.rank >= 2;
}

/* The product without addend that makes @value for one reader alone. */
static bool find_product(const struct finf_rewrite *rw, uint32_t value, struct product *ret)
{
	uint32_t at = finf_rewrite_sole(rw, value, "MatMul");
	const struct finf_node *node;

	if (at == FINF_NONE)
		at = finf_rewrite_sole(rw, value, "FusedMatMul");
	if (at == FINF_NONE)
		return false;
	node = &rw->graph->nodes[at];
	if (finf_fuse_input(node, C) != FINF_NONE || !is_stack(rw->graph, node->in[A]) ||
	    !is_stack(rw->graph, node->in[B]))
		return false;
	*ret = (struct product){at, node->in[A], node->in[B], finf_node_float(node, "alpha", 1)};
	return true;
}

/*
 * No dimension of @addend is certainly larger than the product's. One of which that turns out
 * when the graph is bound to shapes makes the sum larger, which FusedMatMul allows.
 */
static bool broadcasts(const struct finf_graph *graph, uint32_t addend, uint32_t product)
{
	const struct finf_value *c = &graph->values[addend], *y = &graph->values[product];

	if (c->dtype != FINF_F32 || !c->has_shape || !y->has_shape || c->shape.rank > y->shape.rank)
		return false;
	for (uint32_t i = 0; i < c->shape.rank; i++) {
		int64_t dim = c->shape.dim[i],
			own = y->shape.dim[y->shape.rank - c->shape.rank + i];

		if (dim != 1 && dim != own && dim != FINF_DIM_ANY && own != FINF_DIM_ANY)
			return false;
	}
	return true;
}

/* A scale that is not 0: x * s, s * x or x / s. @like: what it is applied to. */
static bool scale_of(const struct finf_graph *graph, const struct finf_node *node, uint32_t k,
		     float *ret)
{
	float s;

	if (!finf_fuse_is(node, "Mul") && (k || !finf_fuse_is(node, "Div")))
		return false;
	if (!finf_fuse_scalar(graph, node->in[!k], node->in[k], &s) || s == 0)
		return false;
	*ret = finf_fuse_is(node, "Div") ? 1 / s : s;
	return true;
}

/* Node @at becomes the product. */
static int become(struct finf_rewrite *rw, uint32_t at, const struct product *p, uint32_t addend)
{
	struct finf_node *node = &rw->graph->nodes[at];
	struct finf_attr *alpha = finf_arena_array(&rw->graph->arena, 1, sizeof(*alpha));
	uint32_t *in = finf_arena_array(&rw->graph->arena, 3, sizeof(*in));

	if (!alpha || !in)
		return -ENOMEM;
	*alpha = (struct finf_attr){.name = "alpha", .type = FINF_ATTR_FLOAT, .f = p->alpha};
	in[A] = p->a;
	in[B] = p->b;
	in[C] = addend;
	node->op = finf_op_find("FusedMatMul");
	node->opset = FINF_OPSET_OWN;
	node->in = in;
	node->n_in = addend == FINF_NONE ? 2 : 3;
	node->attrs = alpha;
	node->n_attrs = 1;
	return 0;
}

/* The scale or the addend behind a product. */
static int behind(struct finf_rewrite *rw, uint32_t at)
{
	const struct finf_graph *graph = rw->graph;
	const struct finf_node *node = &graph->nodes[at];
	struct product p;
	float scale;

	for (uint32_t k = 0; k < 2 && k < node->n_in; k++) {
		uint32_t addend = FINF_NONE;
		int err;

		if (!find_product(rw, node->in[k], &p))
			continue;
		if (scale_of(graph, node, k, &scale))
			p.alpha *= scale;
		else if (finf_fuse_is(node, "Add") && broadcasts(graph, node->in[!k], node->in[k]))
			addend = node->in[!k];
		else
			continue;
		err = become(rw, at, &p, addend);
		if (!err)
			finf_rewrite_drop(rw, p.node);
		return err;
	}
	return 0;
}

/* The scale in front of factor @k. */
static int in_front(struct finf_rewrite *rw, uint32_t at, uint32_t k)
{
	const struct finf_graph *graph = rw->graph;
	const struct finf_node *node = &graph->nodes[at], *scaled;
	struct product p = {.a = node->in[A], .b = node->in[B]};
	uint32_t gone = finf_rewrite_sole_producer(rw, node->in[k]);
	float scale;
	int err;

	if (gone == FINF_NONE || graph->nodes[gone].act != FINF_ACT_NONE || !is_stack(graph, p.a) ||
	    !is_stack(graph, p.b))
		return 0;
	scaled = &graph->nodes[gone];
	for (uint32_t i = 0; i < 2 && i < scaled->n_in; i++) {
		if (!scale_of(graph, scaled, i, &scale))
			continue;
		p.alpha = scale * finf_node_float(node, "alpha", 1);
		*(k == A ? &p.a : &p.b) = scaled->in[i];
		err = become(rw, at, &p, finf_fuse_input(node, C));
		if (!err)
			finf_rewrite_drop(rw, gone);
		return err;
	}
	return 0;
}

static int at(struct finf_rewrite *rw, uint32_t i)
{
	const struct finf_node *node = &rw->graph->nodes[i];
	int err;

	if (finf_fuse_is(node, "MatMul") || finf_fuse_is(node, "FusedMatMul")) {
		err = in_front(rw, i, A);
		return err ? err : in_front(rw, i, B);
	}
	if (finf_fuse_is(node, "Add") || finf_fuse_is(node, "Mul") || finf_fuse_is(node, "Div"))
		return behind(rw, i);
	return 0;
}

const struct finf_fuse_pass finf_fuse_matmul = {.name = "matmul", .at = at};
