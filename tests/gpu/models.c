/* SPDX-License-Identifier: MIT */
/*
 * models DIR - networks for the folder of a GPU machine that fictl's zoo does not have:
 * operators.onnx, one node or two for each operator that no network of the zoo needs, and
 * variant0.onnx and on: one backbone with three heads, for a batched group.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/fictl/zoo/message.h"
#include "tools/fictl/zoo/weights.h"

#define OPSET	 13
#define VARIANTS 3

static const uint32_t image[] = {1, 8, 12, 12};

static const char *weight(struct zoo *z, const char *name, size_t rank, const uint32_t *dims,
			  float spread)
{
	struct zoo_param p = zoo_param(z, name, rank, dims);

	weights_normal(p.data, p.count, spread, p.seed);
	return p.name;
}

static const char *floats(struct zoo *z, const char *name, uint32_t n, const float *v)
{
	struct zoo_param p = zoo_param(z, name, n > 1, &n);

	memcpy(p.data, v, n * sizeof(*v));
	return p.name;
}

static const char *ints(struct zoo *z, const char *name, size_t rank, const uint32_t *dims,
			const int64_t *v)
{
	zoo_int_param(z, name, rank, dims, v);
	return name;
}

static const char *two(struct zoo *z, const char *op, const char *a, const char *b)
{
	Onnx__NodeProto *n = zoo_node(z, op, a);

	zoo_node_input(z, n, b);
	return n->output[0];
}

/* ---- operators ------------------------------------------------------------------------ */

/* To twice the size, by a product of matrices where @in is large. */
static const char *transposed(struct zoo *z, const char *x, const char *name, uint32_t in,
			      uint32_t out)
{
	const uint32_t dims[] = {in, out, 2, 2};
	Onnx__NodeProto *n = zoo_node(z, "ConvTranspose", x);

	zoo_node_input(z, n, weight(z, name, 4, dims, 0.3f));
	zoo_attr_ints(z, n, "strides", 2, 2);
	return n->output[0];
}

static void resized(struct zoo *z, const char *x, const char *mode, const char *coord,
		    uint32_t size)
{
	const uint32_t four = 4, shape[] = {1, 6, size, size};
	const int64_t sizes[] = {1, 6, size, size};
	Onnx__NodeProto *n = zoo_node(z, "Resize", x);

	zoo_node_input(z, n, "");
	zoo_node_input(z, n, "");
	zoo_node_input(z, n, ints(z, zoo_text(z, "sizes.%s", mode), 1, &four, sizes));
	zoo_attr_text(z, n, "mode", mode);
	zoo_attr_text(z, n, "coordinate_transformation_mode", coord);
	zoo_output_port(z, n->output[0], zoo_text(z, "resized.%s", mode), 4, shape);
}

static void decoder(struct zoo *z, const char *x)
{
	Onnx__NodeProto *n = zoo_node(z, "LRN", x);
	const char *y;

	zoo_attr_int(z, n, "size", 5);
	y = transposed(z, n->output[0], "up.few", 8, 20);
	y = transposed(z, y, "up.many", 20, 6);
	resized(z, y, "linear", "half_pixel", 31);
	resized(z, y, "cubic", "align_corners", 67);
	resized(z, y, "nearest", "asymmetric", 96);
}

/* Of the input as it is, so that an index or a rounding is the same on every device. */
static void top(struct zoo *z, const char *x)
{
	static const uint32_t one = 1, shape[] = {1, 8, 12, 5};
	static const int64_t k = 5;
	Onnx__NodeProto *n = zoo_node(z, "TopK", x);
	char **both = zoo_alloc(z, 2 * sizeof(*both));

	zoo_node_input(z, n, ints(z, "k", 1, &one, &k));
	both[0] = n->output[0];
	both[1] = (char *)zoo_text(z, "which");
	n->output = both;
	n->n_output = 2;
	zoo_output_port(z, both[0], "top", 4, shape);
}

static void indexed(struct zoo *z, const char *x)
{
	static const uint32_t pairs[] = {4, 2}, slices[] = {4, 12, 12}, line[] = {1, 8, 12, 1};
	static const int64_t places[] = {0, 7, 0, 0, 0, -3, 0, 2};
	const char *index = ints(z, "places", 2, pairs, places);
	const char *rows = two(z, "GatherND", x, index), *twice;
	int64_t columns[96];
	Onnx__NodeProto *n;

	rows = zoo_output_port(z, rows, "gathered", 3, slices);
	twice = two(z, "Add", rows, rows);
	n = zoo_node(z, "ScatterND", x);
	zoo_node_input(z, n, index);
	zoo_node_input(z, n, twice);
	zoo_output_port(z, n->output[0], "scattered", 4, image);
	for (int i = 0; i < 96; i++)
		columns[i] = i % 23 - 11;
	n = zoo_node(z, "ScatterElements", x);
	zoo_node_input(z, n, ints(z, "columns", 4, line, columns));
	zoo_node_input(z, n, weight(z, "updates", 4, line, 1));
	zoo_attr_int(z, n, "axis", 3);
	zoo_output_port(z, n->output[0], "put", 4, image);
}

static void rounded(struct zoo *z, const char *x)
{
	const char *scale = floats(z, "scale", 1, &(float){0.0125f});
	Onnx__NodeProto *n;

	zoo_output_port(z, two(z, "DequantizeLinear", two(z, "QuantizeLinear", x, scale), scale),
			"quantized", 4, image);
	n = zoo_node(z, "Mod", x);
	zoo_node_input(z, n, scale);
	zoo_attr_int(z, n, "fmod", 1);
	zoo_output_port(z, n->output[0], "rest", 4, image);
}

static void attention(struct zoo *z, const char *x)
{
	static const uint32_t shape[] = {1, 12, 8, 12};
	Onnx__NodeProto *n = zoo_node(z, "Einsum", x);
	const char *scores = n->output[0];

	zoo_node_input(z, n, x);
	zoo_attr_text(z, n, "equation", "bhqd,bhkd->bhqk");
	n = zoo_node(z, "Einsum", scores);
	zoo_node_input(z, n, x);
	zoo_attr_text(z, n, "equation", "bhqk,bhkd->bqhd");
	zoo_output_port(z, n->output[0], "context", 4, shape);
}

static void operators(struct zoo *z)
{
	const char *x = zoo_input_port(z, "x", FINF_F32, 4, image);

	decoder(z, x);
	top(z, x);
	indexed(z, x);
	rounded(z, x);
	attention(z, x);
}

/* ---- variants -------------------------------------------------------------------------- */

/* Numbers follow from names: what is called alike is alike. */
static void variant(struct zoo *z, unsigned number)
{
	const struct zoo_conv conv = {32, 3, 1, 1, 0, true, 1};
	struct zoo_map x = zoo_input(z, 3, 32);

	x = zoo_relu(z, zoo_conv(z, x, "first", conv));
	x = zoo_max_pool(z, x, (struct zoo_pool){.kernel = 2, .stride = 2});
	x = zoo_relu(z, zoo_conv(z, x, "second", conv));
	x = zoo_flatten(z, zoo_global_pool(z, x));
	zoo_output(z, zoo_linear(z, x, zoo_text(z, "head%u", number), 10, 1));
}

/* ---------------------------------------------------------------------------------------- */

static int finish(struct zoo *z, const char *dir, const char *name)
{
	struct finf_diag diag = {""};
	char path[4096];
	int err;

	snprintf(path, sizeof(path), "%s/%s.onnx", dir, name);
	err = zoo_end(z, path, &diag);
	if (err)
		fprintf(stderr, "models: %s\n", diag.text);
	zoo_free(z);
	return err;
}

int main(int argc, char **argv)
{
	struct zoo z;
	int err;

	if (argc != 2) {
		fprintf(stderr, "usage: models DIR\n");
		return 2;
	}
	zoo_begin(&z, "operators", OPSET, 1);
	operators(&z);
	err = finish(&z, argv[1], "operators");
	for (unsigned k = 0; k < VARIANTS && !err; k++) {
		char name[16];

		snprintf(name, sizeof(name), "variant%u", k);
		zoo_begin(&z, "variant", OPSET, 1);
		variant(&z, k);
		err = finish(&z, argv[1], name);
	}
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
