/* SPDX-License-Identifier: MIT */
/*
 * import/internal - shared by the files of this room and nobody else: the scan
 * of any ONNX message, the unpacker, tensors and attributes.
 */
#ifndef FINF_IMPORT_INTERNAL_H
#define FINF_IMPORT_INTERNAL_H

#include <onnx.pb-c.h>

#include "graph/op.h"
#include "import/import.h"

/* Longest name of a value, node, operator or attribute, in bytes. */
#define IMPORT_NAME_MAX 512
/* More attributes than any operator has: looking for one is linear. */
#define IMPORT_ATTRS_MAX 64
/* Names in messages are cut here, so that the reason always fits. */
#define IMPORT_NAME_SHOWN "%.120s"

/* finf_import_scan() for a message of any type. */
int import_scan(const ProtobufCMessageDescriptor *type, const void *data, size_t bytes,
		struct finf_diag *diag);

/**
 * import_unpack - scan, then protobuf-c.
 * @param ret  protobuf_c_message_free_unpacked(*ret, NULL)
 * Return: 0; -EBADMSG; -ENOMEM.
 */
int import_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t bytes,
		  ProtobufCMessage **ret, struct finf_diag *diag);

/**
 * import_name_ok - UTF-8 without control characters, 1..IMPORT_NAME_MAX bytes.
 * @param what  "graph input", for the message
 * Return: 0; -EINVAL with diag.
 */
int import_name_ok(const char *what, const char *name, struct finf_diag *diag);

/* No domain at all, or the name that it has. */
bool import_is_onnx_domain(const char *domain);

/* What to call a node in a message: many exporters leave the name out. */
const char *import_node_label(const Onnx__NodeProto *node);

/**
 * import_opset - version of the ONNX domain among the imports of a model or function.
 * @param ret  0 when it is not there
 * Return: 0; -EINVAL two versions; -EOPNOTSUPP one that we do not know.
 */
int import_opset(Onnx__OperatorSetIdProto *const *sets, size_t n, uint32_t *ret,
		 struct finf_diag *diag);

/* The nodes to build: the model's own, and those of the functions it calls. */
struct import_nodes {
	struct import_node {
		const Onnx__NodeProto *proto; /* borrowed */
		uint32_t opset;		      /* 0 = its function imports none */
	} * at;				      /* owned */
	uint32_t n, cap;
};

/* Return: 0, -ENOMEM. */
int import_nodes_add(struct import_nodes *nodes, const Onnx__NodeProto *node, uint32_t opset);

/**
 * import_expand - all nodes of a model, calls of its functions replaced by their bodies.
 * @param arena  takes what is made up; lives as long as @ret, whose array is freed by the caller
 * Return: 0; -EINVAL function and call contradict; -ELOOP a function calls itself;
 * -EOPNOTSUPP too deep or too large; -ENOMEM.
 */
int import_expand(const Onnx__ModelProto *model, uint32_t opset, struct finf_arena *arena,
		  struct import_nodes *ret, struct finf_diag *diag);

/**
 * import_dtype - the dtype of an ONNX element type.
 * @param what,name  who asks, for the message
 * Return: 0; -EINVAL undefined; -EOPNOTSUPP one that we do not store.
 */
int import_dtype(int32_t type, const char *what, const char *name, enum finf_dtype *ret,
		 struct finf_diag *diag);

/**
 * import_tensor - a TensorProto as a dense tensor.
 * @param dir    the model's folder, for external data; -1 = none
 * @param arena  takes elements that must be converted or lie in another file;
 *               all others are borrowed from @proto, as is the name
 * Return: 0; -EINVAL; -EOPNOTSUPP; -ENOMEM; errno of opening external data.
 */
int import_tensor(const Onnx__TensorProto *proto, int dir, struct finf_arena *arena,
		  struct finf_tensor *ret, struct finf_diag *diag);

/** import_external - fill in data of @tensor, whose dtype, shape and bytes are known. */
int import_external(const Onnx__TensorProto *proto, const char *name, int dir,
		    struct finf_arena *arena, struct finf_tensor *tensor, struct finf_diag *diag);

/* Does it stand for an attribute of the function around it? */
bool import_attr_refers(const Onnx__AttributeProto *a);

/**
 * import_attrs - the attributes of a node.
 * @param dir      as for import_tensor()
 * @param scratch  takes the array and copies; numbers are borrowed from @node
 */
int import_attrs(const Onnx__NodeProto *node, int dir, struct finf_arena *scratch,
		 struct finf_attr **ret, struct finf_diag *diag);

#endif
