"""Versions of the harness and of its plugin API."""

__version__ = "0.1.0"

HARNESS_API = 1
"""Version of the plugin API. A plugin may say ``harness_api = 1`` at module level; what it was not written for is then
one sentence instead of an accident. Within a version hooks, their arguments and optional methods are only added."""
