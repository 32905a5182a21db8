"""Training of CHNR at UCM size, and how many times faster than the plain loop, measured in the same run.

``pytest tests/benchmarks --benchmark-only``; the ratio stands in ``extra_info["times_faster"]``. The two sides take
turns, and the best of each counts: on a shared machine everything else only adds.
"""

from __future__ import annotations

import pytest
import torch
from benchmarks.workload import best_seconds, chnr, context, full_run, make_pairs, reference_loop, started_hasher

from harness.plugin.interfaces import PairTrust
from harness.runtime.precision import processor_multiplies_bf16

PRECISIONS = ["fp32", *(["bf16"] if processor_multiplies_bf16() else [])]
EPOCHS = 4
"""Of 150, half on trusted pairs and half on all, for both sides."""


def compare(benchmark, ours, plain, rounds: int = 3) -> None:
    """Measure both sides in turn and report the ratio of the best times."""
    ours()
    plain()
    best = [float("inf"), float("inf")]
    for _ in range(rounds):
        for side, function in enumerate((plain, ours)):
            best[side] = min(best[side], best_seconds(function, 1))
    benchmark.extra_info["reference_seconds"] = round(best[0], 5)
    benchmark.extra_info["times_faster"] = round(best[0] / best[1], 2)
    benchmark.extra_info["threads"] = torch.get_num_threads()
    benchmark.pedantic(ours, rounds=2)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("text_view", [False, True], ids=["as published", "augmented captions"])
def test_detector_epoch(benchmark, precision, text_view):
    """One epoch on the trusted pairs: a batch of 256 and one of 59."""
    pairs = make_pairs(text_view=text_view)
    loop = reference_loop(pairs)
    arguments = {**chnr().arguments("detector"), "epochs": 3}
    detector = chnr().components["detector"].load()(**arguments)

    def plain() -> None:
        for _ in range(3):
            for rows in loop.trusted.split(256):
                loop.detector_step(rows)
        loop.weights(torch.arange(len(pairs)))

    compare(benchmark, lambda: detector.fit(pairs, context(precision)), plain, rounds=2)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("text_view", [False, True], ids=["as published", "augmented captions"])
def test_hasher_step(benchmark, precision, text_view):
    """A batch of 256 pairs, weights given."""
    pairs, rows, weight = make_pairs(text_view=text_view), torch.randperm(1050)[:256], torch.rand(256)
    loop, hasher = reference_loop(pairs), started_hasher(pairs, precision)
    batch = pairs.rows(rows)
    compare(
        benchmark,
        lambda: hasher.step(batch, PairTrust(weight)),
        lambda: loop.hasher_step(rows, weight),
        rounds=8,
    )


@pytest.mark.parametrize("precision", PRECISIONS)
def test_full_run(benchmark, precision):
    """Detector, warm-up and noisy phase, with fewer epochs on both sides."""
    pairs = make_pairs()
    compare(
        benchmark,
        lambda: full_run(pairs, precision, EPOCHS),
        lambda: reference_loop(pairs).train(EPOCHS // 2, EPOCHS // 2),
        rounds=2,
    )


def test_encode(benchmark):
    """All pairs, both modalities, float32 whatever the precision of training."""
    pairs = make_pairs()
    loop, hasher = reference_loop(pairs), started_hasher(pairs, "fp32")

    @torch.no_grad()
    def ours() -> None:
        hasher.encode_image(pairs.image).sign()
        hasher.encode_text(pairs.text).sign()

    compare(benchmark, ours, loop.encode, rounds=5)


def test_time_is_linear_in_the_number_of_pairs(benchmark):
    """Seconds for each pair at 256 to 2,048 pairs, small networks; the spread of the rates is reported."""
    rates = {}
    for n in (256, 512, 1024, 2048):
        pairs = make_pairs(n, n * 3 // 10, 64, 48)
        full_run(pairs, "fp32", 2)
        rates[n] = best_seconds(lambda pairs=pairs: full_run(pairs, "fp32", 4), 2) / n
    benchmark.extra_info["microseconds_per_pair"] = {str(n): round(rate * 1e6, 1) for n, rate in rates.items()}
    benchmark.pedantic(lambda: full_run(make_pairs(256, 76, 64, 48), "fp32", 4), rounds=1)
    assert rates[2048] < 2 * rates[512]
