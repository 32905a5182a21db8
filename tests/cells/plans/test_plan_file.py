"""Plan files: what they span, and errors that name the line."""

from __future__ import annotations

import itertools
from itertools import pairwise
from pathlib import Path

import pytest

from harness.cells.plans.file import read_plan, shipped_plans
from harness.cells.plans.values import checked_requests
from harness.cells.request import CellRequest, MethodRequest
from harness.errors import HarnessError
from harness.plugin.loading import load_registry


@pytest.fixture
def plan(tmp_path):
    """``plan(text)`` reads a plan of that text."""

    def read(text: str, name: str = "mine"):
        path = tmp_path / f"{name}.toml"
        path.write_text(text)
        return read_plan(path)

    return read


def points(requests: list[CellRequest], *names: str) -> list[tuple]:
    """Chosen fields of each request."""
    return [
        tuple(
            request.method.name if name == "method"
            else getattr(request, name) if hasattr(request, name)
            else getattr(request.method, name)
            for name in names
        )
        for request in requests
    ]  # fmt: skip


HEAD = '[axes]\nmethod = ["chnr", "cca-itq"]\n'


def test_axes_span_the_grid_with_data_slowest_and_seeds_fastest(plan):
    found = plan(HEAD + 'noise = [0, 0.4]\nbits = [16, 32]\nseed = ["0-1", 7]\n').requests()
    assert points(found, "noise", "method", "bits", "seed") == [
        (noise, method, bits, seed)
        for noise in (0.0, 0.4)
        for method in ("chnr", "cca-itq")
        for bits in (16, 32)
        for seed in (0, 1, 7)
    ]


def test_one_value_is_a_list_of_one(plan):
    (request,) = plan('[axes]\nmethod = "chnr"\nnoise = 0.2\nprotocol = "shuffle"\n[fixed]\nbits = 8\n').requests()
    assert request == CellRequest(MethodRequest("chnr"), noise=0.2, protocol="shuffle", bits=8)


def test_repeats_are_training_seeds_and_a_method_has_its_own(plan):
    found = plan("repeats = 3\n" + HEAD + "[methods.cca-itq]\nrepeats = 1\n").requests()
    assert points(found, "method", "seed") == [("chnr", 0), ("chnr", 1), ("chnr", 2), ("cca-itq", 0)]


def test_settings_are_axes_and_keys_need_no_quotes(plan):
    text = (
        '[axes]\nmethod = "chnr"\n[axes.set]\n"hasher.beta" = [0.01, 0.1]\nobjective.temperature = 0.5\n'
        '[fixed.set]\n"detector.dropout_in_weights" = true\n'
    )
    found = plan(text).requests()
    common = {"objective.temperature": "0.5", "detector.dropout_in_weights": "true"}
    assert [request.method.settings for request in found] == [
        {"hasher.beta": "0.01", **common},
        {"hasher.beta": "0.1", **common},
    ]


def test_a_method_replaces_axes_fixed_values_and_settings(plan):
    text = (
        HEAD + 'noise = [0.0, 0.4]\n[axes.set]\n"phase.x.epochs" = 3\n[fixed]\nepochs = 9\nlimit = 60\n'
        "[methods.chnr]\nnoise = 0.2\nepochs = 4\nset = { hidden = [8, 16] }\n"
    )
    found = plan(text).requests()
    assert points(found, "method", "noise", "epochs", "limit") == [
        ("chnr", 0.2, 4, 60), ("chnr", 0.2, 4, 60), ("cca-itq", 0.0, 9, 60), ("cca-itq", 0.4, 9, 60),
    ]  # fmt: skip
    assert [request.method.settings for request in found[:2]] == [
        {"phase.x.epochs": "3", "hidden": "8"},
        {"phase.x.epochs": "3", "hidden": "16"},
    ]


def test_a_method_takes_a_setting_away_with_an_empty_list(plan):
    found = plan(HEAD + "[axes.set]\nbeta = [1, 2]\n[methods.cca-itq.set]\nbeta = []\n").requests()
    assert [(request.method.name, request.method.settings) for request in found] == [
        ("chnr", {"beta": "1"}), ("chnr", {"beta": "2"}), ("cca-itq", {}),
    ]  # fmt: skip


def test_the_plan_of_the_docs_spans_cells_that_fit(plan):
    import re

    from harness.cells.workbench import Workbench

    page = (Path(__file__).parents[3] / "docs" / "sweeps.md").read_text()
    read = plan(re.search(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[1])
    registry = load_registry(environment={})
    read.check_names(registry)
    workbench = Workbench(registry, "cpu")
    jobs = [workbench.prepare(request) for request in read.requests()]
    assert len({job.cell.hash for job in jobs}) == len(jobs) == 3 * 2 * 2 * 3 + 2 * 2 * 2 * 3 + 3 * 2
    assert {job.cell.facts["trusted"] for job in jobs} == {0.3}


def test_a_dataset_has_values_of_its_own_and_the_method_has_the_last_word(plan, tmp_path):
    text = (
        HEAD + 'dataset = ["toy", "ucm"]\n[fixed]\ntrusted = 0.2\n'
        '[datasets.ucm]\ntrusted = 0.3\ndata_root = "data"\nimage_backbone = "torchvision/resnet18"\nnoise = 0.1\n'
        'set = { "image_backbone.size" = 224 }\n'
        "[methods.cca-itq]\nnoise = 0.4\n"
    )
    found = plan(text).requests()
    assert points(found, "dataset", "method", "trusted", "noise", "data_root", "image_backbone") == [
        ("toy", "chnr", 0.2, None, None, None),
        ("ucm", "chnr", 0.3, 0.1, tmp_path / "data", "torchvision/resnet18"),
        ("toy", "cca-itq", 0.2, 0.4, None, None),
        ("ucm", "cca-itq", 0.3, 0.4, tmp_path / "data", "torchvision/resnet18"),
    ]
    assert found[1].backbone_settings == {"image_backbone.size": "224"}
    assert found[1].method.settings == {}


def test_a_method_may_be_run_on_one_dataset_alone(plan):
    found = plan(HEAD + 'dataset = ["toy", "ucm"]\n[methods.chnr]\ndataset = "ucm"\n').requests()
    assert sorted(points(found, "method", "dataset")) == [("cca-itq", "toy"), ("cca-itq", "ucm"), ("chnr", "ucm")]


def test_cells_on_the_same_data_stand_together(plan):
    found = plan(HEAD + "noise = [0.0, 0.2, 0.4]\ndata_seed = [0, 1]\nbits = [8, 16]\n").requests()
    keys = [(request.data_seed, request.noise) for request in found]
    assert sum(one != next_ for one, next_ in pairwise(keys)) == 5


def test_exclusions_leave_out_points_where_all_values_match(plan):
    text = (
        HEAD + 'noise = [0.0, 0.2]\nseed = "0-2"\n'
        '[[exclude]]\nmethod = "chnr"\nnoise = 0\nseed = "1-2"\n'
        '[[exclude]]\nmethod = ["cca-itq"]\nnoise = [0.0, 0.2]\nseed = [2]\n'
    )
    found = plan(text).requests()
    assert ("chnr", 0.0, 0) in points(found, "method", "noise", "seed")
    assert ("chnr", 0.0, 1) not in points(found, "method", "noise", "seed")
    assert not [request for request in found if request.method.name == "cca-itq" and request.seed == 2]
    assert len(found) == 12 - 2 - 2


def test_exclusions_match_settings(plan):
    text = (
        '[axes]\nmethod = "chnr"\nnoise = [0.0, 0.4]\n[axes.set]\nbeta = [0.1, 1]\n'
        "[[exclude]]\nnoise = 0.4\nset = { beta = 1 }\n"
    )
    assert [(request.noise, request.method.settings["beta"]) for request in plan(text).requests()] == [
        (0.0, "0.1"), (0.0, "1"), (0.4, "0.1"),
    ]  # fmt: skip


def test_paths_are_relative_to_the_plan_with_home_and_variables(plan, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("WHERE", "/mnt/store")
    (tmp_path / "weights.bin").touch()
    text = (
        '[axes]\nmethod = "chnr"\nfeatures = ["a.npz", "~/b.npz", "${WHERE}/c.npz", "$WHERE/d.npz"]\n'
        '[fixed]\nimage_weights = "weights.bin"\ntext_weights = "google-bert/bert-base-uncased"\nplugin = "own.py"\n'
    )
    found = plan(text).requests()
    assert [request.features for request in found] == [
        tmp_path / "a.npz", Path("/home/me/b.npz"), Path("/mnt/store/c.npz"), Path("/mnt/store/d.npz"),
    ]  # fmt: skip
    assert found[0].image_weights == str(tmp_path / "weights.bin")
    assert found[0].text_weights == "google-bert/bert-base-uncased"
    assert found[0].plugins == (tmp_path / "own.py",)


def test_values_of_the_command_line_stand_behind_or_before_the_plan(plan):
    read = plan(HEAD + "noise = [0.0, 0.4]\n[methods.chnr]\nepochs = 4\n[[exclude]]\nnoise = 0.4\nmethod = 'chnr'\n")
    base = CellRequest(MethodRequest(""), data_root=Path("/data"), noise=0.9)
    assert {(request.data_root, request.noise) for request in read.requests(base)} == {
        (Path("/data"), 0.0), (Path("/data"), 0.4),
    }  # fmt: skip
    given = read.requests(base, {"noise": [0.1], "epochs": [2], "method": ["chnr"], "bits": []}, {"beta": ["1"]})
    assert points(given, "method", "noise", "epochs", "bits") == [("chnr", 0.1, 2, 64)]
    assert given[0].method.settings == {"beta": "1"}
    useless = plan(HEAD + "bits = 8\n[[exclude]]\nbits = 16\n", name="useless")
    with pytest.raises(HarnessError, match="matches no point"):
        useless.requests(base, {"data_root": [Path("/data")]})
    assert len(useless.requests(base, {"bits": [8]})) == 2


def test_features_of_the_command_line_take_the_place_of_a_dataset(plan):
    read = plan(HEAD + 'dataset = ["toy", "ucm"]\n')
    found = read.requests(given={"features": [Path("/x.npz")]})
    assert points(found, "method", "features") == [("chnr", Path("/x.npz")), ("cca-itq", Path("/x.npz"))]


BAD = {
    "syntax": ('title = "x"\n[axes\n', "line 2, column 6: "),
    "cut off": ("[axes]\nnoise = [0.1,\n", "line 3: "),
    "unknown key": (HEAD + "\nnose = [0.1]\n", "line 4: unknown key 'nose' in [axes]: did you mean 'noise'"),
    "unknown table": (HEAD + "[fixd]\nlimit = 3\n", "line 3: unknown key 'fixd': did you mean 'fixed'?"),
    "key of the wrong place": ("noise = 3\n" + HEAD, "line 1: 'noise' stands in no table: write it in [axes]"),
    "no axis": (HEAD + "epochs = 3\n", "line 3: 'epochs' is no axis: write it in [fixed]"),
    "unknown key of a method": (HEAD + "[methods.chnr]\nbit = 3\n", "line 4: unknown key 'bit' in [methods.chnr]: did"),
    "unknown key of an exclusion": (
        HEAD + "bits = [8, 16]\n[[exclude]]\nbits = 8\n[[exclude]]\nbitz = 16\n",
        "line 7: unknown key 'bitz' in [[exclude]] 2: did you mean 'bits'",
    ),
    "text for a number": (HEAD + 'noise = [\n  0.1,\n  "a",\n]\n', "line 3: axes.noise: expected a number, not 'a'."),
    "fraction for a whole number": (HEAD + "bits = 1.5\n", "line 3: axes.bits: expected a whole number, not 1.5."),
    "true for a number": (HEAD + "noise = true\n", "line 3: axes.noise: expected a number, not True."),
    "infinite": (HEAD + "noise = inf\n", "line 3: axes.noise: expected a number, not inf."),
    "number for a text": (HEAD + "protocol = 3\n", "line 3: axes.protocol: expected a text, not 3."),
    "table for a text": (HEAD + 'protocol = { a = "c" }\n', "line 3: axes.protocol: expected a text, not an object."),
    "long text for a number": (
        HEAD + f'noise = "{"x " * 5000}"\n', f"line 3: axes.noise: expected a number, not '{'x ' * 29}x..."
    ),
    "long path": (
        HEAD + f'[fixed]\nimage_weights = "{"x" * 300}"\n',
        f"line 4: fixed.image_weights: '{'x' * 59}... cannot be used: File name too long.",
    ),
    "blank text": (HEAD + 'protocol = " "\n', "line 3: axes.protocol: expected a text, not ' '."),
    "empty list": (HEAD + "noise = []\n", "line 3: axes.noise: the list is empty"),
    "empty setting": (HEAD + "[axes.set]\nbeta = []\n", "line 4: set: the list of beta is empty"),
    "setting of dates": (HEAD + "[axes.set]\nbeta = 2020-01-01\n", "line 3: axes.set: beta: expected a number, a text"),
    "settings that are none": (HEAD + "set = 3\n", "line 3: axes.set: expected a table of KEY = VALUE"),
    "twice in a list": (HEAD + "noise = [0.2, 0.20]\n", "line 3: axes.noise: 0.2 is there twice."),
    "twice in ranges": (HEAD + 'seed = ["0-3", 2]\n', "line 3: axes.seed: 2 is there twice."),
    "backward range": (HEAD + 'seed = "4-0"\n', "line 3: axes.seed: the range 4-0 runs backwards: write 0-4."),
    "endless range": (HEAD + 'seed = "0-99999999"\n', "line 3: axes.seed: the range 0-99999999 has more than"),
    "setting twice in a list": (HEAD + "[axes.set]\nbeta = [1, 1]\n", "line 3: axes.set: the list of beta has a value"),
    "list in fixed": (HEAD + "[fixed]\nbits = [8, 16]\n", "line 4: fixed.bits: expected one value, not a list."),
    "list of epochs": (HEAD + "[methods.chnr]\nepochs = [8, 16]\n", "line 4: methods.chnr.epochs: expected one value"),
    "several fixed settings": (HEAD + "[fixed.set]\nbeta = [1, 2]\n", "line 3: fixed.set: 'beta' has several values"),
    "axis and fixed": (HEAD + "bits = 8\n[fixed]\nbits = 16\n", "line 5: 'bits' is both in [axes] and in [fixed]."),
    "set twice": (HEAD + "[axes.set]\nbeta = 1\n[fixed.set]\nbeta = 2\n", "line 5: 'beta' is both in [axes.set]"),
    "no axes": ("title = 'x'\n", "mine.toml: the table [axes] is missing"),
    "no method": ("[axes]\nnoise = 0.1\n", "line 1: [axes] names no method."),
    "repeats and seed": ("repeats = 2\n" + HEAD + "seed = 1\n", "line 1: repeats and axes.seed exclude each other"),
    "repeats and fixed seed": ("repeats = 2\n" + HEAD + "[fixed]\nseed = 1\n", "line 1: repeats and fixed.seed"),
    "repeats of a method": (
        HEAD + "[methods.chnr]\nrepeats = 2\nseed = 1\n", "line 4: repeats and seed of [methods.chnr] exclude",
    ),
    "no repeats": ("repeats = 0\n" + HEAD, "line 1: repeats: expected at least 1, not 0."),
    "repeats as text": ("repeats = '2'\n" + HEAD, "line 1: repeats: expected a whole number, not '2'."),
    "metrics as text": ("metrics = 'map'\n" + HEAD, "line 1: metrics: expected a list, not 'map'."),
    "axes as number": ("axes = 3\n", "line 1: axes: expected a table, not 3."),
    "unknown method": (HEAD + "\n[methods.cca]\nbits = 3\n", "line 4: [methods.cca] is not among the methods"),
    "unknown dataset": (HEAD + "dataset = 'toy'\n[datasets.ucm]\nbits = 3\n", "line 4: [datasets.ucm] is not among"),
    "dataset without an axis": (HEAD + "[datasets.toy]\nbits = 3\n", "line 3: [datasets.toy] is not among"),
    "dataset and features": (HEAD + "dataset = 'toy'\nfeatures = 'a.npz'\n", "line 4: dataset and features exclude"),
    "features of a method": (
        HEAD + "dataset = 'toy'\n[methods.chnr]\nfeatures = 'a.npz'\n", "line 5: [methods.chnr] names features beside",
    ),
    "dataset of a method": (
        HEAD + "features = 'a.npz'\n[methods.chnr]\ndataset = 'toy'\n", "line 5: [methods.chnr] names a dataset beside",
    ),
    "unset variable": (
        HEAD + '[fixed]\ndata_root = "$NO_SUCH_PLACE/x"\n',
        "line 4: fixed.data_root: the environment variable NO_SUCH_PLACE is not set.",
    ),
    "exclusion of nothing": (
        HEAD + "noise = 0.1\n[[exclude]]\nnoise = 0.1\nmethod = 'chnr'\n[[exclude]]\nnoise = 0.2\n",
        "line 7: [[exclude]] 2 matches no point of the grid",
    ),
    "empty exclusion": (HEAD + "[[exclude]]\n", "line 3: [[exclude]] 1 is empty"),
    "everything excluded": (HEAD + "bits = 8\n[[exclude]]\nbits = 8\n", "the exclusions leave no point of the grid."),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_mistakes_are_told_with_their_line(plan, name, monkeypatch):
    monkeypatch.delenv("NO_SUCH_PLACE", raising=False)
    text, said = BAD[name]
    with pytest.raises(HarnessError) as error:
        plan(text).requests()
    message = str(error.value)
    assert said in message
    assert "mine.toml" in message
    assert "\n" not in message


def test_the_first_mistake_of_the_file_is_told(plan):
    with pytest.raises(HarnessError, match=r"line 3: .*nois"):
        plan(HEAD + "nois = 1\n[fixed]\nlimt = 3\nbits = 'x'\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[axes]\nmethod = ["chnr", "cnhr"]\n', "line 2: unknown method 'cnhr': did you mean 'chnr'"),
        (HEAD + 'dataset = "rsic"\n', "line 3: unknown dataset 'rsic'"),
        (HEAD + "[methods.chnr]\ndetector = 'nome'\n", "line 4: unknown detector 'nome': did you mean 'none'"),
        (HEAD + "[fixed]\nprotocol = 'shufle'\n", "line 4: unknown protocol 'shufle': did you mean 'shuffle'"),
        ("metrics = ['mapp']\n" + HEAD, "line 1: unknown metric 'mapp': did you mean 'map'"),
        ("metrics = ['map@0']\n" + HEAD, "line 1: metric map@0: expected a cutoff"),
    ],
)
def test_names_that_nobody_registered_are_told_with_their_line(plan, text, said):
    with pytest.raises(HarnessError) as error:
        plan(text).check_names(load_registry(environment={}))
    assert said in str(error.value)


def test_plans_are_found_by_file_and_by_name(plan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    read = plan("title = 'Mine'\nmetrics = ['map']\n" + HEAD)
    assert (read.name, read.title, read.metrics) == ("mine", "Mine", ["map"])
    assert read_plan("mine.toml").title == "Mine"
    (tmp_path / "smoke").mkdir()
    assert read_plan("smoke").name == "smoke"
    for name, said in (
        ("smok", "unknown plan 'smok': did you mean 'smoke'"),
        ("none.toml", "there is no plan file none.toml; plans that come with the harness: "),
        ("a/b", "there is no plan file a/b"),
        (".", "plan . is no file but a folder"),
    ):
        with pytest.raises(HarnessError) as error:
            read_plan(name)
        assert said in str(error.value)


def test_shipped_plans_are_package_data():
    import tomllib

    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert "cells/plans/*.toml" in project["tool"]["setuptools"]["package-data"]["harness"]
    assert set(shipped_plans()) == {"smoke", "paper-ucm", "paper-rsicd", "cross"}


@pytest.mark.parametrize("name", ["smoke", "paper-ucm", "cross"])
def test_shipped_plans_name_what_is_registered(name):
    read_plan(name).check_names(load_registry(environment={}))


def test_the_smoke_plan_gives_cells_that_fit():
    from harness.cells.workbench import Workbench

    workbench = Workbench(load_registry(environment={}), "cpu")
    jobs = [workbench.prepare(request) for request in read_plan("smoke").requests()]
    assert len({job.cell.hash for job in jobs}) == len(jobs) == 13


def test_the_cross_plan_holds_every_hasher_detector_and_objective_there_is():
    registry, methods = load_registry(environment={}), [request.method for request in read_plan("cross").requests()]
    combinations = {(m.hasher, m.detector, m.objective) for m in methods if m.name == "duch-noisy"}
    open_to = [hasher.name for hasher in registry.all("hasher") if hasher.takes_objective]
    expected = itertools.product(open_to, registry.names("detector"), registry.names("objective"))
    assert combinations == set(expected)
    without = {(m.name, m.detector) for m in methods if m.objective is None}
    closed = [hasher.name for hasher in registry.all("hasher") if not hasher.takes_objective]
    assert without == set(itertools.product(closed, registry.names("detector")))


@pytest.mark.parametrize(("name", "trusted"), [("paper-ucm", 0.3), ("paper-rsicd", 0.2)])
def test_the_plans_of_the_paper_hold_its_grid(name, trusted):
    requests = read_plan(name).requests()
    ours = [request for request in requests if request.method.name in ("cca-itq", "random-codes")]
    theirs = [request for request in requests if request not in ours]
    assert {request.noise for request in theirs} == {0.05, 0.1, 0.2, 0.3, 0.4, 0.5}
    presets = {request.method.name: request.method.preset for request in theirs}
    assert presets.pop("djsrh") == "described", "its program has nothing to mend"
    assert set(presets.values()) == {"released"}
    assert {request.method.preset for request in ours} == {"described"}
    for request in requests:
        assert (request.bits, request.protocol, request.trusted) == (64, "chnr-released", trusted)
        assert f"paper-{request.dataset}" == name
    assert len(theirs) == 7 * 6 * 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("noise = [0, 1.5]\n", r"line 3: --noise 1\.5: expected a share"),
        ("[fixed]\nbits = 0\n", "line 4: --bits 0: expected at least 1"),
        ('preset = "nope"\n', "line 3: unknown preset"),
        ('[fixed]\nprecision = "fp3"\n', "line 4: unknown value of --precision 'fp3'"),
        ('features = "nope.npz"\n', "line 3: features .*nope[.]npz: there is no such file"),
        (
            '[axes.set]\n"hasher.rdige" = 1\n',
            "line 4: unknown parameter .*'hasher.rdige'.*'hasher.ridge'.* stands in .methods.NAME.[.]$",
        ),
        (
            "[axes.set]\nhasher.ridge = 1\n[methods.cca-itq.set]\nhasher.ridge = -4\n",
            r"line 6: \[methods[.]cca-itq\]: hasher\.ridge=-4",
        ),
    ],
)
def test_values_without_a_meaning_are_told_with_their_line(plan, text, message):
    found = plan('[axes]\nmethod = ["cca-itq"]\n' + text)
    with pytest.raises(HarnessError, match=message):
        checked_requests(found, load_registry(), found.requests())


def test_a_missing_plugin_file_is_told_with_its_line(plan):
    found = plan('[axes]\nmethod = "chnr"\n[fixed]\nplugin = "nope.py"\n')
    with pytest.raises(HarnessError, match=r"line 4: plugin .*nope\.py: there is no such file"):
        found.check_plugins()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"seed = {2**63}", "seed"),
        (f"data_seed = {10**4000}", "data.seed"),
        (f'seed = "0-{"9" * 5000}"', "seed"),
        (f"noise = {10**400}", "noise"),
        (f"limit = {2**63}", "limit"),
        (f"bits = {10**30}", "bits"),
    ],
)
def test_numbers_without_measure_are_one_sentence_with_their_line(plan, line, said):

    def checked():
        read = plan(f'[axes]\nmethod = "random-codes"\n{line}\n')
        checked_requests(read, load_registry(), read.requests())

    with pytest.raises(HarnessError, match=said) as raised:
        checked()
    assert "line 3" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_plan_says_once_what_some_of_its_methods_have(plan, caplog):
    found = plan(
        '[axes]\nmethod = ["chnr", "cca-itq"]\npreset = "released"\n'
        '[axes.set]\n"detector.weights" = ["normal", "cubed"]\n'
    )
    methods = [request.method for request in checked_requests(found, load_registry(), found.requests())]
    assert [(method.name, method.preset, *method.settings.values()) for method in methods] == [
        ("chnr", "released", "normal"), ("chnr", "released", "cubed"), ("cca-itq", "described"),
    ]  # fmt: skip
    assert len(caplog.messages) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('preset = "released"\n', r"line 5: \[methods[.]cca-itq\]: unknown preset of method cca-itq 'released'"),
        ('"set" = {"hasher.hidden" = 8}\n', r"line 5: \[methods[.]cca-itq\]: unknown parameter .*'hasher.hidden'"),
    ],
)
def test_what_a_plan_says_for_a_method_alone_is_refused_where_it_has_none(plan, text, message):
    found = plan('[axes]\nmethod = ["chnr", "cca-itq"]\npreset = "released"\n[methods.cca-itq]\n' + text)
    with pytest.raises(HarnessError, match=message):
        checked_requests(found, load_registry(), found.requests())
