/* SPDX-License-Identifier: MIT */
/*
 * policy: what is loaded before it is asked for. A model has at most one
 * forecast; it goes
 *
 *   none -> ahead -> wish -> held -> none      (hit, or wasted)
 *                      +---> skipped -> none   (watched: would it have helped?)
 *
 * Loads ahead take free bytes, or those of idle models that are not expected
 * sooner, within a budget, one at a time, and only while no request waits for
 * room. What a model's own predictions were worth is its trust; what all of
 * them did to others is the credit. Both recover by watching.
 */
#include <errno.h>

#include "policy/priv.h"

#define TRUST_START 8u
#define TRUST_MIN 4u
#define TRUST_MAX 16u
#define CREDIT_START 8
#define CREDIT_MAX 32
#define REFAULT_COST 4
#define VICTIMS_MAX 16u /* idle models looked at for one load */
#define MARGIN_NS 5000000ull
#define ARRIVAL_HOLD_NS 5000000000ull
/* Hints of one source, until they are proven and afterwards. */
#define HINT_WINDOW_NS 1000000000ull
#define HINTS_UNPROVEN 16u
#define HINTS_PROVEN 128u
#define HINT_FAILS_MAX 6u
#define PROVEN_HITS 4u
#define TRIES_MAX 64u

static bool on(const struct finf_policy *p)
{
	return p->opts.prefetch_bytes;
}

int finf_prefetch_init(struct finf_policy *p)
{
	const struct finf_predict_ops *ops;
	int err = 0;

	p->fetching = FINF_MODEL_NONE;
	p->credit = CREDIT_START;
	if (!on(p))
		return 0;
	err = finf_heap_init(&p->times, p->opts.models_max);
	if (!err)
		err = finf_heap_init(&p->wish, p->opts.models_max);
	for (uint32_t i = 0; !err && (ops = finf_predict_at(i)); i++)
		err = ops->new(p->opts.models_max, &p->predictors[i]);
	return err;
}

void finf_prefetch_fini(struct finf_policy *p)
{
	const struct finf_predict_ops *ops;

	for (uint32_t i = 0; (ops = finf_predict_at(i)); i++)
		ops->free(p->predictors[i]);
	finf_heap_fini(&p->wish);
	finf_heap_fini(&p->times);
}

/* ---- forecasts ------------------------------------------------------------ */

void finf_prefetch_refile(struct finf_policy *p, uint32_t model)
{
	const struct finf_policy_entry *m = &p->models[model];

	if (!on(p))
		return;
	if (m->forecast)
		finf_heap_put(&p->times, model,
			      m->forecast == FINF_FORECAST_AHEAD ? m->start_ns
								 : m->predicted.until_ns);
	else
		finf_heap_drop(&p->times, model);
	if (m->forecast == FINF_FORECAST_WISH && m->pub.residency == FINF_COLD &&
	    !finf_model_wanted(m) && !m->pub.running)
		finf_heap_put(&p->wish, model, m->predicted.from_ns);
	else
		finf_heap_drop(&p->wish, model);
}

static void forecast(struct finf_policy *p, uint32_t model, enum finf_forecast to)
{
	struct finf_policy_entry *m = &p->models[model];
	uint64_t bytes = m->pub.weight_bytes;

	p->prefetch.bytes -= m->forecast == FINF_FORECAST_HELD ? bytes : 0;
	p->prefetch.bytes += to == FINF_FORECAST_HELD ? bytes : 0;
	m->forecast = to;
	finf_prefetch_refile(p, model);
}

void finf_prefetch_forget(struct finf_policy *p, uint32_t model)
{
	const struct finf_predict_ops *ops;

	if (!on(p))
		return;
	p->models[model].trust[0] = p->models[model].trust[1] = TRUST_START;
	forecast(p, model, FINF_FORECAST_NONE);
	for (uint32_t i = 0; (ops = finf_predict_at(i)); i++)
		ops->forget(p->predictors[i], model);
}

/* Time from the decision to a resident model: its own loads, or those of others by size. */
static uint64_t lead_ns(const struct finf_policy *p, const struct finf_policy_entry *m)
{
	uint64_t took = m->took_ns ? m->took_ns : (m->pub.weight_bytes >> 20) * p->ns_per_mib;

	return 2 * took + MARGIN_NS;
}

static void adopt(struct finf_policy *p, const struct finf_prediction *next)
{
	struct finf_policy_entry *m = &p->models[next->model];
	uint64_t lead = lead_ns(p, m), start;

	if (!m->pub.known || m->leaving || next->until_ns <= p->now ||
	    next->confidence_pct < FINF_PREDICT_MIN_PCT)
		return;
	start = next->from_ns > p->now + lead ? next->from_ns - lead : p->now;
	if (m->forecast > FINF_FORECAST_AHEAD &&
	    (m->forecast != FINF_FORECAST_SKIPPED || m->predicted.reason == next->reason)) {
		m->predicted.until_ns = FINF_MAX(m->predicted.until_ns, next->until_ns);
		finf_prefetch_refile(p, next->model);
		return;
	}
	if (m->forecast == FINF_FORECAST_AHEAD && m->start_ns <= start)
		return;
	m->predicted = *next;
	m->start_ns = start;
	forecast(p, next->model, FINF_FORECAST_AHEAD);
}

/* What follows from a request; @again: from none within its window. */
static void predict(struct finf_policy *p, uint32_t model, bool again)
{
	struct finf_prediction next[FINF_PREDICTIONS_MAX];
	const struct finf_predict_ops *ops;

	for (uint32_t i = 0; (ops = finf_predict_at(i)); i++) {
		uint32_t n = 0;

		if (!again)
			n = ops->saw(p->predictors[i], model, p->now, next);
		else if (ops->next)
			n = ops->next(p->predictors[i], model, p->now, next);
		while (n)
			adopt(p, &next[--n]);
	}
}

/* ---- what it was worth ------------------------------------------------------ */

/* Each predictor has its own: wrong intervals say nothing against a chain. */
static uint8_t trust_of(const struct finf_policy_entry *m)
{
	return m->trust[m->predicted.reason == FINF_WHY_CHAIN];
}

static void trust(struct finf_policy_entry *m, int by)
{
	int to = (int)trust_of(m) + by;

	if (m->predicted.reason != FINF_WHY_ARRIVAL)
		m->trust[m->predicted.reason == FINF_WHY_CHAIN] =
			(uint8_t)FINF_MAX(0, FINF_MIN(to, (int)TRUST_MAX));
}

static void credit(struct finf_policy *p, int by)
{
	p->credit = FINF_MAX(-CREDIT_MAX, FINF_MIN(p->credit + by, CREDIT_MAX));
}

static bool is_hint(const struct finf_policy_entry *m)
{
	return m->predicted.reason == FINF_WHY_ARRIVAL && m->source != FINF_ARRIVAL_FID;
}

static void hit(struct finf_policy *p, struct finf_policy_entry *m)
{
	bool late = m->pub.residency == FINF_LOADING;

	p->prefetch.hits++;
	p->prefetch.late += late;
	m->pub.prefetch_hits++;
	m->pub.prefetch_late += late;
	m->fetch_used = true;
	trust(m, 1);
	credit(p, 1);
	if (is_hint(m)) {
		p->sources[m->source].hits++;
		m->hint_fails = 0;
	}
}

static void waste(struct finf_policy *p, struct finf_policy_entry *m)
{
	p->prefetch.wasted++;
	p->prefetch.wasted_bytes += m->pub.weight_bytes;
	m->pub.prefetch_wasted++;
	if (is_hint(m)) {
		m->hint_next_ns = p->now + (HINT_WINDOW_NS << m->hint_fails);
		m->hint_fails = (uint8_t)FINF_MIN(m->hint_fails + 1u, HINT_FAILS_MAX);
	}
	trust(m, -3);
}

void finf_prefetch_lost(struct finf_policy *p, uint32_t model)
{
	struct finf_policy_entry *m = &p->models[model];

	if (m->forecast != FINF_FORECAST_HELD)
		return;
	waste(p, m);
	forecast(p, model, FINF_FORECAST_NONE);
}

/* A request of what gave way to a load ahead that nobody has used: that hurt. */
static void count_refault(struct finf_policy *p, struct finf_policy_entry *m)
{
	const struct finf_policy_entry *by = &p->models[m->lost_to];

	if (!m->lost_fetch || m->pub.residency == FINF_RESIDENT)
		return;
	if (by->fetches < m->lost_fetch || (by->fetches == m->lost_fetch && !by->fetch_used)) {
		p->prefetch.refaults++;
		credit(p, -REFAULT_COST);
	}
	m->lost_fetch = 0;
}

void finf_prefetch_request(struct finf_policy *p, uint32_t model)
{
	struct finf_policy_entry *m = &p->models[model];

	if (!on(p))
		return;
	count_refault(p, m);
	if (m->forecast == FINF_FORECAST_HELD) {
		hit(p, m);
	} else if (m->forecast == FINF_FORECAST_SKIPPED) {
		trust(m, 1);
		credit(p, 1);
	}
	if (p->fetching == model)
		p->fetching = FINF_MODEL_NONE; /* a load like any other now */
	forecast(p, model, FINF_FORECAST_NONE);
	predict(p, model, false);
}

/* ---- hints ------------------------------------------------------------------ */

static bool proven(const struct finf_source *source)
{
	return source->hits >= PROVEN_HITS && 2 * source->hits >= source->tries;
}

/* May a hint of @source about a cold model count? Bounded by source and by model. */
static bool take_hint(struct finf_policy *p, const struct finf_policy_entry *m, uint32_t at)
{
	struct finf_source *source = &p->sources[at];

	if (at == FINF_ARRIVAL_FID)
		return true;
	if (p->now < m->hint_next_ns)
		return false;
	if (p->now - source->window_ns >= HINT_WINDOW_NS) {
		source->window_ns = p->now;
		source->taken = 0;
	}
	return source->taken++ < (proven(source) ? HINTS_PROVEN : HINTS_UNPROVEN);
}

void finf_prefetch_arrival(struct finf_policy *p, uint32_t model, uint32_t source)
{
	struct finf_policy_entry *m = &p->models[model];

	if (!on(p) || m->pub.residency != FINF_COLD || finf_model_wanted(m) ||
	    !take_hint(p, m, source))
		return;
	m->source = (uint8_t)source;
	m->start_ns = p->now;
	m->predicted = (struct finf_prediction){
		.model = model,
		.other = FINF_MODEL_NONE,
		.reason = FINF_WHY_ARRIVAL,
		.confidence_pct = 100,
		.from_ns = p->now,
		.until_ns = p->now + ARRIVAL_HOLD_NS,
	};
	forecast(p, model, FINF_FORECAST_WISH);
}

/* ---- loads ------------------------------------------------------------------- */

bool finf_prefetch_only(const struct finf_policy *p, uint32_t model)
{
	const struct finf_policy_entry *m = &p->models[model];

	return p->fetching == model && !finf_model_wanted(m) && !m->pub.running;
}

static uint64_t mean(uint64_t old, uint64_t now)
{
	return old ? (3 * old + now) / 4 : now;
}

void finf_prefetch_loaded(struct finf_policy *p, uint32_t model)
{
	struct finf_policy_entry *m = &p->models[model];
	uint64_t took = p->now - m->began_ns, mib = m->pub.weight_bytes >> 20;

	m->took_ns = mean(m->took_ns, took);
	if (mib)
		p->ns_per_mib = mean(p->ns_per_mib, took / mib);
	m->lost_fetch = 0;
	if (p->fetching != model)
		m->unfit = false;
}

void finf_prefetch_failed(struct finf_policy *p, uint32_t model, bool moved)
{
	struct finf_policy_entry *m = &p->models[model];

	if (p->fetching != model)
		return;
	m->unfit = true;
	if (!moved && m->forecast == FINF_FORECAST_HELD)
		forecast(p, model, FINF_FORECAST_NONE); /* it cost nothing */
}

void finf_prefetch_cancel(struct finf_policy *p, uint32_t model, enum finf_reason reason,
			  uint32_t other)
{
	struct finf_policy_entry *m = &p->models[model];

	if (m->cancelled)
		return;
	m->cancelled = true;
	finf_prefetch_lost(p, model);
	finf_model_refile(p, model);
	finf_policy_emit(p, &(struct finf_action){
		.kind = FINF_DO_CANCEL_LOAD,
		.model = model,
		.reason = reason,
		.other = other,
	});
}

/* ---- verbs --------------------------------------------------------------------- */

/* Unused within its window: the first to go when room is needed. */
static void expire(struct finf_policy *p, uint32_t model)
{
	struct finf_policy_entry *m = &p->models[model];

	if (m->forecast == FINF_FORECAST_SKIPPED)
		trust(m, -1);
	if (m->forecast == FINF_FORECAST_HELD) {
		waste(p, m);
		m->pub.last_used_ns = m->used_ns;
	}
	forecast(p, model, FINF_FORECAST_NONE);
	predict(p, model, true);
	finf_model_refile(p, model);
}

bool finf_prefetch_time(struct finf_policy *p)
{
	uint32_t model = finf_heap_min(&p->times);

	if (model == FINF_HEAP_NONE || p->times.key[model] > p->now)
		return false;
	if (p->models[model].forecast == FINF_FORECAST_AHEAD)
		forecast(p, model, FINF_FORECAST_WISH);
	else
		expire(p, model);
	return true;
}

bool finf_prefetch_overtake(struct finf_policy *p)
{
	uint32_t model = p->fetching, head = finf_heap_min(&p->room);

	if (model == FINF_MODEL_NONE || p->models[model].cancelled ||
	    !finf_prefetch_only(p, model))
		return false;
	if (p->compact != FINF_COMPACT_WANTED && !finf_policy_head_blocked(p))
		return false;
	finf_prefetch_cancel(p, model, FINF_WHY_OVERTAKEN,
			     p->compact == FINF_COMPACT_WANTED ? p->compact_for : head);
	return true;
}

/* Not now and not later either: then it is only watched. */
static bool pointless(const struct finf_policy *p, uint32_t model)
{
	const struct finf_policy_entry *m = &p->models[model];
	bool sure = m->predicted.reason == FINF_WHY_ARRIVAL;

	return (p->credit <= 0 && !(sure && !is_hint(m))) || (trust_of(m) < TRUST_MIN && !sure) ||
	       m->unfit || m->pub.weight_bytes > p->opts.prefetch_bytes ||
	       finf_policy_never_fits(p, model, 0);
}

/* May the idle @victim give way to the load ahead of @model? */
static bool may_evict(const struct finf_policy *p, uint32_t victim, uint32_t model)
{
	const struct finf_policy_entry *v = &p->models[victim], *m = &p->models[model];

	if (v->forecast == FINF_FORECAST_NONE || v->forecast == FINF_FORECAST_SKIPPED)
		return true;
	if (v->forecast == FINF_FORECAST_HELD)
		return is_hint(m) && proven(&p->sources[m->source]) &&
		       v->predicted.reason != FINF_WHY_ARRIVAL;
	return v->predicted.from_ns > m->predicted.from_ns;
}

/* The first of the idle models that together can give @need bytes; none when they can't. */
static uint32_t find_victim(struct finf_policy *p, uint32_t model, uint64_t need)
{
	uint32_t looked[VICTIMS_MAX], n = 0, victim = FINF_MODEL_NONE;
	uint64_t keys[VICTIMS_MAX], sum = 0;

	while (n < VICTIMS_MAX && p->idle.len && sum < need) {
		uint32_t at = finf_heap_min(&p->idle);

		keys[n] = p->idle.key[at];
		looked[n++] = at;
		finf_heap_drop(&p->idle, at);
		if (!may_evict(p, at, model))
			continue;
		sum += p->models[at].pub.weight_bytes;
		victim = victim == FINF_MODEL_NONE ? at : victim;
	}
	while (n--)
		finf_heap_put(&p->idle, looked[n], keys[n]);
	return sum < need ? FINF_MODEL_NONE : victim;
}

static void fetch(struct finf_policy *p, uint32_t model)
{
	struct finf_policy_entry *m = &p->models[model];

	p->prefetch.loads++;
	p->prefetch.load_bytes += m->pub.weight_bytes;
	m->fetches++;
	m->fetch_used = false;
	m->used_ns = m->pub.last_used_ns;
	if (is_hint(m)) {
		struct finf_source *source = &p->sources[m->source];

		if (++source->tries >= TRIES_MAX) {
			source->tries /= 2;
			source->hits /= 2;
		}
	}
	forecast(p, model, FINF_FORECAST_HELD);
	finf_policy_load(p, model, (enum finf_reason)m->predicted.reason, m->predicted.other);
	p->fetching = model;
}

/* Room for the load ahead of @model: true when a victim was found. */
static bool make_room(struct finf_policy *p, uint32_t model)
{
	const struct finf_policy_entry *m = &p->models[model];
	uint64_t need = p->kept + m->pub.weight_bytes + finf_policy_zone(p, m->pub.arena_bytes) -
			p->opts.pool_bytes;
	uint32_t victim = find_victim(p, model, need);

	if (victim == FINF_MODEL_NONE)
		return false;
	p->models[victim].lost_to = model;
	p->models[victim].lost_fetch = m->fetches + 1;
	finf_policy_evict(p, victim, FINF_WHY_ROOM_WEIGHTS, model);
	return true;
}

bool finf_prefetch_one(struct finf_policy *p)
{
	uint32_t model = finf_heap_min(&p->wish);
	const struct finf_policy_entry *m;

	if (model == FINF_HEAP_NONE || p->draining || p->compact || p->room.len ||
	    p->fetching != FINF_MODEL_NONE || p->n_loading >= p->opts.loads_max)
		return false;
	m = &p->models[model];
	if (pointless(p, model)) {
		forecast(p, model, FINF_FORECAST_SKIPPED);
		return true;
	}
	if (p->prefetch.bytes + m->pub.weight_bytes > p->opts.prefetch_bytes)
		return false;
	if (!finf_policy_fits(p, p->kept, m->pub.weight_bytes, m->pub.arena_bytes))
		return finf_fast_give(p, FINF_WHY_ROOM_WEIGHTS, model) || make_room(p, model);
	if (!finf_policy_fits(p, p->held, m->pub.weight_bytes, m->pub.arena_bytes))
		return false; /* EVICTED will bring the rest */
	fetch(p, model);
	return true;
}

/* ---- looking --------------------------------------------------------------------- */

void finf_policy_prefetch(const struct finf_policy *p, struct finf_policy_prefetch *ret)
{
	*ret = p->prefetch;
	ret->stopped = p->credit <= 0;
}

void finf_policy_why(const struct finf_policy *p, uint32_t model, struct finf_policy_why *ret)
{
	const struct finf_policy_entry *m;

	*ret = (struct finf_policy_why){.other = FINF_MODEL_NONE};
	if (!on(p) || model >= p->opts.models_max || !p->models[model].pub.known)
		return;
	m = &p->models[model];
	if (!m->forecast)
		return;
	ret->trusted = trust_of(m) >= TRUST_MIN;
	ret->forecast = m->forecast;
	ret->reason = (enum finf_reason)m->predicted.reason;
	ret->other = m->predicted.other;
	ret->confidence_pct = m->predicted.confidence_pct;
	ret->load_ns = m->start_ns;
	ret->from_ns = m->predicted.from_ns;
	ret->until_ns = m->predicted.until_ns;
}
