"""The contract checks of plugins, for `harness plugin check` and for a plugin author's own tests.

In a test file beside the plugin::

    from harness.testing import parametrize_with_checks

    @parametrize_with_checks("my_hasher.py")
    def test_contract(check):
        check()

Fixtures that make small cells are in :mod:`harness.testing.fixtures`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Each module adds its checks to CHECKS; their order here is the order of reports.
from harness.testing import (  # noqa: F401
    checks_data,
    checks_engines,
    checks_evaluation,
    checks_hashers,
    checks_objective,
    checks_registration,
    checks_sizes,
    checks_training,
    checks_wall,
)
from harness.testing.outcomes import (
    CHECKS,
    Check,
    CheckFailed,
    CheckOutcome,
    CheckSkipped,
    CheckWarning,
    run_check,
)
from harness.testing.subject import Subject, parts_of, subjects_in, subjects_of

__all__ = [
    "CHECKS",
    "BoundCheck",
    "Check",
    "CheckFailed",
    "CheckOutcome",
    "CheckSkipped",
    "CheckWarning",
    "Subject",
    "bound_checks",
    "checks_for",
    "parametrize_with_checks",
    "run_check",
    "subjects_in",
    "subjects_of",
]

_ORDER = (
    "checks_registration", "checks_training", "checks_hashers", "checks_wall", "checks_sizes", "checks_objective",
    "checks_data", "checks_evaluation", "checks_engines",
)  # fmt: skip


def checks_for(subject: Subject, *, slow: bool = True, only: Sequence[str] = ()) -> list[Check]:
    """The checks that ask things like this one.

    Args:
        subject: What is asked.
        slow: With those that start processes.
        only: Names of checks; empty for all.

    Raises:
        HarnessError: ``only`` names a check that does not exist.
    """
    from harness.errors import unknown_name

    for name in only:
        if name not in {known.name for known in CHECKS}:
            raise unknown_name("check", name, {known.name for known in CHECKS})
    applicable = [
        asked
        for asked in CHECKS
        if subject.kind in asked.kinds and (slow or not asked.slow) and (not only or asked.name in only)
    ]
    return sorted(applicable, key=lambda asked: _ORDER.index(asked.ask.__module__.rpartition(".")[2]))


@dataclass(frozen=True)
class BoundCheck:
    """A check of one subject, to be called.

    Attributes:
        check: The check.
        subject: What is asked.
        stands_on: Checks without which this one says nothing.
    """

    check: Check
    subject: Subject
    stands_on: tuple[BoundCheck, ...] = ()

    def __str__(self) -> str:
        return f"{self.subject}: {self.check.name}"

    def outcome(self) -> CheckOutcome:
        """Ask, once where others stand on it; skipped where one of those it stands on failed."""
        kept, place = self.subject.memory, f"outcome of {self.check.name}"
        if self.check.foundation and place in kept:
            known: CheckOutcome = kept[place]
            return known
        broken = next((base for base in self.stands_on if base.outcome().status == "failed"), None)
        if broken is None:
            outcome = run_check(self.check, self.subject)
        else:
            of_part = "" if broken.subject is self.subject else f" of {broken.subject}"
            outcome = CheckOutcome(
                str(self.subject), self.check.name, "skipped", f"{broken.check.name}{of_part} failed"
            )
        if self.check.foundation:
            kept[place] = outcome
        return outcome

    def __call__(self) -> None:
        """Ask, in a test.

        Raises:
            CheckFailed: The contract is broken.
            Exception: pytest's own for a check that does not apply.
        """
        outcome = self.outcome()
        if outcome.status == "failed":
            raise CheckFailed(f"{self}: {outcome.reason}", outcome.hint)
        if outcome.status == "skipped":
            import pytest

            pytest.skip(outcome.reason)


def bound_checks(subjects: Iterable[Subject], *, slow: bool = True, only: Sequence[str] = ()) -> Iterator[BoundCheck]:
    """All checks of some subjects: each stands on the foundations before it, a method on those of its parts as well."""
    subjects = list(subjects)
    foundations: dict[tuple[str, str], list[BoundCheck]] = {}
    bound = []
    for subject in sorted(subjects, key=lambda subject: subject.kind == "method"):
        own: list[BoundCheck] = []
        of_parts = [base for part in parts_of(subject) for base in foundations.get(part, ())]
        for asked in checks_for(subject, slow=slow, only=only):
            # A method's own registration and recipe can be looked at whatever its parts are like.
            bound.append(BoundCheck(asked, subject, (*own, *(of_parts if own else ()))))
            own += [bound[-1]] if asked.foundation else []
        foundations[subject.kind, subject.name] = own
    yield from bound


def parametrize_with_checks(
    what: str | Path | Sequence[Subject],
    *,
    settings: Mapping[str, str] | None = None,
    slow: bool = True,
    expected_failures: Mapping[str, str] | None = None,
) -> Any:
    """A decorator that runs a test once for each check, as scikit-learn's function of that name does.

    Args:
        what: Plugin file, name of an installed plugin or of something registered, or subjects.
        settings: Values of ``--set`` that make things small, for example ``{"hasher.hidden": "16"}``.
        slow: With checks that start processes and take seconds.
        expected_failures: Name of a check, or "KIND NAME: CHECK", to the reason why it is known to fail.

    Returns:
        The decorator; the test has one argument, ``check``, and calls it.
    """
    import pytest

    subjects = subjects_of(what, settings) if isinstance(what, str | Path) else what
    known = expected_failures or {}
    parameters = []
    for bound in bound_checks(subjects, slow=slow):
        reason = known.get(str(bound), known.get(bound.check.name))
        marks = [pytest.mark.xfail(reason=reason, raises=CheckFailed)] if reason else []
        parameters.append(pytest.param(bound, id=str(bound), marks=marks))
    return pytest.mark.parametrize("check", parameters)
