"""``harness features``: the cache of features."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from harness.cells.request import OPTIONS
from harness.cli import LazyGroup
from harness.cli.json_output import print_json
from harness.cli.options import CELL_OPTIONS, JSON, requests_of
from harness.cli.rows import aligned
from harness.quantities import spoken_time

if TYPE_CHECKING:
    from harness.cells.request import CellRequest
    from harness.data.features.cache_entries import Entry

MODULES = {
    "build": "harness.cli.features.build",
    "prune": "harness.cli.features.prune",
    "export": "harness.cli.features.export",
}

NOT_OF_FEATURES = (
    "method", "noise", "bits", "seed", "hasher", "detector", "objective", "protocol", "trusted", "features",
    "noise_plan", "standardise", "precision", "preset", "epochs",
)  # fmt: skip
"""Options of a cell that features do not depend on."""


@click.group(cls=LazyGroup, modules=MODULES)
def command() -> None:
    """List, build, prune and export cached features (docs/data.md)."""


@command.command("list")
@click.option("--dataset", metavar="NAME", help="Only features of this data set.")
@click.option("--backbone", metavar="NAME", help="Only features of this backbone, or of this family.")
@JSON
def list_(dataset: str | None, backbone: str | None, as_json: bool) -> None:
    """List the features in the cache, what was used last first."""
    from harness.data.cache import cache_folder
    from harness.data.features.cache_entries import cache_entries

    entries = [entry for entry in cache_entries() if matches(entry, dataset, backbone)]
    if as_json:
        print_json([entry.facts() for entry in entries])
        return
    if entries:
        click.echo(aligned([row_of(entry) for entry in entries], headers="keys"))
    total = sum(entry.size for entry in entries)
    click.echo(f"{len(entries)} in {cache_folder()}, {size_shown(total)}")


def matches(entry: Entry, dataset: str | None, backbone: str | None) -> bool:
    """Whether an entry is of that data set and of that backbone or family of backbones."""
    return (dataset is None or entry.about.get("dataset") == dataset) and (
        backbone is None or backbone in (entry.backbone, entry.backbone.partition("/")[0])
    )


def row_of(entry: Entry) -> dict[str, str]:
    """An entry as a row of a table."""
    weights = str(entry.key.get("weights", ""))
    named = str(entry.about.get("weights", "")).rstrip("/").rpartition("/")[2]
    views = len(entry.shapes) - 1
    shape = " x ".join(map(str, entry.shapes[0])) if entry.shapes else ""
    now = time.time()
    return {
        "entry": entry.folder.name,
        "data": f"{entry.about.get('dataset') or '?'} {_content(entry)}" if entry.key else "",
        "backbone": entry.backbone or entry.damage or str(entry.about.get("what", "?")),
        "weights": f"{named} {weights}" if named and named not in weights else weights,
        "fitted on": str(entry.key.get("fitted_on") or ""),
        "shape": shape + (f" + {views} view{'s' if views > 1 else ''}" if views > 0 else ""),
        "size": size_shown(entry.size),
        "age": spoken_time(now - entry.made),
        "last use": f"{spoken_time(now - entry.used)} ago",
    }


def _content(entry: Entry) -> str:
    """Hash of what the features were made from."""
    return next((str(entry.key[name]) for name in ("content", "ready", "decodable") if name in entry.key), "")


def size_shown(size: float) -> str:
    """A number of bytes as text: ``812 KB``, ``3.4 MB``."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024:
            return f"{size:.3g} {unit}" if unit != "B" else f"{size:.0f} B"
        size /= 1024
    return f"{size:.3g} TB"


def jsonable_use(use: Any) -> dict[str, Any]:
    """The facts of one use of the cache, for ``--json``."""
    return {
        **use.about,
        "entry": use.folder.name,
        "cached": use.hit,
        "lost": use.lost,
        "seconds": round(use.seconds, 3),
    }


def feature_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of ``harness run`` that say which features are meant."""
    for option in reversed(CELL_OPTIONS):
        if _name(option) not in NOT_OF_FEATURES:
            command = option(command)
    return command


def _name(option: Callable[..., Any]) -> str:
    def nothing() -> None: ...

    (parameter,) = option(nothing).__click_params__  # type: ignore[attr-defined]
    return str(parameter.name)


def feature_requests(options: Mapping[str, Any]) -> list[CellRequest]:
    """One request for each data set, backbone and seed that the options of :func:`feature_options` span.

    Raises:
        HarnessError: A value cannot be read.
    """
    complete = {option.name: () if option.varies is not None else None for option in OPTIONS}
    return requests_of({**complete, **options, "method": ("none",)})
