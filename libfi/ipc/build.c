/* SPDX-License-Identifier: MIT */
/* ipc: frames put together and sent. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ipc/priv.h"

static const uint8_t zeros[FINF_WIRE_PAD];

void finf_body_init(struct finf_body *body)
{
	body->n = 0;
	body->names_bytes = body->data_bytes = 0;
	body->n_data = 0;
}

int finf_body_name(struct finf_body *body, const char *name, uint32_t *ret_bytes)
{
	size_t bytes = name ? strlen(name) : 0;

	if (bytes >= FINF_WIRE_NAMES_MAX - body->names_bytes)
		return -EMSGSIZE;
	memcpy(body->names + body->names_bytes, name ? name : "", bytes);
	body->names_bytes += bytes;
	*ret_bytes = (uint32_t)bytes;
	return 0;
}

static int put_data(struct finf_body *body, const void *data, uint64_t bytes)
{
	size_t pad = -bytes % FINF_WIRE_PAD;

	if (bytes > FINF_WIRE_INLINE_MAX)
		return -EMSGSIZE;
	body->data[body->n_data++] = (struct iovec){(void *)(uintptr_t)data, bytes};
	if (pad)
		body->data[body->n_data++] = (struct iovec){(void *)(uintptr_t)zeros, pad};
	body->data_bytes += bytes + pad;
	return 0;
}

int finf_body_tensor(struct finf_body *body, const struct finf_tensor *tensor, uint64_t bytes,
		     enum finf_wire_place place, uint64_t offset, const void *data)
{
	struct finf_wire_tensor *t = &body->tensors[body->n];
	int err;

	if (body->n == FINF_WIRE_TENSORS_MAX || tensor->shape.rank > FINF_RANK_MAX)
		return -EMSGSIZE;
	*t = (struct finf_wire_tensor){
		.dtype = tensor->dtype,
		.rank = tensor->shape.rank,
		.offset = offset,
		.bytes = bytes,
		.place = place,
	};
	memcpy(t->dim, tensor->shape.dim, tensor->shape.rank * sizeof(t->dim[0]));
	err = finf_body_name(body, tensor->name, &t->name_bytes);
	if (!err && data && place == FINF_WIRE_INLINE)
		err = put_data(body, data, bytes);
	body->n += !err;
	return err;
}

int finf_body_send(struct finf_body *body, struct finf_conn *conn, struct finf_wire_header *frame,
		   void *head, size_t head_bytes)
{
	struct iovec iov[3 + 2 * FINF_WIRE_TENSORS_MAX];
	size_t padded = finf_align_up(body->names_bytes, FINF_WIRE_PAD);

	memset(body->names + body->names_bytes, 0, padded - body->names_bytes);
	iov[0] = (struct iovec){head, head_bytes};
	iov[1] = (struct iovec){body->tensors, body->n * sizeof(body->tensors[0])};
	iov[2] = (struct iovec){body->names, padded};
	memcpy(iov + 3, body->data, (size_t)body->n_data * sizeof(iov[0]));
	return finf_conn_send(conn, frame, iov, 3 + body->n_data, -1);
}

static int send_failure(struct finf_conn *conn, struct finf_wire_header *frame,
			struct finf_wire_result *head, const char *text)
{
	struct iovec iov[2] = {{head, sizeof(*head)}, {(void *)(uintptr_t)text, strlen(text)}};

	head->text_bytes = (uint32_t)iov[1].iov_len;
	return finf_conn_send(conn, frame, iov, 2, -1);
}

int finf_wire_send_result(struct finf_conn *conn, uint64_t id,
			  const struct finf_wire_answer *answer)
{
	struct finf_wire_header frame = {
		.type = FINF_WIRE_RESULT,
		.id = id,
		.status = answer->status,
	};
	struct finf_wire_result head = {
		.queue_ns = answer->times.queue_ns,
		.load_ns = answer->times.load_ns,
		.run_ns = answer->times.run_ns,
		.cold = answer->times.cold,
	};
	struct finf_body body;

	if (answer->status)
		return send_failure(conn, &frame, &head, answer->text ? answer->text : "");
	finf_body_init(&body);
	for (uint32_t i = 0; i < answer->n_outputs; i++) {
		const struct finf_tensor *t = &answer->outputs[i];
		bool in_arena = answer->in_arena && answer->in_arena[i];
		int err = finf_body_tensor(&body, t, t->bytes,
					   in_arena ? FINF_WIRE_ARENA_OFFSET : FINF_WIRE_INLINE,
					   in_arena ? answer->offset[i] : 0, t->data);

		if (err)
			return err;
	}
	head.n_outputs = body.n;
	return finf_body_send(&body, conn, &frame, &head, sizeof(head));
}

static int send_text(struct finf_conn *conn, enum finf_wire_type type, uint64_t id, int status,
		     const char *text, int fd)
{
	struct finf_wire_header frame = {.type = (uint16_t)type, .id = id, .status = status};
	struct iovec iov = {(void *)(uintptr_t)text, text ? strlen(text) : 0};

	return finf_conn_send(conn, &frame, &iov, 1, fd);
}

int finf_wire_send_reply(struct finf_conn *conn, uint64_t id, int status, const char *json, int fd)
{
	return send_text(conn, FINF_WIRE_REPLY, id, status, json, fd);
}

int finf_wire_send_event(struct finf_conn *conn, const char *json)
{
	return send_text(conn, FINF_WIRE_EVENT, 0, 0, json, -1);
}

int finf_wire_send_hello(struct finf_conn *conn, uint64_t features)
{
	struct finf_wire_hello hello = {.features = features, .pid = (uint32_t)getpid()};
	struct finf_wire_header frame = {.type = FINF_WIRE_HELLO};
	struct iovec iov = {&hello, sizeof(hello)};

	return finf_conn_send(conn, &frame, &iov, 1, -1);
}
