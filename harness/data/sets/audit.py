"""What is in a data set that moves results: copies of images and captions, uneven classes, parts."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.raw import RawDataset
from harness.errors import HarnessError

Watch = Callable[[str, int, int], None]

SHOWN = 50
"""Groups of copies that a report lists."""


@dataclass(frozen=True)
class Audited:
    """A data set that is looked at.

    Attributes:
        name: Its name.
        raw: Its images and captions.
        split: (n_images,) split codes.
    """

    name: str
    raw: RawDataset
    split: NDArray[np.int8]


def audit(data: Audited, hashes: Sequence[str], classes: Sequence[str] = ()) -> dict[str, Any]:
    """Everything about one data set.

    Args:
        data: The data set.
        hashes: (n_images,) content hash of each image, of its bytes or of its pixels.
        classes: Names of the classes, where known.

    Returns:
        JSON-serialisable facts; the keys are documented in docs/data.md.
    """
    raw = data.raw
    per_image = np.bincount(raw.caption_image, minlength=len(raw))
    return {
        "name": data.name,
        "images": len(raw),
        "captions": len(raw.captions),
        "parts": _parts(data.split),
        "captions_per_image": {
            str(number): int(count) for number, count in sorted(Counter(per_image.tolist()).items())
        },
        "images_without_captions": int((per_image == 0).sum()),
        "classes": _classes(raw.labels, classes),
        "unlabelled": _unlabelled(raw),
        "duplicate_images": _duplicate_images(data, hashes),
        "duplicate_captions": _duplicate_captions(raw),
    }


def pixel_hashes(raw: RawDataset, watch: Watch = lambda what, done, total: None) -> list[str]:
    """SHA-256 of size and pixels of each decoded image: equal for equal pictures in files that differ.

    Raises:
        HarnessError: An image cannot be decoded.
    """
    hashes = []
    for index in range(len(raw)):
        image = raw.images[index]
        digest = hashlib.sha256(f"{image.size} {image.mode} ".encode())
        digest.update(image.tobytes())
        hashes.append(digest.hexdigest())
        watch("decoding images", index + 1, len(raw))
    return hashes


def shared_images(sets: Mapping[str, tuple[RawDataset, Sequence[str]]]) -> list[dict[str, Any]]:
    """Images that occur in more than one data set.

    Args:
        sets: Name to data and content hashes.

    Returns:
        For each pair of sets that share any: names, how many images of each occur in the other, and some of them.
    """
    names = list(sets)
    shared = []
    for position, one in enumerate(names):
        for other in names[position + 1 :]:
            ours, theirs = sets[one][1], sets[other][1]
            both = set(ours) & set(theirs)
            if not both:
                continue
            where = {digest: index for index, digest in reversed(list(enumerate(theirs)))}
            pairs = [
                [sets[one][0].filenames[index], sets[other][0].filenames[where[digest]]]
                for index, digest in enumerate(ours)
                if digest in both
            ]
            shared.append(
                {
                    "sets": [one, other],
                    "images": [len(pairs), sum(digest in both for digest in theirs)],
                    "examples": pairs[:SHOWN],
                }
            )
    return shared


def _parts(split: NDArray[np.int8]) -> dict[str, int]:
    names = {-1: "unused", 0: "train", 1: "query", 2: "database", 3: "train and database"}
    values, counts = np.unique(split, return_counts=True)
    return {names.get(int(value), str(value)): int(count) for value, count in zip(values, counts, strict=True)}


def _unlabelled(raw: RawDataset) -> int:
    known = getattr(raw, "unlabelled", None)
    if known is not None:
        return int(known.sum())
    return int((raw.labels.sum(axis=1) == 0).sum()) if raw.labels.ndim == 2 else 0


def _classes(labels: NDArray, names: Sequence[str]) -> dict[str, Any]:
    """How many images each class has."""
    if labels.ndim == 2:
        values, counts = np.arange(labels.shape[1]), labels.sum(axis=0)
    else:
        values, counts = np.unique(labels[labels >= 0], return_counts=True)
    named = {
        names[value] if 0 <= value < len(names) else str(value): int(count)
        for value, count in zip(values.tolist(), counts, strict=True)
    }
    used = counts[counts > 0]
    shares = used / used.sum() if len(used) else used
    entropy = float(-(shares * np.log(shares)).sum()) if len(used) > 1 else 0.0
    return {
        "number": len(named),
        "images": named,
        "smallest": int(counts.min()) if len(counts) else 0,
        "largest": int(counts.max()) if len(counts) else 0,
        # 1 where all classes are equally large
        "balance": round(entropy / float(np.log(len(used))), 4) if len(used) > 1 else 1.0,
    }


def _duplicate_images(data: Audited, hashes: Sequence[str]) -> dict[str, Any]:
    """Copies within the set: how many images have one, and how many have one in another part."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, digest in enumerate(hashes):
        groups[digest].append(index)
    copied = [group for group in groups.values() if len(group) > 1]
    across = [group for group in copied if len(set(data.split[group].tolist())) > 1]
    queries = [group for group in across if (data.split[group] == 1).any() and (data.split[group] != -1).all()]
    labels = data.raw.labels
    contradictory = [group for group in copied if any((labels[i] != labels[group[0]]).any() for i in group[1:])]
    return {
        "images": sum(map(len, copied)),
        "groups": len(copied),
        "across_parts": sum(map(len, across)),
        "queries_with_copy_elsewhere": int(sum((data.split[group] == 1).sum() for group in queries)),
        "groups_with_other_labels": len(contradictory),
        "examples": [[data.raw.filenames[index] for index in group] for group in (across or copied)[:SHOWN]],
    }


def _duplicate_captions(raw: RawDataset) -> dict[str, Any]:
    """Captions whose exact words occur elsewhere, too."""
    groups: dict[str, list[int]] = defaultdict(list)
    for row, caption in enumerate(raw.captions):
        groups[" ".join(caption.split())].append(row)
    within = across = classes = 0
    for group in groups.values():
        if len(group) < 2:
            continue
        images = raw.caption_image[group]
        count = Counter(images.tolist())
        within += sum(number for number in count.values() if number > 1)
        if len(count) > 1:
            across += len(group)
            labels = raw.labels[images]
            classes += len(group) if (labels != labels[0]).any() else 0
    total = max(len(raw.captions), 1)
    common = sorted(
        ((len(group), text) for text, group in groups.items() if len(group) > 1), key=lambda pair: (-pair[0], pair[1])
    )
    return {
        "distinct": len(groups),
        "share_elsewhere": round(sum(number for number, _ in common) / total, 4),
        "share_same_image": round(within / total, 4),
        "share_other_image": round(across / total, 4),
        "share_other_class": round(classes / total, 4),
        "most_common": [[text, number] for number, text in common[:5]],
    }


def require_raw(name: str, data: object) -> RawDataset:
    """Images and captions, or a sentence.

    Raises:
        HarnessError: The set is published as features.
    """
    if not isinstance(data, RawDataset):
        raise HarnessError(f"data set {name!r} is published as features: there are no images to audit.")
    return data
