/* SPDX-License-Identifier: MIT */
/*
 * fictl/zoo/message - pieces of an ONNX model, appended in order. Values go by
 * name; everything lies in the zoo's arena. Running out of memory ends the
 * program: this is a tool, and nothing is on disk yet.
 * Must not know: layers.
 */
#ifndef FICTL_ZOO_MESSAGE_H
#define FICTL_ZOO_MESSAGE_H

#include "tools/fictl/zoo/build.h"

void *zoo_alloc(struct zoo *z, size_t bytes);
char *zoo_str(struct zoo *z, const char *text);

/* An initialiser; its numbers are still to be filled in. */
struct zoo_param {
	const char *name;
	float *data;
	size_t count;
	uint64_t seed; /* its own, whatever comes before it */
};

struct zoo_param zoo_param(struct zoo *z, const char *name, size_t rank, const uint32_t *dims);
void zoo_int_param(struct zoo *z, const char *name, size_t rank, const uint32_t *dims,
		   const int64_t *values);

/** zoo_node - a node with one output, n->output[0]. @input may be NULL. */
Onnx__NodeProto *zoo_node(struct zoo *z, const char *op, const char *input);
void zoo_node_input(struct zoo *z, Onnx__NodeProto *n, const char *name);
void zoo_attr_int(struct zoo *z, Onnx__NodeProto *n, const char *name, int64_t value);
void zoo_attr_float(struct zoo *z, Onnx__NodeProto *n, const char *name, float value);
void zoo_attr_text(struct zoo *z, Onnx__NodeProto *n, const char *name, const char *text);
/** @n_ints times the same number, as square windows have it; and a list of different ones. */
void zoo_attr_ints(struct zoo *z, Onnx__NodeProto *n, const char *name, size_t n_ints,
		   int64_t value);
void zoo_attr_list(struct zoo *z, Onnx__NodeProto *n, const char *name, size_t n_ints,
		   const int64_t *ints);

/* Constant nodes: a scalar, a scalar of int64, a list of int64. The value's name. */
const char *zoo_float(struct zoo *z, float value);
const char *zoo_int(struct zoo *z, int64_t value);
const char *zoo_list(struct zoo *z, uint32_t n, const int64_t *values);

const char *zoo_input_port(struct zoo *z, const char *name, int32_t type, size_t rank,
			   const uint32_t *dims);
/** zoo_output_port - what the last node made becomes output @name; returns that. */
const char *zoo_output_port(struct zoo *z, const char *value, const char *name, size_t rank,
			    const uint32_t *dims);

#endif
