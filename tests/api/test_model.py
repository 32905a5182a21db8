"""Models encode, are saved and come back; files of strangers are looked at, never believed."""

from __future__ import annotations

import json
import struct
import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

from harness.api.fitting import fit
from harness.api.model import METADATA
from harness.api.model_files import load_model, model_of_run
from harness.api.studies import load
from harness.errors import HarnessError
from harness.execution import encoding
from harness.retrieval.codes import unpack

TINY = {"epochs": 2, "set": {"hasher.hidden": 32}}


@pytest.fixture
def model(pairs):
    return fit("cca-itq", **pairs, bits=12)


@pytest.fixture
def saved(model, tmp_path):
    file = tmp_path / "model.safetensors"
    model.save(file)
    return file


def changed(file, metadata=lambda said: None, tensors=lambda tensors: None):
    """The file with other metadata or tensors."""
    content = file.read_bytes()
    header = json.loads(content[8 : 8 + struct.unpack("<Q", content[:8])[0]])
    said = json.loads(header["__metadata__"][METADATA])
    held = load_file(file)
    metadata(said)
    tensors(held)
    file.write_bytes(save(held, {METADATA: json.dumps(said)}))
    return file


def test_codes_packed_and_as_signs(model, pairs):
    codes, signs = model.encode_image(pairs["image"]), model.encode_image(pairs["image"], signs=True)
    assert (codes.dtype, codes.shape) == (np.uint8, (60, 2))
    assert (signs.dtype, signs.shape) == (np.int8, (60, 12))
    assert np.array_equal(signs > 0, unpack(codes, 12))
    assert set(np.unique(signs)) == {-1, 1}


@pytest.mark.parametrize("nothing", [[], np.zeros((0, 24)), torch.zeros(0, 24)])
def test_nothing_has_no_codes(model, nothing):
    assert model.encode_image(nothing).shape == (0, 2)
    assert model.encode_text(nothing, signs=True).shape == (0, 12)


def test_items_are_encoded_in_bounded_blocks(model, pairs, monkeypatch):
    whole = model.encode_text(pairs["text"])
    sizes = []
    encode_text = model._hasher.encode_text
    monkeypatch.setattr(model._hasher, "encode_text", lambda block: sizes.append(len(block)) or encode_text(block))
    for module in ("harness.execution.encoding", "harness.api.model"):
        monkeypatch.setattr(f"{module}.ENCODE_ROWS", 25)
    assert np.array_equal(model.encode_text(pairs["text"]), whole)
    assert set(sizes) == {25, 10, encoding.PROBE_ROWS}


def test_items_do_not_depend_on_their_company(model, pairs, monkeypatch):
    monkeypatch.setattr(model._hasher, "encode_text", lambda block: block[:, :12] - block[:, :12].mean(0))
    with pytest.raises(HarnessError, match="gives items another code in another batch"):
        model.encode_text(pairs["text"])


MISTAKES = {
    "width": (
        "encode_image", np.zeros((3, 20)),
        "encode_image: image has 20 features for each item, and the model was fitted on 24.",
    ),
    "vector": (
        "encode_image", np.zeros(24),
        "encode_image: image must be a matrix of numbers (items, features), not float64 (24,).",
    ),
    "NaN": (
        "encode_text", [[np.nan] * 20, [0.0] * 20],
        "encode_text: text has NaN or infinite values in 1 rows, the first is row 0.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_one_sentence(model, what):
    function, items, sentence = MISTAKES[what]
    with pytest.raises(HarnessError) as mistake:
        getattr(model, function)(items)
    assert str(mistake.value) == sentence


def test_it_says_in_one_line_what_it_is(model, saved):
    assert repr(model) == "<harness.Model cca-itq: 24 image and 20 text features to 12 bits, fitted on 60 pairs>"
    assert repr(load_model(saved)) == repr(model)
    assert (model.method, model.row, model.bits, model.notes) == ("cca-itq", "cca-itq", 12, [])
    assert model.parameters == {"hasher.iterations": 50, "hasher.power": 1.0, "hasher.ridge": 1.0}


LOADED = {
    "closed form": ("cca-itq", {"standardise": "feature"}),
    "network with an objective": ("duch-noisy", TINY),
    "keys and code length": ("random-codes", {}),
    "trusted pairs": ("chnr", {**TINY, "trusted": np.arange(60) % 3 == 0}),
    "thresholds": ("imh", {}),
}


@pytest.mark.parametrize("what", LOADED)
def test_a_saved_model_makes_the_same_codes(pairs, tmp_path, what):
    method, more = LOADED[what]
    model = fit(method, **pairs, bits=12, seed=2, **more)
    model.save(str(tmp_path / "model.safetensors"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = load_model(str(tmp_path / "model.safetensors"))
    random = np.random.default_rng(0)
    for name, width in (("image", 24), ("text", 20)):
        items = random.normal(size=(70, width))
        assert np.array_equal(getattr(again, f"encode_{name}")(items), getattr(model, f"encode_{name}")(items))
    assert again.facts == model.facts
    assert np.array_equal(again.trust, model.trust)
    again.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "model.safetensors").read_bytes()


def test_a_model_of_ones_own_plugin_needs_the_file(pairs, plugin, tmp_path):
    file = tmp_path / "method.py"
    file.write_text(
        plugin.read_text().replace(
            "    encode_text = encode_image",
            "    encode_text = encode_image\n\n"
            '    def state(self):\n        return {"map": self.map}\n\n'
            '    def restore(self, state, run):\n        self.map = state["map"]',
        )
    )
    model = fit("plain", **pairs, bits=12, plugins=[file])
    model.save(tmp_path / "own.safetensors")
    with pytest.raises(HarnessError) as mistake:
        load_model(tmp_path / "own.safetensors")
    assert str(mistake.value) == (
        f"model {tmp_path / 'own.safetensors'}: hasher 'plain' is of no plugin that is loaded here: name its file with "
        "plugins=[...]."
    )
    again = load_model(tmp_path / "own.safetensors", plugins=[file])
    assert np.array_equal(again.encode_text(pairs["text"]), model.encode_text(pairs["text"]))
    other = tmp_path / "other" / "method.py"
    other.parent.mkdir()
    other.write_text(file.read_text().replace("torch.randn(64", "2 * torch.randn(64"))
    with pytest.warns(UserWarning, match="hasher 'plain' has other code here than when the model was made"):
        load_model(tmp_path / "own.safetensors", plugins=[other])


def test_a_hasher_without_state_cannot_be_saved(pairs, plugin, tmp_path):
    model = fit("plain", **pairs, plugins=[plugin])
    with pytest.raises(HarnessError) as mistake:
        model.save(tmp_path / "own.safetensors")
    assert str(mistake.value) == (
        "the model cannot be saved: hasher 'plain' has no state() and restore(); add both to its class."
    )
    assert not (tmp_path / "own.safetensors").exists()


def test_a_folder_that_is_not_there_is_one_sentence(model, tmp_path):
    with pytest.raises(HarnessError, match=r"save .*gone/m.safetensors cannot be written: No such file or directory"):
        model.save(tmp_path / "gone" / "m.safetensors")


def set_in(content, **values):
    content.update(values)


def parameter(**values):
    return lambda said: said["parameters"].update({key.replace("_", "."): value for key, value in values.items()})


HOSTILE = {
    "newer format": ({"metadata": lambda said: set_in(said, format=2)}, "has format 2, and this version reads 1"),
    "no code length": ({"metadata": lambda said: said.pop("bits")}, "is damaged: bits: Field required"),
    "endless codes": (
        {"metadata": lambda said: set_in(said, bits=2**40)}, "bits: Input should be less than or equal to 65536"
    ),
    "unknown fact": ({"metadata": lambda said: set_in(said, run="rm")}, "run: Extra inputs are not permitted"),
    "unknown parameter": ({"metadata": parameter(hasher_rigde=1)}, "unknown parameter of hasher cca-itq 'rigde'"),
    "value out of bounds": ({"metadata": parameter(hasher_ridge=-1)}, "hasher.ridge=-1: expected float > 0"),
    "unknown objective": ({"metadata": lambda said: set_in(said, objective="os")}, "unknown objective 'os'"),
    "strange tensor": (
        {"tensors": lambda held: set_in(held, payload=torch.zeros(1))}, "holds 'payload', which is no tensor of a model"
    ),
    "tensor missing": ({"tensors": lambda held: held.pop("hasher.image.mean")}, "its tensors are none of hasher"),
    "no standardiser": (
        {"tensors": lambda held: held.pop("standardiser.text.mean")}, r"standardiser\.text must be a mean and a scale"
    ),
    "scale of 0": (
        {"tensors": lambda held: held["standardiser.image.scale"].zero_()}, r"standardiser\.image must be a mean and"
    ),
    "standardiser of another width": (
        {"tensors": lambda held: set_in(held, **{"standardiser.image.mean": torch.zeros(7, dtype=torch.float64)})},
        r"standardiser\.image must be a mean and",
    ),
    "trust of 2": ({"tensors": lambda held: held["trust"].fill_(2)}, r"trust must be \(n,\) numbers from 0 to 1"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_a_file_of_a_stranger_is_refused_in_one_sentence(saved, what):
    changes, said = HOSTILE[what]
    with pytest.raises(HarnessError, match=said):
        load_model(changed(saved, **changes))


def header_of(length, content=b"{}"):
    return struct.pack("<Q", length) + content


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no model of harness"), (b"PK\x03\x04" * 99, "is no model of harness"),
        (header_of(2**62), "is no model of harness"), (header_of(2), "is no model of harness"),
        (header_of(2, b"[]"), "is no model of harness"),
        (save({"a": torch.zeros(2)}, {METADATA: "[1]"}), "is no model of harness"),
        (save({"a": torch.zeros(2)}, {METADATA: "[" * 9999}), "is no model of harness"),
        (save({"a": torch.zeros(2)}), "is no model of harness"),
    ],
)  # fmt: skip
def test_another_file_is_no_model(tmp_path, content, said):
    file = tmp_path / "other.safetensors"
    file.write_bytes(content)
    with pytest.raises(HarnessError, match=said):
        load_model(file)


def test_a_file_that_was_cut_is_damaged(saved):
    saved.write_bytes(saved.read_bytes()[:-4])
    with pytest.raises(HarnessError, match=r"model .* is damaged"):
        load_model(saved)


def test_a_missing_file_and_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(HarnessError, match=r"model .*x\.safetensors: there is no such file\."):
        load_model(tmp_path / "x.safetensors")
    with pytest.raises(HarnessError, match=r"is no run folder: there is no record\.json in it\."):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("method", "words", "brings"),
    [
        ("cca-itq", ("--standardise", "feature"), {}),
        ("chnr", ("--epochs", "2", "--set", "hasher.hidden=32", "--noise", "0.3"), {"trusted": True}),
        ("duch-noisy", ("--epochs", "2", "--set", "hasher.hidden=32", "--threads", "2"), {}),
    ],
)
def test_the_model_of_a_run_makes_its_codes_again(cell, method, words, brings):
    made = cell(method, *words, **brings)
    for model in (
        model_of_run(made.stored),
        load(made.stored.folder.parents[3])[0].model(),
        load_model(made.stored.folder),
        load_model(made.stored.folder / "model.safetensors"),
    ):
        assert made.differing(model) == []
        assert np.array_equal(model.trust, made.arrays["trust"])
        assert set(model.curves) == ({"loss", "phase", "updates"} if method != "cca-itq" else set())
        assert model.row == made.stored.record.cell.row
    with pytest.raises(HarnessError, match=r"encode_image: image has 3 features for each item"):
        model.encode_image(np.zeros((2, 3)))


def test_a_model_of_a_run_can_be_saved_on_its_own(cell, tmp_path):
    made = cell("cca-itq")
    model_of_run(made.stored.folder).save(tmp_path / "own.safetensors")
    assert made.differing(load_model(tmp_path / "own.safetensors")) == []


def test_a_run_without_a_model_says_so(cell):
    made = cell("cca-itq")
    (made.stored.folder / "model.safetensors").unlink()
    with pytest.raises(HarnessError, match=f"run {made.stored.record.hash} has no model in"):
        load_model(made.stored.folder)


def test_a_file_with_changed_bytes_is_a_model_or_one_sentence(saved, pairs):
    content, draws, ends = saved.read_bytes(), np.random.default_rng(1), set()
    header = 8 + struct.unpack("<Q", content[:8])[0]
    for _ in range(40):
        changed = bytearray(content)
        changed[draws.integers(8, header)] = draws.choice(list(b'09-{}[]",:e'))
        saved.write_bytes(changed)
        try:
            with warnings.catch_warnings(action="ignore"):
                load_model(saved).encode_image(pairs["image"])
            ends.add("model")
        except HarnessError:
            ends.add("sentence")
    assert ends == {"model", "sentence"}


def test_a_model_beside_a_record_is_itself(cell, pairs):
    made = cell("cca-itq")
    model = fit("cca-itq", **pairs, bits=20)
    model.save(made.stored.folder / "model.safetensors")
    assert load_model(made.stored.folder / "model.safetensors").bits == 20
