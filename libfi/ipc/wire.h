/* SPDX-License-Identifier: MIT */
/*
 * ipc/wire - frames on the Unix socket, byte by byte. Little-endian, fixed
 * header, bounded payload. Documentation/formats/wire.md says the same in prose.
 * Must not know: sockets, models, threads. Includes libc only.
 */
#ifndef FINF_IPC_WIRE_H
#define FINF_IPC_WIRE_H

#include <stdint.h>

#define FINF_WIRE_MAGIC 0x31434946u /* "FIC1" */
#define FINF_WIRE_VERSION 1
#define FINF_WIRE_PAYLOAD_MAX (1u << 20) /* control data and inline tensors */
#define FINF_WIRE_INLINE_MAX (64u << 10) /* a tensor up to this size travels in the frame */
#define FINF_WIRE_ARENA_MAX (1ull << 31)
#define FINF_WIRE_TENSORS_MAX 64

enum finf_wire_type {
	/* both ways: first frame of each side */
	FINF_WIRE_HELLO = 1, /* payload: struct finf_wire_hello */
	/* client -> fid */
	FINF_WIRE_ARENA = 16, /* one memfd by SCM_RIGHTS; payload: u64 bytes */
	FINF_WIRE_INFER = 17, /* payload: struct finf_wire_infer, tensors, strings, inline bytes */
	FINF_WIRE_CANCEL = 18, /* header id = request to give up */
	FINF_WIRE_IMPORT = 19, /* one descriptor of a portable pack; payload: name */
	FINF_WIRE_CONTROL = 20, /* payload: JSON {"command": ..., ...} */
	FINF_WIRE_APP = 21, /* payload: struct finf_wire_app; a memfd comes with `paused` */
	/* fid -> client */
	FINF_WIRE_RESULT = 32, /* answer to INFER: struct finf_wire_result, tensors, inline bytes */
	FINF_WIRE_REPLY = 33,  /* answer to everything else: JSON; header status */
	FINF_WIRE_EVENT = 34,  /* JSON, follows a `events -f` until the connection ends */
	FINF_WIRE_APP_COMMAND = 35, /* payload: struct finf_wire_app_command; id = its number */
};

/* 40 bytes, no padding. */
struct finf_wire_header {
	uint32_t magic;
	uint16_t version;
	uint16_t type;
	uint32_t payload_bytes;
	int32_t status; /* answers: 0 or negative errno; else 0 */
	uint64_t id;	/* chosen by the client, echoed */
	uint64_t deadline_ns; /* INFER, IMPORT, CONTROL: CLOCK_MONOTONIC, 0 = none */
	uint32_t n_fds;	/* descriptors that come with this frame: 0 or 1 */
	uint32_t reserved; /* 0 */
};

struct finf_wire_hello {
	uint64_t features; /* bits both sides know are used; unknown bits ignored */
	uint32_t pid;
	uint32_t reserved;
};
#define FINF_WIRE_FEATURE_ARENA (1u << 0)
#define FINF_WIRE_FEATURE_APP	(1u << 1)

#define FINF_WIRE_PAD 8	    /* names as a whole and each inline data end on a multiple */
#define FINF_WIRE_ARENA_ALIGN 64 /* of offsets in the arena */

/* INFER payload: this, then n_inputs + n_outputs tensors, then name_bytes of
 * model name and the name of each tensor, zeros up to PAD, then the data of each
 * inline input, each with zeros up to PAD. A wanted output says where it may
 * lie and how large it may be; of dtype and shape nothing. */
struct finf_wire_infer {
	uint16_t n_inputs, n_outputs; /* that are sent, that are wanted */
	uint32_t name_bytes;
	uint32_t priority;
	uint32_t reserved;
};

enum finf_wire_place { FINF_WIRE_INLINE = 0, FINF_WIRE_ARENA_OFFSET = 1 };

/* 104 bytes, no padding. */
struct finf_wire_tensor {
	uint32_t dtype;
	uint32_t rank;
	int64_t dim[8];
	uint64_t offset; /* in the arena; 0 when inline */
	uint64_t bytes;	 /* of data; for a wanted output: capacity */
	uint32_t place;
	uint32_t name_bytes;
	uint64_t reserved;
};

/* RESULT payload: this, then n_outputs tensors, names padded, inline data, each
 * padded. On failure (header status < 0): n_outputs 0, then text_bytes of message. */
struct finf_wire_result {
	uint32_t n_outputs;
	uint32_t text_bytes;
	uint64_t queue_ns, load_ns, run_ns; /* where the time went */
	uint32_t cold; /* 1 = this request waited for a load */
	uint32_t reserved;
};

/* ---- programs under libfi-preload.so ------------------------------------------- */

enum finf_wire_app_state {
	FINF_WIRE_APP_RUNNING = 1,
	FINF_WIRE_APP_PAUSING = 2,
	FINF_WIRE_APP_PAUSED = 3,   /* its contents are in the memfd that came along, if it had any */
	FINF_WIRE_APP_RESUMING = 4, /* perhaps waiting for device memory */
};
enum finf_wire_app_flags {
	FINF_WIRE_APP_WANTS = 1 << 0,  /* paused, and a call waits: asks to be resumed */
	FINF_WIRE_APP_NO_VMM = 1 << 1, /* has memory that cannot be taken away */
	FINF_WIRE_APP_NO_MEMORY = 1 << 2, /* resuming, and the device has not enough for it */
};
enum finf_wire_app_order {
	FINF_WIRE_APP_PAUSE = 1,
	FINF_WIRE_APP_RESUME = 2,
	FINF_WIRE_APP_QUOTA = 3,
};
#define FINF_WIRE_APP_NAME_BYTES 32

/* APP payload, 80 bytes: sent when the session begins and when something changed. */
struct finf_wire_app {
	uint32_t state, flags;
	uint64_t bytes, pausable_bytes; /* allocated; of these can be taken away */
	uint64_t quota_bytes;		/* 0 = none */
	uint64_t done;			/* the command that ended with this, 0 = none */
	int32_t result;			/* of that command: 0 or negative errno */
	uint32_t reserved;
	char name[FINF_WIRE_APP_NAME_BYTES]; /* of the program; a NUL at the end */
};

/* APP_COMMAND payload, 16 bytes. */
struct finf_wire_app_command {
	uint32_t order;
	uint32_t reserved;
	uint64_t bytes; /* QUOTA; 0 = none */
};

#endif
