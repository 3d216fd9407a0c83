#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One process of another runtime, for fused.py: prints what it measured as JSON.

    peers.py ort|eager|module THREADS RUNS NETWORK=FILE.onnx...

Run by an interpreter that can import onnxruntime, or torch and torchvision. One request is one
image for each network, one network after the other.
"""
import json
import statistics
import sys
import tempfile
import time


def resident(pid="self"):
    """Bytes of a process that are in memory: its share of them, and all that it sees."""
    kib = {}
    with open("/proc/%s/smaps_rollup" % pid, encoding="ascii") as file:
        for line in file:
            words = line.split()
            if words[-1] == "kB":
                kib[words[0]] = int(words[1])
    return {"pss": kib["Pss:"] * 1024, "rss": kib["Rss:"] * 1024}


def ort_options(threads):
    """One team for all sessions: else the threads of one spin while another one runs."""
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.inter_op_num_threads = 1
    if hasattr(onnxruntime, "set_global_thread_pool_sizes"):
        onnxruntime.set_global_thread_pool_sizes(threads, 1)
        options.use_per_session_threads = False
    else:
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


def load_ort(threads, networks):
    import numpy
    import onnxruntime
    options = ort_options(threads)
    start = time.perf_counter()
    sessions = [onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
                for _, path in networks]
    seconds = time.perf_counter() - start
    feeds = [{i.name: numpy.random.rand(*[d if isinstance(d, int) else 1 for d in i.shape])
              .astype({"tensor(float)": "float32", "tensor(int64)": "int64"}[i.type])
              for i in session.get_inputs()} for session in sessions]
    return seconds, lambda: [s.run(None, f) for s, f in zip(sessions, feeds)]


def cifar_vgg16():
    import torch.nn as nn
    body, width = [], 3
    for channels, repeat in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(repeat):
            body += [nn.Conv2d(width, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU()]
            width = channels
        body.append(nn.MaxPool2d(2))
    return nn.Sequential(*body, nn.Flatten(), nn.Linear(width, 10))


def torch_network(name):
    """torchvision's, or the CIFAR pair as `fictl zoo` writes it; and its image's side."""
    import torch.nn as nn
    import torchvision
    if name == "cifar_vgg16":
        return cifar_vgg16(), 32
    if name == "cifar_resnet18":
        network = torchvision.models.resnet18(weights=None, num_classes=10)
        network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        network.maxpool = nn.Identity()
        return network, 32
    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    return getattr(torchvision.models, name)(weights=None, **options), 224


def load_torch(threads, networks, one_module):
    import torch
    from torch.fx.experimental.optimization import fuse
    torch.set_num_threads(threads)
    parts, images, seconds = [], [], 0
    for name, _ in networks:
        network, side = torch_network(name)
        images.append(torch.rand(1, 3, side, side))
        with tempfile.NamedTemporaryFile(suffix=".pt") as file:
            torch.save(network.state_dict(), file.name)
            start = time.perf_counter()
            network.load_state_dict(torch.load(file.name))
            network.eval()
            parts.append(fuse(network) if one_module else network)
            seconds += time.perf_counter() - start

    class Together(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = torch.nn.ModuleList(parts)

        def forward(self, *inputs):
            return [part(x) for part, x in zip(self.parts, inputs)]

    together = Together().eval()

    def once():
        with torch.no_grad():
            if one_module:
                together(*images)
            else:
                for part, image in zip(parts, images):
                    part(image)
    return seconds, once


def main():
    kind, threads, runs, *named = sys.argv[1:]
    networks, threads, runs = [n.split("=", 1) for n in named], int(threads), int(runs)
    load_seconds, once = (load_ort(threads, networks) if kind == "ort"
                          else load_torch(threads, networks, kind == "module"))
    samples = []
    for _ in range(runs + 2):
        start = time.perf_counter()
        once()
        samples.append(time.perf_counter() - start)
    with open("/proc/self/maps", encoding="ascii") as file:
        blas = {line.split()[-1] for line in file if "blas" in line and ".so" in line}
    print(json.dumps({"seconds": statistics.median(samples[2:]), "load_seconds": load_seconds,
                      "memory": resident(), "blas": sorted(blas)}))


if __name__ == "__main__":
    main()
