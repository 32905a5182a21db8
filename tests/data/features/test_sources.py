"""Ready features are shared between processes as memory maps."""

from __future__ import annotations

import numpy as np
import pytest

from harness.data.features import sources
from harness.data.features.sources import features_source


@pytest.fixture
def large(features, monkeypatch):
    monkeypatch.setattr(sources, "SHARED_FROM_BYTES", 1)
    return features(n=60)


def arrays_of(source):
    ready = source.ready
    return [ready.image, ready.text, *ready.image_views, *ready.text_views]


def test_shared_features_are_maps_of_the_same_values(large):
    alone, shared = features_source(large, None, 0), features_source(large, None, 0, shared=True)
    assert len(arrays_of(shared)) == 4
    for plain, array in zip(arrays_of(alone), arrays_of(shared), strict=True):
        assert not isinstance(plain, np.memmap)
        assert isinstance(array, np.memmap)
        assert not array.flags.writeable
        np.testing.assert_array_equal(plain, array)
    assert alone.ready.fingerprint == shared.ready.fingerprint
    assert len(shared.ready.text_views) == 1


def test_limited_features_have_maps_of_their_own(large):
    whole, limited = (features_source(large, limit, 0, shared=True) for limit in (None, 30))
    assert (len(whole.ready.image), len(limited.ready.image)) == (60, 30)
    assert arrays_of(whole)[0].filename != arrays_of(limited)[0].filename


def test_other_features_of_the_same_name_are_not_mixed_up(large, features):
    first = np.array(features_source(large, None, 0, shared=True).ready.image)
    second = features_source(features(n=60, seed=1), None, 0, shared=True).ready.image
    assert isinstance(second, np.memmap)
    assert (first != second).any()


def test_features_stay_in_memory_where_the_cache_cannot_be_written(large, monkeypatch, tmp_path, caplog):
    blocked = tmp_path / "blocked"
    blocked.write_text("no folder")
    monkeypatch.setenv("HARNESS_CACHE", str(blocked))
    source = features_source(large, None, 0, shared=True)
    assert not isinstance(source.ready.image, np.memmap)
    assert "are not cached" in caplog.text


def test_small_features_are_not_worth_a_file(features):
    assert not isinstance(features_source(features(), None, 0, shared=True).ready.image, np.memmap)
