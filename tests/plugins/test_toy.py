"""The toy data set: the same for everyone, varied within a class, and described truly."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from harness_plugins.toy.captions import captions
from harness_plugins.toy.reader import read_toy
from harness_plugins.toy.scenes import CLASSES, draw_scene, render

from harness.data.features.sources import card_of
from harness.plugin.loading import load_registry

# Words that only captions of this class use, so that a caption that names it can be told.
TELLING = {
    "baseball diamond": ("baseball", "ball field", "infield"),
    "beach": ("beach", "seaside", "coast", "sand of"),
    "dense residential": ("dense residential", "crowded neighborhood", "densely"),
    "farmland": ("farmland", "farm field"),
    "forest": ("forest", "wood"),
    "golf course": ("golf", "bunker", "sand trap"),
    "harbor": ("harbor", "port", "marina", "dock", "boats"),
    "intersection": ("intersection", "crossroads", "crossing", "junction", "cross each other"),
    "parking lot": ("parking", "car park", "parked"),
    "river": ("river", "stream", "goes through"),
    "runway": ("runway", "airstrip", "airport", "plane"),
    "sparse residential": ("sparse residential", "country home", "quiet neighborhood"),
    "storage tanks": ("tank", "oil depot"),
    "tennis court": ("tennis", "court"),
}


@pytest.fixture(scope="module")
def card():
    return card_of(load_registry(environment={}), "toy")


@pytest.fixture(scope="module")
def raw(card):
    return read_toy(card, None)


def checksums(raw, rows) -> list[str]:
    return [hashlib.sha256(np.asarray(raw.images[row]).tobytes()).hexdigest() for row in rows]


def test_classes_images_and_captions_are_as_many_as_the_card_says(card, raw):
    assert len(CLASSES) == card.classes >= 12
    assert len(raw) == len(raw.filenames) == len(set(raw.filenames)) == card.images
    counts = Counter(raw.labels.tolist())
    assert set(counts) == set(range(card.classes))
    assert set(counts.values()) == {card.images // card.classes}
    assert raw.caption_image.tolist() == [image for image in range(len(raw)) for _ in range(card.captions_per_image)]
    assert len(raw.captions) == len(raw.caption_image)
    assert all(name.startswith(CLASSES[raw.labels[row]].replace(" ", "-")) for row, name in enumerate(raw.filenames))


def test_images_have_the_size_of_the_card(card, raw):
    width, height = (int(side) for side in card.image_size.split(" x "))
    for row in range(0, len(raw), 60):
        image = raw.images[row]
        assert (image.mode, image.size) == ("RGB", (width, height))
    assert render(draw_scene("river", 1), 40).size == (40, 40)


def test_same_seed_same_scene_same_captions_same_pixels():
    for name in CLASSES:
        one, again, other = draw_scene(name, 5), draw_scene(name, 5), draw_scene(name, 6)
        assert one == again
        assert captions(one) == captions(again)
        pixels = np.asarray(render(one))
        assert np.array_equal(pixels, np.asarray(render(again)))
        assert not np.array_equal(pixels, np.asarray(render(other)))


def test_nothing_depends_on_the_order_of_rendering_or_on_global_chance(raw):
    rows = [3, 200, 777]
    first = checksums(raw, rows)
    np.random.seed(4)  # noqa: NPY002 - the global state must not matter
    assert checksums(raw, rows[::-1]) == first[::-1]


def test_another_process_makes_the_same_pixels_captions_and_fingerprint(raw):
    rows = [0, 61, 130, 300, 555, 839]
    program = (
        "import hashlib, json, numpy as np\n"
        "from harness.data.features.sources import card_of\n"
        "from harness.plugin.loading import load_registry\n"
        "from harness_plugins.toy.reader import read_toy\n"
        "raw = read_toy(card_of(load_registry(environment={}), 'toy'), None)\n"
        f"sums = [hashlib.sha256(np.asarray(raw.images[row]).tobytes()).hexdigest() for row in {rows}]\n"
        "print(json.dumps([sums, raw.captions, raw.fingerprint]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": "123"},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [checksums(raw, rows), raw.captions, raw.fingerprint]


def test_every_image_of_the_data_set_is_another(raw):
    assert len({raw.images.fingerprint(row) for row in range(len(raw))}) == len(raw)
    rows = range(0, len(raw), 20)
    assert len(set(checksums(raw, rows))) == len(rows)


@pytest.mark.parametrize("label", range(len(CLASSES)), ids=CLASSES)
def test_pictures_of_a_class_differ_from_each_other(raw, label):
    pixels = np.stack([np.asarray(raw.images[row], dtype=float) for row in np.flatnonzero(raw.labels == label)[:8]])
    differences = [np.abs(one - other).mean() for at, one in enumerate(pixels) for other in pixels[:at]]
    assert min(differences) > 4, "levels of 256, mean over pixels"
    assert pixels.std(axis=(1, 2)).max(axis=1).min() > 4, "no picture is of one colour"


@pytest.mark.parametrize("label", range(len(CLASSES)), ids=CLASSES)
def test_attributes_vary_within_a_class(raw, label):
    scenes = [raw.images.scenes[row] for row in np.flatnonzero(raw.labels == label)]
    assert {scene.class_name for scene in scenes} == {CLASSES[label]}
    names = scenes[0].attributes.keys()
    assert all(scene.attributes.keys() == names for scene in scenes)
    varied = [name for name in names if len({scene.attributes[name] for scene in scenes}) > 1]
    assert len(varied) >= 3


def test_captions_of_an_image_are_five_distinct_sentences(raw):
    repeated = [row for row in range(len(raw)) if len(set(raw.captions[5 * row : 5 * row + 5])) < 5]
    first = [raw.captions[5 * row : 5 * row + 5] for row in repeated[:1]]
    assert not repeated, f"{len(repeated)} of {len(raw)} images repeat a caption, the first {first}"


def test_captions_are_whole_sentences_of_plain_words(raw):
    for text in raw.captions:
        assert text.endswith(" .")
        assert text[0].isupper()
        assert 5 <= len(text.removesuffix(" .").split()) <= 14, text
        assert text.removesuffix(" .").replace(" ", "").isalpha(), text


@pytest.mark.parametrize("label", range(len(CLASSES)), ids=CLASSES)
def test_captions_tell_their_class_and_never_another(raw, label):
    own = [raw.captions[at].lower() for at in np.flatnonzero(raw.labels[raw.caption_image] == label)]
    telling = [any(word in text for word in TELLING[CLASSES[label]]) for text in own]
    assert np.mean(telling) > 0.3
    per_image = np.array(telling).reshape(-1, 5).any(axis=1)
    assert per_image.mean() > 0.85
    for other, words in TELLING.items():
        if other == CLASSES[label]:
            continue
        wrong = [text for text in own for word in words if f" {word}" in text or text.startswith(word)]
        assert not wrong, f"{CLASSES[label]} is called {other}: {wrong[0]}"


@pytest.mark.parametrize(
    ("name", "attribute", "value", "said", "never"),
    [
        ("runway", "planes", 0, "no plane", "two planes"),
        ("runway", "planes", 2, "planes", "no plane"),
        ("tennis court", "courts", 4, "court", "two tennis courts"),
        ("storage tanks", "colour", "white", "white", "brown storage tanks"),
        ("beach", "crowd", "empty", "beach", "many people"),
        ("forest", "season", "lush", "green", "brown"),
    ],
)
def test_captions_say_only_what_the_scene_shows(name, attribute, value, said, never):
    texts = [
        text.lower()
        for seed in range(400)
        if (scene := draw_scene(name, seed)).attributes[attribute] == value and scene.attributes["near"] != "bare land"
        for text in captions(scene)
    ]
    assert len(texts) > 50
    assert any(said in text for text in texts)
    assert not [text for text in texts if never in text]


def test_about_one_caption_in_four_names_no_class(raw):
    named = [
        any(word in text.lower() for words in TELLING.values() for word in words)
        for text, label in zip(raw.captions, raw.labels[raw.caption_image], strict=True)
        if CLASSES[label] in ("harbor", "river", "parking lot", "forest")  # every clear caption of these is telling
    ]
    # 1200 captions: 0.25 +- 0.0125; five deviations.
    assert 1 - np.mean(named) == pytest.approx(0.25, abs=0.0625)


def test_fingerprint_of_an_image_needs_no_rendering_and_changes_with_the_scene(raw, card, monkeypatch):
    monkeypatch.setattr("harness_plugins.toy.reader.render", lambda scene: pytest.fail("rendered"))
    assert raw.images.fingerprint(0) != raw.images.fingerprint(1)
    assert raw.images.fingerprint(0) == read_toy(card, None).images.fingerprint(0)
