/* SPDX-License-Identifier: MIT */
/* daemon/core: events and actions into a file (Documentation/formats/events.md). */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "daemon/core_priv.h"
#include "daemon/log.h"
#include "policy/record.h"

int fid_record_open(struct fid_core *core, const char *path, const struct finf_policy_opts *opts,
		    struct finf_diag *diag)
{
	struct finf_record_head head = {
		.magic = FINF_RECORD_MAGIC,
		.pool_bytes = opts->pool_bytes,
		.models_max = opts->models_max,
		.requests_max = opts->requests_max,
		.runs_max = opts->runs_max,
		.loads_max = opts->loads_max,
		.prefetch_bytes = opts->prefetch_bytes,
	};
	int err;

	if (!path)
		return 0;
	core->record_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	err = core->record_fd < 0 ? -errno : finf_write_full(core->record_fd, &head, sizeof(head));
	return err ? finf_diag_set(diag, err, "%s: %s", path, strerror(-err)) : 0;
}

void fid_record(struct fid_core *core, const struct finf_event *event, uint64_t now_ns,
		const struct finf_action *actions, int n_actions)
{
	struct {
		struct finf_record_step step;
		struct finf_action actions[FINF_POLICY_ACTIONS_MAX];
	} record = {.step = {.now_ns = now_ns, .event = *event, .n_actions = (uint32_t)n_actions}};
	size_t bytes = sizeof(record.step) + (size_t)n_actions * sizeof(actions[0]);
	int err;

	if (core->record_fd < 0)
		return;
	memcpy(record.actions, actions, (size_t)n_actions * sizeof(actions[0]));
	err = finf_write_full(core->record_fd, &record, bytes);
	if (!err)
		return;
	/* Half a record is worse than none: stop here, and say so once. */
	fid_log(FID_WARNING, "record stopped=\"%s\"", strerror(-err));
	close(core->record_fd);
	core->record_fd = -1;
}
