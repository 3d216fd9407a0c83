/* SPDX-License-Identifier: MIT */
/*
 * load: copies from staging to the pool. Weights are read by a kernel much
 * later, if at all, so they go past the caches, which the staging slots need.
 * All sizes and addresses are multiples of LOAD_ALIGN.
 */
#include <string.h>

#include "load/priv.h"

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx512f"))) static void copy_avx512(void *to, const void *from,
							    size_t bytes)
{
	const __m512i *src = from;
	__m512i *dst = to;

	for (size_t i = 0; i < bytes / sizeof(*src); i += 4) {
		__m512i a = _mm512_load_si512(src + i);
		__m512i b = _mm512_load_si512(src + i + 1);
		__m512i c = _mm512_load_si512(src + i + 2);
		__m512i d = _mm512_load_si512(src + i + 3);

		_mm512_stream_si512(dst + i, a);
		_mm512_stream_si512(dst + i + 1, b);
		_mm512_stream_si512(dst + i + 2, c);
		_mm512_stream_si512(dst + i + 3, d);
	}
	_mm_sfence(); /* streaming stores are not ordered by a release */
}

__attribute__((target("avx2"))) static void copy_avx2(void *to, const void *from, size_t bytes)
{
	const __m256i *src = from;
	__m256i *dst = to;

	for (size_t i = 0; i < bytes / sizeof(*src); i += 4) {
		__m256i a = _mm256_load_si256(src + i);
		__m256i b = _mm256_load_si256(src + i + 1);
		__m256i c = _mm256_load_si256(src + i + 2);
		__m256i d = _mm256_load_si256(src + i + 3);

		_mm256_stream_si256(dst + i, a);
		_mm256_stream_si256(dst + i + 1, b);
		_mm256_stream_si256(dst + i + 2, c);
		_mm256_stream_si256(dst + i + 3, d);
	}
	_mm_sfence();
}

static void copy_sse2(void *to, const void *from, size_t bytes)
{
	const __m128i *src = from;
	__m128i *dst = to;

	for (size_t i = 0; i < bytes / sizeof(*src); i += 4) {
		__m128i a = _mm_load_si128(src + i);
		__m128i b = _mm_load_si128(src + i + 1);
		__m128i c = _mm_load_si128(src + i + 2);
		__m128i d = _mm_load_si128(src + i + 3);

		_mm_stream_si128(dst + i, a);
		_mm_stream_si128(dst + i + 1, b);
		_mm_stream_si128(dst + i + 2, c);
		_mm_stream_si128(dst + i + 3, d);
	}
	_mm_sfence();
}

load_copy_fn finf_load_copy_pick(void)
{
	if (__builtin_cpu_supports("avx512f"))
		return copy_avx512;
	return __builtin_cpu_supports("avx2") ? copy_avx2 : copy_sse2;
}

#else

static void copy_plain(void *to, const void *from, size_t bytes)
{
	memcpy(to, from, bytes);
}

load_copy_fn finf_load_copy_pick(void)
{
	return copy_plain;
}

#endif
