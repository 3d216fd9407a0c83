/* SPDX-License-Identifier: MIT */
/* daemon/observe: fid-probe's requests and answers, its ring, and the marks for cold models. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "daemon/log.h"
#include "daemon/observe.h"
#include "fi_events.h"

#define RETRY_USEC 5000000u /* until the next try to reach fid-probe */
#define POLL_USEC 50000u    /* arrivals of resident models do not wake: they are fetched */
#define ANSWER_MS 200	    /* fid-probe answers at once or is given up */

struct fid_observe {
	struct fid_core *core;
	sd_event *event;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char why[160]; /* not observing; "" = on */
	int sock;      /* -1: not connected */
	int fds[FI_PROBE_FDS];
	struct ring_buffer *ring;
	sd_event_source *on_ring, *timer;
	struct fid_observe_counts counts;
	bool (*arrived)(void *ctx, uint64_t key, uint64_t time_ns); /* for keys of no model */
	void *arrived_ctx;
	bool ending;
};

/* ---- fid-probe ------------------------------------------------------------------- */

static void disconnect(struct fid_observe *o, const char *why)
{
	if (o->sock < 0)
		return;
	snprintf(o->why, sizeof(o->why), "%s", why);
	sd_event_source_disable_unref(o->on_ring);
	o->on_ring = NULL;
	ring_buffer__free(o->ring);
	o->ring = NULL;
	for (int i = 0; i < FI_PROBE_FDS; i++) {
		if (o->fds[i] >= 0)
			close(o->fds[i]);
		o->fds[i] = -1;
	}
	close(o->sock);
	o->sock = -1;
	fid_log(o->ending ? FID_INFO : FID_WARNING, "observe=off reason=\"%s\"", why);
}

static int receive_answer(struct fid_observe *o, struct fi_probe_answer *ret)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(FI_PROBE_FDS * sizeof(int))];
	} control;
	struct iovec iov = {ret, sizeof(*ret)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	struct pollfd pfd = {.fd = o->sock, .events = POLLIN};
	const struct cmsghdr *head;

	if (poll(&pfd, 1, ANSWER_MS) != 1)
		return -ETIME;
	if (recvmsg(o->sock, &msg, MSG_CMSG_CLOEXEC) != sizeof(*ret))
		return -EPROTO;
	head = CMSG_FIRSTHDR(&msg);
	if (ret->n_fds != (head ? FI_PROBE_FDS : 0))
		return -EPROTO;
	if (head)
		memcpy(o->fds, CMSG_DATA(head), sizeof(o->fds));
	return 0;
}

/* @netns goes along when there is one. */
static int send_request(struct fid_observe *o, const struct fi_probe_request *request, int netns)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.room = {0}};
	struct iovec iov = {(void *)(uintptr_t)request, sizeof(*request)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (netns >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &netns, sizeof(int));
	}
	return sendmsg(o->sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(*request) ? 0 : -errno;
}

/* One request and its answer. A fid-probe that does not answer is disconnected. */
static int ask_in(struct fid_observe *o, uint32_t type, uint64_t model, uint16_t port, int netns)
{
	struct fi_probe_request request = {
		.type = type, .bytes = sizeof(request), .model = model, .port = port};
	struct fi_probe_answer answer;
	int err;

	if (o->sock < 0)
		return -ENODEV;
	err = send_request(o, &request, netns);
	if (!err)
		err = receive_answer(o, &answer);
	if (!err && answer.type != type)
		err = -EPROTO;
	if (err) {
		disconnect(o, err == -ETIME ? "fid-probe does not answer" : strerror(-err));
		return -ENODEV;
	}
	return answer.status;
}

static int ask(struct fid_observe *o, uint32_t type, uint64_t model)
{
	return ask_in(o, type, model, 0, -1);
}

/* ---- arrivals ----------------------------------------------------------------------- */

static int on_arrival(void *ctx, void *data, size_t bytes)
{
	const struct fi_arrival *seen = data;
	struct fid_observe *o = ctx;
	bool call;
	int err;

	if (bytes < sizeof(*seen) || seen->type != FI_ARRIVAL)
		return 0;
	call = seen->source == FI_SOURCE_CALL;
	err = fid_core_arrival(o->core, seen->model, call ? FINF_ARRIVAL_USDT : FINF_ARRIVAL_TCP,
			       seen->time_ns);
	if (err < 0 && o->arrived && o->arrived(o->arrived_ctx, seen->model, seen->time_ns)) {
		fid_metrics_arrival(fid_core_metrics(o->core), FINF_ARRIVAL_APP);
		o->counts.apps++;
		return 0;
	}
	if (err > 0)
		o->counts.last_load_after_ns = finf_now_ns() - seen->time_ns;
	if (err < 0)
		o->counts.unknown++;
	else if (call)
		o->counts.calls++;
	else
		o->counts.connections++;
	return 0;
}

static int on_ring(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct fid_observe *o = ctx;

	(void)source, (void)fd, (void)revents;
	ring_buffer__consume(o->ring);
	return 0;
}

/* ---- which models there are, and which are cold --------------------------------------- */

static void on_model(void *ctx, const char *name, bool known, bool cold)
{
	struct fid_observe *o = ctx;
	uint64_t hash = finf_hash64(name, strlen(name));
	uint32_t mark = cold;

	if (o->sock < 0)
		return;
	if (!known) {
		ask(o, FI_PROBE_MODEL_RM, hash);
		return;
	}
	/* Adding what is there changes nothing: counts go on. */
	if (!ask(o, FI_PROBE_MODEL_ADD, hash))
		bpf_map_update_elem(o->fds[FI_PROBE_FD_COLD], &hash, &mark, BPF_ANY);
}

static void on_known_model(void *ctx, const struct fid_model_info *info)
{
	enum finf_residency at = info->policy.residency;

	on_model(ctx, info->name, true, at == FINF_COLD || at == FINF_EVICTING);
}

static int start_ring(struct fid_observe *o)
{
	o->ring = ring_buffer__new(o->fds[FI_PROBE_FD_RING], on_arrival, o, NULL);
	if (!o->ring)
		return -errno;
	return sd_event_add_io(o->event, &o->on_ring, ring_buffer__epoll_fd(o->ring), EPOLLIN, on_ring,
			       o);
}

static void connect_probe(struct fid_observe *o)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

	memcpy(addr.sun_path, o->path, sizeof(addr.sun_path));
	if (sock < 0 || connect(sock, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		snprintf(o->why, sizeof(o->why), "fid-probe at %.100s: %s", o->path, strerror(errno));
		if (sock >= 0)
			close(sock);
		return;
	}
	o->sock = sock;
	err = ask(o, FI_PROBE_OPEN, 0);
	if (!err)
		err = start_ring(o);
	if (err < 0) {
		disconnect(o, strerror(-err));
		return;
	}
	o->why[0] = 0;
	fid_core_list(o->core, on_known_model, o);
	fid_log(FID_INFO, "observe=on probe=%s", o->path);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct fid_observe *o = ctx;

	(void)usec;
	if (o->sock < 0)
		connect_probe(o);
	else
		ring_buffer__consume(o->ring);
	sd_event_source_set_time_relative(source, o->sock < 0 ? RETRY_USEC : POLL_USEC);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* ---- making and looking ------------------------------------------------------------------ */

static int silent(enum libbpf_print_level level, const char *fmt, va_list args)
{
	(void)level, (void)fmt, (void)args;
	return 0; /* we say it ourselves */
}

int fid_observe_new(struct fid_core *core, struct fid_loop *loop, const char *path,
		    struct fid_observe **ret_observe)
{
	struct fid_observe *o = calloc(1, sizeof(*o));
	int err;

	if (!o)
		return -ENOMEM;
	o->core = core;
	o->event = fid_loop_event(loop);
	o->sock = -1;
	for (int i = 0; i < FI_PROBE_FDS; i++)
		o->fds[i] = -1;
	snprintf(o->why, sizeof(o->why), "off");
	*ret_observe = o;
	if (!path)
		return 0;
	libbpf_set_print(silent);
	snprintf(o->path, sizeof(o->path), "%s", path);
	fid_core_watch(core, on_model, o);
	connect_probe(o);
	if (o->sock < 0)
		fid_log(FID_INFO, "observe=off reason=\"%s\"", o->why);
	err = sd_event_add_time_relative(o->event, &o->timer, CLOCK_MONOTONIC,
					 o->sock < 0 ? RETRY_USEC : POLL_USEC, 1000, on_timer, o);
	return err < 0 ? err : 0;
}

void fid_observe_free(struct fid_observe *o)
{
	if (!o)
		return;
	fid_core_watch(o->core, NULL, NULL);
	sd_event_source_disable_unref(o->timer);
	o->ending = true;
	disconnect(o, "fid ends");
	free(o);
}

const char *fid_observe_state(const struct fid_observe *o)
{
	return o->sock < 0 ? o->why : "on";
}

int fid_observe_port_add(struct fid_observe *o, const char *model, uint16_t port)
{
	return ask_in(o, FI_PROBE_PORT_ADD, finf_hash64(model, strlen(model)), port, -1);
}

int fid_observe_port_rm(struct fid_observe *o, uint16_t port, int netns)
{
	return ask_in(o, FI_PROBE_PORT_RM, 0, port, netns);
}

void fid_observe_others(struct fid_observe *o,
			bool (*arrived)(void *ctx, uint64_t key, uint64_t time_ns), void *ctx)
{
	o->arrived = arrived;
	o->arrived_ctx = ctx;
}

int fid_observe_key_add(struct fid_observe *o, uint64_t key, uint16_t port, int netns)
{
	int err = ask(o, FI_PROBE_MODEL_ADD, key);

	return err ? err : ask_in(o, FI_PROBE_PORT_ADD, key, port, netns);
}

void fid_observe_key_rm(struct fid_observe *o, uint64_t key)
{
	ask(o, FI_PROBE_MODEL_RM, key);
}

void fid_observe_key_wake(struct fid_observe *o, uint64_t key, bool at_once)
{
	uint32_t mark = at_once;

	if (o->sock >= 0)
		bpf_map_update_elem(o->fds[FI_PROBE_FD_COLD], &key, &mark, BPF_ANY);
}

void fid_observe_ports(struct fid_observe *o,
		       void (*each)(void *ctx, const struct fid_observed *port), void *ctx)
{
	struct fi_port_key key, next;
	void *from = NULL;

	while (o->sock >= 0 && !bpf_map_get_next_key(o->fds[FI_PROBE_FD_PORTS], from, &next)) {
		struct fi_port value;

		if (!bpf_map_lookup_elem(o->fds[FI_PROBE_FD_PORTS], &next, &value))
			each(ctx, &(struct fid_observed){value.model, next.port, next.netns});
		key = next;
		from = &key;
	}
}

void fid_observe_counts(struct fid_observe *o, struct fid_observe_counts *ret)
{
	int cpus = libbpf_num_possible_cpus();
	struct fi_counts *all = cpus > 0 ? calloc((size_t)cpus, sizeof(*all)) : NULL;
	uint32_t zero = 0;

	*ret = o->counts;
	if (all && o->sock >= 0 && !bpf_map_lookup_elem(o->fds[FI_PROBE_FD_COUNTS], &zero, all))
		for (int i = 0; i < cpus; i++)
			ret->lost += all[i].lost;
	free(all);
}
