"""What Python users hand in: arrays of any library, plugin files, and arguments that a function has not."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError, text_of, unknown_name

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


def plugin_files(plugins: Any) -> tuple[Path, ...]:
    """The files of the argument ``plugins``: none, one, or several.

    Raises:
        HarnessError: It names something else than files.
    """
    given = [plugins] if isinstance(plugins, str | os.PathLike) else plugins
    if not isinstance(given, Iterable) or not all(isinstance(one, str | os.PathLike) for one in given):
        raise HarnessError("plugins must be paths of Python files, such as plugins=['my_method.py'].")
    return tuple(Path(one) for one in given)


def refuse_unknown(function: Callable[..., Any], unknown: Mapping[str, Any]) -> None:
    """Arguments that a function has not, where it collects them to answer better than Python.

    Raises:
        HarnessError: There is one; near names are suggested.
    """
    for name in unknown:
        parameters = inspect.signature(function).parameters.values()
        known = [parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD]
        raise unknown_name(f"argument of harness.{function.__name__}", name, known)
