/* SPDX-License-Identifier: MIT */
/* engine/weights: plain constants by name, from a graph or a portable pack, into blocked form. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/priv.h"

/* The constant's bytes where they are in memory; NULL = they are in the pack. */
static const void *in_memory(const struct finf_weight_source *source,
			     const struct finf_plan_weight *weight)
{
	uint32_t value;

	if (!finf_graph_find(source->graph, weight->name, &value))
		return NULL;
	return source->graph->values[value].data;
}

int finf_weight_read(const struct finf_weight_source *source, const struct finf_plan_weight *weight,
		     uint64_t offset, void *to, uint64_t bytes, struct finf_diag *diag)
{
	const char *data = in_memory(source, weight);
	int err = -ENOENT;

	if (data) {
		memcpy(to, data + offset, bytes);
		return 0;
	}
	if (source->pack)
		err = finf_pack_read_weight(source->pack, weight->name, offset, to, bytes);
	return err ? finf_diag_set(diag, err, "constant '%s' cannot be read", weight->name) : 0;
}

/* One blocked weight: its plain bytes are in memory only while it is turned. */
static int pack_blocked(struct finf_device *dev, const struct finf_weight_source *source,
			const struct finf_plan_weight *weight, void *to, struct finf_diag *diag)
{
	struct finf_tensor plain = {
		.name = weight->name,
		.dtype = weight->dtype,
		.shape = weight->shape,
		.data = (void *)in_memory(source, weight),
	};
	void *copy = NULL;
	int err = finf_tensor_bytes(plain.dtype, &plain.shape, &plain.bytes);

	if (err)
		return finf_diag_set(diag, err, "constant '%s' has no size", weight->name);
	if (!plain.data) {
		plain.data = copy = malloc(plain.bytes ? plain.bytes : 1);
		if (!copy)
			return finf_diag_set(diag, -ENOMEM, "no memory for constant '%s'",
					     weight->name);
		err = finf_weight_read(source, weight, 0, copy, plain.bytes, diag);
	}
	if (!err) {
		err = finf_device_pack_weight(dev, &weight->form, &plain, to);
		if (err)
			finf_diag_set(diag, err, "constant '%s' cannot be brought into its layout",
				      weight->name);
	}
	free(copy);
	return err;
}

int finf_weight_pack(struct finf_device *dev, const struct finf_weight_source *source,
		     const struct finf_plan_weight *weight, void *to, struct finf_diag *diag)
{
	if (weight->form.desc_bytes)
		return pack_blocked(dev, source, weight, to, diag);
	return finf_weight_read(source, weight, 0, to, weight->form.bytes, diag);
}

/* Plain weights travel in chunks, so that a large one needs no second copy. */
static int place_plain(struct finf_device *dev, const struct finf_weight_source *source,
		       const struct finf_plan_weight *weight, char *to, void *chunk,
		       struct finf_diag *diag)
{
	for (uint64_t at = 0; at < weight->form.bytes;) {
		uint64_t n = FINF_MIN(weight->form.bytes - at, (uint64_t)FINF_ENGINE_CHUNK_BYTES);
		int err = finf_weight_read(source, weight, at, chunk, n, diag);

		if (!err) {
			err = finf_device_write(dev, to + at, chunk, n);
			if (err)
				finf_diag_set(diag, err, "constant '%s' cannot be copied",
					      weight->name);
		}
		if (err)
			return err;
		at += n;
	}
	return 0;
}

static int place_blocked(struct finf_device *dev, const struct finf_weight_source *source,
			 const struct finf_plan_weight *weight, void *to, struct finf_diag *diag)
{
	/* oneDNN and the driver like their buffers aligned */
	void *blocked = aligned_alloc(4096, finf_align_up(weight->form.bytes, 4096));
	int err;

	if (!blocked)
		return finf_diag_set(diag, -ENOMEM, "no memory for constant '%s'", weight->name);
	err = pack_blocked(dev, source, weight, blocked, diag);
	if (!err) {
		err = finf_device_write(dev, to, blocked, weight->form.bytes);
		if (err)
			finf_diag_set(diag, err, "constant '%s' cannot be copied", weight->name);
	}
	free(blocked);
	return err;
}

int finf_weights_place(struct finf_device *dev, const struct finf_weight_source *source,
		       const struct finf_plan *plan, void *extent, struct finf_diag *diag)
{
	void *chunk = malloc(FINF_ENGINE_CHUNK_BYTES);
	int err = 0;

	if (!chunk)
		return finf_diag_set(diag, -ENOMEM, "no memory to copy weights");
	for (uint32_t i = 0; i < plan->n_weights && !err; i++) {
		const struct finf_plan_weight *weight = &plan->weights[i];
		char *to = (char *)extent + weight->offset;

		err = weight->form.desc_bytes ? place_blocked(dev, source, weight, to, diag)
					      : place_plain(dev, source, weight, to, chunk, diag);
	}
	free(chunk);
	return err;
}
