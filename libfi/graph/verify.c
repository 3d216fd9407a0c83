/* SPDX-License-Identifier: MIT */
/* graph: is it well formed? */
#include <errno.h>

#include "graph/op.h"

static int verify_value(const struct finf_graph *graph, uint32_t index, struct finf_diag *diag)
{
	const struct finf_value *v = &graph->values[index];
	int sources = v->is_input + v->is_const + (v->producer != FINF_NONE);
	size_t bytes;

	if (sources > 1)
		return finf_diag_set(diag, -EINVAL, "value %s is defined twice", v->name);
	if (v->producer != FINF_NONE && v->producer >= graph->n_nodes)
		return finf_diag_set(diag, -EINVAL, "value %s: no node %u", v->name, v->producer);
	if (!v->is_const)
		return 0;
	if (!v->has_shape || finf_tensor_bytes(v->dtype, &v->shape, &bytes) || bytes != v->bytes)
		return finf_diag_set(diag, -EINVAL,
				     "constant %s: %zu bytes do not match its dtype and shape",
				     v->name, v->bytes);
	return 0;
}

/* Is @value there when node @before runs? */
static bool defined(const struct finf_graph *graph, uint32_t value, uint32_t before)
{
	const struct finf_value *v;

	if (value >= graph->n_values)
		return false;
	v = &graph->values[value];
	return v->is_input || v->is_const || (v->producer != FINF_NONE && v->producer < before);
}

static const char *value_name(const struct finf_graph *graph, uint32_t value)
{
	return value < graph->n_values ? graph->values[value].name : "out of range";
}

static int verify_node(const struct finf_graph *graph, uint32_t index, struct finf_diag *diag)
{
	const struct finf_node *node = &graph->nodes[index];

	for (uint32_t i = 0; i < node->n_in; i++) {
		uint32_t value = node->in[i];

		if (value != FINF_NONE && !defined(graph, value, index))
			return finf_diag_set(diag, -EINVAL,
					     "node %s, operator %s: input %s is not defined before",
					     node->name, node->op->name, value_name(graph, value));
	}
	for (uint32_t i = 0; i < node->n_out; i++) {
		uint32_t value = node->out[i];

		if (value == FINF_NONE)
			continue;
		if (value >= graph->n_values || graph->values[value].producer != index)
			return finf_diag_set(
				diag, -EINVAL,
				"node %s, operator %s: output %s belongs to another node",
				node->name, node->op->name, value_name(graph, value));
	}
	return finf_op_check(node, diag);
}

int finf_graph_verify(const struct finf_graph *graph, struct finf_diag *diag)
{
	int err = 0;

	for (uint32_t i = 0; !err && i < graph->n_values; i++)
		err = verify_value(graph, i, diag);
	for (uint32_t i = 0; !err && i < graph->n_nodes; i++)
		err = verify_node(graph, i, diag);
	for (uint32_t i = 0; !err && i < graph->n_inputs; i++)
		if (graph->inputs[i] >= graph->n_values ||
		    !graph->values[graph->inputs[i]].is_input)
			err = finf_diag_set(diag, -EINVAL, "input %u is not an input value", i);
	for (uint32_t i = 0; !err && i < graph->n_outputs; i++)
		if (!defined(graph, graph->outputs[i], graph->n_nodes))
			err = finf_diag_set(diag, -EINVAL, "output %s is never computed",
					    value_name(graph, graph->outputs[i]));
	return err;
}
