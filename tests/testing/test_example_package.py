"""tests/example_plugin: a package of its own, built and installed by pip into a folder, and used from there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import feature_arrays

EXAMPLE = Path(__file__).resolve().parent.parent / "example_plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder into which it is installed."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(EXAMPLE, folder / "source")  # building writes beside the sources
    words = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *words, "--target", str(folder / "site"), str(folder / "source")],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture
def harness_with_it(installed, tmp_path):
    def run(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
        changed = {**os.environ, "PYTHONPATH": str(installed), **environment}
        program = [sys.executable, "-m", "harness", *map(str, words)]
        return subprocess.run(
            program, capture_output=True, text=True, timeout=200, check=False, env=changed, cwd=tmp_path
        )

    return run


def test_it_is_listed_with_version_api_and_file(harness_with_it, installed):
    done = harness_with_it("plugin", "list", "--json")
    assert done.returncode == 0, done.stderr
    (row,) = [row for row in json.loads(done.stdout) if row["name"] == "example"]
    assert row["state"] == "loaded"
    assert (row["version"], row["api"], row["origin"]) == ("0.3.0", 1, "example-harness-plugin 0.3.0")
    assert Path(row["file"]) == installed / "example_plugin" / "registration.py"


def test_it_keeps_the_contract(harness_with_it):
    done = harness_with_it("plugin", "check", "example", "--json", OMP_NUM_THREADS="1")
    outcomes = json.loads(done.stdout)
    assert not [found for found in outcomes if found["status"] in ("failed", "warning")]
    assert done.returncode == 0, done.stderr
    asked = {(found["subject"], found["check"]) for found in outcomes if found["status"] == "ok"}
    assert ("method example-projections", "worker-process") in asked
    assert ("detector example-neighbours", "trains-apart") in asked
    assert ("plugin example", "quick-to-load") in asked


def test_it_runs_and_its_detector_serves_other_hashers(harness_with_it, tmp_path):
    np.savez(tmp_path / "small.npz", **feature_arrays(n=200))
    done = harness_with_it(
        "run", "--features", "small.npz", "--method", "example-projections,cca-itq", "--detector",
        "example-neighbours", "--noise", "0.4", "--bits", "16", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    records = json.loads(done.stdout)
    assert [record["status"] for record in records] == ["ok", "ok"]
    assert [record["cell"]["hasher"] for record in records] == ["example-projections", "cca-itq"]
    assert all(record["metrics"]["detector"]["auroc"] > 0.7 for record in records)


def test_it_can_be_left_out(harness_with_it):
    for choice in ("", "-example"):
        rows = json.loads(harness_with_it("plugin", "list", "--json", HARNESS_PLUGINS=choice).stdout)
        states = {row["name"]: row["state"] for row in rows}
        assert states["example"] == "left out"
        assert states["cca-itq"] == "loaded"
    done = harness_with_it("info", "example-projections", HARNESS_PLUGINS="")
    assert done.returncode == 2
    assert "unknown name 'example-projections'" in done.stderr
