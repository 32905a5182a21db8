"""`harness plugin new`: what it writes runs as it is, for every kind, and passes `harness plugin check`."""

from __future__ import annotations

import compileall
import os
import re
import subprocess
import sys
import tomllib

import pytest

from harness.cli.plugin import KINDS_TO_WRITE
from harness.errors import HarnessError
from harness.plugin.loading import load_registry
from harness.testing import bound_checks, subjects_of
from harness.testing.scaffold import kinds, write_plugin

SIZE = ("--limit", "70", "--epochs", "2", "--bits", "16")


def test_the_command_line_offers_every_kind_that_has_a_template():
    assert sorted(KINDS_TO_WRITE) == sorted(kinds())


@pytest.mark.parametrize("kind", KINDS_TO_WRITE)
def test_what_is_written_passes_the_checks_as_it_is(tmp_path, kind):
    written = write_plugin("brand-new", kind, tmp_path)
    assert [path.name for path in written.files[:2]] == ["brand_new.py", "test_brand_new.py"]
    assert compileall.compile_dir(tmp_path, quiet=1)
    outcomes = [bound.outcome() for bound in bound_checks(subjects_of(written.files[0]), slow=False)]
    assert len(outcomes) > 4
    assert not [found for found in outcomes if found.status in ("failed", "warning")]


@pytest.mark.parametrize("kind", [kind for kind in KINDS_TO_WRITE if kind not in ("executor", "tracker")])
def test_the_command_that_it_names_works(tmp_path, kind, harness):
    written = write_plugin("brand-new", kind, tmp_path)
    command = next(line for line in written.commands if line.startswith("harness run"))
    words = [word for word in command.split()[1:] if word not in ("--epochs", "20")]
    result = harness(*words, *SIZE, "--json")
    assert result.code == 0, result.err
    assert {record["status"] for record in result.json} == {"ok"}
    assert "brand-new" in result.out


@pytest.mark.parametrize("kind", ["executor", "tracker"])
def test_what_starts_processes_works_too(tmp_path, kind):
    subjects = subjects_of(write_plugin("brand-new", kind, tmp_path).files[0])
    only = ["runs-tasks", "stops", "hears-of-a-run"]
    outcomes = [bound.outcome() for bound in bound_checks(subjects, only=only)]
    assert outcomes
    assert not [found for found in outcomes if found.status != "ok"]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Write a package and make it look installed: its folder is on the path, and its entry point is known."""
    written = []

    def install(name, kind):
        files = write_plugin(name, kind, tmp_path, package=True).files
        project = tomllib.loads(files[0].read_text())
        (entry_points,) = project["project"]["entry-points"].values()
        about = tmp_path / name / "src" / f"{name.replace('-', '_')}-0.1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
        lines = [f"{entry} = {module}" for entry, module in entry_points.items()]
        (about / "entry_points.txt").write_text("\n".join(["[harness.plugins]", *lines, ""]))
        monkeypatch.syspath_prepend(about.parent)
        written.append(name.replace("-", "_"))
        return files

    yield install
    for module in [module for module in sys.modules if module.partition(".")[0] in written]:
        del sys.modules[module]


@pytest.mark.parametrize("kind", KINDS_TO_WRITE)
def test_a_package_registers_what_it_holds(tmp_path, kind, installed):
    name = f"packed-{kind}"
    files = installed(name, kind)
    assert [str(path.relative_to(tmp_path / name)) for path in files[:5]] == [
        "pyproject.toml", f"src/packed_{kind}/__init__.py", f"src/packed_{kind}/registration.py",
        f"src/packed_{kind}/{kind}.py", f"tests/test_packed_{kind}.py",
    ]  # fmt: skip
    assert compileall.compile_dir(tmp_path, quiet=1)
    assert not [path for path in files if "{{" in path.read_text() or "{{" in str(path)]
    assert load_registry().plugins[-1].state == "loaded"
    assert not {"torch", "numpy"} & set(re.findall(r"^import (\w+)", files[2].read_text(), re.MULTILINE))
    only = ["loads", "registration-is-complete", "contract", "trains", "recipe"]
    outcomes = [bound.outcome() for bound in bound_checks(subjects_of(name), only=only)]
    assert len(outcomes) > 1
    assert {found.status for found in outcomes} == {"ok"}, outcomes


def test_a_package_is_tidy(tmp_path):
    """No import without a use, and none missing."""
    for kind in KINDS_TO_WRITE:
        write_plugin(f"packed-{kind}", kind, tmp_path, package=True)
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F,I", str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_pip_installs_a_package_and_it_is_listed_and_passes_its_tests(tmp_path):
    written = write_plugin("packed-metric", "metric", tmp_path, package=True)
    assert written.commands[0] == f"pip install -e {tmp_path}/packed-metric"
    assert written.commands[-1] == f"pytest {tmp_path}/packed-metric/tests"
    site, source = tmp_path / "site", tmp_path / "packed-metric"
    words = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    for program in (
        ["pip", *words, "--target", str(site), str(source)],
        ["harness", "plugin", "list"],
        ["pytest", "-q", "-p", "no:cacheprovider", "-k", "not quick-to-load", str(source / "tests")],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *program], capture_output=True, text=True, timeout=200, check=False, cwd=tmp_path,
            env=environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        if program[0] == "harness":
            (line,) = [line for line in done.stdout.splitlines() if line.startswith("packed-metric ")]
            assert "loaded" in line
            assert "0.1.0" in line


def test_a_package_that_would_hide_a_module_is_refused(tmp_path, harness):
    result = harness("plugin", "new", "json", "--kind", "metric", "--package", "--folder", tmp_path)
    assert result.code == 2
    assert "there is a Python module 'json' here already" in result.err
    assert not list(tmp_path.iterdir())


def test_the_tests_that_are_written_pass(tmp_path):
    """Their checks of the contract are those of the tests above; here it is what each template adds."""
    for kind in KINDS_TO_WRITE:
        write_plugin(f"new-{kind}", kind, tmp_path)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = ["-q", "-p", "no:cacheprovider", "-k", "not test_contract or registration-is-complete"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], capture_output=True, text=True, timeout=200, check=False,
        cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_nothing_is_overwritten(tmp_path, harness):
    (tmp_path / "test_mine.py").write_text("precious")
    result = harness("plugin", "new", "mine", "--kind", "method", "--folder", tmp_path)
    assert result.code == 2
    assert "test_mine.py is there already" in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["test_mine.py"]
    assert (tmp_path / "test_mine.py").read_text() == "precious"


@pytest.mark.parametrize(
    ("name", "word"),
    [("cca-itq", "already"), ("a b", "letters"), ("../x", "letters"), ("class", "word"), ("1st", "letter")],
)
def test_names_that_cannot_be_used_are_refused(tmp_path, harness, name, word):
    result = harness("plugin", "new", name, "--kind", "method", "--folder", tmp_path)
    assert result.code == 2
    assert word in result.err
    assert not list(tmp_path.iterdir())


def test_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(HarnessError, match=r"unknown kind of plugin 'hashr': did you mean 'hasher'"):
        write_plugin("mine", "hashr", tmp_path)


def test_the_commands_name_the_file_where_it_is(tmp_path, harness):
    result = harness("plugin", "new", "brand-new", "--kind", "noise", "--folder", tmp_path / "deep")
    assert result.code == 0, result.err
    assert f"harness plugin check {tmp_path}/deep/brand_new.py" in result.out
    assert f"pytest {tmp_path}/deep/test_brand_new.py" in result.out
    assert load_registry([tmp_path / "deep" / "brand_new.py"]).get("protocol", "brand-new")
