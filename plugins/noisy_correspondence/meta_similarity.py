"""``meta-similarity``: a small network that learns, from trusted pairs, how to weigh the others (MSCN).

Han et al., Noisy Correspondence Learning with Meta Similarity Correction, CVPR 2023. Bi-level: a virtual step of the
learner on pairs weighted by the small network, and the error of the small network on trusted pairs after that step.
"""

from __future__ import annotations

import torch
from harness_plugins.noisy_correspondence.mixtures import beta_mixture, beta_moments
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy, normalize

from harness import Batch, Evidence, HarnessError, PairTrust, TrainingPairs
from harness.plugin.interfaces import Learner, Run


def leaves(output: Tensor) -> list[Tensor]:
    """The parameters that a result depends on, found in its graph: a learner need not say where it keeps them."""
    found: dict[int, Tensor] = {}
    waiting, seen = [output.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if variable is not None and variable.requires_grad:
            found[id(variable)] = variable
        waiting.extend(before for before, _ in node.next_functions)
    return list(found.values())


def similarity_vector(learner: Learner, batch: Batch) -> Tensor:
    """(b, n_bits) product of the normalised outputs, bit by bit, times n_bits: what the small network looks at."""
    image, text = (normalize(view) for view in (learner.encode_image(batch.image), learner.encode_text(batch.text)))
    return image * text * image.shape[1]


class MetaNetwork(nn.Module):
    """One hidden layer of 64 and a sigmoid (the program's ``Meta_Sim``)."""

    def __init__(self, n_bits: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n_bits, hidden), nn.ReLU(), nn.Linear(hidden, 1), nn.Sigmoid())

    def forward(self, vectors: Tensor) -> Tensor:
        """(b, n_bits) to (b,) in (0, 1)."""
        return self.layers(vectors)[:, 0]


def meta_gradient(
    network: MetaNetwork, learner: Learner, batch: Batch, trusted: Batch, right: Tensor, rate: float
) -> tuple[Tensor, list[Tensor], Tensor]:
    """Error on trusted pairs after a virtual step, and its exact gradient by the small network's parameters phi.

    With l_i(theta) the loss of pair i, v_i = V_phi(r_i) its weight and r the similarity vectors (its ``train``):
    theta'(phi) = theta - rate x grad_theta mean_i v_i l_i(theta),  L(phi) = BCE(V_phi(r_theta'(phi)(trusted)), right).
    By the chain rule dL/dphi = the partial derivative at theta' + sum_i dL/dv_i dv_i/dphi with
    dL/dv_i = - rate/b x grad_theta' L . grad_theta l_i, which takes one double backward pass and no second network.
    The learner's parameters are put back as they were, bit by bit; their ``.grad`` is not touched.

    Args:
        network: V.
        learner: The hasher in training.
        batch: Pairs of the training batch.
        trusted: Trusted pairs and mismatched ones.
        right: (m,) 1 for pairs that belong together, 0 for mismatched ones.
        rate: Size of the virtual step.

    Returns:
        L as 0-d tensor, gradients in the order of ``network.parameters()``, and v, (b,).
    """
    phi = list(network.parameters())
    loss = learner.pair_losses(batch)
    with torch.no_grad():
        vectors = similarity_vector(learner, batch)
    weight = network(vectors)
    theta = leaves(loss.sum())
    if not theta:
        raise HarnessError(
            "detector 'meta-similarity' needs losses of pairs that can be differentiated, and this hasher's cannot: "
            "choose another --detector."
        )
    given = weight.detach().requires_grad_()
    steps = torch.autograd.grad((given * loss).mean(), theta, create_graph=True)
    before = [parameter.data for parameter in theta]
    try:
        for parameter, step in zip(theta, steps, strict=True):
            parameter.data = parameter.data - rate * step.detach()
        error = binary_cross_entropy(network(similarity_vector(learner, trusted)), right)
        by_phi_and_theta = torch.autograd.grad(error, [*phi, *theta], allow_unused=True)
    finally:
        for parameter, data in zip(theta, before, strict=True):
            parameter.data = data
    direct, onwards = by_phi_and_theta[: len(phi)], by_phi_and_theta[len(phi) :]
    along = sum((step * slope).sum() for step, slope in zip(steps, onwards, strict=True) if slope is not None)
    assert isinstance(along, Tensor)  # the trusted pairs' error depends on some of them
    by_weight = -rate * torch.autograd.grad(along, given)[0]
    through = torch.autograd.grad(weight, phi, by_weight)
    gradients = [one if two is None else one + two for one, two in zip(through, direct, strict=True)]
    return error.detach(), gradients, weight.detach()


class MetaSimilarity:
    """For each batch a meta step; after each epoch a Beta mixture of the meta scores of all pairs, begun from those of
    trusted and of mismatched pairs (the program's ``split_data``): weight = posterior of the upper component.
    """

    def __init__(
        self, *, hidden: int, meta_rate: float, virtual_rate: float, batch_size: int, purify: bool
    ) -> None:  # fmt: skip
        self.hidden, self.meta_rate, self.virtual_rate = hidden, meta_rate, virtual_rate
        self.batch_size, self.purify = batch_size, purify

    def fit(self, pairs: TrainingPairs, run: Run) -> PairTrust:
        """A new small network; every pair is trusted until it has learned something."""
        self.rows = torch.nonzero(pairs.trusted)[:, 0]
        if len(self.rows) < 2:
            raise HarnessError(
                f"detector 'meta-similarity' needs at least 2 trusted pairs to mismatch them; there is "
                f"{len(self.rows)}: raise --trusted."
            )
        self.pairs, self.order = pairs, run.generator("meta-order")
        self.network = MetaNetwork(run.n_bits, self.hidden).to(run.device)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=self.meta_rate)
        self.learner: Learner | None = None
        return PairTrust(pairs.image.new_ones(len(pairs)))

    def _right_and_mismatched(self, rows: Tensor) -> tuple[Batch, Tensor]:
        """Trusted pairs, then their images with captions of other trusted pairs."""
        curated = self.pairs.as_trusted()
        image, text = curated.image[rows], curated.text[rows]
        both = TrainingPairs(image.repeat(2, 1), torch.cat([text, text.roll(-1, 0)]))
        right = torch.cat([image.new_ones(len(rows)), image.new_zeros(len(rows))])
        return both.rows(torch.arange(len(both), device=image.device)), right

    def _shuffled(self) -> Tensor:
        return self.rows[torch.randperm(len(self.rows), generator=self.order, device=self.rows.device)]

    def weigh_batch(self, batch: Batch, learner: Learner) -> None:
        """One meta step. The weights of the last epoch's mixture stand: None is returned."""
        self.learner = learner
        trusted, right = self._right_and_mismatched(self._shuffled()[: self.batch_size])
        with torch.enable_grad():
            _, gradients, _ = meta_gradient(self.network, learner, batch, trusted, right, self.virtual_rate)
        for parameter, gradient in zip(self.network.parameters(), gradients, strict=True):
            parameter.grad = gradient
        self.optimiser.step()

    @torch.no_grad()
    def _scores(self, learner: Learner, batch: Batch) -> Tensor:
        return torch.cat([
            self.network(similarity_vector(learner, batch.pairs.rows(part))) for part in batch.rows.split(4096)
        ])  # fmt: skip

    def observe(self, evidence: Evidence, run: Run) -> PairTrust | None:
        """The mixture, once there was a meta step."""
        if self.learner is None:
            return None
        everything = torch.arange(len(self.pairs), device=run.device)
        scores = self._scores(self.learner, self.pairs.rows(everything))
        batch, right = self._right_and_mismatched(self.rows)
        of_trusted = self._scores(self.learner, batch).double().clamp(1e-3, 1 - 1e-3).cpu().numpy()
        known = right.cpu().numpy() > 0.5
        start = (beta_moments(of_trusted[~known]), beta_moments(of_trusted[known]))
        weight = beta_mixture(scores, start=start).upper
        return PairTrust(torch.where(weight > 0.5, weight, torch.zeros_like(weight)) if self.purify else weight)
