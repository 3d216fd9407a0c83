/* SPDX-License-Identifier: MIT */
/*
 * libfi-preload.so under small CUDA programs on the fake driver: however they
 * find the driver, whatever happens to fid or to them.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fusedinf/client.h>

#include "device/cuda/cu.h"
#include "preload/preload.h"
#include "tests/support/fid.h"
#include "tests/support/support.h"

#define MIB ((uint64_t)1 << 20)
#define WAIT_MS 60000
#ifdef __SANITIZE_ADDRESS__
#define CYCLES 32 /* the sanitizers see in a few what they see in many */
#else
#define CYCLES 100
#endif

/* The library's own declarations against those that are proven with the vendor's header. */
#define SAME(ours, theirs) _Static_assert((long)(ours) == (long)(theirs), #ours)
SAME(sizeof(struct fip_allocation), sizeof(struct finf_cu_allocation));
SAME(offsetof(struct fip_allocation, handle_types),
     offsetof(struct finf_cu_allocation, handle_types));
SAME(offsetof(struct fip_allocation, location), offsetof(struct finf_cu_allocation, location));
SAME(offsetof(struct fip_allocation, flags), offsetof(struct finf_cu_allocation, flags));
SAME(sizeof(struct fip_access), sizeof(struct finf_cu_access));
SAME(offsetof(struct fip_access, flags), offsetof(struct finf_cu_access, flags));
SAME(FIP_PINNED, FINF_CU_ALLOCATION_PINNED);
SAME(FIP_DEVICE, FINF_CU_LOCATION_DEVICE);
SAME(FIP_POSIX_HANDLE, FINF_CU_HANDLE_POSIX);
SAME(FIP_READ_WRITE, FINF_CU_ACCESS_READ_WRITE);
SAME(FIP_ERROR_OUT_OF_MEMORY, FINF_CU_ERROR_OUT_OF_MEMORY);
SAME(FIP_ERROR_NOT_FOUND, FINF_CU_ERROR_NOT_FOUND);

static struct test_fid fid;

/* A program and the two ends of talking to it. */
struct app {
	pid_t pid;
	int in;
	FILE *out;
};

static const char *built(const char *name)
{
	static char paths[8][600];
	static unsigned at;
	char *path = paths[at++ % 8];

	snprintf(path, 600, "%s/%s", build_dir(), name);
	return path;
}

/* The sanitizers' runtime need not come first: the library is not built with it. */
static void set_environment(void)
{
	char path[700];

	snprintf(path, sizeof(path), "%s/tests/fakecuda", build_dir());
	setenv("LD_LIBRARY_PATH", path, 1);
	setenv("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0", 1);
	setenv("FAKECUDA_DELAY_US", "20", 1);
	signal(SIGPIPE, SIG_IGN);
}

static void setup(void)
{
	set_environment();
	fid_start(&fid, "fid", "64M", NULL);
}

static void teardown(void)
{
	fid_stop(&fid);
}

/* ---- talking ---------------------------------------------------------------------- */

static bool readable(const struct app *app, int ms)
{
	struct pollfd pfd = {fileno(app->out), POLLIN, 0};

	return poll(&pfd, 1, ms) == 1;
}

static const char *hear(struct app *app)
{
	static char lines[4][256];
	static unsigned at;
	char *line = lines[at++ % 4];

	ck_assert_msg(readable(app, WAIT_MS), "the program does not answer");
	ck_assert_msg(fgets(line, 256, app->out) != NULL, "the program has ended");
	line[strcspn(line, "\n")] = 0;
	return line;
}

static void tell(struct app *app, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void tell(struct app *app, const char *fmt, ...)
{
	char line[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line) - 1, fmt, args);
	va_end(args);
	strcat(line, "\n");
	ck_assert_int_eq(write(app->in, line, strlen(line)), (ssize_t)strlen(line));
}

#define ASK(app, ...) (tell(app, __VA_ARGS__), hear(app))

/** By `fictl app run`, with the words of @how after the program's name; @how ends with NULL. */
static struct app app_start(const char *const *how)
{
	const char *argv[16] = {"fictl", "--socket", fid.socket, "app", "run", "--"};
	const char *program = built(!strcmp(how[0], "linked") ? "tests/preload/app_linked"
							       : "tests/preload/app");
	struct app app;
	int in[2], out[2], n = 7;

	argv[6] = program;
	for (; *how; how++)
		argv[n++] = *how;
	ck_assert_int_eq(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
	app.pid = fork();
	ck_assert_int_ge(app.pid, 0);
	if (!app.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		execv(built("fictl"), (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	app.in = in[1];
	app.out = fdopen(out[0], "r");
	setvbuf(app.out, NULL, _IONBF, 0);
	ck_assert_str_eq(hear(&app), "ready");
	return app;
}

static struct app app_dlsym(void)
{
	return app_start((const char *const[]){"dlsym", NULL});
}

static int app_wait(struct app *app)
{
	int status;

	close(app->in);
	fclose(app->out);
	ck_assert_int_eq(waitpid(app->pid, &status, 0), app->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* All memory freed, nothing done that a real driver would suffer from in silence. */
static void app_end(struct app *app)
{
	ck_assert_str_eq(ASK(app, "end"), "0 0 ");
	ck_assert_int_eq(app_wait(app), 0);
}

static uint64_t app_alloc(struct app *app, uint64_t bytes)
{
	unsigned result = 999;
	uint64_t at = 0;

	ck_assert_int_eq(sscanf(ASK(app, "alloc 0 %" PRIu64, bytes), "%u %" SCNx64, &result, &at), 2);
	ck_assert_uint_eq(result, 0);
	return at;
}

static void app_store(struct app *app, uint64_t at, uint64_t bytes, unsigned seed)
{
	ck_assert_str_eq(ASK(app, "store %" PRIx64 " %" PRIu64 " %u", at, bytes / 8, seed), "0");
}

static uint64_t app_sum(struct app *app, uint64_t at, uint64_t bytes)
{
	unsigned result = 999;
	uint64_t sum = 0;

	sscanf(ASK(app, "sum %" PRIx64 " %" PRIu64, at, bytes), "%u %" SCNx64, &result, &sum);
	ck_assert_uint_eq(result, 0);
	return sum;
}

static uint64_t app_free_bytes(struct app *app)
{
	uint64_t left = 0;
	unsigned result = 999;

	sscanf(ASK(app, "info"), "%u %" SCNu64, &result, &left);
	ck_assert_uint_eq(result, 0);
	return left;
}

/* ---- what fid knows ------------------------------------------------------------------- */

static const char *pid_text(const struct app *app)
{
	static char texts[4][16];
	static unsigned at;

	snprintf(texts[++at % 4], 16, "%d", (int)app->pid);
	return texts[at % 4];
}

/* As fictl would ask it, without its start: most of the time of these tests would be that. */
static int ask_fid(const char *request, char **ret_json)
{
	struct finf_diag diag = {{0}};
	struct finf_client *client;
	int err = finf_client_open(fid.socket, &client, &diag);

	ck_assert_msg(!err, "%s", diag.text);
	err = finf_client_control(client, request, ret_json, &diag);
	finf_client_close(client);
	return err;
}

/* What fid says about it; @key NULL: nothing. */
static bool app_is(const struct app *app, const char *key, const char *value)
{
	char needle[64], *json = NULL, *at, *end;
	bool is;

	ck_assert_int_eq(ask_fid("{\"command\":\"apps\"}", &json), 0);
	snprintf(needle, sizeof(needle), "\"pid\":%d,", (int)app->pid);
	at = strstr(json, needle);
	end = at ? strchr(at, '}') : NULL;
	snprintf(needle, sizeof(needle), "\"%s\":%s", key ? key : "", value ? value : "");
	is = key && end && (at = strstr(at, needle)) && at < end;
	is |= !key && !end;
	free(json);
	return is;
}

/* What is told late is told: @key NULL waits until it is not known. */
static void wait_app(const struct app *app, const char *key, const char *value)
{
	for (int ms = 0; ms < WAIT_MS; ms += 10) {
		if (app_is(app, key, value))
			return;
		poll(NULL, 0, 10);
	}
	ck_abort_msg("never: %s %s in %s", key ? key : "gone", value ? value : "",
		     fictl_ok(&fid, "apps", "--json", NULL));
}

static void app_order(const struct app *app, const char *verb)
{
	char request[64], *json = NULL;
	int err;

	snprintf(request, sizeof(request), "{\"command\":\"app-%s\",\"pid\":%d}", verb, (int)app->pid);
	err = ask_fid(request, &json);
	ck_assert_msg(!err, "%s: %s", request, json ? json : strerror(-err));
	free(json);
}

/* Its session may have yet to begin. */
static void app_pause(const struct app *app)
{
	wait_app(app, "pid", pid_text(app));
	app_order(app, "pause");
}

static void app_resume(const struct app *app)
{
	app_order(app, "resume");
}

static pid_t pause_behind(const struct app *app)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl(built("fictl"), "fictl", "--socket", fid.socket, "app", "pause", pid_text(app), NULL);
		_exit(127);
	}
	return pid;
}

static void kill_fid(void)
{
	ck_assert_int_eq(kill(fid.pid, SIGKILL), 0);
	ck_assert_int_eq(fid_wait(&fid), -SIGKILL);
}

/* ---- the library itself ---------------------------------------------------------------- */

START_TEST(test_needs_only_libc)
{
	const char *argv[] = {"/usr/bin/readelf", "-d", built("libfi-preload.so"), NULL};
	struct test_output output;
	unsigned n = 0;

	run_program(&output, argv);
	ck_assert_int_eq(output.status, 0);
	for (const char *at = output.out; (at = strstr(at, "(NEEDED)")); at++, n++)
		ck_assert_msg(strstr(at, "[libc.so.6]") && strstr(at, "[libc.so.6]") < strchr(at, '\n'),
			      "needs more than libc: %s", output.out);
	ck_assert_uint_eq(n, 1);
	test_output_free(&output);
}
END_TEST

START_TEST(test_calls_have_the_vendors_arguments)
{
	char file[700], ours[700];
	const char *argv[] = {"/usr/bin/c++", "-std=c++17", "-fsyntax-only", "-I", ours, "-isystem",
			      FI_CUDA_INCLUDE, file, NULL};
	struct test_output output;

	if (!FI_CUDA_INCLUDE[0] || access(argv[0], X_OK)) {
		skip_test("cuda.h", FI_CUDA_INCLUDE[0] ? "no C++ compiler" : "no CUDA toolkit: the "
				    "preload library's calls were not compared with its header");
		return;
	}
	snprintf(ours, sizeof(ours), "%s/libfi", source_dir());
	snprintf(file, sizeof(file), "%s/tests/preload/calls_abi.cc", source_dir());
	run_program(&output, argv);
	ck_assert_msg(!output.status, "%s", output.err);
	test_output_free(&output);
}
END_TEST

/* What is found where; "99000" is a driver of the future that gave the name a new meaning. */
static const struct {
	const char *version, *flags, *name, *owner;
} lookups[] = {
	{"dlsym", "0", "cuMemAlloc_v2", "ours"},    {"dlsym", "0", "cuMemAlloc", "none"},
	{"dlsym", "0", "cuCtxSynchronize", "driver"}, {"dlsym", "next", "malloc", "other"},
	{"dlsym", "next", "dlsym", "ours"},	    {"3020", "0", "cuMemAlloc", "ours"},
	{"3020", "2", "cuMemAlloc", "ours"},	    {"13000", "0", "cuMemAlloc", "ours"},
	{"13000", "0", "cuMemGetInfo", "ours"},	    {"99000", "0", "cuMemGetInfo", "driver"},
	{"99000", "0", "cuMemFree", "ours"},	    {"7000", "2", "cuMemcpyHtoD", "ours"},
	{"7000", "0", "cuMemcpyHtoD", "ours"},	    {"3020", "2", "cuMemcpyHtoD", "ours"},
	{"2000", "0", "cuCtxGetDevice", "driver"},  {"11030", "0", "cuGetProcAddress", "ours"},
	{"12000", "0", "cuGetProcAddress", "ours"}, {"2000", "0", "cuMemAlloc", "none"},
	{"13000", "0", "cuNothing", "none"},	    {"13000", "0", "", "none"},
};
#define N_LOOKUPS (sizeof(lookups) / sizeof(lookups[0]))

static void look_up(struct test_output *ret)
{
	const char *argv[2 + 3 * N_LOOKUPS] = {built("tests/preload/lookup")};

	for (unsigned i = 0; i < N_LOOKUPS; i++) {
		argv[1 + 3 * i] = lookups[i].version;
		argv[2 + 3 * i] = lookups[i].flags;
		argv[3 + 3 * i] = lookups[i].name;
	}
	setenv("LD_PRELOAD", built("libfi-preload.so"), 1);
	run_program(ret, argv);
	unsetenv("LD_PRELOAD");
}

START_TEST(test_lookups_are_exact)
{
	struct test_output output;
	char *save = NULL, *line;

	look_up(&output);
	ck_assert_int_eq(output.status, 0);
	line = strtok_r(output.out, "\n", &save);
	for (unsigned i = 0; i < N_LOOKUPS; i++, line = strtok_r(NULL, "\n", &save)) {
		ck_assert_ptr_nonnull(line);
		ck_assert_msg(!strcmp(line, lookups[i].owner), "%s %s %s: %s, not %s", lookups[i].version,
			      lookups[i].flags, lookups[i].name, line, lookups[i].owner);
	}
	test_output_free(&output);
}
END_TEST

START_TEST(test_switched_off)
{
	struct test_output output;

	setenv("FUSEDINF_PRELOAD", "off", 1);
	look_up(&output);
	unsetenv("FUSEDINF_PRELOAD");
	ck_assert_int_eq(output.status, 0);
	ck_assert_int_eq(strncmp(output.out, "driver\nnone\ndriver\n", 19), 0);
	/* Only the hook itself, which is a name of libc's, is still there. */
	ck_assert_ptr_nonnull(strstr(output.out, "ours\n"));
	ck_assert_ptr_null(strstr(strstr(output.out, "ours\n") + 1, "ours\n"));
	test_output_free(&output);
}
END_TEST

/* No thread, no file, no line of output more than without. */
START_TEST(test_other_programs_see_nothing)
{
	static const char script[] = "grep Threads /proc/self/status; ls /proc/self/fd | wc -l; "
				     "echo done >&2";
	const char *plain[] = {"/bin/sh", "-c", script, NULL};
	const char *under[] = {built("fictl"), "app", "run", "--", "/bin/sh", "-c", script, NULL};
	struct test_output a, b;

	run_program(&a, plain);
	run_program(&b, under);
	ck_assert_int_eq(b.status, 0);
	ck_assert_str_eq(a.out, b.out);
	ck_assert_str_eq(a.err, b.err);
	test_output_free(&a);
	test_output_free(&b);
}
END_TEST

/* ---- pausing -------------------------------------------------------------------------------- */

static const char *const ways[][5] = {
	{"linked"}, {"dlsym"}, {"proc", "0"}, {"proc", "2"}, {"proc2", "12000", "0"},
	{"proc2", "13000", "2"},
};

START_TEST(test_every_way_in)
{
	struct app app = app_start(ways[_i]);
	uint64_t large = app_alloc(&app, 5 * MIB), small = app_alloc(&app, 4096);
	uint64_t sum, small_sum;

	app_store(&app, large, 5 * MIB, 7);
	app_store(&app, small, 4096, 8);
	sum = app_sum(&app, large, 5 * MIB);
	small_sum = app_sum(&app, small, 4096);
	ck_assert_uint_ne(sum, small_sum);
	wait_app(&app, "pausable_bytes", "6291456");
	wait_app(&app, "bytes", "6295552");
	app_pause(&app);
	ck_assert(app_is(&app, "state", "\"paused\""));
	ck_assert_uint_eq(app_free_bytes(&app), 1024 * MIB - 4096);
	/* Using it asks for it. */
	ck_assert_uint_eq(app_sum(&app, large, 5 * MIB), sum);
	ck_assert_uint_eq(app_sum(&app, small, 4096), small_sum);
	wait_app(&app, "state", "\"running\"");
	ck_assert_ptr_nonnull(strstr(fictl_ok(&fid, "app", "pause", pid_text(&app), NULL), "is free"));
	ck_assert_ptr_nonnull(strstr(fictl_ok(&fid, "apps", NULL), " paused "));
	app_pause(&app);
	ck_assert_str_eq(fictl_ok(&fid, "app", "resume", pid_text(&app), NULL), "running\n");
	ck_assert(app_is(&app, "state", "\"running\""));
	ck_assert_uint_eq(app_free_bytes(&app), 1024 * MIB - 6 * MIB - 4096);
	app_pause(&app);
	ck_assert_str_eq(ASK(&app, "free %" PRIx64, large), "0");
	ck_assert_str_eq(ASK(&app, "free %" PRIx64, small), "0");
	ck_assert_uint_eq(app_free_bytes(&app), 1024 * MIB);
	app_end(&app);
	wait_app(&app, NULL, NULL);
}
END_TEST

START_TEST(test_many_cycles)
{
	static const uint64_t bytes[] = {2 * MIB, 2 * MIB + 8, 4096, 3 * MIB};
	struct app app = app_dlsym();
	uint64_t at[4], sum[4], before;

	for (int i = 0; i < 4; i++)
		at[i] = app_alloc(&app, bytes[i]);
	before = app_free_bytes(&app);
	for (unsigned cycle = 0; cycle < CYCLES; cycle++) {
		unsigned fresh = cycle % 4;

		app_store(&app, at[fresh], bytes[fresh], cycle);
		sum[fresh] = app_sum(&app, at[fresh], bytes[fresh]);
		app_pause(&app);
		if (cycle % 2)
			app_resume(&app);
		for (unsigned i = 0; i <= cycle && i < 4; i++)
			ck_assert_uint_eq(app_sum(&app, at[i], bytes[i]), sum[i]);
		wait_app(&app, "state", "\"running\"");
		ck_assert_uint_eq(app_free_bytes(&app), before);
	}
	ck_assert_str_eq(ASK(&app, "free %" PRIx64, at[2]), "0");
	app_end(&app);
}
END_TEST

/* Every launch of the storm is counted in device memory: none is lost or done twice. */
static void end_storm(struct app *app, uint64_t at)
{
	unsigned long launches = 0, refused = 9;
	uint64_t sum, other;

	sscanf(ASK(app, "calm"), "%lu %lu", &launches, &refused);
	ck_assert_uint_eq(refused, 0);
	ck_assert_uint_gt(launches, 0);
	sum = app_sum(app, at, 8);
	ck_assert_str_eq(ASK(app, "sync"), "0");
	other = launches;
	other = (other ^ (other >> 30)) * 0xbf58476d1ce4e5b9u;
	other = (other ^ (other >> 27)) * 0x94d049bb133111ebu;
	ck_assert_uint_eq(sum, other ^ (other >> 31));
}

/* One word that begins at nought: 2 MiB of a store whose first word mix(0) is 0. */
static uint64_t counter(struct app *app)
{
	uint64_t at = app_alloc(app, 2 * MIB);

	app_store(app, at, 8, 0);
	ck_assert_str_eq(ASK(app, "sync"), "0");
	return at;
}

START_TEST(test_pause_in_a_storm)
{
	struct app app = app_start(ways[_i]);
	uint64_t at = counter(&app);

	ck_assert_str_eq(ASK(&app, "storm %" PRIx64 " 4", at), "0");
	for (int i = 0; i < 20; i++)
		app_pause(&app);
	end_storm(&app, at);
	app_end(&app);
}
END_TEST

START_TEST(test_fork_leaves_the_session)
{
	struct app app = app_dlsym();
	uint64_t at = app_alloc(&app, 4 * MIB), sum;

	app_store(&app, at, 4 * MIB, 3);
	sum = app_sum(&app, at, 4 * MIB);
	ck_assert_str_eq(ASK(&app, "fork %" PRIx64, at), "42");
	app_pause(&app);
	ck_assert_str_eq(ASK(&app, "fork %" PRIx64, at), "42");
	ck_assert(app_is(&app, "state", "\"paused\""));
	ck_assert_uint_eq(app_sum(&app, at, 4 * MIB), sum);
	app_end(&app);
}
END_TEST

START_TEST(test_capture_is_waited_for)
{
	struct app app = app_dlsym();
	uint64_t at = app_alloc(&app, 2 * MIB), sum;
	int status;
	pid_t pid;

	app_store(&app, at, 2 * MIB, 11);
	sum = app_sum(&app, at, 2 * MIB);
	app_store(&app, at, 2 * MIB, 12);
	ck_assert_str_eq(ASK(&app, "sync"), "0");
	ck_assert_str_eq(ASK(&app, "capture %" PRIx64 " %" PRIu64 " 11", at, 2 * MIB / 8), "0");
	pid = pause_behind(&app);
	wait_app(&app, "state", "\"pausing\"");
	ck_assert_str_eq(ASK(&app, "captured"), "0");
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert(app_is(&app, "state", "\"paused\""));
	/* The graph has addresses in it; they lead to the new memory. */
	ck_assert_str_eq(ASK(&app, "replay"), "0");
	ck_assert_str_eq(ASK(&app, "sync"), "0");
	ck_assert_uint_eq(app_sum(&app, at, 2 * MIB), sum);
	app_end(&app);
}
END_TEST

/* A driver that lets such a stream go ends its capture; one that does not has the program end it. */
START_TEST(test_stream_destroyed_while_capturing)
{
	static const char *const lets_go[] = {"0", "1"};
	struct app app;
	uint64_t at, sum;

	setenv("FAKECUDA_LETS_GO", lets_go[_i], 1);
	app = app_dlsym();
	unsetenv("FAKECUDA_LETS_GO");
	at = app_alloc(&app, 2 * MIB);
	app_store(&app, at, 2 * MIB, 11);
	sum = app_sum(&app, at, 2 * MIB);
	ck_assert_str_eq(ASK(&app, "capture %" PRIx64 " %" PRIu64 " 12", at, 2 * MIB / 8), "0");
	ck_assert_str_eq(ASK(&app, "renew"), _i ? "0" : "900");
	if (!_i)
		ck_assert_str_eq(ASK(&app, "captured"), "901");
	app_pause(&app);
	ck_assert(app_is(&app, "state", "\"paused\""));
	ck_assert_uint_eq(app_sum(&app, at, 2 * MIB), sum);
	ck_assert_str_eq(ASK(&app, "capture %" PRIx64 " %" PRIu64 " 12", at, 2 * MIB / 8), "0");
	ck_assert_str_eq(ASK(&app, "captured"), "0");
	app_pause(&app);
	ck_assert_uint_eq(app_sum(&app, at, 2 * MIB), sum);
	app_end(&app);
}
END_TEST

/* ---- memory ------------------------------------------------------------------------------------ */

START_TEST(test_two_programs_take_turns)
{
	struct app a, b;
	uint64_t at_a, at_b, sum_a, sum_b;
	const char *line;

	setenv("FAKECUDA_MEMORY", "25165824", 1);
	setenv("FAKECUDA_SHARED", scratch_path("devices"), 1);
	a = app_dlsym();
	b = app_dlsym();
	at_a = app_alloc(&a, 14 * MIB);
	app_store(&a, at_a, 14 * MIB, 1);
	sum_a = app_sum(&a, at_a, 14 * MIB);
	ck_assert_str_eq(ASK(&b, "alloc 0 %" PRIu64, 14 * MIB), "2 0");
	app_pause(&a);
	at_b = app_alloc(&b, 14 * MIB);
	app_store(&b, at_b, 14 * MIB, 2);
	sum_b = app_sum(&b, at_b, 14 * MIB);
	ck_assert_uint_ne(sum_a, sum_b);
	for (int turn = 0; turn < 3; turn++) {
		tell(&a, "sum %" PRIx64 " %" PRIu64, at_a, 14 * MIB);
		wait_app(&a, "state", "\"resuming\"");
		ck_assert(app_is(&a, "waits_for_memory", "true"));
		ck_assert(!readable(&a, 0));
		app_pause(&b);
		line = hear(&a);
		ck_assert_uint_eq(strtoull(line + 2, NULL, 16), sum_a);
		wait_app(&a, "waits_for_memory", "false");
		tell(&b, "sum %" PRIx64 " %" PRIu64, at_b, 14 * MIB);
		wait_app(&b, "state", "\"resuming\"");
		app_pause(&a);
		line = hear(&b);
		ck_assert_uint_eq(strtoull(line + 2, NULL, 16), sum_b);
	}
	app_end(&b);
	ck_assert_uint_eq(app_sum(&a, at_a, 14 * MIB), sum_a);
	app_end(&a);
	unsetenv("FAKECUDA_MEMORY");
	unsetenv("FAKECUDA_SHARED");
}
END_TEST

START_TEST(test_quota)
{
	struct app app = app_dlsym();
	uint64_t at = app_alloc(&app, 4 * MIB);

	fictl_ok(&fid, "app", "quota", pid_text(&app), "8388608", NULL);
	ck_assert(app_is(&app, "quota", "8388608"));
	ck_assert_str_eq(ASK(&app, "info"), "0 4194304 8388608 8388608");
	ck_assert_str_eq(ASK(&app, "null-info"), "0");
	ck_assert_str_eq(ASK(&app, "alloc 0 %" PRIu64, 6 * MIB), "2 0");
	ck_assert_str_eq(ASK(&app, "alloc 0 %" PRIu64, UINT64_MAX - 5), "2 0");
	app_alloc(&app, 3 * MIB);
	ck_assert_str_eq(ASK(&app, "alloc 0 1"), "2 0");
	ck_assert_str_eq(ASK(&app, "free %" PRIx64, at), "0");
	at = app_alloc(&app, 4096);
	ck_assert_str_eq(ASK(&app, "free %" PRIx64, at), "0");
	fictl_ok(&fid, "app", "quota", pid_text(&app), "0", NULL);
	app_alloc(&app, 32 * MIB);
	app_end(&app);
}
END_TEST

START_TEST(test_memory_that_stays)
{
	struct app app;
	uint64_t at;

	setenv("FAKECUDA_FAIL", "cuMemCreate:1:801", 1);
	app = app_dlsym();
	unsetenv("FAKECUDA_FAIL");
	at = app_alloc(&app, 4 * MIB);
	app_store(&app, at, 4 * MIB, 1);
	wait_app(&app, "bytes", "4194304");
	ck_assert(app_is(&app, "vmm", "false"));
	fictl_fails(&fid, 1, "can be taken away", "app", "pause", pid_text(&app), NULL);
	ck_assert_str_eq(ASK(&app, "free %" PRIx64, at), "0");
	app_end(&app);
}
END_TEST

/* ---- when things break --------------------------------------------------------------------------- */

START_TEST(test_crash_while_paused)
{
	struct app app = app_dlsym(), other = app_dlsym();
	uint64_t at = app_alloc(&app, 8 * MIB);
	int before = settled_descriptors(fid.pid);

	app_store(&app, at, 8 * MIB, 1);
	wait_app(&app, "pausable_bytes", "8388608");
	app_pause(&app);
	ck_assert_int_eq(kill(app.pid, SIGKILL), 0);
	ck_assert_int_eq(app_wait(&app), -SIGKILL);
	wait_app(&app, NULL, NULL);
	ck_assert(app_is(&other, "state", "\"running\""));
	wait_descriptors(fid.pid, before - 1);
	fictl_fails(&fid, 1, "no program with that pid", "app", "resume", pid_text(&app), NULL);
	app_end(&other);
}
END_TEST

START_TEST(test_fid_killed_while_paused)
{
	struct app app = app_dlsym();
	uint64_t at = app_alloc(&app, 4 * MIB), sum;

	app_store(&app, at, 4 * MIB, 5);
	sum = app_sum(&app, at, 4 * MIB);
	app_pause(&app);
	kill_fid();
	ck_assert_uint_eq(app_sum(&app, at, 4 * MIB), sum);
	app_store(&app, at, 4 * MIB, 6);
	sum = app_sum(&app, at, 4 * MIB);
	fid_start(&fid, "fid", "64M", NULL);
	wait_app(&app, "pausable_bytes", "4194304");
	app_pause(&app);
	ck_assert_uint_eq(app_sum(&app, at, 4 * MIB), sum);
	app_end(&app);
}
END_TEST

START_TEST(test_fid_killed_in_a_storm)
{
	struct app app = app_dlsym();
	uint64_t at = counter(&app), random = 17 + (uint64_t)_i;

	ck_assert_str_eq(ASK(&app, "storm %" PRIx64 " 3", at), "0");
	for (int i = 0; i < 3; i++) {
		pid_t pid;

		wait_app(&app, "state", "\"running\"");
		pid = pause_behind(&app);
		poll(NULL, 0, (int)(test_random(&random) % 12)); /* anywhere in it */
		kill_fid();
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
		fid_start(&fid, "fid", "64M", NULL);
	}
	end_storm(&app, at);
	app_end(&app);
}
END_TEST

/* One that hangs may keep a program from nothing for longer than a moment. */
START_TEST(test_cost_is_measured)
{
	json_t *rows;

	set_environment();
	rows = json_loads(fictl_ok(NULL, "--json", "bench", "preload", "--count", "3", NULL), 0, NULL);
	ck_assert_uint_eq(json_array_size(rows), 2);
	for (size_t i = 0; i < 2; i++)
		ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(rows, i), "n")), 3);
	json_decref(rows);
}
END_TEST

START_TEST(test_fid_that_hangs)
{
	struct app app = app_dlsym();
	uint64_t at = app_alloc(&app, 2 * MIB), sum;

	app_store(&app, at, 2 * MIB, 5);
	sum = app_sum(&app, at, 2 * MIB);
	app_pause(&app);
	ck_assert_int_eq(kill(fid.pid, SIGSTOP), 0);
	ck_assert_uint_eq(app_sum(&app, at, 2 * MIB), sum);
	ck_assert_int_eq(kill(fid.pid, SIGCONT), 0);
	wait_app(&app, "state", "\"running\"");
	app_end(&app);
}
END_TEST

START_TEST(test_without_fid)
{
	struct app app;
	uint64_t at, sum;

	kill_fid();
	app = app_dlsym();
	at = app_alloc(&app, 4 * MIB);
	app_store(&app, at, 4 * MIB, 5);
	sum = app_sum(&app, at, 4 * MIB);
	ck_assert_uint_eq(app_sum(&app, at, 4 * MIB), sum);
	app_end(&app);
	fid_start(&fid, "fid", "64M", NULL);
}
END_TEST

/* A driver that fails while contents are saved: the program keeps them, and runs on. */
START_TEST(test_driver_fails_while_pausing)
{
	static const char *const calls[] = {"cuMemcpyDtoH_v2:2:1", "cuCtxSynchronize:1:1"};
	struct app app;
	uint64_t at, sum;

	setenv("FAKECUDA_FAIL", calls[_i], 1);
	app = app_dlsym();
	unsetenv("FAKECUDA_FAIL");
	at = app_alloc(&app, 4 * MIB);
	app_store(&app, at, 4 * MIB, 9);
	wait_app(&app, "pausable_bytes", "4194304");
	fictl_fails(&fid, 1, "", "app", "pause", pid_text(&app), NULL);
	ck_assert(app_is(&app, "state", "\"running\""));
	sum = app_sum(&app, at, 4 * MIB);
	app_pause(&app);
	ck_assert_uint_eq(app_sum(&app, at, 4 * MIB), sum);
	app_end(&app);
}
END_TEST

/* The first try to resume fails half-way: it is undone, and the next brings everything back. */
START_TEST(test_driver_fails_while_resuming)
{
	static const char *const calls[] = {"cuMemCreate:5:2", "cuMemMap:5:1", "cuMemSetAccess:4:1",
					    "cuMemcpyHtoD_v2:3:1"};
	uint64_t at[2], sum[2], before;
	struct app app;

	setenv("FAKECUDA_FAIL", calls[_i], 1);
	app = app_dlsym();
	unsetenv("FAKECUDA_FAIL");
	for (unsigned i = 0; i < 2; i++) {
		at[i] = app_alloc(&app, 4 * MIB);
		app_store(&app, at[i], 4 * MIB, i);
		sum[i] = app_sum(&app, at[i], 4 * MIB);
	}
	before = app_free_bytes(&app);
	app_pause(&app);
	app_resume(&app);
	for (unsigned i = 0; i < 2; i++)
		ck_assert_uint_eq(app_sum(&app, at[i], 4 * MIB), sum[i]);
	ck_assert_uint_eq(app_free_bytes(&app), before);
	app_end(&app);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("preload");
	TCase *plain = tcase_create("library"), *under = tcase_create("programs");

	tcase_add_checked_fixture(plain, set_environment, NULL);
	tcase_add_test(plain, test_needs_only_libc);
	tcase_add_test(plain, test_calls_have_the_vendors_arguments);
	tcase_add_test(plain, test_lookups_are_exact);
	tcase_add_test(plain, test_switched_off);
	tcase_add_test(plain, test_cost_is_measured);
	tcase_add_test(plain, test_other_programs_see_nothing);
	suite_add_tcase(suite, plain);

	tcase_add_checked_fixture(under, setup, teardown);
	tcase_set_timeout(under, 300);
	tcase_add_loop_test(under, test_every_way_in, 0, (int)(sizeof(ways) / sizeof(ways[0])));
	tcase_add_test(under, test_many_cycles);
	tcase_add_loop_test(under, test_pause_in_a_storm, 0, 2);
	tcase_add_test(under, test_fork_leaves_the_session);
	tcase_add_test(under, test_capture_is_waited_for);
	tcase_add_loop_test(under, test_stream_destroyed_while_capturing, 0, 2);
	tcase_add_test(under, test_two_programs_take_turns);
	tcase_add_test(under, test_quota);
	tcase_add_test(under, test_memory_that_stays);
	tcase_add_test(under, test_crash_while_paused);
	tcase_add_test(under, test_fid_killed_while_paused);
	tcase_add_test(under, test_fid_killed_in_a_storm);
	tcase_add_test(under, test_fid_that_hangs);
	tcase_add_test(under, test_without_fid);
	tcase_add_loop_test(under, test_driver_fails_while_pausing, 0, 2);
	tcase_add_loop_test(under, test_driver_fails_while_resuming, 0, 4);
	suite_add_tcase(suite, under);
	return suite;
}
