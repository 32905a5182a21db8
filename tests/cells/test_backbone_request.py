"""Options that choose backbones: pairs, contradictions, recipes, views, and what of them enters a cell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.cells.request import CellRequest, MethodRequest
from harness.cells.workbench import Workbench
from harness.errors import HarnessError
from harness.plugin.loading import load_registry

TOY = CellRequest(MethodRequest("random-codes"), limit=30)


@pytest.fixture(scope="module")
def registry():
    return load_registry([])


@pytest.fixture
def prepared(registry):
    """``prepared(option=value, ...)``: a cell of the toy data, not run."""
    return lambda **options: Workbench(registry).prepare(replace(TOY, **options))


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> str:
    """Two files that count as weights as long as nobody loads them."""
    folder = tmp_path_factory.mktemp("weights")
    (folder / "one.pt").write_bytes(b"1")
    (folder / "two.pt").write_bytes(b"2")
    return str(folder)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pretrained": "openai"}, "--pretrained openai are the weights of --backbone, which is not given"),
        (
            {"backbone": "open_clip/ViT-B-32"},
            "--backbone open_clip/ViT-B-32 needs weights: add --pretrained FILE_OR_TAG",
        ),
        (
            {"backbone": "open_clip/ViT-B-32", "pretrained": "openai", "image_backbone": "handcrafted"},
            "--image-backbone handcrafted contradicts --backbone open_clip/ViT-B-32, which sets both modalities",
        ),
        (
            {"backbone": "open_clip/ViT-B-32", "pretrained": "openai", "text_weights": "x"},
            "--text-weights x contradicts --backbone open_clip/ViT-B-32",
        ),
        ({"backbone": "handcrafted"}, "--backbone handcrafted: it encodes image alone: use --image-backbone"),
        ({"backbone": "tfidf-svd"}, "encodes text"),
        ({"backbone": "open_klip/ViT-B-32", "pretrained": "openai"}, "did you mean 'open_clip'"),
        (
            {"image_recipe": "released"},
            "--image-recipe released: backbone 'handcrafted' has no such recipe; it has: standard",
        ),
        ({"image_views": 0, "image_augment": "duch"}, "--image-augment duch makes no difference with --image-views 0"),
        (
            {"text_views": 0, "text_augment": "dropout"},
            "--text-augment dropout makes no difference with --text-views 0",
        ),
        (
            {"text_augment_data": "x"},
            "--text-augment-data x is of use with --text-augment synonyms or back-translation",
        ),
        ({"text_augment": "back-translation"}, "needs the weights of two MarianMT models"),
        ({"backbone": "open_clip/ViT-B-32", "pretrained": "none/at.pt/all"}, "there is no such file or folder"),
    ],
)
def test_contradictions_are_one_sentence(prepared, options, said):
    with pytest.raises(HarnessError) as caught:
        prepared(**options)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"backbone": "open_clip/ViT-B-32"}, {"pretrained": "x"}, {"image_recipe": "released"}, {"image_views": 2},
        {"text_views": 0}, {"text_augment": "dropout"}, {"skip_broken": True}, {"image_weights": "x"},
    ],
)  # fmt: skip
def test_features_refuse_whatever_computes_some(prepared, options):
    with pytest.raises(HarnessError, match=r"has no use with --features"):
        prepared(features=Path("features.npz"), limit=None, **options)


def test_a_pair_sets_both_modalities_and_their_weights(prepared, weights):
    job = prepared(backbone="open_clip/ViT-B-32", pretrained=f"{weights}/one.pt")
    described = job.cell.facts["backbones"]
    assert described["image"] == described["text"]
    assert described["image"]["name"] == "open_clip/ViT-B-32"
    assert described["image"]["weights"].startswith("sha256:")
    single = prepared(
        image_backbone="open_clip/ViT-B-32", image_weights=f"{weights}/one.pt", text_backbone="open_clip/ViT-B-32",
        text_weights=f"{weights}/one.pt",
    )  # fmt: skip
    assert single.cell.hash == job.cell.hash, "the same cell, said otherwise"


@pytest.mark.parametrize(
    ("image", "text", "shared"),
    [
        (("open_clip/ViT-B-32", "one.pt"), ("open_clip/ViT-B-32", "one.pt"), True),
        (("open_clip/ViT-B-32", "one.pt"), ("open_clip/ViT-B-32", "two.pt"), False),
        (("open_clip/ViT-B-32", "one.pt"), ("open_clip/ViT-B-16", "one.pt"), False),
        (("transformers-clip", "one.pt"), ("transformers-clip", "one.pt"), True),
        (("transformers-clip", "one.pt"), ("open_clip/ViT-B-32", "one.pt"), False),
        (("handcrafted", None), ("open_clip/ViT-B-32", "one.pt"), False),
        (("handcrafted", None), ("tfidf-svd", None), False),
    ],
)
def test_only_the_same_model_with_the_same_weights_shares_a_space(prepared, weights, image, text, shared):
    options = {"image_backbone": image[0], "text_backbone": text[0]}
    options |= {
        f"{kind}_weights": f"{weights}/{side[1]}" for kind, side in (("image", image), ("text", text)) if side[1]
    }
    assert prepared(**options).data.offered.shared_space is shared


def test_what_is_said_as_it_is_anyway_is_the_same_cell(prepared):
    plain = prepared().cell.hash
    for options in (
        {"image_views": 1}, {"image_augment": "duch"}, {"text_views": 0}, {"image_recipe": "standard"},
        {"skip_broken": True},
    ):  # fmt: skip
        assert prepared(**options).cell.hash == plain, options


def test_each_choice_of_views_is_a_cell_of_its_own(prepared):
    choices = [
        {}, {"image_views": 0}, {"image_views": 2}, {"image_augment": "randaugment"}, {"text_views": 1},
        {"text_views": 2}, {"text_augment": "synonyms"},
    ]  # fmt: skip
    assert len({prepared(**options).cell.hash for options in choices}) == len(choices)


def test_the_released_recipe_is_in_the_record_and_said_to_be_transductive(prepared, weights):
    options = {"image_backbone": "torchvision/resnet18", "image_weights": f"{weights}/one.pt"}
    standard, released = prepared(**options), prepared(**options, image_recipe="released")
    assert released.cell.facts["backbones"]["image"]["recipe"] == "released"
    assert "recipe" not in standard.cell.facts["backbones"]["image"]
    assert standard.cell.hash != released.cell.hash
    assert any("transductive" in note for note in released.notes)
    assert not standard.notes


def test_views_reach_the_training_pairs(harness):
    words = ("--method", "random-codes", "--limit", "30", "--bits", "8", "--text-views", "2", "--image-views", "3")
    result = harness("run", *words, "--image-augment", "randaugment", "--json")
    assert result.code == 0, result.err
    (record,) = result.json
    assert record["cell"]["backbones"]["text"]["views"] == {"number": 2, "augment": "dropout", "seed": 0}
    assert "--image-views 3" in record["command"]
    assert "--text-views 2" in record["command"]
    assert "--image-augment randaugment" in record["command"]
