#!/usr/bin/env python
"""A stand-in for Slurm's commands: sbatch, squeue, sacct, scancel, scontrol and srun, by the name it is called by.

Array members really run, as process groups of this machine; a table in the folder ``SLURM_STAND_IN`` says what became
of them, under a lock. What it prints has the form of the real commands. ``end`` and ``preempt`` are for tests.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(os.environ.get("SLURM_STAND_IN", "/nowhere"))
LIVE = ("PENDING", "RUNNING")


@contextmanager
def table():
    """The jobs by id, written back afterwards."""
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = FOLDER / "jobs.json"
        jobs = json.loads(path.read_text()) if path.exists() else {}
        before = json.dumps(jobs)
        yield jobs
        if json.dumps(jobs) != before:
            path.with_suffix(".new").write_text(json.dumps(jobs))
            path.with_suffix(".new").replace(path)


def read_table():
    with table() as jobs:
        return jobs


def chosen(jobs, words):
    """Members that ids mean: 12 is the whole array, 12_3 one member."""
    return [name for name in jobs if any(name == word or name.split("_")[0] == word for word in words)]


def sbatch(words):
    script = Path(words[0])
    options = {}
    for line in script.read_text().splitlines():
        if line.startswith("#SBATCH "):
            name, _, value = shlex.split(line)[1].lstrip("-").partition("=")
            options[name] = value
    with (FOLDER / "sbatch.log").open("a") as opened:
        opened.write(json.dumps(options) + "\n")
    if options.get("partition") == "closed":
        print("sbatch: error: Batch job submission failed: Invalid partition name specified", file=sys.stderr)
        return 1
    with table() as jobs:
        number = str(max((int(name.split("_")[0]) for name in jobs), default=100) + 1)
        first, last, most = 0, None, 1
        if "array" in options:
            first, last, most = (int(part) for part in re.match(r"(\d+)-(\d+)%(\d+)", options["array"]).groups())
        names = [number] if last is None else [f"{number}_{index}" for index in range(first, last + 1)]
        for name in names:
            jobs[name] = {
                "state": "PENDING", "name": options.get("job-name", ""), "script": str(script.resolve()), "pid": None,
                "output": options["output"], "error": options["error"], "parallel": most, "starts": 0,
            }  # fmt: skip
    for _ in range(min(most, len(names))):
        subprocess.Popen(
            [sys.executable, __file__, "slurmd", number], start_new_session=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    print(f"Submitted batch job {number}")
    return 0


def slurmd(words):
    """Runs pending members of an array one after the other; there are as many of it as may run at a time."""
    number = words[0]
    while True:
        with table() as jobs:
            name = next((n for n in chosen(jobs, [number]) if jobs[n]["state"] == "PENDING"), None)
            if name is None:
                return 0
            job = jobs[name]
            job["state"], job["starts"] = "RUNNING", job["starts"] + 1
        main, _, index = name.partition("_")
        environment = dict(os.environ)
        environment |= {
            "SLURM_JOB_ID": main,
            "SLURM_NTASKS": "1",
            "SLURM_JOB_NUM_NODES": "1",
            "SLURM_JOB_NODELIST": "n1",
        }
        environment |= {"SLURM_STAND_IN_JOB": name}
        if index:
            environment |= {"SLURM_ARRAY_JOB_ID": main, "SLURM_ARRAY_TASK_ID": index}
        process = subprocess.Popen(["bash", job["script"]], env=environment, start_new_session=True)
        with table() as jobs:
            jobs[name]["pid"] = process.pid
        code = process.wait()
        kill_group(process.pid)
        with table() as jobs:
            job = jobs[name]
            job["pid"] = None
            if job["state"] == "RUNNING":
                job["state"] = job.pop("ends_as", None) or ("COMPLETED" if code == 0 else "FAILED")


def srun(words):
    """Runs the command of the job's only step, with its output where the options say."""
    name = os.environ["SLURM_STAND_IN_JOB"]
    main, _, index = name.partition("_")
    places = {}
    while words[0].startswith("--"):
        option = words.pop(0)
        if option in ("--output", "--error"):
            text = words.pop(0)
            for mark, value in (("%A", main), ("%a", index), ("%j", name), ("%t", "0")):
                text = text.replace(mark, value)
            places[option] = text
    for number, option in ((1, "--output"), (2, "--error")):
        os.dup2(os.open(places[option], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), number)
    os.environ |= {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}
    os.execvp(words[0], words)


def sacct(words):
    asked = [words[at + 1] for at, word in enumerate(words) if word == "-j"]
    print("JobID|State|NodeList")
    jobs = read_table()
    for main in asked:
        names = chosen(jobs, [main])
        waiting = [name.partition("_")[2] for name in names if jobs[name]["state"] == "PENDING"]
        for name in names:
            state = jobs[name]["state"]
            if state != "PENDING" or "_" not in name:
                print(f"{name}|{state}{' by 1000' if state == 'CANCELLED' else ''}|n1")
                print(f"{name}.batch|{state}|n1")
        if waiting and waiting != [""]:
            print(f"{main}_[{','.join(waiting)}%{jobs[names[0]]['parallel']}]|PENDING|None assigned")
    return 0


def squeue(words):
    wanted = words[words.index("--jobs") + 1].split(",")
    jobs = read_table()
    for name in chosen(jobs, wanted):
        if jobs[name]["state"] in LIVE:
            print(name)
    return 0


def scancel(words):
    name = next((word.partition("=")[2] for word in words if word.startswith("--name=")), None)
    pending_only = "--state=PENDING" in words
    ids = [word for word in words if not word.startswith("-")]
    with table() as jobs:
        names = [n for n in jobs if jobs[n]["name"] == name] if name else chosen(jobs, ids)
        pids = []
        for member in names:
            job = jobs[member]
            if job["state"] == "PENDING" or (job["state"] == "RUNNING" and not pending_only):
                job["state"] = "CANCELLED"
                pids.append(job["pid"])
    for pid in filter(None, pids):
        signal_group(pid, signal.SIGTERM)  # KillWait
    time.sleep(0.3 if any(pids) else 0)
    for pid in filter(None, pids):
        kill_group(pid)
    return 0


def scontrol(words):
    assert words[0] == "requeue", words
    with table() as jobs:
        (name,) = chosen(jobs, [words[1]])
        jobs[name]["ends_as"] = "PENDING"
    return 0


def end(words):
    """The cluster ends a job with a state."""
    with table() as jobs:
        job = jobs[words[0]]
        job["state"], pid = words[1], job["pid"]
    kill_group(pid)
    return 0


def preempt(words):
    """As with PreemptParameters=send_user_signal: a notice to all processes, and the end a while later."""
    pid = read_table()[words[0]]["pid"]
    signal_group(pid, signal.SIGCONT)
    signal_group(pid, signal.SIGTERM)
    signal_group(pid, signal.SIGUSR2)
    return 0


def signal_group(pid, number):
    """To every process of the step; the batch shell is spared, as Slurm does."""
    import psutil

    try:
        for process in psutil.Process(pid).children(recursive=True):
            process.send_signal(number)
    except psutil.Error:
        return


def kill_group(pid):
    import psutil

    try:
        tree = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        tree = []
    for process in tree:
        try:
            process.kill()
        except psutil.Error:
            continue
    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        return


COMMANDS = {
    command.__name__: command for command in (sbatch, squeue, sacct, scancel, scontrol, srun, slurmd, end, preempt)
}

if __name__ == "__main__":
    called, rest = Path(sys.argv[0]).name, sys.argv[1:]
    if called not in COMMANDS:
        called, rest = rest[0], rest[1:]
    sys.exit(COMMANDS[called](rest))
