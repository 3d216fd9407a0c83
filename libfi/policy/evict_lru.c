/* SPDX-License-Identifier: MIT */
/* policy: evict what was used least recently. */
#include "policy/policy.h"

static uint64_t lru_key(const struct finf_policy_model *model, uint64_t now_ns)
{
	(void)now_ns;
	return model->last_used_ns;
}

const struct finf_evict_ops finf_evict_lru = {
	.name = "lru",
	.key = lru_key,
};
