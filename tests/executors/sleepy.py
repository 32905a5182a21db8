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
        if self.mode == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.mode == "hold":
            self.held = torch.ones(200_000_000)  # 800 MB
        time.sleep(self.seconds)

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
            Parameter("mode", "well", "What happens.", ("well", "die", "hold")),
            Parameter("journal", "", "File to append to."),
        ],
    )


@hookimpl
def register_methods(register):
    register("sleepy", Recipe("sleepy"), summary="rests, then draws a random projection")
