"""Values per query of a stored run, and which queries are one observation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.errors import HarnessError
from harness.files.npz import names_in_npz, read_npz

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PREFIX = "per_query_"


@dataclass(frozen=True)
class QueryValues:
    """One metric of one run in one direction.

    Attributes:
        values: (n,) value of each query, NaN for a query that the metric leaves out.
        queries: (n,) number of each query's image in the data set; an image has one query, or with relevance by
            instance one for each caption.
        blocks: (n,) block of each query as the run stored it, or None where it is older than query blocks.
        codes: (n, bytes) packed caption codes of the queries, or None; stands in for ``blocks``.
    """

    values: Floats
    queries: Ints
    blocks: Ints | None
    codes: NDArray[np.uint8] | None


def array_name(column: str) -> str:
    """The array of ``arrays.npz`` that holds a column per query: "i2t/map" is in "per_query_i2t_map"."""
    return PREFIX + column.replace("/", "_")


def read_queries(folder: Path, column: str) -> QueryValues:
    """Read a metric of every query.

    Args:
        folder: The run folder.
        column: "i2t/map", ...

    Returns:
        The values, and what is known of the queries.

    Raises:
        HarnessError: The run keeps no values of this metric, or its arrays are missing or damaged.
    """
    path = folder / "arrays.npz"
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        raise HarnessError(f"run {folder.name} has no arrays.npz") from None
    return _read(path, column, changed)


@lru_cache(maxsize=512)
def _read(path: Path, column: str, changed: int) -> QueryValues:
    """Reads a file once for each time it was written: tables compare the best row with every other."""
    name = array_name(column)
    wanted = {name, "query_blocks", "query_ids", "query_text_codes", "relevant_pairs"}
    arrays = read_npz(path, "the run's", wanted.__contains__)
    if name not in arrays:
        raise HarnessError(f"records keep no values of {column.partition('/')[2]} per query{_kept(path)}")
    values = arrays[name].astype(np.float64)
    captions = "relevant_pairs" in arrays
    place = _images_of_queries(arrays, len(values), of_captions=captions and column.startswith("t2"), path=path)
    ids, blocks = arrays.get("query_ids", np.arange(int(place.max(initial=-1)) + 1)), arrays.get("query_blocks")
    if captions and blocks is None:
        blocks = _linked(arrays["relevant_pairs"])
    for what, array in (("query_ids", ids), ("query_blocks", blocks)):
        if array is not None and (array.ndim != 1 or len(array) <= place.max(initial=-1)):
            raise HarnessError(f"run {path.parent.name} has {what} that do not fit its values of {column} per query")
    codes = arrays.get("query_text_codes")
    return QueryValues(
        values,
        ids[place].astype(np.int64),
        None if blocks is None else blocks[place].astype(np.int64),
        None if codes is None or captions or len(codes) != len(values) else codes,
    )


def _images_of_queries(arrays: dict[str, NDArray], n: int, of_captions: bool, path: Path) -> Ints:
    """(n,) the place among the query images of each query: its own, or with relevance by instance its caption's."""
    if not of_captions:
        return np.arange(n)
    image, caption = arrays["relevant_pairs"]
    place = np.full(n, -1, dtype=np.int64)
    inside = caption < n
    place[caption[inside]] = image[inside]  # any image of the caption's: all of them are in one block
    if (place < 0).any():
        raise HarnessError(f"run {path.parent.name} has captions without an image in relevant_pairs")
    return place


def _linked(pairs: Ints) -> Ints:
    """Blocks of the images of an older run with relevance by instance: connected by captions with the same words."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    image, caption = pairs
    n = int(image.max()) + 1
    nodes = n + int(caption.max()) + 1
    links = coo_array((np.ones(len(image), dtype=np.int8), (image, n + caption)), shape=(nodes, nodes))
    blocks: Ints = connected_components(links, directed=False)[1][:n].astype(np.int64)
    return blocks


def _kept(path: Path) -> str:
    """Which metrics a run keeps per query, as the end of a sentence."""
    names = names_in_npz(path, "the run's")
    kept = sorted({name.removeprefix(PREFIX).partition("_")[2] for name in names if name.startswith(PREFIX)})
    return f", only of {' and '.join(kept)}" if kept else ""


def common_blocks(runs: Sequence[QueryValues]) -> tuple[Ints, str]:
    """Blocks of the queries that several runs share.

    Args:
        runs: Runs with equal ``queries``.

    Returns:
        (n,) numbers from 0, and where they are from: "stored", "codes" (queries whose caption codes are equal in every
        run: older records), or "" where each query stands alone.
    """
    n = len(runs[0].values)
    stored = next((run.blocks for run in runs if run.blocks is not None), None)
    if stored is not None:
        return np.unique(stored, return_inverse=True)[1].reshape(n), "stored"
    codes = [run.codes for run in runs if run.codes is not None]
    if codes:
        return np.unique(np.hstack(codes), axis=0, return_inverse=True)[1].reshape(n), "codes"
    return np.arange(n), ""
