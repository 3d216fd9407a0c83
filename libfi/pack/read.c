/* SPDX-License-Identifier: MIT */
/*
 * pack: finf_pack_open(). First the header alone, then graph and plan, then
 * that the three tell the same story: every tensor has its place and meaning,
 * every weight the graph or plan speaks of is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pack/internal.h"

/* Graph and plan are read into memory as a whole. */
#define FRONT_BYTES_MAX (64u << 20)

struct opener {
	struct finf_pack *pack;
	struct finf_diag *diag;
	struct finf_arena scratch; /* owned: the header taken apart */
	struct finf_pack_meta meta;
	struct finf_pack_tensor *tensors;
	uint32_t n_tensors, n_front; /* front: graph, plan */
	uint64_t data_at;	     /* file offset of the data */
	uint64_t front_bytes;	     /* of the data, before the extent */
	bool tuned;
};

#define bad(o, ...) finf_diag_set((o)->diag, -EBADMSG, __VA_ARGS__)

/* ---- header ---------------------------------------------------------------- */

static int read_at(struct opener *o, void *to, size_t bytes, uint64_t offset)
{
	int err = finf_pread_full(o->pack->fd, to, bytes, offset);

	return err ? finf_diag_set(o->diag, err, "offset %" PRIu64 ": cannot read %zu bytes: %s",
				   offset, bytes, strerror(-err))
		   : 0;
}

static int check_file(struct opener *o)
{
	struct stat st;

	if (fstat(o->pack->fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return finf_diag_set(o->diag, -EINVAL, "not a regular file");
	o->pack->file_bytes = (uint64_t)st.st_size;
	if (!st.st_size || o->pack->file_bytes % FINF_SEGMENT_ALIGN)
		return bad(o, "%" PRIu64 " bytes: not a pack, or cut short", o->pack->file_bytes);
	return 0;
}

static int read_header(struct opener *o)
{
	uint64_t length, file_bytes = o->pack->file_bytes;
	char *json;
	int err = read_at(o, &length, sizeof(length), 0);

	if (err)
		return err;
	length = le64toh(length);
	if (length > FINF_PACK_HEADER_MAX || length > file_bytes - sizeof(length))
		return bad(o, "offset 0: header of %" PRIu64 " bytes in a file of %" PRIu64, length,
			   file_bytes);
	o->data_at = sizeof(length) + length;
	if (o->data_at % FINF_SEGMENT_ALIGN)
		return bad(o, "offset 0: data would start at %" PRIu64 ", not on a page", o->data_at);
	json = malloc((size_t)length);
	if (!json)
		return -ENOMEM;
	err = read_at(o, json, (size_t)length, sizeof(length));
	if (!err)
		err = finf_pack_header_take(json, (size_t)length, file_bytes - o->data_at,
					    &o->scratch, &o->meta, &o->tensors, &o->n_tensors,
					    o->diag);
	free(json);
	return err;
}

/* ---- graph and plan ----------------------------------------------------------- */

static bool is_bytes(const struct finf_pack_tensor *tensor)
{
	return tensor->dtype == FINF_U8 && tensor->shape.rank == 1;
}

static int find_front(struct opener *o)
{
	static const char *const names[] = {PACK_GRAPH, PACK_PLAN};

	o->tuned = !strcmp(o->meta.kind, "tuned");
	o->n_front = o->tuned ? 2 : 1;
	if (o->n_tensors < o->n_front)
		return bad(o, "offset 8: no %s", names[o->n_tensors]);
	for (uint32_t i = 0; i < o->n_front; i++)
		if (strcmp(o->tensors[i].name, names[i]) || !is_bytes(&o->tensors[i]))
			return bad(o, "offset 8: tensor %u is not %s", i, names[i]);
	if (o->tensors[o->n_front - 1].end > FRONT_BYTES_MAX)
		return bad(o, "offset 8: graph and plan are larger than %u bytes", FRONT_BYTES_MAX);
	o->front_bytes = finf_align_up(o->tensors[o->n_front - 1].end, FINF_SEGMENT_ALIGN);
	if (o->front_bytes > o->pack->file_bytes - o->data_at)
		return bad(o, "offset 8: no page border after graph and plan");
	return 0;
}

static int parse_front(struct opener *o, const uint8_t *front)
{
	const struct finf_pack_tensor *graph = &o->tensors[0], *plan = &o->tensors[1];
	int err;

	if (finf_hash64(front, o->front_bytes) != o->meta.meta_xxh3)
		return bad(o, "offset %" PRIu64 ": graph and plan do not match their checksum",
			   o->data_at);
	err = finf_graph_read(front + graph->begin, graph->end - graph->begin, &o->pack->graph,
			      o->diag);
	if (err) {
		finf_diag_prefix(o->diag, "offset %" PRIu64, o->data_at + graph->begin);
		return err;
	}
	if (!o->tuned)
		return 0;
	err = finf_plan_read(front + plan->begin, plan->end - plan->begin, &o->pack->plan, o->diag);
	if (err)
		finf_diag_prefix(o->diag, "offset %" PRIu64, o->data_at + plan->begin);
	return err;
}

static int read_front(struct opener *o)
{
	uint8_t *front;
	int err = find_front(o);

	if (err)
		return err;
	front = malloc(o->front_bytes + 1); /* an empty graph is still a graph to refuse */
	if (!front)
		return -ENOMEM;
	err = read_at(o, front, o->front_bytes, o->data_at);
	if (!err)
		err = parse_front(o, front);
	free(front);
	return err;
}

/* ---- weights --------------------------------------------------------------------- */

/* The next tensor is filler: named by its number, plain bytes. */
static int take_pad(struct opener *o, const struct finf_pack_tensor *tensor, uint32_t *n_pads)
{
	char name[sizeof(PACK_PAD) + 10];

	snprintf(name, sizeof(name), PACK_PAD "%u", *n_pads);
	if (strcmp(tensor->name, name) || !is_bytes(tensor))
		return bad(o, "offset %" PRIu64 ": tensor %s is not %s", o->data_at + tensor->begin,
			   tensor->name, name);
	(*n_pads)++;
	return 0;
}

/* A portable weight is a constant of the graph, in its true dtype and shape. */
static int match_portable(struct opener *o, const struct finf_pack_tensor *tensor)
{
	const struct finf_graph *graph = o->pack->graph;
	const struct finf_value *value;
	uint32_t v;

	if (!finf_graph_find(graph, tensor->name, &v))
		return bad(o, "tensor %s: the graph does not know it", tensor->name);
	value = &graph->values[v];
	if (!value->is_const || finf_graph_const_inline(value) || value->dtype != tensor->dtype ||
	    !finf_shape_equal(&value->shape, &tensor->shape))
		return bad(o, "tensor %s: not this constant of the graph", tensor->name);
	return 0;
}

/* A tuned weight is the plan's, in its order, at its offset, in the device's bytes. */
static int match_tuned(struct opener *o, const struct finf_pack_tensor *tensor, uint64_t offset)
{
	const struct finf_plan *plan = o->pack->plan;
	const struct finf_plan_weight *weight;
	const struct finf_value *value;
	uint32_t v;

	if (o->pack->n_weights >= plan->n_weights)
		return bad(o, "tensor %s: the plan has no such weight", tensor->name);
	weight = &plan->weights[o->pack->n_weights];
	if (!finf_pack_is_tuned_name(tensor->name, weight->name) || !is_bytes(tensor) ||
	    weight->offset != offset || weight->form.bytes != tensor->end - tensor->begin)
		return bad(o, "tensor %s: the plan has %s, %" PRIu64 " bytes at %" PRIu64,
			   tensor->name, weight->name, weight->form.bytes, weight->offset);
	if (!finf_graph_find(o->pack->graph, weight->name, &v))
		return 0; /* became a constant when the graph was bound to its shapes */
	value = &o->pack->graph->values[v];
	if (value->is_const &&
	    (value->dtype != weight->dtype || !finf_shape_equal(&value->shape, &weight->shape)))
		return bad(o, "tensor %s: not this constant of the graph", tensor->name);
	return 0;
}

static int take_weight(struct opener *o, const struct finf_pack_tensor *tensor)
{
	struct finf_pack *pack = o->pack;
	struct finf_pack_weight *weight = &pack->weights[pack->n_weights];
	int err;

	if (tensor->begin < o->front_bytes ||
	    (tensor->begin - o->front_bytes) % FINF_WEIGHT_ALIGN)
		return bad(o, "tensor %s: offset %" PRIu64 " is not aligned", tensor->name,
			   o->data_at + tensor->begin);
	weight->offset = tensor->begin - o->front_bytes;
	weight->bytes = tensor->end - tensor->begin;
	err = o->tuned ? match_tuned(o, tensor, weight->offset) : match_portable(o, tensor);
	if (err)
		return err;
	weight->name = finf_arena_str(&pack->graph->arena, tensor->name);
	if (!weight->name)
		return -ENOMEM;
	err = finf_map_put(&pack->weight_by_name, weight->name, pack->n_weights);
	if (!err)
		pack->n_weights++;
	return err;
}

/* Constants inside the graph have their bytes; a portable pack has all the others. */
static int check_constants(struct opener *o)
{
	const struct finf_graph *graph = o->pack->graph;

	for (uint32_t v = 0; v < graph->n_values; v++) {
		const struct finf_value *value = &graph->values[v];

		if (!value->is_const)
			continue;
		if (finf_graph_const_inline(value) ? !value->data :
		    !o->tuned && !finf_map_find(&o->pack->weight_by_name, value->name, NULL))
			return bad(o, "constant %s is not in the file", value->name);
	}
	if (o->tuned && o->pack->n_weights != o->pack->plan->n_weights)
		return bad(o, "weight %s is not in the file",
			   o->pack->plan->weights[o->pack->n_weights].name);
	return 0;
}

static int take_weights(struct opener *o)
{
	uint32_t n_pads = 0;
	int err = 0;

	o->pack->weights = calloc((size_t)o->n_tensors + 1, sizeof(*o->pack->weights));
	if (!o->pack->weights)
		return -ENOMEM;
	for (uint32_t i = o->n_front; !err && i < o->n_tensors; i++) {
		const struct finf_pack_tensor *tensor = &o->tensors[i];

		err = strncmp(tensor->name, PACK_RESERVED, strlen(PACK_RESERVED))
			      ? take_weight(o, tensor)
			      : take_pad(o, tensor, &n_pads);
	}
	return err ? err : check_constants(o);
}

/* ---- segments ------------------------------------------------------------------------ */

static int take_segments(struct opener *o)
{
	struct finf_pack *pack = o->pack;
	const struct finf_plan *plan = pack->plan;
	uint64_t bytes = 0;

	pack->segments = calloc((size_t)o->meta.n_segments + 1, sizeof(*pack->segments));
	if (!pack->segments)
		return -ENOMEM;
	pack->n_segments = o->meta.n_segments;
	pack->weight_bytes = pack->file_bytes - o->data_at - o->front_bytes;
	if (plan && plan->n_segments != pack->n_segments)
		return bad(o, "%u segments, the plan has %u", pack->n_segments, plan->n_segments);
	for (uint32_t i = 0; i < pack->n_segments; i++) {
		struct finf_pack_segment *segment = &pack->segments[i];

		*segment = o->meta.segments[i];
		segment->file_offset = o->data_at + o->front_bytes + segment->offset;
		bytes += segment->bytes;
		if (plan && plan->segments[i].bytes != segment->bytes)
			return bad(o, "segment %u is not the plan's", i);
	}
	if (bytes != pack->weight_bytes)
		return bad(o, "segments of %" PRIu64 " bytes, weights of %" PRIu64, bytes,
			   pack->weight_bytes);
	return 0;
}

static int take_strings(struct opener *o)
{
	o->pack->header_hash = o->meta.header_xxh3;
	o->pack->target = strdup(o->meta.target);
	o->pack->source = strdup(o->meta.source);
	return o->pack->target && o->pack->source ? 0 : -ENOMEM;
}

/* ---- open and close --------------------------------------------------------------------- */

static int open_pack(struct opener *o, int fd)
{
	int err;

	o->pack->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (o->pack->fd < 0)
		return -errno;
	err = check_file(o);
	if (!err)
		err = read_header(o);
	if (!err)
		err = read_front(o);
	if (!err)
		err = take_weights(o);
	if (!err)
		err = take_segments(o);
	return err ? err : take_strings(o);
}

int finf_pack_open(int fd, const char *name, struct finf_pack **ret_pack, struct finf_diag *diag)
{
	struct finf_diag own = {""};
	struct opener o = {.diag = &own};
	int err;

	o.pack = calloc(1, sizeof(*o.pack));
	if (!o.pack)
		return -ENOMEM;
	o.pack->fd = -1;
	finf_map_init(&o.pack->weight_by_name);
	finf_arena_init(&o.scratch);
	o.pack->name = strdup(name);
	err = o.pack->name ? open_pack(&o, fd) : -ENOMEM;
	finf_arena_fini(&o.scratch);
	if (err) {
		finf_diag_set(diag, err, "%s: %s", name, own.text[0] ? own.text : strerror(-err));
		finf_pack_close(o.pack);
		return err;
	}
	*ret_pack = o.pack;
	return 0;
}

void finf_pack_close(struct finf_pack *pack)
{
	if (!pack)
		return;
	if (pack->fd >= 0)
		close(pack->fd);
	finf_file_unmap(pack->map, pack->map_bytes);
	finf_map_fini(&pack->weight_by_name);
	finf_graph_free(pack->graph);
	finf_plan_free(pack->plan);
	free(pack->name);
	free(pack->target);
	free(pack->source);
	free(pack->segments);
	free(pack->weights);
	free(pack);
}
