/* SPDX-License-Identifier: MIT */
/* engine/match: the caller's tensors, by name or position, in the model's order. */
#include <errno.h>
#include <string.h>

#include "engine/priv.h"

static const char *kind_of(bool outputs)
{
	return outputs ? "output" : "input";
}

/* Number of the port that @given means; FINF_NONE with diag. */
static uint32_t port_of(const struct finf_graph *graph, bool outputs,
			const struct finf_tensor *given, uint32_t position, struct finf_diag *diag)
{
	const uint32_t *values = outputs ? graph->outputs : graph->inputs;
	uint32_t n = outputs ? graph->n_outputs : graph->n_inputs;

	if (!given->name && position < n)
		return position;
	for (uint32_t i = 0; given->name && i < n; i++)
		if (!strcmp(graph->values[values[i]].name, given->name))
			return i;
	if (given->name && n == 1)
		finf_diag_set(diag, -EINVAL, "the model has no %s '%.100s', only '%.100s'",
			      kind_of(outputs), given->name, graph->values[values[0]].name);
	else if (given->name)
		finf_diag_set(diag, -EINVAL,
			      "the model has no %s '%.100s', but '%.100s' and %u more",
			      kind_of(outputs), given->name,
			      n ? graph->values[values[0]].name : "none", n ? n - 1 : 0);
	else
		finf_diag_set(diag, -EINVAL, "%s number %u given, the model has %u",
			      kind_of(outputs), position + 1, n);
	return FINF_NONE;
}

static bool shape_fits(const struct finf_value *value, const struct finf_shape *given)
{
	if (!value->has_shape)
		return true;
	if (given->rank != value->shape.rank)
		return false;
	for (uint32_t d = 0; d < given->rank; d++)
		if (value->shape.dim[d] != FINF_DIM_ANY && value->shape.dim[d] != given->dim[d])
			return false;
	return true;
}

static int check_input(const struct finf_value *value, const struct finf_tensor *given,
		       struct finf_diag *diag)
{
	char have[96], want[96];
	size_t bytes;

	if (given->shape.rank > FINF_RANK_MAX)
		return finf_diag_set(diag, -EINVAL, "input '%s': rank %u given, %u is the most",
				     value->name, given->shape.rank, FINF_RANK_MAX);
	if (given->dtype != value->dtype || !shape_fits(value, &given->shape))
		return finf_diag_set(diag, -EINVAL, "input '%s': given %s %s, expected %s %s",
				     value->name, finf_dtype_name(given->dtype),
				     finf_shape_text(&given->shape, have, sizeof(have)),
				     finf_dtype_name(value->dtype),
				     finf_shape_text(&value->shape, want, sizeof(want)));
	if (finf_tensor_bytes(given->dtype, &given->shape, &bytes))
		return finf_diag_set(diag, -EINVAL, "input '%s': %s is no shape of a tensor",
				     value->name,
				     finf_shape_text(&given->shape, have, sizeof(have)));
	if (!bytes && !finf_shape_is_static(&value->shape))
		return finf_diag_set(diag, -EINVAL, "input '%s': %s has no elements", value->name,
				     finf_shape_text(&given->shape, have, sizeof(have)));
	if (given->bytes != bytes || (!given->data && bytes))
		return finf_diag_set(diag, -EINVAL, "input '%s': %zu bytes given, %s %s has %zu",
				     value->name, given->data ? given->bytes : 0,
				     finf_dtype_name(given->dtype),
				     finf_shape_text(&given->shape, have, sizeof(have)), bytes);
	return 0;
}

/* Every input must have been given; an output that was not is not wanted. */
static int check_complete(const struct finf_graph *graph, const struct finf_tensor *ret,
			  struct finf_diag *diag)
{
	for (uint32_t i = 0; i < graph->n_inputs; i++)
		if (!ret[i].name)
			return finf_diag_set(diag, -EINVAL, "input '%s' is missing",
					     graph->values[graph->inputs[i]].name);
	return 0;
}

int finf_model_match(const struct finf_model *model, bool outputs, const struct finf_tensor *given,
		     uint32_t n_given, struct finf_tensor *ret, struct finf_diag *diag)
{
	const struct finf_graph *graph = model->graph;
	const uint32_t *values = outputs ? graph->outputs : graph->inputs;
	uint32_t n = outputs ? graph->n_outputs : graph->n_inputs;

	for (uint32_t i = 0; i < n; i++)
		ret[i] = (struct finf_tensor){.name = NULL};
	for (uint32_t i = 0; i < n_given; i++) {
		uint32_t port = port_of(graph, outputs, &given[i], i, diag);
		int err;

		if (port == FINF_NONE)
			return -EINVAL;
		if (ret[port].name)
			return finf_diag_set(diag, -EINVAL, "%s '%s' is given twice",
					     kind_of(outputs), ret[port].name);
		err = outputs ? 0 : check_input(&graph->values[values[port]], &given[i], diag);
		if (err)
			return err;
		ret[port] = given[i];
		ret[port].name = graph->values[values[port]].name;
	}
	return outputs ? 0 : check_complete(graph, ret, diag);
}
