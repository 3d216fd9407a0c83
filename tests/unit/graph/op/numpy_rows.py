#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make numpy_*.inc: rows for what is newer than opset 17, by the specification's formulas.

Run in this folder, with NumPy 1.21 or later, after changing it.
"""
import math

import numpy as np

NAMES = {"float32": "F32", "float64": "F64", "int64": "I64", "int32": "I32", "int8": "I8",
         "uint8": "U8", "bool": "BOOL"}


def ramp(*shape, seed=0, dtype=np.float32):
    """Small numbers in a fixed disorder, short to write."""
    values, state = [], seed
    for _ in range(math.prod(shape)):
        state = (state * 1103515245 + 12345) % 2**31
        values.append((state >> 16) % 19 - 9)
    scale = 4 if np.dtype(dtype).kind == "f" else 1
    return (np.array(values).reshape(shape) / scale).astype(dtype)


def number(v):
    if np.isinf(v):
        return "INFINITY" if v > 0 else "-INFINITY"
    return "%.9g" % v


def tensor(t, kind="OT"):
    if t is None:
        return "OT_OMIT"
    dims = ", ".join(str(d) for d in t.shape)
    name = NAMES[t.dtype.name]
    if not t.size:
        return "OT_ZEROS(%s, OT_S(%s))" % (name, dims)
    return "%s(%s, OT_S(%s), %s)" % (kind, name, dims, ", ".join(map(number, t.flatten())))


def constant(values):
    """A list of int64 that infer() sees; the empty one has no bytes to see."""
    if not values:
        return "{.dtype = FINF_I64, .shape = OT_S(0), .is_const = true}"
    return tensor(np.array(values, np.int64), "OT_K")


def attr(key, value):
    if isinstance(value, str):
        return 'OT_STR("%s", "%s")' % (key, value)
    return 'OT_I("%s", %d)' % (key, value)


class Rows:
    def __init__(self, path):
        self.out = open("numpy_%s.inc" % path, "w")
        self.out.write("/* SPDX-License-Identifier: MIT */\n")
        self.out.write("/* Made by numpy_rows.py with NumPy; not edited by hand. */\n")
        self.out.write("/* clang-format off */\n")

    def row(self, name, op, opset, inputs, y, **attrs):
        """Inputs are arrays, lists (constants) or None (left out)."""
        texts = [constant(v) if isinstance(v, list) else tensor(v) for v in inputs]
        self.out.write('{.name = "%s", .op = "%s", .opset = %d,\n' % (name, op, opset))
        if attrs:
            self.out.write(" .attrs = {%s},\n" % ", ".join(attr(*a) for a in attrs.items()))
        self.out.write(" .in = {%s},\n" % ",\n\t".join(texts))
        self.out.write(" .out = {%s}},\n" % tensor(y))


def activations():
    rows = Rows("activations")
    x = np.array([-30, -8, -3, -1, -0.5, -0.0625, 0, 0.0625, 0.5, 1, 3, 8, 30], np.float32)
    d = x.astype(np.float64)
    erf = np.array([math.erf(v / math.sqrt(2)) for v in d])
    exact = (0.5 * d * (1 + erf)).astype(np.float32)
    curve = 0.5 * d * (1 + np.tanh(math.sqrt(2 / math.pi) * (d + 0.044715 * d**3)))
    rows.row("Gelu", "Gelu", 20, [x], exact)
    rows.row("Gelu, approximate none, opset 21", "Gelu", 21, [x], exact, approximate="none")
    rows.row("Gelu, approximate tanh", "Gelu", 20, [x], curve.astype(np.float32),
             approximate="tanh")
    mish = d * np.tanh(np.log1p(np.exp(d)))
    rows.row("Mish", "Mish", 18, [x], mish.astype(np.float32))


def log_sum_exp(x, axis, keepdims):
    return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))


def reductions():
    rows = Rows("reduce")
    functions = {
        "ReduceL1": lambda x, **k: np.sum(np.abs(x), **k),
        "ReduceL2": lambda x, **k: np.sqrt(np.sum(x * x, **k)),
        "ReduceLogSum": lambda x, **k: np.log(np.sum(x, **k)),
        "ReduceLogSumExp": log_sum_exp,
        "ReduceMax": np.max,
        "ReduceMean": np.mean,
        "ReduceMin": np.min,
        "ReduceProd": np.prod,
        "ReduceSum": np.sum,
        "ReduceSumSquare": lambda x, **k: np.sum(x * x, **k),
    }
    for op, function in functions.items():
        for i, (axes, keep, opset) in enumerate(
                [([1], 1, 18), ([-1, 0], 0, 18), (None, 1, 21), ([], 0, 18), ([2, -2], 1, 21)]):
            x = ramp(2, 3, 2, seed=i)
            if op == "ReduceLogSum":
                x = np.abs(x) + np.float32(0.25)
            axis = tuple(axes) if axes else None
            y = np.asarray(function(x.astype(np.float64), axis=axis, keepdims=bool(keep)))
            rows.row("%s, axes input %s, keepdims %d, opset %d" % (op, axes, keep, opset), op, opset,
                     [x] if axes is None else [x, axes], y.astype(np.float32), keepdims=keep)
        x = ramp(2, 2)
        rows.row("%s, no axes and nothing to do" % op, op, 18, [x], x, noop_with_empty_axes=1)
        rows.row("%s, empty axes and nothing to do" % op, op, 18, [x, []], x,
                 noop_with_empty_axes=1)
    for op, function in (("ReduceMax", np.max), ("ReduceMin", np.min)):
        x = np.array([[0, 1], [0, 0], [1, 1]], bool)
        rows.row("%s of bools" % op, op, 20, [x, [1]], function(x, axis=1, keepdims=True))
    x = np.zeros((2, 0), np.float32)
    for op, nothing in (("ReduceMax", -np.inf), ("ReduceMin", np.inf), ("ReduceSum", 0),
                        ("ReduceProd", 1), ("ReduceLogSumExp", -np.inf)):
        rows.row("%s of nothing" % op, op, 20, [x, [1]], np.full((2, 1), nothing, np.float32))


def pads():
    rows = Rows("pad")
    x = ramp(2, 3)

    def pad(name, opset, x, pads, mode, axes=None, value=None):
        n = len(pads) // 2
        width = [[0, 0] for _ in x.shape]
        for i, axis in enumerate(axes if axes is not None else range(x.ndim)):
            width[axis] = [pads[i], pads[i + n]]
        more = {"constant_values": value} if value is not None else {}
        y = np.pad(x, width, mode=mode, **more)
        inputs = [x, pads]
        if axes is not None:
            inputs += [None if value is None else np.float32(value).reshape(()), axes]
        rows.row(name, "Pad", opset, inputs, y, mode=mode)

    pad("axes 1", 18, x, [1, 2], "constant", axes=[1])
    pad("axes -2, a value", 18, x, [2, 0], "constant", axes=[-2], value=1.5)
    pad("axes out of order", 21, x, [1, 0, 0, 1], "edge", axes=[1, 0])
    pad("axes, reflect", 18, x, [2, 1], "reflect", axes=[-1])
    pad("wrap", 19, x, [0, 1, 1, 2], "wrap")
    pad("wrap more than once around", 19, x, [0, 7, 3, 8], "wrap")
    pad("wrap along axes, int64", 21, ramp(2, 3, dtype=np.int64), [2, 1], "wrap", axes=[1])


activations()
reductions()
pads()
