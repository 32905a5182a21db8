"""CHNR's noise discriminator (paper, section 2.1; published ``UHND.py`` and ``controller_UNHD.py``).

A network on concatenated image and caption features that is trained on the trusted pairs against mismatched ones, with
binary cross-entropy and a gradient penalty. It never sees codes and is not updated after the trusted phase, so it can
serve any hasher.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from harness import Batch, HarnessError, Need, PairTrust, TrainingPairs
from harness.training import batches


class Discriminator(nn.Module):
    """Three hidden layers as wide as the input, ReLU and dropout after each, one logit."""

    def __init__(self, d: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(d, d), nn.Linear(d, d), nn.Linear(d, d)])
        self.last = nn.Linear(d, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, pairs: Tensor) -> Tensor:
        """(n, d) concatenated features to (n,) logits."""
        for layer in self.layers:
            pairs = self.dropout(layer(pairs).relu())
        return self.last(pairs)[:, 0]

    def input_gradient(self, pairs: Tensor) -> Tensor:
        """(n, d) gradient of each logit by its input, differentiable by the weights.

        For a ReLU network it is a product of masked weight matrices, W1' m1 W2' m2 W3' m3 w, where the masks m (ReLU
        and dropout) have no gradient: the same numbers as double backward, without it.
        """
        masks = []
        with torch.no_grad():
            for layer in self.layers:
                before = layer(pairs)
                masks.append(self.dropout((before > 0).to(pairs.dtype)))
                pairs = before * masks[-1]
        gradient = self.last.weight.expand(len(pairs), -1)
        for layer, mask in zip(reversed(self.layers), reversed(masks), strict=True):
            gradient = (gradient * mask) @ layer.weight
        return gradient


def discriminator_loss(network: Discriminator, real: Tensor, fake: Tensor, mix: Tensor, penalty: float) -> Tensor:
    """-mean log s(D(real)) - mean log(1 - s(D(fake))) + penalty x mean (||grad D(u)||_2 - 1)^2.

    Args:
        network: The discriminator.
        real: (n, d) right pairs.
        fake: (n, d) mismatched pairs.
        mix: (n, d) uniform in [0, 1], one for each element: u = mix x real + (1 - mix) x fake.
        penalty: Factor of the gradient penalty.

    Returns:
        The loss, 0-d.
    """
    wrong = softplus(-network(real)).mean() + softplus(network(fake)).mean()
    gradient = network.input_gradient(mix * real + (1 - mix) * fake)
    return wrong + penalty * ((gradient.norm(2, dim=1) - 1) ** 2).mean()


class AdversarialDetector:
    """Trains the discriminator on the trusted pairs; weight of a pair = probability that it is right,
    or a function of it.
    """

    def __init__(
        self, *, weights: str, epochs: int, batch_size: int, learning_rate: float, weight_decay: float, dropout: float,
        penalty: float, augmented_text: str, mismatches: str, dropout_in_weights: bool,
    ) -> None:  # fmt: skip
        self.weights, self.epochs, self.batch_size = weights, epochs, batch_size
        self.learning_rate, self.weight_decay, self.dropout, self.penalty = (
            learning_rate,
            weight_decay,
            dropout,
            penalty,
        )
        self.augmented_text, self.mismatches, self.dropout_in_weights = augmented_text, mismatches, dropout_in_weights

    def fit(self, pairs: TrainingPairs, run) -> PairTrust:
        """Train on the trusted pairs, then weigh all pairs."""
        rows = torch.nonzero(pairs.trusted)[:, 0]
        if len(rows) < 2:
            raise HarnessError(
                f"detector 'adversarial' needs at least 2 trusted pairs to mismatch them; there is {len(rows)}: raise "
                "--trusted."
            )
        trusted = pairs.as_trusted()
        self.labels = self._labels(pairs, rows)
        self.network = Discriminator(pairs.image.shape[1] + pairs.text.shape[1], self.dropout).to(run.device)
        optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=self.learning_rate, betas=(0.5, 0.9), weight_decay=self.weight_decay
        )
        order = run.generator("detector-batches")
        for epoch in range(self.epochs):
            losses, probabilities = [], []
            for chosen in batches(rows, self.batch_size, order, smallest=2):
                reals, fakes = self._pairs_of(trusted.rows(chosen))
                optimiser.zero_grad()
                loss = sum(
                    discriminator_loss(self.network, real, fake, torch.rand_like(real), self.penalty)
                    for real, fake in zip(reals, fakes, strict=True)
                )
                loss.backward()
                optimiser.step()
                losses.append(loss.detach())
                if epoch == self.epochs - 1 and self.dropout_in_weights:
                    probabilities.append(self._probability(torch.cat([reals[0], fakes[0]])))
            run.report(phase="detector", epoch=epoch + 1, epochs=self.epochs, loss=torch.stack(losses).mean())
        self.network.train(self.dropout_in_weights)
        if not self.dropout_in_weights:
            probabilities = [self._probability(torch.cat([view[0] for view in self._pairs_of(trusted.rows(rows))]))]
        # Half way between right and mismatched trusted pairs; each tensor holds as many of one as of the other.
        self.threshold = torch.cat(probabilities).mean()
        return PairTrust(
            torch.cat(
                [self._weight(pairs.rows(part)) for part in torch.arange(len(pairs), device=run.device).split(8192)]
            )
        )

    def weigh_batch(self, batch: Batch, learner) -> Tensor | None:
        """With dropout in the weights (B7) they differ from batch to batch; otherwise those of :meth:`fit` stand."""
        return self._weight(batch) if self.dropout_in_weights else None

    @torch.no_grad()
    def _probability(self, concatenated: Tensor) -> Tensor:
        return self.network(concatenated).sigmoid()

    def _weight(self, batch: Batch) -> Tensor:
        probability = self._probability(torch.cat([batch.image, batch.text], dim=1))
        if self.weights == "cubed":
            return probability**3
        if self.weights == "discrete":
            return (probability > self.threshold).to(probability.dtype)
        return probability if self.weights == "normal" else torch.ones_like(probability)

    def _labels(self, pairs: TrainingPairs, rows: Tensor) -> Tensor | None:
        """(n, n_classes) bool labels for drawing mismatches, or None."""
        if self.mismatches == "any":
            return None
        labels = pairs.granted[Need.CLASS_LABELS]
        if labels.ndim == 1:
            labels = labels[:, None] == labels.unique()[None, :]
        if self.mismatches == "other-class":
            return labels
        # B3: the program looks the label of the k-th trusted pair up at place k of all training pairs.
        order = pairs.granted[Need.SOURCE_ORDER]
        misread = labels.clone()
        misread[rows[order[rows].argsort()]] = labels[order.argsort()][: len(rows)]
        return misread

    def _pairs_of(self, batch: Batch) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Right and mismatched pairs of a batch, (b, d) each,
        in the four combinations of original and augmented views.
        """
        image = batch.image
        image_view = batch.image_views[0] if batch.image_views else image
        text = batch.text
        text_view = batch.text_views[0] if batch.text_views and self.augmented_text == "use" else text
        combinations = [(image, text), (image_view, text_view), (image, text_view), (image_view, text)]
        reals = [torch.cat(pair, dim=1) for pair in combinations]
        fakes = [torch.cat([left, right[self._partners(batch)]], dim=1) for left, right in combinations]
        return reals, fakes

    def _partners(self, batch: Batch) -> Tensor:
        """(b,) for each row another row of the batch, drawn evenly among those allowed, with replacement."""
        n = len(batch)
        place = torch.arange(n, device=batch.rows.device)
        if self.labels is None:
            return (place + torch.randint(1, n, (n,), device=place.device)) % n
        labels = self.labels[batch.rows].float()
        allowed = (labels @ labels.T == 0).float()
        # Where a batch holds one class only, the program never ends (B11); any other row serves here.
        lonely = allowed.sum(dim=1) == 0
        allowed[lonely] = 1.0
        allowed[lonely, place[lonely]] = 0.0
        return torch.multinomial(allowed, 1)[:, 0]
