/* SPDX-License-Identifier: MIT */
/* fuse: what passes share - who reads a value, dropping nodes, new constants. */
#include <errno.h>
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "fuse/internal.h"

int finf_rewrite_begin(struct finf_rewrite *rw, struct finf_graph *graph)
{
	*rw = (struct finf_rewrite){.graph = graph};
	rw->uses = calloc(FINF_MAX(graph->n_values, 1u), sizeof(*rw->uses));
	rw->keep = calloc(FINF_MAX(graph->n_nodes, 1u), sizeof(*rw->keep));
	if (!rw->uses || !rw->keep) {
		free(rw->uses);
		free(rw->keep);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < graph->n_nodes; i++) {
		const struct finf_node *node = &graph->nodes[i];

		rw->keep[i] = true;
		for (uint32_t k = 0; k < node->n_in; k++)
			if (node->in[k] != FINF_NONE)
				rw->uses[node->in[k]]++;
	}
	for (uint32_t i = 0; i < graph->n_outputs; i++)
		rw->uses[graph->outputs[i]]++;
	return 0;
}

int finf_rewrite_end(struct finf_rewrite *rw, int err, uint32_t *ret_changes)
{
	if (!err && rw->changes)
		err = finf_graph_prune(rw->graph, rw->keep);
	if (!err)
		*ret_changes = rw->changes;
	free(rw->uses);
	free(rw->keep);
	return err;
}

void finf_rewrite_absorb(struct finf_rewrite *rw, uint32_t into, uint32_t gone)
{
	struct finf_node *node = &rw->graph->nodes[into];
	uint32_t value = rw->graph->nodes[gone].out[0];

	rw->graph->values[node->out[0]].producer = FINF_NONE;
	rw->graph->nodes[gone].out[0] = FINF_NONE;
	node->out[0] = value;
	rw->graph->values[value].producer = into;
	rw->keep[gone] = false;
	rw->changes++;
}

uint32_t finf_rewrite_sole_producer(const struct finf_rewrite *rw, uint32_t value)
{
	uint32_t producer;

	if (value == FINF_NONE || rw->uses[value] != 1)
		return FINF_NONE;
	producer = rw->graph->values[value].producer;
	if (producer == FINF_NONE || rw->graph->nodes[producer].out[0] != value)
		return FINF_NONE;
	return producer;
}

uint32_t finf_rewrite_sole(const struct finf_rewrite *rw, uint32_t value, const char *op)
{
	uint32_t producer = finf_rewrite_sole_producer(rw, value);
	const struct finf_node *node;

	if (producer == FINF_NONE)
		return FINF_NONE;
	node = &rw->graph->nodes[producer];
	return finf_fuse_is(node, op) && node->act == FINF_ACT_NONE ? producer : FINF_NONE;
}

void finf_rewrite_drop(struct finf_rewrite *rw, uint32_t node)
{
	struct finf_node *gone = &rw->graph->nodes[node];

	rw->graph->values[gone->out[0]].producer = FINF_NONE;
	gone->out[0] = FINF_NONE;
	rw->keep[node] = false;
	rw->changes++;
}

const float *finf_fuse_floats(const struct finf_graph *graph, uint32_t value, size_t *ret_n)
{
	const struct finf_value *v;

	if (value == FINF_NONE)
		return NULL;
	v = &graph->values[value];
	if (!v->is_const || !v->data || v->dtype != FINF_F32)
		return NULL;
	*ret_n = v->bytes / sizeof(float);
	return v->data;
}

bool finf_fuse_scalar(const struct finf_graph *graph, uint32_t value, uint32_t like, float *ret)
{
	const struct finf_value *v = &graph->values[like];
	size_t n;
	const float *x = finf_fuse_floats(graph, value, &n);
	uint32_t rank;

	if (!x || n != 1)
		return false;
	rank = graph->values[value].shape.rank;
	if (rank && (!v->has_shape || rank > v->shape.rank))
		return false;
	*ret = *x;
	return true;
}

/* *ret stays when the bound is left out; false when it is not a constant. */
static bool bound(const struct finf_graph *graph, uint32_t value, float *ret)
{
	const float *data;
	size_t n;

	if (value == FINF_NONE)
		return true;
	data = finf_fuse_floats(graph, value, &n);
	if (!data || n != 1)
		return false;
	*ret = *data;
	return true;
}

bool finf_fuse_bounds(const struct finf_graph *graph, const struct finf_node *clip, float *ret_low,
		      float *ret_high)
{
	float low = finf_node_float(clip, "min", -FLT_MAX);
	float high = finf_node_float(clip, "max", FLT_MAX);

	if (!bound(graph, finf_fuse_input(clip, 1), &low) ||
	    !bound(graph, finf_fuse_input(clip, 2), &high))
		return false;
	*ret_low = low;
	*ret_high = high;
	return true;
}

bool finf_fuse_is(const struct finf_node *node, const char *name)
{
	return !strcmp(node->op->name, name);
}

int finf_fuse_constant(struct finf_graph *graph, const char *base, const char *suffix,
		       const struct finf_shape *shape, const float *data, uint32_t *ret_value)
{
	const char *name = finf_arena_printf(&graph->arena, "%s.%s", base, suffix);
	uint32_t value = FINF_NONE;
	size_t bytes;
	int err;

	for (unsigned n = 2; name && finf_graph_find(graph, name, &value); n++)
		name = finf_arena_printf(&graph->arena, "%s.%s.%u", base, suffix, n);
	if (!name)
		return -ENOMEM;
	err = finf_tensor_bytes(FINF_F32, shape, &bytes);
	if (!err)
		err = finf_graph_value(graph, name, FINF_F32, shape, &value);
	if (!err)
		err = finf_graph_set_const(graph, value, data, bytes, false);
	if (!err)
		*ret_value = value;
	return err;
}
