"""FSH (Liu, Ji, Wu, Huang, Zhang, CVPR 2017): codes whose products follow a fused similarity to anchors.

The fused similarity of pair i to anchor j is the mean similarity between the anchors nearest to i in one modality and
the anchors nearest to j in the other. Alternating updates as in the function trainFSH of the authors' own second
implementation; the original program is not public.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from sklearn.cluster import KMeans
from torch import Tensor

from harness import PairTrust, TrainingPairs
from harness.plugin.interfaces import Run
from harness.training.building_blocks.canonical import centred
from harness.training.building_blocks.counted_rows import counted_rows
from harness.training.building_blocks.linear import LinearCodes
from harness.training.building_blocks.ridge import RidgeRegression


def unit_rows(view: Tensor) -> Tensor:
    """Rows of length 1, float64; rows of zeros stay."""
    view = view.double()
    length = view.norm(dim=1, keepdim=True)
    return view / torch.where(length > 0, length, torch.ones_like(length))


def signs(values: Tensor) -> Tensor:
    """1 where a number is above 0, otherwise -1."""
    return torch.where(values > 0, 1.0, -1.0).to(values.dtype)


def nearest(view: Tensor, anchors: Tensor, neighbours: int) -> Tensor:
    """(n, m) with 1 at the nearest anchors of each row and 0 elsewhere; the earlier of equally near ones."""
    order = torch.cdist(view, anchors, compute_mode="donot_use_mm_for_euclid_dist").argsort(dim=1, stable=True)
    return torch.zeros(order.shape, dtype=view.dtype, device=view.device).scatter_(1, order[:, :neighbours], 1.0)


def anchor_kernel(anchors: Tensor, squared: bool) -> Tensor:
    """exp(-||a_p - a_q||^2 / 2), (m, m); the released program forgets the square."""
    distance = torch.cdist(anchors, anchors, compute_mode="donot_use_mm_for_euclid_dist")
    return torch.exp(-(distance.square() if squared else distance) / 2)


def fusion_similarities(
    views: tuple[Tensor, ...], anchors: Sequence[Tensor], kernels: Sequence[Tensor], neighbours: int
) -> tuple[Tensor, Tensor]:
    """Both parts of the fused similarity, (n, m) each.

    The first is the mean image similarity between the anchors nearest to the image of pair i and those nearest to the
    text of anchor j; the second has the modalities exchanged.
    """
    rows = [nearest(view, anchor, neighbours) for view, anchor in zip(views, anchors, strict=True)]
    columns = [nearest(anchor, anchor, neighbours) for anchor in anchors]
    scale = neighbours**-2
    return scale * rows[0] @ kernels[0] @ columns[1].T, scale * rows[1] @ kernels[1] @ columns[0].T


def image_share(agreements: Sequence[Tensor], kernels: Sequence[Tensor], exponent: float, normaliser: str) -> float:
    """Weight of the first part from the residuals P = tr(K) - (agreement of codes and similarity) of both parts.

    It is P_1^g / (P_1^g + P_2^g) with g = 1 / (1 - exponent); the released program divides by (P_1 + P_2)^g instead,
    so that equal residuals give 1/4 and not 1/2.
    """
    power = 1 / (1 - exponent)
    first, second = (
        abs(float(kernel.trace() - agreement)) for kernel, agreement in zip(kernels, agreements, strict=True)
    )
    if not first and not second:
        return 0.5
    below = first**power + second**power if normaliser == "powers" else (first + second) ** power
    return first**power / below


class FusionSimilarityHashing(LinearCodes):
    """Signs of linear functions of features of length 1."""

    def __init__(
        self, *, anchors: int, anchor_choice: str, neighbours: int, iterations: int, balance: float, exponent: float,
        ridge: float, ridge_unit: str, distance: str, normaliser: str,
    ) -> None:  # fmt: skip
        self.anchors, self.anchor_choice, self.neighbours = anchors, anchor_choice, neighbours
        self.iterations, self.balance, self.exponent = iterations, balance, exponent
        self.ridge, self.ridge_unit = ridge, ridge_unit
        self.squared, self.normaliser = distance == "squared", normaliser

    def encode_image(self, image: Tensor) -> Tensor:
        """(m, n_bits) float64."""
        return super().encode_image(unit_rows(image))

    def encode_text(self, text: Tensor) -> Tensor:
        """(m, n_bits) float64."""
        return super().encode_text(unit_rows(text))

    def fit(self, pairs: TrainingPairs, trust: PairTrust, run: Run) -> None:
        """Alternates until nothing changes, or for the number of iterations; pairs count with their weight."""
        image, text, weight = counted_rows(pairs, trust)
        views, self.means = zip(*(centred(unit_rows(view), weight) for view in (image, text)), strict=True)
        anchors = self.choose_anchors(views, weight, run)
        kernels = [anchor_kernel(anchor, self.squared) for anchor in anchors]
        parts = fusion_similarities(views, anchors, kernels, min(self.neighbours, len(anchors[0])))
        regressions = [RidgeRegression(view, weight, self.ridge, self.ridge_unit) for view in views]
        generator = run.generator("fsh")
        functions = [
            torch.randn(view.shape[1], run.n_bits, generator=generator, device=run.device).double() for view in views
        ]
        anchor_codes = anchors[1] @ functions[1]  # as in the program: of the text alone, and real numbers at first
        share, before = 0.5, None
        for iteration in range(self.iterations):
            similarity = share * parts[0] + (1 - share) * parts[1]
            predicted = sum(view @ function for view, function in zip(views, functions, strict=True))
            codes = signs(similarity @ anchor_codes + 2 * self.balance * predicted)
            weighed = codes * weight[:, None]
            anchor_codes = signs(similarity.T @ weighed)
            functions = [regression(codes) for regression in regressions]
            agreements = [(weighed @ anchor_codes.T * part).sum() for part in parts]
            share = image_share(agreements, kernels, self.exponent, self.normaliser)
            run.report(phase="alternation", epoch=iteration + 1, epochs=self.iterations)
            after = (codes, anchor_codes, share)
            if before is not None and before[2] == share and all(map(torch.equal, before[:2], after[:2])):
                break
            before = after
        self.projections = tuple(functions)

    def choose_anchors(self, views: tuple[Tensor, ...], weight: Tensor, run: Run) -> list[Tensor]:
        """(m, d) anchors of both modalities: pairs drawn by weight, or centres of pairs (k-means on both together)."""
        count = min(self.anchors, len(weight))
        if self.anchor_choice == "k-means":
            state = int(run.numpy_generator("anchors").integers(2**31))
            means = KMeans(count, init="random", n_init=1, max_iter=10, random_state=state)
            means.fit(torch.cat(views, dim=1).cpu().numpy(), sample_weight=weight.cpu().numpy())
            centres = torch.from_numpy(means.cluster_centers_).to(run.device)
            return list(centres.split([view.shape[1] for view in views], dim=1))
        drawn = torch.multinomial(weight, count, generator=run.generator("anchors"))
        return [view[drawn] for view in views]
