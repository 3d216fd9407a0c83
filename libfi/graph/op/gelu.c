/* SPDX-License-Identifier: MIT */
/*
 * Gelu: x times the normal distribution's share below x, by the error function,
 * or with approximate = tanh by a curve close to it (ONNX Gelu-20).
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "graph/op/compute.h"

static int read_approximate(const struct finf_node *node, bool *ret_tanh, struct finf_diag *diag)
{
	const char *text = finf_node_str(node, "approximate", "none");

	*ret_tanh = !strcmp(text, "tanh");
	if (*ret_tanh || !strcmp(text, "none"))
		return 0;
	return finf_diag_set(diag, -EINVAL, "approximate is %s, not none or tanh", text);
}

static int infer(struct finf_infer *ctx)
{
	bool by_tanh;
	int err = read_approximate(ctx->node, &by_tanh, ctx->diag);

	return err ? err : finf_infer_same(ctx);
}

static double gelu(double x, bool by_tanh)
{
	if (by_tanh)
		return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
	return 0.5 * x * (1 + erf(x * M_SQRT1_2));
}

static int eval(const struct finf_node *node, const struct finf_tensor *const *in,
		struct finf_tensor *const *out)
{
	size_t n = finf_dims_product(&in[0]->shape, 0, in[0]->shape.rank);
	const float *x = in[0]->data;
	float *y = out[0]->data;
	bool by_tanh;
	int err = read_approximate(node, &by_tanh, NULL);

	for (size_t i = 0; !err && i < n; i++)
		y[i] = (float)gelu((double)x[i], by_tanh);
	return err;
}

static const struct finf_attr_spec attrs[] = {
	{.name = "approximate", .type = FINF_ATTR_STRING},
	{0},
};

const struct finf_op finf_op_gelu = {
	.name = "Gelu",
	.opset_min = 20,
	.opset_max = 21,
	.min_in = 1,
	.max_in = 1,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.eval = eval,
};
