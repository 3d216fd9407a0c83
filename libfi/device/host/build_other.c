/* SPDX-License-Identifier: MIT */
/* host: normalizations, Softmax, Concat and Transpose as oneDNN primitives. */
#include <errno.h>
#include <string.h>

#include "device/host/host.h"

int finf_build_batchnorm(const struct finf_site *site, struct finf_build *b)
{
	static const int args[] = {DNNL_ARG_SRC, DNNL_ARG_SCALE, DNNL_ARG_SHIFT, DNNL_ARG_MEAN,
				   DNNL_ARG_VARIANCE};
	float epsilon = finf_node_float(site->node, "epsilon", 1e-5f);
	struct finf_dnn_md md[FINF_ARRAY_LEN(args)];
	struct finf_dnn_post post = {0};
	int err = site->in_layout == site->out_layout ? 0 : -EOPNOTSUPP;

	for (uint32_t i = 0; i < FINF_ARRAY_LEN(args) && !err; i++)
		err = finf_site_in_md(site, i, &md[i]);
	if (err || md[0].rank < 2)
		return -EOPNOTSUPP;
	finf_build_post_act(site, b, &post);
	err = finf_dnn_batchnorm(site->dnn, &md[0], epsilon, &post, &b->pd);
	if (err == -EOPNOTSUPP && post.n) { /* a second primitive for what is not ReLU */
		b->act_done = false;
		err = finf_dnn_batchnorm(site->dnn, &md[0], epsilon, NULL, &b->pd);
	}
	if (err)
		return err;
	for (uint32_t i = 0; i < FINF_ARRAY_LEN(args); i++)
		finf_build_in(b, args[i], i, &md[i]);
	finf_build_out(b, DNNL_ARG_DST, &md[0]);
	b->inplace = true;
	return 0;
}

/* What is normalised is a row, however many dimensions it has. */
int finf_build_layernorm(const struct finf_site *site, struct finf_build *b)
{
	float epsilon = finf_node_float(site->node, "epsilon", 1e-5f);
	bool shift = finf_site_in(site, 2) != NULL;
	struct finf_shape rows = {.rank = 2, .dim = {1, 1}};
	const struct finf_value *x = finf_site_in(site, 0);
	struct finf_dnn_md md, row = {.rank = 1, .tag = dnnl_a};
	uint32_t axis;
	int err = finf_site_in_md(site, 0, &md);

	if (err || site->in_layout || site->out_layout ||
	    !finf_axis(finf_node_int(site->node, "axis", -1), x->shape.rank, &axis))
		return -EOPNOTSUPP;
	for (uint32_t i = 0; i < x->shape.rank; i++)
		rows.dim[i >= axis] *= x->shape.dim[i];
	row.dim[0] = rows.dim[1];
	err = finf_dnn_plain(&rows, &md);
	if (!err)
		err = finf_dnn_layernorm(site->dnn, &md, epsilon, shift, &b->pd);
	if (err)
		return err;
	finf_build_in(b, DNNL_ARG_SRC, 0, &md);
	finf_build_in(b, DNNL_ARG_SCALE, 1, &row);
	if (shift)
		finf_build_in(b, DNNL_ARG_SHIFT, 2, &row);
	finf_build_out(b, DNNL_ARG_DST, &md);
	b->inplace = true;
	return 0;
}

/* Up to opset 12 everything from the axis on is one row; after, the axis alone. */
int finf_build_softmax(const struct finf_site *site, struct finf_build *b)
{
	bool rows = site->node->opset < 13, log = !strcmp(site->node->op->name, "LogSoftmax");
	struct finf_shape folded = {.rank = 2, .dim = {1, 1}};
	const struct finf_value *x = finf_site_in(site, 0);
	struct finf_dnn_md md;
	uint32_t axis;
	int err = finf_site_in_md(site, 0, &md);

	if (err || !finf_dnn_is_plain(&md) || site->out_layout != FINF_LAYOUT_PLAIN ||
	    !finf_axis(finf_node_int(site->node, "axis", rows ? 1 : -1), x->shape.rank, &axis))
		return -EOPNOTSUPP;
	if (!rows && axis + 1 != x->shape.rank)
		return -EOPNOTSUPP;
	for (uint32_t i = 0; i < x->shape.rank; i++)
		folded.dim[i >= axis] *= x->shape.dim[i];
	err = finf_dnn_plain(&folded, &md);
	if (!err)
		err = finf_dnn_softmax(site->dnn, &md, 1, log, &b->pd);
	if (err)
		return err;
	finf_build_in(b, DNNL_ARG_SRC, 0, &md);
	finf_build_out(b, DNNL_ARG_DST, &md);
	b->inplace = true;
	return 0;
}

int finf_build_concat(const struct finf_site *site, struct finf_build *b)
{
	uint32_t block = finf_host_block(site->in_layout), n = site->node->n_in, axis;
	struct finf_dnn_md src[FINF_BUILD_ARGS - 4], dst; /* and the tail's */
	int err = site->in_layout == site->out_layout ? finf_site_out_md(site, &dst) : -EOPNOTSUPP;

	if (err || n > FINF_ARRAY_LEN(src) ||
	    !finf_axis(finf_node_int(site->node, "axis", 1), finf_site_out(site, 0)->shape.rank,
		       &axis))
		return -EOPNOTSUPP;
	for (uint32_t i = 0; i < n && !err; i++) {
		err = finf_site_in_md(site, i, &src[i]);
		/* Padding between two inputs, or a plain constant, cannot be in the result. */
		if (!err && block && (src[i].tag != dst.tag || src[i].dim[1] % block))
			err = -EOPNOTSUPP;
	}
	if (!err)
		err = finf_dnn_concat(site->dnn, src, n, axis, &dst, &b->pd);
	if (err)
		return err;
	for (uint32_t i = 0; i < n; i++)
		finf_build_in(b, DNNL_ARG_MULTIPLE_SRC + (int)i, i, &src[i]);
	finf_build_out(b, DNNL_ARG_DST, &dst);
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
	err = finf_dnn_reorder(site->dnn, &src, &dst, &b->pd);
	if (err)
		return err;
	finf_build_in(b, DNNL_ARG_FROM, 0, &src);
	finf_build_out(b, DNNL_ARG_TO, &dst);
	return 0;
}
