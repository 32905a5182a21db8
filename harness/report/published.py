"""Numbers that papers print, as facts that plugins carry, to stand beside our own: ``published.toml``.

One file for one paper; docs/published.md shows the layout. A number is stored as it is printed, with the table or file
where it stands and everything that must be equal for a comparison: data set, split, noise, trusted share, features,
metric, code length. Which method of ours it belongs to is said once for each row of the paper.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.cells.methods import resolve_method
from harness.cells.request import DEFAULT_PRESET, MethodRequest
from harness.errors import HarnessError, unknown_name
from harness.files.toml import Key, line_of, read_toml
from harness.plugin.metric_ids import DIRECTIONS, declared_metric

if TYPE_CHECKING:
    from harness.plugin.declarations import PublishedDeclaration
    from harness.plugin.loading import Registry

_NUMBER = re.compile(r"\d*\.?\d+")

ABSENT = ("-", "/")
"""What stands for a value that the paper does not print."""


@dataclass(frozen=True)
class PublishedNumber:
    """One number of a paper.

    Attributes:
        value: The number.
        printed: As it is printed, "0.8230" say.
        dataset: Name of the card.
        direction: "i2t", "t2i", "i2i" or "t2t".
        metric: Id of our metric that computes the same, "map_relevant@20" say.
        metric_printed: What the paper calls it.
        bits: Code length.
        noise: Nominal rate of wrong training pairs.
        protocol: Name of our noise protocol; "" where there is no noise.
        trusted: Share of trusted training pairs; None where nobody says.
        split: Name of our split, or in words where we have none like it.
        features: What was hashed, in words.
        backbones: Modality to the backbone of ours that makes these features; empty where none does.
        method: As printed.
        corresponds_to: Method of ours, or "" for none.
        preset: Its preset.
        parameters: What else differs from its defaults, as for ``--set``.
        row: Name of its row in our tables; "" where the method is not registered here.
        paper: Reference.
        address: Where to read it.
        source: Table or file within it.
        remark: What else should be known.
        name: Name that the file was registered under.
    """

    value: float
    printed: str
    dataset: str
    direction: str
    metric: str
    metric_printed: str
    bits: int
    noise: float
    protocol: str
    trusted: float | None
    split: str
    features: str
    backbones: Mapping[str, str]
    method: str
    corresponds_to: str
    preset: str
    parameters: Mapping[str, str]
    paper: str
    address: str
    source: str
    remark: str = ""
    row: str = ""
    name: str = ""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Paper(_Strict):
    """The paper whose numbers are quoted."""

    title: str
    """Reference: authors, title, venue, year."""
    address: str
    remark: str = ""


class Correspondence(_Strict):
    """The method of ours behind a row of the paper."""

    corresponds_to: str
    preset: str = DEFAULT_PRESET
    parameters: dict[str, bool | int | float | str] = Field(default={})


class Facts(_Strict):
    """The settings of all numbers of a table."""

    source: str
    dataset: str
    metric: str
    metric_printed: str = ""
    bits: int | None = None
    noise: float | None = None
    protocol: str = ""
    trusted: float | None = None
    split: str
    features: str
    backbones: dict[Literal["image", "text"], str] = {}
    columns: Literal["noise", "bits"]
    values: list[float]
    remark: str = ""
    methods: dict[str, Correspondence] = {}
    """Where this table's rows belong to other presets than elsewhere in the file."""
    i2t: dict[str, str] = {}
    t2i: dict[str, str] = {}
    i2i: dict[str, str] = {}
    t2t: dict[str, str] = {}


class PublishedFile(_Strict):
    """A ``published.toml``."""

    paper: Paper
    methods: dict[str, Correspondence] = {}
    common: dict[str, Any] = {}
    table: list[dict[str, Any]]


@dataclass
class _File:
    """A file that is being read, for messages with lines."""

    path: Path
    text: str
    numbers: list[PublishedNumber] = field(default_factory=list)

    def error(self, message: str, *keys: Key) -> HarnessError:
        line = line_of(self.text, keys) if keys else None
        return HarnessError(f"published numbers {self.path}{f', line {line}' if line else ''}: {message}")

    def told(self, error: ValidationError, place: Sequence[Key], tables: Mapping[str, type[BaseModel]]) -> HarnessError:
        """The first mistake that a schema found, in one sentence."""
        # A misspelt key is unknown, and the right one missing: the former says more.
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        keys = [*place, *first["loc"]]
        key = str(keys[-1])
        if first["type"] == "extra_forbidden":
            names = [part for part in keys[:-1] if isinstance(part, str)]
            model = tables.get(names[0] if names else "", PublishedFile)
            return self.error(str(unknown_name("key", key, model.model_fields)), *keys)
        if first["type"] == "missing":
            within = f"{place[0]} {int(place[1]) + 1}" if len(place) == 2 else ".".join(map(str, keys[:-1]))
            return self.error(f"key {key!r}{f' of {within}' if within else ''} is missing.", *keys[:-1])
        dotted = ".".join(str(part) for part in keys)
        return self.error(f"key {dotted!r}: {first['msg'][:1].lower()}{first['msg'][1:]}.", *keys)


_TABLES: dict[str, type[BaseModel]] = {
    "paper": Paper, "methods": Correspondence, "common": Facts, "table": Facts,
}  # fmt: skip


def read_published(path: Path, name: str = "") -> list[PublishedNumber]:
    """Read and check a file of published numbers.

    Args:
        path: The file.
        name: Name that it was registered under.

    Returns:
        The numbers in the order of the file, without :attr:`PublishedNumber.row`.

    Raises:
        HarnessError: It cannot be read, a key is missing, unknown or of the wrong type, a row has other values than
            columns, an entry is no number, or one number stands there twice; the message names the file and the line.
    """
    text, raw = read_toml(path, "published numbers")
    file = _File(path, text)
    try:
        content = PublishedFile.model_validate(raw)
    except ValidationError as error:
        raise file.told(error, (), _TABLES) from error
    unknown = sorted(set(content.common) - set(Facts.model_fields))
    if unknown:
        raise file.error(str(unknown_name("key", unknown[0], Facts.model_fields)), "common", unknown[0])
    used: set[str] = set()
    for at, own in enumerate(content.table):
        try:
            facts = Facts.model_validate({**content.common, **own})
        except ValidationError as error:
            place = ("common",) if error.errors()[0]["loc"][0] in set(content.common) - set(own) else ("table", at)
            raise file.told(error, place, _TABLES) from error
        used |= _read_table(file, content, facts, at, name)
    _check_used(file, content.methods, used, "methods")
    return file.numbers


def _place_of(content: PublishedFile, at: int, key: str) -> tuple[Key, ...]:
    """Where a table has a key: itself or in [common]."""
    return ("table", at, key) if key in content.table[at] else ("common", key)


def _check_used(file: _File, methods: Mapping[str, Correspondence], used: set[str], *place: Key) -> None:
    """Refuse a correspondence that belongs to no row.

    Raises:
        HarnessError: One is not; its name is misspelt.
    """
    for method in methods:
        if method not in used:
            raise file.error(str(unknown_name("row of the tables", method, used)), *place, method)


def _read_table(file: _File, content: PublishedFile, facts: Facts, at: int, name: str) -> set[str]:
    """Add the numbers of one table; returns the methods that it names."""
    other = "bits" if facts.columns == "noise" else "noise"
    if getattr(facts, other) is None:
        raise file.error(f"its columns are {facts.columns}: key {other!r} is missing.", "table", at)
    if facts.columns == "bits" and any(value != int(value) for value in facts.values):
        raise file.error("code lengths in 'values' must be whole numbers.", *_place_of(content, at, "values"))
    rows = {direction: getattr(facts, direction) for direction in DIRECTIONS}
    if not any(rows.values()):
        raise file.error(f"it has no rows: give them in [table.{DIRECTIONS[0]}] or the like.", "table", at)
    if not facts.protocol and (facts.columns == "noise" or facts.noise):
        raise file.error("key 'protocol' is missing: there is noise.", "table", at)
    known = {
        (one.dataset, one.direction, one.metric, one.bits, one.noise, one.source, one.method) for one in file.numbers
    }
    for direction, methods in rows.items():
        for method, entries in methods.items():
            place = ("table", at, direction, method)
            words = entries.split()
            if len(words) != len(facts.values):
                raise file.error(
                    f"{method!r} has {len(words)} numbers for {len(facts.values)} columns ({facts.columns} "
                    f"{', '.join(f'{value:g}' for value in facts.values)}); '-' stands for one that is not printed.",
                    *place,
                )
            its = {**content.methods, **facts.methods}.get(method)
            for value, word in zip(facts.values, words, strict=True):
                if word in ABSENT:
                    continue
                if not _NUMBER.fullmatch(word):
                    raise file.error(f"{method!r}: {word!r} is no number; write it as printed, such as 0.823.", *place)
                number = PublishedNumber(
                    value=float(word),
                    printed=word,
                    dataset=facts.dataset,
                    direction=direction,
                    metric=facts.metric,
                    metric_printed=facts.metric_printed or facts.metric,
                    bits=int(value) if facts.columns == "bits" else facts.bits or 0,
                    noise=value if facts.columns == "noise" else facts.noise or 0.0,
                    protocol=facts.protocol,
                    trusted=facts.trusted,
                    split=facts.split,
                    features=facts.features,
                    backbones=MappingProxyType(dict(facts.backbones.items())),
                    method=method,
                    corresponds_to=its.corresponds_to if its else "",
                    preset=its.preset if its else DEFAULT_PRESET,
                    parameters=MappingProxyType({key: _text(v) for key, v in its.parameters.items()} if its else {}),
                    paper=content.paper.title,
                    address=content.paper.address,
                    source=facts.source,
                    remark=" ".join(text for text in (facts.remark, content.paper.remark) if text),
                    name=name,
                )
                key = (
                    number.dataset, number.direction, number.metric, number.bits, number.noise, number.source, method,
                )  # fmt: skip
                if key in known:
                    raise file.error(f"{method!r} at {facts.columns} {value:g} stands there twice.", *place)
                known.add(key)
                file.numbers.append(number)
    used = {method for methods in rows.values() for method in methods}
    _check_used(file, facts.methods, used, "table", at, "methods")
    return used


def _text(value: bool | int | float | str) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def load_published(registry: Registry, problems: list[str] | None = None) -> list[PublishedNumber]:
    """All numbers that plugins carry, checked against what is registered.

    Args:
        registry: What is registered.
        problems: Gets one sentence for each file that is wrong, and the others are read; None raises.

    Returns:
        The numbers, file by file; :attr:`PublishedNumber.row` is the row of our tables where its method is registered.

    Raises:
        HarnessError: A file is wrong, and there is no ``problems``.
    """
    numbers: list[PublishedNumber] = []
    for declaration in registry.all("published"):
        try:
            numbers += numbers_of(registry, declaration)  # type: ignore[arg-type]
        except HarnessError as error:
            if problems is None:
                raise
            problems.append(str(error))
    return numbers


def numbers_of(registry: Registry, declaration: PublishedDeclaration) -> list[PublishedNumber]:
    """The numbers of one file, with the rows of our tables.

    Raises:
        HarnessError: The file is wrong, a metric is unknown, a value cannot be one of it, or a preset or parameter of a
            registered method does not exist.
    """
    path = declaration.numbers
    numbers = read_published(path, declaration.name)
    rows: dict[tuple[str, str, tuple[tuple[str, str], ...]], str] = {}
    metrics: dict[str, Any] = {}
    methods = set(registry.names("method"))
    for number in numbers:
        try:
            if number.metric not in metrics:
                metrics[number.metric] = declared_metric(registry, number.metric)
            bounds = metrics[number.metric].bounds
            if bounds and not bounds[0] <= number.value <= bounds[1]:
                raise HarnessError(
                    f"{number.printed} of {number.method!r} is outside of {bounds[0]:g} to {bounds[1]:g}, where "
                    f"{number.metric} lies; percentages are divided by 100."
                )
            key = number.corresponds_to, number.preset, tuple(number.parameters.items())
            if key not in rows and number.corresponds_to in methods:
                request = MethodRequest(number.corresponds_to, preset=number.preset, settings=number.parameters)
                rows[key] = resolve_method(registry, request).row
        except HarnessError as error:
            raise HarnessError(f"published numbers {path}: {error}") from error
    return [
        replace(number, row=rows.get((number.corresponds_to, number.preset, tuple(number.parameters.items())), ""))
        for number in numbers
    ]
