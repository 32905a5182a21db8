"""``harness doctor``: is everything in order here?"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.api.arguments import default_data_root
from harness.cli.options import RESULTS
from harness.data.sets.folder import found_word
from harness.errors import HarnessError
from harness.plugin.loading import load_registry
from harness.runtime.environment import processor, versions
from harness.runtime.torchvision_operators import make_torchvision_importable

if TYPE_CHECKING:
    from harness.data.cards import DatasetCard

SIDE_BY_SIDE = ("torchvision", "transformers", "open_clip")

MARKS = {True: "ok  ", False: "FAIL", None: "-   "}
"""Result of a check to how its line begins; None stands for what is not there and is not required."""


@click.command()
@click.option("--imports", is_flag=True, help="Also import the large libraries that can break each other.")
@RESULTS
@click.pass_context
def command(ctx: click.Context, imports: bool, results: Path) -> None:
    """Check versions, plugins, devices, data folders, cache and results folder."""
    failed = 0
    for good, what, remark in _checks(results, imports):
        click.echo(f"{MARKS[good]}  {what:<22} {remark}")
        failed += good is False
    click.echo(f"\n{failed} of the checks failed." if failed else "\nEverything is in order.")
    ctx.exit(1 if failed else 0)


def _checks(results: Path, imports: bool) -> Iterator[tuple[bool | None, str, str]]:
    for library, version in versions().items():
        yield (
            bool(version),
            library,
            version or "is not installed: pip install -e . in the checkout, or pip install noisy-hashing-harness",
        )
    yield _imports(imports)
    import torch

    yield True, "processor", f"{processor()}, {os.cpu_count()} cores, torch uses {torch.get_num_threads()} threads"
    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    yield bool(gpus) or None, "GPU", ", ".join(gpus) or "none: training runs on the CPU"
    registry = load_registry()
    for state in registry.plugins:
        if state.error:
            yield False, f"plugin {state.name}", state.error
    yield (
        True,
        "plugins",
        f"{sum(not state.error for state in registry.plugins)} loaded, {len(registry.names('method'))} methods",
    )
    yield _writable(results, "--results")
    from harness.data.cache import cache_folder
    from harness.data.features.sources import card_of

    yield _writable(cache_folder(), "HARNESS_CACHE")
    root = default_data_root()
    yield (
        None if root is None else root.is_dir(),
        "data root",
        "HARNESS_DATA is not set; needed for data sets with files, or give --data-root" if root is None else str(root),
    )
    for name in registry.names("dataset"):
        try:
            yield _dataset(card_of(registry, name), root)
        except HarnessError as error:
            yield False, f"dataset {name}", str(error)


def _dataset(card: DatasetCard, root: Path | None) -> tuple[bool | None, str, str]:
    """The line of a data set: whether its files are there."""
    presence = found_word(card.model_dump(), root)
    remark = {
        "yes": "found",
        "in part": f"in part: `harness data check {card.name}` says what is missing",
        "no": "not there; needed for this data set only",
        "no data root": "no data root; needed for this data set only",
        "any folder": "any folder, with --data-root",
    }
    return presence in ("yes", "made on the spot") or None, f"dataset {card.name}", remark.get(presence, presence)


def _imports(thoroughly: bool) -> tuple[bool, str, str]:
    """The line of the libraries whose imports can break each other, which takes two to three seconds thoroughly."""
    try:
        make_torchvision_importable()
        if thoroughly:
            for library in SIDE_BY_SIDE:
                importlib.import_module(library)
    except Exception as error:
        return False, "imports", f"{type(error).__name__}: {error}"
    absent = [library for library in SIDE_BY_SIDE if importlib.util.find_spec(library) is None]
    if absent:
        return False, "imports", f"{' and '.join(absent)} cannot be found: install this program again"
    together = ", ".join(SIDE_BY_SIDE)
    return True, "imports", f"{together} side by side" if thoroughly else f"{together} are there; --imports tries them"


def _writable(folder: Path, option: str) -> tuple[bool, str, str]:
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    good = existing.is_dir() and os.access(existing, os.W_OK)
    return good, option, f"{folder} {'can be written' if good else 'cannot be written: name another folder'}"
