/* SPDX-License-Identifier: MIT */
/* tests/support/fid: see fid.h. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/fid.h"
#include "tests/support/support.h"

#define ARGS_MAX 48
#define WAIT_MS 60000

/* ---- the daemon ------------------------------------------------------------------- */

static const char *fid_path = "fid"; /* in the build folder */

void fid_program(const char *path)
{
	fid_path = path;
}

static void set_up(struct test_fid *fid, const char *name)
{
	char dir[400];

	snprintf(dir, sizeof(dir), "%.300s/%.80s", scratch_dir(), name);
	mkdir(dir, 0755);
	snprintf(fid->root, sizeof(fid->root), "%s/root", dir);
	snprintf(fid->socket, sizeof(fid->socket), "%s/sock", dir);
	snprintf(fid->log, sizeof(fid->log), "%s/log", dir);
	ck_assert_uint_lt(strlen(fid->socket), sizeof(((struct sockaddr_un *)0)->sun_path));
}

struct start {
	const char *pool;
	const char *const *extra;
	bool as_user;
	uid_t uid;
	uint64_t memlock;
};

static void become(const struct start *start)
{
	struct rlimit limit = {start->memlock, start->memlock};

	if (setrlimit(RLIMIT_MEMLOCK, &limit) || setgroups(0, NULL) ||
	    setresgid(start->uid, start->uid, start->uid) ||
	    setresuid(start->uid, start->uid, start->uid))
		_exit(126);
}

static void spawn(struct test_fid *fid, const struct start *start)
{
	const char *argv[ARGS_MAX] = {"fid",	  "--foreground", "--root", fid->root,
				      "--socket", fid->socket,	  "--pool", start->pool,
				      "--prefetch", "off"};
	char path[600];
	int n = 10;

	for (int i = 0; start->extra && start->extra[i] && n < ARGS_MAX - 1; i++)
		argv[n++] = start->extra[i];
	snprintf(path, sizeof(path), "%s/%s", build_dir(), fid_path);
	fid->pid = fork();
	ck_assert_int_ge(fid->pid, 0);
	if (fid->pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves no daemon behind */
	int log = open(fid->log, O_WRONLY | O_CREAT | O_APPEND, 0666);
	dup2(log, STDERR_FILENO);
	dup2(log, STDOUT_FILENO);
	/* Opened before: another user may not get at it where root keeps its clone. */
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (start->as_user)
		become(start);
	fexecve(fd, (char *const *)(uintptr_t)argv, environ);
	_exit(127);
}

static bool serves(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok;

	memcpy(addr.sun_path, path, strnlen(path, sizeof(addr.sun_path) - 1));
	ok = fd >= 0 && !connect(fd, (struct sockaddr *)&addr, sizeof(addr));
	if (fd >= 0)
		close(fd);
	return ok;
}

static void print_log(const struct test_fid *fid)
{
	char line[1024];
	FILE *file = fopen(fid->log, "re");

	while (file && fgets(line, sizeof(line), file))
		fprintf(stderr, "%s", line);
	if (file)
		fclose(file);
}

static void wait_until_serving(struct test_fid *fid)
{
	for (int ms = 0; ms < WAIT_MS; ms += 5) {
		if (serves(fid->socket))
			return;
		if (waitpid(fid->pid, NULL, WNOHANG) == fid->pid)
			break;
		poll(NULL, 0, 5);
	}
	print_log(fid);
	ck_abort_msg("fid does not serve");
}

void fid_spawn(struct test_fid *fid, const char *name, const char *pool, const char *const *extra)
{
	set_up(fid, name);
	spawn(fid, &(struct start){.pool = pool, .extra = extra});
}

void fid_start(struct test_fid *fid, const char *name, const char *pool, const char *const *extra)
{
	fid_spawn(fid, name, pool, extra);
	wait_until_serving(fid);
}

void fid_start_as(struct test_fid *fid, const char *name, const char *pool, uid_t uid,
		  uint64_t memlock, const char *const *extra)
{
	char dir[512];

	set_up(fid, name);
	snprintf(dir, sizeof(dir), "%s", fid->root);
	*strrchr(dir, '/') = 0;
	ck_assert_int_eq(chown(dir, uid, uid), 0);
	ck_assert_int_eq(chmod(scratch_dir(), 0755), 0);
	spawn(fid, &(struct start){pool, extra, true, uid, memlock});
	wait_until_serving(fid);
}

int fid_wait(struct test_fid *fid)
{
	int status;

	for (int ms = 0; ms < WAIT_MS; ms += 5) {
		if (waitpid(fid->pid, &status, WNOHANG) == fid->pid) {
			fid->pid = 0;
			return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
		}
		poll(NULL, 0, 5);
	}
	print_log(fid);
	ck_abort_msg("fid does not end");
	return -1;
}

void fid_stop(struct test_fid *fid)
{
	int status;

	ck_assert_int_eq(kill(fid->pid, SIGTERM), 0);
	status = fid_wait(fid);
	if (status)
		print_log(fid);
	ck_assert_int_eq(status, 0);
}

uint64_t proc_status_bytes(pid_t pid, const char *key)
{
	char path[64], line[256];
	unsigned long long kb = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':')
			kb = strtoull(line + strlen(key) + 1, NULL, 10);
	fclose(file);
	return kb * 1024;
}

int proc_descriptors(pid_t pid)
{
	char path[64];
	int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

int settled_descriptors(pid_t pid)
{
	int last = -1, same = 0;

	while (same < 20) {
		int now = proc_descriptors(pid);

		same = now == last ? same + 1 : 0;
		last = now;
		poll(NULL, 0, 1);
	}
	return last;
}

void wait_descriptors(pid_t pid, int n)
{
	int have = 0;

	for (int ms = 0; ms < WAIT_MS; ms += 2) {
		have = proc_descriptors(pid);
		if (have == n)
			return;
		poll(NULL, 0, 2);
	}
	ck_abort_msg("process %d has %d descriptors, not %d", (int)pid, have, n);
}

struct paths {
	char *at[4096];
	int n;
};

static struct paths *walked;

static int walk(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	if (walked->n == (int)(sizeof(walked->at) / sizeof(walked->at[0])))
		return 1;
	walked->at[walked->n] = strdup(path);
	return !walked->at[walked->n++];
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char *file_list(const char *dir)
{
	struct paths paths = {.n = 0};
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	ck_assert_ptr_nonnull(out);
	walked = &paths;
	ck_assert_int_eq(nftw(dir, walk, 16, FTW_PHYS), 0);
	qsort(paths.at, (size_t)paths.n, sizeof(paths.at[0]), by_text);
	for (int i = 0; i < paths.n; i++) {
		fprintf(out, "%s\n", paths.at[i]);
		free(paths.at[i]);
	}
	fclose(out);
	return text;
}

/* ---- programs ---------------------------------------------------------------------- */

void test_output_free(struct test_output *output)
{
	free(output->out);
	free(output->err);
	*output = (struct test_output){0};
}

static char *read_all(FILE *file)
{
	char *text;
	long len;

	fseek(file, 0, SEEK_END);
	len = ftell(file);
	rewind(file);
	text = calloc(1, (size_t)len + 1);
	ck_assert_ptr_nonnull(text);
	ck_assert_uint_eq(fread(text, 1, (size_t)len, file), (size_t)len);
	fclose(file);
	return text;
}

void run_program(struct test_output *ret, const char *const *argv)
{
	run_program_watched(ret, argv, NULL, NULL);
}

void run_program_watched(struct test_output *ret, const char *const *argv,
			 void (*started)(void *ctx, pid_t pid), void *ctx)
{
	FILE *out = tmpfile(), *err = tmpfile();
	int status = 0, ms = 0, go[2];
	pid_t pid;

	ck_assert(out && err && !pipe2(go, O_CLOEXEC));
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		int null_fd = open("/dev/null", O_RDONLY);
		char byte;

		if (read(go[0], &byte, 1) != 1)
			_exit(127);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(null_fd, STDIN_FILENO);
		dup2(fileno(out), STDOUT_FILENO);
		dup2(fileno(err), STDERR_FILENO);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	if (started)
		started(ctx, pid);
	ck_assert_int_eq(write(go[1], "", 1), 1);
	close(go[0]);
	close(go[1]);
	while (waitpid(pid, &status, WNOHANG) != pid) {
		poll(NULL, 0, 2);
		ms += 2;
		if (ms > 5 * WAIT_MS)
			kill(pid, SIGKILL);
	}
	ret->status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	ret->out = read_all(out);
	ret->err = read_all(err);
}

void fictl(struct test_output *ret, const struct test_fid *fid, const char *const *args)
{
	const char *argv[ARGS_MAX];
	char program[600];
	int n = 0;

	snprintf(program, sizeof(program), "%s/fictl", build_dir());
	argv[n++] = program;
	if (fid) {
		argv[n++] = "--socket";
		argv[n++] = fid->socket;
	}
	for (int i = 0; args[i] && n < ARGS_MAX - 1; i++)
		argv[n++] = args[i];
	argv[n] = NULL;
	run_program(ret, argv);
}

void check_message(const struct test_output *output)
{
	const char *text = output->err;
	size_t len = strlen(text);

	ck_assert_msg(!strncmp(text, "fictl: ", 7) && len > 8, "not a message: \"%s\"", text);
	ck_assert_msg(strchr(text, '\n') == text + len - 1, "not one line: \"%s\"", text);
	for (size_t i = 0; i + 1 < len; i++)
		ck_assert_msg((unsigned char)text[i] >= ' ' && text[i] != 0x7f,
			      "control character in \"%s\"", text);
}

static void collect(const char **args, va_list list)
{
	int n = 0;

	while (n < ARGS_MAX - 8 && (args[n] = va_arg(list, const char *)))
		n++;
	args[n] = NULL;
}

const char *fictl_ok(const struct test_fid *fid, ...)
{
	static struct test_output ring[8];
	static unsigned at;
	struct test_output *output = &ring[at++ % 8];
	const char *args[ARGS_MAX];
	va_list list;

	va_start(list, fid);
	collect(args, list);
	va_end(list);
	test_output_free(output);
	fictl(output, fid, args);
	ck_assert_msg(output->status == 0, "fictl %s %s: exit %d: %s", args[0], args[1] ? args[1] : "",
		      output->status, output->err);
	return output->out;
}

void fictl_fails(const struct test_fid *fid, int status, const char *needle, ...)
{
	struct test_output output;
	const char *args[ARGS_MAX];
	va_list list;

	va_start(list, needle);
	collect(args, list);
	va_end(list);
	fictl(&output, fid, args);
	ck_assert_msg(output.status == status, "fictl %s %s: exit %d, not %d: %s%s", args[0],
		      args[1] ? args[1] : "", output.status, status, output.err, output.out);
	ck_assert_msg(strstr(output.err, needle) != NULL, "fictl %s: \"%s\" does not say \"%s\"",
		      args[0], output.err, needle);
	test_output_free(&output);
}

/* Enough of JSON for numbers of our own documents: finds "key" at its depth. */
int64_t json_at(const char *json, const char *path)
{
	const char *at = json;

	while (*path && at) {
		size_t len = strcspn(path, ".");
		char key[128];

		snprintf(key, sizeof(key), "\"%.*s\":", (int)len, path);
		at = strstr(at, key);
		if (at)
			at += strlen(key);
		path += len + (path[len] == '.');
	}
	return at ? strtoll(at, NULL, 10) : 0;
}

int64_t status_at(const struct test_fid *fid, const char *path)
{
	return json_at(fictl_ok(fid, "status", "--json", NULL), path);
}
