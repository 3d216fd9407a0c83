/* SPDX-License-Identifier: MIT */
/* fuse: drop what hands its input on: Identity, Dropout that infers, Pad by nothing, Cast to the
 * same dtype. */
#include <errno.h>
#include <stdlib.h>

#include "fuse/internal.h"

/* A third input, where it is there, has to be a constant false. */
static bool dropout_infers(const struct finf_rewrite *rw, const struct finf_node *node)
{
	uint32_t mode = finf_fuse_input(node, 2);
	const struct finf_value *v;

	if (node->n_out > 1 && node->out[1] != FINF_NONE && rw->uses[node->out[1]])
		return false;
	if (mode == FINF_NONE)
		return true;
	v = &rw->graph->values[mode];
	return v->is_const && v->data && v->dtype == FINF_BOOL && v->bytes == 1 &&
	       !*(const uint8_t *)v->data;
}

/* Pads that are all 0, whatever the mode: exporters put that in front of average pools. */
static bool pads_nothing(const struct finf_graph *graph, const struct finf_node *node)
{
	uint32_t n, given = finf_fuse_input(node, 1);
	const int64_t *pads = finf_node_ints(node, "pads", &n);

	if (given != FINF_NONE) {
		const struct finf_value *v = &graph->values[given];

		pads = v->is_const && v->dtype == FINF_I64 ? v->data : NULL;
		n = (uint32_t)(v->bytes / sizeof(*pads));
	}
	for (uint32_t i = 0; pads && i < n; i++)
		if (pads[i])
			return false;
	return pads != NULL;
}

static bool same_dtype(const struct finf_graph *graph, const struct finf_node *node)
{
	enum finf_dtype dtype = graph->values[node->in[0]].dtype;

	return dtype != FINF_DTYPE_NONE && dtype == graph->values[node->out[0]].dtype;
}

static bool passes_on(const struct finf_rewrite *rw, const struct finf_node *node)
{
	if (node->act != FINF_ACT_NONE)
		return false;
	return finf_fuse_is(node, "Identity") ||
	       (finf_fuse_is(node, "Dropout") && dropout_infers(rw, node)) ||
	       (finf_fuse_is(node, "Pad") && pads_nothing(rw->graph, node)) ||
	       (finf_fuse_is(node, "Cast") && same_dtype(rw->graph, node));
}

static bool is_output(const struct finf_graph *graph, uint32_t value)
{
	for (uint32_t i = 0; i < graph->n_outputs; i++)
		if (graph->outputs[i] == value)
			return true;
	return false;
}

/*
 * An output of the model keeps its name, so the node before makes it directly,
 * and whoever read the input reads the output. That is not possible when the
 * input has a name to keep too, or no node makes it.
 */
static bool rename_input(struct finf_rewrite *rw, uint32_t index)
{
	struct finf_graph *graph = rw->graph;
	uint32_t from = graph->nodes[index].in[0], to = graph->nodes[index].out[0];
	uint32_t producer = graph->values[from].producer;
	struct finf_node *node;

	if (producer == FINF_NONE || is_output(graph, from))
		return false;
	node = &graph->nodes[producer];
	for (uint32_t i = 0; i < node->n_out; i++)
		if (node->out[i] == from)
			node->out[i] = to;
	graph->values[from].producer = FINF_NONE;
	graph->values[to].producer = producer;
	return true;
}

static void replace_reads(struct finf_graph *graph, uint32_t from, uint32_t to)
{
	for (uint32_t i = 0; i < graph->n_nodes; i++)
		for (uint32_t k = 0; k < graph->nodes[i].n_in; k++)
			if (graph->nodes[i].in[k] == from)
				graph->nodes[i].in[k] = to;
}

static void drop(struct finf_rewrite *rw, uint32_t index)
{
	struct finf_node *node = &rw->graph->nodes[index];
	uint32_t in = node->in[0], out = node->out[0];

	if (!is_output(rw->graph, out)) {
		replace_reads(rw->graph, out, in);
		rw->graph->values[out].producer = FINF_NONE;
	} else if (rename_input(rw, index)) {
		replace_reads(rw->graph, in, out);
	} else {
		return;
	}
	node->out[0] = FINF_NONE;
	rw->keep[index] = false;
	rw->changes++;
}

static int at(struct finf_rewrite *rw, uint32_t i)
{
	if (passes_on(rw, &rw->graph->nodes[i]))
		drop(rw, i);
	return 0;
}

const struct finf_fuse_pass finf_fuse_identity = {.name = "identity", .at = at};
