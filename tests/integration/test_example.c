/* SPDX-License-Identifier: MIT */
/*
 * The example of the in-process API as a user has it: compiled with what
 * pkg-config says against the shared library, run on a model file.
 */
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>

#include "tests/unit/engine/testmodel.h"

#if defined(__SANITIZE_ADDRESS__)
#define EXTRA "-fsanitize=address,undefined"
#else
#define EXTRA ""
#endif

static char output[4096];

/* Exit status of a shell command; what it prints is in output[]. */
static int run(const char *fmt, ...)
{
	char command[8192];
	va_list args;
	size_t n;
	FILE *pipe;
	int status;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	pipe = popen(command, "re");
	ck_assert_ptr_nonnull(pipe);
	n = fread(output, 1, sizeof(output) - 1, pipe);
	output[n] = 0;
	status = pclose(pipe);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The package file speaks of the place of installation: point it at the build. */
static const char *compiled(void)
{
	const char *program = scratch_path("infer");
	int status = run("cc -std=c11 -Wall -Wextra -Werror " EXTRA
			 " '%s/Documentation/examples/infer.c' -o '%s'"
			 " $(pkg-config --define-variable=libdir='%s'"
			 " --define-variable=includedir='%s/libfi/include'"
			 " --cflags --libs '%s/fusedinf.pc') 2>&1",
			 source_dir(), program, build_dir(), source_dir(), build_dir());

	ck_assert_msg(!status, "%s", output);
	return program;
}

START_TEST(example_prints_the_five_largest)
{
	const char *program = compiled();
	const char *model = model_write("m.onnx", 1, false);
	float x[MODEL_X], want[MODEL_Y];
	FILE *file = fopen(scratch_path("x.raw"), "wb");
	const char *line = output;
	int status;

	test_fill_f32(x, MODEL_X, 9);
	ck_assert_uint_eq(fwrite(x, sizeof(float), MODEL_X, file), MODEL_X);
	fclose(file);
	model_oracle(model, 1, 9, want);
	status = run("LD_LIBRARY_PATH='%s' '%s' '%s' '%s' 2>&1", build_dir(), program, model,
		     scratch_path("x.raw"));
	ck_assert_msg(!status, "%s", output);
	for (unsigned k = 0; k < MODEL_Y; k++) {
		unsigned place, before = 0;
		float value;
		int used;

		ck_assert_msg(sscanf(line, "%u %f\n%n", &place, &value, &used) == 2, "%s", output);
		ck_assert_uint_lt(place, MODEL_Y);
		ck_assert_float_eq_tol(value, want[place], 1e-4f);
		for (unsigned i = 0; i < MODEL_Y; i++)
			before += want[i] > want[place];
		ck_assert_uint_eq(before, k);
		line += used;
	}
	ck_assert_msg(!*line, "more than five: %s", output);
}
END_TEST

static const struct {
	const char *arguments;
	int status;
	const char *says;
} uses[] = {
	{"m.onnx", 0, "\n"},
	{"", 2, "usage: "},
	{"missing.onnx", 1, "infer: "},
	{"m.onnx missing.raw", 1, "infer: "},
	{"m.onnx m.onnx", 0, "\n"},
};

START_TEST(example_says_what_is_wrong)
{
	const char *program = compiled();
	int status;

	model_write("m.onnx", 1, false);
	status = run("cd '%s' && LD_LIBRARY_PATH='%s' '%s' %s 2>&1", scratch_dir(), build_dir(),
		     program, uses[_i].arguments);
	ck_assert_msg(status == uses[_i].status, "%d: %s", status, output);
	ck_assert_msg(strstr(output, uses[_i].says), "%s", output);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("integration/example");
	TCase *tc = tcase_create("example");

	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, example_prints_the_five_largest);
	tcase_add_loop_test(tc, example_says_what_is_wrong, 0, FINF_ARRAY_LEN(uses));
	suite_add_tcase(suite, tc);
	return suite;
}
