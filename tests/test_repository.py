"""Rules of the house that a machine can check."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parent.parent
OUR_CODE = sorted([*ROOT.glob("harness/**/*.py"), *ROOT.glob("plugins/**/*.py")])


def python(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_folder_datasets_is_no_package():
    assert not list((ROOT / "datasets").glob("**/*.py")), "a module there would shadow Hugging Face's datasets"


def test_the_folder_datasets_cannot_be_imported_here():
    """Neither under pytest nor by the installed script does `datasets` resolve to our folder."""
    import importlib.util

    spec = importlib.util.find_spec("datasets")
    places = [] if spec is None else [*(spec.submodule_search_locations or []), spec.origin or ""]
    assert not [place for place in places if place.startswith(str(ROOT))]


def test_the_folders_are_importable_under_their_own_names():
    import importlib.util

    assert importlib.util.find_spec("harness_plugins.chnr")
    assert importlib.util.find_spec("harness_datasets")


@pytest.mark.timeout(180)
def test_transformers_and_open_clip_import_from_the_repository_root():
    """`python -c` puts the root on sys.path, so that `datasets` resolves to our folder: nothing may mind."""
    program = (
        "from harness.runtime.torchvision_operators import make_torchvision_importable as make; make();"
        "import transformers, open_clip, timm; from transformers import BertConfig, BertModel, CLIPModel, Trainer;"
        "BertModel(BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)); "
        "print('fine')"
    )
    done = python("-c", program)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "fine"


def test_imports_keep_to_their_rooms():
    """The import-linter contracts in pyproject.toml: the core never imports a plugin,
    lower rooms never import upper ones.
    """
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_the_hall_is_empty():
    assert len(list(ROOT.glob("harness/*.py"))) <= 8, "a module belongs into the room of its subject"


def test_no_circle_of_imports():
    """Imports for the type checker and within functions count, too."""
    graph = grimp.build_graph("harness", "harness_plugins", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) >= len(OUR_CODE)
    TopologicalSorter(imports).prepare()  # raises CycleError, which names the modules


def test_no_two_public_classes_of_the_core_share_a_name():
    classes = Counter(
        node.name
        for path in ROOT.glob("harness/**/*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert not [name for name, count in classes.items() if count > 1]


def test_modules_stay_readable():
    long = {
        str(path.relative_to(ROOT)): count for path in OUR_CODE if (count := len(path.read_text().splitlines())) > 400
    }
    assert not long
    drawers = [path.name for path in OUR_CODE if path.stem in ("utils", "util", "helpers", "misc", "common")]
    assert not drawers


def test_nothing_is_unpickled():
    forbidden = re.compile(
        r"allow_pickle\s*=\s*True|weights_only\s*=\s*False|pickle\.load|torch\.load\((?!.*weights_only=True)"
    )
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in OUR_CODE
        for line in path.read_text().splitlines()
        if forbidden.search(line)
    ]
    assert not found


def test_the_core_knows_no_method_by_name():
    from harness.data.features.views import IMAGE_AUGMENTS
    from harness.plugin.loading import load_registry

    names = {name for kind in ("method", "hasher", "objective") for name in load_registry(environment={}).names(kind)}
    for path in ROOT.glob("harness/**/*.py"):
        code = re.sub(r'"""[\s\S]*?"""|#.*', "", path.read_text())
        # Views of images are made as DUCH makes them: --image-augment duch, whatever the method.
        own = IMAGE_AUGMENTS if path.name == "views.py" else ()
        found = [name for name in names.difference(own) if re.search(rf"""["']{re.escape(name)}["']""", code)]
        assert not found, f"{path.relative_to(ROOT)} names {found}"


def built() -> tuple[dict[str, str], dict[str, list[str]], set[str]]:
    """Of pyproject.toml: the folder of each top-level package, patterns of package data, and the packages listed."""
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    return {"harness": "harness", **asked["package-dir"]}, asked["package-data"], set(asked["packages"])


def test_every_package_is_built():
    """An editable install finds all of them; a wheel holds those that pyproject.toml lists."""
    folders, _, listed = built()
    there = {
        ".".join([name, *path.relative_to(ROOT / folder).parent.parts])
        for name, folder in folders.items()
        for path in (ROOT / folder).glob("**/__init__.py")
    }
    assert listed == there | {"harness_datasets"}  # which is no package here


def test_every_file_beside_the_modules_is_built():
    folders, patterns, _ = built()
    done = subprocess.run(["git", "ls-files", *folders.values()], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("which files are ours is not known without git")
    held = {
        file
        for package, globs in patterns.items()
        for pattern in globs
        for file in ROOT.joinpath(folders[package.split(".")[0]], *package.split(".")[1:]).glob(pattern)
    }
    ours = {ROOT / line for line in done.stdout.splitlines() if not line.endswith(".py")}
    assert ours
    assert not ours - held


def test_make_has_the_targets_that_are_named():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in (".ci/run", ".github/workflows/checks.yml", "CONTRIBUTING.md", "README.md"):
        lines = re.findall(
            r"^(?:exec |.*run: |)make ([a-z -]+?)(?: [A-Z]|  |$)", (ROOT / page).read_text(), re.MULTILINE
        )
        named = {target for line in lines for target in line.split()}
        assert named, page
        assert named <= targets, page


def test_requirements_are_pinned():
    pinned = {
        re.split(r"[=<>]", line)[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["test"], *extras["docs"]]
    names = {re.split(r"[=<>\[]", requirement)[0].lower().replace("_", "-") for requirement in asked}
    assert names - {project["name"]} <= pinned


def test_every_entry_point_exists_and_every_plugin_module_is_light():
    """Registering imports no torch, numpy, pandas or scikit-learn."""
    program = (
        "import sys; from harness.plugin.loading import load_registry; registry = load_registry();"
        "print([state.error for state in registry.plugins if state.error]);"
        "print(sorted(set(sys.modules) & "
        "{'torch', 'numpy', 'numba', 'pandas', 'sklearn', 'skimage', 'transformers', 'pydantic', 'PIL'}))"
    )
    done = python("-c", program, folder=ROOT / "tests")
    assert done.stdout.split("\n")[:2] == ["[]", "[]"], done.stdout + done.stderr
