"""PLS-ITQ, CVH and IMH against scipy, scikit-learn and brute force."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from harness_plugins.shallow_hashing import imh
from reference import shallow
from sklearn.cross_decomposition import PLSSVD


def centred(view, weight):
    return view - weight @ view / weight.sum()


def test_pls_directions_are_those_of_scikit_learn():
    x, y, _ = shallow.two_views(80)
    hasher = shallow.fit(shallow.made("pls-itq", iterations=0), x, y, 4)
    expected = PLSSVD(n_components=4, scale=False).fit(x, y)
    for found, directions, view in zip(
        hasher.projections, (expected.x_weights_, expected.y_weights_), (x, y), strict=True
    ):
        spread = ((view - view.mean(0)) @ directions).var(0).sum()
        # A rotation is all that is left between them, and it drops out of P P'.
        np.testing.assert_allclose(found @ found.T, directions @ directions.T / spread, atol=1e-9)


@pytest.mark.parametrize("power", [0.0, 1.5])
def test_pls_weighted_covariance_scale_and_rotation(power):
    x, y, weight = shallow.two_views()
    weight = weight.astype(np.float32).astype(float)
    hasher = shallow.fit(shallow.made("pls-itq", power=power), x, y, 5, weight)
    x, y = centred(x, weight), centred(y, weight)
    u, s, v = np.linalg.svd(sum(w * np.outer(a, b) for w, a, b in zip(weight, x, y, strict=True)))
    projections = [directions[:, :5] * s[:5] ** power for directions in (u, v.T)]
    projections = [
        p / np.sqrt(weight @ ((view @ p) ** 2).sum(1) / weight.sum())
        for p, view in zip(projections, (x, y), strict=True)
    ]
    for found, expected in zip(hasher.projections, projections, strict=True):
        np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-9)
    # The rotation stands still: it is the best one for the codes that it makes, pairs counted by weight.
    both, root = np.concatenate([x @ projections[0], y @ projections[1]]), np.sqrt(np.concatenate([weight, weight]))
    outputs = np.concatenate([x @ hasher.projections[0].numpy(), y @ hasher.projections[1].numpy()])
    best, _ = scipy.linalg.orthogonal_procrustes(root[:, None] * both, root[:, None] * np.sign(outputs))
    loss = [np.square(root[:, None] * (np.sign(outputs) - rotated)).sum() for rotated in (outputs, both @ best)]
    assert loss[0] == pytest.approx(loss[1], rel=1e-9)


@pytest.mark.parametrize("ridge", [1.0, 0.05])
def test_cvh_solves_the_generalised_eigenproblem(ridge):
    x, y, weight = shallow.two_views()
    weight = weight.astype(np.float32).astype(float)
    hasher = shallow.fit(shallow.made("cvh", ridge=ridge), x, y, 5, weight)
    x, y = centred(x, weight), centred(y, weight)
    xx, yy = (s + ridge * np.trace(s) / len(s) * np.eye(len(s)) for s in (v.T @ (weight[:, None] * v) for v in (x, y)))
    xy = x.T @ (weight[:, None] * y)
    values, vectors = scipy.linalg.eigh(xy @ np.linalg.solve(yy, xy.T), xx)
    w_x = vectors[:, ::-1][:, :5]
    w_y = np.linalg.solve(yy, xy.T @ w_x) / np.sqrt(values[::-1][:5])
    sign = np.sign((hasher.projections[0].numpy() * w_x).sum(0))
    np.testing.assert_allclose(hasher.projections[0], w_x * sign, atol=1e-9)
    np.testing.assert_allclose(hasher.projections[1], w_y * sign, atol=1e-9)


def imh_matrix(x, y, weight, neighbours: int, smoothness: float):
    """The quadratic form in F of the module's text, ridge 1, and the views and shifts, without any short cut."""
    n, form, parts = len(x), np.zeros((len(x), len(x))), []
    for view in (centred(x, weight), centred(y, weight)):
        scatter = view.T @ np.diag(weight) @ view
        shift = np.trace(scatter) / len(scatter)
        regress = np.linalg.solve(scatter + shift * np.eye(len(scatter)), view.T @ np.diag(weight))
        residual = np.eye(n) - view @ regress
        form += residual.T @ np.diag(weight) @ residual + shift * regress.T @ regress
        for p in range(n):
            others = sorted((q for q in range(n) if q != p), key=lambda q: np.linalg.norm(view[p] - view[q]))
            for q in others[:neighbours]:
                edge = np.zeros(n)
                edge[p], edge[q] = 1, -1
                form += smoothness * 0.5 * min(weight[p], weight[q]) * np.outer(edge, edge)
        parts.append((view, regress))
    return form, parts


@pytest.mark.parametrize(("neighbours", "smoothness"), [(1, 1.0), (3, 0.4)])
@pytest.mark.parametrize("dense", [True, False])
def test_imh_embedding_makes_its_objective_smallest(monkeypatch, neighbours, smoothness, dense):
    if not dense:
        monkeypatch.setattr(imh, "DENSE", 0)
    x, y, weight = shallow.two_views(70)
    weight = weight.astype(np.float32).astype(float)
    hasher = shallow.fit(shallow.made("imh", neighbours=neighbours, smoothness=smoothness), x, y, 4, weight)
    form, parts = imh_matrix(x, y, weight, neighbours, smoothness)
    _, embedding = scipy.linalg.eigh(form, np.diag(weight), subset_by_index=(0, 4))
    constant = np.abs(weight @ embedding) > 1e-6 * weight.sum()
    embedding = embedding[:, ~constant][:, :4]
    for projection, threshold, (view, regress) in zip(hasher.projections, hasher.thresholds, parts, strict=True):
        expected = regress @ embedding
        sign = np.sign((projection.numpy() * expected).sum(0))
        np.testing.assert_allclose(projection, expected * sign, atol=1e-8)
        outputs = view @ projection.numpy() - threshold.numpy()
        below, above = weight @ (outputs < -1e-12), weight @ (outputs > 1e-12)
        assert (np.maximum(below, above) <= weight.sum() / 2 + 1e-9).all()


def test_imh_operator_agrees_with_the_dense_matrix_on_many_pairs():
    x, y, weight = shallow.two_views(900, 30, 20, seed=2)
    tensor = torch.from_numpy
    views = [tensor(centred(view, weight)) for view in (x, y)]
    thin = np.concatenate([np.linalg.qr(np.sqrt(weight)[:, None] * view.numpy())[0] * 0.9 for view in views], axis=1)
    laplacian = sum(imh.neighbour_laplacian(view.numpy(), weight, 2) for view in views)
    start = np.random.default_rng(0).normal(size=900)
    found = imh.largest_eigenvectors(thin, laplacian, 12, start, np.zeros(900))
    _, expected = scipy.linalg.eigh(thin @ thin.T - laplacian.toarray(), subset_by_index=(888, 899))
    np.testing.assert_allclose(np.abs((found * expected[:, ::-1]).sum(0)), 1, atol=1e-8)
    assert np.array_equal(found, imh.largest_eigenvectors(thin, laplacian, 12, start, np.zeros(900)))
    assert scipy.linalg.eigvalsh(laplacian.toarray())[0] > -1e-9


def test_imh_graph_without_others_has_no_edges():
    assert imh.neighbour_laplacian(np.ones((1, 3)), np.ones(1), 5).nnz == 0
    two = imh.neighbour_laplacian(np.eye(2), np.ones(2), 5).toarray()
    np.testing.assert_allclose(two, [[1, -1], [-1, 1]])


def test_imh_has_no_bit_from_the_constant_embedding():
    x, y, weight = shallow.two_views(70)
    hasher = shallow.fit(shallow.made("imh", neighbours=8, smoothness=5.0), x, y, 6, weight)
    for projection in hasher.projections:
        assert (projection.norm(dim=0) > 1e-6).all()
    share = shallow.codes(hasher, x, y).mean(0)
    assert ((share > 0.3) & (share < 0.7)).all()
