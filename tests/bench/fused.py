#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fused groups beside the same models one after the other, and beside other runtimes.

    tests/bench/fused.py [--build DIR] [--out DIR] [--rounds N] [--runs N]
                         [--threads LIST] [--sets LIST] [--peers PYTHON]

Contenders, in turn, several rounds, each in a fresh process:

    fused       fictl run A B ..., the planner's choice (--optimize memory: arena of one)
    fast        the same with --optimize latency (side by side, fast forms of weights)
    separate    fictl run A, fictl run B, ..., one process each; times are added
    ort         ONNX Runtime, CPU, a session per model in one process, one after the other
    eager       PyTorch, the same architectures as modules, one after the other
    module      PyTorch as in the FusedInf prototype: one module, conv+bn folded

Peers are left out, by name, when no PYTHON (a list; default: this one) can import them. The models
are those of `fictl zoo`; PyTorch runs the same architectures with weights of its own.
A round's time is the median of N runs after one that warms up; memory is the process's
peak resident set (of separate: the sum, as a process per model takes it). The table has the median and
the spread over rounds, ratios against fused; results.json has all samples; plot.png, where gnuplot
is installed, shows times.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

SETS = {
    "vgg pair": ["resnet18", "vgg16"],
    "mobile pair": ["resnet50", "mobilenet_v2"],
    "CIFAR pair": ["cifar_resnet18", "cifar_vgg16"],
    "small pair": ["mobilenet_v2", "squeezenet1_1"],
    "triple": ["resnet18", "resnet50", "mobilenet_v2"],
    "five": ["mobilenet_v2", "squeezenet1_1", "googlenet", "cifar_resnet18", "cifar_vgg16"],
}
CONTENDERS = ["fused", "fast", "separate", "ort", "eager", "module"]


# ---- peers, run by PYTHON as `fused.py --worker KIND THREADS RUNS FILE...` --------------------

def timed(once, runs):
    once()
    samples = []
    for _ in range(runs):
        start = time.perf_counter()
        once()
        samples.append(time.perf_counter() - start)
    return statistics.median(samples)


def work_ort(threads, paths):
    import numpy
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    sessions = []
    for path in paths:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        feed = {i.name: numpy.random.rand(*[d if isinstance(d, int) else 1 for d in i.shape])
                .astype(numpy.float32) for i in session.get_inputs()}
        sessions.append((session, feed))
    return lambda: [session.run(None, feed) for session, feed in sessions]


def torch_network(name):
    """torchvision's, or the CIFAR pair as `fictl zoo` writes it."""
    import torch.nn as nn
    import torchvision
    if name == "cifar_vgg16":
        body, width = [], 3
        for channels, repeat in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            for _ in range(repeat):
                body += [nn.Conv2d(width, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU()]
                width = channels
            body.append(nn.MaxPool2d(2))
        return nn.Sequential(*body, nn.Flatten(), nn.Linear(width, 10)), 32
    if name == "cifar_resnet18":
        network = torchvision.models.resnet18(weights=None, num_classes=10)
        network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        network.maxpool = nn.Identity()
        return network, 32
    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    return getattr(torchvision.models, name)(weights=None, **options), 224


def work_torch(threads, paths, one_module):
    import torch
    from torch.fx.experimental.optimization import fuse
    torch.set_num_threads(threads)
    networks, images = [], []
    for path in paths:
        network, side = torch_network(os.path.basename(path)[:-len(".onnx")])
        networks.append(fuse(network.eval()) if one_module else network.eval())
        images.append(torch.rand(1, 3, side, side))

    class Together(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = torch.nn.ModuleList(networks)

        def forward(self, *inputs):
            return [part(x) for part, x in zip(self.parts, inputs)]

    together = Together().eval()

    def once():
        with torch.no_grad():
            if one_module:
                together(*images)
            else:
                for network, image in zip(networks, images):
                    network(image)
    return once


def worker(kind, threads, runs, paths):
    once = (work_ort(threads, paths) if kind == "ort"
            else work_torch(threads, paths, kind == "module"))
    print(json.dumps(timed(once, runs)))


# ---- rounds -------------------------------------------------------------------------------------

def measured(command, env=None):
    """What a command printed, and its peak resident set in bytes."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=env, text=True)
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit("failed (%d): %s" % (process.returncode, " ".join(command)))
    return text, usage.ru_maxrss * 1024


def needed_bytes(args, path):
    text, _ = measured([os.path.join(args.build, "fictl"), "--json", "plan", path])
    plan = json.loads(text)
    return int((plan["weight_bytes"] + plan["arena_bytes"]) * 1.05) + (2 << 20)


def fictl_run(args, threads, optimize, paths):
    """In a pool just large enough, or for fast forms large enough for sure: all of it is touched."""
    pool = sum(needed_bytes(args, path) for path in paths) * (5 if optimize == "latency" else 1)
    text, peak = measured([os.path.join(args.build, "fictl"), "--json", "run", *paths, "--repeat",
                           str(args.runs + 1), "--threads", str(threads), "--optimize", optimize,
                           "--pool", str(pool)])
    return json.loads(text)["median_ns"] / 1e9, peak


def one_round(args, kind, threads, paths):
    if kind == "fused":
        return fictl_run(args, threads, "memory", paths)
    if kind == "fast":
        return fictl_run(args, threads, "latency", paths)
    if kind == "separate":
        parts = [fictl_run(args, threads, "memory", [path]) for path in paths]
        return sum(p[0] for p in parts), sum(p[1] for p in parts)
    env = dict(os.environ, OMP_NUM_THREADS=str(threads))
    text, peak = measured([args.python[kind], os.path.abspath(__file__), "--worker", kind, str(threads),
                           str(args.runs), *paths], env)
    return json.loads(text), peak


def can_import(python, modules):
    return subprocess.run([python, "-c", "import " + modules], stderr=subprocess.DEVNULL).returncode == 0


def contenders(args):
    there = ["fused", "fast", "separate"]
    args.python = {}
    for kind, modules in (("ort", "onnxruntime, numpy"), ("eager", "torch, torchvision"),
                          ("module", "torch.fx, torchvision")):
        args.python[kind] = next((p for p in args.peers.split(",") if can_import(p, modules)), None)
        if args.python[kind]:
            there.append(kind)
        else:
            print("left out: %s (%s cannot import %s)" % (kind, args.peers, modules), file=sys.stderr)
    return there


def run_set(args, name, threads, kinds, folder):
    paths = [os.path.join(folder, network + ".onnx") for network in SETS[name]]
    for network, path in zip(SETS[name], paths):
        if not os.path.exists(path):
            measured([os.path.join(args.build, "fictl"), "zoo", network, "-o", path])
    samples = {kind: [] for kind in kinds}
    for _ in range(args.rounds):
        for kind in kinds:
            samples[kind].append(one_round(args, kind, threads, paths))
    return {"set": name, "models": SETS[name], "threads": threads,
            "seconds": {k: [s[0] for s in v] for k, v in samples.items()},
            "peak_bytes": {k: [s[1] for s in v] for k, v in samples.items()}}


# ---- telling ---------------------------------------------------------------------------------------

def table(results, kinds):
    lines = ["| set | threads | " + " | ".join(kinds) + " |", "|---|---|" + "---|" * len(kinds)]
    for row in results:
        base = statistics.median(row["seconds"]["fused"])
        cells = []
        for kind in kinds:
            times = row["seconds"][kind]
            middle = statistics.median(times)
            cells.append("%.2f ms (%.2f to %.2f), %.2f x, %.0f MB"
                         % (middle * 1e3, min(times) * 1e3, max(times) * 1e3, middle / base,
                            statistics.median(row["peak_bytes"][kind]) / 1e6))
        lines.append("| %s | %d | %s |" % (row["set"], row["threads"], " | ".join(cells)))
    return "\n".join(lines) + "\n"


def plot(results, kinds, out):
    if not shutil.which("gnuplot"):
        print("left out: plot.png (no gnuplot)", file=sys.stderr)
        return
    data = os.path.join(out, "plot.dat")
    with open(data, "w") as file:
        for row in results:
            middles = ["%.3f" % (statistics.median(row["seconds"][k]) * 1e3) for k in kinds]
            file.write('"%s, %d" %s\n' % (row["set"], row["threads"], " ".join(middles)))
    series = ", ".join('"%s" using %d:xtic(1) title "%s"' % (data, i + 2, kind)
                       for i, kind in enumerate(kinds))
    script = ('set terminal png size 1100,500; set output "%s"; set style data histogram; '
              'set style fill solid 0.8; set logscale y; set ylabel "ms per request of all models"; '
              'set xtics rotate by -20; plot %s' % (os.path.join(out, "plot.png"), series))
    subprocess.run(["gnuplot", "-e", script], check=True)


def main():
    if sys.argv[1:2] == ["--worker"]:
        kind, threads, runs, *paths = sys.argv[2:]
        return worker(kind, int(threads), int(runs), paths)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--out", default="build/bench-fused")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--peers", default=sys.executable)
    args = parser.parse_args()
    kinds, results = contenders(args), []
    os.makedirs(args.out, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="fi-bench-")
    try:
        for name in args.sets.split(","):
            for threads in args.threads.split(","):
                results.append(run_set(args, name, int(threads), kinds, folder))
                print(table(results[-1:], kinds), flush=True)
    finally:
        shutil.rmtree(folder)
    with open(os.path.join(args.out, "results.json"), "w") as file:
        json.dump(results, file, indent=1)
    with open(os.path.join(args.out, "table.md"), "w") as file:
        file.write(table(results, kinds))
    plot(results, kinds, args.out)
    return None


if __name__ == "__main__":
    sys.exit(main())
