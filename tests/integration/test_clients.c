/* SPDX-License-Identifier: MIT */
/*
 * Many clients at once: every answer is right and comes to whom it belongs,
 * whatever is loaded, evicted, pinned or imported again meanwhile.
 */
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <fusedinf/client.h>

#include "base/base.h"
#include "tests/support/digits.h"
#include "tests/support/support.h"

#define WAIT_MS 30000
#define THREADS 8

/* ---- many at once -------------------------------------------------------------------------- */

static const char *const nets[] = {"net_fire_bn_10", "net_residual_bn_13", "net_inverted_bn_9",
				   "net_attention_raw_13", "net_residual_fold_11"};
#define N_NETS (sizeof(nets) / sizeof(nets[0]))
#define MODELS (N_NETS + 16) /* and digits under many names */

struct model {
	char name[32];
	struct finf_tensor in; /* data owned */
	float *answer;	       /* owned: the first */
	size_t answer_bytes;
};

struct crowd {
	const struct test_fid *fid;
	struct model *models;
	unsigned seed;
	pthread_barrier_t *start;
	unsigned done;
	char error[600];
};

static void describe(struct finf_client *client, struct model *model)
{
	char request[96], *text;
	json_t *doc, *port;
	size_t count;

	snprintf(request, sizeof(request), "{\"command\": \"inspect\", \"model\": \"%.31s\"}",
		 model->name);
	ck_assert_int_eq(finf_client_control(client, request, &text, NULL), 0);
	doc = json_loads(text, 0, NULL);
	ck_assert_uint_eq(json_array_size(json_object_get(doc, "inputs")), 1);
	port = json_array_get(json_object_get(doc, "inputs"), 0);
	model->in = (struct finf_tensor){.dtype = FINF_F32};
	for (size_t d = 0; d < json_array_size(json_object_get(port, "shape")); d++) {
		json_int_t dim =
			json_integer_value(json_array_get(json_object_get(port, "shape"), d));

		model->in.shape.dim[model->in.shape.rank++] = dim == FINF_DIM_ANY ? 1 : dim;
	}
	ck_assert_int_eq(finf_shape_count(&model->in.shape, &count), 0);
	model->in.bytes = count * sizeof(float);
	model->in.data = malloc(model->in.bytes);
	test_fill_f32(model->in.data, count, 11);
	json_decref(doc);
	free(text);
}

static void first_answer(struct finf_client *client, struct model *model)
{
	struct finf_tensor out = {.data = NULL};
	struct finf_diag diag = {{0}};

	describe(client, model);
	ck_assert_msg(!finf_client_infer(client, model->name, &model->in, 1, &out, 1, NULL, &diag),
		      "%s: %s", model->name, diag.text);
	model->answer = out.data;
	model->answer_bytes = out.bytes;
}

static void *crowd_main(void *ctx)
{
	struct crowd *crowd = ctx;
	struct finf_client *client = NULL;
	struct finf_diag diag = {{0}};
	uint64_t random = crowd->seed;
	int err = finf_client_open(crowd->fid->socket, &client, &diag);

	pthread_barrier_wait(crowd->start);
	for (unsigned i = 0; !err && i < 60; i++) {
		const struct model *model = &crowd->models[test_random(&random) % MODELS];
		struct finf_tensor out = {.data = NULL};

		err = finf_client_infer(client, model->name, &model->in, 1, &out, 1, NULL, &diag);
		if (!err && (out.bytes != model->answer_bytes ||
			     memcmp(out.data, model->answer, out.bytes)))
			err = finf_diag_set(&diag, -EILSEQ, "another answer than the first");
		if (err)
			snprintf(crowd->error, sizeof(crowd->error), "%s: %s", model->name,
				 diag.text);
		else
			crowd->done++;
		free(out.data);
	}
	if (err && !crowd->error[0])
		snprintf(crowd->error, sizeof(crowd->error), "%s", diag.text);
	finf_client_close(client);
	return NULL;
}

static void run_crowd(const struct test_fid *fid, struct model *models)
{
	struct crowd crowd[THREADS] = {{0}};
	pthread_t threads[THREADS];
	pthread_barrier_t start;

	pthread_barrier_init(&start, NULL, THREADS);
	for (unsigned i = 0; i < THREADS; i++) {
		crowd[i] = (struct crowd){
			.fid = fid, .models = models, .seed = i + 1, .start = &start};
		ck_assert_int_eq(pthread_create(&threads[i], NULL, crowd_main, &crowd[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_msg(!crowd[i].error[0] && crowd[i].done == 60, "thread %u, after %u: %s",
			      i, crowd[i].done, crowd[i].error);
	}
	pthread_barrier_destroy(&start);
}

START_TEST(eight_threads_get_the_right_answers_under_pressure)
{
	struct model models[MODELS];
	struct finf_client *client;
	struct test_fid fid;
	int64_t weights = 0, arena = 0;
	char pool[32], path[256];

	/* First alone in a large pool, to know the sizes; then in one of about two thirds. */
	fid_start(&fid, "crowd", "64M", NULL);
	client = digits_client(&fid);
	for (size_t i = 0; i < MODELS; i++) {
		if (i < N_NETS)
			snprintf(models[i].name, sizeof(models[i].name), "%s", nets[i]);
		else
			snprintf(models[i].name, sizeof(models[i].name), "digits%zu", i);
		snprintf(path, sizeof(path), "cases/%.31s/model.onnx", models[i].name);
		fictl_ok(&fid, "import", golden_path(i < N_NETS ? path : "digits/digits.onnx"), "--name",
			 models[i].name, NULL);
		first_answer(client, &models[i]);
	}
	weights = status_at(&fid, "pool.weights");
	arena = status_at(&fid, "pool.arena");
	run_crowd(&fid, models);
	ck_assert_int_eq(status_at(&fid, "swap.loads"), MODELS);
	finf_client_close(client);
	fid_stop(&fid);

	snprintf(pool, sizeof(pool), "%lld", (long long)(arena + weights * 2 / 3));
	fid_start(&fid, "crowd", pool, NULL);
	run_crowd(&fid, models);
	ck_assert_int_gt(status_at(&fid, "swap.evictions"), 0);
	ck_assert_int_eq(status_at(&fid, "requests.failed"), 0);
	ck_assert_int_eq(status_at(&fid, "requests.done"), THREADS * 60);
	ck_assert_int_eq(status_at(&fid, "requests.running"), 0);
	ck_assert_int_eq(status_at(&fid, "requests.queued"), 0);
	fid_stop(&fid);
	for (size_t i = 0; i < MODELS; i++) {
		free(models[i].in.data);
		free(models[i].answer);
	}
}
END_TEST

/* What the process did before must not show in what is tuned later. */
START_TEST(a_model_imported_again_takes_every_batch)
{
	static const char *const batches[] = {"5", "1", "2", "64"};
	struct test_fid fid;

	fid_start(&fid, "batch", "16M", NULL);
	digits_import(&fid, "first");
	digits_import(&fid, "second");
	for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++)
		fictl_ok(&fid, "infer", "second", "--batch", batches[i], NULL);
	fid_stop(&fid);
}
END_TEST

static void *first_main(void *ctx)
{
	struct crowd *crowd = ctx;
	struct finf_client *client = NULL;
	struct finf_diag diag = {{0}};
	float scores[10];
	int err = finf_client_open(crowd->fid->socket, &client, &diag);

	pthread_barrier_wait(crowd->start);
	if (!err)
		err = digits_ask(client, "digits", crowd->seed, scores, &diag);
	if (err)
		snprintf(crowd->error, sizeof(crowd->error), "%s", diag.text);
	finf_client_close(client);
	return NULL;
}

START_TEST(first_requests_at_once_cause_one_load)
{
	struct test_fid fid;

	fid_start(&fid, "flight", "16M", NULL);
	digits_import(&fid, "digits");
	for (int round = 1; round <= 10; round++) {
		struct crowd crowd[THREADS] = {{0}};
		pthread_t threads[THREADS];
		pthread_barrier_t start;

		pthread_barrier_init(&start, NULL, THREADS);
		for (unsigned i = 0; i < THREADS; i++) {
			crowd[i] = (struct crowd){.fid = &fid, .seed = i, .start = &start};
			ck_assert_int_eq(pthread_create(&threads[i], NULL, first_main, &crowd[i]),
					 0);
		}
		for (unsigned i = 0; i < THREADS; i++) {
			pthread_join(threads[i], NULL);
			ck_assert_msg(!crowd[i].error[0], "%s", crowd[i].error);
		}
		pthread_barrier_destroy(&start);
		ck_assert_int_eq(status_at(&fid, "swap.loads"), round);
		fictl_ok(&fid, "unload", "digits", NULL);
	}
	fid_stop(&fid);
}
END_TEST

START_TEST(pinned_models_stay_under_pressure)
{
	struct finf_client *client;
	struct test_fid fid;
	const char *models, *pinned;
	char name[8];

	/* Each takes about 100 kB of weights: eight of them and an arena are too many. */
	fid_start(&fid, "pinned", "1M", NULL);
	digits_import(&fid, "stay");
	for (int i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "m%d", i);
		digits_import(&fid, name);
	}
	fictl_ok(&fid, "pin", "stay", NULL);
	client = digits_client(&fid);
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "m%d", i % 12);
		digits_answer(client, name);
	}
	finf_client_close(client);
	ck_assert_int_gt(status_at(&fid, "swap.evictions"), 0);
	models = fictl_ok(&fid, "models", "--json", NULL);
	pinned = strstr(models, "\"name\": \"stay\"");
	ck_assert_ptr_nonnull(pinned);
	ck_assert_int_eq(json_at(pinned, "evictions"), 0);
	ck_assert_int_eq(json_at(pinned, "loads"), 1);
	ck_assert_ptr_null(strstr(fictl_ok(&fid, "events", NULL), "evict       stay"));
	fid_stop(&fid);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("clients");
	TCase *tc = tcase_create("fid");

	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, eight_threads_get_the_right_answers_under_pressure);
	tcase_add_test(tc, a_model_imported_again_takes_every_batch);
	tcase_add_test(tc, first_requests_at_once_cause_one_load);
	tcase_add_test(tc, pinned_models_stay_under_pressure);
	suite_add_tcase(suite, tc);
	return suite;
}
