/* SPDX-License-Identifier: MIT */
/* engine: which of two ways of running is taken, when they take so long. No clock is asked. */
#include "base/base.h"
#include "engine/watch.h"
#include "tests/support/support.h"

static struct finf_watch watch;

/* @n runs of which the first way takes @first_ns and the second @second_ns; how many went the
 * second way. */
static uint32_t runs(uint32_t n, uint64_t first_ns, uint64_t second_ns)
{
	uint32_t second = 0;

	for (uint32_t i = 0; i < n; i++) {
		bool way = finf_watch_next(&watch);

		second += way;
		finf_watch_note(&watch, way ? second_ns : first_ns);
	}
	return second;
}

static const struct {
	const char *what;
	bool begin;
	uint64_t first_ns, second_ns;
	bool end;
} rows[] = {
	{"the first is faster", false, 1000, 1500, false},
	{"the second is faster", false, 1000, 700, true},
	{"the second was wrong", true, 1000, 1500, false},
	{"the second was right", true, 1000, 700, true},
	{"no difference", false, 1000, 1000, false},
	{"no difference", true, 1000, 1000, true},
	{"too little of one", false, 1000, 980, false},
	{"no time at all", false, 0, 0, false},
};

START_TEST(the_faster_way_is_found)
{
	finf_watch_init(&watch, rows[_i].begin, FINF_WATCH_RUNS, FINF_WATCH_GAIN_PCT);
	runs(500, rows[_i].first_ns, rows[_i].second_ns);
	ck_assert_msg(watch.other == rows[_i].end, "%s", rows[_i].what);
	ck_assert_uint_eq(atomic_load(&watch.changes), rows[_i].begin != rows[_i].end);
	ck_assert_uint_ge(atomic_load(&watch.trials), 1);
	ck_assert_uint_eq(atomic_load(&watch.ns[0]), rows[_i].first_ns);
	ck_assert_uint_eq(atomic_load(&watch.ns[1]), rows[_i].second_ns);
}
END_TEST

/* Two runs of a trial, and ever fewer trials. */
START_TEST(trials_are_rare)
{
	finf_watch_init(&watch, false, FINF_WATCH_RUNS, FINF_WATCH_GAIN_PCT);
	ck_assert_uint_eq(runs(FINF_WATCH_RUNS, 1000, 1500), 0);
	ck_assert_uint_eq(runs(2, 1000, 1500), 2);
	ck_assert_uint_eq(runs(2 * FINF_WATCH_RUNS, 1000, 1500), 0);
	ck_assert_uint_eq(runs(2, 1000, 1500), 2);
	ck_assert_uint_lt(runs(100000, 1000, 1500), 100);
	/* The machine is another now: noticed at the next trial, and then soon. */
	ck_assert_uint_gt(runs(FINF_WATCH_RUNS_MAX + 200, 1000, 700), 100);
	ck_assert(watch.other);
}
END_TEST

/* What was never measured is tried soon, and taken soon; what loses is as rare as ever. */
START_TEST(a_guess_is_tried_soon)
{
	finf_watch_init(&watch, false, FINF_WATCH_RUNS_NEW, FINF_WATCH_GAIN_PCT);
	runs(40, 1000, 700);
	ck_assert(watch.other);
	finf_watch_init(&watch, false, FINF_WATCH_RUNS_NEW, FINF_WATCH_GAIN_PCT);
	ck_assert_uint_eq(runs(FINF_WATCH_RUNS_NEW, 1000, 1500), 0);
	ck_assert_uint_eq(runs(2, 1000, 1500), 2);
	ck_assert_uint_eq(runs(FINF_WATCH_RUNS, 1000, 1500), 0);
}
END_TEST

/* The first way costs something, and has to be worth it. */
static const struct {
	uint64_t first_ns, second_ns;
	bool given_up;
} costs[] = {{1000, 700, true},	 {1000, 1000, true},  {1000, 1020, true},
	     {1000, 1040, false}, {1000, 2000, false}};

START_TEST(what_costs_must_gain)
{
	finf_watch_init(&watch, false, FINF_WATCH_RUNS, -FINF_WATCH_GAIN_PCT);
	runs(70, 100 * costs[_i].first_ns, 100 * costs[_i].second_ns);
	ck_assert(watch.other == costs[_i].given_up);
}
END_TEST

/* What disturbs one trial, or every other one, changes nothing. */
START_TEST(disturbance_is_no_reason)
{
	finf_watch_init(&watch, false, FINF_WATCH_RUNS, FINF_WATCH_GAIN_PCT);
	for (uint32_t i = 0; i < 5000; i++) {
		bool disturbed = atomic_load(&watch.trials) % 2;

		runs(1, disturbed ? 3000 : 1000, 1500);
	}
	ck_assert_uint_eq(atomic_load(&watch.changes), 0);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("engine/watch");
	TCase *tc = tcase_create("watch");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, the_faster_way_is_found, 0, FINF_ARRAY_LEN(rows));
	tcase_add_test(tc, trials_are_rare);
	tcase_add_test(tc, a_guess_is_tried_soon);
	tcase_add_loop_test(tc, what_costs_must_gain, 0, FINF_ARRAY_LEN(costs));
	tcase_add_test(tc, disturbance_is_no_reason);
	suite_add_tcase(suite, tc);
	return suite;
}
