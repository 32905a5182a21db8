"""MATLAB files in which the literature on cross-modal hashing passes its data on.

Three layouts, told apart by the variables of the files:

- ``IAll`` (224 x 224 x 3 x n pixels, version 7.3), ``YAll`` (n, d) bags of tags, ``LAll`` (n, classes) 0/1, and
  ``FAll`` file names, ``XAll`` CNN features: the files of DCMH (Jiang and Li, CVPR 2017), as DJSRH, JDSH and UCCH read
  them: ``mirflickr25k-iall.mat``, ``-yall``, ``-lall``, ``-fall``, ``nus-wide-tc10-*.mat``, ``nus-wide-tc21-*.mat``,
  each in the folder or in a folder ``IAll``, ``YAll`` ... of its own; ``COCO.mat`` with ``XALL`` likewise; and all in
  one file, the pixels called ``images``: ``FLICKR-25K.mat``.
- ``I_tr``, ``T_tr``, ``L_tr``, ``I_te``, ``T_te``, ``L_te``: ready features of two parts, as the MATLAB codes of the
  shallow methods (CMFH, SCM, LEMON, FCMH) load them; ``L`` holds columns of 0/1, or one column of classes.
- ``index``, ``caption``, ``category`` (or ``label``) in ``index.mat``, ``caption.mat``, ``label.mat``: paths of
  images, sentences or tags, and 0/1, as DCHMT and the CLIP-based hashing codes after it make them; rows of characters
  are padded with blanks.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from harness_plugins.layouts.matlab_file import matlab_images, read_matlab, variables_of
from harness_plugins.layouts.places import folder_of, images_of, layout_of
from numpy.typing import NDArray

from harness import HarnessError
from harness.data.absent import names_in
from harness.data.cards import DatasetCard
from harness.data.class_labels import classes_of_column
from harness.data.features.feature_file import table_from_arrays
from harness.data.matrix_shapes import check_columns, check_numbers, check_rows, holds_integers
from harness.data.raw import ImageFiles, RawDataset
from harness.data.table import FeatureTable
from harness.files.paths_below import path_below, relative_parts

log = logging.getLogger(__name__)

TWO_PARTS = ("I_tr", "T_tr", "L_tr", "I_te", "T_te", "L_te")

KNOWN = {name.lower() for name in (*TWO_PARTS, "IAll", "XAll", "YAll", "LAll", "FAll", "index", "caption", "category")}
OTHER_NAMES = {"images": "iall"}

LAYOUTS = (
    "I_tr, T_tr, L_tr, I_te, T_te and L_te; or YAll and LAll with IAll (images), XAll or FAll; or index, caption and "
    "category (label)"
)

NAMED = 12
"""Variables that a message lists."""


@dataclass(frozen=True)
class Variables:
    """Where the variables of some MATLAB files are.

    Attributes:
        places: Name in lower case to the file and the name as it is written there.
    """

    places: dict[str, tuple[Path, str]]

    def has(self, *names: str) -> bool:
        """Whether all of them are there."""
        return all(name.lower() in self.places for name in names)

    def read(self, name: str) -> NDArray:
        """A variable."""
        path, written = self.places[name.lower()]
        return read_matlab(path, [written])[written]

    def path(self, name: str) -> Path:
        """The file of a variable."""
        return self.places[name.lower()][0]

    def files(self, *names: str) -> str:
        """The files of some variables, for messages."""
        return " and ".join(dict.fromkeys(str(self.path(name)) for name in names))

    def listed(self) -> str:
        """What is there, for messages."""
        names = [f"{written} ({path.name})" for path, written in self.places.values()]
        return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")


def find_variables(folder: Path, prefix: str = "") -> Variables:
    """The variables of the MATLAB files in a folder and the folders in it.

    Args:
        folder: The folder.
        prefix: Only files whose names begin with it, in any case; all if there are none.

    Raises:
        HarnessError: A file with that ending is no MATLAB file, or two files have the same variable.
    """
    files = sorted([*folder.glob("*.mat"), *folder.glob("*/*.mat")])
    chosen = [file for file in files if file.name.lower().startswith(prefix.lower())] or files
    return _variables(chosen)


def _variables(files: Iterable[Path]) -> Variables:
    places: dict[str, tuple[Path, str]] = {}
    for file in files:
        for name in variables_of(file):
            known = OTHER_NAMES.get(name.lower(), name.lower())
            if known in places and known in KNOWN:
                raise HarnessError(
                    f"both {places[known][0]} and {file} hold {name}: leave the one that is meant in that folder, or "
                    "name it with --dataset hashing-matrices:FILE."
                )
            places.setdefault(known, (file, name))
    return Variables(places)


def read_any_matrices(card: DatasetCard, root: Path | None) -> RawDataset | FeatureTable:
    """Read the MATLAB files of any data set.

    Args:
        card: The card ``hashing-matrices``, with the name of a file as its annotations where one is meant.
        root: The folder that holds the files.

    Returns:
        What :func:`read_matrices` finds, by the name of the folder or of the file.

    Raises:
        HarnessError: As :func:`read_matrices`, or the folder holds none of the layouts.
    """
    card.reader_parameters({})
    folder = folder_of(card, root, (), f"a MATLAB file with {LAYOUTS}")
    images, name = images_of(card, folder), folder.absolute().name
    if layout_of(card).annotations:
        file = path_below(folder, layout_of(card).annotations, f"dataset {card.name!r}")
        found, name = _variables([file]), file.stem
    else:
        found = find_variables(folder)
    data = _read(card, found, images)
    if data is None:
        raise HarnessError(
            f"dataset {card.name!r}: the MATLAB files in {folder} hold {found.listed() or 'nothing'}; expected "
            f"{LAYOUTS}."
        )
    return replace(data, name=name)


def read_matrices(
    card: DatasetCard, folder: Path, images: Path | None, prefix: str = ""
) -> RawDataset | FeatureTable | None:
    """Read whichever of the layouts is there.

    Args:
        card: The card of the data set.
        folder: Its folder.
        images: Folder of the image files, for ``FAll`` and ``index``; None if there is none.
        prefix: As in :func:`find_variables`.

    Returns:
        Images with text features or texts, ready features, or None where the folder holds no such files.

    Raises:
        HarnessError: Files are damaged, do not fit each other, or images are missing.
    """
    found = find_variables(folder, prefix)
    data = _read(card, found, images)
    if data is None and found.places:
        log.warning("%s: not used: %s; known are %s.", folder, found.listed(), LAYOUTS)
    return data


def _read(card: DatasetCard, found: Variables, images: Path | None) -> RawDataset | FeatureTable | None:
    if found.has("index", "caption") and (found.has("category") or found.has("label")):
        return _read_paths(card, found, images)
    if found.has(*TWO_PARTS):
        return _read_two_parts(card, found)
    if found.has("YAll", "LAll") and (found.has("IAll") or found.has("XAll") or found.has("FAll")):
        return _read_all(card, found, images)
    return None


def _labels(array: NDArray, where: str) -> NDArray:
    """(n, classes) 0/1 as bool, or (n, 1) numbers of classes as (n,) int64."""
    if array.ndim != 2 or array.dtype.kind not in "iubf":
        raise HarnessError(f"{where} must be (items, classes) of 0 and 1, not {array.dtype} {array.shape}.")
    array = classes_of_column(array, where)
    if array.ndim == 1:
        return _classes(array, where)
    odd = ~np.isin(array, (0, 1))
    if odd.any():
        row, column = np.argwhere(odd)[0]
        raise HarnessError(f"{where}[{row}, {column}] is {array[row, column]:g}, expected 0 or 1.")
    return array.astype(bool)


def _classes(array: NDArray, where: str) -> NDArray[np.int64]:
    """Whole numbers."""
    if not holds_integers(array):
        raise HarnessError(f"{where} must hold classes, a whole number for each item, not {array.dtype}.")
    return array.astype(np.int64)


def _texts(found: Variables, name: str) -> NDArray[np.str_]:
    """A variable of strings, (n, ...)."""
    array = found.read(name)
    if array.dtype.kind != "U":
        raise HarnessError(f"{found.path(name)}: {name} must hold text, not {array.dtype} {array.shape}.")
    return np.atleast_1d(array)


def _read_all(card: DatasetCard, found: Variables, images: Path | None) -> RawDataset | FeatureTable:
    arrays = {"YAll": found.read("YAll"), "LAll": found.read("LAll")}
    names = None
    if found.has("FAll"):
        names = [str(name) for name in _texts(found, "FAll").reshape(-1)]
        arrays["FAll"] = np.array(names)
    pixels = found.has("IAll")
    if found.has("XAll") and not pixels and (names is None or images is None):
        arrays["XAll"] = found.read("XAll")
    check_rows(found.files(*arrays), arrays)
    text, labels = arrays["YAll"], _labels(arrays["LAll"], f"{found.path('LAll')}: LAll")
    check_numbers(text, f"{found.path('YAll')}: YAll")
    number = len(text)
    if pixels:
        source: Any = matlab_images(*found.places["iall"])
        if len(source) != number:
            raise HarnessError(
                f"{source.path}: {source.name} has {len(source)} images, and {found.path('LAll')} labels of {number}."
            )
    elif "XAll" in arrays:
        check_numbers(arrays["XAll"], f"{found.path('XAll')}: XAll")
        features = {"image": arrays["XAll"], "text": text, "caption_image": np.arange(number), "labels": labels}
        if names is not None:
            features["filenames"] = np.array(names, dtype=np.str_)
        return table_from_arrays(features, card.name, str(found.path("XAll")))
    else:
        assert names is not None
        source = ImageFiles(_files(card, _folder_for(card, found, "FAll", images), names))
    return RawDataset(
        name=card.name,
        images=source,
        captions=_tag_numbers(text),
        caption_image=np.arange(number),
        labels=labels,
        filenames=names if names is not None else [f"{place}" for place in range(number)],
        text_features=np.ascontiguousarray(text, dtype=np.float32),
    )


def _folder_for(card: DatasetCard, found: Variables, name: str, images: Path | None) -> Path:
    """The folder of the images that a variable names."""
    if images is None:
        raise HarnessError(
            f"{found.path(name)} names the images, and there is no folder of them: put it beside, as "
            f"`harness info {card.name}` shows."
        )
    return images


def _tag_numbers(text: NDArray) -> list[str]:
    """The tags of each item by number: what a bag of tags without its vocabulary says in words."""
    return [" ".join(f"tag{tag}" for tag in np.flatnonzero(row)) for row in text]


def _read_two_parts(card: DatasetCard, found: Variables) -> FeatureTable:
    parts = [{name: found.read(name) for name in names} for names in (TWO_PARTS[:3], TWO_PARTS[3:])]
    where = found.files(*TWO_PARTS)
    labels = {"L_tr": parts[0]["L_tr"], "L_te": parts[1]["L_te"]}
    if all(array.ndim == 2 and 1 in array.shape for array in labels.values()):
        for part, (name, array) in zip(parts, labels.items(), strict=True):
            part[name] = array.reshape(-1, 1)  # one class for each item, in a row or a column
    image, text, both = join_parts(where, *parts)
    said = f"{found.files('L_tr', 'L_te')}: L_tr and L_te"
    sizes = [len(part[name]) for part, name in zip(parts, labels, strict=True)]
    return table_from_arrays(
        {
            "image": image,
            "text": text,
            "caption_image": np.arange(sum(sizes)),
            "labels": both.reshape(-1) if both.shape[1] == 1 else _labels(both, said),
        },
        card.name,
        where,
        parts=("train",) * sizes[0] + ("test",) * sizes[1],
    )


def join_parts(where: str, train: Mapping[str, NDArray], test: Mapping[str, NDArray]) -> list[NDArray]:
    """Matrices of two parts, each one below its other half, after a look at their shapes.

    Args:
        where: The file, for messages.
        train: Name to (items, features) matrix: of images, of texts, and last the labels (items, classes).
        test: The same of the other part.

    Returns:
        The three joined matrices.

    Raises:
        HarnessError: Rows or columns do not fit, or features are no finite numbers; the message gives all shapes.
    """
    for part in (train, test):
        check_rows(where, part)
        for name in list(part)[:-1]:
            check_numbers(part[name], f"{where}: {name}")
    joined = []
    for column, pair in zip(
        ("features", "features", "classes"), zip(train.items(), test.items(), strict=True), strict=True
    ):
        check_columns(where, dict(pair), column)
        joined.append(np.concatenate([array for _, array in pair]))
    return joined


def _read_paths(card: DatasetCard, found: Variables, images: Path | None) -> RawDataset:
    names = [str(name).strip() for name in _texts(found, "index").reshape(-1)]
    label = "category" if found.has("category") else "label"
    arrays = {"index": np.array(names), "caption": _texts(found, "caption"), label: found.read(label)}
    check_rows(found.files(*arrays), arrays)
    labels, texts = _labels(arrays[label], f"{found.path(label)}: {label}"), arrays["caption"]
    images = _folder_for(card, found, "index", images)
    captions, caption_image = [], []
    for number, row in enumerate(texts):
        flat = [str(text).strip() for text in np.ravel(row)]
        kept = [text for text in flat if text] or [""]
        captions += kept
        caption_image += [number] * len(kept)
    paths = _files(card, images, names)
    return RawDataset(
        name=card.name,
        images=ImageFiles(paths),
        captions=captions,
        caption_image=np.array(caption_image, dtype=np.int64),
        labels=labels,
        filenames=[str(path.relative_to(images)) for path in paths],
    )


def _files(card: DatasetCard, images: Path, names: list[str]) -> list[Path]:
    """Paths of images that are named by a path of another machine: as much of its end as is there.

    Raises:
        HarnessError: A name is blank.
    """
    listed: dict[str, set[str]] = {}
    found = []
    for name in names:
        written = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
        parts = relative_parts(
            "/".join(part for part in written[-3:] if not part.endswith(":")), f"dataset {card.name!r}"
        )
        for start in range(len(parts)):
            parent = "/".join(parts[start:-1])
            if parent not in listed:
                listed[parent] = names_in(images / parent)
            if parts[-1] in listed[parent]:
                found.append(images / parent / parts[-1])
                break
        else:
            if not parts:
                raise HarnessError(f"dataset {card.name!r}: {name!r} is no name of an image.")
            found.append(images / parts[-1])
    return found
