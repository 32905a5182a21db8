"""Run folders: complete or not there."""

from __future__ import annotations

import json
import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.errors import HarnessError
from harness.records import run_files
from harness.records import store as store_module
from harness.records.schema import Failure
from harness.records.store import RunStore

ARRAYS = {"query_ids": np.arange(3)}
MODEL = {"hasher.weight": torch.ones(2, 2)}


@pytest.fixture
def store(tmp_path):
    made = RunStore(tmp_path / "results")
    made.check_writable()
    return made


@pytest.fixture
def notes(caplog, monkeypatch):
    """Notes of the harness; the command line may have cut the logger off in an earlier test."""
    logger = logging.getLogger("harness")
    monkeypatch.setattr(logger, "propagate", True)
    monkeypatch.setattr(logger, "handlers", [])
    caplog.set_level(logging.WARNING, logger="harness")
    return caplog


def everything_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.exists() else []


def test_finished_run_lies_whole_under_method_data_set_and_hash(store, record):
    folder = store.write(record(), ARRAYS, MODEL, ["line 1", "line 2"])
    assert folder == store.runs / "cca-itq" / "small" / "0123456789ab"
    assert everything_below(folder) == ["arrays.npz", "log.txt", "model.safetensors", "record.json"]
    assert everything_below(folder.parent)[0] == "0123456789ab", "nothing temporary is left"
    found = store.find("cca-itq", "small", "0123456789ab")
    assert found.record == record()
    assert found.folder == folder
    with np.load(folder / "arrays.npz") as stored:
        assert np.array_equal(stored["query_ids"], ARRAYS["query_ids"])
    assert (folder / "log.txt").read_text() == "line 1\nline 2\n"


def test_others_may_read_a_run(store, record):
    before = os.umask(0o022)
    try:
        folder = store.write(record(), ARRAYS, MODEL, ["line"])
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}


def test_failed_run_has_no_arrays(store, record):
    failed = record(status="failed", error=Failure(kind="E", message="m", traceback=[]))
    assert everything_below(store.write(failed, log_lines=["m"])) == ["log.txt", "record.json"]


def test_record_is_json_that_any_program_reads(store, record):
    content = json.loads((store.write(record()) / "record.json").read_text(), parse_constant=pytest.fail)
    assert content["metrics"]["t2i"]["map"] is None


STAGES = {"arrays": (store_module, "array_bytes"), "record": (store_module, "write_file"), "sync": (os, "fsync"),
          "folder": (store_module, "sync_folder"), "rename": (Path, "rename")}  # fmt: skip
ADDRESSED = ["record", "sync", "folder", "rename"]
"""Stages in which the store talks to the disk."""


@pytest.mark.parametrize("stage", ADDRESSED)
@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
def test_interrupted_write_leaves_nothing(store, record, monkeypatch, stage, failure):
    def fail(*arguments, **settings):
        raise failure

    with monkeypatch.context() as patched:
        patched.setattr(*STAGES[stage], fail)
        with pytest.raises(HarnessError if isinstance(failure, OSError) else type(failure)) as raised:
            store.write(record(), ARRAYS, MODEL, ["log"])
    if isinstance(failure, OSError):
        assert "No space left on device; make room there" in str(raised.value)
    assert not [path for path in store.runs.rglob("*") if path.is_file()]
    assert set(everything_below(store.runs)) <= {"cca-itq", "cca-itq/small"}
    assert store.find("cca-itq", "small", "0123456789ab") is None
    store.write(record(), ARRAYS)
    assert store.find("cca-itq", "small", "0123456789ab").record == record()


@pytest.mark.parametrize("stage", ["record", "sync", "folder"])
def test_failed_replacement_keeps_the_old_run(store, record, monkeypatch, stage):
    old = record(notes=["old"])
    folder = store.write(old, ARRAYS, MODEL, ["old"])
    before = everything_below(store.runs)

    def fail(*arguments, **settings):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(*STAGES[stage], fail)
        with pytest.raises(HarnessError, match="could not be written"):
            store.write(record(notes=["new"]), ARRAYS)
    assert everything_below(store.runs) == before
    assert store.find("cca-itq", "small", folder.name).record == old


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_old_run_comes_back_when_a_rename_fails(store, record, monkeypatch, failing):
    old = record(notes=["old"])
    folder = store.write(old, ARRAYS)
    rename, calls = Path.rename, []

    def sometimes(path, target):
        calls.append(target)
        if len(calls) == failing:
            raise OSError(5, "Input/output error")
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", sometimes)
        with pytest.raises(HarnessError, match="Input/output error"):
            store.write(record(notes=["new"]))
    assert folder.is_dir(), "it is back at once, not only when somebody looks for it"
    assert store.find("cca-itq", "small", folder.name).record == old
    assert everything_below(folder.parent) == [folder.name, f"{folder.name}/arrays.npz", f"{folder.name}/record.json"]


def test_replacement_leaves_no_file_of_the_old_run(store, record):
    store.write(record(notes=["old"]), ARRAYS, MODEL, ["old"])
    folder = store.write(record(notes=["new"]))
    assert everything_below(folder.parent) == [folder.name, f"{folder.name}/record.json"]
    assert store.find("cca-itq", "small", folder.name).record.notes == ["new"]


@pytest.fixture
def killed_between_renames(store, record):
    """A run whose replacement was killed when the old run had stepped aside and the new one was not yet in place."""
    folder = store.write(record(notes=["old"]), ARRAYS)
    folder.rename(folder.with_name(f".{folder.name}.old"))
    shutil.copytree(folder.with_name(f".{folder.name}.old"), folder.with_name(f".{folder.name}.new-abc123"))
    return folder


def test_run_that_stepped_aside_is_recovered(store, killed_between_renames):
    assert store.find("cca-itq", "small", killed_between_renames.name).record.notes == ["old"]
    assert (killed_between_renames / "arrays.npz").is_file()


def test_run_that_stepped_aside_is_recovered_for_tables_too(store, killed_between_renames):
    assert [stored.record.notes for stored in store.all()] == [["old"]]


def test_run_that_stepped_aside_is_recovered_for_lookup_too(store, killed_between_renames):
    # once: see above.
    assert store.lookup(killed_between_renames.name).record.notes == ["old"]


def test_left_over_aside_folder_does_not_stop_a_write(store, record):
    folder = store.write(record(notes=["old"]))
    shutil.copytree(folder, folder.with_name(f".{folder.name}.old"))
    store.write(record(notes=["new"]))
    assert everything_below(folder.parent) == [folder.name, f"{folder.name}/record.json"]


def test_hidden_folders_are_no_runs(store, record):
    folder = store.write(record())
    for hidden in (f".{folder.name}.old", f".{folder.name}.new-x1y2", ".something"):
        shutil.copytree(folder, folder.with_name(hidden))
    shutil.copytree(store.runs / "cca-itq", store.runs / ".cca-itq-copy")
    assert [stored.folder for stored in store.all()] == [folder]


def test_all_is_sorted_and_empty_without_a_folder(store, record):
    assert list(RunStore(store.results / "nothing").all()) == []
    for method, number in (("b", "222222222222"), ("a", "333333333333"), ("b", "111111111111")):
        store.write(record(hash=number, cell={"method": method}))
    assert [stored.record.hash for stored in store.all()] == ["333333333333", "111111111111", "222222222222"]


def damage(folder: Path, how: str) -> None:
    path = folder / "record.json"
    content = json.loads(path.read_text())
    path.write_bytes(
        {
            "cut off": path.read_bytes()[:100],
            "empty": b"",
            "no text": b"\xff\xfe\x00",
            "a list": b"[1, 2]",
            "another schema": json.dumps({**content, "schema": 99}).encode(),
            "an unknown field": json.dumps({**content, "extra": 1}).encode(),
            "foreign": b'{"name": "my own json"}',
        }[how]
    )


DAMAGES = ["cut off", "empty", "no text", "a list", "another schema", "an unknown field", "foreign"]


@pytest.mark.parametrize("how", DAMAGES)
def test_damaged_record_is_left_out_with_a_note_and_counts_as_missing(store, record, notes, how):
    good = store.write(record(hash="aaaaaaaaaaaa"))
    bad = store.write(record(hash="bbbbbbbbbbbb"))
    damage(bad, how)
    assert [stored.folder for stored in store.all()] == [good]
    assert f"{bad / 'record.json'} is left out" in notes.text
    notes.clear()
    assert store.find("cca-itq", "small", bad.name) is None
    assert "counts as missing" in notes.text
    assert all("\n" not in entry.getMessage() for entry in notes.records)
    store.write(record(hash="bbbbbbbbbbbb"))
    assert store.find("cca-itq", "small", bad.name) is not None


@pytest.mark.parametrize("how", DAMAGES)
def test_lookup_of_a_damaged_record_is_an_error(store, record, how):
    folder = store.write(record())
    damage(folder, how)
    with pytest.raises(HarnessError, match="is no sound record"):
        store.lookup(folder.name)


def test_lookup_by_prefix_folder_and_file(store, record):
    folder = store.write(record(hash="abc123abc123"))
    store.write(record(hash="abd123abc123"))
    for name in ("abc", "abc123abc123", str(folder), f"{folder}/", str(folder / "record.json")):
        assert store.lookup(name).folder == folder, name


def test_lookup_by_prefix_in_capitals(store, record):
    # once: capitals pass for a hash and are then looked for as they are.
    folder = store.write(record(hash="abc123abc123"))
    assert store.lookup("ABC123").folder == folder


def test_lookup_of_an_ambiguous_prefix_names_the_candidates(store, record):
    for number in ("abc111111111", "abc222222222"):
        store.write(record(hash=number))
    with pytest.raises(HarnessError, match=r"'abc' begins the hashes of 2 runs: abc111111111, abc222222222"):
        store.lookup("abc")


def test_lookup_of_a_hash_that_lies_in_two_folders_names_the_folders(store, record):
    for dataset in ("a", "b"):
        folder = store.runs / "m" / dataset / "abc111111111"
        folder.mkdir(parents=True)
        (folder / "record.json").write_text(json.dumps(record(hash="abc111111111").to_json()))
    with pytest.raises(HarnessError, match=r"2 runs: m/a/abc111111111, m/b/abc111111111; name one by its folder in "):
        store.lookup("abc")


@pytest.mark.parametrize("name", ["fff", "ab", "", "nonsense", "*", "../..", "."])
def test_lookup_of_something_unknown_says_where_runs_are_listed(store, record, name):
    store.write(record(hash="abc123abc123"))
    with pytest.raises(HarnessError, match=r"no run .*harness table --runs"):
        store.lookup(name)


def test_names_that_are_no_folder_names_are_made_safe(store, record):
    names = {"method": "external:../../evil", "dataset": ".hid/den \u00fc"}
    folder = store.write(record(cell=names))
    assert store.runs in folder.resolve().parents
    assert len(folder.relative_to(store.runs).parts) == 3
    assert store.find(names["method"], names["dataset"], "0123456789ab").record.cell.method == names["method"]
    assert [stored.folder for stored in store.all()] == [folder]


@pytest.mark.parametrize("where", ["a file", "below a file"])
def test_results_folder_that_cannot_be_written_is_found_out_before_the_run(tmp_path, record, where):
    (tmp_path / "file").write_text("in the way")
    store = RunStore(tmp_path / "file" if where == "a file" else tmp_path / "file" / "results")
    with pytest.raises(HarnessError, match=r"--results .*file.* cannot be written .*name a folder that can"):
        store.check_writable()
    with pytest.raises(HarnessError, match="could not be written"):
        store.write(record())


def test_read_only_results_folder_is_found_out_before_the_run(tmp_path, monkeypatch):
    def refuse(*arguments, **settings):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(store_module.tempfile, "TemporaryFile", refuse)
    with pytest.raises(HarnessError, match="Permission denied"):
        RunStore(tmp_path / "results").check_writable()


def test_check_leaves_nothing_but_the_folder(store):
    store.check_writable()
    assert everything_below(store.results) == ["runs"]


def test_model_over_the_size_limit_is_not_saved_and_one_at_the_limit_is(store, record, monkeypatch):
    monkeypatch.setattr(run_files, "MODEL_LIMIT_BYTES", 16)
    assert (store.write(record(), ARRAYS, {"a": torch.ones(2), "b": torch.ones(2)}) / "model.safetensors").is_file()
    folder = store.write(record(), ARRAYS, {"a": torch.ones(2), "b": torch.ones(2, dtype=torch.float64)})
    assert everything_below(folder) == ["arrays.npz", "record.json"]


def test_model_whose_tensors_share_memory_is_saved(store, record):
    weight = torch.arange(6.0).reshape(2, 3)
    folder = store.write(record(), ARRAYS, {"a": weight, "b": weight, "c": weight.T})
    from safetensors.torch import load_file

    assert torch.equal(load_file(folder / "model.safetensors")["c"], weight.T)


def test_object_arrays_are_never_pickled(store, record):
    with pytest.raises(ValueError, match="pickle"):
        store.write(record(), {"bad": np.array([None, {}], dtype=object)})
    assert not [path for path in store.runs.rglob("*") if path.is_file()]


@pytest.mark.parametrize("changed", [{"schema": {"long " * 2000: 1}}, {"long " * 2000: 1}, {"schema": 10**4000}])
def test_a_record_that_is_none_is_told_shortly(store, record, changed):
    folder = store.write(record())
    (folder / "record.json").write_text(json.dumps({**record().to_json(), **changed}))
    with pytest.raises(HarnessError, match="is no sound record") as error:
        store.lookup(str(folder))
    assert len(str(error.value).replace(str(folder), "")) < 400
