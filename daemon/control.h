/* SPDX-License-Identifier: MIT */
/*
 * daemon/control - JSON commands of Documentation/formats/control.md against
 * the core. Must not know: sockets; who asks is a flag, the answer a callback.
 */
#ifndef FID_CONTROL_H
#define FID_CONTROL_H

#include "daemon/apps.h"
#include "daemon/core.h"
#include "daemon/observe.h"

/* One command being answered; embedded in whatever the door keeps. */
struct fid_control {
	struct fid_core *core;
	bool admin;	   /* may change things */
	uint32_t clients;  /* for `status` */
	struct fid_observe *observe;
	struct fid_apps *apps;
	bool follow;	   /* set when the client asked to follow events */
	int fd;		   /* goes with the answer, borrowed; -1 = none. Preset by the door */
	char member[132];  /* control's: of the group that is looked at, "" = all of it */
	/** answer - exactly once, maybe before fid_control() returns. @json is borrowed. */
	void (*answer)(struct fid_control *control, int status, const char *json);
};

void fid_control(struct fid_control *control, const char *text, size_t len);

/** fid_control_event - a decision as JSON; malloc'd, NULL when out of memory. */
char *fid_control_event(const struct fid_decision *decision);

/** fid_control_imported - the reply to an import, as JSON; malloc'd. */
char *fid_control_imported(struct fid_core *core, int result, const char *model, const char *text);

#endif
