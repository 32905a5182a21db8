"""One training step of CHNR's discriminator: loss and gradients written out, without automatic differentiation.

A network of linear layers, ReLU and dropout is linear wherever its gates (which units pass, with the factor of dropout)
stay the same. With gates G1, G2, G3, weights W1, W2, W3 and last weights w, the gradient of the logit by the input is

    W1' G1 W2' G2 W3' G3 w.

The same descending products Y3 = G3 w, Y2 = G2 W3' Y3, Y1 = G1 W2' Y2 serve two ends: multiplied with dL/dlogit they
are the backward pass of the cross-entropy, and one product further they are the gradient whose norm is penalised. So
right, mismatched and mixed pairs pass every layer in one matrix product, and the penalty needs no double backward.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import softplus

COMBINATIONS = ((0, 0), (1, 1), (0, 1), (1, 0))
"""Image view and caption view of the four combinations, 0 the original and 1 the augmented one (paper, section 2.1)."""


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

    def __init__(self, network, penalty: float, dtype: torch.dtype, generator: torch.Generator) -> None:
        """Args:
        network: A :class:`harness_plugins.chnr.discriminator.Discriminator`; its gradients are set at each call.
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

    def _counts_and_signs(self, counts: Sequence[int], n_right: int, b: int) -> tuple[Tensor, Tensor]:
        """(n_judged,) how often each row counts in the mean, and -1 for right, 1 for mismatched pairs.

        Kept, because making a tensor from numbers would wait for the device at each step.
        """
        key = (*counts, n_right, b)
        if key not in self.constants:
            device = self.network.last.weight.device
            signs = [-1.0] * n_right + [1.0] * (len(counts) - n_right)
            made = (torch.tensor(values, dtype=self.wide, device=device) for values in (counts, signs))
            times, sign = (values.repeat_interleave(b) for values in made)
            self.constants[key] = (times / b, sign)
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
        network, b, d = self.network, len(images[0]), self.network.last.in_features
        d_image = images[0].shape[1]
        pairs = [(min(i, len(images) - 1), min(t, len(texts) - 1)) for i, t in COMBINATIONS]
        counts = Counter(pairs)  # right pairs, in order of first appearance
        n_real, n_mix = len(counts) * b, len(pairs) * b
        n_judged = n_real + n_mix  # right and mismatched pairs, which get a logit; mixed ones follow
        n = n_judged + n_mix
        blocks = [slice(at, at + b) for at in range(0, n, b)]
        reals, fakes, mixed = blocks[: len(counts)], blocks[len(counts) :][:4], blocks[-4:]
        weights = [layer.weight.to(self.dtype) for layer in network.layers]
        biases = [layer.bias.to(self.dtype) for layer in network.layers]
        of_image, of_text = weights[0][:, :d_image], weights[0][:, d_image:]

        # Up: activations h1, h2 and gates of all rows.
        stacked_images, stacked_texts = _stacked(images), _stacked(texts)
        from_image = (stacked_images @ of_image.T).split(b)
        from_text = torch.addmm(biases[0], stacked_texts, of_text.T).split(b)
        h1 = self._buffer("h1", n, d)
        for (i, t), block in zip(counts, reals, strict=True):
            torch.add(from_image[i], from_text[t], out=h1[block])
        mixed_text = self._buffer("mixed-text", n_mix, texts[0].shape[1])
        for place, ((i, t), block) in enumerate(zip(pairs, fakes, strict=True)):
            torch.index_select(from_text[t], 0, partners[place], out=h1[block])
            h1[block].add_(from_image[i])
            other = texts[t][partners[place]]
            torch.lerp(other, texts[t], mixes[place], out=mixed_text[place * b : (place + 1) * b])
        torch.addmm(biases[0], mixed_text, of_text.T, out=h1[n_judged:])
        for (i, _), block in zip(pairs, mixed, strict=True):
            h1[block].add_(from_image[i])
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
        times, sign = self._counts_and_signs([*counts.values(), *([1] * len(pairs))], len(counts), b)
        loss = (times * softplus(sign * logits)).sum()
        slope = (times * sign * (sign * logits).sigmoid())[:, None]  # dL/dlogit

        # Down: y3, y2, y1, and for mixed pairs the gradient by the input.
        y3 = torch.mul(gates3, last.to(self.dtype), out=h3)
        y2 = torch.mm(y3, weights[2], out=self._buffer("y2", n, d)).mul_(gates2)
        y1 = torch.mm(y2, weights[1], out=self._buffer("y1", n, d)).mul_(gates1)
        y0 = torch.mm(y1[n_judged:], weights[0], out=self._buffer("y0", n_mix, d))
        norm = torch.linalg.vector_norm(y0, dim=1, keepdim=True, dtype=self.wide)
        loss += self.penalty * ((norm - 1) ** 2).sum() / b

        # Up again for mixed pairs: dL/dy0, then through the layers; what multiplies the weights replaces h1 and h2.
        d_y0 = y0.mul_((2 * self.penalty / b) * (1 - 1 / norm.clamp(min=1e-12)))
        narrow = slope.to(self.dtype)
        torch.mm(d_y0, weights[0].T, out=h1[n_judged:]).mul_(gates1[n_judged:])
        torch.mm(h1[n_judged:], weights[1].T, out=h2[n_judged:]).mul_(gates2[n_judged:])
        h1[:n_judged].mul_(narrow)
        h2[:n_judged].mul_(narrow)

        # Gradients by the weights. dL/dW3 = w x product, so that dL/dw can be read off the same product.
        product = torch.mm(gates3.T, h2).to(self.wide)
        judged3 = gates3[:n_judged].T.mv(narrow[:, 0]).to(self.wide)
        _set(network.layers[2].weight, product * last[:, None])
        _set(network.layers[2].bias, judged3 * last)
        of_last = (product * network.layers[2].weight).sum(1) + judged3 * network.layers[2].bias
        _set(network.last.weight, of_last[None])
        _set(network.last.bias, slope.sum()[None])
        _set(network.layers[1].weight, torch.mm(y2.T, h1))
        _set(network.layers[1].bias, y2[:n_judged].T.mv(narrow[:, 0]))
        back = y1[:n_judged].mul_(narrow)
        by_image = torch.zeros(len(images), b, d, dtype=self.wide, device=last.device)
        by_text = torch.zeros(len(texts), b, d, dtype=self.wide, device=last.device)
        for (i, t), block in zip(counts, reals, strict=True):
            by_image[i] += back[block]
            by_text[t] += back[block]
        for (i, t), block, partner in zip(pairs, fakes, partners, strict=True):
            by_image[i] += back[block]
            # Deterministic on CUDA too, unlike index_add_.
            by_text[t].index_put_((partner,), back[block].to(self.wide), accumulate=True)
        _set(network.layers[0].bias, by_image.sum((0, 1)))
        first = torch.mm(y1[n_judged:].T, d_y0).to(self.wide)
        first[:, :d_image] += by_image.flatten(0, 1).to(self.dtype).T @ stacked_images
        first[:, d_image:] += by_text.flatten(0, 1).to(self.dtype).T @ stacked_texts
        _set(network.layers[0].weight, first)
        return loss


def _stacked(views: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(views)) if len(views) > 1 else views[0]


def _set(parameter: Tensor, gradient: Tensor) -> None:
    """Put a gradient into place, in the parameter's dtype."""
    if parameter.grad is None:
        parameter.grad = torch.empty_like(parameter)
    parameter.grad.copy_(gradient)
