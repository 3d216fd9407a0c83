/* SPDX-License-Identifier: MIT */
/* daemon/core: events into the policy, and its actions carried out. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/op.h"
#include "daemon/usdt.h"

/* ---- numbers the policy knows requests and commands by ------------------- */

uint64_t fid_slot_take(struct fid_core *core, enum slot_kind kind, void *what)
{
	uint32_t at = core->free_slot;
	struct slot *slot = &core->slots[at];

	if (at == SLOTS)
		return 0;
	core->free_slot = slot->next_free;
	slot->kind = kind;
	slot->id = ++core->ids * SLOTS + at; /* never the same twice */
	if (kind == SLOT_REQUEST)
		slot->request = what;
	else
		slot->op = what;
	return slot->id;
}

static struct slot *fid_slot_find(struct fid_core *core, uint64_t id)
{
	struct slot *slot = &core->slots[id % SLOTS];

	return slot->kind != SLOT_FREE && slot->id == id ? slot : NULL;
}

void fid_slot_give(struct fid_core *core, uint64_t id)
{
	struct slot *slot = fid_slot_find(core, id);

	if (!slot)
		return;
	slot->kind = SLOT_FREE;
	slot->next_free = core->free_slot;
	core->free_slot = (uint32_t)(id % SLOTS);
}

void fid_model_label(const struct fid_model *model, char *text, size_t len)
{
	snprintf(text, len, "%s:%" PRIu32, model->name, model->version);
}

/* ---- loading --------------------------------------------------------------- */

static void model_loaded(struct fid_job *job)
{
	struct fid_model *model = (struct fid_model *)((char *)job - offsetof(struct fid_model, loaded));
	struct fid_core *core = model->core;
	struct finf_event event = {.model = model->index};
	char label[144];

	fid_model_label(model, label, sizeof(label));
	if (model->load) {
		finf_load_report(model->load, &model->last_load);
		finf_load_unref(model->load);
		model->load = NULL;
	}
	fid_fault_check(core, model->load_result);
	if (model->load_result) {
		/* Given up on purpose is not a failure to be told of. */
		fid_log(model->load_result == -ECANCELED ? FID_INFO : FID_WARNING,
			"load model=%s failed=\"%s\" reason=\"%s\"", label,
			strerror(-model->load_result), model->load_diag.text);
		finf_mem_extent_give(core->mem, model->extent);
		model->extent = NULL;
		event.kind = FINF_EV_LOAD_FAILED;
		event.a = (uint64_t)-model->load_result;
		model->damaged = model->load_result == -EBADMSG;
	} else {
		core->loads++;
		core->load_bytes += model->last_load.bytes;
		core->load_ns += model->last_load.ns;
		fid_log(FID_INFO, "load model=%s bytes=%" PRIu64 " ms=%.1f gbps=%.2f cached=%" PRIu64,
			label, model->last_load.bytes, (double)model->last_load.ns / 1e6,
			(double)model->last_load.bytes / (double)FINF_MAX(model->last_load.ns, 1u),
			model->last_load.cached_bytes);
		event.kind = FINF_EV_LOADED;
	}
	fid_usdt_load_done(label, model->last_load.bytes, model->last_load.ns, model->load_result);
	fid_metrics_load(core->metrics, model->load_result, model->last_load.bytes,
			 model->last_load.ns);
	fid_step(core, event);
	fid_model_heal(core, model);
}

/* Loader's thread: the job carries it home. */
static void load_done(void *ctx, struct finf_load *load, int result, const struct finf_diag *diag)
{
	struct fid_model *model = ctx;

	(void)load;
	model->load_result = result;
	model->load_diag = diag ? *diag : (struct finf_diag){{0}};
	model->loaded.finish = model_loaded;
	fid_loop_post(model->core->loop, &model->loaded);
}

static void do_load(struct fid_core *core, const struct finf_action *action)
{
	struct fid_model *model = core->models[action->model];
	struct finf_event failed = {.model = action->model};
	uint64_t bytes = finf_model_weight_bytes(model->model);
	int err = finf_mem_arena_reserve(core->mem, action->a);
	char label[144];

	/* A model without weights still owns a place, so that there is one way to load. */
	if (!err)
		err = finf_mem_extent_take(core->mem, fid_extent_bytes(bytes), model->index,
					   model->last_offset, &model->extent);
	if (err == -ENOBUFS) {
		failed.kind = FINF_EV_NO_PLACE;
		fid_step(core, failed);
		return;
	}
	if (!err) {
		model->last_offset = model->extent->offset;
		fid_model_changed(core, model->name);
		err = finf_model_load(model->model, core->loader,
				      finf_mem_address(core->mem, model->extent), model->first,
				      load_done, model, &model->load);
		model->first = NULL;
		if (err) {
			finf_mem_extent_give(core->mem, model->extent);
			model->extent = NULL;
		} else {
			fid_model_label(model, label, sizeof(label));
			fid_usdt_load_start(label, bytes);
		}
	}
	if (err) {
		finf_diag_set(&model->load_diag, err, "the load could not start: %s", strerror(-err));
		failed.kind = FINF_EV_LOAD_FAILED;
		failed.a = (uint64_t)-err;
		fid_step(core, failed);
	}
}

static void apply(struct fid_core *core, const struct finf_action *action);

/* ---- evicting and compacting ------------------------------------------------ */

static void do_evict(struct fid_core *core, const struct finf_action *action)
{
	struct fid_model *model = core->models[action->model];

	/* The extents belong to the background thread until it has moved them. */
	if (core->compacting) {
		core->deferred[core->n_deferred++] = *action; /* at most a shrink and this of a model */
		return;
	}
	core->evictions++;
	core->evicted_bytes += model->extent->bytes;
	fid_metrics_eviction(core->metrics, (enum finf_reason)action->reason, model->extent->bytes);
	finf_mem_extent_give(core->mem, model->extent);
	model->extent = NULL;
	model->left_ns = finf_now_ns();
	fid_model_changed(core, model->name);
	fid_step(core, (struct finf_event){.kind = FINF_EV_EVICTED, .model = action->model});
}

static void mark_movable(struct fid_core *core)
{
	for (uint32_t i = 0; i < FID_MODELS_MAX; i++) {
		struct finf_policy_model state;

		if (!core->models[i] || !core->models[i]->extent)
			continue;
		finf_policy_model(core->policy, i, &state);
		core->models[i]->extent->movable = state.residency == FINF_RESIDENT && !state.running;
		if (core->models[i]->fast_extent)
			core->models[i]->fast_extent->movable =
				core->models[i]->extent->movable && core->models[i]->fast_ready;
	}
}

static struct fid_core *core_of_compact(struct fid_job *job)
{
	return (struct fid_core *)((char *)job - offsetof(struct fid_core, compact_job));
}

static void compact_work(struct fid_job *job)
{
	struct fid_core *core = core_of_compact(job);

	pthread_mutex_lock(&core->fault.device_lock);
	core->compact_result = finf_mem_compact(core->mem, core->compact_bytes);
	pthread_mutex_unlock(&core->fault.device_lock);
}

static void compact_finish(struct fid_job *job)
{
	struct fid_core *core = core_of_compact(job);

	core->compacting = false;
	/* What was moved half way is lost, whether or not the device works on. */
	if (core->compact_result == -EREMOTEIO || core->fault.state == FID_DEVICE_LOST)
		fid_fault_begin(core);
	for (uint32_t i = 0; i < core->n_deferred; i++)
		apply(core, &core->deferred[i]);
	core->n_deferred = 0;
	fid_step(core, (struct finf_event){.kind = FINF_EV_COMPACTED,
					   .a = (uint64_t)-core->compact_result});
}

static void do_compact(struct fid_core *core, const struct finf_action *action)
{
	mark_movable(core);
	core->compacting = true;
	core->compact_bytes = action->a;
	core->compact_job.work = compact_work;
	core->compact_job.finish = compact_finish;
	fid_worker_add(core->background, &core->compact_job);
}

/* ---- running and answering --------------------------------------------------- */

static void do_run(struct fid_core *core, const struct finf_action *action)
{
	struct slot *slot = fid_slot_find(core, action->id);
	struct finf_event event = {.id = action->id, .model = action->model};
	int err;

	/* Its client went away after this was decided: the cancellation is on its way. */
	if (!slot) {
		event.kind = FINF_EV_RAN;
		event.a = ECANCELED;
		fid_step(core, event);
		return;
	}
	err = finf_mem_arena_reserve(core->mem, action->a);
	if (!err) {
		fid_request_run(core, slot->request, action->a);
		return;
	}
	/* A larger batch than usual found extents where its activations must go. */
	event.kind = FINF_EV_NO_PLACE;
	fid_step(core, event);
}

/* Weights and activations exceed the pool: by how much, and of a larger batch, what would do? */
static void explain_size(struct fid_core *core, const struct fid_model *model, int err,
			 const struct fid_request *request, struct finf_diag *diag)
{
	uint64_t weights = finf_model_weight_bytes(model->model);
	uint64_t own = finf_model_arena_bytes(request ? request->target : model->model);
	uint64_t arena = FINF_MAX(request ? request->arena_bytes : 0, own);
	uint64_t pool = core->pool.bytes / FINF_ARENA_ALIGN * FINF_ARENA_ALIGN;
	uint64_t room = pool - FINF_MIN(pool, weights);
	char label[144], fits[96] = "";

	fid_model_label(model, label, sizeof(label));
	if (request && request->n_inputs && request->inputs[0].shape.rank && arena > own) {
		int64_t rows = request->inputs[0].shape.dim[0];

		snprintf(fits, sizeof(fits), "; of a batch of %" PRId64 " about %" PRIu64 " would fit",
			 rows, (uint64_t)((double)rows * (double)room / (double)arena));
	}
	finf_diag_set(diag, err,
		      "%s needs %" PRIu64 " bytes of weights and %" PRIu64
		      " of activations, the pool has %" PRIu64 ": %" PRIu64 " bytes too much%s",
		      label, weights, arena, pool, weights + fid_zone_bytes(arena) - pool, fits);
}

/* The policy has one reason for three ways not to be free. */
static void explain_busy(struct fid_core *core, const struct fid_model *model, int err,
			 struct finf_diag *diag)
{
	struct finf_policy_model state;
	char label[144];

	fid_model_label(model, label, sizeof(label));
	finf_policy_model(core->policy, model->index, &state);
	if (err != -EBUSY)
		finf_diag_set(diag, err, "%s: what is pinned leaves it too little room", label);
	else if (state.pinned)
		finf_diag_set(diag, err, "%s is pinned: unpin it first", label);
	else
		finf_diag_set(diag, err, "%s is in use: %" PRIu32 " requests are not answered yet",
			      label, state.queued + state.running);
}

static void explain(struct fid_core *core, const struct finf_action *action,
		    const struct fid_request *request, struct finf_diag *diag)
{
	const struct fid_model *model = core->models[action->model];
	int err = -(int)action->a;
	char label[144];

	if (diag->text[0] || !err)
		return;
	fid_model_label(model, label, sizeof(label));
	switch ((enum finf_reason)action->reason) {
	case FINF_WHY_TOO_LARGE:
		explain_size(core, model, err, request, diag);
		break;
	case FINF_WHY_BUSY:
		explain_busy(core, model, err, diag);
		break;
	case FINF_WHY_LOAD_FAILED:
		finf_diag_set(diag, err, "%s could not be loaded: %s", label, model->load_diag.text);
		break;
	case FINF_WHY_DEVICE:
		finf_diag_set(diag, err, "%s: the device failed and could not be reset: %s", label,
			      core->fault.diag.text);
		break;
	default:
		finf_diag_set(diag, err, "%s: %s", label,
			      finf_reason_text((enum finf_reason)action->reason));
		break;
	}
}

static void do_reply(struct fid_core *core, const struct finf_action *action)
{
	struct slot *slot = fid_slot_find(core, action->id);
	int result = -(int)action->a;

	if (!slot)
		return; /* cancelled meanwhile */
	if (slot->kind == SLOT_REQUEST) {
		explain(core, action, slot->request, &slot->request->diag);
		fid_request_end(core, slot->request, result);
	} else {
		explain(core, action, NULL, &slot->op->diag);
		fid_op_end(slot->op, result, slot->op->diag.text);
	}
}

static void do_cancel_load(struct fid_core *core, const struct finf_action *action)
{
	if (core->models[action->model]->load)
		finf_load_cancel(core->models[action->model]->load);
}

static void apply(struct fid_core *core, const struct finf_action *action)
{
	switch ((enum finf_action_kind)action->kind) {
	case FINF_DO_LOAD:
		do_load(core, action);
		break;
	case FINF_DO_EVICT:
		do_evict(core, action);
		break;
	case FINF_DO_COMPACT:
		do_compact(core, action);
		break;
	case FINF_DO_RUN:
		do_run(core, action);
		break;
	case FINF_DO_REPLY:
		do_reply(core, action);
		break;
	case FINF_DO_CANCEL_LOAD:
		do_cancel_load(core, action);
		break;
	case FINF_DO_PRICE:
		fid_fast_price(core, action);
		break;
	case FINF_DO_GROW:
		fid_fast_grow(core, action);
		break;
	case FINF_DO_SHRINK:
		fid_fast_shrink(core, action);
		break;
	}
}

/* ---- the step ------------------------------------------------------------------ */

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	(void)source, (void)usec;
	fid_step(ctx, (struct finf_event){.kind = FINF_EV_TICK});
	return 0;
}

int fid_timer_new(struct fid_core *core)
{
	int err = sd_event_add_time(fid_loop_event(core->loop), &core->timer, CLOCK_MONOTONIC, 0, 1,
				    on_timer, core);

	if (err >= 0)
		err = sd_event_source_set_enabled(core->timer, SD_EVENT_OFF);
	return err < 0 ? err : 0;
}

/* The policy says when it next wants to see the time. */
static void arm_timer(struct fid_core *core)
{
	uint64_t due_ns = finf_policy_deadline(core->policy);

	if (due_ns != UINT64_MAX)
		sd_event_source_set_time(core->timer, due_ns / 1000 + 1);
	sd_event_source_set_enabled(core->timer,
				    due_ns == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static void one_step(struct fid_core *core, const struct finf_event *event)
{
	struct finf_action actions[FINF_POLICY_ACTIONS_MAX];
	uint64_t now_ns = finf_now_ns();
	int n = finf_policy_step(core->policy, event, now_ns, actions);

	if (n < 0) {
		fid_log(FID_ERROR, "policy refused event=%s model=%" PRIu32 " id=%" PRIu64,
			finf_event_kind_text((enum finf_event_kind)event->kind), event->model,
			event->id);
		return;
	}
	fid_record(core, event, now_ns, actions, n);
	for (int i = 0; i < n; i++) {
		fid_decide(core, &actions[i], now_ns);
		apply(core, &actions[i]);
	}
}

/* Actions may cause events at once: they queue up behind, never inside. */
void fid_step(struct fid_core *core, struct finf_event event)
{
	if (core->stopping)
		return;
	assert(core->n_events < FID_PENDING_EVENTS);
	core->events[core->n_events++] = event;
	if (core->stepping)
		return;
	core->stepping = true;
	do {
		for (uint32_t i = 0; i < core->n_events; i++) {
			struct finf_event next = core->events[i];

			one_step(core, &next);
		}
		/* More than fits one step, or a run that waited for its load to be started. */
		core->events[0] = (struct finf_event){.kind = FINF_EV_TICK};
		core->n_events = finf_policy_deadline(core->policy) == 0;
	} while (core->n_events);
	core->stepping = false;
	if (!core->compacting)
		finf_mem_stats(core->mem, &core->mem_stats);
	arm_timer(core);
}
