/* SPDX-License-Identifier: MIT */
/*
 * fuse - passes over a graph that keep its meaning: constants folded, dead
 * code dropped, BatchNormalization folded into Conv, activations folded into
 * the node before. Each pass is one file and one row of the pass table.
 * Must not know: devices, layouts, files.
 */
#ifndef FINF_FUSE_H
#define FINF_FUSE_H

#include "graph/member.h"
#include "graph/op.h"

struct finf_rewrite;

/* One of both. */
struct finf_fuse_pass {
	const char *name;
	/** at - look at one node, in the graph's order, and change what begins or ends there. */
	int (*at)(struct finf_rewrite *rw, uint32_t node);
	/** run - the whole graph. */
	int (*run)(struct finf_graph *graph, uint32_t *ret_changes, struct finf_diag *diag);
};

/**
 * finf_fuse_pass_run - change a sorted, inferred graph in place. Every change drops one node:
 * *ret_changes counts them. Return: 0; -ENOMEM; -EINVAL with diag.
 */
int finf_fuse_pass_run(const struct finf_fuse_pass *pass, struct finf_graph *graph,
		       uint32_t *ret_changes, struct finf_diag *diag);

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

/* ---- many models, one graph ------------------------------------------------ */

struct finf_fuse_member {
	const char *name;		/* [A-Za-z0-9][A-Za-z0-9._-]{0,127} */
	const struct finf_graph *graph; /* sorted, inferred, every constant with its bytes */
};

struct finf_merge_opts {
	size_t size;	   /* sizeof(struct finf_merge_opts) */
	bool share_inputs; /* alike ones of different members become one */
	enum finf_schedule schedule;
};

struct finf_merge_report {
	uint32_t nodes_before, nodes_after;
	uint32_t constants_before, constants_after;
	uint64_t bytes_before, bytes_after; /* of constants */
	uint32_t inputs_shared;
};

/**
 * finf_fuse_merge - one graph that computes what all members compute.
 * Names become MEMBER/NAME. Constants of the same dtype, shape and bytes are
 * there once, nodes that compute the same from the same are there once. Member
 * after member, so the graph is sorted.
 * @param members  n of them; their constants stay borrowed and must outlive the result
 * @param opts  NULL = nothing shared, side by side
 * @param ret_report  may be NULL
 * Return: 0; -EEXIST a name is there twice; -EINVAL less than two members, no
 * name, a group as a member, constant without bytes, different batch sizes;
 * -ENOMEM.
 */
int finf_fuse_merge(const char *name, const struct finf_fuse_member *members, uint32_t n,
		    const struct finf_merge_opts *opts, struct finf_graph **ret_graph,
		    struct finf_merge_report *ret_report, struct finf_diag *diag);

/* ---- the same work for many members, once ----------------------------------- */

struct finf_batch_report {
	uint32_t nodes;	  /* of members, that are gone: each is done together with others */
	uint32_t batched; /* what they became */
	uint64_t members; /* whose they were, bit m for member m */
};

/**
 * finf_fuse_batch - nodes of different members that do the same with the same weights become
 * one, over their inputs laid one behind the other along dimension 0: weights are read once, a
 * kernel is started once. Concat and Slice where such nodes begin and end.
 * Only nodes that treat rows apart (rows.c); from a node with a matrix of weights on. The
 * result computes the same outputs under the same names. Deterministic.
 * @graph  from finf_graph_bind(): every shape static
 * Return: 0, also when there is nothing alike; -ENOMEM; -EINVAL with diag. On error the graph
 * must only be freed.
 */
int finf_fuse_batch(struct finf_graph *graph, struct finf_batch_report *ret_report,
		    struct finf_diag *diag);

#endif
