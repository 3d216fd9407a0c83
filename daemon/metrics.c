/* SPDX-License-Identifier: MIT */
/* daemon/metrics: see metrics.h. Names here are promises: Documentation/formats/metrics.md. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/metrics.h"

#define TEXT_TYPE(buf, name, type, help) \
	finf_buf_printf(buf, "# HELP fusedinf_%s %s\n# TYPE fusedinf_%s %s\n", name, help, name, type)

/* Errnos as people count them; whatever has no row is "failed". */
static const struct {
	int err;
	const char *text;
} outcomes[] = {
	{0, "ok"},
	{ENOENT, "not_found"},
	{EINVAL, "invalid"},
	{ENOBUFS, "no_room"},
	{EAGAIN, "too_many"},
	{ETIME, "deadline"},
	{ECANCELED, "cancelled"},
	{ESHUTDOWN, "shutdown"},
	{EBADMSG, "damaged"},
	{EIO, "io"},
	{EREMOTEIO, "device"},
	{-1, "failed"},
};
#define N_OUTCOMES FINF_ARRAY_LEN(outcomes)

static const double bounds[] = {50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3,
				50e-3, 0.1,    0.25,   0.5,    1,    2.5,    5,	   10};
#define N_BOUNDS FINF_ARRAY_LEN(bounds)

struct histogram {
	uint64_t count[N_BOUNDS + 1]; /* the last is above every bound */
	uint64_t sum_ns;
};

struct model {
	char name[132];
	uint32_t version;
	uint64_t ended[N_OUTCOMES], cold;
};

struct fid_metrics {
	struct model **models; /* owned, by number; NULL until a request has ended */
	uint32_t models_max;
	uint64_t unknown_ended[N_OUTCOMES]; /* no such model, or no memory to count it */
	struct histogram queue, load, run;
	uint64_t loads, loads_failed, load_bytes, load_ns;
	uint64_t evictions[FINF_REASONS], evicted_bytes[FINF_REASONS];
	uint64_t device_resets;
	uint64_t fast[FID_FAST_OUTCOMES];
	uint64_t arrivals[FINF_ARRIVAL_SOURCES];
	int64_t connected[FID_DOORS];
	uint64_t connections[FID_DOORS];
};

int fid_metrics_new(uint32_t models_max, struct fid_metrics **ret_metrics)
{
	struct fid_metrics *metrics = calloc(1, sizeof(*metrics));

	if (!metrics)
		return -ENOMEM;
	metrics->models_max = models_max;
	metrics->models = calloc(models_max, sizeof(struct model *));
	if (!metrics->models) {
		free(metrics);
		return -ENOMEM;
	}
	*ret_metrics = metrics;
	return 0;
}

void fid_metrics_free(struct fid_metrics *metrics)
{
	if (!metrics)
		return;
	for (uint32_t i = 0; i < metrics->models_max; i++)
		free(metrics->models[i]);
	free(metrics->models);
	free(metrics);
}

/* ---- being told ---------------------------------------------------------------- */

static size_t outcome_of(int result)
{
	size_t i = 0;

	while (i < N_OUTCOMES - 1 && outcomes[i].err != -result)
		i++;
	return i;
}

static void observe(struct histogram *histogram, uint64_t ns)
{
	size_t i = 0;

	while (i < N_BOUNDS && (double)ns > bounds[i] * 1e9)
		i++;
	histogram->count[i]++;
	histogram->sum_ns += ns;
}

/* A model costs memory from its first request on. NULL: count it as unknown. */
static struct model *model_of(struct fid_metrics *metrics, const struct fid_metrics_request *request)
{
	struct model *model;

	if (request->model >= metrics->models_max)
		return NULL;
	model = metrics->models[request->model];
	if (model)
		return model;
	model = calloc(1, sizeof(*model));
	if (!model)
		return NULL;
	snprintf(model->name, sizeof(model->name), "%s", request->name);
	model->version = request->version;
	metrics->models[request->model] = model;
	return model;
}

void fid_metrics_request(struct fid_metrics *metrics, const struct fid_metrics_request *request)
{
	struct model *model = model_of(metrics, request);
	size_t outcome = outcome_of(request->result);

	if (model) {
		model->ended[outcome]++;
		model->cold += request->cold;
	} else {
		metrics->unknown_ended[outcome]++;
	}
	if (!request->ran)
		return;
	observe(&metrics->queue, request->queue_ns);
	observe(&metrics->run, request->run_ns);
	if (request->cold)
		observe(&metrics->load, request->load_ns);
}

void fid_metrics_load(struct fid_metrics *metrics, int result, uint64_t bytes, uint64_t ns)
{
	if (result) {
		metrics->loads_failed++;
		return;
	}
	metrics->loads++;
	metrics->load_bytes += bytes;
	metrics->load_ns += ns;
}

void fid_metrics_device_reset(struct fid_metrics *metrics)
{
	metrics->device_resets++;
}

void fid_metrics_eviction(struct fid_metrics *metrics, enum finf_reason reason, uint64_t bytes)
{
	metrics->evictions[reason]++;
	metrics->evicted_bytes[reason] += bytes;
}

void fid_metrics_arrival(struct fid_metrics *metrics, enum finf_arrival source)
{
	metrics->arrivals[source]++;
}

void fid_metrics_fast(struct fid_metrics *metrics, enum fid_fast_outcome outcome)
{
	metrics->fast[outcome]++;
}

void fid_metrics_forget(struct fid_metrics *metrics, uint32_t model)
{
	free(metrics->models[model]);
	metrics->models[model] = NULL;
}

void fid_metrics_connected(struct fid_metrics *metrics, enum fid_door door, int change)
{
	metrics->connected[door] += change;
	metrics->connections[door] += change > 0;
}

/* ---- telling ---------------------------------------------------------------------- */

static void requests_text(const struct fid_metrics *metrics, struct finf_buf *buf)
{
	TEXT_TYPE(buf, "requests_total", "counter", "Requests that have ended, by model and outcome.");
	for (uint32_t m = 0; m < metrics->models_max; m++) {
		const struct model *model = metrics->models[m];

		for (size_t i = 0; model && i < N_OUTCOMES; i++)
			if (model->ended[i] || !i)
				finf_buf_printf(buf,
						"fusedinf_requests_total{model=\"%s\",version=\"%" PRIu32
						"\",outcome=\"%s\"} %" PRIu64 "\n",
						model->name, model->version, outcomes[i].text,
						model->ended[i]);
	}
	for (size_t i = 0; i < N_OUTCOMES; i++)
		if (metrics->unknown_ended[i])
			finf_buf_printf(buf,
					"fusedinf_requests_total{model=\"\",version=\"\",outcome=\"%s\"} "
					"%" PRIu64 "\n",
					outcomes[i].text, metrics->unknown_ended[i]);
	TEXT_TYPE(buf, "requests_cold_total", "counter", "Requests that waited for their model to load.");
	for (uint32_t m = 0; m < metrics->models_max; m++)
		if (metrics->models[m])
			finf_buf_printf(buf,
					"fusedinf_requests_cold_total{model=\"%s\",version=\"%" PRIu32
					"\"} %" PRIu64 "\n",
					metrics->models[m]->name, metrics->models[m]->version,
					metrics->models[m]->cold);
}

static void histogram_text(const struct histogram *histogram, const char *name, const char *help,
			   struct finf_buf *buf)
{
	uint64_t total = 0;

	TEXT_TYPE(buf, name, "histogram", help);
	for (size_t i = 0; i < N_BOUNDS; i++) {
		total += histogram->count[i];
		finf_buf_printf(buf, "fusedinf_%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, bounds[i],
				total);
	}
	total += histogram->count[N_BOUNDS];
	finf_buf_printf(buf,
			"fusedinf_%s_bucket{le=\"+Inf\"} %" PRIu64 "\nfusedinf_%s_sum %.9f\n"
			"fusedinf_%s_count %" PRIu64 "\n",
			name, total, name, (double)histogram->sum_ns / 1e9, name, total);
}

static void swaps_text(const struct fid_metrics *metrics, struct finf_buf *buf)
{
	TEXT_TYPE(buf, "swap_loads_total", "counter", "Models loaded into the pool, by outcome.");
	finf_buf_printf(buf,
			"fusedinf_swap_loads_total{outcome=\"ok\"} %" PRIu64
			"\nfusedinf_swap_loads_total{outcome=\"failed\"} %" PRIu64 "\n",
			metrics->loads, metrics->loads_failed);
	TEXT_TYPE(buf, "swap_bytes_total", "counter", "Bytes of weights loaded into the pool.");
	finf_buf_printf(buf, "fusedinf_swap_bytes_total %" PRIu64 "\n", metrics->load_bytes);
	TEXT_TYPE(buf, "swap_seconds_total", "counter", "Time during which models were loaded.");
	finf_buf_printf(buf, "fusedinf_swap_seconds_total %.9f\n", (double)metrics->load_ns / 1e9);
}

/* The reasons for which the policy evicts. */
static const struct {
	enum finf_reason reason;
	const char *text;
} evictions[] = {
	{FINF_WHY_ROOM_WEIGHTS, "room_weights"},
	{FINF_WHY_ROOM_ARENA, "room_arena"},
	{FINF_WHY_FRAGMENTED, "fragmented"},
	{FINF_WHY_OPERATOR, "operator"},
	{FINF_WHY_DEVICE, "device_fault"},
};

static void evictions_text(const struct fid_metrics *metrics, struct finf_buf *buf)
{
	TEXT_TYPE(buf, "evictions_total", "counter", "Models evicted from the pool, by reason.");
	for (size_t i = 0; i < FINF_ARRAY_LEN(evictions); i++)
		finf_buf_printf(buf, "fusedinf_evictions_total{reason=\"%s\"} %" PRIu64 "\n",
				evictions[i].text, metrics->evictions[evictions[i].reason]);
	TEXT_TYPE(buf, "evicted_bytes_total", "counter", "Bytes given back by evictions, by reason.");
	for (size_t i = 0; i < FINF_ARRAY_LEN(evictions); i++)
		finf_buf_printf(buf, "fusedinf_evicted_bytes_total{reason=\"%s\"} %" PRIu64 "\n",
				evictions[i].text, metrics->evicted_bytes[evictions[i].reason]);
}

static void arrivals_text(const struct fid_metrics *metrics, struct finf_buf *buf)
{
	static const char *const sources[FINF_ARRIVAL_SOURCES] = {
		[FINF_ARRIVAL_FID] = "fid", [FINF_ARRIVAL_USDT] = "call",
		[FINF_ARRIVAL_TCP] = "tcp", [FINF_ARRIVAL_APP] = "app"};

	TEXT_TYPE(buf, "arrivals_total", "counter", "Requests seen coming, by who saw them.");
	for (uint32_t i = 0; i < FINF_ARRIVAL_SOURCES; i++)
		finf_buf_printf(buf, "fusedinf_arrivals_total{source=\"%s\"} %" PRIu64 "\n", sources[i],
				metrics->arrivals[i]);
}

static void prefetch_text(const struct finf_policy_prefetch *now, struct finf_buf *buf)
{
	TEXT_TYPE(buf, "prefetches_total", "counter", "Models loaded ahead of a request, by outcome.");
	finf_buf_printf(buf, "fusedinf_prefetches_total{outcome=\"hit\"} %" PRIu64 "\n",
			now->hits - now->late);
	finf_buf_printf(buf, "fusedinf_prefetches_total{outcome=\"late\"} %" PRIu64 "\n", now->late);
	finf_buf_printf(buf, "fusedinf_prefetches_total{outcome=\"wasted\"} %" PRIu64 "\n",
			now->wasted);
	TEXT_TYPE(buf, "prefetched_bytes", "gauge", "Loaded ahead and not used yet.");
	finf_buf_printf(buf, "fusedinf_prefetched_bytes %" PRIu64 "\n", now->bytes);
}

static void fast_text(const struct fid_metrics *metrics, uint64_t bytes, struct finf_buf *buf)
{
	static const char *const texts[FID_FAST_OUTCOMES] = {"made", "failed", "given_back",
							      "slower"};

	TEXT_TYPE(buf, "fast_forms_total", "counter",
		  "Larger, faster forms of weights that busy models earned, by outcome.");
	for (uint32_t i = 0; i < FID_FAST_OUTCOMES; i++)
		finf_buf_printf(buf, "fusedinf_fast_forms_total{outcome=\"%s\"} %" PRIu64 "\n",
				texts[i], metrics->fast[i]);
	TEXT_TYPE(buf, "fast_bytes", "gauge", "Bytes of the weights in the pool that are such forms.");
	finf_buf_printf(buf, "fusedinf_fast_bytes %" PRIu64 "\n", bytes);
}

static void pool_text(const struct fid_metrics_now *now, struct finf_buf *buf)
{
	static const char *const residencies[] = {"cold", "loading", "resident", "running", "evicting"};

	TEXT_TYPE(buf, "pool_bytes", "gauge", "Bytes of the pool, by what they hold.");
	finf_buf_printf(buf,
			"fusedinf_pool_bytes{state=\"weights\"} %" PRIu64
			"\nfusedinf_pool_bytes{state=\"arena\"} %" PRIu64
			"\nfusedinf_pool_bytes{state=\"free\"} %" PRIu64 "\n",
			now->weight_bytes, now->arena_bytes, now->free_bytes);
	TEXT_TYPE(buf, "models", "gauge", "Models known, by where they are.");
	for (size_t i = 0; i < FINF_ARRAY_LEN(residencies); i++)
		finf_buf_printf(buf, "fusedinf_models{residency=\"%s\"} %" PRIu32 "\n", residencies[i],
				now->residency[i]);
	finf_buf_printf(buf,
			"fusedinf_models{residency=\"preparing\"} %" PRIu32
			"\nfusedinf_models{residency=\"failed\"} %" PRIu32 "\n",
			now->preparing, now->failed);
	TEXT_TYPE(buf, "requests_waiting", "gauge", "Requests that wait for their turn to run.");
	finf_buf_printf(buf, "fusedinf_requests_waiting %" PRIu32 "\n", now->queued);
	TEXT_TYPE(buf, "requests_running", "gauge", "Requests that run now.");
	finf_buf_printf(buf, "fusedinf_requests_running %" PRIu32 "\n", now->running);
}

static void connections_text(const struct fid_metrics *metrics, struct finf_buf *buf)
{
	static const char *const doors[] = {"unix", "http"};

	TEXT_TYPE(buf, "connections", "gauge", "Connections open now, by door.");
	for (size_t i = 0; i < FID_DOORS; i++)
		finf_buf_printf(buf, "fusedinf_connections{door=\"%s\"} %" PRId64 "\n", doors[i],
				metrics->connected[i]);
	TEXT_TYPE(buf, "connections_total", "counter", "Connections ever accepted, by door.");
	for (size_t i = 0; i < FID_DOORS; i++)
		finf_buf_printf(buf, "fusedinf_connections_total{door=\"%s\"} %" PRIu64 "\n", doors[i],
				metrics->connections[i]);
}

void fid_metrics_text(const struct fid_metrics *metrics, const struct fid_metrics_now *now,
		      struct finf_buf *buf)
{
	TEXT_TYPE(buf, "info", "gauge", "Always 1: what runs here.");
	finf_buf_printf(buf, "fusedinf_info{version=\"%s\",device=\"%s\"} 1\n", now->version,
			now->device);
	requests_text(metrics, buf);
	histogram_text(&metrics->queue, "request_queue_seconds",
		       "From arrival to the start of the run, the load waited for included.", buf);
	histogram_text(&metrics->load, "request_load_seconds",
		       "The load that a cold request waited for.", buf);
	histogram_text(&metrics->run, "request_run_seconds", "From the start of the run to its end.",
		       buf);
	swaps_text(metrics, buf);
	evictions_text(metrics, buf);
	TEXT_TYPE(buf, "device_resets_total", "counter", "Faults after which the device was reset.");
	finf_buf_printf(buf, "fusedinf_device_resets_total %" PRIu64 "\n", metrics->device_resets);
	arrivals_text(metrics, buf);
	prefetch_text(&now->prefetch, buf);
	fast_text(metrics, now->fast_bytes, buf);
	pool_text(now, buf);
	connections_text(metrics, buf);
}
