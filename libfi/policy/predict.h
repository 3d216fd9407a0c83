/* SPDX-License-Identifier: MIT */
/*
 * policy/predict - when will which model be asked for next? One table of
 * predictors, one file predict_<name>.c and one row each. They see requests
 * and say what follows; pure, integers only, nothing allocated after new.
 * Must not know: residency, the pool, what is done with a prediction.
 */
#ifndef FINF_POLICY_PREDICT_H
#define FINF_POLICY_PREDICT_H

#include "policy/policy.h"

#define FINF_PREDICTIONS_MAX 4 /* of one sighting */
/* Below this a prediction is not worth the bytes. */
#define FINF_PREDICT_MIN_PCT 60

struct finf_prediction {
	uint32_t model;
	uint32_t other;		    /* the model before, FINF_MODEL_NONE */
	uint32_t reason;	    /* enum finf_reason */
	uint32_t confidence_pct;
	uint64_t from_ns, until_ns; /* the next request is due in between */
};

struct finf_predict_ops {
	const char *name;
	/** new - state for models 0 to @models_max - 1. 0; -ENOMEM. */
	int (*new)(uint32_t models_max, void **ret_state);
	void (*free)(void *state);
	/** forget - @model is another one from now on. */
	void (*forget)(void *state, uint32_t model);
	/** saw - a request of @model; what follows from it. Return: predictions in @ret. */
	uint32_t (*saw)(void *state, uint32_t model, uint64_t now_ns,
			struct finf_prediction ret[FINF_PREDICTIONS_MAX]);
	/** next - the last prediction did not come true; NULL: then there is no other. */
	uint32_t (*next)(void *state, uint32_t model, uint64_t now_ns,
			 struct finf_prediction ret[FINF_PREDICTIONS_MAX]);
};

#define FINF_PREDICTORS_MAX 4
/** finf_predict_at - row @index; NULL past the end. */
const struct finf_predict_ops *finf_predict_at(uint32_t index);

#endif
