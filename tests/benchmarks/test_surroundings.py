"""What stands around training and evaluation: start-up, feature extraction, writing a run, reading many."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.plugin.loading import load_registry
from harness.records.store import RunStore
from harness.runtime.context import RunContext

SCRIPT = Path(sys.executable).with_name("harness")


def ratio_to(benchmark, reference):
    """How many times as long as a plain reference, both at their best, measured in the same run."""
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        reference()
        seconds.append(time.perf_counter() - start)
    benchmark.extra_info["times the reference"] = round(benchmark.stats.stats.min / min(seconds), 2)


@pytest.mark.parametrize("words", [["--help"], ["list", "methods"], ["run", "--help"]], ids=" ".join)
def test_start(benchmark, words):
    """Reference: Python that starts and ends."""

    def start(*command):
        subprocess.run(command, capture_output=True, check=True, timeout=60)

    benchmark.pedantic(start, args=(SCRIPT, *words), rounds=10, warmup_rounds=1)
    ratio_to(benchmark, lambda: start(sys.executable, "-c", ""))


def test_handcrafted_features_of_toy_images(benchmark):
    """Reference: drawing the images alone."""
    from harness_plugins.handcrafted_features import ShapeTextureColour
    from harness_plugins.toy.scenes import CLASSES, draw_scene, render

    scenes = [draw_scene(name, 1) for name in CLASSES]
    images = [render(scene) for scene in scenes]
    run = RunContext(1, torch.device("cpu"))
    backbone = ShapeTextureColour(size=64, cell=8, bins=8)
    backbone.fit(images, run)
    benchmark(backbone.encode, images, run)
    benchmark.extra_info["images a second"] = round(len(images) / benchmark.stats.stats.min)
    ratio_to(benchmark, lambda: [render(scene) for scene in scenes])


@pytest.fixture
def finished(tmp_path):
    """A real run on a few toy images, and its arrays."""
    words = [SCRIPT, "run", "--method", "cca-itq", "--limit", "70", "--results", tmp_path / "results"]
    subprocess.run(words, capture_output=True, check=True, timeout=120)
    (stored,) = RunStore(tmp_path / "results").all()
    arrays = {"query_image_codes": np.zeros((210, 8), np.uint8), "database_image_codes": np.zeros((840, 8), np.uint8)}
    return stored.record, arrays


def test_writing_a_run(benchmark, finished, tmp_path):
    """Reference: the same bytes into one file, synced."""
    import os

    record, arrays = finished
    store = RunStore(tmp_path / "written")
    store.check_writable()
    benchmark(store.write, record, arrays)
    content = json.dumps(record.to_json(), indent=1).encode()

    def plainly():
        with (tmp_path / "plain.json").open("wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())

    ratio_to(benchmark, plainly)


def test_listing_many_runs(benchmark, finished, tmp_path):
    """300 runs read and put into a table, without torch."""
    from harness.report.frame import load_records
    from harness.report.tables import comparison_tables

    record, _ = finished
    store = RunStore(tmp_path / "many")
    store.check_writable()
    for number in range(300):
        store.write(record.model_copy(update={"hash": f"{number:012x}"}))
    benchmark.pedantic(lambda: comparison_tables(load_records(store.results), "map", limited=True), rounds=3)
    benchmark.extra_info["runs a second"] = round(300 / benchmark.stats.stats.min)


def test_registry(benchmark):
    """Every plugin found and loaded."""
    benchmark(load_registry)
