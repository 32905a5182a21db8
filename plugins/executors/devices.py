"""Places for cells: GPUs dealt out, or shares of the processor."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from harness.errors import HarnessError
from harness.execution import Session
from harness.runtime.processes import usable_cores


@dataclass(frozen=True)
class Place:
    """Where one cell at a time can run.

    Attributes:
        name: "0", "1", ...
        device: What ``--device`` would be for its cells.
        environment: Environment variables of its process; they make a single GPU visible.
    """

    name: str
    device: str
    environment: dict[str, str] = field(default_factory=dict)


def deal(session: Session) -> list[Place]:
    """The places of a machine.

    On GPUs, ``--cells-per-gpu`` for each that is visible, dealt in turn, so that fewer workers spread over all; on
    the processor one for each ``--threads`` cores.

    Raises:
        HarnessError: A device that is not here, or more workers than GPUs have room for.
    """
    gpus = visible_gpus(session.device)
    if gpus:
        count = session.workers or len(gpus) * session.cells_per_gpu
        if count > len(gpus) * session.cells_per_gpu:
            raise HarnessError(
                f"--workers {count}: {len(gpus)} GPU{'s' if len(gpus) > 1 else ''} with --cells-per-gpu "
                f"{session.cells_per_gpu} have room for {len(gpus) * session.cells_per_gpu}: raise --cells-per-gpu."
            )
        return [
            Place(str(number), "cuda", {"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]}) for number in range(count)
        ]
    device = "cpu" if session.device == "auto" else session.device
    count = session.workers or max(1, usable_cores() // session.threads)
    return [Place(str(number), device) for number in range(count)]


def visible_gpus(device: str) -> list[str]:
    """What ``CUDA_VISIBLE_DEVICES`` must be for each GPU that may be used; empty for the processor.

    Raises:
        HarnessError: The device is not here.
    """
    if device not in ("auto", "cuda") and not device.startswith("cuda:"):
        return []
    import torch

    count = torch.cuda.device_count()
    said = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [name.strip() for name in said.split(",")][:count] if said else [str(number) for number in range(count)]
    if device == "auto" or (device == "cuda" and names):
        return names
    number = device.partition(":")[2]
    if number.isdigit() and int(number) < len(names):
        return [names[int(number)]]
    raise HarnessError(f"--device {device}: there are {count} GPUs here; --device cpu always works.")
