"""Where a data set lies below a data root, and whether its files are there; light enough for listings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.files.paths import path_below, pattern_parts, relative_parts
from harness.files.toml import read_toml

LAYOUT = "[layout] of a dataset card"
"""Where names of files and folders come from, for messages."""


def card_content(path: Path) -> dict[str, Any]:
    """The content of a card without its schema, which would cost the import of pydantic.

    Raises:
        HarnessError: It cannot be read or is no TOML.
    """
    return read_toml(path, "dataset card")[1]


def own_folder(root: Path, name: str) -> Path:
    """The folder of a data set by one of its names; the user may have made it a link to wherever the data are.

    Raises:
        HarnessError: The name is no relative path.
    """
    return root.joinpath(*relative_parts(name, LAYOUT))


def names_of_folder(layout: Mapping[str, Any]) -> list[str]:
    """The name that the data set's folder should have, then others that it also has."""
    return [str(layout.get("folder", ".")), *map(str, layout.get("other_folders", ()))]


def find_folder(layout: Mapping[str, Any], root: Path | None) -> Path | None:
    """The folder of a data set.

    Args:
        layout: Table ``[layout]`` of its card.
        root: The data root, or the data set's own folder.

    Returns:
        The folder; None if it is not there.

    Raises:
        HarnessError: A name in the card is no path below the root.
    """
    if root is None:
        return None
    for name in names_of_folder(layout):
        if (folder := own_folder(root, name)).is_dir():
            return folder
    annotations = str(layout.get("annotations", ""))
    files = [str(entry.get("path", "")) for entry in layout.get("files", ())]
    # Only looked for: what is read goes through path_below, and a link of that name may belong to something else.
    own = [path for path in (annotations, *files) if path and "*" not in path and own_folder(root, path).is_file()]
    own += [path for path in files if path.startswith("*.") and next(found_below(root, path), None)]  # of any name
    return root if own or (root.name in names_of_folder(layout) and root.is_dir()) else None


def found_word(card: Mapping[str, Any], root: Path | None) -> str:
    """``made on the spot``, ``any folder``, ``yes``, ``in part``, ``no`` or ``no data root``: are the files there?

    Raises:
        HarnessError: The layout is not as a card's should be.
    """
    try:
        return _found_word(card, root)
    except (AttributeError, KeyError, TypeError) as error:
        raise HarnessError(f"{LAYOUT} is not as it should be: `harness data info` says what is wrong.") from error


def _found_word(card: Mapping[str, Any], root: Path | None) -> str:
    layout = card.get("layout")
    if layout is None:
        return "made on the spot"
    if str(layout.get("folder", ".")) == ".":
        return "any folder"
    if root is None:
        return "no data root"
    folder = find_folder(layout, root)
    if folder is None:
        return "no"
    shares = [_share(folder, names) for names in _wanted(layout)]
    best = max(shares, default=1.0)
    return "yes" if best == 1 else "in part" if best > 0 else "no"


def looked_for(root: Path, pattern: str) -> Iterator[Path]:
    """What there is of a path, in which ``*`` stands for any name within a folder; links may lead anywhere.

    Raises:
        HarnessError: It is no relative path.
    """
    return root.glob("/".join(pattern_parts(pattern, LAYOUT)))


def found_below(folder: Path, pattern: str) -> Iterator[Path]:
    """As :func:`looked_for`, in the folder of a data set.

    Raises:
        HarnessError: It leads out of the folder.
    """
    path_below(folder, pattern, LAYOUT)
    return looked_for(folder, pattern)


def alternatives(layout: Mapping[str, Any], path: str) -> list[str]:
    """A path of the layout, then the names that it also has."""
    others = {
        str(layout.get("annotations", "")): layout.get("other_annotations", ()),
        str(layout.get("images", "")): layout.get("other_images", ()),
    }
    return [path, *map(str, others.get(path, ()))]


def _wanted(layout: Mapping[str, Any]) -> list[list[list[str]]]:
    """For each layout that the set comes in, what must be there; of each thing all names that it has."""
    files = [entry for entry in layout.get("files", ()) if not entry.get("optional")]
    if not files:
        files = [{"path": layout[key]} for key in ("annotations", "images") if layout.get(key)]
    variants = list(dict.fromkeys(str(entry["layout"]) for entry in files if entry.get("layout"))) or [""]
    return [
        [alternatives(layout, str(entry["path"])) for entry in files if str(entry.get("layout", "")) in ("", variant)]
        for variant in variants
    ]


def _share(folder: Path, wanted: list[list[str]]) -> float:
    """How much of what is wanted is there, from 0 to 1."""
    there = [any(next(found_below(folder, name), None) is not None for name in names) for names in wanted]
    return sum(there) / len(there) if there else 1.0
