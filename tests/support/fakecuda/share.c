/* SPDX-License-Identifier: MIT */
/*
 * fakecuda: how much of each device's memory is used. Processes may share the
 * devices through a file in which each has a line of its own: what a process
 * used is free again when it is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/fakecuda/fake.h"

#define PROCESSES_MAX 64

struct line {
	int pid;
	size_t used_bytes[MAX_DEVICES];
};

static struct line alone;
static struct line *lines = &alone, *mine = &alone;
static unsigned n_lines = 1;
static int shared_fd = -1;

static void hold(int operation)
{
	while (shared_fd >= 0 && flock(shared_fd, operation) && errno == EINTR)
		;
}

static bool is_gone(const struct line *line)
{
	return kill(line->pid, 0) && errno == ESRCH;
}

static size_t left(unsigned device)
{
	size_t used = 0;

	for (unsigned i = 0; i < n_lines; i++)
		if (lines[i].used_bytes[device] && !is_gone(&lines[i]))
			used += lines[i].used_bytes[device];
	return fake.memory_bytes > used ? fake.memory_bytes - used : 0;
}

bool memory_take(unsigned device, size_t bytes)
{
	bool fits;

	hold(LOCK_EX);
	fits = bytes <= left(device);
	if (fits)
		mine->used_bytes[device] += bytes;
	hold(LOCK_UN);
	return fits;
}

void memory_give(unsigned device, size_t bytes)
{
	hold(LOCK_EX);
	mine->used_bytes[device] -= bytes;
	hold(LOCK_UN);
}

size_t memory_left(unsigned device)
{
	size_t bytes;

	hold(LOCK_EX);
	bytes = left(device);
	hold(LOCK_UN);
	return bytes;
}

void memory_share(const char *path)
{
	size_t bytes = PROCESSES_MAX * sizeof(*lines);

	if (!path || !*path)
		return;
	shared_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (shared_fd < 0 || ftruncate(shared_fd, (off_t)bytes))
		abort();
	lines = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, shared_fd, 0);
	if (lines == MAP_FAILED)
		abort();
	n_lines = PROCESSES_MAX;
	hold(LOCK_EX);
	for (mine = lines; mine->pid && !is_gone(mine) && mine < lines + n_lines - 1; mine++)
		;
	*mine = (struct line){.pid = getpid()};
	hold(LOCK_UN);
}
