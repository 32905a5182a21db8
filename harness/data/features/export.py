"""A cell's data in one npz file, so that another program can run on exactly it.

The file is a feature file (``harness run --features``), a noise plan (``--noise-plan``) and the frame for other
programs' codes (``harness evaluate --cell``) at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.assemble import CellData
from harness.data.table import FeatureTable
from harness.files.json_text import parsed_json
from harness.files.whole import write_whole

HEADER = "cell_header"


def export_arrays(data: CellData, facts: Mapping[str, Any]) -> dict[str, NDArray]:
    """All arrays of a cell's data.

    Args:
        data: The data of the cell.
        facts: What the record would say of the data: data set, protocol, noise, seeds, backbones, fingerprint.

    Returns:
        The arrays of a feature file; ``trusted`` (n_images,); the plan as ``plan_image``, ``plan_caption``,
        ``plan_own_caption``, ``plan_wrong``, ``plan_trusted``: training pair i is ``image[plan_image[i]]`` with
        ``text[plan_caption[i]]``; ``cell_image_mean``, ``cell_image_scale``, ``cell_text_mean``, ``cell_text_scale``:
        standardisation by training rows. Features are stored before standardisation.
    """
    table = data.table
    trusted = np.zeros(len(table), dtype=bool)
    trusted[data.plan.image] = data.plan.trusted
    return {
        **feature_arrays(table, data.split, facts),
        "caption_choice": data.caption_of,
        "trusted": trusted,
        **data.plan.arrays(),
        "cell_image_mean": data.image_standardiser.mean,
        "cell_image_scale": data.image_standardiser.scale,
        "cell_text_mean": data.text_standardiser.mean,
        "cell_text_scale": data.text_standardiser.scale,
    }


def feature_arrays(table: FeatureTable, split: NDArray[np.int8] | None, facts: Mapping[str, Any]) -> dict[str, NDArray]:
    """Features and what is known about them, as a feature file holds them.

    Args:
        table: The features.
        split: (n_images,) split codes; None to leave them to whoever reads the file.
        facts: What the header says: data set, seeds, backbones, fingerprint.

    Returns:
        Arrays as :func:`harness.data.features.feature_file.read_feature_file` takes them, and the header.
    """
    arrays: dict[str, NDArray] = {
        "image": table.image,
        "text": table.text,
        "caption_image": table.caption_image,
        "labels": table.labels,
        HEADER: np.array(json.dumps(dict(facts), sort_keys=True)),
    }
    if split is not None:
        arrays["split"] = split
    for name, views in (("image_aug", table.image_views), ("text_aug", table.text_views)):
        if views:
            arrays[name] = np.stack(views)
    for name, strings in (("captions", table.captions), ("filenames", table.filenames)):
        if strings is not None:
            arrays[name] = np.array(strings, dtype=np.str_)
    for name, array in (
        ("caption_choice", table.caption_choice), ("trusted", table.trusted), ("wrong", table.wrong),
        ("unlabelled", table.unlabelled),
    ):  # fmt: skip
        if array is not None:
            arrays[name] = array
    return arrays


def write_export(path: Path, arrays: Mapping[str, NDArray]) -> Path:
    """Write the file under a temporary name, then rename it.

    Args:
        path: The file; the ending ``.npz`` is added where it lacks it.
        arrays: Its arrays.

    Returns:
        The file as it is called.

    Raises:
        HarnessError: It cannot be written.
    """
    path = path if path.suffix == ".npz" else path.with_name(path.name + ".npz")
    write_whole(path, "-o", lambda opened: np.savez(opened, allow_pickle=False, **arrays))  # type: ignore[arg-type]
    return path


def header_of(arrays: Mapping[str, NDArray]) -> dict[str, Any] | None:
    """The facts in an exported file, or None if it is not one."""
    if HEADER not in arrays:
        return None
    try:
        header = parsed_json(str(arrays[HEADER]))
    except ValueError:
        return None
    return header if isinstance(header, dict) else None
