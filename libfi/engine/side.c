/* SPDX-License-Identifier: MIT */
/*
 * engine/side: does it pay to run branches side by side? Steps are timed where they stand, in
 * runs of the whole plan with all threads and with one; the plan room decides from that; and
 * what it chose is kept only when it beats the list of steps in runs that alternate.
 * Zeros are as good as any numbers here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/priv.h"

#define TIMED_RUNS 4 /* the first warms up */
#define DUELS	   7
#define DUELS_LONG 3
#define LONG_NS	   300000000u
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
	uint64_t *step_ns;	     /* owned; of the fastest run so far */
	uint32_t n_steps;
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
	t->step_ns = calloc(plan->n_steps + 1, sizeof(*t->step_ns));
	if (!t->arena || !t->inputs || !t->outputs || !t->step_ns)
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
	free(t->step_ns);
}

/* ---- runs --------------------------------------------------------------------------- */

static void note_step(void *ctx, uint32_t step, uint64_t start_ns, uint64_t end_ns)
{
	struct trial *t = ctx;

	t->step_ns[step] = FINF_MIN(t->step_ns[step], end_ns - start_ns);
}

static int run_once(struct trial *t, struct finf_session *session, finf_step_fn on_step,
		    uint64_t *ret_ns, struct finf_diag *diag)
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
		.on_step_ctx = t,
	};
	uint64_t start_ns = finf_now_ns();
	int err = finf_session_run(session, &run, diag);

	*ret_ns = finf_now_ns() - start_ns;
	return err;
}

/* Each step's fastest, in the order of the list, with this many threads. */
static int time_steps(struct trial *t, const struct finf_plan *plan, uint32_t threads,
		      struct finf_diag *diag)
{
	struct finf_plan list = *plan;
	struct finf_session *session;
	uint64_t ns;
	int err;

	list.threads = threads;
	list.side.least = 0;
	err = finf_session_new(t->dev, t->bound, &list, &session, diag);
	if (err)
		return err;
	for (uint32_t i = 0; !err && i < TIMED_RUNS; i++) {
		if (i <= 1)
			memset(t->step_ns, 0xff, t->n_steps * sizeof(*t->step_ns));
		err = run_once(t, session, note_step, &ns, diag);
	}
	finf_session_free(session);
	return err;
}

static int measure(struct trial *t, struct finf_plan *plan, struct finf_diag *diag)
{
	struct finf_step_cost *costs =
		finf_arena_array(&plan->arena, plan->n_steps, sizeof(*costs));
	int err = costs ? time_steps(t, plan, plan->threads, diag) : -ENOMEM;

	for (uint32_t s = 0; !err && s < plan->n_steps; s++)
		costs[s].all_ns = t->step_ns[s];
	if (!err)
		err = time_steps(t, plan, 1, diag);
	for (uint32_t s = 0; !err && s < plan->n_steps; s++)
		costs[s].one_ns = t->step_ns[s];
	if (!err)
		plan->side.costs = costs;
	return err;
}

/* ---- the duel -------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The second of two runs: the first takes what the other way of running left behind. */
static int settled_ns(struct trial *t, struct finf_session *session, uint64_t *ret_ns,
		      struct finf_diag *diag)
{
	int err = run_once(t, session, NULL, ret_ns, diag);

	return err ? err : run_once(t, session, NULL, ret_ns, diag);
}

static int duel(struct trial *t, struct finf_session *list, struct finf_session *side,
		bool *ret_pays, struct finf_diag *diag)
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
	qsort(list_ns, n, sizeof(*list_ns), by_value);
	qsort(side_ns, n, sizeof(*side_ns), by_value);
	*ret_pays = side_ns[n / 2] < list_ns[n / 2] - list_ns[n / 2] / 100 * FINF_SIDE_GAIN_PCT;
	finf_log("engine: %s: list %llu us, side by side %llu us", t->bound->name,
		 (unsigned long long)list_ns[n / 2] / 1000,
		 (unsigned long long)side_ns[n / 2] / 1000);
	return 0;
}

static int confirm(struct trial *t, const struct finf_plan *plan, bool *ret_pays,
		   struct finf_diag *diag)
{
	struct finf_session *list = NULL, *side = NULL;
	struct finf_plan in_order = *plan;
	int err;

	in_order.side.least = 0;
	err = finf_session_new(t->dev, t->bound, &in_order, &list, diag);
	if (!err)
		err = finf_session_new(t->dev, t->bound, plan, &side, diag);
	if (!err)
		err = duel(t, list, side, ret_pays, diag);
	finf_session_free(side);
	finf_session_free(list);
	return err;
}

static int decide(struct trial *t, struct finf_plan *plan, struct finf_diag *diag)
{
	struct finf_side_times times;
	bool pays = false;
	int err = measure(t, plan, diag);

	if (!err)
		err = finf_plan_side(plan, &times);
	if (err)
		return err;
	finf_log("engine: %s: predicted list %llu us, side by side %llu us, bound %llu us",
		 t->bound->name, (unsigned long long)times.list_ns / 1000,
		 (unsigned long long)times.side_ns / 1000,
		 (unsigned long long)times.bound_ns / 1000);
	if (plan->side.least)
		err = confirm(t, plan, &pays, diag);
	if (!pays)
		plan->side.least = 0;
	return err;
}

int finf_engine_side(struct finf_device *dev, const struct finf_graph *bound,
		     struct finf_plan *plan, struct finf_diag *diag)
{
	struct trial t = {.dev = dev, .bound = bound};
	struct finf_diag why = {""};
	int err;

	if (plan->n_branches < 2 || plan->threads < 2 || !finf_device_concurrent(dev))
		return 0;
	err = trial_init(&t, plan);
	if (!err)
		err = decide(&t, plan, &why);
	trial_fini(&t);
	if (err) {
		plan->side.least = 0;
		if (err != -ENOMEM)
			finf_log("engine: %s: not measured: %s", bound->name, why.text);
	}
	return err == -ENOMEM ? finf_diag_set(diag, err, "no memory to measure in") : 0;
}
