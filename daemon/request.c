/* SPDX-License-Identifier: MIT */
/* daemon/core: one inference from arrival to answer. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core_priv.h"
#include "graph/member.h"

/* Waking two threads takes longer than that, above all on virtual machines that idle. */
#define BRIEF_RUN_NS 10000u

static struct fid_request *request_of_job(struct fid_job *job)
{
	return (struct fid_request *)((char *)job - offsetof(struct fid_request, job));
}

static void count(struct fid_core *core, const struct fid_request *request)
{
	const struct fid_model *model = request->model;
	bool ran = request->run_ns != 0;

	fid_metrics_request(core->metrics,
			    &(struct fid_metrics_request){
				    .model = model ? model->index : FINF_MODEL_NONE,
				    .name = model ? model->name : "",
				    .version = model ? model->version : 0,
				    .result = request->result,
				    .cold = request->cold,
				    .ran = ran,
				    .queue_ns = ran ? request->run_ns - request->arrived_ns : 0,
				    .load_ns = request->load_ns,
				    .run_ns = ran ? request->done_ns - request->run_ns : 0,
			    });
}

void fid_request_end(struct fid_core *core, struct fid_request *request, int result)
{
	if (request->id)
		fid_slot_give(core, request->id);
	request->id = 0;
	request->result = result;
	request->done_ns = finf_now_ns();
	core->done += !result;
	core->failed += result != 0;
	core->cold += request->cold;
	if (request->cold && !result)
		request->load_ns = request->model->last_load.ns;
	count(core, request);
	request->done(request);
	fid_busy_end(core);
}

/* ---- on the executing thread ------------------------------------------------- */

static int bind_request(struct fid_request *request, struct finf_model *model)
{
	return finf_model_bind(model, request->inputs, request->n_inputs,
			       &request->binding, &request->diag);
}

static void bind_work(struct fid_job *job)
{
	struct fid_request *request = request_of_job(job);

	request->result = bind_request(request, request->target);
	if (!request->result)
		request->arena_bytes = finf_binding_arena_bytes(request->binding);
}

/* What was allocated stays with the request, also when a later one fails. */
static int allocate_outputs(struct fid_request *request)
{
	for (uint32_t i = 0; i < request->n_wanted; i++) {
		struct finf_tensor *output = &request->outputs[request->output_at[i]];
		struct finf_port port;
		size_t bytes;
		int err;

		finf_binding_output(request->binding, request->output_at[i], &port);
		err = finf_tensor_bytes(port.dtype, &port.shape, &bytes);
		if (err)
			return err;
		output->data = malloc(FINF_MAX(bytes, (size_t)1));
		if (!output->data)
			return -ENOMEM;
		output->bytes = bytes;
	}
	return 0;
}

static void run_work(struct fid_job *job)
{
	struct fid_request *request = request_of_job(job);
	struct finf_run run = {
		.size = sizeof(run),
		.weights = request->weights,
		.grown = request->grown,
		.load = request->load,
		.inputs = request->inputs,
		.outputs = request->outputs,
		.n_inputs = request->n_inputs,
		.n_outputs = request->n_outputs,
		.deadline_ns = request->deadline_ns,
	};

	request->run_ns = finf_now_ns();
	request->result = bind_request(request, request->runner);
	if (!request->result && request->allocate)
		request->result = allocate_outputs(request);
	if (!request->result) {
		/* Not the whole zone: where a shape has its arena must not hang on who else is there. */
		run.arena = request->zone_end -
			    fid_zone_bytes(finf_binding_arena_bytes(request->binding));
		request->result = finf_binding_run(request->binding, &run, &request->diag);
	}
	request->done_ns = finf_now_ns();
}

/* ---- on the loop ---------------------------------------------------------------- */

/* Is every dimension that may vary 1? Then the model's own plan serves. */
static bool default_shapes(const struct fid_request *request)
{
	const struct finf_graph *graph = finf_model_graph(request->target);

	for (uint32_t i = 0; i < request->n_inputs; i++) {
		const struct finf_shape *want = &graph->values[graph->inputs[i]].shape;
		const struct finf_shape *have = &request->inputs[i].shape;

		for (uint32_t d = 0; d < want->rank; d++)
			if (want->dim[d] == FINF_DIM_ANY && have->dim[d] != 1)
				return false;
	}
	return true;
}

/* Means of the last few runs, which is how the two forms are compared. */
static void note_run(struct fid_model *model, const struct fid_request *request)
{
	uint64_t *mean = request->grown ? &model->fast_run_ns : &model->lean_run_ns;
	uint64_t ns = request->done_ns - request->run_ns;

	if (request->result || request->load || request->target != model->model ||
	    !default_shapes(request))
		return;
	*mean = *mean ? *mean - *mean / 8 + ns / 8 : ns;
	if (request->watched)
		fid_fast_ran(model->core, model, ns);
}

static void run_finish(struct fid_job *job)
{
	struct fid_request *request = request_of_job(job);
	struct fid_model *model = request->model;
	struct fid_core *core = model->core;
	uint64_t id = request->id;
	bool cancelled = request->cancelled;

	request->running = false;
	note_run(model, request);
	finf_load_unref(request->load);
	request->load = NULL;
	fid_fault_check(core, request->result);
	fid_step(core, (struct finf_event){.kind = FINF_EV_RAN,
					   .id = id,
					   .model = model->index,
					   .a = (uint64_t)-request->result});
	/* The policy keeps silent about what was cancelled; the owner still waits. */
	if (cancelled)
		fid_request_end(core, request, -ECANCELED);
	fid_model_heal(core, model);
}

void fid_request_run(struct fid_core *core, struct fid_request *request, uint64_t zone_bytes)
{
	struct fid_model *model = request->model;

	request->running = true;
	request->runner = request->target;
	request->weights = finf_mem_address(core->mem, model->extent);
	request->grown = NULL;
	request->watched = model->fast_ready && request->target == model->model &&
			   default_shapes(request);
	if (request->watched && !finf_watch_next(&model->fast_watch)) {
		request->runner = model->fast;
		request->grown = finf_mem_address(core->mem, model->fast_extent);
	}
	request->zone_end = (char *)finf_mem_arena(core->mem, zone_bytes) + zone_bytes;
	request->load = model->load;
	if (request->load) {
		finf_load_ref(request->load);
		request->cold = true;
	}
	request->job.work = run_work;
	request->job.finish = run_finish;
	request->job.brief =
		!request->load && finf_model_plan(request->runner)->est_ns <= BRIEF_RUN_NS;
	fid_worker_add(core->exec, &request->job);
}

static struct fid_member *member_of(const struct fid_request *request)
{
	struct fid_member *member = request->model->members;

	while (member->model != request->target)
		member++;
	return member;
}

static void queue_request(struct fid_core *core, struct fid_request *request)
{
	struct finf_policy_model state;

	request->id = fid_slot_take(core, SLOT_REQUEST, request);
	if (!request->id) {
		finf_diag_set(&request->diag, -EAGAIN, "too many requests at a time");
		fid_request_end(core, request, -EAGAIN);
		return;
	}
	finf_policy_model(core->policy, request->model->index, &state);
	request->cold = state.residency == FINF_COLD || state.residency == FINF_LOADING ||
			state.residency == FINF_EVICTING;
	/* A group comes for its first asker: the whole, or a member before the others. */
	if (state.residency == FINF_COLD && !state.queued)
		request->model->first = *request->member ? request->target : NULL;
	fid_step(core, (struct finf_event){.kind = FINF_EV_REQUEST,
					   .id = request->id,
					   .model = request->model->index,
					   .a = request->deadline_ns,
					   .b = fid_zone_bytes(request->arena_bytes)});
}

static void bind_finish(struct fid_job *job)
{
	struct fid_request *request = request_of_job(job);
	struct fid_core *core = request->model->core;

	request->running = false;
	request->model->binds--;
	fid_fault_check(core, request->result);
	if (!request->result && *request->member)
		member_of(request)->bound = true;
	if (core->stopping)
		fid_request_end(core, request, -ESHUTDOWN);
	else if (request->cancelled)
		fid_request_end(core, request, -ECANCELED);
	else if (request->result)
		fid_request_end(core, request, request->result);
	else
		queue_request(core, request);
}

/* Requested outputs by name or position -> the model's order; the rest is not wanted. */
static int match_outputs(struct fid_request *request, const struct finf_graph *graph)
{
	struct finf_tensor ordered[FID_TENSORS_MAX] = {0};

	for (uint32_t i = 0; i < request->n_outputs; i++) {
		const struct finf_tensor *given = &request->outputs[i];
		uint32_t at = i;

		if (given->name)
			for (at = 0; at < graph->n_outputs; at++)
				if (!strcmp(graph->values[graph->outputs[at]].name, given->name))
					break;
		if (at >= graph->n_outputs)
			return finf_diag_set(&request->diag, -EINVAL,
					     "%s has no output \"%s\" (number %" PRIu32 " of %" PRIu32 ")",
					     request->model->name, given->name ? given->name : "", i,
					     graph->n_outputs);
		if (ordered[at].name)
			return finf_diag_set(&request->diag, -EINVAL, "output \"%s\" is asked for twice",
					     graph->values[graph->outputs[at]].name);
		ordered[at] = *given;
		ordered[at].name = graph->values[graph->outputs[at]].name;
		request->output_at[i] = at;
	}
	request->n_wanted = request->n_outputs;
	request->n_outputs = graph->n_outputs;
	memcpy(request->outputs, ordered, graph->n_outputs * sizeof(ordered[0]));
	return 0;
}

/* Nothing named: everything, in the model's order. */
static void want_all(struct fid_request *request, const struct finf_graph *graph)
{
	request->n_outputs = graph->n_outputs;
	for (uint32_t i = 0; i < graph->n_outputs; i++)
		request->outputs[i] = (struct finf_tensor){.name = NULL};
}

static int find_target(struct fid_request *request)
{
	struct fid_model *model = request->model;
	const struct finf_graph *graph = finf_model_graph(model->model);
	uint32_t at;

	request->target = model->model;
	if (!*request->member)
		return 0;
	at = finf_graph_member_find(graph, request->member);
	if (at < model->n_members)
		request->target = model->members[at].model;
	if (at < model->n_members)
		return 0;
	return finf_diag_set(&request->diag, at == FINF_NONE ? -ENOENT : -EOPNOTSUPP,
			     !graph->n_members ? "%s is no group, it has no member %s"
			     : at == FINF_NONE ? "%s has no member %s"
					       : "%s: its member %s cannot be run alone",
			     model->name, request->member);
}

static int match(struct fid_request *request)
{
	const struct finf_model *model = request->target;
	const struct finf_graph *graph = finf_model_graph(model);
	struct finf_tensor ordered[FID_TENSORS_MAX];
	int err;

	if (graph->n_inputs > FID_TENSORS_MAX || graph->n_outputs > FID_TENSORS_MAX)
		return finf_diag_set(&request->diag, -EOPNOTSUPP, "%s has more than %d inputs or outputs",
				     request->model->name, FID_TENSORS_MAX);
	err = finf_model_match(model, false, request->inputs, request->n_inputs, ordered,
			       &request->diag);
	if (err)
		return err;
	memcpy(request->inputs, ordered, graph->n_inputs * sizeof(ordered[0]));
	request->n_inputs = graph->n_inputs;
	if (request->allocate && !request->n_outputs)
		want_all(request, graph);
	return match_outputs(request, graph);
}

/* The model is ready or failed by now. */
void fid_request_admit(struct fid_core *core, struct fid_request *request)
{
	int err;

	request->waiting = false;
	if (request->cancelled) {
		fid_request_end(core, request, -ECANCELED);
		return;
	}
	if (request->model->state == FID_MODEL_FAILED) {
		request->diag = request->model->diag;
		fid_request_end(core, request, -EBADMSG);
		return;
	}
	err = find_target(request);
	if (!err)
		err = match(request);
	if (err) {
		fid_request_end(core, request, err);
		return;
	}
	if (default_shapes(request) && (!*request->member || member_of(request)->bound)) {
		request->arena_bytes = finf_model_arena_bytes(request->target);
		queue_request(core, request);
		return;
	}
	/* Only the executing thread may touch the model's sessions. */
	request->running = true;
	request->model->binds++;
	/* While its shapes are planned, its weights can come. */
	fid_metrics_arrival(core->metrics, FINF_ARRIVAL_FID);
	if (*request->member && !request->model->first)
		request->model->first = request->target;
	fid_step(core, (struct finf_event){.kind = FINF_EV_ARRIVAL,
					   .model = request->model->index,
					   .a = FINF_ARRIVAL_FID});
	request->job.brief = false;
	request->job.work = bind_work;
	request->job.finish = bind_finish;
	fid_worker_add(core->exec, &request->job);
}

/* "MODEL" or "MODEL/MEMBER". */
static struct fid_model *find_model(struct fid_core *core, const char *name,
				    struct fid_request *request, int *ret_err)
{
	char model[160];
	size_t len;

	request->member[0] = 0;
	if (!strchr(name, '/'))
		return fid_model_find(core, name, ret_err);
	if (!finf_target_ok(name, &len) || len >= sizeof(model)) {
		*ret_err = -EINVAL;
		return NULL;
	}
	memcpy(model, name, len);
	model[len] = 0;
	snprintf(request->member, sizeof(request->member), "%s", name + len + 1);
	return fid_model_find(core, model, ret_err);
}

void fid_core_request(struct fid_core *core, const char *name, struct fid_request *request)
{
	struct fid_model *model;
	int err = 0;

	request->id = 0;
	request->model = NULL;
	request->version = 0;
	request->arrived_ns = finf_now_ns();
	request->run_ns = request->load_ns = 0;
	request->cold = request->running = request->cancelled = request->waiting = false;
	request->load = NULL;
	request->binding = NULL;
	request->diag.text[0] = 0;
	core->busy++;
	model = find_model(core, name, request, &err);
	if (core->draining)
		err = finf_diag_set(&request->diag, -ESHUTDOWN, "fid is shutting down");
	else if (err)
		finf_diag_set(&request->diag, err, err == -ENOENT ? "no model named %s"
								  : "not a model name: %s", name);
	if (err) {
		fid_request_end(core, request, err);
		return;
	}
	request->model = model;
	request->version = model->version;
	if (model->state == FID_MODEL_PREPARING) {
		request->waiting = true;
		request->next_waiting = NULL;
		*model->waiting_last = request;
		model->waiting_last = &request->next_waiting;
		return;
	}
	fid_request_admit(core, request);
}

void fid_core_cancel(struct fid_core *core, struct fid_request *request)
{
	request->cancelled = true;
	if (request->waiting)
		return; /* it ends when the model is prepared */
	if (request->id)
		fid_step(core, (struct finf_event){.kind = FINF_EV_CANCEL, .id = request->id});
	if (!request->running)
		fid_request_end(core, request, -ECANCELED);
}
