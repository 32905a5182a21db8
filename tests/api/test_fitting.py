"""A fit on arrays is what a cell on the same arrays is, needs nothing else, and leaves the process as it was."""

from __future__ import annotations

import inspect
import os
import random
import re

import numpy as np
import pytest
import torch

from harness.api.fitting import fit
from harness.cells.request import BY_NAME
from harness.errors import HarnessError

TINY = {"epochs": 3, "set": {"hasher.hidden": 32}}
TINY_WORDS = ("--epochs", "3", "--set", "hasher.hidden=32")

CELLS = {
    "closed form": ("cca-itq", {}, {}),
    "each feature for itself": ("cca-itq", {"standardise": "feature", "data_seed": 4}, {}),
    "network": ("duch-noisy", TINY, {}),
    "views and trusted pairs": ("chnr", TINY, {"trusted": True}),
    "detector that watches, two learners": ("ncr-hash", TINY, {}),
    "detector before training": ("cca-hash", TINY, {}),
    "source order, as released": ("chnr", {"epochs": 2, "preset": "released"}, {"trusted": True}),
    "noise mask": ("cca-itq", {"detector": "oracle"}, {"wrong": True}),
    "classes": (
        "chnr",
        {**TINY, "set": {"hasher.hidden": 32, "detector.mismatches": "other-class"}},
        {"trusted": True},
    ),
    "bf16": ("duch-noisy", {**TINY, "precision": "bf16"}, {}),
    "two threads": ("mlp-ntxent", {"epochs": 2, "threads": 2, "deterministic": True}, {}),
}


def words_of(arguments):
    """The options of a command that say the same as arguments of fit."""
    for name, value in arguments.items():
        if name == "set":
            yield from (word for key, one in value.items() for word in ("--set", f"{key}={one}"))
        elif value is True:
            yield f"--{name}"
        else:
            yield from (f"--{name.replace('_', '-')}", str(value))


@pytest.mark.parametrize("what", CELLS)
def test_it_equals_a_cell_bit_for_bit(cell, what):
    method, arguments, brings = CELLS[what]
    made = cell(method, *words_of(arguments), **brings)
    before = {name: np.array(value, copy=True) for name, value in made.of_fit.items() if isinstance(value, np.ndarray)}
    model = fit(method, **made.of_fit, **arguments)
    assert made.differing(model) == []
    assert model.trust.dtype == np.float32
    assert np.array_equal(model.trust, made.arrays["trust"])
    assert tensors_of(model) == tensors_in(made.stored.folder / "model.safetensors")
    for name, curve in model.curves.items():
        stored = made.arrays["updates" if name == "updates" else f"curve_{name}"]
        assert np.array_equal(curve, stored, equal_nan=curve.dtype.kind == "f")
    assert ("loss" in model.curves) == ("curve_loss" in made.arrays)
    assert (model.method, model.row) == (method, made.stored.record.cell.row)
    assert model.parameters == made.stored.record.cell.parameters
    for name, value in before.items():
        assert np.array_equal(made.of_fit[name], value), name


def tensors_of(model):
    from harness.execution.runner import model_tensors

    made = model_tensors(model._hasher, model._standardisers["image"], model._standardisers["text"])
    return {name: (str(tensor.dtype), tensor.tolist()) for name, tensor in made.items()}


def tensors_in(file):
    from safetensors.torch import load_file

    return {name: (str(tensor.dtype), tensor.tolist()) for name, tensor in load_file(file).items()}


def test_what_a_method_is_not_granted_makes_no_difference(pairs):
    plain = fit("cca-itq", **pairs, bits=16)
    more = fit(
        "cca-itq", **pairs, bits=16, labels=np.arange(60) % 4, wrong=np.arange(60) < 30, trusted=np.arange(60) > 40
    )
    assert np.array_equal(plain.encode_image(pairs["image"]), more.encode_image(pairs["image"]))


@pytest.mark.parametrize("method", ["classes", "mask", "plain"])
def test_a_method_sees_what_it_declares_and_no_more(pairs, plugin, method):
    granted = {"labels": np.arange(60) % 4, "wrong": np.arange(60) % 3 == 0}
    model = fit(method, **pairs, **granted, plugins=[plugin], data_seed=2)
    found = {need.names[0]: values.tolist() for need, values in model._hasher.granted.items()}
    from harness.runtime.seeding import numpy_generator

    order = numpy_generator(2, "row-order").permutation(60)
    expected = {"classes": {"class-labels": granted["labels"]}, "mask": {"noise-mask": granted["wrong"]}, "plain": {}}
    assert found == {name: values[order].tolist() for name, values in expected[method].items()}


@pytest.mark.parametrize(
    "kind",
    [
        lambda array: torch.from_numpy(array), lambda array: array.astype(np.float64), lambda array: array.tolist(),
        lambda array: np.asfortranarray(array), lambda array: torch.from_numpy(array).requires_grad_(),
    ],
    ids=["tensor", "float64", "list", "other order", "with gradient"],
)  # fmt: skip
def test_arrays_of_any_kind_are_the_same(pairs, kind):
    model = fit("cca-itq", image=kind(pairs["image"]), text=kind(pairs["text"]), bits=16)
    plain = fit("cca-itq", **pairs, bits=16)
    assert np.array_equal(model.encode_text(kind(pairs["text"])), plain.encode_text(pairs["text"]))


def test_half_precision_is_read_as_it_is_written(pairs):
    halved = {name: array.astype(np.float16) for name, array in pairs.items()}
    plain = fit("cca-itq", **{name: array.astype(np.float32) for name, array in halved.items()}, bits=16)
    model = fit("cca-itq", **halved, bits=16)
    assert np.array_equal(model.encode_image(halved["image"]), plain.encode_image(halved["image"]))
    brain = fit("cca-itq", **{name: torch.from_numpy(array).bfloat16() for name, array in pairs.items()}, bits=16)
    assert brain.encode_image(torch.from_numpy(pairs["image"]).bfloat16()).shape == (60, 2)


def test_a_hasher_that_changes_its_pairs_changes_no_array_of_the_user(pairs, plugin):
    before = pairs["image"].copy()
    fit("plain", **pairs, plugins=[plugin], standardise="none")
    assert np.array_equal(pairs["image"], before)


def state_of_the_process():
    return {
        "torch": torch.get_rng_state().tolist(),
        "numpy": np.random.get_state()[1].tolist(),  # noqa: NPY002 - the point is the global state
        "random": random.getstate(),
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "products": torch.get_float32_matmul_precision(),
        "gradient": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")),
        "errors": np.geterr(),
        "environment": dict(os.environ),
        "device": torch.get_default_device(),
    }


@pytest.mark.parametrize("method", ["careless", "duch-noisy"])
def test_the_process_is_afterwards_as_it_was(pairs, plugin, method):
    more = {} if method == "careless" else TINY
    torch.rand(3), np.random.rand(3), random.random()  # noqa: NPY002
    before = state_of_the_process()
    model = fit(method, **pairs, plugins=[plugin], **more)
    assert state_of_the_process() == before
    model.encode_image(pairs["image"])
    assert state_of_the_process() == before


def test_what_a_notebook_has_set_changes_nothing_and_stays(pairs):
    plain = fit("duch-noisy", **pairs, bits=16, **TINY)
    errors = np.seterr(all="raise")
    try:
        torch.set_default_dtype(torch.float64)
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16), torch.device("meta"):
            before = state_of_the_process()
            model = fit("duch-noisy", **pairs, bits=16, **TINY)
            codes = model.encode_image(pairs["image"])
            assert state_of_the_process() == before
    finally:
        torch.set_default_dtype(torch.float32)
        np.seterr(**errors)
    assert tensors_of(model) == tensors_of(plain)
    assert np.array_equal(codes, plain.encode_image(pairs["image"]))


def test_defaults_are_those_of_the_options():
    signature = inspect.signature(fit).parameters
    same = signature.keys() & BY_NAME.keys() - {"method", "trusted", "image_views", "text_views"}
    assert {name: signature[name].default for name in same} == {name: BY_NAME[name].default for name in same}
    assert {"bits", "seed", "data_seed", "standardise", "preset", "hasher", "detector", "epochs", "precision"} <= same


def with_nan(array):
    array = array.copy()
    array[7, 3] = np.nan
    return array


MISTAKES = {
    "unknown method": (
        {"method": "chnrr"}, "unknown method 'chnrr': did you mean 'chnr' or 'chnr-discrete' or 'chnr-cubed'?"
    ),
    "unknown argument": ({"bit": 3}, "unknown argument of harness.fit 'bit': did you mean 'bits'?"),
    "vector": (
        {"image": np.zeros(60)}, "harness.fit: image must be a matrix of numbers (pairs, features), not float64 (60,)."
    ),
    "too few rows": (
        {"text": np.zeros((59, 20))}, "harness.fit: image (60, 24) and text (59, 20) must have one row for each pair."
    ),
    "no rows": (
        {"image": np.zeros((0, 24)), "text": np.zeros((0, 20))},
        "harness.fit: image must be a matrix of numbers (items, features), not float64 (0, 24).",
    ),
    "no columns": (
        {"image": np.zeros((60, 0))},
        "harness.fit: image must be a matrix of numbers (items, features), not float64 (60, 0).",
    ),
    "words": (
        {"image": [["a"]] * 60}, "harness.fit: image must be a matrix of numbers (items, features), not <U1 (60, 1)."
    ),
    "NaN": (
        {"text": with_nan(np.zeros((60, 20)))},
        "harness.fit: text has NaN or infinite values in 1 rows, the first is row 7.",
    ),
    "too large": ({"image": np.full((60, 2), 1e300)}, "harness.fit: image has values beyond the range of float32."),
    "NaN in a view": (
        {"text_views": [np.zeros((60, 20)), with_nan(np.zeros((60, 20)))]},
        "harness.fit: text_views[1] has NaN or infinite values in 1 rows, the first is row 7.",
    ),
    "view of another shape": (
        {"image_views": np.zeros((60, 9))},
        "harness.fit: image_views[0] has shape (60, 9), but image has (60, 24); they must be equal.",
    ),
    "mask of numbers": (
        {"trusted": np.arange(60)},
        "harness.fit: trusted must be (60,) bool, one value for each image, not int64 (60,).",
    ),
    "trusted and wrong": (
        {"trusted": np.ones(60), "wrong": np.arange(60) == 5},
        "harness.fit: 1 pairs are both trusted and wrong, the first is image 5.",
    ),
    "no trusted pair": (
        {"method": "chnr"},
        "method 'chnr' needs trusted pairs, and none of the 60 training pairs is trusted: give trusted=mask, (n,) bool "
        "with True for each pair that is known to be right.",
    ),
    "no shared space": (
        {"method": "clip-sign"},
        "method 'clip-sign' compares image with caption features directly, and these backbones have no shared space: "
        "if your features have one, such as those of CLIP, give shared_space=True.",
    ),
    "spaces of two widths": (
        {"method": "clip-sign", "shared_space": True},
        "harness.fit: shared_space=True, but image has 24 features and text 20.",
    ),
    "no mask": (
        {"detector": "oracle"},
        "method 'cca-itq [detector=oracle]' needs the noise mask, and nobody knows which pairs of these data are "
        "wrong: give wrong=mask, (n,) bool with True for each pair that is wrong.",
    ),
    "labels missing": (
        {"method": "classes"},
        "method 'classes' needs class labels, and nobody knows those of these data: give labels, the class of each "
        "pair.",
    ),
    "without encode_text": (
        {"method": "without-text"},
        "hasher 'without-text': its class WithoutText has no encode_text, and every hasher of its kind needs that.",
    ),
    "text for a number": ({"bits": "many"}, "--bits many: expected whole numbers, comma lists or ranges such as 0-4."),
    "several code lengths": ({"bits": [16, 32]}, "bits=[16, 32]: expected one value."),
    "half a seed": ({"seed": 0.5}, "seed=0.5: expected a whole number."),
    "no name": ({"method": 3}, "method=3: expected text."),
    "no bits": ({"bits": 0}, "--bits 0: expected at least 1."),
    "unknown parameter": (
        {"set": {"ridgee": 1}}, "unknown parameter of method cca-itq 'ridgee': did you mean 'ridge' or 'hasher.ridge'?"
    ),
    "several values": (
        {"set": {"ridge": [1, 2]}},
        "set: ridge=['1', '2']: expected one value.",
    ),
    "ragged": (
        {"image": [[1, 2], [3]]},
        "harness.fit: image cannot be read as an array (setting an array element with a sequence. The requested array "
        "has an inhomogeneous shape after 1 dimensions. The detected shape was (2,) + inhomogeneous part).",
    ),
    "no name at all": ({"method": None}, "method=[]: expected one value."),
}  # fmt: skip


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_one_sentence(pairs, plugin, what):
    wrong, sentence = MISTAKES[what]
    with pytest.raises(HarnessError) as mistake:
        fit(**{"method": "cca-itq", **pairs, "plugins": plugin, **wrong})
    assert str(mistake.value) == sentence


def test_a_detector_that_is_shown_no_trusted_pair_is_refused_before_anything_is_computed(pairs, monkeypatch):
    monkeypatch.setattr("harness.api.fitting.assemble", None)
    with pytest.raises(HarnessError, match="needs trusted pairs"):
        fit("cca-itq", **pairs, detector="adversarial")


def test_progress_is_lines_on_standard_error_or_nothing(pairs, capsys):
    fit("duch-noisy", **pairs, **TINY, progress=False)
    assert capsys.readouterr() == ("", "")
    fit("duch-noisy", **pairs, **TINY)
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"  noisy 3/3, loss [0-9.]+\n", err)


def test_a_column_of_classes_is_a_warning(pairs):
    with pytest.warns(UserWarning, match=r"labels is one column \(60, 1\), read as the class of each item"):
        fit("cca-itq", **pairs, labels=np.zeros((60, 1), dtype=int))


def test_the_names_are_on_the_package():
    import harness

    assert harness.fit is fit
    assert {"fit", "load_model", "evaluate"} <= set(harness.__all__)


class OfThisSession:
    """Signs of a random map; ``steepness`` is a parameter."""

    def __init__(self, steepness: float = 1.0):
        self.steepness = steepness

    def fit(self, pairs, trust, run):
        self.maps = {"image": torch.randn(pairs.image.shape[1], run.n_bits) * self.steepness}
        self.maps["text"] = torch.randn(pairs.text.shape[1], run.n_bits)

    def encode_image(self, image):
        return image @ self.maps["image"]

    def encode_text(self, text):
        return text @ self.maps["text"]

    def state(self):
        return self.maps

    def restore(self, state, run):
        self.maps = state


class WithoutText:
    def fit(self, pairs, trust, run):
        pass

    def encode_image(self, image):
        return image


def test_a_class_of_the_session_needs_no_file(pairs, tmp_path, monkeypatch):
    from harness.api.model_files import load_model

    monkeypatch.chdir(tmp_path)
    model = fit("of-this-session", **pairs, plugins=[OfThisSession], set={"steepness": 2.5})
    assert model.parameters == {"hasher.steepness": 2.5}
    assert list(tmp_path.iterdir()) == []
    model.save("own.safetensors")
    again = load_model("own.safetensors", plugins=OfThisSession)
    assert np.array_equal(again.encode_text(pairs["text"]), model.encode_text(pairs["text"]))
    with pytest.raises(HarnessError) as mistake:
        fit("without-text", **pairs, plugins=[WithoutText])
    assert str(mistake.value) == (
        "class WithoutText has no encode_text: a hasher needs encode_text(self, text), which takes (m, d_text) "
        "features and returns (m, n_bits) real numbers; a bit is 1 where the number is above 0."
    )
