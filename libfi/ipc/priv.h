/* SPDX-License-Identifier: MIT */
/* ipc/priv - what both halves of the protocol share inside the room. */
#ifndef FINF_IPC_PRIV_H
#define FINF_IPC_PRIV_H

#include <sys/uio.h>

#include "ipc/ipc.h"

/*
 * The part of INFER and RESULT behind their heads: tensors, names, inline data.
 * Data is gathered from where it lies; nothing is allocated.
 */
struct finf_body {
	struct finf_wire_tensor tensors[FINF_WIRE_TENSORS_MAX];
	uint32_t n;
	char names[FINF_WIRE_NAMES_MAX + FINF_WIRE_PAD];
	size_t names_bytes, data_bytes;
	struct iovec data[2 * FINF_WIRE_TENSORS_MAX]; /* inline data and its padding */
	int n_data;
};

void finf_body_init(struct finf_body *body);
/** Append to the block of names, not NUL-terminated. 0; -EMSGSIZE. */
int finf_body_name(struct finf_body *body, const char *name, uint32_t *ret_bytes);
/**
 * finf_body_tensor - one more.
 * @param place   INLINE: @data travels behind (NULL: a wanted output, @bytes is capacity)
 * Return: 0; -EMSGSIZE too many tensors, too long names, too much inline data.
 */
int finf_body_tensor(struct finf_body *body, const struct finf_tensor *tensor, uint64_t bytes,
		     enum finf_wire_place place, uint64_t offset, const void *data);
/** Send @head_bytes of @head and the body as one frame. */
int finf_body_send(struct finf_body *body, struct finf_conn *conn, struct finf_wire_header *frame,
		   void *head, size_t head_bytes);

/** finf_wire_parse_result - as finf_wire_parse_infer(): outputs are the request's inputs. */
int finf_wire_parse_result(const struct finf_frame *frame, uint64_t arena_bytes,
			   struct finf_wire_request *ret, struct finf_wire_result *ret_head,
			   struct finf_diag *diag);

#endif
