"""What makes each noisy-correspondence detector the real one, on learners small enough to know everything of."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from conftest import feature_arrays
from harness_plugins.noisy_correspondence.agreement import match_probability, square_blocks
from harness_plugins.noisy_correspondence.canonical_consistency import CanonicalConsistency
from harness_plugins.noisy_correspondence.evidential import EvidentialDivision, belief, evidence_of, uncertainty
from harness_plugins.noisy_correspondence.loss_mixture import BetaLosses, GaussianLosses, predicted_match
from harness_plugins.noisy_correspondence.meta_similarity import (
    MetaNetwork,
    MetaSimilarity,
    leaves,
    meta_gradient,
    similarity_vector,
)
from harness_plugins.noisy_correspondence.self_refine import SelfRefiningCorrespondence
from harness_plugins.noisy_correspondence.shared_space import SharedSpaceSimilarity
from harness_plugins.noisy_correspondence.structure_consistency import StructureConsistency
from reference.cell import REGISTRY, cell_data, fit, probe_codes, small_method
from sklearn.metrics import roc_auc_score

from harness.errors import HarnessError
from harness.plugin.interfaces import Evidence, Need, TrainingPairs
from harness.runtime.context import RunContext

CPU = torch.device("cpu")
RUN = RunContext(8, CPU)
CCA = {"directions": 8, "ridge": 1.0, "rounds": 3, "folds": 5, "groups": "mismatched"}
STRUCTURE = {
    "relation": "rows", "temperature": 0.1, "rounds": 2, "groups": "mismatched", "anchors": 4096, "sure": 0.1,
    "cross_modal": False, "momentum": 0.7, "match_temperature": 0.07, "block": 64,
}  # fmt: skip
LOSSES = {"warm_up": 1, "noisy_after": 3, "margin": 0.2, "block": 64, "guard": 0.05, "co_teaching": False}
REFINE = {"frozen": 2, "momentum": 0.8, "temperature": 0.05, "threshold": 0.1, "block": 64, "guard": 0.0}
DIVISION = {"warm_up": 1, "temperature": 0.1, "block": 64, "weights": "division", "guard": 0.0}


def views(n: int = 300, wrong: float = 0.4, seed: int = 0, d: int = 24, shared: int = 10):
    """Two views of one latent vector; a share of the captions is of other rows."""
    random = np.random.default_rng(seed)
    latent = random.normal(size=(n, shared))
    image = latent @ random.normal(size=(shared, d)) + 0.7 * random.normal(size=(n, d))
    text = latent @ random.normal(size=(shared, d - 4)) + 0.7 * random.normal(size=(n, d - 4))
    mask = np.zeros(n, dtype=bool)
    mask[: round(wrong * n)] = True
    mask = mask[random.permutation(n)]
    moved = np.flatnonzero(mask)
    text[moved] = text[np.roll(moved, 1)]
    pairs = TrainingPairs(torch.from_numpy(image).float(), torch.from_numpy(text).float())
    return pairs, mask


def evidence(similarity: torch.Tensor, loss: torch.Tensor | None = None, epoch: int = 5, phase: str = "main"):
    return Evidence(epoch, phase, loss, lambda rows: similarity[rows])


def learned(n: int = 200, wrong: float = 0.4, seed: int = 0):
    """Cosines and losses as a learner has them after its warm-up: right pairs near .8, all others near 0."""
    random = torch.Generator().manual_seed(seed)
    similarity = 0.15 * torch.randn(n, n, generator=random)
    mask = torch.rand(n, generator=random) < wrong
    own = 0.8 + 0.08 * torch.randn(n, generator=random)
    similarity.diagonal().copy_(torch.where(mask, similarity.diagonal(), own))
    return similarity.clamp(-1, 1), mask.numpy(), 2 - similarity.diagonal()


# -- before training


@pytest.mark.parametrize("wrong", [0.2, 0.5, 0.8])
def test_canonical_consistency_finds_wrong_pairs_and_knows_how_sure_it_is(wrong):
    pairs, mask = views(500, wrong)
    weight = CanonicalConsistency(**CCA).fit(pairs, RUN).weight.numpy()
    assert roc_auc_score(mask, -weight) > 0.93
    assert np.mean((weight - ~mask) ** 2) < 0.1


def test_cross_fitting_is_what_bears_many_wrong_pairs():
    pairs, mask = views(240, 0.8, d=40)
    scores = {
        folds: roc_auc_score(
            mask, -CanonicalConsistency(**{**CCA, "folds": folds, "ridge": 0.05}).fit(pairs, RUN).weight
        )
        for folds in (1, 5)
    }
    assert scores[5] > scores[1] + 0.05


def test_structure_finds_wrong_pairs_by_rows_and_by_anchors():
    pairs, mask = views(400, 0.3)
    for changed in ({}, {"relation": "anchors"}, {"groups": "gaussian"}, {"temperature": 0.0}, {"anchors": 100}):
        weight = StructureConsistency(**{**STRUCTURE, **changed}).fit(pairs, RUN).weight
        assert roc_auc_score(mask, -weight) > 0.75, changed


def test_structure_with_the_learner_takes_the_smaller_of_both():
    pairs, _ = views(128, 0.3)
    detector = StructureConsistency(**{**STRUCTURE, "cross_modal": True})
    before = detector.fit(pairs, RUN).weight
    similarity, _, _ = learned(128)
    after = detector.observe(evidence(similarity), RUN).weight
    match = torch.cat([match_probability(block, 0.07) for _, block in square_blocks(evidence(similarity), 128, 64)])
    torch.testing.assert_close(after, torch.minimum(before, 0.7 * match + 0.3))
    assert StructureConsistency(**STRUCTURE).observe is not None
    silent = StructureConsistency(**STRUCTURE)
    silent.fit(pairs, RUN)
    assert silent.observe(evidence(similarity), RUN) is None


def test_shared_space_similarity_finds_wrong_pairs_and_refuses_two_spaces():
    pairs, mask = views(300, 0.3)
    same = TrainingPairs(
        pairs.image, pairs.image + 0.5 * torch.randn(300, 24, generator=torch.Generator().manual_seed(0))
    )
    moved = torch.from_numpy(np.flatnonzero(mask))
    same.text[moved] = same.text[moved.roll(1)]
    weight = SharedSpaceSimilarity(groups="mismatched").fit(same, RUN).weight
    assert roc_auc_score(mask, -weight) > 0.95
    with pytest.raises(HarnessError, match=r"24 and 20 numbers"):
        SharedSpaceSimilarity(groups="mismatched").fit(pairs, RUN)


# -- NCR


@pytest.mark.parametrize("kind", [GaussianLosses, BetaLosses])
def test_loss_mixture_weighs_by_the_posterior_of_the_small_losses(kind):
    similarity, mask, loss = learned()
    detector = kind(**LOSSES)
    detector.fit(views(200)[0], RUN)
    weight = detector.observe(evidence(similarity, loss), RUN).weight.numpy()
    assert roc_auc_score(mask, -weight) > 0.99
    assert weight[~mask].mean() > 0.95
    assert weight[mask].mean() < 0.05


def test_targets_are_recast_as_in_ncr_and_pairs_called_wrong_come_in_late():
    similarity, _, loss = learned(64)
    detector = GaussianLosses(**{**LOSSES, "warm_up": 2})
    detector.fit(views(64)[0], RUN)
    assert detector.observe(evidence(similarity, loss, 1), RUN) is None, "still warming up"
    early, late = (detector.observe(evidence(similarity, loss, epoch), RUN) for epoch in (4, 5))
    predicted = predicted_match(similarity, 0.2)
    right = early.weight > 0.5
    assert right.any()
    assert not right.all()
    torch.testing.assert_close(early.target[right], (early.weight + (1 - early.weight) * predicted)[right])
    assert early.target[~right].tolist() == [0.0] * int((~right).sum())
    torch.testing.assert_close(late.target[~right], predicted[~right])


def test_prediction_by_the_definition():
    similarity, _, _ = learned(23)
    s, n = similarity.double().numpy(), 23
    left = []
    for i in range(n):
        caption = sum(max(0, 0.2 + s[i, j] - s[i, i]) for j in range(n) if j != i) / n
        image = sum(max(0, 0.2 + s[j, i] - s[i, i]) for j in range(n) if j != i) / n
        left.append(min(max(0.2 - (caption + image) / 2, 0), 0.2))
    largest = np.mean(sorted(left)[-(n // 10 + 1) :])
    np.testing.assert_allclose(
        predicted_match(similarity, 0.2).numpy(), np.clip(np.array(left) / largest, 0, 1), atol=1e-6
    )


def codes_of_ncr(**settings):
    method = small_method("ncr-hash", epochs=12, settings={f"detector.{key}": value for key, value in settings.items()})
    fitted = fit(method, cell_data(feature_arrays(n=160)))
    return method, probe_codes(fitted, 24, 20)


def test_swapped_trust_changes_the_codes_and_nothing_else_does():
    # The first hasher of two draws the numbers that it would draw alone: with equal trust (the guard trusts all)
    # both train alike, bit by bit; with trust from the other's losses they do not.
    taught, codes = codes_of_ncr(co_teaching="true", guard="0")
    alone, other = codes_of_ncr(co_teaching="false", guard="0")
    assert (taught.learners, alone.learners) == (2, 1)
    assert not torch.equal(codes, other)
    assert torch.equal(codes_of_ncr(co_teaching="true", guard="1")[1], codes_of_ncr(co_teaching="false", guard="1")[1])


def test_the_detector_says_whether_there_are_two_learners_not_the_recipe():
    assert small_method("ncr-hash").learners == 2
    assert small_method("ncr-hash", detector="structure").learners == 1
    assert small_method("duch-noisy", detector="loss-gmm").learners == 1
    doubled = small_method("duch-noisy", detector="loss-gmm", settings={"detector.co_teaching": "true"})
    assert doubled.learners == 2
    assert Need.TWO_LEARNERS in doubled.needs
    assert "detector.co_teaching=True" in doubled.row


# -- DECL


def test_uncertainty_falls_with_evidence_and_is_nearly_one_without():
    nothing, much = torch.full((5, 5), -1.0), torch.full((5, 5), -1.0)
    much.fill_diagonal_(1.0)
    assert torch.all(uncertainty(evidence_of(nothing, 0.1)) > 0.99)
    assert torch.all(uncertainty(evidence_of(much, 0.1)) < 0.01)
    e = evidence_of(torch.rand(5, 5), 0.1)
    torch.testing.assert_close(uncertainty(e), 5 / (e + 1).sum(1))
    torch.testing.assert_close(belief(e).sum(1), torch.ones(5))


def test_division_calls_right_whose_own_caption_is_believed_most():
    similarity, mask, _ = learned(96)
    found = {}
    for weights in ("division", "ratio", "certainty"):
        detector = EvidentialDivision(**{**DIVISION, "weights": weights})
        detector.fit(views(96)[0], RUN)
        found[weights] = detector.observe(evidence(similarity), RUN).weight
        assert roc_auc_score(mask, -found[weights]) > 0.97
    for rows, block in square_blocks(evidence(similarity), 96, 64):
        both = evidence_of(block, 0.1) + evidence_of(block, 0.1).T
        assert found["division"][rows].tolist() == [float(both[i].argmax() == i) for i in range(len(both))]
    assert torch.equal(found["ratio"] == 1, found["division"] == 1)


# -- CRCL


def test_labels_are_frozen_then_averaged_and_kept_over_a_restart():
    similarity, mask, _ = learned(64)
    match = match_probability(similarity, 0.05)
    detector = SelfRefiningCorrespondence(**REFINE)
    assert detector.fit(views(64)[0], RUN).target.tolist() == [1.0] * 64
    see = [detector.observe(evidence(similarity, epoch=e, phase="refine-1"), RUN) for e in (1, 2, 3)]
    assert see[0] is None, "frozen"
    torch.testing.assert_close(see[1].target, match), "the first freeze ends with the match probability itself"
    averaged = torch.where(match < 0.1, torch.zeros(64), 0.8 * match + 0.2 * match)
    torch.testing.assert_close(see[2].target, averaged)
    blank = torch.zeros(64, 64)  # a network made anew says nothing yet
    again = [detector.observe(evidence(blank, epoch=e, phase="refine-2"), RUN) for e in (4, 5)]
    assert again == [None, None], "labels outlive the restart, frozen while the new network warms up"
    torch.testing.assert_close(detector.labels, averaged)
    late = detector.observe(evidence(similarity, epoch=6, phase="refine-2"), RUN).target
    torch.testing.assert_close(late, torch.where(0.8 * averaged + 0.2 * match < 0.1, 0.0, 0.8 * averaged + 0.2 * match))
    assert roc_auc_score(mask, -late) > 0.99


def test_crcl_restarts_from_other_initial_values_and_keeps_its_labels():
    begun, refined = [], []
    contrastive = REGISTRY.get("hasher", "contrastive").load()

    class Watched(contrastive):
        def begin(self, pairs, phases, run):
            super().begin(pairs, phases, run)
            begun.append((self.image_network[0].weight.detach().clone(), self.codes.clone()))

        def step(self, batch, trust):
            refined.append(trust.soft_target().clone())
            return super().step(batch, trust)

    method = small_method("crcl-hash", epochs=16, settings={"detector.guard": "0"})
    object.__setattr__(method.components["hasher"], "target", Watched)
    try:
        fit(method, cell_data(feature_arrays(n=120)))
    finally:
        object.__setattr__(method.components["hasher"], "target", "harness_plugins.chnr.contrastive:ContrastiveHasher")
    assert [phase.restart for phase in method.phases] == [False, True, True, True]
    assert len(begun) == 4
    for before, after in pairwise(begun):
        assert not torch.equal(before[0], after[0]), "networks"
        assert not torch.equal(before[1], after[1]), "named streams do not repeat"
    assert set(refined[0].tolist()) == {1.0}
    assert set(refined[-1].tolist()) != {1.0}


# -- MSCN


class TwoMaps:
    """A learner in float64 whose loss of pair i is smooth."""

    def __init__(self, d_image: int, d_text: int, bits: int) -> None:
        random = torch.Generator().manual_seed(5)
        self.maps = [
            (0.3 * torch.randn(bits, d, generator=random, dtype=torch.float64)).requires_grad_()
            for d in (d_image, d_text)
        ]

    def encode_image(self, image):
        return image @ self.maps[0].T

    def encode_text(self, text):
        return text @ self.maps[1].T

    def pair_losses(self, batch):
        z_image, z_text = (
            torch.nn.functional.normalize(z) for z in (self.encode_image(batch.image), self.encode_text(batch.text))
        )
        return -(z_image @ z_text.T * 3).log_softmax(1).diagonal()


def meta_parts(rate: float = 0.7):
    random = torch.Generator().manual_seed(1)
    pairs = TrainingPairs(
        torch.randn(12, 6, generator=random, dtype=torch.float64),
        torch.randn(12, 5, generator=random, dtype=torch.float64),
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = MetaNetwork(4, 6).double()
    right = torch.tensor([1.0] * 3 + [0.0] * 3, dtype=torch.float64)
    return network, TwoMaps(6, 5, 4), pairs.rows(torch.arange(6)), pairs.rows(torch.arange(6, 12)), right, rate


def test_meta_gradient_agrees_with_finite_differences_through_the_virtual_step():
    network, learner, batch, trusted, right, rate = meta_parts()

    def outer() -> float:
        """The error after the virtual step, by the definition, with copies."""
        loss = learner.pair_losses(batch)
        weight = network(similarity_vector(learner, batch).detach()).detach()
        steps = torch.autograd.grad((weight * loss).mean(), learner.maps)
        moved = TwoMaps(6, 5, 4)
        moved.maps = [(m - rate * s).detach() for m, s in zip(learner.maps, steps, strict=True)]
        judged = network(similarity_vector(moved, trusted)).detach()
        return float(torch.nn.functional.binary_cross_entropy(judged, right))

    before = [m.detach().clone() for m in learner.maps]
    error, gradients, _ = meta_gradient(network, learner, batch, trusted, right, rate)
    assert float(error) == pytest.approx(outer(), rel=1e-12)
    assert all(torch.equal(m, b) for m, b in zip(learner.maps, before, strict=True)), "put back, bit by bit"
    assert all(m.grad is None for m in learner.maps)
    for parameter, gradient in zip(network.parameters(), gradients, strict=True):
        flat = parameter.data.view(-1)
        for at in range(0, len(flat), max(1, len(flat) // 4)):
            kept, changes = float(flat[at]), []
            for sign in (1, -1):
                flat[at] = kept + sign * 1e-6
                changes.append(outer())
            flat[at] = kept
            assert float(gradient.view(-1)[at]) == pytest.approx((changes[0] - changes[1]) / 2e-6, abs=1e-7)


def test_the_virtual_step_has_a_part_in_the_meta_gradient():
    with_step, without = (meta_gradient(*meta_parts(rate))[1] for rate in (0.7, 0.0))
    parts = meta_parts()
    direct = torch.nn.functional.binary_cross_entropy(parts[0](similarity_vector(parts[1], parts[3])), parts[4])
    for gradient, expected in zip(without, torch.autograd.grad(direct, list(parts[0].parameters())), strict=True):
        torch.testing.assert_close(gradient, expected)
    assert any(not torch.allclose(a, b, rtol=1e-3) for a, b in zip(with_step, without, strict=True))


def test_leaves_are_the_parameters_and_a_learner_without_any_is_refused():
    network, learner, batch, trusted, right, rate = meta_parts()
    found = leaves(learner.pair_losses(batch).sum())
    assert {id(m) for m in found} == {id(m) for m in learner.maps}
    learner.maps = [m.detach() for m in learner.maps]
    with pytest.raises(HarnessError, match="cannot"):
        meta_gradient(network, learner, batch, trusted, right, rate)


def test_meta_similarity_learns_to_tell_and_needs_two_trusted_pairs():
    data = cell_data(feature_arrays(n=160), trusted=0.4)
    fitted = fit(small_method("mscn-hash", epochs=30, settings={"detector.meta_rate": "0.01"}), data)
    assert len(fitted.curves.trust) > 5
    weight = np.empty(len(data.plan), dtype=np.float32)
    weight[data.order] = fitted.trust.weight
    assert roc_auc_score(data.plan.wrong, -weight) > 0.6
    few = TrainingPairs(torch.randn(5, 3), torch.randn(5, 3), trusted=torch.tensor([True] + [False] * 4))
    detector = MetaSimilarity(hidden=4, meta_rate=1e-3, virtual_rate=0.1, batch_size=4, purify=False)
    with pytest.raises(HarnessError, match="at least 2 trusted"):
        detector.fit(few, RUN)


# -- no noise, few pairs


def detectors_before_training():
    return {
        "cca-consistency": CanonicalConsistency(**CCA),
        "structure": StructureConsistency(**STRUCTURE),
        "structure by anchors": StructureConsistency(**{**STRUCTURE, "relation": "anchors"}),
    }


def watching_detectors():
    return {
        "loss-gmm": GaussianLosses(**LOSSES),
        "loss-bmm": BetaLosses(**LOSSES),
        "evidential": EvidentialDivision(**{**DIVISION, "guard": 0.05}),
        "self-refine": SelfRefiningCorrespondence(**{**REFINE, "guard": 0.05, "frozen": 1}),
    }


@pytest.mark.parametrize("name", ["cca-consistency", "structure"])
def test_without_wrong_pairs_nearly_all_are_trusted_before_training(name):
    pairs, _ = views(500, 0.0)
    assert detectors_before_training()[name].fit(pairs, RUN).weight.mean() > 0.85


@pytest.mark.parametrize("name", watching_detectors())
def test_without_wrong_pairs_all_are_trusted_while_training(name):
    similarity, _, loss = learned(256, wrong=0.0)
    detector = watching_detectors()[name]
    detector.fit(views(256)[0], RUN)
    assert detector.observe(evidence(similarity, loss), RUN).weight.tolist() == [1.0] * 256


@pytest.mark.parametrize("n", [1, 2, 3, 9])
def test_tiny_sets_get_weights_in_range(n):
    pairs, _ = views(40, 0.4)
    small = TrainingPairs(pairs.image[:n], pairs.text[:n])
    for name, detector in {**detectors_before_training(), **watching_detectors()}.items():
        weight = detector.fit(small, RUN).weight
        if name in watching_detectors():
            said = detector.observe(evidence(torch.eye(n) * 0.5, torch.arange(float(n))), RUN)
            weight = weight if said is None else said.weight
        assert weight.shape == (n,), name
        assert bool(((weight >= 0) & (weight <= 1)).all()), name


def test_detectors_before_training_are_deterministic():
    pairs, _ = views(120, 0.3)
    for name in detectors_before_training():
        first, second = (detectors_before_training()[name].fit(pairs, RUN).weight for _ in range(2))
        assert torch.equal(first, second), name
