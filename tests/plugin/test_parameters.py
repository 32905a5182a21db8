"""Reading parameter values from text, their limits, and parameters derived from a signature."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.plugin.interfaces import NOTHING, Need
from harness.plugin.loading import load_registry
from harness.plugin.parameters import Parameter, defaults, find, needs_of_values, parameters_from_signature
from harness.quantities import LARGEST_INTEGER

repeatable = settings(derandomize=True, deadline=None, max_examples=100)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True),
        ("Yes", True),
        ("on", True),
        ("1", True),
        (" FALSE ", False),
        ("no", False),
        ("off", False),
        ("0", False),
    ],
)
def test_bool_is_read_from_the_usual_words(text, expected):
    assert Parameter("flag", False).read(text, "hasher.flag") is expected


@pytest.mark.parametrize("text", ["2", "maybe", "", "tru", "none"])
def test_bool_refuses_other_words(text):
    with pytest.raises(HarnessError, match=rf"^hasher.flag={text}: expected bool"):
        Parameter("flag", False).read(text, "hasher.flag")


@pytest.mark.parametrize(
    ("text", "expected"), [("7", 7), ("-3", -3), ("+3", 3), ("1e3", 1000), ("8.0", 8), (8, 8), (" 5 ", 5)]
)
def test_int_is_read_exactly(text, expected):
    value = Parameter("n", 1).read(text, "hasher.n")
    assert value == expected
    assert type(value) is int


@pytest.mark.parametrize("text", ["1.5", "x", "", "nan", "inf", "-inf", "1e400", True, "true", "0x10"])
def test_int_refuses_what_is_no_whole_number(text):
    with pytest.raises(HarnessError, match=r"expected int"):
        Parameter("n", 1).read(text, "hasher.n")


@repeatable
@given(st.integers(-LARGEST_INTEGER, LARGEST_INTEGER))
def test_int_of_63_bits_survives_the_way_through_text(number):
    assert Parameter("n", 1).read(str(number), "n") == number


@repeatable
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_float_survives_the_way_through_text(number):
    value = Parameter("x", 1.0).read(repr(number), "x")
    assert value == number
    assert type(value) is float


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999"])
def test_float_must_be_finite(text):
    with pytest.raises(HarnessError, match=r"finite"):
        Parameter("x", 1.0).read(text, "x")


@pytest.mark.parametrize("text", ["", "a", "1,5", "=2", "1 2"])
def test_float_refuses_what_is_no_number(text):
    with pytest.raises(HarnessError, match=r"expected float"):
        Parameter("x", 1.0).read(text, "x")


def test_float_from_a_whole_number_is_a_float():
    assert type(Parameter("x", 1.0).read("2", "x")) is float
    assert type(Parameter("x", 1.0).read(2, "x")) is float


def test_text_keeps_equals_signs_and_blanks():
    assert Parameter("mode", "a").read("b=c d", "mode") == "b=c d"


@pytest.mark.parametrize(
    ("limits", "inside", "outside", "words"),
    [
        ({"minimum": 1}, ["1", "2"], ["0", "-1"], "int >= 1"),
        ({"maximum": 3}, ["3", "-9"], ["4"], "int <= 3"),
        ({"above": 0}, ["1"], ["0", "-1"], "int > 0"),
        ({"minimum": 2, "maximum": 4}, ["2", "4"], ["1", "5"], "int >= 2, <= 4"),
    ],
)
def test_limits_are_inclusive_but_for_above(limits, inside, outside, words):
    parameter = Parameter("n", 2, **limits)
    for text in inside:
        assert parameter.read(text, "n") == int(text)
    for text in outside:
        with pytest.raises(HarnessError, match=rf"^n={text}: expected {words}.$"):
            parameter.read(text, "n")


def test_float_just_above_an_exclusive_limit_is_allowed():
    parameter = Parameter("x", 1.0, above=0)
    assert parameter.read("1e-300", "x") == 1e-300
    with pytest.raises(HarnessError):
        parameter.read("0.0", "x")


def test_choices_are_kept_in_their_type_and_others_get_a_suggestion():
    parameter = Parameter("weights", "normal", choices=("normal", "cubed"))
    assert parameter.read("cubed", "detector.weights") == "cubed"
    with pytest.raises(HarnessError, match=r"unknown value of detector.weights 'cubd': did you mean 'cubed'"):
        parameter.read("cubd", "detector.weights")
    number = Parameter("order", 1, choices=(1, 2, 4))
    assert number.read("4", "order") == 4
    assert type(number.read("4", "order")) is int
    with pytest.raises(HarnessError, match=r"known: 1, 2, 4|did you mean"):
        number.read("3", "order")


def test_type_name_shows_choices_or_limits():
    assert Parameter("w", "a", choices=("a", "b")).type_name == "a | b"
    assert Parameter("x", 0.5, above=0, maximum=1).type_name == "float > 0, <= 1"
    assert Parameter("f", True).type_name == "bool"


def test_signature_gives_parameters_in_order_with_their_defaults():
    class Component:
        def __init__(self, rate=0.5, *, steps: int = 3, mode="fast", strict=False, **other):
            pass

    found = parameters_from_signature(Component)
    assert [(p.name, p.default, type(p.default)) for p in found] == [
        ("rate", 0.5, float),
        ("steps", 3, int),
        ("mode", "fast", str),
        ("strict", False, bool),
    ]


def test_class_without_constructor_has_no_parameters():
    assert parameters_from_signature(type("Bare", (), {})) == ()


@pytest.mark.parametrize("default", ["", "=None", "=(1, 2)"])
def test_signature_without_a_plain_default_is_refused_with_the_way_out(default):
    scope: dict = {}
    exec(f"class C:\n    def __init__(self, size{default}): pass\n", scope)
    with pytest.raises(HarnessError, match=r"C.__init__: argument 'size' needs a default .* parameters=\(Parameter"):
        parameters_from_signature(scope["C"])


def test_find_suggests_near_names():
    parameters = (Parameter("learning_rate", 1.0), Parameter("beta", 1.0))
    assert find(parameters, "beta", "hasher contrastive").name == "beta"
    with pytest.raises(
        HarnessError, match=r"unknown parameter of hasher contrastive 'learnig_rate': did you mean 'learning_rate'"
    ):
        find(parameters, "learnig_rate", "hasher contrastive")


def test_needs_follow_the_values_and_the_defaults():
    parameters = (
        Parameter("draw", "any", choices=("any", "class"), needs={"class": Need.CLASS_LABELS}),
        Parameter("order", True, needs={True: Need.SOURCE_ORDER}),
    )
    assert needs_of_values(parameters, {"draw": "class", "order": False}) == Need.CLASS_LABELS
    assert needs_of_values(parameters, {}) == Need.SOURCE_ORDER
    assert needs_of_values(parameters, {"order": False}) == NOTHING


def test_defaults_by_name():
    assert defaults([Parameter("a", 1), Parameter("b", "x")]) == {"a": 1, "b": "x"}


PLUGIN = """
from harness import hookimpl

class Chosen:
    def __init__(self, objective, rate=0.5):
        pass

class Own:
    def __init__(self, objective=1.0):
        pass

class Tower:
    def __init__(self, model, weights, modality, recipe, size=224):
        pass

@hookimpl
def register_hashers(register):
    register("chosen", Chosen, summary="s", takes_objective=True)
    register("own", Own, summary="s")

@hookimpl
def register_backbones(register):
    register("tower", Tower, summary="s", modality="both", models=True, weights="optional",
             recipes=("standard", "other"))
"""


def test_what_the_harness_hands_in_is_no_parameter(tmp_path):
    file = tmp_path / "handed.py"
    file.write_text(PLUGIN)
    registry = load_registry([file], environment={})
    names = {
        name: [parameter.name for parameter in registry.get(kind, name).parameters]
        for kind, name in (("hasher", "chosen"), ("hasher", "own"), ("backbone", "tower"))
    }
    # A hasher that takes no objective may call a parameter so.
    assert names == {"chosen": ["rate"], "own": ["objective"], "tower": ["size"]}


class Odd(int):
    def __repr__(self):
        raise RuntimeError

    __str__ = __repr__


class OddText(str):
    __slots__ = ()
    __repr__ = __str__ = Odd.__repr__


@pytest.mark.parametrize(
    ("default", "plain"),
    [(Odd(3), 3), (OddText("a"), "a"), (np.float64(0.1), 0.1), (True, True), (-0.0, -0.0)],
    ids=["number", "text", "numpy", "truth", "zero"],
)
def test_defaults_are_plain_values(default, plain):
    made = Parameter("p", default)
    assert type(made.default) is type(plain)
    assert repr(made.default) == repr(plain)
    assert type(made.read(str(plain), "p")) is type(plain)


@pytest.mark.parametrize(
    ("name", "default", "meaning", "words"),
    [
        ("p", [1], "m", "parameter 'p' needs a default of type bool, int, float or str, not list"),
        ("p", None, "m", "not NoneType"),
        (5, 1, "m", "name and meaning must be text, not int"),
        ("p", 1, 5, "name and meaning must be text, not int"),
    ],
)
def test_parameters_of_other_types_are_refused(name, default, meaning, words):
    with pytest.raises(HarnessError, match=words):
        Parameter(name, default, meaning)
