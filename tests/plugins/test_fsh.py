"""FSH: the fused similarity pair by pair, updates that raise the objective, anchors, and the weight of modalities."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from harness_plugins.shallow_hashing import fsh
from reference import shallow


def unit_views(n: int = 30):
    x, y, weight = shallow.two_views(n)
    views = [view / np.linalg.norm(view, axis=1, keepdims=True) for view in (x, y)]
    return [view - view.mean(0) for view in views], torch.from_numpy(weight)


@pytest.mark.parametrize("squared", [True, False])
@pytest.mark.parametrize("neighbours", [1, 4])
def test_similarities_are_those_of_neighbouring_anchors(squared, neighbours):
    views, _ = unit_views()
    anchors = [view[[3, 7, 1, 20, 11, 5]] for view in views]
    expected, expected_kernels = shallow.fsh_similarities(views, anchors, neighbours, squared)
    tensors = [torch.from_numpy(anchor) for anchor in anchors]
    kernels = [fsh.anchor_kernel(anchor, squared) for anchor in tensors]
    found = fsh.fusion_similarities([torch.from_numpy(view) for view in views], tensors, kernels, neighbours)
    for one, other in zip((*kernels, *found), (*expected_kernels, *expected), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_share_of_the_modalities():
    kernels = [torch.eye(3), torch.eye(3)]
    residuals = torch.tensor([3.0 + 8, 3.0 + 4])  # agreements of 11 and 7 leave 8 and 4
    assert fsh.image_share(residuals, kernels, 0.5, "powers") == pytest.approx(64 / (64 + 16))
    assert fsh.image_share(residuals, kernels, 0.5, "sum") == pytest.approx(64 / 144)
    assert fsh.image_share(residuals, kernels, 0.75, "powers") == pytest.approx(8**4 / (8**4 + 4**4))
    equal = torch.tensor([5.0, 5.0])
    assert fsh.image_share(equal, kernels, 0.5, "powers") == 0.5
    assert fsh.image_share(equal, kernels, 0.5, "sum") == 0.25
    assert fsh.image_share(torch.tensor([3.0, 3.0]), kernels, 0.5, "powers") == 0.5


def test_alternation_raises_the_objective(monkeypatch):
    """Sum of fused similarity times product of codes, minus the weighted, ridged error of the linear functions."""
    x, y, weight = shallow.two_views(40)
    weight = torch.from_numpy(weight).float().double()
    monkeypatch.setattr(fsh, "image_share", lambda *_: 0.5)  # else the objective itself would move
    views = [fsh.unit_rows(torch.from_numpy(view)) for view in (x, y)]
    values = []
    for iterations in (1, 2, 3, 5, 9):
        hasher = shallow.made("fsh", balance=0.5, iterations=iterations)
        shallow.fit(hasher, x, y, 5, weight)
        centred = [view - mean for view, mean in zip(views, hasher.means, strict=True)]
        anchors = hasher.choose_anchors(centred, weight, shallow.run_of(5))
        kernels = [fsh.anchor_kernel(anchor, True) for anchor in anchors]
        parts = fsh.fusion_similarities(centred, anchors, kernels, 10)
        shifts = [float((weight @ view.square().sum(1)) / view.shape[1]) for view in centred]
        codes = fitted_codes(hasher, centred, weight, parts, anchors, iterations)
        anchor_codes = fsh.signs((0.5 * parts[0] + 0.5 * parts[1]).T @ (codes * weight[:, None]))
        likeness = (weight[:, None] * (0.5 * parts[0] + 0.5 * parts[1]) * (codes @ anchor_codes.T)).sum()
        error = sum(
            weight @ (codes - view @ function).square().sum(1) + shift * function.square().sum()
            for view, function, shift in zip(centred, hasher.projections, shifts, strict=True)
        )
        values.append(float(likeness - 0.5 * error))
    assert all(later >= earlier - 1e-6 for earlier, later in pairwise(values))
    assert values[-1] > values[0]


def fitted_codes(hasher, views, weight, parts, anchors, iterations):
    """The codes of the last iteration, by walking the same way with the hasher's own random start."""
    generator = shallow.run_of(5).generator("fsh")
    functions = [torch.randn(view.shape[1], 5, generator=generator).double() for view in views]
    anchor_codes, similarity = anchors[1] @ functions[1], 0.5 * parts[0] + 0.5 * parts[1]
    for _ in range(iterations):
        predicted = sum(view @ function for view, function in zip(views, functions, strict=True))
        codes = fsh.signs(similarity @ anchor_codes + 2 * hasher.balance * predicted)
        anchor_codes = fsh.signs(similarity.T @ (codes * weight[:, None]))
        functions = []
        for view in views:
            scatter = view.T @ (view * weight[:, None])
            ridge = scatter.diagonal().mean() * torch.eye(len(scatter)).double()
            functions.append(torch.linalg.solve(scatter + ridge, view.T @ (codes * weight[:, None])))
    for one, other in zip(functions, hasher.projections, strict=True):
        assert torch.allclose(one, other, atol=1e-9), "the reference walks another way"
    return codes


def test_it_ends_where_nothing_changes_any_more():
    x, y, _ = shallow.two_views()
    heard = []
    early = shallow.fit(shallow.made("fsh"), x, y, listener=heard.append)
    assert 1 < len(heard) < 100
    late = shallow.fit(shallow.made("fsh", iterations=len(heard) - 1), x, y)
    assert np.array_equal(shallow.outputs(early, x, y)[0], shallow.outputs(late, x, y)[0])


def test_anchors_are_pairs_drawn_by_weight_or_centres():
    views, _ = unit_views()
    views = [torch.from_numpy(view) for view in views]
    weight = torch.full((30,), 1e-9).double()
    weight[[4, 9, 17]] = 1
    drawn = shallow.made("fsh", anchors=3).choose_anchors(views, weight, shallow.run_of(4))
    for anchor, view in zip(drawn, views, strict=True):
        assert {tuple(row) for row in anchor.tolist()} == {tuple(row) for row in view[[4, 9, 17]].tolist()}
    centres = shallow.made("fsh", anchors=3, anchor_choice="k-means").choose_anchors(views, weight, shallow.run_of(4))
    assert [tuple(centre.shape) for centre in centres] == [(3, 9), (3, 7)]
    nearest = torch.cdist(torch.cat(centres, 1), torch.cat([view[[4, 9, 17]] for view in views], 1)).min(1).values
    assert nearest.max() < 1e-6, "three heavy pairs are the centres"


def test_length_of_a_feature_does_not_count():
    x, y, _ = shallow.two_views()
    hasher = shallow.fit(shallow.made("fsh"), x, y)
    np.testing.assert_allclose(shallow.outputs(hasher, 7 * x, y)[0], shallow.outputs(hasher, x, y)[0], atol=1e-6)
    assert torch.equal(fsh.unit_rows(torch.zeros(2, 3)), torch.zeros(2, 3).double())
