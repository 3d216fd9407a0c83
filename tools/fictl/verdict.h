/* SPDX-License-Identifier: MIT */
/* fictl/verdict - is a group better than its members one by one? Measured here, on the host. */
#ifndef FICTL_VERDICT_H
#define FICTL_VERDICT_H

#include "tools/fictl/group.h"

/**
 * verdict_add - put "verdict" into @doc: figures, and lines for people.
 * Fused and separate take turns; medians are compared. Takes seconds.
 */
int verdict_add(const struct group *group, uint32_t threads, json_t *doc, struct finf_diag *diag);

#endif
