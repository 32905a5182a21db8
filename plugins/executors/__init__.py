"""Executors: thin adapters over engines that exist."""

from __future__ import annotations

from harness import hookimpl


@hookimpl
def register_executors(register):
    """Register the executors."""
    register(
        "serial",
        "harness_plugins.executors.serial:SerialExecutor",
        summary="one cell after the other, in this process",
        parameters=(),
    )
    register(
        "local",
        "harness_plugins.executors.local:LocalExecutor",
        summary="worker processes on this machine, which survive a dead one; time-outs, memory limits, GPUs dealt out",
        paper="https://pypi.org/project/pebble/",
        parameters=(),
    )
