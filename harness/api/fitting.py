"""``harness.fit``: a method on a user's own features, by the very path of a cell."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.api.arguments import check_names, given_in_python, one_each, settings_in_python
from harness.api.how_to_run import RUNNING_OPTIONS, USUAL_THREADS, threads_of
from harness.api.inputs import array_of, registry_with
from harness.api.model import Model, ModelFacts, named_curves
from harness.api.progress import make_listener
from harness.cells.checks import check_numbers
from harness.cells.compatibility import DataFacts, check_combination, granted_beyond_the_wall
from harness.cells.methods import ResolvedMethod, resolve_method
from harness.cells.request import BY_NAME, CellRequest, MethodRequest, with_values
from harness.cells.workbench import Workbench
from harness.data.assemble import CellData, DataProtocol, assemble, training_pairs
from harness.data.features.feature_file import table_from_arrays, view_of
from harness.data.matrices import check_rows
from harness.data.splits import TRAIN
from harness.data.table import FeatureTable
from harness.errors import HarnessError
from harness.execution.runner import Fitted, curve_arrays, fit_method
from harness.plugin.interfaces import Need
from harness.runtime.context import RunContext
from harness.runtime.outlets import notes_as_warnings
from harness.runtime.seeding import frozen_global_randomness
from harness.runtime.settings import RunSettings, applied
from harness.text import shortened
from harness.version import __version__

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

WHERE = "harness.fit"

ADVICE: Mapping[Need, str] = MappingProxyType({
    Need.TRUSTED: "give trusted=mask, (n,) bool with True for each pair that is known to be right",
    Need.SHARED_SPACE: "if your features have one, such as those of CLIP, give shared_space=True",
    Need.NOISE_MASK: "give wrong=mask, (n,) bool with True for each pair that is wrong",
    Need.CLASS_LABELS: "give labels, the class of each pair",
})  # fmt: skip
"""What to do where a user's own arrays cannot grant what a method needs."""

_OPTIONS = (
    "method", "bits", "seed", "data_seed", "standardise", "preset", "hasher", "detector", "objective", "epochs",
    "precision",
)  # fmt: skip


def fit(
    method: str,
    *,
    image: ArrayLike,
    text: ArrayLike,
    bits: int = BY_NAME["bits"].default,
    seed: int = BY_NAME["seed"].default,
    data_seed: int = BY_NAME["data_seed"].default,
    trusted: ArrayLike | None = None,
    image_views: Sequence[ArrayLike] = (),
    text_views: Sequence[ArrayLike] = (),
    labels: ArrayLike | None = None,
    wrong: ArrayLike | None = None,
    shared_space: bool = False,
    standardise: str = BY_NAME["standardise"].default,
    preset: str = BY_NAME["preset"].default,
    hasher: str | None = BY_NAME["hasher"].default,
    detector: str | None = BY_NAME["detector"].default,
    objective: str | None = BY_NAME["objective"].default,
    epochs: int | None = BY_NAME["epochs"].default,
    precision: str = BY_NAME["precision"].default,
    set: Mapping[str, Any] | None = None,
    plugins: Iterable[Any] = (),
    device: str = RunSettings.device,
    threads: int | str | None = None,
    deterministic: bool = RunSettings.deterministic,
    progress: bool = True,
    **unknown: Any,
) -> Model:
    """Fit a method on features of your own: no data set, split or results folder is needed.

    Row i of every array is pair i. What comes out equals, bit for bit, what a cell makes whose training pairs are these
    rows in this order. Arrays may be of numpy or torch, or lists; none is changed. Random numbers, threads and settings
    of torch, numpy and Python are afterwards what they were.

    Args:
        method: Name of the method, as ``harness list methods`` shows.
        image: (n, d_image) numbers, features of the images; they become float32.
        text: (n, d_text) numbers, features of the captions that the images have, right or wrong.
        bits: Code length.
        seed: Training seed.
        data_seed: Seed of the order in which the method sees the pairs.
        trusted: (n,) bool, pairs known to be right; None: no pair is.
        image_views: Augmented views, each (n, d_image), for methods that use them.
        text_views: Augmented views, each (n, d_text).
        labels: (n,) integers or (n, n_classes) of 0/1; only methods that declare that they need classes see them.
        wrong: (n,) bool, pairs known to be wrong; only methods that declare that they need the noise mask see it.
        shared_space: Image and text features are of one space, as those of CLIP are.
        standardise: ``scalar``, ``feature``, ``center`` or ``none``; fitted on these rows.
        preset: Named parameters of the methods that have them.
        hasher: Replace the method's hasher.
        detector: Replace the method's noise detector.
        objective: Replace the method's objective.
        epochs: Total epochs, divided in the method's proportion.
        precision: Number format of training: ``auto``, ``fp32``, ``bf16`` or ``tf32``.
        set: Parameter to value, such as ``{"detector.weights": "cubed"}``.
        plugins: Plugin files, modules, or classes of this session, with methods of your own.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        threads: Threads; "auto" for all cores, None for 1, as in a cell. With other ones sums are rounded in another
            order.
        deterministic: Deterministic algorithms only, and an error where there is none.
        progress: Show how far it is; nothing is shown without.
        **unknown: Refused, with near names.

    Returns:
        The fitted method.

    Raises:
        HarnessError: A name or value is wrong, arrays do not fit each other or hold NaN, or the method needs what is
            not given, such as trusted pairs; found before anything is computed. Or a component broke its contract.
        Exception: Whatever a component raised itself.
    """
    given = dict(locals())
    check_names("fit", unknown, [name for name in inspect.signature(fit).parameters if name != "unknown"])
    request, running = _request(given), one_each(given, RUNNING_OPTIONS)
    threads_here = threads_of(running.get("threads", USUAL_THREADS), in_process=True)
    settings = RunSettings(**{**running, "threads": threads_here})
    check_numbers(request)
    with notes_as_warnings():
        workbench = Workbench(registry_with(plugins), settings.device)
        resolved = resolve_method(workbench.registry, request.method)
        table = _table(image, text, trusted, labels, wrong, image_views, text_views, shared_space)
        assert table.trusted is not None
        facts = DataFacts(len(table), int(table.trusted.sum()), shared_space, wrong is not None, labels is not None)
        check_combination(resolved, facts, ADVICE)
        number_format = workbench.precision(request, resolved)
        given_pairs = workbench.registry.get("protocol", "given")
        protocol = DataProtocol(given_pairs, None, 0.0, request.data_seed, request.standardise)
        with (
            make_listener(None, 1, True, quiet=not progress) as shown,
            applied(settings) as chosen,
            frozen_global_randomness(),
        ):
            run = RunContext(request.bits, chosen, request.seed, precision=number_format, listener=shown.progressed)
            data = assemble(table, protocol, np.full(len(table), TRAIN, dtype=np.int8))
            pairs = training_pairs(data, chosen, granted_beyond_the_wall(resolved))
            fitted = fit_method(resolved, pairs, run)
    settings = replace(settings, device=str(chosen))
    return _model(request, resolved, workbench, number_format, settings, data, fitted, wrong is not None)


def _model(
    request: CellRequest, method: ResolvedMethod, workbench: Workbench, precision: str, settings: RunSettings,
    data: CellData, fitted: Fitted, mask_known: bool,
) -> Model:  # fmt: skip
    """What was fitted, with all that must be known to save it."""
    facts = ModelFacts(
        harness=__version__, method=method.name, row=method.row, preset=method.preset, hasher=method.hasher.name,
        detector=method.components["detector"].name,
        objective=method.components["objective"].name if "objective" in method.components else None,
        bits=request.bits, seed=request.seed, image_features=data.table.image.shape[1],
        text_features=data.table.text.shape[1], standardise=request.standardise, precision=precision,
        threads=settings.threads, deterministic=settings.deterministic, parameters=dict(method.parameters),
        sources={role: workbench.source_hash(component) for role, component in method.components.items()},
        data=data.table.fingerprint, notes=fitted.notes,
    )  # fmt: skip
    curves = named_curves(curve_arrays(fitted.curves, data))
    if not mask_known:  # there is nothing to set the detector against
        curves = {name: curve for name, curve in curves.items() if not name.startswith("detector_")}
    standardisers = {"image": data.image_standardiser, "text": data.text_standardiser}
    trust = data.in_plan_order(fitted.trust.weight.cpu().numpy())
    return Model(facts, fitted.hasher, standardisers, settings, trust, curves)


def _request(given: Mapping[str, Any]) -> CellRequest:
    """What is asked for, by arguments that each have one value.

    Raises:
        HarnessError: One has several, or one of a wrong type.
    """
    axes = given_in_python(given, [BY_NAME[name] for name in _OPTIONS])
    settings = settings_in_python(given["set"])
    for name, values in {**axes, **{f"set: {key}": values for key, values in settings.items()}}.items():
        if len(values) > 1 or (name == "method" and not values):
            raise HarnessError(f"{name}={shortened(repr(values))}: expected one value.")
    said = {name: values[0] for name, values in axes.items() if values}
    return with_values(CellRequest(MethodRequest(said["method"])), said, {key: one for key, (one,) in settings.items()})


def _table(
    image: Any, text: Any, trusted: Any, labels: Any, wrong: Any, image_views: Any, text_views: Any, shared_space: bool
) -> FeatureTable:
    """The pairs as a table of features, checked as those of a file; who is trusted is always said."""
    given = {"image": image, "text": text, "trusted": trusted, "labels": labels, "wrong": wrong}
    arrays = {
        name: array_of(value, f"{WHERE}: {name}")
        for name, value in given.items()
        if value is not None or name in ("image", "text")
    }
    for name in ("image", "text"):
        if arrays[name].ndim != 2:
            shape = f"{arrays[name].dtype} {arrays[name].shape}"
            raise HarnessError(f"{WHERE}: {name} must be a matrix of numbers (pairs, features), not {shape}.")
    check_rows(WHERE, arrays, "pair")
    n = len(arrays["image"])
    absent = {"trusted": np.zeros(n, dtype=bool), "labels": np.zeros(n, dtype=np.int64)}
    table = table_from_arrays({**absent, **arrays, "caption_image": np.arange(n)}, "given", WHERE)
    if shared_space and table.image.shape[1] != table.text.shape[1]:
        raise HarnessError(
            f"{WHERE}: shared_space=True, but image has {table.image.shape[1]} features and text {table.text.shape[1]}."
        )
    return replace(
        table,
        shared_space=shared_space,
        image_views=_views(image_views, "image", table.image),
        text_views=_views(text_views, "text", table.text),
    )


def _views(given: Any, modality: str, original: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    """Augmented views: a list of matrices, an array with a leading axis of views, or a single matrix."""
    views = []
    for at, view in enumerate([given] if getattr(given, "ndim", None) == 2 else given):
        what = f"{WHERE}: {modality}_views[{at}]"
        views.append(view_of(array_of(view, what), what, original, modality))
    return tuple(views)
