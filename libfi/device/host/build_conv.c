/* SPDX-License-Identifier: MIT */
/* host: Conv as a oneDNN convolution; weights in the layout that oneDNN likes best. */
#include <errno.h>
#include <string.h>

#include "device/host/host.h"

enum { X, W, B };

static int resolve_window(const struct finf_site *site, struct finf_dnn_window *ret)
{
	struct finf_window w;
	int err = finf_window_init(site->node, &finf_site_in(site, W)->shape.dim[2],
				   &finf_site_in(site, X)->shape.dim[2], &w, NULL);

	if (err)
		return -EOPNOTSUPP;
	memset(ret, 0, sizeof(*ret));
	for (int i = 0; i < 2; i++) {
		ret->kernel[i] = w.kernel[i];
		ret->stride[i] = w.stride[i];
		ret->dilation[i] = w.dilation[i];
		ret->pad_begin[i] = w.pad_begin[i];
		ret->pad_end[i] = w.pad_end[i];
	}
	return 0;
}

/* OIHW with groups is goihw to oneDNN: the same bytes. */
static int weights_md(const struct finf_site *site, struct finf_dnn_md *ret)
{
	const struct finf_value *w = finf_site_in(site, W);
	int64_t groups = finf_node_int(site->node, "group", 1);
	struct finf_dnn_md md;
	int err = finf_site_in_md(site, W, &md);

	if (err || md.rank != 4 || groups < 1 || w->shape.dim[0] % groups)
		return -EOPNOTSUPP;
	if (groups > 1) {
		md.rank = 5;
		md.tag = dnnl_goihw;
		md.dim[0] = groups;
		md.dim[1] = w->shape.dim[0] / groups;
		memcpy(&md.dim[2], &w->shape.dim[1], 3 * sizeof(md.dim[0]));
	}
	*ret = md;
	return 0;
}

/* Free choice: what oneDNN likes. Given: exactly that. Not a constant: as it is. */
static int choose_weights(const struct finf_site *site, struct finf_dnn_md *md)
{
	const struct finf_weight_form *given = finf_site_given(site, W);
	const struct finf_value *w = finf_site_in(site, W);
	struct finf_dnn_md decoded;
	int err;

	if (!w->is_const || (given && !given->desc_bytes))
		return 0;
	if (!given) {
		md->tag = dnnl_format_tag_any;
		return 0;
	}
	err = finf_host_desc_get(given->desc, given->desc_bytes, &w->shape, &decoded, site->diag);
	if (err)
		return err;
	if (decoded.rank != md->rank || memcmp(decoded.dim, md->dim, sizeof(md->dim)))
		return finf_diag_set(site->diag, -EBADMSG, "weight layout is of other groups");
	*md = decoded;
	return 0;
}

/*
 * The name of the layout that oneDNN chose. Where dimensions are 1 several names
 * describe the same bytes, and the kernel takes only some of them: the layout
 * must be found again from its name alone.
 */
static int name_weights(const struct finf_site *site, const struct finf_dnn_md *src,
			const struct finf_dnn_md *bias, const struct finf_dnn_md *dst,
			const struct finf_dnn_window *window, const struct finf_dnn_post *post,
			const struct finf_dnn_pd *chosen, struct finf_dnn_md *ret)
{
	struct finf_dnn_md named = {0};
	struct finf_dnn_pd *pd;
	int err;

	for (;;) {
		err = finf_dnn_pd_weights(chosen, named.tag, &named);
		if (err)
			return err;
		err = finf_dnn_conv(site->dnn, src, &named, bias, dst, window, post, &pd);
		if (!err) {
			finf_dnn_pd_free(pd);
			*ret = named;
			return 0;
		}
		if (err != -EOPNOTSUPP)
			return err;
	}
}

int finf_build_conv(const struct finf_site *site, struct finf_build *b)
{
	const struct finf_value *bias = finf_site_in(site, B);
	struct finf_dnn_md src, weights, bias_md, dst;
	struct finf_dnn_post post = {0};
	struct finf_dnn_window window;
	uint32_t at;
	int err = weights_md(site, &weights);

	if (!err)
		err = resolve_window(site, &window);
	if (!err)
		err = finf_site_in_md(site, X, &src);
	if (!err)
		err = finf_site_out_md(site, &dst);
	if (!err && bias)
		err = finf_site_in_md(site, B, &bias_md);
	if (!err)
		err = choose_weights(site, &weights);
	if (err)
		return err;
	finf_build_post_act(site, b, &post);
	err = finf_dnn_conv(site->dnn, &src, &weights, bias ? &bias_md : NULL, &dst, &window, &post,
			    &b->pd);
	if (!err && weights.tag == dnnl_format_tag_any)
		err = name_weights(site, &src, bias ? &bias_md : NULL, &dst, &window, &post, b->pd,
				   &weights);
	if (err)
		return err;
	finf_build_in(b, DNNL_ARG_SRC, X, &src);
	at = b->n_args;
	finf_build_in(b, DNNL_ARG_WEIGHTS, W, &weights);
	b->from[at].packed = !finf_dnn_is_plain(&weights);
	if (bias)
		finf_build_in(b, DNNL_ARG_BIAS, B, &bias_md);
	finf_build_out(b, DNNL_ARG_DST, &dst);
	return 0;
}
