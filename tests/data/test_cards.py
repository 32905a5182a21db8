"""Cards: those that ship are whole, and a mistake in one is named with its line and what was meant."""

from __future__ import annotations

import re

import pytest

from harness.data.cards import DatasetCard, read_card
from harness.data.features.sources import card_of
from harness.errors import HarnessError
from harness.plugin.loading import load_registry

CARD = """name = "mine"
title = "Mine"
paper = "p"
licence = "l"
reader = "karpathy"
labels = "single"
classes = 3
images = 9
captions_per_image = 5
image_size = "8 x 8"

[backbones]
image = "handcrafted"
text = "tfidf-svd"

[layout]
folder = "Mine"
annotations = "dataset.json"
images = "imgs"

[[layout.files]]
path = "dataset.json"

[[sources]]
address = "https://example.org/mine.zip"
"""

REGISTRY = load_registry()
NAMES = REGISTRY.names("dataset")


def told(path) -> str:
    with pytest.raises(HarnessError) as caught:
        read_card(path)
    said = str(caught.value)
    assert "\n" not in said
    return said


@pytest.fixture
def card(tmp_path):
    def write(text: str):
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return path

    return write


def test_the_sets_of_the_field_have_a_card():
    assert set(NAMES) >= {
        "ucm", "rsicd", "rsitmd", "sydney", "nwpu", "mirflickr25k", "nuswide-10", "nuswide-21", "mscoco", "iaprtc12",
        "wiki", "toy", "folder", "karpathy",
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_card_that_ships_is_whole(name):
    found = read_card(REGISTRY.get("dataset", name).card)
    assert found.name == name
    assert found.reader in REGISTRY.names("reader")
    for modality in ("image", "text") if found.backbones else ():
        REGISTRY.backbone(getattr(found.backbones, modality), modality)
    if name in ("toy", "folder", "karpathy", "hashing-matrices"):
        return
    assert re.match(r"@\w+\{\w+,\n", found.bibtex)
    assert found.bibtex.count("{") == found.bibtex.count("}")
    assert found.source.startswith("http")
    assert found.layout is not None
    assert found.layout.files
    assert found.sources
    assert not found.class_names or len(found.class_names) == found.classes
    if found.parts:
        assert sum(part.images for part in found.parts) == found.images
    if found.protocol:
        assert found.protocol.queries + found.protocol.training <= found.images


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('title = "Mine"', 'titel = "Mine"', "key 'title' is missing"),
        ('paper = "p"', 'paper = "p"\nbibtext = ""', "line 4: unknown key 'bibtext': did you mean 'bibtex'?"),
        ('images = "imgs"', 'images = "imgs"\nimage = "x"', "line 20: unknown key 'image' in 'layout': did you mean "),
        ('path = "dataset.json"', 'file = "x"', "key 'layout.files.0.path' is missing"),
        ("mine.zip", 'mine.zip"\nsha256 = "abc', "key 'sources.0.sha256'"),
        ("images = 9", 'images = "nine"', "line 8: key 'images': input should be a valid integer"),
        ("images = 9", "images = -1", "line 8: key 'images': input should be greater than or equal to 0"),
        ('"single"', '"one"', "line 6: key 'labels'"),
        (
            'image_size = "8 x 8"',
            'image_size = "8"\nsplit = "published"',
            "split = 'published' needs the table 'parts'",
        ),
        ('image_size = "8 x 8"', 'image_size = "8"\nsplit = "protocol"', "needs the table 'protocol'"),
        ('image_size = "8 x 8"', "image_size = ", "invalid value"),
    ],
)
def test_a_mistake_is_named_with_its_line(card, old, new, says):
    path = card(CARD.replace(old, new, 1))
    assert says in told(path)
    assert str(path) in told(path)


def test_the_parameters_of_the_reader_are_checked():
    card = read_card(REGISTRY.get("dataset", "rsicd").card)
    assert card.reader_parameters({"classes": "classcode", "unlabelled": "x"})["classes"] == "file-name"
    with pytest.raises(HarnessError, match="did you mean 'classes'"):
        card.model_copy(update={"reading": {"clases": "x"}}).reader_parameters({"classes": "a"})
    with pytest.raises(HarnessError, match="number = 'x', expected a whole number"):
        card.model_copy(update={"reading": {"number": "x"}}).reader_parameters({"number": 3})


def test_a_card_of_the_user_is_named_by_its_path_and_a_table_by_its_file(card):
    assert card_of(REGISTRY, str(card(CARD))).title == "Mine"
    found = card_of(REGISTRY, "folder:pairs of mine.csv")
    assert isinstance(found, DatasetCard)
    assert found.layout.annotations == "pairs of mine.csv"
    with pytest.raises(HarnessError, match="'ucm' takes no file"):
        card_of(REGISTRY, "ucm:other.json")
    with pytest.raises(HarnessError, match="unknown dataset 'rsidc': did you mean 'rsicd'"):
        card_of(REGISTRY, "rsidc")
    with pytest.raises(HarnessError, match=r"none\.toml: there is no such file"):
        card_of(REGISTRY, "none.toml")
