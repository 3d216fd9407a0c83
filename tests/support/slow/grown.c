/* SPDX-License-Identifier: MIT */
/* A fid whose runs on faster forms of weights are slow: linked with --wrap=finf_binding_run. */
#include <time.h>

#include "engine/engine.h"

int __real_finf_binding_run(const struct finf_binding *binding, const struct finf_run *run,
			    struct finf_diag *diag);
int __wrap_finf_binding_run(const struct finf_binding *binding, const struct finf_run *run,
			    struct finf_diag *diag);

int __wrap_finf_binding_run(const struct finf_binding *binding, const struct finf_run *run,
			    struct finf_diag *diag)
{
	const struct timespec ts = {.tv_nsec = 10000000};

	if (run->grown)
		nanosleep(&ts, NULL);
	return __real_finf_binding_run(binding, run, diag);
}
