"""Discovery of plugins: what is found, and what becomes of one that is broken."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from textwrap import dedent

import pytest

from harness.errors import HarnessError
from harness.plugin.loading import KINDS, load_registry

GOOD = """
from harness import Recipe, hookimpl

class Zeros:
    def fit(self, pairs, trust, run):
        self.n_bits = run.n_bits
    def encode_image(self, image):
        return image.new_zeros(len(image), self.n_bits)
    encode_text = encode_image

@hookimpl
def register_hashers(register):
    register("NAME", Zeros, summary="all bits 0")

@hookimpl
def register_methods(register):
    register("NAME", Recipe(hasher="NAME"), summary="all bits 0")
"""

BROKEN = {
    "raises": ("import os\nraise RuntimeError('no licence')\n", ["RuntimeError", "no licence", "line 2"]),
    "syntax": ("x = 1\ndef f(:\n", ["SyntaxError", "line 2"]),
    "missing_import": ("import a_module_that_nobody_has\n", ["a_module_that_nobody_has", "line 1"]),
    "exits": ("import sys\nsys.exit(3)\n", ["SystemExit", "line 2"]),
    "unforeseen": ("class Mine(BaseException):\n    pass\nraise Mine('boo')\n", ["Mine while loading: boo", "line 3"]),
    "without_text": (
        "class Mine(Exception):\n    def __str__(self):\n        raise SystemExit\nraise Mine\n",
        ["Mine while loading: its text cannot be made", "line 4"],
    ),
    "misspelt_hook": (
        "from harness import hookimpl\n@hookimpl\ndef register_hasher(register):\n    pass\n",
        ["register_hasher", "hookspecs.py"],
    ),
    "wrong_argument": (
        "from harness import hookimpl\n@hookimpl\ndef register_hashers(registry):\n    pass\n",
        ["registry", "hookspecs.py"],
    ),
    "no_argument": (
        "from harness import hookimpl\n@hookimpl\ndef register_hashers():\n    pass\n",
        ["TypeError", "register_hashers"],
    ),
    "unknown_fact": (
        "from harness import hookimpl\n@hookimpl\ndef register_detectors(register):\n"
        "    register('d', 'm:D', summary='s', nedes=1)\n",
        ["nedes", "line 4"],
    ),
    "twice": (
        GOOD.replace("NAME", "twin") + '    register("twin", Recipe(hasher="twin"), summary="again")\n',
        ["twin", "twice"],
    ),
    "taken": (GOOD.replace("NAME", "cca-itq"), ["cca-itq", "registered twice", "first one stands"]),
    "bad_name": (GOOD.replace("NAME", "a/b"), ["method: 'a/b' is no plain name", "letters"]),
    "name_above": (GOOD.replace("NAME", ".."), ["method: '..' is no plain name"]),
    "control_characters": (GOOD.replace("NAME", "a\\x1b[31m"), [r"method: 'a\x1b[31m' is no plain name"]),
    "endless_name": (GOOD.replace('"NAME"', '"x" * 10_000_000'), ["method: 'xxx", "100 at most"]),
    "number_for_a_name": (GOOD.replace('"NAME"', "5"), ["method: a name must be text, not int"]),
    "number_for_a_summary": (GOOD.replace('"all bits 0"', "5"), ["summary must be of type str, not int"]),
    "number_for_a_recipe": (GOOD.replace('Recipe(hasher="NAME")', "5"), ["recipe must be of type Recipe, not int"]),
    "number_for_parameters": (
        GOOD.replace('Recipe(hasher="NAME")', 'Recipe(hasher="NAME", parameters=5)'),
        ["method 'NAME': parameters must be of type dict, not int"],
    ),
    "word_for_a_need": (
        GOOD.replace("Zeros, summary", 'Zeros, needs="labels", summary'),
        ["hasher 'NAME': needs must be of type Need, not str"],
    ),
    "word_for_a_parameter": (
        GOOD.replace("Zeros, summary", 'Zeros, parameters=["epochs"], summary'),
        ["hasher 'NAME': a parameter must be made with Parameter(...), not str"],
    ),
    "raises_in_hook": (GOOD.replace("NAME", "half") + "    raise KeyError('late')\n", ["KeyError", "late"]),
}


@pytest.fixture
def plugin_folder(tmp_path):
    """A writer of plugin folders: ``plugin_folder(good="code", broken="code")`` gives the path."""

    def write(**files: str) -> Path:
        folder = tmp_path / "plugins-of-mine"
        folder.mkdir(exist_ok=True)
        for name, code in files.items():
            (folder / f"{name}.py").write_text(code, encoding="utf-8")
        return folder

    return write


def load(folder: Path):
    return load_registry(environment={"HARNESS_PLUGINS_DIR": str(folder)})


def state_of(registry, name: str):
    return next(state for state in registry.plugins if state.name == name)


def test_every_entry_point_of_ours_loads_and_registers_something():
    registry = load_registry(environment={})
    ours = {
        point.name
        for point in metadata.entry_points(group="harness.plugins")
        if point.value.startswith("harness_plugins")
    }
    loaded = {state.name for state in registry.plugins if not state.error}
    owners = {declaration.plugin for kind in KINDS for declaration in registry.all(kind)}
    assert len(ours) >= 10
    assert ours <= loaded
    assert ours <= {*owners, "same-results"}


def test_files_of_the_plugin_folder_are_loaded_but_for_those_with_an_underscore(plugin_folder):
    registry = load(plugin_folder(mine=GOOD.replace("NAME", "mine"), _helper="raise RuntimeError"))
    assert registry.get("method", "mine").recipe.hasher == "mine"
    assert registry.get("hasher", "mine").file.name == "mine.py"
    assert "_helper" not in {state.name for state in registry.plugins}


def test_plugin_folder_that_is_missing_is_an_error(tmp_path):
    with pytest.raises(HarnessError, match=r"HARNESS_PLUGINS_DIR=.*no such folder"):
        load(tmp_path / "nowhere")


def test_plugin_folder_is_read_from_the_environment_by_the_command_line(harness, plugin_folder, monkeypatch):
    monkeypatch.setenv("HARNESS_PLUGINS_DIR", str(plugin_folder(mine=GOOD.replace("NAME", "mine"))))
    listed = harness("list", "hashers", "--json").json
    assert {"name": "mine", "plugin": "mine"}.items() <= next(row for row in listed if row["name"] == "mine").items()


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_plugin_is_explained_and_leaves_nothing_while_others_go_on(plugin_folder, kind):
    code, words = BROKEN[kind]
    before = {what: load_registry(environment={}).names(what) for what in KINDS}
    folder = plugin_folder(a_broken=code, b_good=GOOD.replace("NAME", "good"))
    registry = load(folder)
    state = state_of(registry, "a_broken")
    assert all(word in state.error for word in words), state.error
    assert "\n" not in state.error
    assert not state_of(registry, "b_good").error
    assert registry.get("method", "good").plugin == "b_good"
    for what, names in before.items():
        extra = {"good"} if what in ("method", "hasher") else set()
        assert set(registry.names(what)) == set(names) | extra
    if kind == "taken":
        assert registry.get("method", "cca-itq").plugin == "cca-itq"


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_plugin_named_with_plugin_option_is_an_error_with_exit_code_2(harness, plugin_folder, kind):
    code, words = BROKEN[kind]
    file = plugin_folder(mine=code) / "mine.py"
    result = harness("list", "methods", "--plugin", file)
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith(f"Error: --plugin {file}: ")
    assert all(word in result.err for word in words)
    assert result.err.count("\n") == 1


def test_name_taken_by_another_loose_file_names_both_files(plugin_folder):
    folder = plugin_folder(a_first=GOOD.replace("NAME", "same"), b_second=GOOD.replace("NAME", "same"))
    registry = load(folder)
    error = state_of(registry, "b_second").error
    assert str(folder / "a_first.py") in error
    assert str(folder / "b_second.py") in error
    assert registry.get("hasher", "same").plugin == "a_first"


def test_missing_plugin_file_is_an_error(harness, tmp_path):
    result = harness("list", "methods", "--plugin", tmp_path / "nothing.py")
    assert result.code == 2
    assert "nothing.py is missing" in result.err


def test_two_plugin_files_of_the_same_name_do_not_meet(plugin_folder, tmp_path):
    first = plugin_folder(same=GOOD.replace("NAME", "one")) / "same.py"
    second = tmp_path / "same.py"
    second.write_text(GOOD.replace("NAME", "two"), encoding="utf-8")
    registry = load_registry([first, second], environment={})
    assert registry.get("hasher", "one").file == first
    assert registry.get("hasher", "two").file == second
    assert registry.get("hasher", "one").load() is not registry.get("hasher", "two").load()


def test_file_named_twice_is_loaded_once(plugin_folder, tmp_path):
    folder = plugin_folder(mine=GOOD.replace("NAME", "mine"))
    registry = load_registry(
        [folder / "mine.py", folder / ".." / folder.name / "mine.py"], environment={"HARNESS_PLUGINS_DIR": str(folder)}
    )
    assert [state.name for state in registry.plugins].count("mine") == 1


def test_unknown_name_suggests_near_ones_and_mentions_broken_plugins(harness, plugin_folder, monkeypatch, features):
    monkeypatch.setenv("HARNESS_PLUGINS_DIR", str(plugin_folder(splendid="raise ValueError('half done')")))
    result = harness("run", "--method", "chnrr", "--features", features())
    assert result.code == 2
    assert "unknown method 'chnrr': did you mean 'chnr'" in result.err
    assert "failed to load: splendid (ValueError while loading: half done" in result.err


def test_unknown_name_says_nothing_of_plugins_when_all_are_well(harness, features):
    assert "failed to load" not in harness("run", "--method", "chnrr", "--features", features()).err


def test_listing_names_broken_plugins_on_standard_error_and_goes_on(harness, plugin_folder, monkeypatch):
    monkeypatch.setenv("HARNESS_PLUGINS_DIR", str(plugin_folder(splendid="raise ValueError('half done')")))
    result = harness("list", "methods")
    assert result.code == 0
    assert "chnr" in result.out
    assert "splendid" in result.err
    assert "half done" in result.err
    states = {row["name"]: row["state"] for row in harness("list", "plugins", "--json").json}
    assert states["chnr"] == "loaded"
    assert "half done" in states["splendid"]


@pytest.mark.parametrize("forgotten", ["", "def register_hashers(register):\n    register('x', 'm:X', summary='s')\n"])
def test_plugin_file_that_registers_nothing_is_remarked_upon(harness, plugin_folder, forgotten):
    # once: a file whose author forgot @hookimpl counts as loaded; nobody says that nothing of it was registered.
    result = harness("list", "hashers", "--plugin", plugin_folder(mine=forgotten) / "mine.py")
    assert "mine.py" in result.err


@pytest.fixture
def distribution(tmp_path, monkeypatch):
    """An installed package, as far as ``importlib.metadata`` can see: ``distribution(name, points, modules)``."""

    def install(name: str, points: dict[str, str], modules: dict[str, str]) -> Path:
        site = tmp_path / f"site-{name}"
        info = site / f"{name}-1.5.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
        lines = [f"{point} = {target}" for point, target in points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[harness.plugins]", *lines]) + "\n")
        for module, code in modules.items():
            (site / f"{module}.py").write_text(dedent(code))
        monkeypatch.syspath_prepend(site)
        return site

    return install


def test_installed_packages_are_isolated_from_each_other(distribution):
    distribution(
        "stranger",
        {"aa-broken": "stranger_broken", "aa-gone": "stranger_gone", "zz-good": "stranger_good"},
        {"stranger_broken": "1 / 0\n", "stranger_good": GOOD.replace("NAME", "from-a-package")},
    )
    registry = load_registry(environment={})
    assert "ZeroDivisionError" in state_of(registry, "aa-broken").error
    assert "stranger_gone" in state_of(registry, "aa-gone").error
    assert state_of(registry, "zz-good").origin == "stranger 1.5"
    assert registry.get("hasher", "from-a-package").plugin == "zz-good"
    assert registry.get("method", "chnr").plugin == "chnr"


def test_our_plugins_win_name_clashes_with_packages_that_sort_before_them(distribution):
    distribution("aaa", {"aaa": "aaa_takes"}, {"aaa_takes": GOOD.replace("NAME", "random-codes")})
    registry = load_registry(environment={})
    assert registry.get("hasher", "random-codes").plugin == "random-codes"
    assert "first one stands" in state_of(registry, "aaa").error


LISTING = """
import json, sys
from harness.cli import main
for what in {kinds!r}:
    sys.argv = ["harness", "list", what]
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, what
print(json.dumps(sorted(name for name in sys.modules)), file=sys.stderr)
"""


def test_listing_imports_neither_torch_nor_numpy_nor_pandas_nor_heavy_modules_of_a_plugin(distribution):
    site = distribution(
        "light",
        {"light": "light_plugin"},
        {
            "light_plugin": """
                from harness import hookimpl

                @hookimpl
                def register_hashers(register):
                    register("heavy-hasher", "light_heavy_part:Hasher", summary="lazy")

                @hookimpl
                def register_metrics(register):
                    register("heavy-metric", "light_heavy_part:metric", summary="lazy", definition="d")
            """,
            "light_heavy_part": "raise RuntimeError('a listing imported me')\n",
        },
    )
    kinds = (
        "methods",
        "detectors",
        "hashers",
        "objectives",
        "backbones",
        "datasets",
        "metrics",
        "protocols",
        "plugins",
    )
    code = f"import sys; sys.path.insert(0, {str(site)!r})\n" + LISTING.format(kinds=kinds)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "heavy-hasher" in done.stdout
    assert "heavy-metric" in done.stdout
    loaded = set(json.loads(done.stderr.splitlines()[-1]))
    heavy = {"torch", "numpy", "pandas", "scipy", "sklearn", "skimage", "pydantic", "transformers", "light_heavy_part"}
    assert not heavy & loaded


def test_target_that_cannot_be_imported_is_explained_when_it_is_used(harness, plugin_folder, features):
    code = GOOD.replace("NAME", "lost").replace("Zeros, summary", '"nowhere_to_be_found:Hasher", summary')
    result = harness(
        "run", "--method", "lost", "--features", features(), "--plugin", plugin_folder(mine=code) / "mine.py"
    )
    assert result.code == 2
    assert result.err.startswith(
        "Error: hasher 'lost' of plugin 'mine' cannot be loaded from 'nowhere_to_be_found:Hasher'"
    )
