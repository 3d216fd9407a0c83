/* SPDX-License-Identifier: MIT */
/*
 * policy: a histogram of the times between requests of a model. Eight buckets
 * to each power of two, from 1 ms to 73 minutes; counts are halved now and then,
 * so that old habits fade. Of the gaps that are still possible after the time
 * that has passed, the densest three buckets are the window of the next request.
 */
#include <errno.h>
#include <stdlib.h>

#include "policy/predict.h"

#define FIRST_BIT 20u /* 2^20 ns: what comes sooner belongs to the same visit */
#define OCTAVES 22u
#define SUB_BITS 3u
#define SUB (1u << SUB_BITS)
#define BUCKETS (OCTAVES * SUB)
#define TOTAL_MAX 64u
#define SURE_MIN 3u /* gaps in the window before it is believed */

struct interval {
	uint64_t last_ns;
	uint32_t total;
	uint8_t seen; /* last_ns means something */
	uint8_t count[BUCKETS];
};

static uint64_t lower_ns(uint32_t bucket)
{
	return (uint64_t)(SUB + bucket % SUB) << (FIRST_BIT - SUB_BITS + bucket / SUB);
}

/* Of a gap of at least 2^FIRST_BIT; the longest share the last bucket. */
static uint32_t bucket_of(uint64_t gap_ns)
{
	uint32_t bit = 63u - (uint32_t)__builtin_clzll(gap_ns);
	uint32_t sub = (uint32_t)(gap_ns >> (bit - SUB_BITS)) & (SUB - 1);

	return FINF_MIN((bit - FIRST_BIT) * SUB + sub, BUCKETS - 1);
}

static int interval_new(uint32_t models_max, void **ret_state)
{
	*ret_state = calloc(models_max, sizeof(struct interval));
	return *ret_state ? 0 : -ENOMEM;
}

static void interval_forget(void *state, uint32_t model)
{
	((struct interval *)state)[model] = (struct interval){0};
}

static uint32_t around(const struct interval *v, uint32_t first, uint32_t at)
{
	uint32_t sum = v->count[at];

	sum += at > first ? v->count[at - 1] : 0;
	return sum + (at + 1 < BUCKETS ? v->count[at + 1] : 0);
}

static uint32_t interval_next(void *state, uint32_t model, uint64_t now_ns,
			      struct finf_prediction ret[FINF_PREDICTIONS_MAX])
{
	const struct interval *v = &((struct interval *)state)[model];
	uint64_t passed_ns = now_ns - v->last_ns, until_ns;
	uint32_t first = passed_ns >> FIRST_BIT ? bucket_of(passed_ns) : 0;
	uint32_t best = first, sum = 0, total = 0, from, to;

	for (uint32_t i = first; i < BUCKETS; i++) {
		uint32_t n = around(v, first, i);

		total += v->count[i];
		if (n > sum || (n == sum && v->count[i] > v->count[best])) {
			sum = n;
			best = i;
		}
	}
	if (sum < SURE_MIN || best == BUCKETS - 1)
		return 0;
	from = best > first && v->count[best - 1] ? best - 1 : best;
	to = v->count[best + 1] ? best + 1 : best;
	until_ns = lower_ns(to + 1) + lower_ns(to + 1) / 16;
	ret[0] = (struct finf_prediction){
		.model = model,
		.other = FINF_MODEL_NONE,
		.reason = FINF_WHY_PREDICTED,
		.confidence_pct = sum * 100 / total,
		.from_ns = v->last_ns + FINF_MAX(lower_ns(from), passed_ns),
		.until_ns = v->last_ns + until_ns,
	};
	return 1;
}

static void count_gap(struct interval *v, uint64_t gap_ns)
{
	v->count[bucket_of(gap_ns)]++;
	if (++v->total < TOTAL_MAX)
		return;
	v->total = 0;
	for (uint32_t i = 0; i < BUCKETS; i++) {
		v->count[i] /= 2;
		v->total += v->count[i];
	}
}

static uint32_t interval_saw(void *state, uint32_t model, uint64_t now_ns,
			     struct finf_prediction ret[FINF_PREDICTIONS_MAX])
{
	struct interval *v = &((struct interval *)state)[model];

	if (v->seen && (now_ns - v->last_ns) >> FIRST_BIT)
		count_gap(v, now_ns - v->last_ns);
	v->seen = 1;
	v->last_ns = now_ns;
	return interval_next(state, model, now_ns, ret);
}

const struct finf_predict_ops finf_predict_interval = {
	.name = "interval",
	.new = interval_new,
	.free = free,
	.forget = interval_forget,
	.saw = interval_saw,
	.next = interval_next,
};
