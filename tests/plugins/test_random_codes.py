"""Random codes: the floor of every table, fixed for each item and blind to everything but the item."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
import torch
from harness_plugins.random_bits import RandomCodes

from harness.plugin.interfaces import PairTrust, TrainingPairs
from harness.plugin.loading import load_registry
from harness.retrieval.codes import CodeTable, pack
from harness.retrieval.evaluate import evaluate
from harness.runtime.context import RunContext

D, CLASSES, QUERIES, DATABASE = 12, 10, 300, 500


def items(n: int, seed: int, d: int = D) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def hasher(seed: int = 0, bits: int = 32, pairs: TrainingPairs | None = None) -> RandomCodes:
    made = RandomCodes()
    pairs = pairs or TrainingPairs(image=items(9, 1), text=items(9, 2), trusted=torch.zeros(9, dtype=torch.bool))
    made.fit(pairs, PairTrust(torch.ones(len(pairs))), RunContext(bits, torch.device("cpu"), seed))
    return made


def evaluation(seed: int):
    """Scores on ten balanced classes whose features are told apart by sight."""
    query_labels, database_labels = np.arange(QUERIES) % CLASSES, np.arange(DATABASE) % CLASSES
    centres = 10 * items(CLASSES, 3)
    made = hasher(seed)

    def codes(labels, noise):
        features = centres[labels] + items(len(labels), noise)
        return {"image": pack(made.encode_image(features).numpy()), "text": pack(made.encode_text(features).numpy())}

    query, database = codes(query_labels, 4), codes(database_labels, 5)
    metrics = [m for m in load_registry(environment={}).all("metric") if m.name == "map"]
    table = CodeTable(
        32, query, database, query_labels, database_labels, np.arange(QUERIES), QUERIES + np.arange(DATABASE)
    )
    return evaluate(table, metrics)


def expected_map() -> float:
    """Expected average precision of a random ranking: the mean over ranks k of (1 + (k - 1)(R - 1)/(N - 1)) / k."""
    n, relevant = DATABASE, DATABASE // CLASSES
    return float(np.mean([(1 + (k - 1) * (relevant - 1) / (n - 1)) / k for k in range(1, n + 1)]))


@pytest.mark.parametrize("direction", ["i2t", "t2i", "i2i", "t2t"])
def test_map_is_that_of_a_random_ranking_near_the_prevalence(direction):
    found = [evaluation(seed) for seed in range(4)]
    values = np.concatenate([one.per_query[f"{direction}/map"] for one in found])
    # 1200 queries have independent codes and share the database's, so the deviation of the mean is taken to be twice
    # that of independent queries; five of those are allowed.
    tolerance = 5 * 2 * values.std(ddof=1) / sqrt(len(values))
    assert tolerance < 0.02
    assert values.mean() == pytest.approx(expected_map(), abs=tolerance)
    assert expected_map() == pytest.approx(1 / CLASSES, abs=0.015)
    assert found[0].metrics[direction]["map"] == pytest.approx(found[0].per_query[f"{direction}/map"].mean())


def test_bits_are_fair_and_independent_of_each_other():
    bits = (hasher(bits=48).encode_image(items(4000, 6)) > 0).double()
    # A fair bit over 4000 items: 0.5 +- 0.0079; 48 bits and 1128 pairs of bits: six deviations.
    assert float((bits.mean(0) - 0.5).abs().max()) < 6 * 0.5 / sqrt(4000)
    correlation = torch.corrcoef(bits.T) - torch.eye(48)
    assert float(correlation.abs().max()) < 6 / sqrt(4000)


def test_close_items_have_codes_as_unlike_as_far_ones():
    features = items(2000, 7)
    features[1::2] = features[::2]
    features[1::2, 0] += 1e-6 + features[::2, 0].abs() * 1e-6
    bits = hasher(bits=64).encode_text(features) > 0
    distance = (bits[::2] != bits[1::2]).double().mean()
    assert float(distance) == pytest.approx(0.5, abs=6 * 0.5 / sqrt(64 * 1000))


def test_other_seeds_other_codes_and_the_same_seed_the_same():
    features = items(200, 8)
    first, again, other = (hasher(seed).encode_image(features) > 0 for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert float((first != other).double().mean()) == pytest.approx(0.5, abs=6 * 0.5 / sqrt(200 * 32))


def test_an_image_and_a_caption_with_equal_features_have_unrelated_codes():
    features, made = items(200, 8), hasher()
    agreement = ((made.encode_image(features) > 0) == (made.encode_text(features) > 0)).double().mean()
    assert float(agreement) == pytest.approx(0.5, abs=6 * 0.5 / sqrt(200 * 32))


def test_training_data_have_no_influence():
    features = items(50, 9)
    other = TrainingPairs(image=100 * items(77, 10, 3), text=items(77, 11, 5), trusted=torch.ones(77, dtype=torch.bool))
    assert torch.equal(hasher().encode_image(features), hasher(pairs=other).encode_image(features))
    assert torch.equal(hasher().encode_text(features), hasher(pairs=other).encode_text(features))


@pytest.mark.parametrize("bits", [1, 8, 33, 128])
def test_an_item_has_one_code_in_whatever_batch_it_comes(bits):
    features, made = items(40, 12), hasher(bits=bits)
    together = made.encode_image(features)
    assert together.shape == (40, bits)
    assert set(together.unique().tolist()) <= {-0.5, 0.5}
    assert torch.equal(together, torch.cat([made.encode_image(row[None]) for row in features]))
    assert torch.equal(together.flip(0), made.encode_image(features.flip(0)))
    assert torch.equal(together, made.encode_image(features.T.contiguous().T)), "the layout in memory does not matter"


def test_features_in_another_order_are_another_item():
    features, made = items(100, 13), hasher()
    assert (made.encode_image(features) != made.encode_image(features.flip(1))).any(dim=1).all()


def test_state_makes_the_same_codes_again():
    made, restored, features = hasher(3, 40), RandomCodes(), items(30, 14)
    restored.restore(made.state(), RunContext(40, torch.device("cpu")))
    assert torch.equal(restored.encode_image(features), made.encode_image(features))
    assert torch.equal(restored.encode_text(features), made.encode_text(features))
