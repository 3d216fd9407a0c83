/* SPDX-License-Identifier: MIT */
/* engine/mend: the in-process engine after a fault of its device that stuck. */
#include <errno.h>

#include "engine/inproc.h"

void finf_engine_drop_all(struct finf_engine *engine)
{
	for (struct finf_entry *entry = engine->entries; entry; entry = entry->next)
		finf_entry_unload(engine, entry);
}

/* Nothing runs or loads while the lock is held: all that is left is what was loaded. */
int finf_engine_mend(struct finf_engine *engine, struct finf_diag *diag)
{
	int err = 0;

	if (engine->loader && !finf_device_faulted(engine->dev))
		return 0;
	finf_engine_drop_all(engine);
	finf_loader_free(engine->loader);
	engine->loader = NULL;
	if (finf_device_faulted(engine->dev))
		err = finf_device_reset(engine->dev, &engine->pool, diag);
	if (!err)
		err = finf_loader_new(engine->dev, &engine->pool, NULL, &engine->loader, diag);
	if (!err)
		return 0;
	finf_diag_prefix(diag, "the device failed and could not be reset");
	return -EREMOTEIO;
}
