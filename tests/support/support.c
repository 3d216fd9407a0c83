/* SPDX-License-Identifier: MIT */
/* tests/support: see support.h. */
#include <dirent.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/support.h"

static unsigned skipped_tests;

static bool required(const char *feature)
{
	const char *list = getenv("FI_REQUIRE");
	size_t len = strlen(feature);

	for (; list && *list; list += strcspn(list, ","), list += *list == ',')
		if (!strncmp(list, feature, len) && (!list[len] || list[len] == ','))
			return true;
	return false;
}

void skip_test(const char *feature, const char *reason)
{
	if (required(feature))
		ck_abort_msg("required by FI_REQUIRE but not possible here: %s: %s", feature, reason);
	printf("SKIP %s: %s\n", feature, reason);
	fflush(stdout);
	skipped_tests++;
}

static char scratch[PATH_MAX];
static pid_t scratch_owner;

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static void scratch_remove(void)
{
	if (scratch[0] && scratch_owner == getpid())
		nftw(scratch, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *scratch_dir(void)
{
	const char *base = getenv("TMPDIR");

	if (scratch[0] && scratch_owner == getpid())
		return scratch;
	snprintf(scratch, sizeof(scratch), "%s/fi-test-XXXXXX", base ? base : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(scratch));
	scratch_owner = getpid();
	atexit(scratch_remove);
	return scratch;
}

const char *scratch_path(const char *name)
{
	static char ring[8][PATH_MAX];
	static unsigned at;
	char *path = ring[at++ % 8];

	snprintf(path, PATH_MAX, "%.3000s/%.1000s", scratch_dir(), name);
	return path;
}

/* splitmix64: Steele, Lea, Flood, OOPSLA 2014. */
uint64_t test_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

float test_random_f32(uint64_t *state)
{
	return (float)(test_random(state) >> 40) / (float)(1 << 23) - 1.0f;
}

void test_fill_f32(float *x, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		x[i] = test_random_f32(&seed);
}

double relative_l2(const float *a, const float *b, size_t n)
{
	double diff = 0, norm = 0;

	for (size_t i = 0; i < n; i++) {
		double d = (double)a[i] - (double)b[i];

		diff += d * d;
		norm += (double)b[i] * (double)b[i];
	}
	if (isnan(diff) || isnan(norm))
		return 1e30;
	if (norm == 0)
		return diff == 0 ? 0 : 1e30;
	return sqrt(diff / norm);
}

int open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 3; /* ".", ".." and the folder itself */
}

/* The nearest folder above the program that holds @what. */
static const char *find_up(char *found, const char *what)
{
	char path[PATH_MAX], probe[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	/* No assertion before the end: suites look for files before Check runs. */
	path[n > 0 ? n : 0] = 0;
	while (strlen(path) > 1) {
		dirname(path);
		snprintf(probe, sizeof(probe), "%s/%s", path, what);
		if (!access(probe, F_OK))
			return strcpy(found, path);
	}
	ck_abort_msg("no folder above the program holds %s", what);
	return NULL;
}

const char *source_dir(void)
{
	static char found[PATH_MAX];
	const char *given = getenv("FI_SOURCE");

	return given ? given : found[0] ? found : find_up(found, "libfi/include/fusedinf");
}

const char *golden_path(const char *name)
{
	static char path[8][PATH_MAX + 256];
	static unsigned at;
	char *text = path[at++ % 8];

	snprintf(text, sizeof(path[0]), "%s/tests/golden/%s", source_dir(), name);
	return text;
}

const char *build_dir(void)
{
	static char found[PATH_MAX];
	const char *given = getenv("FI_BUILD");

	return given ? given : found[0] ? found : find_up(found, "libfi.a");
}

int main(int argc, char **argv)
{
	SRunner *runner = srunner_create(test_suite());
	int failed;

	(void)argc;
	srunner_set_fork_status(runner, getenv("CK_FORK") ? CK_FORK_GETENV : CK_FORK);
	printf("%s\n", argv[0]);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
