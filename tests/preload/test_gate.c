/* SPDX-License-Identifier: MIT */
/*
 * The gate of the preload library alone: a pause that begins while a waiter of
 * the last one has looked at the clock and has yet to make use of it.
 */
#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <time.h>

#include "preload/preload.h"
#include "tests/support/support.h"

#define LOOK_MS 200 /* the next pause may begin in it, or not before its end */

atomic_uint fip_captures;
static atomic_bool waits, reopened, looked, holds;
static _Thread_local bool waiter;

/* Called by whoever is about to wait. */
void fip_session_wake(void)
{
	waits = true;
}

uint64_t fip_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (waiter && reopened) {
		for (int ms = 0; ms < LOOK_MS && atomic_load(&fip_gate) != FIP_DRAINING; ms++)
			poll(NULL, 0, 1);
		looked = true;
	}
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void *wait_at_gate(void *unused)
{
	waiter = true;
	fip_enter();
	fip_leave();
	return unused;
}

/* Keeps the second pause draining until the waiter has done its worst. */
static void *stay_inside(void *unused)
{
	fip_enter();
	holds = true;
	while (!looked)
		poll(NULL, 0, 1);
	poll(NULL, 0, 20);
	fip_leave();
	return unused;
}

START_TEST(test_a_waiter_ends_its_own_pause_only)
{
	pthread_t threads[2];

	ck_assert_int_eq(fip_gate_drain(), 0);
	ck_assert_int_eq(fip_gate_close(), 0);
	ck_assert_int_eq(pthread_create(&threads[0], NULL, wait_at_gate, NULL), 0);
	while (!waits)
		poll(NULL, 0, 1);
	reopened = true;
	fip_gate_open();
	ck_assert_int_eq(pthread_create(&threads[1], NULL, stay_inside, NULL), 0);
	while (!holds)
		poll(NULL, 0, 1);
	ck_assert_int_eq(fip_gate_drain(), 0);
	ck_assert_int_eq(fip_gate_close(), 0);
	fip_gate_open();
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert(looked && !fip_gate_wanted());
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("gate");
	TCase *tcase = tcase_create("pauses");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_a_waiter_ends_its_own_pause_only);
	suite_add_tcase(suite, tcase);
	return suite;
}
