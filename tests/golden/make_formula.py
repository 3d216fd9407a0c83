#!/usr/bin/python3
"""Make golden cases from the specification's formulas with NumPy.

    make_formula.py [NAME ...]      all, or those whose name starts so

For what PyTorch's exporter of the time does not write:

    fn_*    models with functions of their own: attributes and their defaults,
            optional inputs and outputs, nested calls, opsets that differ

Layout and folder are those of make_golden.py. Everything is seeded. Needs
python3-onnx and python3-numpy.
"""
import math
import os
import shutil
import sys

import numpy as np
from onnx import AttributeProto, FunctionProto, TensorProto, helper, numpy_helper

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases")
TYPES = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.float16): TensorProto.FLOAT16,
         np.dtype(np.int64): TensorProto.INT64}
CASES = {}


def rand(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def case(make):
    """make() -> (model, {name: array} inputs, {name: array} outputs)"""
    CASES[make.__name__] = make
    return make


def write_pb(path, array, name):
    with open(path, "wb") as out:
        out.write(numpy_helper.from_array(array, name).SerializeToString())


def write(name):
    model, inputs, outputs = CASES[name]()
    folder = os.path.join(HERE, name)
    data = os.path.join(folder, "test_data_set_0")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(data)
    with open(os.path.join(folder, "model.onnx"), "wb") as out:
        out.write(model.SerializeToString())
    for kind, arrays in (("input", inputs), ("output", outputs)):
        for i, (value, array) in enumerate(arrays.items()):
            write_pb(os.path.join(data, "%s_%d.pb" % (kind, i)), array, value)


def model(nodes, inputs, outputs, weights, opset, functions=()):
    """An interface as the arrays have it."""
    def info(arrays):
        return [helper.make_tensor_value_info(name, TYPES[a.dtype], a.shape)
                for name, a in arrays.items()]
    graph = helper.make_graph(nodes, "formula", info(inputs), info(outputs),
                              [numpy_helper.from_array(a, n) for n, a in weights.items()])
    made = helper.make_model(graph, producer_name="make_formula.py", functions=list(functions),
                             opset_imports=[helper.make_opsetid("", opset),
                                            helper.make_opsetid("local", 1)])
    made.ir_version = 8
    return made


# ---------------------------------------------------------------- functions
def ref(name, attribute, kind):
    """Attribute `name` of a node in a body: attribute `attribute` of its function."""
    made = AttributeProto()
    made.name, made.ref_attr_name, made.type = name, attribute, kind
    return made


def node(op, inputs, outputs, refs=(), domain=None, **attrs):
    made = helper.make_node(op, inputs, outputs, domain=domain, **attrs)
    made.attribute.extend(refs)
    return made


def varint(number):
    out = b""
    while number >= 0x80:
        out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
    return out + bytes([number])


def function(name, inputs, outputs, nodes, opset, attributes=(), defaults=(), overload=""):
    made = helper.make_function("local", name, inputs, outputs, nodes,
                                [helper.make_opsetid("", opset),
                                 helper.make_opsetid("local", 1)], attributes)
    # Fields 11 (attribute_proto) and 13 (overload) are younger than python3-onnx 1.12.
    more = b"".join(varint(11 << 3 | 2) + varint(len(d)) + d
                    for d in (helper.make_attribute(*d).SerializeToString() for d in defaults))
    if overload:
        more += varint(13 << 3 | 2) + varint(len(overload)) + overload.encode()
    made.MergeFrom(FunctionProto.FromString(more))
    return made


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def norm(x, scale, bias, epsilon):
    d = x - x.mean(-1, keepdims=True)
    return d / np.sqrt((d * d).mean(-1, keepdims=True) + epsilon) * scale + bias


@case
def fn_encoder_17():
    """A block of an encoder: normalisation, two linear layers with Gelu between."""
    x, w1, w2 = rand(2, 5, 8), rand(8, 16, seed=1) / 3, rand(16, 8, seed=2) / 4
    b1, b2, scale, shift = rand(16, seed=3), rand(8, seed=4), rand(8, seed=5), rand(8, seed=6)
    f = AttributeProto.FLOAT
    functions = [
        function("Norm", ["x", "scale", "bias"], ["y"], [
            node("Constant", [], ["eps"], [ref("value_float", "epsilon", f)]),
            node("Constant", [], ["two"], value_float=2.0),
            node("ReduceMean", ["x"], ["mean"], axes=[-1]),
            node("Sub", ["x", "mean"], ["d"]),
            node("Pow", ["d", "two"], ["d2"]),
            node("ReduceMean", ["d2"], ["variance"], axes=[-1]),
            node("Add", ["variance", "eps"], ["safe"]),
            node("Sqrt", ["safe"], ["deviation"]),
            node("Div", ["d", "deviation"], ["n"]),
            node("Mul", ["n", "scale"], ["scaled"]),
            node("Add", ["scaled", "bias"], ["y"])], 17, defaults=[("epsilon", 1e-3)]),
        function("Gelu", ["x"], ["y"], [
            node("Constant", [], ["half"], value_float=0.5),
            node("Constant", [], ["one"], value_float=1.0),
            node("Constant", [], ["root"], value_float=math.sqrt(2)),
            node("Div", ["x", "root"], ["a"]),
            node("Erf", ["a"], ["b"]),
            node("Add", ["b", "one"], ["c"]),
            node("Mul", ["x", "c"], ["d"]),
            node("Mul", ["d", "half"], ["y"])], 17),
        function("Linear", ["x", "w", "b"], ["y"], [
            node("MatMul", ["x", "w"], ["p"]), node("Add", ["p", "b"], ["y"])], 13),
        function("Block", ["x", "w1", "b1", "w2", "b2", "scale", "bias"], ["y"], [
            node("Norm", ["x", "scale", "bias"], ["n"], [ref("epsilon", "eps", f)], "local"),
            node("Linear", ["n", "w1", "b1"], ["h"], domain="local"),
            node("Gelu", ["h"], ["g"], domain="local"),
            node("Linear", ["g", "w2", "b2"], ["p"], domain="local"),
            node("Add", ["p", "x"], ["y"])], 17, ["eps"]),
    ]
    weights = {"w1": w1, "b1": b1, "w2": w2, "b2": b2, "scale": scale, "shift": shift}
    nodes = [node("Block", ["x", "w1", "b1", "w2", "b2", "scale", "shift"], ["u"],
                  domain="local", eps=0.1),
             node("Block", ["u", "w1", "b1", "w2", "b2", "scale", "shift"], ["y"], domain="local")]

    def block(x, eps):
        return gelu(norm(x, scale, shift, eps) @ w1 + b1) @ w2 + b2 + x
    y = block(block(x, 0.1), 1e-3).astype(np.float32)
    return model(nodes, {"x": x}, {"y": y}, weights, 17, functions), {"x": x}, {"y": y}


def softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


@case
def fn_opsets_13():
    """Softmax means another thing before opset 13: the function's opset decides."""
    x = rand(2, 3, 4)
    functions = [function("Old", ["x"], ["y"], [node("Softmax", ["x"], ["y"])], 11),
                 function("New", ["x"], ["y"], [node("Softmax", ["x"], ["y"])], 13)]
    nodes = [node("Old", ["x"], ["a"], domain="local"), node("New", ["x"], ["b"], domain="local")]
    out = {"a": softmax(x.reshape(2, 12), 1).reshape(2, 3, 4), "b": softmax(x, 2)}
    return model(nodes, {"x": x}, out, {}, 13, functions), {"x": x}, out


@case
def fn_optional_13():
    """Inputs and outputs left out, one handed on, one called only for its second output."""
    x, limit = rand(3, 4), np.array(0.25, np.float32)
    functions = [function("Parts", ["x", "low", "high"], ["clipped", "rest", "same"], [
        node("Clip", ["x", "low", "high"], ["clipped"]),
        node("Sub", ["x", "clipped"], ["rest"]),
        node("Identity", ["x"], ["same"])], 13),
        function("Through", ["x", "y"], ["y"], [node("Neg", ["x"], ["z"])], 13)]
    nodes = [node("Parts", ["x", "", "limit"], ["a", "b"], domain="local"),
             node("Parts", ["x", "limit"], ["", "c"], domain="local"),
             node("Through", ["x", "b"], ["d"], domain="local")]
    out = {"a": np.minimum(x, limit), "b": x - np.minimum(x, limit),
           "c": x - np.maximum(x, limit), "d": x - np.minimum(x, limit)}
    return model(nodes, {"x": x}, out, {"limit": limit}, 13, functions), {"x": x}, out


@case
def fn_overload_13():
    """Two functions of one name; a list, an integer and a tensor as attributes."""
    x = rand(2, 3, 4)
    ints, one, tensor = AttributeProto.INTS, AttributeProto.INT, AttributeProto.TENSOR
    functions = [
        function("Turn", ["x"], ["y"], [node("Transpose", ["x"], ["y"], [ref("perm", "to", ints)])],
                 13, ["to"]),
        function("Turn", ["x"], ["y"], [
            node("Transpose", ["x"], ["t"], [ref("perm", "to", ints)]),
            node("Constant", [], ["c"], [ref("value", "add", tensor)]),
            node("Add", ["t", "c"], ["s"]),
            node("Softmax", ["s"], ["y"], [ref("axis", "over", one)])],
            13, ["over", "add"], [("to", [2, 1, 0])], "soft")]
    add = rand(4, 1, 1, seed=7)
    soft = node("Turn", ["x"], ["b"], domain="local", over=1,
                add=numpy_helper.from_array(add, "add"))
    soft.MergeFrom(type(soft).FromString(varint(8 << 3 | 2) + varint(4) + b"soft"))
    nodes = [node("Turn", ["x"], ["a"], domain="local", to=[1, 2, 0]),
             node("Turn", ["x"], ["c"], domain="local"), soft]
    out = {"a": x.transpose(1, 2, 0), "b": softmax(x.transpose() + add, 1), "c": x.transpose()}
    return model(nodes, {"x": x}, out, {}, 13, functions), {"x": x}, out


def main():
    for name in CASES:
        if not sys.argv[1:] or name.startswith(tuple(sys.argv[1:])):
            write(name)


if __name__ == "__main__":
    main()
