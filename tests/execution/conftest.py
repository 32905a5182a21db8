"""A plugin whose hasher does in training and in encoding what a test says."""

from __future__ import annotations

import pytest

PLUGIN = """
import logging, sys, torch
from harness import Recipe, hookimpl

class Unforeseen(BaseException):
    pass

class WithoutText(Exception):
    def __str__(self):
        raise Unforeseen("no text")

class Projection:
    def fit(self, pairs, trust, run):
        for epoch in range(40):
            run.report(phase="fit", epoch=epoch + 1, epochs=40, loss=epoch / 2)
        logging.getLogger("elsewhere").warning("the hasher is uneasy")
        {in_fit}
        draw = lambda d: torch.randn(d, run.n_bits, generator=run.generator("map"), dtype=torch.float32)
        self.maps = draw(pairs.image.shape[1]), draw(pairs.text.shape[1])
        self.calls = 0

    def encode_image(self, image):
        values = image @ self.maps[0]
        {in_encode}
        return values

    def encode_text(self, text):
        return text @ self.maps[1]

@hookimpl
def register_hashers(register):
    register("projection", Projection, summary="test")

@hookimpl
def register_methods(register):
    register("projection", Recipe(hasher="projection"), summary="test")
"""


@pytest.fixture
def plugin(tmp_path):
    """``plugin(in_fit="raise ValueError", in_encode=...)``: the file of the method ``projection``."""

    def write(in_fit: str = "pass", in_encode: str = "pass"):
        path = tmp_path / "projection.py"
        path.write_text(PLUGIN.format(in_fit=in_fit, in_encode=in_encode))
        return path

    return write
