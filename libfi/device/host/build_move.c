/* SPDX-License-Identifier: MIT */
/* host: what only moves bytes, as oneDNN reorders: the same box seen through other strides. */
#include <errno.h>
#include <string.h>

#include "device/host/host.h"
#include "graph/op/move.h"

static int reorder(const struct finf_site *site, struct finf_build *b,
		   const struct finf_dnn_md *src, const struct finf_dnn_md *dst)
{
	int err = finf_dnn_reorder(site->dnn, src, dst, &b->pd);

	if (err)
		return err;
	finf_build_in(b, DNNL_ARG_FROM, 0, src);
	finf_build_out(b, DNNL_ARG_TO, dst);
	return 0;
}

/* A copy into the result seen in the order of the input: its strides permuted. */
int finf_build_transpose(const struct finf_site *site, struct finf_build *b)
{
	struct finf_dnn_md src, dst = {0};
	const struct finf_shape *y;
	const int64_t *perm;
	int64_t step = 1;
	uint32_t n;
	int err = finf_site_in_md(site, 0, &src);

	if (err || site->in_layout || site->out_layout || !finf_site_in(site, 0)->shape.rank)
		return -EOPNOTSUPP;
	y = &finf_site_out(site, 0)->shape;
	perm = finf_node_ints(site->node, "perm", &n);
	dst.rank = src.rank;
	memcpy(dst.dim, src.dim, sizeof(dst.dim));
	for (uint32_t i = y->rank; i-- > 0; step *= y->dim[i])
		dst.stride[perm ? perm[i] : y->rank - 1 - i] = step;
	return reorder(site, b, &src, &dst);
}

/*
 * Blocks of cells and channels change places. In the order of the cells' side
 * (dst of DepthToSpace, src of SpaceToDepth) its six dimensions are
 *
 *	n, c, h, block, w, block
 *
 * and on the channels' side the two blocks stand in front of c (DCR) or behind it (CRD).
 */
int finf_build_depth(const struct finf_site *site, struct finf_build *b)
{
	bool to_space = !strcmp(site->node->op->name, "DepthToSpace");
	bool crd = !strcmp(finf_node_str(site->node, "mode", "DCR"), "CRD");
	int64_t block = finf_node_int(site->node, "blocksize", 1);
	const struct finf_value *space = to_space ? finf_site_out(site, 0) : finf_site_in(site, 0);
	struct finf_dnn_md cells, depth, md;
	int64_t c, h, w;
	int err = finf_site_in_md(site, 0, &md);

	if (err || site->in_layout || site->out_layout || md.rank != 4)
		return -EOPNOTSUPP;
	c = space->shape.dim[1];
	h = space->shape.dim[2] / block;
	w = space->shape.dim[3] / block;
	cells = (struct finf_dnn_md){
		.rank = 6, .tag = dnnl_abcdef, .dim = {space->shape.dim[0], c, h, block, w, block}};
	depth = cells;
	depth.tag = dnnl_format_tag_undef;
	depth.stride[0] = c * block * block * h * w;
	depth.stride[1] = (crd ? block * block : 1) * h * w;
	depth.stride[2] = w;
	depth.stride[3] = block * (crd ? 1 : c) * h * w;
	depth.stride[4] = 1;
	depth.stride[5] = (crd ? 1 : c) * h * w;
	return to_space ? reorder(site, b, &depth, &cells) : reorder(site, b, &cells, &depth);
}

/* A box within the input: steps forwards only, begin and extents from the operator itself. */
int finf_build_slice(const struct finf_site *site, struct finf_build *b)
{
	struct finf_tensor tensors[5] = {{0}};
	const struct finf_tensor *in[5] = {NULL};
	const struct finf_value *y = finf_site_out(site, 0);
	struct finf_dnn_md src, dst;
	struct finf_walk walk;
	int err = finf_site_in_md(site, 0, &src);

	if (!err)
		err = finf_site_out_md(site, &dst);
	if (err || site->in_layout || site->out_layout || !y->shape.rank)
		return -EOPNOTSUPP;
	for (uint32_t i = 0; i < site->node->n_in; i++) {
		const struct finf_value *value = finf_site_in(site, i);

		if (!value)
			continue;
		if (i && (!value->is_const || !value->data))
			return -EOPNOTSUPP;
		tensors[i] = (struct finf_tensor){.dtype = value->dtype,
						  .shape = value->shape,
						  .data = (void *)(uintptr_t)value->data,
						  .bytes = value->bytes};
		in[i] = &tensors[i];
	}
	if (finf_slice_walk(site->node, in, &y->shape, &walk))
		return -EOPNOTSUPP;
	memset(src.stride, 0, sizeof(src.stride));
	for (uint32_t i = 0; i < walk.rank; i++) {
		if (walk.stride[i] < 1)
			return -EOPNOTSUPP;
		src.dim[i] = y->shape.dim[i];
		src.stride[i] = walk.stride[i];
	}
	src.tag = dnnl_format_tag_undef;
	err = reorder(site, b, &src, &dst);
	if (!err)
		b->from[0].offset_bytes = (uint64_t)walk.offset * sizeof(float);
	return err;
}
