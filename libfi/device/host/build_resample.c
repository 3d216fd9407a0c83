/* SPDX-License-Identifier: MIT */
/* host: ConvTranspose as a oneDNN deconvolution, Resize and Upsample as its resampling. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "device/host/host.h"
#include "graph/op/resample.h"

enum { X, W, B };

/* ---- ConvTranspose --------------------------------------------------------------------- */

/* By rank of the weights: [inputs, outputs, ...] seen as [outputs, inputs, ...]. */
static const uint32_t tags[] = {[3] = dnnl_bac, [4] = dnnl_bacd, [5] = dnnl_bacde};
static const uint32_t grouped[] = {[4] = dnnl_acbd, [5] = dnnl_acbde, [6] = dnnl_acbdef};

static int weights(const struct finf_site *site, struct finf_dnn_md *ret)
{
	const struct finf_shape *w = &finf_site_in(site, W)->shape;
	int64_t groups = finf_node_int(site->node, "group", 1);
	struct finf_dnn_md md;
	int err = finf_site_in_md(site, W, &md);

	if (err || md.rank < 3 || md.rank > 5 || groups < 1 || w->dim[0] % groups)
		return -EOPNOTSUPP;
	md.tag = tags[md.rank];
	md.dim[0] = w->dim[1];
	md.dim[1] = w->dim[0];
	if (groups > 1) {
		md.rank++;
		md.tag = grouped[md.rank];
		md.dim[0] = groups;
		md.dim[1] = w->dim[1];
		md.dim[2] = w->dim[0] / groups;
		memcpy(&md.dim[3], &w->dim[2], (md.rank - 3) * sizeof(md.dim[0]));
	}
	*ret = md;
	return 0;
}

/* oneDNN has no output padding: the padding behind follows from the extents. */
static int window(const struct finf_site *site, struct finf_dnn_window *ret)
{
	const struct finf_shape *x = &finf_site_in(site, X)->shape;
	struct finf_window w;
	int err =
		finf_window_transposed(site->node, x->rank - 2,
				       &finf_site_in(site, W)->shape.dim[2], &x->dim[2], &w, NULL);

	if (err)
		return -EOPNOTSUPP;
	finf_build_window(&w, ret);
	for (uint32_t i = 0; i < w.n; i++)
		ret->pad_end[i] = (w.in[i] - 1) * w.stride[i] + (w.kernel[i] - 1) * w.dilation[i] +
				  1 - w.pad_begin[i] - w.out[i];
	return 0;
}

int finf_build_deconv(const struct finf_site *site, struct finf_build *b)
{
	struct finf_dnn_md src, w, bias = {.rank = 0}, dst;
	struct finf_dnn_window win = {0};
	struct finf_dnn_post post = {0};
	int err = weights(site, &w);

	if (!err)
		err = finf_site_in_md(site, X, &src);
	if (!err)
		err = finf_site_out_md(site, &dst);
	if (!err && finf_site_in(site, B))
		err = finf_site_in_md(site, B, &bias);
	if (!err)
		err = window(site, &win);
	if (err)
		return err;
	finf_build_post_act(site, b, &post);
	err = finf_dnn_deconv(site->dnn, &src, &w, &bias, &dst, &win, &post, &b->pd);
	if (err == -EOPNOTSUPP && post.n) {
		b->act_done = false;
		err = finf_dnn_deconv(site->dnn, &src, &w, &bias, &dst, &win, NULL, &b->pd);
	}
	if (err)
		return err;
	finf_build_in(b, DNNL_ARG_SRC, X, &src);
	finf_build_in(b, DNNL_ARG_WEIGHTS, W, &w);
	if (bias.rank)
		finf_build_in(b, DNNL_ARG_BIAS, B, &bias);
	finf_build_out(b, DNNL_ARG_DST, &dst);
	return 0;
}

/* ---- Resize ------------------------------------------------------------------------------ */

static int resolve(const struct finf_site *site, struct finf_resample *ret)
{
	struct finf_tensor tensors[4] = {{0}};
	const struct finf_tensor *in[4] = {NULL};

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
	return finf_resample_init(site->node, in, ret, NULL) ? -EOPNOTSUPP : 0;
}

/*
 * Where ONNX's choices come to what oneDNN computes: cells have their centres at
 * one half, the scale is exactly out / in, and for the nearest cell the output has
 * a whole number of cells for each input cell, so that rounding is no question.
 */
static bool same_cells(const struct finf_resample *r, uint32_t i)
{
	const struct finf_resample_axis *axis = &r->axis[i];
	bool half = r->coord == FINF_COORD_HALF_PIXEL ||
		    r->coord == FINF_COORD_HALF_PIXEL_SYMMETRIC ||
		    (r->coord == FINF_COORD_PYTORCH_HALF_PIXEL && axis->out > 1);

	if (axis->same)
		return true;
	if (i < 2 || fabs(axis->scale * (double)axis->in - (double)axis->out) > 1e-9)
		return false;
	if (r->mode == FINF_RESAMPLE_LINEAR)
		return half;
	return r->mode == FINF_RESAMPLE_NEAREST && axis->out % axis->in == 0 &&
	       ((half &&
		 (r->round == FINF_ROUND_PREFER_FLOOR || r->round == FINF_ROUND_PREFER_CEIL)) ||
		(r->coord == FINF_COORD_ASYMMETRIC && r->round == FINF_ROUND_FLOOR));
}

int finf_build_resample(const struct finf_site *site, struct finf_build *b)
{
	struct finf_dnn_post post = {0};
	struct finf_dnn_md src, dst;
	struct finf_resample r;
	int err =
		site->in_layout == site->out_layout ? finf_site_in_md(site, 0, &src) : -EOPNOTSUPP;

	if (!err)
		err = finf_site_out_md(site, &dst);
	if (!err)
		err = src.rank < 3 || src.rank > 5 ? -EOPNOTSUPP : resolve(site, &r);
	if (err)
		return err;
	for (uint32_t i = 0; i < r.rank; i++)
		if (!same_cells(&r, i))
			return -EOPNOTSUPP;
	finf_build_post_act(site, b, &post);
	err = finf_dnn_resample(site->dnn, r.mode == FINF_RESAMPLE_LINEAR, &src, &dst, &post,
				&b->pd);
	if (err)
		return err;
	finf_build_in(b, DNNL_ARG_SRC, 0, &src);
	finf_build_out(b, DNNL_ARG_DST, &dst);
	return 0;
}
