"""What tests of fits and models share: pairs that are a cell's training rows, and the run of that cell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.files.npz import read_npz
from harness.records.store import RunStore, StoredRun

PLUGIN = """
import torch
from harness import Need, PairTrust, Recipe, hookimpl

class Plain:
    def fit(self, pairs, trust, run):
        self.granted = pairs.granted
        pairs.image.zero_()
        self.map = torch.randn(64, run.n_bits)
        assert torch.get_default_dtype() == torch.float32

    def encode_image(self, image):
        return image @ self.map[: image.shape[1]]

    encode_text = encode_image

class WithoutText:
    def fit(self, pairs, trust, run):
        raise AssertionError("never reached")

    def encode_image(self, image):
        return image

class Careless(Plain):
    def fit(self, pairs, trust, run):
        import os, random
        import numpy as np
        super().fit(pairs, trust, run)
        np.random.seed(1), random.seed(1), torch.manual_seed(1)
        torch.set_num_threads(3)
        torch.use_deterministic_algorithms(True)
        torch.set_float32_matmul_precision("medium")
        torch.set_default_dtype(torch.float64)
        np.seterr(all="raise")
        os.environ["CARELESS"] = "1"

@hookimpl
def register_hashers(register):
    register("plain", Plain, summary="p", parameters=())
    register("classes", Plain, summary="p", parameters=(), needs=Need.CLASS_LABELS)
    register("mask", Plain, summary="p", parameters=(), needs=Need.NOISE_MASK)
    register("without-text", WithoutText, summary="p", parameters=())
    register("careless", Careless, summary="p", parameters=())

@hookimpl
def register_methods(register):
    for name in ("plain", "classes", "mask", "without-text", "careless"):
        register(name, Recipe(name), summary="p")
"""


@dataclass
class Cell:
    """A finished run, and the arrays that a fit of the same is given.

    Attributes:
        stored: The run.
        arrays: What it left behind.
        of_fit: Arguments of ``fit``.
        image, text: (n, d) features of all items.
    """

    stored: StoredRun
    arrays: dict[str, np.ndarray]
    of_fit: dict[str, Any]
    image: np.ndarray
    text: np.ndarray

    def codes_again(self, model) -> dict[str, np.ndarray]:
        """The codes of queries and database, under the names of the run's arrays."""
        return {
            f"{part}_{modality}_codes": encode(features[self.arrays[f"{part}_ids"]])
            for part in ("query", "database")
            for modality, encode, features in (
                ("image", model.encode_image, self.image), ("text", model.encode_text, self.text),
            )
        }  # fmt: skip

    def differing(self, model) -> list[str]:
        """Names of the codes that a model does not make again bit for bit."""
        return [name for name, codes in self.codes_again(model).items() if not np.array_equal(codes, self.arrays[name])]


@pytest.fixture
def pairs():
    """(60, 24) and (60, 20) features."""
    from conftest import feature_arrays

    arrays = feature_arrays(n=60, captions=1)
    return {"image": arrays["image"], "text": arrays["text"]}


@pytest.fixture
def plugin(tmp_path) -> Path:
    """A file of hashers that tests misbehave with."""
    file = tmp_path / "odd.py"
    file.write_text(PLUGIN)
    return file


@pytest.fixture
def cell(harness, features, tmp_path):
    """``cell("chnr", "--epochs", "2", trusted=True)``: a run on a feature file, whose parts lie mixed."""

    def make(method: str, *words: str, trusted: bool = False, wrong: bool = False, **more: Any) -> Cell:
        random = np.random.default_rng(5)
        n = 150
        split = random.permutation(np.repeat([0, 1, 2, 3], [60, 20, 50, 20])).astype(np.int8)
        brought = {"split": split, "trusted": trusted & (random.random(n) < 0.3)}
        if wrong:
            brought["wrong"] = (random.random(n) < 0.3) & ~brought["trusted"]
        path = features(n=n, captions=1, extra=brought, **more)
        result = harness("run", "--method", method, "--features", path, "--bits", "12", "--seed", "3", *words, "--json")
        assert result.code == 0, result.err
        stored = RunStore(tmp_path / "results").lookup(result.json[0]["hash"])
        given = read_npz(path, "--features")
        train = np.flatnonzero((split == 0) | (split == 3))
        of_fit = {
            "image": given["image"][train], "text": given["text"][train],
            "image_views": [given["image_aug"][train]], "text_views": [given["text_aug"][train]],
            "trusted": brought["trusted"][train], "wrong": brought["wrong"][train] if wrong else None,
            "labels": given["labels"][train], "bits": 12, "seed": 3,
        }  # fmt: skip
        arrays = read_npz(stored.folder / "arrays.npz", "the run's")
        return Cell(stored, arrays, of_fit, given["image"], given["text"])

    return make
