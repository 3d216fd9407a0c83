/* SPDX-License-Identifier: MIT */
/*
 * fi_events - what the BPF programs, fid-probe and fid agree on: maps, events
 * and the requests to fid-probe, byte by byte (Documentation/formats/bpf.md).
 * Fixed-width types, padding explicit, type and size first, sizes asserted on
 * both sides. A changed layout is a new FI_BPF_VERSION and another pin folder.
 */
#ifndef FI_EVENTS_H
#define FI_EVENTS_H

#include <linux/types.h>

#define FI_BPF_VERSION 1
#define FI_PIN_ROOT    "/sys/fs/bpf"
#define FI_PIN_DIR     FI_PIN_ROOT "/fusedinf/v1"

#define FI_MODELS_MAX 16384
#define FI_PORTS_MAX  4096
#define FI_RING_BYTES (1u << 20)
#define FI_RING_MARK  (FI_RING_BYTES / 8) /* bytes waiting that wake the reader */
#define FI_GAPS	      64

/* Where an arrival was seen. */
#define FI_SOURCE_CALL 0 /* USDT fusedinf:request, in any process */
#define FI_SOURCE_TCP  1 /* a connection to a model's port */
#define FI_SOURCES     2

/* What a record is: its first field, in the ring and in maps. */
#define FI_ARRIVAL 1
#define FI_MODEL   2
#define FI_PORT	   3
#define FI_COUNTS  4

/* One arrival, in the ring "arrivals". */
struct fi_arrival {
	__u32 type, bytes; /* FI_ARRIVAL */
	__u64 time_ns;	   /* CLOCK_MONOTONIC */
	__u64 model;	   /* XXH3 of the name without its version */
	__u32 source;
	__u32 pid;   /* process that calls; 0 from TCP */
	__u32 netns; /* inode of the network namespace; 0 from a call */
	__u16 port;
	__u16 family; /* AF_INET, AF_INET6 */
};

/* Value of "models", key: the model's hash. Only models put there are counted. */
struct fi_model {
	__u32 type, bytes; /* FI_MODEL */
	__u64 arrivals[FI_SOURCES];
	__u64 last_ns;	     /* CLOCK_MONOTONIC, 0 = never */
	__u64 gaps[FI_GAPS]; /* [k]: 2^k <= ns between two arrivals < 2^(k+1); 0 goes to [0] */
};

/* Key of "ports". */
struct fi_port_key {
	__u32 netns;
	__u16 port; /* host order */
	__u16 pad;
};

struct fi_port {
	__u32 type, bytes; /* FI_PORT */
	__u64 model;
};

/* The one value of "counts", per CPU. */
struct fi_counts {
	__u32 type, bytes; /* FI_COUNTS; 0 on a CPU that has counted nothing yet */
	__u64 sent, lost;  /* events put into the ring, and refused because it was full */
	__u64 woken;	   /* of those sent: with a forced wakeup */
	__u64 unknown;	   /* calls that name no model of "models" */
};

/*
 * Requests to fid-probe: one per message of a SOCK_SEQPACKET socket, answered
 * in order. Descriptors travel beside them by SCM_RIGHTS.
 */
#define FI_PROBE_OPEN	   16 /* answer brings FI_PROBE_FDS descriptors, in the order below */
#define FI_PROBE_MODEL_ADD 17 /* model: count it, from zero when it is new */
#define FI_PROBE_MODEL_RM  18 /* model: forget it and its ports */
#define FI_PROBE_PORT_ADD  19 /* model, port; optional descriptor: network namespace */
#define FI_PROBE_PORT_RM   20 /* port; optional descriptor: network namespace */
#define FI_PROBE_FILE_ADD  21 /* descriptor: program or library with the USDT site */

#define FI_PROBE_FD_RING   0 /* map "arrivals", to be mapped read and write */
#define FI_PROBE_FD_COLD   1 /* map "cold", read and write */
#define FI_PROBE_FD_MODELS 2 /* map "models", read only */
#define FI_PROBE_FD_PORTS  3 /* map "ports", read only */
#define FI_PROBE_FD_COUNTS 4 /* map "counts", read only */
#define FI_PROBE_FDS	   5

struct fi_probe_request {
	__u32 type, bytes;
	__u64 model;
	__u16 port;
	__u16 pad[3];
};

struct fi_probe_answer {
	__u32 type, bytes; /* type of the request */
	__s32 status;	   /* 0 or negative errno */
	__u32 n_fds;
};

#define FI_SIZE(s, n) _Static_assert(sizeof(struct s) == (n), "layout of " #s)
FI_SIZE(fi_arrival, 40);
FI_SIZE(fi_model, 544);
FI_SIZE(fi_port_key, 8);
FI_SIZE(fi_port, 16);
FI_SIZE(fi_counts, 40);
FI_SIZE(fi_probe_request, 24);
FI_SIZE(fi_probe_answer, 16);
#undef FI_SIZE

#endif
