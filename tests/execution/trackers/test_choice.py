"""What a user writes behind --tracker."""

from __future__ import annotations

import pytest

from harness.errors import HarnessError
from harness.execution.trackers.choice import choose_trackers
from harness.plugin.loading import load_registry


@pytest.fixture(scope="module")
def registry():
    return load_registry(environment={})


def test_a_name_alone_has_its_defaults(registry):
    (chosen,) = choose_trackers(registry, ["tensorboard"])
    assert (chosen.name, chosen.values) == ("tensorboard", {"folder": "results/tensorboard"})


def test_parameters_follow_a_colon_and_may_hold_colons_and_equal_signs(registry):
    first, second = choose_trackers(
        registry, ["mlflow:uri=http://host:5000/a?b=c,experiment=paper grid", "wandb:mode=offline"]
    )
    assert first.values == {"uri": "http://host:5000/a?b=c", "experiment": "paper grid"}
    assert second.values["mode"] == "offline"


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["tensorbord"], "unknown tracker 'tensorbord': did you mean 'tensorboard'"),
        (["tensorboard:foldr=x"], "unknown parameter of tracker tensorboard 'foldr': did you mean 'folder'"),
        (["tensorboard:folder"], "expected tensorboard:PARAMETER=VALUE, and 'folder' has no '='"),
        (["wandb:mode=ofline"], "unknown value of --tracker wandb:mode 'ofline': did you mean 'offline'"),
        (["tensorboard", "tensorboard:folder=x"], "tensorboard is named twice"),
        ([""], "unknown tracker ''"),
    ],
)
def test_mistakes_are_one_sentence(registry, texts, message):
    with pytest.raises(HarnessError) as error:
        choose_trackers(registry, texts)
    assert message in str(error.value)
