"""``clip-sign`` and ``lsh``: what their bits are, that pairs are not looked at, and where they are refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from harness_plugins.shared_space_codes.sign_codes import RandomHyperplanes, SignCodes
from reference import tiny_models

from harness.cells.request import CellRequest, MethodRequest
from harness.cells.workbench import Workbench
from harness.errors import CombinationError, HarnessError
from harness.execution.runner import run_job
from harness.plugin.interfaces import PairTrust, TrainingPairs
from harness.plugin.loading import load_registry
from harness.runtime.context import RunContext
from harness.testing.small_data import Size, feature_arrays

CPU = torch.device("cpu")
D = 12


def two_cones(n: int = 200, gap: float = 4.0, seed: int = 0) -> TrainingPairs:
    """Features of one space, each modality around a mean of its own."""
    random = torch.Generator().manual_seed(seed)
    shared = torch.randn(n, D, generator=random) * torch.linspace(3, 0.3, D)
    means = gap * torch.randn(2, D, generator=random)
    image, text = (shared + 0.3 * torch.randn(n, D, generator=random) + mean for mean in means)
    return TrainingPairs(image, text, trusted=torch.zeros(n, dtype=torch.bool))


def fit(hasher, pairs, bits, weight=None, seed=0):
    weight = torch.ones(len(pairs)) if weight is None else weight
    hasher.fit(pairs, PairTrust(weight), RunContext(bits, CPU, seed))
    return hasher


def sign_codes(centre=True, fewer_bits="principal") -> SignCodes:
    return SignCodes(centre=centre, fewer_bits=fewer_bits)


def agreement(hasher, pairs) -> float:
    """Share of equal bits in right pairs, minus that in mismatched ones."""
    image, text = hasher.encode_image(pairs.image) > 0, hasher.encode_text(pairs.text) > 0
    return float((image == text).double().mean() - (image == text.roll(1, 0)).double().mean())


def test_with_as_many_bits_as_dimensions_a_bit_is_the_sign_of_a_feature():
    pairs = two_cones()
    plain = fit(sign_codes(centre=False), pairs, D)
    assert torch.equal(plain.encode_image(pairs.image), pairs.image.double())
    centred = fit(sign_codes(), pairs, D)
    expected = pairs.text.double() - pairs.text.double().mean(0)
    torch.testing.assert_close(centred.encode_text(pairs.text), expected)


def test_centred_signs_do_not_depend_on_shift_and_scale_of_a_modality():
    pairs = two_cones()
    moved = replace(pairs, image=2.5 * pairs.image + 0.7, text=(pairs.text - 1.3) / 4)
    for bits in (5, D, 20):
        one, other = fit(sign_codes(), pairs, bits), fit(sign_codes(), moved, bits)
        assert torch.equal(one.encode_image(pairs.image) > 0, other.encode_image(moved.image) > 0)
        assert torch.equal(one.encode_text(pairs.text) > 0, other.encode_text(moved.text) > 0)


def test_fewer_bits_lie_in_the_span_of_the_principal_directions_and_carry_equally_much():
    pairs = two_cones()
    views = [view.double() - view.double().mean(0) for view in (pairs.image, pairs.text)]
    both = torch.cat([view / view.square().mean().sqrt() for view in views]).numpy()
    _, _, directions = np.linalg.svd(both, full_matrices=False)
    projection = fit(sign_codes(), pairs, 5).projections[0].numpy()
    np.testing.assert_allclose(projection.T @ projection, np.eye(5), atol=1e-9)
    span = directions[:5].T @ directions[:5]
    np.testing.assert_allclose(projection @ projection.T, span, atol=1e-9)
    variance = (both @ projection).var(0)
    assert variance.max() / variance.min() < (both @ directions[:5].T).var(0).max() / (both @ directions[4]).var()


def test_fewer_bits_can_be_the_first_dimensions():
    pairs = two_cones()
    hasher = fit(sign_codes(centre=False, fewer_bits="first"), pairs, 5)
    assert torch.equal(hasher.encode_image(pairs.image), pairs.image[:, :5].double())


@pytest.mark.parametrize("bits", [13, 33])
def test_more_bits_than_dimensions_are_a_tight_frame(bits):
    projection = fit(sign_codes(), two_cones(), bits).projections[0]
    torch.testing.assert_close(projection @ projection.T, torch.eye(D, dtype=torch.float64))


@pytest.mark.parametrize("bits", [5, D, 33])
@pytest.mark.parametrize("make", [sign_codes, lambda: RandomHyperplanes(centre=False)])
def test_images_and_captions_get_the_same_hyperplanes_and_right_pairs_agree(make, bits):
    pairs = two_cones(gap=0.5)
    hasher = fit(make(), pairs, bits)
    assert torch.equal(*hasher.projections)
    assert agreement(hasher, pairs) > 0.2


def test_bits_of_lsh_differ_as_often_as_the_angle_says():
    pairs = two_cones(gap=0.0)
    hasher = fit(RandomHyperplanes(centre=False), pairs, 4000)
    a, b = pairs.image[:1], pairs.text[1:2]
    angle = torch.arccos(torch.nn.functional.cosine_similarity(a, b)) / torch.pi
    found = ((hasher.encode_image(a) > 0) != (hasher.encode_text(b) > 0)).double().mean()
    assert float(found) == pytest.approx(float(angle), abs=0.03)
    assert not torch.equal(
        hasher.projections[0], fit(RandomHyperplanes(centre=False), pairs, 4000, seed=1).projections[0]
    )


def test_centring_brings_the_two_cones_together():
    pairs = two_cones(gap=8.0)
    varying = []
    for centre in (False, True):
        hasher = fit(sign_codes(centre), pairs, D)
        share = (hasher.encode_image(pairs.image) > 0).double().mean(0)
        varying.append(int(((share > 0.2) & (share < 0.8)).sum()))
    assert varying[1] == D > varying[0] + 4
    lsh = [agreement(fit(RandomHyperplanes(centre=centre), pairs, 64), pairs) for centre in (False, True)]
    assert lsh[1] > 2 * lsh[0]


def test_which_caption_belongs_to_which_image_is_never_looked_at():
    pairs = two_cones()
    shuffled = replace(pairs, text=pairs.text[torch.randperm(200, generator=torch.Generator().manual_seed(1))])
    for make in (sign_codes, lambda: RandomHyperplanes(centre=True)):
        one, other = fit(make(), pairs, 5), fit(make(), shuffled, 5)
        assert torch.equal(one.encode_image(pairs.image) > 0, other.encode_image(pairs.image) > 0)


def test_pairs_of_weight_nought_do_not_count():
    pairs = two_cones()
    kept = torch.arange(200) < 120
    spoilt = replace(pairs, image=torch.where(kept[:, None], pairs.image, 1000.0))
    one, other = (fit(sign_codes(), some, 5, kept.float()) for some in (pairs, spoilt))
    assert torch.equal(one.encode_image(pairs.image), other.encode_image(pairs.image))


@pytest.mark.parametrize("n", [1, 3, 200])
def test_few_and_constant_items_give_finite_codes(n):
    pairs = two_cones(n)
    constant = TrainingPairs(torch.ones(n, D), torch.ones(n, D), trusted=pairs.trusted)
    for some in (pairs, constant):
        for bits in (5, D, 33):
            outputs = fit(sign_codes(), some, bits).encode_image(two_cones(9).image)
            assert outputs.shape == (9, bits)
            assert torch.isfinite(outputs).all()


def test_two_spaces_of_other_widths_are_refused():
    pairs = two_cones()
    with pytest.raises(HarnessError, match="12 and 7 numbers: use the two towers of one model"):
        fit(sign_codes(), replace(pairs, text=pairs.text[:, :7]), 5)


# -- in a run


def run(request: CellRequest):
    workbench = Workbench(load_registry(environment={}), "cpu")
    return run_job(workbench.prepare(request), [], CPU)


@pytest.mark.parametrize("method", ["clip-sign", "lsh"])
def test_a_feature_file_of_a_shared_space_is_hashed_and_one_of_two_spaces_refused(tmp_path, method):
    arrays = feature_arrays(Size(d_image=20, d_text=20, views=False))
    np.savez(tmp_path / "two.npz", **arrays)
    np.savez(tmp_path / "one.npz", **arrays, cell_header=np.array(json.dumps({"shared_space": True})))
    request = CellRequest(MethodRequest(method), features=tmp_path / "one.npz", bits=16, standardise="none")
    outcome = run(request)
    assert outcome.record.status == "ok"
    with pytest.raises(CombinationError, match="no shared space"):
        run(replace(request, features=tmp_path / "two.npz"))


@pytest.mark.parametrize("bits", [12, 16])
def test_the_towers_of_a_clip_are_hashed(tmp_path, monkeypatch, bits):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    folder = tiny_models.clip(tmp_path / "clip")
    request = CellRequest(MethodRequest("clip-sign"), limit=30, bits=bits, standardise="none")
    outcome = run(replace(request, backbone="transformers-clip", pretrained=str(folder)))
    assert outcome.record.status == "ok"
