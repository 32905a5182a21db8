"""What a check is and how it can end: ok, a warning, failed or skipped, with a reason and, where it failed, a hint.

A check is a function of a :class:`harness.testing.subject.Subject` with a docstring that says what it asks. It returns
None or a remark, or raises one of the exceptions below; whatever else it raises is a failure of the plugin.
"""

from __future__ import annotations

import contextlib
import io
import textwrap
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from harness.errors import CombinationError, HarnessError, what_and_where

if TYPE_CHECKING:
    from harness.testing.subject import Subject

Status = Literal["ok", "warning", "failed", "skipped"]

TRAINED = ("method", "hasher", "detector", "objective")
"""Kinds that take part in a training."""

WIDTH = 110
MARKS = {"ok": "ok     ", "warning": "warning", "failed": "FAILED ", "skipped": "skipped"}


class CheckFailed(AssertionError):
    """The plugin breaks its contract.

    Args:
        reason: What happened.
        hint: What to do.
    """

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(f"{reason} Hint: {hint}" if hint else reason)
        self.reason, self.hint = reason, hint


class CheckWarning(Exception):
    """Worth knowing, and allowed."""


class CheckSkipped(Exception):
    """The check does not apply here; the message says why."""


@dataclass(frozen=True)
class Check:
    """One question to a plugin.

    Attributes:
        name: Name, as in reports and in ``--only``.
        kinds: Kinds of things that are asked.
        ask: The question; its docstring is :attr:`meaning`.
        hint: What to do, where the failure itself does not say it.
        slow: It starts processes and takes seconds.
        foundation: The checks after it say nothing where it fails: they are skipped then.
    """

    name: str
    kinds: tuple[str, ...]
    ask: Callable[[Subject], str | None] = field(repr=False)
    hint: str = ""
    slow: bool = False
    foundation: bool = False

    @property
    def meaning(self) -> str:
        """What is asked, in one sentence."""
        return " ".join((self.ask.__doc__ or "").split("\n\n")[0].split())


CHECKS: list[Check] = []
"""All checks, in the order of reports."""


def check(*kinds: str, hint: str = "", slow: bool = False, foundation: bool = False) -> Callable[[Callable], Callable]:
    """Decorator: the function is a check for things of these kinds; its name, without ``check_``, is the check's."""

    def add(ask: Callable[[Subject], str | None]) -> Callable[[Subject], str | None]:
        name = ask.__name__.removeprefix("check_").replace("_", "-")
        CHECKS.append(Check(name, kinds, ask, hint, slow, foundation))
        return ask

    return add


@dataclass(frozen=True)
class CheckOutcome:
    """How a check ended.

    Attributes:
        subject: What was asked, for example "hasher my-hasher".
        check: Name of the check.
        status: "ok", "warning", "failed" or "skipped".
        reason: Why, or a remark.
        hint: What to do, where it failed.
        seconds: How long it took.
    """

    subject: str
    check: str
    status: Status
    reason: str = ""
    hint: str = ""
    seconds: float = 0.0


def run_check(asked: Check, subject: Subject) -> CheckOutcome:
    """Ask; whatever the check raises, but for KeyboardInterrupt, becomes an outcome."""
    start = time.perf_counter()
    status: Status = "ok"
    reason, hint = "", ""
    try:
        with one_thread() if subject.kind in TRAINED else nullcontext():
            reason = asked.ask(subject) or ""
    except CheckFailed as failure:
        status, reason, hint = "failed", failure.reason, failure.hint or asked.hint
    except CheckWarning as warning:
        status, reason = "warning", str(warning)
    except CheckSkipped as skipped:
        status, reason = "skipped", str(skipped)
    except CombinationError as refusal:
        status, reason = "skipped", f"refused from its declarations: {refusal}"
    except HarnessError as failure:
        status, reason, hint = "failed", str(failure), asked.hint
    except KeyboardInterrupt:
        raise
    except BaseException as failure:  # a component that calls sys.exit must not end the report
        status, reason, hint = "failed", what_and_where(failure, subject.file), asked.hint
    return CheckOutcome(str(subject), asked.name, status, reason, hint, round(time.perf_counter() - start, 3))


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit torch to one thread in a ``with`` block: small matrices gain nothing from more, and busy machines lose."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def told() -> Iterator[None]:
    """Discard what a component prints and its warnings in a ``with`` block."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def printed(outcome: CheckOutcome, subject_before: str) -> list[str]:
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


def failures(outcomes: Sequence[CheckOutcome]) -> int:
    """How many failed."""
    return sum(outcome.status == "failed" for outcome in outcomes)


def summary(outcomes: Sequence[CheckOutcome]) -> str:
    """One line: how many ended in which way, and how long it took."""
    if not outcomes:
        return "no check applies."
    counts = Counter(outcome.status for outcome in outcomes)
    parts = [f"{counts[status]} {status}" for status in ("ok", "warning", "failed", "skipped") if counts[status]]
    return f"{', '.join(parts)}; {sum(outcome.seconds for outcome in outcomes):.1f} s"
