"""Binary codes: from real values to packed bits and 64-bit words, and the table of those that are scored.

Stored codes are uint8, eight bits a byte, least significant bit first (``numpy.packbits(..., bitorder="little")``); bit
k of an item is 1 where output k is above 0. Unused bits of the last byte are 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import HarnessError


@dataclass(frozen=True)
class CodeTable:
    """Codes, ids and labels of queries and database.

    Attributes:
        n_bits: Code length.
        query: Modality to (n_query, bytes) packed codes; a modality may be missing.
        database: Modality to (n_database, bytes) packed codes.
        query_labels: (n_query,) integers or (n_query, n_classes) 0/1.
        database_labels: As ``query_labels``.
        query_ids: (n_query,) int64 numbers of the items in their data set.
        database_ids: (n_database,) int64.
        partners: Where relevance does not go by labels: direction to its relevant pairs (query, item), (2, n) int64
            places. Directions that are not named are not scored, and the modalities may have different numbers of
            items.
    """

    n_bits: int
    query: Mapping[str, NDArray[np.uint8]]
    database: Mapping[str, NDArray[np.uint8]]
    query_labels: NDArray
    database_labels: NDArray
    query_ids: NDArray[np.int64]
    database_ids: NDArray[np.int64]
    partners: Mapping[str, NDArray[np.int64]] | None = None


def pack(values: NDArray) -> NDArray[np.uint8]:
    """Pack real values, signs or bits.

    Args:
        values: (n, n_bits); a bit is 1 where the value is above 0, so 0 and -1 both mean 0.

    Returns:
        (n, ceil(n_bits / 8)) uint8.
    """
    return np.packbits(values > 0, axis=1, bitorder="little")


def unpack(codes: NDArray[np.uint8], n_bits: int) -> NDArray[np.bool_]:
    """The inverse of :func:`pack`: (n, bytes) uint8 to (n, n_bits) bool."""
    return np.unpackbits(codes, axis=1, count=n_bits, bitorder="little").astype(bool)


def as_signs(codes: NDArray[np.uint8], n_bits: int) -> NDArray[np.int8]:
    """Packed codes to (n, n_bits) int8 of -1 and 1."""
    return unpack(codes, n_bits).astype(np.int8) * np.int8(2) - np.int8(1)


def words(codes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Packed bytes, (n, bytes), padded with zeros to 64-bit words, (n, ceil(bytes / 8)) uint64."""
    padded = np.zeros((codes.shape[0], -(-codes.shape[1] // 8) * 8), dtype=np.uint8)
    padded[:, : codes.shape[1]] = codes
    return padded.view(np.uint64)


def pack_checked(values: NDArray, who: str) -> NDArray[np.uint8]:
    """As :func:`pack`, after a check that there are codes at all.

    Raises:
        HarnessError: ``values`` is no matrix, or holds NaN or infinite numbers.
    """
    if values.ndim != 2 or values.shape[1] < 1:
        raise HarnessError(f"{who}: expected a matrix (items, bits), got shape {values.shape}.")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        rows = int((~np.isfinite(values)).any(axis=1).sum())
        raise HarnessError(f"{who}: {rows} of {len(values)} items have NaN or infinite outputs.")
    return pack(values)
