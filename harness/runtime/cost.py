"""What a cell cost: time, memory, learned numbers, speed of encoding, energy (docs/protocols-and-metrics.md).

Measuring changes no result: clocks and counters are read at the borders of phases, and items are encoded once more for
their latency only when all codes exist.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.runtime.nvml import Gpu, NoGpuCounter

if TYPE_CHECKING:
    import torch

    from harness.runtime.context import Progress

MOST_PHASES = 20
"""Phases whose epochs are counted; a component may call every step another one."""

LATENCY_REPEATS = 20
LATENCY_SECONDS = 0.03
"""Repeats stop here, for encoders that are slow."""


class Meter:
    """Clocks and counters of one cell, from its beginning to its end.

    Args:
        device: Where the cell runs.

    Attributes:
        seconds: Phase to wall-clock seconds; a phase that is entered again adds up.
        joules: Phase to joules of the GPU; empty where nothing counts them.
        epochs: Name of a training phase, or ``detector``, to its epochs.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds: dict[str, float] = {}
        self.joules: dict[str, float] = {}
        self.epochs: dict[str, Epochs] = {}
        self._stage = ""
        self._device = device
        self._most_processes = 0
        self._gpu: Gpu | None = None
        self._why_no_energy = ""
        try:
            self._gpu = Gpu(device)
            self._first_joules = self._gpu.joules()
        except NoGpuCounter as reason:
            self._gpu, self._why_no_energy = None, str(reason)
        self._of_cell = _forget_peak_memory()
        self._memory_before = _status("VmRSS")
        if device.type == "cuda":
            import torch

            torch.cuda.reset_peak_memory_stats(device)
        self._cpu, self._begin = time.process_time(), time.perf_counter()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time and energy of a ``with`` block to a phase; waits at its end until the GPU is done."""
        joules, start = self._read_joules(), time.perf_counter()
        self._stage = name
        yield
        self._synchronise()
        self._stage = ""
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
        joules = self._read_joules() - joules
        if self._gpu is not None:  # it may have stopped counting just now
            self.joules[name] = self.joules.get(name, 0.0) + joules
            self._most_processes = max(self._most_processes, self._gpu.processes())

    def hearing(self, listener: Callable[[Progress], None]) -> Callable[[Progress], None]:
        """A listener that counts the epochs of detector and training, and passes on what it hears."""

        def hear(progress: Progress) -> None:
            name = progress.phase if self._stage == "training" else self._stage
            if name in self.epochs or len(self.epochs) < MOST_PHASES:
                self.epochs.setdefault(name, Epochs()).heard(progress.epoch, time.perf_counter())
            listener(progress)

        return hear

    def finish(self) -> dict[str, Any]:
        """Set ``seconds["total"]`` and sum up what the process and the GPU counted.

        Returns:
            The entries of a record's ``cost`` that concern time, memory and energy.
        """
        self._synchronise()
        self.seconds["total"] = time.perf_counter() - self._begin
        cost: dict[str, Any] = {"cpu_seconds": round(time.process_time() - self._cpu, 6), **self._memory()}
        cost["epochs"] = {name: epochs.facts() for name, epochs in self.epochs.items()}
        total = None if self._gpu is None else self._read_joules() - self._first_joules
        counting = self._gpu is not None
        cost["energy_joules"] = round(total, 3) if counting and total is not None else None
        if counting:
            cost["energy_joules_by_phase"] = {phase: round(value, 3) for phase, value in self.joules.items()}
            cost["energy_shared"] = self._most_processes > 1 if self._most_processes else None
        else:
            cost["energy_note"] = self._why_no_energy
        return cost

    def _synchronise(self) -> None:
        if self._device.type == "cuda":
            import torch

            torch.cuda.synchronize(self._device)

    def _read_joules(self) -> float:
        """The energy counter of the GPU; 0 without one. Once it fails, the cell has no energy but the reason."""
        if self._gpu is None:
            return 0.0
        try:
            return self._gpu.joules()
        except NoGpuCounter as reason:
            self._gpu, self._why_no_energy = None, str(reason)
            return 0.0

    def _memory(self) -> dict[str, Any]:
        peak = _status("VmHWM") if self._of_cell else None
        facts: dict[str, Any] = {
            "peak_memory_bytes": _peak_of_process() if peak is None else peak,
            "peak_memory_of": "process" if peak is None else "cell",
            "memory_before_bytes": self._memory_before,
            "peak_cuda_bytes": None,
        }
        if self._device.type == "cuda":
            import torch

            facts["peak_cuda_bytes"] = torch.cuda.max_memory_allocated(self._device)
        return facts


@dataclass
class Epochs:
    """The epochs of one phase. The first one, in which libraries get ready, tells nothing of the others."""

    number: int = 0
    _last: tuple[int, float] = (0, 0.0)
    _later: int = 0
    _seconds: float = 0.0

    def heard(self, epoch: int, now: float) -> None:
        """Note that ``epoch`` (from 1, and from 1 again for another learner) ended ``now``."""
        last, before = self._last
        new = epoch - last if epoch > last else epoch
        if 0 < last < epoch:
            self._later += new
            self._seconds += now - before
        self.number += max(new, 0)
        self._last = epoch, now

    def facts(self) -> dict[str, float | None]:
        """Their number, and seconds of one of those after the first; None where there is only one."""
        return {"number": self.number, "seconds": round(self._seconds / self._later, 6) if self._later else None}


def _forget_peak_memory(clear: Path = Path("/proc/self/clear_refs")) -> bool:
    """Reset the kernel's peak of resident memory; False where that is impossible."""
    try:
        clear.write_text("5", encoding="ascii")  # proc(5): resets VmHWM to the current size, and touches nothing else
    except OSError:
        return False
    return True


def _status(key: str) -> int | None:
    """Bytes of an entry of /proc/self/status (its kB are KiB); None where there is none."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def _peak_of_process() -> int | None:
    """Most resident memory since the process began; None where the system does not count it (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def learned_numbers(component: Any) -> int | None:
    """How many numbers a fitted component keeps.

    Args:
        component: A hasher or detector.

    Returns:
        The elements of the tensors of its ``state()``; without that, of its ``parameters()``; without that, of the
        parameters of the torch modules among its attributes. None where it has nothing of that kind, or where asking
        fails: a count never ends a cell.
    """
    try:
        tensors = _tensors(component)
        return sum(tensor.numel() for tensor in tensors) if tensors is not None else None
    except Exception:
        return None


def _tensors(component: Any) -> list[Any] | None:
    import torch

    if callable(getattr(component, "state", None)):
        return list(component.state().values())
    if callable(getattr(component, "parameters", None)):
        return list(component.parameters())
    modules = [value for value in getattr(component, "__dict__", {}).values() if isinstance(value, torch.nn.Module)]
    return [tensor for module in modules for tensor in module.parameters()] if modules else None


def latency(encode_one: Callable[[NDArray[np.float32]], object], item: NDArray[np.float32]) -> float | None:
    """Median seconds that one item takes from raw features to its packed code, after one call that is not counted.

    Args:
        encode_one: (1, d) features to a code on the host.
        item: (1, d) features.

    Returns:
        The seconds; None for an encoder that cannot take one item alone.
    """
    taken: list[float] = []
    try:
        encode_one(item)
        begin = time.perf_counter()
        while len(taken) < LATENCY_REPEATS and (not taken or time.perf_counter() - begin < LATENCY_SECONDS):
            start = time.perf_counter()
            encode_one(item)
            taken.append(time.perf_counter() - start)
    except Exception:  # the codes exist: measuring must not fail a finished cell
        return None
    return round(statistics.median(taken), 9)
