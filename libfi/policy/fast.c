/* SPDX-License-Identifier: MIT */
/*
 * policy: a busy model may earn a larger, faster form of its weights, held beside the lean one.
 *
 *   lean -> pricing -> lean, priced -> growing -> fast -> lean, priced
 *                  +-> lean for good       |        +-> lean for good: runs were no faster
 *                                          +-> lean again: failed, or room was needed
 *
 * What a form takes and what it saves is not known before somebody looked, which is worth
 * it for a model that runs at all. Then it is earned: by runs that, had they used it, would
 * have saved what it costs to make. Runs count half after each HALF_NS, so it is the rate
 * that counts. It takes free bytes only, and is the first to give them back: before any
 * model is evicted, for whomever. After that the model has to wait, twice as long each time.
 */
#include <errno.h>

#include "policy/priv.h"

#define HALF_NS 30000000000ull
#define PRICE_RUNS 32u
#define MAKE_NS_PER_BYTE 4u /* three times what Winograd's transform was measured to take */
#define WAIT_NS 10000000000ull
#define WAITS_MAX 6u

static void decay(const struct finf_policy *p, struct finf_policy_fast *fast)
{
	uint64_t halves = (p->now - fast->since_ns) / HALF_NS;

	fast->runs = halves < 32 ? fast->runs >> halves : 0;
	fast->since_ns += halves * HALF_NS;
}

/* Twice as long each time, unless the last time is long ago. */
static void wait(const struct finf_policy *p, struct finf_policy_fast *fast)
{
	if (p->now > fast->next_ns + (WAIT_NS << WAITS_MAX))
		fast->waits = 0;
	fast->next_ns = p->now + (WAIT_NS << fast->waits);
	fast->waits = FINF_MIN(fast->waits + 1, WAITS_MAX);
}

static void hold(struct finf_policy *p, uint32_t model, enum finf_fast_state to, uint64_t bytes)
{
	struct finf_policy_entry *m = &p->models[model];

	p->held += bytes - m->pub.fast_bytes;
	p->kept += bytes - m->pub.fast_bytes;
	p->fast_bytes += bytes - m->pub.fast_bytes;
	m->pub.fast_bytes = bytes;
	m->fast.state = to;
	finf_model_arena(p, model); /* of another size now */
	finf_model_refile(p, model);
}

void finf_fast_shrink(struct finf_policy *p, uint32_t model, enum finf_reason reason,
		      uint32_t other)
{
	struct finf_policy_entry *m = &p->models[model];

	finf_policy_emit(p, &(struct finf_action){
		.kind = FINF_DO_SHRINK,
		.model = model,
		.a = m->pub.fast_bytes,
		.reason = reason,
		.other = other,
	});
	m->fast.given_back++;
	wait(p, &m->fast);
	hold(p, model, FINF_FAST_LEAN, 0);
}

/* ---- events ------------------------------------------------------------------ */

void finf_fast_ran(struct finf_policy *p, uint32_t model)
{
	struct finf_policy_fast *fast = &p->models[model].fast;

	if (!fast->allowed)
		return;
	decay(p, fast);
	fast->runs += fast->runs < UINT32_MAX;
	p->earner = model;
}

void finf_fast_allow(struct finf_policy *p, uint32_t model, bool allow)
{
	struct finf_policy_entry *m = &p->models[model];

	if (m->fast.allowed == allow)
		return;
	m->fast.allowed = allow;
	m->fast.slower = false;
	m->fast.since_ns = p->now;
	m->fast.runs = 0;
	finf_model_refile(p, model);
}

int finf_fast_priced(struct finf_policy *p, const struct finf_event *event)
{
	struct finf_policy_fast *fast;

	if (event->model >= p->opts.models_max || p->maker != event->model || p->making ||
	    event->a > FINF_POLICY_BYTES_MAX || event->b > FINF_POLICY_BYTES_MAX)
		return -EINVAL;
	p->maker = FINF_MODEL_NONE;
	fast = &p->models[event->model].fast;
	if (fast->state != FINF_FAST_PRICING) /* removed meanwhile, or another by now */
		return 0;
	fast->state = FINF_FAST_LEAN;
	if (!event->a && event->b) {
		wait(p, fast); /* it could not be found out */
		return 0;
	}
	fast->priced = true;
	fast->bytes = event->a;
	fast->arena_bytes = event->b;
	fast->gain_ns = event->id;
	p->earner = event->model;
	return 0;
}

int finf_fast_grown(struct finf_policy *p, const struct finf_event *event)
{
	struct finf_policy_fast *fast;

	if (event->model >= p->opts.models_max || p->maker != event->model || !p->making ||
	    event->a > INT32_MAX)
		return -EINVAL;
	p->maker = FINF_MODEL_NONE;
	p->making = false;
	fast = &p->models[event->model].fast;
	if (fast->state != FINF_FAST_GROWING)
		return 0; /* the bytes were needed meanwhile */
	if (event->a) {
		wait(p, fast);
		hold(p, event->model, FINF_FAST_LEAN, 0);
	} else {
		fast->made++;
		hold(p, event->model, FINF_FAST_READY, p->models[event->model].pub.fast_bytes);
	}
	return 0;
}

/* Given back by finf_fast_forbid(), unless that has happened for another reason. */
int finf_fast_slower(struct finf_policy *p, const struct finf_event *event)
{
	struct finf_policy_fast *fast;

	if (event->model >= p->opts.models_max)
		return -EINVAL;
	fast = &p->models[event->model].fast;
	if (fast->state == FINF_FAST_READY) {
		fast->slower = true;
		finf_model_refile(p, event->model);
	}
	return 0;
}

/* ---- verbs of the pump --------------------------------------------------------- */

static bool unwanted(const struct finf_policy_entry *m)
{
	return !m->fast.allowed || m->fast.slower;
}

void finf_fast_refile(struct finf_policy *p, uint32_t model)
{
	const struct finf_policy_entry *m = &p->models[model];

	/* One that is being made is used by nobody yet; what is not wanted any more goes first. */
	if (m->pub.fast_bytes && (!m->pub.running || m->fast.state == FINF_FAST_GROWING))
		finf_heap_put(&p->fast, model,
			      unwanted(m) ? 0 : p->evict->key(&m->pub, p->now));
	else
		finf_heap_drop(&p->fast, model);
}

bool finf_fast_give(struct finf_policy *p, enum finf_reason reason, uint32_t other)
{
	uint32_t model = finf_heap_min(&p->fast);

	if (model == FINF_HEAP_NONE)
		return false;
	finf_fast_shrink(p, model, reason, other);
	return true;
}

bool finf_fast_unmake(struct finf_policy *p, enum finf_reason reason, uint32_t other)
{
	if (p->maker == FINF_MODEL_NONE || !p->making ||
	    p->models[p->maker].fast.state != FINF_FAST_GROWING)
		return false;
	finf_fast_shrink(p, p->maker, reason, other);
	return true;
}

/* Has it earned what it takes to make its form? */
static bool earned(const struct finf_policy_fast *fast)
{
	uint64_t saved;

	if (__builtin_mul_overflow(fast->gain_ns, fast->runs, &saved))
		saved = UINT64_MAX;
	return fast->bytes && saved >= fast->bytes * MAKE_NS_PER_BYTE;
}

static void grow(struct finf_policy *p, uint32_t model)
{
	const struct finf_policy_fast *fast = &p->models[model].fast;

	p->making = true;
	hold(p, model, FINF_FAST_GROWING, fast->bytes);
	finf_policy_emit(p, &(struct finf_action){
		.kind = FINF_DO_GROW,
		.model = model,
		.a = finf_policy_zone(p, 0),
		.b = fast->bytes,
		.reason = FINF_WHY_EARNED,
		.other = FINF_MODEL_NONE,
	});
}

static void price(struct finf_policy *p, uint32_t model)
{
	p->making = false;
	p->models[model].fast.state = FINF_FAST_PRICING;
	finf_policy_emit(p, &(struct finf_action){
		.kind = FINF_DO_PRICE,
		.model = model,
		.reason = FINF_WHY_EARNED,
		.other = FINF_MODEL_NONE,
	});
}

/* One at a time, and nothing while somebody waits for room. */
bool finf_fast_one(struct finf_policy *p)
{
	uint32_t model = p->earner;
	struct finf_policy_entry *m;

	if (model == FINF_MODEL_NONE || p->maker != FINF_MODEL_NONE)
		return false;
	p->earner = FINF_MODEL_NONE;
	m = &p->models[model];
	if (!m->pub.known || m->leaving || unwanted(m) || m->fast.state ||
	    m->pub.residency != FINF_RESIDENT || p->draining || p->compact || p->room.len ||
	    p->now < m->fast.next_ns)
		return false;
	if (!m->fast.priced && m->fast.runs < PRICE_RUNS)
		return false;
	if (m->fast.priced &&
	    (!earned(&m->fast) ||
	     !finf_policy_fits(p, p->held, m->fast.bytes, m->fast.arena_bytes)))
		return false;
	p->maker = model;
	if (m->fast.priced)
		grow(p, model);
	else
		price(p, model);
	return true;
}

/* What is allowed no more, or was no faster, goes as soon as nobody uses it. */
bool finf_fast_forbid(struct finf_policy *p)
{
	uint32_t model = finf_heap_min(&p->fast);

	if (model == FINF_HEAP_NONE || !unwanted(&p->models[model]) || p->compact)
		return false;
	finf_fast_shrink(p, model,
			 p->models[model].fast.slower ? FINF_WHY_SLOWER : FINF_WHY_OPERATOR,
			 FINF_MODEL_NONE);
	return true;
}

/* ---- looking --------------------------------------------------------------------- */

void finf_policy_fast(const struct finf_policy *p, uint32_t model, struct finf_policy_fast *ret)
{
	*ret = (struct finf_policy_fast){0};
	if (model >= p->opts.models_max || !p->models[model].pub.known)
		return;
	*ret = p->models[model].fast;
	decay(p, ret);
	ret->runs_needed = PRICE_RUNS;
	if (ret->priced && ret->gain_ns)
		ret->runs_needed = ret->bytes * MAKE_NS_PER_BYTE / ret->gain_ns + 1;
	ret->fits = finf_policy_fits(p, p->held, ret->bytes, ret->arena_bytes);
}

uint64_t finf_policy_fast_bytes(const struct finf_policy *p)
{
	return p->fast_bytes;
}
