/* SPDX-License-Identifier: MIT */
/*
 * calls.def against the vendor's header: proven when this compiles (test_preload.c
 * does that where a toolkit is). Handles are void pointers and enums ints there,
 * so each argument has to be of the same size and kind, not of the same type.
 */
#include <cstddef>
#include <cstdint>
#include <type_traits>

#define __CUDA_API_VERSION_INTERNAL /* no names renamed, older versions declared */
#include <cuda.h>
#include <cudaTypedefs.h>

enum kind { INTEGER, POINTER, OTHER };

template <class T> constexpr kind kind_of()
{
	return std::is_pointer<T>::value ? POINTER
	       : std::is_integral<T>::value || std::is_enum<T>::value ? INTEGER : OTHER;
}

/* What is pointed to matters where numbers are written or read through it. */
template <class A, class B> constexpr bool same_target()
{
	if constexpr (std::is_arithmetic<A>::value && std::is_arithmetic<B>::value)
		return sizeof(A) == sizeof(B);
	return true;
}

template <class A, class B> constexpr bool same_argument()
{
	return sizeof(A) == sizeof(B) && kind_of<A>() == kind_of<B>() && kind_of<A>() != OTHER &&
	       same_target<typename std::remove_pointer<A>::type, typename std::remove_pointer<B>::type>();
}

template <class F, class G> struct same;
template <class R, class S, class... A, class... B> struct same<R (*)(A...), S (*)(B...)> {
	static constexpr bool check()
	{
		if constexpr (sizeof...(A) == sizeof...(B))
			return sizeof(R) == sizeof(S) && (same_argument<A, B>() && ...);
		return false;
	}
};

/* The version of the form for the per-thread default stream. */
#define THREADS_3020  7000
#define THREADS_4000  7000
#define THREADS_8000  8000
#define THREADS_9000  9000
#define THREADS_10000 10000
#define THREADS_10010 10010
#define THREADS_11020 11020
#define THREADS_11060 11060
#define THREADS_11070 11070
#define THREADS_12030 12030
#define THREADS_12080 12080
#define THREADS_13000 13000
#define PASTE(base, version, suffix)  PFN_##base##_v##version##suffix
#define VENDOR(base, version, suffix) PASTE(base, version, suffix)
#define CHECK(symbol, params, vendor) \
	static_assert(same<unsigned(*) params, vendor>::check(), #symbol " has other arguments");

#define FIP_GATE(symbol, base, version, threads, params, args) \
	CHECK(symbol, params, VENDOR(base, version, ))
#define FIP_TWO(kind, symbol, suffix, base, version, params, args) \
	CHECK(symbol, params, VENDOR(base, version, )) \
	CHECK(symbol##suffix, params, VENDOR(base, THREADS_##version, suffix))
#define FIP_USE(symbol, params) CHECK(symbol, params, __typeof__(&::symbol))
#include "preload/calls.def"
