/* SPDX-License-Identifier: MIT */
/* host: MaxPool, AveragePool, GlobalAveragePool and the mean over H and W as oneDNN pools. */
#include <errno.h>
#include <string.h>

#include "device/host/host.h"

static int describe(const struct finf_site *site, struct finf_build *b, dnnl_alg_kind_t alg,
		    const struct finf_dnn_md *src, const struct finf_dnn_md *dst,
		    const struct finf_dnn_window *window)
{
	int err = finf_dnn_pool(site->dnn, alg, src, dst, window, &b->pd);

	if (err)
		return err;
	finf_build_in(b, DNNL_ARG_SRC, 0, src);
	finf_build_out(b, DNNL_ARG_DST, dst);
	return 0;
}

/*
 * ceil_mode lets the last window hang over the padding. oneDNN wants that as
 * padding, and would count it in a mean that includes padding; ONNX does not.
 */
static int window_axis(const struct finf_window *w, int i, bool counts_pad,
		       struct finf_dnn_window *ret)
{
	int64_t reach = (w->kernel[i] - 1) * w->dilation[i] + 1;
	int64_t need = (w->out[i] - 1) * w->stride[i] + reach - w->in[i] - w->pad_begin[i];

	if (counts_pad && need > w->pad_end[i])
		return -EOPNOTSUPP;
	/* A window on padding alone has no maximum and no mean. */
	if (w->pad_begin[i] >= w->kernel[i] ||
	    (w->out[i] - 1) * w->stride[i] - w->pad_begin[i] >= w->in[i])
		return -EOPNOTSUPP;
	ret->kernel[i] = w->kernel[i];
	ret->stride[i] = w->stride[i];
	ret->dilation[i] = w->dilation[i];
	ret->pad_begin[i] = w->pad_begin[i];
	ret->pad_end[i] = FINF_MAX(need, w->pad_end[i]);
	return 0;
}

int finf_build_pool(const struct finf_site *site, struct finf_build *b)
{
	const struct finf_node *node = site->node;
	bool max = !strcmp(node->op->name, "MaxPool");
	bool counts_pad = !max && finf_node_int(node, "count_include_pad", 0);
	struct finf_dnn_window window = {0};
	struct finf_dnn_md src, dst;
	struct finf_window w;
	const int64_t *kernel;
	uint32_t n;
	int err = finf_site_in_md(site, 0, &src);

	if (!err)
		err = finf_site_out_md(site, &dst);
	kernel = finf_node_ints(node, "kernel_shape", &n);
	if (err || src.rank != 4 || !kernel || n != 2 ||
	    finf_window_init(node, kernel, &src.dim[2], &w, NULL))
		return -EOPNOTSUPP;
	for (int i = 0; i < 2 && !err; i++)
		err = window_axis(&w, i, counts_pad, &window);
	if (err)
		return err;
	return describe(site, b,
			max	     ? dnnl_pooling_max
			: counts_pad ? dnnl_pooling_avg_include_padding
				     : dnnl_pooling_avg_exclude_padding,
			&src, &dst, &window);
}

/* One window over the whole plane; @dst may have lost the two dimensions of 1. */
static int whole_plane(const struct finf_site *site, struct finf_build *b,
		       const struct finf_dnn_md *dst)
{
	struct finf_dnn_window window = {.stride = {1, 1}, .dilation = {1, 1}};
	struct finf_dnn_md src;
	int err = finf_site_in_md(site, 0, &src);

	if (err || src.rank != 4)
		return -EOPNOTSUPP;
	memcpy(window.kernel, &src.dim[2], 2 * sizeof(src.dim[0]));
	return describe(site, b, dnnl_pooling_avg_exclude_padding, &src, dst, &window);
}

int finf_build_global_pool(const struct finf_site *site, struct finf_build *b)
{
	struct finf_dnn_md dst;
	int err = finf_site_out_md(site, &dst);

	return err ? err : whole_plane(site, b, &dst);
}

/* The axes of a reduction: an attribute up to opset 17, a constant input since. */
static const int64_t *find_axes(const struct finf_site *site, uint32_t *ret_n)
{
	const struct finf_value *input = finf_site_in(site, 1);
	const int64_t *axes = finf_node_ints(site->node, "axes", ret_n);

	if (axes || !input || !input->is_const || !input->data)
		return axes;
	*ret_n = (uint32_t)(input->bytes / sizeof(*axes));
	return input->data;
}

/* Axes 2 and 3 of a 4-D tensor, in any order and sign. */
static bool is_over_plane(const struct finf_site *site, uint32_t rank)
{
	uint32_t n, seen = 0, axis;
	const int64_t *axes = find_axes(site, &n);

	for (uint32_t i = 0; i < n; i++) {
		if (!finf_axis(axes[i], rank, &axis))
			return false;
		seen |= 1u << axis;
	}
	return rank == 4 && axes && seen == (1u << 2 | 1u << 3);
}

int finf_build_reduce_mean(const struct finf_site *site, struct finf_build *b)
{
	const struct finf_value *x = finf_site_in(site, 0);
	uint32_t block = finf_host_block(site->in_layout);
	struct finf_shape kept = {.rank = 4, .dim = {1, 1, 1, 1}};
	struct finf_dnn_md dst;
	int err = finf_site_out_md(site, &dst);

	if (err || !is_over_plane(site, x->shape.rank))
		return -EOPNOTSUPP;
	/* [n, c] in whole blocks of c is [n, c, 1, 1] in the blocked layout, byte for byte. */
	if (dst.rank != 4) {
		kept.dim[0] = x->shape.dim[0];
		kept.dim[1] = x->shape.dim[1];
		if (block && kept.dim[1] % block)
			return -EOPNOTSUPP;
		err = finf_host_layout_md(site->in_layout, FINF_F32, &kept, &dst);
		b->act_done = site->node->act == FINF_ACT_NONE;
		if (err || !b->act_done)
			return -EOPNOTSUPP;
	}
	return whole_plane(site, b, &dst);
}
