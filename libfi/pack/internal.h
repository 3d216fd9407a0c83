/* SPDX-License-Identifier: MIT */
/*
 * pack/internal - the safetensors header: what writer and reader share.
 * Must not know: graphs and plans; only names, dtypes, shapes, byte ranges.
 */
#ifndef FINF_PACK_INTERNAL_H
#define FINF_PACK_INTERNAL_H

#include "pack/pack.h"

#define PACK_GRAPH "__fi.graph"
#define PACK_PLAN "__fi.plan"
#define PACK_PAD "__fi.pad." /* and a number, counted from 0 */
#define PACK_RESERVED "__fi."
#define PACK_NAME_MAX 1024
#define PACK_TARGET_MAX 255
#define PACK_CHUNK_BYTES (4u << 20)

/* One entry of the header. Offsets count from the start of the data. */
struct finf_pack_tensor {
	const char *name;
	enum finf_dtype dtype;
	struct finf_shape shape;
	uint64_t begin, end;
};

/* The strings of __metadata__. */
struct finf_pack_meta {
	const char *kind;   /* "portable" or "tuned" */
	const char *target; /* [A-Za-z0-9._:+-] */
	const char *source; /* 16 hex digits, or "" */
	uint64_t header_xxh3, meta_xxh3;
	struct finf_pack_segment *segments; /* only bytes and xxh3 travel */
	uint32_t n_segments;
};

/* ---- names.c ------------------------------------------------------------- */

/** finf_pack_name_ok - may a weight have this name in a pack? */
bool finf_pack_name_ok(const char *name);
bool finf_pack_target_ok(const char *target);
/** "F32" and the like; NULL and FINF_DTYPE_NONE for what is not stored. */
const char *finf_pack_dtype_name(enum finf_dtype dtype);
enum finf_dtype finf_pack_dtype_find(const char *name);
/** finf_pack_hex - exactly 16 lower-case hexadecimal digits. */
bool finf_pack_hex(const char *text, uint64_t *ret);
/** finf_pack_is_tuned_name - is @file "NAME" or "NAME@K" for this NAME? */
bool finf_pack_is_tuned_name(const char *file, const char *name);

/* ---- header.c -------------------------------------------------------------- */

/**
 * finf_pack_header_put - length, JSON and padding, ready for the file.
 * Its length depends on no checksum. The header's own checksum is filled in.
 * @param ret_hash  may be NULL
 */
void finf_pack_header_put(struct finf_buf *buf, const struct finf_pack_meta *meta,
			  const struct finf_pack_tensor *tensors, uint32_t n, uint64_t *ret_hash);

/**
 * finf_pack_header_take - JSON of a foreign file -> tensors in file order.
 * Checks syntax, depth, names, dtypes, shapes, that the tensors lie back to
 * back from 0 to @data_bytes, and the header's checksum.
 * @param json   @bytes of it, without the length
 * @param arena  where strings and arrays are put
 * Return: 0; -EBADMSG; -EOPNOTSUPP newer format; -ENOMEM.
 */
int finf_pack_header_take(const char *json, size_t bytes, uint64_t data_bytes,
			  struct finf_arena *arena, struct finf_pack_meta *ret_meta,
			  struct finf_pack_tensor **ret_tensors, uint32_t *ret_n,
			  struct finf_diag *diag);

#endif
