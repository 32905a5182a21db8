"""Runs as objects: frames, tables, means and comparisons of exactly these runs, and what each has stored."""

from __future__ import annotations

import numpy as np
import pytest

import harness
from harness.retrieval.codes import unpack

METHODS = ["cca-itq", "random-codes"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def runs(folder):
    from tests.conftest import feature_arrays

    np.savez(folder / "small.npz", **feature_arrays())
    common = {"bits": 8, "features": folder / "small.npz", "results": folder / "results", "progress": False}
    harness.run("random-codes", seed=7, noise=0.2, **common)  # a stranger in the same folder
    return harness.run(METHODS, noise=[0, 0.4], seed=range(3), **common)


def test_they_are_a_sequence_in_the_order_of_the_grid(runs):
    assert len(runs) == 12
    assert [(run.record.cell.noise, run.record.cell.method, run.record.cell.seed) for run in runs][:4] == [
        (0.0, "cca-itq", 0), (0.0, "cca-itq", 1), (0.0, "cca-itq", 2), (0.0, "random-codes", 0),
    ]  # fmt: skip
    assert runs[2:5].hashes == runs.hashes[2:5]
    assert runs[-1].hash == list(runs)[-1].hash
    assert repr(runs[0]) == f"<RecordedRun {runs[0].hash}: cca-itq on small, ok>"


def test_a_frame_has_these_runs_and_row_first(runs):
    frame = runs.frame(metrics=["map"])
    assert list(frame["hash"]) == runs.hashes
    assert frame.columns[0] == "row"
    assert {"i2t/map", "t2i/map"} <= set(frame.columns)
    assert "i2t/p@10" not in frame.columns
    assert list(runs[2:4].frame("map")["hash"]) == runs.hashes[2:4]


def test_tables_are_those_of_the_command(runs, folder, capsys):
    from harness.cli import cli

    assert "seed" not in str(runs.table())
    words = ["table", "--results", str(folder / "results"), "--where", "noise in (0, 0.4)"]
    cli.main(words, standalone_mode=False)
    assert capsys.readouterr().out.rstrip("\n") == str(runs.table())
    for style, text in (("github", runs.table().to_markdown()), ("latex", runs.table().to_latex())):
        cli.main([*words, "--format", style], standalone_mode=False)
        assert capsys.readouterr().out.rstrip("\n") == text
    assert "<table" in runs.table().to_html()
    assert len(runs.table()) == 1


def test_only_these_runs_enter_their_tables(runs):
    frame = runs[:3].table().to_frame()
    assert set(frame["method"]) == {"cca-itq"}
    assert set(frame["noise"]) == {0.0}
    assert list(frame["n"]) == [3, 3]


def test_means_are_over_seeds_alone(runs):
    means = runs.mean(by=["method", "noise"])
    assert len(means) == 8  # two methods, noise rates and directions
    one = means[(means["method"] == "cca-itq") & (means["noise"] == 0.4) & (means["direction"] == "i2t")]
    values = [run.record.metrics["i2t"]["map"] for run in runs.where("noise=0.4 and method=cca-itq")]
    assert one["mean"].item() == pytest.approx(np.mean(values), abs=1e-15)
    assert one["std"].item() == pytest.approx(np.std(values, ddof=1), abs=1e-15)
    assert one["n"].item() == 3
    with pytest.raises(harness.HarnessError) as told:
        runs.mean(by="noise")
    with pytest.raises(harness.HarnessError) as told_by_tables:
        runs.table(rows="noise", columns="direction")
    assert str(told.value) == str(told_by_tables.value)
    assert "average" in str(told.value)


def test_two_rows_are_compared(runs, folder, capsys):
    from harness.cli import cli

    compared = runs.compare(*METHODS, resamples=200)
    assert len(compared.to_frame()) == 4
    assert set(compared.to_frame()["noise"]) == {0.0, 0.4}
    assert "<table" in compared._repr_html_()
    words = ["compare", *METHODS, "--results", str(folder / "results"), "--where", "noise in (0, 0.4)"]
    cli.main([*words, "--resamples", "200"], standalone_mode=False)
    assert capsys.readouterr().out.rstrip("\n") == str(compared)
    with pytest.raises(harness.HarnessError, match="unknown row or method"):
        runs.compare("cca-itq", "random-kodes")


def test_a_notebook_shows_the_table(runs):
    shown = runs._repr_html_()
    assert shown.count("<figure>") == 1
    assert "cca-itq" in shown
    assert str(runs).splitlines()[-1] == f"12 runs in {runs.results}"
    assert "map on small" in str(runs)
    assert repr(runs) == str(runs)


def test_a_run_has_what_is_stored(runs):
    run = runs[0]
    assert run.record.hash == run.hash
    codes = run.codes("query", "image")
    assert codes.dtype == np.uint8
    assert codes.shape == (run.record.queries["total"], 1)
    signs = run.codes("query", "image", signs=True)
    assert signs.dtype == np.int8
    assert np.array_equal(signs > 0, unpack(codes, 8))
    assert set(np.unique(signs)) <= {-1, 1}
    assert run.trust.shape == (run.record.cell.images["train"],)
    assert "i2t_precision_by_radius" in run.curves
    with pytest.raises(harness.HarnessError, match="unknown part 'querry': did you mean 'query'"):
        run.codes("querry", "image")
    with pytest.raises(harness.HarnessError, match="unknown modality 'txt': did you mean 'text'"):
        run.codes("query", "txt")


def test_what_is_gone_is_told(runs, folder):
    import shutil

    stranger = harness.load(folder / "results", where="seed=7")[0]
    shutil.rmtree(stranger.folder)
    with pytest.raises(harness.HarnessError, match=f"run {stranger.hash} is gone from"):
        _ = stranger.record


def test_conditions_and_names_are_checked(runs):
    with pytest.raises(harness.HarnessError, match="unknown column"):
        runs.where("noize=0")
    with pytest.raises(harness.HarnessError, match="did you mean"):
        runs.table(preset="papper")
    with pytest.raises(harness.HarnessError, match="unknown metric"):
        runs.table("mapp")


def test_a_run_has_its_model(runs, folder):
    with np.load(folder / "small.npz") as arrays:
        image = arrays["image"]
    run = runs.where("method=cca-itq")[0]
    codes = run.model().encode_image(image[run.arrays["query_ids"]])
    assert np.array_equal(codes, run.codes("query", "image"))
