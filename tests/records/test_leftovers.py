"""What killed processes leave beside the runs, and what becomes of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.files.whole import STALE_SECONDS, is_abandoned, owner, temporary_for
from harness.records import leftovers
from harness.records.leftovers import (
    abandoned,
    aside_of,
    put_back,
    remove_abandoned,
    step_aside,
)
from harness.records.store import RunStore


@pytest.fixture
def store(tmp_path):
    made = RunStore(tmp_path / "results")
    made.check_writable()
    return made


@pytest.fixture
def folder(store, record):
    return store.write(record())


@pytest.fixture(scope="module")
def dead() -> str:
    """The owner name of a process that is no more."""
    program = "from harness.files.whole import owner; print(owner())"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_owner_says_who_and_is_never_the_same():
    assert owner() != owner()
    assert f"-{os.getpid()}-" in owner()


def test_temporary_folder_of_a_living_process_is_nobody_else_s_business(folder):
    mine = temporary_for(folder)
    mine.mkdir()
    assert not is_abandoned(mine)
    assert remove_abandoned(folder.parents[2]) == 0
    assert mine.is_dir()


def test_temporary_folder_of_a_dead_process_goes_when_a_run_starts(store, folder, dead):
    left = folder.with_name(f".{folder.name}.new-{dead}")
    left.mkdir()
    (left / "arrays.npz").write_bytes(b"half")
    assert list(abandoned(store.runs)) == [left]
    store.check_writable()
    assert names(folder.parent) == [folder.name]


def test_temporary_folder_of_another_machine_stays_a_day(store, folder, dead):
    host, _, pid, token = dead.rsplit("-", 3)
    elsewhere = folder.with_name(f".{folder.name}.new-{host}-00000000-{pid}-{token}")
    nameless = folder.with_name(f".{folder.name}.new-x1y2")
    for left in (elsewhere, nameless):
        left.mkdir()
    store.check_writable()
    assert elsewhere.is_dir()
    assert nameless.is_dir()
    long_ago = time.time() - STALE_SECONDS - 10
    for left in (elsewhere, nameless):
        os.utime(left, (long_ago, long_ago))
    store.check_writable()
    assert names(folder.parent) == [folder.name]


def set_aside_by(folder, who):
    aside = aside_of(folder)
    aside.mkdir(exist_ok=True)
    folder.rename(aside / who)
    return aside / who


def test_run_of_a_dead_writer_is_put_back_at_once(folder, dead):
    set_aside_by(folder, dead)
    start = time.monotonic()
    put_back(folder)
    assert time.monotonic() - start < leftovers.PATIENCE_SECONDS / 2
    assert names(folder.parent) == [folder.name]
    assert (folder / "record.json").is_file()


def test_run_of_a_living_writer_is_left_to_him_for_a_while(folder, monkeypatch):
    monkeypatch.setattr(leftovers, "PATIENCE_SECONDS", 0.2)
    step_aside(folder)
    start = time.monotonic()
    put_back(folder)
    assert time.monotonic() - start >= 0.2
    assert (folder / "record.json").is_file()


def test_reader_who_waits_sees_the_new_run(store, folder, record, monkeypatch):
    """Nothing is put back where the writer is only about to finish."""
    monkeypatch.setattr(leftovers, "PATIENCE_SECONDS", 30)
    aside = step_aside(folder)
    new = temporary_for(folder)
    shutil.copytree(aside, new)
    (new / "new").touch()
    monkeypatch.setattr(leftovers.time, "sleep", lambda seconds: new.rename(folder))
    put_back(folder)
    assert (folder / "new").exists()
    assert aside.exists(), "it is the writer's to remove"


def test_newest_of_several_runs_that_stepped_aside_is_put_back(store, folder, record, dead):
    old = set_aside_by(folder, dead)
    os.utime(old, (1, 1))
    newer = set_aside_by(store.write(record(notes=["newer"])), f"{dead}0")
    assert newer.exists()
    put_back(folder)
    assert store.find("cca-itq", "small", folder.name).record.notes == ["newer"]
    store.check_writable()
    assert names(folder.parent) == [folder.name]


def test_run_with_a_successor_is_removed_when_its_owner_is_dead(store, folder, record, dead):
    set_aside_by(folder, dead)
    old = aside_of(folder)
    hidden = old.with_name("hidden")
    old.rename(hidden)
    store.write(record(notes=["successor"]))
    hidden.rename(old)
    assert list(abandoned(store.runs)) == [old / dead]
    store.check_writable()
    assert names(folder.parent) == [folder.name]
    assert store.find("cca-itq", "small", folder.name).record.notes == ["successor"]


def test_step_aside_of_a_run_that_another_process_has_moved_is_nothing(folder):
    assert step_aside(folder) is not None
    assert step_aside(folder) is None


def test_files_that_are_no_run_are_never_put_back(folder, dead):
    shutil.rmtree(folder)
    aside = aside_of(folder)
    aside.mkdir()
    (aside / "notes.txt").write_text("a user's")
    put_back(folder)
    assert not folder.exists()
    assert (aside / "notes.txt").exists()


def test_place_that_vanishes_between_two_questions_of_mkdir_is_made_again(tmp_path, monkeypatch):
    folder = tmp_path / "aaaaaaaaaaaa"
    folder.mkdir()
    real, calls = Path.mkdir, []

    def mkdir(self, *arguments, **named):
        calls.append(self)
        if len(calls) == 1:
            raise FileExistsError(17, "File exists", str(self))
        return real(self, *arguments, **named)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    assert step_aside(folder).is_dir()
    assert not folder.exists()
