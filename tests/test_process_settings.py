"""What a component changes for the whole process is as before when its cell is over."""

from __future__ import annotations

import gc
import locale
import logging
import os
import signal
import sys
import warnings

import numpy as np
import pytest

from harness.runtime.process_settings import process_settings_kept


def lower_recursion_limit():
    sys.setrecursionlimit(sys.getrecursionlimit() - 100)


def remove_the_working_folder():
    os.mkdir("gone")  # noqa: PTH102
    os.chdir("gone")
    os.rmdir("../gone")  # noqa: PTH106


def empty_the_environment():
    os.environ.clear()
    os.environ["HARNESS_NEW"] = "1"


def take_signals():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: None)


CHANGES = {
    "recursion limit": (lower_recursion_limit, sys.getrecursionlimit),
    "working folder": (lambda: os.chdir("/"), os.getcwd),
    "working folder that is gone": (remove_the_working_folder, os.getcwd),
    "mask of new files": (lambda: os.umask(0o777), lambda: (mask := os.umask(0o022), os.umask(mask))[0]),
    "environment": (empty_the_environment, lambda: dict(os.environ)),
    "locale": (lambda: locale.setlocale(locale.LC_ALL, "C"), lambda: locale.setlocale(locale.LC_ALL)),
    "path of modules": (sys.path.clear, lambda: list(sys.path)),
    "streams": (lambda: setattr(sys, "stdout", None), lambda: sys.stdout),
    "warnings": (lambda: warnings.simplefilter("error"), lambda: list(warnings.filters)),
    "logging": (lambda: logging.disable(100), lambda: logging.root.manager.disable),
    "garbage collection": (gc.disable, gc.isenabled),
    "numpy's errors": (lambda: np.seterr(all="raise"), np.geterr),
    "signals": (take_signals, lambda: [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]),
}


def fail_after(change):
    with process_settings_kept():
        change()
        raise ZeroDivisionError


@pytest.mark.parametrize(("change", "read"), CHANGES.values(), ids=CHANGES)
def test_a_change_is_put_back_also_after_an_error(change, read, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    locale_before = locale.setlocale(locale.LC_ALL)
    locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    try:
        before = read()
        with pytest.raises(ZeroDivisionError):
            fail_after(change)
        assert read() == before
    finally:
        locale.setlocale(locale.LC_ALL, locale_before)


@pytest.mark.parametrize("seconds", [0, 200])
def test_an_alarm_that_a_component_sets_hits_nobody_else(seconds):
    of_the_test = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with process_settings_kept():
            signal.alarm(50)
        left, _ = signal.getitimer(signal.ITIMER_REAL)
    finally:
        signal.setitimer(signal.ITIMER_REAL, *of_the_test)
    assert seconds - 10 < left <= seconds


def test_a_changed_warning_filter_does_not_leave_what_it_made_of_warnings():
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with process_settings_kept():
            warnings.simplefilter("ignore")
            warnings.warn("unheard", stacklevel=1)
        warnings.warn("heard", stacklevel=1)
    assert [str(one.message) for one in heard] == ["heard"]


def test_standard_output_that_was_closed_is_open_again(capfd):
    with process_settings_kept():
        os.close(1)
        first = os.open(os.devnull, os.O_WRONLY)
        assert first == 1, "the next file takes its place"
    os.write(1, b"seen")
    assert capfd.readouterr().out == "seen"
