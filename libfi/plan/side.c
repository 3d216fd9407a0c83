/* SPDX-License-Identifier: MIT */
/*
 * plan: side by side on the host's cores, or not. Lanes are filled so that all end together,
 * played through with the measured costs, and the best are taken. What is played
 * here is what exec/side.c does.
 *
 * No lanes can end before the longest branch, nor before all work spread evenly. Branches in
 * steps can always be spread so (McNaughton's rule, 1959): fill one lane up to that end,
 * cut the branch that crosses it, and let what is cut off begin the next lane. The later part of that
 * branch is the last of its lane, the earlier part the first of the next, so they
 * never run at once.
 *   lane 0: A A A A A | B B B
 *   lane 1: B B | C C C C C C
 */
#include <errno.h>
#include <string.h>

#include "plan/internal.h"

/* All threads begin with their lanes, and come together behind them. */
#define START_NS 3000
/* From step to step; and until a thread sees that what it waited for is over. */
#define STEP_NS 50
#define HAND_NS 500
/* A branch goes on where it was not before: what it works on is in another core's cache. */
#define MOVE_NS 2000
/* Heads of so many lengths are tried for each branch. */
#define HEADS 16u

struct play {
	const struct finf_plan *plan;
	struct finf_arena scratch; /* owned: all below */
	uint32_t **steps;	   /* per branch: its steps */
	uint32_t *n_steps;	   /* per branch */
	uint32_t *nth;		   /* per step: its number in its branch, from 0 */
	uint64_t *end_ns;	   /* per step, of this play; UINT64_MAX = not run */
	uint32_t *done;		   /* per branch: steps, of this play */
	uint64_t *rest_ns;	   /* per branch: behind its head, with one thread */
	uint32_t n_lanes;
	struct finf_plan_lane *lanes; /* now being tried */
	/* the best so far */
	uint64_t best_ns;
	uint32_t *best_head;
	struct finf_plan_lane *best_lanes;
};

bool finf_step_prefers_one(const struct finf_step_cost *cost)
{
	return cost->one_ns < cost->all_ns - cost->all_ns / 10;
}

static uint64_t alone_ns(const struct play *p, uint32_t s)
{
	const struct finf_step_cost *cost = &p->plan->side.costs[s];

	return finf_step_prefers_one(cost) ? cost->one_ns : cost->all_ns;
}

/* ---- filling lanes -------------------------------------------------------------------- */

static void add_piece(struct play *p, uint32_t lane, uint32_t b, uint32_t from, uint32_t until)
{
	struct finf_plan_lane *to = &p->lanes[lane];

	if (from < until)
		to->pieces[to->n++] = (struct finf_plan_piece){b, from, until};
}

static void empty_lanes(struct play *p)
{
	for (uint32_t k = 0; k < p->n_lanes; k++)
		p->lanes[k].n = 0;
}

/* Branches whole, the longest first, each to the lane with least to do. */
static void fill_whole(struct play *p, const uint32_t *head)
{
	uint32_t n = p->plan->n_branches, lane_of[FINF_BRANCHES_MAX];
	uint64_t work_ns[FINF_BRANCHES_MAX] = {0};

	for (uint32_t b = 0; b < n; b++)
		lane_of[b] = FINF_NONE;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t longest = FINF_NONE, lane = 0;

		for (uint32_t b = 0; b < n; b++)
			if (lane_of[b] == FINF_NONE &&
			    (longest == FINF_NONE || p->rest_ns[b] > p->rest_ns[longest]))
				longest = b;
		for (uint32_t k = 1; k < p->n_lanes; k++)
			if (work_ns[k] < work_ns[lane])
				lane = k;
		lane_of[longest] = lane;
		work_ns[lane] = finf_plan_add_ns(work_ns[lane], p->rest_ns[longest]);
	}
	/* In the order of their numbers a branch waits for earlier ones only. */
	empty_lanes(p);
	for (uint32_t b = 0; b < n; b++)
		add_piece(p, lane_of[b], b, head[b], p->n_steps[b]);
}

/* Where branch @b is cut so that what comes behind takes at most @ns. */
static uint32_t cut(const struct play *p, uint32_t b, uint32_t head, uint64_t ns)
{
	uint32_t at = p->n_steps[b];

	for (; at > head; at--) {
		uint64_t step_ns = p->plan->side.costs[p->steps[b][at - 1]].one_ns;

		if (step_ns > ns)
			break;
		ns -= step_ns;
	}
	return at;
}

/* All lanes to the same end, cutting the branches that cross it: see above. */
static void fill_even(struct play *p, const uint32_t *head)
{
	uint64_t work_ns = 0, end_ns = 0, at_ns = 0;
	uint32_t lane = 0;

	for (uint32_t b = 0; b < p->plan->n_branches; b++) {
		work_ns = finf_plan_add_ns(work_ns, p->rest_ns[b]);
		end_ns = FINF_MAX(end_ns, p->rest_ns[b]);
	}
	end_ns = FINF_MAX(end_ns, work_ns / p->n_lanes);
	empty_lanes(p);
	for (uint32_t b = 0; b < p->plan->n_branches; b++) {
		uint32_t at = head[b];

		if (lane + 1 < p->n_lanes && p->rest_ns[b] > end_ns - at_ns) {
			at = cut(p, b, head[b], end_ns - at_ns);
			add_piece(p, lane++, b, at, p->n_steps[b]);
			add_piece(p, lane, b, head[b], at);
			at_ns = 0;
			for (uint32_t i = head[b]; i < at; i++)
				at_ns += p->plan->side.costs[p->steps[b][i]].one_ns;
		} else {
			add_piece(p, lane, b, at, p->n_steps[b]);
			at_ns = finf_plan_add_ns(at_ns, p->rest_ns[b]);
		}
		at_ns = FINF_MIN(at_ns, end_ns);
	}
}

/* ---- one schedule, played through ------------------------------------------------------ */

/* The heads, or UINT64_MAX when one of them would wait for what is in none. */
static uint64_t play_heads(struct play *p, const uint32_t *head)
{
	const struct finf_plan *plan = p->plan;
	uint64_t ns = 0;

	for (uint32_t s = 0; s < plan->n_steps; s++) {
		const struct finf_step *step = &plan->steps[s];

		p->end_ns[s] = UINT64_MAX;
		if (p->nth[s] >= head[step->branch])
			continue;
		for (uint32_t i = 0; i < step->n_deps; i++)
			if (p->end_ns[step->deps[i]] == UINT64_MAX)
				return UINT64_MAX;
		ns = finf_plan_add_ns(ns, alone_ns(p, s));
		p->end_ns[s] = 0;
	}
	return ns;
}

/* When step @s can start on a thread that is free at @at_ns; UINT64_MAX = not known yet. */
static uint64_t start_of(const struct play *p, uint32_t s, uint64_t at_ns)
{
	const struct finf_step *step = &p->plan->steps[s];
	uint64_t start_ns = at_ns;

	if (p->nth[s]) {
		uint64_t end_ns = p->end_ns[p->steps[step->branch][p->nth[s] - 1]];

		if (end_ns > at_ns)
			start_ns = finf_plan_add_ns(end_ns, HAND_NS);
	}
	for (uint32_t i = 0; i < step->n_deps; i++)
		if (p->end_ns[step->deps[i]] > at_ns)
			start_ns = FINF_MAX(start_ns, finf_plan_add_ns(p->end_ns[step->deps[i]],
								       HAND_NS));
	return start_ns;
}

/* As far as lane @k gets now. Returns whether it got anywhere. */
static bool play_lane(struct play *p, const struct finf_plan_lane *lane, uint32_t *piece,
		      uint64_t *at_ns)
{
	bool moved = false;

	for (; *piece < lane->n; (*piece)++) {
		const struct finf_plan_piece *now = &lane->pieces[*piece];

		while (p->done[now->branch] < now->until) {
			uint32_t s = p->steps[now->branch][p->done[now->branch]];
			uint64_t start_ns;

			if (p->nth[s] < now->from)
				return moved;
			start_ns = start_of(p, s, *at_ns);
			if (start_ns == UINT64_MAX)
				return moved;
			if (p->nth[s] && p->nth[s] == now->from)
				start_ns = finf_plan_add_ns(start_ns, MOVE_NS);
			*at_ns = finf_plan_add_ns(finf_plan_add_ns(start_ns, STEP_NS),
						  p->plan->side.costs[s].one_ns);
			p->end_ns[s] = *at_ns;
			p->done[now->branch]++;
			moved = true;
		}
	}
	return moved;
}

/* When the last lane ends; UINT64_MAX when lanes wait for each other for ever. */
static uint64_t play_lanes(struct play *p, const uint32_t *head)
{
	uint32_t piece[FINF_BRANCHES_MAX] = {0};
	uint64_t at_ns[FINF_BRANCHES_MAX] = {0}, end_ns = 0;
	bool moved = true;

	memcpy(p->done, head, p->plan->n_branches * sizeof(*head));
	while (moved) {
		moved = false;
		for (uint32_t k = 0; k < p->n_lanes; k++)
			moved |= play_lane(p, &p->lanes[k], &piece[k], &at_ns[k]);
	}
	for (uint32_t k = 0; k < p->n_lanes; k++) {
		if (piece[k] < p->lanes[k].n)
			return UINT64_MAX;
		end_ns = FINF_MAX(end_ns, at_ns[k]);
	}
	return end_ns ? finf_plan_add_ns(end_ns, START_NS) : 0;
}

/* ---- looking for the best ---------------------------------------------------------------- */

static void keep_best(struct play *p, const uint32_t *head, uint64_t ns)
{
	p->best_ns = ns;
	memcpy(p->best_head, head, p->plan->n_branches * sizeof(*head));
	for (uint32_t k = 0; k < p->n_lanes; k++) {
		p->best_lanes[k].n = p->lanes[k].n;
		memcpy(p->best_lanes[k].pieces, p->lanes[k].pieces,
		       p->lanes[k].n * sizeof(*p->lanes[k].pieces));
	}
}

static void try_fill(struct play *p, const uint32_t *head,
		     void (*fill)(struct play *p, const uint32_t *head))
{
	uint64_t ns = play_heads(p, head);

	if (ns == UINT64_MAX)
		return;
	fill(p, head);
	ns = finf_plan_add_ns(ns, play_lanes(p, head));
	if (ns < p->best_ns)
		keep_best(p, head, ns);
}

static void try_head(struct play *p, const uint32_t *head)
{
	for (uint32_t b = 0; b < p->plan->n_branches; b++) {
		p->rest_ns[b] = 0;
		for (uint32_t i = head[b]; i < p->n_steps[b]; i++)
			p->rest_ns[b] = finf_plan_add_ns(
				p->rest_ns[b], p->plan->side.costs[p->steps[b][i]].one_ns);
	}
	try_fill(p, head, fill_whole);
	try_fill(p, head, fill_even);
}

/* What of branch @b is better done before, on all threads: the others' end comes nearer. */
static void grow_head(struct play *p, uint32_t b, uint32_t *head)
{
	uint32_t n = p->n_steps[b], last = 0;

	for (uint32_t i = 1; i <= HEADS; i++) {
		uint32_t k = (uint32_t)((uint64_t)n * i / HEADS);

		if (k == last)
			continue;
		last = head[b] = k;
		try_head(p, head);
	}
	head[b] = p->best_head[b];
}

static void search(struct play *p)
{
	uint32_t head[FINF_BRANCHES_MAX] = {0};

	try_head(p, head);
	for (uint32_t b = 0; b < p->plan->n_branches; b++)
		grow_head(p, b, head);
}

static uint64_t bound(const struct play *p)
{
	const struct finf_plan *plan = p->plan;
	uint64_t work_ns = 0, path_ns = 0, behind_ns[FINF_BRANCHES_MAX] = {0};

	for (uint32_t s = 0; s < plan->n_steps; s++) {
		const struct finf_step *step = &plan->steps[s];
		const struct finf_step_cost *cost = &plan->side.costs[s];
		uint64_t start_ns = behind_ns[step->branch];

		for (uint32_t i = 0; i < step->n_deps; i++)
			start_ns = FINF_MAX(start_ns, p->end_ns[step->deps[i]]);
		p->end_ns[s] = finf_plan_add_ns(start_ns, FINF_MIN(cost->all_ns, cost->one_ns));
		behind_ns[step->branch] = p->end_ns[s];
		path_ns = FINF_MAX(path_ns, p->end_ns[s]);
		work_ns = finf_plan_add_ns(work_ns, cost->one_ns);
	}
	return FINF_MAX(path_ns, work_ns / plan->threads);
}

static struct finf_plan_lane *new_lanes(struct finf_arena *arena, uint32_t n_lanes,
					uint32_t n_pieces)
{
	struct finf_plan_lane *lanes = finf_arena_array(arena, n_lanes, sizeof(*lanes));

	for (uint32_t k = 0; lanes && k < n_lanes; k++) {
		lanes[k].pieces = finf_arena_array(arena, n_pieces, sizeof(*lanes[k].pieces));
		if (!lanes[k].pieces)
			return NULL;
	}
	return lanes;
}

static int play_init(struct play *p)
{
	const struct finf_plan *plan = p->plan;
	uint32_t n = plan->n_branches;

	p->n_lanes = FINF_MIN(plan->threads, n);
	p->best_ns = UINT64_MAX;
	p->steps = finf_arena_array(&p->scratch, n, sizeof(*p->steps));
	p->n_steps = finf_arena_array(&p->scratch, n, sizeof(*p->n_steps));
	p->done = finf_arena_array(&p->scratch, n, sizeof(*p->done));
	p->rest_ns = finf_arena_array(&p->scratch, n, sizeof(*p->rest_ns));
	p->best_head = finf_arena_array(&p->scratch, n, sizeof(*p->best_head));
	p->nth = finf_arena_array(&p->scratch, plan->n_steps, sizeof(*p->nth));
	p->end_ns = finf_arena_array(&p->scratch, plan->n_steps, sizeof(*p->end_ns));
	p->lanes = new_lanes(&p->scratch, p->n_lanes, n + 1);
	p->best_lanes = new_lanes(&p->scratch, p->n_lanes, n + 1);
	if (!p->steps || !p->n_steps || !p->done || !p->rest_ns || !p->best_head || !p->nth ||
	    !p->end_ns || !p->lanes || !p->best_lanes)
		return -ENOMEM;
	for (uint32_t s = 0; s < plan->n_steps; s++)
		p->nth[s] = p->n_steps[plan->steps[s].branch]++;
	for (uint32_t b = 0; b < n; b++) {
		p->steps[b] = finf_arena_array(&p->scratch, p->n_steps[b], sizeof(**p->steps));
		if (!p->steps[b])
			return -ENOMEM;
	}
	for (uint32_t s = 0; s < plan->n_steps; s++)
		p->steps[plan->steps[s].branch][p->nth[s]] = s;
	return 0;
}

/* The best into the plan's own arena. */
static int take_best(const struct play *p, struct finf_plan *plan)
{
	uint32_t n = plan->n_branches;
	uint32_t *head = finf_arena_array(&plan->arena, n, sizeof(*head));
	struct finf_plan_lane *lanes = new_lanes(&plan->arena, p->n_lanes, n + 1);

	if (!head || !lanes)
		return -ENOMEM;
	memcpy(head, p->best_head, n * sizeof(*head));
	for (uint32_t k = 0; k < p->n_lanes; k++) {
		lanes[k].n = p->best_lanes[k].n;
		memcpy(lanes[k].pieces, p->best_lanes[k].pieces,
		       lanes[k].n * sizeof(*lanes[k].pieces));
	}
	plan->side.head = head;
	plan->side.lanes = lanes;
	plan->side.n_lanes = p->n_lanes;
	return 0;
}

static int decide(struct play *p, struct finf_plan *plan, struct finf_side_times *ret)
{
	struct finf_side_times times = {.side_ns = UINT64_MAX, .bound_ns = bound(p)};
	int err = 0;

	for (uint32_t s = 0; s < plan->n_steps; s++)
		times.list_ns = finf_plan_add_ns(times.list_ns, plan->side.costs[s].all_ns);
	if (p->n_lanes > 1)
		search(p);
	times.side_ns = p->best_ns;
	plan->side.n_lanes = 0;
	plan->side.head = NULL;
	plan->side.lanes = NULL;
	if (times.side_ns < times.list_ns - times.list_ns / 100 * FINF_SIDE_GAIN_PCT)
		err = take_best(p, plan);
	if (!err)
		*ret = times;
	return err;
}

int finf_plan_side(struct finf_plan *plan, struct finf_side_times *ret)
{
	struct play p = {.plan = plan};
	int err;

	if (!plan->side.costs)
		return -ENODATA;
	finf_arena_init(&p.scratch);
	err = play_init(&p);
	if (!err)
		err = decide(&p, plan, ret);
	finf_arena_fini(&p.scratch);
	return err;
}
