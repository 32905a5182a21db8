"""Cells: what makes two of them the same, the order of a grid, and the command that repeats one."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.cells.cell import content_hash
from harness.cells.command import command_of
from harness.cells.request import CellRequest, MethodRequest, grid
from harness.cells.workbench import Workbench
from harness.cli.options import requests_of
from harness.cli.running.run import command as run_command
from harness.plugin.loading import load_registry

repeatable = settings(derandomize=True, deadline=None, max_examples=60)


def requests(*words: object) -> list[CellRequest]:
    """The requests that ``harness run WORDS`` stands for."""
    return requests_of(run_command.make_context("run", [str(word) for word in words]).params)


@pytest.fixture
def hash_of():
    """``hash_of("--noise", 0.2, ...)``: hash of the one cell that ``harness run`` would run."""

    def cell_hash(*words: object, plugins: tuple[Path, ...] = ()) -> str:
        (request,) = requests(*words)
        return Workbench(load_registry(plugins, environment={})).prepare(request).cell.hash

    return cell_hash


BASE = ("--method", "chnr", "--noise", "0.4")

ANOTHER_CELL = {
    "method": ("--method", "chnr-cubed", "--noise", "0.4"),
    "method with equal components": ("--method", "duch-noisy", "--noise", "0.4"),
    "hasher": (*BASE, "--hasher", "cca-itq"),
    "detector": (*BASE, "--detector", "none"),
    "parameter of the hasher": (*BASE, "--set", "hasher.beta=0.01"),
    "parameter of the detector": (*BASE, "--set", "detector.weights=ones"),
    "parameter of the objective": (*BASE, "--set", "temperature=0.5"),
    "length of a phase": (*BASE, "--set", "phase.noisy.epochs=74"),
    "epochs": (*BASE, "--epochs", "10"),
    "preset": (*BASE, "--preset", "released"),
    "bits": (*BASE, "--bits", "32"),
    "seed": (*BASE, "--seed", "1"),
    "data seed": (*BASE, "--data-seed", "1"),
    "noise": ("--method", "chnr", "--noise", "0.400001"),
    "no noise": ("--method", "chnr"),
    "protocol": (*BASE, "--protocol", "cross-class"),
    "trusted": (*BASE, "--trusted", "0.3"),
    "trusted by a hair, same pairs": (*BASE, "--trusted", "0.2001"),
    "standardise": (*BASE, "--standardise", "none"),
    "limit": (*BASE, "--limit", "60"),
}


def test_every_axis_makes_another_cell(hash_of, features):
    data = ("--features", features())
    hashes = {what: hash_of(*words, *data) for what, words in ANOTHER_CELL.items()}
    hashes["base"] = hash_of(*BASE, *data)
    assert len(set(hashes.values())) == len(hashes)


@pytest.mark.parametrize(
    "words",
    [
        ("--method", "chnr", "--noise", "0.40"),
        ("--method", "chnr", "--noise", "4e-1"),
        (*BASE, "--seed", "0", "--bits", "64", "--data-seed", "0", "--trusted", "0.2", "--protocol", "derangement"),
        (*BASE, "--hasher", "contrastive", "--detector", "adversarial", "--objective", "nt-xent"),
        (*BASE, "--preset", "described", "--standardise", "scalar"),
        (*BASE, "--epochs", "150"),
        (*BASE, "--set", "hasher.hidden=4096", "--set", "temperature=1", "--set", "weights=normal"),
        (*BASE, "--set", "hidden=4.096e3"),
        (*BASE, "--set", "phase.warm-up.epochs=75"),
        (*BASE, "--limit", "120"),
        (*BASE, "--data-root", "elsewhere"),
    ],
)
def test_the_same_cell_in_other_words_has_the_same_hash(hash_of, features, words):
    data = ("--features", features())
    assert hash_of(*words, *data) == hash_of(*BASE, *data)


def test_hash_is_the_same_in_another_process_and_folder(hash_of, features, tmp_path):
    path = features()
    (tmp_path / "moved").mkdir()
    moved = tmp_path / "moved" / path.name
    moved.write_bytes(path.read_bytes())
    assert hash_of(*BASE, "--features", moved) == hash_of(*BASE, "--features", path)


@pytest.mark.parametrize("array", ["image", "text", "caption_image", "labels", "image_aug", "text_aug"])
def test_content_of_every_array_counts(hash_of, features, array):
    path = features()
    before = hash_of(*BASE, "--features", path)
    with np.load(path) as stored:
        arrays = dict(stored)
    arrays[array] = arrays[array].copy()
    if array == "caption_image":
        arrays[array][[1, 2]] = arrays[array][[2, 1]]
    else:
        arrays[array].flat[3] += 1
    np.savez(path, **arrays)
    assert hash_of(*BASE, "--features", path) != before


def test_extra_arrays_that_are_not_read_do_not_count(hash_of, features, tmp_path):
    path = features()
    before = hash_of(*BASE, "--features", path)
    with np.load(path) as stored:
        np.savez(path, **stored, remarks=np.arange(3))
    assert hash_of(*BASE, "--features", path) == before


@pytest.mark.parametrize("array", ["split", "trusted", "caption_choice"])
def test_protocol_that_the_file_brings_counts(hash_of, features, array):
    n = 120
    values = {
        "split": np.arange(n) % 3,
        "trusted": np.arange(n) % 4 == 0,
        "caption_choice": np.arange(n) % 2,
    }[array]
    plain = hash_of(*BASE, "--features", features("same"))
    brought = hash_of(*BASE, "--features", features("same", extra={array: values}))
    other = values.copy()
    other[:2] = other[:2][::-1] if len(set(values[:2])) > 1 else 0
    assert len({plain, brought, hash_of(*BASE, "--features", features("same", extra={array: other}))}) == 3


PLUGIN = """
from harness import Recipe, hookimpl

class Lonely:
    factor = 2

@hookimpl
def register_hashers(register):
    register("lonely", Lonely, summary="s")

@hookimpl
def register_methods(register):
    register("lonely", Recipe("lonely"), summary="s")
"""


def test_edited_plugin_makes_another_cell_and_a_new_comment_does_not(hash_of, features, tmp_path):
    file, words = tmp_path / "lonely.py", ("--method", "lonely", "--features", features())
    hashes = []
    for stamp, code in enumerate([PLUGIN, "# better\n" + PLUGIN, PLUGIN.replace("factor = 2", "factor = 3")], start=1):
        file.write_text(code)
        os.utime(file, ns=(stamp, stamp))
        hashes.append(hash_of(*words, plugins=(file,)))
    assert hashes[0] == hashes[1] != hashes[2]


PROTOCOL = """
import numpy
from harness import hookimpl

def neighbours(pairs, rate):
    return numpy.arange(len(pairs))  # nobody is wrong

@hookimpl
def register_protocols(register):
    register("neighbours", neighbours, summary="s"VERSION)
"""


def test_edited_noise_protocol_and_its_version_make_another_cell(hash_of, features, tmp_path):
    file, words = (
        tmp_path / "protocol.py",
        ("--method", "cca-itq", "--protocol", "neighbours", "--features", features()),
    )
    hashes = []
    edited = PROTOCOL.replace("arange(len(pairs))", "roll(numpy.arange(len(pairs)), 1)")
    for stamp, (code, version) in enumerate([(PROTOCOL, ""), (edited, ""), (PROTOCOL, ", version=2")], start=1):
        file.write_text(code.replace("VERSION", version))
        os.utime(file, ns=(stamp, stamp))
        hashes.append(hash_of(*words, plugins=(file,)))
    assert len(set(hashes)) == 3


def test_data_key_is_equal_for_cells_that_share_their_data():
    one, other = requests("--method", "chnr,cca-itq", "--noise", "0.4", "--seed", "3", "--bits", "16")
    assert one.data_key == other.data_key
    for option in (("--noise", "0.2"), ("--trusted", "0.1"), ("--data-seed", "1"), ("--limit", "5")):
        (changed,) = requests("--method", "chnr", "--seed", "3", *({"--noise": "0.4"} | dict([option])).popitem())
        assert changed.data_key != one.data_key


def test_grid_has_the_first_axis_outermost():
    assert grid({"a": [1, 2], "b": ["x"], "c": [3, 4]}) == [
        {"a": 1, "b": "x", "c": 3},
        {"a": 1, "b": "x", "c": 4},
        {"a": 2, "b": "x", "c": 3},
        {"a": 2, "b": "x", "c": 4},
    ]
    assert grid({}) == [{}]


def test_grid_of_options_changes_data_slowest_and_seeds_fastest():
    found = requests("--method", "a,b", "--noise", "0.2", "--noise", "0.1", "--seed", "0-1,5", "--set", "hasher.x=7,8")
    order = [(r.noise, r.method.name, r.method.settings["hasher.x"], r.seed) for r in found]
    expected = [(n, m, x, s) for n in (0.2, 0.1) for m in "ab" for x in "78" for s in (0, 1, 5)]
    assert order == expected


def test_repeated_values_of_an_axis_count_once():
    found = requests(
        "--method", "a,a", "--noise", "0.2,0.20", "--noise", "2e-1", "--seed", "0-2,1,2-3", "--bits", "8,8"
    )
    assert [(r.method.name, r.noise, r.seed, r.bits) for r in found] == [("a", 0.2, seed, 8) for seed in range(4)]


def test_content_hash_does_not_depend_on_the_order_of_keys_and_sees_every_value():
    assert content_hash({"a": 1, "b": [1, 2]}) == content_hash({"b": [1, 2], "a": 1})
    assert len({content_hash({"a": value}) for value in (1, "1", 1.5, None, True, [1], {"b": 1})}) == 7
    assert len(content_hash({})) == 12
    with pytest.raises(ValueError, match="JSON"):
        content_hash({"a": float("nan")})


names = st.from_regex(r"[a-z][a-z0-9_.-]{0,8}", fullmatch=True)
words = st.text(
    st.characters(blacklist_categories=("Cs", "Cc", "Zs", "Zl", "Zp")) | st.sampled_from(",\\"), min_size=1, max_size=12
)
files = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=12).map(
    lambda text: Path("d") / text
)
optional = st.none()
shares = st.integers(0, 999).map(lambda thousandth: thousandth / 1000)
seeds = st.integers(0, 2**70)
settings_ = st.dictionaries(
    st.sampled_from(["hasher.lr", "beta", "phase.warm-up.epochs", "detector.mode"]), words, max_size=3
)
backbone_settings = st.dictionaries(st.sampled_from(["image_backbone.size", "text_backbone.kind"]), words, max_size=2)
method_requests = st.builds(
    MethodRequest,
    name=names,
    hasher=optional | names,
    detector=optional | names,
    objective=optional | names,
    preset=st.just("described") | names,
    settings=settings_,
    epochs=optional | st.integers(1, 10**6),
)
cell_fields = {
    "method": method_requests,
    "noise_plan": optional | files,
    "data_root": optional | files,
    "image_backbone": optional | names,
    "text_backbone": optional | names,
    "image_weights": optional | words,
    "text_weights": optional | words,
    "backbone_settings": backbone_settings,
    "noise": optional | shares,
    "protocol": optional | names,
    "trusted": optional | shares,
    "bits": st.integers(1, 10**6),
    "seed": seeds,
    "data_seed": seeds,
    "standardise": names,
    "limit": optional | st.integers(1, 10**6),
}
cell_requests = st.builds(CellRequest, dataset=names, **cell_fields) | st.builds(
    CellRequest, features=files, **cell_fields
)


def from_any_folder(request: CellRequest) -> CellRequest:
    """The request with absolute paths, as the command writes them."""
    fields = ("features", "noise_plan", "data_root")
    paths = {name: path.absolute() for name in fields if (path := getattr(request, name))}
    local = {
        name: str(Path(text).absolute())
        for name in ("image_weights", "text_weights")
        if (text := getattr(request, name)) and Path(text).exists()
    }
    return replace(request, **paths, **local, plugins=tuple(path.absolute() for path in request.plugins))


def read_back(request: CellRequest) -> CellRequest:
    line = command_of(request)
    assert "\n" not in line
    program, verb, *options = shlex.split(line)
    assert (program, verb) == ("harness", "run")
    (found,) = requests(*options)
    return found


@repeatable
@given(cell_requests)
@example(CellRequest(MethodRequest("chnr"), features=Path("-dash.npz")))
@example(
    CellRequest(
        MethodRequest("chnr", settings={"hasher.mode": "a=b,c\\,d\\"}),
        features=Path("with blank, comma/fé 'x' \"y\" $z.npz"),
    )
)
def test_printed_command_gives_the_same_request(request_):
    assert read_back(request_) == from_any_folder(request_)


@repeatable
@given(st.floats(0, 0.999999), st.floats(0, 0.999999))
def test_printed_command_keeps_every_digit_of_a_rate(noise, trusted):
    # once: rates are printed with six digits, so that the command of a run at noise 0.1234567 is another cell.
    request = CellRequest(MethodRequest("chnr"), noise=noise, trusted=trusted)
    assert read_back(request) == request


def test_printed_command_names_the_plugin_file_that_it_needs(harness, features, tmp_path):
    # once: without --plugin the command fails with "unknown method".
    file = tmp_path / "lonely.py"
    file.write_text(PLUGIN)
    shown = harness("run", "--method", "lonely", "--features", features(), "--plugin", file)
    line = next(line for line in shown.err.splitlines() if "repeat with:" in line)
    options = run_command.make_context("run", shlex.split(line.partition(": ")[2])[2:]).params
    assert options["plugins"] == (file,)


COMBINATIONS = [
    ("--method", "chnr", "--noise", "0.25", "--trusted", "0.1", "--bits", "16", "--seed", "3", "--data-seed", "2"),
    ("--method", "chnr", "--preset", "released", "--protocol", "chnr-released", "--noise", "0.4", "--epochs", "7"),
    (
        "--method",
        "chnr",
        "--hasher",
        "cca-itq",
        "--set",
        "ridge=2",
        "--set",
        "detector.weights=cubed",
        "--standardise",
        "none",
    ),
    (
        "--method",
        "duch-noisy",
        "--detector",
        "oracle",
        "--set",
        "phase.noisy.epochs=3",
        "--set",
        "hidden=8",
        "--limit",
        "60",
    ),
    (
        "--method",
        "duch-ptc",
        "--objective",
        "nt-xent",
        "--set",
        "temperature=0.1",
        "--protocol",
        "shuffle",
        "--noise",
        "0.999",
    ),
    ("--method", "cca-itq", "--protocol", "given"),
]


@pytest.mark.parametrize("words_", COMBINATIONS, ids=lambda words_: " ".join(words_[1:4]))
def test_printed_command_gives_the_same_cell(features, words_):
    workbench = Workbench(load_registry(environment={}))
    path = features("of mine, number 1")
    (request,) = requests(*words_, "--features", path)
    job = workbench.prepare(request)
    again = workbench.prepare(read_back(request))
    assert again.cell == job.cell
    assert again.cell.hash == job.cell.hash
