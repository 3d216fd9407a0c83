/* SPDX-License-Identifier: MIT */
/* fuse: the table of passes, run until nothing changes. */
#include "fuse/internal.h"

/* Dead code first: what nobody needs is not worth folding. */
static const struct finf_fuse_pass *const table[] = {
	&finf_fuse_dead,      &finf_fuse_constants, &finf_fuse_identity, &finf_fuse_convbn,
	&finf_fuse_convscale, &finf_fuse_layernorm, &finf_fuse_gelu,	 &finf_fuse_hardswish,
	&finf_fuse_bias,      &finf_fuse_matmul,    &finf_fuse_attention, &finf_fuse_residual,
	&finf_fuse_activation, &finf_fuse_chain,
};

/* The last one takes what no other wants any more: it runs once they are done. */
#define ROUND (FINF_ARRAY_LEN(table) - 1)

_Static_assert(FINF_ARRAY_LEN(table) <= FINF_ARRAY_LEN(((struct finf_fuse_report *)0)->changes),
	       "the report has room for every pass");

const struct finf_fuse_pass *finf_fuse_pass_at(uint32_t index)
{
	return index < FINF_ARRAY_LEN(table) ? table[index] : NULL;
}

int finf_fuse_pass_run(const struct finf_fuse_pass *pass, struct finf_graph *graph,
		       uint32_t *ret_changes, struct finf_diag *diag)
{
	struct finf_rewrite rw;
	int err;

	if (pass->run)
		return pass->run(graph, ret_changes, diag);
	err = finf_rewrite_begin(&rw, graph);
	if (err)
		return err;
	for (uint32_t i = 0; i < graph->n_nodes && !err; i++)
		if (rw.keep[i])
			err = pass->at(&rw, i);
	return finf_rewrite_end(&rw, err, ret_changes);
}

static int run_pass(struct finf_graph *graph, uint32_t i, struct finf_fuse_report *report,
		    struct finf_diag *diag)
{
	uint32_t changes = 0;
	int err = finf_fuse_pass_run(table[i], graph, &changes, diag);

	if (err) {
		finf_diag_prefix(diag, "pass %s", table[i]->name);
		return err;
	}
	report->changes[i] += changes;
	return 0;
}

/* Every change drops a node, so the rounds come to an end. */
static int run_rounds(struct finf_graph *graph, struct finf_fuse_report *report,
		      struct finf_diag *diag)
{
	uint32_t before;
	int err = 0;

	do {
		before = graph->n_nodes;
		for (uint32_t i = 0; i < ROUND && !err; i++)
			err = run_pass(graph, i, report, diag);
	} while (!err && graph->n_nodes < before);
	return err ? err : run_pass(graph, ROUND, report, diag);
}

int finf_fuse_run(struct finf_graph *graph, struct finf_fuse_report *ret_report,
		  struct finf_diag *diag)
{
	struct finf_fuse_report report = {.nodes_before = graph->n_nodes};
	int err;

	if (diag)
		diag->text[0] = 0;
	err = finf_graph_infer(graph, diag);
	if (!err)
		err = run_rounds(graph, &report, diag);
	if (!err)
		err = finf_graph_verify(graph, diag);
	if (!err)
		err = finf_graph_infer(graph, diag);
	report.nodes_after = graph->n_nodes;
	if (!err && ret_report)
		*ret_report = report;
	return err;
}
