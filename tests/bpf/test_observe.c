/* SPDX-License-Identifier: MIT */
/* fid and fid-probe together: what is seen coming is there before it is asked for. */
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bpf/bpf.h"
#include "tests/support/fid.h"

#define NOBODY 65534
#define WAIT_MS 30000

static pid_t spawn(const char *const *argv)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(open("/dev/null", O_RDWR), STDOUT_FILENO);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int connect_tcp(uint16_t port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	close(fd);
	return -1;
}

/* A port that was free a moment ago. */
static uint16_t free_port(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	close(fd);
	return ntohs(addr.sin_port);
}

/* A program that owns the port. */
static pid_t spawn_server(const char *const *argv, uint16_t port)
{
	pid_t pid = spawn(argv);
	int fd;

	for (int ms = 0; ms < WAIT_MS; ms += 10) {
		fd = connect_tcp(port);
		if (fd >= 0) {
			close(fd);
			return pid;
		}
		poll(NULL, 0, 10);
	}
	ck_abort_msg("%s does not serve", argv[0]);
	return pid;
}

/* It knows nothing of us. */
static pid_t foreign_server(uint16_t port)
{
	char number[8];
	const char *const argv[] = {"python3", "-m", "http.server", "--bind", "127.0.0.1", number, NULL};

	snprintf(number, sizeof(number), "%u", port);
	return spawn_server(argv, port);
}

static pid_t start_probe(const char *dir, const char *path)
{
	char program[600], fictl_path[600];
	const char *const argv[] = {program, "--pin", dir, "run", "--file", fictl_path, "--uid", "nobody",
				    "--socket", path, NULL};
	struct stat st;
	pid_t pid;

	snprintf(program, sizeof(program), "%s/fid-probe", build_dir());
	snprintf(fictl_path, sizeof(fictl_path), "%s/fictl", build_dir());
	pid = spawn(argv);
	for (int ms = 0; ms < WAIT_MS; ms += 5) {
		if (!stat(path, &st) && st.st_mode & S_IWOTH)
			return pid;
		ck_assert_msg(waitpid(pid, NULL, WNOHANG) == 0, "fid-probe ended");
		poll(NULL, 0, 5);
	}
	ck_abort_msg("fid-probe does not serve");
	return pid;
}

/* Waits until what fictl prints for @command holds @needle. */
static void expect(const struct test_fid *fid, const char *command, const char *verb,
		   const char *needle)
{
	for (int ms = 0; ms < WAIT_MS; ms += 10) {
		if (strstr(fictl_ok(fid, command, verb, NULL), needle))
			return;
		poll(NULL, 0, 10);
	}
	ck_abort_msg("%s never says %s", command, needle);
}

static void import_digits(const struct test_fid *fid)
{
	fictl_ok(fid, "import", golden_path("digits/digits.onnx"), NULL);
}

/* What Prometheus is told; @text holds 64 KiB. */
static void read_metrics(const struct test_fid *fid, char *text)
{
	const char *http = strstr(fictl_ok(fid, "status", "--json", NULL), "\"http\": \"127.0.0.1:");
	const char request[] = "GET /metrics HTTP/1.0\r\n\r\n";
	size_t len = 0;
	ssize_t n;
	int fd;

	ck_assert_ptr_nonnull(http);
	fd = connect_tcp((uint16_t)atoi(http + strlen("\"http\": \"127.0.0.1:")));
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, request, sizeof(request) - 1), sizeof(request) - 1);
	while ((n = read(fd, text + len, 65535 - len)) > 0)
		len += (size_t)n;
	text[len] = 0;
	close(fd);
}

static void check_metrics(const struct test_fid *fid)
{
	char text[65536];

	read_metrics(fid, text);
	ck_assert_ptr_nonnull(strstr(text, "fusedinf_arrivals_total{source=\"tcp\"} 1\n"));
	ck_assert_ptr_nonnull(strstr(text, "fusedinf_arrivals_total{source=\"call\"} 1\n"));
	ck_assert_ptr_nonnull(strstr(text, "fusedinf_prefetches_total{outcome=\"hit\"} 1\n"));
}

START_TEST(the_model_is_there_before_the_first_byte_of_the_request)
{
	const char *dir = bpf_begin(), *extra[] = {"--probe", NULL, "--http", "0", "--prefetch", "25%", NULL};
	char socket_path[600], port_text[8], answer[16];
	struct test_fid fid;
	uint16_t port = free_port();
	pid_t probe, server;
	int fd;

	if (!dir)
		return;
	snprintf(socket_path, sizeof(socket_path), "%s", scratch_path("probe.sock"));
	snprintf(port_text, sizeof(port_text), "%u", port);
	ck_assert_int_eq(chmod(scratch_dir(), 0755), 0);
	probe = start_probe(dir, socket_path);
	server = foreign_server(port);
	extra[1] = socket_path;
	fid_start_as(&fid, "fid", "64M", NOBODY, 8 << 20, extra);
	import_digits(&fid);
	fictl_ok(&fid, "probe", "add", "--model", "digits", "--tcp", port_text, NULL);
	ck_assert_ptr_nonnull(strstr(fictl_ok(&fid, "probe", "list", NULL), port_text));
	ck_assert_ptr_nonnull(strstr(fictl_ok(&fid, "models", NULL), "cold"));

	fd = connect_tcp(port);
	ck_assert_int_ge(fd, 0);
	expect(&fid, "models", NULL, "resident");
	/* Only now does the client say what it wants, and gets it from its own server. */
	ck_assert_int_eq(write(fd, "GET / HTTP/1.0\r\n\r\n", 18), 18);
	ck_assert_int_ge(read(fd, answer, sizeof(answer)), 12);
	ck_assert_int_eq(memcmp(answer, "HTTP/1.0 200", 12), 0);
	close(fd);

	fictl_ok(&fid, "infer", "digits", NULL);
	ck_assert_int_eq(json_at(fictl_ok(&fid, "status", "--json", NULL), "prefetch.hits"), 1);
	ck_assert_int_eq(json_at(fictl_ok(&fid, "status", "--json", NULL), "requests.cold"), 0);
	/* The call of that request was seen as well: in fictl, by its USDT site. */
	expect(&fid, "probe", "list", "1 calls, 1 connections");
	check_metrics(&fid);
	fictl_ok(&fid, "probe", "rm", "--tcp", port_text, NULL);
	fictl_fails(&fid, 1, "No such file", "probe", "rm", "--tcp", port_text, NULL);
	fid_stop(&fid);
	end(server);
	end(probe);
}
END_TEST

/* ---- programs under the preload library ------------------------------------------------ */

/* Loopback in a network namespace of our own, whoever started before stays where it is. */
static void move_away(void)
{
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd;

	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	close(fd);
}

static pid_t cuda_server(const struct test_fid *fid, uint16_t port)
{
	char fictl_path[600], program[600], driver[600], number[8];
	const char *const argv[] = {fictl_path, "--socket", fid->socket, "app", "run", "--", program,
				    number, NULL};

	snprintf(fictl_path, sizeof(fictl_path), "%s/fictl", build_dir());
	snprintf(program, sizeof(program), "%s/tests/preload/server", build_dir());
	snprintf(driver, sizeof(driver), "%s/tests/fakecuda", build_dir());
	snprintf(number, sizeof(number), "%u", port);
	setenv("LD_LIBRARY_PATH", driver, 1);
	setenv("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0", 1);
	return spawn_server(argv, port);
}

/* The first byte of the request, and the whole answer. */
static void finish(int fd, char answer[17])
{
	size_t len = 0;
	ssize_t n;

	ck_assert_int_eq(write(fd, "?", 1), 1);
	while ((n = read(fd, answer + len, 16 - len)) > 0)
		len += (size_t)n;
	ck_assert_uint_eq(len, 16);
	answer[16] = 0;
	close(fd);
}

/* Its device memory is back before the client has said anything, and its own code has run. */
static void check_app(const struct test_fid *fid, pid_t server, uint16_t port, const char *whose)
{
	char pid_text[16], port_text[8], listed[40], before[17], after[17];
	int fd;

	snprintf(pid_text, sizeof(pid_text), "%d", (int)server);
	snprintf(port_text, sizeof(port_text), "%u", port);
	snprintf(listed, sizeof(listed), "program %d\n", (int)server);
	expect(fid, "apps", "--json", "\"pausable_bytes\": 4194304");
	finish(connect_tcp(port), before);
	ck_assert_str_ne(before, "0000000000000000");
	ck_assert_ptr_nonnull(strstr(fictl_ok(fid, "probe", "add", "--app", pid_text, "--tcp", port_text, NULL),
				     whose));
	ck_assert_ptr_nonnull(strstr(fictl_ok(fid, "probe", "list", NULL), listed));
	fictl_ok(fid, "app", "pause", pid_text, NULL);
	ck_assert_ptr_nonnull(strstr(fictl_ok(fid, "apps", "--json", NULL), "\"state\": \"paused\""));
	fd = connect_tcp(port);
	ck_assert_int_ge(fd, 0);
	expect(fid, "apps", "--json", "\"state\": \"running\"");
	finish(fd, after);
	ck_assert_str_eq(before, after);
	expect(fid, "apps", "--json", "\"arrivals\": 1");
	/* Taken away, it waits for the program's own call. */
	fictl_ok(fid, "probe", "rm", "--app", pid_text, "--tcp", port_text, NULL);
	fictl_ok(fid, "app", "pause", pid_text, NULL);
	fd = connect_tcp(port);
	ck_assert_ptr_nonnull(strstr(fictl_ok(fid, "apps", "--json", NULL), "\"state\": \"paused\""));
	finish(fd, after);
	ck_assert_str_eq(before, after);
	/* What is left behind ends with the program. */
	fictl_ok(fid, "probe", "add", "--app", pid_text, "--tcp", port_text, NULL);
	end(server);
	expect(fid, "apps", "--json", "[]");
	ck_assert_ptr_null(strstr(fictl_ok(fid, "probe", "list", NULL), "tcp"));
	fictl_fails(fid, 1, "no program with that pid", "probe", "add", "--app", pid_text, "--tcp", port_text,
		    NULL);
}

/* fid may look at the program's network namespace; or it may not, and both are in one. */
START_TEST(a_paused_program_is_resumed_by_a_connection)
{
	const char *dir = bpf_begin(), *extra[] = {"--probe", NULL, "--http", "0", NULL};
	char socket_path[600], text[65536];
	struct test_fid fid;
	uint16_t port = free_port();
	pid_t probe;

	if (!dir)
		return;
	snprintf(socket_path, sizeof(socket_path), "%s", scratch_path("probe.sock"));
	ck_assert_int_eq(chmod(scratch_dir(), 0755), 0);
	probe = start_probe(dir, socket_path);
	extra[1] = socket_path;
	if (_i) {
		fid_start_as(&fid, "fid", "16M", NOBODY, 8 << 20, extra);
		check_app(&fid, cuda_server(&fid, port), port, "fid-probe's");
		read_metrics(&fid, text);
		ck_assert_ptr_nonnull(strstr(text, "fusedinf_arrivals_total{source=\"app\"} 1\n"));
	} else {
		fid_start(&fid, "fid", "16M", extra);
		move_away();
		check_app(&fid, cuda_server(&fid, port), port, "program's");
	}
	fid_stop(&fid);
	end(probe);
}
END_TEST

static void check_never_seen_coming(const struct test_fid *fid, const char *model)
{
	char *text = strdup(fictl_ok(fid, "events", NULL)), *rest = text, *line;

	while ((line = strsep(&rest, "\n")))
		ck_assert_msg(!strstr(line, model) || !strstr(line, "seen coming"), "%s", line);
	free(text);
}

/* A call that was served, read from the ring only after its model was unloaded. */
START_TEST(an_old_call_brings_nothing_back)
{
	const char *dir = bpf_begin(), *extra[] = {"--probe", NULL, "--prefetch", "25%", NULL};
	char socket_path[600], port_text[8];
	struct test_fid fid;
	uint16_t port = free_port();
	pid_t probe, server;

	if (!dir)
		return;
	snprintf(socket_path, sizeof(socket_path), "%s", scratch_path("probe.sock"));
	snprintf(port_text, sizeof(port_text), "%u", port);
	ck_assert_int_eq(chmod(scratch_dir(), 0755), 0);
	probe = start_probe(dir, socket_path);
	server = foreign_server(port);
	extra[1] = socket_path;
	fid_start_as(&fid, "fid", "64M", NOBODY, 8 << 20, extra);
	import_digits(&fid);
	fictl_ok(&fid, "import", golden_path("digits/digits.onnx"), "--name", "other", NULL);
	fictl_ok(&fid, "probe", "add", "--model", "other", "--tcp", port_text, NULL);
	for (int round = 0; round < 5; round++) {
		int fd;

		fictl_ok(&fid, "infer", "other", NULL);
		fictl_ok(&fid, "load", "digits", NULL);
		fictl_ok(&fid, "infer", "digits", NULL);
		fictl_ok(&fid, "unload", "other", NULL);
		fictl_ok(&fid, "unload", "digits", NULL);
		fd = connect_tcp(port); /* the ring is read at once, from its beginning */
		ck_assert_int_ge(fd, 0);
		expect(&fid, "models", NULL, "resident");
		close(fd);
	}
	expect(&fid, "events", NULL, "seen coming");
	check_never_seen_coming(&fid, "digits:1");
	fid_stop(&fid);
	end(server);
	end(probe);
}
END_TEST

START_TEST(without_fid_probe_all_else_works)
{
	const char *extra[] = {"--probe", "/nonexistent/probe.sock", NULL};
	struct test_fid fid;

	fid_start(&fid, "alone", "16M", extra);
	import_digits(&fid);
	fictl_ok(&fid, "infer", "digits", NULL);
	ck_assert_ptr_nonnull(strstr(fictl_ok(&fid, "probe", "list", NULL), "No such file"));
	fictl_fails(&fid, 1, "arrivals are not observed", "probe", "add", "--model", "digits", "--tcp", "80",
		    NULL);
	fictl_fails(&fid, 1, "no model named x", "probe", "add", "--model", "x", "--tcp", "80", NULL);
	fictl_fails(&fid, 1, "no program with that pid", "probe", "add", "--app", "1", "--tcp", "80", NULL);
	fictl_fails(&fid, 2, "either", "probe", "add", "--app", "1", "--model", "x", "--tcp", "80", NULL);
	fictl_fails(&fid, 2, "65536", "probe", "add", "--model", "digits", "--tcp", "65536", NULL);
	fid_stop(&fid);
}
END_TEST

START_TEST(a_dying_fid_probe_takes_nothing_along)
{
	const char *dir = bpf_begin(), *extra[] = {"--probe", NULL, NULL};
	char socket_path[600];
	struct test_fid fid;
	pid_t probe;
	int descriptors;

	if (!dir)
		return;
	snprintf(socket_path, sizeof(socket_path), "%s", scratch_path("probe.sock"));
	ck_assert_int_eq(chmod(scratch_dir(), 0755), 0);
	probe = start_probe(dir, socket_path);
	extra[1] = socket_path;
	fid_start(&fid, "fid", "16M", extra);
	import_digits(&fid);
	expect(&fid, "probe", "list", "observing: on");
	descriptors = proc_descriptors(fid.pid);
	end(probe);
	fictl_fails(&fid, 1, "arrivals are not observed", "probe", "add", "--model", "digits", "--tcp", "80",
		    NULL);
	ck_assert_int_lt(proc_descriptors(fid.pid), descriptors);
	fictl_ok(&fid, "infer", "digits", NULL);
	/* Its successor is found again, and knows the models. */
	probe = start_probe(dir, socket_path);
	expect(&fid, "probe", "list", "observing: on");
	fictl_ok(&fid, "probe", "add", "--model", "digits", "--tcp", "80", NULL);
	fid_stop(&fid);
	end(probe);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("observe");
	TCase *tc = tcase_create("fid and fid-probe");

	tcase_set_timeout(tc, 180);
	tcase_add_test(tc, the_model_is_there_before_the_first_byte_of_the_request);
	tcase_add_loop_test(tc, a_paused_program_is_resumed_by_a_connection, 0, 2);
	tcase_add_test(tc, an_old_call_brings_nothing_back);
	tcase_add_test(tc, without_fid_probe_all_else_works);
	tcase_add_test(tc, a_dying_fid_probe_takes_nothing_along);
	suite_add_tcase(suite, tc);
	return suite;
}
