/* SPDX-License-Identifier: MIT */
/*
 * exec/side: branches side by side. The threads of a session take branches, the
 * one with most left first, and run their steps one after the other with kernels
 * made for one thread. A branch whose next step waits for another branch is put
 * back. When too few branches are left to keep the cores busy all threads stop,
 * and the caller's runs what remains on all cores. plan.h draws it.
 *
 * Never more threads than the plan has: while branches run side by side no kernel
 * brings a team, and when a team runs all other threads sleep.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "exec/priv.h"

/* Who finds nothing to do looks around for so long before it sleeps: waking takes longer. */
#define LOOK_NS 50000

struct side_step {
	uint32_t branch, nth; /* which of its branch, from 0 */
	const uint32_t *deps; /* steps */
	uint32_t n_deps;
	bool awaited;	  /* a step of another branch waits for it */
	bool prefers_one; /* when it runs alone */
	uint64_t rest_ns; /* it and all after it in its branch */
};

struct side_branch {
	uint32_t *steps;
	uint32_t n_steps, head;
	atomic_uint done; /* steps; written by who holds it */
	bool held;	  /* under lock */
};

struct side_thread {
	struct finf_side *side;
	struct finf_lane lane;
	struct finf_diag diag;
	pthread_t thread;
	bool started;
};

struct finf_side {
	struct finf_session *session; /* whose this is, and whose arena it lies in */
	struct side_step *steps;
	struct side_branch *branches;
	struct side_thread *threads; /* the caller's is not among them */
	uint32_t n_branches, n_threads, least;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	atomic_uint version;  /* goes up whenever who waits should look again */
	atomic_uint sleepers; /* threads that would not see that by themselves */
	atomic_bool stop;     /* leave at the next step */
	/* under lock */
	const struct finf_run *run; /* NULL = none to join */
	struct finf_diag *diag;
	int err;		   /* the first */
	uint32_t inside;	   /* threads in the run beside the caller's */
	uint32_t held, unfinished; /* branches */
	bool quit;

	pthread_mutex_t step_lock; /* the caller's on_step, one at a time */
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

/* Until the version is another than @seen; the lock is held, and let go meanwhile. */
static void await(struct finf_side *side, uint32_t seen, bool look)
{
	uint64_t until_ns = look ? finf_now_ns() + LOOK_NS : 0;

	pthread_mutex_unlock(&side->lock);
	while (look && atomic_load(&side->version) == seen && finf_now_ns() < until_ns)
		sched_yield();
	pthread_mutex_lock(&side->lock);
	atomic_fetch_add(&side->sleepers, 1);
	while (atomic_load(&side->version) == seen)
		pthread_cond_wait(&side->changed, &side->lock);
	atomic_fetch_sub(&side->sleepers, 1);
}

/* ---- branches -------------------------------------------------------------------------- */

static bool ready(const struct finf_side *side, const struct side_branch *branch, uint32_t at)
{
	const struct side_step *step;

	if (at == branch->n_steps)
		return false;
	step = &side->steps[branch->steps[at]];
	for (uint32_t i = 0; i < step->n_deps; i++) {
		const struct side_step *dep = &side->steps[step->deps[i]];

		if (atomic_load(&side->branches[dep->branch].done) <= dep->nth)
			return false;
	}
	return true;
}

/* The lock is held. */
static struct side_branch *pick(const struct finf_side *side)
{
	struct side_branch *best = NULL;
	uint64_t most = 0;

	for (uint32_t b = 0; b < side->n_branches; b++) {
		struct side_branch *branch = &side->branches[b];
		uint32_t at = atomic_load(&branch->done);
		uint64_t left;

		if (branch->held || !ready(side, branch, at))
			continue;
		left = side->steps[branch->steps[at]].rest_ns;
		if (!best || left > most) {
			best = branch;
			most = left;
		}
	}
	return best;
}

/* Waits while others may yet make one ready; NULL = nothing more to do side by side. */
static struct side_branch *take(struct finf_side *side)
{
	struct side_branch *branch = NULL;

	pthread_mutex_lock(&side->lock);
	while (!atomic_load(&side->stop)) {
		uint32_t seen = atomic_load(&side->version);

		branch = pick(side);
		if (branch || !side->held)
			break;
		await(side, seen, true);
	}
	if (branch) {
		branch->held = true;
		side->held++;
	}
	pthread_mutex_unlock(&side->lock);
	return branch;
}

static void put_back(struct finf_side *side, struct side_branch *branch)
{
	pthread_mutex_lock(&side->lock);
	branch->held = false;
	side->held--;
	if (atomic_load(&branch->done) == branch->n_steps && --side->unfinished < side->least)
		atomic_store(&side->stop, true);
	pthread_mutex_unlock(&side->lock);
	tell(side);
}

static void fail(struct finf_side *side, int err, const struct finf_diag *diag)
{
	pthread_mutex_lock(&side->lock);
	if (!side->err) {
		side->err = err;
		if (side->diag)
			*side->diag = *diag;
	}
	atomic_store(&side->stop, true);
	pthread_mutex_unlock(&side->lock);
}

static void work(struct finf_side *side, const struct finf_run *run, struct finf_lane *lane,
		 struct finf_diag *diag)
{
	struct finf_session *session = side->session;
	struct side_branch *branch;

	while ((branch = take(side))) {
		uint32_t at = atomic_load(&branch->done);

		while (!atomic_load(&side->stop) && ready(side, branch, at)) {
			uint32_t s = branch->steps[at];
			int err = finf_step_run(session, run, lane, s, session->steps[s].one, diag);

			if (err) {
				fail(side, err, diag);
				break;
			}
			atomic_store(&branch->done, ++at);
			if (side->steps[s].awaited)
				tell(side);
		}
		put_back(side, branch);
	}
}

static void *thread_main(void *arg)
{
	struct side_thread *thread = arg;
	struct finf_side *side = thread->side;
	bool look = false;

	pthread_mutex_lock(&side->lock);
	while (!side->quit) {
		const struct finf_run *run = side->run;
		uint32_t seen = atomic_load(&side->version);

		if (!run || atomic_load(&side->stop)) {
			await(side, seen, look);
			look = false;
			continue;
		}
		side->inside++;
		pthread_mutex_unlock(&side->lock);
		thread->lane.published = 0;
		work(side, run, &thread->lane, &thread->diag);
		pthread_mutex_lock(&side->lock);
		side->inside--;
		/* The next run may come at once; but a team needs this core. */
		look = !side->unfinished;
		atomic_fetch_add(&side->version, 1);
		pthread_cond_broadcast(&side->changed);
	}
	pthread_mutex_unlock(&side->lock);
	return NULL;
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

/* Steps on all cores, in the order of the list: the heads, or all that is left. */
static int run_alone(struct finf_side *side, const struct finf_run *run, bool heads,
		     struct finf_diag *diag)
{
	struct finf_session *session = side->session;
	int err = 0;

	for (uint32_t s = 0; !err && s < session->n_steps; s++) {
		const struct side_step *step = &side->steps[s];
		struct side_branch *branch = &side->branches[step->branch];

		if (atomic_load(&branch->done) > step->nth || (heads && step->nth >= branch->head))
			continue;
		err = finf_step_run(
			session, run, &session->lane, s,
			step->prefers_one ? session->steps[s].one : session->steps[s].kernel, diag);
		if (!err)
			atomic_store(&branch->done, step->nth + 1);
	}
	return err;
}

static int run_side(struct finf_side *side, const struct finf_run *run, struct finf_diag *diag)
{
	struct finf_diag own = {""};
	int err;

	pthread_mutex_lock(&side->lock);
	side->run = run;
	side->diag = diag;
	side->err = 0;
	atomic_store(&side->stop, false);
	pthread_mutex_unlock(&side->lock);
	tell(side);
	work(side, run, &side->session->lane, &own);
	pthread_mutex_lock(&side->lock);
	side->run = NULL;
	for (;;) {
		uint32_t seen = atomic_load(&side->version);

		if (!side->inside)
			break;
		await(side, seen, true);
	}
	err = side->err;
	pthread_mutex_unlock(&side->lock);
	return err;
}

static void begin(struct finf_side *side)
{
	side->unfinished = 0;
	for (uint32_t b = 0; b < side->n_branches; b++) {
		atomic_store(&side->branches[b].done, 0);
		side->unfinished += side->branches[b].head < side->branches[b].n_steps;
	}
}

int finf_side_run(struct finf_side *side, const struct finf_run *given, struct finf_diag *diag)
{
	struct finf_run run = *given;
	int err;

	side->given = given;
	if (given->on_step) {
		run.on_step = on_step;
		run.on_step_ctx = side;
	}
	begin(side);
	err = run_alone(side, &run, true, diag);
	if (!err && side->unfinished >= side->least)
		err = run_side(side, &run, diag);
	return err ? err : run_alone(side, &run, false, diag);
}

/* ---- making one ------------------------------------------------------------------------------ */

static int tables(struct finf_side *side, const struct finf_plan *plan)
{
	struct finf_arena *arena = &side->session->arena;

	side->steps = finf_arena_array(arena, plan->n_steps, sizeof(*side->steps));
	side->branches = finf_arena_array(arena, plan->n_branches, sizeof(*side->branches));
	if (!side->steps || !side->branches)
		return -ENOMEM;
	side->n_branches = plan->n_branches;
	side->least = plan->side.least;
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
	for (uint32_t b = 0; b < plan->n_branches; b++) {
		struct side_branch *branch = &side->branches[b];

		branch->head = plan->side.head[b];
		branch->steps = finf_arena_array(arena, branch->n_steps, sizeof(*branch->steps));
		if (!branch->steps)
			return -ENOMEM;
	}
	return 0;
}

/* From the end: what is left of a branch at each step. */
static void fill(struct finf_side *side, const struct finf_plan *plan)
{
	uint64_t rest_ns[FINF_BRANCHES_MAX] = {0};

	for (uint32_t s = plan->n_steps; s-- > 0;) {
		struct side_step *step = &side->steps[s];

		rest_ns[step->branch] += plan->side.costs[s].one_ns;
		step->rest_ns = rest_ns[step->branch];
		side->branches[step->branch].steps[step->nth] = s;
	}
}

static int start(struct finf_side *side, const struct finf_plan *plan)
{
	uint32_t n = FINF_MIN(plan->threads, plan->n_branches) - 1;
	int err = 0;

	side->threads = finf_arena_array(&side->session->arena, n, sizeof(*side->threads));
	if (!side->threads)
		return -ENOMEM;
	side->n_threads = n;
	for (uint32_t i = 0; i < n && !err; i++) {
		struct side_thread *thread = &side->threads[i];

		thread->side = side;
		err = finf_lane_init(side->session, plan, &thread->lane);
		if (!err)
			err = -pthread_create(&thread->thread, NULL, thread_main, thread);
		thread->started = !err;
		if (!err)
			pthread_setname_np(thread->thread, "fi-side");
	}
	return err;
}

int finf_side_new(struct finf_session *session, const struct finf_plan *plan,
		  struct finf_side **ret_side, struct finf_diag *diag)
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
	if (!err) {
		fill(side, plan);
		err = start(side, plan);
	}
	if (err) {
		finf_side_free(side);
		return finf_diag_set(diag, err, "no threads for branches side by side");
	}
	*ret_side = side;
	return 0;
}

void finf_side_free(struct finf_side *side)
{
	if (!side)
		return;
	pthread_mutex_lock(&side->lock);
	side->quit = true;
	pthread_mutex_unlock(&side->lock);
	tell(side);
	for (uint32_t i = 0; i < side->n_threads; i++)
		if (side->threads[i].started)
			pthread_join(side->threads[i].thread, NULL);
	pthread_cond_destroy(&side->changed);
	pthread_mutex_destroy(&side->step_lock);
	pthread_mutex_destroy(&side->lock);
	free(side);
}
