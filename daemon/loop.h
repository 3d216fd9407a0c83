/* SPDX-License-Identifier: MIT */
/*
 * daemon/loop - the one thread that owns all state, and how other threads
 * reach it: a job is worked on elsewhere and finished here.
 * Must not know: models, requests, sockets.
 */
#ifndef FID_LOOP_H
#define FID_LOOP_H

#include <systemd/sd-event.h>

#include "base/base.h"

/* Embedded in whatever travels. No allocation, so posting cannot fail. */
struct fid_job {
	struct fid_job *next;
	void (*work)(struct fid_job *job);   /* on a worker's thread */
	void (*finish)(struct fid_job *job); /* on the loop */
	/* Over sooner than a sleeping thread wakes: loop and worker stay awake for FID_AWAKE_NS. */
	bool brief;
};
#define FID_AWAKE_NS 100000u

struct fid_loop;

int fid_loop_new(struct fid_loop **ret_loop);
void fid_loop_free(struct fid_loop *loop);
sd_event *fid_loop_event(struct fid_loop *loop); /* borrowed */
int fid_loop_run(struct fid_loop *loop);	 /* until fid_loop_stop() */
void fid_loop_stop(struct fid_loop *loop);

/** fid_loop_post - have job->finish run on the loop. Any thread. */
void fid_loop_post(struct fid_loop *loop, struct fid_job *job);

/** fid_loop_deliver - finish what was posted, now; false when there was nothing. Loop thread. */
bool fid_loop_deliver(struct fid_loop *loop);

/* A thread that works jobs off in order and posts each to the loop. */
struct fid_worker;

int fid_worker_new(struct fid_loop *loop, const char *name, struct fid_worker **ret_worker);
/**
 * fid_worker_free - ends the job at hand and joins. Jobs still queued are
 * posted without having been worked on: their owner knows that it is stopping.
 */
void fid_worker_free(struct fid_worker *worker);
/** fid_worker_add - queue a job; the callers bound how many there are. Loop thread. */
void fid_worker_add(struct fid_worker *worker, struct fid_job *job);

#endif
