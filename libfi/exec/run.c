/* SPDX-License-Identifier: MIT */
/* exec/run: one pass over the steps. Allocates nothing, reads a clock only when asked to. */
#include <errno.h>

#include "exec/priv.h"

static int check_port(const struct finf_port_slot *port, const char *what,
		      const struct finf_tensor *given, struct finf_diag *diag)
{
	char have[96], want[96];

	if (given->dtype == port->dtype && finf_shape_equal(&given->shape, &port->shape))
		return 0;
	return finf_diag_set(
		diag, -EINVAL, "%s '%s': given %s %s, expected %s %s", what, port->name,
		finf_dtype_name(given->dtype), finf_shape_text(&given->shape, have, sizeof(have)),
		finf_dtype_name(port->dtype), finf_shape_text(&port->shape, want, sizeof(want)));
}

static int check_inputs(const struct finf_session *session, const struct finf_run *run,
			struct finf_diag *diag)
{
	if (run->n_inputs != session->n_inputs)
		return finf_diag_set(diag, -EINVAL, "%u inputs given, %u expected", run->n_inputs,
				     session->n_inputs);
	for (uint32_t i = 0; i < session->n_inputs; i++) {
		const struct finf_port_slot *port = &session->inputs[i];
		const struct finf_tensor *given = &run->inputs[i];
		int err = check_port(port, "input", given, diag);

		if (err)
			return err;
		if (given->bytes < port->bytes || (!given->data && port->bytes))
			return finf_diag_set(
				diag, -EINVAL, "input '%s': %zu bytes given, %zu expected",
				port->name, given->data ? given->bytes : 0, port->bytes);
	}
	return 0;
}

static int check_outputs(const struct finf_session *session, const struct finf_run *run,
			 struct finf_diag *diag)
{
	if (run->n_outputs != session->n_outputs)
		return finf_diag_set(diag, -EINVAL, "%u outputs given, %u expected", run->n_outputs,
				     session->n_outputs);
	for (uint32_t i = 0; i < session->n_outputs; i++) {
		const struct finf_port_slot *port = &session->outputs[i];

		if (run->outputs[i].data && run->outputs[i].bytes < port->bytes)
			return finf_diag_set(diag, -ENOSPC,
					     "output '%s': room for %zu bytes, %zu needed",
					     port->name, run->outputs[i].bytes, port->bytes);
	}
	return 0;
}

static bool meet(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
	return a < b + b_bytes && b < a + a_bytes;
}

/* An output that is copied out before an input is copied in must not be written over it. */
static int check_overlap(const struct finf_session *session, const struct finf_run *run,
			 struct finf_diag *diag)
{
	for (uint32_t o = 0; o < session->n_outputs; o++) {
		const struct finf_port_slot *out = &session->outputs[o];

		for (uint32_t i = 0; run->outputs[o].data && i < session->n_inputs; i++) {
			const struct finf_port_slot *in = &session->inputs[i];

			if (out->when < in->when &&
			    meet(run->outputs[o].data, out->bytes, run->inputs[i].data, in->bytes))
				return finf_diag_set(diag, -EINVAL,
						     "output '%s' would be written over input '%s'",
						     out->name, in->name);
		}
	}
	return 0;
}

/* Nothing that is not there yet may be read: the only place where a run blocks. */
static int wait_segments(const struct finf_run *run, uint32_t need, uint32_t *published,
			 struct finf_diag *diag)
{
	int err;

	if (!run->load || need <= *published)
		return 0;
	*published = finf_load_published(run->load);
	if (need <= *published)
		return 0;
	err = finf_load_wait(run->load, need, run->deadline_ns);
	if (err == -ETIME)
		return finf_diag_set(diag, err,
				     "deadline passed while weights were loading: %u of %u segments",
				     finf_load_published(run->load), need);
	if (err) {
		struct finf_diag why;

		finf_load_why(run->load, &why);
		return finf_diag_set(diag, err, "the weights could not be loaded: %.400s", why.text);
	}
	*published = need;
	return 0;
}

static int launch(struct finf_session *session, const struct finf_run *run,
		  const struct finf_lane *lane, const struct finf_launch_step *step,
		  struct finf_kernel *kernel)
{
	char *const base[FINF_N_BASES] = {
		[FINF_BASE_ARENA] = run->arena,
		[FINF_BASE_WEIGHTS] = (char *)run->weights,
		[FINF_BASE_GROWN] = (char *)run->grown,
	};
	struct finf_launch args = {
		.in = lane->in,
		.out = lane->out,
		.workspace = step->workspace_offset != FINF_NO_WORKSPACE
				     ? base[FINF_BASE_ARENA] + step->workspace_offset
				     : NULL,
	};

	for (uint32_t i = 0; i < step->n_in; i++)
		lane->in[i] = step->in[i].base ? base[step->in[i].base] + step->in[i].offset : NULL;
	for (uint32_t i = 0; i < step->n_out; i++)
		lane->out[i] =
			step->out[i].base ? base[step->out[i].base] + step->out[i].offset : NULL;
	return finf_device_kernel_run(session->dev, kernel, &args);
}

int finf_step_run(struct finf_session *session, const struct finf_run *run, struct finf_lane *lane,
		  uint32_t index, struct finf_kernel *kernel, struct finf_diag *diag)
{
	const struct finf_launch_step *step = &session->steps[index];
	uint64_t start_ns = 0;
	int err;

	if (run->deadline_ns && finf_now_ns() >= run->deadline_ns)
		return finf_diag_set(diag, -ETIME, "deadline passed before '%s', step %u of %u",
				     step->name, index, session->n_steps);
	err = wait_segments(run, run->need ? run->need[index] : step->need_segments,
			    &lane->published, diag);
	if (err)
		return err;
	if (run->on_step)
		start_ns = finf_now_ns();
	err = kernel ? launch(session, run, lane, step, kernel) : 0;
	if (!err && run->on_step)
		err = finf_device_sync(session->dev); /* else the times were a fiction */
	if (err)
		return finf_diag_set(diag, err, "'%s' failed on the device", step->name);
	if (run->on_step)
		run->on_step(run->on_step_ctx, index, start_ns, finf_now_ns());
	return 0;
}

/* The inputs that come before this step. */
static int copy_in(const struct finf_session *session, const struct finf_run *run, uint32_t step,
		   struct finf_diag *diag)
{
	for (uint32_t i = 0; i < session->n_inputs; i++) {
		const struct finf_port_slot *port = &session->inputs[i];
		int err = port->bytes && port->when == step
				  ? finf_device_write(session->dev,
						      (char *)run->arena + port->offset,
						      run->inputs[i].data, port->bytes)
				  : 0;

		if (err)
			return finf_diag_set(diag, err, "input '%s' could not be copied",
					     port->name);
	}
	return 0;
}

/* The outputs that go behind this step. */
static int copy_out(const struct finf_session *session, const struct finf_run *run, uint32_t step,
		    struct finf_diag *diag)
{
	for (uint32_t i = 0; i < session->n_outputs; i++) {
		const struct finf_port_slot *port = &session->outputs[i];
		int err = run->outputs[i].data && port->bytes && port->when == step
				  ? finf_device_read(session->dev, run->outputs[i].data,
						     (char *)run->arena + port->offset, port->bytes)
				  : 0;

		if (err)
			return finf_diag_set(diag, err, "output '%s' could not be copied",
					     port->name);
	}
	return 0;
}

int finf_steps_launch(struct finf_session *session, const struct finf_run *run,
		      struct finf_diag *diag)
{
	int err = 0;

	session->lane.published = 0;
	if (session->side && !run->load && !run->alone)
		return finf_side_run(session->side, run, diag);
	for (uint32_t i = 0; !err && i < session->n_steps; i++) {
		uint32_t s = session->order && !run->load ? session->order[i] : i;

		if (s && session->copies_between)
			err = copy_in(session, run, s, diag);
		if (!err)
			err = finf_step_run(session, run, &session->lane, s,
					    session->steps[s].kernel, diag);
		if (!err && session->copies_between)
			err = copy_out(session, run, s, diag);
	}
	return err;
}

/* As one piece where that can be; what cannot be captured runs all the same. */
static int launch_all(struct finf_session *session, const struct finf_run *run,
		      struct finf_diag *diag)
{
	int err = -EOPNOTSUPP;

	if (run->deadline_ns && finf_now_ns() >= run->deadline_ns)
		return finf_diag_set(diag, -ETIME, "deadline passed before the first step");
	if (finf_graph_usable(session, run))
		err = finf_graph_launch(session, run, diag);
	return err == -EOPNOTSUPP ? finf_steps_launch(session, run, diag) : err;
}

/* Nothing of a run goes on behind its end, whatever became of it: its arena is
 * another's then. What failed late is told here, of which kernel is not known. */
static int finish(struct finf_session *session, int err, struct finf_diag *diag)
{
	int late = finf_device_sync(session->dev);

	if (err || !late)
		return err;
	return finf_diag_set(diag, late, "a kernel of this run failed on the device");
}

/* What the caller has now, told only of a run in which all went well. */
static void tell_outputs(const struct finf_session *session, const struct finf_run *run)
{
	for (uint32_t i = 0; i < session->n_outputs; i++) {
		const struct finf_port_slot *port = &session->outputs[i];
		struct finf_tensor *to = &run->outputs[i];

		if (!to->data)
			continue;
		to->dtype = port->dtype;
		to->shape = port->shape;
		to->bytes = port->bytes;
	}
}

int finf_session_run(struct finf_session *session, const struct finf_run *run,
		     struct finf_diag *diag)
{
	int err = check_inputs(session, run, diag);

	if (!err)
		err = check_outputs(session, run, diag);
	if (!err && session->copies_between)
		err = check_overlap(session, run, diag);
	if (!err)
		err = copy_in(session, run, 0, diag);
	if (!err) {
		err = launch_all(session, run, diag);
		err = finish(session, err, diag);
	}
	if (!err)
		err = copy_out(session, run, session->n_steps, diag);
	if (!err)
		tell_outputs(session, run);
	return err;
}
