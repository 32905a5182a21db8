"""Checks of hashers beyond training and encoding: one modality at a time, training items, pair losses, two learners."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from harness.execution.runner import make_hasher
from harness.plugin.interfaces import Need, TrainingPairs
from harness.runtime.seeding import frozen_global_randomness
from harness.testing import partners
from harness.testing.outcomes import CheckFailed, CheckSkipped, CheckWarning, check
from harness.testing.small_data import Size
from harness.testing.subject import Subject
from harness.testing.trials import Trial, codes_of_cell, pairs_of, probes, train, usual_trial

EVALUATED = ("method", "hasher")
NAMES = ("encode_image", "encode_text")
FAR = 1e-3
"""Relative difference of outputs that other shapes of products do not explain."""


def _far(one: Tensor, other: Tensor) -> int:
    """How many items have outputs that differ."""
    scale = one.abs().amax(dim=1, keepdim=True).clamp(min=1e-12)
    return int(((one - other).abs() > FAR * scale).any(dim=1).sum())


def _probes_of(trial: Trial) -> dict[str, Tensor]:
    table = trial.data.table
    return dict(zip(NAMES, probes(table.image.shape[1], table.text.shape[1]), strict=True))


@check(*EVALUATED)
def check_one_modality(subject: Subject) -> None:
    """What an image is hashed to does not depend on captions that were encoded before, and the other way round."""
    hasher = usual_trial(subject).fitted.hasher
    items = _probes_of(usual_trial(subject))
    for name, other in (NAMES, NAMES[::-1]):
        with torch.no_grad(), frozen_global_randomness():
            try:
                fresh = copy.deepcopy(hasher)
            except Exception:
                fresh = hasher
            alone = getattr(fresh, name)(items[name])
            getattr(fresh, other)(3 + 2 * items[other][:7])
            after = getattr(fresh, name)(items[name])
        if changed := _far(alone, after):
            raise CheckFailed(
                f"{name} gives {changed} of {len(alone)} items another output after {other} was called.",
                "encoders keep nothing of what they encode: a query has one modality, and no partner to look at.",
            )


@check(*EVALUATED)
def check_training_items(subject: Subject) -> None:
    """Items of the training set get their codes from the hash function, as any others do: none is remembered."""
    trial = usual_trial(subject)
    pairs = pairs_of(subject, trial)
    items = _probes_of(trial)
    for name, training in zip(NAMES, (pairs.image, pairs.text), strict=True):
        encode = getattr(trial.fitted.hasher, name)
        with torch.no_grad(), frozen_global_randomness():
            as_trained = encode(training)
            among_others = encode(torch.cat([items[name], training.flip(0)]))[len(items[name]) :].flip(0)
            if changed := _far(as_trained, among_others):
                raise CheckFailed(
                    f"{name} gives {changed} of {len(training)} training items another output in the order of the "
                    "training than among others.",
                    "the database may hold training items: encode them as all others, never with codes kept from fit.",
                )
            moved = [_moved_share(encode, some) for some in (training, items[name])]
        if moved[0] > moved[1] + 0.05:
            raise CheckFailed(
                f"{name}: a change of a hundred-thousandth turns {moved[0]:.0%} of the bits of training items, and "
                f"{moved[1]:.0%} of those of other items.",
                "the codes of training items seem to be looked up: compute them from the features as for all others.",
            )


def _moved_share(encode: Any, items: Tensor) -> float:
    """Share of the bits that a tiny change of the items flips, of those whose output is well away from 0."""
    noise = torch.randn(items.shape, generator=torch.Generator().manual_seed(8))
    before, after = encode(items), encode(items * (1 + 1e-5 * noise))
    clear = before.abs() > 1e-2 * before.abs().amax(dim=1, keepdim=True)
    return float(((before > 0) != (after > 0))[clear].double().mean()) if bool(clear.any()) else 0.0


@check(
    "hasher", hint="each part of a loss that belongs to a pair counts with its weight; or declare uses_weights=False."
)
def check_weight_nought(subject: Subject) -> str:
    """Pairs of weight 0 do not count: it tells how much of the codes follows them all the same."""
    if not subject.declaration.uses_weights:
        raise CheckSkipped("it declares uses_weights=False: pairs of weight 0 never reach it")
    plain = train(subject, detector=partners.HALF)
    spoilt = train(subject, detector=partners.HALF, change_pairs=_spoilt)
    turned = int((plain.codes != spoilt.codes).sum())
    if torch.equal(plain.outputs, spoilt.outputs):
        return "they have no influence at all"
    said = f"{turned} of {plain.codes.numel()} bits follow other features of pairs that have weight 0"
    if Need.EPOCHS not in subject.declaration.offers:
        raise CheckWarning(said + ": means, covariances and graphs should count them with their weight, too")
    return said + ", through batch statistics or as negatives of others"


def _spoilt(pairs: TrainingPairs) -> TrainingPairs:
    """Other features for every second pair, those that the partner of the check does not trust."""
    random = torch.Generator().manual_seed(9)

    def other(view: Tensor) -> Tensor:
        noise = torch.randn(view.shape, generator=random).to(view.device)
        return torch.where((torch.arange(len(view), device=view.device) % 2 == 1)[:, None], noise, view)

    return replace(
        pairs, image=other(pairs.image), text=other(pairs.text),
        image_views=tuple(map(other, pairs.image_views)), text_views=tuple(map(other, pairs.text_views)),
    )  # fmt: skip


@check("hasher")
def check_pair_losses(subject: Subject) -> str:
    """pair_losses: a finite number for each pair, differentiable, the same when asked twice; nothing is trained."""
    if Need.PAIR_LOSSES not in subject.declaration.offers:
        raise CheckSkipped("it does not offer PAIR_LOSSES")
    trial = usual_trial(subject)
    pairs = pairs_of(subject, trial)
    learner: Any = trial.fitted.hasher
    rows = torch.arange(min(len(pairs), 10))
    with frozen_global_randomness():
        before = _outputs(learner, pairs)
        losses = learner.pair_losses(pairs.rows(rows))
        again = learner.pair_losses(pairs.rows(rows))
        after = _outputs(learner, pairs)
    if not isinstance(losses, Tensor) or tuple(losses.shape) != (len(rows),):
        shape = tuple(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
        raise CheckFailed(f"pair_losses gave {shape} for {len(rows)} pairs.", "one loss for each pair, (b,).")
    if not bool(torch.isfinite(losses).all()):
        raise CheckFailed("pair_losses gave NaN or an infinite number.", "guard divisions and logarithms.")
    if not losses.requires_grad:
        raise CheckFailed(
            "pair_losses carry no gradient.", "leave out detach() and no_grad(): detectors may differentiate."
        )
    if not torch.equal(before, after):
        raise CheckFailed(
            "the codes changed while pair_losses was asked.", "it only looks: no step, no new statistics."
        )
    if not torch.allclose(losses, again, rtol=1e-4, atol=1e-6):
        raise CheckFailed(
            "pair_losses differ when asked twice.", "no dropout, no random draws there: call network.eval() first."
        )
    return f"from {float(losses.detach().min()):.3g} to {float(losses.detach().max()):.3g}"


def _outputs(learner: Any, pairs: Any) -> Tensor:
    with torch.no_grad():
        return torch.cat([learner.encode_image(pairs.image), learner.encode_text(pairs.text)])


@check("hasher")
def check_two_learners(subject: Subject) -> None:
    """Two copies trained together share nothing: the first learns what it learns alone."""
    if Need.TWO_LEARNERS not in subject.declaration.offers:
        raise CheckSkipped("it does not offer TWO_LEARNERS")
    what = usual_trial(subject).same_as(train(subject, detector=partners.CO_TEACHING))
    if what:
        raise CheckFailed(
            f"trained beside a second copy, both with full trust in every pair, {what}.",
            "keep state in self, never in the class or module; take random numbers from the run that begin() gets.",
        )


@check("hasher", hint="set smallest_batch, or make the step work for a batch of one pair.")
def check_leftover_pair(subject: Subject) -> str:
    """A last batch of one pair: it is bearable, or declared with smallest_batch."""
    if Need.EPOCHS not in subject.declaration.offers:
        raise CheckSkipped("it has no batches")
    batch = int(make_hasher(subject.method()).batch_size)
    n = batch + 1 if batch > 100 else 2 * batch + 1
    size = Size(n=n + 6, d_text=10, views=False, split=(0,) * n + (1,) + (2,) * 5)
    codes_of_cell(train(subject, size=size))
    return f"{n} pairs in batches of {batch}"
