"""Mixed similarities on demand and the neighbours of each pair, against full matrices and sorts."""

from __future__ import annotations

import pytest
import torch

from harness.training.building_blocks import mixed_similarity
from harness.training.building_blocks.mixed_similarity import MixedSimilarity, neighbour_count


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(4)
    return torch.randn(23, 6, generator=generator).double(), torch.randn(23, 4, generator=generator).double()


def full(image, text, text_share):
    n = len(image)
    cosine = torch.nn.functional.cosine_similarity
    return torch.stack(
        [
            torch.stack(
                [
                    text_share * cosine(text[i], text[j], dim=0) + (1 - text_share) * cosine(image[i], image[j], dim=0)
                    for j in range(n)
                ]
            )
            for i in range(n)
        ]
    )


def test_parts_are_parts_of_the_full_matrix(features, monkeypatch):
    monkeypatch.setattr(mixed_similarity, "BLOCK", 10)
    similarity, matrix = MixedSimilarity(*features, 0.3), full(*features, 0.3)
    rows = torch.tensor([5, 0, 22])
    assert torch.allclose(similarity.between(rows), matrix[rows][:, rows])
    parts = list(similarity.blocks())
    assert [part[0] for part in parts] == [slice(0, 10), slice(10, 20), slice(20, 23)]
    assert torch.allclose(torch.cat([part for _, part in parts]), matrix)


@pytest.mark.parametrize("count", [2, 9, 22, 23, 40])
def test_thresholds_let_through_as_many_as_asked_for(features, count):
    similarity, matrix = MixedSimilarity(*features, 0.3), full(*features, 0.3)
    kept = matrix >= similarity.thresholds(count)[:, None]
    assert kept.sum(1).tolist() == [min(count, 23)] * 23
    for i in range(23):
        assert set(kept[i].nonzero()[:, 0].tolist()) == set(matrix[i].argsort()[-count:].tolist())


def test_copies_are_neighbours_together():
    image, text = torch.ones(8, 3), torch.ones(8, 2)
    similarity = MixedSimilarity(image, text, 0.4)
    assert bool((similarity.between(torch.arange(8)) >= similarity.thresholds(3)[:, None]).all())


def test_a_share_or_a_number_of_neighbours():
    assert [neighbour_count(0.4, 5000), neighbour_count(2000, 5000), neighbour_count(2000, 1050)] == [2000, 2000, 1050]
    assert [neighbour_count(0.01, 20), neighbour_count(0.4, 1)] == [2, 1]
