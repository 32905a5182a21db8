"""Batches for backbones: order, errors, memory that does not suffice, and other processes."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from reference.parts import encoded

from harness.data import loading
from harness.data.loading import Halving, encode_in_batches, encode_texts_in_batches, out_of_memory
from harness.errors import HarnessError
from harness.runtime.context import RunContext

CPU = torch.device("cpu")
RUN = RunContext(8, CPU)


@dataclass(frozen=True)
class Numbers:
    """Item i is the number i; some cannot be read."""

    count: int
    broken: tuple[int, ...] = ()

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index in self.broken:
            raise HarnessError(f"image {index}.jpg cannot be decoded: truncated.")
        return index


def as_tensor(item):
    return torch.tensor([float(item), 1.0])


class Backbone:
    """Features are the prepared items themselves."""

    def __init__(self, prepare=as_tensor, forward=lambda batch: batch, **options):
        self.prepare, self.forward, self.options = prepare, forward, {"batch_size": 3, "phase": "images", **options}

    def encode(self, raw, run):
        return encode_in_batches(raw, self.prepare, self.forward, run, **self.options)


def test_features_come_batch_by_batch_and_in_order():
    parts = list(Backbone().encode(Numbers(8), RUN))
    assert [rows.tolist() for rows, _ in parts] == [[0, 1, 2], [3, 4, 5], [6, 7]]
    np.testing.assert_array_equal(encoded(Backbone(), Numbers(8), RUN)[:, 0], np.arange(8))


def test_an_order_decides_who_shares_a_batch():
    order = np.array([5, 0, 3, 1, 4, 2])
    parts = list(Backbone(order=order).encode(Numbers(6), RUN))
    assert [rows.tolist() for rows, _ in parts] == [[5, 0, 3], [1, 4, 2]]
    np.testing.assert_array_equal(encoded(Backbone(order=order), Numbers(6), RUN)[:, 0], np.arange(6))


def test_an_item_that_cannot_be_read_is_named():
    with pytest.raises(HarnessError, match=r"^image 4\.jpg cannot be decoded: truncated\.$"):
        encoded(Backbone(), Numbers(8, broken=(4, 6)), RUN)


def test_items_prepared_to_different_sizes_are_refused_in_words():
    with pytest.raises(HarnessError, match=r"different sizes \(\(1,\) and \(2,\)\)"):
        encoded(Backbone(prepare=lambda item: torch.zeros(1 + item % 2)), Numbers(4), RUN)


def test_progress_tells_items_per_second():
    told = []
    encoded(Backbone(), Numbers(7), RunContext(8, CPU, listener=told.append))
    assert [(news.phase, news.epoch, news.epochs) for news in told] == [("images", at, 7) for at in (3, 6, 7)]
    assert all(news.rate > 0 and news.figure.endswith(" per second") for news in told)


# --- memory ---


def fits(most, seen=None):
    """A network that takes ``most`` items at once."""

    def forward(batch):
        if seen is not None:
            seen.append(len(batch))
        if len(batch) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return batch

    return forward


def test_a_batch_that_does_not_fit_is_halved_for_good(caplog):
    seen = []
    with caplog.at_level(logging.WARNING):
        found = encoded(Backbone(forward=fits(3, seen), batch_size=10), Numbers(20), RUN)
    np.testing.assert_array_equal(found[:, 0], np.arange(20))
    assert seen == [10, 5, 3, 3, 3, 1, 3, 3, 3, 1], "the second batch is not tried whole again"
    assert [record.getMessage() for record in caplog.records] == [
        "a batch of 10 does not fit the memory: going on with 5 at a time",
        "a batch of 5 does not fit the memory: going on with 3 at a time",
    ]


def test_a_single_item_that_does_not_fit_is_an_error_of_memory():
    with pytest.raises(torch.OutOfMemoryError):
        encoded(Backbone(forward=fits(0)), Numbers(4), RUN)


def test_a_batch_that_is_part_of_the_features_is_never_divided():
    seen = []
    with pytest.raises(torch.OutOfMemoryError):
        encoded(Backbone(forward=fits(2, seen), divisible=False), Numbers(6), RUN)
    assert seen == [3]


def test_other_errors_are_not_taken_for_lack_of_memory():
    def forward(batch):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        encoded(Backbone(forward=forward), Numbers(4), RUN)


def test_the_hosts_memory_counts_too():
    assert out_of_memory(RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"))
    assert out_of_memory(torch.OutOfMemoryError("x"))
    assert not out_of_memory(RuntimeError("shape mismatch"))


def test_halving_leaves_gradients_out():
    weight = torch.ones(2, requires_grad=True)
    (found,) = Halving(lambda batch: batch * weight, CPU, 4)(torch.ones(3, 2))
    assert not found.requires_grad


# --- other processes ---


def test_two_processes_read_ahead_in_order_and_name_what_they_cannot_read(monkeypatch):
    monkeypatch.setenv("HARNESS_LOADERS", "2")
    parts = Backbone().encode(Numbers(20, broken=(13,)), RUN)
    for first in (0, 3, 6, 9):
        rows, features = next(parts)
        assert rows.tolist() == list(range(first, first + 3))
        np.testing.assert_array_equal(features[:, 0], rows)
    with pytest.raises(HarnessError, match=r"^image 13\.jpg cannot be decoded: truncated\.$"):
        next(parts)


def test_lost_processes_cost_a_note_and_no_item(monkeypatch, caplog):
    real, asked = loading._loader, []

    def loader(data, rows, batch_size, device, processes):
        asked.append((rows.tolist(), processes))
        if not processes:
            return real(data, rows, batch_size, device, 0)

        def half():
            yield next(iter(real(data, rows, batch_size, device, 0)))
            raise RuntimeError("DataLoader worker (pid(s) 12) exited unexpectedly")

        return half()

    monkeypatch.setattr(loading, "_loader", loader)
    monkeypatch.setattr(loading, "_processes", lambda *arguments: 2)
    with caplog.at_level(logging.WARNING):
        found = encoded(Backbone(), Numbers(7), RUN)
    np.testing.assert_array_equal(found[:, 0], np.arange(7))
    assert asked == [([0, 1, 2, 3, 4, 5, 6], 2), ([3, 4, 5, 6], 0)]
    assert "reading ahead in 2 processes failed" in caplog.text


class Anywhere:
    def __reduce__(self):
        raise TypeError("cannot be sent")


def processes(items=(), prepare=as_tensor, count=loading.FEWEST_FOR_PROCESSES, device=CPU):
    return loading._processes(loading._Prepared(items, prepare), count, device)


@pytest.mark.parametrize(
    ("cores", "device", "expected"), [(2, "cpu", 0), (16, "cpu", 4), (16, "cuda", 8), (4, "cuda", 3)]
)
def test_processes_follow_the_machine(monkeypatch, cores, device, expected):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(cores)), raising=False)
    assert processes(device=torch.device(device)) == expected
    assert processes(device=torch.device(device), count=100) == 0, "few items are not worth it"


def test_processes_are_as_many_as_asked_for_where_that_can_be(monkeypatch):
    monkeypatch.setenv("HARNESS_LOADERS", "3")
    assert processes(count=1) == 3
    assert processes(items=Anywhere()) == 0
    monkeypatch.setattr("multiprocessing.current_process", lambda: type("Process", (), {"daemon": True})())
    assert processes() == 0
    monkeypatch.setenv("HARNESS_LOADERS", "many")
    with pytest.raises(HarnessError, match="HARNESS_LOADERS=many"):
        processes()


# --- captions ---


class Lengths:
    """One number for each caption, and a list of what was asked for."""

    def __init__(self, batch_size=2):
        self.batch_size, self.asked = batch_size, []

    def encode(self, raw, run):
        def forward(captions):
            self.asked.append(captions)
            return torch.tensor([[len(text), 1.0] for text in captions])

        return encode_texts_in_batches(raw, forward, run, batch_size=self.batch_size)


def test_equal_captions_are_encoded_once_and_like_lengths_share_a_batch():
    texts = ["ccc", "a", "bb", "a", "dddd", "ccc", "a"]
    backbone = Lengths()
    np.testing.assert_array_equal(encoded(backbone, texts, RUN)[:, 0], [len(text) for text in texts])
    assert backbone.asked == [["a", "bb"], ["ccc", "dddd"]]


@pytest.mark.parametrize("batch_size", [1, 2, 50])
def test_every_row_gets_the_features_of_its_caption(batch_size):
    random = np.random.default_rng(0)
    texts = ["x" * number for number in random.integers(1, 20, 100)]
    found = encoded(Lengths(batch_size), texts, RUN)
    np.testing.assert_array_equal(found[:, 0], [len(text) for text in texts])
