"""What the cache must never serve: features of anything that has changed. And what it need not read again."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import harness.data.content_hashes as content_hashes
from harness.data import decoding, loading
from harness.data.broken import without_broken
from harness.data.cache import cache_folder, uses_noted
from harness.data.content_hashes import REHASH
from harness.data.features import augment, extraction, text_views
from harness.data.features.extraction import BackboneChoice, encode_captions, extract, fingerprint_below
from harness.data.features.views import ImageViews, TextViews
from harness.data.features.weights import revision_of
from harness.data.raw import ImageFiles, RawDataset
from harness.plugin.declarations import BackboneDeclaration
from harness.plugin.parameters import Parameter
from harness.runtime.context import RunContext

N = 20
TRAINING = np.arange(8)
RUN = RunContext(16, torch.device("cpu"))
PRECISION = Parameter("precision", "fp32", "Number format.", ("fp32", "bf16"), unsaid=True)


class Mean:
    """An image backbone: the mean of each channel, times what its weights say."""

    def __init__(self, weights="", **parameters):
        self.factor = float(Path(weights).read_text()) if weights else 1.0

    def encode(self, raw, run):
        return np.array([np.asarray(image, dtype=np.float32).mean(axis=(0, 1)) * self.factor for image in raw])


class Length:
    """A text backbone."""

    def encode(self, raw, run):
        return np.array([[len(text), sum(map(ord, text))] for text in raw], dtype=np.float32)


@pytest.fixture(autouse=True)
def settled(tmp_path, monkeypatch):
    """Own cache; files count as settled at once, as those of yesterday do."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(content_hashes, "SETTLED", -1)


def write(path: Path, colour: int) -> None:
    Image.new("RGB", (8, 8), (colour, 10, 10)).save(path, "BMP")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "imgs").mkdir()
    for number in range(N):
        write(tmp_path / "imgs" / f"{number}.bmp", number)
    return tmp_path / "imgs"


def raw_of(folder, captions=None):
    """The data set as a new process would read it."""
    return RawDataset(
        name="twenty",
        images=ImageFiles([folder / f"{number}.bmp" for number in range(N)]),
        captions=captions or [f"caption {number}" for number in range(N)],
        caption_image=np.arange(N),
        labels=np.zeros(N, dtype=np.int64),
        filenames=[f"{number}.bmp" for number in range(N)],
    )


def choice(target, modality="image", **facts):
    takes = "required" if facts.get("weights") else "none"
    declaration = BackboneDeclaration(
        "backbone", "mine", target=target, modality=modality, weights=takes, declared_parameters=(PRECISION,)
    )
    return BackboneChoice("mine", declaration, **facts)


def features(folder, image=None, run=RUN, captions=None, text=None):
    """Features, and which modalities were computed."""
    with uses_noted() as uses:
        table = extract(raw_of(folder, captions), TRAINING, image or choice(Mean), text or choice(Length, "text"), run)
    return table, {use.about["modality"] for use in uses if not use.hit}


def test_the_second_time_nothing_is_computed(folder):
    first, computed = features(folder)
    assert computed == {"image", "text"}
    second, computed = features(folder)
    assert computed == set()
    np.testing.assert_array_equal(first.image, second.image)


def test_the_second_time_no_image_is_opened(folder):
    features(folder)
    opened = []

    def listen(event, arguments):
        if event == "open" and str(arguments[0]).startswith(str(folder)):
            opened.append(arguments[0])

    sys.addaudithook(listen)  # it cannot be removed, and hears nothing once the folder is gone
    features(folder)
    assert opened == []
    (folder / "3.bmp").read_bytes()
    assert len(opened) == 1  # it does listen


def test_images_that_changed_a_moment_ago_are_read_again(folder, monkeypatch):
    monkeypatch.setattr(content_hashes, "SETTLED", 2_000_000_000)
    features(folder)
    assert not list((cache_folder() / "content-hashes").glob("*.json"))


@pytest.mark.parametrize("how", ["in place", "replaced"])
def test_a_changed_image_of_the_same_name_size_and_date_is_seen(folder, how):
    before, _ = features(folder)
    path = folder / "3.bmp"
    status = path.stat()
    if how == "in place":
        with path.open("r+b") as opened:
            opened.seek(-1, 2)
            opened.write(b"\xc8")
    else:
        write(folder / "new", 200)
        (folder / "new").replace(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    after_status = path.stat()
    assert (after_status.st_size, after_status.st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    after, computed = features(folder)
    assert computed == {"image"}
    assert (before.image != after.image).any(axis=1).nonzero()[0].tolist() == [3]


def test_rehash_corrects_a_memory_that_is_wrong(folder, monkeypatch):
    before, _ = features(folder)
    (memory,) = (cache_folder() / "content-hashes").glob("*.json")
    remembered = json.loads(memory.read_text())
    name = str(folder / "3.bmp")
    write(folder / "3.bmp", 200)
    status = (folder / "3.bmp").stat()
    remembered[name][:5] = [
        status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_dev, status.st_ino
    ]  # fmt: skip
    memory.write_text(json.dumps(remembered))  # as on a file system whose times say nothing
    assert features(folder)[1] == set()
    monkeypatch.setenv(REHASH, "1")
    after, computed = features(folder)
    assert computed == {"image"}
    assert (before.image != after.image).any()
    monkeypatch.delenv(REHASH)
    np.testing.assert_array_equal(features(folder)[0].image, after.image)


def test_images_in_another_order_are_other_images(folder):
    features(folder)
    (folder / "1.bmp").rename(folder / "x")
    (folder / "2.bmp").rename(folder / "1.bmp")
    (folder / "x").rename(folder / "2.bmp")
    table, computed = features(folder)
    assert computed == {"image"}
    assert table.image[1, 0] == 2


def test_a_changed_caption_is_seen(folder):
    features(folder)
    captions = [f"caption {number}" for number in range(N - 1)] + ["noitpac 19"]
    table, computed = features(folder, captions=captions)
    assert computed == {"text"}
    assert table.text[-1, 1] == sum(map(ord, "noitpac 19"))


def test_changed_weights_of_the_same_name_size_and_date_are_seen(folder, tmp_path):
    weights = tmp_path / "w"
    weights.write_text("2")
    image = choice(Mean, weights=str(weights))
    before, _ = features(folder, image)
    status = weights.stat()
    weights.write_text("3")
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    after, computed = features(folder, choice(Mean, weights=str(weights)))
    assert computed == {"image"}
    np.testing.assert_allclose(after.image, before.image * 1.5)


def test_files_below_a_weights_folder_count(tmp_path):
    (tmp_path / "model" / "1_Pooling").mkdir(parents=True)
    (tmp_path / "model" / "weights").write_text("2")
    assert fingerprint_below(str(tmp_path / "model")) == ""
    seen = set()
    for content in ("mean", "clss"):
        (tmp_path / "model" / "1_Pooling" / "config.json").write_text(content)
        seen.add(fingerprint_below(str(tmp_path / "model")))
    (tmp_path / "model" / "1_Pooling").rename(tmp_path / "model" / "2_Pooling")
    seen.add(fingerprint_below(str(tmp_path / "model")))
    assert len(seen) == 3
    assert fingerprint_below(str(tmp_path / "model" / "weights")) == fingerprint_below("hub/name") == ""


CHANGES = {
    "option": ({}, {"parameters": {"size": 64}}),
    "precision": ({"parameters": {"precision": "fp32"}}, {"parameters": {"precision": "bf16"}}),
    "code": ({}, {"source": "edited"}),
    "name": ({}, {"name": "other"}),
    "recipe": ({}, {"recipe": "released"}),
    "no views": ({}, {"views": ImageViews(0)}),
    "more views": ({}, {"views": ImageViews(2)}),
    "other views": ({}, {"views": ImageViews(1, "randaugment")}),
    "seed of views": ({"views": ImageViews(2, "duch", 0)}, {"views": ImageViews(2, "duch", 1)}),
    "seed of other views": (
        {"views": ImageViews(1, "randaugment", 0)}, {"views": ImageViews(1, "randaugment", 1)}
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_another_choice_of_the_image_backbone_is_seen(folder, what):
    before, after = (replace(choice(Mean), **facts) for facts in CHANGES[what])
    assert features(folder, before)[1] == {"image", "text"}
    assert features(folder, after)[1] == {"image"}
    assert features(folder, before)[1] == features(folder, after)[1] == set()


TEXT_CHANGES = {
    "views": (TextViews(0), TextViews(1)),
    "more views": (TextViews(1), TextViews(2)),
    "how": (TextViews(1), TextViews(1, "synonyms")),
    "seed": (TextViews(1, "dropout", 0), TextViews(1, "dropout", 1)),
    "seed of synonyms": (TextViews(1, "synonyms", 0), TextViews(1, "synonyms", 1)),
}


@pytest.mark.parametrize("what", TEXT_CHANGES)
def test_other_views_of_captions_are_seen(folder, what):
    before, after = (replace(choice(Length, "text"), views=views) for views in TEXT_CHANGES[what])
    assert features(folder, text=before)[1] == {"image", "text"}
    assert features(folder, text=after)[1] == {"text"}
    assert features(folder, text=before)[1] == features(folder, text=after)[1] == set()


def test_a_changed_list_of_synonyms_of_the_same_name_is_seen(folder, tmp_path):
    words = tmp_path / "words.txt"
    for number, content in enumerate(("caption, title\n", "caption, heading\n")):
        words.write_text(content)
        text = replace(choice(Length, "text"), views=TextViews(1, "synonyms", 0, str(words)))
        assert "text" in features(folder, text=text)[1], number


@pytest.mark.parametrize("constant", ["DROPPED", "REPLACED"])
def test_another_strength_of_text_views_is_seen(folder, monkeypatch, constant):
    text = replace(choice(Length, "text"), views=TextViews(1, "dropout" if constant == "DROPPED" else "synonyms"))
    features(folder, text=text)
    monkeypatch.setattr(text_views, constant, 0.5)
    assert features(folder, text=text)[1] == {"text"}


def test_another_decoder_is_seen(folder, monkeypatch):
    features(folder)
    monkeypatch.setattr(decoding, "VERSION", decoding.VERSION + 1)
    assert features(folder)[1] == {"image"}


def test_another_way_of_making_batches_is_seen(folder, monkeypatch):
    features(folder)
    monkeypatch.setattr(loading, "VERSION", loading.VERSION + 1)
    assert features(folder)[1] == {"image", "text"}


def test_whether_a_backbone_is_fitted_is_told_by_its_entry_without_loading_it(folder, monkeypatch):
    class Fitted(Length):
        def fit(self, training, run):
            self.seen = list(training)

    text = choice(Fitted, "text", source="abc")
    features(folder, text=text)
    monkeypatch.setattr(BackboneDeclaration, "load", lambda self: pytest.fail("loaded"))
    assert features(folder, text=text)[1] == set()


def test_features_without_broken_images_are_others(folder):
    features(folder)
    (folder / "3.bmp").write_bytes(b"")
    raw, (note,) = without_broken(raw_of(folder))
    assert "3.bmp" in note
    with uses_noted() as uses:
        table = extract(raw, TRAINING, choice(Mean), choice(Length, "text"), RUN)
    assert [use.hit for use in uses] == [False, False]
    assert len(table.image) == len(table.text) == N - 1


def test_captions_that_a_protocol_edited_are_kept_on_their_own(folder):
    features(folder)
    for captions, found in ((["a"], False), (["b"], False), (["a"], True)):
        with uses_noted() as uses:
            encoded = encode_captions(raw_of(folder), TRAINING, choice(Length, "text"), captions, RUN)
        assert [use.hit for use in uses] == [found]
        assert encoded.tolist() == [[1, ord(captions[0])]]
    assert features(folder)[1] == set()


class FittedMean(Mean):
    """It takes the mean of its training images away."""

    def fit(self, raw, run):
        self.mean = super().encode(raw, run).mean(axis=0)

    def encode(self, raw, run):
        return super().encode(raw, run) - self.mean


def test_other_training_images_are_seen_by_backbones_that_are_fitted(folder):
    for image, computed in ((choice(FittedMean), {"image"}), (choice(Mean), set())):
        for training in (TRAINING, TRAINING + 1):
            with uses_noted() as uses:
                extract(raw_of(folder), training, image, choice(Length, "text"), RUN)
        assert {use.about["modality"] for use in uses if not use.hit} == computed


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty cache of huggingface_hub; gives a function that puts a snapshot of ``org/net`` there."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))

    def put(commit):
        repository = tmp_path / "hub" / "models--org--net"
        (repository / "refs").mkdir(parents=True, exist_ok=True)
        (repository / "refs" / "main").write_text(commit)
        (repository / "snapshots" / commit).mkdir(parents=True, exist_ok=True)

    return put


def from_hub(download=lambda: None):
    """A text backbone that loads ``org/net``."""

    class Net(Length):
        def __init__(self, weights):
            download()

    return choice(Net, "text", weights="org/net")


def text_key():
    """The key of the only entry that has weights of a hub."""
    stored = [json.loads(path.read_text()) for path in (cache_folder() / "features").glob("*/key.json")]
    (key,) = [entry["key"] for entry in stored if entry["key"]["weights"] == "hub:org/net"]
    return key


def test_another_snapshot_of_weights_from_a_hub_is_seen(folder, hub):
    hub("a" * 40)
    features(folder, text=from_hub())
    assert features(folder, text=from_hub())[1] == set()
    hub("b" * 40)
    assert features(folder, text=from_hub())[1] == {"text"}


@pytest.mark.parametrize("there", ["", "a" * 40], ids=["first download", "update"])
def test_weights_that_are_downloaded_meanwhile_are_kept_under_the_snapshot_that_they_are(folder, hub, there):
    if there:
        hub(there)
    text = from_hub(download=lambda: hub("b" * 40))
    assert "text" in features(folder, text=text)[1]
    assert text_key()["revision"] == "b" * 40
    assert features(folder, text=from_hub())[1] == set()
    if there:
        hub(there)
        assert features(folder, text=from_hub())[1] == {"text"}


def test_a_snapshot_that_is_not_there_has_no_revision(tmp_path, hub):
    assert revision_of("org/net") == ""
    hub("a" * 40)
    assert revision_of("org/net") == "a" * 40
    (tmp_path / "hub" / "models--org--net" / "snapshots" / ("a" * 40)).rmdir()
    assert revision_of("org/net") == revision_of("net") == ""


@pytest.mark.parametrize("library", extraction.LIBRARIES)
def test_another_version_of_any_library_is_seen(folder, monkeypatch, library):
    features(folder)
    version = extraction.version_of
    monkeypatch.setattr(extraction, "version_of", lambda name: "0.0" if name == library else version(name))
    assert features(folder)[1] == {"image", "text"}


def test_another_kind_of_device_is_seen(folder):
    features(folder)
    assert features(folder, run=RunContext(16, torch.device("meta")))[1] == {"image", "text"}


@pytest.mark.parametrize(("constant", "kind"), [("RECIPE", "duch"), ("RAND_RECIPE", "randaugment")])
def test_another_recipe_of_augmented_views_is_seen(folder, monkeypatch, constant, kind):
    image = replace(choice(Mean), views=ImageViews(1, kind))
    features(folder, image)
    monkeypatch.setattr(augment, constant, "another")
    assert features(folder, image)[1] == {"image"}


def test_entries_say_in_words_what_they_are(folder):
    features(folder)
    stored = [json.loads(path.read_text()) for path in (cache_folder() / "features").glob("*/key.json")]
    assert {entry["about"]["modality"] for entry in stored} == {"image", "text"}
    for entry in stored:
        assert entry["about"]["dataset"] == "twenty"
        assert {"name", "weights", "parameters", "source", "content", "libraries", "device"} <= set(entry["key"])
