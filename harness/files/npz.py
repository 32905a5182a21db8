"""Reading arrays that users bring, npz and npy, without unpickling and without believing what headers say."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from harness.errors import HarnessError
from harness.files.looks_like import CUT, looks_like
from harness.files.paths import other_kind
from harness.text import shown

LONGEST_HEADER = 10_000
"""Bytes of the header of an array; numpy's own bound, below which its parser cannot be led too deep."""

LARGEST_UNPACKED = 1 << 28
"""Bytes (256 MiB) of an array that are unpacked however small they were packed."""

LARGEST_RATIO = 100.0
"""Larger arrays must not be more than so many times their packed size; features and codes hardly shrink at all."""


def read_npz(
    path: Path, option: str, wanted: Callable[[str], bool] = lambda name: True, expected: str = "named arrays"
) -> dict[str, NDArray]:
    """Read arrays of an npz file.

    Args:
        path: The file.
        option: Option that named it, for messages.
        wanted: Chooses arrays by name; the others are not unpacked.
        expected: What the file should hold, for messages.

    Returns:
        Name to array, in the order of the file.

    Raises:
        HarnessError: The file is missing, no npz, damaged, or holds Python objects or more than
            :data:`LARGEST_UNPACKED` and :data:`LARGEST_RATIO` allow; the message says which.
    """
    where = f"{option} {path}"
    with _opened_zip(path, where, expected) as packed:
        members = {member.filename: member for member in packed.infolist()}
        arrays = {}
        for file, member in members.items():
            name = file.removesuffix(".npy")
            if wanted(name):
                if name == file:
                    raise HarnessError(f"{where} is no npz file of arrays: {shown(name)} is none.")
                arrays[name] = _member(packed, member, f"{where}: array {shown(name)}", path.stat().st_size)
        return arrays


def names_in_npz(path: Path, option: str, expected: str = "named arrays") -> list[str]:
    """Names of the arrays of an npz file, none of which is unpacked.

    Args:
        path, option, expected: As of :func:`read_npz`.

    Raises:
        HarnessError: The file is missing, no npz, or damaged.
    """
    with _opened_zip(path, f"{option} {path}", expected) as packed:
        return [name.removesuffix(".npy") for name in packed.namelist()]


def read_npy(path: Path, option: str) -> NDArray:
    """Read the array of an npy file.

    Args:
        path: The file.
        option: Option that named it, for messages.

    Raises:
        HarnessError: The file is missing, no npy, cut, or holds Python objects.
    """
    where = f"{option} {path}"
    with _opened(path, where) as opened:
        if opened.read(6) != np.lib.format.MAGIC_PREFIX:
            raise HarnessError(f"{where} is no npy file.")
        opened.seek(0)
        return _array(opened, path.stat().st_size, f"{where}: its array")


@contextmanager
def _opened(path: Path, where: str) -> Iterator[IO[bytes]]:
    """The file; what goes wrong with it becomes a sentence."""
    try:
        if kind := other_kind(path):  # to open a pipe would wait for ever, and a device has no end
            raise HarnessError(f"{where} is no file but {kind}.")
        with path.open("rb") as opened:
            yield opened
    except FileNotFoundError:
        raise HarnessError(f"{where}: there is no such file.") from None
    except OSError as error:
        raise HarnessError(f"{where} cannot be read: {error.strerror or error}.") from error
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise HarnessError(f"{where} is a damaged npz file: {error}.") from error


@contextmanager
def _opened_zip(path: Path, where: str, expected: str) -> Iterator[zipfile.ZipFile]:
    """The file as a zip."""
    with _opened(path, where) as opened:
        begins = opened.read(6)
        if begins == np.lib.format.MAGIC_PREFIX:
            raise HarnessError(f"{where} is a single array; expected an npz with {expected}.")
        opened.seek(0)
        if not zipfile.is_zipfile(opened):
            said = CUT if begins.startswith(b"PK") else f"it is {looks_like(path) or 'of another kind'}"
            raise HarnessError(f"{where} is no npz file: {said}.")
        with zipfile.ZipFile(opened) as packed:
            yield packed


def _member(packed: zipfile.ZipFile, member: zipfile.ZipInfo, where: str, file_size: int) -> NDArray:
    """An array of an npz file."""
    most = max(LARGEST_UNPACKED, int(LARGEST_RATIO * min(member.compress_size, file_size)))
    if member.file_size > most:
        raise HarnessError(
            f"{where} unpacks to {member.file_size} bytes, more than {LARGEST_RATIO:g} times its packed size: it is "
            "refused as a bomb; store it with np.savez, which does not pack."
        )
    try:
        with packed.open(member) as opened:
            return _array(opened, member.file_size, where)
    except HarnessError:
        raise
    except Exception as error:  # zlib, zipfile and EOF errors all mean a damaged member
        raise _damaged(where, error) from error


def _array(opened: IO[bytes], size: int, where: str) -> NDArray:
    """The array of an npy stream of so many bytes, whose header may say anything."""
    try:
        beginning = opened.read(8)
        if beginning[:6] != np.lib.format.MAGIC_PREFIX:
            raise ValueError("it does not begin as an array does")
        length = opened.read(2 if beginning[6] == 1 else 4)
        if int.from_bytes(length, "little") > LONGEST_HEADER:
            raise ValueError(f"its header has more than {LONGEST_HEADER} bytes")
        header = opened.read(int.from_bytes(length, "little"))
        # Version 2 reads headers of all versions, but for names of fields that are not latin-1; there are none here.
        shape, _, dtype = np.lib.format.read_array_header_2_0(BytesIO(len(header).to_bytes(4, "little") + header))
        if dtype.hasobject:
            raise HarnessError(f"{where} holds Python objects; store numbers, or strings of dtype str.")
        taken = len(beginning) + len(length) + len(header)
        if any(number < 0 for number in shape) or math.prod(shape) * max(dtype.itemsize, 1) > size - taken:
            raise ValueError(f"its header says {dtype} {shape}, and {size - taken} bytes follow")
        opened.seek(0)
        array: NDArray = np.lib.format.read_array(opened, allow_pickle=False)
        return array
    except (HarnessError, OSError):
        raise
    except MemoryError as error:
        raise HarnessError(f"{where} does not fit into the memory, or its header is damaged.") from error
    except Exception as error:  # whatever numpy's parser of headers raises
        raise _damaged(where, error) from error


def _damaged(where: str, error: Exception) -> HarnessError:
    return HarnessError(f"{where} is damaged: {' '.join(str(error).split())[:150]}.")
