/* SPDX-License-Identifier: MIT */
/*
 * mem - who lies where in the pool: weight extents from the bottom, the arena
 * zone at the top. Book-keeping of offsets; bytes are moved through the device.
 * Must not know: models, policy, files. Not thread-safe: one owner.
 *
 *   0                                                      pool bytes
 *   | extent A | extent B |   hole   | extent C |  free  | arena zone |
 */
#ifndef FINF_MEM_H
#define FINF_MEM_H

#include "base/base.h"
#include "device/device.h"

#define FINF_EXTENT_ALIGN (64u << 10)
#define FINF_ARENA_ALIGN 4096u

struct finf_extent {
	uint64_t offset, bytes; /* bytes rounded up to FINF_EXTENT_ALIGN */
	uint64_t owner;		/* the caller's number, for listings */
	bool movable;		/* may compaction move it now? */
};

struct finf_mem_stats {
	uint64_t pool_bytes, extent_bytes, arena_bytes, free_bytes, largest_hole_bytes;
	uint32_t n_extents;
	uint64_t moves, moved_bytes;
};

struct finf_mem;

/** finf_mem_new - take over a pool. @pool stays the caller's and must outlive it: its base is
 * looked up at each use, since a reset of the device moves it. 0; -ENOMEM. */
int finf_mem_new(struct finf_device *dev, const struct finf_pool_memory *pool,
		 struct finf_mem **ret_mem);
void finf_mem_free(struct finf_mem *mem); /* asserts that no extent is left */

/**
 * finf_mem_extent_take - a contiguous range below the arena zone.
 * The old place is taken again when it is free (captured graphs stay valid),
 * else the smallest hole that fits, lowest offset first.
 * @param prefer_offset  where the group lay last; UINT64_MAX = nowhere
 * @param ret_extent     borrowed, valid until given back
 * Return: 0; -ENOBUFS no hole is large enough; -EINVAL for 0 bytes; -ENOMEM.
 */
int finf_mem_extent_take(struct finf_mem *mem, uint64_t bytes, uint64_t owner,
			 uint64_t prefer_offset, struct finf_extent **ret_extent);
void finf_mem_extent_give(struct finf_mem *mem, struct finf_extent *extent);

/** finf_mem_arena_reserve - set the arena zone to exactly @bytes (rounded up to FINF_ARENA_ALIGN).
 * Return: 0; -ENOBUFS when an extent is in the way (zone unchanged). */
int finf_mem_arena_reserve(struct finf_mem *mem, uint64_t bytes);
/** Start of the zone: address of an arena of @bytes at the very top; NULL when the zone is smaller. */
void *finf_mem_arena(const struct finf_mem *mem, uint64_t bytes);

void *finf_mem_address(const struct finf_mem *mem, const struct finf_extent *extent);

/**
 * finf_mem_compact - slide movable extents down until one hole of @want_bytes
 * exists (0 = all the way), moving as few bytes as that takes. Extents that
 * are not movable stay. May take long: the device moves bytes. Nobody may use
 * movable extents meanwhile.
 * Return: 0; -ENOBUFS when even that leaves no such hole (nothing was moved);
 * -EREMOTEIO: the device failed, contents of movable extents are undefined.
 */
int finf_mem_compact(struct finf_mem *mem, uint64_t want_bytes);

void finf_mem_stats(const struct finf_mem *mem, struct finf_mem_stats *ret);

#endif
