/* SPDX-License-Identifier: MIT */
/* daemon/ipc: inferences of a client. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ipc_priv.h"

#define IN_FLIGHT_MAX 256 /* requests of one client at a time */
#define CALLS_KEPT    64  /* idle request objects, so that warm requests allocate nothing */

/* One inference of a client. */
struct fid_call {
	struct fid_request request;
	struct fid_call *prev, *next;
	struct fid_client *client;
	uint64_t id; /* the client's */
	struct fid_arena *arena;
	struct finf_wire_request parsed;
	uint8_t *payload, *out; /* owned, kept for the next call */
	size_t payload_cap, out_cap;
};

static struct fid_call *call_take(struct fid_client *client)
{
	struct fid_ipc *ipc = client->ipc;
	struct fid_call *call = ipc->idle;

	if (call) {
		ipc->idle = call->next;
		ipc->n_idle--;
	} else {
		call = calloc(1, sizeof(*call));
		if (!call)
			return NULL;
	}
	call->client = client;
	call->prev = NULL;
	call->next = client->calls;
	if (call->next)
		call->next->prev = call;
	client->calls = call;
	client->n_calls++;
	return call;
}

static void call_free(struct fid_call *call)
{
	free(call->payload);
	free(call->out);
	free(call);
}

static void call_give(struct fid_call *call)
{
	struct fid_client *client = call->client;
	struct fid_ipc *ipc = client->ipc;

	if (call->prev)
		call->prev->next = call->next;
	else
		client->calls = call->next;
	if (call->next)
		call->next->prev = call->prev;
	client->n_calls--;
	fid_arena_unref(call->arena);
	call->arena = NULL;
	if (ipc->n_idle < CALLS_KEPT) {
		call->next = ipc->idle;
		ipc->idle = call;
		ipc->n_idle++;
	} else {
		call_free(call);
	}
	fid_client_release(client);
}

static int room(uint8_t **buf, size_t *cap, size_t bytes)
{
	uint8_t *grown;

	if (bytes <= *cap)
		return 0;
	grown = realloc(*buf, bytes);
	if (!grown)
		return -ENOMEM;
	*buf = grown;
	*cap = bytes;
	return 0;
}

static void send_result(struct fid_call *call)
{
	struct fid_request *request = &call->request;
	struct finf_tensor outputs[FINF_WIRE_TENSORS_MAX];
	struct finf_wire_answer answer = {
		.status = request->result,
		.text = request->diag.text,
		.times =
			{
				.queue_ns = (request->run_ns ? request->run_ns : request->done_ns) -
					    request->arrived_ns,
				.load_ns = request->load_ns,
				.run_ns = request->run_ns ? request->done_ns - request->run_ns : 0,
				.cold = request->cold,
			},
		.outputs = outputs,
		.in_arena = call->parsed.in_arena + call->parsed.n_inputs,
		.offset = call->parsed.offset + call->parsed.n_inputs,
	};

	for (uint32_t i = 0; !request->result && i < request->n_wanted; i++)
		outputs[answer.n_outputs++] = request->outputs[request->output_at[i]];
	fid_client_sent(call->client, finf_wire_send_result(call->client->conn, call->id, &answer));
}

static void call_done(struct fid_request *request)
{
	struct fid_call *call =
		(struct fid_call *)((char *)request - offsetof(struct fid_call, request));

	if (request->result && !request->diag.text[0])
		finf_diag_set(&request->diag, request->result, "%s", strerror(-request->result));
	request->cancelled =
		true; /* ended: dropping its client while sending ends it no second time */
	if (call->client->conn)
		send_result(call);
	call_give(call);
}

/* Inline outputs get a place of ours, the others lie in the client's arena. */
static int place_tensors(struct fid_call *call)
{
	struct finf_wire_request *parsed = &call->parsed;
	struct fid_request *request = &call->request;
	size_t out_bytes = 0, at = 0;

	for (uint32_t i = 0; i < parsed->n_outputs; i++)
		if (!parsed->in_arena[parsed->n_inputs + i])
			out_bytes += finf_align_up(parsed->tensors[parsed->n_inputs + i].bytes, 16);
	if (room(&call->out, &call->out_cap, FINF_MAX(out_bytes, (size_t)16)))
		return -ENOMEM;
	for (uint32_t i = 0; i < parsed->n_inputs + parsed->n_outputs; i++) {
		struct finf_tensor *tensor = &parsed->tensors[i];

		if (parsed->in_arena[i]) {
			tensor->data = (uint8_t *)call->arena->shared.base + parsed->offset[i];
		} else if (i >= parsed->n_inputs) {
			tensor->data = call->out + at;
			at += finf_align_up(tensor->bytes, 16);
		}
	}
	request->n_inputs = parsed->n_inputs;
	request->n_outputs = parsed->n_outputs;
	memcpy(request->inputs, parsed->tensors, parsed->n_inputs * sizeof(request->inputs[0]));
	memcpy(request->outputs, parsed->tensors + parsed->n_inputs,
	       parsed->n_outputs * sizeof(request->outputs[0]));
	return 0;
}

static void refuse_infer(struct fid_client *client, uint64_t id, int status, const char *text)
{
	struct finf_wire_answer answer = {.status = status, .text = text};

	fid_client_sent(client, finf_wire_send_result(client->conn, id, &answer));
}

int fid_client_infer(struct fid_client *client, const struct finf_frame *frame)
{
	struct finf_frame copy = *frame;
	struct finf_diag diag = {{0}};
	struct fid_call *call;
	int err;

	if (client->n_calls == IN_FLIGHT_MAX) {
		refuse_infer(client, frame->head.id, -EAGAIN,
			     "too many requests of this client at a time");
		return 0;
	}
	call = call_take(client);
	if (!call)
		return -ENOMEM;
	call->id = frame->head.id;
	call->arena = client->arena;
	if (call->arena)
		call->arena->refs++;
	err = room(&call->payload, &call->payload_cap, FINF_MAX(frame->head.payload_bytes, 1u));
	if (!err) {
		memcpy(call->payload, frame->payload, frame->head.payload_bytes);
		copy.payload = call->payload;
		err = finf_wire_parse_infer(&copy, call->arena ? call->arena->shared.bytes : 0,
					    &call->parsed, &diag);
	}
	if (!err)
		err = place_tensors(call);
	if (err) {
		call_give(call);
		refuse_infer(client, frame->head.id, err,
			     diag.text[0] ? diag.text : strerror(-err));
		return 0;
	}
	call->request.deadline_ns = frame->head.deadline_ns;
	call->request.done = call_done;
	fid_core_request(client->ipc->core, call->parsed.model, &call->request);
	return 0;
}

void fid_client_cancel(struct fid_client *client, uint64_t id)
{
	for (struct fid_call *call = client->calls; call; call = call->next)
		if (call->id == id && !call->request.cancelled) {
			fid_core_cancel(client->ipc->core, &call->request);
			return;
		}
}

static struct fid_call *not_cancelled(const struct fid_client *client)
{
	struct fid_call *call = client->calls;

	while (call && call->request.cancelled)
		call = call->next;
	return call;
}

void fid_client_cancel_all(struct fid_client *client)
{
	struct fid_call *call;

	/* One cancellation may end others of this client: start over each time. */
	while ((call = not_cancelled(client)))
		fid_core_cancel(client->ipc->core, &call->request);
}

void fid_ipc_forget_calls(struct fid_ipc *ipc)
{
	while (ipc->idle) {
		struct fid_call *call = ipc->idle;

		ipc->idle = call->next;
		call_free(call);
	}
}
