"""The one training loop: phases, epochs, batches and curves for every learner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.errors import HarnessError
from harness.plugin.interfaces import Phase, TrainingPairs
from harness.text import counted
from harness.training import batches
from harness.training.team import Team, outside, refuse_outside

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass
class Curves:
    """What is recorded per epoch, over all phases.

    Attributes:
        phase: Name of the phase of each epoch.
        loss: Mean loss of the batches of each epoch, of the first learner.
        trust: (n,) weights after each epoch in which a detector changed them, with the epoch's number.
        updates: Training steps, of both learners where there are two.
    """

    phase: list[str] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    trust: list[tuple[int, Tensor]] = field(default_factory=list)
    updates: int = 0


def train(teams: Sequence[Team], pairs: TrainingPairs, phases: Sequence[Phase], *, watch: bool) -> Curves:
    """Train learners through the phases of a recipe.

    Args:
        teams: One team, or two for co-teaching; the first is the one that is evaluated.
        pairs: All training pairs.
        phases: The phases.
        watch: Whether detectors asked for evidence at the end of each epoch.

    Returns:
        The curves of the first learner.

    Raises:
        HarnessError: A phase has too few pairs for a batch, or a detector says nonsense or leaves nothing to train on.
    """
    for team in teams:
        team.begin(pairs, phases, team.run)
    training = _Training(teams, pairs, watch, teams[0].run.generator("batches"))
    for number, phase in enumerate(phases):
        if phase.restart and number:
            training.begin_anew(phases, number)
        of_phase, rows = training.begin_phase(phase)
        for epoch in range(1, phase.epochs + 1):
            losses = training.train_epoch(phase, of_phase, rows)
            training.end_epoch(phase, epoch, losses)
    return training.curves


@dataclass
class _Training:
    """A training under way.

    Attributes:
        teams, pairs, watch: As of :func:`train`.
        order: Source of the order of the pairs in each epoch.
        curves: What was recorded so far, a value for each epoch.
        steps: Batches since the learners began, or began anew.
    """

    teams: Sequence[Team]
    pairs: TrainingPairs
    watch: bool
    order: torch.Generator
    curves: Curves = field(default_factory=Curves)
    steps: int = 0

    def begin_anew(self, phases: Sequence[Phase], number: int) -> None:
        """Give the learners new initial values before phase ``number``; the trust of the detectors stays."""
        self.steps = 0
        for team in self.teams:
            team.begin(self.pairs, phases, team.run.anew(number))
            team.tell_objective(0)

    def begin_phase(self, phase: Phase) -> tuple[TrainingPairs, Tensor]:
        """The pairs as the phase sees them, and the (n,) rows of them that it trains on."""
        import torch

        pairs, rows = self.pairs, torch.arange(len(self.pairs), device=self.pairs.image.device)
        if phase.pairs == "trusted":
            pairs, rows = pairs.as_trusted(), torch.nonzero(pairs.trusted)[:, 0]
        smallest = self.teams[0].smallest_batch
        if phase.epochs and len(rows) < smallest:
            raise HarnessError(
                f"phase {phase.name!r} has {counted(len(rows), 'training pair')}, and the hasher needs at least "
                f"{smallest} in a batch: use more images{', or raise --trusted' if phase.pairs == 'trusted' else ''}."
            )
        for team in self.teams:
            team.tell_learner("begin_phase", phase, pairs, rows)
        return pairs, rows

    def train_epoch(self, phase: Phase, pairs: TrainingPairs, rows: Tensor) -> list[list[Tensor]]:
        """Train on every batch once; returns for each team the losses of its steps, 0-d tensors on the device."""
        import torch

        learner = self.teams[0].learner
        drop_last = getattr(learner, "drop_last", False)
        losses: list[list[Tensor]] = [[] for _ in self.teams]
        bad = torch.zeros((), dtype=torch.bool, device=rows.device)
        for chosen in batches(rows, learner.batch_size, self.order, self.teams[0].smallest_batch, drop_last):
            batch = pairs.rows(chosen)
            self.steps += 1
            # All weights are asked for before any learner takes its step, so that the order of the teams has no effect.
            trusts = [teacher.trust_in(batch, phase) for teacher in self.teams[::-1]]
            for team, trust, of_team in zip(self.teams, trusts, losses, strict=True):
                bad |= outside(trust)
                taken = team.selected(batch, trust)
                if taken is not None:
                    with team.drawing():
                        of_team.append(team.learner.step(*taken))
                    team.tell_objective(self.steps)
        refuse_outside(bad, self.teams[0].detector_name)
        return losses

    def end_epoch(self, phase: Phase, number: int, losses: Sequence[Sequence[Tensor]]) -> None:
        """Tell the learners, record the curves, and show the detectors what they asked for after epoch ``number``."""
        import torch

        team = self.teams[0]
        if not all(losses):
            raise HarnessError(
                f"the hasher cannot weigh pairs, and in epoch {number} of phase {phase.name!r} detector "
                f"{team.detector_name!r} leaves no batch with {counted(team.smallest_batch, 'pair')} above a weight of "
                "0.5."
            )
        epoch = len(self.curves.phase)  # counted from 0 over all phases
        for team in self.teams:
            team.tell_learner("end_epoch", epoch)
        self.curves.updates += sum(len(of_team) for of_team in losses)
        self.curves.phase.append(phase.name)
        mean = torch.stack([loss.detach().float() for loss in losses[0]]).mean()
        self.curves.loss.append(float(mean))  # the one look at the device in an epoch
        if self.watch:
            changed = [team.observe(self.pairs, phase, epoch) for team in self.teams]
            if changed[0]:
                self.curves.trust.append((epoch + 1, self.teams[0].trust.weight.cpu()))
        self.teams[0].run.report(phase=phase.name, epoch=number, epochs=phase.epochs, loss=self.curves.loss[-1])
