/* SPDX-License-Identifier: MIT */
/* graph/op: FusedElementwise, which no model has: programs, and those that are none. */
#include <errno.h>
#include <math.h>

#include "graph/program.h"
#include "tests/support/optest.h"

#define OWN .op = "FusedElementwise", .opset = FINF_OPSET_OWN
#define STEP(kind, x, y, z) FINF_STEP_##kind, x, y, z
#define MADE(s)		    (FINF_PROGRAM_INPUTS + (s))
#define REFUSED(text)	    .err = -EINVAL, .says = text

/* clang-format off */
#define X OT(F32, OT_S(2, 2), 1, -2, 3, -4)
#define EIGHT(...) __VA_ARGS__, __VA_ARGS__, __VA_ARGS__, __VA_ARGS__, __VA_ARGS__, __VA_ARGS__, \
	__VA_ARGS__, __VA_ARGS__
#define ABS_4 EIGHT(STEP(ABS, 0, 0, 0))
/* clang-format on */

static const struct optest_row rows[] = {
	{.name = "one step",
	 OWN,
	 .attrs = {OT_IS("program", STEP(NEG, 0, 0, 0))},
	 .in = {X},
	 .out = {OT(F32, OT_S(2, 2), -1, 2, -3, 4)}},
	{.name = "steps, numbers, and a row",
	 OWN,
	 .attrs = {OT_IS("program", STEP(RELU, 0, 0, 0), STEP(MUL, MADE(0), 1, 0),
			   STEP(CLIP, MADE(1), ~1, ~0)),
		   OT_FS("numbers", 20, -1)},
	 .in = {X, OT(F32, OT_S(2), 10, 100)},
	 .out = {OT(F32, OT_S(2, 2), 10, 0, 20, 0)}},
	{.name = "inputs that make the shape together",
	 OWN,
	 .attrs = {OT_IS("program", STEP(SUB, 1, 0, 0))},
	 .in = {OT(F32, OT_S(2, 1), 1, 2), OT(F32, OT_S(1, 2), 10, 20)},
	 .out = {OT(F32, OT_S(2, 2), 9, 19, 8, 18)}},
	{.name = "truth",
	 OWN,
	 .attrs = {OT_IS("program", STEP(LESS, 0, ~0, 0), STEP(AND, MADE(0), 1, 0),
			   STEP(WHERE, MADE(1), 0, ~1)),
		   OT_FS("numbers", 0, 7)},
	 .in = {X, OT(BOOL, OT_S(2, 1), 0, 1)},
	 .out = {OT(F32, OT_S(2, 2), 7, 7, 7, -4)}},
	{.name = "no program", OWN, .in = {X}, REFUSED("program is missing")},
	{.name = "no step", OWN, .attrs = {OT_IS("program", 0, 0, 0)}, .in = {X},
	 REFUSED("program of 3 integers")},
	{.name = "too many steps",
	 OWN,
	 .attrs = {OT_IS("program", ABS_4, ABS_4, ABS_4, ABS_4, STEP(ABS, 0, 0, 0))},
	 .in = {X},
	 REFUSED("program of 132 integers")},
	{.name = "no such kind",
	 OWN,
	 .attrs = {OT_IS("program", STEP(ABS, 0, 0, 0), FINF_STEPS, 0, 0, 0)},
	 .in = {X},
	 REFUSED("step 1: there is no kind")},
	{.name = "a kind below 0",
	 OWN,
	 .attrs = {OT_IS("program", -1, 0, 0, 0)},
	 .in = {X},
	 REFUSED("step 0: there is no kind -1")},
	{.name = "a kind beyond 32 bits",
	 OWN,
	 .attrs = {OT_IS("program", 1ll << 32, 0, 0, 0)},
	 .in = {X},
	 REFUSED("step 0: there is no kind 4294967296")},
	{.name = "an input that is not there",
	 OWN,
	 .attrs = {OT_IS("program", STEP(ADD, 0, 1, 0))},
	 .in = {X},
	 REFUSED("step 0: operand 1")},
	{.name = "a step that reads itself",
	 OWN,
	 .attrs = {OT_IS("program", STEP(ADD, 0, MADE(0), 0))},
	 .in = {X},
	 REFUSED("step 0: operand 8")},
	{.name = "a circle",
	 OWN,
	 .attrs = {OT_IS("program", STEP(ABS, MADE(1), 0, 0), STEP(ABS, MADE(0), 0, 0))},
	 .in = {X},
	 REFUSED("step 0: operand 9")},
	{.name = "a number that is not there",
	 OWN,
	 .attrs = {OT_IS("program", STEP(ADD, 0, ~1, 0)), OT_FS("numbers", 1)},
	 .in = {X},
	 REFUSED("step 0: operand -2")},
	{.name = "an operand beyond 32 bits",
	 OWN,
	 .attrs = {OT_IS("program", STEP(ABS, 1ll << 32, 0, 0))},
	 .in = {X},
	 REFUSED("step 0: operand 4294967296")},
	{.name = "an operand too many",
	 OWN,
	 .attrs = {OT_IS("program", STEP(ABS, 0, 0, 1))},
	 .in = {X},
	 REFUSED("step 0: ABS has no operand 2")},
	{.name = "shapes that do not broadcast",
	 OWN,
	 .attrs = {OT_IS("program", STEP(ADD, 0, 1, 0))},
	 .in = {X, OT_ZEROS(F32, OT_S(3))},
	 REFUSED("input 1 does not broadcast")},
	{.name = "integers",
	 OWN,
	 .attrs = {OT_IS("program", STEP(ABS, 0, 0, 0))},
	 .in = {OT(I64, OT_S(2), 1, 2)},
	 .err = -EOPNOTSUPP,
	 .says = "input 0 is int64"},
	{.name = "a model's opset",
	 .op = "FusedElementwise",
	 .opset = 21,
	 .attrs = {OT_IS("program", STEP(ABS, 0, 0, 0))},
	 .in = {X},
	 .err = -EOPNOTSUPP,
	 .says = "opset"},
};

OPTEST_SUITE("graph/op/fusedelementwise", rows)
