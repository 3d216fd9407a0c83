/* SPDX-License-Identifier: MIT */
/* tests/support/inject: see inject.h. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/inject.h"

#define WAIT_MS 20000

struct inject_shared {
	atomic_bool ready, fired;
	atomic_uint count;
	_Atomic(const char *) name; /* of the table: both processes have it at one address */
	unsigned nth;
	enum inject_scope scope;
	bool counting;
};

#ifdef __x86_64__

static const struct call {
	long nr;
	const char *name;
	int err;
	enum inject_scope scope;
	bool regular_only; /* descriptor must be a regular file */
} calls[] = {
	{SYS_openat, "openat", EMFILE, INJECT_FILES, false},
	{SYS_fstat, "fstat", EIO, INJECT_FILES, false},
	{SYS_newfstatat, "newfstatat", EIO, INJECT_FILES, false},
	{SYS_statx, "statx", EIO, INJECT_FILES, false},
	{SYS_read, "read", EIO, INJECT_FILES, true},
	{SYS_pread64, "pread64", EIO, INJECT_FILES, false},
	{SYS_preadv2, "preadv2", EIO, INJECT_FILES, false},
	{SYS_write, "write", ENOSPC, INJECT_FILES, true},
	{SYS_pwrite64, "pwrite64", ENOSPC, INJECT_FILES, false},
	{SYS_fallocate, "fallocate", ENOSPC, INJECT_FILES, false},
	{SYS_ftruncate, "ftruncate", ENOSPC, INJECT_FILES, false},
	{SYS_fsync, "fsync", EIO, INJECT_FILES, false},
	{SYS_renameat, "renameat", EIO, INJECT_FILES, false},
	{SYS_renameat2, "renameat2", EIO, INJECT_FILES, false},
	{SYS_mkdir, "mkdir", EACCES, INJECT_FILES, false},
	{SYS_mkdirat, "mkdirat", EACCES, INJECT_FILES, false},
	{SYS_fcntl, "fcntl", EMFILE, INJECT_FILES, false},
	{SYS_memfd_create, "memfd_create", EMFILE, INJECT_FILES, false},
	{SYS_io_uring_setup, "io_uring_setup", ENOMEM, INJECT_FILES, false},
	{SYS_io_uring_register, "io_uring_register", ENOMEM, INJECT_FILES, false},
	{SYS_io_uring_enter, "io_uring_enter", EIO, INJECT_FILES, false},
	{SYS_mmap, "mmap", ENOMEM, INJECT_FILES, false},
	{SYS_socket, "socket", EMFILE, INJECT_PROGRAM, false},
	{SYS_setsockopt, "setsockopt", ENOMEM, INJECT_PROGRAM, false},
	{SYS_connect, "connect", ECONNREFUSED, INJECT_PROGRAM, false},
	{SYS_sendmsg, "sendmsg", EPIPE, INJECT_PROGRAM, false},
};

static const struct call *call_of(const struct inject_shared *shared, long nr)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (calls[i].nr == nr && calls[i].scope <= shared->scope)
			return &calls[i];
	return NULL;
}

/* Standard error, eventfds and pipes are not what is asked about. */
static bool regular(pid_t tid, int fd)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)tid, fd);
	return fd > STDERR_FILENO && !stat(path, &st) && S_ISREG(st.st_mode);
}

/* The address sanitizer gives up when it gets no memory for itself. */
static bool of_sanitizer(const struct call *call, int fd)
{
#ifdef __SANITIZE_ADDRESS__
	return call->nr == SYS_mmap && fd < 0;
#else
	(void)call, (void)fd;
	return false;
#endif
}

/* A call number of -1 is skipped by the kernel and the register is the answer. */
static bool replace(pid_t tid, int err)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, tid, NULL, &regs))
		return false;
	regs.orig_rax = (unsigned long long)-1;
	regs.rax = (unsigned long long)-err;
	return !ptrace(PTRACE_SETREGS, tid, NULL, &regs);
}

static void on_entry(struct inject_shared *shared, pid_t tid,
		     const struct __ptrace_syscall_info *info)
{
	const struct call *call = call_of(shared, (long)info->entry.nr);

	if ((long)info->entry.nr == SYS_socket)
		shared->counting = true;
	if (!call || !shared->counting)
		return;
	if (call->regular_only && !regular(tid, (int)info->entry.args[0]))
		return;
	if (of_sanitizer(call, (int)info->entry.args[4]))
		return;
	if (++shared->count != shared->nth || !replace(tid, call->err))
		return;
	shared->name = call->name;
	shared->fired = true;
}

static void seize_all(pid_t pid)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE;
	char path[64];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		pid_t tid = atoi(entry->d_name);

		if (tid <= 0)
			continue;
		if (ptrace(PTRACE_SEIZE, tid, NULL, options) ||
		    ptrace(PTRACE_INTERRUPT, tid, NULL, NULL))
			_exit(1);
		waitpid(tid, NULL, __WALL);
		ptrace(PTRACE_SYSCALL, tid, NULL, NULL);
	}
	closedir(dir);
}

/* Ends by itself when the call has failed; with the tracer the tracing ends. */
static void trace(struct inject_shared *shared, pid_t pid)
{
	seize_all(pid);
	shared->ready = true;
	while (!shared->fired) {
		struct __ptrace_syscall_info info;
		int status, signal = 0;
		pid_t tid = waitpid(-1, &status, __WALL);

		if (tid < 0)
			break;
		if (!WIFSTOPPED(status))
			continue;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info) > 0 &&
			    info.op == PTRACE_SYSCALL_INFO_ENTRY)
				on_entry(shared, tid, &info);
		} else if (!(status >> 16)) {
			signal = WSTOPSIG(status); /* the process's own */
		}
		ptrace(PTRACE_SYSCALL, tid, NULL, signal);
	}
	_exit(0);
}

/* Yama lets only ancestors trace, and the tracer is a brother of what it traces. */
static bool siblings_may_trace(void)
{
	FILE *file = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
	int scope = file ? fgetc(file) : '0';

	if (file)
		fclose(file);
	return scope == '0' || (scope != '3' && geteuid() == 0);
}

bool inject_possible(void)
{
	pid_t child, waited;
	int status = 0;
	bool ok;

	if (!siblings_may_trace())
		return false;
	child = fork();
	ck_assert_int_ge(child, 0);
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	ok = !ptrace(PTRACE_SEIZE, child, NULL, NULL);
	kill(child, SIGKILL);
	waited = waitpid(child, &status, __WALL);
	return ok && waited == child;
}

#else

static void trace(struct inject_shared *shared, pid_t pid)
{
	(void)shared, (void)pid;
	_exit(1);
}

bool inject_possible(void)
{
	return false; /* which register holds a call's number is known for x86-64 only */
}

#endif

void inject_start(struct inject *inject, pid_t pid, enum inject_scope scope, unsigned nth)
{
	struct inject_shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
					    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(shared, MAP_FAILED);
	shared->nth = nth;
	shared->scope = scope;
	shared->counting = scope == INJECT_FILES;
	inject->shared = shared;
	inject->tracer = fork();
	ck_assert_int_ge(inject->tracer, 0);
	if (!inject->tracer) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		trace(shared, pid);
	}
	for (int ms = 0; !shared->ready; ms++) {
		ck_assert_msg(ms < WAIT_MS && waitpid(inject->tracer, NULL, WNOHANG) == 0,
			      "process %d cannot be traced", (int)pid);
		poll(NULL, 0, 1);
	}
}

const char *inject_end(struct inject *inject, unsigned *ret_count)
{
	const char *name;

	kill(inject->tracer, SIGKILL);
	waitpid(inject->tracer, NULL, 0);
	name = inject->shared->name;
	if (ret_count)
		*ret_count = inject->shared->count;
	munmap(inject->shared, sizeof(*inject->shared));
	return name;
}
