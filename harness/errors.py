"""The one exception that a user is meant to see, and how unknown names are answered."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from harness.text import shortened

LONGEST_TEXT = 2000
"""Characters of an error's text, or of a line of a log, that are kept: a record must stay readable."""

LONGEST_NAME = 200
"""Characters that are compared with the names that exist."""


class HarnessError(Exception):
    """A mistake that the user can mend.

    The message is one or two plain sentences: what is wrong, where, and what to do. The command line prints it
    without a traceback and exits with code 2; inside a grid it becomes a ``failed`` record and the grid goes on.
    """


class CombinationError(HarnessError):
    """Components, options or data that cannot work together; raised from declarations, before anything is computed."""


class MissingFilesError(HarnessError):
    """Files that a data set needs are not there.

    Attributes:
        files: All of them, where the message names the first few.
    """

    def __init__(self, message: str, files: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.files = tuple(files)


class UnsavedError(HarnessError):
    """A record cannot be saved, or is gone: a sweep ends, because whatever else it computed would be lost as well."""


def unknown_name(kind: str, name: str, known: Iterable[str], remark: str = "") -> HarnessError:
    """Build the error for a name nobody registered.

    Args:
        kind: What was looked up, in the singular ("method", "metric", "parameter of chnr").
        name: What the user wrote.
        known: The names that exist.
        remark: A sentence to append, for example about plugins that failed to load.

    Returns:
        The error, with the nearest names ("did you mean") or, where none is near, the list of all names.
    """
    names, looked_up = sorted(set(known)), name[:LONGEST_NAME]
    close = difflib.get_close_matches(looked_up, names, n=3, cutoff=0.5)
    if not close:
        lowered = {candidate.lower(): candidate for candidate in names}
        close = [lowered[hit] for hit in difflib.get_close_matches(looked_up.lower(), lowered, n=3, cutoff=0.5)]
    if close:
        hint = f"did you mean {' or '.join(repr(candidate) for candidate in close)}?"
    elif not names:
        hint = "there is none."
    elif len(names) <= 30:
        hint = f"known: {', '.join(names)}."
    else:
        hint = f"known: {', '.join(names[:30])} and {len(names) - 30} more."
    return HarnessError(f"unknown {kind} {shortened(name, 100)!r}: {hint}{' ' + remark if remark else ''}")


def cut(text: str) -> str:
    """A stranger's text as far as a record or a log keeps it: of :data:`LONGEST_TEXT` at most, and valid Unicode."""
    kept = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."
    return kept.encode("utf-8", "backslashreplace").decode()


def text_of(error: BaseException) -> str:
    """What an error says, on one line and cut, also where its class fails to make the text."""
    try:
        text = str(error.msg if isinstance(error, SyntaxError) else error)  # str() of it names the place as well
    except BaseException as failure:  # whatever a stranger's class may raise
        text = f"its text cannot be made: str() raises {type(failure).__name__}"
    return cut(" ".join(text[: 2 * LONGEST_TEXT].split()))


def what_and_where(error: BaseException, file: Path | None = None) -> str:
    """Kind, text and place of a component's own error.

    Args:
        error: The error.
        file: The plugin's file, whose last line is named if the error passed there; otherwise the last line that is not
            inside a library.
    """
    import traceback

    lines = traceback.extract_tb(error.__traceback__)
    of_plugin = [line for line in lines if file is not None and Path(line.filename).resolve() == file.resolve()]
    ours = of_plugin or [line for line in lines if "site-packages" not in line.filename] or lines
    where = f" ({ours[-1].filename}, line {ours[-1].lineno})" if ours else ""
    return f"{type(error).__name__}: {text_of(error)}{where}"
