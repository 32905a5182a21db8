"""What every backbone must keep: the same features in whatever batch and order, float32, finite, frozen, repeatable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from harness_plugins.torchvision_features import TorchvisionFeatures
from PIL import Image
from reference import tiny_models
from reference.parts import encoded
from safetensors.torch import save_file

from harness.plugin.loading import load_registry
from harness.plugin.parameters import defaults
from harness.runtime.context import RunContext

from torchvision import models  # isort: skip - torchvision_features declares its operators first

RUN = RunContext(8, torch.device("cpu"))
REGISTRY = load_registry([])

random = np.random.default_rng(0)
SIZES = ((60, 50), (40, 44), (48, 90), (64, 64), (33, 35))
PICTURES = [Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in SIZES]
CAPTIONS = [
    "there is a river .",
    "many boats are docked in a harbor beside a road .",
    "a house",
    "two storage tanks and a road near a river and many boats",
    "the plane and some trees",
]


@dataclass(frozen=True)
class Case:
    """A backbone with weights.

    Attributes:
        name: As written.
        modality: "image" or "text".
        weights: Makes them in a folder.
        parameters: Those that differ from the defaults.
        width: Numbers per item.
    """

    name: str
    modality: str
    weights: Callable[[Any], Any] | None
    parameters: dict[str, Any]
    width: int

    @property
    def items(self) -> list[Any]:
        return PICTURES if self.modality == "image" else CAPTIONS


def resnet18(folder):
    with tiny_models.seeded():
        save_file(models.resnet18(weights=None).state_dict(), folder / "resnet18.safetensors")
    return folder / "resnet18.safetensors"


def sentence_folder(folder):
    return tiny_models.sentence_transformers(folder, {"pooling_mode": "mean"}, dense=10)


SMALL_IMAGE = {"crop": 48, "size": 32}
CASES = {
    "torchvision": Case("torchvision/resnet18", "image", resnet18, SMALL_IMAGE, 512),
    "vit": Case("transformers-vision", "image", tiny_models.vit, {}, 16),
    "dinov2": Case("transformers-vision", "image", tiny_models.dinov2, {"normalise": True}, 16),
    "resnet": Case("transformers-vision", "image", tiny_models.resnet, {}, 16),
    "swin": Case("transformers-vision", "image", tiny_models.swin, {}, 16),
    "vit mean": Case("transformers-vision", "image", tiny_models.vit, {"pooling": "mean"}, 16),
    "clip image": Case("transformers-clip", "image", tiny_models.clip, {}, 12),
    "clip text": Case("transformers-clip", "text", tiny_models.clip, {}, 12),
    "siglip image": Case("transformers-clip", "image", tiny_models.siglip, {}, 16),
    "siglip text": Case("transformers-clip", "text", tiny_models.siglip, {}, 16),
    "open_clip image": Case("open_clip/tiny-clip", "image", tiny_models.open_clip_checkpoint, {}, 12),
    "open_clip text": Case("open_clip/tiny-clip", "text", tiny_models.open_clip_checkpoint, {}, 12),
    "open_clip folder": Case("open_clip/local-dir", "image", tiny_models.open_clip_folder, {}, 12),
    "bert mean": Case("transformers", "text", tiny_models.bert, {}, 24),
    "bert cls": Case("transformers", "text", tiny_models.bert, {"pooling": "cls"}, 24),
    "bert last four": Case("transformers", "text", tiny_models.bert, {"pooling": "last-four"}, 24),
    "bert released": Case("transformers", "text", tiny_models.bert, {"pooling": "released", "normalise": False}, 24),
    "sentence-transformers": Case("sentence-transformers", "text", sentence_folder, {}, 10),
    "handcrafted": Case("handcrafted", "image", None, {"size": 32, "cell": 8}, 0),
    "random-indexing": Case("random-indexing", "text", None, {"dimension": 6, "stop_words": "keep"}, 6),
    "tfidf-svd": Case("tfidf-svd", "text", None, {"dimension": 3, "stop_words": "keep"}, 3),
}


@pytest.fixture(scope="module", params=list(CASES))
def case(request) -> Case:
    return CASES[request.param]


@pytest.fixture(scope="module")
def made(case, tmp_path_factory):
    """``made(batch_size=2)``: the backbone, fitted where it must be."""
    weights = "" if case.weights is None else str(case.weights(tmp_path_factory.mktemp("weights")))

    def make(**parameters):
        declaration, model = REGISTRY.backbone(case.name, case.modality)
        known = defaults(declaration.parameters)
        arguments = {**known, **case.parameters, **{key: value for key, value in parameters.items() if key in known}}
        arguments |= {"model": model} if declaration.models else {}
        arguments |= {"weights": weights} if declaration.weights != "none" else {}
        arguments |= {"modality": case.modality} if declaration.modality == "both" else {}
        backbone = declaration.load()(**arguments)
        if hasattr(backbone, "fit"):
            backbone.fit(case.items, RUN)
        return backbone

    return make


@pytest.fixture(scope="module")
def features(case, made):
    return encoded(made(batch_size=5), case.items, RUN)


def test_features_are_finite_floats_of_the_declared_width_and_tell_items_apart(case, features):
    assert features.dtype == np.float32
    assert features.shape == (5, case.width or features.shape[1])
    assert np.isfinite(features).all()
    distances = np.abs(features[:, None] - features[None]).max(axis=2) + np.eye(5)
    assert distances.min() > 1e-4, "different items have different features"


def test_neither_batch_nor_order_moves_a_feature(case, made, features):
    order = [3, 0, 4, 2, 1]
    shuffled = encoded(made(batch_size=2), [case.items[at] for at in order], RUN)
    np.testing.assert_allclose(shuffled, features[order], atol=2e-5)
    np.testing.assert_allclose(encoded(made(batch_size=1), case.items[:2], RUN), features[:2], atol=2e-5)


def test_the_global_seed_does_not_matter_and_nothing_is_left_behind(case, made, features):
    torch.manual_seed(123)
    before = torch.get_rng_state()
    again = encoded(made(batch_size=5), case.items, RUN)
    assert np.array_equal(again, features)
    torch.manual_seed(321)
    assert np.array_equal(encoded(made(batch_size=5), case.items, RUN), features)
    torch.set_rng_state(before)


def test_bf16_is_another_precision_of_the_same_features(case, made, features):
    declaration, _ = REGISTRY.backbone(case.name, case.modality)
    if "precision" not in {parameter.name for parameter in declaration.parameters}:
        pytest.skip("computes in one precision")
    found = encoded(made(precision="bf16"), case.items, RUN)
    assert found.dtype == np.float32
    assert not np.array_equal(found, features)
    scale = np.abs(features).max()
    np.testing.assert_allclose(found / scale, features / scale, atol=0.06)


def test_progress_ends_at_the_last_item(case, made):
    told = []
    encoded(made(batch_size=2), case.items, replace(RUN, listener=told.append))
    assert [(news.epoch, news.epochs) for news in told][-1:] == (
        [] if case.name in ("tfidf-svd", "random-indexing") else [(5, 5)]
    )


def test_networks_are_in_eval_mode_while_they_encode(monkeypatch, tmp_path):
    seen = []
    real = torch.nn.Module.__call__

    def call(module, *arguments, **options):
        seen.append(module.training or torch.is_grad_enabled())
        return real(module, *arguments, **options)

    backbone = TorchvisionFeatures(
        model="resnet18", weights=str(resnet18(tmp_path)), batch_size=2, crop=48, size=32, recipe="standard"
    )
    monkeypatch.setattr(torch.nn.Module, "__call__", call)
    encoded(backbone, PICTURES, RUN)
    assert len(seen) > 10
    assert not any(seen)
