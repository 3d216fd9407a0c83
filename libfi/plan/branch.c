/* SPDX-License-Identifier: MIT */
/*
 * plan: branches. Members of a group that are to run side by side get a branch
 * each; a node that serves several is in the branch of the first of them. The
 * list of steps is the branches merged by planned start time, as if each had a
 * device of its own: weights lie in the order of the list, so no member waits
 * for the last byte of another.
 */
#include <errno.h>

#include "graph/member.h"
#include "plan/internal.h"

/* The first member that a node serves; branch numbers are then closed up. */
static int assign(struct finf_planner *p)
{
	const struct finf_graph *graph = p->graph;
	uint64_t *serves = finf_arena_array(&p->scratch, graph->n_nodes, sizeof(*serves));
	uint32_t number[FINF_MEMBERS_MAX];
	uint64_t used = 0;
	int err = serves ? finf_graph_serves(graph, serves) : -ENOMEM;

	if (err)
		return err;
	for (uint32_t i = 0; i < graph->n_nodes; i++) {
		p->branch_of[i] = serves[i] ? (uint32_t)__builtin_ctzll(serves[i]) : 0;
		used |= 1ull << p->branch_of[i];
	}
	p->plan->n_branches = 0;
	for (uint32_t m = 0; m < FINF_MEMBERS_MAX; m++) {
		number[m] = p->plan->n_branches;
		p->plan->n_branches += (uint32_t)(used >> m & 1);
	}
	p->plan->n_branches = FINF_MAX(p->plan->n_branches, 1u);
	for (uint32_t i = 0; i < graph->n_nodes; i++)
		p->branch_of[i] = number[p->branch_of[i]];
	return 0;
}

/* The least a node can take: its time in the order below. */
static uint64_t least_ns(const struct finf_form_list *list)
{
	uint64_t ns = UINT64_MAX;

	for (uint32_t f = 0; f < list->n; f++)
		ns = FINF_MIN(ns, list->forms[f].est_ns);
	return ns;
}

/* When node @i can start: its branch is free and its inputs are there. */
static uint64_t start_ns(const struct finf_planner *p, uint32_t i, const uint64_t *free_at,
			 const uint64_t *end_ns)
{
	const struct finf_node *node = &p->graph->nodes[i];
	uint64_t start = free_at[p->branch_of[i]];

	for (uint32_t k = 0; k < node->n_in; k++) {
		uint32_t producer = node->in[k] == FINF_NONE
					    ? FINF_NONE
					    : p->graph->values[node->in[k]].producer;

		if (producer != FINF_NONE)
			start = FINF_MAX(start, end_ns[producer]);
	}
	return start;
}

/* Nodes of one branch stay in the graph's order; the branch whose next starts first goes on. */
static int merge_by_start(struct finf_planner *p)
{
	const struct finf_graph *graph = p->graph;
	uint32_t n_branches = p->plan->n_branches, next[FINF_BRANCHES_MAX] = {0};
	uint64_t free_at[FINF_BRANCHES_MAX] = {0};
	uint64_t *end_ns = finf_arena_array(&p->scratch, graph->n_nodes, sizeof(*end_ns));

	if (!end_ns)
		return -ENOMEM;
	for (uint32_t i = 0; i < graph->n_nodes; i++)
		end_ns[i] = UINT64_MAX; /* not in the list yet: who needs it cannot start */
	for (uint32_t at = 0; at < graph->n_nodes; at++) {
		uint64_t best_ns = UINT64_MAX;
		uint32_t best = FINF_NONE;

		for (uint32_t b = 0; b < n_branches; b++) {
			uint64_t ns;

			while (next[b] < graph->n_nodes && p->branch_of[next[b]] != b)
				next[b]++;
			if (next[b] == graph->n_nodes)
				continue;
			ns = start_ns(p, next[b], free_at, end_ns);
			if (ns < best_ns) {
				best_ns = ns;
				best = b;
			}
		}
		if (best == FINF_NONE)
			return finf_diag_set(p->diag, -EINVAL, "a node is used before it is there");
		p->order[at] = next[best];
		/* One less than "never", so that a price of "never" does not stop the list. */
		free_at[best] =
			FINF_MIN(finf_plan_add_ns(best_ns, least_ns(&p->forms->nodes[next[best]])),
				 UINT64_MAX - 1);
		end_ns[next[best]++] = free_at[best];
	}
	return 0;
}

int finf_planner_branches(struct finf_planner *p, bool side_by_side)
{
	const struct finf_graph *graph = p->graph;
	int err = 0;

	p->order = finf_arena_array(&p->scratch, graph->n_nodes, sizeof(*p->order));
	p->branch_of = finf_arena_array(&p->scratch, graph->n_nodes, sizeof(*p->branch_of));
	if (!p->order || !p->branch_of)
		return -ENOMEM;
	p->plan->n_branches = 1;
	if (side_by_side)
		err = assign(p);
	if (!err && p->plan->n_branches > 1)
		err = merge_by_start(p);
	else
		for (uint32_t i = 0; i < graph->n_nodes; i++)
			p->order[i] = i;
	return err;
}

/* ---- dependencies ------------------------------------------------------------------ */

struct waits {
	uint32_t *writer;		  /* per buffer: step, or FINF_NONE for the caller's */
	uint32_t *nth;			  /* per step: its number in its branch, from 1 */
	uint32_t last[FINF_BRANCHES_MAX]; /* last step so far, plus 1 */
};

/* What is behind step @d, and @d itself, is behind step @s. */
static void join(struct finf_planner *p, const struct waits *w, uint32_t s, uint32_t d)
{
	uint32_t n = p->plan->n_branches, *into = &p->behind[(size_t)s * n];
	const uint32_t *from = &p->behind[(size_t)d * n];
	uint32_t branch = p->plan->steps[d].branch;

	for (uint32_t b = 0; b < n; b++)
		into[b] = FINF_MAX(into[b], from[b]);
	into[branch] = FINF_MAX(into[branch], w->nth[d]);
}

/* Of each branch at most the latest step that is needed and not behind already. */
static int depend(struct finf_planner *p, struct waits *w, uint32_t s)
{
	struct finf_plan *plan = p->plan;
	struct finf_step *step = &plan->steps[s];
	uint32_t need[FINF_BRANCHES_MAX] = {0}; /* step plus 1 */

	if (w->last[step->branch])
		join(p, w, s, w->last[step->branch] - 1);
	for (uint32_t k = 0; k < step->n_in; k++) {
		uint32_t d = step->in[k].kind == FINF_OPERAND_BUFFER ? w->writer[step->in[k].index]
								     : FINF_NONE;

		if (d != FINF_NONE)
			need[plan->steps[d].branch] = FINF_MAX(need[plan->steps[d].branch], d + 1);
	}
	step->deps = finf_arena_array(&plan->arena, plan->n_branches, sizeof(*step->deps));
	if (!step->deps)
		return -ENOMEM;
	for (uint32_t b = 0; b < plan->n_branches; b++) {
		uint32_t d = need[b] - 1;

		if (!need[b] || p->behind[(size_t)s * plan->n_branches + b] >= w->nth[d])
			continue;
		step->deps[step->n_deps++] = d;
		join(p, w, s, d);
	}
	return 0;
}

int finf_planner_depend(struct finf_planner *p)
{
	struct finf_plan *plan = p->plan;
	struct waits w = {NULL};
	uint32_t count[FINF_BRANCHES_MAX] = {0};
	int err = 0;

	p->behind = finf_arena_array(&p->scratch, (size_t)plan->n_steps * plan->n_branches,
				     sizeof(*p->behind));
	w.writer = finf_arena_array(&p->scratch, plan->n_buffers, sizeof(*w.writer));
	w.nth = finf_arena_array(&p->scratch, plan->n_steps, sizeof(*w.nth));
	if (!p->behind || !w.writer || !w.nth)
		return -ENOMEM;
	for (uint32_t b = 0; b < plan->n_buffers; b++)
		w.writer[b] = FINF_NONE;
	for (uint32_t s = 0; s < plan->n_steps; s++)
		for (uint32_t k = 0; k < plan->steps[s].n_out; k++)
			if (plan->steps[s].out[k].kind == FINF_OPERAND_BUFFER)
				w.writer[plan->steps[s].out[k].index] = s;
	for (uint32_t b = 0; b < plan->n_buffers; b++) /* sources come first */
		if (plan->buffers[b].alias_of != FINF_NONE)
			w.writer[b] = w.writer[plan->buffers[b].alias_of];
	for (uint32_t s = 0; !err && s < plan->n_steps; s++) {
		uint32_t branch = plan->steps[s].branch;

		w.nth[s] = ++count[branch];
		err = depend(p, &w, s);
		w.last[branch] = s + 1;
	}
	return err;
}
