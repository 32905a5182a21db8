"""A plugin file for tests of sweeps: its method writes down when it begins and ends to fit, and gets into trouble on
demand; storing a record is written down, too, and can be made the moment of death.

Everything lies in the folder ``$COUNTED``: ``events`` (a line for each event), ``trouble/BITS-SEED`` (what shall happen
to that cell), ``go`` (cells that hold wait for it), ``die`` (numbers of renames at which the process kills itself).
"""

import ctypes
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import torch

from harness import Parameter, Recipe, hookimpl

FOLDER = Path(os.environ["COUNTED"])


def say(what, name, **more):
    line = " ".join([what, name, str(os.getpid()), f"{time.time():.6f}", *(f"{k}={v}" for k, v in more.items())])
    opened = os.open(FOLDER / "events", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(opened, f"{line}\n".encode())  # whole lines, whoever else writes
    os.close(opened)


def renaming(path, target):
    """Path.rename, which the store uses to put a run into its place."""
    if ".new-" not in path.name or not (path / "record.json").exists():
        return rename(path, target)
    say("rename", target.name)
    if (FOLDER / "die").exists():
        count = sum(line.startswith("rename") for line in (FOLDER / "events").read_text().splitlines())
        if str(count) in (FOLDER / "die").read_text().split():
            os.kill(os.getpid(), signal.SIGKILL)
    if (FOLDER / "full").exists():
        raise OSError(28, "No space left on device")
    status = json.loads((path / "record.json").read_text())["status"]
    moved = rename(path, target)
    say("stored", target.name, status=status)
    return moved


rename = Path.rename
if not getattr(rename, "counted", False):
    renaming.counted = True
    Path.rename = renaming


class Counted:
    def __init__(self, seconds=0.05):
        self.seconds = seconds

    def fit(self, pairs, trust, run):
        name = f"{run.n_bits}-{run.seed}"
        say("begin", name, threads=torch.get_num_threads(), gpus=os.environ.get("CUDA_VISIBLE_DEVICES", "-"))
        print(f"{name} prints this", flush=True)
        for epoch in range(1, 6):
            time.sleep(self.seconds / 5)
            run.report(phase="counting", epoch=epoch, epochs=5, loss=1 / epoch)
        trouble(name)
        random = run.generator("maps")
        self.image = torch.randn(pairs.image.shape[1], run.n_bits, generator=random)
        self.text = torch.randn(pairs.text.shape[1], run.n_bits, generator=random)
        say("end", name)

    def encode_image(self, image):
        return image @ self.image

    def encode_text(self, text):
        return text @ self.text


class Unforeseen(BaseException):
    pass


def stay():
    while True:
        time.sleep(0.1)


def trouble(name):
    try:
        what = (FOLDER / "trouble" / name).read_text()
    except FileNotFoundError:
        return
    if what == "hold":
        while not (FOLDER / "go").exists():
            time.sleep(0.02)
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "hang":
        time.sleep(3600)
    if what == "raise":
        raise ValueError("out of patience")
    if what == "unforeseen":
        raise Unforeseen("nobody catches this")
    if what == "interrupt":
        raise KeyboardInterrupt
    if what == "thread":
        threading.Thread(target=stay, name="the-one-that-stays").start()
    if what == "children":
        subprocess.Popen(["sleep", "3600"])
        subprocess.run(["sh", "-c", "sleep 3601 & exit 0"], check=True)
        multiprocessing.get_context("fork").Process(target=stay).start()
    if what == "change":
        sys.setrecursionlimit(150)
        os.chdir("/")
        os.environ.clear()
        os.close(1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        torch.set_default_device("meta")
        raise Unforeseen("all is changed")
    if what == "write":
        os.write(1, b"written by the system\n")
        subprocess.run(["echo", "written by a child"], check=True)
    if what.startswith("exit"):
        os._exit(int(what.split()[1]))
    if what == "segfault":
        ctypes.string_at(0)
    if what == "leak":
        held = []
        while True:
            held.append(torch.ones(2**22))  # 16 MB
            time.sleep(0.01)
    if what == "gpu memory once":
        (FOLDER / "trouble" / name).unlink()
    if what.startswith("gpu memory"):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
    if what == "cublas once":
        (FOLDER / "trouble" / name).unlink()
        raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")


@hookimpl
def register_hashers(register):
    seconds = Parameter("seconds", 0.05, "how long it fits", minimum=0.0)
    register("counted", Counted, summary="writes down what it does", parameters=(seconds,))


@hookimpl
def register_methods(register):
    register("counted", Recipe(hasher="counted"), summary="writes down what it does")
