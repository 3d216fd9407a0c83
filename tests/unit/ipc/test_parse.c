/* SPDX-License-Identifier: MIT */
/* ipc: INFER and RESULT payloads - a good one, each of its fields made hostile, and noise. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/priv.h"
#include "tests/support/support.h"

#define ARENA_BYTES 65536

struct sample {
	struct finf_frame frame;
	uint8_t bytes[16384];
};

/* Input 0 inline, input 1 in the arena, a wanted output there and one inline. */
static void make_sample(struct sample *s)
{
	static const float small[3] = {1, 2, 3};
	struct finf_tensor t[4] = {
		{.name = "a", .dtype = FINF_F32, .shape = {1, {3}}},
		{.name = "bb", .dtype = FINF_F32, .shape = {2, {16, 16}}},
		{.name = NULL},
		{.name = "out/2"},
	};
	struct finf_wire_infer head = {.n_inputs = 2, .n_outputs = 2};
	struct finf_wire_header frame = {.type = FINF_WIRE_INFER};
	static struct finf_body body;
	struct finf_conn *conn;
	int fd[2];
	ssize_t n;

	finf_body_init(&body);
	ck_assert_int_eq(finf_body_name(&body, "net:3", &head.name_bytes), 0);
	ck_assert_int_eq(finf_body_tensor(&body, &t[0], 12, FINF_WIRE_INLINE, 0, small), 0);
	ck_assert_int_eq(finf_body_tensor(&body, &t[1], 1024, FINF_WIRE_ARENA_OFFSET, 64, small),
			 0);
	ck_assert_int_eq(finf_body_tensor(&body, &t[2], 4096, FINF_WIRE_ARENA_OFFSET, 8192, NULL),
			 0);
	ck_assert_int_eq(finf_body_tensor(&body, &t[3], 100, FINF_WIRE_INLINE, 0, NULL), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	ck_assert_int_eq(finf_conn_new(fd[0], &conn), 0);
	ck_assert_int_eq(finf_body_send(&body, conn, &frame, &head, sizeof(head)), 0);
	n = read(fd[1], s->bytes, sizeof(s->bytes));
	ck_assert_int_gt(n, (ssize_t)sizeof(frame));
	memcpy(&s->frame.head, s->bytes, sizeof(frame));
	s->frame.payload = s->bytes + sizeof(frame);
	s->frame.fd = -1;
	ck_assert_uint_eq(s->frame.head.payload_bytes, (size_t)n - sizeof(frame));
	finf_conn_free(conn);
	close(fd[1]);
}

static struct finf_wire_request request;

START_TEST(good)
{
	struct finf_diag diag = {""};
	struct sample s;

	make_sample(&s);
	ck_assert_msg(!finf_wire_parse_infer(&s.frame, ARENA_BYTES, &request, &diag), "%s",
		      diag.text);
	ck_assert_str_eq(request.model, "net:3");
	ck_assert_uint_eq(request.n_inputs, 2);
	ck_assert_uint_eq(request.n_outputs, 2);
	ck_assert_str_eq(request.tensors[0].name, "a");
	ck_assert_uint_eq(request.tensors[0].dtype, FINF_F32);
	ck_assert_uint_eq(request.tensors[0].shape.dim[0], 3);
	ck_assert(!request.in_arena[0]);
	ck_assert_uint_eq((uintptr_t)request.tensors[0].data % FINF_WIRE_PAD, 0);
	ck_assert(((const float *)request.tensors[0].data)[2] == 3);
	ck_assert_str_eq(request.tensors[1].name, "bb");
	ck_assert(request.in_arena[1]);
	ck_assert_ptr_null(request.tensors[1].data);
	ck_assert_uint_eq(request.offset[1], 64);
	ck_assert_uint_eq(request.tensors[1].shape.rank, 2);
	ck_assert_ptr_null(request.tensors[2].name);
	ck_assert_uint_eq(request.tensors[2].bytes, 4096);
	ck_assert_str_eq(request.tensors[3].name, "out/2");
	ck_assert_ptr_null(request.tensors[3].data);
	ck_assert_int_eq(finf_wire_parse_infer(&s.frame, 0, &request, &diag), -EPROTO);
}
END_TEST

#define HEAD(f) offsetof(struct finf_wire_infer, f), sizeof(((struct finf_wire_infer *)0)->f)
#define TENSOR(i, f) \
	sizeof(struct finf_wire_infer) + (i) * sizeof(struct finf_wire_tensor) + \
		offsetof(struct finf_wire_tensor, f), sizeof(((struct finf_wire_tensor *)0)->f)
#define NAMES (sizeof(struct finf_wire_infer) + 4 * sizeof(struct finf_wire_tensor))

static const struct {
	const char *name;
	size_t at, width;
	uint64_t value;
	const char *says;
} hostile[] = {
	{"many inputs", HEAD(n_inputs), 65535, "limit"},
	{"many outputs", HEAD(n_outputs), 63, "limit"},
	{"more tensors than the frame", HEAD(n_inputs), 60, "do not fit"},
	{"head reserved", HEAD(reserved), 1, "reserved"},
	{"no model", HEAD(name_bytes), 0, "not a model name"},
	{"model name beyond the frame", HEAD(name_bytes), UINT32_MAX, "beyond the frame"},
	{"control character", NAMES + 1, 1, 27, "control"},
	{"NUL in a name", NAMES + 1, 1, 0, "control"},
	{"DEL in a tensor name", NAMES + 6, 1, 127, "control"},
	{"model name with a slash", NAMES, 1, '/', "not a model name"},
	{"no version", NAMES + 4, 1, 'x', "not a model name"},
	{"tensor name beyond the frame", TENSOR(3, name_bytes), 1000, "beyond the frame"},
	{"tensor name wraps", TENSOR(0, name_bytes), UINT32_MAX, "beyond the frame"},
	{"padding", NAMES + 14, 1, 1, "padding"},
	{"rank", TENSOR(0, rank), 9, "dimensions"},
	{"rank of an output", TENSOR(2, rank), UINT32_MAX, "dimensions"},
	{"dtype", TENSOR(0, dtype), 99, "unknown dtype"},
	{"dtype sign", TENSOR(0, dtype), UINT32_MAX, "reserved"},
	{"tensor reserved", TENSOR(1, reserved), 1, "reserved"},
	{"dimension", TENSOR(0, dim[0]), 4, "bytes do not match"},
	{"negative dimension", TENSOR(0, dim[0]), UINT64_MAX, "negative"},
	{"negative zero-size", TENSOR(1, dim[1]), (uint64_t)INT64_MIN, "negative"},
	{"overflowing shape", TENSOR(1, dim[0]), INT64_MAX, "absurd"},
	{"bytes", TENSOR(0, bytes), 13, "bytes do not match"},
	{"inline too large", TENSOR(0, bytes), FINF_WIRE_INLINE_MAX + 1, "inline"},
	{"inline with offset", TENSOR(0, offset), 64, "inline"},
	{"wanted inline too large", TENSOR(3, bytes), FINF_WIRE_INLINE_MAX + 1, "inline"},
	{"place", TENSOR(0, place), 2, "place"},
	{"offset at the end", TENSOR(1, offset), ARENA_BYTES, "outside"},
	{"offset beyond", TENSOR(1, offset), ARENA_BYTES + 64, "outside"},
	{"offset wraps", TENSOR(1, offset), UINT64_MAX - 63, "outside"},
	{"offset not aligned", TENSOR(1, offset), 4, "aligned"},
	{"output outside", TENSOR(2, bytes), ARENA_BYTES, "outside"},
	{"output wraps", TENSOR(2, bytes), UINT64_MAX, "outside"},
	{"inline data where none is", TENSOR(1, place), FINF_WIRE_INLINE, "inline"},
	{"data left over", TENSOR(0, place), FINF_WIRE_ARENA_OFFSET, "too many"},
};

START_TEST(hostile_fields)
{
	struct finf_diag diag = {""};
	struct sample s;
	uint64_t value = hostile[_i].value;

	make_sample(&s);
	memcpy(s.frame.payload + hostile[_i].at, &value, hostile[_i].width);
	ck_assert_msg(finf_wire_parse_infer(&s.frame, ARENA_BYTES, &request, &diag) == -EPROTO,
		      "%s was accepted", hostile[_i].name);
	ck_assert_msg(strstr(diag.text, hostile[_i].says), "%s: %s", hostile[_i].name, diag.text);
}
END_TEST

/* Cut anywhere: refused, and nothing behind the end is read (the sanitizer looks). */
START_TEST(truncated)
{
	struct sample s;
	struct finf_diag diag;

	make_sample(&s);
	for (uint32_t n = 0; n < s.frame.head.payload_bytes; n++) {
		struct finf_frame cut = s.frame;

		cut.head.payload_bytes = n;
		cut.payload = malloc(n ? n : 1);
		ck_assert_ptr_nonnull(cut.payload);
		memcpy(cut.payload, s.frame.payload, n);
		diag.text[0] = 0;
		ck_assert_int_eq(finf_wire_parse_infer(&cut, ARENA_BYTES, &request, &diag),
				 -EPROTO);
		ck_assert_int_ne(diag.text[0], 0);
		free(cut.payload);
	}
	s.frame.head.payload_bytes += 8;
	ck_assert_int_eq(finf_wire_parse_infer(&s.frame, ARENA_BYTES, &request, NULL), -EPROTO);
}
END_TEST

/* Whatever is accepted stays inside. */
START_TEST(noise)
{
	uint64_t seed = 11;
	struct sample good_one;

	make_sample(&good_one);
	for (int round = 0; round < 50000; round++) {
		struct sample s = good_one;
		uint32_t flips = 1 + (uint32_t)(test_random(&seed) % 4);

		s.frame.payload = s.bytes + sizeof(struct finf_wire_header);
		while (flips--)
			s.frame.payload[test_random(&seed) % s.frame.head.payload_bytes] =
				(uint8_t)test_random(&seed);
		if (finf_wire_parse_infer(&s.frame, ARENA_BYTES, &request, NULL))
			continue;
		for (uint32_t i = 0; i < request.n_inputs + request.n_outputs; i++) {
			const uint8_t *data = request.tensors[i].data;

			if (request.in_arena[i])
				ck_assert_uint_le(request.offset[i] + request.tensors[i].bytes,
						  ARENA_BYTES);
			else if (i < request.n_inputs)
				ck_assert(data >= s.frame.payload &&
					  data + request.tensors[i].bytes <=
						  s.frame.payload + s.frame.head.payload_bytes);
		}
	}
}
END_TEST

START_TEST(names_take_too_much)
{
	static struct finf_body body;
	static char name[FINF_WIRE_NAMES_MAX + 1];
	struct finf_tensor t = {.name = name};
	uint32_t n;

	finf_body_init(&body);
	memset(name, 'n', sizeof(name) - 1);
	ck_assert_int_eq(finf_body_name(&body, name, &n), -EMSGSIZE);
	name[FINF_WIRE_NAMES_MAX / 2] = 0;
	ck_assert_int_eq(finf_body_name(&body, name, &n), 0);
	ck_assert_int_eq(finf_body_tensor(&body, &t, 0, FINF_WIRE_INLINE, 0, NULL), -EMSGSIZE);
	t.name = NULL;
	for (uint32_t i = 0; i < FINF_WIRE_TENSORS_MAX; i++)
		ck_assert_int_eq(finf_body_tensor(&body, &t, 0, FINF_WIRE_INLINE, 0, NULL), 0);
	ck_assert_int_eq(finf_body_tensor(&body, &t, 0, FINF_WIRE_INLINE, 0, NULL), -EMSGSIZE);
}
END_TEST

START_TEST(small_payloads)
{
	uint8_t bytes[24] = "hello";
	struct finf_frame frame = {.payload = bytes, .fd = -1};
	struct finf_wire_hello hello;
	uint64_t size;
	char *text;

	frame.head = (struct finf_wire_header){.type = FINF_WIRE_HELLO, .payload_bytes = 15};
	ck_assert_int_eq(finf_wire_parse_hello(&frame, &hello), -EPROTO);
	frame.head.payload_bytes = 24; /* a longer one of a later version */
	ck_assert_int_eq(finf_wire_parse_hello(&frame, &hello), 0);
	frame.head.type = FINF_WIRE_ARENA;
	ck_assert_int_eq(finf_wire_parse_hello(&frame, &hello), -EPROTO);
	frame.head.payload_bytes = 8;
	ck_assert_int_eq(finf_wire_parse_arena(&frame, &size), -EPROTO); /* no descriptor */
	frame.fd = 0;
	ck_assert_int_eq(finf_wire_parse_arena(&frame, &size), 0);
	frame.head.payload_bytes = 7;
	ck_assert_int_eq(finf_wire_parse_arena(&frame, &size), -EPROTO);
	frame.head.payload_bytes = 5;
	ck_assert_int_eq(finf_wire_parse_text(&frame, &text), 0);
	ck_assert_str_eq(text, "hello");
	free(text);
	frame.head.payload_bytes = 6;
	ck_assert_int_eq(finf_wire_parse_text(&frame, &text), -EPROTO);
	frame.head.payload_bytes = 0;
	ck_assert_int_eq(finf_wire_parse_text(&frame, &text), 0);
	ck_assert_str_eq(text, "");
	free(text);
}
END_TEST

START_TEST(socket_path)
{
	char path[64];

	setenv("FUSEDINF_SOCKET", "/x/y", 1);
	ck_assert_int_eq(finf_wire_socket_path(path, sizeof(path)), 0);
	ck_assert_str_eq(path, "/x/y");
	ck_assert_int_eq(finf_wire_socket_path(path, 4), -ENAMETOOLONG);
	unsetenv("FUSEDINF_SOCKET");
	setenv("XDG_RUNTIME_DIR", "/r", 1);
	ck_assert_int_eq(finf_wire_socket_path(path, sizeof(path)), 0);
	ck_assert_str_eq(path, geteuid() ? "/r/fusedinf/fid.sock" : "/run/fusedinf/fid.sock");
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("ipc/parse");
	TCase *tc = tcase_create("parse");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, good);
	tcase_add_loop_test(tc, hostile_fields, 0, sizeof(hostile) / sizeof(hostile[0]));
	tcase_add_test(tc, truncated);
	tcase_add_test(tc, noise);
	tcase_add_test(tc, names_take_too_much);
	tcase_add_test(tc, small_payloads);
	tcase_add_test(tc, socket_path);
	suite_add_tcase(suite, tc);
	return suite;
}
