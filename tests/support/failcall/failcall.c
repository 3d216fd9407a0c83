/* SPDX-License-Identifier: MIT */
/* tests/support/failcall: see failcall.h. In a folder of its own: no test program links it. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/support/failcall/failcall.h"

#define EXPORT __attribute__((visibility("default")))

enum call {
	OPEN, OPENAT, READ, PREAD, PREADV2, WRITE, PWRITE, MMAP, FTRUNCATE, FSYNC, FDATASYNC,
	RENAME, LINKAT, FALLOCATE, STATX, FSTAT, MEMFD_CREATE, SENDMSG, RECVMSG, QUEUE_INIT,
	REGISTER_BUFFERS, REGISTER_FILES, UPDATE_FILES, SUBMIT, N_CALLS,
};

static const char *const names[N_CALLS] = {
	[OPEN] = "open", [OPENAT] = "openat", [READ] = "read", [PREAD] = "pread",
	[PREADV2] = "preadv2", [WRITE] = "write", [PWRITE] = "pwrite", [MMAP] = "mmap",
	[FTRUNCATE] = "ftruncate", [FSYNC] = "fsync", [FDATASYNC] = "fdatasync",
	[RENAME] = "rename", [LINKAT] = "linkat", [FALLOCATE] = "fallocate", [STATX] = "statx",
	[FSTAT] = "fstat", [MEMFD_CREATE] = "memfd_create", [SENDMSG] = "sendmsg",
	[RECVMSG] = "recvmsg", [QUEUE_INIT] = "queue_init",
	[REGISTER_BUFFERS] = "register_buffers", [REGISTER_FILES] = "register_files",
	[UPDATE_FILES] = "update_files", [SUBMIT] = "submit",
};

static const struct {
	const char *name;
	int err;
} errnos[] = {
	{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"ENOMEM", ENOMEM}, {"EMFILE", EMFILE},
	{"EAGAIN", EAGAIN}, {"EINTR", EINTR}, {"EACCES", EACCES}, {"EPERM", EPERM},
	{"EINVAL", EINVAL}, {"ENOSYS", ENOSYS},
};

static struct {
	bool on;
	unsigned long nth;
	int err, only; /* only: an enum call, N_CALLS = any */
	atomic_ulong total, of[N_CALLS];
	atomic_int failed; /* enum call, N_CALLS = none */
} state;

static int errno_of(const char *text)
{
	for (size_t i = 0; i < sizeof(errnos) / sizeof(errnos[0]); i++)
		if (!strcmp(text, errnos[i].name))
			return errnos[i].err;
	return atoi(text);
}

static int call_of(const char *text)
{
	int i = 0;

	while (i < N_CALLS && strcmp(text, names[i]))
		i++;
	return i;
}

static void complain(const char *what)
{
	static const char head[] = "failcall: cannot understand " FAILCALL_ENV ": ";

	syscall(SYS_write, 2, head, sizeof(head) - 1);
	syscall(SYS_write, 2, what, strlen(what));
	syscall(SYS_write, 2, "\n", 1);
	_exit(126);
}

__attribute__((constructor)) static void failcall_start(void)
{
	const char *given = getenv(FAILCALL_ENV);
	char text[64], *rest = text, *field;

	state.err = EIO;
	state.only = N_CALLS;
	atomic_store(&state.failed, N_CALLS);
	if (!given)
		return;
	snprintf(text, sizeof(text), "%s", given);
	field = strsep(&rest, ":");
	state.nth = strtoul(field, &field, 10);
	if (*field)
		complain(given);
	while ((field = strsep(&rest, ":"))) {
		int call = call_of(field), err = errno_of(field);

		if (call < N_CALLS)
			state.only = call;
		else if (err > 0)
			state.err = err;
		else
			complain(given);
	}
	state.on = true;
}

__attribute__((destructor)) static void failcall_report(void)
{
	const char *path = getenv(FAILCALL_LOG_ENV);
	int failed = atomic_load(&state.failed), at, fd;
	char text[2048];

	if (!state.on || !path)
		return;
	at = snprintf(text, sizeof(text), "total %lu failed %s\n", atomic_load(&state.total),
		      failed < N_CALLS ? names[failed] : "none");
	for (int i = 0; i < N_CALLS; i++)
		at += snprintf(text + at, sizeof(text) - (size_t)at, "%s %lu\n", names[i],
			       atomic_load(&state.of[i]));
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	syscall(SYS_write, fd, text, (size_t)at);
	syscall(SYS_close, fd);
}

/* Is it this one's turn? Then errno is set. */
static bool fails(enum call call)
{
	unsigned long total, of;

	if (!state.on)
		return false;
	total = atomic_fetch_add(&state.total, 1) + 1;
	of = atomic_fetch_add(&state.of[call], 1) + 1;
	if (state.only < N_CALLS ? (int)call != state.only || of != state.nth : total != state.nth)
		return false;
	atomic_store(&state.failed, (int)call);
	errno = state.err;
	return true;
}

/* The function behind ours; found at each call, which a test can afford. */
static void *real(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (!found)
		_exit(126);
	return found;
}

#define WRAP(type, call, name, params, args)                                                       \
	EXPORT type name params                                                                    \
	{                                                                                          \
		if (fails(call))                                                                   \
			return (type)-1;                                                           \
		return ((type(*) params)real(#name))args;                                          \
	}

/* liburing answers with -errno. */
#define WRAP_URING(call, name, params, args)                                                       \
	EXPORT int name params                                                                     \
	{                                                                                          \
		if (fails(call))                                                                   \
			return -errno;                                                             \
		return ((int(*) params)real(#name))args;                                           \
	}

#define MODE_OF_FLAGS(mode, flags)                                                                 \
	do {                                                                                       \
		va_list list;                                                                      \
                                                                                                   \
		va_start(list, flags);                                                             \
		if ((flags) & (O_CREAT | O_TMPFILE))                                               \
			mode = va_arg(list, mode_t);                                               \
		va_end(list);                                                                      \
	} while (0)

#define WRAP_OPEN(name)                                                                            \
	EXPORT int name(const char *path, int flags, ...)                                          \
	{                                                                                          \
		mode_t mode = 0;                                                                   \
                                                                                                   \
		MODE_OF_FLAGS(mode, flags);                                                        \
		if (fails(OPEN))                                                                   \
			return -1;                                                                 \
		return ((int (*)(const char *, int, ...))real(#name))(path, flags, mode);          \
	}

#define WRAP_OPENAT(name)                                                                          \
	EXPORT int name(int dir, const char *path, int flags, ...)                                 \
	{                                                                                          \
		mode_t mode = 0;                                                                   \
                                                                                                   \
		MODE_OF_FLAGS(mode, flags);                                                        \
		if (fails(OPENAT))                                                                 \
			return -1;                                                                 \
		return ((int (*)(int, const char *, int, ...))real(#name))(dir, path, flags, mode); \
	}

WRAP_OPEN(open)
WRAP_OPEN(open64)
WRAP_OPENAT(openat)
WRAP_OPENAT(openat64)
WRAP(ssize_t, READ, read, (int fd, void *data, size_t n), (fd, data, n))
WRAP(ssize_t, PREAD, pread, (int fd, void *data, size_t n, off_t at), (fd, data, n, at))
WRAP(ssize_t, PREAD, pread64, (int fd, void *data, size_t n, off64_t at), (fd, data, n, at))
WRAP(ssize_t, PREADV2, preadv2, (int fd, const struct iovec *v, int n, off_t at, int flags),
     (fd, v, n, at, flags))
WRAP(ssize_t, PREADV2, preadv64v2, (int fd, const struct iovec *v, int n, off64_t at, int flags),
     (fd, v, n, at, flags))
WRAP(ssize_t, WRITE, write, (int fd, const void *data, size_t n), (fd, data, n))
WRAP(ssize_t, PWRITE, pwrite, (int fd, const void *data, size_t n, off_t at), (fd, data, n, at))
WRAP(ssize_t, PWRITE, pwrite64, (int fd, const void *data, size_t n, off64_t at),
     (fd, data, n, at))
WRAP(void *, MMAP, mmap, (void *at, size_t n, int prot, int flags, int fd, off_t from),
     (at, n, prot, flags, fd, from))
WRAP(void *, MMAP, mmap64, (void *at, size_t n, int prot, int flags, int fd, off64_t from),
     (at, n, prot, flags, fd, from))
WRAP(int, FTRUNCATE, ftruncate, (int fd, off_t n), (fd, n))
WRAP(int, FTRUNCATE, ftruncate64, (int fd, off64_t n), (fd, n))
WRAP(int, FSYNC, fsync, (int fd), (fd))
WRAP(int, FDATASYNC, fdatasync, (int fd), (fd))
WRAP(int, RENAME, rename, (const char *from, const char *to), (from, to))
WRAP(int, RENAME, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
WRAP(int, RENAME, renameat2, (int a, const char *from, int b, const char *to, unsigned flags),
     (a, from, b, to, flags))
WRAP(int, LINKAT, linkat, (int a, const char *from, int b, const char *to, int flags),
     (a, from, b, to, flags))
WRAP(int, FALLOCATE, fallocate, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n))
WRAP(int, FALLOCATE, fallocate64, (int fd, int mode, off64_t at, off64_t n), (fd, mode, at, n))
WRAP(int, STATX, statx,
     (int dir, const char *restrict path, int flags, unsigned mask, struct statx *restrict st),
     (dir, path, flags, mask, st))
WRAP(int, FSTAT, fstat, (int fd, struct stat *st), (fd, st))
WRAP(int, FSTAT, fstat64, (int fd, struct stat64 *st), (fd, st))
WRAP(int, MEMFD_CREATE, memfd_create, (const char *name, unsigned flags), (name, flags))
WRAP(ssize_t, SENDMSG, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
WRAP(ssize_t, RECVMSG, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags))
WRAP_URING(QUEUE_INIT, io_uring_queue_init_params,
	   (unsigned n, struct io_uring *ring, struct io_uring_params *p), (n, ring, p))
WRAP_URING(QUEUE_INIT, io_uring_queue_init, (unsigned n, struct io_uring *ring, unsigned flags),
	   (n, ring, flags))
WRAP_URING(REGISTER_BUFFERS, io_uring_register_buffers,
	   (struct io_uring *ring, const struct iovec *v, unsigned n), (ring, v, n))
WRAP_URING(REGISTER_FILES, io_uring_register_files_sparse, (struct io_uring *ring, unsigned n),
	   (ring, n))
WRAP_URING(REGISTER_FILES, io_uring_register_files,
	   (struct io_uring *ring, const int *fds, unsigned n), (ring, fds, n))
WRAP_URING(UPDATE_FILES, io_uring_register_files_update,
	   (struct io_uring *ring, unsigned at, const int *fds, unsigned n), (ring, at, fds, n))
WRAP_URING(SUBMIT, io_uring_submit, (struct io_uring *ring), (ring))
WRAP_URING(SUBMIT, io_uring_submit_and_wait, (struct io_uring *ring, unsigned n), (ring, n))
WRAP_URING(SUBMIT, io_uring_submit_and_get_events, (struct io_uring *ring), (ring))
