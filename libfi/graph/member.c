/* SPDX-License-Identifier: MIT */
/* graph: the members of a group - who they are, which nodes serve them, one of them alone. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/internal.h"

uint32_t finf_graph_member_find(const struct finf_graph *graph, const char *name)
{
	for (uint32_t i = 0; i < graph->n_members; i++)
		if (!strcmp(graph->members[i].name, name))
			return i;
	return FINF_NONE;
}

/* Each port exists and is named, no two ports of a member are alike. */
static bool ports_ok(const struct finf_member_port *ports, uint32_t n, uint32_t limit)
{
	if (n > FINF_MEMBER_PORTS_MAX)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		if (ports[i].index >= limit || !*ports[i].name)
			return false;
		for (uint32_t k = 0; k < i; k++)
			if (ports[k].index == ports[i].index ||
			    !strcmp(ports[k].name, ports[i].name))
				return false;
	}
	return true;
}

static struct finf_member_port *ports_copy(struct finf_arena *arena,
					   const struct finf_member_port *from, uint32_t n)
{
	struct finf_member_port *ports = finf_arena_dup(arena, from, n * sizeof(*from));

	for (uint32_t i = 0; ports && i < n; i++) {
		ports[i].name = finf_arena_str(arena, from[i].name);
		if (!ports[i].name)
			return NULL;
	}
	return ports;
}

int finf_graph_add_member(struct finf_graph *graph, const struct finf_member *member)
{
	struct finf_arena *arena = &graph->arena;
	struct finf_member copy = *member;
	uint32_t version;

	if (!finf_name_ok(member->name, &version, NULL) || version || !member->n_outputs ||
	    graph->n_members == FINF_MEMBERS_MAX ||
	    !ports_ok(member->inputs, member->n_inputs, graph->n_inputs) ||
	    !ports_ok(member->outputs, member->n_outputs, graph->n_outputs))
		return -EINVAL;
	if (finf_graph_member_find(graph, member->name) != FINF_NONE)
		return -EEXIST;
	if (!graph->members)
		graph->members = finf_arena_array(arena, FINF_MEMBERS_MAX, sizeof(copy));
	copy.name = finf_arena_str(arena, member->name);
	copy.inputs = ports_copy(arena, member->inputs, member->n_inputs);
	copy.outputs = ports_copy(arena, member->outputs, member->n_outputs);
	if (!graph->members || !copy.name || !copy.inputs || !copy.outputs)
		return -ENOMEM;
	graph->members[graph->n_members++] = copy;
	return 0;
}

int finf_graph_serves(const struct finf_graph *graph, uint64_t *ret_masks)
{
	uint64_t *values = calloc(FINF_MAX(graph->n_values, 1u), sizeof(*values));

	if (!values)
		return -ENOMEM;
	for (uint32_t m = 0; m < graph->n_members; m++)
		for (uint32_t k = 0; k < graph->members[m].n_outputs; k++)
			values[graph->outputs[graph->members[m].outputs[k].index]] |= 1ull << m;
	/* Backwards: who reads a value has told it whom it serves by the time its node comes. */
	for (uint32_t i = graph->n_nodes; i-- > 0;) {
		const struct finf_node *node = &graph->nodes[i];

		ret_masks[i] = 0;
		for (uint32_t k = 0; k < node->n_out; k++)
			if (node->out[k] != FINF_NONE)
				ret_masks[i] |= values[node->out[k]];
		for (uint32_t k = 0; k < node->n_in; k++)
			if (node->in[k] != FINF_NONE)
				values[node->in[k]] |= ret_masks[i];
	}
	free(values);
	return 0;
}

/* The interface in place: ports[k] is the k-th of the values there are. */
static void take_ports(uint32_t *values, uint32_t *n_values, const struct finf_member_port *ports,
		       uint32_t n, const uint32_t *from)
{
	for (uint32_t k = 0; k < n; k++)
		values[k] = from[ports[k].index];
	*n_values = n;
}

/* The names a member's interface has in the member, where nothing else is named so. */
static int rename_ports(struct finf_graph *alone, const struct finf_member_port *ports, uint32_t n,
			const uint32_t *values)
{
	for (uint32_t k = 0; k < n; k++) {
		struct finf_value *v = &alone->values[values[k]];
		int err;

		if (v->is_const) /* its bytes are found by its name */
			continue;
		if (finf_map_find(&alone->by_name, ports[k].name, NULL))
			continue;
		v->name = finf_arena_str(&alone->arena, ports[k].name);
		err = v->name ? finf_map_put(&alone->by_name, v->name, values[k]) : -ENOMEM;
		if (err)
			return err;
	}
	return 0;
}

int finf_graph_member_only(const struct finf_graph *graph, uint32_t member,
			   struct finf_graph **ret_graph)
{
	const struct finf_member *m = &graph->members[member];
	struct finf_graph *alone;
	int err = finf_graph_clone(graph, &alone);

	if (err)
		return err;
	alone->members = NULL;
	alone->n_members = 0;
	alone->batched = false;
	for (uint32_t i = 0; i < alone->n_inputs; i++)
		alone->values[alone->inputs[i]].is_input = false;
	take_ports(alone->inputs, &alone->n_inputs, m->inputs, m->n_inputs, graph->inputs);
	take_ports(alone->outputs, &alone->n_outputs, m->outputs, m->n_outputs, graph->outputs);
	for (uint32_t i = 0; i < alone->n_inputs; i++)
		alone->values[alone->inputs[i]].is_input = true;
	err = rename_ports(alone, m->inputs, m->n_inputs, alone->inputs);
	if (!err)
		err = rename_ports(alone, m->outputs, m->n_outputs, alone->outputs);
	if (!err)
		err = finf_graph_prune(alone, NULL); /* and with it the map of names is made anew */
	if (!err)
		err = finf_graph_verify(alone, NULL); /* a file may leave inputs out */
	if (err)
		finf_graph_free(alone);
	else
		*ret_graph = alone;
	return err;
}
