/* SPDX-License-Identifier: MIT */
/*
 * fuse: Clip(x + 3, 0, 6) / 6 becomes HardSigmoid, and x Clip(x + 3, 0, 6) / 6 HardSwish:
 * opsets before 14 have no HardSwish, so exporters spell it out.
 */
#include <errno.h>
#include <math.h>

#include "fuse/internal.h"

/* The nodes that go, from the division inwards; product is FINF_NONE where there is none. */
struct gate {
	uint32_t x, product, clip, sum;
};

static bool is_about(const struct finf_graph *graph, uint32_t value, uint32_t like, float want)
{
	float got;

	return finf_fuse_scalar(graph, value, like, &got) && fabsf(got - want) <= 1e-6f * want;
}

/* @value is Clip(x + 3, 0, 6), and nobody else wants to know. */
static bool match_clip(const struct finf_rewrite *rw, uint32_t value, struct gate *gate)
{
	const struct finf_graph *graph = rw->graph;
	const struct finf_node *sum;
	float low = -1, high = -1;

	gate->clip = finf_rewrite_sole(rw, value, "Clip");
	if (gate->clip == FINF_NONE ||
	    !finf_fuse_bounds(graph, &graph->nodes[gate->clip], &low, &high) || low != 0 ||
	    high != 6)
		return false;
	gate->sum = finf_rewrite_sole(rw, graph->nodes[gate->clip].in[0], "Add");
	if (gate->sum == FINF_NONE)
		return false;
	sum = &graph->nodes[gate->sum];
	for (uint32_t k = 0; k < 2; k++)
		if (is_about(graph, sum->in[k], sum->in[!k], 3)) {
			gate->x = sum->in[!k];
			return graph->values[gate->x].dtype == FINF_F32;
		}
	return false;
}

/* @value is x Clip(x + 3, 0, 6). */
static bool match_product(const struct finf_rewrite *rw, uint32_t value, struct gate *gate)
{
	const struct finf_node *product;

	gate->product = finf_rewrite_sole(rw, value, "Mul");
	if (gate->product == FINF_NONE)
		return false;
	product = &rw->graph->nodes[gate->product];
	for (uint32_t k = 0; k < 2; k++)
		if (match_clip(rw, product->in[k], gate) && product->in[!k] == gate->x)
			return true;
	return false;
}

/* What is divided by 6, or multiplied with its reciprocal; FINF_NONE: neither. */
static uint32_t sixth_of(const struct finf_graph *graph, const struct finf_node *node)
{
	if (finf_fuse_is(node, "Div") && is_about(graph, node->in[1], node->in[0], 6))
		return node->in[0];
	for (uint32_t k = 0; k < 2 && finf_fuse_is(node, "Mul"); k++)
		if (is_about(graph, node->in[k], node->in[!k], 1.0f / 6))
			return node->in[!k];
	return FINF_NONE;
}

/* The division becomes the operator. */
static int rewrite(struct finf_rewrite *rw, uint32_t at, const struct gate *gate)
{
	struct finf_node *node = &rw->graph->nodes[at];
	bool swish = gate->product != FINF_NONE;
	struct finf_attr *alpha = finf_arena_array(&rw->graph->arena, 1, sizeof(*alpha));

	if (!alpha)
		return -ENOMEM;
	*alpha = (struct finf_attr){.name = "alpha", .type = FINF_ATTR_FLOAT, .f = 1.0f / 6};
	node->op = finf_op_find(swish ? "HardSwish" : "HardSigmoid");
	node->opset = node->op->opset_min;
	node->attrs = alpha;
	node->n_attrs = !swish;
	node->in[0] = gate->x;
	node->n_in = 1;
	if (swish)
		finf_rewrite_drop(rw, gate->product);
	finf_rewrite_drop(rw, gate->clip);
	finf_rewrite_drop(rw, gate->sum);
	return 0;
}

static int at(struct finf_rewrite *rw, uint32_t i)
{
	uint32_t value = sixth_of(rw->graph, &rw->graph->nodes[i]);
	struct gate gate = {.product = FINF_NONE};

	if (value != FINF_NONE &&
	    (match_product(rw, value, &gate) ||
	     (gate.product == FINF_NONE && match_clip(rw, value, &gate))))
		return rewrite(rw, i, &gate);
	return 0;
}

const struct finf_fuse_pass finf_fuse_hardswish = {.name = "hardswish", .at = at};
