/* SPDX-License-Identifier: MIT */
/*
 * pack: writing. All lengths are known before the first byte, so the file is
 * laid out first, weights stream through one chunk of memory to their place,
 * and the header, which holds their checksums, is written last. The file has
 * a temporary name until it is whole and on the disk.
 *
 *   | length, JSON, spaces | graph | plan | pad | weights and pads, segment by segment |
 *   0                      4 KiB border         4 KiB border = extent                  4 KiB
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "pack/internal.h"

/* One weight in the extent. */
struct item {
	const char *name; /* in the file */
	enum finf_dtype dtype;
	struct finf_shape shape;
	uint64_t offset, bytes;
};

struct writer {
	struct finf_diag *diag;
	struct finf_arena scratch; /* owned: all tables */
	struct finf_pack_meta meta;
	struct item *items; /* by offset */
	uint32_t n_items;
	uint64_t extent_bytes;
	struct finf_pack_tensor *tensors;
	uint32_t n_tensors, n_pads;
	struct finf_buf front;	/* owned: graph, plan, zeros up to a page border */
	struct finf_buf header; /* owned */
	const struct finf_pack_source *source;
	int fd;
	char temp[NAME_MAX + 1];
	XXH3_state_t *hash; /* owned */
	uint8_t *chunk;	    /* owned: PACK_CHUNK_BYTES */
};

/* ---- tables --------------------------------------------------------------------- */

static void add_tensor(struct writer *w, const char *name, enum finf_dtype dtype,
		       const struct finf_shape *shape, uint64_t begin, uint64_t end)
{
	struct finf_shape bytes = {.rank = 1, .dim = {(int64_t)(end - begin)}};

	w->tensors[w->n_tensors++] = (struct finf_pack_tensor){
		.name = name, .dtype = dtype, .shape = shape ? *shape : bytes,
		.begin = begin, .end = end};
}

/* The format allows no holes: what lies between tensors is a tensor. */
static int add_pad(struct writer *w, uint64_t begin, uint64_t end)
{
	const char *name;

	if (begin == end)
		return 0;
	name = finf_arena_printf(&w->scratch, PACK_PAD "%u", w->n_pads++);
	if (!name)
		return -ENOMEM;
	add_tensor(w, name, FINF_U8, NULL, begin, end);
	return 0;
}

static int put_front(struct writer *w, const struct finf_graph *graph, const struct finf_plan *plan)
{
	uint64_t graph_end, plan_end;

	finf_graph_write(graph, &w->front);
	graph_end = w->front.len;
	add_tensor(w, PACK_GRAPH, FINF_U8, NULL, 0, graph_end);
	if (plan) {
		finf_plan_write(plan, &w->front);
		add_tensor(w, PACK_PLAN, FINF_U8, NULL, graph_end, w->front.len);
	}
	plan_end = w->front.len;
	while (!w->front.err && w->front.len % FINF_SEGMENT_ALIGN)
		finf_buf_u8(&w->front, 0);
	if (w->front.err)
		return w->front.err;
	w->meta.meta_xxh3 = finf_hash64(w->front.data, w->front.len);
	return add_pad(w, plan_end, w->front.len);
}

static int lay_out(struct writer *w, const struct finf_graph *graph, const struct finf_plan *plan)
{
	uint64_t at;
	int err;

	/* At most one pad before each weight, one before them all, one after. */
	w->tensors = finf_arena_array(&w->scratch, 2 * (size_t)w->n_items + 4, sizeof(*w->tensors));
	if (!w->tensors)
		return -ENOMEM;
	err = put_front(w, graph, plan);
	at = w->front.len;
	for (uint32_t i = 0; !err && i < w->n_items; i++) {
		const struct item *item = &w->items[i];
		uint64_t begin = w->front.len + item->offset;

		err = add_pad(w, at, begin);
		at = begin + item->bytes;
		if (!err)
			add_tensor(w, item->name, item->dtype, &item->shape, begin, at);
	}
	if (!err)
		err = add_pad(w, at, w->front.len + w->extent_bytes);
	if (!err)
		finf_pack_header_put(&w->header, &w->meta, w->tensors, w->n_tensors, NULL);
	if (!err && !w->header.err && w->header.len > FINF_PACK_HEADER_MAX)
		return finf_diag_set(w->diag, -EOVERFLOW, "a header of %zu bytes: too many tensors",
				     w->header.len);
	return err ? err : w->header.err;
}

static int take_segments(struct writer *w, const struct finf_plan_segment *segments, uint32_t n)
{
	w->meta.segments = finf_arena_array(&w->scratch, n, sizeof(*w->meta.segments));
	if (!w->meta.segments)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		w->meta.segments[i].bytes = segments[i].bytes;
	w->meta.n_segments = n;
	return 0;
}

/* ---- streaming ------------------------------------------------------------------- */

/* @n bytes of the extent from @at on: zeros where no weight lies. *next = first weight not past. */
static int fill(struct writer *w, uint64_t at, uint64_t n, uint32_t *next)
{
	uint64_t end = at + n, done = at;
	int err;

	while (done < end) {
		const struct item *item = *next < w->n_items ? &w->items[*next] : NULL;
		uint64_t upto = item ? FINF_MIN(item->offset, end) : end;

		if (done < upto) {
			memset(w->chunk + (done - at), 0, upto - done);
			done = upto;
			continue;
		}
		upto = FINF_MIN(item->offset + item->bytes, end);
		if (done < upto) {
			err = w->source->read(w->source->ctx, *next, done - item->offset,
					      w->chunk + (done - at), upto - done, w->diag);
			if (err)
				return err;
			done = upto;
		}
		*next += done == item->offset + item->bytes;
	}
	return 0;
}

static int write_at(struct writer *w, const void *data, size_t bytes, uint64_t offset)
{
	int err = finf_pwrite_full(w->fd, data, bytes, offset);

	return err ? finf_diag_set(w->diag, err, "offset %" PRIu64 ": cannot write: %s", offset,
				   strerror(-err))
		   : 0;
}

static int write_segments(struct writer *w)
{
	uint64_t at = 0, extent_at = w->header.len + w->front.len;
	uint32_t next = 0;

	for (uint32_t i = 0; i < w->meta.n_segments; i++) {
		uint64_t end = at + w->meta.segments[i].bytes;

		XXH3_64bits_reset(w->hash);
		while (at < end) {
			size_t n = (size_t)FINF_MIN(end - at, (uint64_t)PACK_CHUNK_BYTES);
			int err = fill(w, at, n, &next);

			if (!err)
				err = write_at(w, w->chunk, n, extent_at + at);
			if (err)
				return err;
			XXH3_64bits_update(w->hash, w->chunk, n);
			at += n;
		}
		w->meta.segments[i].xxh3 = XXH3_64bits_digest(w->hash);
	}
	return 0;
}

/* The same header again, now with every checksum: not a byte longer. */
static int write_header(struct writer *w)
{
	size_t bytes = w->header.len;

	w->header.len = 0;
	finf_pack_header_put(&w->header, &w->meta, w->tensors, w->n_tensors, NULL);
	if (w->header.err || w->header.len != bytes)
		return w->header.err ? w->header.err : -EIO;
	return write_at(w, w->header.data, w->header.len, 0);
}

/* ---- the file ----------------------------------------------------------------------- */

static int open_temp(struct writer *w, int dir, const char *name)
{
	for (;;) {
		uint64_t number;

		if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
			return -errno;
		if (snprintf(w->temp, sizeof(w->temp), ".%s.%08x.tmp", name, (uint32_t)number) >=
		    (int)sizeof(w->temp))
			return -ENAMETOOLONG;
		w->fd = openat(dir, w->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (w->fd >= 0)
			return 0;
		w->temp[0] = 0;
		if (errno != EEXIST)
			return -errno;
	}
}

/* All room at once: a full disk is found before the work, and the file lies in one piece. */
static int reserve(struct writer *w)
{
	uint64_t bytes = w->header.len + w->front.len + w->extent_bytes;
	int err;

	do
		err = fallocate(w->fd, 0, 0, (off_t)bytes) ? -errno : 0;
	while (err == -EINTR);
	return err == -EOPNOTSUPP ? 0 : err;
}

static int fill_file(struct writer *w)
{
	int err = reserve(w);

	if (err)
		return err;
	err = write_at(w, w->front.data, w->front.len, w->header.len);
	if (!err)
		err = write_segments(w);
	if (!err)
		err = write_header(w);
	if (!err && fsync(w->fd))
		err = -errno;
	return err;
}

/* Its final name, on the disk. */
static int publish(struct writer *w, int dir, const char *name)
{
	int err;

	if (renameat(dir, w->temp, dir, name))
		return -errno;
	w->temp[0] = 0;
	if (!fsync(dir))
		return 0;
	err = -errno;
	unlinkat(dir, name, 0);
	return err;
}

static int write_file(struct writer *w, int dirfd, const char *name)
{
	int dir = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;

	if (dir < 0)
		return -errno;
	w->hash = XXH3_createState();
	w->chunk = malloc(PACK_CHUNK_BYTES);
	err = w->hash && w->chunk ? open_temp(w, dir, name) : -ENOMEM;
	if (err)
		goto out;
	err = fill_file(w);
	if (!err)
		err = publish(w, dir, name);
	if (w->temp[0])
		unlinkat(dir, w->temp, 0);
out:
	if (w->fd >= 0 && close(w->fd) && !err)
		err = -errno;
	close(dir);
	return err;
}

/* ---- both kinds -------------------------------------------------------------------------- */

static void writer_init(struct writer *w, struct finf_diag *own)
{
	*w = (struct writer){.diag = own, .fd = -1};
	finf_arena_init(&w->scratch);
	finf_buf_init(&w->front);
	finf_buf_init(&w->header);
}

static void writer_fini(struct writer *w)
{
	finf_buf_fini(&w->front);
	finf_buf_fini(&w->header);
	finf_arena_fini(&w->scratch);
	XXH3_freeState(w->hash);
	free(w->chunk);
}

static int no_bytes(struct writer *w, const struct finf_value *value)
{
	return finf_diag_set(w->diag, -EINVAL, "constant %s has no bytes", value->name);
}

static int write_pack(struct writer *w, int dirfd, const char *name, const struct finf_graph *graph,
		      const struct finf_plan *plan)
{
	int err;

	if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return finf_diag_set(w->diag, -EINVAL, "not a file name");
	for (uint32_t i = 0; i < w->n_items; i++)
		if (!finf_pack_name_ok(w->items[i].name))
			return finf_diag_set(w->diag, -EINVAL, "constant %s: a pack cannot hold this "
					     "name", w->items[i].name);
	for (uint32_t v = 0; v < graph->n_values; v++)
		if (finf_graph_const_inline(&graph->values[v]) && !graph->values[v].data)
			return no_bytes(w, &graph->values[v]);
	err = lay_out(w, graph, plan);
	return err ? err : write_file(w, dirfd, name);
}

static int finish(struct writer *w, const char *name, int err, struct finf_diag *diag)
{
	if (err)
		finf_diag_set(diag, err, "%s: %s", name,
			      w->diag->text[0] ? w->diag->text : strerror(-err));
	writer_fini(w);
	return err;
}

/* ---- portable ---------------------------------------------------------------------------- */

struct constants {
	const struct finf_graph *graph;
	uint32_t *values; /* in order of first use */
	uint32_t n;
};

static void collect(struct constants *c, bool *seen, uint32_t v)
{
	const struct finf_value *value;

	if (v == FINF_NONE || seen[v])
		return;
	value = &c->graph->values[v];
	seen[v] = true;
	if (value->is_const && !finf_graph_const_inline(value))
		c->values[c->n++] = v;
}

static int collect_constants(struct writer *w, struct constants *c)
{
	const struct finf_graph *graph = c->graph;
	bool *seen = finf_arena_array(&w->scratch, graph->n_values, sizeof(*seen));

	c->values = finf_arena_array(&w->scratch, graph->n_values, sizeof(*c->values));
	if (!seen || !c->values)
		return -ENOMEM;
	for (uint32_t i = 0; i < graph->n_nodes; i++)
		for (uint32_t k = 0; k < graph->nodes[i].n_in; k++)
			collect(c, seen, graph->nodes[i].in[k]);
	for (uint32_t v = 0; v < graph->n_values; v++)
		collect(c, seen, v);
	for (uint32_t i = 0; i < c->n; i++)
		if (!graph->values[c->values[i]].data)
			return no_bytes(w, &graph->values[c->values[i]]);
	return 0;
}

static int place_constants(struct writer *w, const struct constants *c)
{
	uint64_t *bytes = finf_arena_array(&w->scratch, c->n, sizeof(*bytes));
	uint64_t *offsets = finf_arena_array(&w->scratch, c->n, sizeof(*offsets));
	struct finf_plan_segment *segments;
	uint32_t n_segments;
	int err;

	w->items = finf_arena_array(&w->scratch, c->n, sizeof(*w->items));
	if (!bytes || !offsets || !w->items)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->n; i++)
		bytes[i] = c->graph->values[c->values[i]].bytes;
	err = finf_plan_extent(bytes, c->n, 0, &w->scratch, offsets, &segments, &n_segments,
			       &w->extent_bytes);
	if (err)
		return err;
	for (uint32_t i = 0; i < c->n; i++) {
		const struct finf_value *value = &c->graph->values[c->values[i]];

		w->items[w->n_items++] = (struct item){
			.name = value->name, .dtype = value->dtype, .shape = value->shape,
			.offset = offsets[i], .bytes = bytes[i]};
	}
	return take_segments(w, segments, n_segments);
}

static int read_constant(void *ctx, uint32_t weight, uint64_t offset, void *to, uint64_t bytes,
			 struct finf_diag *diag)
{
	const struct constants *c = ctx;

	(void)diag;
	memcpy(to, (const uint8_t *)c->graph->values[c->values[weight]].data + offset, bytes);
	return 0;
}

int finf_pack_write_portable(int dirfd, const char *name, const struct finf_graph *graph,
			     struct finf_diag *diag)
{
	struct constants constants = {.graph = graph};
	struct finf_pack_source source = {.ctx = &constants, .read = read_constant};
	struct finf_diag own = {""};
	struct writer w;
	int err;

	writer_init(&w, &own);
	w.meta.kind = w.meta.target = "portable";
	w.meta.source = "";
	w.source = &source;
	err = collect_constants(&w, &constants);
	if (!err)
		err = place_constants(&w, &constants);
	if (!err)
		err = write_pack(&w, dirfd, name, graph, NULL);
	return finish(&w, name, err, diag);
}

/* ---- tuned ------------------------------------------------------------------------------- */

/* NAME, or NAME@K for a constant's further layouts; K where that name is taken. */
static const char *file_name(struct writer *w, struct finf_map *taken, const char *name)
{
	const char *file = name;

	for (uint32_t k = 1; finf_map_find(taken, file, NULL); k++) {
		file = finf_arena_printf(&w->scratch, "%s@%u", name, k);
		if (!file)
			return NULL;
	}
	return finf_map_put(taken, file, 0) ? NULL : file;
}

static int place_weights(struct writer *w, const struct finf_plan *plan)
{
	struct finf_map taken;
	int err = 0;

	w->items = finf_arena_array(&w->scratch, plan->n_weights, sizeof(*w->items));
	if (!w->items)
		return -ENOMEM;
	finf_map_init(&taken);
	for (uint32_t i = 0; !err && i < plan->n_weights; i++) {
		const struct finf_plan_weight *weight = &plan->weights[i];
		struct item *item = &w->items[w->n_items++];

		*item = (struct item){.name = file_name(w, &taken, weight->name),
				      .dtype = FINF_U8,
				      .shape = {.rank = 1, .dim = {(int64_t)weight->form.bytes}},
				      .offset = weight->offset,
				      .bytes = weight->form.bytes};
		err = item->name ? 0 : -ENOMEM;
	}
	finf_map_fini(&taken);
	w->extent_bytes = plan->weight_bytes;
	return err ? err : take_segments(w, plan->segments, plan->n_segments);
}

int finf_pack_write_tuned(int dirfd, const char *name, const struct finf_graph *graph,
			  const struct finf_plan *plan, const char *target,
			  uint64_t portable_hash, const struct finf_pack_source *source,
			  struct finf_diag *diag)
{
	struct finf_diag own = {""};
	char portable[17];
	struct writer w;
	int err = 0;

	writer_init(&w, &own);
	snprintf(portable, sizeof(portable), "%016" PRIx64, portable_hash);
	w.meta.kind = "tuned";
	w.meta.target = target;
	w.meta.source = portable;
	w.source = source;
	if (!finf_pack_target_ok(target))
		err = finf_diag_set(&own, -EINVAL, "target \"%s\" is not a target", target);
	if (!err)
		err = place_weights(&w, plan);
	if (!err)
		err = write_pack(&w, dirfd, name, graph, plan);
	return finish(&w, name, err, diag);
}
