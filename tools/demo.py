#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The demo of the README: real networks, a pool smaller than they are, one table.

    tools/demo.py [--keep] [BUILD]

Makes models, starts fid in a scratch folder, imports them, serves a mixed
sequence of requests, and prints what happened. Then a second act, where BPF
works: a client connects to the port of a program that knows nothing of fid, and
the model behind it is there before the client has said a word. Nothing but the
standard library, fio, and the programs in BUILD (build/).
"""
import argparse
import ast
import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

NETWORKS = ["resnet18", "mobilenet_v2", "squeezenet1_1", "cifar_vgg16", "cifar_resnet18"]
POOL_SHARE = 0.45  # of the sum of the models' weights and activations
MIXED = 48         # visits of five requests, after each model was visited once
DIGITS = "tests/golden/digits"


class Demo:
    def __init__(self, build, scratch):
        self.build, self.scratch = build, scratch
        self.socket = os.path.join(scratch, "fid.sock")
        self.root = os.path.join(scratch, "models")
        self.fid, self.probe = None, None
        self.cold, self.warm, self.rate = {}, {}, {}

    def fictl(self, *words):
        """One JSON document of one command; a failing command ends the demo."""
        command = [os.path.join(self.build, "fictl"), "--socket", self.socket, "--json", *words]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit("demo: failed (%d): %s" % (done.returncode, " ".join(command)))
        return json.loads(done.stdout)

    def start(self, pool_bytes):
        self.fid = subprocess.Popen(
            [os.path.join(self.build, "fid"), "--foreground", "--log", "warning",
             "--root", self.root, "--socket", self.socket, "--pool", str(pool_bytes),
             *(["--probe", self.probe.socket] if self.probe.process else [])])
        for _ in range(1000):
            if os.path.exists(self.socket):
                return
            if self.fid.poll() is not None:
                break
            time.sleep(0.01)
        sys.exit("demo: fid did not start")

    def stop(self):
        self.fid.send_signal(signal.SIGTERM)
        code = self.fid.wait(timeout=60)
        self.fid = None
        if code:
            sys.exit("demo: fid ended with %d" % code)

    def forget_pages(self):
        """What is evicted shall come back from the drive, not from the page cache."""
        for folder, _, names in os.walk(self.root):
            for name in names:
                fd = os.open(os.path.join(folder, name), os.O_RDONLY)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(fd)

    def ask(self, name):
        """Five requests in a row: the first may be cold, the middle one is warm."""
        self.forget_pages()
        answer = self.fictl("infer", name, "--repeat", "5")
        self.warm.setdefault(name, []).append(answer["median_ns"] / 1e6)
        if answer["times"]["cold"]:
            self.cold.setdefault(name, []).append(answer["first_ns"] / 1e6)
            load = self.model(name)["last_load"]
            self.rate.setdefault(name, []).append(load["bytes"] / load["ns"])

    def model(self, name):
        return next(m for m in self.fictl("models")["models"] if m["name"] == name)


class Probe:
    """fid-probe with a BPF file system of its own; why says what is missing."""

    def __init__(self, demo):
        self.mount = os.path.join(demo.scratch, "bpf")
        self.socket = os.path.join(demo.scratch, "probe.sock")
        self.process, self.why = None, "it takes root"
        program = [os.path.join(demo.build, "fid-probe"), "--pin",
                   os.path.join(self.mount, "fusedinf/v1")]
        if os.geteuid() or not os.path.exists(program[0]):
            return
        os.mkdir(self.mount)
        if subprocess.run(["mount", "-t", "bpf", "bpf", self.mount],
                          stderr=subprocess.DEVNULL).returncode:
            self.why = "no BPF file system can be mounted"
            return
        check = subprocess.run([*program, "check"], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
        if check.returncode:
            self.why = " ".join(check.stdout.split())
            return
        self.process = subprocess.Popen([*program, "run", "--socket", self.socket],
                                        stdout=subprocess.DEVNULL)
        wait_for(lambda: os.path.exists(self.socket), "fid-probe does not serve")

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
        if os.path.ismount(self.mount):
            subprocess.run(["umount", "-l", self.mount], check=False)


def wait_for(true, otherwise, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            sys.exit("demo: " + otherwise)
        time.sleep(0.0005)


def fio_rate(folder):
    """GB/s of fio's direct read there: io_uring, fixed buffers, best of a small sweep."""
    best = 0.0
    path = os.path.join(folder, "fio.bin")
    for block, depth in (("512k", 8), ("1m", 8), ("1m", 16), ("2m", 8)):
        done = subprocess.run(
            ["fio", "--name=read", "--filename=" + path, "--size=256m", "--rw=read", "--direct=1",
             "--ioengine=io_uring", "--fixedbufs", "--registerfiles", "--bs=" + block,
             "--iodepth=%d" % depth, "--output-format=json"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if done.returncode == 0:
            text = done.stdout[done.stdout.index("{"):]
            best = max(best, json.loads(text)["jobs"][0]["read"]["bw_bytes"] / 1e9)
    if os.path.exists(path):
        os.unlink(path)
    return best


def read_npy(path):
    """Shape and flat values of a small little-endian .npy (numpy.lib.format)."""
    import array
    with open(path, "rb") as file:
        head = file.read(10)
        header = ast.literal_eval(file.read(head[8] | head[9] << 8).decode())
        values = array.array({"<f4": "f", "<i8": "q"}[header["descr"]])
        values.frombytes(file.read())
    return header["shape"], values


def accuracy(demo):
    """Share of the held-out digits that the trained network names right."""
    output = os.path.join(demo.scratch, "scores.npy")
    demo.fictl("infer", "digits", "--inputs", os.path.join(DIGITS, "images.npy"),
               "--outputs", output)
    (count, classes), scores = read_npy(output)
    _, labels = read_npy(os.path.join(DIGITS, "labels.npy"))
    right = 0
    for i in range(count):
        row = scores[i * classes:(i + 1) * classes]
        right += row.index(max(row)) == labels[i]
    return right, count


def make_models(demo):
    paths = {"digits": os.path.join(DIGITS, "digits.onnx")}
    for name in NETWORKS:
        paths[name] = os.path.join(demo.scratch, name + ".onnx")
        demo.fictl("zoo", name, "-o", paths[name])
    return paths


def needed_bytes(demo, paths):
    total = 0
    for path in paths.values():
        plan = demo.fictl("plan", path)
        total += plan["weight_bytes"] + plan["arena_bytes"]
    return total


def serve(demo):
    names = list(NETWORKS) + ["digits"]
    for name in names:
        demo.ask(name)
    weights = [1.0 / (i + 1) for i in range(len(names))]
    for name in random.Random(1).choices(names, weights, k=MIXED):
        demo.ask(name)


def print_table(demo, fio, pool_bytes, total):
    def middle(values, form):
        return form % statistics.median(values) if values else "-"

    print("\npool %.1f MB, the models need %.1f MB; fio reads this drive at %.2f GB/s\n"
          % (pool_bytes / 1e6, total / 1e6, fio))
    print("%-16s %10s %11s %7s %9s %9s %6s %8s" % ("MODEL", "BYTES", "LOAD GB/s", "OF FIO",
                                                   "COLD ms", "WARM ms", "LOADS", "EVICTED"))
    for model in demo.fictl("models")["models"]:
        name = model["name"]
        rate = demo.rate.get(name)
        share = "%.2f" % (statistics.median(rate) / fio) if rate and fio else "-"
        print("%-16s %10d %11s %7s %9s %9s %6d %8d"
              % (name, model["weight_bytes"], middle(rate, "%.2f"), share,
                 middle(demo.cold.get(name), "%.2f"), middle(demo.warm.get(name), "%.2f"),
                 model["loads"], model["evictions"]))
    reasons = {}
    for event in demo.fictl("events", "--count", "1000")["events"]:
        if event["action"] == "evict":
            key = (event["model"], event["reason"], event.get("other", ""))
            reasons[key] = reasons.get(key, 0) + 1
    print("\nevictions, and why:")
    for (model, reason, other), count in sorted(reasons.items(), key=lambda item: -item[1]):
        print("  %2d x %-20s %s%s" % (count, model, reason, " (for %s)" % other if other else ""))


def foreign_server():
    """A web server that has never heard of fid, and its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listens():
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0
    wait_for(listens, "the foreign server does not start")
    return server, port


def second_act(demo, name="mobilenet_v2"):
    """A connection to another program's port brings its model in."""
    print("\nSecond act: %s is behind the port of a program that does not know fid" % name)
    if not demo.probe.process:
        print("  skipped: " + demo.probe.why)
        return
    server, port = foreign_server()
    try:
        demo.fictl("probe", "add", "--model", name, "--tcp", str(port))
        demo.fictl("unload", name)
        demo.forget_pages()
        start = time.monotonic()
        client = socket.create_connection(("127.0.0.1", port))
        connected = time.monotonic()
        wait_for(lambda: demo.model(name)["residency"] == "resident", "nobody brought %s in" % name)
        seen = time.monotonic()
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = client.makefile("rb").readline().decode().strip()
        client.close()
        first = demo.fictl("infer", name)
    finally:
        server.kill()
        server.wait()
    load = demo.model(name)["last_load"]
    decision = next(e for e in demo.fictl("events", "--count", "50")["events"][::-1]
                    if e["action"] == "load" and e["model"].split(":")[0] == name)
    rows = [((connected - start) * 1e3, "a client has connected to port %d and says nothing yet" % port),
            ((seen - start) * 1e3, "fictl finds %s in the pool (%.1f MB in %.1f ms, because: %s)"
             % (name, load["bytes"] / 1e6, load["ns"] / 1e6, decision["reason"])),
            ((seen - start) * 1e3, "now the client sends its request; the server answers %s" % answer)]
    for at, what in rows:
        print("  %8.1f ms  %s" % (at, what))
    cold = statistics.median(demo.cold[name])
    print("  the first inference is %s: %.1f ms (cold ones took %.1f ms)"
          % ("cold" if first["times"]["cold"] else "warm", first["first_ns"] / 1e6, cold))


def run(demo):
    print("making models ...", flush=True)
    paths = make_models(demo)
    total = needed_bytes(demo, paths)
    pool_bytes = int(total * POOL_SHARE)
    fio = fio_rate(demo.scratch)
    demo.probe = Probe(demo)
    demo.start(pool_bytes)
    for name, path in paths.items():
        info = demo.fictl("import", path, "--name", name)
        print("imported %-16s %6.1f MB of weights" % (name, info["weight_bytes"] / 1e6), flush=True)
    print("serving %d requests ..." % (5 * (len(paths) + MIXED)), flush=True)
    serve(demo)
    right, count = accuracy(demo)
    print_table(demo, fio, pool_bytes, total)
    second_act(demo)
    demo.stop()
    print("\nthe trained network names %d of %d held-out digits right: %.1f %%"
          % (right, count, 100.0 * right / count))
    print("fid stopped cleanly")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--keep", action="store_true", help="keep the scratch folder")
    parser.add_argument("build", nargs="?", default="build")
    args = parser.parse_args()
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    demo = Demo(args.build, tempfile.mkdtemp(prefix="fi-demo-"))
    try:
        run(demo)
    finally:
        if demo.fid:
            demo.fid.kill()
            demo.fid.wait()
        if demo.probe:
            demo.probe.stop()
        if args.keep:
            print("kept: " + demo.scratch)
        else:
            shutil.rmtree(demo.scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
