"""IMH (Song, Yang, Yang, Huang, Shen, SIGMOD 2013): a joint embedding that keeps neighbours of both modalities.

With all pairs known, and the paper's weight of 10^10 on equal embeddings of both halves of a pair taken as infinite,
one embedding F, (n, k), makes the sum over both modalities of

    sum_i w_i (||f_i - x_i W||^2) + ridge ||W||^2 + (lambda / 2) sum_pq A_pq min(w_p, w_q) ||f_p - f_q||^2

smallest subject to F' diag(w) F = I, where A = (N + N') / 2 and N_pq is 1 if q is one of the nearest neighbours of p.
With W solved for, the columns of G = diag(w)^1/2 F are eigenvectors of smallest eigenvalue of
2 I - H_image - H_text + lambda (L_image + L_text), H being the projector of the ridge regression. With centred
features a constant f is such an eigenvector that no feature predicts: its bit would be the same for all, and it is
left out.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
import scipy.sparse
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from sklearn.neighbors import kneighbors_graph

from harness import PairTrust, TrainingPairs
from harness.plugin.interfaces import Run
from harness.training.building_blocks.counted_rows import centred_if, counted_rows
from harness.training.building_blocks.more_bits import turned_copies
from harness.training.building_blocks.ridge import RidgeRegression
from harness.training.building_blocks.thresholds import ThresholdedCodes, weighted_median

DENSE = 600
"""Up to so many pairs the eigenproblem is solved as a matrix; beyond, it is a sparse graph and thin factors."""


def neighbour_laplacian(view: np.ndarray, weight: np.ndarray, neighbours: int) -> scipy.sparse.csr_array:
    """diag(w)^-1/2 L diag(w)^-1/2 for the graph of nearest neighbours, an edge as strong as the weaker of its ends.

    Args:
        view: (n, d) float64.
        weight: (n,) float64, above 0.
        neighbours: Neighbours of each item, fewer where there are not so many others.

    Returns:
        (n, n) sparse, symmetric; its largest eigenvalue is at most twice the largest number of neighbours.
    """
    n = len(view)
    if min(neighbours, n - 1) < 1:
        return scipy.sparse.csr_array((n, n))
    directed = kneighbors_graph(view, min(neighbours, n - 1), mode="connectivity", include_self=False)
    edges = scipy.sparse.coo_array((directed + directed.T) / 2)
    row, column = edges.coords
    strength = edges.data * np.minimum(weight[row], weight[column])
    degree = np.bincount(row, strength, n) / weight
    off_diagonal = scipy.sparse.coo_array((strength / np.sqrt(weight[row] * weight[column]), (row, column)), (n, n))
    return scipy.sparse.csr_array(scipy.sparse.diags_array(degree) - off_diagonal)


def largest_eigenvectors(
    thin: np.ndarray, laplacian: scipy.sparse.csr_array, k: int, start: np.ndarray, excluded: np.ndarray
) -> np.ndarray:
    """Eigenvectors of Z Z' - L for the k largest eigenvalues, in descending order.

    Args:
        thin: Z, (n, m).
        laplacian: L, (n, n) sparse and symmetric.
        k: Number of eigenvectors, at most n.
        start: (n,) vector from which the iteration starts.
        excluded: (n,) an eigenvector to leave out, of length 1; or zeros.

    Returns:
        (n, k) with orthonormal columns.
    """
    n = len(thin)
    # Larger than the largest eigenvalue of L: the excluded one becomes the last of all.
    far = 2 * float(laplacian.diagonal().max()) + 1
    if n <= DENSE or 3 * k >= n:
        dense = thin @ thin.T - laplacian.toarray() - far * np.outer(excluded, excluded)
        _, vectors = scipy.linalg.eigh((dense + dense.T) / 2, subset_by_index=(n - k, n - 1))
    else:

        def product(vector: np.ndarray) -> np.ndarray:
            vector = vector.ravel()
            return thin @ (thin.T @ vector) - laplacian @ vector - far * (excluded @ vector) * excluded

        operator = LinearOperator((n, n), matvec=product, dtype=np.float64)
        _, vectors = eigsh(operator, k, which="LA", v0=start, ncv=min(n, 3 * k // 2 + 40), tol=1e-9)
    return vectors[:, ::-1].copy()


class InterMediaHashing(ThresholdedCodes):
    """Linear functions of each modality to the joint embedding, cut at their training medians."""

    def __init__(self, *, neighbours: int, smoothness: float, ridge: float, ridge_unit: str, centring: bool) -> None:
        self.neighbours, self.smoothness = neighbours, smoothness
        self.ridge, self.ridge_unit, self.centring = ridge, ridge_unit, centring

    def fit(self, pairs: TrainingPairs, trust: PairTrust, run: Run) -> None:
        """One eigenproblem; pairs count with their weight."""
        image, text, weight = counted_rows(pairs, trust)
        views, self.means = zip(*(centred_if(view, weight, self.centring) for view in (image, text)), strict=True)
        regressions = [RidgeRegression(view, weight, self.ridge, self.ridge_unit) for view in views]
        kept = max(1, min(run.n_bits, *(regression.spectrum.rank for regression in regressions)))
        thin = torch.cat(
            [
                weight.sqrt()[:, None] * view @ regression.spectrum.power(-0.5)
                for view, regression in zip(views, regressions, strict=True)
            ],
            dim=1,
        )
        laplacian = self.smoothness * sum(
            neighbour_laplacian(view.cpu().numpy(), weight.cpu().numpy(), self.neighbours) for view in views
        )
        start = run.numpy_generator("imh").standard_normal(len(weight))
        constant = (weight / weight.sum()).sqrt() * self.centring
        vectors = largest_eigenvectors(thin.cpu().numpy(), laplacian, kept, start, constant.cpu().numpy())
        embedding = torch.from_numpy(vectors).to(run.device) / weight.sqrt()[:, None]
        spread = turned_copies(kept, run.n_bits, run)
        self.projections = tuple(regression(embedding) @ spread for regression in regressions)
        self.thresholds = tuple(
            weighted_median(view @ projection, weight) for view, projection in zip(views, self.projections, strict=True)
        )
