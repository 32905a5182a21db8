"""``harness doctor``: is everything in order here?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click

from harness.cli.options import RESULTS


@click.command()
@RESULTS
@click.pass_context
def command(ctx: click.Context, results: Path) -> None:
    """Check versions, plugins, devices, data folders, cache and results folder."""
    failed = 0
    for good, what, remark in _checks(results):
        click.echo(f"{'ok  ' if good else 'FAIL'}  {what:<22} {remark}")
        failed += not good
    click.echo(f"\n{failed} of the checks failed." if failed else "\nEverything is in order.")
    ctx.exit(1 if failed else 0)


def _checks(results: Path) -> Iterator[tuple[bool, str, str]]:
    from harness.environment import processor, versions
    from harness.errors import HarnessError
    from harness.plugins import load_registry

    for library, version in versions().items():
        yield (
            bool(version),
            library,
            version or "is not installed: pip install -e . in the checkout, or pip install noisy-hashing-harness",
        )
    yield from _imports()
    import torch

    yield True, "processor", f"{processor()}, {os.cpu_count()} cores, torch uses {torch.get_num_threads()} threads"
    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    yield True, "GPU", ", ".join(gpus) or "none: training runs on the CPU"
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

    yield _writable(cache_folder(), "HARNESS_CACHE")
    root = os.environ.get("HARNESS_DATA", "")
    yield (
        (not root or Path(root).is_dir()),
        "data root",
        root or "HARNESS_DATA is not set; needed for data sets with files, or give --data-root",
    )
    for name in registry.names("dataset"):
        from harness.data.sources import ANY_FOLDER, card_of

        try:
            card = card_of(registry, name)
            layout = card.layout
            folders = [] if layout is None else [layout.folder, *layout.other_folders]
            there = bool(root) and any((Path(root) / folder / layout.annotations).exists() for folder in folders)
            place = (
                "made on the spot"
                if layout is None
                else "any folder, with --data-root"
                if layout.folder == ANY_FOLDER
                else f"{layout.folder}/{layout.annotations} "
                f"{'found' if there else 'is not there (needed for this data set only)'}"
            )
            yield True, f"dataset {name}", place
        except HarnessError as error:
            yield False, f"dataset {name}", str(error)


def _imports() -> Iterator[tuple[bool, str, str]]:
    """The libraries whose imports are known to break each other."""
    from harness.torchvision_operators import make_torchvision_importable

    try:
        make_torchvision_importable()
        import open_clip
        import torchvision
        import transformers

        yield (
            True,
            "imports",
            (
                f"torchvision {torchvision.__version__}, transformers {transformers.__version__}, open_clip "
                f"{open_clip.__version__} side by side"
            ),
        )
    except Exception as error:
        yield False, "imports", f"{type(error).__name__}: {error}"


def _writable(folder: Path, option: str) -> tuple[bool, str, str]:
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    good = existing.is_dir() and os.access(existing, os.W_OK)
    return good, option, f"{folder} {'can be written' if good else 'cannot be written: name another folder'}"
