/* SPDX-License-Identifier: MIT */
/*
 * graph/member - a graph that many models were fused into: which of them there
 * are, what is theirs, and one of them alone. Documentation/internals/fuse.md.
 * Must not know: how they were fused.
 */
#ifndef FINF_GRAPH_MEMBER_H
#define FINF_GRAPH_MEMBER_H

#include "graph/graph.h"

#define FINF_MEMBERS_MAX      64
#define FINF_MEMBER_PORTS_MAX 1024

/* An input or output of a member: its place among the graph's, its name in the member. */
struct finf_member_port {
	uint32_t index;
	const char *name;
};

/*
 * One of the models that a group was made of. Inputs and outputs are places in
 * the graph's interface, which no rewriting changes; its nodes are those that
 * its outputs need, so a node may serve several members.
 */
struct finf_member {
	const char *name;
	uint32_t n_inputs, n_outputs;
	struct finf_member_port *inputs, *outputs;
};

/**
 * finf_graph_add_member - the graph serves one more member. All is copied.
 * Return: 0; -EINVAL not a name, a port that does not exist, too many members or ports;
 * -EEXIST there is a member of that name; -ENOMEM.
 */
int finf_graph_add_member(struct finf_graph *graph, const struct finf_member *member);

/** finf_graph_member_find - by name; FINF_NONE. */
uint32_t finf_graph_member_find(const struct finf_graph *graph, const char *name);

/**
 * finf_graph_serves - which members need each node: bit m for member m.
 * @param ret_masks  n_nodes of them, written
 * @graph is sorted.
 */
int finf_graph_serves(const struct finf_graph *graph, uint64_t *ret_masks);

/**
 * finf_graph_member_only - a member alone, as a graph without members. Inputs
 * and outputs have the member's names for them again, other values those of the
 * group. Constants stay borrowed from @graph.
 * Return: 0; -EINVAL its nodes read inputs that are not its own; -ENOMEM.
 */
int finf_graph_member_only(const struct finf_graph *graph, uint32_t member,
			   struct finf_graph **ret_graph);

#endif
