"""One cell from start to finish: data, detector, hasher, codes, metrics, record.

The wall: the method gets :class:`~harness.plugin.interfaces.TrainingPairs` and nothing else. Labels, the noise mask,
queries and database stay in this module and in the evaluator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.cells.command import command_of
from harness.cells.compatibility import granted_beyond_the_wall
from harness.cells.methods import ResolvedMethod
from harness.cells.workbench import Job
from harness.data.assemble import CellData, Standardiser, assemble, training_pairs
from harness.data.cache import uses_noted
from harness.data.query_blocks import query_blocks
from harness.data.table import at_rows
from harness.errors import HarnessError
from harness.execution.encoding import code_table, latencies
from harness.execution.results import CellResult, evaluated_record, evaluation_arrays, make_record
from harness.noise.plan import class_changed, realised_rates
from harness.noise.scores import detector_scores
from harness.plugin.declarations import MetricDeclaration
from harness.plugin.interfaces import Hasher, Need, PairTrust, TrainingPairs
from harness.records.schema import CellFacts, Failure, RunRecord, Status
from harness.retrieval.codes import CodeTable
from harness.retrieval.evaluate import Evaluation, evaluate
from harness.runtime.context import Progress, RunContext, ignore_progress
from harness.runtime.cost import Meter, learned_numbers
from harness.runtime.precision import float32_products
from harness.runtime.seeding import OwnRandomness, global_randomness
from harness.text import CANNOT_WEIGH, counted
from harness.training.loop import Curves, train
from harness.training.team import Team, outside, refuse_outside, trust_of_shape

if TYPE_CHECKING:
    import torch


@dataclass
class Fitted:
    """A trained method.

    Attributes:
        hasher: The hasher that is evaluated.
        trust: The trust that its detector had in each pair in the end.
        curves: Per-epoch curves; empty for closed forms.
        notes: Remarks for the record.
        parameters: Learned numbers, as in ``record.cost``.
    """

    hasher: Hasher
    trust: PairTrust
    curves: Curves = field(default_factory=Curves)
    notes: list[str] = field(default_factory=list)
    parameters: dict[str, int | None] = field(default_factory=dict)


def fit_method(method: ResolvedMethod, pairs: TrainingPairs, run: RunContext, meter: Meter | None = None) -> Fitted:
    """Fit detector and hasher on the training pairs, and on nothing else.

    Args:
        method: The resolved method.
        pairs: The pairs as the method may see them.
        run: Device, streams and progress.
        meter: Counts the phases ``detector`` and ``training``.

    Returns:
        The fitted method.

    Raises:
        HarnessError: A component broke its contract.
    """
    meter, declared = meter or Meter(run.device), method.hasher
    run = replace(run, listener=meter.hearing(run.listener))
    with float32_products(run.precision):
        teams = _teams(method, pairs, run, meter)
        first = teams[0]
        if Need.EPOCHS in declared.offers:
            watch = bool(method.needs & (Need.EPOCHS | Need.PAIR_LOSSES))
            with meter.phase("training"), global_randomness(run.seed, "training"):
                curves = train(teams, pairs, method.phases, watch=watch)
        else:
            curves = Curves()
            _fit_at_once(first, declared.name, pairs, run, meter)
    notes = []
    if first.selects and (first.trust.weight <= 0.5).any():
        kept = int((first.trust.weight > 0.5).sum())
        notes.append(
            f"hasher {declared.name} {CANNOT_WEIGH}: it was fitted on the {kept} of {len(pairs)} pairs with a weight "
            "above 0.5"
        )
    return Fitted(first.learner, first.trust, curves, notes, _parameters(teams))


def _teams(method: ResolvedMethod, pairs: TrainingPairs, run: RunContext, meter: Meter) -> list[Team]:
    """Detectors that have looked at the pairs, and hashers that are not fitted yet: one of each, or two to co-teach."""
    teams = []
    detector_name = method.components["detector"].name
    for number in range(method.learners):
        member = replace(run, member=f"learner-{number}/" if number else "")
        with meter.phase("detector"), global_randomness(run.seed, f"{member.member}detector"):
            detector = method.components["detector"].load()(**method.arguments("detector"))
            trust = trust_of_shape(detector.fit(pairs, member), len(pairs), detector_name)
            refuse_outside(outside(trust), detector_name)
        with global_randomness(run.seed, f"{member.member}hasher-made"):
            objective = make_objective(method)
            hasher = make_hasher(method, objective)
        own = OwnRandomness(run.seed, f"{member.member}training") if number else None
        selects = not method.hasher.uses_weights
        teams.append(Team(hasher, detector, trust, member, detector_name, objective, selects, own))
    return teams


def _fit_at_once(team: Team, hasher_name: str, pairs: TrainingPairs, run: RunContext, meter: Meter) -> None:
    """Fit a hasher that has no epochs, on the trusted pairs alone if it cannot weigh them."""
    trust = team.trust
    if team.selects and (trust.weight <= 0.5).any():
        chosen = trust.weight > 0.5
        if not chosen.any():
            raise HarnessError(f"hasher {hasher_name!r} cannot weigh pairs, and no pair has a weight above 0.5.")
        names = (column.name for column in fields(pairs))
        pairs, trust = replace(pairs, **at_rows(pairs, chosen, *names)), trust.at(chosen)
    run.report(phase="fit", epoch=0, epochs=1)
    with meter.phase("training"), global_randomness(run.seed, "training"):
        team.learner.fit(pairs, trust, run)
    run.report(phase="fit", epoch=1, epochs=1)


def _parameters(teams: Sequence[Team]) -> dict[str, int | None]:
    """Learned numbers: of the hasher that is evaluated, of its detector, and of all that was trained."""
    counts = [(learned_numbers(team.learner), learned_numbers(team.detector)) for team in teams]
    hasher, detector = counts[0]
    known = [count for pair in counts for count in pair if count is not None]
    return {"hasher": hasher, "detector": detector, "trained": sum(known) if known else None}


def make_objective(method: ResolvedMethod) -> Any | None:
    """The objective of a method, or None for a hasher with a loss of its own."""
    if "objective" not in method.components:
        return None
    return method.components["objective"].load()(**method.arguments("objective"))


def make_hasher(method: ResolvedMethod, objective: Any | None = None) -> Any:
    """The hasher of a method, not yet fitted, with its objective where it takes one (a new one unless given).

    Raises:
        HarnessError: Its class lacks a method that every hasher has.
    """
    arguments = method.arguments("hasher")
    if "objective" in method.components:
        arguments["objective"] = make_objective(method) if objective is None else objective
    hasher = method.components["hasher"].load()(**arguments)
    needed = ("encode_image", "encode_text", *(("begin", "step") if Need.EPOCHS in method.hasher.offers else ("fit",)))
    missing = [name for name in needed if not callable(getattr(hasher, name, None))]
    if missing:
        raise HarnessError(
            f"hasher {method.hasher.name!r}: its class {type(hasher).__name__} has no {' and no '.join(missing)}, and "
            "every hasher of its kind needs that."
        )
    return hasher


def run_job(
    job: Job,
    metrics: list[MetricDeclaration],
    device: torch.device,
    listener: Callable[[Progress], None] = ignore_progress,
) -> CellResult:
    """Run a cell.

    Args:
        job: The prepared cell.
        metrics: Metrics to compute.
        device: Where to train.
        listener: Called with progress.

    Returns:
        Record, arrays and model of the finished cell.

    Raises:
        HarnessError: A mistake of the user or a broken contract.
        Exception: Whatever a component raised.
    """
    started = datetime.now(UTC)
    meter = Meter(device)
    precision = job.cell.facts["precision"]
    run = RunContext(job.request.bits, device, job.request.seed, precision=precision, listener=listener)
    with meter.phase("features"), global_randomness(0, "backbones"), uses_noted() as uses:
        table = job.data.source.table(job.data.split, replace(run, seed=0))
        revisions = job.data.source.revisions()  # only now: the weights may have been downloaded just before
    with meter.phase("data"):
        with global_randomness(0, "backbones"):
            encode = job.data.source.caption_encoder(job.data.split, replace(run, seed=0))
            data = assemble(table, job.data.protocol, job.data.split, encode)
        pairs = training_pairs(data, device, granted_beyond_the_wall(job.method))
    fitted = fit_method(job.method, pairs, run, meter)
    per_item: dict[str, float] = {}
    with meter.phase("encode"), global_randomness(run.seed, "encode"):
        codes = code_table(
            data, fitted.hasher, run, job.method.hasher.name, per_item, job.cell.facts.get("relevance", "label")
        )
    with meter.phase("evaluate"):
        evaluation = evaluate(codes, metrics, device)
    trust = data.in_plan_order(fitted.trust.weight.cpu().numpy())
    changed = class_changed(data.plan, table.caption_image, table.label_matrix)
    others = {
        "detector": detector_scores(trust, data.plan.wrong, changed, data.plan.trusted),
        "noise": realised_rates(data.plan, table.caption_image, table.label_matrix, table.captions),
    }
    computed = {
        use.about["modality"]: 0.0 if use.hit else round(use.seconds, 6) for use in uses if "modality" in use.about
    }
    cost = {**meter.finish(), "computed_features": computed, **_sizes_and_speeds(fitted, codes, evaluation, meter)}
    model = model_tensors(fitted.hasher, data.image_standardiser, data.text_standardiser)
    with global_randomness(run.seed, "latency"):
        cost["encode_seconds"] = {"alone": latencies(data, fitted.hasher, run), "in_bulk": per_item}
    arrays = {
        **evaluation_arrays(codes, evaluation),
        "query_blocks": query_blocks(data, job.cell.facts.get("relevance", "label")),
        **curve_arrays(fitted.curves, data),
        "trust": trust,
        **data.plan.arrays(),
    }
    record = evaluated_record(
        evaluation,
        metrics,
        job.cell.identity,
        _facts(job, revisions),
        others=others,
        notes=[*job.notes, *fitted.notes, *_noise_notes(data), *_query_notes(evaluation)],
        plan=data.plan.fingerprint,
        timings={key: round(value, 6) for key, value in meter.seconds.items()},
        cost=cost,
        started=started,
        command=command_of(job.request),
    )
    return CellResult(record, arrays, model)


def _sizes_and_speeds(fitted: Fitted, codes: CodeTable, evaluation: Evaluation, meter: Meter) -> dict[str, Any]:
    """The entries of ``cost`` about sizes and speeds, from the fitted method and its codes."""
    ranked = evaluation.queries["total"] * len(evaluation.metrics)
    return {
        "parameters": fitted.parameters,
        "updates": fitted.curves.updates or None,
        "code_bytes": math.ceil(codes.n_bits / 8),
        "evaluate_queries_per_second": round(ranked / meter.seconds["evaluate"], 3),
    }


def _noise_notes(data: CellData) -> list[str]:
    """A remark where noise was asked for and there is none."""
    plan = data.plan
    if not plan.rate or plan.wrong is None or plan.wrong.any():
        return []
    return [f"noise {plan.rate:g} was asked for and no pair is wrong: {int((~plan.trusted).sum())} pairs are untrusted"]


def _query_notes(evaluation: Evaluation) -> list[str]:
    """A remark where metrics leave queries out."""
    total, without = evaluation.queries["total"], evaluation.queries.get("without_relevant", 0)
    if not without:
        return []
    missing = "; map and most other metrics are not defined" if without == total else ""
    return [f"{without} of {counted(total, 'query', 'queries')} have no relevant item in the database{missing}"]


def curve_arrays(curves: Curves, data: CellData) -> dict[str, NDArray]:
    """Loss per epoch and, for detectors that change their mind, AUROC per epoch."""
    if not curves.loss:
        return {}
    arrays: dict[str, NDArray] = {
        "curve_loss": np.array(curves.loss),
        "curve_phase": np.array(curves.phase),
        "updates": np.array(curves.updates),
    }
    epochs, areas = [], []
    for epoch, weight in curves.trust:
        in_plan_order = data.in_plan_order(weight.numpy())
        area = detector_scores(in_plan_order, data.plan.wrong, None, data.plan.trusted)["auroc"]
        epochs.append(epoch)
        areas.append(np.nan if area is None else area)
    if epochs:
        arrays["curve_detector_epoch"], arrays["curve_detector_auroc"] = np.array(epochs), np.array(areas)
    return arrays


def model_tensors(hasher: Hasher, image: Standardiser, text: Standardiser) -> dict[str, Any] | None:
    """Tensors that make the codes again from raw features: of the hasher, and of the standardisers of both modalities.

    Returns:
        Name to tensor; None for a hasher without state.

    Raises:
        HarnessError: Its state holds something else than tensors.
    """
    import torch

    state = getattr(hasher, "state", None)
    if state is None:
        return None
    model = {f"hasher.{name}": tensor for name, tensor in state().items()}
    strange = [name for name, tensor in model.items() if not isinstance(tensor, torch.Tensor)]
    if strange:
        raise HarnessError(
            f"state() of the hasher must give torch tensors; {strange[0].removeprefix('hasher.')!r} is none."
        )
    for modality, standardiser in (("image", image), ("text", text)):
        model[f"standardiser.{modality}.mean"] = torch.from_numpy(standardiser.mean)
        model[f"standardiser.{modality}.scale"] = torch.from_numpy(standardiser.scale)
    return model


def failed_record(job: Job, status: Status, error: Failure, started: datetime) -> RunRecord:
    """The record of a cell that has no numbers."""
    said = {"notes": list(job.notes), "command": command_of(job.request)}
    return make_record(job.cell.identity, _facts(job), status, error, started, **said)


def _facts(job: Job, revisions: Mapping[str, str] | None = None) -> CellFacts:
    """The facts of a cell for its record."""
    return CellFacts(**job.cell.facts, revisions=dict(revisions or {}))
