"""A benchmark harness for unsupervised cross-modal hashing under noisy image-text pairs.

What a plugin needs is here: ``from harness import hookimpl, Need, Parameter, Phase, Recipe, PairTrust``. The names are
loaded when they are used, so that ``import harness`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.version import HARNESS_API, __version__

if TYPE_CHECKING:
    from harness.api.evaluating import evaluate
    from harness.api.fitting import fit
    from harness.api.model import Model
    from harness.api.model_files import load_model
    from harness.plugin.hookspecs import hookimpl
    from harness.plugin.interfaces import Batch, EpochsOf, Evidence, Need, PairTrust, Phase, Recipe, TrainingPairs
    from harness.plugin.parameters import Parameter

_HOMES = {
    "evaluate": "harness.api.evaluating",
    "fit": "harness.api.fitting",
    "Model": "harness.api.model",
    "load_model": "harness.api.model_files",
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
    "TrainingPairs",
    "__version__",
    "evaluate",
    "fit",
    "hookimpl",
    "load_model",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")
