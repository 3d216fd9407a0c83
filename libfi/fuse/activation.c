/* SPDX-License-Identifier: MIT */
/*
 * fuse: activations into the node that makes their input. Some come as x * f(x), spelled out in
 * nodes of which two read x: Swish, HardSwish. Mish is left to the chains: where a convolution is
 * a matrix product oneDNN does it one by one.
 */
#include <math.h>
#include <string.h>

#include "fuse/internal.h"

/* Operators whose kernels apply an activation as they write. */
static const char *const producers[] = {
	"Conv", "FusedConv", "Gemm", "MatMul", "FusedMatMul", "BatchNormalization",
	"Add",	"Sub",	     "Mul",  "Div",
};

struct act {
	enum finf_act kind;
	float a, b;
};

/* Activations without bounds, and what alpha is where it is not given. */
static bool simple_act(const struct finf_node *node, struct act *ret)
{
	static const struct {
		const char *op;
		enum finf_act act;
		float alpha;
	} table[] = {
		{"Elu", FINF_ACT_ELU, 1},
		{"Gelu", FINF_ACT_GELU, 0},
		{"HardSwish", FINF_ACT_HARD_SWISH, 0},
		{"LeakyRelu", FINF_ACT_LEAKY, 0.01f},
		{"Mish", FINF_ACT_MISH, 0},
		{"Relu", FINF_ACT_RELU, 0},
		{"Sigmoid", FINF_ACT_SIGMOID, 0},
		{"Tanh", FINF_ACT_TANH, 0},
	};

	for (size_t i = 0; i < FINF_ARRAY_LEN(table); i++) {
		if (!finf_fuse_is(node, table[i].op))
			continue;
		*ret = (struct act){table[i].act, finf_node_float(node, "alpha", table[i].alpha),
				    0};
		if (!strcmp(finf_node_str(node, "approximate", "none"), "tanh"))
			ret->kind = FINF_ACT_GELU_TANH;
		return true;
	}
	return false;
}

static bool act_of(const struct finf_graph *graph, const struct finf_node *node, struct act *ret)
{
	if (node->act != FINF_ACT_NONE)
		return false;
	if (simple_act(node, ret))
		return true;
	if (!finf_fuse_is(node, "Clip"))
		return false;
	ret->kind = FINF_ACT_CLIP;
	return finf_fuse_bounds(graph, node, &ret->a, &ret->b);
}

static bool takes_act(const struct finf_graph *graph, const struct finf_node *node)
{
	if (node->act != FINF_ACT_NONE || graph->values[node->out[0]].dtype != FINF_F32)
		return false;
	for (size_t i = 0; i < FINF_ARRAY_LEN(producers); i++)
		if (finf_fuse_is(node, producers[i]))
			return true;
	return false;
}

/* What is multiplied with x. */
struct factor {
	uint32_t node;
	enum finf_act act; /* x times it */
};

static bool is_sixth(const struct finf_node *node)
{
	return fabsf(finf_node_float(node, "alpha", 0.2f) - 1.0f / 6) <= 1e-6f &&
	       finf_node_float(node, "beta", 0.5f) == 0.5f;
}

/* @value is Sigmoid(x) or HardSigmoid(x), and nobody else reads it. */
static bool match_factor(const struct finf_rewrite *rw, uint32_t value, uint32_t x,
			 struct factor *ret)
{
	uint32_t at = finf_rewrite_sole_producer(rw, value);
	const struct finf_node *node;
	enum finf_act act;

	if (at == FINF_NONE || rw->graph->nodes[at].act != FINF_ACT_NONE)
		return false;
	node = &rw->graph->nodes[at];
	if (finf_fuse_is(node, "Sigmoid"))
		act = FINF_ACT_SWISH;
	else if (finf_fuse_is(node, "HardSigmoid") && is_sixth(node))
		act = FINF_ACT_HARD_SWISH;
	else
		return false;
	*ret = (struct factor){at, act};
	return node->in[0] == x;
}

/* x * f(x), and nobody else reads either: the node that makes x, and f. */
static uint32_t match_product(const struct finf_rewrite *rw, const struct finf_node *root,
			      struct factor *ret)
{
	const struct finf_graph *graph = rw->graph;

	if (!finf_fuse_is(root, "Mul") || root->act != FINF_ACT_NONE)
		return FINF_NONE;
	for (uint32_t k = 0; k < 2; k++) {
		uint32_t x = root->in[!k], producer = graph->values[x].producer;

		if (rw->uses[x] == 2 && producer != FINF_NONE &&
		    graph->nodes[producer].out[0] == x &&
		    takes_act(graph, &graph->nodes[producer]) &&
		    match_factor(rw, root->in[k], x, ret))
			return producer;
	}
	return FINF_NONE;
}

static void fold(struct finf_rewrite *rw, uint32_t producer, uint32_t gone, const struct act *act)
{
	struct finf_node *into = &rw->graph->nodes[producer];

	into->act = act->kind;
	into->act_a = act->a;
	into->act_b = act->b;
	finf_rewrite_absorb(rw, producer, gone);
}

static int at(struct finf_rewrite *rw, uint32_t i)
{
	const struct finf_graph *graph = rw->graph;
	const struct finf_node *node = &graph->nodes[i];
	struct factor factor;
	uint32_t producer;
	struct act act;

	if (act_of(graph, node, &act)) {
		producer = finf_rewrite_sole_producer(rw, node->in[0]);
		if (producer != FINF_NONE && takes_act(graph, &graph->nodes[producer]))
			fold(rw, producer, i, &act);
		return 0;
	}
	producer = match_product(rw, node, &factor);
	if (producer == FINF_NONE)
		return 0;
	finf_rewrite_drop(rw, factor.node);
	fold(rw, producer, i, &(struct act){.kind = factor.act});
	return 0;
}

const struct finf_fuse_pass finf_fuse_activation = {.name = "activation", .at = at};
