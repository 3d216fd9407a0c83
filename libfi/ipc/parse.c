/* SPDX-License-Identifier: MIT */
/* ipc: payloads of frames, checked byte for byte before anybody believes them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/priv.h"

struct parser {
	struct finf_reader reader;
	struct finf_wire_request *out;
	struct finf_wire_tensor tensors[FINF_WIRE_TENSORS_MAX];
	uint64_t arena_bytes;
	size_t text_len;
	struct finf_diag *diag; /* may be NULL */
};

static int refuse(struct parser *p, const char *what, uint32_t tensor)
{
	return finf_diag_set(p->diag, -EPROTO, "tensor %u: %s", tensor, what);
}

/* Into the text block, with a NUL; what a terminal would act on is refused. */
static int take_name(struct parser *p, uint32_t bytes, const char **ret_name)
{
	const char *at = finf_reader_bytes(&p->reader, bytes);
	char *copy = p->out->text + p->text_len;

	if (!at)
		return finf_diag_set(p->diag, -EPROTO, "a name ends beyond the frame");
	if (bytes >= sizeof(p->out->text) - p->text_len)
		return finf_diag_set(p->diag, -EPROTO, "names take more than %zu bytes",
				     sizeof(p->out->text));
	for (uint32_t i = 0; i < bytes; i++)
		if ((unsigned char)at[i] < 0x20 || at[i] == 0x7f)
			return finf_diag_set(p->diag, -EPROTO, "a name has control characters");
	memcpy(copy, at, bytes);
	copy[bytes] = 0;
	p->text_len += bytes + 1;
	*ret_name = copy;
	return 0;
}

/* Zeros up to the next multiple of FINF_WIRE_PAD. */
static int take_pad(struct parser *p)
{
	size_t pad = -p->reader.at % FINF_WIRE_PAD;
	const uint8_t *at = finf_reader_bytes(&p->reader, pad);

	for (size_t i = 0; at && i < pad; i++)
		if (at[i])
			at = NULL;
	return at ? 0 : finf_diag_set(p->diag, -EPROTO, "padding is missing or not zero");
}

static int check_place(struct parser *p, const struct finf_wire_tensor *t, uint32_t i)
{
	if (t->place == FINF_WIRE_INLINE) {
		if (t->offset)
			return refuse(p, "an offset, but inline", i);
		return t->bytes > FINF_WIRE_INLINE_MAX ? refuse(p, "too large to be inline", i) : 0;
	}
	if (t->place != FINF_WIRE_ARENA_OFFSET)
		return refuse(p, "in no known place", i);
	if (t->offset % FINF_WIRE_ARENA_ALIGN)
		return refuse(p, "not aligned in the arena", i);
	if (t->offset > p->arena_bytes || t->bytes > p->arena_bytes - t->offset)
		return refuse(p, "outside the arena", i);
	return 0;
}

/* Dtype, shape and bytes of something that has data. */
static int check_data(struct parser *p, const struct finf_tensor *tensor, uint64_t bytes,
		      uint32_t i)
{
	size_t should;

	for (uint32_t d = 0; d < tensor->shape.rank; d++)
		if (tensor->shape.dim[d] < 0)
			return refuse(p, "a negative dimension", i);
	if (finf_tensor_bytes(tensor->dtype, &tensor->shape, &should))
		return refuse(p, "unknown dtype or absurd shape", i);
	return bytes == should ? 0 : refuse(p, "bytes do not match dtype and shape", i);
}

static int check_tensor(struct parser *p, uint32_t i, bool has_data)
{
	const struct finf_wire_tensor *t = &p->tensors[i];
	struct finf_tensor *out = &p->out->tensors[i];
	int err;

	if (t->rank > FINF_RANK_MAX)
		return refuse(p, "too many dimensions", i);
	if (t->reserved || t->dtype > INT32_MAX)
		return refuse(p, "reserved bits are set", i);
	*out = (struct finf_tensor){.bytes = t->bytes};
	if (has_data) {
		out->dtype = (enum finf_dtype)t->dtype;
		out->shape.rank = t->rank;
		memcpy(out->shape.dim, t->dim, t->rank * sizeof(t->dim[0]));
	}
	err = check_place(p, t, i);
	if (!err && has_data)
		err = check_data(p, out, t->bytes, i);
	p->out->offset[i] = t->offset;
	p->out->in_arena[i] = t->place == FINF_WIRE_ARENA_OFFSET;
	return err;
}

static int take_tensors(struct parser *p, uint32_t n, uint32_t n_with_data)
{
	const void *at = finf_reader_bytes(&p->reader, n * sizeof(p->tensors[0]));
	int err = 0;

	if (!at)
		return finf_diag_set(p->diag, -EPROTO, "%u tensors do not fit the frame", n);
	memcpy(p->tensors, at, n * sizeof(p->tensors[0]));
	for (uint32_t i = 0; i < n && !err; i++)
		err = check_tensor(p, i, i < n_with_data);
	return err;
}

static int take_names(struct parser *p, uint32_t n)
{
	int err = 0;

	for (uint32_t i = 0; i < n && !err; i++)
		if (p->tensors[i].name_bytes)
			err = take_name(p, p->tensors[i].name_bytes, &p->out->tensors[i].name);
	return err ? err : take_pad(p);
}

/* The last thing in a frame. */
static int take_data(struct parser *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const void *at;
		int err;

		if (p->out->in_arena[i])
			continue;
		at = finf_reader_bytes(&p->reader, p->out->tensors[i].bytes);
		if (!at)
			return refuse(p, "its data ends beyond the frame", i);
		p->out->tensors[i].data = (void *)(uintptr_t)at;
		err = take_pad(p);
		if (err)
			return err;
	}
	if (p->reader.at != p->reader.len)
		return finf_diag_set(p->diag, -EPROTO, "%zu bytes too many in the frame",
				     p->reader.len - p->reader.at);
	return 0;
}

static int take_model(struct parser *p, uint32_t bytes)
{
	int err = take_name(p, bytes, &p->out->model);

	if (!err && !finf_target_ok(p->out->model, NULL))
		err = finf_diag_set(p->diag, -EPROTO, "\"%s\" is not a model name", p->out->model);
	return err;
}

int finf_wire_parse_infer(const struct finf_frame *frame, uint64_t arena_bytes,
			  struct finf_wire_request *ret, struct finf_diag *diag)
{
	struct parser p = {.out = ret, .arena_bytes = arena_bytes, .diag = diag};
	struct finf_wire_infer head;
	const void *at;
	uint32_t n;
	int err;

	finf_reader_init(&p.reader, frame->payload, frame->head.payload_bytes);
	at = finf_reader_bytes(&p.reader, sizeof(head));
	if (!at)
		return finf_diag_set(diag, -EPROTO, "a request shorter than its head");
	memcpy(&head, at, sizeof(head));
	n = (uint32_t)head.n_inputs + head.n_outputs;
	if (n > FINF_WIRE_TENSORS_MAX)
		return finf_diag_set(diag, -EPROTO, "%u tensors, the limit is %u", n,
				     FINF_WIRE_TENSORS_MAX);
	if (head.reserved)
		return finf_diag_set(diag, -EPROTO, "reserved bits are set");
	ret->n_inputs = head.n_inputs;
	ret->n_outputs = head.n_outputs;
	err = take_tensors(&p, n, head.n_inputs);
	if (!err)
		err = take_model(&p, head.name_bytes);
	if (!err)
		err = take_names(&p, n);
	return err ? err : take_data(&p, head.n_inputs);
}

static int take_failure(struct parser *p, const struct finf_wire_result *head)
{
	const char *at = finf_reader_bytes(&p->reader, head->text_bytes);

	if (!at || head->n_outputs || p->reader.at != p->reader.len)
		return finf_diag_set(p->diag, -EPROTO, "a refusal that is not one");
	finf_diag_set(p->diag, 0, "%.*s", (int)strnlen(at, head->text_bytes), at);
	return 0;
}

int finf_wire_parse_result(const struct finf_frame *frame, uint64_t arena_bytes,
			   struct finf_wire_request *ret, struct finf_wire_result *ret_head,
			   struct finf_diag *diag)
{
	struct parser p = {.out = ret, .arena_bytes = arena_bytes, .diag = diag};
	struct finf_wire_result head;
	const void *at;
	int err;

	finf_reader_init(&p.reader, frame->payload, frame->head.payload_bytes);
	at = finf_reader_bytes(&p.reader, sizeof(head));
	if (!at)
		return finf_diag_set(diag, -EPROTO, "a result shorter than its head");
	memcpy(&head, at, sizeof(head));
	*ret_head = head;
	if (frame->head.status < 0)
		return take_failure(&p, &head);
	if (frame->head.status || head.text_bytes || head.n_outputs > FINF_WIRE_TENSORS_MAX)
		return finf_diag_set(diag, -EPROTO, "a result that is not one");
	ret->model = "";
	ret->n_inputs = head.n_outputs;
	ret->n_outputs = 0;
	err = take_tensors(&p, head.n_outputs, head.n_outputs);
	if (!err)
		err = take_names(&p, head.n_outputs);
	return err ? err : take_data(&p, head.n_outputs);
}

int finf_wire_parse_hello(const struct finf_frame *frame, struct finf_wire_hello *ret)
{
	if (frame->head.type != FINF_WIRE_HELLO || frame->head.payload_bytes < sizeof(*ret))
		return -EPROTO;
	memcpy(ret, frame->payload, sizeof(*ret));
	return 0;
}

int finf_wire_parse_arena(const struct finf_frame *frame, uint64_t *ret_bytes)
{
	if (frame->head.type != FINF_WIRE_ARENA || frame->fd < 0 ||
	    frame->head.payload_bytes != sizeof(*ret_bytes))
		return -EPROTO;
	memcpy(ret_bytes, frame->payload, sizeof(*ret_bytes));
	return 0;
}

int finf_wire_parse_text(const struct finf_frame *frame, char **ret_text)
{
	size_t bytes = frame->head.payload_bytes;
	char *text;

	if (bytes && memchr(frame->payload, 0, bytes))
		return -EPROTO;
	text = malloc(bytes + 1);
	if (!text)
		return -ENOMEM;
	if (bytes)
		memcpy(text, frame->payload, bytes);
	text[bytes] = 0;
	*ret_text = text;
	return 0;
}
