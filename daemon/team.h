/* SPDX-License-Identifier: MIT */
/* fid/team: how the threads that run plans wait, and where. Must not know: models, requests. */
#ifndef FID_TEAM_H
#define FID_TEAM_H

#include <stdint.h>

/**
 * fid_team_settle - set what the runtime of the team reads before main(), and start fid over with
 * it; the second time it returns. What the environment says already is left alone.
 * @param threads  of one run; 0 = one per core
 * Context: before any other thread is there.
 */
void fid_team_settle(uint32_t threads, char **argv);

#endif
