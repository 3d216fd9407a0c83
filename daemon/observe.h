/* SPDX-License-Identifier: MIT */
/*
 * daemon/observe - arrivals seen by BPF become hints for the policy. Talks to
 * fid-probe, which holds the privileges, and reads the ring it was handed.
 * Must not know: frames, JSON. fid works the same without any of it.
 */
#ifndef FID_OBSERVE_H
#define FID_OBSERVE_H

#include "daemon/core.h"

struct fid_observe;

/**
 * fid_observe_new - connect to fid-probe; goes on trying every few seconds.
 * @param path  of its socket; NULL = do not observe
 * Return: 0 also when fid-probe is not there; -ENOMEM.
 */
int fid_observe_new(struct fid_core *core, struct fid_loop *loop, const char *path,
		    struct fid_observe **ret_observe);
void fid_observe_free(struct fid_observe *observe); /* before the core */

/** fid_observe_state - "on", "off", or why not. Borrowed until the next call. */
const char *fid_observe_state(const struct fid_observe *observe);

/**
 * fid_observe_port_add, _rm - count connections to a TCP port of fid's network
 * namespace as arrivals of @model, a known name without version.
 * Return: 0; -ENODEV not observing; -ENOENT no such port; what fid-probe says.
 */
int fid_observe_port_add(struct fid_observe *observe, const char *model, uint16_t port);
/** @netns  descriptor of the network namespace; -1: fid-probe's own */
int fid_observe_port_rm(struct fid_observe *observe, uint16_t port, int netns);

/*
 * Ports of what is no model: a key that no model's name hashes to stands for it.
 */
/** fid_observe_others - @arrived hears arrivals of such keys. Return of it: is the key its own? */
void fid_observe_others(struct fid_observe *observe,
			bool (*arrived)(void *ctx, uint64_t key, uint64_t time_ns), void *ctx);
/** fid_observe_key_add - Return: as for a port of a model; -EINVAL no network namespace. */
int fid_observe_key_add(struct fid_observe *observe, uint64_t key, uint16_t port, int netns);
/** fid_observe_key_rm - forget it and its ports. */
void fid_observe_key_rm(struct fid_observe *observe, uint64_t key);
/** fid_observe_key_wake - hear of its arrivals at once, or when it suits. */
void fid_observe_key_wake(struct fid_observe *observe, uint64_t key, bool at_once);

/* One thing that is watched. */
struct fid_observed {
	uint64_t hash; /* of the model's name, or a key */
	uint16_t port;
	uint64_t netns;
};
void fid_observe_ports(struct fid_observe *observe,
		       void (*each)(void *ctx, const struct fid_observed *port), void *ctx);

struct fid_observe_counts {
	uint64_t calls, connections; /* arrivals handed to the policy, by where they were seen */
	uint64_t apps;		     /* connections to ports of keys that are no models */
	uint64_t unknown;	     /* of names that are no models here */
	uint64_t lost;		     /* refused by a full ring, by all CPUs together */
	/* From the last arrival that made a model load, in the kernel, to its load submitted. */
	uint64_t last_load_after_ns;
};
void fid_observe_counts(struct fid_observe *observe, struct fid_observe_counts *ret);

#endif
