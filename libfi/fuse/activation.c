/* SPDX-License-Identifier: MIT */
/* fuse: Relu, LeakyRelu, Clip and Sigmoid into the node that makes their input. */
#include <float.h>

#include "fuse/internal.h"

/* Operators whose kernels apply an activation as they write. */
static const char *const producers[] = {
	"Conv", "Gemm", "MatMul", "BatchNormalization", "Add", "Sub", "Mul", "Div",
};

struct act {
	enum finf_act kind;
	float a, b;
};

/* A bound of Clip: *ret stays when it is left out; false when it is not a constant. */
static bool clip_bound(const struct finf_graph *graph, uint32_t value, float *ret)
{
	const float *bound;
	size_t n;

	if (value == FINF_NONE)
		return true;
	bound = finf_fuse_floats(graph, value, &n);
	if (!bound || n != 1)
		return false;
	*ret = *bound;
	return true;
}

static bool act_of(const struct finf_graph *graph, const struct finf_node *node, struct act *ret)
{
	if (node->act != FINF_ACT_NONE)
		return false;
	if (finf_fuse_is(node, "Relu")) {
		*ret = (struct act){FINF_ACT_RELU, 0, 0};
		return true;
	}
	if (finf_fuse_is(node, "LeakyRelu")) {
		*ret = (struct act){FINF_ACT_LEAKY, finf_node_float(node, "alpha", 0.01f), 0};
		return true;
	}
	if (finf_fuse_is(node, "Sigmoid")) {
		*ret = (struct act){FINF_ACT_SIGMOID, 0, 0};
		return true;
	}
	if (!finf_fuse_is(node, "Clip"))
		return false;
	*ret = (struct act){FINF_ACT_CLIP, finf_node_float(node, "min", -FLT_MAX),
			    finf_node_float(node, "max", FLT_MAX)};
	return clip_bound(graph, finf_fuse_input(node, 1), &ret->a) &&
	       clip_bound(graph, finf_fuse_input(node, 2), &ret->b);
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

static int run(struct finf_graph *graph, uint32_t *ret_changes, struct finf_diag *diag)
{
	struct finf_rewrite rw;
	struct act act;
	int err = finf_rewrite_begin(&rw, graph);

	(void)diag;
	if (err)
		return err;
	for (uint32_t i = 0; i < graph->n_nodes; i++) {
		struct finf_node *into;
		uint32_t producer;

		if (!act_of(graph, &graph->nodes[i], &act))
			continue;
		producer = finf_rewrite_sole_producer(&rw, graph->nodes[i].in[0]);
		if (producer == FINF_NONE || !takes_act(graph, &graph->nodes[producer]))
			continue;
		into = &graph->nodes[producer];
		into->act = act.kind;
		into->act_a = act.a;
		into->act_b = act.b;
		finf_rewrite_absorb(&rw, producer, i);
	}
	return finf_rewrite_end(&rw, 0, ret_changes);
}

const struct finf_fuse_pass finf_fuse_activation = {.name = "activation", .run = run};
