"""A plugin file with stand-ins: two GPUs, and backbones that write down that they compute, and take their time."""

import os
import time
from pathlib import Path

import numpy as np
import torch
from harness_plugins.executors import local

from harness import hookimpl

FOLDER = Path(os.environ["COUNTED"])

if (FOLDER / "gpus").exists():
    deal = local.deal

    def dealt(session):
        """The places that two GPUs would give, with cells that run on the processor."""
        count, torch.cuda.device_count = torch.cuda.device_count, lambda: 2
        try:
            return [local.Place(place.name, "cpu", place.environment) for place in deal(session)]
        finally:
            torch.cuda.device_count = count

    local.deal = dealt


class Slow:
    def encode(self, raw, run):
        kind = type(next(iter(raw))).__name__
        with (FOLDER / "events").open("a") as events:
            events.write(f"features slow-{kind} {os.getpid()} {time.time():.6f}\n")
        time.sleep(0.5)
        rows = np.arange(len(raw), dtype=np.float32)
        return np.stack([rows % 7, rows % 11, rows % 5, rows % 3], axis=1)


@hookimpl
def register_backbones(register):
    register("slow-image", Slow, modality="image", summary="writes down that it computes")
    register("slow-text", Slow, modality="text", summary="writes down that it computes")
