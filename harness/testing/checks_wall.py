"""The wall: no dependence on labels, noise mask, queries or database.

In one process nothing is impossible in Python, so the proof is metamorphic: what a component must not see is changed,
and its codes on given inputs stay equal bit by bit; and it trains in a process where none of it exists.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from harness.cells.compatibility import granted_beyond_the_wall
from harness.data.assemble import CellData, assemble, training_pairs
from harness.execution import runner
from harness.execution.runner import Fitted, fit_method
from harness.plugin.interfaces import Need
from harness.testing.apart import train_apart
from harness.testing.outcomes import TRAINED, CheckFailed, CheckSkipped, check
from harness.testing.small_data import feature_arrays
from harness.testing.subject import EPOCHS, Subject
from harness.testing.trials import BITS, CPU, difference, outputs_of, size_for, usual_trial

HINT = (
    "a method may use nothing but its arguments; a component that needs class labels or the noise mask declares it "
    "(needs=Need.CLASS_LABELS), is granted it in pairs.granted, and every table marks it."
)


@check(*TRAINED, hint=HINT)
def check_no_labels(subject: Subject) -> str | None:
    """Permuted class labels leave codes and trust of a whole run bit-equal."""
    if Need.CLASS_LABELS in granted_beyond_the_wall(subject.method()):
        raise CheckSkipped("it declares that it needs class labels; the record and every table say so")
    before, after = _usual_run(subject).arrays, _run(subject, change_arrays=_permuted_labels).arrays
    for name, what in (("query", "queries"), ("database", "the database")):
        for modality in ("image", "text"):
            key = f"{name}_{modality}_codes"
            if not np.array_equal(before[key], after[key]):
                raise CheckFailed(f"class labels were permuted, and the {modality} codes of {what} changed.")
    if not np.array_equal(before["trust"], after["trust"]):
        raise CheckFailed("class labels were permuted, and the trust in the pairs changed.")
    return None


def _permuted_labels(arrays: dict[str, np.ndarray]) -> None:
    arrays["labels"] = np.random.default_rng(1).permutation(arrays["labels"])


@dataclass(frozen=True)
class _RealRun:
    """A run by the runner itself: job, data, labels and mask lie in the frames above the component as they always do.

    Attributes:
        arrays: Of its record.
        outputs: (2 x PROBES, n_bits) of its hasher on the probes, as :attr:`harness.testing.trials.Trial.outputs`.
    """

    arrays: dict[str, Any]
    outputs: Tensor

    def same_as(self, other: _RealRun) -> str:
        """ "" if codes on the probes and trust are equal bit by bit, otherwise what differs."""
        trusts = (torch.from_numpy(run.arrays["trust"]) for run in (self, other))
        return difference(self.outputs > 0, next(trusts), other.outputs > 0, next(trusts))


def _run(
    subject: Subject,
    *,
    change_arrays: Callable[[dict[str, np.ndarray]], None] | None = None,
    change_data: Callable[[CellData], CellData] = lambda data: data,
) -> _RealRun:
    """Run the subject; the feature file, or the cell's data once they are assembled, can be changed."""
    from harness.cells.request import CellRequest, MethodRequest
    from harness.cells.workbench import Workbench

    method, size = subject.method(), size_for(subject)
    arrays = feature_arrays(size)
    if change_arrays is not None:
        change_arrays(arrays)
    settings = {key: text for key, text in subject.settings.items() if key in method.parameters}
    fitted = []

    def fit_and_keep(*arguments: Any) -> Fitted:
        fitted.append(fit_method(*arguments))
        return fitted[-1]

    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(runner, "assemble", lambda *parts: change_data(assemble(*parts))),
        mock.patch.object(runner, "fit_method", fit_and_keep),
    ):
        features = Path(folder) / "small.npz"
        np.savez(features, **arrays)  # type: ignore[arg-type]
        asked = MethodRequest(method.name, preset=subject.preset, settings=settings, epochs=EPOCHS[subject.kind])
        request = CellRequest(asked, features=features, noise=0.4, trusted=0.3, bits=BITS, plugins=subject.plugins)
        workbench = Workbench(subject.registry, "cpu")
        data_facts = workbench.prepare_data(request)
        if Need.SHARED_SPACE in method.needs:  # ready features cannot say that they have one
            workbench.prepare_data = lambda request: replace(  # type: ignore[method-assign]
                data_facts, offered=replace(data_facts.offered, shared_space=True)
            )
        outcome = runner.run_job(workbench.prepare(request), [], CPU)
    assert outcome.arrays is not None
    return _RealRun(outcome.arrays, outputs_of(fitted[0].hasher, size.d_image, size.d_text, BITS))


def _usual_run(subject: Subject) -> _RealRun:
    """The run that others are compared with, made once."""
    if "real run" not in subject.memory:
        subject.memory["real run"] = _run(subject)
    usual: _RealRun = subject.memory["real run"]
    return usual


@check(*TRAINED, hint=HINT)
def check_no_mask(subject: Subject) -> str | None:
    """A false noise mask leaves codes and trust bit-equal."""
    what = _usual_run(subject).same_as(_run(subject, change_data=_false_mask))
    if Need.NOISE_MASK in granted_beyond_the_wall(subject.method()):
        if not what:
            raise CheckFailed("it declares that it needs the noise mask, and a false one changes nothing.")
        raise CheckSkipped("it declares that it needs the noise mask; the record and every table say so")
    if what:
        raise CheckFailed(f"the core was handed a false noise mask, and {what}.")
    return None


def _false_mask(data: CellData) -> CellData:
    assert data.plan.wrong is not None
    return replace(data, plan=replace(data.plan, wrong=~data.plan.wrong))


@check(*TRAINED, hint=HINT)
def check_no_queries_or_database(subject: Subject) -> None:
    """Other queries and another database leave codes on given inputs and trust bit-equal."""
    what = _usual_run(subject).same_as(_run(subject, change_arrays=_other_outside))
    if what:
        raise CheckFailed(f"queries and database were replaced, and {what}.")


def _other_outside(arrays: dict[str, np.ndarray]) -> None:
    """Replace all features that are not of training images."""
    outside = arrays["split"] != 0
    random = np.random.default_rng(2)
    for names, rows in (
        (("image", "image_aug"), outside),
        (("text", "text_aug"), outside[arrays["caption_image"]]),
    ):
        for name in names:
            if name in arrays:
                arrays[name][rows] = 50 * random.normal(size=arrays[name][rows].shape)


@check(*TRAINED, hint=HINT)
def check_trains_apart(subject: Subject) -> str | None:
    """A process of its own that receives the arrays of the training pairs, and nothing else, makes the same codes."""
    usual = usual_trial(subject)
    granted = granted_beyond_the_wall(usual.method)
    pairs = training_pairs(usual.data, CPU, granted)
    content: dict[str, Any] = {
        name: None if (tensor := getattr(pairs, name)) is None else tensor.numpy()
        for name in ("image", "text", "trusted", "trusted_text")
    }
    for name in ("image_views", "text_views", "trusted_text_views"):
        content[name] = [view.numpy() for view in getattr(pairs, name)]
    content["granted"] = {str(need.name): tensor.numpy() for need, tensor in pairs.granted.items()}
    import os

    environment = {name: os.environ[name] for name in ("HARNESS_PLUGINS_DIR", "HARNESS_PLUGINS") if name in os.environ}
    answer = train_apart(
        {
            "plugins": [str(path.absolute()) for path in subject.plugins],
            "environment": environment,
            "kind": subject.kind,
            "name": subject.name,
            "preset": subject.preset,
            "settings": dict(subject.settings),
            "threads": torch.get_num_threads(),
            "bits": BITS,
            "seed": 0,
            "pairs": content,
            "recipe": {},
        }
    )
    if "error" in answer:
        raise CheckFailed(
            f"it trains in this process and fails in one that holds the training pairs alone: {answer['error']}."
        )
    outputs, weight = torch.from_numpy(answer["outputs"]), torch.from_numpy(answer["weight"])
    what = difference(usual.codes, usual.weight, outputs > 0, weight)
    if what:
        raise CheckFailed(f"trained in a process that holds the training pairs alone, {what}.")
    return None
