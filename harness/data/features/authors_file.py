"""The HDF5 files of the CHNR and DUCH authors: ``image_emb``, ``caption_emb`` and their JSON.

Layout followed: comrados/noisy_captions, ``data/``: ``image_emb_UCM_aug_center_crop_only.h5`` (original images),
``image_emb_UCM_aug_aug_center.h5`` (augmented), ``caption_emb_UCM_aug.h5``, ``caption_emb_UCM_aug_rb.h5`` (rule-based
augmentation) and ``augmented_UCM.json`` with ``images[].classcode`` and ``images[].sentences[].raw``; captions are rows
in the order of the JSON.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.features.feature_file import table_from_arrays
from harness.data.table import FeatureTable
from harness.errors import HarnessError
from harness.files.json_text import read_json
from harness.files.looks_like import why_unreadable

KEYS = {"image": "image_emb", "text": "caption_emb"}
AUGMENTED_MARKS = ("aug_center.h5", "aug_random", "rotation", "blur", "jitter", "_rb", "_bt", "random_crop")
"""What the authors put into the names of augmented files; ``..._aug.h5`` alone is the original."""


def read_authors_files(path: Path) -> FeatureTable:
    """Read the authors' features from their folder, or from the folder of one of its files.

    Args:
        path: The folder, or any of its ``.h5`` or ``.json`` files; with several data sets in one folder, a file
            chooses.

    Returns:
        The features, with ``image_aug`` and ``text_aug`` where such files are there.

    Raises:
        HarnessError: A file is missing, ambiguous or contradicts the others.
    """
    where = f"--features {path}"
    if not path.exists():
        raise HarnessError(f"{where}: there is no such file or folder.")
    folder = path if path.is_dir() else path.parent
    tag = None if path.is_dir() else _dataset_tag(path)
    files = [file for file in sorted(folder.glob("*.h5")) if tag is None or _dataset_tag(file) in (tag, None)]
    files_of: dict[str, list[Path]] = {"image": [], "text": []}
    for file in files:
        for name in _names(file, where):
            for part, key in KEYS.items():
                if name == key:
                    files_of[part].append(file)
    annotations = _annotations(path, folder, tag, where)
    arrays: dict[str, NDArray] = {}
    for part, key in KEYS.items():
        originals = [file for file in files_of[part] if not _is_augmented(file)]
        augmented = [file for file in files_of[part] if _is_augmented(file)]
        if not originals and len(augmented) == 1:
            originals, augmented = augmented, []
        if len(originals) != 1:
            names = ", ".join(file.name for file in originals) or "none"
            raise HarnessError(
                f"{where}: expected one HDF5 file with {key!r} of the original {part}s in {folder}, found {names}."
            )
        arrays[part] = _read(originals[0], key, where)
        preferred = [file for file in augmented if file.name.endswith(("aug_center.h5", "_rb.h5"))] or augmented
        if preferred:
            arrays[f"{part}_aug"] = _read(preferred[0], key, where)
    arrays.update(_from_annotations(annotations, where))
    return table_from_arrays(arrays, tag.lower() if tag else folder.name, where)


def _dataset_tag(file: Path) -> str | None:
    """``UCM`` of ``image_emb_UCM_aug.h5`` or ``augmented_UCM.json``."""
    parts = file.stem.split("_")
    for marker, at in (("emb", 1), ("augmented", 1), ("dataset", 1)):
        if marker in parts and parts.index(marker) + at < len(parts):
            return parts[parts.index(marker) + at]
    return None


def _is_augmented(file: Path) -> bool:
    return any(mark in file.name.removeprefix("image_emb_").removeprefix("caption_emb_") for mark in AUGMENTED_MARKS)


def _names(file: Path, where: str) -> list[str]:
    import h5py

    try:
        with h5py.File(file, "r") as opened:
            return list(opened)
    except OSError as error:
        raise HarnessError(f"{where}: {file} cannot be read as HDF5: {why_unreadable(file, error, 'hdf5')}.") from error


def _read(file: Path, key: str, where: str) -> NDArray:
    import h5py

    try:
        with h5py.File(file, "r") as opened:
            return np.asarray(opened[key][()])
    except (OSError, KeyError, TypeError) as error:  # TypeError: a group, no matrix
        raise HarnessError(
            f"{where}: {key!r} cannot be read from {file}: {why_unreadable(file, error, 'hdf5')}."
        ) from error


def _annotations(path: Path, folder: Path, tag: str | None, where: str) -> Any:
    candidates = [path] if path.suffix == ".json" else sorted(folder.glob("*.json"))
    if tag is not None and len(candidates) > 1:
        candidates = [file for file in candidates if _dataset_tag(file) == tag]
    if len(candidates) != 1:
        names = ", ".join(file.name for file in candidates) or "none"
        raise HarnessError(
            f"{where}: expected one JSON file with images, classes and sentences in {folder}, found {names}."
        )
    try:
        return read_json(candidates[0])
    except (OSError, ValueError) as error:
        raise HarnessError(f"{where}: {candidates[0]} cannot be read as JSON: {error}.") from error


def _from_annotations(annotations: Any, where: str) -> dict[str, NDArray]:
    try:
        images = annotations["images"]
        labels = np.array([image["classcode"] for image in images], dtype=np.int64)
        captions = [sentence["raw"] for image in images for sentence in image["sentences"]]
        caption_image = [number for number, image in enumerate(images) for _ in image["sentences"]]
        filenames = [str(image.get("filename", number)) for number, image in enumerate(images)]
    except (KeyError, TypeError, ValueError) as error:
        raise HarnessError(
            f"{where}: the JSON lacks images[].classcode or images[].sentences[].raw ({error})."
        ) from error
    return {
        "labels": labels,
        "captions": np.array(captions, dtype=np.str_),
        "caption_image": np.array(caption_image, dtype=np.int64),
        "filenames": np.array(filenames, dtype=np.str_),
    }
