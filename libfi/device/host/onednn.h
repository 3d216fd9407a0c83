/* SPDX-License-Identifier: MIT */
/*
 * host/onednn - the only door to oneDNN: memory descriptions by value, one
 * function per primitive, and compiled primitives bound to memory objects.
 * The files behind it (onednn_priv.h) alone know how 2.x and 3.x differ.
 * Must not know: graphs, nodes, forms.
 */
#ifndef FINF_HOST_ONEDNN_H
#define FINF_HOST_ONEDNN_H

/* Names of arguments, algorithms and layouts are the same in 2.x and 3.x. */
#include <oneapi/dnnl/dnnl_types.h>

#include "base/base.h"

#define FINF_DNN_RANK 6

/* Tag of weights transformed for Winograd's algorithm: described by numbers of their own. */
#define FINF_DNN_WINOGRAD 0xffffu

/* As oneDNN 2.x has them, in types of fixed size. */
struct finf_dnn_winograd {
	uint32_t format;
	int32_t r, alpha, ic, oc, ic_block, oc_block, ic2_block, oc2_block;
	float scale;
	uint64_t bytes;
};

/*
 * A float32 tensor in memory. The tag is oneDNN's number of a layout, so that
 * a description fits in a few bytes and no stride has to be trusted.
 * rank 0 = absent (a bias that is not there); dnnl_format_tag_undef = by strides.
 */
struct finf_dnn_md {
	uint32_t rank, tag;
	dnnl_dims_t dim;
	dnnl_dims_t stride; /* only when by strides */
	struct finf_dnn_winograd winograd; /* only with that tag */
};

/* What is applied to each output element, in order, before it is stored. */
#define FINF_DNN_POST_MAX 4
struct finf_dnn_post {
	uint32_t n;
	struct finf_dnn_post_op {
		bool binary; /* alg(x, operand of args: DNNL_ARG_ATTR_MULTIPLE_POST_OP(i)) */
		bool sum;    /* x + what lies in the destination already */
		dnnl_alg_kind_t alg;
		float a, b;
		struct finf_dnn_md md; /* of the operand */
	} op[FINF_DNN_POST_MAX];
};

struct finf_dnn_window { /* of each spatial dimension; dilation 1 = none */
	dnnl_dims_t kernel, stride, dilation, pad_begin, pad_end;
};

struct finf_dnn;      /* the engine */
struct finf_dnn_pd;   /* a primitive described: implementation and layouts chosen */
struct finf_dnn_prim; /* compiled, with its memory objects; one execution at a time */

int finf_dnn_open(struct finf_dnn **ret_dnn);
void finf_dnn_close(struct finf_dnn *dnn);
uint32_t finf_dnn_version(void); /* of the running library: major << 16 | minor << 8 | patch */
const char *finf_dnn_isa(void);
const char *finf_dnn_runtime(void);
/** finf_dnn_block - channels per block of the activation layout this ISA likes: 16 or 8. */
uint32_t finf_dnn_block(void);
/** finf_dnn_threads - threads of the calling thread's next primitives; returns the old number. */
uint32_t finf_dnn_threads(uint32_t threads);
/** finf_dnn_spread - @fn on @n threads of the team that runs primitives. 0; -EAGAIN. */
int finf_dnn_spread(uint32_t n, void (*fn)(void *ctx, uint32_t k), void *ctx);

/**
 * finf_dnn_gemm - c = alpha op(a) op(b) + beta c: m x k times k x n, row-major with steps; 'T':
 * op is the transpose. With beta 0 c is not read. On the caller's number of threads, one within
 * finf_dnn_spread(). Return: 0; -ENOMEM; -EREMOTEIO.
 */
int finf_dnn_gemm(char op_a, char op_b, int64_t m, int64_t n, int64_t k, float alpha,
		  const float *a, int64_t step_a, const float *b, int64_t step_b, float beta,
		  float *c, int64_t step_c);

/** finf_dnn_plain - row-major; rank 0 becomes one element. -EOPNOTSUPP above FINF_DNN_RANK. */
int finf_dnn_plain(const struct finf_shape *shape, struct finf_dnn_md *ret);
bool finf_dnn_is_plain(const struct finf_dnn_md *md);
/** finf_dnn_md_bytes - with padding. Return: 0; -EINVAL when oneDNN refuses the description. */
int finf_dnn_md_bytes(const struct finf_dnn_md *md, uint64_t *ret);

/*
 * Describing. Return: 0; -EOPNOTSUPP when oneDNN has no fast implementation of
 * this (its own reference loops count as none); -ENOMEM; -EREMOTEIO.
 * The scratchpad is the caller's.
 */
int finf_dnn_conv(struct finf_dnn *dnn, const struct finf_dnn_md *src,
		  const struct finf_dnn_md *weights, const struct finf_dnn_md *bias,
		  const struct finf_dnn_md *dst, const struct finf_dnn_window *window,
		  const struct finf_dnn_post *post, struct finf_dnn_pd **ret_pd);
/**
 * The same past oneDNN's primitive cache, which takes layouts that differ only
 * where a dimension is 1 for one another, though the implementations do not.
 */
int finf_dnn_conv_uncached(struct finf_dnn *dnn, const struct finf_dnn_md *src,
			   const struct finf_dnn_md *weights, const struct finf_dnn_md *bias,
			   const struct finf_dnn_md *dst, const struct finf_dnn_window *window,
			   const struct finf_dnn_post *post, struct finf_dnn_pd **ret_pd);
/**
 * finf_dnn_conv_winograd - by Winograd's algorithm; not in oneDNN 3.x: -EOPNOTSUPP.
 * @weights  their dims; on return also how they must be transformed
 */
int finf_dnn_conv_winograd(struct finf_dnn *dnn, const struct finf_dnn_md *src,
			   struct finf_dnn_md *weights, const struct finf_dnn_md *bias,
			   const struct finf_dnn_md *dst, const struct finf_dnn_window *window,
			   const struct finf_dnn_post *post, struct finf_dnn_pd **ret_pd);
/** Weights are [outputs, inputs, ...] as for a convolution, however they lie. */
int finf_dnn_deconv(struct finf_dnn *dnn, const struct finf_dnn_md *src,
		    const struct finf_dnn_md *weights, const struct finf_dnn_md *bias,
		    const struct finf_dnn_md *dst, const struct finf_dnn_window *window,
		    const struct finf_dnn_post *post, struct finf_dnn_pd **ret_pd);
int finf_dnn_inner(struct finf_dnn *dnn, const struct finf_dnn_md *src,
		   const struct finf_dnn_md *weights, const struct finf_dnn_md *bias,
		   const struct finf_dnn_md *dst, const struct finf_dnn_post *post,
		   struct finf_dnn_pd **ret_pd);
int finf_dnn_matmul(struct finf_dnn *dnn, const struct finf_dnn_md *a, const struct finf_dnn_md *b,
		    const struct finf_dnn_md *dst, const struct finf_dnn_post *post,
		    struct finf_dnn_pd **ret_pd);
int finf_dnn_pool(struct finf_dnn *dnn, dnnl_alg_kind_t alg, const struct finf_dnn_md *src,
		  const struct finf_dnn_md *dst, const struct finf_dnn_window *window,
		  struct finf_dnn_pd **ret_pd);
int finf_dnn_eltwise(struct finf_dnn *dnn, dnnl_alg_kind_t alg, const struct finf_dnn_md *md,
		     float a, float b, struct finf_dnn_pd **ret_pd);
int finf_dnn_binary(struct finf_dnn *dnn, dnnl_alg_kind_t alg, const struct finf_dnn_md *a,
		    const struct finf_dnn_md *b, const struct finf_dnn_md *dst,
		    const struct finf_dnn_post *post, struct finf_dnn_pd **ret_pd);
/** Cells of oneDNN's kind: centres at one half, the nearest or two of them weighted. */
int finf_dnn_resample(struct finf_dnn *dnn, bool linear, const struct finf_dnn_md *src,
		      const struct finf_dnn_md *dst, const struct finf_dnn_post *post,
		      struct finf_dnn_pd **ret_pd);
int finf_dnn_prelu(struct finf_dnn *dnn, const struct finf_dnn_md *md,
		   const struct finf_dnn_md *slope, struct finf_dnn_pd **ret_pd);
/** Across channels; an odd number of them. */
int finf_dnn_lrn(struct finf_dnn *dnn, const struct finf_dnn_md *md, int64_t size, float alpha,
		 float beta, float bias, struct finf_dnn_pd **ret_pd);
/**
 * Inference: scale and shift are given, and mean and variance, unless it is @own, the input's
 * own. oneDNN takes no post-op but ReLU.
 */
int finf_dnn_batchnorm(struct finf_dnn *dnn, const struct finf_dnn_md *md, float epsilon, bool own,
		       const struct finf_dnn_post *post, struct finf_dnn_pd **ret_pd);
/** Each row of a matrix; scale is given, shift when there is one. */
int finf_dnn_layernorm(struct finf_dnn *dnn, const struct finf_dnn_md *rows, float epsilon,
		       bool shift, struct finf_dnn_pd **ret_pd);
int finf_dnn_softmax(struct finf_dnn *dnn, const struct finf_dnn_md *md, uint32_t axis, bool log,
		     struct finf_dnn_pd **ret_pd);
/** Dimensions that are 1 in @dst and not in @src are reduced. */
int finf_dnn_reduction(struct finf_dnn *dnn, dnnl_alg_kind_t alg, const struct finf_dnn_md *src,
		       const struct finf_dnn_md *dst, struct finf_dnn_pd **ret_pd);
int finf_dnn_concat(struct finf_dnn *dnn, const struct finf_dnn_md *src, uint32_t n, uint32_t axis,
		    const struct finf_dnn_md *dst, struct finf_dnn_pd **ret_pd);
/** Any implementation is fine here, and it owns its scratchpad. */
int finf_dnn_reorder(struct finf_dnn *dnn, const struct finf_dnn_md *from,
		     const struct finf_dnn_md *to, struct finf_dnn_pd **ret_pd);
void finf_dnn_pd_free(struct finf_dnn_pd *pd);

const char *finf_dnn_pd_name(const struct finf_dnn_pd *pd); /* borrowed from @pd */
uint64_t finf_dnn_pd_scratch_bytes(const struct finf_dnn_pd *pd);
/**
 * finf_dnn_pd_weights - name the layout chosen for weights described as "any".
 * @param after  dnnl_format_tag_any, or the tag found last: where dimensions are
 *               1 several tags describe the same bytes
 * Return: 0; -EOPNOTSUPP when there is no (further) name for it.
 */
int finf_dnn_pd_weights(const struct finf_dnn_pd *pd, uint32_t after, struct finf_dnn_md *ret);

/* Operand of a primitive: DNNL_ARG_* and its layout. */
struct finf_dnn_arg {
	int arg;
	struct finf_dnn_md md;
};

/** finf_dnn_prim_new - compile for the caller's number of threads. 0; -ENOMEM; -EREMOTEIO. */
int finf_dnn_prim_new(struct finf_dnn *dnn, const struct finf_dnn_pd *pd,
		      const struct finf_dnn_arg *args, uint32_t n, struct finf_dnn_prim **ret_prim);
/**
 * finf_dnn_prim_run - execute and wait.
 * @param addresses  parallel to the args of finf_dnn_prim_new()
 * Return: 0; -EREMOTEIO. Allocates nothing.
 */
int finf_dnn_prim_run(struct finf_dnn_prim *prim, void *const *addresses, void *scratch);
void finf_dnn_prim_free(struct finf_dnn_prim *prim);

#endif
