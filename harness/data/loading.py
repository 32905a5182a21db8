"""Batches for backbones: items are prepared and encoded in all threads that there are, and handed on at once, in order.

Nothing is collected here, so that the features of any number of images need no more memory than a few batches. On the
processor each thread encodes small batches by itself: their size is the same whatever the number of threads, and so are
the features, bit for bit. Beside another device the threads prepare, and the device gets whole batches.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.data.passes import Pass
from harness.errors import HarnessError
from harness.plugin.interfaces import Run
from harness.runtime.processes import keep_freed_memory, usable_cores
from harness.runtime.settings import LOADERS

if TYPE_CHECKING:
    import torch
    from torch import Tensor

log = logging.getLogger(__name__)

VERSION = 2
"""Part of the key of cached features: raise it when the same items are encoded to other numbers. Since 2: batches of
few items and channels last, on the processor; other last digits than before.
"""

Rows = tuple[NDArray[np.int64], NDArray[np.float32]]
"""(b,) row numbers and their (b, d) features."""

Forward = Callable[["Tensor"], "Tensor"]
"""(b, ...) prepared items on the device to (b, d) features."""

IMAGES_AT_ONCE = 8
"""Images that a thread of the processor encodes at once: as fast as larger batches, whose maps leave the processor's
caches and are given back to the system after each layer (docs/benchmarks.md).
"""

CAPTIONS_AT_ONCE = 32
"""Captions that a thread of the processor encodes at once."""

MOST_BESIDE_A_DEVICE = 8
"""Threads that prepare items for another device; each holds a batch or two."""

TOLD_SECONDS = 0.1
"""Least time between two reports of progress."""

_ALLOCATION_FAILED = ("can't allocate memory", "not enough memory", "out of memory")

T = TypeVar("T")
R = TypeVar("R")


def encode_in_batches(
    items: Any,
    prepare: Callable[[Any], Tensor],
    forward: Forward,
    run: Run,
    *,
    batch_size: int,
    phase: str,
    order: NDArray[np.int64] | None = None,
    divisible: bool = True,
    device: torch.device | None = None,
) -> Iterator[Rows]:
    """Features of items, batch by batch.

    Args:
        items: Has a length, and gives item ``i`` as ``items[i]``. Read from several threads.
        prepare: One item to a tensor; all of the same shape. Called from several threads.
        forward: A batch of prepared items, on the device of the run, to features. On the processor it is called from
            several threads, so it must not change what it uses.
        run: Device and progress.
        batch_size: Items per batch; on the processor :data:`IMAGES_AT_ONCE` at most.
        phase: What the progress is called: "images".
        order: The order in which items are taken; None for their own.
        divisible: Whether a batch may be encoded in parts; False where features depend on their batch.
        device: Where batches go; None for the device of the run.

    Yields:
        Row numbers and features of each batch.

    Raises:
        HarnessError: An item cannot be read; the message names its file.
    """
    import torch

    keep_freed_memory()
    device = run.device if device is None else device
    rows = np.arange(len(items)) if order is None else order
    on_processor = device.type == "cpu"
    in_threads = on_processor and divisible
    size = min(batch_size, IMAGES_AT_ONCE) if in_threads else batch_size
    threads, threads_of_torch = _threads(device), torch.get_num_threads()
    halving = Halving(lambda part: forward(part.to(device, non_blocking=True)), device, size, divisible)

    def prepared(row: int) -> Tensor:
        torch.set_num_threads(1)  # of this thread: all cores are at work as it is
        return prepare(items[row])

    def encoded(tensors: list[Tensor]) -> NDArray[np.float32]:
        torch.set_num_threads(1 if in_threads else threads_of_torch)
        batch = _stacked(tensors)
        if batch.ndim == 4 and on_processor:
            batch = batch.contiguous(memory_format=torch.channels_last)
        return _joined(halving(batch.pin_memory() if device.type == "cuda" else batch))

    def together(batch: NDArray[np.int64]) -> NDArray[np.float32]:
        return encoded([prepared(row) for row in batch.tolist()])

    batches = [rows[at : at + size] for at in range(0, len(rows), size)]
    if in_threads:
        features = _in_order(together, batches, threads, ahead=2 * threads)
    else:
        tensors = _in_order(prepared, rows.tolist(), threads, ahead=2 * size)
        features = (encoded(list(islice(tensors, len(batch)))) for batch in batches)
    shown = _Rate(run, items, phase)
    try:
        for batch, found in zip(batches, features, strict=True):
            shown(len(batch))
            yield batch, found
    finally:
        features.close()
        torch.set_num_threads(threads_of_torch)


def encode_texts_in_batches(
    captions: Iterable[str], forward: Callable[[list[str]], Tensor], run: Run, *, batch_size: int
) -> Iterator[Rows]:
    """Features of captions, batch by batch; equal captions are encoded once.

    Captions of like length share a batch, so that there is little padding.

    Args:
        captions: The captions.
        forward: Some captions to their (b, d) features. On the processor it is called from several threads, after the
            first batch.
        run: Device and progress.
        batch_size: Captions per batch; on the processor :data:`CAPTIONS_AT_ONCE` at most.

    Yields:
        Row numbers and features.
    """
    import torch

    number_of: dict[str, int] = {}
    numbers = np.array([number_of.setdefault(text, len(number_of)) for text in captions], dtype=np.int64)
    distinct = list(number_of)
    rows_by_text = np.argsort(numbers, kind="stable")
    ends = np.cumsum(np.bincount(numbers, minlength=len(distinct)))
    # Networks count tokens, and words are nearer to these than letters.
    order = sorted(range(len(distinct)), key=lambda at: (distinct[at].count(" "), len(distinct[at]), distinct[at]))
    on_processor = run.device.type == "cpu"
    if on_processor:
        keep_freed_memory()
    size = min(batch_size, CAPTIONS_AT_ONCE) if on_processor else batch_size
    threads, threads_of_torch = _threads(run.device) if on_processor else 1, torch.get_num_threads()
    halving = Halving(forward, run.device, size)

    def encoded(part: list[int]) -> NDArray[np.float32]:
        torch.set_num_threads(1 if on_processor else threads_of_torch)
        return _joined(halving([distinct[text] for text in part]))

    parts = [order[at : at + size] for at in range(0, len(order), size)]
    features = _in_order(encoded, parts, threads, ahead=2 * threads)
    shown = _Rate(run, distinct, "captions")
    try:
        for part, found in zip(parts, features, strict=True):
            rows = [rows_by_text[(ends[text - 1] if text else 0) : ends[text]] for text in part]
            shown(len(part))
            yield np.concatenate(rows), np.repeat(found, [len(own) for own in rows], axis=0)
    finally:
        features.close()
        torch.set_num_threads(threads_of_torch)


class Halving:
    """Encodes batches, in ever smaller parts once the memory has not sufficed.

    Attributes:
        size: Items that are encoded at once.
    """

    def __init__(
        self, forward: Callable[[Any], Tensor], device: torch.device, size: int, divisible: bool = True
    ) -> None:
        self.forward, self.device, self.size, self.divisible = forward, device, size, divisible

    def __call__(self, batch: Any) -> Iterator[Tensor]:
        """Features of the parts of a batch, float32 on the host, in order.

        Raises:
            RuntimeError: A single item does not fit, or the batch must not be divided.
        """
        import torch

        at = 0
        while at < len(batch):
            part = batch[at : at + self.size] if len(batch) > self.size or at else batch
            try:
                with torch.inference_mode():
                    features = self.forward(part).flatten(1).float().cpu()
            except RuntimeError as error:
                if not self.divisible or len(part) < 2 or not out_of_memory(error):
                    raise
                self.size = (len(part) + 1) // 2
                log.warning("a batch of %d does not fit the memory: going on with %d at a time", len(part), self.size)
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()
                continue
            at += len(part)
            yield features


def out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch says that the memory of a device or of the host did not suffice."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _ALLOCATION_FAILED)


def autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """Products of a backbone in bf16 while this lasts, for precision "bf16"; nothing changes for "fp32"."""
    import torch

    return torch.autocast(device.type, dtype=torch.bfloat16) if precision == "bf16" else nullcontext()


class _Rate:
    """Reports progress with items per second; of several views of each item, they are reported as one."""

    def __init__(self, run: Run, items: Sequence[Any], phase: str) -> None:
        whole = items if isinstance(items, Pass) else None
        self.views = 1 if whole is None else whole.views
        self.total = len(items) if whole is None else whole.total
        self.phase = phase if self.views == 1 else f"{phase}, {self.views} views"
        self.run, self.before, self.done = run, self.total - len(items), 0
        self.began = self.told = time.monotonic()

    def __call__(self, more: int) -> None:
        self.done += more
        now, finished = time.monotonic(), self.before + self.done >= self.total
        if finished or now - self.told >= TOLD_SECONDS:
            self.told = now
            self.run.report(
                phase=self.phase,
                epoch=(self.before + self.done) // self.views,
                epochs=self.total // self.views,
                rate=self.done / self.views / max(now - self.began, 1e-9),
            )


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    """A batch.

    Raises:
        HarnessError: The items differ in size.
    """
    import torch

    shapes = {tuple(tensor.shape) for tensor in tensors}
    if len(shapes) > 1:
        raise HarnessError(
            f"the backbone prepares images of different sizes ({' and '.join(map(str, sorted(shapes)[:2]))}), which do "
            "not fit one batch: use batch_size=1, or a preparation that scales to one size."
        )
    return torch.stack(list(tensors))


def _joined(parts: Iterator[Tensor]) -> NDArray[np.float32]:
    features = [part.numpy() for part in parts]
    return np.concatenate(features) if len(features) > 1 else features[0]


def _in_order(work: Callable[[T], R], tasks: Iterable[T], threads: int, *, ahead: int) -> Generator[R, None, None]:
    """What ``work`` makes of each task, in the order of the tasks.

    The first task is done before the threads begin, so that what a library makes at first use is made once.

    Args:
        work: Called in several threads.
        tasks: The tasks.
        threads: How many; 1 means this thread alone.
        ahead: How many tasks are begun before their results are asked for, at most.
    """
    remaining = iter(tasks)
    yield from map(work, remaining if threads == 1 else islice(remaining, 1))
    if threads == 1:
        return
    pool, waiting = ThreadPoolExecutor(threads, "features"), deque[Future[R]]()
    try:
        for task in remaining:
            waiting.append(pool.submit(work, task))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _threads(device: torch.device) -> int:
    """In how many threads features are made: ``HARNESS_LOADERS``, or all cores.

    Raises:
        HarnessError: ``HARNESS_LOADERS`` is no number.
    """
    asked = os.environ.get(LOADERS, "")
    if asked and not asked.isdigit():
        raise HarnessError(f"{LOADERS}={asked}: expected the number of threads that make features, 1 or more.")
    cores = usable_cores()
    return max(1, int(asked)) if asked else cores if device.type == "cpu" else min(MOST_BESIDE_A_DEVICE, cores)
