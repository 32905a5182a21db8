"""What Python users hand in beside options: arrays of any library, and plugins of their session."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError, text_of
from harness.plugin.from_objects import plugin_files
from harness.plugin.loading import load_registry
from harness.plugin.registry import Registry

if TYPE_CHECKING:
    from numpy.typing import NDArray


def array_of(value: Any, what: str) -> NDArray:
    """A numpy array of an array, a torch tensor on any device, or a list.

    Args:
        value: What was handed in; it is never changed, and may share its memory with the result.
        what: What to call it in messages.

    Returns:
        An array of any shape and type; bfloat16, which numpy does not have, becomes float32.

    Raises:
        HarnessError: It cannot be read as one, such as lists of different lengths.
    """
    import numpy as np

    try:
        if callable(getattr(value, "detach", None)):
            import torch

            value = value.detach().cpu()
            value = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise HarnessError(f"{what} cannot be read as an array ({text_of(error).rstrip('.')}).") from error


def registry_with(plugins: Any) -> Registry:
    """All that is registered, with plugins that are given from Python and need no results folder.

    Args:
        plugins: As of :func:`harness.run`; files that are made of classes lie in a folder that ends with this process.

    Raises:
        HarnessError: One is no plugin, or is broken.
    """
    return load_registry(plugin_files(plugins, _folder_of_session()))


@cache
def _folder_of_session() -> Path:
    folder = tempfile.mkdtemp(prefix="harness-session-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
