"""How many examples: a few in the suite, and as many as HARNESS_FUZZ_EXAMPLES says in a long run."""

from __future__ import annotations

import logging
import os
import shutil
from datetime import timedelta

import pytest
from fuzz.sandbox import ROOM, Sandbox
from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("HARNESS_FUZZ_EXAMPLES") or 0)

settings.register_profile(
    "fuzz",
    max_examples=EXAMPLES or 40,
    derandomize=not EXAMPLES,
    database=None,
    deadline=timedelta(seconds=20),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
settings.register_profile("fuzz-commands", settings.get_profile("fuzz"), max_examples=EXAMPLES * 3 // 200 or 15)


@pytest.fixture(scope="session")
def room():
    """The place of all sandboxes of this process."""
    yield Sandbox()
    shutil.rmtree(ROOM, ignore_errors=True)


@pytest.fixture
def sandbox(room, monkeypatch):
    """Fresh folders, in which the process is at home; a test makes them fresh again for each example."""
    room.fresh()
    monkeypatch.chdir(room.work)
    monkeypatch.setenv("HOME", str(room.home))
    monkeypatch.setenv("TMPDIR", str(room.temporary))
    monkeypatch.setenv("HARNESS_CACHE", str(ROOM / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(room.temporary))
    monkeypatch.setattr("os.fsync", lambda file: None)  # nothing here outlives a power cut, and disks take their time
    yield room
    logging.getLogger("harness").handlers.clear()
