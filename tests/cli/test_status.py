"""What ``harness status`` says of sweeps whose cells have records already and run again."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.cli.options import results_option
from harness.cli.status import _command, _seconds_left, _state
from harness.records.ends import End
from harness.sweep_state import Invocation

NOW = datetime(2026, 11, 24, 20, tzinfo=UTC)
DEAD = 2**22 + 1
"""No process has this number: it is above the largest that Linux gives."""


def ends(old: int, new: int) -> dict[str, End]:
    """Records from before and from after the command began."""
    made = [NOW - timedelta(hours=1)] * old + [NOW + timedelta(seconds=5)] * new
    return {str(at): End("ok", moment.isoformat(), None) for at, moment in enumerate(made)}


def invocation(*words: str, to_run: int = 4, pid: int = DEAD, outcome: str = "") -> Invocation:
    """A command that began at NOW."""
    argv = ("/bin/harness", "sweep", "plan.toml", *words)
    return Invocation(
        argv, socket.gethostname(), pid, "local", None, "", to_run, started=NOW.timestamp(), outcome=outcome
    )


@pytest.mark.parametrize(
    ("old", "new", "outcome", "state"),
    [
        (2, 2, "", "killed"),
        (2, 2, "stopped", "stopped"),
        (0, 4, "", "finished"),
        (0, 4, "stopped", "finished"),
        (4, 0, "finished", "finished"),
    ],
)
def test_a_sweep_that_runs_all_again_is_finished_when_all_have_run_again(old, new, outcome, state):
    assert _state(ends(old, new), [invocation("--overwrite", "always", outcome=outcome)], 0) == state


def test_time_left_counts_cells_that_run_again():
    began = datetime.now(UTC).timestamp() - 10
    running = Invocation(("harness",), "elsewhere", os.getpid(), "local", None, "", 10, started=began)
    ended = datetime.fromtimestamp(began + 5, UTC).isoformat()
    found = {str(at): End("ok", ended if at < 5 else NOW.replace(year=2020).isoformat(), None) for at in range(10)}
    assert _seconds_left(found, [running], 1) == pytest.approx(10, abs=1)


def test_the_command_that_goes_on_keeps_what_was_finished_since():
    assert _command([invocation("--overwrite", "always")]).endswith("--since 2026-11-24T20:00:00.000+00:00")
    assert _command([invocation("--overwrite=always")]).endswith("--since 2026-11-24T20:00:00.000+00:00")
    since = ("--overwrite", "always", "--since", "2026-01-01T00:00:00+00:00")
    assert _command([invocation(*since)]).endswith("--since 2026-01-01T00:00:00+00:00")
    assert "--since" not in _command([invocation()])


def test_a_results_folder_that_is_not_the_usual_one_is_named():
    assert results_option(Path("results")) == ""
    assert results_option(Path("my results")) == " --results 'my results'"
