"""Matrices of strangers: whether they fit each other, with names and shapes where not, and labels in one column."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from harness.errors import HarnessError

log = logging.getLogger(__name__)


def check_numbers(array: NDArray, what: str) -> None:
    """Check that features are a matrix (items, features) of finite numbers, with at least one of each.

    Args:
        array: The matrix.
        what: File and name, for the message.

    Raises:
        HarnessError: It is none; the message says what it is instead, or counts the rows with NaN or infinite values.
    """
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "fiu":
        raise HarnessError(f"{what} must be a matrix of numbers (items, features), not {array.dtype} {array.shape}.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        rows = np.flatnonzero(~np.isfinite(array).all(axis=1))
        raise HarnessError(f"{what} has NaN or infinite values in {len(rows)} rows, the first is row {rows[0]}.")


def holds_integers(array: NDArray) -> bool:
    """Whether all values are whole numbers that int64 holds, in whatever type they are written."""
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):  # float16 does not reach the bound
            return bool((np.isfinite(array) & (array == np.round(array)) & (np.abs(array) < 2.0**63)).all())
    if array.dtype.kind == "u":
        return bool((array <= np.iinfo(np.int64).max).all())
    return array.dtype.kind in "ib"


def check_rows(where: str, arrays: Mapping[str, NDArray], item: str = "item") -> None:
    """Check that all have one row for each item.

    Args:
        where: The file, for the message.
        arrays: Name to array.
        item: What a row stands for.

    Raises:
        HarnessError: They have different numbers of rows; the message gives all shapes, and says which of them looks
            transposed.
    """
    rows = {name: array.shape[0] if array.ndim else 0 for name, array in arrays.items()}
    if len(set(rows.values())) == 1:
        return
    across = {name: array.shape[1] for name, array in arrays.items() if array.ndim == 2}
    turned = [
        name
        for name, columns in across.items()
        if columns in (others := [count for other, count in rows.items() if other != name]) and rows[name] not in others
    ]
    hint = ""
    if len(across) == len(rows) and len(set(across.values())) == 1 and min(across.values()) > 1:
        hint = (
            f"; each has {next(iter(across.values()))} columns, so that {item}s seem to lie in columns: transpose them"
        )
    elif turned:
        hint = f"; {_listed(turned)} {'looks' if len(turned) == 1 else 'look'} transposed"
    raise HarnessError(f"{where}: {shapes(arrays)} must have one row for each {item}{hint}.")


def check_columns(where: str, arrays: Mapping[str, NDArray], column: str) -> None:
    """Check that parts that are put one below the other have the same columns.

    Args:
        where: The file, for the message.
        arrays: Name to matrix.
        column: What a column stands for.

    Raises:
        HarnessError: One is no matrix, or has another number of columns; the message gives all shapes.
    """
    if any(array.ndim != 2 for array in arrays.values()) or len({array.shape[1] for array in arrays.values()}) > 1:
        raise HarnessError(f"{where}: {shapes(arrays)} must be matrices with the same number of columns, the {column}.")


def classes_of_column(labels: NDArray, what: str) -> NDArray:
    """A single column of numbers as the classes that it holds; anything else as it is.

    Read as (items, classes) of 0 and 1, such a column would be one class that some items have, and all others would be
    relevant to nothing. What is done with it is said in a note; a column of bool is left as the matrix that it is.

    Args:
        labels: (n,), or (n, n_classes).
        what: File and name, for the note.

    Returns:
        (n,) for (n, 1) numbers, otherwise ``labels``.
    """
    if labels.ndim != 2 or labels.shape[1] != 1:
        return labels
    if labels.dtype.kind == "b":
        log.warning(
            "%s is one column of bool %s, read as one class that items have or have not; give (%d,) numbers where it "
            "holds classes.", what, labels.shape, len(labels),
        )  # fmt: skip
        return labels
    log.warning(
        "%s is one column %s, read as the class of each item; give one column for each class where items may have "
        "several.", what, labels.shape,
    )  # fmt: skip
    return labels.reshape(-1)


def shapes(arrays: Mapping[str, NDArray]) -> str:
    """``I_tr (30, 8) and I_te (10, 9)``."""
    return _listed([f"{name} {array.shape}" for name, array in arrays.items()])


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if words[:-1] else words)
