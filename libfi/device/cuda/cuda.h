/* SPDX-License-Identifier: MIT */
/*
 * cuda/cuda - the CUDA device: what its files share. cuda.c holds the table,
 * copies and comes back after a fault, pool.c allocates, upload.c copies
 * beside the launches, capture.c makes a run one piece.
 * Must not know: plans, packs, files, who runs.
 */
#ifndef FINF_DEVICE_CUDA_CUDA_H
#define FINF_DEVICE_CUDA_CUDA_H

#include <pthread.h>
#include <stdatomic.h>

#include "device/cuda/driver.h"
#include "device/device.h"

extern const struct finf_device_ops finf_cuda_ops;

/*
 * Everything in the order of one stream, but uploads, which have their own, and
 * launches while a run is captured. None of the streams waits for the legacy one.
 */
struct finf_cuda_device {
	struct finf_device base;
	const struct finf_cuda_api *api;
	struct finf_cuda *cuda;		     /* owned */
	struct finf_cu_stream *compute;	     /* owned: launches, reads, writes, moves */
	struct finf_cu_stream *capture;	     /* owned: what is noted down on it never runs there */
	struct finf_cu_stream *noting;	     /* while it lasts: of the branch at hand */
	struct finf_cuda_branches *branches; /* owned: of captures; NULL: none had some yet */
	struct finf_cuda_kernels *kernels;   /* owned */
	void *bounce;			     /* owned, page-locked: what copies go through */
	pthread_mutex_t bounce_lock;
	pthread_mutex_t capture_lock; /* held from begin to end of a capture */
	_Atomic(pthread_t) capturer;  /* who holds it; 0: nobody */
	uint32_t generation;	      /* of the context; captures of an older one are stale */
	bool unusable;		      /* the last reset failed */
};

static inline struct finf_cuda_device *finf_cuda_of(struct finf_device *dev)
{
	return (struct finf_cuda_device *)dev;
}

static inline unsigned long long finf_cuda_address(const void *device)
{
	return (uintptr_t)device;
}

/** finf_cuda_begin, finf_cuda_end - around every use of the driver by a member. */
int finf_cuda_begin(struct finf_cuda_device *cd, struct finf_diag *diag);
void finf_cuda_end(struct finf_cuda_device *cd);
/** finf_cuda_told - the errno of a result where no diag takes the words: they are logged. */
int finf_cuda_told(const char *what, enum finf_cu_result result);

/* pool.c */
int finf_cuda_pool_new(struct finf_device *dev, uint64_t bytes, const char *mode,
		       struct finf_pool_memory *ret, struct finf_diag *diag);
void finf_cuda_pool_free(struct finf_device *dev, struct finf_pool_memory *pool);
/**
 * finf_cuda_pool_drop - give back what can be; after a fault some of it stays.
 * finf_cuda_pool_forget - after a reset: give back what outlived the context.
 */
void finf_cuda_pool_drop(struct finf_cuda_device *cd, struct finf_pool_memory *pool);
void finf_cuda_pool_forget(struct finf_cuda_device *cd, struct finf_pool_memory *pool);
/** "vmm:yes plain:yes managed:no (why)": each tried. */
void finf_cuda_pool_modes(struct finf_cuda_device *cd, char *text, size_t len);

/* upload.c */
int finf_cuda_upload_new(struct finf_device *dev, void *staging, uint64_t bytes, uint32_t slots,
			 struct finf_upload **ret_upload, struct finf_diag *diag);
int finf_cuda_upload_start(struct finf_device *dev, struct finf_upload *upload, uint32_t slot,
			   void *to, const void *from, uint64_t bytes);
int finf_cuda_upload_wait(struct finf_device *dev, struct finf_upload *upload, uint32_t slot,
			  bool block);
void finf_cuda_upload_free(struct finf_device *dev, struct finf_upload *upload);

/* capture.c */
int finf_cuda_capture_begin(struct finf_device *dev, uint32_t branches, uint32_t marks,
			    struct finf_diag *diag);
int finf_cuda_capture_branch(struct finf_device *dev, uint32_t branch);
int finf_cuda_capture_mark(struct finf_device *dev, uint32_t mark);
int finf_cuda_capture_await(struct finf_device *dev, uint32_t mark);
/** finf_cuda_branches_drop - @lost: the context takes their streams and events along. */
void finf_cuda_branches_drop(struct finf_cuda_device *cd, bool lost);
int finf_cuda_capture_end(struct finf_device *dev, struct finf_captured **io_captured,
			  struct finf_diag *diag);
int finf_cuda_captured_run(struct finf_device *dev, struct finf_captured *captured);
void finf_cuda_captured_free(struct finf_device *dev, struct finf_captured *captured);

#endif
