"""Checks of everything that takes part in a training: what goes in, what comes out, chance and state."""

from __future__ import annotations

from typing import Any

import torch

from harness.execution.runner import make_hasher
from harness.plugin.interfaces import Need
from harness.runtime.context import RunContext
from harness.runtime.seeding import frozen_global_randomness, global_randomness
from harness.testing import partners
from harness.testing.outcomes import TRAINED, CheckFailed, CheckSkipped, CheckWarning, check
from harness.testing.subject import Subject
from harness.testing.trials import (
    BITS,
    CPU,
    codes_of_cell,
    outputs_of,
    pairs_of,
    probes,
    train,
    usual_trial,
    watched_randomness,
)

EVALUATED = ("method", "hasher")
"""Kinds whose own encoders are checked."""


@check(
    *TRAINED,
    hint="features are float32 tensors; `run.device` and `run.n_bits` say where and how many.",
    foundation=True,
)
def check_trains(subject: Subject) -> str:
    """It trains on small data at noise 0.4, and encodes them as a run does: shapes, real numbers, no NaN."""
    trial = usual_trial(subject)
    codes_of_cell(trial)
    epochs = len(trial.fitted.curves.loss)
    return f"{epochs} epochs" if epochs else "fitted in one step"


@check(*EVALUATED)
def check_dtypes(subject: Subject) -> None:
    """The encoders return floating-point numbers; double precision is told."""
    trial = usual_trial(subject)
    size = trial.data.table
    for name, items in zip(
        ("encode_image", "encode_text"), probes(size.image.shape[1], size.text.shape[1]), strict=True
    ):
        with torch.no_grad():
            dtype = getattr(trial.fitted.hasher, name)(items).dtype
        if not dtype.is_floating_point:
            raise CheckFailed(
                f"{name} returned {dtype}.", "return real numbers before the sign is taken: a bit is 1 above 0."
            )
        if dtype == torch.float64:
            raise CheckWarning(
                f"{name} returned torch.float64 for float32 features: encoding in double precision takes twice the "
                "time and memory, and few GPUs are fast at it; `self.map = map.float()` after fitting avoids it"
            )


@check("detector")
def check_trust(subject: Subject) -> str:
    """It says a floating-point weight in [0, 1] for each pair, on the device of the features, without gradient."""
    trial = usual_trial(subject)
    pairs = pairs_of(subject, trial)
    detector = trial.method.components["detector"].load()(**trial.method.arguments("detector"))
    with global_randomness(0, "detector"):
        trust = detector.fit(pairs, RunContext(BITS, CPU))
    weight = getattr(trust, "weight", None)
    if weight is None:
        raise CheckFailed(f"fit returned {type(trust).__name__}.", "return harness.PairTrust(weight).")
    if not weight.dtype.is_floating_point or weight.dtype == torch.float64:
        raise CheckFailed(f"the weight is {weight.dtype}.", "return float32: `weight.float()`.")
    if weight.requires_grad:
        raise CheckFailed("the weight still carries a gradient.", "compute it under torch.no_grad(), or detach() it.")
    said = trial.weight
    return f"weights from {float(said.min()):.2f} to {float(said.max()):.2f} after training"


@check(*TRAINED, hint="take every random number from run.generator(...) or run.numpy_generator(...).")
def check_same_seed_same_codes(subject: Subject) -> None:
    """Two trainings with the same seed give equal codes and trust."""
    again = train(subject)
    what = usual_trial(subject).same_as(again)
    if what:
        raise CheckFailed(f"trained twice with seed 0: {what}.")


@check(*TRAINED)
def check_seed_has_an_effect(subject: Subject) -> None:
    """Another seed gives other outputs; a closed form without chance is told so, a learner must feel it."""
    if subject.kind in ("detector", "objective"):
        raise CheckSkipped("the partner of the check draws random numbers anyway")
    usual, other = usual_trial(subject), train(subject, seed=1)
    if torch.equal(usual.outputs, other.outputs):
        if Need.EPOCHS in usual.method.hasher.offers:
            raise CheckFailed(
                "seeds 0 and 1 give the very same outputs.",
                "draw initial values from torch's global generator or from run.generator(...), not from a fixed seed.",
            )
        raise CheckWarning("seeds 0 and 1 give the same codes: repeat seeds of the data (--data-seed), not of training")


@check(*TRAINED, hint="leave global generators alone: they are seeded for you; take others from run.generator(NAME).")
def check_global_seed_untouched(subject: Subject) -> None:
    """It sets no global seed: after two trainings that begin in different states the generators differ still."""
    with watched_randomness() as first:
        train(subject, seed=0)
    with watched_randomness() as second:
        train(subject, seed=1)
    for (stream, one), (_, other) in zip(first, second, strict=False):
        for library in one:
            if one[library] == other[library]:
                call = {"torch": "torch.manual_seed", "numpy": "numpy.random.seed", "random": "random.seed"}[library]
                what = {"detector": "the detector's fit", "hasher-made": "the hasher's __init__"}.get(
                    stream.rpartition("/")[2], "training"
                )
                raise CheckFailed(
                    f"{what} sets the global seed of {library}: it ends in the same state whatever it began with "
                    f"({call}, or the like).",
                    f"remove the call; use generator=run.generator('my-stream') instead of {call}.",
                )


@check(*EVALUATED, hint="call network.eval() before encoding; compute statistics in fit and keep them.")
def check_any_batch(subject: Subject) -> None:
    """An item gets the same code alone, among others, and in another order."""
    trial = usual_trial(subject)
    hasher = trial.fitted.hasher
    table = trial.data.table
    for name, items in zip(
        ("encode_image", "encode_text"), probes(table.image.shape[1], table.text.shape[1]), strict=True
    ):
        encode = getattr(hasher, name)
        with torch.no_grad(), frozen_global_randomness():
            together = encode(items)
            alone = torch.cat([encode(items[row : row + 1]) for row in range(len(items))])
            backwards = encode(items.flip(0)).flip(0)
            again = encode(items)
        for what, other in (("alone", alone), ("in another order", backwards), ("a second time", again)):
            # Products of other shapes may differ in the last digits.
            scale = together.abs().amax(dim=1, keepdim=True).clamp(min=1e-12)
            far = ((together - other).abs() > 1e-3 * scale).any(dim=1)
            if bool(far.any()):
                raise CheckFailed(
                    f"{name} gives {int(far.sum())} of {len(items)} items another output {what}.",
                    "compute means, medians and batch statistics in fit and keep them; call network.eval() before "
                    "encoding; no dropout there.",
                )


@check(*EVALUATED)
def check_state_restores(subject: Subject) -> str:
    """state() holds tensors that safetensors can store, and restore() on a fresh hasher makes the same codes."""
    trial = usual_trial(subject)
    hasher = trial.fitted.hasher
    if not callable(getattr(hasher, "state", None)):
        raise CheckSkipped("it has no state(): its model is not saved with the run, and cannot be used afterwards")
    state = hasher.state()
    stored = _stored_and_read(state)
    fresh = make_hasher(trial.method)
    if not callable(getattr(fresh, "restore", None)):
        raise CheckFailed("it has state() and no restore(state, run).", "add restore, the inverse of state.")
    fresh.restore(stored, RunContext(BITS, CPU))
    table = trial.data.table
    outputs = outputs_of(fresh, table.image.shape[1], table.text.shape[1], BITS)
    if not torch.equal(outputs > 0, trial.codes):
        wrong = int(((outputs > 0) != trial.codes).sum())
        raise CheckFailed(
            f"after restore(state()) {wrong} of {trial.codes.numel()} bits differ.",
            "put everything that encoding uses into state(): means, scales and buffers of batch normalisation, too.",
        )
    return f"{len(state)} tensors"


def _stored_and_read(state: Any) -> dict[str, torch.Tensor]:
    """A state as it comes back from a model file."""
    from safetensors.torch import load

    from harness.records.run_files import model_bytes

    hint = "return a dictionary of names to torch tensors; numbers as torch.tensor(number)."
    if not isinstance(state, dict):
        raise CheckFailed(f"state() returned {type(state).__name__}.", hint)
    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise CheckFailed(f"state() holds {type(value).__name__} under {name!r}.", hint)
    if not state:
        raise CheckFailed("state() is empty.", hint)
    try:
        content = model_bytes({str(name): tensor for name, tensor in state.items()})
    except Exception as error:
        raise CheckFailed(f"safetensors cannot store the state: {' '.join(str(error).split())}", hint) from error
    if content is None:
        return dict(state)  # too large to be stored with a run
    return load(content)


@check("hasher")
def check_weights_count(subject: Subject) -> str:
    """The trust in the pairs makes a difference, as its declaration says."""
    if not subject.declaration.uses_weights:
        raise CheckSkipped("it declares uses_weights=False: it is fitted on the pairs with a weight above 0.5")
    usual, uneven = usual_trial(subject), train(subject, detector=partners.UNEVEN)
    if not torch.equal(usual.outputs, uneven.outputs):
        return f"{int((usual.codes != uneven.codes).sum())} of {usual.codes.numel()} bits follow the trust"
    if torch.equal(usual.outputs, train(subject, arrays_seed=1).outputs):
        raise CheckSkipped("its codes do not depend on the training pairs at all")
    raise CheckFailed(
        "weights of 1 and uneven ones give the very same outputs, and it declares that it uses them.",
        "use trust.weight in fit or step, or register with uses_weights=False: then only pairs above 0.5 reach it.",
    )


@check(*TRAINED)
def check_gpu_agrees(subject: Subject) -> str:
    """It trains on a GPU, and what was trained on the CPU makes the same codes there."""
    if not torch.cuda.is_available():
        raise CheckSkipped("there is no GPU here")
    device = torch.device("cuda")
    on_gpu = train(subject, device=device)
    usual = usual_trial(subject)
    if not callable(getattr(usual.fitted.hasher, "state", None)):
        return "trained there; without state() the codes of both cannot be compared"
    fresh = make_hasher(usual.method)
    fresh.restore(
        {name: tensor.clone() for name, tensor in usual.fitted.hasher.state().items()}, RunContext(BITS, device)
    )
    table = usual.data.table
    outputs = outputs_of(fresh, table.image.shape[1], table.text.shape[1], BITS, device)
    clear = usual.outputs.abs() > 1e-2 * usual.outputs.abs().amax(dim=1, keepdim=True)
    wrong = int(((outputs > 0) != usual.codes)[clear].sum())
    if wrong:
        raise CheckFailed(
            f"{wrong} of {int(clear.sum())} clear bits differ between CPU and GPU.",
            "restore() must put tensors on run.device and change nothing else.",
        )
    return f"loss {on_gpu.fitted.curves.loss[-1]:.3g} there" if on_gpu.fitted.curves.loss else "fitted there"
