/* SPDX-License-Identifier: MIT */
/* exec: when runs are captured, and what becomes of faults that show late. */
#include "tests/unit/exec/adds.h"

static char said[512];
static int lines;

static void hear(void *ctx, const char *line)
{
	(void)ctx;
	lines++;
	snprintf(said, sizeof(said), "%s", line);
}

static void heard_setup(void)
{
	late_setup();
	lines = 0;
	finf_set_log(hear, NULL);
}

static void heard_teardown(void)
{
	finf_set_log(NULL, NULL);
	teardown();
}

static int run_now(struct finf_session *session, struct finf_diag *diag)
{
	struct finf_run run = a_run();

	memset(y, 0, sizeof(y));
	diag->text[0] = 0;
	return finf_session_run(session, &run, diag);
}

START_TEST(resident_runs_are_captured_once)
{
	struct finf_session *session = new_session();
	struct finf_diag diag;

	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(run_now(session, &diag), 0);
		ck_assert_mem_eq(y, want, sizeof(y));
	}
	ck_assert_int_eq(fake.begins, 1);
	ck_assert_int_eq(fake.launches, 3);
	ck_assert_int_ge(fake.syncs, 3);
	finf_session_free(session);
}
END_TEST

START_TEST(run_with_copies_between_steps_is_not_captured)
{
	struct finf_session *session;
	struct finf_run run = two_run();

	make_two();
	session = new_session();
	ck_assert_int_eq(finf_session_run(session, &run, NULL), 0);
	ck_assert_mem_eq(y, want, sizeof(y));
	ck_assert(early_is_right());
	ck_assert_int_eq(fake.begins, 0);
	finf_session_free(session);
}
END_TEST

START_TEST(moved_weights_or_arena_are_captured_again)
{
	static float moved[N_ADDS][COUNT];
	static char other[sizeof(activations)] __attribute__((aligned(64)));
	struct finf_session *session = new_session();
	struct finf_diag diag;
	struct finf_run run;

	ck_assert_int_eq(run_now(session, &diag), 0);
	memcpy(moved, extent, sizeof(extent));
	memset(extent, 0xff, sizeof(extent));
	for (int i = 0; i < 4; i++) { /* weights move, and stay; the arena moves, and stays */
		run = a_run();
		run.weights = moved;
		run.arena = i < 2 ? activations : other;
		memset(y, 0, sizeof(y));
		ck_assert_int_eq(finf_session_run(session, &run, &diag), 0);
		ck_assert_mem_eq(y, want, sizeof(y));
	}
	ck_assert_int_eq(fake.begins, 3);
	ck_assert_int_eq(fake.live_captured, 1); /* brought up to date, not made again */
	finf_session_free(session);
}
END_TEST

START_TEST(reset_device_is_captured_again)
{
	struct finf_session *session = new_session();
	struct finf_diag diag;

	ck_assert_int_eq(run_now(session, &diag), 0);
	ck_assert_int_eq(finf_device_reset(&fake_device, NULL, &diag), 0);
	ck_assert_int_eq(run_now(session, &diag), 0);
	ck_assert_mem_eq(y, want, sizeof(y));
	ck_assert_int_eq(fake.begins, 2);
	ck_assert_int_eq(fake.live_captured, 1);
	finf_session_free(session);
}
END_TEST

/* Where a capture fails: at its begin, at a launch, at its end; and at a later one. */
static const struct {
	int begin_err, run_left, end_err;
	bool later;
} uncapturable[] = {
	{.begin_err = -EOPNOTSUPP, .run_left = INT32_MAX},
	{.run_left = 1},
	{.run_left = INT32_MAX, .end_err = -ENOMEM},
	{.run_left = INT32_MAX, .end_err = -ENOMEM, .later = true},
};

START_TEST(what_cannot_be_captured_is_launched_step_by_step)
{
	struct finf_session *session = new_session();
	struct finf_diag diag;

	if (uncapturable[_i].later) {
		ck_assert_int_eq(run_now(session, &diag), 0);
		fake.resets++;
	}
	fake.begin_err = uncapturable[_i].begin_err;
	fake.end_err = uncapturable[_i].end_err;
	fake.run_left = uncapturable[_i].run_left;
	if (fake.run_left == 1) {
		/* the launch that failed in the capture fails again, and is named */
		ck_assert_int_eq(run_now(session, &diag), -EREMOTEIO);
		ck_assert_ptr_nonnull(strstr(diag.text, "failed on the device"));
		ck_assert_int_eq(fake.given_up, 1);
		fake.run_left = INT32_MAX;
	}
	fake.begins = 0;
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(run_now(session, &diag), 0);
		ck_assert_mem_eq(y, want, sizeof(y));
	}
	ck_assert_int_le(fake.begins, 1); /* tried once, not at every run */
	ck_assert_int_eq(lines, 1);
	ck_assert_msg(strstr(said, "step by step"), "%s", said);
	ck_assert_int_eq(fake.live_captured, 0);
	finf_session_free(session);
}
END_TEST

START_TEST(faulted_device_is_no_reason_to_stop_capturing)
{
	struct finf_session *session = new_session();
	struct finf_diag diag;

	fake.begin_err = -EREMOTEIO;
	fake.faulted = true;
	ck_assert_int_eq(run_now(session, &diag), -EREMOTEIO);
	ck_assert_msg(strstr(diag.text, "no capture today"), "%s", diag.text);
	fake.begin_err = 0;
	fake.faulted = false;
	ck_assert_int_eq(run_now(session, &diag), 0);
	ck_assert_mem_eq(y, want, sizeof(y));
	ck_assert_int_eq(fake.launches, 1);
	finf_session_free(session);
}
END_TEST

/* A profile: nothing else than that there is one. */
static void look_on(void *ctx, uint32_t step, uint64_t start_ns, uint64_t end_ns)
{
	(void)ctx, (void)step;
	ck_assert_uint_le(start_ns, end_ns);
}

START_TEST(late_faults_fail_the_run_they_belong_to)
{
	struct finf_session *session = new_session();
	struct finf_run run = a_run();
	struct finf_diag diag = {""};

	fake.late_fault = true;
	ck_assert_int_eq(run_now(session, &diag), -EREMOTEIO);
	ck_assert_msg(strstr(diag.text, "a kernel of this run"), "%s", diag.text);
	ck_assert_uint_eq(wanted.shape.rank, 0);
	ck_assert_int_eq(run_now(session, &diag), 0);

	/* with a profile each step is waited for: the node is known */
	fake.late_fault = true;
	run.on_step = look_on;
	ck_assert_int_eq(finf_session_run(session, &run, &diag), -EREMOTEIO);
	ck_assert_msg(strstr(diag.text, "'v1' failed"), "%s", diag.text);

	fake.launch_err = -EREMOTEIO;
	ck_assert_int_eq(run_now(session, &diag), -EREMOTEIO);
	ck_assert_msg(strstr(diag.text, "could not be launched"), "%s", diag.text);
	fake.launch_err = 0;
	ck_assert_int_eq(run_now(session, &diag), 0);
	ck_assert_mem_eq(y, want, sizeof(y));
	finf_session_free(session);
}
END_TEST

START_TEST(run_ends_finished_also_without_outputs)
{
	struct finf_session *session = new_session();
	struct finf_run run = a_run();
	struct finf_diag diag = {""};
	int before;

	wanted.data = NULL;
	ck_assert_int_eq(finf_session_run(session, &run, &diag), 0);
	ck_assert_int_ge(fake.syncs, 1);
	before = fake.syncs;
	run.deadline_ns = 1;
	ck_assert_int_eq(finf_session_run(session, &run, &diag), -ETIME);
	ck_assert_int_gt(fake.syncs, before);
	ck_assert_int_eq(fake.launches, 1);
	finf_session_free(session);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("exec/captured");
	TCase *tc = tcase_create("captured");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, heard_setup, heard_teardown);
	tcase_add_test(tc, resident_runs_are_captured_once);
	tcase_add_test(tc, run_with_copies_between_steps_is_not_captured);
	tcase_add_test(tc, moved_weights_or_arena_are_captured_again);
	tcase_add_test(tc, reset_device_is_captured_again);
	tcase_add_loop_test(tc, what_cannot_be_captured_is_launched_step_by_step, 0,
			    FINF_ARRAY_LEN(uncapturable));
	tcase_add_test(tc, faulted_device_is_no_reason_to_stop_capturing);
	tcase_add_test(tc, late_faults_fail_the_run_they_belong_to);
	tcase_add_test(tc, run_ends_finished_also_without_outputs);
	suite_add_tcase(suite, tc);
	return suite;
}
