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
 * takes matrices with any step between rows, so heads need not be moved together before. With
 * few keys the starts of gemms are what counts: there a unit is some rows of all heads, and
 * each product a primitive over them, when oneDNN has one for how they lie.
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

/*
 * Up to here a primitive over all heads is faster. 12 heads of 64, us with one thread, gemms
 * against primitives: 16 keys 29 and 19, 32 keys 65 and 54, 64 keys 218 and 183; but 128 keys
 * 611 and 630, 384 keys 5730 and 6030.
 */
#define KEYS_FEW 64

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
	bool together;		/* products are of all matrices of a unit */
	uint64_t tile_bytes;	/* of a thread, with the scratch of its primitives behind it */
};

/* Primitives of a unit: the products are there only for matrices that go together. */
enum { SCORES, SOFTMAX, VALUES, STAGES };

#define ARGS_MAX 4

/* One of them described. */
struct stage {
	struct finf_dnn_pd *pd; /* owned */
	struct finf_dnn_arg args[ARGS_MAX];
	uint32_t n_args;
};

struct attention_kernel {
	struct finf_kernel base;
	struct attention at;
	uint32_t threads;
	struct lane {
		/* owned: of a unit, and of a last unit that has fewer lines; may be NULL */
		struct finf_dnn_prim *prims[2][STAGES];
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
	int64_t groups = (at->matrices * head_bytes + TILE_SMALL - 1) / TILE_SMALL;

	/* As many groups for each thread, if there are so many matrices. */
	groups = FINF_MIN((groups + threads - 1) / threads * threads, at->matrices);
	at->heads = (at->matrices + groups - 1) / groups;
	at->groups = (at->matrices + at->heads - 1) / at->heads;
	at->blocks = at->heads > 1 ? 1 : (head_bytes + TILE_BYTES - 1) / TILE_BYTES;
	while (at->heads == 1 && at->groups * at->blocks % threads &&
	       at->groups * at->blocks < UNITS_EACH * (int64_t)threads &&
	       a->rows / (at->blocks + 1) >= ROWS_LEAST)
		at->blocks++;
	at->blocks = FINF_MIN(at->blocks, a->rows);
	at->rows = (a->rows + at->blocks - 1) / at->blocks;
	at->blocks = (a->rows + at->rows - 1) / at->rows;
}

/* Do heads share what is theirs? */
static bool repeats_heads(const struct finf_attention *a)
{
	uint32_t last = a->rank - 1;

	return !a->q.stack[last] || !a->k.stack[last] || !a->v.stack[last];
}

/*
 * Products of all heads at once, of as many blocks of rows as give every thread the same; or,
 * where rows of one head follow each other, of as many equal groups of heads.
 */
static bool cut_together(struct attention *at, uint32_t threads, bool by_heads)
{
	const struct finf_attention *a = &at->a;
	int64_t heads = a->rank ? a->stack[a->rank - 1] : 0, parts = 1;

	if (!heads || a->cols > KEYS_FEW || (heads > 1 && repeats_heads(a)))
		return false;
	while (at->matrices / heads * parts % threads)
		parts++;
	if (by_heads && heads % parts)
		return false;
	at->together = true;
	at->heads = by_heads ? heads / parts : heads;
	at->groups = at->matrices / at->heads;
	at->rows = by_heads ? a->rows : (a->rows + parts - 1) / parts;
	at->blocks = (a->rows + at->rows - 1) / at->rows;
	return at->groups * at->blocks % threads == 0 &&
	       at->heads * at->rows * a->cols * (int64_t)sizeof(float) <= TILE_BYTES;
}

/* Rows of a unit's matrices; the last unit of a matrix may have fewer. */
static int64_t rows_of(const struct attention *at, bool last)
{
	return last ? at->a.rows - (at->blocks - 1) * at->rows : at->rows;
}

/* Lines of the tile in a unit; fewer in the last one of a matrix or of the stack. */
static int64_t lines_of(const struct attention *at, bool last)
{
	int64_t heads =
		last && at->blocks == 1 ? at->matrices - (at->groups - 1) * at->heads : at->heads;

	return heads * rows_of(at, last);
}

/* The unit's matrices of one side, rows x cols each; extents that are repeated are 1 in a mask. */
static struct finf_dnn_md stack_md(const struct attention *at,
				   const struct finf_attention_side *side, int64_t rows,
				   int64_t cols, bool mask)
{
	int64_t step = side->stack[at->a.rank - 1];
	struct finf_dnn_md md = {
		.rank = 4,
		.tag = dnnl_format_tag_undef,
		.dim = {1, mask && !step ? 1 : at->heads, mask && !side->outer ? 1 : rows,
			mask && !side->inner ? 1 : cols},
	};

	md.stride[3] = side->inner ? side->inner : 1;
	md.stride[2] = side->outer ? side->outer : md.dim[3];
	md.stride[1] = step ? step : md.dim[2] * md.dim[3];
	md.stride[0] = md.dim[1] * md.dim[2] * md.dim[3];
	return md;
}

static void stage_arg(struct stage *stage, int arg, const struct finf_dnn_md *md)
{
	stage->args[stage->n_args++] = (struct finf_dnn_arg){arg, *md};
}

/* A product that oneDNN is fast at: those by its gemm would be one gemm per matrix again. */
static int product_stage(struct finf_dnn *dnn, const struct finf_dnn_md *left,
			 const struct finf_dnn_md *right, const struct finf_dnn_md *dst,
			 const struct finf_dnn_post *post, struct stage *stage)
{
	int err = finf_dnn_matmul(dnn, left, right, dst, post, &stage->pd);

	if (err)
		return err;
	stage_arg(stage, DNNL_ARG_SRC, left);
	stage_arg(stage, DNNL_ARG_WEIGHTS, right);
	stage_arg(stage, DNNL_ARG_DST, dst);
	return strncmp(finf_dnn_pd_name(stage->pd), "brg", 3) ? -EOPNOTSUPP : 0;
}

static int scores_stage(struct finf_dnn *dnn, const struct attention *at, bool last,
			const struct finf_dnn_md *tile, struct stage *stage)
{
	const struct finf_attention *a = &at->a;
	int64_t rows = rows_of(at, last);
	struct finf_dnn_md q = stack_md(at, &a->q, rows, a->depth, false);
	struct finf_dnn_md k = stack_md(at, &a->k, a->depth, a->cols, false);
	struct finf_dnn_md mask = stack_md(at, &a->mask, rows, a->cols, true);
	struct finf_dnn_post post = {0};
	int err;

	if (a->alpha != 1)
		post.op[post.n++] =
			(struct finf_dnn_post_op){.alg = dnnl_eltwise_linear, .a = a->alpha};
	if (a->masked)
		post.op[post.n++] = (struct finf_dnn_post_op){
			.binary = true, .alg = dnnl_binary_add, .md = mask};
	err = product_stage(dnn, &q, &k, tile, &post, stage);
	if (!err && a->masked)
		stage_arg(stage, DNNL_ARG_ATTR_MULTIPLE_POST_OP((int)post.n - 1) | DNNL_ARG_SRC_1,
			  &mask);
	return err;
}

/* One primitive of a unit. -EOPNOTSUPP: oneDNN has none that is fast. */
static int stage_of(struct finf_dnn *dnn, const struct attention *at, bool last, int which,
		    struct stage *stage)
{
	const struct finf_attention *a = &at->a;
	int64_t rows = rows_of(at, last);
	struct finf_dnn_md lines = {
		.rank = 2, .tag = dnnl_ab, .dim = {lines_of(at, last), a->cols}};
	struct finf_dnn_md tile = {
		.rank = 4, .tag = dnnl_abcd, .dim = {1, at->heads, rows, a->cols}};
	struct finf_dnn_md v, y;
	int err;

	*stage = (struct stage){.pd = NULL};
	if (which == SCORES)
		return scores_stage(dnn, at, last, &tile, stage);
	if (which == VALUES) {
		v = stack_md(at, &a->v, a->cols, a->width, false);
		y = stack_md(at, &a->y, rows, a->width, false);
		return product_stage(dnn, &tile, &v, &y, NULL, stage);
	}
	err = finf_dnn_softmax(dnn, &lines, 1, false, &stage->pd);
	stage_arg(stage, DNNL_ARG_SRC, &lines);
	stage_arg(stage, DNNL_ARG_DST, &lines);
	return err;
}

static bool has_stage(const struct attention *at, int which)
{
	return at->together || which == SOFTMAX;
}

static uint64_t scores_bytes(const struct attention *at)
{
	uint64_t bytes = (uint64_t)lines_of(at, false) * (uint64_t)at->a.cols * sizeof(float);

	return finf_align_up(bytes, TILE_ALIGN);
}

/* A thread's tile, and behind it what its primitives need. */
static int size_tile(struct finf_dnn *dnn, struct attention *at)
{
	uint64_t scratch = 0;

	for (int i = 0; i < 2 * STAGES; i++) {
		struct stage stage;
		int err;

		if (!has_stage(at, i % STAGES))
			continue;
		err = stage_of(dnn, at, i >= STAGES, i % STAGES, &stage);
		if (!err)
			scratch = FINF_MAX(scratch, finf_dnn_pd_scratch_bytes(stage.pd));
		finf_dnn_pd_free(stage.pd);
		if (err)
			return err;
	}
	at->tile_bytes = scores_bytes(at) + finf_align_up(scratch, TILE_ALIGN);
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
	err = -EOPNOTSUPP;
	for (int by_heads = 0; err == -EOPNOTSUPP && by_heads < 2; by_heads++)
		if (cut_together(&at, threads, by_heads))
			err = size_tile(site->dnn, &at);
	if (err == -EOPNOTSUPP) {
		at.together = false;
		cut(&at, threads);
		err = size_tile(site->dnn, &at);
	}
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

/* @n lines of a mask, for the product to be added to. */
static void put_mask(const struct attention *at, const float *mask, int64_t n, float *tile)
{
	const struct finf_attention *a = &at->a;

	for (int64_t i = 0; i < n; i++, tile += a->cols) {
		const float *line = mask + i * a->mask.outer;

		if (a->mask.inner)
			memcpy(tile, line, (size_t)a->cols * sizeof(*tile));
		else
			for (int64_t k = 0; k < a->cols; k++)
				tile[k] = *line;
	}
}

/* Where an operand begins for rows from @row on of matrix @head and those behind it. */
static const float *operand(const struct job *job, uint32_t i,
			    const struct finf_attention_side *side, int64_t head, int64_t row)
{
	return (const float *)job->launch->in[i] +
	       finf_attention_at(&job->kernel->at.a, side, head) + row * side->outer;
}

static float *result(const struct job *job, int64_t head, int64_t row)
{
	const struct finf_attention *a = &job->kernel->at.a;

	return (float *)job->launch->out[0] + finf_attention_at(a, &a->y, head) + row * a->y.outer;
}

static int scores(const struct job *job, int64_t head, int64_t row, int64_t n, float *tile)
{
	const struct attention *at = &job->kernel->at;
	const struct finf_attention *a = &at->a;

	if (a->masked)
		put_mask(at, operand(job, MASK, &a->mask, head, row), n, tile);
	return finf_dnn_gemm(at->q.transposed, at->k.transposed, n, a->cols, a->depth, a->alpha,
			     operand(job, Q, &a->q, head, row), at->q.step,
			     operand(job, K, &a->k, head, 0), at->k.step, a->masked ? 1.0f : 0.0f,
			     tile, a->cols);
}

static int values(const struct job *job, int64_t head, int64_t row, int64_t n, const float *tile)
{
	const struct attention *at = &job->kernel->at;
	const struct finf_attention *a = &at->a;

	return finf_dnn_gemm('N', at->v.transposed, n, a->width, a->cols, 1, tile, a->cols,
			     operand(job, V, &a->v, head, 0), at->v.step, 0, result(job, head, row),
			     at->y.step);
}

/* A unit whose matrices go together: three primitives. */
static int run_together(const struct job *job, struct finf_dnn_prim *const *prims, int64_t head,
			int64_t row, char *tile, void *scratch)
{
	const struct finf_attention *a = &job->kernel->at.a;
	const void *mask = a->masked ? operand(job, MASK, &a->mask, head, row) : NULL;
	const void *scored[] = {operand(job, Q, &a->q, head, row), operand(job, K, &a->k, head, 0),
				tile, mask};
	const void *valued[] = {tile, operand(job, V, &a->v, head, 0), result(job, head, row)};
	int err = finf_dnn_prim_run(prims[SCORES], (void *const *)(uintptr_t)scored, scratch);

	if (!err)
		err = finf_dnn_prim_run(prims[SOFTMAX], (void *[]){tile, tile}, scratch);
	if (!err)
		err = finf_dnn_prim_run(prims[VALUES], (void *const *)(uintptr_t)valued, scratch);
	return err;
}

static int run_unit(const struct job *job, uint32_t lane, int64_t unit)
{
	struct attention_kernel *kernel = job->kernel;
	const struct attention *at = &kernel->at;
	int64_t head = unit / at->blocks * at->heads, row = unit % at->blocks * at->rows;
	int64_t heads = FINF_MIN(at->heads, at->matrices - head);
	int64_t n = FINF_MIN(at->rows, at->a.rows - row), size = n * at->a.cols;
	struct finf_dnn_prim *const *prims =
		kernel->lanes[lane].prims[heads * n != lines_of(at, false)];
	char *tile = (char *)job->launch->workspace + lane * at->tile_bytes;
	void *scratch = tile + scores_bytes(at);
	int err = 0;

	if (at->together)
		return run_together(job, prims, head, row, tile, scratch);
	for (int64_t i = 0; !err && i < heads; i++)
		err = scores(job, head + i, row, n, (float *)tile + i * size);
	if (!err)
		err = finf_dnn_prim_run(prims[SOFTMAX], (void *[]){tile, tile}, scratch);
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
		for (int i = 0; i < 2 * STAGES; i++)
			finf_dnn_prim_free(kernel->lanes[lane].prims[i / STAGES][i % STAGES]);
	free(kernel);
}

static int new_stage(struct finf_dnn *dnn, struct attention_kernel *kernel, bool last, int which)
{
	struct stage stage;
	int err = stage_of(dnn, &kernel->at, last, which, &stage);

	for (uint32_t lane = 0; !err && lane < kernel->threads; lane++)
		err = finf_dnn_prim_new(dnn, stage.pd, stage.args, stage.n_args,
					&kernel->lanes[lane].prims[last][which]);
	finf_dnn_pd_free(stage.pd);
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
	for (int i = 0; !err && i < 2 * STAGES; i++)
		if (has_stage(&kernel->at, i % STAGES))
			err = new_stage(site->dnn, kernel, i >= STAGES, i % STAGES);
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
