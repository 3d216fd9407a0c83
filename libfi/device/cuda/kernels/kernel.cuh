/* SPDX-License-Identifier: MIT */
/*
 * kernels/kernel - what the kernels are written in: CUDA C as far as it is C
 * too. One source, three compilers: clang without a toolkit (PTX), nvcc, and,
 * with FINF_K_CPU, a C compiler that has read these words elsewhere before.
 *
 *   FINF_K(name)	a kernel without barriers; p is its struct finf_<name>_args
 *   FINF_K_FN		a function that becomes part of its callers; FINF_K_FAR: one that does not
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
#define FINF_K_FAR	    static __device__ __attribute__((noinline))
#define FINF_K_SHARED	    __shared__
#define finf_k_fma(a, b, c) __builtin_fmaf(a, b, c)
#define finf_k_sqrt(x)	    __builtin_sqrtf(x)

/* A product that no sum behind it is contracted with: it rounds as the reference's does. */
FINF_K_FN double finf_k_times(double a, double b)
{
	double y;

	asm("mul.rn.f64 %0, %1, %2;" : "=d"(y) : "d"(a), "d"(b));
	return y;
}

/* *at becomes the larger of it and v: in whatever order threads come, the same in the end. */
FINF_K_FN void finf_k_raise(unsigned *at, unsigned v)
{
#ifdef __NVCC__
	atomicMax(at, v);
#else
	__nvvm_atom_max_gen_ui(at, v);
#endif
}
#endif

#include "device/cuda/kernels/number.cuh"

/* Four floats, loaded and stored as one. */
struct finf_k_four {
	float v[4];
} __attribute__((aligned(16)));

/* A loop over n elements, whatever the grid. */
#define FINF_K_EACH(i, count)                                                                      \
	for (unsigned i = FINF_K_GROUP * FINF_K_BLOCK_N + FINF_K_THREAD; i < (count);              \
	     i += FINF_K_GROUP_N * FINF_K_BLOCK_N)

/* ---- indices ------------------------------------------------------------------ */

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

/* ---- elements ---------------------------------------------------------------- */

/* Too long to be in every kernel that activates, some of them sixteen times. */
FINF_K_FAR float curve(float x, unsigned kind, float a)
{
	switch (kind) {
	case 5: /* FINF_ACT_ELU */
		return x < 0 ? a * exponential_less_1(x) : x;
	case 6: /* FINF_ACT_GELU */
		return gelu(x);
	case 7: /* FINF_ACT_GELU_TANH */
		return gelu_by_tangent(x);
	case 8: /* FINF_ACT_HARD_SWISH */
		return hard_swish(x);
	case 9: /* FINF_ACT_MISH */
		return mish(x);
	case 10: /* FINF_ACT_SWISH */
		return x * sigmoid(x);
	default: /* FINF_ACT_TANH */
		return tangent(x);
	}
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
		return sigmoid(x);
	case 0:
		return x;
	default:
		return curve(x, act.kind, act.a);
	}
}

/* One element of 1, 2, 4 or 8 bytes; the activation is for float32 and else absent. */
FINF_K_FN void move(void *to, unsigned to_at, const void *from, unsigned from_at, unsigned each,
		    struct finf_k_act act)
{
	if (act.kind)
		((float *)to)[to_at] = activate(((const float *)from)[from_at], act);
	else if (each == 4)
		((unsigned *)to)[to_at] = ((const unsigned *)from)[from_at];
	else if (each == 2)
		((unsigned short *)to)[to_at] = ((const unsigned short *)from)[from_at];
	else if (each == 8)
		((unsigned long long *)to)[to_at] = ((const unsigned long long *)from)[from_at];
	else
		((unsigned char *)to)[to_at] = ((const unsigned char *)from)[from_at];
}

/* ---- threads together ----------------------------------------------------------- */

/* Associative, so that threads may share the work; a NaN among the largest stays. */
enum fold { FOLD_SUM, FOLD_PRODUCT, FOLD_LARGEST };

FINF_K_FN float fold(float a, float b, enum fold how)
{
	switch (how) {
	case FOLD_SUM:
		return a + b;
	case FOLD_PRODUCT:
		return a * b;
	default:
		return a > b || !(a == a) ? a : b;
	}
}

FINF_K_FN float fold_start(enum fold how)
{
	return how == FOLD_SUM ? 0 : how == FOLD_PRODUCT ? 1 : -INFINITE;
}

/* All 32 threads of a warp must call; all get the result, in the same order. */
FINF_K_FN float warp_fold(float v, enum fold how)
{
#pragma unroll
	for (unsigned mask = 16; mask; mask >>= 1)
		v = fold(v, FINF_K_SWAP(v, mask), how);
	return v;
}

FINF_K_FN float warp_sum(float v)
{
	return warp_fold(v, FOLD_SUM);
}

/* All threads of a block, a multiple of 32, must call; all get the result. */
FINF_K_FN float block_fold(float v, enum fold how)
{
	FINF_K_SHARED float part[32];
	unsigned lane = FINF_K_THREAD & 31, warp = FINF_K_THREAD >> 5;

	v = warp_fold(v, how);
	if (FINF_K_BLOCK_N == 32)
		return v;
	FINF_K_SYNC(); /* part may still be read from the last time */
	if (!lane)
		part[warp] = v;
	FINF_K_SYNC();
	v = lane < FINF_K_BLOCK_N >> 5 ? part[lane] : fold_start(how);
	return warp_fold(v, how);
}

FINF_K_FN float block_sum(float v)
{
	return block_fold(v, FOLD_SUM);
}

#endif
