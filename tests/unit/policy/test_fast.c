/* SPDX-License-Identifier: MIT */
/*
 * policy: faster forms of weights. A row is an event, when it comes, and the whole of what
 * must be done then about loads, evictions and forms; runs and replies are what RUNS does.
 * After each step every invariant is recomputed. The pool has 100 bytes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/priv.h"
#include "tests/support/support.h"

#define S 1000000000ull
#define ROWS_MAX 48
#define RUNS_EVENT 1000 /* b requests one after the other, each run and answered */

struct row {
	uint64_t s; /* at this second, at least */
	struct finf_event event;
	const char *want; /* NULL ends the table */
};

struct scenario {
	const char *name;
	struct row rows[ROWS_MAX];
};

#define AT(s, kind, m, a, want) {s, {FINF_EV_##kind, m, 0, a, 0}, want}
#define ADD(m, weights, arena) {0, {FINF_EV_ADD, m, 0, weights, arena}, ""}
/* A model that is resident and may have a faster form. */
#define WARM(m, weights, arena) \
	ADD(m, weights, arena), AT(0, OPTIMIZE, m, 1, ""), \
	{0, {FINF_EV_LOAD, m, 900 + m, 0, 0}, "load " #m}, AT(0, LOADED, m, 0, "")
#define RUNS(s, m, n, want) {s, {RUNS_EVENT, m, 0, 0, n}, want}
#define PRICED(s, m, bytes, arena, gain, want) {s, {FINF_EV_PRICED, m, gain, bytes, arena}, want}
/* Model 0 has 30 bytes and 10 of arena, its form takes 20 more and saves 10 ns a run: 8 runs. */
#define EARNED WARM(0, 30, 10), RUNS(1, 0, 32, "price 0"), PRICED(1, 0, 20, 10, 10, "grow 0")
#define FAST EARNED, AT(1, GROWN, 0, 0, "")

static const struct scenario scenarios[] = {
	{"earned by runs", {
		WARM(0, 30, 10),
		RUNS(1, 0, 31, ""),
		RUNS(1, 0, 1, "price 0"),
		RUNS(1, 0, 3, ""), /* meanwhile runs go on */
		PRICED(2, 0, 20, 10, 2, ""), /* 40 runs wanted, 35 there */
		RUNS(2, 0, 4, ""),
		RUNS(2, 0, 1, "grow 0"),
		RUNS(2, 0, 2, ""),
		AT(2, GROWN, 0, 0, ""),
		RUNS(2, 0, 99, ""),
	}},
	{"old runs count less and less", {
		WARM(0, 30, 10),
		RUNS(1, 0, 30, ""),
		RUNS(40, 0, 16, ""),
		RUNS(40, 0, 1, "price 0"),
	}},
	{"never without leave", {
		ADD(0, 30, 10),
		{0, {FINF_EV_LOAD, 0, 900, 0, 0}, "load 0"},
		AT(0, LOADED, 0, 0, ""),
		RUNS(1, 0, 500, ""),
		AT(1, OPTIMIZE, 0, 1, ""),
		RUNS(1, 0, 32, "price 0"),
		AT(1, OPTIMIZE, 0, 0, ""),
		PRICED(1, 0, 20, 10, 10, ""),
		RUNS(1, 0, 500, ""),
	}},
	{"leave taken back", {
		FAST,
		AT(2, OPTIMIZE, 0, 0, "shrink 0 (operator)"),
		RUNS(2, 0, 99, ""),
	}},
	{"leave taken back while it is made", {
		EARNED,
		AT(1, OPTIMIZE, 0, 0, "shrink 0 (operator)"),
		AT(1, GROWN, 0, ECANCELED, ""),
	}},
	{"there is none", {
		WARM(0, 30, 10),
		RUNS(1, 0, 32, "price 0"),
		PRICED(1, 0, 0, 0, 0, ""),
		RUNS(1, 0, 500, ""),
		RUNS(1000, 0, 500, ""),
	}},
	{"whether there is one could not be found out: later", {
		WARM(0, 30, 10),
		RUNS(1, 0, 32, "price 0"),
		PRICED(1, 0, 0, ENOMEM, 0, ""),
		RUNS(5, 0, 99, ""),
		RUNS(11, 0, 1, "price 0"),
	}},
	{"one at a time", {
		WARM(0, 10, 10), WARM(1, 10, 10),
		RUNS(1, 0, 32, "price 0"),
		RUNS(1, 1, 50, ""),
		PRICED(1, 0, 10, 10, 10, "grow 0"),
		RUNS(1, 1, 1, ""),
		AT(1, GROWN, 0, 0, "price 1"),
		PRICED(1, 1, 10, 10, 10, "grow 1"),
	}},
	{"free bytes only, its larger arena counted", {
		WARM(0, 30, 10), WARM(1, 40, 10),
		RUNS(1, 0, 32, "price 0"),
		PRICED(1, 0, 20, 11, 10, ""), /* 70 + 20 + 11 */
		RUNS(1, 0, 9, ""),
		{1, {FINF_EV_UNLOAD, 1, 901, 0, 0}, "evict 1 (operator)"},
		RUNS(1, 0, 1, ""), /* not free yet */
		AT(1, EVICTED, 1, 0, ""),
		RUNS(1, 0, 1, "grow 0"),
	}},
	{"given back before any model goes, and only later made again", {
		FAST,
		WARM(1, 20, 10),
		ADD(2, 30, 10),
		{2, {FINF_EV_LOAD, 2, 902, 0, 0},
		 "shrink 0>2 (room for weights); load 2"},
		AT(2, LOADED, 2, 0, ""),
		RUNS(3, 0, 99, ""),
		{3, {FINF_EV_UNLOAD, 2, 903, 0, 0}, "evict 2 (operator)"},
		AT(3, EVICTED, 2, 0, ""),
		RUNS(4, 0, 99, ""),
		RUNS(12, 0, 1, "grow 0"),
		AT(12, GROWN, 0, 0, ""),
		{12, {FINF_EV_LOAD, 2, 904, 0, 0}, "shrink 0>2 (room for weights); load 2"},
		AT(12, LOADED, 2, 0, ""),
		{12, {FINF_EV_UNLOAD, 2, 905, 0, 0}, "evict 2 (operator)"},
		AT(12, EVICTED, 2, 0, ""),
		RUNS(31, 0, 99, ""), /* twice as long */
		RUNS(32, 0, 1, "grow 0"),
	}},
	{"given back, and then a model goes too", {
		FAST,
		ADD(2, 80, 10),
		{2, {FINF_EV_LOAD, 2, 902, 0, 0},
		 "shrink 0>2 (room for weights); evict 0>2 (room for weights)"},
		AT(2, EVICTED, 0, 0, "load 2"),
	}},
	{"given back while it is made: the maker ends later", {
		EARNED,
		ADD(2, 50, 10), WARM(1, 5, 10),
		{2, {FINF_EV_LOAD, 2, 902, 0, 0}, "shrink 0>2 (room for weights); load 2"},
		AT(2, LOADED, 2, 0, ""),
		RUNS(2, 1, 99, ""), /* the maker is not free */
		AT(2, GROWN, 0, ECANCELED, "price 1"),
	}},
	{"given back for an arena", {
		FAST,
		{2, {FINF_EV_REQUEST, 0, 7, 0, 60}, "shrink 0>0 (room for activations)"},
		{2, {FINF_EV_RAN, 0, 7, 0, 0}, ""},
	}},
	{"not while a run uses it", {
		FAST,
		ADD(2, 60, 10),
		{2, {FINF_EV_REQUEST, 0, 7, 0, 10}, ""},
		{2, {FINF_EV_LOAD, 2, 902, 0, 0}, ""},
		{2, {FINF_EV_RAN, 0, 7, 0, 0}, "shrink 0>2 (room for weights); load 2"},
	}},
	{"goes with its model", {
		FAST,
		{2, {FINF_EV_UNLOAD, 0, 901, 0, 0}, "shrink 0 (operator); evict 0 (operator)"},
		AT(2, EVICTED, 0, 0, ""),
		{3, {FINF_EV_LOAD, 0, 902, 0, 0}, "load 0"},
		AT(3, LOADED, 0, 0, ""),
		RUNS(13, 0, 1, "grow 0"), /* its price is known, its runs are not forgotten */
	}},
	{"goes with its model for good, another one under its number", {
		EARNED,
		{2, {FINF_EV_REMOVE, 0, 901, 0, 0}, "shrink 0 (operator); evict 0 (operator)"},
		AT(2, EVICTED, 0, 0, ""),
		WARM(0, 20, 0),
		RUNS(20, 0, 40, ""), /* the maker is still at the old one */
		AT(20, GROWN, 0, 0, "price 0"),
	}},
	{"removed while it is priced", {
		WARM(0, 30, 10),
		RUNS(1, 0, 32, "price 0"),
		{2, {FINF_EV_REMOVE, 0, 901, 0, 0}, "evict 0 (operator)"},
		AT(2, EVICTED, 0, 0, ""),
		PRICED(2, 0, 20, 10, 10, ""),
		WARM(0, 30, 10),
		RUNS(2, 0, 32, "price 0"),
	}},
	{"could not be made", {
		EARNED,
		AT(1, GROWN, 0, ENOMEM, ""),
		RUNS(10, 0, 99, ""),
		RUNS(11, 0, 1, "grow 0"),
	}},
	{"lost with the device", {
		FAST,
		AT(2, DEVICE_LOST, FINF_MODEL_NONE, 0,
		   "shrink 0 (device fault); evict 0 (device fault)"),
		AT(2, EVICTED, 0, 0, ""),
		AT(2, DEVICE_BACK, FINF_MODEL_NONE, 0, ""),
		{3, {FINF_EV_LOAD, 0, 902, 0, 0}, "load 0"},
		AT(3, LOADED, 0, 0, ""),
		RUNS(20, 0, 32, "grow 0"),
	}},
	{"given up for compaction, since it cannot be moved", {
		EARNED,
		ADD(2, 30, 10),
		{2, {FINF_EV_LOAD, 2, 902, 0, 0}, "load 2"},
		AT(2, NO_PLACE, 2, 0, "shrink 0>2 (fragmented: no hole large enough); compact 2"),
		AT(2, GROWN, 0, ECANCELED, ""),
		AT(2, COMPACTED, FINF_MODEL_NONE, 0, "load 2"),
	}},
	{"after compaction without success, before a model", {
		FAST,
		ADD(2, 30, 10),
		{2, {FINF_EV_LOAD, 2, 902, 0, 0}, "load 2"},
		AT(2, NO_PLACE, 2, 0, "compact 2"),
		AT(2, COMPACTED, FINF_MODEL_NONE, 0, "load 2"),
		AT(2, NO_PLACE, 2, 0, "shrink 0>2 (fragmented: no hole large enough); load 2"),
	}},
	{"no faster: given back for good, until it is allowed anew", {
		FAST,
		{2, {FINF_EV_SLOWER, 0, 0, 100, 100}, "shrink 0 (its runs were no faster)"},
		RUNS(2, 0, 99, ""),
		RUNS(1000, 0, 99, ""),
		{1001, {FINF_EV_UNLOAD, 0, 901, 0, 0}, "evict 0 (operator)"},
		AT(1001, EVICTED, 0, 0, ""),
		{1002, {FINF_EV_LOAD, 0, 902, 0, 0}, "load 0"},
		AT(1002, LOADED, 0, 0, ""),
		RUNS(1002, 0, 99, ""),
		AT(1002, OPTIMIZE, 0, 1, ""), /* as it was */
		RUNS(1002, 0, 99, ""),
		AT(1003, OPTIMIZE, 0, 0, ""),
		AT(1003, OPTIMIZE, 0, 1, ""),
		RUNS(1003, 0, 7, ""),
		RUNS(1003, 0, 1, "grow 0"),
	}},
	{"no faster, and a run uses it", {
		FAST,
		{2, {FINF_EV_REQUEST, 0, 7, 0, 10}, ""},
		{2, {FINF_EV_SLOWER, 0, 0, 100, 100}, ""},
		{2, {FINF_EV_RAN, 0, 7, 0, 0}, "shrink 0 (its runs were no faster)"},
	}},
	{"no faster, said too late", {
		FAST,
		ADD(2, 60, 10),
		{2, {FINF_EV_LOAD, 2, 902, 0, 0}, "shrink 0>2 (room for weights); load 2"},
		{2, {FINF_EV_SLOWER, 0, 0, 100, 100}, ""},
		AT(2, LOADED, 2, 0, ""),
		{3, {FINF_EV_UNLOAD, 2, 903, 0, 0}, "evict 2 (operator)"},
		AT(3, EVICTED, 2, 0, ""),
		RUNS(12, 0, 8, "grow 0"),
	}},
	{"no faster, and another takes its room first", {
		FAST,
		WARM(1, 20, 10),
		RUNS(2, 1, 1, ""),
		{3, {FINF_EV_SLOWER, 0, 0, 100, 100}, "shrink 0 (its runs were no faster)"},
		RUNS(3, 1, 31, "price 1"),
		PRICED(3, 1, 20, 10, 10, "grow 1"),
	}},
	{"nothing new while draining", {
		WARM(0, 30, 10),
		RUNS(1, 0, 31, ""),
		{1, {FINF_EV_REQUEST, 0, 7, 0, 10}, ""},
		AT(1, DRAIN, FINF_MODEL_NONE, 0, ""),
		{1, {FINF_EV_RAN, 0, 7, 0, 0}, ""},
	}},
};

struct world {
	struct finf_policy *p;
	uint64_t now, ids;
	char log[512];
};

static void put(struct world *w, const struct finf_action *a)
{
	size_t at = strlen(w->log);

	if (a->kind == FINF_DO_RUN || a->kind == FINF_DO_REPLY)
		return;
	at += (size_t)snprintf(w->log + at, sizeof(w->log) - at, "%s%s %u", at ? "; " : "",
			       finf_action_kind_text(a->kind), a->model);
	if (a->kind == FINF_DO_LOAD || a->kind == FINF_DO_COMPACT || a->kind == FINF_DO_GROW ||
	    a->kind == FINF_DO_PRICE)
		return;
	if (a->other != FINF_MODEL_NONE)
		at += (size_t)snprintf(w->log + at, sizeof(w->log) - at, ">%u", a->other);
	snprintf(w->log + at, sizeof(w->log) - at, " (%s)", finf_reason_text(a->reason));
}

static void step(struct world *w, struct finf_event event)
{
	struct finf_action actions[FINF_POLICY_ACTIONS_MAX];
	struct finf_diag diag = {""};
	int n = finf_policy_step(w->p, &event, w->now, actions);

	ck_assert_msg(n >= 0, "%s of model %u is refused", finf_event_kind_text(event.kind),
		      event.model);
	ck_assert_msg(!finf_policy_check(w->p, &diag), "%s", diag.text);
	for (int i = 0; i < n; i++)
		put(w, &actions[i]);
}

static void whole_runs(struct world *w, uint32_t model, uint64_t n)
{
	while (n--) {
		w->ids++;
		step(w, (struct finf_event){.kind = FINF_EV_REQUEST, .model = model, .id = w->ids});
		step(w, (struct finf_event){.kind = FINF_EV_RAN, .model = model, .id = w->ids});
	}
}

static struct world make(void)
{
	struct finf_policy_opts opts = {.size = sizeof(opts), .pool_bytes = 100, .models_max = 4,
		.requests_max = 8, .runs_max = 1, .loads_max = 1};
	struct world w = {.ids = 1000};

	ck_assert_int_eq(finf_policy_new(&opts, &w.p, NULL), 0);
	return w;
}

START_TEST(scenario)
{
	const struct scenario *sc = &scenarios[_i];
	struct world w = make();

	for (unsigned i = 0; i < ROWS_MAX && sc->rows[i].want; i++) {
		const struct row *row = &sc->rows[i];

		w.now = FINF_MAX(w.now, row->s * S);
		w.log[0] = 0;
		if (row->event.kind == RUNS_EVENT)
			whole_runs(&w, row->event.model, row->event.b);
		else
			step(&w, row->event);
		ck_assert_msg(!strcmp(w.log, row->want), "%s, row %u:\n got \"%s\"\nwant \"%s\"",
			      sc->name, i, w.log, row->want);
	}
	finf_policy_free(w.p);
}
END_TEST

/* Reports that nobody asked for change nothing. */
START_TEST(refused)
{
	static const struct finf_event events[] = {
		{FINF_EV_OPTIMIZE, 0, 0, 2, 0},		 {FINF_EV_PRICED, 0, 1, 10, 0},
		{FINF_EV_GROWN, 0, 0, 0, 0},		 {FINF_EV_OPTIMIZE, UINT32_MAX, 0, 1, 0},
		{FINF_EV_PRICED, UINT32_MAX, 1, 10, 0}, {FINF_EV_GROWN, UINT32_MAX, 0, 0, 0},
		{FINF_EV_SLOWER, UINT32_MAX, 0, 1, 1},
	};
	struct finf_action actions[FINF_POLICY_ACTIONS_MAX];
	struct world w = make();
	struct finf_policy_fast fast;

	step(&w, (struct finf_event){FINF_EV_ADD, 0, 0, 30, 10});
	for (size_t i = 0; i < FINF_ARRAY_LEN(events); i++)
		ck_assert_int_eq(finf_policy_step(w.p, &events[i], w.now, actions), -EINVAL);
	finf_policy_fast(w.p, 0, &fast);
	ck_assert(!fast.allowed && !fast.priced && !fast.bytes);
	ck_assert_uint_eq(finf_policy_fast_bytes(w.p), 0);
	finf_policy_free(w.p);
}
END_TEST

/* What `why` tells at each stage; and the bytes, to the last one. */
START_TEST(told)
{
	struct world w = make();
	struct finf_policy_fast fast;
	uint64_t weights, arena;

	step(&w, (struct finf_event){FINF_EV_ADD, 0, 0, 30, 10});
	step(&w, (struct finf_event){FINF_EV_OPTIMIZE, 0, 0, 1, 0});
	step(&w, (struct finf_event){FINF_EV_LOAD, 0, 1, 0, 0});
	step(&w, (struct finf_event){FINF_EV_LOADED, 0, 0, 0, 0});
	finf_policy_fast(w.p, 0, &fast);
	ck_assert(fast.allowed && !fast.priced && fast.runs_needed == 32);
	whole_runs(&w, 0, 32);
	finf_policy_fast(w.p, 0, &fast);
	ck_assert(fast.state == FINF_FAST_PRICING && fast.runs == 32);
	step(&w, (struct finf_event){FINF_EV_PRICED, 0, 1, 20, 13});
	finf_policy_fast(w.p, 0, &fast);
	ck_assert(fast.state == FINF_FAST_LEAN && fast.priced && fast.fits);
	ck_assert_uint_eq(fast.runs_needed, 81);
	whole_runs(&w, 0, 60);
	finf_policy_fast(w.p, 0, &fast);
	ck_assert_int_eq(fast.state, FINF_FAST_GROWING);
	finf_policy_bytes(w.p, &weights, &arena);
	ck_assert_uint_eq(weights, 50);
	ck_assert_uint_eq(arena, 13);
	ck_assert_uint_eq(finf_policy_fast_bytes(w.p), 20);
	step(&w, (struct finf_event){FINF_EV_GROWN, 0, 0, 0, 0});
	finf_policy_fast(w.p, 0, &fast);
	ck_assert(fast.state == FINF_FAST_READY && fast.made == 1 && !fast.given_back);
	step(&w, (struct finf_event){FINF_EV_UNLOAD, 0, 2, 0, 0});
	step(&w, (struct finf_event){FINF_EV_EVICTED, 0, 0, 0, 0});
	finf_policy_bytes(w.p, &weights, &arena);
	ck_assert_uint_eq(weights + arena + finf_policy_fast_bytes(w.p), 0);
	finf_policy_fast(w.p, 0, &fast);
	ck_assert(fast.state == FINF_FAST_LEAN && fast.priced && fast.given_back == 1);
	finf_policy_free(w.p);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("policy/fast");
	TCase *tc = tcase_create("fast");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, scenario, 0, (int)FINF_ARRAY_LEN(scenarios));
	tcase_add_test(tc, refused);
	tcase_add_test(tc, told);
	suite_add_tcase(suite, tc);
	return suite;
}
