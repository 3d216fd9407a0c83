/* SPDX-License-Identifier: MIT */
/*
 * plan: the proof about lanes (plan.h). Every step is in a head or in one piece of one lane,
 * heads wait for heads only, and lanes never wait for each other in a circle: going
 * through all of them, as far as each gets, ends with every step over.
 */
#include <errno.h>

#include "plan/internal.h"

struct lanes {
	const struct finf_plan *plan;
	struct finf_diag *diag;
	struct finf_arena scratch; /* owned: everything below */
	uint32_t *nth;		   /* per step: its number in its branch, from 0 */
	uint32_t *n_steps;	   /* per branch */
	uint32_t **steps;	   /* per branch */
	uint32_t *done;		   /* per branch: steps that are over */
	uint32_t *piece;	   /* per lane: the piece it is at */
};

#define no(lanes, ...) finf_diag_set((lanes)->diag, -EINVAL, __VA_ARGS__)

static int lanes_init(struct lanes *l)
{
	const struct finf_plan *plan = l->plan;

	l->nth = finf_arena_array(&l->scratch, plan->n_steps, sizeof(*l->nth));
	l->n_steps = finf_arena_array(&l->scratch, plan->n_branches, sizeof(*l->n_steps));
	l->steps = finf_arena_array(&l->scratch, plan->n_branches, sizeof(*l->steps));
	l->done = finf_arena_array(&l->scratch, plan->n_branches, sizeof(*l->done));
	l->piece = finf_arena_array(&l->scratch, plan->side.n_lanes, sizeof(*l->piece));
	if (!l->nth || !l->n_steps || !l->steps || !l->done || !l->piece)
		return -ENOMEM;
	for (uint32_t s = 0; s < plan->n_steps; s++)
		l->nth[s] = l->n_steps[plan->steps[s].branch]++;
	for (uint32_t b = 0; b < plan->n_branches; b++) {
		l->steps[b] = finf_arena_array(&l->scratch, l->n_steps[b], sizeof(**l->steps));
		if (!l->steps[b])
			return -ENOMEM;
	}
	for (uint32_t s = 0; s < plan->n_steps; s++)
		l->steps[plan->steps[s].branch][l->nth[s]] = s;
	return 0;
}

static bool is_over(const struct lanes *l, uint32_t s)
{
	return l->done[l->plan->steps[s].branch] > l->nth[s];
}

static int check_heads(const struct lanes *l)
{
	const struct finf_plan *plan = l->plan;

	for (uint32_t b = 0; b < plan->n_branches; b++) {
		if (plan->side.head[b] > l->n_steps[b])
			return no(l, "branch %u has no %u steps", b, plan->side.head[b]);
		l->done[b] = plan->side.head[b];
	}
	for (uint32_t s = 0; s < plan->n_steps; s++) {
		const struct finf_step *step = &plan->steps[s];

		for (uint32_t i = 0; is_over(l, s) && i < step->n_deps; i++)
			if (!is_over(l, step->deps[i]))
				return no(l, "step %u comes before step %u, for which it waits", s,
					  step->deps[i]);
	}
	return 0;
}

static bool is_ready(const struct lanes *l, uint32_t s)
{
	const struct finf_step *step = &l->plan->steps[s];

	for (uint32_t i = 0; i < step->n_deps; i++)
		if (!is_over(l, step->deps[i]))
			return false;
	return true;
}

/* As far as lane @k gets. Returns whether it got anywhere. */
static bool go_on(struct lanes *l, uint32_t k)
{
	const struct finf_plan_lane *lane = &l->plan->side.lanes[k];
	bool moved = false;

	for (; l->piece[k] < lane->n; l->piece[k]++) {
		const struct finf_plan_piece *piece = &lane->pieces[l->piece[k]];
		uint32_t *done = &l->done[piece->branch];

		if (*done < piece->from)
			return moved;
		for (; *done < piece->until; (*done)++, moved = true)
			if (!is_ready(l, l->steps[piece->branch][*done]))
				return moved;
	}
	return moved;
}

/* Pieces that are not empty, none of them twice or in a head: then their steps add up. */
static int check_pieces(const struct lanes *l)
{
	const struct finf_plan *plan = l->plan;
	uint64_t in_lanes = 0, in_heads = 0;

	for (uint32_t k = 0; k < plan->side.n_lanes; k++)
		for (uint32_t i = 0; i < plan->side.lanes[k].n; i++) {
			const struct finf_plan_piece *piece = &plan->side.lanes[k].pieces[i];

			if (piece->branch >= plan->n_branches || piece->from >= piece->until ||
			    piece->from < plan->side.head[piece->branch] ||
			    piece->until > l->n_steps[piece->branch])
				return no(l, "lane %u: steps %u to %u of branch %u", k, piece->from,
					  piece->until, piece->branch);
			in_lanes += piece->until - piece->from;
		}
	for (uint32_t b = 0; b < plan->n_branches; b++)
		in_heads += plan->side.head[b];
	if (in_heads + in_lanes != plan->n_steps)
		return no(l, "%u steps, %llu in heads and lanes", plan->n_steps,
			  (unsigned long long)(in_heads + in_lanes));
	return 0;
}

static int check_lanes(struct lanes *l)
{
	const struct finf_plan *plan = l->plan;
	bool moved = true;

	while (moved) {
		moved = false;
		for (uint32_t k = 0; k < plan->side.n_lanes; k++)
			moved |= go_on(l, k);
	}
	for (uint32_t b = 0; b < plan->n_branches; b++)
		if (l->done[b] < l->n_steps[b])
			return no(l, "lanes never get to step %u", l->steps[b][l->done[b]]);
	return 0;
}

int finf_plan_check_lanes(const struct finf_plan *plan, struct finf_diag *diag)
{
	struct lanes l = {.plan = plan, .diag = diag};
	int err;

	if (!plan->side.n_lanes)
		return 0;
	if (plan->side.n_lanes > plan->threads || !plan->side.head || !plan->side.lanes ||
	    !plan->side.costs)
		return no(&l, "%u lanes on %u threads", plan->side.n_lanes, plan->threads);
	finf_arena_init(&l.scratch);
	err = lanes_init(&l);
	if (!err)
		err = check_heads(&l);
	if (!err)
		err = check_pieces(&l);
	if (!err)
		err = check_lanes(&l);
	finf_arena_fini(&l.scratch);
	return err;
}
