"""Time against floor of each phase of CHNR on a device; with several processes on it; and against the CPU's result.

    python tests/benchmarks/gpu_report.py                      # on a machine with a GPU
    python tests/benchmarks/gpu_report.py --device cpu --small # anywhere, to see that it works

The floor of a phase is the larger of its products over the measured product rate and its bytes over the measured
bandwidth. Prints Markdown, for docs/benchmarks-training.md.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from benchmarks.workload import best_seconds, context, fit_detector, full_run, make_pairs, started_hasher

from harness.plugin.interfaces import PairTrust, Phase
from harness.plugin.loading import load_registry
from harness.retrieval.codes import CodeTable, pack_checked
from harness.retrieval.evaluate import evaluate
from harness.runtime.environment import environment
from harness.training.loop import train
from harness.training.team import Team

HIDDEN = 4096


def product_rate(device: str, precision: str, size: int) -> float:
    """Measured FLOP/s of square products."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a = torch.randn(size, size, device=device, dtype=dtype)
    return 2 * size**3 / best_seconds(lambda: a @ a, 10, device)


def bandwidth(device: str, n: int) -> float:
    """Measured bytes/s of a copy, read and write counted."""
    a = torch.zeros(n, device=device)
    b = torch.empty_like(a)
    return 8 * n / best_seconds(lambda: b.copy_(a), 10, device)


def detector_cost(n: int, d_image: int, d_text: int) -> tuple[float, float]:
    """FLOP for n pairs, and bytes for each step of the optimiser; original and augmented image, one caption view.

    For each pair 2 right, 4 mismatched and 4 mixed rows pass layers 2 and 3 upwards, downwards and into the gradients;
    mixed rows also the captions' part of layer 1, the product down to the input, two products up, and layer 1's
    gradient.
    """
    d = d_image + d_text
    stacked = 6 * 10 * d * d + 4 * d_text * d + 4 * 4 * d * d
    views = 2 * (2 * d_image + d_text) * d
    return 2.0 * n * (stacked + views), 28.0 * (3 * d * d + d)


def hasher_cost(n: int, d_image: int, d_text: int, n_bits: int) -> tuple[float, float]:
    """FLOP for n pairs and bytes for each step: two image views and one caption; layer 1 has no input gradient."""
    per_view = [2 * d * HIDDEN + 3 * HIDDEN * n_bits for d in (d_image, d_image, d_text)]
    return 2.0 * n * sum(per_view), 28.0 * HIDDEN * (d_image + d_text + 2 * n_bits)


def phase_times(pairs, precision: str, epochs: int, device: str) -> dict[str, float]:
    """Seconds of detector, warm-up, noisy phase, encoding and evaluation."""
    run, hasher = context(precision, device), started_hasher(pairs, precision, device)
    ones = PairTrust(torch.ones(len(pairs), device=device))

    def phase(name: str, which: str) -> None:
        train([Team(hasher, None, ones, run)], pairs, (Phase(name, epochs, which),), watch=False)

    @torch.no_grad()
    def encode() -> list[np.ndarray]:
        outputs = (hasher.encode_image(pairs.image), hasher.encode_text(pairs.text))
        return [pack_checked(output.cpu().numpy(), "report") for output in outputs]

    image, text = encode()
    rows, labels = np.arange(len(pairs)), np.arange(len(pairs)) % 21
    n_query = len(pairs) // 5
    table = CodeTable(
        run.n_bits,
        {"image": image[:n_query], "text": text[:n_query]},
        {"image": image[n_query:], "text": text[n_query:]},
        labels[:n_query],
        labels[n_query:],
        rows[:n_query],
        rows[n_query:],
    )
    metrics = load_registry(environment={}).all("metric")
    timed: dict[str, Callable[[], object]] = {
        "detector": lambda: fit_detector(pairs, precision, epochs, device),
        "warm-up": lambda: phase("warm-up", "trusted"),
        "noisy": lambda: phase("noisy", "all"),
        "encode": encode,
        "evaluate": lambda: evaluate(table, metrics),
    }
    found = {}
    for name, function in timed.items():
        function()
        found[name] = best_seconds(function, 2, device)
    return found


def phase_floors(pairs, epochs: int, rate: float, rate32: float, bytes_per_second: float) -> dict[str, float | None]:
    """Seconds that products or optimiser traffic need at the measured rates; None where none is counted."""
    n, n_trusted = len(pairs), int(pairs.trusted.sum())
    d_image, d_text, bits = pairs.image.shape[1], pairs.text.shape[1], context("fp32").n_bits

    def floor(cost: tuple[float, float], rows: int) -> float:
        steps = epochs * -(-rows // 256)
        return max(epochs * cost[0] / rate, steps * cost[1] / bytes_per_second)

    encode = 2.0 * n * HIDDEN * (d_image + d_text + 2 * bits) / rate32
    return {
        "detector": floor(detector_cost(n_trusted, d_image, d_text), n_trusted),
        "warm-up": floor(hasher_cost(n_trusted, d_image, d_text, bits), n_trusted),
        "noisy": floor(hasher_cost(n, d_image, d_text, bits), n),
        "encode": encode,
        "evaluate": None,
    }


def cells_per_minute(processes: int, arguments: argparse.Namespace, precision: str) -> float:
    """Several processes train one cell each at the same time, after all have warmed up."""
    words = [sys.executable, __file__, "--device", arguments.device, "--worker", precision]
    words += ["--epochs", str(arguments.cell_epochs)] + (["--small"] if arguments.small else [])
    workers = [
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    for worker in workers:
        worker.stdout.readline()
    start = time.perf_counter()
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        worker.stdout.readline()
    seconds = time.perf_counter() - start
    for worker in workers:
        worker.communicate()
    return 60 * processes / seconds


def work(pairs, arguments: argparse.Namespace) -> None:
    """What each of several processes does."""
    full_run(pairs, arguments.worker, 2, arguments.device)
    print("ready", flush=True)
    sys.stdin.readline()
    full_run(pairs, arguments.worker, arguments.epochs, arguments.device)
    print("done", flush=True)


def agreement(size: dict[str, int], precision: str, device: str) -> dict[str, float]:
    """One step on the device against the same step in float32 on the CPU, and codes of equal weights."""
    rows, weight = torch.arange(min(64, size["n"])), torch.ones(min(64, size["n"]))
    here, there = make_pairs(**size), make_pairs(**size, device=device)
    torch.manual_seed(0)
    ours = started_hasher(here, "fp32")
    theirs = started_hasher(there, precision, device)
    theirs.image_network.load_state_dict(ours.image_network.state_dict())
    theirs.text_network.load_state_dict(ours.text_network.state_dict())
    theirs.codes = ours.codes.to(device)
    with torch.no_grad():
        same = (ours.encode_image(here.image) > 0) == (theirs.encode_image(there.image) > 0).cpu()
    losses = [
        float(hasher.step(pairs.rows(rows.to(where)), PairTrust(weight.to(where))))
        for hasher, pairs, where in ((ours, here, "cpu"), (theirs, there, device))
    ]
    return {"equal bits": same.float().mean().item(), "loss, relative": abs(losses[1] / losses[0] - 1)}


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="small features and few pairs")
    parser.add_argument("--epochs", type=int, default=10, help="epochs of each phase that is timed")
    parser.add_argument("--cell-epochs", type=int, default=150, help="epochs of a cell when several share the device")
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument("--precision", nargs="*", default=["fp32", "tf32", "bf16"])
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    size = {"n": 120, "n_trusted": 40, "d_image": 32, "d_text": 48} if arguments.small else {"n": 1050}
    pairs = make_pairs(**size, device=arguments.device)
    if arguments.worker:
        work(pairs, arguments)
        return
    precisions = [name for name in arguments.precision if name != "tf32" or arguments.device.startswith("cuda")]
    facts = environment(torch.device(arguments.device))
    print(f"{facts.get('gpu', facts['cpu'])}, torch {facts['versions']['torch']}, {facts['threads']} threads\n")
    edge, length = (512, 10**6) if arguments.small else (8192, 2 * 10**8)
    bytes_per_second = bandwidth(arguments.device, length)
    print(f"bandwidth {bytes_per_second / 1e9:.0f} GB/s\n")
    for precision in precisions:
        report(precision, pairs, size, edge, bytes_per_second, arguments)


def report(precision: str, pairs, size: dict[str, int], edge: int, bytes_per_second: float, arguments) -> None:
    """One precision."""
    from harness.runtime.precision import float32_products

    device, epochs = arguments.device, arguments.epochs
    with float32_products("fp32"):
        rate32 = product_rate(device, "fp32", edge)
    with float32_products(precision):
        rate = product_rate(device, precision, edge)
        found = phase_times(pairs, precision, epochs, device)
    floors = phase_floors(pairs, epochs, rate, rate32, bytes_per_second)
    print(f"## {precision}: products {rate / 1e12:.2f} TFLOP/s, phases of {epochs} epochs\n")
    print("| phase | seconds | floor | times the floor |\n|---|---|---|---|")
    for name, seconds in found.items():
        floor = floors[name]
        shown = ("-", "-") if floor is None else (f"{floor:.4f}", f"{seconds / floor:.1f}")
        print(f"| {name} | {seconds:.4f} | {shown[0]} | {shown[1]} |")
    alone = [best_seconds(lambda: full_run(pairs, precision, arguments.cell_epochs, device), 1, device) for _ in "ab"]
    print(f"\none cell of {arguments.cell_epochs} epochs: {statistics.fmean(alone):.2f} s\n")
    print("| processes on the device | cells a minute |\n|---|---|")
    for processes in arguments.processes:
        print(f"| {processes} | {cells_per_minute(processes, arguments, precision):.1f} |", flush=True)
    words = ", ".join(f"{name} {value:.5f}" for name, value in agreement(size, precision, device).items())
    print(f"\nagainst float32 on the CPU: {words}\n")


if __name__ == "__main__":
    main()
