"""The report of `harness plugin check`."""

from __future__ import annotations

import contextlib
import io
import textwrap
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence

from harness.testing.outcomes import Outcome

WIDTH = 110
MARKS = {"ok": "ok     ", "warning": "warning", "failed": "FAILED ", "skipped": "skipped"}


@contextlib.contextmanager
def told() -> Iterator[None]:
    """What a component prints or warns of while it is checked is not part of the report."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def printed(outcome: Outcome, subject_before: str) -> list[str]:
    """The lines of one outcome; the subject is named where it changes."""
    lines = [outcome.subject] if outcome.subject != subject_before else []
    first = f"  {MARKS[outcome.status]}  {outcome.check}"
    text = f"{first}: {outcome.reason}" if outcome.reason else first
    lines += textwrap.wrap(text, WIDTH, subsequent_indent=" " * 11, break_long_words=False, break_on_hyphens=False)
    if outcome.hint:
        lines += textwrap.wrap(
            f"hint: {outcome.hint}", WIDTH, initial_indent=" " * 11, subsequent_indent=" " * 17,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
    return lines


def failures(outcomes: Sequence[Outcome]) -> int:
    """How many failed."""
    return sum(outcome.status == "failed" for outcome in outcomes)


def summary(outcomes: Sequence[Outcome]) -> str:
    """One line: how many ended in which way, and how long it took."""
    if not outcomes:
        return "no check applies."
    counts = Counter(outcome.status for outcome in outcomes)
    parts = [f"{counts[status]} {status}" for status in ("ok", "warning", "failed", "skipped") if counts[status]]
    return f"{', '.join(parts)}; {sum(outcome.seconds for outcome in outcomes):.1f} s"
