/* SPDX-License-Identifier: MIT */
/* host: elementwise programs in tiles - what a node needs, and the kernel. See tiles.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "device/host/tiles.h"

#define TILE	 512   /* floats: a dozen of them stay in a first-level cache */
#define WORK_MIN 65536 /* additions that are worth waking the other threads */

#define NUMBERS_AT (FINF_PROGRAM_INPUTS + FINF_PROGRAM_STEPS)
#define OPERANDS   (NUMBERS_AT + FINF_PROGRAM_NUMBERS)
#define NO_SLOT	   OPERANDS

/* Element of the output -> element of an input: dimensions merged where memory goes on. */
struct source {
	bool truth; /* of bool */
	uint32_t rank;
	int64_t dim[FINF_RANK_MAX + 1], stride[FINF_RANK_MAX + 1]; /* the last one is 0 or 1 */
};

/* A node's program, and where its operands are: in slots of a tile each, or where they lie. */
struct tiles {
	struct finf_program program;
	uint32_t n_in, n_slots, threads, work;
	size_t n; /* elements of the output, padding and all */
	struct source sources[FINF_PROGRAM_INPUTS];
	uint8_t slot[OPERANDS];
	/* Channels beyond the last one, in blocks: @lanes of each @block are real in the last of
	 * @blocks, each of which is @plane pixels long. */
	uint32_t block, lanes;
	size_t blocks, plane;
};

struct tiles_kernel {
	struct finf_kernel base;
	struct tiles tiles;
	finf_host_step_fn steps[FINF_PROGRAM_STEPS];
};

static uint32_t index_of(int operand)
{
	return operand < 0 ? NUMBERS_AT + (uint32_t)~operand : (uint32_t)operand;
}

/* ---- sources ---------------------------------------------------------------------------- */

static bool is_full(const struct source *src)
{
	return src->rank == 1 && src->stride[0] == 1;
}

static bool is_one(const struct source *src)
{
	return src->rank == 1 && !src->stride[0];
}

/* In front of the others: dimensions come from the last to the first. */
static void source_add(struct source *src, int64_t dim, int64_t stride)
{
	if (dim == 1)
		return;
	if (src->rank && stride == src->stride[0] * src->dim[0]) {
		src->dim[0] *= dim;
		return;
	}
	memmove(src->dim + 1, src->dim, src->rank * sizeof(src->dim[0]));
	memmove(src->stride + 1, src->stride, src->rank * sizeof(src->stride[0]));
	src->dim[0] = dim;
	src->stride[0] = stride;
	src->rank++;
}

static void source_plain(struct source *src, const struct finf_shape *x, const struct finf_shape *y)
{
	int64_t step = 1;

	for (uint32_t i = y->rank; i-- > 0;) {
		uint32_t lead = y->rank - x->rank;
		int64_t dim = i < lead ? 1 : x->dim[i - lead];

		source_add(src, y->dim[i], dim == 1 ? 0 : step);
		step *= dim;
	}
}

static void source_blocked(struct source *src, const struct finf_shape *x,
			   const struct finf_shape *y, int64_t block)
{
	bool repeated = x->dim[1] == 1 && y->dim[1] != 1;
	int64_t step = block;

	source_add(src, block, repeated ? 0 : 1);
	for (uint32_t i = y->rank; i-- > 2;) {
		source_add(src, y->dim[i], x->dim[i] == 1 ? 0 : step);
		step *= x->dim[i];
	}
	source_add(src, (y->dim[1] + block - 1) / block, repeated ? 0 : step);
	step *= (x->dim[1] + block - 1) / block;
	source_add(src, y->dim[0], x->dim[0] == 1 ? 0 : step);
}

/* A constant of one value per channel is the same bytes in blocks, when it fills them. */
static bool constant_in_blocks(const struct finf_value *value, const struct finf_shape *y,
			       int64_t block, struct finf_shape *ret)
{
	struct finf_shape x = {.rank = y->rank};

	for (uint32_t i = 0; i < y->rank; i++) {
		uint32_t lead = y->rank - value->shape.rank;

		x.dim[i] = i < lead ? 1 : value->shape.dim[i - lead];
		if (i != 1 && x.dim[i] != 1)
			return false;
	}
	*ret = x;
	return x.dim[1] % block == 0;
}

static int source_init(const struct finf_site *site, uint32_t i, uint32_t block, struct source *src)
{
	const struct finf_value *value = finf_site_in(site, i);
	const struct finf_shape *y = &finf_site_out(site, 0)->shape;
	struct finf_shape x = value->shape;
	struct finf_dnn_md md;
	size_t n;

	*src = (struct source){.truth = value->dtype == FINF_BOOL};
	if (finf_shape_count(&x, &n) || x.rank > y->rank || (src->truth && value->is_const))
		return -EOPNOTSUPP;
	if (n == 1 && (!block || value->is_const)) {
		*src = (struct source){src->truth, 1, {1}, {0}};
		return 0;
	}
	if (!block) {
		source_plain(src, &x, y);
		return 0;
	}
	if (value->is_const ? !constant_in_blocks(value, y, block, &x)
			    : x.rank != y->rank || finf_host_layout_md(site->in_layout, value->dtype,
								       &x, &md))
		return -EOPNOTSUPP;
	source_blocked(src, &x, y, block);
	return 0;
}

/* ---- the program of a node --------------------------------------------------------------- */

/* One float that is known already is a number of the program. */
static int operand_of(const struct finf_site *site, uint32_t i, struct finf_program *program,
		      int *ret)
{
	const struct finf_value *value = finf_site_in(site, i);
	float number;

	*ret = (int)i;
	if (!value || !value->is_const || !value->data || value->dtype != FINF_F32 ||
	    value->bytes != sizeof(number))
		return 0;
	memcpy(&number, value->data, sizeof(number));
	return finf_program_number(program, number, ret);
}

static int program_of(const struct finf_site *site, struct finf_program *ret)
{
	int in[FINF_PROGRAM_INPUTS] = {0}, last, err = 0;

	if (!strcmp(site->node->op->name, "FusedElementwise"))
		return site->node->act != FINF_ACT_NONE
			       ? -EOPNOTSUPP
			       : finf_program_read(site->node, ret, site->diag);
	if (!finf_program_takes(site->graph, site->node))
		return -EOPNOTSUPP;
	ret->n_steps = ret->n_numbers = 0;
	for (uint32_t i = 0; i < site->node->n_in && !err; i++)
		err = operand_of(site, i, ret, &in[i]);
	return err ? err : finf_program_add(ret, site->node, in, &last);
}

/* How long a step is, in additions. */
static uint32_t work_of(enum finf_step_kind kind)
{
	switch (kind) {
	case FINF_STEP_COS:
	case FINF_STEP_POW:
	case FINF_STEP_SIN:
		return 100; /* by the system's libm, one by one */
	case FINF_STEP_ELU:
	case FINF_STEP_ERF:
	case FINF_STEP_EXP:
	case FINF_STEP_GELU:
	case FINF_STEP_GELU_TANH:
	case FINF_STEP_LOG:
	case FINF_STEP_MISH:
	case FINF_STEP_SIGMOID:
	case FINF_STEP_SOFTPLUS:
	case FINF_STEP_SWISH:
	case FINF_STEP_TANH:
		return 10;
	default:
		return 1;
	}
}

/* ---- slots -------------------------------------------------------------------------------- */

struct slots {
	bool used[OPERANDS];
	uint32_t n; /* how many there ever were */
};

static uint8_t slot_take(struct slots *slots)
{
	uint8_t i = 0;

	while (slots->used[i])
		i++;
	slots->used[i] = true;
	slots->n = FINF_MAX(slots->n, i + 1u);
	return i;
}

/* The last step that reads what a step makes; itself when none does. */
static void last_reads(const struct finf_program *program, uint32_t last[FINF_PROGRAM_STEPS])
{
	for (uint32_t s = 0; s < program->n_steps; s++) {
		const struct finf_program_step *step = &program->steps[s];

		last[s] = s;
		for (uint32_t k = 0; k < finf_step_operands(step->kind); k++)
			if (step->in[k] >= FINF_PROGRAM_INPUTS)
				last[step->in[k] - FINF_PROGRAM_INPUTS] = s;
	}
}

/* A result may take the slot of an operand that is read for the last time. */
static void assign_steps(struct tiles *tiles, struct slots *slots)
{
	uint32_t last[FINF_PROGRAM_STEPS], n = tiles->program.n_steps;
	uint8_t *slot = tiles->slot + FINF_PROGRAM_INPUTS;

	last_reads(&tiles->program, last);
	for (uint32_t s = 0; s + 1 < n; s++) {
		for (uint32_t k = 0; k < s; k++)
			if (last[k] == s)
				slots->used[slot[k]] = false;
		slot[s] = slot_take(slots);
		if (last[s] == s)
			slots->used[slot[s]] = false;
	}
}

static void assign_slots(struct tiles *tiles)
{
	struct slots slots = {.n = 0};

	memset(tiles->slot, NO_SLOT, sizeof(tiles->slot));
	for (uint32_t i = 0; i < tiles->n_in; i++)
		if (tiles->sources[i].truth || !is_full(&tiles->sources[i]))
			tiles->slot[i] = slot_take(&slots);
	for (uint32_t i = 0; i < tiles->program.n_numbers; i++)
		tiles->slot[NUMBERS_AT + i] = slot_take(&slots);
	assign_steps(tiles, &slots);
	tiles->n_slots = slots.n;
}

/* ---- forms -------------------------------------------------------------------------------- */

static int output_init(const struct finf_site *site, struct tiles *tiles)
{
	const struct finf_value *y = finf_site_out(site, 0);
	uint32_t block = finf_host_block(site->out_layout);
	struct finf_dnn_md md;

	if (y->dtype != FINF_F32 || finf_shape_count(&y->shape, &tiles->n) || !tiles->n)
		return -EOPNOTSUPP;
	if (!block)
		return site->out_layout == FINF_LAYOUT_PLAIN ? 0 : -EOPNOTSUPP;
	if (finf_host_layout_md(site->out_layout, y->dtype, &y->shape, &md))
		return -EOPNOTSUPP;
	tiles->block = block;
	tiles->lanes = (uint32_t)(y->shape.dim[1] % block);
	tiles->blocks = ((size_t)y->shape.dim[1] + block - 1) / block;
	tiles->plane = 1;
	for (uint32_t i = 2; i < y->shape.rank; i++)
		tiles->plane *= (size_t)y->shape.dim[i];
	tiles->n = (size_t)y->shape.dim[0] * tiles->blocks * tiles->plane * block;
	return 0;
}

static int tiles_init(const struct finf_site *site, uint32_t threads, struct tiles *ret)
{
	int err = site->in_layout == site->out_layout ? output_init(site, ret) : -EOPNOTSUPP;

	if (!err)
		err = program_of(site, &ret->program);
	ret->n_in = site->node->n_in;
	for (uint32_t i = 0; i < ret->n_in && !err; i++)
		if (finf_site_in(site, i))
			err = source_init(site, i, ret->block, &ret->sources[i]);
		else /* nobody reads it */
			ret->sources[i] = (struct source){false, 1, {1}, {1}};
	if (err)
		return err;
	for (uint32_t s = 0; s < ret->program.n_steps; s++)
		ret->work += work_of(ret->program.steps[s].kind);
	ret->threads = ret->n >= WORK_MIN / ret->work ? threads : 1;
	assign_slots(ret);
	return 0;
}

static uint64_t workspace_bytes(const struct tiles *tiles)
{
	return (uint64_t)tiles->threads * tiles->n_slots * TILE * sizeof(float);
}

int finf_host_tiles_form(const struct finf_site *site, uint32_t threads, struct finf_form *form,
			 uint32_t *ret_work)
{
	const struct finf_value *x = finf_site_in(site, 0);
	struct tiles tiles = {0};
	int err = tiles_init(site, threads, &tiles);

	if (err)
		return err;
	form->workspace_bytes = workspace_bytes(&tiles);
	form->flags = !x->is_const && x->dtype == FINF_F32 && is_full(&tiles.sources[0])
			      ? FINF_FORM_INPLACE
			      : 0;
	*ret_work = tiles.work;
	return 0;
}

/* ---- running ------------------------------------------------------------------------------- */

struct run {
	const struct tiles_kernel *kernel;
	const struct finf_launch *launch;
};

static void fill(float *to, float number, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = number;
}

static void copy_row(const struct source *src, const void *base, int64_t offset, float *to,
		     size_t n)
{
	const uint8_t *truth = (const uint8_t *)base + offset;
	const float *x = (const float *)base + offset;
	int64_t step = src->stride[src->rank - 1];

	if (src->truth && !step)
		fill(to, *truth != 0, n);
	else if (src->truth)
		for (size_t i = 0; i < n; i++)
			to[i] = truth[i] != 0;
	else if (!step)
		fill(to, *x, n);
	else
		memcpy(to, x, n * sizeof(*to));
}

/* @n elements from @from on, row by row. */
static void copy_rows(const struct source *src, const void *base, size_t from, float *to, size_t n)
{
	uint32_t inner = src->rank - 1;
	int64_t at[FINF_RANK_MAX + 1], offset = 0;

	for (uint32_t i = src->rank; i-- > 0; from /= (size_t)src->dim[i]) {
		at[i] = (int64_t)(from % (size_t)src->dim[i]);
		offset += at[i] * src->stride[i];
	}
	while (n) {
		size_t row = FINF_MIN(n, (size_t)(src->dim[inner] - at[inner]));

		copy_row(src, base, offset, to, row);
		to += row;
		n -= row;
		offset -= at[inner] * src->stride[inner];
		at[inner] = 0;
		for (uint32_t i = inner; i-- > 0;) {
			offset += src->stride[i];
			if (++at[i] < src->dim[i])
				break;
			offset -= at[i] * src->stride[i];
			at[i] = 0;
		}
	}
}

/* Padding stays zero: behind the channels of the last block. */
static void clear_padding(const struct tiles *tiles, float *y, size_t from, size_t n)
{
	size_t image = tiles->plane * tiles->blocks, last = image - tiles->plane;
	size_t pixel = from / tiles->block % image, groups = n / tiles->block;

	for (; groups; groups--, y += tiles->block) {
		if (pixel >= last)
			memset(y + tiles->lanes, 0, (tiles->block - tiles->lanes) * sizeof(*y));
		if (++pixel == image)
			pixel = 0;
	}
}

/* @slots: those of this thread; @at: where each operand is. */
static void run_tile(const struct run *run, float *slots, const float **at, size_t from, size_t n)
{
	const struct tiles *tiles = &run->kernel->tiles;
	float *y = (float *)run->launch->out[0] + from;

	for (uint32_t i = 0; i < tiles->n_in; i++) {
		const struct source *src = &tiles->sources[i];

		if (!run->launch->in[i])
			continue; /* left out */
		if (tiles->slot[i] == NO_SLOT)
			at[i] = (const float *)run->launch->in[i] + from;
		else if (!is_one(src))
			copy_rows(src, run->launch->in[i], from,
				  slots + (size_t)tiles->slot[i] * TILE, n);
	}
	for (uint32_t s = 0; s < tiles->program.n_steps; s++) {
		const int *in = tiles->program.steps[s].in;
		uint32_t to = FINF_PROGRAM_INPUTS + s;

		run->kernel->steps[s](tiles->slot[to] == NO_SLOT
					      ? y
					      : slots + (size_t)tiles->slot[to] * TILE,
				      at[index_of(in[0])], at[index_of(in[1])],
				      at[index_of(in[2])], n);
	}
	if (tiles->lanes)
		clear_padding(tiles, y, from, n);
}

/* The slots that are the same for all tiles; what a step lacks is read from operand 0. */
static void prepare(const struct run *run, float *slots, const float **at)
{
	const struct tiles *tiles = &run->kernel->tiles;

	for (uint32_t i = 0; i < OPERANDS; i++)
		at[i] = tiles->slot[i] == NO_SLOT ? NULL : slots + (size_t)tiles->slot[i] * TILE;
	for (uint32_t i = 0; i < tiles->program.n_numbers; i++)
		fill(slots + (size_t)tiles->slot[NUMBERS_AT + i] * TILE, tiles->program.numbers[i],
		     TILE);
	for (uint32_t i = 0; i < tiles->n_in; i++)
		if (is_one(&tiles->sources[i]))
			copy_row(&tiles->sources[i], run->launch->in[i], 0,
				 slots + (size_t)tiles->slot[i] * TILE, TILE);
}

/* Thread @k's range, in whole tiles. */
static void run_part(void *ctx, uint32_t k)
{
	const struct run *run = ctx;
	const struct tiles *tiles = &run->kernel->tiles;
	size_t all = (tiles->n + TILE - 1) / TILE, first = all * k / tiles->threads;
	size_t end = FINF_MIN(all * (k + 1) / tiles->threads * TILE, tiles->n);
	float *slots = (float *)run->launch->workspace + (size_t)k * tiles->n_slots * TILE;
	const float *at[OPERANDS];

	prepare(run, slots, at);
	for (size_t from = first * TILE; from < end; from += TILE)
		run_tile(run, slots, at, from, FINF_MIN(end - from, TILE));
}

static int tiles_run(struct finf_kernel *base, const struct finf_launch *launch)
{
	struct run run = {(const struct tiles_kernel *)base, launch};
	uint32_t threads = run.kernel->tiles.threads;

	/* Where there are fewer threads, one does the parts of all. */
	if (threads == 1 || finf_dnn_spread(threads, run_part, &run))
		for (uint32_t k = 0; k < threads; k++)
			run_part(&run, k);
	return 0;
}

static void tiles_free(struct finf_kernel *base)
{
	free(base);
}

int finf_host_tiles_new(const struct finf_site *site, const struct finf_form *form,
			uint32_t threads, struct finf_kernel **ret_kernel)
{
	struct tiles_kernel *kernel = calloc(1, sizeof(*kernel));
	const struct finf_program *program;
	int err;

	if (!kernel)
		return -ENOMEM;
	err = tiles_init(site, threads, &kernel->tiles);
	if (!err && form->workspace_bytes < workspace_bytes(&kernel->tiles))
		err = finf_diag_set(site->diag, -EBADMSG,
				    "workspace of %" PRIu64 " bytes, %" PRIu64 " are needed",
				    form->workspace_bytes, workspace_bytes(&kernel->tiles));
	if (err) {
		free(kernel);
		return err;
	}
	kernel->base.run = tiles_run;
	kernel->base.free = tiles_free;
	program = &kernel->tiles.program;
	for (uint32_t s = 0; s < program->n_steps; s++) {
		int y = program->steps[s].in[1];

		kernel->steps[s] = finf_host_step(program->steps[s].kind,
						  y < 0 ? &program->numbers[~y] : NULL);
	}
	*ret_kernel = &kernel->base;
	return 0;
}
