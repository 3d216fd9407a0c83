/* SPDX-License-Identifier: MIT */
/* ipc: the memory a client and fid share, sealed so that neither can shrink it under the other. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/ipc.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static int map(int fd, uint64_t bytes, struct finf_shared *ret)
{
	void *data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (data == MAP_FAILED)
		return -errno;
	*ret = (struct finf_shared){data, bytes};
	return 0;
}

int finf_arena_create(uint64_t bytes, struct finf_shared *ret, int *ret_fd)
{
	struct finf_shared made = {0};
	int fd, err = 0;

	if (!bytes || bytes > FINF_WIRE_ARENA_MAX)
		return -EINVAL;
	fd = memfd_create("fusedinf-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)bytes) || fcntl(fd, F_ADD_SEALS, SEALS))
		err = -errno;
	if (!err)
		err = map(fd, bytes, &made);
	if (err) {
		close(fd);
		return err;
	}
	*ret = made;
	*ret_fd = fd;
	return 0;
}

int finf_arena_attach(int fd, uint64_t bytes, struct finf_shared *ret)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (!bytes || bytes > FINF_WIRE_ARENA_MAX)
		return -EPROTO;
	if (seals < 0 || (seals & SEALS) != SEALS)
		return -EPROTO;
	if (fstat(fd, &st))
		return -errno;
	if (st.st_size < 0 || (uint64_t)st.st_size != bytes)
		return -EPROTO;
	return map(fd, bytes, ret);
}

void finf_shared_detach(struct finf_shared *shared)
{
	if (shared->base)
		munmap(shared->base, shared->bytes);
	*shared = (struct finf_shared){0};
}
