/* SPDX-License-Identifier: MIT */
/* daemon/apps: the table of programs under the preload library. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/apps.h"
#include "daemon/log.h"

/* Somebody who waits for a command to end. */
struct waiter {
	struct waiter *next;
	uint64_t id, deadline_ns;
	void (*done)(void *ctx, int result);
	void *ctx;
};

struct fid_app {
	struct fid_app *next;
	struct fid_apps *apps;
	struct fid_app_info info;
	int contents; /* owned memfd while it is paused, else -1 */
	bool (*send)(void *ctx, uint64_t id, const struct finf_wire_app_command *command);
	void *ctx;
	struct waiter *waiters;
	bool watched;	     /* has ports */
	uint64_t stopped_ns; /* when it was first not running: what arrived before found it so */
};

struct fid_apps {
	struct fid_app *first;
	struct fid_observe *observe; /* borrowed; NULL after the end of watching */
	uint64_t last_id;
	sd_event_source *timer;
};

/* ---- waiting ----------------------------------------------------------------------- */

/* Take those out that @match, then tell them: they may come back with more. */
static void end_waiters(struct fid_app *app, bool (*match)(const struct waiter *w, uint64_t arg),
			uint64_t arg, int result)
{
	struct waiter *ended = NULL, *w, **link = &app->waiters;

	while ((w = *link)) {
		if (!match(w, arg)) {
			link = &w->next;
			continue;
		}
		*link = w->next;
		w->next = ended;
		ended = w;
	}
	while ((w = ended)) {
		ended = w->next;
		w->done(w->ctx, result);
		free(w);
	}
}

static bool has_id(const struct waiter *w, uint64_t id)
{
	return w->id == id;
}

static bool is_late(const struct waiter *w, uint64_t now)
{
	return w->deadline_ns <= now;
}

static bool any(const struct waiter *w, uint64_t unused)
{
	(void)w, (void)unused;
	return true;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct fid_apps *apps = ctx;
	bool waiting = false;

	(void)usec;
	for (struct fid_app *app = apps->first; app; app = app->next) {
		end_waiters(app, is_late, finf_now_ns(), -ETIME);
		waiting |= app->waiters != NULL;
	}
	sd_event_source_set_time_relative(source, 1000000);
	return sd_event_source_set_enabled(source, waiting ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

/* ---- orders -------------------------------------------------------------------------- */

static struct fid_app *find(const struct fid_apps *apps, pid_t pid)
{
	struct fid_app *app = apps->first;

	while (app && app->info.pid != pid)
		app = app->next;
	return app;
}

static bool send_order(struct fid_app *app, uint64_t id, enum finf_wire_app_order order,
		       uint64_t bytes)
{
	struct finf_wire_app_command command = {.order = order, .bytes = bytes};

	return app->send(app->ctx, id, &command);
}

void fid_app_order(struct fid_apps *apps, pid_t pid, enum finf_wire_app_order order, uint64_t bytes,
		   void (*done)(void *ctx, int result), void *ctx)
{
	struct fid_app *app = find(apps, pid);
	struct waiter *w = app ? calloc(1, sizeof(*w)) : NULL;

	if (!w) {
		done(ctx, app ? -ENOMEM : -ENOENT);
		return;
	}
	w->id = ++apps->last_id;
	w->deadline_ns = finf_now_ns() + FID_APP_PATIENCE_NS;
	w->done = done;
	w->ctx = ctx;
	if (!send_order(app, w->id, order, bytes)) {
		free(w);
		done(ctx, -ESRCH);
		return;
	}
	w->next = app->waiters;
	app->waiters = w;
	sd_event_source_set_time_relative(apps->timer, 1000000);
	sd_event_source_set_enabled(apps->timer, SD_EVENT_ONESHOT);
}

/* ---- ports ------------------------------------------------------------------------------ */

/* In clock ticks since boot; 0: gone. The name, in brackets, may hold anything. */
static uint64_t start_time(pid_t pid)
{
	char path[32], text[1024];
	unsigned long long ticks = 0;
	const char *rest;
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = 0;
	rest = strrchr(text, ')');
	if (rest)
		sscanf(rest, ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
			     "%*s %*s %*s %llu", &ticks);
	return ticks;
}

/* Names of models hold no such colons. The same again for the next session of the program. */
static uint64_t key_of(pid_t pid)
{
	char name[64];
	int n = snprintf(name, sizeof(name), "app:%d:%" PRIu64, (int)pid, start_time(pid));

	return finf_hash64(name, (size_t)n);
}

static bool may_run(const struct fid_app *app)
{
	return app->info.said.state == FINF_WIRE_APP_RUNNING;
}

static void mark(struct fid_app *app)
{
	if (app->watched && app->apps->observe)
		fid_observe_key_wake(app->apps->observe, app->info.key, !may_run(app));
}

static void unwatch(struct fid_app *app)
{
	if (app->watched && app->apps->observe)
		fid_observe_key_rm(app->apps->observe, app->info.key);
	app->watched = false;
}

/* Arrivals are heard late when the program ran: those are no reason to resume it. */
static bool on_arrival(void *ctx, uint64_t key, uint64_t time_ns)
{
	struct fid_apps *apps = ctx;
	struct fid_app *app = apps->first;
	uint32_t state;

	while (app && app->info.key != key)
		app = app->next;
	if (!app)
		return false;
	app->info.arrivals++;
	state = app->info.said.state;
	if ((state == FINF_WIRE_APP_PAUSED || state == FINF_WIRE_APP_PAUSING) &&
	    time_ns >= app->stopped_ns) {
		fid_log(FID_DEBUG, "app=%d resume reason=arrival", (int)app->info.pid);
		send_order(app, 0, FINF_WIRE_APP_RESUME, 0);
	}
	return true;
}

/* Of its network namespace; -1 where the kernel says that it is none of our business. */
static int open_netns(pid_t pid)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

int fid_app_port_add(struct fid_apps *apps, pid_t pid, uint16_t port, bool *ret_theirs)
{
	struct fid_app *app = find(apps, pid);
	int netns, err;

	if (!app)
		return -ESRCH;
	if (!apps->observe)
		return -ENODEV;
	netns = open_netns(pid);
	app->watched = true;
	err = fid_observe_key_add(apps->observe, app->info.key, port, netns);
	mark(app);
	if (netns >= 0)
		close(netns);
	if (!err)
		*ret_theirs = netns >= 0;
	return err;
}

int fid_app_port_rm(struct fid_apps *apps, pid_t pid, uint16_t port, bool *ret_theirs)
{
	int netns, err;

	if (!find(apps, pid))
		return -ESRCH;
	if (!apps->observe)
		return -ENODEV;
	netns = open_netns(pid);
	err = fid_observe_port_rm(apps->observe, port, netns);
	if (netns >= 0)
		close(netns);
	if (!err)
		*ret_theirs = netns >= 0;
	return err;
}

void fid_apps_unwatch(struct fid_apps *apps)
{
	if (!apps->observe)
		return;
	for (struct fid_app *app = apps->first; app; app = app->next)
		unwatch(app);
	fid_observe_others(apps->observe, NULL, NULL);
	apps->observe = NULL;
}

/* ---- sessions --------------------------------------------------------------------------- */

int fid_app_join(struct fid_apps *apps, pid_t pid, uid_t uid,
		 bool (*send)(void *ctx, uint64_t id, const struct finf_wire_app_command *command),
		 void *ctx, struct fid_app **ret_app)
{
	struct fid_app *app = calloc(1, sizeof(*app));

	if (!app)
		return -ENOMEM;
	*app = (struct fid_app){.apps = apps, .next = apps->first, .contents = -1, .send = send,
				.ctx = ctx, .info = {.pid = pid, .uid = uid, .key = key_of(pid)}};
	apps->first = app;
	*ret_app = app;
	fid_log(FID_DEBUG, "app=%d joined uid=%u", (int)pid, (unsigned)uid);
	return 0;
}

static void keep_contents(struct fid_app *app, int *fd)
{
	bool paused = app->info.said.state == FINF_WIRE_APP_PAUSED;

	if (app->contents >= 0 && app->info.said.state == FINF_WIRE_APP_RUNNING) {
		close(app->contents);
		app->contents = -1;
	}
	if (!paused || *fd < 0)
		return;
	if (app->contents >= 0)
		close(app->contents);
	app->contents = *fd;
	*fd = -1;
}

static void clean_name(char *name)
{
	name[FINF_WIRE_APP_NAME_BYTES - 1] = 0;
	for (; *name; name++)
		if (*name <= ' ' || *name >= 0x7f)
			*name = '?';
}

int fid_app_report(struct fid_app *app, const struct finf_wire_app *said, int *fd)
{
	uint32_t before = app->info.said.state;
	bool ran = may_run(app);

	if (said->state < FINF_WIRE_APP_RUNNING || said->state > FINF_WIRE_APP_RESUMING ||
	    said->result > 0 || said->reserved)
		return -EPROTO;
	app->info.said = *said;
	clean_name(app->info.said.name);
	keep_contents(app, fd);
	if (ran && !may_run(app))
		app->stopped_ns = finf_now_ns();
	if (ran != may_run(app))
		mark(app);
	if (before != said->state && before)
		fid_log(FID_DEBUG, "app=%d state=%u bytes=%" PRIu64, (int)app->info.pid, said->state,
			said->bytes);
	if (said->done)
		end_waiters(app, has_id, said->done, said->result);
	/* A call of the program waits: nothing of ours is worth more than that. */
	if (said->state == FINF_WIRE_APP_PAUSED && said->flags & FINF_WIRE_APP_WANTS)
		send_order(app, 0, FINF_WIRE_APP_RESUME, 0);
	return 0;
}

void fid_app_leave(struct fid_app *app)
{
	struct fid_app **link;

	if (!app)
		return;
	for (link = &app->apps->first; *link != app; link = &(*link)->next)
		;
	*link = app->next;
	unwatch(app);
	if (app->contents >= 0)
		close(app->contents);
	fid_log(FID_DEBUG, "app=%d left", (int)app->info.pid);
	end_waiters(app, any, 0, -ESRCH);
	free(app);
}

void fid_apps_list(struct fid_apps *apps,
		   void (*each)(void *ctx, const struct fid_app_info *info), void *ctx)
{
	for (struct fid_app *app = apps->first; app; app = app->next)
		each(ctx, &app->info);
}

int fid_apps_new(struct fid_loop *loop, struct fid_observe *observe, struct fid_apps **ret_apps)
{
	struct fid_apps *apps = calloc(1, sizeof(*apps));
	int err;

	if (!apps)
		return -ENOMEM;
	err = sd_event_add_time_relative(fid_loop_event(loop), &apps->timer, CLOCK_MONOTONIC, 0, 0,
					 on_timer, apps);
	if (err < 0) {
		free(apps);
		return err;
	}
	sd_event_source_set_enabled(apps->timer, SD_EVENT_OFF);
	apps->observe = observe;
	fid_observe_others(observe, on_arrival, apps);
	*ret_apps = apps;
	return 0;
}

void fid_apps_stop(struct fid_apps *apps)
{
	for (struct fid_app *app = apps->first; app; app = app->next)
		end_waiters(app, any, 0, -ECANCELED);
}

void fid_apps_free(struct fid_apps *apps)
{
	if (!apps)
		return;
	while (apps->first)
		fid_app_leave(apps->first);
	sd_event_source_disable_unref(apps->timer);
	free(apps);
}
