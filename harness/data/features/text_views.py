"""Augmented views of captions: word dropout, synonyms from a list, and back-translation."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.features.weights import first_line
from harness.errors import HarnessError
from harness.files.whole import read_text_file
from harness.plugin.interfaces import Run
from harness.runtime.seeding import numpy_generator

DROPPED = 0.1
"""Share of words that go."""

REPLACED = 0.3
"""Share of replaceable words and phrases that are replaced."""

BEAMS = 4
TRANSLATED_TOKENS = 128
TRANSLATED_AT_ONCE = 32

LARGEST_LIST = 64 * 2**20
"""Bytes of a list of synonyms; a whole thesaurus has 25 MB."""

TRANSLATIONS = ("forward", "back")
"""Subfolders of the folder of translation models: from the captions' language, and back to it."""


def dropped_words(captions: Sequence[str], seed: int, stream: str) -> list[str]:
    """Each caption without some of its words; at least one is left.

    What goes depends on the position of the caption, not on other captions.
    """

    def thinned(caption: str, random: np.random.Generator) -> str:
        words = caption.split()
        draws = random.random(len(words))
        if len(words) > 1 and (draws < DROPPED).all():
            draws[random.integers(len(words))] = 1
        return " ".join(word for word, draw in zip(words, draws, strict=True) if draw >= DROPPED or len(words) == 1)

    return _each(captions, seed, stream, thinned)


def replaced_synonyms(captions: Sequence[str], groups: Sequence[Sequence[str]], seed: int, stream: str) -> list[str]:
    """Each caption with some words and phrases replaced by others of their group; the longest phrase counts.

    Args:
        captions: The captions.
        groups: Words and phrases that may stand for one another, in lower case.
        seed: The data seed.
        stream: Name of the random stream.
    """
    others = {word: [other for other in group if other != word] for group in groups for word in group}
    longest_first = sorted(others, key=lambda word: (-len(word), word))
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, longest_first))})\b", re.IGNORECASE)

    def replaced(caption: str, random: np.random.Generator) -> str:
        def other(match: re.Match[str]) -> str:
            draw, choice = random.random(2)
            synonyms = others[match[0].lower()]
            if draw >= REPLACED:
                return match[0]
            word = synonyms[int(choice * len(synonyms))]
            return word.capitalize() if match[0][0].isupper() else word

        return pattern.sub(other, caption)

    return _each(captions, seed, stream, replaced)


def _each(
    captions: Sequence[str], seed: int, stream: str, change: Callable[[str, np.random.Generator], str]
) -> list[str]:
    seeds = numpy_generator(seed, stream).integers(0, 2**63, len(captions))
    return [change(text, np.random.default_rng(int(own))) for text, own in zip(captions, seeds, strict=True)]


def read_synonyms(file: str) -> list[list[str]]:
    """The groups of a list: one a line, separated by commas; ``#`` begins a remark.

    Args:
        file: The file, or "" for the list that comes with the harness.

    Raises:
        HarnessError: It cannot be read, a group has one word, or a word is in two groups.
    """
    groups: list[list[str]] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(_synonym_text(file).splitlines(), start=1):
        content = line.partition("#")[0].strip()
        if not content:
            continue
        group = [" ".join(word.split()).lower() for word in content.split(",") if word.strip()]
        if len(group) < 2:
            raise HarnessError(f"--text-augment-data {file}, line {number}: {content!r} has no synonym beside it.")
        for word in group:
            if seen.setdefault(word, number) != number:
                raise HarnessError(f"--text-augment-data {file}, line {number}: {word!r} is in line {seen[word]}, too.")
        groups.append(group)
    if not groups:
        raise HarnessError(f"--text-augment-data {file} has no synonyms: write one group a line, separated by commas.")
    return groups


def _synonym_text(file: str) -> str:
    if not file:
        return resources.files("harness.data.features").joinpath("synonyms.txt").read_text(encoding="utf-8")
    return read_text_file(Path(file), f"--text-augment-data {file}", LARGEST_LIST)


def fingerprint_of_synonyms(file: str) -> str:
    """Content hash of a list."""
    return hashlib.sha256(repr(read_synonyms(file)).encode()).hexdigest()[:16]


def check_translation_models(folder: str) -> None:
    """Check that both models of a back-translation are there.

    Raises:
        HarnessError: One is not.
    """
    for direction in TRANSLATIONS:
        if not folder or not (Path(folder) / direction / "config.json").is_file():
            raise HarnessError(
                "--text-augment back-translation needs the weights of two MarianMT models: give --text-augment-data "
                f"DIR, where DIR holds {' and '.join(f'{name}/' for name in TRANSLATIONS)} (for example "
                "Helsinki-NLP/opus-mt-en-de and opus-mt-de-en), each with config.json, weights and tokenizer files"
                + (f"; {folder}/{direction}/config.json is missing." if folder else ".")
            )


def translated_back(captions: Sequence[str], folder: str, number: int, run: Run) -> list[str]:
    """Each caption translated to another language and back; no randomness.

    Args:
        captions: The captions; equal ones are translated once.
        folder: Folder of both models.
        number: Which of the translations back, from 1 for the most probable (the beams of the search, in order).
        run: Device and progress.

    Raises:
        HarnessError: The models cannot be loaded.
    """
    check_translation_models(folder)
    distinct = sorted(set(captions), key=lambda text: (len(text), text))
    there = list(_translations(distinct, Path(folder) / "forward", 1, run, "translation"))
    back = list(_translations(there, Path(folder) / "back", number, run, "translation back"))
    changed = dict(zip(distinct, back, strict=True))
    return [changed[caption] for caption in captions]


def _translations(texts: Sequence[str], folder: Path, number: int, run: Run, phase: str) -> Iterator[str]:
    """The ``number``-th best translation of each text."""
    import torch

    tokenizer, network = _marian(folder)
    network = network.eval().to(run.device)
    beams = max(BEAMS, number)
    longest = min(TRANSLATED_TOKENS, network.config.max_position_embeddings - 1)
    for at in range(0, len(texts), TRANSLATED_AT_ONCE):
        part = list(texts[at : at + TRANSLATED_AT_ONCE])
        tokens = tokenizer(part, padding=True, truncation=True, max_length=longest, return_tensors="pt").to(run.device)
        with torch.inference_mode():
            generated = network.generate(
                **tokens, num_beams=beams, num_return_sequences=number, do_sample=False,
                max_new_tokens=longest,
            )  # fmt: skip
        yield from tokenizer.batch_decode(generated[number - 1 :: number], skip_special_tokens=True)
        run.report(phase=phase, epoch=at + len(part), epochs=len(texts))


def _marian(folder: Path) -> tuple[Any, Any]:
    from harness.runtime.torchvision_operators import make_torchvision_importable

    make_torchvision_importable()
    import transformers

    transformers.logging.disable_progress_bar()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        network = transformers.MarianMTModel.from_pretrained(folder, weights_only=True)
    except Exception as error:  # missing files and packages, wrong architecture: all mean that they do not serve
        raise HarnessError(f"the MarianMT model in {folder} cannot be loaded: {first_line(error)}.") from error
    return tokenizer, network
