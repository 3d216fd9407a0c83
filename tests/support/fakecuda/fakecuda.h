/* SPDX-License-Identifier: MIT */
/*
 * fakecuda - what a test may ask of the fake driver beside the driver's own
 * interface: kernels, failures, and what was done wrong. All are exported by
 * tests/fakecuda/libcuda.so.1; find them with dlsym on its handle.
 *
 * Environment, read at cuInit:
 *   FAKECUDA_DEVICES=N         0 to 4 (1)
 *   FAKECUDA_MEMORY=BYTES      of each device (1 GiB)
 *   FAKECUDA_SHARED=FILE       processes that name the same file share the devices' memory
 *   FAKECUDA_CONCURRENT=0|1    concurrentManagedAccess (1)
 *   FAKECUDA_SEED=N            of delays and of the order inside graphs (1)
 *   FAKECUDA_DELAY_US=N        longest delay before an operation (200)
 *   FAKECUDA_VIOLATIONS=FILE   a line is added for each, as it happens
 *   FAKECUDA_FAIL=NAME:NTH:CODE[,...]   as fakecuda_fail()
 */
#ifndef FI_TESTS_FAKECUDA_H
#define FI_TESTS_FAKECUDA_H

#include <stddef.h>

struct fakecuda_grid {
	unsigned grid[3], block[3], shared_bytes;
};

/** A kernel: called once per launch with a copy of its one parameter struct. */
typedef void (*fakecuda_kernel_fn)(const void *param, const struct fakecuda_grid *grid);

/**
 * fakecuda_kernel - let images name a kernel. Known until the process ends.
 * An image for cuModuleLoadDataEx is the text "fakecuda\n" and a name per line, or PTX:
 * then the names are its entries, and sizes of parameters must agree. Our own
 * kernels are known from the start.
 * @param param_bytes   size of the one struct that is its parameter
 * @param shared_bytes  static shared memory
 */
void fakecuda_kernel(const char *name, fakecuda_kernel_fn fn, size_t param_bytes,
		     size_t shared_bytes);

/**
 * fakecuda_thread_order - in which order threads of our own kernels run that do not wait
 * for each other: 0 forwards, 1 backwards, -1 either, by the seed, for each launch (the default).
 */
void fakecuda_thread_order(int backwards);

/**
 * The @nth call of exported @name from now on (1 = the next) returns @code. The
 * name "KERNEL" stands for kernels as they run: the fault comes late, as they do.
 */
void fakecuda_fail(const char *name, unsigned nth, unsigned code);

/**
 * fakecuda_violations - what was done that a real driver would suffer in
 * silence: races, changes under queued work, copies that are not asynchronous.
 * @param ret_last  the newest one, static until the next call; may be NULL
 * Return: how many since cuInit or fakecuda_forgive().
 */
unsigned fakecuda_violations(const char **ret_last);
void fakecuda_forgive(void);

#endif
