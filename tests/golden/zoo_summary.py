#!/usr/bin/python3
"""Write what matters of an ONNX file's structure as text.

    zoo_summary.py FOLDER NAME ...

reads FOLDER/NAME/model.onnx, an export of the real network by PyTorch, and
writes tests/golden/zoo/NAME.txt. tests/integration/test_zoo.c prints the same
lines for the file that `fictl zoo NAME` writes and compares.

    opset N
    input NAME SHAPE
    output NAME
    init NAME SHAPE             initialisers in file order
    elements N                  of all initialisers together
    node OP INPUTS > OUTPUTS | ATTRIBUTES
                                %N is the N-th value that nodes define;
                                attributes sorted by name
"""
import os
import sys

import numpy as np
import onnx
from onnx import numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))


def shape_text(dims):
    return "x".join(str(d) for d in dims) if dims else "scalar"


def attr_text(attr):
    value = onnx.helper.get_attribute_value(attr)
    if attr.type == onnx.AttributeProto.TENSOR:
        array = numpy_helper.to_array(value)
        text = "%s:%s:%s" % (array.dtype, shape_text(array.shape),
                             ",".join("%.9g" % v for v in array.flatten()))
    elif attr.type == onnx.AttributeProto.INTS:
        text = ",".join(str(v) for v in value)
    elif attr.type == onnx.AttributeProto.FLOAT:
        text = "%.9g" % value
    elif attr.type == onnx.AttributeProto.STRING:
        text = value.decode()
    else:
        text = str(value)
    return "%s=%s" % (attr.name, text)


def summary(model):
    graph = model.graph
    names, lines = {}, []
    constants = {i.name for i in graph.initializer}
    lines.append("opset %d" % model.opset_import[0].version)
    for value in graph.input:
        if value.name in constants:
            continue
        dims = [d.dim_value if d.HasField("dim_value") else "?"
                for d in value.type.tensor_type.shape.dim]
        lines.append("input %s %s" % (value.name, shape_text(dims)))
    for value in graph.output:
        lines.append("output %s" % value.name)
    total = 0
    for init in graph.initializer:
        lines.append("init %s %s" % (init.name, shape_text(init.dims)))
        total += int(np.prod(init.dims))
    lines.append("elements %d" % total)
    outputs = {value.name for value in graph.output}
    for node in graph.node:
        ins = [names.get(name, name) for name in node.input]
        for name in node.output:
            names[name] = name if name in outputs else "%%%d" % len(names)
        attrs = sorted(attr_text(a) for a in node.attribute)
        lines.append(("node %s %s > %s | %s" % (
            node.op_type, ",".join(ins),
            ",".join(names[name] for name in node.output),
            " ".join(attrs))).rstrip())
    return "\n".join(lines) + "\n"


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__.strip())
    for name in sys.argv[2:]:
        model = onnx.load(os.path.join(sys.argv[1], name, "model.onnx"))
        with open(os.path.join(HERE, "zoo", name + ".txt"), "w") as out:
            out.write(summary(model))


if __name__ == "__main__":
    main()
