/* SPDX-License-Identifier: MIT */
/* mem: taking and giving ranges of the pool; see mem.h. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mem/priv.h"


int finf_mem_new(struct finf_device *dev, const struct finf_pool_memory *pool,
		 struct finf_mem **ret_mem)
{
	struct finf_mem *mem = calloc(1, sizeof(*mem));

	if (!mem)
		return -ENOMEM;
	mem->dev = dev;
	mem->pool = pool;
	mem->top = pool->bytes / FINF_ARENA_ALIGN * FINF_ARENA_ALIGN;
	*ret_mem = mem;
	return 0;
}

void finf_mem_free(struct finf_mem *mem)
{
	if (!mem)
		return;
	assert(!mem->n);
	free(mem->list);
	free(mem);
}

/* The first extent at or above @offset, n when there is none. */
static uint32_t find_at_or_above(const struct finf_mem *mem, uint64_t offset)
{
	uint32_t low = 0, high = mem->n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (mem->list[mid]->offset < offset)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Is [offset, offset + bytes) free? Then it lies in the hole that is returned. */
static bool place_is_free(const struct finf_mem *mem, uint64_t offset, uint64_t bytes,
			  uint32_t *ret_hole)
{
	uint32_t hole;

	if (offset % FINF_EXTENT_ALIGN || offset > mem->top)
		return false;
	hole = find_at_or_above(mem, offset);
	if (offset < mem_hole_start(mem, hole) || offset > mem_hole_end(mem, hole) ||
	    bytes > mem_hole_end(mem, hole) - offset)
		return false;
	*ret_hole = hole;
	return true;
}

static bool best_fit(const struct finf_mem *mem, uint64_t bytes, uint32_t *ret_hole)
{
	uint64_t best = UINT64_MAX;

	for (uint32_t i = 0; i <= mem->n; i++) {
		uint64_t hole = mem_hole_bytes(mem, i);

		if (hole >= bytes && hole < best) {
			best = hole;
			*ret_hole = i;
		}
	}
	return best != UINT64_MAX;
}

int finf_mem_extent_take(struct finf_mem *mem, uint64_t bytes, uint64_t owner,
			 uint64_t prefer_offset, struct finf_extent **ret_extent)
{
	uint64_t offset = prefer_offset;
	struct finf_extent *extent;
	uint32_t at;

	if (!bytes)
		return -EINVAL;
	if (bytes > mem->top)
		return -ENOBUFS;
	bytes = finf_align_up(bytes, FINF_EXTENT_ALIGN);
	if (!place_is_free(mem, offset, bytes, &at)) {
		if (!best_fit(mem, bytes, &at))
			return -ENOBUFS;
		offset = mem_hole_start(mem, at);
	}

	if (finf_grow(&mem->list, &mem->cap, mem->n, sizeof(*mem->list)) < 0)
		return -ENOMEM;
	extent = calloc(1, sizeof(*extent));
	if (!extent)
		return -ENOMEM;
	extent->offset = offset;
	extent->bytes = bytes;
	extent->owner = owner;
	memmove(&mem->list[at + 1], &mem->list[at], (mem->n - at) * sizeof(*mem->list));
	mem->list[at] = extent;
	mem->n++;
	*ret_extent = extent;
	return 0;
}

void finf_mem_extent_give(struct finf_mem *mem, struct finf_extent *extent)
{
	uint32_t at;

	if (!extent)
		return;
	at = find_at_or_above(mem, extent->offset);
	assert(at < mem->n && mem->list[at] == extent);
	mem->n--;
	memmove(&mem->list[at], &mem->list[at + 1], (mem->n - at) * sizeof(*mem->list));
	free(extent);
}

int finf_mem_arena_reserve(struct finf_mem *mem, uint64_t bytes)
{
	if (bytes > mem->top)
		return -ENOBUFS;
	bytes = finf_align_up(bytes, FINF_ARENA_ALIGN);
	if (bytes > mem->top - mem_hole_start(mem, mem->n))
		return -ENOBUFS;
	mem->arena_bytes = bytes;
	return 0;
}

void *finf_mem_arena(const struct finf_mem *mem, uint64_t bytes)
{
	if (bytes > mem->arena_bytes)
		return NULL;
	return mem_at(mem, mem->top - finf_align_up(bytes, FINF_ARENA_ALIGN));
}

void *finf_mem_address(const struct finf_mem *mem, const struct finf_extent *extent)
{
	return mem_at(mem, extent->offset);
}

static uint64_t largest_hole(const struct finf_mem *mem)
{
	uint64_t largest = 0;

	for (uint32_t i = 0; i <= mem->n; i++)
		largest = FINF_MAX(largest, mem_hole_bytes(mem, i));
	return largest;
}

void finf_mem_stats(const struct finf_mem *mem, struct finf_mem_stats *ret)
{
	*ret = (struct finf_mem_stats){
		.pool_bytes = mem->top,
		.arena_bytes = mem->arena_bytes,
		.largest_hole_bytes = largest_hole(mem),
		.n_extents = mem->n,
		.moves = mem->moves,
		.moved_bytes = mem->moved_bytes,
	};
	for (uint32_t i = 0; i < mem->n; i++)
		ret->extent_bytes += mem->list[i]->bytes;
	ret->free_bytes = mem->top - mem->arena_bytes - ret->extent_bytes;
}
