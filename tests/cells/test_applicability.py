"""What of a grid's presets, parameters and epochs applies to which of its methods."""

from __future__ import annotations

import functools

import pytest

from harness.cells.applicability import UnknownInGridError, only_what_applies
from harness.cells.command import command_of
from harness.cells.request import CellRequest, MethodRequest, span
from harness.errors import HarnessError
from harness.plugin.loading import load_registry


@pytest.fixture(scope="module")
def registry():
    return load_registry(environment={})


@pytest.fixture
def commands(registry):
    """The commands of what is left of a grid."""

    def left(axes, settings=None, own=None):
        base = CellRequest(MethodRequest(axes["method"][0]))
        points = only_what_applies(registry, span(base, axes, settings or {}), own)
        usual = (" --bits 64", " --data-seed 0", " --seed 0")
        lines = [command_of(point).removeprefix("harness run --method ") for point in points]
        return [functools.reduce(lambda line, word: line.replace(word, ""), usual, line) for line in lines]

    return left


def test_a_preset_holds_for_the_methods_that_have_it(commands, caplog):
    assert commands({"method": ["chnr", "cca-itq"], "preset": ["released"]}) == ["chnr --preset released", "cca-itq"]
    assert caplog.messages == ["preset released is left out for cca-itq: no such preset there."]


def test_a_method_without_the_parameter_of_an_axis_gives_one_cell(commands, caplog):
    found = commands(
        {"method": ["chnr", "cca-itq", "random-codes"], "seed": [0, 1]}, {"detector.weights": ["normal", "cubed"]}
    )
    assert [line for line in found if "chnr" not in line] == [
        "cca-itq", "cca-itq --seed 1", "random-codes", "random-codes --seed 1",
    ]  # fmt: skip
    assert len([line for line in found if "chnr --" in line and "--set detector.weights=" in line]) == 4
    assert caplog.messages == [
        "parameter detector.weights is left out for cca-itq, random-codes: no such parameter there."
    ]


def test_parts_decide_about_parameters(commands, caplog):
    found = commands({"method": ["chnr"], "detector": ["adversarial", "none"]}, {"weights": ["normal", "cubed"]})
    assert found == [
        "chnr --detector adversarial --set weights=normal",
        "chnr --detector adversarial --set weights=cubed",
        "chnr --detector none",
    ]
    assert caplog.messages == ["parameter weights is left out for chnr with detector none: no such parameter there."]


def test_a_method_that_lacks_it_with_all_of_its_parts_is_named_once(commands, caplog):
    commands({"method": ["chnr", "cca-itq"], "detector": ["none", "oracle"]}, {"hasher.hidden": ["8"]})
    assert caplog.messages == ["parameter hasher.hidden is left out for cca-itq: no such parameter there."]


def test_what_every_method_has_is_left_as_it_is(commands, caplog):
    asked = {"method": ["chnr", "chnr-cubed"], "preset": ["released"], "epochs": [5]}
    assert commands(asked, {"hasher.hidden": ["8"]}) == [
        f"{method} --preset released --epochs 5 --set hasher.hidden=8" for method in asked["method"]
    ]
    assert not caplog.messages


def test_epochs_of_a_closed_form_are_told(commands, caplog):
    assert commands({"method": ["cca-itq", "chnr"], "epochs": [5]}) == ["cca-itq", "chnr --epochs 5"]
    assert caplog.messages == ["the number of epochs is left out for cca-itq: nothing there is trained in epochs."]
    caplog.clear()
    # The detector trains as long as the warm-up would.
    (command,) = commands({"method": ["chnr"], "hasher": ["cca-itq"], "epochs": [6]})
    assert command.endswith("--epochs 6")
    assert not caplog.messages


@pytest.mark.parametrize("epochs", [0, -3])
def test_a_number_of_epochs_that_means_nothing_stays_to_be_refused(commands, caplog, epochs):
    assert commands({"method": ["cca-itq", "chnr"], "epochs": [epochs]}) == [
        f"cca-itq --epochs {epochs}", f"chnr --epochs {epochs}",
    ]  # fmt: skip
    assert not caplog.messages


@pytest.mark.parametrize(
    ("axes", "settings", "message"),
    [
        ({"preset": ["relesed"]}, {}, r"^unknown preset of methods chnr, cca-itq 'relesed': did you mean 'released'"),
        ({}, {"hasher.rigde": ["1"]}, r"^unknown parameter of methods chnr, cca-itq 'hasher.rigde': .*'hasher.ridge'"),
        ({"method": ["cca-itq"]}, {"hasher.hidden": ["1"]}, r"^unknown parameter of method cca-itq 'hasher.hidden': "),
    ],
)
def test_what_no_method_has_is_refused(commands, axes, settings, message):
    with pytest.raises(UnknownInGridError, match=message):
        commands({"method": ["chnr", "cca-itq"], **axes}, settings)


def test_unknown_names_are_told_first(commands):
    with pytest.raises(HarnessError, match="unknown method 'nope'"):
        commands({"method": ["nope", "chnr"]}, {"nothing": ["1"]})


def test_a_combination_that_cannot_work_stays_and_vouches_for_nothing(commands):
    # cca-itq takes no objective: its cells are refused one by one.
    asked = {"method": ["chnr", "cca-itq"], "objective": ["nt-xent"]}
    found = commands(asked, {"hasher.hidden": ["8"]})
    assert found[1] == "cca-itq --objective nt-xent --set hasher.hidden=8"
    with pytest.raises(UnknownInGridError, match=r"of method chnr 'hasher.ridge'"):
        commands(asked, {"hasher.ridge": ["1"]})


def test_what_is_said_for_one_method_alone_stays(commands):
    found = commands(
        {"method": ["chnr", "cca-itq"], "preset": ["released"]}, {"hasher.hidden": ["8"]},
        {"cca-itq": ["preset", "hasher.hidden"]},
    )  # fmt: skip
    assert found[1] == "cca-itq --preset released --set hasher.hidden=8"
