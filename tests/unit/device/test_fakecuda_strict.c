/* SPDX-License-Identifier: MIT */
/*
 * What breaks first on a real GPU must break here: mistakes on purpose, each
 * of which the fake driver refuses as a driver would, or records because a
 * driver would suffer it in silence.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/support/fakedriver.h"
#include "tests/support/support.h"

#define MIB   ((size_t)1 << 20)
#define BYTES ((size_t)64 << 10)

/* What every mistake is made with. */
static struct {
	struct fakedriver f;
	const struct finf_cuda_api *api;
	struct finf_cu_stream *s, *t, *ordinary; /* ordinary: synchronises with the legacy one */
	struct finf_cu_event *event;
	unsigned long long at;
	uint8_t *host; /* registered, 2 * BYTES */
	struct finf_cu_module *module;
} k;

static void nothing(const void *param, const struct fakecuda_grid *grid)
{
	(void)param, (void)grid;
}

static void setup(void)
{
	k.f = fakedriver_start();
	k.api = k.f.api;
	CU(k.api->cuStreamCreateWithPriority(&k.s, FINF_CU_STREAM_NON_BLOCKING, 0));
	CU(k.api->cuStreamCreateWithPriority(&k.t, FINF_CU_STREAM_NON_BLOCKING, 0));
	CU(k.api->cuStreamCreateWithPriority(&k.ordinary, 0, 0));
	CU(k.api->cuEventCreate(&k.event, FINF_CU_EVENT_DISABLE_TIMING));
	CU(k.api->cuMemAlloc(&k.at, BYTES));
	k.host = mmap(NULL, 2 * BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(k.host, MAP_FAILED);
	CU(k.api->cuMemHostRegister(k.host, BYTES, 0));
	CU(k.api->cuMemHostRegister(k.host + BYTES, BYTES, 0));
	k.f.kernel("small", nothing, 8, 0);
	k.f.kernel("wide", nothing, 4100, 0);
	k.f.kernel("shared", nothing, 8, 20 << 10);
	CU(k.api->cuModuleLoadDataEx(&k.module, "fakecuda\nsmall\nwide\nshared", 0, NULL, NULL));
}

static void teardown(void)
{
	CU(k.api->cuCtxSynchronize());
	CU(k.api->cuModuleUnload(k.module));
	CU(k.api->cuMemHostUnregister(k.host));
	CU(k.api->cuMemHostUnregister(k.host + BYTES));
	CU(k.api->cuMemFree(k.at));
	munmap(k.host, 2 * BYTES);
	fakedriver_stop(&k.f);
}

/* The mistake was recorded, in these words; nothing else was. */
static void recorded(const char *words)
{
	const char *last;

	ck_assert_uint_eq(k.f.violations(&last), 1);
	ck_assert_msg(strstr(last, words) != NULL, "%s", last);
	k.f.forgive();
}

/* ---- order ----------------------------------------------------------------- */

static void read_without_event(void)
{
	CU(k.api->cuMemsetD8Async(k.at, 1, BYTES, k.s));
	CU(k.api->cuMemcpyDtoHAsync(k.host, k.at, BYTES, k.t));
	recorded("race");
	CU(k.api->cuCtxSynchronize());
	/* With the wait there is nothing to complain about. */
	CU(k.api->cuMemsetD8Async(k.at, 1, BYTES, k.s));
	CU(k.api->cuEventRecord(k.event, k.s));
	CU(k.api->cuStreamWaitEvent(k.t, k.event, 0));
	CU(k.api->cuMemcpyDtoHAsync(k.host, k.at, BYTES, k.t));
	ck_assert_uint_eq(k.f.violations(NULL), 0);
}

/* The event was recorded before the work it should stand for. */
static void event_recorded_too_early(void)
{
	CU(k.api->cuEventRecord(k.event, k.s));
	CU(k.api->cuMemsetD8Async(k.at, 1, BYTES, k.s));
	CU(k.api->cuStreamWaitEvent(k.t, k.event, 0));
	CU(k.api->cuMemcpyDtoHAsync(k.host, k.at, BYTES, k.t));
	recorded("race");
}

/* A staging block that is filled again while it is copied from. */
static void staging_reused_too_early(void)
{
	CU(k.api->cuMemcpyHtoDAsync(k.at, k.host, BYTES, k.s));
	CU(k.api->cuMemcpyDtoHAsync(k.host, k.at, 16, k.t));
	ck_assert_uint_ge(k.f.violations(NULL), 1);
	k.f.forgive();
}

/* Work that stays queued until the test lets it go. */
static sem_t gate;

static void pass_gate(void *user)
{
	sem_wait(user);
}

static void close_gate(struct finf_cu_stream *stream)
{
	ck_assert_int_eq(sem_init(&gate, 0, 0), 0);
	CU(k.api->cuLaunchHostFunc(stream, pass_gate, &gate));
}

/* Opens the gate as soon as something was recorded: by a call that waits for the gate. */
static void *open_when_recorded(void *unused)
{
	while (!k.f.violations(NULL))
		sched_yield();
	sem_post(&gate);
	return unused;
}

/* The copy cannot have happened, and what lies there says so. */
static void host_reads_before_it_waited(void)
{
	CU(k.api->cuMemsetD8Async(k.at, 0x33, BYTES, k.s));
	CU(k.api->cuStreamSynchronize(k.s));
	memset(k.host, 0x33, BYTES); /* of the last time: would look right */
	close_gate(k.s);
	CU(k.api->cuMemcpyDtoHAsync(k.host, k.at, BYTES, k.s));
	ck_assert_uint_eq(k.host[0], 0xff);
	ck_assert_uint_eq(k.host[BYTES - 1], 0xff);
	FAILS(NOT_READY, k.api->cuStreamQuery(k.s));
	sem_post(&gate);
	CU(k.api->cuStreamSynchronize(k.s));
	ck_assert_uint_eq(k.host[BYTES - 1], 0x33);
}

/* ---- copies ---------------------------------------------------------------- */

static void copy_from_unregistered_memory(void)
{
	void *plain = malloc(BYTES);

	ck_assert_ptr_nonnull(plain);
	memset(plain, 1, BYTES);
	CU(k.api->cuMemcpyHtoDAsync(k.at, plain, BYTES, k.s));
	recorded("not asynchronous");
	CU(k.api->cuStreamQuery(k.s)); /* it was waited for */
	free(plain);
}

static void copy_across_registrations(void)
{
	FAILS(INVALID_VALUE, k.api->cuMemcpyHtoDAsync(k.at, k.host + BYTES / 2, BYTES, k.s));
	FAILS(INVALID_VALUE, k.api->cuMemcpyDtoHAsync(k.host + BYTES - 1, k.at, 2, k.s));
}

static void copy_past_an_allocation(void)
{
	FAILS(INVALID_VALUE, k.api->cuMemcpyHtoDAsync(k.at + 1, k.host, BYTES, k.s));
	FAILS(INVALID_VALUE, k.api->cuMemsetD8Async(k.at, 0, BYTES + 1, k.s));
	FAILS(INVALID_VALUE, k.api->cuMemsetD32Async(k.at + 2, 0, 1, k.s)); /* not aligned */
}

static void unregister_under_a_copy(void)
{
	pthread_t thread;

	close_gate(k.s);
	CU(k.api->cuMemcpyHtoDAsync(k.at, k.host, BYTES, k.s));
	ck_assert_int_eq(pthread_create(&thread, NULL, open_when_recorded, NULL), 0);
	CU(k.api->cuMemHostUnregister(k.host));
	pthread_join(thread, NULL);
	recorded("unregistered");
	CU(k.api->cuMemHostRegister(k.host, BYTES, 0));
}

static void registering_twice(void)
{
	FAILS(HOST_MEMORY_ALREADY_REGISTERED, k.api->cuMemHostRegister(k.host, 4096, 0));
	FAILS(HOST_MEMORY_NOT_REGISTERED, k.api->cuMemHostUnregister(k.host + 4096));
	FAILS(INVALID_VALUE, k.api->cuMemHostRegister(k.host, 0, 0));
}

static void freeing_twice(void)
{
	unsigned long long at;

	CU(k.api->cuMemAlloc(&at, 4096));
	FAILS(INVALID_VALUE, k.api->cuMemFree(at + 512));
	CU(k.api->cuMemFree(at));
	FAILS(INVALID_VALUE, k.api->cuMemFree(at));
	FAILS(INVALID_VALUE, k.api->cuMemsetD8Async(at, 0, 1, k.s));
}

/* ---- virtual memory -------------------------------------------------------- */

static const struct finf_cu_allocation on_device = {
	.type = FINF_CU_ALLOCATION_PINNED,
	.location = {FINF_CU_LOCATION_DEVICE, 0},
};
static const struct finf_cu_access open_access = {{FINF_CU_LOCATION_DEVICE, 0},
						  FINF_CU_ACCESS_READ_WRITE};

static void wrong_granularity(void)
{
	unsigned long long base, handle;

	FAILS(INVALID_VALUE, k.api->cuMemAddressReserve(&base, 3 * MIB, 0, 0, 0));
	FAILS(INVALID_VALUE, k.api->cuMemCreate(&handle, MIB, &on_device, 0));
	FAILS(INVALID_VALUE, k.api->cuMemCreate(&handle, 0, &on_device, 0));
}

static void vmm_mistakes(void)
{
	unsigned long long base, handle;

	CU(k.api->cuMemAddressReserve(&base, 8 * MIB, 0, 0, 0));
	CU(k.api->cuMemCreate(&handle, 4 * MIB, &on_device, 0));
	/* non-zero offset, a part of a handle, off the granularity, past the end */
	FAILS(INVALID_VALUE, k.api->cuMemMap(base, 2 * MIB, 2 * MIB, handle, 0));
	FAILS(INVALID_VALUE, k.api->cuMemMap(base, 2 * MIB, 0, handle, 0));
	FAILS(INVALID_VALUE, k.api->cuMemMap(base + MIB, 4 * MIB, 0, handle, 0));
	FAILS(INVALID_VALUE, k.api->cuMemMap(base + 6 * MIB, 4 * MIB, 0, handle, 0));
	FAILS(INVALID_VALUE, k.api->cuMemSetAccess(base, 4 * MIB, &open_access, 1));
	CU(k.api->cuMemMap(base, 4 * MIB, 0, handle, 0));
	FAILS(INVALID_VALUE, k.api->cuMemMap(base, 4 * MIB, 0, handle, 0)); /* taken */
	/* mapped, but nobody was given access */
	FAILS(INVALID_VALUE, k.api->cuMemsetD8Async(base, 0, 4096, k.s));
	CU(k.api->cuMemSetAccess(base, 4 * MIB, &open_access, 1));
	CU(k.api->cuMemsetD8Async(base, 0, 4096, k.s));
	CU(k.api->cuStreamSynchronize(k.s));
	/* a part of a mapping, more than the mapping, a reservation that is in use */
	FAILS(INVALID_VALUE, k.api->cuMemUnmap(base, 2 * MIB));
	FAILS(INVALID_VALUE, k.api->cuMemUnmap(base, 8 * MIB));
	FAILS(INVALID_VALUE, k.api->cuMemAddressFree(base, 8 * MIB));
	CU(k.api->cuMemUnmap(base, 4 * MIB));
	CU(k.api->cuMemRelease(handle));
	FAILS(INVALID_VALUE, k.api->cuMemRelease(handle));
	FAILS(INVALID_VALUE, k.api->cuMemAddressFree(base, 4 * MIB));
	CU(k.api->cuMemAddressFree(base, 8 * MIB));
}

static void unmap_under_queued_work(void)
{
	unsigned long long base, handle;
	pthread_t thread;

	CU(k.api->cuMemAddressReserve(&base, 2 * MIB, 0, 0, 0));
	CU(k.api->cuMemCreate(&handle, 2 * MIB, &on_device, 0));
	CU(k.api->cuMemMap(base, 2 * MIB, 0, handle, 0));
	CU(k.api->cuMemSetAccess(base, 2 * MIB, &open_access, 1));
	close_gate(k.s);
	CU(k.api->cuMemsetD8Async(base, 0, 4096, k.s));
	ck_assert_int_eq(pthread_create(&thread, NULL, open_when_recorded, NULL), 0);
	CU(k.api->cuMemUnmap(base, 2 * MIB));
	pthread_join(thread, NULL);
	recorded("unmapped");
	CU(k.api->cuMemRelease(handle));
	CU(k.api->cuMemAddressFree(base, 2 * MIB));
}

/* ---- capture --------------------------------------------------------------- */

static void begin(struct finf_cu_stream *stream, enum finf_cu_capture_mode mode)
{
	CU(k.api->cuStreamBeginCapture(stream, mode));
	CU(k.api->cuMemsetD8Async(k.at, 0, 16, stream));
}

static void ends_broken(struct finf_cu_stream *stream)
{
	struct finf_cu_graph *graph = (void *)&k;

	FAILS(STREAM_CAPTURE_INVALIDATED, k.api->cuMemsetD8Async(k.at, 0, 16, stream));
	FAILS(STREAM_CAPTURE_INVALIDATED, k.api->cuStreamEndCapture(stream, &graph));
	ck_assert_ptr_null(graph);
	CU(k.api->cuMemsetD8Async(k.at, 0, 16, stream)); /* usable again */
	CU(k.api->cuStreamSynchronize(stream));
}

static void unjoined_fork(void)
{
	struct finf_cu_graph *graph;

	begin(k.s, FINF_CU_CAPTURE_THREAD_LOCAL);
	CU(k.api->cuEventRecord(k.event, k.s));
	CU(k.api->cuStreamWaitEvent(k.t, k.event, 0));
	CU(k.api->cuMemsetD8Async(k.at + 4096, 0, 16, k.t));
	FAILS(STREAM_CAPTURE_UNJOINED, k.api->cuStreamEndCapture(k.s, &graph));
	CU(k.api->cuMemsetD8Async(k.at + 4096, 0, 16, k.t));
	CU(k.api->cuStreamSynchronize(k.t));
}

static void legacy_stream_during_capture(void)
{
	begin(k.ordinary, FINF_CU_CAPTURE_THREAD_LOCAL);
	FAILS(STREAM_CAPTURE_IMPLICIT, k.api->cuMemsetD8Async(k.at, 0, 16, NULL));
	ends_broken(k.ordinary);
	begin(k.ordinary, FINF_CU_CAPTURE_THREAD_LOCAL);
	FAILS(STREAM_CAPTURE_IMPLICIT, k.api->cuStreamSynchronize(NULL));
	ends_broken(k.ordinary);
	FAILS(STREAM_CAPTURE_UNSUPPORTED,
	      k.api->cuStreamBeginCapture(NULL, FINF_CU_CAPTURE_THREAD_LOCAL));
}

static void allocation_during_capture(void)
{
	unsigned long long at;

	begin(k.s, FINF_CU_CAPTURE_THREAD_LOCAL);
	FAILS(STREAM_CAPTURE_UNSUPPORTED, k.api->cuMemAlloc(&at, 4096));
	ends_broken(k.s);
}

static void relaxed_capture_allows_allocation(void)
{
	struct finf_cu_graph *graph;
	unsigned long long at;

	begin(k.s, FINF_CU_CAPTURE_RELAXED);
	CU(k.api->cuMemAlloc(&at, 4096));
	CU(k.api->cuMemFree(at));
	CU(k.api->cuStreamEndCapture(k.s, &graph));
	CU(k.api->cuGraphDestroy(graph));
}

static void synchronising_during_capture(void)
{
	begin(k.s, FINF_CU_CAPTURE_RELAXED);
	FAILS(STREAM_CAPTURE_UNSUPPORTED, k.api->cuStreamSynchronize(k.s));
	ends_broken(k.s);
	begin(k.s, FINF_CU_CAPTURE_THREAD_LOCAL);
	FAILS(STREAM_CAPTURE_UNSUPPORTED, k.api->cuCtxSynchronize());
	ends_broken(k.s);
	begin(k.s, FINF_CU_CAPTURE_THREAD_LOCAL);
	CU(k.api->cuEventRecord(k.event, k.s));
	FAILS(CAPTURED_EVENT, k.api->cuEventQuery(k.event));
	ends_broken(k.s);
}

static void capture_waits_for_other_work(void)
{
	CU(k.api->cuEventRecord(k.event, k.t));
	begin(k.s, FINF_CU_CAPTURE_THREAD_LOCAL);
	FAILS(STREAM_CAPTURE_ISOLATION, k.api->cuStreamWaitEvent(k.s, k.event, 0));
	ends_broken(k.s);
}

static void pageable_copy_during_capture(void)
{
	char plain[16] = "";

	begin(k.s, FINF_CU_CAPTURE_THREAD_LOCAL);
	FAILS(STREAM_CAPTURE_UNSUPPORTED, k.api->cuMemcpyHtoDAsync(k.at, plain, 16, k.s));
	ends_broken(k.s);
}

static void two_captures_merge(void)
{
	begin(k.s, FINF_CU_CAPTURE_THREAD_LOCAL);
	begin(k.t, FINF_CU_CAPTURE_THREAD_LOCAL);
	CU(k.api->cuEventRecord(k.event, k.s));
	FAILS(STREAM_CAPTURE_MERGE, k.api->cuStreamWaitEvent(k.t, k.event, 0));
	ends_broken(k.s);
	ends_broken(k.t);
}

static void capture_ends_elsewhere(void)
{
	struct finf_cu_graph *graph;

	FAILS(ILLEGAL_STATE, k.api->cuStreamEndCapture(k.s, &graph));
	begin(k.s, FINF_CU_CAPTURE_THREAD_LOCAL);
	CU(k.api->cuEventRecord(k.event, k.s));
	CU(k.api->cuStreamWaitEvent(k.t, k.event, 0));
	FAILS(STREAM_CAPTURE_UNMATCHED, k.api->cuStreamEndCapture(k.t, &graph));
	ends_broken(k.s);
}

/* ---- contexts, threads, events --------------------------------------------- */

static void *use_without_context(void *ret)
{
	unsigned long long at;

	*(enum finf_cu_result *)ret = k.api->cuMemAlloc(&at, 4096);
	return NULL;
}

static void no_context_on_a_new_thread(void)
{
	enum finf_cu_result result = FINF_CU_SUCCESS;
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, use_without_context, &result), 0);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(result, FINF_CU_ERROR_INVALID_CONTEXT);
}

static void *use_with_context(void *ret)
{
	struct finf_diag diag = {""};

	*(int *)ret = finf_cuda_enter(k.f.cuda, &diag);
	*(int *)ret |= (int)k.api->cuMemsetD8Async(k.at, 0, 1, k.s);
	finf_cuda_leave(k.f.cuda);
	return NULL;
}

static void entering_makes_a_thread_useful(void)
{
	pthread_t thread;
	int result = -1;

	ck_assert_int_eq(pthread_create(&thread, NULL, use_with_context, &result), 0);
	pthread_join(thread, NULL);
	ck_assert_int_eq(result, 0);
}

static void elapsed_time_without_timing(void)
{
	float ms;

	CU(k.api->cuEventRecord(k.event, k.s));
	CU(k.api->cuEventSynchronize(k.event));
	FAILS(INVALID_HANDLE, k.api->cuEventElapsedTime(&ms, k.event, k.event));
}

static void call_from_host_function(void *user)
{
	*(enum finf_cu_result *)user = k.api->cuStreamQuery(k.t);
}

static void host_function_calls_the_driver(void)
{
	enum finf_cu_result result = FINF_CU_SUCCESS;

	CU(k.api->cuLaunchHostFunc(k.s, call_from_host_function, &result));
	CU(k.api->cuStreamSynchronize(k.s));
	ck_assert_uint_eq(result, FINF_CU_ERROR_NOT_PERMITTED);
	recorded("host function");
}

static void foreign_handles(void)
{
	char other[64] = "";

	FAILS(INVALID_HANDLE, k.api->cuStreamSynchronize((void *)other));
	FAILS(INVALID_HANDLE, k.api->cuEventRecord((void *)other, k.s));
	FAILS(INVALID_HANDLE, k.api->cuModuleUnload((void *)other));
	FAILS(INVALID_HANDLE, k.api->cuStreamDestroy(NULL));
}

/* ---- launches
 * -------------------------------------------------------------------------------------- */

static const struct launch {
	const char *kernel;
	unsigned grid[3], block[3], shared_bytes;
	enum finf_cu_result result;
} launches[] = {
	{"small", {1, 1, 1}, {1024, 1, 1}, 0, FINF_CU_SUCCESS},
	{"small", {2147483647, 65535, 65535}, {32, 16, 2}, 0, FINF_CU_SUCCESS},
	{"small", {1, 1, 1}, {1, 1, 1}, 48 << 10, FINF_CU_SUCCESS},
	{"small", {1, 1, 1}, {1025, 1, 1}, 0, FINF_CU_ERROR_INVALID_VALUE},
	{"small", {1, 1, 1}, {64, 17, 1}, 0, FINF_CU_ERROR_INVALID_VALUE},
	{"small", {1, 1, 1}, {1, 1, 65}, 0, FINF_CU_ERROR_INVALID_VALUE},
	{"small", {1, 65536, 1}, {1, 1, 1}, 0, FINF_CU_ERROR_INVALID_VALUE},
	{"small", {1, 1, 65536}, {1, 1, 1}, 0, FINF_CU_ERROR_INVALID_VALUE},
	{"small", {0, 1, 1}, {1, 1, 1}, 0, FINF_CU_ERROR_INVALID_VALUE},
	{"small", {1, 1, 1}, {1, 1, 1}, (48 << 10) + 1, FINF_CU_ERROR_INVALID_VALUE},
	{"shared", {1, 1, 1}, {1, 1, 1}, 28 << 10, FINF_CU_SUCCESS},
	{"shared", {1, 1, 1}, {1, 1, 1}, (28 << 10) + 1, FINF_CU_ERROR_INVALID_VALUE},
	{"wide", {1, 1, 1}, {1, 1, 1}, 0, FINF_CU_ERROR_INVALID_VALUE},
};

static void launches_beyond_the_limits(void)
{
	static char param[8192];
	void *params[] = {param};

	for (size_t i = 0; i < FINF_ARRAY_LEN(launches); i++) {
		const struct launch *l = &launches[i];
		struct finf_cu_function *function;

		CU(k.api->cuModuleGetFunction(&function, k.module, l->kernel));
		ck_assert_msg(k.api->cuLaunchKernel(function, l->grid[0], l->grid[1], l->grid[2],
						    l->block[0], l->block[1], l->block[2],
						    l->shared_bytes, k.s, params,
						    NULL) == l->result,
			      "launch %zu", i);
	}
}

static void shared_memory_needs_opting_in(void)
{
	struct finf_cu_function *function;
	uint64_t param = 0;
	void *params[] = {&param};

	CU(k.api->cuModuleGetFunction(&function, k.module, "small"));
	FAILS(INVALID_VALUE,
	      k.api->cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 64 << 10, k.s, params, NULL));
	CU(k.api->cuFuncSetAttribute(function, FINF_CU_FUNC_MAX_DYNAMIC_SHARED, 64 << 10));
	CU(k.api->cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 64 << 10, k.s, params, NULL));
	FAILS(INVALID_VALUE,
	      k.api->cuFuncSetAttribute(function, FINF_CU_FUNC_MAX_DYNAMIC_SHARED, (64 << 10) + 1));
}

static void code_of_another_driver(void)
{
	struct finf_cu_module *module;

	FAILS(INVALID_IMAGE, k.api->cuModuleLoadDataEx(&module, ".version 7.2", 0, NULL, NULL));
}

/* ---- all of them
 * ------------------------------------------------------------------------------------ */

static const struct mistake {
	const char *name;
	void (*make)(void);
	bool races; /* in memory as well: the thread sanitizer would stop it */
} mistakes[] = {
#define MISTAKE(name) {#name, name, false}
#define RACE(name)    {#name, name, true}
	RACE(read_without_event),
	RACE(event_recorded_too_early),
	RACE(staging_reused_too_early),
	MISTAKE(host_reads_before_it_waited),
	MISTAKE(copy_from_unregistered_memory),
	MISTAKE(copy_across_registrations),
	MISTAKE(copy_past_an_allocation),
	MISTAKE(unregister_under_a_copy),
	MISTAKE(registering_twice),
	MISTAKE(freeing_twice),
	MISTAKE(wrong_granularity),
	MISTAKE(vmm_mistakes),
	MISTAKE(unmap_under_queued_work),
	MISTAKE(unjoined_fork),
	MISTAKE(legacy_stream_during_capture),
	MISTAKE(allocation_during_capture),
	MISTAKE(relaxed_capture_allows_allocation),
	MISTAKE(synchronising_during_capture),
	MISTAKE(capture_waits_for_other_work),
	MISTAKE(pageable_copy_during_capture),
	MISTAKE(two_captures_merge),
	MISTAKE(capture_ends_elsewhere),
	MISTAKE(no_context_on_a_new_thread),
	MISTAKE(entering_makes_a_thread_useful),
	MISTAKE(elapsed_time_without_timing),
	MISTAKE(host_function_calls_the_driver),
	MISTAKE(foreign_handles),
	MISTAKE(launches_beyond_the_limits),
	MISTAKE(shared_memory_needs_opting_in),
	MISTAKE(code_of_another_driver),
#undef MISTAKE
#undef RACE
};

START_TEST(mistakes_are_refused)
{
#ifdef __SANITIZE_THREAD__
	if (mistakes[_i].races) {
		skip_test("tsan", mistakes[_i].name);
		return;
	}
#endif
	setup();
	mistakes[_i].make();
	ck_assert_msg(!k.f.violations(NULL), "%s recorded something else", mistakes[_i].name);
	teardown();
}
END_TEST

/* One release too many, and a handle that outlives its context. */
START_TEST(unbalanced_release)
{
	struct fakedriver f = fakedriver_start();
	const struct finf_cuda_api *api = f.api;
	unsigned long long at;

	CU(api->cuDevicePrimaryCtxRelease(0));
	FAILS(CONTEXT_IS_DESTROYED, api->cuMemAlloc(&at, 4096));
	FAILS(INVALID_CONTEXT, api->cuDevicePrimaryCtxRelease(0));
	finf_cuda_leave(f.cuda);
	finf_cuda_close(f.cuda); /* one more, refused as well */
	ck_assert_uint_eq(f.violations(NULL), 0);
}
END_TEST

START_TEST(memory_left_behind_is_recorded)
{
	struct fakedriver f = fakedriver_start();
	unsigned long long at;
	const char *last;

	CU(f.api->cuMemAlloc(&at, 4096));
	finf_cuda_leave(f.cuda);
	finf_cuda_close(f.cuda);
	ck_assert_uint_eq(f.violations(&last), 1);
	ck_assert_ptr_nonnull(strstr(last, "left behind"));
}
END_TEST

static sigjmp_buf faulted;

static void on_fault(int signal)
{
	siglongjmp(faulted, signal);
}

/* True when the CPU may not read there. */
static bool faults(const volatile uint8_t *at)
{
	struct sigaction action = {.sa_handler = on_fault}, old;
	bool fault = true;

	sigaction(SIGSEGV, &action, &old);
	if (!sigsetjmp(faulted, 1)) {
		(void)*at;
		fault = false;
	}
	sigaction(SIGSEGV, &old, NULL);
	return fault;
}

/* Where concurrentManagedAccess is 0 the CPU has it only while the device is idle. */
START_TEST(managed_memory_while_work_is_queued)
{
	struct finf_cu_stream *stream;
	struct finf_cuda_info info;
	unsigned long long at, own;
	const uint8_t *host;
	struct fakedriver f;

	ck_assert_int_eq(setenv("FAKECUDA_CONCURRENT", "0", 1), 0);
	f = fakedriver_start();
	info = *finf_cuda_info(f.cuda);
	ck_assert(info.managed && !info.concurrent_managed);
	CU(f.api->cuStreamCreateWithPriority(&stream, FINF_CU_STREAM_NON_BLOCKING, 0));
	CU(f.api->cuMemAlloc(&own, 4096));
	CU(f.api->cuMemAllocManaged(&at, 4096, FINF_CU_ATTACH_GLOBAL));
	host = (const uint8_t *)(uintptr_t)at;
	ck_assert(!faults(host));
	CU(f.api->cuMemsetD8Async(at, 0x44, 4096, stream));
	ck_assert(faults(host)); /* until the host has waited, finished or not */
	CU(f.api->cuStreamSynchronize(stream));
	ck_assert(!faults(host));
	ck_assert_uint_eq(host[4095], 0x44);
	CU(f.api->cuMemsetD8Async(own, 0, 4096, stream)); /* any work will do */
	ck_assert(faults(host));
	CU(f.api->cuCtxSynchronize());
	ck_assert(!faults(host));
	FAILS(INVALID_DEVICE, f.api->cuMemPrefetchAsync(at, 4096, 0, stream));
	CU(f.api->cuMemFree(at));
	CU(f.api->cuMemFree(own));
	fakedriver_stop(&f);
}
END_TEST

START_TEST(freed_memory_cannot_be_touched)
{
	struct fakedriver f = fakedriver_start();
	unsigned long long at;

	CU(f.api->cuMemAlloc(&at, 4096));
	ck_assert(!faults((const uint8_t *)(uintptr_t)at));
	CU(f.api->cuMemFree(at));
	ck_assert(faults((const uint8_t *)(uintptr_t)at));
	fakedriver_stop(&f);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("fakecuda_strict");
	TCase *tc = tcase_create("mistakes");

	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, mistakes_are_refused, 0, FINF_ARRAY_LEN(mistakes));
	tcase_add_test(tc, unbalanced_release);
	tcase_add_test(tc, memory_left_behind_is_recorded);
	tcase_add_test(tc, managed_memory_while_work_is_queued);
	tcase_add_test(tc, freed_memory_cannot_be_touched);
	suite_add_tcase(suite, tc);
	return suite;
}
