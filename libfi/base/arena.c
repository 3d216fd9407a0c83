/* SPDX-License-Identifier: MIT */
/* base: arena of many small allocations, growable arrays, string map. */
#include <errno.h>
#include <stdarg.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define ARENA_BLOCK_BYTES (16u << 10)
#define ARENA_ALIGN 16

struct finf_arena_block {
	struct finf_arena_block *next;
	size_t used, cap;
	alignas(ARENA_ALIGN) uint8_t data[];
};

void finf_arena_init(struct finf_arena *arena)
{
	*arena = (struct finf_arena){0};
}

void finf_arena_fini(struct finf_arena *arena)
{
	struct finf_arena_block *block = arena->head;

	while (block) {
		struct finf_arena_block *next = block->next;

		free(block);
		block = next;
	}
	finf_arena_init(arena);
}

size_t finf_arena_bytes(const struct finf_arena *arena)
{
	size_t bytes = 0;

	for (const struct finf_arena_block *block = arena->head; block; block = block->next)
		bytes += sizeof(*block) + block->cap;
	return bytes;
}

static struct finf_arena_block *arena_block(struct finf_arena *arena, size_t bytes)
{
	size_t cap = FINF_MAX(bytes, (size_t)ARENA_BLOCK_BYTES), total;
	struct finf_arena_block *block;

	if (!finf_add_size(cap, sizeof(*block), &total))
		return NULL;
	block = malloc(total);
	if (!block)
		return NULL;
	block->used = 0;
	block->cap = cap;
	/* A large block must not hide the room left in the current one. */
	if (arena->head && bytes > ARENA_BLOCK_BYTES / 2) {
		block->next = arena->head->next;
		arena->head->next = block;
	} else {
		block->next = arena->head;
		arena->head = block;
	}
	return block;
}

void *finf_arena_alloc(struct finf_arena *arena, size_t bytes)
{
	struct finf_arena_block *block = arena->head;
	void *at;

	if (bytes > SIZE_MAX / 2)
		return NULL;
	bytes = finf_align_up(FINF_MAX(bytes, (size_t)1), ARENA_ALIGN);
	if (!block || block->cap - block->used < bytes)
		block = arena_block(arena, bytes);
	if (!block)
		return NULL;
	at = block->data + block->used;
	block->used += bytes;
	arena->total_bytes += bytes;
	return memset(at, 0, bytes);
}

void *finf_arena_array(struct finf_arena *arena, size_t n, size_t each_bytes)
{
	size_t bytes;

	if (!finf_mul_size(n, each_bytes, &bytes))
		return NULL;
	return finf_arena_alloc(arena, bytes);
}

void *finf_arena_dup(struct finf_arena *arena, const void *data, size_t bytes)
{
	void *copy = finf_arena_alloc(arena, bytes);

	if (copy && bytes)
		memcpy(copy, data, bytes);
	return copy;
}

char *finf_arena_strn(struct finf_arena *arena, const char *text, size_t len)
{
	char *copy = finf_arena_alloc(arena, len + 1);

	if (copy && len)
		memcpy(copy, text, len);
	return copy;
}

char *finf_arena_str(struct finf_arena *arena, const char *text)
{
	return finf_arena_strn(arena, text, strlen(text));
}

char *finf_arena_printf(struct finf_arena *arena, const char *fmt, ...)
{
	va_list args;
	char *text;
	int len;

	va_start(args, fmt);
	len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (len < 0)
		return NULL;
	text = finf_arena_alloc(arena, (size_t)len + 1);
	if (!text)
		return NULL;
	va_start(args, fmt);
	vsnprintf(text, (size_t)len + 1, fmt, args);
	va_end(args);
	return text;
}

int finf_grow(void *array, uint32_t *cap, uint32_t len, size_t each_bytes)
{
	uint32_t more;
	size_t bytes;
	void *old, *grown;

	if (len < *cap)
		return 0;
	if (*cap > UINT32_MAX / 2)
		return -ENOMEM;
	more = *cap ? *cap * 2 : 8;
	if (!finf_mul_size(more, each_bytes, &bytes))
		return -ENOMEM;
	memcpy(&old, array, sizeof(old));
	grown = realloc(old, bytes);
	if (!grown)
		return -ENOMEM;
	memcpy(array, &grown, sizeof(grown));
	*cap = more;
	return 0;
}

/* Open addressing with linear probing; never more than half full. */
struct finf_map_slot {
	const char *key; /* borrowed; NULL = free */
	uint32_t value;
};

void finf_map_init(struct finf_map *map)
{
	*map = (struct finf_map){0};
}

void finf_map_fini(struct finf_map *map)
{
	free(map->slots);
	finf_map_init(map);
}

static struct finf_map_slot *map_slot(struct finf_map_slot *slots, uint32_t cap, const char *key)
{
	uint32_t at = (uint32_t)finf_hash64(key, strlen(key)) & (cap - 1);

	while (slots[at].key && strcmp(slots[at].key, key))
		at = (at + 1) & (cap - 1);
	return &slots[at];
}

static int map_grow(struct finf_map *map)
{
	uint32_t cap = map->cap ? map->cap * 2 : 16;
	struct finf_map_slot *slots;

	if (map->cap > UINT32_MAX / 4)
		return -ENOMEM;
	slots = calloc(cap, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < map->cap; i++)
		if (map->slots[i].key)
			*map_slot(slots, cap, map->slots[i].key) = map->slots[i];
	free(map->slots);
	map->slots = slots;
	map->cap = cap;
	return 0;
}

int finf_map_put(struct finf_map *map, const char *key, uint32_t value)
{
	struct finf_map_slot *slot;
	int err;

	if ((map->len + 1) * 2 > map->cap) {
		err = map_grow(map);
		if (err)
			return err;
	}
	slot = map_slot(map->slots, map->cap, key);
	if (slot->key)
		return -EEXIST;
	slot->key = key;
	slot->value = value;
	map->len++;
	return 0;
}

bool finf_map_find(const struct finf_map *map, const char *key, uint32_t *ret)
{
	const struct finf_map_slot *slot;

	if (!map->cap)
		return false;
	slot = map_slot(map->slots, map->cap, key);
	if (!slot->key)
		return false;
	if (ret)
		*ret = slot->value;
	return true;
}
