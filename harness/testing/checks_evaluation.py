"""Checks of metrics and noise protocols."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.errors import HarnessError
from harness.noise.plan import NoisePlan, draw_plan
from harness.retrieval.histograms import DistanceHistogram
from harness.retrieval.sanity import TOLERANCE
from harness.testing.outcomes import CheckFailed, CheckSkipped, CheckWarning, check
from harness.testing.subject import Subject

BINS = 17


def _histogram(seed: int = 0, queries: int = 12, items: int = 40) -> DistanceHistogram:
    """Random histograms; the first query has no relevant item, the second nothing but relevant ones."""
    random = np.random.default_rng(seed)
    total = random.multinomial(items, np.ones(BINS) / BINS, size=queries)
    relevant = random.binomial(total, 0.3)
    relevant[0], relevant[1] = 0, total[1]
    return DistanceHistogram(total.astype(np.int64), relevant.astype(np.int64))


def _ordered(front: bool, queries: int = 3, items: int = 40, relevant: int = 10) -> DistanceHistogram:
    """Histograms with all relevant items nearest, or farthest."""
    total, right = np.zeros((2, queries, BINS), dtype=np.int64)
    total[:, 0], total[:, -1] = (relevant, items - relevant) if front else (items - relevant, relevant)
    right[:, 0 if front else -1] = relevant
    return DistanceHistogram(total, right)


def _values(subject: Subject, histogram: DistanceHistogram) -> dict[str, np.ndarray]:
    declaration = subject.declaration
    function = declaration.load()
    values_by_metric = {}
    for metric_id, cutoff in zip(declaration.ids, declaration.cutoffs, strict=True):
        values = function(histogram) if cutoff is None else function(histogram, cutoff)
        if not isinstance(values, np.ndarray) or values.shape != (len(histogram),):
            what = f"shape {values.shape}" if isinstance(values, np.ndarray) else type(values).__name__
            raise CheckFailed(f"{metric_id} returned {what} for {len(histogram)} queries, not ({len(histogram)},).")
        if values.dtype != np.float64:
            raise CheckFailed(f"{metric_id} returned {values.dtype}, not float64.")
        values_by_metric[metric_id] = values
    return values_by_metric


@check("metric", hint="one float64 for each query: histogram.relevant[:, ...].sum(axis=1) / ...")
def check_one_value_per_query(subject: Subject) -> str:
    """It gives one finite float64 for each query; NaN only for a query without relevant items."""
    histogram = _histogram()
    values = _values(subject, histogram)
    for metric_id, of_queries in values.items():
        answerable = histogram.total_relevant > 0
        if not np.isfinite(of_queries[answerable]).all():
            raise CheckFailed(f"{metric_id} is NaN or infinite for a query that has relevant items.")
        empty = of_queries[~answerable]
        if subject.declaration.empty_query == "counts 0" and np.isnan(empty).any():
            raise CheckFailed(f"{metric_id} declares that queries without relevant items count 0, and returned NaN.")
        if np.isinf(empty).any():
            raise CheckFailed(f"{metric_id} is infinite for a query without relevant items.")
        bounds = subject.declaration.bounds
        if bounds and ((of_queries < bounds[0] - TOLERANCE) | (of_queries > bounds[1] + TOLERANCE)).any():
            raise CheckFailed(f"{metric_id} has values outside of its declared bounds, {bounds[0]:g} to {bounds[1]:g}.")
    low = min(np.nanmin(array) for array in values.values())
    high = max(np.nanmax(array) for array in values.values())
    return f"{len(values)} ids, from {low:.2f} to {high:.2f}"


@check("metric", hint="no statistics over queries: means are taken by the core.")
def check_queries_alone(subject: Subject) -> None:
    """The value of a query does not depend on the others: the core hands them over in parts."""
    histogram = _histogram()
    together = _values(subject, histogram)
    for at in range(len(histogram)):
        one = DistanceHistogram(histogram.items[at : at + 1], histogram.relevant[at : at + 1])
        for metric_id, values in _values(subject, one).items():
            if not np.allclose(values, together[metric_id][at : at + 1], equal_nan=True):
                raise CheckFailed(f"{metric_id} of a query is another number when the query is alone.")


@check("metric")
def check_better_is_better(subject: Subject) -> None:
    """Relevant items in front are worth no less than at the end; a smaller-is-better metric is told so."""
    front, end = _values(subject, _ordered(True)), _values(subject, _ordered(False))
    for metric_id in front:
        if front[metric_id].mean() < end[metric_id].mean():
            raise CheckWarning(f"{metric_id} is smaller for the better ranking: tables show the largest as best")


CONTRACT_SIGNS = (" must return ", "without declaring")
"""In refusals by the core: the protocol broke its contract."""


def _plan(subject: Subject, rate: float, seed: int = 0, n: int = 60, n_trusted: int = 15) -> NoisePlan:
    declaration = subject.declaration
    random = np.random.default_rng(seed)
    trusted = np.zeros(n, dtype=bool)
    trusted[random.permutation(n)[:n_trusted]] = True
    order = np.concatenate([np.flatnonzero(trusted), np.flatnonzero(~trusted)])
    labels = np.zeros((n, 4), dtype=bool)
    labels[np.arange(n), np.arange(n) % 4] = True
    given = None if declaration.takes_rate else np.arange(n) % 5 == 0
    return draw_plan(
        declaration,
        rate if declaration.takes_rate else None,
        image=np.arange(n) * 2,
        own_caption=np.arange(n) * 10,
        trusted=trusted,
        trusted_first_order=order,
        labels=labels,
        given_wrong=None if given is None else given & ~trusted,
        data_seed=seed,
        data_fingerprint="",
        captions=[f"caption {row} of a small house beside a long road" for row in range(n * 10)],
    )


def _refused(subject: Subject) -> None:
    """Skip the check for a protocol that refuses ordinary pairs with a reason, such as one that reads a file.

    Raises:
        CheckSkipped: It refuses them.
    """
    try:
        _plan(subject, 0.2)
    except HarnessError as refusal:
        if any(sign in str(refusal) for sign in CONTRACT_SIGNS):
            raise
        raise CheckSkipped(f"it refuses these pairs: {refusal}") from refusal


@check("protocol", hint="return np.arange(len(pairs)) with some rows replaced by the row whose caption they get.")
def check_noise_rate(subject: Subject) -> str:
    """At rate 0 no pair is wrong; at higher rates more are, and trusted pairs stay as they are unless declared."""
    _refused(subject)
    declaration = subject.declaration
    if not declaration.takes_rate:
        _plan(subject, 0.0)
        return "takes the noise as it is in the data"
    shares = []
    for rate in (0.0, 0.2, 0.4, 0.8):
        plan = _plan(subject, rate)
        assert plan.wrong is not None
        shares.append(float(plan.wrong[~plan.trusted].mean()))
    if shares[0]:
        raise CheckFailed(f"at rate 0 it makes {shares[0]:.0%} of the untrusted pairs wrong.")
    if not shares[0] < shares[1] < shares[3]:
        raise CheckFailed(f"rates 0, 0.2, 0.4 and 0.8 make {', '.join(f'{share:.0%}' for share in shares)} wrong.")
    return "rates 0, 0.2, 0.4, 0.8 make " + ", ".join(f"{share:.0%}" for share in shares) + " wrong"


@check("protocol", hint="draw from pairs.stream(name) and from nothing else.")
def check_noise_is_seeded(subject: Subject) -> None:
    """The same data seed draws the same plan, another one another; the pairs that it is given stay unchanged."""
    if not subject.declaration.takes_rate:
        raise CheckSkipped("it draws nothing")
    _refused(subject)
    plans = [_plan(subject, 0.5, seed) for seed in (0, 0, 1)]
    moves = [(plan.caption - plan.own_caption).tolist() for plan in plans]
    texts = [None if plan.replaced is None else plan.replaced.tolist() for plan in plans]
    if (moves[0], texts[0]) != (moves[1], texts[1]):
        raise CheckFailed("the same data seed draws another plan each time.")
    if (moves[0], texts[0]) == (moves[2], texts[2]):
        raise CheckFailed("data seeds 0 and 1 draw the same plan.")


@check("protocol")
def check_noise_is_nested(subject: Subject) -> None:
    """A pair that is wrong at 0.2 is wrong at 0.5, so that rates can be compared; otherwise it is told."""
    if not subject.declaration.takes_rate:
        raise CheckSkipped("it draws nothing")
    _refused(subject)
    few, many = (_plan(subject, rate).wrong for rate in (0.2, 0.5))
    assert few is not None
    assert many is not None
    lost = int((few & ~many).sum())
    if lost:
        raise CheckWarning(
            f"{lost} of {int(few.sum())} pairs that are wrong at 0.2 are right at 0.5: take the first of "
            "pairs.untrusted_order"
        )


@check("protocol", hint="what cannot work raises harness.HarnessError with one sentence.")
def check_noise_on_few_pairs(subject: Subject) -> str | None:
    """Four pairs, everybody trusted, nobody trusted: it works, or says why not."""
    refusals: list[Any] = []
    for n, n_trusted in ((4, 1), (12, 12), (12, 0)):
        try:
            _plan(subject, 0.5, n=n, n_trusted=n_trusted)
        except HarnessError as refusal:
            if any(sign in str(refusal) for sign in CONTRACT_SIGNS):
                raise
            refusals.append(refusal)
    return f"refused with a reason: {refusals[0]}" if refusals else None
