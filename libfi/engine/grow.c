/* SPDX-License-Identifier: MIT */
/*
 * engine/grow: a second form of a tuned model for its default shapes, that reads some weights
 * in larger, faster layouts from a second extent and all others from where they lie already.
 *
 *   plan    | lean weights, as in the tuned pack ........ | larger ones ... |
 *   memory  [ the model's extent, not touched .......... ] [ second extent ]
 *
 * The lean model goes on as it is, so the second extent can be dropped at any time. Members that
 * run side by side do so in this form too, in lanes of its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/priv.h"

/* What a run should take, from costs of steps: as the plan begins. */
static uint64_t run_ns(const struct finf_plan *plan, const struct finf_side_times *times)
{
	return plan->side.off ? times->list_ns : FINF_MIN(times->list_ns, times->side_ns);
}

/* The lanes of a plan are decided anew, and kept by nobody. */
static int times_of(const struct finf_plan *plan, struct finf_side_times *ret)
{
	struct finf_plan copy = *plan;
	int err;

	finf_arena_init(&copy.arena);
	err = finf_plan_side(&copy, ret);
	finf_arena_fini(&copy.arena);
	return err;
}

/*
 * How many times as fast as the lean plan. Where steps of that were measured, alone and beside each other,
 * theirs become as much shorter as the forms were measured to be, and members share
 * the cores anew: the longest may be another now.
 */
static int compare(const struct finf_graph *bound, const struct finf_plan *lean,
		   struct finf_plan *grown, double *ret_speed)
{
	struct finf_side_times before, after;
	uint64_t lean_ns = lean->est_ns, grown_ns = grown->est_ns;
	int err = 0;

	if (lean->side.costs) {
		grown->side.off = lean->side.off;
		err = finf_plan_guess(bound, grown, bound, lean);
		if (!err)
			err = finf_plan_side(grown, &after);
		if (!err)
			err = times_of(lean, &before);
		if (err)
			return err;
		lean_ns = run_ns(lean, &before);
		grown_ns = run_ns(grown, &after);
	}
	*ret_speed = (double)lean_ns / (double)FINF_MAX(grown_ns, 1u);
	return 0;
}

struct candidate {
	struct finf_plan *plan; /* owned */
	double speed;
};

static int candidate(const struct finf_model *model, const struct finf_graph *bound,
		     const struct finf_form_table *table, enum finf_schedule schedule,
		     struct candidate *ret, struct finf_diag *diag)
{
	const struct finf_plan *lean = model->pack->plan;
	struct finf_plan_opts opts = {.size = sizeof(opts),
				      .threads = model->threads,
				      .fixed = lean,
				      .grow = true,
				      .schedule = schedule,
				      .bytes = model->bytes};
	int err = finf_plan_new(bound, table, &opts, &ret->plan, diag);

	return err ? err : compare(bound, lean, ret->plan, &ret->speed);
}

/* One step at a time every form may serve, side by side only what one thread and all can read. */
static int plan_grown(const struct finf_model *model, const struct finf_graph *bound,
		      const atomic_bool *stop, struct candidate *ret, struct finf_diag *diag)
{
	struct candidate list = {NULL}, side = {NULL};
	struct finf_form_table table, one;
	int err = finf_fat_forms(model->dev, bound, model->threads, stop, &table, &one, diag);

	if (err)
		return err;
	err = candidate(model, bound, &table, FINF_ONE_BY_ONE, &list, diag);
	if (!err && model->pack->plan->side.costs) {
		finf_fat_share(&table, &one);
		err = candidate(model, bound, &table, bound->schedule, &side, diag);
	}
	finf_form_table_fini(&one);
	finf_form_table_fini(&table);
	if (!err)
		finf_log("engine: %s: larger forms: %.2f times as fast one step at a time, %.2f side by side",
			 bound->name, list.speed, side.speed);
	*ret = side.plan && !err && side.speed > list.speed ? side : list;
	finf_plan_free(ret->plan == list.plan ? side.plan : list.plan);
	return err;
}

static int bind_grown(struct finf_model *model, const atomic_bool *stop, struct finf_diag *diag)
{
	struct candidate best = {NULL};
	struct finf_graph *bound = NULL;
	int err = finf_model_bound(model, &bound, diag);

	if (!err)
		err = plan_grown(model, bound, stop, &best, diag);
	if (!err && (!best.plan->grown_bytes || best.speed <= 1))
		err = -ENODATA;
	if (!err)
		err = finf_plan_check(bound, best.plan, diag);
	if (!err)
		err = finf_binding_new(model, bound, best.plan, &model->bindings[0], diag);
	if (err) {
		finf_plan_free(best.plan);
		finf_graph_free(bound);
	}
	model->speed = best.speed;
	return err;
}

int finf_model_open_grown(struct finf_device *dev, struct finf_pack *pack, uint32_t threads,
			  uint64_t bytes, const atomic_bool *stop, struct finf_model **ret_model,
			  struct finf_diag *diag)
{
	struct finf_model *model;
	int err = finf_model_check_target(dev, pack, threads, diag);

	if (err)
		return err;
	model = calloc(1, sizeof(*model));
	if (!model)
		return finf_diag_set(diag, -ENOMEM, "no memory for a model");
	model->dev = dev;
	model->graph = pack->graph;
	model->pack = pack;
	model->tuned = true;
	model->threads = threads;
	model->bytes = bytes;
	err = bind_grown(model, stop, diag);
	if (err) {
		free(model);
		return err;
	}
	close(pack->fd); /* its weights are not read: those of the model are there */
	pack->fd = -1;
	*ret_model = model;
	return 0;
}

uint64_t finf_model_grown_bytes(const struct finf_model *model)
{
	return finf_model_plan(model)->grown_bytes;
}

double finf_model_grown_speed(const struct finf_model *model)
{
	return model->speed;
}

/* Piece by piece, so that who wants it to end need not wait long. */
static int put_weight(const struct finf_plan_weight *weight, uint64_t offset, const char *blocked,
		      finf_grow_fn put, void *ctx)
{
	int err = 0;

	for (uint64_t at = 0; at < weight->form.bytes && !err;) {
		uint64_t n = FINF_MIN(weight->form.bytes - at, (uint64_t)FINF_GROW_PIECE_BYTES);

		err = put(ctx, offset + at, blocked + at, n);
		at += n;
	}
	return err;
}

static int grow_weight(const struct finf_model *model, const struct finf_weight_source *source,
		       const struct finf_plan_weight *weight, uint64_t first, finf_grow_fn put,
		       void *ctx, struct finf_diag *diag)
{
	char *blocked = aligned_alloc(4096, finf_align_up(weight->form.bytes, 4096));
	int err;

	if (!blocked)
		return finf_diag_set(diag, -ENOMEM, "no memory for constant '%s'", weight->name);
	err = put(ctx, 0, blocked, 0); /* still wanted? */
	if (!err)
		err = finf_weight_pack(model->dev, source, weight, blocked, diag);
	if (!err)
		err = put_weight(weight, weight->offset - first, blocked, put, ctx);
	free(blocked);
	return err;
}

int finf_model_grow(const struct finf_model *model, struct finf_pack *portable, finf_grow_fn put,
		    void *ctx, struct finf_diag *diag)
{
	const struct finf_plan *plan = finf_model_plan(model);
	struct finf_weight_source source = {model->bindings[0]->bound, portable};
	uint64_t first = plan->weight_bytes - plan->grown_bytes;
	/* Weights are read piece by piece below, where no checksum would catch a wrong bit. */
	int err = finf_pack_verify(portable, diag);

	for (uint32_t i = 0; i < plan->n_weights && !err; i++)
		if (plan->weights[i].offset >= first && plan->weights[i].form.bytes)
			err = grow_weight(model, &source, &plan->weights[i], first, put, ctx, diag);
	return err;
}
