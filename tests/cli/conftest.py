"""What tests of the command line share: tiny runs, stored records, and one-file plugins that misbehave on demand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

TINY = ("--epochs", "2", "--set", "hasher.hidden=32")

PLUGIN = """
import signal
from pathlib import Path
import torch
from harness import PairTrust, Parameter, Recipe, hookimpl

MODES = ("well", "raise", "two lines", "exit", "stop", "interrupt", "memory", "nan", "shape", "numpy", "odd state")

class Moody:
    def __init__(self, mode="well", while_there="", factor=1.0):
        self.mode, self.flag = mode, while_there

    def fit(self, pairs, trust, run):
        print("a plugin prints")
        self.weight = 1.0 * torch.randn(64, run.n_bits, generator=run.generator("w"))
        mood = self.mode if not self.flag or Path(self.flag).exists() else "well"
        if mood == "raise":
            raise ValueError("out of patience")
        if mood == "two lines":
            raise RuntimeError("one\\n   two")
        if mood == "exit":
            raise SystemExit(3)
        if mood == "stop":
            signal.raise_signal(signal.SIGTERM)
        if mood == "interrupt":
            raise KeyboardInterrupt
        if mood == "memory":
            raise MemoryError("too large")

    def encode_image(self, image):
        codes = image @ self.weight[: image.shape[1]]
        if self.mode == "nan":
            codes[0, 0] = float("nan")
        return codes.numpy() if self.mode == "numpy" else codes[:, :-1] if self.mode == "shape" else codes

    encode_text = encode_image

    def state(self):
        return {"weight": [1, 2] if self.mode == "odd state" else self.weight}


class Doubtful:
    def __init__(self, said="well", when="fit"):
        self.said, self.when = said, when

    def _trust(self, n, now):
        weight = torch.ones(n)
        if now == self.when:
            weight = {"nan": weight * float("nan"), "above 1": weight * 50, "negative": -weight, "short": weight[1:],
                      "well": weight}[self.said]
        return weight

    def fit(self, pairs, run):
        return PairTrust(self._trust(len(pairs), "fit"))

    def observe(self, evidence, run):
        return PairTrust(self._trust(len(evidence.pair_loss), "observe"))

    def weigh_batch(self, batch, learner):
        return self._trust(len(batch), "weigh_batch") if self.when == "weigh_batch" else None


@hookimpl
def register_hashers(register):
    register("moody", Moody, summary="fails on demand")

@hookimpl
def register_detectors(register):
    from harness import Need
    register("doubtful", Doubtful, summary="says nonsense on demand", needs=Need.EPOCHS)

@hookimpl
def register_methods(register):
    register("moody", Recipe("moody"), summary="fails on demand")
"""


@pytest.fixture
def tiny(harness):
    """``tiny("duch-noisy", path, ...)``: the records of a run that trains two epochs of a small network."""

    def run(method: str, path: Path, *words: object) -> list[dict[str, Any]]:
        size = () if method in ("cca-itq", "random-codes", "moody") else TINY
        size += () if "--bits" in words else ("--bits", "16")
        result = harness("run", "--method", method, "--features", path, *size, *words, "--json")
        assert result.code == 0, result.err
        return result.json

    return run


@pytest.fixture
def results(tmp_path) -> Path:
    """Where the fixture ``harness`` puts records."""
    return tmp_path / "results"


@pytest.fixture
def stored(results):
    """All records on disk by hash; nothing but finished folders may lie beside them."""

    def read() -> dict[str, dict[str, Any]]:
        runs = results / "runs"
        assert not [path for path in runs.rglob("*") if path.name.startswith(".")]
        found = {path.parent.name: json.loads(path.read_text()) for path in runs.glob("*/*/*/record.json")}
        assert {path.name for path in runs.glob("*/*/*")} == set(found), "a folder without a record"
        return found

    return read


@pytest.fixture
def arrays_of(results):
    """The arrays of a stored run."""

    def read(record: dict[str, Any]) -> dict[str, np.ndarray]:
        (path,) = results.glob(f"runs/*/*/{record['hash']}/arrays.npz")
        with np.load(path) as opened:
            return dict(opened)

    return read


@pytest.fixture
def codes_of(arrays_of):
    """The packed codes of a stored run, as bytes."""

    def read(record: dict[str, Any]) -> bytes:
        arrays = arrays_of(record)
        parts = [f"{part}_{kind}_codes" for part in ("query", "database") for kind in ("image", "text")]
        return b"".join(arrays[name].tobytes() for name in parts)

    return read


@pytest.fixture
def moody(tmp_path) -> Path:
    """A plugin file with method ``moody`` and detector ``doubtful``, which fail as a parameter asks for."""
    path = tmp_path / "moody.py"
    path.write_text(PLUGIN)
    return path
