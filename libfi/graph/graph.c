/* SPDX-License-Identifier: MIT */
/* graph: building - values, interface, constants, nodes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/internal.h"
#include "graph/op.h"

int finf_graph_new(const char *name, struct finf_graph **ret_graph)
{
	struct finf_graph *graph = calloc(1, sizeof(*graph));

	if (!graph)
		return -ENOMEM;
	finf_arena_init(&graph->arena);
	finf_map_init(&graph->by_name);
	graph->name = finf_arena_str(&graph->arena, name ? name : "");
	if (!graph->name) {
		finf_graph_free(graph);
		return -ENOMEM;
	}
	*ret_graph = graph;
	return 0;
}

void finf_graph_free(struct finf_graph *graph)
{
	if (!graph)
		return;
	if (graph->release)
		graph->release(graph->foreign);
	finf_map_fini(&graph->by_name);
	free(graph->inputs);
	free(graph->outputs);
	free(graph->nodes);
	free(graph->values);
	finf_arena_fini(&graph->arena);
	free(graph);
}

int finf_graph_value(struct finf_graph *graph, const char *name, enum finf_dtype dtype,
		     const struct finf_shape *shape, uint32_t *ret_value)
{
	struct finf_value value = {.dtype = dtype, .producer = FINF_NONE};
	int err;

	if (shape && shape->rank > FINF_RANK_MAX)
		return -EINVAL;
	if (finf_map_find(&graph->by_name, name, NULL))
		return -EEXIST;
	err = finf_grow(&graph->values, &graph->cap_values, graph->n_values, sizeof(value));
	if (err)
		return err;
	value.name = finf_arena_str(&graph->arena, name);
	if (!value.name)
		return -ENOMEM;
	if (shape) {
		value.has_shape = true;
		value.shape = *shape;
	}
	err = finf_map_put(&graph->by_name, value.name, graph->n_values);
	if (err)
		return err;
	*ret_value = graph->n_values;
	graph->values[graph->n_values++] = value;
	return 0;
}

int finf_graph_input(struct finf_graph *graph, uint32_t value)
{
	struct finf_value *v;
	int err;

	if (value >= graph->n_values)
		return -EINVAL;
	v = &graph->values[value];
	if (v->is_input || v->is_const || v->producer != FINF_NONE)
		return -EEXIST;
	err = finf_grow(&graph->inputs, &graph->cap_inputs, graph->n_inputs, sizeof(value));
	if (err)
		return err;
	graph->inputs[graph->n_inputs++] = value;
	v->is_input = true;
	return 0;
}

int finf_graph_output(struct finf_graph *graph, uint32_t value)
{
	int err;

	if (value >= graph->n_values)
		return -EINVAL;
	err = finf_grow(&graph->outputs, &graph->cap_outputs, graph->n_outputs, sizeof(value));
	if (err)
		return err;
	graph->outputs[graph->n_outputs++] = value;
	return 0;
}

int finf_graph_set_const(struct finf_graph *graph, uint32_t value, const void *data, size_t bytes,
			 bool copy)
{
	struct finf_value *v;
	size_t want;

	if (value >= graph->n_values)
		return -EINVAL;
	v = &graph->values[value];
	if (v->is_input || v->producer != FINF_NONE)
		return -EEXIST;
	if (!v->has_shape || finf_tensor_bytes(v->dtype, &v->shape, &want) || want != bytes)
		return -EINVAL;
	/* Kernels read elements, not bytes: what is not aligned is copied too. */
	if (copy || !bytes || (uintptr_t)data % finf_dtype_bytes(v->dtype)) {
		data = finf_arena_dup(&graph->arena, data, bytes);
		if (!data)
			return -ENOMEM;
	}
	v->is_const = true;
	v->data = data;
	v->bytes = bytes;
	return 0;
}

int finf_graph_fix_input(struct finf_graph *graph, uint32_t value, const void *data)
{
	struct finf_value *v;
	uint32_t n = 0;
	size_t bytes;
	int err;

	if (value >= graph->n_values || !graph->values[value].is_input || graph->n_members)
		return -EINVAL;
	v = &graph->values[value];
	if (!v->has_shape || finf_tensor_bytes(v->dtype, &v->shape, &bytes))
		return -EINVAL;
	v->is_input = false;
	err = finf_graph_set_const(graph, value, data, bytes, true);
	if (err) {
		v->is_input = true;
		return err;
	}
	for (uint32_t i = 0; i < graph->n_inputs; i++)
		if (graph->inputs[i] != value)
			graph->inputs[n++] = graph->inputs[i];
	graph->n_inputs = n;
	return 0;
}

/* Are these existing values, and outputs nobody defines yet? */
static int check_values(const struct finf_graph *graph, const uint32_t *in, uint32_t n_in,
			const uint32_t *out, uint32_t n_out)
{
	for (uint32_t i = 0; i < n_in; i++)
		if (in[i] != FINF_NONE && in[i] >= graph->n_values)
			return -EINVAL;
	for (uint32_t i = 0; i < n_out; i++) {
		const struct finf_value *v;

		if (out[i] == FINF_NONE)
			continue;
		if (out[i] >= graph->n_values)
			return -EINVAL;
		v = &graph->values[out[i]];
		if (v->producer != FINF_NONE || v->is_input || v->is_const)
			return -EEXIST;
		for (uint32_t k = 0; k < i; k++)
			if (out[k] == out[i])
				return -EEXIST;
	}
	return 0;
}

static bool arity_ok(uint32_t n, uint8_t min, uint8_t max)
{
	return n >= min && (max == 255 || n <= max);
}

int finf_graph_node(struct finf_graph *graph, const struct finf_op *op, uint32_t opset,
		    const char *name, const uint32_t *in, uint32_t n_in, const uint32_t *out,
		    uint32_t n_out, const struct finf_attr *attrs, uint32_t n_attrs,
		    uint32_t *ret_node)
{
	struct finf_node node = {
		.op = op, .opset = opset, .n_in = n_in, .n_out = n_out, .n_attrs = n_attrs};
	struct finf_arena *arena = &graph->arena;
	int err;

	if (!arity_ok(n_in, op->min_in, op->max_in) || !arity_ok(n_out, op->min_out, op->max_out))
		return -EINVAL;
	err = check_values(graph, in, n_in, out, n_out);
	if (err)
		return err;
	err = finf_grow(&graph->nodes, &graph->cap_nodes, graph->n_nodes, sizeof(node));
	if (err)
		return err;
	node.name = name && *name ? finf_arena_str(arena, name)
				  : finf_arena_printf(arena, "%s_%u", op->name, graph->n_nodes);
	node.in = finf_arena_dup(arena, in, n_in * sizeof(*in));
	node.out = finf_arena_dup(arena, out, n_out * sizeof(*out));
	node.attrs = finf_attrs_copy(arena, attrs, n_attrs, true);
	if (!node.name || !node.in || !node.out || !node.attrs)
		return -ENOMEM;
	for (uint32_t i = 0; i < n_out; i++)
		if (out[i] != FINF_NONE)
			graph->values[out[i]].producer = graph->n_nodes;
	if (ret_node)
		*ret_node = graph->n_nodes;
	graph->nodes[graph->n_nodes++] = node;
	return 0;
}

bool finf_graph_find(const struct finf_graph *graph, const char *name, uint32_t *ret_value)
{
	return finf_map_find(&graph->by_name, name, ret_value);
}
