"""How cells are run, from what was asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.api.arguments import one_each
from harness.api.how_to_run import RUNNING_OPTIONS, how_to_run, running_request
from harness.plugin.loading import load_registry


@pytest.mark.parametrize(
    ("given", "of_record", "serial", "local"),
    [(None, None, 1, 1), ("auto", None, 3, 1), ("2", None, 2, 2), (2, 5, 2, 2), (None, 5, 5, 5), ("auto", 5, 3, 1)],
)
def test_threads_are_one_or_as_asked_for(monkeypatch, given, of_record, serial, local):
    """A record that is repeated has its own; auto takes the cores of this process, unless workers share them."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 2, 5}, raising=False)
    for executor, threads in (("serial", serial), ("local", local)):
        asked = one_each({"executor": executor, **({} if given is None else {"threads": given})}, RUNNING_OPTIONS)
        how = how_to_run(load_registry(), running_request(asked), Path(), [], threads=of_record)
        assert how.settings.threads == how.session.threads == threads
