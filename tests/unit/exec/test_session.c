/* SPDX-License-Identifier: MIT */
/* exec: results, copies between steps, refusals, undo, faults and deadlines. */
#include <malloc.h>

#include "tests/unit/exec/adds.h"

/* ---- results --------------------------------------------------------------- */

START_TEST(runs_and_fills_the_output)
{
	struct finf_session *session = new_session();
	struct finf_run run = a_run();
	struct finf_diag diag = {""};

	ck_assert_int_eq(finf_session_run(session, &run, &diag), 0);
	ck_assert_mem_eq(y, want, sizeof(y));
	ck_assert_int_eq(wanted.dtype, FINF_F32);
	ck_assert_uint_eq(wanted.bytes, BYTES);
	ck_assert_uint_eq(wanted.shape.rank, 2);
	ck_assert_int_eq(wanted.shape.dim[1], COUNT);
	ck_assert_ptr_eq(fake.workspace, activations + 2 * BYTES);
	finf_session_free(session);
}
END_TEST

START_TEST(weights_and_arena_may_move_between_runs)
{
	static float moved[N_ADDS][COUNT];
	static char other[sizeof(activations)] __attribute__((aligned(64)));
	struct finf_session *session = new_session();
	struct finf_run run = a_run();

	ck_assert_int_eq(finf_session_run(session, &run, NULL), 0);
	memcpy(moved, extent, sizeof(extent));
	memset(extent, 0xff, sizeof(extent));
	memset(activations, 0xff, sizeof(activations));
	memset(y, 0, sizeof(y));
	run = a_run();
	run.weights = moved;
	run.arena = other;
	ck_assert_int_eq(finf_session_run(session, &run, NULL), 0);
	ck_assert_mem_eq(y, want, sizeof(y));
	finf_session_free(session);
}
END_TEST

START_TEST(output_that_is_not_wanted_is_left_out)
{
	struct finf_session *session = new_session();
	struct finf_run run = a_run();

	wanted.data = NULL;
	ck_assert_int_eq(finf_session_run(session, &run, NULL), 0);
	ck_assert_uint_eq(wanted.shape.rank, 0);
	finf_session_free(session);
}
END_TEST

START_TEST(warm_runs_take_no_heap)
{
	struct finf_session *session = new_session();
	struct finf_run run = a_run();
	size_t before;

	ck_assert_int_eq(finf_session_run(session, &run, NULL), 0);
	before = mallinfo2().uordblks;
	for (int i = 0; i < 1000; i++) {
		run = a_run();
		ck_assert_int_eq(finf_session_run(session, &run, NULL), 0);
	}
	ck_assert_uint_eq(mallinfo2().uordblks, before);
	finf_session_free(session);
}
END_TEST

/* ---- copies between steps ------------------------------------------------------ */

/* Called before what goes behind the step. */
static void look(void *ctx, uint32_t step, uint64_t start_ns, uint64_t end_ns)
{
	bool here = !memcmp(activations + buffers[N_STEPS + 1].offset, late_x, BYTES);

	(void)start_ns;
	(void)end_ns;
	ck_assert_uint_eq(early_is_right(), step > TAKEN);
	ck_assert_uint_eq(here, step >= COMES);
	++*(uint32_t *)ctx;
}

START_TEST(copies_between_steps)
{
	struct finf_session *session;
	struct finf_run run = two_run();
	uint32_t seen = 0;

	make_two();
	session = new_session();
	run.on_step = look;
	run.on_step_ctx = &seen;
	ck_assert_int_eq(finf_session_run(session, &run, NULL), 0);
	ck_assert_uint_eq(seen, N_STEPS);
	ck_assert_mem_eq(y, want, sizeof(y));
	ck_assert_uint_eq(two_wanted[1].bytes, BYTES);
	ck_assert_uint_eq(two_wanted[1].shape.rank, 2);
	finf_session_free(session);
}
END_TEST

/* Its bytes are there already; that it is an output is not said. */
START_TEST(run_that_fails_behind_an_output_tells_of_none)
{
	struct finf_session *session;
	struct finf_run run = two_run();

	make_two();
	session = new_session();
	fake.run_left = 3;
	ck_assert_int_eq(finf_session_run(session, &run, NULL), -EREMOTEIO);
	ck_assert(early_is_right());
	ck_assert_uint_eq(two_wanted[1].shape.rank, 0);
	ck_assert_int_eq(two_wanted[1].dtype, 0);
	fake.run_left = INT32_MAX;
	ck_assert_int_eq(finf_session_run(session, &run, NULL), 0);
	ck_assert_mem_eq(y, want, sizeof(y));
	finf_session_free(session);
}
END_TEST

/* Only where it would harm: an output over an input that comes later. */
static const struct {
	void *late, *last, *early; /* the input, and where the outputs go */
	int err;
} overlaps[] = {
	{early_y, y, early_y, -EINVAL},
	{early_y + COUNT / 2, y, early_y, -EINVAL},
	{late_x, late_x, early_y, 0},
	{late_x, y, x, 0},
	{late_x, y, NULL, 0},
};

START_TEST(output_over_a_later_input_is_refused)
{
	struct finf_session *session;
	struct finf_run run = two_run();
	struct finf_diag diag = {""};

	make_two();
	session = new_session();
	two_given[1].data = overlaps[_i].late;
	two_wanted[0].data = overlaps[_i].last;
	two_wanted[1].data = overlaps[_i].early;
	ck_assert_int_eq(finf_session_run(session, &run, &diag), overlaps[_i].err);
	if (overlaps[_i].err)
		ck_assert_str_eq(diag.text, "output 'v2' would be written over input 'late0'");
	else
		ck_assert_mem_eq(overlaps[_i].last, want, sizeof(want));
	ck_assert_uint_eq(fake.run_left == INT32_MAX, !!overlaps[_i].err);
	finf_session_free(session);
}
END_TEST

/* ---- refusals --------------------------------------------------------------- */

static const struct {
	const char *what;
	struct finf_tensor given;
	uint32_t n_inputs;
	size_t room;
	uint32_t n_outputs;
	int err;
	const char *says;
} refused[] = {
	{"dtype",
	 {"v0", FINF_I64, {2, {1, COUNT}}, x, BYTES},
	 1,
	 BYTES,
	 1,
	 -EINVAL,
	 "input 'v0': given int64 1x1024, expected float32 1x1024"},
	{"rank",
	 {"v0", FINF_F32, {1, {COUNT}}, x, BYTES},
	 1,
	 BYTES,
	 1,
	 -EINVAL,
	 "given float32 1024, expected float32 1x1024"},
	{"dimension",
	 {"v0", FINF_F32, {2, {2, COUNT}}, x, 2 * BYTES},
	 1,
	 BYTES,
	 1,
	 -EINVAL,
	 "given float32 2x1024"},
	{"bytes",
	 {"v0", FINF_F32, {2, {1, COUNT}}, x, BYTES - 1},
	 1,
	 BYTES,
	 1,
	 -EINVAL,
	 "input 'v0': 4095 bytes given, 4096 expected"},
	{"no data",
	 {"v0", FINF_F32, {2, {1, COUNT}}, NULL, BYTES},
	 1,
	 BYTES,
	 1,
	 -EINVAL,
	 "input 'v0': 0 bytes given"},
	{"too few inputs",
	 {"v0", FINF_F32, {2, {1, COUNT}}, x, BYTES},
	 0,
	 BYTES,
	 1,
	 -EINVAL,
	 "0 inputs given, 1 expected"},
	{"too many outputs",
	 {"v0", FINF_F32, {2, {1, COUNT}}, x, BYTES},
	 1,
	 BYTES,
	 2,
	 -EINVAL,
	 "2 outputs given, 1 expected"},
	{"small output",
	 {"v0", FINF_F32, {2, {1, COUNT}}, x, BYTES},
	 1,
	 BYTES - 4,
	 1,
	 -ENOSPC,
	 "output 'v6': room for 4092 bytes, 4096 needed"},
};

START_TEST(wrong_tensors_are_named)
{
	struct finf_session *session = new_session();
	struct finf_run run = a_run();
	struct finf_diag diag = {""};

	given = refused[_i].given;
	run.n_inputs = refused[_i].n_inputs;
	run.n_outputs = refused[_i].n_outputs;
	wanted.bytes = refused[_i].room;
	ck_assert_msg(finf_session_run(session, &run, &diag) == refused[_i].err, "%s",
		      refused[_i].what);
	ck_assert_msg(strstr(diag.text, refused[_i].says), "%s: %s", refused[_i].what, diag.text);
	ck_assert_int_eq(fake.run_left, INT32_MAX);
	finf_session_free(session);
}
END_TEST

START_TEST(kernel_that_cannot_be_made_undoes_the_session)
{
	struct finf_session *session = NULL;
	struct finf_diag diag = {""};

	fake.new_left = _i;
	ck_assert_int_eq(finf_session_new(&fake_device, graph, &plan, &session, &diag),
			 -EOPNOTSUPP);
	ck_assert_ptr_null(session);
	ck_assert_int_eq(fake.live_kernels, 0);
	if (_i > 0)
		ck_assert_msg(strstr(diag.text, "node 'node"), "%s", diag.text);
}
END_TEST

/* What a damaged or hostile plan could say although it passed the plan's own proof. */
static const struct {
	uint32_t buffer;
	uint16_t layout;
	uint64_t bytes;
	uint32_t alias_of;
	const char *says;
} hostile[] = {
	{1, 7, BYTES - 4, FINF_NONE, "value 'v1' cannot lie in layout 7 in 4092 bytes"},
	{1, 8, BYTES, FINF_NONE, "value 'v1' cannot lie in layout 8"},
	{3, 0, BYTES, FINF_NONE, "node 'node1': output is not where the input is"},
};

START_TEST(plan_that_lies_about_the_device)
{
	struct finf_session *session = NULL;
	struct finf_diag diag = {""};
	struct finf_plan_buffer *buffer = &buffers[hostile[_i].buffer];

	buffer->layout = hostile[_i].layout;
	buffer->bytes = hostile[_i].bytes;
	buffer->alias_of = hostile[_i].alias_of;
	ck_assert_int_eq(finf_session_new(&fake_device, graph, &plan, &session, &diag), -EBADMSG);
	ck_assert_msg(strstr(diag.text, hostile[_i].says), "%s", diag.text);
	ck_assert_ptr_null(session);
}
END_TEST

/* A join of one: what the alias did. */
START_TEST(join_has_no_kernel)
{
	struct finf_session *session;
	struct finf_run run;
	struct finf_diag diag = {""};

	steps[2].form.flags = FINF_FORM_JOIN;
	session = new_session();
	run = a_run();
	ck_assert_int_eq(finf_session_run(session, &run, &diag), 0);
	ck_assert_mem_eq(y, want, sizeof(y));
	finf_session_free(session);
}
END_TEST

static const struct {
	uint32_t alias_of;
	uint64_t bytes;
} not_joined[] = {{FINF_NONE, BYTES}, {2, 2 * BYTES}, {2, BYTES / 2}};

START_TEST(join_of_what_lies_elsewhere)
{
	struct finf_session *session = NULL;
	struct finf_diag diag = {""};

	steps[2].form.flags = FINF_FORM_JOIN;
	buffers[3].alias_of = not_joined[_i].alias_of;
	buffers[3].bytes = not_joined[_i].bytes;
	ck_assert_int_eq(finf_session_new(&fake_device, graph, &plan, &session, &diag), -EBADMSG);
	ck_assert_msg(strstr(diag.text, "'node1': inputs are not where the output is"), "%s",
		      diag.text);
	ck_assert_ptr_null(session);
}
END_TEST

START_TEST(device_fault_names_the_node)
{
	struct finf_session *session = new_session();
	struct finf_run run = a_run();
	struct finf_diag diag = {""};

	fake.run_left = 2;
	ck_assert_int_eq(finf_session_run(session, &run, &diag), -EREMOTEIO);
	ck_assert_msg(strstr(diag.text, "'node2'"), "%s", diag.text);
	ck_assert_uint_eq(wanted.shape.rank, 0);
	/* one request failed, not the session */
	fake.run_left = INT32_MAX;
	ck_assert_int_eq(finf_session_run(session, &run, &diag), 0);
	ck_assert_mem_eq(y, want, sizeof(y));
	finf_session_free(session);
}
END_TEST

static uint32_t steps_seen;

static void until_deadline(void *ctx, uint32_t step, uint64_t start_ns, uint64_t end_ns)
{
	const uint64_t *deadline_ns = ctx;

	ck_assert_uint_le(start_ns, end_ns);
	ck_assert_uint_eq(step, steps_seen);
	steps_seen++;
	while (finf_now_ns() < *deadline_ns)
		;
}

START_TEST(deadline_is_checked_between_steps)
{
	struct finf_session *session = new_session();
	struct finf_run run = a_run();
	struct finf_diag diag = {""};

	steps_seen = 0;
	run.deadline_ns = finf_now_ns() + 100000000;
	run.on_step = until_deadline;
	run.on_step_ctx = &run.deadline_ns;
	ck_assert_int_eq(finf_session_run(session, &run, &diag), -ETIME);
	ck_assert_msg(strstr(diag.text, "deadline passed"), "%s", diag.text);
	ck_assert_uint_le(steps_seen, 1);
	ck_assert_uint_eq(wanted.shape.rank, 0);
	finf_session_free(session);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("exec/session");
	TCase *tc = tcase_create("run");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, runs_and_fills_the_output);
	tcase_add_test(tc, weights_and_arena_may_move_between_runs);
	tcase_add_test(tc, output_that_is_not_wanted_is_left_out);
	tcase_add_test(tc, warm_runs_take_no_heap);
	tcase_add_test(tc, copies_between_steps);
	tcase_add_test(tc, run_that_fails_behind_an_output_tells_of_none);
	tcase_add_loop_test(tc, output_over_a_later_input_is_refused, 0,
			    FINF_ARRAY_LEN(overlaps));
	tcase_add_loop_test(tc, wrong_tensors_are_named, 0, FINF_ARRAY_LEN(refused));
	tcase_add_loop_test(tc, kernel_that_cannot_be_made_undoes_the_session, 0, N_ADDS + 1);
	tcase_add_loop_test(tc, plan_that_lies_about_the_device, 0, FINF_ARRAY_LEN(hostile));
	tcase_add_test(tc, join_has_no_kernel);
	tcase_add_loop_test(tc, join_of_what_lies_elsewhere, 0,
			    FINF_ARRAY_LEN(not_joined));
	tcase_add_test(tc, device_fault_names_the_node);
	tcase_add_test(tc, deadline_is_checked_between_steps);
	suite_add_tcase(suite, tc);
	return suite;
}
