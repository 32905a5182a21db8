"""MATLAB files as MATLAB writes them; version 7.3 is HDF5 behind 512 bytes, axes backwards, cells by reference."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

HEADER = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Jan 01 00:00:00 2018 HDF5 schema 1.00 ."


def write_v73(path: Path, variables: dict[str, np.ndarray | list[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        cells = file.create_group("#refs#")
        for name, value in variables.items():
            if isinstance(value, list):
                references = np.empty((1, len(value)), dtype=h5py.ref_dtype)  # an (n, 1) cell array
                for number, text in enumerate(value):
                    units = np.frombuffer(text.encode("utf-16-le"), dtype=np.uint16)[:, None]
                    cell = cells.create_dataset(f"{name}{number}", data=units)
                    cell.attrs["MATLAB_class"] = np.bytes_(b"char")
                    references[0, number] = cell.ref
                made = file.create_dataset(name, data=references)
                made.attrs["MATLAB_class"] = np.bytes_(b"cell")
            else:
                made = file.create_dataset(name, data=np.asarray(value).T)
                made.attrs["MATLAB_class"] = np.bytes_(np.asarray(value).dtype.name.replace("float64", "double"))
    with path.open("r+b") as opened:
        opened.write(HEADER.ljust(124) + b"\x00\x02IM")


def write_v5(path: Path, variables: dict[str, np.ndarray | list[str]]) -> None:
    """Versions before 7.3; a list of strings becomes an (n, 1) cell array."""
    from scipy.io import savemat

    path.parent.mkdir(parents=True, exist_ok=True)
    content = {}
    for name, value in variables.items():
        if isinstance(value, list):
            cells = np.empty((len(value), 1), dtype=object)
            cells[:, 0] = value
            value = cells
        content[name] = value
    savemat(path, content, do_compression=True)
