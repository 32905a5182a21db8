"""Variables of MATLAB files, of version 7.3 (HDF5) and of those before it, in MATLAB's own orientation."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness import HarnessError
from harness.files.looks_like import why_unreadable

if TYPE_CHECKING:
    from PIL.Image import Image

LARGEST, LARGEST_RATIO = 8 << 30, 100
"""Bytes (8 GiB) that a variable may fill whatever the size of its file, and how many times that size above them; bags
of tags are nearly all zeros, and shrink to a thousandth."""


def variables_of(path: Path) -> list[str]:
    """Names of the variables of a file, which are not read.

    Raises:
        HarnessError: It is no MATLAB file.
    """
    if _is_hdf5(path):
        with _hdf5(path) as opened:
            return [name for name in opened if not name.startswith("#")]
    from scipy.io import whosmat

    try:
        return [name for name, _, _ in whosmat(path)]
    except Exception as error:  # scipy raises ValueError, TypeError, KeyError, zlib.error, ... for what is none
        raise _not_readable(path, error) from error


def read_matlab(path: Path, names: Iterable[str]) -> dict[str, NDArray]:
    """Variables of a file.

    Args:
        path: The file.
        names: The variables.

    Returns:
        Name to array with the axes that MATLAB shows; sparse matrices are filled, cell arrays of strings and
        matrices of characters are arrays of strings without trailing blanks.

    Raises:
        HarnessError: It is no MATLAB file, or a variable is not in it.
    """
    names = list(names)
    try:
        found = _read_hdf5(path, names) if _is_hdf5(path) else _read_older(path, names)
    except HarnessError:
        raise
    except Exception as error:
        raise _not_readable(path, error) from error
    missing = [name for name in names if name not in found]
    if missing:
        raise HarnessError(
            f"{path} lacks {', '.join(missing)}; it holds {', '.join(variables_of(path)) or 'no variables'}."
        )
    return found


def _is_hdf5(path: Path) -> bool:
    import h5py

    if not path.is_file():
        raise HarnessError(f"{path} is missing.")
    return bool(h5py.is_hdf5(path))


def _not_readable(path: Path, error: Exception) -> HarnessError:
    return HarnessError(f"{path} cannot be read as a MATLAB file: {why_unreadable(path, error, 'matlab', 'hdf5')}.")


@contextmanager
def _hdf5(path: Path) -> Iterator[Any]:
    """The file, open; what goes wrong while it is means that it cannot be read."""
    import h5py

    try:
        with h5py.File(path, "r") as opened:
            yield opened
    except HarnessError:
        raise
    except Exception as error:  # h5py raises OSError, KeyError, RuntimeError, ... for a damaged file
        raise _not_readable(path, error) from error


def _refuse_large(path: Path, said: str, number: int) -> None:
    """A few bytes can declare more than any memory holds.

    Raises:
        HarnessError: A variable fills more bytes than a file of this size can be meant to give.
    """
    if number > max(LARGEST, LARGEST_RATIO * path.stat().st_size):
        raise HarnessError(f"{path}: {said} would fill {number:,} bytes, which is refused as a bomb.")


def _variable(opened: Any, name: Any, path: Path, said: str) -> Any:
    """A variable that holds its numbers itself; HDF5 could also fetch them from any other file of this machine.

    Raises:
        HarnessError: It is a sparse matrix or a structure, or lies in another file.
    """
    import h5py

    link = opened.get(name, getlink=True) if isinstance(name, str) else None  # a cell is named by a reference
    value = None if isinstance(link, h5py.ExternalLink | h5py.SoftLink) else opened[name]
    if value is not None and not isinstance(value, h5py.Dataset):
        raise HarnessError(f"{path}: {said} is a sparse matrix or a structure; save it as a full matrix.")
    if value is None or value.external or value.is_virtual:
        raise HarnessError(f"{path}: {said} refers to another place, which is not followed; save it as a full matrix.")
    return value


def _read_older(path: Path, names: list[str]) -> dict[str, NDArray]:
    from scipy.io import loadmat, whosmat
    from scipy.sparse import issparse

    for name, shape, _ in whosmat(path):
        if name in names:
            _refuse_large(path, name, 8 * math.prod(int(side) for side in shape))
    content = loadmat(path, variable_names=names)
    found = {}
    for name in names:
        if name in content:
            value = content[name]
            found[name] = np.asarray(value.todense()) if issparse(value) else _strings(np.asarray(value))
    return found


def _strings(value: NDArray) -> NDArray:
    """Cells of strings and rows of characters as strings; anything else as it is."""
    if value.dtype.kind == "U":
        return np.char.rstrip(value)
    if value.dtype == object and value.size and all(_is_text(cell) for cell in value.flat):
        flat = [str(np.asarray(cell).reshape(-1)[0]).rstrip() if np.size(cell) else "" for cell in value.flat]
        return np.array(flat, dtype=np.str_).reshape(value.shape)
    return value


def _is_text(cell: Any) -> bool:
    array = np.asarray(cell)
    return (array.dtype.kind == "U" and array.size <= 1) or array.size == 0


def _read_hdf5(path: Path, names: list[str]) -> dict[str, NDArray]:
    found = {}
    with _hdf5(path) as opened:
        for name in names:
            if name not in opened:
                continue
            value = _variable(opened, name, path, name)
            _refuse_large(path, name, value.nbytes)
            kind = value.attrs.get("MATLAB_class", b"")
            if kind == b"cell":
                cells = [_characters(_variable(opened, place, path, f"a cell of {name}")) for place in value[()].T.flat]
                found[name] = np.array(cells, dtype=np.str_).reshape(value.shape[::-1])
            elif kind == b"char":
                rows = value[()].T
                found[name] = np.array([_characters(row) for row in np.atleast_2d(rows)], dtype=np.str_)
            else:
                found[name] = value[()].T
    return found


def _characters(value: Any) -> str:
    """UTF-16 code units of a MATLAB string, without trailing blanks."""
    units = np.asarray(value[()] if hasattr(value, "attrs") else value)
    if hasattr(value, "attrs") and value.attrs.get("MATLAB_empty", 0):
        return ""
    return units.T.reshape(-1).astype(np.uint16).tobytes().decode("utf-16-le").rstrip()


@dataclass
class MatlabImages:
    """Images in one variable of a version 7.3 file, (height, width, 3, n) in MATLAB's orientation, read one by one.

    Made by :func:`matlab_images`, which looks at the variable first.

    Attributes:
        path: The file.
        name: The variable.
        number: How many images there are.
    """

    path: Path
    name: str
    number: int
    _opened: dict[int, Any] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return self.number

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": {}}

    def _pixels(self, index: int) -> NDArray[np.uint8]:
        """(3, width, height), as HDF5 stores it. Each process opens the file anew: a fork would share its place."""
        import h5py

        process = os.getpid()
        try:
            if process not in self._opened:
                self._opened = {process: h5py.File(self.path, "r")}
            return np.asarray(self._opened[process][self.name][index])
        except Exception as error:  # as in _hdf5
            raise HarnessError(
                f"image {index} in {self.path} cannot be read: {why_unreadable(self.path, error, 'hdf5')}."
            ) from error

    def __getitem__(self, index: int) -> Image:
        from PIL import Image

        return Image.fromarray(np.ascontiguousarray(self._pixels(index).T.astype(np.uint8)))

    def fingerprint(self, index: int) -> str:
        """Hash of the pixels."""
        import hashlib

        return hashlib.sha256(np.ascontiguousarray(self._pixels(index)).tobytes()).hexdigest()


def matlab_images(path: Path, name: str) -> MatlabImages:
    """The images of a variable, after a look at its shape and at the values of the first of them.

    Args:
        path: The file.
        name: The variable.

    Raises:
        HarnessError: The file is not of version 7.3 or cannot be read, or the variable holds no pixels from 0 to 255.
    """
    if not _is_hdf5(path):
        raise HarnessError(f"{path}: {name} is not of version 7.3 (HDF5), from which images can be read one by one.")
    with _hdf5(path) as opened:
        value = _variable(opened, name, path, name)
        if len(value.shape) != 4 or value.shape[1] != 3 or not value.size:  # HDF5 has the axes of MATLAB backwards
            raise HarnessError(f"{path}: {name} is {value.shape[::-1]} in MATLAB, expected (height, width, 3, images).")
        _refuse_large(path, f"an image of {name}", value.nbytes // len(value))
        first = np.asarray(value[0])
        if first.dtype.kind not in "iuf" or (first.dtype != np.uint8 and not _are_pixels(first)):
            raise HarnessError(
                f"{path}: {name} holds {first.dtype} from {first.min()} to {first.max()} in its first image, expected "
                "pixels 0 to 255 (uint8)."
            )
        return MatlabImages(path, name, value.shape[0])


def _are_pixels(image: NDArray) -> bool:
    """Whether numbers of another type than uint8 are pixels 0 to 255, and neither scaled nor centred."""
    whole = bool((image == np.round(image)).all())  # NaN is not equal to itself
    return whole and image.min() >= 0 and image.max() <= 255 and image.max() != 1
