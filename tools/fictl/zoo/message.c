/* SPDX-License-Identifier: MIT */
/* fictl/zoo: an ONNX model over protobuf-c, and its file. */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/fictl/zoo/message.h"

#define ATTR(t) ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__##t

/* ---- messages -------------------------------------------------------------- */

static void *must(void *p)
{
	if (!p) {
		fputs("fictl: out of memory\n", stderr);
		exit(1);
	}
	return p;
}

void *zoo_alloc(struct zoo *z, size_t bytes)
{
	return must(finf_arena_alloc(&z->arena, bytes));
}

char *zoo_str(struct zoo *z, const char *text)
{
	return must(finf_arena_str(&z->arena, text));
}

const char *zoo_text(struct zoo *z, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return zoo_str(z, text);
}

/* Room for one more pointer in a repeated field: the arena keeps the old ones. */
static void push(struct zoo *z, size_t *n, void *array, void *item)
{
	void **old, **grown;

	memcpy(&old, array, sizeof(old));
	if (!(*n & (*n - 1))) { /* 0 or a power of two: full */
		grown = zoo_alloc(z, (*n ? *n * 2 : 1) * sizeof(*grown));
		if (*n)
			memcpy(grown, old, *n * sizeof(*grown));
		memcpy(array, &grown, sizeof(grown));
		old = grown;
	}
	old[(*n)++] = item;
}

static Onnx__TensorProto *tensor(struct zoo *z, int32_t type, size_t rank, const uint32_t *dims,
				 void *data, size_t bytes)
{
	Onnx__TensorProto *t = zoo_alloc(z, sizeof(*t));

	onnx__tensor_proto__init(t);
	t->has_data_type = 1;
	t->data_type = type;
	t->n_dims = rank;
	t->dims = zoo_alloc(z, rank * sizeof(*t->dims));
	for (size_t i = 0; i < rank; i++)
		t->dims[i] = dims[i];
	t->has_raw_data = 1;
	t->raw_data.len = bytes;
	t->raw_data.data = data;
	return t;
}

struct zoo_param zoo_param(struct zoo *z, const char *name, size_t rank, const uint32_t *dims)
{
	struct zoo_param p = {.name = name, .count = 1};
	Onnx__TensorProto *t;

	for (size_t i = 0; i < rank; i++)
		p.count *= dims[i];
	p.data = zoo_alloc(z, p.count * sizeof(float));
	p.seed = z->seed ^ finf_hash64(p.name, strlen(p.name));
	t = tensor(z, FINF_F32, rank, dims, p.data, p.count * sizeof(float));
	t->name = zoo_str(z, p.name);
	push(z, &z->graph.n_initializer, &z->graph.initializer, t);
	return p;
}

void zoo_int_param(struct zoo *z, const char *name, size_t rank, const uint32_t *dims,
		   const int64_t *values)
{
	size_t count = 1;
	Onnx__TensorProto *t;

	for (size_t i = 0; i < rank; i++)
		count *= dims[i];
	t = tensor(z, FINF_I64, rank, dims,
		   must(finf_arena_dup(&z->arena, values, count * sizeof(*values))),
		   count * sizeof(*values));
	t->name = zoo_str(z, name);
	push(z, &z->graph.n_initializer, &z->graph.initializer, t);
}

/* ---- nodes ------------------------------------------------------------------- */

void zoo_node_input(struct zoo *z, Onnx__NodeProto *n, const char *name)
{
	push(z, &n->n_input, &n->input, zoo_str(z, name));
}

Onnx__NodeProto *zoo_node(struct zoo *z, const char *op, const char *input)
{
	Onnx__NodeProto *n = zoo_alloc(z, sizeof(*n));

	onnx__node_proto__init(n);
	n->op_type = zoo_str(z, op);
	n->name = (char *)zoo_text(z, "%s_%zu", op, z->graph.n_node);
	if (input)
		zoo_node_input(z, n, input);
	push(z, &n->n_output, &n->output, (char *)zoo_text(z, "%s.out", n->name));
	push(z, &z->graph.n_node, &z->graph.node, n);
	return n;
}

static Onnx__AttributeProto *attr(struct zoo *z, Onnx__NodeProto *n, const char *name,
				  Onnx__AttributeProto__AttributeType type)
{
	Onnx__AttributeProto *a = zoo_alloc(z, sizeof(*a));

	onnx__attribute_proto__init(a);
	a->name = zoo_str(z, name);
	a->has_type = 1;
	a->type = type;
	push(z, &n->n_attribute, &n->attribute, a);
	return a;
}

void zoo_attr_int(struct zoo *z, Onnx__NodeProto *n, const char *name, int64_t value)
{
	Onnx__AttributeProto *a = attr(z, n, name, ATTR(INT));

	a->has_i = 1;
	a->i = value;
}

void zoo_attr_float(struct zoo *z, Onnx__NodeProto *n, const char *name, float value)
{
	Onnx__AttributeProto *a = attr(z, n, name, ATTR(FLOAT));

	a->has_f = 1;
	a->f = value;
}

/* @n_ints times the same number: all our windows are square. */
void zoo_attr_ints(struct zoo *z, Onnx__NodeProto *n, const char *name, size_t n_ints,
		      int64_t value)
{
	Onnx__AttributeProto *a = attr(z, n, name, ATTR(INTS));

	a->n_ints = n_ints;
	a->ints = zoo_alloc(z, n_ints * sizeof(*a->ints));
	for (size_t i = 0; i < n_ints; i++)
		a->ints[i] = value;
}

void zoo_attr_list(struct zoo *z, Onnx__NodeProto *n, const char *name, size_t n_ints,
		   const int64_t *ints)
{
	Onnx__AttributeProto *a = attr(z, n, name, ATTR(INTS));

	a->n_ints = n_ints;
	a->ints = must(finf_arena_dup(&z->arena, ints, n_ints * sizeof(*ints)));
}

void zoo_attr_text(struct zoo *z, Onnx__NodeProto *n, const char *name, const char *text)
{
	Onnx__AttributeProto *a = attr(z, n, name, ATTR(STRING));

	a->has_s = 1;
	a->s.data = (uint8_t *)zoo_str(z, text);
	a->s.len = strlen(text);
}

static const char *constant(struct zoo *z, int32_t type, size_t rank, const uint32_t *dims,
			    const void *data, size_t bytes)
{
	Onnx__NodeProto *n = zoo_node(z, "Constant", NULL);
	void *copy = must(finf_arena_dup(&z->arena, data, bytes));

	attr(z, n, "value", ATTR(TENSOR))->t = tensor(z, type, rank, dims, copy, bytes);
	return n->output[0];
}

const char *zoo_float(struct zoo *z, float value)
{
	return constant(z, FINF_F32, 0, NULL, &value, sizeof(value));
}

const char *zoo_int(struct zoo *z, int64_t value)
{
	return constant(z, FINF_I64, 0, NULL, &value, sizeof(value));
}

const char *zoo_list(struct zoo *z, uint32_t n, const int64_t *values)
{
	return constant(z, FINF_I64, 1, &n, values, n * sizeof(*values));
}

static Onnx__ValueInfoProto *port(struct zoo *z, const char *name, int32_t type_number, size_t rank,
				  const uint32_t *dims)
{
	Onnx__ValueInfoProto *info = zoo_alloc(z, sizeof(*info));
	Onnx__TypeProto *type = zoo_alloc(z, sizeof(*type));
	Onnx__TypeProto__Tensor *t = zoo_alloc(z, sizeof(*t));
	Onnx__TensorShapeProto *shape = zoo_alloc(z, sizeof(*shape));

	onnx__value_info_proto__init(info);
	onnx__type_proto__init(type);
	onnx__type_proto__tensor__init(t);
	onnx__tensor_shape_proto__init(shape);
	info->name = zoo_str(z, name);
	info->type = type;
	type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
	type->tensor_type = t;
	t->has_elem_type = 1;
	t->elem_type = type_number;
	t->shape = shape;
	for (size_t i = 0; i < rank; i++) {
		Onnx__TensorShapeProto__Dimension *dim = zoo_alloc(z, sizeof(*dim));

		onnx__tensor_shape_proto__dimension__init(dim);
		dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
		dim->dim_value = dims[i];
		push(z, &shape->n_dim, &shape->dim, dim);
	}
	return info;
}

const char *zoo_input_port(struct zoo *z, const char *name, int32_t type, size_t rank,
			   const uint32_t *dims)
{
	push(z, &z->graph.n_input, &z->graph.input, port(z, name, type, rank, dims));
	return name;
}

/* The node that makes it is the last one so far; whoever reads it comes later. */
const char *zoo_output_port(struct zoo *z, const char *value, const char *name, size_t rank,
			    const uint32_t *dims)
{
	Onnx__NodeProto *last = z->graph.node[z->graph.n_node - 1];

	assert(!strcmp(last->output[0], value));
	last->output[0] = zoo_str(z, name);
	push(z, &z->graph.n_output, &z->graph.output, port(z, name, FINF_F32, rank, dims));
	return name;
}

/* ---- the model ------------------------------------------------------------------ */

void zoo_begin(struct zoo *z, const char *name, uint32_t opset, uint64_t seed)
{
	Onnx__OperatorSetIdProto *set;

	finf_arena_init(&z->arena);
	onnx__model_proto__init(&z->model);
	onnx__graph_proto__init(&z->graph);
	z->seed = seed;
	z->narrow = z->side = 0;
	z->model.has_ir_version = 1;
	z->model.ir_version = 7;
	z->model.producer_name = zoo_str(z, "fictl zoo");
	z->model.graph = &z->graph;
	z->graph.name = zoo_str(z, name);
	set = zoo_alloc(z, sizeof(*set));
	onnx__operator_set_id_proto__init(set);
	set->domain = zoo_str(z, "");
	set->has_version = 1;
	set->version = opset;
	push(z, &z->model.n_opset_import, &z->model.opset_import, set);
}

void zoo_free(struct zoo *z)
{
	finf_arena_fini(&z->arena);
}

/* protobuf-c writes through this, so that the file is never a second time in memory. */
struct sink {
	ProtobufCBuffer base;
	FILE *file;
	int err; /* the first */
};

static void sink_append(ProtobufCBuffer *buffer, size_t len, const uint8_t *data)
{
	struct sink *sink = (struct sink *)buffer;

	if (!sink->err && len && fwrite(data, len, 1, sink->file) != 1)
		sink->err = -errno;
}

static int write_model(const Onnx__ModelProto *model, const char *path)
{
	struct sink sink = {.base.append = sink_append, .file = fopen(path, "wbe")};

	if (!sink.file)
		return -errno;
	onnx__model_proto__pack_to_buffer(model, &sink.base);
	if (fclose(sink.file) && !sink.err)
		sink.err = -errno;
	return sink.err;
}

int zoo_end(struct zoo *z, const char *path, struct finf_diag *diag)
{
	const char *part = zoo_text(z, "%.200s.part", path);
	int err = write_model(&z->model, part);

	if (!err && rename(part, path) < 0)
		err = -errno;
	if (!err)
		return 0;
	unlink(part);
	return finf_diag_set(diag, err, "%.300s: %s", path, strerror(-err));
}
