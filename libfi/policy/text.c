/* SPDX-License-Identifier: MIT */
/* policy: names of events, actions and reasons, as logs and `why` print them. */
#include "policy/policy.h"

static const char *text_at(const char *const *texts, size_t n, unsigned at)
{
	return at < n && texts[at] ? texts[at] : "unknown";
}

const char *finf_event_kind_text(enum finf_event_kind kind)
{
	static const char *const texts[] = {
		[FINF_EV_ADD] = "add",
		[FINF_EV_REMOVE] = "remove",
		[FINF_EV_REQUEST] = "request",
		[FINF_EV_CANCEL] = "cancel",
		[FINF_EV_LOAD] = "load",
		[FINF_EV_UNLOAD] = "unload",
		[FINF_EV_PIN] = "pin",
		[FINF_EV_LOADED] = "loaded",
		[FINF_EV_LOAD_FAILED] = "load-failed",
		[FINF_EV_NO_PLACE] = "no-place",
		[FINF_EV_COMPACTED] = "compacted",
		[FINF_EV_RAN] = "ran",
		[FINF_EV_EVICTED] = "evicted",
		[FINF_EV_TICK] = "tick",
		[FINF_EV_DRAIN] = "drain",
		[FINF_EV_ARRIVAL] = "arrival",
		[FINF_EV_DEVICE_LOST] = "device-lost",
		[FINF_EV_DEVICE_BACK] = "device-back",
		[FINF_EV_OPTIMIZE] = "optimize",
		[FINF_EV_PRICED] = "priced",
		[FINF_EV_GROWN] = "grown",
		[FINF_EV_SLOWER] = "slower",
	};

	return text_at(texts, FINF_ARRAY_LEN(texts), kind);
}

const char *finf_action_kind_text(enum finf_action_kind kind)
{
	static const char *const texts[] = {
		[FINF_DO_LOAD] = "load",
		[FINF_DO_EVICT] = "evict",
		[FINF_DO_COMPACT] = "compact",
		[FINF_DO_RUN] = "run",
		[FINF_DO_REPLY] = "reply",
		[FINF_DO_CANCEL_LOAD] = "cancel-load",
		[FINF_DO_PRICE] = "price",
		[FINF_DO_GROW] = "grow",
		[FINF_DO_SHRINK] = "shrink",
	};

	return text_at(texts, FINF_ARRAY_LEN(texts), kind);
}

const char *finf_reason_text(enum finf_reason reason)
{
	static const char *const texts[] = {
		[FINF_WHY_NONE] = "none",
		[FINF_WHY_REQUEST] = "a request needs it",
		[FINF_WHY_OPERATOR] = "operator",
		[FINF_WHY_ROOM_WEIGHTS] = "room for weights",
		[FINF_WHY_ROOM_ARENA] = "room for activations",
		[FINF_WHY_FRAGMENTED] = "fragmented: no hole large enough",
		[FINF_WHY_TOO_LARGE] = "larger than the pool",
		[FINF_WHY_DEADLINE] = "deadline passed",
		[FINF_WHY_LOAD_FAILED] = "load failed",
		[FINF_WHY_BUSY] = "busy or pinned",
		[FINF_WHY_QUEUE_FULL] = "queue full",
		[FINF_WHY_DRAINING] = "draining",
		[FINF_WHY_CANCELLED] = "cancelled",
		[FINF_WHY_DONE] = "done",
		[FINF_WHY_PREDICTED] = "predicted by its intervals",
		[FINF_WHY_CHAIN] = "follows another model",
		[FINF_WHY_ARRIVAL] = "a request was seen coming",
		[FINF_WHY_OVERTAKEN] = "overtaken by a request",
		[FINF_WHY_DEVICE] = "device fault",
		[FINF_WHY_EARNED] = "busy enough for faster weights",
		[FINF_WHY_SLOWER] = "its runs were no faster",
	};

	return text_at(texts, FINF_ARRAY_LEN(texts), reason);
}
