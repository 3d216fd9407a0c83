/* SPDX-License-Identifier: MIT */
/* policy: the requests of a trace against a policy in virtual time. */
#include <errno.h>
#include <string.h>

#include "policy/trace.h"

#define PENDING_MAX 256u

struct resim {
	const struct finf_trace *trace;
	struct finf_policy *policy;
	void (*step)(void *ctx, const struct finf_record_step *step,
		     const struct finf_action *actions);
	void *ctx;
	uint64_t now, ids;
	uint64_t loading_until; /* of the load that a streaming run waits for */
	struct {
		uint64_t at;
		struct finf_event event;
	} pending[PENDING_MAX]; /* what the core will report */
	uint32_t n_pending;
	struct finf_resim *ret;
};

static int later(struct resim *s, uint64_t at, struct finf_event event)
{
	if (s->n_pending == PENDING_MAX)
		return -EOVERFLOW;
	s->pending[s->n_pending].at = at;
	s->pending[s->n_pending++].event = event;
	return 0;
}

/* A load that is given up ends at once. */
static void cancel_load(struct resim *s, uint32_t model)
{
	for (uint32_t i = 0; i < s->n_pending; i++) {
		struct finf_event *e = &s->pending[i].event;

		if (e->kind != FINF_EV_LOADED || e->model != model)
			continue;
		*e = (struct finf_event){
			.kind = FINF_EV_LOAD_FAILED, .model = model, .a = ECANCELED};
		s->pending[i].at = s->now;
	}
}

static int carry_out(struct resim *s, const struct finf_action *a)
{
	const struct finf_trace_model *m = &s->trace->models[a->model];
	struct finf_policy_model state;
	uint64_t start = s->now;

	switch (a->kind) {
	case FINF_DO_LOAD:
		s->ret->loads++;
		s->ret->load_bytes += a->b;
		s->loading_until = s->now + m->load_ns;
		return later(s, s->loading_until,
			     (struct finf_event){.kind = FINF_EV_LOADED, .model = a->model});
	case FINF_DO_EVICT:
		s->ret->evictions++;
		return later(s, s->now,
			     (struct finf_event){.kind = FINF_EV_EVICTED, .model = a->model});
	case FINF_DO_RUN:
		finf_policy_model(s->policy, a->model, &state);
		if (state.residency == FINF_LOADING)
			start = FINF_MAX(start, s->loading_until);
		return later(s, start + m->run_ns,
			     (struct finf_event){
				     .kind = FINF_EV_RAN, .model = a->model, .id = a->id});
	case FINF_DO_CANCEL_LOAD:
		cancel_load(s, a->model);
		return 0;
	case FINF_DO_REPLY:
		s->ret->failed += a->a != 0;
		return 0;
	default:
		return 0; /* nothing is ever fragmented here */
	}
}

static int one_step(struct resim *s, const struct finf_event *event)
{
	struct finf_action actions[FINF_POLICY_ACTIONS_MAX];
	struct finf_record_step step = {.now_ns = s->now, .event = *event};
	int n = finf_policy_step(s->policy, event, s->now, actions), err = 0;

	if (n < 0)
		return n;
	step.n_actions = (uint32_t)n;
	if (s->step)
		s->step(s->ctx, &step, actions);
	for (int i = 0; i < n && !err; i++)
		err = carry_out(s, &actions[i]);
	return err;
}

static int feed(struct resim *s, const struct finf_event *event)
{
	const struct finf_event tick = {.kind = FINF_EV_TICK};
	int err = one_step(s, event);

	while (!err && finf_policy_deadline(s->policy) <= s->now)
		err = one_step(s, &tick);
	return err;
}

/* What happens by itself before @until, in order. */
static int pass_time(struct resim *s, uint64_t until)
{
	for (;;) {
		uint64_t due = finf_policy_deadline(s->policy);
		struct finf_event event = {.kind = FINF_EV_TICK};
		uint32_t first = 0;
		int err;

		for (uint32_t i = 1; i < s->n_pending; i++)
			if (s->pending[i].at < s->pending[first].at)
				first = i;
		if (s->n_pending && s->pending[first].at <= due) {
			due = s->pending[first].at;
			event = s->pending[first].event;
		}
		if (due > until || due == UINT64_MAX)
			return 0;
		if (event.kind != FINF_EV_TICK) /* in order also among equal times */
			memmove(&s->pending[first], &s->pending[first + 1],
				(--s->n_pending - first) * sizeof(s->pending[0]));
		s->now = FINF_MAX(s->now, due);
		err = feed(s, &event);
		if (err)
			return err;
	}
}

static int request(struct resim *s, const struct finf_trace_request *request)
{
	struct finf_event event = request->event;
	struct finf_policy_model state;
	int err = pass_time(s, request->at_ns);

	if (err)
		return err;
	s->now = FINF_MAX(s->now, request->at_ns);
	if (event.kind == FINF_EV_REQUEST) {
		finf_policy_model(s->policy, event.model, &state);
		s->ret->requests++;
		s->ret->cold += state.residency != FINF_RESIDENT &&
				state.residency != FINF_RUNNING;
		event.id = ++s->ids;
		event.a = 0; /* deadlines were of another time */
	}
	return feed(s, &event);
}

static int run(struct resim *s)
{
	int err = 0;

	s->now = s->trace->n_requests ? s->trace->requests[0].at_ns : 0;
	for (uint32_t i = 0; i < s->trace->head.models_max && !err; i++) {
		const struct finf_trace_model *m = &s->trace->models[i];

		if (m->known)
			err = feed(s, &(struct finf_event){.kind = FINF_EV_ADD,
							   .model = i,
							   .a = m->weight_bytes,
							   .b = m->arena_bytes});
	}
	for (size_t i = 0; i < s->trace->n_requests && !err; i++)
		err = request(s, &s->trace->requests[i]);
	return err ? err : pass_time(s, UINT64_MAX - 1);
}

int finf_trace_resim(const struct finf_trace *trace, const struct finf_policy_opts *opts,
		     void (*step)(void *ctx, const struct finf_record_step *step,
				  const struct finf_action *actions),
		     void *ctx, struct finf_resim *ret, struct finf_diag *diag)
{
	struct finf_resim figures = {0};
	struct resim s = {.trace = trace, .step = step, .ctx = ctx, .ret = &figures};
	int err = finf_policy_new(opts, &s.policy, diag);

	if (err)
		return err;
	err = run(&s);
	if (!err) {
		finf_policy_prefetch(s.policy, &figures.prefetch);
		*ret = figures;
	} else {
		finf_diag_set(diag, err, "the trace cannot be simulated: %s", strerror(-err));
	}
	finf_policy_free(s.policy);
	return err;
}
