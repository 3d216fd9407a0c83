/* SPDX-License-Identifier: MIT */
/*
 * Mod with broadcasting (ONNX Mod-10, -13). The remainder has the sign of the
 * divisor, or with fmod = 1, as floats need it, of the dividend. Integers
 * refuse a zero divisor.
 */
#include <errno.h>
#include <math.h>

#include "graph/op/arith.h"

/* C's remainder; what -1 divides leaves nothing, and the smallest integer over it would trap. */
#define REST(p, q)  ((q) == -1 ? 0 : (p) % (q))
#define FLOOR(p, q) (REST(p, q) && ((p) < 0) != ((q) < 0) ? REST(p, q) + (q) : REST(p, q))

FINF_ARITH_ROW(fmod_f32, float, fmodf(p, q), false)
FINF_ARITH_ROW(fmod_f64, double, fmod(p, q), false)
FINF_ARITH_ROW(fmod_i64, int64_t, REST(p, q), q == 0)
FINF_ARITH_ROW(fmod_i32, int32_t, REST(p, q), q == 0)
FINF_ARITH_ROW(fmod_i8, int8_t, p % q, q == 0)
FINF_ARITH_ROW(mod_i64, int64_t, FLOOR(p, q), q == 0)
FINF_ARITH_ROW(mod_i32, int32_t, FLOOR(p, q), q == 0)
FINF_ARITH_ROW(mod_i8, int8_t, FLOOR(p, q), q == 0)
FINF_ARITH_ROW(mod_u8, uint8_t, p % q, q == 0)

static const struct finf_arith as_c[] = {
	FINF_ARITH_SAME(F32, 10, fmod_f32),
	FINF_ARITH_SAME(F64, 10, fmod_f64),
	FINF_ARITH_SAME(I64, 10, fmod_i64),
	FINF_ARITH_SAME(I32, 10, fmod_i32),
	FINF_ARITH_SAME(I8, 10, fmod_i8),
	FINF_ARITH_SAME(U8, 10, mod_u8),
	{0},
};

static const struct finf_arith as_floor[] = {
	FINF_ARITH_SAME(I64, 10, mod_i64),
	FINF_ARITH_SAME(I32, 10, mod_i32),
	FINF_ARITH_SAME(I8, 10, mod_i8),
	FINF_ARITH_SAME(U8, 10, mod_u8),
	{0},
};

static const struct finf_arith *table(const struct finf_node *node)
{
	return finf_node_int(node, "fmod", 0) ? as_c : as_floor;
}

static int infer(struct finf_infer *ctx)
{
	return finf_arith_infer(ctx, table(ctx->node));
}

static int range(const struct finf_node *node, const struct finf_tensor *const *in,
		 struct finf_tensor *const *out, struct finf_span span)
{
	return finf_arith_range(table(node), in[0], in[1], out[0], span);
}

static const struct finf_attr_spec attrs[] = {
	{.name = "fmod", .type = FINF_ATTR_INT},
	{0},
};

const struct finf_op finf_op_mod = {
	.name = "Mod",
	.opset_min = 10,
	.opset_max = 21,
	.min_in = 2,
	.max_in = 2,
	.min_out = 1,
	.max_out = 1,
	.attrs = attrs,
	.infer = infer,
	.range = range,
};
