/* SPDX-License-Identifier: MIT */
/*
 * policy: one table per situation. A row is an event and the whole of what must
 * come back; after each step every invariant is recomputed from scratch.
 * The pool has 100 bytes; time is the number of the row.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/priv.h"
#include "tests/support/support.h"

#define ROWS_MAX 64

struct row {
	struct finf_event event;
	const char *want; /* NULL ends the table; "" = nothing is done */
	int err;	  /* instead of actions */
};

struct scenario {
	const char *name;
	uint32_t runs_max, loads_max, requests_max;
	struct row rows[ROWS_MAX];
};

#define ADD(m, weights, arena) {{FINF_EV_ADD, m, 0, weights, arena}, "", 0}
#define REQ(m, id, want) {{FINF_EV_REQUEST, m, id, 0, 0}, want, 0}
#define EV(kind, m, id, a, want) {{FINF_EV_##kind, m, id, a, 0}, want, 0}
#define BAD(kind, m, id, a, err) {{FINF_EV_##kind, m, id, a, 0}, "", err}
#define TICK(want) EV(TICK, FINF_MODEL_NONE, 0, 0, want)
#define RAN(m, id, want) EV(RAN, m, id, 0, want)
/* A model that is resident and at rest; @id is used and answered. */
#define WARM(m, id) \
	EV(LOAD, m, id, 0, "load " #m), EV(LOADED, m, 0, 0, "reply #" #id " 0"), TICK("")

static const struct scenario scenarios[] = {
	{"first request loads, streams, runs, answers; the second runs at once", 1, 1, 8, {
		ADD(0, 40, 10),
		REQ(0, 1, "load 0"),
		TICK("run #1"), /* not together with its load, but before it is done */
		EV(LOADED, 0, 0, 0, ""),
		RAN(0, 1, "reply #1 0"),
		REQ(0, 2, "run #2"),
		EV(RAN, 0, 2, EIO, "reply #2 EIO (done)"),
	}},
	{"single flight: many requests, one load; runs in order of request", 1, 1, 8, {
		ADD(0, 40, 10),
		REQ(0, 1, "load 0"),
		REQ(0, 2, ""),
		TICK("run #1"),
		REQ(0, 3, ""),
		EV(LOADED, 0, 0, 0, ""),
		RAN(0, 1, "reply #1 0; run #2"),
		RAN(0, 2, "reply #2 0; run #3"),
	}},
	{"refusals", 1, 1, 2, {
		ADD(0, 90, 11),
		ADD(1, 50, 10),
		REQ(7, 1, "reply #1 ENOENT (none)"),
		REQ(1000, 1, "reply #1 ENOENT (none)"),
		REQ(0, 1, "reply #1 ENOBUFS (larger than the pool)"),
		{{FINF_EV_REQUEST, 1, 1, 0, 51}, "reply #1 ENOBUFS (larger than the pool)", 0},
		{{FINF_EV_REQUEST, 1, 1, 0, UINT64_MAX},
		 "reply #1 ENOBUFS (larger than the pool)", 0},
		{{FINF_EV_REQUEST, 1, 1, 3, 0}, "reply #1 ETIME (deadline passed)", 0},
		REQ(1, 1, "load 1"),
		REQ(1, 2, ""),
		TICK("run #1"),
		REQ(1, 3, "reply #3 EAGAIN (queue full)"),
		BAD(REQUEST, 1, 2, 0, -EINVAL), /* an id twice */
		BAD(REQUEST, 1, 0, 0, -EINVAL),
		EV(DRAIN, FINF_MODEL_NONE, 0, 0, ""),
		REQ(1, 3, "reply #3 ESHUTDOWN (draining)"),
		EV(PIN, 1, 3, 1, "reply #3 ESHUTDOWN (draining)"),
		RAN(1, 1, "reply #1 0"),
		EV(LOADED, 1, 0, 0, "run #2"),
		RAN(1, 2, "reply #2 0"),
	}},
	{"events that make no sense change nothing", 1, 1, 4, {
		ADD(0, 40, 10),
		BAD(ADD, 0, 0, 5, -EINVAL),
		BAD(ADD, 1, 0, UINT64_MAX, -EINVAL),
		BAD(ADD, 1000, 0, 1, -EINVAL),
		BAD(LOADED, 0, 0, 0, -EINVAL),
		BAD(LOADED, FINF_MODEL_NONE, 0, 0, -EINVAL),
		BAD(LOAD_FAILED, 0, 0, EIO, -EINVAL),
		BAD(NO_PLACE, 0, 0, 0, -EINVAL),
		BAD(NO_PLACE, 0, 9, 0, -EINVAL),
		BAD(EVICTED, 0, 0, 0, -EINVAL),
		BAD(RAN, 0, 1, 0, -EINVAL),
		BAD(COMPACTED, 0, 0, 0, -EINVAL),
		BAD(REMOVE, 1, 0, 0, -EINVAL),
		{{99, 0, 0, 0, 0}, "", -EINVAL},
		{{0, 0, 0, 0, 0}, "", -EINVAL},
		REQ(0, 1, "load 0"),
		BAD(LOAD_FAILED, 0, 0, 0, -EINVAL),
		TICK("run #1"),
		BAD(RAN, 1, 1, 0, -EINVAL),
		BAD(NO_PLACE, 0, 0, 0, -EINVAL), /* too late: it runs */
	}},
	{"a fault takes all that is there; who waits is served after it", 2, 1, 8, {
		ADD(0, 20, 5), ADD(1, 20, 5), ADD(2, 20, 5), ADD(3, 20, 5),
		WARM(0, 1), WARM(1, 2),
		EV(PIN, 1, 3, 1, "reply #3 0"),
		REQ(0, 4, "run #4"),
		REQ(0, 5, "run #5"),
		REQ(2, 6, "load 2"),
		REQ(1, 7, ""),
		BAD(DEVICE_BACK, FINF_MODEL_NONE, 0, 0, -EINVAL),
		EV(DEVICE_LOST, FINF_MODEL_NONE, 0, 0,
		   "cancel 2; evict 1 (device fault); evict 0 (device fault)"),
		BAD(DEVICE_LOST, FINF_MODEL_NONE, 0, 0, -EINVAL),
		EV(EVICTED, 0, 0, 0, ""), EV(EVICTED, 1, 0, 0, ""),
		EV(RAN, 0, 4, EREMOTEIO, "reply #4 EREMOTEIO (device fault)"),
		BAD(DEVICE_BACK, FINF_MODEL_NONE, 0, 0, -EINVAL), /* 0 runs, 2 loads */
		RAN(0, 5, "reply #5 0"), /* was through before */
		REQ(0, 8, ""),
		EV(LOAD_FAILED, 2, 0, ECANCELED, ""),
		TICK(""),
		EV(DEVICE_BACK, FINF_MODEL_NONE, 0, 0, "load 2"),
		EV(LOADED, 2, 0, 0, "load 1; run #6"),
		EV(LOADED, 1, 0, 0, "load 0; run #7"),
		EV(LOADED, 0, 0, 0, ""),
		RAN(2, 6, "reply #6 0; run #8"),
		RAN(1, 7, "reply #7 0"),
		RAN(0, 8, "reply #8 0"),
		EV(UNLOAD, 1, 9, 0, "reply #9 EBUSY (busy or pinned)"), /* still pinned */
	}},
	{"a pin outlives a fault with nobody asking, unless it cannot be loaded", 1, 1, 8, {
		ADD(0, 20, 5), ADD(1, 20, 5),
		WARM(0, 1),
		EV(PIN, 0, 2, 1, "reply #2 0"),
		EV(DEVICE_LOST, FINF_MODEL_NONE, 0, 0, "evict 0 (device fault)"),
		EV(EVICTED, 0, 0, 0, ""),
		EV(PIN, 1, 3, 1, ""), /* asked for meanwhile */
		EV(DEVICE_BACK, FINF_MODEL_NONE, 0, 0, "load 0"),
		EV(LOAD_FAILED, 0, 0, EIO, "load 1"),
		EV(LOADED, 1, 0, 0, "reply #3 0"),
		EV(UNLOAD, 0, 4, 0, "reply #4 0"), /* no longer pinned */
		EV(DEVICE_LOST, FINF_MODEL_NONE, 0, 0, "evict 1 (device fault)"),
		EV(EVICTED, 1, 0, 0, ""),
		EV(PIN, 1, 5, 0, "reply #5 0"),
		EV(DEVICE_BACK, FINF_MODEL_NONE, 0, 0, ""), /* nobody wants it any more */
	}},
	{"a device that does not come back: everybody is told", 1, 1, 8, {
		ADD(0, 40, 10), ADD(1, 40, 10),
		WARM(0, 1),
		EV(PIN, 0, 2, 1, "reply #2 0"),
		REQ(0, 3, "run #3"),
		EV(DEVICE_LOST, FINF_MODEL_NONE, 0, 0, "evict 0 (device fault)"),
		EV(EVICTED, 0, 0, 0, ""),
		EV(RAN, 0, 3, EREMOTEIO, "reply #3 EREMOTEIO (device fault)"),
		REQ(1, 4, ""),
		EV(LOAD, 1, 5, 0, ""),
		EV(DEVICE_BACK, FINF_MODEL_NONE, 0, ENODEV,
		   "reply #5 EREMOTEIO (device fault); reply #4 EREMOTEIO (device fault)"),
		REQ(1, 6, "reply #6 EREMOTEIO (device fault)"),
		EV(PIN, 1, 7, 1, "reply #7 EREMOTEIO (device fault)"),
		EV(UNLOAD, 0, 8, 0, "reply #8 0"),
		EV(REMOVE, 0, 9, 0, "reply #9 0"),
		BAD(DEVICE_BACK, FINF_MODEL_NONE, 0, 0, -EINVAL),
	}},
	{"a fault while extents are moved, and while bytes are in pieces", 1, 1, 8, {
		ADD(0, 30, 0), ADD(1, 30, 0), ADD(2, 30, 0),
		WARM(0, 1), WARM(1, 2),
		REQ(2, 3, "load 2"),
		EV(NO_PLACE, 2, 0, 0, "compact 2"),
		EV(DEVICE_LOST, FINF_MODEL_NONE, 0, 0,
		   "evict 1 (device fault); evict 0 (device fault)"),
		EV(EVICTED, 0, 0, 0, ""), EV(EVICTED, 1, 0, 0, ""),
		BAD(DEVICE_BACK, FINF_MODEL_NONE, 0, 0, -EINVAL),
		EV(COMPACTED, FINF_MODEL_NONE, 0, EREMOTEIO, ""),
		EV(DEVICE_BACK, FINF_MODEL_NONE, 0, 0, "load 2"),
		EV(LOADED, 2, 0, 0, "run #3"),
		RAN(2, 3, "reply #3 0"),
	}},
	{"evicts the least recently used and no more than needed", 1, 1, 8, {
		ADD(0, 20, 0), ADD(1, 20, 0), ADD(2, 20, 0), ADD(3, 20, 0), ADD(4, 50, 0),
		WARM(0, 1), WARM(1, 2), WARM(2, 3), WARM(3, 4),
		REQ(0, 5, "run #5"),
		RAN(0, 5, "reply #5 0"),
		REQ(4, 6, "evict 1>4 (room for weights); evict 2>4 (room for weights)"),
		EV(EVICTED, 1, 0, 0, ""),
		EV(EVICTED, 2, 0, 0, "load 4"),
		EV(LOADED, 4, 0, 0, "run #6"),
		RAN(4, 6, "reply #6 0"),
	}},
	{"what is running or pinned is not evicted", 2, 1, 8, {
		ADD(0, 40, 0), ADD(1, 40, 0), ADD(2, 40, 0),
		WARM(0, 1), WARM(1, 2),
		EV(PIN, 0, 3, 1, "reply #3 0"),
		REQ(1, 4, "run #4"),
		REQ(2, 5, ""), /* must wait for 1 */
		RAN(1, 4, "reply #4 0; evict 1>2 (room for weights)"),
		EV(UNLOAD, 0, 6, 0, "reply #6 EBUSY (busy or pinned)"),
		EV(EVICTED, 1, 0, 0, "load 2"),
		EV(PIN, 0, 7, 0, "reply #7 0"),
		EV(UNLOAD, 0, 8, 0, "evict 0 (operator)"),
		EV(EVICTED, 0, 0, 0, "reply #8 0"),
		TICK("run #5"),
	}},
	{"activations make room too, and wait their turn", 1, 1, 8, {
		ADD(0, 40, 10), ADD(1, 40, 10),
		WARM(0, 1), WARM(1, 2),
		{{FINF_EV_REQUEST, 1, 3, 0, 30}, "evict 0>1 (room for activations)", 0},
		EV(EVICTED, 0, 0, 0, "run #3"),
		REQ(0, 4, ""), /* 40 + 40 + 30 do not fit while 3 runs */
		RAN(1, 3, "reply #3 0; load 0"),
	}},
	{"room for activations is not lost to a later cold model", 1, 1, 8, {
		ADD(0, 40, 10), ADD(1, 20, 10), ADD(2, 20, 0), ADD(3, 15, 0),
		WARM(0, 1), WARM(1, 2), WARM(2, 3),
		{{FINF_EV_REQUEST, 0, 4, 0, 30}, "evict 1>0 (room for activations)", 0},
		REQ(2, 5, "run #5"),
		REQ(3, 6, ""),
		EV(EVICTED, 1, 0, 0, ""), /* 4 is first, and nothing can run yet */
		RAN(2, 5, "reply #5 0; run #4; evict 2>3 (room for weights)"),
		EV(EVICTED, 2, 0, 0, "load 3"),
	}},
	{"nobody is evicted for a request that is gone", 1, 1, 8, {
		ADD(0, 20, 0), ADD(1, 20, 0),
		WARM(0, 1),
		REQ(1, 2, "load 1"),
		EV(NO_PLACE, 1, 0, 0, "compact 1"),
		EV(COMPACTED, 0, 0, 0, "load 1"),
		REQ(0, 3, "run #3"),
		EV(NO_PLACE, 1, 0, 0, ""), /* one more has to go, but 0 runs */
		EV(CANCEL, 0, 2, 0, ""),
		RAN(0, 3, "reply #3 0"),
		REQ(1, 4, "load 1"),
	}},
	{"a request that no longer fits beside a pin is refused", 1, 1, 8, {
		ADD(0, 60, 10), ADD(1, 40, 10), ADD(2, 30, 10),
		EV(PIN, 0, 1, 1, "load 0"),
		EV(PIN, 1, 2, 1, "reply #2 ENOBUFS (busy or pinned)"),
		REQ(1, 3, "reply #3 ENOBUFS (busy or pinned)"),
		EV(LOADED, 0, 0, 0, "reply #1 0"),
		EV(LOAD, 1, 3, 0, "reply #3 ENOBUFS (busy or pinned)"),
		REQ(2, 4, "load 2"),
	}},
	{"a pin that comes after the request", 1, 1, 8, {
		ADD(0, 60, 0), ADD(1, 50, 0),
		WARM(0, 1),
		REQ(0, 2, "run #2"),
		REQ(1, 3, ""),
		EV(PIN, 0, 4, 1, "reply #4 0"),
		RAN(0, 2, "reply #2 0; reply #3 ENOBUFS (busy or pinned)"),
	}},
	{"a pin that fails is none", 1, 1, 8, {
		ADD(0, 60, 0), ADD(1, 50, 0),
		EV(PIN, 0, 1, 1, "load 0"),
		EV(LOAD_FAILED, 0, 0, EBADMSG, "reply #1 EBADMSG (load failed)"),
		REQ(1, 2, "load 1"),
	}},
	{"a failed load answers everybody who waited; the running one reports itself", 1, 1, 8, {
		ADD(0, 40, 10),
		REQ(0, 1, "load 0"),
		REQ(0, 2, ""),
		TICK("run #1"),
		EV(LOAD, 0, 3, 0, ""),
		EV(LOAD_FAILED, 0, 0, EIO,
		   "reply #3 EIO (load failed); reply #2 EIO (load failed)"),
		REQ(0, 4, ""), /* not before the old run is gone */
		EV(RAN, 0, 1, EIO, "reply #1 EIO (load failed); load 0"),
	}},
	{"no place: compact once, then evict one more at a time, then give up", 1, 1, 8, {
		ADD(0, 20, 0), ADD(1, 20, 0), ADD(2, 30, 0),
		WARM(0, 1), WARM(1, 2),
		REQ(0, 3, "run #3"),
		REQ(2, 4, "load 2"),
		EV(NO_PLACE, 2, 0, 0, ""), /* 3 still runs */
		REQ(1, 5, ""),
		RAN(0, 3, "reply #3 0; compact 2"),
		REQ(0, 6, ""),
		EV(UNLOAD, 1, 7, 0, "reply #7 EBUSY (busy or pinned)"),
		EV(COMPACTED, 0, 0, 0, "load 2; run #5"),
		EV(NO_PLACE, 2, 0, 0, ""),
		RAN(1, 5, "reply #5 0; evict 1>2 (fragmented: no hole large enough); run #6"),
		EV(EVICTED, 1, 0, 0, "load 2"),
		EV(NO_PLACE, 2, 0, 0, ""),
		RAN(0, 6, "reply #6 0; evict 0>2 (fragmented: no hole large enough)"),
		EV(EVICTED, 0, 0, 0, "load 2"),
		EV(NO_PLACE, 2, 0, 0, "reply #4 ENOBUFS (fragmented: no hole large enough)"),
	}},
	{"no place for a larger arena zone: the run goes back to the front", 1, 1, 8, {
		ADD(0, 20, 10), ADD(1, 20, 10),
		WARM(0, 1), WARM(1, 2),
		{{FINF_EV_REQUEST, 1, 3, 0, 40}, "run #3", 0},
		REQ(1, 4, ""),
		EV(NO_PLACE, 1, 3, 0, "compact 1"),
		EV(COMPACTED, 0, 0, EOPNOTSUPP, "run #3"),
		EV(NO_PLACE, 1, 3, 0, "evict 0>1 (fragmented: no hole large enough)"),
		EV(EVICTED, 0, 0, 0, "run #3"),
		EV(NO_PLACE, 1, 3, 0,
		   "reply #3 ENOBUFS (fragmented: no hole large enough); run #4"),
	}},
	{"no place for the arena zone of a run that streams: it waits for the load", 1, 1, 8, {
		ADD(0, 20, 10), ADD(1, 20, 10),
		WARM(0, 1),
		{{FINF_EV_REQUEST, 1, 2, 0, 40}, "load 1", 0},
		TICK("run #2"),
		EV(NO_PLACE, 1, 2, 0, ""),
		TICK(""),
		EV(LOADED, 1, 0, 0, "run #2"),
		EV(NO_PLACE, 1, 2, 0, "compact 1"),
		EV(COMPACTED, 0, 0, 0, "run #2"),
		RAN(1, 2, "reply #2 0"),
	}},
	{"nobody wants the compaction any more", 1, 1, 8, {
		ADD(0, 20, 0), ADD(1, 20, 0),
		WARM(0, 1),
		REQ(0, 2, "run #2"),
		REQ(1, 3, "load 1"),
		EV(NO_PLACE, 1, 0, 0, ""),
		EV(CANCEL, 0, 3, 0, ""),
		RAN(0, 2, "reply #2 0"),
	}},
	{"cancel: queued vanishes, running falls silent, a load for nobody is given up", 1, 1, 8, {
		ADD(0, 40, 0),
		REQ(0, 1, "load 0"),
		REQ(0, 2, ""),
		TICK("run #1"),
		EV(CANCEL, 0, 2, 0, ""),
		EV(CANCEL, 0, 1, 0, "cancel 0"),
		EV(CANCEL, 0, 1, 0, ""),
		REQ(0, 3, ""), /* comes after the cancel: wants a load of its own */
		EV(LOAD_FAILED, 0, 0, ECANCELED, ""),
		EV(RAN, 0, 1, ECANCELED, "load 0"),
		EV(LOADED, 0, 0, 0, "run #3"),
		EV(CANCEL, 0, 3, 0, ""),
		EV(CANCEL, 0, 77, 0, ""),
		RAN(0, 3, ""),
	}},
	{"a cancelled load that was faster", 1, 1, 8, {
		ADD(0, 40, 0),
		REQ(0, 1, "load 0"),
		EV(CANCEL, 0, 1, 0, "cancel 0"),
		REQ(0, 2, ""),
		EV(LOADED, 0, 0, 0, "run #2"),
	}},
	{"a cancelled pin stays a pin", 1, 1, 8, {
		ADD(0, 60, 0), ADD(1, 60, 0),
		EV(PIN, 0, 1, 1, "load 0"),
		EV(CANCEL, 0, 1, 0, ""),
		EV(LOADED, 0, 0, 0, ""),
		REQ(1, 2, "reply #2 ENOBUFS (busy or pinned)"),
	}},
	{"remove", 1, 1, 8, {
		ADD(0, 40, 0), ADD(1, 40, 0),
		EV(REMOVE, 1, 1, 0, "reply #1 0"),
		EV(REMOVE, 1, 1, 0, "reply #1 ENOENT (none)"),
		REQ(0, 2, "load 0"),
		EV(REMOVE, 0, 3, 0, "reply #3 EBUSY (busy or pinned)"),
		TICK("run #2"),
		BAD(REMOVE, 0, 0, 0, -EBUSY),
		EV(LOADED, 0, 0, 0, ""),
		RAN(0, 2, "reply #2 0"),
		EV(REMOVE, 0, 3, 0, "evict 0 (operator)"),
		REQ(0, 4, "reply #4 ENOENT (none)"),
		BAD(ADD, 0, 0, 10, -EINVAL),
		EV(EVICTED, 0, 0, 0, "reply #3 0"),
		ADD(0, 10, 0),
		EV(REMOVE, 0, 0, 0, ""),
		ADD(0, 10, 0),
	}},
	{"unload and load", 1, 1, 8, {
		ADD(0, 40, 0),
		EV(UNLOAD, 0, 1, 0, "reply #1 0"),
		EV(UNLOAD, 5, 1, 0, "reply #1 ENOENT (none)"),
		EV(LOAD, 0, 1, 0, "load 0"),
		EV(LOAD, 0, 2, 0, ""),
		EV(UNLOAD, 0, 3, 0, "reply #3 EBUSY (busy or pinned)"),
		EV(LOADED, 0, 0, 0, "reply #1 0; reply #2 0"),
		EV(LOAD, 0, 4, 0, "reply #4 0"),
		EV(UNLOAD, 0, 5, 0, "evict 0 (operator)"),
		EV(UNLOAD, 0, 6, 0, ""),
		EV(CANCEL, 0, 5, 0, ""),
		REQ(0, 7, ""),
		EV(EVICTED, 0, 0, 0, "reply #6 0; load 0"),
	}},
	{"deadlines", 1, 1, 8, {
		ADD(0, 40, 0),
		{{FINF_EV_REQUEST, 0, 1, 5, 0}, "load 0", 0},
		TICK("run #1"),
		{{FINF_EV_REQUEST, 0, 2, 6, 0}, "", 0},
		{{FINF_EV_REQUEST, 0, 3, 5, 0}, "", 0}, /* row 4 */
		TICK("reply #3 ETIME (deadline passed)"),
		TICK("reply #2 ETIME (deadline passed)"), /* 1 runs: it is not interrupted */
		RAN(0, 1, "reply #1 0"),
	}},
	{"the cold head is not overtaken by a later, smaller one", 1, 2, 8, {
		ADD(0, 60, 0), ADD(1, 80, 0), ADD(2, 10, 0),
		WARM(0, 1),
		REQ(0, 2, "run #2"),
		REQ(1, 3, ""),
		REQ(2, 4, ""), /* 10 would fit, but 1 is first */
		RAN(0, 2, "reply #2 0; evict 0>1 (room for weights)"),
		EV(EVICTED, 0, 0, 0, "load 1; load 2"),
	}},
	{"two that exclude each other take turns", 1, 1, 8, {
		ADD(0, 60, 0), ADD(1, 60, 0),
		REQ(0, 1, "load 0"),
		REQ(1, 2, ""),
		TICK("run #1"),
		REQ(0, 3, ""),
		EV(LOADED, 0, 0, 0, ""),
		RAN(0, 1, "reply #1 0; run #3"), /* younger than 2, but it is here */
		RAN(0, 3, "reply #3 0; evict 0>1 (room for weights)"),
		REQ(0, 4, ""),
		EV(EVICTED, 0, 0, 0, "load 1"),
		EV(LOADED, 1, 0, 0, "run #2"),
		RAN(1, 2, "reply #2 0; evict 1>0 (room for weights)"),
	}},
	{"a slot is not held for a load while others can run", 1, 1, 8, {
		ADD(0, 40, 0), ADD(1, 40, 0),
		WARM(0, 1),
		REQ(0, 2, "run #2"),
		REQ(1, 3, "load 1"),
		REQ(0, 4, ""),
		RAN(0, 2, "reply #2 0; run #4"),
		RAN(0, 4, "reply #4 0"),
		TICK("run #3"),
	}},
};

/* ---- running a table ------------------------------------------------------ */

static void put_action(char *text, size_t len, const struct finf_action *a)
{
	size_t at = strlen(text);
	const char *sep = at ? "; " : "";
	bool why = false;

	text += at;
	len -= at;
	if (a->kind == FINF_DO_LOAD || a->kind == FINF_DO_COMPACT) {
		snprintf(text, len, "%s%s %u", sep, finf_action_kind_text(a->kind), a->model);
	} else if (a->kind == FINF_DO_CANCEL_LOAD) {
		snprintf(text, len, "%scancel %u", sep, a->model);
	} else if (a->kind == FINF_DO_RUN) {
		snprintf(text, len, "%srun #%u", sep, (unsigned)a->id);
	} else if (a->kind == FINF_DO_REPLY) {
		snprintf(text, len, "%sreply #%u %s", sep, (unsigned)a->id,
			 a->a ? strerrorname_np((int)a->a) : "0");
		why = a->a;
	} else if (a->other != FINF_MODEL_NONE) {
		snprintf(text, len, "%sevict %u>%u", sep, a->model, a->other);
		why = true;
	} else {
		snprintf(text, len, "%sevict %u", sep, a->model);
		why = true;
	}
	at = strlen(text);
	if (why)
		snprintf(text + at, len - at, " (%s)", finf_reason_text(a->reason));
}

START_TEST(scenario)
{
	const struct scenario *sc = &scenarios[_i];
	struct finf_policy_opts opts = {
		.size = sizeof(opts),
		.pool_bytes = 100,
		.models_max = 8,
		.requests_max = sc->requests_max,
		.runs_max = sc->runs_max,
		.loads_max = sc->loads_max,
	};
	struct finf_action actions[FINF_POLICY_ACTIONS_MAX];
	struct finf_diag diag = {""};
	struct finf_policy *p;

	ck_assert_int_eq(finf_policy_new(&opts, &p, &diag), 0);
	for (unsigned i = 0; i < ROWS_MAX && sc->rows[i].want; i++) {
		char got[512] = "";
		int n = finf_policy_step(p, &sc->rows[i].event, i, actions);

		ck_assert_msg(FINF_MIN(n, 0) == sc->rows[i].err, "%s, row %u: returned %d",
			      sc->name, i, n);
		for (int k = 0; k < n; k++)
			put_action(got, sizeof(got), &actions[k]);
		ck_assert_msg(!strcmp(got, sc->rows[i].want),
			      "%s, row %u (%s):\n got \"%s\"\nwant \"%s\"",
			      sc->name, i, finf_event_kind_text(sc->rows[i].event.kind), got,
			      sc->rows[i].want);
		ck_assert_msg(!finf_policy_check(p, &diag), "%s, row %u: %s", sc->name, i,
			      diag.text);
	}
	finf_policy_free(p);
}
END_TEST

/* ---- what does not fit a table -------------------------------------------- */

static struct finf_policy *make(uint32_t models, uint32_t requests, uint32_t runs)
{
	struct finf_policy_opts opts = {
		.size = sizeof(opts),
		.pool_bytes = 100,
		.models_max = models,
		.requests_max = requests,
		.runs_max = runs,
		.loads_max = 1,
	};
	struct finf_policy *p;

	ck_assert_int_eq(finf_policy_new(&opts, &p, NULL), 0);
	return p;
}

static int step(struct finf_policy *p, uint32_t kind, uint32_t model, uint64_t id, uint64_t a,
		struct finf_action *actions)
{
	struct finf_event event = {.kind = kind, .model = model, .id = id, .a = a};
	struct finf_diag diag = {""};
	int n = finf_policy_step(p, &event, p->now + 1, actions);

	ck_assert_msg(!finf_policy_check(p, &diag), "%s", diag.text);
	return n;
}

/* 1,000 answers are due at once: they come 64 a step, none is lost, none comes twice. */
START_TEST(more_than_one_step_holds)
{
	struct finf_policy *p = make(2, 1000, 1);
	struct finf_action actions[FINF_POLICY_ACTIONS_MAX];
	bool seen[1001] = {0};
	int n, total = 0;

	step(p, FINF_EV_ADD, 0, 0, 10, actions);
	for (uint32_t id = 1; id <= 1000; id++)
		step(p, FINF_EV_LOAD, 0, id, 0, actions);
	n = step(p, FINF_EV_LOAD_FAILED, 0, 0, EIO, actions);
	while (n > 0) {
		ck_assert_int_le(n, FINF_POLICY_ACTIONS_MAX);
		for (int i = 0; i < n; i++) {
			ck_assert_uint_eq(actions[i].kind, FINF_DO_REPLY);
			ck_assert_uint_eq(actions[i].a, EIO);
			ck_assert(!seen[actions[i].id]);
			seen[actions[i].id] = true;
		}
		total += n;
		ck_assert_uint_eq(finf_policy_deadline(p),
				  n == FINF_POLICY_ACTIONS_MAX ? 0 : UINT64_MAX);
		n = step(p, FINF_EV_TICK, FINF_MODEL_NONE, 0, 0, actions);
	}
	ck_assert_int_eq(total, 1000);
	finf_policy_free(p);
}
END_TEST

/* A model that is always asked for can't keep a cold one out for ever. */
START_TEST(no_starvation)
{
	struct finf_policy *p = make(2, 64, 1);
	struct finf_action actions[FINF_POLICY_ACTIONS_MAX];
	uint64_t id = 1;
	int n, runs = 0;

	step(p, FINF_EV_ADD, 0, 0, 60, actions);
	step(p, FINF_EV_ADD, 1, 0, 60, actions);
	step(p, FINF_EV_REQUEST, 0, id++, 0, actions);
	step(p, FINF_EV_LOADED, 0, 0, 0, actions);
	step(p, FINF_EV_REQUEST, 1, 1000, 0, actions);
	for (;;) {
		uint64_t running = id - 1;

		step(p, FINF_EV_REQUEST, 0, id++, 0, actions);
		n = step(p, FINF_EV_RAN, 0, running, 0, actions);
		ck_assert_int_eq(n, 2);
		if (actions[1].kind == FINF_DO_EVICT)
			break;
		ck_assert_uint_eq(actions[1].kind, FINF_DO_RUN);
		ck_assert_int_le(++runs, FINF_POLICY_PASS_MAX);
	}
	ck_assert_int_eq(runs, FINF_POLICY_PASS_MAX);
	ck_assert_uint_eq(actions[1].model, 0);
	ck_assert_uint_eq(actions[1].other, 1);
	finf_policy_free(p);
}
END_TEST

/* The zone holds one arena per executing slot, of the largest there is. */
START_TEST(zone_of_runs)
{
	struct finf_policy *p = make(4, 8, 3);
	struct finf_action actions[FINF_POLICY_ACTIONS_MAX];
	struct finf_event add = {.kind = FINF_EV_ADD, .model = 0, .a = 10, .b = 7};
	struct finf_event big = {.kind = FINF_EV_REQUEST, .model = 0, .id = 2, .b = 25};
	uint64_t weights, zone;

	ck_assert_int_eq(finf_policy_step(p, &add, 1, actions), 0);
	ck_assert_int_eq(step(p, FINF_EV_LOAD, 0, 1, 0, actions), 1);
	ck_assert_uint_eq(actions[0].a, 21);
	ck_assert_uint_eq(actions[0].b, 10);
	step(p, FINF_EV_LOADED, 0, 0, 0, actions);
	ck_assert_int_eq(finf_policy_step(p, &big, p->now, actions), 1);
	ck_assert_uint_eq(actions[0].a, 75);
	finf_policy_bytes(p, &weights, &zone);
	ck_assert_uint_eq(weights, 10);
	ck_assert_uint_eq(zone, 75);
	step(p, FINF_EV_RAN, 0, 2, 0, actions);
	finf_policy_bytes(p, &weights, &zone);
	ck_assert_uint_eq(zone, 21);
	finf_policy_free(p);
}
END_TEST

START_TEST(what_status_sees)
{
	struct finf_policy *p = make(4, 8, 1);
	struct finf_action actions[FINF_POLICY_ACTIONS_MAX];
	struct finf_policy_model m;

	finf_policy_model(p, 99, &m);
	ck_assert(!m.known);
	step(p, FINF_EV_ADD, 2, 0, 10, actions);
	step(p, FINF_EV_REQUEST, 2, 1, 0, actions);
	step(p, FINF_EV_REQUEST, 2, 2, 0, actions);
	step(p, FINF_EV_TICK, FINF_MODEL_NONE, 0, 0, actions);
	finf_policy_model(p, 2, &m);
	ck_assert_int_eq(m.residency, FINF_LOADING);
	ck_assert_uint_eq(m.queued, 1);
	ck_assert_uint_eq(m.running, 1);
	step(p, FINF_EV_LOADED, 2, 0, 0, actions);
	finf_policy_model(p, 2, &m);
	ck_assert_int_eq(m.residency, FINF_RUNNING);
	ck_assert_uint_eq(m.loads, 1);
	ck_assert_uint_eq(m.requests, 2);
	step(p, FINF_EV_RAN, 2, 1, 0, actions);
	step(p, FINF_EV_RAN, 2, 2, 0, actions);
	finf_policy_model(p, 2, &m);
	ck_assert_int_eq(m.residency, FINF_RESIDENT);
	ck_assert_uint_eq(m.last_used_ns, p->now);
	finf_policy_free(p);
}
END_TEST

START_TEST(options)
{
	const struct finf_policy_opts good = {
		.size = sizeof(good), .pool_bytes = 1, .models_max = 1, .requests_max = 1,
		.runs_max = 1, .loads_max = 1, .evict = "lru",
	};
	struct finf_policy_opts bad[7];
	struct finf_policy *p = NULL;
	struct finf_diag diag;

	for (size_t i = 0; i < FINF_ARRAY_LEN(bad); i++)
		bad[i] = good;
	bad[0].size--;
	bad[1].models_max = 0;
	bad[2].requests_max = 0;
	bad[3].runs_max = 0;
	bad[4].loads_max = 0;
	bad[5].evict = "nonsense";
	bad[6].runs_max = FINF_POLICY_RUNS_MAX + 1;
	for (size_t i = 0; i < FINF_ARRAY_LEN(bad); i++) {
		diag.text[0] = 0;
		ck_assert_int_eq(finf_policy_new(&bad[i], &p, &diag), -EINVAL);
		ck_assert_int_ne(diag.text[0], 0);
		ck_assert_ptr_null(p);
	}
	ck_assert_int_eq(finf_policy_new(&good, &p, &diag), 0);
	finf_policy_free(p);
	finf_policy_free(NULL);
	ck_assert_str_eq(finf_reason_text(999), "unknown");
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("policy");
	TCase *tc = tcase_create("scenarios");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, scenario, 0, FINF_ARRAY_LEN(scenarios));
	tcase_add_test(tc, more_than_one_step_holds);
	tcase_add_test(tc, no_starvation);
	tcase_add_test(tc, zone_of_runs);
	tcase_add_test(tc, what_status_sees);
	tcase_add_test(tc, options);
	suite_add_tcase(suite, tc);
	return suite;
}
