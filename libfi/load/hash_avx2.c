/* SPDX-License-Identifier: MIT */
/* load: hash.c's update, compiled for AVX2. The state is the same whatever the vectors are. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "load/priv.h"

#if defined(__x86_64__)
void finf_load_hash_avx2(void *state, const void *data, size_t bytes)
{
	XXH3_64bits_update(state, data, bytes);
}
#endif
