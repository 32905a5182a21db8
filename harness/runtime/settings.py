"""How cells are run, as opposed to what they are: recorded, never hashed."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.quantities import check_whole
from harness.runtime.process_settings import process_settings_kept

if TYPE_CHECKING:
    import torch

MOST_THREADS = 4096
"""More than any machine has; the libraries end the process where they cannot start so many."""

POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""Read by BLAS and OpenMP libraries when they are loaded; those that are loaded already are told directly."""

LOADERS = "HARNESS_LOADERS"
"""Variable for the number of threads that make features; executors that run several cells at once set it for each."""

CUBLAS_WORKSPACE = ":4096:8"
"""One of the two workspaces under which cuBLAS is deterministic; torch refuses products on a GPU without it."""


@dataclass(frozen=True)
class RunSettings:
    """Settings that are the same for all cells of a grid and leave their hash alone.

    Attributes:
        device: As ``--device`` says it: "auto", "cpu", "cuda", "cuda:1".
        threads: Threads of one cell (torch, numba, BLAS). Sums are added up in another order with other threads, so
            results may differ in the last digits.
        deterministic: Only deterministic algorithms of torch, and an error where there is none.
        trackers: Trackers that hear of the cells, each as ``NAME`` or ``NAME:PARAMETER=VALUE,...``.
    """

    device: str = "auto"
    threads: int = 1
    deterministic: bool = False
    trackers: tuple[str, ...] = ()


@contextmanager
def applied(settings: RunSettings) -> Iterator[torch.device]:
    """Run under some settings, and put everything back afterwards.

    What is put back are also other global settings of torch and of the process, so that a component which changes them
    spoils its own cell alone. Meanwhile torch and numpy compute as in a fresh process, whatever a notebook has set.

    Args:
        settings: The settings.

    Yields:
        The device.

    Raises:
        HarnessError: There is no such device here, or the number of threads is below 1 or above :data:`MOST_THREADS`.
    """
    check_whole("--threads", settings.threads, 1, MOST_THREADS)
    from harness.runtime.context import choose_device

    device = choose_device(settings.device)
    with ExitStack() as stack:
        stack.enter_context(process_settings_kept())
        stack.enter_context(torch_settings_kept())
        _as_in_a_fresh_process(device, stack)
        stack.enter_context(_threads(settings.threads))
        _set_deterministic(settings.deterministic, stack)
        yield device


@contextmanager
def torch_settings_kept() -> Iterator[None]:
    """Put torch's global settings back afterwards."""
    import torch

    cudnn = torch.backends.cudnn
    dtype, threads, gradients = torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()
    deterministic, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    place, anomalies = torch.get_default_device(), torch.is_anomaly_enabled()
    products, flags = torch.get_float32_matmul_precision(), (cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32)
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        if torch.get_default_device() != place:
            torch.set_default_device(None if place.type == "cpu" else place)  # "cpu" would slow down each call
        torch.autograd.set_detect_anomaly(anomalies)
        torch.set_num_threads(threads)
        torch.set_grad_enabled(gradients)
        _deterministic_algorithms(deterministic, warn_only)
        torch.set_float32_matmul_precision(products)
        cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32 = flags


def _as_in_a_fresh_process(device: torch.device, stack: ExitStack) -> None:
    """Torch's and numpy's settings at their start: results must not depend on who calls."""
    import numpy as np
    import torch

    torch.set_default_dtype(torch.float32)
    torch.set_float32_matmul_precision("highest")
    torch.autograd.set_detect_anomaly(False)
    cudnn = torch.backends.cudnn
    cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32 = False, False, True
    if torch.get_default_device().type != "cpu":
        stack.enter_context(torch.device("cpu"))
    stack.enter_context(torch.inference_mode(False))
    stack.enter_context(torch.enable_grad())
    stack.enter_context(_no_autocast({"cpu", device.type}))
    stack.enter_context(np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"))


@contextmanager
def _no_autocast(kinds: Collection[str]) -> Iterator[None]:
    """As if no ``torch.autocast`` were around. Merely disabled, an outer one would keep the casts of weights that an
    inner one makes, and training would go on with old weights.
    """
    import torch

    enabled = {kind: torch.is_autocast_enabled(kind) for kind in kinds}
    cached, depth = torch.is_autocast_cache_enabled(), 0
    while torch.autocast_decrement_nesting() >= 0:
        depth += 1
    torch.autocast_increment_nesting()  # it went one too far
    torch.clear_autocast_cache()
    torch.set_autocast_cache_enabled(True)
    for kind in kinds:
        torch.set_autocast_enabled(kind, False)
    try:
        yield
    finally:
        torch.clear_autocast_cache()
        torch.set_autocast_cache_enabled(cached)
        for kind, was in enabled.items():
            torch.set_autocast_enabled(kind, was)
        for _ in range(depth):
            torch.autocast_increment_nesting()


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Set the threads of torch, numba, BLAS and OpenMP in a ``with`` block, also of libraries that are loaded in it."""
    import numba
    import torch
    from threadpoolctl import threadpool_limits

    before = numba.get_num_threads()  # starts numba's pool, which meddles with OpenMP's threads: so it comes first
    with environment_set(dict.fromkeys(POOLS, str(number))), threadpool_limits(limits=number):
        torch.set_num_threads(number)
        most = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]  # numba sets it when it is imported
        numba.set_num_threads(min(number, most))  # the pool never grows beyond its start
        try:
            yield
        finally:
            numba.set_num_threads(before)


def _set_deterministic(deterministic: bool, stack: ExitStack) -> None:
    import torch

    _deterministic_algorithms(deterministic)
    if deterministic:
        stack.enter_context(environment_set({"CUBLAS_WORKSPACE_CONFIG": CUBLAS_WORKSPACE}))
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False


def _deterministic_algorithms(wanted: bool, warn_only: bool = False) -> None:
    """Switch deterministic algorithms on or off, where that changes something: torch takes over a second for it."""
    import torch

    if (wanted, warn_only) != (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    ):
        torch.use_deterministic_algorithms(wanted, warn_only=warn_only)


@contextmanager
def environment_set(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables in a ``with`` block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
