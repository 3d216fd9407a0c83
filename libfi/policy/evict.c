/* SPDX-License-Identifier: MIT */
/* policy: the eviction table. A row is a file evict_<name>.c and a line here. */
#include "policy/policy.h"

extern const struct finf_evict_ops finf_evict_lru;

static const struct finf_evict_ops *const rows[] = {
	&finf_evict_lru,
};

const struct finf_evict_ops *finf_evict_at(uint32_t index)
{
	return index < FINF_ARRAY_LEN(rows) ? rows[index] : NULL;
}
