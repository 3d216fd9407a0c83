/* SPDX-License-Identifier: MIT */
/* graph: the sliding window of Conv and pools - attributes, auto_pad, ceil_mode. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "graph/op.h"

#define EXTENT_MAX INT32_MAX /* of anything: sums and one product stay below 2^63 */

/* @n integers of attribute @name within [min, EXTENT_MAX]; @to keeps its defaults when absent. */
static int window_ints(const struct finf_node *node, const char *name, int64_t min, uint32_t n,
		       int64_t *to, struct finf_diag *diag)
{
	uint32_t have;
	const int64_t *ints = finf_node_ints(node, name, &have);

	if (!ints)
		return 0;
	if (have != n)
		return finf_diag_set(diag, -EINVAL, "%s has %u elements, not %u", name, have, n);
	for (uint32_t i = 0; i < n; i++)
		if (ints[i] < min || ints[i] > EXTENT_MAX)
			return finf_diag_set(diag, -EINVAL, "%s holds %" PRId64 ", out of range",
					     name, ints[i]);
	memcpy(to, ints, n * sizeof(*to));
	return 0;
}

static int window_attrs(const struct finf_node *node, struct finf_window *w, struct finf_diag *diag)
{
	int64_t pads[2 * FINF_SPATIAL_MAX] = {0}, shape[FINF_SPATIAL_MAX];
	int err;

	memcpy(shape, w->kernel, sizeof(shape));
	err = window_ints(node, "kernel_shape", 1, w->n, shape, diag);
	if (!err && memcmp(shape, w->kernel, w->n * sizeof(*shape)) != 0)
		err = finf_diag_set(diag, -EINVAL, "kernel_shape contradicts the weights");
	if (!err)
		err = window_ints(node, "strides", 1, w->n, w->stride, diag);
	if (!err)
		err = window_ints(node, "dilations", 1, w->n, w->dilation, diag);
	if (!err)
		err = window_ints(node, "pads", 0, 2 * w->n, pads, diag);
	memcpy(w->pad_begin, pads, w->n * sizeof(*pads));
	memcpy(w->pad_end, pads + w->n, w->n * sizeof(*pads));
	return err;
}

enum auto_pad { PAD_EXPLICIT, PAD_VALID, PAD_SAME_UPPER, PAD_SAME_LOWER };

static int auto_pad_of(const struct finf_node *node, enum auto_pad *ret, struct finf_diag *diag)
{
	static const char *const names[] = {
		[PAD_EXPLICIT] = "NOTSET",
		[PAD_VALID] = "VALID",
		[PAD_SAME_UPPER] = "SAME_UPPER",
		[PAD_SAME_LOWER] = "SAME_LOWER",
	};
	const char *text = finf_node_str(node, "auto_pad", "NOTSET");

	for (size_t i = 0; i < FINF_ARRAY_LEN(names); i++) {
		if (strcmp(names[i], text))
			continue;
		*ret = (enum auto_pad)i;
		return 0;
	}
	return finf_diag_set(diag, -EINVAL, "auto_pad is %s", text);
}

/* SAME: ceil(in / stride) positions; the odd cell of padding goes to the end for UPPER. */
static void window_same(struct finf_window *w, uint32_t i, int64_t reach, bool upper)
{
	int64_t total;

	w->out[i] = (w->in[i] + w->stride[i] - 1) / w->stride[i];
	total = (w->out[i] - 1) * w->stride[i] + reach - w->in[i];
	total = FINF_MAX(total, (int64_t)0);
	w->pad_begin[i] = upper ? total / 2 : total - total / 2;
	w->pad_end[i] = total - w->pad_begin[i];
}

static int window_axis(struct finf_window *w, uint32_t i, enum auto_pad mode, bool ceil_mode,
		       struct finf_diag *diag)
{
	int64_t reach = (w->kernel[i] - 1) * w->dilation[i] + 1, room;

	if (mode == PAD_SAME_UPPER || mode == PAD_SAME_LOWER) {
		window_same(w, i, reach, mode == PAD_SAME_UPPER);
		return 0;
	}
	if (mode == PAD_VALID)
		w->pad_begin[i] = w->pad_end[i] = 0;
	room = w->in[i] + w->pad_begin[i] + w->pad_end[i] - reach;
	if (room < 0)
		return finf_diag_set(diag, -EINVAL,
				     "window of %" PRId64 " does not fit input of %" PRId64, reach,
				     w->in[i]);
	w->out[i] = room / w->stride[i] + 1;
	/* A last window that would start beyond the input sees only padding: it
	 * is left out, as PyTorch and ONNX from opset 22 on define. */
	if (ceil_mode && room % w->stride[i] &&
	    w->out[i] * w->stride[i] < w->in[i] + w->pad_begin[i])
		w->out[i]++;
	return 0;
}

/* Sizes and attributes; pads and out are as the attributes have them. */
static int window_start(const struct finf_node *node, uint32_t n, const int64_t *kernel,
			const int64_t *in, struct finf_window *ret, enum auto_pad *ret_mode,
			struct finf_diag *diag)
{
	struct finf_window w = {.n = n, .stride = {1, 1, 1}, .dilation = {1, 1, 1}};
	int err;

	if (n < 1 || n > FINF_SPATIAL_MAX)
		return finf_diag_set(diag, -EOPNOTSUPP, "%u spatial dimensions, 1 to %d are", n,
				     FINF_SPATIAL_MAX);
	for (uint32_t i = 0; i < n; i++) {
		if (kernel[i] < 1 || kernel[i] > EXTENT_MAX || in[i] < 0 || in[i] > EXTENT_MAX)
			return finf_diag_set(diag, -EINVAL,
					     "window %" PRId64 " on input %" PRId64
					     ", out of range",
					     kernel[i], in[i]);
		w.kernel[i] = kernel[i];
		w.in[i] = in[i];
	}
	err = window_attrs(node, &w, diag);
	if (!err)
		err = auto_pad_of(node, ret_mode, diag);
	if (!err)
		*ret = w;
	return err;
}

int finf_window_init(const struct finf_node *node, uint32_t n, const int64_t *kernel,
		     const int64_t *in, struct finf_window *ret, struct finf_diag *diag)
{
	bool ceil_mode = finf_node_int(node, "ceil_mode", 0) != 0;
	enum auto_pad mode;
	struct finf_window w;
	int err = window_start(node, n, kernel, in, &w, &mode, diag);

	for (uint32_t i = 0; !err && i < n; i++)
		err = window_axis(&w, i, mode, ceil_mode, diag);
	if (!err)
		*ret = w;
	return err;
}

/* ---- ConvTranspose ---------------------------------------------------------- */

/* What output_shape or SAME leave over becomes padding; the odd cell at the end for UPPER. */
static void transposed_pads(struct finf_window *w, uint32_t i, int64_t full, int64_t out,
			    enum auto_pad mode)
{
	int64_t total = full - out;

	/* More than is there: nothing falls on the rest, at the end. */
	w->pad_begin[i] = total < 0 ? 0 : mode == PAD_SAME_UPPER ? total / 2 : total - total / 2;
	w->pad_end[i] = total - w->pad_begin[i];
	w->out[i] = out;
}

static int transposed_axis(struct finf_window *w, uint32_t i, enum auto_pad mode, int64_t extra,
			   const int64_t *shape, struct finf_diag *diag)
{
	int64_t full;

	if (extra >= w->stride[i] && extra >= w->dilation[i])
		return finf_diag_set(
			diag, -EINVAL,
			"output_padding %" PRId64 " is not smaller than stride or dilation", extra);
	if (__builtin_mul_overflow(w->stride[i], w->in[i] - 1, &full) || w->in[i] < 1 ||
	    full > EXTENT_MAX || (w->kernel[i] - 1) * w->dilation[i] > EXTENT_MAX)
		return finf_diag_set(diag, -EINVAL, "input of %" PRId64 ", out of range", w->in[i]);
	full += extra + (w->kernel[i] - 1) * w->dilation[i] + 1;
	if (shape || mode == PAD_SAME_UPPER || mode == PAD_SAME_LOWER) {
		transposed_pads(w, i, full, shape ? shape[i] : w->in[i] * w->stride[i], mode);
		return 0;
	}
	if (mode == PAD_VALID)
		w->pad_begin[i] = w->pad_end[i] = 0;
	w->out[i] = full - w->pad_begin[i] - w->pad_end[i];
	if (w->out[i] < 1)
		return finf_diag_set(diag, -EINVAL, "padding leaves nothing of %" PRId64, full);
	return 0;
}

int finf_window_transposed(const struct finf_node *node, uint32_t n, const int64_t *kernel,
			   const int64_t *in, struct finf_window *ret, struct finf_diag *diag)
{
	int64_t extra[FINF_SPATIAL_MAX] = {0}, shape[FINF_SPATIAL_MAX];
	bool given = finf_node_attr(node, "output_shape") != NULL;
	enum auto_pad mode;
	struct finf_window w;
	int err = window_start(node, n, kernel, in, &w, &mode, diag);

	if (!err)
		err = window_ints(node, "output_padding", 0, n, extra, diag);
	if (!err)
		err = window_ints(node, "output_shape", 1, n, shape, diag);
	for (uint32_t i = 0; !err && i < n; i++)
		err = transposed_axis(&w, i, mode, extra[i], given ? shape : NULL, diag);
	if (!err)
		*ret = w;
	return err;
}

/* ---- one shape for kernels ---------------------------------------------------- */

struct finf_window finf_window_volume(const struct finf_window *window)
{
	struct finf_window w = {.n = FINF_SPATIAL_MAX};
	uint32_t front = FINF_SPATIAL_MAX - window->n;

	for (uint32_t i = 0; i < FINF_SPATIAL_MAX; i++) {
		bool real = i >= front;

		w.kernel[i] = real ? window->kernel[i - front] : 1;
		w.stride[i] = real ? window->stride[i - front] : 1;
		w.dilation[i] = real ? window->dilation[i - front] : 1;
		w.pad_begin[i] = real ? window->pad_begin[i - front] : 0;
		w.pad_end[i] = real ? window->pad_end[i - front] : 0;
		w.in[i] = real ? window->in[i - front] : 1;
		w.out[i] = real ? window->out[i - front] : 1;
	}
	return w;
}
