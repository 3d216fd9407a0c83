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

/**
 * import_attrs - the attributes of a node.
 * @param dir      as for import_tensor()
 * @param scratch  takes the array and copies; numbers are borrowed from @node
 */
int import_attrs(const Onnx__NodeProto *node, int dir, struct finf_arena *scratch,
		 struct finf_attr **ret, struct finf_diag *diag);

#endif
