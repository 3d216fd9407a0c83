/* SPDX-License-Identifier: MIT */
/*
 * Many clients at once, and clients that misbehave: every answer is right and
 * comes to whom it belongs, nobody blocks anybody, and what a client held is
 * free when it is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fusedinf/client.h>

#include "ipc/ipc.h"
#include "tests/support/fid.h"
#include "tests/support/support.h"

#define WAIT_MS 30000
#define THREADS 8

/* ---- models and requests by the library ------------------------------------------------- */

static const char *golden(const char *name)
{
	static char path[4][1200];
	static unsigned at;
	char *text = path[at++ % 4];

	snprintf(text, sizeof(path[0]), "%s/tests/golden/%s", source_dir(), name);
	return text;
}

static void import_digits(const struct test_fid *fid, const char *name)
{
	fictl_ok(fid, "import", golden("digits/digits.onnx"), "--name", name, NULL);
}

static struct finf_client *open_client(const struct test_fid *fid)
{
	struct finf_client *client;
	struct finf_diag diag = {{0}};

	ck_assert_msg(!finf_client_open(fid->socket, &client, &diag), "%s", diag.text);
	finf_client_timeout(client, WAIT_MS);
	return client;
}

/* One request to a digits model with an image made of @seed. */
static int ask_digits(struct finf_client *client, const char *name, uint64_t seed, float *scores,
		      struct finf_diag *diag)
{
	float image[64];
	struct finf_tensor in = {.dtype = FINF_F32, .shape = {4, {1, 1, 8, 8}}, .data = image,
				 .bytes = sizeof(image)};
	struct finf_tensor out = {.data = scores, .bytes = 10 * sizeof(*scores)};

	test_fill_f32(image, 64, seed);
	return finf_client_infer(client, name, &in, 1, &out, 1, NULL, diag);
}

static void good_request(struct finf_client *client, const char *name)
{
	struct finf_diag diag = {{0}};
	float scores[10];

	ck_assert_msg(!ask_digits(client, name, 1, scores, &diag), "%s", diag.text);
}

static int64_t status_at(const struct test_fid *fid, const char *key)
{
	return json_at(fictl_ok(fid, "status", "--json", NULL), key);
}

/* ---- many at once -------------------------------------------------------------------------- */

static const char *const nets[] = {"net_fire_bn_10", "net_residual_bn_13", "net_inverted_bn_9",
				   "net_attention_raw_13", "net_residual_fold_11"};
#define N_NETS (sizeof(nets) / sizeof(nets[0]))
#define MODELS (N_NETS + 16) /* and digits under many names */

struct model {
	char name[32];
	struct finf_tensor in; /* data owned */
	float *answer;	       /* owned: the first */
	size_t answer_bytes;
};

struct crowd {
	const struct test_fid *fid;
	struct model *models;
	unsigned seed;
	pthread_barrier_t *start;
	unsigned done;
	char error[600];
};

static void describe(struct finf_client *client, struct model *model)
{
	char request[96], *text;
	json_t *doc, *port;
	size_t count;

	snprintf(request, sizeof(request), "{\"command\": \"inspect\", \"model\": \"%.31s\"}",
		 model->name);
	ck_assert_int_eq(finf_client_control(client, request, &text, NULL), 0);
	doc = json_loads(text, 0, NULL);
	ck_assert_uint_eq(json_array_size(json_object_get(doc, "inputs")), 1);
	port = json_array_get(json_object_get(doc, "inputs"), 0);
	model->in = (struct finf_tensor){.dtype = FINF_F32};
	for (size_t d = 0; d < json_array_size(json_object_get(port, "shape")); d++) {
		json_int_t dim = json_integer_value(json_array_get(json_object_get(port, "shape"), d));

		model->in.shape.dim[model->in.shape.rank++] = dim == FINF_DIM_ANY ? 1 : dim;
	}
	ck_assert_int_eq(finf_shape_count(&model->in.shape, &count), 0);
	model->in.bytes = count * sizeof(float);
	model->in.data = malloc(model->in.bytes);
	test_fill_f32(model->in.data, count, 11);
	json_decref(doc);
	free(text);
}

static void first_answer(struct finf_client *client, struct model *model)
{
	struct finf_tensor out = {.data = NULL};
	struct finf_diag diag = {{0}};

	describe(client, model);
	ck_assert_msg(!finf_client_infer(client, model->name, &model->in, 1, &out, 1, NULL, &diag),
		      "%s: %s", model->name, diag.text);
	model->answer = out.data;
	model->answer_bytes = out.bytes;
}

static void *crowd_main(void *ctx)
{
	struct crowd *crowd = ctx;
	struct finf_client *client = NULL;
	struct finf_diag diag = {{0}};
	uint64_t random = crowd->seed;
	int err = finf_client_open(crowd->fid->socket, &client, &diag);

	pthread_barrier_wait(crowd->start);
	for (unsigned i = 0; !err && i < 60; i++) {
		const struct model *model = &crowd->models[test_random(&random) % MODELS];
		struct finf_tensor out = {.data = NULL};

		err = finf_client_infer(client, model->name, &model->in, 1, &out, 1, NULL, &diag);
		if (!err && (out.bytes != model->answer_bytes ||
			     memcmp(out.data, model->answer, out.bytes)))
			err = finf_diag_set(&diag, -EILSEQ, "another answer than the first");
		if (err)
			snprintf(crowd->error, sizeof(crowd->error), "%s: %s", model->name, diag.text);
		else
			crowd->done++;
		free(out.data);
	}
	if (err && !crowd->error[0])
		snprintf(crowd->error, sizeof(crowd->error), "%s", diag.text);
	finf_client_close(client);
	return NULL;
}

static void run_crowd(const struct test_fid *fid, struct model *models)
{
	struct crowd crowd[THREADS] = {{0}};
	pthread_t threads[THREADS];
	pthread_barrier_t start;

	pthread_barrier_init(&start, NULL, THREADS);
	for (unsigned i = 0; i < THREADS; i++) {
		crowd[i] = (struct crowd){.fid = fid, .models = models, .seed = i + 1, .start = &start};
		ck_assert_int_eq(pthread_create(&threads[i], NULL, crowd_main, &crowd[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_msg(!crowd[i].error[0] && crowd[i].done == 60, "thread %u, after %u: %s", i,
			      crowd[i].done, crowd[i].error);
	}
	pthread_barrier_destroy(&start);
}

START_TEST(eight_threads_get_the_right_answers_under_pressure)
{
	struct model models[MODELS];
	struct finf_client *client;
	struct test_fid fid;
	int64_t weights = 0, arena = 0;
	char pool[32], path[256];

	/* First alone in a large pool, to know the sizes; then in one of about two thirds. */
	fid_start(&fid, "crowd", "64M", NULL);
	client = open_client(&fid);
	for (size_t i = 0; i < MODELS; i++) {
		if (i < N_NETS)
			snprintf(models[i].name, sizeof(models[i].name), "%s", nets[i]);
		else
			snprintf(models[i].name, sizeof(models[i].name), "digits%zu", i);
		snprintf(path, sizeof(path), "cases/%.31s/model.onnx", models[i].name);
		fictl_ok(&fid, "import", golden(i < N_NETS ? path : "digits/digits.onnx"), "--name",
			 models[i].name, NULL);
		first_answer(client, &models[i]);
	}
	weights = status_at(&fid, "pool.weights");
	arena = status_at(&fid, "pool.arena");
	run_crowd(&fid, models);
	ck_assert_int_eq(status_at(&fid, "swap.loads"), MODELS);
	finf_client_close(client);
	fid_stop(&fid);

	snprintf(pool, sizeof(pool), "%lld", (long long)(arena + weights * 2 / 3));
	fid_start(&fid, "crowd", pool, NULL);
	run_crowd(&fid, models);
	ck_assert_int_gt(status_at(&fid, "swap.evictions"), 0);
	ck_assert_int_eq(status_at(&fid, "requests.failed"), 0);
	ck_assert_int_eq(status_at(&fid, "requests.done"), THREADS * 60);
	ck_assert_int_eq(status_at(&fid, "requests.running"), 0);
	ck_assert_int_eq(status_at(&fid, "requests.queued"), 0);
	fid_stop(&fid);
	for (size_t i = 0; i < MODELS; i++) {
		free(models[i].in.data);
		free(models[i].answer);
	}
}
END_TEST

/* What the process did before must not show in what is tuned later. */
START_TEST(a_model_imported_again_takes_every_batch)
{
	static const char *const batches[] = {"5", "1", "2", "64"};
	struct test_fid fid;

	fid_start(&fid, "batch", "16M", NULL);
	import_digits(&fid, "first");
	import_digits(&fid, "second");
	for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++)
		fictl_ok(&fid, "infer", "second", "--batch", batches[i], NULL);
	fid_stop(&fid);
}
END_TEST

static void *first_main(void *ctx)
{
	struct crowd *crowd = ctx;
	struct finf_client *client = NULL;
	struct finf_diag diag = {{0}};
	float scores[10];
	int err = finf_client_open(crowd->fid->socket, &client, &diag);

	pthread_barrier_wait(crowd->start);
	if (!err)
		err = ask_digits(client, "digits", crowd->seed, scores, &diag);
	if (err)
		snprintf(crowd->error, sizeof(crowd->error), "%s", diag.text);
	finf_client_close(client);
	return NULL;
}

START_TEST(first_requests_at_once_cause_one_load)
{
	struct test_fid fid;

	fid_start(&fid, "flight", "16M", NULL);
	import_digits(&fid, "digits");
	for (int round = 1; round <= 10; round++) {
		struct crowd crowd[THREADS] = {{0}};
		pthread_t threads[THREADS];
		pthread_barrier_t start;

		pthread_barrier_init(&start, NULL, THREADS);
		for (unsigned i = 0; i < THREADS; i++) {
			crowd[i] = (struct crowd){.fid = &fid, .seed = i, .start = &start};
			ck_assert_int_eq(pthread_create(&threads[i], NULL, first_main, &crowd[i]), 0);
		}
		for (unsigned i = 0; i < THREADS; i++) {
			pthread_join(threads[i], NULL);
			ck_assert_msg(!crowd[i].error[0], "%s", crowd[i].error);
		}
		pthread_barrier_destroy(&start);
		ck_assert_int_eq(status_at(&fid, "swap.loads"), round);
		fictl_ok(&fid, "unload", "digits", NULL);
	}
	fid_stop(&fid);
}
END_TEST

START_TEST(pinned_models_stay_under_pressure)
{
	struct finf_client *client;
	struct test_fid fid;
	const char *models, *pinned;
	char name[8];

	/* Each takes about 100 kB of weights: eight of them and an arena are too many. */
	fid_start(&fid, "pinned", "1M", NULL);
	import_digits(&fid, "stay");
	for (int i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "m%d", i);
		import_digits(&fid, name);
	}
	fictl_ok(&fid, "pin", "stay", NULL);
	client = open_client(&fid);
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "m%d", i % 12);
		good_request(client, name);
	}
	finf_client_close(client);
	ck_assert_int_gt(status_at(&fid, "swap.evictions"), 0);
	models = fictl_ok(&fid, "models", "--json", NULL);
	pinned = strstr(models, "\"name\": \"stay\"");
	ck_assert_ptr_nonnull(pinned);
	ck_assert_int_eq(json_at(pinned, "evictions"), 0);
	ck_assert_int_eq(json_at(pinned, "loads"), 1);
	ck_assert_ptr_null(strstr(fictl_ok(&fid, "events", NULL), "evict       stay"));
	fid_stop(&fid);
}
END_TEST

/* ---- frames by hand --------------------------------------------------------------------------- */

static int connect_to(const struct test_fid *fid, int flags)
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

static struct finf_wire_header header(uint16_t type, uint32_t bytes, uint64_t id)
{
	return (struct finf_wire_header){.magic = FINF_WIRE_MAGIC, .version = FINF_WIRE_VERSION,
					 .type = type, .payload_bytes = bytes, .id = id};
}

static void put_hello(struct finf_buf *buf)
{
	struct finf_wire_header head = header(FINF_WIRE_HELLO, sizeof(struct finf_wire_hello), 0);
	struct finf_wire_hello hello = {.features = FINF_WIRE_FEATURE_ARENA, .pid = 1};

	finf_buf_put(buf, &head, sizeof(head));
	finf_buf_put(buf, &hello, sizeof(hello));
}

static void put_control(struct finf_buf *buf, const char *json, uint64_t id)
{
	struct finf_wire_header head = header(FINF_WIRE_CONTROL, (uint32_t)strlen(json), id);

	finf_buf_put(buf, &head, sizeof(head));
	finf_buf_put(buf, json, strlen(json));
}

static void put_cancel(struct finf_buf *buf, uint64_t id)
{
	struct finf_wire_header head = header(FINF_WIRE_CANCEL, 0, id);

	finf_buf_put(buf, &head, sizeof(head));
}

/* A request to a digits model, everything inline. */
static void put_infer(struct finf_buf *buf, const char *model, uint64_t id, uint64_t deadline_ns)
{
	struct {
		struct finf_wire_infer infer;
		struct finf_wire_tensor tensors[2];
		char name[8];
		float image[64];
	} p = {.infer = {.n_inputs = 1, .n_outputs = 1, .name_bytes = (uint32_t)strlen(model)},
	       .tensors = {{.dtype = FINF_F32, .rank = 4, .dim = {1, 1, 8, 8}, .bytes = 256},
			   {.bytes = 40}}};
	struct finf_wire_header head = header(FINF_WIRE_INFER, sizeof(p), id);

	ck_assert_uint_le(strlen(model), sizeof(p.name));
	memcpy(p.name, model, strlen(model));
	head.deadline_ns = deadline_ns;
	finf_buf_put(buf, &head, sizeof(head));
	finf_buf_put(buf, &p, sizeof(p));
}

static void write_all(int fd, struct finf_buf *buf)
{
	ck_assert_int_eq(buf->err, 0);
	ck_assert_int_eq(finf_write_full(fd, buf->data, buf->len), 0);
	finf_buf_fini(buf);
	finf_buf_init(buf);
}

/* A connection that has greeted; what is sent on it goes past @conn. */
static struct finf_conn *greet(const struct test_fid *fid)
{
	struct finf_conn *conn;
	struct finf_buf buf;
	int fd = connect_to(fid, 0);

	finf_buf_init(&buf);
	put_hello(&buf);
	write_all(fd, &buf);
	finf_buf_fini(&buf);
	ck_assert_int_eq(finf_conn_new(fd, &conn), 0);
	return conn;
}

/* The next frame of this type; others are left out. */
static struct finf_frame *next_frame(struct finf_conn *conn, enum finf_wire_type type)
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
static void wait_dropped(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	char bytes[65536];
	ssize_t n;

	do {
		ck_assert_msg(poll(&pfd, 1, WAIT_MS) == 1, "the connection is still open");
		n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	} while (n > 0 || (n < 0 && errno == EAGAIN));
}

/* ---- clients that misbehave ----------------------------------------------------------------------- */

static void bad_nothing(struct finf_buf *buf)
{
	(void)buf;
}

static void bad_half_header(struct finf_buf *buf)
{
	struct finf_wire_header head = header(FINF_WIRE_CONTROL, 100, 1);

	put_hello(buf);
	finf_buf_put(buf, &head, sizeof(head) / 2);
}

static void bad_half_payload(struct finf_buf *buf)
{
	struct finf_wire_header head = header(FINF_WIRE_CONTROL, 100, 1);

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
	struct finf_wire_header head = header(FINF_WIRE_CONTROL, UINT32_MAX, 1);

	put_hello(buf);
	finf_buf_put(buf, &head, sizeof(head));
}

static void bad_version(struct finf_buf *buf)
{
	struct finf_wire_header head = header(FINF_WIRE_HELLO, sizeof(struct finf_wire_hello), 0);
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
	struct finf_wire_header head = header(77, 0, 1);

	put_hello(buf);
	finf_buf_put(buf, &head, sizeof(head));
}

static void bad_answer_of_its_own(struct finf_buf *buf)
{
	struct finf_wire_header head = header(FINF_WIRE_RESULT, sizeof(struct finf_wire_result), 1);
	struct finf_wire_result result = {0};

	put_hello(buf);
	finf_buf_put(buf, &head, sizeof(head));
	finf_buf_put(buf, &result, sizeof(result));
}

static void bad_descriptors(struct finf_buf *buf)
{
	struct finf_wire_header head = header(FINF_WIRE_IMPORT, 1, 1);

	head.n_fds = 1; /* none comes */
	put_hello(buf);
	finf_buf_put(buf, &head, sizeof(head));
	finf_buf_put(buf, "m", 1);
}

static void bad_arena(struct finf_buf *buf)
{
	struct finf_wire_header head = header(FINF_WIRE_ARENA, 8, 1);
	uint64_t bytes = 4096;

	put_hello(buf);
	finf_buf_put(buf, &head, sizeof(head)); /* without its descriptor */
	finf_buf_put(buf, &bytes, sizeof(bytes));
}

static const struct {
	void (*fill)(struct finf_buf *buf);
	bool dropped;
} misbehaviours[] = {
	{bad_nothing, false},	 {bad_half_header, false}, {bad_half_payload, false},
	{bad_garbage, true},	 {bad_length, true},	   {bad_version, true},
	{bad_no_hello, true},	 {bad_two_hellos, true},   {bad_type, true},
	{bad_answer_of_its_own, true}, {bad_descriptors, true},  {bad_arena, true},
};
#define MISBEHAVIOURS (sizeof(misbehaviours) / sizeof(misbehaviours[0]))

START_TEST(misbehaving_clients_hurt_nobody_else)
{
	struct finf_client *client;
	struct test_fid fid;
	int descriptors;

	fid_start(&fid, "bad", "16M", NULL);
	import_digits(&fid, "digits");
	client = open_client(&fid);
	good_request(client, "digits");
	fictl_ok(&fid, "status", NULL);
	good_request(client, "digits");
	descriptors = settled_descriptors(fid.pid);
	for (size_t i = 0; i < MISBEHAVIOURS; i++) {
		struct finf_buf buf;
		int fd = connect_to(&fid, 0);

		finf_buf_init(&buf);
		misbehaviours[i].fill(&buf);
		if (buf.len)
			write_all(fd, &buf);
		finf_buf_fini(&buf);
		good_request(client, "digits");
		if (misbehaviours[i].dropped)
			wait_dropped(fd);
		good_request(client, "digits");
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
	import_digits(&fid, "digits");
	client = open_client(&fid);
	good_request(client, "digits");
	descriptors = settled_descriptors(fid.pid);
	fd = connect_to(&fid, 0);
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
			good_request(client, "digits");
	}
	ck_assert_msg(!open, "%zu bytes were taken and nothing was read", at);
	good_request(client, "digits");
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

/* ---- clients that go away ---------------------------------------------------------------------------- */

static void send_fd(int to, uint16_t type, const void *payload, size_t bytes, int fd, uint64_t id)
{
	struct finf_wire_header head = header(type, (uint32_t)bytes, id);
	struct iovec iov[2] = {{&head, sizeof(head)}, {(void *)(uintptr_t)payload, bytes}};
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2, .msg_control = control,
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
	struct finf_conn *conn = greet(fid);
	struct finf_shared shared;
	struct finf_buf buf;
	uint64_t bytes = 1 << 20;
	int fd;

	ck_assert_int_eq(finf_arena_create(bytes, &shared, &fd), 0);
	send_fd(finf_conn_fd(conn), FINF_WIRE_ARENA, &bytes, sizeof(bytes), fd, 1);
	finf_buf_init(&buf);
	for (uint64_t id = 2; id < 42; id++)
		put_infer(&buf, "digits", id, 0);
	write_all(finf_conn_fd(conn), &buf);
	ck_assert_int_eq(write(ready, "", 1), 1);
	for (;;)
		pause();
}

START_TEST(a_killed_client_leaves_nothing)
{
	struct test_fid fid;
	int descriptors;

	fid_start(&fid, "killed", "16M", NULL);
	import_digits(&fid, "digits");
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
	import_digits(&fid, "digits");
	client = open_client(&fid);
	good_request(client, "digits");
	descriptors = settled_descriptors(fid.pid);
	for (int i = 0; i < 3000; i++) { /* one after the other, most without a word */
		if (i % 8)
			close(connect_to(&fid, 0));
		else
			finf_client_close(open_client(&fid));
	}
	good_request(client, "digits");
	wait_descriptors(fid.pid, descriptors);
	/* More at a time than fid takes: who is in goes on. */
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	fds = calloc(1500, sizeof(*fds));
	for (int i = 0; i < 1500 && i + 64 < (int)limit.rlim_cur; i++) {
		int fd = connect_to(&fid, SOCK_NONBLOCK);

		if (fd >= 0)
			fds[n++] = fd;
		if (i % 100 == 0)
			good_request(client, "digits");
	}
	ck_assert_int_gt(n, 100);
	good_request(client, "digits");
	while (n)
		close(fds[--n]);
	free(fds);
	wait_descriptors(fid.pid, descriptors);
	fictl_ok(&fid, "infer", "digits", NULL);
	finf_client_close(client);
	fid_stop(&fid);
}
END_TEST

/* ---- deadlines, cancellation, arenas, the end ----------------------------------------------------------- */

START_TEST(a_deadline_in_the_past_is_etime)
{
	struct finf_conn *conn;
	struct finf_buf buf;
	struct test_fid fid;

	fid_start(&fid, "late", "16M", NULL);
	import_digits(&fid, "digits");
	conn = greet(&fid);
	finf_buf_init(&buf);
	for (int warm = 0; warm < 2; warm++) {
		put_infer(&buf, "digits", 1, 1);
		write_all(finf_conn_fd(conn), &buf);
		ck_assert_int_eq(next_frame(conn, FINF_WIRE_RESULT)->head.status, -ETIME);
		put_infer(&buf, "digits", 2, finf_now_ns() + 60000000000u);
		write_all(finf_conn_fd(conn), &buf);
		ck_assert_int_eq(next_frame(conn, FINF_WIRE_RESULT)->head.status, 0);
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
	import_digits(&fid, "digits");
	fictl_ok(&fid, "fuse", "digits", other, "--name", "g", "--no-verdict", NULL);
	conn = greet(&fid);
	finf_buf_init(&buf);
	for (int round = 0; round < 4; round++) {
		/* In one piece: fid cannot have answered the last when it reads the command. */
		for (uint64_t id = 1; id <= 5; id++)
			put_infer(&buf, "g/digits", id, 0);
		put_control(&buf, "{\"command\": \"remove\", \"model\": \"g:1\"}", 6);
		write_all(finf_conn_fd(conn), &buf);
		frame = next_frame(conn, FINF_WIRE_REPLY);
		ck_assert_int_eq(frame->head.status, -EBUSY);
		ck_assert_msg(memmem(frame->payload, frame->head.payload_bytes, "g:1 is in use", 13) != NULL,
			      "%.*s", (int)frame->head.payload_bytes, (const char *)frame->payload);
		for (int i = 0; i < 5; i++)
			ck_assert_int_eq(next_frame(conn, FINF_WIRE_RESULT)->head.status, 0);
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
	import_digits(&fid, "digits");
	conn = greet(&fid);
	finf_buf_init(&buf);
	for (int round = 0; round < 20; round++) {
		unsigned seen = 0;

		/* In one piece: fid cannot have run the tenth when it reads the cancellation. */
		for (uint64_t id = 1; id <= 10; id++)
			put_infer(&buf, "digits", id, 0);
		put_cancel(&buf, 10);
		put_cancel(&buf, 4711);
		write_all(finf_conn_fd(conn), &buf);
		for (int i = 0; i < 10; i++) {
			const struct finf_frame *frame = next_frame(conn, FINF_WIRE_RESULT);

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
	return next_frame(conn, FINF_WIRE_REPLY)->head.status;
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
	conn = greet(&fid);
	next_frame(conn, FINF_WIRE_HELLO);
	descriptors = settled_descriptors(fid.pid);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fd = make_memfd(rows[i].seals);
		ck_assert_int_eq(offer(conn, fd, rows[i].bytes), rows[i].status);
		close(fd);
	}
	fd = open(golden("digits/digits.onnx"), O_RDONLY | O_CLOEXEC);
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
	import_digits(&fid, "digits");
	conn = greet(&fid);
	finf_buf_init(&buf);
	for (uint64_t id = 1; id <= 60; id++)
		put_infer(&buf, "digits", id, 0);
	/* Frames are handled in order: with its answer here, the sixty are accepted. */
	put_control(&buf, "{\"command\": \"events\", \"count\": 1}", 99);
	write_all(finf_conn_fd(conn), &buf);
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
		const struct finf_frame *frame = next_frame(conn, FINF_WIRE_RESULT);

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
	Suite *suite = suite_create("clients");
	TCase *tc = tcase_create("fid");

	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, eight_threads_get_the_right_answers_under_pressure);
	tcase_add_test(tc, a_model_imported_again_takes_every_batch);
	tcase_add_test(tc, first_requests_at_once_cause_one_load);
	tcase_add_test(tc, pinned_models_stay_under_pressure);
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
