/* SPDX-License-Identifier: MIT */
/*
 * preload: what the program has allocated. Every allocation is in a hash table
 * by address, for its size; large ones are memory of ours behind reserved addresses.
 */
#include <pthread.h>
#include <stdlib.h>

#include "preload/preload.h"

#define BUCKETS	     4096
#define CONTEXTS_MAX 64

_Atomic uint64_t fip_used_bytes, fip_pausable_bytes, fip_quota_bytes;
_Atomic bool fip_no_vmm;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all below */
static struct fip_block *buckets[BUCKETS];
static void *contexts[CONTEXTS_MAX];
static unsigned n_contexts;
static struct {
	enum { UNTRIED = 0, WORKS, FAILS } vmm;
	size_t granularity;
} devices[FIP_DEVICES_MAX];

/* ---- counting ------------------------------------------------------------------------ */

bool fip_take(uint64_t bytes)
{
	uint64_t quota = atomic_load(&fip_quota_bytes), used = atomic_load(&fip_used_bytes);

	do {
		if (quota && (bytes > quota || used > quota - bytes))
			return false;
	} while (!atomic_compare_exchange_weak(&fip_used_bytes, &used, used + bytes));
	return true;
}

void fip_give(uint64_t bytes)
{
	atomic_fetch_sub(&fip_used_bytes, bytes);
}

/* ---- the table ------------------------------------------------------------------------- */

static struct fip_block **bucket_of(uint64_t at)
{
	return &buckets[((at >> 9) * 0x9e3779b97f4a7c15u) >> 52];
}

static void add(struct fip_block *block)
{
	struct fip_block **bucket = bucket_of(block->at);

	pthread_mutex_lock(&lock);
	block->next = *bucket;
	*bucket = block;
	pthread_mutex_unlock(&lock);
}

static struct fip_block *take_out(uint64_t at)
{
	struct fip_block **link, *block;

	pthread_mutex_lock(&lock);
	for (link = bucket_of(at); (block = *link) && block->at != at; link = &block->next)
		;
	if (block)
		*link = block->next;
	pthread_mutex_unlock(&lock);
	return block;
}

void fip_memory_each(void (*each)(void *ctx, struct fip_block *block), void *ctx)
{
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct fip_block *b = buckets[i]; b; b = b->next)
			each(ctx, b);
}

static void note_context(void *ctx)
{
	unsigned i = 0;

	pthread_mutex_lock(&lock);
	while (i < n_contexts && contexts[i] != ctx)
		i++;
	if (i == n_contexts && n_contexts < CONTEXTS_MAX)
		contexts[n_contexts++] = ctx;
	pthread_mutex_unlock(&lock);
}

static void forget_context(const void *ctx)
{
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < n_contexts; i++)
		if (contexts[i] == ctx)
			contexts[i--] = contexts[--n_contexts];
	pthread_mutex_unlock(&lock);
}

unsigned fip_contexts(void **ret, unsigned max)
{
	unsigned n;

	pthread_mutex_lock(&lock);
	for (n = 0; n < n_contexts && n < max; n++)
		ret[n] = contexts[n];
	pthread_mutex_unlock(&lock);
	return n;
}

/* ---- memory behind addresses -------------------------------------------------------------- */

static struct fip_allocation kind_of(int device)
{
	return (struct fip_allocation){
		.type = FIP_PINNED,
		.handle_types = FIP_POSIX_HANDLE,
		.location = {FIP_DEVICE, device},
	};
}

unsigned fip_block_create(struct fip_block *block)
{
	struct fip_allocation kind = kind_of(block->device);

	return fip_driver.cuMemCreate(&block->handle, block->bytes, &kind, 0);
}

unsigned fip_block_map(struct fip_block *block)
{
	struct fip_access access = {{FIP_DEVICE, block->device}, FIP_READ_WRITE};
	unsigned result = fip_driver.cuMemMap(block->at, block->bytes, 0, block->handle, 0);

	if (result)
		return result;
	result = fip_driver.cuMemSetAccess(block->at, block->bytes, &access, 1);
	if (result)
		fip_driver.cuMemUnmap(block->at, block->bytes);
	return result;
}

unsigned fip_block_unmap(struct fip_block *block)
{
	unsigned result = fip_driver.cuMemUnmap(block->at, block->bytes);

	if (!result)
		fip_driver.cuMemRelease(block->handle);
	return result;
}

/* Addresses, memory and access; all of it or nothing. */
static bool block_open(struct fip_block *block, size_t granularity)
{
	if (fip_driver.cuMemAddressReserve(&block->at, block->bytes, granularity, 0, 0))
		return false;
	if (fip_block_create(block))
		goto free_addresses;
	if (!fip_block_map(block))
		return true;
	fip_driver.cuMemRelease(block->handle);
free_addresses:
	fip_driver.cuMemAddressFree(block->at, block->bytes);
	return false;
}

static void block_close(struct fip_block *block)
{
	if (!fip_block_unmap(block))
		fip_driver.cuMemAddressFree(block->at, block->bytes);
}

static bool has_vmm(void)
{
	return fip_driver.cuMemAddressReserve && fip_driver.cuMemAddressFree &&
	       fip_driver.cuMemCreate && fip_driver.cuMemRelease && fip_driver.cuMemMap &&
	       fip_driver.cuMemUnmap && fip_driver.cuMemSetAccess && fip_driver.cuCtxSetCurrent &&
	       fip_driver.cuMemGetAllocationGranularity && fip_driver.cuCtxSynchronize &&
	       FIP_REAL(cuMemcpyHtoD_v2) && FIP_REAL(cuMemcpyDtoH_v2);
}

/* What a device claims is not enough: write to such memory and read it back. */
static bool try_device(int device)
{
	struct fip_allocation kind = kind_of(device);
	struct fip_block block = {.device = device};
	uint32_t out = 0x5ca1ab1e, in = 0;
	size_t granularity = 0;
	bool works;

	if (!has_vmm() ||
	    fip_driver.cuMemGetAllocationGranularity(&granularity, &kind, 0) || !granularity)
		return false;
	block.bytes = granularity;
	if (!block_open(&block, granularity))
		return false;
	works = !FIP_REAL(cuMemcpyHtoD_v2)(block.at, &out, sizeof(out)) &&
		!FIP_REAL(cuMemcpyDtoH_v2)(&in, block.at, sizeof(in)) && in == out;
	block_close(&block);
	devices[device].granularity = granularity;
	return works;
}

/* A device too full for the trial is tried again at the next allocation. */
static bool device_works(int device)
{
	bool works;

	pthread_mutex_lock(&lock);
	if (devices[device].vmm != WORKS && try_device(device))
		devices[device].vmm = WORKS;
	works = devices[device].vmm == WORKS;
	pthread_mutex_unlock(&lock);
	if (!works)
		atomic_store(&fip_no_vmm, true);
	return works;
}

bool fip_memory_new(uint64_t *ret, size_t bytes)
{
	struct fip_block *block;
	void *ctx = NULL;
	int device = -1;
	size_t granularity;

	if (!fip_driver.cuCtxGetCurrent || !fip_driver.cuCtxGetDevice ||
	    fip_driver.cuCtxGetCurrent(&ctx) || !ctx || fip_driver.cuCtxGetDevice(&device) ||
	    device < 0 || device >= FIP_DEVICES_MAX || !device_works(device))
		return false;
	granularity = devices[device].granularity;
	if (bytes > SIZE_MAX - granularity)
		return false;
	block = malloc(sizeof(*block));
	if (!block)
		return false;
	*block = (struct fip_block){.ctx = ctx, .device = device, .mapped = true,
				    .bytes = (bytes + granularity - 1) / granularity * granularity};
	if (!fip_take(block->bytes))
		goto free_block;
	if (!block_open(block, granularity))
		goto give;
	add(block);
	note_context(ctx);
	atomic_fetch_add(&fip_pausable_bytes, block->bytes);
	*ret = block->at;
	return true;
give:
	fip_give(block->bytes);
free_block:
	free(block);
	return false;
}

void fip_memory_note(uint64_t at, size_t bytes)
{
	struct fip_block *block = malloc(sizeof(*block));
	void *ctx = NULL;

	if (!block)
		return; /* counted until the program ends: the quota stays hard */
	if (fip_driver.cuCtxGetCurrent && !fip_driver.cuCtxGetCurrent(&ctx) && ctx)
		note_context(ctx);
	*block = (struct fip_block){.at = at, .bytes = bytes, .ctx = ctx};
	add(block);
}

/* Freeing waits for work that uses the memory, as the driver's own call does. */
static void close_block(struct fip_block *block)
{
	atomic_fetch_sub(&fip_pausable_bytes, block->bytes);
	fip_driver.cuCtxSynchronize();
	block_close(block);
}

bool fip_memory_free(uint64_t at, uint64_t *ret_bytes)
{
	struct fip_block *block = take_out(at);
	bool ours = block && block->mapped;

	*ret_bytes = block ? block->bytes : 0;
	if (ours)
		close_block(block);
	free(block);
	return ours;
}

void fip_memory_forget(const void *ctx)
{
	struct fip_block *gone = NULL, *block;
	void *before = NULL;
	bool known = fip_driver.cuCtxGetCurrent && fip_driver.cuCtxSetCurrent;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct fip_block **link = &buckets[i]; (block = *link);) {
			if (block->ctx != ctx) {
				link = &block->next;
				continue;
			}
			*link = block->next;
			block->next = gone;
			gone = block;
		}
	pthread_mutex_unlock(&lock);
	forget_context(ctx);
	known = known && gone && !fip_driver.cuCtxGetCurrent(&before) &&
		!fip_driver.cuCtxSetCurrent((void *)(uintptr_t)ctx);
	while ((block = gone)) {
		gone = block->next;
		fip_give(block->bytes);
		if (block->mapped)
			close_block(block);
		free(block);
	}
	if (known)
		fip_driver.cuCtxSetCurrent(before);
}
