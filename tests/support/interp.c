/* SPDX-License-Identifier: MIT */
/* tests/support: see interp.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/op.h"
#include "tests/support/interp.h"

/* One tensor per value; those of nodes and outputs own their bytes. */
static int alloc_values(const struct finf_graph *graph, struct finf_tensor *values)
{
	for (uint32_t i = 0; i < graph->n_values; i++) {
		const struct finf_value *v = &graph->values[i];
		struct finf_tensor *t = &values[i];
		size_t bytes;

		*t = (struct finf_tensor){.name = v->name, .dtype = v->dtype, .shape = v->shape};
		if (!v->has_shape || finf_tensor_bytes(v->dtype, &v->shape, &bytes))
			return -EINVAL;
		t->bytes = bytes;
		t->data = malloc(bytes + 1); /* never NULL for nothing */
		if (!t->data)
			return -ENOMEM;
		if (v->is_const && !v->data)
			return -EINVAL;
		if (v->is_const)
			memcpy(t->data, v->data, bytes);
	}
	return 0;
}

static int copy_inputs(const struct finf_graph *graph, const struct finf_tensor *inputs,
		       struct finf_tensor *values)
{
	for (uint32_t i = 0; i < graph->n_inputs; i++) {
		struct finf_tensor *t = &values[graph->inputs[i]];

		if (inputs[i].dtype != t->dtype || !finf_shape_equal(&inputs[i].shape, &t->shape))
			return -EINVAL;
		memcpy(t->data, inputs[i].data, t->bytes);
	}
	return 0;
}

static int run_node(const struct finf_node *node, struct finf_tensor *values)
{
	const struct finf_tensor **in = calloc(node->n_in + 1u, sizeof(*in));
	struct finf_tensor **out = calloc(node->n_out + 1u, sizeof(*out));
	int err = in && out ? 0 : -ENOMEM;

	for (uint32_t i = 0; !err && i < node->n_in; i++)
		in[i] = node->in[i] == FINF_NONE ? NULL : &values[node->in[i]];
	for (uint32_t i = 0; !err && i < node->n_out; i++)
		out[i] = node->out[i] == FINF_NONE ? NULL : &values[node->out[i]];
	if (!err)
		err = finf_op_eval(node, in, out);
	free(in);
	free(out);
	return err;
}

/* A value may be an output twice: each gets its own bytes. */
static int copy_outputs(const struct finf_graph *graph, const struct finf_tensor *values,
			struct finf_tensor *outputs)
{
	struct finf_tensor *copies = calloc(graph->n_outputs + 1u, sizeof(*copies));
	int err = copies ? 0 : -ENOMEM;
	uint32_t n = 0;

	for (; !err && n < graph->n_outputs; n++) {
		copies[n] = values[graph->outputs[n]];
		copies[n].data = malloc(copies[n].bytes + 1);
		if (!copies[n].data)
			err = -ENOMEM;
		else
			memcpy(copies[n].data, values[graph->outputs[n]].data, copies[n].bytes);
	}
	if (err)
		interp_free(copies, n);
	else
		memcpy(outputs, copies, n * sizeof(*copies));
	free(copies);
	return err;
}

int interp_run(const struct finf_graph *graph, const struct finf_tensor *inputs,
	       struct finf_tensor *outputs)
{
	struct finf_tensor *values = calloc(graph->n_values + 1u, sizeof(*values));
	int err = values ? alloc_values(graph, values) : -ENOMEM;

	if (!err)
		err = copy_inputs(graph, inputs, values);
	for (uint32_t i = 0; !err && i < graph->n_nodes; i++)
		err = run_node(&graph->nodes[i], values);
	if (!err)
		err = copy_outputs(graph, values, outputs);
	if (values)
		interp_free(values, graph->n_values);
	free(values);
	return err;
}

void interp_free(struct finf_tensor *outputs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		free(outputs[i].data);
		outputs[i].data = NULL;
	}
}
