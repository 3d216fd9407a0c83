/* SPDX-License-Identifier: MIT */
/*
 * fakecuda: memory. Device addresses are addresses of this process, so that
 * kernels compiled for the CPU use them. Fresh memory is 0xff: not a number as
 * a float, far out of range as an index. Freed memory cannot be touched.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/fakecuda/fake.h"

#define N_BURIED 64

/* Addresses freed last: kept unusable, so that a late use is a fault. */
static struct {
	void *at;
	size_t bytes;
} buried[N_BURIED];
static unsigned n_buried;

void *memory_pointer(uint64_t at)
{
	return (void *)(uintptr_t)at;
}

static void bury(uint64_t at, size_t bytes)
{
	unsigned i = n_buried++ % N_BURIED;

	if (buried[i].at)
		munmap(buried[i].at, buried[i].bytes);
	mmap(memory_pointer(at), bytes, PROT_NONE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	buried[i].at = memory_pointer(at);
	buried[i].bytes = bytes;
}

/* ---- what is where --------------------------------------------------------- */

struct memory *memory_find(uint64_t at, size_t bytes)
{
	struct memory *m = fake.memory;

	while (m && !(at >= m->at && bytes <= m->bytes && at - m->at <= m->bytes - bytes))
		m = m->next;
	return m;
}

static bool overlaps(uint64_t a, size_t a_bytes, uint64_t b, size_t b_bytes)
{
	return a < b + b_bytes && b < a + a_bytes;
}

bool memory_overlaps(uint64_t at, size_t bytes, enum memory_kind kind)
{
	for (struct memory *m = fake.memory; m; m = m->next)
		if (m->kind == kind && overlaps(at, bytes, m->at, m->bytes))
			return true;
	return false;
}

/* Work may span mappings that lie side by side, but not allocations that do. */
bool device_reachable(uint64_t at, size_t bytes)
{
	while (bytes) {
		struct memory *m = memory_find(at, 1);
		size_t here;

		if (!m || (m->kind == MAPPED && !m->accessible))
			return false;
		here = m->bytes - (size_t)(at - m->at);
		if (here >= bytes)
			return true;
		if (m->kind != MAPPED)
			return false;
		at += here;
		bytes -= here;
	}
	return true;
}

void *memory_alias(uint64_t at)
{
	struct memory *m = memory_find(at, 1);

	return memory_pointer(m && m->alias ? m->alias + (at - m->at) : at);
}

void memory_protect(struct finf_cu_ctx *ctx, bool closed)
{
	if (fake.concurrent || (closed && ctx->running))
		return;
	for (struct memory *m = fake.memory; m; m = m->next)
		if (m->kind == MANAGED_MEMORY && m->ctx == ctx)
			mprotect(memory_pointer(m->at), m->bytes,
				 closed ? PROT_NONE : PROT_READ | PROT_WRITE);
}

struct memory *memory_add(enum memory_kind kind, uint64_t at, size_t bytes)
{
	struct memory *m = fake_alloc(sizeof(*m));

	m->kind = kind;
	m->ctx = fake_current();
	m->at = at;
	m->bytes = bytes;
	m->next = fake.memory;
	fake.memory = m;
	return m;
}

void memory_remove(struct memory *gone)
{
	struct memory **at = &fake.memory;

	while (*at != gone)
		at = &(*at)->next;
	*at = gone->next;
	free(gone);
}

struct memory *memory_at(uint64_t at, enum memory_kind kind)
{
	struct memory *m = fake.memory;

	while (m && (m->at != at || m->kind != kind))
		m = m->next;
	return m;
}

size_t memory_round_up(size_t bytes, size_t to)
{
	return (bytes + to - 1) / to * to;
}

/* ---- plain and managed ----------------------------------------------------- */

enum finf_cu_result cuMemGetInfo_v2(size_t *ret_free, size_t *ret_total)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_CONTEXT);

	if (result)
		return result;
	*ret_free = memory_left(fake_current()->device);
	*ret_total = fake.memory_bytes;
	return fake_leave(FINF_CU_SUCCESS);
}

static void memory_free(struct memory *m)
{
	switch (m->kind) {
	case DEVICE_MEMORY:
	case MANAGED_MEMORY:
		memory_give(m->ctx->device, m->bytes);
		if (m->alias)
			munmap(memory_pointer(m->alias), m->bytes);
		bury(m->at, m->bytes);
		break;
	case HOST_OWN:
		bury(m->at, m->bytes);
		break;
	case HOST_REGISTERED:
	case MAPPED:
		break;
	}
	memory_remove(m);
}

/* Mappings do not belong to a context and stay. After a fault nothing could be freed. */
void memory_destroy(struct finf_cu_ctx *ctx)
{
	struct memory *m = fake.memory;

	while (m) {
		struct memory *next = m->next;

		if (m->ctx == ctx && m->kind != MAPPED) {
			if (!ctx->sticky)
				fake_violate("context destroyed: %zu bytes at %#llx were left behind",
					     m->bytes, (unsigned long long)m->at);
			memory_free(m);
		}
		m = next;
	}
}

enum finf_cu_result cuMemAlloc_v2(unsigned long long *ret, size_t bytes)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_CONTEXT | UNSAFE);
	void *at;

	if (result)
		return result;
	if (!bytes)
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	if (bytes > fake.memory_bytes)
		return fake_leave(FINF_CU_ERROR_OUT_OF_MEMORY);
	bytes = memory_round_up(bytes, 4096);
	if (!memory_take(fake_current()->device, bytes))
		return fake_leave(FINF_CU_ERROR_OUT_OF_MEMORY);
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED) {
		memory_give(fake_current()->device, bytes);
		return fake_leave(FINF_CU_ERROR_OUT_OF_MEMORY);
	}
	memset(at, POISON, bytes);
	*ret = memory_add(DEVICE_MEMORY, (uintptr_t)at, bytes)->at;
	return fake_leave(FINF_CU_SUCCESS);
}

/* The host's addresses may be closed; the alias is how the fake itself copies. */
static bool map_twice(size_t bytes, void **at, void **alias)
{
	int fd = memfd_create("fakecuda-managed", MFD_CLOEXEC);

	*at = *alias = MAP_FAILED;
	if (fd >= 0 && !ftruncate(fd, (off_t)bytes)) {
		*at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		*alias = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	}
	if (fd >= 0)
		close(fd);
	if (*at != MAP_FAILED && *alias == MAP_FAILED)
		munmap(*at, bytes);
	return *at != MAP_FAILED && *alias != MAP_FAILED;
}

enum finf_cu_result cuMemAllocManaged(unsigned long long *ret, size_t bytes, unsigned flags)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_CONTEXT | UNSAFE);
	struct finf_cu_ctx *ctx = fake_current();
	void *at, *alias;
	struct memory *m;

	if (result)
		return result;
	if (!bytes || flags != FINF_CU_ATTACH_GLOBAL)
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	if (bytes > fake.memory_bytes)
		return fake_leave(FINF_CU_ERROR_OUT_OF_MEMORY);
	bytes = memory_round_up(bytes, 4096);
	if (!memory_take(ctx->device, bytes))
		return fake_leave(FINF_CU_ERROR_OUT_OF_MEMORY);
	if (!map_twice(bytes, &at, &alias)) {
		memory_give(ctx->device, bytes);
		return fake_leave(FINF_CU_ERROR_OUT_OF_MEMORY);
	}
	memset(alias, POISON, bytes);
	m = memory_add(MANAGED_MEMORY, (uintptr_t)at, bytes);
	m->alias = (uintptr_t)alias;
	memory_protect(ctx, ctx->pending != 0);
	*ret = m->at;
	return fake_leave(FINF_CU_SUCCESS);
}

enum finf_cu_result cuMemFree_v2(unsigned long long at)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_CONTEXT | UNSAFE);
	struct memory *m;

	if (result)
		return result;
	m = memory_at(at, DEVICE_MEMORY);
	if (!m)
		m = memory_at(at, MANAGED_MEMORY);
	if (!m)
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	context_drain(fake_current()); /* a driver waits here as well */
	memory_free(m);
	return fake_leave(FINF_CU_SUCCESS);
}

/* Explicit moves and advice need a device that shares managed memory page by page. */
static enum finf_cu_result check_managed(uint64_t at, size_t bytes, int device)
{
	struct memory *m = bytes ? memory_find(at, bytes) : NULL;

	if (!m || m->kind != MANAGED_MEMORY)
		return FINF_CU_ERROR_INVALID_VALUE;
	if (device != FINF_CU_DEVICE_CPU &&
	    (device < 0 || (unsigned)device >= fake.n_devices || !fake.concurrent))
		return FINF_CU_ERROR_INVALID_DEVICE;
	return FINF_CU_SUCCESS;
}

enum finf_cu_result cuMemAdvise(unsigned long long at, size_t bytes, enum finf_cu_advise advice,
				int device)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_CONTEXT);

	if (result)
		return result;
	if (advice < FINF_CU_ADVISE_READ_MOSTLY || advice > FINF_CU_ADVISE_ACCESSED_BY + 1)
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	return fake_leave(check_managed(at, bytes, device));
}

enum finf_cu_result cuMemPrefetchAsync(unsigned long long at, size_t bytes, int device,
				       struct finf_cu_stream *stream)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_CONTEXT);
	struct work work = {.kind = PREFETCH, .to = at, .bytes = bytes};

	if (result)
		return result;
	stream = stream_find(stream);
	result = stream ? check_managed(at, bytes, device) : FINF_CU_ERROR_INVALID_HANDLE;
	return fake_leave(result ? result : stream_do(stream, work));
}

/* ---- the host's memory ----------------------------------------------------- */

static bool host_overlaps(uint64_t at, size_t bytes)
{
	return memory_overlaps(at, bytes, HOST_OWN) || memory_overlaps(at, bytes, HOST_REGISTERED);
}

static bool is_mapped(uint64_t at, size_t bytes)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), from = at / page * page;
	size_t n = (size_t)((at + bytes - from + page - 1) / page);
	unsigned char *seen = fake_alloc(n);
	bool ok = !mincore(memory_pointer(from), (size_t)(at + bytes - from), seen);

	free(seen);
	return ok;
}

enum finf_cu_result cuMemHostRegister_v2(void *p, size_t bytes, unsigned flags)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_CONTEXT | UNSAFE);
	uint64_t at = (uintptr_t)p;

	if (result)
		return result;
	if (!p || !bytes || flags > 3 || !is_mapped(at, bytes))
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	if (host_overlaps(at, bytes))
		return fake_leave(FINF_CU_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
	memory_add(HOST_REGISTERED, at, bytes);
	return fake_leave(FINF_CU_SUCCESS);
}

enum finf_cu_result cuMemHostUnregister(void *p)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_CONTEXT | UNSAFE);
	struct memory *m;

	if (result)
		return result;
	m = memory_at((uintptr_t)p, HOST_REGISTERED);
	if (!m)
		return fake_leave(FINF_CU_ERROR_HOST_MEMORY_NOT_REGISTERED);
	if (work_pending_on(fake_current(), m->at, m->bytes))
		fake_violate("unregistered %p while work that uses it is queued", p);
	context_drain(fake_current());
	memory_free(m);
	return fake_leave(FINF_CU_SUCCESS);
}

enum finf_cu_result cuMemHostGetDevicePointer_v2(unsigned long long *ret, void *p, unsigned flags)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_CONTEXT);

	if (result)
		return result;
	if (flags || !host_overlaps((uintptr_t)p, 1))
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	*ret = (uintptr_t)p;
	return fake_leave(FINF_CU_SUCCESS);
}

enum finf_cu_result cuMemHostAlloc(void **ret, size_t bytes, unsigned flags)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_CONTEXT | UNSAFE);
	void *at;

	if (result)
		return result;
	if (!bytes || flags > 7)
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	bytes = memory_round_up(bytes, 4096);
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return fake_leave(FINF_CU_ERROR_OUT_OF_MEMORY);
	memset(at, POISON, bytes);
	memory_add(HOST_OWN, (uintptr_t)at, bytes);
	*ret = at;
	return fake_leave(FINF_CU_SUCCESS);
}

enum finf_cu_result cuMemFreeHost(void *p)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_CONTEXT | UNSAFE);
	struct memory *m;

	if (result)
		return result;
	m = memory_at((uintptr_t)p, HOST_OWN);
	if (!m)
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	context_drain(fake_current());
	memory_free(m);
	return fake_leave(FINF_CU_SUCCESS);
}

/* ---- copies ---------------------------------------------------------------- */

/* From or to memory that is not pinned a driver copies before it returns. */
static enum finf_cu_result copy_pageable(struct finf_cu_stream *stream, struct work work)
{
	enum finf_cu_result result;

	if (stream->capture) {
		capture_break(stream->ctx);
		return FINF_CU_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	}
	fake_violate("copy of %zu bytes of memory that is not registered: not asynchronous",
		     work.bytes);
	result = stream_do(stream, work);
	if (!result) {
		mark_wait(stream->ctx, stream->tail);
		result = stream->ctx->sticky;
	}
	return result;
}

static enum finf_cu_result copy(struct finf_cu_stream *stream, struct work work, uint64_t host,
				uint64_t device)
{
	struct memory *m = memory_find(host, work.bytes);

	if (!host || !device_reachable(device, work.bytes))
		return FINF_CU_ERROR_INVALID_VALUE;
	if (!m &&
	    (host_overlaps(host, work.bytes) || memory_overlaps(host, work.bytes, MANAGED_MEMORY)))
		return FINF_CU_ERROR_INVALID_VALUE; /* over the border of a registration */
	if (!m)
		return copy_pageable(stream, work);
	/* Who reads it too early shall not find what is to come by chance. */
	if (work.kind == COPY_OUT && !stream->capture &&
	    (m->kind == HOST_OWN || m->kind == HOST_REGISTERED) &&
	    !work_pending_on(stream->ctx, host, work.bytes))
		memset(memory_pointer(host), POISON, work.bytes);
	return stream_do(stream, work);
}

static enum finf_cu_result enter_copy(const char *name, struct finf_cu_stream **stream)
{
	enum finf_cu_result result = fake_enter(name, NEED_CONTEXT);

	if (result)
		return result;
	*stream = stream_find(*stream);
	return *stream ? FINF_CU_SUCCESS : fake_leave(FINF_CU_ERROR_INVALID_HANDLE);
}

enum finf_cu_result cuMemcpyHtoDAsync_v2(unsigned long long to, const void *from, size_t bytes,
					 struct finf_cu_stream *stream)
{
	struct work work = {.kind = COPY_IN, .to = to, .from = (uintptr_t)from, .bytes = bytes};
	enum finf_cu_result result = enter_copy(__func__, &stream);

	if (result)
		return result;
	return fake_leave(bytes ? copy(stream, work, work.from, to) : FINF_CU_SUCCESS);
}

enum finf_cu_result cuMemcpyDtoHAsync_v2(void *to, unsigned long long from, size_t bytes,
					 struct finf_cu_stream *stream)
{
	struct work work = {.kind = COPY_OUT, .to = (uintptr_t)to, .from = from, .bytes = bytes};
	enum finf_cu_result result = enter_copy(__func__, &stream);

	if (result)
		return result;
	return fake_leave(bytes ? copy(stream, work, work.to, from) : FINF_CU_SUCCESS);
}

enum finf_cu_result cuMemcpyDtoDAsync_v2(unsigned long long to, unsigned long long from,
					 size_t bytes, struct finf_cu_stream *stream)
{
	struct work work = {.kind = COPY_DEVICE, .to = to, .from = from, .bytes = bytes};
	enum finf_cu_result result = enter_copy(__func__, &stream);

	if (result)
		return result;
	if (!device_reachable(to, bytes) || !device_reachable(from, bytes))
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	if (bytes && overlaps(to, bytes, from, bytes))
		fake_violate("copy inside the device onto itself: the result is not defined");
	return fake_leave(bytes ? stream_do(stream, work) : FINF_CU_SUCCESS);
}

static enum finf_cu_result set(const char *name, struct work work, struct finf_cu_stream *stream)
{
	enum finf_cu_result result = enter_copy(name, &stream);

	if (result)
		return result;
	if (work.to % work.value_bytes || !device_reachable(work.to, work.bytes))
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	return fake_leave(work.bytes ? stream_do(stream, work) : FINF_CU_SUCCESS);
}

enum finf_cu_result cuMemsetD8Async(unsigned long long to, unsigned char value, size_t n,
				    struct finf_cu_stream *stream)
{
	return set(
		__func__,
		(struct work){.kind = FILL, .to = to, .bytes = n, .value = value, .value_bytes = 1},
		stream);
}

enum finf_cu_result cuMemsetD32Async(unsigned long long to, unsigned value, size_t n,
				     struct finf_cu_stream *stream)
{
	return set(
		__func__,
		(struct work){
			.kind = FILL, .to = to, .bytes = n * 4, .value = value, .value_bytes = 4},
		stream);
}
