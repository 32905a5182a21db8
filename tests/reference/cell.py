"""Cells made in memory from feature arrays, for tests that look behind the runner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from harness.cells.compatibility import granted_beyond_the_wall
from harness.cells.methods import ResolvedMethod, resolve_method
from harness.cells.request import CellRequest, MethodRequest
from harness.data.assemble import CellData, DataProtocol, assemble, training_pairs
from harness.data.features.feature_file import table_from_arrays
from harness.data.splits import paper_split
from harness.execution.runner import Fitted, fit_method
from harness.plugin.loading import Registry, load_registry
from harness.runtime.context import RunContext

SMALL = {"hasher.hidden": "24", "hasher.batch_size": "16", "detector.batch_size": "16"}
"""Settings that make CHNR's parts small; those that a method lacks are left out."""

REGISTRY: Registry = load_registry(environment={})


def small_method(
    name: str, epochs: int | None = 4, settings: Mapping[str, str] | None = None, **overrides: Any
) -> ResolvedMethod:
    """A method, with small networks where it has any."""
    known = resolve_method(REGISTRY, MethodRequest(name, **overrides)).parameters
    chosen = {key: text for key, text in SMALL.items() if key in known}
    return resolve_method(
        REGISTRY, MethodRequest(name, epochs=epochs, settings={**chosen, **(settings or {})}, **overrides)
    )


def cell_data(
    arrays: Mapping[str, np.ndarray],
    *,
    noise: float = 0.4,
    protocol: str = "derangement",
    trusted: float = 0.3,
    data_seed: int = 0,
) -> CellData:
    """The data of a cell."""
    table = table_from_arrays(arrays, "memory", "memory")
    split = table.split if table.split is not None else paper_split(len(table), data_seed)
    declared = REGISTRY.get("protocol", protocol)
    return assemble(
        table, DataProtocol(declared, noise if declared.takes_rate else None, trusted, data_seed, "scalar"), split
    )


def fit(method: ResolvedMethod, data: CellData, *, bits: int = 16, seed: int = 0) -> Fitted:
    """A method trained on a cell."""
    run = RunContext(bits, torch.device("cpu"), seed)
    return fit_method(method, training_pairs(data, run.device, granted_beyond_the_wall(method)), run)


def probe_codes(fitted: Fitted, d_image: int, d_text: int) -> torch.Tensor:
    """(64, 2 x bits) bool codes of inputs that have nothing to do with any data set."""
    random = torch.Generator().manual_seed(7)
    image, text = torch.randn(64, d_image, generator=random), torch.randn(64, d_text, generator=random)
    with torch.no_grad():
        return torch.cat([fitted.hasher.encode_image(image) > 0, fitted.hasher.encode_text(text) > 0], dim=1)


def with_plan(data: CellData, **changed: Any) -> CellData:
    """The cell with parts of its noise plan replaced."""
    return replace(data, plan=replace(data.plan, **changed))


def request(path: Any, method: str = "chnr", **changed: Any) -> CellRequest:
    """A request for a cell on a feature file."""
    return CellRequest(MethodRequest(method, epochs=2), features=path, **changed)
