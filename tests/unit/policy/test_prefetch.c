/* SPDX-License-Identifier: MIT */
/*
 * policy: what is loaded ahead, what that may cost others, and what it is worth
 * on whole traces in virtual time. The pool of a scenario has 100 bytes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/priv.h"
#include "policy/trace.h"
#include "tests/support/support.h"

#define MS 1000000ull

struct world {
	struct finf_policy *p;
	uint64_t now, ids;
	char log[512]; /* the actions of the last event */
};

static void step(struct world *w, struct finf_event event)
{
	struct finf_action actions[FINF_POLICY_ACTIONS_MAX];
	struct finf_diag diag = {""};
	int n = finf_policy_step(w->p, &event, w->now, actions);

	ck_assert_int_ge(n, 0);
	ck_assert_msg(!finf_policy_check(w->p, &diag), "%s", diag.text);
	for (int i = 0; i < n; i++) {
		const struct finf_action *a = &actions[i];
		size_t at = strlen(w->log);

		if (a->kind == FINF_DO_RUN || a->kind == FINF_DO_REPLY)
			continue;
		at += (size_t)snprintf(w->log + at, sizeof(w->log) - at, "%s%s %u", at ? "; " : "",
				       finf_action_kind_text((enum finf_action_kind)a->kind), a->model);
		if (a->other != FINF_MODEL_NONE)
			at += (size_t)snprintf(w->log + at, sizeof(w->log) - at, ">%u", a->other);
		if (a->kind == FINF_DO_LOAD)
			snprintf(w->log + at, sizeof(w->log) - at, " (%s)",
				 finf_reason_text((enum finf_reason)a->reason));
	}
}

static void tick_while_due(struct world *w)
{
	while (finf_policy_deadline(w->p) <= w->now)
		step(w, (struct finf_event){.kind = FINF_EV_TICK});
}

static const char *event(struct world *w, uint32_t kind, uint32_t model, uint64_t a)
{
	w->log[0] = 0;
	step(w, (struct finf_event){.kind = kind, .model = model, .a = a});
	tick_while_due(w);
	return w->log;
}

/* To @ms, with every deadline on the way. */
static const char *wait_until(struct world *w, uint64_t ms)
{
	w->log[0] = 0;
	while (finf_policy_deadline(w->p) <= ms * MS) {
		w->now = FINF_MAX(w->now, finf_policy_deadline(w->p));
		tick_while_due(w);
	}
	w->now = ms * MS;
	return w->log;
}

static const char *ask(struct world *w, uint32_t model)
{
	w->log[0] = 0;
	step(w, (struct finf_event){.kind = FINF_EV_REQUEST, .model = model, .id = ++w->ids});
	tick_while_due(w);
	return w->log;
}

static void ran(struct world *w, uint32_t model)
{
	step(w, (struct finf_event){.kind = FINF_EV_RAN, .model = model, .id = w->ids});
	tick_while_due(w);
}

/* A whole request, loads and evictions at once; true when it was cold. */
static bool whole(struct world *w, uint32_t model)
{
	struct finf_policy_model state;
	bool cold;

	finf_policy_model(w->p, model, &state);
	cold = state.residency != FINF_RESIDENT;
	ask(w, model);
	/* What was being loaded ahead gives way. */
	for (uint32_t i = 0; i < w->p->opts.models_max; i++)
		if (w->p->models[i].cancelled)
			event(w, FINF_EV_LOADED, i, 0);
	for (uint32_t i = 0; i < w->p->opts.models_max; i++)
		if (w->p->models[i].pub.residency == FINF_EVICTING)
			event(w, FINF_EV_EVICTED, i, 0);
	if (cold && w->p->models[model].pub.residency == FINF_LOADING)
		event(w, FINF_EV_LOADED, model, 0);
	ran(w, model);
	return cold;
}

static void finish_loads(struct world *w)
{
	for (uint32_t i = 0; i < w->p->opts.models_max; i++)
		if (w->p->models[i].pub.residency == FINF_EVICTING)
			event(w, FINF_EV_EVICTED, i, 0);
	for (uint32_t i = 0; i < w->p->opts.models_max; i++)
		if (w->p->models[i].pub.residency == FINF_LOADING)
			event(w, FINF_EV_LOADED, i, 0);
}

static void start(struct world *w, uint64_t prefetch_bytes, uint32_t models, uint64_t weights)
{
	struct finf_policy_opts opts = {.size = sizeof(opts), .pool_bytes = 100, .models_max = 8,
		.requests_max = 8, .runs_max = 1, .loads_max = 1, .prefetch_bytes = prefetch_bytes};

	*w = (struct world){.now = MS};
	ck_assert_int_eq(finf_policy_new(&opts, &w->p, NULL), 0);
	for (uint32_t i = 0; i < models; i++)
		event(w, FINF_EV_ADD, i, weights);
}

static struct finf_policy_prefetch figures(const struct world *w)
{
	struct finf_policy_prefetch f;

	finf_policy_prefetch(w->p, &f);
	return f;
}

/* ---- scenarios ---------------------------------------------------------------------- */

/* A then B, other models in between: B is there when it is asked for, once learned. */
START_TEST(chain)
{
	uint64_t prefetch = _i ? 50 : 0;
	uint32_t cold = 0;
	struct world w;

	start(&w, prefetch, 5, 45);
	for (uint64_t round = 0; round < 20; round++) {
		wait_until(&w, w.now / MS + 40000 + round * round * 137);
		whole(&w, 2 + (uint32_t)round % 3);
		finish_loads(&w);
		whole(&w, 0);
		finish_loads(&w);
		wait_until(&w, w.now / MS + 50);
		cold += whole(&w, 1);
	}
	if (prefetch) {
		ck_assert_uint_le(cold, 5);
		ck_assert_uint_ge(figures(&w).hits, 15);
		ck_assert_uint_ge(w.p->models[1].pub.prefetch_hits, 10);
	} else {
		ck_assert_uint_eq(cold, 20);
		ck_assert_uint_eq(figures(&w).loads, 0);
	}
	finf_policy_free(w.p);
}
END_TEST

static void learn_period(struct world *w)
{
	for (uint64_t i = 1; i <= 5; i++) {
		wait_until(w, i * 1000);
		whole(w, 0);
	}
}

/* Every second; loaded ahead of the sixth, and why says so. */
START_TEST(periodic)
{
	struct finf_policy_why why;
	struct world w;

	start(&w, 50, 3, 45);
	learn_period(&w);
	whole(&w, 1);
	whole(&w, 2); /* drives 0 out */
	finf_policy_why(w.p, 0, &why);
	ck_assert_int_eq(why.forecast, FINF_FORECAST_AHEAD);
	ck_assert_int_eq(why.reason, FINF_WHY_PREDICTED);
	ck_assert_uint_eq(why.confidence_pct, 100);
	ck_assert_uint_le(why.load_ns, why.from_ns);
	ck_assert_uint_le(why.from_ns, 6000 * MS);
	ck_assert_uint_ge(why.until_ns, 6000 * MS);
	ck_assert(why.trusted);
	ck_assert_str_eq(wait_until(&w, 5500), "");
	ck_assert_str_eq(wait_until(&w, 5999), "evict 1>0");
	ck_assert_str_eq(event(&w, FINF_EV_EVICTED, 1, 0), "load 0 (predicted by its intervals)");
	event(&w, FINF_EV_LOADED, 0, 0);
	ck_assert_uint_eq(figures(&w).bytes, 45);
	wait_until(&w, 6000);
	ck_assert(!whole(&w, 0));
	ck_assert_uint_eq(figures(&w).hits, 1);
	ck_assert_uint_eq(figures(&w).late, 0);
	ck_assert_uint_eq(figures(&w).bytes, 0);
	finf_policy_free(w.p);
}
END_TEST

/* Unused within its window: wasted, and the first to go. */
START_TEST(wasted)
{
	struct world w;

	start(&w, 50, 3, 45);
	learn_period(&w);
	whole(&w, 1);
	whole(&w, 2);
	wait_until(&w, 5999);
	finish_loads(&w);
	ck_assert_int_eq(w.p->models[0].forecast, FINF_FORECAST_HELD);
	wait_until(&w, 30000);
	ck_assert_uint_eq(figures(&w).wasted, 1);
	ck_assert_uint_eq(figures(&w).wasted_bytes, 45);
	ck_assert_uint_eq(figures(&w).bytes, 0);
	ck_assert_str_eq(ask(&w, 1), "evict 0>1");
	finf_policy_free(w.p);
}
END_TEST

START_TEST(arrival_loads_at_once)
{
	struct world w;

	start(&w, 50, 3, 45);
	ck_assert_str_eq(event(&w, FINF_EV_ARRIVAL, 0, FINF_ARRIVAL_TCP),
			 "load 0 (a request was seen coming)");
	ck_assert_str_eq(ask(&w, 0), "");
	ck_assert_uint_eq(figures(&w).late, 1);
	event(&w, FINF_EV_LOADED, 0, 0);
	ran(&w, 0);
	ck_assert_uint_eq(figures(&w).hits, 1);
	/* Nobody and nothing, or nonsense. */
	ck_assert_str_eq(event(&w, FINF_EV_ARRIVAL, 7, FINF_ARRIVAL_TCP), "");
	ck_assert_str_eq(event(&w, FINF_EV_ARRIVAL, 0, FINF_ARRIVAL_TCP), "");
	ck_assert_int_eq(finf_policy_handle(w.p, &(struct finf_event){.kind = FINF_EV_ARRIVAL,
		.model = 0, .a = FINF_ARRIVAL_SOURCES}), -EINVAL);
	finf_policy_free(w.p);
}
END_TEST

START_TEST(off_means_off)
{
	struct world w;

	start(&w, 0, 3, 45);
	ck_assert_str_eq(event(&w, FINF_EV_ARRIVAL, 0, FINF_ARRIVAL_TCP), "");
	learn_period(&w);
	ck_assert_uint_eq(finf_policy_deadline(w.p), UINT64_MAX);
	finf_policy_free(w.p);
}
END_TEST

/* In flight and unused together: no more than the budget. */
START_TEST(budget)
{
	struct world w;

	start(&w, 50, 5, 20);
	for (uint32_t i = 0; i < 5; i++)
		event(&w, FINF_EV_ARRIVAL, i, FINF_ARRIVAL_TCP);
	for (int i = 0; i < 5; i++)
		finish_loads(&w);
	ck_assert_uint_eq(figures(&w).bytes, 40);
	ck_assert_uint_eq(figures(&w).loads, 2);
	whole(&w, 0); /* used: its bytes are free for the next */
	finish_loads(&w);
	ck_assert_uint_eq(figures(&w).loads, 3);
	ck_assert_uint_eq(figures(&w).bytes, 40);
	finf_policy_free(w.p);
	start(&w, 10, 1, 20);
	ck_assert_str_eq(event(&w, FINF_EV_ARRIVAL, 0, FINF_ARRIVAL_TCP), "");
	ck_assert_int_eq(w.p->models[0].forecast, FINF_FORECAST_SKIPPED);
	finf_policy_free(w.p);
}
END_TEST

/* What runs, is pinned, or was itself loaded ahead stays. */
START_TEST(in_use_is_not_evicted)
{
	struct world w;

	start(&w, 60, 3, 45);
	whole(&w, 0);
	w.log[0] = 0;
	step(&w, (struct finf_event){.kind = FINF_EV_PIN, .model = 0, .id = 100, .a = 1});
	ask(&w, 1);
	event(&w, FINF_EV_LOADED, 1, 0);
	ck_assert_str_eq(event(&w, FINF_EV_ARRIVAL, 2, FINF_ARRIVAL_TCP), "");
	w.log[0] = 0;
	ran(&w, 1);
	ck_assert_str_eq(w.log, "evict 1>2");
	ck_assert_str_eq(event(&w, FINF_EV_EVICTED, 1, 0), "load 2 (a request was seen coming)");
	event(&w, FINF_EV_LOADED, 2, 0);
	ck_assert_str_eq(event(&w, FINF_EV_ARRIVAL, 1, FINF_ARRIVAL_TCP), "");
	finf_policy_free(w.p);
}
END_TEST

/* A request never waits for what nobody asked for. */
START_TEST(request_overtakes)
{
	struct world w;

	start(&w, 50, 3, 45);
	event(&w, FINF_EV_ARRIVAL, 0, FINF_ARRIVAL_TCP);
	ck_assert_str_eq(ask(&w, 1), "cancel-load 0>1");
	ck_assert_str_eq(event(&w, FINF_EV_LOAD_FAILED, 0, ECANCELED), "load 1 (a request needs it)");
	ck_assert_uint_eq(figures(&w).wasted, 1);
	/* Nor does one for the very model that was given up. */
	finf_policy_free(w.p);
	start(&w, 50, 3, 45);
	event(&w, FINF_EV_ARRIVAL, 0, FINF_ARRIVAL_TCP);
	ask(&w, 1);
	ck_assert_str_eq(ask(&w, 0), "");
	ck_assert_str_eq(event(&w, FINF_EV_LOADED, 0, 0), "load 1 (a request needs it)");
	finf_policy_free(w.p);
}
END_TEST

/* The operator need not wait for a load that nobody asked for. */
START_TEST(unload_of_what_is_loaded_ahead)
{
	struct finf_event unload = {.kind = FINF_EV_UNLOAD, .id = 9};
	struct finf_event remove = {.kind = FINF_EV_REMOVE, .id = 9};
	struct finf_action actions[FINF_POLICY_ACTIONS_MAX];
	struct finf_policy_model state;
	struct world w;

	start(&w, 50, 1, 45);
	event(&w, FINF_EV_ARRIVAL, 0, FINF_ARRIVAL_TCP);
	w.log[0] = 0;
	step(&w, _i & 1 ? unload : remove);
	ck_assert_str_eq(w.log, "cancel-load 0");
	if (_i & 2) {
		ck_assert_str_eq(event(&w, FINF_EV_LOADED, 0, 0), "evict 0");
		unload = (struct finf_event){.kind = FINF_EV_EVICTED};
	} else {
		unload = (struct finf_event){.kind = FINF_EV_LOAD_FAILED, .a = ECANCELED};
	}
	ck_assert_int_eq(finf_policy_step(w.p, &unload, w.now, actions), 1);
	ck_assert_uint_eq(actions[0].kind, FINF_DO_REPLY);
	ck_assert_uint_eq(actions[0].id, 9);
	ck_assert_uint_eq(actions[0].a, 0);
	finf_policy_model(w.p, 0, &state);
	ck_assert_int_eq(state.residency, FINF_COLD);
	ck_assert_int_eq(state.known, _i & 1);
	finf_policy_free(w.p);
}
END_TEST

/* False hints: ever rarer for one model, and bounded for their source. */
START_TEST(hints_are_limited)
{
	uint32_t loads = 0;
	struct world w;

	start(&w, 50, 3, 45);
	for (uint64_t ms = 10; ms < 300000; ms += 500) {
		wait_until(&w, ms);
		loads += strstr(event(&w, FINF_EV_ARRIVAL, 0, FINF_ARRIVAL_TCP), "load 0") != NULL;
		finish_loads(&w);
		if (w.p->models[0].forecast == FINF_FORECAST_NONE &&
		    w.p->models[0].pub.residency == FINF_RESIDENT) {
			step(&w, (struct finf_event){.kind = FINF_EV_UNLOAD, .id = ++w.ids});
			event(&w, FINF_EV_EVICTED, 0, 0);
		}
	}
	ck_assert_uint_ge(loads, 3);
	ck_assert_uint_le(loads, 12);
	finf_policy_free(w.p);
}
END_TEST

START_TEST(hints_of_a_source_are_limited)
{
	struct world w;

	start(&w, 50, 8, 45);
	ask(&w, 7); /* a load holds the only slot: hints are taken, but nothing begins */
	for (uint32_t i = 0; i < 7 * 40; i++)
		event(&w, FINF_EV_ARRIVAL, i % 7, FINF_ARRIVAL_USDT);
	ck_assert_uint_eq(w.p->sources[FINF_ARRIVAL_USDT].taken, 7 * 40);
	ck_assert_uint_eq(w.p->wish.len, 7);
	wait_until(&w, 6000);
	ck_assert_uint_eq(w.p->wish.len, 0);
	w.p->sources[FINF_ARRIVAL_USDT].taken = 16;
	w.p->sources[FINF_ARRIVAL_USDT].window_ns = w.now;
	event(&w, FINF_EV_ARRIVAL, 0, FINF_ARRIVAL_USDT);
	ck_assert_uint_eq(w.p->wish.len, 0);
	event(&w, FINF_EV_ARRIVAL, 0, FINF_ARRIVAL_TCP);
	ck_assert_uint_eq(w.p->wish.len, 1);
	finf_policy_free(w.p);
}
END_TEST

/* A load ahead that failed is not tried again before a request loaded the model. */
START_TEST(failed_load)
{
	struct finf_event failed = {.kind = FINF_EV_LOAD_FAILED, .a = EIO};
	struct finf_event no_place = {.kind = FINF_EV_NO_PLACE};
	struct world w;

	start(&w, 50, 1, 45);
	event(&w, FINF_EV_ARRIVAL, 0, FINF_ARRIVAL_TCP);
	step(&w, _i ? failed : no_place);
	w.now += 10000 * MS;
	tick_while_due(&w);
	ck_assert_str_eq(event(&w, FINF_EV_ARRIVAL, 0, FINF_ARRIVAL_TCP), "");
	ck_assert_uint_eq(figures(&w).wasted, (unsigned)_i);
	whole(&w, 0);
	step(&w, (struct finf_event){.kind = FINF_EV_UNLOAD, .id = ++w.ids});
	event(&w, FINF_EV_EVICTED, 0, 0);
	w.now += 100000 * MS;
	tick_while_due(&w);
	ck_assert_str_eq(event(&w, FINF_EV_ARRIVAL, 0, FINF_ARRIVAL_TCP),
			 "load 0 (a request was seen coming)");
	finf_policy_free(w.p);
}
END_TEST

/* Hints that drive out what is needed: counted as refaults, and stopped. */
START_TEST(thrash_guard)
{
	struct world w;

	start(&w, 90, 4, 45);
	for (uint64_t i = 1; i < 60; i++) {
		wait_until(&w, i * 100);
		whole(&w, 0);
		whole(&w, 1);
		event(&w, FINF_EV_ARRIVAL, 2 + (uint32_t)i % 2, FINF_ARRIVAL_TCP);
		finish_loads(&w);
	}
	ck_assert_uint_gt(figures(&w).refaults, 0);
	ck_assert_uint_le(figures(&w).loads, 8);
	finf_policy_free(w.p);
}
END_TEST

/* ---- whole traces -------------------------------------------------------------------- */

static const struct {
	const char *pattern;
	unsigned share_pct; /* budget, of the pool */
	unsigned cold_pct;  /* at most, of those without prefetch */
	unsigned wasted_pct; /* bytes, at most, of those loaded ahead; 100 = not asserted */
} goals[] = {
	{"periodic", 25, 45, 15}, {"periodic", 50, 30, 15}, {"chain", 25, 50, 15},
	{"chain", 50, 30, 15},	  {"mixture", 25, 50, 15},  {"mixture", 50, 30, 15},
	{"zipf", 25, 100, 100},	  {"zipf", 50, 100, 100},   {"noisy", 25, 70, 20},
};

START_TEST(worth_it)
{
	struct finf_resim lru, ahead;
	struct finf_policy_opts opts;
	struct finf_diag diag = {""};
	struct finf_trace trace;
	char evict[17];

	for (uint64_t seed = 1; seed <= 5; seed++) {
		ck_assert_int_eq(finf_trace_make(goals[_i].pattern, seed, &trace), 0);
		finf_record_opts(&trace.head, evict, &opts);
		ck_assert_msg(!finf_trace_resim(&trace, &opts, NULL, NULL, &lru, &diag), "%s",
			      diag.text);
		opts.prefetch_bytes = opts.pool_bytes / 100 * goals[_i].share_pct;
		ck_assert_msg(!finf_trace_resim(&trace, &opts, NULL, NULL, &ahead, &diag), "%s",
			      diag.text);
		finf_trace_free(&trace);
		ck_assert_uint_eq(lru.failed + ahead.failed, 0);
		ck_assert_uint_eq(lru.requests, ahead.requests);
		ck_assert_uint_eq(lru.prefetch.loads, 0);
		ck_assert_msg(ahead.cold * 100 <= lru.cold * goals[_i].cold_pct,
			      "%s, seed %u: %u cold starts, %u without", goals[_i].pattern,
			      (unsigned)seed, (unsigned)ahead.cold, (unsigned)lru.cold);
		ck_assert_uint_le(ahead.prefetch.wasted_bytes * 100,
				  ahead.prefetch.load_bytes * goals[_i].wasted_pct);
	}
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("policy/prefetch");
	TCase *tc = tcase_create("prefetch");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, chain, 0, 2);
	tcase_add_test(tc, periodic);
	tcase_add_test(tc, wasted);
	tcase_add_test(tc, arrival_loads_at_once);
	tcase_add_test(tc, off_means_off);
	tcase_add_test(tc, budget);
	tcase_add_test(tc, in_use_is_not_evicted);
	tcase_add_test(tc, request_overtakes);
	tcase_add_loop_test(tc, unload_of_what_is_loaded_ahead, 0, 4);
	tcase_add_test(tc, hints_are_limited);
	tcase_add_test(tc, hints_of_a_source_are_limited);
	tcase_add_loop_test(tc, failed_load, 0, 2);
	tcase_add_test(tc, thrash_guard);
	tcase_add_loop_test(tc, worth_it, 0, FINF_ARRAY_LEN(goals));
	suite_add_tcase(suite, tc);
	return suite;
}
