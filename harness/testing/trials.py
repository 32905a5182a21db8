"""Training a subject on small data the way the runner does, and what can be compared afterwards."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from harness.cells.compatibility import DataFacts, check_combination, granted_beyond_the_wall
from harness.cells.methods import ResolvedMethod
from harness.data.assemble import CellData, training_pairs
from harness.execution.encoding import code_table
from harness.execution.runner import Fitted, fit_method
from harness.plugin.interfaces import Need, TrainingPairs
from harness.runtime.context import RunContext
from harness.runtime.seeding import frozen_global_randomness
from harness.testing.outcomes import CheckFailed
from harness.testing.small_data import USUAL, Size, feature_arrays, small_cell
from harness.testing.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Iterator

BITS = 16
PROBES = 64
"""Inputs of each modality that codes are compared on; they have nothing to do with any data."""

CPU = torch.device("cpu")


@dataclass
class Trial:
    """A trained method and its answers.

    Attributes:
        method: The method.
        fitted: What came of it.
        outputs: (2 x PROBES, n_bits) real outputs on the probes, images first, on the CPU.
        weight: (n,) what its detector said in the end.
        data: The data that it was trained on.
    """

    method: ResolvedMethod
    fitted: Fitted
    outputs: Tensor
    weight: Tensor
    data: CellData

    @property
    def codes(self) -> Tensor:
        """(2 x PROBES, n_bits) bool."""
        return self.outputs > 0

    def same_as(self, other: Trial) -> str:
        """ "" if codes and trust are equal bit by bit, otherwise what differs."""
        return difference(self.codes, self.weight, other.codes, other.weight)


def difference(codes: Tensor, weight: Tensor, other_codes: Tensor, other_weight: Tensor) -> str:
    """ "" if codes and trust are equal bit by bit, otherwise what differs."""
    differences = []
    if codes.shape != other_codes.shape:
        return f"codes have shapes {tuple(codes.shape)} and {tuple(other_codes.shape)}"
    wrong = int((codes != other_codes).sum())
    if wrong:
        differences.append(f"{wrong} of {codes.numel()} bits differ")
    if weight.shape != other_weight.shape:
        differences.append(f"trust has {len(weight)} and {len(other_weight)} values")
    elif not torch.equal(weight, other_weight):
        differences.append(f"the trust in {int((weight != other_weight).sum())} of {len(weight)} pairs differs")
    return ", ".join(differences)


def size_for(subject: Subject, size: Size = USUAL) -> Size:
    """The size, with equal dimensions for those who compare both modalities directly."""
    if Need.SHARED_SPACE in subject.method().needs:
        return Size(size.n, size.d_text, size.d_text, size.views, size.split)
    return size


def probes(d_image: int, d_text: int) -> tuple[Tensor, Tensor]:
    """(PROBES, d_image) and (PROBES, d_text) inputs."""
    random = torch.Generator().manual_seed(7)
    return torch.randn(PROBES, d_image, generator=random), torch.randn(PROBES, d_text, generator=random)


def outputs_of(hasher: Any, d_image: int, d_text: int, n_bits: int, device: torch.device = CPU) -> Tensor:
    """(2 x PROBES, n_bits) outputs on the probes, checked for type and shape.

    Raises:
        CheckFailed: An encoder returned something else than real numbers of that shape.
    """
    parts = []
    for name, items in zip(("encode_image", "encode_text"), probes(d_image, d_text), strict=True):
        with torch.no_grad():
            values = getattr(hasher, name)(items.to(device))
        if not isinstance(values, Tensor):
            raise CheckFailed(
                f"{name} returned {type(values).__module__}.{type(values).__name__}, not a torch tensor.",
                "stay in torch from the input to the output, or end with torch.from_numpy(...).",
            )
        if tuple(values.shape) != (PROBES, n_bits):
            raise CheckFailed(
                f"{name} returned shape {tuple(values.shape)} for {PROBES} items and {n_bits} bits.",
                "return (m, run.n_bits) real numbers, also where the features have fewer dimensions than that.",
            )
        parts.append(values.detach().float().cpu())
    return torch.cat(parts)


def train(
    subject: Subject,
    *,
    size: Size = USUAL,
    arrays_seed: int = 0,
    noise: float = 0.4,
    trusted: float = 0.3,
    bits: int = BITS,
    seed: int = 0,
    change_arrays: Callable[[dict[str, np.ndarray]], None] | None = None,
    change_pairs: Callable[[TrainingPairs], TrainingPairs] | None = None,
    device: torch.device = CPU,
    **recipe: Any,
) -> Trial:
    """Train the subject on small data. Whether it looks into the frames above it is a question for :mod:`checks_wall`.

    Args:
        subject: A method, hasher, detector or objective.
        size: How large the data are.
        arrays_seed: Seed of the data.
        noise: Noise rate.
        trusted: Share of trusted pairs.
        bits: Code length.
        seed: Training seed.
        change_arrays: Changes the feature file before anything is drawn from it.
        change_pairs: Changes what the method sees of the data.
        device: Where to train.
        **recipe: Parts of the recipe that differ.

    Returns:
        The trial.
    """
    method = subject.method(**recipe)
    size = size_for(subject, size)
    arrays = feature_arrays(size, arrays_seed)
    if change_arrays is not None:
        change_arrays(arrays)
    data = small_cell(subject.registry, arrays, noise=noise, trusted=trusted)
    plan = data.plan
    check_combination(method, DataFacts(len(plan), int(plan.trusted.sum()), True, plan.wrong is not None))
    pairs = training_pairs(data, device, granted_beyond_the_wall(method))
    if change_pairs is not None:
        pairs = change_pairs(pairs)
    fitted = fit_method(method, pairs, RunContext(bits, device, seed))
    outputs = outputs_of(fitted.hasher, size.d_image, size.d_text, bits, device)
    if not bool(torch.isfinite(outputs).all()):
        raise CheckFailed("an encoder returned NaN or infinite numbers.", "guard divisions and logarithms.")
    return Trial(method, fitted, outputs, fitted.trust.weight.detach().cpu(), data)


def usual_trial(subject: Subject) -> Trial:
    """The trial that others are compared with, made once."""
    if "usual" not in subject.memory:
        subject.memory["usual"] = train(subject)
    trial: Trial = subject.memory["usual"]
    return trial


def codes_of_cell(trial: Trial, bits: int = BITS) -> None:
    """Encode queries and database as a run does.

    Raises:
        HarnessError: Outputs of the wrong shape, NaN, or codes that depend on the batch.
    """
    run = RunContext(bits, CPU)
    with frozen_global_randomness():
        code_table(trial.data, trial.fitted.hasher, run, trial.method.hasher.name)


def pairs_of(subject: Subject, trial: Trial) -> TrainingPairs:
    """The training pairs of a trial, as the method saw them."""
    return training_pairs(trial.data, CPU, granted_beyond_the_wall(trial.method))


@contextmanager
def watched_randomness() -> Iterator[list[tuple[str, dict[str, bytes]]]]:
    """Notes the states of the global generators at the end of each stretch of component code, by name of its stream."""
    import random

    from harness.runtime.seeding import global_randomness

    ends: list[tuple[str, dict[str, bytes]]] = []

    @contextmanager
    def watching(seed: int, stream: str) -> Iterator[None]:
        with global_randomness(seed, stream):
            yield
            state = np.random.get_state(legacy=False)["state"]  # noqa: NPY002 - the point is the global state
            ends.append(
                (
                    stream,
                    {
                        "torch": torch.get_rng_state().numpy().tobytes(),
                        "numpy": state["key"].tobytes() + str(state["pos"]).encode(),
                        "random": repr(random.getstate()).encode(),
                    },
                )
            )

    with mock.patch("harness.execution.runner.global_randomness", watching):
        yield ends
