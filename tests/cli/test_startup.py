"""``harness --help`` answers at once."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli import VERBS
from harness.runtime.context import _gpu_is_thinkable

SCRIPT = Path(sys.executable).with_name("harness")
HEAVY = {
    "torch",
    "pandas",
    "pydantic",
    "numpy",
    "scipy",
    "sklearn",
    "skimage",
    "transformers",
    "tabulate",
    "rich",
    "pluggy",
    "numba",
}


def modules_after(*words: str, code: int = 0) -> set[str]:
    program = (
        "import json, sys\nfrom harness.cli import main\n"
        f"sys.argv = ['harness', *{list(words)!r}]\n"
        f"try:\n    main()\nexcept SystemExit as stop:\n    assert (stop.code or 0) == {code}, stop.code\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def seconds_of(*words: str, code: int = 0) -> float:
    """Processor time of one start; wall time would measure what else the machine does."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([SCRIPT, *words], capture_output=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize(("words", "limit"), [(["--help"], 0.15), (["list", "methods"], 0.3)])
def test_start_takes_little_time(words, limit):
    assert statistics.median([seconds_of(*words) for _ in range(11)][1:]) < limit


def test_help_imports_nothing_heavy():
    assert not modules_after("--help") & HEAVY


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_every_verb_imports_neither_torch_nor_pandas_nor_numpy(verb):
    assert not modules_after(verb, "--help") & {"torch", "pandas", "numpy", "scipy", "sklearn"}


LARGE = {"torch", "torchvision", "transformers", "open_clip", "timm", "sklearn", "skimage"}
"""Each takes from half a second to three."""

GRID = ("--method", "cca-itq,chnr", "--noise", "0.4", "--bits", "8", "--epochs", "2")


@pytest.fixture
def finished(harness, features, tmp_path):
    """The words of cells that have their records: one that is fitted at once, and one with a choice of precision."""
    words = ("run", "--features", str(features()), *GRID, "--results", str(tmp_path / "results"))
    assert harness(*words).code == 0
    return words


@pytest.mark.skipif(_gpu_is_thinkable(), reason="torch has to be asked what the GPU can do")
def test_nothing_to_do_takes_little_time_and_none_of_the_large_libraries(finished, tmp_path):
    for words, code, limit in (
        (("run", "--dataset", "ucm", "--method", "chnr", "--data-root", str(tmp_path)), 2, 1.0),
        (finished, 0, 1.6),
        ((*finished, "--seed", "7", "--dry-run"), 0, 1.6),
        (("score", "--all", "--metric", "map", *finished[-2:]), 0, 2.0),
    ):
        assert not modules_after(*words, code=code) & LARGE, words
        assert min(seconds_of(*words, code=code) for _ in range(2)) < limit, words


def test_a_missing_data_set_is_told_without_pandas_too(tmp_path):
    words = ("run", "--dataset", "ucm", "--method", "chnr", "--data-root", str(tmp_path))
    assert not modules_after(*words, code=2) & {*LARGE, "pandas", "scipy", "numba", "tabulate", "rich", "PIL"}


def test_the_doctor_takes_of_the_large_libraries_torch_alone():
    assert modules_after("doctor") & LARGE == {"torch"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("harness ", ["plain,run", "plain,sweep"]),
        ("harness feat", ["plain,features"]),
        ("harness data f", ["plain,fetch"]),
        ("harness run --pre", ["plain,--preset", "plain,--precision", "plain,--pretrained"]),
    ],
)
def test_the_shell_completes_verbs_and_options_without_heavy_modules(words, expected):
    program = (
        "import sys\nfrom harness.cli import main\n"
        "try:\n    main()\nfinally:\n"
        f"    assert not {HEAVY - {'pluggy', 'rich'}!r} & {{name.partition('.')[0] for name in sys.modules}}\n"
    )
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_HARNESS_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **asked}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines()[: len(expected)] == expected


def test_module_and_script_are_the_same_program():
    script = subprocess.run([SCRIPT, "--version"], capture_output=True, text=True, timeout=60, check=True)
    module = subprocess.run(
        [sys.executable, "-m", "harness", "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    assert script.stdout == module.stdout
    assert script.stdout.startswith("harness, version ")


def test_every_verb_has_its_help(harness):
    listed = harness("--help").out
    for verb, (_, line) in VERBS.items():
        assert line in listed
        result = harness(verb, "--help")
        assert result.code == 0
        assert f" {verb} [OPTIONS]" in result.out


def test_output_may_be_cut_short_by_a_pipe():
    done = subprocess.run(
        f"'{SCRIPT}' list metrics | head -1", shell=True, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
