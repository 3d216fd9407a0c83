/* SPDX-License-Identifier: MIT */
/* policy: replay of a record - the same events into a fresh policy. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "policy/record.h"

void finf_record_opts(const struct finf_record_head *head, char evict[17],
		      struct finf_policy_opts *ret)
{
	memcpy(evict, head->evict, sizeof(head->evict));
	evict[sizeof(head->evict)] = 0;
	*ret = (struct finf_policy_opts){
		.size = sizeof(*ret),
		.pool_bytes = head->pool_bytes,
		.models_max = head->models_max,
		.requests_max = head->requests_max,
		.runs_max = head->runs_max,
		.loads_max = head->loads_max,
		.evict = evict[0] ? evict : NULL,
		.prefetch_bytes = head->prefetch_bytes,
	};
}

static int make_policy(const struct finf_record_head *head, struct finf_policy **ret_policy,
		       struct finf_diag *diag)
{
	char evict[sizeof(head->evict) + 1];
	struct finf_policy_opts opts;

	finf_record_opts(head, evict, &opts);
	/* A damaged head must not make us allocate without bounds. */
	if (memcmp(head->magic, FINF_RECORD_MAGIC, sizeof(head->magic)) ||
	    head->models_max > FINF_RECORD_CAPACITY_MAX ||
	    head->requests_max > FINF_RECORD_CAPACITY_MAX)
		return finf_diag_set(diag, -EBADMSG, "not a record of events");
	if (finf_policy_new(&opts, ret_policy, diag))
		return -EBADMSG;
	return 0;
}

static int replay_step(struct finf_policy *policy, const struct finf_record_step *step,
		       const void *want, uint64_t at, struct finf_diag *diag)
{
	struct finf_action actions[FINF_POLICY_ACTIONS_MAX];
	int n = finf_policy_step(policy, &step->event, step->now_ns, actions);

	if (n == (int)step->n_actions && !memcmp(actions, want, (size_t)n * sizeof(actions[0])))
		return 0;
	return finf_diag_set(diag, -EILSEQ,
			     "step %" PRIu64 ": %s of model %" PRIu32 " gave %d actions, %" PRIu32
			     " were recorded, or others",
			     at, finf_event_kind_text((enum finf_event_kind)step->event.kind),
			     step->event.model, n, step->n_actions);
}

int finf_record_replay(const void *data, size_t bytes, struct finf_record_totals *ret,
		       struct finf_diag *diag)
{
	struct finf_record_totals totals = {0};
	struct finf_record_head head;
	struct finf_policy *policy;
	struct finf_reader r;
	const void *at;
	int err;

	finf_reader_init(&r, data, bytes);
	at = finf_reader_bytes(&r, sizeof(head));
	if (!at)
		return finf_diag_set(diag, -EBADMSG, "shorter than the head of a record");
	memcpy(&head, at, sizeof(head));
	err = make_policy(&head, &policy, diag);
	if (err)
		return err;
	while (!err && (at = finf_reader_bytes(&r, sizeof(struct finf_record_step)))) {
		struct finf_record_step step;

		memcpy(&step, at, sizeof(step));
		if (step.n_actions > FINF_POLICY_ACTIONS_MAX) {
			err = finf_diag_set(diag, -EBADMSG, "step %" PRIu64 ": too many actions",
					    totals.steps);
			break;
		}
		at = finf_reader_bytes(&r, step.n_actions * sizeof(struct finf_action));
		if (!at)
			break; /* cut short: the steps before are good */
		err = replay_step(policy, &step, at, totals.steps, diag);
		totals.steps += !err;
		totals.actions += err ? 0 : step.n_actions;
	}
	finf_policy_free(policy);
	if (!err)
		*ret = totals;
	return err;
}
