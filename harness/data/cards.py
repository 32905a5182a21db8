"""Dataset cards: one declarative TOML file for each data set (docs/add-a-dataset.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from harness.errors import HarnessError, unknown_name
from harness.files.paths import file_name, pattern_parts, plain_name, relative_parts
from harness.files.toml import line_of, read_toml
from harness.files.unpack import is_archive


def _checked_by(check: Callable[[str, str], object]) -> AfterValidator:
    """A validator that runs a check; its message leaves out the place, which :func:`read_card` adds."""

    def validate(text: str) -> str:
        try:
            check(text, "")
        except HarnessError as error:
            raise PydanticCustomError("name", "{said}", {"said": str(error).removeprefix(": ").rstrip(".")}) from error
        return text

    return AfterValidator(validate)


Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, _checked_by(plain_name)]
PathBelow = Annotated[str, _checked_by(relative_parts)]
Pattern = Annotated[str, _checked_by(pattern_parts)]
Parameter = bool | int | str | list[str]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Expected(_Strict):
    """A file or folder of the layout, for `harness data check`."""

    path: Pattern
    """Below the data set's folder; ``*`` stands for any name within a folder."""
    kind: Literal["file", "folder"] = "file"
    count: Count | None = None
    """How many files the folder, or the ``*``, should have."""
    layout: str = ""
    """For sets that come in several layouts: the one it belongs to; "" belongs to all of them."""
    optional: bool = False
    remark: str = ""


class CardLayout(_Strict):
    """Where the files of a data set lie below the data root."""

    folder: PathBelow
    """Folder below the data root; it may be a link that the user made."""
    other_folders: tuple[PathBelow, ...] = ()
    """Names that the folder also has, as archives are unpacked."""
    annotations: PathBelow = ""
    """File with captions and labels, below ``folder``."""
    other_annotations: tuple[PathBelow, ...] = ()
    """Names that the file also has."""
    images: PathBelow = ""
    """Folder of the images, below ``folder``."""
    other_images: tuple[PathBelow, ...] = ()
    """Names that the folder of the images also has."""
    files: tuple[Expected, ...] = ()
    """All that is expected below ``folder``."""


class Source(_Strict):
    """Something to download."""

    address: str
    file: str = ""
    """Name of the file; the end of the address if empty."""
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    """Of the file, where the publisher or several independent copies agree on it; "" where nobody knows."""
    size: Count | None = None
    """Bytes."""
    unpack: PathBelow = ""
    """Folder, below the data set's, into which an archive is unpacked; "" for the data set's own."""
    kind: Literal["file", "page"] = "file"
    """"page" where a person has to click: a cloud drive, a form."""
    remark: str = ""

    @property
    def by_hand(self) -> bool:
        """Whether a person has to download it."""
        return self.kind == "page" or not self.address

    @property
    def file_name(self) -> str:
        """Name of the file that it gives; "" for a page that gives several."""
        name = self.file or self.address.partition("?")[0].rstrip("/").rpartition("/")[2]
        return "" if self.by_hand and not self.file and not is_archive(name) else name

    @model_validator(mode="after")
    def _has_a_file_name(self) -> Source:
        if self.file_name or not self.by_hand:
            try:
                file_name(self.file_name, "")
            except HarnessError as error:
                said = str(error).removeprefix(": ").rstrip(".")
                raise PydanticCustomError("name", "{said} as 'file'", {"said": said}) from error
        return self


class CardPart(_Strict):
    """A published part."""

    name: Literal["train", "val", "test", "restval"]
    images: Count


class CardProtocol(_Strict):
    """The usual query/database protocol of the set: ``--split protocol``."""

    queries: Count
    training: Annotated[int, Field(ge=0)]
    """Training images within the database; 0: all of it."""
    remark: str = ""


class Backbones(_Strict):
    """Backbones that are used where none is named."""

    image: str
    text: str
    image_weights: str = ""
    text_weights: str = ""


class DatasetCard(_Strict):
    """Facts about a data set and the reader for its layout."""

    name: Name
    title: str
    paper: str
    licence: str
    reader: str
    labels: Literal["single", "multi", "none"]
    classes: Annotated[int, Field(ge=0)]
    """0 where the files alone say it."""
    images: Annotated[int, Field(ge=0)]
    """0 where the files alone say it."""
    captions_per_image: Annotated[int, Field(ge=0)]
    """0 where images have different numbers of captions."""
    image_size: str
    backbones: Backbones | None = None
    """None for data that come as ready features."""
    layout: CardLayout | None = None
    """None for data that need no files."""
    source: str = ""
    """Where the authors publish it: a page for people."""
    bibtex: str = ""
    class_names: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    """What `harness data fetch` can get."""
    parts: tuple[CardPart, ...] = ()
    """Published parts."""
    protocol: CardProtocol | None = None
    split: Literal["paper", "stratified", "published", "protocol"] = "paper"
    """Default of ``--split``."""
    reading: dict[str, Parameter] = {}
    """Parameters of the reader; its module documents them."""
    remark: str = ""

    def other_size(self, images: int) -> str:
        """A remark on data with other numbers of images than the card says; "" where they agree or it says none."""
        if not self.images or images == self.images:
            return ""
        return (
            f"data set {self.name!r} has {images:,} images here, and {self.images:,} by its card: these are a part, "
            "another version, or another data set"
        )

    def reader_parameters(self, known: Mapping[str, Parameter]) -> dict[str, Any]:
        """The parameters of the reader.

        Args:
            known: Name to default; the type of the default is the type asked for.

        Returns:
            Name to value, all of them.

        Raises:
            HarnessError: One is unknown, or of another type.
        """
        values: dict[str, Any] = dict(known)
        for name, value in self.reading.items():
            where = f"dataset card {self.name!r}, table [reading]"
            if name not in known:
                raise HarnessError(f"{where}: {unknown_name(f'parameter of reader {self.reader}', name, known)}")
            if type(value) is not type(known[name]):
                raise HarnessError(f"{where}: {name} = {value!r}, expected {_KINDS[type(known[name])]}.")
            values[name] = value
        return values


_KINDS = {bool: "true or false", int: "a whole number", str: "a text", list: "a list of texts"}


def read_card(path: Path) -> DatasetCard:
    """Read and check a card.

    Raises:
        HarnessError: The file is no TOML, or a key is missing, unknown or of the wrong type; the message names the
            file, the line and the key.
    """
    text, content = read_toml(path, "dataset card")
    try:
        card = DatasetCard.model_validate(content)
    except ValidationError as error:
        raise HarnessError(_told(path, text, error)) from error
    for wanted, given in (("parts", card.parts), ("protocol", card.protocol)):
        if card.split == {"parts": "published"}.get(wanted, wanted) and not given:
            raise HarnessError(f"dataset card {path}: split = {card.split!r} needs the table {wanted!r}.")
    return card


def _told(path: Path, text: str, error: ValidationError) -> str:
    """The first mistake, in one sentence."""
    first = error.errors()[0]
    keys = list(first["loc"])
    key = ".".join(str(part) for part in keys)
    line = line_of(text, keys)
    where = f"dataset card {path}" + (f", line {line}" if line else "")
    if first["type"] == "extra_forbidden":
        unknown = unknown_name("key", str(keys[-1]), _keys_at(keys[:-1]))
        place = f" in {'.'.join(str(part) for part in keys[:-1])!r}" if keys[:-1] else ""
        return f"{where}: {str(unknown).replace(': ', f'{place}: ', 1)}"
    if first["type"] == "missing":
        return f"{where}: key {key!r} is missing."
    return f"{where}: key {key!r}: {first['msg'][:1].lower()}{first['msg'][1:]}."


def _keys_at(location: list[Any]) -> list[str]:
    """The keys that a card may have at a place."""
    tables: dict[str, type[BaseModel]] = {
        "layout": CardLayout, "backbones": Backbones, "sources": Source, "parts": CardPart, "protocol": CardProtocol,
        "files": Expected,
    }  # fmt: skip
    names = [part for part in location if isinstance(part, str)]
    return list((tables[names[-1]] if names else DatasetCard).model_fields)
