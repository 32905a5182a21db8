"""Which combinations are refused, and with which reason."""

from __future__ import annotations

import pytest

from harness.cells.compatibility import DataFacts, check_combination, granted_beyond_the_wall
from harness.cells.methods import resolve_method
from harness.cells.request import MethodRequest
from harness.errors import CombinationError
from harness.plugin.interfaces import NOTHING, Need
from harness.plugin.loading import load_registry

PLUGIN = """
from harness import Need, Parameter, Phase, Recipe, hookimpl

@hookimpl
def register_hashers(register):
    everything = Need.EPOCHS | Need.PAIR_LOSSES | Need.TWO_LEARNERS
    register("net", "m:N", summary="s", offers=everything, phases=(Phase("train", 4),), parameters=[
        Parameter("order", "own", choices=("own", "source"), needs={"source": Need.SOURCE_ORDER})])
    register("lossless", "m:N", summary="s", offers=Need.EPOCHS, phases=(Phase("train", 4),), parameters=[])
    register("closed", "m:C", summary="s", parameters=[])
    register("zero-shot", "m:Z", summary="s", needs=Need.SHARED_SPACE, parameters=[])
    register("supervised", "m:S", summary="s", needs=Need.CLASS_LABELS, parameters=[])

@hookimpl
def register_detectors(register):
    register("curated", "m:D", summary="s", needs=Need.TRUSTED, parameters=[])
    register("watches", "m:D", summary="s", needs=Need.EPOCHS, parameters=[])
    register("reads-losses", "m:D", summary="s", needs=Need.EPOCHS | Need.PAIR_LOSSES, parameters=[])
    register("compares", "m:D", summary="s", needs=Need.SHARED_SPACE, parameters=[])
    register("peeks", "m:D", summary="s", needs=Need.NOISE_MASK, parameters=[])
    register("two", "m:D", summary="s", needs=Need.TWO_LEARNERS, parameters=[])

@hookimpl
def register_methods(register):
    for hasher in ("net", "lossless", "closed", "zero-shot", "supervised"):
        register(hasher, Recipe(hasher), summary="s")
    register("warm", Recipe("net", phases=(Phase("warm-up", 2, pairs="trusted"), Phase("rest", 2))), summary="s")
    register("co-teaching", Recipe("net", "reads-losses", learners=2), summary="s")
    register("lonely-co-teaching", Recipe("lossless", learners=2), summary="s")
"""

GENEROUS = DataFacts(n_train=50, n_trusted=10, shared_space=True, mask_known=True)


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    file = tmp_path_factory.mktemp("compatibility") / "parts.py"
    file.write_text(PLUGIN)
    return load_registry([file], environment={})


def check(registry, method: str, facts: DataFacts = GENEROUS, **request) -> None:
    check_combination(resolve_method(registry, MethodRequest(method, **request)), facts)


REFUSED = {
    "trusted pairs for the detector": (
        ("net", {"detector": "curated"}),
        {"n_trusted": 0},
        ["needs trusted pairs", "none of the 50 training pairs", "raise --trusted"],
    ),
    "trusted pairs for a phase": (("warm", {}), {"n_trusted": 0}, ["needs trusted pairs", "raise --trusted"]),
    "shared space for the hasher": (("zero-shot", {}), {"shared_space": False}, ["shared space", "CLIP"]),
    "shared space for the detector": (("closed", {"detector": "compares"}), {"shared_space": False}, ["shared space"]),
    "noise mask": (("closed", {"detector": "peeks"}), {"mask_known": False}, ["noise mask", "nobody knows"]),
    "epochs": (
        ("closed", {"detector": "watches"}),
        {},
        ["detector 'watches'", "epochs", "hasher 'closed' is fitted in one step", "--hasher or --detector"],
    ),
    "pair losses": (
        ("lossless", {"detector": "reads-losses"}),
        {},
        ["detector 'reads-losses'", "loss of each pair", "hasher 'lossless' reports none"],
    ),
    "two learners by the recipe": (
        ("lonely-co-teaching", {}),
        {},
        ["two hashers together", "'lossless' cannot be doubled"],
    ),
    "two learners by the detector": (
        ("closed", {"detector": "two"}),
        {},
        ["two hashers together", "'closed' cannot be doubled"],
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_combination_is_refused_with_its_reason_and_allowed_otherwise(registry, what):
    (method, request), lacking, words = REFUSED[what]
    facts = DataFacts(**{"n_train": 50, "n_trusted": 10, "shared_space": True, "mask_known": True, **lacking})
    with pytest.raises(CombinationError) as refusal:
        check(registry, method, facts, **request)
    assert all(word in str(refusal.value) for word in words), str(refusal.value)
    if lacking:
        check(registry, method, GENEROUS, **request)


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("net", {"detector": "reads-losses"}),
        ("lossless", {"detector": "watches"}),
        ("co-teaching", {}),
        ("closed", {"detector": "curated"}),
        ("zero-shot", {"detector": "compares"}),
        ("supervised", {"detector": "peeks"}),
        ("net", {"detector": "two"}),
    ],
)
def test_combination_that_can_work_is_allowed(registry, method, request_):
    check(registry, method, **request_)


def test_method_without_needs_asks_nothing_of_the_data(registry):
    check(registry, "closed", DataFacts(n_train=1, n_trusted=0, shared_space=False, mask_known=False))


def test_what_breaks_the_wall_is_named_and_only_that(registry):
    def granted(method, **request):
        return granted_beyond_the_wall(resolve_method(registry, MethodRequest(method, **request)))

    assert granted("net", detector="curated") == NOTHING
    assert granted("supervised", detector="peeks") == Need.CLASS_LABELS | Need.NOISE_MASK
    assert granted("supervised", detector="peeks").names == ("class-labels", "noise-mask")
    assert granted("net", settings={"order": "source"}) == Need.SOURCE_ORDER


RUN = ("--epochs", "2", "--set", "hasher.hidden=8")
ON_THE_COMMAND_LINE = {
    "trusted": (("--method", "chnr", "--trusted", "0", *RUN), "needs trusted pairs"),
    "a trusted share too small for one pair": (
        ("--method", "duch-ptc", "--trusted", "0.001", *RUN),
        "needs trusted pairs",
    ),
    "mask": (("--method", "cca-itq", "--detector", "oracle", "--protocol", "given"), "nobody knows which pairs"),
    "a shared space": (
        ("--method", "cca-itq", "--detector", "clip-similarity"),
        "these backbones have no shared space",
    ),
    "trusted pairs of a detector": (
        ("--method", "duch-noisy", "--detector", "meta-similarity", "--trusted", "0", *RUN),
        "needs trusted pairs",
    ),
    "epochs": (("--method", "cca-itq", "--detector", "loss-gmm"), "'loss-gmm' watches a training in epochs"),
    "epochs for a value of a parameter": (
        ("--method", "cca-itq", "--detector", "structure", "--set", "detector.cross_modal=true"),
        "'structure' watches a training in epochs",
    ),
    "another hasher in a recipe that watches": (
        ("--method", "ncr-hash", "--hasher", "random-codes"),
        "hasher 'random-codes' is fitted in one step",
    ),
    "fixed loss": (("--method", "cca-itq", "--objective", "nt-xent"), "has a loss of its own"),
}


@pytest.mark.parametrize("what", ON_THE_COMMAND_LINE)
def test_refusal_reaches_the_command_line_before_anything_is_computed(harness, features, tmp_path, what):
    arguments, reason = ON_THE_COMMAND_LINE[what]
    result = harness("run", "--features", features(), *arguments)
    assert result.code == 2
    assert reason in result.err
    assert result.err.startswith("Error: ")
    assert result.err.count("\n") == 1
    assert not (tmp_path / "results").exists()


DOUBLE = """
from harness import Need, Parameter, Phase, Recipe, hookimpl

@hookimpl
def register_hashers(register):
    offers = Need.EPOCHS | Need.PAIR_LOSSES
    register("single", "m:S", summary="s", offers=offers, phases=(Phase("train", 4),), parameters=[])

@hookimpl
def register_methods(register):
    register("single", Recipe("single"), summary="s")
"""


def test_co_teaching_is_refused_to_a_hasher_that_cannot_be_doubled(tmp_path):
    file = tmp_path / "single.py"
    file.write_text(DOUBLE)
    registry = load_registry([file], environment={})
    check(registry, "single", detector="loss-gmm")
    with pytest.raises(CombinationError, match="two hashers together, and hasher 'single' cannot be doubled"):
        check(registry, "single", detector="loss-gmm", settings={"co_teaching": "true"})


def test_overrides_are_in_the_row_of_any_recipe(registry):
    method = resolve_method(load_registry(environment={}), MethodRequest("crcl-hash", detector="structure"))
    assert method.row == "crcl-hash [detector=structure]"
    assert method.components["objective"].name == "active-complementary"
