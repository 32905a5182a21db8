"""From a published index file to the noise plan that it means for some data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.assemble import trusted_rows
from harness.data.features.sources import DataSource
from harness.data.splits import choose_captions
from harness.noise.index_file import read_index_file
from harness.noise.plan import NoisePlan
from harness.plugin.declarations import ProtocolDeclaration


def plan_of_index_file(
    path: Path,
    rate: float | None,
    source: DataSource,
    train: NDArray[np.int64],
    protocol: ProtocolDeclaration,
    *,
    trusted: float,
    data_seed: int,
) -> NoisePlan:
    """The plan of a published index file. Trusted pairs are drawn among those that it leaves right.

    Args:
        path: The npy file.
        rate: The rate asked for, or None.
        source: The data.
        train: (n_train,) the training images.
        protocol: What the plan names as its protocol.
        trusted: Share of trusted pairs, where the data bring none.
        data_seed: Seed of caption choice and trusted pairs.

    Returns:
        The plan.

    Raises:
        HarnessError: The file is of other data or of another rate; see :mod:`harness.noise.index_file`.
    """
    data = source.data
    own = None if source.ready is None else source.ready.caption_choice
    if own is None:
        own = choose_captions(data.caption_image, len(data), data_seed)
    given, rate = read_index_file(path, rate, train=train, own_caption=own[train], caption_image=data.caption_image)
    moved = np.zeros(len(data), dtype=bool)
    moved[train] = given != np.arange(len(train))
    chosen, _ = trusted_rows(data.trusted, moved, train, trusted, data_seed)
    return NoisePlan(
        image=train,
        caption=own[train][given],
        own_caption=own[train],
        wrong=moved[train],
        trusted=chosen & ~moved[train],
        protocol=protocol.name,
        protocol_version=protocol.version,
        rate=rate,
        data_seed=data_seed,
        data_fingerprint=data.fingerprint,
    )
