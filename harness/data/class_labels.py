"""Labels as programs write them: classes by number, or one column for each class."""

from __future__ import annotations

import logging

from numpy.typing import NDArray

log = logging.getLogger(__name__)


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
