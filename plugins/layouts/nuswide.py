"""The layouts of NUS-WIDE (Chua et al., CIVR 2009).

Raw, as its archives unpack: ``ImageList/Imagelist.txt`` with ``actor\\0001_2124494179.jpg`` a line (the separator of
Windows); ``Groundtruth/AllLabels/Labels_<concept>.txt``, 0 or 1 a line, for 81 concepts;
``NUS_WID_Tags/AllTags1k.dat``, a line of 1,000 numbers 0 or 1 between tabs, with one tab at the end, and
``TagList1k.txt``; the images in ``Flickr/``. As in the literature on hashing, the most frequent concepts are kept (10
or 21), and the images that have one of them. The files of ``Groundtruth/TrainTestLabels`` are in the order of other
lists, and one has a line that is no label; they are not used.

Or the MATLAB files of :mod:`harness_plugins.layouts.hashing_matrices`: ``nus-wide-tc10-*.mat``, ``-tc21-*.mat``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from harness_plugins.layouts.hashing_matrices import read_matrices
from harness_plugins.layouts.image_names import image_paths
from harness_plugins.layouts.places import folder_of, images_of, layout_of, place_of, read_lines, refuse_missing
from numpy.typing import NDArray

from harness import HarnessError
from harness.data.cards import DatasetCard
from harness.data.raw import ImageFiles, RawDataset
from harness.data.table import FeatureTable
from harness.files.regular_file import require_regular
from harness.text import shown

PARAMETERS = {"concepts": 21}
"""``concepts``: how many of the 81, the most frequent ones."""

LIST, LABELS = "ImageList/Imagelist.txt", "Groundtruth/AllLabels"
TAGS, TAG_NAMES = "NUS_WID_Tags/AllTags1k.dat", "NUS_WID_Tags/TagList1k.txt"
PUBLISHED = (("train", "ImageList/TrainImagelist.txt"), ("test", "ImageList/TestImagelist.txt"))
WANTED = f"{{folder}}/ with {LIST}, {LABELS}/, {TAGS}, {TAG_NAMES} and the images in Flickr/, or with nus-wide-tc*.mat"


def read_nuswide(card: DatasetCard, root: Path | None) -> RawDataset | FeatureTable:
    """Read NUS-WIDE.

    Args:
        card: Its card, with a layout.
        root: The data root, or the data set's own folder.

    Returns:
        Images with their tags as one caption each (an empty one where none of the 1,000 tags is there), or with bags of
        tags; or ready features.

    Raises:
        HarnessError: Files are missing or damaged; the message says which and where they belong.
    """
    concepts = card.reader_parameters(PARAMETERS)["concepts"]
    prefix = f"nus-wide-tc{concepts}"
    folder = folder_of(card, root, ("ImageList", "Groundtruth", "*.mat"), WANTED)
    images = images_of(card, folder)
    matrices = read_matrices(card, folder, images, prefix)
    if matrices is not None:
        return matrices
    images = images or place_of(folder, layout_of(card).images)
    needed = (*(folder / name for name in (LIST, LABELS, TAGS, TAG_NAMES)), images)
    refuse_missing(card, root, (path for path in needed if not path.exists()), WANTED)
    names = _lines(folder / LIST)
    labels = _top(_labels(folder / LABELS, len(names)), concepts)
    kept = np.flatnonzero(labels.any(axis=1))
    chosen = [names[row] for row in kept]
    return RawDataset(
        name=card.name,
        images=ImageFiles(image_paths(chosen, [images], folder / LIST)),
        captions=_captions(folder, len(names), kept),
        caption_image=np.arange(len(kept)),
        labels=labels[kept],
        filenames=chosen,
        parts=_parts(folder, chosen),
    )


def _lines(path: Path) -> list[str]:
    """Names of images with ``/``, one from each line."""
    return [line.strip().replace("\\", "/") for line in read_lines(path) if line.strip()]


def _labels(folder: Path, number: int) -> NDArray[np.bool_]:
    """(n, concepts), concepts by name."""
    files = sorted(folder.glob("Labels_*.txt"))
    if not files:
        raise HarnessError(f"{folder} has no files Labels_*.txt.")
    labels = np.zeros((number, len(files)), dtype=bool)
    for column, path in enumerate(files):
        values = require_regular(path).read_bytes().split()
        if len(values) != number:
            raise HarnessError(f"{path} has {len(values)} lines, and {LIST} has {number}.")
        odd = next((row for row, value in enumerate(values) if value not in (b"0", b"1")), None)
        if odd is not None:
            raise HarnessError(f"{path}, line {odd + 1}: {shown(values[odd].decode('ascii', 'replace'))} is no 0 or 1.")
        labels[:, column] = np.array(values) == b"1"
    return labels


def _top(labels: NDArray[np.bool_], number: int) -> NDArray[np.bool_]:
    """The most frequent concepts, in the order of their names."""
    order = np.argsort(-labels.sum(axis=0), kind="stable")
    return labels[:, np.sort(order[:number])]


def _captions(folder: Path, number: int, kept: NDArray[np.int64]) -> list[str]:
    """Tags of some images between blanks. The file has half a gigabyte, and is read a line at a time."""
    tags = [line.strip() for line in read_lines(folder / TAG_NAMES) if line.strip()]
    wanted = np.zeros(number, dtype=bool)
    wanted[kept] = True
    captions: list[str] = []
    row = 0
    with require_regular(folder / TAGS).open("rb") as opened:
        for line in opened:
            digits = line.translate(None, b"\t \r\n")
            if not digits:
                continue
            if row < number and wanted[row]:
                if len(digits) != len(tags) or digits.strip(b"01"):
                    raise HarnessError(
                        f"{folder / TAGS}, line {row + 1}: expected {len(tags)} numbers 0 or 1, one for each line of "
                        f"{TAG_NAMES}."
                    )
                captions.append(
                    " ".join(tags[at] for at in np.flatnonzero(np.frombuffer(digits, np.uint8) == ord("1")))
                )
            row += 1
    if row != number:
        raise HarnessError(f"{folder / TAGS} has {row} lines, and {LIST} has {number}.")
    return captions


def _parts(folder: Path, names: list[str]) -> tuple[str, ...] | None:
    """The published parts, where their lists are there."""
    part_of: dict[str, str] = {}
    for part, path in PUBLISHED:
        if not (folder / path).is_file():
            return None
        part_of.update(dict.fromkeys(_lines(folder / path), part))
    return tuple(part_of[name] for name in names) if all(name in part_of for name in names) else None
