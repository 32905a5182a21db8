"""A one-file plugin whose cells take as long, hold as much and end as badly as a test wants.

Each fit appends a line to a file, so that a test can count how often each cell was computed.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import torch

from harness import Parameter, Recipe, hookimpl

MIXED = ("hang", "hold", "die", "well")
"""What the mode "mixed" does with seeds 0 to 3."""


class Sleepy:
    """Random projections after a rest."""

    def __init__(self, seconds=0.0, mode="well", journal=""):
        self.seconds, self.mode, self.journal = seconds, mode, journal

    def fit(self, pairs, trust, run):
        if self.journal:
            with Path(self.journal).open("a") as opened:
                opened.write(f"{run.n_bits} {run.seed} {os.getpid()}\n")
        print("a plugin prints", flush=True)
        self.weight = torch.randn(64, run.n_bits, generator=run.generator("w"))
        mode = MIXED[run.seed] if self.mode == "mixed" else self.mode
        if mode == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if mode == "hold":
            self.held = torch.ones(400_000_000)  # 1.6 GB
        time.sleep(self.seconds if mode == "well" else 120)

    def encode_image(self, image):
        return image @ self.weight[: image.shape[1]]

    encode_text = encode_image

    def state(self):
        return {"weight": self.weight}


@hookimpl
def register_hashers(register):
    register(
        "sleepy",
        Sleepy,
        summary="rests, then draws a random projection",
        parameters=[
            Parameter("seconds", 0.0, "Rest."),
            Parameter("mode", "well", "What happens.", ("well", "mixed")),
            Parameter("journal", "", "File to append to."),
        ],
    )


@hookimpl
def register_methods(register):
    register("sleepy", Recipe("sleepy"), summary="rests, then draws a random projection")
