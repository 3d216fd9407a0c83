/* SPDX-License-Identifier: MIT */
/* The folder for GPU machines, run on the driver on host memory. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/fid.h"
#include "tests/support/support.h"

/* run.sh --quick of @bundle, its report in the scratch folder; its output. */
static void run(struct test_output *ret, const char *bundle, const char *driver)
{
	char program[700];
	const char *const argv[] = {program, "--quick", "--out", scratch_path("report"),
				    "--libcuda", driver, NULL};

	snprintf(program, sizeof(program), "%s/run.sh", bundle);
	run_program(ret, argv);
}

START_TEST(without_a_driver_it_says_so)
{
	struct test_output output;
	char bundle[600];

	snprintf(bundle, sizeof(bundle), "%s/gpu-bundle", build_dir());
	run(&output, bundle, "/nonexistent/libcuda.so.1");
	ck_assert_int_eq(output.status, 77);
	ck_assert_ptr_nonnull(strstr(output.err, "no driver"));
	test_output_free(&output);
}
END_TEST

#ifndef __SANITIZE_ADDRESS__
static const char *fake_driver(void)
{
	static char path[600];

	snprintf(path, sizeof(path), "%s/tests/fakecuda/libcuda.so.1", build_dir());
	return path;
}

static json_t *report(void)
{
	json_t *doc = json_load_file(scratch_path("report/report.json"), 0, NULL);

	ck_assert_ptr_nonnull(doc);
	ck_assert_int_eq(access(scratch_path("report/report.md"), R_OK), 0);
	return doc;
}

/* How many steps ended with @result. */
static unsigned count(const json_t *doc, const char *result)
{
	const json_t *step;
	unsigned n = 0;
	size_t i;

	json_array_foreach(json_object_get(doc, "steps"), i, step)
		n += !strcmp(json_string_value(json_object_get(step, "result")), result);
	return n;
}

START_TEST(every_step_succeeds)
{
	struct test_output output;
	char bundle[600];
	json_t *doc;

	snprintf(bundle, sizeof(bundle), "%s/gpu-bundle", build_dir());
	run(&output, bundle, fake_driver());
	ck_assert_msg(output.status == 0, "%s%s", output.out, output.err);
	doc = report();
	ck_assert(json_is_true(json_object_get(doc, "right")));
	ck_assert_uint_ge(count(doc, "ok"), 20);
	ck_assert_msg(count(doc, "ok") == json_array_size(json_object_get(doc, "steps")), "%s", output.out);
	json_decref(doc);
	test_output_free(&output);
}
END_TEST

/* A network that cannot be read: wrong in the end, but no step is left out. */
START_TEST(a_failing_step_does_not_stop_the_rest)
{
	struct test_output output;
	char command[2000];
	json_t *doc;

	snprintf(command, sizeof(command), "cp -r %s/gpu-bundle %s && echo no > %s/digits.onnx",
		 build_dir(), scratch_path("bundle"), scratch_path("bundle"));
	ck_assert_int_eq(system(command), 0);
	run(&output, scratch_path("bundle"), fake_driver());
	ck_assert_msg(output.status == 1, "%s%s", output.out, output.err);
	doc = report();
	ck_assert(json_is_false(json_object_get(doc, "right")));
	ck_assert_uint_ge(count(doc, "failed"), 6);
	ck_assert_uint_ge(count(doc, "ok"), 7); /* doctor, and each pool starts and stops */
	json_decref(doc);
	test_output_free(&output);
}
END_TEST
#endif

Suite *test_suite(void)
{
	Suite *suite = suite_create("gpu bundle");
	TCase *tc = tcase_create("run.sh");

	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, without_a_driver_it_says_so);
#ifndef __SANITIZE_ADDRESS__
	tcase_add_test(tc, every_step_succeeds);
	tcase_add_test(tc, a_failing_step_does_not_stop_the_rest);
#endif
	suite_add_tcase(suite, tc);
	return suite;
}
