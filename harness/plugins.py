"""Where tests of plugins import ``load_registry`` from; it lives in :mod:`harness.plugin.loading`."""

from harness.plugin.loading import load_registry
from harness.plugin.registry import KINDS, Registry

__all__ = ["KINDS", "Registry", "load_registry"]
