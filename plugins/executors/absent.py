"""What is said when the library of an engine is not installed."""

from __future__ import annotations

from harness.errors import HarnessError


def not_installed(executor: str, library: str, error: ImportError) -> HarnessError:
    """The error for an optional extra that is absent, or too broken to be imported."""
    return HarnessError(
        f"--executor {executor} needs {library}, which cannot be imported here ({error}): "
        f"pip install 'noisy-hashing-harness[{executor}]'"
    )
