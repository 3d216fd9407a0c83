/* SPDX-License-Identifier: MIT */
/* fakecuda: virtual memory management: reservations, physical memory, mappings. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/fakecuda/fake.h"

/* Physical memory; its handle is its address. */
struct physical {
	struct physical *next;
	size_t bytes;
	unsigned device, mapped;
	int fd;
	bool released;
};

struct reservation {
	struct reservation *next;
	uint64_t at;
	size_t bytes;
};

static struct physical *physicals;
static struct reservation *reservations;

static bool kind_ok(const struct finf_cu_allocation *kind)
{
	return kind && kind->type == FINF_CU_ALLOCATION_PINNED &&
	       kind->location.type == FINF_CU_LOCATION_DEVICE && kind->location.id >= 0 &&
	       (unsigned)kind->location.id < fake.n_devices &&
	       (unsigned)kind->handle_types <= FINF_CU_HANDLE_POSIX;
}

static bool whole(uint64_t n)
{
	return n && n % GRANULARITY == 0;
}

enum finf_cu_result cuMemGetAllocationGranularity(size_t *ret,
						  const struct finf_cu_allocation *kind,
						  enum finf_cu_granularity option)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_INIT);

	if (result)
		return result;
	if (!kind_ok(kind) || option > FINF_CU_GRANULARITY_RECOMMENDED)
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	*ret = GRANULARITY;
	return fake_leave(FINF_CU_SUCCESS);
}

/* An aligned range out of a larger one; what lies beside it goes back. */
static uint64_t reserve(size_t bytes, size_t align)
{
	void *got = mmap(NULL, bytes + align, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t from = (uintptr_t)got, at;

	if (got == MAP_FAILED)
		return 0;
	at = memory_round_up(from, align);
	if (at > from)
		munmap(got, at - from);
	if (from + align > at)
		munmap(memory_pointer(at + bytes), from + align - at);
	return at;
}

enum finf_cu_result cuMemAddressReserve(unsigned long long *ret, size_t bytes, size_t align,
					unsigned long long wish, unsigned long long flags)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_INIT);
	struct reservation *r;
	uint64_t at;

	(void)wish; /* a wish, no more */
	if (result)
		return result;
	if (!whole(bytes) || flags || (align & (align - 1)))
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	at = reserve(bytes, align > GRANULARITY ? align : GRANULARITY);
	if (!at)
		return fake_leave(FINF_CU_ERROR_OUT_OF_MEMORY);
	r = fake_alloc(sizeof(*r));
	*r = (struct reservation){reservations, at, bytes};
	reservations = r;
	*ret = at;
	return fake_leave(FINF_CU_SUCCESS);
}

enum finf_cu_result cuMemAddressFree(unsigned long long at, size_t bytes)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_INIT);
	struct reservation **r = &reservations, *gone;

	if (result)
		return result;
	while (*r && (*r)->at != at)
		r = &(*r)->next;
	if (!*r || (*r)->bytes != bytes || memory_overlaps(at, bytes, MAPPED))
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	gone = *r;
	*r = gone->next;
	free(gone);
	munmap(memory_pointer(at), bytes);
	return fake_leave(FINF_CU_SUCCESS);
}

static bool poison_file(int fd, size_t bytes)
{
	void *at = ftruncate(fd, (off_t)bytes)
			   ? MAP_FAILED
			   : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return false;
	memset(at, POISON, bytes);
	munmap(at, bytes);
	return true;
}

enum finf_cu_result cuMemCreate(unsigned long long *ret, size_t bytes,
				const struct finf_cu_allocation *kind, unsigned long long flags)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_INIT);
	struct physical *p;

	if (result)
		return result;
	if (!kind_ok(kind) || !whole(bytes) || flags)
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	if (!memory_take((unsigned)kind->location.id, bytes))
		return fake_leave(FINF_CU_ERROR_OUT_OF_MEMORY);
	p = fake_alloc(sizeof(*p));
	p->bytes = bytes;
	p->device = (unsigned)kind->location.id;
	p->fd = memfd_create("fakecuda", MFD_CLOEXEC);
	if (p->fd < 0 || !poison_file(p->fd, bytes)) {
		if (p->fd >= 0)
			close(p->fd);
		free(p);
		memory_give((unsigned)kind->location.id, bytes);
		return fake_leave(FINF_CU_ERROR_OUT_OF_MEMORY);
	}
	p->next = physicals;
	physicals = p;
	*ret = (uintptr_t)p;
	return fake_leave(FINF_CU_SUCCESS);
}

/* Gone when nobody has its handle and it is mapped nowhere. */
static void physical_drop(struct physical *p)
{
	struct physical **at = &physicals;

	if (!p->released || p->mapped)
		return;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	memory_give(p->device, p->bytes);
	close(p->fd);
	free(p);
}

static struct physical *physical_find(unsigned long long handle)
{
	struct physical *p = physicals;

	while (p && ((uintptr_t)p != handle || p->released))
		p = p->next;
	return p;
}

enum finf_cu_result cuMemRelease(unsigned long long handle)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_INIT);
	struct physical *p;

	if (result)
		return result;
	p = physical_find(handle);
	if (!p)
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	p->released = true;
	physical_drop(p);
	return fake_leave(FINF_CU_SUCCESS);
}

static bool is_reserved(uint64_t at, size_t bytes)
{
	for (struct reservation *r = reservations; r; r = r->next)
		if (at >= r->at && at + bytes <= r->at + r->bytes)
			return true;
	return false;
}

/* Drivers forbid these on a capturing thread; without a context there is none. */
static enum finf_cu_result enter_mapping(const char *name)
{
	enum finf_cu_result result = fake_enter(name, NEED_INIT);

	if (!result && fake_current() && fake_current()->live)
		result = capture_forbids(fake_current());
	else
		return result;
	return result ? fake_leave(result) : result;
}

enum finf_cu_result cuMemMap(unsigned long long at, size_t bytes, size_t offset,
			     unsigned long long handle, unsigned long long flags)
{
	enum finf_cu_result result = enter_mapping(__func__);
	struct physical *p;
	struct memory *m;

	if (result)
		return result;
	p = physical_find(handle);
	if (!p || offset || flags || at % GRANULARITY || bytes != p->bytes ||
	    !is_reserved(at, bytes) || memory_overlaps(at, bytes, MAPPED))
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	if (mmap(memory_pointer(at), bytes, PROT_NONE, MAP_SHARED | MAP_FIXED, p->fd, 0) ==
	    MAP_FAILED)
		return fake_leave(FINF_CU_ERROR_MAP_FAILED);
	m = memory_add(MAPPED, at, bytes);
	m->ctx = &fake.ctx[p->device];
	m->backing = p;
	p->mapped++;
	return fake_leave(FINF_CU_SUCCESS);
}

/* Is the range made of whole mappings, without a hole? */
static bool whole_mappings(uint64_t at, size_t bytes)
{
	while (bytes) {
		struct memory *m = memory_at(at, MAPPED);

		if (!m || m->bytes > bytes)
			return false;
		at += m->bytes;
		bytes -= m->bytes;
	}
	return true;
}

enum finf_cu_result cuMemUnmap(unsigned long long at, size_t bytes)
{
	enum finf_cu_result result = enter_mapping(__func__);
	struct finf_cu_ctx *ctx;

	if (result)
		return result;
	if (!whole(bytes) || !whole_mappings(at, bytes))
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	ctx = memory_at(at, MAPPED)->ctx;
	if (work_pending_on(ctx, at, bytes))
		fake_violate("unmapped %#llx while work that uses it is queued", at);
	context_drain(ctx);
	mmap(memory_pointer(at), bytes, PROT_NONE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	while (bytes) {
		struct memory *m = memory_at(at, MAPPED);

		m->backing->mapped--;
		physical_drop(m->backing);
		at += m->bytes;
		bytes -= m->bytes;
		memory_remove(m);
	}
	return fake_leave(FINF_CU_SUCCESS);
}

enum finf_cu_result cuMemSetAccess(unsigned long long at, size_t bytes,
				   const struct finf_cu_access *access, size_t n)
{
	enum finf_cu_result result = enter_mapping(__func__);
	bool open;

	if (result)
		return result;
	if (n != 1 || access->location.type != FINF_CU_LOCATION_DEVICE || !whole(bytes) ||
	    !whole_mappings(at, bytes) ||
	    access->location.id != (int)memory_at(at, MAPPED)->ctx->device ||
	    (access->flags != FINF_CU_ACCESS_NONE && access->flags != FINF_CU_ACCESS_READ_WRITE))
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	open = access->flags == FINF_CU_ACCESS_READ_WRITE;
	mprotect(memory_pointer(at), bytes, open ? PROT_READ | PROT_WRITE : PROT_NONE);
	while (bytes) {
		struct memory *m = memory_at(at, MAPPED);

		m->accessible = open;
		at += m->bytes;
		bytes -= m->bytes;
	}
	return fake_leave(FINF_CU_SUCCESS);
}
