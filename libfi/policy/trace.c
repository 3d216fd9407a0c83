/* SPDX-License-Identifier: MIT */
/* policy: the requests of a record and how long things took in it; synthetic ones. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/trace.h"

void finf_trace_free(struct finf_trace *trace)
{
	free(trace->models);
	free(trace->requests);
	*trace = (struct finf_trace){0};
}

static int add_request(struct finf_trace *trace, uint64_t at_ns, const struct finf_event *event)
{
	if (trace->n_requests == trace->cap_requests) {
		size_t cap = FINF_MAX(2 * trace->cap_requests, (size_t)256);
		void *more = realloc(trace->requests, cap * sizeof(*trace->requests));

		if (!more)
			return -ENOMEM;
		trace->requests = more;
		trace->cap_requests = cap;
	}
	trace->requests[trace->n_requests++] = (struct finf_trace_request){at_ns, *event};
	return 0;
}

/* ---- reading ---------------------------------------------------------------- */

/* Sums over one model while its record is read. */
struct seen {
	uint64_t load_at, run_at; /* of what is under way, 0 = nothing */
	uint64_t load_ns, loads, run_ns, runs;
};

static int on_event(struct finf_trace *trace, struct seen *seen, uint64_t now_ns,
		    const struct finf_event *e)
{
	struct finf_trace_model *m;

	if (e->model >= trace->head.models_max)
		return 0;
	m = &trace->models[e->model];
	seen += e->model;
	switch (e->kind) {
	case FINF_EV_ADD:
		m->known = true;
		m->weight_bytes = e->a;
		m->arena_bytes = e->b;
		return 0;
	case FINF_EV_LOADED:
		if (seen->load_at) {
			seen->load_ns += now_ns - seen->load_at;
			seen->loads++;
		}
		seen->load_at = 0;
		/* A run that streamed waited for it: that is not its own time. */
		seen->run_at = seen->run_at ? now_ns : 0;
		return 0;
	case FINF_EV_RAN:
		if (seen->run_at) {
			seen->run_ns += now_ns - seen->run_at;
			seen->runs++;
		}
		seen->run_at = 0;
		return 0;
	case FINF_EV_REQUEST:
	case FINF_EV_ARRIVAL:
		return add_request(trace, now_ns, e);
	default:
		return 0;
	}
}

static void on_action(const struct finf_trace *trace, struct seen *seen, uint64_t now_ns,
		      const struct finf_action *action)
{
	if (action->model >= trace->head.models_max)
		return;
	if (action->kind == FINF_DO_LOAD)
		seen[action->model].load_at = now_ns;
	if (action->kind == FINF_DO_RUN)
		seen[action->model].run_at = now_ns;
}

/* What a model without loads or runs of its own takes: as the others do, by byte or by run. */
static void fill_times(struct finf_trace *trace, const struct seen *seen)
{
	uint64_t loads_ns = 0, mib = 0, runs_ns = 0, runs = 0;

	for (uint32_t i = 0; i < trace->head.models_max; i++) {
		loads_ns += seen[i].load_ns;
		mib += seen[i].loads * ((trace->models[i].weight_bytes >> 20) + 1);
		runs_ns += seen[i].run_ns;
		runs += seen[i].runs;
	}
	for (uint32_t i = 0; i < trace->head.models_max; i++) {
		struct finf_trace_model *m = &trace->models[i];

		m->load_ns = seen[i].loads ? seen[i].load_ns / seen[i].loads
					   : ((m->weight_bytes >> 20) + 1) * (mib ? loads_ns / mib : 0);
		m->run_ns = seen[i].runs ? seen[i].run_ns / seen[i].runs
					 : (runs ? runs_ns / runs : 0);
	}
}

static int read_steps(struct finf_reader *r, struct finf_trace *trace, struct seen *seen,
		      struct finf_diag *diag)
{
	const void *at;
	int err = 0;

	while (!err && (at = finf_reader_bytes(r, sizeof(struct finf_record_step)))) {
		struct finf_record_step step;

		memcpy(&step, at, sizeof(step));
		if (step.n_actions > FINF_POLICY_ACTIONS_MAX)
			return finf_diag_set(diag, -EBADMSG, "a step with too many actions");
		err = on_event(trace, seen, step.now_ns, &step.event);
		at = finf_reader_bytes(r, step.n_actions * sizeof(struct finf_action));
		if (!at)
			break; /* cut short */
		for (uint32_t i = 0; i < step.n_actions; i++) {
			struct finf_action action;

			memcpy(&action, (const char *)at + i * sizeof(action), sizeof(action));
			on_action(trace, seen, step.now_ns, &action);
		}
	}
	return err;
}

int finf_trace_read(const void *data, size_t bytes, struct finf_trace *ret,
		    struct finf_diag *diag)
{
	struct finf_trace trace = {0};
	struct seen *seen = NULL;
	struct finf_reader r;
	const void *at;
	int err = 0;

	finf_reader_init(&r, data, bytes);
	at = finf_reader_bytes(&r, sizeof(trace.head));
	if (at)
		memcpy(&trace.head, at, sizeof(trace.head));
	if (!at || memcmp(trace.head.magic, FINF_RECORD_MAGIC, sizeof(trace.head.magic)) ||
	    !trace.head.models_max || trace.head.models_max > FINF_RECORD_CAPACITY_MAX)
		return finf_diag_set(diag, -EBADMSG, "not a record of events");
	trace.models = calloc(trace.head.models_max, sizeof(*trace.models));
	seen = calloc(trace.head.models_max, sizeof(*seen));
	if (!trace.models || !seen)
		err = -ENOMEM;
	if (!err)
		err = read_steps(&r, &trace, seen, diag);
	if (!err)
		fill_times(&trace, seen);
	free(seen);
	if (err)
		finf_trace_free(&trace);
	else
		*ret = trace;
	return err;
}

/* ---- making ------------------------------------------------------------------- */

#define MODELS 16u
#define SECOND 1000000000ull
#define LENGTH_NS (1000 * SECOND)
#define CHAIN 4u /* models of a chain */

/* SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014). */
static uint64_t draw(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* @mean, give or take @pct of it. */
static uint64_t about(uint64_t *seed, uint64_t mean, uint32_t pct)
{
	uint64_t spread = mean / 100 * pct;

	return mean - spread + draw(seed) % (2 * spread + 1);
}

static int ask(struct finf_trace *trace, uint64_t at_ns, uint32_t model)
{
	return add_request(trace, at_ns,
			   &(struct finf_event){.kind = FINF_EV_REQUEST, .model = model,
						.b = trace->models[model].arena_bytes});
}

/* Each model at its own period of 3 to 20 s, 3 % of jitter. */
static int make_periodic(struct finf_trace *trace, uint64_t *seed, uint32_t first, uint32_t n)
{
	int err = 0;

	for (uint32_t i = first; i < first + n && !err; i++) {
		uint64_t period = 3 * SECOND + draw(seed) % (17 * SECOND);

		for (uint64_t at = draw(seed) % period; at < LENGTH_NS && !err;
		     at += about(seed, period, 3))
			err = ask(trace, at, i);
	}
	return err;
}

/* Chains of four, 400 ms apart; when which one begins cannot be foreseen. */
static int make_chain(struct finf_trace *trace, uint64_t *seed, uint32_t first, uint32_t n)
{
	int err = 0;

	for (uint64_t at = 0; at < LENGTH_NS && !err; at += about(seed, 3 * SECOND, 80)) {
		uint32_t head = first + (uint32_t)(draw(seed) % (n / CHAIN)) * CHAIN;
		uint64_t then = at;

		for (uint32_t i = 0; i < CHAIN && !err; i++) {
			err = ask(trace, then, head + i);
			then += about(seed, 2 * SECOND / 5, 20);
		}
	}
	return err;
}

/* Nothing to foresee: the k-th model is asked for with weight 1/k. */
static int make_zipf(struct finf_trace *trace, uint64_t *seed, uint32_t first, uint32_t n)
{
	uint64_t sum = 0;
	int err = 0;

	for (uint32_t k = 1; k <= n; k++)
		sum += (1u << 20) / k;
	for (uint64_t at = 0; at < LENGTH_NS && !err; at += about(seed, SECOND / 2, 90)) {
		uint64_t left = draw(seed) % sum;
		uint32_t k = 1;

		while (k < n && left >= (1u << 20) / k)
			left -= (1u << 20) / k++;
		err = ask(trace, at, first + k - 1);
	}
	return err;
}

/* Half of the models periodic, half in chains. */
static int make_mixture(struct finf_trace *trace, uint64_t *seed, uint32_t first, uint32_t n)
{
	int err = make_periodic(trace, seed, first, n / 2);

	return err ? err : make_chain(trace, seed, first + n / 2, n - n / 2);
}

/* The same with a quarter of the models asked for at random. */
static int make_noisy(struct finf_trace *trace, uint64_t *seed, uint32_t first, uint32_t n)
{
	int err = make_periodic(trace, seed, first, n / 2);

	if (!err)
		err = make_chain(trace, seed, first + n / 2, n / 4);
	return err ? err : make_zipf(trace, seed, first + n / 2 + n / 4, n / 4);
}

static const struct {
	const char *name;
	int (*make)(struct finf_trace *trace, uint64_t *seed, uint32_t first, uint32_t n);
} patterns[] = {
	{"periodic", make_periodic}, {"chain", make_chain}, {"zipf", make_zipf},
	{"mixture", make_mixture},   {"noisy", make_noisy},
};

const char *finf_trace_pattern(uint32_t index)
{
	return index < FINF_ARRAY_LEN(patterns) ? patterns[index].name : NULL;
}

static int by_time(const void *a, const void *b)
{
	const struct finf_trace_request *x = a, *y = b;

	if (x->at_ns != y->at_ns)
		return x->at_ns < y->at_ns ? -1 : 1;
	return (x->event.model > y->event.model) - (x->event.model < y->event.model);
}

/* 20 to 200 MiB at 2 GiB/s; runs of 5 to 20 ms. */
static void make_models(struct finf_trace *trace, uint64_t *seed)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < MODELS; i++) {
		uint64_t mib = 20 + draw(seed) % 181;

		trace->models[i] = (struct finf_trace_model){
			.known = true,
			.weight_bytes = mib << 20,
			.arena_bytes = 1 << 20,
			.load_ns = mib * SECOND / 2048,
			.run_ns = 5000000 + draw(seed) % 15000000,
		};
		sum += mib << 20;
	}
	trace->head.pool_bytes = sum / 5 * 2;
}

int finf_trace_make(const char *pattern, uint64_t seed, struct finf_trace *ret)
{
	struct finf_trace trace = {.head = {.magic = FINF_RECORD_MAGIC, .models_max = MODELS,
					    .requests_max = 1024, .runs_max = 1, .loads_max = 1}};
	size_t row = 0;
	int err;

	while (row < FINF_ARRAY_LEN(patterns) && strcmp(patterns[row].name, pattern))
		row++;
	if (row == FINF_ARRAY_LEN(patterns))
		return -ENOENT;
	trace.models = calloc(MODELS, sizeof(*trace.models));
	if (!trace.models)
		return -ENOMEM;
	make_models(&trace, &seed);
	err = patterns[row].make(&trace, &seed, 0, MODELS);
	if (err) {
		finf_trace_free(&trace);
		return err;
	}
	qsort(trace.requests, trace.n_requests, sizeof(*trace.requests), by_time);
	*ret = trace;
	return 0;
}
