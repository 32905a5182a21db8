"""The command line: one verb, one file, imported when the verb is used.

Listing the verbs imports click and nothing else, so that ``harness --help`` answers at once.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys

import click

from harness.text import one_line, without_long_words

VERBS = {
    "run": ("harness.cli.running.run", "Train, evaluate, record and tabulate one cell or a grid of cells."),
    "sweep": ("harness.cli.running.sweep", "Run the cells of a plan file through whatever hardware there is."),
    "status": ("harness.cli.running.status", "How far a sweep is, from any terminal."),
    "list": ("harness.cli.listing", "List what is registered: methods, hashers, datasets, metrics, ..."),
    "info": ("harness.cli.info", "Parameters, defaults, needs and paper of one registered name."),
    "show": ("harness.cli.show", "Show one finished run."),
    "table": ("harness.cli.table", "Print comparison tables from the records."),
    "compare": ("harness.cli.compare", "Compare two rows: effect, interval and two paired tests."),
    "rank": ("harness.cli.rank", "Average ranks over data sets, with tests and a diagram."),
    "results": ("harness.cli.results", "Records together: list, query, merge, prune, verify, export."),
    "evaluate": ("harness.cli.evaluate", "Score codes of any other program with the same metrics."),
    "score": ("harness.cli.score", "Compute metrics again from the codes of finished runs."),
    "plugin": ("harness.cli.plugin", "Write, check and list plugins: new, check, list."),
    "data": ("harness.cli.data", "Data sets: list, info, check, fetch, audit, export."),
    "features": ("harness.cli.features", "Cached features: list, build, prune, export."),
    "doctor": ("harness.cli.doctor", "Check installation, plugins, devices and folders."),
}
"""Verb to module and one-line help; the module has a click command named ``command``."""


class LazyGroup(click.Group):
    """A group that imports a verb's module only when that verb is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order of a working day."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's command."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(VERBS[cmd_name][0]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a suggestion for an unknown verb."""
        if args and not args[0].startswith("-") and args[0] not in VERBS:
            from harness.errors import unknown_name

            raise click.UsageError(str(unknown_name("verb", args[0], VERBS)), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Verbs with their one-line help, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, text) for verb, (_, text) in VERBS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="noisy-hashing-harness", prog_name="harness")
def cli() -> None:
    """Benchmark harness for unsupervised cross-modal hashing under noisy image-text pairs.

    \b
    harness run --method chnr --noise 0.4          one cell on the toy data
    harness run --method chnr,cca-itq --noise 0,0.4 --seed 0-4
    harness list methods                           what there is
    """


class _Notes(logging.Handler):
    """Library warnings of the harness, as one line each on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(f"note: {one_line(record.getMessage())}", err=True, color=True)


def main() -> None:
    """Entry point of the ``harness`` script: the process ends with the command."""
    from harness.cli.leaving import not_held_up

    with not_held_up():
        _command()


def _command() -> None:
    """Run the command line: errors become one sentence and an exit code."""
    from harness.cli.outlets import open_closed_streams, outlets

    logger = logging.getLogger("harness")
    logger.propagate = False
    logger.handlers = [_Notes()]
    logging.getLogger("harness_plugins").handlers = [_Notes()]  # our own plugins, which readers are, warn as the core
    # OpenMP's threads spin while they wait for each other; where another program has one of the cores, that made the
    # same cell up to ten times as slow (docs/benchmarks.md). It must be said before torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    open_closed_streams()
    with outlets():
        code = _exit_code(sys.argv[1:])
    sys.exit(code)


def _exit_code(words: list[str]) -> int:
    """Run one command line.

    Args:
        words: It, without the name of the program.

    Returns:
        0 or what the verb says; 2 where the user or the system can mend it, 70 where nobody but we can, 130 where the
        user stopped it.
    """
    try:
        from harness.cli.words import check_words

        check_words(words)
        # "color" leaves colours in texts to the outlets; click would take them out of what names contain.
        code = cli.main(words, prog_name="harness", standalone_mode=False, color=True)
        sys.stdout.flush()  # what was printed past click may wait in the buffer
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        return 130
    except click.ClickException as error:
        error.message = without_long_words(error.message)
        error.show()
        return error.exit_code
    except click.exceptions.Exit as exit_request:
        return exit_request.exit_code
    except BrokenPipeError:  # `harness list methods | head`
        return 1
    except BaseException as error:  # a plugin may raise any kind of it
        return _report(error)
    return code if isinstance(code, int) else 0


def _report(error: BaseException) -> int:
    """One sentence for a mistake of a user or a plugin, or trouble of the system (exit code 2), otherwise how to see
    more (70).
    """
    from harness.errors import text_of

    if os.environ.get("HARNESS_DEBUG"):
        import traceback

        traceback.print_exc()
    sentence = _sentence(error)
    if isinstance(error, SystemExit) and not sentence:  # click's own, after a pipe was closed
        return error.code if isinstance(error.code, int) else 1
    if sentence:
        click.echo(f"Error: {without_long_words(one_line(sentence))}", err=True, color=True)
        return 2
    text = without_long_words(one_line(text_of(error)))
    click.echo(
        f"Internal error ({type(error).__name__}): {text} - set HARNESS_DEBUG=1 to see where, and please report it.",
        err=True,
        color=True,
    )
    return 70


def _sentence(error: BaseException) -> str:
    """What the user can do about an error; "" where it is none of theirs."""
    from harness.errors import HarnessError

    where_it_came_up = "set HARNESS_DEBUG=1 to see where"
    if isinstance(error, HarnessError):
        return str(error)
    from harness.plugin.loading import failure_of_plugin

    of_plugin = failure_of_plugin(error)
    if of_plugin:
        return of_plugin
    if isinstance(error, OSError) and error.strerror:
        named = " and ".join(repr(str(name)) for name in (error.filename, error.filename2) if name is not None)
        if named:
            return f"{named} cannot be used: {error.strerror}."
        return f"the system refused: {error.strerror}; {where_it_came_up}."
    if isinstance(error, MemoryError):
        return f"there is not enough memory: take smaller data, or a machine with more; {where_it_came_up}."
    if isinstance(error, RecursionError):
        return f"something that was given is nested too deeply; {where_it_came_up}."
    if isinstance(error, UnicodeEncodeError):
        wrong = error.object[error.start : error.end]
        return f"{wrong!r} is no valid Unicode: rename what is called so; {where_it_came_up}."
    return ""
