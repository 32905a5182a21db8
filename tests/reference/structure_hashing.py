"""DJSRH, JDSH and DSAH entry by entry, in loops, restated from the papers and the authors' programs."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def cosine(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum() / (a.square().sum().sqrt() * b.square().sum().sqrt())


def cosine_matrix(a: Tensor, b: Tensor) -> Tensor:
    return torch.stack([torch.stack([cosine(x, y) for y in b]) for x in a])


def mean_square(difference: Tensor, weight: Tensor) -> Tensor:
    n = len(weight)
    above = sum(weight[i] * weight[j] * difference[i, j] ** 2 for i in range(n) for j in range(n))
    return above / sum(weight[i] * weight[j] for i in range(n) for j in range(n))


def feature_similarities(image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
    return 2 * cosine_matrix(image, image) - 1, 2 * cosine_matrix(text, text) - 1


def djsrh(h_image, h_text, image, text, weight, *, beta, eta, mu, lambda1, lambda2) -> Tensor:
    """The loss; the second order S~ S~^T / n is summed over the third pair k with its weight."""
    of_image, of_text = feature_similarities(image, text)
    joint = beta * of_image + (1 - beta) * of_text
    n = len(weight)
    target = torch.zeros(n, n, dtype=image.dtype)
    for i in range(n):
        for j in range(n):
            second = sum(weight[k] * joint[i, k] * joint[j, k] for k in range(n)) / weight.sum()
            target[i, j] = mu * ((1 - eta) * joint[i, j] + eta * second)
    return (
        lambda1 * mean_square(cosine_matrix(h_image, h_image) - target, weight)
        + mean_square(cosine_matrix(h_image, h_text) - target, weight)
        + lambda2 * mean_square(cosine_matrix(h_text, h_text) - target, weight)
    )


def jdsh_similarity(image, text, weight, *, alpha, beta, gamma) -> Tensor:
    of_image, of_text = feature_similarities(image, text)
    n = len(weight)
    root = weight.sqrt()
    target = torch.zeros(n, n, dtype=image.dtype)
    for i in range(n):
        for j in range(n):
            agreement = cosine(of_image[i] * root, of_text[j] * root) + cosine(of_image[j] * root, of_text[i] * root)
            target[i, j] = alpha * of_image[i, j] + beta * of_text[i, j] + gamma * agreement / 2
    return target


def jdsh_sharpened(similarity, *, left, right, smallest, largest, left_gain, right_gain) -> Tensor:
    sharp = similarity.clone()
    for i in range(len(sharp)):
        for j in range(len(sharp)):
            value = similarity[i, j]
            if value < left:
                sharp[i, j] = value * (1 + left_gain * math.exp(-(value - smallest)))
            elif value > right:
                sharp[i, j] = value * (1 + right_gain * math.exp(value - largest))
    return sharp


def jdsh(h_image, h_text, target, weight, *, intra) -> Tensor:
    own = sum(w * cosine(a, b) for w, a, b in zip(weight, h_image, h_text, strict=True)) / weight.sum()
    return (
        intra * mean_square(cosine_matrix(h_image, h_image) - target, weight)
        + mean_square(cosine_matrix(h_image, h_text) - target, weight)
        + mean_square(cosine_matrix(h_text, h_image) - target, weight)
        - own
        + intra * mean_square(cosine_matrix(h_text, h_text) - target, weight)
    )


def dsah(h_image, h_text, image, text, weight, *, to_image, to_text, alpha, k, eta, symmetry) -> Tensor:
    """``to_image`` and ``to_text`` are functions of the outputs that the features are reconstructed from."""
    of_image, of_text = feature_similarities(image, text)
    target = k * (alpha * of_image + (1 - alpha) * of_text)
    within_image, within_text = cosine_matrix(h_image, h_image), cosine_matrix(h_text, h_text)
    across = cosine_matrix(h_image, h_text)
    loss = sum(mean_square(matrix - target, weight) for matrix in (within_image, within_text, across))
    loss = loss + symmetry * mean_square(across - across.T, weight)
    loss = loss + eta * mean_square(within_image - k * of_image, weight)
    loss = loss + eta * mean_square(within_text - k * of_text, weight)
    for i in range(len(weight)):
        share = weight[i] / weight.sum()
        loss = loss + share * (across[i, i] - k) ** 2
        for decoded, feature in ((to_image(h_text[i]), image[i]), (to_text(h_image[i]), text[i])):
            loss = loss + share * ((decoded - feature / feature.norm()) ** 2).mean()
    return loss


class Port:
    """A network of the port for frozen features: x / |x| -> hidden, BN, ReLU -> K, tanh(alpha z)."""

    def __init__(self, network: torch.nn.Sequential) -> None:
        self.weights = [parameter.detach().clone().requires_grad_() for parameter in network.parameters()]

    def outputs(self, features: Tensor, alpha: float) -> Tensor:
        w1, b1, scale, shift, w2, b2 = self.weights
        before = features / features.norm(dim=1, keepdim=True) @ w1.T + b1
        centred = before - before.mean(dim=0)
        hidden = (centred / (centred.square().mean(dim=0) + 1e-5).sqrt() * scale + shift).clamp(min=0)
        return torch.tanh(alpha * (hidden @ w2.T + b2))


class Descent:
    """SGD with weight decay and momentum (Nesterov's, if asked), a step size for each list of weights."""

    def __init__(self, groups: list[tuple[list[Tensor], float]], momentum: float, decay: float, nesterov: bool) -> None:
        self.groups = [(weight, torch.zeros_like(weight), rate) for weights, rate in groups for weight in weights]
        self.momentum, self.decay, self.nesterov = momentum, decay, nesterov

    def step(self, loss: Tensor) -> None:
        gradients = torch.autograd.grad(loss, [weight for weight, _, _ in self.groups])
        with torch.no_grad():
            for (weight, speed, rate), gradient in zip(self.groups, gradients, strict=True):
                gradient = gradient + self.decay * weight
                speed.mul_(self.momentum).add_(gradient)
                weight -= rate * (gradient + self.momentum * speed if self.nesterov else speed)
