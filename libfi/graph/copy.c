/* SPDX-License-Identifier: MIT */
/* graph: clones, binding to concrete shapes, folding what is known, pruning. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/internal.h"
#include "graph/op.h"

static uint32_t *ids_dup(const uint32_t *ids, uint32_t n)
{
	uint32_t *copy = malloc(FINF_MAX(n, 1u) * sizeof(*ids));

	if (copy && n)
		memcpy(copy, ids, n * sizeof(*ids));
	return copy;
}

static int clone_values(const struct finf_graph *from, struct finf_graph *to)
{
	to->values = malloc(FINF_MAX(from->n_values, 1u) * sizeof(*to->values));
	if (!to->values)
		return -ENOMEM;
	to->cap_values = FINF_MAX(from->n_values, 1u);
	for (uint32_t i = 0; i < from->n_values; i++) {
		struct finf_value *v = &to->values[i];
		int err;

		*v = from->values[i];
		v->name = finf_arena_str(&to->arena, v->name);
		if (!v->name)
			return -ENOMEM;
		err = finf_map_put(&to->by_name, v->name, i);
		if (err)
			return err;
		to->n_values++;
	}
	return 0;
}

static int clone_nodes(const struct finf_graph *from, struct finf_graph *to)
{
	struct finf_arena *arena = &to->arena;

	to->nodes = malloc(FINF_MAX(from->n_nodes, 1u) * sizeof(*to->nodes));
	if (!to->nodes)
		return -ENOMEM;
	to->cap_nodes = FINF_MAX(from->n_nodes, 1u);
	for (uint32_t i = 0; i < from->n_nodes; i++) {
		struct finf_node *node = &to->nodes[i];

		*node = from->nodes[i];
		node->name = finf_arena_str(arena, node->name);
		node->in = finf_arena_dup(arena, node->in, node->n_in * sizeof(*node->in));
		node->out = finf_arena_dup(arena, node->out, node->n_out * sizeof(*node->out));
		node->attrs = finf_attrs_copy(arena, node->attrs, node->n_attrs, false);
		if (!node->name || !node->in || !node->out || !node->attrs)
			return -ENOMEM;
		to->n_nodes++;
	}
	return 0;
}

static int clone_interface(const struct finf_graph *from, struct finf_graph *to)
{
	to->inputs = ids_dup(from->inputs, from->n_inputs);
	to->outputs = ids_dup(from->outputs, from->n_outputs);
	if (!to->inputs || !to->outputs)
		return -ENOMEM;
	to->n_inputs = from->n_inputs;
	to->n_outputs = from->n_outputs;
	to->cap_inputs = FINF_MAX(from->n_inputs, 1u);
	to->cap_outputs = FINF_MAX(from->n_outputs, 1u);
	return 0;
}

static int clone_members(const struct finf_graph *from, struct finf_graph *to)
{
	int err = 0;

	to->schedule = from->schedule;
	to->batched = from->batched;
	for (uint32_t i = 0; !err && i < from->n_members; i++)
		err = finf_graph_add_member(to, &from->members[i]);
	return err;
}

int finf_graph_clone(const struct finf_graph *graph, struct finf_graph **ret_graph)
{
	struct finf_graph *copy;
	int err;

	err = finf_graph_new(graph->name, &copy);
	if (err)
		return err;
	err = clone_values(graph, copy);
	if (!err)
		err = clone_nodes(graph, copy);
	if (!err)
		err = clone_interface(graph, copy);
	if (!err)
		err = clone_members(graph, copy);
	if (err)
		finf_graph_free(copy);
	else
		*ret_graph = copy;
	return err;
}

/* ---- folding ---------------------------------------------------------------- */

static void mark_outputs(const struct finf_graph *graph, bool *is_output)
{
	for (uint32_t i = 0; i < graph->n_outputs; i++)
		is_output[graph->outputs[i]] = true;
}

static bool node_known(const struct finf_graph *graph, const struct finf_node *node,
		       const bool *is_output)
{
	bool any = false;

	for (uint32_t i = 0; i < node->n_out; i++) {
		if (node->out[i] == FINF_NONE)
			continue;
		if (!graph->values[node->out[i]].data || is_output[node->out[i]])
			return false;
		any = true;
	}
	return any;
}

/* A constant of the same bytes, dtype and shape among the inputs: no second copy is needed. */
static uint32_t same_constant(const struct finf_graph *graph, const struct finf_node *node,
			      const struct finf_value *v)
{
	for (uint32_t i = 0; i < node->n_in; i++) {
		const struct finf_value *in;

		if (node->in[i] == FINF_NONE)
			continue;
		in = &graph->values[node->in[i]];
		if (in->is_const && in->data == v->data && in->dtype == v->dtype &&
		    finf_shape_equal(&in->shape, &v->shape))
			return node->in[i];
	}
	return FINF_NONE;
}

static void fold_node(struct finf_graph *graph, struct finf_node *node, uint32_t *alias)
{
	for (uint32_t i = 0; i < node->n_out; i++) {
		struct finf_value *v;
		uint32_t same;

		if (node->out[i] == FINF_NONE)
			continue;
		v = &graph->values[node->out[i]];
		same = same_constant(graph, node, v);
		if (same != FINF_NONE)
			alias[node->out[i]] = same;
		v->is_const = true;
		v->producer = FINF_NONE;
		node->out[i] = FINF_NONE;
	}
}

int finf_graph_fold(struct finf_graph *graph, uint32_t *ret_folded)
{
	bool *is_output = calloc(FINF_MAX(graph->n_values, 1u), sizeof(*is_output));
	uint32_t *alias = calloc(FINF_MAX(graph->n_values, 1u), sizeof(*alias));
	bool *keep = calloc(FINF_MAX(graph->n_nodes, 1u), sizeof(*keep));
	uint32_t folded = 0;
	int err = is_output && alias && keep ? 0 : -ENOMEM;

	if (err)
		goto out;
	mark_outputs(graph, is_output);
	for (uint32_t i = 0; i < graph->n_values; i++)
		alias[i] = i;
	for (uint32_t i = 0; i < graph->n_nodes; i++) {
		struct finf_node *node = &graph->nodes[i];

		for (uint32_t k = 0; k < node->n_in; k++)
			if (node->in[k] != FINF_NONE)
				node->in[k] = alias[node->in[k]];
		keep[i] = !node_known(graph, node, is_output);
		if (keep[i])
			continue;
		fold_node(graph, node, alias);
		folded++;
	}
	if (folded)
		err = finf_graph_prune(graph, keep);
	if (!err && ret_folded)
		*ret_folded = folded;
out:
	free(keep);
	free(alias);
	free(is_output);
	return err;
}

/* ---- binding ------------------------------------------------------------------ */

static int bind_input(struct finf_value *v, const struct finf_shape *shape, struct finf_diag *diag)
{
	char want[128], have[128];
	bool fits = shape->rank <= FINF_RANK_MAX && finf_shape_is_static(shape) &&
		    (!v->has_shape || v->shape.rank == shape->rank);

	for (uint32_t i = 0; fits && v->has_shape && i < shape->rank; i++)
		fits = v->shape.dim[i] == FINF_DIM_ANY || v->shape.dim[i] == shape->dim[i];
	if (!fits)
		return finf_diag_set(diag, -EINVAL, "input %s: %s was expected, not %s", v->name,
				     v->has_shape ? finf_shape_text(&v->shape, want, sizeof(want))
						  : "a static shape",
				     shape->rank <= FINF_RANK_MAX
					     ? finf_shape_text(shape, have, sizeof(have))
					     : "a shape of too many dimensions");
	v->shape = *shape;
	v->has_shape = true;
	return 0;
}

static int check_static(const struct finf_graph *graph, struct finf_diag *diag)
{
	for (uint32_t i = 0; i < graph->n_values; i++) {
		const struct finf_value *v = &graph->values[i];
		const struct finf_node *node;
		size_t bytes;
		int err;

		if (v->has_shape && finf_shape_is_static(&v->shape)) {
			err = finf_tensor_bytes(v->dtype, &v->shape, &bytes);
			if (err)
				return finf_diag_set(diag, err, "value %s is too large", v->name);
			continue;
		}
		if (v->producer == FINF_NONE)
			return finf_diag_set(diag, -EINVAL, "value %s has no shape", v->name);
		node = &graph->nodes[v->producer];
		return finf_diag_set(diag, -EOPNOTSUPP,
				     "node %s, operator %s: the shape of %s depends on data",
				     node->name, node->op->name, v->name);
	}
	return 0;
}

int finf_graph_bind(const struct finf_graph *graph, const struct finf_shape *shapes,
		    struct finf_graph **ret_graph, struct finf_diag *diag)
{
	struct finf_graph *bound;
	int err;

	err = finf_graph_clone(graph, &bound);
	if (err)
		return err;
	for (uint32_t i = 0; !err && i < bound->n_inputs; i++)
		err = bind_input(&bound->values[bound->inputs[i]], &shapes[i], diag);
	if (!err)
		err = finf_graph_infer(bound, diag);
	if (!err)
		err = finf_graph_fold(bound, NULL);
	if (!err)
		err = finf_graph_prune(bound, NULL);
	if (!err)
		err = check_static(bound, diag);
	if (err)
		finf_graph_free(bound);
	else
		*ret_graph = bound;
	return err;
}

/* ---- pruning ------------------------------------------------------------------- */

/* Nodes that outputs depend on. Each enters @stack at most once. */
static void mark_needed(const struct finf_graph *graph, bool *keep, uint32_t *stack)
{
	uint32_t depth = 0;

	for (uint32_t i = 0; i < graph->n_outputs; i++) {
		uint32_t producer = graph->values[graph->outputs[i]].producer;

		if (producer == FINF_NONE || keep[producer])
			continue;
		keep[producer] = true;
		stack[depth++] = producer;
	}
	while (depth) {
		const struct finf_node *node = &graph->nodes[stack[--depth]];

		for (uint32_t i = 0; i < node->n_in; i++) {
			uint32_t producer = node->in[i] == FINF_NONE
						    ? FINF_NONE
						    : graph->values[node->in[i]].producer;

			if (producer == FINF_NONE || keep[producer])
				continue;
			keep[producer] = true;
			stack[depth++] = producer;
		}
	}
}

/* Values that the interface or a kept node reads. */
static void mark_read(const struct finf_graph *graph, const bool *keep, bool *used)
{
	for (uint32_t i = 0; i < graph->n_inputs; i++)
		used[graph->inputs[i]] = true;
	for (uint32_t i = 0; i < graph->n_outputs; i++)
		used[graph->outputs[i]] = true;
	for (uint32_t i = 0; i < graph->n_nodes; i++)
		for (uint32_t k = 0; keep[i] && k < graph->nodes[i].n_in; k++)
			if (graph->nodes[i].in[k] != FINF_NONE)
				used[graph->nodes[i].in[k]] = true;
}

/* Outputs nobody reads: optional ones are left out, required ones stay. */
static void settle_outputs(struct finf_graph *graph, const bool *keep, bool *used)
{
	for (uint32_t i = 0; i < graph->n_nodes; i++) {
		struct finf_node *node = &graph->nodes[i];

		for (uint32_t k = 0; keep[i] && k < node->n_out; k++) {
			if (node->out[k] == FINF_NONE)
				continue;
			if (k < node->op->min_out)
				used[node->out[k]] = true;
			else if (!used[node->out[k]])
				node->out[k] = FINF_NONE;
		}
	}
}

/* New numbers of the values in use; the name map is made anew. */
static int renumber_values(struct finf_graph *graph, const bool *used, uint32_t *number)
{
	struct finf_map by_name;
	uint32_t n = 0;

	finf_map_init(&by_name);
	for (uint32_t i = 0; i < graph->n_values; i++) {
		int err;

		if (!used[i])
			continue;
		err = finf_map_put(&by_name, graph->values[i].name, n);
		if (err) {
			finf_map_fini(&by_name);
			return err;
		}
		number[i] = n++;
	}
	for (uint32_t i = 0; i < graph->n_values; i++)
		if (used[i])
			graph->values[number[i]] = graph->values[i];
	graph->n_values = n;
	finf_map_fini(&graph->by_name);
	graph->by_name = by_name;
	return 0;
}

static void renumber_ids(uint32_t *ids, uint32_t n, const uint32_t *number)
{
	for (uint32_t i = 0; i < n; i++)
		if (ids[i] != FINF_NONE)
			ids[i] = number[ids[i]];
}

static void renumber_nodes(struct finf_graph *graph, const bool *keep, const uint32_t *number)
{
	uint32_t n = 0;

	/* What a dropped node made and somebody still reads becomes undefined,
	 * unless it is a constant: verify() then says so by name. */
	for (uint32_t i = 0; i < graph->n_values; i++)
		graph->values[i].producer = FINF_NONE;
	for (uint32_t i = 0; i < graph->n_nodes; i++) {
		struct finf_node *node = &graph->nodes[n];

		if (!keep[i])
			continue;
		*node = graph->nodes[i];
		renumber_ids(node->in, node->n_in, number);
		renumber_ids(node->out, node->n_out, number);
		for (uint32_t k = 0; k < node->n_out; k++)
			if (node->out[k] != FINF_NONE)
				graph->values[node->out[k]].producer = n;
		n++;
	}
	graph->n_nodes = n;
}

int finf_graph_prune(struct finf_graph *graph, const bool *keep)
{
	uint32_t n_nodes = FINF_MAX(graph->n_nodes, 1u), n_values = FINF_MAX(graph->n_values, 1u);
	bool *needed = calloc(n_nodes, sizeof(*needed));
	bool *used = calloc(n_values, sizeof(*used));
	uint32_t *number = calloc(n_values, sizeof(*number));
	uint32_t *stack = calloc(n_nodes, sizeof(*stack));
	int err = needed && used && number && stack ? 0 : -ENOMEM;

	if (err)
		goto out;
	if (keep)
		memcpy(needed, keep, graph->n_nodes * sizeof(*needed));
	else
		mark_needed(graph, needed, stack);
	mark_read(graph, needed, used);
	settle_outputs(graph, needed, used);
	err = renumber_values(graph, used, number);
	if (err)
		goto out;
	renumber_nodes(graph, needed, number);
	renumber_ids(graph->inputs, graph->n_inputs, number);
	renumber_ids(graph->outputs, graph->n_outputs, number);
out:
	free(stack);
	free(number);
	free(used);
	free(needed);
	return err;
}
