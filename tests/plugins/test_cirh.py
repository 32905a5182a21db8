"""CIRH against a plain restatement of the authors' program: S, the joint network, both stages, weights, deviations."""

from __future__ import annotations

import copy

import pytest
import torch
from harness_plugins.graph_hashing.cirh import Cirh, Structure, neighbours_in_batch
from reference.cirh import Program, first_stage, second_stage, similarity
from torch.nn.functional import normalize

from harness.plugin.interfaces import Need, PairTrust, TrainingPairs
from harness.plugin.loading import load_registry
from harness.runtime.context import RunContext

N, BITS = 45, 7


@pytest.fixture(scope="module")
def declared():
    return load_registry(environment={})


@pytest.fixture
def pairs():
    generator = torch.Generator().manual_seed(1)
    image, text = (torch.randn(N, d, generator=generator).double() for d in (6, 5))
    order = torch.randperm(N, generator=generator)
    return TrainingPairs(image, text, trusted=torch.zeros(N, dtype=torch.bool), granted={Need.SOURCE_ORDER: order})


@pytest.fixture
def make(declared, pairs):
    def made(**changed) -> Cirh:
        torch.manual_seed(3)
        settings = {parameter.name: parameter.default for parameter in declared.get("hasher", "cirh").parameters}
        hasher = Cirh(**(settings | {"hidden": 12, "width": 8, "batch_size": 16, "learning_rate": 1e-2} | changed))
        hasher.begin(pairs, (), RunContext(BITS, torch.device("cpu")))
        for network in (hasher.image_network, hasher.text_network, hasher.joint_network):
            network.double()
        return hasher

    return made


ones = PairTrust(torch.ones(15).double())


@pytest.mark.parametrize(("neighbours", "dropped"), [(0.4, 27), (5.0, 40), (2000.0, 0)])
def test_structure_is_that_of_the_program(pairs, neighbours, dropped):
    structure = Structure(pairs, image_share=0.7, plain_share=0.2, neighbours=neighbours)
    rows = torch.tensor([4, 30, 0, 44, 17])
    expected = similarity(pairs.image, pairs.text, 0.7, 0.2, dropped)
    assert torch.allclose(structure(rows), expected[rows][:, rows], atol=1e-12)


@pytest.mark.parametrize(("mixed", "first"), [("first", 0), ("second", 1)])
def test_stage_1_is_that_of_the_program(make, pairs, mixed, first):
    hasher, batch = make(mixed_neighbours=mixed), pairs.rows(torch.arange(12))
    program, s = Program(hasher.joint_network), hasher.structure(batch.rows)
    loss, codes = hasher.code_loss(batch.image, batch.text, s, torch.ones(12).double())
    expected, expected_codes = first_stage(program, batch.image, batch.text, s, first)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    assert torch.equal(codes, expected_codes)
    loss.backward()
    expected.backward()
    for name, parameter in hasher.joint_network.named_parameters():
        theirs = program.get_parameter(name.replace(".linear", "").replace(".norm", "_norm"))
        assert torch.allclose(parameter.grad, theirs.grad, atol=1e-10), name


def test_gradient_of_stage_1_agrees_with_finite_differences(make, pairs):
    hasher, rows = make(), torch.arange(6)
    s, weight = hasher.structure(rows), torch.rand(6).double() + 0.1
    function = lambda image, text: hasher.code_loss(image, text, s, weight)[0]  # noqa: E731
    assert torch.autograd.gradcheck(
        function, (pairs.image[rows].clone().requires_grad_(), pairs.text[rows].clone().requires_grad_())
    )


@pytest.mark.parametrize("kept", [[0, 2, 3, 5, 6, 9, 11], [4, 7, 8], [1, 10]])
@pytest.mark.parametrize("mixed", ["first", "second"])
def test_weights_of_0_and_1_are_a_selection(make, pairs, kept, mixed):
    hasher, rows, kept = make(mixed_neighbours=mixed), torch.arange(12), torch.tensor(kept)
    weight = torch.zeros(12).double()
    weight[kept] = 1
    all_rows, selected = pairs.rows(rows), pairs.rows(kept)
    loss, codes = hasher.code_loss(all_rows.image, all_rows.text, hasher.structure(rows), weight)
    expected, expected_codes = hasher.code_loss(
        selected.image, selected.text, hasher.structure(kept), torch.ones(len(kept)).double()
    )
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    assert torch.equal(codes[kept], expected_codes)


def test_neighbours_are_the_nearest_others_by_similarity_and_weight():
    s = torch.tensor([[9, 1, 2, 3], [1, 9, 5, 4], [2, 5, 9, 6], [3, 4, 6, 9.0]])
    trusted = torch.ones(4)
    assert [found.tolist() for found in neighbours_in_batch(s, trusted, 0)] == [[3, 2, 3, 2], [2, 3, 1, 1]]
    assert [found.tolist() for found in neighbours_in_batch(s, trusted, 1)] == [[2, 3, 1, 1], [1, 0, 0, 0]]
    doubted = torch.tensor([1, 1, 1, 0.1])
    assert neighbours_in_batch(s, doubted, 0)[0].tolist() == [2, 2, 1, 2]
    alone = neighbours_in_batch(s, torch.tensor([0, 1.0, 0, 0]), 0)
    assert all(0 <= row < 4 for found in alone for row in found.tolist())


@pytest.mark.parametrize("released", [False, True])
def test_steps_are_an_epoch_of_the_program_after_the_other(declared, make, pairs, released):
    preset = declared.get("method", "cirh").recipe.presets["released"] if released else {}
    hasher = make(**{key.removeprefix("hasher."): value for key, value in preset.items()})
    joint = Program(hasher.joint_network)
    functions = [copy.deepcopy(hasher.image_network).train(), copy.deepcopy(hasher.text_network).train()]
    optimisers = [torch.optim.Adam(joint.parameters(), lr=1e-3)]
    optimisers += [torch.optim.Adam(function.parameters(), lr=1e-2) for function in functions]
    s = similarity(pairs.image, pairs.text, 0.6, 0.6, 27)
    in_data_order = s[pairs.granted[Need.SOURCE_ORDER].argsort()][:, pairs.granted[Need.SOURCE_ORDER].argsort()]
    for epoch in range(2):
        batches = torch.randperm(N).split(15)
        collected = []
        for rows in batches:
            loss, codes = first_stage(joint, pairs.image[rows], pairs.text[rows], s[rows][:, rows], int(released))
            optimisers[0].zero_grad()
            loss.backward()
            optimisers[0].step()
            collected.append((loss.item(), codes))
        torch.manual_seed(epoch)
        expected = []
        for k, (rows, (loss_codes, codes)) in enumerate(zip(batches, collected, strict=True)):
            here = slice(15 * k, 15 * k + 15)
            structure = in_data_order[here, here] if released else s[rows][:, rows]
            outputs = (f(normalize(x[rows])) for f, x in zip(functions, (pairs.image, pairs.text), strict=True))
            loss = second_stage(*outputs, codes, structure)
            for optimiser in optimisers[1:]:
                optimiser.zero_grad()
            loss.backward()
            for optimiser in optimisers[1:]:
                optimiser.step()
            expected.append(loss_codes + loss.item())
        torch.manual_seed(epoch)  # the same dropout masks
        losses = [hasher.step(pairs.rows(rows), ones).item() for rows in batches]
        hasher.end_epoch(epoch)
        assert losses == pytest.approx(expected, rel=1e-8)
    theirs = [parameter for function in functions for parameter in function.parameters()]
    for mine, other in zip(hasher.network_parameters(), theirs, strict=True):
        assert torch.allclose(mine, other, atol=1e-8)


def test_each_released_deviation_changes_the_training(declared, make, pairs):
    def trained(**changed):
        hasher = make(**changed)
        torch.manual_seed(0)
        for rows in torch.arange(N).flip(0).split(15):
            hasher.step(pairs.rows(rows), ones)
        return hasher.encode_image(pairs.image)

    plain = trained()
    assert torch.equal(plain, trained())
    for key, value in declared.get("method", "cirh").recipe.presets["released"].items():
        assert not torch.allclose(plain, trained(**{key.removeprefix("hasher."): value})), key


def test_losses_of_pairs_have_the_functions_loss_as_their_mean(make, pairs):
    hasher, batch = make(), pairs.rows(torch.arange(11))
    s = hasher.structure(batch.rows)
    _, codes = hasher.code_loss(batch.image, batch.text, s, torch.ones(11).double())
    whole = second_stage(hasher.encode_image(batch.image), hasher.encode_text(batch.text), codes, s)
    assert hasher.pair_losses(batch).mean().item() == pytest.approx(whole.item())
