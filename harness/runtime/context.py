"""The object through which a component learns about its run and reports progress."""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import HarnessError, cut
from harness.runtime.precision import BF16, CPU, FP32
from harness.runtime.seeding import frozen_global_randomness, numpy_generator, torch_generator

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Progress:
    """One piece of news from a run.

    Attributes:
        phase: What is being done.
        epoch: Steps finished.
        epochs: Steps in all.
        loss: Current loss, or None.
        rate: Steps in a second, or None.
    """

    phase: str
    epoch: int
    epochs: int
    loss: float | None = None
    rate: float | None = None

    @property
    def figure(self) -> str:
        """Loss or rate, as it is shown beside the steps; "" without either."""
        if self.loss is not None:
            return f"loss {self.loss:.4g}"
        return "" if self.rate is None else f"{self.rate:.0f} per second"

    @property
    def seconds_left(self) -> float | None:
        """Seconds that the rest takes at this rate; None where no rate is known, and at the end."""
        return (self.epochs - self.epoch) / self.rate if self.rate and self.epoch < self.epochs else None


def ignore_progress(progress: Progress) -> None:
    """A listener that does nothing."""


@dataclass(frozen=True)
class RunContext:
    """Implements :class:`harness.plugin.interfaces.Run`.

    Attributes:
        n_bits: Code length.
        device: Where the tensors are.
        seed: Training seed.
        member: Prefix of stream names, so that two co-taught learners differ.
        precision: Format of products while training: "fp32", "bf16" or "tf32".
        listener: Called with each :class:`Progress`.
    """

    n_bits: int
    device: torch.device
    seed: int = 0
    member: str = ""
    precision: str = FP32
    listener: Callable[[Progress], None] = ignore_progress

    def generator(self, stream: str) -> torch.Generator:
        """A seeded torch generator on the run's device."""
        return torch_generator(self.seed, f"{self.member}{stream}", self.device)

    def numpy_generator(self, stream: str) -> np.random.Generator:
        """A seeded numpy generator."""
        return numpy_generator(self.seed, f"{self.member}{stream}")

    def anew(self, number: int) -> RunContext:
        """The same run with new random streams, for a learner that begins again before phase ``number``."""
        return replace(self, member=f"{self.member}restart-{number}/")

    def report(
        self,
        *,
        phase: str,
        epoch: int,
        epochs: int,
        loss: float | torch.Tensor | None = None,
        rate: float | None = None,
    ) -> None:
        """Pass progress on to whoever listens."""
        self.listener(
            Progress(
                cut(str(phase)),
                int(epoch),
                int(epochs),
                None if loss is None else float(loss),
                None if rate is None else float(rate),
            )
        )

    def autocast(self) -> AbstractContextManager[None]:
        """Compute products in bf16 in a ``with`` block, under precision bf16; nothing changes under the others."""
        if self.precision != BF16:
            return nullcontext()
        import torch

        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def frozen_randomness(self) -> AbstractContextManager[None]:
        """Restore the global generators of random numbers after a ``with`` block."""
        return frozen_global_randomness()


_USUAL_DEVICE = re.compile(r"auto|(cpu|cuda|mps)(:\d+)?")


def check_device_name(name: str) -> None:
    """Check that torch knows a kind of device, which need not be in this machine.

    Args:
        name: As for :func:`choose_device`.

    Raises:
        HarnessError: It does not.
    """
    if _USUAL_DEVICE.fullmatch(name):
        return  # without the second that torch takes to load
    import torch

    try:
        torch.device(name)
    except (RuntimeError, ValueError) as error:
        raise HarnessError(
            f"--device {name}: torch knows no such device; expected auto, cpu, cuda, cuda:1 or mps."
        ) from error


def choose_device(name: str) -> torch.device:
    """The device that ``--device`` means.

    Args:
        name: "auto" (CUDA where there is one, otherwise the CPU), or a torch device such as "cpu", "cuda:1", "mps".

    Returns:
        The device.

    Raises:
        HarnessError: There is no such device here.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise HarnessError(
            f"--device {name}: torch cannot use it here ({str(error).splitlines()[0]}); --device cpu always works."
        ) from error
    return device


def device_to_plan_for(name: str) -> torch.device | str:
    """The device that ``--device`` means, as :func:`choose_device`, or "cpu" where that needs no torch to be told.

    Raises:
        HarnessError: There is no such device here.
    """
    if name == CPU or (name == "auto" and "torch" not in sys.modules and not _gpu_is_thinkable()):
        return CPU
    return choose_device(name)


def _gpu_is_thinkable(kernel: Path = Path("/dev/kfd")) -> bool:
    """Whether there is a driver through which torch could find a GPU; torch itself takes a second to load."""
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        ctypes.CDLL(library)
    except OSError:
        return kernel.exists()  # of AMD, whose libraries come with torch
    return True


def type_of(device: torch.device | str) -> str:
    """The kind of a device: "cpu", "cuda"."""
    return device if isinstance(device, str) else device.type
