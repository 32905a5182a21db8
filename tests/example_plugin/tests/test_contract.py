"""The checks of the harness, on the installed package."""

from __future__ import annotations

from harness.testing import parametrize_with_checks


@parametrize_with_checks("example")
def test_contract(check):
    """Every check of `harness plugin check example`."""
    check()
