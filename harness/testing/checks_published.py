"""Checks of published numbers."""

from __future__ import annotations

from harness.errors import HarnessError
from harness.report.published import numbers_of
from harness.testing.outcomes import CheckFailed, CheckWarning, check
from harness.testing.subject import Subject


@check("published", hint="docs/published.md shows the layout of the file.")
def check_published_numbers(subject: Subject) -> str:
    """The file is read, its metrics are registered, and its methods are known by the presets and parameters named."""
    registry = subject.registry
    try:
        numbers = numbers_of(registry, subject.declaration)
    except HarnessError as error:
        raise CheckFailed(str(error)) from error
    missing = sorted({one.corresponds_to for one in numbers} - {"", *registry.names("method")})
    if missing:
        raise CheckWarning(f"nothing of ours can stand beside: no method is called {', '.join(missing)} here")
    for kind, names in (
        ("dataset", {one.dataset for one in numbers}),
        ("protocol", {one.protocol for one in numbers} - {""}),
    ):
        unknown = sorted(names - set(registry.names(kind)))
        if unknown:
            raise CheckWarning(f"no {kind} of that name is registered here: {', '.join(unknown)}")
    return f"{len(numbers)} numbers of {len({one.method for one in numbers})} methods"
