/* SPDX-License-Identifier: MIT */
/*
 * import: ModelProto -> graph. Values first (initialisers, inputs, outputs of
 * nodes), then the nodes, which may come in any order; then the graph is
 * sorted, verified and its shapes inferred. Constants stay where protobuf-c
 * put them: the graph owns the unpacked model.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "import/internal.h"

#define IMPORT_IR_MIN 3

struct import {
	const Onnx__ModelProto *model; /* borrowed from graph->foreign */
	const Onnx__GraphProto *proto;
	struct finf_graph *graph;
	struct finf_arena scratch; /* owned: arrays handed to finf_graph_node() */
	struct import_nodes nodes; /* at: owned */
	uint32_t opset;
	int dir; /* the model's folder, borrowed; -1 = none */
	struct finf_diag *diag;
};

bool import_is_onnx_domain(const char *domain)
{
	return !domain || !*domain || !strcmp(domain, "ai.onnx");
}

const char *import_node_label(const Onnx__NodeProto *node)
{
	if (node->name && *node->name)
		return node->name;
	return node->n_output ? node->output[0] : "";
}

/* Put the place in front of the reason that is there; returns @err. */
static int at_node(struct import *im, const struct import_node *node, int err)
{
	if (err == -ENOMEM)
		return finf_diag_set(im->diag, err, "out of memory");
	finf_diag_prefix(im->diag, "node '" IMPORT_NAME_SHOWN "' (%.60s, opset %" PRIu32 ")",
			 import_node_label(node->proto),
			 node->proto->op_type ? node->proto->op_type : "", node->opset);
	return err;
}

/* ---- the model as a whole ------------------------------------------------ */

int import_opset(Onnx__OperatorSetIdProto *const *sets, size_t n, uint32_t *ret,
		 struct finf_diag *diag)
{
	int64_t version = 0;

	for (size_t i = 0; i < n; i++) {
		if (!import_is_onnx_domain(sets[i]->domain))
			continue; /* harmless unless a node uses it */
		if (version && version != sets[i]->version)
			return finf_diag_set(diag, -EINVAL,
					     "opsets %" PRId64 " and %" PRId64
					     " for the same domain",
					     version, sets[i]->version);
		version = sets[i]->version;
	}
	if (version && (version < FINF_IMPORT_OPSET_MIN || version > FINF_IMPORT_OPSET_MAX))
		return finf_diag_set(diag, -EOPNOTSUPP,
				     "opset %" PRId64 " is not supported, %d to %d are", version,
				     FINF_IMPORT_OPSET_MIN, FINF_IMPORT_OPSET_MAX);
	*ret = (uint32_t)version;
	return 0;
}

/* Parts of ONNX that would change what the graph means, and that we lack. */
static int refuse_features(struct import *im)
{
	const Onnx__SparseTensorProto *sparse;
	const char *name;

	if (im->model->n_training_info)
		return finf_diag_set(im->diag, -EOPNOTSUPP, "training info is not supported");
	if (im->proto->n_sparse_initializer) {
		sparse = im->proto->sparse_initializer[0];
		name = sparse->values ? sparse->values->name : NULL;
		return finf_diag_set(im->diag, -EOPNOTSUPP,
				     "sparse initialiser '" IMPORT_NAME_SHOWN "' is not supported",
				     name ? name : "");
	}
	return 0;
}

static int check_model(struct import *im)
{
	int err;

	if (!im->model->has_ir_version || !im->proto)
		return finf_diag_set(im->diag, -EBADMSG, "not an ONNX model: no %s",
				     im->proto ? "IR version" : "graph");
	if (im->model->ir_version < IMPORT_IR_MIN)
		return finf_diag_set(im->diag, -EOPNOTSUPP,
				     "IR version %" PRId64 " is not supported, %d and later are",
				     im->model->ir_version, IMPORT_IR_MIN);
	if (im->proto->name && *im->proto->name) {
		err = import_name_ok("graph", im->proto->name, im->diag);
		if (err)
			return err;
	}
	err = import_opset(im->model->opset_import, im->model->n_opset_import, &im->opset,
			   im->diag);
	if (!err && !im->opset)
		err = finf_diag_set(im->diag, -EINVAL, "no opset for the ONNX domain");
	return err ? err : refuse_features(im);
}

/* ---- values -------------------------------------------------------------- */

static int add_value(struct import *im, const char *what, const char *name, enum finf_dtype dtype,
		     const struct finf_shape *shape, uint32_t *ret)
{
	int err;

	err = import_name_ok(what, name, im->diag);
	if (err)
		return err;
	err = finf_graph_value(im->graph, name, dtype, shape, ret);
	if (err == -EEXIST)
		return finf_diag_set(im->diag, -EINVAL,
				     "%s '" IMPORT_NAME_SHOWN "' has a name that is taken", what,
				     name);
	return err;
}

static int add_initialiser(struct import *im, const Onnx__TensorProto *proto)
{
	struct finf_tensor tensor;
	uint32_t value;
	int err;

	err = import_name_ok("initialiser", proto->name, im->diag);
	if (err)
		return err;
	err = import_tensor(proto, im->dir, &im->graph->arena, &tensor, im->diag);
	if (err)
		return err;
	err = add_value(im, "initialiser", proto->name, tensor.dtype, &tensor.shape, &value);
	if (err)
		return err;
	return finf_graph_set_const(im->graph, value, tensor.data, tensor.bytes, false);
}

static int dim_of(const Onnx__TensorShapeProto__Dimension *dim, int64_t *ret)
{
	*ret = FINF_DIM_ANY;
	if (dim->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE)
		return 0;
	*ret = dim->dim_value;
	return dim->dim_value < 0 ? -EINVAL : 0;
}

/* The known dimensions alone must be a possible size. */
static bool shape_possible(struct finf_shape shape)
{
	size_t count;

	for (uint32_t i = 0; i < shape.rank; i++)
		if (shape.dim[i] == FINF_DIM_ANY)
			shape.dim[i] = 1;
	return !finf_shape_count(&shape, &count);
}

static int input_shape(struct import *im, const Onnx__ValueInfoProto *info, struct finf_shape *ret)
{
	const Onnx__TensorShapeProto *proto = info->type->tensor_type->shape;
	struct finf_shape shape = {0};

	if (!proto)
		return finf_diag_set(im->diag, -EOPNOTSUPP,
				     "input '" IMPORT_NAME_SHOWN "' has no shape, not even a rank",
				     info->name);
	if (proto->n_dim > FINF_RANK_MAX)
		return finf_diag_set(im->diag, -EOPNOTSUPP,
				     "input '" IMPORT_NAME_SHOWN "' has rank %zu, more than %d",
				     info->name, proto->n_dim, FINF_RANK_MAX);
	shape.rank = (uint32_t)proto->n_dim;
	for (uint32_t i = 0; i < shape.rank; i++)
		if (dim_of(proto->dim[i], &shape.dim[i]))
			return finf_diag_set(im->diag, -EINVAL,
					     "input '" IMPORT_NAME_SHOWN
					     "' has negative dimension %" PRId64,
					     info->name, shape.dim[i]);
	if (!shape_possible(shape))
		return finf_diag_set(im->diag, -EINVAL,
				     "input '" IMPORT_NAME_SHOWN "' has too many elements",
				     info->name);
	*ret = shape;
	return 0;
}

static int add_input(struct import *im, const Onnx__ValueInfoProto *info)
{
	enum finf_dtype dtype;
	struct finf_shape shape;
	uint32_t value;
	int err;

	err = import_name_ok("input", info->name, im->diag);
	if (err)
		return err;
	/* Up to IR 3 initialisers are listed as inputs too: they are constants here. */
	if (finf_graph_find(im->graph, info->name, &value) && im->graph->values[value].is_const)
		return 0;
	if (!info->type || info->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
		return finf_diag_set(im->diag, -EOPNOTSUPP,
				     "input '" IMPORT_NAME_SHOWN "' is not a tensor", info->name);
	err = import_dtype(info->type->tensor_type->elem_type, "input", info->name, &dtype,
			   im->diag);
	if (!err)
		err = input_shape(im, info, &shape);
	if (!err)
		err = add_value(im, "input", info->name, dtype, &shape, &value);
	return err ? err : finf_graph_input(im->graph, value);
}

static int add_node_outputs(struct import *im, const struct import_node *node)
{
	uint32_t value;
	int err = 0;

	for (size_t i = 0; !err && i < node->proto->n_output; i++)
		if (*node->proto->output[i])
			err = add_value(im, "output", node->proto->output[i], FINF_DTYPE_NONE, NULL,
					&value);
	return err ? at_node(im, node, err) : 0;
}

static int add_values(struct import *im)
{
	const Onnx__GraphProto *proto = im->proto;
	int err = 0;

	for (size_t i = 0; !err && i < proto->n_initializer; i++)
		err = add_initialiser(im, proto->initializer[i]);
	for (size_t i = 0; !err && i < proto->n_input; i++)
		err = add_input(im, proto->input[i]);
	for (uint32_t i = 0; !err && i < im->nodes.n; i++)
		err = add_node_outputs(im, &im->nodes.at[i]);
	return err;
}

/* ---- nodes --------------------------------------------------------------- */

/* Names -> value numbers; "" is an optional one left out, trailing ones vanish. */
static int resolve(struct import *im, char **names, size_t n, uint32_t **ret, uint32_t *ret_n)
{
	uint32_t *values;

	while (n && !*names[n - 1])
		n--;
	if (n > UINT32_MAX)
		return finf_diag_set(im->diag, -EINVAL, "%zu names", n);
	values = finf_arena_array(&im->scratch, n, sizeof(*values));
	if (!values)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		values[i] = FINF_NONE;
		if (*names[i] && !finf_graph_find(im->graph, names[i], &values[i]))
			return finf_diag_set(im->diag, -EINVAL,
					     "'" IMPORT_NAME_SHOWN
					     "' is no input, initialiser or output of a node",
					     names[i]);
	}
	*ret = values;
	*ret_n = (uint32_t)n;
	return 0;
}

static int find_op(struct import *im, const struct import_node *from, const struct finf_op **ret)
{
	const Onnx__NodeProto *node = from->proto;
	int err;

	if (node->name && *node->name) {
		err = import_name_ok("node", node->name, im->diag);
		if (err)
			return err;
	}
	err = import_name_ok("operator", node->op_type, im->diag);
	if (err)
		return err;
	if (!import_is_onnx_domain(node->domain))
		return finf_diag_set(im->diag, -EOPNOTSUPP,
				     "operator domain '" IMPORT_NAME_SHOWN
				     "' is not supported, and the model has no such function",
				     node->domain);
	if (!from->opset)
		return finf_diag_set(im->diag, -EINVAL,
				     "its function imports no opset of the ONNX domain");
	*ret = finf_op_find(node->op_type);
	if (!*ret)
		return finf_diag_set(im->diag, -EOPNOTSUPP, "operator is not supported");
	return 0;
}

static int build_node(struct import *im, const struct import_node *from)
{
	const Onnx__NodeProto *node = from->proto;
	const struct finf_op *op;
	struct finf_attr *attrs;
	uint32_t *in, *out, n_in, n_out;
	int err;

	err = find_op(im, from, &op);
	if (!err)
		err = import_attrs(node, im->dir, &im->scratch, &attrs, im->diag);
	if (!err)
		err = resolve(im, node->input, node->n_input, &in, &n_in);
	if (!err)
		err = resolve(im, node->output, node->n_output, &out, &n_out);
	if (err)
		return err;
	err = finf_graph_node(im->graph, op, from->opset, node->name, in, n_in, out, n_out, attrs,
			      (uint32_t)node->n_attribute, NULL);
	if (err == -EINVAL)
		finf_diag_set(im->diag, err,
			      "%" PRIu32 " inputs and %" PRIu32 " outputs do not fit this operator",
			      n_in, n_out);
	return err;
}

static int add_nodes(struct import *im)
{
	int err = 0;

	for (uint32_t i = 0; !err && i < im->nodes.n; i++) {
		err = build_node(im, &im->nodes.at[i]);
		if (err)
			err = at_node(im, &im->nodes.at[i], err);
	}
	return err;
}

static int add_outputs(struct import *im)
{
	struct finf_graph *graph = im->graph;
	struct finf_map listed;
	uint32_t value;
	int err = 0;

	if (!im->proto->n_output)
		return finf_diag_set(im->diag, -EINVAL, "the graph has no outputs");
	finf_map_init(&listed);
	for (size_t i = 0; !err && i < im->proto->n_output; i++) {
		const char *name = im->proto->output[i]->name;

		err = import_name_ok("graph output", name, im->diag);
		if (err)
			break;
		if (!finf_graph_find(graph, name, &value)) {
			err = finf_diag_set(im->diag, -EINVAL,
					    "graph output '" IMPORT_NAME_SHOWN
					    "' is produced by no node",
					    name);
			break;
		}
		err = finf_map_put(&listed, name, value);
		if (err == -EEXIST)
			err = finf_diag_set(im->diag, -EINVAL,
					    "graph output '" IMPORT_NAME_SHOWN "' is listed twice",
					    name);
		if (!err)
			err = finf_graph_output(graph, value);
	}
	finf_map_fini(&listed);
	return err;
}

/* ---- entry points -------------------------------------------------------- */

static int build(struct import *im)
{
	int err;

	err = check_model(im);
	if (!err)
		err = import_expand(im->model, im->opset, &im->scratch, &im->nodes, im->diag);
	if (!err)
		err = add_values(im);
	if (!err)
		err = add_nodes(im);
	if (!err)
		err = add_outputs(im);
	if (!err)
		err = finf_graph_sort(im->graph, im->diag);
	if (!err)
		err = finf_graph_verify(im->graph, im->diag);
	if (!err)
		err = finf_graph_infer(im->graph, im->diag);
	if (err == -ENOMEM)
		finf_diag_set(im->diag, err, "out of memory");
	return err;
}

static void release_message(void *message)
{
	protobuf_c_message_free_unpacked(message, NULL);
}

static int import_model(const void *data, size_t bytes, int dir, struct finf_graph **ret_graph,
			struct finf_diag *diag)
{
	struct import im = {.dir = dir, .diag = diag};
	ProtobufCMessage *message;
	int err;

	err = import_unpack(&onnx__model_proto__descriptor, data, bytes, &message, diag);
	if (err)
		return err;
	im.model = (const Onnx__ModelProto *)message;
	im.proto = im.model->graph;
	err = finf_graph_new(im.proto && im.proto->name ? im.proto->name : "", &im.graph);
	if (err) {
		release_message(message);
		return finf_diag_set(diag, err, "out of memory");
	}
	im.graph->foreign = message;
	im.graph->release = release_message;
	finf_arena_init(&im.scratch);
	err = build(&im);
	free(im.nodes.at);
	finf_arena_fini(&im.scratch);
	if (err) {
		finf_graph_free(im.graph);
		return err;
	}
	*ret_graph = im.graph;
	return 0;
}

int finf_import_onnx(const void *data, size_t bytes, struct finf_graph **ret_graph,
		     struct finf_diag *diag)
{
	return import_model(data, bytes, -1, ret_graph, diag);
}

/* The folder that holds @path; -1 when it cannot be opened, and external data neither. */
static int open_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int fd = folder ? open(folder, O_RDONLY | O_CLOEXEC | O_DIRECTORY) : -1;

	free(folder);
	return fd;
}

int finf_import_file(const char *path, struct finf_graph **ret_graph, struct finf_diag *diag)
{
	const void *data;
	size_t bytes;
	int fd, dir, err;

	/* O_NONBLOCK: a FIFO must be refused, not waited for. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return finf_diag_set(diag, -errno, "%.300s: %s", path, strerror(errno));
	err = finf_file_map(fd, &data, &bytes);
	close(fd);
	if (err)
		return finf_diag_set(diag, err, "%.300s: %s", path,
				     err == -EINVAL ? "not a regular file" : strerror(-err));
	dir = open_folder(path);
	err = import_model(data, bytes, dir, ret_graph, diag);
	if (dir >= 0)
		close(dir);
	finf_file_unmap(data, bytes);
	if (err)
		finf_diag_prefix(diag, "%.200s", path);
	return err;
}
