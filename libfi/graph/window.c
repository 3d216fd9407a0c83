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
		return finf_diag_set(diag, -EOPNOTSUPP,
				     "%s has %u elements: only 2-D windows are supported", name,
				     have);
	for (uint32_t i = 0; i < n; i++)
		if (ints[i] < min || ints[i] > EXTENT_MAX)
			return finf_diag_set(diag, -EINVAL, "%s holds %" PRId64 ", out of range",
					     name, ints[i]);
	memcpy(to, ints, n * sizeof(*to));
	return 0;
}

static int window_attrs(const struct finf_node *node, struct finf_window *w, struct finf_diag *diag)
{
	int64_t pads[4] = {0}, shape[2] = {w->kernel[0], w->kernel[1]};
	int err;

	err = window_ints(node, "kernel_shape", 1, 2, shape, diag);
	if (!err && (shape[0] != w->kernel[0] || shape[1] != w->kernel[1]))
		err = finf_diag_set(diag, -EINVAL, "kernel_shape contradicts the weights");
	if (!err)
		err = window_ints(node, "strides", 1, 2, w->stride, diag);
	if (!err)
		err = window_ints(node, "dilations", 1, 2, w->dilation, diag);
	if (!err)
		err = window_ints(node, "pads", 0, 4, pads, diag);
	for (int i = 0; i < 2; i++) {
		w->pad_begin[i] = pads[i];
		w->pad_end[i] = pads[i + 2];
	}
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
static void window_same(struct finf_window *w, int i, int64_t reach, bool upper)
{
	int64_t total;

	w->out[i] = (w->in[i] + w->stride[i] - 1) / w->stride[i];
	total = (w->out[i] - 1) * w->stride[i] + reach - w->in[i];
	total = FINF_MAX(total, (int64_t)0);
	w->pad_begin[i] = upper ? total / 2 : total - total / 2;
	w->pad_end[i] = total - w->pad_begin[i];
}

static int window_axis(struct finf_window *w, int i, enum auto_pad mode, bool ceil_mode,
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

int finf_window_init(const struct finf_node *node, const int64_t kernel[2], const int64_t in[2],
		     struct finf_window *ret, struct finf_diag *diag)
{
	struct finf_window w = {.stride = {1, 1}, .dilation = {1, 1}};
	bool ceil_mode = finf_node_int(node, "ceil_mode", 0) != 0;
	enum auto_pad mode = PAD_EXPLICIT;
	int err;

	for (int i = 0; i < 2; i++) {
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
		err = auto_pad_of(node, &mode, diag);
	for (int i = 0; !err && i < 2; i++)
		err = window_axis(&w, i, mode, ceil_mode, diag);
	if (!err)
		*ret = w;
	return err;
}
