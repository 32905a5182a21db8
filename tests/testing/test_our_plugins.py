"""The checks that plugin authors run, over everything that is registered here.

Processes of the executors and trackers have tests of their own; the checks that start them are left out here, and run
on plugins of the templates in test_new.py.
"""

from __future__ import annotations

from harness.plugin.loading import load_registry
from harness.testing import parametrize_with_checks, subjects_in

SMALL = {"hasher.hidden": "24", "hasher.batch_size": "16", "detector.batch_size": "16"}

EXPECTED: dict[str, str] = {}
"""Known exceptions, "KIND NAME: CHECK" to the reason. Whoever declares what it needs is skipped by itself: the oracle
and the mask, the released CHNR and class labels."""


def subjects():
    registry = load_registry(environment={})
    ours = [state for state in registry.plugins if state.origin.startswith("noisy-hashing-harness ")]
    return subjects_in(registry, ours, SMALL)


@parametrize_with_checks(subjects(), slow=False, expected_failures=EXPECTED)
def test_our_plugins_keep_the_contract(check):
    check()
