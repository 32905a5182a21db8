"""The one exception that a user is meant to see, and how unknown names are answered."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from harness.wording import shortened

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
    return HarnessError(f"unknown {kind} {shortened(name)!r}: {hint}{' ' + remark if remark else ''}")


def what_and_where(error: BaseException) -> str:
    """Kind, text and place of a component's own error: the last line that is not inside a library."""
    import traceback

    lines = traceback.extract_tb(error.__traceback__)
    ours = [line for line in lines if "site-packages" not in line.filename] or lines
    where = f" ({ours[-1].filename}, line {ours[-1].lineno})" if ours else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())}{where}"
