/* SPDX-License-Identifier: MIT */
/* graph/op: Resize and Upsample - their inputs, and interpolation along any number of axes. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "graph/op/compute.h"
#include "graph/op/resample.h"

/* ---- attributes -------------------------------------------------------------------- */

/* The position of @text in @names; -EINVAL naming @what. */
static int one_of(const char *const *names, size_t n, const char *what, const char *text,
		  struct finf_diag *diag)
{
	for (size_t i = 0; i < n; i++)
		if (names[i] && !strcmp(names[i], text))
			return (int)i;
	return finf_diag_set(diag, -EINVAL, "%s is %s", what, text);
}

static int read_modes(const struct finf_node *node, struct finf_resample *r, struct finf_diag *diag)
{
	static const char *const modes[] = {"nearest", "linear", "cubic"};
	static const char *const coords[] = {
		"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
		"asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize",
	};
	static const char *const rounds[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
					     "ceil"};
	bool old = node->opset < 11;
	int mode, coord, round;

	mode = one_of(modes, FINF_ARRAY_LEN(modes), "mode", finf_node_str(node, "mode", "nearest"),
		      diag);
	/* Before opset 11 there is no choice. */
	coord = one_of(coords, FINF_ARRAY_LEN(coords), "coordinate_transformation_mode",
		       finf_node_str(node, "coordinate_transformation_mode",
				     old ? "asymmetric" : "half_pixel"),
		       diag);
	round = one_of(rounds, FINF_ARRAY_LEN(rounds), "nearest_mode",
		       finf_node_str(node, "nearest_mode", old ? "floor" : "round_prefer_floor"),
		       diag);
	if (mode < 0 || coord < 0 || round < 0)
		return -EINVAL;
	if (old && mode == FINF_RESAMPLE_CUBIC)
		return finf_diag_set(diag, -EINVAL, "mode cubic does not exist before opset 11");
	if (finf_node_int(node, "antialias", 0))
		return finf_diag_set(diag, -EOPNOTSUPP, "antialias is not supported");
	r->mode = (enum finf_resample_mode)mode;
	r->coord = (enum finf_resample_coord)coord;
	r->round = (enum finf_resample_round)round;
	r->exclude_outside = finf_node_int(node, "exclude_outside", 0) != 0;
	r->cubic = (double)finf_node_float(node, "cubic_coeff_a", -0.75f);
	r->outside = (double)finf_node_float(node, "extrapolation_value", 0);
	return 0;
}

/* ---- scales and sizes --------------------------------------------------------------- */

/* Axes that scales, sizes and roi speak of: all, or those listed since opset 18. */
struct axes {
	uint32_t n, at[FINF_RANK_MAX];
};

static int read_axes(const struct finf_node *node, uint32_t rank, struct axes *ret,
		     struct finf_diag *diag)
{
	bool marked[FINF_RANK_MAX];
	uint32_t n;
	const int64_t *given = finf_node_ints(node, "axes", &n);
	int err;

	ret->n = rank;
	for (uint32_t i = 0; i < rank; i++)
		ret->at[i] = i;
	if (!given)
		return 0;
	err = finf_mark_axes(given, n, rank, marked, diag);
	if (err)
		return err;
	ret->n = n;
	for (uint32_t i = 0; i < n; i++)
		finf_axis(given[i], rank, &ret->at[i]);
	return 0;
}

/* Input @i when it is there and not empty: exporters write an empty list for "none". */
static const struct finf_tensor *input(const struct finf_node *node,
				       const struct finf_tensor *const *in, uint32_t i)
{
	const struct finf_tensor *t = i < node->n_in ? in[i] : NULL;

	return t && !(t->shape.rank == 1 && !t->shape.dim[0]) ? t : NULL;
}

static int set_scale(struct finf_resample_axis *axis, float scale, struct finf_diag *diag)
{
	float out;

	if (!(scale > 0) || !isfinite(scale))
		return finf_diag_set(diag, -EINVAL, "a scale of %g", (double)scale);
	axis->scale = (double)scale;
	if (axis->in == FINF_DIM_ANY)
		return 0;
	out = floorf((float)axis->in * scale); /* in float, as ONNX infers shapes */
	if (!(out < (float)INT32_MAX))
		return finf_diag_set(diag, -EINVAL, "too large");
	axis->out = (int64_t)out;
	axis->same = axis->out == axis->in && scale == 1.0f;
	return 0;
}

static int set_size(struct finf_resample_axis *axis, int64_t size, struct finf_diag *diag)
{
	if (size < 0 || size > INT32_MAX || (size && !axis->in))
		return finf_diag_set(diag, -EINVAL, "a size of %" PRId64, size);
	axis->out = size;
	if (axis->in != FINF_DIM_ANY && axis->in)
		axis->scale = (double)size / (double)axis->in;
	axis->same = axis->in == size;
	return 0;
}

/* One scale for all axes, so that nothing is distorted. */
static int keep_aspect(const struct finf_node *node, struct finf_resample *r,
		       const struct axes *axes, struct finf_diag *diag)
{
	static const char *const names[] = {"stretch", "not_larger", "not_smaller"};
	int policy = one_of(names, FINF_ARRAY_LEN(names), "keep_aspect_ratio_policy",
			    finf_node_str(node, "keep_aspect_ratio_policy", "stretch"), diag);
	double scale = policy == 1 ? (double)INFINITY : 0;
	int err = policy < 0 ? policy : 0;
	bool known = true;

	for (uint32_t i = 0; policy > 0 && i < axes->n; i++) {
		double other = r->axis[axes->at[i]].scale;

		known &= r->axis[axes->at[i]].in != FINF_DIM_ANY;
		scale = policy == 1 ? FINF_MIN(scale, other) : FINF_MAX(scale, other);
	}
	for (uint32_t i = 0; !err && policy > 0 && i < axes->n; i++) {
		struct finf_resample_axis *axis = &r->axis[axes->at[i]];

		axis->out = FINF_DIM_ANY;
		if (!known)
			continue;
		err = set_size(axis, (int64_t)floor(scale * (double)axis->in + 0.5), diag);
		axis->scale = scale;
		axis->same = false;
	}
	return err;
}

/* One number for every axis, or a refusal. */
static int check_list(const struct finf_tensor *t, const char *what, enum finf_dtype dtype,
		      uint32_t n, struct finf_diag *diag)
{
	if (t->dtype != dtype)
		return finf_diag_set(diag, -EOPNOTSUPP, "%s of %s are not supported", what,
				     finf_dtype_name(t->dtype));
	if (t->data && (t->shape.rank != 1 || t->shape.dim[0] != n))
		return finf_diag_set(diag, -EINVAL, "%s are not a list of %" PRIu32, what, n);
	return 0;
}

static int read_scales(const struct finf_node *node, const struct finf_tensor *scales,
		       struct finf_resample *r, const struct axes *axes, struct finf_diag *diag)
{
	const struct finf_attr *attr = finf_node_attr(node, "scales"); /* Upsample-7 */
	const float *v = attr ? attr->floats : NULL;
	int err = 0;

	if (attr && attr->n != axes->n)
		return finf_diag_set(diag, -EINVAL, "scales are not a list of %" PRIu32, axes->n);
	if (!attr) {
		err = check_list(scales, "scales", FINF_F32, axes->n, diag);
		v = scales->data;
	}
	for (uint32_t i = 0; !err && i < axes->n; i++) {
		r->axis[axes->at[i]].out = FINF_DIM_ANY;
		if (v)
			err = set_scale(&r->axis[axes->at[i]], v[i], diag);
	}
	return err;
}

static int read_sizes(const struct finf_node *node, const struct finf_tensor *sizes,
		      struct finf_resample *r, const struct axes *axes, struct finf_diag *diag)
{
	int err = check_list(sizes, "sizes", FINF_I64, axes->n, diag);

	for (uint32_t i = 0; !err && i < axes->n; i++) {
		r->axis[axes->at[i]].out = FINF_DIM_ANY;
		if (sizes->data)
			err = set_size(&r->axis[axes->at[i]], ((const int64_t *)sizes->data)[i],
				       diag);
	}
	return err || !sizes->data ? err : keep_aspect(node, r, axes, diag);
}

static int read_roi(const struct finf_tensor *roi, struct finf_resample *r, const struct axes *axes,
		    struct finf_diag *diag)
{
	const float *v;
	int err;

	if (!roi)
		return finf_diag_set(diag, -EINVAL, "tf_crop_and_resize without roi");
	err = check_list(roi, "roi", FINF_F32, 2 * axes->n, diag);
	v = roi->data;
	for (uint32_t i = 0; i < r->rank; i++) {
		r->axis[i].first = 0;
		r->axis[i].last = 1;
	}
	for (uint32_t i = 0; !err && v && i < axes->n; i++) {
		r->axis[axes->at[i]].first = (double)v[i];
		r->axis[axes->at[i]].last = (double)v[axes->n + i];
		r->axis[axes->at[i]].same = false;
	}
	return err;
}

int finf_resample_init(const struct finf_node *node, const struct finf_tensor *const *in,
		       struct finf_resample *ret, struct finf_diag *diag)
{
	bool old = node->opset < 11;
	const struct finf_tensor *scales = input(node, in, old ? 1 : 2);
	const struct finf_tensor *sizes = old ? NULL : input(node, in, 3);
	struct finf_resample r = {.rank = in[0]->shape.rank};
	struct axes axes;
	int err = read_modes(node, &r, diag);

	for (uint32_t i = 0; i < r.rank; i++)
		r.axis[i] = (struct finf_resample_axis){.in = in[0]->shape.dim[i],
							.out = in[0]->shape.dim[i],
							.scale = 1,
							.same = true};
	if (!err)
		err = read_axes(node, r.rank, &axes, diag);
	if (err)
		return err;
	if (!sizes == !(scales || finf_node_attr(node, "scales")))
		return finf_diag_set(diag, -EINVAL, "either scales or sizes must be given");
	err = sizes ? read_sizes(node, sizes, &r, &axes, diag)
		    : read_scales(node, scales, &r, &axes, diag);
	if (!err && r.coord == FINF_COORD_TF_CROP_AND_RESIZE)
		err = read_roi(input(node, in, 1), &r, &axes, diag);
	if (!err)
		*ret = r;
	return err;
}

int finf_resample_infer(struct finf_infer *ctx)
{
	struct finf_resample r;
	int err;

	ctx->out[0].dtype = ctx->in[0]->dtype;
	for (uint32_t i = 0; i < ctx->node->n_in; i++)
		if (ctx->in[i] && !ctx->in_has_shape[i])
			return 0;
	err = finf_resample_init(ctx->node, ctx->in, &r, ctx->diag);
	if (err)
		return err;
	if (r.mode != FINF_RESAMPLE_NEAREST && ctx->in[0]->dtype != FINF_F32)
		return finf_diag_set(ctx->diag, -EOPNOTSUPP, "%s is only supported by mode nearest",
				     finf_dtype_name(ctx->in[0]->dtype));
	ctx->out[0].shape.rank = r.rank;
	for (uint32_t i = 0; i < r.rank; i++)
		ctx->out[0].shape.dim[i] = r.axis[i].out;
	ctx->out_has_shape[0] = true;
	return 0;
}

/* ---- interpolating -------------------------------------------------------------------- */

/*
 * Where output @o lies between the input's cells. Where scales are given, the
 * length that align_corners and half_pixel_symmetric speak of is the one
 * before it was rounded down: so the ONNX test cases have it.
 */
static double source(const struct finf_resample *r, const struct finf_resample_axis *axis,
		     int64_t o)
{
	double x = (double)o, in = (double)axis->in, out = in * axis->scale;
	double half = (x + 0.5) / axis->scale - 0.5;

	switch (r->coord) {
	case FINF_COORD_HALF_PIXEL:
		return half;
	case FINF_COORD_HALF_PIXEL_SYMMETRIC:
		return in / 2 * (1 - (double)axis->out / out) + half;
	case FINF_COORD_PYTORCH_HALF_PIXEL:
		return axis->out > 1 ? half : 0;
	case FINF_COORD_ALIGN_CORNERS:
		return axis->out > 1 ? x * (in - 1) / (out - 1) : 0;
	case FINF_COORD_ASYMMETRIC:
		return x / axis->scale;
	case FINF_COORD_TF_HALF_PIXEL_FOR_NN:
		return (x + 0.5) / axis->scale;
	case FINF_COORD_TF_CROP_AND_RESIZE:
		break;
	}
	if (axis->out == 1)
		return 0.5 * (axis->first + axis->last) * (in - 1);
	return axis->first * (in - 1) +
	       x * (axis->last - axis->first) * (in - 1) / (double)(axis->out - 1);
}

struct taps {
	uint32_t n;
	int64_t at[4];
	double weight[4];
	bool outside; /* tf_crop_and_resize: the output is a constant here */
};

static int64_t nearest(enum finf_resample_round round, double x)
{
	switch (round) {
	case FINF_ROUND_PREFER_FLOOR:
		return (int64_t)ceil(x - 0.5);
	case FINF_ROUND_PREFER_CEIL:
		return (int64_t)floor(x + 0.5);
	case FINF_ROUND_FLOOR:
		return (int64_t)floor(x);
	default:
		return (int64_t)ceil(x);
	}
}

/* Keys' cubic convolution with parameter @a, at distance @t in [0, 1) from the second cell. */
static void cubic_weights(double a, double t, double w[4])
{
	double u = 1 - t;

	w[0] = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a;
	w[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
	w[2] = ((a + 2) * u - (a + 3)) * u * u + 1;
	w[3] = ((a * (u + 1) - 5 * a) * (u + 1) + 8 * a) * (u + 1) - 4 * a;
}

/* Beyond the ends the end cells repeat, or count for nothing at all. */
static void clip_taps(const struct finf_resample *r, int64_t extent, struct taps *t)
{
	double sum = 0;

	for (uint32_t i = 0; i < t->n; i++) {
		bool inside = t->at[i] >= 0 && t->at[i] < extent;

		if (!inside && r->exclude_outside)
			t->weight[i] = 0;
		sum += t->weight[i];
		t->at[i] = t->at[i] < 0 ? 0 : FINF_MIN(t->at[i], extent - 1);
	}
	for (uint32_t i = 0; r->exclude_outside && i < t->n; i++)
		t->weight[i] /= sum;
}

static struct taps taps_of(const struct finf_resample *r, const struct finf_resample_axis *axis,
			   int64_t o)
{
	struct taps t = {.n = 1, .at = {o}, .weight = {1}};
	double x, base;

	if (axis->same)
		return t;
	x = source(r, axis, o);
	/* Cell numbers fit, wherever the region of interest lies. */
	x = fmin(fmax(x, -4.0 * INT32_MAX), 4.0 * INT32_MAX);
	base = floor(x);
	t.outside =
		r->coord == FINF_COORD_TF_CROP_AND_RESIZE && (x < 0 || x > (double)(axis->in - 1));
	switch (r->mode) {
	case FINF_RESAMPLE_NEAREST:
		t.at[0] = nearest(r->round, x);
		t.at[0] = t.at[0] < 0 ? 0 : FINF_MIN(t.at[0], axis->in - 1);
		return t;
	case FINF_RESAMPLE_LINEAR:
		t.n = 2;
		t.weight[0] = 1 - (x - base);
		t.weight[1] = x - base;
		break;
	case FINF_RESAMPLE_CUBIC:
		t.n = 4;
		cubic_weights(r->cubic, x - base, t.weight);
		base -= 1;
		break;
	}
	for (uint32_t i = 0; i < t.n; i++)
		t.at[i] = (int64_t)base + i;
	clip_taps(r, axis->in, &t);
	return t;
}

/* The weighted sum over every combination of taps. */
static double blend(const float *x, const struct taps *taps, const int64_t *stride, uint32_t rank)
{
	uint32_t pick[FINF_RANK_MAX] = {0}, k;
	double sum = 0;

	do {
		double weight = 1;
		int64_t at = 0;

		for (k = 0; k < rank; k++) {
			weight *= taps[k].weight[pick[k]];
			at += taps[k].at[pick[k]] * stride[k];
		}
		sum += weight * (double)x[at];
		for (k = rank; k-- > 0; pick[k] = 0)
			if (++pick[k] < taps[k].n)
				break;
	} while (k != UINT32_MAX);
	return sum;
}

/* @taps follow the walk: an axis is looked at again only when its index moved. */
static bool move_taps(const struct finf_resample *r, const struct finf_walk *walk, bool all,
		      struct taps *taps)
{
	bool outside = false;

	for (uint32_t k = r->rank; k-- > 0;) {
		taps[k] = taps_of(r, &r->axis[k], walk->at[k]);
		if (!all && walk->at[k])
			break;
	}
	for (uint32_t k = 0; k < r->rank; k++)
		outside |= taps[k].outside;
	return outside;
}

int finf_resample_range(const struct finf_node *node, const struct finf_tensor *const *in,
			struct finf_tensor *const *out, struct finf_span span)
{
	size_t each = finf_dtype_bytes(in[0]->dtype);
	struct finf_walk walk = {.rank = in[0]->shape.rank};
	struct taps taps[FINF_RANK_MAX];
	int64_t stride[FINF_RANK_MAX];
	struct finf_resample r;

	if (finf_resample_init(node, in, &r, NULL))
		return -EINVAL;
	for (uint32_t i = 0; i < r.rank; i++) {
		walk.dim[i] = r.axis[i].out;
		if (walk.dim[i] != out[0]->shape.dim[i] || !r.axis[i].in)
			return -EINVAL; /* the sizes are not those that infer() saw */
	}
	finf_strides(&in[0]->shape, stride);
	finf_walk_seek(&walk, span.from);
	for (size_t i = span.from; i < span.to; i++, finf_walk_next(&walk)) {
		bool outside = move_taps(&r, &walk, i == span.from, taps);
		int64_t at = 0;

		for (uint32_t k = 0; k < r.rank; k++)
			at += taps[k].at[0] * stride[k];
		if (outside && in[0]->dtype == FINF_F32)
			((float *)out[0]->data)[i] = (float)r.outside;
		else if (r.mode == FINF_RESAMPLE_NEAREST)
			finf_move(out[0]->data, (int64_t)i, in[0]->data, at, each);
		else
			((float *)out[0]->data)[i] =
				(float)blend(in[0]->data, taps, stride, r.rank);
	}
	return 0;
}
