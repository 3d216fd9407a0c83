/* SPDX-License-Identifier: MIT */
/* exec: a run starts before its last segment has arrived. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/exec/adds.h"

/* Holds the loader at the last segment until the first node has run. */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t opened;
	uint64_t hold_from; /* file offset */
	bool open, gave_up;
	struct finf_load *load;
	uint32_t published_at_first; /* when the first node had run */
	bool done;
	int result;
};

static void gate_wait(void *ctx, uint64_t file_offset)
{
	struct gate *gate = ctx;
	struct timespec limit;

	if (file_offset < gate->hold_from)
		return;
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += 60;
	pthread_mutex_lock(&gate->lock);
	while (!gate->open && !gate->gave_up)
		if (pthread_cond_timedwait(&gate->opened, &gate->lock, &limit) == ETIMEDOUT)
			gate->gave_up = true;
	pthread_mutex_unlock(&gate->lock);
}

static void gate_open(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	gate->open = true;
	pthread_cond_broadcast(&gate->opened);
	pthread_mutex_unlock(&gate->lock);
}

static void open_after_first_add(void *ctx, uint32_t step, uint64_t start_ns, uint64_t end_ns)
{
	struct gate *gate = ctx;

	(void)start_ns, (void)end_ns;
	if (step != 1)
		return;
	gate->published_at_first = finf_load_published(gate->load);
	gate_open(gate);
}

static void load_done(void *ctx, struct finf_load *load, int result, const struct finf_diag *diag)
{
	struct gate *gate = ctx;

	(void)load, (void)diag;
	pthread_mutex_lock(&gate->lock);
	gate->result = result;
	gate->done = true;
	pthread_cond_broadcast(&gate->opened);
	pthread_mutex_unlock(&gate->lock);
}

static void wait_done(struct gate *gate)
{
	pthread_mutex_lock(&gate->lock);
	while (!gate->done)
		pthread_cond_wait(&gate->opened, &gate->lock);
	pthread_mutex_unlock(&gate->lock);
}

struct stream {
	struct gate gate;
	struct finf_pool_memory pool;
	struct finf_loader *loader;
	int fd;
};

/* The extent goes to a file and is to come back into an empty pool; segment
 * @damaged has the wrong checksum. */
static void stream_start(struct stream *stream, uint32_t damaged)
{
	struct finf_load_segment parts[N_ADDS];
	struct finf_loader_opts opts = {
		.size = sizeof(opts),
		.depth = 1, /* so that a block is published before the next is asked for */
		.slow = gate_wait,
		.slow_ctx = &stream->gate,
	};
	struct finf_diag diag = {""};

	*stream = (struct stream){.gate = {.hold_from = (N_ADDS - 1) * BYTES}};
	pthread_mutex_init(&stream->gate.lock, NULL);
	pthread_cond_init(&stream->gate.opened, NULL);
	stream->pool = (struct finf_pool_memory){
		.base = mmap(NULL, sizeof(extent), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
		.bytes = sizeof(extent),
		.host_visible = true,
		.mode = "host",
		.pages = "4k",
	};
	stream->fd = open(scratch_path("extent"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(stream->fd, 0);
	ck_assert_int_eq(finf_pwrite_full(stream->fd, extent, sizeof(extent), 0), 0);
	for (uint32_t i = 0; i < N_ADDS; i++)
		parts[i] = (struct finf_load_segment){
			.file_offset = i * BYTES,
			.bytes = BYTES,
			.xxh3 = finf_hash64(extent[i], BYTES) + (i == damaged),
			.to = (char *)stream->pool.base + i * BYTES,
		};
	ck_assert_int_eq(
		finf_loader_new(&fake_device, &stream->pool, &opts, &stream->loader, &diag), 0);
	ck_assert_int_eq(finf_load_start(stream->loader, stream->fd, "extent", parts, N_ADDS, 0,
					 load_done, &stream->gate, &stream->gate.load),
			 0);
}

static void stream_end(struct stream *stream)
{
	wait_done(&stream->gate);
	finf_load_unref(stream->gate.load);
	finf_loader_free(stream->loader);
	munmap(stream->pool.base, stream->pool.bytes);
	close(stream->fd);
	pthread_cond_destroy(&stream->gate.opened);
	pthread_mutex_destroy(&stream->gate.lock);
}

static struct finf_run a_streamed_run(struct stream *stream)
{
	struct finf_run run = a_run();

	run.weights = stream->pool.base;
	run.load = stream->gate.load;
	run.on_step = open_after_first_add;
	run.on_step_ctx = &stream->gate;
	return run;
}

START_TEST(first_node_runs_before_the_last_segment_is_there)
{
	struct finf_session *session = new_session();
	struct finf_diag diag = {""};
	struct stream stream;
	struct finf_run run;

	stream_start(&stream, FINF_NONE);
	run = a_streamed_run(&stream);
	ck_assert_int_eq(finf_session_run(session, &run, &diag), 0);
	/* The loader was held at the last segment and let go by the first node: had
	 * the run waited for all of it, neither would have moved. */
	ck_assert(!stream.gate.gave_up);
	ck_assert_uint_ge(stream.gate.published_at_first, 1);
	ck_assert_uint_lt(stream.gate.published_at_first, N_ADDS);
	ck_assert_mem_eq(y, want, sizeof(y));
	stream_end(&stream);
	ck_assert_int_eq(stream.gate.result, 0);
	finf_session_free(session);
}
END_TEST

START_TEST(load_that_fails_midway_fails_the_run)
{
	struct finf_session *session = new_session();
	struct finf_diag diag = {""};
	struct stream stream;
	struct finf_run run;

	stream_start(&stream, N_ADDS - 1);
	run = a_streamed_run(&stream);
	ck_assert_int_eq(finf_session_run(session, &run, &diag), -EBADMSG);
	ck_assert_msg(strstr(diag.text, "checksum of segment 3"), "%s", diag.text);
	ck_assert_uint_eq(wanted.shape.rank, 0);
	stream_end(&stream);
	ck_assert_int_eq(stream.gate.result, -EBADMSG);
	finf_session_free(session);
}
END_TEST

START_TEST(deadline_passes_while_weights_are_loading)
{
	struct finf_session *session = new_session();
	struct finf_diag diag = {""};
	struct stream stream;
	struct finf_run run;

	stream_start(&stream, FINF_NONE);
	run = a_streamed_run(&stream);
	run.on_step = NULL; /* the gate stays shut */
	run.deadline_ns = finf_now_ns() + 50000000;
	ck_assert_int_eq(finf_session_run(session, &run, &diag), -ETIME);
	gate_open(&stream.gate);
	stream_end(&stream);
	ck_assert_int_eq(stream.gate.result, 0);
	finf_session_free(session);
}
END_TEST

START_TEST(streaming_run_is_not_captured)
{
	struct finf_session *session = new_session();
	struct finf_diag diag = {""};
	struct stream stream;
	struct finf_run run;

	stream_start(&stream, FINF_NONE);
	gate_open(&stream.gate);
	run = a_streamed_run(&stream);
	run.on_step = NULL;
	ck_assert_int_eq(finf_session_run(session, &run, &diag), 0);
	ck_assert_mem_eq(y, want, sizeof(y));
	ck_assert_int_eq(fake.begins, 0);
	run.load = NULL; /* warm now */
	memset(y, 0, sizeof(y));
	ck_assert_int_eq(finf_session_run(session, &run, &diag), 0);
	ck_assert_mem_eq(y, want, sizeof(y));
	ck_assert_int_eq(fake.begins, 1);
	stream_end(&stream);
	finf_session_free(session);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("exec/stream");
	TCase *tc = tcase_create("stream"), *late = tcase_create("captured");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, first_node_runs_before_the_last_segment_is_there);
	tcase_add_test(tc, load_that_fails_midway_fails_the_run);
	tcase_add_test(tc, deadline_passes_while_weights_are_loading);
	suite_add_tcase(suite, tc);

	tcase_set_timeout(late, 120);
	tcase_add_checked_fixture(late, late_setup, teardown);
	tcase_add_test(late, streaming_run_is_not_captured);
	suite_add_tcase(suite, late);
	return suite;
}
