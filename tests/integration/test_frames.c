/* SPDX-License-Identifier: MIT */
/*
 * Clients that misbehave, go away, cancel and come late, frame by frame: nobody
 * blocks anybody, and what a client held is free when it is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fusedinf/client.h>

#include "ipc/ipc.h"
#include "tests/support/digits.h"
#include "tests/support/frames.h"
#include "tests/support/support.h"

#define WAIT_MS 30000

/* ---- clients that misbehave
 * ----------------------------------------------------------------------- */

static void bad_nothing(struct finf_buf *buf)
{
	(void)buf;
}

static void bad_half_header(struct finf_buf *buf)
{
	struct finf_wire_header head = frame_header(FINF_WIRE_CONTROL, 100, 1);

	put_hello(buf);
	finf_buf_put(buf, &head, sizeof(head) / 2);
}

static void bad_half_payload(struct finf_buf *buf)
{
	struct finf_wire_header head = frame_header(FINF_WIRE_CONTROL, 100, 1);

	put_hello(buf);
	finf_buf_put(buf, &head, sizeof(head));
	finf_buf_put(buf, "{\"command\"", 10);
}

static void bad_garbage(struct finf_buf *buf)
{
	uint64_t random = 5;

	for (int i = 0; i < 1000; i++) {
		uint64_t word = test_random(&random);

		finf_buf_put(buf, &word, sizeof(word));
	}
}

static void bad_length(struct finf_buf *buf)
{
	struct finf_wire_header head = frame_header(FINF_WIRE_CONTROL, UINT32_MAX, 1);

	put_hello(buf);
	finf_buf_put(buf, &head, sizeof(head));
}

static void bad_version(struct finf_buf *buf)
{
	struct finf_wire_header head =
		frame_header(FINF_WIRE_HELLO, sizeof(struct finf_wire_hello), 0);
	struct finf_wire_hello hello = {.pid = 1};

	head.version = 99;
	finf_buf_put(buf, &head, sizeof(head));
	finf_buf_put(buf, &hello, sizeof(hello));
}

static void bad_no_hello(struct finf_buf *buf)
{
	put_infer(buf, "digits", 1, 0);
}

static void bad_two_hellos(struct finf_buf *buf)
{
	put_hello(buf);
	put_hello(buf);
}

static void bad_type(struct finf_buf *buf)
{
	struct finf_wire_header head = frame_header(77, 0, 1);

	put_hello(buf);
	finf_buf_put(buf, &head, sizeof(head));
}

static void bad_answer_of_its_own(struct finf_buf *buf)
{
	struct finf_wire_header head =
		frame_header(FINF_WIRE_RESULT, sizeof(struct finf_wire_result), 1);
	struct finf_wire_result result = {0};

	put_hello(buf);
	finf_buf_put(buf, &head, sizeof(head));
	finf_buf_put(buf, &result, sizeof(result));
}

static void bad_descriptors(struct finf_buf *buf)
{
	struct finf_wire_header head = frame_header(FINF_WIRE_IMPORT, 1, 1);

	head.n_fds = 1; /* none comes */
	put_hello(buf);
	finf_buf_put(buf, &head, sizeof(head));
	finf_buf_put(buf, "m", 1);
}

static void bad_arena(struct finf_buf *buf)
{
	struct finf_wire_header head = frame_header(FINF_WIRE_ARENA, 8, 1);
	uint64_t bytes = 4096;

	put_hello(buf);
	finf_buf_put(buf, &head, sizeof(head)); /* without its descriptor */
	finf_buf_put(buf, &bytes, sizeof(bytes));
}

static const struct {
	void (*fill)(struct finf_buf *buf);
	bool dropped;
} misbehaviours[] = {
	{bad_nothing, false},	       {bad_half_header, false}, {bad_half_payload, false},
	{bad_garbage, true},	       {bad_length, true},	 {bad_version, true},
	{bad_no_hello, true},	       {bad_two_hellos, true},	 {bad_type, true},
	{bad_answer_of_its_own, true}, {bad_descriptors, true},	 {bad_arena, true},
};
#define MISBEHAVIOURS (sizeof(misbehaviours) / sizeof(misbehaviours[0]))

START_TEST(misbehaving_clients_hurt_nobody_else)
{
	struct finf_client *client;
	struct test_fid fid;
	int descriptors;

	fid_start(&fid, "bad", "16M", NULL);
	digits_import(&fid, "digits");
	client = digits_client(&fid);
	digits_answer(client, "digits");
	fictl_ok(&fid, "status", NULL);
	digits_answer(client, "digits");
	descriptors = settled_descriptors(fid.pid);
	for (size_t i = 0; i < MISBEHAVIOURS; i++) {
		struct finf_buf buf;
		int fd = frames_connect(&fid, 0);

		finf_buf_init(&buf);
		misbehaviours[i].fill(&buf);
		if (buf.len)
			frames_write(fd, &buf);
		finf_buf_fini(&buf);
		digits_answer(client, "digits");
		if (misbehaviours[i].dropped)
			frames_wait_dropped(fd);
		digits_answer(client, "digits");
		close(fd);
		wait_descriptors(fid.pid, descriptors);
	}
	finf_client_close(client);
	fid_stop(&fid);
}
END_TEST

/* Writes as much as the socket takes; false when the peer has closed it. */
static bool write_some(int fd, const struct finf_buf *buf, size_t *at)
{
	ssize_t n = send(fd, buf->data + *at, buf->len - *at, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN)
		return false;
	*at += n > 0 ? (size_t)n : 0;
	return true;
}

START_TEST(who_never_reads_is_dropped_and_blocks_nobody)
{
	struct finf_client *client;
	struct finf_buf buf;
	struct test_fid fid;
	size_t at = 0;
	bool open = true;
	int fd, descriptors, rounds = 0;

	fid_start(&fid, "deaf", "16M", NULL);
	digits_import(&fid, "digits");
	client = digits_client(&fid);
	digits_answer(client, "digits");
	descriptors = settled_descriptors(fid.pid);
	fd = frames_connect(&fid, 0);
	finf_buf_init(&buf);
	put_hello(&buf);
	for (uint64_t i = 1; i <= 20000; i++) {
		put_infer(&buf, "digits", 2 * i, 0);
		put_control(&buf, "{\"command\": \"status\"}", 2 * i + 1);
	}
	ck_assert_int_eq(buf.err, 0);
	while (open && at < buf.len) {
		struct pollfd pfd = {.fd = fd, .events = POLLOUT};

		ck_assert_int_eq(poll(&pfd, 1, WAIT_MS), 1);
		open = write_some(fd, &buf, &at);
		if (rounds++ % 50 == 0)
			digits_answer(client, "digits");
	}
	ck_assert_msg(!open, "%zu bytes were taken and nothing was read", at);
	digits_answer(client, "digits");
	close(fd);
	wait_descriptors(fid.pid, descriptors);
	/* Not only those of the others: nothing of the deaf one is left running. */
	ck_assert_int_eq(status_at(&fid, "requests.running"), 0);
	ck_assert_int_eq(status_at(&fid, "requests.queued"), 0);
	finf_buf_fini(&buf);
	finf_client_close(client);
	fid_stop(&fid);
}
END_TEST

/* ---- clients that go away
 * ---------------------------------------------------------------------------- */

static void send_fd(int to, uint16_t type, const void *payload, size_t bytes, int fd, uint64_t id)
{
	struct finf_wire_header head = frame_header(type, (uint32_t)bytes, id);
	struct iovec iov[2] = {{&head, sizeof(head)}, {(void *)(uintptr_t)payload, bytes}};
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct msghdr msg = {.msg_iov = iov,
			     .msg_iovlen = 2,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	head.n_fds = 1;
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	ck_assert_int_eq(sendmsg(to, &msg, MSG_NOSIGNAL), (ssize_t)(sizeof(head) + bytes));
}

/* A client with an arena and a queue of requests that never lives to see an answer. */
static void live_and_hang(const struct test_fid *fid, int ready)
{
	struct finf_conn *conn = frames_greet(fid);
	struct finf_shared shared;
	struct finf_buf buf;
	uint64_t bytes = 1 << 20;
	int fd;

	ck_assert_int_eq(finf_arena_create(bytes, &shared, &fd), 0);
	send_fd(finf_conn_fd(conn), FINF_WIRE_ARENA, &bytes, sizeof(bytes), fd, 1);
	finf_buf_init(&buf);
	for (uint64_t id = 2; id < 42; id++)
		put_infer(&buf, "digits", id, 0);
	frames_write(finf_conn_fd(conn), &buf);
	ck_assert_int_eq(write(ready, "", 1), 1);
	for (;;)
		pause();
}

START_TEST(a_killed_client_leaves_nothing)
{
	struct test_fid fid;
	int descriptors;

	fid_start(&fid, "killed", "16M", NULL);
	digits_import(&fid, "digits");
	fictl_ok(&fid, "infer", "digits", NULL);
	descriptors = settled_descriptors(fid.pid);
	for (int round = 0; round < 20; round++) {
		int ready[2];
		pid_t pid;
		char byte;

		if (round % 2)
			fictl_ok(&fid, "unload", "digits", NULL); /* killed while it loads, too */
		ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
		pid = fork();
		ck_assert_int_ge(pid, 0);
		if (!pid)
			live_and_hang(&fid, ready[1]);
		close(ready[1]);
		ck_assert_int_eq(read(ready[0], &byte, 1), 1);
		close(ready[0]);
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
		fictl_ok(&fid, "infer", "digits", NULL);
		wait_descriptors(fid.pid, descriptors);
	}
	ck_assert_int_eq(status_at(&fid, "requests.running"), 0);
	ck_assert_int_eq(status_at(&fid, "requests.queued"), 0);
	fictl_ok(&fid, "unload", "digits", NULL);
	ck_assert_int_eq(status_at(&fid, "pool.weights"), 0);
	fid_stop(&fid);
}
END_TEST

START_TEST(thousands_of_connections)
{
	struct finf_client *client;
	struct rlimit limit;
	struct test_fid fid;
	int descriptors, n = 0, *fds;

	fid_start(&fid, "connects", "16M", NULL);
	digits_import(&fid, "digits");
	client = digits_client(&fid);
	digits_answer(client, "digits");
	descriptors = settled_descriptors(fid.pid);
	for (int i = 0; i < 3000; i++) { /* one after the other, most without a word */
		if (i % 8)
			close(frames_connect(&fid, 0));
		else
			finf_client_close(digits_client(&fid));
	}
	digits_answer(client, "digits");
	wait_descriptors(fid.pid, descriptors);
	/* More at a time than fid takes: who is in goes on. */
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	fds = calloc(1500, sizeof(*fds));
	for (int i = 0; i < 1500 && i + 64 < (int)limit.rlim_cur; i++) {
		int fd = frames_connect(&fid, SOCK_NONBLOCK);

		if (fd >= 0)
			fds[n++] = fd;
		if (i % 100 == 0)
			digits_answer(client, "digits");
	}
	ck_assert_int_gt(n, 100);
	digits_answer(client, "digits");
	while (n)
		close(fds[--n]);
	free(fds);
	wait_descriptors(fid.pid, descriptors);
	fictl_ok(&fid, "infer", "digits", NULL);
	finf_client_close(client);
	fid_stop(&fid);
}
END_TEST

/* ---- deadlines, cancellation, arenas, the end
 * ----------------------------------------------------------- */

START_TEST(a_deadline_in_the_past_is_etime)
{
	struct finf_conn *conn;
	struct finf_buf buf;
	struct test_fid fid;

	fid_start(&fid, "late", "16M", NULL);
	digits_import(&fid, "digits");
	conn = frames_greet(&fid);
	finf_buf_init(&buf);
	for (int warm = 0; warm < 2; warm++) {
		put_infer(&buf, "digits", 1, 1);
		frames_write(finf_conn_fd(conn), &buf);
		ck_assert_int_eq(frames_next(conn, FINF_WIRE_RESULT)->head.status, -ETIME);
		put_infer(&buf, "digits", 2, finf_now_ns() + 60000000000u);
		frames_write(finf_conn_fd(conn), &buf);
		ck_assert_int_eq(frames_next(conn, FINF_WIRE_RESULT)->head.status, 0);
	}
	finf_buf_fini(&buf);
	finf_conn_free(conn);
	fid_stop(&fid);
}
END_TEST

/* Of a group that is loaded (odd rounds) or cold; its requests are answered, then it may go. */
START_TEST(a_group_in_use_is_not_removed)
{
	const struct finf_frame *frame;
	struct finf_conn *conn;
	struct finf_buf buf;
	struct test_fid fid;
	char other[1200];

	snprintf(other, sizeof(other), "r=%s/tests/golden/cases/net_residual_bn_13/model.onnx",
		 source_dir());
	fid_start(&fid, "in-use", "16M", NULL);
	digits_import(&fid, "digits");
	fictl_ok(&fid, "fuse", "digits", other, "--name", "g", "--no-verdict", NULL);
	conn = frames_greet(&fid);
	finf_buf_init(&buf);
	for (int round = 0; round < 4; round++) {
		/* In one piece: fid cannot have answered the last when it reads the command. */
		for (uint64_t id = 1; id <= 5; id++)
			put_infer(&buf, "g/digits", id, 0);
		put_control(&buf, "{\"command\": \"remove\", \"model\": \"g:1\"}", 6);
		frames_write(finf_conn_fd(conn), &buf);
		frame = frames_next(conn, FINF_WIRE_REPLY);
		ck_assert_int_eq(frame->head.status, -EBUSY);
		ck_assert_msg(memmem(frame->payload, frame->head.payload_bytes, "g:1 is in use",
				     13) != NULL,
			      "%.*s", (int)frame->head.payload_bytes, (const char *)frame->payload);
		for (int i = 0; i < 5; i++)
			ck_assert_int_eq(frames_next(conn, FINF_WIRE_RESULT)->head.status, 0);
		if (round % 2)
			fictl_ok(&fid, "unload", "g", NULL);
	}
	fictl_ok(&fid, "remove", "g", NULL);
	finf_buf_fini(&buf);
	finf_conn_free(conn);
	fid_stop(&fid);
}
END_TEST

START_TEST(cancelled_requests_end_and_others_do_not)
{
	struct finf_conn *conn;
	struct finf_buf buf;
	struct test_fid fid;

	fid_start(&fid, "cancel", "16M", NULL);
	digits_import(&fid, "digits");
	conn = frames_greet(&fid);
	finf_buf_init(&buf);
	for (int round = 0; round < 20; round++) {
		unsigned seen = 0;

		/* In one piece: fid cannot have run the tenth when it reads the cancellation. */
		for (uint64_t id = 1; id <= 10; id++)
			put_infer(&buf, "digits", id, 0);
		put_cancel(&buf, 10);
		put_cancel(&buf, 4711);
		frames_write(finf_conn_fd(conn), &buf);
		for (int i = 0; i < 10; i++) {
			const struct finf_frame *frame = frames_next(conn, FINF_WIRE_RESULT);

			ck_assert_int_eq(frame->head.status, frame->head.id == 10 ? -ECANCELED : 0);
			seen |= 1u << frame->head.id;
		}
		ck_assert_uint_eq(seen, 0x7fe);
		if (round % 2)
			fictl_ok(&fid, "unload", "digits", NULL);
	}
	finf_buf_fini(&buf);
	finf_conn_free(conn);
	fid_stop(&fid);
}
END_TEST

static int offer(struct finf_conn *conn, int fd, uint64_t bytes)
{
	send_fd(finf_conn_fd(conn), FINF_WIRE_ARENA, &bytes, sizeof(bytes), fd, 9);
	return frames_next(conn, FINF_WIRE_REPLY)->head.status;
}

static int make_memfd(unsigned seals)
{
	int fd = memfd_create("arena", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 65536), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

START_TEST(an_arena_that_can_be_pulled_away_is_refused)
{
	const unsigned all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	const struct {
		unsigned seals;
		uint64_t bytes;
		int status;
	} rows[] = {
		{0, 65536, -EPROTO},
		{F_SEAL_SHRINK, 65536, -EPROTO},
		{F_SEAL_SHRINK | F_SEAL_GROW, 65536, -EPROTO},
		{all, 65537, -EPROTO},
		{all, 4096, -EPROTO},
		{all, 0, -EPROTO},
		{all, UINT64_MAX, -EPROTO},
		{all, 65536, 0},
	};
	struct finf_conn *conn;
	struct test_fid fid;
	int fd, descriptors;

	fid_start(&fid, "arena", "16M", NULL);
	conn = frames_greet(&fid);
	frames_next(conn, FINF_WIRE_HELLO);
	descriptors = settled_descriptors(fid.pid);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fd = make_memfd(rows[i].seals);
		ck_assert_int_eq(offer(conn, fd, rows[i].bytes), rows[i].status);
		close(fd);
	}
	fd = open(golden_path("digits/digits.onnx"), O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(offer(conn, fd, 107521), -EPROTO);
	close(fd);
	finf_conn_free(conn);
	wait_descriptors(fid.pid, descriptors - 1);
	fid_stop(&fid);
}
END_TEST

START_TEST(sigterm_answers_what_is_queued)
{
	struct finf_conn *conn;
	struct finf_buf buf;
	struct test_fid fid;
	uint64_t seen = 0;

	fid_start(&fid, "term", "16M", NULL);
	digits_import(&fid, "digits");
	conn = frames_greet(&fid);
	finf_buf_init(&buf);
	for (uint64_t id = 1; id <= 60; id++)
		put_infer(&buf, "digits", id, 0);
	/* Frames are handled in order: with its answer here, the sixty are accepted. */
	put_control(&buf, "{\"command\": \"events\", \"count\": 1}", 99);
	frames_write(finf_conn_fd(conn), &buf);
	/* Cold, they wait for the load; no more than a few can have run. */
	while (!seen) {
		struct finf_frame *frame;
		struct pollfd pfd = {.fd = finf_conn_fd(conn), .events = POLLIN};
		int rc = finf_conn_receive(conn, &frame);

		ck_assert_int_ge(rc, 0);
		if (!rc)
			ck_assert_int_eq(poll(&pfd, 1, WAIT_MS), 1);
		else if (frame->head.type == FINF_WIRE_REPLY)
			break;
		else
			seen += frame->head.type == FINF_WIRE_RESULT && !frame->head.status;
	}
	ck_assert_int_eq(kill(fid.pid, SIGTERM), 0);
	while (seen < 60) {
		const struct finf_frame *frame = frames_next(conn, FINF_WIRE_RESULT);

		ck_assert_msg(!frame->head.status, "request %llu: %s",
			      (unsigned long long)frame->head.id, strerror(-frame->head.status));
		seen++;
	}
	ck_assert_int_eq(fid_wait(&fid), 0);
	finf_buf_fini(&buf);
	finf_conn_free(conn);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("frames");
	TCase *tc = tcase_create("fid");

	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, misbehaving_clients_hurt_nobody_else);
	tcase_add_test(tc, who_never_reads_is_dropped_and_blocks_nobody);
	tcase_add_test(tc, a_killed_client_leaves_nothing);
	tcase_add_test(tc, thousands_of_connections);
	tcase_add_test(tc, a_deadline_in_the_past_is_etime);
	tcase_add_test(tc, a_group_in_use_is_not_removed);
	tcase_add_test(tc, cancelled_requests_end_and_others_do_not);
	tcase_add_test(tc, an_arena_that_can_be_pulled_away_is_refused);
	tcase_add_test(tc, sigterm_answers_what_is_queued);
	suite_add_tcase(suite, tc);
	return suite;
}
