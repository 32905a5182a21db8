"""Several processes and one results folder: nothing lost, nothing half there; disks that fail."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from harness.errors import HarnessError
from harness.records import store as store_module
from harness.records.store import RunStore

WRITER = """
import sys, time
import numpy as np
from pathlib import Path
from harness.records.schema import record_from_json
from harness.records.store import RunStore
import json

results, number, rounds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
base = json.loads(Path(sys.argv[4]).read_text())
store = RunStore(results)
store.check_writable()
for round in range(rounds):
    for own in (False, True):
        cell_hash = f"{number:06x}{round:06x}" if own else "aaaaaaaaaaaa"
        record = record_from_json({**base, "hash": cell_hash, "notes": [f"{number}-{round}"]})
        arrays = {"query_image_codes": np.full((50, 8), number, np.uint8), "writer": np.array(f"{number}-{round}")}
        store.write(record, arrays, log_lines=[f"{number}-{round}"])
"""


@pytest.fixture
def base(tmp_path, record) -> Path:
    path = tmp_path / "base.json"
    path.write_text(json.dumps(record().to_json()))
    return path


def check_whole(folder: Path) -> str:
    """A run folder is one writer's, in all files."""
    record = json.loads((folder / "record.json").read_text())
    with np.load(folder / "arrays.npz") as stored:
        assert record["notes"] == [str(stored["writer"])]
    assert (folder / "log.txt").read_text().strip() == record["notes"][0]
    return record["hash"]


@pytest.mark.timeout(120)
def test_eight_processes_write_at_once_also_the_same_cell(tmp_path, base):
    rounds, results = 12, tmp_path / "results"
    RunStore(results).check_writable()
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(results), str(number), str(rounds), str(base)],
                         stderr=subprocess.PIPE, text=True)
        for number in range(8)
    ]  # fmt: skip
    store, seen = RunStore(results), 0
    while any(writer.poll() is None for writer in writers):
        found = store.find("cca-itq", "small", "aaaaaaaaaaaa")
        assert found is not None or not seen, "a record that was there has gone"
        seen += found is not None
        time.sleep(0.005)
    for writer in writers:
        assert writer.wait() == 0, writer.stderr.read()
        writer.stderr.close()
    folders = [path.parent for path in results.glob("runs/*/*/*/record.json")]
    assert {check_whole(folder) for folder in folders} == {"aaaaaaaaaaaa"} | {
        f"{number:06x}{round_:06x}" for number in range(8) for round_ in range(rounds)
    }
    assert not list(results.rglob(".*")), "nothing temporary stays"
    assert seen > 3


KILLED = """
import os, signal, sys
from pathlib import Path
from harness.records import store as store_module
rename = Path.rename
calls = []

def deadly(path, target):
    calls.append(path)
    if len(calls) == int(os.environ["DIES_AT"]):
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(path, target)

Path.rename = deadly
"""


@pytest.mark.parametrize("dies_at", [1, 2, 3, 4])
def test_writer_that_is_killed_between_writing_and_renaming_loses_nothing(tmp_path, base, record, dies_at):
    """Renames when a run is replaced: new into place (occupied), old aside, new into place, old to be removed."""
    results = tmp_path / "results"
    store = RunStore(results)
    store.check_writable()
    store.write(record(hash="aaaaaaaaaaaa", notes=["old"]), {"writer": np.array("old")}, log_lines=["old"])
    died = subprocess.run(
        [sys.executable, "-c", KILLED + WRITER, str(results), "1", "1", str(base)],
        env={**os.environ, "DIES_AT": str(dies_at)}, check=False,
    )  # fmt: skip
    assert died.returncode == -signal.SIGKILL
    (found,) = RunStore(results).all()
    assert found.record.notes == (["old"] if dies_at < 4 else ["1-0"])
    check_whole(found.folder)
    store.check_writable()
    assert [path.name for path in found.folder.parent.iterdir()] == ["aaaaaaaaaaaa"]


def test_full_disk_is_one_sentence_and_loses_nothing(tmp_path, record):
    """A real one: a file system of 1 MB in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        store = RunStore(place / "results")
        store.check_writable()
        store.write(record(), {"small": np.arange(3)})
        import torch

        noise = np.random.default_rng(0).integers(0, 255, 3 << 20, dtype=np.uint8)
        for arrays, model in (({"large": noise}, None), (None, {"hasher.weight": torch.from_numpy(noise)})):
            with pytest.raises(HarnessError) as raised:
                store.write(record(hash="bbbbbbbbbbbb"), arrays, model)
            message = str(raised.value)
            assert "No space left on device; make room there or name another folder with --results" in message
            assert "bbbbbbbbbbbb" in message
            assert "\n" not in message
        assert [stored.record.hash for stored in store.all()] == ["0123456789ab"]
        assert not list(place.rglob(".*"))
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_read_only_folder_is_one_sentence(tmp_path, record):
    results = tmp_path / "results"
    store = RunStore(results)
    store.check_writable()
    store.write(record())
    mounted = subprocess.run(["mount", "--bind", str(results), str(results)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(results)], check=True)
        with pytest.raises(HarnessError, match="Read-only file system; make it writable or name another folder"):
            store.write(record(hash="bbbbbbbbbbbb"))
        with pytest.raises(HarnessError, match=r"cannot be written \(Read-only file system\)"):
            store.check_writable()
        assert [stored.record.hash for stored in store.all()] == ["0123456789ab"]
    finally:
        subprocess.run(["umount", "-l", str(results)], check=True)


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "make room there or name another folder"),
        (errno.EDQUOT, "make room there or name another folder"),
        (errno.EROFS, "make it writable or name another folder"),
        (errno.EIO, ": Input/output error; name another folder"),
    ],
)
def test_error_of_the_system_says_what_to_do(tmp_path, record, monkeypatch, number, advice):
    store = RunStore(tmp_path / "results")
    store.check_writable()

    def fail(path, content):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(store_module, "write_file", fail)
    with pytest.raises(HarnessError) as raised:
        store.write(record(), {"a": np.arange(2)})
    assert advice in str(raised.value)
    assert "finished runs stay" in str(raised.value)


def test_deleted_results_folder_is_not_silently_made_again(tmp_path, record):
    store = RunStore(tmp_path / "results")
    store.check_writable()
    store.write(record())
    shutil.rmtree(store.results)
    with pytest.raises(HarnessError, match=r"results folder .* is not there, or no longer; make it again"):
        store.write(record(hash="bbbbbbbbbbbb"))
    assert not store.results.exists()


def test_folder_that_is_deleted_while_a_run_is_written_is_one_sentence(tmp_path, record, monkeypatch):
    store = RunStore(tmp_path / "results")
    store.check_writable()
    write = store_module.write_file

    def deleted(path, content):
        write(path, content)
        shutil.rmtree(store.results)

    monkeypatch.setattr(store_module, "write_file", deleted)
    with pytest.raises(HarnessError, match="is not there, or no longer"):
        store.write(record(), {"a": np.arange(2)})
    assert not store.results.exists()


def test_method_folder_that_is_deleted_is_made_again(tmp_path, record):
    store = RunStore(tmp_path / "results")
    store.check_writable()
    shutil.rmtree(store.write(record()).parents[1])
    assert store.write(record()).is_dir()
