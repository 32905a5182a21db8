"""UCCH against its equations, written out pair by pair, and against a restatement of the published program's loop."""

from __future__ import annotations

import math

import pytest
import torch
from harness_plugins.contrastive_hashing import ucch
from harness_plugins.contrastive_hashing.ucch import UCCH, contrastive_losses, hash_keys, moved_bank, ranking_losses
from torch.nn.functional import normalize

from harness.errors import HarnessError
from harness.plugin.interfaces import PairTrust, Phase, TrainingPairs
from harness.plugin.loading import load_registry
from harness.runtime.context import RunContext
from harness.training.loop import train
from harness.training.team import Team

CPU = torch.device("cpu")
PHASE = Phase("training", 20)
BITS = 12


def random_unit(n: int, seed: int = 0, dtype=torch.float64) -> torch.Tensor:
    return normalize(torch.randn(n, BITS, generator=torch.Generator().manual_seed(seed), dtype=dtype))


def some_pairs(n: int = 40, seed: int = 0) -> TrainingPairs:
    random = torch.Generator().manual_seed(seed)
    image, text = torch.randn(n, 11, generator=random), torch.randn(n, 9, generator=random)
    return TrainingPairs(image, text, trusted=torch.zeros(n, dtype=torch.bool))


def make(pairs: TrainingPairs, seed: int = 0, **changed) -> UCCH:
    declared = {p.name: p.default for p in load_registry(environment={}).get("hasher", "ucch").parameters}
    hasher = UCCH(**{**declared, "hidden": 16, "batch_size": 16, "learning_rate": 1e-2, **changed})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        hasher.begin(pairs, [PHASE], RunContext(BITS, CPU, seed))
    return hasher


def ones(n: int) -> PairTrust:
    return PairTrust(torch.ones(n))


# -- losses


def slow_contrastive(z, own, keys, negatives, temperature):
    losses = []
    for i in range(len(z)):
        positive = math.exp(float(z[i] @ own[i]) / temperature)
        others = sum(float(negatives[i, j]) * math.exp(float(z[i] @ keys[j]) / temperature) for j in range(len(keys)))
        losses.append(-math.log(positive / (positive + others)))
    return torch.tensor(losses, dtype=torch.float64)


@pytest.mark.parametrize("temperature", [0.9, 0.1])
def test_contrastive_loss_is_equation_4(temperature):
    z, keys = random_unit(5), hash_keys(random_unit(7, 1))
    negatives = torch.tensor([[0, 1, 2, 0, 1, 0.5, 1]] * 5, dtype=torch.float64)
    found = contrastive_losses(z, keys[:5], keys, negatives.clamp(min=ucch.NEVER).log(), temperature)
    torch.testing.assert_close(found, slow_contrastive(z, keys[:5], keys, negatives, temperature))


def slow_ranking(z_image, z_text, weight, margin, shift):
    n = len(z_image)
    losses = []
    for i in range(n):
        loss = 0.0
        for query, found in ((z_image, z_text), (z_text, z_image)):
            own = float(query[i] @ found[i])
            total = math.exp(own)
            for j in range(n):
                if j != i:
                    m = float(query[i] @ found[j])
                    total += float(weight[j]) * math.exp(m if own - m <= margin else m - shift)
            loss += margin + math.log(total) - own
        losses.append(loss)
    return torch.tensor(losses, dtype=torch.float64)


@pytest.mark.parametrize(("margin", "shift"), [(0.2, 1.0), (0.05, 0.1), (0.0, 0.0)])
def test_ranking_loss_is_equation_14(margin, shift):
    z_image, z_text = random_unit(6), random_unit(6, 1)
    weight = torch.tensor([1, 0.5, 0, 0.2, 1, 1], dtype=torch.float64)
    found = ranking_losses(z_image, z_text, weight, margin, shift)
    torch.testing.assert_close(found, slow_ranking(z_image, z_text, weight, margin, shift))


def test_gradients_agree_with_finite_differences():
    z_image, z_text = random_unit(5).requires_grad_(), random_unit(5, 1).requires_grad_()
    keys = hash_keys(random_unit(6, 2))
    logs = torch.tensor([[0, 1, 2, 0, 1, 0.5]] * 5, dtype=torch.float64).clamp(min=ucch.NEVER).log()
    weight = torch.tensor([1, 0.5, 0, 0.2, 1], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda z: contrastive_losses(z, keys[:5], keys, logs, 0.9), (z_image,))
    assert torch.autograd.gradcheck(lambda a, b: ranking_losses(a, b, weight, 0.2, 1.0), (z_image, z_text))


def test_keys_have_length_1_and_the_sign_of_nought_is_1():
    keys = hash_keys(torch.tensor([[0.0, -2.0, 3.0, -0.0]]))
    assert keys.tolist() == [[0.5, -0.5, 0.5, 0.5]]


def test_bank_moves_by_equation_5_or_as_the_program_does():
    bank, z_image, z_text = random_unit(4), random_unit(4, 1), random_unit(4, 2)
    momentum = torch.full((4, 1), 0.4, dtype=torch.float64)
    plain = moved_bank(bank, z_image, z_text, momentum, False)
    torch.testing.assert_close(plain, 0.4 * bank + 0.3 * z_image + 0.3 * z_text)
    released = moved_bank(bank, z_image, z_text, momentum, True)
    mean = (z_image + z_text) / (z_image + z_text).norm(dim=1, keepdim=True)
    torch.testing.assert_close(released.norm(dim=1), torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(released, normalize(0.4 * bank + 0.6 * mean))


# -- training


class Program:
    """The published program's training, restated: bank drawn with the given rows, loss, clipping, Adam, schedule."""

    def __init__(self, image_network, text_network, bank, temperature=0.9, momentum=0.4):
        self.networks, self.bank = (image_network, text_network), bank.clone()
        self.scale, self.momentum = temperature * BITS**0.5, momentum
        self.parameters = [p for network in self.networks for p in network.parameters()]
        self.optimiser = torch.optim.Adam(self.parameters, lr=1e-2, weight_decay=1e-6)

    def step(self, image, text, rows, drawn, warm: bool):
        outputs = [network(x) for network, x in zip(self.networks, (image, text), strict=True)]
        z = [output / output.norm(dim=1, keepdim=True) for output in outputs]
        n = len(rows)
        mean = (z[0] + z[1]) / 2
        if warm:
            order = torch.stack([torch.tensor([i, *(j for j in range(n) if j != i)]) for i in range(n)])
            targets = mean[order].sign().detach()
        else:
            targets = self.bank[torch.cat([rows[:, None], drawn], dim=1)].sign()
        contrast = sum(-((targets @ part[:, :, None])[..., 0] / self.scale).softmax(1)[:, 0].log().mean() for part in z)
        scores, ranking = z[0] @ z[1].T, 0.0
        for matrix in (scores, scores.T):
            own = matrix.diagonal()[:, None]
            inside = (matrix >= own - 0.2).float().detach()
            cost = matrix * inside + (1 - inside) * (matrix - 1.0)
            ranking = ranking + (-cost.diagonal() + cost.exp().sum(1).log() + 0.2).mean()
        loss = 0.9 * contrast + (1 - 0.9) * ranking
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        with torch.no_grad():
            kept = 0.0 if warm else self.momentum
            self.bank[rows] = normalize(kept * self.bank[rows] + (1 - kept) * mean / mean.norm(dim=1, keepdim=True))
        return loss.detach()

    def end_epoch(self, epoch: int) -> None:
        """MultiStepLR at 2, 4, 6, 8, told the number of the finished epoch: it falls one epoch late."""
        self.optimiser.param_groups[0]["lr"] = 1e-2 * 0.1 ** sum(fall <= epoch for fall in (2, 4, 6, 8))


def test_released_trains_step_by_step_as_the_published_program(monkeypatch):
    pairs = some_pairs()
    recipe = load_registry(environment={}).get("method", "ucch").recipe
    released = {key.removeprefix("hasher."): value for key, value in recipe.presets["released"].items()}
    hasher = make(pairs, **{**released, "negatives": "25"}, step_epochs=2)
    copies = [
        torch.nn.Sequential(
            *(type(m)(m.in_features, m.out_features) if isinstance(m, torch.nn.Linear) else m for m in network)
        )
        for network in (hasher.image_network, hasher.text_network)
    ]
    for copy, network in zip(copies, (hasher.image_network, hasher.text_network), strict=True):
        copy.load_state_dict(network.state_dict())
    program = Program(*copies, hasher.bank)
    draw = torch.randint
    for epoch in range(6):
        order = torch.randperm(40, generator=torch.Generator().manual_seed(epoch))
        for rows in order[:32].split(16):
            drawn = draw(40, (16, 25), generator=torch.Generator().manual_seed(100 + epoch))
            monkeypatch.setattr(torch, "randint", lambda *_, drawn=drawn, **__: drawn.clone())
            found = hasher.step(pairs.rows(rows), ones(16))
            monkeypatch.setattr(torch, "randint", draw)
            expected = program.step(pairs.image[rows], pairs.text[rows], rows, drawn, warm=epoch == 0)
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
        hasher.end_epoch(epoch)
        program.end_epoch(epoch)
        assert hasher.optimiser.param_groups[0]["lr"] == pytest.approx(program.optimiser.param_groups[0]["lr"])
    torch.testing.assert_close(hasher.bank, program.bank, rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(hasher.network_parameters(), program.parameters, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("epochs_before", [0, 2])
@pytest.mark.parametrize("bank", ["average", "normalised"])
def test_weights_of_0_and_1_are_training_on_the_selected_pairs(epochs_before, bank):
    pairs = some_pairs(30)
    kept = torch.arange(30) % 3 != 0
    alone = TrainingPairs(pairs.image[kept], pairs.text[kept], trusted=pairs.trusted[kept])
    weighted, selected = make(pairs, bank=bank), make(alone, bank=bank)
    selected.bank = weighted.bank[kept].clone()
    for epoch in range(epochs_before + 1):
        for rows in torch.arange(30).split(15):
            chosen = rows[kept[rows]]
            places = kept.cumsum(0)[chosen] - 1
            found = weighted.step(pairs.rows(rows), PairTrust(kept[rows].float()))
            expected = selected.step(alone.rows(places), ones(len(places)))
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        weighted.end_epoch(epoch)
        selected.end_epoch(epoch)
    torch.testing.assert_close(weighted.bank[kept], selected.bank, rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(weighted.network_parameters(), selected.network_parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_no_trust_in_anyone_moves_nothing_to_nan():
    pairs = some_pairs(20)
    hasher = make(pairs)
    for epoch in range(2):
        assert torch.isfinite(hasher.step(pairs.rows(torch.arange(20)), PairTrust(torch.zeros(20))))
        hasher.end_epoch(epoch)
    assert torch.isfinite(hasher.encode_image(pairs.image)).all()


@pytest.mark.parametrize("epochs_before", [0, 1])
def test_mean_of_the_pair_losses_is_the_loss_of_the_step(epochs_before):
    pairs = some_pairs(32)
    hasher = make(pairs)
    for epoch in range(epochs_before):
        for rows in torch.arange(32).split(16):
            hasher.step(pairs.rows(rows), ones(16))
        hasher.end_epoch(epoch)
    batch = pairs.rows(torch.arange(5, 20))
    shares = hasher.pair_losses(batch)
    assert shares.shape == (15,)
    torch.testing.assert_close(shares.mean(), hasher.step(batch, ones(15)))


# -- negatives


def test_all_other_pairs_are_negatives_once_where_there_are_few(monkeypatch):
    hasher = make(some_pairs(10))
    times = hasher._times_drawn(torch.tensor([2, 5]), expected=False)
    expected = torch.ones(2, 10)
    expected[0, 2] = expected[1, 5] = 0
    assert torch.equal(times, expected)
    monkeypatch.setattr(ucch, "NEGATIVES", 4)
    assert hasher._times_drawn(torch.tensor([2, 5]), expected=False).sum(1).tolist() == [4, 4]


@pytest.mark.parametrize("drawn_from", ["others", "all"])
def test_drawn_negatives_are_uniform_and_the_own_pair_is_among_them_as_asked(drawn_from):
    hasher = make(some_pairs(6), negatives="9", drawn_from=drawn_from)
    rows = torch.arange(6)
    times = torch.stack([hasher._times_drawn(rows, expected=False) for _ in range(400)])
    assert torch.all(times.sum(2) == 9)
    own = times[:, rows, rows]
    assert bool((own > 0).any()) == (drawn_from == "all")
    torch.testing.assert_close(times.mean(0), hasher._times_drawn(rows, expected=True), rtol=0, atol=0.35)


def test_negatives_of_a_phase_are_its_own_pairs():
    pairs = some_pairs(12)
    for negatives in ("auto", "7"):
        hasher = make(pairs, negatives=negatives)
        hasher.begin_phase(PHASE, pairs, torch.arange(12)[::2])
        times = hasher._times_drawn(torch.tensor([4, 8]), expected=False)
        assert times[:, 1::2].sum() == 0
        assert times.sum(1).tolist() == ([5, 5] if negatives == "auto" else [7, 7])
        assert times[0, 4] == times[1, 8] == 0


def test_rows_that_no_pair_filled_count_in_the_program_only():
    pairs = some_pairs(20)
    for bank, counts in (("average", False), ("normalised", True)):
        hasher = make(pairs, bank=bank)
        hasher.step(pairs.rows(torch.arange(10)), ones(10))
        hasher.end_epoch(0)
        before = hasher.pair_losses(pairs.rows(torch.arange(10)))
        hasher.bank[10:] = -hasher.bank[10:]
        assert torch.equal(before, hasher.pair_losses(pairs.rows(torch.arange(10)))) != counts


def test_first_output_of_a_pair_replaces_its_random_code_whatever_the_weight():
    pairs = some_pairs(12)
    banks = []
    for weight in (1.0, 0.3):
        hasher = make(pairs, learning_rate=1e-9)
        hasher.step(pairs.rows(torch.arange(6)), PairTrust(torch.full((6,), weight)))
        banks.append(hasher.bank)
    assert torch.allclose(banks[0][:6], banks[1][:6], atol=1e-5)
    assert torch.equal(banks[0][6:], banks[1][6:]), "rows of other pairs stay"


def test_learning_rate_falls_four_times():
    for late in (0, 1):
        hasher = make(some_pairs(10), step_epochs=2, late=late)
        rates = []
        for epoch in range(12):
            rates.append(round(math.log10(hasher.optimiser.param_groups[0]["lr"])))
            hasher.end_epoch(epoch)
        falls = [-2, -2, -3, -3, -4, -4, -5, -5, -6, -6, -6, -6]
        assert rates == [-2] * late + falls[: 12 - late]


def test_incomplete_batches_are_left_out_as_the_program_does():
    pairs = some_pairs(40)
    for drop_last, steps in ((False, 3), (True, 2)):
        hasher = make(pairs, drop_last=drop_last)
        team = Team(hasher, None, ones(40), RunContext(BITS, CPU))
        assert train([team], pairs, [Phase("training", 1)], watch=False).updates == steps


@pytest.mark.parametrize("text", ["some", "0", "-3", "2.5"])
def test_a_number_of_negatives_that_is_none_is_refused(text):
    with pytest.raises(HarnessError, match="expected auto or a number above 0"):
        make(some_pairs(10), negatives=text)
