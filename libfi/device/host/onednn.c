/* SPDX-License-Identifier: MIT */
/* host/onednn: see onednn.h. Everything that differs between oneDNN 2.x and 3.x is in this file. */
#include <errno.h>
#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdlib.h>
#include <string.h>

#include "device/host/onednn.h"

#define V3 (DNNL_VERSION_MAJOR >= 3)

struct finf_dnn {
	dnnl_engine_t engine;
};

struct finf_dnn_pd {
	dnnl_primitive_desc_t pd;
	bool own_scratch; /* oneDNN holds the scratchpad, not the caller */
};

struct finf_dnn_prim {
	dnnl_primitive_t prim;
	dnnl_stream_t stream;
	uint32_t n; /* args; one more when the scratchpad is the caller's */
	bool scratch;
	dnnl_exec_arg_t args[]; /* memory objects owned */
};

/* The one place where a dnnl_status_t becomes an errno. */
static int dnn_errno(dnnl_status_t status)
{
	switch (status) {
	case dnnl_success:
		return 0;
	case dnnl_out_of_memory:
		return -ENOMEM;
	case dnnl_invalid_arguments:
	case dnnl_unimplemented:
		return -EOPNOTSUPP;
	default:
		return -EREMOTEIO;
	}
}

/* ---- engine ------------------------------------------------------------- */

int finf_dnn_open(struct finf_dnn **ret_dnn)
{
	struct finf_dnn *dnn = calloc(1, sizeof(*dnn));
	int err;

	if (!dnn)
		return -ENOMEM;
	err = dnn_errno(dnnl_engine_create(&dnn->engine, dnnl_cpu, 0));
	if (err) {
		free(dnn);
		return err;
	}
	*ret_dnn = dnn;
	return 0;
}

void finf_dnn_close(struct finf_dnn *dnn)
{
	if (!dnn)
		return;
	dnnl_engine_destroy(dnn->engine);
	free(dnn);
}

uint32_t finf_dnn_version(void)
{
	const dnnl_version_t *v = dnnl_version();

	return (uint32_t)v->major << 16 | (uint32_t)v->minor << 8 | (uint32_t)v->patch;
}

const char *finf_dnn_isa(void)
{
	switch ((unsigned)dnnl_get_effective_cpu_isa()) {
	case dnnl_cpu_isa_sse41:
		return "sse41";
	case dnnl_cpu_isa_avx:
		return "avx";
	case dnnl_cpu_isa_avx2:
		return "avx2";
	case dnnl_cpu_isa_avx2_vnni:
		return "avx2_vnni";
	case dnnl_cpu_isa_avx512_core:
		return "avx512_core";
	case dnnl_cpu_isa_avx512_core_vnni:
		return "avx512_core_vnni";
	case dnnl_cpu_isa_avx512_core_bf16:
		return "avx512_core_bf16";
	case dnnl_cpu_isa_avx512_core_amx:
		return "avx512_core_amx";
	default:
		return "other";
	}
}

const char *finf_dnn_runtime(void)
{
	switch (dnnl_version()->cpu_runtime) {
	case DNNL_RUNTIME_SEQ:
		return "sequential";
	case DNNL_RUNTIME_OMP:
		return "openmp";
	case DNNL_RUNTIME_TBB:
		return "tbb";
	default:
		return "other";
	}
}

uint32_t finf_dnn_block(void)
{
	unsigned isa = (unsigned)dnnl_get_effective_cpu_isa();

	/* ISA numbers are sets of bits, each a superset of what it builds on. */
	return (isa & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core ? 16 : 8;
}

uint32_t finf_dnn_threads(uint32_t threads)
{
	int old = omp_get_max_threads();

	if (threads && old != (int)threads)
		omp_set_num_threads((int)threads);
	return (uint32_t)old;
}

int finf_dnn_spread(uint32_t n, void (*fn)(void *ctx, uint32_t k), void *ctx)
{
	int err = 0;

#pragma omp parallel num_threads((int)n)
	{
		if (omp_get_num_threads() == (int)n)
			fn(ctx, (uint32_t)omp_get_thread_num());
		else if (!omp_get_thread_num())
			err = -EAGAIN;
	}
	return err;
}

/* ---- memory descriptions -------------------------------------------------- */

static const uint32_t plain_tags[FINF_DNN_RANK + 1] = {
	dnnl_format_tag_undef, dnnl_a, dnnl_ab, dnnl_abc, dnnl_abcd, dnnl_abcde, dnnl_abcdef};

int finf_dnn_plain(const struct finf_shape *shape, struct finf_dnn_md *ret)
{
	struct finf_dnn_md md = {.rank = shape->rank};

	if (shape->rank > FINF_DNN_RANK)
		return -EOPNOTSUPP;
	memcpy(md.dim, shape->dim, shape->rank * sizeof(md.dim[0]));
	if (!md.rank) {
		md.rank = 1;
		md.dim[0] = 1;
	}
	md.tag = plain_tags[md.rank];
	*ret = md;
	return 0;
}

bool finf_dnn_is_plain(const struct finf_dnn_md *md)
{
	return md->rank <= FINF_DNN_RANK && md->tag == plain_tags[md->rank];
}

#if V3

/* 3.x: a description is an object to be destroyed. */
#define MD_REF(md) (md)

static dnnl_status_t md_make(const struct finf_dnn_md *md, dnnl_memory_desc_t *ret)
{
	*ret = NULL;
	if (!md->rank) /* absent */
		return dnnl_success;
	if (md->tag == dnnl_format_tag_undef)
		return dnnl_memory_desc_create_with_strides(ret, (int)md->rank, md->dim, dnnl_f32,
							    md->stride);
	return dnnl_memory_desc_create_with_tag(ret, (int)md->rank, md->dim, dnnl_f32,
						(dnnl_format_tag_t)md->tag);
}

static void md_drop(dnnl_memory_desc_t *md)
{
	if (*md)
		dnnl_memory_desc_destroy(*md);
}

#else

/* 2.x: a description is a plain struct; ndims 0 means absent. */
#define MD_REF(md) (&(md))

static void winograd_md(const struct finf_dnn_md *md, dnnl_memory_desc_t *ret)
{
	const struct finf_dnn_winograd *from = &md->winograd;

	ret->ndims = (int)md->rank;
	memcpy(ret->dims, md->dim, md->rank * sizeof(md->dim[0]));
	memcpy(ret->padded_dims, md->dim, md->rank * sizeof(md->dim[0]));
	ret->data_type = dnnl_f32;
	ret->format_kind = dnnl_format_kind_wino;
	ret->format_desc.wino_desc = (dnnl_wino_desc_t){
		.wino_format = (dnnl_wino_memory_format_t)from->format,
		.r = from->r,
		.alpha = from->alpha,
		.ic = from->ic,
		.oc = from->oc,
		.ic_block = from->ic_block,
		.oc_block = from->oc_block,
		.ic2_block = from->ic2_block,
		.oc2_block = from->oc2_block,
		.adj_scale = from->scale,
		.size = from->bytes,
	};
}

/* What oneDNN chose, when the numbers above say all of it. */
static int winograd_of(const dnnl_memory_desc_t *chosen, struct finf_dnn_md *ret)
{
	const dnnl_wino_desc_t *from = &chosen->format_desc.wino_desc;
	struct finf_dnn_md md = {.rank = (uint32_t)chosen->ndims, .tag = FINF_DNN_WINOGRAD};
	dnnl_memory_desc_t made = {0};

	if (chosen->format_kind != dnnl_format_kind_wino || md.rank > FINF_DNN_RANK)
		return -EOPNOTSUPP;
	memcpy(md.dim, chosen->dims, md.rank * sizeof(md.dim[0]));
	md.winograd = (struct finf_dnn_winograd){
		.format = from->wino_format,
		.r = from->r,
		.alpha = from->alpha,
		.ic = from->ic,
		.oc = from->oc,
		.ic_block = from->ic_block,
		.oc_block = from->oc_block,
		.ic2_block = from->ic2_block,
		.oc2_block = from->oc2_block,
		.scale = from->adj_scale,
		.bytes = from->size,
	};
	winograd_md(&md, &made);
	if (!dnnl_memory_desc_equal(&made, chosen))
		return -EOPNOTSUPP;
	*ret = md;
	return 0;
}

static dnnl_status_t md_make(const struct finf_dnn_md *md, dnnl_memory_desc_t *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (!md->rank)
		return dnnl_success;
	if (md->tag == FINF_DNN_WINOGRAD) {
		winograd_md(md, ret);
		return dnnl_success;
	}
	if (md->tag == dnnl_format_tag_undef)
		return dnnl_memory_desc_init_by_strides(ret, (int)md->rank, md->dim, dnnl_f32,
							md->stride);
	return dnnl_memory_desc_init_by_tag(ret, (int)md->rank, md->dim, dnnl_f32,
					    (dnnl_format_tag_t)md->tag);
}

static void md_drop(dnnl_memory_desc_t *md)
{
	(void)md;
}

#endif

int finf_dnn_md_bytes(const struct finf_dnn_md *md, uint64_t *ret)
{
	dnnl_memory_desc_t made;
	dnnl_status_t status = md_make(md, &made);

	if (status != dnnl_success)
		return status == dnnl_out_of_memory ? -ENOMEM : -EINVAL;
	*ret = dnnl_memory_desc_get_size(MD_REF(made));
	md_drop(&made);
	return 0;
}

/* ---- attributes ----------------------------------------------------------- */

static dnnl_status_t append_post_op(dnnl_post_ops_t ops, const struct finf_dnn_post_op *op)
{
	dnnl_memory_desc_t md;
	dnnl_status_t status;

	if (!op->binary) {
#if V3
		return dnnl_post_ops_append_eltwise(ops, op->alg, op->a, op->b);
#else
		return dnnl_post_ops_append_eltwise(ops, 1.0f, op->alg, op->a, op->b);
#endif
	}
	status = md_make(&op->md, &md);
	if (status != dnnl_success)
		return status;
	status = dnnl_post_ops_append_binary(ops, op->alg, MD_REF(md));
	md_drop(&md);
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

/* Whatever a description is made from, released together. */
#define PREP_MDS 68
struct prep {
	dnnl_memory_desc_t md[PREP_MDS];
	uint32_t n;
	dnnl_primitive_attr_t attr; /* owned */
	dnnl_primitive_desc_t pd;   /* the result, owned until taken */
	dnnl_status_t status;
};

static void prep_start(struct prep *prep, const struct finf_dnn_post *post)
{
	prep->n = 0;
	prep->attr = NULL;
	prep->pd = NULL;
	prep->status = attr_make(post, &prep->attr);
}

/* Add a description; absent ones take a place too. */
static void prep_md(struct prep *prep, const struct finf_dnn_md *md)
{
	static const struct finf_dnn_md absent;

	if (prep->status == dnnl_success)
		prep->status = md_make(md ? md : &absent, &prep->md[prep->n]);
	if (prep->status == dnnl_success)
		prep->n++;
}

/* oneDNN's reference loops are no better than ours and no oracle either. */
static bool is_slow(const struct finf_dnn_pd *pd)
{
	return !strncmp(finf_dnn_pd_name(pd), "ref", 3);
}

static int prep_end(struct prep *prep, bool any_speed, struct finf_dnn_pd **ret_pd)
{
	struct finf_dnn_pd *pd = NULL;
	int err = dnn_errno(prep->status);

	if (!err && !(pd = calloc(1, sizeof(*pd))))
		err = -ENOMEM;
	if (!err) {
		pd->pd = prep->pd;
		prep->pd = NULL;
		if (!any_speed && is_slow(pd))
			err = -EOPNOTSUPP;
	}
	while (prep->n)
		md_drop(&prep->md[--prep->n]);
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
#if V3

static void create_conv(struct finf_dnn *dnn, struct prep *p, const struct finf_dnn_window *w,
			dnnl_alg_kind_t alg)
{
	dnnl_dims_t dilate;

	dilates(w, dilate);
	p->status = dnnl_convolution_forward_primitive_desc_create(
		&p->pd, dnn->engine, dnnl_forward_inference, alg, p->md[0], p->md[1],
		p->md[2], p->md[3], w->stride, dilate, w->pad_begin, w->pad_end, p->attr);
}

static void create_inner(struct finf_dnn *dnn, struct prep *p)
{
	p->status = dnnl_inner_product_forward_primitive_desc_create(
		&p->pd, dnn->engine, dnnl_forward_inference, p->md[0], p->md[1], p->md[2], p->md[3],
		p->attr);
}

static void create_matmul(struct finf_dnn *dnn, struct prep *p)
{
	p->status = dnnl_matmul_primitive_desc_create(&p->pd, dnn->engine, p->md[0], p->md[1], NULL,
						      p->md[2], p->attr);
}

static void create_pool(struct finf_dnn *dnn, struct prep *p, dnnl_alg_kind_t alg,
			const struct finf_dnn_window *w)
{
	dnnl_dims_t dilate;

	dilates(w, dilate);
	p->status = dnnl_pooling_forward_primitive_desc_create(
		&p->pd, dnn->engine, dnnl_forward_inference, alg, p->md[0], p->md[1], w->stride,
		w->kernel, dilate, w->pad_begin, w->pad_end, p->attr);
}

static void create_eltwise(struct finf_dnn *dnn, struct prep *p, dnnl_alg_kind_t alg, float a,
			   float b)
{
	p->status = dnnl_eltwise_forward_primitive_desc_create(&p->pd, dnn->engine,
							       dnnl_forward_inference, alg,
							       p->md[0], p->md[0], a, b, p->attr);
}

static void create_binary(struct finf_dnn *dnn, struct prep *p, dnnl_alg_kind_t alg)
{
	p->status = dnnl_binary_primitive_desc_create(&p->pd, dnn->engine, alg, p->md[0], p->md[1],
						      p->md[2], p->attr);
}

static void create_batchnorm(struct finf_dnn *dnn, struct prep *p, float epsilon)
{
	p->status = dnnl_batch_normalization_forward_primitive_desc_create(
		&p->pd, dnn->engine, dnnl_forward_inference, p->md[0], p->md[0], epsilon,
		dnnl_use_global_stats | dnnl_use_scale | dnnl_use_shift, p->attr);
}

/* Statistics are computed, not kept: @md[1] only says in which order rows are. */
static void create_layernorm(struct finf_dnn *dnn, struct prep *p, float epsilon, bool shift)
{
	p->status = dnnl_layer_normalization_forward_primitive_desc_create(
		&p->pd, dnn->engine, dnnl_forward_inference, p->md[0], p->md[0], p->md[1], epsilon,
		dnnl_use_scale | (shift ? dnnl_use_shift : 0u), p->attr);
}

static void create_softmax(struct finf_dnn *dnn, struct prep *p, int axis, bool log)
{
	p->status = dnnl_softmax_forward_primitive_desc_create(
		&p->pd, dnn->engine, dnnl_forward_inference,
		log ? dnnl_softmax_log : dnnl_softmax_accurate, p->md[0], p->md[0], axis, p->attr);
}

static void create_concat(struct finf_dnn *dnn, struct prep *p, int n, int axis)
{
	p->status =
		dnnl_concat_primitive_desc_create(&p->pd, dnn->engine, p->md[0], n, axis,
						  (const_dnnl_memory_desc_t *)&p->md[1], p->attr);
}

#else

static void create(struct finf_dnn *dnn, struct prep *p, const_dnnl_op_desc_t op)
{
	if (p->status == dnnl_success)
		p->status = dnnl_primitive_desc_create(&p->pd, op, p->attr, dnn->engine, NULL);
}

static void create_conv(struct finf_dnn *dnn, struct prep *p, const struct finf_dnn_window *w,
			dnnl_alg_kind_t alg)
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

static void create_inner(struct finf_dnn *dnn, struct prep *p)
{
	dnnl_inner_product_desc_t op;

	p->status = dnnl_inner_product_forward_desc_init(
		&op, dnnl_forward_inference, &p->md[0], &p->md[1],
		p->md[2].ndims ? &p->md[2] : NULL, &p->md[3]);
	create(dnn, p, &op);
}

static void create_matmul(struct finf_dnn *dnn, struct prep *p)
{
	dnnl_matmul_desc_t op;

	p->status = dnnl_matmul_desc_init(&op, &p->md[0], &p->md[1], NULL, &p->md[2]);
	create(dnn, p, &op);
}

static void create_pool(struct finf_dnn *dnn, struct prep *p, dnnl_alg_kind_t alg,
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

static void create_eltwise(struct finf_dnn *dnn, struct prep *p, dnnl_alg_kind_t alg, float a,
			   float b)
{
	dnnl_eltwise_desc_t op;

	p->status =
		dnnl_eltwise_forward_desc_init(&op, dnnl_forward_inference, alg, &p->md[0], a, b);
	create(dnn, p, &op);
}

static void create_binary(struct finf_dnn *dnn, struct prep *p, dnnl_alg_kind_t alg)
{
	dnnl_binary_desc_t op;

	p->status = dnnl_binary_desc_init(&op, alg, &p->md[0], &p->md[1], &p->md[2]);
	create(dnn, p, &op);
}

static void create_batchnorm(struct finf_dnn *dnn, struct prep *p, float epsilon)
{
	dnnl_batch_normalization_desc_t op;

	p->status = dnnl_batch_normalization_forward_desc_init(
		&op, dnnl_forward_inference, &p->md[0], epsilon,
		dnnl_use_global_stats | dnnl_use_scale | dnnl_use_shift);
	create(dnn, p, &op);
}

static void create_layernorm(struct finf_dnn *dnn, struct prep *p, float epsilon, bool shift)
{
	dnnl_layer_normalization_desc_t op;

	p->status = dnnl_layer_normalization_forward_desc_init(
		&op, dnnl_forward_inference, &p->md[0], &p->md[1], epsilon,
		dnnl_use_scale | (shift ? dnnl_use_shift : 0u));
	create(dnn, p, &op);
}

static void create_softmax(struct finf_dnn *dnn, struct prep *p, int axis, bool log)
{
	dnnl_softmax_desc_t op;

	p->status = (log ? dnnl_logsoftmax_forward_desc_init : dnnl_softmax_forward_desc_init)(
		&op, dnnl_forward_inference, &p->md[0], axis);
	create(dnn, p, &op);
}

static void create_concat(struct finf_dnn *dnn, struct prep *p, int n, int axis)
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
	struct prep p;

	prep_start(&p, post);
	if (own_scratch && p.status == dnnl_success)
		p.status = dnnl_primitive_attr_set_scratchpad_mode(p.attr,
								   dnnl_scratchpad_mode_library);
	prep_md(&p, src);
	prep_md(&p, weights);
	prep_md(&p, bias);
	prep_md(&p, dst);
	if (p.status == dnnl_success)
		create_conv(dnn, &p, window, dnnl_convolution_direct);
	return prep_end(&p, own_scratch, ret_pd);
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

#if V3
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
	struct prep p;
	int err;

	any.tag = dnnl_format_tag_any;
	prep_start(&p, post);
	prep_md(&p, src);
	prep_md(&p, &any);
	prep_md(&p, bias);
	prep_md(&p, dst);
	if (p.status == dnnl_success)
		create_conv(dnn, &p, window, dnnl_convolution_winograd);
	err = prep_end(&p, false, &pd);
	if (!err)
		err = winograd_of(dnnl_primitive_desc_query_md(pd->pd, dnnl_query_weights_md, 0),
				  weights);
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
	struct prep p;

	prep_start(&p, post);
	prep_md(&p, src);
	prep_md(&p, weights);
	prep_md(&p, bias);
	prep_md(&p, dst);
	if (p.status == dnnl_success)
		create_inner(dnn, &p);
	return prep_end(&p, false, ret_pd);
}

int finf_dnn_matmul(struct finf_dnn *dnn, const struct finf_dnn_md *a, const struct finf_dnn_md *b,
		    const struct finf_dnn_md *dst, const struct finf_dnn_post *post,
		    struct finf_dnn_pd **ret_pd)
{
	struct prep p;

	prep_start(&p, post);
	prep_md(&p, a);
	prep_md(&p, b);
	prep_md(&p, dst);
	if (p.status == dnnl_success)
		create_matmul(dnn, &p);
	return prep_end(&p, false, ret_pd);
}

int finf_dnn_pool(struct finf_dnn *dnn, dnnl_alg_kind_t alg, const struct finf_dnn_md *src,
		  const struct finf_dnn_md *dst, const struct finf_dnn_window *window,
		  struct finf_dnn_pd **ret_pd)
{
	struct prep p;

	prep_start(&p, NULL);
	prep_md(&p, src);
	prep_md(&p, dst);
	if (p.status == dnnl_success)
		create_pool(dnn, &p, alg, window);
	return prep_end(&p, false, ret_pd);
}

int finf_dnn_eltwise(struct finf_dnn *dnn, dnnl_alg_kind_t alg, const struct finf_dnn_md *md,
		     float a, float b, struct finf_dnn_pd **ret_pd)
{
	struct prep p;

	prep_start(&p, NULL);
	prep_md(&p, md);
	if (p.status == dnnl_success)
		create_eltwise(dnn, &p, alg, a, b);
	return prep_end(&p, false, ret_pd);
}

int finf_dnn_binary(struct finf_dnn *dnn, dnnl_alg_kind_t alg, const struct finf_dnn_md *a,
		    const struct finf_dnn_md *b, const struct finf_dnn_md *dst,
		    const struct finf_dnn_post *post, struct finf_dnn_pd **ret_pd)
{
	struct prep p;

	prep_start(&p, post);
	prep_md(&p, a);
	prep_md(&p, b);
	prep_md(&p, dst);
	if (p.status == dnnl_success)
		create_binary(dnn, &p, alg);
	return prep_end(&p, false, ret_pd);
}

int finf_dnn_batchnorm(struct finf_dnn *dnn, const struct finf_dnn_md *md, float epsilon,
		       struct finf_dnn_pd **ret_pd)
{
	struct prep p;

	prep_start(&p, NULL);
	prep_md(&p, md);
	if (p.status == dnnl_success)
		create_batchnorm(dnn, &p, epsilon);
	return prep_end(&p, false, ret_pd);
}

int finf_dnn_layernorm(struct finf_dnn *dnn, const struct finf_dnn_md *rows, float epsilon,
		       bool shift, struct finf_dnn_pd **ret_pd)
{
	struct finf_dnn_md stat = {.rank = 1, .tag = dnnl_a, .dim = {rows->dim[0]}};
	struct prep p;

	prep_start(&p, NULL);
	prep_md(&p, rows);
	prep_md(&p, &stat);
	if (p.status == dnnl_success)
		create_layernorm(dnn, &p, epsilon, shift);
	return prep_end(&p, false, ret_pd);
}

int finf_dnn_softmax(struct finf_dnn *dnn, const struct finf_dnn_md *md, uint32_t axis, bool log,
		     struct finf_dnn_pd **ret_pd)
{
	struct prep p;

	prep_start(&p, NULL);
	prep_md(&p, md);
	if (p.status == dnnl_success)
		create_softmax(dnn, &p, (int)axis, log);
	return prep_end(&p, false, ret_pd);
}

int finf_dnn_concat(struct finf_dnn *dnn, const struct finf_dnn_md *src, uint32_t n, uint32_t axis,
		    const struct finf_dnn_md *dst, struct finf_dnn_pd **ret_pd)
{
	struct prep p;

	if (n + 1 > PREP_MDS)
		return -EOPNOTSUPP;
	prep_start(&p, NULL);
	prep_md(&p, dst);
	for (uint32_t i = 0; i < n; i++)
		prep_md(&p, &src[i]);
	if (p.status == dnnl_success)
		create_concat(dnn, &p, (int)n, (int)axis);
	return prep_end(&p, false, ret_pd);
}

int finf_dnn_reorder(struct finf_dnn *dnn, const struct finf_dnn_md *from,
		     const struct finf_dnn_md *to, struct finf_dnn_pd **ret_pd)
{
	struct prep p;
	int err;

	prep_start(&p, NULL);
	prep_md(&p, from);
	prep_md(&p, to);
	if (p.status == dnnl_success) /* without our attributes: oneDNN owns the scratchpad */
		p.status = dnnl_reorder_primitive_desc_create(&p.pd, MD_REF(p.md[0]), dnn->engine,
							      MD_REF(p.md[1]), dnn->engine, NULL);
	err = prep_end(&p, true, ret_pd);
	if (!err)
		(*ret_pd)->own_scratch = true;
	return err;
}

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

#if V3
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

		if (md_make(&md, &made) != dnnl_success)
			continue;
		same = dnnl_memory_desc_equal(MD_REF(made), found);
		md_drop(&made);
		if (same) {
			*ret = md;
			return 0;
		}
	}
	return -EOPNOTSUPP;
}

/* ---- running ------------------------------------------------------------------ */

static int add_memory(struct finf_dnn *dnn, struct finf_dnn_prim *prim, int arg,
		      const struct finf_dnn_md *md)
{
	dnnl_memory_desc_t made;
	dnnl_status_t status = md_make(md, &made);

	if (status != dnnl_success)
		return dnn_errno(status);
	prim->args[prim->n].arg = arg;
	status = dnnl_memory_create(&prim->args[prim->n].memory, MD_REF(made), dnn->engine,
				    DNNL_MEMORY_NONE);
	md_drop(&made);
	if (status == dnnl_success)
		prim->n++;
	return dnn_errno(status);
}

static int add_scratch(struct finf_dnn *dnn, struct finf_dnn_prim *prim,
		       const struct finf_dnn_pd *pd)
{
	dnnl_status_t status;

	if (!finf_dnn_pd_scratch_bytes(pd))
		return 0;
	prim->args[prim->n].arg = DNNL_ARG_SCRATCHPAD;
	status = dnnl_memory_create(
		&prim->args[prim->n].memory,
		dnnl_primitive_desc_query_md(pd->pd, dnnl_query_scratchpad_md, 0), dnn->engine,
		DNNL_MEMORY_NONE);
	prim->scratch = status == dnnl_success;
	return dnn_errno(status);
}

int finf_dnn_prim_new(struct finf_dnn *dnn, const struct finf_dnn_pd *pd,
		      const struct finf_dnn_arg *args, uint32_t n, struct finf_dnn_prim **ret_prim)
{
	struct finf_dnn_prim *prim = calloc(1, sizeof(*prim) + (n + 1) * sizeof(prim->args[0]));
	int err = prim ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < n && !err; i++)
		err = add_memory(dnn, prim, args[i].arg, &args[i].md);
	if (!err)
		err = add_scratch(dnn, prim, pd);
	if (!err)
		err = dnn_errno(
			dnnl_stream_create(&prim->stream, dnn->engine, dnnl_stream_default_flags));
	if (!err)
		err = dnn_errno(dnnl_primitive_create(&prim->prim, pd->pd));
	if (err)
		finf_dnn_prim_free(prim);
	else
		*ret_prim = prim;
	return err;
}

int finf_dnn_prim_run(struct finf_dnn_prim *prim, void *const *addresses, void *scratch)
{
	dnnl_status_t status = dnnl_success;

	for (uint32_t i = 0; i < prim->n && status == dnnl_success; i++)
		status = dnnl_memory_set_data_handle(prim->args[i].memory, addresses[i]);
	if (prim->scratch && status == dnnl_success)
		status = dnnl_memory_set_data_handle(prim->args[prim->n].memory, scratch);
	if (status == dnnl_success)
		status = dnnl_primitive_execute(prim->prim, prim->stream,
						(int)(prim->n + prim->scratch), prim->args);
	if (status == dnnl_success)
		status = dnnl_stream_wait(prim->stream);
	return status == dnnl_success ? 0 : -EREMOTEIO;
}

void finf_dnn_prim_free(struct finf_dnn_prim *prim)
{
	if (!prim)
		return;
	for (uint32_t i = 0; i < prim->n + prim->scratch; i++)
		dnnl_memory_destroy(prim->args[i].memory);
	if (prim->prim)
		dnnl_primitive_destroy(prim->prim);
	if (prim->stream)
		dnnl_stream_destroy(prim->stream);
	free(prim);
}
