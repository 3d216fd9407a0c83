/* SPDX-License-Identifier: MIT */
/* mem: what mem.c and compact.c share. */
#ifndef FINF_MEM_PRIV_H
#define FINF_MEM_PRIV_H

#include "mem/mem.h"

struct finf_mem {
	struct finf_device *dev;   /* borrowed */
	const struct finf_pool_memory *pool; /* borrowed; its base moves with a reset */
	uint64_t top;		   /* usable pool bytes, a multiple of 4 KiB */
	uint64_t arena_bytes;	   /* the zone is [top - arena_bytes, top) */
	struct finf_extent **list; /* owned, each element too; by offset, never overlapping */
	uint32_t n, cap;
	uint64_t moves, moved_bytes;
};

static inline uint8_t *mem_at(const struct finf_mem *mem, uint64_t offset)
{
	return (uint8_t *)mem->pool->base + offset;
}

/*
 * Holes are named by the extent behind them: hole i lies between extents
 * i - 1 and i, hole n between the last extent and the arena zone. It may be
 * empty; it starts and ends on FINF_EXTENT_ALIGN except for the end of hole n.
 */
static inline uint64_t mem_hole_start(const struct finf_mem *mem, uint32_t i)
{
	return i ? mem->list[i - 1]->offset + mem->list[i - 1]->bytes : 0;
}

static inline uint64_t mem_hole_end(const struct finf_mem *mem, uint32_t i)
{
	return i < mem->n ? mem->list[i]->offset : mem->top - mem->arena_bytes;
}

static inline uint64_t mem_hole_bytes(const struct finf_mem *mem, uint32_t i)
{
	return mem_hole_end(mem, i) - mem_hole_start(mem, i);
}

#endif
