"""Data sets through the command line: from files to records, with every choice that is part of a cell."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from layouts.matlab_writer import write_v5
from layouts.miniatures import REGISTRY, picture, text

from harness.cells.command import request_of
from harness.cells.workbench import Workbench
from harness.execution.rescore import rescore
from harness.records.schema import record_from_json
from harness.records.store import StoredRun

FAST = ("--method", "cca-itq", "--bits", "8")
PLAIN = ("--image-backbone", "handcrafted", "--text-backbone", "tfidf-svd")


@pytest.fixture
def wikipedia(tmp_path):
    """60 pairs of 3 categories in the layout of the Wikipedia data set."""
    random = np.random.default_rng(0)
    categories = np.arange(60) % 3
    images = np.abs(random.normal(size=(60, 16)) + 2 * np.eye(16)[categories])
    texts = np.abs(random.normal(size=(60, 10)) + 2 * np.eye(10)[categories])
    folder = tmp_path / "data" / "wikipedia_dataset"
    write_v5(folder / "raw_features.mat",
             {"I_tr": images[:45], "T_tr": texts[:45], "I_te": images[45:], "T_te": texts[45:]})  # fmt: skip
    for name, rows in (("trainset", range(45)), ("testset", range(45, 60))):
        lines = "".join(f"text{row}\timage{row}\t{categories[row] + 1}\n" for row in rows)
        text(folder / f"{name}_txt_img_cat.list", lines)
    return tmp_path / "data"


@pytest.fixture
def pairs(tmp_path):
    """``pairs(extra columns by row)``: a folder with 24 images of two classes, two captions each, in metadata.csv."""

    def write(**columns):
        folder = tmp_path / "mine"
        folder.mkdir(exist_ok=True)
        with (folder / "metadata.csv").open("w", newline="") as opened:
            writer = csv.writer(opened)
            writer.writerow(["image", "caption", "label", *columns])
            for row in range(24):
                picture(folder / f"{row}.png", row, (24, 24))
                for view in range(2):
                    colour = ("red", "blue")[row % 2]
                    words = f"a {colour} thing number {row} seen {view}"
                    writer.writerow([f"{row}.png", words, colour, *(value(row) for value in columns.values())])
        return folder

    return write


def run(harness, *words):
    result = harness("run", *FAST, *words, "--json")
    assert result.code == 0, result.err
    return result.json


def test_a_set_that_comes_as_features_runs_without_backbones(harness, wikipedia):
    (record,) = run(harness, "--dataset", "wiki", "--data-root", wikipedia)
    cell = record["cell"]
    assert cell["images"] == {"train": 45, "trusted": 9, "query": 15, "database": 45}
    assert cell["backbones"] == {"image": {"name": "given"}, "text": {"name": "given"}}
    assert cell["split"] == "published"
    assert record["metrics"]["i2t"]["map"] > 0.5
    refused = harness("run", *FAST, "--dataset", "wiki", "--data-root", wikipedia, "--image-backbone", "handcrafted")
    assert refused.code == 2
    assert "'wiki', which comes as ready features" in refused.err
    (other,) = run(harness, "--dataset", "wiki", "--data-root", wikipedia, "--split", "paper", "--limit", "40")
    assert other["cell"]["images"]["train"] == 20
    assert other["hash"] != record["hash"]


def test_the_choices_of_a_cell_are_recorded_hashed_and_repeated(harness, pairs):
    root = pairs(split=lambda row: ("train", "train", "val", "test")[row % 4])
    base = ("--dataset", "folder", "--data-root", root, *PLAIN)
    seen = {}
    for words in (
        (), ("--split", "stratified"), ("--split", "published"), ("--validation", "0.25"), ("--relevance", "instance"),
    ):  # fmt: skip
        (record,) = run(harness, *base, *words)
        assert record["cell"]["dataset"] == "mine"
        assert record["hash"] not in seen
        seen[record["hash"]] = record["cell"]
        for word in words:
            assert word in record["command"]
        again = Workbench(REGISTRY).prepare(request_of(record["command"]))
        assert again.cell.hash == record["hash"]
    (explicit,) = run(harness, *base, "--split", "paper", "--relevance", "label")
    assert explicit["hash"] in seen, "the defaults, said aloud, are the same cell"
    shown = harness("table").out
    assert "split stratified" in shown
    assert "VALIDATION 0.25" in shown
    assert "relevance instance" in shown


def test_relevance_by_instance_scores_all_captions_of_the_queries_in_two_directions(
    harness, pairs, arrays_of, tmp_path
):
    (record,) = run(harness, "--dataset", "folder", "--data-root", pairs(), *PLAIN, "--relevance", "instance")
    assert set(record["metrics"]) == {"i2t", "t2i", "detector", "noise"}
    assert record["cell"]["relevance"] == record["identity"]["relevance"] == "instance"
    arrays = arrays_of(record)
    queries = record["cell"]["images"]["query"]
    assert len(arrays["query_image_codes"]) == queries
    assert len(arrays["query_text_codes"]) == 2 * queries
    assert arrays["relevant_pairs"].shape == (2, 2 * queries)
    refused = harness("evaluate", "--codes", "none.npz", "--cell", record["hash"])
    assert refused.code == 2
    assert "goes by --relevance instance" in refused.err
    stored = StoredRun(next(tmp_path.glob(f"results/runs/*/*/{record['hash']}")), record_from_json(record))
    again = rescore(stored, [metric for metric in REGISTRY.all("metric") if metric.name == "hit"])
    assert again.added == again.changed == (), "metrics can be computed again from the stored codes and pairs"


def test_labels_have_no_say_where_there_are_none(harness, pairs):
    root = pairs()
    table = (root / "metadata.csv").read_text().replace("label", "remark")
    (root / "metadata.csv").write_text(table)
    refused = harness("run", *FAST, "--dataset", "folder", "--data-root", root, *PLAIN)
    assert refused.code == 2
    assert "add --relevance instance" in refused.err
    (record,) = run(harness, "--dataset", "folder", "--data-root", root, *PLAIN, "--relevance", "instance")
    assert 0 <= record["metrics"]["i2t"]["hit@1"] <= 1


def test_natural_noise_and_trusted_pairs_of_a_table_are_the_cell_s(harness, pairs, arrays_of):
    root = pairs(wrong=lambda row: int(row % 3 == 0), trusted=lambda row: int(row % 3 == 1))
    (record,) = run(harness, "--dataset", "folder", "--data-root", root, *PLAIN)
    assert (record["cell"]["protocol"], record["cell"]["noise"]) == ("given", None)
    arrays = arrays_of(record)
    assert np.array_equal(arrays["plan_wrong"], arrays["plan_image"] % 3 == 0)
    assert np.array_equal(arrays["plan_trusted"], arrays["plan_image"] % 3 == 1)


def test_copies_are_said_on_screen_and_in_the_record_and_left_out_when_asked(harness, pairs):
    root = pairs()
    base = ("--dataset", "folder", "--data-root", root, *PLAIN)
    (before,) = run(harness, *base)
    for row in range(1, 24):
        (root / f"{row}.png").write_bytes(
            (root / "0.png").read_bytes() if row < 20 else (root / f"{row}.png").read_bytes()
        )
    (kept,) = run(harness, *base)
    assert kept["cell"]["images"] == before["cell"]["images"]
    assert kept["cell"]["copies"]
    assert any("copies of one in another part: kept" in note for note in kept["notes"])
    said = harness("run", *FAST, *base, "--dry-run")
    assert "--drop-duplicates leaves them out" in said.out + said.err


def test_a_card_of_one_s_own_is_named_by_its_path(harness, tmp_path, pairs):
    root = pairs()
    card = tmp_path / "own.toml"
    card.write_text(
        'name = "own"\ntitle = "Own"\npaper = "p"\nlicence = "l"\nreader = "pairs"\nlabels = "single"\nclasses = 2\n'
        'images = 24\ncaptions_per_image = 2\nimage_size = "24 x 24"\n'
        '[backbones]\nimage = "handcrafted"\ntext = "tfidf-svd"\n'
        '[layout]\nfolder = "mine"\n[protocol]\nqueries = 4\ntraining = 10\n'
    )
    (record,) = run(harness, "--dataset", card, "--data-root", root.parent, "--split", "protocol")
    assert record["cell"]["dataset"] == "own"
    assert record["cell"]["images"] == {"train": 10, "trusted": 2, "query": 4, "database": 20}
    assert str(card) in record["command"]
