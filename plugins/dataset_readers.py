"""Readers of data set layouts, and the cards that ship with the harness."""

from __future__ import annotations

from importlib.resources import as_file, files

from harness import hookimpl


@hookimpl
def register_readers(register):
    """Register the readers."""
    register("toy", "harness_plugins.toy.reader:read_toy", summary="procedural scenes, made on the spot")
    register(
        "karpathy",
        "harness_plugins.karpathy:read_karpathy",
        summary="dataset.json with images[].sentences[], and a folder of images",
    )


@hookimpl
def register_datasets(register):
    """Register the cards of the folder datasets/."""
    for card in sorted(files("harness_datasets").iterdir(), key=lambda entry: entry.name):
        if card.name.endswith(".toml"):
            with as_file(card) as path:
                register(path)
