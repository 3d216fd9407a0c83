/* SPDX-License-Identifier: MIT */
/* host/onednn: how a primitive is described - attributes, descriptions, and what was chosen. */
#include <errno.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdlib.h>
#include <string.h>

#include "device/host/onednn_priv.h"

/* ---- attributes ----------------------------------------------------------- */

static dnnl_status_t append_post_op(dnnl_post_ops_t ops, const struct finf_dnn_post_op *op)
{
	dnnl_memory_desc_t md;
	dnnl_status_t status;

	if (op->sum)
#if FINF_DNN_V3
		return dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef);
#else
		return dnnl_post_ops_append_sum(ops, 1.0f);
#endif
	if (!op->binary) {
#if FINF_DNN_V3
		return dnnl_post_ops_append_eltwise(ops, op->alg, op->a, op->b);
#else
		return dnnl_post_ops_append_eltwise(ops, 1.0f, op->alg, op->a, op->b);
#endif
	}
	status = finf_dnn_md_make(&op->md, &md);
	if (status != dnnl_success)
		return status;
	status = dnnl_post_ops_append_binary(ops, op->alg, FINF_DNN_MD_REF(md));
	finf_dnn_md_drop(&md);
	return status;
}

static dnnl_status_t set_post_ops(dnnl_primitive_attr_t attr, const struct finf_dnn_post *post)
{
	dnnl_post_ops_t ops;
	dnnl_status_t status = dnnl_post_ops_create(&ops);

	if (status != dnnl_success)
		return status;
	for (uint32_t i = 0; i < post->n && status == dnnl_success; i++)
		status = append_post_op(ops, &post->op[i]);
	if (status == dnnl_success)
		status = dnnl_primitive_attr_set_post_ops(attr, ops);
	dnnl_post_ops_destroy(ops);
	return status;
}

/* True float32 and a scratchpad from the caller. */
static dnnl_status_t attr_make(const struct finf_dnn_post *post, dnnl_primitive_attr_t *ret)
{
	dnnl_primitive_attr_t attr;
	dnnl_status_t status = dnnl_primitive_attr_create(&attr);

	if (status != dnnl_success)
		return status;
	status = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
	if (status == dnnl_success)
		status = dnnl_primitive_attr_set_fpmath_mode(attr, dnnl_fpmath_mode_strict);
	if (status == dnnl_success && post && post->n)
		status = set_post_ops(attr, post);
	if (status == dnnl_success)
		*ret = attr;
	else
		dnnl_primitive_attr_destroy(attr);
	return status;
}

/* ---- describing ------------------------------------------------------------- */

void finf_dnn_prep_start(struct finf_dnn_prep *prep, const struct finf_dnn_post *post)
{
	prep->n = 0;
	prep->attr = NULL;
	prep->pd = NULL;
	prep->status = attr_make(post, &prep->attr);
}

void finf_dnn_prep_md(struct finf_dnn_prep *prep, const struct finf_dnn_md *md)
{
	static const struct finf_dnn_md absent;

	if (prep->status == dnnl_success)
		prep->status = finf_dnn_md_make(md ? md : &absent, &prep->md[prep->n]);
	if (prep->status == dnnl_success)
		prep->n++;
}

/* oneDNN's reference loops are no better than ours and no oracle either. */
static bool is_slow(const struct finf_dnn_pd *pd)
{
	return !strncmp(finf_dnn_pd_name(pd), "ref", 3);
}

int finf_dnn_prep_end(struct finf_dnn_prep *prep, bool any_speed, struct finf_dnn_pd **ret_pd)
{
	struct finf_dnn_pd *pd = NULL;
	int err = finf_dnn_errno(prep->status);

	if (!err && !(pd = calloc(1, sizeof(*pd))))
		err = -ENOMEM;
	if (!err) {
		pd->pd = prep->pd;
		prep->pd = NULL;
		if (!any_speed && is_slow(pd))
			err = -EOPNOTSUPP;
	}
	while (prep->n)
		finf_dnn_md_drop(&prep->md[--prep->n]);
	if (prep->attr)
		dnnl_primitive_attr_destroy(prep->attr);
	if (prep->pd)
		dnnl_primitive_desc_destroy(prep->pd);
	if (err)
		finf_dnn_pd_free(pd);
	else
		*ret_pd = pd;
	return err;
}

/* ---- what was chosen -------------------------------------------------------- */

void finf_dnn_pd_free(struct finf_dnn_pd *pd)
{
	if (!pd)
		return;
	dnnl_primitive_desc_destroy(pd->pd);
	free(pd);
}

const char *finf_dnn_pd_name(const struct finf_dnn_pd *pd)
{
	const char *name;

	if (dnnl_primitive_desc_query(pd->pd, dnnl_query_impl_info_str, 0, &name) != dnnl_success)
		return "unknown";
	return name;
}

uint64_t finf_dnn_pd_scratch_bytes(const struct finf_dnn_pd *pd)
{
	if (pd->own_scratch)
		return 0;
	return dnnl_memory_desc_get_size(
		dnnl_primitive_desc_query_md(pd->pd, dnnl_query_scratchpad_md, 0));
}

int finf_dnn_pd_weights(const struct finf_dnn_pd *pd, uint32_t after, struct finf_dnn_md *ret)
{
	const void *chosen = dnnl_primitive_desc_query_md(pd->pd, dnnl_query_weights_md, 0);
	struct finf_dnn_md md = {0};
	dnnl_dims_t dims;
	int rank;

#if FINF_DNN_V3
	const_dnnl_memory_desc_t found = chosen;
	const dnnl_dims_t *found_dims;

	if (dnnl_memory_desc_query(found, dnnl_query_ndims_s32, &rank) != dnnl_success ||
	    dnnl_memory_desc_query(found, dnnl_query_dims, &found_dims) != dnnl_success)
		return -EREMOTEIO;
	memcpy(dims, *found_dims, sizeof(dims));
#else
	const dnnl_memory_desc_t *found = chosen;

	rank = found->ndims;
	memcpy(dims, found->dims, sizeof(dims));
#endif
	if (rank <= 0 || rank > FINF_DNN_RANK)
		return -EOPNOTSUPP;
	md.rank = (uint32_t)rank;
	memcpy(md.dim, dims, md.rank * sizeof(md.dim[0]));

	/* In the library's order, which has plain before any permutation of it. */
	for (md.tag = after + 1; md.tag < dnnl_format_tag_last; md.tag++) {
		dnnl_memory_desc_t made;
		bool same;

		if (finf_dnn_md_make(&md, &made) != dnnl_success)
			continue;
		same = dnnl_memory_desc_equal(FINF_DNN_MD_REF(made), found);
		finf_dnn_md_drop(&made);
		if (same) {
			*ret = md;
			return 0;
		}
	}
	return -EOPNOTSUPP;
}
