/* SPDX-License-Identifier: MIT */
/* tests/support: what a client would say, and more. */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/frames.h"

#define WAIT_MS 30000

int frames_connect(const struct test_fid *fid, int flags)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	ck_assert_int_ge(fd, 0);
	memcpy(addr.sun_path, fid->socket, strlen(fid->socket) + 1);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		ck_assert_msg(flags && errno == EAGAIN, "%s", strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

struct finf_wire_header frame_header(uint16_t type, uint32_t bytes, uint64_t id)
{
	return (struct finf_wire_header){.magic = FINF_WIRE_MAGIC,
					 .version = FINF_WIRE_VERSION,
					 .type = type,
					 .payload_bytes = bytes,
					 .id = id};
}

void put_hello(struct finf_buf *buf)
{
	struct finf_wire_header head =
		frame_header(FINF_WIRE_HELLO, sizeof(struct finf_wire_hello), 0);
	struct finf_wire_hello hello = {.features = FINF_WIRE_FEATURE_ARENA, .pid = 1};

	finf_buf_put(buf, &head, sizeof(head));
	finf_buf_put(buf, &hello, sizeof(hello));
}

void put_control(struct finf_buf *buf, const char *json, uint64_t id)
{
	struct finf_wire_header head = frame_header(FINF_WIRE_CONTROL, (uint32_t)strlen(json), id);

	finf_buf_put(buf, &head, sizeof(head));
	finf_buf_put(buf, json, strlen(json));
}

void put_cancel(struct finf_buf *buf, uint64_t id)
{
	struct finf_wire_header head = frame_header(FINF_WIRE_CANCEL, 0, id);

	finf_buf_put(buf, &head, sizeof(head));
}

/* A request to a digits model, everything inline. */
void put_infer(struct finf_buf *buf, const char *model, uint64_t id, uint64_t deadline_ns)
{
	struct {
		struct finf_wire_infer infer;
		struct finf_wire_tensor tensors[2];
		char name[8];
		float image[64];
	} p = {.infer = {.n_inputs = 1, .n_outputs = 1, .name_bytes = (uint32_t)strlen(model)},
	       .tensors = {{.dtype = FINF_F32, .rank = 4, .dim = {1, 1, 8, 8}, .bytes = 256},
			   {.bytes = 40}}};
	struct finf_wire_header head = frame_header(FINF_WIRE_INFER, sizeof(p), id);

	ck_assert_uint_le(strlen(model), sizeof(p.name));
	memcpy(p.name, model, strlen(model));
	head.deadline_ns = deadline_ns;
	finf_buf_put(buf, &head, sizeof(head));
	finf_buf_put(buf, &p, sizeof(p));
}

void frames_write(int fd, struct finf_buf *buf)
{
	ck_assert_int_eq(buf->err, 0);
	ck_assert_int_eq(finf_write_full(fd, buf->data, buf->len), 0);
	finf_buf_fini(buf);
	finf_buf_init(buf);
}

/* A connection that has greeted; what is sent on it goes past @conn. */
struct finf_conn *frames_greet(const struct test_fid *fid)
{
	struct finf_conn *conn;
	struct finf_buf buf;
	int fd = frames_connect(fid, 0);

	finf_buf_init(&buf);
	put_hello(&buf);
	frames_write(fd, &buf);
	finf_buf_fini(&buf);
	ck_assert_int_eq(finf_conn_new(fd, &conn), 0);
	return conn;
}

/* The next frame of this type; others are left out. */
struct finf_frame *frames_next(struct finf_conn *conn, enum finf_wire_type type)
{
	struct pollfd pfd = {.fd = finf_conn_fd(conn), .events = POLLIN};
	struct finf_frame *frame;
	int rc;

	for (;;) {
		rc = finf_conn_receive(conn, &frame);
		ck_assert_msg(rc >= 0, "%s", strerror(-rc));
		if (rc == 1 && frame->head.type == type)
			return frame;
		if (!rc)
			ck_assert_int_eq(poll(&pfd, 1, WAIT_MS), 1);
	}
}

/* Until fid has closed the connection, reading whatever it still says. */
void frames_wait_dropped(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	char bytes[65536];
	ssize_t n;

	do {
		ck_assert_msg(poll(&pfd, 1, WAIT_MS) == 1, "the connection is still open");
		n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	} while (n > 0 || (n < 0 && errno == EAGAIN));
}
