/* SPDX-License-Identifier: MIT */
/*
 * daemon/apps - programs under libfi-preload.so: what they hold, and pausing
 * and resuming them, also when a connection to a port of theirs is seen. Each is
 * there as long as its connection.
 * Must not know: sockets, JSON. Loop thread only.
 */
#ifndef FID_APPS_H
#define FID_APPS_H

#include <sys/types.h>

#include "daemon/loop.h"
#include "daemon/observe.h"
#include "ipc/wire.h"

#define FID_APP_PATIENCE_NS 60000000000u /* then whoever waits for a command is told so */

struct fid_apps;
struct fid_app;

/* What others may read. */
struct fid_app_info {
	pid_t pid;
	uid_t uid;
	uint64_t key;		   /* stands for it among the models that are observed */
	uint64_t arrivals;	   /* connections to its ports */
	struct finf_wire_app said; /* its latest report, the name terminated and printable */
};

/** @observe  borrowed until fid_apps_unwatch(), which has to come before its end */
int fid_apps_new(struct fid_loop *loop, struct fid_observe *observe, struct fid_apps **ret_apps);
void fid_apps_free(struct fid_apps *apps);
/** fid_apps_unwatch - forget all ports; no arrival is heard any more. */
void fid_apps_unwatch(struct fid_apps *apps);
/** fid_apps_stop - nobody waits any longer: their commands end with -ECANCELED. */
void fid_apps_stop(struct fid_apps *apps);

/**
 * fid_app_join - a program has begun a session.
 * @param send  a command to it; false: it does not listen any more
 */
int fid_app_join(struct fid_apps *apps, pid_t pid, uid_t uid,
		 bool (*send)(void *ctx, uint64_t id, const struct finf_wire_app_command *command),
		 void *ctx, struct fid_app **ret_app);
/**
 * fid_app_report - it says how it is.
 * @param fd  its contents; *fd is taken and set to -1 when they are kept
 * Return: 0; -EPROTO not a state there is.
 */
int fid_app_report(struct fid_app *app, const struct finf_wire_app *said, int *fd);
/** fid_app_leave - it is gone, and everything of it; NULL is fine. */
void fid_app_leave(struct fid_app *app);

/**
 * fid_app_order - have the app with @pid do something.
 * @param done  on the loop, exactly once, maybe at once: 0, what the program
 *              says, -ENOENT no such app, -ESRCH it ended meanwhile, -ETIME
 */
void fid_app_order(struct fid_apps *apps, pid_t pid, enum finf_wire_app_order order, uint64_t bytes,
		   void (*done)(void *ctx, int result), void *ctx);

/**
 * fid_app_port_add, _rm - a connection to @port, in the program's network namespace,
 * resumes it. Forgotten when the program ends.
 * @param ret_theirs  false: fid may not look at the program's namespace, it was
 *                    taken to be fid-probe's
 * Return: 0; -ESRCH no such app; as fid_observe_port_add().
 */
int fid_app_port_add(struct fid_apps *apps, pid_t pid, uint16_t port, bool *ret_theirs);
int fid_app_port_rm(struct fid_apps *apps, pid_t pid, uint16_t port, bool *ret_theirs);

void fid_apps_list(struct fid_apps *apps,
		   void (*each)(void *ctx, const struct fid_app_info *info), void *ctx);

#endif
