/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/engine/testmodel - one small network as file and as graph:
 * x[batch,3,8,8] -> Conv 8 x 3x3 -> Relu -> GlobalAveragePool -> Flatten -> Gemm -> y[batch,5].
 * With @shape_constant the result is multiplied by the mean of x's dimensions:
 * a constant of the bound graph that depends on the batch.
 */
#ifndef FI_TESTS_TESTMODEL_H
#define FI_TESTS_TESTMODEL_H

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "import/import.h"
#include "tests/support/interp.h"
#include "tests/support/support.h"
#include "tests/unit/import/onnxbuild.h"

#define MODEL_X 192u /* elements of x per batch entry */
#define MODEL_Y 5u

static inline void model_weight(struct onnx_build *b, const char *name, size_t rank,
				const int64_t *dims, uint64_t seed)
{
	Onnx__TensorProto *t = build_tensor(b, name, FINF_F32, rank, dims);
	float data[8 * 3 * 3 * 3];
	size_t n = 1;

	for (size_t i = 0; i < rank; i++)
		n *= (size_t)dims[i];
	ck_assert_uint_le(n, sizeof(data) / sizeof(data[0]));
	test_fill_f32(data, n, seed);
	build_raw(b, t, data, n * sizeof(float));
	build_initialiser(b, t);
}

static inline void model_attr_ints(struct onnx_build *b, Onnx__NodeProto *node, const char *name,
				   const int64_t *values, size_t n)
{
	Onnx__AttributeProto *attr =
		build_attr(b, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);

	for (size_t i = 0; i < n; i++)
		BUILD_PUSH(b, attr->n_ints, attr->ints, values[i]);
}

/* A file ONNX in the scratch folder; @seed chooses the weights. */
static inline const char *model_write(const char *name, uint64_t seed, bool shape_constant)
{
	const char *path = scratch_path(name);
	struct onnx_build b;
	Onnx__NodeProto *conv;
	uint8_t *data;
	size_t bytes;
	FILE *file;

	build_init(&b, 13);
	build_input(&b, "x", FINF_F32, 4, (const int64_t[]){-1, 3, 8, 8});
	model_weight(&b, "conv.w", 4, (const int64_t[]){8, 3, 3, 3}, seed);
	model_weight(&b, "conv.b", 1, (const int64_t[]){8}, seed + 1);
	model_weight(&b, "fc.w", 2, (const int64_t[]){8, MODEL_Y}, seed + 2);
	model_weight(&b, "fc.b", 1, (const int64_t[]){MODEL_Y}, seed + 3);
	conv = build_node(&b, "Conv", "conv", "x,conv.w,conv.b", "c");
	model_attr_ints(&b, conv, "pads", (const int64_t[]){1, 1, 1, 1}, 4);
	build_node(&b, "Relu", "relu", "c", "r");
	build_node(&b, "GlobalAveragePool", "pool", "r", "g");
	build_node(&b, "Flatten", "flatten", "g", "f");
	build_node(&b, "Gemm", "fc", "f,fc.w,fc.b", shape_constant ? "h" : "y");
	if (shape_constant) {
		Onnx__NodeProto *cast;
		Onnx__AttributeProto *to;

		build_node(&b, "Shape", "shape", "x", "s");
		cast = build_node(&b, "Cast", "cast", "s", "sf");
		to = build_attr(&b, cast, "to", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
		to->has_i = 1;
		to->i = FINF_F32;
		build_node(&b, "ReduceMean", "mean", "sf", "m");
		build_node(&b, "Mul", "scale", "h,m", "y");
	}
	build_output(&b, "y");
	data = build_pack(&b, &bytes);
	file = fopen(path, "wb");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(data, 1, bytes, file), bytes);
	fclose(file);
	free(data);
	build_fini(&b);
	return path;
}

#ifndef CONVS_CHANNELS
#define CONVS_CHANNELS 32u
#define CONVS_SIZE 24u
#endif
#define CONVS_X (CONVS_CHANNELS * CONVS_SIZE * CONVS_SIZE)

/* x[batch,32,24,24] -> Conv 3x3 -> Relu -> Conv 3x3 -> y; batch -1 = may vary */
static inline const char *model_write_convs(int64_t batch)
{
	static const int64_t w[] = {CONVS_CHANNELS, CONVS_CHANNELS, 3, 3}, pads[] = {1, 1, 1, 1};
	const char *path = scratch_path(batch < 0 ? "any.onnx" : "one.onnx");
	size_t n = CONVS_CHANNELS * CONVS_CHANNELS * 9, bytes;
	float *data = malloc(n * sizeof(*data));
	struct onnx_build b;
	uint8_t *file;
	FILE *to;

	ck_assert_ptr_nonnull(data);
	build_init(&b, 13);
	build_input(&b, "x", FINF_F32, 4, (const int64_t[]){batch, CONVS_CHANNELS, CONVS_SIZE, CONVS_SIZE});
	for (uint64_t i = 0; i < 2; i++) {
		Onnx__TensorProto *t = build_tensor(&b, i ? "w1" : "w0", FINF_F32, 4, w);

		test_fill_f32(data, n, i);
		build_raw(&b, t, data, n * sizeof(*data));
		build_initialiser(&b, t);
	}
	model_attr_ints(&b, build_node(&b, "Conv", "c0", "x,w0", "a"), "pads", pads, 4);
	build_node(&b, "Relu", "r", "a", "b");
	model_attr_ints(&b, build_node(&b, "Conv", "c1", "b,w1", "y"), "pads", pads, 4);
	build_output(&b, "y");
	file = build_pack(&b, &bytes);
	to = fopen(path, "wb");
	ck_assert_ptr_nonnull(to);
	ck_assert_uint_eq(fwrite(file, 1, bytes, to), bytes);
	fclose(to);
	free(file);
	free(data);
	build_fini(&b);
	return path;
}

static inline struct finf_shape model_shape(int64_t batch)
{
	return (struct finf_shape){4, {batch, 3, 8, 8}};
}

/* What the reference kernels say to the file for an input of seed @seed. */
static inline void model_oracle(const char *path, int64_t batch, uint64_t seed, float *y)
{
	size_t n = (size_t)batch * MODEL_X;
	struct finf_graph *graph = NULL, *bound = NULL;
	struct finf_shape shape = model_shape(batch);
	struct finf_diag diag = {""};
	struct finf_tensor x = {"x", FINF_F32, shape, NULL, n * sizeof(float)}, out;

	x.data = malloc(x.bytes);
	ck_assert_ptr_nonnull(x.data);
	test_fill_f32(x.data, n, seed);
	ck_assert_msg(!finf_import_file(path, &graph, &diag), "%s", diag.text);
	ck_assert_msg(!finf_graph_bind(graph, &shape, &bound, &diag), "%s", diag.text);
	ck_assert_int_eq(interp_run(bound, &x, &out), 0);
	ck_assert_uint_eq(out.bytes, (size_t)batch * MODEL_Y * sizeof(float));
	memcpy(y, out.data, out.bytes);
	interp_free(&out, 1);
	finf_graph_free(bound);
	finf_graph_free(graph);
	free(x.data);
}

#endif
