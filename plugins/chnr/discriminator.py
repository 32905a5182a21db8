"""CHNR's noise discriminator (paper, section 2.1; published ``UHND.py`` and ``controller_UNHD.py``).

A network on concatenated image and caption features that is trained on the trusted pairs against mismatched ones, with
binary cross-entropy and a gradient penalty. It never sees codes and is not updated after the trusted phase, so it can
serve any hasher.
"""

from __future__ import annotations

import torch
from harness_plugins.chnr.discriminator_gradients import COMBINATIONS, Discriminator, DiscriminatorStep
from torch import Tensor

from harness import Batch, HarnessError, Need, PairTrust, TrainingPairs
from harness.plugin.interfaces import Learner, Run
from harness.training import batches


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

    def fit(self, pairs: TrainingPairs, run: Run) -> PairTrust:
        """Train on the trusted pairs, then weigh all pairs."""
        rows = torch.nonzero(pairs.trusted)[:, 0]
        if len(rows) < 2:
            raise HarnessError(
                f"detector 'adversarial' needs at least 2 trusted pairs to mismatch them; there is {len(rows)}: raise "
                "--trusted."
            )
        trusted = pairs.as_trusted()
        self.run = run
        self.labels = self._labels(pairs, rows)
        self.network = Discriminator(pairs.image.shape[1] + pairs.text.shape[1], self.dropout).to(run.device)
        optimiser = torch.optim.AdamW(
            self.network.parameters(),
            lr=self.learning_rate,
            betas=(0.5, 0.9),
            weight_decay=self.weight_decay,
            fused=run.device.type in ("cpu", "cuda"),
        )
        order, chance = run.generator("detector-batches"), run.generator("detector-mix")
        dtype = torch.bfloat16 if run.precision == "bf16" else pairs.image.dtype
        images, texts = ([view.to(dtype) for view in views] for views in self._views(trusted))
        step = DiscriminatorStep(self.network, self.penalty, dtype, run.generator("detector-dropout"))
        for epoch in range(self.epochs):
            losses, probabilities = [], []
            for chosen in batches(rows, self.batch_size, order, smallest=2):
                batch = trusted.rows(chosen)
                partners = self._partners(batch)
                mixes = torch.rand(*partners.shape, texts[0].shape[1], generator=chance, device=run.device).to(dtype)
                losses.append(
                    step([view[chosen] for view in images], [view[chosen] for view in texts], partners, mixes)
                )
                optimiser.step()
                if epoch == self.epochs - 1 and self.dropout_in_weights:
                    probabilities.append(self._right_and_mismatched(batch, partners[0]))
            run.report(phase="detector", epoch=epoch + 1, epochs=self.epochs, loss=torch.stack(losses).mean())
        self.network.train(self.dropout_in_weights)
        if not self.dropout_in_weights:
            batch = trusted.rows(rows)
            probabilities = [self._right_and_mismatched(batch, self._partners(batch)[0])]
        # Half way between right and mismatched trusted pairs; each tensor holds as many of one as of the other.
        self.threshold = torch.cat(probabilities).mean()
        return PairTrust(
            torch.cat(
                [self._weight(pairs.rows(part)) for part in torch.arange(len(pairs), device=run.device).split(8192)]
            )
        )

    def weigh_batch(self, batch: Batch, learner: Learner) -> Tensor | None:
        """With dropout in the weights (B7) they differ from batch to batch; otherwise those of :meth:`fit` stand."""
        return self._weight(batch) if self.dropout_in_weights else None

    @torch.no_grad()
    def _probability(self, image: Tensor, text: Tensor) -> Tensor:
        """(n,) probability that pairs are right.

        In full precision where it is computed once; with dropout (B7) it is noisy anyhow and computed for each batch.
        """
        concatenated = torch.cat([image, text], dim=1)
        if not self.dropout_in_weights:
            return self.network(concatenated).sigmoid()
        with self.run.autocast():
            return self.network(concatenated).to(image.dtype).sigmoid()

    def _right_and_mismatched(self, batch: Batch, partners: Tensor) -> Tensor:
        """(2b,) probabilities of the pairs of a batch, then of the mismatched ones."""
        text = batch.text
        return torch.cat([self._probability(batch.image, text), self._probability(batch.image, text[partners])])

    def _weight(self, batch: Batch) -> Tensor:
        probability = self._probability(batch.image, batch.text)
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

    def _views(self, pairs: TrainingPairs) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The image and its augmented view, the caption and its own; one tensor where the original stands for both."""
        augmented_text = pairs.text_views[:1] if self.augmented_text == "use" else ()
        return (pairs.image, *pairs.image_views[:1]), (pairs.text, *augmented_text)

    def _partners(self, batch: Batch) -> Tensor:
        """(4, b) for each combination and row another row, drawn evenly among those allowed, with replacement."""
        n = len(batch)
        place = torch.arange(n, device=batch.rows.device)
        if self.labels is None:
            return (place + torch.randint(1, n, (len(COMBINATIONS), n), device=place.device)) % n
        labels = self.labels[batch.rows].float()
        allowed = labels @ labels.T == 0
        # Where a batch holds one class only, the program never ends (B11); any other row serves here.
        lonely = ~allowed.any(dim=1, keepdim=True)
        allowed = torch.where(lonely, place[:, None] != place, allowed)
        return torch.multinomial(allowed.float(), len(COMBINATIONS), replacement=True).T
