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
	uint64_t prefetch_bytes; /* 0 in files of before there was prefetch: off */
	uint32_t models_max, requests_max, runs_max, loads_max;
	char evict[16]; /* row of the eviction table, "" = the default */
};

struct finf_record_step { /* 48 bytes, no padding; n_actions struct finf_action follow */
	uint64_t now_ns;
	struct finf_event event;
	uint32_t n_actions;
	uint32_t reserved;
};

/* More models or requests than this are not believed. */
#define FINF_RECORD_CAPACITY_MAX (1u << 20)

struct finf_record_totals {
	uint64_t steps, actions;
};

/**
 * finf_record_replay - feed a recorded file to a fresh policy and compare.
 * A file that ends in the middle of a step is good up to there.
 * Return: 0; -EBADMSG not a record, or damaged; -EILSEQ a step gave other
 * actions than were recorded; both with diag.
 */
int finf_record_replay(const void *data, size_t bytes, struct finf_record_totals *ret,
		       struct finf_diag *diag);

/** finf_record_opts - what the policy was made with; @evict lives as long as *ret. */
void finf_record_opts(const struct finf_record_head *head, char evict[17],
		      struct finf_policy_opts *ret);

_Static_assert(sizeof(struct finf_record_head) == 56, "written as it is");
_Static_assert(sizeof(struct finf_event) == 32, "written as it is");
_Static_assert(sizeof(struct finf_action) == 40, "written as it is");
_Static_assert(sizeof(struct finf_record_step) == 48, "written as it is");

#endif
