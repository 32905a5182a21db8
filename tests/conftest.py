"""What many tests share: a results folder, small feature files, and the command line in this process."""

from __future__ import annotations

import json
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# One thread per worker: pytest-xdist runs several, and small matrices gain nothing from more. Set before torch is
# imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

# `python -m pytest` puts the repository root on sys.path, where the folder datasets/ could be taken for Hugging Face's
# package.
ROOT = Path(__file__).resolve().parent.parent
sys.path[:] = [place for place in sys.path if Path(place or ".").resolve() != ROOT]


collect_ignore = ["example_plugin"]
"""A package with a suite of its own, which needs it installed: tests/kit/test_example_package.py does so."""


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory, monkeypatch):
    """No test reads or writes the user's cache, data or plugins."""
    cache = tmp_path_factory.getbasetemp() / "feature-cache"
    monkeypatch.setenv("HARNESS_CACHE", str(cache))
    for name in ("HARNESS_DATA", "HARNESS_PLUGINS_DIR", "HARNESS_PLUGINS", "HARNESS_DEBUG"):
        monkeypatch.delenv(name, raising=False)


@dataclass
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def harness(capsys, monkeypatch, tmp_path):
    """Run a ``harness`` command in this process; results go to ``tmp_path/results`` unless told otherwise."""

    def run(*arguments: object) -> Result:
        from harness.cli import main

        words = [str(argument) for argument in arguments]
        verbs = ("run", "sweep", "status", "score", "show", "table", "compare", "rank", "plot", "evaluate", "results",
                 "doctor")  # fmt: skip
        of_group = words[:1] in (["results"], ["plot"]) and words[1:2] in ([], ["--help"])
        if words and words[0] in verbs and not of_group and "--results" not in words:
            words += ["--results", str(tmp_path / "results")]
        monkeypatch.setattr(sys, "argv", ["harness", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        code = stop.value.code
        return Result(code if isinstance(code, int) else 1, out, err)

    yield run
    for name in ("harness", "harness_plugins"):
        logging.getLogger(name).handlers.clear()


def feature_arrays(
    n: int = 120,
    classes: int = 6,
    d_image: int = 24,
    d_text: int = 20,
    captions: int = 2,
    seed: int = 0,
    multi: bool = False,
) -> dict[str, np.ndarray]:
    """Arrays of a small feature file in which image and caption share a latent class structure."""
    random = np.random.default_rng(seed)
    labels = np.arange(n) * classes // n
    centres = random.normal(size=(classes, 8))
    latent = centres[labels] + 0.5 * random.normal(size=(n, 8))
    caption_image = np.repeat(np.arange(n), captions)
    image = latent @ random.normal(size=(8, d_image)) + random.normal(size=(n, d_image))
    text = latent[caption_image] @ random.normal(size=(8, d_text)) + random.normal(size=(n * captions, d_text))
    if multi:
        labels = random.random((n, classes)) < 0.25
        labels[np.arange(n), np.arange(n) * classes // n] = True
    return {
        "image": image.astype(np.float32),
        "text": text.astype(np.float32),
        "caption_image": caption_image,
        "labels": labels,
        "image_aug": (image + 0.5 * random.normal(size=image.shape)).astype(np.float32),
        "text_aug": (text + 0.5 * random.normal(size=text.shape)).astype(np.float32),
    }


@pytest.fixture
def features(tmp_path):
    """A writer of feature files: ``features(n=..., drop=("labels",), extra={...})`` gives the path."""

    def write(
        name: str = "small", drop: tuple[str, ...] = (), extra: dict[str, Any] | None = None, **shape: Any
    ) -> Path:
        arrays = {key: value for key, value in feature_arrays(**shape).items() if key not in drop}
        path = tmp_path / f"{name}.npz"
        np.savez(path, **{**arrays, **(extra or {})})
        return path

    return write


@pytest.fixture
def record():
    """``record(hash=..., cell={...}, status=...)``: a valid run record with some fields changed."""
    from harness.records.schema import CellFacts, RunRecord

    def make(cell=None, **changed) -> RunRecord:
        facts = {
            "row": "cca-itq", "method": "cca-itq", "preset": "described", "hasher": "cca-itq", "detector": "none",
            "objective": None, "dataset": "small", "noise": 0.4, "protocol": "derangement", "trusted": 0.2, "bits": 16,
            "seed": 0, "data_seed": 0, "standardise": "scalar", "precision": "fp32", "limit": None, "granted": [],
            "parameters": {"hasher.ridge": 1.0}, "backbones": {"image": {"name": "given"}, "text": {"name": "given"}},
            "images": {"train": 10, "trusted": 2, "query": 2, "database": 8}, **(cell or {}),
        }  # fmt: skip
        content = {
            "hash": "0123456789ab", "status": "ok", "metrics": {"i2t": {"map": 0.5}, "t2i": {"map": None}},
            "metric_definitions": {"map": "in words"}, "queries": {"total": 2}, "identity": {"data": "d"}, "plan": None,
            "notes": [], "timings": {"total": 1.5}, "cost": {}, "environment": {"host": "h"},
            "started": "2026-01-01T00:00:00+00:00",
            "finished": "2026-01-01T00:00:02+00:00", "command": "harness run", "error": None,
        }  # fmt: skip
        return RunRecord(cell=CellFacts(**facts), **{**content, **changed})

    return make


@pytest.fixture
def prepared(features):
    """``prepared("cca-itq", plugins=[file], bits=8, seed=1)``: a job on small features, and the metrics to compute."""
    from harness.cells.request import CellRequest, MethodRequest
    from harness.cells.workbench import Workbench
    from harness.plugin.loading import load_registry

    def make(method: str = "cca-itq", plugins=(), epochs: int | None = None, settings=None, **request: Any):
        registry = load_registry(plugins)
        asked = {"features": features(), "bits": 16, **request}
        wanted = MethodRequest(method, epochs=epochs, settings=settings or {})
        job = Workbench(registry, "cpu").prepare(CellRequest(wanted, plugins=tuple(plugins), **asked))
        return job, [declared for declared in registry.all("metric") if declared.name == "map"]

    return make


@pytest.fixture
def float64():
    """New tensors are in double precision meanwhile, and torch's random numbers begin at 0."""
    import torch

    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)
