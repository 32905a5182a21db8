"""On a terminal a sweep shows what each worker does; elsewhere a line for each cell."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import time

from reliability_bench import PATIENCE_SECONDS

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def test_table_on_a_terminal_shows_worker_cell_phase_and_bar(bench):
    """The launcher gives no terminal, so the terminal is opened here and handed on by its name."""
    master, slave = pty.openpty()
    bench.trouble(b8_1="hold")
    try:
        words = bench.words("8", "0-3", "--executor", "local", "--workers", "1")
        command = bench.start(*words, err=os.ttyname(slave), COLUMNS="160", LINES="40", TERM="xterm")
        shown, end = "", time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end and not command.ended:
            if select.select([master], [], [], 0.05)[0]:
                shown += os.read(master, 65536).decode(errors="replace")
            if "counting 5/5" in shown and "1 of 4 cells;" in shown and not (bench.counted / "go").exists():
                bench.go()
        assert command.code() == 0, shown
        while select.select([master], [], [], 0.2)[0]:
            shown += os.read(master, 65536).decode(errors="replace")
    finally:
        os.close(master)
        os.close(slave)
    plain = CONTROL.sub("", shown)
    rows = [" ".join(line.split()) for line in plain.splitlines()]
    assert "worker cell phase loss time" in rows
    assert any(
        re.fullmatch(r"local 0 counted on small, noise 0, 8 bits, seed 1 counting 5/5 0\.2 \d+ s", row) for row in rows
    ), rows[-40:]
    assert any(re.search(r"1 of 4 cells; \S+ cells a minute, .* left$", row) for row in rows), rows[-40:]
    assert "━" in plain
    assert any(re.match(r"counted on small, noise 0, 8 bits, seed 0: finished in", row) for row in rows)
    assert "\x1b[?25h" in shown[-2000:], "the cursor is back"


def test_log_has_one_line_for_each_cell(bench):
    command = bench.start(*bench.words("8", "0-2", "--executor", "local", "--workers", "1"))
    assert command.code() == 0, command.errors
    lines = command.errors.splitlines()
    assert len(lines) == 3, lines
    for number, line in enumerate(lines, start=1):
        assert re.match(rf"\[{number}/3\] counted on small, .*: finished in [\d.]+ s: map i2t", line)


def test_interrupt_on_a_terminal_gives_it_back(bench):
    master, slave = pty.openpty()
    bench.trouble(b8_0="hold")
    try:
        words = bench.words("8", "0-1", "--executor", "local", "--workers", "1")
        command = bench.start(*words, err=os.ttyname(slave), TERM="xterm")
        shown, sent = "", 0
        while not command.ended:
            if select.select([master], [], [], 0.05)[0]:
                shown += os.read(master, 65536).decode(errors="replace")
            if (sent == 0 and "counting 5/5" in shown) or (sent == 1 and "Stopping: running" in shown):
                sent += 1
                command.send_group(signal.SIGINT)
        while select.select([master], [], [], 0.2)[0]:
            shown += os.read(master, 65536).decode(errors="replace")
    finally:
        os.close(master)
        os.close(slave)
    assert command.code() == 130, shown
    assert shown.count("Stopping: running cells finish") == 1
    assert "\x1b[?25h" in shown[-2000:]
    assert "go on with: harness run" in shown
