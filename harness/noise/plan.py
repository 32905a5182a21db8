"""The noise plan: which caption every training image was given,
saved once and the same for every method of a comparison.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import HarnessError
from harness.files.json_text import parsed_json
from harness.files.npz import read_npz
from harness.plugin.declarations import ProtocolDeclaration
from harness.plugin.interfaces import PairsToCorrupt
from harness.quantities import LARGEST_INTEGER
from harness.runtime.seeding import numpy_generator
from harness.text import shown

FORMAT = 1
OTHER_THAN_INTEGERS = {"trusted": ("b", "bool"), "wrong": ("b", "bool"), "replaced": ("U", "strings")}
"""Numpy kinds of the stored arrays that are not integers, and what to call them."""

PREFIX = "plan_"
"""The arrays of a plan carry this prefix wherever they are stored."""


@dataclass(frozen=True)
class NoisePlan:
    """Which caption each training image was given. Rows are in ascending order of image.

    Attributes:
        image: (n,) int64 number of the image in the data set.
        caption: (n,) int64 caption given to it.
        own_caption: (n,) int64 caption chosen for it, the right one.
        wrong: (n,) bool, or None for natural noise whose mask nobody knows.
        trusted: (n,) bool.
        protocol: Name of the protocol.
        protocol_version: Its version.
        rate: The rate asked for; None where the protocol takes none.
        data_seed: The data seed.
        data_fingerprint: Of the data the numbers refer to.
        replaced: (n,) strings that stand in place of the captions, "" where the caption is as it was; None where no
            word was changed.
    """

    image: NDArray[np.int64]
    caption: NDArray[np.int64]
    own_caption: NDArray[np.int64]
    wrong: NDArray[np.bool_] | None
    trusted: NDArray[np.bool_]
    protocol: str
    protocol_version: int
    rate: float | None
    data_seed: int
    data_fingerprint: str
    replaced: NDArray[np.str_] | None = None

    def __len__(self) -> int:
        return len(self.image)

    @property
    def is_natural(self) -> bool:
        """Each image has its own caption, and that is wrong for some, or nobody knows."""
        untouched = self.replaced is None and bool((self.caption == self.own_caption).all())
        return untouched and (self.wrong is None or bool(self.wrong.any()))

    @property
    def fingerprint(self) -> str:
        """Hash of who got whose caption and who is trusted."""
        digest = hashlib.sha256()
        for array in (self.image, self.caption, self.own_caption, self.trusted):
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(b"unknown" if self.wrong is None else self.wrong.tobytes())
        if self.replaced is not None:
            digest.update("\0".join(self.replaced.tolist()).encode())
        return digest.hexdigest()[:16]

    def arrays(self) -> dict[str, NDArray]:
        """The plan as arrays for an npz file, names prefixed with ``plan_``."""
        header = {
            "format": FORMAT,
            "protocol": self.protocol,
            "protocol_version": self.protocol_version,
            "rate": self.rate,
            "data_seed": self.data_seed,
            "data_fingerprint": self.data_fingerprint,
        }
        stored: dict[str, NDArray] = {
            "image": self.image,
            "caption": self.caption,
            "own_caption": self.own_caption,
            "trusted": self.trusted,
            "header": np.array(json.dumps(header)),
        }
        if self.wrong is not None:
            stored["wrong"] = self.wrong
        if self.replaced is not None:
            stored["replaced"] = self.replaced
        return {PREFIX + name: array for name, array in stored.items()}


def draw_plan(
    protocol: ProtocolDeclaration,
    rate: float | None,
    *,
    image: NDArray[np.int64],
    own_caption: NDArray[np.int64],
    trusted: NDArray[np.bool_],
    trusted_first_order: NDArray[np.int64],
    labels: NDArray[np.bool_] | None,
    given_wrong: NDArray[np.bool_] | None,
    data_seed: int,
    data_fingerprint: str,
    captions: list[str] | None = None,
) -> NoisePlan:
    """Let a protocol decide which pairs become wrong.

    Args:
        protocol: The protocol.
        rate: Share of untrusted pairs to make wrong; None where the protocol takes none.
        image: (n,) training images, ascending.
        own_caption: (n,) the caption chosen for each.
        trusted: (n,) bool.
        trusted_first_order: (n,) all rows in random order, the trusted ones first.
        labels: (n, n_classes) bool or None.
        given_wrong: (n,) bool natural noise of the data, or None.
        data_seed: The data seed.
        data_fingerprint: Stored with the plan.
        captions: All captions of the data, for protocols that edit them; or None.

    Returns:
        The plan.

    Raises:
        HarnessError: The protocol cannot work on these pairs, or broke its contract.
    """

    def stream(name: str) -> np.random.Generator:
        return numpy_generator(data_seed, f"noise/{name}")

    order = stream("order").permutation(len(image))
    pairs = PairsToCorrupt(
        untrusted_order=order[~trusted[order]],
        trusted_first_order=trusted_first_order,
        labels=labels if protocol.labels else None,
        given_wrong=given_wrong,
        stream=stream,
        captions=None if captions is None or not protocol.edits_captions else [captions[row] for row in own_caption],
    )
    answer = protocol.load()(pairs, 0.0 if rate is None else rate)
    source, texts = answer if protocol.edits_captions else (answer, None)
    source, replaced = np.asarray(source), _replaced(texts)
    who = f"protocol {protocol.name!r} of plugin {protocol.plugin!r}"
    if (
        source.shape != (len(image),)
        or source.dtype.kind not in "iu"
        or (len(source) and not 0 <= source.min() <= source.max() < len(image))
    ):
        raise HarnessError(
            f"{who} must return ({len(image)},) row numbers below {len(image)}; it returned {source.dtype} "
            f"{source.shape}."
        )
    if replaced is not None and replaced.shape != (len(image),):
        raise HarnessError(
            f"{who} must return {len(image)} texts, None for captions that stay; it returned {len(replaced)}."
        )
    moved = source != np.arange(len(image))
    if replaced is not None:
        moved |= replaced != ""
    if not protocol.touches_trusted and (moved & trusted).any():
        raise HarnessError(
            f"{who} made {int((moved & trusted).sum())} trusted pairs wrong without declaring touches_trusted=True."
        )
    wrong = moved if given_wrong is None else moved | given_wrong
    if not protocol.takes_rate and given_wrong is None:
        wrong_or_unknown = None
    else:
        wrong_or_unknown = wrong
    return NoisePlan(
        image, own_caption[source], own_caption, wrong_or_unknown, trusted, protocol.name, protocol.version, rate,
        data_seed, data_fingerprint, replaced,
    )  # fmt: skip


def _replaced(texts: Sequence[str | None] | None) -> NDArray[np.str_] | None:
    """Strings as an array, "" for None; None if no caption was edited."""
    if texts is None or not any(texts):
        return None
    return np.array([text or "" for text in texts], dtype=np.str_)


def read_plan(path: Path) -> NoisePlan:
    """Read a plan from an npz file: one that was exported, or the ``arrays.npz`` of a run.

    Raises:
        HarnessError: The file is missing, no npz, or holds no plan.
    """
    stored = read_npz(path, "--noise-plan", lambda name: name.startswith(PREFIX))
    arrays = {name.removeprefix(PREFIX): array for name, array in stored.items()}
    needed = ["image", "caption", "own_caption", "trusted", "header"]
    missing = [PREFIX + name for name in needed if name not in arrays]
    if missing:
        raise HarnessError(f"--noise-plan {path} holds no noise plan: {', '.join(missing)} missing.")
    header = _header(path, arrays["header"])
    n = arrays["image"].size
    for name in ("image", "caption", "own_caption", "trusted", "wrong", "replaced"):
        kinds, meaning = OTHER_THAN_INTEGERS.get(name, ("iu", "integers"))
        if name in arrays and (arrays[name].shape != (n,) or arrays[name].dtype.kind not in kinds):
            raise HarnessError(
                f"--noise-plan {path}: {PREFIX}{name} must be ({n},) {meaning}, not {arrays[name].dtype} "
                f"{arrays[name].shape}."
            )
    return NoisePlan(
        image=arrays["image"].astype(np.int64),
        caption=arrays["caption"].astype(np.int64),
        own_caption=arrays["own_caption"].astype(np.int64),
        wrong=arrays.get("wrong"),
        trusted=arrays["trusted"],
        replaced=arrays.get("replaced"),
        **header.model_dump(exclude={"format"}),
    )


class _Header(BaseModel):
    """What a stored plan says of itself."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    format: int
    protocol: str
    protocol_version: int
    rate: Annotated[float, Field(ge=0, le=1)] | None
    data_seed: Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]
    data_fingerprint: str


def _header(path: Path, stored: NDArray) -> _Header:
    try:
        content = parsed_json(str(stored))
        if not isinstance(content, dict) or "format" not in content:
            raise ValueError
    except ValueError:
        raise HarnessError(f"--noise-plan {path}: its header is damaged.") from None
    if content["format"] != FORMAT:
        raise HarnessError(f"--noise-plan {path} has format {shown(content['format'])}; this version reads {FORMAT}.")
    missing = set(_Header.model_fields) - set(content)
    if missing:
        raise HarnessError(f"--noise-plan {path}: its header lacks {', '.join(sorted(missing))}.")
    try:
        return _Header.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise HarnessError(
            f"--noise-plan {path}: its header is damaged at {shown(first['loc'][0])}: {first['msg']}."
        ) from error


def realised_rates(
    plan: NoisePlan,
    caption_image: NDArray[np.int64],
    labels: NDArray[np.bool_] | None,
    captions: list[str] | None,
) -> dict[str, float | None]:
    """How much noise there really is.

    Args:
        plan: The plan.
        caption_image: (n_captions,) the image of each caption.
        labels: (n_images, n_classes) bool, or None.
        captions: The caption strings, or None.

    Returns:
        ``requested``; over the untrusted pairs the share whose caption is of another image (``realised_index``, or the
        known mask for natural noise), of an image without shared label (``realised_class``), or another string than the
        own one (``realised_text``); and ``realised_all``, the index share over all training pairs. None where it is not
        known.
    """
    untrusted = ~plan.trusted

    def share(mask: NDArray[np.bool_] | None, among: NDArray[np.bool_]) -> float | None:
        return None if mask is None or not among.any() else float(mask[among].mean())

    changed_text = None
    if captions is not None and not plan.is_natural:
        strings = np.asarray(captions, dtype=np.str_)
        given = strings[plan.caption]
        if plan.replaced is not None:
            given = np.where(plan.replaced != "", plan.replaced, given)
        changed_text = given != strings[plan.own_caption]
    return {
        "requested": plan.rate,
        "realised_index": share(plan.wrong, untrusted),
        "realised_class": share(class_changed(plan, caption_image, labels), untrusted),
        "realised_text": share(changed_text, untrusted),
        "realised_all": share(plan.wrong, np.ones(len(plan), dtype=bool)),
    }


def class_changed(
    plan: NoisePlan, caption_image: NDArray[np.int64], labels: NDArray[np.bool_] | None
) -> NDArray[np.bool_] | None:
    """(n,) bool: the caption given belongs to an image that shares no label; None without labels or for natural noise.

    Natural noise gives an image its own caption, so labels say nothing about it.
    """
    if labels is None or plan.is_natural:
        return None
    moved = plan.caption != plan.own_caption
    return moved & ~(labels[plan.image] & labels[caption_image[plan.caption]]).any(axis=1)
