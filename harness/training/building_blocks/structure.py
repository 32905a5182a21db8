"""Cosine matrices of a batch and the weighted errors between them: what DJSRH and its successors minimise.

Weights of pairs enter every term in one way: an entry (i, j) counts with w_i w_j, and sums are divided by the sum of
these. With weights of 1 that is the paper's mean. With weights of 0 and 1 it is the paper's mean over the batch of the
pairs that have a 1.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import normalize


def cosines(a: Tensor, b: Tensor) -> Tensor:
    """(n, m) cosines between the rows of ``a`` (n, d) and ``b`` (m, d); a row of zeros has cosine 0 with all."""
    return normalize(a) @ normalize(b).T


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """sum_i w_i v_i / sum_i w_i as a 0-d tensor; 0 where no weight is above 0.

    Args:
        values: (n,).
        weight: (n,), not negative.
    """
    return (values * weight).sum() / _above_zero(weight.sum())


def weighted_mean_square(difference: Tensor, weight: Tensor) -> Tensor:
    """sum_ij w_i w_j d_ij^2 / sum_ij w_i w_j as a 0-d tensor; 0 where no weight is above 0.

    Args:
        difference: (n, n).
        weight: (n,), not negative.
    """
    return (weight @ difference.square() @ weight) / _above_zero(weight.sum().square())


def shares_of_pairs(difference: Tensor) -> Tensor:
    """(n,) shares of the pairs in mean_ij d_ij^2: half of a row's mean and half of a column's; their mean is the whole.

    Args:
        difference: (n, n).
    """
    squared = difference.square()
    return (squared.mean(dim=1) + squared.mean(dim=0)) / 2


def joint_similarity(image: Tensor, text: Tensor, of_image: float, of_text: float) -> Tensor:
    """(n, n) of_image S^v + of_text S^t with S^v, S^t = 2 cosines - 1.

    Each is between -1 and 1 where no feature is negative, as in the papers; otherwise between -3 and 1.

    Args:
        image: (n, d_image) features.
        text: (n, d_text) features.
        of_image: Factor of the images.
        of_text: Factor of the captions.
    """
    return of_image * (2 * cosines(image, image) - 1) + of_text * (2 * cosines(text, text) - 1)


def weighted_product(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """(n, n) sum_k w_k a_ik b_jk / sum_k w_k: with weights of 1, A B^T / n.

    Args:
        a: (n, n).
        b: (n, n).
        weight: (n,), not negative.
    """
    return (a * weight) @ b.T / _above_zero(weight.sum())


def weighted_row_cosines(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """(n, n) cosines between rows of ``a`` and rows of ``b``, in which column k counts with w_k.

    Args:
        a: (n, n).
        b: (n, n).
        weight: (n,), not negative.
    """
    root = weight.sqrt()
    return cosines(a * root, b * root)


def _above_zero(total: Tensor) -> Tensor:
    return total.clamp(min=1e-12)
