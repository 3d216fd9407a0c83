/* SPDX-License-Identifier: MIT */
/*
 * policy: a fake core with loads, runs and evictions of random length, with
 * failures, missing places and clients that leave. What must hold is kept in an
 * oracle of its own: every request answered once, the pool never exceeded,
 * nothing pinned or in use evicted, requests of a model in order, and all of it
 * again, byte for byte, when the recorded events are replayed.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "policy/priv.h"
#include "tests/support/support.h"

#define MODELS 12
#define EVENTS 6000
#define IDS (4 * EVENTS)
#define PENDING_MAX 256
#define STEPS_MAX (16 * EVENTS)
/* Younger requests that ran before an older one did: the fence lets 16 pass,
 * the rest run while a load, an eviction or a compaction is under way. */
#define OVERTAKEN_MAX 60

enum life { UNUSED = 0, SENT, RUNNING, ANSWERED, GONE };
enum place { COLD = 0, LOADING, RESIDENT, EVICTING };

struct pending {
	uint64_t at;
	struct finf_event event;
};

struct record {
	struct finf_event event;
	uint64_t now;
	int n;
};

struct sim {
	struct finf_policy *policy;
	struct finf_policy_opts opts;
	uint64_t seed, now, next_id, unit; /* of time, in ns */
	struct pending pending[PENDING_MAX];
	uint32_t n_pending;
	struct finf_event urgent[FINF_POLICY_ACTIONS_MAX]; /* NO_PLACE: before anything else */
	uint32_t n_urgent;

	enum place place[MODELS];
	uint64_t weights[MODELS], last_run[MODELS], zone;
	uint64_t fast[MODELS]; /* bytes of a faster form, made or being made */
	bool made[MODELS];
	uint32_t running[MODELS];
	bool pinned[MODELS], unpinned[MODELS], quiet, lost;
	enum life life[IDS];
	uint32_t model[IDS], overtaken[IDS], overtaken_max;
	uint64_t oldest; /* no id below it is SENT */

	struct record *records;
	struct finf_action *actions;
	uint32_t n_records, n_actions;
	uint32_t seen[FINF_DO_SHRINK + 1]; /* actions by kind: the simulation must reach all of them */
};

static uint32_t dice(struct sim *s, uint32_t sides)
{
	return (uint32_t)(test_random(&s->seed) % sides);
}

static void later(struct sim *s, uint64_t in, struct finf_event event)
{
	ck_assert_uint_lt(s->n_pending, PENDING_MAX);
	s->pending[s->n_pending++] = (struct pending){s->now + in * s->unit, event};
}

static void check_pool(struct sim *s)
{
	uint64_t sum = s->zone;

	for (int i = 0; i < MODELS; i++)
		sum += (s->place[i] != COLD ? s->weights[i] : 0) + s->fast[i];
	ck_assert_uint_le(sum, s->opts.pool_bytes);
}

/* ---- the fake core -------------------------------------------------------- */

static void do_load(struct sim *s, const struct finf_action *a)
{
	uint32_t m = a->model;

	ck_assert_int_eq(s->place[m], COLD);
	ck_assert_uint_eq(s->running[m], 0);
	ck_assert(!s->quiet && !s->lost);
	s->place[m] = LOADING;
	s->zone = a->a;
	check_pool(s);
	if (!dice(s, 12))
		s->urgent[s->n_urgent++] =
			(struct finf_event){.kind = FINF_EV_NO_PLACE, .model = m};
	else if (!dice(s, 15))
		later(s, dice(s, 300),
		      (struct finf_event){.kind = FINF_EV_LOAD_FAILED, .model = m, .a = EIO});
	else
		later(s, dice(s, 300), (struct finf_event){.kind = FINF_EV_LOADED, .model = m});
}

static void do_run(struct sim *s, const struct finf_action *a)
{
	uint32_t m = a->model;

	ck_assert(s->place[m] == RESIDENT || s->place[m] == LOADING);
	ck_assert_int_eq(s->life[a->id], SENT);
	ck_assert_uint_eq(s->model[a->id], m);
	ck_assert_uint_gt(a->id, s->last_run[m]);
	ck_assert(!s->quiet && !s->lost);
	s->last_run[m] = a->id;
	s->life[a->id] = RUNNING;
	s->running[m]++;
	s->zone = a->a;
	check_pool(s);
	while (s->life[s->oldest] != SENT && s->oldest < a->id)
		s->oldest++;
	for (uint64_t id = s->oldest; id < a->id; id++)
		if (s->life[id] == SENT && ++s->overtaken[id] > s->overtaken_max)
			s->overtaken_max = s->overtaken[id];
	if (!dice(s, 50))
		s->urgent[s->n_urgent++] = (struct finf_event){
			.kind = FINF_EV_NO_PLACE, .model = m, .id = a->id};
	else if (s->place[m] == RESIDENT)
		later(s, dice(s, 40), (struct finf_event){.kind = FINF_EV_RAN, .model = m,
			.id = a->id, .a = dice(s, 20) ? 0 : EREMOTEIO});
}

static void do_evict(struct sim *s, const struct finf_action *a)
{
	ck_assert_int_eq(s->place[a->model], RESIDENT);
	ck_assert_uint_eq(s->fast[a->model], 0);
	ck_assert(s->lost == (a->reason == FINF_WHY_DEVICE));
	ck_assert(s->lost || (!s->running[a->model] && !s->pinned[a->model]));
	s->place[a->model] = EVICTING;
	later(s, dice(s, 10), (struct finf_event){.kind = FINF_EV_EVICTED, .model = a->model});
}

static void do_reply(struct sim *s, const struct finf_action *a)
{
	ck_assert_msg(s->life[a->id] == SENT || s->life[a->id] == RUNNING,
		      "id %u answered in state %d", (unsigned)a->id, s->life[a->id]);
	s->life[a->id] = ANSWERED;
}

static void do_cancel_load(struct sim *s, const struct finf_action *a)
{
	ck_assert_int_eq(s->place[a->model], LOADING);
	for (uint32_t i = 0; i < s->n_pending; i++)
		if (s->pending[i].event.kind == FINF_EV_LOADED &&
		    s->pending[i].event.model == a->model && dice(s, 4))
			s->pending[i].event = (struct finf_event){.kind = FINF_EV_LOAD_FAILED,
				.model = a->model, .a = ECANCELED};
}

static void do_price(struct sim *s, const struct finf_action *a)
{
	struct finf_event priced = {.kind = FINF_EV_PRICED, .model = a->model};

	if (dice(s, 4)) {
		priced.a = 10 + dice(s, 60);
		priced.b = dice(s, 40);
		priced.id = 1 + dice(s, 20);
	} else {
		priced.b = dice(s, 4) ? EAGAIN : 0;
	}
	later(s, dice(s, 300), priced);
}

static void do_grow(struct sim *s, const struct finf_action *a)
{
	ck_assert_int_eq(s->place[a->model], RESIDENT);
	ck_assert_uint_eq(s->fast[a->model], 0);
	ck_assert(!s->quiet && !s->lost);
	s->fast[a->model] = a->b;
	s->made[a->model] = false;
	s->zone = a->a;
	check_pool(s);
	later(s, dice(s, 300), (struct finf_event){.kind = FINF_EV_GROWN, .model = a->model,
						   .a = dice(s, 4) ? 0 : ENOMEM});
}

static void do_shrink(struct sim *s, const struct finf_action *a)
{
	ck_assert_uint_gt(a->a, 0);
	ck_assert_uint_eq(s->fast[a->model], a->a);
	ck_assert(s->lost == (a->reason == FINF_WHY_DEVICE));
	ck_assert(s->lost || !s->made[a->model] || !s->running[a->model]);
	ck_assert(s->lost || !s->quiet);
	s->fast[a->model] = 0;
}

static void carry_out(struct sim *s, const struct finf_action *a)
{
	s->seen[a->kind]++;
	switch (a->kind) {
	case FINF_DO_LOAD:
		return do_load(s, a);
	case FINF_DO_RUN:
		return do_run(s, a);
	case FINF_DO_EVICT:
		return do_evict(s, a);
	case FINF_DO_REPLY:
		return do_reply(s, a);
	case FINF_DO_CANCEL_LOAD:
		return do_cancel_load(s, a);
	case FINF_DO_PRICE:
		return do_price(s, a);
	case FINF_DO_GROW:
		return do_grow(s, a);
	case FINF_DO_SHRINK:
		return do_shrink(s, a);
	case FINF_DO_COMPACT:
		ck_assert(!s->lost);
		for (int i = 0; i < MODELS; i++)
			ck_assert(!s->running[i] && s->place[i] != LOADING &&
				  (!s->fast[i] || s->made[i]));
		s->quiet = true;
		later(s, dice(s, 100), (struct finf_event){.kind = FINF_EV_COMPACTED,
			.model = FINF_MODEL_NONE, .a = dice(s, 2) ? 0 : ENOBUFS});
		return;
	}
	ck_abort_msg("unknown action %u", a->kind);
}

/* Also in silence, after its client has gone. */
static bool still_runs(const struct sim *s, uint64_t id)
{
	return s->life[id] == RUNNING || (s->life[id] == GONE && s->overtaken[id] == UINT32_MAX);
}

/* What an event of the core means to the oracle. Runs that streamed end with their load. */
static void before_event(struct sim *s, const struct finf_event *e)
{
	if (e->kind == FINF_EV_LOADED || e->kind == FINF_EV_LOAD_FAILED) {
		s->place[e->model] = e->kind == FINF_EV_LOADED ? RESIDENT : COLD;
		for (uint64_t id = 1; id < s->next_id; id++)
			if (s->model[id] == e->model && still_runs(s, id))
				later(s, dice(s, 40), (struct finf_event){.kind = FINF_EV_RAN,
					.model = e->model, .id = id, .a = e->a});
	} else if (e->kind == FINF_EV_NO_PLACE && !e->id) {
		s->place[e->model] = COLD;
	} else if (e->kind == FINF_EV_NO_PLACE) {
		s->running[e->model]--;
		s->last_run[e->model] = e->id - 1;
		s->life[e->id] = SENT;
	} else if (e->kind == FINF_EV_EVICTED) {
		s->place[e->model] = COLD;
	} else if (e->kind == FINF_EV_RAN) {
		s->running[e->model]--;
		s->overtaken[e->id] = 0;
	} else if (e->kind == FINF_EV_GROWN) {
		if (e->a)
			s->fast[e->model] = 0;
		s->made[e->model] = !e->a;
		if (!e->a && dice(s, 2))
			later(s, dice(s, 500),
			      (struct finf_event){.kind = FINF_EV_SLOWER, .model = e->model});
	} else if (e->kind == FINF_EV_COMPACTED) {
		s->quiet = false;
	} else if (e->kind == FINF_EV_DEVICE_LOST) {
		s->lost = true;
		memset(s->pinned, 0, sizeof(s->pinned)); /* kept if they can be loaded again */
	} else if (e->kind == FINF_EV_DEVICE_BACK) {
		s->lost = false;
	}
}

static void one_step(struct sim *s, struct finf_event e)
{
	struct finf_action *actions = s->actions + s->n_actions;
	struct finf_diag diag = {""};
	int n;

	ck_assert_uint_lt(s->n_records, STEPS_MAX);
	before_event(s, &e);
	n = finf_policy_step(s->policy, &e, s->now, actions);
	ck_assert_msg(n >= 0, "%s of model %u: %d", finf_event_kind_text(e.kind), e.model, n);
	ck_assert_msg(!finf_policy_check(s->policy, &diag), "after %s: %s",
		      finf_event_kind_text(e.kind), diag.text);
	s->records[s->n_records++] = (struct record){e, s->now, n};
	s->n_actions += (uint32_t)n;
	for (int i = 0; i < n; i++)
		carry_out(s, &actions[i]);
}

static void feed(struct sim *s, struct finf_event e)
{
	one_step(s, e);
	while (s->n_urgent || finf_policy_deadline(s->policy) <= s->now)
		one_step(s, s->n_urgent ? s->urgent[--s->n_urgent]
					: (struct finf_event){.kind = FINF_EV_TICK});
}

/* In two thirds of the simulations. */
static bool with_fast(const struct sim *s)
{
	return s->opts.runs_max != 2;
}

/* ---- the clients ---------------------------------------------------------- */

static void cancel_one(struct sim *s)
{
	uint64_t back = 1 + dice(s, 12), id = s->next_id > back ? s->next_id - back : 0;

	if (s->life[id] != SENT && s->life[id] != RUNNING)
		return;
	/* A silent run still has to be ended with its load. */
	s->overtaken[id] = s->life[id] == RUNNING ? UINT32_MAX : 0;
	s->life[id] = GONE;
	feed(s, (struct finf_event){.kind = FINF_EV_CANCEL, .id = id});
}

/* A hint, true or not, sometimes many at once. */
static void arrival(struct sim *s)
{
	for (uint32_t n = 1 + !dice(s, 10) * 20; n; n--)
		feed(s, (struct finf_event){.kind = FINF_EV_ARRIVAL, .model = dice(s, MODELS),
					    .a = dice(s, FINF_ARRIVAL_SOURCES)});
}

static void client_event(struct sim *s)
{
	static const uint32_t kinds[] = {FINF_EV_LOAD, FINF_EV_UNLOAD, FINF_EV_PIN};
	uint32_t what = dice(s, 30), m = FINF_MIN(dice(s, MODELS), dice(s, MODELS));
	struct finf_event e = {.kind = FINF_EV_REQUEST, .model = m};

	if (what < 3) {
		cancel_one(s);
		return;
	}
	if (with_fast(s) && !dice(s, 100)) {
		feed(s, (struct finf_event){.kind = FINF_EV_OPTIMIZE, .model = m, .a = !!dice(s, 4)});
		return;
	}
	if (s->opts.prefetch_bytes && !dice(s, 8)) {
		arrival(s);
		return;
	}
	/* Habits, for the predictors. */
	if (s->opts.prefetch_bytes && dice(s, 2))
		e.model = m = (uint32_t)(s->next_id % 7);
	if (what < 6) {
		e.kind = kinds[what - 3];
		e.a = e.kind == FINF_EV_PIN && !dice(s, 4);
	} else {
		e.a = dice(s, 8) ? 0 : s->now + dice(s, 400) * s->unit;
		e.b = dice(s, 10) ? 0 : dice(s, 40);
	}
	if (e.kind == FINF_EV_PIN && !e.a)
		s->pinned[m] = false;
	e.id = s->next_id++;
	s->life[e.id] = SENT;
	s->model[e.id] = m;
	feed(s, e);
	if (e.kind == FINF_EV_PIN && e.a && s->place[m] == RESIDENT &&
	    s->life[e.id] == ANSWERED) {
		struct finf_policy_model view;

		finf_policy_model(s->policy, m, &view);
		s->pinned[m] = view.pinned;
	}
}

/* The next thing that happens by itself: something done, or a deadline. False: nothing will. */
static bool core_event(struct sim *s)
{
	uint64_t deadline = finf_policy_deadline(s->policy);
	uint32_t first = 0;
	struct finf_event e;

	for (uint32_t i = 1; i < s->n_pending; i++)
		if (s->pending[i].at < s->pending[first].at)
			first = i;
	if (!s->n_pending && deadline == UINT64_MAX)
		return false;
	if (!s->n_pending || deadline < s->pending[first].at) {
		s->now = FINF_MAX(s->now, deadline);
		feed(s, (struct finf_event){.kind = FINF_EV_TICK});
		return true;
	}
	s->now = FINF_MAX(s->now, s->pending[first].at);
	e = s->pending[first].event;
	s->pending[first] = s->pending[--s->n_pending];
	feed(s, e);
	return true;
}

/* The device fails, clients go on asking, and when all that was begun has ended it is back. */
static void device_fault(struct sim *s, uint32_t clients, uint64_t err)
{
	feed(s, (struct finf_event){.kind = FINF_EV_DEVICE_LOST, .model = FINF_MODEL_NONE});
	while (clients--)
		client_event(s);
	while (s->n_pending)
		core_event(s);
	for (int i = 0; i < MODELS; i++)
		ck_assert(s->place[i] == COLD && !s->running[i]);
	feed(s, (struct finf_event){.kind = FINF_EV_DEVICE_BACK, .model = FINF_MODEL_NONE,
				    .a = err});
}

/* ---- tests ---------------------------------------------------------------- */

static void sim_start(struct sim *s, int seed)
{
	s->seed = (uint64_t)seed;
	s->next_id = s->oldest = 1;
	s->opts = (struct finf_policy_opts){
		.size = sizeof(s->opts),
		.models_max = MODELS,
		.requests_max = 24,
		.runs_max = 1 + (uint32_t)seed % 3,
		.loads_max = 1 + (uint32_t)seed / 3 % 2,
	};
	s->records = calloc(STEPS_MAX, sizeof(*s->records));
	s->actions = calloc(STEPS_MAX + FINF_POLICY_ACTIONS_MAX, 2 * sizeof(*s->actions));
	ck_assert(s->records && s->actions);
	for (int i = 0; i < MODELS; i++) {
		s->weights[i] = 20 + dice(s, 200);
		s->opts.pool_bytes += s->weights[i];
	}
	s->opts.pool_bytes = s->opts.pool_bytes * 45 / 100 + 90;
	s->unit = seed % 2 ? 1 << 19 : 1;
	if (seed % 2)
		s->opts.prefetch_bytes = s->opts.pool_bytes / (1 + (uint64_t)seed % 4);
	ck_assert_int_eq(finf_policy_new(&s->opts, &s->policy, NULL), 0);
	for (uint32_t i = 0; i < MODELS; i++)
		feed(s, (struct finf_event){.kind = FINF_EV_ADD, .model = i,
			.a = s->weights[i], .b = dice(s, 30)});
	for (uint32_t i = 0; i < MODELS && with_fast(s); i++)
		feed(s, (struct finf_event){.kind = FINF_EV_OPTIMIZE, .model = i, .a = 1});
}

static void check_replay(struct sim *s)
{
	struct finf_action actions[FINF_POLICY_ACTIONS_MAX], *want = s->actions;
	struct finf_policy *again;

	ck_assert_int_eq(finf_policy_new(&s->opts, &again, NULL), 0);
	for (uint32_t i = 0; i < s->n_records; i++) {
		const struct record *r = &s->records[i];
		int n = finf_policy_step(again, &r->event, r->now, actions);

		ck_assert_int_eq(n, r->n);
		ck_assert_int_eq(memcmp(actions, want, (size_t)n * sizeof(*want)), 0);
		want += n;
	}
	finf_policy_free(again);
}

START_TEST(simulate)
{
	struct sim *s = calloc(1, sizeof(*s));
	struct finf_policy_prefetch prefetch;
	size_t heap;

	ck_assert_ptr_nonnull(s);
	sim_start(s, _i);
	heap = mallinfo2().uordblks;
	for (int i = 0; i < EVENTS; i++) {
		if (!dice(s, 400))
			device_fault(s, dice(s, 8), 0);
		if (dice(s, 5) < 2 || !core_event(s))
			client_event(s);
	}
	if (_i % 4 == 3) /* the last one for good: everybody hears it */
		device_fault(s, 20, EIO);
	feed(s, (struct finf_event){.kind = FINF_EV_DRAIN});
	while (core_event(s))
		;
	ck_assert_uint_eq(mallinfo2().uordblks, heap);
	for (uint64_t id = 1; id < s->next_id; id++)
		ck_assert_msg(s->life[id] == ANSWERED || s->life[id] == GONE,
			      "id %u of model %u was never answered (%d)", (unsigned)id,
			      s->model[id], s->life[id]);
	ck_assert_uint_le(s->overtaken_max, OVERTAKEN_MAX);
	for (uint32_t kind = FINF_DO_LOAD; kind <= FINF_DO_CANCEL_LOAD; kind++)
		ck_assert_msg(s->seen[kind], "no %s in this run", finf_action_kind_text(kind));
	/* Where time passes quickly, runs are forgotten before they are enough. */
	for (uint32_t kind = FINF_DO_PRICE; kind <= FINF_DO_SHRINK; kind++)
		ck_assert_msg(with_fast(s) ? s->unit > 1 || s->seen[kind] : !s->seen[kind],
			      "%s: %u in this run", finf_action_kind_text(kind), s->seen[kind]);
	finf_policy_prefetch(s->policy, &prefetch);
	ck_assert_uint_eq(prefetch.loads > 0, s->opts.prefetch_bytes > 0);
	/* So much eviction by hints and failures does more harm than good. */
	ck_assert_uint_eq(prefetch.stopped, s->opts.prefetch_bytes > 0);
	ck_assert_uint_le(prefetch.late, prefetch.hits);
	ck_assert_uint_le(prefetch.hits + prefetch.wasted, prefetch.loads);
	ck_assert_uint_eq(prefetch.bytes, 0);
	check_replay(s);
	finf_policy_free(s->policy);
	free(s->records);
	free(s->actions);
	free(s);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("policy/simulation");
	TCase *tc = tcase_create("simulation");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, simulate, 0, 48);
	suite_add_tcase(suite, tc);
	return suite;
}
