"""Code that was rewritten computes the same bits as the code of version 0.1, restated here as it was."""

from __future__ import annotations

import json
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from harness_plugins.caption_words import TfidfSvd
from harness_plugins.same_results import SAME_RESULTS
from harness_plugins.torchvision_features import TorchvisionFeatures, without_head
from harness_plugins.transformers_features import TransformersText
from PIL import Image
from reference import tiny_models
from reference.parts import encoded
from safetensors.torch import save_file

from harness.data.loading import IMAGES_AT_ONCE
from harness.plugin.loading import load_registry
from harness.plugin.source_hash import hash_of_component
from harness.runtime.context import RunContext

from torchvision import models  # isort: skip - torchvision_features declares its operators first
from torchvision.transforms import functional  # isort: skip

RUN = RunContext(8, torch.device("cpu"))
RANDOM = np.random.default_rng(3)
PICTURES = [Image.fromarray(RANDOM.integers(0, 256, (60, 50 + at, 3), dtype=np.uint8)) for at in range(70)]
CAPTIONS = [" ".join(RANDOM.choice(tiny_models.WORDS, RANDOM.integers(1, 12))) for _ in range(60)]


@pytest.mark.parametrize("kind", ["hasher", "detector", "objective", "protocol", "backbone"])
def test_cells_name_the_code_of_earlier_records(kind):
    """Fails when the code was edited: then see plugins/same_results.py."""
    registry = load_registry([], environment={})
    then = json.loads((Path(__file__).parent / "code_hashes.json").read_text())[f"{sys.version_info[1]}"]
    assert {declaration.name: registry.source_hash(declaration) for declaration in registry.all(kind)} == then[kind]


def test_no_line_is_stale():
    registry = load_registry([], environment={})
    unmapped = {
        hash_of_component(declaration, registry.plugin_packages())
        for kind in ("hasher", "detector", "objective", "protocol", "backbone")
        for declaration in registry.all(kind)
    }
    of_other_versions = 2 * len(SAME_RESULTS) // 3
    assert len(SAME_RESULTS.keys() - unmapped) == of_other_versions


@torch.inference_mode()
def test_torchvision(tmp_path):
    with tiny_models.seeded():
        network = models.squeezenet1_1(weights=None)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    without_head(network)
    network.eval()

    def prepare(image):
        image = functional.center_crop(image, [48]) if min(image.size) > 48 else image
        image = functional.resize(image, [40, 40], antialias=True)
        return functional.normalize(functional.to_tensor(image), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

    # Version 0.1 took batches of 32 and channels first: equal to the last digits, not to the bit.
    whole = network(torch.stack([prepare(image) for image in PICTURES])).flatten(1).numpy()
    images, parts = iter(PICTURES), []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    while batch := list(islice(images, IMAGES_AT_ONCE)):
        pixels = torch.stack([prepare(image) for image in batch]).contiguous(memory_format=torch.channels_last)
        parts.append(network(pixels).flatten(1).float().numpy())
    torch.set_num_threads(threads)
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-5, atol=1e-5 * np.abs(whole).max())
    backbone = TorchvisionFeatures(
        model="squeezenet1_1", weights=str(tmp_path / "weights.safetensors"), batch_size=32, crop=48, size=40
    )
    np.testing.assert_array_equal(encoded(backbone, PICTURES, RUN), np.concatenate(parts))


@torch.inference_mode()
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_transformers(tmp_path, pooling):
    folder = tiny_models.bert(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    distinct = sorted(set(CAPTIONS), key=lambda text: (len(text), text))
    parts = []
    for at in range(0, len(distinct), 16):
        tokens = tokenizer(distinct[at : at + 16], padding=True, truncation=True, max_length=10, return_tensors="pt")
        hidden = network(**tokens).last_hidden_state.float()
        weight = tokens["attention_mask"][..., None].float()
        pooled = hidden[:, 0] if pooling == "cls" else (hidden * weight).sum(dim=1) / weight.sum(dim=1)
        parts.append(torch.nn.functional.normalize(pooled).numpy())
    row = {text: number for number, text in enumerate(distinct)}
    expected = np.concatenate(parts)[[row[text] for text in CAPTIONS]]
    backbone = TransformersText(weights=str(folder), pooling=pooling, normalise=True, max_tokens=10, batch_size=16)
    np.testing.assert_array_equal(encoded(backbone, CAPTIONS, RUN), expected)


def test_tfidf_svd(monkeypatch):
    backbone = TfidfSvd(dimension=6, words=1, stop_words="english")
    backbone.fit(CAPTIONS[:30], RUN)
    expected = backbone.svd.transform(backbone.words.vectorizer.transform(CAPTIONS)).astype(np.float32)
    monkeypatch.setattr("harness_plugins.caption_words.CAPTIONS_AT_ONCE", 7)
    np.testing.assert_array_equal(encoded(backbone, CAPTIONS, RUN), expected)
