/* SPDX-License-Identifier: MIT */
/* Our kernels, compiled for the CPU and launched through fakecuda, against the reference. */
#include <errno.h>
#include <math.h>
#include <unistd.h>

#include "device/cuda/kernels.h"
#include "device/cuda/node.h"
#include "tests/support/fakedriver.h"
#include "tests/unit/device/cases.h"
#include "tests/unit/device/draw.h"

/* ---- a device that is kernels and a stream --------------------------------------- */

/* Its memory is the host's, as all of fakecuda's is. */
struct bench {
	struct finf_device base;
	struct fakedriver driver;
	struct finf_cuda_kernels *kernels;
	struct finf_cu_stream *stream;
};

static int bench_kernel_new(struct finf_device *dev, const struct finf_graph *graph, uint32_t node,
			    const struct finf_form *form, uint32_t threads,
			    struct finf_kernel **ret_kernel, struct finf_diag *diag)
{
	(void)dev, (void)threads;
	return finf_cuda_kernel_new(graph, node, form, ret_kernel, diag);
}

static int bench_reorder_new(struct finf_device *dev, enum finf_dtype dtype,
			     const struct finf_shape *shape, uint16_t from, uint16_t to,
			     uint32_t threads, struct finf_kernel **ret_kernel,
			     struct finf_diag *diag)
{
	(void)dev, (void)threads;
	return finf_cuda_reorder_new(dtype, shape, from, to, ret_kernel, diag);
}

static int bench_kernel_run(struct finf_device *dev, struct finf_kernel *kernel,
			    const struct finf_launch *launch)
{
	struct bench *bench = (struct bench *)dev;
	int err = finf_cuda_kernel_launch(bench->kernels, bench->driver.api, bench->stream, kernel,
					  launch);

	return err ? err : finf_cuda_errno(bench->driver.api->cuStreamSynchronize(bench->stream));
}

static void bench_kernel_free(struct finf_device *dev, struct finf_kernel *kernel)
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

static void bench_init(struct bench *bench)
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

static void bench_fini(struct bench *bench)
{
	finf_cuda_kernels_unload(bench->driver.api, bench->kernels, false);
	CU(bench->driver.api->cuStreamDestroy(bench->stream));
	fakedriver_stop(&bench->driver);
}

/* ---- nodes ------------------------------------------------------------------------- */

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

/* clang-format off */
/* What cases.h lacks: sizes around the tiles, splits, and the dtypes that are moved. */
static const struct node_case more[] = {
	{"conv more than a tile", "Conv", 11, {ACT(2, 17, 13, 9), WEIGHT(70, 17, 3, 3), WEIGHT(70)},
	 3, {ATTR_INTS("pads", 1, 1, 1, 1)}, .act = FINF_ACT_LEAKY, .act_a = 0.1f},
	{"conv split", "Conv", 11, {ACT(1, 64, 5, 5), WEIGHT(66, 64, 3, 3), WEIGHT(66)}, 3,
	 {ATTR_INTS("pads", 1, 1, 1, 1)}, .act = FINF_ACT_RELU},
	{"conv split groups", "Conv", 11, {ACT(2, 130, 3, 4), WEIGHT(34, 65, 2, 2)}, 2,
	 {ATTR_INT("group", 2)}, .want = WANT_ANY},
	{"conv pointwise", "Conv", 11, {ACT(1, 40, 8, 9), WEIGHT(33, 40, 1, 1), WEIGHT(33)}, 3, {{0}},
	 .act = FINF_ACT_CLIP, .act_a = 0, .act_b = 6},
	{"conv groups dilated", "Conv", 11, {ACT(2, 6, 11, 10), WEIGHT(48, 2, 3, 2)}, 2,
	 {ATTR_INT("group", 3), ATTR_INTS("dilations", 2, 3), ATTR_INTS("strides", 1, 2),
	  ATTR_INTS("pads", 2, 0, 1, 3)}, .want = WANT_ANY},
	{"gemm more than a tile", "Gemm", 11, {ACT(67, 33), WEIGHT(33, 130), WEIGHT(130)}, 3, {{0}},
	 .act = FINF_ACT_SIGMOID},
	{"gemm tall", "Gemm", 11, {ACT(130, 5), WEIGHT(3, 5)}, 2, {ATTR_INT("transB", 1)}, .want = WANT_ANY},
	{"gemm few rows", "Gemm", 11, {ACT(4, 100), WEIGHT(37, 100), WEIGHT(4, 1)}, 3,
	 {ATTR_INT("transB", 1), ATTR_FLOAT("alpha", 0.5f), ATTR_FLOAT("beta", 2.0f)}, .want = WANT_ANY},
	{"gemm few columns of a", "Gemm", 11, {ACT(100, 3), WEIGHT(37, 100)}, 2,
	 {ATTR_INT("transA", 1), ATTR_INT("transB", 1)}, .want = WANT_ANY},
	{"gemm one", "Gemm", 11, {ACT(1, 1), ACT(1, 1)}, 2, {{0}}, .want = WANT_ANY},
	{"matmul stacks of columns", "MatMul", 13, {ACT(3, 1, 7, 66), ACT(2, 66, 65)}, 2, {{0}},
	 .act = FINF_ACT_RELU},
	{"matmul dots", "MatMul", 13, {ACT(3, 2, 40), ACT(3, 40, 1)}, 2, {{0}}, .want = WANT_ANY},
	{"softmax long", "Softmax", 13, {ACT(2, 3000)}, 1, {{0}}, .want = WANT_ANY},
	{"softmax first", "Softmax", 13, {ACT(70, 5)}, 1, {ATTR_INT("axis", 0)},
	 .act = FINF_ACT_LEAKY, .act_a = 0.5f},
	{"mean long", "ReduceMean", 13, {ACT(3, 5000)}, 1, {ATTR_INTS("axes", 1)},
	 .act = FINF_ACT_RELU},
	{"mean of two apart", "ReduceMean", 13, {ACT(3, 4, 5, 6)}, 1,
	 {ATTR_INTS("axes", 0, 2), ATTR_INT("keepdims", 0)}, .want = WANT_ANY},
	{"mean of one", "ReduceMean", 13, {ACT(7)}, 1, {ATTR_INTS("axes", 0)}, .want = WANT_ANY},
	{"global average of many", "GlobalAveragePool", 7, {ACT(1, 65600, 1, 2)}, 1, {{0}}, .want = WANT_ANY},
	{"conv of many channels", "Conv", 11, {ACT(1, 65600, 1, 2), WEIGHT(65600, 1, 1, 1)}, 2,
	 {ATTR_INT("group", 65600)}, .want = WANT_ANY},
	{"add three ways", "Add", 13, {ACT(4, 1, 6, 1), ACT(5, 1, 7)}, 2, {{0}},
	 .act = FINF_ACT_SIGMOID},
	{"sub many dimensions", "Sub", 13,
	 {{.rank = 8, .dim = {2, 1, 3, 1, 2, 1, 3, 1}}, {.rank = 8, .dim = {1, 2, 1, 3, 1, 2, 1, 3}}},
	 2, {{0}}, .want = WANT_ANY},
	{"div by one", "Div", 13, {ACT(3, 7), SCALAR(3.0f)}, 2, {{0}}, .act = FINF_ACT_RELU},
	{"sub odd", "Sub", 13, {ACT(4099), ACT(4099)}, 2, {{0}}, .want = WANT_ANY},
	{"add int64", "Add", 13, {OTHER(I64, 4, 6), OTHER(I64, 6)}, 2, {{0}}, .want = WANT_ANY},
	{"mul int32 wraps", "Mul", 13, {OTHER(I32, 7), OTHER(I32, 1)}, 2, {{0}}, .want = WANT_ANY},
	{"sub int32", "Sub", 13, {OTHER(I32, 1, 6), OTHER(I32, 5, 1)}, 2, {{0}}, .want = WANT_ANY},
	{"clip int64", "Clip", 13, {OTHER(I64, 12), {.dtype = FINF_I64, .ivalues = {-1}},
	  {.is_const = true, .dtype = FINF_I64, .ivalues = {4}}}, 3, {{0}}, .want = WANT_ANY},
	{"clip int32 above", "Clip", 13, {OTHER(I32, 12), LEFT_OUT, {.dtype = FINF_I32,
	  .ivalues = {4}}}, 3, {{0}}, .want = WANT_ANY},
	{"transpose bytes", "Transpose", 13, {OTHER(U8, 3, 4, 5)}, 1, {ATTR_INTS("perm", 2, 0, 1)}, .want = WANT_ANY},
	{"transpose int64", "Transpose", 13, {OTHER(I64, 3, 4)}, 1, {{0}}, .want = WANT_ANY},
	{"transpose nothing", "Transpose", 13, {ACT(3, 4, 5)}, 1, {ATTR_INTS("perm", 0, 1, 2)}, .want = WANT_ANY},
	{"concat bool", "Concat", 13, {OTHER(BOOL, 2, 3), OTHER(BOOL, 2, 1), OTHER(BOOL, 2, 0)}, 3,
	 {ATTR_INT("axis", 1)}, .want = WANT_ANY},
	{"concat vectors", "Concat", 13, {ACT(3), ACT(5), ACT(1)}, 3, {ATTR_INT("axis", 0)},
	 .act = FINF_ACT_RELU},
	{"pad reflect", "Pad", 13, {ACT(2, 4, 5), INTS_IN(0, 3, 2, 0, 1, 4)}, 2,
	 {ATTR_STR("mode", "reflect")}, .want = WANT_ANY},
	{"pad edge", "Pad", 13, {ACT(4, 5), INTS_IN(3, -1, 2, 4)}, 2, {ATTR_STR("mode", "edge")},
	 .act = FINF_ACT_RELU},
	{"pad cut", "Pad", 13, {ACT(4, 5), INTS_IN(-1, 2, 0, -3)}, 2, {{0}}, .want = WANT_ANY},
	{"pad attribute", "Pad", 10, {ACT(4, 5)}, 1,
	 {ATTR_INTS("pads", 1, 0, 0, 2), ATTR_FLOAT("value", 1.5f)}, .want = WANT_ANY},
	{"pad int64", "Pad", 13, {OTHER(I64, 4), INTS_IN(1, 2)}, 2, {{0}}, .want = WANT_ANY},
	{"pad computed constant", "Pad", 13, {ACT(4), INTS_IN(1, 2), {.rank = 0}}, 3, {{0}}, .want = WANT_ANY},
	{"gather rows", "Gather", 13, {ACT(5, 3, 2), INDEX_IN(I64, 0, -1, 4, -5, 2, 2)}, 2, {{0}},
	 .act = FINF_ACT_LEAKY, .act_a = 3},
	{"gather middle", "Gather", 13, {OTHER(I8, 2, 5, 3), INDEX_IN(I32, 1, -1, 4, -5, 2, 0)}, 2,
	 {ATTR_INT("axis", 1)}, .want = WANT_ANY},
	{"gather scalar index", "Gather", 13, {OTHER(I64, 4, 2), {.is_const = true, .ints = true,
	  .ivalues = {-2}}}, 2, {ATTR_INT("axis", -1)}, .want = WANT_ANY},
	{"gather from a constant", "Gather", 13, {WEIGHT(9, 7), INDEX_IN(I64, 8, 0, 1, 2, -9, 5)}, 2,
	 {{0}}, .want = WANT_ANY},
	{"gather many", "Gather", 13, {ACT(7, 3), KEPT(I64, 2, 65)}, 2, {{0}}, .want = WANT_ANY},
	{"gather many int32", "Gather", 13, {ACT(3, 7), KEPT(I32, 131)}, 2, {ATTR_INT("axis", 1)},
	 .act = FINF_ACT_RELU},
	{"gather too many to keep", "Gather", 13, {ACT(7, 3), KEPT(I64, 513)}, 2, {{0}},
	 .want = WANT_ANY},
	{"where kept", "Where", 16, {KEPT(BOOL, 77), KEPT(I32, 77), KEPT(I32, 3, 1)}, 3, {{0}},
	 .want = WANT_ANY},
	{"cast to int64", "Cast", 13, {ACT(5, 3)}, 1, {ATTR_INT("to", FINF_I64)}, .want = WANT_ANY},
	{"cast to bool", "Cast", 13, {OTHER(I32, 9)}, 1, {ATTR_INT("to", FINF_BOOL)}, .want = WANT_ANY},
	{"cast to int8", "Cast", 13, {OTHER(F64, 9)}, 1, {ATTR_INT("to", FINF_I8)}, .want = WANT_ANY},
	{"cast to uint8", "Cast", 13, {OTHER(F64, 9)}, 1, {ATTR_INT("to", FINF_U8)}, .want = WANT_ANY},
	{"cast wraps", "Cast", 13, {OTHER(I64, 9)}, 1, {ATTR_INT("to", FINF_U8)}, .want = WANT_ANY},
	{"cast from int64", "Cast", 13, {OTHER(I64, 9)}, 1, {ATTR_INT("to", FINF_F32)}, .want = WANT_ANY},
	{"cast from int8", "Cast", 13, {OTHER(I8, 9)}, 1, {ATTR_INT("to", FINF_F64)}, .want = WANT_ANY},
	{"cast from float64", "Cast", 13, {OTHER(F64, 9)}, 1, {ATTR_INT("to", FINF_F32)}, .want = WANT_ANY},
	{"cast to float16", "Cast", 13, {ACT(40, 30)}, 1, {ATTR_INT("to", FINF_F16)}, .want = WANT_ANY},
	{"cast to float16, large", "Cast", 13, {OTHER(F64, 9)}, 1, {ATTR_INT("to", FINF_F16)}, .want = WANT_ANY},
	{"cast to bfloat16", "Cast", 13, {ACT(40, 30)}, 1, {ATTR_INT("to", FINF_BF16)}, .want = WANT_ANY},
	{"cast int64 to bfloat16", "Cast", 13, {OTHER(I64, 9)}, 1, {ATTR_INT("to", FINF_BF16)}, .want = WANT_ANY},
	{"cast from float16", "Cast", 13, {OTHER(F16, 999)}, 1, {ATTR_INT("to", FINF_F32)}, .want = WANT_ANY},
	{"cast from bfloat16", "Cast", 13, {OTHER(BF16, 999)}, 1, {ATTR_INT("to", FINF_F32)}, .want = WANT_ANY},
	{"cast float16 to int8", "Cast", 13, {OTHER(F16, 99)}, 1, {ATTR_INT("to", FINF_I8)}, .want = WANT_ANY},
	{"cast float16 to itself", "Cast", 13, {OTHER(F16, 99)}, 1, {ATTR_INT("to", FINF_F16)}, .want = WANT_ANY},
	{"cast to itself", "Cast", 13, {OTHER(U8, 9)}, 1, {ATTR_INT("to", FINF_U8)}, .want = WANT_ANY},
	{"reshape bytes", "Reshape", 13, {OTHER(U8, 3, 4), INTS_IN(12)}, 2, {{0}}, .want = WANT_ANY},
	{"identity of a constant", "Identity", 13, {WEIGHT(3, 5)}, 1, {{0}}, .want = WANT_ANY},
	{"maxpool dilated and padded", "MaxPool", 12, {ACT(2, 3, 9, 7)}, 1,
	 {ATTR_INTS("kernel_shape", 3, 2), ATTR_INTS("dilations", 2, 3), ATTR_INTS("pads", 2, 1, 1, 0),
	  ATTR_INTS("strides", 2, 1)}, .want = WANT_ANY},
	{"mean, axes input", "ReduceMean", 18, {ACT(3, 4, 5, 6), INTS_IN(-1, 1)}, 2,
	 {ATTR_INT("keepdims", 0)}, .want = WANT_ANY},
	{"mean, no axes", "ReduceMean", 18, {ACT(3, 4, 5)}, 1, {{0}}, .act = FINF_ACT_RELU},
	{"mean, empty axes", "ReduceMean", 18, {ACT(3, 4), {.rank = 1, .dim = {0}, .is_const = true,
	  .ints = true}}, 2, {{0}}, .want = WANT_ANY},
	{"mean, empty axes are none", "ReduceMean", 18, {ACT(3, 4), {.rank = 1, .dim = {0},
	  .is_const = true, .ints = true}}, 2, {ATTR_INT("noop_with_empty_axes", 1)},
	 .act = FINF_ACT_RELU},
	{"mean, axes that are not empty", "ReduceMean", 18, {ACT(3, 4), INTS_IN(1)}, 2,
	 {ATTR_INT("noop_with_empty_axes", 1)}, .want = WANT_ANY},
	{"mean, no axes are none", "ReduceMean", 18, {ACT(3, 4)}, 1,
	 {ATTR_INT("noop_with_empty_axes", 1)}, .want = WANT_ANY},
	{"pad axes", "Pad", 18, {ACT(2, 4, 5), INTS_IN(1, 2, 3, 0), SCALAR(2.5f), INTS_IN(-1, 0)}, 4,
	 {{0}}, .act = FINF_ACT_LEAKY, .act_a = 2},
	{"pad axes reflect", "Pad", 21, {ACT(3, 4, 5), INTS_IN(3, -2), LEFT_OUT, INTS_IN(1)}, 4,
	 {ATTR_STR("mode", "reflect")}, .want = WANT_ANY},
	{"pad wrap", "Pad", 19, {ACT(4, 5), INTS_IN(9, -1, 6, 13)}, 2, {ATTR_STR("mode", "wrap")},
	 .want = WANT_ANY},
	{"avgpool dilated", "AveragePool", 19, {ACT(2, 3, 9, 7)}, 1,
	 {ATTR_INTS("kernel_shape", 3, 2), ATTR_INTS("dilations", 2, 3), ATTR_INTS("pads", 2, 1, 1, 1),
	  ATTR_INTS("strides", 2, 1), ATTR_INT("ceil_mode", 1)}, .want = WANT_ANY},
	{"avgpool dilated with padding", "AveragePool", 19, {ACT(1, 2, 8, 9)}, 1,
	 {ATTR_INTS("kernel_shape", 2, 3), ATTR_INTS("dilations", 3, 2), ATTR_INTS("pads", 1, 2, 1, 1),
	  ATTR_INT("count_include_pad", 1)}, .want = WANT_ANY},
	{"conv 1-D of many rows", "Conv", 11, {ACT(2, 5, 70), WEIGHT(20, 5, 4), WEIGHT(20)}, 3,
	 {ATTR_INTS("pads", 3, 1), ATTR_INTS("strides", 2)}, .act = FINF_ACT_RELU},
	{"avgpool 1-D", "AveragePool", 11, {ACT(2, 3, 9)}, 1,
	 {ATTR_INTS("kernel_shape", 4), ATTR_INTS("pads", 1, 2)}, .want = WANT_ANY},
	{"hard sigmoid", "HardSigmoid", 7, {ACT(2, 70)}, 1, {{0}}, .act = FINF_ACT_RELU},
	{"hard sigmoid, given", "HardSigmoid", 7, {ACT(2, 70)}, 1,
	 {ATTR_FLOAT("alpha", 2), ATTR_FLOAT("beta", 0.75f)}, .want = WANT_ANY},
	{"elu, then bounds", "Elu", 7, {ACT(70)}, 1, {{0}}, .act = FINF_ACT_CLIP, .act_a = -0.5f,
	 .act_b = 0.5f},
	{"pow of int64", "Pow", 13, {ACT(2, 6), OTHER(I64, 1)}, 2, {{0}}, .act = FINF_ACT_RELU},
	{"pow of rows", "Pow", 13, {{.rank = 2, .dim = {4, 1}, .fill = FILL_POSITIVE}, ACT(1, 5)}, 2,
	 {{0}}, .want = WANT_ANY},
	{"prelu", "PRelu", 16, {ACT(2, 3, 4, 5), WEIGHT(3, 1, 1)}, 2, {{0}}, .want = WANT_ANY},
	{"prelu, one slope", "PRelu", 7, {ACT(2, 3), SCALAR(0.25f)}, 2, {{0}}, .act = FINF_ACT_CLIP,
	 .act_a = -0.125f, .act_b = 0.5f},
	{"min three ways", "Min", 13, {ACT(4, 1), ACT(5), ACT(4, 5)}, 3, {{0}}, .want = WANT_ANY},
	{"max of four", "Max", 8, {SCALAR(-0.5f), ACT(3, 1, 2), ACT(2), ACT(4, 1)}, 4, {{0}},
	 .act = FINF_ACT_LEAKY, .act_a = 3},
	{"sum of one", "Sum", 8, {ACT(3)}, 1, {{0}}, .act = FINF_ACT_RELU},
	{"mean of two", "Mean", 13, {ACT(4, 5), ACT(4, 5)}, 2, {{0}}, .act = FINF_ACT_RELU},
	{"mean three ways", "Mean", 8, {ACT(4, 1), ACT(5), ACT(4, 5)}, 3, {{0}}, .want = WANT_ANY},
	{"mean of itself", "Mean", 13, {ACT(70)}, 1, {{0}}, .want = WANT_ANY},
	{"cumsum", "CumSum", 14, {ACT(3, 70, 2), INTS_IN(1)}, 2, {{0}}, .act = FINF_ACT_RELU},
	{"cumsum back, without itself", "CumSum", 11, {ACT(3, 7), INTS_IN(-1)}, 2,
	 {ATTR_INT("exclusive", 1), ATTR_INT("reverse", 1)}, .want = WANT_ANY},
	{"cumsum int64", "CumSum", 14, {OTHER(I64, 6, 5), INTS_IN(0)}, 2, {ATTR_INT("reverse", 1)},
	 .want = WANT_ANY},
	{"cumsum int32 wraps", "CumSum", 14, {OTHER(I32, 2, 600), INTS_IN(1)}, 2,
	 {ATTR_INT("exclusive", 1)}, .want = WANT_ANY},
	{"upper triangle", "Trilu", 14, {ACT(2, 5, 7)}, 1, {{0}}, .act = FINF_ACT_RELU},
	{"lower triangle, shifted", "Trilu", 14, {OTHER(I64, 5, 4), {.is_const = true, .ints = true,
	  .ivalues = {-2}}}, 2, {ATTR_INT("upper", 0)}, .want = WANT_ANY},
	{"triangle of bytes", "Trilu", 14, {OTHER(U8, 2, 3, 3, 4), {.dtype = FINF_I64,
	  .ivalues = {1}}}, 2, {{0}}, .want = WANT_ANY},
	{"gather elements", "GatherElements", 13, {ACT(5, 3), INDEX_IN(I64, 0, -1, 4, -5, 2, 2)}, 2,
	 {{0}}, .act = FINF_ACT_LEAKY, .act_a = 3},
	{"gather elements of a row", "GatherElements", 11, {OTHER(I8, 2, 5),
	  INDEX_IN(I32, 1, -1, 4, -5, 2, 0)}, 2, {ATTR_INT("axis", 1)}, .want = WANT_ANY},
	{"gather kept elements", "GatherElements", 13, {ACT(4, 7, 2), KEPT(I64, 3, 9, 2)}, 2,
	 {ATTR_INT("axis", -2)}, .want = WANT_ANY},
	{"equal", "Equal", 13, {ACT(3, 4), SCALAR(0.25f)}, 2, {{0}}, .want = WANT_ANY},
	{"equal int64", "Equal", 13, {OTHER(I64, 2, 6), {.rank = 1, .dim = {6}, .dtype = FINF_I64,
	  .ivalues = {3, 0, 5, 0, -1, 44}}}, 2, {{0}}, .want = WANT_ANY},
	{"equal bool", "Equal", 7, {OTHER(BOOL, 6), {.rank = 1, .dim = {6}, .dtype = FINF_BOOL,
	  .ivalues = {1, 1, 0, 0, 1, 0}}}, 2, {{0}}, .want = WANT_ANY},
	{"less", "Less", 13, {ACT(3, 1), ACT(4)}, 2, {{0}}, .want = WANT_ANY},
	{"less double", "Less", 9, {OTHER(F64, 6), OTHER(F64, 6, 1)}, 2, {{0}}, .want = WANT_ANY},
	{"less or equal", "LessOrEqual", 16, {OTHER(I32, 6), OTHER(I32, 6, 1)}, 2, {{0}}, .want = WANT_ANY},
	{"greater", "Greater", 13, {OTHER(I8, 6), OTHER(I8, 6, 1)}, 2, {{0}}, .want = WANT_ANY},
	{"greater bytes", "Greater", 13, {OTHER(U8, 6), OTHER(U8, 6, 1)}, 2, {{0}}, .want = WANT_ANY},
	{"greater or equal", "GreaterOrEqual", 16, {ACT(3, 1), ACT(3, 4)}, 2, {{0}}, .want = WANT_ANY},
	{"and", "And", 7, {OTHER(BOOL, 6), OTHER(BOOL, 6, 1)}, 2, {{0}}, .want = WANT_ANY},
	{"or", "Or", 7, {OTHER(BOOL, 6), OTHER(BOOL, 6, 1)}, 2, {{0}}, .want = WANT_ANY},
	{"xor", "Xor", 7, {OTHER(BOOL, 6), OTHER(BOOL, 6, 1)}, 2, {{0}}, .want = WANT_ANY},
	{"where largest", "ArgMax", 13, {ACT(3, 70, 2)}, 1, {ATTR_INT("axis", 1)}, .want = WANT_ANY},
	{"where smallest", "ArgMin", 7, {ACT(4, 5)}, 1, {ATTR_INT("keepdims", 0)}, .want = WANT_ANY},
	{"which of equals", "ArgMax", 12, {{.rank = 2, .dim = {2, 2}, .values = {1, 1, -2, -2},
	  .n_values = 4}}, 1, {ATTR_INT("axis", -1)}, .want = WANT_ANY},
	{"which of equals, the last", "ArgMin", 12, {{.rank = 2, .dim = {2, 2}, .values = {1, 1, -2, -2},
	  .n_values = 4}}, 1, {ATTR_INT("axis", -1), ATTR_INT("select_last_index", 1)},
	 .want = WANT_ANY},
	{"not", "Not", 7, {OTHER(BOOL, 2, 6)}, 1, {{0}}, .want = WANT_ANY},
	{"depth to space", "DepthToSpace", 13, {ACT(2, 12, 3, 5)}, 1, {ATTR_INT("blocksize", 2)},
	 .act = FINF_ACT_RELU},
	{"depth to space in turn", "DepthToSpace", 11, {OTHER(I64, 1, 18, 2, 3)}, 1,
	 {ATTR_INT("blocksize", 3), ATTR_STR("mode", "CRD")}, .want = WANT_ANY},
	{"space to depth", "SpaceToDepth", 13, {ACT(2, 3, 4, 6)}, 1, {ATTR_INT("blocksize", 2)},
	 .act = FINF_ACT_LEAKY, .act_a = 2},
	{"space to depth of bytes", "SpaceToDepth", 7, {OTHER(U8, 1, 2, 6, 3)}, 1,
	 {ATTR_INT("blocksize", 3)}, .want = WANT_ANY},
	{"where", "Where", 16, {OTHER(BOOL, 6), ACT(3, 1), SCALAR(-0.5f)}, 3, {{0}},
	 .act = FINF_ACT_LEAKY, .act_a = 2},
	{"where int64", "Where", 9, {OTHER(BOOL, 6, 1), OTHER(I64, 5), OTHER(I64, 2, 1, 1)}, 3, {{0}},
	 .want = WANT_ANY},
	{"L1 norm", "ReduceL1", 13, {ACT(3, 70)}, 1, {ATTR_INTS("axes", 1)}, .act = FINF_ACT_RELU},
	{"L2 norm", "ReduceL2", 18, {ACT(3, 4, 5), INTS_IN(0, 2)}, 2, {ATTR_INT("keepdims", 0)},
	 .want = WANT_ANY},
	{"log of sum", "ReduceLogSum", 18, {{.rank = 2, .dim = {3, 7}, .fill = FILL_POSITIVE},
	  INTS_IN(-1)}, 2, {{0}}, .want = WANT_ANY},
	{"log of sum of exponentials", "ReduceLogSumExp", 13, {ACT(3, 1100)}, 1,
	 {ATTR_INTS("axes", 1)}, .want = WANT_ANY},
	{"log of exponentials, apart", "ReduceLogSumExp", 13,
	 {{.rank = 2, .dim = {2, 2}, .values = {200, 100, -300, -301}, .n_values = 4}}, 1,
	 {ATTR_INTS("axes", 1)}, .want = WANT_ANY},
	{"largest", "ReduceMax", 13, {ACT(3, 1100)}, 1, {ATTR_INTS("axes", 1)}, .act = FINF_ACT_CLIP,
	 .act_a = 0, .act_b = 1},
	{"smallest", "ReduceMin", 20, {ACT(5, 3, 2), INTS_IN(0)}, 2, {{0}}, .want = WANT_ANY},
	{"smallest of all", "ReduceMin", 13, {ACT(5, 30)}, 1, {ATTR_INT("keepdims", 0)},
	 .want = WANT_ANY},
	{"product", "ReduceProd", 13, {{.rank = 2, .dim = {3, 70}, .fill = FILL_POSITIVE}}, 1,
	 {ATTR_INTS("axes", 1)}, .want = WANT_ANY},
	{"sum", "ReduceSum", 13, {ACT(3, 4, 300), INTS_IN(-1, 0)}, 2, {{0}}, .want = WANT_ANY},
	{"sum, attribute", "ReduceSum", 11, {ACT(3, 4, 5)}, 1, {ATTR_INTS("axes", 1)}, .want = WANT_ANY},
	{"sum of nothing", "ReduceSum", 13, {ACT(3, 0, 2), INTS_IN(1)}, 2, {{0}}, .want = WANT_ANY},
	{"sum of no axes", "ReduceSum", 13, {ACT(3, 4)}, 1, {ATTR_INT("noop_with_empty_axes", 1)},
	 .want = WANT_ANY},
	{"sum of squares", "ReduceSumSquare", 18, {ACT(3, 70), INTS_IN(1)}, 2, {{0}}, .want = WANT_ANY},
	{"squares of no axes", "ReduceSumSquare", 18, {ACT(3, 4)}, 1,
	 {ATTR_INT("noop_with_empty_axes", 1)}, .want = WANT_ANY},
	{"log softmax long", "LogSoftmax", 13, {ACT(2, 1100)}, 1, {{0}}, .act = FINF_ACT_LEAKY,
	 .act_a = 0.5f},
	{"log softmax middle", "LogSoftmax", 13, {ACT(3, 5, 4)}, 1, {ATTR_INT("axis", 1)},
	 .want = WANT_ANY},
	{"log softmax apart", "LogSoftmax", 13, {{.rank = 1, .dim = {3}, .values = {0, 200, -200},
	  .n_values = 3}}, 1, {{0}}, .want = WANT_ANY},
	{"expand", "Expand", 13, {ACT(3, 1, 2), INTS_IN(2, 1, 4, 1)}, 2, {{0}}, .act = FINF_ACT_RELU},
	{"expand bool", "Expand", 8, {OTHER(BOOL, 1), INTS_IN(6)}, 2, {{0}}, .want = WANT_ANY},
	{"slice", "Slice", 13, {ACT(4, 5, 6), INTS_IN(1, -5), INTS_IN(3, 100), INTS_IN(0, -1),
	  INTS_IN(1, 2)}, 5, {{0}}, .act = FINF_ACT_LEAKY, .act_a = 2},
	{"slice backwards", "Slice", 13, {OTHER(I64, 4, 6), INTS_IN(-1, 4), INTS_IN(-100, 0),
	  INTS_IN(0, 1), INTS_IN(-1, -3)}, 5, {{0}}, .want = WANT_ANY},
	{"slice by attributes", "Slice", 9, {OTHER(U8, 4, 6)}, 1, {ATTR_INTS("starts", 1, 2),
	  ATTR_INTS("ends", 4, -1)}, .want = WANT_ANY},
	{"slice of nothing left", "Slice", 13, {ACT(4), INTS_IN(3), INTS_IN(1)}, 3, {{0}}, .want = WANT_ANY},
	{"tile", "Tile", 13, {ACT(2, 3), INTS_IN(3, 2)}, 2, {{0}}, .act = FINF_ACT_RELU},
	{"tile bytes", "Tile", 13, {OTHER(U8, 2, 1, 3), INTS_IN(1, 4, 2)}, 2, {{0}}, .want = WANT_ANY},
	{"split into one", "Split", 18, {ACT(2, 3)}, 1, {ATTR_INT("num_outputs", 1)}, .want = WANT_ANY},
	{"size", "Size", 13, {OTHER(BOOL, 3, 5)}, 1, {{0}}, .want = WANT_ANY},
	{"layer norm", "LayerNormalization", 17, {ACT(3, 5, 70), WEIGHT(70), WEIGHT(70)}, 3, {{0}},
	 .act = FINF_ACT_RELU},
	{"layer norm of two", "LayerNormalization", 17, {ACT(3, 5, 7), WEIGHT(5, 7)}, 2,
	 {ATTR_INT("axis", 1), ATTR_FLOAT("epsilon", 0.01f)}, .want = WANT_ANY},
	{"layer norm long", "LayerNormalization", 17, {ACT(2, 1100), WEIGHT(1100), WEIGHT(1100)}, 3,
	 {{0}}, .want = WANT_ANY},
	{"instance norm", "InstanceNormalization", 7, {ACT(2, 3, 4, 5), WEIGHT(3), WEIGHT(3)}, 3,
	 {ATTR_FLOAT("epsilon", 0.1f)}, .want = WANT_ANY},
	{"group norm by group", "GroupNormalization", 18, {ACT(2, 6, 4, 5), WEIGHT(3), WEIGHT(3)}, 3,
	 {ATTR_INT("num_groups", 3)}, .want = WANT_ANY},
	{"group norm by channel", "GroupNormalization", 21, {ACT(2, 6, 7), WEIGHT(6), WEIGHT(6)}, 3,
	 {ATTR_INT("num_groups", 2)}, .act = FINF_ACT_LEAKY, .act_a = 0.1f},
	{"avgpool uneven", "AveragePool", 11, {ACT(2, 3, 9, 7)}, 1,
	 {ATTR_INTS("kernel_shape", 4, 3), ATTR_INTS("pads", 1, 2, 3, 0), ATTR_INTS("strides", 3, 2),
	  ATTR_INT("count_include_pad", 1), ATTR_INT("ceil_mode", 1)}, .act = FINF_ACT_RELU},
};
/* clang-format on */

/* Rows that are there for the host device: no kernel, or windows over volumes. */
static bool is_refused(const struct node_case *row)
{
	bool window = strstr(row->op, "Conv") || !strcmp(row->op, "MaxPool") ||
		      !strcmp(row->op, "AveragePool");

	return !finf_k_find(row->op) || (window && row->in[0].rank > 4);
}

static void run_case(struct bench *bench, const struct node_case *row)
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

START_TEST(nodes_equal_the_reference)
{
	struct bench bench;
	size_t from = (size_t)_i * 16;

	bench_init(&bench);
	for (size_t i = from; i < from + 16; i++) {
		if (i < FINF_ARRAY_LEN(cases))
			run_case(&bench, &cases[i]);
		if (i < FINF_ARRAY_LEN(more))
			run_case(&bench, &more[i]);
	}
	bench_fini(&bench);
}
END_TEST

START_TEST(random_nodes_equal_the_reference)
{
	struct bench bench;
	struct drawn d;
	char what[40];

	bench_init(&bench);
	for (uint64_t round = 0; round < 20; round++) {
		draw_case(&d, (uint64_t)_i, round);
		snprintf(what, sizeof(what), "draw %d, round %d", _i, (int)round);
		d.row.what = what;
		run_case(&bench, &d.row);
	}
	bench_fini(&bench);
}
END_TEST

/* ---- functions, value by value ---------------------------------------------------------- */

#define VALUES 3200

/* Powers of two and numbers between them, small steps around 0, and what is no number. */
static uint32_t sweep(float *x)
{
	static const float edges[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1, -1};
	uint32_t n = 0;

	for (int e = -145; e < 128; e++)
		for (int i = 0; i < 6; i++)
			x[n++] = ldexpf((i & 1 ? -1.0f : 1.0f) * (1 + 0.3f * (float)(i / 2)), e);
	for (int i = -768; i <= 768; i++)
		x[n++] = (float)i / 64;
	memcpy(x + n, edges, sizeof(edges));
	return n + (uint32_t)FINF_ARRAY_LEN(edges);
}

/* Below the normal numbers a 0 may come out. */
static void check_value(const char *what, float x, float y, float want, double slack)
{
	double off = fabs((double)y - (double)want);

	if (isnan(want) || isinf(want))
		ck_assert_msg(isnan(want) ? isnan(y) : y == want, "%s of %g: %g, not %g", what,
			      (double)x, (double)y, (double)want);
	else
		ck_assert_msg(off <= 1e-6 * fabs((double)want) + slack + 1.2e-38,
			      "%s of %g: %.9g, not %.9g", what, (double)x, (double)y, (double)want);
}

/* One kernel over the site's inputs as they are now; the reference's answer is made anew. */
static void run_values(struct bench *bench, struct site *site, float *y)
{
	struct finf_form_table table;
	struct finf_diag diag;
	struct finf_kernel *kernel;
	struct finf_launch launch = {.in = (const void *[]){site->in[0].data, site->in[1].data},
				     .out = (void *[]){y}};

	free(site->out.data);
	evaluate(site);
	ck_assert_int_eq(site_forms(site, &bench->base, 1, NULL, &table), 0);
	ck_assert_int_eq(
		finf_cuda_kernel_new(site->graph, 0, &table.nodes[0].forms[0], &kernel, &diag), 0);
	ck_assert_int_eq(finf_device_kernel_run(&bench->base, kernel, &launch), 0);
	finf_cuda_kernel_free(kernel);
	finf_form_table_fini(&table);
}

/* slack: where a sum of terms near 1 comes close to 0, so that its own size is no measure. */
static const struct {
	const char *op;
	uint32_t opset;
	const char *approximate;
	double slack;
} functions[] = {
	{"Abs", 13, NULL, 0},	       {"Ceil", 13, NULL, 0},	    {"Elu", 7, NULL, 0},
	{"Erf", 13, NULL, 0},	       {"Exp", 13, NULL, 0},	    {"Floor", 13, NULL, 0},
	{"Gelu", 20, "none", 1e-6},    {"Gelu", 20, "tanh", 1e-6},  {"HardSigmoid", 7, NULL, 1e-7},
	{"HardSwish", 14, NULL, 1e-6}, {"Log", 13, NULL, 0},	    {"Mish", 18, NULL, 0},
	{"Neg", 13, NULL, 0},	       {"Reciprocal", 13, NULL, 0}, {"Sigmoid", 13, NULL, 0},
	{"Softplus", 7, NULL, 0},      {"Softsign", 7, NULL, 0},    {"Sqrt", 13, NULL, 0},
	{"Tanh", 13, NULL, 0},	       {"Sin", 7, NULL, 0},	    {"Cos", 7, NULL, 0},
};

START_TEST(functions_are_close)
{
	struct node_case row = {
		functions[_i].op, functions[_i].op, functions[_i].opset, {ACT(VALUES)}, 1,
		.want = WANT_ANY};
	const char *approximate = functions[_i].approximate;
	float x[VALUES], y[VALUES];
	struct bench bench;
	struct site site;

	row.in[0].dim[0] = sweep(x);
	if (approximate)
		row.attrs[0] = (struct finf_attr){.name = "approximate",
						  .type = FINF_ATTR_STRING,
						  .n = (uint32_t)strlen(approximate),
						  .s = approximate};
	bench_init(&bench);
	site_init(&site, &row, 0);
	memcpy(site.in[0].data, x, site.in[0].bytes);
	run_values(&bench, &site, y);
	for (int64_t i = 0; i < row.in[0].dim[0]; i++)
		check_value(row.op, x[i], y[i], ((float *)site.out.data)[i], functions[_i].slack);
	site_fini(&site);
	bench_fini(&bench);
}
END_TEST

/* Every base with every exponent. */
START_TEST(powers_are_close)
{
	static const float numbers[] = {
		0,     -0.0f,  1,     -1,     2,	-2,	   3,	    -3,	     0.5f,
		-0.5f, 0.1f,   7.25f, 1e-3f,  30,	-31,	   1.0001f, 0.9999f, 1e-40f,
		3e38f, -3e38f, 1e10f, -1e20f, INFINITY, -INFINITY, NAN,
	};
	enum { N = FINF_ARRAY_LEN(numbers) };
	struct node_case row = {"pow", "Pow", 15, {ACT(N, 1), ACT(N)}, 2, .want = WANT_ANY};
	float y[N * N];
	struct bench bench;
	struct site site;

	bench_init(&bench);
	site_init(&site, &row, 0);
	memcpy(site.in[0].data, numbers, sizeof(numbers));
	memcpy(site.in[1].data, numbers, sizeof(numbers));
	run_values(&bench, &site, y);
	for (size_t i = 0; i < N * N; i++)
		check_value("pow", numbers[i / N], y[i], ((float *)site.out.data)[i], 0);
	site_fini(&site);
	bench_fini(&bench);
}
END_TEST

static bool has_row(const char *op)
{
	for (size_t i = 0; i < FINF_ARRAY_LEN(more); i++)
		if (!strcmp(more[i].op, op))
			return true;
	for (size_t i = 0; i < FINF_ARRAY_LEN(cases); i++)
		if (!strcmp(cases[i].op, op))
			return true;
	for (size_t i = 0; i < FINF_ARRAY_LEN(functions); i++)
		if (!strcmp(functions[i].op, op))
			return true;
	return false;
}

START_TEST(every_operator_with_kernels_has_a_row)
{
	uint32_t with = 0;

	for (uint32_t i = 0; finf_op_at(i); i++) {
		if (!finf_k_find(finf_op_at(i)->name))
			continue;
		with++;
		ck_assert_msg(has_row(finf_op_at(i)->name), "%s has none", finf_op_at(i)->name);
	}
	ck_assert_uint_ge(with, 84);
}
END_TEST

/* ---- refusals ------------------------------------------------------------------------- */

/* clang-format off */
static const struct {
	struct node_case row;
	const char *says;
} refused[] = {
	{{"integer division", "Div", 13, {OTHER(I64, 6), {.rank = 1, .dim = {1}, .ints = true,
	  .ivalues = {2}}}, 2, {{0}}, .want = WANT_ANY}, "divides no integers"},
	{{"addition of doubles", "Add", 13, {OTHER(F64, 6), OTHER(F64, 6)}, 2, {{0}},
	  .want = WANT_ANY}, "no kernel for float64"},
	{{"mean of doubles", "ReduceMean", 13, {OTHER(F64, 6)}, 1, {{0}}, .want = WANT_ANY},
	 "no kernel for float64"},
	{{"bounded bytes", "Clip", 13, {OTHER(U8, 6)}, 1, {{0}}, .want = WANT_ANY},
	 "no kernel for uint8"},
	{{"largest bytes", "MaxPool", 12, {OTHER(I8, 1, 1, 3, 3)}, 1,
	  {ATTR_INTS("kernel_shape", 2, 2)}, .want = WANT_ANY}, "no kernel for int8"},
	{{"a volume", "Conv", 11, {ACT(1, 2, 3, 3, 3), WEIGHT(2, 2, 1, 1, 1)}, 2, {{0}},
	  .want = WANT_ANY}, "3 spatial dimensions"},
	{{"integers apart", "Max", 13, {OTHER(I64, 6), OTHER(I64, 6)}, 2, {{0}}, .want = WANT_ANY},
	 "no kernel for int64"},
	{{"folded into a cast", "Cast", 13, {OTHER(I64, 6)}, 1, {ATTR_INT("to", FINF_F32)},
	  .act = FINF_ACT_RELU}, "folds no activation"},
	{{"nothing but a value", "Constant", 13, {LEFT_OUT}, 0, {ATTR_FLOAT("value_float", 1)},
	  .want = WANT_ANY}, "no kernel"},
};
/* clang-format on */

START_TEST(what_cannot_run_is_refused_by_name)
{
	const struct node_case *row = &refused[_i].row;
	struct finf_arena arena;
	struct finf_form_list list = {NULL, 0};
	struct finf_diag diag = {""};
	struct site site;

	site_init(&site, row, 0);
	finf_arena_init(&arena);
	ck_assert_int_eq(finf_cuda_describe(NULL, site.graph, 0, 1, NULL, 0, &arena, &list, &diag),
			 -EOPNOTSUPP);
	ck_assert_ptr_null(list.forms);
	ck_assert_ptr_nonnull(strstr(diag.text, row->what));
	ck_assert_ptr_nonnull(strstr(diag.text, row->op));
	ck_assert_ptr_nonnull(strstr(diag.text, refused[_i].says));
	finf_arena_fini(&arena);
	site_fini(&site);
}
END_TEST

static const struct node_case conv = {
	"conv", "Conv",		  11, {ACT(1, 3, 5, 5), WEIGHT(20, 3, 3, 3), WEIGHT(20)}, 3,
	{{0}},	.want = WANT_ANY,
};

START_TEST(weights_in_other_layouts_are_refused)
{
	const struct finf_weight_form blocked = {
		.input = 1, .bytes = 20 * 27 * 4, .desc_bytes = 4, .desc = "xyz"};
	const struct finf_weight_form plain = {.input = 1, .bytes = 20 * 27 * 4};
	struct finf_form_list list = {NULL, 0};
	struct finf_diag diag = {""};
	struct finf_arena arena;
	struct site site;

	site_init(&site, &conv, 0);
	finf_arena_init(&arena);
	ck_assert_int_eq(
		finf_cuda_describe(NULL, site.graph, 0, 1, &blocked, 1, &arena, &list, &diag),
		-EOPNOTSUPP);
	ck_assert_ptr_null(list.forms);
	ck_assert_int_eq(
		finf_cuda_describe(NULL, site.graph, 0, 1, &plain, 1, &arena, &list, &diag), 0);
	ck_assert_uint_eq(list.forms[0].n_weights, 2);
	finf_arena_fini(&arena);
	site_fini(&site);
}
END_TEST

/* Forms come from files. */
START_TEST(foreign_forms_are_refused)
{
	struct finf_weight_form weights[3];
	struct finf_form_list list;
	struct finf_kernel *kernel = NULL;
	struct finf_diag diag = {""};
	struct finf_arena arena;
	struct finf_form bad[5];
	struct site site;

	site_init(&site, &conv, 0);
	finf_arena_init(&arena);
	ck_assert_int_eq(finf_cuda_describe(NULL, site.graph, 0, 1, NULL, 0, &arena, &list, &diag),
			 0);
	for (int i = 0; i < 5; i++)
		bad[i] = list.forms[0];
	bad[0].algo = 7;
	bad[1].in_layout = 1;
	bad[2].workspace_bytes += 4;
	bad[3].n_weights = 1;
	memcpy(weights, list.forms[0].weights, 2 * sizeof(weights[0]));
	weights[1].bytes--;
	bad[4].weights = weights;
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(finf_cuda_kernel_new(site.graph, 0, &bad[i], &kernel, &diag),
				 -EINVAL);
		ck_assert_ptr_null(kernel);
	}
	ck_assert_int_eq(finf_cuda_reorder_new(FINF_F32, &site.out.shape, 0, 1, &kernel, &diag),
			 -EOPNOTSUPP);
	finf_arena_fini(&arena);
	site_fini(&site);
}
END_TEST

/* ---- run time --------------------------------------------------------------------------- */

/* Parts of which one is empty and one is behind it. */
START_TEST(split_fills_all_outputs)
{
	static const float x[2][5] = {{1, 2, 3, 4, 5}, {6, 7, 8, 9, 10}};
	static const int64_t sizes[] = {1, 0, 3, 1};
	float a[2][1], c[2][3], d[2][1];
	struct finf_attr attrs[] = {
		ATTR_INT("axis", 1),
		{.name = "split", .type = FINF_ATTR_INTS, .n = 4, .ints = sizes}};
	struct finf_shape shape = {2, {2, 5}};
	struct finf_launch launch = {.in = (const void *[]){x}, .out = (void *[]){a, NULL, c, d}};
	struct finf_form_table table;
	struct finf_diag diag = {""};
	struct finf_kernel *kernel;
	struct finf_graph *graph;
	uint32_t in, out[4], node;
	struct bench bench;

	bench_init(&bench);
	ck_assert_int_eq(finf_graph_new("split", &graph), 0);
	ck_assert_int_eq(finf_graph_value(graph, "x", FINF_F32, &shape, &in), 0);
	ck_assert_int_eq(finf_graph_input(graph, in), 0);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(finf_graph_value(graph, (const char *[]){"a", "b", "c", "d"}[i],
						  FINF_DTYPE_NONE, NULL, &out[i]),
				 0);
		ck_assert_int_eq(finf_graph_output(graph, out[i]), 0);
	}
	ck_assert_int_eq(finf_graph_node(graph, finf_op_find("Split"), 11, "split", &in, 1, out, 4,
					 attrs, 2, &node),
			 0);
	ck_assert_int_eq(finf_graph_infer(graph, &diag), 0);
	ck_assert_int_eq(finf_device_forms(&bench.base, graph, 1, NULL, &table, &diag), 0);
	ck_assert_int_eq(finf_cuda_kernel_new(graph, 0, &table.nodes[0].forms[0], &kernel, &diag),
			 0);
	ck_assert_int_eq(finf_device_kernel_run(&bench.base, kernel, &launch), 0);
	for (int r = 0; r < 2; r++) {
		ck_assert(a[r][0] == x[r][0] && d[r][0] == x[r][4]);
		ck_assert_mem_eq(c[r], &x[r][1], sizeof(c[r]));
	}
	finf_cuda_kernel_free(kernel);
	finf_form_table_fini(&table);
	finf_graph_free(graph);
	bench_fini(&bench);
}
END_TEST

/* An index from a request cannot stop the device: its slice is NaN, the others are right. */
START_TEST(an_index_outside_yields_nan)
{
	static const struct node_case row = {
		"gather", "Gather",	    13, {ACT(5, 3), INDEX_IN(I64, 0, 1, 2, 3, 4, -5)}, 2,
		{{0}},	  .want = WANT_ANY,
	};
	int64_t index[6] = {4, 5, -6, 0, INT64_MIN, -5};
	struct finf_form_table table;
	struct finf_kernel *kernel;
	struct finf_diag diag;
	struct bench bench;
	struct site site;
	float y[6][3], *x;

	bench_init(&bench);
	site_init(&site, &row, 0);
	x = site.in[0].data;
	ck_assert_int_eq(site_forms(&site, &bench.base, 1, NULL, &table), 0);
	ck_assert_int_eq(
		finf_cuda_kernel_new(site.graph, 0, &table.nodes[0].forms[0], &kernel, &diag), 0);
	ck_assert_int_eq(finf_device_kernel_run(&bench.base, kernel,
						&(struct finf_launch){
							.in = (const void *[]){x, index},
							.out = (void *[]){y},
						}),
			 0);
	for (int i = 0; i < 6; i++) {
		int64_t at = index[i] < 0 && index[i] >= -5 ? index[i] + 5 : index[i];

		for (int k = 0; k < 3; k++)
			if (at >= 0 && at < 5)
				ck_assert(y[i][k] == x[at * 3 + k]);
			else
				ck_assert(y[i][k] != y[i][k]);
	}
	finf_cuda_kernel_free(kernel);
	finf_form_table_fini(&table);
	site_fini(&site);
	bench_fini(&bench);
}
END_TEST

/* Integers that may differ from shape to shape are no weights, as far as they are few. */
START_TEST(integers_are_kept)
{
	static const struct {
		int64_t n;
		uint32_t weights, calls;
	} rows[] = {{1, 0, 2}, {64, 0, 2}, {65, 0, 3}, {512, 0, 9}, {513, 1, 1}};
	struct node_case row = {"gather", "Gather",	   13, {ACT(7, 3), KEPT(I64, 1)}, 2,
				{{0}},	  .want = WANT_ANY};
	struct finf_diag diag = {""};
	struct finf_form_list list;
	struct finf_arena arena;
	struct site site;

	for (size_t i = 0; i < FINF_ARRAY_LEN(rows); i++) {
		struct finf_k_build b = {.diag = &diag};

		row.in[1].dim[0] = rows[i].n;
		site_init(&site, &row, 0);
		finf_arena_init(&arena);
		ck_assert_int_eq(
			finf_cuda_describe(NULL, site.graph, 0, 1, NULL, 0, &arena, &list, &diag),
			0);
		ck_assert_uint_eq(list.forms[0].n_weights, rows[i].weights);
		ck_assert_uint_eq(list.forms[0].workspace_bytes,
				  rows[i].weights ? 0 : 8 * (uint64_t)rows[i].n);
		ck_assert_str_eq(list.forms[0].name, "finf_gather");
		b.graph = site.graph;
		b.node = &site.graph->nodes[0];
		ck_assert_int_eq(finf_k_build_node(&b), 0);
		ck_assert_uint_eq(b.n_calls, rows[i].calls);
		finf_k_build_fini(&b);
		finf_arena_fini(&arena);
		site_fini(&site);
	}
}
END_TEST

/* After a reset the module is a new one; the kernel is not. */
START_TEST(a_kernel_outlives_its_module)
{
	float x[5] = {-2, -1, 0, 1, 2}, y[5];
	struct finf_shape shape = {1, {5}};
	struct finf_kernel *kernel;
	struct finf_launch launch = {.in = (const void *[]){x}, .out = (void *[]){y}};
	struct finf_diag diag = {""};
	struct bench bench;

	bench_init(&bench);
	ck_assert_int_eq(finf_cuda_reorder_new(FINF_F32, &shape, 0, 0, &kernel, &diag), 0);
	for (int round = 0; round < 3; round++) {
		memset(y, 0xff, sizeof(y));
		ck_assert_int_eq(finf_device_kernel_run(&bench.base, kernel, &launch), 0);
		ck_assert_mem_eq(x, y, sizeof(x));
		finf_cuda_kernels_unload(bench.driver.api, bench.kernels, false);
		ck_assert_int_eq(finf_cuda_kernels_load(bench.driver.api, 75, &bench.kernels, &diag),
				 0);
	}
	finf_cuda_kernel_free(kernel);
	bench_fini(&bench);
}
END_TEST

START_TEST(failures_are_told)
{
	float x[5] = {0}, y[5] = {0};
	struct finf_shape shape = {1, {5}};
	struct finf_launch launch = {.in = (const void *[]){x}, .out = (void *[]){y}};
	struct finf_cuda_kernels *kernels = NULL;
	struct finf_kernel *kernel;
	struct finf_diag diag = {""};
	struct bench bench;

	bench_init(&bench);
	bench.driver.inject("cuModuleLoadDataEx", 1, FINF_CU_ERROR_INVALID_IMAGE);
	ck_assert_int_eq(finf_cuda_kernels_load(bench.driver.api, 75, &kernels, &diag), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(diag.text, "compiling the kernels"));
	bench.driver.inject("cuModuleGetFunction", 2, FINF_CU_ERROR_NOT_FOUND);
	ck_assert_int_ne(finf_cuda_kernels_load(bench.driver.api, 75, &kernels, &diag), 0);
	ck_assert_ptr_nonnull(strstr(diag.text, finf_cuda_kernel_name(1)));
	ck_assert_ptr_null(kernels);
	ck_assert_int_eq(finf_cuda_reorder_new(FINF_F32, &shape, 0, 0, &kernel, &diag), 0);
	bench.driver.inject("cuLaunchKernel", 1, FINF_CU_ERROR_OUT_OF_MEMORY);
	ck_assert_int_eq(finf_device_kernel_run(&bench.base, kernel, &launch), -ENOBUFS);
	ck_assert_int_eq(finf_device_kernel_run(&bench.base, kernel, &launch), 0);
	finf_cuda_kernel_free(kernel);
	bench_fini(&bench);
}
END_TEST

/* The fake knows no compiled code, as an old driver does not know a newer toolkit's. */
START_TEST(what_is_not_taken_is_compiled)
{
	struct finf_cuda_kernels *kernels = NULL;
	struct finf_diag diag = {""};
	struct bench bench;

	bench_init(&bench);
	ck_assert_str_eq(finf_cuda_kernels_kind(bench.kernels), "ptx");
	ck_assert_msg(!finf_cuda_kernels_load(bench.driver.api, 90, &kernels, &diag), "%s",
		      diag.text);
	ck_assert_str_eq(finf_cuda_kernels_kind(kernels), "ptx");
	finf_cuda_kernels_unload(bench.driver.api, kernels, false);
	bench_fini(&bench);
}
END_TEST

/* ---- the image ---------------------------------------------------------------------------- */

START_TEST(image_is_for_old_drivers_and_cards)
{
	const char *ptx = finf_cuda_kernels_image();
	uint32_t n = 0, entries = 0;
	char entry[96];

	ck_assert_ptr_nonnull(strstr(ptx, "\n.version 7.2\n"));
	ck_assert_ptr_nonnull(strstr(ptx, "\n.target sm_75\n"));
	ck_assert_ptr_nonnull(strstr(ptx, "\n.address_size 64\n"));
	for (; finf_cuda_kernel_name(n); n++) {
		snprintf(entry, sizeof(entry), "\n.visible .entry %s(\n", finf_cuda_kernel_name(n));
		ck_assert_msg(strstr(ptx, entry), "no entry %s", finf_cuda_kernel_name(n));
	}
	for (const char *at = ptx; (at = strstr(at, ".entry ")); at++)
		entries++;
	ck_assert_uint_eq(entries, n);
	ck_assert_ptr_null(strstr(ptx, ".extern")); /* nothing that a toolkit would have to add */
}
END_TEST

static const char *ptxas(void)
{
	static const char *const places[] = {"/usr/local/cuda/bin/ptxas", "/usr/bin/ptxas"};

	for (size_t i = 0; i < FINF_ARRAY_LEN(places); i++)
		if (!access(places[i], X_OK))
			return places[i];
	skip_test("ptxas", "no CUDA toolkit is installed");
	return NULL;
}

START_TEST(assembler_accepts_the_image)
{
	static const char *const targets[] = {"sm_75", "sm_80", "sm_90"};
	const char *program = ptxas();
	char command[256];
	FILE *pipe;

	if (!program)
		return;
	snprintf(command, sizeof(command), "%s -w -arch=%s -o /dev/null /dev/stdin 2>&1", program,
		 targets[_i]);
	pipe = popen(command, "w");
	ck_assert_ptr_nonnull(pipe);
	fputs(finf_cuda_kernels_image(), pipe);
	ck_assert_int_eq(pclose(pipe), 0);
}
END_TEST

/* The fake takes names and sizes of parameters from the text. */
START_TEST(the_fake_reads_ptx)
{
	static const char *const images[] = {
		".version 7.2\n.target sm_75\n.visible .entry finf_fill(\n\t.param .align 8 .b8 "
		"p[528]\n)\n{ret;}\n",
		".version 7.2\n.target sm_75\n.visible .entry finf_fill(\n\t.param .align 8 .b8 "
		"p[520]\n)\n{ret;}\n",
		".version 7.2\n.target sm_75\n.visible .entry other(\n\t.param .align 8 .b8 "
		"p[528]\n)\n{ret;}\n",
	};
	struct fakedriver f = fakedriver_start();

	for (size_t i = 0; i < FINF_ARRAY_LEN(images); i++) {
		struct finf_cu_module *module;
		struct finf_cu_function *function;

		CU(f.api->cuModuleLoadDataEx(&module, images[i], 0, NULL, NULL));
		if (i)
			FAILS(NOT_FOUND,
			      f.api->cuModuleGetFunction(&function, module, "finf_fill"));
		else
			CU(f.api->cuModuleGetFunction(&function, module, "finf_fill"));
		CU(f.api->cuModuleUnload(module));
	}
	fakedriver_stop(&f);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("device/cuda/kernels");
	TCase *tc = tcase_create("kernels");
	size_t rows = FINF_MAX(FINF_ARRAY_LEN(cases), FINF_ARRAY_LEN(more));

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, nodes_equal_the_reference, 0, (int)(rows + 15) / 16);
	tcase_add_loop_test(tc, random_nodes_equal_the_reference, 0, 2 * FINF_ARRAY_LEN(draws));
	tcase_add_loop_test(tc, functions_are_close, 0, FINF_ARRAY_LEN(functions));
	tcase_add_test(tc, powers_are_close);
	tcase_add_test(tc, every_operator_with_kernels_has_a_row);
	tcase_add_loop_test(tc, what_cannot_run_is_refused_by_name, 0, FINF_ARRAY_LEN(refused));
	tcase_add_test(tc, weights_in_other_layouts_are_refused);
	tcase_add_test(tc, foreign_forms_are_refused);
	tcase_add_test(tc, split_fills_all_outputs);
	tcase_add_test(tc, an_index_outside_yields_nan);
	tcase_add_test(tc, integers_are_kept);
	tcase_add_test(tc, a_kernel_outlives_its_module);
	tcase_add_test(tc, failures_are_told);
	tcase_add_test(tc, what_is_not_taken_is_compiled);
	tcase_add_test(tc, image_is_for_old_drivers_and_cards);
	tcase_add_loop_test(tc, assembler_accepts_the_image, 0, 3);
	tcase_add_test(tc, the_fake_reads_ptx);
	suite_add_tcase(suite, tc);
	return suite;
}
