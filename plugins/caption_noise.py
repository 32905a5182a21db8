"""Noise protocols beyond exchanged captions: hard ones within a class, changed words, mixtures, published index files.

All take their wrong pairs from the front of one random order of the untrusted pairs, so that masks are nested over
rates, and what a wrong pair gets does not depend on the rate.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NoReturn

from harness import HarnessError, hookimpl
from harness.plugin.hookspecs import RegisterProtocol
from harness.plugin.interfaces import PairsToCorrupt

if TYPE_CHECKING:
    import numpy

EDITED_SHARE = 0.5
"""Share of the words of a caption that ``word`` changes, at least one."""


def within_class(pairs: PairsToCorrupt, rate: float) -> numpy.ndarray:
    """Wrong captions that are hard to tell: each comes from another training image that shares a label.

    Drawn with replacement; a pair that shares its labels with no other is passed over.

    Raises:
        HarnessError: The data have no labels, or too few pairs have company.
    """
    import numpy as np

    if pairs.labels is None:
        raise HarnessError("protocol 'within-class' needs class labels, and the data have none: use derangement.")
    source = np.arange(len(pairs))
    count = round(rate * len(pairs.untrusted_order))
    chance = pairs.stream("within-class").random(len(pairs))  # one number for each row, whatever the rate
    done = 0
    for row in pairs.untrusted_order:
        if done == count:
            break
        mates = np.flatnonzero((pairs.labels & pairs.labels[row]).any(axis=1))
        mates = mates[mates != row]
        if len(mates):
            source[row] = mates[int(chance[row] * len(mates))]
            done += 1
    if done < count:
        raise HarnessError(
            f"protocol 'within-class': {count} wrong pairs are asked for, and {done} untrusted pairs share a "
            "label with another: lower --noise."
        )
    return source


def word(pairs: PairsToCorrupt, rate: float) -> tuple[numpy.ndarray, list[str | None]]:
    """Half of the words of round(rate * n_untrusted) captions are dropped, swapped with another, or replaced.

    Replacements come from the words of the training captions, as often as they occur there. The edited texts go through
    the text backbone like any caption, and are stored in the noise plan.

    Raises:
        HarnessError: The captions are not there as text.
    """
    import numpy as np

    wrong = pairs.untrusted_order[: round(rate * len(pairs.untrusted_order))]
    return np.arange(len(pairs)), _edited(pairs, wrong, "word")


def mixed(pairs: PairsToCorrupt, rate: float) -> tuple[numpy.ndarray, list[str | None]]:
    """Of any four wrong pairs two get captions of any other training images, one a caption of the own class, and one
    its own caption with words changed.

    Raises:
        HarnessError: No labels, no captions as text, or a single training pair.
    """
    import numpy as np

    if pairs.labels is None:
        raise HarnessError("protocol 'mixed' needs class labels, and the data have none: use --protocol word.")
    n, source = len(pairs), np.arange(len(pairs))
    wrong = pairs.untrusted_order[: round(rate * len(pairs.untrusted_order))]
    if len(wrong) and n < 2:
        raise HarnessError("protocol 'mixed' needs at least two training pairs.")
    chance = pairs.stream("mixed").random(n)
    edited = []
    for place, row in enumerate(wrong):
        mates = np.flatnonzero((pairs.labels & pairs.labels[row]).any(axis=1))
        mates = mates[mates != row]
        if place % 4 == 3:
            edited.append(row)
        elif place % 4 == 1 and len(mates):
            source[row] = mates[int(chance[row] * len(mates))]
        else:
            source[row] = (row + 1 + int(chance[row] * (n - 1))) % n
    return source, _edited(pairs, edited, "mixed")


def index_file(pairs: PairsToCorrupt, rate: float) -> NoReturn:
    """Published index files come with ``--noise-plan FILE.npy``; nothing can be drawn."""
    raise HarnessError("protocol 'index-file' reads a published index file: add --noise-plan FILE.npy.")


def _edited(pairs: PairsToCorrupt, rows: Iterable[int], protocol: str) -> list[str | None]:
    """For each of all rows its changed caption, or None."""
    texts: list[str | None] = [None] * len(pairs)
    if pairs.captions is None:
        raise HarnessError(f"protocol {protocol!r} changes words of captions, and the data hold none as text.")
    seeds = pairs.stream(f"{protocol}/words").integers(2**63, size=len(pairs))  # for each row, whatever the rate
    words = [word for caption in pairs.captions for word in caption.split()]
    for row in rows:
        texts[row] = edit_words(pairs.captions[row], words, int(seeds[row]))
    return texts


def edit_words(caption: str, words: list[str], seed: int) -> str:
    """A caption with some of its words dropped, swapped or replaced, never as it was.

    Args:
        caption: The caption.
        words: Where replacements come from.
        seed: Of the changes.

    Returns:
        The changed caption, of at least one word.

    Raises:
        HarnessError: There is no other word to put in.
    """
    import numpy as np

    random = np.random.default_rng(seed)
    before = caption.split()
    after = list(before) or [""]
    for _ in range(max(1, round(EDITED_SHARE * len(after)))):
        at = int(random.integers(len(after)))
        kind = ("drop", "swap", "replace")[int(random.integers(3))] if len(after) > 1 else "replace"
        if kind == "drop":
            del after[at]
        elif kind == "swap":
            other = int(random.integers(len(after)))
            after[at], after[other] = after[other], after[at]
        else:
            after[at] = words[int(random.integers(len(words)))]
    if after == before:
        others = sorted(set(words) - set(before))
        if not others:
            raise HarnessError(f"caption {caption!r} cannot be changed: the training captions have no other word.")
        after[int(random.integers(len(after)))] = others[int(random.integers(len(others)))]
    return " ".join(after)


@hookimpl
def register_protocols(register: RegisterProtocol) -> None:
    """Register them."""
    here = "harness_plugins.caption_noise:"
    register(
        "within-class", here + "within_class", labels=True,
        summary="hard: each wrong caption comes from another image that shares a label, drawn with replacement",
    )  # fmt: skip
    register(
        "word", here + "word", edits_captions=True,
        summary="half of the words of a wrong caption dropped, swapped or replaced; raw captions only",
    )  # fmt: skip
    register(
        "mixed", here + "mixed", labels=True, edits_captions=True,
        summary="half of the wrong captions from any image, a quarter within the class, a quarter with other words",
    )  # fmt: skip
    register(
        "index-file", here + "index_file",
        summary="a published index file (NCR, DECL, RCL), given with --noise-plan FILE.npy",
        paper="Huang et al., NCR, NeurIPS 2021; Hu et al., RCL, TPAMI 2023",
    )  # fmt: skip
