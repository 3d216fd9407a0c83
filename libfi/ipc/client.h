/* SPDX-License-Identifier: MIT */
/* ipc/client - the state of a client, for its two files. Every wait ends at a deadline. */
#ifndef FINF_IPC_CLIENT_H
#define FINF_IPC_CLIENT_H

#include "ipc/priv.h"

struct finf_client {
	struct finf_conn *conn; /* owned; NULL once the stream is unusable */
	uint64_t timeout_ns, last_id;
	struct finf_shared arena;
	uint64_t output_room; /* capacity to offer for outputs of unknown size; grows */
	struct finf_body body;		 /* of the request that is sent */
	struct finf_wire_request answer; /* what came back; names are lent to the caller */
};

/**
 * finf_client_send - a frame, all of it written. Fills the id.
 * Return: 0; -ETIME; -ECONNRESET; -EMSGSIZE; -ENOMEM.
 */
int finf_client_send(struct finf_client *client, struct finf_wire_header *head,
		     const struct iovec *iov, int n_iov, int fd, uint64_t deadline_ns);
int finf_client_flush(struct finf_client *client, uint64_t deadline_ns);
/**
 * finf_client_wait - the frame of @type that answers @id; others are late answers and dropped.
 * Return: 0; -ETIME; -ECONNRESET; -EPROTO.
 */
int finf_client_wait(struct finf_client *client, enum finf_wire_type type, uint64_t id,
		     uint64_t deadline_ns, struct finf_frame **ret_frame);
/** An error of the connection in words; a broken one is closed. Returns @err. */
int finf_client_broken(struct finf_client *client, int err, struct finf_diag *diag);
uint64_t finf_client_deadline(const struct finf_client *client);

#endif
