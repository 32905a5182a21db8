"""Shards: disjoint, complete, balanced, and the same whatever is done already."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.cells.cell import Cell
from harness.errors import HarnessError
from harness.execution.cells_to_run import read_shard, shard


@dataclass(frozen=True)
class Item:
    cell: Cell


def item(method: str, number: int) -> Item:
    return Item(Cell({"method": method, "dataset": "toy"}, {"method": method, "number": number}))


cells = st.dictionaries(st.sampled_from(["chnr", "cca-itq", "slow"]), st.integers(1, 40), min_size=1).map(
    lambda counts: [item(method, number) for method, count in counts.items() for number in range(count)]
)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(cells, st.integers(1, 7))
def test_shards_are_disjoint_complete_and_balanced_within_methods(jobs, parts):
    dealt = [shard(jobs, part, parts) for part in range(1, parts + 1)]
    assert Counter(job.cell.hash for part in dealt for job in part) == Counter(job.cell.hash for job in jobs)
    sizes = [len(part) for part in dealt]
    assert max(sizes) - min(sizes) <= 1
    for method in {job.cell.facts["method"] for job in jobs}:
        counts = [sum(job.cell.facts["method"] == method for job in part) for part in dealt]
        assert max(counts) - min(counts) <= 1


def test_a_shard_keeps_the_order_and_does_not_depend_on_it():
    jobs = [item("chnr", number) for number in range(30)]
    part = shard(jobs, 2, 3)
    assert part == [job for job in jobs if job in part]
    assert {job.cell.hash for job in shard(jobs[::-1], 2, 3)} == {job.cell.hash for job in part}


def test_no_shard_gets_one_value_of_the_fastest_axis_alone():
    jobs = [item("chnr", number) for number in range(40)]
    assert len({job.cell.identity["number"] % 4 for job in shard(jobs, 1, 4)}) > 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "a/b", "", "1/2/3", "-1/3", "1.5/3"])
def test_bad_shards_are_refused(text):
    with pytest.raises(HarnessError, match="expected PART/PARTS"):
        read_shard(text)


def test_a_shard_is_read():
    assert read_shard("2/3") == (2, 3)
    assert read_shard(" 1 / 1 ") == (1, 1)
