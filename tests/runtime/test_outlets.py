"""What leaves the command line: control characters of strangers, small encodings, closed and full streams."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest
from rich.text import Text

from harness.errors import HarnessError
from harness.runtime.outlets import Outlet, console, outlets, shown

SCRIPT = Path(sys.executable).with_name("harness")
HOSTILE = "x\x1b]0;title\x07\x1b[8mhidden\r\x9b2J\u202e†"
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")

PLUGIN = f"""
from harness import hookimpl

@hookimpl
def register_detectors(register):
    register("told", list, summary={HOSTILE!r})
"""


@pytest.fixture
def hostile(record, tmp_path):
    """A results folder whose records carry control characters wherever a record holds text."""
    from harness.records.schema import Failure

    cell = {"row": HOSTILE, "protocol": HOSTILE, "backbones": {"image": {"name": HOSTILE}, "text": {"name": HOSTILE}}}
    for number, status in enumerate(("ok", "failed")):
        failure = None if status == "ok" else Failure(kind="E", message=HOSTILE, traceback=[HOSTILE])
        made = record(
            cell={**cell, "granted": [HOSTILE]}, hash=f"{number:012x}", status=status, error=failure, notes=[HOSTILE],
            command=f"harness run {HOSTILE}", environment={"host": HOSTILE, "device": HOSTILE},
        )  # fmt: skip
        folder = tmp_path / "results" / "runs" / "cca-itq" / "small" / made.hash
        folder.mkdir(parents=True)
        (folder / "record.json").write_text(json.dumps(made.to_json()))
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        *(("table", "--format", style) for style in ("simple", "plain", "github", "tsv", "csv", "html", "latex")),
        ("table", "--format", "latex_booktabs"),
        ("table", "--runs"),
        ("results", "list", "--column", "row,protocol,error"),
        ("results", "list", "--format", "csv"),
        ("results", "list", "--json"),
        ("show", "000000000000"),
        ("show", "000000000001"),
        ("show", HOSTILE),
        ("info", "told", "--plugin", "{folder}/told.py"),
        ("info", HOSTILE),
    ],
    ids=lambda words: " ".join(word for word in words if word.isprintable()),
)
def test_control_characters_of_names_and_errors_reach_no_terminal(harness, hostile, words):
    (hostile / "told.py").write_text(PLUGIN)
    result = harness(*(word.format(folder=hostile) for word in words))
    said = result.out + result.err
    assert "\\x1b" in said or "\\u001b" in said or "{[}" in said, said
    assert not CONTROL.search(said)
    assert "Internal error" not in said


@pytest.mark.parametrize("style", ["simple", "plain", "github", "tsv", "csv", "html", "latex", "latex_booktabs"])
def test_files_hold_printable_text_in_utf8(harness, hostile, style):
    file = hostile / "table"
    assert harness("table", "--format", style, "-o", file).code == 0
    text = file.read_text(encoding="utf-8")
    assert not CONTROL.search(text)
    assert "title" in text
    assert text.count("\n") > 2


def test_exported_records_are_printable(harness, hostile):
    file = hostile / "records.csv"
    assert harness("results", "export", "--format", "csv", "-o", file).code == 0
    text = file.read_text(encoding="utf-8")
    assert "\\x1b]0;title\\x07" in text
    assert not CONTROL.search(text)


def test_latex_of_a_hostile_name_can_be_set(harness, hostile):
    out = harness("table", "--format", "latex_booktabs").out
    (line,) = [line for line in out.splitlines() if "hidden" in line and "&" in line]
    assert line.startswith(" x\\textbackslash{}x1b")


@pytest.fixture
def screen(monkeypatch):
    """A pseudo-terminal: ``stream`` to write to, ``shown()`` for what has reached it."""
    master, slave = pty.openpty()

    class Screen:
        stream = os.fdopen(slave, "w", encoding="utf-8")

        def shown(self) -> str:
            self.stream.flush()
            found = b""
            while select.select([master], [], [], 0.05)[0]:
                found += os.read(master, 1 << 16)
            return found.decode()

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "300")
    yield Screen()
    Screen.stream.close()
    os.close(master)


def test_rich_keeps_its_own_control_characters_and_passes_none_of_others(screen, monkeypatch):
    from rich.progress import Progress, TextColumn

    monkeypatch.setattr(sys, "stderr", screen.stream)
    with outlets():
        bars = Progress(TextColumn("{task.description}", markup=False), console=console(sys.stderr), transient=True)
        with shown(bars):
            bars.add_task(f"[/x] {HOSTILE}")
            bars.console.print(f"[1] said {HOSTILE}")
            bars.console.print(Text(HOSTILE, style="bold"))
            print(f"[/x] beside {HOSTILE}", file=sys.stderr)
            bars.refresh()
        assert isinstance(sys.stderr, Outlet)
    text = screen.shown()
    assert "\x1b[1mx\\x1b]0;title" in text, "bold is rich's own"
    assert "\x1b[?25h" in text, "the cursor is back"
    assert "[/x] x\\x1b]0;title" in text
    assert "[1] said x\\x1b]0;title" in text
    assert "[/x] beside x\\x1b]0;title\\x07\\x1b[8mhidden\\x0d\\x9b2J" in text
    assert "\x1b]" not in text
    assert "\x1b[8m" not in text
    assert "\x9b" not in text


def test_a_heading_is_bold_on_a_terminal_and_plain_elsewhere(screen, monkeypatch, capsys):
    from harness.runtime.outlets import heading

    with outlets():
        heading(HOSTILE)
    assert capsys.readouterr().out == "x\\x1b]0;title\\x07hidden\\x0d\\x9b2J\\u202e†\n", (
        "click takes colours away itself"
    )
    monkeypatch.setattr(sys, "stdout", screen.stream)
    with outlets():
        heading(HOSTILE)
    assert screen.shown().startswith("\x1b[1mx\\x1b]0;title")


def harness_process(*words: str, shell: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = f'"$@" {shell}' if shell else 'exec "$@"'
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}", "bash", SCRIPT, *words], capture_output=True, timeout=60,
        check=False, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("encoding", "shown_as"),
    [("gbk", b"r\\u2020\xd6\xd0\xa8\xa6"), ("latin-1", b"r\\u2020\\u4e2d\xe9"), ("ascii", b"r\\u2020\\u4e2d\\xe9")],
)
def test_signs_that_a_terminal_lacks_are_written_out(encoding, shown_as):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    outlet = Outlet(stream, needed=True)
    outlet.write("r†中é \udcff\n")
    outlet.flush()
    assert raw.getvalue() == shown_as + b" \\udcff\n"


def test_a_terminal_without_our_signs(harness, record, tmp_path):
    made = record(cell={"granted": ["noise-mask"], "row": "é中"})
    folder = tmp_path / "runs" / "cca-itq" / "small" / made.hash
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(json.dumps(made.to_json()))
    done = harness_process("table", "--results", str(tmp_path), PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert b"\n  \\u2020 \\xe9\\u4e2d was granted noise-mask" in done.stdout


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("words", "shell", "code", "said"),
    [
        (("list", "metrics"), ">/dev/full", 2, "Error: standard output cannot be written: No space left on device.\n"),
        (("--help",), ">&-", 2, "Error: standard output cannot be written: Bad file descriptor.\n"),
        (("list", "metrics"), ">&- 2>&-", 2, ""),
        (("rnu",), "2>/dev/full", 2, ""),
        (("list", "metrics"), "2>&- | wc -c >&2", 0, r"\d{3,}\n"),
        (("list", "metrics"), "2>/dev/full | wc -c 1>&2", 0, r"\d{3,}\n"),
        (("list", "metrics"), "| head -0", 1, ""),
    ],
)
def test_closed_and_full_streams(words, shell, code, said, unbuffered):
    done = harness_process(*words, shell=shell, PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == code, done.stderr
    assert re.fullmatch(said, done.stderr.decode())


def test_notes_that_nobody_can_read_end_nothing(capsys):
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    notes, results = Outlet(Full(), needed=False), Outlet(Full(), needed=True)
    assert notes.write("note") == 4
    notes.flush()
    for _ in range(2):
        with pytest.raises(HarnessError, match="standard output cannot be written: No space left on device"):
            results.write("table")
