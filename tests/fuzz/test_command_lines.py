"""Fuzzed command lines over all verbs and options; none of them trains anything."""

from __future__ import annotations

import io
import json
import shlex
import sys
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import click
import numpy as np
import pytest
from fuzz.answers import check_line
from fuzz.hostile import NUMBERS, TEXTS
from fuzz.sandbox import ROOM
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.cli import cli, main
from harness.records.run_files import array_bytes

HASH = "0123456789ab"

FILES: dict[str, bytes] = {
    "plugin.py": b'"""Nothing."""\n',
    "broken.py": b"def (:\n",
    "raises.py": b"raise SystemExit(3)\n",
    "card.toml": b'name = "small"\n',
    "plan.toml": b'[axes]\nmethod = ["cca-itq", "random-codes"]\nnoise = [0.0, 0.4]\n',
    "deep.toml": b"a = " + b"[" * 5000,
    "empty.npz": b"",
    "archive.zip": b"PK\x05\x06" + bytes(18),
    "latin.toml": b'title = "caf\xe9"\n',
    "\x1b[31mred.py": b"1 / 0\n",
}
"""Files beside the user, by name."""

CODES = {
    "query_image_codes": np.array([[1, 0], [0, 1]]), "database_text_codes": np.array([[1, 0], [0, 1], [1, 1]]),
    "query_labels": np.array([0, 1]), "database_labels": np.array([0, 1, 1]),
}  # fmt: skip

GIVEN = st.sampled_from([f"given/{name}" for name in [*FILES, "codes.npz", "none.npz", "none", "."]])


def as_argument(value: str | float) -> str:
    """A value as a shell hands it over: bytes that are no UTF-8 as lone surrogates."""
    return str(value)[:6000].encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")


HOSTILE = st.sampled_from(
    [as_argument(value) for value in (*TEXTS, *NUMBERS) if not set("\0/") & set(str(value))]
) | st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), max_size=8)
"""Words without NUL, which no shell can hand over. None of them is a path to elsewhere: what a user names on the
command line may be written.
"""

GRID = st.sampled_from(["method", "noise", "dataset", "hasher,objective", "direction", "bits", "seed", "nothing"])
CONDITION = st.sampled_from(
    ["bits=64", "dataset=ucm and noise>=0.2", "not (method=chnr", "(" * 300, "not " * 300 + "bits=1", "bits=1 or", "=",
     "bits in (1", "seed=99999999999999999999999", "method='a", 'method="', "\x1b=1"]
)  # fmt: skip
SELECT = st.sampled_from(
    ["SELECT 1", "SELECT * FROM runs", "SELECT x'00ff'", "SELECT 9e999", "SELECT -9e999 AS a, a FROM runs",
     "DROP TABLE runs", "SELECT load_extension('x')", "ATTACH 'given/x.db' AS y", "SELECT 1; SELECT 2",
     "PRAGMA user_version = 3", "SELECT char(27) || '[2J'", "SELECT zeroblob(100)", "SELECT " + "(" * 500 + "1",
     "VACUUM INTO 'given/copy'", "", ";"]
)  # fmt: skip

VALUES: dict[str, Any] = {
    "method": st.sampled_from(["cca-itq", "chnr,cca-itq", "chnr", "nothing", "external:x"]),
    "dataset": st.sampled_from(["ucm", "folder", "folder:a.csv", "folder:../a", "given/card.toml", "nothing", "wiki"]),
    "name": st.sampled_from(["ucm", "toy", "cca-itq", "nothing"]),
    "names": st.sampled_from(["ucm", "folder", "given/card.toml", "nothing"]),
    "what": st.sampled_from(["methods", "published", "plugins", "nothing"]),
    "select": SELECT, "where": CONDITION, "rows": GRID, "columns": GRID, "by": GRID, "blocks": GRID, "column": GRID,
    "run": st.sampled_from([HASH, HASH[:3], f"results/runs/cca-itq/small/{HASH}", "fff", "results"]),
    "codes": st.just("given/codes.npz"), "plan": st.just("given/plan.toml"),
    "metrics": st.sampled_from(["map", "map@5", "map_relevant@20", "detector/auroc", "i2t/map", "nothing", "map@0"]),
    "executor": st.sampled_from(["serial", "local", "nothing"]),
    "data_root": st.sampled_from(["given", "none", "victim"]),
    "settings": st.sampled_from(["hasher.beta=0.1", "hasher.beta", "=", "a=b", "seed=1", "hasher.ridge=nan"]),
    "resamples": st.sampled_from(["100", "99", "nothing"]),
    "results": st.sampled_from(["results", "none", "given/plan.toml"]),
    "format": st.sampled_from(["json", "csv", "latex", "html", "simple", "archive", "nothing"]),
    "cell": st.sampled_from([HASH, "given/codes.npz", "method=cca-itq,dataset=ucm", "noise=2,dataset=ucm", ","]),
    "shard": st.sampled_from(["1/2", "3/2", "0/0", "1/-1", "a/b"]),
}  # fmt: skip
"""Values that get past the first question, by the name of the parameter."""

SAFE = {
    "run": ["--dry-run"],
    "sweep": ["--dry-run"],
    "data fetch": ["--dry-run"],
    "data export": ["--dataset", "ucm"],
    "features build": ["--dataset", "ucm"],
    "features export": ["--dataset", "ucm"],
    "plugin new": ["--folder", "out"],
}
"""Words without which a verb would train, download, compute (the files of that data set are not there), or write where
it is."""

NEVER = {"status": ["--watch"], "plugin check": ["NAME"]}


def leaves(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every verb, with its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from leaves(command, (*words, name))
        elif command is not None:
            yield " ".join((*words, name)), command


VERBS = {verb: command for verb, command in leaves(cli) if verb != "doctor"}
"""All but one, which imports every library there is, for a quarter of a minute."""


@st.composite
def value_of(draw: st.DrawFn, verb: str, parameter: click.Parameter) -> str:
    """A value of a parameter: usual, a file, or hostile."""
    name = parameter.name or ""
    if name in ("output", "folder", "figure"):
        return "out/" + draw(HOSTILE | st.sampled_from(["a.csv", "a.tex", "a.svg", "a.tar.gz", "none/a.zip", ""]))
    usual = VALUES.get(name, HOSTILE)
    if isinstance(parameter.type, click.Choice):
        usual = st.sampled_from([str(choice) for choice in parameter.type.choices])
    if verb == "plugin check" and name == "what":
        usual = GIVEN
    return draw(draw(st.sampled_from([usual, usual, usual, usual, GIVEN, HOSTILE])))


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """A verb with some of its options, each with a value of its kind or a hostile one; now and then a stray word."""
    verb = draw(st.sampled_from([*VERBS]))
    command, words = VERBS[verb], [*verb.split(), *SAFE.get(verb, [])]
    options = [option for option in command.params if isinstance(option, click.Option)]
    barred = NEVER.get(verb, [])
    usable = [option for option in options if not set(option.opts) & {*barred, *SAFE.get(verb, [])}]
    for argument in (parameter for parameter in command.params if isinstance(parameter, click.Argument)):
        for _ in range(draw(st.sampled_from([1, 1, 1, 1, 0, 2]))):
            words.append(draw(value_of(verb, argument)))
    needed = [option for option in usable if option.required and draw(st.integers(0, 5))]
    for option in [*needed, *draw(st.lists(st.sampled_from(usable), max_size=4))] if usable else []:
        words.append(draw(st.sampled_from(option.opts)))
        if not option.is_flag:
            words.append(draw(value_of(verb, option)))
    if draw(st.integers(0, 9)) == 0:
        words.insert(draw(st.integers(0, len(words))), draw(HOSTILE))
    return words


@pytest.fixture
def command(record):
    """Run a command line in this process: exit code, standard output, standard error."""

    def run(sandbox: Any, words: list[str]) -> tuple[int, str, str]:
        sandbox.fresh()
        for name, content in FILES.items():
            sandbox.file(name, content)
        sandbox.file("codes.npz", array_bytes(CODES))
        folder = sandbox.results / "runs" / "cca-itq" / "small" / HASH
        folder.mkdir(parents=True)
        (folder / "record.json").write_text(json.dumps(record().to_json()))
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", errors) for errors in ("strict", "backslashreplace"))
        with (
            patch.object(sys, "argv", ["harness", *words]),
            patch.object(sys, "stdout", out),
            patch.object(sys, "stderr", err),
            # torch and others leave folders of their own in $TMPDIR when they are imported
            sandbox.untouched(sandbox.results, sandbox.out, sandbox.temporary, ROOM / "cache"),
            pytest.raises(SystemExit) as stop,
        ):
            main()
        texts = []
        for stream in (out, err):
            stream.flush()
            texts.append(stream.buffer.getvalue().decode())
        return stop.value.code or 0, *texts

    return run


def strictly(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


@settings(settings.get_profile("fuzz-commands"))
@given(words=command_lines())
def test_a_command_line_is_answered(sandbox, command, words):
    code, out, err = command(sandbox, words)
    said = f"harness {shlex.join(words)[:2000]}\n{err[:2000]}"
    assert code in (0, 1, 2), said
    assert "Traceback" not in err, said
    assert "Internal error" not in err, said
    for line in err.splitlines():
        if line.startswith(("Error:", "note:")):
            check_line(line)
    hidden = [character for character in out + err if not character.isprintable() and character.isascii()]
    assert set(hidden) <= {"\n", "\t"}, said
    if "--json" in words and code == 0 and out:
        json.loads(out, parse_constant=strictly)
