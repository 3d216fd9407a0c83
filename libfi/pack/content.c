/* SPDX-License-Identifier: MIT */
/* pack: the bytes behind the tables - checksums compared, weights read. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "pack/internal.h"

#define VERIFY_BYTES (1u << 20)

/* The first weight that has bytes in a segment, for the message. */
static const char *weight_in(const struct finf_pack *pack, const struct finf_pack_segment *segment)
{
	for (uint32_t i = 0; i < pack->n_weights; i++)
		if (pack->weights[i].offset + pack->weights[i].bytes > segment->offset)
			return pack->weights[i].name;
	return "padding";
}

static int hash_segment(struct finf_pack *pack, const struct finf_pack_segment *segment,
			XXH3_state_t *state, void *chunk, struct finf_diag *diag)
{
	XXH3_64bits_reset(state);
	for (uint64_t at = 0; at < segment->bytes;) {
		size_t n = (size_t)FINF_MIN(segment->bytes - at, (uint64_t)VERIFY_BYTES);
		int err = finf_pread_full(pack->fd, chunk, n, segment->file_offset + at);

		if (err)
			return finf_diag_set(diag, err, "%s: offset %" PRIu64 ": cannot read: %s",
					     pack->name, segment->file_offset + at, strerror(-err));
		XXH3_64bits_update(state, chunk, n);
		at += n;
	}
	return 0;
}

int finf_pack_verify(struct finf_pack *pack, struct finf_diag *diag)
{
	XXH3_state_t *state = XXH3_createState();
	void *chunk = malloc(VERIFY_BYTES);
	int err = state && chunk ? 0 : -ENOMEM;

	for (uint32_t i = 0; !err && i < pack->n_segments; i++) {
		const struct finf_pack_segment *segment = &pack->segments[i];

		err = hash_segment(pack, segment, state, chunk, diag);
		if (!err && XXH3_64bits_digest(state) != segment->xxh3)
			err = finf_diag_set(diag, -EBADMSG, "%s: offset %" PRIu64 ": segment %u of %u, "
					    "from tensor %s on, does not match its checksum",
					    pack->name, segment->file_offset, i, pack->n_segments,
					    weight_in(pack, segment));
	}
	free(chunk);
	XXH3_freeState(state);
	return err;
}

int finf_pack_read_weight(struct finf_pack *pack, const char *name, uint64_t offset, void *to,
			  uint64_t bytes)
{
	const struct finf_pack_weight *weight;
	uint32_t index;

	if (!finf_map_find(&pack->weight_by_name, name, &index))
		return -ENOENT;
	weight = &pack->weights[index];
	if (offset > weight->bytes || bytes > weight->bytes - offset)
		return -ERANGE;
	/* The extent is the end of the file. */
	return finf_pread_full(pack->fd, to, bytes,
			       pack->file_bytes - pack->weight_bytes + weight->offset + offset);
}

int finf_pack_map(struct finf_pack *pack, struct finf_diag *diag)
{
	uint64_t extent_at = pack->file_bytes - pack->weight_bytes;
	int err;

	if (pack->plan)
		return finf_diag_set(diag, -EINVAL, "%s: a tuned pack (%s), not a portable one",
				     pack->name, pack->target);
	err = finf_file_map(pack->fd, &pack->map, &pack->map_bytes);
	if (!err && pack->map_bytes != pack->file_bytes)
		err = -EBADMSG;
	if (err)
		return finf_diag_set(diag, err, "%s: cannot be mapped: %s", pack->name,
				     strerror(-err));
	for (uint32_t i = 0; i < pack->n_weights; i++) {
		uint32_t v;

		if (finf_graph_find(pack->graph, pack->weights[i].name, &v))
			pack->graph->values[v].data =
				(const uint8_t *)pack->map + extent_at + pack->weights[i].offset;
	}
	return 0;
}
