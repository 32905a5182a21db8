"""Codes of any program: in an npz file (``harness evaluate --codes``), or as arguments of ``harness.evaluate``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.data.matrices import classes_of_column, holds_integers
from harness.errors import HarnessError
from harness.retrieval.codes import CodeTable, pack_checked

PARTS = ("query", "database")
MODALITIES = ("image", "text")
ARRAYS = frozenset(
    ["n_bits", "query_blocks"]
    + [f"{part}_{modality}{suffix}" for part in PARTS for modality in MODALITIES for suffix in ("", "_codes")]
    + [f"{part}_{kind}" for part in PARTS for kind in ("labels", "ids")]
)
"""All that a file of codes may hold and that is used; nothing else in it is read."""


@dataclass(frozen=True)
class Names:
    """What the arrays of a caller are called, where messages must say other names than those of a file.

    Attributes:
        codes: Part and modality to the names that their codes may have.
        bits: Name of the code length.
    """

    codes: Mapping[tuple[str, str], tuple[str, ...]]
    bits: str


OF_FILES = Names(
    {(part, modality): (f"{part}_{modality}_codes", f"{part}_{modality}") for part in PARTS for modality in MODALITIES},
    "n_bits",
)


def code_table(
    arrays: Mapping[str, NDArray],
    where: str,
    labels: Mapping[str, Mapping[int, NDArray]] | None = None,
    names: Names = OF_FILES,
) -> CodeTable:
    """Check codes, ids and labels.

    Arrays: ``query_image_codes``, ``query_text_codes``, ``database_image_codes``, ``database_text_codes`` (the suffix
    ``_codes`` may be left out), each (n, n_bits) of -1/1, 0/1, bool or real values (a bit is 1 above 0), or packed
    uint8 of shape (n, ceil(n_bits / 8)), least significant bit first, together with ``n_bits``; ``query_labels`` and
    ``database_labels``, (n,) integers or (n, n_classes) 0/1, where a single column of numbers holds classes, too;
    ``query_ids`` and ``database_ids``, (n,) integers, none of them in both; without them the items of each part are
    numbered from 0. One modality per part is enough for the directions that it allows.

    Args:
        arrays: Name to array.
        where: What to call the file in messages.
        labels: Labels by id for "query" and "database", where the ids belong to a known cell; then no labels are
            needed.
        names: What codes and code length are called; labels and ids have the same names everywhere.

    Returns:
        The codes, packed.

    Raises:
        HarnessError: Something is missing or does not fit.
    """
    table = _table(arrays, where, labels, names)
    common = np.intersect1d(table.query_ids, table.database_ids)
    if len(common) and "query_ids" in arrays and "database_ids" in arrays:
        raise HarnessError(
            f"{where}: {len(common)} ids are both query and database, the first is {common[0]}; queries must not be in "
            "the database."
        )
    return table


def _table(
    arrays: Mapping[str, NDArray],
    where: str,
    labels: Mapping[str, Mapping[int, NDArray]] | None = None,
    names: Names = OF_FILES,
) -> CodeTable:
    packed, n_bits = _codes(arrays, PARTS, where, names)
    for part in PARTS:
        if not packed[part]:
            raise HarnessError(f"{where}: no codes of the {part}: expected {part}_image_codes or {part}_text_codes.")
        lengths = {modality: len(codes) for modality, codes in packed[part].items()}
        if len(set(lengths.values())) > 1:
            raise HarnessError(
                f"{where}: {part} has {lengths['image']} image codes and {lengths['text']} caption codes; row i must "
                "be one pair."
            )
    labels_and_ids = {
        part: _labels_and_ids(
            arrays, part, len(next(iter(packed[part].values()))), where, None if labels is None else labels[part]
        )
        for part in PARTS
    }
    if labels_and_ids["query"][0].shape[1:] != labels_and_ids["database"][0].shape[1:]:
        raise HarnessError(
            f"{where}: query_labels and database_labels must both be (n,) classes, or (n, n_classes) with as many "
            "classes."
        )
    return CodeTable(
        n_bits=n_bits,
        query=packed["query"],
        database=packed["database"],
        query_labels=labels_and_ids["query"][0],
        database_labels=labels_and_ids["database"][0],
        query_ids=labels_and_ids["query"][1],
        database_ids=labels_and_ids["database"][1],
    )


def stored_table(arrays: Mapping[str, NDArray], where: str) -> CodeTable:
    """The codes of a record, whatever its relevance goes by.

    Here ids may be in both parts: where a file of another program had none, ``harness evaluate`` numbered the items of
    each part from 0, and any other file was looked at before its record was made.

    Args:
        arrays: The arrays of ``arrays.npz``.
        where: What to call the file in messages.

    Returns:
        The codes.

    Raises:
        HarnessError: As :func:`code_table`, or relevant pairs name items that are not there.
    """
    if "relevant_pairs" not in arrays:
        return _table(arrays, where)
    missing = [name for name in ("query_image_codes", "query_text_codes", "query_ids", "n_bits") if name not in arrays]
    if missing:
        raise HarnessError(f"{where}: {', '.join(missing)} missing.")
    packed, n_bits = _codes(arrays, ["query"], where)
    codes, pairs = packed["query"], arrays["relevant_pairs"]
    if pairs.ndim != 2 or len(pairs) != 2 or pairs.dtype.kind not in "iu" or not pairs.size or pairs.min() < 0:
        raise HarnessError(f"{where}: relevant_pairs must be (2, n) places, not {pairs.dtype} {pairs.shape}.")
    for row, modality in zip(pairs, codes, strict=True):
        if row.max() >= len(codes[modality]):
            raise HarnessError(
                f"{where}: relevant_pairs names {modality} {row.max()}, and there are {len(codes[modality])}."
            )
    labels, ids = _labels_and_ids(arrays, "query", len(codes["image"]), where, None)
    return CodeTable(n_bits, codes, codes, labels, labels, ids, ids, {"i2t": pairs, "t2i": pairs[::-1]})


def _codes(
    arrays: Mapping[str, NDArray], parts: Sequence[str], where: str, names: Names = OF_FILES
) -> tuple[dict[str, dict[str, NDArray[np.uint8]]], int]:
    """Packed codes by part and modality, of those that are there, and their one length in bits."""
    said = n_bits = _said_bits(arrays, where, names.bits)
    packed: dict[str, dict[str, NDArray[np.uint8]]] = {part: {} for part in parts}
    for part in parts:
        for modality in MODALITIES:
            name = next((name for name in names.codes.get((part, modality), ()) if name in arrays), None)
            if name is None:
                continue
            codes, width = _packed(arrays[name], said, f"{where}: {name}", names.bits)
            if n_bits is not None and width != n_bits:
                others = "the others" if said is None else f"and {names.bits} is"
                raise HarnessError(f"{where}: {name} has {width} bits, {others} {n_bits}.")
            n_bits, packed[part][modality] = width, codes
    return packed, n_bits or 0


def _said_bits(arrays: Mapping[str, NDArray], where: str, name: str) -> int | None:
    """The code length that the file states, if it does."""
    if name not in arrays:
        return None
    said = arrays[name]
    if said.size != 1 or said.dtype.kind not in "iu" or said.item() < 1:
        raise HarnessError(f"{where}: {name} must be one whole number, not {said.dtype} {said.shape}.")
    return int(said.item())


def _packed(array: NDArray, n_bits: int | None, where: str, bits: str) -> tuple[NDArray[np.uint8], int]:
    if array.ndim != 2 or array.dtype.kind not in "biuf" or not array.shape[0] or not array.shape[1]:
        raise HarnessError(f"{where} must be a matrix of numbers (items, bits), not {array.dtype} {array.shape}.")
    if (
        n_bits is not None
        and array.dtype == np.uint8
        and array.shape[1] == -(-n_bits // 8)
        and array.shape[1] != n_bits
    ):
        if (array[:, -1] >> (n_bits - 8 * (array.shape[1] - 1))).any() and n_bits % 8:
            # Dropping them would drop real bits of codes packed in the other order, and give wrong numbers in silence.
            raise HarnessError(
                f"{where} has bits set beyond {bits} = {n_bits}; pack with bitorder='little' and zero padding."
            )
        return array, n_bits
    if n_bits is None and array.dtype == np.uint8 and array.max(initial=0) > 1:
        raise HarnessError(f"{where} looks packed (uint8 above 1): add {bits} to the file.")
    return pack_checked(array, where), array.shape[1]


def _labels_and_ids(
    arrays: Mapping[str, NDArray], part: str, n: int, where: str, labels: Mapping[int, NDArray] | None
) -> tuple[NDArray, NDArray[np.int64]]:
    ids = arrays.get(f"{part}_ids")
    if ids is not None and (ids.shape != (n,) or ids.dtype.kind not in "iu" or not holds_integers(ids)):
        raise HarnessError(f"{where}: {part}_ids must be ({n},) integers, not {ids.dtype} {ids.shape}.")
    if ids is not None and len(np.unique(ids)) < n:
        raise HarnessError(f"{where}: {part}_ids names some items twice.")
    if labels is not None:
        if ids is None:
            raise HarnessError(f"{where}: {part}_ids is needed to find the items in the cell.")
        unknown = [int(number) for number in ids if int(number) not in labels]
        if unknown:
            raise HarnessError(
                f"{where}: {len(unknown)} of {part}_ids are no {part} items of the cell, the first is {unknown[0]}."
            )
        if len(ids) != len(labels):
            raise HarnessError(
                f"{where}: {len(ids)} {part} items, but the cell has {len(labels)}; all must be there to be comparable."
            )
        return np.stack([labels[int(number)] for number in ids]), ids.astype(np.int64)
    own = arrays.get(f"{part}_labels")
    if own is None:
        raise HarnessError(
            f"{where}: {part}_labels missing; give labels, or the cell that the codes belong to with --cell."
        )
    own = classes_of_column(own, f"{where}: {part}_labels")
    if own.ndim not in (1, 2) or len(own) != n or own.dtype.kind not in "biuf":
        raise HarnessError(
            f"{where}: {part}_labels must be ({n},) integers or ({n}, n_classes) of 0/1, not {own.dtype} {own.shape}."
        )
    if own.ndim == 2 and not np.isin(own, (0, 1)).all():
        raise HarnessError(f"{where}: {part}_labels of shape {own.shape} must be 0 or 1, one column for each class.")
    if own.ndim == 1:
        if not holds_integers(own):
            raise HarnessError(f"{where}: {part}_labels must be whole numbers, one class for each item.")
        own = own.astype(np.int64)
    return own, np.arange(n, dtype=np.int64) if ids is None else ids.astype(np.int64)
