/* SPDX-License-Identifier: MIT */
/*
 * exec/graph: the steps of a session captured by the device and launched as one
 * piece. A capture holds addresses, so it serves as long as weights and arena
 * lie where they lay; when they moved it is brought up to date. Branches are
 * captured as such where the device can, so that it may run them side by side.
 */
#include <errno.h>

#include "device/capture.h"
#include "exec/priv.h"

/* What a step follows besides the one before it in its branch. */
struct finf_graph_step {
	uint32_t branch;
	uint32_t mark; /* behind it, for those that wait for it; FINF_NONE: nobody does */
	uint32_t *deps, n_deps;
};

/* Only of other branches: a branch goes on in its own order anyway. */
static int step_init(struct finf_session *session, const struct finf_step *from,
		     struct finf_graph_step *steps, struct finf_graph_step *to)
{
	to->branch = from->branch;
	to->mark = FINF_NONE;
	to->n_deps = from->n_deps;
	if (!from->n_deps)
		return 0;
	to->deps = finf_arena_dup(&session->arena, from->deps, from->n_deps * sizeof(*to->deps));
	if (!to->deps)
		return -ENOMEM;
	for (uint32_t i = 0; i < to->n_deps; i++)
		if (steps[to->deps[i]].mark == FINF_NONE)
			steps[to->deps[i]].mark = session->n_marks++;
	return 0;
}

int finf_graph_init(struct finf_session *session, const struct finf_plan *plan)
{
	int err = 0;

	session->n_branches = 1;
	if (plan->n_branches < 2 || !finf_device_captures_branches(session->dev))
		return 0;
	session->n_branches = plan->n_branches;
	session->graph_steps =
		finf_arena_array(&session->arena, plan->n_steps, sizeof(*session->graph_steps));
	if (!session->graph_steps)
		return -ENOMEM;
	for (uint32_t i = 0; i < plan->n_steps && !err; i++)
		err = step_init(session, &plan->steps[i], session->graph_steps,
				&session->graph_steps[i]);
	return err;
}

bool finf_graph_usable(const struct finf_session *session, const struct finf_run *run)
{
	/* Segments that are to come, callbacks and copies between steps cannot be captured. */
	return !run->load && !run->on_step && !session->never_capture && !session->copies_between &&
	       finf_device_captures(session->dev);
}

static void forget(struct finf_session *session)
{
	finf_device_captured_free(session->dev, session->captured);
	session->captured = NULL;
}

/* One step behind what it waits for. */
static int step_note(struct finf_session *session, const struct finf_run *run, uint32_t s,
		     struct finf_diag *diag)
{
	const struct finf_graph_step *step = &session->graph_steps[s];
	int err = finf_device_capture_branch(session->dev, step->branch);

	for (uint32_t i = 0; i < step->n_deps && !err; i++)
		err = finf_device_capture_await(session->dev,
						session->graph_steps[step->deps[i]].mark);
	if (!err)
		err = finf_step_run(session, run, &session->lane, s, session->steps[s].kernel,
				    diag);
	if (!err && step->mark != FINF_NONE)
		err = finf_device_capture_mark(session->dev, step->mark);
	return err;
}

static int steps_note(struct finf_session *session, const struct finf_run *run,
		      struct finf_diag *diag)
{
	int err = 0;

	if (!session->graph_steps)
		return finf_steps_launch(session, run, diag);
	for (uint32_t i = 0; i < session->n_steps && !err; i++)
		err = step_note(session, run, session->order[i], diag);
	return err;
}

static int capture(struct finf_session *session, const struct finf_run *run, struct finf_diag *diag)
{
	struct finf_run steps = {
		.size = sizeof(steps),
		.weights = run->weights,
		.grown = run->grown,
		.arena = run->arena,
	};
	int err = finf_device_capture_begin(session->dev, session->n_branches, session->n_marks,
					    diag);

	if (err)
		return err;
	err = steps_note(session, &steps, diag);
	if (err)
		finf_device_capture_end(session->dev, NULL, NULL);
	else
		err = finf_device_capture_end(session->dev, &session->captured, diag);
	if (err)
		return err;
	session->captured_weights = run->weights;
	session->captured_grown = run->grown;
	session->captured_arena = run->arena;
	return 0;
}

/* A device that has failed is no reason to do without captures on the next one. */
static int give_up(struct finf_session *session, struct finf_diag *why, struct finf_diag *diag)
{
	forget(session);
	if (finf_device_faulted(session->dev))
		return finf_diag_set(diag, -EREMOTEIO, "the device failed while capturing: %.400s",
				     why->text);
	session->never_capture = true;
	finf_log("exec: launching step by step, no capture: %s", why->text);
	return -EOPNOTSUPP;
}

static bool up_to_date(const struct finf_session *session, const struct finf_run *run)
{
	return session->captured && session->captured_weights == run->weights &&
	       session->captured_grown == run->grown && session->captured_arena == run->arena;
}

int finf_graph_launch(struct finf_session *session, const struct finf_run *run,
		      struct finf_diag *diag)
{
	struct finf_diag why = {""};
	int err = up_to_date(session, run) ? 0 : capture(session, run, &why);

	if (err)
		return give_up(session, &why, diag);
	err = finf_device_captured_run(session->dev, session->captured);
	if (err == -ESTALE) {
		forget(session); /* of the time before a reset */
		err = capture(session, run, &why);
		if (err)
			return give_up(session, &why, diag);
		err = finf_device_captured_run(session->dev, session->captured);
	}
	return err ? finf_diag_set(diag, err, "the run could not be launched on the device") : 0;
}
