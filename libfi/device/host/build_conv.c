/* SPDX-License-Identifier: MIT */
/*
 * host: Conv as a oneDNN convolution, weights in the layout that oneDNN likes best; and
 * FusedConv, which adds to what is in the destination.
 */
#include <errno.h>
#include <string.h>

#include "device/host/host.h"

enum { X, W, B, Z };

/* What oneDNN is told; bias.rank 0 = none. */
struct conv {
	struct finf_dnn_md src, weights, bias, dst;
	struct finf_dnn_window window;
	struct finf_dnn_post post;
};

static int resolve_window(const struct finf_site *site, struct finf_dnn_window *ret)
{
	struct finf_window w;
	const struct finf_shape *x = &finf_site_in(site, X)->shape;
	int err = finf_window_init(site->node, x->rank - 2, &finf_site_in(site, W)->shape.dim[2],
				   &x->dim[2], &w, NULL);

	if (err)
		return -EOPNOTSUPP;
	finf_build_window(&w, ret);
	return 0;
}

/* Row-major tags with a dimension of groups in front, by rank. */
static const uint32_t grouped_tags[] = {
	[4] = dnnl_goiw,
	[5] = dnnl_goihw,
	[6] = dnnl_goidhw,
};

/* OIHW with groups is goihw to oneDNN: the same bytes. */
static int plain_weights(const struct finf_site *site, struct finf_dnn_md *ret)
{
	const struct finf_value *w = finf_site_in(site, W);
	int64_t groups = finf_node_int(site->node, "group", 1);
	struct finf_dnn_md md;
	int err = finf_site_in_md(site, W, &md);

	if (err || md.rank < 3 || md.rank > 5 || groups < 1 || w->shape.dim[0] % groups)
		return -EOPNOTSUPP;
	if (groups > 1) {
		md.rank++;
		md.tag = grouped_tags[md.rank];
		md.dim[0] = groups;
		md.dim[1] = w->shape.dim[0] / groups;
		memcpy(&md.dim[2], &w->shape.dim[1], (md.rank - 2) * sizeof(md.dim[0]));
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
	if (decoded.rank != md->rank || memcmp(decoded.dim, md->dim, sizeof(md->dim)) != 0)
		return finf_diag_set(site->diag, -EBADMSG, "weight layout is of other groups");
	*md = decoded;
	return 0;
}

static int prepare(const struct finf_site *site, struct conv *conv)
{
	int err = plain_weights(site, &conv->weights);

	if (!err)
		err = resolve_window(site, &conv->window);
	if (!err)
		err = finf_site_in_md(site, X, &conv->src);
	if (!err)
		err = finf_site_out_md(site, &conv->dst);
	if (!err && finf_site_in(site, B))
		err = finf_site_in_md(site, B, &conv->bias);
	return err ? err : choose_weights(site, &conv->weights);
}

static int describe(const struct finf_site *site, const struct conv *conv,
		    struct finf_dnn_pd **ret_pd)
{
	return finf_dnn_conv(site->dnn, &conv->src, &conv->weights, &conv->bias, &conv->dst,
			     &conv->window, &conv->post, ret_pd);
}

/*
 * The name of the layout that oneDNN chose freely. Where dimensions are 1
 * several names describe the same bytes, and an implementation takes only some
 * of them: take the first from which it would be chosen again.
 */
static int name_weights(const struct finf_site *site, struct conv *conv, struct finf_dnn_pd **pd)
{
	struct finf_dnn_pd *again;
	uint32_t after = dnnl_format_tag_any;
	bool same;
	int err;

	for (;;) {
		err = finf_dnn_pd_weights(*pd, after, &conv->weights);
		if (err)
			return err;
		after = conv->weights.tag;
		err = finf_dnn_conv_uncached(site->dnn, &conv->src, &conv->weights, &conv->bias,
					     &conv->dst, &conv->window, &conv->post, &again);
		if (err == -EOPNOTSUPP)
			continue;
		if (err)
			return err;
		same = !strcmp(finf_dnn_pd_name(*pd), finf_dnn_pd_name(again));
		finf_dnn_pd_free(again);
		if (!same)
			continue;
		err = describe(site, conv, &again);
		if (err)
			return err;
		finf_dnn_pd_free(*pd);
		*pd = again;
		return 0;
	}
}

/* What is added after the sum, in the destination's layout; then the activation, if it is to. */
static int add_posts(const struct finf_site *site, bool act, struct conv *conv,
		     struct finf_build *b)
{
	const struct finf_value *z = finf_site_in(site, Z);

	if (z && (z->is_const || site->in_layout != site->out_layout))
		return -EOPNOTSUPP;
	finf_build_post_sum(site, Z, b, &conv->post);
	if (act)
		finf_build_post_act(site, b, &conv->post);
	return 0;
}

static void conv_args(const struct conv *conv, bool packed, struct finf_build *b)
{
	uint32_t at;

	finf_build_in(b, DNNL_ARG_SRC, X, &conv->src);
	at = b->n_args;
	finf_build_in(b, DNNL_ARG_WEIGHTS, W, &conv->weights);
	b->from[at].packed = packed;
	if (conv->bias.rank)
		finf_build_in(b, DNNL_ARG_BIAS, B, &conv->bias);
	finf_build_out(b, DNNL_ARG_DST, &conv->dst);
}

static int build(const struct finf_site *site, bool act, struct finf_build *b)
{
	struct conv conv = {.post = {.n = 0}};
	int err = prepare(site, &conv);

	if (!err)
		err = add_posts(site, act, &conv, b);
	if (!err)
		err = describe(site, &conv, &b->pd);
	if (!err && conv.weights.tag == dnnl_format_tag_any)
		err = name_weights(site, &conv, &b->pd);
	if (!err)
		conv_args(&conv, !finf_dnn_is_plain(&conv.weights), b);
	return err;
}

/*
 * Where oneDNN makes a convolution a matrix product it goes over the result one element at a
 * time for an activation, Relu too: a primitive of its own behind it is 5 to 60 times as fast.
 */
int finf_build_conv(const struct finf_site *site, struct finf_build *b)
{
	int err = build(site, true, b);

	if (err || site->node->act == FINF_ACT_NONE || !strstr(finf_dnn_pd_name(b->pd), "gemm"))
		return err;
	finf_build_fini(b);
	*b = (struct finf_build){.pd = NULL};
	return build(site, false, b);
}

/* ---- Winograd ----------------------------------------------------------------------- */

/* Weights that were given are used only when they are transformed as this shape wants them. */
static int check_transformed(const struct finf_site *site, const struct finf_dnn_md *wanted)
{
	const struct finf_weight_form *given = finf_site_given(site, W);
	struct finf_dnn_md md;
	int err;

	if (!given)
		return 0;
	if (!given->desc_bytes)
		return -EOPNOTSUPP;
	err = finf_host_desc_get(given->desc, given->desc_bytes, &finf_site_in(site, W)->shape, &md,
				 site->diag);
	if (err)
		return err;
	return md.tag == FINF_DNN_WINOGRAD &&
			       !memcmp(&md.winograd, &wanted->winograd, sizeof(md.winograd))
		       ? 0
		       : -EOPNOTSUPP;
}

/* Constant 3x3 filters, step 1, blocked activations: nothing else gains from it. */
int finf_build_winograd(const struct finf_site *site, struct finf_build *b)
{
	struct conv conv = {.post = {.n = 0}};
	int err = plain_weights(site, &conv.weights);

	if (err || conv.weights.rank != 4 || conv.weights.dim[2] != 3 || conv.weights.dim[3] != 3 ||
	    !finf_site_in(site, W)->is_const || site->in_layout == FINF_LAYOUT_PLAIN ||
	    site->out_layout == FINF_LAYOUT_PLAIN)
		return err ? err : -EOPNOTSUPP;
	err = resolve_window(site, &conv.window);
	if (!err)
		err = finf_site_in_md(site, X, &conv.src);
	if (!err)
		err = finf_site_out_md(site, &conv.dst);
	if (!err && finf_site_in(site, B))
		err = finf_site_in_md(site, B, &conv.bias);
	if (!err)
		err = add_posts(site, true, &conv, b);
	if (!err)
		err = finf_dnn_conv_winograd(site->dnn, &conv.src, &conv.weights, &conv.bias,
					     &conv.dst, &conv.window, &conv.post, &b->pd);
	if (!err)
		err = check_transformed(site, &conv.weights);
	if (!err)
		conv_args(&conv, true, b);
	return err;
}
