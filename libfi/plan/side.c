/* SPDX-License-Identifier: MIT */
/*
 * plan: side by side on the host's cores, or not. Schedules of the kind that
 * plan.h draws are played through with the measured costs; the one that is over
 * first wins. What is played here is what exec/side.c does.
 */
#include <errno.h>

#include "plan/internal.h"

/* Waking the other threads, and gathering them, each once in a run. */
#define WAKE_NS	  20000
#define GATHER_NS 5000
/* Handing on from step to step, where threads look at each other. */
#define STEP_NS 200
/* Heads of so many lengths are tried for each branch. */
#define HEADS 16u

struct play {
	const struct finf_plan *plan;
	struct finf_arena scratch; /* owned: all below */
	uint32_t **steps;	   /* per branch: its steps */
	uint32_t *n_steps;	   /* per branch */
	uint32_t *nth;		   /* per step: its number in its branch, from 0 */
	uint64_t *rest_ns; /* per step: it and all after it in its branch, with one thread */
	uint64_t *end_ns;  /* per step, of this play; UINT64_MAX = not run */
	uint32_t *next;	   /* per branch: the next of its steps */
	bool *held;	   /* per branch: a thread works on it */
	uint32_t n_threads;
	/* per thread: what it does until when */
	struct play_thread {
		uint32_t branch; /* FINF_NONE = nothing */
		uint64_t at_ns;
	} * threads;
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

/* ---- one schedule, played through ---------------------------------------------------- */

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

static bool ready(const struct play *p, uint32_t branch, uint64_t now_ns)
{
	const struct finf_step *step;

	if (p->next[branch] == p->n_steps[branch])
		return false;
	step = &p->plan->steps[p->steps[branch][p->next[branch]]];
	for (uint32_t i = 0; i < step->n_deps; i++)
		if (p->end_ns[step->deps[i]] > now_ns)
			return false;
	return true;
}

/* The branch with most left to do, of those that nobody works on. */
static uint32_t pick(const struct play *p, uint64_t now_ns)
{
	uint32_t best = FINF_NONE;
	uint64_t most = 0;

	for (uint32_t b = 0; b < p->plan->n_branches; b++) {
		uint64_t left;

		if (p->held[b] || !ready(p, b, now_ns))
			continue;
		left = p->rest_ns[p->steps[b][p->next[b]]];
		if (best == FINF_NONE || left > most) {
			best = b;
			most = left;
		}
	}
	return best;
}

static uint32_t unfinished(const struct play *p)
{
	uint32_t n = 0;

	for (uint32_t b = 0; b < p->plan->n_branches; b++)
		n += p->next[b] < p->n_steps[b] || p->held[b];
	return n;
}

/* The thread that is free first. */
static struct play_thread *first_free(const struct play *p)
{
	struct play_thread *first = &p->threads[0];

	for (uint32_t t = 1; t < p->n_threads; t++)
		if (p->threads[t].at_ns < first->at_ns)
			first = &p->threads[t];
	return first;
}

/* When something can change for a thread that finds nothing to do; UINT64_MAX = never. */
static uint64_t next_change(const struct play *p, uint64_t now_ns)
{
	uint64_t ns = UINT64_MAX;

	for (uint32_t t = 0; t < p->n_threads; t++)
		if (p->threads[t].branch != FINF_NONE)
			ns = FINF_MIN(ns, p->threads[t].at_ns);
	return ns == UINT64_MAX ? ns : FINF_MAX(ns, now_ns + 1);
}

/* Returns when the last thread has left. */
static uint64_t play_side(struct play *p, uint32_t least)
{
	uint64_t end_ns = 0;

	for (uint32_t t = 0; t < p->n_threads; t++)
		p->threads[t] = (struct play_thread){FINF_NONE, t ? WAKE_NS : 0};
	for (;;) {
		struct play_thread *thread = first_free(p);
		uint64_t now_ns = thread->at_ns;
		uint32_t s;

		if (thread->branch != FINF_NONE && !ready(p, thread->branch, now_ns)) {
			p->held[thread->branch] = false;
			thread->branch = FINF_NONE;
		}
		if (unfinished(p) < least)
			break;
		if (thread->branch == FINF_NONE)
			thread->branch = pick(p, now_ns);
		if (thread->branch == FINF_NONE) {
			thread->at_ns = next_change(p, now_ns);
			if (thread->at_ns == UINT64_MAX)
				break;
			continue;
		}
		p->held[thread->branch] = true;
		s = p->steps[thread->branch][p->next[thread->branch]++];
		thread->at_ns = finf_plan_add_ns(now_ns + STEP_NS, p->plan->side.costs[s].one_ns);
		p->end_ns[s] = thread->at_ns;
	}
	for (uint32_t s = 0; s < p->plan->n_steps; s++)
		if (p->end_ns[s] != UINT64_MAX)
			end_ns = FINF_MAX(end_ns, p->end_ns[s]);
	return end_ns + GATHER_NS;
}

static uint64_t play(struct play *p, const uint32_t *head, uint32_t least)
{
	const struct finf_plan *plan = p->plan;
	uint64_t ns = play_heads(p, head);
	bool whole = true;

	if (ns == UINT64_MAX)
		return ns;
	for (uint32_t b = 0; b < plan->n_branches; b++) {
		p->next[b] = head[b];
		p->held[b] = false;
		whole &= head[b] == p->n_steps[b];
	}
	if (!whole)
		ns = finf_plan_add_ns(ns, play_side(p, least));
	for (uint32_t s = 0; s < plan->n_steps; s++)
		if (p->end_ns[s] == UINT64_MAX)
			ns = finf_plan_add_ns(ns, alone_ns(p, s));
	return ns;
}

/* ---- looking for the best --------------------------------------------------------------- */

/* What of branch @b is better done before, on all threads: the others' end comes nearer. */
static uint64_t grow_head(struct play *p, uint32_t b, uint32_t *head, uint32_t least,
			  uint64_t best_ns)
{
	uint32_t n = p->n_steps[b], best = head[b], last = 0;

	for (uint32_t i = 1; i <= HEADS; i++) {
		uint32_t k = (uint32_t)((uint64_t)n * i / HEADS);
		uint64_t ns;

		if (k == last)
			continue;
		last = head[b] = k;
		ns = play(p, head, least);
		if (ns < best_ns) {
			best_ns = ns;
			best = k;
		}
	}
	head[b] = best;
	return best_ns;
}

static uint64_t search(struct play *p, uint32_t least, uint32_t *head)
{
	uint64_t best_ns;

	for (uint32_t b = 0; b < p->plan->n_branches; b++)
		head[b] = 0;
	best_ns = play(p, head, least);
	for (uint32_t b = 0; b < p->plan->n_branches; b++)
		best_ns = grow_head(p, b, head, least, best_ns);
	return best_ns;
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

static int play_init(struct play *p)
{
	const struct finf_plan *plan = p->plan;
	uint32_t n = plan->n_branches;

	p->n_threads = FINF_MIN(plan->threads, n);
	p->steps = finf_arena_array(&p->scratch, n, sizeof(*p->steps));
	p->n_steps = finf_arena_array(&p->scratch, n, sizeof(*p->n_steps));
	p->next = finf_arena_array(&p->scratch, n, sizeof(*p->next));
	p->held = finf_arena_array(&p->scratch, n, sizeof(*p->held));
	p->threads = finf_arena_array(&p->scratch, p->n_threads, sizeof(*p->threads));
	p->nth = finf_arena_array(&p->scratch, plan->n_steps, sizeof(*p->nth));
	p->rest_ns = finf_arena_array(&p->scratch, plan->n_steps, sizeof(*p->rest_ns));
	p->end_ns = finf_arena_array(&p->scratch, plan->n_steps, sizeof(*p->end_ns));
	if (!p->steps || !p->n_steps || !p->next || !p->held || !p->threads || !p->nth ||
	    !p->rest_ns || !p->end_ns)
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
	for (uint32_t b = 0; b < n; b++)
		for (uint32_t k = p->n_steps[b]; k-- > 0;) {
			uint32_t s = p->steps[b][k];

			p->rest_ns[s] = plan->side.costs[s].one_ns;
			if (k + 1 < p->n_steps[b])
				p->rest_ns[s] = finf_plan_add_ns(p->rest_ns[s],
								 p->rest_ns[p->steps[b][k + 1]]);
		}
	return 0;
}

static int decide(struct play *p, struct finf_plan *plan, struct finf_side_times *ret)
{
	uint32_t *head = finf_arena_array(&p->scratch, plan->n_branches, sizeof(*head)), least = 0;
	uint32_t *best = finf_arena_array(&plan->arena, plan->n_branches, sizeof(*best));
	struct finf_side_times times = {.side_ns = UINT64_MAX, .bound_ns = bound(p)};

	if (!head || !best)
		return -ENOMEM;
	for (uint32_t s = 0; s < plan->n_steps; s++)
		times.list_ns = finf_plan_add_ns(times.list_ns, plan->side.costs[s].all_ns);
	for (uint32_t i = 1; plan->n_branches > 1 && i <= p->n_threads; i++) {
		uint64_t ns = search(p, i, head);

		if (ns >= times.side_ns)
			continue;
		times.side_ns = ns;
		least = i;
		for (uint32_t b = 0; b < plan->n_branches; b++)
			best[b] = head[b];
	}
	if (times.side_ns >= times.list_ns - times.list_ns / 100 * FINF_SIDE_GAIN_PCT)
		least = 0;
	plan->side.least = least;
	plan->side.head = least ? best : NULL;
	*ret = times;
	return 0;
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
