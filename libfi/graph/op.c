/* SPDX-License-Identifier: MIT */
/* graph: the operator table, its checks, and helpers every operator shares. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "graph/op.h"

#define FINF_OP(row) extern const struct finf_op finf_op_##row;
#include "graph/op/table.def"
#undef FINF_OP

static const struct finf_op *const table[] = {
#define FINF_OP(row) &finf_op_##row,
#include "graph/op/table.def"
#undef FINF_OP
};

const struct finf_op *finf_op_find(const char *name)
{
	for (size_t i = 0; i < FINF_ARRAY_LEN(table); i++)
		if (!strcmp(table[i]->name, name))
			return table[i];
	return NULL;
}

const struct finf_op *finf_op_at(uint32_t index)
{
	return index < FINF_ARRAY_LEN(table) ? table[index] : NULL;
}

/* ---- checking a node against its row ------------------------------------ */

static const char *attr_type_name(enum finf_attr_type type)
{
	static const char *const names[] = {
		[FINF_ATTR_INT] = "an integer",		 [FINF_ATTR_FLOAT] = "a float",
		[FINF_ATTR_STRING] = "a string",	 [FINF_ATTR_INTS] = "a list of integers",
		[FINF_ATTR_FLOATS] = "a list of floats", [FINF_ATTR_TENSOR] = "a tensor",
	};

	return type < FINF_ARRAY_LEN(names) && names[type] ? names[type] : "of unknown type";
}

static int check_opset(const struct finf_node *node, struct finf_diag *diag)
{
	const struct finf_op *op = node->op;

	if (node->opset >= op->opset_min && node->opset <= op->opset_max)
		return 0;
	return finf_diag_set(diag, -EOPNOTSUPP, "opset %u is not supported (%u to %u are)",
			     node->opset, op->opset_min, op->opset_max);
}

static int check_arity(const char *what, const uint32_t *values, uint32_t n, uint8_t min,
		       uint8_t max, struct finf_diag *diag)
{
	if (n < min || (max != 255 && n > max))
		return finf_diag_set(diag, -EINVAL, "%u %ss, but %u to %u are allowed", n, what,
				     min, max);
	for (uint32_t i = 0; i < min; i++)
		if (values[i] == FINF_NONE)
			return finf_diag_set(diag, -EINVAL, "%s %u is missing", what, i);
	return 0;
}

static const struct finf_attr_spec *attr_spec(const struct finf_op *op, const char *name)
{
	for (const struct finf_attr_spec *spec = op->attrs; spec && spec->name; spec++)
		if (!strcmp(spec->name, name))
			return spec;
	return NULL;
}

static int check_attr(const struct finf_node *node, const struct finf_attr *attr,
		      struct finf_diag *diag)
{
	const struct finf_attr_spec *spec = attr_spec(node->op, attr->name);

	if (!spec)
		return finf_diag_set(diag, -EOPNOTSUPP, "attribute %s is not supported",
				     attr->name);
	if ((spec->since && node->opset < spec->since) ||
	    (spec->until && node->opset > spec->until))
		return finf_diag_set(diag, -EOPNOTSUPP, "attribute %s does not exist in this opset",
				     attr->name);
	if (spec->type != attr->type)
		return finf_diag_set(diag, -EINVAL, "attribute %s is %s, but must be %s",
				     attr->name, attr_type_name(attr->type),
				     attr_type_name(spec->type));
	if (finf_node_attr(node, attr->name) != attr)
		return finf_diag_set(diag, -EINVAL, "attribute %s is given twice", attr->name);
	return 0;
}

static int check_required(const struct finf_node *node, struct finf_diag *diag)
{
	for (const struct finf_attr_spec *spec = node->op->attrs; spec && spec->name; spec++) {
		if (!spec->required || finf_node_attr(node, spec->name))
			continue;
		if ((spec->since && node->opset < spec->since) ||
		    (spec->until && node->opset > spec->until))
			continue;
		return finf_diag_set(diag, -EINVAL, "attribute %s is missing", spec->name);
	}
	return 0;
}

int finf_op_check(const struct finf_node *node, struct finf_diag *diag)
{
	const struct finf_op *op = node->op;
	int err;

	err = check_opset(node, diag);
	if (!err)
		err = check_arity("input", node->in, node->n_in, op->min_in, op->max_in, diag);
	if (!err)
		err = check_arity("output", node->out, node->n_out, op->min_out, op->max_out, diag);
	for (uint32_t i = 0; !err && i < node->n_attrs; i++)
		err = check_attr(node, &node->attrs[i], diag);
	if (!err)
		err = check_required(node, diag);
	if (err)
		finf_diag_prefix(diag, "node %s, operator %s, opset %u", node->name, op->name,
				 node->opset);
	return err;
}

/* ---- evaluating ----------------------------------------------------------- */

/* The curves, in double: what they share with operators of their own is the formula. */
static double curve(enum finf_act act, double a, double x)
{
	double step;

	switch (act) {
	case FINF_ACT_ELU:
		return x < 0 ? a * expm1(x) : x;
	case FINF_ACT_GELU:
		return 0.5 * x * (1 + erf(x * M_SQRT1_2));
	case FINF_ACT_GELU_TANH:
		return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
	case FINF_ACT_HARD_SWISH:
		step = x / 6 + 0.5;
		return x * (step < 0 ? 0 : step > 1 ? 1 : step);
	case FINF_ACT_MISH:
		return x * tanh((x > 0 ? x : 0) + log1p(exp(-fabs(x))));
	case FINF_ACT_SWISH:
		return x / (1 + exp(-x));
	default: /* FINF_ACT_TANH */
		return tanh(x);
	}
}

void finf_act_apply(enum finf_act act, float a, float b, float *x, size_t n)
{
	switch (act) {
	case FINF_ACT_NONE:
		break;
	case FINF_ACT_RELU:
		for (size_t i = 0; i < n; i++)
			x[i] = x[i] < 0 ? 0 : x[i]; /* NaN stays NaN */
		break;
	case FINF_ACT_LEAKY:
		for (size_t i = 0; i < n; i++)
			x[i] = x[i] < 0 ? a * x[i] : x[i];
		break;
	case FINF_ACT_CLIP:
		for (size_t i = 0; i < n; i++) {
			x[i] = x[i] < a ? a : x[i];
			x[i] = x[i] > b ? b : x[i];
		}
		break;
	case FINF_ACT_SIGMOID:
		for (size_t i = 0; i < n; i++)
			x[i] = 1.0f / (1.0f + expf(-x[i]));
		break;
	default:
		for (size_t i = 0; i < n; i++)
			x[i] = (float)curve(act, (double)a, (double)x[i]);
	}
}

/* No output has an element: kernels need not count to nothing. */
static bool nothing_to_do(const struct finf_node *node, struct finf_tensor *const *out)
{
	for (uint32_t i = 0; i < node->n_out; i++) {
		size_t n;

		if (out[i] && (finf_shape_count(&out[i]->shape, &n) || n))
			return false;
	}
	return true;
}

size_t finf_op_units(const struct finf_node *node, const struct finf_tensor *const *in,
		     struct finf_tensor *const *out)
{
	const struct finf_op *op = node->op;
	size_t n;

	if (!op->range || nothing_to_do(node, out))
		return 0;
	if (op->units)
		return op->units(node, in, out);
	return finf_shape_count(&out[0]->shape, &n) ? 0 : n;
}

int finf_op_eval_span(const struct finf_node *node, const struct finf_tensor *const *in,
		      struct finf_tensor *const *out, struct finf_span span)
{
	return node->op->range(node, in, out, span);
}

/* All of it at once, however the operator says it. */
static int evaluate(const struct finf_node *node, const struct finf_tensor *const *in,
		    struct finf_tensor *const *out)
{
	size_t units;

	if (!node->op->range)
		return node->op->eval(node, in, out);
	units = finf_op_units(node, in, out);
	return units ? finf_op_eval_span(node, in, out, (struct finf_span){0, units}) : -EINVAL;
}

int finf_op_eval(const struct finf_node *node, const struct finf_tensor *const *in,
		 struct finf_tensor *const *out)
{
	size_t n;
	int err;

	if (nothing_to_do(node, out))
		return 0;
	err = evaluate(node, in, out);
	if (err || node->act == FINF_ACT_NONE)
		return err;
	if (out[0]->dtype != FINF_F32)
		return -EINVAL;
	err = finf_shape_count(&out[0]->shape, &n);
	if (!err)
		finf_act_apply(node->act, node->act_a, node->act_b, out[0]->data, n);
	return err;
}

int finf_tensor_copy(const struct finf_tensor *from, struct finf_tensor *to)
{
	size_t bytes, room;

	if (finf_tensor_bytes(from->dtype, &from->shape, &bytes) ||
	    finf_tensor_bytes(to->dtype, &to->shape, &room) || bytes != room)
		return -EINVAL;
	if (bytes)
		memcpy(to->data, from->data, bytes);
	return 0;
}

void finf_copy_span(const struct finf_tensor *from, struct finf_tensor *to, struct finf_span span)
{
	size_t each = finf_dtype_bytes(from->dtype);

	memcpy((char *)to->data + span.from * each, (const char *)from->data + span.from * each,
	       (span.to - span.from) * each);
}

/* ---- shapes ----------------------------------------------------------------- */

bool finf_axis(int64_t axis, uint32_t rank, uint32_t *ret)
{
	if (axis < -(int64_t)rank || axis >= (int64_t)rank)
		return false;
	*ret = (uint32_t)(axis < 0 ? axis + rank : axis);
	return true;
}

/* One pair of extents; an unknown one may still turn out to be 1. */
static bool broadcast_dim(int64_t a, int64_t b, int64_t *ret)
{
	if (a == b || b == 1) {
		*ret = a;
		return true;
	}
	if (a == 1 || a == FINF_DIM_ANY) {
		*ret = b;
		return true;
	}
	*ret = a;
	return b == FINF_DIM_ANY;
}

int finf_broadcast(const struct finf_shape *a, const struct finf_shape *b, struct finf_shape *ret)
{
	struct finf_shape out = {.rank = FINF_MAX(a->rank, b->rank)};

	for (uint32_t i = 0; i < out.rank; i++) {
		int64_t da = i < out.rank - a->rank ? 1 : a->dim[i - (out.rank - a->rank)];
		int64_t db = i < out.rank - b->rank ? 1 : b->dim[i - (out.rank - b->rank)];

		if (!broadcast_dim(da, db, &out.dim[i]))
			return -EINVAL;
	}
	*ret = out;
	return 0;
}
