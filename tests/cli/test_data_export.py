"""``harness data export``: a cell's data in one file, on which the same cell gives the same codes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from harness.data.features.export import HEADER

CELLS = {
    "plain": {},
    "cross-class noise": {
        "words": ("--noise", "0.4", "--protocol", "cross-class", "--data-seed", "2", "--trusted", "0.3")
    },
    "released noise": {"words": ("--noise", "0.5", "--protocol", "chnr-released")},
    "shuffled": {"words": ("--noise", "0.7", "--protocol", "shuffle", "--standardise", "feature")},
    "limited": {"words": ("--noise", "0.4", "--limit", "60", "--data-seed", "1")},
    "several labels": {"shape": {"multi": True}, "words": ("--noise", "0.4")},
    "database with training images": {"extra": {"split": np.arange(120) % 4}, "words": ("--noise", "0.4")},
    "natural noise": {"extra": {"wrong": np.arange(120) % 5 == 0, "trusted": np.arange(120) % 5 == 1}},
    "chosen captions": {
        "extra": {"caption_choice": np.arange(120) % 2, "captions": np.array([f"c {i}" for i in range(240)])}
    },
    "no augmented views": {
        "drop": ("image_aug", "text_aug"),
        "words": (
            "--noise",
            "0.2",
        ),
    },
}


@pytest.fixture
def export(harness, tmp_path):
    def run(*words: object, name: str = "cell.npz") -> dict[str, np.ndarray]:
        result = harness("data", "export", *words, "-o", tmp_path / name)
        assert result.code == 0, result.err
        with np.load(tmp_path / name, allow_pickle=False) as opened:
            return dict(opened)

    return run


@pytest.mark.parametrize("method", ["chnr", "cca-itq"])
@pytest.mark.parametrize("what", CELLS)
def test_run_on_the_export_gives_the_same_codes_bit_for_bit(
    features, tiny, export, tmp_path, codes_of, arrays_of, what, method
):
    cell = {"words": (), "extra": None, "shape": {}, "drop": (), **CELLS[what]}
    words, preset = cell["words"], ("--preset", "released") if (method, what) == ("chnr", "released noise") else ()
    path = features(extra=cell["extra"], drop=cell["drop"], **cell["shape"])
    (own,) = tiny(method, path, *words, *preset)
    export("--features", path, *words)
    pairs = zip(words[::2], words[1::2], strict=True)
    kept = [word for pair in pairs if pair[0] in ("--data-seed", "--standardise") for word in pair]
    (again,) = tiny(method, tmp_path / "cell.npz", "--noise-plan", tmp_path / "cell.npz", *kept, *preset)
    assert codes_of(again) == codes_of(own)
    assert again["plan"] == own["plan"]
    assert again["metrics"] == own["metrics"]
    assert np.array_equal(arrays_of(again)["trust"], arrays_of(own)["trust"])
    assert (again["cell"]["noise"], again["cell"]["protocol"]) == (own["cell"]["noise"], own["cell"]["protocol"])


def test_export_holds_what_another_program_needs(features, export, tiny, arrays_of):
    path = features()
    arrays = export("--features", path, "--noise", "0.4", "--trusted", "0.3")
    with np.load(path) as given:
        for name in ("image", "text", "caption_image", "labels"):
            assert np.array_equal(arrays[name], given[name])
    assert sorted(np.bincount(arrays["split"])) == [12, 48, 60]
    assert (arrays["caption_image"][arrays["caption_choice"]] == np.arange(120)).all()
    image, caption = arrays["plan_image"], arrays["plan_caption"]
    assert np.array_equal(image, np.flatnonzero(arrays["split"] == 0))
    assert np.array_equal(arrays["caption_image"][caption] != image, arrays["plan_wrong"])
    assert arrays["plan_wrong"].sum() == round(0.4 * 42)
    assert arrays["trusted"].sum() == arrays["plan_trusted"].sum() == 18
    assert np.array_equal(arrays["trusted"][image], arrays["plan_trusted"])
    training = arrays["image"][image]
    assert arrays["cell_image_mean"] == pytest.approx(training.mean(), abs=1e-5)
    assert arrays["cell_image_scale"] == pytest.approx(training.std(), rel=1e-4)
    assert arrays["cell_text_mean"] == pytest.approx(arrays["text"][caption].mean(), abs=1e-5)
    header = json.loads(str(arrays[HEADER]))
    assert {
        "dataset": "small",
        "noise": 0.4,
        "protocol": "derangement",
        "trusted": 0.3,
        "data_seed": 0,
    }.items() <= header.items()
    (record,) = tiny("cca-itq", path, "--noise", "0.4", "--trusted", "0.3")
    assert header["plan"] == record["plan"]
    for name in ("plan_image", "plan_caption", "plan_wrong", "plan_trusted"):
        assert np.array_equal(arrays_of(record)[name], arrays[name])


def test_cell_as_key_and_value_pairs_means_the_same_as_options(features, export):
    path = features()
    by_options = export("--features", path, "--noise", "0.4", "--data-seed", "3", "--trusted", "0.1")
    by_pairs = export("--cell", f"features={path},noise=0.4,data-seed=3", "--cell", "trusted=0.1,method=chnr,bits=8")
    assert all(np.array_equal(by_options[name], by_pairs[name]) for name in by_options)


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("limit=-5", "--limit -5: expected"),
        ("limit=1.5", "--cell limit 1.5: expected whole numbers"),
        ("validation=much", "--cell validation much: expected numbers or comma lists such as 0.2,0.4."),
        ("drop-duplicates=yes", "--cell drop_duplicates=yes: expected true or false."),
        ("skip_broken=1", "--cell skip_broken=1: expected true or false."),
        ("noise=much", "--noise much: expected numbers or comma lists such as 0.2,0.4."),
        ("hasher=chnr", "unknown key of --cell 'hasher'"),
        ("epochs=3", "unknown key of --cell 'epochs'"),
        ("precision=bf16", "unknown key of --cell 'precision'"),
    ],
)
def test_pairs_that_say_nothing_of_the_data_are_refused_in_a_sentence(harness, features, tmp_path, pair, said):
    result = harness("data", "export", "--cell", f"features={features()},{pair}", "-o", tmp_path / "x.npz")
    assert result.code == 2
    assert said in result.err
    assert not (tmp_path / "x.npz").exists()


@pytest.mark.parametrize("name_of", ["hash", "folder"])
def test_cell_of_a_stored_run(features, export, tiny, results, name_of, arrays_of):
    (record,) = tiny("chnr", features(), "--noise", "0.4", "--data-seed", "2", "--trusted", "0.3", "--limit", "80")
    name = record["hash"][:8] if name_of == "hash" else next(results.rglob("record.json")).parent
    arrays = export("--cell", name, "--results", results)
    assert np.array_equal(arrays["plan_caption"], arrays_of(record)["plan_caption"])
    assert json.loads(str(arrays[HEADER]))["plan"] == record["plan"]


def test_option_that_contradicts_the_run_named_as_cell_is_refused(harness, features, tiny, results, tmp_path):
    # once: options beside --cell RUN are silently ignored.
    (record,) = tiny("cca-itq", features(), "--noise", "0.4")
    words = ("data", "export", "--cell", record["hash"], "--results", results, "-o", tmp_path / "x.npz")
    result = harness(*words, "--noise", "0.2")
    assert result.code == 2
    assert "--noise" in result.err


def test_cell_of_a_run_with_a_plugin_file_needs_no_further_option(harness, features, moody, results, tmp_path):
    run = harness("run", "--method", "moody", "--features", features(), "--plugin", moody, "--bits", "8")
    assert run.code == 0
    cell_hash = next(results.rglob("record.json")).parent.name
    result = harness("data", "export", "--cell", cell_hash, "--results", results, "-o", tmp_path / "x.npz")
    assert result.code == 0, result.err


def test_export_of_a_cell_with_an_imported_plan_holds_that_plan(features, export, tmp_path, tiny):
    path = features()
    first = export("--features", path, "--noise", "0.4", name="first.npz")
    second = export("--features", path, "--noise-plan", tmp_path / "first.npz", name="second.npz")
    assert all(np.array_equal(first[name], second[name]) for name in first if name.startswith("plan_"))


def test_suffix_is_added_and_an_older_file_replaced(harness, features, tmp_path):
    path = features()
    for noise in ("0.2", "0.4"):
        assert harness("data", "export", "--features", path, "--noise", noise, "-o", tmp_path / "cell").code == 0
    with np.load(tmp_path / "cell.npz") as opened:
        assert opened["plan_wrong"].sum() == 19
    assert sorted(file.name for file in tmp_path.iterdir()) == ["cell.npz", "small.npz"]


def test_export_without_its_plan_does_not_run_on_other_noise_unnoticed(harness, features, export, tmp_path):
    # once: `run --features cell.npz` without --noise-plan runs at noise 0 and says nothing of the plan in the file.
    export("--features", features(), "--noise", "0.4")
    result = harness("run", "--method", "random-codes", "--features", tmp_path / "cell.npz")
    assert "noise plan" in result.err or "--noise-plan" in result.err


def test_interrupted_export_leaves_the_old_file(harness, features, export, tmp_path, monkeypatch):
    before = export("--features", features(), "--noise", "0.4")

    def full(*arguments, **settings):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numpy.savez", full)
    result = harness(
        "data", "export", "--features", tmp_path / "small.npz", "--noise", "0.2", "-o", tmp_path / "cell.npz"
    )
    assert result.code == 2
    assert "No space left on device" in result.err
    with np.load(tmp_path / "cell.npz") as opened:
        assert np.array_equal(opened["plan_wrong"], before["plan_wrong"])
    assert not list(tmp_path.glob(".cell*"))


def test_two_numbers_where_a_cell_has_one_are_refused(harness, tmp_path):
    result = harness("data", "export", "--cell", "dataset=toy,validation=0.1,0.2", "-o", tmp_path / "cell.npz")
    assert result.code == 2
    assert "--cell validation=0.1,0.2: expected one number." in result.err
