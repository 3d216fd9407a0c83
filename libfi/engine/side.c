/* SPDX-License-Identifier: MIT */
/*
 * engine/side: does it pay to run branches side by side? Steps are timed where they stand, in
 * runs of the whole plan with all threads and with one, in turn; the plan room decides from
 * that; and what it chose is kept only when it beats the list of steps in runs that alternate.
 * What else the machine does makes runs longer, never shorter: each step's fastest counts, and by
 * how much the runs were longer says how far to trust it.
 * Zeros are as good as any numbers here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/priv.h"

#define ROUNDS	   4
#define ROUNDS_MAX 16 /* while they are short, or it is noisy */
#define ROUNDS_NS  300000000u
#define NOISY_PCT  20
#define DUELS	   15
#define DUELS_LONG 3
#define LONG_NS	   100000000u
/* Larger than caches, so that weights come from memory as they will. */
#define WINDOW_BYTES ((uint64_t)64 << 20)

struct trial {
	struct finf_device *dev;
	const struct finf_graph *bound;
	char *extent; /* owned mapping of extent_bytes: one window again and again */
	uint64_t extent_bytes;
	void *arena;		     /* owned */
	struct finf_tensor *inputs;  /* owned, data too */
	struct finf_tensor *outputs; /* owned; none is wanted */
	uint32_t n_steps;
};

/* A way of running the plan, and each step's fastest. */
struct timing {
	struct finf_session *session; /* owned */
	uint64_t *step_ns;	      /* owned */
	uint64_t run_ns[ROUNDS_MAX];  /* steps of a run together */
};

/* ---- memory ----------------------------------------------------------------------- */

static void *zeros(uint64_t bytes)
{
	uint64_t room = finf_align_up(FINF_MAX(bytes, 1), 4096);
	void *memory = aligned_alloc(4096, room);

	if (memory)
		memset(memory, 0, room);
	return memory;
}

/* As long as the extent, and backed by little: the same pages follow each other. */
static int map_extent(struct trial *t, uint64_t bytes)
{
	uint64_t window = FINF_MIN(finf_align_up(FINF_MAX(bytes, 1), 4096), WINDOW_BYTES);
	int fd = memfd_create("weights", MFD_CLOEXEC), err = 0;

	if (fd < 0)
		return -ENOMEM;
	t->extent_bytes = finf_align_up(FINF_MAX(bytes, 1), window);
	t->extent = mmap(NULL, t->extent_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (t->extent == MAP_FAILED || ftruncate(fd, (off_t)window))
		err = -ENOMEM;
	for (uint64_t at = 0; !err && at < t->extent_bytes; at += window)
		if (mmap(t->extent + at, window, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0) == MAP_FAILED)
			err = -ENOMEM;
	close(fd);
	return err;
}

static int fill_inputs(struct trial *t)
{
	const struct finf_graph *bound = t->bound;

	for (uint32_t i = 0; i < bound->n_inputs; i++) {
		const struct finf_value *value = &bound->values[bound->inputs[i]];
		struct finf_tensor *input = &t->inputs[i];

		input->dtype = value->dtype;
		input->shape = value->shape;
		if (finf_tensor_bytes(value->dtype, &value->shape, &input->bytes))
			return -ENOMEM;
		input->data = zeros(input->bytes);
		if (!input->data)
			return -ENOMEM;
	}
	return 0;
}

static int trial_init(struct trial *t, const struct finf_plan *plan)
{
	t->n_steps = plan->n_steps;
	t->arena = zeros(plan->arena_bytes);
	t->inputs = calloc(t->bound->n_inputs + 1, sizeof(*t->inputs));
	t->outputs = calloc(t->bound->n_outputs + 1, sizeof(*t->outputs));
	if (!t->arena || !t->inputs || !t->outputs)
		return -ENOMEM;
	return map_extent(t, plan->weight_bytes) ? -ENOMEM : fill_inputs(t);
}

static void trial_fini(struct trial *t)
{
	if (t->extent && t->extent != MAP_FAILED)
		munmap(t->extent, t->extent_bytes);
	for (uint32_t i = 0; t->inputs && i < t->bound->n_inputs; i++)
		free(t->inputs[i].data);
	free(t->arena);
	free(t->inputs);
	free(t->outputs);
}

/* ---- runs --------------------------------------------------------------------------- */

static int run_once(struct trial *t, struct finf_session *session, finf_step_fn on_step,
		    void *ctx, uint64_t *ret_ns, struct finf_diag *diag)
{
	const struct finf_run run = {
		.size = sizeof(run),
		.weights = t->extent,
		.arena = t->arena,
		.inputs = t->inputs,
		.outputs = t->outputs,
		.n_inputs = t->bound->n_inputs,
		.n_outputs = t->bound->n_outputs,
		.on_step = on_step,
		.on_step_ctx = ctx,
	};
	uint64_t start_ns = finf_now_ns();
	int err = finf_session_run(session, &run, diag);

	*ret_ns = finf_now_ns() - start_ns;
	return err;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t median(uint64_t *ns, uint32_t n)
{
	qsort(ns, n, sizeof(*ns), by_value);
	return ns[n / 2];
}

/* ---- steps ------------------------------------------------------------------------------ */

struct noted {
	struct timing *timing;
	uint64_t sum_ns;
};

static void note_step(void *ctx, uint32_t step, uint64_t start_ns, uint64_t end_ns)
{
	struct noted *noted = ctx;
	uint64_t *best_ns = &noted->timing->step_ns[step];

	*best_ns = FINF_MIN(*best_ns, end_ns - start_ns);
	noted->sum_ns += end_ns - start_ns;
}

/* The order of the list, with this many threads. */
static int timing_init(struct trial *t, const struct finf_plan *plan, uint32_t threads,
		       struct timing *ret, struct finf_diag *diag)
{
	struct finf_plan list = *plan;

	list.threads = threads;
	list.side.n_lanes = 0;
	ret->step_ns = malloc((plan->n_steps + 1) * sizeof(*ret->step_ns));
	if (!ret->step_ns)
		return -ENOMEM;
	memset(ret->step_ns, 0xff, (plan->n_steps + 1) * sizeof(*ret->step_ns));
	return finf_session_new(t->dev, t->bound, &list, &ret->session, diag);
}

static void timing_fini(struct timing *timing)
{
	finf_session_free(timing->session);
	free(timing->step_ns);
}

/* The second of two runs: the first takes what the other way of running left behind. */
static int time_round(struct trial *t, struct timing *timing, uint32_t round,
		      struct finf_diag *diag)
{
	struct noted noted = {timing, 0};
	uint64_t ns;
	int err = run_once(t, timing->session, NULL, NULL, &ns, diag);

	if (!err)
		err = run_once(t, timing->session, note_step, &noted, &ns, diag);
	timing->run_ns[round] = noted.sum_ns;
	return err;
}

/* How much longer than its steps' fastest together the median run was. */
static uint32_t noise_pct(const struct timing *timing, uint32_t n_steps, uint32_t rounds)
{
	uint64_t run_ns[ROUNDS_MAX], least_ns = 1, pct;

	for (uint32_t s = 0; s < n_steps; s++)
		least_ns += timing->step_ns[s];
	memcpy(run_ns, timing->run_ns, rounds * sizeof(*run_ns));
	pct = median(run_ns, rounds) * 100 / least_ns;
	return pct > 100 ? (uint32_t)FINF_MIN(pct - 100, 1000u) : 0;
}

static int time_steps(struct trial *t, struct timing *all, struct timing *one,
		      uint32_t *ret_noise_pct, struct finf_diag *diag)
{
	uint64_t until_ns = finf_now_ns() + ROUNDS_NS;
	uint32_t round = 0, pct = 0;
	int err = 0;

	while (!err && (round < ROUNDS || (round < ROUNDS_MAX && (finf_now_ns() < until_ns || pct > NOISY_PCT)))) {
		err = time_round(t, all, round, diag);
		if (!err)
			err = time_round(t, one, round, diag);
		if (!err && ++round)
			pct = FINF_MAX(noise_pct(all, t->n_steps, round),
				       noise_pct(one, t->n_steps, round));
	}
	*ret_noise_pct = pct;
	return err;
}

static int measure(struct trial *t, struct finf_plan *plan, struct finf_diag *diag)
{
	struct finf_step_cost *costs =
		finf_arena_array(&plan->arena, plan->n_steps, sizeof(*costs));
	struct timing all = {NULL}, one = {NULL};
	int err = costs ? timing_init(t, plan, plan->threads, &all, diag) : -ENOMEM;

	if (!err)
		err = timing_init(t, plan, 1, &one, diag);
	if (!err)
		err = time_steps(t, &all, &one, &plan->side.noise_pct, diag);
	for (uint32_t s = 0; !err && s < plan->n_steps; s++)
		costs[s] = (struct finf_step_cost){all.step_ns[s], one.step_ns[s]};
	if (!err)
		plan->side.costs = costs;
	timing_fini(&all);
	timing_fini(&one);
	return err;
}

/* ---- the duel -------------------------------------------------------------------------- */

static int settled_ns(struct trial *t, struct finf_session *session, uint64_t *ret_ns,
		      struct finf_diag *diag)
{
	int err = run_once(t, session, NULL, NULL, ret_ns, diag);

	return err ? err : run_once(t, session, NULL, NULL, ret_ns, diag);
}

static int duel(struct trial *t, struct finf_session *list, struct finf_session *side,
		struct finf_plan *plan, struct finf_diag *diag)
{
	uint64_t list_ns[DUELS], side_ns[DUELS];
	uint32_t n = DUELS;
	int err = 0;

	for (uint32_t i = 0; !err && i < n; i++) {
		err = settled_ns(t, list, &list_ns[i], diag);
		if (!err)
			err = settled_ns(t, side, &side_ns[i], diag);
		if (!err && list_ns[i] > LONG_NS)
			n = DUELS_LONG;
	}
	if (err)
		return err;
	plan->side.list_ns = median(list_ns, n);
	plan->side.side_ns = median(side_ns, n);
	return 0;
}

/* Both ways in turn. */
static int confirm(struct trial *t, struct finf_plan *plan, struct finf_diag *diag)
{
	struct finf_session *list = NULL, *side = NULL;
	struct finf_plan in_order = *plan;
	int err;

	in_order.side.n_lanes = 0;
	err = finf_session_new(t->dev, t->bound, &in_order, &list, diag);
	if (!err)
		err = finf_session_new(t->dev, t->bound, plan, &side, diag);
	if (!err)
		err = duel(t, list, side, plan, diag);
	finf_session_free(side);
	finf_session_free(list);
	return err;
}

static int decide(struct trial *t, struct finf_plan *plan, struct finf_diag *diag)
{
	struct finf_plan_side *side = &plan->side;
	struct finf_side_times times;
	int err = measure(t, plan, diag);

	if (!err)
		err = finf_plan_side(plan, &times);
	if (!err && side->n_lanes)
		err = confirm(t, plan, diag);
	if (err)
		return err;
	finf_log("engine: %s: list %llu us, measured %llu; side by side %llu us, measured %llu; bound "
		 "%llu us; noise %u %%",
		 t->bound->name, (unsigned long long)times.list_ns / 1000,
		 (unsigned long long)side->list_ns / 1000, (unsigned long long)times.side_ns / 1000,
		 (unsigned long long)side->side_ns / 1000, (unsigned long long)times.bound_ns / 1000,
		 side->noise_pct);
	/* What a busy machine says may be wrong: the lanes stay, to be tried again while it serves. */
	side->off = side->side_ns >= side->list_ns - side->list_ns / 100 * FINF_SIDE_GAIN_PCT;
	if (side->off && side->noise_pct <= NOISY_PCT)
		side->n_lanes = 0;
	return 0;
}

static bool to_ask(struct finf_device *dev, const struct finf_plan *plan)
{
	return plan->n_branches > 1 && plan->threads > 1 && finf_device_spreads(dev);
}

int finf_engine_side(struct finf_device *dev, const struct finf_graph *bound,
		     struct finf_plan *plan, struct finf_diag *diag)
{
	struct trial t = {.dev = dev, .bound = bound};
	struct finf_diag why = {""};
	int err;

	if (!to_ask(dev, plan))
		return 0;
	err = trial_init(&t, plan);
	if (!err)
		err = decide(&t, plan, &why);
	trial_fini(&t);
	if (err) {
		plan->side.n_lanes = 0;
		if (err != -ENOMEM)
			finf_log("engine: %s: not measured: %s", bound->name, why.text);
	}
	return err == -ENOMEM ? finf_diag_set(diag, err, "no memory to measure in") : 0;
}

int finf_engine_side_like(struct finf_device *dev, const struct finf_graph *bound,
			  struct finf_plan *plan, const struct finf_graph *known_bound,
			  const struct finf_plan *known, struct finf_diag *diag)
{
	struct finf_side_times times;
	int err;

	if (!to_ask(dev, plan) || !known->side.costs)
		return 0;
	plan->side.off = true; /* to be tried soon */
	err = finf_plan_guess(bound, plan, known_bound, known);
	if (!err)
		err = finf_plan_side(plan, &times);
	return err ? finf_diag_set(diag, err, "no memory for a plan") : 0;
}
