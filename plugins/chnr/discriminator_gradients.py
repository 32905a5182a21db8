"""One training step of CHNR's discriminator: loss and gradients written out, without automatic differentiation.

A network of linear layers, ReLU and dropout is linear wherever its gates (which units pass, with the factor of dropout)
stay the same. With gates G1, G2, G3, weights W1, W2, W3 and last weights w, the gradient of the logit by the input is

    W1' G1 W2' G2 W3' G3 w.

The same descending products Y3 = G3 w, Y2 = G2 W3' Y3, Y1 = G1 W2' Y2 serve two ends: multiplied with dL/dlogit they
are the backward pass of the cross-entropy, and one product further they are the gradient whose norm is penalised. So
right, mismatched and mixed pairs pass every layer in one matrix product, and the penalty needs no double backward.

Names: h1, h2, h3 are what the layers give, times their gates. y3, y2, y1 are the products above, and y0 = W1' y1 is the
gradient by the input, of mixed pairs alone. Each is a matrix with a row for each pair (:class:`Rows`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

COMBINATIONS = ((0, 0), (1, 1), (0, 1), (1, 0))
"""Image view and caption view of the four combinations, 0 the original and 1 the augmented one (paper, section 2.1)."""


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


class Rows:
    """Which pair each row of the matrices belongs to: blocks of b rows, first right, then mismatched, then mixed pairs.

    Attributes:
        b: Rows of a block, the batch size.
        views: Image view and caption view of each of the four combinations; a missing view is replaced by the original.
        counts: Each different entry of ``views`` to how often it is there, in the order of the blocks of right pairs.
        right: Blocks of right pairs, one for each entry of ``counts``.
        mismatched, mixed: Blocks of these pairs, one for each combination.
        n_judged: Rows of right and mismatched pairs, which get a logit; mixed ones follow.
        n: All rows.
    """

    def __init__(self, n_image_views: int, n_text_views: int, b: int) -> None:
        self.b = b
        self.views = [(min(i, n_image_views - 1), min(t, n_text_views - 1)) for i, t in COMBINATIONS]
        self.counts = Counter(self.views)
        n_right, n_views = len(self.counts), len(self.views)
        self.n_judged, self.n = (n_right + n_views) * b, (n_right + 2 * n_views) * b
        blocks = [slice(at, at + b) for at in range(0, self.n, b)]
        self.right, self.mismatched, self.mixed = blocks[:n_right], blocks[n_right:-n_views], blocks[-n_views:]


class DiscriminatorStep:
    """Computes loss and gradients of a batch; keeps its buffers between batches.

    The loss is, summed over the four combinations of original and augmented views,

        -mean log s(D(real)) - mean log(1 - s(D(fake))) + penalty x mean (||grad D(u)||_2 - 1)^2,
        u = mix x real + (1 - mix) x fake.

    What is shared: the first layer is applied to images and captions apart, once to each view, and mismatched captions
    are gathered afterwards. Image half of u: the image of both, so it needs no product of its own. Where a view is
    missing, combinations coincide; equal right pairs then pass the network once, with one dropout mask, and count
    twice. (Mismatched and mixed pairs are drawn for each combination apart.)
    """

    def __init__(self, network: Discriminator, penalty: float, dtype: torch.dtype, generator: torch.Generator) -> None:
        """Args:
        network: The discriminator; its gradients are set at each call.
        penalty: Factor of the gradient penalty.
        dtype: Of matrix products and activations. Logits, loss and gradients are float32 (or the weights' dtype,
            where that is wider); sums within a product are at least float32 in any case.
        generator: Source of dropout masks.
        """
        self.network, self.penalty, self.generator = network, penalty, generator
        self.dtype = dtype
        self.wide = torch.promote_types(torch.float32, dtype)
        self.buffers: dict[str, Tensor] = {}
        self.constants: dict[tuple[int, ...], tuple[Tensor, Tensor]] = {}

    def _buffer(self, name: str, rows: int, columns: int, dtype: torch.dtype | None = None) -> Tensor:
        """(rows, columns), contents left from before; large temporary tensors cost page faults on a CPU."""
        dtype = dtype or self.dtype
        held = self.buffers.get(name)
        if held is None or len(held) < rows or held.shape[1] != columns:
            device = self.network.last.weight.device
            held = self.buffers[name] = torch.empty(rows, columns, dtype=dtype, device=device)
        return held[:rows]

    def _gates(self, name: str, before: Tensor) -> Tensor:
        """(n, d) 0 where ReLU or dropout closes the unit, otherwise the factor of dropout."""
        gates = self._buffer(name, *before.shape)
        dropped = self.network.dropout.p
        if not dropped:
            return torch.gt(before, 0, out=gates)
        # 16 random bits for each unit, four units for each number drawn: several times faster than bernoulli_ on a CPU.
        # The share of dropped units is exact to 1/65536.
        n_words = -(-before.numel() // 4)
        words = self._buffer("random", n_words, 1, torch.int64)
        words.random_(-(2**63), None, generator=self.generator)
        bits = words.view(torch.int16).view(-1)[: before.numel()].view(before.shape)
        torch.ge(bits, round(dropped * 2**16) - 2**15, out=gates)
        gates.mul_(1 / (1 - dropped))
        # gates where before > 0, otherwise 0, in one pass.
        return torch.ops.aten.threshold_backward.grad_input(gates, before, 0, grad_input=gates)

    def _counts_and_signs(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """(n_judged,) how often each row counts in the mean, and -1 for right, 1 for mismatched pairs.

        Kept, because making a tensor from numbers would wait for the device at each step.
        """
        key = (*rows.counts.values(), rows.b)
        if key not in self.constants:
            device = self.network.last.weight.device
            counts = [*rows.counts.values(), *([1] * len(rows.mismatched))]
            signs = [-1.0] * len(rows.right) + [1.0] * len(rows.mismatched)
            made = (torch.tensor(values, dtype=self.wide, device=device) for values in (counts, signs))
            times, sign = (values.repeat_interleave(rows.b) for values in made)
            self.constants[key] = (times / rows.b, sign)
        return self.constants[key]

    @torch.no_grad()
    def __call__(self, images: Sequence[Tensor], texts: Sequence[Tensor], partners: Tensor, mixes: Tensor) -> Tensor:
        """Set the gradients of the network's parameters.

        Args:
            images: One or two views, (b, d_image) each, in the dtype of products.
            texts: One or two views, (b, d_text) each, in the dtype of products.
            partners: (4, b) int64, for each combination and row the row whose caption makes the mismatched pair.
            mixes: (4, b, d_text) uniform in [0, 1], in the dtype of products. One for each element of u; those of the
                image half have no effect, as both pairs have the same image.

        Returns:
            The loss, 0-d, left on the device.
        """
        network, d = self.network, self.network.last.in_features
        rows = Rows(len(images), len(texts), len(images[0]))
        b, n, n_judged = rows.b, rows.n, rows.n_judged
        layers = [layer for layer in network.layers if isinstance(layer, nn.Linear)]  # all of them
        weights = [layer.weight.to(self.dtype) for layer in layers]
        biases = [layer.bias.to(self.dtype) for layer in layers]

        # Up: activations and gates of all rows, and the logits of judged ones.
        h1 = self._first_layer(rows, images, texts, partners, mixes, weights[0], biases[0])
        gates1 = self._gates("gates1", h1)
        h1.mul_(gates1)
        h2 = torch.addmm(biases[1], h1, weights[1].T, out=self._buffer("h2", n, d))
        gates2 = self._gates("gates2", h2)
        h2.mul_(gates2)
        h3 = torch.addmm(biases[2], h2, weights[2].T, out=self._buffer("h3", n, d))
        gates3 = self._gates("gates3", h3)
        h3[:n_judged].mul_(gates3[:n_judged])
        last = network.last.weight[0]
        logits = h3[:n_judged].to(self.wide) @ last + network.last.bias
        times, sign = self._counts_and_signs(rows)
        loss = (times * softplus(sign * logits)).sum()
        slope = (times * sign * (sign * logits).sigmoid())[:, None]  # dL/dlogit

        # Down: y3, y2, y1, and for mixed pairs the gradient by the input, whose norm is penalised.
        y3 = torch.mul(gates3, last.to(self.dtype), out=h3)
        y2 = torch.mm(y3, weights[2], out=self._buffer("y2", n, d)).mul_(gates2)
        y1 = torch.mm(y2, weights[1], out=self._buffer("y1", n, d)).mul_(gates1)
        y0 = torch.mm(y1[n_judged:], weights[0], out=self._buffer("y0", n - n_judged, d))
        norm = torch.linalg.vector_norm(y0, dim=1, keepdim=True, dtype=self.wide)
        loss += self.penalty * ((norm - 1) ** 2).sum() / b

        # A weight's gradient is y of its output times, for judged pairs, slope and h of its input, and for mixed pairs
        # what dL/dy0 becomes on the way up to it. These second factors now replace h1 and h2.
        d_y0 = y0.mul_((2 * self.penalty / b) * (1 - 1 / norm.clamp(min=1e-12)))
        narrow = slope.to(self.dtype)
        torch.mm(d_y0, weights[0].T, out=h1[n_judged:]).mul_(gates1[n_judged:])
        torch.mm(h1[n_judged:], weights[1].T, out=h2[n_judged:]).mul_(gates2[n_judged:])
        h1[:n_judged].mul_(narrow)
        h2[:n_judged].mul_(narrow)

        # Last layer and third. dL/dW3 = w x product, so that dL/dw can be read off the same product.
        product = torch.mm(gates3.T, h2).to(self.wide)
        judged3 = gates3[:n_judged].T.mv(narrow[:, 0]).to(self.wide)
        _set(layers[2].weight, product * last[:, None])
        _set(layers[2].bias, judged3 * last)
        of_last = (product * layers[2].weight).sum(1) + judged3 * layers[2].bias
        _set(network.last.weight, of_last[None])
        _set(network.last.bias, slope.sum()[None])
        # Second layer.
        _set(layers[1].weight, torch.mm(y2.T, h1))
        _set(layers[1].bias, y2[:n_judged].T.mv(narrow[:, 0]))
        # First layer.
        by_image, by_text = self._by_views(rows, y1[:n_judged].mul_(narrow), len(images), len(texts), partners)
        _set(layers[0].bias, by_image.sum((0, 1)))
        first = torch.mm(y1[n_judged:].T, d_y0).to(self.wide)
        d_image = images[0].shape[1]
        first[:, :d_image] += by_image.flatten(0, 1).to(self.dtype).T @ _stacked(images)
        first[:, d_image:] += by_text.flatten(0, 1).to(self.dtype).T @ _stacked(texts)
        _set(layers[0].weight, first)
        return loss

    def _first_layer(
        self, rows: Rows, images: Sequence[Tensor], texts: Sequence[Tensor], partners: Tensor, mixes: Tensor,
        weight: Tensor, bias: Tensor,
    ) -> Tensor:  # fmt: skip
        """(n, d) the first layer before its gates: its image half and its caption half, each computed once and added.

        Args:
            rows: What the rows are.
            images, texts, partners, mixes: See :meth:`__call__`.
            weight: (d, d_image + d_text), in the dtype of products.
            bias: (d,), in the dtype of products.
        """
        d_image = images[0].shape[1]
        of_image, of_text = weight[:, :d_image], weight[:, d_image:]
        from_image = (_stacked(images) @ of_image.T).split(rows.b)
        from_text = torch.addmm(bias, _stacked(texts), of_text.T).split(rows.b)
        h1 = self._buffer("h1", rows.n, len(bias))
        for (i, t), block in zip(rows.counts, rows.right, strict=True):
            torch.add(from_image[i], from_text[t], out=h1[block])
        mixed_text = self._buffer("mixed-text", rows.n - rows.n_judged, texts[0].shape[1])
        mixed_parts = mixed_text.split(rows.b)
        for place, ((i, t), block) in enumerate(zip(rows.views, rows.mismatched, strict=True)):
            torch.index_select(from_text[t], 0, partners[place], out=h1[block])
            h1[block].add_(from_image[i])
            torch.lerp(texts[t][partners[place]], texts[t], mixes[place], out=mixed_parts[place])
        torch.addmm(bias, mixed_text, of_text.T, out=h1[rows.n_judged :])
        for (i, _), block in zip(rows.views, rows.mixed, strict=True):
            h1[block].add_(from_image[i])
        return h1

    def _by_views(
        self, rows: Rows, back: Tensor, n_image_views: int, n_text_views: int, partners: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The way back through :meth:`_first_layer`: the sum of what comes to each image and to each caption.

        Args:
            rows: What the rows are.
            back: (n_judged, d) dL/d(first layer before its gates).
            n_image_views, n_text_views: Views there are.
            partners: See :meth:`__call__`.

        Returns:
            (n_image_views, b, d) and (n_text_views, b, d).
        """
        by_image, by_text = (
            torch.zeros(views, rows.b, back.shape[1], dtype=self.wide, device=back.device)
            for views in (n_image_views, n_text_views)
        )
        for (i, t), block in zip(rows.counts, rows.right, strict=True):
            by_image[i] += back[block]
            by_text[t] += back[block]
        for (i, t), block, partner in zip(rows.views, rows.mismatched, partners, strict=True):
            by_image[i] += back[block]
            # Deterministic on CUDA too, unlike index_add_.
            by_text[t].index_put_((partner,), back[block].to(self.wide), accumulate=True)
        return by_image, by_text


def _stacked(views: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(views)) if len(views) > 1 else views[0]


def _set(parameter: Tensor, gradient: Tensor) -> None:
    """Put a gradient into place, in the parameter's dtype."""
    if parameter.grad is None:
        parameter.grad = torch.empty_like(parameter)
    parameter.grad.copy_(gradient)
