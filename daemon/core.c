/* SPDX-License-Identifier: MIT */
/* daemon/core: making and ending it, draining, and looking at it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/op.h"

static void log_line(void *ctx, const char *line)
{
	(void)ctx;
	fid_log(FID_DEBUG, "%s", line);
}

int fid_loader_new(struct fid_core *core, struct finf_diag *diag)
{
	struct finf_loader_opts opts = {.size = sizeof(opts)};

	return finf_loader_new(core->dev, &core->pool, &opts, &core->loader, diag);
}

static int open_device(struct fid_core *core, const struct fid_core_opts *opts,
		       struct finf_diag *diag)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	int err;

	core->threads = opts->threads ? opts->threads : (uint32_t)FINF_MAX(cores, 1L);
	err = core->dev ? 0 : finf_device_open(opts->device ? opts->device : "host", &core->dev, diag);
	if (!err)
		err = finf_device_pool_new(core->dev, opts->pool_bytes, opts->pool_mode, &core->pool,
					   diag);
	if (!err)
		err = finf_mem_new(core->dev, &core->pool, &core->mem);
	if (!err)
		err = fid_loader_new(core, diag);
	return err;
}

static int open_policy(struct fid_core *core, const struct fid_core_opts *opts,
		       struct finf_diag *diag)
{
	struct finf_policy_opts policy = {
		.size = sizeof(policy),
		.pool_bytes = core->pool.bytes / FINF_ARENA_ALIGN * FINF_ARENA_ALIGN,
		.models_max = FID_MODELS_MAX,
		.requests_max = FID_REQUESTS_MAX,
		.runs_max = 1,
		.loads_max = 1,
		.prefetch_bytes = opts->prefetch_bytes,
	};
	int err;

	core->prefetch_bytes = policy.prefetch_bytes;
	err = finf_policy_new(&policy, &core->policy, diag);

	return err ? err : fid_record_open(core, opts->record, &policy, diag);
}

static int alloc_tables(struct fid_core *core)
{
	for (uint32_t i = 0; i < SLOTS; i++)
		core->slots[i].next_free = i + 1;
	core->events = calloc(FID_PENDING_EVENTS, sizeof(*core->events));
	core->deferred = calloc(2 * FID_MODELS_MAX, sizeof(*core->deferred));
	core->decisions = calloc(FID_EVENTS_KEPT, sizeof(*core->decisions));
	return core->events && core->deferred && core->decisions ? 0 : -ENOMEM;
}

int fid_core_new(const struct fid_core_opts *opts, struct fid_loop *loop,
		 struct fid_core **ret_core, struct finf_diag *diag)
{
	struct fid_core *core = calloc(1, sizeof(*core));
	int err;

	if (!core) {
		finf_device_close(opts->opened);
		return -ENOMEM;
	}
	core->dev = opts->opened;
	finf_set_log(log_line, NULL);
	core->loop = loop;
	core->record_fd = -1;
	pthread_mutex_init(&core->fault.device_lock, NULL);
	pthread_mutex_init(&core->fault.close_lock, NULL);
	pthread_mutex_init(&core->fast.lock, NULL);
	core->metrics = opts->metrics;
	core->started_ns = finf_now_ns();
	err = alloc_tables(core);
	if (!err)
		err = fid_catalogue_open(opts->root, &core->cat, diag);
	if (!err)
		err = open_device(core, opts, diag);
	if (!err)
		err = open_policy(core, opts, diag);
	if (!err)
		err = fid_timer_new(core);
	if (!err)
		err = fid_worker_new(loop, "fid-exec", &core->exec);
	if (!err)
		err = fid_worker_new(loop, "fid-background", &core->background);
	if (!err)
		err = fid_fast_new(core, opts->fast_forms);
	if (!err)
		err = fid_prepare_all(core, diag);
	if (err) {
		if (diag && !diag->text[0])
			finf_diag_set(diag, err, "cannot start: %s", strerror(-err));
		fid_core_free(core);
		return err;
	}
	finf_mem_stats(core->mem, &core->mem_stats);
	*ret_core = core;
	return 0;
}

static void free_model(struct fid_core *core, struct fid_model *model)
{
	finf_load_unref(model->load);
	if (model->extent)
		finf_mem_extent_give(core->mem, model->extent);
	fid_fast_forget(core, model);
	fid_members_close(model);
	finf_model_close(model->model);
	free(model);
}

/* Whoever is still owed an answer gets one. */
static void end_everything(struct fid_core *core)
{
	fid_loop_deliver(core->loop);
	fid_fault_release(core);
	fid_end_waiting(core);
	for (uint32_t i = 0; i < SLOTS; i++) {
		if (core->slots[i].kind == SLOT_REQUEST)
			fid_request_end(core, core->slots[i].request, -ESHUTDOWN);
		else if (core->slots[i].kind == SLOT_OP)
			fid_op_end(core->slots[i].op, -ESHUTDOWN, "fid is shutting down");
	}
}

void fid_core_free(struct fid_core *core)
{
	if (!core)
		return;
	core->stopping = true;
	core->drained = NULL;
	/* Threads first: what they finish is delivered by one last pass of the loop. */
	fid_fast_stop(core);
	fid_worker_free(core->background);
	fid_worker_free(core->exec);
	finf_loader_free(core->loader);
	end_everything(core);
	for (uint32_t i = 0; i < FID_MODELS_MAX; i++)
		if (core->models[i])
			free_model(core, core->models[i]);
	sd_event_source_unref(core->timer);
	finf_policy_free(core->policy);
	finf_mem_free(core->mem);
	if (core->dev && core->pool.base)
		finf_device_pool_free(core->dev, &core->pool);
	finf_device_close(core->dev);
	fid_catalogue_close(core->cat);
	if (core->record_fd >= 0)
		close(core->record_fd);
	finf_set_log(NULL, NULL);
	pthread_mutex_destroy(&core->fast.lock);
	pthread_mutex_destroy(&core->fault.close_lock);
	pthread_mutex_destroy(&core->fault.device_lock);
	free(core->events);
	free(core->deferred);
	free(core->decisions);
	free(core);
}

void fid_busy_end(struct fid_core *core)
{
	core->busy--;
	if (!core->busy && core->drained) {
		void (*drained)(void *ctx) = core->drained;

		core->drained = NULL;
		drained(core->drained_ctx);
	}
}

void fid_core_drain(struct fid_core *core, void (*drained)(void *ctx), void *ctx)
{
	core->draining = true;
	core->drained = drained;
	core->drained_ctx = ctx;
	core->busy++; /* ours, so that what ends at once is not missed */
	fid_step(core, (struct finf_event){.kind = FINF_EV_DRAIN});
	fid_busy_end(core);
}

static void fill_info(struct fid_core *core, const struct fid_model *model,
		      struct fid_model_info *ret)
{
	*ret = (struct fid_model_info){
		.index = model->index,
		.version = model->version,
		.state = model->state,
		.file_bytes = model->file_bytes,
		.model = model->model,
		.last_load = model->last_load,
	};
	memcpy(ret->name, model->name, sizeof(ret->name));
	if (model->state == FID_MODEL_FAILED)
		snprintf(ret->error, sizeof(ret->error), "%.255s", model->diag.text);
	if (model->state != FID_MODEL_READY)
		return;
	finf_policy_model(core->policy, model->index, &ret->policy);
	finf_policy_why(core->policy, model->index, &ret->why);
	finf_policy_fast(core->policy, model->index, &ret->fast);
	ret->lean = fid_fast_lean(model);
	ret->lean_run_ns = model->lean_run_ns;
	ret->fast_run_ns = model->fast_run_ns;
	if (ret->why.other < FID_MODELS_MAX && core->models[ret->why.other])
		fid_model_label(core->models[ret->why.other], ret->why_other,
				sizeof(ret->why_other));
	/* People want the model's bytes, not what the pool rounds them to. */
	ret->policy.weight_bytes = finf_model_weight_bytes(model->model);
	ret->policy.arena_bytes = finf_model_arena_bytes(model->model);
}

int fid_core_find(struct fid_core *core, const char *name, struct fid_model_info *ret)
{
	const struct fid_model *model;
	int err;

	model = fid_model_find(core, name, &err);
	if (model)
		fill_info(core, model, ret);
	return err;
}

void fid_core_list(struct fid_core *core,
		   void (*each)(void *ctx, const struct fid_model_info *info), void *ctx)
{
	struct fid_model_info info;

	for (uint32_t i = 0; i < FID_MODELS_MAX; i++) {
		if (!core->models[i] || core->models[i]->importing)
			continue;
		fill_info(core, core->models[i], &info);
		each(ctx, &info);
	}
}

void fid_core_stats(struct fid_core *core, struct fid_core_stats *ret)
{
	*ret = (struct fid_core_stats){
		.started_ns = core->started_ns,
		.mem = core->mem_stats,
		.device = core->dev->ops->name,
		.pool_mode = core->pool.mode,
		.pool_pages = core->pool.pages,
		.device_state = core->fault.state,
		.device_resets = core->fault.resets,
		.threads = core->threads,
		.draining = core->draining,
		.done = core->done,
		.failed = core->failed,
		.cold = core->cold,
		.loads = core->loads,
		.load_bytes = core->load_bytes,
		.load_ns = core->load_ns,
		.evictions = core->evictions,
		.evicted_bytes = core->evicted_bytes,
		.prefetch_budget_bytes = core->prefetch_bytes,
	};
	memcpy(ret->http, core->http, sizeof(ret->http));
	/* A device that is being reset is the exec thread's. */
	if (core->fault.state != FID_DEVICE_OK ||
	    finf_device_free_bytes(core->dev, &ret->device_free_bytes))
		ret->device_free_bytes = UINT64_MAX;
	finf_policy_bytes(core->policy, &ret->policy_weight_bytes, &ret->policy_arena_bytes);
	ret->fast_bytes = finf_policy_fast_bytes(core->policy);
	ret->fast_forms = fid_fast_possible(core);
	finf_policy_prefetch(core->policy, &ret->prefetch);
	if (finf_device_target(core->dev, core->threads, ret->target, sizeof(ret->target)))
		ret->target[0] = 0;
	if (core->fault.state == FID_DEVICE_GONE)
		snprintf(ret->device_error, sizeof(ret->device_error), "%.255s",
			 core->fault.diag.text);
	if (core->loader)
		finf_loader_describe(core->loader, ret->loader, sizeof(ret->loader));
	for (uint32_t i = 0; i < FID_MODELS_MAX; i++) {
		struct finf_policy_model state;

		if (!core->models[i] || core->models[i]->importing)
			continue;
		ret->known++;
		if (core->models[i]->state != FID_MODEL_READY)
			continue;
		finf_policy_model(core->policy, i, &state);
		ret->resident += state.residency == FINF_RESIDENT || state.residency == FINF_RUNNING;
		ret->loading += state.residency == FINF_LOADING;
		ret->queued += state.queued;
		ret->running += state.running;
	}
}

struct fid_metrics *fid_core_metrics(struct fid_core *core)
{
	return core->metrics;
}

void fid_core_http(struct fid_core *core, const char *address)
{
	snprintf(core->http, sizeof(core->http), "%s", address);
}
