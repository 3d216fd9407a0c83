/* SPDX-License-Identifier: MIT */
/* policy: indexed binary min-heap, see heap.h. */
#include <errno.h>
#include <stdlib.h>

#include "policy/heap.h"

int finf_heap_init(struct finf_heap *heap, uint32_t cap)
{
	*heap = (struct finf_heap){.cap = cap};
	heap->items = calloc(cap, sizeof(*heap->items));
	heap->at = calloc(cap, sizeof(*heap->at));
	heap->key = calloc(cap, sizeof(*heap->key));
	if (!heap->items || !heap->at || !heap->key) {
		finf_heap_fini(heap);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < cap; i++)
		heap->at[i] = FINF_HEAP_NONE;
	return 0;
}

void finf_heap_fini(struct finf_heap *heap)
{
	free(heap->items);
	free(heap->at);
	free(heap->key);
	*heap = (struct finf_heap){0};
}

static bool less(const struct finf_heap *heap, uint32_t a, uint32_t b)
{
	if (heap->key[a] != heap->key[b])
		return heap->key[a] < heap->key[b];
	return a < b;
}

static void place(struct finf_heap *heap, uint32_t at, uint32_t item)
{
	heap->items[at] = item;
	heap->at[item] = at;
}

/* Both leave @item at its right place, starting from the hole at @at. */
static void sift_up(struct finf_heap *heap, uint32_t at, uint32_t item)
{
	for (; at; at = (at - 1) / 2) {
		uint32_t parent = heap->items[(at - 1) / 2];

		if (!less(heap, item, parent))
			break;
		place(heap, at, parent);
	}
	place(heap, at, item);
}

static void sift_down(struct finf_heap *heap, uint32_t at, uint32_t item)
{
	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child >= heap->len)
			break;
		if (child + 1 < heap->len &&
		    less(heap, heap->items[child + 1], heap->items[child]))
			child++;
		if (!less(heap, heap->items[child], item))
			break;
		place(heap, at, heap->items[child]);
		at = child;
	}
	place(heap, at, item);
}

/* @item's key may have moved either way. */
static void settle(struct finf_heap *heap, uint32_t at, uint32_t item)
{
	if (at && less(heap, item, heap->items[(at - 1) / 2]))
		sift_up(heap, at, item);
	else
		sift_down(heap, at, item);
}

void finf_heap_put(struct finf_heap *heap, uint32_t item, uint64_t key)
{
	if (finf_heap_has(heap, item) && heap->key[item] == key)
		return;
	heap->key[item] = key;
	settle(heap, finf_heap_has(heap, item) ? heap->at[item] : heap->len++, item);
}

void finf_heap_drop(struct finf_heap *heap, uint32_t item)
{
	uint32_t at = heap->at[item], last;

	if (at == FINF_HEAP_NONE)
		return;
	heap->at[item] = FINF_HEAP_NONE;
	last = heap->items[--heap->len];
	if (last != item)
		settle(heap, at, last);
}
