/* SPDX-License-Identifier: MIT */
/*
 * policy/record - a file of steps: what the policy was made with, then each
 * event with its time and the actions it led to, little-endian structs as they
 * are. Feeding the events to a fresh policy must give the same bytes.
 * Must not know: who writes or reads the file.
 */
#ifndef FINF_POLICY_RECORD_H
#define FINF_POLICY_RECORD_H

#include "policy/policy.h"

#define FINF_RECORD_MAGIC "FIEVENT1"

struct finf_record_head { /* 56 bytes, no padding */
	char magic[8]; /* without the NUL */
	uint64_t pool_bytes;
	uint64_t reserved;
	uint32_t models_max, requests_max, runs_max, loads_max;
	char evict[16]; /* row of the eviction table, "" = the default */
};

struct finf_record_step { /* 48 bytes, no padding; n_actions struct finf_action follow */
	uint64_t now_ns;
	struct finf_event event;
	uint32_t n_actions;
	uint32_t reserved;
};

_Static_assert(sizeof(struct finf_record_head) == 56, "written as it is");
_Static_assert(sizeof(struct finf_event) == 32, "written as it is");
_Static_assert(sizeof(struct finf_action) == 40, "written as it is");
_Static_assert(sizeof(struct finf_record_step) == 48, "written as it is");

#endif
