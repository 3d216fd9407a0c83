/* SPDX-License-Identifier: MIT */
/*
 * exec/side: branches side by side. Each thread of the device goes through a lane, pieces of
 * branches in an order that the planner fixed, with kernels made for one thread. A step
 * waits until the one before it in its branch and those of other branches that it needs
 * are over, which are in other lanes or earlier in its own. plan.h draws it.
 *
 * The threads are those that kernels for all threads use: no other is woken or spins, and from
 * steps on all threads to lanes it is no further than from one such step to the next.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "exec/priv.h"

/* Who waits for another looks around for so long before it sleeps: waking takes longer. */
#define LOOK_NS 200000

struct side_step {
	uint32_t branch, nth; /* which of its branch, from 0 */
	const uint32_t *deps; /* steps */
	uint32_t n_deps;
	bool awaited;	  /* another lane may wait for it */
	bool prefers_one; /* when it runs alone */
};

struct side_branch {
	uint32_t *steps;
	uint32_t n_steps, head;
	atomic_uint done; /* steps; written by whose lane is at it */
};

struct side_lane {
	const struct finf_plan_piece *pieces;
	uint32_t n_pieces;
	struct finf_lane scratch;
	struct finf_diag diag;
};

struct finf_side {
	struct finf_session *session; /* whose this is, and whose arena it lies in */
	struct side_step *steps;
	struct side_branch *branches;
	struct side_lane *lanes;
	uint32_t n_branches, n_lanes, threads;
	bool heads; /* is there one? */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	atomic_uint version;  /* goes up whenever who waits should look again */
	atomic_uint sleepers; /* threads that would not see that by themselves */
	atomic_bool stop;     /* leave at the next step */
	int err;	      /* under lock: the first, of lane @failed */
	uint32_t failed;

	const struct finf_run *run; /* of this run, and the caller's own */
	pthread_mutex_t step_lock;  /* the caller's on_step, one at a time */
	const struct finf_run *given;
};

/* ---- waiting for each other ---------------------------------------------------------- */

static void tell(struct finf_side *side)
{
	atomic_fetch_add(&side->version, 1);
	if (!atomic_load(&side->sleepers))
		return;
	pthread_mutex_lock(&side->lock);
	pthread_cond_broadcast(&side->changed);
	pthread_mutex_unlock(&side->lock);
}

static void sleep_until_told(struct finf_side *side, uint32_t seen)
{
	pthread_mutex_lock(&side->lock);
	atomic_fetch_add(&side->sleepers, 1);
	while (atomic_load(&side->version) == seen)
		pthread_cond_wait(&side->changed, &side->lock);
	atomic_fetch_sub(&side->sleepers, 1);
	pthread_mutex_unlock(&side->lock);
}

static bool is_over(const struct finf_side *side, uint32_t s)
{
	const struct side_step *step = &side->steps[s];

	return atomic_load(&side->branches[step->branch].done) > step->nth;
}

static bool is_ready(const struct finf_side *side, const struct side_step *step)
{
	if (atomic_load(&side->branches[step->branch].done) != step->nth)
		return false;
	for (uint32_t i = 0; i < step->n_deps; i++)
		if (!is_over(side, step->deps[i]))
			return false;
	return true;
}

/* Until the step can run. False: another lane has failed. */
static bool await(struct finf_side *side, const struct side_step *step)
{
	uint64_t until_ns = 0;

	for (;;) {
		uint32_t seen = atomic_load(&side->version);

		if (atomic_load(&side->stop))
			return false;
		if (is_ready(side, step))
			return true;
		if (!until_ns)
			until_ns = finf_now_ns() + LOOK_NS;
		else if (finf_now_ns() > until_ns)
			sleep_until_told(side, seen);
		else
			sched_yield();
	}
}

/* ---- a lane ---------------------------------------------------------------------------- */

static void fail(struct finf_side *side, uint32_t lane, int err)
{
	pthread_mutex_lock(&side->lock);
	if (!side->err) {
		side->err = err;
		side->failed = lane;
	}
	atomic_store(&side->stop, true);
	pthread_mutex_unlock(&side->lock);
	tell(side);
}

static int run_piece(struct finf_side *side, struct side_lane *lane,
		     const struct finf_plan_piece *piece)
{
	struct finf_session *session = side->session;
	struct side_branch *branch = &side->branches[piece->branch];

	for (uint32_t at = piece->from; at < piece->until; at++) {
		uint32_t s = branch->steps[at];
		int err;

		if (!await(side, &side->steps[s]))
			return -ECANCELED;
		err = finf_step_run(session, side->run, &lane->scratch, s, session->steps[s].one,
				    &lane->diag);
		if (err)
			return err;
		atomic_store(&branch->done, at + 1);
		if (side->steps[s].awaited)
			tell(side);
	}
	return 0;
}

static void run_lane(void *ctx, uint32_t k)
{
	struct finf_side *side = ctx;
	struct side_lane *lane = &side->lanes[k];
	int err = 0;

	if (k >= side->n_lanes)
		return;
	for (uint32_t i = 0; !err && i < lane->n_pieces; i++)
		err = run_piece(side, lane, &lane->pieces[i]);
	if (err && err != -ECANCELED)
		fail(side, k, err);
}

/* ---- a run -------------------------------------------------------------------------------- */

/* A callback of the caller's own, from whichever thread. */
static void on_step(void *ctx, uint32_t step, uint64_t start_ns, uint64_t end_ns)
{
	struct finf_side *side = ctx;

	pthread_mutex_lock(&side->step_lock);
	side->given->on_step(side->given->on_step_ctx, step, start_ns, end_ns);
	pthread_mutex_unlock(&side->step_lock);
}

/* Steps on all cores, branch after branch: the heads, or all that is left. */
static int run_alone(struct finf_side *side, bool heads, struct finf_diag *diag)
{
	struct finf_session *session = side->session;
	int err = 0;

	for (uint32_t i = 0; !err && i < session->n_steps; i++) {
		uint32_t s = session->order[i];
		const struct side_step *step = &side->steps[s];
		struct side_branch *branch = &side->branches[step->branch];

		if (is_over(side, s) || (heads && step->nth >= branch->head))
			continue;
		err = finf_step_run(
			session, side->run, &session->lane, s,
			step->prefers_one ? session->steps[s].one : session->steps[s].kernel, diag);
		if (!err)
			atomic_store(&branch->done, step->nth + 1);
	}
	return err;
}

static int run_lanes(struct finf_side *side, struct finf_diag *diag)
{
	side->err = 0;
	atomic_store(&side->stop, false);
	if (finf_device_spread(side->session->dev, side->threads, run_lane, side))
		return run_alone(side, false, diag); /* not so many threads today */
	if (side->err && diag)
		*diag = side->lanes[side->failed].diag;
	return side->err;
}

int finf_side_run(struct finf_side *side, const struct finf_run *given, struct finf_diag *diag)
{
	struct finf_run run = *given;
	int err = 0;

	side->given = given;
	side->run = &run;
	if (given->on_step) {
		run.on_step = on_step;
		run.on_step_ctx = side;
	}
	for (uint32_t b = 0; b < side->n_branches; b++)
		atomic_store(&side->branches[b].done, 0);
	if (side->heads)
		err = run_alone(side, true, diag);
	return err ? err : run_lanes(side, diag);
}

/* ---- making one ------------------------------------------------------------------------------ */

static void fill_steps(struct finf_side *side, const struct finf_plan *plan)
{
	for (uint32_t s = 0; s < plan->n_steps; s++) {
		const struct finf_step *from = &plan->steps[s];
		struct side_step *step = &side->steps[s];

		step->branch = from->branch;
		step->nth = side->branches[from->branch].n_steps++;
		step->deps = from->deps;
		step->n_deps = from->n_deps;
		step->prefers_one = finf_step_prefers_one(&plan->side.costs[s]);
		for (uint32_t i = 0; i < from->n_deps; i++)
			side->steps[from->deps[i]].awaited = true;
	}
}

static int fill_branches(struct finf_side *side, const struct finf_plan *plan)
{
	for (uint32_t b = 0; b < plan->n_branches; b++) {
		struct side_branch *branch = &side->branches[b];

		branch->head = plan->side.head[b];
		side->heads |= branch->head > 0;
		branch->steps = finf_arena_array(&side->session->arena, branch->n_steps,
						 sizeof(*branch->steps));
		if (!branch->steps)
			return -ENOMEM;
	}
	for (uint32_t s = 0; s < plan->n_steps; s++)
		side->branches[side->steps[s].branch].steps[side->steps[s].nth] = s;
	return 0;
}

static int fill_lanes(struct finf_side *side, const struct finf_plan *plan)
{
	int err = 0;

	for (uint32_t k = 0; k < side->n_lanes && !err; k++) {
		struct side_lane *lane = &side->lanes[k];

		lane->pieces = plan->side.lanes[k].pieces;
		lane->n_pieces = plan->side.lanes[k].n;
		err = finf_lane_init(side->session, plan, &lane->scratch);
		/* Another lane may go on where this one stops. */
		for (uint32_t i = 0; i < lane->n_pieces; i++) {
			const struct finf_plan_piece *piece = &lane->pieces[i];

			side->steps[side->branches[piece->branch].steps[piece->until - 1]].awaited =
				true;
		}
	}
	return err;
}

static int tables(struct finf_side *side, const struct finf_plan *plan)
{
	struct finf_arena *arena = &side->session->arena;
	int err;

	side->threads = plan->threads;
	side->n_branches = plan->n_branches;
	side->n_lanes = plan->side.n_lanes;
	side->steps = finf_arena_array(arena, plan->n_steps, sizeof(*side->steps));
	side->branches = finf_arena_array(arena, plan->n_branches, sizeof(*side->branches));
	side->lanes = finf_arena_array(arena, side->n_lanes, sizeof(*side->lanes));
	if (!side->steps || !side->branches || !side->lanes)
		return -ENOMEM;
	fill_steps(side, plan);
	err = fill_branches(side, plan);
	return err ? err : fill_lanes(side, plan);
}

int finf_side_new(struct finf_session *session, const struct finf_plan *plan,
		  struct finf_side **ret_side)
{
	struct finf_side *side = calloc(1, sizeof(*side));
	int err;

	if (!side)
		return -ENOMEM;
	side->session = session;
	pthread_mutex_init(&side->lock, NULL);
	pthread_mutex_init(&side->step_lock, NULL);
	pthread_cond_init(&side->changed, NULL);
	err = tables(side, plan);
	if (err)
		finf_side_free(side);
	else
		*ret_side = side;
	return err;
}

void finf_side_free(struct finf_side *side)
{
	if (!side)
		return;
	pthread_cond_destroy(&side->changed);
	pthread_mutex_destroy(&side->step_lock);
	pthread_mutex_destroy(&side->lock);
	free(side);
}
