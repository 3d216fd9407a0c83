/* SPDX-License-Identifier: MIT */
/*
 * cuda/driver - the driver library opened at run time, its entry points, and
 * one device with its primary context. A driver's result becomes an errno
 * here and goes no further than device/cuda/.
 * Must not know: pools, streams, kernels, graphs of ours.
 */
#ifndef FINF_DEVICE_CUDA_DRIVER_H
#define FINF_DEVICE_CUDA_DRIVER_H

#include "base/base.h"
#include "device/cuda/cu.h"

/* Entry points; an optional one may be NULL. */
struct finf_cuda_api {
#define FINF_CU(name, symbol, version, need, args) enum finf_cu_result(*name) args;
#include "device/cuda/cu.def"
#undef FINF_CU
};

struct finf_cuda_info {
	char name[128]; /* the device's, control characters replaced */
	int device;	/* the driver's handle */
	uint64_t total_bytes;
	uint32_t driver_version; /* 1000 * major + 10 * minor */
	uint32_t compute_major, compute_minor;
	bool vmm; /* attribute and all entry points are there; a trial decides */
	bool posix_handles; /* device memory can be given to others as a descriptor */
	bool managed, concurrent_managed;
	bool integrated; /* shares the host's memory */
	bool registered_host_pointer;
};

struct finf_cuda;

/**
 * finf_cuda_api - the driver's entry points; opens libcuda.so.1 at first call.
 * $FUSEDINF_LIBCUDA names another library, read at that call. The library stays
 * open. What was found, or not, holds for the life of the process: a driver
 * does not survive fork, so call this in the process that will use it.
 * Context: thread-safe; blocks while the driver starts.
 * Return: 0; -ENODEV with the reason: no library, an entry point is missing,
 * the driver refuses to start, it knows no device.
 */
int finf_cuda_api(const struct finf_cuda_api **ret_api, struct finf_diag *diag);

/**
 * finf_cuda_open - a device and its primary context, retained.
 * @param ordinal  as the driver counts
 * The context is current on the calling thread only while a call needs it:
 * afterwards the thread has the one it had.
 * Return: 0, -ENODEV, -ENOMEM, or what finf_cuda_errno() makes of a result.
 */
int finf_cuda_open(int ordinal, struct finf_cuda **ret_cuda, struct finf_diag *diag);
void finf_cuda_close(struct finf_cuda *cuda); /* NULL is fine */

/** Borrowed until close. */
const struct finf_cuda_info *finf_cuda_info(const struct finf_cuda *cuda);

/**
 * finf_cuda_enter - make the context current on this thread, remembering what was.
 * finf_cuda_leave - put that back.
 */
int finf_cuda_enter(struct finf_cuda *cuda, struct finf_diag *diag);
void finf_cuda_leave(struct finf_cuda *cuda);

/**
 * finf_cuda_reset - destroy the primary context with all that lies in it, for everybody
 * in this process, and retain a new one. It must be current on no thread.
 * Return: 0; otherwise there is no context until a reset succeeds.
 */
int finf_cuda_reset(struct finf_cuda *cuda, struct finf_diag *diag);

/** finf_cuda_free_bytes - as the driver reports it now. */
int finf_cuda_free_bytes(struct finf_cuda *cuda, uint64_t *ret_bytes, struct finf_diag *diag);

/** finf_cuda_errno - the one place where a result becomes an errno; 0 for success. */
int finf_cuda_errno(enum finf_cu_result result);
/** finf_cuda_words - static words for a message; never NULL. */
const char *finf_cuda_words(enum finf_cu_result result);
/** finf_cuda_fail - "@what: words (NAME, number)" into @diag; returns the errno. */
int finf_cuda_fail(struct finf_diag *diag, const char *what, enum finf_cu_result result);

#endif
