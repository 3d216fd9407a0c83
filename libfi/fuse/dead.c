/* SPDX-License-Identifier: MIT */
/* fuse: drop the nodes that no output of the model needs. */
#include "fuse/internal.h"

static int run(struct finf_graph *graph, uint32_t *ret_changes, struct finf_diag *diag)
{
	uint32_t before = graph->n_nodes;
	int err = finf_graph_prune(graph, NULL);

	(void)diag;
	if (!err)
		*ret_changes = before - graph->n_nodes;
	return err;
}

const struct finf_fuse_pass finf_fuse_dead = {.name = "dead", .run = run};
