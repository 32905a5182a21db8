"""Options of verbs that work on data and features, but train nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from harness.cells.request import OPTIONS
from harness.cli.options import CELL_OPTIONS, requests_of

if TYPE_CHECKING:
    from harness.cells.request import CellRequest

NOT_OF_FEATURES = (
    "method", "noise", "bits", "seed", "hasher", "detector", "objective", "protocol", "trusted", "features",
    "noise_plan", "standardise", "precision", "preset", "epochs",
)  # fmt: skip
"""Options of a cell that features do not depend on."""


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


REHASH = click.option(
    "--rehash", is_flag=True, help="Read every file again, even where nothing says that it has changed (docs/data.md)."
)


def read_files_again(wanted: bool) -> None:
    """What ``--rehash`` does, for this process and those it starts."""
    if wanted:
        os.environ["HARNESS_REHASH"] = "1"
