"""An objective within the modalities: what CHNR and DUCH add to that between them."""

from __future__ import annotations

from torch import Tensor

from harness.plugin.interfaces import Objective, PairTrust


def contrast_within(
    objective: Objective, outputs: tuple[Tensor, ...], weight: Tensor, intra_image: float, intra_text: float
) -> Tensor | float:
    """Weighted sums of an objective between items and their augmented views; 0 where both weights are.

    An item is right whatever it is paired with, so all get the mean weight of the batch.

    Args:
        objective: :class:`harness.plugin.interfaces.Objective`.
        outputs: (b, n_bits) of image, augmented image, caption and augmented caption.
        weight: (b,) trust in the pairs.
        intra_image: Factor of the images' term.
        intra_text: Factor of the captions' term.
    """
    h_image, h_image_view, h_text, h_text_view = outputs
    mean_trust = PairTrust(weight.mean().expand(len(weight)))
    loss: Tensor | float = 0.0
    if intra_image:
        loss = loss + intra_image * objective(h_image, h_image_view, mean_trust).sum()
    if intra_text:
        loss = loss + intra_text * objective(h_text, h_text_view, mean_trust).sum()
    return loss
