"""One-file plugins as strangers would write them from hookspecs.py and interfaces.py alone."""

from __future__ import annotations

import json

import numpy as np
import pytest

MEAN_HASHER = '''
"""Signs of random projections of both modalities onto their trusted cross-covariance: a closed form in ten lines."""

from __future__ import annotations

import torch
from harness import Parameter, Recipe, hookimpl


class CrossCovariance:
    def __init__(self, strength=1.0):
        self.strength = strength

    def fit(self, pairs, trust, run):
        weight = trust.weight[:, None]
        cross = (pairs.image * weight).T @ pairs.text / len(pairs)
        u, s, v = torch.linalg.svd(cross, full_matrices=False)
        draw = torch.randn(len(s), run.n_bits, generator=run.generator("projection"), device=run.device)
        scaled = s.pow(self.strength)[:, None] * draw
        self.image_map, self.text_map = u @ scaled, v.T @ scaled
        run.report(phase="svd", epoch=1, epochs=1)

    def encode_image(self, image):
        return image @ self.image_map

    def encode_text(self, text):
        return text @ self.text_map


@hookimpl
def register_hashers(register):
    register("cross-covariance", CrossCovariance, summary="random projections of the cross-covariance")


@hookimpl
def register_methods(register):
    register("cross-covariance", Recipe(hasher="cross-covariance"), summary="closed form, no training")
'''

SMALL_LOSS = '''
"""Pairs with a small loss are trusted; the loss is watched epoch by epoch."""

from __future__ import annotations

import torch
from harness import Need, PairTrust, Phase, Recipe, hookimpl


class SmallLoss:
    def __init__(self, keep=0.5, memory=0.5):
        self.keep, self.memory = keep, memory
        self.mean = None

    def fit(self, pairs, run):
        return PairTrust(torch.ones(len(pairs), device=pairs.image.device))

    def observe(self, evidence, run):
        assert not evidence.pair_loss.requires_grad
        n = len(evidence.pair_loss)
        assert evidence.similarity(slice(0, 3)).shape == (3, n)
        assert float(evidence.similarity(slice(0, n)).abs().max()) < 1.001
        old = self.mean if self.mean is not None else evidence.pair_loss
        self.mean = self.memory * old + (1 - self.memory) * evidence.pair_loss
        self.last = evidence.epoch
        limit = self.mean.quantile(self.keep)
        return PairTrust((self.mean <= limit).float())


@hookimpl
def register_detectors(register):
    needs = Need.EPOCHS | Need.PAIR_LOSSES
    register("small-loss", SmallLoss, summary="the half of the pairs with the smaller loss", needs=needs)


PHASES = (Phase("together", 6),)


@hookimpl
def register_methods(register):
    for detector in ("small-loss", "none"):
        for learners in (1, 2):
            register(
                f"{detector}-{learners}",
                Recipe("contrastive", detector, "nt-xent", PHASES, learners=learners),
                summary="co-teaching, or the same alone",
            )
'''


SELECTIVE = '''
"""A hasher that cannot weigh pairs, and says what it was given."""

from __future__ import annotations

import torch
from harness import Recipe, hookimpl


class Selective:
    def fit(self, pairs, trust, run):
        n = len(pairs)
        views = [*pairs.image_views, *pairs.text_views]
        assert {len(part) for part in (pairs.text, pairs.trusted, trust.weight, *views)} == {n}
        self.n_bits = run.n_bits
        self.code = (n >> torch.arange(run.n_bits) & 1) * 2.0 - 1  # the number of pairs, readable in every code

    def encode_image(self, image):
        return self.code.expand(len(image), self.n_bits)

    encode_text = encode_image


@hookimpl
def register_hashers(register):
    register("selective", Selective, summary="counts its pairs", uses_weights=False)


@hookimpl
def register_methods(register):
    register("selective", Recipe(hasher="selective"), summary="counts its pairs")
'''

NOISY_LEARNER = '''
"""A learner that draws global random numbers wherever it can, as dropout does."""

from __future__ import annotations

import torch
from harness import Need, Phase, Recipe, hookimpl


class NoisyLearner:
    def __init__(self, batch_size=20):
        self.batch_size = batch_size

    def begin(self, pairs, phases, run):
        self.image_map = torch.randn(pairs.image.shape[1], run.n_bits)
        self.text_map = torch.randn(pairs.text.shape[1], run.n_bits)

    def step(self, batch, trust):
        self.image_map += torch.randn_like(self.image_map)
        return self.image_map.sum()

    def pair_losses(self, batch):
        return torch.rand(len(batch))

    def encode_image(self, image):
        return image @ self.image_map

    def encode_text(self, text):
        return text @ self.text_map


@hookimpl
def register_hashers(register):
    offers = Need.EPOCHS | Need.PAIR_LOSSES
    register("noisy", NoisyLearner, summary="random walk", offers=offers, phases=(Phase("walk", 3),))


@hookimpl
def register_methods(register):
    register("noisy", Recipe(hasher="noisy"), summary="random walk")
'''


@pytest.fixture
def plugin(tmp_path):
    def write(code: str, name: str = "my_plugin.py"):
        path = tmp_path / name
        path.write_text(code)
        return path

    return write


@pytest.fixture
def run(harness, features, tmp_path):
    """``run(method, plugin, ...)``: the record and the arrays of one cell."""

    def of(method: str, file, *words):
        size = () if method in ("cross-covariance", "selective", "noisy") else ("--set", "hidden=32")
        result = harness("run", "--method", method, "--plugin", file, "--features", features(), *size, *words, "--json")
        assert result.code == 0, result.err
        (record,) = result.json
        (path,) = tmp_path.glob(f"results/runs/*/*/{record['hash']}/arrays.npz")
        with np.load(path) as opened:
            return record, dict(opened)

    return of


def codes(arrays) -> bytes:
    return b"".join(arrays[name].tobytes() for name in sorted(arrays) if name.endswith("_codes"))


def test_closed_form_in_one_file_learns_something(run, plugin):
    record, arrays = run("cross-covariance", plugin(MEAN_HASHER))
    assert record["cell"]["hasher"] == "cross-covariance"
    assert record["cell"]["parameters"] == {"hasher.strength": 1.0}
    assert record["metrics"]["i2t"]["map"] > 0.5
    assert arrays["query_image_codes"].shape == (12, 8)


def test_closed_form_listens_to_its_parameter_its_seed_and_the_detector(run, plugin):
    file = plugin(MEAN_HASHER)
    found = {
        codes(run("cross-covariance", file, *words)[1])
        for words in (
            (),
            ("--set", "strength=0"),
            ("--seed", "1"),
            ("--noise", "0.8"),
            ("--noise", "0.8", "--detector", "oracle"),
        )
    }
    assert len(found) == 5


def test_any_detector_can_be_handed_to_a_strangers_hasher(run, plugin):
    noisy, _ = run("cross-covariance", plugin(MEAN_HASHER), "--noise", "0.9", "--trusted", "0.1")
    known, _ = run(
        "cross-covariance", plugin(MEAN_HASHER), "--noise", "0.9", "--trusted", "0.1", "--detector", "oracle"
    )
    assert known["metrics"]["i2t"]["map"] > noisy["metrics"]["i2t"]["map"]
    assert known["cell"]["granted"] == ["noise-mask"]
    assert noisy["cell"]["granted"] == []


def test_edited_plugin_is_really_run_again(run, plugin):
    before, _ = run("cross-covariance", plugin(MEAN_HASHER))
    after, _ = run("cross-covariance", plugin(MEAN_HASHER.replace("v.T @ scaled", "-v.T @ scaled")))
    assert after["hash"] != before["hash"]
    assert after["metrics"]["i2t"]["map"] < 0.3 < before["metrics"]["i2t"]["map"]
    assert after["cell"]["row"] == before["cell"]["row"]


def test_table_shows_the_edited_plugin_and_says_that_the_old_one_is_left_out(run, plugin, harness, tmp_path):
    run("cross-covariance", plugin(MEAN_HASHER))
    after, _ = run("cross-covariance", plugin(MEAN_HASHER.replace("v.T @ scaled", "-v.T @ scaled")))
    for path in tmp_path.glob("results/runs/*/*/*/record.json"):  # both finished within the same second
        record = json.loads(path.read_text())
        record["finished"] = (
            "2026-01-01T00:00:02+00:00" if record["hash"] == after["hash"] else "2026-01-01T00:00:01+00:00"
        )
        path.write_text(json.dumps(record))
    out = harness("table").out
    assert f"{after['metrics']['i2t']['map']:.3f}" in out
    assert "±" not in out
    assert "1 run made by earlier code" in out


def test_edited_recipe_is_not_averaged_with_the_old_one(run, plugin, harness):
    # once: the row keeps its name and the components keep their source, so both runs count as seeds of one method.
    for epochs in ("6", "9"):
        run("none-1", plugin(SMALL_LOSS.replace('"together", 6', f'"together", {epochs}')))
    assert "±" not in harness("table").out


def test_detector_that_watches_losses_works_with_a_hasher_that_reports_them(run, plugin):
    file = plugin(SMALL_LOSS)
    record, arrays = run("duch-noisy", file, "--detector", "small-loss", "--epochs", "5", "--noise", "0.4")
    assert record["cell"]["row"] == "duch-noisy [detector=small-loss, epochs=5, hasher.hidden=32]"
    assert arrays["curve_detector_epoch"].tolist() == [1, 2, 3, 4, 5]
    assert ((arrays["curve_detector_auroc"] >= 0) & (arrays["curve_detector_auroc"] <= 1)).all()
    assert set(arrays["trust"]) == {0.0, 1.0}
    assert arrays["trust"].mean() == pytest.approx(0.5)
    assert record["metrics"]["detector"]["auroc"] == pytest.approx(arrays["curve_detector_auroc"][-1])
    _, plain_arrays = run("duch-noisy", file, "--epochs", "5", "--noise", "0.4")
    assert codes(arrays) != codes(plain_arrays)
    assert "curve_detector_epoch" not in plain_arrays


def test_watching_alone_changes_nothing(run, plugin):
    idle = SMALL_LOSS.replace("return PairTrust((self.mean <= limit).float())", "torch.rand(7); return None")
    _, watched = run("duch-noisy", plugin(idle), "--detector", "small-loss", "--epochs", "3", "--noise", "0.4")
    _, plain = run("duch-noisy", plugin(idle), "--epochs", "3", "--noise", "0.4")
    assert codes(watched) == codes(plain)


def test_evidence_leaves_the_random_numbers_of_the_training_alone(run, plugin, tmp_path):
    watcher = plugin(SMALL_LOSS.replace("return PairTrust((self.mean <= limit).float())", "return None"), "watcher.py")
    _, plain = run("noisy", plugin(NOISY_LEARNER))
    _, watched = run("noisy", plugin(NOISY_LEARNER), "--plugin", watcher, "--detector", "small-loss")
    assert codes(watched) == codes(plain)
    assert len(plain["curve_loss"]) == 3


def test_hasher_that_cannot_weigh_gets_the_trusted_half_and_the_record_says_so(run, plugin):
    def pairs_seen(arrays):
        bits = np.unpackbits(arrays["query_image_codes"][0], bitorder="little")[:16]
        return int((bits.astype(int) << np.arange(16)).sum())

    record, arrays = run("selective", plugin(SELECTIVE), "--noise", "0.4", "--detector", "oracle")
    assert pairs_seen(arrays) == 60 - 19
    assert any("fitted on the 41 of 60 pairs" in note for note in record["notes"])
    record, arrays = run("selective", plugin(SELECTIVE), "--noise", "0.4")
    assert pairs_seen(arrays) == 60
    assert not any("fitted on" in note for note in record["notes"])


@pytest.mark.parametrize("method", ["cca-itq", "random-codes"])
def test_detector_that_watches_losses_is_refused_by_a_closed_form(harness, features, plugin, tmp_path, method):
    words = ("--features", features(), "--plugin", plugin(SMALL_LOSS), "--detector", "small-loss")
    result = harness("run", "--method", method, *words)
    assert result.code == 2
    assert (
        f"Error: detector 'small-loss' watches a training in epochs, and hasher '{method}' is fitted in one step"
        in result.err
    )
    assert not (tmp_path / "results").exists()


def test_co_teaching_trains_two_learners_that_exchange_trust(run, plugin):
    file = plugin(SMALL_LOSS)
    _, alone_arrays = run("small-loss-1", file, "--noise", "0.4")
    _, together_arrays = run("small-loss-2", file, "--noise", "0.4")
    assert codes(alone_arrays) != codes(together_arrays)
    assert alone_arrays["updates"] == 6
    assert together_arrays["updates"] == 12, "the cost of both learners counts"
    # Up to the first exchange both are alike: the second learner disturbs neither batches nor initial values.
    assert together_arrays["curve_loss"][0] == alone_arrays["curve_loss"][0]
    assert together_arrays["curve_loss"][1] != alone_arrays["curve_loss"][1]


def test_second_learner_leaves_the_first_alone_when_there_is_no_trust_to_exchange(run, plugin):
    file = plugin(SMALL_LOSS)
    _, alone = run("none-1", file, "--noise", "0.4")
    _, together = run("none-2", file, "--noise", "0.4")
    assert codes(together) == codes(alone)


def test_co_teaching_is_refused_by_a_hasher_that_cannot_be_doubled(harness, features, plugin):
    code = SMALL_LOSS.replace('Recipe("contrastive", detector, "nt-xent", PHASES', 'Recipe("cca-itq", "none", None, ()')
    result = harness("run", "--method", "none-2", "--features", features(), "--plugin", plugin(code))
    assert result.code == 2
    assert "hasher 'cca-itq' cannot be doubled" in result.err
