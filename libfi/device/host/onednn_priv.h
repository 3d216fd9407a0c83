/* SPDX-License-Identifier: MIT */
/*
 * host/onednn_priv - what the files behind onednn.h share. They alone know how
 * oneDNN 2.x and 3.x differ.
 * Must not know: graphs, nodes, forms.
 */
#ifndef FINF_HOST_ONEDNN_PRIV_H
#define FINF_HOST_ONEDNN_PRIV_H

#include <oneapi/dnnl/dnnl.h>

#include "device/host/onednn.h"

#define FINF_DNN_V3 (DNNL_VERSION_MAJOR >= 3)

/* A description is an object to be destroyed in 3.x, a plain struct in 2.x. */
#if FINF_DNN_V3
#define FINF_DNN_MD_REF(md) (md)
#else
#define FINF_DNN_MD_REF(md) (&(md))
#endif

struct finf_dnn {
	dnnl_engine_t engine;
};

struct finf_dnn_pd {
	dnnl_primitive_desc_t pd;
	bool own_scratch; /* oneDNN holds the scratchpad, not the caller */
};

/** finf_dnn_errno - the one place where a dnnl_status_t becomes an errno. */
int finf_dnn_errno(dnnl_status_t status);
/** finf_dnn_md_make - rank 0 is absent: NULL in 3.x, no dimensions in 2.x. */
dnnl_status_t finf_dnn_md_make(const struct finf_dnn_md *md, dnnl_memory_desc_t *ret);
void finf_dnn_md_drop(dnnl_memory_desc_t *md);
#if !FINF_DNN_V3
/** finf_dnn_winograd_of - what oneDNN chose, when our numbers say all of it. 0; -EOPNOTSUPP. */
int finf_dnn_winograd_of(const dnnl_memory_desc_t *chosen, struct finf_dnn_md *ret);
#endif

/* Whatever a primitive is described with, released together. */
#define FINF_DNN_PREP_MDS 68
struct finf_dnn_prep {
	dnnl_memory_desc_t md[FINF_DNN_PREP_MDS];
	uint32_t n;
	dnnl_primitive_attr_t attr; /* owned */
	dnnl_primitive_desc_t pd;   /* the result, owned until taken */
	dnnl_status_t status;
};

void finf_dnn_prep_start(struct finf_dnn_prep *prep, const struct finf_dnn_post *post);
/** finf_dnn_prep_md - add a description; absent ones (NULL) take a place too. */
void finf_dnn_prep_md(struct finf_dnn_prep *prep, const struct finf_dnn_md *md);
/** finf_dnn_prep_end - the result, or why not. @any_speed: reference loops are fine too. */
int finf_dnn_prep_end(struct finf_dnn_prep *prep, bool any_speed, struct finf_dnn_pd **ret_pd);

#endif
