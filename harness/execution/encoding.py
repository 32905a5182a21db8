"""Codes of queries and database from a fitted hasher, one modality at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.data.assemble import CellData, Standardiser
from harness.errors import HarnessError
from harness.plugin.interfaces import Hasher
from harness.retrieval.codes import CodeTable, pack, pack_checked
from harness.retrieval.partners import partners
from harness.runtime.context import RunContext
from harness.runtime.cost import latency

if TYPE_CHECKING:
    import torch
    from torch import Tensor

PROBE_ROWS = 8
"""Items that are encoded twice, to see that their codes do not depend on the rest of the batch."""

ENCODE_ROWS = 8192
"""Items encoded at a time."""


def encode(
    hasher: Hasher, modality: str, features: NDArray[np.float32], run: RunContext, who: str
) -> NDArray[np.uint8]:
    """Codes of items of one modality.

    Args:
        hasher: A fitted hasher.
        modality: "image" or "text".
        features: (m, d) standardised features.
        run: Device and code length.
        who: Name of the hasher, for messages.

    Returns:
        (m, ceil(n_bits / 8)) packed codes.

    Raises:
        HarnessError: Outputs of the wrong shape, or NaN.
    """
    import torch

    function = hasher.encode_image if modality == "image" else hasher.encode_text
    parts = []
    with torch.no_grad():
        for at in range(0, len(features), ENCODE_ROWS):
            block = torch.from_numpy(features[at : at + ENCODE_ROWS]).to(run.device)
            values = function(block)
            if not isinstance(values, torch.Tensor):
                raise HarnessError(
                    f"hasher {who!r}: encode_{modality} must return a torch tensor, not {type(values).__name__}."
                )
            if tuple(values.shape) != (len(block), run.n_bits):
                raise HarnessError(
                    f"hasher {who!r}: encode_{modality} must return ({len(block)}, {run.n_bits}); it returned "
                    f"{tuple(values.shape)}."
                )
            if at == 0:
                _refuse_batch_dependence(function, block, values, f"hasher {who!r}: encode_{modality}")
            parts.append(pack_checked(values.float().cpu().numpy(), f"hasher {who!r}, encode_{modality}"))
    return np.concatenate(parts)


def _refuse_batch_dependence(function: Callable[[Tensor], Tensor], block: Tensor, values: Tensor, what: str) -> None:
    """Refuse a hasher whose codes depend on the batch: a few items are encoded once more, in another one.

    Otherwise the code of a query would depend on the other queries, and that of an item on the database. Outputs next
    to zero may change sign with the order of summation, so they decide nothing.

    Raises:
        HarnessError: Codes differ.
    """
    few = block[:PROBE_ROWS].flip(0)
    alone, together = function(few).float(), values[:PROBE_ROWS].flip(0).float()
    clear = together.abs() > 1e-3 * together.abs().amax(dim=1, keepdim=True)
    if alone.shape != together.shape or bool(((alone > 0) != (together > 0))[clear].any()):
        raise HarnessError(
            f"{what} gives items another code in another batch: compute means, medians and batch statistics in "
            "fit, and use networks in eval mode."
        )


def code_table(
    data: CellData,
    hasher: Hasher,
    run: RunContext,
    who: str,
    seconds: dict[str, float] | None = None,
    relevance: str = "label",
) -> CodeTable:
    """Codes of queries and database in both modalities, with ids and labels.

    With relevance by instance, the images of the query part and all of their captions search each other, as in the
    papers on caption retrieval; the database plays no part.

    Args:
        data: The cell's data.
        hasher: A fitted hasher.
        run: Device and code length.
        who: Name of the hasher, for messages.
        seconds: Gets the wall-clock seconds per item of each modality, from raw features to packed codes.
        relevance: "label" or "instance".

    Returns:
        The codes.

    Raises:
        HarnessError: As :func:`encode`.
    """
    if relevance == "instance":
        return _instance_table(data, hasher, run, who, seconds)
    table = data.table
    parts: dict[str, dict[str, NDArray[np.uint8]]] = {"query": {}, "database": {}}
    taken = {"image": 0.0, "text": 0.0}
    for part, images in (("query", data.queries), ("database", data.database)):
        for modality in taken:
            raw, standardiser = _features(data, modality, images)
            start = time.perf_counter()
            parts[part][modality] = encode(hasher, modality, standardiser(raw), run, who)
            taken[modality] += time.perf_counter() - start
    if seconds is not None:
        items = len(data.queries) + len(data.database)
        seconds.update({modality: round(spent / items, 9) for modality, spent in taken.items()})
    return CodeTable(
        n_bits=run.n_bits,
        query=parts["query"],
        database=parts["database"],
        query_labels=table.labels[data.queries],
        database_labels=table.labels[data.database],
        query_ids=data.queries,
        database_ids=data.database,
    )


def _instance_table(
    data: CellData, hasher: Hasher, run: RunContext, who: str, seconds: dict[str, float] | None
) -> CodeTable:
    """Codes of the images of the query part and of all of their captions, and which caption belongs to which image."""
    table, images = data.table, data.queries
    place = np.full(len(table), -1, dtype=np.int64)
    place[images] = np.arange(len(images))
    captions = np.flatnonzero(place[table.caption_image] >= 0)
    codes, taken = {}, {}
    for modality, raw, standardiser in (
        ("image", table.image[images], data.image_standardiser),
        ("text", table.text[captions], data.text_standardiser),
    ):
        start = time.perf_counter()
        codes[modality] = encode(hasher, modality, standardiser(raw), run, who)
        taken[modality] = (time.perf_counter() - start) / len(raw)
    if seconds is not None:
        seconds.update({modality: round(spent, 9) for modality, spent in taken.items()})
    strings = None if table.captions is None else [table.captions[caption] for caption in captions]
    return CodeTable(
        n_bits=run.n_bits,
        query=codes,
        database=codes,
        query_labels=table.labels[images],
        database_labels=table.labels[images],
        query_ids=images,
        database_ids=images,
        partners=partners(place[table.caption_image[captions]], strings),
    )


def latencies(data: CellData, hasher: Hasher, run: RunContext) -> dict[str, float | None]:
    """Modality to median seconds of encoding one query that comes alone, from raw features to its packed code."""
    import torch

    medians: dict[str, float | None] = {}
    for modality, function in (("image", hasher.encode_image), ("text", hasher.encode_text)):
        item, standardiser = _features(data, modality, data.queries[:1])
        with torch.no_grad():
            medians[modality] = latency(partial(_encode_one, function, standardiser, run.device), item)
    return medians


def _encode_one(
    function: Callable[[Tensor], Tensor], standardiser: Standardiser, device: torch.device, raw: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """(1, ceil(n_bits / 8)) packed code of (1, d) raw features."""
    import torch

    return pack(function(torch.from_numpy(standardiser(raw)).to(device)).float().cpu().numpy())


def _features(data: CellData, modality: str, images: NDArray[np.int64]) -> tuple[NDArray[np.float32], Standardiser]:
    """Raw features of images, or of their captions, and the standardiser of that modality."""
    if modality == "image":
        return data.table.image[images], data.image_standardiser
    return data.table.text[data.caption_of[images]], data.text_standardiser
