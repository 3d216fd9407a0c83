/* SPDX-License-Identifier: MIT */
/* tools/bpftrace against a real fid: what the scripts print is what happened. */
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bpf/bpf.h"
#include "tests/support/fid.h"

#define WAIT_MS 60000

/* ---- a script under way ------------------------------------------------------------ */

struct tracer {
	pid_t pid;
	int fd; /* what it prints */
	char text[65536];
	size_t len;
};

static bool can_trace(void)
{
	if (!bpf_begin())
		return false;
	if (!system("command -v bpftrace > /dev/null"))
		return true;
	skip_test("bpf", "bpftrace is not installed");
	return false;
}

/* Reads on until @needle was printed, or with NULL to the end. */
static void tracer_read(struct tracer *tracer, const char *needle)
{
	struct pollfd pfd = {.fd = tracer->fd, .events = POLLIN};
	ssize_t n;

	while (!needle || !strstr(tracer->text, needle)) {
		ck_assert_msg(poll(&pfd, 1, WAIT_MS) == 1, "nothing more after: %s", tracer->text);
		ck_assert_uint_lt(tracer->len, sizeof(tracer->text) - 1);
		n = read(tracer->fd, tracer->text + tracer->len,
			 sizeof(tracer->text) - 1 - tracer->len);
		ck_assert_int_ge(n, 0);
		if (!n)
			break;
		tracer->len += (size_t)n;
	}
	ck_assert_msg(!needle || strstr(tracer->text, needle), "ended: %s", tracer->text);
}

/* tools/bpftrace/@script on @file of the build folder. When this returns it is attached. */
static void tracer_start(struct tracer *tracer, const char *script, const char *file)
{
	char path[4096], program[4096];
	int out[2];

	*tracer = (struct tracer){0};
	snprintf(path, sizeof(path), "%.3000s/tools/bpftrace/%s", source_dir(), script);
	snprintf(program, sizeof(program), "%.3000s/%s", build_dir(), file);
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	tracer->pid = fork();
	if (!tracer->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (dup2(out[1], 1) == 1 && dup2(out[1], 2) == 2)
			execlp("bpftrace", "bpftrace", "-B", "line", path, program, NULL);
		_exit(127);
	}
	close(out[1]);
	tracer->fd = out[0];
	tracer_read(tracer, "Ctrl-C ends.\n");
}

/* Ctrl-C; then all of it is in text. */
static void tracer_end(struct tracer *tracer)
{
	int status;

	ck_assert_int_eq(kill(tracer->pid, SIGINT), 0);
	tracer_read(tracer, NULL);
	close(tracer->fd);
	ck_assert_int_eq(waitpid(tracer->pid, &status, 0), tracer->pid);
	ck_assert_msg(!status, "bpftrace ended with %d: %s", status, tracer->text);
}

static void expect(const struct tracer *tracer, const char *needle)
{
	ck_assert_msg(strstr(tracer->text, needle), "no \"%s\" in: %s", needle, tracer->text);
}

/* How many the histogram called @name holds: the sum over its lines. */
static unsigned histogram_sum(const struct tracer *tracer, const char *name)
{
	const char *at = strstr(tracer->text, name);
	unsigned sum = 0, n;

	ck_assert_msg(at, "no histogram %s in: %s", name, tracer->text);
	for (at = strchr(at, '\n'); at && at[1] == '['; at = strchr(at + 1, '\n')) {
		ck_assert_int_eq(sscanf(at + 1, "[%*[^)])%u", &n), 1);
		sum += n;
	}
	return sum;
}

/* ---- what happens meanwhile ------------------------------------------------------------ */

static void ask(const struct test_fid *fid, const char *model, unsigned times)
{
	char command[8192];

	snprintf(command, sizeof(command), "echo %u | '%s/tests/bpf/caller' '%s' '%s'", times,
		 build_dir(), fid->socket, model);
	ck_assert_int_eq(system(command), 0);
}

static void import(const struct test_fid *fid, const char *name)
{
	char path[1100];

	snprintf(path, sizeof(path), "%s", golden_path("digits/digits.onnx"));
	if (strcmp(name, "digits")) {
		snprintf(path, sizeof(path), "%s.onnx", scratch_path(name));
		fictl_ok(NULL, "zoo", name, "-o", path, NULL);
	}
	fictl_ok(fid, "import", path, NULL);
}

/* The last byte of what a model's weights are loaded from. */
static void damage(const struct test_fid *fid, const char *model)
{
	char pattern[600], byte;
	glob_t found;
	off_t last;
	int fd;

	snprintf(pattern, sizeof(pattern), "%s/models/%s/1/tuned-*.fim", fid->root, model);
	ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
	ck_assert_uint_eq(found.gl_pathc, 1);
	fd = open(found.gl_pathv[0], O_RDWR);
	ck_assert_int_ge(fd, 0);
	last = lseek(fd, 0, SEEK_END) - 1;
	ck_assert_int_eq(pread(fd, &byte, 1, last), 1);
	byte = (char)~byte;
	ck_assert_int_eq(pwrite(fd, &byte, 1, last), 1);
	close(fd);
	globfree(&found);
}

START_TEST(requests_are_counted_by_model)
{
	struct tracer tracer;
	struct test_fid fid;

	if (!can_trace())
		return;
	fid_start(&fid, "fid", "16M", NULL);
	ask(&fid, "net", 3); /* nobody looks */
	tracer_start(&tracer, "arrivals.bt", "libfi.so");
	ask(&fid, "net", 40);
	ask(&fid, "other:3", 2);
	ask(&fid, "net", 2);
	tracer_end(&tracer);
	expect(&tracer, "\n@requests[net]: 42\n");
	expect(&tracer, "\n@requests[other:3]: 2\n");
	ck_assert_uint_eq(histogram_sum(&tracer, "@gap_us[net]"), 41);
	ck_assert_uint_eq(histogram_sum(&tracer, "@gap_us[other:3]"), 1);
	fid_stop(&fid);
}
END_TEST

START_TEST(swap_ins_are_timed_by_size)
{
	struct tracer tracer;
	struct test_fid fid;

	if (!can_trace())
		return;
	fid_start(&fid, "fid", "64M", NULL);
	import(&fid, "digits");
	import(&fid, "squeezenet1_1"); /* 4.7 MiB */
	tracer_start(&tracer, "swapin.bt", "fid");
	for (int i = 0; i < 3; i++) {
		fictl_ok(&fid, "load", "digits", NULL);
		fictl_ok(&fid, "unload", "digits", NULL);
	}
	fictl_ok(&fid, "load", "squeezenet1_1", NULL);
	damage(&fid, "digits");
	fictl_fails(&fid, 1, "checksum", "load", "digits", NULL);
	tracer_end(&tracer);
	ck_assert_uint_eq(histogram_sum(&tracer, "@swapin_us[0]"), 3);
	ck_assert_uint_eq(histogram_sum(&tracer, "@swapin_us[4]"), 1);
	expect(&tracer, "\n@mb_per_s[0]: count 3, average ");
	expect(&tracer, "\n@mb_per_s[4]: count 1, average ");
	expect(&tracer, "\n@failed[digits:1, 74]: 1\n"); /* EBADMSG */
	ck_assert_ptr_null(strstr(tracer.text, "@loading["));
	fid_stop(&fid);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("bpftrace");
	TCase *tcase = tcase_create("scripts");

	tcase_set_timeout(tcase, 180);
	tcase_add_test(tcase, requests_are_counted_by_model);
	tcase_add_test(tcase, swap_ins_are_timed_by_size);
	suite_add_tcase(suite, tcase);
	return suite;
}
