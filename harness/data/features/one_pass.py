"""What a backbone returns or yields for items and their views, checked, and kept as it comes."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.cache import Workspace
from harness.data.passes import Pass
from harness.errors import HarnessError
from harness.plugin.interfaces import Run

log = logging.getLogger(__name__)

NOTED_SECONDS = 5.0
"""So much work may be lost where a process is killed."""


def in_one_pass(
    name: str, backbone: Any, sources: Sequence[Any], workspace: Workspace, run: Run, *, images: bool, resumable: bool
) -> list[NDArray[np.float32]]:
    """Features of items and their views; what an earlier process had encoded is not done again.

    Args:
        name: Name of the backbone.
        backbone: The backbone itself.
        sources: The items, then each view of them, all of one length n.
        workspace: Where batches are put as they come.
        run: Device and progress.
        images: Whether the items are images, which are decoded as the backbone goes; captions are in memory.
        resumable: Whether features of an item do not depend on others, so that a later process may go on.

    Returns:
        For each source (n, d) float32.

    Raises:
        HarnessError: The backbone returned or yielded something else than finite features, one row for each item.
    """
    views, count = len(sources), len(sources[0])
    begun = workspace.begun(views, count) if resumable else None
    arrays, filled = begun or ([], np.zeros((views, count), dtype=bool))
    if begun:
        log.warning(
            "going on where making features by %s was stopped: %d of %d are there",
            name, filled.all(axis=0).sum(), count,
        )  # fmt: skip
    positions = np.flatnonzero(~filled.T)
    asked: Sequence[Any] = Pass(sources, positions)
    output = backbone.encode(asked if images else list(asked), run) if len(asked) else iter(())
    if not isinstance(output, Iterator):
        whole = _checked(output, len(asked), name)
        if not begun:
            return [np.ascontiguousarray(whole[view::views]) for view in range(views)]
        output = iter([(np.arange(len(asked)), whole)])
    noted = time.monotonic()
    try:
        for rows, part in output:
            features = _as_floats(part, name)
            width = arrays[0].shape[1] if arrays else None
            whole_part = features.ndim == 2 and features.shape[1] >= 1 and len(features) == len(rows)
            if not whole_part or width not in (None, features.shape[1]) or not np.isfinite(features).all():
                raise HarnessError(
                    f"backbone {name!r} must yield finite features, one row for each of the {len(rows)} of a "
                    f"batch and all of one width; it yielded {features.shape}."
                )
            arrays = arrays or [workspace.empty((count, features.shape[1])) for _ in sources]
            item_of, view_of = np.divmod(positions[rows], views)
            for view, array in enumerate(arrays):
                array[item_of[view_of == view]] = features[view_of == view]
            filled[view_of, item_of] = True
            if resumable and time.monotonic() - noted > NOTED_SECONDS:
                workspace.note(filled)
                noted = time.monotonic()
    except BaseException:
        if resumable and filled.any():
            workspace.note(filled)
        raise
    if not filled.all():
        raise HarnessError(f"backbone {name!r} yielded features for {int(filled.sum())} of {filled.size} items.")
    return arrays


def _checked(output: Any, expected: int, name: str) -> NDArray[np.float32]:
    array = _as_floats(output, name)
    if array.ndim != 2 or len(array) != expected or array.shape[1] < 1 or not np.isfinite(array).all():
        raise HarnessError(f"backbone {name!r} must return ({expected}, d) finite features; it returned {array.shape}.")
    return array


def _as_floats(output: Any, name: str) -> NDArray[np.float32]:
    try:
        return np.asarray(output, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise HarnessError(
            f"backbone {name!r} must return a matrix of numbers; it returned {type(output).__name__}."
        ) from error
