/* SPDX-License-Identifier: MIT */
/*
 * kernels/kernel - what the kernels are written in: CUDA C as far as it is C
 * too. One source, three compilers: clang without a toolkit (PTX), nvcc, and,
 * with FINF_K_CPU, a C compiler that has read these words elsewhere before.
 *
 *   FINF_K(name)	a kernel without barriers; p is its struct finf_<name>_args
 *   FINF_K_BLOCK(name)	a kernel whose threads meet at FINF_K_SYNC() or in block_*();
 *			no thread of the block may leave before the last meeting
 */
#ifndef FINF_CUDA_KERNELS_KERNEL_CUH
#define FINF_CUDA_KERNELS_KERNEL_CUH

#include "device/cuda/kernels/args.h"

#if !defined(FINF_K_CPU)
#if !defined(__NVCC__)
/* clang without the toolkit's headers: the words of CUDA that are used. */
#define __global__	     __attribute__((global))
#define __device__	     __attribute__((device))
#define __shared__	     __attribute__((shared))
#define FINF_K_THREAD	     ((unsigned)__nvvm_read_ptx_sreg_tid_x())
#define FINF_K_BLOCK_N	     ((unsigned)__nvvm_read_ptx_sreg_ntid_x())
#define FINF_K_GROUP	     ((unsigned)__nvvm_read_ptx_sreg_ctaid_x())
#define FINF_K_GROUP_N	     ((unsigned)__nvvm_read_ptx_sreg_nctaid_x())
#define FINF_K_SWAP(v, mask) __nvvm_shfl_sync_bfly_f32(0xffffffffu, v, (int)(mask), 31)
#else
#define FINF_K_THREAD	     threadIdx.x
#define FINF_K_BLOCK_N	     blockDim.x
#define FINF_K_GROUP	     blockIdx.x
#define FINF_K_GROUP_N	     gridDim.x
#define FINF_K_SWAP(v, mask) __shfl_xor_sync(0xffffffffu, v, (int)(mask))
#endif
#define FINF_K_SYNC()	    __syncthreads()
#define FINF_K(name)	    extern "C" __global__ void finf_##name(const struct finf_##name##_args p)
#define FINF_K_BLOCK(name)  FINF_K(name)
#define FINF_K_FN	    static __device__ inline __attribute__((always_inline))
#define FINF_K_SHARED	    __shared__
#define finf_k_fma(a, b, c) __builtin_fmaf(a, b, c)
#define finf_k_sqrt(x)	    __builtin_sqrtf(x)
#endif

/* Four floats, loaded and stored as one. */
struct finf_k_four {
	float v[4];
} __attribute__((aligned(16)));

/* A loop over n elements, whatever the grid. */
#define FINF_K_EACH(i, count)                                                                      \
	for (unsigned i = FINF_K_GROUP * FINF_K_BLOCK_N + FINF_K_THREAD; i < (count);              \
	     i += FINF_K_GROUP_N * FINF_K_BLOCK_N)

/* ---- numbers ------------------------------------------------------------------ */

FINF_K_FN unsigned quotient(unsigned n, struct finf_k_div d)
{
	return ((unsigned)(((unsigned long long)n * d.mul) >> 32) + n) >> d.shift;
}

/* n becomes the quotient; returns the rest. */
FINF_K_FN unsigned split(unsigned *n, struct finf_k_div d)
{
	unsigned q = quotient(*n, d), rest = *n - q * d.by;

	*n = q;
	return rest;
}

FINF_K_FN int walk_at(const struct finf_k_walk *walk, unsigned i)
{
	int at = 0;

#pragma unroll
	for (int k = FINF_K_RANK - 1; k > 0; k--)
		if ((unsigned)k < walk->rank)
			at += (int)split(&i, walk->dim[k]) * walk->stride[k];
	return at + (int)i * walk->stride[0];
}

FINF_K_FN float from_bits(unsigned bits)
{
	union {
		unsigned u;
		float f;
	} x;

	x.u = bits;
	return x.f;
}

/*
 * e^x within 2 units in the last place: x = n ln 2 + r with |r| <= ln 2 / 2, ln 2
 * in two parts (Cody and Waite), and e^r by its series to r^7. Results below the
 * normal numbers are 0. NaN stays NaN.
 */
FINF_K_FN float exponential(float x)
{
	const float round = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
	float n, r, y;

	if (x > 88.72f)
		return from_bits(0x7f800000u);
	if (x < -87.33f)
		return 0.0f;
	n = finf_k_fma(x, 1.442695041f, round) - round;
	r = finf_k_fma(n, -0.693359375f, x);
	r = finf_k_fma(n, 2.12194440e-4f, r);
	y = finf_k_fma(1.0f / 5040, r, 1.0f / 720);
	y = finf_k_fma(y, r, 1.0f / 120);
	y = finf_k_fma(y, r, 1.0f / 24);
	y = finf_k_fma(y, r, 1.0f / 6);
	y = finf_k_fma(y, r, 0.5f);
	y = finf_k_fma(y, r, 1.0f);
	y = finf_k_fma(y, r, 1.0f);
	if (!(x == x))
		return x;
	/* In two steps: 2^128 is no float, but y * 2^128 / 2 may be. */
	return y * from_bits((unsigned)((int)n / 2 + 127) << 23) *
	       from_bits((unsigned)((int)n - (int)n / 2 + 127) << 23);
}

/* The kinds are those of enum finf_act; a NaN stays one. */
FINF_K_FN float activate(float x, struct finf_k_act act)
{
	switch (act.kind) {
	case 1: /* FINF_ACT_RELU */
		return x < 0 ? 0 : x;
	case 2: /* FINF_ACT_LEAKY */
		return x < 0 ? act.a * x : x;
	case 3: /* FINF_ACT_CLIP */
		x = x < act.a ? act.a : x;
		return x > act.b ? act.b : x;
	case 4: /* FINF_ACT_SIGMOID */
		return 1.0f / (1.0f + exponential(-x));
	default:
		return x;
	}
}

/* One element of 1, 4 or 8 bytes; the activation is for float32 and else absent. */
FINF_K_FN void move(void *to, unsigned to_at, const void *from, unsigned from_at, unsigned each,
		    struct finf_k_act act)
{
	if (act.kind)
		((float *)to)[to_at] = activate(((const float *)from)[from_at], act);
	else if (each == 4)
		((unsigned *)to)[to_at] = ((const unsigned *)from)[from_at];
	else if (each == 8)
		((unsigned long long *)to)[to_at] = ((const unsigned long long *)from)[from_at];
	else
		((unsigned char *)to)[to_at] = ((const unsigned char *)from)[from_at];
}

/* ---- threads together ----------------------------------------------------------- */

/* All 32 threads of a warp must call; all get the sum, in the same order. */
FINF_K_FN float warp_sum(float v)
{
#pragma unroll
	for (unsigned mask = 16; mask; mask >>= 1)
		v += FINF_K_SWAP(v, mask);
	return v;
}

FINF_K_FN float warp_max(float v)
{
#pragma unroll
	for (unsigned mask = 16; mask; mask >>= 1) {
		float other = FINF_K_SWAP(v, mask);

		v = v > other ? v : other;
	}
	return v;
}

/* All threads of a block, a multiple of 32, must call; all get the result. */
FINF_K_FN float block_sum(float v)
{
	FINF_K_SHARED float part[32];
	unsigned lane = FINF_K_THREAD & 31, warp = FINF_K_THREAD >> 5;

	v = warp_sum(v);
	if (FINF_K_BLOCK_N == 32)
		return v;
	FINF_K_SYNC(); /* part may still be read from the last time */
	if (!lane)
		part[warp] = v;
	FINF_K_SYNC();
	v = lane < FINF_K_BLOCK_N >> 5 ? part[lane] : 0;
	return warp_sum(v);
}

FINF_K_FN float block_max(float v)
{
	FINF_K_SHARED float part[32];
	unsigned lane = FINF_K_THREAD & 31, warp = FINF_K_THREAD >> 5;

	v = warp_max(v);
	if (FINF_K_BLOCK_N == 32)
		return v;
	FINF_K_SYNC();
	if (!lane)
		part[warp] = v;
	FINF_K_SYNC();
	v = lane < FINF_K_BLOCK_N >> 5 ? part[lane] : part[0];
	return warp_max(v);
}

#endif
