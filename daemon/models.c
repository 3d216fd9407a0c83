/* SPDX-License-Identifier: MIT */
/* daemon/core: models by name and version, how they come, and what an operation is. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/op.h"

/* ---- names ------------------------------------------------------------------ */

struct fid_model **fid_bucket_of(struct fid_core *core, const char *name, size_t len)
{
	return &core->buckets[finf_hash64(name, len) % NAME_BUCKETS];
}

/* Newest of a name, or exactly @version; with @hidden also those being imported. */
static struct fid_model *lookup(struct fid_core *core, const char *name, size_t len,
				uint32_t version, bool hidden)
{
	struct fid_model *best = NULL;

	for (struct fid_model *m = *fid_bucket_of(core, name, len); m; m = m->next_in_bucket) {
		if (strlen(m->name) != len || memcmp(m->name, name, len) || (m->importing && !hidden))
			continue;
		if (version ? m->version == version : !best || m->version > best->version)
			best = m;
	}
	return best;
}

struct fid_model *fid_model_find(struct fid_core *core, const char *name, int *ret_err)
{
	struct fid_model *model;
	uint32_t version;
	size_t len;

	if (!finf_name_ok(name, &version, &len)) {
		*ret_err = -EINVAL;
		return NULL;
	}
	model = lookup(core, name, len, version, false);
	*ret_err = model ? 0 : -ENOENT;
	return model;
}

void fid_core_watch(struct fid_core *core,
		    void (*changed)(void *ctx, const char *name, bool known, bool cold), void *ctx)
{
	core->watch = changed;
	core->watch_ctx = ctx;
}

void fid_model_changed(struct fid_core *core, const char *name)
{
	const struct fid_model *newest;

	if (!core->watch || core->stopping)
		return;
	newest = lookup(core, name, strlen(name), 0, false);
	core->watch(core->watch_ctx, name, newest != NULL, newest && !newest->extent);
}

int fid_core_arrival(struct fid_core *core, uint64_t name_hash, enum finf_arrival source,
		     uint64_t seen_ns)
{
	struct fid_model *newest = NULL, *m;
	bool cold;

	for (m = core->buckets[name_hash % NAME_BUCKETS]; m; m = m->next_in_bucket)
		if (!m->importing && finf_hash64(m->name, strlen(m->name)) == name_hash &&
		    (!newest || m->version > newest->version))
			newest = m;
	if (!newest)
		return -ENOENT;
	fid_metrics_arrival(core->metrics, source);
	if (newest->state != FID_MODEL_READY ||
	    (source == FINF_ARRIVAL_USDT && seen_ns < newest->left_ns))
		return 0;
	cold = !newest->extent;
	fid_step(core, (struct finf_event){.kind = FINF_EV_ARRIVAL, .model = newest->index, .a = source});
	return cold && newest->extent;
}

static int fid_model_add(struct fid_core *core, const char *name, uint32_t version,
			 struct fid_model **ret_model)
{
	struct fid_model **bucket = fid_bucket_of(core, name, strlen(name)), *model;
	uint32_t index = 0;

	while (index < FID_MODELS_MAX && core->models[index])
		index++;
	if (index == FID_MODELS_MAX)
		return -ENOSPC;
	model = calloc(1, sizeof(*model));
	if (!model)
		return -ENOMEM;
	snprintf(model->name, sizeof(model->name), "%s", name);
	model->version = version;
	model->index = index;
	model->core = core;
	model->last_offset = UINT64_MAX;
	model->waiting_last = &model->waiting;
	model->next_in_bucket = *bucket;
	*bucket = model;
	core->models[index] = model;
	core->n_models++;
	*ret_model = model;
	return 0;
}

void fid_members_close(struct fid_model *model)
{
	for (uint32_t i = 0; i < model->n_members; i++)
		finf_model_close(model->members[i].model);
	free(model->members);
	model->members = NULL;
	model->n_members = 0;
	model->first = NULL;
}

/* Only graphs: what it takes to run a member is made when one is asked for. */
static int open_members(struct fid_model *model)
{
	uint32_t n = finf_model_graph(model->model)->n_members;
	int err = 0;

	model->members = n ? calloc(n, sizeof(*model->members)) : NULL;
	if (n && !model->members)
		return -ENOMEM;
	while (!err && model->n_members < n) {
		err = finf_model_member(model->model, model->n_members,
					&model->members[model->n_members].model);
		model->n_members += !err;
	}
	if (err)
		fid_members_close(model);
	return err;
}

void fid_model_drop(struct fid_core *core, struct fid_model *model)
{
	struct fid_model **at = fid_bucket_of(core, model->name, strlen(model->name));

	while (*at != model)
		at = &(*at)->next_in_bucket;
	*at = model->next_in_bucket;
	fid_metrics_forget(core->metrics, model->index);
	core->models[model->index] = NULL;
	core->n_models--;
	fid_fast_forget(core, model);
	fid_members_close(model);
	fid_model_close(core, model->model);
	fid_model_changed(core, model->name);
	free(model);
}

/* ---- operations ---------------------------------------------------------------- */

struct fid_op *fid_op_new(struct fid_core *core, struct fid_model *model, fid_command_fn done,
			  void *ctx)
{
	struct fid_op *op = calloc(1, sizeof(*op));

	if (!op)
		return NULL;
	op->core = core;
	op->model = model;
	op->done = done;
	op->ctx = ctx;
	op->fd = -1;
	core->busy++;
	return op;
}

void fid_op_end(struct fid_op *op, int result, const char *text)
{
	struct fid_core *core = op->core;
	char label[144] = "";

	if (op->model)
		fid_model_label(op->model, label, sizeof(label));
	if (op->id)
		fid_slot_give(core, op->id);
	if (op->done)
		op->done(op->ctx, result, label, text);
	if (op->fd >= 0)
		close(op->fd);
	free(op);
	fid_busy_end(core);
}

struct fid_op *fid_op_of_job(struct fid_job *job)
{
	return (struct fid_op *)((char *)job - offsetof(struct fid_op, job));
}

/* Nothing more is decided. */
bool fid_op_stopped(struct fid_op *op)
{
	if (!op->core->stopping)
		return false;
	finf_model_close(op->opened);
	fid_op_end(op, -ESHUTDOWN, "fid is shutting down");
	return true;
}

/* ---- preparing: at start, and at the end of an import ----------------------------- */

/* Whoever waited for the model goes on, or hears why not. */
static void release_waiting(struct fid_core *core, struct fid_model *model)
{
	struct fid_request *request = model->waiting;
	struct fid_op *op = model->ops;

	model->waiting = NULL;
	model->waiting_last = &model->waiting;
	model->ops = NULL;
	while (request) {
		struct fid_request *next = request->next_waiting;

		fid_request_admit(core, request);
		request = next;
	}
	while (op) {
		struct fid_op *next = op->next;

		fid_command_issue(op);
		op = next;
	}
}

static void fid_model_ready(struct fid_core *core, struct fid_model *model,
			    struct finf_model *opened, uint64_t file_bytes)
{
	int err;

	model->model = opened;
	model->generation = ++core->generations;
	err = open_members(model);
	if (err) /* the whole group can be asked for, at least */
		fid_log(FID_WARNING, "prepare model=%s:%" PRIu32 " members=\"%s\"", model->name,
			model->version, strerror(-err));
	model->damaged = false;
	model->file_bytes = file_bytes;
	model->state = FID_MODEL_READY;
	model->importing = false;
	fid_step(core, (struct finf_event){.kind = FINF_EV_ADD,
					   .model = model->index,
					   .a = fid_extent_bytes(finf_model_weight_bytes(opened)),
					   .b = fid_zone_bytes(finf_model_arena_bytes(opened))});
	if (fid_fast_allowed(core, model))
		fid_step(core, (struct finf_event){
			.kind = FINF_EV_OPTIMIZE, .model = model->index, .a = 1});
	fid_model_changed(core, model->name);
	release_waiting(core, model);
}

/* At the very end: those that waited for models that will not be prepared. */
void fid_end_waiting(struct fid_core *core)
{
	for (uint32_t i = 0; i < FID_MODELS_MAX; i++) {
		struct fid_model *model = core->models[i];

		while (model && model->waiting) {
			struct fid_request *request = model->waiting;

			model->waiting = request->next_waiting;
			fid_request_end(core, request, -ESHUTDOWN);
		}
		while (model && model->ops) {
			struct fid_op *op = model->ops;

			model->ops = op->next;
			fid_op_end(op, -ESHUTDOWN, "fid is shutting down");
		}
	}
}

static void prepare_work(struct fid_job *job)
{
	struct fid_op *op = fid_op_of_job(job);

	pthread_mutex_lock(&op->core->fault.device_lock);
	op->result = fid_catalogue_prepare(op->core->cat, op->core->dev, op->core->threads,
					   op->core->pool.bytes, op->model->name, op->model->version, op->model->damaged,
					   &op->opened, &op->file_bytes, &op->diag);
	op->lean = fid_catalogue_lean(op->core->cat, op->model->name, op->model->version);
	pthread_mutex_unlock(&op->core->fault.device_lock);
}

static void prepare_finish(struct fid_job *job)
{
	struct fid_op *op = fid_op_of_job(job);
	struct fid_model *model = op->model;

	if (fid_op_stopped(op) || fid_fault_hold(op->core, op))
		return;
	if (op->result) {
		model->state = FID_MODEL_FAILED;
		model->diag = op->diag;
		fid_log(FID_WARNING, "prepare model=%s:%" PRIu32 " failed=\"%s\"", model->name,
			model->version, op->diag.text);
		release_waiting(op->core, model);
	} else {
		model->lean = op->lean;
		fid_model_ready(op->core, model, op->opened, op->file_bytes);
	}
	fid_op_end(op, op->result, op->diag.text);
}

void fid_prepare_again(struct fid_op *op)
{
	if (fid_op_stopped(op))
		return;
	op->resets = op->core->fault.resets;
	op->diag.text[0] = 0;
	op->job.work = prepare_work;
	op->job.finish = prepare_finish;
	fid_worker_add(op->core->background, &op->job);
}

static int prepare(struct fid_core *core, struct fid_model *model)
{
	struct fid_op *op = fid_op_new(core, model, NULL, NULL);

	if (!op)
		return -ENOMEM;
	model->state = FID_MODEL_PREPARING;
	fid_prepare_again(op);
	return 0;
}

/*
 * The tuned pack is a cache: when a load found it damaged it is made again from
 * the master, as soon as nobody uses the model. Who asks meanwhile, waits.
 */
void fid_model_heal(struct fid_core *core, struct fid_model *model)
{
	struct finf_policy_model state;

	if (!model->damaged || model->state != FID_MODEL_READY || core->stopping)
		return;
	finf_policy_model(core->policy, model->index, &state);
	if (state.residency != FINF_COLD || state.queued || state.running || model->binds)
		return;
	fid_step(core, (struct finf_event){.kind = FINF_EV_REMOVE, .model = model->index});
	fid_fast_forget(core, model);
	fid_members_close(model);
	fid_model_close(core, model->model);
	model->model = NULL;
	if (prepare(core, model)) {
		model->state = FID_MODEL_FAILED;
		finf_diag_set(&model->diag, -ENOMEM, "out of memory");
	}
}

static int prepare_found(void *ctx, const char *name, uint32_t version)
{
	struct fid_core *core = ctx;
	struct fid_model *model;
	int err = fid_model_add(core, name, version, &model);

	return err ? err : prepare(core, model);
}

int fid_prepare_all(struct fid_core *core, struct finf_diag *diag)
{
	return fid_catalogue_scan(core->cat, prepare_found, core, diag);
}

static void import_work(struct fid_job *job)
{
	struct fid_op *op = fid_op_of_job(job);
	struct fid_core *core = op->core;

	pthread_mutex_lock(&core->fault.device_lock);
	op->result = fid_catalogue_import(core->cat, core->dev, core->threads,
					  core->pool.bytes, op->fd, op->model->name, op->model->version, &op->diag);
	pthread_mutex_unlock(&core->fault.device_lock);
	if (op->result)
		return;
	prepare_work(job);
	/* What cannot be used is not kept: the client is told that the import failed. */
	if (op->result)
		fid_catalogue_remove(core->cat, op->model->name, op->model->version, NULL);
}

static void import_finish(struct fid_job *job)
{
	struct fid_op *op = fid_op_of_job(job);
	struct fid_core *core = op->core;
	struct fid_model *model = op->model;

	if (fid_op_stopped(op))
		return;
	fid_fault_check(core, op->result);
	fid_log(op->result ? FID_WARNING : FID_INFO, "import model=%s:%" PRIu32 " result=\"%s\"",
		model->name, model->version, op->result ? op->diag.text : "ok");
	if (op->result) {
		op->model = NULL;
		fid_model_drop(core, model);
	} else {
		fid_model_ready(core, model, op->opened, op->file_bytes);
	}
	fid_op_end(op, op->result, op->diag.text);
}

void fid_core_import(struct fid_core *core, const char *name, int fd, fid_command_fn done,
		     void *ctx)
{
	struct fid_model *newest, *model = NULL;
	struct fid_op *op = NULL;
	uint32_t version;
	int err = 0;

	if (!finf_name_ok(name, &version, NULL) || version)
		err = -EINVAL;
	else if (core->draining)
		err = -ESHUTDOWN;
	if (!err) {
		newest = lookup(core, name, strlen(name), 0, true);
		err = fid_model_add(core, name, newest ? newest->version + 1 : 1, &model);
	}
	if (!err) {
		op = fid_op_new(core, model, done, ctx);
		if (!op) {
			fid_model_drop(core, model);
			err = -ENOMEM;
		}
	}
	if (err) {
		close(fd);
		done(ctx, err, name,
		     err == -EINVAL	 ? "not a model name: [A-Za-z0-9][A-Za-z0-9._-]{0,127}"
		     : err == -ESHUTDOWN ? "fid is shutting down"
		     : err == -ENOSPC	 ? "too many models"
					 : "out of memory");
		return;
	}
	model->importing = true;
	op->fd = fd;
	op->job.work = import_work;
	op->job.finish = import_finish;
	fid_worker_add(core->background, &op->job);
}
