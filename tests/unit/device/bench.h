/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/device/bench - our kernels, compiled for the CPU and launched
 * through fakecuda: a device that is kernels and a stream, and a case run on it
 * against the reference.
 */
#ifndef FI_TESTS_DEVICE_BENCH_H
#define FI_TESTS_DEVICE_BENCH_H

#include <errno.h>

#include "device/cuda/kernels.h"
#include "device/cuda/node.h"
#include "tests/support/fakedriver.h"
#include "tests/unit/device/site.h"

/* Its memory is the host's, as all of fakecuda's is. */
struct bench {
	struct finf_device base;
	struct fakedriver driver;
	struct finf_cuda_kernels *kernels;
	struct finf_cu_stream *stream;
};

static inline int bench_kernel_new(struct finf_device *dev, const struct finf_graph *graph,
				   uint32_t node, const struct finf_form *form, uint32_t threads,
				   struct finf_kernel **ret_kernel, struct finf_diag *diag)
{
	(void)dev, (void)threads;
	return finf_cuda_kernel_new(graph, node, form, ret_kernel, diag);
}

static inline int bench_reorder_new(struct finf_device *dev, enum finf_dtype dtype,
				    const struct finf_shape *shape, uint16_t from, uint16_t to,
				    uint32_t threads, struct finf_kernel **ret_kernel,
				    struct finf_diag *diag)
{
	(void)dev, (void)threads;
	return finf_cuda_reorder_new(dtype, shape, from, to, ret_kernel, diag);
}

static inline int bench_kernel_run(struct finf_device *dev, struct finf_kernel *kernel,
				   const struct finf_launch *launch)
{
	struct bench *bench = (struct bench *)dev;
	int err = finf_cuda_kernel_launch(bench->kernels, bench->driver.api, bench->stream, kernel,
					  launch);

	return err ? err : finf_cuda_errno(bench->driver.api->cuStreamSynchronize(bench->stream));
}

static inline void bench_kernel_free(struct finf_device *dev, struct finf_kernel *kernel)
{
	(void)dev;
	finf_cuda_kernel_free(kernel);
}

static const struct finf_device_ops bench_ops = {
	.abi = FINF_DEVICE_ABI,
	.name = "bench",
	.describe = finf_cuda_describe,
	.layout_bytes = finf_cuda_layout_bytes,
	.reorder_ns = finf_cuda_reorder_ns,
	.pack_weight = finf_cuda_pack_weight,
	.kernel_new = bench_kernel_new,
	.reorder_new = bench_reorder_new,
	.kernel_run = bench_kernel_run,
	.kernel_free = bench_kernel_free,
};

static inline void bench_init(struct bench *bench)
{
	struct finf_diag diag = {""};

	setenv("FAKECUDA_DELAY_US", "0", 1); /* order of streams is tested elsewhere */
	memset(bench, 0, sizeof(*bench));
	bench->base.ops = &bench_ops;
	bench->driver = fakedriver_start();
	CU(bench->driver.api->cuStreamCreateWithPriority(&bench->stream,
							 FINF_CU_STREAM_NON_BLOCKING, 0));
	ck_assert_msg(!finf_cuda_kernels_load(bench->driver.api, 75, &bench->kernels, &diag), "%s",
		      diag.text);
}

static inline void bench_fini(struct bench *bench)
{
	finf_cuda_kernels_unload(bench->driver.api, bench->kernels, false);
	CU(bench->driver.api->cuStreamDestroy(bench->stream));
	fakedriver_stop(&bench->driver);
}

/* ---- rows ----------------------------------------------------------------------------- */

#define OTHER(type, ...)                                                                           \
	{                                                                                          \
		.rank = FINF_ARRAY_LEN(((int64_t[]){__VA_ARGS__})), .dim = {__VA_ARGS__},          \
		.dtype = FINF_##type, .ivalues = {                                                 \
			3,                                                                         \
			-70000,                                                                    \
			5,                                                                         \
			0,                                                                         \
			-1,                                                                        \
			300                                                                        \
		}                                                                                  \
	}
#define INDEX_IN(type, ...)                                                                        \
	{                                                                                          \
		.rank = 2, .dim = {2, 3}, .dtype = FINF_##type, .ivalues = { __VA_ARGS__ }         \
	}

/* A constant that may travel in launches; all indices are within 7. */
#define KEPT(type, ...)                                                                            \
	{                                                                                          \
		.rank = FINF_ARRAY_LEN(((int64_t[]){__VA_ARGS__})), .dim = {__VA_ARGS__},          \
		.dtype = FINF_##type, .is_const = true, .ivalues = {                               \
			3,                                                                         \
			-7,                                                                        \
			5,                                                                         \
			0,                                                                         \
			-1,                                                                        \
			2                                                                          \
		}                                                                                  \
	}

/* The same for divisors. */
#define KEPT_BUT_0(type, ...)                                                                      \
	{                                                                                          \
		.rank = FINF_ARRAY_LEN(((int64_t[]){__VA_ARGS__})), .dim = {__VA_ARGS__},          \
		.dtype = FINF_##type, .is_const = true, .ivalues = {                               \
			3,                                                                         \
			-7,                                                                        \
			-1,                                                                        \
			300,                                                                       \
			1,                                                                         \
			2                                                                          \
		}                                                                                  \
	}
#define SCALES(...)                                                                                \
	{                                                                                          \
		.rank = 1, .dim = {FINF_ARRAY_LEN(((float[]){__VA_ARGS__}))}, .is_const = true,    \
		.values = {__VA_ARGS__}, .n_values = FINF_ARRAY_LEN(((float[]){__VA_ARGS__}))      \
	}

/* ---- a case ---------------------------------------------------------------------------- */

/* Rows that are there for the host device: no kernel, or windows over volumes. */
static inline bool is_refused(const struct node_case *row)
{
	bool window = !strcmp(row->op, "Conv") || !strcmp(row->op, "MaxPool") ||
		      !strcmp(row->op, "AveragePool");

	return !finf_k_find(row->op) || (window && row->in[0].rank > 4);
}

static inline void run_case(struct bench *bench, const struct node_case *row)
{
	struct finf_form_table table;
	struct site site;
	char text[200];

	site_init(&site, row, 0);
	if (is_refused(row)) {
		ck_assert_int_eq(site_forms(&site, &bench->base, 1, NULL, &table), -EOPNOTSUPP);
		site_fini(&site);
		return;
	}
	ck_assert_msg(!site_forms(&site, &bench->base, 1, NULL, &table), "%s is refused",
		      row->what);
	ck_assert_uint_eq(table.nodes[0].forms[0].flags & (FINF_FORM_ALIAS | FINF_FORM_JOIN), 0);
	ck_assert(!(row->want & WANT_JOIN) || table.nodes[0].n == 2);
	for (uint32_t k = 0; k < table.nodes[0].n; k++) {
		const struct finf_form *form = &table.nodes[0].forms[k];

		ck_assert_uint_eq(form->in_layout + form->out_layout, FINF_LAYOUT_PLAIN);
		if (form->flags & FINF_FORM_ALIAS) {
			ck_assert_mem_eq(site.in[0].data, site.out.data, site.out.bytes);
			ck_assert_uint_lt(form->est_ns, table.nodes[0].forms[0].est_ns);
			continue;
		}
		if (form->flags & FINF_FORM_JOIN) {
			site_join(&site, &bench->base, form, row->what);
			continue;
		}
		for (int backwards = 0; backwards < 2; backwards++) {
			snprintf(text, sizeof(text), "%s, %s%s", row->what, form->name,
				 backwards ? " backwards" : "");
			bench->driver.thread_order(backwards);
			site_run(&site, &bench->base, form, 1, false, text);
			if (finf_form_over(form, site.n_in) != FINF_NONE)
				site_run(&site, &bench->base, form, 1, true, text);
		}
	}
	finf_form_table_fini(&table);
	site_fini(&site);
}

#endif
