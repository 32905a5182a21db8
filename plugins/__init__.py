"""The harness's own components and methods, each a plugin like any other; installed as ``harness_plugins``."""
