"""Make ``import torchvision`` work beside a torch that it was not built for.

torchvision's Python code attaches a shape function to the operators ``torchvision::nms`` and ``torchvision::qnms`` as
soon as it is imported. They are declared by its compiled library, which cannot be loaded if it was built for CUDA and
torch is a CPU build; the import then fails with "operator torchvision::nms does not exist" and takes transformers, timm
and open_clip down with it. Declaring the two schemas first is enough: models and transforms need neither operator.
"""

from __future__ import annotations

from typing import Any

_declared: Any = None
"""The torch library that declares the schemas; it must stay alive."""

SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def make_torchvision_importable() -> None:
    """Import torchvision, declaring its missing operators first where its compiled library does not load.

    Call this before importing torchvision, transformers, timm or open_clip. Calling it again does nothing.

    Raises:
        ImportError: torchvision is not installed.
    """
    global _declared
    import sys

    if "torchvision" in sys.modules or _declared is not None:
        return
    import torch

    if _operators_load():
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            library.define(name + SCHEMA)
    _declared = library


def _operators_load() -> bool:
    """Whether torchvision's compiled library loads and declares its operators."""
    import importlib.util
    from pathlib import Path

    import torch

    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        raise ImportError("torchvision is not installed")
    libraries = sorted(Path(spec.origin).parent.glob("_C*.*"))
    for library in libraries:
        if library.suffix in (".so", ".pyd", ".dylib"):
            try:
                torch.ops.load_library(library)
            except OSError:
                return False
    return hasattr(torch.ops.torchvision, "nms")
