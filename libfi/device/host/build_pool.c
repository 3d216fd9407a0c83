/* SPDX-License-Identifier: MIT */
/* host: MaxPool, AveragePool and global pools as oneDNN pools. */
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
static int window_axis(const struct finf_window *w, uint32_t i, bool counts_pad,
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
	if (err || !kernel || src.rank != n + 2 ||
	    finf_window_init(node, n, kernel, &src.dim[2], &w, NULL))
		return -EOPNOTSUPP;
	for (uint32_t i = 0; i < n && !err; i++)
		err = window_axis(&w, i, counts_pad, &window);
	if (err)
		return err;
	return describe(site, b,
			max	     ? dnnl_pooling_max
			: counts_pad ? dnnl_pooling_avg_include_padding
				     : dnnl_pooling_avg_exclude_padding,
			&src, &dst, &window);
}

int finf_build_whole_plane(const struct finf_site *site, struct finf_build *b, dnnl_alg_kind_t alg,
			   const struct finf_dnn_md *dst)
{
	struct finf_dnn_window window = {.stride = {1, 1, 1}, .dilation = {1, 1, 1}};
	struct finf_dnn_md src;
	int err = finf_site_in_md(site, 0, &src);

	if (err || src.rank < 3 || src.rank > 2 + FINF_SPATIAL_MAX)
		return -EOPNOTSUPP;
	memcpy(window.kernel, &src.dim[2], (src.rank - 2) * sizeof(src.dim[0]));
	return describe(site, b, alg, &src, dst, &window);
}

int finf_build_global_pool(const struct finf_site *site, struct finf_build *b)
{
	struct finf_dnn_md dst;
	int err = finf_site_out_md(site, &dst);
	bool max = !strcmp(site->node->op->name, "GlobalMaxPool");

	if (err)
		return err;
	return finf_build_whole_plane(
		site, b, max ? dnnl_pooling_max : dnnl_pooling_avg_exclude_padding, &dst);
}
