"""CVH (Kumar, Udupa, IJCAI 2011) for two views of the same items: signs of canonical directions.

Without any similarities but "these two belong together" the paper's generalised eigenproblem is canonical correlation
analysis: Cxy Cyy^-1 Cxy' w = rho^2 Cxx w.
"""

from __future__ import annotations

import torch

from harness import PairTrust, TrainingPairs
from harness.plugin.interfaces import Run
from harness.training.building_blocks.counted_rows import centred_if, counted_rows
from harness.training.building_blocks.linear import LinearCodes
from harness.training.building_blocks.more_bits import kept_directions, turned_copies
from harness.training.building_blocks.ridge import Spectrum, ridge_shift, scatter_of


class CrossViewHashing(LinearCodes):
    """One bit for each canonical direction, in descending order of correlation."""

    def __init__(self, *, ridge: float, ridge_unit: str, inverse: bool, centring: bool) -> None:
        self.ridge, self.ridge_unit = ridge, ridge_unit
        self.inverse, self.centring = inverse, centring

    def fit(self, pairs: TrainingPairs, trust: PairTrust, run: Run) -> None:
        """Closed form; pairs count with their weight."""
        image, text, weight = counted_rows(pairs, trust)
        x, mean_x = centred_if(image, weight, self.centring)
        y, mean_y = centred_if(text, weight, self.centring)
        self.means = (mean_x, mean_y)
        xx, yy = (
            Spectrum(scatter, ridge_shift(scatter, self.ridge, self.ridge_unit))
            for scatter in (scatter_of(x, weight), scatter_of(y, weight))
        )
        cross = (x * weight[:, None]).T @ y
        # With T = Cxx^-1/2 Cxy Cyy^-1/2 = U S V', the eigenvectors are Cxx^-1/2 U and rho = S. The released program
        # has Cyy where its inverse belongs, which is T = Cxx^-1/2 Cxy Cyy^1/2.
        left, values, _ = torch.linalg.svd(xx.power(-0.5) @ cross @ yy.power(-0.5 if self.inverse else 0.5))
        kept = kept_directions(values, run.n_bits)
        directions_x = xx.power(-0.5) @ left[:, :kept]
        directions_y = yy.power(-1.0) @ cross.T @ directions_x / values[:kept].clamp(min=1e-300)
        spread = turned_copies(kept, run.n_bits, run)
        self.projections = (directions_x @ spread, directions_y @ spread)
