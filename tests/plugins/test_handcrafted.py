"""Features without weights: what each part says of pictures that one can work out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from harness_plugins.caption_words import RandomIndexing
from harness_plugins.handcrafted_features import (
    UNIFORM,
    ShapeTextureColour,
    _by_cell,
    _gradients,
    _joint_colours,
    _patterns,
    _pooled_gradients,
)
from PIL import Image
from reference.parts import encoded

from harness.runtime.context import RunContext
from harness.runtime.seeding import numpy_generator

RUN = RunContext(8, torch.device("cpu"))
RANDOM = np.random.default_rng(5)
PICTURES = [Image.fromarray(RANDOM.integers(0, 256, (50, 40 + at, 3), dtype=np.uint8)) for at in range(12)]
NOISE = RANDOM.integers(0, 256, (20, 20), dtype=np.uint8)


@pytest.mark.parametrize(("turn", "direction"), [(0, 0), (1, 4)], ids=["brighter to the right", "brighter upwards"])
def test_gradients_of_a_ramp_are_of_one_direction(turn, direction):
    ramp = np.rot90(np.tile(np.arange(0, 60, 3, dtype=np.uint8), (20, 1)), turn)
    strength, found = _gradients(ramp)
    assert (strength == 6).all()
    assert (found == direction).all()
    cells = _by_cell(strength, found, 6)
    assert cells.shape == (9, 9)
    assert cells[:, direction] == pytest.approx(np.full(9, 1 / 9))


def test_pooled_gradients_do_not_know_how_the_picture_lies():
    one, turned = (_pooled_gradients(_by_cell(*_gradients(picture), 6)) for picture in (NOISE, np.rot90(NOISE, 2)))
    np.testing.assert_allclose(one, turned, atol=1e-12)


def test_patterns_are_those_of_the_neighbours_one_by_one():
    for radius in (1, 2, 4):
        diagonal = round(radius * 0.7071)
        steps = [(0, radius), (diagonal, diagonal), (radius, 0), (diagonal, -diagonal)]
        steps += [(-down, -right) for down, right in steps]
        counts = np.zeros(10)
        for row in range(radius, 20 - radius):
            for column in range(radius, 20 - radius):
                bits = [int(NOISE[row + down, column + right] >= NOISE[row, column]) for down, right in steps]
                changes = sum(bit != before for bit, before in zip(bits, bits[-1:] + bits[:-1], strict=True))
                counts[sum(bits) if changes <= 2 else 9] += 1
        np.testing.assert_allclose(_patterns(NOISE, radius), np.sqrt(counts / counts.sum()))


def test_58_of_256_patterns_are_uniform():
    assert (UNIFORM < 9).sum() == 58  # Ojala et al. 2002, section 2.3: P (P - 1) + 2


def test_colours_are_counted_by_quarter_and_jointly():
    hsv = np.zeros((8, 8, 3), np.uint8)
    hsv[:4, 4:] = (255, 128, 64)
    backbone = ShapeTextureColour(size=16, cell=8, bins=4)
    quarters = backbone._colours_by_quarter(hsv).reshape(4, 3, 4)
    assert quarters[0].tolist() == quarters[2].tolist() == quarters[3].tolist() == [[1, 0, 0, 0]] * 3
    assert quarters[1].tolist() == [[0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0]]
    joint = _joint_colours(hsv).reshape(8, 3, 3)
    assert joint[0, 0, 0] == pytest.approx(np.sqrt(0.75))
    assert joint[7, 1, 0] == pytest.approx(0.5)


def test_each_part_weighs_the_same_over_the_training_images():
    backbone = ShapeTextureColour(size=32, cell=8, bins=4)
    backbone.fit(PICTURES, RUN)
    features = encoded(backbone, PICTURES, RUN).astype(np.float64)
    widths = np.cumsum([len(centre) for centre in backbone.centres])[:-1]
    for part in np.split(features, widths, axis=1):
        np.testing.assert_allclose(part.mean(axis=0), 0, atol=1e-6)
        assert np.square(part).sum(axis=1).mean() == pytest.approx(1, rel=1e-5)


CAPTIONS = ["a boat docks", "a boat in a harbor", "trees grow", "trees stand in a forest", "trees and a boat"]


def test_random_indexing_is_the_sum_of_sums_of_random_vectors():
    backbone = RandomIndexing(dimension=7, words=1, stop_words="keep")
    backbone.fit(CAPTIONS, RUN)
    weights = backbone.words.vectorizer.transform(CAPTIONS).toarray()
    of_captions = numpy_generator(0, "random-indexing").standard_normal((5, 7))
    rows = np.stack(
        [
            sum(weights[caption, word] * sum(weights[at, word] * of_captions[at] for at in range(5)) for word in used)
            for caption, used in enumerate([np.flatnonzero(row) for row in weights])
        ]
    )
    rows -= rows.mean(axis=0)
    expected = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(encoded(backbone, CAPTIONS, RUN), expected, atol=1e-6)


def test_words_of_the_same_captions_are_alike_in_random_indexing():
    backbone = RandomIndexing(dimension=200, words=1, stop_words="english")
    backbone.fit(CAPTIONS, RUN)
    stand, forest, docks = encoded(backbone, ["stand", "forest", "docks"], RUN)
    assert stand @ forest > stand @ docks + 0.3


def test_a_caption_of_unknown_words_has_features():
    backbone = RandomIndexing(dimension=7, words=1, stop_words="english")
    backbone.fit(CAPTIONS, RUN)
    assert np.isfinite(encoded(backbone, ["runway"], RUN)).all()
