#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Single models beside ONNX Runtime on the CPU: same threads, batch 1, milliseconds.

    tests/bench/single.py [--build DIR] [--threads N] [--rounds N] [--runs N] MODEL.onnx...

Per round ONNX Runtime, fictl run, and fictl run --optimize latency take turns, each the median
of N runs; the table has the lowest of the rounds, which what else the machine does disturbs least.
"""
import argparse
import os
import re
import statistics
import subprocess
import time

UNITS = {"ns": 1e-6, "us": 1e-3, "ms": 1, "s": 1e3}


def feed_of(session):
    import numpy as np

    feed = {}
    for i in session.get_inputs():
        shape = [d if isinstance(d, int) else 1 for d in i.shape]
        feed[i.name] = (np.random.rand(*shape).astype(np.float32) if "float" in i.type
                        else np.ones(shape, np.int64))
    return feed


def ort_ms(session, feed, runs):
    samples = []
    for i in range(runs + 2):
        start = time.perf_counter()
        session.run(None, feed)
        if i > 1:
            samples.append((time.perf_counter() - start) * 1e3)
    return statistics.median(samples)


def our_ms(fictl, model, threads, runs, optimize):
    out = subprocess.run([fictl, "run", model, "--repeat", str(runs), "--threads", str(threads),
                          "--optimize", optimize], capture_output=True, text=True, check=True)
    value, unit = re.search(r"median of \d+ ([\d.]+) (\w+)", out.stdout).groups()
    return float(value) * UNITS[unit]


def main():
    import onnxruntime

    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument("models", nargs="+")
    args = parser.parse_args()
    fictl = os.path.join(args.build, "fictl")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    options.inter_op_num_threads = 1
    print("| model | threads | ONNX Runtime | lean | ratio | fast | ratio |\n"
          "|---|---|---|---|---|---|---|")
    for model in args.models:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        feed = feed_of(session)
        rounds = []
        for _ in range(args.rounds):
            theirs = ort_ms(session, feed, args.runs)
            time.sleep(0.02)  # its threads spin for a while
            rounds.append((theirs, our_ms(fictl, model, args.threads, args.runs, "memory"),
                           our_ms(fictl, model, args.threads, args.runs, "latency")))
        ort, lean, fast = (min(column) for column in zip(*rounds))
        print(f"| {os.path.basename(os.path.dirname(os.path.abspath(model)))} | {args.threads} | "
              f"{ort:.3f} | {lean:.3f} | {lean / ort:.2f} | {fast:.3f} | {fast / ort:.2f} |",
              flush=True)


if __name__ == "__main__":
    main()
