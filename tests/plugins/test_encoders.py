"""Poolings and recipes against slow restatements, and weights that do not serve."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from harness_plugins.open_clip_features import OpenClip
from harness_plugins.sentence_transformers_folder import SentenceTransformersFolder
from harness_plugins.torchvision_features import TorchvisionFeatures, released_order
from harness_plugins.transformers_clip import TransformersClip
from harness_plugins.transformers_features import TransformersText
from harness_plugins.transformers_vision import TransformersVision
from PIL import Image
from reference import tiny_models
from reference.parts import encoded
from safetensors.torch import load_file, save_file

from harness.errors import HarnessError
from harness.runtime.context import RunContext

import open_clip  # isort: skip - after torchvision's operators are declared
from torchvision import models  # isort: skip

RUN = RunContext(8, torch.device("cpu"))
CAPTIONS = ["There is a river .", "many boats are docked in a harbor, beside a road!", "a", "two storage tanks"]
RANDOM = np.random.default_rng(1)
PICTURES = [Image.fromarray(RANDOM.integers(0, 256, (60 - at, 50, 3), dtype=np.uint8)) for at in range(7)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """``folders("clip")``: the folder of a tiny model, made once; not to be changed."""
    made: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in made:
            made[kind] = getattr(tiny_models, kind)(tmp_path_factory.mktemp(kind))
        return made[kind]

    return folder


@pytest.fixture
def copied(folders, tmp_path):
    """``copied("clip")``: a copy that may be changed."""
    return lambda kind: Path(shutil.copytree(folders(kind), tmp_path / kind))


def text(weights, pooling="mean", normalise=False, max_tokens=64):
    return TransformersText(
        weights=str(weights), pooling=pooling, normalise=normalise, max_tokens=max_tokens, batch_size=2
    )


def image(weights, pooling="auto", normalise=False):
    return TransformersVision(
        weights=str(weights), pooling=pooling, normalise=normalise, batch_size=2, precision="fp32"
    )


def pair(weights, modality):
    return TransformersClip(weights=str(weights), modality=modality, normalise=True, batch_size=2, precision="fp32")


def clip(weights, modality="image", model="tiny-clip"):
    return OpenClip(
        model=model, weights=str(weights), modality=modality, normalise=True, batch_size=2, precision="fp32"
    )


# --- poolings of captions ---


@torch.inference_mode()
def by_hand(folder, caption, pooling):
    """One caption at a time; padding only where the released code pads."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModel.from_pretrained(folder).eval()
    if pooling == "released":
        caption = "".join(letter for letter in caption.lower() if letter not in ".,!?")
    tokens = tokenizer(caption)["input_ids"]
    mask = [1] * len(tokens)
    if pooling == "released":
        mask += [0] * (64 - len(tokens))
        tokens += [tokenizer.pad_token_id] * (64 - len(tokens))
    states = network(
        input_ids=torch.tensor([tokens]), attention_mask=torch.tensor([mask]), output_hidden_states=True
    ).hidden_states
    rows = states[-1][0]
    if pooling in ("last-four", "released"):
        rows = rows + states[-2][0] + states[-3][0] + states[-4][0]
    return (rows[0] if pooling == "cls" else sum(rows) / len(rows)).numpy()


@pytest.mark.parametrize("pooling", ["mean", "cls", "last-four", "released"])
def test_poolings_equal_sentences_taken_one_by_one(folders, pooling):
    expected = np.stack([by_hand(folders("bert"), caption, pooling) for caption in CAPTIONS])
    np.testing.assert_allclose(encoded(text(folders("bert"), pooling), CAPTIONS, RUN), expected, atol=2e-5)


def test_poolings_differ(folders):
    poolings = ("mean", "cls", "last-four", "released")
    found = [encoded(text(folders("bert"), pooling), CAPTIONS, RUN) for pooling in poolings]
    assert min(np.abs(found[a] - found[b]).max() for a in range(4) for b in range(a)) > 0.05


@pytest.mark.parametrize("pooling", ["last-four", "released"])
def test_encoders_with_fewer_layers_refuse_to_add_up_four(tmp_path, pooling):
    folder = tiny_models.bert(tmp_path, layers=2)
    with pytest.raises(HarnessError, match=rf"pooling={pooling} adds up the last 4 layers; .* has 2\.$"):
        encoded(text(folder, pooling), CAPTIONS, RUN)


def test_clip_folders_are_no_plain_text_encoders(folders):
    with pytest.raises(HarnessError, match="use --text-backbone transformers-clip"):
        encoded(text(folders("clip")), CAPTIONS, RUN)


# --- folders of sentence-transformers ---

POOLINGS = [
    {"pooling_mode_mean_tokens": True},
    {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
    {"pooling_mode_max_tokens": True, "pooling_mode_cls_token": True},
    {"pooling_mode_mean_sqrt_len_tokens": True},
    {"pooling_mode": "weightedmean"},
    {"pooling_mode": ["lasttoken", "mean"]},
]


@pytest.mark.parametrize("pooling", POOLINGS, ids=lambda pooling: "-".join(map(str, pooling.values())))
@pytest.mark.parametrize(("dense", "normalise"), [(0, True), (6, False)])
def test_folders_of_sentence_transformers_equal_that_library(tmp_path, pooling, dense, normalise):
    library = pytest.importorskip("sentence_transformers")
    wide = sum(bool(value) for value in pooling.values()) > 1 or isinstance(pooling.get("pooling_mode"), list)
    folder = tiny_models.sentence_transformers(tmp_path, pooling, dense=0 if wide else dense, normalise=normalise)
    model = library.SentenceTransformer(str(folder), device="cpu")
    expected = model.encode(CAPTIONS, batch_size=3, show_progress_bar=False)
    found = encoded(SentenceTransformersFolder(weights=str(folder), batch_size=2, precision="fp32"), CAPTIONS, RUN)
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("modules.json", "[]", "modules.json begins with nothing"),
        ("modules.json", "{ nonsense", "modules.json cannot be read as JSON"),
        ("1_Pooling/config.json", '{"pooling_mode": "median"}', "the pooling configuration names median"),
        ("1_Pooling/config.json", "{}", "the pooling configuration names no way of pooling"),
    ],
)
def test_wrong_folders_of_sentence_transformers_are_one_sentence(tmp_path, file, content, said):
    folder = tiny_models.sentence_transformers(tmp_path, {"pooling_mode": "mean"})
    (folder / file).write_text(content)
    with pytest.raises(HarnessError, match=said):
        encoded(SentenceTransformersFolder(weights=str(folder), batch_size=2, precision="fp32"), CAPTIONS, RUN)


def test_unknown_steps_of_sentence_transformers_are_named(tmp_path):
    folder = tiny_models.sentence_transformers(tmp_path, {"pooling_mode": "mean"})
    modules = json.loads((folder / "modules.json").read_text())
    modules[2]["type"] = "sentence_transformers.models.LSTM"
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(HarnessError, match="names the step 'LSTM', which the harness does not know"):
        encoded(SentenceTransformersFolder(weights=str(folder), batch_size=2, precision="fp32"), CAPTIONS, RUN)


@pytest.mark.parametrize("path", ["../other", "/etc", "a/../../b"])
@pytest.mark.parametrize("step", [0, 1])
def test_steps_outside_of_the_folder_are_refused(tmp_path, step, path):
    folder = tiny_models.sentence_transformers(tmp_path, {"pooling_mode": "mean"})
    modules = json.loads((folder / "modules.json").read_text())
    modules[step]["path"] = path
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(HarnessError, match=r"modules\.json: .* is no path below its folder"):
        encoded(SentenceTransformersFolder(weights=str(folder), batch_size=2, precision="fp32"), CAPTIONS, RUN)


# --- image encoders ---


@torch.inference_mode()
@pytest.mark.parametrize(
    ("kind", "pooling", "expected"),
    [
        ("vit", "auto", lambda hidden: hidden[:, 0]),
        ("vit", "mean", lambda hidden: hidden[:, 1:].mean(dim=1)),
        ("dinov2", "cls", lambda hidden: hidden[:, 0]),
        ("swin", "auto", lambda hidden: hidden.mean(dim=1)),
        ("resnet", "auto", lambda hidden: hidden.mean(dim=(2, 3))),
    ],
)
def test_image_encoders_equal_images_taken_one_by_one(folders, kind, pooling, expected):
    network = transformers.AutoModel.from_pretrained(folders(kind)).eval()
    mean, deviation = np.array([0.4, 0.5, 0.6]), np.array([0.2, 0.25, 0.3])
    rows = []
    for picture in PICTURES:
        scaled = picture.resize((32, 32), Image.Resampling.BILINEAR)
        pixels = (np.asarray(scaled) / 255 - mean) / deviation
        x = torch.from_numpy(pixels.transpose(2, 0, 1)[None]).float()
        rows.append(expected(network(pixel_values=x).last_hidden_state)[0].numpy())
    found = encoded(image(folders(kind), pooling), PICTURES, RUN)
    assert np.corrcoef(found.ravel(), np.stack(rows).ravel())[0, 1] > 0.999, "scaling differs by roundings alone"


def test_image_encoders_without_a_class_token_refuse_to_use_one(folders):
    with pytest.raises(HarnessError, match=r"pooling=cls: SwinModel has no token for the whole image; use mean\.$"):
        encoded(image(folders("swin"), "cls"), PICTURES, RUN)


def test_the_image_tower_alone_is_that_of_the_pair(folders):
    alone = encoded(image(folders("clip"), normalise=True), PICTURES, RUN)
    np.testing.assert_array_equal(alone, encoded(pair(folders("clip"), "image"), PICTURES, RUN))
    with pytest.raises(HarnessError, match=r"pooling=mean: .* has an image tower that pools by itself"):
        encoded(image(folders("clip"), "mean"), PICTURES, RUN)


@torch.inference_mode()
@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_pairs_equal_the_similarities_of_the_whole_model(folders, kind):
    network = transformers.AutoModel.from_pretrained(folders(kind)).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders(kind))
    processor = transformers.AutoImageProcessor.from_pretrained(folders(kind))
    padding = {"padding": "max_length", "max_length": 16} if kind == "siglip" else {"padding": True}
    tokens = tokenizer(CAPTIONS, truncation=True, **padding, return_tensors="pt")
    given = {"input_ids": tokens["input_ids"]} if kind == "siglip" else dict(tokens)
    given.pop("token_type_ids", None)
    output = network(**given, pixel_values=processor(images=PICTURES, return_tensors="pt")["pixel_values"])
    found = encoded(pair(folders(kind), "image"), PICTURES, RUN) @ encoded(pair(folders(kind), "text"), CAPTIONS, RUN).T
    np.testing.assert_allclose(found, (output.image_embeds @ output.text_embeds.T).numpy(), atol=2e-5)


def test_folders_with_one_tower_are_no_pair(folders):
    with pytest.raises(HarnessError, match=r"BertModel has no towers for images and captions; use transformers-vision"):
        encoded(pair(folders("bert"), "text"), CAPTIONS, RUN)


# --- open_clip ---


@torch.inference_mode()
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_open_clip_equals_the_library(tmp_path, suffix):
    path = tiny_models.open_clip_checkpoint(tmp_path, suffix)
    network, _, transform = open_clip.create_model_and_transforms("tiny-clip", pretrained=str(path))
    network.eval()
    pictures = torch.stack([transform(picture) for picture in PICTURES])
    captions = open_clip.get_tokenizer("tiny-clip")(CAPTIONS)
    expected = (network.encode_image(pictures, normalize=True), network.encode_text(captions, normalize=True))
    for modality, items, features in zip(("image", "text"), (PICTURES, CAPTIONS), expected, strict=True):
        np.testing.assert_allclose(encoded(clip(path, modality), items, RUN), features.numpy(), atol=2e-5)


def test_open_clip_folders_bring_their_own_normalisation(tmp_path):
    folder = tiny_models.open_clip_folder(tmp_path)
    own = encoded(clip(folder, model="local-dir"), PICTURES, RUN)
    plain = encoded(clip(folder / "open_clip_model.safetensors"), PICTURES, RUN)
    assert np.abs(own - plain).max() > 1e-3
    with pytest.raises(HarnessError, match="is a folder: give the checkpoint in it, or use open_clip/local-dir"):
        encoded(clip(folder), PICTURES, RUN)
    (folder / "open_clip_config.json").write_text("{}")
    with pytest.raises(HarnessError, match="lacks 'model_cfg'"):
        encoded(clip(folder, model="local-dir"), PICTURES, RUN)


def test_unknown_models_and_tags_of_open_clip_are_answered_with_near_ones(tmp_path):
    with pytest.raises(HarnessError, match=r"unknown open_clip model 'ViT-B-23': did you mean .*'ViT-B-32'"):
        encoded(clip("openai", model="ViT-B-23"), PICTURES, RUN)
    with pytest.raises(HarnessError, match=r"unknown file or tag of open_clip/ViT-B-32 'openay': did you mean 'op"):
        encoded(clip("openay", model="ViT-B-32"), PICTURES, RUN)
    with pytest.raises(HarnessError, match=r"open_clip/local-dir needs a folder with open_clip_config\.json"):
        encoded(clip(tmp_path, model="local-dir"), PICTURES, RUN)


def changed(path, change):
    """The same safetensors file with other content."""
    save_file({key: value.clone() for key, value in change(load_file(path)).items()}, path, metadata={"format": "pt"})


def drop(key):
    return lambda state: {name: value for name, value in state.items() if name != key}


def reshape(key):
    return lambda state: {**state, key: torch.zeros(3, 5)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop("visual.conv1.weight"), r"1 missing \(visual\.conv1\.weight, \.\.\.\)\.$"),
        (reshape("text_projection"), r"1 of other shape \(text_projection, \.\.\.\)\.$"),
        (lambda state: {**state, "extra": torch.zeros(1)}, r"1 unexpected \(extra, \.\.\.\)\.$"),
    ],
)
def test_open_clip_checkpoints_that_do_not_fit_say_which_keys_differ(tmp_path, change, said):
    path = tiny_models.open_clip_checkpoint(tmp_path)
    changed(path, change)
    with pytest.raises(HarnessError, match=rf"^--text-weights .* does not fit open_clip/tiny-clip: {said}"):
        encoded(clip(path, "text"), CAPTIONS, RUN)


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("vit", drop("layernorm.weight"), r"does not fit ViTModel: 1 missing \(layernorm\.weight, \.\.\.\)\.$"),
        (
            "vit",
            reshape("layernorm.weight"),
            r"does not fit ViTModel: 1 of other shape \(layernorm\.weight",
        ),
        ("clip", drop("visual_projection.weight"), r"does not fit CLIPModel: 1 missing \(visual_projection\.weight"),
    ],
)
def test_transformers_folders_with_missing_weights_are_refused(copied, kind, change, said):
    """Once: transformers fills missing weights with random numbers, and goes on."""
    folder = copied(kind)
    changed(folder / "model.safetensors", change)
    with pytest.raises(HarnessError, match=said):
        encoded(image(folder), PICTURES, RUN)


class Hostile:
    """Unpickling it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("how", ["torch", "pickle"])
@pytest.mark.parametrize("kind", ["vit", "bert", "clip"])
def test_code_in_a_file_of_weights_is_never_run(copied, tmp_path, kind, how):
    folder, trace = copied(kind), tmp_path / "trace"
    (folder / "model.safetensors").unlink()
    content = {"layernorm.weight": torch.zeros(1), "extra": Hostile(trace)}
    if how == "torch":
        torch.save(content, folder / "pytorch_model.bin")
    else:
        (folder / "pytorch_model.bin").write_bytes(pickle.dumps(content))
    with pytest.raises(HarnessError) as caught:
        encoded(text(folder) if kind == "bert" else image(folder), CAPTIONS if kind == "bert" else PICTURES, RUN)
    assert not trace.exists()
    assert "\n" not in str(caught.value)
    assert "can still be loaded" not in str(caught.value)


def test_a_bin_file_with_tensors_serves(copied):
    folder = copied("vit")
    expected = encoded(image(folder), PICTURES, RUN)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    np.testing.assert_array_equal(encoded(image(folder), PICTURES, RUN), expected)


# --- the released recipe ---


@pytest.fixture(scope="module")
def resnet18(tmp_path_factory):
    path = tmp_path_factory.mktemp("resnet") / "resnet18.safetensors"
    with tiny_models.seeded():
        network = models.resnet18(weights=None)
        for module in network.modules():  # running statistics that are not those of any batch
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    save_file(network.state_dict(), path)
    return path


def released(path, batch=0, model="resnet18"):
    return TorchvisionFeatures(
        model=model, weights=str(path), batch_size=64, crop=48, size=64, recipe="released", released_batch=batch
    )


@torch.no_grad()
def test_the_released_recipe_equals_its_restatement(resnet18):
    """As duch/images_augment.py has it: never eval(), shuffled by numpy's seed 42, values in [0, 1]."""
    network = models.resnet18(weights=None)
    network.load_state_dict(load_file(resnet18))
    network.fc = torch.nn.Identity()
    np.random.seed(42)  # noqa: NPY002 - that code's generator
    order = np.random.permutation(7)  # noqa: NPY002
    expected = np.empty((7, 512), dtype=np.float32)
    for batch in (order[:4], order[4:]):
        pixels = []
        for row in batch:
            width, height = PICTURES[row].size
            left, top = round((width - 48) / 2), round((height - 48) / 2)
            scaled = PICTURES[row].crop((left, top, left + 48, top + 48)).resize((64, 64), Image.Resampling.BILINEAR)
            pixels.append(np.asarray(scaled).transpose(2, 0, 1) / 255)
        expected[batch] = network.train()(torch.tensor(np.stack(pixels)).float()).numpy()
    tall = [picture for picture in PICTURES if min(picture.size) > 48]
    assert len(tall) == 7
    np.testing.assert_allclose(encoded(released(resnet18, batch=4), PICTURES, RUN), expected, atol=1e-3, rtol=1e-3)


def test_the_released_recipe_is_transductive_and_repeatable(resnet18):
    found = encoded(released(resnet18), PICTURES, RUN)
    np.testing.assert_array_equal(encoded(released(resnet18), PICTURES, RUN), found)
    others = [*PICTURES[:6], Image.fromarray(255 - np.asarray(PICTURES[6]) // 2)]
    assert np.abs(encoded(released(resnet18), others, RUN)[:6] - found[:6]).max() > 1e-3, "a batch mate matters"


def test_batches_of_the_released_recipe_follow_the_data():
    backbone = released("none")
    assert [backbone._released_batch(count) for count in (2100, 10_921, 210, 4, 2101, 7)] == [525, 525, 53, 2, 526, 4]
    assert released("none", batch=500)._released_batch(10_921) == 500
    assert sorted(released_order(20)) == list(range(20))


def test_models_without_batch_normalisation_have_no_released_recipe(tmp_path):
    with tiny_models.seeded():
        save_file(models.squeezenet1_1(weights=None).state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(HarnessError, match="--image-recipe released: SqueezeNet has no batch normalisation"):
        encoded(released(tmp_path / "w.safetensors", model="squeezenet1_1"), PICTURES, RUN)
