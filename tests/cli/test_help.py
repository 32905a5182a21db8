"""Help fits a terminal, and long help has sections."""

from __future__ import annotations

import re

import click
import pytest
from click.testing import CliRunner

from harness.cli import VERBS, cli


def verbs_below(command: click.Command, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The words of a command and of all verbs below it."""
    found = [words]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for verb in command.list_commands(context):
            found += verbs_below(command.get_command(context, verb), (*words, verb))
    return found


def help_of(*words: str) -> str:
    result = CliRunner().invoke(cli, [*words, "--help"], terminal_width=80)
    assert result.exit_code == 0
    return result.output


def sections(text: str) -> dict[str, list[str]]:
    """Title of each section to its options."""
    parts = re.split(r"^(\S[^\n]*):\n", text, flags=re.MULTILINE)
    return {
        title: re.findall(r"^  (?:-h, )?(--[a-z-]+)", body, re.MULTILINE)
        for title, body in zip(parts[1::2], parts[2::2], strict=True)
    }


@pytest.mark.parametrize("verb", VERBS)
def test_help_fits_80_columns(verb):
    for words in verbs_below(cli):
        if words[:1] == (verb,):
            assert max(map(len, help_of(*words).splitlines())) <= 80, words


def test_the_help_of_run_has_sections():
    found = sections(help_of("run"))
    assert list(found) == ["Method", "Data", "Noise", "Features", "Running", "Results", "Options"]
    assert found["Options"] == ["--help"]
    assert found["Results"] == ["--results", "--metric", "--json"]
    assert "--dataset" in found["Data"]
    assert "--trusted" in found["Noise"]
    assert "--image-backbone" in found["Features"]
    assert "--dry-run" in found["Running"]
    assert found["Method"][0] == "--method"
    assert found["Method"][-1] == "--from"


@pytest.mark.parametrize("words", [("sweep",), ("data", "export"), ("features", "build"), ("features", "export")])
def test_other_long_help_has_sections_and_misses_no_option(words):
    text = help_of(*words)
    found = sections(text)
    assert len(found) > 2
    command = cli
    for word in words:
        command = command.get_command(click.Context(command), word)
    shown = [option for options in found.values() for option in options]
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert any(flag in shown or f"{flag}," in text for flag in parameter.opts), parameter.name
