"""A worker of the local executor, before its first cell."""

from __future__ import annotations

import os

import numpy as np
import pytest
from harness_plugins.executors import local_worker

from harness.runtime.process_settings import process_settings_kept


@pytest.mark.parametrize(("asked", "expected"), [(None, "3"), ("5", "5")])
def test_a_worker_makes_features_in_as_many_threads_as_a_cell_has(monkeypatch, asked, expected):
    """Several workers share the machine; alone, a process takes all cores."""
    monkeypatch.delenv("HARNESS_LOADERS", raising=False)
    if asked:
        monkeypatch.setenv("HARNESS_LOADERS", asked)
    monkeypatch.setattr(local_worker, "_end_with", lambda parent: None)
    monkeypatch.setattr(local_worker, "_print_to", lambda log: None)
    monkeypatch.setattr(local_worker, "_numbers", None)
    with process_settings_kept():
        local_worker.begin("log", np.zeros(2, dtype=np.int64), os.getppid(), {}, 3)
        assert os.environ["HARNESS_LOADERS"] == expected
