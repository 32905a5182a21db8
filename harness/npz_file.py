"""Reading npz files that users bring, without unpickling."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.errors import HarnessError


def read_npz(
    path: Path, option: str, wanted: Callable[[str], bool] = lambda name: True, expected: str = "named arrays"
) -> dict[str, NDArray]:
    """Read the arrays of an npz file.

    Args:
        path: The file.
        option: Option that named it, for messages.
        wanted: Chooses arrays by name; the others are not read.
        expected: What the file should hold, for messages.

    Returns:
        Name to array.

    Raises:
        HarnessError: The file is missing, no npz, damaged, or holds Python objects; the message says which.
    """
    where = f"{option} {path}"
    try:
        with path.open("rb") as opened:
            if opened.read(6) == np.lib.format.MAGIC_PREFIX:
                raise HarnessError(f"{where} is a single array; expected an npz with {expected}.")
            opened.seek(0)
            if not zipfile.is_zipfile(opened):
                raise HarnessError(f"{where} is no npz file.")
            opened.seek(0)
            with np.load(opened, allow_pickle=False) as stored:
                return {name: _array(stored, name, where) for name in stored.files if wanted(name)}
    except FileNotFoundError:
        raise HarnessError(f"{where}: there is no such file.") from None
    except IsADirectoryError:
        raise HarnessError(f"{where} is a folder; expected an npz file.") from None
    except OSError as error:
        raise HarnessError(f"{where} cannot be read: {error.strerror or error}.") from error
    except zipfile.BadZipFile as error:
        raise HarnessError(f"{where} is a damaged npz file: {error}.") from error


def _array(stored: np.lib.npyio.NpzFile, name: str, where: str) -> NDArray:
    try:
        array = stored[name]
    except Exception as error:  # zlib, zipfile, EOF and numpy's header errors all mean a damaged member
        if "allow_pickle" in str(error):
            raise HarnessError(
                f"{where}: array {name!r} holds Python objects; store numbers, or strings of dtype str."
            ) from error
        raise HarnessError(f"{where}: array {name!r} is damaged: {' '.join(str(error).split())[:150]}.") from error
    if not isinstance(array, np.ndarray):
        raise HarnessError(f"{where} is no npz file of arrays: {name!r} is none.")
    return array
