/* SPDX-License-Identifier: MIT */
/* fakecuda: streams as threads that carry out operations late. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/fakecuda/fake.h"

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- marks and clocks ------------------------------------------------------ */

struct mark *mark_ref(struct mark *mark)
{
	if (mark)
		mark->refs++;
	return mark;
}

void mark_unref(struct mark *mark)
{
	if (mark && !--mark->refs)
		free(mark);
}

static void clock_merge(struct clock *to, const struct clock *from)
{
	for (unsigned i = 0; i < MAX_STREAMS; i++)
		if (to->seen[i] < from->seen[i])
			to->seen[i] = from->seen[i];
}

void host_learns(struct finf_cu_ctx *ctx, const struct mark *mark)
{
	if (mark)
		clock_merge(&ctx->host, &mark->clock);
	if (!ctx->pending)
		memory_protect(ctx, false);
}

void mark_wait(struct finf_cu_ctx *ctx, struct mark *mark)
{
	mark_ref(mark);
	while (mark && !mark->done)
		pthread_cond_wait(&fake.changed, &fake.lock);
	host_learns(ctx, mark);
	mark_unref(mark);
}

void context_drain(struct finf_cu_ctx *ctx)
{
	while (ctx->pending)
		pthread_cond_wait(&fake.changed, &fake.lock);
	memcpy(ctx->host.seen, ctx->issued, sizeof(ctx->issued));
	host_learns(ctx, NULL);
}

/* ---- work that is not ordered ---------------------------------------------- */

static void note_one(struct finf_cu_stream *stream, uint64_t at, size_t bytes, bool write)
{
	struct finf_cu_ctx *ctx = stream->ctx;
	unsigned n = ctx->n_accesses < N_ACCESSES ? ctx->n_accesses : N_ACCESSES;

	for (unsigned i = 0; i < n; i++) {
		const struct access *old = &ctx->accesses[i];

		if (at >= old->at + old->bytes || old->at >= at + bytes || !(write || old->write))
			continue;
		if (stream->clock.seen[old->stream] < old->seq)
			fake_violate("race: streams %u and %u use %#llx without order", old->stream,
				     stream->number, (unsigned long long)at);
	}
	ctx->accesses[ctx->n_accesses++ % N_ACCESSES] =
		(struct access){at, bytes, write, stream->number, ctx->issued[stream->number]};
}

/* Kernels are left out: what their parameters point to is not known. */
static void access_note(struct finf_cu_stream *stream, const struct work *work)
{
	bool copy = work->kind == COPY_IN || work->kind == COPY_OUT || work->kind == COPY_DEVICE;

	if (copy)
		note_one(stream, work->from, work->bytes, false);
	if (copy || work->kind == FILL)
		note_one(stream, work->to, work->bytes, true);
	if (work->kind == GRAPH)
		for (unsigned i = 0; i < work->exec->graph->n; i++)
			access_note(stream, &work->exec->graph->nodes[i]->work);
}

static bool work_touches(const struct work *work, uint64_t at, size_t bytes)
{
	if (work->kind == GRAPH) {
		for (unsigned i = 0; i < work->exec->graph->n; i++)
			if (work_touches(&work->exec->graph->nodes[i]->work, at, bytes))
				return true;
		return false;
	}
	if (work->kind == KERNEL)
		return false; /* not known */
	return work->bytes &&
	       ((work->to < at + bytes && at < work->to + work->bytes) ||
		(work->from && work->from < at + bytes && at < work->from + work->bytes));
}

bool work_pending_on(struct finf_cu_ctx *ctx, uint64_t at, size_t bytes)
{
	for (struct finf_cu_stream *s = ctx->streams; s; s = s->next)
		for (struct op *op = s->first; op; op = op->next)
			if (work_touches(&op->work, at, bytes))
				return true;
	return false;
}

/* ---- carrying out ---------------------------------------------------------- */

_Thread_local bool fake_in_host_function;

static void fill(void *to, const struct work *work)
{
	if (work->value_bytes == 1)
		memset(to, (int)work->value, work->bytes);
	else
		for (size_t i = 0; i < work->bytes / 4; i++)
			((uint32_t *)to)[i] = work->value;
}

/* The CPU's side of managed memory is open while a kernel runs: it is a CPU here. */
static enum finf_cu_result run_kernel(struct finf_cu_ctx *ctx, const struct work *work)
{
	unsigned fault;

	pthread_mutex_lock(&fake.lock);
	fault = fake_injected("KERNEL");
	if (!fault && !ctx->running++)
		memory_protect(ctx, false);
	pthread_mutex_unlock(&fake.lock);
	if (fault)
		return fault;
	work->kernel(work->param, &work->grid);
	pthread_mutex_lock(&fake.lock);
	if (!--ctx->running)
		memory_protect(ctx, true);
	pthread_mutex_unlock(&fake.lock);
	return FINF_CU_SUCCESS;
}

static bool addresses_hold(const struct work *work)
{
	bool in = work->kind == COPY_IN, out = work->kind == COPY_OUT, ok;

	pthread_mutex_lock(&fake.lock);
	ok = out || device_reachable(work->to, work->bytes);
	if (ok && !in && work->kind != FILL)
		ok = device_reachable(work->from, work->bytes);
	pthread_mutex_unlock(&fake.lock);
	return ok;
}

static void *alias_of(uint64_t at)
{
	void *alias;

	pthread_mutex_lock(&fake.lock);
	alias = memory_alias(at);
	pthread_mutex_unlock(&fake.lock);
	return alias;
}

enum finf_cu_result work_run(struct finf_cu_ctx *ctx, const struct work *work)
{
	switch (work->kind) {
	case COPY_IN:
	case COPY_OUT:
	case COPY_DEVICE:
	case FILL:
		if (!addresses_hold(work))
			return FINF_CU_ERROR_ILLEGAL_ADDRESS;
		if (work->kind == FILL)
			fill(alias_of(work->to), work);
		else
			memmove(alias_of(work->to), alias_of(work->from), work->bytes);
		break;
	case KERNEL:
		return run_kernel(ctx, work);
	case HOST_FUNC:
		fake_in_host_function = true;
		work->host(work->user);
		fake_in_host_function = false;
		break;
	case GRAPH:
		return graph_run(ctx, work->exec->graph);
	case PREFETCH:
	case NOTHING:
		break;
	}
	return FINF_CU_SUCCESS;
}

static void wait_deps(const struct op *op)
{
	for (unsigned i = 0; i < op->n_deps; i++)
		while (!op->deps[i]->done)
			pthread_cond_wait(&fake.changed, &fake.lock);
}

static void op_free(struct op *op)
{
	for (unsigned i = 0; i < op->n_deps; i++)
		mark_unref(op->deps[i]);
	mark_unref(op->mark);
	free(op->deps);
	free(op->work.param);
	free(op);
}

/* After a fault nothing more is carried out, but everything ends. */
static void carry_out(struct finf_cu_stream *stream, struct op *op)
{
	struct finf_cu_ctx *ctx = stream->ctx;
	enum finf_cu_result result = ctx->sticky;
	struct timespec delay = {0};

	if (fake.delay_us)
		delay.tv_nsec = (long)(fake_random() % fake.delay_us) * 1000;
	if (!result) {
		pthread_mutex_unlock(&fake.lock);
		if (delay.tv_nsec)
			nanosleep(&delay, NULL);
		result = work_run(ctx, &op->work);
		pthread_mutex_lock(&fake.lock);
	}
	if (!ctx->sticky)
		ctx->sticky = result;
	op->mark->done = true;
	op->mark->at_ns = now_ns();
	ctx->pending--;
}

static void *worker(void *arg)
{
	struct finf_cu_stream *stream = arg;

	pthread_mutex_lock(&fake.lock);
	while (stream->first || !stream->stop) {
		struct op *op = stream->first;

		if (!op) {
			pthread_cond_wait(&fake.changed, &fake.lock);
			continue;
		}
		wait_deps(op);
		carry_out(stream, op);
		stream->first = op->next;
		if (!stream->first)
			stream->last = &stream->first;
		op_free(op);
		pthread_cond_broadcast(&fake.changed);
	}
	pthread_mutex_unlock(&fake.lock);
	return NULL;
}

/* ---- queueing -------------------------------------------------------------- */

static void op_depend(struct finf_cu_stream *stream, struct op *op, struct mark *mark)
{
	struct mark **deps;

	if (!mark)
		return;
	deps = reallocarray(op->deps, op->n_deps + 1, sizeof(*deps));
	if (!deps)
		abort();
	op->deps = deps;
	op->deps[op->n_deps++] = mark_ref(mark);
	clock_merge(&stream->clock, &mark->clock);
}

/* The legacy stream and those that were not made non-blocking wait for each other. */
static void depend_on_legacy(struct finf_cu_stream *stream, struct op *op)
{
	struct finf_cu_ctx *ctx = stream->ctx;

	if (stream->flags & FINF_CU_STREAM_NON_BLOCKING)
		return;
	if (stream != ctx->legacy) {
		op_depend(stream, op, ctx->legacy->tail);
		return;
	}
	for (struct finf_cu_stream *s = ctx->streams; s; s = s->next)
		if (s != stream && !(s->flags & FINF_CU_STREAM_NON_BLOCKING))
			op_depend(stream, op, s->tail);
}

static void start_worker(struct finf_cu_stream *stream)
{
	if (stream->running)
		return;
	if (pthread_create(&stream->thread, NULL, worker, stream))
		abort();
	stream->running = true;
}

struct mark *stream_issue(struct finf_cu_stream *stream, struct work work, struct mark *after)
{
	struct finf_cu_ctx *ctx = stream->ctx;
	struct op *op = fake_alloc(sizeof(*op));

	start_worker(stream);
	op->work = work;
	op->mark = fake_alloc(sizeof(*op->mark));
	op->mark->refs = 2; /* the operation's and the stream's */
	clock_merge(&stream->clock, &ctx->host);
	op_depend(stream, op, after);
	depend_on_legacy(stream, op);
	stream->clock.seen[stream->number] = ++ctx->issued[stream->number];
	op->mark->clock = stream->clock;
	access_note(stream, &op->work);
	mark_unref(stream->tail);
	stream->tail = op->mark;
	*stream->last = op;
	stream->last = &op->next;
	ctx->pending++;
	memory_protect(ctx, true);
	pthread_cond_broadcast(&fake.changed);
	return op->mark;
}

enum finf_cu_result stream_check_legacy(struct finf_cu_stream *stream)
{
	struct finf_cu_ctx *ctx = stream->ctx;

	if (stream != ctx->legacy)
		return FINF_CU_SUCCESS;
	for (struct finf_cu_stream *s = ctx->streams; s; s = s->next)
		if (s->capture && !(s->flags & FINF_CU_STREAM_NON_BLOCKING)) {
			s->capture->broken = true;
			return FINF_CU_ERROR_STREAM_CAPTURE_IMPLICIT;
		}
	return FINF_CU_SUCCESS;
}

enum finf_cu_result stream_do(struct finf_cu_stream *stream, struct work work)
{
	enum finf_cu_result result = stream_check_legacy(stream);
	struct mark *after = work.kind == GRAPH ? work.exec->last : NULL;

	if (!result && stream->capture) {
		result = capture_add(stream, &work);
	} else if (!result) {
		struct mark *mark = stream_issue(stream, work, after);

		if (work.kind == GRAPH) {
			mark_unref(work.exec->last);
			work.exec->last = mark_ref(mark);
		}
		return FINF_CU_SUCCESS;
	}
	free(work.param);
	return result;
}

/* ---- streams --------------------------------------------------------------- */

struct finf_cu_stream *stream_find(struct finf_cu_stream *handle)
{
	struct finf_cu_stream *stream = fake_current()->streams;

	if (!handle || handle == LEGACY)
		return fake_current()->legacy;
	while (stream && stream != handle)
		stream = stream->next;
	return stream;
}

static struct finf_cu_stream *stream_new(struct finf_cu_ctx *ctx, unsigned flags)
{
	struct finf_cu_stream *stream, *s;
	unsigned number = 0;

	for (s = ctx->streams; s && number < MAX_STREAMS;) {
		if (s->number == number) {
			number++;
			s = ctx->streams;
		} else {
			s = s->next;
		}
	}
	if (number == MAX_STREAMS)
		return NULL;
	stream = fake_alloc(sizeof(*stream));
	stream->ctx = ctx;
	stream->number = number;
	stream->flags = flags;
	stream->last = &stream->first;
	stream->next = ctx->streams;
	ctx->streams = stream;
	return stream;
}

void stream_new_legacy(struct finf_cu_ctx *ctx)
{
	ctx->legacy = stream_new(ctx, 0);
}

/* Its work ends first. */
static void stream_free(struct finf_cu_stream *stream)
{
	struct finf_cu_stream **at = &stream->ctx->streams;

	while (*at != stream)
		at = &(*at)->next;
	*at = stream->next;
	stream->stop = true;
	pthread_cond_broadcast(&fake.changed);
	if (stream->running) {
		pthread_mutex_unlock(&fake.lock);
		pthread_join(stream->thread, NULL);
		pthread_mutex_lock(&fake.lock);
	}
	mark_unref(stream->tail);
	free(stream->ends);
	free(stream);
}

void streams_destroy(struct finf_cu_ctx *ctx)
{
	while (ctx->streams)
		stream_free(ctx->streams);
	events_destroy(ctx);
}

enum finf_cu_result cuStreamCreateWithPriority(struct finf_cu_stream **ret, unsigned flags,
					       int priority)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_CONTEXT);

	(void)priority; /* any is clamped to the one there is */
	if (result)
		return result;
	if (flags & ~(unsigned)FINF_CU_STREAM_NON_BLOCKING)
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	*ret = stream_new(fake_current(), flags);
	return fake_leave(*ret ? FINF_CU_SUCCESS : FINF_CU_ERROR_OUT_OF_MEMORY);
}

/* Enter, and find the stream: what most calls below begin with. */
static enum finf_cu_result enter_stream(const char *name, struct finf_cu_stream **stream)
{
	enum finf_cu_result result = fake_enter(name, NEED_CONTEXT);

	if (result)
		return result;
	*stream = stream_find(*stream);
	return *stream ? FINF_CU_SUCCESS : fake_leave(FINF_CU_ERROR_INVALID_HANDLE);
}

enum finf_cu_result cuStreamDestroy_v2(struct finf_cu_stream *stream)
{
	enum finf_cu_result result = enter_stream(__func__, &stream);

	if (result)
		return result;
	if (stream == stream->ctx->legacy)
		return fake_leave(FINF_CU_ERROR_INVALID_HANDLE);
	if (stream->capture && !fake.lets_go) {
		stream->capture->broken = true;
		return fake_leave(FINF_CU_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	}
	if (stream->capture)
		capture_drop(stream);
	stream_free(stream);
	return fake_leave(FINF_CU_SUCCESS);
}

static enum finf_cu_result enter_host_wait(const char *name, struct finf_cu_stream **stream)
{
	enum finf_cu_result result = enter_stream(name, stream);

	if (result)
		return result;
	if ((*stream)->capture) {
		(*stream)->capture->broken = true;
		return fake_leave(FINF_CU_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	}
	result = stream_check_legacy(*stream);
	return result ? fake_leave(result) : FINF_CU_SUCCESS;
}

enum finf_cu_result cuStreamSynchronize(struct finf_cu_stream *stream)
{
	enum finf_cu_result result = enter_host_wait(__func__, &stream);

	if (result)
		return result;
	if (stream == stream->ctx->legacy)
		mark_wait(stream->ctx, stream_issue(stream, (struct work){.kind = NOTHING}, NULL));
	else
		mark_wait(stream->ctx, stream->tail);
	return fake_leave(fake_current()->sticky);
}

enum finf_cu_result cuStreamQuery(struct finf_cu_stream *stream)
{
	enum finf_cu_result result = enter_host_wait(__func__, &stream);

	if (result)
		return result;
	if (stream->tail && !stream->tail->done)
		return fake_leave(FINF_CU_ERROR_NOT_READY);
	host_learns(stream->ctx, stream->tail);
	return fake_leave(FINF_CU_SUCCESS);
}

enum finf_cu_result cuLaunchHostFunc(struct finf_cu_stream *stream, void (*fn)(void *), void *user)
{
	struct work work = {.kind = HOST_FUNC, .host = fn, .user = user};
	enum finf_cu_result result = enter_stream(__func__, &stream);

	if (result)
		return result;
	return fake_leave(fn ? stream_do(stream, work) : FINF_CU_ERROR_INVALID_VALUE);
}
