/* SPDX-License-Identifier: MIT */
/*
 * import: numbers of 16 bits. A value that the model has in float16 or bfloat16
 * is float32 in the graph, but for its inputs and outputs: a Cast behind the
 * one, before the other. Only a Cast of the model itself rounds in between.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "import/internal.h"

/* A value called "BASE/WHAT", with a number behind it where the model has that name. */
static int new_value(struct finf_graph *graph, uint32_t base, enum finf_dtype dtype, uint32_t *ret)
{
	const struct finf_value from = graph->values[base];
	const struct finf_shape *shape = from.has_shape ? &from.shape : NULL;
	char name[IMPORT_NAME_MAX + 64];
	int err, len;

	len = snprintf(name, sizeof(name), "%s/%s", from.name, finf_dtype_name(dtype));
	err = finf_graph_value(graph, name, dtype, shape, ret);
	for (unsigned k = 2; err == -EEXIST; k++) {
		snprintf(name + len, sizeof(name) - (size_t)len, ".%u", k);
		err = finf_graph_value(graph, name, dtype, shape, ret);
	}
	return err;
}

static int add_cast(struct finf_graph *graph, uint32_t opset, uint32_t from, uint32_t to)
{
	const struct finf_attr attr = {
		.name = "to", .type = FINF_ATTR_INT, .i = graph->values[to].dtype};

	return finf_graph_node(graph, finf_op_find("Cast"), opset, graph->values[to].name, &from, 1,
			       &to, 1, &attr, 1, NULL);
}

static enum finf_dtype declared(const Onnx__ValueInfoProto *info)
{
	if (!info->type || info->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
		return FINF_DTYPE_NONE;
	return (enum finf_dtype)info->type->tensor_type->elem_type;
}

static int mark_output(struct import_half *half, const Onnx__ValueInfoProto *info,
		       struct finf_diag *diag)
{
	struct finf_graph *graph = half->graph;
	enum finf_dtype dtype = declared(info);
	uint32_t v;

	if (!finf_dtype_is_half(dtype) || !info->name || !finf_graph_find(graph, info->name, &v) ||
	    graph->values[v].is_input || half->wide[v] != FINF_NONE)
		return 0;
	if (graph->values[v].is_const)
		return finf_diag_set(diag, -EOPNOTSUPP,
				     "graph output '" IMPORT_NAME_SHOWN
				     "' is an initialiser and %s, which is not supported",
				     info->name, finf_dtype_name(dtype));
	graph->values[v].dtype = dtype;
	return new_value(graph, v, FINF_F32, &half->wide[v]);
}

int import_half_mark(struct import_half *half, const Onnx__GraphProto *proto,
		     struct finf_arena *arena, struct finf_diag *diag)
{
	struct finf_graph *graph = half->graph;
	int err = 0;

	half->n = graph->n_values;
	half->wide = finf_arena_array(arena, half->n, sizeof(*half->wide));
	if (!half->wide)
		return -ENOMEM;
	memset(half->wide, 0xff, half->n * sizeof(*half->wide)); /* FINF_NONE */
	for (uint32_t i = 0; !err && i < graph->n_inputs; i++)
		if (finf_dtype_is_half(graph->values[graph->inputs[i]].dtype))
			err = new_value(graph, graph->inputs[i], FINF_F32,
					&half->wide[graph->inputs[i]]);
	for (size_t i = 0; !err && i < proto->n_output; i++)
		err = mark_output(half, proto->output[i], diag);
	return err;
}

int import_half_casts(const struct import_half *half, uint32_t opset)
{
	int err = 0;

	for (uint32_t v = 0; !err && v < half->n; v++) {
		if (half->wide[v] == FINF_NONE)
			continue;
		if (half->graph->values[v].is_input)
			err = add_cast(half->graph, opset, v, half->wide[v]);
		else
			err = add_cast(half->graph, opset, half->wide[v], v);
	}
	return err;
}

static const struct finf_attr *rounds_to(const struct finf_op *op, const struct finf_attr *attrs,
					 size_t n)
{
	for (size_t i = 0; op == finf_op_find("Cast") && i < n; i++)
		if (!strcmp(attrs[i].name, "to") && attrs[i].type == FINF_ATTR_INT &&
		    (attrs[i].i == FINF_F16 || attrs[i].i == FINF_BF16))
			return &attrs[i];
	return NULL;
}

int import_half_round(const struct import_half *half, const struct finf_op *op, uint32_t opset,
		      const struct finf_attr *attrs, size_t n_attrs, uint32_t *out)
{
	const struct finf_attr *to = rounds_to(op, attrs, n_attrs);
	uint32_t rounded;
	int err;

	if (!to || *out == FINF_NONE)
		return 0;
	half->graph->values[*out].dtype = FINF_F32;
	err = new_value(half->graph, *out, (enum finf_dtype)to->i, &rounded);
	if (!err)
		err = add_cast(half->graph, opset, rounded, *out);
	if (!err)
		*out = rounded;
	return err;
}
