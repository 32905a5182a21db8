"""Data for the shallow hashers, and what the public programs compute, stated anew: slow, in numpy, one pair at a time.

Each function takes the random start of the hasher that it is compared with, features with samples in rows, and returns
one output matrix for each modality, whose signs are the codes of the training pairs.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
import torch
from harness_plugins.shallow_hashing import HASHERS, RELEASED

from harness.plugin.interfaces import PairTrust, TrainingPairs
from harness.plugin.loading import load_registry
from harness.runtime.context import RunContext

CPU = torch.device("cpu")
REGISTRY = load_registry(environment={})
NAMES = tuple(HASHERS)


def two_views(n: int = 60, d_x: int = 9, d_y: int = 7, shared: int = 4, seed: int = 0):
    """Two noisy linear views of one latent, float32 values in float64, not centred; and weights."""
    random = np.random.default_rng(seed)
    latent = random.normal(size=(n, shared)) * np.linspace(2, 0.5, shared)
    x = latent @ random.normal(size=(shared, d_x)) + random.normal(size=(n, d_x)) + 0.7
    y = latent @ random.normal(size=(shared, d_y)) + random.normal(size=(n, d_y)) - 0.4
    return *(view.astype(np.float32).astype(float) for view in (x, y)), random.uniform(0.1, 1, n)


def run_of(bits: int, seed: int = 0, listener=lambda progress: None) -> RunContext:
    return RunContext(bits, CPU, seed, listener=listener)


def made(name: str, **settings):
    """A hasher with its defaults but for these settings."""
    declared = REGISTRY.get("hasher", name)
    return declared.load()(**{parameter.name: parameter.default for parameter in declared.parameters} | settings)


def released(name: str, **settings):
    """A hasher as the preset ``released`` makes it."""
    return made(name, **(RELEASED[name] or {}) | settings)


def fit(hasher, x, y, bits: int = 6, weight=None, seed: int = 0, listener=lambda progress: None):
    pairs = TrainingPairs(
        image=torch.as_tensor(x).float(), text=torch.as_tensor(y).float(), trusted=torch.zeros(len(x), dtype=torch.bool)
    )
    weight = torch.ones(len(x)) if weight is None else torch.as_tensor(weight, dtype=torch.float32)
    hasher.fit(pairs, PairTrust(weight), run_of(bits, seed, listener))
    return hasher


def outputs(hasher, x, y) -> tuple[np.ndarray, np.ndarray]:
    return (
        hasher.encode_image(torch.as_tensor(x).float()).numpy(),
        hasher.encode_text(torch.as_tensor(y).float()).numpy(),
    )


def codes(hasher, x, y) -> np.ndarray:
    return np.concatenate([output > 0 for output in outputs(hasher, x, y)])


# -- the programs


def cvh_program(x, y, bits: int):
    """The function CVH_learn: largest eigenvectors of Cxy Cyy Cxy' against Cxx; raw features."""
    c_xx, c_yy = (view.T @ view + 1e-4 * np.eye(view.shape[1]) for view in (x, y))
    c_xy = x.T @ y
    values, vectors = scipy.linalg.eig(c_xy @ c_yy @ c_xy.T, c_xx)
    best = np.argsort(values.real)[::-1][:bits]
    w_x = vectors.real[:, best]
    w_y = np.linalg.inv(c_yy) @ c_xy.T @ w_x / np.sqrt(values.real[best])
    return x @ w_x, y @ w_y


def imh_program(x, y, bits: int, neighbours: int = 1, beta: float = 1.0, smoothness: float = 1.0):
    """The function IMH_learn with all pairs known, embeddings of both modalities tied by 10^10; training medians."""
    n, tie = len(x), 1e10 * np.eye(len(x))
    fixed, laplacians = [], []
    for view in (x, y):
        hat = view @ np.linalg.inv(view.T @ view + beta * np.eye(view.shape[1])) @ view.T
        fixed.append(np.eye(n) - hat)
        graph = np.zeros((n, n))
        for p in range(n):
            distance = [((view[p] - view[q]) ** 2).sum() if q != p else -1 for q in range(n)]
            for q in np.argsort(distance)[1 : neighbours + 1]:
                graph[p, q] = 1
        graph = (graph + graph.T) / 2
        laplacians.append(np.diag(graph.sum(1)) - graph)
    follow = np.linalg.solve(fixed[1] + smoothness * laplacians[1] + tie, tie)
    apart = np.eye(n) - follow
    matrix = fixed[0] + follow.T @ fixed[1] @ follow + apart.T @ tie @ apart
    matrix = matrix + smoothness * laplacians[0] + smoothness * follow.T @ laplacians[1] @ follow
    _, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    embedding = vectors[:, :bits]
    found = []
    for view, target in ((x, embedding), (y, follow @ embedding)):
        low = view @ np.linalg.solve(view.T @ view + beta * np.eye(view.shape[1]), view.T @ target)
        found.append(low - np.median(low, axis=0))
    return found


def cmfh_program(x, y, factor, functions, sweeps: int = 25, mu: float = 100.0, gamma: float = 0.01):
    """The function CMFH_learn on centred features, its W update with mu inside the inverse."""
    views = [view - view.mean(0) for view in (x, y)]
    k = factor.shape[1]
    for _ in range(sweeps):
        bases = [np.linalg.inv(factor.T @ factor + gamma * np.eye(k)) @ factor.T @ view for view in views]
        above = sum(0.5 * view @ (base.T + mu * w) for view, base, w in zip(views, bases, functions, strict=True))
        below = sum(0.5 * (base @ base.T + mu * np.eye(k) + gamma * np.eye(k)) for base in bases)
        factor = above @ np.linalg.inv(below)
        functions = [
            np.linalg.inv(mu * (mu * view.T @ view + gamma * np.eye(view.shape[1]))) @ view.T @ factor for view in views
        ]
    return [view @ w for view, w in zip(views, functions, strict=True)]


def fsh_similarities(views, anchors, neighbours: int, squared: bool):
    """Both parts of the fused similarity, pair by pair and anchor by anchor, and the two kernels of the anchors."""

    def near(row, others):
        return np.argsort([np.linalg.norm(row - other) for other in others], kind="stable")[:neighbours]

    n, m = len(views[0]), len(anchors[0])
    kernels = []
    for anchor in anchors:
        distance = np.array([[np.linalg.norm(one - other) for other in anchor] for one in anchor])
        kernels.append(np.exp(-(distance**2 if squared else distance) / 2))
    parts = np.zeros((2, n, m))
    for i in range(n):
        for j in range(m):
            for t in (0, 1):
                rows, columns = near(views[t][i], anchors[t]), near(anchors[1 - t][j], anchors[1 - t])
                parts[t, i, j] = sum(kernels[t][p, q] for p in rows for q in columns) / neighbours**2
    return parts, kernels


def fsh_program(x, y, drawn, functions, iterations: int, neighbours: int = 10, balance: float = 300.0):
    """The functions testFSH and trainFSH, for anchors at the rows ``drawn``."""
    views = [view / np.linalg.norm(view, axis=1, keepdims=True) for view in (x, y)]
    views = [view - view.mean(0) for view in views]
    anchors = [view[drawn] for view in views]
    (part_x, part_y), kernels = fsh_similarities(views, anchors, neighbours, squared=False)
    share, anchor_codes = 0.5, anchors[1] @ functions[1]
    for _ in range(iterations):
        similarity = share * part_x + (1 - share) * part_y
        found = np.sign(
            similarity @ anchor_codes + 2 * balance * sum(v @ w for v, w in zip(views, functions, strict=True))
        )
        anchor_codes = np.sign(similarity.T @ found)
        functions = [np.linalg.solve(view.T @ view, view.T @ found) for view in views]
        first, second = (
            np.trace(kernel - anchor_codes @ found.T @ part)
            for kernel, part in zip(kernels, (part_x, part_y), strict=True)
        )
        share = (0.5 * first) ** 2 / (0.5 * first + 0.5 * second) ** 2
    return [view @ w for view, w in zip(views, functions, strict=True)]


def rfdh_codes_program(x, y, b, iterations: int = 20, exponent: float = 3.0, gamma: float = 1e-4):
    """The first half of the function solveRFDHLinear: joint codes, (n, k) of 0 and 1, from a random start."""
    n, k = b.shape
    views, b = (x, y), b.copy()
    half = int(np.floor(n / 2 + 0.5))

    def errors(basis):
        rows = [view - b @ f for view, f in zip(views, basis, strict=True)]
        return rows, [1 / np.sqrt((row**2).sum(1) + 2.2e-16) for row in rows]

    basis = [np.linalg.inv(b.T @ b + gamma * np.eye(k)) @ b.T @ view for view in views]
    rows, inverse = errors(basis)
    for _ in range(iterations):
        grown = [
            (exponent * (d[:, None] * row**2).sum()) ** (1 / (exponent - 1))
            for row, d in zip(rows, inverse, strict=True)
        ]
        powers = [(one / sum(grown)) ** exponent for one in grown]
        for _ in range(5):
            before = b.copy()
            for bit in range(k):
                others = [at for at in range(k) if at != bit]
                cost = np.zeros(n)
                for view, f, d, power in zip(views, basis, inverse, powers, strict=True):
                    for i in range(n):
                        rest = b[i, others] @ f[others] - view[i]
                        cost[i] += power * d[i] * (f[bit] @ rest + 0.5 * f[bit] @ f[bit])
                b[:, bit] = 0
                b[np.argsort(cost, kind="stable")[:half], bit] = 1
            if np.array_equal(before, b):
                break
        basis = [
            np.linalg.inv(b.T @ (b * d[:, None]) + gamma / power * np.eye(k)) @ b.T @ (view * d[:, None])
            for view, d, power in zip(views, inverse, powers, strict=True)
        ]
        rows, inverse = errors(basis)
    return b


def rfdh_functions_program(x, y, b, rotation, latent, offsets, gamma: float = 1e-4, eta: float = 10.0):
    """The second half: outputs of both modalities from the joint codes and a random start.

    The program has samples in columns and codes R (P x - u); here R is what is multiplied from the right, its
    transpose.
    """
    codes = 2 * b - 1
    rotation, k = rotation.T, b.shape[1]
    views = (x, y)
    for _ in range(5):
        functions = [
            np.linalg.inv(view.T @ view + gamma * np.eye(view.shape[1])) @ view.T @ (latent + u)
            for view, u in zip(views, offsets, strict=True)
        ]
        found = [view @ p for view, p in zip(views, functions, strict=True)]
        above = sum(f - u for f, u in zip(found, offsets, strict=True)) + eta * codes @ rotation
        latent = above @ np.linalg.inv(eta * rotation.T @ rotation + 2 * np.eye(k))
        rotation = latent.T @ codes @ np.linalg.inv(codes.T @ codes + gamma * np.eye(k))
        offsets = [(f - latent).mean(0) for f in found]
    return [(view @ p - u) @ rotation.T for view, p, u in zip(views, functions, offsets, strict=True)]
