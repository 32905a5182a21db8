"""Batches for backbones: order, errors, memory that does not suffice, and other processes."""

from __future__ import annotations

import logging
import threading
import time
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


def test_progress_tells_items_per_second(monkeypatch):
    monkeypatch.setattr(loading, "TOLD_SECONDS", 0)
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


def test_a_batch_that_does_not_fit_is_halved_for_good(caplog, monkeypatch):
    monkeypatch.setenv("HARNESS_LOADERS", "1")
    monkeypatch.setattr(loading, "IMAGES_AT_ONCE", 10)
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


# --- several threads ---


@pytest.fixture
def threads(monkeypatch):
    def several(number):
        monkeypatch.setenv("HARNESS_LOADERS", str(number))

    return several


def convolution():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1)).eval()


def test_features_are_the_same_bits_whatever_the_number_of_threads(threads):
    network, pictures = convolution(), torch.rand(30, 3, 40, 40)
    backbone = Backbone(prepare=lambda at: pictures[at], forward=network, batch_size=64)
    found = []
    for number in (1, 2, 5):
        threads(number)
        found.append(encoded(backbone, Numbers(30), RUN))
    assert (found[0] == found[1]).all()
    assert (found[0] == found[2]).all()
    with torch.no_grad():
        np.testing.assert_allclose(found[0], network(pictures).flatten(1).numpy(), atol=1e-6)


def test_images_reach_the_network_with_channels_last_and_few_at_once():
    seen = []

    def forward(batch):
        seen.append((len(batch), batch.is_contiguous(memory_format=torch.channels_last)))
        return batch.flatten(1)

    backbone = Backbone(prepare=lambda at: torch.rand(3, 5, 6), forward=forward, batch_size=64)
    encoded(backbone, Numbers(loading.IMAGES_AT_ONCE + 2), RUN)
    assert seen == [(loading.IMAGES_AT_ONCE, True), (2, True)]


def test_threads_encode_at_the_same_time_with_one_thread_of_torch_each(threads):
    threads(2)
    before, both, seen = torch.get_num_threads(), threading.Barrier(2, timeout=20), []

    def forward(batch):
        seen.append(torch.get_num_threads())
        if batch[0, 0] > 0:  # the first batch is encoded before the threads begin
            both.wait()
        return batch

    torch.set_num_threads(3)
    try:
        encoded(Backbone(forward=forward, batch_size=1), Numbers(5), RUN)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert seen == [1] * 5


def test_an_item_that_cannot_be_read_is_named_from_another_thread_after_what_came_before_it(threads):
    threads(2)
    parts = Backbone().encode(Numbers(20, broken=(13, 16)), RUN)
    for first in (0, 3, 6, 9):
        rows, features = next(parts)
        assert rows.tolist() == list(range(first, first + 3))
        np.testing.assert_array_equal(features[:, 0], rows)
    with pytest.raises(HarnessError, match=r"^image 13\.jpg cannot be decoded: truncated\.$"):
        next(parts)


def test_no_more_is_read_ahead_than_a_few_batches(threads):
    threads(2)
    read = []

    def prepare(item):
        read.append(item)
        return as_tensor(item)

    parts = Backbone(prepare=prepare).encode(Numbers(3000), RUN)
    for _ in range(3):
        next(parts)
    time.sleep(0.05)
    assert len(read) <= 3 * (3 + 2 * 2 + 1)
    parts.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("features")]


def test_batches_that_must_not_be_divided_are_prepared_in_threads_and_encoded_whole(threads):
    threads(3)
    seen = []

    def forward(batch):
        seen.append((len(batch), threading.current_thread() is threading.main_thread()))
        return batch

    found = encoded(Backbone(forward=forward, batch_size=9, divisible=False), Numbers(20), RUN)
    np.testing.assert_array_equal(found[:, 0], np.arange(20))
    assert seen == [(9, True), (9, True), (2, True)]


@pytest.mark.parametrize(("device", "expected"), [("cpu", 16), ("cuda", loading.MOST_BESIDE_A_DEVICE)])
def test_threads_follow_the_machine_or_what_is_asked_for(monkeypatch, device, expected):
    monkeypatch.delenv("HARNESS_LOADERS", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(16)), raising=False)
    assert loading._threads(torch.device(device)) == expected
    for asked, number in (("3", 3), ("0", 1)):
        monkeypatch.setenv("HARNESS_LOADERS", asked)
        assert loading._threads(torch.device(device)) == number
    monkeypatch.setenv("HARNESS_LOADERS", "many")
    with pytest.raises(HarnessError, match="HARNESS_LOADERS=many"):
        loading._threads(torch.device(device))


# --- captions ---


def test_captions_are_encoded_in_threads_and_the_same_bits_come_out(threads):
    texts = ["x" * (1 + at % 17) + f" {at}" for at in range(400)]
    found = []
    for number in (1, 3):
        threads(number)
        found.append(encoded(Lengths(64), texts, RUN))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0][:, 0], [len(text) for text in texts])


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
    assert sorted(backbone.asked) == [["a", "bb"], ["ccc", "dddd"]]


def test_captions_of_as_many_words_share_a_batch():
    backbone = Lengths()
    encoded(backbone, ["a b c", "many", "e f", "extraordinarily"], RUN)
    assert sorted(backbone.asked) == [["e f", "a b c"], ["many", "extraordinarily"]]


@pytest.mark.parametrize("batch_size", [1, 2, 50])
def test_every_row_gets_the_features_of_its_caption(batch_size):
    random = np.random.default_rng(0)
    texts = ["x" * number for number in random.integers(1, 20, 100)]
    found = encoded(Lengths(batch_size), texts, RUN)
    np.testing.assert_array_equal(found[:, 0], [len(text) for text in texts])
