"""``harness table``: options, presets, files, and the sentences that mistakes get."""

from __future__ import annotations

import builtins
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.report.tables.long_frame import write_parquet

HISTORIC = Path(__file__).parent.parent / "records" / "historic"


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Real runs, made once: two methods, two noise rates, two lengths, two seeds, on a small file of features."""
    import numpy as np
    from conftest import feature_arrays

    folder = tmp_path_factory.mktemp("real")
    np.savez(folder / "small.npz", **feature_arrays())
    words = ["--method", "cca-itq,random-codes", "--features", folder / "small.npz", "--noise", "0,0.4",
             "--bits", "16,64", "--seed", "0-1", "--results", folder / "results"]  # fmt: skip
    program = "import sys; from harness.cli import main; sys.argv[0] = 'harness'; main()"
    subprocess.run(
        [sys.executable, "-c", program, "run", *map(str, words)], check=True, capture_output=True, timeout=120
    )
    return folder / "results"


@pytest.fixture
def results(real, tmp_path):
    shutil.copytree(real, tmp_path / "results")
    return tmp_path / "results"


def test_empty_folder(harness):
    result = harness("table")
    assert result.code == 2
    assert "no records in" in result.err
    assert "--results" in result.err


def test_folder_with_foreign_files(harness, results):
    (results / "runs" / "notes.txt").write_text("mine")
    (results / "runs" / "foreign" / "toy" / "abc").mkdir(parents=True)
    (results / "runs" / "foreign" / "toy" / "abc" / "record.json").write_text('{"schema": 2, "what": "else"}')
    (results / "runs" / "foreign" / "toy" / "abcd").mkdir()
    (results / "runs" / "foreign" / "toy" / "abcd" / "picture.png").write_bytes(b"\x89PNG")
    result = harness("table", "--where", "bits=16")
    assert result.code == 0
    assert "foreign/toy/abc/record.json is left out" in result.err.replace("\n", "")
    assert "cca-itq" in result.out


def test_records_of_an_old_schema(harness, tmp_path):
    shutil.copytree(HISTORIC / "schema-1", tmp_path / "results")
    result = harness("table", "--format", "csv")
    assert result.code == 0, result.err
    assert "cca-itq" in result.out
    cost = harness("table", "--metric", "cost/code_bytes")
    assert cost.code == 2
    assert "no record holds cost/..." in cost.err


def test_records_of_a_newer_schema_are_left_out_with_the_reason(harness, results):
    for path in results.glob("runs/*/*/*/record.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 99}))
    result = harness("table")
    assert result.code == 2
    assert "schema 99 is newer than this program" in result.err
    assert "no records in" in result.err


def test_all_cells_failed(harness, written):
    written({"status": "failed"}, {"seed": 1, "status": "oom"})
    result = harness("table")
    assert result.code == 2
    assert "has map: all 2 failed" in result.err
    assert "harness show HASH" in result.err


def test_only_limited_runs(harness, written):
    written({"i2t": 0.5, "limit": 30})
    result = harness("table")
    assert result.code == 2
    assert "only runs on a limited number of images" in result.err


def test_metric_that_no_record_has(harness, results):
    result = harness("table", "--metric", "map@17")
    assert result.code == 2
    assert "`harness score --all --metric map@17`" in result.err
    result = harness("table", "--metric", "detector/auroc")
    assert result.code == 2
    assert "has a value of detector/auroc" in result.err


def test_one_seed_only_is_said(harness, results):
    result = harness("table", "--where", "seed=0", "--format", "github")
    assert "One run in each cell, so there is no deviation" in result.out
    assert "±" not in result.out


def test_condition_that_nothing_fulfils(harness, results):
    result = harness("table", "--where", "bits=17")
    assert result.code == 2
    assert "fulfils --where 'bits=17'" in result.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rows", "metod"), "unknown name in --rows 'metod': did you mean 'method'"),
        (("--columns", "direction,nois"), "unknown name in --columns 'nois': did you mean 'noise'"),
        (("--by", "data set"), "unknown name in --by 'data set': did you mean"),
        (("--preset", "papper"), "unknown preset of tables 'papper': did you mean 'paper'?"),
        (("--format", "githb"), "unknown value of --format 'githb': did you mean 'github'?"),
        (("--significance", "seed"), "unknown value of --significance 'seed': did you mean 'seeds'?"),
        (("--metric", "mapp"), "unknown metric 'mapp': did you mean 'map'"),
        (("--metric", "timings/trainin"), "did you mean 'timings/training'"),
        (("--metric", "costs/code_bytes"), "unknown kind of metric 'costs': did you mean 'cost'?"),
        (("--where", "bitz=64"), "unknown column in --where 'bitz': did you mean 'bits'"),
        (("--rows", "method,method"), "--rows names method twice"),
        (("--rows", "method", "--by", "row"), "row stands in --rows and in --by"),
        (("--format", "parquet"), "--format parquet is not text: name a file with -o FILE.parquet."),
        (("--rows", "method", "--columns", "noise", "--by", "bits"), "a cell would average over direction (i2t, t2i)"),
        (("--columns", "direction"), 'choose one with --where "noise=0.4"'),
        (("--rows", "dataset"), "a cell would average over method (cca-itq, random-codes)"),
        (("--metric", "map,p@10", "--by", "dataset"), ""),
        (
            ("--metric", "i2t/map", "--columns", "bits"),
            "add noise to --rows (method), --columns (bits) or --by (dataset",
        ),
    ],
)
def test_mistakes_get_one_sentence(harness, results, words, said):
    result = harness("table", *words)
    if not said:
        assert result.code == 0
        return
    assert result.code == 2
    assert said in result.err
    assert "Traceback" not in result.err


def test_settings_split_tables_and_the_reason_is_told(harness, results):
    result = harness("table", "--rows", "method", "--columns", "noise", "--format", "github")
    assert result.out.count("| method") == 4  # two lengths, two directions
    assert "tables of their own for what is not comparable (bits 16, 64)" in result.err


def test_condition_needs_no_quotes_around_its_value(harness, results):
    result = harness("table", "--where", "bits=64")
    assert result.code == 0
    assert "64 bits" in result.out
    assert "16 bits" not in result.out


PRESETS = {
    "paper": ("direction", "method", "map_relevant@20", "64 bits"),
    "cross": ("hasher", "objective"),
    "cost": ("training time (s)", "encode one image (µs)", "code (bytes)"),
    "bits": ("i2t 16 bits", "t2i 64 bits"),
    "robustness": ("i2t area", "t2i relative drop"),
}


@pytest.mark.parametrize("preset", PRESETS)
def test_presets(harness, results, preset):
    result = harness("table", "--preset", preset, "--format", "github")
    assert result.code == 0, result.err
    for sign in PRESETS[preset]:
        assert sign in result.out


def test_preset_of_the_paper_is_laid_out_as_in_the_paper(harness, results):
    out = harness("table", "--preset", "paper", "--format", "github").out
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in out.splitlines() if line.startswith("|")]
    assert rows[0] == ["direction", "method", "0", "0.4"]
    assert [row[:2] for row in rows[2:]] == [
        ["i2t", "cca-itq"],
        ["", "random-codes"],
        ["t2i", "cca-itq"],
        ["", "random-codes"],
    ]
    assert out.count("**0.") == 4  # the best of each column in each block
    assert "sign flips over blocks of queries" in out


def test_detectors(harness, written):
    written(
        {"method": "a", "detector": "gmm", "scores": {"auroc": 0.7}, "i2t": 0.5},
        {"method": "b", "detector": "structure", "scores": {"auroc": 0.9}, "i2t": 0.5},
        {"method": "c", "detector": "none", "scores": {"auroc": None, "reason": "equal weights"}, "i2t": 0.5},
    )
    out = harness("table", "--preset", "detectors", "--format", "github").out
    assert "**0.900**" in out
    assert "<u>0.700</u>" in out
    assert "left out, without any value: none / c" in out


def test_options_override_a_preset(harness, results):
    out = harness("table", "--preset", "paper", "--where", "bits=16", "--metric", "map", "--significance", "none",
                  "--rows", "method", "--format", "github").out  # fmt: skip
    assert "map on small, i2t, 16 bits" in out or "map on small, 16 bits" in out
    assert "64 bits" not in out
    assert "sign flips" not in out
    both = harness("table", "--preset", "paper", "--where", "noise=0", "--format", "github").out
    assert "64 bits" in both
    assert "16 bits" not in both


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("t.md", "| method"),
        ("t.tex", r"\begin{tabular}"),
        ("t.html", "<table"),
        ("t.csv", "mean,std,n"),
        ("t.txt", "¹"),
    ],
)
def test_a_file_gets_the_format_of_its_name(harness, results, tmp_path, name, sign):
    result = harness("table", "--where", "bits=16", "-o", tmp_path / name)
    assert result.code == 0
    assert result.out == ""
    assert sign in (tmp_path / name).read_text()
    assert f"{name}: 1 table" in result.err


def test_a_file_that_cannot_be_written(harness, results, tmp_path):
    result = harness("table", "-o", tmp_path / "no" / "such" / "t.md")
    assert result.code == 2
    assert "cannot be written" in result.err


@pytest.mark.parametrize("style", ["csv", "parquet"])
def test_a_folder_is_no_file_to_write_to(harness, results, tmp_path, style):
    for folder in (tmp_path, "."):
        result = harness("table", "-o", folder, "--format", style)
        assert result.code == 2
        assert result.err.splitlines()[-1] == f"Error: -o {folder} is a folder: name a file in it."


def test_an_unknown_score_of_detectors_is_no_missing_value(harness, results):
    result = harness("table", "--metric", "detector/aurocc")
    assert result.code == 2
    assert "unknown score of detectors 'aurocc': did you mean 'auroc'" in result.err


def test_two_directions_of_one_metric_are_never_one_cell(harness, written):
    written({"method": "a", "i2t": 0.5, "t2i": 0.3, "noise_shares": {"realised_index": 0.4}})
    both = harness("table", "--rows", "method", "--columns", "metric", "--by", "dataset", "--metric", "i2t/map",
                   "--metric", "t2i/map")  # fmt: skip
    assert both.code == 2
    assert "a cell would average over direction (i2t, t2i)" in both.err
    one = harness("table", "--rows", "method", "--columns", "metric", "--by", "dataset", "--metric", "i2t/map",
                  "--metric", "noise/realised_index", "--format", "plain")  # fmt: skip
    assert one.code == 0, one.err
    assert one.out.splitlines()[2].split() == ["method", "i2t", "map", "noise/realised_index"]
    assert one.out.splitlines()[3].split() == ["a", "0.500", "0.400"]


def test_tables_of_several_metrics_say_which_each_is(harness, written):
    written({"method": "a", "i2t": 0.5, "t2i": 0.3, "cost": {"updates": 7, "code_bytes": 8}, "timings": {"total": 1.0}})
    named = harness("table", "--preset", "cost", "--by", "metric,dataset", "--columns", "noise").out
    assert "cost, updates on " in named
    assert "cost, code on " in named
    other = harness("table", "--preset", "cost", "--metric", "i2t/map", "--columns", "noise").out
    assert other.startswith("i2t/map on ")


def test_seeds_that_are_an_axis_are_no_remark(harness, written):
    written(*({"method": "a", "i2t": 0.5, "t2i": 0.3, "seed": s, "data_seed": d} for s in (0, 1) for d in (0, 1)))
    for axis in ("seed", "data_seed"):
        shown = harness("table", "--rows", "method", "--columns", axis, "--by", "direction")
        assert shown.code == 0, shown.err
        assert "where others have" not in shown.out


def test_a_number_that_is_not_finite_is_no_value(harness, written):
    written({"method": "a", "i2t": math.inf, "t2i": 0.5}, {"method": "b", "i2t": 0.4, "t2i": 0.4})
    out = harness("table", "--format", "plain").out
    assert "inf" not in out
    assert "no value: the metric has no value" in out


def test_parquet_without_pyarrow_is_one_sentence(tmp_path, monkeypatch):
    real_import = builtins.__import__

    def none(name, *rest, **more):
        if name == "pyarrow":
            raise ImportError(name)
        return real_import(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", none)
    with pytest.raises(HarnessError, match=r"needs pyarrow: pip install 'noisy-hashing-harness\[parquet\]', or use"):
        write_parquet([], tmp_path / "t.parquet")
    assert not (tmp_path / "t.parquet").exists()


def test_html_spans_columns_and_escapes_names(harness, written):
    written({"row": "a <script>&", "i2t": 0.5, "t2i": 0.4}, {"method": "b", "i2t": 0.4, "t2i": 0.5, "noise": 0.2})
    out = harness("table", "--format", "html").out
    assert "a &lt;script&gt;&amp;" in out
    assert "<script>" not in out
    assert out.count('colspan="2"') == 2


def test_html_writes_a_name_in_one_line(harness, written):
    written({"row": "two\nlines", "i2t": 0.5, "t2i": 0.4})
    assert "<th>two lines</th>" in harness("table", "--format", "html").out


def test_markdown_escapes_names(harness, written):
    written({"row": "a|b *c* _d_ e_f", "i2t": 0.5, "t2i": 0.4})
    out = harness("table", "--format", "github").out
    assert r"a\|b \*c\* \_d\_ e_f" in out


def test_markdown_has_no_formulas_links_and_lines_through(harness, written):
    written({"row": "$x$ ~~y~~ [z](w) chnr [epochs=20]", "i2t": 0.5, "t2i": 0.4})
    assert r"\$x\$ \~\~y\~\~ [z]\(w) chnr [epochs=20]" in harness("table", "--format", "github").out


def test_too_many_files_are_not_read_unasked(harness, results, monkeypatch):
    import harness.report.tables.request as request

    monkeypatch.setattr(request, "MOST_FILES", 3)
    result = harness("table", "--preset", "paper", "--format", "github")
    assert "the test over queries would read 16 files; --significance both reads them." in result.err
    assert "over blocks of queries" not in result.out
    asked = harness("table", "--preset", "paper", "--significance", "both", "--format", "github")
    assert "over blocks of queries" in asked.out


def test_formats_without_ranks_say_that_they_show_no_marks(harness, results):
    result = harness("table", "--where", "bits=16", "--significance", "both")
    assert "--significance marks the best, which this format does not show" in result.err
    assert "sign flips" not in result.out


def test_tables_in_every_format_need_no_torch(results):
    program = (
        "import sys\nfrom harness.cli import main\n"
        "for style in ('simple', 'github', 'latex', 'html', 'csv', 'plain', 'tsv', 'latex_booktabs'):\n"
        "    for more in ([], ['--preset', 'paper'], ['--preset', 'robustness'], ['--preset', 'cost']):\n"
        f"        sys.argv = ['harness', 'table', '--results', {str(results)!r}, '--format', style, *more]\n"
        "        try:\n            main()\n        except SystemExit as stop:\n            assert not stop.code, more\n"
        "print([name for name in ('torch', 'sklearn', 'transformers', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
