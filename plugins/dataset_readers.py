"""Readers of data set layouts, and the cards that ship with the harness."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from harness import hookimpl
from harness.plugin.hookspecs import RegisterDataset, RegisterReader

LAYOUTS = "harness_plugins.layouts."


@hookimpl
def register_readers(register: RegisterReader) -> None:
    """Register the readers."""
    register("toy", "harness_plugins.toy.reader:read_toy", summary="procedural scenes, made on the spot")
    register(
        "karpathy",
        LAYOUTS + "karpathy:read_karpathy",
        summary="dataset*.json with images[].sentences[], and a folder of images",
    )
    register("nwpu", LAYOUTS + "nwpu:read_nwpu", summary="dataset_nwpu.json by class, and folders of images")
    register("pairs", LAYOUTS + "pair_table:read_pairs", summary="CSV or JSON Lines with image, caption and label")
    register(
        "mirflickr25k", LAYOUTS + "mirflickr:read_mirflickr", summary="MIRFlickr-25K: images, tags, concepts, or .mat"
    )
    register("nuswide", LAYOUTS + "nuswide:read_nuswide", summary="NUS-WIDE: lists, tags, ground truth, or .mat")
    register("mscoco", LAYOUTS + "mscoco:read_mscoco", summary="MS COCO: captions and instances, or .mat")
    register("iaprtc12", LAYOUTS + "iaprtc12:read_iaprtc12", summary="IAPR TC-12: .eng files, regions, or .mat")
    register("wikipedia", LAYOUTS + "wikipedia:read_wikipedia", summary="raw_features.mat and its lists, or .mat")
    register(
        "matrices",
        LAYOUTS + "hashing_matrices:read_any_matrices",
        summary="I_tr, T_tr, L_tr, ...; IAll, YAll, LAll; or index, caption, label in .mat files of any set",
    )


@hookimpl
def register_datasets(register: RegisterDataset) -> None:
    """Register the cards of the folder datasets/, installed as harness_datasets."""
    # importlib.resources.files() fails on a package without __init__.py in an editable install, and the folder must not
    # have one: a checkout on sys.path would then shadow Hugging Face's `datasets`.
    spec = find_spec("harness_datasets")
    folders = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    # The folder may stand at two places of the path (installed, and a checkout); the first one found is meant.
    cards = {card.name: card for folder in reversed(folders) if folder.is_dir() for card in folder.glob("*.toml")}
    for _, card in sorted(cards.items()):
        register(card)
