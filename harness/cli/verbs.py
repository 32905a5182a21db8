"""Groups of verbs whose larger members have a file each, imported when the verb is used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click


class Verbs(click.Group):
    """Verbs of the group's own file, and of others.

    Args:
        own_file: Verb to the module that holds it, as a click command named ``command``; the module imports nothing
            heavy.
        settings: As of :class:`click.Group`.
    """

    def __init__(self, *, own_file: Mapping[str, str], **settings: Any) -> None:
        super().__init__(**settings)
        self.own_file = own_file

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs of this file, then the others."""
        return [*super().list_commands(ctx), *self.own_file]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's command."""
        if cmd_name in self.own_file:
            command: click.Command = importlib.import_module(self.own_file[cmd_name]).command
            return command
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a suggestion for an unknown verb."""
        known = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in known:
            from harness.errors import unknown_name

            raise click.UsageError(str(unknown_name(f"verb of harness {ctx.info_name}", args[0], known)), ctx)
        return super().resolve_command(ctx, args)
