/* SPDX-License-Identifier: MIT */
/*
 * host: FusedAttention, of which the square of weights never exists.
 *
 * A unit of work is some rows of one matrix of the stack, or some whole small matrices. Its
 * scores lie in a tile of the thread's own:
 *
 *	tile = alpha Q K + mask		a gemm per matrix
 *	tile = softmax(tile)		in place
 *	Y = tile V			a gemm per matrix
 *
 * Each thread takes as many units as the others, in order. Products are oneDNN's gemm, which
 * takes matrices with any step between rows, so heads need not be moved together before.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device/host/host.h"
#include "graph/op/attention.h"

enum { Q, K, V, MASK };

/*
 * A tile stays in a level 2 cache beside the keys and values of a head. Heads of which several
 * fit into TILE_SMALL share a softmax, whose start is what counts there.
 */
#define TILE_BYTES (512u << 10)
#define TILE_SMALL (64u << 10)
#define TILE_ALIGN 64
#define ROWS_LEAST 32 /* fewer do not pay for packing keys and values again */
#define UNITS_EACH 8  /* so many units per thread are even enough */

/* A matrix as gemm takes it: row-major with a step, or the transpose of such a one. */
struct matrix {
	char transposed; /* 'N' or 'T' */
	int64_t step;
};

struct attention {
	struct finf_attention a;
	struct matrix q, k, v, y;
	int64_t matrices;
	int64_t heads, rows;	/* of a unit; one of them is 1 or less than all */
	int64_t groups, blocks; /* units: groups of matrices, times blocks of rows */
	uint64_t tile_bytes;	/* with the softmax's scratch behind it: of a thread */
};

struct attention_kernel {
	struct finf_kernel base;
	struct attention at;
	uint32_t threads;
	struct lane {
		/* owned: over a unit's lines, and over those of a last unit that has fewer */
		struct finf_dnn_prim *softmax[2];
		int err;
	} lanes[];
};

/* ---- describing --------------------------------------------------------------------- */

/* False when gemm cannot take it: nothing lies in one piece, or it is repeated. */
static bool matrix_of(const struct finf_attention_side *side, int64_t rows, int64_t cols,
		      struct matrix *ret)
{
	if ((rows > 1 && !side->outer) || (cols > 1 && !side->inner))
		return false;
	if (cols == 1 || side->inner == 1)
		*ret = (struct matrix){'N', FINF_MAX(side->outer, cols)};
	else if (rows == 1 || side->outer == 1)
		*ret = (struct matrix){'T', FINF_MAX(side->inner, rows)};
	else
		return false;
	return true;
}

static void cut(struct attention *at, uint32_t threads)
{
	const struct finf_attention *a = &at->a;
	int64_t head_bytes = a->rows * a->cols * (int64_t)sizeof(float);
	int64_t share = (at->matrices + threads - 1) / threads;

	at->blocks = (head_bytes + TILE_BYTES - 1) / TILE_BYTES;
	at->heads = FINF_MAX(1, FINF_MIN(TILE_SMALL / head_bytes, share));
	at->groups = (at->matrices + at->heads - 1) / at->heads;
	while (at->heads == 1 && at->groups * at->blocks % threads &&
	       at->groups * at->blocks < UNITS_EACH * (int64_t)threads &&
	       a->rows / (at->blocks + 1) >= ROWS_LEAST)
		at->blocks++;
	at->blocks = FINF_MIN(at->blocks, a->rows);
	at->rows = (a->rows + at->blocks - 1) / at->blocks;
	at->blocks = (a->rows + at->rows - 1) / at->rows;
}

/* Lines of the tile in a unit, and in the last one of a matrix or of the stack. */
static int64_t lines_of(const struct attention *at, bool last)
{
	if (!last)
		return at->heads * at->rows;
	if (at->blocks > 1)
		return at->a.rows - (at->blocks - 1) * at->rows;
	return (at->matrices - (at->groups - 1) * at->heads) * at->a.rows;
}

static int softmax_of(struct finf_dnn *dnn, const struct attention *at, bool last,
		      struct finf_dnn_md *ret_md, struct finf_dnn_pd **ret_pd)
{
	*ret_md = (struct finf_dnn_md){
		.rank = 2, .tag = dnnl_ab, .dim = {lines_of(at, last), at->a.cols}};
	return finf_dnn_softmax(dnn, ret_md, 1, false, ret_pd);
}

/* A thread's tile, and behind it what either softmax needs. */
static int size_tile(struct finf_dnn *dnn, struct attention *at)
{
	uint64_t scratch = 0;

	at->tile_bytes = (uint64_t)lines_of(at, false) * (uint64_t)at->a.cols * sizeof(float);
	at->tile_bytes = finf_align_up(at->tile_bytes, TILE_ALIGN);
	for (int last = 0; last < 2; last++) {
		struct finf_dnn_pd *pd;
		struct finf_dnn_md md;
		int err = softmax_of(dnn, at, last, &md, &pd);

		if (err)
			return err;
		scratch = FINF_MAX(scratch, finf_dnn_pd_scratch_bytes(pd));
		finf_dnn_pd_free(pd);
	}
	at->tile_bytes += finf_align_up(scratch, TILE_ALIGN);
	return 0;
}

/* The node as this kernel runs it, or -EOPNOTSUPP. The caller has set one thread for oneDNN. */
static int attention_of(const struct finf_site *site, uint32_t threads, struct attention *ret)
{
	struct attention at = {.matrices = 0};
	const struct finf_shape *in[4] = {NULL};
	const struct finf_attention *a = &at.a;
	int err;

	if (strcmp(site->node->op->name, "FusedAttention") || site->node->act != FINF_ACT_NONE)
		return -EOPNOTSUPP;
	for (uint32_t i = 0; i < 4; i++)
		if (finf_site_in(site, i))
			in[i] = &finf_site_in(site, i)->shape;
	err = finf_attention_init(site->node, in, &finf_site_out(site, 0)->shape, &at.a);
	if (err)
		return err;
	at.matrices = finf_attention_matrices(a);
	if (!at.matrices || !a->rows || !a->cols || !a->depth || !a->width ||
	    !matrix_of(&a->q, a->rows, a->depth, &at.q) ||
	    !matrix_of(&a->k, a->depth, a->cols, &at.k) ||
	    !matrix_of(&a->v, a->cols, a->width, &at.v) ||
	    !matrix_of(&a->y, a->rows, a->width, &at.y) || at.y.transposed != 'N')
		return -EOPNOTSUPP;
	cut(&at, threads);
	err = size_tile(site->dnn, &at);
	if (!err)
		*ret = at;
	return err;
}

/* Are rows of the result where those of Q are, which nobody else reads? */
static bool is_inplace(const struct finf_site *site, const struct attention *at)
{
	const struct finf_attention *a = &at->a;
	const struct finf_node *node = site->node;

	for (uint32_t i = 1; i < node->n_in; i++)
		if (node->in[i] == node->in[Q])
			return false;
	for (uint32_t i = 0; i < a->rank; i++)
		if (a->q.stack[i] != a->y.stack[i])
			return false;
	return a->depth == a->width && a->q.outer == a->y.outer && a->q.inner == a->y.inner;
}

int finf_host_attention_form(const struct finf_site *site, uint32_t threads, struct finf_form *form)
{
	uint32_t old = finf_dnn_threads(1);
	struct attention at;
	int err = attention_of(site, threads, &at);

	finf_dnn_threads(old);
	if (err)
		return err;
	form->workspace_bytes = threads * at.tile_bytes;
	form->flags = is_inplace(site, &at) ? FINF_FORM_INPLACE : 0;
	return 0;
}

/* ---- running ------------------------------------------------------------------------- */

struct job {
	struct attention_kernel *kernel;
	const struct finf_launch *launch;
};

/* The mask of rows [row, row + n) of a matrix, for the product to be added to. */
static void put_mask(const struct attention *at, const float *mask, int64_t row, int64_t n,
		     float *tile)
{
	const struct finf_attention *a = &at->a;

	for (int64_t i = 0; i < n; i++, tile += a->cols) {
		const float *line = mask + (row + i) * a->mask.outer;

		if (a->mask.inner)
			memcpy(tile, line, (size_t)a->cols * sizeof(*tile));
		else
			for (int64_t k = 0; k < a->cols; k++)
				tile[k] = *line;
	}
}

static int scores(const struct job *job, int64_t head, int64_t row, int64_t n, float *tile)
{
	const struct attention *at = &job->kernel->at;
	const struct finf_attention *a = &at->a;
	const float *q = (const float *)job->launch->in[Q] + finf_attention_at(a, &a->q, head);
	const float *k = (const float *)job->launch->in[K] + finf_attention_at(a, &a->k, head);

	if (a->masked)
		put_mask(at,
			 (const float *)job->launch->in[MASK] +
				 finf_attention_at(a, &a->mask, head),
			 row, n, tile);
	return finf_dnn_gemm(at->q.transposed, at->k.transposed, n, a->cols, a->depth, a->alpha,
			     q + row * a->q.outer, at->q.step, k, at->k.step,
			     a->masked ? 1.0f : 0.0f, tile, a->cols);
}

static int values(const struct job *job, int64_t head, int64_t row, int64_t n, const float *tile)
{
	const struct attention *at = &job->kernel->at;
	const struct finf_attention *a = &at->a;
	const float *v = (const float *)job->launch->in[V] + finf_attention_at(a, &a->v, head);
	float *y = (float *)job->launch->out[0] + finf_attention_at(a, &a->y, head);

	return finf_dnn_gemm('N', at->v.transposed, n, a->width, a->cols, 1, tile, a->cols, v,
			     at->v.step, 0, y + row * a->y.outer, at->y.step);
}

static int run_unit(const struct job *job, uint32_t lane, int64_t unit)
{
	struct attention_kernel *kernel = job->kernel;
	const struct attention *at = &kernel->at;
	int64_t head = unit / at->blocks * at->heads, row = unit % at->blocks * at->rows;
	int64_t heads = FINF_MIN(at->heads, at->matrices - head);
	int64_t n = FINF_MIN(at->rows, at->a.rows - row), size = n * at->a.cols;
	char *tile = (char *)job->launch->workspace + lane * at->tile_bytes;
	void *both[] = {tile, tile};
	int err = 0;

	for (int64_t i = 0; !err && i < heads; i++)
		err = scores(job, head + i, row, n, (float *)tile + i * size);
	if (!err)
		err = finf_dnn_prim_run(
			kernel->lanes[lane].softmax[heads * n != lines_of(at, false)], both,
			tile + finf_align_up((uint64_t)lines_of(at, false) * (uint64_t)at->a.cols *
						     sizeof(float),
					     TILE_ALIGN));
	for (int64_t i = 0; !err && i < heads; i++)
		err = values(job, head + i, row, n, (float *)tile + i * size);
	return err;
}

static void run_lane(void *ctx, uint32_t lane)
{
	const struct job *job = ctx;
	struct attention_kernel *kernel = job->kernel;
	int64_t n = kernel->at.groups * kernel->at.blocks;
	int64_t last = n * (lane + 1) / kernel->threads;
	int err = 0;

	for (int64_t unit = n * lane / kernel->threads; !err && unit < last; unit++)
		err = run_unit(job, lane, unit);
	kernel->lanes[lane].err = err;
}

static int attention_run(struct finf_kernel *base, const struct finf_launch *launch)
{
	struct attention_kernel *kernel = (struct attention_kernel *)base;
	struct job job = {kernel, launch};
	uint32_t old;
	int err = 0;

	if (kernel->threads == 1 || finf_dnn_spread(kernel->threads, run_lane, &job)) {
		old = finf_dnn_threads(1); /* there are no others: one lane after the other */
		for (uint32_t lane = 0; lane < kernel->threads; lane++)
			run_lane(&job, lane);
		finf_dnn_threads(old);
	}
	for (uint32_t lane = 0; !err && lane < kernel->threads; lane++)
		err = kernel->lanes[lane].err;
	return err;
}

/* ---- a form made runnable -------------------------------------------------------------- */

static void attention_free(struct finf_kernel *base)
{
	struct attention_kernel *kernel = (struct attention_kernel *)base;

	for (uint32_t lane = 0; lane < kernel->threads; lane++)
		for (int last = 0; last < 2; last++)
			finf_dnn_prim_free(kernel->lanes[lane].softmax[last]);
	free(kernel);
}

static int new_softmax(struct finf_dnn *dnn, struct attention_kernel *kernel, bool last)
{
	struct finf_dnn_arg args[2] = {{.arg = DNNL_ARG_SRC}, {.arg = DNNL_ARG_DST}};
	struct finf_dnn_pd *pd;
	int err = softmax_of(dnn, &kernel->at, last, &args[0].md, &pd);

	if (err)
		return err;
	args[1].md = args[0].md;
	for (uint32_t lane = 0; !err && lane < kernel->threads; lane++)
		err = finf_dnn_prim_new(dnn, pd, args, 2, &kernel->lanes[lane].softmax[last]);
	finf_dnn_pd_free(pd);
	return err;
}

static int new_kernel(const struct finf_site *site, uint64_t workspace_bytes, uint32_t threads,
		      struct finf_kernel **ret_kernel)
{
	struct attention_kernel *kernel =
		calloc(1, sizeof(*kernel) + threads * sizeof(kernel->lanes[0]));
	int err;

	if (!kernel)
		return -ENOMEM;
	kernel->base.run = attention_run;
	kernel->base.free = attention_free;
	kernel->threads = threads;
	err = attention_of(site, threads, &kernel->at);
	if (!err && workspace_bytes < threads * kernel->at.tile_bytes)
		err = finf_diag_set(site->diag, -EBADMSG, "the workspace has not the tiles");
	for (int last = 0; !err && last < 2; last++)
		err = new_softmax(site->dnn, kernel, last);
	if (err)
		attention_free(&kernel->base);
	else
		*ret_kernel = &kernel->base;
	return err;
}

int finf_host_attention_new(const struct finf_site *site, uint64_t workspace_bytes,
			    uint32_t threads, struct finf_kernel **ret_kernel)
{
	uint32_t old = finf_dnn_threads(1);
	int err = new_kernel(site, workspace_bytes, threads, ret_kernel);

	finf_dnn_threads(old);
	return err;
}
