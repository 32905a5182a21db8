"""Published index files: which image goes with which caption, as one array of numbers (NCR, DECL, RCL and others)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.errors import HarnessError
from harness.files.npz import read_npy

INDEX_FILE = "index-file"
"""Name of the protocol that a plan from such a file carries."""

Ints = NDArray[np.int64]


def read_index_file(
    path: Path, rate: float | None, *, train: Ints, own_caption: Ints, caption_image: Ints
) -> tuple[Ints, float]:
    """Whose caption each training image is given by a published index file.

    The files hold, for each training caption, the number of the image it is shown with, counted among the training
    images in order. Those with one entry for each image move all captions of an image together (RCL, DECL:
    ``noise_inx_0.4.npy``); those with one entry for each caption move captions alone (NCR: ``f30k_precomp_0.4.npy``).
    An image file that is a permutation is reproduced pair by pair. Otherwise, as every image here has one caption, an
    image is given the caption of the image that its own caption was shown with: the same pairs are wrong.

    Args:
        path: The npy file; a number at the end of its name is its rate.
        rate: The rate asked for, or None.
        train: (n,) training images, ascending.
        own_caption: (n,) caption row chosen for each.
        caption_image: (n_captions,) image of each caption.

    Returns:
        (n,) positions among the training images, whose captions they get; and the rate.

    Raises:
        HarnessError: The file is unreadable, of other data, or its share of moved entries is not the rate asked for,
            or not the one in its name.
    """
    where = f"--noise-plan {path}"
    index = read_npy(path, "--noise-plan")
    n = len(train)
    captions = np.flatnonzero(np.isin(caption_image, train))  # of training images, in order
    if index.ndim != 1 or index.dtype.kind not in "iu":
        raise HarnessError(f"{where} must hold one row of whole numbers.")
    if len(index) not in (n, len(captions)) or not n:
        raise HarnessError(
            f"{where} has {len(index)} entries; these data have {n} training images with {len(captions)} captions, and "
            "a published file has one entry for each image or for each caption."
        )
    index = index.astype(np.int64)
    if len(index) and not 0 <= index.min() <= index.max() < n:
        raise HarnessError(f"{where} names image {index.max()}; the {n} training images are numbered from 0.")
    by_image = len(index) == n
    own = np.arange(n) if by_image else np.searchsorted(train, caption_image[captions])
    realised = float((index != own).mean())
    named = re.search(r"_(\d*\.\d+|0|1)$", path.stem)
    # Published files shuffle a share of the entries, so that a few stay where they were.
    slack = max(0.005, 3 / len(index))
    for asked, of in ((rate, "--noise {:g}"), (float(named[1]) if named else None, "the {:g} in its name")):
        if asked is not None and abs(asked - realised) > slack:
            raise HarnessError(
                f"{where} moves a share of {realised:.4g} of its entries, which is not {of.format(asked)}."
            )
    if by_image:
        given = np.argsort(index) if len(np.unique(index)) == n else index
    else:
        given = index[np.searchsorted(captions, own_caption)]
    return given, rate if rate is not None else float(named[1]) if named else realised
