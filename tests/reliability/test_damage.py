"""A disk that is full, read-only or gone in mid-sweep: one sentence, and what was finished stays."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from reliability_bench import until

EXECUTORS = pytest.mark.parametrize("executor", [("serial",), ("local", "--workers", "1")], ids=["serial", "local"])


def one_sentence(command, *parts):
    """The command failed with one clear sentence and says how to go on."""
    assert command.code() == 2, command.errors
    (error,) = [line for line in command.errors.splitlines() if line.startswith("Error: ")]
    for part in parts:
        assert part in error
    assert "Traceback" not in command.errors
    assert any(line.startswith("go on with: harness run") for line in command.errors.splitlines())


@EXECUTORS
def test_disk_that_fills_up(bench, executor):
    bench.trouble(b8_2="hold")
    command = bench.start(*bench.words("8", "0-4", "--executor", *executor))
    bench.until_begun(3)
    (bench.counted / "full").touch()  # writing fails from now on: ENOSPC
    bench.go()
    one_sentence(command, "could not be written", "No space left on device")
    command.nobody_left()
    assert set(bench.records()) == {"8-0", "8-1"}
    (bench.counted / "full").unlink()
    resumed = bench.resume(command)
    assert resumed.code() == 0, resumed.errors
    assert len(bench.records()) == 5
    bench.check_nothing_twice()


def test_real_small_disk_that_fills_up(bench):
    disk = bench.folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        results = disk / "results"
        bench.trouble(b8_2="hold")
        command = bench.start(*bench.words("8", "0-4", "--executor", "serial", "--results", results))
        bench.until_begun(3)
        ballast = disk / "ballast"
        with ballast.open("wb", buffering=0) as opened:
            try:
                while True:
                    opened.write(bytes(4096))
            except OSError:
                pass
        bench.go()
        one_sentence(command, "could not be written", "No space left on device")
        ballast.unlink()
        assert set(bench.records(results)) == {"8-0", "8-1"}
        resumed = bench.resume(command)
        assert resumed.code() == 0, resumed.errors
        assert len(bench.records(results)) == 5
    finally:
        subprocess.run(["umount", "-l", disk], check=False)


def test_folder_that_becomes_read_only(bench):
    disk = bench.folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=9m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a disk, and root may write into any folder")
    try:
        results = disk / "results"
        bench.trouble(b8_2="hold")
        command = bench.start(*bench.words("8", "0-4", "--executor", "serial", "--results", results))
        bench.until_begun(3)
        until(lambda: subprocess.run(["mount", "-o", "remount,ro", disk], capture_output=True).returncode == 0,
              "a moment in which nobody writes")  # fmt: skip
        bench.go()
        one_sentence(command, "could not be written", "Read-only file system")
        command.nobody_left()
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        resumed = bench.resume(command)
        assert resumed.code() == 0, resumed.errors
        assert len(bench.records(results)) == 5
    finally:
        subprocess.run(["umount", "-l", disk], check=False)


@EXECUTORS
def test_results_folder_that_is_removed_in_mid_sweep(bench, executor):
    bench.trouble(b8_2="hold")
    command = bench.start(*bench.words("8", "0-4", "--executor", *executor))
    bench.until_begun(3)
    bench.results.rename(bench.folder / "moved")
    bench.go()
    one_sentence(command, "results", "not there, or no longer")
    command.nobody_left()
    assert not (bench.results / "runs").exists(), "no record is put where nobody expects it"
    assert len(bench.records(bench.folder / "moved")) == 2
    shutil.rmtree(bench.folder / "moved")
    resumed = bench.resume(command)
    assert resumed.code() == 0, resumed.errors
    assert len(bench.records()) == 5


def test_folder_that_cannot_be_written_is_found_before_anything_runs(bench):
    if os.geteuid() == 0:
        results = bench.folder / "file"
        results.write_text("not a folder")
    else:
        results = bench.folder / "closed"
        results.mkdir(mode=0o500)
    command = bench.start(*bench.words("8", "0-4", "--executor", "serial", "--results", results))
    assert command.code() == 2
    assert "cannot be written" in command.errors
    assert not bench.events()
