#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make formula_*.inc: operator rows whose outputs follow from the ONNX
specification's formulas, written out in NumPy.

Run in this folder, with NumPy, after changing it.
"""
import itertools
import math

import numpy as np

KINDS = {"float32": "F32", "float64": "F64", "int64": "I64", "int32": "I32", "int8": "I8",
         "uint8": "U8", "bool": "BOOL"}


def ramp(*shape, seed=0, dtype=np.float32):
    """Small numbers in a fixed disorder, short to write."""
    values, state = [], seed
    for _ in range(int(np.prod(shape))):
        state = (state * 1103515245 + 12345) % 2**31
        values.append((state >> 16) % 19 - 9)
    values = np.array(values).reshape(shape)
    if dtype == np.uint8:
        values = values + 9
    return (values / 4 if dtype == np.float32 else values).astype(dtype)


class Const:
    """An input that is a constant of the model."""

    def __init__(self, value, dtype=np.int64):
        self.value = np.asarray(value, dtype)


def tensor(t):
    if t is None:
        return "OT_OMIT"
    macro, t = ("OT_K", t.value) if isinstance(t, Const) else ("OT", t)
    numbers = ", ".join("%.9g" % v for v in t.flatten().tolist()) or "0"
    dims = ", ".join(str(d) for d in t.shape)
    return "%s(%s, OT_S(%s), %s)" % (macro, KINDS[str(t.dtype)], dims, numbers)


def attr(key, value):
    if isinstance(value, str):
        return 'OT_STR("%s", "%s")' % (key, value)
    if isinstance(value, float):
        return 'OT_F("%s", %rf)' % (key, value)
    if isinstance(value, int):
        return 'OT_I("%s", %d)' % (key, value)
    if isinstance(value[0], float):
        return 'OT_FS("%s", %s)' % (key, ", ".join("%rf" % v for v in value))
    return 'OT_IS("%s", %s)' % (key, ", ".join(map(str, value)))


class Rows:
    def __init__(self, path, op):
        self.op = op
        self.out = open("formula_%s.inc" % path, "w")
        self.out.write("/* SPDX-License-Identifier: MIT */\n")
        self.out.write("/* Made by formula_rows.py; not edited by hand. */\n")
        self.out.write("/* clang-format off */\n")

    def row(self, name, opset, inputs, outputs, **attrs):
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        self.out.write('{.name = "%s", .op = "%s", .opset = %d, .tolerance = 4e-6,\n'
                       % (name, self.op, opset))
        if attrs:
            self.out.write(" .attrs = {%s},\n" % ", ".join(attr(k, v) for k, v in attrs.items()))
        self.out.write(" .in = {%s},\n" % ",\n\t".join(tensor(t) for t in inputs))
        self.out.write(" .out = {%s}},\n" % ",\n\t".join(tensor(t) for t in outputs))


def f32(x):
    return np.asarray(x, np.float32)


# ---- windows ---------------------------------------------------------------------


def window(spatial, kernel, strides, dilations, pads):
    """Output extents, and for each output index its (tap, cell) pairs on the input."""
    n = len(kernel)
    out = [(spatial[i] + pads[i] + pads[n + i] - (kernel[i] - 1) * dilations[i] - 1)
           // strides[i] + 1 for i in range(n)]

    def cells(o):
        for tap in itertools.product(*map(range, kernel)):
            at = tuple(o[i] * strides[i] - pads[i] + tap[i] * dilations[i] for i in range(n))
            if all(0 <= at[i] < spatial[i] for i in range(n)):
                yield tap, at
    return out, cells


def conv(x, w, b, group, strides, dilations, pads):
    out, cells = window(x.shape[2:], w.shape[2:], strides, dilations, pads)
    m, per = w.shape[0], w.shape[1]
    y = np.zeros([x.shape[0], m] + out)
    for n, c in itertools.product(range(x.shape[0]), range(m)):
        first = c // (m // group) * per
        for o in itertools.product(*map(range, out)):
            for tap, at in cells(o):
                for k in range(per):
                    y[(n, c) + o] += float(x[(n, first + k) + at]) * float(w[(c, k) + tap])
            y[(n, c) + o] += 0 if b is None else float(b[c])
    return f32(y)


def conv_rows():
    rows = Rows("conv", "Conv")

    def one(name, x, w, b=None, group=1, strides=None, dilations=None, pads=None, opset=11):
        n = x.ndim - 2
        given = {k: v for k, v in (("strides", strides), ("dilations", dilations), ("pads", pads),
                                   ("group", group if group > 1 else None)) if v}
        y = conv(x, w, b, group, strides or [1] * n, dilations or [1] * n, pads or [0] * 2 * n)
        rows.row(name, opset, [x, w] + ([b] if b is not None else []), y, **given)

    one("one dimension", ramp(2, 3, 9), ramp(4, 3, 3, seed=1), ramp(4, seed=2))
    one("one dimension, everything", ramp(1, 4, 12), ramp(6, 2, 3, seed=3), ramp(6, seed=4), group=2,
        strides=[2], dilations=[2], pads=[3, 1], opset=21)
    one("three dimensions", ramp(1, 2, 3, 4, 5), ramp(2, 2, 2, 3, 2, seed=5))
    one("three dimensions, everything", ramp(1, 2, 4, 5, 4, seed=6), ramp(4, 1, 2, 2, 3, seed=7),
        ramp(4, seed=8), group=2, strides=[1, 2, 2], dilations=[2, 1, 1], pads=[1, 0, 2, 0, 1, 1])


def convtranspose(x, w, b, group, strides, dilations, pads, extra, shape=None, upper=False):
    n, k = x.ndim - 2, w.shape[2:]
    full = [strides[i] * (x.shape[2 + i] - 1) + extra[i] + (k[i] - 1) * dilations[i] + 1
            for i in range(n)]
    pads = list(pads)
    if shape:
        for i in range(n):
            total = full[i] - shape[i]
            pads[i] = 0 if total < 0 else total // 2 if upper else total - total // 2
            pads[n + i] = total - pads[i]
    out = [full[i] - pads[i] - pads[n + i] for i in range(n)]
    per_out, per_in = w.shape[1], x.shape[1] // group
    y = np.zeros([x.shape[0], per_out * group] + out)
    for at in itertools.product(*map(range, x.shape)):
        g = at[1] // per_in
        for m in range(per_out):
            for tap in itertools.product(*map(range, k)):
                o = tuple(at[2 + i] * strides[i] + tap[i] * dilations[i] - pads[i]
                          for i in range(n))
                if all(0 <= o[i] < out[i] for i in range(n)):
                    y[(at[0], g * per_out + m) + o] += float(x[at]) * float(w[(at[1], m) + tap])
    if b is not None:
        y += b.reshape([1, -1] + [1] * n)
    return f32(y)


def convtranspose_rows():
    rows = Rows("convtranspose", "ConvTranspose")

    def one(name, x, w, b=None, group=1, strides=None, dilations=None, pads=None, extra=None,
            shape=None, auto=None, opset=11):
        n = x.ndim - 2
        given = {k: v for k, v in (("strides", strides), ("dilations", dilations), ("pads", pads),
                                   ("output_padding", extra), ("output_shape", shape),
                                   ("auto_pad", auto), ("group", group if group > 1 else None))
                 if v}
        if auto in ("SAME_UPPER", "SAME_LOWER") and not shape:
            shape = [x.shape[2 + i] * (strides or [1] * n)[i] for i in range(n)]
        y = convtranspose(x, w, b, group, strides or [1] * n, dilations or [1] * n,
                          pads or [0] * 2 * n, extra or [0] * n, shape, auto == "SAME_UPPER")
        rows.row(name, opset, [x, w] + ([b] if b is not None else []), y, **given)

    x, w = ramp(2, 4, 3, 3), ramp(4, 3, 3, 3, seed=1)
    one("plain", x, w, ramp(3, seed=2), opset=7)
    one("strides", x, w, strides=[2, 3])
    one("strides and pads", x, w, strides=[2, 2], pads=[1, 0, 0, 2])
    one("output_padding", x, w, strides=[2, 3], pads=[1, 1, 1, 1], extra=[1, 2])
    one("dilations", x, w, dilations=[2, 1], opset=21)
    one("groups", x, ramp(4, 3, 2, 2, seed=3), ramp(6, seed=4), group=2)
    one("depthwise", x, ramp(4, 1, 2, 2, seed=3), group=4, strides=[2, 2])
    one("output_shape", x, w, strides=[2, 2], shape=[6, 5])
    one("output_shape beyond what is there", x, w, strides=[3, 2], shape=[10, 8])
    one("SAME_UPPER", x, w, strides=[2, 2], auto="SAME_UPPER")
    one("SAME_LOWER", x, w, strides=[2, 2], auto="SAME_LOWER")
    one("SAME_LOWER, strides wider than the kernel", x, ramp(4, 2, 1, 2, seed=9), strides=[2, 3],
        auto="SAME_LOWER")
    one("VALID", x, w, auto="VALID")
    one("one dimension", ramp(1, 2, 4), ramp(2, 3, 3, seed=5), ramp(3, seed=6), strides=[2],
        pads=[1, 0])
    one("three dimensions", ramp(1, 2, 2, 3, 2), ramp(2, 2, 2, 2, 3, seed=7), strides=[2, 1, 2],
        pads=[0, 1, 0, 1, 0, 1])


def pool_rows():
    for op in ("MaxPool", "AveragePool"):
        rows = Rows(op.lower(), op)
        for name, opset, x, attrs in (
                ("one dimension", 11, ramp(2, 2, 7), dict(kernel_shape=[3], strides=[2])),
                ("one dimension, padding", 7, ramp(1, 2, 6, seed=1),
                 dict(kernel_shape=[3], pads=[1, 2])),
                ("three dimensions", 12, ramp(1, 2, 3, 4, 4, seed=2),
                 dict(kernel_shape=[2, 2, 3], strides=[1, 2, 1], pads=[1, 0, 1, 0, 1, 1])),
                ("dilations", 19, ramp(1, 1, 6, 7, seed=3),
                 dict(kernel_shape=[2, 3], dilations=[3, 2], pads=[1, 1, 0, 2])),
                ("dilations, padding counted", 21, ramp(1, 1, 8, seed=4),
                 dict(kernel_shape=[3], dilations=[2], pads=[2, 1], count_include_pad=1))):
            n = x.ndim - 2
            if op == "MaxPool" and "count_include_pad" in attrs:
                continue
            kernel = attrs["kernel_shape"]
            out, cells = window(x.shape[2:], kernel, attrs.get("strides", [1] * n),
                                attrs.get("dilations", [1] * n), attrs.get("pads", [0] * 2 * n))
            y = np.zeros(list(x.shape[:2]) + out, np.float32)
            where = np.zeros(y.shape, np.int64)
            for o in itertools.product(*map(range, y.shape)):
                found = [(float(x[o[:2] + at]), o[:2] + at) for _, at in cells(o[2:])]
                if op == "MaxPool":
                    best = max(v for v, _ in found)
                    y[o] = best
                    first = next(at for v, at in found if v == best)
                    where[o] = np.ravel_multi_index(first, x.shape)
                else:
                    count = math.prod(kernel) if "count_include_pad" in attrs else len(found)
                    y[o] = sum(v for v, _ in found) / count
            rows.row(name, opset, [x], y, **attrs)
            if op == "MaxPool" and opset > 7:
                rows.row(name + ", Indices", opset, [x], [y, where], **attrs)


# ---- normalisation -----------------------------------------------------------------


def normalise(x, axes, epsilon):
    x = x.astype(np.float64)
    mean = x.mean(axes, keepdims=True)
    inverse = 1 / np.sqrt(((x - mean)**2).mean(axes, keepdims=True) + float(np.float32(epsilon)))
    return (x - mean) * inverse, f32(mean), f32(inverse)


def norm_rows():
    rows = Rows("layernorm", "LayerNormalization")
    x = ramp(2, 3, 4)
    for axis in (-1, 0, 1, 2):
        shape = x.shape[axis:] if axis >= 0 else x.shape[-1:]
        axes = tuple(range(axis % 3, 3))
        w, b = ramp(*shape, seed=1), ramp(*shape, seed=2)
        y, mean, inverse = normalise(x, axes, 1e-5)
        rows.row("axis %d" % axis, 17, [x, w, b], f32(y * w + b), axis=axis)
        rows.row("axis %d, no shift, all outputs" % axis, 21, [x, w], [f32(y * w), mean, inverse],
                 axis=axis)
    y, _, _ = normalise(x, (2,), 0.5)
    w = ramp(4, seed=1)
    rows.row("epsilon", 17, [x, w], f32(y * w), epsilon=0.5)

    rows = Rows("instancenorm", "InstanceNormalization")
    for x in (ramp(2, 3, 5), ramp(1, 2, 3, 4, seed=1), ramp(1, 2, 2, 2, 3, seed=2)):
        w, b = ramp(x.shape[1], seed=3), ramp(x.shape[1], seed=4)
        side = [1, -1] + [1] * (x.ndim - 2)
        y, _, _ = normalise(x, tuple(range(2, x.ndim)), 1e-3)
        rows.row("rank %d" % x.ndim, 7, [x, w, b], f32(y * w.reshape(side) + b.reshape(side)),
                 epsilon=1e-3)

    rows = Rows("groupnorm", "GroupNormalization")
    x = ramp(2, 6, 2, 3)
    for opset in (18, 21):
        for groups in (1, 2, 6):
            n = groups if opset < 21 else 6
            w, b = ramp(n, seed=5), ramp(n, seed=6)
            y, _, _ = normalise(x.reshape(2, groups, -1), (2,), 1e-5)
            y = y.reshape(x.shape)
            each = [np.repeat(v, 6 // n).reshape(1, 6, 1, 1) for v in (w, b)]
            rows.row("%d groups" % groups, opset, [x, w, b], f32(y * each[0] + each[1]),
                     num_groups=groups)

    rows = Rows("lrn", "LRN")
    x = ramp(2, 7, 2, 2)
    for size, more in ((1, {}), (3, dict(alpha=0.5, beta=0.25, bias=2.0)), (4, dict(alpha=1.0)),
                       (20, dict(alpha=2.0))):
        y = np.zeros(x.shape)
        for n, c in itertools.product(range(2), range(7)):
            low, high = max(0, c - (size - 1) // 2), min(6, c + math.ceil((size - 1) / 2))
            total = (x[n, low:high + 1].astype(np.float64)**2).sum(0)
            y[n, c] = x[n, c] / (more.get("bias", 1.0) + float(np.float32(more.get("alpha", 1e-4)))
                                 / size * total)**more.get("beta", 0.75)
        rows.row("size %d" % size, 13, [x], f32(y), size=size, **more)


# ---- quantisation --------------------------------------------------------------------


def quant_rows():
    quant, back = Rows("quantizelinear", "QuantizeLinear"), \
        Rows("dequantizelinear", "DequantizeLinear")
    for opset, kind, axis in ((10, np.uint8, None), (10, np.int8, None), (13, np.uint8, 1),
                              (13, np.int8, -1), (19, np.int8, 0), (21, np.uint8, None)):
        x = ramp(2, 3, 4) * 30
        n = 1 if axis is None else x.shape[axis]
        scale, zero = f32([0.5, 1.25, 2.0, 0.75][:n]), (ramp(n, seed=4) * 2).astype(kind)
        side = [1] * 3
        if axis is not None:
            side[axis] = n
        s, z = scale.reshape(side), zero.reshape(side).astype(np.int64)
        info = np.iinfo(kind)
        y = np.clip(np.rint(x / s) + z, info.min, info.max).astype(kind)
        attrs = {} if axis is None else dict(axis=axis)
        if axis is None:
            scale, zero = scale.reshape(()), zero.reshape(())
        name = "%s, axis %s" % (np.dtype(kind), axis)
        quant.row(name, opset, [x, scale, zero], y, **attrs)
        back.row(name, opset, [y, scale, zero], f32((y.astype(np.int64) - z) * s), **attrs)
    x = f32([0.5, 1.5, 2.5, -0.5, 1e9, -1e9])
    quant.row("halves to even, no zero point", 13, [x, f32(1)],
              np.array([0, 2, 2, 0, 255, 0], np.uint8))
    quant.row("int32", 10, [np.array([5, -7, 1000], np.int32), f32(2), np.array(1, np.int8)],
              np.array([3, -3, 127], np.int8))
    quant.row("output_dtype", 21, [f32([-300, 7]), f32(1)], np.array([-128, 7], np.int8),
              output_dtype=3)
    back.row("int32", 10, [np.array([5, -7, 1000], np.int32), f32(0.25)],
             f32([1.25, -1.75, 250]))


# ---- resize ----------------------------------------------------------------------------


def source(mode, o, size, out, scale, roi):
    half = (o + 0.5) / scale - 0.5
    if mode == "half_pixel":
        return half
    if mode == "half_pixel_symmetric":
        adjustment = out / (size * scale)
        return size / 2 * (1 - adjustment) + half
    if mode == "pytorch_half_pixel":
        return half if out > 1 else 0.0
    if mode == "align_corners":
        return o * (size - 1) / (size * scale - 1) if out > 1 else 0.0
    if mode == "asymmetric":
        return o / scale
    if mode == "tf_half_pixel_for_nn":
        return (o + 0.5) / scale
    first, last = roi
    if out > 1:
        return first * (size - 1) + o * (last - first) * (size - 1) / (out - 1)
    return 0.5 * (first + last) * (size - 1)


def weight(mode, a, d):
    """Of a cell at distance d."""
    d = abs(d)
    if mode == "linear":
        return max(0.0, 1 - d)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


def matrix(size, out, scale, mode, coord, near, a, exclude, roi):
    """Resizing along one axis, as a matrix; rows of NaN are extrapolated."""
    m = np.zeros((out, size))
    for o in range(out):
        x = source(coord, o, size, out, scale, roi)
        if coord == "tf_crop_and_resize" and not 0 <= x <= size - 1:
            m[o] = np.nan
            continue
        if mode == "nearest":
            at = {"round_prefer_floor": math.ceil(x - 0.5), "round_prefer_ceil": math.floor(x + 0.5),
                  "floor": math.floor(x), "ceil": math.ceil(x)}[near]
            m[o, min(max(at, 0), size - 1)] = 1
            continue
        low = math.floor(x)
        for at in range(low - 1, low + 3):
            inside = 0 <= at < size
            if inside or not exclude:
                m[o, min(max(at, 0), size - 1)] += weight(mode, a, x - at)
        if exclude:
            m[o] /= m[o].sum()
    return m


def resize(x, scales, outs, mode="nearest", coord="half_pixel", near="round_prefer_floor", a=-0.75,
           exclude=0, roi=None, outside=0.0):
    y = x.astype(np.float64)
    for axis in range(x.ndim):
        if scales[axis] == 1 and outs[axis] == x.shape[axis] and roi is None:
            continue
        region = (roi[axis], roi[x.ndim + axis]) if roi else None
        m = matrix(x.shape[axis], outs[axis], scales[axis], mode, coord, near, a, exclude, region)
        y = np.moveaxis(np.tensordot(m, y, (1, axis)), 0, axis)
    return np.where(np.isnan(y), outside, y).astype(x.dtype)


COORDS = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")


def resize_rows():
    rows = Rows("resize", "Resize")
    x = ramp(1, 1, 3, 4)

    def one(name, opset, x, scales=None, sizes=None, axes=None, roi=None, keep=None, **attrs):
        n = x.ndim
        chosen = [a % n for a in axes] if axes else list(range(n))
        full, outs = [1.0] * n, list(x.shape)
        if sizes:
            ratio = [sizes[i] / x.shape[a] for i, a in enumerate(chosen)]
            if keep:
                one_scale = min(ratio) if keep == "not_larger" else max(ratio)
                ratio = [one_scale] * len(ratio)
            for i, a in enumerate(chosen):
                full[a] = ratio[i]
                outs[a] = math.floor(ratio[i] * x.shape[a] + 0.5) if keep else sizes[i]
        else:
            for i, a in enumerate(chosen):
                full[a] = float(np.float32(scales[i]))
                outs[a] = math.floor(np.float32(x.shape[a]) * np.float32(scales[i]))
        region = None
        if roi:
            region = [0.0] * n + [1.0] * n
            for i, a in enumerate(chosen):
                region[a], region[n + a] = roi[i], roi[len(chosen) + i]
        old = opset < 11
        y = resize(x, full, outs, attrs.get("mode", "nearest"),
                   attrs.get("coordinate_transformation_mode", "asymmetric" if old else "half_pixel"),
                   attrs.get("nearest_mode", "floor" if old else "round_prefer_floor"),
                   attrs.get("cubic_coeff_a", -0.75), attrs.get("exclude_outside", 0), region,
                   attrs.get("extrapolation_value", 0.0))
        inputs = [x]
        if not old:
            inputs.append(Const(roi, np.float32) if roi else None)
        inputs.append(Const(scales, np.float32) if scales else None)
        if sizes:
            inputs.append(Const(sizes))
        if axes:
            attrs["axes"] = axes
        if keep:
            attrs["keep_aspect_ratio_policy"] = keep
        rows.row(name, opset, inputs, y, **attrs)

    one("opset 10, nearest", 10, x, scales=[1, 1, 2, 1.5])
    one("opset 10, linear", 10, x, scales=[1, 1, 2, 0.5], mode="linear")
    for mode in ("nearest", "linear", "cubic"):
        for coord in COORDS:
            one("%s, %s, up" % (mode, coord), 11, x, scales=[1, 1, 2, 1.5], mode=mode,
                coordinate_transformation_mode=coord)
            one("%s, %s, down" % (mode, coord), 13, x, sizes=[1, 1, 2, 1], mode=mode,
                coordinate_transformation_mode=coord)
        one("%s, half_pixel_symmetric" % mode, 19, x, scales=[1, 1, 0.8, 1.7], mode=mode,
            coordinate_transformation_mode="half_pixel_symmetric")
        one("%s, region" % mode, 13, x, sizes=[1, 1, 4, 3], roi=[0, 0, 0.25, -0.5, 1, 1, 0.75, 1.25],
            mode=mode, coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=7.0)
    for near in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
        one("nearest, %s" % near, 13, x, sizes=[1, 1, 5, 3], nearest_mode=near)
        one("nearest, %s, asymmetric" % near, 21, x, scales=[1, 1, 2, 2.5], nearest_mode=near,
            coordinate_transformation_mode="asymmetric")
    one("tf_half_pixel_for_nn", 11, x, sizes=[1, 1, 5, 3],
        coordinate_transformation_mode="tf_half_pixel_for_nn")
    one("cubic, another coefficient, inside only", 18, x, scales=[1, 1, 2, 0.8], mode="cubic",
        cubic_coeff_a=-0.5, exclude_outside=1)
    one("axes", 18, x, sizes=[6, 2], axes=[-2, 3], mode="linear")
    one("axes, scales", 19, x, scales=[2.5], axes=[2])
    one("axes, region", 18, x, sizes=[2, 3], axes=[3, 2], roi=[0, 0.5, 1, 1], mode="linear",
        coordinate_transformation_mode="tf_crop_and_resize")
    one("not_larger", 18, x, sizes=[7, 6], axes=[2, 3], keep="not_larger", mode="linear")
    one("not_smaller", 18, x, sizes=[7, 6], axes=[2, 3], keep="not_smaller")
    one("one dimension", 13, ramp(1, 2, 5), scales=[1, 1, 2], mode="linear")
    one("three dimensions", 13, ramp(1, 1, 2, 2, 3), scales=[1, 1, 2, 1.5, 2], mode="linear")
    one("int64", 13, ramp(1, 1, 2, 3, dtype=np.int64), scales=[1, 1, 2, 2])
    one("uint8", 13, ramp(1, 1, 2, 3, dtype=np.uint8), sizes=[1, 1, 3, 3])

    rows = Rows("upsample", "Upsample")
    for mode in ("nearest", "linear"):
        y = resize(x, [1, 1, 2, 3], [1, 1, 6, 12], mode, "asymmetric", "floor")
        rows.row(mode, 7, [x], y, mode=mode, scales=[1.0, 1.0, 2.0, 3.0])
        rows.row(mode + ", input", 9, [x, Const([1, 1, 2, 3], np.float32)], y, mode=mode)


# ---- moving and indexing -----------------------------------------------------------------


def move_rows():
    rows = Rows("slice", "Slice")
    x = ramp(4, 5, 3)
    far = 10**9
    for name, index, starts, ends, axes, steps in (
            ("all axes", np.s_[1:3, 0:2, 1:3], [1, 0, 1], [3, 2, 3], None, None),
            ("first axes", np.s_[1:3, 2:], [1, 2], [3, far], None, None),
            ("axes", np.s_[:, 1:4, 0:2], [0, 1], [2, 4], [2, 1], None),
            ("negative", np.s_[:, -3:-1], [-3], [-1], [-2], None),
            ("steps", np.s_[::2, 1::3], [0, 1], [far, far], [0, 1], [2, 3]),
            ("backwards", np.s_[::-1, 3:0:-2], [3, 3], [-far, 0], [0, 1], [-1, -2]),
            ("nothing", np.s_[3:1], [3], [1], [0], [1])):
        inputs = [Const(starts), Const(ends)]
        inputs += [Const(axes)] if axes else []
        inputs += [Const(steps)] if steps else []
        rows.row(name, 10, [x] + inputs, x[index])
        narrow = [Const(np.clip(c.value, -2**31, 2**31 - 1), np.int32) for c in inputs]
        rows.row(name + ", int32", 13, [x] + narrow, x[index])
        if not steps:
            more = dict(axes=axes) if axes else {}
            rows.row(name + ", attributes", 9, [x], x[index], starts=starts, ends=ends, **more)
    for kind in (np.int64, np.int32, np.uint8):
        t = ramp(5, dtype=kind)
        rows.row(str(np.dtype(kind)), 13, [t, Const([1]), Const([4])], t[1:4])

    rows = Rows("split", "Split")
    x = ramp(2, 7)
    parts = np.split(x, [2, 5], 1)
    rows.row("sizes, attribute", 11, [x], parts, axis=1, split=[2, 3, 2])
    rows.row("sizes, input", 13, [x, Const([2, 3, 2])], parts, axis=-1)
    rows.row("equal", 7, [x], np.split(x, 2, 0))
    rows.row("equal, num_outputs", 18, [x], np.split(x, 2, 0), num_outputs=2)
    rows.row("the last one smaller", 18, [x], np.split(x, [3, 6], 1), axis=1, num_outputs=3)
    rows.row("an empty part", 13, [x, Const([7, 0])], [x, x[:, 7:]], axis=1)

    rows = Rows("tile", "Tile")
    for x, times in ((ramp(2, 3), [2, 3]), (ramp(3, dtype=np.int64), [3]),
                     (ramp(2, 1, 3, dtype=np.uint8), [1, 2, 1]), (ramp(2, 2), [0, 1])):
        rows.row("%s by %s" % (x.shape, times), 13, [x, Const(times)], np.tile(x, times))

    for op, path in (("DepthToSpace", "depthtospace"), ("SpaceToDepth", "spacetodepth")):
        rows = Rows(path, op)
        for kind, block in ((np.float32, 2), (np.uint8, 3), (np.int64, 1)):
            deep, flat = ramp(2, 2 * block * block, 2, 3, dtype=kind), \
                ramp(2, 2, 2 * block, 3 * block, dtype=kind)
            if op == "SpaceToDepth":
                y = flat.reshape(2, 2, 2, block, 3, block).transpose(0, 3, 5, 1, 2, 4)
                rows.row("blocks of %d" % block, 13, [flat], y.reshape(2, -1, 2, 3),
                         blocksize=block)
                continue
            y = deep.reshape(2, block, block, 2, 2, 3).transpose(0, 3, 4, 1, 5, 2)
            rows.row("blocks of %d" % block, 7, [deep], y.reshape(flat.shape), blocksize=block)
            y = deep.reshape(2, 2, block, block, 2, 3).transpose(0, 1, 4, 2, 5, 3)
            rows.row("blocks of %d, CRD" % block, 13, [deep], y.reshape(flat.shape),
                     blocksize=block, mode="CRD")


def combine(y, at, v, how):
    with np.errstate(over="ignore"):  # integers wrap
        y[at] = {"none": lambda a, b: b, "add": np.add, "mul": np.multiply, "max": max,
                 "min": min}[how](y[at], v)


def index_rows():
    rows = Rows("gatherelements", "GatherElements")
    x = ramp(3, 4)
    for axis, index in ((0, [[2, 0, -1], [1, 1, 0]]), (1, [[3, -4], [0, 0], [1, 2]])):
        for kind in (np.int64, np.int32):
            i = np.array(index, kind)
            rows.row("axis %d, %s" % (axis, np.dtype(kind)), 13, [x, i],
                     np.take_along_axis(x[:, :i.shape[1]] if axis == 0 else x[:i.shape[0]],
                                        np.where(i < 0, i + x.shape[axis], i), axis), axis=axis)

    rows = Rows("gathernd", "GatherND")
    x = ramp(2, 3, 4)
    for name, index, batch in (("whole tuples", [[0, 1, 2], [1, -1, 0]], 0),
                               ("rows", [[[0, 1]], [[1, 2]]], 0), ("planes", [[1], [0], [1]], 0),
                               ("batches", [[1], [2]], 1), ("two batches", [[[1], [0], [3]]] * 2, 2)):
        i = np.array(index)
        rest, out = i.shape[batch:-1], []
        for b in itertools.product(*map(range, x.shape[:batch])):
            for t in itertools.product(*map(range, rest)):
                out.append(x[b][tuple(i[b][t])])
        y = np.array(out).reshape(i.shape[:-1] + x.shape[batch + i.shape[-1]:]).astype(np.float32)
        rows.row(name, 12 if batch else 11, [x, i], y, **(dict(batch_dims=batch) if batch else {}))

    rows = Rows("scatternd", "ScatterND")
    for how, opset in (("none", 11), ("add", 16), ("mul", 16), ("max", 18), ("min", 18)):
        for kind in (np.float32, np.int32, np.int8):
            x, u = ramp(4, 2, 3, dtype=kind), ramp(3, 3, seed=2, dtype=kind)
            i = np.array([[1, 0], [-1, 1], [1, 0]] if how != "none" else [[1, 0], [-1, 1], [0, 0]])
            y = x.copy()
            for k, c in itertools.product(range(3), range(3)):
                combine(y, (i[k][0], i[k][1], c), u[k, c], how)
            more = dict(reduction=how) if how != "none" else {}
            rows.row("%s, %s" % (how, np.dtype(kind)), opset, [x, i, u], y, **more)

    rows = Rows("scatterelements", "ScatterElements")
    for how, opset in (("none", 11), ("add", 16), ("mul", 16), ("max", 18), ("min", 18)):
        for kind in (np.float32, np.int64, np.uint8):
            x, u = ramp(3, 4, dtype=kind), ramp(2, 3, seed=2, dtype=kind)
            i = np.array([[0, -1, 2], [1, 1, 0]])
            y = x.copy()
            for r, c in itertools.product(range(2), range(3)):
                combine(y, (i[r, c], c), u[r, c], how)
            more = dict(reduction=how) if how != "none" else {}
            rows.row("%s, %s" % (how, np.dtype(kind)), opset, [x, i, u], y, **more)
    i = np.array([[0, -1, 2], [1, 2, 0]], np.int32)
    x, u, y = ramp(2, 4), ramp(2, 3, seed=2), ramp(2, 4)
    for r, c in itertools.product(range(2), range(3)):
        y[r, i[r, c]] = u[r, c]
    rows.row("last axis, int32 indices", 13, [x, i, u], y, axis=-1)


if __name__ == "__main__":
    conv_rows()
    convtranspose_rows()
    pool_rows()
    norm_rows()
    quant_rows()
    resize_rows()
    move_rows()
    index_rows()
