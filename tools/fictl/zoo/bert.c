/* SPDX-License-Identifier: MIT */
/*
 * fictl/zoo: a small encoder of the kind of BERT (Devlin et al., NAACL 2019):
 * token and position embeddings, two post-norm layers with attention written
 * out and an additive padding mask, a pooler. As PyTorch writes it at opset 13,
 * where normalisation and GELU are still made of small operators.
 */
#include "tools/fictl/zoo/message.h"
#include "tools/fictl/zoo/weights.h"

#define WORDS	1000
#define PLACES	64
#define WIDTH	128
#define HEADS	4
#define HIDDEN	512
#define LAYERS	2
#define LENGTH	32

/*
 * The exporter transposes the weights of linear layers on sequences and numbers
 * them: the first layer's from here on, each further layer's so many higher.
 */
#define FIRST_NUMBER 289
#define LAYER_NUMBERS 25

static const struct {
	const char *name; /* of the bias */
	uint32_t number, in, out;
} linears[] = {
	{"attention.query", 0, WIDTH, WIDTH}, {"attention.key", 6, WIDTH, WIDTH},
	{"attention.value", 12, WIDTH, WIDTH}, {"attention.out", 22, WIDTH, WIDTH},
	{"up", 23, WIDTH, HIDDEN}, {"down", 24, HIDDEN, WIDTH},
};
enum { QUERY, KEY, VALUE, OUT, UP, DOWN };

/* ---- initialisers, in the export's order ----------------------------------------- */

static void table(struct zoo *z, const char *name, uint32_t rows, uint32_t columns, float spread)
{
	const uint32_t dims[] = {rows, columns};
	struct zoo_param p = zoo_param(z, name, 2, dims);

	weights_normal(p.data, p.count, spread, p.seed);
}

static void vector(struct zoo *z, const char *name, uint32_t n)
{
	struct zoo_param p = zoo_param(z, name, 1, &n);

	weights_normal(p.data, p.count, 0.1f, p.seed);
}

static void norm_params(struct zoo *z, const char *name)
{
	const uint32_t width = WIDTH;
	struct zoo_param p = zoo_param(z, zoo_text(z, "%s.weight", name), 1, &width);

	weights_around(p.data, p.count, 1, p.seed);
	vector(z, zoo_text(z, "%s.bias", name), WIDTH);
}

static const char *matrix_name(struct zoo *z, uint32_t layer, uint32_t which)
{
	return zoo_text(z, "onnx::MatMul_%u",
			FIRST_NUMBER + layer * LAYER_NUMBERS + linears[which].number);
}

static void layer_vectors(struct zoo *z, uint32_t layer)
{
	for (uint32_t i = 0; i < FINF_ARRAY_LEN(linears); i++) {
		if (i == UP)
			norm_params(z, zoo_text(z, "layers.%u.norm1", layer));
		vector(z, zoo_text(z, "layers.%u.%s.bias", layer, linears[i].name), linears[i].out);
	}
	norm_params(z, zoo_text(z, "layers.%u.norm2", layer));
}

static void params(struct zoo *z)
{
	int64_t order[LENGTH];
	const uint32_t dims[] = {1, LENGTH};

	table(z, "tokens.weight", WORDS, WIDTH, 1);
	table(z, "places.weight", PLACES, WIDTH, 1);
	norm_params(z, "norm");
	for (uint32_t l = 0; l < LAYERS; l++)
		layer_vectors(z, l);
	table(z, "pool.weight", WIDTH, WIDTH, 1.0f / 8);
	vector(z, "pool.bias", WIDTH);
	for (uint32_t i = 0; i < LENGTH; i++)
		order[i] = i;
	zoo_int_param(z, zoo_text(z, "onnx::Gather_%u", FIRST_NUMBER - 1), 2, dims, order);
	for (uint32_t l = 0; l < LAYERS; l++)
		for (uint32_t i = 0; i < FINF_ARRAY_LEN(linears); i++)
			table(z, matrix_name(z, l, i), linears[i].in, linears[i].out,
			      linears[i].in == WIDTH ? 1.0f / 8 : 1.0f / 16);
}

/* ---- values ------------------------------------------------------------------------ */

static const char *one(struct zoo *z, const char *op, const char *x)
{
	return zoo_node(z, op, x)->output[0];
}

static const char *two(struct zoo *z, const char *op, const char *a, const char *b)
{
	Onnx__NodeProto *n = zoo_node(z, op, a);

	zoo_node_input(z, n, b);
	return n->output[0];
}

static const char *mean(struct zoo *z, const char *x)
{
	Onnx__NodeProto *n = zoo_node(z, "ReduceMean", x);

	zoo_attr_ints(z, n, "axes", 1, -1);
	return n->output[0];
}

static const char *norm(struct zoo *z, const char *x, const char *name)
{
	const char *off = two(z, "Sub", x, mean(z, x)), *number = zoo_float(z, 2);
	const char *spread = mean(z, two(z, "Pow", off, number));

	number = zoo_float(z, 1e-12f);
	x = two(z, "Div", off, one(z, "Sqrt", two(z, "Add", spread, number)));
	x = two(z, "Mul", x, zoo_text(z, "%s.weight", name));
	return two(z, "Add", x, zoo_text(z, "%s.bias", name));
}

static const char *linear(struct zoo *z, const char *x, uint32_t layer, uint32_t which)
{
	x = two(z, "MatMul", x, matrix_name(z, layer, which));
	return two(z, "Add", zoo_text(z, "layers.%u.%s.bias", layer, linears[which].name), x);
}

static const char *heads(struct zoo *z, const char *x)
{
	static const int64_t shape[] = {1, LENGTH, HEADS, WIDTH / HEADS};
	const char *to = zoo_list(z, 4, shape);

	return two(z, "Reshape", x, to);
}

static const char *transpose(struct zoo *z, const char *x, const int64_t perm[4])
{
	Onnx__NodeProto *n = zoo_node(z, "Transpose", x);

	zoo_attr_list(z, n, "perm", 4, perm);
	return n->output[0];
}

static const int64_t head_first[] = {0, 2, 1, 3}, head_first_turned[] = {0, 2, 3, 1};

static const char *attention(struct zoo *z, const char *x, const char *mask, uint32_t layer)
{
	static const int64_t joined[] = {1, LENGTH, -1};
	const char *query, *key, *value, *score, *number;
	Onnx__NodeProto *n;

	query = transpose(z, heads(z, linear(z, x, layer, QUERY)), head_first);
	key = heads(z, linear(z, x, layer, KEY));
	value = transpose(z, heads(z, linear(z, x, layer, VALUE)), head_first);
	score = two(z, "MatMul", query, transpose(z, key, head_first_turned));
	number = zoo_float(z, 5.65685415f); /* the root of a head's width */
	score = two(z, "Add", two(z, "Div", score, number), mask);
	n = zoo_node(z, "Softmax", score);
	zoo_attr_int(z, n, "axis", -1);
	x = transpose(z, two(z, "MatMul", n->output[0], value), head_first);
	number = zoo_list(z, 3, joined);
	return linear(z, two(z, "Reshape", x, number), layer, OUT);
}

/* x / 2 * (1 + erf(x / sqrt(2))) */
static const char *gelu(struct zoo *z, const char *x)
{
	const char *number = zoo_float(z, 1.41421354f), *y;

	y = one(z, "Erf", two(z, "Div", x, number));
	number = zoo_float(z, 1);
	y = two(z, "Mul", x, two(z, "Add", y, number));
	number = zoo_float(z, 0.5f);
	return two(z, "Mul", y, number);
}

static const char *encoder_layer(struct zoo *z, const char *x, const char *mask, uint32_t layer)
{
	const char *y = attention(z, x, mask, layer);

	x = norm(z, two(z, "Add", x, y), zoo_text(z, "layers.%u.norm1", layer));
	y = linear(z, gelu(z, linear(z, x, layer, UP)), layer, DOWN);
	return norm(z, two(z, "Add", x, y), zoo_text(z, "layers.%u.norm2", layer));
}

/* (1 - mask[:, None, None, :]) * -10000 */
static const char *additive(struct zoo *z, const char *mask)
{
	static const int64_t one_axis = 1, two_axis = 2;
	const char *number = zoo_list(z, 1, &one_axis);
	Onnx__NodeProto *n;

	mask = two(z, "Unsqueeze", mask, number);
	number = zoo_list(z, 1, &two_axis);
	n = zoo_node(z, "Cast", two(z, "Unsqueeze", mask, number));
	zoo_attr_int(z, n, "to", FINF_F32);
	number = zoo_float(z, 1);
	mask = two(z, "Sub", number, n->output[0]);
	number = zoo_float(z, -10000);
	return two(z, "Mul", mask, number);
}

void zoo_bert_mini(struct zoo *z)
{
	const uint32_t length[] = {1, LENGTH}, hidden[] = {1, LENGTH, WIDTH}, pooled[] = {1, WIDTH};
	const char *ids = zoo_input_port(z, "ids", FINF_I64, 2, length);
	const char *mask = zoo_input_port(z, "mask", FINF_I64, 2, length);
	const char *first, *x;
	Onnx__NodeProto *n;

	params(z);
	first = zoo_int(z, 0);
	x = two(z, "Gather", "tokens.weight", ids);
	x = two(z, "Add", x,
		two(z, "Gather", "places.weight",
		    zoo_text(z, "onnx::Gather_%u", FIRST_NUMBER - 1)));
	x = norm(z, x, "norm");
	mask = additive(z, mask);
	for (uint32_t l = 0; l < LAYERS; l++)
		x = encoder_layer(z, x, mask, l);
	x = zoo_output_port(z, x, "hidden", 3, hidden);
	n = zoo_node(z, "Gather", x);
	zoo_node_input(z, n, first);
	zoo_attr_int(z, n, "axis", 1);
	n = zoo_node(z, "Gemm", n->output[0]);
	zoo_node_input(z, n, "pool.weight");
	zoo_node_input(z, n, "pool.bias");
	zoo_attr_float(z, n, "alpha", 1);
	zoo_attr_float(z, n, "beta", 1);
	zoo_attr_int(z, n, "transB", 1);
	x = one(z, "Tanh", n->output[0]);
	zoo_output_port(z, x, "pooled", 2, pooled);
}
