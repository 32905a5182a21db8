"""The notebooks of the docs, run from a clean kernel: ``make notebooks`` writes them again with what they show.

They are committed with tables and other results, so that they can be read without being run. What is written on
standard error is left out, progress and warnings: it holds times and places of one machine. A test of the suite runs
them and compares what kinds of output each cell has; numbers may differ in the last digit between machines.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parent / "notebooks"


def of_cells(sources: Sequence[str]) -> Any:
    """A notebook with these cells of code."""
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])


def executed(notebook: Any, folder: Path) -> Any:
    """Run a notebook in a kernel of its own.

    Args:
        notebook: The notebook; it is changed.
        folder: Where the kernel runs, and results are written.

    Returns:
        The notebook with its outputs, without what was written on standard error.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell failed; the message holds its traceback.
    """
    client = NotebookClient(notebook, kernel_name="python3", timeout=280, resources={"metadata": {"path": folder}})
    client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when it was run
        if cell.cell_type == "code":
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
    notebook.metadata.pop("language_info", None)  # the release of Python that ran it
    return notebook


if __name__ == "__main__":
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as place:
            nbformat.write(executed(nbformat.read(path, as_version=4), Path(place)), path)
        sys.stdout.write(f"wrote {path}\n")
