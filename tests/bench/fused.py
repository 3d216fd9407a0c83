#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fused groups beside the same models one after the other, and beside other runtimes.

    tests/bench/fused.py --all | --set NAME[,NAME...] [--build DIR] [--out DIR]
                         [--threads LIST] [--rounds N] [--runs N] [--contenders LIST]
                         [--peers PYTHON[,PYTHON...]] [--peer-libs DIR] [--no-memory]

Contenders take turns, for --rounds rounds, each in a fresh process of its own:

    fused       the group, as `fictl fuse` makes and measures it (lean forms of weights)
    separate    its members one after the other, same engine, same process as fused, in turn with it
    fast        the group with --optimize latency: Winograd's weights where measured faster
    ort         ONNX Runtime, CPU: a session per model in one process, one after the other
    eager       PyTorch: the same architectures as modules, one after the other
    module      PyTorch as in the FusedInf prototype: one module, conv+bn folded

Peers are left out, by name, when no PYTHON of --peers can import them; nothing else needs them.
ONNX Runtime reads the files that we run. PyTorch runs torchvision's modules with weights of its
own and leaves out sets with networks that torchvision lacks. --peer-libs is put in front of the peers'
library path: with the reference BLAS (Debian's default without libopenblas0-openmp) PyTorch's small
convolutions take ten times as long, and the table says so. ONNX Runtime's sessions share one team of
threads: with a team each, one spins on the cores that the next one needs (1.5 to 2.5 times as long).

A round's time is the median of --runs runs after two that warm up. Load is what brings weights from a
file in the page cache to where they are used: our tuned packs into the pool, with checksums;
InferenceSession(); torch.load() and load_state_dict(), and folding where there is any.

Memory, once per set: resident bytes (PSS: pages that processes share count once among them) of fid
with the group (made with --optimize memory), of one fid per member, and of the peers' processes
with all members; every pool is just as large as its models need. The plan's bytes beside them:
the arena against the largest member's, the weights against the models' unique bytes.

Results are kept in --out and added to: results.json (all samples), table.md, plot.png (where gnuplot
is installed). One set takes a minute or two, most of it with vgg16.
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

import peers

# A network that is there twice has other weights; in "variants" only another last layer. "one-image"
# are variants that look at the same image: the group has one input.
SETS = {
    "cifar-pair": ["cifar_resnet18", "cifar_vgg16"],
    "vgg-pair": ["resnet18", "vgg16"],
    "mobile-pair": ["resnet50", "mobilenet_v2"],
    "twins": ["mobilenet_v2", "mobilenet_v2"],
    "small-pair": ["mobilenet_v2", "squeezenet1_1"],
    "triple": ["resnet18", "resnet50", "mobilenet_v2"],
    "five": ["mobilenet_v2", "squeezenet1_1", "googlenet", "cifar_resnet18", "cifar_vgg16"],
    "variants": ["cifar_resnet18"] * 4,
    "one-image": ["cifar_resnet18"] * 4,
    "tiny": ["bert_mini"] * 4,
}
# Multiply-adds of one image, in thousand millions: convolutions and matrices, from their shapes.
GMACS = {"resnet18": 1.814, "vgg16": 15.470, "resnet50": 4.089, "mobilenet_v2": 0.301,
         "squeezenet1_1": 0.349, "googlenet": 1.498, "cifar_resnet18": 0.555, "cifar_vgg16": 0.313,
         "bert_mini": 0.013}
CONTENDERS = ["fused", "separate", "fast", "ort", "eager", "module"]
PEER_NEEDS = {"ort": "onnxruntime, numpy", "eager": "torch, torchvision", "module": "torch, torchvision"}


# ---- peers -------------------------------------------------------------------------------------

def can_import(python, modules, env):
    return subprocess.run([python, "-c", "import " + modules], stderr=subprocess.DEVNULL,
                          env=env, check=False).returncode == 0


def peer_env(args, threads):
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads))
    if args.peer_libs:
        env["LD_LIBRARY_PATH"] = args.peer_libs
    return env


def find_peers(args):
    """Fills args.python; says whom it leaves out."""
    args.python = {}
    for kind, modules in PEER_NEEDS.items():
        if kind not in args.contenders:
            continue
        for python in args.peers.split(","):
            if can_import(python, modules, peer_env(args, 1)):
                args.python[kind] = python
                break
        else:
            args.contenders.remove(kind)
            print("left out: %s (%s cannot import %s)" % (kind, args.peers, modules), file=sys.stderr)


def torch_has(networks):
    return not any(name.startswith(("bert", "text")) for name in networks)


# ---- ours ------------------------------------------------------------------------------------

def output_of(command, env=None):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, text=True,
                          check=False)
    if done.returncode:
        sys.exit("failed (%d): %s\n%s" % (done.returncode, " ".join(command), done.stderr))
    return done.stdout


def fictl(args, *rest):
    return output_of([os.path.join(args.build, "fictl"), *rest])


def fictl_json(args, *rest):
    return json.loads(fictl(args, "--json", *rest))


def model_files(args, name):
    """The set's networks as (NAME, FILE); written once."""
    folder = os.path.join(args.out, "models")
    os.makedirs(folder, exist_ok=True)
    ret = []
    for i, network in enumerate(SETS[name]):
        nth = SETS[name][:i].count(network)
        other = ["--head" if name in ("variants", "one-image") else "--seed", str(nth)] if nth else []
        path = os.path.join(folder, network + "".join(other) + ".onnx")
        if not os.path.exists(path):
            fictl(args, "zoo", network, "-o", path, *other)
        ret.append((network, path))
    return ret


def members(name, files):
    return (["m%d=%s" % (i, path) for i, (_, path) in enumerate(files)] +
            (["--share-input"] if name == "one-image" else []))


def run_fuse(args, threads, name, files):
    """Both contenders that one process measures in turn."""
    verdict = fictl_json(args, "fuse", *members(name, files), "--dry-run", "--threads",
                         str(threads))["verdict"]
    both = {}
    for kind in ("fused", "separate"):
        both[kind] = {"seconds": verdict[kind + "_ns"] / 1e9,
                      "load_seconds": verdict[kind + "_load_ns"] / 1e9}
    both["fused"]["bound_seconds"] = verdict["bound_ns"] / 1e9
    both["fused"]["side_by_side"] = verdict["side_by_side"]
    return both


def run_fast(args, threads, name, files):
    """In a pool that is large enough for sure: five times what lean forms take."""
    need = sum(plan["weight_bytes"] + plan["arena_bytes"]
               for plan in (fictl_json(args, "plan", path) for _, path in files))
    ran = fictl_json(args, "run", *members(name, files), "--repeat", str(args.runs + 2), "--threads",
                     str(threads), "--optimize", "latency", "--pool", str(5 * need + (64 << 20)))
    return {"seconds": ran["median_ns"] / 1e9}


def run_peer(args, kind, threads, files):
    named = ["%s=%s" % pair for pair in files]
    return json.loads(output_of([args.python[kind], peers.__file__, kind, str(threads), str(args.runs),
                                 *named], peer_env(args, threads)))


def one_round(args, threads, name, files):
    ret = {}
    if "fused" in args.contenders or "separate" in args.contenders:
        ret = run_fuse(args, threads, name, files)
    if "fast" in args.contenders:
        ret["fast"] = run_fast(args, threads, name, files)
    for kind in PEER_NEEDS:
        if kind in args.contenders and (kind == "ort" or torch_has(n for n, _ in files)):
            ret[kind] = run_peer(args, kind, threads, files)
    return ret


def run_set(args, name, threads):
    files = model_files(args, name)
    rounds = [one_round(args, threads, name, files) for _ in range(args.rounds)]
    return {"set": name, "models": SETS[name], "threads": threads,
            "rounds": {kind: [r[kind] for r in rounds] for kind in rounds[0]}}


# ---- memory ------------------------------------------------------------------------------------

class Fid:
    """A daemon in a folder of its own."""

    def __init__(self, args, folder, pool):
        self.args, self.socket = args, os.path.join(folder, "s")
        self.process = subprocess.Popen(
            [os.path.join(args.build, "fid"), "--root", folder, "--socket", self.socket, "--pool",
             str(pool), "--prefetch", "off", "--foreground"], stderr=subprocess.DEVNULL)
        while not os.path.exists(self.socket):
            if self.process.poll() is not None:
                sys.exit("fid did not start in " + folder)
            time.sleep(0.01)

    def ask(self, *rest):
        return fictl(self.args, "--socket", self.socket, "--json", *rest)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def prepared(args, path, folder):
    """A catalogue with this model, planned for a pool that is just large enough; that pool."""
    os.makedirs(folder)
    fid = Fid(args, folder, 16 << 20)
    fid.ask("import", path, "--name", "model")
    model = json.loads(fid.ask("models"))["models"][0]
    fid.stop()
    pool = (model["weight_bytes"] + model["arena_bytes"] + (128 << 10) + 4095) // 4096 * 4096
    Fid(args, folder, pool).stop()
    return pool


def serving_bytes(args, paths, scratch):
    """Resident bytes of one fid per path, all of them at a time, each after two requests."""
    pools = []
    for i, path in enumerate(paths):
        pools.append(prepared(args, path, os.path.join(scratch, str(i))))
    fids = [Fid(args, os.path.join(scratch, str(i)), pool) for i, pool in enumerate(pools)]
    for fid in fids:
        fid.ask("infer", "model")
        fid.ask("infer", "model")
    parts = [peers.resident(fid.process.pid) for fid in fids]
    for fid in fids:
        fid.stop()
    shutil.rmtree(scratch)
    return {"pss": sum(p["pss"] for p in parts), "rss": sum(p["rss"] for p in parts),
            "pools": pools}


def run_memory(args, name):
    files = model_files(args, name)
    scratch = tempfile.mkdtemp(prefix="fi-bench-")
    group = os.path.join(scratch, "group.fim")
    try:
        made = fictl_json(args, "fuse", *members(name, files), "-o", group, "--optimize", "memory",
                          "--no-verdict")
        plans = [fictl_json(args, "plan", path) for path in [group] + [path for _, path in files]]
        row = {"set": name, "group": serving_bytes(args, [group], os.path.join(scratch, "g")),
               "processes": serving_bytes(args, [path for _, path in files],
                                          os.path.join(scratch, "p"))}
    finally:
        shutil.rmtree(scratch)
    row.update(arena_bytes=plans[0]["arena_bytes"],
               largest_arena_bytes=max(p["arena_bytes"] for p in plans[1:]),
               weight_bytes=plans[0]["weight_bytes"], unique_bytes=made["constant_bytes"],
               all_bytes=made["constant_bytes_before"])
    return row


# ---- telling ---------------------------------------------------------------------------------------

def column(row, kind, key="seconds"):
    """Median, lowest, highest over rounds; None where there is nothing."""
    values = [r[key] for r in row["rounds"].get(kind, []) if key in r]
    return (statistics.median(values), min(values), max(values)) if values else None


def cell(row, kind, key="seconds"):
    value, base = column(row, kind, key), column(row, "fused", key)
    if not value:
        return "-"
    text = "%.2f (%.2f-%.2f)" % tuple(1e3 * v for v in value)
    return text if kind == "fused" or not base else text + ", %.2f x" % (value[0] / base[0])


def markdown(head, lines):
    return "\n".join("| " + " | ".join(line) + " |"
                     for line in [head, ["---"] * len(head)] + lines) + "\n"


def time_table(rows):
    lines = []
    for row in rows:
        bound = column(row, "fused", "bound_seconds")
        fused = column(row, "fused")
        lines.append([row["set"], str(row["threads"])] + [cell(row, k) for k in CONTENDERS] +
                     ["%.2f, %.2f" % (1e3 * bound[0], bound[0] / fused[0])
                      if bound and bound[0] else "-"])
    return markdown(["set", "threads"] + CONTENDERS + ["bound, share reached"], lines)


def load_table(rows):
    kinds = [kind for kind in CONTENDERS if kind != "fast"]
    return markdown(["set"] + kinds, [[row["set"]] + [cell(row, k, "load_seconds") for k in kinds]
                                      for row in rows])


def peer_memory(rows, name, kind):
    for row in rows:
        if row["set"] == name and row["rounds"].get(kind):
            return "%.0f" % (row["rounds"][kind][-1]["memory"]["pss"] / 1e6)
    return "-"


def memory_table(memory, rows):
    lines = []
    for row in memory:
        group, apart = row["group"], row["processes"]
        lines.append([row["set"], "%.1f" % (group["pss"] / 1e6), "%.1f" % (apart["pss"] / 1e6),
                      "%.0f %%" % (100 * (1 - group["pss"] / apart["pss"])),
                      "%.1f / %.1f" % (group["rss"] / 1e6, apart["rss"] / 1e6),
                      "%.2f / %.2f = %.2f" % (row["arena_bytes"] / 1e6, row["largest_arena_bytes"] / 1e6,
                                              row["arena_bytes"] / row["largest_arena_bytes"]),
                      "%.2f / %.2f = %.3f" % (row["weight_bytes"] / 1e6, row["unique_bytes"] / 1e6,
                                              row["weight_bytes"] / row["unique_bytes"]),
                      "%.1f" % (row["all_bytes"] / 1e6)] +
                     [peer_memory(rows, row["set"], kind) for kind in PEER_NEEDS])
    return markdown(["set", "group PSS", "process per member PSS", "less", "RSS of both",
                     "arena / largest member's", "weights / unique bytes", "weights of all"] +
                    [kind + " PSS" for kind in PEER_NEEDS], lines)


def roofline_table(results):
    """What the arithmetic and the weights alone would take on these cores."""
    lines = []
    weights = {row["set"]: row["weight_bytes"] for row in results["memory"]}
    for row in results["rows"]:
        machine = results["roofline"].get(str(row["threads"]))
        if not machine or row["set"] not in weights:
            continue
        computed = set(row["models"]) if row["set"] == "one-image" else row["models"]
        operations = 2e9 * sum(GMACS[model] for model in computed)
        compute, reading = (operations / machine["gflops"] / 1e9,
                            weights[row["set"]] / machine["read_gb_s"] / 1e9)
        took = column(row, "fused")[0]
        lines.append([row["set"], str(row["threads"]), "%.2f" % (operations / 1e9),
                      "%.1f" % (weights[row["set"]] / 1e6), "%.2f" % (1e3 * compute),
                      "%.2f" % (1e3 * reading), "%.2f" % (1e3 * took),
                      "%.0f" % (operations / took / 1e9), "%.2f" % (max(compute, reading) / took)])
    return markdown(["set", "threads", "Gflop", "MB of weights", "ms at peak", "ms to read weights",
                     "ms fused", "Gflop/s", "of the larger limit"], lines)


def slow_blas(rows):
    """PyTorch's BLAS where it is none that anybody would measure with."""
    found = {path for row in rows for kind in ("eager", "module")
             for r in row["rounds"].get(kind, []) for path in r["blas"]}
    return sorted(found) if found and not any("openblas" in path or "mkl" in path
                                              for path in found) else []


def report(results):
    rows = sorted(results["rows"], key=lambda r: (list(SETS).index(r["set"]), r["threads"]))
    memory = sorted(results["memory"], key=lambda r: list(SETS).index(r["set"]))
    most = max((row["threads"] for row in rows), default=0)
    text = ("Milliseconds for one request of every model; median (lowest-highest) over processes, and "
            "times the group's.\n\n" + time_table(rows) + "\nLoading, milliseconds, %d threads:\n\n" % most +
            load_table([row for row in rows if row["threads"] == most]) +
            "\nMegabytes in memory:\n\n" + memory_table(memory, rows))
    for threads, machine in sorted(results["roofline"].items()):
        text += ("\n%s threads: %.0f Gflop/s of float32 multiply-adds in registers, %.1f GB/s read from "
                 "memory.\n" % (threads, machine["gflops"], machine["read_gb_s"]))
    text += "\n" + roofline_table(dict(results, rows=rows))
    for path in slow_blas(rows):
        text += "\nPyTorch's small convolutions ran on %s, a reference BLAS: see --peer-libs.\n" % path
    return text


def plot(results, out):
    if not shutil.which("gnuplot"):
        print("left out: plot.png (no gnuplot)", file=sys.stderr)
        return
    data, image = os.path.join(out, "plot.dat"), os.path.join(out, "plot.png")
    most = max(row["threads"] for row in results["rows"])
    rows = sorted((row for row in results["rows"] if row["threads"] == most),
                  key=lambda r: list(SETS).index(r["set"]))
    kinds = [kind for kind in CONTENDERS if any(column(row, kind) for row in rows)]
    with open(data, "w", encoding="ascii") as file:
        for row in rows:
            base = column(row, "fused")[0]
            shares = [column(row, kind) for kind in kinds]
            file.write('"%s" %s\n' % (row["set"], " ".join("%.3f" % (s[0] / base) if s else "NaN"
                                                           for s in shares)))
    series = ", ".join('"%s" using %d:xtic(1) title "%s"' % (data, i + 2, kind)
                       for i, kind in enumerate(kinds))
    script = ('set terminal png size 1100,480; set output "%s"; set style data histogram; '
              'set style histogram cluster gap 1; set style fill solid 0.85; set grid ytics; '
              'set logscale y 2; set yrange [0.5:*]; set key outside top horizontal; set title "time of all models, '
              'the fused group = 1, %d threads"; plot %s' % (image, most, series))
    subprocess.run(["gnuplot", "-e", script], check=True)


# ---- options -----------------------------------------------------------------------------------------

def keep(results, key, row, same):
    results[key] = [old for old in results[key] if any(old[k] != row[k] for k in same)] + [row]


def save(results, out):
    with open(os.path.join(out, "results.json"), "w", encoding="ascii") as file:
        json.dump(results, file, indent=1)
    with open(os.path.join(out, "table.md"), "w", encoding="ascii") as file:
        file.write(report(results))
    if results["rows"]:
        plot(results, out)


def measure_roofline(args, results):
    program = os.path.join(args.build, "tests", "bench", "roofline")
    if not os.path.exists(program):
        print("left out: roofline (make bench-fused builds it)", file=sys.stderr)
        return
    for threads in args.threads:
        results["roofline"][str(threads)] = json.loads(output_of([program, str(threads)]))


def earlier(out):
    path = os.path.join(out, "results.json")
    if not os.path.exists(path):
        return {"rows": [], "memory": [], "roofline": {}}
    with open(path, encoding="ascii") as file:
        return json.load(file)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--all", action="store_true")
    which.add_argument("--set", help=", ".join(SETS))
    parser.add_argument("--build", default="build")
    parser.add_argument("--out", default="build/bench-fused")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--contenders", default=",".join(CONTENDERS))
    parser.add_argument("--peers", default=sys.executable)
    parser.add_argument("--peer-libs")
    parser.add_argument("--no-memory", action="store_true")
    args = parser.parse_args()
    args.sets = list(SETS) if args.all else args.set.split(",")
    args.threads = [int(t) for t in args.threads.split(",") if t]
    args.contenders = args.contenders.split(",")
    for name in args.sets:
        if name not in SETS:
            parser.error("no set %s: %s" % (name, ", ".join(SETS)))
    if set(args.contenders) - set(CONTENDERS) or "fused" not in args.contenders:
        parser.error("contenders are fused and any of " + ", ".join(CONTENDERS[1:]))
    return args


def main():
    args = parse_args()
    os.makedirs(args.out, exist_ok=True)
    find_peers(args)
    results = earlier(args.out)
    measure_roofline(args, results)
    for name in args.sets:
        for threads in args.threads:
            keep(results, "rows", run_set(args, name, threads), ("set", "threads"))
            save(results, args.out)
        if not args.no_memory:
            keep(results, "memory", run_memory(args, name), ("set",))
            save(results, args.out)
    print(report(results))


if __name__ == "__main__":
    main()
