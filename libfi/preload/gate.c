/* SPDX-License-Identifier: MIT */
/*
 * preload: the gate. Threads count themselves in and out, each in a counter of
 * its own if there are few; closing it is a store and a look at every counter:
 * whoever counts in afterwards sees the gate closed and goes to wait.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "preload/preload.h"

#define DRAIN_NS 10000000000u /* so long calls may take and callers wait before a pause is given up */
#define LOOK_NS	 200000000u   /* a waiter looks again, in case nobody woke it */

struct fip_shard fip_shards[FIP_SHARDS];
atomic_int fip_gate;
_Thread_local unsigned fip_slot, fip_depth;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static uint64_t draining_since_ns; /* under the lock */
static atomic_uint n_waiting;

unsigned fip_slot_new(void)
{
	static atomic_uint last;

	return (atomic_fetch_add(&last, 1) % FIP_SHARDS) + FIP_SHARDS; /* never 0 */
}

static void pause_ns(long ns)
{
	struct timespec t = {0, ns};

	nanosleep(&t, NULL);
}

/* What runs may wait for one of those at the gate: then the pause is given up. Locked. */
static void give_up_late(void)
{
	int draining = FIP_DRAINING;

	if (fip_now_ns() - draining_since_ns > DRAIN_NS)
		atomic_compare_exchange_strong(&fip_gate, &draining, FIP_OPEN);
}

static void wait_open(void)
{
	struct timespec until;

	atomic_fetch_add(&n_waiting, 1);
	pthread_mutex_lock(&lock);
	while (atomic_load(&fip_gate) != FIP_OPEN) {
		fip_session_wake();
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += LOOK_NS;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&opened, &lock, &until);
		give_up_late();
	}
	pthread_mutex_unlock(&lock);
	atomic_fetch_sub(&n_waiting, 1);
}

void fip_enter_slowly(void)
{
	atomic_uint *inside = &fip_shards[fip_slot % FIP_SHARDS].inside;

	do {
		atomic_fetch_sub(inside, 1);
		wait_open();
		atomic_fetch_add(inside, 1);
	} while (atomic_load(&fip_gate) != FIP_OPEN);
}

bool fip_gate_wanted(void)
{
	return atomic_load(&n_waiting) != 0;
}

/* A waiter must not take the time of one pause for that of another. */
static uint64_t begin_draining(void)
{
	uint64_t now;

	pthread_mutex_lock(&lock);
	draining_since_ns = now = fip_now_ns();
	atomic_store(&fip_gate, FIP_DRAINING);
	pthread_mutex_unlock(&lock);
	return now;
}

/* A shard seen at zero stays without old callers: new ones turn round at the gate. */
static int wait_empty(uint64_t since)
{
	for (unsigned i = 0; i < FIP_SHARDS; i++)
		while (atomic_load(&fip_shards[i].inside)) {
			if (atomic_load(&fip_gate) == FIP_OPEN || fip_now_ns() - since > DRAIN_NS)
				return -EBUSY;
			pause_ns(20000);
		}
	return 0;
}

int fip_gate_drain(void)
{
	uint64_t since = fip_now_ns();
	int err;

	do {
		while (atomic_load(&fip_captures)) {
			if (fip_now_ns() - since > DRAIN_NS)
				return -EBUSY;
			pause_ns(1000000);
		}
		err = wait_empty(begin_draining());
		if (err || atomic_load(&fip_captures))
			fip_gate_open();
	} while (!err && atomic_load(&fip_captures));
	return err;
}

int fip_gate_close(void)
{
	int draining = FIP_DRAINING;

	return atomic_compare_exchange_strong(&fip_gate, &draining, FIP_CLOSED) ? 0 : -ECANCELED;
}

void fip_gate_open(void)
{
	pthread_mutex_lock(&lock);
	atomic_store(&fip_gate, FIP_OPEN);
	pthread_cond_broadcast(&opened);
	pthread_mutex_unlock(&lock);
}

/* The child has one thread, and a driver that refuses everything. */
void fip_gate_forked(void)
{
	atomic_store(&fip_gate, FIP_OPEN);
	memset(fip_shards, 0, sizeof(fip_shards));
	if (fip_depth)
		atomic_store(&fip_shards[fip_slot % FIP_SHARDS].inside, 1);
}
