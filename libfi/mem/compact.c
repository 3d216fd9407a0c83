/* SPDX-License-Identifier: MIT */
/*
 * mem: compaction. Sliding the extents between two holes down joins all the
 * holes from one to the other into one:
 *
 *   | A |  h1  | B | h2 | C |  h3  |        | A | B | C |  h1 + h2 + h3  |
 *
 * so the cheapest way to a hole of a given size is the run of neighbouring
 * holes with nothing unmovable between them that is large enough together and
 * has the fewest bytes between its first and its last hole.
 */
#include <errno.h>

#include "mem/priv.h"

struct window {
	uint32_t first, last; /* holes; the extents first .. last - 1 lie between them */
};

/*
 * For each last hole the nearest first hole that suffices; as the last one
 * advances the first one never goes back, so one pass finds the best.
 */
static bool cheapest_window(const struct finf_mem *mem, uint64_t want, struct window *ret)
{
	uint64_t free_bytes = 0, move_bytes = 0, best = UINT64_MAX;
	uint32_t first = 0;

	for (uint32_t last = 0; last <= mem->n; last++) {
		if (last && !mem->list[last - 1]->movable) {
			first = last;
			free_bytes = move_bytes = 0;
		} else if (last) {
			move_bytes += mem->list[last - 1]->bytes;
		}
		free_bytes += mem_hole_bytes(mem, last);
		while (first < last && free_bytes - mem_hole_bytes(mem, first) >= want) {
			free_bytes -= mem_hole_bytes(mem, first);
			move_bytes -= mem->list[first]->bytes;
			first++;
		}
		if (free_bytes >= want && move_bytes < best) {
			best = move_bytes;
			*ret = (struct window){first, last};
		}
	}
	return best != UINT64_MAX;
}

/*
 * Down by less than its own length an extent overlaps its new place, which
 * device copies do not allow: pieces no longer than the way are safe.
 */
static int slide_down(struct finf_mem *mem, struct finf_extent *extent, uint64_t to)
{
	uint64_t way = extent->offset - to;

	for (uint64_t at = 0; at < extent->bytes; at += way) {
		uint64_t bytes = FINF_MIN(way, extent->bytes - at);
		int err = finf_device_move(mem->dev, mem_at(mem, to + at),
					   mem_at(mem, extent->offset + at), bytes);

		if (err < 0)
			return -EREMOTEIO;
	}
	extent->offset = to;
	mem->moves++;
	mem->moved_bytes += extent->bytes;
	return 0;
}

static int close_holes(struct finf_mem *mem, struct window window)
{
	for (uint32_t i = window.first; i < window.last; i++) {
		int err = 0;

		if (mem->list[i]->movable && mem_hole_bytes(mem, i))
			err = slide_down(mem, mem->list[i], mem_hole_start(mem, i));
		if (err < 0)
			return err;
	}
	return 0;
}

int finf_mem_compact(struct finf_mem *mem, uint64_t want_bytes)
{
	struct window window = {0, mem->n};

	if (want_bytes > mem->top)
		return -ENOBUFS;
	if (want_bytes && !cheapest_window(mem, finf_align_up(want_bytes, FINF_EXTENT_ALIGN), &window))
		return -ENOBUFS;
	return close_holes(mem, window);
}
