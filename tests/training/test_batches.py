"""Batches by index: every row once per epoch, in an order that the generator alone decides."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import pytest
import torch

from harness.training import batches


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def epoch(n: int, batch_size: int, seed: int = 0, **options) -> list[list[int]]:
    return [rows.tolist() for rows in batches(torch.arange(n), batch_size, generator(seed), **options)]


@pytest.mark.parametrize(("n", "batch_size"), [(12, 4), (13, 4), (3, 4), (4, 4), (1, 1), (7, 1), (100, 33)])
def test_every_row_comes_once_in_an_epoch(n, batch_size):
    found = epoch(n, batch_size)
    assert Counter(row for batch in found for row in batch) == Counter(range(n))
    assert [len(batch) for batch in found[:-1]] == [batch_size] * (len(found) - 1)
    assert len(found) == -(-n // batch_size)


def test_rows_are_numbers_of_the_pairs_and_need_not_be_consecutive():
    rows = torch.tensor([40, 3, 17, 8, 99])
    found = list(batches(rows, 2, generator()))
    assert {batch.dtype for batch in found} == {torch.int64}
    assert sorted(torch.cat(found).tolist()) == [3, 8, 17, 40, 99]
    assert rows.tolist() == [40, 3, 17, 8, 99], "the caller's rows stay as they are"


def test_order_comes_from_the_seed_alone():
    torch.manual_seed(1)
    first = epoch(50, 8, seed=5)
    torch.manual_seed(2)
    assert epoch(50, 8, seed=5) == first
    assert epoch(50, 8, seed=6) != first
    assert list(chain(*first)) != list(range(50)), "it is shuffled"


def test_batches_leave_the_global_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    epoch(50, 8)
    assert torch.equal(torch.rand(4), expected)


def test_epochs_of_one_stream_differ_and_a_restarted_stream_repeats_them():
    rows, stream = torch.arange(30), generator(9)
    first, second = ([b.tolist() for b in batches(rows, 7, stream)] for _ in range(2))
    assert first != second
    again = generator(9)
    assert [b.tolist() for b in batches(rows, 7, again)] == first
    assert [b.tolist() for b in batches(rows, 7, again)] == second


def test_any_row_can_come_first():
    firsts = Counter(epoch(4, 2, seed=seed)[0][0] for seed in range(200))
    # 200 draws of one in four: 50 +- 6.1; five deviations.
    assert all(20 < firsts[row] < 80 for row in range(4))


@pytest.mark.parametrize(
    ("n", "batch_size", "smallest", "sizes"),
    [
        (9, 4, 1, [4, 4, 1]),
        (9, 4, 2, [4, 5]),
        (10, 4, 2, [4, 4, 2]),
        (10, 4, 3, [4, 6]),
        (8, 4, 3, [4, 4]),
        (5, 4, 2, [5]),
        (1, 4, 2, [1]),
        (3, 4, 4, [3]),
    ],
)
def test_a_last_batch_that_is_too_small_joins_the_one_before(n, batch_size, smallest, sizes):
    found = epoch(n, batch_size, smallest=smallest)
    assert [len(batch) for batch in found] == sizes
    assert sorted(chain(*found)) == list(range(n))


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"), [(9, 4, [4, 4]), (8, 4, [4, 4]), (3, 4, [3]), (4, 4, [4]), (5, 4, [4])]
)
@pytest.mark.parametrize("smallest", [1, 2])
def test_an_incomplete_last_batch_can_be_left_out_unless_it_is_the_only_one(n, batch_size, sizes, smallest):
    found = epoch(n, batch_size, smallest=smallest, drop_last=True)
    assert [len(batch) for batch in found] == sizes
    assert len(set(chain(*found))) == sum(sizes)


def test_rows_left_out_change_from_epoch_to_epoch():
    stream = generator()
    left_out = [set(range(9)) - set(torch.cat(list(batches(torch.arange(9), 4, stream, drop_last=True))).tolist())
                for _ in range(20)]  # fmt: skip
    assert len({tuple(rows) for rows in left_out}) > 3


def test_no_rows_give_no_batch():
    assert epoch(0, 4) == []
    assert epoch(0, 4, drop_last=True, smallest=2) == []
