"""DGCPN against slow restatements of the authors' program: graph, loss, and the three updates of each batch."""

from __future__ import annotations

import copy

import pytest
import torch
from harness_plugins.graph_hashing.dgcpn import Dgcpn, Graph
from torch.nn.functional import mse_loss, normalize

from harness.plugin.interfaces import PairTrust, TrainingPairs
from harness.plugin.loading import load_registry
from harness.runtime.context import RunContext

N, BITS = 40, 7


def pairs(n: int = N, above_zero: bool = True) -> TrainingPairs:
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(n, 6, generator=generator).double()
    text = torch.randn(n, 5, generator=generator).double()
    if above_zero:
        image, text = image.abs(), text.abs()
    return TrainingPairs(image, text, trusted=torch.zeros(n, dtype=torch.bool))


def hasher(of: TrainingPairs, **changed) -> Dgcpn:
    torch.manual_seed(3)
    settings = {
        parameter.name: parameter.default
        for parameter in load_registry(environment={}).get("hasher", "dgcpn").parameters
    }
    made = Dgcpn(**(settings | {"hidden": 12, "batch_size": 8} | changed))
    made.begin(of, (), RunContext(BITS, torch.device("cpu")))
    made.image_network.double()
    made.text_network.double()
    return made


def outputs(n: int = 8):
    generator = torch.Generator().manual_seed(2)
    z_image, z_text = (torch.randn(n, BITS, generator=generator).double().tanh() for _ in range(2))
    return z_image, z_text


def slow_targets(of: TrainingPairs, a1: float, a2: float, kept: int, scale: float):
    """``cal_similarity``, entry by entry."""
    n = len(of)
    image, text = normalize(of.image), normalize(of.text)
    m = [[float(a1 * text[i] @ text[j] + (1 - a1) * image[i] @ image[j]) for j in range(n)] for i in range(n)]
    p = []
    for i in range(n):
        near = sorted(range(n), key=lambda j: m[i][j])[-kept:]
        row = [max(m[i][j], 0) if j in near and j != i else 0.0 for j in range(n)]
        p.append([entry / sum(row) for entry in row])
    both = [[sum(p[i][k] * p[j][k] for k in range(n)) for j in range(n)] for i in range(n)]
    return torch.tensor([[2 * ((1 - a2) * m[i][j] + a2 * scale * both[i][j]) - 1 for j in range(n)] for i in range(n)])


def slow_loss(z_image, z_text, targets, weight):
    """``loss_cal`` with the weights of pairs, entry by entry."""
    n = len(weight)
    v, t = ([z / z.norm() for z in side] for side in (z_image, z_text))
    total = weight.sum()
    loss = sum(weight[i] * (v[i] @ t[i] - 1.5) ** 2 for i in range(n)) / total
    for i in range(n):
        for j in range(n):
            vv, tt, vt, tv = v[i] @ v[j], t[i] @ t[j], v[i] @ t[j], v[j] @ t[i]
            distance = 0 if i == j else sum((c - targets[i, j]) ** 2 for c in (vv, tt, vt))
            consistency = (vt - vv) ** 2 + (vt - tt) ** 2 + (vv - tt) ** 2 + (vt - tv) ** 2
            loss = loss + weight[i] * weight[j] * (distance + consistency) / total**2
    return loss


@pytest.mark.parametrize(("neighbours", "kept"), [(0.4, 16), (5.0, 5), (2000.0, N)])
def test_targets_are_those_of_the_program(neighbours, kept):
    of = pairs()
    graph = Graph(of, text_share=0.2, graph_share=0.3, neighbours=neighbours, scale=9.0)
    rows = torch.tensor([7, 3, 39, 0])
    expected = slow_targets(of, 0.2, 0.3, kept, 9.0)
    assert torch.allclose(graph.targets(rows).double(), expected[rows][:, rows].double(), atol=1e-5)


def test_negative_similarities_are_no_probabilities():
    of = pairs(above_zero=False)
    graph = Graph(of, text_share=0.2, graph_share=0.3, neighbours=0.9, scale=0.0)
    assert graph.coexistence.min() >= 0
    assert torch.allclose(graph.coexistence.sum(1), torch.ones(N).double())
    apart = TrainingPairs(torch.eye(4), torch.eye(4), trusted=torch.zeros(4, dtype=torch.bool))
    alone = Graph(apart, text_share=0.2, graph_share=0.3, neighbours=0.4, scale=0.0)
    assert torch.isfinite(alone.targets(torch.arange(4))).all()


@pytest.mark.parametrize("n", [60, 300])
def test_derived_scale_keeps_the_mean_of_the_coexistence_whatever_n_is(n):
    graph = Graph(pairs(n), text_share=0.01, graph_share=1.0, neighbours=0.4, scale=0.0)
    mean = (graph.targets(torch.arange(n)).mean().item() + 1) / 2
    assert 0.8 <= mean < 1.1
    assert graph.scale / n * 5000 == pytest.approx(4000)


@pytest.mark.parametrize("weighted", [False, True])
def test_loss_is_that_of_the_program(weighted):
    made, (z_image, z_text) = hasher(pairs()), outputs()
    targets = torch.rand(8, 8).double()
    weight = torch.rand(8).double() if weighted else torch.ones(8).double()
    expected = slow_loss(z_image, z_text, targets, weight)
    assert made.loss(z_image, z_text, targets, weight).item() == pytest.approx(expected.item(), rel=1e-12)
    assert torch.autograd.gradcheck(
        lambda a, b: made.loss(a, b, targets, weight), (z_image.requires_grad_(), z_text.requires_grad_())
    )


def test_weights_of_0_and_1_are_a_selection():
    made, (z_image, z_text), targets = hasher(pairs()), outputs(), torch.rand(8, 8).double()
    kept = torch.tensor([1, 1, 0, 1, 0, 0, 1, 1]).bool()
    selected = made.loss(z_image[kept], z_text[kept], targets[kept][:, kept], torch.ones(5).double())
    assert made.loss(z_image, z_text, targets, kept.double()).item() == pytest.approx(selected.item(), rel=1e-12)


def test_losses_of_pairs_have_the_loss_as_their_mean():
    of = pairs()
    made, batch = hasher(of), of.rows(torch.arange(9))
    z_image, z_text = made.encode_image(batch.image), made.encode_text(batch.text)
    whole = made.loss(z_image, z_text, made.graph.targets(batch.rows), torch.ones(9).double())
    assert made.pair_losses(batch).mean().item() == pytest.approx(whole.item())


def program_step(networks, optimisers, image, text, targets):
    """``train``: three updates one after the other, an optimiser for each network."""

    def loss(code_i, code_t):
        b_i, b_t, off = normalize(code_i), normalize(code_t), 1 - torch.eye(len(image)).double()
        ii, tt, it = b_i @ b_i.T, b_t @ b_t.T, b_i @ b_t.T
        distance = sum(mse_loss(c * off, targets * off) for c in (tt, it, ii))
        consistency = mse_loss(it, ii) + mse_loss(it, tt) + mse_loss(ii, tt) + mse_loss(it, it.T)
        return mse_loss(it.diagonal(), 1.5 * torch.ones(len(image)).double()) + distance + consistency

    first = loss(networks[0](image), networks[1](text))
    for optimiser in optimisers:
        optimiser.zero_grad()
    first.backward()
    for optimiser in optimisers:
        optimiser.step()
    code_i, code_t = networks[0](image), networks[1](text)
    for optimiser, half in zip(
        optimisers, ((code_i, code_t.sign().detach()), (code_i.sign().detach(), code_t)), strict=True
    ):
        optimiser.zero_grad()
        loss(*half).backward()
        optimiser.step()
    return first.item()


def test_steps_are_those_of_the_program():
    of = pairs()
    made = hasher(of)
    networks = [copy.deepcopy(made.image_network).train(), copy.deepcopy(made.text_network).train()]
    optimisers = [torch.optim.SGD(net.parameters(), lr=5e-3, momentum=0.9, weight_decay=5e-4) for net in networks]
    for at in range(4):
        batch = of.rows(torch.arange(at * 8, at * 8 + 8))
        torch.manual_seed(at)  # the same dropout masks
        expected = program_step(networks, optimisers, batch.image, batch.text, made.graph.targets(batch.rows).double())
        torch.manual_seed(at)
        assert made.step(batch, PairTrust(torch.ones(8).double())).item() == pytest.approx(expected, rel=1e-9)
    theirs = [parameter for network in networks for parameter in network.parameters()]
    for mine, other in zip(made.network_parameters(), theirs, strict=True):
        assert torch.allclose(mine, other, atol=1e-12)
