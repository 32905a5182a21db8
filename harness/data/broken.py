"""Images that are missing or cannot be decoded: they stop a run before its first cell, or ``--skip-broken`` leaves them
out of every part, before the split.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from harness.data.absent import absent_images
from harness.data.cache import cached_arrays
from harness.data.decoding import complaints, decoder_facts, undecodable
from harness.data.raw import RawDataset, paths_of
from harness.errors import HarnessError
from harness.files.paths import require_regular

Watch = Callable[[int, int], None]


def broken_images(raw: RawDataset, watch: Watch = lambda done, total: None) -> dict[int, str]:
    """The images that cannot be used, each with the sentence that says why.

    Every image is decoded once; which of them cannot be is remembered in the cache, under the content of all.

    Args:
        raw: The data.
        watch: Progress in images.

    Returns:
        Number of the image to sentence, in ascending order.
    """
    paths = paths_of(raw.images)
    found = complaints(lambda number: require_regular(paths[number], "image"), absent_images(raw))
    rest, numbers = _without(raw, found)
    if not len(numbers):
        return found
    try:
        content = rest.image_fingerprint
    except HarnessError:  # a file that is there and cannot be read has no fingerprint
        unread = complaints(rest.images.fingerprint, range(len(rest)))
        found = dict(sorted({**found, **{int(numbers[row]): text for row, text in unread.items()}}.items()))
        rest, numbers = _without(raw, found)
        if not len(numbers):
            return found
        content = rest.image_fingerprint

    def scan() -> list[np.ndarray]:
        flags = np.zeros(len(rest), dtype=bool)
        flags[list(undecodable(rest.images, watch))] = True
        return [flags]

    about = {"dataset": raw.name, "what": "which images can be decoded"}
    (flags,), _ = cached_arrays({"decodable": content, **decoder_facts()}, scan, about)
    broken = complaints(rest.images.__getitem__, np.flatnonzero(flags).tolist())
    return dict(sorted({**found, **{int(numbers[row]): text for row, text in broken.items()}}.items()))


def refuse_broken(raw: RawDataset, watch: Watch = lambda done, total: None) -> None:
    """Every image must be usable, where images are files.

    Args:
        raw: The data.
        watch: Progress in images.

    Raises:
        HarnessError: Some cannot be used; the message counts them and says what is wrong with the first.
    """
    found = broken_images(raw, watch) if paths_of(raw.images) else {}
    if found:
        others = f" (and {len(found) - 1} more of {len(raw)})" if len(found) > 1 else ""
        raise HarnessError(
            f"data set {raw.name!r}{others}: {found[min(found)].rstrip('.')}; mend it (`harness data check --deep` "
            "lists all such images), or add --skip-broken to leave them out."
        )


def without_broken(raw: RawDataset) -> tuple[RawDataset, tuple[str, ...]]:
    """The data set without the images that are missing or cannot be decoded, and their captions.

    Args:
        raw: The data.

    Returns:
        The data (the same, if nothing is broken), and a remark for the record that lists what was left out and why.

    Raises:
        HarnessError: No image can be used.
    """
    found = broken_images(raw)
    if not found:
        return raw, ()
    if len(found) == len(raw):
        raise HarnessError(f"data set {raw.name!r}: no image can be decoded; the first: {found[min(found)]}")
    listed = " ".join(found.values())
    return _without(raw, found)[0], (f"--skip-broken left out {len(found)} of {len(raw)} images: {listed}",)


def _without(raw: RawDataset, found: Mapping[int, str]) -> tuple[RawDataset, np.ndarray]:
    """The data without some images, and the numbers of those that are left."""
    kept = np.setdiff1d(np.arange(len(raw)), np.array(sorted(found), dtype=np.int64))
    return (raw.subset(kept) if found else raw), kept
