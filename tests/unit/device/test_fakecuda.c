/* SPDX-License-Identifier: MIT */
/* The fake driver does what a driver does: order, copies, memory, graphs, faults. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/fakedriver.h"
#include "tests/support/support.h"

#define MIB   ((size_t)1 << 20)
#define BYTES ((size_t)256 << 10)
#define WORDS (BYTES / 4)

static struct fakedriver f;

static struct finf_cu_stream *stream_new(void)
{
	struct finf_cu_stream *stream;

	CU(f.api->cuStreamCreateWithPriority(&stream, FINF_CU_STREAM_NON_BLOCKING, 0));
	return stream;
}

static struct finf_cu_event *event_new(unsigned flags)
{
	struct finf_cu_event *event;

	CU(f.api->cuEventCreate(&event, flags));
	return event;
}

static unsigned long long device_new(size_t bytes)
{
	unsigned long long at;

	CU(f.api->cuMemAlloc(&at, bytes));
	return at;
}

static uint32_t *host_new(size_t bytes)
{
	void *at;

	CU(f.api->cuMemHostAlloc(&at, bytes, 0));
	return at;
}

static bool all_are(const uint32_t *words, size_t n, uint32_t value)
{
	for (size_t i = 0; i < n; i++)
		if (words[i] != value)
			return false;
	return true;
}

/* ---- streams, events, copies ----------------------------------------------- */

START_TEST(fresh_memory_is_poison)
{
	unsigned long long at;
	struct finf_cu_stream *stream;
	uint32_t *host;

	f = fakedriver_start();
	stream = stream_new();
	at = device_new(BYTES);
	host = host_new(BYTES);
	ck_assert(all_are(host, WORDS, 0xffffffff));
	memset(host, 0, BYTES);
	CU(f.api->cuMemcpyDtoHAsync(host, at, BYTES, stream));
	CU(f.api->cuStreamSynchronize(stream));
	ck_assert(all_are(host, WORDS, 0xffffffff));
	CU(f.api->cuMemFree(at));
	CU(f.api->cuMemFreeHost(host));
	CU(f.api->cuStreamDestroy(stream));
	fakedriver_stop(&f);
}
END_TEST

/* In, to another place, out, many times: one stream keeps its order. */
START_TEST(a_stream_keeps_its_order)
{
	unsigned long long a, b;
	struct finf_cu_stream *stream;
	uint32_t *host;

	f = fakedriver_start();
	stream = stream_new();
	a = device_new(BYTES);
	b = device_new(BYTES);
	host = host_new(2 * BYTES);
	for (uint32_t round = 0; round < 20; round++) {
		for (size_t i = 0; i < WORDS; i++)
			host[i] = round * 1000003u + (uint32_t)i;
		CU(f.api->cuMemcpyHtoDAsync(a, host, BYTES, stream));
		CU(f.api->cuMemcpyDtoDAsync(b, a, BYTES, stream));
		CU(f.api->cuMemsetD32Async(a, round, WORDS, stream));
		CU(f.api->cuMemsetD8Async(a, 0, 4, stream));
		CU(f.api->cuMemcpyDtoHAsync(host + WORDS, b, BYTES, stream));
		CU(f.api->cuStreamSynchronize(stream));
		ck_assert(!memcmp(host, host + WORDS, BYTES));
		CU(f.api->cuMemcpyDtoHAsync(host, a, BYTES, stream));
		CU(f.api->cuStreamSynchronize(stream));
		ck_assert_uint_eq(host[0], 0);
		ck_assert(all_are(host + 1, WORDS - 1, round));
	}
	CU(f.api->cuMemFree(a));
	CU(f.api->cuMemFree(b));
	CU(f.api->cuMemFreeHost(host));
	fakedriver_stop(&f);
}
END_TEST

/* Producer and consumer on two streams, each waiting for the other by events. */
START_TEST(events_order_streams)
{
	struct finf_cu_event *full, *empty;
	struct finf_cu_stream *in, *out;
	unsigned long long at;
	uint32_t *host;

	f = fakedriver_start();
	in = stream_new();
	out = stream_new();
	full = event_new(FINF_CU_EVENT_DISABLE_TIMING);
	empty = event_new(FINF_CU_EVENT_DISABLE_TIMING);
	at = device_new(4096);
	host = host_new(64 * 4096);
	for (uint32_t i = 0; i < 64; i++) {
		CU(f.api->cuStreamWaitEvent(in, empty, 0)); /* passes the first time */
		CU(f.api->cuMemsetD32Async(at, i, 1024, in));
		CU(f.api->cuEventRecord(full, in));
		CU(f.api->cuStreamWaitEvent(out, full, 0));
		CU(f.api->cuMemcpyDtoHAsync(host + 1024 * i, at, 4096, out));
		CU(f.api->cuEventRecord(empty, out));
	}
	CU(f.api->cuEventSynchronize(empty));
	for (uint32_t i = 0; i < 64; i++)
		ck_assert(all_are(host + 1024 * i, 1024, i));
	CU(f.api->cuEventDestroy(full));
	CU(f.api->cuEventDestroy(empty));
	CU(f.api->cuMemFree(at));
	CU(f.api->cuMemFreeHost(host));
	fakedriver_stop(&f);
}
END_TEST

START_TEST(events_tell_time_and_readiness)
{
	struct finf_cu_event *start, *end;
	struct finf_cu_stream *stream;
	float ms = -1;

	f = fakedriver_start();
	stream = stream_new();
	start = event_new(0);
	end = event_new(FINF_CU_EVENT_BLOCKING);
	CU(f.api->cuEventQuery(start)); /* never recorded: nothing to wait for */
	FAILS(INVALID_HANDLE, f.api->cuEventElapsedTime(&ms, start, end));
	CU(f.api->cuEventRecord(start, stream));
	CU(f.api->cuEventRecord(end, stream));
	CU(f.api->cuEventSynchronize(end));
	CU(f.api->cuEventQuery(start));
	CU(f.api->cuStreamQuery(stream));
	CU(f.api->cuEventElapsedTime(&ms, start, end));
	ck_assert(ms >= 0);
	fakedriver_stop(&f);
}
END_TEST

/* The legacy stream waits for ordinary streams, and they for it. */
START_TEST(the_legacy_stream_synchronises)
{
	struct finf_cu_stream *ordinary;
	unsigned long long at;
	uint32_t *host;

	f = fakedriver_start();
	CU(f.api->cuStreamCreateWithPriority(&ordinary, 0, 0));
	at = device_new(BYTES);
	host = host_new(BYTES);
	for (uint32_t i = 0; i < 20; i++) {
		CU(f.api->cuMemsetD32Async(at, i, WORDS, ordinary));
		CU(f.api->cuMemcpyDtoHAsync(host, at, BYTES, NULL));
		CU(f.api->cuMemsetD32Async(at, 99, WORDS, ordinary));
		CU(f.api->cuStreamSynchronize(NULL));
		ck_assert(all_are(host, WORDS, i));
	}
	CU(f.api->cuMemFree(at));
	CU(f.api->cuMemFreeHost(host));
	fakedriver_stop(&f);
}
END_TEST

static void count(void *user)
{
	++*(unsigned *)user;
}

START_TEST(host_functions_run_in_order)
{
	struct finf_cu_stream *stream;
	unsigned n = 0;

	f = fakedriver_start();
	stream = stream_new();
	for (int i = 0; i < 50; i++)
		CU(f.api->cuLaunchHostFunc(stream, count, &n));
	CU(f.api->cuStreamSynchronize(stream));
	ck_assert_uint_eq(n, 50);
	fakedriver_stop(&f);
}
END_TEST

START_TEST(registered_memory_is_pinned)
{
	struct finf_cu_stream *stream;
	unsigned long long at, seen;
	uint32_t *host;

	f = fakedriver_start();
	stream = stream_new();
	at = device_new(BYTES);
	host = mmap(NULL, 2 * BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(host, MAP_FAILED);
	CU(f.api->cuMemHostRegister(host, 2 * BYTES, 0));
	CU(f.api->cuMemHostGetDevicePointer(&seen, host + 1, 0));
	ck_assert_uint_eq(seen, (uintptr_t)(host + 1));
	memset(host, 0x11, BYTES);
	CU(f.api->cuMemcpyHtoDAsync(at, host, BYTES, stream));
	CU(f.api->cuMemcpyDtoHAsync(host + WORDS, at, BYTES, stream));
	CU(f.api->cuStreamSynchronize(stream));
	ck_assert(all_are(host + WORDS, WORDS, 0x11111111));
	CU(f.api->cuMemHostUnregister(host));
	CU(f.api->cuMemFree(at));
	munmap(host, 2 * BYTES);
	fakedriver_stop(&f);
}
END_TEST

/* ---- memory ---------------------------------------------------------------- */

static struct finf_cu_allocation on_device(void)
{
	return (struct finf_cu_allocation){
		.type = FINF_CU_ALLOCATION_PINNED,
		.handle_types = FINF_CU_HANDLE_POSIX,
		.location = {FINF_CU_LOCATION_DEVICE, 0},
	};
}

static size_t free_bytes(void)
{
	size_t now, total;

	CU(f.api->cuMemGetInfo(&now, &total));
	return now;
}

static unsigned long long grow(unsigned long long at, size_t bytes)
{
	struct finf_cu_access access = {{FINF_CU_LOCATION_DEVICE, 0}, FINF_CU_ACCESS_READ_WRITE};
	struct finf_cu_allocation kind = on_device();
	unsigned long long handle;

	CU(f.api->cuMemCreate(&handle, bytes, &kind, 0));
	CU(f.api->cuMemMap(at, bytes, 0, handle, 0));
	CU(f.api->cuMemSetAccess(at, bytes, &access, 1));
	return handle;
}

/* A pool of four chunks: copies cross their borders; a chunk that goes and
 * comes back holds nothing of before, the others everything. */
START_TEST(vmm_grows_and_shrinks)
{
	const size_t chunk = 4 * MIB;
	unsigned long long base, handles[4];
	struct finf_cu_stream *stream;
	uint32_t *host;

	f = fakedriver_start();
	stream = stream_new();
	host = host_new(4 * chunk);
	CU(f.api->cuMemAddressReserve(&base, 4 * chunk, 0, 0, 0));
	ck_assert_uint_eq(base % (2 * MIB), 0);
	ck_assert_uint_eq(free_bytes(), 1024 * MIB);
	for (size_t i = 0; i < 4; i++)
		handles[i] = grow(base + i * chunk, chunk);
	ck_assert_uint_eq(free_bytes(), 1024 * MIB - 4 * chunk);
	CU(f.api->cuMemsetD32Async(base, 7, chunk, stream)); /* 4 bytes each: all of it */
	CU(f.api->cuStreamSynchronize(stream));
	CU(f.api->cuMemUnmap(base + 3 * chunk, chunk));
	ck_assert_uint_eq(free_bytes(), 1024 * MIB - 4 * chunk); /* the handle holds it */
	CU(f.api->cuMemRelease(handles[3]));
	ck_assert_uint_eq(free_bytes(), 1024 * MIB - 3 * chunk);
	handles[3] = grow(base + 3 * chunk, chunk);
	CU(f.api->cuMemcpyDtoHAsync(host, base, 4 * chunk, stream));
	CU(f.api->cuStreamSynchronize(stream));
	ck_assert(all_are(host, 3 * chunk / 4, 7));
	ck_assert(all_are(host + 3 * chunk / 4, chunk / 4, 0xffffffff));
	for (size_t i = 0; i < 4; i++)
		CU(f.api->cuMemRelease(handles[i])); /* mapped: stays until it is unmapped */
	CU(f.api->cuMemUnmap(base, 4 * chunk));
	CU(f.api->cuMemAddressFree(base, 4 * chunk));
	CU(f.api->cuMemFreeHost(host));
	fakedriver_stop(&f);
}
END_TEST

START_TEST(memory_returns_exactly_over_1000_cycles)
{
	const size_t total = 1024 * MIB, chunk = 2 * MIB;
	unsigned long long base, plain, managed, handle;
	struct finf_cu_stream *stream;
	int descriptors = 0;

	ck_assert_int_eq(setenv("FAKECUDA_DELAY_US", "0", 1), 0);
	f = fakedriver_start();
	stream = stream_new();
	CU(f.api->cuMemAddressReserve(&base, chunk, 0, 0, 0));
	for (int i = 0; i < 1000; i++) {
		handle = grow(base, chunk);
		plain = device_new(4096 + (size_t)i);
		CU(f.api->cuMemAllocManaged(&managed, 8192, FINF_CU_ATTACH_GLOBAL));
		CU(f.api->cuMemsetD8Async(base, 1, 4096, stream));
		CU(f.api->cuMemsetD8Async(plain, 1, 4096, stream));
		ck_assert_uint_lt(free_bytes(), total - chunk - 12287);
		CU(f.api->cuStreamSynchronize(stream));
		CU(f.api->cuMemFree(plain));
		CU(f.api->cuMemFree(managed));
		CU(f.api->cuMemUnmap(base, chunk));
		CU(f.api->cuMemRelease(handle));
		ck_assert_uint_eq(free_bytes(), total);
		if (!i)
			descriptors = open_descriptors();
	}
	ck_assert_int_eq(open_descriptors(), descriptors);
	CU(f.api->cuMemAddressFree(base, chunk));
	fakedriver_stop(&f);
}
END_TEST

START_TEST(too_much_is_refused_and_costs_nothing)
{
	struct finf_cu_allocation kind = on_device();
	unsigned long long at = 0, handle = 0;

	ck_assert_int_eq(setenv("FAKECUDA_MEMORY", "8388608", 1), 0);
	f = fakedriver_start();
	FAILS(OUT_OF_MEMORY, f.api->cuMemAlloc(&at, 9 * MIB));
	FAILS(OUT_OF_MEMORY, f.api->cuMemAlloc(&at, SIZE_MAX - 100));
	FAILS(OUT_OF_MEMORY, f.api->cuMemCreate(&handle, 10 * MIB, &kind, 0));
	FAILS(OUT_OF_MEMORY, f.api->cuMemAllocManaged(&at, 9 * MIB, FINF_CU_ATTACH_GLOBAL));
	ck_assert_uint_eq(free_bytes(), 8 * MIB);
	CU(f.api->cuMemAlloc(&at, 8 * MIB));
	ck_assert_uint_eq(free_bytes(), 0);
	CU(f.api->cuMemFree(at));
	fakedriver_stop(&f);
}
END_TEST

START_TEST(managed_memory_belongs_to_both)
{
	struct finf_cu_stream *stream;
	unsigned long long at;
	uint32_t *host;

	f = fakedriver_start();
	stream = stream_new();
	CU(f.api->cuMemAllocManaged(&at, BYTES, FINF_CU_ATTACH_GLOBAL));
	host = (uint32_t *)(uintptr_t)at;
	memset(host, 0x22, BYTES);
	CU(f.api->cuMemAdvise(at, BYTES, FINF_CU_ADVISE_PREFERRED, 0));
	CU(f.api->cuMemPrefetchAsync(at, BYTES, 0, stream));
	CU(f.api->cuMemsetD32Async(at, 5, WORDS / 2, stream));
	CU(f.api->cuStreamSynchronize(stream));
	ck_assert(all_are(host, WORDS / 2, 5));
	ck_assert(all_are(host + WORDS / 2, WORDS / 2, 0x22222222));
	CU(f.api->cuMemFree(at));
	fakedriver_stop(&f);
}
END_TEST

/* ---- kernels and graphs ---------------------------------------------------- */

struct scale {
	float *x;
	unsigned n;
	float by, plus;
};

static void scale(const void *param, const struct fakecuda_grid *grid)
{
	const struct scale *p = param;

	ck_assert_uint_ge(grid->grid[0] * grid->block[0], p->n);
	for (unsigned i = 0; i < p->n; i++)
		p->x[i] = p->x[i] * p->by + p->plus;
}

static struct finf_cu_function *scale_function(struct finf_cu_module **ret_module)
{
	struct finf_cu_function *function;

	f.kernel("scale", scale, sizeof(struct scale), 0);
	CU(f.api->cuModuleLoadDataEx(ret_module, "fakecuda\nother\nscale", 0, NULL, NULL));
	CU(f.api->cuModuleGetFunction(&function, *ret_module, "scale"));
	return function;
}

static void launch(struct finf_cu_function *function, struct finf_cu_stream *stream,
		   unsigned long long x, float by, float plus)
{
	struct scale p = {(float *)(uintptr_t)x, 256, by, plus};
	void *params[] = {&p};

	CU(f.api->cuLaunchKernel(function, 2, 1, 1, 128, 1, 1, 0, stream, params, NULL));
	memset(&p, 0xee, sizeof(p)); /* the driver has copied it */
}

START_TEST(kernels_run_with_a_copy_of_their_parameter)
{
	struct finf_cu_function *function;
	struct finf_cu_stream *stream;
	struct finf_cu_module *module;
	unsigned long long x;
	float *host;

	f = fakedriver_start();
	stream = stream_new();
	function = scale_function(&module);
	FAILS(NOT_FOUND, f.api->cuModuleGetFunction(&function, module, "scal"));
	x = device_new(1024);
	host = (float *)host_new(1024);
	CU(f.api->cuMemsetD32Async(x, 0x3f800000, 256, stream)); /* 1.0f */
	launch(function, stream, x, 2, 1);
	launch(function, stream, x, 10, 0.5f);
	CU(f.api->cuMemcpyDtoHAsync(host, x, 1024, stream));
	CU(f.api->cuStreamSynchronize(stream));
	for (int i = 0; i < 256; i++)
		ck_assert_float_eq(host[i], 30.5f);
	CU(f.api->cuModuleUnload(module));
	CU(f.api->cuMemFree(x));
	CU(f.api->cuMemFreeHost(host));
	fakedriver_stop(&f);
}
END_TEST

/* in -> (a: *2, b: +1 on another stream) -> out, joined by an event. */
static struct finf_cu_graph *capture_fork(struct finf_cu_function *function,
					  struct finf_cu_stream *s, struct finf_cu_stream *t,
					  const unsigned long long x[2], float *host, float by)
{
	struct finf_cu_event *fork = event_new(2), *join = event_new(2);
	enum finf_cu_capture_status status;
	struct finf_cu_graph *graph;

	CU(f.api->cuStreamBeginCapture(s, FINF_CU_CAPTURE_THREAD_LOCAL));
	CU(f.api->cuMemcpyHtoDAsync(x[0], host, 1024, s));
	CU(f.api->cuMemcpyDtoDAsync(x[1], x[0], 1024, s));
	CU(f.api->cuEventRecord(fork, s));
	CU(f.api->cuStreamWaitEvent(t, fork, 0));
	launch(function, s, x[0], by, 0);
	launch(function, t, x[1], 1, 1);
	CU(f.api->cuStreamIsCapturing(t, &status));
	ck_assert_uint_eq(status, FINF_CU_CAPTURE_ACTIVE);
	CU(f.api->cuEventRecord(join, t));
	CU(f.api->cuStreamWaitEvent(s, join, 0));
	CU(f.api->cuMemcpyDtoHAsync(host + 256, x[0], 1024, s));
	CU(f.api->cuMemcpyDtoHAsync(host + 512, x[1], 1024, s));
	CU(f.api->cuStreamEndCapture(s, &graph));
	CU(f.api->cuStreamIsCapturing(t, &status));
	ck_assert_uint_eq(status, FINF_CU_CAPTURE_NONE);
	CU(f.api->cuEventDestroy(fork));
	CU(f.api->cuEventDestroy(join));
	return graph;
}

static void run_graph(struct finf_cu_graph_exec *exec, struct finf_cu_stream *s, float *host,
		      float in, float by)
{
	for (int i = 0; i < 256; i++)
		host[i] = in + (float)i;
	CU(f.api->cuGraphLaunch(exec, s));
	CU(f.api->cuStreamSynchronize(s));
	for (int i = 0; i < 256; i++) {
		ck_assert_float_eq(host[256 + i], (in + (float)i) * by);
		ck_assert_float_eq(host[512 + i], in + (float)i + 1);
	}
}

START_TEST(graphs_replay_and_are_updated)
{
	struct finf_cu_stream *s, *t;
	struct finf_cu_graph *graph, *other;
	struct finf_cu_graph_exec *exec;
	struct finf_cu_graph_node *node;
	struct finf_cu_function *function;
	struct finf_cu_module *module;
	enum finf_cu_update_result update;
	unsigned long long x[2];
	size_t n = 0;
	float *host;

	f = fakedriver_start();
	s = stream_new();
	t = stream_new();
	function = scale_function(&module);
	x[0] = device_new(1024);
	x[1] = device_new(1024);
	host = (float *)host_new(3 * 1024);
	memset(host, 0, 3 * 1024);
	graph = capture_fork(function, s, t, x, host, 2);
	CU(f.api->cuStreamSynchronize(s));
	ck_assert_float_eq(host[256], 0); /* capturing ran nothing */
	CU(f.api->cuGraphGetNodes(graph, NULL, &n));
	ck_assert_uint_eq(n, 6);
	CU(f.api->cuGraphInstantiateWithFlags(&exec, graph, 0));
	CU(f.api->cuGraphDestroy(graph));
	for (int i = 0; i < 20; i++)
		run_graph(exec, s, host, (float)i, 2);
	other = capture_fork(function, s, t, x, host, 3);
	CU(f.api->cuGraphExecUpdate(exec, other, &node, &update));
	run_graph(exec, t, host, 5, 3);
	CU(f.api->cuGraphDestroy(other));
	CU(f.api->cuGraphExecDestroy(exec));
	CU(f.api->cuModuleUnload(module));
	CU(f.api->cuMemFree(x[0]));
	CU(f.api->cuMemFree(x[1]));
	CU(f.api->cuMemFreeHost(host));
	fakedriver_stop(&f);
}
END_TEST

/* ---- faults
 * -------------------------------------------------------------------------------------- */

START_TEST(injected_failures_hit_the_nth_call)
{
	unsigned long long at;

	f = fakedriver_start();
	f.inject("cuMemAlloc_v2", 3, FINF_CU_ERROR_OUT_OF_MEMORY);
	for (int i = 1; i <= 5; i++) {
		if (i == 3) {
			FAILS(OUT_OF_MEMORY, f.api->cuMemAlloc(&at, 4096));
			continue;
		}
		CU(f.api->cuMemAlloc(&at, 4096));
		CU(f.api->cuMemFree(at));
	}
	fakedriver_stop(&f);
}
END_TEST

START_TEST(faults_stick_until_the_context_is_reset)
{
	struct finf_cu_stream *stream;
	unsigned long long at;
	size_t now, total;

	f = fakedriver_start();
	stream = stream_new();
	f.inject("cuStreamSynchronize", 1, FINF_CU_ERROR_ILLEGAL_ADDRESS);
	FAILS(ILLEGAL_ADDRESS, f.api->cuStreamSynchronize(stream));
	FAILS(ILLEGAL_ADDRESS, f.api->cuMemAlloc(&at, 4096));
	FAILS(ILLEGAL_ADDRESS, f.api->cuMemGetInfo(&now, &total));
	CU(f.api->cuDevicePrimaryCtxReset(0));
	CU(f.api->cuMemAlloc(&at, 4096));
	CU(f.api->cuMemFree(at));
	FAILS(INVALID_HANDLE, f.api->cuStreamSynchronize(stream)); /* gone with the rest */
	fakedriver_stop(&f);
}
END_TEST

/* The launch succeeds; whoever waits for it learns what happened, and so does everybody after. */
START_TEST(kernels_fail_late)
{
	struct finf_cu_function *function;
	struct finf_cu_stream *stream;
	struct finf_cu_module *module;
	unsigned long long x;
	float *host;

	f = fakedriver_start();
	stream = stream_new();
	function = scale_function(&module);
	x = device_new(1024);
	host = (float *)host_new(1024);
	CU(f.api->cuMemsetD32Async(x, 0x3f800000, 256, stream));
	f.inject("KERNEL", 2, FINF_CU_ERROR_ILLEGAL_ADDRESS);
	launch(function, stream, x, 2, 0);
	CU(f.api->cuStreamSynchronize(stream));
	launch(function, stream, x, 3, 0);
	FAILS(ILLEGAL_ADDRESS, f.api->cuStreamSynchronize(stream));
	FAILS(ILLEGAL_ADDRESS, f.api->cuMemcpyDtoHAsync(host, x, 1024, stream));
	CU(f.api->cuDevicePrimaryCtxReset(0));
	f.forgive(); /* what lay in the context went with it */
	fakedriver_stop(&f);
}
END_TEST

START_TEST(graphs_of_another_shape_are_no_update)
{
	struct finf_cu_graph *one, *two;
	struct finf_cu_graph_exec *exec;
	struct finf_cu_graph_node *node;
	enum finf_cu_update_result update;
	struct finf_cu_stream *s;
	unsigned long long x;

	f = fakedriver_start();
	s = stream_new();
	x = device_new(1024);
	CU(f.api->cuStreamBeginCapture(s, FINF_CU_CAPTURE_THREAD_LOCAL));
	CU(f.api->cuMemsetD8Async(x, 0, 16, s));
	CU(f.api->cuStreamEndCapture(s, &one));
	CU(f.api->cuStreamBeginCapture(s, FINF_CU_CAPTURE_THREAD_LOCAL));
	CU(f.api->cuMemsetD8Async(x, 0, 16, s));
	CU(f.api->cuMemsetD8Async(x, 1, 16, s));
	CU(f.api->cuStreamEndCapture(s, &two));
	CU(f.api->cuGraphInstantiateWithFlags(&exec, one, 0));
	FAILS(GRAPH_EXEC_UPDATE_FAILURE, f.api->cuGraphExecUpdate(exec, two, &node, &update));
	ck_assert_uint_eq(update, FINF_CU_UPDATE_TOPOLOGY_CHANGED);
	CU(f.api->cuGraphLaunch(exec, s)); /* still what it was */
	CU(f.api->cuStreamSynchronize(s));
	CU(f.api->cuMemFree(x));
	fakedriver_stop(&f);
}
END_TEST

START_TEST(a_forked_child_has_no_driver)
{
	unsigned long long at;
	int status, n;
	pid_t child;

	f = fakedriver_start();
	child = fork();
	ck_assert_int_ge(child, 0);
	if (!child)
		_exit(f.api->cuMemAlloc(&at, 4096) == FINF_CU_ERROR_NOT_INITIALIZED &&
				      f.api->cuInit(0) == FINF_CU_ERROR_NOT_INITIALIZED &&
				      f.api->cuDeviceGetCount(&n) == FINF_CU_ERROR_NOT_INITIALIZED
			      ? 42
			      : 1);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	fakedriver_stop(&f);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("fakecuda");
	TCase *tc = tcase_create("correct use");

	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, fresh_memory_is_poison);
	tcase_add_test(tc, a_stream_keeps_its_order);
	tcase_add_test(tc, events_order_streams);
	tcase_add_test(tc, events_tell_time_and_readiness);
	tcase_add_test(tc, the_legacy_stream_synchronises);
	tcase_add_test(tc, host_functions_run_in_order);
	tcase_add_test(tc, registered_memory_is_pinned);
	tcase_add_test(tc, vmm_grows_and_shrinks);
	tcase_add_test(tc, memory_returns_exactly_over_1000_cycles);
	tcase_add_test(tc, too_much_is_refused_and_costs_nothing);
	tcase_add_test(tc, managed_memory_belongs_to_both);
	tcase_add_test(tc, kernels_run_with_a_copy_of_their_parameter);
	tcase_add_test(tc, graphs_replay_and_are_updated);
	tcase_add_test(tc, injected_failures_hit_the_nth_call);
	tcase_add_test(tc, faults_stick_until_the_context_is_reset);
	tcase_add_test(tc, kernels_fail_late);
	tcase_add_test(tc, graphs_of_another_shape_are_no_update);
	tcase_add_test(tc, a_forked_child_has_no_driver);
	suite_add_tcase(suite, tc);
	return suite;
}
