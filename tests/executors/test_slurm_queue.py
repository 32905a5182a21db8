"""What the queue of this machine does about Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys

from harness_plugins.executors.slurm_queue import _deaf_to_ctrl_c


def test_processes_started_meanwhile_do_not_hear_ctrl_c():
    before = signal.getsignal(signal.SIGINT)
    with _deaf_to_ctrl_c():
        asked = "import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
        said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "True"
    assert signal.getsignal(signal.SIGINT) is before
