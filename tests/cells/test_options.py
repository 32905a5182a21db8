"""The one table of options, and what is derived from it."""

from __future__ import annotations

import re
from dataclasses import MISSING, dataclass
from pathlib import Path

import pytest

from harness.cells.axes import numbers
from harness.cells.options import Stage, option, options_in
from harness.cells.request import BY_NAME, DECLARED, OPTIONS, ORDER, CellRequest, MethodRequest, with_values
from harness.cli.options import CELL_OPTIONS
from harness.errors import HarnessError


@dataclass(frozen=True)
class Request:
    name: str = option(MISSING, "Method", "Which.", "NAME", Stage.SEEDING, name="kind")
    size: int = option(3, "Data", "How large.", "N", Stage.READING)
    share: float | None = option(None, "Data", "How much.", "SHARE", Stage.READING, usual=" 0.2")
    place: Path | None = option(None, "Data", "Where.", "FILE", Stage.READING)
    all_of_it: bool = option(False, "Data", "Everything.")
    settings: int = 0


def test_an_option_is_declared_by_its_field():
    kind, size, share, place, all_of_it = options_in(Request)
    assert [one.flag for one in (kind, size, share, place, all_of_it)] == [
        "--kind", "--size", "--share", "--place", "--all-of-it",
    ]  # fmt: skip
    assert (kind.read, size.read, share.read, place.read, all_of_it.read) == (str, int, float, Path, bool)
    assert (kind.held(Request("a")), size.held(Request("a"))) == ("a", 3)
    assert (size.value(Request("a")), size.value(Request("a", size=4))) == (None, 4)
    assert (kind.axis, size.axis, place.axis, all_of_it.axis) == (True, True, False, False)
    assert (all_of_it.is_switch, place.is_switch) == (True, False)
    assert [one.help for one in (kind, size, share, place)] == [
        "Which.  [axis]", "How large.  [axis; default 3]", "How much.  [axis; default 0.2]", "Where.",
    ]  # fmt: skip


def test_the_grid_varies_the_slow_ones_first():
    axes = [name for name in ORDER if BY_NAME[name].varies is not None]
    assert axes == [
        "dataset", "features", "backbone", "image_backbone", "image_recipe", "image_views", "image_augment",
        "text_backbone", "text_views", "text_augment", "data_seed", "split", "relevance", "standardise", "protocol",
        "trusted", "noise", "bits", "precision", "method", "preset", "hasher", "detector", "objective", "seed",
    ]  # fmt: skip
    assert {*ORDER} == {*BY_NAME}


def test_the_command_line_has_every_option_and_two_that_repeat():
    assert len(CELL_OPTIONS) == len(OPTIONS) + len(("--set", "--plugin"))
    assert {*DECLARED} == {*OPTIONS}


def test_values_reach_their_fields():
    base = CellRequest(MethodRequest("chnr", settings={"beta": "1"}))
    found = with_values(
        base, {"method": "duch", "epochs": 3, "bits": 8}, {"beta": "2", "image_backbone.size": "9", "hasher.lr": "1"}
    )
    assert found == CellRequest(
        MethodRequest("duch", epochs=3, settings={"beta": "2", "hasher.lr": "1"}),
        bits=8,
        backbone_settings={"image_backbone.size": "9"},
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("4-0", "--seed 4-0: the range runs backwards: write 0-4."),
        ("0-10000", "--seed 0-10000: the range has more than"),
    ],
)
def test_a_wrong_range_is_told_with_its_option(text, said):
    with pytest.raises(HarnessError, match=re.escape(said)):
        numbers("--seed", [text], int)
