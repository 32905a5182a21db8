"""The docs cannot rot: plugins shown are run, commands shown exist, links lead somewhere."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from pathlib import Path

import click
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def plugin_files(page: str) -> dict[str, str]:
    """File name to content of the Python blocks that begin with ``# file:``."""
    blocks = [body for language, body in BLOCK.findall((ROOT / "docs" / page).read_text()) if language == "python"]
    return {match[1]: body for body in blocks if (match := re.match(r"# file: (\S+)\n", body))}


def commands() -> list[tuple[str, str]]:
    """Every ``harness ...`` line of an unmarked or console block, with its page."""
    found = []
    for page in PAGES:
        for language, body in BLOCK.findall(page.read_text()):
            if language in ("", "console", "bash"):
                joined = body.replace("\\\n", " ")
                found += [
                    (page.name, line.removeprefix("$ ").strip())
                    for line in joined.splitlines()
                    if line.removeprefix("$ ").startswith("harness ")
                ]
    return found


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_shown_parses(page, line):
    """Options and verbs exist; values are not run here."""
    from harness.cli import cli

    words = shlex.split(line, comments=True)[1:]
    words = words[: words.index(">")] if ">" in words else words
    context = click.Context(cli)
    name, command, rest = cli.resolve_command(context, words)
    while isinstance(command, click.Group):
        name, command, rest = command.resolve_command(context, rest)
    command.make_context(name, [word.replace("[", "").replace("]", "") for word in rest])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), target


def calls_of_harness() -> list[tuple[str, str, tuple[str, ...]]]:
    """Page, function and named arguments of every ``harness.NAME(...)`` in a block of Python."""
    blocks = [
        (page.name, body)
        for page in PAGES
        for language, body in BLOCK.findall(page.read_text())
        if language == "python"
    ]
    return [
        (page, node.func.attr, tuple(word.arg for word in node.keywords if word.arg))
        for page, body in blocks
        for node in ast.walk(ast.parse(body))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).startswith("harness.")
        and ast.unparse(node.func).count(".") == 1
    ]


def test_every_call_shown_names_a_function_and_its_arguments():
    import harness

    shown = calls_of_harness()
    assert {page for page, _, _ in shown} >= {"README.md", "quickstart.md", "python-api.md", "tables.md"}
    for page, function, arguments in shown:
        known = inspect.signature(getattr(harness, function)).parameters
        assert set(arguments) <= set(known), (page, function)


def run_page_plugin(harness, features, tmp_path, name, *arguments):
    (tmp_path / name).write_text(plugin_files("write-a-plugin.md")[name])
    return harness("run", "--plugin", tmp_path / name, "--features", features(n=100), "--bits", "16", *arguments)


def test_the_first_method_of_the_page_runs_and_is_run_again_when_edited(harness, features, tmp_path):
    arguments = ("--method", "cross-covariance-sign,cca-itq", "--noise", "0,0.4", "--json")
    first = run_page_plugin(harness, features, tmp_path, "mean_sign.py", *arguments)
    assert first.code == 0, first.err
    assert [record["status"] for record in first.json] == ["ok"] * 4
    code = plugin_files("write-a-plugin.md")["mean_sign.py"]
    (tmp_path / "mean_sign.py").write_text(code.replace("** self.scale", "** (2 * self.scale)"))
    again = harness(
        "run", "--plugin", tmp_path / "mean_sign.py", "--features", tmp_path / "small.npz", "--bits", "16", *arguments
    )
    changed = [before["hash"] != after["hash"] for before, after in zip(first.json, again.json, strict=True)]
    assert changed == [record["cell"]["method"] == "cross-covariance-sign" for record in again.json]


def test_a_keyword_argument_of_the_page_s_method_is_a_parameter(harness, features, tmp_path):
    result = run_page_plugin(
        harness, features, tmp_path, "mean_sign.py", "--method", "cross-covariance-sign", "--set", "scale=0.5,2"
    )
    assert result.code == 0, result.err
    assert "cross-covariance-sign [hasher.scale=0.5]" in result.out


def test_the_detector_of_the_page_changes_the_codes_and_is_refused_by_a_closed_form(harness, features, tmp_path):
    small = (
        "--epochs",
        "14",
        "--set",
        "hasher.hidden=16",
        "--set",
        "hasher.batch_size=16",
        "--set",
        "hasher.learning_rate=0.01",
    )
    result = run_page_plugin(
        harness,
        features,
        tmp_path,
        "loss_rank.py",
        "--method",
        "duch-noisy",
        "--detector",
        "none,loss-rank",
        "--noise",
        "0.4",
        "--json",
        *small,
    )
    assert result.code == 0, result.err
    without, with_it = result.json
    assert with_it["metrics"]["detector"]["auroc"] is not None
    assert without["metrics"]["i2t"]["map"] != with_it["metrics"]["i2t"]["map"]
    refused = run_page_plugin(
        harness, features, tmp_path, "loss_rank.py", "--method", "cca-itq", "--detector", "loss-rank"
    )
    assert refused.code == 2
    assert "fitted in one step" in refused.err


def test_the_learner_of_the_page_works_with_any_detector(harness, features, tmp_path):
    result = run_page_plugin(
        harness, features, tmp_path, "linear_contrast.py", "--method", "linear-chnr", "--detector", "adversarial,none",
        "--noise", "0.4", "--epochs", "10", "--preset", "long", "--json",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert [record["cell"]["detector"] for record in result.json] == ["adversarial", "none"]
    assert result.json[0]["cell"]["parameters"]["hasher.temperature"] == 0.3
    assert result.json[0]["cell"]["parameters"]["hasher.learning_rate"] == 3e-4


def test_the_backbone_of_the_page_runs_and_its_argument_is_a_parameter(harness, tmp_path):
    (tmp_path / "thumbnail.py").write_text(plugin_files("write-a-plugin.md")["thumbnail.py"])
    words = ("--plugin", tmp_path / "thumbnail.py", "--image-backbone", "thumbnail", "--limit", "30", "--bits", "8")
    result = harness("run", *words, "--method", "cca-itq", "--set", "image_backbone.power=1,2", "--json")
    assert result.code == 0, result.err
    assert [record["cell"]["backbones"]["image"]["parameters"] for record in result.json] == [
        {"power": 1.0},
        {"power": 2.0},
    ]


def test_the_tracker_of_the_page_hears_of_a_run(harness, features, tmp_path):
    heard = tmp_path / "epochs.txt"
    result = run_page_plugin(
        harness, features, tmp_path, "epoch_times.py", "--method", "chnr", "--epochs", "4", "--tracker",
        f"epoch-times:file={heard}", "--json",
    )  # fmt: skip
    assert result.code == 0, result.err
    lines = heard.read_text().splitlines()
    assert [line.split()[-3:-1] for line in lines if " noisy " in line] == [["noisy", "1"], ["noisy", "2"]]
    assert f" ok {tmp_path / 'results'}" in lines[-1]
    assert lines[-1].endswith(result.json[0]["hash"])


def add_a_dataset(name: str) -> str:
    """The content of a file shown on docs/add-a-dataset.md."""
    blocks = [body for _, body in BLOCK.findall((ROOT / "docs" / "add-a-dataset.md").read_text())]
    return next(body for body in blocks if body.startswith(f"# file: {name}\n"))


def small_picture(path, number):
    import numpy as np
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(path)


def test_the_card_of_the_page_runs_and_a_folder_needs_none(harness, tmp_path):
    folder = tmp_path / "data" / "harbours"
    rows = ["image,caption,label"]
    for number in range(24):
        small_picture(folder / f"{number}.png", number)
        rows += [f"{number}.png,a {('pier', 'crane')[number % 2]} {view},{number % 2}" for view in ("left", "right")]
    (folder / "pairs.csv").write_text("\n".join(rows))
    card = tmp_path / "harbours.toml"
    card.write_text(add_a_dataset("harbours.toml"))
    words = ("--method", "cca-itq", "--bits", "8", "--json")
    result = harness("run", "--dataset", card, "--data-root", tmp_path / "data", *words)
    assert result.code == 0, result.err
    assert result.json[0]["cell"]["images"] == {"train": 10, "trusted": 2, "query": 4, "database": 20}
    result = harness("run", "--dataset", "folder", "--data-root", folder, *words)
    assert result.code == 0, result.err
    assert result.json[0]["cell"]["dataset"] == "harbours"


def test_the_reader_of_the_page_runs(harness, tmp_path):
    for number in range(24):
        image = tmp_path / "data" / "coast" / ("sea", "land")[number % 2] / f"{number}.png"
        small_picture(image, number)
        image.with_suffix(".txt").write_text(f"number {number} of the {image.parent.name}")
    for name in ("class_folders.py", "coast.toml"):
        (tmp_path / name).write_text(add_a_dataset(name))
    result = harness(
        "run", "--plugin", tmp_path / "class_folders.py", "--dataset", "coast", "--data-root", tmp_path / "data",
        "--method", "cca-itq", "--bits", "8", "--json",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert result.json[0]["cell"]["images"]["train"] == 12


@pytest.mark.parametrize("name", sorted(plugin_files("write-a-plugin.md")))
def test_every_plugin_of_the_page_keeps_the_contract(tmp_path, name):
    from harness.testing import bound_checks, subjects_of

    for file, code in plugin_files("write-a-plugin.md").items():
        (tmp_path / file).write_text(code)
    settings = {"detector.batch_size": "16"}
    outcomes = [bound.outcome() for bound in bound_checks(subjects_of(tmp_path / name, settings), slow=False)]
    assert len(outcomes) > 4
    assert not [found for found in outcomes if found.status == "failed"]


def test_the_whole_detector_of_the_page_finds_the_wrong_pairs(harness, features, tmp_path):
    small = [
        word for key in ("hidden=32", "batch_size=16", "learning_rate=0.01") for word in ("--set", f"hasher.{key}")
    ]
    (tmp_path / "two_groups.py").write_text(plugin_files("write-a-plugin.md")["two_groups.py"])
    result = harness(
        "run", "--plugin", tmp_path / "two_groups.py", "--features", features(n=200), "--bits", "16", "--method",
        "duch-noisy", "--detector", "two-groups,none", "--noise", "0.4", "--epochs", "30", *small, "--json",
    )  # fmt: skip
    assert result.code == 0, result.err
    found, none = result.json
    assert found["metrics"]["detector"]["auroc"] > 0.75
    assert found["metrics"]["i2t"]["map"] > none["metrics"]["i2t"]["map"]


def test_the_codes_of_the_quickstart_are_codes_of_the_cell(harness, features, tmp_path, monkeypatch):
    """Its ``codes.npz`` holds all that ``harness evaluate`` asks for, by the names of its table."""
    page = (ROOT / "docs" / "quickstart.md").read_text()
    (snippet,) = [body for language, body in BLOCK.findall(page) if language == "python" and "cell.npz" in body]
    monkeypatch.chdir(tmp_path)
    exported = harness("data", "export", "--features", features(n=60, classes=3), "--noise", "0.4", "-o", "cell.npz")
    assert exported.code == 0, exported.err
    exec(snippet, {})
    for name in np.load("codes.npz").files:
        assert f"`{name}`" in page
    result = harness("evaluate", "--codes", "codes.npz", "--cell", "cell.npz", "--json")
    assert result.code == 0, result.err
    assert 0 < result.json[0]["metrics"]["i2t"]["map"] < 1
