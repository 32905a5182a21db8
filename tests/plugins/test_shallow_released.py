"""The preset ``released`` of the shallow hashers against slow restatements of the public programs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from reference import shallow


def same_codes_up_to_signs(found, expected) -> None:
    """Bits agree, each bit up to a flip in both modalities at once: eigenvectors have no sign."""
    for bit in range(expected[0].shape[1]):
        columns = [np.concatenate([part[:, bit] for part in parts]) for parts in (found, expected)]
        clear = np.abs(columns[1]) > 1e-9
        agree = (columns[0] > 0)[clear] == (columns[1] > 0)[clear]
        assert agree.all() or not agree.any()


def test_cvh_is_the_program():
    x, y, _ = shallow.two_views()
    hasher = shallow.fit(shallow.released("cvh"), x, y, 5)
    same_codes_up_to_signs(shallow.outputs(hasher, x, y), shallow.cvh_program(x, y, 5))


@pytest.mark.parametrize("neighbours", [1, 4])
def test_imh_is_the_program_with_training_medians(neighbours):
    x, y, _ = shallow.two_views()
    hasher = shallow.fit(shallow.released("imh", neighbours=neighbours), x, y, 5)
    found, expected = shallow.outputs(hasher, x, y), shallow.imh_program(x, y, 5, neighbours)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.abs(one), np.abs(other), atol=1e-6)
    same_codes_up_to_signs(found, expected)
    # and unlike the program, an item's code does not depend on the items that it is encoded with
    np.testing.assert_allclose(shallow.outputs(hasher, x[:3], y[:3])[0], found[0][:3], atol=1e-12)


def test_cmfh_is_the_program():
    x, y, _ = shallow.two_views()
    generator = shallow.run_of(6).generator("cmfh")
    factor, *functions = (
        torch.rand(*shape, generator=generator).double().numpy() for shape in ((60, 6), (9, 6), (7, 6))
    )
    hasher = shallow.fit(shallow.released("cmfh"), x, y, 6)
    expected = shallow.cmfh_program(x, y, factor, functions)
    for one, other in zip(shallow.outputs(hasher, x, y), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6 * np.abs(other).max())


def test_fsh_is_the_program():
    x, y, _ = shallow.two_views()
    run = shallow.run_of(6)
    drawn = torch.multinomial(torch.ones(60).double(), 14, generator=run.generator("anchors")).numpy()
    generator = run.generator("fsh")
    functions = [torch.randn(d, 6, generator=generator).double().numpy() for d in (9, 7)]
    for iterations in (1, 2, 12):
        hasher = shallow.fit(shallow.released("fsh", anchors=14, iterations=iterations), x, y, 6)
        expected = shallow.fsh_program(x, y, drawn, functions, iterations)
        for one, other in zip(shallow.outputs(hasher, x, y), expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("n", [60, 41])
def test_rfdh_is_the_program(n):
    x, y, _ = shallow.two_views(n)
    run = shallow.run_of(6)
    generator = run.generator("rfdh")
    start = (torch.rand(n, 6, generator=generator) > 0.5).double().numpy()
    rotation, latent, *offsets = (
        torch.randn(*shape, generator=generator).double().numpy() for shape in ((6, 6), (n, 6), (6,), (6,))
    )
    joint = shallow.rfdh_codes_program(x, y, start)
    hasher = shallow.released("rfdh")
    views, weight = [torch.from_numpy(view) for view in (x, y)], torch.ones(n).double()
    found = hasher.learn_codes(views, weight, run.generator("rfdh"), run)
    assert np.array_equal(found.numpy(), joint)
    expected = shallow.rfdh_functions_program(x, y, joint, rotation, latent, offsets)
    for one, other in zip(shallow.outputs(shallow.fit(hasher, x, y, 6), x, y), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6 * np.abs(other).max())


DEVIATIONS = [
    (name, key, value) for name, preset in shallow.RELEASED.items() if preset for key, value in preset.items()
]


@pytest.mark.parametrize(("name", "key", "value"), DEVIATIONS)
def test_each_deviation_changes_the_outputs(name, key, value):
    x, y, _ = shallow.two_views()
    settings = {key: value}
    # The weight of the linear functions in FSH leaves the similarities next to no say on data as easy as these.
    common = {"balance": 0.1} if name == "fsh" else {}
    usual, other = (
        shallow.outputs(shallow.fit(shallow.made(name, **common, **more), x, y), x, y) for more in ({}, settings)
    )
    unchanged = (name, key) == ("imh", "ridge")  # the released value is 1, too, in another unit
    assert (np.abs(usual[0] - other[0]).max() > 1e-6) != unchanged
