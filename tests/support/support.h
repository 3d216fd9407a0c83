/* SPDX-License-Identifier: MIT */
/*
 * tests/support - what every test program shares: main(), skipping by name,
 * scratch folders, random numbers with a seed, comparing tensors.
 */
#ifndef FI_TESTS_SUPPORT_H
#define FI_TESTS_SUPPORT_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Defined by each test program; support.c has main() and runs it. */
Suite *test_suite(void);

/**
 * skip_test - this machine cannot run the test: prints "SKIP name: reason" and
 * returns from the test, or fails when FI_REQUIRE names @feature ("bpf",
 * "uring", "odirect", comma-separated). Use as: { skip_test(...); return; }
 */
void skip_test(const char *feature, const char *reason);

/** A fresh folder under $TMPDIR (or /tmp) removed at exit of the test process; borrowed. */
const char *scratch_dir(void);
/** scratch_dir() "/" name, in a ring of 8 static buffers. */
const char *scratch_path(const char *name);

/** Deterministic numbers: seed 0 is a seed like any other. */
uint64_t test_random(uint64_t *state);
/** Uniform in [-1, 1). */
float test_random_f32(uint64_t *state);
void test_fill_f32(float *x, size_t n, uint64_t seed);

/** ||a - b|| / ||b||, 0 when both are 0; NaN anywhere gives 1e30. */
double relative_l2(const float *a, const float *b, size_t n);

/** Open descriptors of this process, to show that nothing leaked. */
int open_descriptors(void);

/** The repository's root (where tests/golden lies): $FI_SOURCE or found upwards of the program. */
const char *source_dir(void);
/** golden_path - SOURCE/tests/golden/@name; good until the next eight calls. */
const char *golden_path(const char *name);
/** The build folder ($FI_BUILD or where the program lies, up to "build"). */
const char *build_dir(void);

#endif
