"""Named random streams: every use of chance has a stream of its own, derived from a seed and a name.

Adding or removing one use never shifts another, and data streams (split, captions, trusted subset, noise) depend on
``--data-seed`` alone while training streams depend on ``--seed`` alone.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch


def _words(name: str) -> list[int]:
    digest = hashlib.sha256(name.encode()).digest()
    return [int.from_bytes(digest[at : at + 4], "little") for at in range(0, 16, 4)]


def seed_sequence(seed: int, stream: str) -> np.random.SeedSequence:
    """The numpy seed sequence of a named stream."""
    return np.random.SeedSequence([seed, *_words(stream)])


def numpy_generator(seed: int, stream: str) -> np.random.Generator:
    """A numpy generator for a named stream."""
    return np.random.Generator(np.random.PCG64(seed_sequence(seed, stream)))


def integer_seed(seed: int, stream: str) -> int:
    """A 63-bit integer seed for a named stream, for libraries that take one."""
    return int(seed_sequence(seed, stream).generate_state(1, np.uint64)[0] >> np.uint64(1))


def torch_generator(seed: int, stream: str, device: torch.device) -> torch.Generator:
    """A torch generator on a device for a named stream."""
    import torch

    return torch.Generator(device=device).manual_seed(integer_seed(seed, stream))


@contextmanager
def global_randomness(seed: int, stream: str) -> Iterator[None]:
    """Seed the global generators of torch, numpy and random for a while, and put them back afterwards.

    ``torch.nn`` initialisation and dropout know no other source, and a plugin's author should not have to care.
    """
    with frozen_global_randomness():
        _seed_globals(seed, stream)
        yield


class OwnRandomness:
    """Global random numbers that go on where they stopped: what is drawn within ``with`` shifts nobody else's stream.

    For the second of two learners that are trained in turns in one process.
    """

    def __init__(self, seed: int, stream: str) -> None:
        import torch

        with frozen_global_randomness():
            _seed_globals(seed, stream)
            self._states = _global_states(torch)

    @contextmanager
    def drawn(self) -> Iterator[None]:
        """Make the global generators those of this stream in a ``with`` block."""
        import torch

        with frozen_global_randomness():
            _set_global_states(torch, self._states)
            try:
                yield
            finally:
                self._states = _global_states(torch)


def _global_states(torch: Any) -> tuple[Any, ...]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else None
    return random.getstate(), np.random.get_state(), torch.get_rng_state(), cuda  # noqa: NPY002


def _set_global_states(torch: Any, states: tuple[Any, ...]) -> None:
    random.setstate(states[0])
    np.random.set_state(states[1])  # noqa: NPY002
    torch.set_rng_state(states[2])
    if states[3] is not None:
        torch.cuda.set_rng_state_all(states[3])


@contextmanager
def frozen_global_randomness() -> Iterator[None]:
    """Restore the global generators after a ``with`` block."""
    import torch

    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - the point is the global state
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002


def _seed_globals(seed: int, stream: str) -> None:
    import torch

    value = integer_seed(seed, stream)
    torch.manual_seed(value)
    random.seed(value)
    np.random.seed(value % 2**32)  # noqa: NPY002
