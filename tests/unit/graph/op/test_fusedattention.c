/* SPDX-License-Identifier: MIT */
/* graph/op: FusedAttention, which no model has. */
#include <errno.h>
#include <math.h>

#include "graph/op.h"
#include "tests/support/optest.h"

#define OWN .op = "FusedAttention", .opset = FINF_OPSET_OWN

/* clang-format off */
#define Q OT(F32, OT_S(2, 2), 1, 0, 0, 2)
#define K OT(F32, OT_S(2, 3), 1, 0, -1, 0, 1, 1)
#define V OT(F32, OT_S(3, 2), 1, 2, 3, 4, 5, 7)
/* clang-format on */

static const struct optest_row rows[] = {
	{.name = "two rows",
	 OWN,
	 .in = {Q, K, V},
	 .out = {OT(F32, OT_S(2, 2), 1.849579235, 2.939609808, 3.809863185, 5.278173716)}},
	{.name = "a scale",
	 OWN,
	 .attrs = {OT_F("alpha", 0.5f)},
	 .in = {Q, K, V},
	 .out = {OT(F32, OT_S(2, 2), 2.359686664, 3.546010388, 3.53391279, 4.956231588)}},
	{.name = "a masked column",
	 OWN,
	 .in = {Q, K, V, OT(F32, OT_S(3), 0, 0, -INFINITY)},
	 .out = {OT(F32, OT_S(2, 2), 1.537882843, 2.537882843, 2.761594156, 3.761594156)}},
	{.name = "a mask per row, which changes nothing",
	 OWN,
	 .in = {Q, K, V, OT(F32, OT_S(2, 1), 1, 2)},
	 .out = {OT(F32, OT_S(2, 2), 1.849579235, 2.939609808, 3.809863185, 5.278173716)}},
	{.name = "causal",
	 OWN,
	 .in = {Q, K, V, OT(F32, OT_S(2, 3), 0, -INFINITY, -INFINITY, 0, 0, -INFINITY)},
	 .out = {OT(F32, OT_S(2, 2), 1, 2, 2.761594156, 3.761594156)}},
	{.name = "a mask for each of a stack, keys and values for all",
	 OWN,
	 .in = {OT(F32, OT_S(2, 2, 2), 1, 0, 0, 2, 2, 0, 0, 4), K, V,
		OT(F32, OT_S(2, 1, 3), 0, 1, 0, 1, 0, 0)},
	 .out = {OT(F32, OT_S(2, 2, 2), 2.190136815, 3.253515753, 3.448754867, 4.708251327,
		    1.119756677, 2.126134138, 3.927133307, 5.414988858)}},
	{.name = "a mask that is larger",
	 OWN,
	 .in = {OT(F32, OT_S(1, 2), 1, 0), K, V, OT(F32, OT_S(2, 3), 0, 0, 0, 0, 0, 5)},
	 .out = {OT(F32, OT_S(2, 2), 1.849579235, 2.939609808, 4.779253859, 6.71549341)}},
	{.name = "heads",
	 OWN,
	 .attrs = {OT_IS("perm_q", 1, 0, 2), OT_IS("perm_k", 1, 2, 0), OT_IS("perm_v", 1, 0, -1),
		   OT_IS("perm_y", 1, 0, 2)},
	 .in = {OT(F32, OT_S(2, 2, 2), 0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75),
		OT(F32, OT_S(2, 2, 2), -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1),
		OT(F32, OT_S(2, 2, 2), 0, 1, 2, 3, 4, 5, 6, 7)},
	 .out = {OT(F32, OT_S(2, 2, 2), 2.248706004, 3.248706004, 5.109199445, 6.109199445,
		    3.61860214, 4.61860214, 5.850692451, 6.850692451)}},
	{.name = "no keys",
	 OWN,
	 .in = {Q, OT_ZEROS(F32, OT_S(2, 0)), OT_ZEROS(F32, OT_S(0, 2))},
	 .out = {OT_ZEROS(F32, OT_S(2, 2))}},
	{.name = "other keys than queries",
	 OWN,
	 .in = {Q, OT_ZEROS(F32, OT_S(3, 3)), V},
	 .err = -EINVAL,
	 .says = "Q and K"},
	{.name = "other values than keys",
	 OWN,
	 .in = {Q, K, OT_ZEROS(F32, OT_S(2, 2))},
	 .err = -EINVAL,
	 .says = "V do not multiply"},
	{.name = "a mask of another size",
	 OWN,
	 .in = {Q, K, V, OT_ZEROS(F32, OT_S(2, 2))},
	 .err = -EINVAL,
	 .says = "mask"},
	{.name = "a vector",
	 OWN,
	 .in = {OT_ZEROS(F32, OT_S(2)), K, V},
	 .err = -EINVAL,
	 .says = "Q and K"},
	{.name = "a perm of another rank",
	 OWN,
	 .attrs = {OT_IS("perm_k", 0, 2, 1)},
	 .in = {Q, K, V},
	 .err = -EINVAL,
	 .says = "perm_k"},
	{.name = "a perm that is none",
	 OWN,
	 .attrs = {OT_IS("perm_y", 1, 1)},
	 .in = {Q, K, V},
	 .err = -EINVAL,
	 .says = "twice"},
	{.name = "a model's opset",
	 .op = "FusedAttention",
	 .opset = 21,
	 .in = {Q, K, V},
	 .err = -EOPNOTSUPP,
	 .says = "opset"},
};

OPTEST_SUITE("graph/op/fusedattention", rows)
