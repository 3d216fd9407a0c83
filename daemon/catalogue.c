/* SPDX-License-Identifier: MIT */
/* daemon/catalogue: models on disk, published by rename, rebuilt by reading. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/catalogue.h"

#define COPY_BYTES (1u << 20)
#define PORTABLE "portable.fim"
#define LEAN "lean"

struct fid_catalogue {
	char *root;  /* owned, for messages */
	int root_fd; /* owned */
	int lock_fd; /* owned, flock'ed */
	int models_fd, tmp_fd; /* owned */
	uint32_t imports;      /* makes names under tmp/ unique */
};

static int open_dir(int at, const char *name, int *ret_fd)
{
	int fd;

	if (mkdirat(at, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

static bool dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

/* Deletes a folder of ours and everything below it; never follows links. */
static int remove_tree(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct dirent *entry;
	int err = 0;
	DIR *dir;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while (!err && (entry = readdir(dir))) {
		if (dots(entry->d_name))
			continue;
		if (unlinkat(fd, entry->d_name, 0) < 0)
			err = errno == EISDIR || errno == EPERM ? remove_tree(fd, entry->d_name)
								: -errno;
	}
	closedir(dir);
	if (!err && unlinkat(at, name, AT_REMOVEDIR) < 0)
		err = -errno;
	return err;
}

static int remove_children(int at)
{
	int fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	int err = 0;
	DIR *dir;

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while (!err && (entry = readdir(dir)))
		if (!dots(entry->d_name))
			err = remove_tree(fd, entry->d_name);
	closedir(dir);
	return err;
}

int fid_catalogue_open(const char *root, struct fid_catalogue **ret_cat, struct finf_diag *diag)
{
	struct fid_catalogue *cat = calloc(1, sizeof(*cat));
	int err = -ENOMEM;

	if (!cat)
		return err;
	cat->root_fd = cat->lock_fd = cat->models_fd = cat->tmp_fd = -1;
	cat->root = strdup(root);
	if (!cat->root)
		goto out;
	err = open_dir(AT_FDCWD, root, &cat->root_fd);
	if (err) {
		finf_diag_set(diag, err, "%s: cannot make or open the folder: %s", root, strerror(-err));
		goto out;
	}
	cat->lock_fd = openat(cat->root_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (cat->lock_fd < 0) {
		err = finf_diag_set(diag, -errno, "%s/lock: %s", root, strerror(errno));
		goto out;
	}
	if (flock(cat->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		err = finf_diag_set(diag, -EBUSY, "%s: another fid is using this folder", root);
		goto out;
	}
	err = open_dir(cat->root_fd, "models", &cat->models_fd);
	if (!err)
		err = open_dir(cat->root_fd, "tmp", &cat->tmp_fd);
	if (!err)
		err = remove_children(cat->tmp_fd);
	if (err) {
		finf_diag_set(diag, err, "%s: cannot set up the folder: %s", root, strerror(-err));
		goto out;
	}
	*ret_cat = cat;
	return 0;
out:
	fid_catalogue_close(cat);
	return err;
}

static void close_if(int fd)
{
	if (fd >= 0)
		close(fd);
}

void fid_catalogue_close(struct fid_catalogue *cat)
{
	if (!cat)
		return;
	close_if(cat->tmp_fd);
	close_if(cat->models_fd);
	close_if(cat->lock_fd);
	close_if(cat->root_fd);
	free(cat->root);
	free(cat);
}

/* A version folder is a decimal number >= 1, written the only way. */
static bool parse_version(const char *text, uint32_t *ret)
{
	char probe[160];

	if (strlen(text) > 10)
		return false;
	snprintf(probe, sizeof(probe), "x:%s", text);
	return finf_name_ok(probe, ret, NULL);
}

static int scan_versions(DIR *dir, const char *name,
			 int (*found)(void *ctx, const char *name, uint32_t version), void *ctx)
{
	struct dirent *entry;
	uint32_t version;
	int err = 0;

	while (!err && (entry = readdir(dir)))
		if (parse_version(entry->d_name, &version))
			err = found(ctx, name, version);
	return err;
}

static DIR *open_dir_stream(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		close_if(fd);
	return dir;
}

int fid_catalogue_scan(struct fid_catalogue *cat,
		       int (*found)(void *ctx, const char *name, uint32_t version), void *ctx,
		       struct finf_diag *diag)
{
	DIR *names = open_dir_stream(cat->models_fd, "."), *versions;
	struct dirent *entry;
	uint32_t version;
	int err = 0;

	if (!names)
		return finf_diag_set(diag, -errno, "%s/models: %s", cat->root, strerror(errno));
	while (!err && (entry = readdir(names))) {
		if (!finf_name_ok(entry->d_name, &version, NULL) || version)
			continue;
		versions = open_dir_stream(cat->models_fd, entry->d_name);
		if (!versions)
			continue;
		err = scan_versions(versions, entry->d_name, found, ctx);
		closedir(versions);
	}
	closedir(names);
	return err ? finf_diag_set(diag, err, "%s/models: %s", cat->root, strerror(-err)) : 0;
}

/* Client's descriptor -> our file, by plain reads: its pages never back anything of ours. */
static int copy_pack(int from, int at, const char *name, struct finf_diag *diag)
{
	uint8_t *buf = NULL;
	struct stat st;
	off_t left, offset = 0;
	int to, err = 0;

	if (fstat(from, &st) < 0)
		return finf_diag_set(diag, -errno, "import: %s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return finf_diag_set(diag, -EINVAL, "import: the descriptor is not a regular file");
	to = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (to < 0)
		return finf_diag_set(diag, -errno, "import: cannot create %s: %s", name,
				     strerror(errno));
	/* Ask for the space first: a full disk is said before a long copy. */
	if (st.st_size && fallocate(to, 0, 0, st.st_size) < 0 && errno != EOPNOTSUPP)
		err = -errno;
	buf = malloc(COPY_BYTES);
	if (!err && !buf)
		err = -ENOMEM;
	for (left = st.st_size; !err && left; left -= FINF_MIN(left, (off_t)COPY_BYTES)) {
		size_t bytes = (size_t)FINF_MIN(left, (off_t)COPY_BYTES);

		err = finf_pread_full(from, buf, bytes, (uint64_t)offset);
		if (!err)
			err = finf_write_full(to, buf, bytes);
		offset += (off_t)bytes;
	}
	if (!err && fsync(to) < 0)
		err = -errno;
	if (close(to) < 0 && !err)
		err = -errno;
	free(buf);
	return err ? finf_diag_set(diag, err, "import: copying %" PRIu64 " bytes: %s",
				   (uint64_t)st.st_size, strerror(-err))
		   : 0;
}

static int open_pack(int at, const char *name, const char *what, struct finf_pack **ret_pack,
		     struct finf_diag *diag)
{
	int fd = openat(at, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int err;

	if (fd < 0)
		return finf_diag_set(diag, -errno, "%s/%s: %s", what, name, strerror(errno));
	err = finf_pack_open(fd, name, ret_pack, diag);
	close(fd);
	if (err)
		finf_diag_prefix(diag, "%s", what);
	return err;
}

/* Only one target's cache is asked for at a time; the others may stay. */
static int tuned_name(struct finf_device *dev, uint32_t threads, char *name, size_t len)
{
	char key[256];
	int err = finf_device_target(dev, threads, key, sizeof(key));

	if (!err)
		snprintf(name, len, "tuned-%016" PRIx64 ".fim", finf_hash64(key, strlen(key)));
	return err;
}

static int import_into(struct finf_device *dev, uint32_t threads, uint64_t bytes, int fd, int dir,
		       const char *name, struct finf_diag *diag)
{
	struct finf_pack *pack = NULL;
	char tuned[64];
	int err;

	err = copy_pack(fd, dir, PORTABLE, diag);
	if (err)
		return err;
	err = open_pack(dir, PORTABLE, name, &pack, diag);
	if (err)
		return err;
	if (pack->plan)
		err = finf_diag_set(diag, -EBADMSG, "%s: a tuned pack (%s); import the portable one",
				    name, pack->target);
	if (!err)
		err = finf_pack_verify(pack, diag);
	if (!err)
		err = tuned_name(dev, threads, tuned, sizeof(tuned));
	if (!err)
		err = finf_engine_tune(dev, pack, threads, bytes, dir, tuned, diag);
	finf_pack_close(pack);
	return err;
}

/* The whole version appears by one rename, or not at all. */
static int publish(struct fid_catalogue *cat, const char *tmp, const char *name, uint32_t version,
		   struct finf_diag *diag)
{
	char number[16];
	int dir = -1, err;

	snprintf(number, sizeof(number), "%" PRIu32, version);
	err = open_dir(cat->models_fd, name, &dir);
	if (!err && renameat(cat->tmp_fd, tmp, dir, number) < 0)
		err = -errno;
	if (!err && fsync(dir) < 0) {
		err = -errno;
		remove_tree(dir, number);
	}
	close_if(dir);
	if (!err)
		return 0;
	unlinkat(cat->models_fd, name, AT_REMOVEDIR); /* when we made it: it is empty */
	return finf_diag_set(diag, err, "%s/models/%s/%s: %s", cat->root, name, number,
			     strerror(-err));
}

int fid_catalogue_import(struct fid_catalogue *cat, struct finf_device *dev, uint32_t threads,
			 uint64_t bytes, int fd, const char *name, uint32_t version,
			 struct finf_diag *diag)
{
	char tmp[32];
	int dir = -1, err;

	snprintf(tmp, sizeof(tmp), "import-%" PRIu32, cat->imports++);
	err = open_dir(cat->tmp_fd, tmp, &dir);
	if (err)
		finf_diag_set(diag, err, "%s/tmp/%s: %s", cat->root, tmp, strerror(-err));
	else
		err = import_into(dev, threads, bytes, fd, dir, name, diag);
	close_if(dir);
	if (!err)
		err = publish(cat, tmp, name, version, diag);
	if (err)
		remove_tree(cat->tmp_fd, tmp);
	return err;
}

static int open_version(struct fid_catalogue *cat, const char *name, uint32_t version, int *ret_fd,
			struct finf_diag *diag)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/%" PRIu32, name, version);
	fd = openat(cat->models_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return finf_diag_set(diag, -errno, "%s/models/%s: %s", cat->root, path,
				     strerror(errno));
	*ret_fd = fd;
	return 0;
}

static int open_model(struct finf_device *dev, uint32_t threads, uint64_t bytes, int dir,
		      const char *tuned, const char *what, struct finf_model **ret_model,
		      uint64_t *ret_file_bytes, struct finf_diag *diag)
{
	struct finf_pack *pack;
	uint64_t file_bytes;
	int err = open_pack(dir, tuned, what, &pack, diag);

	if (err)
		return err;
	file_bytes = pack->file_bytes;
	err = finf_model_open(dev, pack, threads, bytes, ret_model, diag);
	if (err)
		finf_pack_close(pack);
	else
		*ret_file_bytes = file_bytes;
	return err;
}

/* A tuning that was cut off leaves a temporary file: dots are nobody else's. */
static void sweep(int at)
{
	DIR *dir = open_dir_stream(at, ".");
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] == '.' && !dots(entry->d_name))
			unlinkat(at, entry->d_name, 0);
	if (dir)
		closedir(dir);
}

static int retune(struct finf_device *dev, uint32_t threads, uint64_t bytes, int dir,
		  const char *tuned, const char *what, struct finf_diag *diag)
{
	struct finf_pack *portable;
	int err = open_pack(dir, PORTABLE, what, &portable, diag);

	if (err)
		return err;
	sweep(dir);
	if (unlinkat(dir, tuned, 0) < 0 && errno != ENOENT)
		err = finf_diag_set(diag, -errno, "%s/%s: %s", what, tuned, strerror(errno));
	if (!err)
		err = finf_engine_tune(dev, portable, threads, bytes, dir, tuned, diag);
	finf_pack_close(portable);
	return err;
}

int fid_catalogue_prepare(struct fid_catalogue *cat, struct finf_device *dev, uint32_t threads,
			  uint64_t bytes, const char *name, uint32_t version, bool fresh,
			  struct finf_model **ret_model, uint64_t *ret_file_bytes,
			  struct finf_diag *diag)
{
	char tuned[64], what[160];
	int dir = -1, err;

	snprintf(what, sizeof(what), "%s:%" PRIu32, name, version);
	err = tuned_name(dev, threads, tuned, sizeof(tuned));
	if (err)
		return finf_diag_set(diag, err, "%s: no target key: %s", what, strerror(-err));
	err = open_version(cat, name, version, &dir, diag);
	if (err)
		return err;
	if (fresh)
		err = finf_diag_set(diag, -EBADMSG, "a segment is damaged");
	else
		err = open_model(dev, threads, bytes, dir, tuned, what, ret_model, ret_file_bytes,
				 diag);
	/* Absent, damaged, for another target or of another format: a cache, so make it again. */
	if (err && err != -ENOMEM) {
		finf_log("tuning model=%s because=\"%s\"", what, diag ? diag->text : "");
		err = retune(dev, threads, bytes, dir, tuned, what, diag);
		if (!err)
			err = open_model(dev, threads, bytes, dir, tuned, what, ret_model,
					 ret_file_bytes, diag);
	}
	close(dir);
	return err;
}

int fid_catalogue_packs(struct fid_catalogue *cat, struct finf_device *dev, uint32_t threads,
			const char *name, uint32_t version, struct finf_pack **ret_tuned,
			struct finf_pack **ret_portable, struct finf_diag *diag)
{
	struct finf_pack *pack = NULL;
	char tuned[64];
	int dir, err = tuned_name(dev, threads, tuned, sizeof(tuned));

	if (!err)
		err = open_version(cat, name, version, &dir, diag);
	if (err)
		return err;
	if (ret_tuned)
		err = open_pack(dir, tuned, name, &pack, diag);
	if (!err && ret_portable)
		err = open_pack(dir, PORTABLE, name, ret_portable, diag);
	close(dir);
	if (err)
		finf_pack_close(pack);
	else if (ret_tuned)
		*ret_tuned = pack;
	return err;
}

bool fid_catalogue_lean(struct fid_catalogue *cat, const char *name, uint32_t version)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%" PRIu32 "/" LEAN, name, version);
	return !faccessat(cat->models_fd, path, F_OK, 0);
}

int fid_catalogue_set_lean(struct fid_catalogue *cat, const char *name, uint32_t version,
			   bool lean, struct finf_diag *diag)
{
	int dir, fd, err = open_version(cat, name, version, &dir, diag);

	if (err)
		return err;
	if (lean) {
		fd = openat(dir, LEAN, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		err = fd < 0 ? -errno : 0;
		close_if(fd);
	} else if (unlinkat(dir, LEAN, 0) < 0 && errno != ENOENT) {
		err = -errno;
	}
	if (!err && fsync(dir) < 0)
		err = -errno;
	close(dir);
	return err ? finf_diag_set(diag, err, "%s:%" PRIu32 "/" LEAN ": %s", name, version,
				   strerror(-err))
		   : 0;
}

int fid_catalogue_export(struct fid_catalogue *cat, const char *name, uint32_t version, int *ret_fd,
			 struct finf_diag *diag)
{
	int dir, fd, err = open_version(cat, name, version, &dir, diag);

	if (err)
		return err;
	fd = openat(dir, PORTABLE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		err = finf_diag_set(diag, -errno, "%s:%" PRIu32 "/%s: %s", name, version, PORTABLE,
				    strerror(errno));
	close(dir);
	if (!err)
		*ret_fd = fd;
	return err;
}

int fid_catalogue_remove(struct fid_catalogue *cat, const char *name, uint32_t version,
			 struct finf_diag *diag)
{
	char from[160], tmp[32];
	int err = 0;

	/* Gone by one rename; what a crash leaves under tmp/ is emptied at start. */
	snprintf(from, sizeof(from), "%s/%" PRIu32, name, version);
	snprintf(tmp, sizeof(tmp), "remove-%" PRIu32, cat->imports++);
	if (renameat(cat->models_fd, from, cat->tmp_fd, tmp) < 0)
		err = -errno;
	if (!err)
		err = remove_tree(cat->tmp_fd, tmp);
	unlinkat(cat->models_fd, name, AT_REMOVEDIR); /* only when it is empty */
	return err ? finf_diag_set(diag, err, "%s/models/%s: %s", cat->root, from, strerror(-err))
		   : 0;
}
