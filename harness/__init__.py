"""A benchmark harness for unsupervised cross-modal hashing under noisy image-text pairs.

What researchers call is here (docs/python-api.md): ``harness.run``, ``sweep``, ``load``, ``list``, ``info``; and what a
plugin needs: ``from harness import hookimpl, Need, Parameter, Phase, Recipe, PairTrust``. The names are loaded when
they are used, so that ``import harness`` costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.version import HARNESS_API, __version__

if TYPE_CHECKING:
    from harness.api.catalogue import info
    from harness.api.catalogue import list_registered as list  # noqa: F401 - a star import must not hide the built-in
    from harness.api.evaluating import evaluate
    from harness.api.fitting import fit
    from harness.api.model import Model
    from harness.api.model_files import load_model
    from harness.api.runs import RecordedRun, Runs
    from harness.api.studies import load, run, sweep
    from harness.errors import HarnessError
    from harness.plugin.hookspecs import hookimpl
    from harness.plugin.interfaces import Batch, EpochsOf, Evidence, Need, PairTrust, Phase, Recipe, TrainingPairs
    from harness.plugin.parameters import Parameter


_HOMES = {
    "Model": "harness.api.model",
    "RecordedRun": "harness.api.runs",
    "Runs": "harness.api.runs",
    "evaluate": "harness.api.evaluating",
    "fit": "harness.api.fitting",
    "info": "harness.api.catalogue",
    "list": "harness.api.catalogue:list_registered",
    "load": "harness.api.studies",
    "load_model": "harness.api.model_files",
    "run": "harness.api.studies",
    "sweep": "harness.api.studies",
    "hookimpl": "harness.plugin.hookspecs",
    "Batch": "harness.plugin.interfaces",
    "EpochsOf": "harness.plugin.interfaces",
    "Evidence": "harness.plugin.interfaces",
    "Need": "harness.plugin.interfaces",
    "PairTrust": "harness.plugin.interfaces",
    "Phase": "harness.plugin.interfaces",
    "Recipe": "harness.plugin.interfaces",
    "TrainingPairs": "harness.plugin.interfaces",
    "HarnessError": "harness.errors",
    "Parameter": "harness.plugin.parameters",
}

__all__ = [
    "HARNESS_API",
    "Batch",
    "EpochsOf",
    "Evidence",
    "HarnessError",
    "Model",
    "Need",
    "PairTrust",
    "Parameter",
    "Phase",
    "Recipe",
    "RecordedRun",
    "Runs",
    "TrainingPairs",
    "__version__",
    "evaluate",
    "fit",
    "hookimpl",
    "info",
    "load",
    "load_model",
    "run",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import importlib

        module, _, its_name = _HOMES[name].partition(":")
        return getattr(importlib.import_module(module), its_name or name)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")


def __dir__() -> Sequence[str]:
    return sorted({*globals(), *__all__})
