/* SPDX-License-Identifier: MIT */
/* daemon/core: models by name and version, and the commands that change them. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/core_priv.h"
#include "daemon/log.h"

/* ---- names ------------------------------------------------------------------ */

static struct fid_model **bucket_of(struct fid_core *core, const char *name, size_t len)
{
	return &core->buckets[finf_hash64(name, len) % NAME_BUCKETS];
}

/* Newest of a name, or exactly @version; with @hidden also those being imported. */
static struct fid_model *lookup(struct fid_core *core, const char *name, size_t len,
				uint32_t version, bool hidden)
{
	struct fid_model *best = NULL;

	for (struct fid_model *m = *bucket_of(core, name, len); m; m = m->next_in_bucket) {
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
	struct fid_model **bucket = bucket_of(core, name, strlen(name)), *model;
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

static void fid_model_drop(struct fid_core *core, struct fid_model *model)
{
	struct fid_model **at = bucket_of(core, model->name, strlen(model->name));

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

static struct fid_op *op_new(struct fid_core *core, struct fid_model *model, fid_command_fn done,
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

/* Frees @op; its model may be gone already when @op->model is NULL. */
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

/* ---- preparing: at start, and at the end of an import ----------------------------- */

static void command_issue(struct fid_op *op);

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

		command_issue(op);
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

static struct fid_op *op_of_job(struct fid_job *job)
{
	return (struct fid_op *)((char *)job - offsetof(struct fid_op, job));
}

static void prepare_work(struct fid_job *job)
{
	struct fid_op *op = op_of_job(job);

	pthread_mutex_lock(&op->core->fault.device_lock);
	op->result = fid_catalogue_prepare(op->core->cat, op->core->dev, op->core->threads,
					   op->core->pool.bytes, op->model->name, op->model->version, op->model->damaged,
					   &op->opened, &op->file_bytes, &op->diag);
	op->lean = fid_catalogue_lean(op->core->cat, op->model->name, op->model->version);
	pthread_mutex_unlock(&op->core->fault.device_lock);
}

/* Nothing more is decided: whatever the job did or did not do, it ends here. */
static bool stopped(struct fid_op *op)
{
	if (!op->core->stopping)
		return false;
	finf_model_close(op->opened);
	fid_op_end(op, -ESHUTDOWN, "fid is shutting down");
	return true;
}

static void prepare_finish(struct fid_job *job)
{
	struct fid_op *op = op_of_job(job);
	struct fid_model *model = op->model;

	if (stopped(op) || fid_fault_hold(op->core, op))
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
	if (stopped(op))
		return;
	op->resets = op->core->fault.resets;
	op->diag.text[0] = 0;
	op->job.work = prepare_work;
	op->job.finish = prepare_finish;
	fid_worker_add(op->core->background, &op->job);
}

static int prepare(struct fid_core *core, struct fid_model *model)
{
	struct fid_op *op = op_new(core, model, NULL, NULL);

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
	struct fid_op *op = op_of_job(job);
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
	struct fid_op *op = op_of_job(job);
	struct fid_core *core = op->core;
	struct fid_model *model = op->model;

	if (stopped(op))
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
		op = op_new(core, model, done, ctx);
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

/* ---- export ------------------------------------------------------------------------ */

static void export_work(struct fid_job *job)
{
	struct fid_op *op = op_of_job(job);

	op->result = fid_catalogue_export(op->core->cat, op->model->name, op->model->version,
					  &op->fd, &op->diag);
}

/* A removal of the model is behind us in the same worker's queue, so it is still there. */
static void export_finish(struct fid_job *job)
{
	struct fid_op *op = op_of_job(job);

	if (stopped(op))
		return;
	if (!op->result)
		*op->ret_fd = op->fd;
	fid_op_end(op, op->result, op->diag.text);
}

void fid_core_export(struct fid_core *core, const char *name, int *ret_fd, fid_command_fn done,
		     void *ctx)
{
	int err;
	struct fid_model *model = fid_model_find(core, name, &err);
	struct fid_op *op = model ? op_new(core, model, done, ctx) : NULL;

	if (!op) {
		done(ctx, model ? -ENOMEM : err, name,
		     model	      ? "out of memory"
		     : err == -ENOENT ? "no such model"
				      : "not a model name");
		return;
	}
	op->ret_fd = ret_fd;
	op->job.work = export_work;
	op->job.finish = export_finish;
	fid_worker_add(core->background, &op->job);
}

/* ---- optimize ---------------------------------------------------------------------- */

static void optimize_work(struct fid_job *job)
{
	struct fid_op *op = op_of_job(job);

	op->result = fid_catalogue_set_lean(op->core->cat, op->model->name, op->model->version,
					    op->lean, &op->diag);
}

/* As with an export, a removal is behind us in the worker's queue; its model may be leaving. */
static void optimize_finish(struct fid_job *job)
{
	struct fid_op *op = op_of_job(job);
	struct fid_model *model = op->model;

	if (stopped(op))
		return;
	if (!op->result) {
		model->lean = op->lean;
		if (model->state == FID_MODEL_READY && fid_fast_possible(op->core))
			fid_step(op->core, (struct finf_event){
				.kind = FINF_EV_OPTIMIZE, .model = model->index,
				.a = fid_fast_allowed(op->core, model)});
	}
	fid_op_end(op, op->result, op->diag.text);
}

static void optimize_issue(struct fid_op *op)
{
	op->job.work = optimize_work;
	op->job.finish = optimize_finish;
	fid_worker_add(op->core->background, &op->job);
}

/* ---- load, unload, pin, unpin -------------------------------------------------------- */

static const uint32_t command_events[] = {
	[FID_LOAD] = FINF_EV_LOAD,   [FID_UNLOAD] = FINF_EV_UNLOAD, [FID_PIN] = FINF_EV_PIN,
	[FID_UNPIN] = FINF_EV_PIN,   [FID_REMOVE] = FINF_EV_REMOVE,
};

/* The model is ready or failed by now. */
static void command_issue(struct fid_op *op)
{
	struct fid_core *core = op->core;
	char label[144], text[176];

	if (op->model->state == FID_MODEL_FAILED) {
		fid_op_end(op, -EBADMSG, op->model->diag.text);
		return;
	}
	if (op->command == FID_OPTIMIZE) {
		optimize_issue(op);
		return;
	}
	if (op->command == FID_AWAIT) {
		fid_op_end(op, 0, "");
		return;
	}
	if (op->command == FID_REMOVE && op->model->binds) {
		fid_model_label(op->model, label, sizeof(label));
		snprintf(text, sizeof(text), "%s is in use", label);
		fid_op_end(op, -EBUSY, text);
		return;
	}
	op->id = fid_slot_take(core, SLOT_OP, op);
	if (!op->id) {
		fid_op_end(op, -EAGAIN, "too many requests at a time");
		return;
	}
	fid_step(core, (struct finf_event){.kind = command_events[op->command],
					   .model = op->model->index,
					   .id = op->id,
					   .a = op->command == FID_PIN});
}

static void remove_versions(struct fid_core *core, const char *name, fid_command_fn done,
			    void *ctx);

static void command(struct fid_core *core, enum fid_command command, const char *name, bool lean,
		    fid_command_fn done, void *ctx)
{
	struct fid_model *model;
	struct fid_op *op;
	int err;

	model = fid_model_find(core, name, &err);
	if (!model) {
		done(ctx, err, name, err == -ENOENT ? "no such model" : "not a model name");
		return;
	}
	op = op_new(core, model, done, ctx);
	if (!op) {
		done(ctx, -ENOMEM, name, "out of memory");
		return;
	}
	op->command = command;
	op->lean = lean;
	if (model->state == FID_MODEL_PREPARING) {
		op->next = model->ops;
		model->ops = op;
		return;
	}
	command_issue(op);
}

void fid_core_command(struct fid_core *core, enum fid_command what, const char *name,
		      fid_command_fn done, void *ctx)
{
	if (what == FID_REMOVE)
		remove_versions(core, name, done, ctx);
	else
		command(core, what, name, false, done, ctx);
}

void fid_core_optimize(struct fid_core *core, const char *name, bool lean, fid_command_fn done,
		       void *ctx)
{
	command(core, FID_OPTIMIZE, name, lean, done, ctx);
}

/* ---- remove: one or every version of a name -------------------------------------------- */

struct fid_remove {
	fid_command_fn done;
	void *ctx;
	uint32_t left;
	int result;
	char name[144];
	char text[2048]; /* what was removed, or why not */
};

static void remove_part_end(struct fid_remove *group, int result, const char *label,
			    const char *text)
{
	size_t at = strlen(group->text);

	if (result && !group->result) {
		group->result = result;
		snprintf(group->text, sizeof(group->text), "%s", text);
	} else if (!group->result) {
		snprintf(group->text + at, sizeof(group->text) - at, "%s%s", at ? "," : "", label);
	}
	if (--group->left)
		return;
	group->done(group->ctx, group->result, group->name, group->text);
	free(group);
}

static void remove_work(struct fid_job *job)
{
	struct fid_op *op = op_of_job(job);

	op->result = fid_catalogue_remove(op->core->cat, op->model->name, op->model->version,
					  &op->diag);
}

static void remove_finish(struct fid_job *job)
{
	struct fid_op *op = op_of_job(job);
	struct fid_remove *group = op->group;
	struct fid_model *model = op->model;
	char label[144];

	fid_model_label(model, label, sizeof(label));
	if (op->core->stopping) {
		remove_part_end(group, -ESHUTDOWN, label, "fid is shutting down");
		fid_op_end(op, 0, "");
		return;
	}
	fid_log(FID_INFO, "remove model=%s result=\"%s\"", label,
		op->result ? op->diag.text : "ok");
	op->model = NULL;
	fid_model_drop(op->core, model);
	remove_part_end(group, op->result, label, op->diag.text);
	fid_op_end(op, 0, "");
}

/* The policy has let go of the model: nobody uses it. Now the disk. */
static void remove_from_disk(struct fid_core *core, struct fid_model *model,
			     struct fid_remove *group)
{
	struct fid_op *op = op_new(core, model, NULL, NULL);
	char label[144];

	fid_model_label(model, label, sizeof(label));
	if (!op) {
		remove_part_end(group, -ENOMEM, label, "out of memory");
		return;
	}
	model->state = FID_MODEL_GONE;
	model->importing = true; /* nobody finds it any more */
	op->group = group;
	op->job.work = remove_work;
	op->job.finish = remove_finish;
	fid_worker_add(core->background, &op->job);
}

struct remove_part {
	struct fid_core *core;
	struct fid_model *model;
	struct fid_remove *group;
};

static void remove_answered(void *ctx, int result, const char *label, const char *text)
{
	struct remove_part *part = ctx;

	if (result)
		remove_part_end(part->group, result, label, text);
	else
		remove_from_disk(part->core, part->model, part->group);
	free(part);
}

static void remove_one(struct fid_core *core, struct fid_model *model, struct fid_remove *group)
{
	struct remove_part *part;
	struct fid_op *op;

	if (model->state == FID_MODEL_FAILED) {
		remove_from_disk(core, model, group);
		return;
	}
	part = malloc(sizeof(*part));
	op = part ? op_new(core, model, remove_answered, part) : NULL;
	if (!op) {
		free(part);
		remove_part_end(group, -ENOMEM, model->name, "out of memory");
		return;
	}
	*part = (struct remove_part){core, model, group};
	op->command = FID_REMOVE;
	if (model->state == FID_MODEL_PREPARING) {
		op->next = model->ops;
		model->ops = op;
		return;
	}
	command_issue(op);
}

static void remove_versions(struct fid_core *core, const char *name, fid_command_fn done,
			    void *ctx)
{
	struct fid_remove *group;
	struct fid_model *model, *next;
	uint32_t version;
	size_t len;
	int err;

	if (!fid_model_find(core, name, &err)) {
		done(ctx, err, name, err == -ENOENT ? "no such model" : "not a model name");
		return;
	}
	finf_name_ok(name, &version, &len);
	group = calloc(1, sizeof(*group));
	if (!group) {
		done(ctx, -ENOMEM, name, "out of memory");
		return;
	}
	group->done = done;
	group->ctx = ctx;
	group->left = 1; /* ours: the group outlives parts that end at once */
	snprintf(group->name, sizeof(group->name), "%s", name);
	for (model = *bucket_of(core, name, len); model; model = next) {
		next = model->next_in_bucket;
		if (strlen(model->name) != len || memcmp(model->name, name, len) ||
		    model->importing || (version && model->version != version))
			continue;
		group->left++;
		remove_one(core, model, group);
	}
	if (group->left == 1) {
		group->done(group->ctx, group->result, group->name, group->text);
		free(group);
	} else {
		group->left--;
	}
}
