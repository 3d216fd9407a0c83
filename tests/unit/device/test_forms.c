/* SPDX-License-Identifier: MIT */
/* Every form that "host" offers for every operator gives what the reference gives. */
#include "tests/unit/device/site.h"

/* One case in as few lines as it takes. */
/* clang-format off */
static const struct node_case cases[] = {
	/* Conv: shapes, groups, padding, dilation, bias, activations. */
	{"conv first layer", "Conv", 11, {ACT(1, 3, 16, 16), WEIGHT(32, 3, 7, 7), WEIGHT(32)}, 3,
	 {ATTR_INTS("strides", 2, 2), ATTR_INTS("pads", 3, 3, 3, 3)}, .want = WANT_MIXED},
	{"conv 3x3", "Conv", 11, {ACT(1, 32, 10, 10), WEIGHT(48, 32, 3, 3), WEIGHT(48)}, 3,
	 {ATTR_INTS("pads", 1, 1, 1, 1)}, .act = FINF_ACT_RELU, .want = WANT_BLOCKED},
	{"conv 3x3 no bias", "Conv", 11, {ACT(2, 16, 7, 9), WEIGHT(16, 16, 3, 3)}, 2,
	 {ATTR_INTS("pads", 1, 1, 1, 1)}, .want = WANT_BLOCKED},
	{"conv 1x1", "Conv", 11, {ACT(1, 64, 5, 5), WEIGHT(32, 64, 1, 1), WEIGHT(32)}, 3, {{0}},
	 .act = FINF_ACT_CLIP, .act_a = 0, .act_b = 0.5f, .want = WANT_BLOCKED},
	{"conv 1x1 stride 2", "Conv", 11, {ACT(1, 32, 8, 8), WEIGHT(64, 32, 1, 1)}, 2,
	 {ATTR_INTS("strides", 2, 2)}, .act = FINF_ACT_LEAKY, .act_a = 0.1f, .want = WANT_BLOCKED},
	{"conv odd channels", "Conv", 11, {ACT(1, 19, 6, 6), WEIGHT(21, 19, 3, 3), WEIGHT(21)}, 3,
	 {ATTR_INTS("pads", 1, 1, 1, 1)}, .act = FINF_ACT_SIGMOID, .want = WANT_PLAIN},
	{"conv uneven padding", "Conv", 11, {ACT(1, 16, 9, 8), WEIGHT(16, 16, 3, 2)}, 2,
	 {ATTR_INTS("pads", 0, 1, 2, 0), ATTR_INTS("strides", 2, 1)}, .want = WANT_BLOCKED},
	{"conv same upper", "Conv", 11, {ACT(1, 16, 7, 7), WEIGHT(16, 16, 3, 3)}, 2,
	 {ATTR_STR("auto_pad", "SAME_UPPER"), ATTR_INTS("strides", 2, 2)}, .want = WANT_BLOCKED},
	{"conv same lower", "Conv", 11, {ACT(1, 16, 7, 7), WEIGHT(16, 16, 2, 2)}, 2,
	 {ATTR_STR("auto_pad", "SAME_LOWER")}, .want = WANT_BLOCKED},
	{"conv dilation", "Conv", 11, {ACT(1, 16, 12, 12), WEIGHT(32, 16, 3, 3), WEIGHT(32)}, 3,
	 {ATTR_INTS("dilations", 2, 3), ATTR_INTS("pads", 2, 3, 2, 3)}, .want = WANT_BLOCKED},
	{"conv depthwise", "Conv", 11, {ACT(1, 32, 9, 9), WEIGHT(32, 1, 3, 3), WEIGHT(32)}, 3,
	 {ATTR_INT("group", 32), ATTR_INTS("pads", 1, 1, 1, 1)}, .act = FINF_ACT_CLIP, .act_a = 0,
	 .act_b = 6, .want = WANT_BLOCKED},
	{"conv depthwise odd", "Conv", 11, {ACT(1, 20, 9, 9), WEIGHT(20, 1, 3, 3)}, 2,
	 {ATTR_INT("group", 20), ATTR_INTS("strides", 2, 2)}, .want = WANT_ANY},
	{"conv groups", "Conv", 11, {ACT(1, 64, 6, 6), WEIGHT(64, 32, 3, 3)}, 2,
	 {ATTR_INT("group", 2), ATTR_INTS("pads", 1, 1, 1, 1)}, .want = WANT_BLOCKED},
	{"conv small groups", "Conv", 11, {ACT(1, 12, 6, 6), WEIGHT(8, 3, 3, 3), WEIGHT(8)}, 3,
	 {ATTR_INT("group", 4)}, .act = FINF_ACT_RELU},
	{"conv weights computed", "Conv", 11, {ACT(1, 16, 6, 6), ACT(16, 16, 3, 3)}, 2, {{0}},
	 .want = WANT_ANY},

	{"conv 1-D", "Conv", 11, {ACT(1, 16, 20), WEIGHT(32, 16, 3), WEIGHT(32)}, 3,
	 {ATTR_INTS("pads", 1, 1), ATTR_INTS("strides", 2)}, .act = FINF_ACT_RELU,
	 .want = WANT_PLAIN},
	{"conv 1-D groups", "Conv", 11, {ACT(2, 8, 20), WEIGHT(8, 4, 3)}, 2,
	 {ATTR_INT("group", 2), ATTR_INTS("dilations", 2)}, .want = WANT_PLAIN},
	{"conv 3-D", "Conv", 11, {ACT(1, 8, 5, 6, 7), WEIGHT(16, 8, 2, 3, 3), WEIGHT(16)}, 3,
	 {ATTR_INTS("pads", 0, 1, 1, 1, 1, 1)}, .want = WANT_PLAIN},
	{"conv 3-D groups", "Conv", 11, {ACT(1, 8, 5, 6, 7), WEIGHT(8, 4, 2, 3, 3)}, 2,
	 {ATTR_INT("group", 2), ATTR_INTS("dilations", 2, 1, 2)}, .want = WANT_ANY},

	/* Gemm: transpositions, scales, all shapes of C. */
	{"gemm linear layer", "Gemm", 11, {ACT(1, 70), WEIGHT(50, 70), WEIGHT(50)}, 3,
	 {ATTR_INT("transB", 1)}, .act = FINF_ACT_RELU, .want = WANT_PLAIN},
	{"gemm linear layer batch", "Gemm", 11, {ACT(9, 70), WEIGHT(50, 70), WEIGHT(50)}, 3,
	 {ATTR_INT("transB", 1)}, .want = WANT_PLAIN},
	{"gemm plain", "Gemm", 11, {ACT(3, 20), WEIGHT(20, 10)}, 2, {{0}}, .want = WANT_PLAIN},
	{"gemm transA", "Gemm", 11, {ACT(20, 3), WEIGHT(20, 10), WEIGHT(1, 10)}, 3,
	 {ATTR_INT("transA", 1)}, .want = WANT_PLAIN},
	{"gemm both transposed", "Gemm", 11, {ACT(20, 3), WEIGHT(10, 20)}, 2,
	 {ATTR_INT("transA", 1), ATTR_INT("transB", 1)}, .want = WANT_PLAIN},
	{"gemm alpha beta", "Gemm", 11, {ACT(3, 20), WEIGHT(20, 10), WEIGHT(10)}, 3,
	 {ATTR_FLOAT("alpha", 0.5f), ATTR_FLOAT("beta", -2.0f)}, .act = FINF_ACT_RELU,
	 .want = WANT_REF_ONLY},
	{"gemm alpha", "Gemm", 11, {ACT(3, 20), WEIGHT(20, 10), WEIGHT(10)}, 3,
	 {ATTR_FLOAT("alpha", 0.5f)}, .want = WANT_PLAIN},
	{"gemm beta", "Gemm", 11, {ACT(3, 20), WEIGHT(20, 10), WEIGHT(3, 10)}, 3,
	 {ATTR_FLOAT("beta", 0.5f)}, .want = WANT_REF_ONLY},
	{"gemm alpha is beta", "Gemm", 11, {ACT(3, 20), WEIGHT(20, 10), WEIGHT(10)}, 3,
	 {ATTR_FLOAT("alpha", 3.0f), ATTR_FLOAT("beta", 3.0f)}, .want = WANT_PLAIN},
	{"gemm beta 0", "Gemm", 11, {ACT(3, 20), WEIGHT(20, 10), WEIGHT(10)}, 3,
	 {ATTR_FLOAT("alpha", 0.5f), ATTR_FLOAT("beta", 0.0f)}, .want = WANT_PLAIN},
	{"gemm alpha 0", "Gemm", 11, {ACT(3, 20), WEIGHT(20, 10), WEIGHT(10)}, 3,
	 {ATTR_FLOAT("alpha", 0.0f)}, .want = WANT_ANY},
	{"gemm C whole", "Gemm", 11, {ACT(3, 20), WEIGHT(20, 10), WEIGHT(3, 10)}, 3, {{0}},
	 .want = WANT_PLAIN},
	{"gemm C column", "Gemm", 11, {ACT(3, 20), WEIGHT(20, 10), WEIGHT(3, 1)}, 3, {{0}},
	 .want = WANT_ANY},
	{"gemm C scalar", "Gemm", 11, {ACT(3, 20), WEIGHT(20, 10), SCALAR(0.75f)}, 3, {{0}},
	 .want = WANT_ANY},
	{"gemm all computed", "Gemm", 11, {ACT(3, 20), ACT(20, 10), ACT(10)}, 3, {{0}},
	 .want = WANT_PLAIN},

	/* MatMul: stacks, vectors, broadcasting. */
	{"matmul", "MatMul", 13, {ACT(5, 20), WEIGHT(20, 10)}, 2, {{0}}, .want = WANT_PLAIN},
	{"matmul stack", "MatMul", 13, {ACT(2, 3, 5, 20), WEIGHT(20, 10)}, 2, {{0}},
	 .act = FINF_ACT_RELU, .want = WANT_PLAIN},
	{"matmul two stacks", "MatMul", 13, {ACT(2, 3, 5, 20), ACT(2, 3, 20, 4)}, 2, {{0}},
	 .want = WANT_PLAIN},
	{"matmul broadcast", "MatMul", 13, {ACT(2, 1, 5, 20), ACT(3, 20, 4)}, 2, {{0}},
	 .want = WANT_ANY},
	{"matmul row", "MatMul", 13, {ACT(20), WEIGHT(20, 10)}, 2, {{0}}, .want = WANT_PLAIN},
	{"matmul column", "MatMul", 13, {ACT(5, 20), WEIGHT(20)}, 2, {{0}}, .want = WANT_ANY},
	{"matmul dot", "MatMul", 13, {ACT(20), ACT(20)}, 2, {{0}}, .want = WANT_ANY},
	{"matmul row stack", "MatMul", 13, {ACT(20), ACT(3, 20, 4)}, 2, {{0}}, .want = WANT_ANY},

	/* Pools. */
	{"maxpool", "MaxPool", 12, {ACT(1, 32, 9, 9)}, 1,
	 {ATTR_INTS("kernel_shape", 3, 3), ATTR_INTS("strides", 2, 2),
	  ATTR_INTS("pads", 1, 1, 1, 1)},
	 .want = WANT_PLAIN | WANT_BLOCKED},
	{"maxpool ceil", "MaxPool", 12, {ACT(1, 16, 8, 8)}, 1,
	 {ATTR_INTS("kernel_shape", 3, 3), ATTR_INTS("strides", 2, 2), ATTR_INT("ceil_mode", 1)},
	 .want = WANT_PLAIN | WANT_BLOCKED},
	{"maxpool odd channels", "MaxPool", 12, {ACT(2, 5, 8, 8)}, 1,
	 {ATTR_INTS("kernel_shape", 2, 2), ATTR_INTS("strides", 2, 2)}, .want = WANT_ANY},
	{"maxpool dilation", "MaxPool", 12, {ACT(1, 16, 8, 8)}, 1,
	 {ATTR_INTS("kernel_shape", 2, 2), ATTR_INTS("dilations", 2, 2)}, .want = WANT_ANY},
	{"maxpool all negative", "MaxPool", 12, {ACT(1, 16, 4, 4)}, 1,
	 {ATTR_INTS("kernel_shape", 3, 3), ATTR_INTS("pads", 1, 1, 1, 1)}, .act = FINF_ACT_RELU},
	{"avgpool", "AveragePool", 11, {ACT(1, 32, 8, 8)}, 1,
	 {ATTR_INTS("kernel_shape", 3, 3), ATTR_INTS("pads", 1, 1, 1, 1)},
	 .want = WANT_PLAIN | WANT_BLOCKED},
	{"avgpool with padding", "AveragePool", 11, {ACT(1, 20, 8, 8)}, 1,
	 {ATTR_INTS("kernel_shape", 3, 3), ATTR_INTS("pads", 1, 1, 1, 1),
	  ATTR_INT("count_include_pad", 1)}, .want = WANT_ANY},
	{"avgpool ceil", "AveragePool", 11, {ACT(1, 16, 8, 8)}, 1,
	 {ATTR_INTS("kernel_shape", 3, 3), ATTR_INTS("strides", 2, 2), ATTR_INT("ceil_mode", 1)},
	 .want = WANT_ANY},
	{"avgpool ceil with padding", "AveragePool", 11, {ACT(1, 16, 9, 9)}, 1,
	 {ATTR_INTS("kernel_shape", 3, 3), ATTR_INTS("strides", 2, 2), ATTR_INT("ceil_mode", 1),
	  ATTR_INTS("pads", 1, 1, 0, 0), ATTR_INT("count_include_pad", 1)}, .want = WANT_REF_ONLY},
	{"global average", "GlobalAveragePool", 7, {ACT(2, 32, 7, 7)}, 1, {{0}},
	 .want = WANT_PLAIN | WANT_BLOCKED},
	{"global average odd", "GlobalAveragePool", 7, {ACT(1, 10, 3, 5)}, 1, {{0}},
	 .want = WANT_ANY},
	{"global average 1-D", "GlobalAveragePool", 7, {ACT(1, 10, 6)}, 1, {{0}},
	 .want = WANT_PLAIN},
	{"global average 3-D", "GlobalAveragePool", 7, {ACT(2, 5, 3, 2, 4)}, 1, {{0}},
	 .want = WANT_PLAIN},
	{"global average 4-D", "GlobalAveragePool", 7, {ACT(2, 5, 3, 2, 4, 2)}, 1, {{0}},
	 .want = WANT_REF_ONLY},
	{"global maximum", "GlobalMaxPool", 7, {ACT(2, 32, 7, 7)}, 1, {{0}},
	 .want = WANT_PLAIN | WANT_BLOCKED},
	{"maxpool 1-D", "MaxPool", 12, {ACT(1, 6, 9)}, 1,
	 {ATTR_INTS("kernel_shape", 3), ATTR_INTS("strides", 2), ATTR_INTS("pads", 1, 0)},
	 .want = WANT_PLAIN},
	{"maxpool 3-D", "MaxPool", 12, {ACT(1, 6, 4, 5, 6)}, 1,
	 {ATTR_INTS("kernel_shape", 2, 3, 2), ATTR_INTS("strides", 1, 2, 2)}, .want = WANT_PLAIN},
	{"avgpool 3-D", "AveragePool", 11, {ACT(1, 6, 4, 5, 6)}, 1,
	 {ATTR_INTS("kernel_shape", 2, 3, 2), ATTR_INTS("pads", 1, 0, 1, 0, 1, 0)},
	 .want = WANT_PLAIN},

	/* Activations. */
	{"relu", "Relu", 13, {ACT(2, 20, 3, 5)}, 1, {{0}}, .want = WANT_PLAIN | WANT_BLOCKED},
	{"relu vector", "Relu", 13, {ACT(37)}, 1, {{0}}, .want = WANT_PLAIN},
	{"leaky", "LeakyRelu", 13, {ACT(1, 32, 3, 5)}, 1, {ATTR_FLOAT("alpha", 0.2f)},
	 .want = WANT_PLAIN | WANT_BLOCKED},
	{"leaky default", "LeakyRelu", 13, {ACT(4, 5)}, 1, {{0}}, .want = WANT_PLAIN},
	{"clip odd channels", "Clip", 7, {ACT(2, 24, 3, 5)}, 1,
	 {ATTR_FLOAT("min", 0.0f), ATTR_FLOAT("max", 6.0f)}, .want = WANT_PLAIN | WANT_BLOCKED},
	{"sigmoid", "Sigmoid", 13, {ACT(1, 20, 3, 5)}, 1, {{0}}, .want = WANT_PLAIN},
	{"clip attributes", "Clip", 7, {ACT(1, 20, 3, 5)}, 1,
	 {ATTR_FLOAT("min", -0.25f), ATTR_FLOAT("max", 0.5f)}, .want = WANT_PLAIN},
	{"clip inputs", "Clip", 13, {ACT(1, 20, 3, 5), SCALAR(0.1f), SCALAR(0.5f)}, 3, {{0}},
	 .want = WANT_PLAIN},
	{"clip upper only", "Clip", 13, {ACT(1, 16, 3, 5), LEFT_OUT, SCALAR(0.5f)}, 3, {{0}},
	 .want = WANT_PLAIN},
	{"clip computed bound", "Clip", 13, {ACT(6), {.rank = 0}}, 2, {{0}}, .want = WANT_REF_ONLY},

	/* Arithmetic with broadcasting. */
	{"add", "Add", 13, {ACT(1, 32, 4, 4), ACT(1, 32, 4, 4)}, 2, {{0}}, .act = FINF_ACT_RELU,
	 .want = WANT_PLAIN | WANT_BLOCKED},
	{"add odd channels", "Add", 13, {ACT(1, 24, 4, 4), ACT(1, 24, 4, 4)}, 2, {{0}},
	 .act = FINF_ACT_CLIP, .act_a = 0, .act_b = 6, .want = WANT_PLAIN | WANT_BLOCKED},
	{"sub odd channels", "Sub", 13, {ACT(2, 19, 4, 4), ACT(2, 19, 4, 4)}, 2, {{0}},
	 .act = FINF_ACT_SIGMOID, .want = WANT_PLAIN},
	{"mul vectors", "Mul", 13, {ACT(7), ACT(7)}, 2, {{0}}, .want = WANT_PLAIN},
	{"div", "Div", 13,
	 {ACT(1, 16, 4, 4), {.rank = 4, .dim = {1, 16, 4, 4}, .fill = FILL_POSITIVE}},
	 2, {{0}}, .want = WANT_PLAIN},
	{"div odd channels", "Div", 13,
	 {ACT(1, 5, 4, 4), {.rank = 4, .dim = {1, 5, 4, 4}, .fill = FILL_POSITIVE}}, 2, {{0}},
	 .want = WANT_ANY},
	{"add per channel", "Add", 13, {ACT(1, 32, 4, 4), WEIGHT(1, 32, 1, 1)}, 2, {{0}},
	 .want = WANT_PLAIN},
	{"mul per channel odd", "Mul", 13, {ACT(2, 10, 4, 4), WEIGHT(10, 1, 1)}, 2, {{0}},
	 .want = WANT_PLAIN},
	{"mul scalar", "Mul", 13, {ACT(1, 16, 4, 4), SCALAR(3.0f)}, 2, {{0}}, .want = WANT_PLAIN},
	{"sub from scalar", "Sub", 13, {SCALAR(1.0f), ACT(1, 16, 4, 4)}, 2, {{0}},
	 .want = WANT_ANY},
	{"add scalar first", "Add", 13, {SCALAR(1.0f), ACT(2, 3, 4)}, 2, {{0}}, .want = WANT_ANY},
	{"mul squeeze-excite", "Mul", 13, {ACT(2, 32, 4, 4), ACT(2, 32, 1, 1)}, 2, {{0}},
	 .want = WANT_ANY},
	{"sub repeated over odd channels", "Sub", 13, {ACT(5, 3, 5, 5), ACT(1, 3, 1, 1)}, 2, {{0}},
	 .act = FINF_ACT_LEAKY, .act_a = 0.25f, .want = WANT_PLAIN},
	{"add one to one", "Add", 13, {ACT(1, 1, 1, 1), WEIGHT(1, 1, 1, 1)}, 2, {{0}},
	 .want = WANT_PLAIN},
	{"add row and column", "Add", 13, {ACT(4, 1), ACT(1, 5)}, 2, {{0}}, .want = WANT_REF_ONLY},
	{"add last dimension", "Add", 13, {ACT(2, 3, 8), WEIGHT(8)}, 2, {{0}}, .want = WANT_ANY},

	/* The rest. */
	{"batchnorm", "BatchNormalization", 15,
	 {ACT(2, 32, 5, 5), WEIGHT(32), WEIGHT(32), WEIGHT(32), VARIANCE(32)}, 5,
	 {ATTR_FLOAT("epsilon", 1e-3f)}, .want = WANT_PLAIN | WANT_BLOCKED},
	{"batchnorm odd", "BatchNormalization", 9,
	 {ACT(2, 11, 5, 5), WEIGHT(11), WEIGHT(11), WEIGHT(11), VARIANCE(11)}, 5, {{0}},
	 .act = FINF_ACT_RELU, .want = WANT_PLAIN},
	{"batchnorm matrix", "BatchNormalization", 9,
	 {ACT(4, 11), WEIGHT(11), WEIGHT(11), WEIGHT(11), VARIANCE(11)}, 5, {{0}},
	 .want = WANT_ANY},
	{"softmax", "Softmax", 13, {ACT(3, 100)}, 1, {{0}}, .want = WANT_PLAIN},
	{"softmax rows", "Softmax", 11, {ACT(2, 3, 10)}, 1, {{0}}, .want = WANT_PLAIN},
	{"softmax rows of axis 2", "Softmax", 11, {ACT(2, 3, 10)}, 1, {ATTR_INT("axis", 2)},
	 .want = WANT_PLAIN},
	{"softmax middle axis", "Softmax", 13, {ACT(2, 3, 10)}, 1, {ATTR_INT("axis", 1)},
	 .want = WANT_ANY},
	{"concat channels", "Concat", 13, {ACT(1, 32, 3, 3), ACT(1, 16, 3, 3)}, 2,
	 {ATTR_INT("axis", 1)}, .want = WANT_PLAIN | WANT_BLOCKED},
	{"concat odd channels", "Concat", 13, {ACT(1, 20, 3, 3), ACT(1, 12, 3, 3)}, 2,
	 {ATTR_INT("axis", 1)}, .act = FINF_ACT_SIGMOID, .want = WANT_PLAIN},
	{"concat rows", "Concat", 13, {ACT(1, 16, 3, 3), ACT(1, 16, 2, 3), ACT(1, 16, 1, 3)}, 3,
	 {ATTR_INT("axis", -2)}, .want = WANT_PLAIN | WANT_BLOCKED},
	{"concat constant", "Concat", 13, {ACT(1, 16, 3, 3), WEIGHT(1, 16, 3, 3)}, 2,
	 {ATTR_INT("axis", 1)}, .want = WANT_PLAIN},
	{"concat one", "Concat", 13, {ACT(2, 3)}, 1, {ATTR_INT("axis", 0)}, .want = WANT_ANY},
	{"transpose", "Transpose", 13, {ACT(2, 3, 4, 5)}, 1, {ATTR_INTS("perm", 0, 2, 3, 1)},
	 .want = WANT_PLAIN},
	{"transpose cycle", "Transpose", 13, {ACT(2, 3, 4)}, 1, {ATTR_INTS("perm", 1, 2, 0)},
	 .act = FINF_ACT_RELU, .want = WANT_PLAIN},
	{"transpose default", "Transpose", 13, {ACT(6, 7)}, 1, {{0}}, .want = WANT_PLAIN},
	{"mean of planes", "ReduceMean", 13, {ACT(2, 32, 5, 6)}, 1, {ATTR_INTS("axes", 2, 3)},
	 .want = WANT_PLAIN | WANT_BLOCKED},
	{"mean of planes, flat", "ReduceMean", 13, {ACT(2, 32, 5, 6)}, 1,
	 {ATTR_INTS("axes", -1, -2), ATTR_INT("keepdims", 0)}, .want = WANT_PLAIN | WANT_MIXED},
	{"mean of planes, flat odd", "ReduceMean", 13, {ACT(2, 20, 5, 6)}, 1,
	 {ATTR_INTS("axes", 2, 3), ATTR_INT("keepdims", 0)}, .want = WANT_PLAIN},
	{"mean of rows", "ReduceMean", 13, {ACT(2, 16, 5, 6)}, 1, {ATTR_INTS("axes", 2)},
	 .want = WANT_REF_ONLY},
	{"mean of all", "ReduceMean", 13, {ACT(2, 16, 5, 6)}, 1, {{0}}, .want = WANT_REF_ONLY},
	{"identity", "Identity", 13, {ACT(2, 3)}, 1, {{0}}, .want = WANT_ALIAS},
	{"dropout", "Dropout", 10, {ACT(2, 3)}, 1, {ATTR_FLOAT("ratio", 0.5f)}, .want = WANT_ALIAS},
	{"dropout 12", "Dropout", 12, {ACT(2, 3), SCALAR(0.5f)}, 2, {{0}}, .want = WANT_ALIAS},
	{"flatten", "Flatten", 13, {ACT(2, 3, 4)}, 1, {{0}}, .want = WANT_ALIAS},
	{"reshape", "Reshape", 13, {ACT(2, 3, 4), INTS_IN(0, -1)}, 2, {{0}}, .want = WANT_ALIAS},
	{"reshape and relu", "Reshape", 13, {ACT(2, 3, 4), INTS_IN(4, 6)}, 2, {{0}},
	 .act = FINF_ACT_RELU, .want = WANT_REF_ONLY},
	{"squeeze", "Squeeze", 11, {ACT(2, 1, 4)}, 1, {ATTR_INTS("axes", 1)}, .want = WANT_ALIAS},
	{"squeeze 13", "Squeeze", 13, {ACT(2, 1, 4), INTS_IN(1)}, 2, {{0}}, .want = WANT_ALIAS},
	{"unsqueeze", "Unsqueeze", 13, {ACT(2, 4), INTS_IN(1)}, 2, {{0}}, .want = WANT_ALIAS},
	{"pad", "Pad", 13, {ACT(2, 3, 3), INTS_IN(0, 1, 0, 1, 0, 2), SCALAR(2.0f)}, 3, {{0}},
	 .want = WANT_REF_ONLY},
	{"gather", "Gather", 13, {ACT(5, 3), INTS_IN(4, 0, 2)}, 2, {{0}}, .want = WANT_REF_ONLY},
	{"cast", "Cast", 13, {ACT(5, 3)}, 1, {ATTR_INT("to", FINF_I32)}, .want = WANT_REF_ONLY},
	{"shape", "Shape", 13, {ACT(5, 3)}, 1, {{0}}, .want = WANT_REF_ONLY},
	{"rank 7", "Relu", 13, {{.rank = 7, .dim = {2, 1, 2, 1, 2, 1, 2}}}, 1, {{0}},
	 .want = WANT_REF_ONLY},
	{"no elements", "Relu", 13, {ACT(2, 0, 3)}, 1, {{0}}, .want = WANT_REF_ONLY},
};
/* clang-format on */

static struct finf_device *open_device(const char *name)
{
	struct finf_device *dev;
	struct finf_diag diag = {""};

	ck_assert_msg(!finf_device_open(name, &dev, &diag), "%s", diag.text);
	return dev;
}

static uint32_t kind_of(const struct finf_form *form)
{
	if (form->algo == FINF_HOST_ALIAS)
		return WANT_ALIAS;
	if (form->algo != FINF_HOST_ONEDNN)
		return 0;
	if (form->in_layout != form->out_layout)
		return WANT_MIXED;
	return form->in_layout ? WANT_BLOCKED : WANT_PLAIN;
}

/* An alias must be the same bytes; others are run, in place too where offered. */
static void run_form(struct site *site, struct finf_device *dev, const struct finf_form *form,
		     uint32_t threads, const char *what)
{
	char text[200];

	snprintf(text, sizeof(text), "%s, %s %u->%u", what, form->name, form->in_layout,
		 form->out_layout);
	if (form->flags & FINF_FORM_ALIAS) {
		ck_assert_uint_eq(site->in[0].bytes, site->out.bytes);
		ck_assert_mem_eq(site->in[0].data, site->out.data, site->out.bytes);
		return;
	}
	site_run(site, dev, form, threads, false, text);
	if (form->flags & FINF_FORM_INPLACE)
		site_run(site, dev, form, threads, true, text);
}

START_TEST(every_form_equals_the_reference)
{
	const struct node_case *row = &cases[_i];
	struct finf_device *dev = open_device("host");

	for (uint32_t threads = 1; threads <= 2; threads++) {
		struct finf_form_table table;
		struct site site;
		uint32_t seen = 0;
		uint64_t ref_ns = 0, best_ns = UINT64_MAX;

		site_init(&site, row, 0);
		ck_assert_int_eq(site_forms(&site, dev, threads, NULL, &table), 0);
		for (uint32_t k = 0; k < table.nodes[0].n; k++) {
			const struct finf_form *form = &table.nodes[0].forms[k];

			seen |= kind_of(form);
			if (form->algo == FINF_HOST_REF)
				ref_ns = form->est_ns;
			else
				best_ns = FINF_MIN(best_ns, form->est_ns);
			run_form(&site, dev, form, threads, row->what);
		}
		ck_assert_msg(ref_ns > 0, "%s: no reference form", row->what);
		ck_assert_msg(best_ns == UINT64_MAX || best_ns < ref_ns,
			      "%s: the reference is thought fastest", row->what);
		if (row->want == WANT_REF_ONLY)
			ck_assert_msg(!seen, "%s: forms %x", row->what, seen);
		else
			ck_assert_msg((seen & row->want) == row->want, "%s: forms %x, not %x",
				      row->what, seen, row->want);
		finf_form_table_fini(&table);
		site_fini(&site);
	}
	finf_device_close(dev);
}
END_TEST

START_TEST(ref_device_offers_the_reference_only)
{
	const struct node_case *row = &cases[_i];
	struct finf_device *dev = open_device("ref");
	struct finf_form_table table;
	struct site site;

	site_init(&site, row, 0);
	ck_assert_int_eq(site_forms(&site, dev, 1, NULL, &table), 0);
	ck_assert_uint_eq(table.nodes[0].n, 1);
	ck_assert_uint_eq(table.nodes[0].forms[0].algo, FINF_HOST_REF);
	site_run(&site, dev, &table.nodes[0].forms[0], 1, false, row->what);
	finf_form_table_fini(&table);
	site_fini(&site);
	finf_device_close(dev);
}
END_TEST

/* ---- cases drawn at random --------------------------------------------------- */

/* A case and what its attributes point to. */
struct drawn {
	struct node_case row;
	int64_t kernel[2], strides[2], pads[4];
	uint64_t seed;
};

static int64_t pick(struct drawn *d, const int64_t *from, size_t n)
{
	return from[test_random(&d->seed) % n];
}

#define PICK(d, ...)                                                                               \
	pick(d, (const int64_t[]){__VA_ARGS__}, FINF_ARRAY_LEN(((const int64_t[]){__VA_ARGS__})))

static void draw_in(struct drawn *d, bool is_const, uint32_t rank, const int64_t *dim)
{
	struct case_in *in = &d->row.in[d->row.n_in++];

	*in = (struct case_in){.rank = rank, .is_const = is_const};
	memcpy(in->dim, dim, rank * sizeof(*dim));
}

static void draw_attr(struct drawn *d, struct finf_attr attr)
{
	uint32_t n = 0;

	while (d->row.attrs[n].name)
		n++;
	d->row.attrs[n] = attr;
}

static void draw_window(struct drawn *d)
{
	for (int i = 0; i < 2; i++) {
		d->kernel[i] = PICK(d, 1, 1, 2, 3);
		d->strides[i] = PICK(d, 1, 1, 2);
		d->pads[i] = PICK(d, 0, d->kernel[i] / 2);
		d->pads[i + 2] = PICK(d, 0, d->kernel[i] / 2);
	}
	draw_attr(d, (struct finf_attr){"strides", FINF_ATTR_INTS, 2, .ints = d->strides});
	draw_attr(d, (struct finf_attr){"pads", FINF_ATTR_INTS, 4, .ints = d->pads});
}

static void draw_act(struct drawn *d)
{
	d->row.act = (enum finf_act)PICK(d, FINF_ACT_NONE, FINF_ACT_RELU, FINF_ACT_LEAKY,
					 FINF_ACT_CLIP, FINF_ACT_SIGMOID);
	d->row.act_a = d->row.act == FINF_ACT_CLIP ? -0.25f : 0.25f;
	d->row.act_b = 0.5f;
}

/* Sizes of 1 above all: any layout must be found again by its name. */
static void draw_conv(struct drawn *d)
{
	int64_t g = PICK(d, 1, 1, 1, 2, 3, 8, 16, 24, 32), ic = PICK(d, 1, 2, 3, 8, 16, 17);
	int64_t oc = PICK(d, 1, 2, 3, 8, 16, 17);

	draw_window(d);
	draw_in(d, false, 4,
		(int64_t[]){PICK(d, 1, 1, 2), g * ic, PICK(d, 3, 5, 8), PICK(d, 3, 5, 8)});
	draw_in(d, true, 4, (int64_t[]){g * oc, ic, d->kernel[0], d->kernel[1]});
	if (PICK(d, 0, 1))
		draw_in(d, true, 1, (int64_t[]){g * oc});
	draw_attr(d, (struct finf_attr)ATTR_INT("group", g));
	d->row.op = "Conv";
}

static void draw_pool(struct drawn *d)
{
	draw_window(d);
	draw_in(d, false, 4,
		(int64_t[]){PICK(d, 1, 2), PICK(d, 1, 3, 16, 17, 40), PICK(d, 3, 5, 8),
			    PICK(d, 3, 5, 8)});
	draw_attr(d, (struct finf_attr){"kernel_shape", FINF_ATTR_INTS, 2, .ints = d->kernel});
	draw_attr(d, (struct finf_attr)ATTR_INT("ceil_mode", PICK(d, 0, 1)));
	d->row.op = PICK(d, 0, 1) ? "MaxPool" : "AveragePool";
	if (d->row.op[0] == 'A')
		draw_attr(d, (struct finf_attr)ATTR_INT("count_include_pad", PICK(d, 0, 1)));
}

static void draw_arithmetic(struct drawn *d)
{
	static const char *const ops[] = {"Add", "Sub", "Mul", "Div"};
	int64_t dim[2][4];

	for (int i = 0; i < 4; i++) {
		dim[0][i] = i == 1 ? PICK(d, 1, 3, 16, 17, 32) : PICK(d, 1, 2, 5);
		dim[1][i] = PICK(d, 1, dim[0][i], dim[0][i]);
	}
	for (int i = 0; i < 2; i++) {
		uint32_t drop = (uint32_t)PICK(d, 0, 0, 0, i ? 1 : 0, i ? 3 : 0);

		draw_in(d, i && PICK(d, 0, 1), 4 - drop, dim[i] + drop);
	}
	d->row.in[1].fill = FILL_POSITIVE;
	d->row.op = ops[PICK(d, 0, 1, 2, 3)];
}

static void draw_gemm(struct drawn *d)
{
	int64_t m = PICK(d, 1, 2, 5, 17), n = PICK(d, 1, 10, 16, 33), k = PICK(d, 1, 3, 20, 64);
	bool ta = PICK(d, 0, 0, 1), tb = PICK(d, 0, 1);

	draw_in(d, false, 2, (int64_t[]){ta ? k : m, ta ? m : k});
	draw_in(d, true, 2, (int64_t[]){tb ? n : k, tb ? k : n});
	if (PICK(d, 0, 1))
		draw_in(d, PICK(d, 0, 1), 2, (int64_t[]){PICK(d, 1, m), PICK(d, 1, n)});
	draw_attr(d, (struct finf_attr)ATTR_INT("transA", ta));
	draw_attr(d, (struct finf_attr)ATTR_INT("transB", tb));
	draw_attr(d, (struct finf_attr)ATTR_FLOAT("alpha", (float)PICK(d, 1, 1, 2)));
	d->row.op = "Gemm";
}

static void (*const draws[])(struct drawn *d) = {draw_conv, draw_conv, draw_pool, draw_arithmetic,
						 draw_gemm};

START_TEST(random_cases_equal_the_reference)
{
	struct finf_device *dev = open_device("host");
	struct drawn d;

	for (uint64_t round = 0; round < 50; round++) {
		struct finf_form_table table;
		struct site site;
		char text[80];

		memset(&d, 0, sizeof(d));
		d.seed = (uint64_t)_i * 1000 + round;
		d.row.what = "random";
		d.row.opset = 11;
		draws[(size_t)_i % FINF_ARRAY_LEN(draws)](&d);
		draw_act(&d);
		snprintf(text, sizeof(text), "%s of draw %d, round %d", d.row.op, _i, (int)round);
		site_init(&site, &d.row, 0);
		ck_assert_int_eq(site_forms(&site, dev, 1, NULL, &table), 0);
		for (uint32_t k = 0; k < table.nodes[0].n; k++)
			run_form(&site, dev, &table.nodes[0].forms[k], 1, text);
		finf_form_table_fini(&table);
		site_fini(&site);
	}
	finf_device_close(dev);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("device/forms");
	TCase *tc = tcase_create("forms");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, every_form_equals_the_reference, 0, FINF_ARRAY_LEN(cases));
	tcase_add_loop_test(tc, ref_device_offers_the_reference_only, 0, FINF_ARRAY_LEN(cases));
	tcase_add_loop_test(tc, random_cases_equal_the_reference, 0, 2 * FINF_ARRAY_LEN(draws));
	suite_add_tcase(suite, tc);
	return suite;
}
