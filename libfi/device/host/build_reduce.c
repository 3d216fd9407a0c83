/* SPDX-License-Identifier: MIT */
/*
 * host: reductions over the last dimensions as oneDNN reductions of a matrix's
 * rows; means and maxima over the plane of an image as pools, which know the
 * blocked layouts.
 */
#include <errno.h>
#include <string.h>

#include "device/host/host.h"

/* ---- which axes --------------------------------------------------------------------- */

/* An attribute up to opset 12 or 17, a constant input since. */
static const int64_t *find_axes(const struct finf_site *site, uint32_t *ret_n)
{
	const struct finf_value *input = finf_site_in(site, 1);
	const int64_t *axes = finf_node_ints(site->node, "axes", ret_n);

	if (axes || !input || !input->is_const || !input->data)
		return axes;
	*ret_n = (uint32_t)(input->bytes / sizeof(*axes));
	return input->data;
}

/* One bit per reduced dimension; 0: not to be known here, or nothing is reduced. */
static uint32_t reduced(const struct finf_site *site)
{
	uint32_t rank = finf_site_in(site, 0)->shape.rank, n, seen = 0, axis;
	const int64_t *axes = find_axes(site, &n);

	if (!axes || !n)
		return finf_site_in(site, 1) || finf_node_int(site->node, "noop_with_empty_axes", 0)
			       ? 0
			       : (1u << rank) - 1;
	for (uint32_t i = 0; i < n; i++) {
		if (!finf_axis(axes[i], rank, &axis))
			return 0;
		seen |= 1u << axis;
	}
	return seen;
}

/* ---- planes --------------------------------------------------------------------------- */

/* All dimensions behind the channels; the result may have lost them. */
static int plane(const struct finf_site *site, struct finf_build *b, dnnl_alg_kind_t alg)
{
	const struct finf_value *x = finf_site_in(site, 0);
	uint32_t block = finf_host_block(site->in_layout);
	struct finf_shape kept = {.rank = x->shape.rank, .dim = {1, 1, 1, 1, 1}};
	struct finf_dnn_md dst;
	int err = finf_site_out_md(site, &dst);

	/* [n, c] in whole blocks of c is [n, c, 1, 1] in the blocked layout, byte for byte. */
	if (!err && dst.rank != kept.rank) {
		kept.dim[0] = x->shape.dim[0];
		kept.dim[1] = x->shape.dim[1];
		if (block && kept.dim[1] % block)
			return -EOPNOTSUPP;
		err = finf_host_layout_md(site->in_layout, FINF_F32, &kept, &dst);
		b->act_done = site->node->act == FINF_ACT_NONE;
		if (!b->act_done)
			return -EOPNOTSUPP;
	}
	return err ? err : finf_build_whole_plane(site, b, alg, &dst);
}

/* ---- rows ------------------------------------------------------------------------------ */

static int rows(const struct finf_site *site, struct finf_build *b, dnnl_alg_kind_t alg,
		uint32_t kept)
{
	const struct finf_shape *x = &finf_site_in(site, 0)->shape;
	struct finf_shape from = {.rank = 2, .dim = {1, 1}}, to = {.rank = 2, .dim = {1, 1}};
	struct finf_dnn_md src, dst;
	int err;

	for (uint32_t i = 0; i < x->rank; i++)
		from.dim[i >= kept] *= x->dim[i];
	to.dim[0] = from.dim[0];
	err = finf_dnn_plain(&from, &src);
	if (!err)
		err = finf_dnn_plain(&to, &dst);
	if (!err)
		err = finf_dnn_reduction(site->dnn, alg, &src, &dst, &b->pd);
	if (err)
		return err;
	finf_build_in(b, DNNL_ARG_SRC, 0, &src);
	finf_build_out(b, DNNL_ARG_DST, &dst);
	return 0;
}

int finf_build_reduce(const struct finf_site *site, struct finf_build *b)
{
	static const struct {
		const char *name;
		dnnl_alg_kind_t alg, plane; /* undef: no pool does that */
	} table[] = {
		{"ReduceMean", dnnl_reduction_mean, dnnl_pooling_avg_exclude_padding},
		{"ReduceMax", dnnl_reduction_max, dnnl_pooling_max},
		{"ReduceMin", dnnl_reduction_min, dnnl_alg_kind_undef},
		{"ReduceSum", dnnl_reduction_sum, dnnl_alg_kind_undef},
		{"ReduceProd", dnnl_reduction_mul, dnnl_alg_kind_undef},
	};
	const struct finf_value *x = finf_site_in(site, 0);
	struct finf_dnn_md md;
	uint32_t axes = reduced(site), kept = 0, i = 0;
	int err = finf_site_in_md(site, 0, &md);

	while (strcmp(table[i].name, site->node->op->name))
		i++;
	if (err || !axes)
		return -EOPNOTSUPP;
	while (!(axes >> kept & 1))
		kept++;
	if (axes != (1u << x->shape.rank) - (1u << kept))
		return -EOPNOTSUPP;
	if (kept == 2 && x->shape.rank <= 2 + FINF_SPATIAL_MAX &&
	    table[i].plane != dnnl_alg_kind_undef && (site->in_layout || x->shape.rank == 4))
		return plane(site, b, table[i].plane);
	if (site->in_layout || site->out_layout)
		return -EOPNOTSUPP;
	return rows(site, b, table[i].alg, kept);
}
