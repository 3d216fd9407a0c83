/* SPDX-License-Identifier: MIT */
/* ipc: frames over a socket pair - whole, in pieces, with descriptors, hostile, and too many. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ipc/ipc.h"
#include "tests/support/support.h"

struct pair {
	struct finf_conn *a;
	int raw; /* the other end, or -1 when it is b's */
	struct finf_conn *b;
};

static void open_pair(struct pair *p, bool raw)
{
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	ck_assert_int_eq(finf_conn_new(fd[0], &p->a), 0);
	ck_assert_int_eq(finf_conn_fd(p->a), fd[0]);
	p->b = NULL;
	p->raw = raw ? fd[1] : -1;
	if (!raw)
		ck_assert_int_eq(finf_conn_new(fd[1], &p->b), 0);
}

static void close_pair(struct pair *p)
{
	finf_conn_free(p->a);
	finf_conn_free(p->b);
	if (p->raw >= 0)
		close(p->raw);
}

static int send_text(struct finf_conn *conn, uint64_t id, const char *text, int fd)
{
	struct finf_wire_header head = {.type = FINF_WIRE_CONTROL, .id = id};
	struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};

	return finf_conn_send(conn, &head, &iov, 1, fd);
}

static void expect_text(struct finf_conn *conn, uint64_t id, const char *text)
{
	struct finf_frame *frame;

	ck_assert_int_eq(finf_conn_receive(conn, &frame), 1);
	ck_assert_uint_eq(frame->head.id, id);
	ck_assert_uint_eq(frame->head.payload_bytes, strlen(text));
	ck_assert_mem_eq(frame->payload, text, strlen(text));
	ck_assert_uint_eq((uintptr_t)frame->payload % FINF_WIRE_PAD, 0);
}

static void raw_send(int fd, const void *data, size_t bytes, const int *fds, size_t n_fds)
{
	char control[CMSG_SPACE(8 * sizeof(int))] = {0};
	struct iovec iov = {(void *)(uintptr_t)data, bytes};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n_fds) {
		struct cmsghdr *c;

		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	ck_assert_int_eq(sendmsg(fd, &msg, MSG_NOSIGNAL), (ssize_t)bytes);
}

static const struct finf_wire_header plain = {
	.magic = FINF_WIRE_MAGIC,
	.version = FINF_WIRE_VERSION,
	.type = FINF_WIRE_CONTROL,
	.id = 7,
};

START_TEST(there_and_back)
{
	struct finf_frame *frame;
	struct pair p;

	open_pair(&p, false);
	ck_assert_int_eq(finf_conn_receive(p.a, &frame), 0);
	ck_assert_int_eq(send_text(p.a, 1, "hello", -1), 0);
	ck_assert_int_eq(send_text(p.a, 2, "", -1), 0);
	ck_assert_int_eq(send_text(p.a, 3, "odd", -1), 0);
	ck_assert_int_eq(send_text(p.a, 4, "aligned again", -1), 0);
	expect_text(p.b, 1, "hello");
	expect_text(p.b, 2, "");
	expect_text(p.b, 3, "odd");
	expect_text(p.b, 4, "aligned again");
	ck_assert_int_eq(finf_conn_receive(p.b, &frame), 0);
	finf_conn_free(p.a);
	p.a = NULL;
	ck_assert_int_eq(finf_conn_receive(p.b, &frame), -ECONNRESET);
	ck_assert_int_eq(send_text(p.b, 5, "x", -1), -EPIPE);
	close_pair(&p);
}
END_TEST

START_TEST(byte_by_byte)
{
	struct finf_wire_header head = plain;
	struct finf_frame *frame;
	uint8_t bytes[sizeof(head) + 5];
	struct pair p;

	open_pair(&p, true);
	head.payload_bytes = 5;
	memcpy(bytes, &head, sizeof(head));
	memcpy(bytes + sizeof(head), "later", 5);
	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < sizeof(bytes); i++) {
			raw_send(p.raw, bytes + i, 1, NULL, 0);
			if (i + 1 < sizeof(bytes))
				ck_assert_int_eq(finf_conn_receive(p.a, &frame), 0);
			else
				expect_text(p.a, 7, "later");
		}
	/* Gone in the middle of a frame. */
	raw_send(p.raw, bytes, 20, NULL, 0);
	ck_assert_int_eq(shutdown(p.raw, SHUT_WR), 0);
	ck_assert_int_eq(finf_conn_receive(p.a, &frame), -ECONNRESET);
	close_pair(&p);
}
END_TEST

/* The largest frame goes through a socket buffer that is much smaller. */
START_TEST(largest_frame)
{
	static uint8_t big[FINF_WIRE_PAYLOAD_MAX + 1];
	struct finf_wire_header head = {.type = FINF_WIRE_INFER};
	struct iovec iov[2] = {{big, 100}, {big + 100, sizeof(big) - 101}};
	struct finf_frame *frame;
	uint64_t seed = 3;
	struct pair p;
	int rc;

	open_pair(&p, false);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)test_random(&seed);
	ck_assert_int_eq(finf_conn_send(p.a, &head, iov, 2, -1), 0);
	ck_assert_int_eq(send_text(p.a, 9, "behind it", -1), 0);
	while (!(rc = finf_conn_receive(p.b, &frame)))
		ck_assert_int_ge(finf_conn_flush(p.a), 0);
	ck_assert_int_eq(rc, 1);
	ck_assert_uint_eq(frame->head.payload_bytes, FINF_WIRE_PAYLOAD_MAX);
	ck_assert_mem_eq(frame->payload, big, FINF_WIRE_PAYLOAD_MAX);
	ck_assert_int_eq(finf_conn_flush(p.a), 0);
	expect_text(p.b, 9, "behind it");
	iov[1].iov_len++;
	ck_assert_int_eq(finf_conn_send(p.a, &head, iov, 2, -1), -EMSGSIZE);
	close_pair(&p);
}
END_TEST

static bool same_file(int a, int b)
{
	struct stat sa, sb;

	return !fstat(a, &sa) && !fstat(b, &sb) && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

/* Each descriptor comes with its own frame, also when they had to wait in the queue. */
START_TEST(descriptors)
{
	static char filler[256 << 10];
	int before = open_descriptors(), fd[3], kept, sent = 0;
	struct finf_frame *frame;
	struct pair p;

	open_pair(&p, false);
	memset(filler, 'x', sizeof(filler) - 1);
	for (int i = 0; i < 3; i++)
		ck_assert_int_ge(fd[i] = memfd_create("test", MFD_CLOEXEC), 0);
	/* Not taken: closed by the next receive. */
	ck_assert_int_eq(send_text(p.a, 1, "first", fd[0]), 0);
	expect_text(p.b, 1, "first");
	while (finf_conn_flush(p.a) == 0 && sent++ < 100)
		ck_assert_int_eq(send_text(p.a, 2, filler, -1), 0);
	ck_assert_int_eq(finf_conn_flush(p.a), 1); /* full: what follows is queued */
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(send_text(p.a, 3 + (uint64_t)i, "more", fd[i]), 0);
		ck_assert_int_eq(send_text(p.a, 9, "none", -1), 0);
		close(fd[i]);
		ck_assert_int_ge(fd[i] = memfd_create("other", MFD_CLOEXEC), 0);
	}
	for (int got = 0; got < 3;) {
		int rc = finf_conn_receive(p.b, &frame);

		ck_assert_int_ge(finf_conn_flush(p.a), 0);
		ck_assert_int_ge(rc, 0);
		if (!rc)
			continue;
		ck_assert((frame->fd >= 0) == (frame->head.id >= 3 && frame->head.id < 6));
		if (frame->fd < 0)
			continue;
		ck_assert_uint_eq(frame->head.id, 3 + (uint64_t)got++);
		ck_assert(fcntl(frame->fd, F_GETFD) & FD_CLOEXEC);
		ck_assert(!same_file(frame->fd, fd[0]));
		kept = frame->fd;
		frame->fd = -1;
		close(kept);
	}
	for (int i = 0; i < 3; i++)
		close(fd[i]);
	close_pair(&p);
	ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

static const struct {
	const char *name;
	struct finf_wire_header head;
	size_t n_fds;
} hostile[] = {
	{"magic", {.magic = 0x31434947, .version = 1}, 0},
	{"version", {.magic = FINF_WIRE_MAGIC, .version = 2}, 0},
	{"size",
	 {.magic = FINF_WIRE_MAGIC, .version = 1, .payload_bytes = FINF_WIRE_PAYLOAD_MAX + 1}, 0},
	{"size wraps", {.magic = FINF_WIRE_MAGIC, .version = 1, .payload_bytes = UINT32_MAX}, 0},
	{"reserved", {.magic = FINF_WIRE_MAGIC, .version = 1, .reserved = 1}, 0},
	{"two announced", {.magic = FINF_WIRE_MAGIC, .version = 1, .n_fds = 2}, 2},
	{"announced, none sent", {.magic = FINF_WIRE_MAGIC, .version = 1, .n_fds = 1}, 0},
	{"sent, not announced", {.magic = FINF_WIRE_MAGIC, .version = 1}, 1},
	{"two sent, one announced", {.magic = FINF_WIRE_MAGIC, .version = 1, .n_fds = 1}, 2},
	{"more than fit", {.magic = FINF_WIRE_MAGIC, .version = 1, .n_fds = 1}, 8},
};

START_TEST(hostile_headers)
{
	int before = open_descriptors(), fds[8];
	struct finf_frame *frame;
	struct pair p;

	open_pair(&p, true);
	for (int i = 0; i < 8; i++)
		fds[i] = STDIN_FILENO;
	raw_send(p.raw, &hostile[_i].head, sizeof(hostile[_i].head), fds, hostile[_i].n_fds);
	ck_assert_msg(finf_conn_receive(p.a, &frame) == -EPROTO, "%s", hostile[_i].name);
	close_pair(&p);
	ck_assert_msg(open_descriptors() == before, "%s: descriptors leaked", hostile[_i].name);
}
END_TEST

/* Descriptors on bytes that never become a frame do not pile up. */
START_TEST(descriptors_without_frames)
{
	int before = open_descriptors(), fd = STDIN_FILENO, rc = 0;
	struct finf_wire_header head = plain;
	struct finf_frame *frame;
	struct pair p;

	open_pair(&p, true);
	head.payload_bytes = 1000;
	raw_send(p.raw, &head, sizeof(head), NULL, 0);
	for (int i = 0; i < 20 && !rc; i++) {
		raw_send(p.raw, "x", 1, &fd, 1);
		rc = finf_conn_receive(p.a, &frame);
	}
	ck_assert_int_eq(rc, -EPROTO);
	close_pair(&p);
	ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

/* A peer that does not read costs FINF_CONN_QUEUE_MAX and no more, and nothing is lost. */
START_TEST(slow_peer)
{
	static char text[64 << 10];
	struct finf_frame *frame;
	uint64_t sent = 0, got = 0;
	struct pair p;
	int rc;

	open_pair(&p, false);
	memset(text, 'y', sizeof(text) - 1);
	while ((rc = send_text(p.a, sent, text, -1)) == 0)
		ck_assert_uint_lt(++sent, 1000);
	ck_assert_int_eq(rc, -EAGAIN);
	ck_assert_uint_ge(sent * sizeof(text), FINF_CONN_QUEUE_MAX - 2 * sizeof(text));
	while (got < sent) {
		ck_assert_int_ge(finf_conn_flush(p.a), 0);
		rc = finf_conn_receive(p.b, &frame);
		ck_assert_int_ge(rc, 0);
		if (rc)
			ck_assert_uint_eq(frame->head.id, got++);
	}
	ck_assert_int_eq(finf_conn_flush(p.a), 0);
	ck_assert_int_eq(send_text(p.a, 0, "room again", -1), 0);
	close_pair(&p);
}
END_TEST

/* ---- shared memory ---------------------------------------------------------- */

static int memfd_with(uint64_t bytes, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)bytes), 0);
	if (seals)
		ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

START_TEST(arena_is_shared)
{
	struct finf_shared mine, theirs;
	int before = open_descriptors(), fd;

	ck_assert_int_eq(finf_arena_create(0, &mine, &fd), -EINVAL);
	ck_assert_int_eq(finf_arena_create(FINF_WIRE_ARENA_MAX + 1, &mine, &fd), -EINVAL);
	ck_assert_int_eq(finf_arena_create(8192, &mine, &fd), 0);
	ck_assert_int_eq(ftruncate(fd, 0), -1);
	ck_assert_int_eq(ftruncate(fd, 1 << 20), -1);
	ck_assert_int_eq(finf_arena_attach(fd, 8192, &theirs), 0);
	close(fd);
	memcpy(mine.base + 5000, "seen", 4);
	ck_assert_mem_eq(theirs.base + 5000, "seen", 4);
	finf_shared_detach(&mine);
	ck_assert_ptr_null(mine.base);
	finf_shared_detach(&mine);
	ck_assert_mem_eq(theirs.base + 5000, "seen", 4);
	finf_shared_detach(&theirs);
	ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

static const struct {
	const char *name;
	uint64_t bytes, stated;
	int seals;
} bad_arenas[] = {
	{"no seals", 4096, 4096, 0},
	{"may shrink", 4096, 4096, F_SEAL_GROW | F_SEAL_SEAL},
	{"may grow", 4096, 4096, F_SEAL_SHRINK | F_SEAL_SEAL},
	{"stated larger", 4096, 8192, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL},
	{"stated smaller", 8192, 4096, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL},
	{"empty", 0, 0, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL},
	{"huge", 4096, UINT64_MAX, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL},
};

START_TEST(bad_arena)
{
	struct finf_shared shared = {0};
	int fd = memfd_with(bad_arenas[_i].bytes, bad_arenas[_i].seals);

	ck_assert_msg(finf_arena_attach(fd, bad_arenas[_i].stated, &shared) == -EPROTO, "%s",
		      bad_arenas[_i].name);
	ck_assert_ptr_null(shared.base);
	close(fd);
}
END_TEST

START_TEST(arena_of_another_kind)
{
	struct finf_shared shared = {0};
	int fd = open("/dev/zero", O_RDWR | O_CLOEXEC), pipes[2];

	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	ck_assert_int_eq(finf_arena_attach(fd, 4096, &shared), -EPROTO);
	ck_assert_int_eq(finf_arena_attach(pipes[0], 4096, &shared), -EPROTO);
	ck_assert_int_eq(finf_arena_attach(-1, 4096, &shared), -EPROTO);
	close(fd);
	close(pipes[0]);
	close(pipes[1]);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("ipc/conn");
	TCase *tc = tcase_create("conn");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, there_and_back);
	tcase_add_test(tc, byte_by_byte);
	tcase_add_test(tc, largest_frame);
	tcase_add_test(tc, descriptors);
	tcase_add_loop_test(tc, hostile_headers, 0, sizeof(hostile) / sizeof(hostile[0]));
	tcase_add_test(tc, descriptors_without_frames);
	tcase_add_test(tc, slow_peer);
	tcase_add_test(tc, arena_is_shared);
	tcase_add_loop_test(tc, bad_arena, 0, sizeof(bad_arenas) / sizeof(bad_arenas[0]));
	tcase_add_test(tc, arena_of_another_kind);
	suite_add_tcase(suite, tc);
	return suite;
}
