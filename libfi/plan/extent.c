/* SPDX-License-Identifier: MIT */
/* plan: where weights lie in the extent and where it is cut into segments. */
#include <errno.h>

#include "plan/internal.h"

#define AIM_DEFAULT ((uint64_t)8 << 20)
#define AIM_MAX ((uint64_t)1 << 30)

/* The segment being filled starts at @start; @segments is NULL while counting. */
struct cutter {
	struct finf_plan_segment *segments;
	uint32_t n;
	uint64_t start;
};

static void cut(struct cutter *c, uint64_t end)
{
	if (c->segments)
		c->segments[c->n] = (struct finf_plan_segment){c->start, end - c->start};
	c->n++;
	c->start = end;
}

/*
 * A weight that would make its segment too long starts the next one, unless
 * the segment is still shorter than half the aim: then it grows up to twice
 * the aim, and a weight too large even for that is cut at the aim.
 *
 *   aim 8:  | 3 3 1 | 5 2 |  2 ======= 30 ======= 6 | 4 ...
 *                            ^ grows: 2 is too short a segment
 */
static uint64_t cut_extent(struct cutter *c, const uint64_t *bytes, uint32_t n, uint64_t aim,
			   uint64_t *offsets)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t at = finf_align_up(end, FINF_WEIGHT_ALIGN);

		if (at + bytes[i] - c->start > aim && at - c->start >= aim / 2) {
			at = finf_align_up(at, FINF_SEGMENT_ALIGN);
			cut(c, at);
		}
		offsets[i] = at;
		end = at + bytes[i];
		while (end - c->start > 2 * aim)
			cut(c, c->start + aim);
	}
	end = finf_align_up(end, FINF_SEGMENT_ALIGN);
	if (end > c->start)
		cut(c, end);
	return end;
}

int finf_plan_extent(const uint64_t *bytes, uint32_t n, uint64_t aim, struct finf_arena *arena,
		     uint64_t *offsets, struct finf_plan_segment **ret_segments,
		     uint32_t *ret_n_segments, uint64_t *ret_bytes)
{
	struct cutter count = {0}, write = {0};
	uint64_t total = 0;

	/* Each weight wastes less than one segment border before it. */
	for (uint32_t i = 0; i < n; i++)
		if (bytes[i] > FINF_EXTENT_MAX ||
		    (total += bytes[i] + FINF_SEGMENT_ALIGN) > FINF_EXTENT_MAX)
			return -EOVERFLOW;
	aim = finf_align_up(FINF_MIN(aim ? aim : AIM_DEFAULT, AIM_MAX), FINF_SEGMENT_ALIGN);
	cut_extent(&count, bytes, n, aim, offsets);
	write.segments = finf_arena_array(arena, count.n, sizeof(*write.segments));
	if (!write.segments)
		return -ENOMEM;
	*ret_bytes = cut_extent(&write, bytes, n, aim, offsets);
	*ret_segments = write.segments;
	*ret_n_segments = write.n;
	return 0;
}
