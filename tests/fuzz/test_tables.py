"""Hostile annotations of data sets: tables, JSON, lists and matrices of every layout, read and checked."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from fuzz.answers import answered
from fuzz.hostile import VALUE, as_json, changed, damaged
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts.matlab_writer import write_v5, write_v73
from layouts.miniatures import MINIATURES, REGISTRY

from harness.data.features.sources import read_dataset
from harness.data.raw import RawDataset
from harness.data.sets.check import check

PICTURES = (".jpg", ".tif", ".png")
TAGGED = "nuswide-raw"
"""A layout in which captions are tags of a vocabulary: an image may have none of them, and an empty caption. The same
holds of bags of tags, which are the text features.
"""


def annotations_of(root: Path, name: str) -> dict[str, bytes]:
    """Path to content of the annotations of a data set in miniature, which is written where it is not there yet."""
    if not root.exists():
        MINIATURES[name].write(root)
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.suffix not in PICTURES)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def rows_of(content: bytes) -> list[list[str]]:
    return [row for row in csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")) if row]


def as_csv(rows: Any) -> bytes:
    made = io.StringIO(newline="")
    lists = [row if isinstance(row, list) else [row] for row in rows] if isinstance(rows, list) else [[rows]]
    csv.writer(made).writerows([[str(field) for field in row] for row in lists])
    return made.getvalue().encode("utf-8", "surrogatepass")


@st.composite
def matrices(draw: st.DrawFn) -> dict[str, np.ndarray]:
    """Matrices as MATLAB files hold them, of any shape and type."""
    names = ["I_tr", "T_tr", "L_tr", "I_te", "T_te", "L_te", "IAll", "YAll", "LAll", "FAll", "XAll", "index", "caption",
             "label", "category"]  # fmt: skip
    made = {}
    for name in draw(st.lists(st.sampled_from(names), unique=True, min_size=1, max_size=6)):
        shape = draw(st.lists(st.integers(0, 6), min_size=1, max_size=4))
        kind = draw(st.sampled_from(["f8", "u1", "c16", "?", "i8"]))
        made[name] = np.full(shape, draw(st.sampled_from([0.0, 1.0, np.nan, np.inf, 300.0, -1.0]))).astype(kind)
    return made


@st.composite
def annotation(draw: st.DrawFn, path: str, content: bytes, place: Path) -> bytes:
    """A file of a data set with something wrong."""
    suffix = Path(path).suffix
    made = content
    if draw(st.integers(0, 3)) == 0:
        made = draw(damaged(content))
    elif suffix == ".json":
        made = as_json(draw(changed(json.loads(content.decode("utf-8-sig")))))
    elif suffix == ".jsonl":
        lines = draw(changed([json.loads(line) for line in content.decode().splitlines()]))
        made = b"\n".join(as_json(line) for line in lines) if isinstance(lines, list) else as_json(lines)
    elif suffix == ".csv":
        made = as_csv(draw(changed(rows_of(content))))
    elif suffix == ".mat":
        target = place / "made.mat"
        with np.errstate(all="ignore"):
            draw(st.sampled_from([write_v5, write_v73]))(target, draw(matrices()))
        made = target.read_bytes()
        target.unlink()
    elif suffix not in PICTURES:
        lines = draw(changed(content.decode("latin-1").splitlines()))
        made = "\r\n".join(map(str, lines)).encode("utf-8", "surrogatepass")
    return made


def check_data(data: Any, root: Path) -> None:
    """What a method could be given."""
    assert len(data) > 0
    if not isinstance(data, RawDataset):
        assert np.isfinite(data.image).all()
        assert np.isfinite(data.text).all()
        return
    assert all(isinstance(caption, str) for caption in data.captions)
    tags = root.name == TAGGED or data.text_features is not None
    assert tags or all(caption.strip() for caption in data.captions)
    assert len(set(data.filenames)) == len(data)
    for path in getattr(data.images, "paths", ()):
        assert Path(path).resolve().is_relative_to(root.resolve())


@settings(settings.get_profile("fuzz"))
@given(data=st.data(), name=st.sampled_from([*MINIATURES]))
def test_annotations_are_read_or_refused_and_checked_alike(sandbox, name, data):
    root = sandbox.data / "roots" / name
    content = annotations_of(root, name)
    chosen = data.draw(st.sampled_from([*content]), label="file")
    wrong = data.draw(annotation(chosen, content[chosen], sandbox.temporary), label="content")
    (root / chosen).write_bytes(wrong)
    card = MINIATURES[name].card
    try:
        with sandbox.untouched():
            found = answered(lambda: read_dataset(REGISTRY, card, root))
            findings = answered(lambda: check(REGISTRY, card, root))
    finally:
        (root / chosen).write_bytes(content[chosen])
    if found is not None:
        check_data(found, root)
    assert findings is not None
    if found is None:
        assert any(finding.harmful for finding in findings), "check finds nothing in what run refuses"


@settings(settings.get_profile("fuzz"))
@given(value=VALUE, column=st.sampled_from(["image", "caption", "label", "trusted", "wrong", "split"]))
def test_every_value_of_a_column_is_read_or_refused(sandbox, value, column):
    """A table of one's own is where strangers' values are seen most often."""
    root = sandbox.fresh().data / "root"
    root.mkdir()
    (root / "a.png").write_bytes(b"")
    row = {"image": "a.png", "caption": "words", "label": "x", "trusted": "1", "wrong": "0", "split": "train"}
    (root / "metadata.jsonl").write_bytes(as_json({**row, column: value}) + b"\n")
    with sandbox.untouched():
        found = answered(lambda: read_dataset(REGISTRY, MINIATURES["folder-jsonl"].card, root))
    if found is not None:
        check_data(found, root)
