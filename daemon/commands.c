/* SPDX-License-Identifier: MIT */
/* daemon/core: commands on models that are there: export, optimize, load, unload, pin, remove. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/op.h"

/* ---- export ------------------------------------------------------------------------ */

static void export_work(struct fid_job *job)
{
	struct fid_op *op = fid_op_of_job(job);

	op->result = fid_catalogue_export(op->core->cat, op->model->name, op->model->version,
					  &op->fd, &op->diag);
}

/* A removal of the model is behind us in the same worker's queue, so it is still there. */
static void export_finish(struct fid_job *job)
{
	struct fid_op *op = fid_op_of_job(job);

	if (fid_op_stopped(op))
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
	struct fid_op *op = model ? fid_op_new(core, model, done, ctx) : NULL;

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
	struct fid_op *op = fid_op_of_job(job);

	op->result = fid_catalogue_set_lean(op->core->cat, op->model->name, op->model->version,
					    op->lean, &op->diag);
}

/* As with an export, a removal is behind us in the worker's queue; its model may be leaving. */
static void optimize_finish(struct fid_job *job)
{
	struct fid_op *op = fid_op_of_job(job);
	struct fid_model *model = op->model;

	if (fid_op_stopped(op))
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

void fid_command_issue(struct fid_op *op)
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

static void issue_when_ready(struct fid_op *op)
{
	struct fid_model *model = op->model;

	if (model->state != FID_MODEL_PREPARING) {
		fid_command_issue(op);
		return;
	}
	op->next = model->ops;
	model->ops = op;
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
	op = fid_op_new(core, model, done, ctx);
	if (!op) {
		done(ctx, -ENOMEM, name, "out of memory");
		return;
	}
	op->command = command;
	op->lean = lean;
	issue_when_ready(op);
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
	struct fid_op *op = fid_op_of_job(job);

	op->result = fid_catalogue_remove(op->core->cat, op->model->name, op->model->version,
					  &op->diag);
}

static void remove_finish(struct fid_job *job)
{
	struct fid_op *op = fid_op_of_job(job);
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
	struct fid_op *op = fid_op_new(core, model, NULL, NULL);
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
	op = part ? fid_op_new(core, model, remove_answered, part) : NULL;
	if (!op) {
		free(part);
		remove_part_end(group, -ENOMEM, model->name, "out of memory");
		return;
	}
	*part = (struct remove_part){core, model, group};
	op->command = FID_REMOVE;
	issue_when_ready(op);
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
	for (model = *fid_bucket_of(core, name, len); model; model = next) {
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
