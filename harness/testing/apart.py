"""Training in a process that receives the arrays of the training pairs and nothing else.

The process is started afresh (spawn), so it shares no memory with this one: labels, mask, queries and database are not
there, whatever a component looks for. One process serves all checks of a session.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from harness.errors import HarnessError

_pools: list[ProcessPoolExecutor] = []


def train_apart(asked: Mapping[str, Any], timeout: float = 120.0) -> dict[str, Any]:
    """Train in the other process.

    Args:
        asked: What :func:`train_here` needs.
        timeout: Seconds to wait.

    Returns:
        ``outputs`` and ``weight`` as numpy arrays, or ``error``: one sentence.

    Raises:
        HarnessError: The process died, or took too long.
    """
    if not _pools:
        _pools.append(ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")))
        atexit.register(close)
    try:
        answer: dict[str, Any] = _pools[0].submit(train_here, dict(asked)).result(timeout)
        return answer
    except TimeoutError:
        close(kill=True)
        raise HarnessError(f"the process that trains apart gave no answer within {timeout:g} s.") from None
    except BrokenProcessPool:
        close()
        raise HarnessError("the process that trains apart ended without a word.") from None


def close(kill: bool = False) -> None:
    """End the process."""
    for pool in _pools:
        if kill:
            for process in list((getattr(pool, "_processes", None) or {}).values()):
                process.kill()
        pool.shutdown(wait=True, cancel_futures=True)
    _pools.clear()


_subjects: dict[tuple[Any, ...], Any] = {}
"""Of the other process: what it has loaded already."""


def train_here(asked: dict[str, Any]) -> dict[str, Any]:
    """Train on given arrays; runs in the other process.

    Args:
        asked: ``plugins`` (paths as text), ``environment``, ``kind``, ``name``, ``preset``, ``settings``, ``threads``,
            ``bits``, ``seed``, ``pairs`` (names of :class:`harness.plugin.interfaces.TrainingPairs` to arrays) and
            ``recipe``.

    Returns:
        As :func:`train_apart`.
    """
    import torch

    from harness.errors import what_and_where
    from harness.execution.runner import fit_method
    from harness.plugin.interfaces import Need, TrainingPairs
    from harness.plugin.loading import load_registry
    from harness.runtime.context import RunContext
    from harness.testing.subject import Subject, small_method
    from harness.testing.trials import CPU, outputs_of

    torch.set_num_threads(asked["threads"])
    os.environ.update(asked["environment"])
    plugins = tuple(Path(name) for name in asked["plugins"])
    key = (plugins, *(path.stat().st_mtime_ns for path in plugins), tuple(sorted(asked["environment"].items())))
    if key not in _subjects:
        _subjects.clear()
        _subjects[key] = load_registry(plugins)
    subject = Subject(asked["kind"], asked["name"], _subjects[key], plugins, asked["preset"], asked["settings"])
    content = asked["pairs"]
    single = {
        name: None if content[name] is None else torch.from_numpy(content[name])
        for name in ("image", "text", "trusted", "trusted_text")
    }
    several = {
        name: tuple(torch.from_numpy(view) for view in content[name])
        for name in ("image_views", "text_views", "trusted_text_views")
    }
    granted = {Need[name]: torch.from_numpy(array) for name, array in content["granted"].items()}
    pairs = TrainingPairs(granted=granted, **single, **several)  # type: ignore[arg-type]
    del content
    try:
        fitted = fit_method(
            small_method(subject, **asked["recipe"]), pairs, RunContext(asked["bits"], CPU, asked["seed"])
        )
        outputs = outputs_of(fitted.hasher, pairs.image.shape[1], pairs.text.shape[1], asked["bits"])
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return {"error": what_and_where(error, subject.file)}
    return {"outputs": outputs.numpy(), "weight": fitted.trust.weight.detach().numpy()}
