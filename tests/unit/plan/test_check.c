/* SPDX-License-Identifier: MIT */
/*
 * Planner against proof: hundreds of random graphs must be planned so that
 * the proof holds; the same plans with one thing wrong must be refused.
 */
#include "tests/unit/plan/fake.h"

#define SEEDS 300

struct sample {
	struct finf_graph *graph;
	struct finf_form_table table;
	struct finf_plan *plan;
};

static void sample_init(struct sample *sample, uint64_t seed)
{
	struct finf_plan_opts opts = {.size = sizeof(opts), .threads = 1, .segment_bytes = 8192};

	sample->graph = fake_random_graph(&seed);
	fake_random_table(&sample->table, sample->graph, &seed);
	sample->plan = fake_plan(sample->graph, &sample->table, &opts);
}

static void sample_fini(struct sample *sample)
{
	finf_plan_free(sample->plan);
	fake_table_fini(&sample->table);
	finf_graph_free(sample->graph);
}

START_TEST(test_random_plans_are_proven)
{
	struct finf_plan_opts opts = {.size = sizeof(opts), .threads = 1};
	struct sample sample;
	struct finf_plan *again;

	sample_init(&sample, (uint64_t)_i);
	/* A plan is always possible over its own weights, and lays them out the same. */
	opts.fixed = sample.plan;
	again = fake_plan(sample.graph, &sample.table, &opts);
	ck_assert_uint_eq(again->n_weights, sample.plan->n_weights);
	ck_assert_uint_eq(again->weight_bytes, sample.plan->weight_bytes);
	finf_plan_free(again);
	sample_fini(&sample);
}
END_TEST

static uint32_t root_of(const struct finf_plan *plan, uint32_t b)
{
	while (plan->buffers[b].alias_of != FINF_NONE)
		b = plan->buffers[b].alias_of;
	return b;
}

/* The step that joins buffer @b of others; NULL = it has bytes of its own, or an alias's. */
static struct finf_step *join_of(const struct finf_plan *plan, uint32_t b)
{
	for (uint32_t s = 0; s < plan->n_steps; s++)
		if (plan->steps[s].form.flags & FINF_FORM_JOIN && plan->steps[s].out[0].index == b)
			return &plan->steps[s];
	return NULL;
}

/* Until when the bytes of each buffer are used under any name. */
static void find_last(const struct finf_plan *plan, uint32_t *last)
{
	for (uint32_t b = 0; b < plan->n_buffers; b++)
		last[b] = plan->buffers[b].last_step;
	for (uint32_t b = plan->n_buffers; b-- > 0;) {
		const struct finf_step *join = join_of(plan, b);
		uint32_t source = plan->buffers[b].alias_of;

		for (uint32_t k = 0; join && k < join->n_in; k++)
			last[join->in[k].index] = FINF_MAX(last[join->in[k].index], last[b]);
		if (source != FINF_NONE)
			last[source] = FINF_MAX(last[source], last[b]);
	}
}

/* No arena can be smaller than what lives at one step. */
static uint64_t most_live_bytes(const struct finf_plan *plan, uint64_t *live)
{
	uint32_t *last = calloc(plan->n_buffers + 1, sizeof(*last));
	uint64_t most = 0;

	memset(live, 0, (plan->n_steps + 1) * sizeof(*live));
	find_last(plan, last);
	for (uint32_t b = 0; b < plan->n_buffers; b++) {
		if (plan->buffers[b].alias_of != FINF_NONE || join_of(plan, b))
			continue;
		for (uint32_t s = plan->buffers[b].first_step; s <= last[b]; s++)
			live[s] += finf_align_up(plan->buffers[b].bytes, FINF_BUFFER_ALIGN);
	}
	free(last);
	for (uint32_t s = 0; s < plan->n_steps; s++)
		live[s] += finf_align_up(plan->steps[s].form.workspace_bytes, FINF_BUFFER_ALIGN);
	for (uint32_t s = 0; s <= plan->n_steps; s++)
		most = FINF_MAX(most, live[s]);
	return most;
}

/* Over all the random graphs together; by the plain orders alone it were 2.1 %. */
START_TEST(test_arena_near_bound)
{
	uint64_t arena = 0, bound = 0, *live = calloc(4096, sizeof(*live));

	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct sample sample;
		uint64_t most, told;

		sample_init(&sample, seed);
		ck_assert_uint_lt(sample.plan->n_steps, 4095);
		most = most_live_bytes(sample.plan, live);
		ck_assert_uint_ge(sample.plan->arena_bytes, most);
		ck_assert_int_eq(finf_plan_live_bytes(sample.plan, &told), 0);
		ck_assert_uint_eq(told, most);
		arena += sample.plan->arena_bytes;
		bound += most;
		sample_fini(&sample);
	}
	ck_assert_msg(arena * 100 <= bound * 102, "%llu bytes, %llu would do",
		      (unsigned long long)arena, (unsigned long long)bound);
	free(live);
}
END_TEST

/* ---- one thing wrong ------------------------------------------------------------ */

/* Each returns false when the plan has nothing of the kind to spoil. */
typedef bool (*spoil_fn)(struct finf_plan *plan, uint64_t *seed);

static struct finf_plan_buffer *random_buffer(struct finf_plan *plan, uint64_t *seed)
{
	return plan->n_buffers ? &plan->buffers[fake_below(seed, plan->n_buffers)] : NULL;
}

static bool misalign_offset(struct finf_plan *plan, uint64_t *seed)
{
	struct finf_plan_buffer *buffer = random_buffer(plan, seed);

	if (buffer)
		buffer->offset++;
	return buffer;
}

static bool leave_arena(struct finf_plan *plan, uint64_t *seed)
{
	struct finf_plan_buffer *buffer = random_buffer(plan, seed);

	if (buffer)
		buffer->offset = plan->arena_bytes;
	return buffer && buffer->bytes;
}

static bool move_onto_another(struct finf_plan *plan, uint64_t *seed)
{
	for (uint32_t tries = 0; plan->n_buffers && tries < 1000; tries++) {
		uint32_t i = fake_below(seed, plan->n_buffers), j = fake_below(seed, plan->n_buffers);
		struct finf_plan_buffer *a = &plan->buffers[i], *b = &plan->buffers[j];

		if (root_of(plan, i) == root_of(plan, j) || a->first_step > b->last_step ||
		    b->first_step > a->last_step || !a->bytes || !b->bytes ||
		    a->offset == b->offset)
			continue;
		a->offset = b->offset;
		return true;
	}
	return false;
}

static bool shorten_arena(struct finf_plan *plan, uint64_t *seed)
{
	plan->arena_bytes -= FINF_MIN(plan->arena_bytes, (uint64_t)1 + fake_below(seed, 64));
	return true;
}

static bool shorten_arena_by_a_line(struct finf_plan *plan, uint64_t *seed)
{
	(void)seed;
	plan->arena_bytes -= FINF_BUFFER_ALIGN;
	return true;
}

static bool swap_steps(struct finf_plan *plan, uint64_t *seed)
{
	uint32_t i, j;
	struct finf_step step;

	if (plan->n_steps < 2)
		return false;
	i = fake_below(seed, plan->n_steps - 1);
	j = i + 1 + fake_below(seed, plan->n_steps - i - 1);
	step = plan->steps[i];
	plan->steps[i] = plan->steps[j];
	plan->steps[j] = step;
	return true;
}

static bool drop_step(struct finf_plan *plan, uint64_t *seed)
{
	uint32_t i;

	if (!plan->n_steps)
		return false;
	i = fake_below(seed, plan->n_steps);
	memmove(&plan->steps[i], &plan->steps[i + 1], (plan->n_steps - i - 1) * sizeof(*plan->steps));
	plan->n_steps--;
	return true;
}

static bool drop_need(struct finf_plan *plan, uint64_t *seed)
{
	for (uint32_t tries = 0; plan->n_steps && tries < 1000; tries++) {
		struct finf_step *step = &plan->steps[fake_below(seed, plan->n_steps)];

		if (!step->need_segments)
			continue;
		step->need_segments--;
		return true;
	}
	return false;
}

static bool need_too_many(struct finf_plan *plan, uint64_t *seed)
{
	if (!plan->n_steps)
		return false;
	plan->steps[fake_below(seed, plan->n_steps)].need_segments = plan->n_segments + 1;
	return true;
}

static bool die_early(struct finf_plan *plan, uint64_t *seed)
{
	for (uint32_t tries = 0; plan->n_buffers && tries < 1000; tries++) {
		struct finf_plan_buffer *buffer = random_buffer(plan, seed);

		if (buffer->last_step == buffer->first_step || buffer->last_step == plan->n_steps)
			continue; /* an output may go earlier than at the end */
		buffer->last_step = buffer->first_step;
		return true;
	}
	return false;
}

static bool live_backwards(struct finf_plan *plan, uint64_t *seed)
{
	struct finf_plan_buffer *buffer = random_buffer(plan, seed);

	if (!buffer)
		return false;
	buffer->last_step = buffer->first_step;
	buffer->first_step++;
	return true;
}

static bool live_too_long(struct finf_plan *plan, uint64_t *seed)
{
	struct finf_plan_buffer *buffer = random_buffer(plan, seed);

	if (buffer)
		buffer->last_step = plan->n_steps + 1;
	return buffer;
}

static bool shrink_buffer(struct finf_plan *plan, uint64_t *seed)
{
	struct finf_plan_buffer *buffer = random_buffer(plan, seed);

	if (!buffer || buffer->layout)
		return false; /* only the device knows the bytes of its layouts */
	buffer->bytes -= 4;
	return true;
}

static bool rename_value(struct finf_plan *plan, uint64_t *seed)
{
	struct finf_plan_buffer *buffer = random_buffer(plan, seed);

	if (buffer)
		buffer->value ^= 1;
	return buffer;
}

static bool value_out_of_range(struct finf_plan *plan, uint64_t *seed)
{
	struct finf_plan_buffer *buffer = random_buffer(plan, seed);

	if (buffer)
		buffer->value = 1u << 20;
	return buffer;
}

static bool alias_of_later(struct finf_plan *plan, uint64_t *seed)
{
	uint32_t b;

	if (!plan->n_buffers)
		return false;
	b = fake_below(seed, plan->n_buffers);
	plan->buffers[b].alias_of = b;
	return true;
}

static bool forget_alias(struct finf_plan *plan, uint64_t *seed)
{
	for (uint32_t tries = 0; plan->n_buffers && tries < 1000; tries++) {
		struct finf_plan_buffer *buffer = random_buffer(plan, seed);

		if (buffer->alias_of == FINF_NONE)
			continue;
		buffer->alias_of = FINF_NONE;
		return true;
	}
	return false;
}

/* A step that writes in place, over one of at least @n_in inputs. */
static struct finf_step *in_place_step(struct finf_plan *plan, uint32_t n_in)
{
	for (uint32_t s = 0; s < plan->n_steps; s++) {
		struct finf_step *step = &plan->steps[s];
		uint32_t over = finf_form_over(&step->form, step->n_in);

		if (over != FINF_NONE && step->n_in >= n_in && step->n_out &&
		    step->in[over].kind == FINF_OPERAND_BUFFER &&
		    step->out[0].kind == FINF_OPERAND_BUFFER &&
		    plan->buffers[step->out[0].index].alias_of == step->in[over].index)
			return step;
	}
	return NULL;
}

static bool forbid_in_place(struct finf_plan *plan, uint64_t *seed)
{
	struct finf_step *step = in_place_step(plan, 1);

	(void)seed;
	if (step)
		step->form.flags = 0;
	return step;
}

/* First for last, or the other way round. */
static bool over_another_input(struct finf_plan *plan, uint64_t *seed)
{
	struct finf_step *step = in_place_step(plan, 2);

	(void)seed;
	if (step)
		step->form.flags ^= FINF_FORM_INPLACE | FINF_FORM_INPLACE_LAST;
	return step;
}

static bool outlive_in_place(struct finf_plan *plan, uint64_t *seed)
{
	struct finf_step *step = in_place_step(plan, 1);

	(void)seed;
	if (step)
		plan->buffers[step->in[finf_form_over(&step->form, step->n_in)].index].last_step++;
	return step;
}

static bool operand_out_of_range(struct finf_plan *plan, uint64_t *seed)
{
	for (uint32_t tries = 0; plan->n_steps && tries < 1000; tries++) {
		struct finf_step *step = &plan->steps[fake_below(seed, plan->n_steps)];

		if (!step->n_in || step->in[0].kind == FINF_OPERAND_NONE)
			continue;
		step->in[0].index = FINF_MAX(plan->n_buffers, plan->n_weights);
		return true;
	}
	return false;
}

static bool operand_of_other_kind(struct finf_plan *plan, uint64_t *seed)
{
	for (uint32_t tries = 0; plan->n_steps && tries < 1000; tries++) {
		struct finf_step *step = &plan->steps[fake_below(seed, plan->n_steps)];

		if (!step->n_out)
			continue;
		step->out[0].kind = step->out[0].kind == FINF_OPERAND_NONE ? FINF_OPERAND_WEIGHT
									   : FINF_OPERAND_NONE;
		return true;
	}
	return false;
}

static bool other_node(struct finf_plan *plan, uint64_t *seed)
{
	if (!plan->n_steps)
		return false;
	plan->steps[fake_below(seed, plan->n_steps)].node = 1000;
	return true;
}

static bool other_in_layout(struct finf_plan *plan, uint64_t *seed)
{
	for (uint32_t tries = 0; plan->n_steps && tries < 1000; tries++) {
		struct finf_step *step = &plan->steps[fake_below(seed, plan->n_steps)];

		if (!step->n_in || step->in[0].kind != FINF_OPERAND_BUFFER)
			continue;
		step->form.in_layout ^= 1;
		return true;
	}
	return false;
}

static bool other_out_layout(struct finf_plan *plan, uint64_t *seed)
{
	if (!plan->n_steps)
		return false;
	plan->steps[fake_below(seed, plan->n_steps)].form.out_layout ^= 1;
	return true;
}

/* Any of those that need a workspace. */
static struct finf_step *worker(const struct finf_plan *plan, uint64_t *seed)
{
	for (uint32_t n = 0; n < plan->n_steps; n++) {
		struct finf_step *step = &plan->steps[fake_below(seed, plan->n_steps)];

		if (step->form.workspace_bytes)
			return step;
	}
	return NULL;
}

static bool large_workspace(struct finf_plan *plan, uint64_t *seed)
{
	struct finf_step *step = worker(plan, seed);

	if (step)
		step->form.workspace_bytes = plan->arena_bytes - step->workspace_offset + 1;
	return step;
}

static bool workspace_outside(struct finf_plan *plan, uint64_t *seed)
{
	struct finf_step *step = worker(plan, seed);

	if (step)
		step->workspace_offset = plan->arena_bytes + FINF_BUFFER_ALIGN;
	return step;
}

static bool workspace_without_end(struct finf_plan *plan, uint64_t *seed)
{
	struct finf_step *step = worker(plan, seed);

	if (step)
		step->workspace_offset = -(uint64_t)FINF_BUFFER_ALIGN;
	return step;
}

static bool crooked_workspace(struct finf_plan *plan, uint64_t *seed)
{
	struct finf_step *step = worker(plan, seed);

	if (step)
		step->workspace_offset ^= 1;
	return step;
}

static bool workspace_on_an_operand(struct finf_plan *plan, const struct finf_operand *operands,
				    uint32_t n, struct finf_step *step)
{
	for (uint32_t k = 0; k < n; k++) {
		const struct finf_plan_buffer *buffer = &plan->buffers[operands[k].index];

		if (operands[k].kind != FINF_OPERAND_BUFFER || !buffer->bytes)
			continue;
		step->workspace_offset = buffer->offset;
		return true;
	}
	return false;
}

static bool workspace_on_what_is_written(struct finf_plan *plan, uint64_t *seed)
{
	struct finf_step *step = worker(plan, seed);

	return step && workspace_on_an_operand(plan, step->out, step->n_out, step);
}

static bool workspace_on_what_is_read(struct finf_plan *plan, uint64_t *seed)
{
	struct finf_step *step = worker(plan, seed);

	return step && workspace_on_an_operand(plan, step->in, step->n_in, step);
}

static bool weight_onto_last(struct finf_plan *plan, uint64_t *seed)
{
	uint32_t w;

	if (plan->n_weights < 2)
		return false;
	w = 1 + fake_below(seed, plan->n_weights - 1);
	plan->weights[w].offset = plan->weights[w - 1].offset;
	return true;
}

static bool misalign_weight(struct finf_plan *plan, uint64_t *seed)
{
	if (!plan->n_weights)
		return false;
	plan->weights[fake_below(seed, plan->n_weights)].offset += 64;
	return true;
}

static bool weight_outside(struct finf_plan *plan, uint64_t *seed)
{
	(void)seed;
	if (plan->n_weights)
		plan->weights[plan->n_weights - 1].offset = plan->weight_bytes;
	return plan->n_weights;
}

static bool other_weight_name(struct finf_plan *plan, uint64_t *seed)
{
	for (uint32_t tries = 0; plan->n_steps && tries < 1000; tries++) {
		const struct finf_step *step = &plan->steps[fake_below(seed, plan->n_steps)];

		for (uint32_t k = 0; k < step->n_in; k++) {
			if (step->in[k].kind != FINF_OPERAND_WEIGHT)
				continue;
			plan->weights[step->in[k].index].name = "stranger";
			return true;
		}
	}
	return false;
}

static bool grow_extent(struct finf_plan *plan, uint64_t *seed)
{
	(void)seed;
	plan->weight_bytes += FINF_SEGMENT_ALIGN;
	return true;
}

static bool hole_between_segments(struct finf_plan *plan, uint64_t *seed)
{
	if (!plan->n_segments)
		return false;
	plan->segments[fake_below(seed, plan->n_segments)].bytes -= FINF_SEGMENT_ALIGN;
	return true;
}

static bool swap_outputs(struct finf_plan *plan, uint64_t *seed)
{
	uint32_t first = plan->outputs[0];

	(void)seed;
	plan->outputs[0] = plan->outputs[plan->n_outputs - 1];
	plan->outputs[plan->n_outputs - 1] = first;
	return plan->buffers[plan->outputs[0]].value != plan->buffers[first].value;
}

static bool drop_output(struct finf_plan *plan, uint64_t *seed)
{
	(void)seed;
	plan->n_outputs--;
	return true;
}

static bool input_is_output(struct finf_plan *plan, uint64_t *seed)
{
	(void)seed;
	plan->inputs[0] = plan->outputs[plan->n_outputs - 1];
	return true;
}

static bool change_shared_bytes(struct finf_plan *plan, uint64_t *seed)
{
	(void)seed;
	for (uint32_t b = 0; b < plan->n_buffers; b++) {
		if (plan->buffers[b].alias_of == FINF_NONE)
			continue;
		plan->buffers[b].offset += FINF_BUFFER_ALIGN;
		plan->arena_bytes += FINF_BUFFER_ALIGN;
		return true;
	}
	return false;
}

/* ---- joins: what is wrong may only be seen where the parts lie --------------------------- */

/* A random join of two inputs that are not empty. */
static struct finf_step *random_join(struct finf_plan *plan, uint64_t *seed)
{
	for (uint32_t tries = 0; plan->n_steps && tries < 1000; tries++) {
		struct finf_step *step = &plan->steps[fake_below(seed, plan->n_steps)];

		if (step->form.flags & FINF_FORM_JOIN && step->n_in > 1)
			return step;
	}
	return NULL;
}

static bool forget_join(struct finf_plan *plan, uint64_t *seed)
{
	struct finf_step *join = random_join(plan, seed);

	if (join)
		join->form.flags = 0;
	return join;
}

static bool join_what_is_apart(struct finf_plan *plan, uint64_t *seed)
{
	for (uint32_t tries = 0; plan->n_steps && tries < 1000; tries++) {
		struct finf_step *step = &plan->steps[fake_below(seed, plan->n_steps)];

		if (step->form.flags & FINF_FORM_JOIN)
			continue;
		step->form.flags |= FINF_FORM_JOIN;
		return true;
	}
	return false;
}

static bool move_part(struct finf_plan *plan, uint64_t *seed)
{
	struct finf_step *join = random_join(plan, seed);

	if (!join)
		return false;
	plan->buffers[join->in[fake_below(seed, join->n_in)].index].offset += FINF_BUFFER_ALIGN;
	plan->arena_bytes += FINF_BUFFER_ALIGN;
	return true;
}

static bool move_joined(struct finf_plan *plan, uint64_t *seed)
{
	struct finf_step *join = random_join(plan, seed);

	if (!join)
		return false;
	plan->buffers[join->out[0].index].offset += FINF_BUFFER_ALIGN;
	plan->arena_bytes += FINF_BUFFER_ALIGN;
	return true;
}

static bool swap_parts(struct finf_plan *plan, uint64_t *seed)
{
	struct finf_step *join = random_join(plan, seed);
	struct finf_plan_buffer *a, *b;
	uint64_t offset;

	if (!join)
		return false;
	a = &plan->buffers[join->in[0].index];
	b = &plan->buffers[join->in[1].index];
	offset = a->offset;
	a->offset = b->offset;
	b->offset = offset;
	return true;
}

static bool join_fewer(struct finf_plan *plan, uint64_t *seed)
{
	struct finf_step *join = random_join(plan, seed);

	if (join)
		join->n_in--;
	return join;
}

static bool join_onto_another(struct finf_plan *plan, uint64_t *seed)
{
	struct finf_step *join = random_join(plan, seed);

	if (join)
		plan->buffers[join->out[0].index].alias_of = join->in[0].index;
	return join;
}

static bool join_something_later(struct finf_plan *plan, uint64_t *seed)
{
	struct finf_step *join = random_join(plan, seed);

	if (join)
		join->in[0].index = plan->n_buffers - 1;
	return join;
}

/* Onto a part that is only read as a part of the whole by then. */
static bool move_onto_a_part(struct finf_plan *plan, uint64_t *seed)
{
	struct finf_step *join = random_join(plan, seed);
	const struct finf_plan_buffer *whole, *part;

	if (!join)
		return false;
	whole = &plan->buffers[join->out[0].index];
	part = &plan->buffers[join->in[1].index];
	for (uint32_t b = 0; b < plan->n_buffers; b++) {
		struct finf_plan_buffer *other = &plan->buffers[b];

		if (other->first_step <= part->last_step || other->first_step > whole->last_step ||
		    other->alias_of != FINF_NONE || !other->bytes || join_of(plan, b) ||
		    other->offset == part->offset)
			continue;
		other->offset = part->offset;
		plan->arena_bytes += finf_align_up(other->bytes, FINF_BUFFER_ALIGN);
		return true;
	}
	return false;
}

#define SPOIL(name) {#name, name}
static const struct spoil {
	const char *name;
	spoil_fn fn;
} spoils[] = {
	SPOIL(misalign_offset), SPOIL(leave_arena), SPOIL(move_onto_another), SPOIL(shorten_arena),
	SPOIL(shorten_arena_by_a_line), SPOIL(swap_steps), SPOIL(drop_step), SPOIL(drop_need),
	SPOIL(need_too_many), SPOIL(die_early), SPOIL(live_backwards), SPOIL(live_too_long),
	SPOIL(shrink_buffer), SPOIL(rename_value), SPOIL(value_out_of_range), SPOIL(alias_of_later),
	SPOIL(forget_alias), SPOIL(forbid_in_place), SPOIL(over_another_input),
	SPOIL(outlive_in_place), SPOIL(operand_out_of_range),
	SPOIL(operand_of_other_kind), SPOIL(other_node), SPOIL(other_in_layout),
	SPOIL(other_out_layout), SPOIL(large_workspace), SPOIL(workspace_outside),
	SPOIL(workspace_without_end), SPOIL(crooked_workspace),
	SPOIL(workspace_on_what_is_written), SPOIL(workspace_on_what_is_read),
	SPOIL(weight_onto_last), SPOIL(misalign_weight),
	SPOIL(weight_outside), SPOIL(other_weight_name), SPOIL(grow_extent),
	SPOIL(hole_between_segments), SPOIL(swap_outputs), SPOIL(drop_output), SPOIL(input_is_output),
	SPOIL(change_shared_bytes), SPOIL(forget_join), SPOIL(join_what_is_apart), SPOIL(move_part),
	SPOIL(move_joined), SPOIL(swap_parts), SPOIL(join_fewer), SPOIL(join_onto_another),
	SPOIL(join_something_later), SPOIL(move_onto_a_part),
};

START_TEST(test_spoilt_plans_are_refused)
{
	const struct spoil *spoil = &spoils[_i];
	uint32_t applied = 0;

	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		uint64_t state = seed;
		struct finf_diag diag = {""};
		struct sample sample;

		sample_init(&sample, seed);
		if (spoil->fn(sample.plan, &state)) {
			applied++;
			ck_assert_msg(finf_plan_check(sample.graph, sample.plan, &diag) == -EINVAL,
				      "%s passes, seed %llu", spoil->name, (unsigned long long)seed);
			ck_assert_str_ne(diag.text, "");
		}
		sample_fini(&sample);
	}
	ck_assert_msg(applied > SEEDS / 10, "%s: only %u plans had any", spoil->name, applied);
}
END_TEST

/*
 * a, its other name y, z written over y, and a read once more: every lifetime
 * and every offset is as the rules want it, but a's bytes are z's by then.
 */
START_TEST(test_stale_bytes)
{
	struct finf_graph *graph = fake_graph();
	struct finf_form_table table;
	struct finf_diag diag = {""};
	struct finf_plan *plan;
	struct finf_plan_buffer *y, *z;
	uint32_t a = fake_node(graph, 64, fake_input(graph, 64), FINF_NONE, FINF_NONE), v;

	v = fake_node(graph, 64, a, FINF_NONE, FINF_NONE);
	v = fake_node(graph, 64, v, FINF_NONE, FINF_NONE);
	finf_graph_output(graph, fake_node(graph, 64, v, a, FINF_NONE));
	fake_plain_table(&table, graph);
	table.nodes[1].forms[0].flags = FINF_FORM_ALIAS;
	table.nodes[2].forms[0].flags = FINF_FORM_INPLACE;
	plan = fake_plan(graph, &table, NULL);
	y = &plan->buffers[plan->steps[1].in[0].index];
	z = &plan->buffers[plan->steps[1].out[0].index];
	ck_assert_uint_eq(z->alias_of, FINF_NONE); /* the planner knows */
	z->alias_of = plan->steps[1].in[0].index;
	z->offset = y->offset;
	y->last_step = 1;
	ck_assert_int_eq(finf_plan_check(graph, plan, &diag), -EINVAL);
	ck_assert_ptr_nonnull(strstr(diag.text, "after it was written over"));
	finf_plan_free(plan);
	fake_table_fini(&table);
	finf_graph_free(graph);
}
END_TEST

/*
 * c joined of a and b; z written over a when that is read for the last time;
 * then c is read. Only the bytes of c know that a's are z's by then.
 */
START_TEST(test_stale_part)
{
	struct finf_graph *graph = fake_graph();
	struct finf_form_table table;
	struct finf_diag diag = {""};
	struct finf_plan *plan;
	struct finf_plan_buffer *a, *z;
	uint32_t in = fake_input(graph, 64), v[2], c;

	v[0] = fake_node(graph, 64, in, FINF_NONE, FINF_NONE);
	v[1] = fake_node(graph, 64, in, FINF_NONE, FINF_NONE);
	c = fake_node(graph, 128, v[0], v[1], FINF_NONE);
	finf_graph_output(graph, fake_node(graph, 64, v[0], FINF_NONE, FINF_NONE));
	finf_graph_output(graph, fake_node(graph, 32, c, FINF_NONE, FINF_NONE));
	fake_plain_table(&table, graph);
	table.nodes[2].forms[0].flags = FINF_FORM_JOIN;
	table.nodes[3].forms[0].flags = FINF_FORM_INPLACE;
	plan = fake_plan(graph, &table, NULL);
	a = &plan->buffers[plan->steps[3].in[0].index];
	z = &plan->buffers[plan->steps[3].out[0].index];
	ck_assert_uint_eq(a->offset, plan->buffers[plan->steps[2].out[0].index].offset);
	ck_assert_uint_eq(z->alias_of, FINF_NONE); /* the planner knows */
	z->alias_of = plan->steps[3].in[0].index;
	z->offset = a->offset;
	ck_assert_int_eq(finf_plan_check(graph, plan, &diag), -EINVAL);
	ck_assert_msg(strstr(diag.text, "after it was written over"), "%s", diag.text);
	finf_plan_free(plan);
	fake_table_fini(&table);
	finf_graph_free(graph);
}
END_TEST

/* b written over a, which dies there and is the last input; but it is the first one too. */
START_TEST(test_over_another_input)
{
	struct finf_graph *graph = fake_graph();
	struct finf_form_table table;
	struct finf_diag diag = {""};
	struct finf_plan *plan;
	struct finf_plan_buffer *b;
	uint32_t a = fake_node(graph, 64, fake_input(graph, 64), FINF_NONE, FINF_NONE);

	finf_graph_output(graph, fake_node(graph, 64, a, a, FINF_NONE));
	fake_plain_table(&table, graph);
	table.nodes[1].forms[0].flags = FINF_FORM_INPLACE_LAST;
	plan = fake_plan(graph, &table, NULL);
	b = &plan->buffers[plan->steps[1].out[0].index];
	ck_assert_uint_eq(b->alias_of, FINF_NONE); /* the planner knows */
	b->alias_of = plan->steps[1].in[1].index;
	b->offset = plan->buffers[b->alias_of].offset;
	ck_assert_int_eq(finf_plan_check(graph, plan, &diag), -EINVAL);
	ck_assert_msg(strstr(diag.text, "another of its inputs"), "%s", diag.text);
	finf_plan_free(plan);
	fake_table_fini(&table);
	finf_graph_free(graph);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("plan/check");
	TCase *tc = tcase_create("check");

	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, test_random_plans_are_proven, 0, SEEDS);
	tcase_add_test(tc, test_arena_near_bound);
	tcase_add_test(tc, test_stale_bytes);
	tcase_add_test(tc, test_stale_part);
	tcase_add_test(tc, test_over_another_input);
	tcase_add_loop_test(tc, test_spoilt_plans_are_refused, 0, FINF_ARRAY_LEN(spoils));
	suite_add_tcase(suite, tc);
	return suite;
}
