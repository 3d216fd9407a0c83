/* SPDX-License-Identifier: MIT */
/* host: a node in one combination of layouts, and what builders share. */
#include <errno.h>
#include <string.h>

#include "device/host/host.h"

const struct finf_value *finf_site_in(const struct finf_site *site, uint32_t i)
{
	if (i >= site->node->n_in || site->node->in[i] == FINF_NONE)
		return NULL;
	return &site->graph->values[site->node->in[i]];
}

const struct finf_value *finf_site_out(const struct finf_site *site, uint32_t i)
{
	if (i >= site->node->n_out || site->node->out[i] == FINF_NONE)
		return NULL;
	return &site->graph->values[site->node->out[i]];
}

int finf_site_in_md(const struct finf_site *site, uint32_t i, struct finf_dnn_md *ret)
{
	const struct finf_value *value = finf_site_in(site, i);
	uint16_t layout;

	if (!value)
		return -EOPNOTSUPP;
	layout = value->is_const ? FINF_LAYOUT_PLAIN : site->in_layout;
	return finf_host_layout_md(layout, value->dtype, &value->shape, ret);
}

int finf_site_out_md(const struct finf_site *site, struct finf_dnn_md *ret)
{
	const struct finf_value *value = finf_site_out(site, 0);

	if (!value)
		return -EOPNOTSUPP;
	return finf_host_layout_md(site->out_layout, value->dtype, &value->shape, ret);
}

bool finf_site_is_conv(const struct finf_site *site)
{
	return !strcmp(site->node->op->name, "Conv") || !strcmp(site->node->op->name, "FusedConv");
}

const struct finf_weight_form *finf_site_given(const struct finf_site *site, uint32_t i)
{
	for (uint32_t k = 0; k < site->n_given; k++)
		if (site->given[k].input == i)
			return &site->given[k];
	return NULL;
}

/* ---- building ------------------------------------------------------------------ */

static void add_arg(struct finf_build *b, int arg, uint32_t index, bool out,
		    const struct finf_dnn_md *md)
{
	b->args[b->n_args] = (struct finf_dnn_arg){arg, *md};
	b->from[b->n_args] = (struct finf_build_arg){.index = index, .out = out};
	b->n_args++;
}

void finf_build_in(struct finf_build *b, int arg, uint32_t index, const struct finf_dnn_md *md)
{
	add_arg(b, arg, index, false, md);
}

void finf_build_out(struct finf_build *b, int arg, const struct finf_dnn_md *md)
{
	add_arg(b, arg, 0, true, md);
}

void finf_build_window(const struct finf_window *w, struct finf_dnn_window *ret)
{
	for (uint32_t i = 0; i < w->n; i++) {
		ret->kernel[i] = w->kernel[i];
		ret->stride[i] = w->stride[i];
		ret->dilation[i] = w->dilation[i];
		ret->pad_begin[i] = w->pad_begin[i];
		ret->pad_end[i] = w->pad_end[i];
	}
}

bool finf_build_act_alg(enum finf_act act, float a, float b, struct finf_dnn_post_op *ret)
{
	static const struct {
		dnnl_alg_kind_t alg;
		bool a, b; /* has parameters of the node's; else these */
		float own_a, own_b;
	} table[FINF_ACTS] = {
		[FINF_ACT_RELU] = {.alg = dnnl_eltwise_relu},
		[FINF_ACT_LEAKY] = {.alg = dnnl_eltwise_relu, .a = true},
		[FINF_ACT_CLIP] = {.alg = dnnl_eltwise_clip, .a = true, .b = true},
		[FINF_ACT_SIGMOID] = {.alg = dnnl_eltwise_logistic},
		[FINF_ACT_ELU] = {.alg = dnnl_eltwise_elu, .a = true},
		[FINF_ACT_GELU] = {.alg = dnnl_eltwise_gelu_erf},
		[FINF_ACT_GELU_TANH] = {.alg = dnnl_eltwise_gelu_tanh},
		[FINF_ACT_HARD_SWISH] = {.alg = dnnl_eltwise_hardswish,
					 .own_a = 1.0f / 6,
					 .own_b = 0.5f},
		[FINF_ACT_MISH] = {.alg = dnnl_eltwise_mish},
		[FINF_ACT_SWISH] = {.alg = dnnl_eltwise_swish, .own_a = 1},
		[FINF_ACT_TANH] = {.alg = dnnl_eltwise_tanh},
	};

	if (act == FINF_ACT_NONE)
		return false;
	*ret = (struct finf_dnn_post_op){
		.alg = table[act].alg,
		.a = table[act].a ? a : table[act].own_a,
		.b = table[act].b ? b : table[act].own_b,
	};
	return true;
}

void finf_build_post_act(const struct finf_site *site, struct finf_build *b,
			 struct finf_dnn_post *post)
{
	const struct finf_node *node = site->node;

	if (finf_build_act_alg(node->act, node->act_a, node->act_b, &post->op[post->n]))
		post->n++;
	b->act_done = true;
}

void finf_build_post_sum(const struct finf_site *site, uint32_t i, struct finf_build *b,
			 struct finf_dnn_post *post)
{
	if (!finf_site_in(site, i))
		return;
	post->op[post->n++] = (struct finf_dnn_post_op){.sum = true};
	b->sums = true;
}

/* A second primitive for what the first cannot take in. */
static int add_act(const struct finf_site *site, struct finf_build *b)
{
	const struct finf_node *node = site->node;
	struct finf_dnn_post_op op;
	struct finf_dnn_md md;
	int err;

	if (b->act_done || !finf_build_act_alg(node->act, node->act_a, node->act_b, &op))
		return 0;
	err = finf_site_out_md(site, &md);
	if (!err)
		err = finf_dnn_eltwise(site->dnn, op.alg, &md, op.a, op.b, &b->tail);
	if (err)
		return err;
	finf_build_out(b, DNNL_ARG_SRC, &md);
	finf_build_out(b, DNNL_ARG_DST, &md);
	b->n_tail = 2;
	return 0;
}

/* A layout that was given and not used as such is one this form cannot have. */
static int check_given(const struct finf_site *site, const struct finf_build *b)
{
	for (uint32_t k = 0; k < b->n_args; k++) {
		const struct finf_weight_form *given;
		uint64_t bytes;

		if (b->from[k].out || !finf_site_in(site, b->from[k].index)->is_const)
			continue;
		given = finf_site_given(site, b->from[k].index);
		if (!given)
			continue;
		if (b->from[k].packed != (given->desc_bytes > 0))
			return -EOPNOTSUPP;
		if (finf_dnn_md_bytes(&b->args[k].md, &bytes) || bytes != given->bytes)
			return finf_diag_set(site->diag, -EBADMSG,
					     "weight %u has not the bytes of its layout",
					     b->from[k].index);
	}
	return 0;
}

static const struct {
	const char *op;
	finf_builder build;
} builders[] = {
	{"Abs", finf_build_eltwise},
	{"Add", finf_build_binary},
	{"AveragePool", finf_build_pool},
	{"BatchNormalization", finf_build_batchnorm},
	{"Clip", finf_build_eltwise},
	{"Concat", finf_build_concat},
	{"Conv", finf_build_conv},
	{"ConvTranspose", finf_build_deconv},
	{"DepthToSpace", finf_build_depth},
	{"Div", finf_build_binary},
	{"Elu", finf_build_eltwise},
	{"Exp", finf_build_eltwise},
	{"FusedConv", finf_build_conv},
	{"FusedMatMul", finf_build_matmul},
	{"Gelu", finf_build_eltwise},
	{"Gemm", finf_build_gemm},
	{"GlobalAveragePool", finf_build_global_pool},
	{"GlobalMaxPool", finf_build_global_pool},
	{"HardSigmoid", finf_build_hardsigmoid},
	{"HardSwish", finf_build_eltwise},
	{"InstanceNormalization", finf_build_instancenorm},
	{"LRN", finf_build_lrn},
	{"LayerNormalization", finf_build_layernorm},
	{"LeakyRelu", finf_build_eltwise},
	{"Log", finf_build_eltwise},
	{"LogSoftmax", finf_build_softmax},
	{"MatMul", finf_build_matmul},
	{"Max", finf_build_binary},
	{"MaxPool", finf_build_pool},
	{"Min", finf_build_binary},
	{"Mish", finf_build_eltwise},
	{"Mul", finf_build_binary},
	{"Neg", finf_build_eltwise},
	{"PRelu", finf_build_prelu},
	{"Pow", finf_build_eltwise},
	{"Reciprocal", finf_build_eltwise},
	{"ReduceMax", finf_build_reduce},
	{"ReduceMean", finf_build_reduce},
	{"ReduceMin", finf_build_reduce},
	{"ReduceProd", finf_build_reduce},
	{"ReduceSum", finf_build_reduce},
	{"Relu", finf_build_eltwise},
	{"Resize", finf_build_resample},
	{"Sigmoid", finf_build_eltwise},
	{"Slice", finf_build_slice},
	{"Softmax", finf_build_softmax},
	{"Softplus", finf_build_eltwise},
	{"SpaceToDepth", finf_build_depth},
	{"Sqrt", finf_build_eltwise},
	{"Sub", finf_build_binary},
	{"Sum", finf_build_binary},
	{"Tanh", finf_build_eltwise},
	{"Transpose", finf_build_transpose},
	{"Upsample", finf_build_resample},
};

int finf_build_site(const struct finf_site *site, struct finf_build *b)
{
	const struct finf_node *node = site->node;
	int err = -EOPNOTSUPP;

	memset(b, 0, sizeof(*b));
	if (site->winograd && finf_site_is_conv(site))
		err = finf_build_winograd(site, b);
	for (size_t i = 0; i < FINF_ARRAY_LEN(builders) && !site->winograd; i++)
		if (!strcmp(builders[i].op, node->op->name))
			err = builders[i].build(site, b);
	for (uint32_t i = 1; i < node->n_out; i++) /* Indices of MaxPool and the like */
		if (finf_site_out(site, i))
			err = err ? err : -EOPNOTSUPP;
	if (!err)
		err = add_act(site, b);
	if (!err)
		err = check_given(site, b);
	return err;
}

void finf_build_fini(struct finf_build *b)
{
	finf_dnn_pd_free(b->pd);
	finf_dnn_pd_free(b->tail);
	b->pd = b->tail = NULL;
}

uint64_t finf_build_scratch_bytes(const struct finf_build *b)
{
	uint64_t main_bytes = finf_dnn_pd_scratch_bytes(b->pd);

	/* One after the other: they may share. */
	return b->tail ? FINF_MAX(main_bytes, finf_dnn_pd_scratch_bytes(b->tail)) : main_bytes;
}
