"""Processes that others leave behind are ended; our own are not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from harness.runtime import processes
from harness.runtime.processes import no_child_left


@pytest.fixture
def sleeper():
    """A process that was there before."""
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_what_begins_meanwhile_is_ended_and_named(sleeper):
    said = []
    with no_child_left(said.append):
        left = subprocess.Popen(["sleep", "61"])
    assert not processes.process_exists(left.pid)
    left.wait()
    assert said == [f"left behind by a plugin and ended: process {left.pid} (sleep 61)"]
    assert sleeper.poll() is None


def test_what_ends_by_itself_or_is_ours_is_left_alone(monkeypatch):
    monkeypatch.setattr(processes, "OURS", ("sleep 62",))
    said = []
    with no_child_left(said.append):
        brief = subprocess.Popen(["true"])
        ours = subprocess.Popen(["sh", "-c", "sleep 62; true"], start_new_session=True)
    assert said == []
    assert ours.poll() is None
    os.killpg(ours.pid, signal.SIGKILL)
    ours.wait()
    brief.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux only")
def test_what_lost_its_parent_is_ended_too():
    said = []
    with no_child_left(said.append):
        shell = "sleep 63 >/dev/null 2>&1 & echo $!"
        number = int(subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True).stdout)
    assert said == [f"left behind by a plugin and ended: process {number} (sleep 63)"]
    assert not processes.process_exists(number)
