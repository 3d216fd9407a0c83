/* SPDX-License-Identifier: MIT */
/*
 * Everything that can fail while importing, loading and starting does fail
 * here, one call after the other: each time there is one clear message, nothing
 * is left behind, and the next attempt succeeds.
 */
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/fid.h"
#include "tests/support/inject.h"
#include "tests/support/support.h"

#define CALLS_MAX 400 /* an import makes far fewer: a bound, not an expectation */
#define NOBODY	  65534

/* What must be the same again after a failure. */
struct before {
	char *files, *temporary; /* owned */
	int descriptors;
	int64_t weights, arena, known;
};

static const char *status_of(const struct test_fid *fid)
{
	return fictl_ok(fid, "status", "--json", NULL);
}

/* fictl's own temporary files go where they can be counted. */
static const char *temporary_dir(void)
{
	static char path[1024];

	if (!path[0]) {
		snprintf(path, sizeof(path), "%s", scratch_path("temporary"));
		ck_assert_int_eq(mkdir(path, 0777), 0);
		setenv("TMPDIR", path, 1);
	}
	return path;
}

static struct before look(const struct test_fid *fid)
{
	struct before before = {.files = file_list(fid->root),
				.temporary = file_list(temporary_dir())};
	const char *status = status_of(fid);

	before.weights = json_at(status, "pool.weights");
	before.arena = json_at(status, "pool.arena");
	before.known = json_at(status, "models.known");
	before.descriptors = settled_descriptors(fid->pid);
	return before;
}

static void forget(struct before *before)
{
	free(before->files);
	free(before->temporary);
}

static void check_same(const struct test_fid *fid, const struct before *before, const char *what)
{
	char *files = file_list(fid->root), *temporary = file_list(temporary_dir());
	const char *status = status_of(fid);

	ck_assert_msg(!strcmp(files, before->files), "%s left:\n%swhere there was:\n%s", what,
		      files, before->files);
	ck_assert_msg(!strcmp(temporary, before->temporary), "%s left:\n%s", what, temporary);
	ck_assert_msg(json_at(status, "pool.weights") == before->weights &&
			      json_at(status, "pool.arena") == before->arena,
		      "%s: the pool has changed: %s", what, status);
	ck_assert_msg(json_at(status, "models.known") == before->known, "%s: %s", what, status);
	wait_descriptors(fid->pid, before->descriptors);
	free(files);
	free(temporary);
}

/* ---- each call in turn ----------------------------------------------------------------- */

struct watch {
	struct inject inject;
	unsigned nth;
};

static void watch_program(void *ctx, pid_t pid)
{
	struct watch *watch = ctx;

	inject_start(&watch->inject, pid, INJECT_PROGRAM, watch->nth);
}

/* fictl ARGS with its own nth call failing (@in_fid false) or that of fid. */
static const char *run_failing(struct test_output *ret, const struct test_fid *fid, bool in_fid,
			       unsigned nth, const char *const *args)
{
	const char *argv[16];
	char program[600];
	struct watch watch = {.nth = nth};
	int n = 0;

	if (in_fid) {
		inject_start(&watch.inject, fid->pid, INJECT_FILES, nth);
		fictl(ret, fid, args);
		return inject_end(&watch.inject, NULL);
	}
	snprintf(program, sizeof(program), "%s/fictl", build_dir());
	argv[n++] = program;
	argv[n++] = "--socket";
	argv[n++] = fid->socket;
	for (int i = 0; args[i]; i++)
		argv[n++] = args[i];
	argv[n] = NULL;
	run_program_watched(ret, argv, watch_program, &watch);
	return inject_end(&watch.inject, NULL);
}

/* Did a failure of each of these calls reach the user at least once? */
struct expected {
	const char *call;
	unsigned failed;
};

static void count_failed(struct expected *expected, const char *call)
{
	for (; expected->call; expected++)
		expected->failed += !strcmp(expected->call, call);
}

static void check_failed(const struct expected *expected)
{
	for (; expected->call; expected++)
		ck_assert_msg(expected->failed > 0, "no failure of %s was noticed", expected->call);
}

/* Nothing was made to fail. The leak checker cannot work in a program that is still traced. */
static void check_untouched(const struct test_output *output, bool in_fid)
{
#ifdef __SANITIZE_ADDRESS__
	if (!in_fid)
		return;
#endif
	(void)in_fid;
	ck_assert_msg(output->status == 0, "exit %d: %s", output->status, output->err);
}

static void import_failing(bool in_fid, struct expected *expected)
{
	const char *const args[] = {"import", golden_path("digits/digits.onnx"), "--name", "m",
				    NULL};
	struct test_fid fid;
	struct before before;
	unsigned nth;

	temporary_dir();
	fid_start(&fid, "import", "16M", (const char *const[]){"--threads", "1", NULL});
	/* What happens once in a process has happened: libraries, arenas, code. */
	fictl_ok(&fid, "import", golden_path("digits/digits.onnx"), "--name", "m", NULL);
	fictl_ok(&fid, "remove", "m", NULL);
	before = look(&fid);
	for (nth = 1; nth < CALLS_MAX; nth++) {
		struct test_output output;
		const char *call = run_failing(&output, &fid, in_fid, nth, args);
		char what[128];

		if (!call) {
			check_untouched(&output, in_fid);
			test_output_free(&output);
			break;
		}
		snprintf(what, sizeof(what), "call %u, %s, of %s", nth, call,
			 in_fid ? "fid" : "fictl");
		if (output.status) {
			ck_assert_msg(output.status == 1 || (output.status == 3 && !in_fid),
				      "%s: exit %d: %s", what, output.status, output.err);
			check_message(&output);
			count_failed(expected, call);
		} else {
			fictl_ok(&fid, "remove", "m", NULL); /* there was another way */
		}
		check_same(&fid, &before, what);
		fictl_ok(&fid, "import", golden_path("digits/digits.onnx"), "--name", "m", NULL);
		fictl_ok(&fid, "remove", "m", NULL);
		test_output_free(&output);
	}
	ck_assert_uint_lt(nth, CALLS_MAX);
	check_failed(expected);
	forget(&before);
	fid_stop(&fid);
}

START_TEST(import_survives_every_failing_call_of_fid)
{
	struct expected expected[] = {
		{"openat", 0},	 {"pread64", 0}, {"write", 0},	   {"pwrite64", 0}, {"fsync", 0},
		{"renameat", 0}, {"mkdirat", 0}, {"fallocate", 0}, {"fcntl", 0},    {NULL, 0}};

	if (!inject_possible()) {
		skip_test("ptrace", "processes may not be traced here");
		return;
	}
	import_failing(true, expected);
}
END_TEST

START_TEST(import_survives_every_failing_call_of_fictl)
{
	struct expected expected[] = {
		{"socket", 0},	 {"connect", 0}, {"sendmsg", 0},  {"openat", 0},    {"mkdir", 0},
		{"pwrite64", 0}, {"fsync", 0},	 {"renameat", 0}, {"fallocate", 0}, {NULL, 0}};

	if (!inject_possible()) {
		skip_test("ptrace", "processes may not be traced here");
		return;
	}
	import_failing(false, expected);
}
END_TEST

/* So that the load goes to the disk, not to the page cache. */
static void drop_cached(const struct test_fid *fid)
{
	char *files = file_list(fid->root), *save = NULL;

	for (char *path = strtok_r(files, "\n", &save); path; path = strtok_r(NULL, "\n", &save)) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		ck_assert_int_ge(fd, 0);
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		close(fd);
	}
	free(files);
}

static void load_failing(bool cached, struct expected *expected)
{
	const char *const args[] = {"infer", "m", NULL};
	struct test_fid fid;
	struct before before;
	unsigned nth;

	temporary_dir();
	fid_start(&fid, "load", "16M", (const char *const[]){"--threads", "1", NULL});
	fictl_ok(&fid, "import", golden_path("digits/digits.onnx"), "--name", "m", NULL);
	fictl_ok(&fid, "infer", "m", NULL);
	fictl_ok(&fid, "unload", "m", NULL);
	before = look(&fid);
	ck_assert_int_eq(before.weights, 0);
	for (nth = 1; nth < CALLS_MAX; nth++) {
		struct test_output output;
		const char *call;
		char what[128];

		if (!cached)
			drop_cached(&fid);
		call = run_failing(&output, &fid, true, nth, args);
		if (!call) {
			check_untouched(&output, true);
			test_output_free(&output);
			break;
		}
		snprintf(what, sizeof(what), "call %u, %s", nth, call);
		if (output.status) {
			ck_assert_msg(output.status == 1, "%s: exit %d: %s", what, output.status,
				      output.err);
			check_message(&output);
			count_failed(expected, call);
		} else {
			fictl_ok(&fid, "unload", "m", NULL);
		}
		check_same(&fid, &before, what);
		fictl_ok(&fid, "infer", "m", NULL);
		fictl_ok(&fid, "unload", "m", NULL);
		test_output_free(&output);
	}
	ck_assert_uint_gt(nth, 2);
	ck_assert_uint_lt(nth, CALLS_MAX);
	check_failed(expected);
	forget(&before);
	fid_stop(&fid);
}

START_TEST(load_survives_every_failing_call)
{
	/* Reading finds another way when one fails; without a descriptor there is none. */
	struct expected expected[] = {{"fcntl", 0}, {NULL, 0}};

	if (!inject_possible()) {
		skip_test("ptrace", "processes may not be traced here");
		return;
	}
	load_failing(_i == 1, expected);
}
END_TEST

/* ---- full disk, small pool ------------------------------------------------------------------ */

START_TEST(a_full_disk_leaves_nothing)
{
	struct test_fid fid;
	struct before before;
	char dir[600], fill[700], squeezenet[600];
	int fd;

	if (geteuid() != 0) {
		skip_test("root", "only root can mount a small file system");
		return;
	}
	temporary_dir();
	snprintf(dir, sizeof(dir), "%s", scratch_path("full"));
	ck_assert_int_eq(mkdir(dir, 0755), 0);
	snprintf(fill, sizeof(fill), "%s/root", dir);
	ck_assert_int_eq(mkdir(fill, 0755), 0);
	/* In a mount namespace of this process and its children: it ends with them. */
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", fill, "tmpfs", 0, "size=8m")) {
		skip_test("root", "this root may not mount");
		return;
	}
	snprintf(squeezenet, sizeof(squeezenet), "%s", scratch_path("squeezenet.onnx"));
	fictl_ok(NULL, "zoo", "squeezenet1_1", "-o", squeezenet, NULL);
	fid_start(&fid, "full", "16M", NULL);
	fictl_ok(&fid, "import", golden_path("digits/digits.onnx"), NULL);
	before = look(&fid);
	/* 5 MB of portable pack fit, the tuned one beside it does not. */
	fictl_fails(&fid, 1, "No space left on device", "import", squeezenet, NULL);
	check_same(&fid, &before, "the tuned pack");
	/* Now not even the copy fits. */
	strcat(fill, "/filler");
	fd = open(fill, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fallocate(fd, 0, 0, 6 << 20), 0);
	fictl_fails(&fid, 1, "No space left on device", "import", squeezenet, NULL);
	close(fd);
	unlink(fill);
	check_same(&fid, &before, "the copy");
	fictl_ok(&fid, "infer", "digits", NULL);
	fictl_ok(&fid, "import", golden_path("digits/digits.onnx"), NULL);
	forget(&before);
	fid_stop(&fid);
}
END_TEST

START_TEST(a_model_larger_than_the_pool_is_refused_with_both_sizes)
{
	struct test_fid fid;
	struct test_output output;
	struct before before;
	char squeezenet[600], needle[64];
	int64_t weights;

	temporary_dir();
	snprintf(squeezenet, sizeof(squeezenet), "%s", scratch_path("squeezenet.onnx"));
	fictl_ok(NULL, "zoo", "squeezenet1_1", "-o", squeezenet, NULL);
	fid_start(&fid, "small", "4M", NULL);
	fictl_ok(&fid, "import", golden_path("digits/digits.onnx"), NULL);
	fictl_ok(&fid, "import", squeezenet, "--name", "large", NULL);
	weights = json_at(fictl_ok(&fid, "inspect", "large", "--json", NULL), "weight_bytes");
	before = look(&fid);
	fictl(&output, &fid, (const char *const[]){"infer", "large", NULL});
	ck_assert_int_eq(output.status, 1);
	check_message(&output);
	snprintf(needle, sizeof(needle), "%lld bytes of weights", (long long)weights);
	ck_assert_msg(strstr(output.err, needle) && strstr(output.err, "the pool has 4194304"),
		      "%s", output.err);
	test_output_free(&output);
	fictl_fails(&fid, 1, "the pool has 4194304", "load", "large", NULL);
	check_same(&fid, &before, "too large");
	ck_assert_ptr_nonnull(strstr(fictl_ok(&fid, "why", "large", NULL), "can never be loaded"));
	fictl_ok(&fid, "infer", "digits", NULL);
	forget(&before);
	fid_stop(&fid);
}
END_TEST

/* ---- starting -------------------------------------------------------------------------------- */

static void run_fid(struct test_output *ret, const char *const *args)
{
	const char *argv[16];
	char program[600];
	int n = 0;

	snprintf(program, sizeof(program), "%s/fid", build_dir());
	argv[n++] = program;
	for (int i = 0; args[i]; i++)
		argv[n++] = args[i];
	argv[n] = NULL;
	run_program(ret, argv);
}

static void fid_refuses(int status, const char *needle, const char *const *args)
{
	struct test_output output;

	run_fid(&output, args);
	ck_assert_msg(output.status == status && strstr(output.err, needle) != NULL,
		      "exit %d, not %d, or no \"%s\": %s", output.status, status, needle,
		      output.err);
	ck_assert_msg(strstr(output.err, "fid: ") != NULL, "%s", output.err);
	test_output_free(&output);
}

START_TEST(a_socket_in_use_stays_with_who_has_it)
{
	struct test_fid fid;
	char other[600];

	fid_start(&fid, "first", "16M", NULL);
	snprintf(other, sizeof(other), "%s", scratch_path("other-root"));
	fid_refuses(1, "somebody is serving there",
		    (const char *const[]){"--foreground", "--root", other, "--socket", fid.socket,
					  "--pool", "16M", NULL});
	fid_refuses(1, "another fid is using this folder",
		    (const char *const[]){"--foreground", "--root", fid.root, "--socket",
					  scratch_path("other-sock"), "--pool", "16M", NULL});
	ck_assert_int_ne(access(scratch_path("other-sock"), F_OK), 0);
	status_of(&fid);
	fid_stop(&fid);
}
END_TEST

START_TEST(a_stale_socket_is_replaced_and_a_file_is_not)
{
	struct test_fid fid;
	struct stat st;
	char text[8] = "";
	int fd;

	fid_start(&fid, "stale", "16M", NULL);
	ck_assert_int_eq(kill(fid.pid, SIGKILL), 0);
	ck_assert_int_eq(fid_wait(&fid), -SIGKILL);
	ck_assert_int_eq(lstat(fid.socket, &st), 0);
	ck_assert(S_ISSOCK(st.st_mode));
	fid_start(&fid, "stale", "16M", NULL);
	status_of(&fid);
	fid_stop(&fid);
	fd = open(fid.socket, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ck_assert_int_eq(write(fd, "mine", 4), 4);
	fid_refuses(1, "exists and is not a socket",
		    (const char *const[]){"--foreground", "--root", fid.root, "--socket",
					  fid.socket, "--pool", "16M", NULL});
	ck_assert_int_eq(pread(fd, text, sizeof(text), 0), 4);
	ck_assert_str_eq(text, "mine");
	ck_assert_int_eq(access(fid.socket, F_OK), 0);
	close(fd);
}
END_TEST

/* What a crash left half done is gone after the next start. */
START_TEST(leftovers_of_a_crash_are_removed_at_start)
{
	struct test_fid fid;
	char path[700];
	int fd;

	fid_start(&fid, "crash", "16M", NULL);
	fictl_ok(&fid, "import", golden_path("digits/digits.onnx"), NULL);
	ck_assert_int_eq(kill(fid.pid, SIGKILL), 0);
	ck_assert_int_eq(fid_wait(&fid), -SIGKILL);
	snprintf(path, sizeof(path), "%s/tmp/import-7", fid.root);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	strcat(path, "/portable.fim");
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
	fid_start(&fid, "crash", "16M", NULL);
	snprintf(path, sizeof(path), "%s/tmp/import-7", fid.root);
	ck_assert_int_ne(access(path, F_OK), 0);
	fictl_ok(&fid, "infer", "digits", NULL);
	fid_stop(&fid);
}
END_TEST

START_TEST(a_root_that_cannot_be_written_is_refused)
{
	struct test_output output;
	char program[600], root[600], socket[600];
	const char *const argv[] = {
		"/usr/bin/setpriv", "--reuid", "65534",	       "--regid", "65534",
		"--clear-groups",   program,   "--foreground", "--root",  root,
		"--socket",	    socket,    "--pool",       "16M",	  NULL};

	if (geteuid() != 0) {
		skip_test("root", "only root can become another user");
		return;
	}
	snprintf(program, sizeof(program), "%s/fid", build_dir());
	snprintf(root, sizeof(root), "%s", scratch_path("closed"));
	snprintf(socket, sizeof(socket), "%s", scratch_path("closed.sock"));
	ck_assert_int_eq(mkdir(root, 0755), 0);
	ck_assert_int_eq(chmod(scratch_dir(), 0755), 0);
	run_program(&output, argv);
	ck_assert_msg(output.status == 1 && strstr(output.err, root) &&
			      strstr(output.err, "Permission denied"),
		      "exit %d: %s", output.status, output.err);
	test_output_free(&output);
	ck_assert_int_ne(access(socket, F_OK), 0);
}
END_TEST

START_TEST(wrong_options_are_usage)
{
	static const struct {
		const char *args[8];
		int status;
		const char *needle;
	} rows[] = {
		{{NULL}, 2, "--root DIR is needed"},
		{{"--root"}, 2, "root"},
		{{"--nonsense"}, 2, "nonsense"},
		{{"extra"}, 2, "unexpected argument: extra"},
		{{"--root", "/tmp/x", "--pool", "0"}, 2, "--pool 0"},
		{{"--root", "/tmp/x", "--pool", "lots"}, 2, "--pool lots"},
		{{"--root", "/tmp/x", "--pool", "-5M"}, 2, "--pool -5M"},
		{{"--root", "/tmp/x", "--pool", "99999999999G"}, 2, "--pool"},
		{{"--root", "/tmp/x", "--threads", "0"}, 2, "--threads 0"},
		{{"--root", "/tmp/x", "--threads", "-1"}, 2, "--threads -1"},
		{{"--root", "/tmp/x", "--threads", "1x"}, 2, "--threads 1x"},
		{{"--root", "/tmp/x", "--threads", "100000"}, 2, "--threads"},
		{{"--root", "/tmp/x", "--log", "loud"}, 2, "--log loud"},
		{{"--root", "/tmp/x", "--config", "/nonexistent"}, 2, "/nonexistent"},
		{{"--root", "/tmp/x", "--device", "toaster", "--foreground", "--socket",
		  "/tmp/x.sock"},
		 1,
		 "toaster"},
	};
	const char *args[9] = {NULL};

	memcpy(args, rows[_i].args, sizeof(rows[_i].args));
	fid_refuses(rows[_i].status, rows[_i].needle, args);
}
END_TEST
#define N_OPTIONS 15

START_TEST(a_socket_path_that_is_too_long_is_refused)
{
	char path[300];

	memset(path, 'x', sizeof(path));
	memcpy(path, "/tmp/", 5);
	path[sizeof(path) - 1] = 0;
	fid_refuses(1, "longer than a socket path may be",
		    (const char *const[]){"--foreground", "--root", scratch_path("root"),
					  "--socket", path, "--pool", "16M", NULL});
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("failures");
	TCase *tc = tcase_create("fid");

	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, import_survives_every_failing_call_of_fid);
	tcase_add_test(tc, import_survives_every_failing_call_of_fictl);
	tcase_add_loop_test(tc, load_survives_every_failing_call, 0, 2);
	tcase_add_test(tc, a_full_disk_leaves_nothing);
	tcase_add_test(tc, a_model_larger_than_the_pool_is_refused_with_both_sizes);
	tcase_add_test(tc, a_socket_in_use_stays_with_who_has_it);
	tcase_add_test(tc, a_stale_socket_is_replaced_and_a_file_is_not);
	tcase_add_test(tc, leftovers_of_a_crash_are_removed_at_start);
	tcase_add_test(tc, a_root_that_cannot_be_written_is_refused);
	tcase_add_loop_test(tc, wrong_options_are_usage, 0, N_OPTIONS);
	tcase_add_test(tc, a_socket_path_that_is_too_long_is_refused);
	suite_add_tcase(suite, tc);
	return suite;
}
