/* SPDX-License-Identifier: MIT */
/* daemon/loop: sd-event loop, worker threads, and the way back from them. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/loop.h"

struct fid_loop {
	sd_event *event;
	uint64_t awake_until_ns; /* a brief job is out, or the next one is likely: do not sleep */
	sd_event_source *wake;
	int wake_fd;
	/* Finished jobs, newest first; the eventfd is written when it was empty. */
	_Atomic(struct fid_job *) posted;
};

bool fid_loop_deliver(struct fid_loop *loop)
{
	struct fid_job *job = atomic_exchange(&loop->posted, NULL), *in_order = NULL;
	bool any = job != NULL;

	while (job) {
		struct fid_job *next = job->next;

		job->next = in_order;
		in_order = job;
		job = next;
	}
	while (in_order) {
		job = in_order;
		in_order = job->next; /* finish may reuse the job */
		job->finish(job);
	}
	return any;
}

static int on_wake(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	uint64_t n;

	(void)source, (void)revents;
	if (read(fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		return -errno;
	fid_loop_deliver(ctx);
	return 0;
}

void fid_loop_post(struct fid_loop *loop, struct fid_job *job)
{
	struct fid_job *head = atomic_load(&loop->posted);
	uint64_t one = 1;

	do
		job->next = head;
	while (!atomic_compare_exchange_weak(&loop->posted, &head, job));
	/* Only the first of a batch pays for the wakeup. A full counter wakes too. */
	if (!head && write(loop->wake_fd, &one, sizeof(one)) < 0)
		(void)errno;
}

int fid_loop_new(struct fid_loop **ret_loop)
{
	struct fid_loop *loop = calloc(1, sizeof(*loop));
	int err;

	if (!loop)
		return -ENOMEM;
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake_fd < 0) {
		err = -errno;
		goto out;
	}
	err = sd_event_new(&loop->event);
	if (err < 0)
		goto out;
	err = sd_event_add_io(loop->event, &loop->wake, loop->wake_fd, EPOLLIN, on_wake, loop);
	if (err < 0)
		goto out;
	*ret_loop = loop;
	return 0;
out:
	fid_loop_free(loop);
	return err;
}

void fid_loop_free(struct fid_loop *loop)
{
	if (!loop)
		return;
	sd_event_source_unref(loop->wake);
	sd_event_unref(loop->event);
	if (loop->wake_fd >= 0)
		close(loop->wake_fd);
	free(loop);
}

sd_event *fid_loop_event(struct fid_loop *loop)
{
	return loop->event;
}

int fid_loop_run(struct fid_loop *loop)
{
	int code = 0;

	while (sd_event_get_state(loop->event) != SD_EVENT_FINISHED) {
		bool awake = finf_now_ns() < loop->awake_until_ns;
		int err;

		if (awake)
			fid_loop_deliver(loop);
		err = sd_event_run(loop->event, awake ? 0 : UINT64_MAX);
		if (err < 0)
			return err;
		if (awake && !err)
			sched_yield(); /* whoever is to ask may need this core */
	}
	sd_event_get_exit_code(loop->event, &code);
	return code;
}

void fid_loop_stop(struct fid_loop *loop)
{
	sd_event_exit(loop->event, 0);
}

struct fid_worker {
	struct fid_loop *loop;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct fid_job *first, **last; /* under lock */
	atomic_bool queued;	       /* something is; for looking without the lock */
	bool stop;		       /* under lock */
};

static struct fid_job *worker_take(struct fid_worker *worker)
{
	struct fid_job *job;

	pthread_mutex_lock(&worker->lock);
	while (!worker->first && !worker->stop)
		pthread_cond_wait(&worker->more, &worker->lock);
	job = worker->stop ? NULL : worker->first;
	if (job) {
		worker->first = job->next;
		if (!worker->first)
			worker->last = &worker->first;
		atomic_store_explicit(&worker->queued, worker->first != NULL, memory_order_relaxed);
	}
	pthread_mutex_unlock(&worker->lock);
	return job;
}

/* Who asks for brief jobs asks again soon. */
static void await_next(struct fid_worker *worker)
{
	uint64_t until_ns = finf_now_ns() + FID_AWAKE_NS;

	while (!atomic_load_explicit(&worker->queued, memory_order_relaxed) &&
	       finf_now_ns() < until_ns)
		sched_yield(); /* whoever is to ask may need this core */
}

static void *worker_main(void *ctx)
{
	struct fid_worker *worker = ctx;
	struct fid_job *job;

	while ((job = worker_take(worker))) {
		bool brief = job->brief;

		job->work(job);
		fid_loop_post(worker->loop, job); /* no longer ours */
		if (brief)
			await_next(worker);
	}
	return NULL;
}

int fid_worker_new(struct fid_loop *loop, const char *name, struct fid_worker **ret_worker)
{
	struct fid_worker *worker = calloc(1, sizeof(*worker));
	sigset_t all, old;
	int err;

	if (!worker)
		return -ENOMEM;
	worker->loop = loop;
	worker->last = &worker->first;
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->more, NULL);
	/* Signals are the loop's business. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&worker->thread, NULL, worker_main, worker);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err) {
		free(worker);
		return -err;
	}
	pthread_setname_np(worker->thread, name);
	*ret_worker = worker;
	return 0;
}

void fid_worker_free(struct fid_worker *worker)
{
	if (!worker)
		return;
	pthread_mutex_lock(&worker->lock);
	worker->stop = true;
	pthread_cond_signal(&worker->more);
	pthread_mutex_unlock(&worker->lock);
	pthread_join(worker->thread, NULL);
	while (worker->first) {
		struct fid_job *job = worker->first;

		worker->first = job->next;
		fid_loop_post(worker->loop, job);
	}
	pthread_cond_destroy(&worker->more);
	pthread_mutex_destroy(&worker->lock);
	free(worker);
}

void fid_worker_add(struct fid_worker *worker, struct fid_job *job)
{
	pthread_mutex_lock(&worker->lock);
	job->next = NULL;
	*worker->last = job;
	worker->last = &job->next;
	atomic_store_explicit(&worker->queued, true, memory_order_relaxed);
	pthread_cond_signal(&worker->more);
	pthread_mutex_unlock(&worker->lock);
	if (job->brief)
		worker->loop->awake_until_ns = finf_now_ns() + FID_AWAKE_NS;
}
