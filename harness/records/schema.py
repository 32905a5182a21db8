"""The layout of ``record.json``, checked when it is written and read; older layouts are brought to this one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from harness.cells.cell import MOST_BITS, SCHEMA
from harness.errors import HarnessError
from harness.quantities import LARGEST_INTEGER
from harness.text import shown


def _moment(text: str) -> str:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or moment.year < 1970:
        raise ValueError("expected a date and time since 1970 with its time zone")
    return text


Hash = Annotated[str, Field(pattern="^[0-9a-f]{12}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]
Moment = Annotated[str, AfterValidator(_moment)]
"""A moment in ISO 8601."""

Status = Literal["ok", "failed", "timeout", "oom", "invalid"]


class CellFacts(BaseModel):
    """What was run; see docs/protocols-and-metrics.md for the meaning of each field."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    row: str
    """Name of the table row: the method and what differs from its defaults."""
    method: str
    preset: str
    hasher: str
    detector: str
    objective: str | None
    dataset: str
    noise: Share | None
    """Rate asked for, over the untrusted training pairs; None for natural noise."""
    protocol: str | None
    trusted: Share | None
    """Share of trusted training pairs: asked for, or what the data bring."""
    bits: Annotated[int, Field(ge=1, le=MOST_BITS)]
    seed: Count | None
    data_seed: Count | None
    split: str = "paper"
    """Who is training, query and database image: "given" where features bring it."""
    validation: Share | None = None
    """Share of the training images that are the queries, for tuning."""
    relevance: str = "label"
    """What counts as right: "label" or "instance"."""
    drop_duplicates: bool = False
    copies: list[str] = []
    """Images that are copies of one in another part, some of them; left out with ``drop_duplicates``."""
    revisions: dict[str, str] = {}
    """Modality to the commit of its weights, where they are named after a repository of a hub."""
    standardise: str | None
    precision: str | None
    """What was computed in: "fp32", "bf16" or "tf32"; None for codes of another program."""
    precisions: tuple[str, ...] = ("fp32",)
    """What the method can compute in. With fp32 alone its numbers are the same whatever ``--precision`` asks for."""
    limit: Count | None
    """Images kept by ``--limit``; such records never enter tables."""
    granted: list[str]
    """Class labels, noise mask or source order, where the method declared that it needs them."""
    parameters: dict[str, Any]
    backbones: dict[str, Any]
    images: dict[str, Count]
    """Numbers of training pairs, trusted ones, queries and database items."""


class Failure(BaseModel):
    """Why a cell failed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    message: str
    traceback: list[str]
    """Last lines of the traceback; empty for a mistake of the user."""
    log: list[str] = []
    """Last lines of the cell's log."""


class RunRecord(BaseModel):
    """All that is stored of a finished cell, except its arrays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_: int = SCHEMA
    hash: Hash
    status: Status
    cell: CellFacts
    metrics: dict[str, Any]
    metric_definitions: dict[str, str]
    queries: dict[str, Count]
    identity: dict[str, Any]
    """What the hash is computed from."""
    plan: str | None
    """Fingerprint of the noise plan."""
    notes: list[str]
    timings: dict[str, FiniteFloat]
    """Wall-clock seconds of each stage."""
    cost: dict[str, Any]
    """What the cell took (docs/protocols-and-metrics.md); empty for failed cells and codes of another program."""
    attempt: Count = 1
    """2 for a cell that ran out of device memory beside others and was tried again alone."""
    environment: dict[str, Any]
    started: Moment
    finished: Moment
    command: str
    """A command that repeats just this cell; empty for codes of another program."""
    error: Failure | None

    def to_json(self) -> dict[str, Any]:
        """The record as written, with the key ``schema`` first."""
        content = self.model_dump(mode="json")
        return {"schema": content.pop("schema_"), **content}


def record_from_json(content: dict[str, Any]) -> RunRecord:
    """The record in the JSON that :meth:`RunRecord.to_json` made.

    Raises:
        ValueError: A key is missing, unknown, of the wrong type or out of bounds, or the schema is none of ours.
    """
    content = migrated(content)
    try:
        return RunRecord.model_validate({"schema_": content.pop("schema"), **content})
    except ValidationError as error:
        raise ValueError(first_mistake(error)) from error


def _from_1(content: dict[str, Any]) -> dict[str, Any]:
    """Content of schema 1 as schema 2, which added ``cost``."""
    return {**content, "cost": {}}


_STEPS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1}
"""Version of the schema to the function that turns its content into that of the next version."""


def migrated(content: dict[str, Any]) -> dict[str, Any]:
    """A record in the layout of this version.

    Args:
        content: ``record.json`` as read.

    Returns:
        A new dictionary whose ``schema`` is :data:`harness.cells.cell.SCHEMA`.

    Raises:
        ValueError: The schema is missing, no number, or newer than this program.
    """
    schema = content.get("schema")
    if type(schema) is not int or schema < 1:
        raise ValueError(f"schema {shown(schema)} is no schema of a record")
    if schema > SCHEMA:
        raise ValueError(
            f"schema {shown(schema)} is newer than this program, which knows up to {SCHEMA}: update the harness"
        )
    content = dict(content)
    for step in range(schema, SCHEMA):
        content = {**_STEPS[step](content), "schema": step + 1}
    return content


def facts_of(content: dict[str, Any], where: str) -> CellFacts:
    """Facts of a cell that come from a file or the command line.

    Args:
        content: The facts by name.
        where: Where they come from, for the message.

    Raises:
        HarnessError: One is of the wrong type or out of bounds.
    """
    try:
        return CellFacts(**content)
    except ValidationError as error:
        raise HarnessError(f"{where}: {first_mistake(error)}.") from error


def first_mistake(error: ValidationError) -> str:
    """The field that is wrong first, and what is wrong with it."""
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}"
