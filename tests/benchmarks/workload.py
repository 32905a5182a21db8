"""What the training benchmarks train on: random features of the size of UCM in the CHNR paper, for both sides."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from reference.cell import REGISTRY
from reference.chnr_loop import ReferenceLoop

from harness.cells.methods import ResolvedMethod, resolve_method
from harness.cells.request import MethodRequest
from harness.execution.runner import Fitted, fit_method, make_hasher
from harness.plugin.interfaces import PairTrust, TrainingPairs
from harness.runtime.context import RunContext

N_PAIRS, N_TRUSTED, D_IMAGE, D_TEXT, N_BITS = 1050, 315, 512, 768, 64


def make_pairs(
    n: int = N_PAIRS,
    n_trusted: int = N_TRUSTED,
    d_image: int = D_IMAGE,
    d_text: int = D_TEXT,
    text_view: bool = False,
    device: str = "cpu",
) -> TrainingPairs:
    """Pairs that share a latent class; an augmented image view, and no augmented caption (as the authors' program)."""
    random = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random)

    latent = normal(21, 32)[torch.arange(n) * 21 // n]
    image, text = (latent @ normal(32, d) / 6 + normal(n, d) for d in (d_image, d_text))
    trusted = torch.zeros(n, dtype=torch.bool)
    trusted[torch.randperm(n, generator=random)[:n_trusted]] = True
    return TrainingPairs(
        image=image.to(device),
        text=text.to(device),
        image_views=((image + 0.3 * normal(n, d_image)).to(device),),
        text_views=((text + 0.3 * normal(n, d_text)).to(device),) if text_view else (),
        trusted=trusted.to(device),
    )


def reference_loop(pairs: TrainingPairs) -> ReferenceLoop:
    """The plain loop on the same pairs."""
    text_view = pairs.text_views[0] if pairs.text_views else pairs.text
    return ReferenceLoop(
        pairs.image, pairs.image_views[0], pairs.text, text_view, torch.nonzero(pairs.trusted)[:, 0], N_BITS
    )


def chnr(epochs: int = 150, **settings: str) -> ResolvedMethod:
    """The method as `harness run --method chnr` resolves it."""
    return resolve_method(REGISTRY, MethodRequest("chnr", epochs=epochs, settings=settings))


def context(precision: str, device: str = "cpu", seed: int = 0) -> RunContext:
    """A run."""
    return RunContext(N_BITS, torch.device(device), seed, precision=precision)


def fit_detector(pairs: TrainingPairs, precision: str, epochs: int, device: str = "cpu") -> PairTrust:
    """The noise detector alone."""
    method = chnr()
    arguments = {**method.arguments("detector"), "epochs": epochs}
    return method.components["detector"].load()(**arguments).fit(pairs, context(precision, device))


def started_hasher(pairs: TrainingPairs, precision: str, device: str = "cpu"):
    """A hasher at the start of the noisy phase."""
    method = chnr()
    hasher = make_hasher(method)
    hasher.begin(pairs, method.phases, context(precision, device))
    hasher.begin_phase(method.phases[1], pairs, torch.arange(len(pairs), device=device))
    return hasher


def full_run(pairs: TrainingPairs, precision: str, epochs: int, device: str = "cpu") -> Fitted:
    """Detector, warm-up and noisy phase."""
    return fit_method(chnr(epochs), pairs, context(precision, device))


def best_seconds(function: Callable[[], object], repeats: int, device: str = "cpu") -> float:
    """The shortest of several runs: on a shared machine everything else only adds."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return best
