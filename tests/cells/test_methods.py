"""From a method's name and overrides to what is run, and to the name of its table row."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.cells.methods import divide_epochs, resolve_method
from harness.cells.request import MethodRequest
from harness.errors import CombinationError, HarnessError
from harness.plugin.interfaces import Need, Phase
from harness.plugin.loading import load_registry

repeatable = settings(derandomize=True, deadline=None, max_examples=100)

PLUGIN = """
from harness import EpochsOf, Need, Parameter, Phase, Recipe, hookimpl

PHASES = (Phase("first", 30, pairs="trusted", trust="ones"), Phase("second", 10))

@hookimpl
def register_hashers(register):
    register("net", "nowhere:Net", summary="s", offers=Need.EPOCHS | Need.PAIR_LOSSES | Need.TWO_LEARNERS,
             takes_objective=True, phases=(Phase("own", 8),), parameters=[
                 Parameter("rate", 0.1), Parameter("width", 16), Parameter("only_hasher", 1),
                 Parameter("labels", False, needs={True: Need.CLASS_LABELS})])
    register("other-net", "nowhere:Net", summary="s", offers=Need.EPOCHS, phases=(Phase("alone", 5),),
             parameters=[Parameter("rate", 0.7), Parameter("width", 99)])
    register("phaseless", "nowhere:Net", summary="s", offers=Need.EPOCHS, parameters=[])
    register("closed", "nowhere:Closed", summary="s", parameters=[Parameter("ridge", 1.0)])

@hookimpl
def register_detectors(register):
    register("watch", "nowhere:Watch", summary="s", parameters=[
        Parameter("rate", 0.2), Parameter("epochs", 40, minimum=1),
        Parameter("kind", "soft", choices=("soft", "hard"))])
    register("other-watch", "nowhere:Watch", summary="s", parameters=[Parameter("kind", "plain")])

@hookimpl
def register_objectives(register):
    register("loss", "nowhere:Loss", summary="s", parameters=[Parameter("temperature", 1.0)])
    register("other-loss", "nowhere:Loss", summary="s", parameters=[])

@hookimpl
def register_methods(register):
    register("full", Recipe("net", "watch", "loss", PHASES, parameters={
        "hasher.width": 32, "detector.kind": "hard", "detector.epochs": EpochsOf("first")},
        presets={"odd": {"hasher.width": 64, "detector.rate": 0.9, "hasher.labels": True}}), summary="s")
    register("pair", Recipe("net", "watch", "loss", PHASES, learners=2), summary="s")
    register("plain", Recipe("closed"), summary="s")
    register("needy", Recipe("net"), summary="s")
    register("no-phase", Recipe("phaseless"), summary="s")
    register("wrong-key", Recipe("closed", parameters={"hasher.rigde": 2.0}), summary="s")
    register("wrong-value", Recipe("net", "watch", "loss", parameters={"detector.kind": "sotf"}), summary="s")
    register("wrong-type", Recipe("net", "none", "loss", parameters={"hasher.width": "wide"}), summary="s")
    register("whole-number", Recipe("closed", parameters={"hasher.ridge": 2}), summary="s")
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    file = tmp_path_factory.mktemp("methods") / "parts.py"
    file.write_text(PLUGIN)
    return load_registry([file], environment={})


@pytest.fixture
def resolve(registry):
    def resolved(name: str, **request):
        return resolve_method(registry, MethodRequest(name, **request))

    return resolved


def lengths(method):
    return {phase.name: phase.epochs for phase in method.phases}


def test_recipe_is_taken_as_it_is(resolve):
    method = resolve("full")
    assert {role: component.name for role, component in method.components.items()} == {
        "hasher": "net", "detector": "watch", "objective": "loss",
    }  # fmt: skip
    assert method.row == "full"
    assert method.arguments("hasher") == {"rate": 0.1, "width": 32, "only_hasher": 1, "labels": False}
    assert method.arguments("detector") == {"rate": 0.2, "epochs": 30, "kind": "hard"}
    assert method.arguments("objective") == {"temperature": 1.0}
    assert lengths(method) == {"first": 30, "second": 10}
    assert method.parameters["phase.second.epochs"] == 10


def test_full_key_sets_one_parameter_in_its_type(resolve):
    method = resolve("full", settings={"hasher.rate": "3", "phase.second.epochs": "4"})
    assert method.parameters["hasher.rate"] == 3.0
    assert type(method.parameters["hasher.rate"]) is float
    assert method.parameters["detector.rate"] == 0.2
    assert lengths(method) == {"first": 30, "second": 4}
    assert method.row == "full [hasher.rate=3.0, phase.second.epochs=4]"


def test_bare_key_finds_the_only_component_that_has_it(resolve):
    assert resolve("full", settings={"temperature": "2"}).parameters["objective.temperature"] == 2.0
    assert resolve("full", settings={"width": "8"}).row == "full [hasher.width=8]"


def test_bare_key_of_several_components_is_refused_with_both_keys(resolve):
    with pytest.raises(HarnessError, match=r"--set rate: several components .* hasher.rate or detector.rate"):
        resolve("full", settings={"rate": "1"})


@pytest.mark.parametrize(
    ("key", "suggestion"),
    [("hasher.widht", "hasher.width"), ("temprature", "temperature"), ("phase.frist.epochs", "phase.first.epochs")],
)
def test_unknown_key_gets_a_suggestion(resolve, key, suggestion):
    with pytest.raises(HarnessError, match=rf"unknown parameter of method full '{key}': did you mean .*'{suggestion}'"):
        resolve("full", settings={key: "1"})


def test_objective_parameters_are_unknown_to_a_hasher_with_a_loss_of_its_own(resolve):
    with pytest.raises(HarnessError, match=r"unknown parameter"):
        resolve("full", hasher="other-net", settings={"objective.temperature": "2"})


def test_one_parameter_under_its_bare_and_its_full_key_is_refused(resolve):
    # once: the later of the two wins silently.
    with pytest.raises(HarnessError, match=r"width"):
        resolve("full", settings={"hasher.width": "8", "width": "9"})


def test_preset_sets_its_values_and_marks_the_row(resolve):
    method = resolve("full", preset="odd")
    assert method.parameters["hasher.width"] == 64
    assert method.parameters["detector.rate"] == 0.9
    assert method.parameters["detector.kind"] == "hard"
    assert method.row == "full [preset=odd]"
    assert Need.CLASS_LABELS in method.needs


def test_set_goes_over_the_preset_and_only_the_difference_is_named(resolve):
    method = resolve("full", preset="odd", settings={"hasher.width": "32", "detector.rate": "0.9"})
    assert method.parameters["hasher.width"] == 32
    assert method.row == "full [preset=odd, hasher.width=32]"


def test_unknown_preset_is_refused_with_a_suggestion(resolve):
    with pytest.raises(HarnessError, match=r"unknown preset of method full 'ood': did you mean 'odd'"):
        resolve("full", preset="ood")


def test_values_of_recipe_and_preset_do_not_apply_to_a_replaced_component(resolve):
    method = resolve("full", hasher="other-net", preset="odd")
    assert method.arguments("hasher") == {"rate": 0.7, "width": 99}
    assert method.parameters["detector.rate"] == 0.9
    assert Need.CLASS_LABELS not in method.needs
    assert method.row == "full [hasher=other-net, preset=odd]"
    assert resolve("full", detector="other-watch", preset="odd").arguments("detector") == {"kind": "plain"}


def test_naming_the_recipes_own_component_changes_nothing(resolve):
    method = resolve("full", hasher="net", detector="watch", objective="loss")
    assert method == resolve("full")


def test_replaced_objective_is_named_in_the_row(resolve):
    method = resolve("full", objective="other-loss")
    assert method.components["objective"].name == "other-loss"
    assert method.row == "full [objective=other-loss]"


def test_objective_is_refused_by_a_hasher_that_fixes_its_loss(resolve):
    with pytest.raises(CombinationError, match=r"hasher 'closed' has a loss of its own: leave out --objective loss"):
        resolve("plain", objective="loss")


def test_hasher_that_takes_an_objective_needs_one(resolve):
    with pytest.raises(CombinationError, match=r"needs an objective, and method 'needy' names none: .*loss"):
        resolve("needy")
    assert resolve("needy", objective="loss").row == "needy [objective=loss]"


def test_epochs_are_divided_among_phases_and_named_in_the_row(resolve):
    method = resolve("full", epochs=4)
    assert lengths(method) == {"first": 3, "second": 1}
    assert method.row == "full [epochs=4]"
    assert resolve("full", epochs=40).row == "full"


def test_set_goes_over_the_divided_epochs(resolve):
    method = resolve("full", epochs=4, settings={"phase.first.epochs": "9"})
    assert lengths(method) == {"first": 9, "second": 1}
    assert method.row == "full [epochs=4, detector.epochs=9, phase.first.epochs=9]"


def test_a_value_that_follows_a_phase_follows_epochs_and_set(resolve):
    assert resolve("full").parameters["detector.epochs"] == 30
    assert resolve("full", epochs=8).parameters["detector.epochs"] == 6
    assert resolve("full", settings={"phase.first.epochs": "7"}).parameters["detector.epochs"] == 7
    assert resolve("full", settings={"phase.first.epochs": "0"}).parameters["detector.epochs"] == 1


def test_a_value_that_follows_a_phase_can_still_be_set(resolve):
    method = resolve("full", epochs=8, settings={"detector.epochs": "5"})
    assert method.parameters["detector.epochs"] == 5
    assert method.row == "full [epochs=8, detector.epochs=5]"


def test_a_value_that_follows_a_phase_keeps_the_length_that_the_phase_would_have(resolve):
    assert resolve("full", hasher="closed").parameters["detector.epochs"] == 30
    assert resolve("full", hasher="closed", epochs=4).parameters["detector.epochs"] == 3


def test_phases_of_the_recipe_go_over_those_of_the_hasher(resolve):
    assert lengths(resolve("full", hasher="other-net")) == {"first": 30, "second": 10}
    assert lengths(resolve("plain", hasher="other-net")) == {"alone": 5}
    assert lengths(resolve("needy", objective="loss")) == {"own": 8}


def test_closed_form_has_no_phases_whatever_the_recipe_says(resolve):
    method = resolve("full", hasher="closed", epochs=4)
    assert method.phases == ()
    assert not any(key.startswith("phase.") for key in method.parameters)
    assert method.row == "full [hasher=closed]"


def test_learner_without_any_phase_is_refused(resolve):
    with pytest.raises(
        CombinationError, match=r"'phaseless' trains in epochs, and neither it nor method 'no-phase' names a phase"
    ):
        resolve("no-phase")


def test_phase_on_trusted_pairs_needs_trusted_pairs_only_while_it_lasts(resolve):
    assert Need.TRUSTED in resolve("full").needs
    assert Need.TRUSTED not in resolve("full", settings={"phase.first.epochs": "0"}).needs


def test_needs_follow_the_value_of_a_parameter(resolve):
    assert Need.CLASS_LABELS not in resolve("full").needs
    assert Need.CLASS_LABELS in resolve("full", settings={"labels": "yes"}).needs


def test_two_learners_belong_to_hasher_and_detector_of_the_recipe(resolve):
    assert resolve("pair").learners == 2
    assert resolve("pair", objective="other-loss").learners == 2
    assert resolve("pair", detector="other-watch").learners == 1
    assert resolve("pair", hasher="other-net").learners == 1


def test_recipe_with_an_unknown_key_is_refused_with_a_suggestion(resolve):
    with pytest.raises(HarnessError, match=r"parameter of hasher closed 'rigde': did you mean 'ridge'"):
        resolve("wrong-key")


@pytest.mark.parametrize("name", ["wrong-value", "wrong-type"])
def test_recipe_with_a_value_that_the_parameter_does_not_allow_is_refused(resolve, name):
    # once: values of a recipe and its presets reach the component unchecked.
    with pytest.raises(HarnessError, match=r"kind|width"):
        resolve(name)


def test_recipe_value_gets_the_type_of_its_parameter(resolve):
    # once: 2 and 2.0 are the same ridge, but hash differently, so that `--set ridge=2` is another cell of the same row.
    value = resolve("whole-number").parameters["hasher.ridge"]
    assert type(value) is type(resolve("whole-number", settings={"ridge": "2"}).parameters["hasher.ridge"])


phases = st.lists(st.integers(0, 200), min_size=1, max_size=6).map(
    lambda epochs: tuple(Phase(f"phase-{at}", length) for at, length in enumerate(epochs))
)


@repeatable
@given(phases, st.integers(1, 1000))
def test_divided_epochs_sum_to_the_total(given_phases, total):
    divided = divide_epochs(given_phases, total)
    assert [phase.name for phase in divided] == [phase.name for phase in given_phases]
    if any(phase.epochs for phase in given_phases):
        assert sum(phase.epochs for phase in divided) == total
    else:
        assert divided == given_phases


@repeatable
@given(phases, st.integers(1, 1000))
def test_divided_epochs_keep_the_proportion(given_phases, total):
    wanted = sum(phase.epochs for phase in given_phases)
    active = sum(phase.epochs > 0 for phase in given_phases)
    for before, after in zip(given_phases, divide_epochs(given_phases, total), strict=True):
        if not before.epochs:
            assert after.epochs == 0
        elif wanted:
            # One epoch of rounding, and as many as shorter phases needed to keep one of their own.
            assert abs(after.epochs - total * before.epochs / wanted) < 1 + active


@repeatable
@given(phases, st.integers(1, 1000))
def test_phase_with_epochs_keeps_one_where_the_total_allows_it(given_phases, total):
    active = [at for at, phase in enumerate(given_phases) if phase.epochs]
    divided = divide_epochs(given_phases, total)
    kept = sum(divided[at].epochs > 0 for at in active)
    assert kept == min(len(active), total if active else 0)


@repeatable
@given(phases, st.integers(1, 20))
def test_multiples_of_the_recipe_are_divided_exactly(given_phases, factor):
    wanted = sum(phase.epochs for phase in given_phases)
    divided = divide_epochs(given_phases, factor * wanted) if wanted else given_phases
    assert [phase.epochs for phase in divided] == [factor * phase.epochs if wanted else 0 for phase in given_phases]


def test_chnr_divides_its_epochs_evenly():
    registry = load_registry(environment={})
    method = resolve_method(registry, MethodRequest("chnr", epochs=30))
    assert lengths(method) == {"warm-up": 15, "noisy": 15}
    assert method.parameters["detector.epochs"] == 15
    assert resolve_method(registry, MethodRequest("chnr", epochs=3)).parameters["detector.epochs"] == 2
