/* SPDX-License-Identifier: MIT */
/* fakecuda: events, which stand for a mark of a stream or for a place in a capture. */
#include <stdlib.h>

#include "tests/support/fakecuda/fake.h"

static void event_free(struct finf_cu_event *event)
{
	mark_unref(event->mark);
	free(event->ends);
	free(event);
}

void events_destroy(struct finf_cu_ctx *ctx)
{
	while (ctx->events) {
		struct finf_cu_event *event = ctx->events;

		ctx->events = event->next;
		event_free(event);
	}
}

static enum finf_cu_result enter_event(const char *name, struct finf_cu_event *event)
{
	enum finf_cu_result result = fake_enter(name, NEED_CONTEXT);
	struct finf_cu_event *e;

	if (result)
		return result;
	for (e = fake_current()->events; e && e != event;)
		e = e->next;
	return e ? FINF_CU_SUCCESS : fake_leave(FINF_CU_ERROR_INVALID_HANDLE);
}

enum finf_cu_result cuEventCreate(struct finf_cu_event **ret, unsigned flags)
{
	enum finf_cu_result result = fake_enter(__func__, NEED_CONTEXT);
	struct finf_cu_event *event;

	if (result)
		return result;
	if (flags & ~(unsigned)(FINF_CU_EVENT_BLOCKING | FINF_CU_EVENT_DISABLE_TIMING))
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	event = fake_alloc(sizeof(*event));
	event->flags = flags;
	event->next = fake_current()->events;
	fake_current()->events = event;
	*ret = event;
	return fake_leave(FINF_CU_SUCCESS);
}

enum finf_cu_result cuEventDestroy_v2(struct finf_cu_event *event)
{
	enum finf_cu_result result = enter_event(__func__, event);
	struct finf_cu_event **at;

	if (result)
		return result;
	for (at = &fake_current()->events; *at != event;)
		at = &(*at)->next;
	*at = event->next;
	event_free(event);
	return fake_leave(FINF_CU_SUCCESS);
}

enum finf_cu_result cuEventRecord(struct finf_cu_event *event, struct finf_cu_stream *stream)
{
	enum finf_cu_result result = enter_event(__func__, event);

	if (result)
		return result;
	stream = stream_find(stream);
	if (!stream)
		return fake_leave(FINF_CU_ERROR_INVALID_HANDLE);
	result = stream_check_legacy(stream);
	if (!result && stream->capture && stream->capture->broken)
		result = FINF_CU_ERROR_STREAM_CAPTURE_INVALIDATED;
	if (result)
		return fake_leave(result);
	mark_unref(event->mark);
	free(event->ends);
	event->mark = NULL;
	event->ends = NULL;
	event->capture = stream->capture;
	if (stream->capture)
		event->ends = set_copy(stream->ends);
	else
		event->mark = mark_ref(stream_issue(stream, (struct work){.kind = NOTHING}, NULL));
	return fake_leave(FINF_CU_SUCCESS);
}

/* The stream becomes part of the capture that recorded the event. */
static enum finf_cu_result wait_captured(struct finf_cu_stream *stream, struct finf_cu_event *event)
{
	if (event->capture->broken)
		return FINF_CU_ERROR_STREAM_CAPTURE_INVALIDATED;
	if (stream == stream->ctx->legacy) {
		event->capture->broken = true;
		return FINF_CU_ERROR_STREAM_CAPTURE_IMPLICIT;
	}
	if (stream->capture && stream->capture != event->capture) {
		stream->capture->broken = event->capture->broken = true;
		return FINF_CU_ERROR_STREAM_CAPTURE_MERGE;
	}
	stream->capture = event->capture;
	stream->ends = set_join(stream->ends, event->ends);
	return FINF_CU_SUCCESS;
}

enum finf_cu_result cuStreamWaitEvent(struct finf_cu_stream *stream, struct finf_cu_event *event,
				      unsigned flags)
{
	enum finf_cu_result result = enter_event(__func__, event);

	if (result)
		return result;
	stream = stream_find(stream);
	if (!stream)
		return fake_leave(FINF_CU_ERROR_INVALID_HANDLE);
	if (flags)
		return fake_leave(FINF_CU_ERROR_INVALID_VALUE);
	result = stream_check_legacy(stream);
	if (result)
		return fake_leave(result);
	if (event->capture)
		return fake_leave(wait_captured(stream, event));
	if (stream->capture) {
		stream->capture->broken = true;
		return fake_leave(FINF_CU_ERROR_STREAM_CAPTURE_ISOLATION);
	}
	if (event->mark) /* one that was never recorded passes at once */
		stream_issue(stream, (struct work){.kind = NOTHING}, event->mark);
	return fake_leave(FINF_CU_SUCCESS);
}

static enum finf_cu_result refuse_captured(struct finf_cu_event *event)
{
	if (!event->capture)
		return FINF_CU_SUCCESS;
	event->capture->broken = true;
	return FINF_CU_ERROR_CAPTURED_EVENT;
}

enum finf_cu_result cuEventQuery(struct finf_cu_event *event)
{
	enum finf_cu_result result = enter_event(__func__, event);

	if (result)
		return result;
	result = refuse_captured(event);
	if (!result && event->mark && !event->mark->done)
		result = FINF_CU_ERROR_NOT_READY;
	if (!result)
		host_learns(fake_current(), event->mark);
	return fake_leave(result);
}

enum finf_cu_result cuEventSynchronize(struct finf_cu_event *event)
{
	enum finf_cu_result result = enter_event(__func__, event);

	if (result)
		return result;
	result = refuse_captured(event);
	if (result)
		return fake_leave(result);
	mark_wait(fake_current(), event->mark);
	return fake_leave(fake_current()->sticky);
}

enum finf_cu_result cuEventElapsedTime(float *ret_ms, struct finf_cu_event *start,
				       struct finf_cu_event *end)
{
	enum finf_cu_result result = enter_event(__func__, start);
	struct finf_cu_event *e;

	if (result)
		return result;
	for (e = fake_current()->events; e && e != end;)
		e = e->next;
	if (!e || (start->flags | end->flags) & FINF_CU_EVENT_DISABLE_TIMING || !start->mark ||
	    !end->mark)
		return fake_leave(FINF_CU_ERROR_INVALID_HANDLE);
	if (!start->mark->done || !end->mark->done)
		return fake_leave(FINF_CU_ERROR_NOT_READY);
	*ret_ms = (float)((double)end->mark->at_ns - (double)start->mark->at_ns) / 1e6f;
	return fake_leave(FINF_CU_SUCCESS);
}
