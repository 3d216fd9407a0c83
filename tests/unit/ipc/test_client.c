/* SPDX-License-Identifier: MIT */
/*
 * ipc: the client against a fake fid in a thread. Its "models" are ways to
 * behave: "echo" gives each input back as the output of the same number.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ipc/priv.h"
#include "tests/support/support.h"

#define BIG (300000u) /* floats: more than fits inline or in a first arena */

struct server {
	int listener;
	char path[108];
	pthread_t thread;
	bool mute; /* accepts and says nothing */
	struct finf_conn *conn;
	struct finf_shared arena;
	struct finf_wire_request request;
	uint64_t late_id; /* a request it never answered in time */
	uint32_t arenas, infers, cancels;
	uint8_t inline_out[FINF_WIRE_TENSORS_MAX * 1024];
};

/* ---- the fake fid ---------------------------------------------------------- */

static int answer_echo(struct server *s, uint64_t id)
{
	struct finf_wire_request *r = &s->request;
	struct finf_tensor out[FINF_WIRE_TENSORS_MAX];
	struct finf_wire_answer answer = {
		.outputs = out,
		.in_arena = r->in_arena + r->n_inputs,
		.offset = r->offset + r->n_inputs,
		.n_outputs = r->n_outputs,
		.times = {.queue_ns = 1, .load_ns = 2, .run_ns = 3, .cold = true},
	};

	for (uint32_t i = 0; i < r->n_outputs; i++) {
		uint8_t *from = r->in_arena[i] ? s->arena.base + r->offset[i] : r->tensors[i].data;

		out[i] = r->tensors[i];
		out[i].name = r->tensors[r->n_inputs + i].name;
		if (!out[i].name)
			out[i].name = i ? "second" : "first";
		out[i].data = from;
		if (out[i].bytes > r->tensors[r->n_inputs + i].bytes) {
			answer.status = -ENOSPC;
			answer.text = "an output is larger than its room";
		} else if (answer.in_arena[i]) {
			memcpy(s->arena.base + answer.offset[i], from, out[i].bytes);
		}
	}
	return finf_wire_send_result(s->conn, id, &answer);
}

/* A result whose only tensor claims to lie outside the arena. */
static int answer_outside(struct server *s, uint64_t id)
{
	struct finf_tensor out = {.name = "x", .dtype = FINF_U8, .shape = {1, {64}}, .bytes = 64};
	bool in_arena = true;
	uint64_t offset = s->arena.bytes;
	struct finf_wire_answer answer = {
		.outputs = &out, .in_arena = &in_arena, .offset = &offset, .n_outputs = 1};

	return finf_wire_send_result(s->conn, id, &answer);
}

static int on_infer(struct server *s, struct finf_frame *frame)
{
	struct finf_wire_answer answer = {.status = -ENOENT, .text = "no such\nmodel"};
	struct finf_diag diag;
	uint64_t id = frame->head.id;
	const char *model;

	s->infers++;
	ck_assert_uint_gt(frame->head.deadline_ns, finf_now_ns() - 60000000000u);
	ck_assert_msg(!finf_wire_parse_infer(frame, s->arena.bytes, &s->request, &diag), "%s",
		      diag.text);
	model = s->request.model;
	if (s->late_id) {
		answer.text = "too late";
		ck_assert_int_eq(finf_wire_send_result(s->conn, s->late_id, &answer), 0);
		s->late_id = 0;
	}
	if (!strcmp(model, "echo"))
		return answer_echo(s, id);
	if (!strcmp(model, "outside"))
		return answer_outside(s, id);
	if (!strcmp(model, "few")) {
		s->request.n_outputs = 0;
		return answer_echo(s, id);
	}
	if (!strcmp(model, "silent")) {
		s->late_id = id;
		return 0;
	}
	return strcmp(model, "close") ? finf_wire_send_result(s->conn, id, &answer) : -ECONNRESET;
}

static int on_import(struct server *s, struct finf_frame *frame)
{
	char text[64], json[128];
	ssize_t n = pread(frame->fd, text, sizeof(text), 0);

	ck_assert_int_gt(n, 0);
	snprintf(json, sizeof(json), "{\"name\":\"%.*s\",\"data\":\"%.*s\"}",
		 (int)frame->head.payload_bytes, (const char *)frame->payload, (int)n, text);
	return finf_wire_send_reply(s->conn, frame->head.id, 0, json, -1);
}

static int on_control(struct server *s, struct finf_frame *frame)
{
	char *text;
	int err;

	ck_assert_int_eq(finf_wire_parse_text(frame, &text), 0);
	if (!strcmp(text, "refuse"))
		err = finf_wire_send_reply(s->conn, frame->head.id, -EPERM,
					   "{\"error\":\"not for \\\"you\\\"\"}", -1);
	else if (!strcmp(text, "plain"))
		err = finf_wire_send_reply(s->conn, frame->head.id, -EBUSY, NULL, -1);
	else
		err = finf_wire_send_reply(s->conn, frame->head.id, 0, text, -1);
	for (int i = 0; i < 3 && !err && !strcmp(text, "events"); i++)
		err = finf_wire_send_event(s->conn, i ? "{\"more\":1}" : "{\"seq\":0}");
	free(text);
	return err;
}

static int on_arena(struct server *s, struct finf_frame *frame)
{
	uint64_t bytes;

	s->arenas++;
	ck_assert_int_eq(finf_wire_parse_arena(frame, &bytes), 0);
	finf_shared_detach(&s->arena);
	ck_assert_int_eq(finf_arena_attach(frame->fd, bytes, &s->arena), 0);
	return finf_wire_send_reply(s->conn, frame->head.id, 0, "{}", -1);
}

static int on_frame(struct server *s, struct finf_frame *frame)
{
	struct finf_wire_hello hello;

	switch (frame->head.type) {
	case FINF_WIRE_HELLO:
		ck_assert_int_eq(finf_wire_parse_hello(frame, &hello), 0);
		ck_assert_uint_eq(hello.pid, (uint32_t)getpid());
		return s->mute ? 0 : finf_wire_send_hello(s->conn, FINF_WIRE_FEATURE_ARENA);
	case FINF_WIRE_ARENA:
		return on_arena(s, frame);
	case FINF_WIRE_INFER:
		return on_infer(s, frame);
	case FINF_WIRE_IMPORT:
		return on_import(s, frame);
	case FINF_WIRE_CONTROL:
		return on_control(s, frame);
	case FINF_WIRE_CANCEL:
		s->cancels++;
		ck_assert_uint_eq(frame->head.id, s->late_id);
		return 0;
	}
	return -EPROTO;
}

static void *serve(void *arg)
{
	struct server *s = arg;
	struct finf_frame *frame;
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC), rc = 0;

	if (fd < 0)
		return NULL;
	ck_assert_int_eq(finf_conn_new(fd, &s->conn), 0);
	while (rc >= 0) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};

		rc = finf_conn_receive(s->conn, &frame);
		if (rc == 1)
			rc = on_frame(s, frame);
		else if (!rc)
			poll(&pfd, 1, -1);
		while (rc >= 0 && finf_conn_flush(s->conn) == 1) {
			pfd.events = POLLOUT;
			poll(&pfd, 1, -1);
		}
	}
	finf_conn_free(s->conn);
	finf_shared_detach(&s->arena);
	return NULL;
}

static struct server server;

static void start(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	snprintf(server.path, sizeof(server.path), "%s", scratch_path("fid.sock"));
	memcpy(addr.sun_path, server.path, sizeof(addr.sun_path));
	server.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(server.listener, 0);
	ck_assert_int_eq(bind(server.listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	ck_assert_int_eq(listen(server.listener, 4), 0);
	ck_assert_int_eq(pthread_create(&server.thread, NULL, serve, &server), 0);
}

static void stop(void)
{
	ck_assert_int_eq(pthread_join(server.thread, NULL), 0);
	close(server.listener);
}

static struct finf_client *connect_client(void)
{
	struct finf_client *client;
	struct finf_diag diag = {""};

	ck_assert_msg(!finf_client_open(server.path, &client, &diag), "%s", diag.text);
	return client;
}

/* ---- inference -------------------------------------------------------------- */

static float big[BIG];

START_TEST(small_and_large)
{
	float small[4] = {1, 2, 3, 4};
	struct finf_tensor in[2] = {
		{.name = "a", .dtype = FINF_F32, .shape = {2, {2, 2}}, .data = small, .bytes = 100},
		{.dtype = FINF_F32, .shape = {1, {BIG}}, .data = big, .bytes = sizeof(big)},
	};
	struct finf_client *client;
	struct finf_client_times times;
	struct finf_diag diag = {""};

	start();
	client = connect_client();
	test_fill_f32(big, BIG, 5);
	for (int round = 0; round < 3; round++) {
		struct finf_tensor out[2] = {{.name = NULL}, {.name = "mine"}};

		ck_assert_msg(!finf_client_infer(client, "echo", in, 2, out, 2, &times, &diag),
			      "%s", diag.text);
		ck_assert_str_eq(out[0].name, "first");
		ck_assert_str_eq(out[1].name, "mine");
		ck_assert_uint_eq(out[0].bytes, sizeof(small));
		ck_assert_uint_eq(out[0].shape.rank, 2);
		ck_assert_mem_eq(out[0].data, small, sizeof(small));
		ck_assert_uint_eq(out[1].bytes, sizeof(big));
		ck_assert_mem_eq(out[1].data, big, sizeof(big));
		ck_assert_uint_eq(out[1].dtype, FINF_F32);
		free(out[0].data);
		free(out[1].data);
		ck_assert(times.cold && times.queue_ns == 1 && times.load_ns == 2 &&
			  times.run_ns == 3);
		ck_assert_uint_gt(times.total_ns, 0);
	}
	/* The guess grew 64 KiB - 1 MiB - 16 MiB once, and was remembered. */
	ck_assert_uint_eq(server.infers, 5);
	finf_client_close(client);
	stop();
}
END_TEST

/* Buffers of the caller: nothing is allocated per call, and too small is said. */
START_TEST(own_buffers)
{
	static float got[BIG];
	float small[4] = {1, 2, 3, 4}, small_got[4] = {0};
	struct finf_tensor in[2] = {
		{.dtype = FINF_F32, .shape = {1, {4}}, .data = small, .bytes = sizeof(small)},
		{.dtype = FINF_F32, .shape = {1, {BIG}}, .data = big, .bytes = sizeof(big)},
	};
	struct finf_client *client;
	struct finf_diag diag = {""};
	size_t heap = 0;

	start();
	client = connect_client();
	test_fill_f32(big, BIG, 6);
	for (int i = 0; i < 50; i++) {
		struct finf_tensor out[2] = {{.data = small_got, .bytes = sizeof(small_got)},
					     {.data = got, .bytes = sizeof(got)}};

		ck_assert_int_eq(finf_client_infer(client, "echo", in, 2, out, 2, NULL, &diag), 0);
		if (i == 10)
			heap = mallinfo2().uordblks;
	}
	ck_assert_uint_eq(mallinfo2().uordblks, heap);
	ck_assert_uint_eq(server.arenas, 1);
	ck_assert_mem_eq(got, big, sizeof(big));
	ck_assert_mem_eq(small_got, small, sizeof(small));
	{
		struct finf_tensor out = {.data = small_got, .bytes = 15};

		ck_assert_int_eq(finf_client_infer(client, "echo", in, 1, &out, 1, NULL, &diag),
				 -ENOSPC);
		ck_assert_ptr_nonnull(strstr(diag.text, "room"));
		ck_assert_ptr_eq(out.data, small_got);
	}
	finf_client_close(client);
	stop();
}
END_TEST

/* 20 times 60 KiB is more than one frame holds: the rest goes through the arena. */
START_TEST(many_small)
{
	static uint8_t bytes[20][60 << 10];
	struct finf_tensor in[20], out[20] = {{0}};
	struct finf_client *client;
	struct finf_diag diag = {""};

	start();
	client = connect_client();
	for (int i = 0; i < 20; i++) {
		memset(bytes[i], i + 1, sizeof(bytes[i]));
		in[i] = (struct finf_tensor){.dtype = FINF_U8, .shape = {1, {sizeof(bytes[i])}},
			.data = bytes[i], .bytes = sizeof(bytes[i])};
	}
	ck_assert_msg(!finf_client_infer(client, "echo", in, 20, out, 20, NULL, &diag), "%s",
		      diag.text);
	for (int i = 0; i < 20; i++) {
		ck_assert_mem_eq(out[i].data, bytes[i], sizeof(bytes[i]));
		free(out[i].data);
	}
	finf_client_close(client);
	stop();
}
END_TEST

START_TEST(refusals)
{
	float x = 1;
	struct finf_tensor good = {.dtype = FINF_F32, .shape = {0}, .data = &x, .bytes = 4};
	struct finf_tensor bad[5];
	struct finf_tensor out = {0};
	struct finf_client *client;
	struct finf_diag diag = {""};

	start();
	client = connect_client();
	ck_assert_int_eq(finf_client_infer(client, "none", &good, 1, &out, 1, NULL, &diag),
			 -ENOENT);
	ck_assert_str_eq(diag.text, "no such?model");
	for (int i = 0; i < 5; i++)
		bad[i] = good;
	bad[0].bytes = 3;
	bad[1].dtype = FINF_DTYPE_NONE;
	bad[2].shape = (struct finf_shape){1, {-1}};
	bad[3].data = NULL;
	bad[4].shape.rank = 9;
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(
			finf_client_infer(client, "echo", &bad[i], 1, &out, 1, NULL, &diag),
			-EINVAL);
	ck_assert_int_eq(finf_client_infer(client, "../x", &good, 1, &out, 1, NULL, &diag),
			 -EINVAL);
	ck_assert_int_eq(finf_client_infer(client, "echo", &good, 1, &out, 64, NULL, &diag),
			 -EINVAL);
	/* The connection is as good as before. */
	ck_assert_int_eq(finf_client_infer(client, "echo", &good, 1, &out, 1, NULL, &diag), 0);
	ck_assert(*(float *)out.data == 1);
	free(out.data);
	finf_client_close(client);
	stop();
}
END_TEST

/* No answer in time; the late one is not taken for the next. */
START_TEST(timeout_and_late_answer)
{
	struct finf_tensor in = {.dtype = FINF_F32, .shape = {1, {BIG}}, .data = big,
		.bytes = sizeof(big)};
	static float got[BIG];
	struct finf_tensor out = {.data = got, .bytes = sizeof(got)};
	struct finf_client *client;
	struct finf_diag diag = {""};

	start();
	client = connect_client();
	/* With the arena in place, only the answer can be late. */
	ck_assert_int_eq(finf_client_infer(client, "echo", &in, 1, &out, 1, NULL, &diag), 0);
	ck_assert_uint_eq(server.arenas, 1);
	test_fill_f32(big, BIG, 8);
	finf_client_timeout(client, 50);
	ck_assert_int_eq(finf_client_infer(client, "silent", &in, 1, &out, 1, NULL, &diag), -ETIME);
	finf_client_timeout(client, 0);
	ck_assert_msg(!finf_client_infer(client, "echo", &in, 1, &out, 1, NULL, &diag), "%s",
		      diag.text);
	ck_assert_mem_eq(got, big, sizeof(big));
	ck_assert_uint_eq(server.cancels, 1);
	ck_assert_uint_eq(server.arenas, 2); /* the old one was left to the silent request */
	finf_client_close(client);
	stop();
}
END_TEST

static const struct {
	const char *model;
	int err;
} broken[] = {{"close", -ECONNRESET}, {"outside", -EPROTO}, {"few", -EPROTO}};

START_TEST(broken_servers)
{
	float x = 1;
	struct finf_tensor in = {.dtype = FINF_F32, .data = &x, .bytes = 4}, out = {0};
	struct finf_client *client;
	struct finf_diag diag = {""};

	start();
	client = connect_client();
	ck_assert_int_eq(finf_client_infer(client, broken[_i].model, &in, 1, &out, 1, NULL, &diag),
			 broken[_i].err);
	ck_assert_int_ne(diag.text[0], 0);
	ck_assert_ptr_null(out.data);
	if (broken[_i].err == -ECONNRESET)
		ck_assert_int_eq(finf_client_control(client, "{}", NULL, &diag), -ECONNRESET);
	finf_client_close(client);
	stop();
}
END_TEST

/* ---- the rest ----------------------------------------------------------------- */

START_TEST(commands)
{
	int before = open_descriptors(), fd;
	struct finf_client *client;
	struct finf_diag diag = {""};
	char *json = NULL;

	start();
	client = connect_client();
	ck_assert_int_eq(finf_client_control(client, "{\"a\":1}", &json, &diag), 0);
	ck_assert_str_eq(json, "{\"a\":1}");
	free(json);
	json = NULL;
	ck_assert_int_eq(finf_client_control(client, "refuse", &json, &diag), -EPERM);
	ck_assert_str_eq(diag.text, "not for \"you\"");
	ck_assert_int_eq(finf_client_control(client, "plain", &json, &diag), -EBUSY);
	ck_assert_str_eq(diag.text, strerror(EBUSY));
	ck_assert_ptr_null(json);
	ck_assert_int_eq(finf_client_control(client, "nobody asks", NULL, &diag), 0);
	fd = memfd_create("pack", MFD_CLOEXEC);
	ck_assert_int_eq(write(fd, "bytes", 5), 5);
	ck_assert_int_eq(finf_client_import(client, "net", fd, &json, &diag), 0);
	ck_assert_str_eq(json, "{\"name\":\"net\",\"data\":\"bytes\"}");
	free(json);
	close(fd);
	ck_assert_int_eq(finf_client_import(client, "net", -1, NULL, &diag), -EBADF);
	finf_client_close(client);
	stop();
	ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

START_TEST(events)
{
	struct finf_client *client;
	struct finf_diag diag = {""};
	char *json = NULL;

	start();
	client = connect_client();
	ck_assert_int_eq(finf_client_control(client, "events", NULL, &diag), 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(finf_client_event(client, 60000, &json), 0);
		ck_assert_str_eq(json, i ? "{\"more\":1}" : "{\"seq\":0}");
		free(json);
	}
	json = NULL;
	ck_assert_int_eq(finf_client_event(client, 1, &json), -ETIME);
	ck_assert_ptr_null(json);
	finf_client_close(client);
	finf_client_close(NULL);
	stop();
}
END_TEST

START_TEST(nobody_there)
{
	struct finf_client *client = NULL;
	struct finf_diag diag = {""};
	char path[300];
	int before = open_descriptors();

	ck_assert_int_eq(finf_client_open(scratch_path("none"), &client, &diag), -ENOENT);
	ck_assert_ptr_nonnull(strstr(diag.text, "none"));
	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = 0;
	ck_assert_int_eq(finf_client_open(path, &client, &diag), -ENAMETOOLONG);
	start();
	shutdown(server.listener, SHUT_RDWR);
	stop();
	ck_assert_int_eq(finf_client_open(server.path, &client, &diag), -ECONNREFUSED);
	ck_assert_ptr_null(client);
	ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

/* Somebody listens and says nothing: the greeting is bounded too. */
START_TEST(mute_server)
{
	struct finf_client *client = NULL;
	struct finf_diag diag = {""};

	server.mute = true;
	start();
	ck_assert_int_eq(finf_client_open(server.path, &client, &diag), -ETIME);
	ck_assert_ptr_nonnull(strstr(diag.text, "greeting"));
	ck_assert_ptr_null(client);
	stop();
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("ipc/client");
	TCase *tc = tcase_create("client");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, small_and_large);
	tcase_add_test(tc, own_buffers);
	tcase_add_test(tc, many_small);
	tcase_add_test(tc, refusals);
	tcase_add_test(tc, timeout_and_late_answer);
	tcase_add_loop_test(tc, broken_servers, 0, sizeof(broken) / sizeof(broken[0]));
	tcase_add_test(tc, commands);
	tcase_add_test(tc, events);
	tcase_add_test(tc, nobody_there);
	tcase_add_test(tc, mute_server);
	suite_add_tcase(suite, tc);
	return suite;
}
