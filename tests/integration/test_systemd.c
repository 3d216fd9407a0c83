/* SPDX-License-Identifier: MIT */
/* fid under a service manager: its units, a socket that was opened for it, and READY=1 when it serves. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/fid.h"
#include "tests/support/support.h"

#define FIRST_PASSED 3 /* sd_listen_fds(3) */

static int bound_socket(const char *path, int type)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.100s", path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void become_fid(const struct test_fid *fid, const char *notify, int listener)
{
	char program[600], pid[16];

	snprintf(program, sizeof(program), "%s/fid", build_dir());
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setenv("NOTIFY_SOCKET", notify, 1);
	setenv("LISTEN_FDS", "1", 1);
	setenv("LISTEN_PID", pid, 1);
	if (listener == FIRST_PASSED)
		fcntl(listener, F_SETFD, 0);
	else
		dup2(listener, FIRST_PASSED);
	execl(program, "fid", "--foreground", "--root", fid->root, "--pool", "16M", (char *)NULL);
	_exit(127);
}

/* Waits for one state message of the service. */
static void expect_state(int notify, const char *state)
{
	struct pollfd pfd = {.fd = notify, .events = POLLIN};
	char text[256];
	ssize_t n;

	ck_assert_int_eq(poll(&pfd, 1, 60000), 1);
	n = recv(notify, text, sizeof(text) - 1, 0);
	ck_assert_int_gt(n, 0);
	text[n] = 0;
	ck_assert_ptr_nonnull(strstr(text, state));
}

START_TEST(takes_the_socket_that_was_opened_for_it_and_tells_its_state)
{
	struct test_fid fid = {.pid = 0};
	char notify_path[600];
	int listener, notify;

	snprintf(fid.root, sizeof(fid.root), "%s", scratch_path("root"));
	snprintf(fid.socket, sizeof(fid.socket), "%s", scratch_path("sock"));
	snprintf(notify_path, sizeof(notify_path), "%s", scratch_path("notify"));
	listener = bound_socket(fid.socket, SOCK_STREAM);
	ck_assert_int_eq(listen(listener, 16), 0);
	notify = bound_socket(notify_path, SOCK_DGRAM);
	fid.pid = fork();
	ck_assert_int_ge(fid.pid, 0);
	if (!fid.pid)
		become_fid(&fid, notify_path, listener);
	close(listener);
	expect_state(notify, "READY=1");
	ck_assert_int_eq(json_at(fictl_ok(&fid, "status", "--json", NULL), "pid"), fid.pid);
	ck_assert_int_eq(kill(fid.pid, SIGTERM), 0);
	expect_state(notify, "STOPPING=1");
	ck_assert_int_eq(fid_wait(&fid), 0);
	/* The path is the service manager's, not fid's to remove. */
	ck_assert_int_eq(access(fid.socket, F_OK), 0);
	close(notify);
}
END_TEST

/* The units as they are installed, but with our programs. */
START_TEST(the_units_are_what_systemd_expects)
{
	char command[4096], service[600], probe[600];
	const char *const verify[] = {"/usr/bin/systemd-analyze", "verify", "--man=no", service, probe, NULL};
	struct test_output output;

	if (access(verify[0], X_OK)) {
		skip_test("systemd", "no systemd-analyze");
		return;
	}
	snprintf(service, sizeof(service), "%s", scratch_path("fid.service"));
	snprintf(probe, sizeof(probe), "%s", scratch_path("fid-probe.service"));
	for (int i = 0; i < 2; i++) {
		snprintf(command, sizeof(command),
			 "sed 's|@[a-z]*dir@/[a-z-]*|/bin/true|g' %s/tools/deploy/%s.service.in > %s",
			 source_dir(), i ? "fid-probe" : "fid", i ? probe : service);
		ck_assert_int_eq(system(command), 0);
	}
	run_program(&output, verify);
	ck_assert_msg(!output.status && !strstr(output.err, scratch_dir()), "%s", output.err);
	test_output_free(&output);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("systemd");
	TCase *tc = tcase_create("fid");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, the_units_are_what_systemd_expects);
	tcase_add_test(tc, takes_the_socket_that_was_opened_for_it_and_tells_its_state);
	suite_add_tcase(suite, tc);
	return suite;
}
