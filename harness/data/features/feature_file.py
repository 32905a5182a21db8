"""Ready features in an npz file (``--features FILE.npz``), checked before anything is computed."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.features.export import HEADER, header_of
from harness.data.matrices import check_numbers, check_rows, classes_of_column, holds_integers
from harness.data.splits import check_split
from harness.data.table import FeatureTable, check_captions_cover
from harness.errors import HarnessError
from harness.files.npz import names_in_npz, read_npz
from harness.text import listed

log = logging.getLogger(__name__)

REQUIRED = ("image", "text", "caption_image", "labels")
OPTIONAL = (
    "image_aug", "text_aug", "split", "caption_choice", "trusted", "wrong", "unlabelled", "captions", "filenames",
)  # fmt: skip


def read_feature_file(path: Path) -> FeatureTable:
    """Read and check a feature file.

    Arrays: ``image`` (n_images, d), ``text`` (n_captions, d), ``caption_image`` (n_captions,) int, ``labels``
    (n_images,) int or (n_images, n_classes) 0/1, where a single column of numbers holds classes, too; optional
    ``image_aug`` (n_images, d) and ``text_aug`` (n_captions, d), each also with a leading axis of views, ``split``
    (n_images,), ``caption_choice`` (n_images,), ``trusted``, ``wrong`` and ``unlabelled`` (n_images,) bool,
    ``captions`` (n_captions,) and ``filenames`` (n_images,) strings.
    Arrays whose names start with ``plan_`` are left to ``--noise-plan``; the header of an exported file says whether
    both modalities are of one space.

    Args:
        path: The file.

    Returns:
        The features.

    Raises:
        HarnessError: Something is missing, of the wrong shape, not finite, or contradictory; one sentence says what.
    """
    where = f"--features {path}"
    names = names_in_npz(path, "--features", expected=_join(REQUIRED))
    known = (*REQUIRED, *OPTIONAL, HEADER)
    arrays = read_npz(path, "--features", known.__contains__)
    unused = [name for name in names if name not in known and not name.startswith(("plan_", "cell_"))]
    if unused:
        log.warning("%s: not used: %s (known are %s).", where, listed(unused), _join((*REQUIRED, *OPTIONAL)))
    header = header_of(arrays)
    table = table_from_arrays(arrays, path.stem, where)
    header = header or {}
    limit = header.get("limit")
    return replace(
        table,
        origin=str(header.get("data", "")),
        holds_plan="plan_header" in names,
        limited=limit if isinstance(limit, int) else None,
        shared_space=header.get("shared_space") is True,
    )


def table_from_arrays(
    arrays: Mapping[str, NDArray], name: str, where: str, parts: tuple[str, ...] | None = None
) -> FeatureTable:
    """Check arrays as described in :func:`read_feature_file` and put them into a table.

    Args:
        arrays: Name to array.
        name: Name of the data.
        where: What to call the source in messages.
        parts: (n_images,) names of published parts, or None.

    Returns:
        The table, with a fingerprint of all arrays.

    Raises:
        HarnessError: As :func:`read_feature_file`.
    """
    missing = [required for required in REQUIRED if required not in arrays]
    if missing:
        raise HarnessError(
            f"{where}: {_join(missing)} missing; it needs {_join(REQUIRED)}, and may have {_join(OPTIONAL)}."
        )
    image = features_of(arrays["image"], f"{where}: image")
    text = features_of(arrays["text"], f"{where}: text")
    n_images, n_captions = len(image), len(text)
    check_rows(where, {"image": image, "labels": arrays["labels"]}, "image")
    check_rows(where, {"text": text, "caption_image": arrays["caption_image"]}, "caption")
    caption_image = _integers(
        arrays["caption_image"], "caption_image", (n_captions,), "one image number for each row of text", where
    )
    check_captions_cover(caption_image, n_images, where)
    split = None
    if "split" in arrays:
        codes = _integers(arrays["split"], "split", (n_images,), "one code for each image", where)
        check_split(codes, where)
        split = codes.astype(np.int8)
    trusted, wrong = _mask(arrays, "trusted", n_images, where), _mask(arrays, "wrong", n_images, where)
    if trusted is not None and wrong is not None and (trusted & wrong).any():
        both = np.flatnonzero(trusted & wrong)
        raise HarnessError(f"{where}: {len(both)} pairs are both trusted and wrong, the first is image {both[0]}.")
    captions = _strings(arrays, "captions", n_captions, where)
    filenames = _strings(arrays, "filenames", n_images, where)
    return FeatureTable(
        name=name,
        image=image,
        text=text,
        caption_image=caption_image,
        labels=_labels(arrays["labels"], n_images, where),
        image_views=_views(arrays, "image_aug", image, where),
        text_views=_views(arrays, "text_aug", text, where),
        split=split,
        caption_choice=_caption_choice(arrays, caption_image, n_images, where),
        trusted=trusted,
        wrong=wrong,
        unlabelled=_mask(arrays, "unlabelled", n_images, where),
        captions=captions,
        filenames=filenames,
        parts=parts,
        fingerprint=_fingerprint(arrays),
    )


def _join(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names)


def _fingerprint(arrays: Mapping[str, NDArray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(set(arrays) & {*REQUIRED, *OPTIONAL}):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def features_of(array: NDArray, what: str) -> NDArray[np.float32]:
    """Features as they are computed with.

    Args:
        array: (n, d) numbers.
        what: What to call them in messages.

    Returns:
        (n, d) float32, the array itself where it is that already.

    Raises:
        HarnessError: It is no matrix of finite numbers within the range of float32.
    """
    check_numbers(array, what)
    with np.errstate(over="ignore"):
        features = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(features).all():
        raise HarnessError(f"{what} has values beyond the range of float32.")
    return features


def view_of(array: NDArray, what: str, original: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    """As :func:`features_of` for an augmented view of ``original``, which is called ``name``.

    Raises:
        HarnessError: As :func:`features_of`, or the view has another shape.
    """
    view = features_of(array, what)
    if view.shape != original.shape:
        raise HarnessError(f"{what} has shape {view.shape}, but {name} has {original.shape}; they must be equal.")
    return view


def _views(
    arrays: Mapping[str, NDArray], name: str, original: NDArray[np.float32], where: str
) -> tuple[NDArray[np.float32], ...]:
    if name not in arrays:
        return ()
    stack = arrays[name] if arrays[name].ndim == 3 else arrays[name][None]
    if not len(stack):
        raise HarnessError(f"{where}: {name} has shape {arrays[name].shape}, no view at all; leave it out.")
    return tuple(view_of(view, f"{where}: {name}", original, name.removesuffix("_aug")) for view in stack)


def _integers(array: NDArray, name: str, shape: tuple[int, ...], meaning: str, where: str) -> NDArray[np.int64]:
    if array.shape != shape:
        raise HarnessError(f"{where}: {name} must have shape {shape}, {meaning}, not {array.shape}.")
    if not holds_integers(array):
        raise HarnessError(f"{where}: {name} must hold integers, not {array.dtype}.")
    return array.astype(np.int64)


def _labels(array: NDArray, n_images: int, where: str) -> NDArray:
    array = classes_of_column(array, f"{where}: labels")
    if array.ndim == 2 and array.shape[0] == n_images and array.shape[1] >= 1:
        if array.dtype.kind not in "iubf" or not np.isin(array, (0, 1)).all():
            raise HarnessError(f"{where}: labels of shape {array.shape} must be 0 or 1, one column for each class.")
        return array.astype(bool)
    return _integers(array, "labels", (n_images,), "one class for each image (or (n_images, n_classes) of 0/1)", where)


def _mask(arrays: Mapping[str, NDArray], name: str, n_images: int, where: str) -> NDArray[np.bool_] | None:
    if name not in arrays:
        return None
    array = arrays[name]
    if array.shape != (n_images,) or array.dtype.kind not in "iubf" or not np.isin(array, (0, 1)).all():
        raise HarnessError(
            f"{where}: {name} must be ({n_images},) bool, one value for each image, not {array.dtype} {array.shape}."
        )
    return array.astype(bool)


def _strings(arrays: Mapping[str, NDArray], name: str, length: int, where: str) -> list[str] | None:
    if name not in arrays:
        return None
    array = arrays[name]
    if array.shape != (length,) or array.dtype.kind not in "US":
        raise HarnessError(f"{where}: {name} must be ({length},) strings, not {array.dtype} {array.shape}.")
    if array.dtype.kind == "S":
        return [value.decode("utf-8", "replace") for value in array]
    return [str(value) for value in array]


def _caption_choice(
    arrays: Mapping[str, NDArray], caption_image: NDArray[np.int64], n_images: int, where: str
) -> NDArray[np.int64] | None:
    """Rows of ``text``, or ordinals within each image's captions where the rows would not fit."""
    if "caption_choice" not in arrays:
        return None
    choice = _integers(arrays["caption_choice"], "caption_choice", (n_images,), "one caption for each image", where)
    inside = (choice >= 0) & (choice < len(caption_image))
    if inside.all() and (caption_image[choice] == np.arange(n_images)).all():
        return choice
    counts = np.bincount(caption_image, minlength=n_images)
    if ((choice >= 0) & (choice < counts)).all():
        order = np.argsort(caption_image, kind="stable")
        return order[np.cumsum(counts) - counts + choice]
    bad = np.flatnonzero(~inside | (caption_image[np.where(inside, choice, 0)] != np.arange(n_images)))[0]
    raise HarnessError(
        f"{where}: caption_choice[{bad}] = {choice[bad]} is no caption of image {bad}; give rows of text, or 0, 1, ... "
        "among the captions of each image."
    )
