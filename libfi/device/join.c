/* SPDX-License-Identifier: MIT */
/* device: which Concat needs no copies; for every device that offers FINF_FORM_JOIN. */
#include <string.h>

#include "device/join.h"
#include "graph/op.h"

bool finf_device_join_axis(const struct finf_graph *graph, const struct finf_node *node,
			   uint32_t *ret_axis)
{
	const struct finf_shape *shape;
	uint32_t axis;

	if (strcmp(node->op->name, "Concat") || node->act != FINF_ACT_NONE)
		return false;
	shape = &graph->values[node->out[0]].shape;
	if (!finf_axis(finf_node_int(node, "axis", 1), shape->rank, &axis))
		return false;
	for (uint32_t i = 0; i < axis; i++)
		if (shape->dim[i] != 1)
			return false;
	for (uint32_t i = 0; i < node->n_in; i++)
		if (graph->values[node->in[i]].is_const)
			return false;
	*ret_axis = axis;
	return true;
}
