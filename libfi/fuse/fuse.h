/* SPDX-License-Identifier: MIT */
/*
 * fuse - passes over a graph that keep its meaning: constants folded, dead
 * code dropped, BatchNormalization folded into Conv, activations folded into
 * the node before. Each pass is one file and one row of the pass table.
 * Must not know: devices, layouts, files.
 */
#ifndef FINF_FUSE_H
#define FINF_FUSE_H

#include "graph/graph.h"
#include "graph/op.h"

struct finf_fuse_pass {
	const char *name;
	/**
	 * run - change a sorted, inferred graph in place. Every change drops one
	 * node: *ret_changes counts them. Return: 0; -ENOMEM; -EINVAL with diag.
	 */
	int (*run)(struct finf_graph *graph, uint32_t *ret_changes, struct finf_diag *diag);
};

/** finf_fuse_pass_at - rows in the order they run; NULL past the end. */
const struct finf_fuse_pass *finf_fuse_pass_at(uint32_t index);

struct finf_fuse_report {
	uint32_t nodes_before, nodes_after;
	uint32_t changes[16]; /* per pass, by table index */
};

/**
 * finf_fuse_run - all passes until nothing changes.
 * @graph       sorted; partly open shapes are fine. Verified and inferred afterwards
 * @ret_report  may be NULL
 * Return: 0; -EINVAL with the pass and the node in @diag; -ENOMEM. On error
 * the graph must only be freed.
 */
int finf_fuse_run(struct finf_graph *graph, struct finf_fuse_report *ret_report,
		  struct finf_diag *diag);

#endif
