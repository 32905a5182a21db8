"""Metric ids with any cutoff."""

from __future__ import annotations

import pytest

from harness.errors import HarnessError
from harness.plugin.loading import load_registry
from harness.plugin.metric_ids import declared_metric, metrics_with


@pytest.fixture(scope="module")
def registry():
    return load_registry(environment={})


@pytest.mark.parametrize(
    ("metric_id", "cutoff"), [("map", None), ("map@20", 20), ("map@15", 15), ("p_radius@0", 0), ("p@1000000", 10**6)]
)
def test_one_id_is_yielded(registry, metric_id, cutoff):
    declared = declared_metric(registry, metric_id)
    assert (declared.ids, declared.cutoffs) == ((metric_id,), (cutoff,))


@pytest.mark.parametrize(
    ("metric_id", "said"),
    [
        ("mapp", "did you mean 'map'"),
        ("mapp@15", "unknown metric 'mapp@15': did you mean"),
        ("map@", "unknown metric 'map@'"),
        ("map@x", "unknown metric 'map@x'"),
        ("map@-1", "unknown metric 'map@-1'"),
        ("map@0", "expected a cutoff from 1 to 1000000"),
        ("map@1000001", "expected a cutoff from 1 to 1000000"),
        ("map_optimistic@3", "takes no cutoff: write map_optimistic"),
        ("p", "p needs a cutoff"),
    ],
)
def test_others_are_refused(registry, metric_id, said):
    with pytest.raises(HarnessError) as error:
        declared_metric(registry, metric_id)
    assert said in str(error.value)


def test_all_registered_metrics_and_each_other_id_once(registry):
    ids = [metric_id for metric in metrics_with(registry, ["map@15", "map", "map@15"]) for metric_id in metric.ids]
    assert len(ids) == len(set(ids))
    usual = [metric_id for metric in metrics_with(registry, []) for metric_id in metric.ids]
    assert ids == [*usual, "map@15"]
