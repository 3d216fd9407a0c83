/* SPDX-License-Identifier: MIT */
/*
 * host: Conv of few pixels as a product of matrices.
 *
 * A direct kernel goes over its weights once for each few pixels that it holds in registers. Where
 * an image has hardly more than those, it waits for weights most of the time; a product of matrices
 * streams them. So what the window sees becomes a row for each pixel:
 *
 *	columns = what the window sees at each pixel		[pixels, depth]
 *	rows = act(columns W + bias + Z)			one inner product
 *	Y = rows						back in blocks of channels
 *
 * A row is ordered [channels / 16, y, x, 16 channels], for two reasons. It is copied in pieces
 * of 16 from activations in blocks; and weights in blocks of a convolution are, byte for byte,
 * weights in blocks of that product. Images of many pixels, to weights that lie so, take turns.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device/host/host.h"

#define BLOCK	    16 /* channels */
#define BLOCK_BYTES (BLOCK * sizeof(float))
/* Pixels of a turn; products of more are no faster. */
#define PIXELS_MAX 64
/* Less is copied before a second thread has begun. */
#define SPREAD_BYTES (64u << 10)
#define ALIGN	     64

enum { X, W, B, Z };

struct columns {
	struct finf_window window; /* of rows and columns of the image */
	int64_t in_blocks, out_blocks;
	int64_t pixels, turn;	    /* all of them, and at once */
	int64_t depth, width;	    /* of a row before and after the product */
	struct finf_dnn_md weights; /* of the convolution */
	uint32_t tag;		    /* the same to the product */
	bool bias, sum;
	uint64_t columns_bytes, rows_bytes, scratch_bytes;
};

struct columns_kernel {
	struct finf_kernel base;
	struct columns at;
	uint32_t threads;
	struct finf_dnn_prim *turn, *last; /* owned; last: of fewer pixels, or NULL */
};

/* ---- describing --------------------------------------------------------------------- */

/* Layouts of weights to a convolution and to the product. */
static const struct {
	uint32_t conv, product;
} tags[] = {
	{dnnl_OIhw16i64o, dnnl_OI16i64o},
	{dnnl_OIhw16i32o, dnnl_OI16i32o},
	{dnnl_OIhw16i16o, dnnl_OI16i16o},
};

static bool is_float(const struct finf_site *site, uint32_t i)
{
	return finf_site_in(site, i)->dtype == FINF_F32;
}

/* One group, over a plane. */
static bool is_plain_conv(const struct finf_site *site)
{
	return finf_site_is_conv(site) && finf_site_in(site, X)->shape.rank == 4 &&
	       finf_node_int(site->node, "group", 1) == 1;
}

/* float32 in blocks of 16 channels, none of them padding. */
static bool suits(const struct finf_site *site)
{
	const struct finf_value *w = finf_site_in(site, W), *b = finf_site_in(site, B),
				*z = finf_site_in(site, Z);

	return is_plain_conv(site) && site->in_layout == FINF_HOST_NCHW16C &&
	       site->out_layout == FINF_HOST_NCHW16C && w->is_const && is_float(site, X) &&
	       is_float(site, W) && w->shape.dim[0] % BLOCK == 0 && w->shape.dim[1] % BLOCK == 0 &&
	       (!b || (b->is_const && is_float(site, B))) && (!z || !z->is_const);
}

int64_t finf_host_columns_pixels(const struct finf_site *site)
{
	const struct finf_shape *y = &finf_site_out(site, 0)->shape;
	const struct finf_value *w = finf_site_in(site, W);

	/* Of fewer than four most of the window is padding. */
	if (!is_plain_conv(site) || w->shape.dim[2] * w->shape.dim[3] == 1 ||
	    y->dim[2] * y->dim[3] < 4)
		return 0;
	return y->dim[0] * y->dim[2] * y->dim[3];
}

/* The product of @pixels rows. Free @b in any case. */
static int product_of(const struct finf_site *site, const struct columns *at, int64_t pixels,
		      struct finf_build *b)
{
	struct finf_dnn_md src = {.rank = 2, .tag = dnnl_ab, .dim = {pixels, at->depth}};
	struct finf_dnn_md weights = {.rank = 2, .tag = at->tag, .dim = {at->width, at->depth}};
	struct finf_dnn_md bias = {.rank = 1, .tag = dnnl_a, .dim = {at->width}};
	struct finf_dnn_md dst = {.rank = 2, .tag = dnnl_ab, .dim = {pixels, at->width}};
	struct finf_dnn_post post = {0};
	int err;

	*b = (struct finf_build){.pd = NULL};
	finf_build_post_sum(site, Z, b, &post);
	finf_build_post_act(site, b, &post);
	err = finf_dnn_inner(site->dnn, &src, &weights, at->bias ? &bias : NULL, &dst, &post,
			     &b->pd);
	if (err)
		return err;
	finf_build_in(b, DNNL_ARG_SRC, X, &src);
	finf_build_in(b, DNNL_ARG_WEIGHTS, W, &weights);
	if (at->bias)
		finf_build_in(b, DNNL_ARG_BIAS, B, &bias);
	finf_build_out(b, DNNL_ARG_DST, &dst);
	/* Its plain gemm is no faster here than a direct convolution. */
	return strncmp(finf_dnn_pd_name(b->pd), "brg", 3) ? -EOPNOTSUPP : 0;
}

static uint64_t padding_of(const struct finf_site *site, const struct finf_dnn_md *weights)
{
	uint64_t bytes;
	size_t plain;

	if (finf_dnn_md_bytes(weights, &bytes) ||
	    finf_tensor_bytes(FINF_F32, &finf_site_in(site, W)->shape, &plain))
		return UINT64_MAX;
	return bytes - plain;
}

/* Weights in this layout, if it takes no more bytes than they have and there is a product. */
static int try_layout(const struct finf_site *site, struct columns *at, size_t i)
{
	struct finf_build b;
	int err;

	at->weights = (struct finf_dnn_md){.rank = 4, .tag = tags[i].conv};
	memcpy(at->weights.dim, finf_site_in(site, W)->shape.dim, 4 * sizeof(at->weights.dim[0]));
	at->tag = tags[i].product;
	if (padding_of(site, &at->weights))
		return -EOPNOTSUPP;
	err = product_of(site, at, at->turn, &b);
	finf_build_fini(&b);
	return err;
}

/* As given, or in the widest blocks. */
static int resolve_weights(const struct finf_site *site, struct columns *at)
{
	const struct finf_weight_form *given = finf_site_given(site, W);
	struct finf_dnn_md md = {.rank = 0};
	int err = -EOPNOTSUPP;

	if (given && !given->desc_bytes)
		return err;
	if (given && finf_host_desc_get(given->desc, given->desc_bytes,
					&finf_site_in(site, W)->shape, &md, site->diag))
		return -EBADMSG;
	for (size_t i = 0; err == -EOPNOTSUPP && i < FINF_ARRAY_LEN(tags); i++)
		if (!given || (md.rank == 4 && md.tag == tags[i].conv))
			err = try_layout(site, at, i);
	return err;
}

static int resolve_scratch(const struct finf_site *site, struct columns *at)
{
	int64_t sizes[] = {at->turn, at->pixels % at->turn};
	int err = 0;

	for (int i = 0; i < 2 && sizes[i] && !err; i++) {
		struct finf_build b;

		err = product_of(site, at, sizes[i], &b);
		if (!err)
			at->scratch_bytes =
				FINF_MAX(at->scratch_bytes, finf_build_scratch_bytes(&b));
		finf_build_fini(&b);
	}
	return err;
}

/* The node as this kernel runs it. The caller has set the number of threads. */
static int columns_of(const struct finf_site *site, struct columns *ret)
{
	struct columns at = {.tag = 0};
	const struct finf_shape *x, *w, *y;
	int err;

	if (!suits(site))
		return -EOPNOTSUPP;
	x = &finf_site_in(site, X)->shape;
	w = &finf_site_in(site, W)->shape;
	y = &finf_site_out(site, 0)->shape;
	if (finf_window_init(site->node, 2, &w->dim[2], &x->dim[2], &at.window, NULL))
		return -EOPNOTSUPP;
	at.in_blocks = w->dim[1] / BLOCK;
	at.out_blocks = w->dim[0] / BLOCK;
	at.pixels = y->dim[0] * y->dim[2] * y->dim[3];
	at.turn = FINF_MIN(at.pixels, PIXELS_MAX);
	at.depth = w->dim[1] * w->dim[2] * w->dim[3];
	at.width = w->dim[0];
	at.bias = finf_site_in(site, B);
	at.sum = finf_site_in(site, Z);
	if (!at.pixels)
		return -EOPNOTSUPP;
	err = resolve_weights(site, &at);
	if (!err)
		err = resolve_scratch(site, &at);
	at.columns_bytes = finf_align_up((uint64_t)(at.turn * at.depth) * sizeof(float), ALIGN);
	at.rows_bytes = finf_align_up((uint64_t)(at.turn * at.width) * sizeof(float), ALIGN);
	if (!err)
		*ret = at;
	return err;
}

static uint64_t workspace_bytes(const struct columns *at)
{
	return at->columns_bytes + at->rows_bytes + at->scratch_bytes;
}

static int add_weights(const struct finf_site *site, const struct columns *at,
		       struct finf_arena *arena, struct finf_form *form)
{
	struct finf_weight_form *weights = finf_arena_array(arena, 2, sizeof(*weights));
	int err;

	if (!weights)
		return -ENOMEM;
	form->weights = weights;
	form->n_weights = at->bias ? 2 : 1;
	weights[0].input = W;
	weights[1] =
		(struct finf_weight_form){.input = B, .bytes = (uint64_t)at->width * sizeof(float)};
	err = finf_dnn_md_bytes(&at->weights, &weights[0].bytes);
	if (!err && at->bias && finf_site_given(site, B) && finf_site_given(site, B)->desc_bytes)
		err = -EOPNOTSUPP;
	return err ? err
		   : finf_host_desc_put(&at->weights, arena, &weights[0].desc,
					&weights[0].desc_bytes);
}

int finf_host_columns_form(const struct finf_site *site, uint32_t threads, struct finf_arena *arena,
			   struct finf_form *form)
{
	uint32_t old = finf_dnn_threads(threads);
	struct columns at;
	int err = columns_of(site, &at);

	finf_dnn_threads(old);
	if (err)
		return err;
	form->workspace_bytes = workspace_bytes(&at);
	form->flags = at.sum ? FINF_FORM_INPLACE_LAST : 0;
	return add_weights(site, &at, arena, form);
}

/* ---- running ------------------------------------------------------------------------- */

/* Pixels of a turn, which threads share: each for each of its own. */
struct job {
	const struct columns_kernel *kernel;
	const struct finf_launch *launch;
	int64_t first, n;
	void (*each)(const struct job *job, int64_t i);
};

struct pixel {
	int64_t image, y, x;
};

static struct pixel pixel_of(const struct columns *at, int64_t i)
{
	int64_t height = at->window.out[0], width = at->window.out[1];

	return (struct pixel){i / (height * width), i / width % height, i % width};
}

/* What the window sees of one block of channels, zeros around the image. */
static float *see(const struct finf_window *w, const struct pixel *p, const float *block, float *to)
{
	for (int64_t ky = 0; ky < w->kernel[0]; ky++) {
		int64_t y = p->y * w->stride[0] - w->pad_begin[0] + ky * w->dilation[0];

		for (int64_t kx = 0; kx < w->kernel[1]; kx++, to += BLOCK) {
			int64_t x = p->x * w->stride[1] - w->pad_begin[1] + kx * w->dilation[1];

			if (y < 0 || y >= w->in[0] || x < 0 || x >= w->in[1])
				memset(to, 0, BLOCK_BYTES);
			else
				memcpy(to, block + (y * w->in[1] + x) * BLOCK, BLOCK_BYTES);
		}
	}
	return to;
}

/* A pixel's first block in an activation of so many blocks; the next is a plane behind. */
static int64_t result_at(const struct columns *at, const struct pixel *p)
{
	int64_t plane = at->window.out[0] * at->window.out[1];

	return (p->image * at->out_blocks * plane + p->y * at->window.out[1] + p->x) * BLOCK;
}

static void gather(const struct job *job, int64_t i)
{
	const struct columns *at = &job->kernel->at;
	const struct finf_window *w = &at->window;
	struct pixel p = pixel_of(at, job->first + i);
	int64_t in_plane = w->in[0] * w->in[1] * BLOCK, out_plane = w->out[0] * w->out[1] * BLOCK;
	const float *from = (const float *)job->launch->in[X] + p.image * at->in_blocks * in_plane;
	float *to = (float *)job->launch->workspace + i * at->depth;
	const float *addend;

	for (int64_t b = 0; b < at->in_blocks; b++)
		to = see(w, &p, from + b * in_plane, to);
	if (!at->sum)
		return;
	addend = (const float *)job->launch->in[Z] + result_at(at, &p);
	to = (float *)((char *)job->launch->workspace + at->columns_bytes) + i * at->width;
	for (int64_t b = 0; b < at->out_blocks; b++)
		memcpy(to + b * BLOCK, addend + b * out_plane, BLOCK_BYTES);
}

static void scatter(const struct job *job, int64_t i)
{
	const struct columns *at = &job->kernel->at;
	struct pixel p = pixel_of(at, job->first + i);
	int64_t plane = at->window.out[0] * at->window.out[1] * BLOCK;
	const float *from =
		(const float *)((char *)job->launch->workspace + at->columns_bytes) + i * at->width;
	float *to = (float *)job->launch->out[0] + result_at(at, &p);

	for (int64_t b = 0; b < at->out_blocks; b++)
		memcpy(to + b * plane, from + b * BLOCK, BLOCK_BYTES);
}

static void share(void *ctx, uint32_t thread)
{
	const struct job *job = ctx;
	int64_t n = job->kernel->threads;

	for (int64_t i = job->n * thread / n; i < job->n * (thread + 1) / n; i++)
		job->each(job, i);
}

static void for_each(struct job *job, uint64_t bytes,
		     void (*each)(const struct job *job, int64_t i))
{
	uint32_t threads = job->kernel->threads;

	job->each = each;
	if (threads > 1 && bytes >= SPREAD_BYTES && !finf_dnn_spread(threads, share, job))
		return;
	for (uint32_t thread = 0; thread < threads; thread++)
		share(job, thread);
}

static int run_turn(const struct columns_kernel *kernel, struct job *job)
{
	const struct columns *at = &kernel->at;
	const struct finf_launch *launch = job->launch;
	char *rows = (char *)launch->workspace + at->columns_bytes;
	const void *addresses[4] = {launch->workspace, launch->in[W], rows, rows};
	int err;

	if (at->bias)
		addresses[2] = launch->in[B];
	for_each(job, at->columns_bytes, gather);
	err = finf_dnn_prim_run(job->n == at->turn ? kernel->turn : kernel->last,
				(void *const *)(uintptr_t)addresses, rows + at->rows_bytes);
	if (!err)
		for_each(job, at->rows_bytes, scatter);
	return err;
}

static int columns_run(struct finf_kernel *base, const struct finf_launch *launch)
{
	struct columns_kernel *kernel = (struct columns_kernel *)base;
	const struct columns *at = &kernel->at;
	uint32_t old = finf_dnn_threads(kernel->threads);
	struct job job = {.kernel = kernel, .launch = launch};
	int err = 0;

	for (; !err && job.first < at->pixels; job.first += job.n) {
		job.n = FINF_MIN(at->turn, at->pixels - job.first);
		err = run_turn(kernel, &job);
	}
	finf_dnn_threads(old);
	return err;
}

/* ---- a form made runnable -------------------------------------------------------------- */

static void columns_free(struct finf_kernel *base)
{
	struct columns_kernel *kernel = (struct columns_kernel *)base;

	finf_dnn_prim_free(kernel->turn);
	finf_dnn_prim_free(kernel->last);
	free(kernel);
}

static int new_product(const struct finf_site *site, const struct columns *at, int64_t pixels,
		       struct finf_dnn_prim **ret)
{
	struct finf_build b;
	int err = product_of(site, at, pixels, &b);

	if (!err)
		err = finf_dnn_prim_new(site->dnn, b.pd, b.args, b.n_args, ret);
	finf_build_fini(&b);
	return err;
}

/* A plan may come from a file: what its form promises is compared with what is needed. */
static int check_form(const struct finf_site *site, const struct columns *at,
		      const struct finf_form *form)
{
	const struct finf_weight_form *w = finf_site_given(site, W), *b = finf_site_given(site, B);
	uint64_t bytes;

	if (form->workspace_bytes < workspace_bytes(at))
		return finf_diag_set(site->diag, -EBADMSG, "the workspace has not the columns");
	if (!w || finf_dnn_md_bytes(&at->weights, &bytes) || w->bytes != bytes)
		return finf_diag_set(site->diag, -EBADMSG,
				     "weight %d has not the bytes of its layout", W);
	if (at->bias && (!b || b->desc_bytes || b->bytes != (uint64_t)at->width * sizeof(float)))
		return finf_diag_set(site->diag, -EBADMSG, "weight %d must be plain", B);
	return 0;
}

static int new_kernel(const struct finf_site *site, const struct finf_form *form, uint32_t threads,
		      struct finf_kernel **ret_kernel)
{
	struct columns_kernel *kernel = calloc(1, sizeof(*kernel));
	const struct columns *at = kernel ? &kernel->at : NULL;
	int err;

	if (!kernel)
		return -ENOMEM;
	kernel->base.run = columns_run;
	kernel->base.free = columns_free;
	kernel->threads = threads;
	err = columns_of(site, &kernel->at);
	if (!err)
		err = check_form(site, at, form);
	if (!err)
		err = new_product(site, at, at->turn, &kernel->turn);
	if (!err && at->pixels % at->turn)
		err = new_product(site, at, at->pixels % at->turn, &kernel->last);
	if (err)
		columns_free(&kernel->base);
	else
		*ret_kernel = &kernel->base;
	return err;
}

int finf_host_columns_new(const struct finf_site *site, const struct finf_form *form,
			  uint32_t threads, struct finf_kernel **ret_kernel)
{
	uint32_t old = finf_dnn_threads(threads);
	int err = new_kernel(site, form, threads, ret_kernel);

	finf_dnn_threads(old);
	return err;
}
