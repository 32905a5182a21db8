"""The command that repeats one cell."""

from __future__ import annotations

import shlex
from pathlib import Path

from harness.cells import CellRequest
from harness.methods import DEFAULT_PRESET


def _absolute(path: Path | None) -> str | None:
    """The command must mean the same from any folder."""
    return None if path is None else str(path.resolve())


def command_of(request: CellRequest) -> str:
    """A ``harness run`` line that a user can paste.

    Args:
        request: The point of the grid.

    Returns:
        The line; options that have their default value are left out.
    """
    method = request.method
    options = {
        "--method": method.name,
        "--hasher": method.hasher,
        "--detector": method.detector,
        "--objective": method.objective,
        "--preset": None if method.preset == DEFAULT_PRESET else method.preset,
        "--epochs": method.epochs,
        "--dataset": None if request.features or request.dataset == "toy" else request.dataset,
        "--features": _absolute(request.features),
        "--noise-plan": _absolute(request.noise_plan),
        "--data-root": _absolute(request.data_root),
        "--image-backbone": request.image_backbone,
        "--image-weights": request.image_weights,
        "--text-backbone": request.text_backbone,
        "--text-weights": request.text_weights,
        "--noise": request.noise,
        "--protocol": request.protocol,
        "--trusted": request.trusted,
        "--bits": request.bits,
        "--seed": request.seed,
        "--data-seed": request.data_seed,
        "--standardise": None if request.standardise == "scalar" else request.standardise,
        "--precision": None if request.precision == "auto" else request.precision,
        "--limit": request.limit,
    }
    words = ["harness", "run"]
    for option, value in options.items():
        if value is not None:
            words += [option, str(value)]
    for key, text in {**method.settings, **request.backbone_settings}.items():
        words += ["--set", f"{key}={text}"]
    for file in request.plugins:
        words += ["--plugin", str(file.resolve())]
    return shlex.join(words)
