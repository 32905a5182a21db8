"""Folders and checkpoints of tiny networks with random weights, in the layouts in which real ones are published."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import save_file

from harness.runtime.torchvision_operators import make_torchvision_importable

make_torchvision_importable()

import open_clip  # noqa: E402
import transformers  # noqa: E402
from tokenizers import Tokenizer, models, pre_tokenizers, processors  # noqa: E402

WORDS = [
    "there", "is", "a", "river", ".", "many", "boats", "are", "docked", "in", "harbor", "beside", "road", "run",
    "##way", "two", "storage", "tanks", "and", "near", "the", "plane", "house", "trees", "of", "some",
]  # fmt: skip
SIDE = 32
"""Pixels per side of every tiny network's input."""


@contextmanager
def seeded(seed: int = 0) -> Iterator[None]:
    """Random weights that are the same in every session, and leave the global generator as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def bert(folder: Path, layers: int = 5, seed: int = 0) -> Path:
    """A BERT with a word-piece vocabulary."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary), hidden_size=24, num_hidden_layers=layers, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64,
    )  # fmt: skip
    with seeded(seed):
        transformers.BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def processor(folder: Path, kind: str = "ViTImageProcessor") -> None:
    """The image processor of a folder: scaling to the input, and its own mean and deviation."""
    size = {"height": SIDE, "width": SIDE}
    made = getattr(transformers, kind)(
        size=size, do_resize=True, do_center_crop=False, image_mean=[0.4, 0.5, 0.6], image_std=[0.2, 0.25, 0.3]
    )
    made.save_pretrained(folder)


def _vision(folder: Path, network, seed: int = 0) -> Path:
    with seeded(seed):
        network().save_pretrained(folder)
    processor(folder)
    return folder


SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}


def vit(folder: Path) -> Path:
    """A vision transformer with a class token."""
    config = transformers.ViTConfig(image_size=SIDE, patch_size=8, **SMALL)
    return _vision(folder, lambda: transformers.ViTModel(config, add_pooling_layer=False))


def dinov2(folder: Path) -> Path:
    """A DINOv2."""
    config = transformers.Dinov2Config(
        image_size=SIDE, patch_size=8, hidden_size=16, num_hidden_layers=2, num_attention_heads=2
    )
    return _vision(folder, lambda: transformers.Dinov2Model(config))


def resnet(folder: Path) -> Path:
    """A residual network, with batch normalisation."""
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    return _vision(folder, lambda: transformers.ResNetModel(config))


def swin(folder: Path) -> Path:
    """A transformer without a class token."""
    config = transformers.SwinConfig(
        image_size=SIDE, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4
    )
    return _vision(folder, lambda: transformers.SwinModel(config, add_pooling_layer=False))


def _word_tokenizer(folder: Path, end: str) -> None:
    """A fast tokenizer of whole words that ends a caption with ``end``."""
    tokens = {token: number for number, token in enumerate(["<pad>", "<unk>", end, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(tokens, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {end}", special_tokens=[(end, tokens[end])])
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", eos_token=end, model_max_length=16
    )
    made.save_pretrained(folder)


def clip(folder: Path) -> Path:
    """A CLIP with both towers."""
    _word_tokenizer(folder, "</s>")
    config = transformers.CLIPConfig(
        text_config={
            **SMALL, "vocab_size": len(WORDS) + 3, "max_position_embeddings": 16, "eos_token_id": 2, "pad_token_id": 0,
            "bos_token_id": 1,
        },
        vision_config={**SMALL, "image_size": SIDE, "patch_size": 8},
        projection_dim=12,
    )  # fmt: skip
    return _vision(folder, lambda: transformers.CLIPModel(config))


def siglip(folder: Path) -> Path:
    """A SigLIP with both towers."""
    _word_tokenizer(folder, "</s>")
    config = transformers.SiglipConfig(
        text_config={
            **SMALL, "vocab_size": len(WORDS) + 3, "max_position_embeddings": 16, "pad_token_id": 0, "eos_token_id": 2,
            "bos_token_id": 1,
        },
        vision_config={**SMALL, "image_size": SIDE, "patch_size": 8},
    )  # fmt: skip
    return _vision(folder, lambda: transformers.SiglipModel(config))


OPEN_CLIP = {
    "embed_dim": 12,
    "vision_cfg": {"image_size": SIDE, "layers": 2, "width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}


def open_clip_checkpoint(folder: Path, suffix: str = ".safetensors", name: str = "tiny-clip") -> Path:
    """A checkpoint of a tiny open_clip model, whose configuration is made known under ``name``."""
    folder.mkdir(parents=True, exist_ok=True)
    configs = folder / "configs"
    configs.mkdir(exist_ok=True)
    (configs / f"{name}.json").write_text(json.dumps(OPEN_CLIP))
    open_clip.add_model_config(configs)
    with seeded():
        network = open_clip.create_model(name, load_weights=False)
    state = {key: value.clone() for key, value in network.state_dict().items()}
    path = folder / f"checkpoint{suffix}"
    if suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}, "epoch": 1}, path)
    return path


def open_clip_folder(folder: Path) -> Path:
    """A folder as open_clip saves it for the hub."""
    path = open_clip_checkpoint(folder / "made")
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": OPEN_CLIP, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}})
    )
    path.rename(folder / "open_clip_model.safetensors")
    return folder


def sentence_transformers(folder: Path, pooling: dict, dense: int = 0, normalise: bool = True) -> Path:
    """A folder as sentence-transformers saves it."""
    bert(folder)
    kinds = ["Transformer", "Pooling", *(["Dense"] if dense else []), *(["Normalize"] if normalise else [])]
    modules = [
        {
            "idx": at, "name": str(at), "path": f"{at}_{kind}" if at else "",
            "type": f"sentence_transformers.models.{kind}",
        }
        for at, kind in enumerate(kinds)
    ]  # fmt: skip
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 12, "do_lower_case": False}))
    for module in modules[1:]:
        (folder / module["path"]).mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 24, **pooling}))
    if dense:
        config = {
            "in_features": 24, "out_features": dense, "bias": True,
            "activation_function": "torch.nn.modules.activation.Tanh",
        }  # fmt: skip
        (folder / "2_Dense" / "config.json").write_text(json.dumps(config))
        with seeded(1):
            layer = torch.nn.Linear(24, dense)
        save_file(
            {f"linear.{key}": value for key, value in layer.state_dict().items()}, folder / "2_Dense/model.safetensors"
        )
    return folder


def marian(folder: Path, seed: int) -> Path:
    """A translator that has learned nothing: it gives the same nonsense for the same caption."""
    _word_tokenizer(folder, "</s>")
    size = len(WORDS) + 3
    config = transformers.MarianConfig(
        vocab_size=size, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=24, decoder_ffn_dim=24, max_position_embeddings=16, pad_token_id=0,
        eos_token_id=2, decoder_start_token_id=0, forced_eos_token_id=2, max_length=12, init_std=1.0,
    )  # fmt: skip
    with seeded(seed):
        transformers.MarianMTModel(config).save_pretrained(folder)
    return folder
