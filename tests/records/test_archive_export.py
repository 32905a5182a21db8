"""Records as one file: round trips, and archives that mean harm."""

from __future__ import annotations

import builtins
import csv
import dataclasses
import io
import stat
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pytest

from harness.errors import HarnessError
from harness.files.whole import temporary_for, write_whole
from harness.records import archive as archive_module
from harness.records.archive import unpacked
from harness.records.export import export
from harness.records.index import open_index
from harness.records.schema import Failure
from harness.records.store import RunStore, record_bytes
from harness.report import load_records


@pytest.fixture
def store(tmp_path, record):
    made = RunStore(tmp_path / "results")
    made.check_writable()
    for seed in range(3):
        one = record(hash=f"{seed:012x}", cell={"seed": seed}, metrics={"i2t": {"map": seed / 7}, "t2i": {"map": None}})
        made.write(one, {"query_image_codes": np.full((3, 2), seed, np.uint8)}, log_lines=[str(seed)])
    failure = Failure(kind="E", message='with "quotes",\nand lines', traceback=[])
    made.write(record(hash="f" * 12, status="failed", metrics={}, error=failure))
    return made


def write(store, name, style, **options):
    output = store.results.parent / name
    with open_index(store.results) as index:
        return output, export(index, store.runs, output, style, **options)


def test_csv_holds_every_fact_and_metric(store):
    output, number = write(store, "table.csv", "csv")
    rows = list(csv.DictReader(io.StringIO(output.read_text())))
    assert number == len(rows) == 4
    assert [row["i2t/map"] for row in rows] == ["0.0", str(1 / 7), str(2 / 7), ""]
    assert rows[3]["error"] == 'with "quotes",\nand lines'
    frame = load_records(store.results)
    assert set(frame.columns) <= set(rows[0])


def test_parquet_keeps_kinds_and_digits(store):
    output, _ = write(store, "table.parquet", "parquet")
    frame = pd.read_parquet(output)
    assert frame["i2t/map"].tolist()[:3] == [0.0, 1 / 7, 2 / 7]
    assert frame["seed"].dtype.kind == "i"
    assert frame["precision_chosen"].dtype == bool
    assert frame["limit"].isna().all()


def test_parquet_without_pyarrow_says_what_to_install(store, monkeypatch):
    original = builtins.__import__

    def without(name, *arguments, **settings):
        if name.partition(".")[0] == "pyarrow":
            raise ImportError(name)
        return original(name, *arguments, **settings)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(HarnessError, match=r"needs pyarrow: pip install 'noisy-hashing-harness\[parquet\]'"):
        write(store, "table.parquet", "parquet")
    assert not (store.results.parent / "table.parquet").exists()


@pytest.mark.parametrize("name", ["all.tar.gz", "all.tgz", "all.zip"])
def test_archive_unpacks_to_the_same_results_folder(store, name):
    output, number = write(store, name, "archive")
    assert number == 4
    with unpacked(output) as folder:
        for path in store.runs.rglob("*"):
            if path.is_file():
                assert (folder / "runs" / path.relative_to(store.runs)).read_bytes() == path.read_bytes()
        assert sorted(path.name for path in folder.iterdir()) == ["index.csv", "runs"]
        assert len((folder / "index.csv").read_text().splitlines()) == 6  # one error has two lines
        assert [one.record for one in RunStore(folder).all()] == [one.record for one in store.all()]
    assert not folder.exists()


@pytest.mark.parametrize("name", ["all.tar.gz", "all.zip"])
def test_the_same_records_make_the_same_bytes(store, name, record):
    first = write(store, name, "archive")[0].read_bytes()
    for one in list(store.all()):
        files = {path.name: path.read_bytes() for path in one.folder.iterdir()}
        store.write_files(one.record.cell.method, one.record.cell.dataset, one.record.hash, files)
    assert write(store, name, "archive")[0].read_bytes() == first


def test_a_part_of_the_records(store):
    output, number = write(store, "some.zip", "archive", where='"seed" >= ? AND "status" = ?', values=(1, "ok"))
    assert number == 2
    with unpacked(output) as folder:
        assert [one.record.cell.seed for one in RunStore(folder).all()] == [1, 2]


@pytest.mark.parametrize(("name", "style"), [("a.csv", "csv"), ("a.parquet", "parquet"), ("a.zip", "archive")])
def test_file_is_complete_or_not_there(store, monkeypatch, name, style):
    (store.results.parent / name).write_text("old")

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("harness.files.whole.os.fsync", fail)
        with pytest.raises(HarnessError, match="No space left on device"):
            write(store, name, style)
    assert (store.results.parent / name).read_text() == "old"
    assert sorted(path.name for path in store.results.parent.iterdir()) == [name, "results"]


@pytest.mark.parametrize("style", ["csv", "parquet", "archive"])
def test_folder_that_is_not_there_is_one_sentence(store, style):
    with pytest.raises(HarnessError, match="cannot be written: No such file"):
        write(store, "nowhere/all.zip", style)


def test_archive_of_another_name_is_refused(store):
    with pytest.raises(HarnessError, match=r"NAME\.tar\.gz, NAME\.tgz or NAME\.zip"):
        write(store, "all.rar", "archive")


ATTACKS = ("../evil", "/tmp/evil-harness", "runs/../../evil", "runs/a/../../../evil", "evil", "runs\\..\\evil", "..")


@pytest.mark.parametrize("member", ATTACKS)
@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_member_that_would_land_outside_refuses_the_archive(tmp_path, member, kind):
    path = tmp_path / f"evil.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr(member, b"evil")
    else:
        with tarfile.open(path, "w:gz") as packed:
            info = tarfile.TarInfo(member)
            info.size = 4
            packed.addfile(info, io.BytesIO(b"evil"))
    with pytest.raises(HarnessError, match=r"nothing was copied|none of this program's archives"), unpacked(path):
        pass
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_link_or_device_refuses_the_archive(tmp_path, kind):
    path = tmp_path / "evil.tar.gz"
    with tarfile.open(path, "w:gz") as packed:
        info = tarfile.TarInfo("runs/m/d/h/record.json")
        info.type, info.linkname = kind, "/etc/passwd"
        packed.addfile(info)
    with pytest.raises(HarnessError, match=r"nothing was copied: evil.* holds a (link|device)"), unpacked(path):
        pass


def test_link_in_a_zip_refuses_it(tmp_path):
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as packed:
        info = zipfile.ZipInfo("runs/m/d/h")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        packed.writestr(info, "/etc")
    with pytest.raises(HarnessError, match=r"nothing was copied: evil.* holds a (link|device)"), unpacked(path):
        pass


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_bomb_is_refused_before_it_fills_the_disk(tmp_path, kind, monkeypatch):
    """1.6 MB held 1.5 GB; here it is a fiftieth of that."""
    assert max(archive_module.LIMITS.ratio * 1_600_000, archive_module.LIMITS.least) < 1_500_000_000 / 3
    monkeypatch.setattr(archive_module, "LIMITS", dataclasses.replace(archive_module.LIMITS, least=1 << 20))
    path = tmp_path / f"evil.{kind}"
    content = bytes(30_000_000)
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("runs/m/d/0123456789ab/arrays.npz", content)
    else:
        with tarfile.open(path, "w:gz") as packed:
            info = tarfile.TarInfo("runs/m/d/0123456789ab/arrays.npz")
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    with pytest.raises(HarnessError, match=r"nothing was copied: .* refused as a bomb"), unpacked(path):
        pass


@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip"])
@pytest.mark.parametrize("how", ["cut off", "no archive", "empty"])
def test_damaged_archive_is_one_sentence(store, name, how):
    path, _ = write(store, name, "archive")
    content = path.read_bytes()
    path.write_bytes({"cut off": content[: len(content) // 2], "no archive": b"text" * 100, "empty": b""}[how])
    with pytest.raises(HarnessError, match="nothing was copied") as raised, unpacked(path):
        pass
    assert "\n" not in str(raised.value)


def test_records_that_are_almost_equal_are_no_bomb(tmp_path, record):
    """They shrink to a hundredth, as nothing else does."""
    store = RunStore(tmp_path / "results")
    store.check_writable()
    for seed in range(300):
        one = record(hash=f"{seed:012x}", status="failed", cell={"seed": seed}, notes=["the same long note"] * 300)
        folder = store.folder(one.cell.method, one.cell.dataset, one.hash)
        folder.mkdir(parents=True)
        (folder / "record.json").write_bytes(record_bytes(one))
    output, number = write(store, "all.tar.gz", "archive")
    assert sum(path.stat().st_size for path in store.runs.rglob("record.json")) > 50 * output.stat().st_size
    with unpacked(output) as folder:
        assert len(list(folder.rglob("record.json"))) == number == 300


def test_folders_that_an_index_makes_up_are_not_exported(store, tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "record.json").write_text("{}")
    with open_index(store.results) as index:
        index.connection.execute("UPDATE runs SET folder = '../../secret' WHERE status = 'failed'")
        with pytest.raises(HarnessError, match="no path below its folder"):
            export(index, store.runs, tmp_path / "all.zip", "archive")
    assert not (tmp_path / "all.zip").exists()


def test_links_in_a_run_folder_are_not_followed(store, tmp_path):
    (tmp_path / "secret").write_text("secret")
    folder = next(store.all()).folder
    (folder / "link").symlink_to(tmp_path / "secret")
    output, _ = write(store, "all.zip", "archive")
    assert not [name for name in zipfile.ZipFile(output).namelist() if name.endswith("link")]


def test_what_a_killed_export_left_goes_with_the_next_one(store, tmp_path):
    killed = subprocess.run(
        [sys.executable, "-c", "import os, pathlib, sys; from harness.files.whole import write_whole\n"
         "write_whole(pathlib.Path(sys.argv[1]), '-o', lambda opened: (opened.write(b'half'), opened.flush(), "
         "os._exit(9)))",
         tmp_path / "mine.csv"],
        check=False,
    )  # fmt: skip
    assert killed.returncode == 9
    other = temporary_for(tmp_path / "other.csv")
    other.touch()
    assert len(list(tmp_path.glob(".mine.csv.new-*"))) == 1
    write_whole(tmp_path / "mine.csv", "-o", lambda opened: opened.write(b"whole"))
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [other.name, "mine.csv"]
    other.unlink()
