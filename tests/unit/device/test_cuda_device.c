/* SPDX-License-Identifier: MIT */
/* The CUDA device on fakecuda: pools, copies, uploads, faults. Each test is its own process. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "device/capture.h"
#include "tests/support/fakedriver.h"
#include "tests/unit/device/site.h"

#define MIB (1ull << 20)
#define CHUNK (32 * MIB)

struct fixture {
	struct fakedriver fake;
	struct finf_device *dev;
	struct finf_pool_memory pool;
	uint64_t before; /* free bytes with the device open */
	struct finf_diag diag;
};

/* No context is current on the test's thread: the device brings its own. */
static void set_up(struct fixture *f)
{
	*f = (struct fixture){.fake = fakedriver_start()};
	finf_cuda_leave(f->fake.cuda);
	ck_assert_msg(!finf_device_open("cuda", &f->dev, &f->diag), "%s", f->diag.text);
	ck_assert_int_eq(finf_device_free_bytes(f->dev, &f->before), 0);
}

static void tear_down(struct fixture *f)
{
	finf_device_close(f->dev);
	ck_assert_int_eq(finf_cuda_enter(f->fake.cuda, NULL), 0);
	fakedriver_stop(&f->fake);
}

static uint64_t free_bytes(struct fixture *f)
{
	uint64_t now = 0;

	ck_assert_int_eq(finf_device_free_bytes(f->dev, &now), 0);
	return now;
}

static int make_pool(struct fixture *f, uint64_t bytes, const char *mode)
{
	f->diag.text[0] = 0;
	return finf_device_pool_new(f->dev, bytes, mode, &f->pool, &f->diag);
}

/* @bytes at @offset go there and come back. */
static void round_trip(struct fixture *f, uint64_t offset, uint64_t bytes, uint64_t seed)
{
	uint8_t *at = (uint8_t *)f->pool.base + offset;
	uint64_t *out = malloc(bytes), *back = calloc(1, bytes);

	ck_assert(out && back);
	for (uint64_t i = 0; i < bytes / 8; i++)
		out[i] = test_random(&seed);
	ck_assert_int_eq(finf_device_write(f->dev, at, out, bytes), 0);
	ck_assert_int_eq(finf_device_read(f->dev, back, at, bytes), 0);
	ck_assert(!memcmp(out, back, bytes));
	free(out);
	free(back);
}

/* ---- pools ------------------------------------------------------------------------- */

static const struct {
	const char *asked, *got;
} modes[] = {
	{NULL, "vmm"}, {"auto", "vmm"}, {"vmm", "vmm"}, {"plain", "plain"}, {"managed", "managed"},
};

START_TEST(makes_a_pool_in_each_mode)
{
	const uint64_t sizes[] = {4096, 2 * MIB + 4096, 2 * CHUNK + 5 * MIB};
	struct fixture f;

	set_up(&f);
	for (size_t i = 0; i < FINF_ARRAY_LEN(sizes); i++) {
		ck_assert_msg(!make_pool(&f, sizes[i], modes[_i].asked), "%s", f.diag.text);
		ck_assert_str_eq(f.pool.mode, modes[_i].got);
		ck_assert_str_eq(f.pool.pages, "device");
		ck_assert_uint_eq(f.pool.bytes, sizes[i]);
		ck_assert(!f.pool.host_visible);
		ck_assert_uint_eq((uintptr_t)f.pool.base % 4096, 0);
		ck_assert_uint_le(free_bytes(&f), f.before - sizes[i]);
		round_trip(&f, 0, 4096, i);
		round_trip(&f, sizes[i] - 4096, 4096, i + 1);
		if (sizes[i] > CHUNK) /* over the border of two chunks, in pieces of the bounce */
			round_trip(&f, CHUNK - 3 * MIB / 2, 3 * MIB, 9);
		finf_device_pool_free(f.dev, &f.pool);
		ck_assert_ptr_null(f.pool.base);
		finf_device_pool_free(f.dev, &f.pool); /* nothing more to free */
		ck_assert_uint_eq(free_bytes(&f), f.before);
	}
	tear_down(&f);
}
END_TEST

START_TEST(many_pools_return_all_memory)
{
	struct fixture f;

	ck_assert_int_eq(setenv("FAKECUDA_DELAY_US", "0", 1), 0);
	set_up(&f);
	for (uint64_t i = 0; i < 50; i++) {
		ck_assert_int_eq(make_pool(&f, MIB + i * 4096, modes[2 + _i].asked), 0);
		finf_device_pool_free(f.dev, &f.pool);
	}
	ck_assert_uint_eq(free_bytes(&f), f.before);
	tear_down(&f);
}
END_TEST

static const struct {
	uint64_t bytes;
	const char *mode;
	int err;
	const char *says;
} no_pools[] = {
	{0, NULL, -EINVAL, "0 bytes"},
	{MIB, "host", -EINVAL, "there are vmm, plain and managed"},
	{MIB, "", -EINVAL, "there are vmm, plain and managed"},
	{1 << 30, "vmm", -ENOBUFS, "vmm: cuMemCreate: device memory ran out"},
	{1 << 30, "plain", -ENOBUFS, "plain: cuMemAlloc: device memory ran out"},
	{1 << 30, "managed", -ENOBUFS, "managed: 1073741824 bytes of device memory asked for"},
	{1 << 30, NULL, -ENOBUFS, "out (CUDA_ERROR_OUT_OF_MEMORY, 2); pool mode plain: cuMemAlloc"},
	{UINT64_MAX, "vmm", -EINVAL, "bytes"},
};

START_TEST(refuses_a_pool_that_cannot_be)
{
	struct fixture f;

	ck_assert_int_eq(setenv("FAKECUDA_MEMORY", "268435456", 1), 0);
	set_up(&f);
	ck_assert_int_eq(make_pool(&f, no_pools[_i].bytes, no_pools[_i].mode), no_pools[_i].err);
	ck_assert_msg(!!strstr(f.diag.text, no_pools[_i].says), "%s", f.diag.text);
	ck_assert_ptr_null(f.pool.base);
	ck_assert_uint_eq(free_bytes(&f), f.before);
	tear_down(&f);
}
END_TEST

/* The k-th of each call in a mode; the trial makes the first ones. */
static const struct {
	const char *mode, *call;
	unsigned calls;
} steps[] = {
	{"vmm", "cuMemGetAllocationGranularity", 2},
	{"vmm", "cuMemAddressReserve", 2},
	{"vmm", "cuMemCreate", 4},
	{"vmm", "cuMemMap", 4},
	{"vmm", "cuMemSetAccess", 2},
	{"vmm", "cuMemcpyHtoDAsync_v2", 2},
	{"vmm", "cuMemcpyDtoHAsync_v2", 2},
	{"plain", "cuMemAlloc_v2", 2},
	{"plain", "cuMemcpyHtoDAsync_v2", 2},
	{"managed", "cuMemGetInfo_v2", 2},
	{"managed", "cuMemAllocManaged", 2},
	{"managed", "cuMemAdvise", 4},
	{"managed", "cuMemPrefetchAsync", 2},
};

START_TEST(takes_all_back_when_a_step_fails)
{
	const uint64_t bytes = 2 * CHUNK + MIB;
	struct fixture f;

	set_up(&f);
	for (unsigned k = 1; k <= steps[_i].calls; k++) {
		f.fake.inject(steps[_i].call, k, 999);
		ck_assert_int_eq(make_pool(&f, bytes, steps[_i].mode), -EREMOTEIO);
		ck_assert_ptr_null(f.pool.base);
		ck_assert_ptr_nonnull(strstr(f.diag.text, steps[_i].mode));
		ck_assert_uint_eq(free_bytes(&f), f.before);
	}
	/* Asked for nothing, the device takes the mode that works. */
	if (!strcmp(steps[_i].mode, "vmm"))
		f.fake.inject(steps[_i].call, 1, 801);
	ck_assert_msg(!make_pool(&f, bytes, NULL), "%s", f.diag.text);
	ck_assert_str_eq(f.pool.mode, strcmp(steps[_i].mode, "vmm") ? "vmm" : "plain");
	round_trip(&f, 0, 4096, 1);
	finf_device_pool_free(f.dev, &f.pool);
	ck_assert_uint_eq(free_bytes(&f), f.before);
	tear_down(&f);
}
END_TEST

/* The host may not look at managed memory there; the device never does. */
START_TEST(does_without_advice_where_pages_do_not_move)
{
	struct fixture f;

	ck_assert_int_eq(setenv("FAKECUDA_CONCURRENT", "0", 1), 0);
	set_up(&f);
	ck_assert_msg(!make_pool(&f, 5 * MIB, "managed"), "%s", f.diag.text);
	round_trip(&f, 0, 5 * MIB, 3);
	finf_device_pool_free(f.dev, &f.pool);
	tear_down(&f);
}
END_TEST

/* ---- copies -------------------------------------------------------------------------- */

START_TEST(moves_inside_the_pool)
{
	uint8_t out[8192], back[8192];
	struct fixture f;
	uint8_t *base;

	set_up(&f);
	ck_assert_int_eq(make_pool(&f, MIB, "vmm"), 0);
	base = f.pool.base;
	memset(out, 42, sizeof(out));
	ck_assert_int_eq(finf_device_write(f.dev, base, out, sizeof(out)), 0);
	ck_assert_int_eq(finf_device_move(f.dev, base + 8192, base, sizeof(out)), 0);
	ck_assert_int_eq(finf_device_read(f.dev, back, base + 8192, sizeof(back)), 0);
	ck_assert(!memcmp(out, back, sizeof(back)));
	/* Nothing to copy is no error; what lies outside is one. */
	ck_assert_int_eq(finf_device_read(f.dev, back, base, 0), 0);
	ck_assert_int_eq(finf_device_write(f.dev, base, out, 0), 0);
	ck_assert_int_lt(finf_device_write(f.dev, base + 2 * MIB, out, 8), 0);
	ck_assert_int_lt(finf_device_read(f.dev, back, base + 2 * MIB, 8), 0);
	ck_assert(!finf_device_faulted(f.dev));
	finf_device_pool_free(f.dev, &f.pool);
	tear_down(&f);
}
END_TEST

#define SLOT 65536u
#define SLOTS 4u

static uint8_t *make_staging(void)
{
	uint8_t *at = mmap(NULL, SLOTS * SLOT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);

	ck_assert_ptr_ne(at, MAP_FAILED);
	return at;
}

START_TEST(uploads_land_in_order)
{
	struct finf_upload *upload = NULL;
	uint8_t *staging = make_staging(), *back = malloc(SLOT);
	struct fixture f;

	set_up(&f);
	ck_assert_int_eq(make_pool(&f, 64 * SLOT, "vmm"), 0);
	ck_assert_int_eq(finf_device_upload_new(f.dev, staging, SLOTS * SLOT, SLOTS, &upload,
						&f.diag), 0);
	ck_assert_int_eq(finf_device_upload_wait(f.dev, upload, 3, false), 0); /* nothing in it */
	for (unsigned i = 0; i < 64; i++) {
		unsigned slot = i % SLOTS;
		int err;

		do {
			err = finf_device_upload_wait(f.dev, upload, slot, i % 3);
		} while (err == -EAGAIN);
		ck_assert_int_eq(err, 0);
		memset(staging + slot * SLOT, (int)i, SLOT);
		ck_assert_int_eq(finf_device_upload_start(f.dev, upload, slot,
							  (uint8_t *)f.pool.base + i * SLOT,
							  staging + slot * SLOT, SLOT), 0);
	}
	for (unsigned slot = 0; slot < SLOTS; slot++)
		ck_assert_int_eq(finf_device_upload_wait(f.dev, upload, slot, true), 0);
	for (unsigned i = 0; i < 64; i++) {
		ck_assert_int_eq(finf_device_read(f.dev, back, (uint8_t *)f.pool.base + i * SLOT,
						  SLOT), 0);
		ck_assert_uint_eq(back[0], i);
		ck_assert_uint_eq(back[SLOT - 1], i);
	}
	finf_device_upload_free(f.dev, upload);
	munmap(staging, SLOTS * SLOT);
	finf_device_pool_free(f.dev, &f.pool);
	free(back);
	tear_down(&f);
}
END_TEST

START_TEST(freeing_uploads_waits_for_them)
{
	struct finf_upload *upload;
	uint8_t *staging = make_staging(), *back = malloc(SLOT);
	struct fixture f;

	set_up(&f);
	ck_assert_int_eq(make_pool(&f, SLOTS * SLOT, "plain"), 0);
	ck_assert_int_eq(finf_device_upload_new(f.dev, staging, SLOTS * SLOT, SLOTS, &upload,
						&f.diag), 0);
	memset(staging, 7, SLOTS * SLOT);
	for (unsigned slot = 0; slot < SLOTS; slot++)
		ck_assert_int_eq(finf_device_upload_start(f.dev, upload, slot,
							  (uint8_t *)f.pool.base + slot * SLOT,
							  staging + slot * SLOT, SLOT), 0);
	finf_device_upload_free(f.dev, upload);
	munmap(staging, SLOTS * SLOT);
	ck_assert_int_eq(finf_device_read(f.dev, back, (uint8_t *)f.pool.base + 3 * SLOT, SLOT), 0);
	ck_assert_uint_eq(back[SLOT - 1], 7);
	finf_device_pool_free(f.dev, &f.pool);
	free(back);
	tear_down(&f);
}
END_TEST

START_TEST(uploads_that_cannot_be_leave_nothing)
{
	static const struct {
		const char *call;
		unsigned nth, code;
		int err;
	} rows[] = {
		{"cuMemHostRegister_v2", 1, 2, -EOPNOTSUPP},
		{"cuMemHostRegister_v2", 1, 712, -EOPNOTSUPP},
		{"cuMemHostRegister_v2", 1, 999, -EREMOTEIO},
		{"cuStreamCreateWithPriority", 1, 2, -ENOBUFS},
		{"cuEventCreate", 1, 999, -EREMOTEIO},
		{"cuEventCreate", SLOTS, 2, -ENOBUFS},
	};
	struct finf_upload *upload = NULL;
	uint8_t *staging = make_staging();
	struct fixture f;

	set_up(&f);
	for (size_t i = 0; i < FINF_ARRAY_LEN(rows); i++) {
		f.fake.inject(rows[i].call, rows[i].nth, rows[i].code);
		ck_assert_int_eq(finf_device_upload_new(f.dev, staging, SLOTS * SLOT, SLOTS, &upload,
							&f.diag), rows[i].err);
		ck_assert_ptr_null(upload);
	}
	ck_assert_int_eq(finf_device_upload_new(f.dev, staging, SLOTS * SLOT, SLOTS, &upload,
						&f.diag), 0);
	finf_device_upload_free(f.dev, upload);
	munmap(staging, SLOTS * SLOT);
	tear_down(&f);
}
END_TEST

/* ---- faults ---------------------------------------------------------------------------- */

static int cause_fault(struct fixture *f)
{
	uint64_t word;

	f->fake.inject("cuMemcpyDtoHAsync_v2", 1, 700);
	return finf_device_read(f->dev, &word, f->pool.base, sizeof(word));
}

START_TEST(comes_back_after_a_fault)
{
	const char *mode = modes[2 + _i].asked;
	struct finf_upload *upload;
	uint8_t *staging = make_staging();
	struct fixture f;
	uint64_t word;

	set_up(&f);
	ck_assert_int_eq(make_pool(&f, CHUNK + MIB, mode), 0);
	ck_assert_int_eq(finf_device_upload_new(f.dev, staging, SLOTS * SLOT, SLOTS, &upload,
						&f.diag), 0);
	for (int i = 0; i < 3; i++) {
		ck_assert(!finf_device_faulted(f.dev));
		ck_assert_int_eq(cause_fault(&f), -EREMOTEIO);
		ck_assert(finf_device_faulted(f.dev));
		ck_assert_int_eq(finf_device_sync(f.dev), -EREMOTEIO);
		ck_assert_int_eq(finf_device_write(f.dev, f.pool.base, &word, 8), -EREMOTEIO);
		finf_device_upload_free(f.dev, upload);
		ck_assert_msg(!finf_device_reset(f.dev, &f.pool, &f.diag), "%s", f.diag.text);
		ck_assert_uint_eq(f.pool.bytes, CHUNK + MIB);
		ck_assert_str_eq(f.pool.mode, mode);
		round_trip(&f, CHUNK - 4096, 8192, 5);
		ck_assert_int_eq(finf_device_upload_new(f.dev, staging, SLOTS * SLOT, SLOTS,
							&upload, &f.diag), 0);
	}
	finf_device_upload_free(f.dev, upload);
	munmap(staging, SLOTS * SLOT);
	finf_device_pool_free(f.dev, &f.pool);
	ck_assert_uint_eq(free_bytes(&f), f.before);
	tear_down(&f);
}
END_TEST

/* A reset that fails leaves a device that says so; the next reset may succeed. */
START_TEST(a_reset_may_fail_and_be_tried_again)
{
	const char *mode = _i ? "plain" : "vmm";
	const struct {
		const char *call;
		unsigned code;
		int err;
	} rows[] = {
		{"cuDevicePrimaryCtxReset_v2", 46, -ENODEV},
		{"cuDevicePrimaryCtxRetain", 46, -ENODEV},
		{"cuStreamCreateWithPriority", 999, -ENODEV},
		{"cuMemHostAlloc", 2, -ENOBUFS},
		{"cuModuleLoadDataEx", 218, -ENODEV},
		{_i ? "cuMemAlloc_v2" : "cuMemCreate", 2, -ENOBUFS},
	};
	struct fixture f;

	set_up(&f);
	ck_assert_int_eq(make_pool(&f, CHUNK + MIB, mode), 0);
	for (size_t i = 0; i < FINF_ARRAY_LEN(rows); i++) {
		uint64_t word = 0, bytes;

		ck_assert_int_eq(cause_fault(&f), -EREMOTEIO);
		f.fake.inject(rows[i].call, 1, rows[i].code);
		ck_assert_int_eq(finf_device_reset(f.dev, &f.pool, &f.diag), rows[i].err);
		ck_assert(finf_device_faulted(f.dev));
		ck_assert_int_lt(finf_device_write(f.dev, f.pool.base, &word, 8), 0);
		ck_assert_int_lt(finf_device_sync(f.dev), 0);
		ck_assert_int_lt(finf_device_free_bytes(f.dev, &bytes), 0);
		ck_assert_msg(!finf_device_reset(f.dev, &f.pool, &f.diag), "%s", f.diag.text);
		ck_assert(!finf_device_faulted(f.dev));
		round_trip(&f, 0, 4096, i);
	}
	finf_device_pool_free(f.dev, &f.pool);
	ck_assert_uint_eq(free_bytes(&f), f.before);
	tear_down(&f);
}
END_TEST

/* Closing after a fault, with everything still there, neither hangs nor crashes. */
START_TEST(closes_after_a_fault)
{
	struct fixture f;

	set_up(&f);
	ck_assert_int_eq(make_pool(&f, MIB, modes[2 + _i].asked), 0);
	ck_assert_int_eq(cause_fault(&f), -EREMOTEIO);
	finf_device_pool_free(f.dev, &f.pool);
	finf_device_close(f.dev);
	finf_cuda_close(f.fake.cuda); /* the last: its context goes, and takes all along */
	ck_assert_msg(!finf_device_open("cuda", &f.dev, &f.diag), "%s", f.diag.text);
	ck_assert_uint_eq(free_bytes(&f), f.before);
	finf_device_close(f.dev);
}
END_TEST

/* ---- launches and captures ------------------------------------------------------------- */

#define N 1000
#define PLACE 16384u /* buffers of a run, one behind the other */

static const struct node_case relu = {"relu", "Relu", 13, {ACT(4, 250)}, 1, {{0}}, .want = 0};

struct run {
	struct fixture f;
	struct site site;
	struct finf_form_table table;
	struct finf_kernel *kernel;
	float in[N];
};

static void run_init(struct run *run)
{
	struct finf_diag diag = {""};
	uint64_t seed = 5;

	set_up(&run->f);
	ck_assert_int_eq(make_pool(&run->f, MIB, "vmm"), 0);
	site_init(&run->site, &relu, 0);
	ck_assert_int_eq(site_forms(&run->site, run->f.dev, 2, NULL, &run->table), 0);
	ck_assert_msg(!finf_device_kernel_new(run->f.dev, run->site.graph, 0,
					      &run->table.nodes[0].forms[0], 2, &run->kernel, &diag),
		      "%s", diag.text);
	for (unsigned i = 0; i < N; i++)
		run->in[i] = (float)(test_random(&seed) % 1000) - 500.0f;
}

static void run_fini(struct run *run)
{
	finf_device_kernel_free(run->f.dev, run->kernel);
	finf_form_table_fini(&run->table);
	site_fini(&run->site);
	finf_device_pool_free(run->f.dev, &run->f.pool);
	tear_down(&run->f);
}

static void *place(const struct run *run, unsigned i)
{
	return (uint8_t *)run->f.pool.base + i * PLACE;
}

static int launch(struct run *run, unsigned from, unsigned to)
{
	const void *in[] = {place(run, from)};
	void *out[] = {place(run, to)};
	struct finf_launch what = {.in = in, .out = out};

	return finf_device_kernel_run(run->f.dev, run->kernel, &what);
}

static void put(struct run *run, unsigned i)
{
	ck_assert_int_eq(finf_device_write(run->f.dev, place(run, i), run->in, sizeof(run->in)), 0);
}

static void wipe(struct run *run, unsigned i)
{
	float zeros[N] = {0};

	ck_assert_int_eq(finf_device_write(run->f.dev, place(run, i), zeros, sizeof(zeros)), 0);
}

static bool is_relu(struct run *run, unsigned i)
{
	float got[N];
	bool same = true;

	ck_assert_int_eq(finf_device_read(run->f.dev, got, place(run, i), sizeof(got)), 0);
	for (unsigned k = 0; k < N; k++)
		same &= got[k] == (run->in[k] > 0 ? run->in[k] : 0.0f);
	return same;
}

/* Launches from place to place, as many as there are pairs. */
static int capture(struct run *run, unsigned first, unsigned n, struct finf_captured **io_captured)
{
	int err = finf_device_capture_begin(run->f.dev, 1, 0, &run->f.diag);

	if (err)
		return err;
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_eq(launch(run, first + i, first + i + 1), 0);
	return finf_device_capture_end(run->f.dev, io_captured, &run->f.diag);
}

START_TEST(runs_a_kernel)
{
	struct run run;

	run_init(&run);
	put(&run, 0);
	for (unsigned i = 0; i < 8; i++)
		ck_assert_int_eq(launch(&run, i, i + 1), 0);
	ck_assert(is_relu(&run, 8));
	ck_assert_int_eq(finf_device_sync(run.f.dev), 0);
	run_fini(&run);
}
END_TEST

START_TEST(captures_a_run)
{
	struct finf_captured *captured = NULL;
	struct run run;

	run_init(&run);
	ck_assert(finf_device_captures(run.f.dev));
	put(&run, 0);
	wipe(&run, 2);
	ck_assert_msg(!capture(&run, 0, 2, &captured), "%s", run.f.diag.text);
	ck_assert(!is_relu(&run, 2)); /* noted down, not carried out */
	ck_assert_int_eq(finf_device_captured_run(run.f.dev, captured), 0);
	ck_assert(is_relu(&run, 2));
	/* The same launches elsewhere: brought up to date. More of them: made anew. */
	for (unsigned n = 2; n < 5; n++) {
		put(&run, 10 * n);
		wipe(&run, 11 * n);
		ck_assert_int_eq(capture(&run, 10 * n, n, &captured), 0);
		ck_assert(!is_relu(&run, 11 * n));
		ck_assert_int_eq(finf_device_captured_run(run.f.dev, captured), 0);
		ck_assert_int_eq(finf_device_captured_run(run.f.dev, captured), 0);
		ck_assert(is_relu(&run, 11 * n));
	}
	finf_device_captured_free(run.f.dev, captured);
	run_fini(&run);
}
END_TEST

/*
 * branch 0: 0 -> 1 -> 2	branch 1: 10 -> 11, mark 0	branch 18: waits for it, 11 -> 20 ->
 * 21 Branches 0 and 15 end in place 30 both: whoever is later stays, which is not always the same.
 */
static int capture_branches(struct run *run, struct finf_captured **io_captured)
{
	int err = finf_device_capture_begin(run->f.dev, 19, 1, &run->f.diag);

	if (err)
		return err;
	ck_assert_int_eq(launch(run, 0, 1), 0);
	ck_assert_int_eq(finf_device_capture_branch(run->f.dev, 1), 0);
	ck_assert_int_eq(launch(run, 10, 11), 0);
	ck_assert_int_eq(finf_device_capture_mark(run->f.dev, 0), 0);
	ck_assert_int_eq(finf_device_capture_branch(run->f.dev, 18),
			 0); /* of 16 streams the third */
	ck_assert_int_eq(finf_device_capture_await(run->f.dev, 0), 0);
	ck_assert_int_eq(launch(run, 11, 20), 0);
	ck_assert_int_eq(launch(run, 20, 21), 0);
	ck_assert_int_eq(finf_device_capture_branch(run->f.dev, 0), 0);
	ck_assert_int_eq(launch(run, 1, 2), 0);
	ck_assert_int_eq(launch(run, 2, 30), 0);
	ck_assert_int_eq(finf_device_capture_branch(run->f.dev, 15), 0);
	ck_assert_int_eq(launch(run, 40, 30), 0);
	return finf_device_capture_end(run->f.dev, io_captured, &run->f.diag);
}

START_TEST(branches_are_side_by_side)
{
	struct finf_captured *captured = NULL;
	bool first = false, last = false;
	struct run run;

	run_init(&run);
	ck_assert(finf_device_captures_branches(run.f.dev));
	put(&run, 0);
	put(&run, 10);
	wipe(&run, 40);
	for (unsigned i = 0; i < 2; i++) /* the second brings the first up to date */
		ck_assert_msg(!capture_branches(&run, &captured), "%s", run.f.diag.text);
	for (unsigned i = 0; i < 300 && !(first && last); i++) {
		bool late;

		wipe(&run, 11);
		wipe(&run, 20);
		wipe(&run, 21);
		ck_assert_int_eq(finf_device_captured_run(run.f.dev, captured), 0);
		ck_assert(is_relu(&run, 2) && is_relu(&run, 21));
		late = is_relu(&run, 30);
		first |= !late;
		last |= late;
	}
	ck_assert(first && last);
	/* Without branches again; and the streams go with the context. */
	ck_assert_int_eq(capture(&run, 0, 2, &captured), 0);
	run.f.fake.inject("KERNEL", 1, 700);
	ck_assert_int_eq(launch(&run, 0, 1), 0);
	ck_assert_int_eq(finf_device_sync(run.f.dev), -EREMOTEIO);
	ck_assert_int_eq(finf_device_reset(run.f.dev, &run.f.pool, &run.f.diag), 0);
	ck_assert_int_eq(capture_branches(&run, &captured), 0);
	put(&run, 0);
	put(&run, 10);
	ck_assert_int_eq(finf_device_captured_run(run.f.dev, captured), 0);
	ck_assert(is_relu(&run, 2) && is_relu(&run, 21));
	finf_device_captured_free(run.f.dev, captured);
	run_fini(&run);
}
END_TEST

/* What a capture of branches asks of the driver, each made to fail once. */
static const struct {
	const char *call;
	unsigned nth;
} branch_faults[] = {
	{"cuStreamCreateWithPriority", 1},
	{"cuStreamCreateWithPriority", 15},
	{"cuEventCreate", 2},
	{"cuEventRecord", 1},
	{"cuStreamWaitEvent", 5},
	{"cuEventRecord", 20}, /* a join */
};

START_TEST(a_capture_of_branches_may_fail)
{
	struct finf_captured *captured = NULL;
	struct run run;

	run_init(&run);
	run.f.fake.inject(branch_faults[_i].call, branch_faults[_i].nth, 2);
	ck_assert_int_eq(capture_branches(&run, &captured), -ENOBUFS);
	ck_assert_ptr_null(captured);
	ck_assert_int_ne(run.f.diag.text[0], 0);
	put(&run, 0);
	put(&run, 10);
	ck_assert_msg(!capture_branches(&run, &captured), "%s", run.f.diag.text);
	ck_assert_int_eq(finf_device_captured_run(run.f.dev, captured), 0);
	ck_assert(is_relu(&run, 2) && is_relu(&run, 21));
	finf_device_captured_free(run.f.dev, captured);
	run_fini(&run);
}
END_TEST

/* Whatever fails, launches are carried out again afterwards, and what was captured still runs. */
START_TEST(a_capture_may_fail)
{
	struct finf_captured *captured = NULL, *none = NULL;
	struct run run;

	run_init(&run);
	put(&run, 0);
	run.f.fake.inject("cuStreamBeginCapture_v2", 1, 999);
	ck_assert_int_eq(capture(&run, 0, 2, &none), -EREMOTEIO);
	run.f.fake.inject("cuGraphInstantiateWithFlags", 1, 2);
	ck_assert_int_eq(capture(&run, 0, 2, &none), -ENOBUFS);
	ck_assert_ptr_null(none);
	ck_assert_int_eq(capture(&run, 0, 2, &captured), 0);
	run.f.fake.inject("cuGraphInstantiateWithFlags", 1, 2);
	ck_assert_int_eq(capture(&run, 20, 3, &captured), -ENOBUFS); /* no update: it is longer */
	wipe(&run, 2);
	ck_assert_int_eq(finf_device_captured_run(run.f.dev, captured), 0);
	ck_assert(is_relu(&run, 2));

	ck_assert_int_eq(finf_device_capture_begin(run.f.dev, 1, 0, &run.f.diag), 0);
	ck_assert_int_eq(launch(&run, 0, 4), 0);
	run.f.fake.inject("cuLaunchKernel", 1, 701);
	ck_assert_int_eq(launch(&run, 0, 4), -EREMOTEIO);
	ck_assert_int_eq(finf_device_capture_end(run.f.dev, NULL, &run.f.diag), 0); /* given up */
	wipe(&run, 4);
	ck_assert(!is_relu(&run, 4));
	ck_assert_int_eq(launch(&run, 0, 4), 0);
	ck_assert(is_relu(&run, 4));
	run.f.fake.inject("cuGraphLaunch", 1, 999);
	ck_assert_int_eq(finf_device_captured_run(run.f.dev, captured), -EREMOTEIO);
	finf_device_captured_free(run.f.dev, captured);
	run_fini(&run);
}
END_TEST

struct other {
	struct run *run;
	atomic_bool stop;
	atomic_uint rounds;
	bool wrong;
};

/* Launches, copies and a pool of its own while another thread captures. */
static void *work_beside(void *ctx)
{
	struct other *other = ctx;
	struct run *run = other->run;
	struct finf_pool_memory pool;
	struct finf_diag diag;
	float got[N];

	while (!other->wrong && !atomic_load(&other->stop)) {
		other->wrong = finf_device_write(run->f.dev, place(run, 40), run->in,
						 sizeof(run->in)) ||
			       launch(run, 40, 41) ||
			       finf_device_read(run->f.dev, got, place(run, 41), sizeof(got)) ||
			       finf_device_pool_new(run->f.dev, 4096, "plain", &pool, &diag);
		for (unsigned k = 0; k < N; k++)
			other->wrong |= got[k] != (run->in[k] > 0 ? run->in[k] : 0.0f);
		if (!other->wrong)
			finf_device_pool_free(run->f.dev, &pool);
		atomic_fetch_add(&other->rounds, 1);
	}
	return NULL;
}

START_TEST(others_work_on_during_a_capture)
{
	struct finf_captured *captured = NULL;
	struct other other = {0};
	struct run run;
	pthread_t thread;

	run_init(&run);
	other.run = &run;
	put(&run, 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, work_beside, &other), 0);
	for (unsigned i = 0; i < 10; i++) {
		unsigned seen;

		ck_assert_int_eq(finf_device_capture_begin(run.f.dev, 1, 0, &run.f.diag), 0);
		seen = atomic_load(&other.rounds);
		ck_assert_int_eq(launch(&run, 0, 1), 0);
		while (atomic_load(&other.rounds) == seen) /* a whole round between two launches */
			sched_yield();
		ck_assert_int_eq(launch(&run, 1, 2), 0);
		ck_assert_int_eq(finf_device_capture_end(run.f.dev, &captured, &run.f.diag), 0);
		wipe(&run, 2);
		ck_assert_int_eq(finf_device_captured_run(run.f.dev, captured), 0);
		ck_assert(is_relu(&run, 2));
	}
	atomic_store(&other.stop, true);
	pthread_join(thread, NULL);
	ck_assert(!other.wrong);
	finf_device_captured_free(run.f.dev, captured);
	run_fini(&run);
}
END_TEST

/* A kernel's fault is told by what comes after it; kernels outlive the reset, captures do not. */
START_TEST(a_kernel_faults)
{
	struct finf_captured *captured = NULL, *left = NULL;
	struct run run;
	float got[N];

	run_init(&run);
	ck_assert_int_eq(capture(&run, 0, 2, &captured), 0);
	ck_assert_int_eq(capture(&run, 0, 3, &left), 0);
	for (int i = 0; i < 3; i++) {
		put(&run, 0);
		run.f.fake.inject("KERNEL", 1, i ? 719 : 700);
		if (i == 1)
			ck_assert_int_eq(finf_device_captured_run(run.f.dev, captured), 0);
		else
			ck_assert_int_eq(launch(&run, 0, 1), 0);
		if (i == 2)
			ck_assert_int_eq(finf_device_sync(run.f.dev), -EREMOTEIO);
		ck_assert_int_eq(finf_device_read(run.f.dev, got, place(&run, 1), sizeof(got)),
				 -EREMOTEIO);
		ck_assert(finf_device_faulted(run.f.dev));
		ck_assert_msg(!finf_device_reset(run.f.dev, &run.f.pool, &run.f.diag), "%s",
			      run.f.diag.text);
		ck_assert(!finf_device_faulted(run.f.dev));
		ck_assert_int_eq(finf_device_captured_run(run.f.dev, captured), -ESTALE);
		put(&run, 0);
		ck_assert_int_eq(launch(&run, 0, 1), 0);
		ck_assert(is_relu(&run, 1));
		ck_assert_int_eq(capture(&run, 0, 2, &captured), 0);
		ck_assert_int_eq(finf_device_captured_run(run.f.dev, captured), 0);
		ck_assert(is_relu(&run, 2));
	}
	finf_device_captured_free(run.f.dev, left); /* of a context that is gone */
	finf_device_captured_free(run.f.dev, captured);
	run_fini(&run);
}
END_TEST

/* ---- about itself ------------------------------------------------------------------------ */

START_TEST(opens_by_number)
{
	static const struct {
		const char *name;
		int err;
	} rows[] = {
		{"cuda", 0}, {"cuda:0", 0}, {"cuda:1", 0}, {"cuda:2", -ENODEV}, {"cuda:999", -ENODEV},
	};
	struct finf_diag diag = {""};
	struct finf_device *dev;

	fakedriver_use();
	ck_assert_int_eq(setenv("FAKECUDA_DEVICES", "2", 1), 0);
	for (size_t i = 0; i < FINF_ARRAY_LEN(rows); i++) {
		dev = NULL;
		ck_assert_int_eq(finf_device_open(rows[i].name, &dev, &diag), rows[i].err);
		ck_assert_int_eq(!dev, rows[i].err != 0);
		finf_device_close(dev);
	}
}
END_TEST

START_TEST(opens_whole_or_not_at_all)
{
	static const struct {
		const char *call;
		unsigned nth, code;
	} rows[] = {
		{"cuDevicePrimaryCtxRetain", 1, 2},
		{"cuCtxPushCurrent_v2", 1, 201},
		{"cuStreamCreateWithPriority", 1, 2},
		{"cuStreamCreateWithPriority", 2, 2},
		{"cuMemHostAlloc", 1, 2},
		{"cuModuleLoadDataEx", 1, 222},
	};
	struct finf_device *dev = NULL;
	struct finf_diag diag;
	struct fixture f;

	set_up(&f);
	for (size_t i = 0; i < FINF_ARRAY_LEN(rows); i++) {
		diag.text[0] = 0;
		f.fake.inject(rows[i].call, rows[i].nth, rows[i].code);
		ck_assert_int_lt(finf_device_open("cuda", &dev, &diag), 0);
		ck_assert_ptr_null(dev);
		ck_assert(diag.text[0]);
	}
	tear_down(&f);
}
END_TEST

START_TEST(there_is_no_device_without_a_driver)
{
	struct finf_device *dev = NULL;
	struct finf_diag diag = {""};

	ck_assert_int_eq(setenv("FUSEDINF_LIBCUDA", "/nonexistent/libcuda.so.1", 1), 0);
	ck_assert_int_eq(finf_device_open("cuda", &dev, &diag), -ENODEV);
	ck_assert_ptr_null(dev);
	ck_assert_ptr_nonnull(strstr(diag.text, "no driver"));
}
END_TEST

START_TEST(describes_itself)
{
	static const char *const lines[] = {
		"device=fakecuda 0\n", "driver=11.8\n", "compute=7.5\n", "total_bytes=1073741824\n",
		"free_bytes=", "\nkernels=ptx\n",
		"pool_modes=vmm:yes plain:yes managed:no (cuMemAllocManaged: device memory ran out",
	};
	char text[1024], key[64];
	struct fixture f;

	set_up(&f);
	f.fake.inject("cuMemAllocManaged", 1, 2);
	ck_assert_int_eq(finf_device_describe_self(f.dev, text, sizeof(text)), 0);
	for (size_t i = 0; i < FINF_ARRAY_LEN(lines); i++)
		ck_assert_msg(strstr(text, lines[i]) != NULL, "no %s in %s", lines[i], text);
	ck_assert_int_eq(finf_device_describe_self(f.dev, text, 20), -ENOSPC);
	ck_assert_int_eq(finf_device_target(f.dev, 2, key, sizeof(key)), 0);
	ck_assert_str_eq(key, "cuda:sm_75:plain-1");
	ck_assert_int_eq(finf_device_target(f.dev, 2, key, 8), -ENOSPC);
	ck_assert_uint_eq(free_bytes(&f), f.before);
	tear_down(&f);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("cuda device");
	TCase *tc = tcase_create("pool");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, makes_a_pool_in_each_mode, 0, FINF_ARRAY_LEN(modes));
	tcase_add_loop_test(tc, many_pools_return_all_memory, 0, 3);
	tcase_add_loop_test(tc, refuses_a_pool_that_cannot_be, 0, FINF_ARRAY_LEN(no_pools));
	tcase_add_loop_test(tc, takes_all_back_when_a_step_fails, 0, FINF_ARRAY_LEN(steps));
	tcase_add_test(tc, does_without_advice_where_pages_do_not_move);
	suite_add_tcase(suite, tc);
	tc = tcase_create("copies");
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, moves_inside_the_pool);
	tcase_add_test(tc, uploads_land_in_order);
	tcase_add_test(tc, freeing_uploads_waits_for_them);
	tcase_add_test(tc, uploads_that_cannot_be_leave_nothing);
	suite_add_tcase(suite, tc);
	tc = tcase_create("faults");
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, comes_back_after_a_fault, 0, 3);
	tcase_add_loop_test(tc, a_reset_may_fail_and_be_tried_again, 0, 2);
	tcase_add_loop_test(tc, closes_after_a_fault, 0, 3);
	suite_add_tcase(suite, tc);
	tc = tcase_create("launches");
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, runs_a_kernel);
	tcase_add_test(tc, captures_a_run);
	tcase_add_test(tc, branches_are_side_by_side);
	tcase_add_loop_test(tc, a_capture_of_branches_may_fail, 0, FINF_ARRAY_LEN(branch_faults));
	tcase_add_test(tc, a_capture_may_fail);
	tcase_add_test(tc, others_work_on_during_a_capture);
	tcase_add_test(tc, a_kernel_faults);
	suite_add_tcase(suite, tc);
	tc = tcase_create("self");
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, opens_by_number);
	tcase_add_test(tc, opens_whole_or_not_at_all);
	tcase_add_test(tc, there_is_no_device_without_a_driver);
	tcase_add_test(tc, describes_itself);
	suite_add_tcase(suite, tc);
	return suite;
}
