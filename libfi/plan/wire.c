/* SPDX-License-Identifier: MIT */
/* plan: the serialised plan, Documentation/formats/plan.md. */
#include <errno.h>
#include <stdlib.h>

#include "plan/internal.h"

#define MAGIC 0x4e4c5046u /* "FPLN" */
#define VERSION		   5
#define VERSION_ONE_BRANCH 1 /* still read: one workspace, no branches */
#define VERSION_NO_SIDE	   2 /* still read: no joins, and it ends with the outputs */
#define VERSION_NO_LANES   3 /* still read: a schedule without lanes is left aside */
#define VERSION_NO_OFFSETS 4 /* still read: a workspace for all steps of a branch */
/* The proof is quadratic in the worst case: no honest plan comes near. */
#define BUFFERS_MAX (1u << 16)

/* ---- writing ------------------------------------------------------------- */

static void put_weight(struct finf_buf *buf, const struct finf_plan_weight *weight)
{
	finf_buf_str(buf, weight->name);
	finf_buf_u32(buf, weight->dtype);
	finf_buf_u32(buf, weight->shape.rank);
	for (uint32_t i = 0; i < weight->shape.rank; i++)
		finf_buf_u64(buf, (uint64_t)weight->shape.dim[i]);
	finf_buf_u32(buf, weight->form.input);
	finf_buf_u64(buf, weight->form.bytes);
	finf_buf_u32(buf, weight->form.desc_bytes);
	finf_buf_put(buf, weight->form.desc, weight->form.desc_bytes);
	finf_buf_u64(buf, weight->offset);
}

static void put_buffer(struct finf_buf *buf, const struct finf_plan_buffer *buffer)
{
	finf_buf_u32(buf, buffer->value);
	finf_buf_u32(buf, buffer->layout);
	finf_buf_u32(buf, buffer->alias_of);
	finf_buf_u32(buf, buffer->first_step);
	finf_buf_u32(buf, buffer->last_step);
	finf_buf_u64(buf, buffer->offset);
	finf_buf_u64(buf, buffer->bytes);
}

static void put_operands(struct finf_buf *buf, const struct finf_operand *operands, uint32_t n)
{
	finf_buf_u32(buf, n);
	for (uint32_t i = 0; i < n; i++) {
		finf_buf_u32(buf, operands[i].kind);
		finf_buf_u32(buf, operands[i].index);
	}
}

static void put_numbers(struct finf_buf *buf, const uint32_t *numbers, uint32_t n)
{
	finf_buf_u32(buf, n);
	for (uint32_t i = 0; i < n; i++)
		finf_buf_u32(buf, numbers[i]);
}

/* Bytes and layout of a step's weights are those of the weights it names. */
static void put_step(struct finf_buf *buf, const struct finf_step *step)
{
	const struct finf_form *form = &step->form;

	finf_buf_u32(buf, step->node);
	finf_buf_u32(buf, step->need_segments);
	finf_buf_u32(buf, form->algo);
	finf_buf_u32(buf, form->flags);
	finf_buf_u32(buf, form->in_layout);
	finf_buf_u32(buf, form->out_layout);
	finf_buf_u64(buf, form->workspace_bytes);
	finf_buf_u64(buf, step->workspace_offset);
	finf_buf_u64(buf, form->est_ns);
	finf_buf_str(buf, form->name);
	put_operands(buf, step->in, step->n_in);
	put_operands(buf, step->out, step->n_out);
	finf_buf_u32(buf, form->n_weights);
	for (uint32_t i = 0; i < form->n_weights; i++)
		finf_buf_u32(buf, form->weights[i].input);
	finf_buf_u32(buf, step->branch);
	put_numbers(buf, step->deps, step->n_deps);
}

static void put_side(struct finf_buf *buf, const struct finf_plan *plan)
{
	const struct finf_plan_side *side = &plan->side;
	uint32_t n = side->costs ? plan->n_steps : 0;

	put_numbers(buf, side->head, side->n_lanes ? plan->n_branches : 0);
	finf_buf_u32(buf, side->n_lanes);
	for (uint32_t k = 0; k < side->n_lanes; k++) {
		const struct finf_plan_lane *lane = &side->lanes[k];

		finf_buf_u32(buf, lane->n);
		for (uint32_t i = 0; i < lane->n; i++) {
			finf_buf_u32(buf, lane->pieces[i].branch);
			finf_buf_u32(buf, lane->pieces[i].from);
			finf_buf_u32(buf, lane->pieces[i].until);
		}
	}
	finf_buf_u64(buf, side->list_ns);
	finf_buf_u64(buf, side->side_ns);
	finf_buf_u32(buf, side->noise_pct);
	finf_buf_u32(buf, side->off);
	finf_buf_u64(buf, plan->side_arena_bytes);
	finf_buf_u32(buf, n);
	for (uint32_t i = 0; i < n; i++) {
		finf_buf_u64(buf, side->costs[i].all_ns);
		finf_buf_u64(buf, side->costs[i].one_ns);
	}
}

void finf_plan_write(const struct finf_plan *plan, struct finf_buf *buf)
{
	finf_buf_u32(buf, MAGIC);
	finf_buf_u32(buf, VERSION);
	finf_buf_u32(buf, plan->threads);
	finf_buf_u64(buf, plan->est_ns);
	finf_buf_u64(buf, plan->weight_bytes);
	finf_buf_u64(buf, plan->arena_bytes);
	finf_buf_u32(buf, plan->n_branches);
	finf_buf_u32(buf, plan->n_segments);
	for (uint32_t i = 0; i < plan->n_segments; i++) {
		finf_buf_u64(buf, plan->segments[i].offset);
		finf_buf_u64(buf, plan->segments[i].bytes);
	}
	finf_buf_u32(buf, plan->n_weights);
	for (uint32_t i = 0; i < plan->n_weights; i++)
		put_weight(buf, &plan->weights[i]);
	finf_buf_u32(buf, plan->n_buffers);
	for (uint32_t i = 0; i < plan->n_buffers; i++)
		put_buffer(buf, &plan->buffers[i]);
	finf_buf_u32(buf, plan->n_steps);
	for (uint32_t i = 0; i < plan->n_steps; i++)
		put_step(buf, &plan->steps[i]);
	put_numbers(buf, plan->inputs, plan->n_inputs);
	put_numbers(buf, plan->outputs, plan->n_outputs);
	put_side(buf, plan);
}

/* ---- reading ---------------------------------------------------------------- */

/* Room for a counted list in the plan's arena; the count never exceeds what can follow. */
static void *take_list(struct finf_reader *r, struct finf_plan *plan, size_t file_bytes,
		       size_t each_bytes, uint32_t *ret_n)
{
	uint32_t n = finf_reader_count(r, file_bytes);
	void *list = r->err ? NULL : finf_arena_array(&plan->arena, n, each_bytes);

	if (!list) {
		r->err = r->err ? r->err : -ENOMEM;
		return NULL;
	}
	*ret_n = n;
	return list;
}

static uint16_t take_layout(struct finf_reader *r)
{
	uint32_t layout = finf_reader_u32(r);

	if (layout > UINT16_MAX)
		r->err = r->err ? r->err : -EBADMSG;
	return (uint16_t)layout;
}

static void take_weight(struct finf_reader *r, struct finf_plan *plan,
			struct finf_plan_weight *weight)
{
	const void *desc;

	weight->name = finf_reader_str(r, &plan->arena);
	weight->dtype = finf_reader_u32(r);
	weight->shape.rank = finf_reader_u32(r);
	if (weight->shape.rank > FINF_RANK_MAX)
		r->err = r->err ? r->err : -EBADMSG;
	for (uint32_t i = 0; !r->err && i < weight->shape.rank; i++)
		weight->shape.dim[i] = (int64_t)finf_reader_u64(r);
	weight->form.input = finf_reader_u32(r);
	weight->form.bytes = finf_reader_u64(r);
	weight->form.desc_bytes = finf_reader_u32(r);
	desc = finf_reader_bytes(r, weight->form.desc_bytes);
	weight->offset = finf_reader_u64(r);
	if (r->err)
		return;
	weight->form.desc = finf_arena_dup(&plan->arena, desc, weight->form.desc_bytes);
	if (!weight->form.desc)
		r->err = -ENOMEM;
}

static void take_buffer(struct finf_reader *r, struct finf_plan_buffer *buffer)
{
	buffer->value = finf_reader_u32(r);
	buffer->layout = take_layout(r);
	buffer->alias_of = finf_reader_u32(r);
	buffer->first_step = finf_reader_u32(r);
	buffer->last_step = finf_reader_u32(r);
	buffer->offset = finf_reader_u64(r);
	buffer->bytes = finf_reader_u64(r);
}

static struct finf_operand *take_operands(struct finf_reader *r, struct finf_plan *plan,
					  uint32_t *ret_n)
{
	struct finf_operand *operands = take_list(r, plan, 8, sizeof(*operands), ret_n);

	for (uint32_t i = 0; !r->err && i < *ret_n; i++) {
		operands[i].kind = finf_reader_u32(r);
		operands[i].index = finf_reader_u32(r);
	}
	return operands;
}

static uint32_t *take_numbers(struct finf_reader *r, struct finf_plan *plan, uint32_t *ret_n)
{
	uint32_t *numbers = take_list(r, plan, 4, sizeof(*numbers), ret_n);

	for (uint32_t i = 0; !r->err && i < *ret_n; i++)
		numbers[i] = finf_reader_u32(r);
	return numbers;
}

/* A step's weight is the plan's weight that its operand names. */
static void take_step_weight(struct finf_reader *r, const struct finf_plan *plan,
			     const struct finf_step *step, struct finf_weight_form *weight)
{
	uint32_t k = finf_reader_u32(r);

	if (r->err)
		return;
	if (k >= step->n_in || step->in[k].kind != FINF_OPERAND_WEIGHT ||
	    step->in[k].index >= plan->n_weights) {
		r->err = -EBADMSG;
		return;
	}
	*weight = plan->weights[step->in[k].index].form;
	weight->input = k;
}

static void take_step(struct finf_reader *r, struct finf_plan *plan, struct finf_step *step,
		      uint32_t version, const uint64_t *workspaces)
{
	struct finf_form *form = &step->form;

	step->node = finf_reader_u32(r);
	step->need_segments = finf_reader_u32(r);
	form->algo = finf_reader_u32(r);
	form->flags = finf_reader_u32(r);
	if (version <= VERSION_NO_SIDE && form->flags & FINF_FORM_JOIN)
		r->err = r->err ? r->err : -EBADMSG;
	form->in_layout = take_layout(r);
	form->out_layout = take_layout(r);
	form->workspace_bytes = finf_reader_u64(r);
	if (version > VERSION_NO_OFFSETS)
		step->workspace_offset = finf_reader_u64(r);
	form->est_ns = finf_reader_u64(r);
	form->name = finf_reader_str(r, &plan->arena);
	step->in = take_operands(r, plan, &step->n_in);
	step->out = take_operands(r, plan, &step->n_out);
	form->weights = take_list(r, plan, 4, sizeof(*form->weights), &form->n_weights);
	for (uint32_t i = 0; !r->err && i < form->n_weights; i++)
		take_step_weight(r, plan, step, &form->weights[i]);
	if (version > VERSION_ONE_BRANCH) {
		step->branch = finf_reader_u32(r);
		step->deps = take_numbers(r, plan, &step->n_deps);
	}
	if (version > VERSION_NO_OFFSETS || r->err)
		return;
	if (step->branch < plan->n_branches)
		step->workspace_offset = workspaces[step->branch];
	else
		r->err = -EBADMSG;
}

/* @workspaces: of versions in which all steps of a branch had the same. */
static void take_branches(struct finf_reader *r, struct finf_plan *plan, uint32_t version,
			  uint64_t *workspaces)
{
	plan->n_branches = version == VERSION_ONE_BRANCH ? 1 : finf_reader_u32(r);
	if (plan->n_branches > FINF_BRANCHES_MAX)
		r->err = r->err ? r->err : -EBADMSG;
	for (uint32_t i = 0; !r->err && version <= VERSION_NO_OFFSETS && i < plan->n_branches;
	     i++) {
		workspaces[i] = finf_reader_u64(r);
		finf_reader_u64(r); /* the largest of its steps' */
	}
}

static void take_lane(struct finf_reader *r, struct finf_plan *plan, struct finf_plan_lane *lane)
{
	lane->pieces = take_list(r, plan, 12, sizeof(*lane->pieces), &lane->n);
	for (uint32_t i = 0; !r->err && i < lane->n; i++) {
		lane->pieces[i].branch = finf_reader_u32(r);
		lane->pieces[i].from = finf_reader_u32(r);
		lane->pieces[i].until = finf_reader_u32(r);
	}
}

static void take_lanes(struct finf_reader *r, struct finf_plan *plan)
{
	struct finf_plan_side *side = &plan->side;
	uint32_t n_heads, off;

	side->head = take_numbers(r, plan, &n_heads);
	side->lanes = take_list(r, plan, 4, sizeof(*side->lanes), &side->n_lanes);
	for (uint32_t k = 0; !r->err && k < side->n_lanes; k++)
		take_lane(r, plan, &side->lanes[k]);
	side->list_ns = finf_reader_u64(r);
	side->side_ns = finf_reader_u64(r);
	side->noise_pct = finf_reader_u32(r);
	off = finf_reader_u32(r);
	side->off = off;
	plan->side_arena_bytes = finf_reader_u64(r);
	if (!r->err && (off > 1 || n_heads != (side->n_lanes ? plan->n_branches : 0)))
		r->err = -EBADMSG;
}

static void take_side(struct finf_reader *r, struct finf_plan *plan, uint32_t version)
{
	struct finf_plan_side *side = &plan->side;
	uint32_t n;

	if (version == VERSION_NO_LANES) {
		finf_reader_u32(r);
		take_numbers(r, plan, &n);
	} else {
		take_lanes(r, plan);
	}
	side->costs = take_list(r, plan, 16, sizeof(*side->costs), &n);
	for (uint32_t i = 0; !r->err && i < n; i++) {
		side->costs[i].all_ns = finf_reader_u64(r);
		side->costs[i].one_ns = finf_reader_u64(r);
	}
	if (!r->err && n != plan->n_steps && (n || side->n_lanes))
		r->err = -EBADMSG;
	if (!side->n_lanes) {
		side->head = NULL;
		side->lanes = NULL;
	}
	if (!n)
		side->costs = NULL;
}

static void take_plan(struct finf_reader *r, struct finf_plan *plan, uint32_t version)
{
	uint64_t workspaces[FINF_BRANCHES_MAX] = {0};

	plan->threads = finf_reader_u32(r);
	plan->est_ns = finf_reader_u64(r);
	plan->weight_bytes = finf_reader_u64(r);
	plan->arena_bytes = finf_reader_u64(r);
	take_branches(r, plan, version, workspaces);
	plan->segments = take_list(r, plan, 16, sizeof(*plan->segments), &plan->n_segments);
	for (uint32_t i = 0; !r->err && i < plan->n_segments; i++) {
		plan->segments[i].offset = finf_reader_u64(r);
		plan->segments[i].bytes = finf_reader_u64(r);
	}
	plan->weights = take_list(r, plan, 36, sizeof(*plan->weights), &plan->n_weights);
	for (uint32_t i = 0; !r->err && i < plan->n_weights; i++)
		take_weight(r, plan, &plan->weights[i]);
	plan->buffers = take_list(r, plan, 36, sizeof(*plan->buffers), &plan->n_buffers);
	for (uint32_t i = 0; !r->err && i < plan->n_buffers; i++)
		take_buffer(r, &plan->buffers[i]);
	plan->steps = take_list(r, plan, 56, sizeof(*plan->steps), &plan->n_steps);
	for (uint32_t i = 0; !r->err && i < plan->n_steps; i++)
		take_step(r, plan, &plan->steps[i], version, workspaces);
	plan->inputs = take_numbers(r, plan, &plan->n_inputs);
	plan->outputs = take_numbers(r, plan, &plan->n_outputs);
	if (version > VERSION_NO_SIDE)
		take_side(r, plan, version);
	if (!r->err && (r->at != r->len || plan->n_buffers > BUFFERS_MAX))
		r->err = -EBADMSG;
}

int finf_plan_read(const void *data, size_t bytes, struct finf_plan **ret_plan,
		   struct finf_diag *diag)
{
	struct finf_plan *plan;
	struct finf_reader r;
	uint32_t magic, version;
	int err;

	finf_reader_init(&r, data, bytes);
	magic = finf_reader_u32(&r);
	version = finf_reader_u32(&r);
	if (r.err || magic != MAGIC || version < VERSION_ONE_BRANCH || version > VERSION)
		return finf_diag_set(diag, -EBADMSG, "not a plan of version %d to %d",
				     VERSION_ONE_BRANCH, VERSION);
	plan = calloc(1, sizeof(*plan));
	if (!plan)
		return -ENOMEM;
	finf_arena_init(&plan->arena);
	take_plan(&r, plan, version);
	err = r.err;
	if (err == -EBADMSG)
		finf_diag_set(diag, err, "plan damaged at byte %zu of %zu", r.at, r.len);
	if (!err && finf_plan_check_extent(plan, diag))
		err = -EBADMSG;
	if (err) {
		finf_plan_free(plan);
		return err;
	}
	*ret_plan = plan;
	return 0;
}
