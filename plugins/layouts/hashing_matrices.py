"""MATLAB files in which the literature on cross-modal hashing passes its data on.

Three layouts, told apart by the variables of the files:

- ``IAll`` (224 x 224 x 3 x n pixels, version 7.3), ``YAll`` (n, d) bags of tags, ``LAll`` (n, classes) 0/1, and
  ``FAll`` file names, ``XAll`` CNN features: the files of DCMH (Jiang and Li, CVPR 2017), as DJSRH, JDSH and UCCH read
  them: ``mirflickr25k-iall.mat``, ``-yall``, ``-lall``, ``-fall``, ``nus-wide-tc10-*.mat``, ``nus-wide-tc21-*.mat``,
  each in the folder or in a folder ``IAll``, ``YAll`` ... of its own; ``COCO.mat`` with ``XALL`` likewise.
- ``I_tr``, ``T_tr``, ``L_tr``, ``I_te``, ``T_te``, ``L_te``: ready features of two parts, as the MATLAB codes of the
  shallow methods (CMFH, SCM, LEMON, FCMH) load them.
- ``index``, ``caption``, ``category`` (or ``label``) in ``index.mat``, ``caption.mat``, ``label.mat``: paths of
  images, sentences or tags, and 0/1, as DCHMT and the CLIP-based hashing codes after it make them; rows of characters
  are padded with blanks.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from harness_plugins.layouts.matlab_file import MatlabImages, read_matlab, variables_of
from numpy.typing import NDArray

from harness import HarnessError
from harness.data.absent import names_in
from harness.data.feature_file import table_from_arrays
from harness.data.raw import ImageFiles, RawDataset
from harness.data.table import FeatureTable

log = logging.getLogger(__name__)

TWO_PARTS = ("I_tr", "T_tr", "L_tr", "I_te", "T_te", "L_te")


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
    places: dict[str, tuple[Path, str]] = {}
    for file in chosen:
        for name in variables_of(file):
            if name.lower() in places and name.lower() in KNOWN:
                raise HarnessError(
                    f"both {places[name.lower()][0]} and {file} hold {name}: leave the one that is meant in {folder}."
                )
            places.setdefault(name.lower(), (file, name))
    return Variables(places)


KNOWN = {name.lower() for name in (*TWO_PARTS, "IAll", "XAll", "YAll", "LAll", "FAll", "index", "caption", "category")}


def read_matrices(card: Any, folder: Path, images: Path | None, prefix: str = "") -> RawDataset | FeatureTable | None:
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
    if found.has("index", "caption") and (found.has("category") or found.has("label")):
        return _read_paths(card, found, images)
    if found.has(*TWO_PARTS):
        return _read_two_parts(card, found)
    if found.has("YAll", "LAll") and (found.has("IAll") or found.has("XAll") or found.has("FAll")):
        return _read_all(card, found, images)
    return None


def _labels(array: NDArray, where: str) -> NDArray[np.bool_]:
    """(n, classes) 0/1."""
    if array.ndim != 2 or array.dtype.kind not in "iubf":
        raise HarnessError(f"{where} must be (items, classes) of 0 and 1, not {array.dtype} {array.shape}.")
    odd = ~np.isin(array, (0, 1))
    if odd.any():
        row, column = np.argwhere(odd)[0]
        raise HarnessError(f"{where}[{row}, {column}] is {array[row, column]:g}, expected 0 or 1.")
    return array.astype(bool)


def _read_all(card: Any, found: Variables, images: Path | None) -> RawDataset | FeatureTable:
    labels = _labels(found.read("LAll"), f"{found.path('LAll')}: LAll")
    text = found.read("YAll")
    number = len(labels)
    _same_length(f"{found.path('YAll')}: YAll", text, number, found.path("LAll"))
    names = None
    if found.has("FAll"):
        names = [str(name) for name in found.read("FAll").reshape(-1)]
        _same_length(f"{found.path('FAll')}: FAll", np.array(names), number, found.path("LAll"))
    if found.has("IAll"):
        path, written = found.places["iall"]
        source: Any = MatlabImages(path, written, _pixels(path, written, number, found.path("LAll")))
    elif names is not None and images is not None:
        source = ImageFiles(_files(card, images, names))
    elif found.has("XAll"):
        image = found.read("XAll")
        _same_length(f"{found.path('XAll')}: XAll", image, number, found.path("LAll"))
        arrays = {"image": image, "text": text, "caption_image": np.arange(number), "labels": labels}
        if names is not None:
            arrays["filenames"] = np.array(names, dtype=np.str_)
        return table_from_arrays(arrays, card.name, str(found.path("XAll")))
    else:
        raise HarnessError(
            f"{found.path('FAll')} names the images, and there is no folder of them: put it beside, as "
            f"`harness info {card.name}` shows."
        )
    return RawDataset(
        name=card.name,
        images=source,
        captions=_tag_numbers(text),
        caption_image=np.arange(number),
        labels=labels,
        filenames=names if names is not None else [f"{place}" for place in range(number)],
        text_features=np.ascontiguousarray(text, dtype=np.float32),
    )


def _pixels(path: Path, name: str, number: int, labels: Path) -> int:
    """Number of images, after a look at the shape of their array."""
    import h5py

    if not h5py.is_hdf5(path):
        raise HarnessError(f"{path}: {name} is not of version 7.3 (HDF5), from which images can be read one by one.")
    with h5py.File(path, "r") as opened:
        shape = opened[name].shape  # HDF5 has the axes of MATLAB backwards
    if len(shape) != 4 or shape[1] != 3:
        raise HarnessError(f"{path}: {name} is {shape[::-1]} in MATLAB, expected (height, width, 3, images).")
    if shape[0] != number:
        raise HarnessError(f"{path}: {name} has {shape[0]} images, and {labels} labels of {number}.")
    return number


def _tag_numbers(text: NDArray) -> list[str]:
    """The tags of each item by number: what a bag of tags without its vocabulary says in words."""
    return [" ".join(f"tag{tag}" for tag in np.flatnonzero(row)) for row in text]


def _read_two_parts(card: Any, found: Variables) -> FeatureTable:
    labels = [found.read(name) for name in ("L_tr", "L_te")]
    where = f"{found.path('L_tr')}: L_tr and L_te"
    if all(array.ndim == 2 and 1 in array.shape for array in labels):
        both = np.concatenate([array.reshape(-1) for array in labels])  # one class for each item
    else:
        both = _labels(np.concatenate(labels), where)
    sizes = [array.size if both.ndim == 1 else len(array) for array in labels]
    arrays = {"caption_image": np.arange(sum(sizes)), "labels": both}
    for kind, names in (("image", ("I_tr", "I_te")), ("text", ("T_tr", "T_te"))):
        parts = [found.read(name) for name in names]
        for name, part, size, of in zip(names, parts, sizes, ("L_tr", "L_te"), strict=True):
            _same_length(f"{found.path(name)}: {name}", part, size, f"{found.path(of)}: {of}")
        arrays[kind] = np.concatenate(parts)
    parts_of = ("train",) * sizes[0] + ("test",) * sizes[1]
    return table_from_arrays(arrays, card.name, str(found.path("I_tr")), parts=parts_of)


def _read_paths(card: Any, found: Variables, images: Path | None) -> RawDataset:
    names = [str(name).strip() for name in found.read("index").reshape(-1)]
    name = "category" if found.has("category") else "label"
    labels = _labels(found.read(name), f"{found.path(name)}: {name}")
    texts = found.read("caption")
    _same_length(f"{found.path('index')}: index", np.array(names), len(labels), found.path(name))
    _same_length(f"{found.path('caption')}: caption", texts, len(labels), found.path(name))
    if images is None:
        raise HarnessError(
            f"{found.path('index')} names the images, and there is no folder of them: put it beside, as "
            f"`harness info {card.name}` shows."
        )
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


def _files(card: Any, images: Path, names: list[str]) -> list[Path]:
    """Paths of images that are named by a path of another machine: as much of its end as is there.

    Raises:
        HarnessError: A name is blank.
    """
    listed: dict[str, set[str]] = {}
    found = []
    for name in names:
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
        for start in range(max(0, len(parts) - 3), len(parts)):
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


def _same_length(what: str, array: NDArray, number: int, labels: Path | str) -> None:
    if len(array) != number:
        raise HarnessError(f"{what} has {len(array)} rows, and {labels} has {number}.")
