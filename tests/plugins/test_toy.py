"""The toy data set: the same for everyone, varied within a class, and described truly."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from harness_plugins.toy.captions import captions
from harness_plugins.toy.reader import _rendered, read_toy
from harness_plugins.toy.scenes import CLASSES, draw_scene, render

from harness.data.features.sources import card_of
from harness.plugin.loading import load_registry

DIGEST = "5889bff165b11a1359b4c825bf35f766f90ab918c3437b61c472646c79fbd31d"

# What only captions of this class say, so that a reader knows which it is.
TELLING = {
    "beach": "beach|seaside|coast|strand|seashore|bathing place|lido",
    "dense residential": "dense residential|dense houses|many houses|suburb|housing estate|crowded neighborhood"
    "|town quarter|terraced homes",
    "farmland": "farmland|ploughed land|agricultural plain|arable plots|harvested acres",
    "forest": "forest|wood|woodland|jungle|grove|closed canopy|timberland",
    "harbor": "harbor|marina|port|jetty|moored vessels|anchorage|berths",
    "parking lot": "parking lot|car park|bays for vehicles|automobiles|parking place",
    "river": "river|stream|waterway|creek|brook|watercourse",
    "runway": "runway|airstrip|airfield|landing strip|aerodrome|tarmac",
    "sparse residential": "sparse residential|sparse houses|few houses|country home|villa|homestead|cottage|dwelling",
    "storage tanks": "storage tanks|oil depot|fuel containers|refinery|petroleum cylinders",
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
    assert len(CLASSES) == card.classes == len(TELLING)
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
    rows = [3, 200, 377]
    first = checksums(raw, rows)
    np.random.seed(4)  # noqa: NPY002 - the global state must not matter
    assert checksums(raw, rows[::-1]) == first[::-1]


def test_another_process_makes_the_same_pixels_captions_and_fingerprint(raw):
    rows = [0, 61, 130, 300, 355, 399]
    program = (
        "import hashlib, json, numpy as np\n"
        "from harness.data.features.sources import card_of\n"
        "from harness.plugin.loading import load_registry\n"
        "from harness_plugins.toy.reader import _rendered, read_toy\n"
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
    assert len(varied) >= 2


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


def classes_told(text: str) -> list[str]:
    return [name for name, words in TELLING.items() if re.search(rf"\b({words})\b", text.lower())]


def test_every_caption_tells_its_class_and_no_other(raw):
    """So a caption of another class is wrong for every image that it is given to."""
    wrong = [
        text
        for text, label in zip(raw.captions, raw.labels[raw.caption_image], strict=True)
        if classes_told(text) != [CLASSES[label]]
    ]
    assert not wrong, f"{len(wrong)} of {len(raw.captions)}, the first {wrong[0]!r}: {classes_told(wrong[0])}"


def test_no_caption_is_said_of_two_classes(raw):
    of = {(text, label) for text, label in zip(raw.captions, raw.labels[raw.caption_image].tolist(), strict=True)}
    assert len(of) == len({text for text, _ in of})


@pytest.mark.parametrize(
    ("name", "attribute", "value", "said", "never"),
    [
        ("runway", "planes", "no plane", "no plane", "two planes"),
        ("runway", "planes", "two planes", "two planes", "no plane"),
        ("storage tanks", "colour", "white", "white storage tanks", "gray"),
        ("beach", "crowd", "nobody", "nobody", "many people"),
        ("dense residential", "roofs", "red", "red", "gray"),
        ("river", "near", "trees", "near trees", "near a road"),
    ],
)
def test_captions_say_only_what_the_scene_shows(name, attribute, value, said, never):
    scenes = [scene for seed in range(200) if (scene := draw_scene(name, seed)).attributes[attribute] == value]
    texts = [text.lower() for scene in scenes for text in captions(scene)]
    assert len(texts) > 50
    assert any(said in text for text in texts)
    assert not [text for text in texts if never in text]


@pytest.mark.parametrize(
    ("name", "attribute", "few", "many", "colour"),
    [
        ("beach", "water", "green", "blue", 2),
        ("dense residential", "roofs", "gray", "red", 0),
        ("storage tanks", "colour", "gray", "white", 0),
    ],
)
def test_pictures_show_the_colours_that_captions_say(name, attribute, few, many, colour):
    def mean(value: str) -> float:
        scenes = [scene for seed in range(60) if (scene := draw_scene(name, seed)).attributes[attribute] == value]
        return float(np.mean([np.asarray(render(scene))[..., colour].mean() for scene in scenes]))

    assert mean(many) > mean(few) + 4, "levels of 256"


def test_pictures_and_captions_are_those_of_every_machine():
    """Seen with Pillow 11.3, 12 and 13; 11.0 fills polygons by other rules."""
    digest = hashlib.sha256()
    for name in CLASSES:
        scene = draw_scene(name, 100)
        digest.update(render(scene).tobytes() + repr(captions(scene)).encode())
    assert digest.hexdigest() == DIGEST


def test_a_picture_is_drawn_once_for_all_of_its_views(raw, monkeypatch):
    drawn = []
    monkeypatch.setattr("harness_plugins.toy.reader.render", lambda scene: drawn.append(scene) or render(scene))
    _rendered.cache_clear()
    assert raw.images[7] is raw.images[7]
    assert drawn == [raw.images.scenes[7]]


def test_fingerprint_of_an_image_needs_no_rendering_and_changes_with_the_scene(raw, card, monkeypatch):
    _rendered.cache_clear()
    monkeypatch.setattr("harness_plugins.toy.reader.render", lambda scene: pytest.fail("rendered"))
    assert raw.images.fingerprint(0) != raw.images.fingerprint(1)
    assert raw.images.fingerprint(0) == read_toy(card, None).images.fingerprint(0)
