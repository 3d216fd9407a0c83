/* SPDX-License-Identifier: MIT */
/* host/onednn: the engine, memory descriptions, and compiled primitives. See onednn.h. */
#include <errno.h>
#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdlib.h>
#include <string.h>

#include "device/host/onednn_priv.h"

struct finf_dnn_prim {
	dnnl_primitive_t prim;
	dnnl_stream_t stream;
	uint32_t n; /* args; one more when the scratchpad is the caller's */
	bool scratch;
	dnnl_exec_arg_t args[]; /* memory objects owned */
};

int finf_dnn_errno(dnnl_status_t status)
{
	switch (status) {
	case dnnl_success:
		return 0;
	case dnnl_out_of_memory:
		return -ENOMEM;
	case dnnl_invalid_arguments:
	case dnnl_unimplemented:
		return -EOPNOTSUPP;
	default:
		return -EREMOTEIO;
	}
}

/* ---- engine ------------------------------------------------------------- */

int finf_dnn_open(struct finf_dnn **ret_dnn)
{
	struct finf_dnn *dnn = calloc(1, sizeof(*dnn));
	int err;

	if (!dnn)
		return -ENOMEM;
	err = finf_dnn_errno(dnnl_engine_create(&dnn->engine, dnnl_cpu, 0));
	if (err) {
		free(dnn);
		return err;
	}
	*ret_dnn = dnn;
	return 0;
}

void finf_dnn_close(struct finf_dnn *dnn)
{
	if (!dnn)
		return;
	dnnl_engine_destroy(dnn->engine);
	free(dnn);
}

uint32_t finf_dnn_version(void)
{
	const dnnl_version_t *v = dnnl_version();

	return (uint32_t)v->major << 16 | (uint32_t)v->minor << 8 | (uint32_t)v->patch;
}

const char *finf_dnn_isa(void)
{
	switch ((unsigned)dnnl_get_effective_cpu_isa()) {
	case dnnl_cpu_isa_sse41:
		return "sse41";
	case dnnl_cpu_isa_avx:
		return "avx";
	case dnnl_cpu_isa_avx2:
		return "avx2";
	case dnnl_cpu_isa_avx2_vnni:
		return "avx2_vnni";
	case dnnl_cpu_isa_avx512_core:
		return "avx512_core";
	case dnnl_cpu_isa_avx512_core_vnni:
		return "avx512_core_vnni";
	case dnnl_cpu_isa_avx512_core_bf16:
		return "avx512_core_bf16";
	case dnnl_cpu_isa_avx512_core_amx:
		return "avx512_core_amx";
	default:
		return "other";
	}
}

const char *finf_dnn_runtime(void)
{
	switch (dnnl_version()->cpu_runtime) {
	case DNNL_RUNTIME_SEQ:
		return "sequential";
	case DNNL_RUNTIME_OMP:
		return "openmp";
	case DNNL_RUNTIME_TBB:
		return "tbb";
	default:
		return "other";
	}
}

uint32_t finf_dnn_block(void)
{
	unsigned isa = (unsigned)dnnl_get_effective_cpu_isa();

	/* ISA numbers are sets of bits, each a superset of what it builds on. */
	return (isa & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core ? 16 : 8;
}

uint32_t finf_dnn_threads(uint32_t threads)
{
	int old = omp_get_max_threads();

	if (threads && old != (int)threads)
		omp_set_num_threads((int)threads);
	return (uint32_t)old;
}

int finf_dnn_spread(uint32_t n, void (*fn)(void *ctx, uint32_t k), void *ctx)
{
	int err = 0;

#pragma omp parallel num_threads((int)n)
	{
		if (omp_get_num_threads() == (int)n)
			fn(ctx, (uint32_t)omp_get_thread_num());
		else if (!omp_get_thread_num())
			err = -EAGAIN;
	}
	return err;
}

int finf_dnn_gemm(char op_a, char op_b, int64_t m, int64_t n, int64_t k, float alpha,
		  const float *a, int64_t step_a, const float *b, int64_t step_b, float beta,
		  float *c, int64_t step_c)
{
	dnnl_status_t status =
		dnnl_sgemm(op_a, op_b, m, n, k, alpha, a, step_a, b, step_b, beta, c, step_c);

	if (status == dnnl_success)
		return 0;
	return status == dnnl_out_of_memory ? -ENOMEM : -EREMOTEIO;
}

/* ---- memory descriptions -------------------------------------------------- */

static const uint32_t plain_tags[FINF_DNN_RANK + 1] = {
	dnnl_format_tag_undef, dnnl_a, dnnl_ab, dnnl_abc, dnnl_abcd, dnnl_abcde, dnnl_abcdef};

int finf_dnn_plain(const struct finf_shape *shape, struct finf_dnn_md *ret)
{
	struct finf_dnn_md md = {.rank = shape->rank};

	if (shape->rank > FINF_DNN_RANK)
		return -EOPNOTSUPP;
	memcpy(md.dim, shape->dim, shape->rank * sizeof(md.dim[0]));
	if (!md.rank) {
		md.rank = 1;
		md.dim[0] = 1;
	}
	md.tag = plain_tags[md.rank];
	*ret = md;
	return 0;
}

bool finf_dnn_is_plain(const struct finf_dnn_md *md)
{
	return md->rank <= FINF_DNN_RANK && md->tag == plain_tags[md->rank];
}

#if FINF_DNN_V3

/* 3.x */
dnnl_status_t finf_dnn_md_make(const struct finf_dnn_md *md, dnnl_memory_desc_t *ret)
{
	*ret = NULL;
	if (!md->rank) /* absent */
		return dnnl_success;
	if (md->tag == dnnl_format_tag_undef)
		return dnnl_memory_desc_create_with_strides(ret, (int)md->rank, md->dim, dnnl_f32,
							    md->stride);
	return dnnl_memory_desc_create_with_tag(ret, (int)md->rank, md->dim, dnnl_f32,
						(dnnl_format_tag_t)md->tag);
}

void finf_dnn_md_drop(dnnl_memory_desc_t *md)
{
	if (*md)
		dnnl_memory_desc_destroy(*md);
}

#else

/* 2.x */
static void winograd_md(const struct finf_dnn_md *md, dnnl_memory_desc_t *ret)
{
	const struct finf_dnn_winograd *from = &md->winograd;

	ret->ndims = (int)md->rank;
	memcpy(ret->dims, md->dim, md->rank * sizeof(md->dim[0]));
	memcpy(ret->padded_dims, md->dim, md->rank * sizeof(md->dim[0]));
	ret->data_type = dnnl_f32;
	ret->format_kind = dnnl_format_kind_wino;
	ret->format_desc.wino_desc = (dnnl_wino_desc_t){
		.wino_format = (dnnl_wino_memory_format_t)from->format,
		.r = from->r,
		.alpha = from->alpha,
		.ic = from->ic,
		.oc = from->oc,
		.ic_block = from->ic_block,
		.oc_block = from->oc_block,
		.ic2_block = from->ic2_block,
		.oc2_block = from->oc2_block,
		.adj_scale = from->scale,
		.size = from->bytes,
	};
}

int finf_dnn_winograd_of(const dnnl_memory_desc_t *chosen, struct finf_dnn_md *ret)
{
	const dnnl_wino_desc_t *from = &chosen->format_desc.wino_desc;
	struct finf_dnn_md md = {.rank = (uint32_t)chosen->ndims, .tag = FINF_DNN_WINOGRAD};
	dnnl_memory_desc_t made = {0};

	if (chosen->format_kind != dnnl_format_kind_wino || md.rank > FINF_DNN_RANK)
		return -EOPNOTSUPP;
	memcpy(md.dim, chosen->dims, md.rank * sizeof(md.dim[0]));
	md.winograd = (struct finf_dnn_winograd){
		.format = from->wino_format,
		.r = from->r,
		.alpha = from->alpha,
		.ic = from->ic,
		.oc = from->oc,
		.ic_block = from->ic_block,
		.oc_block = from->oc_block,
		.ic2_block = from->ic2_block,
		.oc2_block = from->oc2_block,
		.scale = from->adj_scale,
		.bytes = from->size,
	};
	winograd_md(&md, &made);
	if (!dnnl_memory_desc_equal(&made, chosen))
		return -EOPNOTSUPP;
	*ret = md;
	return 0;
}

dnnl_status_t finf_dnn_md_make(const struct finf_dnn_md *md, dnnl_memory_desc_t *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (!md->rank)
		return dnnl_success;
	if (md->tag == FINF_DNN_WINOGRAD) {
		winograd_md(md, ret);
		return dnnl_success;
	}
	if (md->tag == dnnl_format_tag_undef)
		return dnnl_memory_desc_init_by_strides(ret, (int)md->rank, md->dim, dnnl_f32,
							md->stride);
	return dnnl_memory_desc_init_by_tag(ret, (int)md->rank, md->dim, dnnl_f32,
					    (dnnl_format_tag_t)md->tag);
}

void finf_dnn_md_drop(dnnl_memory_desc_t *md)
{
	(void)md;
}

#endif

int finf_dnn_md_bytes(const struct finf_dnn_md *md, uint64_t *ret)
{
	dnnl_memory_desc_t made;
	dnnl_status_t status = finf_dnn_md_make(md, &made);

	if (status != dnnl_success)
		return status == dnnl_out_of_memory ? -ENOMEM : -EINVAL;
	*ret = dnnl_memory_desc_get_size(FINF_DNN_MD_REF(made));
	finf_dnn_md_drop(&made);
	return 0;
}

/* ---- running ------------------------------------------------------------------ */

static int add_memory(struct finf_dnn *dnn, struct finf_dnn_prim *prim, int arg,
		      const struct finf_dnn_md *md)
{
	dnnl_memory_desc_t made;
	dnnl_status_t status = finf_dnn_md_make(md, &made);

	if (status != dnnl_success)
		return finf_dnn_errno(status);
	prim->args[prim->n].arg = arg;
	status = dnnl_memory_create(&prim->args[prim->n].memory, FINF_DNN_MD_REF(made), dnn->engine,
				    DNNL_MEMORY_NONE);
	finf_dnn_md_drop(&made);
	if (status == dnnl_success)
		prim->n++;
	return finf_dnn_errno(status);
}

static int add_scratch(struct finf_dnn *dnn, struct finf_dnn_prim *prim,
		       const struct finf_dnn_pd *pd)
{
	dnnl_status_t status;

	if (!finf_dnn_pd_scratch_bytes(pd))
		return 0;
	prim->args[prim->n].arg = DNNL_ARG_SCRATCHPAD;
	status = dnnl_memory_create(
		&prim->args[prim->n].memory,
		dnnl_primitive_desc_query_md(pd->pd, dnnl_query_scratchpad_md, 0), dnn->engine,
		DNNL_MEMORY_NONE);
	prim->scratch = status == dnnl_success;
	return finf_dnn_errno(status);
}

int finf_dnn_prim_new(struct finf_dnn *dnn, const struct finf_dnn_pd *pd,
		      const struct finf_dnn_arg *args, uint32_t n, struct finf_dnn_prim **ret_prim)
{
	struct finf_dnn_prim *prim = calloc(1, sizeof(*prim) + (n + 1) * sizeof(prim->args[0]));
	int err = prim ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < n && !err; i++)
		err = add_memory(dnn, prim, args[i].arg, &args[i].md);
	if (!err)
		err = add_scratch(dnn, prim, pd);
	if (!err)
		err = finf_dnn_errno(
			dnnl_stream_create(&prim->stream, dnn->engine, dnnl_stream_default_flags));
	if (!err)
		err = finf_dnn_errno(dnnl_primitive_create(&prim->prim, pd->pd));
	if (err)
		finf_dnn_prim_free(prim);
	else
		*ret_prim = prim;
	return err;
}

int finf_dnn_prim_run(struct finf_dnn_prim *prim, void *const *addresses, void *scratch)
{
	dnnl_status_t status = dnnl_success;

	for (uint32_t i = 0; i < prim->n && status == dnnl_success; i++)
		status = dnnl_memory_set_data_handle(prim->args[i].memory, addresses[i]);
	if (prim->scratch && status == dnnl_success)
		status = dnnl_memory_set_data_handle(prim->args[prim->n].memory, scratch);
	if (status == dnnl_success)
		status = dnnl_primitive_execute(prim->prim, prim->stream,
						(int)(prim->n + prim->scratch), prim->args);
	if (status == dnnl_success)
		status = dnnl_stream_wait(prim->stream);
	return status == dnnl_success ? 0 : -EREMOTEIO;
}

void finf_dnn_prim_free(struct finf_dnn_prim *prim)
{
	if (!prim)
		return;
	for (uint32_t i = 0; i < prim->n + prim->scratch; i++)
		dnnl_memory_destroy(prim->args[i].memory);
	if (prim->prim)
		dnnl_primitive_destroy(prim->prim);
	if (prim->stream)
		dnnl_stream_destroy(prim->stream);
	free(prim);
}
