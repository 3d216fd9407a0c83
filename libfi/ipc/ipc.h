/* SPDX-License-Identifier: MIT */
/*
 * ipc - frames in and out of a Unix socket, with descriptors, bounded in size
 * and time; the client half of the protocol behind <fusedinf/client.h>; and
 * the parsing both halves share. Control data is copied before it is checked;
 * shared bytes are never parsed in place.
 * Must not know: models, policy, the daemon.
 */
#ifndef FINF_IPC_H
#define FINF_IPC_H

#include <fusedinf/client.h>

#include "base/base.h"
#include "ipc/wire.h"

/* A whole frame that was received: header checked, payload owned. */
struct finf_frame {
	struct finf_wire_header head;
	uint8_t *payload; /* owned by the connection's buffer until the next receive */
	int fd;		  /* owned; -1 when none came */
};

/* One connected socket, either side. Non-blocking underneath. */
struct finf_conn;

/* Any error but -EAGAIN and -EMSGSIZE leaves the stream unusable: free the connection. */
int finf_conn_new(int fd, struct finf_conn **ret_conn); /* takes fd on success */
void finf_conn_free(struct finf_conn *conn);		/* closes */
int finf_conn_fd(const struct finf_conn *conn);
#define FINF_CONN_QUEUE_MAX (8u << 20) /* bytes that wait for a peer that does not read */

/**
 * finf_conn_receive - the next whole frame, if it has arrived.
 * Return: 1 a frame (valid until the next call; take frame->fd or it is closed
 * by it); 0 not yet; -ECONNRESET closed by the peer; -EPROTO bad magic,
 * version, size or descriptor count; -ENOMEM. Never blocks.
 */
int finf_conn_receive(struct finf_conn *conn, struct finf_frame **ret_frame);

/**
 * finf_conn_send - queue a frame (header fields magic, version, payload_bytes
 * and n_fds are filled) and try to write. Payload is gathered from @iov.
 * @param fd  descriptor to pass, -1 = none; stays the caller's (duplicated)
 * Return: 0 written or queued; -EAGAIN the queue is over its limit (the peer does
 * not read: drop it); -EMSGSIZE above FINF_WIRE_PAYLOAD_MAX; -EPIPE; -ENOMEM. Never blocks.
 */
struct iovec;
int finf_conn_send(struct finf_conn *conn, struct finf_wire_header *head, const struct iovec *iov,
		   int n_iov, int fd);
/** finf_conn_flush - write more of the queue. 0 all out; 1 some left (wait for POLLOUT); -errno. */
int finf_conn_flush(struct finf_conn *conn);

/* ---- requests and answers ------------------------------------------------ */

/**
 * finf_wire_parse_infer - check an INFER payload; nothing points outside it.
 * @param arena_bytes  size of the connection's arena; 0 = none attached
 * Names are free of control characters, the model's is one of finf_target_ok(),
 * inputs have exactly the bytes of their dtype and shape, arena ranges lie
 * inside the arena on FINF_WIRE_ARENA_ALIGN. Whether the model has such tensors
 * is for others to say. Return: 0; -EPROTO with diag.
 */
#define FINF_WIRE_NAMES_MAX 8192 /* all names of a request, with a NUL each */
struct finf_wire_request {
	const char *model; /* NUL-terminated copy in @text */
	uint32_t n_inputs, n_outputs;
	/* Inputs, then outputs. name NULL = by position; data: inline bytes in the frame,
	 * aligned to 8, or NULL with offset[] into the arena; bytes of outputs: capacity. */
	struct finf_tensor tensors[FINF_WIRE_TENSORS_MAX];
	uint64_t offset[FINF_WIRE_TENSORS_MAX];
	bool in_arena[FINF_WIRE_TENSORS_MAX];
	char text[FINF_WIRE_NAMES_MAX]; /* names live here */
};
int finf_wire_parse_infer(const struct finf_frame *frame, uint64_t arena_bytes,
			  struct finf_wire_request *ret, struct finf_diag *diag);

/* What the server says to an INFER. */
struct finf_wire_answer {
	int status;	  /* 0 or negative errno */
	const char *text; /* why it failed; may be NULL */
	struct finf_client_times times; /* total_ns is the client's to know */
	const struct finf_tensor *outputs; /* in the order asked for; bytes = of data */
	const bool *in_arena;		   /* of each output: its data already lies there ... */
	const uint64_t *offset;		   /* ... at this offset */
	uint32_t n_outputs;
};

/** finf_wire_send_result - 0; -EMSGSIZE inline data too large; errors of finf_conn_send(). */
int finf_wire_send_result(struct finf_conn *conn, uint64_t id,
			  const struct finf_wire_answer *answer);
/** finf_wire_send_reply - answer to ARENA, IMPORT, CONTROL. @json may be NULL (""), @fd -1. */
int finf_wire_send_reply(struct finf_conn *conn, uint64_t id, int status, const char *json, int fd);
/** finf_wire_send_event - one JSON document to who follows. */
int finf_wire_send_event(struct finf_conn *conn, const char *json);
int finf_wire_send_hello(struct finf_conn *conn, uint64_t features);
/** finf_wire_parse_hello - 0; -EPROTO when the first frame is anything else. */
int finf_wire_parse_hello(const struct finf_frame *frame, struct finf_wire_hello *ret);
/** finf_wire_parse_arena - size that an ARENA frame states; its descriptor stays in the
 * frame. 0; -EPROTO. */
int finf_wire_parse_arena(const struct finf_frame *frame, uint64_t *ret_bytes);
/** finf_wire_parse_text - payload of CONTROL, REPLY, EVENT or IMPORT as a string without
 * NUL inside. @ret_text is malloc'd, yours. 0; -EPROTO; -ENOMEM. */
int finf_wire_parse_text(const struct finf_frame *frame, char **ret_text);

/* ---- shared memory -------------------------------------------------------- */

struct finf_shared {
	uint8_t *base; /* mapped read-write, shared with the other side: copy before parsing */
	uint64_t bytes;
};

/**
 * finf_arena_create - a sealed memfd of @bytes, mapped.
 * @param ret_fd  owned by the caller. Return: 0; -errno.
 */
int finf_arena_create(uint64_t bytes, struct finf_shared *ret, int *ret_fd);
/**
 * finf_arena_attach - map what a peer sent, when it can't pull it away again.
 * @param fd  stays the caller's; may be closed afterwards
 * Return: 0; -EPROTO not a memfd sealed with SHRINK, GROW and SEAL, or not of
 * exactly @bytes, or @bytes is 0 or above FINF_WIRE_ARENA_MAX; -errno.
 */
int finf_arena_attach(int fd, uint64_t bytes, struct finf_shared *ret);
void finf_shared_detach(struct finf_shared *shared); /* unmaps; twice is fine */

/** finf_wire_socket_path - $FUSEDINF_SOCKET or the default of this uid. 0; -ENAMETOOLONG. */
int finf_wire_socket_path(char *path, size_t len);

#endif
