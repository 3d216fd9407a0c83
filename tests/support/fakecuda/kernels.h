/* SPDX-License-Identifier: MIT */
/*
 * fakecuda/kernels - the words of libfi/device/cuda/kernels/kernel.cuh for a C
 * compiler: a kernel becomes a function that the fake runs once per thread.
 */
#ifndef FI_TESTS_FAKECUDA_KERNELS_H
#define FI_TESTS_FAKECUDA_KERNELS_H

#include <math.h>
#include <stdbool.h>

#include "tests/support/fakecuda/fakecuda.h"

struct fake_thread {
	unsigned thread, block_n, group, group_n;
};
extern _Thread_local struct fake_thread fake_thread;

/** A kernel without barriers: its threads run one after the other. */
void fake_run_loop(void (*thread)(const void *param), const void *param,
		   const struct fakecuda_grid *grid);
/** A kernel with barriers: each thread of a block has a stack of its own. */
void fake_run_fibers(void (*thread)(const void *param), const void *param,
		     const struct fakecuda_grid *grid);
/** Inside a kernel: until all threads of the block are here. */
void fake_sync(void);
/** Inside a kernel, all threads of a warp: the value that thread ^ @mask has. */
float fake_swap(float v, unsigned mask);

#define FINF_K_THREAD	    fake_thread.thread
#define FINF_K_BLOCK_N	    fake_thread.block_n
#define FINF_K_GROUP	    fake_thread.group
#define FINF_K_GROUP_N	    fake_thread.group_n
#define FINF_K_SYNC()	    fake_sync()
#define FINF_K_SWAP(v, m)   fake_swap(v, m)
#define FINF_K_FN	    static inline __attribute__((always_inline))
#define FINF_K_FAR	    static __attribute__((noinline))
#define FINF_K_SHARED	    static _Thread_local
#define finf_k_fma(a, b, c) ((a) * (b) + (c))
#define finf_k_sqrt(x)	    sqrtf(x)
#define finf_k_times(a, b)  ((a) * (b))

/* Threads come one after the other. */
static inline void finf_k_raise(unsigned *at, unsigned v)
{
	*at = *at < v ? v : *at;
}

/* The kernel's body, its registration, and between them what runs it for one thread. */
#define FINF_K_DEFINE(name, run)                                                                   \
	FINF_K_FN void body_##name(const struct finf_##name##_args p);                             \
	static void thread_##name(const void *param)                                               \
	{                                                                                          \
		body_##name(*(const struct finf_##name##_args *)param);                            \
	}                                                                                          \
	static void launch_##name(const void *param, const struct fakecuda_grid *grid)             \
	{                                                                                          \
		run(thread_##name, param, grid);                                                   \
	}                                                                                          \
	__attribute__((constructor)) static void register_##name(void)                             \
	{                                                                                          \
		fakecuda_kernel("finf_" #name, launch_##name, sizeof(struct finf_##name##_args),   \
				0);                                                                \
	}                                                                                          \
	FINF_K_FN void body_##name(const struct finf_##name##_args p)

#define FINF_K(name)	   FINF_K_DEFINE(name, fake_run_loop)
#define FINF_K_BLOCK(name) FINF_K_DEFINE(name, fake_run_fibers)

#endif
