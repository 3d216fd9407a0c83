/* SPDX-License-Identifier: MIT */
/*
 * graph/internal - what the files of this room share and nobody else sees.
 */
#ifndef FINF_GRAPH_INTERNAL_H
#define FINF_GRAPH_INTERNAL_H

#include "graph/member.h"

/**
 * finf_attrs_copy - attributes into an arena; NULL when out of memory.
 * @tensors  copy the bytes of tensor attributes too; else they stay borrowed
 */
struct finf_attr *finf_attrs_copy(struct finf_arena *arena, const struct finf_attr *attrs,
				  uint32_t n, bool tensors);

#endif
