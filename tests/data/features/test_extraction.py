"""From raw images and captions to features, through backbones and the cache."""

from __future__ import annotations

import logging
import os
import re
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from harness.data.features.cache_entries import cache_entries, remove_entry
from harness.data.features.extraction import BackboneChoice, extract, fingerprint_of_weights
from harness.data.features.views import ImageViews, TextViews
from harness.data.raw import RawDataset
from harness.errors import HarnessError
from harness.plugin.declarations import BackboneDeclaration
from harness.runtime.context import RunContext

N = 8
CAPTION_IMAGE = np.array([0, 0, 1, 2, 2, 2, 3, 4, 5, 6, 7])
TRAINING = np.array([1, 2, 5])
RUN = RunContext(16, torch.device("cpu"))


@dataclass(frozen=True)
class MemoryImages:
    """Images of one colour with a bright left half, so that an augmented copy differs."""

    colours: tuple[int, ...]

    def __len__(self):
        return len(self.colours)

    def __getitem__(self, index):
        pixels = np.full((20, 20, 3), self.colours[index], dtype=np.uint8)
        pixels[:, :10] += 100
        return Image.fromarray(pixels)

    def fingerprint(self, index):
        return str(self.colours[index])


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def raw():
    return RawDataset(
        name="raw",
        images=MemoryImages(tuple(range(10, 10 + N))),
        captions=[f"caption {row}" for row in range(len(CAPTION_IMAGE))],
        caption_image=CAPTION_IMAGE,
        labels=np.arange(N) % 3,
        filenames=[f"{i}.tif" for i in range(N)],
    )


class PixelMean:
    """An image backbone without weights: mean and deviation of the pixels."""

    calls: ClassVar[list[int]] = []

    def encode(self, raw, run):
        self.calls.append(len(raw))
        pixels = [np.asarray(image, dtype=np.float64) for image in raw]
        return np.array([[image.mean(), image.std()] for image in pixels])


class Vocabulary:
    """A text backbone that is fitted: how often each fitted string occurs, and the length of the string."""

    calls: ClassVar[list[list[str]]] = []

    def __init__(self, *, scale=1.0):
        self.scale = scale

    def fit(self, training, run):
        self.calls.append(list(training))
        self.known = list(training)

    def encode(self, raw, run):
        return np.array([[self.known.count(text), len(text) * self.scale] for text in raw], dtype=np.float32)


class Lengths:
    """A text backbone that is not fitted."""

    calls: ClassVar[list[int]] = []

    def encode(self, raw, run):
        self.calls.append(len(raw))
        return np.array([[len(text), 1] for text in raw])


@pytest.fixture(autouse=True)
def fresh_counts():
    for backbone in (PixelMean, Vocabulary, Lengths):
        backbone.calls.clear()


def choice(target, modality="image", name="mine", takes_weights="none", models=False, **facts):
    declaration = BackboneDeclaration(
        "backbone", name, target=target, modality=modality, weights=takes_weights, models=models
    )
    return BackboneChoice(name, declaration, **facts)


IMAGE = choice(PixelMean)
TEXT = choice(Vocabulary, "text", parameters={"scale": 1.0})


def returns(output):
    """A backbone class whose ``encode`` returns ``output(number of items)``."""

    class Fixed:
        def encode(self, raw, run):
            return output(len(raw))

    return Fixed


# --- what comes out ---


def test_features_stand_in_the_order_of_images_and_captions(raw):
    table = extract(raw, TRAINING, IMAGE, choice(Lengths, "text"), RUN)
    assert table.image.dtype == table.text.dtype == np.float32
    np.testing.assert_array_equal(table.image[:, 0], np.arange(10, 10 + N) + 50)
    np.testing.assert_array_equal(table.text[:, 0], [len(text) for text in raw.captions])
    np.testing.assert_array_equal(table.caption_image, CAPTION_IMAGE)
    np.testing.assert_array_equal(table.labels, raw.labels)
    assert (table.name, table.captions, table.filenames) == ("raw", raw.captions, raw.filenames)
    assert table.fingerprint == raw.fingerprint


def test_images_have_one_augmented_view_and_captions_none(raw):
    table = extract(raw, TRAINING, IMAGE, choice(Lengths, "text"), RUN)
    (view,) = table.image_views
    assert view.shape == table.image.shape
    assert (np.abs(view - table.image).max(axis=1) > 0.1).all()
    assert table.text_views == ()


def test_the_augmented_view_is_the_same_every_time(raw, tmp_path, monkeypatch):
    first = extract(raw, TRAINING, IMAGE, TEXT, RUN)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "another"))
    again = extract(raw, TRAINING[:2], IMAGE, TEXT, RunContext(64, torch.device("cpu"), seed=9))
    np.testing.assert_array_equal(first.image_views[0], again.image_views[0])


# --- fitting ---


def test_a_fitted_text_backbone_sees_the_captions_of_training_images_alone(raw):
    table = extract(raw, TRAINING, IMAGE, TEXT, RUN)
    seen = [f"caption {row}" for row in (2, 3, 4, 5, 8)]
    assert Vocabulary.calls == [seen]
    np.testing.assert_array_equal(table.text[:, 0], [text in seen for text in raw.captions])


def test_a_fitted_image_backbone_sees_training_images_alone(raw):
    seen = []

    class Fitted(PixelMean):
        def fit(self, training, run):
            seen.extend(np.asarray(image)[0, -1, 0] for image in training)

    extract(raw, TRAINING, choice(Fitted), TEXT, RUN)
    assert seen == [11, 12, 15]


def test_texts_of_queries_and_database_do_not_move_the_training_features(raw):
    before = extract(raw, TRAINING, IMAGE, TEXT, RUN)
    of_training = np.isin(CAPTION_IMAGE, TRAINING)
    captions = [text if kept else "something else" for text, kept in zip(raw.captions, of_training, strict=True)]
    after = extract(replace(raw, captions=captions), TRAINING, IMAGE, TEXT, RUN)
    np.testing.assert_array_equal(before.text[of_training], after.text[of_training])


# --- cache ---


def test_features_are_computed_once(raw):
    text = choice(Lengths, "text")
    first, second = (extract(raw, TRAINING, IMAGE, text, RUN) for _ in range(2))
    assert PixelMean.calls == [2 * N]  # the images and their augmented copies, in one pass
    assert Lengths.calls == [len(CAPTION_IMAGE)]
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.image_views[0], second.image_views[0])
    np.testing.assert_array_equal(first.text, second.text)


def test_another_split_fits_anew_and_leaves_pretrained_features_cached(raw):
    extract(raw, TRAINING, IMAGE, TEXT, RUN)
    extract(raw, np.array([1, 2, 6]), IMAGE, TEXT, RUN)
    assert len(Vocabulary.calls) == 2
    assert len(PixelMean.calls) == 1


@pytest.mark.parametrize(
    "changed",
    [{"name": "other"}, {"parameters": {"scale": 2.0}}, {"source": "edited"}],
    ids=["name", "parameter", "source code"],
)
def test_whatever_determines_a_backbone_computes_its_features_anew(raw, changed):
    extract(raw, TRAINING, IMAGE, TEXT, RUN)
    table = extract(raw, TRAINING, IMAGE, replace(TEXT, **changed), RUN)
    assert len(Vocabulary.calls) == 2
    assert len(PixelMean.calls) == 1
    scale = changed.get("parameters", TEXT.parameters)["scale"]
    assert table.text[0, 1] == len("caption 0") * scale


def test_other_weights_of_the_same_name_compute_features_anew(raw, tmp_path):
    class Weighted(PixelMean):
        def __init__(self, *, weights):
            self.factor = float(Path(weights).read_text())

        def encode(self, raw, run):
            return super().encode(raw, run) * self.factor

    found = []
    for factor in ("1", "3"):
        (tmp_path / "weights").write_text(factor)
        image = choice(Weighted, takes_weights="required", weights=str(tmp_path / "weights"))
        found.append(extract(raw, TRAINING, image, TEXT, RUN).image)
    np.testing.assert_allclose(found[1], found[0] * 3, rtol=1e-6)


def test_a_changed_caption_or_image_computes_its_own_modality_anew(raw):
    text = choice(Lengths, "text")
    extract(raw, TRAINING, IMAGE, text, RUN)
    extract(replace(raw, captions=[*raw.captions[:-1], "new"]), TRAINING, IMAGE, text, RUN)
    assert (len(PixelMean.calls), len(Lengths.calls)) == (1, 2)
    extract(replace(raw, images=MemoryImages(tuple(range(30, 30 + N)))), TRAINING, IMAGE, text, RUN)
    assert (len(PixelMean.calls), len(Lengths.calls)) == (2, 2)


# --- wrong outputs ---

WRONG = {
    "too few rows": lambda n: np.ones((n - 1, 3)),
    "too many rows": lambda n: np.ones((n + 1, 3)),
    "vector": lambda n: np.ones(n),
    "cube": lambda n: np.ones((n, 2, 2)),
    "NaN": lambda n: np.full((n, 2), np.nan),
    "infinite": lambda n: np.where(np.arange(2 * n).reshape(n, 2) == 3, np.inf, 1.0),
    "number": lambda n: 3.0,
}


@pytest.mark.parametrize("output", WRONG)
@pytest.mark.parametrize("modality", ["image", "text"])
def test_features_of_a_wrong_shape_are_an_error_that_names_the_backbone(raw, output, modality):
    bad = choice(returns(WRONG[output]), modality, name="bad-backbone")
    image, text = (bad, TEXT) if modality == "image" else (IMAGE, bad)
    rows = 2 * N if modality == "image" else len(CAPTION_IMAGE)
    with pytest.raises(HarnessError, match=rf"backbone 'bad-backbone' must return \({rows}, d\) finite"):
        extract(raw, TRAINING, image, text, RUN)


@pytest.mark.parametrize(
    "output",
    [lambda n: np.ones((n, 0)), lambda n: None, lambda n: [["a"]] * n, lambda n: [[1, 2]] * (n - 1) + [[1]]],
    ids=["no columns", "nothing", "strings", "ragged"],
)
def test_outputs_that_are_no_features_at_all_are_an_error_that_names_the_backbone(raw, output):
    # once: zero columns are accepted; strings and ragged lists raise ValueError.
    with pytest.raises(HarnessError, match="bad-backbone"):
        extract(raw, TRAINING, choice(returns(output), name="bad-backbone"), TEXT, RUN)


def test_an_augmented_view_of_another_width_is_an_error_that_names_the_backbone(raw):
    # once: widths of original and view are not compared.
    widths = iter((3, 4))
    bad = choice(returns(lambda n: np.ones((n, next(widths)))), name="bad-backbone", recipe="released")
    with pytest.raises(HarnessError, match="bad-backbone"):
        extract(raw, TRAINING, bad, TEXT, RUN)


def test_features_that_were_refused_are_not_kept_in_the_cache(raw):
    # once: the check comes after the cache, so a backbone that failed once (by a hiccup, say) fails for ever.
    outputs = iter((WRONG["NaN"], lambda n: np.ones((n, 3)), lambda n: np.ones((n, 3))))
    flaky = choice(returns(lambda n: next(outputs)(n)), name="flaky")
    with pytest.raises(HarnessError, match="flaky"):
        extract(raw, TRAINING, flaky, TEXT, RUN)
    assert extract(raw, TRAINING, flaky, TEXT, RUN).image.shape == (N, 3)


# --- features in parts ---


class InParts:
    """Yields its features in parts, last rows first."""

    def encode(self, raw, run):
        rows = np.arange(len(raw))
        values = np.array([np.asarray(image).mean() for image in raw])
        for part in (rows[5:], rows[:5]):
            yield part, np.stack([values[part], part], axis=1)


def test_features_in_parts_equal_whole_ones_and_lie_in_the_cache(raw):
    table = extract(raw, TRAINING, choice(InParts), choice(Lengths, "text"), RUN)
    np.testing.assert_array_equal(table.image[:, 0], np.arange(10, 10 + N) + 50)
    np.testing.assert_array_equal(table.image_views[0][:, 1], 2 * np.arange(N) + 1)
    assert isinstance(table.image, np.memmap)
    assert table.image.dtype == np.float32


WRONG_PARTS = {
    "rows missing": [(np.arange(2 * N - 1), np.ones((2 * N - 1, 2)))],
    "nothing": [],
    "other length": [(np.arange(N), np.ones((N - 1, 2)))],
    "other width": [(np.arange(4), np.ones((4, 2))), (np.arange(4, N), np.ones((N - 4, 3)))],
    "not finite": [(np.arange(N), np.full((N, 2), np.nan))],
    "vector": [(np.arange(N), np.ones(N))],
    "words": [(np.arange(N), [["a"]] * N)],
}


@pytest.mark.parametrize("parts", WRONG_PARTS)
def test_wrong_parts_are_an_error_that_names_the_backbone_and_are_not_cached(raw, parts, tmp_path):
    bad = choice(returns(lambda n: iter(WRONG_PARTS[parts])), name="bad-backbone")
    with pytest.raises(HarnessError, match="bad-backbone"):
        extract(raw, TRAINING, bad, TEXT, RUN)
    assert not list((tmp_path / "cache" / "features").glob("*/key.json"))


# --- a build that was stopped ---


class Batches:
    """Yields two items at a time; something may happen before a batch."""

    asked: ClassVar[list[int]] = []
    before_batch: ClassVar[dict[int, object]] = {}

    def encode(self, raw, run):
        self.asked.append(len(raw))
        for at in range(0, len(raw), 2):
            self.before_batch.get(at, lambda: None)()
            rows = np.arange(at, min(at + 2, len(raw)))
            yield rows, np.array([[np.asarray(raw[row]).mean(), np.asarray(raw[row]).std()] for row in rows])


@pytest.fixture
def batches(monkeypatch):
    """The backbone, with notes after every batch."""
    monkeypatch.setattr(Batches, "asked", [])
    monkeypatch.setattr(Batches, "before_batch", {})
    monkeypatch.setattr("harness.data.features.one_pass.NOTED_SECONDS", -1)
    return Batches


def begun(tmp_path):
    return list((tmp_path / "cache" / "features").glob(".*"))


def undisturbed(raw, monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        patch.setenv("HARNESS_CACHE", str(tmp_path / "another"))
        return extract(raw, TRAINING, choice(Batches), choice(Lengths, "text"), RUN)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a copy of this process")
@pytest.mark.filterwarnings("ignore:.*fork.*")
def test_a_build_that_was_killed_goes_on_where_it_was(raw, batches, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("harness"), "propagate", True)
    expected = undisturbed(raw, monkeypatch, tmp_path)
    child = os.fork()
    if not child:
        Batches.before_batch[10] = lambda: os.kill(os.getpid(), signal.SIGKILL)
        extract(raw, TRAINING, choice(Batches), choice(Lengths, "text"), RUN)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert len(begun(tmp_path)) == 1
    batches.asked.clear()
    with caplog.at_level(logging.WARNING):
        table = extract(raw, TRAINING, choice(Batches), choice(Lengths, "text"), RUN)
    assert batches.asked == [2 * N - 10]
    np.testing.assert_array_equal(table.image, expected.image)
    np.testing.assert_array_equal(table.image_views[0], expected.image_views[0])
    assert "5 of 8 are there" in caplog.text
    assert begun(tmp_path) == []
    assert not list((tmp_path / "cache" / "features").glob("*/filled.npy"))


def stopped(raw, error, at=6):
    def stop():
        raise error

    Batches.before_batch = {at: stop}
    with pytest.raises(type(error)):
        extract(raw, TRAINING, choice(Batches), choice(Lengths, "text"), RUN)
    Batches.before_batch = {}
    Batches.asked.clear()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), HarnessError("image 3.tif cannot be decoded"), MemoryError()])
def test_a_build_that_ended_early_loses_nothing(raw, batches, tmp_path, monkeypatch, error):
    monkeypatch.setattr("harness.data.features.one_pass.NOTED_SECONDS", 1000)
    expected = undisturbed(raw, monkeypatch, tmp_path)
    stopped(raw, error)
    table = extract(raw, TRAINING, choice(Batches), choice(Lengths, "text"), RUN)
    assert batches.asked == [2 * N - 6]
    np.testing.assert_array_equal(table.image, expected.image)


@pytest.mark.parametrize("file", ["0.npy", "1.npy", "filled.npy"])
@pytest.mark.parametrize("content", [b"", b"garbage"], ids=["empty", "garbage"])
def test_damaged_parts_are_made_anew(raw, batches, tmp_path, monkeypatch, file, content):
    expected = undisturbed(raw, monkeypatch, tmp_path)
    stopped(raw, KeyboardInterrupt())
    (folder,) = begun(tmp_path)
    (folder / file).write_bytes(content)
    table = extract(raw, TRAINING, choice(Batches), choice(Lengths, "text"), RUN)
    assert batches.asked == [2 * N]
    np.testing.assert_array_equal(table.image_views[0], expected.image_views[0])


def test_another_recipe_begins_anew_and_takes_views_apart(raw, batches, tmp_path):
    """Its features may depend on who shares a batch."""
    image = choice(Batches, recipe="released")

    def stop():
        raise KeyboardInterrupt

    Batches.before_batch = {6: stop}
    with pytest.raises(KeyboardInterrupt):
        extract(raw, TRAINING, image, choice(Lengths, "text"), RUN)
    assert begun(tmp_path) == []
    Batches.before_batch = {}
    batches.asked.clear()
    extract(raw, TRAINING, image, choice(Lengths, "text"), RUN)
    assert batches.asked == [N, N]


def test_prune_takes_parts_that_nobody_went_on_with(raw, batches, tmp_path):
    stopped(raw, KeyboardInterrupt())
    (entry,) = [entry for entry in cache_entries() if entry.leftover]
    assert remove_entry(entry)
    assert begun(tmp_path) == []


def test_each_image_is_decoded_once_for_all_of_its_views(raw):
    decoded = []

    @dataclass(frozen=True)
    class Counted(MemoryImages):
        def __getitem__(self, index):
            decoded.append(index)
            return super().__getitem__(index)

    raw = replace(raw, images=Counted(raw.images.colours))
    extract(raw, TRAINING, choice(PixelMean, views=ImageViews(3, seed=1)), choice(Lengths, "text"), RUN)
    assert decoded == list(range(N))


def test_text_views_are_encoded_like_the_captions(raw):
    views = TextViews(2, "dropout", seed=1)
    table = extract(raw, TRAINING, IMAGE, choice(Lengths, "text", views=views), RUN)
    assert Lengths.calls == [3 * len(CAPTION_IMAGE)]
    for view, texts in zip(table.text_views, views.of(raw.captions, RUN), strict=True):
        np.testing.assert_array_equal(view[:, 0], [len(text) for text in texts])


def test_each_choice_of_views_and_each_seed_is_cached_apart(raw):
    text = choice(Lengths, "text")
    for views in (ImageViews(0), ImageViews(2, seed=1), ImageViews(2, seed=2), ImageViews(2, seed=1)):
        table = extract(raw, TRAINING, choice(PixelMean, views=views), text, RUN)
        assert len(table.image_views) == views.number
    assert PixelMean.calls == [N, 3 * N, 3 * N]


def test_a_recipe_and_a_modality_are_passed_on_and_told_apart(raw):
    class Told(PixelMean):
        def __init__(self, *, recipe, modality):
            self.told = (recipe, modality)

        def encode(self, raw, run):
            return np.full((len(raw), 1), float(self.told == ("released", "image")))

    declaration = BackboneDeclaration(
        "backbone", "mine", target=Told, declared_parameters=(), modality="both", recipes=("standard", "released")
    )
    found = [
        extract(raw, TRAINING, BackboneChoice("mine", declaration, modality="image", recipe=recipe), TEXT, RUN).image
        for recipe in ("standard", "released")
    ]
    assert [array[0, 0] for array in found] == [0, 1]


# --- weights ---


def test_the_fingerprint_of_a_weights_file_is_that_of_its_content(tmp_path):
    one, two = tmp_path / "one.safetensors", tmp_path / "two.pth"
    one.write_bytes(b"weights")
    two.write_bytes(b"weights")
    found = fingerprint_of_weights(str(one), "--image-weights")
    assert found.startswith("sha256:")
    assert found == fingerprint_of_weights(str(two), "--image-weights")
    two.write_bytes(b"weightt")
    assert found != fingerprint_of_weights(str(two), "--image-weights")


def test_the_fingerprint_of_a_weights_folder_covers_names_and_contents(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.bin").write_bytes(b"w")
    seen = [fingerprint_of_weights(str(folder), "--text-weights")]
    (folder / "model.bin").write_bytes(b"v")
    seen.append(fingerprint_of_weights(str(folder), "--text-weights"))
    (folder / "model.bin").rename(folder / "other.bin")
    seen.append(fingerprint_of_weights(str(folder), "--text-weights"))
    (folder / "vocab.txt").write_text("a")
    seen.append(fingerprint_of_weights(str(folder), "--text-weights"))
    assert len(set(seen)) == 4
    assert all(one.startswith("sha256:") for one in seen)


@pytest.mark.parametrize("name", ["bert-base-uncased", "sentence-transformers/all-MiniLM-L6-v2", "ViT-B-32"])
def test_a_name_that_is_no_path_is_a_hub_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert fingerprint_of_weights(name, "--text-weights") == f"hub:{name}"


@pytest.mark.parametrize(
    "name", ["/none/model", "./model", "../model.bin", "model.safetensors", "model.pth", "a/b/c", "~/a/b"]
)
def test_a_path_where_nothing_is_names_option_and_path(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HarnessError, match=rf"^--image-weights {re.escape(name)}: there is no such file or folder"):
        fingerprint_of_weights(name, "--image-weights")


def test_an_empty_folder_of_weights_is_refused(tmp_path):
    with pytest.raises(HarnessError, match=r"--image-weights .*empty"):
        fingerprint_of_weights(str(tmp_path), "--image-weights")


def test_a_backbone_says_library_or_nothing_where_no_weights_are_named():
    assert choice(PixelMean).weights_fingerprint == ""
    assert choice(PixelMean, takes_weights="optional").weights_fingerprint == "library"
    assert choice(PixelMean, takes_weights="required", weights="a/b").describe()["weights"] == "hub:a/b"


def test_a_backbone_gets_model_and_weights_only_if_it_declares_them():
    def kept(**arguments):
        return arguments

    assert choice(kept, parameters={"size": 3}).make() == {"size": 3}
    both = choice(kept, models=True, takes_weights="optional", model="resnet18", weights="w")
    assert both.make() == {"model": "resnet18", "weights": "w"}
