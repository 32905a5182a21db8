"""Hostile dataset cards: read, planned, fetched and checked."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from fuzz.answers import answered
from fuzz.hostile import as_toml, files
from hypothesis import given, settings

from harness.data.cards import DatasetCard, read_card
from harness.data.sets import fetch
from harness.data.sets.check import check
from harness.data.sets.folder import card_content, found_word
from harness.plugin.loading import load_registry

VALID: dict[str, Any] = {
    "name": "small", "title": "A small set", "paper": "none", "licence": "free", "reader": "karpathy",
    "labels": "single", "classes": 3, "images": 4, "captions_per_image": 0, "image_size": "8 x 8",
    "class_names": ["a", "b", "c"], "split": "published", "remark": "of nobody", "bibtex": "@misc{a}",
    "sources": [
        {"address": "https://example.org/pictures.zip", "file": "pictures.zip", "unpack": "imgs"},
        {"address": "https://example.org/", "kind": "page", "file": "brought.zip", "unpack": "more"},
        {"address": "https://example.org/dataset.json?x=1", "file": "dataset.json", "remark": "the captions"},
    ],
    "parts": [{"name": "train", "images": 3}, {"name": "test", "images": 1}],
    "backbones": {"image": "handcrafted", "text": "tfidf-svd"},
    "layout": {
        "folder": "Small", "other_folders": ["small"], "annotations": "dataset.json", "images": "imgs",
        "other_images": ["images"], "other_annotations": ["captions.json"],
        "files": [{"path": "dataset.json"}, {"path": "imgs", "kind": "folder", "count": 4}, {"path": "imgs/*.png"}],
    },
    "protocol": {"queries": 1, "training": 2},
    "reading": {"classes": "file-name", "unlabelled": "train"},
}  # fmt: skip
PLACES: list[tuple[Any, ...]] = [
    ("name",), *(("layout", key) for key in ("folder", "annotations", "images")), ("layout", "other_folders", 0),
    *(("sources", number, key) for number in (0, 1) for key in ("unpack", "file", "address")),
    *(("layout", "files", number, "path") for number in (0, 1)), ("reader",),
]  # fmt: skip
REGISTRY = load_registry()


def archive(*members: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as packed:
        for member in members:
            packed.writestr(member, f"content of {member}")
    return made.getvalue()


@pytest.fixture
def server(monkeypatch):
    """Every address gives an archive."""

    def download(address: str, target: Path, **settings: Any) -> None:
        target.write_bytes(archive("Small/1.png", "Small/dataset.json", ".harness-fetched.json"))

    monkeypatch.setattr(fetch, "download", download)


@settings(settings.get_profile("fuzz"))
@given(content=files(VALID, as_toml, PLACES))
def test_a_card_is_read_or_refused_and_touches_nothing_but_the_data_root(sandbox, server, content):
    sandbox.fresh()
    path = sandbox.file("card.toml", content)
    root = sandbox.data / "root"
    root.mkdir()
    (root / "brought.zip").write_bytes(archive("a/../b.png", "x/y.png"))
    (root / "mine.txt").write_text("mine")
    with sandbox.untouched():
        light = answered(lambda: card_content(path))
        if light is not None:
            answered(lambda: found_word(light, root))
        card = answered(lambda: read_card(path))
        if card is None:
            return
        assert isinstance(card, DatasetCard)
        answered(lambda: fetch.plan(card, root))
        answered(lambda: check(REGISTRY, card, root, deep=True))
    with sandbox.untouched(root):
        answered(lambda: fetch.fetch(card, root))
        answered(lambda: check(REGISTRY, card, root))
    assert (root / "mine.txt").read_text() == "mine"
