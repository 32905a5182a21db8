"""The one training loop: phases, batches, trust, evidence and curves for every learner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.plugin.interfaces import Batch, Evidence, Learner, PairTrust, Phase, TrainingPairs
from harness.runtime.context import RunContext
from harness.runtime.seeding import OwnRandomness
from harness.text import counted
from harness.training.batches import batches
from harness.training.trust import outside, refuse_outside, trust_of_shape, weight_of_shape

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass
class Team:
    """A learner and the detector that watches it. Two teams make co-teaching: each learner trains on the other's trust.

    Attributes:
        learner: The learner.
        detector: Its detector, or None.
        trust: What the detector says at present, for all pairs.
        run: Device and streams of this team.
        detector_name: For messages.
        objective: The learner's objective, or None; told of each step where it has ``end_step``.
        selects: The learner cannot weigh pairs: of each batch only pairs with a weight above 0.5 reach it.
        randomness: Global random numbers of this team's own; None draws from the process's. With two teams the second
            has its own, so that the first learns from the numbers it would have alone.
    """

    learner: Learner
    detector: Any | None
    trust: PairTrust
    run: RunContext
    detector_name: str = ""
    objective: Any | None = None
    selects: bool = False
    randomness: OwnRandomness | None = None

    def drawing(self) -> AbstractContextManager[None]:
        """While this lasts, global random numbers are this team's."""
        return nullcontext() if self.randomness is None else self.randomness.drawn()


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
    """
    import torch

    curves = Curves()
    for team in teams:
        with team.drawing():
            team.learner.begin(pairs, phases, team.run)
    run = teams[0].run
    order = run.generator("batches")
    epoch = step = 0
    ones = PairTrust(torch.ones(len(pairs), device=pairs.image.device))
    for number, phase in enumerate(phases):
        if phase.restart and number:
            step = 0
            for team in teams:
                with team.drawing():
                    team.learner.begin(pairs, phases, team.run.anew(number))
                _optional(team.objective, "end_step", step)
        phase_pairs = pairs.as_trusted() if phase.pairs == "trusted" else pairs
        rows = (
            torch.nonzero(pairs.trusted)[:, 0]
            if phase.pairs == "trusted"
            else torch.arange(len(pairs), device=pairs.image.device)
        )
        smallest = getattr(teams[0].learner, "smallest_batch", 1)
        if phase.epochs and len(rows) < smallest:
            raise HarnessError(
                f"phase {phase.name!r} has {counted(len(rows), 'training pair')}, and the hasher needs at least "
                f"{smallest} in a batch: use more images{', or raise --trusted' if phase.pairs == 'trusted' else ''}."
            )
        for team in teams:
            with team.drawing():
                _optional(team.learner, "begin_phase", phase, phase_pairs, rows)
        for epoch_in_phase in range(phase.epochs):
            losses: list[list[Tensor]] = [[] for _ in teams]
            bad = torch.zeros((), dtype=torch.bool, device=pairs.image.device)
            for chosen in _epoch_batches(teams[0].learner, rows, order):
                batch = phase_pairs.rows(chosen)
                # Both say what they trust before either learns from this batch: the exchange has no first and second.
                teachers = teams[::-1]
                trusts = [ones.at(chosen) if phase.trust == "ones" else _trust_in(batch, team) for team in teachers]
                step += 1
                for place, (team, trust) in enumerate(zip(teams, trusts, strict=True)):
                    bad |= outside(trust)
                    seen, trust = _selected(batch, trust) if team.selects else (batch, trust)
                    if team.selects and len(seen) < smallest:
                        continue
                    with team.drawing():
                        losses[place].append(team.learner.step(seen, trust))
                    _optional(team.objective, "end_step", step)
            refuse_outside(bad, teams[0].detector_name)
            if not all(losses):
                raise HarnessError(
                    f"the hasher cannot weigh pairs, and in epoch {epoch_in_phase + 1} of phase {phase.name!r} "
                    f"detector {teams[0].detector_name!r} leaves no batch with {counted(smallest, 'pair')} above a "
                    "weight of 0.5."
                )
            for team in teams:
                with team.drawing():
                    _optional(team.learner, "end_epoch", epoch)
            curves.updates += sum(len(of_one) for of_one in losses)
            curves.phase.append(phase.name)
            curves.loss.append(_mean(losses[0]))  # the one look at the device in an epoch
            if watch:
                _observe(teams, pairs, phase, epoch, curves)
            epoch += 1
            run.report(phase=phase.name, epoch=epoch_in_phase + 1, epochs=phase.epochs, loss=curves.loss[-1])
    return curves


def _optional(component: Any, method: str, *arguments: Any) -> Any:
    """Call a method that a component may leave out."""
    function: Callable[..., Any] | None = getattr(component, method, None)
    return None if function is None else function(*arguments)


def _epoch_batches(learner: Learner, rows: Tensor, order: torch.Generator) -> Any:
    smallest = getattr(learner, "smallest_batch", 1)
    return batches(rows, learner.batch_size, order, smallest=smallest, drop_last=getattr(learner, "drop_last", False))


def _selected(batch: Batch, trust: PairTrust) -> tuple[Batch, PairTrust]:
    """The pairs of a batch that a learner without weights trains on."""
    kept = trust.weight > 0.5
    return Batch(batch.pairs, batch.rows[kept]), trust.at(kept)


def _trust_in(batch: Batch, team: Team) -> PairTrust:
    """What the team's detector says of a batch: drawn anew where it does so, otherwise its standing trust."""
    drawn = None if team.detector is None else _optional(team.detector, "weigh_batch", batch, team.learner)
    if drawn is None:
        return team.trust.at(batch.rows)
    return PairTrust(weight_of_shape(drawn, len(batch), team.detector_name))


def _mean(losses: Sequence[Tensor]) -> float:
    import torch

    return float(torch.stack([loss.detach().float() for loss in losses]).mean()) if losses else float("nan")


def _observe(teams: Sequence[Team], pairs: TrainingPairs, phase: Phase, epoch: int, curves: Curves) -> None:
    """Show each detector the evidence of its own learner."""
    for place, team in enumerate(teams):
        if getattr(team.detector, "observe", None) is None:
            continue
        # Whatever the detector draws, the learner's own random numbers stay the same.
        with team.run.frozen_randomness():
            evidence = collect_evidence(team.learner, pairs, phase, epoch)
            changed = team.detector.observe(evidence, team.run)
        if changed is not None:
            team.trust = trust_of_shape(changed, len(pairs), team.detector_name)
            refuse_outside(outside(team.trust), team.detector_name)
            if place == 0:
                curves.trust.append((epoch + 1, team.trust.weight.cpu()))


def collect_evidence(learner: Learner, pairs: TrainingPairs, phase: Phase, epoch: int) -> Evidence:
    """Losses of all pairs and similarities on demand, without gradient."""
    import torch

    n = len(pairs)
    # Blocks of one size: in a smaller one a pair has fewer negatives, hence a smaller loss, right or wrong.
    blocks = torch.arange(n, device=pairs.image.device).tensor_split(max(1, round(n / max(learner.batch_size, 1))))
    pair_loss = None
    if hasattr(learner, "pair_losses"):
        with torch.no_grad():
            pair_loss = torch.cat([learner.pair_losses(pairs.rows(rows)) for rows in blocks]).detach().float()
    outputs: list[Tensor] = []

    def similarity(rows: slice) -> Tensor:
        with torch.no_grad():
            if not outputs:
                normalise = torch.nn.functional.normalize
                outputs.extend(
                    [normalise(learner.encode_image(pairs.image)), normalise(learner.encode_text(pairs.text))]
                )
            return outputs[0][rows] @ outputs[1].T

    return Evidence(epoch=epoch + 1, phase=phase.name, pair_loss=pair_loss, similarity=similarity)
