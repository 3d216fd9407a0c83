/* SPDX-License-Identifier: MIT */
/* fictl/zoo: layers over protobuf-c, and the file. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/fictl/zoo/build.h"
#include "tools/fictl/zoo/weights.h"

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

static void *zoo_alloc(struct zoo *z, size_t bytes)
{
	return must(finf_arena_alloc(&z->arena, bytes));
}

static char *zoo_str(struct zoo *z, const char *text)
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

/* An initialiser "NAME.what"; its numbers are still to be filled in. */
struct param {
	const char *name;
	float *data;
	size_t count;
	uint64_t seed; /* its own, whatever comes before it */
};

static struct param param(struct zoo *z, const char *name, const char *what, size_t rank,
			  const uint32_t *dims)
{
	struct param p = {.name = zoo_text(z, "%s.%s", name, what), .count = 1};
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

/* ---- nodes ------------------------------------------------------------------- */

static Onnx__NodeProto *node(struct zoo *z, const char *op, struct zoo_map *x)
{
	Onnx__NodeProto *n = zoo_alloc(z, sizeof(*n));

	onnx__node_proto__init(n);
	n->op_type = zoo_str(z, op);
	n->name = (char *)zoo_text(z, "%s_%zu", op, z->graph.n_node);
	if (x->name)
		push(z, &n->n_input, &n->input, zoo_str(z, x->name));
	x->name = zoo_text(z, "%s.out", n->name);
	push(z, &n->n_output, &n->output, zoo_str(z, x->name));
	push(z, &z->graph.n_node, &z->graph.node, n);
	return n;
}

static void add_input(struct zoo *z, Onnx__NodeProto *n, const char *name)
{
	push(z, &n->n_input, &n->input, zoo_str(z, name));
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

static void attr_int(struct zoo *z, Onnx__NodeProto *n, const char *name, int64_t value)
{
	Onnx__AttributeProto *a = attr(z, n, name, ATTR(INT));

	a->has_i = 1;
	a->i = value;
}

static void attr_float(struct zoo *z, Onnx__NodeProto *n, const char *name, float value)
{
	Onnx__AttributeProto *a = attr(z, n, name, ATTR(FLOAT));

	a->has_f = 1;
	a->f = value;
}

/* @n_ints times the same number: all our windows are square. */
static void attr_ints(struct zoo *z, Onnx__NodeProto *n, const char *name, size_t n_ints,
		      int64_t value)
{
	Onnx__AttributeProto *a = attr(z, n, name, ATTR(INTS));

	a->n_ints = n_ints;
	a->ints = zoo_alloc(z, n_ints * sizeof(*a->ints));
	for (size_t i = 0; i < n_ints; i++)
		a->ints[i] = value;
}

static struct zoo_map constant(struct zoo *z, int32_t type, size_t rank, const uint32_t *dims,
			       const void *data, size_t bytes)
{
	struct zoo_map c = {0};
	Onnx__NodeProto *n = node(z, "Constant", &c);
	void *copy = must(finf_arena_dup(&z->arena, data, bytes));

	attr(z, n, "value", ATTR(TENSOR))->t = tensor(z, type, rank, dims, copy, bytes);
	return c;
}

/* ---- layers -------------------------------------------------------------------- */

static Onnx__ValueInfoProto *port(struct zoo *z, const char *name, size_t rank,
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
	t->elem_type = FINF_F32;
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

struct zoo_map zoo_input(struct zoo *z, uint32_t channels, uint32_t size)
{
	const uint32_t side = z->side ? z->side : size;
	const uint32_t dims[] = {1, channels, side, side};

	push(z, &z->graph.n_input, &z->graph.input, port(z, "input", 4, dims));
	return (struct zoo_map){"input", channels, side};
}

struct zoo_map zoo_conv(struct zoo *z, struct zoo_map x, const char *name, struct zoo_conv conv)
{
	uint32_t groups = conv.groups ? conv.groups : 1;
	const uint32_t channels = z->narrow ? conv.channels / z->narrow : conv.channels;
	const uint32_t dims[] = {channels, x.channels / groups, conv.kernel, conv.kernel};
	size_t fan_in = (size_t)dims[1] * conv.kernel * conv.kernel;
	Onnx__NodeProto *n = node(z, "Conv", &x);
	struct param p = param(z, name, "weight", 4, dims);

	weights_filters(p.data, channels, fan_in, conv.gain, p.seed);
	add_input(z, n, p.name);
	if (conv.bias) {
		p = param(z, name, "bias", 1, dims);
		weights_normal(p.data, p.count, 0.1f, p.seed);
		add_input(z, n, p.name);
	}
	attr_ints(z, n, "dilations", 2, 1);
	attr_int(z, n, "group", groups);
	attr_ints(z, n, "kernel_shape", 2, conv.kernel);
	attr_ints(z, n, "pads", 4, conv.pad);
	attr_ints(z, n, "strides", 2, conv.stride);
	x.channels = channels;
	x.size = (x.size + 2 * conv.pad - conv.kernel) / conv.stride + 1;
	return x;
}

/* Statistics as training leaves them: near those of the input, never equal. */
struct zoo_map zoo_norm(struct zoo *z, struct zoo_map x, const char *name, float gain)
{
	static const char *const what[] = {"weight", "bias", "running_mean", "running_var"};
	Onnx__NodeProto *n = node(z, "BatchNormalization", &x);

	for (size_t i = 0; i < FINF_ARRAY_LEN(what); i++) {
		struct param p = param(z, name, what[i], 1, &x.channels);

		if (i == 0 || i == 3)
			weights_around(p.data, p.count, i ? 1 : gain, p.seed);
		else
			weights_normal(p.data, p.count, 0.1f, p.seed);
		add_input(z, n, p.name);
	}
	attr_float(z, n, "epsilon", 1e-5f);
	attr_float(z, n, "momentum", 0.9f);
	return x;
}

struct zoo_map zoo_linear(struct zoo *z, struct zoo_map x, const char *name, uint32_t out,
			  float gain)
{
	const uint32_t dims[] = {out, x.channels};
	Onnx__NodeProto *n = node(z, "Gemm", &x);
	struct param p = param(z, name, "weight", 2, dims);

	weights_filters(p.data, out, x.channels, gain, p.seed);
	add_input(z, n, p.name);
	p = param(z, name, "bias", 1, dims);
	weights_normal(p.data, p.count, 0.1f, p.seed);
	add_input(z, n, p.name);
	attr_float(z, n, "alpha", 1);
	attr_float(z, n, "beta", 1);
	attr_int(z, n, "transB", 1);
	x.channels = out;
	return x;
}

struct zoo_map zoo_relu(struct zoo *z, struct zoo_map x)
{
	node(z, "Relu", &x);
	return x;
}

struct zoo_map zoo_relu6(struct zoo *z, struct zoo_map x)
{
	static const float bounds[] = {0, 6};
	struct zoo_map low = constant(z, FINF_F32, 0, NULL, &bounds[0], sizeof(float));
	struct zoo_map high = constant(z, FINF_F32, 0, NULL, &bounds[1], sizeof(float));
	Onnx__NodeProto *n = node(z, "Clip", &x);

	add_input(z, n, low.name);
	add_input(z, n, high.name);
	return x;
}

struct zoo_map zoo_add(struct zoo *z, struct zoo_map a, struct zoo_map b)
{
	add_input(z, node(z, "Add", &a), b.name);
	return a;
}

struct zoo_map zoo_concat(struct zoo *z, struct zoo_map a, struct zoo_map b)
{
	Onnx__NodeProto *n = node(z, "Concat", &a);

	add_input(z, n, b.name);
	attr_int(z, n, "axis", 1);
	a.channels += b.channels;
	return a;
}

static struct zoo_map window(struct zoo *z, struct zoo_map x, const char *op, struct zoo_pool pool)
{
	Onnx__NodeProto *n = node(z, op, &x);
	uint32_t room = x.size + 2 * pool.pad - pool.kernel;

	attr_int(z, n, "ceil_mode", pool.ceil);
	attr_ints(z, n, "kernel_shape", 2, pool.kernel);
	attr_ints(z, n, "pads", 4, pool.pad);
	attr_ints(z, n, "strides", 2, pool.stride);
	x.size = (room + (pool.ceil ? pool.stride - 1 : 0)) / pool.stride + 1;
	return x;
}

struct zoo_map zoo_max_pool(struct zoo *z, struct zoo_map x, struct zoo_pool pool)
{
	return window(z, x, "MaxPool", pool);
}

struct zoo_map zoo_avg_pool(struct zoo *z, struct zoo_map x, uint32_t kernel)
{
	static const int64_t nothing[8];
	const uint32_t dims[] = {8};
	struct zoo_map pads = constant(z, FINF_I64, 1, dims, nothing, sizeof(nothing));
	Onnx__NodeProto *n = node(z, "Pad", &x);
	Onnx__AttributeProto *mode = attr(z, n, "mode", ATTR(STRING));

	mode->has_s = 1;
	mode->s.data = (uint8_t *)zoo_str(z, "constant");
	mode->s.len = strlen("constant");
	add_input(z, n, pads.name);
	return window(z, x, "AveragePool", (struct zoo_pool){kernel, kernel, 0, false});
}

struct zoo_map zoo_same_pool(struct zoo *z, struct zoo_map x)
{
	Onnx__NodeProto *n = node(z, "AveragePool", &x);

	attr_ints(z, n, "kernel_shape", 2, 1);
	attr_ints(z, n, "strides", 2, 1);
	return x;
}

struct zoo_map zoo_global_pool(struct zoo *z, struct zoo_map x)
{
	node(z, "GlobalAveragePool", &x);
	x.size = 1;
	return x;
}

static struct zoo_map flat(struct zoo_map x)
{
	x.channels *= x.size * x.size;
	x.size = 1;
	return x;
}

struct zoo_map zoo_flatten(struct zoo *z, struct zoo_map x)
{
	attr_int(z, node(z, "Flatten", &x), "axis", 1);
	return flat(x);
}

struct zoo_map zoo_view(struct zoo *z, struct zoo_map x)
{
	static const int64_t shape[] = {1, -1};
	const uint32_t dims[] = {2};
	struct zoo_map to = constant(z, FINF_I64, 1, dims, shape, sizeof(shape));

	add_input(z, node(z, "Reshape", &x), to.name);
	return flat(x);
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

int zoo_end(struct zoo *z, struct zoo_map x, const char *path, struct finf_diag *diag)
{
	const uint32_t dims[] = {1, x.channels};
	Onnx__NodeProto *last = z->graph.node[z->graph.n_node - 1];
	const char *part = zoo_text(z, "%.200s.part", path);
	int err;

	last->output[0] = zoo_str(z, "output");
	push(z, &z->graph.n_output, &z->graph.output, port(z, "output", 2, dims));
	err = write_model(&z->model, part);
	if (!err && rename(part, path) < 0)
		err = -errno;
	if (!err)
		return 0;
	unlink(part);
	return finf_diag_set(diag, err, "%.300s: %s", path, strerror(-err));
}
