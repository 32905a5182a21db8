"""A learner with the detector that watches it: what the detector says is checked, and what it is shown is collected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.plugin.interfaces import Batch, Evidence, Learner, PairTrust, Phase, TrainingPairs
from harness.runtime.context import RunContext
from harness.runtime.seeding import OwnRandomness

if TYPE_CHECKING:
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

    @property
    def smallest_batch(self) -> int:
        """Pairs that a batch of the learner needs."""
        return getattr(self.learner, "smallest_batch", 1)

    def begin(self, pairs: TrainingPairs, phases: Sequence[Phase], run: RunContext) -> None:
        """Have the learner make its networks, with the random streams of ``run``."""
        with self.drawing():
            self.learner.begin(pairs, phases, run)

    def tell_learner(self, method: str, *arguments: Any) -> None:
        """Call a method that learners may leave out."""
        with self.drawing():
            _optional(self.learner, method, *arguments)

    def tell_objective(self, step: int) -> None:
        """Tell the objective, if it listens, how many steps the learner has done since it began."""
        _optional(self.objective, "end_step", step)

    def trust_in(self, batch: Batch, phase: Phase) -> PairTrust:
        """The trust in a batch: ones if the phase says so, or weights that the detector draws, or its last trust."""
        import torch

        if phase.trust == "ones":
            return PairTrust(torch.ones(len(batch), device=batch.rows.device))
        drawn = _optional(self.detector, "weigh_batch", batch, self.learner)
        if drawn is None:
            return self.trust.at(batch.rows)
        return PairTrust(weight_of_shape(drawn, len(batch), self.detector_name))

    def selected(self, batch: Batch, trust: PairTrust) -> tuple[Batch, PairTrust] | None:
        """The part of a batch for a step: all, or the trusted pairs if :attr:`selects`; None if those are too few."""
        if not self.selects:
            return batch, trust
        kept = trust.weight > 0.5
        batch, trust = Batch(batch.pairs, batch.rows[kept]), trust.at(kept)
        return None if len(batch) < self.smallest_batch else (batch, trust)

    def observe(self, pairs: TrainingPairs, phase: Phase, epoch: int) -> bool:
        """Show the detector, if it watches, the evidence of its learner; returns whether it changed its trust."""
        if getattr(self.detector, "observe", None) is None:
            return False
        # Whatever the detector draws, the learner's own random numbers stay the same.
        with self.run.frozen_randomness():
            changed = _optional(self.detector, "observe", collect_evidence(self.learner, pairs, phase, epoch), self.run)
        if changed is None:
            return False
        self.trust = trust_of_shape(changed, len(pairs), self.detector_name)
        refuse_outside(outside(self.trust), self.detector_name)
        return True

    def drawing(self) -> AbstractContextManager[None]:
        """Draw global random numbers from this team's own stream in a ``with`` block."""
        return nullcontext() if self.randomness is None else self.randomness.drawn()


def _optional(component: Any, method: str, *arguments: Any) -> Any:
    """Call a method that a component may leave out."""
    function: Callable[..., Any] | None = getattr(component, method, None)
    return None if function is None else function(*arguments)


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


def trust_of_shape(trust: Any, n: int, detector: str) -> PairTrust:
    """The trust as float32 without gradient, if weight and target are tensors of n numbers.

    Raises:
        HarnessError: They are not; the message names the detector.
    """
    weight = weight_of_shape(getattr(trust, "weight", trust), n, detector, "weight")
    target = getattr(trust, "target", None)
    return PairTrust(weight, None if target is None else weight_of_shape(target, n, detector, "target"))


def weight_of_shape(values: Any, n: int, detector: str, what: str = "weight") -> Tensor:
    """(n,) float32 without gradient.

    Raises:
        HarnessError: ``values`` is no tensor of that shape.
    """
    import torch

    if not isinstance(values, torch.Tensor):
        raise HarnessError(
            f"detector {detector!r}: {what} must be a torch tensor of shape ({n},), not {type(values).__name__}."
        )
    if tuple(values.shape) != (n,):
        raise HarnessError(f"detector {detector!r}: {what} must have shape ({n},); it has {tuple(values.shape)}.")
    return values.detach().float()


def outside(trust: PairTrust) -> Tensor:
    """Whether any weight or target is outside [0, 1] or NaN, as a 0-d bool tensor that stays on the device."""
    bad = ~((trust.weight >= 0) & (trust.weight <= 1)).all()
    return bad if trust.target is None else bad | ~((trust.target >= 0) & (trust.target <= 1)).all()


def refuse_outside(bad: Tensor, detector: str) -> None:
    """Refuse what a detector said where the flag of :func:`outside` is set.

    Raises:
        HarnessError: It is set.
    """
    if bool(bad):
        raise HarnessError(f"detector {detector!r} gave weights outside [0, 1] or NaN.")
