"""``harness data audit``: copies, classes and parts of data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.api.arguments import default_data_root
from harness.cells.request import CellRequest, MethodRequest
from harness.cli.data import DATA_ROOT, REHASH, read_files_again
from harness.cli.json_output import print_json
from harness.cli.options import JSON, PLUGIN
from harness.cli.rows import aligned
from harness.plugin.loading import load_registry
from harness.runtime.outlets import bars_shown


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@DATA_ROOT
@click.option("--data-seed", default=0, show_default=True, metavar="N", help="Seed of the split.")
@click.option("--split", metavar="NAME", help="As of `harness run`.  [default: each data set's]")
@click.option("--pixels", is_flag=True, help="Compare decoded pixels, not files: finds copies in other formats.")
@REHASH
@PLUGIN
@JSON
def command(
    names: tuple[str, ...],
    data_root: Path | None,
    data_seed: int,
    split: str | None,
    pixels: bool,
    rehash: bool,
    plugins: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Report copies of images across parts and data sets, repeated captions, class balance and captions per image."""
    from harness.cells.workbench import Workbench
    from harness.data.features.sources import card_of
    from harness.data.sets.audit import Audited, audit, pixel_hashes, require_raw, shared_images

    read_files_again(rehash)
    registry = load_registry(plugins)
    root = data_root or default_data_root()
    bench = Workbench(registry)
    reports, sets = [], {}
    for name in dict.fromkeys(names):
        card = card_of(registry, name)
        request = CellRequest(
            MethodRequest("none"), dataset=name, data_root=root, data_seed=data_seed, split=split,
            relevance="instance",  # images without a class stay where they were drawn
        )  # fmt: skip
        job = bench.prepare_data(request)
        raw = require_raw(name, job.source.data)
        with bars_shown("items") as watch:
            hashes = pixel_hashes(raw, watch) if pixels else raw.content_hashes
        reports.append(audit(Audited(name, raw, job.split), hashes, card.class_names))
        sets[name] = (raw, hashes)
    shared = shared_images(sets)
    if as_json:
        print_json({"compared": "pixels" if pixels else "bytes", "sets": reports, "shared": shared})
        return
    _show(reports, shared)


def _show(reports: list[dict[str, Any]], shared: list[dict[str, Any]]) -> None:
    rows = [[label, *(value(report) for report in reports)] for label, value in ROWS]
    click.echo(aligned(rows, headers=["", *(report["name"] for report in reports)]))
    for report in reports:
        for group in report["duplicate_images"]["examples"][:5]:
            click.echo(f"{report['name']}: equal images: {', '.join(group[:6])}")
        for text, number in report["duplicate_captions"]["most_common"][:3]:
            click.echo(f"{report['name']}: {number} times: {text[:90]}")
    for entry in shared:
        one, other = entry["sets"]
        first = " = ".join(entry["examples"][0])
        click.echo(f"{entry['images'][0]} images of {one} are in {other}, too (the first: {first})")
    if len(reports) > 1 and not shared:
        click.echo("no image is in two of these data sets")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _spread(report: dict[str, Any]) -> str:
    classes = report["classes"]
    return f"{classes['number']}, of {classes['smallest']} to {classes['largest']} images"


ROWS = (
    ("images", lambda report: str(report["images"])),
    ("parts", lambda report: _counts(report["parts"])),
    ("classes", _spread),
    ("class balance (1: all equal)", lambda report: f"{report['classes']['balance']:.3f}"),
    ("images without a label", lambda report: str(report["unlabelled"])),
    ("captions", lambda report: str(report["captions"])),
    ("captions per image", lambda report: "; ".join(
        f"{number}: {count} images" for number, count in report["captions_per_image"].items())),
    ("images without captions", lambda report: str(report["images_without_captions"])),
    ("images with a copy", lambda report: str(report["duplicate_images"]["images"])),
    ("  in another part", lambda report: str(report["duplicate_images"]["across_parts"])),
    ("  queries with a copy elsewhere", lambda report: str(
        report["duplicate_images"]["queries_with_copy_elsewhere"])),
    ("  groups of copies with other labels", lambda report: str(
        report["duplicate_images"]["groups_with_other_labels"])),
    ("captions that occur elsewhere", lambda report: _percent(report["duplicate_captions"]["share_elsewhere"])),
    ("  at the same image", lambda report: _percent(report["duplicate_captions"]["share_same_image"])),
    ("  at another image", lambda report: _percent(report["duplicate_captions"]["share_other_image"])),
    ("  at an image with other labels", lambda report: _percent(report["duplicate_captions"]["share_other_class"])),
)  # fmt: skip
"""Rows of the table."""
