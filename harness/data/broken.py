"""``--skip-broken``: images that cannot be decoded are left out of every part, before the split."""

from __future__ import annotations

import numpy as np

from harness.data.cache import cached_arrays
from harness.data.decoding import VERSION, undecodable
from harness.data.raw import RawDataset
from harness.errors import HarnessError


def without_broken(raw: RawDataset) -> tuple[RawDataset, tuple[str, ...]]:
    """The data set without the images that cannot be decoded, and their captions.

    Every image is decoded once; that all of them are well is remembered in the cache.

    Args:
        raw: The data.

    Returns:
        The data (the same, if nothing is broken), and a remark for the record that lists what was left out and why.

    Raises:
        HarnessError: No image can be decoded.
    """
    from PIL import __version__ as pillow

    found: dict[int, str] = {}

    def scan() -> list[np.ndarray]:
        found.update(undecodable(raw.images))  # all have a fingerprint: the key of this entry was made of them
        if found:
            raise _NotAllWell
        return [np.ones(1, dtype=bool)]

    try:
        about = {"dataset": raw.name, "what": "all images can be decoded"}
        cached_arrays({"decodable": raw.image_fingerprint, "pillow": pillow, "version": VERSION}, scan, about)
    except _NotAllWell:
        pass
    except HarnessError:  # a file that cannot even be read has no fingerprint
        found.update(undecodable(raw.images, fingerprints=True))
    if not found:
        return raw, ()
    if len(found) == len(raw):
        raise HarnessError(f"data set {raw.name!r}: no image can be decoded; the first: {found[min(found)]}")
    kept = np.setdiff1d(np.arange(len(raw)), np.array(sorted(found)))
    listed = " ".join(found[number] for number in sorted(found))
    return raw.subset(kept), (f"--skip-broken left out {len(found)} of {len(raw)} images: {listed}",)


class _NotAllWell(Exception):
    """Ends the computation of a cache entry that must not be made."""
