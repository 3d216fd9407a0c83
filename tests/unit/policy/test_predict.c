/* SPDX-License-Identifier: MIT */
/* policy: what each predictor says after a row of requests. */
#include <string.h>

#include "policy/predict.h"
#include "tests/support/support.h"

#define MODELS 8
#define MS 1000000ull
#define ROWS_MAX 48

struct sighting {
	uint32_t model, at_ms;
};

static const struct finf_predict_ops *row(const char *name)
{
	const struct finf_predict_ops *ops;

	for (uint32_t i = 0; (ops = finf_predict_at(i)); i++)
		if (!strcmp(ops->name, name))
			return ops;
	ck_abort_msg("no predictor %s", name);
	return NULL;
}

static uint32_t feed(const struct finf_predict_ops *ops, void *state, const struct sighting *seen,
		     struct finf_prediction *ret)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < ROWS_MAX && (!i || seen[i].at_ms); i++)
		n = ops->saw(state, seen[i].model, seen[i].at_ms * MS, ret);
	return n;
}

/* ---- intervals ------------------------------------------------------------------- */

static const struct {
	const char *name;
	struct sighting seen[ROWS_MAX];
	bool predicts;
	uint32_t due_ms; /* must lie in the window */
	uint32_t width_ms; /* of the window at most */
	uint32_t sure_pct; /* at least */
} intervals[] = {
	{"nothing seen before", {{1, 10}}, false, 0, 0, 0},
	{"two gaps are not a habit", {{1, 10}, {1, 1010}, {1, 2010}}, false, 0, 0, 0},
	{"three are", {{1, 10}, {1, 1010}, {1, 2010}, {1, 3010}}, true, 4010, 300, 100},
	{"others don't disturb", {{1, 10}, {2, 400}, {1, 1010}, {3, 1600}, {1, 2010}, {2, 2600},
		{1, 3010}}, true, 4010, 300, 100},
	{"jitter over a border of buckets", {{1, 10}, {1, 1030}, {1, 2060}, {1, 3050}, {1, 4090},
		{1, 5100}}, true, 6120, 500, 100},
	{"a burst is one visit", {{1, 1000}, {1, 1001}, {1, 2001}, {1, 3000}, {1, 4000},
		{1, 4001}}, true, 5000, 300, 100},
	{"no two gaps alike", {{1, 10}, {1, 20}, {1, 60}, {1, 300}, {1, 1200}, {1, 5000},
		{1, 20000}}, true, 20010, 600000, 0},
	{"one missed", {{1, 1000}, {1, 2000}, {1, 3000}, {1, 4000}, {1, 6000}, {1, 7000}},
		true, 8000, 300, 75},
};

START_TEST(interval)
{
	const struct finf_predict_ops *ops = row("interval");
	struct finf_prediction p[FINF_PREDICTIONS_MAX];
	void *state;
	uint32_t n;

	ck_assert_int_eq(ops->new(MODELS, &state), 0);
	n = feed(ops, state, intervals[_i].seen, p);
	if (!strcmp(intervals[_i].name, "no two gaps alike")) {
		ck_assert(!n || p[0].confidence_pct < FINF_PREDICT_MIN_PCT);
	} else {
		ck_assert_msg(n == intervals[_i].predicts, "%s: %u", intervals[_i].name, n);
	}
	if (n && intervals[_i].sure_pct) {
		uint64_t due = intervals[_i].due_ms * MS;

		ck_assert_uint_eq(p[0].model, 1);
		ck_assert_uint_eq(p[0].other, FINF_MODEL_NONE);
		ck_assert_uint_eq(p[0].reason, FINF_WHY_PREDICTED);
		ck_assert_uint_le(p[0].from_ns, due);
		ck_assert_uint_ge(p[0].until_ns, due);
		ck_assert_uint_le(p[0].until_ns - p[0].from_ns, intervals[_i].width_ms * MS);
		ck_assert_uint_ge(p[0].confidence_pct, intervals[_i].sure_pct);
		ck_assert_uint_le(p[0].confidence_pct, 100);
	}
	ops->forget(state, 1);
	ck_assert_uint_eq(ops->saw(state, 1, 1000000 * MS, p), 0);
	ops->free(state);
}
END_TEST

/* After the short gap has passed in vain, only the long one is left. */
START_TEST(interval_next)
{
	const struct finf_predict_ops *ops = row("interval");
	struct finf_prediction p[FINF_PREDICTIONS_MAX];
	uint64_t at = 0;
	void *state;

	ck_assert_int_eq(ops->new(MODELS, &state), 0);
	for (int visit = 0; visit < 6; visit++, at += 10000 * MS)
		for (int i = 0; i < 4; i++)
			ops->saw(state, 1, at + (uint64_t)i * 100 * MS, p);
	at += 300 * MS - 10000 * MS; /* the last of the last visit */
	ck_assert_uint_eq(ops->next(state, 1, at + 50 * MS, p), 1);
	ck_assert_uint_le(p[0].until_ns, at + 150 * MS);
	ck_assert_uint_eq(ops->next(state, 1, at + 200 * MS, p), 1);
	ck_assert_uint_le(p[0].from_ns, at + 9700 * MS);
	ck_assert_uint_ge(p[0].until_ns, at + 9700 * MS);
	ck_assert_uint_eq(p[0].confidence_pct, 100);
	ck_assert_uint_eq(ops->next(state, 1, at + 20000 * MS, p), 0);
	ops->free(state);
}
END_TEST

/* Another period replaces the old one: counts are halved. */
START_TEST(interval_decays)
{
	const struct finf_predict_ops *ops = row("interval");
	struct finf_prediction p[FINF_PREDICTIONS_MAX];
	uint64_t at = 0;
	void *state;

	ck_assert_int_eq(ops->new(MODELS, &state), 0);
	for (int i = 0; i < 1000; i++)
		ops->saw(state, 1, at += 1000 * MS, p);
	for (int i = 0; i < 150; i++)
		ops->saw(state, 1, at += 300 * MS, p);
	ck_assert_uint_le(p[0].until_ns, at + 400 * MS);
	ck_assert_uint_ge(p[0].confidence_pct, 80);
	ops->free(state);
}
END_TEST

/* ---- chains ------------------------------------------------------------------------ */

#define PAIR(at) {1, at}, {2, (at) + 100}
static const struct {
	const char *name;
	struct sighting seen[ROWS_MAX];
	uint32_t follower; /* sure enough after the last sighting; 0 = none */
} chains[] = {
	{"once is chance", {PAIR(1000), {1, 50000}}, 0},
	{"twice is a habit", {PAIR(1000), {5, 20000}, PAIR(50000), {1, 90000}}, 2},
	{"after the window nothing follows", {{1, 10}, {2, 40000}, {1, 80000}, {2, 120000},
		{1, 160000}, {2, 200000}, {1, 240000}}, 0},
	{"strangers in between", {{1, 10}, {5, 20}, {2, 110}, {1, 50000}, {2, 50100}, {1, 90000},
		{6, 90050}, {2, 90100}, {1, 130000}}, 2},
	{"repeated requests are one visit", {{1, 1000}, {1, 1100}, {1, 1200}, {2, 1300},
		{1, 50000}, {1, 50100}, {2, 50200}, {1, 90000}}, 2},
	{"it came already in this visit", {PAIR(1000), PAIR(50000), PAIR(90000), {1, 130000},
		{2, 130100}, {1, 130200}}, 2},
	{"mostly something else", {PAIR(1000), {1, 40000}, {3, 40100}, {1, 80000}, {4, 80100},
		PAIR(120000), {1, 160000}, {5, 160100}, {1, 200000}, {6, 200100}, {1, 240000}}, 0},
};

START_TEST(chain)
{
	const struct finf_predict_ops *ops = row("chain");
	struct finf_prediction p[FINF_PREDICTIONS_MAX];
	uint32_t n, sure = 0;
	void *state;

	ck_assert_int_eq(ops->new(MODELS, &state), 0);
	n = feed(ops, state, chains[_i].seen, p);
	ck_assert_uint_le(n, FINF_PREDICTIONS_MAX);
	for (uint32_t i = 0; i < n; i++) {
		ck_assert_uint_eq(p[i].other, 1);
		ck_assert_uint_eq(p[i].reason, FINF_WHY_CHAIN);
		ck_assert_uint_lt(p[i].from_ns, p[i].until_ns);
		if (p[i].confidence_pct >= FINF_PREDICT_MIN_PCT)
			sure = p[i].model;
	}
	ck_assert_msg(sure == chains[_i].follower, "%s: %u", chains[_i].name, sure);
	ops->forget(state, 1);
	ck_assert_uint_eq(ops->saw(state, 1, 1000000 * MS, p), 0);
	ops->free(state);
}
END_TEST

/* More followers than places: the frequent one stays. */
START_TEST(chain_is_bounded)
{
	const struct finf_predict_ops *ops = row("chain");
	struct finf_prediction p[FINF_PREDICTIONS_MAX];
	uint64_t at = 0;
	uint32_t n, sure = 0;
	void *state;

	ck_assert_int_eq(ops->new(32, &state), 0);
	for (uint32_t i = 0; i < 200; i++) {
		ops->saw(state, 1, at += 60000 * MS, p);
		ops->saw(state, i % 5 ? 2 : 3 + i % 29, at += 100 * MS, p);
	}
	n = ops->saw(state, 1, at += 60000 * MS, p);
	for (uint32_t i = 0; i < n; i++)
		sure += p[i].confidence_pct >= FINF_PREDICT_MIN_PCT && p[i].model == 2;
	ck_assert_uint_eq(sure, 1);
	ops->free(state);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("policy/predict");
	TCase *tc = tcase_create("predict");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, interval, 0, FINF_ARRAY_LEN(intervals));
	tcase_add_test(tc, interval_next);
	tcase_add_test(tc, interval_decays);
	tcase_add_loop_test(tc, chain, 0, FINF_ARRAY_LEN(chains));
	tcase_add_test(tc, chain_is_bounded);
	suite_add_tcase(suite, tc);
	return suite;
}
