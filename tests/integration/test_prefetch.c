/* SPDX-License-Identifier: MIT */
/*
 * A real fid learns that B follows A: B's cold starts disappear. No timing is
 * asserted: what is expected is waited for, bounded, by asking fid. And what
 * fictl replay says about the record of it, and about made-up ones.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/fid.h"
#include "tests/support/support.h"

#define LEARN  3 /* rounds in which B may be cold */
#define ROUNDS 10
#define POLLS  12000 /* of 5 ms: a minute */

static void wait_resident(const struct test_fid *fid, const char *model)
{
	for (int i = 0; i < POLLS; i++) {
		const char *json = fictl_ok(fid, "--json", "why", model, NULL);

		if (strstr(json, "\"residency\":\"resident\"") ||
		    strstr(json, "\"residency\": \"resident\""))
			return;
		usleep(5000);
	}
	ck_abort_msg("%s was not loaded ahead: %s\n%s", model, fictl_ok(fid, "why", model, NULL),
		     fictl_ok(fid, "status", NULL));
}

/* A, then B; the operator unloads B, so that only a prefetch makes it warm again. */
static int64_t chained(const struct test_fid *fid, bool wait)
{
	int64_t cold_of_b = 0;

	for (int round = 0; round < ROUNDS; round++) {
		int64_t cold;

		fictl_ok(fid, "infer", "a", NULL);
		if (wait && round >= LEARN)
			wait_resident(fid, "b");
		cold = status_at(fid, "requests.cold");
		fictl_ok(fid, "infer", "b", NULL);
		if (round >= LEARN)
			cold_of_b += status_at(fid, "requests.cold") - cold;
		fictl_ok(fid, "unload", "b", NULL);
	}
	return cold_of_b;
}

START_TEST(cold_starts_of_b_disappear)
{
	const char *extra[] = {"--record", NULL, "--prefetch", "25%", NULL};
	struct test_fid fid;
	char path[600];

	snprintf(path, sizeof(path), "%s", scratch_path("record"));
	extra[1] = path;
	fid_start(&fid, "chain", "16M", extra);
	fictl_ok(&fid, "import", golden_path("digits/digits.onnx"), "--name", "a", NULL);
	fictl_ok(&fid, "import", golden_path("digits/digits.onnx"), "--name", "b", NULL);
	ck_assert_int_eq(chained(&fid, true), 0);
	ck_assert_int_gt(status_at(&fid, "prefetch.hits"), 0);
	ck_assert_int_eq(status_at(&fid, "prefetch.budget"), 4 << 20);
	ck_assert_int_eq(status_at(&fid, "prefetch.stopped"), 0);
	ck_assert_ptr_nonnull(strstr(fictl_ok(&fid, "why", "b", NULL), "loaded ahead: "));
	ck_assert_ptr_nonnull(
		strstr(fictl_ok(&fid, "events", NULL), "follows another model (for a:1)"));
	fid_stop(&fid);
	ck_assert_ptr_nonnull(strstr(fictl_ok(NULL, "replay", path, NULL), "led to the same"));
	ck_assert_int_ge(
		json_at(fictl_ok(NULL, "--json", "replay", path, "--prefetch", "50%", NULL),
			"policy.requests"),
		2 * ROUNDS);
	ck_assert_int_eq(
		json_at(fictl_ok(NULL, "--json", "replay", path, "--prefetch", "off", NULL),
			"policy.prefetch.loads"),
		0);
}
END_TEST

START_TEST(off)
{
	const char *extra[] = {"--prefetch", "off", NULL};
	struct test_fid fid;

	fid_start(&fid, "off", "16M", extra);
	fictl_ok(&fid, "import", golden_path("digits/digits.onnx"), "--name", "a", NULL);
	fictl_ok(&fid, "import", golden_path("digits/digits.onnx"), "--name", "b", NULL);
	ck_assert_int_eq(chained(&fid, false), ROUNDS - LEARN);
	ck_assert_int_eq(status_at(&fid, "prefetch.loads"), 0);
	ck_assert_int_eq(status_at(&fid, "prefetch.budget"), 0);
	fid_stop(&fid);
}
END_TEST

/* The same seed, the same file; what prefetch is worth on it; and nonsense. */
START_TEST(replay_of_made_up_traces)
{
	char path[600], again[600];
	const char *json;
	struct test_output same;

	snprintf(path, sizeof(path), "%s", scratch_path("trace"));
	snprintf(again, sizeof(again), "%s", scratch_path("again"));
	ck_assert_ptr_nonnull(strstr(fictl_ok(NULL, "trace", "make", NULL), "periodic"));
	fictl_ok(NULL, "trace", "make", "periodic", "-o", path, "--seed", "7", NULL);
	fictl_ok(NULL, "trace", "make", "periodic", "-o", again, "--seed", "7", NULL);
	run_program(&same, (const char *const[]){"/usr/bin/cmp", path, again, NULL});
	ck_assert_int_eq(same.status, 0);
	test_output_free(&same);
	ck_assert_ptr_nonnull(strstr(fictl_ok(NULL, "replay", path, NULL), "led to the same"));
	json = fictl_ok(NULL, "--json", "replay", path, "--prefetch", "50%", "--evict", "lru",
			NULL);
	ck_assert_int_gt(json_at(json, "lru.cold"), 100);
	ck_assert_int_lt(json_at(json, "policy.cold") * 2, json_at(json, "lru.cold"));
	ck_assert_int_eq(json_at(json, "lru.requests"), json_at(json, "policy.requests"));
	ck_assert_ptr_nonnull(
		strstr(fictl_ok(NULL, "replay", path, "--pool", "200%", NULL), "cold starts: "));
	fictl_fails(NULL, 2, "which record", "replay", NULL);
	fictl_fails(NULL, 2, "--pool", "replay", path, "--pool", "much", NULL);
	fictl_fails(NULL, 2, "--prefetch", "replay", path, "--prefetch", "some", NULL);
	fictl_fails(NULL, 1, "no eviction row", "replay", path, "--evict", "best", NULL);
	fictl_fails(NULL, 1, "not a record", "replay", golden_path("digits/digits.onnx"), NULL);
	fictl_fails(NULL, 1, "not a record", "replay", golden_path("digits/digits.onnx"),
		    "--prefetch", "off", NULL);
	fictl_fails(NULL, 1, "No such file", "replay", "/nowhere/at/all", NULL);
	fictl_fails(NULL, 2, "no pattern", "trace", "make", "daily", "-o", path, NULL);
	fictl_fails(NULL, 2, "where to", "trace", "make", "chain", NULL);
	fictl_fails(NULL, 2, "make is all", "trace", "break", NULL);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("prefetch");
	TCase *tc = tcase_create("prefetch");

	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, cold_starts_of_b_disappear);
	tcase_add_test(tc, off);
	tcase_add_test(tc, replay_of_made_up_traces);
	suite_add_tcase(suite, tc);
	return suite;
}
