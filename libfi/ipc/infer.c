/* SPDX-License-Identifier: MIT */
/*
 * ipc: one inference of a client. Small tensors travel in the frame, large ones
 * through the shared arena: inputs first, behind them room for outputs. How
 * large an output of unknown size gets is guessed; when fid says -ENOSPC the
 * guess grows and the request goes out again. A warm call allocates nothing but
 * the outputs it is asked to.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/client.h"
#include "ipc/usdt.h"

#define INLINE_BUDGET (FINF_WIRE_PAYLOAD_MAX - (64u << 10)) /* heads and names take the rest */
#define ARENA_FIRST_BYTES (1u << 20)
#define ROOM_GROWTH 16

struct call {
	struct finf_client *client;
	const char *model;
	const struct finf_tensor *inputs;
	struct finf_tensor *outputs;
	uint32_t n_inputs, n_outputs;
	uint64_t deadline_ns;
	struct finf_diag *diag;

	/* where everything goes: inputs, then outputs */
	uint64_t bytes[FINF_WIRE_TENSORS_MAX], offset[FINF_WIRE_TENSORS_MAX];
	bool in_arena[FINF_WIRE_TENSORS_MAX];
	uint64_t arena_bytes;
};

/* ---- layout ----------------------------------------------------------------- */

static int check_input(const struct call *call, uint32_t i, uint64_t *ret_bytes)
{
	const struct finf_tensor *t = &call->inputs[i];
	size_t bytes;
	int err = finf_tensor_bytes(t->dtype, &t->shape, &bytes);

	if (err)
		return finf_diag_set(call->diag, -EINVAL, "input %u: no such dtype or shape", i);
	if (t->bytes < bytes || (bytes && !t->data))
		return finf_diag_set(call->diag, -EINVAL,
				     "input %u: its shape needs %zu bytes, given %zu", i, bytes,
				     t->data ? t->bytes : 0);
	*ret_bytes = bytes;
	return 0;
}

/* Inline while small and while the frame holds it, else the next place in the arena. */
static void place(struct call *call, uint32_t i, uint64_t *inline_left)
{
	uint64_t padded = finf_align_up(call->bytes[i], FINF_WIRE_PAD);

	call->in_arena[i] = call->bytes[i] > FINF_WIRE_INLINE_MAX || padded > *inline_left;
	call->offset[i] = 0;
	if (!call->in_arena[i]) {
		*inline_left -= padded;
		return;
	}
	call->offset[i] = call->arena_bytes;
	call->arena_bytes += finf_align_up(call->bytes[i], FINF_WIRE_ARENA_ALIGN);
}

static int lay_out(struct call *call)
{
	uint64_t left_in = INLINE_BUDGET, left_out = INLINE_BUDGET;

	call->arena_bytes = 0;
	for (uint32_t i = 0; i < call->n_inputs; i++) {
		int err = check_input(call, i, &call->bytes[i]);

		if (err)
			return err;
		place(call, i, &left_in);
	}
	for (uint32_t i = 0; i < call->n_outputs; i++) {
		const struct finf_tensor *t = &call->outputs[i];
		uint32_t at = call->n_inputs + i;

		call->bytes[at] = t->data ? t->bytes : call->client->output_room;
		if (call->bytes[at] > FINF_WIRE_ARENA_MAX)
			call->bytes[at] = FINF_WIRE_ARENA_MAX;
		place(call, at, &left_out);
	}
	if (call->arena_bytes > FINF_WIRE_ARENA_MAX)
		return finf_diag_set(call->diag, -EMSGSIZE,
				     "the tensors take %llu bytes, the shared arena holds %llu",
				     (unsigned long long)call->arena_bytes,
				     (unsigned long long)FINF_WIRE_ARENA_MAX);
	return 0;
}

/* ---- the arena ---------------------------------------------------------------- */

static int offer_arena(struct call *call, uint64_t bytes, int fd)
{
	struct finf_client *client = call->client;
	struct finf_wire_header head = {
		.type = FINF_WIRE_ARENA,
		.deadline_ns = call->deadline_ns,
	};
	struct iovec iov = {&bytes, sizeof(bytes)};
	struct finf_frame *frame;
	int err = finf_client_send(client, &head, &iov, 1, fd, call->deadline_ns);

	if (!err)
		err = finf_client_wait(client, FINF_WIRE_REPLY, head.id, call->deadline_ns, &frame);
	if (err)
		return finf_client_broken(client, err, call->diag);
	if (frame->head.status)
		return finf_diag_set(call->diag, frame->head.status, "fid refused the arena: %s",
				     strerror(-frame->head.status));
	return 0;
}

static int need_arena(struct call *call)
{
	struct finf_client *client = call->client;
	uint64_t bytes = FINF_MAX((uint64_t)ARENA_FIRST_BYTES, 2 * client->arena.bytes);
	struct finf_shared made;
	int fd, err;

	if (call->arena_bytes <= client->arena.bytes)
		return 0;
	bytes = finf_align_up(FINF_MAX(bytes, call->arena_bytes), ARENA_FIRST_BYTES);
	bytes = FINF_MIN(bytes, (uint64_t)FINF_WIRE_ARENA_MAX);
	err = finf_arena_create(bytes, &made, &fd);
	if (err)
		return finf_diag_set(call->diag, err, "shared arena of %llu bytes: %s",
				     (unsigned long long)bytes, strerror(-err));
	err = offer_arena(call, bytes, fd);
	close(fd);
	if (err) {
		finf_shared_detach(&made);
		return err;
	}
	finf_shared_detach(&client->arena);
	client->arena = made;
	return 0;
}

/* ---- asking -------------------------------------------------------------------- */

static int put_tensors(struct call *call)
{
	struct finf_client *client = call->client;
	int err = 0;

	for (uint32_t i = 0; i < call->n_inputs + call->n_outputs && !err; i++) {
		bool input = i < call->n_inputs;
		const struct finf_tensor *t = input ? &call->inputs[i]
						    : &call->outputs[i - call->n_inputs];
		struct finf_tensor wanted = {.name = t->name};

		if (input && call->in_arena[i])
			memcpy(client->arena.base + call->offset[i], t->data, call->bytes[i]);
		err = finf_body_tensor(&client->body, input ? t : &wanted, call->bytes[i],
				       call->in_arena[i] ? FINF_WIRE_ARENA_OFFSET
							 : FINF_WIRE_INLINE,
				       call->offset[i], input ? t->data : NULL);
	}
	return err;
}

static int send_request(struct call *call, uint64_t *ret_id)
{
	struct finf_client *client = call->client;
	struct finf_wire_header frame = {
		.type = FINF_WIRE_INFER,
		.id = ++client->last_id,
		.deadline_ns = call->deadline_ns,
	};
	struct finf_wire_infer head = {
		.n_inputs = (uint16_t)call->n_inputs,
		.n_outputs = (uint16_t)call->n_outputs,
	};
	int err;

	if (!client->conn)
		return -ECONNRESET;
	finf_body_init(&client->body);
	err = finf_body_name(&client->body, call->model, &head.name_bytes);
	if (!err)
		err = put_tensors(call);
	if (!err)
		err = finf_body_send(&client->body, client->conn, &frame, &head, sizeof(head));
	*ret_id = frame.id;
	return err ? err : finf_client_flush(client, call->deadline_ns);
}

/* fid may still write into the arena: leave it to fid and take a new one next time. */
static void give_up(struct finf_client *client, uint64_t id)
{
	struct finf_wire_header head = {.type = FINF_WIRE_CANCEL, .id = id};

	if (client->conn)
		finf_conn_send(client->conn, &head, NULL, 0, -1);
	finf_shared_detach(&client->arena);
}

static void take_times(const struct finf_wire_result *head, struct finf_client_times *times)
{
	if (!times)
		return;
	times->queue_ns = head->queue_ns;
	times->load_ns = head->load_ns;
	times->run_ns = head->run_ns;
	times->cold = head->cold != 0;
}

/* ---- answers ------------------------------------------------------------------- */

static int check_outputs(const struct call *call)
{
	const struct finf_wire_request *answer = &call->client->answer;

	if (answer->n_inputs != call->n_outputs)
		return finf_diag_set(call->diag, -EPROTO, "%u outputs came, %u were wanted",
				     answer->n_inputs, call->n_outputs);
	for (uint32_t i = 0; i < call->n_outputs; i++)
		if (call->outputs[i].data && answer->tensors[i].bytes > call->outputs[i].bytes)
			return finf_diag_set(call->diag, -ENOSPC,
					     "output %u takes %zu bytes, there is room for %zu", i,
					     answer->tensors[i].bytes, call->outputs[i].bytes);
	return 0;
}

static void *fetch(const struct finf_client *client, uint32_t i, void *to)
{
	const struct finf_tensor *t = &client->answer.tensors[i];
	const void *from = t->data;

	if (client->answer.in_arena[i])
		from = client->arena.base + client->answer.offset[i];
	if (!to)
		to = malloc(FINF_MAX(t->bytes, (size_t)1));
	if (to && t->bytes)
		memcpy(to, from, t->bytes);
	return to;
}

static int take_outputs(struct call *call)
{
	struct finf_client *client = call->client;
	void *data[FINF_WIRE_TENSORS_MAX];
	int err = check_outputs(call);

	if (err)
		return err;
	for (uint32_t i = 0; i < call->n_outputs; i++) {
		data[i] = fetch(client, i, call->outputs[i].data);
		if (data[i])
			continue;
		while (i--)
			if (!call->outputs[i].data)
				free(data[i]);
		return finf_diag_set(call->diag, -ENOMEM, "no memory for the outputs");
	}
	for (uint32_t i = 0; i < call->n_outputs; i++) {
		struct finf_tensor *out = &call->outputs[i];
		const char *name = out->name;

		*out = client->answer.tensors[i];
		out->data = data[i];
		if (name)
			out->name = name;
	}
	return 0;
}

/* ---- a whole call ---------------------------------------------------------------- */

static int attempt(struct call *call, struct finf_client_times *times)
{
	struct finf_client *client = call->client;
	struct finf_wire_result head;
	struct finf_frame *frame;
	uint64_t id;
	int err = lay_out(call);

	if (!err)
		err = need_arena(call);
	if (err)
		return err;
	err = send_request(call, &id);
	if (!err)
		err = finf_client_wait(client, FINF_WIRE_RESULT, id, call->deadline_ns, &frame);
	if (err == -ETIME)
		give_up(client, id);
	if (err)
		return finf_client_broken(client, err, call->diag);
	err = finf_wire_parse_result(frame, client->arena.bytes, &client->answer, &head,
				     call->diag);
	if (err)
		return finf_client_broken(client, err, NULL);
	take_times(&head, times);
	return frame->head.status ? frame->head.status : take_outputs(call);
}

static bool can_grow(const struct call *call)
{
	uint64_t room = call->client->output_room * ROOM_GROWTH, unknown = 0;

	for (uint32_t i = 0; i < call->n_outputs; i++)
		unknown += !call->outputs[i].data;
	return unknown && room * unknown <= FINF_WIRE_ARENA_MAX / 2;
}

int finf_client_infer(struct finf_client *client, const char *model,
		      const struct finf_tensor *inputs, uint32_t n_inputs,
		      struct finf_tensor *outputs, uint32_t n_outputs,
		      struct finf_client_times *times, struct finf_diag *diag)
{
	struct call call = {
		.client = client,
		.model = model,
		.inputs = inputs,
		.outputs = outputs,
		.n_inputs = n_inputs,
		.n_outputs = n_outputs,
		.deadline_ns = finf_client_deadline(client),
		.diag = diag,
	};
	uint64_t start = finf_now_ns();
	int err;

	if (!finf_target_ok(model, NULL))
		return finf_diag_set(diag, -EINVAL, "\"%s\" is not a model name", model);
	if (n_inputs > FINF_WIRE_TENSORS_MAX || n_outputs > FINF_WIRE_TENSORS_MAX - n_inputs)
		return finf_diag_set(diag, -EINVAL, "more than %u tensors", FINF_WIRE_TENSORS_MAX);
	finf_ipc_arrival(model);
	while ((err = attempt(&call, times)) == -ENOSPC && can_grow(&call))
		client->output_room *= ROOM_GROWTH;
	if (times)
		times->total_ns = finf_now_ns() - start;
	return err;
}
