/* SPDX-License-Identifier: MIT */
/* daemon/http: connections, routes, bodies, and libmicrohttpd in fid's loop. */
#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <fusedinf/version.h>

#include "daemon/http.h"
#include "daemon/kserve.h"
#include "daemon/listen.h"
#include "daemon/log.h"
#include "graph/member.h"

#define CONNECTIONS_MAX 256u
#define HEADERS_MAX ((size_t)32 << 10) /* request line and headers of one connection */
#define HELD_BODIES 4		       /* all bodies together, in largest bodies */
#define FLUSH_NS 1000000000ull	       /* for answers not yet sent when fid ends */

struct fid_http {
	struct fid_core *core;
	struct fid_metrics *metrics; /* outlives the core */
	struct MHD_Daemon *daemon;   /* owned */
	sd_event_source *io, *timer;
	uint64_t body_max, held; /* bytes of bodies in memory */
	uint32_t answering;	 /* calls with a response that is not sent yet */
};

struct route;

/* One HTTP request. */
struct call {
	struct fid_http *http;
	struct MHD_Connection *connection;
	const struct route *route;
	char name[132], member[132]; /* as in the path; no member = the whole model */
	char label[144];	    /* of the model: NAME or NAME:VERSION */
	uint8_t *body;		    /* owned */
	size_t len, cap, total;	    /* total: Content-Length */
	bool no_room;		    /* the body could not be kept; it is read and dropped */
	bool suspended;		    /* until its inference has ended */
	bool ran;		    /* its inference has ended, the answer is owed */
	struct fid_infer *infer; /* owned; its request may be running */
	unsigned status;
	struct MHD_Response *response; /* owned until it is queued */
};

struct route {
	const char *pattern; /* a capital is one part of the path: Name, Member, Version */
	bool post;
	void (*serve)(struct call *call);
};

/* ---- answering ----------------------------------------------------------------- */

/* What a request's errno means in HTTP; what has no row is 500. */
static const struct {
	int err;
	unsigned status;
} statuses[] = {
	{EINVAL, 400},	  {EOVERFLOW, 400}, {EOPNOTSUPP, 400}, {EPERM, 403},	 {ENOENT, 404},
	{EFBIG, 413},	  {ENOMEM, 503},    {ENOBUFS, 503},    {EAGAIN, 503},	 {EBUSY, 503},
	{ECANCELED, 503}, {ETIME, 503},	    {ESHUTDOWN, 503},
};

static unsigned status_of(int err)
{
	for (size_t i = 0; i < FINF_ARRAY_LEN(statuses); i++)
		if (statuses[i].err == -err)
			return statuses[i].status;
	return 500;
}

/* Takes @text. */
static void answer(struct call *call, unsigned status, const char *type, char *text, size_t len)
{
	call->status = status;
	call->response = text ? MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE) : NULL;
	if (!call->response)
		free(text);
	else
		MHD_add_response_header(call->response, "Content-Type", type);
}

/* Takes @doc; NULL closes the connection, as out of memory does everywhere here. */
static void answer_json(struct call *call, unsigned status, json_t *doc)
{
	char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;

	json_decref(doc);
	answer(call, status, "application/json", text, text ? strlen(text) : 0);
}

static void FINF_PRINTF(3, 4) refuse(struct call *call, unsigned status, const char *fmt, ...)
{
	char text[1024];
	json_t *doc;
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	doc = json_pack("{s:s}", "error", text);
	if (!doc) { /* what a client sent need not be UTF-8 */
		for (char *c = text; *c; c++)
			if (*c & 0x80)
				*c = '?';
		doc = json_pack("{s:s}", "error", text);
	}
	answer_json(call, status, doc);
}

/* ---- looking ------------------------------------------------------------------------ */

static void serve_server(struct call *call)
{
	answer_json(call, 200, fid_kserve_server());
}

static void serve_live(struct call *call)
{
	answer_json(call, 200, json_pack("{s:b}", "live", 1));
}

static void serve_ready(struct call *call)
{
	struct fid_core_stats stats;

	fid_core_stats(call->http->core, &stats);
	answer_json(call, stats.draining ? 503 : 200, json_pack("{s:b}", "ready", !stats.draining));
}

static bool find(struct call *call, struct fid_model_info *ret)
{
	int err = fid_core_find(call->http->core, call->label, ret);

	if (err)
		refuse(call, status_of(err), err == -ENOENT ? "no model named %s" : "not a model name: %s",
		       call->label);
	return !err;
}

/* The member's number, FINF_NONE for the whole. */
static bool find_member(struct call *call, const struct fid_model_info *info, uint32_t *ret)
{
	*ret = *call->member ? finf_graph_member_find(finf_model_graph(info->model), call->member)
			     : FINF_NONE;
	if (*call->member && *ret == FINF_NONE)
		refuse(call, 404, "%s has no member %s", call->label, call->member);
	return !*call->member || *ret != FINF_NONE;
}

static void serve_model(struct call *call)
{
	struct fid_model_info info;
	uint32_t member;

	if (!find(call, &info))
		return;
	if (!info.model)
		refuse(call, info.state == FID_MODEL_FAILED ? 500 : 503, "%s is not ready: %s",
		       call->label, info.error[0] ? info.error : "still being prepared");
	else if (find_member(call, &info, &member))
		answer_json(call, 200, fid_kserve_model(call->http->core, &info, member));
}

static void serve_model_ready(struct call *call)
{
	struct fid_model_info info;
	uint32_t member;
	bool ready;

	if (!find(call, &info) || (info.model && !find_member(call, &info, &member)))
		return;
	ready = info.state == FID_MODEL_READY;
	answer_json(call, ready ? 200 : 503,
		    json_pack("{s:s++, s:b}", "name", info.name, *call->member ? "/" : "",
			      call->member, "ready", (int)ready));
}

static void serve_index(struct call *call)
{
	answer_json(call, 200, fid_kserve_index(call->http->core));
}

static void serve_no_change(struct call *call)
{
	refuse(call, 403, "models are loaded on demand; loading and unloading is for the Unix socket");
}

static void count_model(void *ctx, const struct fid_model_info *info)
{
	struct fid_metrics_now *now = ctx;

	if (info->state == FID_MODEL_READY)
		now->residency[info->policy.residency]++;
	else if (info->state == FID_MODEL_FAILED)
		now->failed++;
	else
		now->preparing++;
}

static void serve_metrics(struct call *call)
{
	struct fid_core_stats stats;
	struct fid_metrics_now now = {.version = FUSEDINF_VERSION};
	struct finf_buf buf;

	fid_core_stats(call->http->core, &stats);
	fid_core_list(call->http->core, count_model, &now);
	now.device = stats.device;
	now.weight_bytes = stats.mem.extent_bytes;
	now.arena_bytes = stats.mem.arena_bytes;
	now.free_bytes = stats.mem.free_bytes;
	now.queued = stats.queued;
	now.running = stats.running;
	now.prefetch = stats.prefetch;
	now.fast_bytes = stats.fast_bytes;
	finf_buf_init(&buf);
	fid_metrics_text(call->http->metrics, &now, &buf);
	if (buf.err)
		finf_buf_fini(&buf);
	answer(call, 200, "text/plain; version=0.0.4; charset=utf-8", (char *)buf.data, buf.len);
}

/* ---- inference -------------------------------------------------------------------------- */

static void answer_infer(struct call *call)
{
	struct fid_request *request = &call->infer->request;
	size_t bytes, json_bytes;
	uint8_t *body;
	char text[32], name[sizeof(call->name) + sizeof(call->member)];
	int err;

	snprintf(name, sizeof(name), "%s%s%s", call->name, *call->member ? "/" : "", call->member);
	err = fid_kserve_answer(call->infer, name, request->version, &body, &bytes, &json_bytes);
	if (err) {
		refuse(call, status_of(err), "the answer could not be written: %s", strerror(-err));
		return;
	}
	answer(call, 200, json_bytes ? "application/octet-stream" : "application/json", (char *)body,
	       bytes);
	if (!json_bytes || !call->response)
		return;
	snprintf(text, sizeof(text), "%zu", json_bytes);
	MHD_add_response_header(call->response, "Inference-Header-Content-Length", text);
}

/* The library's own wakeup is for its threads only: without one the timer takes its place. */
static void wake(struct call *call)
{
	call->suspended = false;
	MHD_resume_connection(call->connection);
	sd_event_source_set_time_relative(call->http->timer, 0);
	sd_event_source_set_enabled(call->http->timer, SD_EVENT_ONESHOT);
}

static void infer_done(struct fid_request *request)
{
	struct fid_infer *infer = (struct fid_infer *)((char *)request -
						       offsetof(struct fid_infer, request));
	struct call *call = request->owner;

	if (request->result)
		refuse(call, status_of(request->result), "%s",
		       request->diag.text[0] ? request->diag.text : strerror(-request->result));
	else
		answer_infer(call);
	call->infer = NULL;
	fid_infer_fini(infer);
	free(infer);
	call->ran = true;
	call->http->answering++;
	if (call->suspended)
		wake(call);
}

/* SIZE_MAX without the header. */
static int header_length(struct call *call, size_t *ret)
{
	const char *text = MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND,
						       "Inference-Header-Content-Length");
	char *end;

	*ret = SIZE_MAX;
	if (!text)
		return 0;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return *text < '0' || *text > '9' || *end || errno || *ret == SIZE_MAX ? -EINVAL : 0;
}

static void serve_infer(struct call *call)
{
	char target[sizeof(call->label) + sizeof(call->member)];
	struct finf_diag diag = {{0}};
	size_t json_bytes;
	int err;

	if (call->no_room) {
		refuse(call, 503, "too many requests at a time: no room for this body");
		return;
	}
	if (header_length(call, &json_bytes)) {
		refuse(call, 400, "Inference-Header-Content-Length is no number");
		return;
	}
	call->infer = calloc(1, sizeof(*call->infer));
	if (!call->infer)
		return;
	err = fid_kserve_parse(call->infer, call->body, call->len, json_bytes, &diag);
	if (err) {
		refuse(call, status_of(err), "%s", diag.text[0] ? diag.text : strerror(-err));
		return; /* the call owns what was parsed */
	}
	call->infer->request.owner = call;
	call->infer->request.done = infer_done;
	snprintf(target, sizeof(target), "%s%s%s", call->label, *call->member ? "/" : "",
		 call->member);
	fid_core_request(call->http->core, target, &call->infer->request);
	if (!call->infer)
		return; /* answered at once */
	call->suspended = true;
	MHD_suspend_connection(call->connection);
}

/* ---- routes --------------------------------------------------------------------------------- */

/* The first that fits: members named like what may follow a name are not reached. */
static const struct route routes[] = {
	{"/v2", false, serve_server},
	{"/v2/health/live", false, serve_live},
	{"/v2/health/ready", false, serve_ready},
	{"/v2/models/N", false, serve_model},
	{"/v2/models/N/versions/V", false, serve_model},
	{"/v2/models/N/ready", false, serve_model_ready},
	{"/v2/models/N/versions/V/ready", false, serve_model_ready},
	{"/v2/models/N/infer", true, serve_infer},
	{"/v2/models/N/versions/V/infer", true, serve_infer},
	{"/v2/models/N/M", false, serve_model},
	{"/v2/models/N/M/versions/V", false, serve_model},
	{"/v2/models/N/M/ready", false, serve_model_ready},
	{"/v2/models/N/M/versions/V/ready", false, serve_model_ready},
	{"/v2/models/N/M/infer", true, serve_infer},
	{"/v2/models/N/M/versions/V/infer", true, serve_infer},
	{"/v2/repository/index", true, serve_index},
	{"/v2/repository/models/N/load", true, serve_no_change},
	{"/v2/repository/models/N/unload", true, serve_no_change},
	{"/metrics", false, serve_metrics},
};

/* One part of the path into @to; NULL when it is empty or too long. */
static const char *take_part(const char *path, char *to, size_t size)
{
	size_t len = strcspn(path, "/");

	if (!len || len >= size)
		return NULL;
	memcpy(to, path, len);
	to[len] = 0;
	return path + len;
}

/* Fills the call's name, member and label on the way. */
static bool path_matches(struct call *call, const char *pattern, const char *path)
{
	char version[12];

	*call->name = *call->member = *version = 0;
	for (; *pattern && path; pattern++) {
		if (*pattern == 'N')
			path = take_part(path, call->name, sizeof(call->name));
		else if (*pattern == 'M')
			path = take_part(path, call->member, sizeof(call->member));
		else if (*pattern == 'V')
			path = take_part(path, version, sizeof(version));
		else if (*pattern != *path++)
			return false;
	}
	if (!path || (strcmp(path, "") && strcmp(path, "/")))
		return false;
	snprintf(call->label, sizeof(call->label), "%s%s%s", call->name, *version ? ":" : "", version);
	return true;
}

/* NULL when there is no such path; @ret_method tells whether the method is wrong only. */
static const struct route *route_of(struct call *call, const char *path, const char *method,
				    bool *ret_method)
{
	bool post = !strcmp(method, "POST");
	bool get = !strcmp(method, "GET") || !strcmp(method, "HEAD");

	for (size_t i = 0; i < FINF_ARRAY_LEN(routes); i++) {
		if (!path_matches(call, routes[i].pattern, path))
			continue;
		*ret_method = routes[i].post ? post : get;
		return &routes[i];
	}
	return NULL;
}

/* ---- one request ------------------------------------------------------------------------------ */

static const char *header(struct call *call, const char *name)
{
	return MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND, name);
}

/* What can be refused before a body is read; true when it was. */
static bool refuse_early(struct call *call)
{
	const char *length = header(call, "Content-Length"), *coding = header(call, "Content-Encoding");

	if (header(call, "Transfer-Encoding")) {
		refuse(call, 411, "a body needs a Content-Length");
		return true;
	}
	if (coding && strcasecmp(coding, "identity")) {
		refuse(call, 415, "Content-Encoding %.32s is not served", coding);
		return true;
	}
	call->total = length ? strtoull(length, NULL, 10) : 0; /* checked by the library */
	if (call->total <= call->http->body_max)
		return false;
	refuse(call, 413, "%zu bytes of body, at most %llu are taken", call->total,
	       (unsigned long long)call->http->body_max);
	return true;
}

static void drop_body(struct call *call)
{
	call->http->held -= call->cap;
	free(call->body);
	call->body = NULL;
	call->len = call->cap = 0;
}

/* Memory follows what has arrived, not what was announced. */
static void keep_body(struct call *call, const char *data, size_t bytes)
{
	struct fid_http *http = call->http;
	uint64_t limit = http->body_max * HELD_BODIES;

	if (call->len + bytes > call->cap) {
		size_t cap = FINF_MIN(FINF_MAX(2 * call->cap, call->len + bytes), call->total);
		uint8_t *grown = NULL;

		if (cap >= call->len + bytes && http->held - call->cap + cap <= limit)
			grown = realloc(call->body, cap);
		if (!grown) {
			drop_body(call);
			call->no_room = true;
			return;
		}
		http->held += cap - call->cap;
		call->body = grown;
		call->cap = cap;
	}
	memcpy(call->body + call->len, data, bytes);
	call->len += bytes;
}

static enum MHD_Result send_response(struct call *call)
{
	enum MHD_Result ok;

	if (!call->response)
		return MHD_NO;
	ok = MHD_queue_response(call->connection, call->status, call->response);
	MHD_destroy_response(call->response);
	call->response = NULL;
	return ok;
}

static void serve(struct call *call, const char *path, const char *method)
{
	bool method_fits = true;

	call->route = route_of(call, path, method, &method_fits);
	if (!call->route) {
		refuse(call, 404, "no such path: %.200s", path);
	} else if (!method_fits) {
		refuse(call, 405, "%.200s takes %s", path, call->route->post ? "POST" : "GET");
		if (call->response)
			MHD_add_response_header(call->response, "Allow",
						call->route->post ? "POST" : "GET, HEAD");
	} else {
		call->route->serve(call);
	}
}

/* Called with the headers, with each piece of the body, at its end, and after a resume. */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *path,
				  const char *method, const char *version, const char *data,
				  size_t *data_bytes, void **ret_call)
{
	struct call *call = *ret_call;

	(void)version;
	if (!call) {
		call = calloc(1, sizeof(*call));
		if (!call)
			return MHD_NO;
		call->http = ctx;
		call->connection = connection;
		*ret_call = call;
		return refuse_early(call) ? send_response(call) : MHD_YES;
	}
	if (*data_bytes) {
		if (!call->no_room)
			keep_body(call, data, *data_bytes);
		*data_bytes = 0;
		return MHD_YES;
	}
	if (!call->route)
		serve(call, path, method);
	return call->suspended ? MHD_YES : send_response(call);
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **ret_call,
			 enum MHD_RequestTerminationCode why)
{
	struct call *call = *ret_call;

	(void)ctx, (void)connection, (void)why;
	if (!call)
		return;
	if (call->ran)
		call->http->answering--;
	if (call->response)
		MHD_destroy_response(call->response);
	if (call->infer)
		fid_infer_fini(call->infer);
	free(call->infer);
	drop_body(call);
	free(call);
	*ret_call = NULL;
}

static void on_connection(void *ctx, struct MHD_Connection *connection, void **socket_ctx,
			  enum MHD_ConnectionNotificationCode what)
{
	struct fid_http *http = ctx;

	(void)connection, (void)socket_ctx;
	fid_metrics_connected(http->metrics, FID_DOOR_HTTP,
			      what == MHD_CONNECTION_NOTIFY_STARTED ? 1 : -1);
}

/* ---- in the loop ---------------------------------------------------------------------------------- */

static void turn(struct fid_http *http)
{
	MHD_UNSIGNED_LONG_LONG ms;

	MHD_run(http->daemon);
	if (MHD_get_timeout(http->daemon, &ms) == MHD_YES) {
		sd_event_source_set_time_relative(http->timer, ms * 1000);
		sd_event_source_set_enabled(http->timer, SD_EVENT_ONESHOT);
	} else {
		sd_event_source_set_enabled(http->timer, SD_EVENT_OFF);
	}
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	(void)source, (void)fd, (void)revents;
	turn(ctx);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	(void)source, (void)usec;
	turn(ctx);
	return 0;
}

static void FINF_PRINTF(2, 0) on_log(void *ctx, const char *fmt, va_list args)
{
	char text[256];

	(void)ctx;
	vsnprintf(text, sizeof(text), fmt, args);
	text[strcspn(text, "\n")] = 0;
	fid_log(FID_DEBUG, "http=\"%s\"", text);
}

/* ---- listening --------------------------------------------------------------------------------------- */

static void announce(struct fid_http *http, int fd)
{
	char text[FID_ADDRESS_BYTES];
	bool loopback = fid_listen_name(fd, text);

	fid_core_http(http->core, text);
	fid_log(FID_INFO, "http=%s", text);
	if (!loopback)
		fid_log(FID_WARNING, "http=%s reachable from other machines, without authentication", text);
}

static struct MHD_Daemon *start(struct fid_http *http, int fd, uint32_t timeout_s)
{
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
				on_request, http, MHD_OPTION_EXTERNAL_LOGGER, on_log, http,
				MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
				CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)timeout_s,
				MHD_OPTION_CONNECTION_MEMORY_LIMIT, HEADERS_MAX,
				MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
				http, MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_END);
}

static int join_loop(struct fid_http *http, sd_event *event)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	int err;

	if (!info || info->epoll_fd < 0)
		return -EIO;
	err = sd_event_add_io(event, &http->io, info->epoll_fd, EPOLLIN, on_io, http);
	if (err >= 0)
		err = sd_event_add_time(event, &http->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, http);
	if (err >= 0)
		err = sd_event_source_set_enabled(http->timer, SD_EVENT_OFF);
	return err < 0 ? err : 0;
}

int fid_http_new(struct fid_core *core, struct fid_loop *loop, const struct fid_http_opts *opts,
		 struct fid_http **ret_http, struct finf_diag *diag)
{
	struct fid_http *http = calloc(1, sizeof(*http));
	int fd = -1, err = http ? fid_listen_tcp(opts->address, &fd, diag) : -ENOMEM;

	if (err) {
		free(http);
		return err;
	}
	http->core = core;
	http->metrics = fid_core_metrics(core);
	http->body_max = opts->body_bytes;
	http->daemon = start(http, fd, opts->timeout_s);
	if (!http->daemon) {
		close(fd);
		free(http);
		return finf_diag_set(diag, -EIO, "%s: the HTTP server did not start", opts->address);
	}
	err = join_loop(http, fid_loop_event(loop));
	if (err) {
		fid_http_free(http);
		return err;
	}
	announce(http, fd);
	*ret_http = http;
	return 0;
}

void fid_http_close(struct fid_http *http)
{
	int fd = http ? MHD_quiesce_daemon(http->daemon) : -1;

	if (fd >= 0)
		close(fd);
}

/* The core has ended every request, so no connection sleeps any more. */
static void flush(struct fid_http *http)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	uint64_t end_ns = finf_now_ns() + FLUSH_NS;

	MHD_run(http->daemon);
	while (http->answering && finf_now_ns() < end_ns) {
		struct pollfd fd = {.fd = info->epoll_fd, .events = POLLIN};

		poll(&fd, 1, 10);
		MHD_run(http->daemon);
	}
}

void fid_http_free(struct fid_http *http)
{
	if (!http)
		return;
	sd_event_source_disable_unref(http->io);
	sd_event_source_disable_unref(http->timer);
	fid_http_close(http);
	flush(http);
	MHD_stop_daemon(http->daemon);
	free(http);
}
