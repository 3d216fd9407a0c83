/* SPDX-License-Identifier: MIT */
/* daemon/apps: the table of programs under the preload library. */
#include <errno.h>
#include <inttypes.h>
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
};

struct fid_apps {
	struct fid_app *first;
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

/* ---- sessions --------------------------------------------------------------------------- */

int fid_app_join(struct fid_apps *apps, pid_t pid, uid_t uid,
		 bool (*send)(void *ctx, uint64_t id, const struct finf_wire_app_command *command),
		 void *ctx, struct fid_app **ret_app)
{
	struct fid_app *app = calloc(1, sizeof(*app));

	if (!app)
		return -ENOMEM;
	*app = (struct fid_app){.apps = apps, .next = apps->first, .contents = -1, .send = send,
				.ctx = ctx, .info = {.pid = pid, .uid = uid}};
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

	if (said->state < FINF_WIRE_APP_RUNNING || said->state > FINF_WIRE_APP_RESUMING ||
	    said->result > 0 || said->reserved)
		return -EPROTO;
	app->info.said = *said;
	clean_name(app->info.said.name);
	keep_contents(app, fd);
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

int fid_apps_new(struct fid_loop *loop, struct fid_apps **ret_apps)
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
