/* SPDX-License-Identifier: MIT */
/* policy: the table of predictors. A row is a file predict_<name>.c and a line here. */
#include "policy/predict.h"

extern const struct finf_predict_ops finf_predict_chain;
extern const struct finf_predict_ops finf_predict_interval;

static const struct finf_predict_ops *const rows[] = {
	&finf_predict_chain,
	&finf_predict_interval,
};
_Static_assert(FINF_ARRAY_LEN(rows) <= FINF_PREDICTORS_MAX, "the policy keeps a state of each");

const struct finf_predict_ops *finf_predict_at(uint32_t index)
{
	return index < FINF_ARRAY_LEN(rows) ? rows[index] : NULL;
}
