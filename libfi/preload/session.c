/* SPDX-License-Identifier: MIT */
/*
 * preload: the one thread of ours. It tells fid what the program holds, does
 * what fid says, and keeps trying while fid is not there. The connection is the
 * lease: without it nobody may keep the program paused, so it resumes.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "preload/preload.h"

#define RECONNECT_MS 2000
#define REPORT_MS    20	 /* changes of size are told this often at most */
#define RETRY_MS     50	 /* between two tries to get memory back */
#define ANSWER_NS    2000000000u /* fid has not said "resume" by then: it is not needed for that */
#define HIGH_FD	     600
#define TRIES	     20	 /* at a driver that fails for other reasons than memory */
#define STACK_BYTES  ((size_t)1 << 20)

static atomic_int wake_fd = -1;
static _Atomic bool dirty, quitting;
static pthread_mutex_t busy = PTHREAD_MUTEX_INITIALIZER; /* held while memory moves */

/* The thread's own. */
static struct {
	int sock;      /* -1: not connected */
	bool greeted;  /* fid knows programs like this */
	bool strangers; /* who listens there does not: leave it alone */
	enum finf_wire_app_state state;
	uint64_t resume_id; /* of the command that is being carried out, 0 = none */
	uint64_t asked_ns;  /* since when fid is asked to resume, 0 = not */
	uint64_t dialled_ns, reported_ns;
	unsigned failures;
	bool short_of_memory; /* why it does not resume yet */
	uint8_t in[sizeof(struct finf_wire_header) + 64];
	size_t n_in;
} self = {.sock = -1, .state = FINF_WIRE_APP_RUNNING};

/* Out of the way: some programs close or claim the low numbers they did not open. */
static int move_up(int fd)
{
	int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);

	if (high < 0)
		return fd;
	close(fd);
	return high;
}

/* ---- the wire -------------------------------------------------------------------------- */

static void hang_up(const char *why)
{
	if (self.sock < 0)
		return;
	fip_debug("fid is gone: %s", why);
	close(self.sock);
	self.sock = -1;
	self.greeted = false;
	self.n_in = 0;
	self.asked_ns = 0;
	self.resume_id = 0;
}

/* Small frames into an empty socket: one that is full belongs to nobody who listens. */
static void send_frame(struct finf_wire_header head, const void *payload, size_t bytes, int fd)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.room = {0}};
	struct iovec iov[2] = {{&head, sizeof(head)}, {(void *)(uintptr_t)payload, bytes}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	if (self.sock < 0)
		return;
	head.magic = FINF_WIRE_MAGIC;
	head.version = FINF_WIRE_VERSION;
	head.payload_bytes = (uint32_t)bytes;
	head.n_fds = fd >= 0;
	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
	}
	if (sendmsg(self.sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)(sizeof(head) + bytes))
		hang_up("it does not listen");
}

static void report(uint64_t done, int result)
{
	struct finf_wire_app app = {
		.state = self.state,
		.bytes = atomic_load(&fip_used_bytes),
		.pausable_bytes = atomic_load(&fip_pausable_bytes),
		.quota_bytes = atomic_load(&fip_quota_bytes),
		.done = done,
		.result = result,
	};
	bool paused = self.state == FINF_WIRE_APP_PAUSED;

	if (!self.greeted)
		return;
	if (paused && fip_gate_wanted()) {
		app.flags |= FINF_WIRE_APP_WANTS;
		self.asked_ns = self.asked_ns ? self.asked_ns : fip_now_ns();
	}
	if (atomic_load(&fip_no_vmm))
		app.flags |= FINF_WIRE_APP_NO_VMM;
	if (self.state == FINF_WIRE_APP_RESUMING && self.short_of_memory)
		app.flags |= FINF_WIRE_APP_NO_MEMORY;
	snprintf(app.name, sizeof(app.name), "%s", program_invocation_short_name);
	send_frame((struct finf_wire_header){.type = FINF_WIRE_APP}, &app, sizeof(app),
		   paused ? fip_swap_fd() : -1);
}

static bool socket_path(char *path, size_t len)
{
	const char *given = getenv("FUSEDINF_SOCKET"), *dir = getenv("XDG_RUNTIME_DIR");
	int n;

	if (given && *given)
		n = snprintf(path, len, "%s", given);
	else if (!geteuid())
		n = snprintf(path, len, "/run/fusedinf/fid.sock");
	else if (dir && *dir)
		n = snprintf(path, len, "%s/fusedinf/fid.sock", dir);
	else
		n = snprintf(path, len, "/run/user/%u/fusedinf/fid.sock", (unsigned)geteuid());
	return n > 0 && (size_t)n < len;
}

static void dial(void)
{
	struct finf_wire_hello hello = {.features = FINF_WIRE_FEATURE_APP, .pid = (uint32_t)getpid()};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int sock;

	if (!socket_path(addr.sun_path, sizeof(addr.sun_path)))
		return;
	sock = move_up(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	if (sock < 0)
		return;
	if (connect(sock, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		close(sock);
		return;
	}
	self.sock = sock;
	send_frame((struct finf_wire_header){.type = FINF_WIRE_HELLO}, &hello, sizeof(hello), -1);
}

/* ---- pausing and resuming ---------------------------------------------------------------- */

static int drain_contexts(void)
{
	void *contexts[64];
	unsigned n = fip_contexts(contexts, 64);

	for (unsigned i = 0; i < n; i++)
		if (fip_driver.cuCtxSetCurrent(contexts[i]) || fip_driver.cuCtxSynchronize())
			return -EREMOTEIO;
	return 0;
}

/* The gate is open when it fails, closed when it does not. */
static int take_memory(void)
{
	int err = fip_gate_drain();

	if (err)
		return err;
	err = drain_contexts();
	if (!err)
		err = fip_gate_close();
	if (!err)
		err = fip_swap_out();
	if (err)
		fip_gate_open();
	if (fip_driver.cuCtxSetCurrent)
		fip_driver.cuCtxSetCurrent(NULL);
	return err;
}

static void pause_program(uint64_t id)
{
	int err;

	if (self.state == FINF_WIRE_APP_RESUMING) {
		report(self.resume_id, -ECANCELED);
		self.resume_id = 0;
		self.state = FINF_WIRE_APP_PAUSED;
	}
	if (self.state == FINF_WIRE_APP_PAUSED) {
		report(id, 0);
		return;
	}
	if (atomic_load(&fip_used_bytes) && !atomic_load(&fip_pausable_bytes)) {
		report(id, -EOPNOTSUPP);
		return;
	}
	self.state = FINF_WIRE_APP_PAUSING;
	report(0, 0);
	pthread_mutex_lock(&busy);
	err = quitting ? -ECANCELED : take_memory();
	pthread_mutex_unlock(&busy);
	self.state = err ? FINF_WIRE_APP_RUNNING : FINF_WIRE_APP_PAUSED;
	self.failures = 0;
	report(id, err);
}

/*
 * Until there is memory for all of it the program waits. A driver that fails
 * otherwise will not get better: the program is let go, to hear that itself.
 */
static void try_resume(void)
{
	int err;

	pthread_mutex_lock(&busy);
	err = fip_swap_in();
	if (fip_driver.cuCtxSetCurrent)
		fip_driver.cuCtxSetCurrent(NULL);
	pthread_mutex_unlock(&busy);
	self.short_of_memory = err == -ENOBUFS;
	if (err && (err == -ENOBUFS || ++self.failures < TRIES))
		return;
	self.state = FINF_WIRE_APP_RUNNING;
	self.asked_ns = 0;
	fip_gate_open();
	report(self.resume_id, err);
	self.resume_id = 0;
}

static void begin_resume(uint64_t id)
{
	if (self.state != FINF_WIRE_APP_PAUSED) {
		if (self.state == FINF_WIRE_APP_RESUMING && !self.resume_id)
			self.resume_id = id;
		else
			report(id, self.state == FINF_WIRE_APP_RESUMING ? -EALREADY : 0);
		return;
	}
	self.state = FINF_WIRE_APP_RESUMING;
	self.resume_id = id;
	try_resume();
	if (self.state == FINF_WIRE_APP_RESUMING)
		report(0, 0);
}

/* Paused: does anything ask for the program? A program that ends resumes for nobody else. */
static void look_after_pause(void)
{
	bool wanted = fip_gate_wanted();

	if (self.state == FINF_WIRE_APP_RESUMING) {
		if (!quitting || wanted)
			try_resume();
		return;
	}
	if (self.state != FINF_WIRE_APP_PAUSED || (quitting && !wanted))
		return;
	if (!self.greeted) {
		begin_resume(0);
	} else if (wanted && !self.asked_ns) {
		report(0, 0);
	} else if (wanted && fip_now_ns() - self.asked_ns > ANSWER_NS) {
		begin_resume(0);
	}
}

/* ---- what fid says -------------------------------------------------------------------------- */

static void on_command(uint64_t id, const struct finf_wire_app_command *command)
{
	switch ((enum finf_wire_app_order)command->order) {
	case FINF_WIRE_APP_PAUSE:
		pause_program(id);
		return;
	case FINF_WIRE_APP_RESUME:
		begin_resume(id);
		return;
	case FINF_WIRE_APP_QUOTA:
		atomic_store(&fip_quota_bytes, command->bytes);
		report(id, 0);
		return;
	}
	report(id, -EOPNOTSUPP);
}

static bool on_frame(const struct finf_wire_header *head, const uint8_t *payload)
{
	struct finf_wire_app_command command;
	struct finf_wire_hello hello;

	if (head->type == FINF_WIRE_HELLO && head->payload_bytes == sizeof(hello)) {
		memcpy(&hello, payload, sizeof(hello));
		self.strangers = !(hello.features & FINF_WIRE_FEATURE_APP);
		self.greeted = !self.strangers;
		report(0, 0);
		return self.greeted;
	}
	if (head->type != FINF_WIRE_APP_COMMAND || head->payload_bytes != sizeof(command))
		return false;
	memcpy(&command, payload, sizeof(command));
	on_command(head->id, &command);
	return true;
}

/* false: not what fid says. */
static bool take_frames(void)
{
	struct finf_wire_header head;

	while (self.n_in >= sizeof(head)) {
		size_t bytes;

		memcpy(&head, self.in, sizeof(head));
		bytes = sizeof(head) + head.payload_bytes;
		if (head.magic != FINF_WIRE_MAGIC || head.version != FINF_WIRE_VERSION ||
		    head.n_fds || bytes > sizeof(self.in))
			return false;
		if (self.n_in < bytes)
			return true;
		if (!on_frame(&head, self.in + sizeof(head)) || self.sock < 0)
			return false;
		self.n_in -= bytes;
		memmove(self.in, self.in + bytes, self.n_in);
	}
	return true;
}

static void receive(void)
{
	ssize_t n = recv(self.sock, self.in + self.n_in, sizeof(self.in) - self.n_in, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		hang_up(n ? strerror(errno) : "it hung up");
		return;
	}
	self.n_in += (size_t)n;
	if (!take_frames())
		hang_up("not what fid says");
}

/* ---- the thread -------------------------------------------------------------------------------- */

static int wait_ms(void)
{
	if (wake_fd < 0)
		return RETRY_MS;
	if (self.state != FINF_WIRE_APP_RUNNING &&
	    (self.state == FINF_WIRE_APP_RESUMING || !self.greeted || fip_gate_wanted()))
		return RETRY_MS;
	if (self.greeted && dirty)
		return REPORT_MS;
	return self.sock < 0 && !self.strangers ? RECONNECT_MS : -1;
}

static void redial(void)
{
	uint64_t now = fip_now_ns();

	if (self.sock >= 0 || self.strangers ||
	    (self.dialled_ns && now - self.dialled_ns < RECONNECT_MS * 1000000ull))
		return;
	self.dialled_ns = now;
	dial();
}

static void wait_for_word(void)
{
	struct pollfd fds[2] = {{wake_fd, POLLIN, 0}, {self.sock, POLLIN, 0}};
	uint64_t word;

	if (poll(fds, 2, wait_ms()) <= 0)
		return;
	if (fds[0].revents & POLLNVAL)
		wake_fd = -1; /* closed by the program: look now and then */
	else if (fds[0].revents && read(wake_fd, &word, sizeof(word)) < 0)
		return; /* nothing there after all */
	if (fds[1].revents)
		receive();
}

static void *run(void *unused)
{
	for (;;) {
		redial();
		wait_for_word();
		look_after_pause();
		if (dirty && fip_now_ns() - self.reported_ns >= REPORT_MS * 1000000u) {
			dirty = false;
			self.reported_ns = fip_now_ns();
			report(0, 0);
		}
	}
	return unused;
}

/* Whoever sees `dirty` set already knows that the thread has been woken. */
void fip_session_wake(void)
{
	uint64_t one = 1;
	int fd = wake_fd;

	if (fd >= 0 && (!atomic_exchange(&dirty, true) || atomic_load(&fip_gate) != FIP_OPEN) &&
	    write(fd, &one, sizeof(one)) < 0)
		return; /* full: it wakes anyway */
}

/* The driver takes itself down after this: memory must not be on the move then. */
static void at_exit(void)
{
	struct timespec until;

	if (fip_off())
		return;
	quitting = true;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	if (!pthread_mutex_timedlock(&busy, &until))
		pthread_mutex_unlock(&busy);
}

/* The connection is the parent's, and no driver survives a fork. */
static void in_child(void)
{
	fip_forked = true;
	fip_gate_forked();
	if (self.sock >= 0)
		close(self.sock);
	if (wake_fd >= 0)
		close(wake_fd);
	wake_fd = -1;
}

static void start(void)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;

	wake_fd = move_up(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (wake_fd < 0)
		return;
	pthread_atfork(NULL, NULL, in_child);
	atexit(at_exit);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&thread, &attr, run, NULL))
		fip_debug("no thread: the program cannot be paused");
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
}

void fip_session_start(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, start);
}
