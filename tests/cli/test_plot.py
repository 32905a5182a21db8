"""``harness plot``: kinds, options, messages, and figures of real runs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.api.figure_kinds import KINDS

pytest.importorskip("matplotlib")


def test_without_a_word_it_lists_the_kinds(harness):
    listed = harness("plot")
    assert listed.code == 0
    for kind in KINDS:
        assert f"\n  {kind} " in listed.out


def test_every_kind_has_its_help_and_no_options_of_others(harness):
    assert "--published" in harness("plot", "noise-curve", "--help").out
    assert "--published" not in harness("plot", "trust", "--help").out
    refused = harness("plot", "trust", "-o", "a.svg", "--published")
    assert refused.code == 2
    assert "No such option" in refused.err


def test_unknown_kind_has_a_suggestion(harness):
    refused = harness("plot", "noise-curves", "-o", "a.svg")
    assert (refused.code, refused.out) == (2, "")
    assert "did you mean 'noise-curve'" in refused.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "no records in"),
        (("--metric", "map", "-o", "a.gif"), "unknown ending of -o '.gif'"),
        (("-o", "nowhere/a.svg"), "there is no folder nowhere"),
    ],
)
def test_bad_input_is_one_sentence(harness, tmp_path, words, message):
    output = () if "-o" in words else ("-o", tmp_path / "a.svg")
    refused = harness("plot", "noise-curve", *words, *output)
    assert refused.code == 2
    assert message in refused.err
    assert refused.err.count("\n") == 1
    assert not list(tmp_path.glob("*.svg"))


@pytest.fixture
def three_runs(tiny, features):
    path = features()
    tiny("duch-noisy", path, "--noise", "0,0.4", "--seed", "0-1")
    tiny("cca-itq", path, "--noise", "0,0.4", "--seed", "0-1", "--detector", "structure")


def test_all_kinds_of_real_runs(three_runs, harness, tmp_path):
    options = {
        "forest": ("--against", "duch-noisy"),
        "codes": ("--where", "noise=0.4"),
        "cross": ("--metric", "i2t/map"),
    }
    without = {"cross"}  # no hasher has runs with and without a detector here
    for kind in KINDS:
        output = tmp_path / f"{kind}.png"
        made = harness("plot", kind, "-o", output, *options.get(kind, ()))
        assert made.code == (2 if kind in without else 0), made.err
        if kind not in without:
            assert output.read_bytes().startswith(b"\x89PNG")
            assert made.out.count("\n") == 1, "the caption"
            assert made.err.splitlines()[-1] == f"figure: {output}"


def test_cross_of_real_runs(three_runs, tiny, features, harness, tmp_path):
    tiny("cca-itq", features(), "--noise", "0,0.4", "--seed", "0-1")
    assert harness("plot", "cross", "-o", tmp_path / "cross.svg").code == 0


def test_runs_draw_themselves(three_runs, results, harness, tmp_path):
    import harness as package

    runs = package.load(results)
    made = runs.where("noise=0.4").plot("seeds")
    assert made._repr_png_().startswith(b"\x89PNG")
    made.save(tmp_path / "a.svg")
    assert harness("plot", "seeds", "-o", tmp_path / "b.svg", "--where", "noise=0.4").code == 0
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_records_of_another_program(harness, tmp_path):
    import numpy as np

    random = np.random.default_rng(0)
    codes = {f"{part}_{kind}_codes": random.integers(0, 2, (n, 16))
             for part, n in (("query", 10), ("database", 30)) for kind in ("image", "text")}  # fmt: skip
    labels = {"query_labels": random.integers(0, 3, 10), "database_labels": random.integers(0, 3, 30)}
    np.savez(tmp_path / "codes.npz", **codes, **labels)
    assert harness("evaluate", "--codes", tmp_path / "codes.npz", "--name", "theirs").code == 0
    assert harness("plot", "precision-recall", "-o", tmp_path / "a.svg").code == 0
    refused = harness("plot", "trust", "-o", tmp_path / "b.svg")
    assert refused.code == 2
    assert "has a detector that tells pairs apart" in refused.err


def test_plot_imports_no_torch(three_runs, results, tmp_path):
    program = (
        "import sys\nfrom pathlib import Path\nfrom harness.api.plots import plot\n"
        "for kind in ('noise-curve', 'trust', 'reliability', 'codes', 'seeds', 'training', 'ranks'):\n"
        "    plot(Path(sys.argv[1]), kind, Path(sys.argv[2]))\nassert 'torch' not in sys.modules\n"
    )
    words = [str(results), str(tmp_path / "a.png")]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
