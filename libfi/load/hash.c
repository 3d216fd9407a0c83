/* SPDX-License-Identifier: MIT */
/*
 * load: XXH3 of a segment. The library's own code is built for the oldest CPU and
 * takes thrice the time, for every byte of every load; so it is inlined here, and
 * the one function that takes the time once more by AVX2 (hash_avx2.c).
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "load/priv.h"

struct load_hash {
	XXH3_state_t *state; /* owned */
	void (*update)(void *state, const void *data, size_t bytes);
};

static void update_plain(void *state, const void *data, size_t bytes)
{
	XXH3_64bits_update(state, data, bytes);
}

struct load_hash *finf_load_hash_new(void)
{
	struct load_hash *hash = calloc(1, sizeof(*hash));

	if (!hash)
		return NULL;
	hash->state = XXH3_createState();
	hash->update = update_plain;
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2"))
		hash->update = finf_load_hash_avx2;
#endif
	if (hash->state)
		return hash;
	free(hash);
	return NULL;
}

void finf_load_hash_free(struct load_hash *hash)
{
	if (!hash)
		return;
	XXH3_freeState(hash->state);
	free(hash);
}

void finf_load_hash_reset(struct load_hash *hash)
{
	XXH3_64bits_reset(hash->state);
}

void finf_load_hash_update(struct load_hash *hash, const void *data, size_t bytes)
{
	hash->update(hash->state, data, bytes);
}

uint64_t finf_load_hash_digest(const struct load_hash *hash)
{
	return XXH3_64bits_digest(hash->state);
}
