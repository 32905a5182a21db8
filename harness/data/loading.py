"""Batches for backbones: items are read and prepared ahead, encoded batch by batch, and handed on at once.

Nothing is collected here, so that the features of any number of images need no more memory than one batch.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import HarnessError
from harness.plugin.interfaces import Run
from harness.runtime.processes import usable_cores

if TYPE_CHECKING:
    import torch
    from torch import Tensor

log = logging.getLogger(__name__)

Rows = tuple[NDArray[np.int64], NDArray[np.float32]]
"""(b,) row numbers and their (b, d) features."""

Forward = Callable[["Tensor"], "Tensor"]
"""(b, ...) prepared items on the device to (b, d) features."""

FEWEST_FOR_PROCESSES = 4096
"""Fewer items are not worth the seconds in which another process imports torch."""

_ALLOCATION_FAILED = ("can't allocate memory", "not enough memory", "out of memory")


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
        items: Has a length, and gives item ``i`` as ``items[i]``.
        prepare: One item to a tensor; all of the same shape. Runs in other processes if it can be pickled.
        forward: A batch of prepared items, on the device of the run, to features.
        run: Device and progress.
        batch_size: Items per batch.
        phase: What the progress is called: "images".
        order: The order in which items are taken; None for their own.
        divisible: Whether a batch may be encoded in parts where it does not fit the memory; False where features depend
            on their batch.
        device: Where batches go; None for the device of the run.

    Yields:
        Row numbers and features of each batch.

    Raises:
        HarnessError: An item cannot be read; the message names its file.
    """

    device = run.device if device is None else device

    def on_device(part: Tensor) -> Tensor:
        return forward(part.to(device, non_blocking=True))

    rows = np.arange(len(items)) if order is None else order
    done, shown = 0, _Rate(run, phase, len(rows))
    halving = Halving(on_device, device, batch_size, divisible)
    for batch in _batches(_Prepared(items, prepare), rows, batch_size, device):
        numbers = rows[done : done + len(batch)]
        features = [part.numpy() for part in halving(batch)]
        done += len(batch)
        shown(done)
        yield numbers, np.concatenate(features) if len(features) > 1 else features[0]


def encode_texts_in_batches(
    captions: Iterable[str], forward: Callable[[list[str]], Tensor], run: Run, *, batch_size: int
) -> Iterator[Rows]:
    """Features of captions, batch by batch; equal captions are encoded once.

    Captions of like length share a batch, so that there is little padding.

    Args:
        captions: The captions.
        forward: Some captions to their (b, d) features.
        run: Device and progress.
        batch_size: Captions per batch.

    Yields:
        Row numbers and features.
    """
    number_of: dict[str, int] = {}
    numbers = np.array([number_of.setdefault(text, len(number_of)) for text in captions], dtype=np.int64)
    distinct = list(number_of)
    rows_by_text = np.argsort(numbers, kind="stable")
    ends = np.cumsum(np.bincount(numbers, minlength=len(distinct)))
    order = sorted(range(len(distinct)), key=lambda at: (len(distinct[at]), distinct[at]))
    shown, halving = _Rate(run, "captions", len(distinct)), Halving(forward, run.device, batch_size)
    for at in range(0, len(order), batch_size):
        part = order[at : at + batch_size]
        features = np.concatenate([encoded.numpy() for encoded in halving([distinct[text] for text in part])])
        rows = [rows_by_text[(ends[text - 1] if text else 0) : ends[text]] for text in part]
        shown(at + len(part))
        yield np.concatenate(rows), np.repeat(features, [len(own) for own in rows], axis=0)


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
    """Reports progress with items per second."""

    def __init__(self, run: Run, phase: str, total: int) -> None:
        self.run, self.phase, self.total, self.began = run, phase, total, time.monotonic()

    def __call__(self, done: int) -> None:
        seconds = max(time.monotonic() - self.began, 1e-9)
        self.run.report(phase=self.phase, epoch=done, epochs=self.total, rate=done / seconds)


class _Prepared:
    """Items as tensors; one that cannot be read is the text of its error, which passes between processes whole."""

    def __init__(self, items: Any, prepare: Callable[[Any], Tensor]) -> None:
        self.items, self.prepare = items, prepare

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Tensor | str:
        try:
            item = self.items[index]
        except HarnessError as error:
            return str(error)
        return self.prepare(item)


def _stacked(prepared: Sequence[Tensor | str]) -> Tensor | str:
    """A batch, or what is wrong with the first item that could not be read."""
    import torch

    wrong = next((item for item in prepared if isinstance(item, str)), None)
    if wrong is not None:
        return wrong
    tensors = [item for item in prepared if not isinstance(item, str)]
    shapes = {tuple(tensor.shape) for tensor in tensors}
    if len(shapes) > 1:
        return (
            f"the backbone prepares images of different sizes ({' and '.join(map(str, sorted(shapes)[:2]))}), which do "
            "not fit one batch: use batch_size=1, or a preparation that scales to one size."
        )
    return torch.stack(tensors)


def _batches(data: _Prepared, rows: NDArray[np.int64], batch_size: int, device: torch.device) -> Iterator[Tensor]:
    """Batches in order; from other processes where that pays, and from this one if they cannot be had.

    Raises:
        HarnessError: An item cannot be read.
    """
    done, processes = 0, _processes(data, len(rows), device)
    while done < len(rows):
        try:
            for batch in _loader(data, rows[done:], batch_size, device, processes):
                if isinstance(batch, str):
                    raise HarnessError(batch)
                yield batch
                done += len(batch)
        except (RuntimeError, OSError, AssertionError) as error:
            if processes == 0 or not _lost_process(error):
                raise
            log.warning("reading ahead in %d processes failed (%s): going on in one", processes, _first_line(error))
            processes = 0


def _loader(data: _Prepared, rows: NDArray[np.int64], batch_size: int, device: torch.device, processes: int) -> Any:
    from torch.utils.data import DataLoader

    several: dict[str, Any] = {}
    if processes:
        # A new interpreter: a copy of this process would inherit locks of threads that it does not have.
        several = {"num_workers": processes, "prefetch_factor": 2, "multiprocessing_context": "spawn"}
    return DataLoader(
        data,  # type: ignore[arg-type]
        batch_size,
        sampler=rows.tolist(),
        collate_fn=_stacked,
        pin_memory=device.type == "cuda",
        **several,
    )


def _processes(data: _Prepared, count: int, device: torch.device) -> int:
    """How many processes read ahead: ``HARNESS_LOADERS``, or what the machine has to spare.

    Raises:
        HarnessError: ``HARNESS_LOADERS`` is no number.
    """
    asked = os.environ.get("HARNESS_LOADERS", "")
    if asked and not asked.isdigit():
        raise HarnessError(f"HARNESS_LOADERS={asked}: expected the number of processes that read images, 0 or more.")
    cores = usable_cores()
    spare = min(8, cores - 1) if device.type != "cpu" else min(4, cores // 4)
    wanted = int(asked) if asked else spare if count >= FEWEST_FOR_PROCESSES else 0
    if not wanted or multiprocessing.current_process().daemon:  # a daemon must not have children
        return 0
    try:
        pickle.dumps(data)
    except Exception:  # whatever a class raises that cannot be sent to another process
        return 0
    return wanted


def _lost_process(error: BaseException) -> bool:
    """Whether an error means that a reading process was lost, not that an item could not be prepared."""
    text = str(error)
    return "DataLoader worker" in text or "daemonic" in text or isinstance(error, OSError)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
