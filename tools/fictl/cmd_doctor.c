/* SPDX-License-Identifier: MIT */
/*
 * fictl doctor: what this machine can do, found by trying, and what is used
 * instead where it cannot. Needs no daemon.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <liburing.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "device/device.h"
#include "load/load.h"
#include "tools/fictl/fictl.h"

enum verdict { GOOD, REDUCED, ABSENT };

struct finding {
	enum verdict verdict;
	char found[1024];  /* what was found, and how it was tried */
	char instead[192]; /* what is used instead; "" when nothing is lost */
};

struct check {
	const char *name;
	void (*run)(const char *folder, struct finding *ret);
};

static void FINF_PRINTF(2, 3) found(struct finding *ret, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(ret->found, sizeof(ret->found), fmt, args);
	va_end(args);
}

static void instead(struct finding *ret, enum verdict verdict, const char *text)
{
	ret->verdict = verdict;
	snprintf(ret->instead, sizeof(ret->instead), "%s", text);
}

static void check_kernel(const char *folder, struct finding *ret)
{
	struct utsname u;

	(void)folder;
	uname(&u);
	found(ret, "%s %s, %ld cores, page %ld", u.sysname, u.release, sysconf(_SC_NPROCESSORS_ONLN),
	      sysconf(_SC_PAGESIZE));
}

static void check_uring(const char *folder, struct finding *ret)
{
	struct io_uring ring;
	int err = io_uring_queue_init(8, &ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);

	(void)folder;
	if (!err) {
		found(ret, "a ring with deferred task work was made");
		io_uring_queue_exit(&ring);
		return;
	}
	err = io_uring_queue_init(8, &ring, 0);
	if (!err) {
		found(ret, "a plain ring was made; the kernel is older than 6.1");
		instead(ret, REDUCED, "the plain ring: a little more time per block");
		io_uring_queue_exit(&ring);
		return;
	}
	found(ret, "io_uring_setup: %s%s", strerror(-err),
	      err == -EPERM ? " (kernel.io_uring_disabled or seccomp)" : "");
	instead(ret, ABSENT, "preadv2 by the loader thread: right, and slower");
}

static int scratch_file(const char *folder, char *path, size_t len)
{
	static char zeros[65536];
	int fd;

	snprintf(path, len, "%s/.fictl-doctor-XXXXXX", folder);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0 && (finf_write_full(fd, zeros, sizeof(zeros)) || fsync(fd) < 0)) {
		close(fd);
		unlink(path);
		fd = -1;
	}
	return fd;
}

static void check_direct(const char *folder, struct finding *ret)
{
	static const uint32_t sizes[] = {512, 4096};
	char path[4096];
	int fd = scratch_file(folder, path, sizeof(path)), direct;
	void *buf = NULL;
	uint32_t works = 0;

	if (fd < 0) {
		found(ret, "cannot write a file in %s: %s", folder, strerror(errno));
		instead(ret, ABSENT, "say where models are: fictl doctor --root DIR");
		return;
	}
	direct = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (direct >= 0 && !posix_memalign(&buf, 4096, 65536))
		for (size_t i = 0; i < FINF_ARRAY_LEN(sizes) && !works; i++)
			if (pread(direct, (char *)buf + sizes[i] % 4096, sizes[i], sizes[i]) ==
			    (ssize_t)sizes[i])
				works = sizes[i];
	if (works)
		found(ret, "a direct read in %s succeeded at %" PRIu32 "-byte alignment", folder, works);
	else
		found(ret, "%s refuses O_DIRECT (tmpfs, overlayfs and some network mounts do)", folder);
	if (!works)
		instead(ret, REDUCED, "buffered reads: a cold swap-in is slower, and kept twice in RAM");
	free(buf);
	if (direct >= 0)
		close(direct);
	close(fd);
	unlink(path);
}

static void check_memlock(const char *folder, struct finding *ret)
{
	struct rlimit limit;

	(void)folder;
	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_cur == RLIM_INFINITY || geteuid() == 0) {
		found(ret, geteuid() ? "unlimited" : "not limited for root");
		return;
	}
	found(ret, "RLIMIT_MEMLOCK is %s", bytes_text(limit.rlim_cur));
	if (limit.rlim_cur < 64u << 20)
		instead(ret, REDUCED,
			"at most 4 MiB of registered staging (LimitMEMLOCK= of the unit raises it)");
}

static uint64_t meminfo(const char *key)
{
	char line[256];
	uint64_t kb = 0;
	size_t len = strlen(key);
	FILE *file = fopen("/proc/meminfo", "re");

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, key, len) && line[len] == ':')
			kb = strtoull(line + len + 1, NULL, 10);
	if (file)
		fclose(file);
	return kb * 1024;
}

static void check_huge(const char *folder, struct finding *ret)
{
	char thp[64] = "?";
	int fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);
	void *page = mmap(NULL, 2u << 20, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	(void)folder;
	if (fd >= 0) {
		ssize_t n = read(fd, thp, sizeof(thp) - 1);

		thp[n > 0 ? n - 1 : 0] = 0;
		close(fd);
	}
	found(ret, "reserved: %s; transparent: %s",
	      page != MAP_FAILED ? "a 2 MiB page was mapped" : "none", thp);
	if (page != MAP_FAILED)
		munmap(page, 2u << 20);
	else if (strstr(thp, "[never]"))
		instead(ret, REDUCED, "4 KiB pages: the pool takes longer to touch and to read into");
	else
		instead(ret, REDUCED, "transparent huge pages by madvise");
}

static void check_memory(const char *folder, struct finding *ret)
{
	(void)folder;
	found(ret, "%s available of %s", bytes_text(meminfo("MemAvailable")),
	      bytes_text(meminfo("MemTotal")));
}

static void check_btf(const char *folder, struct finding *ret)
{
	(void)folder;
	if (!access("/sys/kernel/btf/vmlinux", R_OK)) {
		found(ret, "/sys/kernel/btf/vmlinux is readable");
		return;
	}
	found(ret, "/sys/kernel/btf/vmlinux: %s", strerror(errno));
	instead(ret, ABSENT, "requests are seen by fid itself only");
}

static void check_bpf(const char *folder, struct finding *ret)
{
	union bpf_attr attr;
	int fd;

	(void)folder;
	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_RINGBUF;
	attr.max_entries = 4096;
	fd = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
	if (fd >= 0) {
		found(ret, "a BPF ring buffer was made");
		close(fd);
		return;
	}
	found(ret, "bpf(BPF_MAP_CREATE): %s (needs CAP_BPF and CAP_PERFMON)", strerror(errno));
	instead(ret, ABSENT, "requests are seen by fid itself only");
}

static void one_line(char *text)
{
	size_t len = strlen(text);

	while (len && text[len - 1] == '\n')
		text[--len] = 0;
	for (; *text; text++)
		if (*text == '\n')
			*text = ' ';
}

static void check_device(const char *folder, struct finding *ret)
{
	struct finf_device *dev;
	struct finf_diag diag = {{0}};
	char text[512] = "";

	(void)folder;
	if (finf_device_open("host", &dev, &diag)) {
		found(ret, "host device: %s", diag.text);
		instead(ret, ABSENT, "nothing: this is the default device");
		return;
	}
	finf_device_describe_self(dev, text, sizeof(text));
	one_line(text);
	found(ret, "%.190s", text);
	finf_device_close(dev);
}

/* The pool modes among it are tried: each makes, writes, reads and frees a little memory. */
static void check_cuda(const char *folder, struct finding *ret)
{
	struct finf_device *dev;
	struct finf_diag diag = {{0}};
	char text[1024] = "";

	(void)folder;
	if (finf_device_open("cuda", &dev, &diag)) {
		found(ret, "%s", diag.text);
		instead(ret, ABSENT, "the host device");
		return;
	}
	if (finf_device_describe_self(dev, text, sizeof(text)))
		instead(ret, REDUCED, "nothing: the device does not answer");
	else if (!strstr(text, ":yes"))
		instead(ret, ABSENT, "the host device: no pool mode works");
	one_line(text);
	found(ret, "%s", text);
	finf_device_close(dev);
}

static void check_loader(const char *folder, struct finding *ret)
{
	struct finf_pool_memory pool;
	struct finf_loader *loader = NULL;
	struct finf_device *dev = NULL;
	struct finf_diag diag = {{0}};
	char text[512] = "";
	int err;

	(void)folder;
	err = finf_device_open("host", &dev, &diag);
	if (!err) {
		err = finf_device_pool_new(dev, 16u << 20, NULL, &pool, &diag);
		if (!err) {
			err = finf_loader_new(dev, &pool, NULL, &loader, &diag);
			if (!err)
				finf_loader_describe(loader, text, sizeof(text));
			finf_loader_free(loader);
			finf_device_pool_free(dev, &pool);
		}
		finf_device_close(dev);
	}
	one_line(text);
	if (err) {
		found(ret, "no loader: %s", diag.text[0] ? diag.text : strerror(-err));
		instead(ret, ABSENT, "nothing: fid cannot start");
	} else {
		found(ret, "%.190s", text);
	}
}

static const struct check checks[] = {
	{"kernel", check_kernel},     {"memory", check_memory}, {"io_uring", check_uring},
	{"O_DIRECT", check_direct},   {"memlock", check_memlock}, {"huge pages", check_huge},
	{"oneDNN", check_device},     {"loader", check_loader}, {"CUDA", check_cuda},
	{"BTF", check_btf},	      {"BPF", check_bpf},
};

static int cmd_doctor(struct fictl *ctl, int argc, char **argv)
{
	static const char *const verdicts[] = {"ok", "reduced", "absent"};
	const char *root = NULL, *base = getenv("TMPDIR");
	const struct option_spec specs[] = {{"--root", false, &root}, {0}};
	json_t *list = json_array();

	if (parse(ctl, argc, argv, specs, NULL, 0) < 0) {
		json_decref(list);
		return EXIT_USAGE;
	}
	if (!root)
		root = base ? base : "/tmp";
	for (size_t i = 0; i < FINF_ARRAY_LEN(checks); i++) {
		struct finding finding = {0};

		checks[i].run(root, &finding);
		if (!ctl->json)
			printf("%-12s %-8s %s%s%s\n", checks[i].name, verdicts[finding.verdict],
			       finding.found, finding.instead[0] ? "\n                      used instead: "
								 : "",
			       finding.instead);
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "name", checks[i].name,
						      "verdict", verdicts[finding.verdict], "found",
						      finding.found, "instead", finding.instead));
	}
	if (ctl->json)
		return print_json(json_pack("{s:o}", "checks", list));
	json_decref(list);
	return EXIT_DONE;
}

const struct command commands_doctor[] = {
	{"doctor", "[--root DIR]", "what this machine can do, found by trying",
	 "--root DIR tries direct reads where the models will lie ($TMPDIR, /tmp).\n", cmd_doctor},
	{0},
};
