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
    broken = complaints(lambda number: require_regular(paths[number], "image"), absent_images(raw))
    rest, numbers = _without(raw, broken)
    if not len(numbers):
        return broken
    try:
        content = rest.image_fingerprint
    except HarnessError:  # a file that is there and cannot be read has no fingerprint
        unread = complaints(rest.images.fingerprint, range(len(rest)))
        broken = dict(sorted({**broken, **{int(numbers[row]): text for row, text in unread.items()}}.items()))
        rest, numbers = _without(raw, broken)
        if not len(numbers):
            return broken
        content = rest.image_fingerprint

    def scan() -> list[np.ndarray]:
        flags = np.zeros(len(rest), dtype=bool)
        flags[list(undecodable(rest.images, watch))] = True
        return [flags]

    about = {"dataset": raw.name, "what": "which images can be decoded"}
    (flags,), _ = cached_arrays({"decodable": content, **decoder_facts()}, scan, about)
    undecoded = complaints(rest.images.__getitem__, np.flatnonzero(flags).tolist())
    return dict(sorted({**broken, **{int(numbers[row]): text for row, text in undecoded.items()}}.items()))


def refuse_broken(raw: RawDataset, watch: Watch = lambda done, total: None) -> None:
    """Refuse data with an image that is missing or cannot be decoded, where images are files.

    Args:
        raw: The data.
        watch: Progress in images.

    Raises:
        HarnessError: Some cannot be used; the message counts them and says what is wrong with the first.
    """
    broken = broken_images(raw, watch) if paths_of(raw.images) else {}
    if broken:
        others = f" (and {len(broken) - 1} more of {len(raw)})" if len(broken) > 1 else ""
        raise HarnessError(
            f"data set {raw.name!r}{others}: {broken[min(broken)].rstrip('.')}; mend it (`harness data check --deep` "
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
    broken = broken_images(raw)
    if not broken:
        return raw, ()
    if len(broken) == len(raw):
        raise HarnessError(f"data set {raw.name!r}: no image can be decoded; the first: {broken[min(broken)]}")
    listed = " ".join(broken.values())
    return _without(raw, broken)[0], (f"--skip-broken left out {len(broken)} of {len(raw)} images: {listed}",)


def _without(raw: RawDataset, broken: Mapping[int, str]) -> tuple[RawDataset, np.ndarray]:
    """The data without some images, and the numbers of those that are left."""
    kept = np.setdiff1d(np.arange(len(raw)), np.array(sorted(broken), dtype=np.int64))
    return (raw.subset(kept) if broken else raw), kept
