/* SPDX-License-Identifier: MIT */
/* engine/model: a model from its pack or graph, and its weights into an extent. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/priv.h"
#include "graph/member.h"

int finf_model_check_target(struct finf_device *dev, const struct finf_pack *pack,
			    uint32_t threads, struct finf_diag *diag)
{
	char target[128];
	int err = finf_device_target(dev, threads, target, sizeof(target));

	if (err)
		return finf_diag_set(diag, err, "the device does not tell its target");
	if (pack->plan && !strcmp(pack->target, target))
		return 0;
	return finf_diag_set(diag, -EKEYREJECTED, "the pack is for '%s', this device is '%s'",
			     pack->target, target);
}

/* The tuned pack's own plan, proven against its graph before anything relies on it. */
int finf_model_bound(const struct finf_model *model, struct finf_graph **ret_bound,
		     struct finf_diag *diag)
{
	const struct finf_plan *plan = model->pack->plan;
	struct finf_graph *bound = NULL;
	int err = finf_engine_bind(model->graph, NULL, model->graph->batched, &bound, diag);

	if (!err)
		err = finf_plan_check(bound, plan, diag);
	if (err == -EINVAL) {
		finf_diag_prefix(diag, "the pack's plan does not fit its graph");
		err = -EBADMSG;
	}
	if (!err && plan->weight_bytes != model->pack->weight_bytes)
		err = finf_diag_set(diag, -EBADMSG,
				    "the pack holds %llu bytes of weights, its plan %llu",
				    (unsigned long long)model->pack->weight_bytes,
				    (unsigned long long)plan->weight_bytes);
	if (err)
		finf_graph_free(bound);
	else
		*ret_bound = bound;
	return err;
}

static int model_init(struct finf_model *model, struct finf_diag *diag)
{
	struct finf_graph *bound = NULL;
	struct finf_plan *own = NULL;
	const struct finf_plan *plan;
	int err;

	if (model->tuned)
		err = finf_model_bound(model, &bound, diag);
	else
		err = finf_engine_plan(model->dev, model->graph, NULL, model->threads, model->bytes,
				       model->how, NULL, &bound, &own, diag);
	if (err)
		return err;
	model->graph->batched = bound->batched; /* as its other shapes are to be planned, too */
	plan = model->tuned ? model->pack->plan : own;
	err = finf_binding_new(model, bound, plan, &model->bindings[0], diag);
	if (err) {
		finf_plan_free(own);
		finf_graph_free(bound);
	}
	return err;
}

/* Weights made for one shape do not serve another. */
static unsigned how_for(const struct finf_graph *graph, unsigned how)
{
	for (uint32_t i = 0; i < graph->n_inputs; i++) {
		const struct finf_value *value = &graph->values[graph->inputs[i]];

		if (!value->has_shape || !finf_shape_is_static(&value->shape))
			how &= ~FINF_PLAN_FAST;
	}
	return how;
}

/* On failure pack and graph are the caller's again. */
static int model_new(const struct finf_model *from, struct finf_model **ret_model,
		     struct finf_diag *diag)
{
	struct finf_model *model = malloc(sizeof(*model));
	int err;

	if (!model)
		return finf_diag_set(diag, -ENOMEM, "no memory for a model");
	*model = *from;
	err = model_init(model, diag);
	if (!err && model->pack && model->pack->n_segments) {
		model->rank = calloc(model->pack->n_segments, sizeof(*model->rank));
		if (!model->rank) {
			finf_binding_free(model, model->bindings[0]);
			err = finf_diag_set(diag, -ENOMEM, "no memory for a model");
		}
	}
	if (err) {
		free(model);
		return err;
	}
	*ret_model = model;
	return 0;
}

int finf_model_member(struct finf_model *group, uint32_t member, struct finf_model **ret_model)
{
	struct finf_model *model = calloc(1, sizeof(*model));
	int err;

	if (!model)
		return -ENOMEM;
	model->dev = group->dev;
	model->group = group;
	model->how = group->how;
	model->threads = group->threads;
	model->bytes = group->bytes;
	err = finf_graph_member_only(group->graph, member, &model->graph);
	if (err)
		free(model);
	else
		*ret_model = model;
	return err;
}

/* Side by side or batched in a pool that has no room for that, or one by one in a pool that has
 * room for more: it can be planned otherwise. */
static int check_bytes(const struct finf_pack *pack, uint64_t bytes, struct finf_diag *diag)
{
	const struct finf_plan *plan = pack->plan;
	uint64_t room = !bytes ? UINT64_MAX : bytes - FINF_MIN(bytes, plan->weight_bytes);

	if ((plan->n_branches > 1 || pack->graph->batched) && plan->arena_bytes > room)
		return finf_diag_set(diag, -EKEYREJECTED,
				     "the group is planned %s for more than %llu bytes",
				     pack->graph->batched ? "batched" : "side by side",
				     (unsigned long long)bytes);
	if (plan->side_arena_bytes && plan->side_arena_bytes <= room)
		return finf_diag_set(diag, -EKEYREJECTED,
				     "%llu bytes have room for the group's members side by side",
				     (unsigned long long)bytes);
	return 0;
}

int finf_model_open(struct finf_device *dev, struct finf_pack *pack, uint32_t threads,
		    uint64_t bytes, struct finf_model **ret_model, struct finf_diag *diag)
{
	struct finf_model from = {
		.dev = dev,
		.graph = pack->graph,
		.pack = pack,
		.tuned = true,
		.threads = threads,
		.bytes = bytes,
	};
	int err = finf_model_check_target(dev, pack, threads, diag);

	if (!err)
		err = check_bytes(pack, bytes, diag);
	return err ? err : model_new(&from, ret_model, diag);
}

int finf_model_open_portable(struct finf_device *dev, struct finf_pack *pack, uint32_t threads,
			     uint64_t bytes, unsigned how, struct finf_model **ret_model,
			     struct finf_diag *diag)
{
	struct finf_model from = {
		.dev = dev,
		.graph = pack->graph,
		.pack = pack,
		.how = how_for(pack->graph, how),
		.threads = threads,
		.bytes = bytes,
	};
	/* Loads read weights piece by piece, where no checksum would catch a wrong bit. */
	int err = finf_pack_verify(pack, diag);

	return err ? err : model_new(&from, ret_model, diag);
}

int finf_model_open_graph(struct finf_device *dev, struct finf_graph *graph, uint32_t threads,
			  uint64_t bytes, unsigned how, struct finf_model **ret_model,
			  struct finf_diag *diag)
{
	struct finf_model from = {
		.dev = dev,
		.graph = graph,
		.how = how_for(graph, how),
		.threads = threads,
		.bytes = bytes,
	};

	return model_new(&from, ret_model, diag);
}

void finf_model_close(struct finf_model *model)
{
	if (!model)
		return;
	for (uint32_t i = 0; i < FINF_MODEL_BINDINGS; i++)
		finf_binding_free(model, model->bindings[i]);
	if (!model->pack)
		finf_graph_free(model->graph);
	finf_pack_close(model->pack);
	free(model->rank);
	free(model);
}

const struct finf_graph *finf_model_graph(const struct finf_model *model)
{
	return model->graph;
}

const struct finf_plan *finf_model_plan(const struct finf_model *model)
{
	return model->bindings[0]->plan;
}

uint64_t finf_model_weight_bytes(const struct finf_model *model)
{
	return finf_model_plan(model)->weight_bytes;
}

uint64_t finf_model_arena_bytes(const struct finf_model *model)
{
	return finf_model_plan(model)->arena_bytes;
}

/* ---- loading ------------------------------------------------------------------ */

/* When each segment comes: those with a weight of @first before the others. Returns how many. */
static uint32_t rank_segments(struct finf_model *model, const struct finf_model *first)
{
	const struct finf_plan *plan = model->pack->plan;
	uint32_t n = 0, at = 0;

	for (uint32_t i = 0; i < plan->n_segments; i++)
		model->rank[i] = FINF_NONE;
	for (uint32_t w = 0; w < plan->n_weights; w++) {
		const struct finf_plan_weight *weight = &plan->weights[w];
		uint64_t end = weight->offset + weight->form.bytes;

		while (at < plan->n_segments &&
		       plan->segments[at].offset + plan->segments[at].bytes <= weight->offset)
			at++;
		if (!finf_graph_find(first->graph, weight->name, NULL))
			continue;
		for (uint32_t i = at; i < plan->n_segments && plan->segments[i].offset < end; i++)
			if (model->rank[i] == FINF_NONE)
				model->rank[i] = n++;
	}
	for (uint32_t i = 0, last = n; i < plan->n_segments; i++)
		if (model->rank[i] == FINF_NONE)
			model->rank[i] = last++;
	return n;
}

static int load_tuned(struct finf_model *model, struct finf_loader *loader, char *address,
		      const struct finf_model *first, finf_load_done_fn done, void *ctx,
		      struct finf_load **ret_load)
{
	const struct finf_pack *pack = model->pack;
	struct finf_load_segment *segments = calloc(pack->n_segments + 1, sizeof(*segments));
	uint32_t urgent = pack->n_segments;
	int err;

	if (!segments)
		return -ENOMEM;
	model->ranked = first != NULL;
	if (first)
		urgent = rank_segments(model, first);
	for (uint32_t i = 0; i < pack->n_segments; i++)
		segments[first ? model->rank[i] : i] = (struct finf_load_segment){
			.file_offset = pack->segments[i].file_offset,
			.bytes = pack->segments[i].bytes,
			.xxh3 = pack->segments[i].xxh3,
			.to = address + pack->segments[i].offset,
		};
	err = finf_load_start(loader, pack->fd, model->graph->name, segments, pack->n_segments,
			      urgent, done, ctx, ret_load);
	free(segments);
	return err;
}

int finf_model_load(struct finf_model *model, struct finf_loader *loader, void *address,
		    const struct finf_model *first, finf_load_done_fn done, void *ctx,
		    struct finf_load **ret_load)
{
	const struct finf_binding *binding = model->bindings[0];
	struct finf_weight_source source = {binding->bound, model->pack};
	struct finf_diag diag = {""};
	int err;

	if (model->tuned && model->pack->n_segments)
		return load_tuned(model, loader, address, first, done, ctx, ret_load);
	err = finf_weights_place(model->dev, &source, binding->plan, address, &diag);
	*ret_load = NULL;
	done(ctx, NULL, err, &diag);
	return 0;
}
