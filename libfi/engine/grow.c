/* SPDX-License-Identifier: MIT */
/*
 * engine/grow: a second form of a tuned model for its default shapes, that reads some weights
 * in larger, faster layouts from a second extent and all others from where they lie already.
 *
 *   plan    | lean weights, as in the tuned pack ........ | larger ones ... |
 *   memory  [ the model's extent, not touched .......... ] [ second extent ]
 *
 * The lean model goes on as it is, so the second extent can be dropped at any time.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/priv.h"

/* Less than this is not worth bytes that may be four times as many. */
#define GAIN_MIN_PCT 5

static bool has_fat(const struct finf_form_table *table)
{
	for (uint32_t i = 0; i < table->n_nodes; i++)
		for (uint32_t k = 0; k < table->nodes[i].n; k++)
			if (table->nodes[i].forms[k].flags & FINF_FORM_FAT)
				return true;
	return false;
}

static bool worth_it(const struct finf_form_list *list, const struct finf_form *fat)
{
	for (uint32_t k = 0; k < list->n; k++) {
		const struct finf_form *form = &list->forms[k];

		if (!(form->flags & FINF_FORM_FAT) && form->in_layout == fat->in_layout &&
		    form->out_layout == fat->out_layout &&
		    fat->est_ns > form->est_ns / 100 * (100 - GAIN_MIN_PCT))
			return false;
	}
	return true;
}

static void drop_idle_fat(struct finf_form_table *table)
{
	for (uint32_t i = 0; i < table->n_nodes; i++) {
		struct finf_form_list *list = &table->nodes[i];

		for (uint32_t k = list->n; k-- > 0;)
			if (list->forms[k].flags & FINF_FORM_FAT && !worth_it(list, &list->forms[k]))
				list->forms[k] = list->forms[--list->n];
	}
}

static int plan_grown(struct finf_model *model, const struct finf_graph *bound,
		      const atomic_bool *stop, struct finf_plan **ret_plan, struct finf_diag *diag)
{
	const struct finf_plan *lean = model->pack->plan;
	struct finf_plan_opts opts = {.size = sizeof(opts),
				      .threads = model->threads,
				      .fixed = lean,
				      .grow = true,
				      .schedule = bound->schedule};
	struct finf_form_table table;
	int err = finf_device_forms(model->dev, bound, model->threads, NULL, &table, diag);

	if (err)
		return err;
	if (!has_fat(&table))
		err = -ENODATA;
	if (!err) /* of one thread: it must not wake a team beside the one that serves */
		err = finf_engine_measure(model->dev, bound, 1, stop, &table, diag);
	if (!err) {
		drop_idle_fat(&table);
		err = finf_plan_new(bound, &table, &opts, ret_plan, diag);
	}
	finf_form_table_fini(&table);
	return err;
}

static int bind_grown(struct finf_model *model, const atomic_bool *stop, struct finf_diag *diag)
{
	const struct finf_plan *lean = model->pack->plan;
	struct finf_graph *bound = NULL;
	struct finf_plan *plan = NULL;
	int err = finf_model_bound(model, &bound, diag);

	if (!err)
		err = plan_grown(model, bound, stop, &plan, diag);
	if (!err && (!plan->grown_bytes || plan->est_ns >= lean->est_ns))
		err = -ENODATA;
	if (!err)
		err = finf_plan_check(bound, plan, diag);
	if (!err)
		err = finf_binding_new(model, bound, plan, &model->bindings[0], diag);
	if (err) {
		finf_plan_free(plan);
		finf_graph_free(bound);
	}
	return err;
}

int finf_model_open_grown(struct finf_device *dev, struct finf_pack *pack, uint32_t threads,
			  const atomic_bool *stop, struct finf_model **ret_model,
			  struct finf_diag *diag)
{
	struct finf_model *model;
	int err = finf_model_check_target(dev, pack, threads, diag);

	/* Members side by side were measured as they are. */
	if (!err && pack->plan->side.n_lanes)
		err = -ENODATA;
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
	return (double)model->pack->plan->est_ns / (double)FINF_MAX(finf_model_plan(model)->est_ns, 1u);
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
