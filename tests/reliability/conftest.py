"""Fixtures of the tests of reliability; what they give is in :mod:`reliability_bench`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.append(str(HERE))

from conftest import feature_arrays  # noqa: E402 - the tests' own
from reliability_bench import Bench  # noqa: E402


@pytest.fixture(scope="session")
def server():
    """One process that forks for each command."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, str(HERE / "launcher.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment,
        start_new_session=True,
    )  # fmt: skip
    yield process
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.wait(20)
    process.stdout.close()


@pytest.fixture
def bench(server, tmp_path):
    """A place for sweeps; whatever still runs at the end is killed."""
    (tmp_path / "counted" / "trouble").mkdir(parents=True)
    np.savez(tmp_path / "small.npz", **feature_arrays(n=60, d_image=8, d_text=6, classes=4))  # type: ignore[arg-type]
    made = Bench(tmp_path, server)
    yield made
    for command in made.started:
        for pid in command.group():
            os.kill(pid, signal.SIGKILL)
