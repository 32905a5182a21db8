"""Any folder of images with a table of pairs beside it, CSV or JSON Lines: our own layout (docs/add-a-dataset.md).

The columns ``file_name`` and ``text`` of Hugging Face's ImageFolder (``metadata.csv``, ``metadata.jsonl``) are
understood, too.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from harness_plugins.layouts.captions import Captions
from harness_plugins.layouts.class_names import label_matrix, single_labels
from harness_plugins.layouts.image_names import image_paths, name_of_image
from harness_plugins.layouts.places import folder_of, layout_of, place_of, read_text
from numpy.typing import NDArray

from harness import HarnessError
from harness.data.cards import DatasetCard
from harness.data.raw import ImageFiles, RawDataset
from harness.files.looks_like import looks_like, why_unreadable
from harness.text import shown

PARAMETERS = {"unlabelled": "train"}
"""See :mod:`harness_plugins.layouts.class_names`."""

NAMES = ("metadata.csv", "metadata.jsonl", "captions.csv", "captions.jsonl", "pairs.csv", "pairs.jsonl")

COLUMNS = {
    "image": ("image", "file_name", "filename", "path", "image_path"),
    "caption": ("caption", "text", "sentence"),
    "label": ("label", "labels", "class"),
    "trusted": ("trusted",),
    "wrong": ("wrong",),
    "split": ("split",),
}
"""What a column means, and how it may be called."""

YES, NO = ("1", "true", "yes"), ("0", "false", "no", "")
PARTS = ("train", "val", "test", "restval", "query", "database")
_SEPARATOR = re.compile(r"[;|]")

Row = dict[str, Any]


def read_pairs(card: DatasetCard, root: Path | None) -> RawDataset:
    """Read a table of pairs.

    Args:
        card: The card ``folder``, or another one with this reader.
        root: The folder that holds the table.

    Returns:
        Images in the order in which they first occur. Several rows of one image are several captions. One label a row
        gives classes; several (separated by ``;`` or ``|``, or a list in JSON) give a set of labels for each image.

    Raises:
        HarnessError: The table or images are missing, or a row is wrong; the message names its line.
    """
    parameters = card.reader_parameters(PARAMETERS)
    table = _table(card, root)
    rows = list(_rows(table))
    if not rows:
        raise HarnessError(f"{table} has no rows.")
    names = [name_of_image(row.get("image"), f"{table}, line {line}: the image") for line, row in rows]
    paths = image_paths(names, [table.parent, table.parent / "images"], table)
    files = list(dict.fromkeys(paths))  # images are files: one may be named in several ways
    number_of = {path: number for number, path in enumerate(files)}
    captions = Captions(table)
    of_image: list[dict[str, tuple[int, Any]]] = [{} for _ in files]
    first: list[int] = []
    for place, (line, row) in enumerate(rows):
        number = number_of[paths[place]]
        if number == len(first):
            first.append(place)
        captions.add(number, [row.get("caption")])
        _merge(of_image[number], row, table, line)
    filenames = [names[place] for place in first]
    labels, unlabelled = _labels([own.get("label", (0, []))[1] for own in of_image], card, parameters["unlabelled"])
    masks: dict[str, NDArray[np.bool_] | None] = {
        name: np.array([bool(own[name][1]) for own in of_image]) if any(name in row for _, row in rows) else None
        for name in ("trusted", "wrong")
    }
    parts = [own.get("split", (0, ""))[1] for own in of_image]
    if any(parts) and not all(parts):
        raise HarnessError(f"{table}: image {shown(filenames[parts.index('')])} has no split, and others have one.")
    return RawDataset(
        name=card.name if layout_of(card).folder != "." else table.absolute().parent.name,
        images=ImageFiles(files),
        captions=captions.texts,
        caption_image=captions.caption_image(
            len(files), lambda at: f"line {rows[first[at]][0]} ({shown(names[first[at]])})"
        ),
        labels=labels,
        filenames=filenames,
        parts=tuple(parts) if all(parts) else None,
        unlabelled=unlabelled,
        trusted=masks["trusted"],
        wrong=masks["wrong"],
    )


def _table(card: DatasetCard, root: Path | None) -> Path:
    """The file of the pairs."""
    wanted = f"{{folder}}/ a table such as {NAMES[0]} or {NAMES[1]} and the images that it names"
    folder = folder_of(card, root, (), wanted)
    if layout_of(card).annotations:
        path = place_of(folder, layout_of(card).annotations)
        if not path.is_file():
            raise HarnessError(f"dataset {card.name!r}: {path} is missing.")
        return path
    found = [folder / name for name in NAMES if (folder / name).is_file()]
    if len(found) != 1:
        names = f"{folder} holds {' and '.join(path.name for path in found)}" if found else f"{folder} holds none"
        raise HarnessError(
            f"--dataset {card.name} reads one table ({', '.join(NAMES)}), and {names}; --dataset {card.name}:FILE "
            "names another."
        )
    return found[0]


def _rows(table: Path) -> Iterator[tuple[int, Row]]:
    """Line and content of each row, by what its columns mean."""
    text = read_text(table)
    seen = looks_like(table, "text")
    if seen:
        raise HarnessError(f"{table} is no table: it is {seen}.")
    if table.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        yield from _json_rows(table, text)
        return
    header = text.partition("\n")[0]
    delimiter = max(",\t;", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: dict[int, str] | None = None
    try:
        for fields in reader:
            if not any(field.strip() for field in fields):
                continue
            if names is None:
                names = _columns(fields, table)
                width = len(fields)
                continue
            if len(fields) != width:
                raise HarnessError(
                    f"{table}, line {reader.line_num}: {len(fields)} fields, and the header has {width}; a caption "
                    f"with {delimiter!r} in it needs quotes."
                )
            yield reader.line_num, {name: fields[place] for place, name in names.items()}
    except csv.Error as error:
        raise HarnessError(f"{table}, line {reader.line_num}: {error}.") from error


def _json_rows(table: Path, text: str) -> Iterator[tuple[int, Row]]:
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            entry = json.loads(content)
        except RecursionError as error:
            raise HarnessError(f"{table}, line {line}: no JSON (its brackets are nested too deep).") from error
        except ValueError as error:
            raise HarnessError(f"{table}, line {line}: no JSON: {why_unreadable(table, error, 'text')}.") from error
        if not isinstance(entry, dict):
            raise HarnessError(f"{table}, line {line}: expected an object, not {shown(entry)}.")
        keys = list(entry)
        yield line, {name: entry[keys[place]] for place, name in _columns(keys, table).items()}


def _columns(names: list[str], table: Path) -> dict[int, str]:
    """Place of a column to what it means; others are not used."""
    found: dict[int, str] = {}
    for place, written in enumerate(names):
        for meaning, known in COLUMNS.items():
            if written.strip().lower() in known:
                if meaning in found.values():
                    raise HarnessError(f"{table}: two columns mean the {meaning}: leave one out.")
                found[place] = meaning
    for meaning in ("image", "caption"):
        if meaning not in found.values():
            raise HarnessError(
                f"{table} has no column {meaning!r} (or {', '.join(COLUMNS[meaning][1:])}); it has "
                f"{', '.join(map(shown, names[:20]))}."
            )
    return found


def _merge(own: dict[str, tuple[int, Any]], row: Row, table: Path, line: int) -> None:
    """Put what a row says of its image beside what earlier rows said; they must agree."""
    for name in ("label", "trusted", "wrong", "split"):
        if name not in row:
            continue
        value = _value(name, row[name], table, line)
        if name in own and own[name][1] != value:
            raise HarnessError(
                f"{table}, line {line}: {name} {shown(row[name])} contradicts line {own[name][0]}, a row of the same "
                "image."
            )
        own[name] = (line, value)


def _value(name: str, value: Any, table: Path, line: int) -> Any:
    if name == "label":
        entries = value if isinstance(value, list) else _SEPARATOR.split(value) if isinstance(value, str) else [value]
        if any(isinstance(entry, list | dict) for entry in entries):
            raise HarnessError(f"{table}, line {line}: the label holds lists or objects, expected texts or numbers.")
        said = ("" if _says_nothing(entry) else str(entry).strip() for entry in entries)
        return list(dict.fromkeys(entry for entry in said if entry))
    text = "" if _says_nothing(value) else str(value).strip().lower()
    if name == "split":
        if text and text not in PARTS:
            raise HarnessError(f"{table}, line {line}: split {shown(value)} is none of {', '.join(PARTS)}.")
        return text
    if text not in (*YES, *NO):
        raise HarnessError(
            f"{table}, line {line}: {name} is {shown(value)}, expected one of 1, 0, true, false, yes, no."
        )
    return text in YES


def _says_nothing(value: Any) -> bool:
    """Null and NaN are no value."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _labels(labels: list[list[str]], card: DatasetCard, unlabelled: str) -> tuple[NDArray, NDArray[np.bool_] | None]:
    """Classes where no image has several labels, otherwise a set of labels for each."""
    if all(len(own) <= 1 for own in labels):
        return single_labels([own[0] if own else None for own in labels], card, unlabelled)
    found = label_matrix(len(labels), ((row, name) for row, own in enumerate(labels) for name in own))
    missing = np.asarray(~found.any(axis=1))
    return found, missing if missing.any() else None
