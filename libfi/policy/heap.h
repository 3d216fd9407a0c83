/* SPDX-License-Identifier: MIT */
/*
 * policy/heap - indexed binary min-heap over the numbers 0..cap-1: each number
 * is in it at most once and can be taken out from anywhere. Equal keys are
 * ordered by number, so the order of equal things never depends on history.
 */
#ifndef FINF_POLICY_HEAP_H
#define FINF_POLICY_HEAP_H

#include <stdbool.h>
#include <stdint.h>

#define FINF_HEAP_NONE UINT32_MAX

struct finf_heap {
	uint32_t *items; /* owned; heap order */
	uint32_t *at;	 /* owned; number -> position in items, FINF_HEAP_NONE = not in */
	uint64_t *key;	 /* owned; by number */
	uint32_t len, cap;
};

int finf_heap_init(struct finf_heap *heap, uint32_t cap); /* 0; -ENOMEM */
void finf_heap_fini(struct finf_heap *heap);

static inline bool finf_heap_has(const struct finf_heap *heap, uint32_t item)
{
	return heap->at[item] != FINF_HEAP_NONE;
}

/** finf_heap_min - the number with the smallest key; FINF_HEAP_NONE when empty. */
static inline uint32_t finf_heap_min(const struct finf_heap *heap)
{
	return heap->len ? heap->items[0] : FINF_HEAP_NONE;
}

/** finf_heap_put - insert, or give what is there a new key. */
void finf_heap_put(struct finf_heap *heap, uint32_t item, uint64_t key);
/** finf_heap_drop - take out; nothing happens when it is not in. */
void finf_heap_drop(struct finf_heap *heap, uint32_t item);

#endif
