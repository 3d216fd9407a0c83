/* SPDX-License-Identifier: MIT */
/*
 * op/resample - Resize and Upsample: which input cells an output cell is made
 * of, axis by axis, and how much of each.
 */
#ifndef FINF_GRAPH_OP_RESAMPLE_H
#define FINF_GRAPH_OP_RESAMPLE_H

#include "graph/op/move.h"

enum finf_resample_mode { FINF_RESAMPLE_NEAREST, FINF_RESAMPLE_LINEAR, FINF_RESAMPLE_CUBIC };

enum finf_resample_coord {
	FINF_COORD_HALF_PIXEL,
	FINF_COORD_HALF_PIXEL_SYMMETRIC,
	FINF_COORD_PYTORCH_HALF_PIXEL,
	FINF_COORD_ALIGN_CORNERS,
	FINF_COORD_ASYMMETRIC,
	FINF_COORD_TF_HALF_PIXEL_FOR_NN,
	FINF_COORD_TF_CROP_AND_RESIZE,
};

enum finf_resample_round {
	FINF_ROUND_PREFER_FLOOR,
	FINF_ROUND_PREFER_CEIL,
	FINF_ROUND_FLOOR,
	FINF_ROUND_CEIL,
};

struct finf_resample {
	enum finf_resample_mode mode;
	enum finf_resample_coord coord;
	enum finf_resample_round round;
	bool exclude_outside;
	double cubic, outside; /* cubic_coeff_a, extrapolation_value */
	uint32_t rank;
	struct finf_resample_axis {
		int64_t in, out;
		double scale;	    /* output cells for an input cell */
		double first, last; /* roi of tf_crop_and_resize */
		bool same;	    /* nothing happens along this axis */
	} axis[FINF_RANK_MAX];
};

/**
 * finf_resample_init - attributes and inputs of a Resize or Upsample node.
 * What is not known yet leaves FINF_DIM_ANY in axis[].out.
 * Return: 0; -EINVAL, -EOPNOTSUPP with diag.
 */
int finf_resample_init(const struct finf_node *node, const struct finf_tensor *const *in,
		       struct finf_resample *ret, struct finf_diag *diag);

int finf_resample_infer(struct finf_infer *ctx);
int finf_resample_range(const struct finf_node *node, const struct finf_tensor *const *in,
			struct finf_tensor *const *out, struct finf_span span);

#endif
