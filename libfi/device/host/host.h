/* SPDX-License-Identifier: MIT */
/*
 * device/host - CPU and RAM as a device: private header of this folder.
 * A node is offered as "ref" (the graph room's own evaluator), as an alias, or
 * as a oneDNN primitive in one layout or another.
 * Must not know: plans, packs, files. oneDNN only through onednn.h.
 */
#ifndef FINF_HOST_HOST_H
#define FINF_HOST_HOST_H

#include "device/device.h"
#include "device/host/onednn.h"
#include "graph/op.h"

/* Layouts of activations; 0 is FINF_LAYOUT_PLAIN. float32, one to three spatial dimensions,
 * channels padded to the block. */
enum { FINF_HOST_NCHW8C = 1, FINF_HOST_NCHW16C = 2 };

/* Algorithms of forms. */
enum {
	FINF_HOST_REF = 0,
	FINF_HOST_ALIAS = 1,
	FINF_HOST_ONEDNN = 2,
	FINF_HOST_WINOGRAD = 3,
	FINF_HOST_JOIN = 4,
	FINF_HOST_ATTENTION = 5,
	FINF_HOST_TILES = 6,
	FINF_HOST_COLUMNS = 7
};

/* A plan's number of threads may come from a file. */
#define FINF_HOST_THREADS_MAX 1024

struct finf_host {
	struct finf_device base;
	struct finf_dnn *dnn; /* owned; NULL on the "ref" device */
};

/* Kernels of all kinds behind the same two calls. */
struct finf_kernel {
	int (*run)(struct finf_kernel *kernel, const struct finf_launch *launch);
	void (*free)(struct finf_kernel *kernel);
};

/* ---- pool.c ----------------------------------------------------------------- */

enum finf_host_pages { FINF_PAGES_HUGE, FINF_PAGES_THP, FINF_PAGES_4K };

/** finf_host_pool_map - a touched mapping of this kind of pages. 0; -ENOBUFS not to be had. */
int finf_host_pool_map(enum finf_host_pages pages, uint64_t bytes, struct finf_pool_memory *ret);
int finf_host_pool_new(struct finf_device *dev, uint64_t bytes, const char *mode,
		       struct finf_pool_memory *ret, struct finf_diag *diag);
void finf_host_pool_free(struct finf_device *dev, struct finf_pool_memory *pool);

/* ---- layout.c ----------------------------------------------------------------- */

/** finf_host_block - channels per block of a layout; 0 for plain and unknown ones. */
uint32_t finf_host_block(uint16_t layout);
/** finf_host_md_block - the same of a description. */
uint32_t finf_host_md_block(const struct finf_dnn_md *md);
/** finf_host_layout_md - an activation in a layout. 0; -EOPNOTSUPP when it cannot be in it. */
int finf_host_layout_md(uint16_t layout, enum finf_dtype dtype, const struct finf_shape *shape,
			struct finf_dnn_md *ret);
int finf_host_layout_bytes(struct finf_device *dev, uint16_t layout, enum finf_dtype dtype,
			   const struct finf_shape *shape, uint64_t *ret_bytes);
uint64_t finf_host_reorder_ns(struct finf_device *dev, uint16_t from, uint16_t to, uint64_t bytes);

/*
 * What a blocked weight is described by in plans and packs. It names a layout
 * of exactly this oneDNN and repeats the logical shape; nothing in it is an
 * offset or a size to be believed.
 */
struct finf_host_weight_desc {
	uint32_t magic, version, tag, rank;
	int64_t dim[FINF_DNN_RANK];
	struct finf_dnn_winograd winograd; /* there for FINF_DNN_WINOGRAD only */
};

/** finf_host_desc_put - @md as description bytes in @arena. 0; -ENOMEM. */
int finf_host_desc_put(const struct finf_dnn_md *md, struct finf_arena *arena,
		       const void **ret_desc, uint32_t *ret_bytes);
/**
 * finf_host_desc_get - description bytes of a foreign file -> md.
 * @param shape  the constant's logical shape; the description may only add a
 *               group dimension in front: [g*o, i, h, w] -> [g, o, i, h, w]
 * Return: 0; -EBADMSG when anything is not as finf_host_desc_put() writes it.
 */
int finf_host_desc_get(const void *desc, uint32_t bytes, const struct finf_shape *shape,
		       struct finf_dnn_md *ret, struct finf_diag *diag);
int finf_host_pack_weight(struct finf_device *dev, const struct finf_weight_form *form,
			  const struct finf_tensor *plain, void *to);

/* ---- site.c: one node, in one combination of layouts --------------------------- */

struct finf_site {
	struct finf_dnn *dnn;
	const struct finf_graph *graph;
	const struct finf_node *node;
	uint16_t in_layout, out_layout;
	bool winograd; /* by that algorithm or not at all */
	const struct finf_weight_form *given; /* layouts that constant inputs have */
	uint32_t n_given;		      /* none given for an input = free choice */
	struct finf_diag *diag;
};

/** An input or output of the node; NULL when left out. */
const struct finf_value *finf_site_in(const struct finf_site *site, uint32_t i);
const struct finf_value *finf_site_out(const struct finf_site *site, uint32_t i);
/** Description of an input: constants plain, the others in in_layout. 0; -EOPNOTSUPP. */
int finf_site_in_md(const struct finf_site *site, uint32_t i, struct finf_dnn_md *ret);
int finf_site_out_md(const struct finf_site *site, struct finf_dnn_md *ret);
/** Conv or FusedConv. */
bool finf_site_is_conv(const struct finf_site *site);
/** The given layout of input @i; NULL = free. */
const struct finf_weight_form *finf_site_given(const struct finf_site *site, uint32_t i);

/* ---- builders: node -> oneDNN primitive ----------------------------------------- */

#define FINF_BUILD_ARGS 69

struct finf_build {
	struct finf_dnn_pd *pd, *tail; /* owned; tail: what pd could not take in, on output 0 */
	struct finf_dnn_arg args[FINF_BUILD_ARGS];
	struct finf_build_arg {
		uint32_t index; /* of the node's inputs or outputs */
		bool out;
		bool packed; /* a weight in a layout of its own: its md is the description */
		uint64_t offset_bytes; /* where the md begins */
	} from[FINF_BUILD_ARGS];
	uint32_t n_args, n_tail; /* the last n_tail of them are the tail's */
	bool inplace;		 /* output 0 may lie on input 0 */
	/* pd adds to what is in output 0: the last input, which lies there or is copied. */
	bool sums;
	bool act_done;		 /* the folded activation is part of pd or tail */
};

/* 0; -EOPNOTSUPP: not in this form; others are failures. @b is zeroed and freed by the caller. */
typedef int (*finf_builder)(const struct finf_site *site, struct finf_build *b);

int finf_build_conv(const struct finf_site *site, struct finf_build *b);
int finf_build_winograd(const struct finf_site *site, struct finf_build *b);
int finf_build_gemm(const struct finf_site *site, struct finf_build *b);
int finf_build_matmul(const struct finf_site *site, struct finf_build *b); /* and fused */
int finf_build_pool(const struct finf_site *site, struct finf_build *b);
int finf_build_global_pool(const struct finf_site *site, struct finf_build *b);
int finf_build_reduce(const struct finf_site *site, struct finf_build *b);
int finf_build_eltwise(const struct finf_site *site, struct finf_build *b);
int finf_build_binary(const struct finf_site *site, struct finf_build *b);
int finf_build_batchnorm(const struct finf_site *site, struct finf_build *b);
int finf_build_layernorm(const struct finf_site *site, struct finf_build *b);
int finf_build_softmax(const struct finf_site *site, struct finf_build *b);
int finf_build_concat(const struct finf_site *site, struct finf_build *b);
int finf_build_transpose(const struct finf_site *site, struct finf_build *b);
int finf_build_depth(const struct finf_site *site, struct finf_build *b);
int finf_build_slice(const struct finf_site *site, struct finf_build *b);
int finf_build_deconv(const struct finf_site *site, struct finf_build *b);
int finf_build_resample(const struct finf_site *site, struct finf_build *b);
int finf_build_hardsigmoid(const struct finf_site *site, struct finf_build *b);
int finf_build_prelu(const struct finf_site *site, struct finf_build *b);
int finf_build_lrn(const struct finf_site *site, struct finf_build *b);
int finf_build_instancenorm(const struct finf_site *site, struct finf_build *b);

void finf_build_in(struct finf_build *b, int arg, uint32_t index, const struct finf_dnn_md *md);
void finf_build_out(struct finf_build *b, int arg, const struct finf_dnn_md *md);
/** One window over the whole plane of input 0, into @dst with extents of 1. */
int finf_build_whole_plane(const struct finf_site *site, struct finf_build *b, dnnl_alg_kind_t alg,
			   const struct finf_dnn_md *dst);
/** A window as oneDNN takes it. */
void finf_build_window(const struct finf_window *w, struct finf_dnn_window *ret);
/** The node's folded activation as a post-op appended to @post. */
void finf_build_post_act(const struct finf_site *site, struct finf_build *b,
			 struct finf_dnn_post *post);
/** Input @i, if there is one, as what the primitive adds to: it is in the result's layout. */
void finf_build_post_sum(const struct finf_site *site, uint32_t i, struct finf_build *b,
			 struct finf_dnn_post *post);
/** An activation as oneDNN's algorithm; false for FINF_ACT_NONE. */
bool finf_build_act_alg(enum finf_act act, float a, float b, struct finf_dnn_post_op *ret);

/**
 * finf_build_site - run the builder of the node's operator for the site's
 * layouts, add the folded activation, check what was given about weights.
 * Return: 0; -EOPNOTSUPP; -ENOMEM. Free with finf_build_fini() in any case.
 */
int finf_build_site(const struct finf_site *site, struct finf_build *b);
void finf_build_fini(struct finf_build *b);
uint64_t finf_build_scratch_bytes(const struct finf_build *b);

/* ---- attention.c ------------------------------------------------------------------- */

/** finf_host_attention_form - flags and workspace of @form. 0; -EOPNOTSUPP; -ENOMEM. */
int finf_host_attention_form(const struct finf_site *site, uint32_t threads,
			     struct finf_form *form);
/** finf_host_attention_new - 0; -EBADMSG less workspace; else as finf_host_attention_form(). */
int finf_host_attention_new(const struct finf_site *site, uint64_t workspace_bytes,
			    uint32_t threads, struct finf_kernel **ret_kernel);

/* ---- columns.c ----------------------------------------------------------------------- */

/** finf_host_columns_pixels - of a convolution that could be a product; 0 where it had better not. */
int64_t finf_host_columns_pixels(const struct finf_site *site);
/** finf_host_columns_form - flags, weights and workspace of @form. 0; -EOPNOTSUPP; -ENOMEM. */
int finf_host_columns_form(const struct finf_site *site, uint32_t threads,
			   struct finf_arena *arena, struct finf_form *form);
/** finf_host_columns_new - 0; -EBADMSG bad weights or workspace; else as the above. */
int finf_host_columns_new(const struct finf_site *site, const struct finf_form *form,
			  uint32_t threads, struct finf_kernel **ret_kernel);

/* ---- forms.c, kernel.c, ref.c ----------------------------------------------------- */

int finf_host_describe(struct finf_device *dev, const struct finf_graph *graph, uint32_t node,
		       uint32_t threads, const struct finf_weight_form *fixed, uint32_t n_fixed,
		       struct finf_arena *arena, struct finf_form_list *ret,
		       struct finf_diag *diag);

/** Does this constant input stay in the ref kernel (integers), or is it a weight (floats)? */
bool finf_ref_keeps(const struct finf_value *value);
/** finf_ref_kernel_new - on @threads where the operator says how its work divides. */
int finf_ref_kernel_new(const struct finf_graph *graph, const struct finf_node *node,
			uint32_t threads, struct finf_kernel **ret_kernel);

int finf_host_kernel_new(struct finf_device *dev, const struct finf_graph *graph, uint32_t node,
			 const struct finf_form *form, uint32_t threads,
			 struct finf_kernel **ret_kernel, struct finf_diag *diag);
int finf_host_reorder_new(struct finf_device *dev, enum finf_dtype dtype,
			  const struct finf_shape *shape, uint16_t from, uint16_t to,
			  uint32_t threads, struct finf_kernel **ret_kernel,
			  struct finf_diag *diag);
int finf_host_kernel_run(struct finf_device *dev, struct finf_kernel *kernel,
			 const struct finf_launch *launch);
void finf_host_kernel_free(struct finf_device *dev, struct finf_kernel *kernel);

extern const struct finf_device_ops finf_host_ops, finf_ref_ops;

#endif
