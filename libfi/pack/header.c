/* SPDX-License-Identifier: MIT */
/*
 * pack: the safetensors header, written and taken apart. The writer emits
 * fixed-width checksums, so a header can be sized before they are known. The
 * reader believes nothing: a scan bounds nesting before jansson builds
 * anything, and every number is checked before it is used.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <fusedinf/version.h>

#include "pack/internal.h"

#define HASH_KEY "\"fi.header_xxh3\":\""
#define HASH_DIGITS 16
/* { "name": { "shape": [ */
#define JSON_DEPTH_MAX 3
/* Rank of a shape; no array of ours is longer. */
#define JSON_ARRAY_MAX FINF_RANK_MAX

/* ---- writing --------------------------------------------------------------- */

/* Names hold no control characters (finf_pack_name_ok), so two escapes are all. */
static void put_string(struct finf_buf *buf, const char *text)
{
	finf_buf_u8(buf, '"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			finf_buf_u8(buf, '\\');
		finf_buf_u8(buf, (uint8_t)*text);
	}
	finf_buf_u8(buf, '"');
}

static void put_meta(struct finf_buf *buf, const struct finf_pack_meta *meta)
{
	finf_buf_printf(buf, "{\"__metadata__\":{\"fi.format\":\"%d\",\"fi.generator\":\"fusedinf %s\"",
			FINF_PACK_FORMAT, FUSEDINF_VERSION);
	finf_buf_printf(buf, "," HASH_KEY "%016d\"", 0);
	finf_buf_printf(buf, ",\"fi.meta_xxh3\":\"%016" PRIx64 "\"", meta->meta_xxh3);
	finf_buf_printf(buf, ",\"fi.kind\":\"%s\",\"fi.target\":\"%s\",\"fi.source\":\"%s\"",
			meta->kind, meta->target, meta->source);
	finf_buf_printf(buf, ",\"fi.segments\":\"");
	for (uint32_t i = 0; i < meta->n_segments; i++)
		finf_buf_printf(buf, "%s%" PRIu64 ":%016" PRIx64, i ? "," : "",
				meta->segments[i].bytes, meta->segments[i].xxh3);
	finf_buf_printf(buf, "\"}");
}

static void put_tensor(struct finf_buf *buf, const struct finf_pack_tensor *tensor)
{
	finf_buf_u8(buf, ',');
	put_string(buf, tensor->name);
	finf_buf_printf(buf, ":{\"dtype\":\"%s\",\"shape\":[", finf_pack_dtype_name(tensor->dtype));
	for (uint32_t i = 0; i < tensor->shape.rank; i++)
		finf_buf_printf(buf, "%s%" PRId64, i ? "," : "", tensor->shape.dim[i]);
	finf_buf_printf(buf, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", tensor->begin,
			tensor->end);
}

void finf_pack_header_put(struct finf_buf *buf, const struct finf_pack_meta *meta,
			  const struct finf_pack_tensor *tensors, uint32_t n, uint64_t *ret_hash)
{
	size_t start = buf->len, json_at = start + sizeof(uint64_t), json_bytes;
	char digits[HASH_DIGITS + 1], *field;
	uint64_t hash, length;

	finf_buf_u64(buf, 0);
	put_meta(buf, meta);
	for (uint32_t i = 0; i < n; i++)
		put_tensor(buf, &tensors[i]);
	finf_buf_u8(buf, '}');
	while (!buf->err && (buf->len - start) % FINF_SEGMENT_ALIGN)
		finf_buf_u8(buf, ' ');
	if (buf->err)
		return;
	json_bytes = buf->len - json_at;
	length = htole64(json_bytes);
	memcpy(buf->data + start, &length, sizeof(length));
	hash = finf_hash64(buf->data + json_at, json_bytes);
	field = memmem(buf->data + json_at, json_bytes, HASH_KEY, strlen(HASH_KEY));
	snprintf(digits, sizeof(digits), "%016" PRIx64, hash);
	memcpy(field + strlen(HASH_KEY), digits, HASH_DIGITS);
	if (ret_hash)
		*ret_hash = hash;
}

/* ---- reading ------------------------------------------------------------------ */

struct taker {
	struct finf_arena *arena;
	struct finf_diag *diag;
	struct finf_pack_meta meta;
	struct finf_pack_tensor *tensors;
	uint32_t n;
	uint64_t at; /* end of the tensors so far */
};

#define bad(t, ...) finf_diag_set((t)->diag, -EBADMSG, __VA_ARGS__)

/* Nesting and array lengths, so that a hostile header cannot make the parser allocate at will. */
static int check_nesting(struct taker *t, const char *json, size_t bytes)
{
	uint32_t depth = 0, elements = 0;
	bool quoted = false, array = false;

	for (size_t i = 0; i < bytes; i++) {
		char c = json[i];

		if (quoted) {
			i += c == '\\';
			quoted = c != '"';
		} else if (c == '"') {
			quoted = true;
		} else if (c == '{' || c == '[') {
			if (++depth > JSON_DEPTH_MAX)
				return bad(t, "offset %zu: header is nested too deep", i + 8);
			array = c == '[';
			elements = 0;
		} else if (c == '}' || c == ']') {
			depth--;
			array = false;
			if (!depth)
				return 0; /* what follows is the parser's to refuse */
		} else if (c == ',' && array && ++elements >= JSON_ARRAY_MAX) {
			return bad(t, "offset %zu: array of more than %d numbers", i + 8,
				   JSON_ARRAY_MAX);
		}
	}
	return bad(t, "header is not closed");
}

static const char *meta_string(struct taker *t, const json_t *meta, const char *key)
{
	const char *text = json_string_value(json_object_get(meta, key));

	if (!text)
		bad(t, "__metadata__ has no string %s", key);
	return text;
}

/* "BYTES:HASH,BYTES:HASH" */
static int take_segments(struct taker *t, const char *text)
{
	struct finf_pack_segment *segments;
	uint32_t n = *text ? 1 : 0;
	uint64_t offset = 0;

	for (const char *c = text; *c; c++)
		n += *c == ',';
	segments = finf_arena_array(t->arena, n, sizeof(*segments));
	if (!segments)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		struct finf_pack_segment *segment = &segments[i];
		char *end = NULL;

		errno = 0;
		if (*text >= '1' && *text <= '9')
			segment->bytes = strtoull(text, &end, 10);
		if (!end || errno || *end != ':' || !finf_pack_hex(end + 1, &segment->xxh3))
			return bad(t, "fi.segments: entry %u is malformed", i);
		text = end + 1 + HASH_DIGITS;
		if (*text++ != (i + 1 < n ? ',' : 0))
			return bad(t, "fi.segments: entry %u is malformed", i);
		if (segment->bytes % FINF_SEGMENT_ALIGN || segment->bytes > FINF_EXTENT_MAX)
			return bad(t, "fi.segments: entry %u is not in whole pages", i);
		segment->offset = offset;
		offset += segment->bytes;
		if (offset > FINF_EXTENT_MAX)
			return bad(t, "fi.segments: too many bytes");
	}
	t->meta.segments = segments;
	t->meta.n_segments = n;
	return 0;
}

static int take_format(struct taker *t, const json_t *meta)
{
	const char *format = meta_string(t, meta, "fi.format");
	char *end;
	long version;

	if (!format)
		return -EBADMSG;
	version = strtol(format, &end, 10);
	if (*end || version < 1)
		return bad(t, "fi.format is \"%s\"", format);
	if (version > FINF_PACK_FORMAT)
		return finf_diag_set(t->diag, -EOPNOTSUPP, "format %ld is newer than %d", version,
				     FINF_PACK_FORMAT);
	return 0;
}

static int take_meta(struct taker *t, const json_t *meta)
{
	const char *kind, *target, *source, *header, *hash, *segments;
	uint64_t number;
	int err;

	if (!json_is_object(meta))
		return bad(t, "no __metadata__: not a pack");
	err = take_format(t, meta);
	if (err)
		return err;
	kind = meta_string(t, meta, "fi.kind");
	target = meta_string(t, meta, "fi.target");
	source = meta_string(t, meta, "fi.source");
	header = meta_string(t, meta, "fi.header_xxh3");
	hash = meta_string(t, meta, "fi.meta_xxh3");
	segments = meta_string(t, meta, "fi.segments");
	if (!kind || !target || !source || !header || !hash || !segments)
		return -EBADMSG;
	if (strcmp(kind, "portable") && strcmp(kind, "tuned"))
		return bad(t, "fi.kind is \"%s\"", kind);
	if (!finf_pack_target_ok(target))
		return bad(t, "fi.target is not a target");
	if (*source && (!finf_pack_hex(source, &number) || source[HASH_DIGITS]))
		return bad(t, "fi.source is not a checksum");
	if (!finf_pack_hex(header, &t->meta.header_xxh3) || header[HASH_DIGITS] ||
	    !finf_pack_hex(hash, &t->meta.meta_xxh3) || hash[HASH_DIGITS])
		return bad(t, "__metadata__ holds a checksum that is none");
	t->meta.kind = finf_arena_str(t->arena, kind);
	t->meta.target = finf_arena_str(t->arena, target);
	t->meta.source = finf_arena_str(t->arena, source);
	if (!t->meta.kind || !t->meta.target || !t->meta.source)
		return -ENOMEM;
	return take_segments(t, segments);
}

static int check_hash(struct taker *t, const char *json, size_t bytes)
{
	char *copy = malloc(bytes), *field;
	uint64_t hash;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, json, bytes);
	field = memmem(copy, bytes, HASH_KEY, strlen(HASH_KEY));
	if (field && (size_t)(copy + bytes - field) >= strlen(HASH_KEY) + HASH_DIGITS)
		memset(field + strlen(HASH_KEY), '0', HASH_DIGITS);
	hash = finf_hash64(copy, bytes);
	free(copy);
	if (hash != t->meta.header_xxh3)
		return bad(t, "offset 8: header does not match its checksum");
	return 0;
}

static bool take_number(const json_t *number, uint64_t *ret)
{
	if (!json_is_integer(number) || json_integer_value(number) < 0)
		return false;
	*ret = (uint64_t)json_integer_value(number);
	return true;
}

static bool take_shape(const json_t *array, struct finf_shape *ret)
{
	uint64_t dim;

	if (!json_is_array(array) || json_array_size(array) > FINF_RANK_MAX)
		return false;
	ret->rank = (uint32_t)json_array_size(array);
	for (uint32_t i = 0; i < ret->rank; i++) {
		if (!take_number(json_array_get(array, i), &dim))
			return false;
		ret->dim[i] = (int64_t)dim;
	}
	return true;
}

static int take_tensor(struct taker *t, const char *name, const json_t *entry)
{
	const json_t *offsets = json_object_get(entry, "data_offsets");
	const char *dtype = json_string_value(json_object_get(entry, "dtype"));
	struct finf_pack_tensor *tensor = &t->tensors[t->n];
	size_t bytes;

	if (strncmp(name, PACK_RESERVED, strlen(PACK_RESERVED)) && !finf_pack_name_ok(name))
		return bad(t, "tensor %u has a name that is none", t->n);
	if (!json_is_object(entry) || json_object_size(entry) != 3 || !dtype ||
	    !json_is_array(offsets) || json_array_size(offsets) != 2 ||
	    !take_number(json_array_get(offsets, 0), &tensor->begin) ||
	    !take_number(json_array_get(offsets, 1), &tensor->end) ||
	    !take_shape(json_object_get(entry, "shape"), &tensor->shape))
		return bad(t, "tensor %s: malformed entry", name);
	tensor->dtype = finf_pack_dtype_find(dtype);
	if (tensor->dtype == FINF_DTYPE_NONE)
		return bad(t, "tensor %s: dtype \"%s\"", name, dtype);
	if (tensor->begin != t->at || tensor->end < tensor->begin)
		return bad(t, "tensor %s: data offset %" PRIu64 ", where %" PRIu64 " is due", name,
			   tensor->begin, t->at);
	if (finf_tensor_bytes(tensor->dtype, &tensor->shape, &bytes) ||
	    bytes != tensor->end - tensor->begin)
		return bad(t, "tensor %s: data offset %" PRIu64 ": bytes do not match its shape",
			   name, tensor->begin);
	tensor->name = finf_arena_str(t->arena, name);
	if (!tensor->name)
		return -ENOMEM;
	t->at = tensor->end;
	t->n++;
	return 0;
}

static int take_json(struct taker *t, json_t *root, const char *json, size_t bytes,
		     uint64_t data_bytes)
{
	const char *name;
	json_t *entry;
	int err = take_meta(t, json_object_get(root, "__metadata__"));

	if (!err)
		err = check_hash(t, json, bytes);
	if (err)
		return err;
	t->tensors = finf_arena_array(t->arena, json_object_size(root), sizeof(*t->tensors));
	if (!t->tensors)
		return -ENOMEM;
	json_object_foreach(root, name, entry) {
		err = strcmp(name, "__metadata__") ? take_tensor(t, name, entry) : 0;
		if (err)
			return err;
	}
	if (t->at != data_bytes)
		return bad(t, "tensors end at data offset %" PRIu64 ", the file at %" PRIu64, t->at,
			   data_bytes);
	return 0;
}

int finf_pack_header_take(const char *json, size_t bytes, uint64_t data_bytes,
			  struct finf_arena *arena, struct finf_pack_meta *ret_meta,
			  struct finf_pack_tensor **ret_tensors, uint32_t *ret_n,
			  struct finf_diag *diag)
{
	struct taker t = {.arena = arena, .diag = diag};
	json_error_t error;
	json_t *root;
	int err;

	if (!bytes || json[0] != '{')
		return bad(&t, "offset 8: not a safetensors header");
	err = check_nesting(&t, json, bytes);
	if (err)
		return err;
	root = json_loadb(json, bytes, JSON_REJECT_DUPLICATES, &error);
	if (!root && json_error_code(&error) == json_error_out_of_memory)
		return -ENOMEM;
	if (!root)
		return bad(&t, "offset %d: %s", error.position + 8, error.text);
	err = take_json(&t, root, json, bytes, data_bytes);
	json_decref(root);
	if (err)
		return err;
	*ret_meta = t.meta;
	*ret_tensors = t.tensors;
	*ret_n = t.n;
	return 0;
}
