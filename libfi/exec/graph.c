/* SPDX-License-Identifier: MIT */
/*
 * exec/graph: the steps of a session captured by the device and launched as one
 * piece. A capture holds addresses, so it serves as long as weights and arena
 * lie where they lay; when they moved it is brought up to date.
 */
#include <errno.h>

#include "exec/priv.h"

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

static int capture(struct finf_session *session, const struct finf_run *run,
		   struct finf_diag *diag)
{
	struct finf_run steps = {
		.size = sizeof(steps),
		.weights = run->weights,
		.grown = run->grown,
		.arena = run->arena,
	};
	int err = finf_device_capture_begin(session->dev, diag);

	if (err)
		return err;
	err = finf_steps_launch(session, &steps, diag);
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
