/* SPDX-License-Identifier: MIT */
/* policy: a recorded file replays; cut, disturbed and foreign ones are told apart. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/record.h"
#include "tests/support/support.h"

static const struct finf_event events[] = {
	{FINF_EV_ADD, 0, 0, 60, 5},	{FINF_EV_ADD, 1, 0, 60, 5},
	{FINF_EV_REQUEST, 0, 1, 0, 0},	{FINF_EV_REQUEST, 1, 2, 0, 0},
	{FINF_EV_TICK, 0, 0, 0, 0},	{FINF_EV_LOADED, 0, 0, 0, 0},
	{FINF_EV_RAN, 0, 1, 0, 0},	{FINF_EV_EVICTED, 0, 0, 0, 0},
	{FINF_EV_LOADED, 1, 0, 0, 0},	{FINF_EV_RAN, 1, 2, 0, 0},
};
#define N (sizeof(events) / sizeof(events[0]))

struct file {
	uint8_t *data;
	size_t bytes, step_at[N + 1];
	uint64_t actions;
};

static void put(struct file *f, const void *data, size_t bytes)
{
	f->data = realloc(f->data, f->bytes + bytes + 1);
	ck_assert_ptr_nonnull(f->data);
	memcpy(f->data + f->bytes, data, bytes);
	f->bytes += bytes;
}

static void record(struct file *f)
{
	struct finf_record_head head = {.magic = FINF_RECORD_MAGIC, .pool_bytes = 100,
		.models_max = 4, .requests_max = 4, .runs_max = 1, .loads_max = 1};
	struct finf_policy_opts opts = {.size = sizeof(opts), .pool_bytes = 100, .models_max = 4,
		.requests_max = 4, .runs_max = 1, .loads_max = 1};
	struct finf_action actions[FINF_POLICY_ACTIONS_MAX];
	struct finf_policy *policy;

	*f = (struct file){0};
	put(f, &head, sizeof(head));
	ck_assert_int_eq(finf_policy_new(&opts, &policy, NULL), 0);
	for (size_t i = 0; i < N; i++) {
		struct finf_record_step step = {.now_ns = 10 * i, .event = events[i]};
		int n = finf_policy_step(policy, &events[i], step.now_ns, actions);

		ck_assert_int_ge(n, 0);
		step.n_actions = (uint32_t)n;
		f->step_at[i] = f->bytes;
		f->actions += (uint64_t)n;
		put(f, &step, sizeof(step));
		put(f, actions, (size_t)n * sizeof(actions[0]));
	}
	f->step_at[N] = f->bytes;
	finf_policy_free(policy);
}

START_TEST(replays)
{
	struct finf_record_totals totals;
	struct finf_diag diag = {""};
	struct file f;

	record(&f);
	ck_assert_msg(!finf_record_replay(f.data, f.bytes, &totals, &diag), "%s", diag.text);
	ck_assert_uint_eq(totals.steps, N);
	ck_assert_uint_eq(totals.actions, f.actions);
	ck_assert_uint_gt(f.actions, 5);
	free(f.data);
}
END_TEST

START_TEST(cut_anywhere)
{
	struct file f;

	record(&f);
	for (size_t bytes = 0, whole = 0; bytes < f.bytes; bytes++) {
		struct finf_record_totals totals;
		uint8_t *copy = malloc(bytes + !bytes);
		int rc;

		ck_assert_ptr_nonnull(copy);
		memcpy(copy, f.data, bytes);
		while (f.step_at[whole + 1] <= bytes)
			whole++;
		rc = finf_record_replay(copy, bytes, &totals, NULL);
		ck_assert_int_eq(rc, bytes < sizeof(struct finf_record_head) ? -EBADMSG : 0);
		if (!rc)
			ck_assert_uint_eq(totals.steps, whole);
		free(copy);
	}
	free(f.data);
}
END_TEST

#define HEAD(f) offsetof(struct finf_record_head, f)
#define STEP(f) sizeof(struct finf_record_head) + offsetof(struct finf_record_step, f)

static const struct {
	const char *name;
	size_t at;
	uint32_t value;
	int err;
} damages[] = {
	{"magic", HEAD(magic), 0, -EBADMSG},
	{"no models", HEAD(models_max), 0, -EBADMSG},
	{"models without end", HEAD(models_max), INT32_MAX, -EBADMSG},
	{"requests without end", HEAD(requests_max), INT32_MAX, -EBADMSG},
	{"no runs", HEAD(runs_max), 0, -EBADMSG},
	{"eviction row", HEAD(evict), 0x6f6f6f6f, -EBADMSG},
	{"smaller pool", HEAD(pool_bytes), 50, -EILSEQ},
	{"actions without end", STEP(n_actions), 65, -EBADMSG},
	{"an action that never was", STEP(n_actions), 1, -EILSEQ},
	{"event that makes no sense", STEP(event.kind), 99, -EILSEQ},
	{"time that goes back", STEP(now_ns), 11, -EILSEQ},
};

START_TEST(damaged)
{
	struct finf_record_totals totals = {7, 7};
	struct finf_diag diag = {""};
	struct file f;
	int rc;

	record(&f);
	memcpy(f.data + damages[_i].at, &damages[_i].value, sizeof(damages[_i].value));
	rc = finf_record_replay(f.data, f.bytes, &totals, &diag);
	ck_assert_msg(rc == damages[_i].err, "%s: %d", damages[_i].name, rc);
	ck_assert_int_ne(diag.text[0], 0);
	ck_assert_uint_eq(totals.steps, 7);
	free(f.data);
}
END_TEST

/* One bit of the last recorded action is enough. */
START_TEST(other_actions)
{
	struct finf_record_totals totals;
	struct finf_diag diag;
	struct file f;

	record(&f);
	f.data[f.bytes - sizeof(struct finf_action)] ^= 1;
	ck_assert_int_eq(finf_record_replay(f.data, f.bytes, &totals, &diag), -EILSEQ);
	ck_assert_ptr_nonnull(strstr(diag.text, "step 9: ran of model 1"));
	free(f.data);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("policy/record");
	TCase *tc = tcase_create("record");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, replays);
	tcase_add_test(tc, cut_anywhere);
	tcase_add_loop_test(tc, damaged, 0, sizeof(damages) / sizeof(damages[0]));
	tcase_add_test(tc, other_actions);
	suite_add_tcase(suite, tc);
	return suite;
}
