"""What a record says of where it was made."""

from __future__ import annotations

import hashlib
import re
import subprocess
import time
from importlib import metadata

import numpy as np
import pytest
import scipy
import torch

from harness.runtime import environment as module
from harness.runtime.environment import environment, git_state, lock, versions


def test_the_environment_of_a_record():
    found = environment(torch.device("cpu"))
    assert found["versions"]["torch"] == torch.__version__
    assert found["memory_bytes"] > 2**28
    assert found["device"] == "cpu"
    assert found["threads"] == torch.get_num_threads()
    assert found["products"]["float32"] == "highest"
    assert found["implementation"] == "CPython"
    assert "device" not in environment(None)


def test_versions_are_what_libraries_say_of_themselves():
    found = versions()
    for library in (torch, np, scipy):
        assert found[library.__name__] == str(library.__version__)


def test_a_build_is_told_without_an_import(tmp_path, monkeypatch):
    for name, said in {
        "built": "__version__ = '1.0+cu130'\ngit = 'x'\n",
        "plain": "version = '9'\n",
        "bare": None,
    }.items():
        (tmp_path / f"{name}-1.0.dist-info").mkdir()
        (tmp_path / f"{name}-1.0.dist-info" / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        )
        if said:
            (tmp_path / name).mkdir()
            (tmp_path / name / "__init__.py").write_text("raise ImportError\n")
            (tmp_path / name / "version.py").write_text(said)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(module, "LIBRARIES", ("built", "plain", "bare", "absent"))
    found = versions()
    assert [found[name] for name in module.LIBRARIES] == ["1.0+cu130", "1.0", "1.0", ""]


def test_the_lock_follows_from_every_installed_distribution(monkeypatch):
    lock.cache_clear()
    first = lock()
    assert re.fullmatch(r"[0-9a-f]{16}", first)
    found = {
        re.sub(r"[-_.]+", "-", each.metadata["Name"]).lower() + "==" + each.version for each in metadata.distributions()
    }
    assert first == hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()[:16]
    some = [each for each in metadata.distributions() if each.metadata["Name"] != "torch"]
    monkeypatch.setattr(metadata, "distributions", lambda: some)
    lock.cache_clear()
    assert lock() != first
    lock.cache_clear()


def test_it_is_gathered_once_for_each_process():
    environment(None)
    start = time.perf_counter()
    environment(torch.device("cpu"))
    assert time.perf_counter() - start < 0.05


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository whose harness/runtime/environment.py this is said to be."""

    def git(*arguments):
        name = ["-c", "user.name=t", "-c", "user.email=t@t"]
        subprocess.run(["git", "-C", str(tmp_path), *name, *arguments], check=True, capture_output=True)

    (tmp_path / "harness" / "runtime").mkdir(parents=True)
    file = tmp_path / "harness" / "runtime" / "environment.py"
    file.write_text("one\n")
    monkeypatch.setattr(module, "__file__", str(file))
    git_state.cache_clear()
    yield tmp_path, git
    git_state.cache_clear()


def state():
    git_state.cache_clear()
    return git_state()


def test_commit_and_edits(checkout):
    folder, git = checkout
    assert state() == {}  # an installed package: no checkout at all
    git("init", "-q")
    assert state() == {}  # no commit yet
    git("add", ".")
    git("commit", "-q", "-m", "first")
    clean = state()
    assert re.fullmatch(r"[0-9a-f]{40}", clean["commit"])
    assert clean == {"commit": clean["commit"], "dirty": False}
    (folder / "results.txt").write_text("not part of the program")
    assert state() == clean
    (folder / "harness" / "runtime" / "environment.py").write_text("two\n")
    edited = state()
    assert (edited["commit"], edited["dirty"]) == (clean["commit"], True)
    (folder / "harness" / "runtime" / "environment.py").write_text("three\n")
    assert state()["diff"] != edited["diff"]
    (folder / "harness" / "runtime" / "environment.py").write_text("two\n")
    assert state() == edited
