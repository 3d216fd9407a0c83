#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make torch_*.inc: operator rows whose outputs PyTorch computed.

Run in this folder, with PyTorch 1.13 or later, after changing it.
"""
import torch
import torch.nn.functional as F

INF = float("inf")


def ramp(*shape, seed=0):
    """Small numbers in a fixed disorder, short to write."""
    n = 1
    for d in shape:
        n *= d
    values, state = [], seed
    for _ in range(n):
        state = (state * 1103515245 + 12345) % 2**31
        values.append(((state >> 16) % 19 - 9) / 4)
    return torch.tensor(values, dtype=torch.float32).reshape(shape)


def tensor(t):
    if t is None:
        return "OT_OMIT"
    numbers = ", ".join("%.9g" % v for v in t.flatten().tolist())
    dims = ", ".join(str(d) for d in t.shape)
    return "OT(F32, OT_S(%s), %s)" % (dims, numbers)


def attr(key, value):
    if isinstance(value, str):
        return 'OT_STR("%s", "%s")' % (key, value)
    if isinstance(value, float):
        return 'OT_F("%s", %r)' % (key, value)
    if isinstance(value, int):
        return 'OT_I("%s", %d)' % (key, value)
    return 'OT_IS("%s", %s)' % (key, ", ".join(map(str, value)))


class Rows:
    def __init__(self, path):
        self.out = open("torch_%s.inc" % path, "w")
        self.out.write("/* SPDX-License-Identifier: MIT */\n")
        self.out.write("/* Made by torch_rows.py with PyTorch; not edited by hand. */\n")
        self.out.write("/* clang-format off */\n")

    def row(self, name, op, opset, inputs, y, **attrs):
        self.out.write('{.name = "%s", .op = "%s", .opset = %d, .tolerance = 2e-6,\n' % (name, op, opset))
        if attrs:
            self.out.write(" .attrs = {%s},\n" % ", ".join(attr(k, v) for k, v in attrs.items()))
        self.out.write(" .in = {%s},\n" % ",\n\t".join(tensor(t) for t in inputs))
        self.out.write(" .out = {%s}},\n" % tensor(y))


def same(n, k, s, d, upper):
    """auto_pad SAME_*: begin and end padding of one axis."""
    out = -(-n // s)
    total = max((out - 1) * s + (k - 1) * d + 1 - n, 0)
    small = total // 2
    return (small, total - small) if upper else (total - small, small)


def conv_rows():
    rows = Rows("conv")

    def conv(name, x, w, b=None, opset=11, pads=(0, 0, 0, 0), strides=(1, 1), dilations=(1, 1),
             group=1, auto=None, **more):
        top, left, bottom, right = pads
        attrs = dict(more)
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            (top, bottom), (left, right) = [
                same(x.shape[2 + a], w.shape[2 + a], strides[a], dilations[a], auto == "SAME_UPPER")
                for a in (0, 1)]
        if auto:
            attrs["auto_pad"] = auto
        if any(pads):
            attrs["pads"] = pads
        if strides != (1, 1):
            attrs["strides"] = strides
        if dilations != (1, 1):
            attrs["dilations"] = dilations
        if group != 1:
            attrs["group"] = group
        y = F.conv2d(F.pad(x.double(), (left, right, top, bottom)), w.double(),
                     None if b is None else b.double(), stride=strides, dilation=dilations,
                     groups=group).float()
        rows.row(name, "Conv", opset, [x, w] + ([b] if b is not None else []), y, **attrs)

    x = ramp(1, 2, 5, 5)
    w = ramp(3, 2, 3, 3, seed=1)
    conv("3x3, opset 7", x, w, opset=7)
    conv("3x3, opset 17, bias", x, w, ramp(3, seed=2), opset=17)
    conv("kernel_shape repeats the weight", x, w, kernel_shape=(3, 3))
    conv("padding all around, stride 2", x, w, ramp(3, seed=2), pads=(1, 1, 1, 1), strides=(2, 2))
    conv("different padding on each side", x, w, pads=(0, 1, 2, 3))
    conv("different strides", x, w, strides=(1, 2))
    conv("dilation 2 by 1", x, w, pads=(2, 1, 2, 1), dilations=(2, 1))
    conv("two images", ramp(2, 2, 4, 3), ramp(1, 2, 2, 2, seed=3))
    conv("1x1", x, ramp(4, 2, 1, 1, seed=4), ramp(4, seed=5))
    conv("1x3 on a low input", ramp(1, 2, 1, 6), ramp(2, 2, 1, 3, seed=6), pads=(0, 1, 0, 1))
    conv("two groups", ramp(1, 4, 3, 3), ramp(4, 2, 2, 2, seed=7), ramp(4, seed=8), group=2)
    conv("depthwise", ramp(1, 3, 4, 4), ramp(3, 1, 3, 3, seed=9), pads=(1, 1, 1, 1), group=3)
    conv("depthwise, two outputs each", ramp(1, 2, 4, 4), ramp(4, 1, 3, 3, seed=10), group=2)
    conv("more columns than one tile", ramp(1, 1, 2, 132), ramp(1, 1, 2, 3, seed=11))
    conv("stride beyond the kernel", ramp(1, 1, 7, 7), ramp(1, 1, 2, 2, seed=12), strides=(3, 3))
    conv("taps that never meet the input", ramp(1, 1, 2, 2), ramp(1, 1, 3, 3, seed=13),
         pads=(4, 4, 4, 4), dilations=(4, 4))
    for auto in ("SAME_UPPER", "SAME_LOWER"):
        conv(auto + ", stride 2, odd padding", ramp(1, 1, 4, 6), ramp(1, 1, 3, 3, seed=14), auto=auto,
             strides=(2, 2))
        conv(auto + ", even kernel, dilation", ramp(1, 1, 5, 4), ramp(1, 1, 2, 4, seed=15), auto=auto,
             dilations=(3, 1))
        conv(auto + ", stride beyond the kernel", ramp(1, 1, 5, 5), ramp(1, 1, 1, 1, seed=16),
             auto=auto, strides=(2, 3))
    conv("VALID", x, w, auto="VALID")
    conv("NOTSET with padding", x, w, auto="NOTSET", pads=(1, 0, 1, 0))


def pool_axis(n, k, s, d, begin, end, ceil):
    """Output positions of one axis: ONNX, with windows that start behind the input left out."""
    room = n + begin + end - ((k - 1) * d + 1)
    out = (-(-room // s) if ceil else room // s) + 1
    if ceil and (out - 1) * s >= n + begin:
        out -= 1
    return out


def pool(x, k, s, d, pads, ceil, reduce):
    """Brute force: `reduce` gets the list of (value or None for padding) of one window."""
    n, c, h, w = x.shape
    top, left, bottom, right = pads
    rows = pool_axis(h, k[0], s[0], d[0], top, bottom, ceil)
    cols = pool_axis(w, k[1], s[1], d[1], left, right, ceil)
    y = torch.zeros(n, c, rows, cols)
    for i in range(n):
        for j in range(c):
            for r in range(rows):
                for q in range(cols):
                    cells = []
                    for a in range(k[0]):
                        for b in range(k[1]):
                            rr = r * s[0] - top + a * d[0]
                            cc = q * s[1] - left + b * d[1]
                            if 0 <= rr < h and 0 <= cc < w:
                                cells.append(float(x[i, j, rr, cc]))
                            elif rr < h + bottom and cc < w + right:
                                cells.append(None)
                    y[i, j, r, q] = reduce(cells)
    return y


def pool_rows():
    rows = {"MaxPool": Rows("maxpool"), "AveragePool": Rows("averagepool")}

    def one(op, name, x, k, opset=11, s=(1, 1), d=(1, 1), pads=(0, 0, 0, 0), ceil=None, include=None,
            auto=None):
        attrs = {"kernel_shape": k}
        given = pads
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            (t, b), (l, r) = [same(x.shape[2 + a], k[a], s[a], d[a], auto == "SAME_UPPER") for a in (0, 1)]
            pads = (t, l, b, r)
        if auto:
            attrs["auto_pad"] = auto
        if any(given):
            attrs["pads"] = given
        if s != (1, 1):
            attrs["strides"] = s
        if d != (1, 1):
            attrs["dilations"] = d
        if ceil is not None:
            attrs["ceil_mode"] = ceil
        if include is not None:
            attrs["count_include_pad"] = include

        def largest(cells):
            return max([c for c in cells if c is not None], default=-INF)

        def mean(cells):
            inside = [c for c in cells if c is not None]
            return sum(inside) / (len(cells) if include else len(inside))

        y = pool(x, k, s, d, pads, bool(ceil), largest if op == "MaxPool" else mean)
        symmetric = pads[0] == pads[2] and pads[1] == pads[3]
        if symmetric and pads[0] * 2 <= k[0] and pads[1] * 2 <= k[1] and not auto:
            if op == "MaxPool":
                t = F.max_pool2d(x, k, s, pads[:2], d, bool(ceil))
            else:
                t = F.avg_pool2d(x, k, s, pads[:2], bool(ceil), bool(include))
            assert t.shape == y.shape and torch.allclose(t, y, atol=1e-6), name
            y = t
        rows[op].row(name, op, opset, [x], y, **attrs)

    for op in rows:
        x = ramp(1, 2, 5, 5, seed=len(op))
        one(op, "2x2, opset 7", x, (2, 2), opset=7)
        one(op, "2x2, stride 2, opset 17", x, (2, 2), opset=17, s=(2, 2))
        one(op, "3x3, padding", x, (3, 3), s=(2, 2), pads=(1, 1, 1, 1))
        one(op, "rectangular", x, (1, 3), s=(2, 1))
        one(op, "different padding on each side", x, (3, 3), pads=(0, 1, 2, 1))
        one(op, "two images", ramp(2, 1, 3, 3), (2, 2))
        one(op, "ceil_mode off", x, (2, 2), s=(2, 2), ceil=0)
        one(op, "ceil_mode", x, (2, 2), s=(2, 2), ceil=1)
        one(op, "ceil_mode, opset 10", x, (3, 3), opset=10, s=(2, 2), pads=(1, 1, 1, 1), ceil=1)
        one(op, "ceil_mode adds a window that hangs over", ramp(1, 1, 6, 6), (3, 3), s=(2, 2), ceil=1)
        one(op, "ceil_mode, the last window would start behind the input", ramp(1, 1, 4, 4), (1, 1),
            s=(2, 2), ceil=1)
        one(op, "ceil_mode, the last window would start on padding", ramp(1, 1, 2, 2), (3, 3), s=(3, 3),
            pads=(1, 1, 1, 1), ceil=1)
        one(op, "ceil_mode and different padding", ramp(1, 1, 4, 5), (3, 2), s=(2, 3), pads=(0, 1, 2, 0),
            ceil=1)
        one(op, "the whole input", ramp(1, 2, 3, 4), (3, 4))
        for auto in ("SAME_UPPER", "SAME_LOWER"):
            one(op, auto + ", stride 1", ramp(1, 1, 4, 4), (2, 2), auto=auto)
            one(op, auto + ", stride 2", ramp(1, 1, 4, 6), (3, 3), s=(2, 2), auto=auto)
        one(op, "VALID", x, (2, 2), s=(2, 2), auto="VALID")
        one(op, "NOTSET", x, (2, 2), auto="NOTSET", pads=(1, 1, 1, 1))
    x = ramp(1, 1, 6, 6, seed=3)
    one("MaxPool", "dilation", x, (2, 2), d=(2, 2), opset=10)
    one("MaxPool", "dilation, padding, ceil_mode", x, (2, 3), d=(3, 2), s=(2, 2), pads=(1, 1, 1, 1), ceil=1)
    one("MaxPool", "SAME_UPPER with dilation", x, (2, 2), d=(3, 2), auto="SAME_UPPER")
    for include in (0, 1):
        text = "count_include_pad %d" % include
        x = ramp(1, 1, 5, 5, seed=5)
        one("AveragePool", text, x, (3, 3), pads=(1, 1, 1, 1), include=include)
        one("AveragePool", text + ", opset 7", x, (3, 3), opset=7, s=(2, 2), pads=(1, 1, 1, 1),
            include=include)
        one("AveragePool", text + ", different padding", x, (3, 3), s=(2, 2), pads=(0, 2, 1, 0),
            include=include)
        one("AveragePool", text + ", ceil_mode, the window hangs over the padding", ramp(1, 1, 4, 4),
            (3, 3), s=(2, 2), pads=(1, 1, 1, 1), ceil=1, include=include)
        one("AveragePool", text + ", ceil_mode, stride 3", ramp(1, 1, 6, 6), (3, 3), s=(3, 3),
            pads=(1, 1, 1, 1), ceil=1, include=include)
        one("AveragePool", text + ", SAME_LOWER", ramp(1, 1, 3, 4), (2, 2), include=include,
            auto="SAME_LOWER")


def product_rows():
    rows = Rows("gemm")

    def gemm(name, a, b, c=None, opset=11, **attrs):
        y = (a.T if attrs.get("transA") else a).double() @ (b.T if attrs.get("transB") else b).double()
        y = y * attrs.get("alpha", 1.0)
        if c is not None:
            y = y + c.double() * attrs.get("beta", 1.0)
        rows.row(name, "Gemm", opset, [a, b] + ([c] if c is not None else []), y.float(), **attrs)

    a, b = ramp(2, 3), ramp(3, 4, seed=1)
    gemm("C a row, opset 7", a, b, ramp(4, seed=2), opset=7)
    gemm("C a matrix, opset 9", a, b, ramp(2, 4, seed=2), opset=9)
    gemm("C left out, opset 17", a, b, opset=17)
    gemm("C a column", a, b, ramp(2, 1, seed=3))
    gemm("C one row of a matrix", a, b, ramp(1, 4, seed=3))
    gemm("C a scalar", a, b, torch.tensor(1.5))
    gemm("C one element", a, b, ramp(1, seed=4))
    gemm("alpha and beta", a, b, ramp(4, seed=2), alpha=0.5, beta=-2.0)
    gemm("alpha without C", a, b, alpha=0.25)
    gemm("transA", ramp(3, 2), b, ramp(4, seed=2), transA=1)
    gemm("transB", a, ramp(4, 3, seed=1), ramp(4, seed=2), transB=1)
    gemm("transA and transB, all attributes", ramp(3, 2), ramp(4, 3, seed=1), ramp(2, 4, seed=2), transA=1,
         transB=1, alpha=2.0, beta=0.5)

    rows = Rows("matmul")

    def matmul(name, a, b, opset=13):
        rows.row(name, "MatMul", opset, [a, b], torch.matmul(a.double(), b.double()).float())

    matmul("matrices, opset 7", a, b, opset=7)
    matmul("matrices, opset 17", a, b, opset=17)
    matmul("batches", ramp(2, 2, 3), ramp(2, 3, 2, seed=1))
    matmul("batch on the left", ramp(2, 2, 3), ramp(3, 2, seed=1))
    matmul("batch on the right", ramp(2, 3), ramp(2, 3, 2, seed=1))
    matmul("batches of one repeat", ramp(2, 1, 2, 3), ramp(1, 3, 3, 2, seed=1))
    matmul("batches of different rank", ramp(2, 2, 1, 2), ramp(2, 2, 3, seed=1))
    matmul("vector by vector", ramp(4), ramp(4, seed=1))
    matmul("vector by matrix", ramp(3), ramp(3, 2, seed=1))
    matmul("matrix by vector", ramp(2, 3), ramp(3, seed=1))
    matmul("vector by batch", ramp(3), ramp(2, 3, 2, seed=1))
    matmul("batch by vector", ramp(2, 2, 3), ramp(3, seed=1))
    matmul("more columns than one tile", ramp(1, 2), ramp(2, 130, seed=1))


def softmax_rows():
    rows = Rows("softmax")
    x = ramp(2, 3, 4)
    for opset in (7, 11, 12):
        for axis in (None, 0, 1, 2, -1, -3):
            at = 1 if axis is None else axis % 3
            flat = x.reshape(-1 if at else 1, x.numel() if not at else x[(0,) * at].numel())
            y = torch.softmax(flat.double(), 1).float().reshape(x.shape)
            rows.row("opset %d, axis %s" % (opset, axis), "Softmax", opset, [x], y,
                     **({} if axis is None else {"axis": axis}))
    for axis in (None, 0, 1, 2, -1, -2):
        y = torch.softmax(x.double(), -1 if axis is None else axis).float()
        rows.row("opset 13, axis %s" % axis, "Softmax", 13, [x], y,
                 **({} if axis is None else {"axis": axis}))
    big = torch.tensor([[1000.0, 1001.0, -1000.0], [-1e30, 0.0, 0.0]])
    rows.row("numbers beyond exp()", "Softmax", 17, [big], torch.softmax(big.double(), 1).float())


def batchnorm_rows():
    rows = Rows("batchnorm")

    def bn(name, x, opset=9, epsilon=None, **attrs):
        c = x.shape[1]
        scale, bias, mean = (ramp(c, seed=s) for s in (1, 2, 3))
        var = ramp(c, seed=4).abs() + 0.25
        y = F.batch_norm(x.double(), mean.double(), var.double(), scale.double(), bias.double(), False, 0,
                         1e-5 if epsilon is None else epsilon).float()
        if epsilon is not None:
            attrs["epsilon"] = epsilon
        rows.row(name, "BatchNormalization", opset, [x, scale, bias, mean, var], y, **attrs)

    bn("opset 7", ramp(1, 3, 2, 2), opset=7)
    bn("opset 7, spatial = 1", ramp(1, 3, 2, 2), opset=7, spatial=1)
    bn("opset 9, two images", ramp(2, 2, 2, 2))
    bn("opset 14, training_mode = 0", ramp(1, 2, 2, 3), opset=14, training_mode=0)
    bn("opset 17", ramp(1, 2, 2, 3), opset=17)
    bn("epsilon", ramp(1, 3, 2, 2), epsilon=0.125)
    bn("momentum says nothing here", ramp(1, 3, 2, 2), momentum=0.5)
    bn("rank 2", ramp(4, 3))
    bn("rank 3", ramp(2, 3, 2))
    bn("rank 5", ramp(1, 2, 2, 1, 2))


conv_rows()
pool_rows()
product_rows()
softmax_rows()
batchnorm_rows()
