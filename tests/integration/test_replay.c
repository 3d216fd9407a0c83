/* SPDX-License-Identifier: MIT */
/*
 * What fid recorded under a mixed load, fed to a fresh policy, leads to the
 * same actions byte for byte; a record that ends early is noticed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/ipc.h"
#include "policy/record.h"
#include "tests/support/frames.h"
#include "tests/support/support.h"

#define MODELS 12

/* ---- reading a record ------------------------------------------------------------------ */

struct record {
	uint8_t *data; /* owned */
	size_t len;
};

static struct record read_record(const char *path)
{
	struct record record = {0};
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	ck_assert_msg(fd >= 0 && !fstat(fd, &st), "%s: %s", path, strerror(errno));
	record.len = (size_t)st.st_size;
	record.data = malloc(record.len + 1);
	ck_assert_ptr_nonnull(record.data);
	ck_assert_int_eq(finf_pread_full(fd, record.data, record.len, 0), 0);
	close(fd);
	return record;
}

/* The next @bytes of the record; false when it ends before. */
static bool take(const struct record *record, size_t *at, void *to, size_t bytes)
{
	if (record->len - *at < bytes)
		return false;
	memcpy(to, record->data + *at, bytes);
	*at += bytes;
	return true;
}

struct replay {
	unsigned steps, events[FINF_EVENT_KINDS], actions[FINF_ACTION_KINDS];
	unsigned late;
};

static void count(struct replay *replay, const struct finf_record_step *step,
		  const struct finf_action *actions)
{
	replay->steps++;
	replay->events[step->event.kind]++;
	for (uint32_t i = 0; i < step->n_actions; i++) {
		replay->actions[actions[i].kind]++;
		replay->late += actions[i].reason == FINF_WHY_DEADLINE;
	}
}

/* One recorded step. 0; -ENODATA at the end; -EBADMSG cut off or nonsense; -EILSEQ another action.
 */
static int replay_step(const struct record *record, size_t *at, struct finf_policy *policy,
		       struct replay *replay)
{
	struct finf_action recorded[FINF_POLICY_ACTIONS_MAX], made[FINF_POLICY_ACTIONS_MAX];
	struct finf_record_step step;
	int n;

	if (*at == record->len)
		return -ENODATA;
	if (!take(record, at, &step, sizeof(step)) || step.n_actions > FINF_POLICY_ACTIONS_MAX ||
	    !step.event.kind || step.event.kind >= FINF_EVENT_KINDS || step.reserved ||
	    !take(record, at, recorded, step.n_actions * sizeof(recorded[0])))
		return -EBADMSG;
	n = finf_policy_step(policy, &step.event, step.now_ns, made);
	if (n < 0 || (uint32_t)n != step.n_actions ||
	    memcmp(made, recorded, step.n_actions * sizeof(made[0])))
		return -EILSEQ;
	count(replay, &step, made);
	return 0;
}

/* 0 when every action of the record is made again. */
static int replay_record(const struct record *record, struct replay *ret)
{
	struct finf_record_head head;
	struct finf_policy_opts opts = {.size = sizeof(opts)};
	struct finf_policy *policy;
	size_t at = 0;
	int err;

	*ret = (struct replay){0};
	if (!take(record, &at, &head, sizeof(head)) ||
	    memcmp(head.magic, FINF_RECORD_MAGIC, sizeof(head.magic)))
		return -EBADMSG;
	opts.pool_bytes = head.pool_bytes;
	opts.models_max = head.models_max;
	opts.requests_max = head.requests_max;
	opts.runs_max = head.runs_max;
	opts.loads_max = head.loads_max;
	opts.evict = head.evict[0] ? head.evict : NULL;
	opts.prefetch_bytes = head.prefetch_bytes;
	err = finf_policy_new(&opts, &policy, NULL);
	if (err)
		return err;
	while (!err)
		err = replay_step(record, &at, policy, ret);
	finf_policy_free(policy);
	return err == -ENODATA ? 0 : err;
}

/* ---- a mixed load ------------------------------------------------------------------------ */

/* Forty requests to any models, every fifth cancelled at once, every seventh late. */
static void put_requests(struct finf_buf *buf, uint64_t *seed)
{
	char name[8];

	for (uint64_t id = 1; id <= 40; id++) {
		snprintf(name, sizeof(name), "m%u", (unsigned)(test_random(seed) % MODELS));
		put_infer(buf, name, id, id % 7 ? 0 : 1);
		if (id % 5 == 0)
			put_cancel(buf, id);
	}
}

/* Reads the answers to the first forty and hangs up on the next. */
static void requests_and_hang_up(const struct test_fid *fid, uint64_t seed)
{
	struct finf_conn *conn = frames_greet(fid);
	struct finf_buf buf;

	finf_buf_init(&buf);
	put_requests(&buf, &seed);
	frames_write(finf_conn_fd(conn), &buf);
	for (int i = 0; i < 40; i++)
		frames_next(conn, FINF_WIRE_RESULT);
	put_requests(&buf, &seed);
	frames_write(finf_conn_fd(conn), &buf);
	finf_buf_fini(&buf);
	finf_conn_free(conn);
}

/* Damages the weights of a model behind fid's back, so that its next load fails. */
static void damage(const struct test_fid *fid, const char *name)
{
	char *files = file_list(fid->root), *save = NULL, part[64];

	snprintf(part, sizeof(part), "/%s/1/tuned-", name);
	for (char *path = strtok_r(files, "\n", &save); path; path = strtok_r(NULL, "\n", &save)) {
		int fd;

		if (!strstr(path, part))
			continue;
		fd = open(path, O_WRONLY | O_CLOEXEC);
		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(pwrite(fd, "damage", 6, 60000), 6);
		close(fd);
	}
	free(files);
}

static void mixed_load(struct test_fid *fid)
{
	char name[8];

	for (int i = 0; i < MODELS; i++) {
		snprintf(name, sizeof(name), "m%d", i);
		fictl_ok(fid, "import", golden_path("digits/digits.onnx"), "--name", name, NULL);
	}
	fictl_ok(fid, "pin", "m0", NULL);
	for (int i = 0; i < 3 * MODELS; i++) {
		snprintf(name, sizeof(name), "m%d", i * 5 % MODELS);
		fictl_ok(fid, "infer", name, "--repeat", "3", NULL);
	}
	for (uint64_t seed = 1; seed <= 8; seed++)
		requests_and_hang_up(fid, seed);
	fictl_ok(fid, "infer", "m1", "--batch", "5", NULL);
	fictl_ok(fid, "import", golden_path("digits/digits.onnx"), "--name", "broken", NULL);
	damage(fid, "broken");
	fictl_fails(fid, 1, "broken", "infer", "broken", NULL);
	fictl_ok(fid, "unload", "m1", NULL);
	fictl_ok(fid, "unpin", "m0", NULL);
	fictl_ok(fid, "remove", "m2", NULL);
	fictl_ok(fid, "infer", "m3", NULL);
}

START_TEST(the_record_of_a_mixed_load_replays_byte_for_byte)
{
	const char *extra[] = {"--record", NULL, NULL};
	struct test_fid fid;
	struct record record, cut;
	struct replay replay;
	char path[600];

	snprintf(path, sizeof(path), "%s", scratch_path("record"));
	extra[1] = path;
	fid_start(&fid, "replay", "1M", extra);
	mixed_load(&fid);
	fid_stop(&fid);
	record = read_record(path);
	ck_assert_int_eq(replay_record(&record, &replay), 0);
	/* The load was mixed indeed. */
	ck_assert_uint_ge(replay.events[FINF_EV_ADD], MODELS + 1);
	ck_assert_uint_gt(replay.events[FINF_EV_REQUEST], 100);
	ck_assert_uint_gt(replay.events[FINF_EV_CANCEL], 0);
	ck_assert_uint_gt(replay.events[FINF_EV_LOAD_FAILED], 0);
	ck_assert_uint_ge(replay.events[FINF_EV_REMOVE], 1);
	ck_assert_uint_eq(replay.events[FINF_EV_DRAIN], 1);
	ck_assert_uint_gt(replay.actions[FINF_DO_EVICT], 0);
	ck_assert_uint_gt(replay.actions[FINF_DO_RUN], 100);
	ck_assert_uint_gt(replay.late, 0);

	/* Any end but the last byte of a step is the end of a damaged file. */
	for (size_t less = 1; less < sizeof(struct finf_record_step); less++) {
		cut = (struct record){record.data, record.len - less};
		ck_assert_int_eq(replay_record(&cut, &replay), -EBADMSG);
	}
	for (size_t len = 0; len < sizeof(struct finf_record_head); len++) {
		cut = (struct record){record.data, len};
		ck_assert_int_eq(replay_record(&cut, &replay), -EBADMSG);
	}
	free(record.data);
}
END_TEST

/* The comparison sees one bit of one action. */
START_TEST(another_action_is_noticed)
{
	const char *extra[] = {"--record", NULL, NULL};
	struct finf_record_step step;
	struct test_fid fid;
	struct record record;
	struct replay replay;
	size_t at = sizeof(struct finf_record_head);
	char path[600];

	snprintf(path, sizeof(path), "%s", scratch_path("record"));
	extra[1] = path;
	fid_start(&fid, "other", "16M", extra);
	fictl_ok(&fid, "import", golden_path("digits/digits.onnx"), NULL);
	fictl_ok(&fid, "infer", "digits", NULL);
	fid_stop(&fid);
	record = read_record(path);
	ck_assert_int_eq(replay_record(&record, &replay), 0);
	do
		ck_assert(take(&record, &at, &step, sizeof(step)));
	while (!step.n_actions);
	record.data[at + offsetof(struct finf_action, reason)] ^= 1;
	ck_assert_int_eq(replay_record(&record, &replay), -EILSEQ);
	free(record.data);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("replay");
	TCase *tc = tcase_create("record");

	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, the_record_of_a_mixed_load_replays_byte_for_byte);
	tcase_add_test(tc, another_action_is_noticed);
	suite_add_tcase(suite, tc);
	return suite;
}
