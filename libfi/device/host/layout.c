/* SPDX-License-Identifier: MIT */
/* host: layouts of activations, descriptions of blocked weights, and packing weights into them. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "device/host/host.h"

#define DESC_MAGIC 0x31574946u /* "FIW1" */
/* Without the part that only Winograd's weights have. */
#define DESC_BYTES offsetof(struct finf_host_weight_desc, winograd)

_Static_assert(DESC_BYTES == 64 && sizeof(struct finf_host_weight_desc) == 112,
	       "no padding: compared byte by byte");

/* ---- activations ------------------------------------------------------------- */

uint32_t finf_host_block(uint16_t layout)
{
	switch (layout) {
	case FINF_HOST_NCHW8C:
		return 8;
	case FINF_HOST_NCHW16C:
		return 16;
	default:
		return 0;
	}
}

/* By rank: one, two and three spatial dimensions. */
static const uint32_t blocked8[] = {[3] = dnnl_nCw8c, [4] = dnnl_nChw8c, [5] = dnnl_nCdhw8c};
static const uint32_t blocked16[] = {[3] = dnnl_nCw16c, [4] = dnnl_nChw16c, [5] = dnnl_nCdhw16c};

static bool can_block(const struct finf_shape *shape)
{
	return shape->rank >= 3 && shape->rank < FINF_ARRAY_LEN(blocked16);
}

uint32_t finf_host_md_block(const struct finf_dnn_md *md)
{
	if (md->rank < 3 || md->rank >= FINF_ARRAY_LEN(blocked16))
		return 0;
	return md->tag == blocked16[md->rank] ? 16 : md->tag == blocked8[md->rank] ? 8 : 0;
}

int finf_host_layout_md(uint16_t layout, enum finf_dtype dtype, const struct finf_shape *shape,
			struct finf_dnn_md *ret)
{
	uint32_t block = finf_host_block(layout);
	int err;

	if (dtype != FINF_F32 || (layout != FINF_LAYOUT_PLAIN && (!block || !can_block(shape))))
		return -EOPNOTSUPP;
	for (uint32_t i = 0; i < shape->rank; i++)
		if (shape->dim[i] < 1) /* nothing to compute: the reference does it */
			return -EOPNOTSUPP;
	err = finf_dnn_plain(shape, ret);
	if (!err && block)
		ret->tag = (block == 16 ? blocked16 : blocked8)[shape->rank];
	return err;
}

int finf_host_layout_bytes(struct finf_device *dev, uint16_t layout, enum finf_dtype dtype,
			   const struct finf_shape *shape, uint64_t *ret_bytes)
{
	struct finf_shape padded = *shape;
	uint32_t block = finf_host_block(layout);
	size_t bytes;
	int err;

	(void)dev;
	if (layout != FINF_LAYOUT_PLAIN) {
		if (!block || dtype != FINF_F32 || !can_block(shape) || shape->dim[1] < 0 ||
		    shape->dim[1] > INT64_MAX - block)
			return -EINVAL;
		padded.dim[1] = (int64_t)finf_align_up((uint64_t)shape->dim[1], block);
	}
	err = finf_tensor_bytes(dtype, &padded, &bytes);
	if (!err)
		*ret_bytes = bytes;
	return err;
}

uint64_t finf_host_reorder_ns(struct finf_device *dev, uint16_t from, uint16_t to, uint64_t bytes)
{
	(void)dev;
	/* Read and written once; a permutation runs slower than a copy. */
	return 1000 + bytes / (from == to ? 10 : 5);
}

/* ---- weights -------------------------------------------------------------------- */

int finf_host_desc_put(const struct finf_dnn_md *md, struct finf_arena *arena,
		       const void **ret_desc, uint32_t *ret_bytes)
{
	struct finf_host_weight_desc desc = {
		.magic = DESC_MAGIC,
		.version = finf_dnn_version(),
		.tag = md->tag,
		.rank = md->rank,
	};
	uint32_t bytes = DESC_BYTES;
	void *copy;

	memcpy(desc.dim, md->dim, sizeof(desc.dim));
	if (md->tag == FINF_DNN_WINOGRAD) {
		desc.winograd = md->winograd;
		bytes = sizeof(desc);
	}
	copy = finf_arena_dup(arena, &desc, bytes);
	if (!copy)
		return -ENOMEM;
	*ret_desc = copy;
	*ret_bytes = bytes;
	return 0;
}

/* The same tensor, with at most a group dimension split off in front? */
static bool dims_agree(const struct finf_host_weight_desc *desc, const struct finf_shape *shape)
{
	uint32_t extra = desc->rank - shape->rank;

	if (extra > 1 || !desc->rank || desc->rank > FINF_DNN_RANK)
		return false;
	for (uint32_t i = 0; i < FINF_DNN_RANK; i++)
		if (i < desc->rank ? desc->dim[i] < 1 : desc->dim[i] != 0)
			return false;
	for (uint32_t i = extra; i < shape->rank; i++)
		if (desc->dim[i + extra] != shape->dim[i])
			return false;
	return !extra || (shape->rank && shape->dim[0] % desc->dim[0] == 0 &&
			  shape->dim[0] / desc->dim[0] == desc->dim[1]);
}

/* The transform works by these numbers alone: none of them may lead it out of the weights.
 * Channels are padded to a block. */
static bool winograd_agrees(const struct finf_host_weight_desc *desc)
{
	const struct finf_dnn_winograd *w = &desc->winograd;

	return desc->rank == 4 && desc->dim[2] == 3 && desc->dim[3] == 3 && w->format >= 1 &&
	       w->format <= 4 && w->r == 3 && (w->alpha == 4 || w->alpha == 6) &&
	       w->oc == (int64_t)finf_align_up((uint64_t)desc->dim[0], 16) &&
	       w->ic == (int64_t)finf_align_up((uint64_t)desc->dim[1], 16) && w->oc_block > 0 &&
	       w->ic_block > 0 && w->oc2_block > 0 && w->ic2_block > 0 && w->oc_block <= 64 &&
	       w->ic_block <= 64 && w->oc2_block <= w->oc && w->ic2_block <= w->ic &&
	       (int64_t)w->oc % ((int64_t)w->oc_block * w->oc2_block) == 0 &&
	       (int64_t)w->ic % ((int64_t)w->ic_block * w->ic2_block) == 0 &&
	       w->bytes == (uint64_t)w->alpha * (uint64_t)w->alpha * (uint64_t)w->oc *
				   (uint64_t)w->ic * sizeof(float);
}

int finf_host_desc_get(const void *bytes, uint32_t n, const struct finf_shape *shape,
		       struct finf_dnn_md *ret, struct finf_diag *diag)
{
	struct finf_host_weight_desc desc = {0};
	struct finf_dnn_md md = {0};
	uint64_t size;

	if (n != DESC_BYTES && n != sizeof(desc))
		return finf_diag_set(diag, -EBADMSG, "weight layout of %" PRIu32 " bytes, not %zu",
				     n, DESC_BYTES);
	memcpy(&desc, bytes, n);
	if (desc.magic != DESC_MAGIC || desc.version != finf_dnn_version())
		return finf_diag_set(diag, -EBADMSG, "weight layout of another oneDNN");
	if (n == sizeof(desc) ? desc.tag != FINF_DNN_WINOGRAD
			      : desc.tag <= dnnl_format_tag_any || desc.tag >= dnnl_format_tag_last)
		return finf_diag_set(diag, -EBADMSG, "weight layout number %" PRIu32, desc.tag);
	if (!dims_agree(&desc, shape))
		return finf_diag_set(diag, -EBADMSG, "weight layout is of another shape");
	if (desc.tag == FINF_DNN_WINOGRAD && !winograd_agrees(&desc))
		return finf_diag_set(diag, -EBADMSG, "transformed weights of another kind");
	md.rank = desc.rank;
	md.tag = desc.tag;
	memcpy(md.dim, desc.dim, sizeof(desc.dim));
	md.winograd = desc.winograd;
	if (finf_dnn_md_bytes(&md, &size))
		return finf_diag_set(diag, -EBADMSG,
				     "weight layout number %" PRIu32 " is not of rank %" PRIu32,
				     desc.tag, desc.rank);
	*ret = md;
	return 0;
}

static int reorder_weight(struct finf_dnn *dnn, const struct finf_dnn_md *md, const void *from,
			  void *to)
{
	struct finf_shape shape = {.rank = md->rank};
	struct finf_dnn_arg args[2] = {{.arg = DNNL_ARG_FROM}, {.arg = DNNL_ARG_TO, .md = *md}};
	void *const addresses[2] = {(void *)(uintptr_t)from, to}; /* only read from */
	struct finf_dnn_pd *pd = NULL;
	struct finf_dnn_prim *prim = NULL;
	int err;

	memcpy(shape.dim, md->dim, md->rank * sizeof(shape.dim[0]));
	err = finf_dnn_plain(&shape, &args[0].md);
	if (!err)
		err = finf_dnn_reorder(dnn, &args[0].md, md, &pd);
	if (!err)
		err = finf_dnn_prim_new(dnn, pd, args, 2, &prim);
	if (!err)
		err = finf_dnn_prim_run(prim, addresses, NULL);
	finf_dnn_prim_free(prim);
	finf_dnn_pd_free(pd);
	return err;
}

int finf_host_pack_weight(struct finf_device *dev, const struct finf_weight_form *form,
			  const struct finf_tensor *plain, void *to)
{
	struct finf_host *host = (struct finf_host *)dev;
	struct finf_dnn_md md;
	uint64_t bytes;
	size_t plain_bytes;
	uint32_t threads;
	int err = finf_tensor_bytes(plain->dtype, &plain->shape, &plain_bytes);

	if (err)
		return err;
	if (plain_bytes > plain->bytes)
		return -EINVAL;
	if (!form->desc_bytes) {
		if (form->bytes != plain_bytes)
			return -EBADMSG;
		memcpy(to, plain->data, plain_bytes);
		return 0;
	}
	if (!host->dnn || plain->dtype != FINF_F32)
		return -EBADMSG;
	err = finf_host_desc_get(form->desc, form->desc_bytes, &plain->shape, &md, NULL);
	if (!err)
		err = finf_dnn_md_bytes(&md, &bytes);
	if (err)
		return err;
	if (bytes != form->bytes)
		return -EBADMSG;
	/*
	 * With one thread: a team made here would stay beside the one that runs, and with
	 * more threads than cores the OpenMP runtime gives up spinning in all of them. A
	 * small network then took 6 times as long (Documentation/measurements).
	 */
	threads = finf_dnn_threads(1);
	err = reorder_weight(host->dnn, &md, plain->data, to);
	finf_dnn_threads(threads);
	return err;
}
