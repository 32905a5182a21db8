"""Results of several machines in one folder."""

from __future__ import annotations

import filecmp
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HarnessError
from harness.records.index import open_index
from harness.records.run_files import FILES, read_files, run_folder, run_place
from harness.records.store import RunStore, read_record

if TYPE_CHECKING:
    import numpy as np

COLUMNS = ("folder", "hash", "status", "method", "dataset", "limit", "data", "noise_plan")


@dataclass(frozen=True)
class _Known:
    """The facts of a record that decide whether it is merged."""

    results: Path
    shown: str
    folder: str
    hash: str
    status: str
    method: str
    dataset: str
    limit: int | None
    data: str | None
    noise_plan: str | None

    @property
    def place(self) -> str:
        """Where it belongs below ``runs``, and what may be there once.

        Raises:
            HarnessError: Its hash is none of this program's.
        """
        return run_place(self.method, self.dataset, self.hash)

    @property
    def path(self) -> Path:
        return run_folder(self.results / "runs", self.folder)

    @property
    def data_name(self) -> tuple[str, int | None]:
        """Name of the data set and its limit; records with the same ones must have the same data."""
        return self.dataset, self.limit

    @property
    def content(self) -> str | None:
        """Fingerprint of the data; which images ``--limit`` keeps depends on the data seed, so that is left out."""
        return None if self.data is None else self.data.partition("-limit-")[0]


@dataclass
class Merged:
    """What a merge did, or would do: folders of runs below ``runs``.

    Attributes:
        added: New in the destination.
        better: Finished, in the place of one that had not.
        same: There already, with the same codes.
        worse: Unfinished, or unfinished on both sides; the destination's stays.
        differ: Finished on both sides with different codes, or another run lies there; the destination's stays.
    """

    added: list[str] = field(default_factory=list)
    better: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    worse: list[str] = field(default_factory=list)
    differ: list[str] = field(default_factory=list)


def merge(sources: Sequence[tuple[str, Path]], destination: Path, *, dry_run: bool = False) -> Merged:
    """Copy the runs of results folders into one.

    Nothing is copied before it is known that nothing contradicts. A run is copied whole or not at all; a merge that was
    cut off is repeated.

    Args:
        sources: What the user called them, and the results folders.
        destination: The results folder that takes them in; made if missing.
        dry_run: Copy nothing.

    Returns:
        The runs by what was done with them.

    Raises:
        HarnessError: Records of one data set name are of different data, or records of one cell of different noise
            plans; or a folder cannot be read or written.
    """
    for shown, source in sources:
        if not (source / "runs").is_dir():
            raise HarnessError(f"{shown} is no results folder: it holds no folder runs.")
        if source.resolve() == destination.resolve():
            raise HarnessError(f"{shown} is the destination itself; name the folders whose runs it shall take in.")
    standing = {known.folder: known for known in _known(str(destination), destination)}
    arriving = [_known(shown, source) for shown, source in sources]
    _check_data(list(standing.values()), arriving)
    _check_plans(list(standing.values()), arriving)
    store = RunStore(destination)
    if not dry_run:
        store.check_writable()
    merged = Merged()
    for records in arriving:
        for record in records:
            there = standing.get(record.place)
            kind = "differ" if there is None and _is_another_run(store, record) else _fate(record, there)
            getattr(merged, kind).append(record.folder)
            if kind in ("added", "better"):
                standing[record.place] = record
                if not dry_run:
                    _copy(record, store)
    return merged


def _known(shown: str, results: Path) -> list[_Known]:
    """The records of a folder, in its order. The folder is not written to."""
    with open_index(results, in_memory=True) as index:
        columns = index.read(COLUMNS)
    return [_Known(results, shown, *row) for row in zip(*columns.values(), strict=True)]


def _is_another_run(store: RunStore, record: _Known) -> bool:
    """Whether a run lies in its place that the index leaves out, because its hash is another one."""
    try:
        return read_record(run_folder(store.runs, record.place) / "record.json").hash != record.hash
    except (OSError, ValueError):
        return False


def _fate(record: _Known, there: _Known | None) -> str:
    if there is None:
        return "added"
    if record.status != "ok":
        return "worse"
    if there.status != "ok":
        return "better"
    return "same" if _same_codes(record.path, there.path) else "differ"


def _check_data(standing: list[_Known], arriving: list[list[_Known]]) -> None:
    """Refuse folders that have different data under one name.

    Raises:
        HarnessError: Two folders have different data under one name.
    """
    content: dict[tuple[str, int | None], dict[str, _Known]] = {}
    for records in (standing, *arriving):
        brought: dict[tuple[str, int | None], dict[str, _Known]] = {}
        for record in records:
            if record.content is not None:
                brought.setdefault(record.data_name, {}).setdefault(record.content, record)
        for name, by_fingerprint in brought.items():
            before = content.setdefault(name, {})
            for fingerprint, record in by_fingerprint.items():
                if before and fingerprint not in before:
                    other_fingerprint, other = next(iter(before.items()))
                    limited = f" (--limit {name[1]})" if name[1] is not None else ""
                    raise HarnessError(
                        f"data set {name[0]!r}{limited} is not the same data everywhere: fingerprint {fingerprint} in "
                        f"{record.shown} (run {record.hash}), {other_fingerprint} in {other.shown} (run {other.hash}); "
                        "nothing was copied: keep these results in folders of their own, or run one side again on the "
                        "data of the other."
                    )
            before.update(by_fingerprint)


def _check_plans(standing: list[_Known], arriving: list[list[_Known]]) -> None:
    """Refuse records of one cell that were made with different noise plans.

    Raises:
        HarnessError: Two records of a cell were made with different ones.
    """
    plans: dict[str, _Known] = {}
    for records in (standing, *arriving):
        for record in records:
            if record.noise_plan is None:
                continue
            other = plans.setdefault(record.hash, record)
            if other.noise_plan != record.noise_plan:
                raise HarnessError(
                    f"run {record.hash} on {record.dataset!r} has noise plan {record.noise_plan} in {record.shown} and "
                    f"{other.noise_plan} in {other.shown}, though one cell has one plan; nothing was copied: the two "
                    "were made by versions that draw plans differently, so run one side again."
                )


def _same_codes(one: Path, other: Path) -> bool:
    """Whether two finished runs have equal codes; without arrays, whether they have equal metrics."""
    paths = (one / "arrays.npz", other / "arrays.npz")
    there = [path.is_file() for path in paths]
    if not any(there):
        metrics = [read_record(folder / "record.json").metrics for folder in (one, other)]
        return metrics[0] == metrics[1]
    if not all(there):
        return False
    try:
        return filecmp.cmp(*paths, shallow=False) or _equal(*map(_codes, paths))
    except (OSError, HarnessError):
        return False  # damaged arrays are no codes that anything equals


def _codes(path: Path) -> dict[str, np.ndarray]:
    from harness.files.npz import read_npz

    return read_npz(path, "run", lambda name: name.endswith("_codes"))


def _equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    import numpy as np

    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def _copy(record: _Known, store: RunStore) -> None:
    try:
        files = read_files(record.path, FILES)
    except OSError as error:
        raise HarnessError(
            f"{record.path} cannot be read: {error.strerror or error}; what was copied before stays, so repeat the "
            "merge when it can."
        ) from error
    store.write_files(record.method, record.dataset, record.hash, files)
