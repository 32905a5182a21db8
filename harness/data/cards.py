"""Dataset cards: one declarative TOML file for each data set."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.errors import HarnessError


class Layout(BaseModel):
    """Where the files of a data set lie below the data root."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str
    """Folder below the data root."""
    annotations: str
    """File with captions and labels, below ``folder``."""
    images: str
    """Folder of the images, below ``folder``."""


class Backbones(BaseModel):
    """Backbones that are used where none is named."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str
    text: str
    image_weights: str = ""
    text_weights: str = ""


class DatasetCard(BaseModel):
    """Facts about a data set and the reader for its layout."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    paper: str
    licence: str
    reader: str
    labels: Literal["single", "multi"]
    classes: int
    images: int
    captions_per_image: int
    image_size: str
    backbones: Backbones
    layout: Layout | None = None
    """None for data that need no files."""
    source: str = ""
    """Where the authors publish it."""


def read_card(path: Path) -> DatasetCard:
    """Read and check a card.

    Raises:
        HarnessError: The file is no TOML, or a key is missing, unknown or of the wrong type.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return DatasetCard.model_validate(content)
    except OSError as error:
        raise HarnessError(f"dataset card {path} cannot be read: {error.strerror}.") from error
    except tomllib.TOMLDecodeError as error:
        raise HarnessError(f"dataset card {path} is no TOML: {error}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise HarnessError(f"dataset card {path}: key {key!r}: {first['msg']}.") from error
