/* SPDX-License-Identifier: MIT */
/*
 * policy/trace - the requests of a record, apart from what was decided then,
 * and what they would have met under another policy: the real one, in virtual
 * time, with a core that takes as long as the recorded one did on the mean.
 * Must not know: files, clocks, names of models.
 */
#ifndef FINF_POLICY_TRACE_H
#define FINF_POLICY_TRACE_H

#include "policy/record.h"

struct finf_trace_model {
	bool known;
	uint64_t weight_bytes, arena_bytes;
	uint64_t load_ns, run_ns;
};

struct finf_trace_request { /* a REQUEST, or an ARRIVAL */
	uint64_t at_ns;
	struct finf_event event;
};

struct finf_trace {
	struct finf_record_head head;
	struct finf_trace_model *models; /* owned; head.models_max of them */
	struct finf_trace_request *requests; /* owned; in order of time */
	size_t n_requests, cap_requests;
};

/** finf_trace_read - from a record. 0; -EBADMSG with diag; -ENOMEM. */
int finf_trace_read(const void *data, size_t bytes, struct finf_trace *ret,
		    struct finf_diag *diag);
/**
 * finf_trace_make - synthetic requests of 16 models for 1000 s, the same for
 * the same @seed everywhere. The pool holds 40 % of the weights.
 * @param pattern  row of the table of patterns
 * Return: 0; -ENOENT no such pattern; -ENOMEM.
 */
int finf_trace_make(const char *pattern, uint64_t seed, struct finf_trace *ret);
/** finf_trace_pattern - name of pattern @index; NULL past the end. */
const char *finf_trace_pattern(uint32_t index);
void finf_trace_free(struct finf_trace *trace);

struct finf_resim {
	uint64_t requests, failed;
	uint64_t cold; /* requests whose model was not resident when they came */
	uint64_t loads, evictions, load_bytes;
	struct finf_policy_prefetch prefetch;
};

/**
 * finf_trace_resim - the requests of @trace against a policy made with @opts.
 * Evictions take no time and holes don't matter. Models without a recorded
 * load or run take the mean of the others.
 * @param step  sees each step, e.g. to record it; may be NULL
 * Return: 0; negative errno with diag.
 */
int finf_trace_resim(const struct finf_trace *trace, const struct finf_policy_opts *opts,
		     void (*step)(void *ctx, const struct finf_record_step *step,
				  const struct finf_action *actions),
		     void *ctx, struct finf_resim *ret, struct finf_diag *diag);

#endif
