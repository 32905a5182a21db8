"""Hostile records, archives of records, and a damaged index."""

from __future__ import annotations

import io
import json
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from fuzz.answers import answered
from fuzz.hostile import PATHS, TEXT, as_json, damaged, files
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.records.archive import unpacked
from harness.records.index import open_index
from harness.records.merge import merge
from harness.records.run_files import array_bytes
from harness.records.schema import RunRecord
from harness.records.store import RunStore
from harness.report.frame import load_records
from harness.report.tables import comparison_tables, render

HASH = "0123456789ab"
PLACES = [("hash",), ("cell", "method"), ("cell", "dataset"), ("command",), ("metrics", "i2t", "map")]
ARRAYS = {"n_bits": np.array(8), "query_image_codes": np.zeros((2, 1), np.uint8)}


def put(results: Path, record: bytes, cell_hash: str = HASH, arrays: bytes | None = None) -> Path:
    """A run folder with these bytes as its record."""
    folder = results / "runs" / "cca-itq" / "small" / cell_hash
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "record.json").write_bytes(record)
    (folder / "arrays.npz").write_bytes(array_bytes(ARRAYS) if arrays is None else arrays)
    return folder


def tables(results: Path) -> list[str]:
    return [render(table) for table in comparison_tables(load_records(results), "map", limited=True)]


@settings(settings.get_profile("fuzz"))
@given(data=st.data())
def test_a_record_is_read_or_refused_and_merging_it_changes_the_destination_alone(sandbox, record, data):
    sandbox.fresh()
    gift = sandbox.given / "gift"
    content = data.draw(files(record().to_json(), as_json, PLACES), label="record")
    arrays = data.draw(st.none() | damaged(array_bytes(ARRAYS)), label="arrays")
    folder = put(gift, content, arrays=arrays)
    put(sandbox.results, as_json(record(hash="ba9876543210").to_json()), "ba9876543210")
    with sandbox.untouched(gift / "index.sqlite"):
        found = answered(lambda: RunStore(gift).lookup(str(folder)))
        assert found is None or isinstance(found.record, RunRecord)
        answered(lambda: tables(gift))
    with sandbox.untouched(gift / "index.sqlite", sandbox.results):
        answered(lambda: merge([("gift", gift)], sandbox.results))
    mine = sandbox.results / "runs" / "cca-itq" / "small"
    assert (mine / "ba9876543210" / "record.json").read_bytes() == as_json(record(hash="ba9876543210").to_json())
    written = {path.relative_to(sandbox.results).parts[0] for path in sandbox.results.rglob("*")}
    assert written <= {"runs", "index.sqlite"}


MEMBERS = st.sampled_from(
    [f"runs/cca-itq/small/{HASH}/record.json", f"runs/cca-itq/small/{HASH}/arrays.npz", "index.csv", "runs/a/b/c/d/e"]
)
NAMES = MEMBERS | st.sampled_from(PATHS) | st.sampled_from(PATHS).map("runs/{}".format) | TEXT
CONTENT = st.sampled_from([b"", b"x", b"0" * 100_000])


@st.composite
def archives(draw: st.DrawFn) -> tuple[str, bytes]:
    """Name and bytes of an archive with members of all kinds, links and devices among them, now and then damaged."""
    made, name = io.BytesIO(), draw(st.sampled_from(["gift.zip", "gift.tar.gz"]))
    members = draw(st.lists(st.tuples(NAMES, CONTENT, st.sampled_from("fffflsdc"), st.sampled_from(PATHS)), max_size=5))
    try:
        if name.endswith(".zip"):
            with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
                for member, content, kind, target in members:
                    info = zipfile.ZipInfo(member)
                    if info.filename in packed.namelist():  # cut at a NUL
                        continue  # zipfile warns of it
                    link = kind in "ls"
                    info.external_attr = ((stat.S_IFLNK if link else stat.S_IFREG) | 0o644) << 16
                    packed.writestr(info, target if link else content)
        else:
            with tarfile.open(fileobj=made, mode="w:gz") as tarred:
                for member, content, kind, target in members:
                    entry = tarfile.TarInfo(member)
                    entry.type = {"f": tarfile.REGTYPE, "l": tarfile.LNKTYPE, "s": tarfile.SYMTYPE,
                                  "d": tarfile.DIRTYPE, "c": tarfile.FIFOTYPE}[kind]  # fmt: skip
                    entry.linkname, entry.size = target, len(content) if kind == "f" else 0
                    tarred.addfile(entry, io.BytesIO(content))
    except (ValueError, UnicodeError):
        pass  # a name that the format cannot hold: the archive ends there
    content = made.getvalue()
    return name, draw(damaged(content)) if draw(st.integers(0, 3)) == 0 else content


@settings(settings.get_profile("fuzz"))
@given(archive=archives())
def test_an_archive_is_taken_in_or_refused_and_nothing_else_changes(sandbox, archive):
    sandbox.fresh()
    path = sandbox.file(*archive)

    def take_in() -> Any:
        with unpacked(path) as folder:
            return merge([(path.name, folder)], sandbox.results)

    with sandbox.untouched(sandbox.results):
        answered(take_in)
    assert not list(sandbox.temporary.iterdir())


@settings(settings.get_profile("fuzz"))
@given(data=st.data())
def test_a_damaged_index_never_changes_what_the_records_say(sandbox, record, data):
    results = sandbox.fresh().results
    for number in range(3):
        cell_hash = f"{number}" * 12
        metrics = {"i2t": {"map": number / 8}, "t2i": {"map": 0.5}}
        put(results, as_json(record(hash=cell_hash, metrics=metrics).to_json()), cell_hash)

    def rows() -> list[tuple[Any, ...]]:
        with open_index(results) as index:
            return index.rows([*index.columns])

    right = rows()
    index = results / "index.sqlite"
    index.write_bytes(data.draw(damaged(index.read_bytes()), label="index"))
    assert answered(rows) == right
    assert answered(rows) == right


def test_the_valid_record_is_valid(sandbox, record):
    """Otherwise all examples would be of one kind."""
    put(sandbox.results, json.dumps(record().to_json()).encode())
    assert any("0.5" in table for table in tables(sandbox.results))
