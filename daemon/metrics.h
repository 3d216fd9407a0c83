/* SPDX-License-Identifier: MIT */
/*
 * daemon/metrics - counters and histograms of what the core did, and their
 * text for Prometheus (Documentation/formats/metrics.md). Loop thread only.
 * Must not know: the core, sockets, HTTP; it is told, it never asks.
 */
#ifndef FID_METRICS_H
#define FID_METRICS_H

#include "base/base.h"
#include "policy/policy.h"

struct fid_metrics;

/** fid_metrics_new - @models_max bounds the model numbers. 0; -ENOMEM. */
int fid_metrics_new(uint32_t models_max, struct fid_metrics **ret_metrics);
void fid_metrics_free(struct fid_metrics *metrics);

/* One request that has ended. Stages it never reached are 0 and not observed. */
struct fid_metrics_request {
	uint32_t model;	  /* number, FINF_MODEL_NONE when no such model was found */
	const char *name; /* copied when its first request ends */
	uint32_t version;
	int result;
	bool cold, ran;
	uint64_t queue_ns; /* arrival to run, or to the end without one */
	uint64_t load_ns;  /* of the load it waited for */
	uint64_t run_ns;
};
void fid_metrics_request(struct fid_metrics *metrics, const struct fid_metrics_request *request);

/** fid_metrics_load - a swap-in ended; @bytes and @ns count when @result is 0. */
void fid_metrics_load(struct fid_metrics *metrics, int result, uint64_t bytes, uint64_t ns);
void fid_metrics_eviction(struct fid_metrics *metrics, enum finf_reason reason, uint64_t bytes);
void fid_metrics_device_reset(struct fid_metrics *metrics);
void fid_metrics_arrival(struct fid_metrics *metrics, enum finf_arrival source);
/* What became of a faster form of weights: a given one was made, or being made; of those, a slower
 * one was not worth its bytes. */
enum fid_fast_outcome { FID_FAST_MADE = 0, FID_FAST_FAILED, FID_FAST_GIVEN_BACK, FID_FAST_SLOWER };
#define FID_FAST_OUTCOMES 4
void fid_metrics_fast(struct fid_metrics *metrics, enum fid_fast_outcome outcome);
/** fid_metrics_forget - the model is removed: its series end, its number may come again. */
void fid_metrics_forget(struct fid_metrics *metrics, uint32_t model);

enum fid_door { FID_DOOR_UNIX = 0, FID_DOOR_HTTP, FID_DOORS };
/** fid_metrics_connected - @change is 1 for a new connection, -1 for one that ended. */
void fid_metrics_connected(struct fid_metrics *metrics, enum fid_door door, int change);

/* What is true now, asked of the core by whoever wants the text. */
struct fid_metrics_now {
	const char *version, *device;
	uint64_t weight_bytes, arena_bytes, free_bytes;
	uint64_t fast_bytes; /* of the weights: faster forms */
	uint32_t residency[FINF_EVICTING + 1]; /* ready models, by enum finf_residency */
	uint32_t preparing, failed;
	uint32_t queued, running;
	struct finf_policy_prefetch prefetch;
};
/** fid_metrics_text - exposition format 0.0.4; appended to @buf, whose err tells. */
void fid_metrics_text(const struct fid_metrics *metrics, const struct fid_metrics_now *now,
		      struct finf_buf *buf);

#endif
