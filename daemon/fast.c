/* SPDX-License-Identifier: MIT */
/*
 * daemon/core: larger, faster forms of weights. One thread, when nobody else wants to run, finds out
 * what a form takes and saves, and makes it in a second extent beside the model's own;
 * the loop hands it to runs between two of them and takes it away at any time:
 *
 *   PRICE -> [spare thread: open, measure, plan] -> PRICED
 *   GROW  -> extent -> [spare thread: master -> pieces -> extent] -> GROWN
 *   SHRINK -> extent free at once; pieces that still come are dropped
 *   SLOWER <- runs on it, of which now and then two go the lean way, were no faster
 *
 * What the thread works on is its own meanwhile: its model may be removed.
 */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <sched.h>
#include <string.h>

#include "daemon/core_priv.h"
#include "daemon/log.h"

static struct fid_core *core_of_fast(struct fid_job *job)
{
	return (struct fid_core *)((char *)job - offsetof(struct fid_core, fast.job));
}

static struct fid_model *model_of_fast(struct fid_core *core)
{
	struct fid_model *model = core->models[core->fast.index];

	return model && model->generation == core->fast.generation ? model : NULL;
}

bool fid_fast_possible(const struct fid_core *core)
{
	/* Forms are written by this processor, and measured by its clock. */
	return core->fast.on && core->pool.host_visible && finf_device_spreads(core->dev);
}

bool fid_fast_lean(const struct fid_model *model)
{
	const struct finf_graph *graph = model->model ? finf_model_graph(model->model) : NULL;

	return model->lean || (graph && graph->n_members && graph->schedule == FINF_ONE_BY_ONE);
}

bool fid_fast_allowed(const struct fid_core *core, const struct fid_model *model)
{
	return fid_fast_possible(core) && !fid_fast_lean(model);
}

/* ---- on the spare thread --------------------------------------------------------- */

/* Only what the processors have left over; whoever wakes up takes the core at once. */
static void rest(void)
{
	const struct sched_param none = {0};

	sched_setscheduler(0, SCHED_IDLE, &none);
}

static void price_work(struct fid_job *job)
{
	struct fid_core *core = core_of_fast(job);
	struct fid_fast *fast = &core->fast;
	struct finf_pack *tuned = NULL;

	rest();
	fast->result = fid_catalogue_packs(core->cat, core->dev, core->threads, fast->name,
					   fast->version, &tuned, NULL, &fast->diag);
	if (fast->result)
		return;
	fast->result = finf_model_open_grown(core->dev, tuned, core->threads,
					     core->pool.bytes, &fast->stop, &fast->form,
					     &fast->diag);
	if (fast->result)
		finf_pack_close(tuned);
	malloc_trim(0);
}

static int put_piece(void *ctx, uint64_t offset, const void *bytes, uint64_t n)
{
	struct fid_core *core = ctx;
	struct fid_fast *fast = &core->fast;
	int err = 0;

	pthread_mutex_lock(&fast->lock);
	if (!fast->to || atomic_load(&fast->stop))
		err = -ECANCELED;
	else if (n)
		memcpy(fast->to + offset, bytes, n);
	pthread_mutex_unlock(&fast->lock);
	return err;
}

static void grow_work(struct fid_job *job)
{
	struct fid_core *core = core_of_fast(job);
	struct fid_fast *fast = &core->fast;
	struct finf_pack *portable = NULL;

	rest();
	fast->result = fid_catalogue_packs(core->cat, core->dev, core->threads, fast->name,
					   fast->version, NULL, &portable, &fast->diag);
	if (!fast->result)
		fast->result = finf_model_grow(fast->form, portable, put_piece, core, &fast->diag);
	finf_pack_close(portable);
	malloc_trim(0); /* what whole weights took, which this thread's heap would keep */
}

/* ---- on the loop ------------------------------------------------------------------ */

static void start(struct fid_core *core, const struct fid_model *model,
		  void (*work)(struct fid_job *job), void (*finish)(struct fid_job *job))
{
	struct fid_fast *fast = &core->fast;

	fast->index = model->index;
	fast->generation = model->generation;
	memcpy(fast->name, model->name, sizeof(fast->name));
	fast->version = model->version;
	fast->began_ns = finf_now_ns();
	fast->diag.text[0] = 0;
	fast->result = -ECANCELED; /* in case nobody works on it any more */
	atomic_store(&fast->stop, false);
	fast->job.work = work;
	fast->job.finish = finish;
	fid_worker_add(fast->worker, &fast->job);
}

/* The form goes to its model, or ends with what was its model. */
static struct fid_model *hand_over(struct fid_core *core)
{
	struct fid_model *model = model_of_fast(core);

	if (model && !core->stopping)
		model->fast = core->fast.form;
	else
		finf_model_close(core->fast.form);
	core->fast.form = NULL;
	return core->stopping ? NULL : model;
}

/* Runs of the lean form tell what the device's prices are worth here. */
static uint64_t gain_ns(const struct fid_model *model)
{
	uint64_t lean_ns = model->lean_run_ns ? model->lean_run_ns
					      : finf_model_plan(model->model)->est_ns;
	double speed = finf_model_grown_speed(model->fast);

	return (uint64_t)((double)lean_ns * (1 - 1 / speed));
}

static void price_finish(struct fid_job *job)
{
	struct fid_core *core = core_of_fast(job);
	struct fid_fast *fast = &core->fast;
	struct finf_event event = {.kind = FINF_EV_PRICED, .model = fast->index};
	struct fid_model *model = hand_over(core);

	if (model && model->fast) {
		event.a = fid_extent_bytes(finf_model_grown_bytes(model->fast));
		event.b = fid_zone_bytes(finf_model_arena_bytes(model->fast));
		event.id = gain_ns(model);
		fid_log(FID_INFO, "fast model=%s:%" PRIu32 " bytes=%" PRIu64 " gain_us=%.1f ms=%.1f",
			model->name, model->version, event.a, (double)event.id / 1e3,
			(double)(finf_now_ns() - fast->began_ns) / 1e6);
	} else if (fast->result != -ENODATA) {
		event.b = (uint64_t)-fast->result;
		fid_metrics_fast(core->metrics, FID_FAST_FAILED);
		fid_log(FID_WARNING, "fast model=%s:%" PRIu32 " failed=\"%s\" reason=\"%s\"",
			fast->name, fast->version, strerror(-fast->result), fast->diag.text);
	}
	fid_step(core, event);
}

void fid_fast_price(struct fid_core *core, const struct finf_action *action)
{
	start(core, core->models[action->model], price_work, price_finish);
}

static void give_extent(struct fid_core *core, struct fid_model *model)
{
	if (model->fast_extent)
		finf_mem_extent_give(core->mem, model->fast_extent);
	model->fast_extent = NULL;
	model->fast_ready = false;
}

static void grow_finish(struct fid_job *job)
{
	struct fid_core *core = core_of_fast(job);
	struct fid_fast *fast = &core->fast;
	struct fid_model *model = hand_over(core);
	uint64_t ns = finf_now_ns() - fast->began_ns;

	if (!fast->to) /* given back meanwhile */
		fast->result = -ECANCELED;
	fast->to = NULL;
	if (!model) {
		fid_step(core, (struct finf_event){.kind = FINF_EV_GROWN, .model = fast->index,
						   .a = ECANCELED});
		return;
	}
	if (!fast->result) {
		model->fast_ready = true;
		finf_watch_init(&model->fast_watch, false, FINF_WATCH_RUNS, -FINF_WATCH_GAIN_PCT);
		fid_metrics_fast(core->metrics, FID_FAST_MADE);
		fid_log(FID_INFO, "fast model=%s:%" PRIu32 " made bytes=%" PRIu64 " ms=%.1f",
			model->name, model->version, model->fast_extent->bytes, (double)ns / 1e6);
	} else if (fast->result != -ECANCELED) {
		give_extent(core, model);
		fid_metrics_fast(core->metrics, FID_FAST_FAILED);
		fid_log(FID_WARNING, "fast model=%s:%" PRIu32 " failed=\"%s\" reason=\"%s\"",
			model->name, model->version, strerror(-fast->result), fast->diag.text);
	}
	fid_step(core, (struct finf_event){.kind = FINF_EV_GROWN,
					   .model = fast->index,
					   .a = (uint64_t)-fast->result});
}

void fid_fast_grow(struct fid_core *core, const struct finf_action *action)
{
	struct fid_model *model = core->models[action->model];
	int err = finf_mem_arena_reserve(core->mem, action->a);

	if (!err)
		err = finf_mem_extent_take(core->mem, action->b, model->index, UINT64_MAX,
					   &model->fast_extent);
	if (err) {
		fid_metrics_fast(core->metrics, FID_FAST_FAILED);
		fid_step(core, (struct finf_event){.kind = FINF_EV_GROWN,
						   .model = model->index,
						   .a = (uint64_t)-err});
		return;
	}
	core->fast.form = model->fast;
	model->fast = NULL;
	core->fast.to = finf_mem_address(core->mem, model->fast_extent);
	start(core, model, grow_work, grow_finish);
}

void fid_fast_shrink(struct fid_core *core, const struct finf_action *action)
{
	struct fid_model *model = core->models[action->model];

	/* The extents belong to the background thread until it has moved them. */
	if (core->compacting) {
		core->deferred[core->n_deferred++] = *action;
		return;
	}
	if (!model->fast_ready && model_of_fast(core) == model) {
		pthread_mutex_lock(&core->fast.lock);
		core->fast.to = NULL;
		pthread_mutex_unlock(&core->fast.lock);
	}
	fid_metrics_fast(core->metrics, FID_FAST_GIVEN_BACK);
	give_extent(core, model);
}

void fid_fast_ran(struct fid_core *core, struct fid_model *model, uint64_t ns)
{
	struct finf_watch *watch = &model->fast_watch;
	struct finf_event event = {.kind = FINF_EV_SLOWER, .model = model->index};

	if (!model->fast_ready || watch->other) /* gone meanwhile, or on its way */
		return;
	finf_watch_note(watch, ns);
	if (!watch->other)
		return;
	event.a = atomic_load(&watch->ns[0]);
	event.b = atomic_load(&watch->ns[1]);
	fid_metrics_fast(core->metrics, FID_FAST_SLOWER);
	fid_log(FID_INFO, "fast model=%s:%" PRIu32 " slower us=%.1f lean_us=%.1f", model->name,
		model->version, (double)event.a / 1e3, (double)event.b / 1e3);
	fid_step(core, event);
}

int fid_fast_new(struct fid_core *core, bool on)
{
	core->fast.on = on;
	return fid_worker_new(core->loop, "fid-spare", &core->fast.worker);
}

void fid_fast_stop(struct fid_core *core)
{
	atomic_store(&core->fast.stop, true);
	fid_worker_free(core->fast.worker);
	core->fast.worker = NULL;
}

void fid_fast_forget(struct fid_core *core, struct fid_model *model)
{
	give_extent(core, model);
	fid_model_close(core, model->fast);
	model->fast = NULL;
}
