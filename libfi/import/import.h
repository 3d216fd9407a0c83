/* SPDX-License-Identifier: MIT */
/*
 * import - ONNX bytes -> graph. A bounded wire-level scan runs first, because
 * protobuf-c has no recursion limit; then protobuf-c; then the graph is built,
 * sorted, verified and shapes inferred.
 * Must not know: devices, plans, packs, passes.
 */
#ifndef FINF_IMPORT_H
#define FINF_IMPORT_H

#include "graph/graph.h"

#define FINF_IMPORT_DEPTH_MAX 64
#define FINF_IMPORT_OPSET_MIN 7
#define FINF_IMPORT_OPSET_MAX 21

/**
 * finf_import_scan - is this a protobuf message whose lengths fit and whose
 * nesting is at most FINF_IMPORT_DEPTH_MAX along the fields of ONNX?
 * Return: 0; -EBADMSG with offset and reason.
 */
int finf_import_scan(const void *data, size_t bytes, struct finf_diag *diag);

/**
 * finf_import_onnx - a ModelProto as a graph.
 * @param data  borrowed during the call; constants are held by the graph
 * Return: 0; -EBADMSG not ONNX, truncated, hostile; -EOPNOTSUPP operator,
 * opset, dtype or feature we refuse, naming node, operator and opset;
 * -EINVAL contradicting shapes, missing initialisers, duplicate names;
 * -ELOOP cycle; -ENOMEM.
 */
int finf_import_onnx(const void *data, size_t bytes, struct finf_graph **ret_graph,
		     struct finf_diag *diag);

/** finf_import_file - the same from a file (mapped). Also -errno of open. */
int finf_import_file(const char *path, struct finf_graph **ret_graph, struct finf_diag *diag);

/**
 * finf_import_tensor - an ONNX TensorProto (input_K.pb of the backend tests).
 * @param ret  data and name are malloc'd: free with finf_import_tensor_free()
 */
int finf_import_tensor(const void *data, size_t bytes, struct finf_tensor *ret,
		       struct finf_diag *diag);
void finf_import_tensor_free(struct finf_tensor *tensor);

#endif
