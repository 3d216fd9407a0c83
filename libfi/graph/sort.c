/* SPDX-License-Identifier: MIT */
/* graph: topological order by depth-first search without recursion. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/op.h"

enum { UNSEEN, OPEN, DONE };

struct frame {
	uint32_t node, next_in;
};

struct sorter {
	struct finf_graph *graph;
	struct frame *stack; /* a path: no deeper than there are nodes */
	uint32_t depth;
	uint8_t *state;
	uint32_t *order; /* old numbers in new order */
	uint32_t n_done;
};

static void push(struct sorter *s, uint32_t node)
{
	s->state[node] = OPEN;
	s->stack[s->depth++] = (struct frame){.node = node};
}

/* The next producer of the top frame that is not placed yet, FINF_NONE when none is left. */
static uint32_t next_producer(const struct sorter *s, struct frame *top)
{
	const struct finf_node *node = &s->graph->nodes[top->node];

	while (top->next_in < node->n_in) {
		uint32_t value = node->in[top->next_in++], producer;

		if (value == FINF_NONE)
			continue;
		producer = s->graph->values[value].producer;
		if (producer != FINF_NONE && s->state[producer] != DONE)
			return producer;
	}
	return FINF_NONE;
}

static int visit(struct sorter *s, uint32_t root, struct finf_diag *diag)
{
	push(s, root);
	while (s->depth) {
		struct frame *top = &s->stack[s->depth - 1];
		uint32_t producer = next_producer(s, top);

		if (producer == FINF_NONE) {
			s->state[top->node] = DONE;
			s->order[s->n_done++] = top->node;
			s->depth--;
		} else if (s->state[producer] == OPEN) {
			const struct finf_node *node = &s->graph->nodes[producer];

			return finf_diag_set(diag, -ELOOP,
					     "node %s, operator %s: depends on its own output",
					     node->name, node->op->name);
		} else {
			push(s, producer);
		}
	}
	return 0;
}

/* Nodes into their new places; producers follow. */
static void apply_order(struct finf_graph *graph, const uint32_t *order, struct finf_node *sorted)
{
	for (uint32_t i = 0; i < graph->n_nodes; i++)
		sorted[i] = graph->nodes[order[i]];
	memcpy(graph->nodes, sorted, graph->n_nodes * sizeof(*sorted));
	for (uint32_t i = 0; i < graph->n_nodes; i++)
		for (uint32_t k = 0; k < graph->nodes[i].n_out; k++)
			if (graph->nodes[i].out[k] != FINF_NONE)
				graph->values[graph->nodes[i].out[k]].producer = i;
}

/*
 * Roots are taken in the order they stand, and a node is placed right after
 * the last of its producers that had to be pulled forward: a graph that is in
 * order already stays as it is.
 */
int finf_graph_sort(struct finf_graph *graph, struct finf_diag *diag)
{
	struct sorter s = {.graph = graph};
	struct finf_node *sorted = NULL;
	uint32_t n = graph->n_nodes;
	int err = 0;

	if (!n)
		return 0;
	s.stack = calloc(n, sizeof(*s.stack));
	s.state = calloc(n, sizeof(*s.state));
	s.order = calloc(n, sizeof(*s.order));
	sorted = calloc(n, sizeof(*sorted));
	if (!s.stack || !s.state || !s.order || !sorted)
		err = -ENOMEM;
	for (uint32_t i = 0; !err && i < n; i++)
		if (s.state[i] == UNSEEN)
			err = visit(&s, i, diag);
	if (!err)
		apply_order(graph, s.order, sorted);
	free(sorted);
	free(s.order);
	free(s.state);
	free(s.stack);
	return err;
}
