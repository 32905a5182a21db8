"""Plain partners for a component that is checked alone: a closed form, a learner, and detectors with fixed answers.

They are made in memory and registered under names that begin with ``check.``, in registries of checks only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from harness.plugin.declarations import Component, HasherDeclaration
from harness.plugin.interfaces import Batch, Need, PairTrust, Phase, Run, TrainingPairs
from harness.plugin.loading import Registry
from harness.plugin.parameters import Parameter

CLOSED_FORM, LEARNER, LEARNER_WITH_OBJECTIVE = "check.closed-form", "check.learner", "check.learner-with-objective"
EVEN, UNEVEN = "check.even-trust", "check.uneven-trust"
HALF, CO_TEACHING = "check.half-trust", "check.co-teaching"


class ClosedForm:
    """Signs of mixed singular directions of the weighted cross-covariance."""

    def fit(self, pairs: TrainingPairs, trust: PairTrust, run: Run) -> None:
        """Weighted covariance, singular directions, a random mixture."""
        cross = (pairs.image * trust.weight[:, None]).T @ pairs.text / len(pairs)
        left, values, right = torch.linalg.svd(cross, full_matrices=False)
        mixture = torch.randn(len(values), run.n_bits, generator=run.generator("mixture"), device=run.device)
        self.image_map, self.text_map = left @ (values[:, None] * mixture), right.T @ (values[:, None] * mixture)

    def encode_image(self, image: Tensor) -> Tensor:
        """(m, n_bits)."""
        return image @ self.image_map

    def encode_text(self, text: Tensor) -> Tensor:
        """(m, n_bits)."""
        return text @ self.text_map


class LinearLearner:
    """Two linear maps; the loss is a weighted cross-modal InfoNCE, or the objective that it is given."""

    smallest_batch = 2

    def __init__(self, *, batch_size: int = 16, objective: Any = None) -> None:
        self.batch_size, self.objective = batch_size, objective

    def begin(self, pairs: TrainingPairs, phases: Sequence[Phase], run: Run) -> None:
        """Make the maps."""
        self.image_map = torch.nn.Linear(pairs.image.shape[1], run.n_bits, device=run.device)
        self.text_map = torch.nn.Linear(pairs.text.shape[1], run.n_bits, device=run.device)
        self.optimiser = torch.optim.Adam([*self.image_map.parameters(), *self.text_map.parameters()], lr=0.02)

    def _losses(self, batch: Batch, trust: PairTrust) -> Tensor:
        z_image, z_text = self.encode_image(batch.image), self.encode_text(batch.text)
        if self.objective is not None:
            return self.objective(z_image, z_text, trust)
        normalise = torch.nn.functional.normalize
        logits = normalise(z_image) @ normalise(z_text).T / 0.2
        return -trust.weight * (logits.log_softmax(1) + logits.T.log_softmax(1)).diagonal()

    def pair_losses(self, batch: Batch) -> Tensor:
        """(b,), every pair fully trusted."""
        return self._losses(batch, PairTrust(batch.image.new_ones(len(batch))))

    def step(self, batch: Batch, trust: PairTrust) -> Tensor:
        """One step of Adam."""
        loss = self._losses(batch, trust).sum()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss.detach()

    def encode_image(self, image: Tensor) -> Tensor:
        """(m, n_bits)."""
        return self.image_map(image)

    def encode_text(self, text: Tensor) -> Tensor:
        """(m, n_bits)."""
        return self.text_map(text)


class EvenTrust:
    """Full trust in every pair."""

    def fit(self, pairs: TrainingPairs, run: Run) -> PairTrust:
        """(n,) ones."""
        return PairTrust(pairs.image.new_ones(len(pairs)))


class UnevenTrust:
    """Little trust in every third pair, some in the next."""

    def fit(self, pairs: TrainingPairs, run: Run) -> PairTrust:
        """(n,) of 1, 0.6 and 0.05."""
        pattern = torch.tensor([1.0, 0.6, 0.05], device=pairs.image.device)
        return PairTrust(pattern[torch.arange(len(pairs), device=pairs.image.device) % 3])


class HalfTrust:
    """No trust in every second pair, full trust in the others."""

    def fit(self, pairs: TrainingPairs, run: Run) -> PairTrust:
        """(n,) of 1 and 0."""
        return PairTrust(1.0 - torch.arange(len(pairs), device=pairs.image.device) % 2)


def add_partners(registry: Registry) -> None:
    """Register all of them, once."""
    if CLOSED_FORM in registry.names("hasher"):
        return
    registry.add(HasherDeclaration("hasher", CLOSED_FORM, "partner", target=ClosedForm, declared_parameters=()))
    for name, takes_objective in ((LEARNER, False), (LEARNER_WITH_OBJECTIVE, True)):
        registry.add(
            HasherDeclaration(
                "hasher",
                name,
                "partner",
                target=LinearLearner,
                declared_parameters=(Parameter("batch_size", 16, minimum=2),),
                offers=Need.EPOCHS | Need.PAIR_LOSSES | Need.TWO_LEARNERS,
                takes_objective=takes_objective,
                phases=(Phase("training", 4),),
            )
        )
    for name, target in ((EVEN, EvenTrust), (UNEVEN, UnevenTrust), (HALF, HalfTrust)):
        registry.add(Component("detector", name, "partner", target=target, declared_parameters=()))
    both = Need.EPOCHS | Need.TWO_LEARNERS
    registry.add(Component("detector", CO_TEACHING, "partner", target=EvenTrust, declared_parameters=(), needs=both))
