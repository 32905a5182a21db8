"""Plugins as new users would write them, with one mistake each: the mistake is caught, and the report explains it."""

from __future__ import annotations

import pytest

from harness.errors import what_and_where
from harness.testing import bound_checks, subjects_of

GOOD = """
import gc
import random
import sys
import time

import numpy as np
import torch

from harness import Need, PairTrust, Parameter, Phase, Recipe, hookimpl


class Mine:
    def fit(self, pairs, trust, run):
        self.n_bits = run.n_bits
        weight = trust.weight[:, None]
        cross = (pairs.image * weight).T @ pairs.text / len(pairs)
        u, s, v = torch.linalg.svd(cross, full_matrices=False)
        draw = s[:, None] * torch.randn(len(s), run.n_bits, generator=run.generator("draw"))
        self.image_map, self.text_map = u @ draw, v.T @ draw
        self.seen = 0
        self.joint = pairs.image @ self.image_map + pairs.text @ self.text_map
        self.kept = {row.numpy().tobytes(): code for row, code in zip(pairs.image, self.joint)}
        # PEEK

    def encode_image(self, image):
        codes = image @ self.image_map
        return codes  # IMAGE

    def encode_text(self, text):
        return text @ self.text_map + self.seen

    def state(self):
        return {"image": self.image_map, "text": self.text_map}

    def restore(self, state, run):
        self.image_map, self.text_map = state["image"], state["text"]
        self.seen = 0


@hookimpl
def register_hashers(register):
    register("mine", Mine, summary="mine")


@hookimpl
def register_methods(register):
    register("mine", Recipe("mine"), summary="mine")
"""

PEEK = "# PEEK"
IMAGE = "return codes  # IMAGE"

GC_PEEK = """
        from harness.data.table import FeatureTable
        for found in gc.get_objects():
            if type(found) is FeatureTable:
                self.image_map = self.image_map * (1 if int(found.labels[0]) % 2 else -1) * (found.labels[1] + 1)
                self.image_map[:, int(found.labels[2])] *= -1
"""
FRAME_PEEK = """
        frame = sys._getframe()
        while frame is not None:
            if "data" in frame.f_locals and hasattr(frame.f_locals["data"], "plan"):
                wrong = torch.from_numpy(frame.f_locals["data"].plan.wrong.copy())
                self.image_map = self.image_map * (2.0 * wrong[: self.n_bits] - 1)
            frame = frame.f_back
"""
QUERY_PEEK = """
        frame = sys._getframe()
        while frame is not None:
            if "table" in frame.f_locals and hasattr(frame.f_locals["table"], "image"):
                everything = torch.from_numpy(frame.f_locals["table"].image)
                self.image_map = self.image_map * everything.mean(0)[:, None]
            frame = frame.f_back
"""

# name: (what is replaced, by what, check that must fail, words of its report)
MISTAKES = {
    "labels through gc": (PEEK, GC_PEEK, "no-labels", ["labels were permuted", "Need.CLASS_LABELS"]),
    "mask through frames": (PEEK, FRAME_PEEK, "no-mask", ["false noise mask", "bits differ"]),
    "database through frames": (PEEK, QUERY_PEEK, "no-queries-or-database", ["replaced", "bits differ"]),
    "whatever lies in memory": (PEEK, GC_PEEK, "trains-apart", ["holds the training pairs alone"]),
    "global seed": (PEEK, "torch.manual_seed(0)", "global-seed-untouched", ["torch", "run.generator"]),
    "numpy's global seed": (PEEK, "np.random.seed(3)", "global-seed-untouched", ["numpy.random.seed"]),
    "seed in the constructor": (
        "    def fit(self", "    def __init__(self):\n        random.seed(1)\n\n    def fit(self",
        "global-seed-untouched", ["random.seed", "__init__"],
    ),
    "returns numpy": (IMAGE, "return codes.numpy()", "trains", ["numpy.ndarray", "torch tensor"]),
    "returns bits": (IMAGE, "return codes > 0", "dtypes", ["torch.bool", "real numbers"]),
    "wrong dtype": ("u @ draw,", "(u @ draw).double(),", "trains", ["RuntimeError", "dtype", "mine.py, line 2"]),
    "wrong shape": (IMAGE, "return codes[:, :-1]", "trains", ["shape (64, 15)", "run.n_bits"]),
    "batch statistics": (IMAGE, "return codes - codes.mean(0)", "any-batch", ["another output alone", "eval()"]),
    "dropout": (IMAGE, "return torch.nn.functional.dropout(codes)", "any-batch", ["another output", "dropout"]),
    "a query sees its partner": (
        IMAGE, "self.seen = codes.mean(0)\n        return codes",
        "one-modality", ["encode_text", "after encode_image was called"],
    ),
    "codes of the training": (
        IMAGE, "return self.joint if len(codes) == len(self.joint) else codes",
        "training-items", ["training items another output", "codes kept from fit"],
    ),
    "codes of the training, by item": (
        IMAGE, """keys = [row.numpy().tobytes() for row in image]
        return torch.stack([self.kept.get(key, code) for key, code in zip(keys, codes)])""",
        "training-items", ["turns", "looked up"],
    ),
    "constant features": (
        PEEK, "self.image_map = self.image_map / pairs.image.std()", "constant-features", ["NaN"],
    ),
    "whole bytes only": ("run.n_bits, generator", "run.n_bits // 8 * 8, generator", "odd-and-long-codes", ["33 bits"]),
    "weights ignored": ("weight = trust.weight[:, None]", "weight = 1.0", "weights-count", ["uses_weights=False"]),
    "state without tensors": ('"text": self.text_map}', '"text": [1, 2]}', "state-restores", ["list", "'text'"]),
    "state forgets": (
        'state["image"], state["text"]', 'state["image"], 0 * state["text"]', "state-restores", ["bits differ"],
    ),
    "no restore": ("def restore(", "def restoer(", "state-restores", ["restore"]),
    "bits as wide as features": (
        "u @ draw,", "torch.cat([u, u], 1)[:, :16] @ torch.eye(16),", "more-bits-than-features", ["16"],
    ),
    "NaN without noise": (
        PEEK, "self.image_map = self.image_map / (trust.weight.std() > -1) / float(len(pairs) != 9)", "tiny", ["tiny"],
    ),
    "slow import": ("class Mine", "time.sleep(1.2)\n\n\nclass Mine", "quick-to-load", ["1.", "every command"]),
    "seed at import": ("class Mine", "torch.manual_seed(0)\n\n\nclass Mine", "import-changes-nothing", ["torch"]),
    "prints at import": ("class Mine", "print('hello')\n\n\nclass Mine", "import-changes-nothing", ["hello"]),
    "summary forgotten": ('Mine, summary="mine"', 'Mine, summary=""', "registration-is-complete", ["summary"]),
    "default beyond its limit": (
        'Mine, summary="mine"', 'Mine, summary="mine", parameters=[Parameter("rate", 0.0, "r", above=0)]',
        "registration-is-complete", ["rate"],
    ),
    "parameter that the class lacks": (
        'Mine, summary="mine"', 'Mine, summary="mine", parameters=[Parameter("rate", 1.0, "r")]', "contract", ["rate"],
    ),
    "learner without step": (
        'Mine, summary="mine"', 'Mine, summary="mine", offers=Need.EPOCHS, phases=(Phase("all", 2),)', "contract",
        ["no method begin", "Learner"],
    ),
    "hook misspelt": ("def register_hashers", "def register_hasher", "loads", ["did you mean register_hashers"]),
    "exception at import": ("class Mine", "1 / 0\n\n\nclass Mine", "loads", ["ZeroDivisionError", "line"]),
    "not decorated": ("@hookimpl\n", "", "loads", ["@hookimpl"]),
    "written for a newer API": ("class Mine", "harness_api = 99\n\n\nclass Mine", "loads", ["API 99", "update"]),
}  # fmt: skip


def asked(tmp_path, code: str, check: str):
    """The outcomes of one check of a plugin, by subject."""
    file = tmp_path / "mine.py"
    file.write_text(code)
    return [bound.outcome() for bound in bound_checks(subjects_of(file), only=[check])]


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_is_caught_and_explained(tmp_path, name):
    old, new, check, words = MISTAKES[name]
    assert old in GOOD
    outcomes = [found for found in asked(tmp_path, GOOD.replace(old, new), check) if found.status == "failed"]
    assert outcomes, f"{check} did not notice"
    told = f"{outcomes[0].check} {outcomes[0].reason} {outcomes[0].hint}"
    assert all(word in told for word in words), told
    assert outcomes[0].hint or check in ("tiny", "more-bits-than-features"), "no hint"


@pytest.mark.parametrize("check", sorted({mistake[2] for mistake in MISTAKES.values()}))
def test_the_same_plugin_without_a_mistake_passes(tmp_path, check):
    outcomes = asked(tmp_path, GOOD, check)
    assert outcomes
    assert not [found for found in outcomes if found.status in ("failed", "warning")]


LEARNER = """
import torch
from harness import Need, Phase, hookimpl

class Net:
    batch_size = 16
    smallest_batch = 2
    shared = []

    def begin(self, pairs, phases, run):
        self.nets = [self.net(d, run.n_bits) for d in (pairs.image.shape[1], pairs.text.shape[1])]
        self.optimiser = torch.optim.Adam([p for net in self.nets for p in net.parameters()], lr=0.01)

    def net(self, d, n_bits):
        return torch.nn.Sequential(torch.nn.Linear(d, n_bits), torch.nn.BatchNorm1d(n_bits), torch.nn.Dropout(0.3))

    def losses(self, batch):
        return (self.nets[0](batch.image) - self.nets[1](batch.text)).square().sum(1)

    def step(self, batch, trust):
        for net in self.nets:
            net.train()
        loss = (trust.weight * self.losses(batch)).sum()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss.detach()

    def pair_losses(self, batch):
        for net in self.nets:
            net.eval()
        return self.losses(batch)

    def encode_image(self, image):
        return self.nets[0].eval()(image)

    def encode_text(self, text):
        return self.nets[1].eval()(text)

@hookimpl
def register_hashers(register):
    register("net", Net, summary="two layers", offers=Need.EPOCHS | Need.PAIR_LOSSES | Need.TWO_LEARNERS,
             phases=(Phase("all", 4),), parameters=())
"""


@pytest.mark.parametrize(
    ("old", "new", "check", "words"),
    [
        ("    smallest_batch = 2\n", "", "leftover-pair", ["1 value per channel", "smallest_batch"]),
        ("        for net in self.nets:\n            net.eval()\n        return", "        for net in self.nets:\n"
         "            net.train()\n        return", "pair-losses", ["asked"]),
        ("return self.losses(batch)", "return self.losses(batch).mean()", "pair-losses", ["()", "(b,)"]),
        ("return self.losses(batch)", "return self.losses(batch).detach()", "pair-losses", ["no gradient"]),
        ("return self.losses(batch)", "return self.losses(batch).log() / 0", "pair-losses", ["infinite"]),
        ("return self.losses(batch)", "return self.losses(batch) * torch.rand(len(batch))", "pair-losses", ["twice"]),
        ("self.optimiser = torch", "self.shared.extend(self.nets); self.nets = self.shared\n"
         "        self.optimiser = torch", "two-learners", ["second copy", "in self"]),
    ],
)  # fmt: skip
def test_mistakes_of_learners_are_caught_and_explained(tmp_path, old, new, check, words):
    assert old in LEARNER
    outcomes = [found for found in asked(tmp_path, LEARNER.replace(old, new), check) if found.status == "failed"]
    assert outcomes
    told = f"{outcomes[0].reason} {outcomes[0].hint}"
    assert all(word in told for word in words), told


@pytest.mark.parametrize("check", ["leftover-pair", "pair-losses", "two-learners", "one-modality", "training-items"])
def test_the_same_learner_without_a_mistake_passes(tmp_path, check):
    (found,) = asked(tmp_path, LEARNER, check)
    assert found.status == "ok", found.reason


def test_closed_forms_are_told_what_follows_pairs_of_weight_nought(tmp_path):
    old = "weight = trust.weight[:, None]"
    unweighted_mean = "weight = trust.weight[:, None] - 0.0 * pairs.image.sum() + pairs.text.mean().abs()"
    for code, status in ((GOOD, "ok"), (GOOD.replace(old, unweighted_mean), "warning")):
        (found,) = asked(tmp_path, code, "weight-nought")
        assert found.status == status, found.reason


DETECTOR = """
import torch
from harness import Need, PairTrust, hookimpl

class Doubt:
    def fit(self, pairs, run):
        return PairTrust(torch.full((len(pairs),), 0.5))

@hookimpl
def register_detectors(register):
    register("doubt", Doubt, summary="half")
"""
WEIGHT = "PairTrust(torch.full((len(pairs),), 0.5))"


@pytest.mark.parametrize(
    ("new", "check", "words"),
    [
        ("torch.full((len(pairs),), 0.5)", "trust", ["PairTrust"]),
        ("PairTrust(torch.full((len(pairs),), 0.5).double())", "trust", ["float64", "weight.float()"]),
        ("PairTrust(torch.full((len(pairs),), 2.0))", "trains", ["outside [0, 1]"]),
        ("PairTrust(torch.full((3,), 0.5))", "trains", ["shape (40,)"]),
        ("PairTrust(pairs.granted[Need.NOISE_MASK].float())", "trains", ["KeyError", "mine.py"]),
        ("PairTrust(pairs.trusted.float() / pairs.trusted.sum().clamp(max=1))", "nobody-trusted", ["Need.TRUSTED"]),
        ("PairTrust(torch.rand(len(pairs), generator=torch.Generator().manual_seed(id(self) % 99991)))",
         "same-seed-same-codes", ["trust"]),
    ],
)  # fmt: skip
def test_mistakes_of_detectors_are_caught_and_explained(tmp_path, new, check, words):
    outcomes = [found for found in asked(tmp_path, DETECTOR.replace(WEIGHT, new), check) if found.status == "failed"]
    assert outcomes
    told = f"{outcomes[0].reason} {outcomes[0].hint}"
    assert all(word in told for word in words), told


OBJECTIVE = """
import torch
from harness import hookimpl

class Loss:
    def __call__(self, z_image, z_text, trust):
        return trust.weight * (z_image - z_text).square().sum(1)

@hookimpl
def register_objectives(register):
    register("loss", Loss, summary="distance")
"""


@pytest.mark.parametrize(
    ("old", "new", "check", "words"),
    [
        ("trust.weight * (z_image - z_text).square().sum(1)",
         "(trust.weight * (z_image - z_text).square().sum(1)).mean()", "one-loss-per-pair", ["returned ()"]),
        (".sum(1)", ".sum(1).cumsum(0)", "order-of-pairs", ["order"]),
        ("trust.weight * ", "", "trust-counts", ["trust"]),
        ("(z_image - z_text)", "(z_image.detach() - z_text)", "gradients", ["image"]),
        (".square().sum(1)", ".square().sum(1).log()", "extreme-outputs", ["infinite"]),
    ],
)  # fmt: skip
def test_mistakes_of_objectives_are_caught(tmp_path, old, new, check, words):
    outcomes = asked(tmp_path, OBJECTIVE.replace(old, new), check)
    told = " ".join(found.reason for found in outcomes if found.status in ("failed", "warning"))
    assert told
    assert all(word in told for word in words), told


METRIC = """
import numpy as np
from harness import hookimpl

def share(histogram):
    total = histogram.total_relevant
    return np.where(total > 0, histogram.relevant[:, 0] / np.maximum(total, 1), np.nan)

@hookimpl
def register_metrics(register):
    register("share", share, summary="share", definition="share at distance 0")
"""


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        ("np.nan)", "np.nan).mean()", "one-value-per-query"),
        ("np.nan)", "np.nan).astype('float32')", "one-value-per-query"),
        ("np.maximum(total, 1)", "total.max()", "queries-alone"),
        ("def share(histogram)", "def share(histogram, cutoff)", "contract"),
        ('definition="share at distance 0"', 'definition=""', "registration-is-complete"),
    ],
)
def test_mistakes_of_metrics_are_caught(tmp_path, old, new, check):
    assert [found for found in asked(tmp_path, METRIC.replace(old, new), check) if found.status == "failed"]


PROTOCOL = """
import numpy as np
from harness import hookimpl

def draw(pairs, rate):
    source = np.arange(len(pairs))
    wrong = pairs.untrusted_order[: round(rate * len(pairs.untrusted_order))]
    source[wrong] = np.roll(wrong, 1)
    return source

@hookimpl
def register_protocols(register):
    register("draw", draw, summary="a circle")
"""


@pytest.mark.parametrize(
    ("old", "new", "check", "words"),
    [
        ("np.roll(wrong, 1)", "np.random.permutation(wrong)", "noise-is-seeded", ["each time"]),
        ("round(rate", "3 + round(rate", "noise-rate", ["rate 0"]),
        ("pairs.untrusted_order[:", "pairs.trusted_first_order[:", "noise-rate", ["touches_trusted"]),
        ("return source", "return source[:-1]", "noise-rate", ["must return"]),
    ],
)
def test_mistakes_of_noise_protocols_are_caught(tmp_path, old, new, check, words):
    outcomes = [found for found in asked(tmp_path, PROTOCOL.replace(old, new), check) if found.status == "failed"]
    assert outcomes
    assert all(word in outcomes[0].reason for word in words), outcomes[0].reason


DATASET = """
from pathlib import Path

import numpy as np
from harness import hookimpl

READINGS = Path(__file__).with_name("readings")

class Pictures:
    def __init__(self, time):
        self.time = time

    def __len__(self):
        return 4

    def __getitem__(self, index):
        from PIL import Image
        return Image.new("RGB", (8, 8), (index, 0, 0))

    def fingerprint(self, index):
        return f"red-{index}"

def read(card, root):
    from harness.data.raw import RawDataset
    time = len(READINGS.read_text()) if READINGS.exists() else 0
    READINGS.write_text("x" * (time + 1))
    captions = [f"picture {index}" for index in range(4)]
    return RawDataset("reds", Pictures(time), captions, np.arange(4), np.arange(4) % 2, list("abcd"))

@hookimpl
def register_readers(register):
    register("reds", read, summary="red pictures")

@hookimpl
def register_datasets(register):
    register(Path(__file__).with_name("reds.toml"))
"""

REDS = """
name = "reds"
title = "Red pictures"
paper = "this test"
licence = "MIT"
reader = "reds"
labels = "single"
classes = 2
images = 4
captions_per_image = 1
image_size = "8 x 8"

[backbones]
image = "handcrafted"
text = "tfidf-svd"
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("", "", ""),
        ("np.arange(4) % 2", "(np.arange(4) + time) % 2", "captions or labels differ between two readings"),
        ('f"picture {index}"', 'f"picture {index} of {time}"', "captions or labels differ between two readings"),
        ('f"red-{index}"', 'f"red-{index}-{self.time}"', "fingerprints of images differ between two readings"),
        ('f"red-{index}"', '"red"', "all images have the same fingerprint"),
    ],
)
def test_data_that_differ_between_two_readings_are_caught_with_two_readings(tmp_path, old, new, words):
    (tmp_path / "reds.toml").write_text(REDS)
    file = tmp_path / "mine.py"
    file.write_text(DATASET.replace(old, new) if old else DATASET)
    checks = bound_checks(subjects_of(file), only=["reads", "reads-the-same-again"])
    found = {bound.check.name: bound.outcome() for bound in checks}
    assert found["reads"].status == "ok", found["reads"].reason
    assert found["reads-the-same-again"].status == ("failed" if words else "ok")
    assert words in found["reads-the-same-again"].reason
    assert (tmp_path / "readings").read_text() == "xx"


def test_an_error_is_placed_in_the_plugins_own_file(tmp_path):
    file = tmp_path / "deep.py"
    file.write_text("import json\ndef f():\n    return json.loads('{')\n")
    space: dict = {}
    exec(compile(file.read_text(), str(file), "exec"), space)
    with pytest.raises(ValueError, match="Expecting") as caught:
        space["f"]()
    assert what_and_where(caught.value, file).endswith(f"({file}, line 3)")


@pytest.mark.parametrize(
    ("old", "new", "failed"),
    [
        ("def fit(self, pairs, trust, run)", "def fit(self, pairs, run)", "hasher mine: contract"),
        ("self.n_bits = run.n_bits", "self.n_bits = run.bits", "hasher mine: trains"),
        ("import gc", "import gc gc", "plugin mine: loads"),
    ],
)
def test_one_mistake_is_one_failure_and_what_stands_on_it_is_skipped(tmp_path, old, new, failed):
    assert old in GOOD
    file = tmp_path / "mine.py"
    file.write_text(GOOD.replace(old, new))
    checks = list(bound_checks(subjects_of(file), slow=False))
    outcomes = [bound.outcome() for bound in checks]
    assert [f"{found.subject}: {found.check}" for found in outcomes if found.status == "failed"] == [failed]
    check = failed.rpartition(" ")[2]
    reasons = {found.reason for found in outcomes if found.status == "skipped" and "failed" in found.reason}
    if failed.startswith("plugin"):
        assert reasons == {"loads failed"}
    else:
        assert reasons == {f"{check} failed", f"{check} of hasher mine failed"}
        assert {bound.check.name for bound in checks if bound.subject.kind == "method"} >= {"recipe", "trains"}
        assert [found.status for found in outcomes if found.check in ("recipe", "registration-is-complete")] == [
            "ok"
        ] * 3


def test_a_check_asked_alone_fails_by_itself(tmp_path):
    outcomes = asked(tmp_path, GOOD.replace("def fit(self, pairs, trust, run)", "def fit(self, pairs, run)"), "dtypes")
    assert [found.status for found in outcomes] == ["failed", "failed"]


def test_a_wrong_signature_is_told_with_the_right_one(tmp_path):
    (found,) = asked(
        tmp_path, GOOD.replace("def fit(self, pairs, trust, run)", "def fit(self, pairs, run)"), "contract"
    )
    assert found.reason == "Mine.fit(self, pairs, run) cannot be called as fit(pairs, trust, run)."


@pytest.mark.parametrize(
    ("head", "hint"),
    [
        ("def f(:", "mend the line"),
        ("import nothing_of_that_name", "install the package"),
        ("1 / 0", "belongs into the class"),
        ("from harness import hookimpl\n@hookimpl\ndef register_hashes(register): ...", "lists all hooks"),
    ],
)
def test_the_hint_fits_what_keeps_a_plugin_from_loading(tmp_path, head, hint):
    (found,) = [found for found in asked(tmp_path, head, "loads") if found.status == "failed"]
    assert hint in found.hint
