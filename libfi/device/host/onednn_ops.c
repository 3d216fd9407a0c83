/* SPDX-License-Identifier: MIT */
/* host/onednn: one function per primitive. */
#include <errno.h>
#include <oneapi/dnnl/dnnl.h>
#include <string.h>

#include "device/host/onednn_priv.h"

/* oneDNN counts dilation from 0. */
static void dilates(const struct finf_dnn_window *w, dnnl_dims_t ret)
{
	memset(ret, 0, sizeof(dnnl_dims_t));
	for (int i = 0; i < 3; i++)
		ret[i] = w->dilation[i] - 1;
}

/*
 * One creator per primitive with the descriptions in prep->md. In 2.x an
 * operation descriptor comes first; in 3.x it is gone.
 */
#if FINF_DNN_V3

static void create_conv(struct finf_dnn *dnn, struct finf_dnn_prep *p,
			const struct finf_dnn_window *w, dnnl_alg_kind_t alg)
{
	dnnl_dims_t dilate;

	dilates(w, dilate);
	p->status = dnnl_convolution_forward_primitive_desc_create(
		&p->pd, dnn->engine, dnnl_forward_inference, alg, p->md[0], p->md[1], p->md[2],
		p->md[3], w->stride, dilate, w->pad_begin, w->pad_end, p->attr);
}

static void create_inner(struct finf_dnn *dnn, struct finf_dnn_prep *p)
{
	p->status = dnnl_inner_product_forward_primitive_desc_create(
		&p->pd, dnn->engine, dnnl_forward_inference, p->md[0], p->md[1], p->md[2], p->md[3],
		p->attr);
}

static void create_matmul(struct finf_dnn *dnn, struct finf_dnn_prep *p)
{
	p->status = dnnl_matmul_primitive_desc_create(&p->pd, dnn->engine, p->md[0], p->md[1], NULL,
						      p->md[2], p->attr);
}

static void create_pool(struct finf_dnn *dnn, struct finf_dnn_prep *p, dnnl_alg_kind_t alg,
			const struct finf_dnn_window *w)
{
	dnnl_dims_t dilate;

	dilates(w, dilate);
	p->status = dnnl_pooling_forward_primitive_desc_create(
		&p->pd, dnn->engine, dnnl_forward_inference, alg, p->md[0], p->md[1], w->stride,
		w->kernel, dilate, w->pad_begin, w->pad_end, p->attr);
}

static void create_eltwise(struct finf_dnn *dnn, struct finf_dnn_prep *p, dnnl_alg_kind_t alg,
			   float a, float b)
{
	p->status = dnnl_eltwise_forward_primitive_desc_create(&p->pd, dnn->engine,
							       dnnl_forward_inference, alg,
							       p->md[0], p->md[0], a, b, p->attr);
}

static void create_binary(struct finf_dnn *dnn, struct finf_dnn_prep *p, dnnl_alg_kind_t alg)
{
	p->status = dnnl_binary_primitive_desc_create(&p->pd, dnn->engine, alg, p->md[0], p->md[1],
						      p->md[2], p->attr);
}

static void create_batchnorm(struct finf_dnn *dnn, struct finf_dnn_prep *p, float epsilon)
{
	p->status = dnnl_batch_normalization_forward_primitive_desc_create(
		&p->pd, dnn->engine, dnnl_forward_inference, p->md[0], p->md[0], epsilon,
		dnnl_use_global_stats | dnnl_use_scale | dnnl_use_shift, p->attr);
}

/* Statistics are computed, not kept: @md[1] only says in which order rows are. */
static void create_layernorm(struct finf_dnn *dnn, struct finf_dnn_prep *p, float epsilon,
			     bool shift)
{
	p->status = dnnl_layer_normalization_forward_primitive_desc_create(
		&p->pd, dnn->engine, dnnl_forward_inference, p->md[0], p->md[0], p->md[1], epsilon,
		dnnl_use_scale | (shift ? dnnl_use_shift : 0u), p->attr);
}

static void create_softmax(struct finf_dnn *dnn, struct finf_dnn_prep *p, int axis, bool log)
{
	p->status = dnnl_softmax_forward_primitive_desc_create(
		&p->pd, dnn->engine, dnnl_forward_inference,
		log ? dnnl_softmax_log : dnnl_softmax_accurate, p->md[0], p->md[0], axis, p->attr);
}

static void create_reduction(struct finf_dnn *dnn, struct finf_dnn_prep *p, dnnl_alg_kind_t alg)
{
	p->status = dnnl_reduction_primitive_desc_create(&p->pd, dnn->engine, alg, p->md[0],
							 p->md[1], 0, 0, p->attr);
}

static void create_concat(struct finf_dnn *dnn, struct finf_dnn_prep *p, int n, int axis)
{
	p->status =
		dnnl_concat_primitive_desc_create(&p->pd, dnn->engine, p->md[0], n, axis,
						  (const_dnnl_memory_desc_t *)&p->md[1], p->attr);
}

#else

static void create(struct finf_dnn *dnn, struct finf_dnn_prep *p, const_dnnl_op_desc_t op)
{
	if (p->status == dnnl_success)
		p->status = dnnl_primitive_desc_create(&p->pd, op, p->attr, dnn->engine, NULL);
}

static void create_conv(struct finf_dnn *dnn, struct finf_dnn_prep *p,
			const struct finf_dnn_window *w, dnnl_alg_kind_t alg)
{
	dnnl_convolution_desc_t op;
	dnnl_dims_t dilate;

	dilates(w, dilate);
	p->status = dnnl_dilated_convolution_forward_desc_init(
		&op, dnnl_forward_inference, alg, &p->md[0], &p->md[1],
		p->md[2].ndims ? &p->md[2] : NULL, &p->md[3], w->stride, dilate, w->pad_begin,
		w->pad_end);
	create(dnn, p, &op);
}

static void create_inner(struct finf_dnn *dnn, struct finf_dnn_prep *p)
{
	dnnl_inner_product_desc_t op;

	p->status = dnnl_inner_product_forward_desc_init(
		&op, dnnl_forward_inference, &p->md[0], &p->md[1],
		p->md[2].ndims ? &p->md[2] : NULL, &p->md[3]);
	create(dnn, p, &op);
}

static void create_matmul(struct finf_dnn *dnn, struct finf_dnn_prep *p)
{
	dnnl_matmul_desc_t op;

	p->status = dnnl_matmul_desc_init(&op, &p->md[0], &p->md[1], NULL, &p->md[2]);
	create(dnn, p, &op);
}

static void create_pool(struct finf_dnn *dnn, struct finf_dnn_prep *p, dnnl_alg_kind_t alg,
			const struct finf_dnn_window *w)
{
	dnnl_pooling_v2_desc_t op;
	dnnl_dims_t dilate;

	dilates(w, dilate);
	p->status = dnnl_pooling_v2_forward_desc_init(&op, dnnl_forward_inference, alg, &p->md[0],
						      &p->md[1], w->stride, w->kernel, dilate,
						      w->pad_begin, w->pad_end);
	create(dnn, p, &op);
}

static void create_eltwise(struct finf_dnn *dnn, struct finf_dnn_prep *p, dnnl_alg_kind_t alg,
			   float a, float b)
{
	dnnl_eltwise_desc_t op;

	p->status =
		dnnl_eltwise_forward_desc_init(&op, dnnl_forward_inference, alg, &p->md[0], a, b);
	create(dnn, p, &op);
}

static void create_binary(struct finf_dnn *dnn, struct finf_dnn_prep *p, dnnl_alg_kind_t alg)
{
	dnnl_binary_desc_t op;

	p->status = dnnl_binary_desc_init(&op, alg, &p->md[0], &p->md[1], &p->md[2]);
	create(dnn, p, &op);
}

static void create_batchnorm(struct finf_dnn *dnn, struct finf_dnn_prep *p, float epsilon)
{
	dnnl_batch_normalization_desc_t op;

	p->status = dnnl_batch_normalization_forward_desc_init(
		&op, dnnl_forward_inference, &p->md[0], epsilon,
		dnnl_use_global_stats | dnnl_use_scale | dnnl_use_shift);
	create(dnn, p, &op);
}

static void create_layernorm(struct finf_dnn *dnn, struct finf_dnn_prep *p, float epsilon,
			     bool shift)
{
	dnnl_layer_normalization_desc_t op;

	p->status = dnnl_layer_normalization_forward_desc_init(
		&op, dnnl_forward_inference, &p->md[0], &p->md[1], epsilon,
		dnnl_use_scale | (shift ? dnnl_use_shift : 0u));
	create(dnn, p, &op);
}

static void create_softmax(struct finf_dnn *dnn, struct finf_dnn_prep *p, int axis, bool log)
{
	dnnl_softmax_desc_t op;

	p->status = (log ? dnnl_logsoftmax_forward_desc_init : dnnl_softmax_forward_desc_init)(
		&op, dnnl_forward_inference, &p->md[0], axis);
	create(dnn, p, &op);
}

static void create_reduction(struct finf_dnn *dnn, struct finf_dnn_prep *p, dnnl_alg_kind_t alg)
{
	dnnl_reduction_desc_t op;

	p->status = dnnl_reduction_desc_init(&op, alg, &p->md[0], &p->md[1], 0, 0);
	create(dnn, p, &op);
}

static void create_concat(struct finf_dnn *dnn, struct finf_dnn_prep *p, int n, int axis)
{
	p->status = dnnl_concat_primitive_desc_create(&p->pd, &p->md[0], n, axis, &p->md[1],
						      p->attr, dnn->engine);
}

#endif

static int make_conv(struct finf_dnn *dnn, const struct finf_dnn_md *src,
		     const struct finf_dnn_md *weights, const struct finf_dnn_md *bias,
		     const struct finf_dnn_md *dst, const struct finf_dnn_window *window,
		     const struct finf_dnn_post *post, bool own_scratch,
		     struct finf_dnn_pd **ret_pd)
{
	struct finf_dnn_prep p;

	finf_dnn_prep_start(&p, post);
	if (own_scratch && p.status == dnnl_success)
		p.status = dnnl_primitive_attr_set_scratchpad_mode(p.attr,
								   dnnl_scratchpad_mode_library);
	finf_dnn_prep_md(&p, src);
	finf_dnn_prep_md(&p, weights);
	finf_dnn_prep_md(&p, bias);
	finf_dnn_prep_md(&p, dst);
	if (p.status == dnnl_success)
		create_conv(dnn, &p, window, dnnl_convolution_direct);
	return finf_dnn_prep_end(&p, own_scratch, ret_pd);
}

int finf_dnn_conv(struct finf_dnn *dnn, const struct finf_dnn_md *src,
		  const struct finf_dnn_md *weights, const struct finf_dnn_md *bias,
		  const struct finf_dnn_md *dst, const struct finf_dnn_window *window,
		  const struct finf_dnn_post *post, struct finf_dnn_pd **ret_pd)
{
	return make_conv(dnn, src, weights, bias, dst, window, post, false, ret_pd);
}

/* No primitive is ever made with this attribute, so none of the cache has it. */
int finf_dnn_conv_uncached(struct finf_dnn *dnn, const struct finf_dnn_md *src,
			   const struct finf_dnn_md *weights, const struct finf_dnn_md *bias,
			   const struct finf_dnn_md *dst, const struct finf_dnn_window *window,
			   const struct finf_dnn_post *post, struct finf_dnn_pd **ret_pd)
{
	return make_conv(dnn, src, weights, bias, dst, window, post, true, ret_pd);
}

#if FINF_DNN_V3
int finf_dnn_conv_winograd(struct finf_dnn *dnn, const struct finf_dnn_md *src,
			   struct finf_dnn_md *weights, const struct finf_dnn_md *bias,
			   const struct finf_dnn_md *dst, const struct finf_dnn_window *window,
			   const struct finf_dnn_post *post, struct finf_dnn_pd **ret_pd)
{
	(void)dnn, (void)src, (void)weights, (void)bias, (void)dst, (void)window, (void)post;
	(void)ret_pd;
	return -EOPNOTSUPP;
}
#else
int finf_dnn_conv_winograd(struct finf_dnn *dnn, const struct finf_dnn_md *src,
			   struct finf_dnn_md *weights, const struct finf_dnn_md *bias,
			   const struct finf_dnn_md *dst, const struct finf_dnn_window *window,
			   const struct finf_dnn_post *post, struct finf_dnn_pd **ret_pd)
{
	struct finf_dnn_md any = *weights;
	struct finf_dnn_pd *pd = NULL;
	struct finf_dnn_prep p;
	int err;

	any.tag = dnnl_format_tag_any;
	finf_dnn_prep_start(&p, post);
	finf_dnn_prep_md(&p, src);
	finf_dnn_prep_md(&p, &any);
	finf_dnn_prep_md(&p, bias);
	finf_dnn_prep_md(&p, dst);
	if (p.status == dnnl_success)
		create_conv(dnn, &p, window, dnnl_convolution_winograd);
	err = finf_dnn_prep_end(&p, false, &pd);
	if (!err)
		err = finf_dnn_winograd_of(
			dnnl_primitive_desc_query_md(pd->pd, dnnl_query_weights_md, 0), weights);
	if (err)
		finf_dnn_pd_free(pd);
	else
		*ret_pd = pd;
	return err;
}
#endif

int finf_dnn_inner(struct finf_dnn *dnn, const struct finf_dnn_md *src,
		   const struct finf_dnn_md *weights, const struct finf_dnn_md *bias,
		   const struct finf_dnn_md *dst, const struct finf_dnn_post *post,
		   struct finf_dnn_pd **ret_pd)
{
	struct finf_dnn_prep p;

	finf_dnn_prep_start(&p, post);
	finf_dnn_prep_md(&p, src);
	finf_dnn_prep_md(&p, weights);
	finf_dnn_prep_md(&p, bias);
	finf_dnn_prep_md(&p, dst);
	if (p.status == dnnl_success)
		create_inner(dnn, &p);
	return finf_dnn_prep_end(&p, false, ret_pd);
}

int finf_dnn_matmul(struct finf_dnn *dnn, const struct finf_dnn_md *a, const struct finf_dnn_md *b,
		    const struct finf_dnn_md *dst, const struct finf_dnn_post *post,
		    struct finf_dnn_pd **ret_pd)
{
	struct finf_dnn_prep p;

	finf_dnn_prep_start(&p, post);
	finf_dnn_prep_md(&p, a);
	finf_dnn_prep_md(&p, b);
	finf_dnn_prep_md(&p, dst);
	if (p.status == dnnl_success)
		create_matmul(dnn, &p);
	return finf_dnn_prep_end(&p, false, ret_pd);
}

int finf_dnn_pool(struct finf_dnn *dnn, dnnl_alg_kind_t alg, const struct finf_dnn_md *src,
		  const struct finf_dnn_md *dst, const struct finf_dnn_window *window,
		  struct finf_dnn_pd **ret_pd)
{
	struct finf_dnn_prep p;

	finf_dnn_prep_start(&p, NULL);
	finf_dnn_prep_md(&p, src);
	finf_dnn_prep_md(&p, dst);
	if (p.status == dnnl_success)
		create_pool(dnn, &p, alg, window);
	return finf_dnn_prep_end(&p, false, ret_pd);
}

int finf_dnn_eltwise(struct finf_dnn *dnn, dnnl_alg_kind_t alg, const struct finf_dnn_md *md,
		     float a, float b, struct finf_dnn_pd **ret_pd)
{
	struct finf_dnn_prep p;

	finf_dnn_prep_start(&p, NULL);
	finf_dnn_prep_md(&p, md);
	if (p.status == dnnl_success)
		create_eltwise(dnn, &p, alg, a, b);
	return finf_dnn_prep_end(&p, false, ret_pd);
}

int finf_dnn_binary(struct finf_dnn *dnn, dnnl_alg_kind_t alg, const struct finf_dnn_md *a,
		    const struct finf_dnn_md *b, const struct finf_dnn_md *dst,
		    const struct finf_dnn_post *post, struct finf_dnn_pd **ret_pd)
{
	struct finf_dnn_prep p;

	finf_dnn_prep_start(&p, post);
	finf_dnn_prep_md(&p, a);
	finf_dnn_prep_md(&p, b);
	finf_dnn_prep_md(&p, dst);
	if (p.status == dnnl_success)
		create_binary(dnn, &p, alg);
	return finf_dnn_prep_end(&p, false, ret_pd);
}

int finf_dnn_batchnorm(struct finf_dnn *dnn, const struct finf_dnn_md *md, float epsilon,
		       const struct finf_dnn_post *post, struct finf_dnn_pd **ret_pd)
{
	struct finf_dnn_prep p;

	finf_dnn_prep_start(&p, post);
	finf_dnn_prep_md(&p, md);
	if (p.status == dnnl_success)
		create_batchnorm(dnn, &p, epsilon);
	return finf_dnn_prep_end(&p, false, ret_pd);
}

int finf_dnn_layernorm(struct finf_dnn *dnn, const struct finf_dnn_md *rows, float epsilon,
		       bool shift, struct finf_dnn_pd **ret_pd)
{
	struct finf_dnn_md stat = {.rank = 1, .tag = dnnl_a, .dim = {rows->dim[0]}};
	struct finf_dnn_prep p;

	finf_dnn_prep_start(&p, NULL);
	finf_dnn_prep_md(&p, rows);
	finf_dnn_prep_md(&p, &stat);
	if (p.status == dnnl_success)
		create_layernorm(dnn, &p, epsilon, shift);
	return finf_dnn_prep_end(&p, false, ret_pd);
}

int finf_dnn_softmax(struct finf_dnn *dnn, const struct finf_dnn_md *md, uint32_t axis, bool log,
		     struct finf_dnn_pd **ret_pd)
{
	struct finf_dnn_prep p;

	finf_dnn_prep_start(&p, NULL);
	finf_dnn_prep_md(&p, md);
	if (p.status == dnnl_success)
		create_softmax(dnn, &p, (int)axis, log);
	return finf_dnn_prep_end(&p, false, ret_pd);
}

int finf_dnn_reduction(struct finf_dnn *dnn, dnnl_alg_kind_t alg, const struct finf_dnn_md *src,
		       const struct finf_dnn_md *dst, struct finf_dnn_pd **ret_pd)
{
	struct finf_dnn_prep p;

	finf_dnn_prep_start(&p, NULL);
	finf_dnn_prep_md(&p, src);
	finf_dnn_prep_md(&p, dst);
	if (p.status == dnnl_success)
		create_reduction(dnn, &p, alg);
	return finf_dnn_prep_end(&p, false, ret_pd);
}

int finf_dnn_concat(struct finf_dnn *dnn, const struct finf_dnn_md *src, uint32_t n, uint32_t axis,
		    const struct finf_dnn_md *dst, struct finf_dnn_pd **ret_pd)
{
	struct finf_dnn_prep p;

	if (n + 1 > FINF_DNN_PREP_MDS)
		return -EOPNOTSUPP;
	finf_dnn_prep_start(&p, NULL);
	finf_dnn_prep_md(&p, dst);
	for (uint32_t i = 0; i < n; i++)
		finf_dnn_prep_md(&p, &src[i]);
	if (p.status == dnnl_success)
		create_concat(dnn, &p, (int)n, (int)axis);
	return finf_dnn_prep_end(&p, false, ret_pd);
}

int finf_dnn_reorder(struct finf_dnn *dnn, const struct finf_dnn_md *from,
		     const struct finf_dnn_md *to, struct finf_dnn_pd **ret_pd)
{
	struct finf_dnn_prep p;
	int err;

	finf_dnn_prep_start(&p, NULL);
	finf_dnn_prep_md(&p, from);
	finf_dnn_prep_md(&p, to);
	if (p.status == dnnl_success) /* without our attributes: oneDNN owns the scratchpad */
		p.status = dnnl_reorder_primitive_desc_create(&p.pd, FINF_DNN_MD_REF(p.md[0]),
							      dnn->engine, FINF_DNN_MD_REF(p.md[1]),
							      dnn->engine, NULL);
	err = finf_dnn_prep_end(&p, true, ret_pd);
	if (!err)
		(*ret_pd)->own_scratch = true;
	return err;
}
