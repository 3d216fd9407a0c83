/* SPDX-License-Identifier: MIT */
/*
 * mem: extents against a model that knows only who owns each 64 KiB page,
 * over thousands of random steps, with contents that compaction must carry.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mem/mem.h"
#include "tests/support/support.h"

#define PAGE FINF_EXTENT_ALIGN
#define KIB4 4096u

/* ---- a device that can move, and fail ----------------------------------- */

static struct {
	uint64_t calls, fail_at; /* fail_at 0 = never */
	bool overlapped;
} moves;

static int fake_move(struct finf_device *dev, void *to, const void *from, uint64_t bytes)
{
	uint64_t way = (uint64_t)((const uint8_t *)from - (uint8_t *)to);

	(void)dev;
	moves.overlapped |= way < bytes || -way < bytes;
	if (++moves.calls == moves.fail_at)
		return -EREMOTEIO;
	memcpy(to, from, bytes);
	return 0;
}

static const struct finf_device_ops fake_ops = {
	.abi = FINF_DEVICE_ABI,
	.name = "fake",
	.move = fake_move,
};
static struct finf_device fake = {&fake_ops};
static struct finf_pool_memory pool;
static struct finf_mem *mem;

static void setup_bytes(uint64_t bytes)
{
	pool = (struct finf_pool_memory){.bytes = bytes, .host_visible = true};
	ck_assert_int_eq(posix_memalign(&pool.base, PAGE, bytes), 0);
	memset(&moves, 0, sizeof(moves));
	ck_assert_int_eq(finf_mem_new(&fake, &pool, &mem), 0);
}

static void teardown(void)
{
	finf_mem_free(mem);
	free(pool.base);
}

static struct finf_extent *take(uint64_t pages, uint64_t prefer_page)
{
	struct finf_extent *extent = NULL;
	uint64_t prefer = prefer_page == UINT64_MAX ? UINT64_MAX : prefer_page * PAGE;

	ck_assert_int_eq(finf_mem_extent_take(mem, pages * PAGE, 7, prefer, &extent), 0);
	return extent;
}

/* ---- the rules, one by one -------------------------------------------------- */

START_TEST(takes_the_smallest_hole_lowest_first)
{
	struct finf_extent *e[8];
	static const uint64_t pages[] = {3, 1, 2, 1, 4, 1, 2, 1};
	struct finf_extent *got;

	setup_bytes(64 * PAGE);
	for (unsigned i = 0; i < 8; i++)
		e[i] = take(pages[i], UINT64_MAX);
	for (unsigned i = 0; i < 8; i += 2) /* holes of 3 at 0, 2 at 4, 4 at 7, 2 at 12 */
		finf_mem_extent_give(mem, e[i]);
	got = take(2, UINT64_MAX);
	ck_assert_uint_eq(got->offset, 4 * PAGE);
	finf_mem_extent_give(mem, got);
	got = take(2, 12); /* the old place, though another is as good */
	ck_assert_uint_eq(got->offset, 12 * PAGE);
	finf_mem_extent_give(mem, got);
	got = take(2, 6); /* the old place overlaps an extent now */
	ck_assert_uint_eq(got->offset, 4 * PAGE);
	finf_mem_extent_give(mem, got);
	got = take(1, 9); /* in the middle of a hole */
	ck_assert_uint_eq(got->offset, 9 * PAGE);
	finf_mem_extent_give(mem, got);
	for (unsigned i = 1; i < 8; i += 2)
		finf_mem_extent_give(mem, e[i]);
	teardown();
}
END_TEST

START_TEST(refuses_and_changes_nothing)
{
	static const struct {
		uint64_t bytes, prefer;
		int err;
	} rows[] = {
		{0, UINT64_MAX, -EINVAL},
		{16 * PAGE + 1, UINT64_MAX, -ENOBUFS},
		{UINT64_MAX, UINT64_MAX, -ENOBUFS},
		{UINT64_MAX - PAGE, 0, -ENOBUFS},
		{15 * PAGE, UINT64_MAX, -ENOBUFS}, /* two pages are taken */
		{1, UINT64_MAX - PAGE + 1, 0},	   /* absurd old places are ignored */
		{PAGE, 17 * PAGE, 0},
		{PAGE, 3 * PAGE + 1, 0},
		{PAGE, 16 * PAGE, 0},
	};
	struct finf_extent *first, *extent;
	struct finf_mem_stats before, after;

	setup_bytes(16 * PAGE);
	first = take(2, UINT64_MAX);
	for (size_t i = 0; i < FINF_ARRAY_LEN(rows); i++) {
		extent = NULL;
		finf_mem_stats(mem, &before);
		ck_assert_int_eq(finf_mem_extent_take(mem, rows[i].bytes, 1, rows[i].prefer,
						      &extent), rows[i].err);
		if (!rows[i].err) {
			ck_assert_uint_eq(extent->offset, 2 * PAGE);
			ck_assert_uint_eq(extent->bytes, PAGE);
			finf_mem_extent_give(mem, extent);
		} else {
			ck_assert_ptr_null(extent);
		}
		finf_mem_stats(mem, &after);
		ck_assert_mem_eq(&before, &after, sizeof(before));
	}
	finf_mem_extent_give(mem, first);
	finf_mem_extent_give(mem, NULL);
	teardown();
}
END_TEST

START_TEST(arena_zone_lies_at_the_top)
{
	struct finf_extent *extent;
	struct finf_mem_stats stats;
	uint8_t *end;

	setup_bytes(4 * PAGE + 5000); /* the last 904 bytes are of no use */
	end = (uint8_t *)pool.base + 4 * PAGE + KIB4;
	ck_assert_ptr_null(finf_mem_arena(mem, 1));
	ck_assert_int_eq(finf_mem_arena_reserve(mem, KIB4 + 1), 0);
	ck_assert_ptr_eq(finf_mem_arena(mem, 2 * KIB4), end - 2 * KIB4);
	ck_assert_ptr_eq(finf_mem_arena(mem, 100), end - KIB4);
	ck_assert_ptr_null(finf_mem_arena(mem, 2 * KIB4 + 1));
	ck_assert_ptr_null(finf_mem_arena(mem, UINT64_MAX));

	extent = take(3, UINT64_MAX);
	ck_assert_int_eq(finf_mem_arena_reserve(mem, PAGE + 2 * KIB4), -ENOBUFS);
	ck_assert_int_eq(finf_mem_arena_reserve(mem, UINT64_MAX), -ENOBUFS);
	ck_assert_ptr_nonnull(finf_mem_arena(mem, 2 * KIB4));
	ck_assert_int_eq(finf_mem_arena_reserve(mem, PAGE + KIB4), 0);
	finf_mem_stats(mem, &stats);
	ck_assert_uint_eq(stats.pool_bytes, 4 * PAGE + KIB4);
	ck_assert_uint_eq(stats.arena_bytes, PAGE + KIB4);
	ck_assert_uint_eq(stats.extent_bytes, 3 * PAGE);
	ck_assert_uint_eq(stats.free_bytes, 0);
	ck_assert_uint_eq(stats.largest_hole_bytes, 0);
	ck_assert_ptr_eq(finf_mem_address(mem, extent), pool.base);
	finf_mem_extent_give(mem, extent);
	ck_assert_int_eq(finf_mem_arena_reserve(mem, 0), 0);
	teardown();
}
END_TEST

/*
 * One letter per page: extents by letter, upper case movable; '.' is free.
 * The first line must become the second when a hole of @want pages is asked
 * for, by moving @moved pages.
 */
static const struct {
	const char *before, *after;
	unsigned want, moved;
	int err;
} compactions[] = {
	{"AA.BBB..CC......", "AA.BBB..CC......", 6, 0, 0}, /* is there already */
	{"AA.BBB..CC......", "AA.BBBCC........", 8, 2, 0}, /* the cheapest way */
	{"AA.BBB..CC......", "AABBBCC.........", 9, 5, 0},
	{"AA.BBB..CC......", "AA.BBB..CC......", 10, 0, -ENOBUFS},
	{"AA.BBB..CC......", "AABBBCC.........", 0, 5, 0},
	{".A.b.C..D.......", "A..bCD..........", 0, 3, 0}, /* b stays where it is */
	{".A.b.C..DDDD....", ".A.b.C..DDDD....", 2, 0, 0},
	{".A.b.", "A..b.", 2, 1, 0},
	{".A.b....", ".A.b....", 5, 0, -ENOBUFS},
	{"a.B.c.D.e", "aB..c.D.e", 2, 1, 0},
	{"a.b.c.d.e", "a.b.c.d.e", 2, 0, -ENOBUFS},
	{".AAAAAAAA.B.", ".AAAAAAAAB..", 2, 1, 0},
	{".AAAAAAAA.B.", "AAAAAAAAB...", 3, 9, 0},
	{"AAAAAAAA", "AAAAAAAA", 1, 0, -ENOBUFS},
	{"........", "........", 8, 0, 0},
	{"........", "........", 9, 0, -ENOBUFS},
};

/* Lay out the extents of @text; returns their number. */
static unsigned lay_out(const char *text, struct finf_extent *extents[16])
{
	unsigned n = 0;

	for (size_t at = 0, len; text[at]; at += len) {
		for (len = 1; text[at + len] == text[at]; len++)
			;
		if (text[at] == '.')
			continue;
		extents[n] = take(len, at);
		ck_assert_uint_eq(extents[n]->offset, at * PAGE);
		extents[n]->movable = text[at] >= 'A' && text[at] <= 'Z';
		extents[n]->owner = (uint64_t)text[at];
		memset(finf_mem_address(mem, extents[n]), text[at], len * PAGE);
		n++;
	}
	return n;
}

static void check_layout(const char *text, struct finf_extent **extents, unsigned n)
{
	unsigned pages = 0;

	for (unsigned i = 0; i < n; i++) {
		const uint8_t *bytes = finf_mem_address(mem, extents[i]);

		/* All bytes are like the first, and that one is right. */
		ck_assert_uint_eq(bytes[0], extents[i]->owner);
		ck_assert(!memcmp(bytes, bytes + 1, extents[i]->bytes - 1));
		for (uint64_t k = 0; k < extents[i]->bytes / PAGE; k++)
			ck_assert_int_eq(text[extents[i]->offset / PAGE + k], extents[i]->owner);
		pages += (unsigned)(extents[i]->bytes / PAGE);
	}
	for (; *text; text++)
		pages -= *text != '.';
	ck_assert_uint_eq(pages, 0);
}

START_TEST(compacts_no_more_than_needed)
{
	struct finf_extent *extents[16];
	struct finf_mem_stats stats;
	unsigned n;

	setup_bytes(strlen(compactions[_i].before) * PAGE);
	n = lay_out(compactions[_i].before, extents);
	ck_assert_int_eq(finf_mem_compact(mem, compactions[_i].want * (uint64_t)PAGE),
			 compactions[_i].err);
	check_layout(compactions[_i].after, extents, n);
	finf_mem_stats(mem, &stats);
	ck_assert_uint_eq(stats.moved_bytes, compactions[_i].moved * (uint64_t)PAGE);
	if (!compactions[_i].err)
		ck_assert_uint_ge(stats.largest_hole_bytes, compactions[_i].want * (uint64_t)PAGE);
	ck_assert(!moves.overlapped);
	for (unsigned i = 0; i < n; i++)
		finf_mem_extent_give(mem, extents[i]);
	teardown();
}
END_TEST

START_TEST(reports_a_device_that_fails_to_move)
{
	struct finf_extent *extents[16];
	struct finf_mem_stats stats;
	unsigned n;

	setup_bytes(10 * PAGE);
	n = lay_out(".AA..BBB..", extents);
	moves.fail_at = 3; /* A goes in two pieces, then this */
	ck_assert_int_eq(finf_mem_compact(mem, 0), -EREMOTEIO);
	finf_mem_stats(mem, &stats);
	ck_assert_uint_eq(stats.moves, 1);
	ck_assert_uint_eq(stats.moved_bytes, 2 * PAGE);
	ck_assert_uint_eq(extents[0]->offset, 0);
	ck_assert_uint_eq(extents[1]->offset, 5 * PAGE);
	for (unsigned i = 0; i < n; i++)
		finf_mem_extent_give(mem, extents[i]);
	teardown();
}
END_TEST

/* ---- random steps against the model -------------------------------------------- */

#define MODEL_PAGES 96
#define MODEL_EXTENTS 24

static struct {
	uint64_t owner[MODEL_PAGES]; /* 0 = free */
	unsigned arena_pages;
} model;

static unsigned model_run(unsigned at)
{
	unsigned n = 0;

	while (at + n < MODEL_PAGES - model.arena_pages && !model.owner[at + n])
		n++;
	return n;
}

/* Where the contract says that @pages go: MODEL_PAGES when nowhere. */
static unsigned model_place(unsigned pages, uint64_t prefer)
{
	unsigned best = MODEL_PAGES, best_run = UINT32_MAX;

	if (prefer < MODEL_PAGES && model_run((unsigned)prefer) >= pages)
		return (unsigned)prefer;
	for (unsigned at = 0, run; at < MODEL_PAGES - model.arena_pages; at += run ? run : 1) {
		run = model_run(at);
		if (run >= pages && run < best_run) {
			best = at;
			best_run = run;
		}
	}
	return best;
}

/* Each page says who owns it and which page of his it is. Were they all right? */
static bool stamp(const struct finf_extent *extent)
{
	uint64_t *words = finf_mem_address(mem, extent);
	bool right = true;

	for (uint64_t page = 0; page < extent->bytes / PAGE; page++) {
		uint64_t *word = words + page * (PAGE / 8), want = extent->owner << 16 | page;

		right &= word[0] == want && word[PAGE / 8 - 1] == ~want;
		word[0] = want;
		word[PAGE / 8 - 1] = ~want;
	}
	return right;
}

/* Enter an extent into the model. Does it lie below the zone, where nothing else is? */
static bool model_enter(const struct finf_extent *extent)
{
	uint64_t first = extent->offset / PAGE, n = extent->bytes / PAGE;
	bool right = first + n <= MODEL_PAGES - model.arena_pages;

	for (uint64_t page = first; right && page < first + n; page++) {
		right &= !model.owner[page];
		model.owner[page] = extent->owner;
	}
	return right;
}

static void check_against_model(struct finf_extent **extents)
{
	struct finf_mem_stats stats;
	uint64_t used = 0, largest = 0;
	bool right = true;
	uint32_t n = 0;

	memset(model.owner, 0, sizeof(model.owner));
	for (unsigned i = 0; i < MODEL_EXTENTS; i++) {
		if (!extents[i])
			continue;
		right &= stamp(extents[i]) && model_enter(extents[i]);
		used += extents[i]->bytes;
		n++;
	}
	ck_assert(right);
	for (unsigned at = 0; at < MODEL_PAGES; at++)
		largest = FINF_MAX(largest, (uint64_t)model_run(at) * PAGE);
	finf_mem_stats(mem, &stats);
	ck_assert_uint_eq(stats.n_extents, n);
	ck_assert_uint_eq(stats.extent_bytes, used);
	ck_assert_uint_eq(stats.largest_hole_bytes, largest);
	ck_assert_uint_eq(stats.free_bytes,
			  (uint64_t)(MODEL_PAGES - model.arena_pages) * PAGE - used);
}

static struct finf_extent *random_take(uint64_t *seed, uint64_t owner)
{
	unsigned pages = 1 + (unsigned)(test_random(seed) % 12);
	uint64_t prefer = test_random(seed) % 2 ? UINT64_MAX : test_random(seed) % MODEL_PAGES;
	unsigned place = model_place(pages, prefer);
	struct finf_extent *extent = NULL;
	int err = finf_mem_extent_take(mem, (uint64_t)pages * PAGE - test_random(seed) % PAGE, owner,
				       prefer == UINT64_MAX ? prefer : prefer * PAGE, &extent);

	ck_assert_int_eq(err, place == MODEL_PAGES ? -ENOBUFS : 0);
	if (!err) {
		ck_assert_uint_eq(extent->offset, (uint64_t)place * PAGE);
		ck_assert_uint_eq(extent->bytes, (uint64_t)pages * PAGE);
		ck_assert_uint_eq(extent->owner, owner);
		ck_assert(!extent->movable);
		extent->movable = test_random(seed) % 4;
		stamp(extent);
	}
	return extent;
}

/* The largest hole that any compaction can make: a run between unmovable extents. */
static uint64_t model_best_hole(struct finf_extent **extents)
{
	uint64_t best = 0, sum = 0;

	for (unsigned at = 0; at < MODEL_PAGES - model.arena_pages; at++) {
		bool barrier = false;

		for (unsigned i = 0; i < MODEL_EXTENTS; i++)
			barrier |= extents[i] && !extents[i]->movable &&
				   extents[i]->owner == model.owner[at];
		sum = barrier ? 0 : sum + !model.owner[at];
		best = FINF_MAX(best, sum);
	}
	return best;
}

static void random_compact(uint64_t *seed, struct finf_extent **extents)
{
	uint64_t want = test_random(seed) % 40, best = model_best_hole(extents);
	struct finf_mem_stats before, after;
	int err;

	finf_mem_stats(mem, &before);
	err = finf_mem_compact(mem, want * PAGE);
	finf_mem_stats(mem, &after);
	ck_assert_int_eq(err, want <= best ? 0 : -ENOBUFS);
	if (err)
		ck_assert_uint_eq(after.moves, before.moves);
	else
		ck_assert_uint_ge(after.largest_hole_bytes, want * PAGE);
	if (want && before.largest_hole_bytes >= want * PAGE)
		ck_assert_uint_eq(after.moves, before.moves);
}

START_TEST(thousands_of_random_steps)
{
	struct finf_extent *extents[MODEL_EXTENTS] = {0};
	uint64_t seed = (uint64_t)_i;

	setup_bytes(MODEL_PAGES * PAGE);
	model.arena_pages = 0;
	memset(model.owner, 0, sizeof(model.owner));
	for (uint64_t step = 1; step <= 5000; step++) {
		struct finf_extent **slot = &extents[test_random(&seed) % MODEL_EXTENTS];
		unsigned arena = (unsigned)(test_random(&seed) % 20);
		int err;

		if (step % 16 == 0) {
			random_compact(&seed, extents);
		} else if (step % 16 == 7) {
			err = finf_mem_arena_reserve(mem, (uint64_t)arena * PAGE);
			if (!err)
				model.arena_pages = arena;
			else
				ck_assert_int_eq(err, -ENOBUFS);
		} else if (*slot) {
			finf_mem_extent_give(mem, *slot);
			*slot = NULL;
		} else {
			*slot = random_take(&seed, step);
		}
		check_against_model(extents);
	}
	for (unsigned i = 0; i < MODEL_EXTENTS; i++)
		finf_mem_extent_give(mem, extents[i]);
	memset(extents, 0, sizeof(extents));
	check_against_model(extents);
	ck_assert(!moves.overlapped);
	teardown();
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("mem");
	TCase *tc = tcase_create("mem");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, takes_the_smallest_hole_lowest_first);
	tcase_add_test(tc, refuses_and_changes_nothing);
	tcase_add_test(tc, arena_zone_lies_at_the_top);
	tcase_add_loop_test(tc, compacts_no_more_than_needed, 0, FINF_ARRAY_LEN(compactions));
	tcase_add_test(tc, reports_a_device_that_fails_to_move);
	tcase_add_loop_test(tc, thousands_of_random_steps, 0, 4);
	suite_add_tcase(suite, tc);
	return suite;
}
