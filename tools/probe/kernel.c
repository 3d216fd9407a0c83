/* SPDX-License-Identifier: MIT */
/* probe: loads the programs, attaches and pins them, and keeps their maps. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "arrival.skel.h"
#include "base/base.h"
#include "tools/probe/probe.h"

static const char *const map_names[PROBE_MAPS] = {
	[PROBE_ARRIVALS] = "arrivals", [PROBE_COLD] = "cold",	  [PROBE_MODELS] = "models",
	[PROBE_PORTS] = "ports",       [PROBE_COUNTS] = "counts",
};

/* ---- folders ---------------------------------------------------------------- */

bool probe_on_bpffs(const char *dir)
{
	char path[PATH_MAX];
	struct statfs fs;

	snprintf(path, sizeof(path), "%s", dir);
	while (statfs(path, &fs)) {
		char *slash = strrchr(path, '/');

		if (errno != ENOENT || !slash || slash == path)
			return false;
		*slash = 0;
	}
	return fs.f_type == BPF_FS_MAGIC;
}

/* All folders of @dir that are missing, the last two being ours. */
static int make_dirs(const char *dir)
{
	char path[PATH_MAX];

	if (strlen(dir) >= sizeof(path))
		return -ENAMETOOLONG;
	strcpy(path, dir);
	for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		if (mkdir(path, 0755) && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return mkdir(path, 0755) && errno != EEXIST ? -errno : 0;
}

/* ---- loading ------------------------------------------------------------------ */

static struct bpf_map *map_of(const struct probe *probe, enum probe_map map)
{
	struct bpf_map *all[PROBE_MAPS] = {
		[PROBE_ARRIVALS] = probe->skel->maps.arrivals,
		[PROBE_COLD] = probe->skel->maps.cold,
		[PROBE_MODELS] = probe->skel->maps.models,
		[PROBE_PORTS] = probe->skel->maps.ports,
		[PROBE_COUNTS] = probe->skel->maps.counts,
	};

	return all[map];
}

int probe_map_fd(const struct probe *probe, enum probe_map map)
{
	return bpf_map__fd(map_of(probe, map));
}

int probe_map_open(const char *dir, enum probe_map map, bool write)
{
	LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = write ? 0 : BPF_F_RDONLY);
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, map_names[map]);
	fd = bpf_obj_get_opts(path, &opts);
	return fd < 0 ? -errno : fd;
}

static int pin_maps(struct probe *probe)
{
	char path[PATH_MAX];
	int err = 0;

	for (int i = 0; i < PROBE_MAPS && !err; i++) {
		snprintf(path, sizeof(path), "%s/%s", probe->dir, map_names[i]);
		err = bpf_map__set_pin_path(map_of(probe, (enum probe_map)i), path);
	}
	return err;
}

/* What libbpf says while loading fails belongs to whoever set FID_PROBE_DEBUG. */
static int say(enum libbpf_print_level level, const char *fmt, va_list args)
{
	return level < LIBBPF_DEBUG && getenv("FID_PROBE_DEBUG") ? vfprintf(stderr, fmt, args) : 0;
}

int probe_load(struct probe *probe, const char *dir, struct finf_diag *diag)
{
	int err = 0;

	*probe = (struct probe){.dir = dir};
	libbpf_set_print(say);
	if (dir && !probe_on_bpffs(dir))
		return finf_diag_set(diag, -ENODEV,
				     "%s is on no BPF file system: mount -t bpf bpf " FI_PIN_ROOT,
				     dir);
	if (dir)
		err = make_dirs(dir);
	if (err)
		return finf_diag_set(diag, err, "%s: %s", dir, strerror(-err));
	probe->skel = fi_arrival_bpf__open();
	if (!probe->skel)
		return finf_diag_set(diag, -errno, "programs: %s", strerror(errno));
	/* libbpf 1.1 does not know the type; the kernel wants it at load. */
	err = bpf_program__set_expected_attach_type(probe->skel->progs.on_call,
						    (enum bpf_attach_type)48);
	if (!err && dir)
		err = pin_maps(probe);
	if (!err)
		err = fi_arrival_bpf__load(probe->skel);
	if (!err)
		return 0;
	probe_unload(probe);
	if (err == -EINVAL && dir)
		return finf_diag_set(diag, err,
				     "not loaded; if %s has maps of another build, "
				     "remove them by fid-probe rm",
				     dir);
	return finf_diag_set(diag, err, "programs not loaded: %s%s", strerror(-err),
			     err == -EPERM ? " (CAP_BPF and CAP_PERFMON are needed)" : "");
}

void probe_unload(struct probe *probe)
{
	fi_arrival_bpf__destroy(probe->skel);
	probe->skel = NULL;
}

/* ---- attaching ------------------------------------------------------------------ */

/* Where @name is or would be pinned; true when it is. */
static bool pinned(const struct probe *probe, const char *name, char path[PATH_MAX])
{
	*path = 0;
	if (!probe->dir)
		return false;
	snprintf(path, PATH_MAX, "%.3000s/%.100s", probe->dir, name);
	return !access(path, F_OK);
}

/* Hand the link out, or pin it and let go. */
static int keep_link(const struct probe *probe, int link, const char *path, int *ret_link)
{
	int err = 0;

	if (!probe->dir) {
		*ret_link = link;
		return 0;
	}
	if (bpf_obj_pin(link, path))
		err = -errno;
	close(link);
	return err;
}

int probe_attach_tcp(struct probe *probe, int *ret_link, struct finf_diag *diag)
{
	char path[PATH_MAX];
	int link, err;

	if (pinned(probe, "link_tcp", path))
		return 0;
	link = bpf_link_create(bpf_program__fd(probe->skel->progs.on_tcp), 0, BPF_TRACE_RAW_TP,
			       NULL);
	err = link < 0 ? -errno : keep_link(probe, link, path, ret_link);
	if (err)
		return finf_diag_set(diag, err, "inet_sock_set_state: %s", strerror(-err));
	return 0;
}

/* The part of union bpf_attr that newer headers name link_create.uprobe_multi. */
struct uprobe_multi_attr {
	uint32_t prog_fd, target_fd, attach_type, flags;
	uint64_t path, offsets, semaphores, cookies;
	uint32_t n, uprobe_flags, pid, pad;
};

static int link_sites(int prog, int fd, const struct probe_site *sites, int n)
{
	uint64_t offsets[PROBE_SITES_MAX], semaphores[PROBE_SITES_MAX];
	struct uprobe_multi_attr attr;
	char path[64];
	long link;

	for (int i = 0; i < n; i++) {
		offsets[i] = sites[i].offset;
		semaphores[i] = sites[i].semaphore;
	}
	/* The file that was looked at, whatever its path means by now. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	attr = (struct uprobe_multi_attr){
		.prog_fd = (uint32_t)prog,
		.attach_type = 48,
		.path = (uintptr_t)path,
		.offsets = (uintptr_t)offsets,
		.semaphores = (uintptr_t)semaphores,
		.n = (uint32_t)n,
	};
	link = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
	return link < 0 ? -errno : (int)link;
}

int probe_attach_file(struct probe *probe, int fd, const char *site, int *ret_link,
		      struct finf_diag *diag)
{
	struct probe_site sites[PROBE_SITES_MAX];
	char path[PATH_MAX], name[64];
	int n, link, err;
	struct stat st;

	n = probe_sites(fd, site, sites, diag);
	if (n < 0)
		return n;
	if (fstat(fd, &st))
		return finf_diag_set(diag, -errno, "%s", strerror(errno));
	/* A link holds its file: no other file gets the number while it is pinned. */
	snprintf(name, sizeof(name), "link_call_%llx_%llx", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	if (pinned(probe, name, path))
		return 0;
	link = link_sites(bpf_program__fd(probe->skel->progs.on_call), fd, sites, n);
	err = link < 0 ? link : keep_link(probe, link, path, ret_link);
	if (err)
		return finf_diag_set(diag, err, "uprobe_multi: %s", strerror(-err));
	return 0;
}

/* ---- models and ports -------------------------------------------------------------- */

int probe_model_add(struct probe *probe, uint64_t model)
{
	struct fi_model fresh = {.type = FI_MODEL, .bytes = sizeof(fresh)};

	if (bpf_map_update_elem(probe_map_fd(probe, PROBE_MODELS), &model, &fresh, BPF_NOEXIST) &&
	    errno != EEXIST)
		return -errno;
	return 0;
}

/* Its ports first, so that none names a model that is gone. */
int probe_model_rm(struct probe *probe, uint64_t model)
{
	int ports = probe_map_fd(probe, PROBE_PORTS);
	struct fi_port_key at, next;
	struct fi_port port;
	bool more = !bpf_map_get_next_key(ports, NULL, &next);

	while (more) {
		at = next;
		more = !bpf_map_get_next_key(ports, &at, &next);
		if (!bpf_map_lookup_elem(ports, &at, &port) && port.model == model)
			bpf_map_delete_elem(ports, &at);
	}
	bpf_map_delete_elem(probe_map_fd(probe, PROBE_COLD), &model);
	return bpf_map_delete_elem(probe_map_fd(probe, PROBE_MODELS), &model) ? -errno : 0;
}

/* Return: 0; -EINVAL not a network namespace. */
static int port_key(uint16_t port, int netns, struct fi_port_key *ret)
{
	int fd = netns < 0 ? open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC) : netns;
	struct statfs fs;
	struct stat st;
	int err = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || fstatfs(fd, &fs))
		err = -errno;
	else if (!port || fs.f_type != NSFS_MAGIC || ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		err = -EINVAL;
	if (!err)
		*ret = (struct fi_port_key){.netns = (uint32_t)st.st_ino, .port = port};
	if (netns < 0)
		close(fd);
	return err;
}

int probe_port_add(struct probe *probe, uint64_t model, uint16_t port, int netns)
{
	struct fi_port value = {.type = FI_PORT, .bytes = sizeof(value), .model = model};
	struct fi_model known;
	struct fi_port_key key;
	int err = port_key(port, netns, &key);

	if (err)
		return err;
	if (bpf_map_lookup_elem(probe_map_fd(probe, PROBE_MODELS), &model, &known))
		return -errno;
	return bpf_map_update_elem(probe_map_fd(probe, PROBE_PORTS), &key, &value, BPF_ANY) ? -errno
											    : 0;
}

int probe_port_rm(struct probe *probe, uint16_t port, int netns)
{
	struct fi_port_key key;
	int err = port_key(port, netns, &key);

	if (err)
		return err;
	return bpf_map_delete_elem(probe_map_fd(probe, PROBE_PORTS), &key) ? -errno : 0;
}
