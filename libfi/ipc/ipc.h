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

int finf_conn_new(int fd, struct finf_conn **ret_conn); /* takes fd on success */
void finf_conn_free(struct finf_conn *conn);		/* closes */
int finf_conn_fd(const struct finf_conn *conn);

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
 * not read: drop it); -EPIPE; -ENOMEM. Never blocks.
 */
struct iovec;
int finf_conn_send(struct finf_conn *conn, struct finf_wire_header *head, const struct iovec *iov,
		   int n_iov, int fd);
/** finf_conn_flush - write more of the queue. 0 all out; 1 some left (wait for POLLOUT); -errno. */
int finf_conn_flush(struct finf_conn *conn);

/**
 * finf_wire_parse_infer - check an INFER payload; nothing points outside it.
 * @param arena_bytes  size of the connection's arena; 0 = none attached
 * Return: 0; -EPROTO with diag.
 */
struct finf_wire_request {
	const char *model; /* NUL-terminated copy in @text */
	uint32_t n_inputs, n_outputs;
	struct finf_tensor tensors[FINF_WIRE_TENSORS_MAX]; /* inputs then outputs; data: inline bytes, or
					 NULL with offset[] into the arena */
	uint64_t offset[FINF_WIRE_TENSORS_MAX];
	bool in_arena[FINF_WIRE_TENSORS_MAX];
	char text[8192]; /* names live here */
};
int finf_wire_parse_infer(const struct finf_frame *frame, uint64_t arena_bytes,
			  struct finf_wire_request *ret, struct finf_diag *diag);

/** finf_wire_socket_path - $FUSEDINF_SOCKET or the default of this uid. 0; -ENAMETOOLONG. */
int finf_wire_socket_path(char *path, size_t len);

#endif
