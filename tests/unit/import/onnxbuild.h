/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/import/onnxbuild - ONNX models in memory, to be spoiled in one
 * place and packed. Everything lies in one arena; the messages are plain
 * protobuf-c structs, so a test may put anything into them.
 */
#ifndef FI_TESTS_ONNXBUILD_H
#define FI_TESTS_ONNXBUILD_H

#include <check.h>
#include <onnx.pb-c.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

struct onnx_build {
	struct finf_arena arena; /* owned */
	Onnx__ModelProto model;
	Onnx__GraphProto graph;
	Onnx__OperatorSetIdProto *opset;
};

static inline void *build_alloc(struct onnx_build *b, size_t bytes)
{
	void *p = finf_arena_alloc(&b->arena, bytes);

	ck_assert_ptr_nonnull(p);
	return p;
}

/* A new message of type @Type, named as protobuf-c names its init function. */
#define BUILD_NEW(b, Type, init)                                                                   \
	({                                                                                         \
		Type *m_ = build_alloc((b), sizeof(Type));                                         \
		init(m_);                                                                          \
		m_;                                                                                \
	})

/* Append to a repeated field: the array is copied, tests are small. */
#define BUILD_PUSH(b, n, array, item)                                                              \
	do {                                                                                       \
		void *old_ = (array);                                                              \
		(array) = build_alloc((b), ((n) + 1) * sizeof(*(array)));                          \
		if (n)                                                                             \
			memcpy((array), old_, (n) * sizeof(*(array)));                             \
		(array)[(n)++] = (item);                                                           \
	} while (0)

static inline char *build_str(struct onnx_build *b, const char *text)
{
	char *copy = finf_arena_str(&b->arena, text);

	ck_assert_ptr_nonnull(copy);
	return copy;
}

static inline void build_opset(struct onnx_build *b, const char *domain, int64_t version)
{
	b->opset = BUILD_NEW(b, Onnx__OperatorSetIdProto, onnx__operator_set_id_proto__init);
	b->opset->domain = build_str(b, domain);
	b->opset->has_version = 1;
	b->opset->version = version;
	BUILD_PUSH(b, b->model.n_opset_import, b->model.opset_import, b->opset);
}

static inline void build_init(struct onnx_build *b, int64_t opset)
{
	finf_arena_init(&b->arena);
	onnx__model_proto__init(&b->model);
	onnx__graph_proto__init(&b->graph);
	b->model.has_ir_version = 1;
	b->model.ir_version = 7;
	b->model.graph = &b->graph;
	b->graph.name = build_str(b, "test");
	build_opset(b, "", opset);
}

static inline void build_fini(struct onnx_build *b)
{
	finf_arena_fini(&b->arena);
}

/* @dims: -1 = a dimension with a name instead of a number. */
static inline Onnx__ValueInfoProto *build_info(struct onnx_build *b, const char *name, int32_t type,
					       size_t rank, const int64_t *dims)
{
	Onnx__ValueInfoProto *info =
		BUILD_NEW(b, Onnx__ValueInfoProto, onnx__value_info_proto__init);
	Onnx__TypeProto *t = BUILD_NEW(b, Onnx__TypeProto, onnx__type_proto__init);
	Onnx__TypeProto__Tensor *tensor =
		BUILD_NEW(b, Onnx__TypeProto__Tensor, onnx__type_proto__tensor__init);

	info->name = build_str(b, name);
	info->type = t;
	t->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
	t->tensor_type = tensor;
	tensor->has_elem_type = 1;
	tensor->elem_type = type;
	tensor->shape = BUILD_NEW(b, Onnx__TensorShapeProto, onnx__tensor_shape_proto__init);
	for (size_t i = 0; i < rank; i++) {
		Onnx__TensorShapeProto__Dimension *dim =
			BUILD_NEW(b, Onnx__TensorShapeProto__Dimension,
				  onnx__tensor_shape_proto__dimension__init);

		if (dims[i] == -1) {
			dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
			dim->dim_param = build_str(b, "batch");
		} else {
			dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
			dim->dim_value = dims[i];
		}
		BUILD_PUSH(b, tensor->shape->n_dim, tensor->shape->dim, dim);
	}
	return info;
}

static inline void build_input(struct onnx_build *b, const char *name, int32_t type, size_t rank,
			       const int64_t *dims)
{
	BUILD_PUSH(b, b->graph.n_input, b->graph.input, build_info(b, name, type, rank, dims));
}

static inline void build_output(struct onnx_build *b, const char *name)
{
	Onnx__ValueInfoProto *info =
		BUILD_NEW(b, Onnx__ValueInfoProto, onnx__value_info_proto__init);

	info->name = build_str(b, name);
	BUILD_PUSH(b, b->graph.n_output, b->graph.output, info);
}

static inline Onnx__TensorProto *build_tensor(struct onnx_build *b, const char *name, int32_t type,
					      size_t rank, const int64_t *dims)
{
	Onnx__TensorProto *t = BUILD_NEW(b, Onnx__TensorProto, onnx__tensor_proto__init);

	t->name = build_str(b, name);
	t->has_data_type = 1;
	t->data_type = type;
	for (size_t i = 0; i < rank; i++)
		BUILD_PUSH(b, t->n_dims, t->dims, dims[i]);
	return t;
}

static inline void build_raw(struct onnx_build *b, Onnx__TensorProto *t, const void *data,
			     size_t bytes)
{
	t->has_raw_data = 1;
	t->raw_data.len = bytes;
	t->raw_data.data = finf_arena_dup(&b->arena, data, bytes);
	ck_assert_ptr_nonnull(t->raw_data.data);
}

static inline void build_initialiser(struct onnx_build *b, Onnx__TensorProto *t)
{
	BUILD_PUSH(b, b->graph.n_initializer, b->graph.initializer, t);
}

/* "a,,b" -> {"a", "", "b"}; "" -> nothing. */
static inline void build_names(struct onnx_build *b, const char *list, size_t *n, char ***array)
{
	while (*list) {
		size_t len = strcspn(list, ",");
		char *name = finf_arena_strn(&b->arena, list, len);

		ck_assert_ptr_nonnull(name);
		BUILD_PUSH(b, *n, *array, name);
		list += len;
		if (*list == ',' && !*++list) /* a comma at the end: one more, empty */
			BUILD_PUSH(b, *n, *array, build_str(b, ""));
	}
}

static inline Onnx__NodeProto *build_node(struct onnx_build *b, const char *op, const char *name,
					  const char *in, const char *out)
{
	Onnx__NodeProto *node = BUILD_NEW(b, Onnx__NodeProto, onnx__node_proto__init);

	node->op_type = build_str(b, op);
	node->name = build_str(b, name);
	build_names(b, in, &node->n_input, &node->input);
	build_names(b, out, &node->n_output, &node->output);
	BUILD_PUSH(b, b->graph.n_node, b->graph.node, node);
	return node;
}

static inline Onnx__AttributeProto *build_attr(struct onnx_build *b, Onnx__NodeProto *node,
					       const char *name,
					       Onnx__AttributeProto__AttributeType type)
{
	Onnx__AttributeProto *a = BUILD_NEW(b, Onnx__AttributeProto, onnx__attribute_proto__init);

	a->name = build_str(b, name);
	a->has_type = 1;
	a->type = type;
	BUILD_PUSH(b, node->n_attribute, node->attribute, a);
	return a;
}

/* The file; free() it. */
static inline uint8_t *build_pack(const struct onnx_build *b, size_t *ret_bytes)
{
	size_t bytes = onnx__model_proto__get_packed_size(&b->model);
	uint8_t *data = malloc(bytes ? bytes : 1);

	ck_assert_ptr_nonnull(data);
	ck_assert_uint_eq(onnx__model_proto__pack(&b->model, data), bytes);
	*ret_bytes = bytes;
	return data;
}

/* x[1,4] + w[1,4] -> Add "sum" -> s -> Relu "act" -> y: the model that tests spoil. */
static inline void build_sample(struct onnx_build *b)
{
	static const int64_t dims[] = {1, 4};
	static const float w[] = {1, -2, 3, -4};
	Onnx__TensorProto *t;

	build_init(b, 13);
	build_input(b, "x", FINF_F32, 2, dims);
	t = build_tensor(b, "w", FINF_F32, 2, dims);
	build_raw(b, t, w, sizeof(w));
	build_initialiser(b, t);
	build_node(b, "Add", "sum", "x,w", "s");
	build_node(b, "Relu", "act", "s", "y");
	build_output(b, "y");
}

#endif
