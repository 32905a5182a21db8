"""``harness data list|info|check|fetch|audit`` on the command line."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from layouts.matlab_writer import write_v5
from layouts.miniatures import MINIATURES
from PIL import Image


@pytest.fixture
def ucm(tmp_path):
    """A folder in UCM's layout, far too small."""
    folder = tmp_path / "root" / "UCM_captions"
    (folder / "imgs").mkdir(parents=True)
    entries = []
    for number in range(20):
        Image.new("RGB", (8, 8), (number // 2, 0, 0)).save(folder / "imgs" / f"{number}.png")
        sentences = [{"raw": f"scene {number // 4}"}]
        entries.append({"filename": f"{number}.png", "classcode": number % 4, "sentences": sentences})
    (folder / "dataset.json").write_text(json.dumps({"images": entries}))
    return folder


def test_list_says_what_is_there(harness, ucm):
    found = {row["name"]: row for row in harness("data", "list", "--data-root", ucm.parent, "--json").json}
    assert found["ucm"]["found"] == "yes"
    assert found["toy"]["found"] == "made on the spot"
    assert found["ucm"]["images"] == 2100
    (ucm / "dataset.json").unlink()
    assert "in part" in harness("data", "list", "--data-root", ucm.parent).out
    assert {row["name"]: row["found"] for row in harness("data", "list", "--json").json}["ucm"] == "no data root"


def test_info_shows_the_card(harness, ucm):
    shown = harness("data", "info", "ucm", "--data-root", ucm.parent)
    assert "2100" in shown.out
    assert str(ucm) in shown.out
    assert harness("data", "info", "ucm", "--json").json["layout"]["folder"] == "UCM_captions"
    assert "did you mean" in harness("data", "info", "ucn").err.lower()


def test_check_says_what_is_wrong_with_exit_code_1(harness, ucm):
    result = harness("data", "check", "ucm", "--data-root", ucm.parent)
    assert result.code == 1
    assert "holds 20 files, expected 2100" in result.out
    (report,) = harness("data", "check", "ucm", "--data-root", ucm.parent, "--json").json
    assert not report["in_order"]
    assert harness("data", "check", "toy").code == 0
    assert harness("data", "check", "ucm").code == 2


def test_audit_of_several_sets(harness, ucm):
    result = harness("data", "audit", "ucm", "toy", "--data-root", ucm.parent, "--json")
    assert result.code == 0, result.err
    first, second = result.json["sets"]
    assert first["duplicate_images"]["images"] == 20
    assert first["duplicate_captions"]["share_elsewhere"] == 1.0
    assert second["images"] == 400
    assert result.json["shared"] == []
    table = harness("data", "audit", "ucm", "--pixels", "--data-root", ucm.parent).out
    assert "captions that occur elsewhere" in table
    assert "100.0 %" in table


def test_fetch_of_what_cannot_be_fetched(harness, tmp_path):
    assert "made on the spot" in harness("data", "fetch", "toy", "--data-root", tmp_path).out
    assert "--data-root" in harness("data", "fetch", "ucm").err
    assert harness("data", "fetch", "ucm", "--data-root", tmp_path, "--tries", "0").code == 2


def test_fetch_through_the_command_line(harness, tmp_path):
    from data.faulty_server import Served, serving

    plugin, card, root = tmp_path / "own.py", tmp_path / "tiny.toml", tmp_path / "root"
    plugin.write_text(
        "from pathlib import Path\nfrom harness import hookimpl\n\n@hookimpl\ndef register_datasets(register):\n"
        f"    register(Path({str(card)!r}))\n"
    )
    images = [{"filename": "x.png", "classcode": 0, "sentences": [{"raw": "x"}]}]
    served = {"dataset.json": Served(json.dumps({"images": images}).encode())}
    with serving(served) as address:
        card.write_text(
            'name = "tiny"\ntitle = "t"\npaper = "p"\nlicence = "l"\nreader = "karpathy"\nlabels = "single"\n'
            'classes = 1\nimages = 1\ncaptions_per_image = 1\nimage_size = "1"\n'
            '[layout]\nfolder = "tiny"\nannotations = "dataset.json"\nimages = "imgs"\n'
            f'[[sources]]\naddress = "{address}dataset.json"\n'
            f'[[sources]]\naddress = "{address}images.zip"\nkind = "page"\nremark = "ask the authors"\n'
        )
        words = ("data", "fetch", "tiny", "--plugin", plugin, "--data-root", root)
        dry = harness(*words, "--dry-run")
        assert dry.code == 0
        assert f"{address}dataset.json would go into {root / 'tiny'}" in dry.out
        assert not root.exists()
        result = harness(*words)
        assert result.code == 1
        assert "get it by hand from" in result.out
        assert "the folder imgs is missing" in result.out
        (root / "tiny" / "imgs").mkdir()
        Image.fromarray(np.zeros((2, 2, 3), dtype=np.uint8)).save(root / "tiny" / "imgs" / "x.png")
        result = harness(*words)
        assert (result.code, result.out.splitlines()[-1]) == (0, "tiny: in order")


def test_a_dry_run_of_fetch_that_can_fetch_nothing_exits_1(harness, tmp_path):
    """RSICD is behind a page for people; what programs can get is another matter."""
    result = harness("data", "fetch", "rsicd", "--data-root", tmp_path, "--dry-run")
    assert result.code == 1
    assert "by hand from https://github.com/201528014227051/RSICD_optimal" in result.out
    result = harness("data", "fetch", "wiki", "--data-root", tmp_path, "--dry-run")
    assert result.code == 0, result.out + result.err
    assert "wikipedia_dataset.zip would go into" in result.out
    assert harness("data", "fetch", "rsicd", "wiki", "--data-root", tmp_path, "--dry-run").code == 1
    assert not list(tmp_path.iterdir())


def test_check_offers_to_fetch_only_what_can_be_fetched(harness, tmp_path):
    tmp_path.joinpath("RSICD").mkdir()
    tmp_path.joinpath("wikipedia_dataset").mkdir()
    by_hand = harness("data", "check", "rsicd", "--data-root", tmp_path).out
    assert "rsicd: `harness data fetch rsicd --dry-run` says how to get it by hand" in by_hand
    assert "gets what can be downloaded" not in by_hand
    assert "`harness data fetch wiki` gets what" in harness("data", "check", "wiki", "--data-root", tmp_path).out


@pytest.fixture
def matrices(tmp_path):
    """60 pairs as I_tr, ..., L_te in one MATLAB file, below the data root in MIRFlickr's folder."""
    random = np.random.default_rng(0)
    classes = np.arange(60) % 3
    arrays = {
        f"{kind}_{part}": random.normal(size=(60, width))[rows] + np.eye(width)[classes[rows]] * 2
        for part, rows in (("tr", slice(0, 45)), ("te", slice(45, 60)))
        for kind, width in (("I", 8), ("T", 6))
    }
    labels = {"L_tr": np.eye(3)[classes[:45]], "L_te": np.eye(3)[classes[45:]]}
    write_v5(tmp_path / "root" / "mirflickr25k" / "mir_cnn.mat", {**arrays, **labels})
    return tmp_path / "root"


@pytest.mark.parametrize(
    "name",
    ["mirflickr-mat", "mirflickr-names", "mirflickr-merged", "mirflickr-parts", "nuswide-mat", "paths-mat",
     "iaprtc12-mat", "wiki", "wiki-matrices", "any-matrices"],
)  # fmt: skip
def test_matrices_are_in_order_as_a_run_finds_them(harness, tmp_path, name):
    miniature = MINIATURES[name]
    miniature.write(tmp_path)
    result = harness("data", "check", miniature.card.name, "--data-root", tmp_path)
    assert result.code == 0, result.out
    assert result.out.startswith(f"{miniature.card.name}: in order\n")
    sized = miniature.card.images > 0
    assert result.out.count("\n") == 1 + sized
    assert (f"{miniature.card.images:,} by its card" in result.out) == sized
    if any(path.is_file() for path in (tmp_path / miniature.card.layout.folder).glob("*.mat")):
        own = shutil.copytree(tmp_path / miniature.card.layout.folder, tmp_path.parent / f"other {tmp_path.name}")
        assert harness("data", "check", miniature.card.name, "--data-root", own).code == 0


def test_matrices_that_do_not_fit_are_named_by_check_as_by_run(harness, matrices):
    write_v5(matrices / "mirflickr25k" / "mir_cnn.mat",
             {"I_tr": np.ones((8, 30)), "T_tr": np.ones((6, 30)), "L_tr": np.ones((3, 30)),
              "I_te": np.ones((8, 10)), "T_te": np.ones((6, 10)), "L_te": np.ones((3, 10))})  # fmt: skip
    said = "I_tr (8, 30), T_tr (6, 30) and L_tr (3, 30) must have one row for each item; each has 30 columns"
    checked = harness("data", "check", "mirflickr25k", "--data-root", matrices)
    ran = harness("run", "--method", "cca-itq", "--dataset", "mirflickr25k", "--data-root", matrices)
    assert (checked.code, ran.code) == (1, 2)
    assert said in checked.out
    assert said in ran.err


def test_a_size_that_is_not_the_card_s_is_told_and_recorded(harness, matrices):
    words = ("--method", "cca-itq", "--bits", "8", "--split", "paper", "--data-root")
    result = harness("run", "--dataset", "mirflickr25k", *words, matrices, "--json")
    said = "data set 'mirflickr25k' has 60 images here, and 20,015 by its card"
    assert said in result.err
    assert any(note.startswith(said) for note in result.json[0]["notes"])
    folder = (matrices / "mirflickr25k").rename(matrices / "of-mine")
    neutral = harness("run", "--dataset", "hashing-matrices", *words, folder, "--json")
    assert "by its card" not in neutral.err
    assert neutral.json[0]["notes"] == []
    assert neutral.json[0]["cell"]["dataset"] == "of-mine"
    named = harness("run", "--dataset", "hashing-matrices:mir_cnn.mat", *words, folder, "--json")
    assert named.json[0]["cell"]["dataset"] == "mir_cnn"
    assert named.json[0]["metrics"]["i2t"] == neutral.json[0]["metrics"]["i2t"]
