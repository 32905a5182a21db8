"""What differs between two cells, in words."""

from __future__ import annotations

from copy import deepcopy

import pytest

from harness.cells.identity import differences

IDENTITY = {
    "method": "chnr",
    "hasher": "contrastive",
    "detector": "adversarial",
    "objective": None,
    "noise": 0.2,
    "limit": None,
    "parameters": {"hasher.beta": 0.001, "hasher.hidden": 4096},
    "backbones": {
        "image": {"name": "resnet", "weights": "sha256:1", "parameters": {"size": 64}},
        "text": {"name": "t"},
    },
    "phases": [["warm-up", 75]],
    "data": "d1",
    "plan": None,
    "protocol": "derangement",
    "sources": {"hasher": "h1", "detector": "d1", "protocol": "p1", "image": "i1"},
    "versions": {"split": 1},
}


def changed(*keys, to):
    identity = deepcopy(IDENTITY)
    place = identity
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = to
    return identity


def test_equal_identities_differ_in_nothing():
    assert differences(IDENTITY, deepcopy(IDENTITY)) == []


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (changed("sources", "hasher", to="h2"), "code of hasher contrastive"),
        (changed("sources", "protocol", to="p2"), "code of noise protocol derangement"),
        (changed("sources", "image", to="i2"), "code of the image backbone"),
        (changed("sources", "objective", to="o1"), "code of objective None"),
        (changed("noise", to=0.4), "noise (0.2 -> 0.4)"),
        (changed("limit", to=60), "limit (none -> 60)"),
        (changed("parameters", "hasher.beta", to=0.01), "parameter hasher.beta (0.001 -> 0.01)"),
        (changed("parameters", "hasher.new", to=1), "parameter hasher.new (none -> 1)"),
        (changed("versions", "split", to=2), "version of the core's split (1 -> 2)"),
        (changed("data", to="d2"), "the data (their fingerprint)"),
        (changed("plan", to="p"), "the noise plan (its fingerprint)"),
        (changed("phases", to=[]), "the training phases"),
        (changed("backbones", "image", "weights", to="sha256:2"), "image backbone: weights (sha256:1 -> sha256:2)"),
        (changed("backbones", "image", "parameters", "size", to=32), "image backbone: size (64 -> 32)"),
        (changed("backbones", "text", "name", to="u"), "text backbone: name (t -> u)"),
    ],
)
def test_each_difference_is_named(after, said):
    assert differences(IDENTITY, after) == [said]


def test_another_component_is_named_once_and_not_again_for_its_code():
    after = {**changed("sources", "detector", to="d2"), "detector": "none"}
    assert differences(IDENTITY, after) == ["detector (adversarial -> none)"]


def test_a_part_that_one_side_lacks_altogether_is_no_crash():
    after = {key: value for key, value in IDENTITY.items() if key not in ("sources", "parameters", "backbones")}
    found = differences(IDENTITY, after)
    assert "parameter hasher.hidden (4096 -> none)" in found
    assert "image backbone: name (resnet -> none), weights (sha256:1 -> none), size (64 -> none)" in found
    assert differences({}, {"seed": 1}) == ["seed (none -> 1)"]
