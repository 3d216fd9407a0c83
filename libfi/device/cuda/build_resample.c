/* SPDX-License-Identifier: MIT */
/* cuda: launches of Resize and Upsample: a table of cells and weights, then the outputs. */
#include <errno.h>

#include "device/cuda/node.h"
#include "graph/op/resample.h"

/* A size of which the outputs along an axis are made; the table is for all of them. */
static int taps(struct finf_k_build *b, const struct finf_resample *r, unsigned *ret_first)
{
	struct finf_resize_taps_args args = {
		.mode = r->mode,
		.coord = r->coord,
		.round = r->round,
		.exclude_outside = r->exclude_outside,
		.constant_outside = r->coord == FINF_COORD_TF_CROP_AND_RESIZE &&
				    finf_k_out(b, 0)->dtype == FINF_F32,
		.cubic = r->cubic,
	};
	int64_t stride[FINF_RANK_MAX];
	struct finf_k_call *call;
	uint32_t axes = 0;

	finf_k_strides(&finf_k_in(b, 0)->shape, stride);
	for (uint32_t i = 0; i < r->rank; i++) {
		const struct finf_resample_axis *axis = &r->axis[i];

		if (axis->same)
			continue;
		args.axis[axes++] = (struct finf_k_axis){
			.out = (unsigned)axis->out,
			.in = (int)axis->in,
			.stride = (int)stride[i],
			.scale = axis->scale,
			.first = axis->first,
			.last = axis->last,
		};
		ret_first[i] = args.n + 1;
		args.n += (unsigned)axis->out;
	}
	b->workspace_bytes = (uint64_t)args.n * sizeof(struct finf_k_taps);
	call = finf_k_each_add(b, FINF_K_FUNCTION_resize_taps, args.n);
	if (!call)
		return -ENOMEM;
	call->args.resize_taps = args;
	finf_k_point(call, &call->args.resize_taps.taps, FINF_K_WORKSPACE, 0, 0);
	return 0;
}

/* Axes that stay as they are become one where they are neighbours; @first goes along. */
static void walk_of(const struct finf_resample *r, const int64_t *stride, const unsigned *first,
		    struct finf_resize_args *args)
{
	struct finf_k_walk *at = &args->at;

	for (uint32_t i = 0; i < r->rank; i++) {
		unsigned extent = (unsigned)r->axis[i].out;

		if (!first[i] && at->rank && !args->first[at->rank - 1]) {
			at->dim[at->rank - 1] = finf_k_div(at->dim[at->rank - 1].by * extent);
			at->stride[at->rank - 1] = (int)stride[i];
			continue;
		}
		args->first[at->rank] = first[i];
		at->dim[at->rank] = finf_k_div(extent);
		at->stride[at->rank++] = (int)stride[i];
	}
}

static int outputs(struct finf_k_build *b, const struct finf_resample *r, const unsigned *first)
{
	static const unsigned bits[] = {
		[FINF_RESAMPLE_NEAREST] = 0, [FINF_RESAMPLE_LINEAR] = 1, [FINF_RESAMPLE_CUBIC] = 2};
	const struct finf_value *y = finf_k_out(b, 0);
	unsigned n = finf_k_count(y);
	struct finf_k_call *call = finf_k_each_add(b, FINF_K_FUNCTION_resize, n);
	int64_t stride[FINF_RANK_MAX];

	if (!call)
		return -ENOMEM;
	b->flops = (uint64_t)n * 20;
	call->args.resize = (struct finf_resize_args){
		.n = n,
		.each = (unsigned)finf_dtype_bytes(y->dtype),
		.bits = bits[r->mode],
		.outside = (float)r->outside,
		.act = finf_k_float_act(b),
	};
	finf_k_strides(&finf_k_in(b, 0)->shape, stride);
	walk_of(r, stride, first, &call->args.resize);
	finf_k_point_in(b, call, &call->args.resize.x, 0);
	finf_k_point(call, &call->args.resize.taps, FINF_K_WORKSPACE, 0, 0);
	finf_k_point(call, &call->args.resize.y, FINF_K_OUT, 0, 0);
	return 0;
}

int finf_k_build_resize(struct finf_k_build *b)
{
	unsigned first[FINF_RANK_MAX] = {0};
	struct finf_tensor tensors[4];
	const struct finf_tensor *in[4];
	struct finf_resample r;
	bool same = true;
	int err;

	if (finf_k_tensors(b, tensors, in, FINF_ARRAY_LEN(in)))
		return finf_diag_set(b->diag, -EOPNOTSUPP,
				     "its scales or sizes are not known before it runs");
	err = finf_resample_init(b->node, in, &r, b->diag);
	for (uint32_t i = 0; !err && i < r.rank; i++) {
		same &= r.axis[i].same;
		if (r.axis[i].out != finf_k_out(b, 0)->shape.dim[i] || !r.axis[i].in)
			err = finf_diag_set(b->diag, -EINVAL, "its sizes contradict its output");
	}
	if (err)
		return err;
	if (same)
		return finf_k_build_copy(b);
	err = taps(b, &r, first);
	return err ? err : outputs(b, &r, first);
}
