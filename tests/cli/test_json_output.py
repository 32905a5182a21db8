"""Under ``--json`` standard output holds JSON and nothing else, and the program ends although a thread does not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click

import harness.cli
from harness.cli.json_output import claim_stdout

SCRIPT = Path(sys.executable).with_name("harness")

NOISY = """
import atexit, ctypes, os, threading, time
from harness import hookimpl

os.write(1, b"written at import\\n")
print("printed at import")
ctypes.CDLL(None).puts(b"written by C")
ctypes.CDLL(None).fflush(None)
os.system("echo written by a child")
atexit.register(print, "printed at exit")


def stay():
    while True:
        print("printed by a thread", flush=True)
        time.sleep(0.02)


threading.Thread(target=stay, name="the-one-that-stays").start()


class Mine:
    def fit(self, pairs, run):
        pass


@hookimpl
def register_detectors(register):
    register("mine", Mine, summary="writes everywhere")
"""


def test_whatever_a_plugin_writes_lands_on_standard_error(tmp_path):
    file = tmp_path / "noisy.py"
    file.write_text(NOISY)
    words = [SCRIPT, "list", "detectors", "--plugin", file, "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert "mine" in [row["name"] for row in json.loads(done.stdout)]
    for said in ("written at import", "printed at import", "written by C", "written by a child", "printed at exit"):
        assert said in done.stderr
    assert "printed by a thread" in done.stderr
    assert "note: left behind by a plugin and not waited for: thread 'the-one-that-stays'" in done.stderr


def test_the_pipe_may_be_closed_early(tmp_path):
    done = subprocess.run(
        f"'{SCRIPT}' list metrics --json | head -1", shell=True, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("[\n", "")


def test_every_verb_with_json_keeps_its_standard_output():
    found = []

    def look(command: click.Command, words: tuple[str, ...]) -> None:
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                below = command.get_command(context, name)
                assert below is not None
                look(below, (*words, name))
        for option in command.params:
            if "--json" in option.opts:
                assert option.callback is claim_stdout, words
                found.append(words)

    look(harness.cli.cli, ())
    assert ("run",) in found
    assert ("plugin", "check") in found
    assert len(found) > 20
    folder = Path(harness.cli.__file__).parent
    texts = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.py")}
    makers = {name for name, text in texts.items() if "json.dumps(" in text or "json_text(" in text}
    assert makers == {"json_output.py"}, "print_json is the one way"
