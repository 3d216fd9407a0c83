/* SPDX-License-Identifier: MIT */
/*
 * load into pools that only a device can write: what goes wrong there, and that
 * nothing is left. How bytes get there is a way in test_load.c.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>

#include "mem/mem.h"
#include "tests/unit/load/fixture.h"

static const char *const pool_modes[] = {"vmm", "plain", "managed"};
#define DEVICE_POOL_BYTES (40 * MIB) /* more than one chunk of a vmm pool */
static const uint64_t sizes[] = {3 * MIB, 4 * KIB, 9 * MIB + 8 * KIB};

static void set_up(struct fixture *f, const char *pool_mode, const struct finf_loader_opts *opts)
{
	f->pool_mode = pool_mode;
	f->pool_bytes = DEVICE_POOL_BYTES;
	make_file(f, scratch_path("file"), sizes, FINF_ARRAY_LEN(sizes));
	if (opts)
		make_loader(f, opts);
}

static void tear_down(struct fixture *f)
{
	finf_loader_free(f->loader);
	drop_file(f);
}

static uint64_t free_bytes(const struct fixture *f)
{
	uint64_t bytes = 0;

	ck_assert_int_eq(finf_device_free_bytes(f->dev, &bytes), 0);
	return bytes;
}

START_TEST(describes_its_uploads)
{
	static const enum finf_load_mode modes[] = {FINF_LOAD_AUTO, FINF_LOAD_DIRECT,
						    FINF_LOAD_PREAD};
	struct finf_loader_opts opts = {.size = sizeof(opts), .mode = modes[_i]};
	struct fixture f = {0};

	set_up(&f, "vmm", &opts);
	ck_assert(described(&f, "uploads=queued\n"));
	ck_assert_uint_ge(described_number(&f, "staging_bytes"), MIB);
	ck_assert(!described(&f, "mode=direct\n"));
	ck_assert_int_eq(described(&f, "why=pool not registered"),
			 modes[_i] == FINF_LOAD_DIRECT && !described(&f, "ring=none\n"));
	tear_down(&f);
}
END_TEST

/* Less staging each time, in the end none that the device knows. */
START_TEST(does_with_what_the_device_registers)
{
	struct finf_loader_opts opts = {.size = sizeof(opts), .staging_bytes = 8 * MIB};
	const unsigned refusals = (unsigned)_i; /* of 8, 4, 2 and 1 MiB */
	struct finf_load_report report;
	struct fixture f = {0};
	struct outcome o;

	set_up(&f, "vmm", NULL);
	for (unsigned i = 0; i < refusals; i++)
		f.fake.inject("cuMemHostRegister_v2", i + 1, 2); /* the next calls, all of them */
	make_loader(&f, &opts);
	ck_assert(described(&f, refusals == 4 ? "uploads=written\n" : "uploads=queued\n"));
	ck_assert_uint_eq(described_number(&f, "staging_bytes"),
			  8 * MIB >> FINF_MIN(refusals, 3u));
	ck_assert(described(&f, refusals ? "why=8192 KiB of staging: cuMemHostRegister" : "why=\n"));
	for (int warm = 0; warm < 2; warm++) {
		if (!warm)
			forget_cached(&f);
		ck_assert_int_eq(load_all(&f, &o, &report), 0);
		ck_assert_int_eq(o.result, 0);
	}
	tear_down(&f);
}
END_TEST

/* No loader, and nothing of it left; the next one works. */
START_TEST(is_not_made_on_a_faulty_device)
{
	static const struct {
		const char *call;
		unsigned nth, code;
		int err;
	} rows[] = {
		{"cuMemHostRegister_v2", 1, 999, -EREMOTEIO},
		{"cuStreamCreateWithPriority", 1, 999, -EREMOTEIO},
		{"cuEventCreate", 3, 999, -EREMOTEIO},
		{"cuCtxPushCurrent_v2", 1, 709, -EREMOTEIO},
	};
	struct finf_loader_opts opts = {.size = sizeof(opts)};
	struct finf_diag diag = {""};
	struct fixture f = {0};

	set_up(&f, "plain", NULL);
	f.fake.inject(rows[_i].call, rows[_i].nth, rows[_i].code);
	ck_assert_int_eq(finf_loader_new(f.dev, &f.pool, &opts, &f.loader, &diag), rows[_i].err);
	ck_assert_ptr_null(f.loader);
	ck_assert_ptr_nonnull(strstr(diag.text, "loader: "));
	make_loader(&f, &opts);
	tear_down(&f);
}
END_TEST

/* Code 700 sticks, 999 passes. Whatever call of a load fails, the load says so and ends. */
START_TEST(an_upload_that_fails_fails_the_load)
{
	static const struct {
		const char *call;
		unsigned nth, code;
	} rows[] = {
		{"cuMemcpyHtoDAsync_v2", 1, 999}, {"cuMemcpyHtoDAsync_v2", 9, 999},
		{"cuEventRecord", 1, 999},	  {"cuEventRecord", 5, 999},
		{"cuEventSynchronize", 1, 999},	  {"cuMemcpyHtoDAsync_v2", 4, 700},
		{"cuEventRecord", 6, 719},	  {"cuEventSynchronize", 1, 700},
	};
	const int row = _i / 2;
	const bool sticks = rows[row].code != 999;
	struct finf_loader_opts opts = {.size = sizeof(opts), .staging_bytes = 4 * MIB,
					.mode = _i % 2 ? FINF_LOAD_PREAD : FINF_LOAD_AUTO};
	struct outcome o = {0};
	struct finf_diag diag = {""};
	struct fixture f = {0};
	struct finf_load_report report;
	struct finf_load *load;

	set_up(&f, pool_modes[_i % 3], &opts);
	forget_cached(&f);
	f.fake.inject(rows[row].call, rows[row].nth, rows[row].code);
	load = start_load(&f, &o);
	ck_assert_int_eq(finf_load_wait(load, f.n, 0), -EREMOTEIO);
	while (!atomic_load(&o.calls)) /* who waits may be first */
		sched_yield();
	ck_assert_int_eq(o.result, -EREMOTEIO);
	ck_assert_uint_lt(finf_load_published(load), f.n);
	finf_load_why(load, &diag);
	ck_assert_msg(!strncmp(diag.text, "model: copying to the device, segment ", 38), "%s",
		      diag.text);
	finf_load_unref(load);
	ck_assert_int_eq(finf_device_faulted(f.dev), sticks);
	if (sticks) {
		finf_loader_free(f.loader);
		f.fake.forgive();
		ck_assert_msg(!finf_device_reset(f.dev, &f.pool, &diag), "%s", diag.text);
		f.loader = NULL;
		place_segments(&f); /* the base may be another */
		make_loader(&f, &opts);
	}
	ck_assert_int_eq(load_all(&f, &o, &report), 0);
	tear_down(&f);
}
END_TEST

/* Extents come and go in changing sizes; each place is loaded into and read back. */
START_TEST(a_thousand_cycles_return_all_memory)
{
	struct finf_loader_opts opts = {.size = sizeof(opts)};
	struct finf_extent *held = NULL, *extent;
	struct finf_mem_stats stats;
	struct fixture f = {0};
	struct finf_mem *mem;
	uint64_t seed = 7, before, outside;

	ck_assert_int_eq(setenv("FAKECUDA_DELAY_US", "10", 1), 0);
	set_up(&f, pool_modes[_i], &opts);
	before = free_bytes(&f);
	ck_assert_int_eq(finf_mem_new(f.dev, &f.pool, &mem), 0);
	for (unsigned i = 0; i < 1000; i++) {
		struct finf_load_segment s = f.segments[1];
		struct outcome o = {0};
		struct finf_load *load;
		uint8_t back[4 * KIB];

		ck_assert_int_eq(finf_mem_extent_take(mem, 1 + test_random(&seed) % (8 * MIB), i,
						      UINT64_MAX, &extent), 0);
		s.to = finf_mem_address(mem, extent);
		ck_assert_int_eq(finf_load_start(f.loader, f.fd, "m", &s, 1, 0, on_done, &o, &load), 0);
		ck_assert_int_eq(finf_load_wait(load, 1, 0), 0);
		while (!atomic_load(&o.calls))
			sched_yield();
		finf_load_unref(load);
		ck_assert_int_eq(finf_device_read(f.dev, back, s.to, sizeof(back)), 0);
		ck_assert(!memcmp(back, f.content + s.file_offset, sizeof(back)));
		if (held)
			finf_mem_extent_give(mem, held);
		held = extent;
	}
	finf_mem_extent_give(mem, held);
	finf_mem_stats(mem, &stats);
	ck_assert_uint_eq(stats.free_bytes, stats.pool_bytes);
	ck_assert_uint_eq(stats.largest_hole_bytes, stats.pool_bytes);
	ck_assert_uint_eq(free_bytes(&f), before);
	finf_mem_free(mem);
	finf_loader_free(f.loader);
	ck_assert_uint_eq(free_bytes(&f), before);
	finf_device_pool_free(f.dev, &f.pool);
	outside = free_bytes(&f);
	ck_assert_uint_ge(outside, before + DEVICE_POOL_BYTES);
	drop_file(&f); /* compares with what there was at the start */
}
END_TEST

struct busy {
	struct finf_device *dev;
	uint8_t *at; /* in the pool, where no load goes */
	atomic_bool stop;
	atomic_uint rounds;
	int err;
};

/* What exec does beside a load: inputs written, moved as a kernel would, outputs read. */
static void *work(void *ctx)
{
	struct busy *b = ctx;
	uint8_t out[16 * KIB], back[16 * KIB];

	while (!b->err && !atomic_load(&b->stop)) {
		unsigned round = atomic_fetch_add(&b->rounds, 1);

		memset(out, (int)round, sizeof(out));
		b->err = finf_device_write(b->dev, b->at, out, sizeof(out));
		if (!b->err)
			b->err = finf_device_move(b->dev, b->at + sizeof(out), b->at, sizeof(out));
		if (!b->err)
			b->err = finf_device_read(b->dev, back, b->at + sizeof(out), sizeof(back));
		if (!b->err && memcmp(out, back, sizeof(out)))
			b->err = -EBADMSG;
	}
	return NULL;
}

START_TEST(loads_while_others_use_the_device)
{
	struct finf_loader_opts opts = {.size = sizeof(opts), .staging_bytes = 2 * MIB};
	struct finf_load_report report;
	struct fixture f = {0};
	struct busy busy[2] = {{0}};
	pthread_t threads[2];
	struct outcome o;

	set_up(&f, pool_modes[_i], &opts);
	for (unsigned i = 0; i < 2; i++) {
		busy[i].dev = f.dev;
		busy[i].at = (uint8_t *)f.pool.base + DEVICE_POOL_BYTES - (i + 1) * 64 * KIB;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &busy[i]), 0);
	}
	for (int i = 0; i < 6; i++) {
		if (i % 2)
			forget_cached(&f);
		ck_assert_int_eq(load_all(&f, &o, &report), 0);
	}
	for (unsigned i = 0; i < 2; i++) {
		while (!atomic_load(&busy[i].rounds))
			sched_yield();
		atomic_store(&busy[i].stop, true);
		pthread_join(threads[i], NULL);
		ck_assert_int_eq(busy[i].err, 0);
	}
	tear_down(&f);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("upload");
	TCase *tc = tcase_create("upload");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, describes_its_uploads, 0, 3);
	tcase_add_loop_test(tc, does_with_what_the_device_registers, 0, 5);
	tcase_add_loop_test(tc, is_not_made_on_a_faulty_device, 0, 4);
	tcase_add_loop_test(tc, an_upload_that_fails_fails_the_load, 0, 16);
	tcase_add_loop_test(tc, a_thousand_cycles_return_all_memory, 0,
			    FINF_ARRAY_LEN(pool_modes));
	tcase_add_loop_test(tc, loads_while_others_use_the_device, 0, FINF_ARRAY_LEN(pool_modes));
	suite_add_tcase(suite, tc);
	return suite;
}
