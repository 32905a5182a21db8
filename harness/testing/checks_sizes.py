"""Checks of unusual data and lengths: no noise and much, nobody trusted, few pairs, odd numbers."""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import Any

from harness.errors import CombinationError, HarnessError
from harness.plugin.interfaces import Need
from harness.testing.outcomes import TRAINED, CheckFailed, CheckSkipped, CheckWarning, check
from harness.testing.small_data import TINY, Size
from harness.testing.subject import EPOCHS, Subject
from harness.testing.trials import Trial, codes_of_cell, train

SIZES_HINT = "take all sizes from the tensors and from run.n_bits; what cannot work raises HarnessError with a reason."


def _works(subject: Subject, what: str, **asked: Any) -> Trial:
    """Train and encode.

    Raises:
        CheckFailed: It broke.
        CheckSkipped: It refused with a sentence.
    """
    try:
        trial = train(subject, **asked)
        codes_of_cell(trial, asked.get("bits", 16))
    except CombinationError:
        raise
    except HarnessError as refusal:
        if any(
            word in str(refusal) for word in ("NaN", "another code in another batch", "must return", "weights outside")
        ):
            raise CheckFailed(f"{what}: {refusal}") from refusal
        raise CheckSkipped(f"{what}: it refuses with a reason: {refusal}") from refusal
    return trial


@check(*TRAINED, hint="no noise at all is the usual case of a benchmark's first column.")
def check_noise_0(subject: Subject) -> str | None:
    """It works where no pair is wrong; a detector should not distrust most pairs then."""
    trial = _works(subject, "noise 0", noise=0.0)
    if subject.kind == "detector" and float(trial.weight.mean()) < 0.3:
        raise CheckWarning(f"no pair is wrong, and the mean trust is {float(trial.weight.mean()):.2f}")
    return f"mean trust {float(trial.weight.mean()):.2f}" if subject.kind == "detector" else None


@check(*TRAINED, hint="guard means, quantiles and mixtures against few or no pairs that look right.")
def check_noise_08(subject: Subject) -> str | None:
    """It works where 80 % of the untrusted pairs are wrong."""
    trial = _works(subject, "noise 0.8", noise=0.8)
    return f"mean trust {float(trial.weight.mean()):.2f}" if subject.kind == "detector" else None


@check(*TRAINED, hint="declare needs=Need.TRUSTED if it cannot work without trusted pairs: then it is refused in time.")
def check_nobody_trusted(subject: Subject) -> str | None:
    """It works without a single trusted pair, or is refused from its declarations before anything is computed."""
    needs_trusted = Need.TRUSTED in subject.method().needs
    try:
        trial = train(subject, trusted=0.0)
    except CombinationError as refusal:
        if needs_trusted:
            return f"refused as declared: {refusal}"
        raise
    codes_of_cell(trial)
    return None


@check(*TRAINED, hint=SIZES_HINT)
def check_tiny(subject: Subject) -> None:
    """Nine pairs, one query, 13 bits, captions of 10 numbers, no augmented views: it works, or says why not."""
    _works(subject, "9 pairs, 13 bits", size=TINY, bits=13)


@check(*TRAINED, hint=SIZES_HINT)
def check_more_bits_than_features(subject: Subject) -> None:
    """More bits than features have dimensions: it still gives run.n_bits numbers, or says why not."""
    _works(subject, "32 bits from 12 and 10 numbers", size=Size(d_image=12, d_text=10), bits=32)


@check(*TRAINED, hint=SIZES_HINT)
def check_one_bit(subject: Subject) -> None:
    """One bit."""
    _works(subject, "1 bit", bits=1)


@check("hasher", "method", "detector", hint="guard divisions by a deviation, a norm or a range that can be 0.")
def check_constant_features(subject: Subject) -> None:
    """Features that are the same for all items, of images, captions or both: no NaN, or it says why not."""
    for names in (("image",), ("text",), ("image", "text")):
        _works(subject, f"constant {' and '.join(names)} features", change_arrays=partial(_constant, names=names))


def _constant(arrays: dict[str, Any], names: tuple[str, ...]) -> None:
    for name in arrays:
        if name.removesuffix("_aug") in names:
            arrays[name][:] = 0.5


@check("hasher", hint=SIZES_HINT)
def check_odd_and_long_codes(subject: Subject) -> None:
    """33 and 256 bits, from captions of 10 numbers."""
    for bits in (33, 256):
        _works(subject, f"{bits} bits", size=Size(d_text=10, views=False), bits=bits)


@check("hasher", slow=True, hint="no Python loop over pairs; an N x N matrix of 10,000 pairs takes 400 MB.")
def check_ten_thousand_pairs(subject: Subject) -> str:
    """10,000 training pairs: it tells how long they take."""
    n = 10_000
    start = perf_counter()
    _works(subject, "10,000 pairs", size=Size(n=n + 60, views=False, split=(0,) * n + (1, 2, 2) * 20))
    return f"{perf_counter() - start:.0f} s, {EPOCHS[subject.kind]} epochs if it trains in epochs"
