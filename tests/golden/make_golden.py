#!/usr/bin/python3
"""Make the golden cases of tests/golden/cases with PyTorch.

    make_golden.py [NAME ...]       all, or those whose name starts so

A case has the layout of the ONNX backend tests: model.onnx and
test_data_set_K/{input_I,output_I}.pb. Two kinds:

    net_*   narrow variants of the zoo's networks through PyTorch's exporter,
            in the forms it writes: normalisation kept or folded, constants
            folded or not, fixed or dynamic batch, opset 7 to 17
    op_*    one operator in one attribute form of one opset, written by hand;
            the answer comes from PyTorch (from numpy for pure data movement)

Everything is seeded. The repository holds the result; tests/README says how
to look at it. Needs python3-torch, python3-onnx and python3-numpy.
"""
import os
import shutil
import sys
import warnings

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
import torch
import torch.nn as nn
import torch.nn.functional as F

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases")
PRESERVE = torch.onnx.TrainingMode.PRESERVE
EVAL = torch.onnx.TrainingMode.EVAL
# mode -> (training mode, constant folding)
MODES = {"bn": (PRESERVE, True), "fold": (EVAL, True), "raw": (PRESERVE, False),
         "nofold": (EVAL, False)}


def write_pb(path, array, name):
    with open(path, "wb") as out:
        out.write(numpy_helper.from_array(array, name).SerializeToString())


def write_sets(folder, sets):
    """sets: per data set ([(name, array)] inputs, [(name, array)] outputs)"""
    for k, (inputs, outputs) in enumerate(sets):
        data = os.path.join(folder, "test_data_set_%d" % k)
        os.makedirs(data)
        for i, (name, array) in enumerate(inputs):
            write_pb(os.path.join(data, "input_%d.pb" % i), array, name)
        for i, (name, array) in enumerate(outputs):
            write_pb(os.path.join(data, "output_%d.pb" % i), array, name)


def fresh(name):
    folder = os.path.join(HERE, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder


# ---------------------------------------------------------------- networks
class Residual(nn.Module):
    """A ResNet in small: stem, pool, a plain and a strided block, head."""
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 5, stride=2, padding=2, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.conv1 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(8)
        self.conv3 = nn.Conv2d(8, 12, 3, stride=2, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(12)
        self.conv4 = nn.Conv2d(12, 12, 3, padding=1, bias=False)
        self.norm4 = nn.BatchNorm2d(12)
        self.skip = nn.Conv2d(8, 12, 1, stride=2, bias=False)
        self.norm5 = nn.BatchNorm2d(12)
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(12, 10)

    def forward(self, x):
        x = self.pool(torch.relu(self.norm(self.stem(x))))
        y = torch.relu(self.norm1(self.conv1(x)))
        x = torch.relu(self.norm2(self.conv2(y)) + x)
        y = torch.relu(self.norm3(self.conv3(x)))
        x = torch.relu(self.norm4(self.conv4(y)) + self.norm5(self.skip(x)))
        return self.head(torch.flatten(self.mean(x), 1))


class Inverted(nn.Module):
    """MobileNetV2 in small: two inverted residuals with ReLU6."""
    def __init__(self):
        super().__init__()
        def unit(cin, cout, kernel, stride=1, groups=1):
            return [nn.Conv2d(cin, cout, kernel, stride, kernel // 2,
                              groups=groups, bias=False), nn.BatchNorm2d(cout)]
        self.stem = nn.Sequential(*unit(3, 8, 3, 2), nn.ReLU6())
        self.block = nn.Sequential(*unit(8, 24, 1), nn.ReLU6(),
                                   *unit(24, 24, 3, 1, 24), nn.ReLU6(),
                                   *unit(24, 8, 1))
        self.down = nn.Sequential(*unit(8, 24, 1), nn.ReLU6(),
                                  *unit(24, 24, 3, 2, 24), nn.ReLU6(),
                                  *unit(24, 16, 1))
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        x = self.stem(x)
        x = self.down(x + self.block(x))
        x = F.adaptive_avg_pool2d(x, (1, 1))
        return self.head(self.drop(torch.flatten(x, 1)))


class Fire(nn.Module):
    """SqueezeNet in small: ceil pools, fire modules, convolutional head."""
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2)
        self.squeeze = nn.ModuleList([nn.Conv2d(8, 4, 1), nn.Conv2d(12, 4, 1)])
        self.one = nn.ModuleList([nn.Conv2d(4, 6, 1), nn.Conv2d(4, 6, 1)])
        self.three = nn.ModuleList([nn.Conv2d(4, 6, 3, padding=1),
                                    nn.Conv2d(4, 6, 3, padding=1)])
        self.drop = nn.Dropout(0.5)
        self.head = nn.Conv2d(12, 10, 1)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        for squeeze, one, three in zip(self.squeeze, self.one, self.three):
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
            x = torch.relu(squeeze(x))
            x = torch.cat([torch.relu(one(x)), torch.relu(three(x))], 1)
        x = torch.relu(self.head(self.drop(x)))
        return torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1)


class Vgg(nn.Module):
    """VGG in small: conv-conv-pool, x.view, linear with dropout between."""
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(),
            nn.Conv2d(6, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, 2),
            nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, 2))
        self.head = nn.Sequential(
            nn.Linear(8 * 16, 32), nn.ReLU(), nn.Dropout(),
            nn.Linear(32, 10))

    def forward(self, x):
        x = self.body(x)
        return F.softmax(self.head(x.view(x.size(0), -1)), dim=1)


class Shuffle(nn.Module):
    """Channel shuffle, squeeze-and-excitation, mean over space: the shape
    arithmetic, transposes and broadcasts of ShuffleNet and its relatives."""
    def __init__(self):
        super().__init__()
        self.group = nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=2)
        self.down = nn.Conv2d(8, 2, 1)
        self.up = nn.Conv2d(2, 8, 1)
        self.head = nn.Linear(8, 6)

    def forward(self, x):
        x = F.leaky_relu(self.group(x), 0.1)
        b, c, h, w = x.size()
        x = x.view(b, 2, c // 2, h, w).transpose(1, 2).contiguous()
        x = x.view(b, c, h, w)
        gate = F.adaptive_avg_pool2d(x, 1)
        gate = torch.sigmoid(self.up(torch.relu(self.down(gate))))
        x = F.avg_pool2d(x * gate, 3, stride=2, padding=1)
        x = (x.mean([2, 3]) - 0.1) / 1.7
        return F.softmax(self.head(x), dim=-1)


class Padded(nn.Module):
    """F.pad in its three modes. (From opset 11 on the exporter computes the
    pads by ConstantOfShape and Slice, which are not among our operators.)"""
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, stride=2)

    def forward(self, x):
        x = self.conv(F.pad(x, (0, 1, 1, 0), value=0.5))
        x = F.pad(x, (1, 2, 1, 1), mode="reflect")
        return F.pad(x, (1, 0, 0, 2), mode="replicate")


class Attention(nn.Module):
    """Batched MatMul, permutes, Softmax over the last axis, Div by a scalar."""
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.out = nn.Linear(8, 8)

    def forward(self, x):
        b, t, c = x.shape
        qkv = self.qkv(x).view(b, t, 3, 2, 4).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        score = torch.matmul(q, k.transpose(-1, -2)) / 2.0
        mix = torch.matmul(torch.softmax(score, -1), v)
        return self.out(mix.permute(0, 2, 1, 3).reshape(b, t, c)) + x


def image(*shape):
    def make(gen, batch):
        return torch.randn(batch, *shape, generator=gen)
    return make


BATCH = {"input": {0: "batch"}, "output": {0: "batch"}}

# name -> network, input, mode, opset, dynamic axes, batches
NETS = {
    "net_residual_bn_13": (Residual, image(3, 32, 32), "bn", 13, None, (1,)),
    "net_residual_bn_7": (Residual, image(3, 32, 32), "bn", 7, None, (1,)),
    "net_residual_bn_8": (Residual, image(3, 29, 35), "bn", 8, None, (2,)),
    "net_residual_bn_9": (Residual, image(3, 32, 32), "bn", 9, BATCH, (1, 2)),
    "net_residual_bn_15": (Residual, image(3, 32, 32), "bn", 15, BATCH, (3,)),
    "net_residual_fold_11": (Residual, image(3, 32, 32), "fold", 11, None,
                             (1,)),
    "net_residual_dyn_13": (Residual, image(3, 32, 32), "bn", 13, BATCH,
                            (1, 3)),
    "net_residual_raw_17": (Residual, image(3, 32, 32), "raw", 17, BATCH,
                            (1, 2)),
    "net_inverted_bn_13": (Inverted, image(3, 32, 32), "bn", 13, None, (1,)),
    "net_inverted_bn_9": (Inverted, image(3, 32, 32), "bn", 9, None, (1,)),
    "net_inverted_fold_11": (Inverted, image(3, 32, 32), "fold", 11, BATCH,
                             (1, 2)),
    "net_inverted_raw_12": (Inverted, image(3, 32, 32), "raw", 12, BATCH,
                            (2,)),
    "net_inverted_raw_17": (Inverted, image(3, 24, 40), "raw", 17, BATCH,
                            (1,)),
    "net_fire_fold_11": (Fire, image(3, 33, 33), "fold", 11, None, (1,)),
    "net_fire_bn_10": (Fire, image(3, 33, 33), "bn", 10, BATCH, (1, 2)),
    "net_fire_bn_16": (Fire, image(3, 34, 34), "bn", 16, None, (1,)),
    "net_vgg_raw_9": (Vgg, image(3, 16, 16), "raw", 9, BATCH, (1, 2)),
    "net_vgg_raw_11": (Vgg, image(3, 16, 16), "raw", 11, BATCH, (1, 4)),
    "net_vgg_raw_13": (Vgg, image(3, 16, 16), "raw", 13, BATCH, (1, 4)),
    "net_vgg_fold_14": (Vgg, image(3, 16, 16), "fold", 14, None, (1,)),
    "net_shuffle_raw_9": (Shuffle, image(4, 9, 9), "raw", 9, None, (1,)),
    "net_shuffle_raw_11": (Shuffle, image(4, 9, 9), "raw", 11, BATCH, (1, 2)),
    "net_shuffle_raw_13": (Shuffle, image(4, 9, 9), "raw", 13, BATCH, (1, 2)),
    "net_shuffle_nofold_17": (Shuffle, image(4, 9, 9), "nofold", 17, BATCH,
                              (2,)),
    "net_padded_fold_9": (Padded, image(2, 8, 9), "fold", 9, None, (1,)),
    "net_padded_bn_8": (Padded, image(2, 8, 9), "bn", 8, None, (2,)),
    "net_attention_raw_11": (Attention, image(5, 8), "raw", 11, BATCH,
                             (1, 2)),
    "net_attention_raw_13": (Attention, image(5, 8), "raw", 13, BATCH,
                             (1, 3)),
    "net_attention_fold_17": (Attention, image(5, 8), "fold", 17, None, (1,)),
}


def lively(model, gen):
    """Nothing stays at its initial constant: errors there would not show."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                n = module.weight.shape
                module.weight.copy_(0.5 + torch.rand(n, generator=gen))
                module.bias.copy_(0.1 * torch.randn(n, generator=gen))
                module.running_mean.copy_(0.1 * torch.randn(n, generator=gen))
                module.running_var.copy_(0.5 + torch.rand(n, generator=gen))
            elif isinstance(module, (nn.Conv2d, nn.Linear)):
                fan_in = module.weight[0].numel()
                module.weight.copy_(torch.randn(module.weight.shape,
                                                generator=gen)
                                    * (2.0 / fan_in) ** 0.5)
    return model.eval()


def make_net(name):
    build, make, mode, opset, dyn, batches = NETS[name]
    gen = torch.manual_seed(sum(name.encode()))
    model = lively(build(), gen)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    values = [make(gen, batch) for batch in batches]
    folder = fresh(name)
    training, fold = MODES[mode]
    torch.onnx.export(model, values[0], os.path.join(folder, "model.onnx"),
                      opset_version=opset, training=training,
                      do_constant_folding=fold, input_names=["input"],
                      output_names=["output"], dynamic_axes=dyn)
    sets = [([("input", v.numpy())], [("output", model(v).numpy())])
            for v in values]
    write_sets(folder, sets)


# --------------------------------------------------------------- operators
OPS = {}


def rand(*shape, seed=0):
    rng = np.random.RandomState(1000 + seed + sum(shape))
    return rng.standard_normal(shape).astype(np.float32)


def i64(*values):
    return np.array(values, np.int64)


def op(name, opset, kind, inputs, want, consts=(), dyn=False, **attrs):
    """One case. inputs: arrays fed at run time, then consts: initialisers
    (None = left out); want: array or list of arrays; an output that is None
    is not asked for. dyn: the first dimension of the first input is open."""
    assert name not in OPS, name
    want = want if isinstance(want, list) else [want]
    want = [w.numpy() if isinstance(w, torch.Tensor) else w for w in want]
    OPS["op_" + name] = (opset, kind, list(inputs), list(consts), want, dyn,
                         attrs)


def info(name, array, dyn=False):
    dims = list(array.shape)
    if dyn:
        dims[0] = "batch"
    return helper.make_tensor_value_info(
        name, helper.np_dtype_to_tensor_dtype(array.dtype)
        if hasattr(helper, "np_dtype_to_tensor_dtype")
        else onnx.mapping.NP_TYPE_TO_TENSOR_TYPE[array.dtype], dims)


def make_op(name):
    opset, kind, inputs, consts, want, dyn, attrs = OPS[name]
    ins = ["in%d" % i for i in range(len(inputs))]
    extra = ["" if c is None else "const%d" % i for i, c in enumerate(consts)]
    outs = ["" if w is None else "out%d" % i for i, w in enumerate(want)]
    node = helper.make_node(kind, ins + extra, outs, name="the_node", **attrs)
    graph = helper.make_graph(
        [node], name,
        [info(n, a, dyn and i == 0) for i, (n, a) in
         enumerate(zip(ins, inputs))],
        [info(n, a, dyn) for n, a in zip(outs, want) if a is not None],
        [numpy_helper.from_array(c, n) for n, c in zip(extra, consts)
         if c is not None])
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)],
        producer_name="make_golden")
    model.ir_version = 4 if opset < 11 else 7
    onnx.checker.check_model(model)
    folder = fresh(name)
    onnx.save(model, os.path.join(folder, "model.onnx"))
    write_sets(folder, [(list(zip(ins, inputs)),
                         [(n, np.asarray(a, order="C")) for n, a in
                          zip(outs, want) if a is not None])])


def t(array):
    return torch.from_numpy(array)


def conv_cases():
    x, w, b = rand(2, 4, 9, 8), rand(6, 4, 3, 3, seed=1), rand(6, seed=2)
    op("conv_bias_7", 7, "Conv", [x], F.conv2d(t(x), t(w), t(b)), [w, b])
    op("conv_bias_11", 11, "Conv", [x], F.conv2d(t(x), t(w), t(b)), [w, b],
       dyn=True)
    op("conv_no_kernel_shape", 11, "Conv", [x],
       F.conv2d(t(x), t(w), stride=2, padding=1), [w], strides=[2, 2],
       pads=[1, 1, 1, 1])
    op("conv_dilated", 11, "Conv", [x],
       F.conv2d(t(x), t(w), padding=(2, 3), dilation=(2, 3)), [w],
       dilations=[2, 3], pads=[2, 3, 2, 3], kernel_shape=[3, 3])
    op("conv_uneven_pads", 11, "Conv", [x],
       F.conv2d(F.pad(t(x), (1, 0, 2, 1)), t(w), stride=(1, 2)), [w],
       pads=[2, 1, 1, 0], strides=[1, 2])
    g = rand(6, 2, 3, 3, seed=3)
    op("conv_groups", 11, "Conv", [x],
       F.conv2d(t(x), t(g), t(b), padding=1, groups=2), [g, b], group=2,
       pads=[1, 1, 1, 1])
    d = rand(8, 1, 3, 3, seed=4)
    op("conv_depth_multiplier", 11, "Conv", [x],
       F.conv2d(t(x), t(d), padding=1, groups=4), [d], group=4,
       pads=[1, 1, 1, 1])
    d = rand(4, 1, 5, 3, seed=5)
    op("conv_depthwise_5x3", 11, "Conv", [x],
       F.conv2d(t(x), t(d), padding=(2, 1), groups=4, stride=2), [d], group=4,
       pads=[2, 1, 2, 1], strides=[2, 2])
    k = rand(5, 4, 1, 1, seed=6)
    op("conv_1x1_stride", 11, "Conv", [x], F.conv2d(t(x), t(k), stride=2),
       [k], strides=[2, 2])
    k = rand(3, 4, 1, 7, seed=7)
    op("conv_1x7", 11, "Conv", [x], F.conv2d(t(x), t(k), padding=(0, 3)), [k],
       pads=[0, 3, 0, 3])
    k = rand(3, 4, 9, 8, seed=8)
    op("conv_whole_image", 11, "Conv", [x], F.conv2d(t(x), t(k)), [k])
    # x 9x8, kernel 3, stride 2: one row too many goes to the end or the start
    for where, pad in (("SAME_UPPER", (0, 1, 1, 1)),
                       ("SAME_LOWER", (1, 0, 1, 1))):
        op("conv_auto_" + where.lower(), 11, "Conv", [x],
           F.conv2d(F.pad(t(x), pad), t(w), stride=2), [w], auto_pad=where,
           strides=[2, 2])
    op("conv_auto_valid", 11, "Conv", [x], F.conv2d(t(x), t(w), stride=2),
       [w], auto_pad="VALID", strides=[2, 2])
    op("conv_auto_notset", 7, "Conv", [x], F.conv2d(t(x), t(w), padding=1),
       [w], auto_pad="NOTSET", pads=[1, 1, 1, 1])


def norm_cases():
    x = rand(2, 5, 4, 3)
    scale, bias, mean = (rand(5, seed=s) for s in (1, 2, 3))
    var = np.abs(rand(5, seed=4)) + 0.5
    want = F.batch_norm(t(x), t(mean), t(var), t(scale), t(bias), eps=1e-5)
    loose = F.batch_norm(t(x), t(mean), t(var), t(scale), t(bias), eps=0.1)
    for opset in (7, 9, 14, 15):
        op("batchnorm_%d" % opset, opset, "BatchNormalization", [x], want,
           [scale, bias, mean, var])
    op("batchnorm_epsilon", 9, "BatchNormalization", [x], loose,
       [scale, bias, mean, var], epsilon=0.1, momentum=0.5)
    v = rand(3, 5, seed=6)
    op("batchnorm_rank2", 13, "BatchNormalization", [v],
       F.batch_norm(t(v), t(mean), t(var), t(scale), t(bias)),
       [scale, bias, mean, var], dyn=True)


def activation_cases():
    x = 3 * rand(3, 4, 5)
    for opset in (7, 13, 14):
        op("relu_%d" % opset, opset, "Relu", [x], F.relu(t(x)))
    op("leakyrelu_7", 7, "LeakyRelu", [x], F.leaky_relu(t(x), 0.01))
    op("leakyrelu_alpha", 16, "LeakyRelu", [x], F.leaky_relu(t(x), 0.3),
       alpha=0.3)
    op("sigmoid_7", 7, "Sigmoid", [x], torch.sigmoid(t(x)))
    big = np.array([-200, -88, -1e-8, 0, 30, 200], np.float32)
    op("sigmoid_far", 13, "Sigmoid", [big], torch.sigmoid(t(big)))
    low, high = np.float32(-1), np.float32(2)
    op("clip_7", 7, "Clip", [x], t(x).clamp(-1, 2), min=-1.0, max=2.0)
    op("clip_7_min", 7, "Clip", [x], t(x).clamp(min=-1), min=-1.0)
    op("clip_7_max", 7, "Clip", [x], t(x).clamp(max=2), max=2.0)
    op("clip_7_none", 7, "Clip", [x], x)
    op("clip_11", 11, "Clip", [x], t(x).clamp(-1, 2),
       [np.array(low), np.array(high)])
    op("clip_11_min", 11, "Clip", [x], t(x).clamp(min=-1), [np.array(low)])
    op("clip_12_max", 12, "Clip", [x], t(x).clamp(max=2),
       [None, np.array(high)])
    op("clip_13_none", 13, "Clip", [x], x)


def arithmetic_cases():
    a = rand(2, 3, 4, 5)
    shapes = {"same": (2, 3, 4, 5), "channel": (3, 1, 1), "last": (5,),
              "scalar": (), "one": (1,), "outer": (2, 1, 1, 5),
              "middle": (1, 3, 1, 5)}
    calls = {"Add": torch.add, "Sub": torch.sub, "Mul": torch.mul,
             "Div": torch.div}
    for kind, call in calls.items():
        for what, shape in shapes.items():
            b = rand(*shape, seed=7) + np.float32(3)
            op("%s_%s" % (kind.lower(), what), 7, kind, [a],
               call(t(a), t(np.asarray(b))), [np.asarray(b)])
        left, right = rand(3, 1, seed=1), rand(1, 4, seed=2) + np.float32(3)
        op("%s_both_ways" % kind.lower(), 14, kind, [left, right],
           call(t(left), t(right)))
        short = rand(4, 5, seed=3)
        long = a + np.float32(4)
        op("%s_left_grows" % kind.lower(), 13, kind, [short, long],
           call(t(short), t(long)))
        m, n = i64(7, 12, 9, 40), i64(2, 3, 9, 7)
        exact = {"Add": m + n, "Sub": m - n, "Mul": m * n, "Div": m // n}[kind]
        op("%s_int64" % kind.lower(), 13, kind, [m, n], exact)


def pool_cases():
    x = rand(2, 3, 9, 8)
    op("maxpool_8", 8, "MaxPool", [x], F.max_pool2d(t(x), 2, 1),
       kernel_shape=[2, 2])
    op("maxpool_strides", 7, "MaxPool", [x], F.max_pool2d(t(x), (3, 2), (2, 3)),
       kernel_shape=[3, 2], strides=[2, 3])
    op("maxpool_pads", 11, "MaxPool", [x], F.max_pool2d(t(x), 3, 2, 1),
       kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], dyn=True)
    op("maxpool_negative", 11, "MaxPool", [x - 10],
       F.max_pool2d(t(x) - 10, 3, 1, 1), kernel_shape=[3, 3],
       pads=[1, 1, 1, 1])
    op("maxpool_uneven_pads", 11, "MaxPool", [x],
       F.max_pool2d(F.pad(t(x), (0, 1, 2, 1), value=-1e30), 3, 2),
       kernel_shape=[3, 3], strides=[2, 2], pads=[2, 0, 1, 1])
    op("maxpool_ceil", 10, "MaxPool", [x],
       F.max_pool2d(t(x), 3, 2, ceil_mode=True), kernel_shape=[3, 3],
       strides=[2, 2], ceil_mode=1)
    op("maxpool_ceil_pads", 12, "MaxPool", [x],
       F.max_pool2d(t(x), 3, 2, 1, ceil_mode=True), kernel_shape=[3, 3],
       strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1)
    op("maxpool_dilated", 11, "MaxPool", [x],
       F.max_pool2d(t(x), 3, 1, 1, dilation=2), kernel_shape=[3, 3],
       dilations=[2, 2], pads=[1, 1, 1, 1])
    for where, pad in (("SAME_UPPER", (0, 1, 1, 1)),
                       ("SAME_LOWER", (1, 0, 1, 1))):
        op("maxpool_auto_" + where.lower(), 11, "MaxPool", [x],
           F.max_pool2d(F.pad(t(x), pad, value=-1e30), 3, 2),
           kernel_shape=[3, 3], strides=[2, 2], auto_pad=where)
    op("maxpool_auto_valid", 12, "MaxPool", [x], F.max_pool2d(t(x), 3, 2),
       kernel_shape=[3, 3], strides=[2, 2], auto_pad="VALID")
    for opset in (7, 10, 11):
        op("averagepool_%d" % opset, opset, "AveragePool", [x],
           F.avg_pool2d(t(x), 3, 2), kernel_shape=[3, 3], strides=[2, 2])
    for include in (0, 1):
        op("averagepool_pads_%d" % include, 7, "AveragePool", [x],
           F.avg_pool2d(t(x), 3, 2, 1, count_include_pad=bool(include)),
           kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1],
           count_include_pad=include)
        op("averagepool_ceil_%d" % include, 11, "AveragePool", [x],
           F.avg_pool2d(t(x), 3, 2, ceil_mode=True,
                        count_include_pad=bool(include)),
           kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1,
           count_include_pad=include)
    op("averagepool_ceil_pads", 11, "AveragePool", [x],
       F.avg_pool2d(t(x), 3, 2, 1, ceil_mode=True, count_include_pad=False),
       kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, pads=[1, 1, 1, 1])
    ones = F.pad(torch.ones(2, 3, 9, 8), (0, 1, 1, 1))
    padded = F.pad(t(x), (0, 1, 1, 1))
    op("averagepool_auto_same_upper", 11, "AveragePool", [x],
       F.avg_pool2d(padded, 3, 2) / F.avg_pool2d(ones, 3, 2),
       kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")
    op("globalaveragepool", 7, "GlobalAveragePool", [x],
       F.adaptive_avg_pool2d(t(x), 1), dyn=True)
    op("globalaveragepool_13", 13, "GlobalAveragePool", [x + 100],
       F.adaptive_avg_pool2d(t(x) + 100, 1))


def matrix_cases():
    a, b = rand(3, 5), rand(5, 4, seed=1)
    for what, c in (("row", rand(4, seed=2)), ("column", rand(3, 1, seed=3)),
                    ("scalar", np.array(2.5, np.float32)),
                    ("one", rand(1, seed=4)), ("row2", rand(1, 4, seed=5)),
                    ("full", rand(3, 4, seed=6))):
        want = t(a) @ t(b) + t(np.asarray(c))
        op("gemm_7_" + what, 7, "Gemm", [a], want, [b, c])
        op("gemm_13_" + what, 13, "Gemm", [a], want, [b, c])
    op("gemm_no_bias", 11, "Gemm", [a], t(a) @ t(b), [b])
    op("gemm_alpha_beta", 9, "Gemm", [a],
       0.5 * (t(a) @ t(b)) - 2 * t(rand(4, seed=2)), [b, rand(4, seed=2)],
       alpha=0.5, beta=-2.0)
    op("gemm_trans_both", 11, "Gemm", [np.ascontiguousarray(a.T)],
       t(a) @ t(b) + t(rand(4, seed=2)),
       [np.ascontiguousarray(b.T), rand(4, seed=2)], transA=1, transB=1)
    op("gemm_trans_b", 13, "Gemm", [a], t(a) @ t(b) + t(rand(4, seed=2)),
       [np.ascontiguousarray(b.T), rand(4, seed=2)], transB=1, dyn=True)
    op("gemm_activations", 13, "Gemm", [a, b], t(a) @ t(b))
    shapes = {"2x2": ((3, 5), (5, 4)), "1x2": ((5,), (5, 4)),
              "2x1": ((3, 5), (5,)), "1x1": ((5,), (5,)),
              "3x2": ((2, 3, 5), (5, 4)), "2x3": ((3, 5), (2, 5, 4)),
              "broadcast": ((2, 1, 3, 5), (1, 4, 5, 2)),
              "grow": ((4, 3, 5), (2, 1, 5, 2)), "1x3": ((5,), (2, 5, 4)),
              "3x1": ((2, 3, 5), (5,))}
    for what, (s, r) in shapes.items():
        x, y = rand(*s, seed=1), rand(*r, seed=2)
        op("matmul_" + what, 9, "MatMul", [x, y],
           t(x) @ t(y) if len(s) + len(r) > 2 else np.asarray(x @ y))
    x, y = rand(2, 3, 5, seed=1), rand(5, 4, seed=2)
    op("matmul_weight", 13, "MatMul", [x], t(x) @ t(y), [y], dyn=True)


def softmax_cases():
    x = rand(2, 3, 4)
    flat = {0: (1, 24), 1: (2, 12), 2: (6, 4)}
    for axis, shape in flat.items():  # before 13: over all axes from `axis`
        want = F.softmax(t(x).reshape(shape), 1).reshape(2, 3, 4)
        op("softmax_7_axis_%d" % axis, 7, "Softmax", [x], want, axis=axis)
    op("softmax_7_default", 7, "Softmax", [x],
       F.softmax(t(x).reshape(2, 12), 1).reshape(2, 3, 4))
    op("softmax_11_negative", 11, "Softmax", [x], F.softmax(t(x), 2), axis=-1)
    for axis in (0, 1, 2, -2):
        op("softmax_13_axis_%d" % (axis % 3 + (3 if axis < 0 else 0)), 13,
           "Softmax", [x], F.softmax(t(x), axis), axis=axis)
    op("softmax_13_default", 13, "Softmax", [x], F.softmax(t(x), -1), dyn=True)
    far = np.array([[1e4, 1e4 - 1, -1e4], [-1e4, -1e4, -1e4]], np.float32)
    op("softmax_far", 13, "Softmax", [far], F.softmax(t(far), -1))


def movement_cases():
    x = rand(2, 3, 4, 5)
    for opset, axis in ((7, 1), (7, 0), (9, 3), (9, 4), (11, -1), (13, -4)):
        flat = x.reshape(int(np.prod(x.shape[:axis if axis >= 0 else
                                             axis + 4])), -1)
        op("flatten_%d_%s" % (opset, str(axis).replace("-", "m")), opset,
           "Flatten", [x], flat, axis=axis)
    op("flatten_default", 13, "Flatten", [x], x.reshape(2, -1), dyn=True)
    op("reshape_zero_minus", 7, "Reshape", [x], x.reshape(2, 3, 20),
       [i64(0, 0, -1)], dyn=True)
    op("reshape_plain", 13, "Reshape", [x], x.reshape(6, 20), [i64(6, 20)])
    op("reshape_allowzero_off", 14, "Reshape", [x], x.reshape(2, 60),
       [i64(0, -1)], allowzero=0)
    op("reshape_scalar", 13, "Reshape", [rand(1, 1)],
       rand(1, 1).reshape(()), [np.zeros(0, np.int64)])
    op("transpose_default", 7, "Transpose", [x], x.transpose())
    for k, perm in enumerate(((0, 2, 3, 1), (0, 3, 1, 2), (1, 0, 2, 3),
                              (3, 2, 1, 0), (0, 1, 3, 2))):
        op("transpose_%d" % k, 13, "Transpose", [x], x.transpose(perm),
           perm=list(perm))
    y = rand(2, 2, 4, 5, seed=1)
    op("concat_7", 7, "Concat", [x, y], np.concatenate([x, y], 1), axis=1)
    op("concat_negative", 11, "Concat", [x, x], np.concatenate([x, x], -1),
       axis=-1)
    op("concat_three", 13, "Concat", [x, y, x], np.concatenate([x, y, x], 1),
       axis=1)
    op("concat_one", 13, "Concat", [x], x, axis=2)
    op("concat_int64", 13, "Concat", [i64(1, 2), i64(3)], i64(1, 2, 3), axis=0)
    s = rand(1, 3, 1, 5, seed=2)
    op("squeeze_all", 7, "Squeeze", [s], s.reshape(3, 5))
    op("squeeze_11", 11, "Squeeze", [s], s.reshape(1, 3, 5), axes=[-2])
    op("squeeze_7", 7, "Squeeze", [s], s.reshape(3, 1, 5), axes=[0])
    op("squeeze_13", 13, "Squeeze", [s], s.reshape(3, 5), [i64(0, -2)])
    op("squeeze_13_all", 13, "Squeeze", [s], s.reshape(3, 5))
    op("unsqueeze_7", 7, "Unsqueeze", [x], x.reshape(1, 2, 3, 4, 1, 5),
       axes=[0, 4])
    op("unsqueeze_11", 11, "Unsqueeze", [x], x.reshape(2, 3, 4, 5, 1),
       axes=[-1])
    op("unsqueeze_13", 13, "Unsqueeze", [x], x.reshape(2, 1, 3, 4, 5, 1),
       [i64(-1, 1)])
    op("identity", 7, "Identity", [x], x, dyn=True)
    op("identity_int64", 16, "Identity", [i64(1, -2)], i64(1, -2))


def pad_cases():
    x = rand(1, 2, 4, 5)
    pads = [0, 0, 1, 2, 0, 0, 3, 1]
    np_pads = [(0, 0), (0, 0), (1, 3), (2, 1)]
    half = np.array(0.5, np.float32)
    op("pad_7", 7, "Pad", [x], np.pad(x, np_pads), pads=pads)
    op("pad_7_value", 7, "Pad", [x],
       np.pad(x, np_pads, constant_values=0.5), pads=pads, value=0.5,
       mode="constant")
    op("pad_11", 11, "Pad", [x], np.pad(x, np_pads), [i64(*pads)])
    op("pad_13_value", 13, "Pad", [x],
       np.pad(x, np_pads, constant_values=0.5), [i64(*pads), half])
    op("pad_batch", 13, "Pad", [x],
       np.pad(x, [(1, 0), (0, 2), (0, 0), (0, 0)]),
       [i64(1, 0, 0, 0, 0, 2, 0, 0)])
    op("pad_crop", 13, "Pad", [x],
       np.pad(x[:, :, 1:, :-2], [(0, 0), (0, 0), (0, 1), (2, 0)]),
       [i64(0, 0, -1, 2, 0, 0, 1, -2)])
    for mode in ("reflect", "edge"):
        op("pad_7_" + mode, 7, "Pad", [x], np.pad(x, np_pads, mode=mode),
           pads=pads, mode=mode)
        op("pad_13_" + mode, 13, "Pad", [x], np.pad(x, np_pads, mode=mode),
           [i64(*pads)], mode=mode)


def reduce_cases():
    x = rand(2, 3, 4, 5)
    op("reducemean_space", 7, "ReduceMean", [x], t(x).mean([2, 3]),
       axes=[2, 3], keepdims=0)
    op("reducemean_keep", 11, "ReduceMean", [x], t(x).mean([2, 3], True),
       axes=[2, 3], dyn=True)
    op("reducemean_negative", 13, "ReduceMean", [x], t(x).mean([3, 1]),
       axes=[-1, -3], keepdims=0)
    op("reducemean_all", 13, "ReduceMean", [x], t(x).mean(), keepdims=0)
    op("reducemean_all_keep", 7, "ReduceMean", [x],
       t(x).mean().reshape(1, 1, 1, 1))


def shape_cases():
    x = rand(2, 3, 4, 5)
    op("shape_7", 7, "Shape", [x], i64(2, 3, 4, 5))
    op("shape_15_slice", 15, "Shape", [x], i64(3, 4), start=1, end=-1)
    op("gather_rows", 7, "Gather", [x], x[:, [2, 0]], [i64(2, 0)], axis=1)
    op("gather_default", 11, "Gather", [x], x[[1, 1]], [i64(1, 1)])
    op("gather_scalar", 11, "Gather", [x], x[:, :, 3],
       [np.array(3, np.int64)], axis=2)
    op("gather_negative", 13, "Gather", [x], x[..., [4, 0]], [i64(-1, 0)],
       axis=-1)
    op("gather_matrix", 13, "Gather", [x], np.take(x, [[0, 2], [1, 1]], 1),
       [i64([0, 2], [1, 1])], axis=1)
    op("gather_fed", 13, "Gather", [x, i64(1, 0)], x[[1, 0]])
    op("gather_int32", 13, "Gather", [x], x[[1, 0]],
       [np.array([1, 0], np.int32)])
    op("gather_int64", 13, "Gather", [i64(5, 6, 7)], i64(7, 5), [i64(2, 0)])
    far = np.array([-2.7, -0.2, 0, 0.9, 3.5, 1e6], np.float32)
    op("cast_to_int64", 9, "Cast", [far], far.astype(np.int64),
       to=TensorProto.INT64)
    op("cast_to_float", 13, "Cast", [i64(-3, 0, 1 << 24)],
       i64(-3, 0, 1 << 24).astype(np.float32), to=TensorProto.FLOAT)
    op("cast_same", 7, "Cast", [x], x, to=TensorProto.FLOAT)


def odd_cases():
    x = rand(2, 3)
    half = np.array(0.5, np.float32)
    op("dropout_7", 7, "Dropout", [x], x, ratio=0.3)
    op("dropout_12", 12, "Dropout", [x], x, [half], dyn=True)
    op("dropout_13_off", 13, "Dropout", [x], x, [half, np.array(False)])
    value = rand(2, 2, seed=9)
    op("constant_tensor", 7, "Constant", [], value,
       value=numpy_helper.from_array(value, "v"))
    op("constant_int64", 11, "Constant", [], i64(4, 5),
       value=numpy_helper.from_array(i64(4, 5), "v"))
    op("constant_float", 12, "Constant", [], np.array(1.5, np.float32),
       value_float=1.5)
    op("constant_floats", 13, "Constant", [],
       np.array([1.5, -2], np.float32), value_floats=[1.5, -2.0])
    op("constant_int", 12, "Constant", [], np.array(7, np.int64), value_int=7)
    op("constant_ints", 13, "Constant", [], i64(7, 8), value_ints=[7, 8])


def main():
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for make in (conv_cases, norm_cases, activation_cases, arithmetic_cases,
                 pool_cases, matrix_cases, softmax_cases, movement_cases,
                 pad_cases, reduce_cases, shape_cases, odd_cases):
        make()
    os.makedirs(HERE, exist_ok=True)
    for name in list(NETS) + list(OPS):
        if sys.argv[1:] and not name.startswith(tuple(sys.argv[1:])):
            continue
        try:
            (make_net if name in NETS else make_op)(name)
        except Exception as reason:
            sys.exit("%s: %s" % (name, reason))


if __name__ == "__main__":
    main()
