/* SPDX-License-Identifier: MIT */
/* load: every way of reading brings the same bytes, or one clear refusal. */
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "tests/unit/load/fixture.h"

static const struct {
	const char *name;
	struct finf_loader_opts opts;
	const char *pool_mode; /* NULL: a pool of the host, else one of a device */
} ways[] = {
	{"auto", {.mode = FINF_LOAD_AUTO}, NULL},
	{"staging", {.mode = FINF_LOAD_STAGING}, NULL},
	{"staging, tight", {.mode = FINF_LOAD_STAGING, .staging_bytes = MIB, .block_bytes = 52 * KIB,
			    .depth = 3}, NULL},
	{"staging, one block", {.mode = FINF_LOAD_STAGING, .block_bytes = MIB, .depth = 1}, NULL},
	{"direct", {.mode = FINF_LOAD_DIRECT}, NULL},
	{"direct, small blocks", {.mode = FINF_LOAD_DIRECT, .block_bytes = 4 * KIB, .depth = 32}, NULL},
	{"pread", {.mode = FINF_LOAD_PREAD}, NULL},
	{"pread, small blocks", {.mode = FINF_LOAD_PREAD, .block_bytes = 12 * KIB}, NULL},
	{"device", {.mode = FINF_LOAD_AUTO}, "vmm"},
	{"device, tight", {.mode = FINF_LOAD_STAGING, .staging_bytes = MIB, .block_bytes = 52 * KIB,
			   .depth = 3}, "plain"},
	{"device, pread", {.mode = FINF_LOAD_PREAD}, "managed"},
};

static const struct {
	uint32_t n;
	uint64_t bytes[SEGMENTS_MAX];
} files[] = {
	{1, {4 * KIB}},
	{1, {5 * MIB + 4 * KIB}},
	{5, {4 * KIB, 8 * KIB, 4 * KIB, 4 * KIB, 1 * MIB}},
	{12, {1100 * KIB, 4 * KIB, 600 * KIB, 604 * KIB, 256 * KIB, 4 * KIB, 300 * KIB, 12 * KIB,
	      1 * MIB, 700 * KIB, 20 * KIB, 4 * KIB}},
	{9, {8 * MIB, 8 * MIB, 8 * MIB, 8 * MIB, 8 * MIB, 8 * MIB, 8 * MIB, 8 * MIB, 6 * MIB}},
};
#define MANY 3 /* the file of many segments */
#define LARGE 4

static struct finf_loader_opts way_opts(int way)
{
	struct finf_loader_opts opts = ways[way].opts;

	opts.size = sizeof(opts);
	return opts;
}

static void set_up(struct fixture *f, int file, int way)
{
	struct finf_loader_opts opts = way_opts(way);

	f->pool_mode = ways[way].pool_mode;
	f->pool_bytes = file == LARGE || !f->pool_mode ? POOL_BYTES : 12 * MIB;
	make_file(f, scratch_path("file"), files[file].bytes, files[file].n);
	make_loader(f, &opts);
}

static void tear_down(struct fixture *f)
{
	finf_loader_free(f->loader);
	drop_file(f);
}

/* Did a cold load take the way it was told to? Else this machine cannot. */
static bool took_its_way(const struct fixture *f, int way, const struct finf_load_report *report)
{
	if (ways[way].opts.mode != FINF_LOAD_PREAD && described(f, "ring=none\n")) {
		skip_test("uring", "no io_uring here");
		return false;
	}
	if (!report->direct) {
		skip_test("odirect", "the scratch folder's file system refuses O_DIRECT");
		return false;
	}
	return true;
}

START_TEST(brings_the_bytes)
{
	int way = _i / (int)FINF_ARRAY_LEN(files), file = _i % (int)FINF_ARRAY_LEN(files);
	struct finf_load_report report;
	struct fixture f = {0};
	struct outcome o;

	if (file == LARGE && ways[way].opts.block_bytes)
		return; /* the small blocks have enough of them elsewhere */
	set_up(&f, file, way);
	for (int warm = 0; warm < 2; warm++) {
		if (!warm)
			forget_cached(&f);
		else
			ck_assert_int_eq(finf_pread_full(f.fd, f.content, f.file_bytes, 0), 0);
		ck_assert_int_eq(load_all(&f, &o, &report), 0);
		ck_assert_uint_gt(report.ns, 0);
		ck_assert_uint_eq(report.bytes, f.file_bytes - 4 * KIB);
		if (warm) {
			ck_assert_uint_le(report.cached_bytes, report.bytes);
		} else if (took_its_way(&f, way, &report)) {
			ck_assert_uint_lt(report.cached_bytes, report.bytes);
			if (ways[way].opts.mode != FINF_LOAD_AUTO)
				ck_assert_int_eq(report.mode, ways[way].opts.mode);
		}
	}
	finf_loader_free(f.loader); /* waits for done */
	ck_assert_int_eq(o.calls, 1);
	ck_assert_int_eq(o.result, 0);
	ck_assert_uint_eq(o.published, f.n);
	drop_file(&f);
}
END_TEST

/* Cached pages here and there: some at the start, a hole, some more. */
START_TEST(brings_the_bytes_of_a_partly_cached_file)
{
	static const struct {
		uint64_t from, to;
	} rows[] = {
		{4 * KIB, 16 * KIB},
		{4 * KIB, 2 * MIB},
		{1 * MIB, 3 * MIB},
		{4 * KIB, 8 * KIB},
	};
	int way = _i / (int)FINF_ARRAY_LEN(rows), row = _i % (int)FINF_ARRAY_LEN(rows);
	struct finf_load_report report;
	struct fixture f = {0};
	struct outcome o;
	uint8_t page[4096];

	set_up(&f, MANY, way);
	forget_cached(&f);
	ck_assert_int_eq(posix_fadvise(f.fd, 0, 0, POSIX_FADV_RANDOM), 0);
	for (uint64_t at = rows[row].from; at < rows[row].to; at += sizeof(page))
		ck_assert_int_eq(finf_pread_full(f.fd, page, sizeof(page), at), 0);
	ck_assert_int_eq(load_all(&f, &o, &report), 0);
	tear_down(&f);
}
END_TEST

START_TEST(refuses_a_damaged_byte)
{
	static const uint32_t damaged[] = {0, 4, 11};
	int way = _i / 6, warm = _i % 2;
	uint32_t segment = damaged[_i / 2 % 3];
	struct finf_load_report report;
	struct fixture f = {0};
	char want[128];
	struct outcome o;
	uint64_t at;
	uint8_t byte;

	set_up(&f, MANY, way);
	at = f.segments[segment].file_offset + f.segments[segment].bytes - 1;
	byte = f.content[at] ^ 1;
	ck_assert_int_eq(finf_pwrite_full(f.fd, &byte, 1, at), 0);
	if (!warm)
		forget_cached(&f);
	ck_assert_int_eq(load_all(&f, &o, &report), -EBADMSG);
	finf_loader_free(f.loader);
	ck_assert_int_eq(o.calls, 1);
	ck_assert_int_eq(o.result, -EBADMSG);
	ck_assert_uint_eq(o.published, segment);
	snprintf(want, sizeof(want), "model: checksum of segment %u of 12 differs (file bytes %llu to",
		 segment, (unsigned long long)f.segments[segment].file_offset);
	ck_assert_msg(!strncmp(o.diag.text, want, strlen(want)), "%s", o.diag.text);
	drop_file(&f);
}
END_TEST

/* The last bytes of the file belong to segment 0, see make_file(). */
START_TEST(refuses_a_short_file)
{
	static const uint64_t cut[] = {1, 511, 512, 4 * KIB, 512 * KIB, 1 * MIB - 100};
	int way = _i / (int)FINF_ARRAY_LEN(cut);
	struct finf_load_report report;
	struct fixture f = {0};
	char want[64];
	struct outcome o;
	uint64_t left;

	set_up(&f, MANY, way);
	left = f.file_bytes - cut[_i % (int)FINF_ARRAY_LEN(cut)];
	ck_assert_int_eq(ftruncate(f.fd, (off_t)left), 0);
	if (_i % 2)
		forget_cached(&f);
	ck_assert_int_eq(load_all(&f, &o, &report), -EBADMSG);
	finf_loader_free(f.loader);
	ck_assert_int_eq(o.result, -EBADMSG);
	ck_assert_uint_eq(o.published, 0);
	snprintf(want, sizeof(want), "model: file ends at byte %llu,", (unsigned long long)left);
	ck_assert_msg(!strncmp(o.diag.text, want, strlen(want)), "%s", o.diag.text);
	drop_file(&f);
}
END_TEST

START_TEST(reports_what_cannot_be_read)
{
	struct finf_load_report report;
	struct fixture f = {0};
	struct outcome o;
	int file;

	set_up(&f, MANY, _i);
	file = f.fd;
	f.fd = open(scratch_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(load_all(&f, &o, &report), -EIO);
	close(f.fd);
	f.fd = file;
	finf_loader_free(f.loader);
	ck_assert_int_eq(o.result, -EIO);
	ck_assert_ptr_nonnull(strstr(o.diag.text, "directory"));
	drop_file(&f);
}
END_TEST

START_TEST(refuses_segments_that_do_not_fit)
{
	static const struct finf_load_segment rows[] = {
		{0, 0, 0, NULL},
		{512, 4 * KIB, 0, NULL},
		{0, 4 * KIB + 512, 0, NULL},
		{0, 4 * KIB, 0, (void *)512},
		{0, 4 * KIB, 0, (void *)(uintptr_t)POOL_BYTES},
		{0, 4 * KIB, 0, (void *)(uintptr_t)(POOL_BYTES + 4 * KIB)},
		{0, 4 * KIB, 0, (void *)(uintptr_t)(0 - 4 * KIB)},
		{0, POOL_BYTES + 4 * KIB, 0, NULL},
		{INT64_MAX / 4096 * 4096, 4 * KIB, 0, NULL},
		{0, UINT64_MAX / 4096 * 4096, 0, NULL},
	};
	struct finf_load *load = NULL;
	struct fixture f = {0};
	int before;

	set_up(&f, 0, 0);
	before = open_descriptors();
	for (size_t i = 0; i < FINF_ARRAY_LEN(rows); i++) {
		struct finf_load_segment s = rows[i]; /* its address is an offset in the pool */

		s.to = (void *)((uintptr_t)f.pool.base + (uintptr_t)s.to);
		ck_assert_int_eq(finf_load_start(f.loader, f.fd, "m", &s, 1, 0, NULL, NULL, &load),
				 -EINVAL);
	}
	ck_assert_int_eq(finf_load_start(f.loader, -1, "m", f.segments, 1, 0, NULL, NULL, &load),
			 -EBADF);
	ck_assert_ptr_null(load);
	ck_assert_int_eq(open_descriptors(), before);
	tear_down(&f);
}
END_TEST

START_TEST(a_load_of_nothing_is_done)
{
	struct outcome o = {0};
	struct finf_load *load;
	struct fixture f = {0};

	set_up(&f, 0, _i);
	ck_assert_int_eq(finf_load_start(f.loader, f.fd, "empty", NULL, 0, 0, on_done, &o, &load),
			 0);
	ck_assert_int_eq(finf_load_wait(load, 5, 0), 0);
	finf_loader_free(f.loader);
	finf_load_unref(load);
	ck_assert_int_eq(o.calls, 1);
	ck_assert_int_eq(o.result, 0);
	drop_file(&f);
}
END_TEST

/* ---- a reader that stops where the test wants ------------------------------------ */

struct gate {
	uint64_t from; /* stops before reading at or beyond */
	uint64_t below;
	sem_t reached, go;
	atomic_bool open;
};

static void gate_slow(void *ctx, uint64_t file_offset)
{
	struct gate *gate = ctx;

	if (file_offset < gate->from || file_offset >= gate->below || atomic_load(&gate->open))
		return;
	sem_post(&gate->reached);
	while (sem_wait(&gate->go))
		;
}

static void set_up_gate(struct fixture *f, struct gate *gate, int way, uint32_t segment)
{
	struct finf_loader_opts opts = way_opts(way);

	f->pool_mode = ways[way].pool_mode;
	f->pool_bytes = f->pool_mode ? 12 * MIB : POOL_BYTES;
	make_file(f, scratch_path("file"), files[MANY].bytes, files[MANY].n);
	gate->from = f->segments[segment].file_offset;
	gate->below = gate->from + f->segments[segment].bytes;
	sem_init(&gate->reached, 0, 0);
	sem_init(&gate->go, 0, 0);
	opts.slow = gate_slow;
	opts.slow_ctx = gate;
	make_loader(f, &opts);
}

static void await(sem_t *sem)
{
	while (sem_wait(sem))
		;
}

static void open_gate(struct gate *gate)
{
	atomic_store(&gate->open, true);
	sem_post(&gate->go);
}

/* Blocks may be read ahead, but what is ahead of the gate must not wait for it for ever. */
START_TEST(publishes_the_first_before_the_last_is_read)
{
	struct outcome o = {0};
	struct fixture f = {0};
	struct gate gate = {0};
	struct finf_load *load;

	set_up_gate(&f, &gate, _i, 11);
	forget_cached(&f);
	wipe_pool(&f);
	load = start_load(&f, &o);
	await(&gate.reached);
	ck_assert_uint_lt(finf_load_published(load), 12);
	ck_assert_int_eq(finf_load_wait(load, 12, finf_now_ns() + 1000000), -ETIME);
	ck_assert_int_eq(finf_load_wait(load, finf_load_published(load), 1), 0);
	ck_assert_int_eq(o.calls, 0);
	/* Whole segments in 8 staging slots: to come to the 12th, 4 must have left. */
	if (_i < 2)
		ck_assert_int_eq(finf_load_wait(load, 1, 0), 0);
	open_gate(&gate);
	ck_assert_int_eq(finf_load_wait(load, 12, finf_now_ns() + 600000000000u), 0);
	check_pool(&f, 12);
	finf_load_unref(load);
	tear_down(&f);
}
END_TEST

START_TEST(cancels_at_any_time)
{
	struct outcome o = {0}, behind = {0};
	struct fixture f = {0};
	struct gate gate = {0};
	struct finf_load *load, *queued;
	int before;

	set_up_gate(&f, &gate, _i / 2, _i % 2 ? 8 : 0);
	before = open_descriptors();
	forget_cached(&f);
	wipe_pool(&f);
	load = start_load(&f, &o);
	queued = start_load(&f, &behind);
	await(&gate.reached);
	finf_load_cancel(load);
	finf_load_cancel(queued);
	open_gate(&gate);
	ck_assert_int_eq(finf_load_wait(load, 12, 0), -ECANCELED);
	ck_assert_int_eq(finf_load_wait(queued, 12, 0), -ECANCELED);
	ck_assert_uint_lt(finf_load_published(load), 12);
	ck_assert_uint_eq(finf_load_published(queued), 0);
	check_pool(&f, finf_load_published(load));
	finf_load_unref(load);
	finf_load_unref(queued);
	load = start_load(&f, &o); /* the loader goes on */
	ck_assert_int_eq(finf_load_wait(load, 12, 0), 0);
	check_pool(&f, 12);
	finf_load_unref(load);
	finf_loader_free(f.loader);
	ck_assert_int_le(open_descriptors(), before);
	ck_assert_int_eq(o.calls, 2);
	ck_assert_int_eq(behind.calls, 1);
	ck_assert_int_eq(behind.result, -ECANCELED);
	drop_file(&f);
}
END_TEST

static void *open_later(void *ctx)
{
	struct gate *gate = ctx;

	await(&gate->reached);
	open_gate(gate);
	return NULL;
}

/* The gate opens on another thread while free is waiting, or just before. */
START_TEST(frees_a_busy_loader)
{
	struct outcome o[4] = {0};
	struct finf_load *loads[4];
	struct fixture f = {0};
	struct gate gate = {0};
	pthread_t helper;
	int before = open_descriptors();

	set_up_gate(&f, &gate, _i, 6);
	forget_cached(&f);
	wipe_pool(&f);
	for (unsigned i = 0; i < 4; i++)
		loads[i] = start_load(&f, &o[i]);
	ck_assert_int_eq(pthread_create(&helper, NULL, open_later, &gate), 0);
	finf_loader_free(f.loader);
	sem_post(&gate.reached); /* canceled before it came that far */
	pthread_join(helper, NULL);
	for (unsigned i = 0; i < 4; i++) {
		uint32_t published = finf_load_published(loads[i]);

		ck_assert_int_eq(o[i].calls, 1);
		ck_assert_int_eq(o[i].result, published == 12 ? 0 : -ECANCELED);
		ck_assert_int_eq(finf_load_wait(loads[i], 12, 0), o[i].result);
		check_pool(&f, published);
		finf_load_unref(loads[i]);
	}
	drop_file(&f);
	ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

/* ---- the queue ---------------------------------------------------------------------- */

struct order {
	atomic_uint next;
	unsigned at[32];
};

struct ticket {
	struct order *order;
	unsigned number;
};

static void on_done_in_order(void *ctx, struct finf_load *load, int result,
			     const struct finf_diag *diag)
{
	struct ticket *ticket = ctx;
	unsigned at = atomic_fetch_add(&ticket->order->next, 1);

	(void)load, (void)result, (void)diag;
	ticket->order->at[at] = ticket->number;
}

START_TEST(runs_loads_in_order)
{
	struct order order = {0};
	struct ticket tickets[32];
	struct finf_load *loads[32];
	struct fixture f = {0};

	set_up(&f, 2, 0);
	for (unsigned i = 0; i < 32; i++) {
		tickets[i] = (struct ticket){&order, i};
		ck_assert_int_eq(finf_load_start(f.loader, f.fd, "model", f.segments, f.n, 0,
						 on_done_in_order, &tickets[i], &loads[i]),
				 0);
	}
	for (unsigned i = 32; i-- > 0;)
		ck_assert_int_eq(finf_load_wait(loads[i], f.n, 0), 0);
	finf_loader_free(f.loader);
	for (unsigned i = 0; i < 32; i++) {
		ck_assert_uint_eq(order.at[i], i);
		finf_load_unref(loads[i]);
	}
	drop_file(&f);
}
END_TEST

/* The loader's thread stands before its first read until all loads are queued. */
static void wait_for_go(void *ctx, uint64_t file_offset)
{
	const atomic_bool *go = ctx;

	(void)file_offset;
	while (!atomic_load(go))
		sched_yield();
}

/* What is not urgent comes behind the loads that wait, but behind no more than so many. */
START_TEST(rest_comes_later)
{
	enum { OTHERS = FINF_LOAD_OVERTAKE + 2 };
	atomic_bool go = false;
	struct finf_loader_opts opts = {.size = sizeof(opts), .slow = wait_for_go, .slow_ctx = &go};
	struct order order = {0};
	struct ticket tickets[OTHERS + 1];
	struct finf_load *loads[OTHERS + 1];
	struct fixture f = {0};

	set_up(&f, 3, 0);
	finf_loader_free(f.loader);
	make_loader(&f, &opts);
	wipe_pool(&f);
	for (unsigned i = 0; i <= OTHERS; i++) {
		tickets[i] = (struct ticket){&order, i};
		ck_assert_int_eq(finf_load_start(f.loader, f.fd, "model", f.segments, f.n,
						 i ? 0 : 1, on_done_in_order, &tickets[i],
						 &loads[i]),
				 0);
	}
	atomic_store(&go, true);
	for (unsigned i = 0; i <= OTHERS; i++)
		ck_assert_int_eq(finf_load_wait(loads[i], f.n, 0), 0);
	check_pool(&f, f.n);
	finf_loader_free(f.loader);
	for (unsigned i = 0; i <= OTHERS; i++) {
		unsigned want = i < FINF_LOAD_OVERTAKE ? i + 1 : i == FINF_LOAD_OVERTAKE ? 0 : i;

		ck_assert_uint_eq(order.at[i], want);
		finf_load_unref(loads[i]);
	}
	drop_file(&f);
}
END_TEST

struct waiter {
	struct finf_load *load;
	const struct fixture *f;
	atomic_bool wrong;
};

/* Reads each segment as soon as it is published, as exec does. */
static void *follow(void *ctx)
{
	struct waiter *w = ctx;

	for (uint32_t i = 0; i < w->f->n; i++)
		if (finf_load_wait(w->load, i + 1, 0) || !segment_is_right(w->f, i))
			atomic_store(&w->wrong, true);
	return NULL;
}

START_TEST(several_threads_follow_a_load)
{
	struct outcome o = {0};
	struct fixture f = {0};
	struct waiter waiter = {.f = &f};
	pthread_t threads[3];

	set_up(&f, MANY, _i);
	forget_cached(&f);
	wipe_pool(&f);
	waiter.load = start_load(&f, &o);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, follow, &waiter), 0);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	ck_assert(!waiter.wrong);
	finf_load_unref(waiter.load);
	tear_down(&f);
}
END_TEST

/* ---- nothing is left ------------------------------------------------------------------ */

static uint64_t pinned_kib(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	unsigned long long kib = 0;
	char line[256];

	ck_assert_ptr_nonnull(status);
	while (fgets(line, sizeof(line), status))
		sscanf(line, "VmPin: %llu", &kib);
	fclose(status);
	return kib;
}

START_TEST(registers_memory_and_lets_it_go)
{
	struct finf_loader_opts opts = {.size = sizeof(opts), .mode = FINF_LOAD_DIRECT};
	uint64_t before = pinned_kib();
	int descriptors = open_descriptors();
	struct fixture f = {0};

	make_file(&f, scratch_path("file"), files[0].bytes, files[0].n);
	for (int i = 0; i < 3; i++) {
		opts.mode = i % 2 ? FINF_LOAD_STAGING : FINF_LOAD_DIRECT;
		make_loader(&f, &opts);
		ck_assert_uint_eq((pinned_kib() - before) * KIB,
				  described_number(&f, "registered_bytes"));
		finf_loader_free(f.loader);
		ck_assert_uint_eq(pinned_kib(), before);
	}
	drop_file(&f);
	ck_assert_int_eq(open_descriptors(), descriptors);
}
END_TEST

START_TEST(a_thousand_loads_leave_nothing)
{
	struct finf_load_report report;
	struct fixture f = {0};
	struct outcome o;
	size_t heap = 0;
	int descriptors = 0;

	set_up(&f, 0, _i); /* auto, one block, pread, device */
	for (unsigned i = 0; i < 1000; i++) {
		if (i % 20 == 0)
			forget_cached(&f);
		ck_assert_int_eq(load_all(&f, &o, &report), 0);
		if (i == 10) {
			descriptors = open_descriptors();
			heap = mallinfo2().uordblks;
		}
	}
	/* The last load's memory may be freed a moment after its done was called. */
	finf_loader_free(f.loader);
	ck_assert_int_le(open_descriptors(), descriptors);
	ck_assert_uint_le(mallinfo2().uordblks, heap);
	drop_file(&f);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 120);
	suite_add_tcase(suite, tc);
	return tc;
}

Suite *test_suite(void)
{
	const int n_ways = FINF_ARRAY_LEN(ways);
	Suite *suite = suite_create("load");
	TCase *tc = add_case(suite, "bytes");

	tcase_add_loop_test(tc, brings_the_bytes, 0, n_ways * (int)FINF_ARRAY_LEN(files));
	tcase_add_loop_test(tc, brings_the_bytes_of_a_partly_cached_file, 0, n_ways * 4);
	tc = add_case(suite, "refusals");
	tcase_add_loop_test(tc, refuses_a_damaged_byte, 0, n_ways * 6);
	tcase_add_loop_test(tc, refuses_a_short_file, 0, n_ways * 6);
	tcase_add_loop_test(tc, reports_what_cannot_be_read, 0, n_ways);
	tcase_add_test(tc, refuses_segments_that_do_not_fit);
	tcase_add_loop_test(tc, a_load_of_nothing_is_done, 0, n_ways);
	tc = add_case(suite, "gate");
	tcase_add_loop_test(tc, publishes_the_first_before_the_last_is_read, 0, n_ways);
	tcase_add_loop_test(tc, cancels_at_any_time, 0, 2 * n_ways);
	tcase_add_loop_test(tc, frees_a_busy_loader, 0, n_ways);
	tc = add_case(suite, "queue");
	tcase_add_test(tc, runs_loads_in_order);
	tcase_add_test(tc, rest_comes_later);
	tcase_add_loop_test(tc, several_threads_follow_a_load, 0, n_ways);
	tc = add_case(suite, "leaks");
	tcase_add_test(tc, registers_memory_and_lets_it_go);
	for (int way = 0; way < n_ways; way += 3)
		tcase_add_loop_test(tc, a_thousand_loads_leave_nothing, way, way + 1);
	return suite;
}
