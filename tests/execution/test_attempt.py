"""Whatever a component does, a record comes out."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from harness.errors import LONGEST_TEXT
from harness.execution import cell_log
from harness.execution.attempt import attempt
from harness.execution.cell_log import TAIL_LINES, CellLog, tail_of
from harness.records.store import read_record, record_bytes
from harness.runtime.settings import RunSettings

CPU = RunSettings(device="cpu")


@pytest.fixture
def misbehaving(prepared, plugin):
    return lambda in_fit: prepared("projection", [plugin(in_fit)])


def test_a_cell_that_works(prepared):
    job, metrics = prepared()
    heard = []
    outcome = attempt(job, metrics, CPU, listener=heard.append, placed={"executor": "local", "worker": "1"})
    record = outcome.record
    assert (record.status, record.error, record.attempt) == ("ok", None, 1)
    assert record.environment["settings"] == {"threads": 1, "deterministic": False}
    assert record.environment["placed"] == {"executor": "local", "worker": "1"}
    assert record.environment["device"] == "cpu"
    assert heard
    assert len(outcome.log) == len(heard)
    assert outcome.model
    assert outcome.arrays


@pytest.mark.parametrize(
    ("in_fit", "status", "kind", "message"),
    [
        (r"raise ValueError('two\nlines')", "failed", "ValueError", "ValueError: two lines ("),
        ("sys.exit(3)", "failed", "SystemExit", "SystemExit: 3 ("),
        ("raise Unforeseen('boo')", "failed", "Unforeseen", "Unforeseen: boo ("),
        ("raise GeneratorExit", "failed", "GeneratorExit", "GeneratorExit:  ("),
        ("raise WithoutText", "failed", "WithoutText", "its text cannot be made: str() raises Unforeseen ("),
        ("raise ValueError('x' * 10_000_000)", "failed", "ValueError", f"ValueError: {'x' * LONGEST_TEXT}... ("),
        (r"raise ValueError('\ud800')", "failed", "ValueError", "ValueError: \\ud800 ("),
        ("raise MemoryError", "oom", "MemoryError", "MemoryError: "),
        ("torch.empty(2**62, dtype=torch.uint8)", "oom", "RuntimeError", "allocate memory"),
        ("raise torch.OutOfMemoryError('CUDA out of memory.')", "oom", "OutOfMemoryError", "CUDA out of memory"),
    ],
)
def test_what_goes_wrong_becomes_a_record(misbehaving, tmp_path, in_fit, status, kind, message):
    job, metrics = misbehaving(in_fit)
    outcome = attempt(job, metrics, CPU, number=2)
    record = outcome.record
    assert (record.status, record.error.kind, record.attempt) == (status, kind, 2)
    assert message in record.error.message
    assert "\n" not in record.error.message
    assert "projection.py, line" in record.error.message
    assert len(record.error.log) == TAIL_LINES
    assert "fit 40/40 loss 19.5" in record.error.log[-3]
    assert "the hasher is uneasy" in record.error.log[-2]
    last = record.error.message[: LONGEST_TEXT - 20] if len(record.error.message) < LONGEST_TEXT else "..."
    assert record.error.log[-1].endswith(last)
    (tmp_path / "record.json").write_bytes(record_bytes(record))
    assert read_record(tmp_path / "record.json").error == record.error
    assert len(record_bytes(record)) < 200_000
    assert record.environment["device"] == "cpu"
    assert record.cost == {}
    assert outcome.arrays is None
    assert outcome.log[-len(record.error.traceback) :] == record.error.traceback


def test_the_user_may_stop(misbehaving):
    job, metrics = misbehaving("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        attempt(job, metrics, CPU)
    assert not [handler for handler in logging.getLogger().handlers if type(handler).__name__ == "_Lines"]


def test_settings_that_cannot_be_applied_are_one_sentence(prepared):
    job, metrics = prepared()
    record = attempt(job, metrics, RunSettings(device="cpu", threads=0)).record
    assert record.status == "failed"
    assert record.error.message == "--threads 0: expected at least 1."
    assert record.error.traceback == []


def test_an_operation_without_deterministic_form_names_the_option(misbehaving):
    job, metrics = misbehaving(
        "torch.nn.functional.max_unpool2d(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2, dtype=torch.int64), 2)"
    )
    record = attempt(job, metrics, RunSettings(device="cpu", deterministic=True)).record
    assert record.status == "failed"
    assert record.error.message.startswith("--deterministic: torch has no deterministic max_unpooling2d")
    assert "projection.py, line" in record.error.message
    assert record.error.traceback == []
    assert attempt(job, metrics, CPU).record.status == "ok"


@pytest.mark.parametrize(("method", "epochs", "threads"), [("chnr", 4, 1), ("cca-itq", None, 2)])
def test_deterministic_runs_twice_alike(prepared, method, epochs, threads):
    job, metrics = prepared(method, epochs=epochs)
    settings = RunSettings(device="cpu", threads=threads, deterministic=True)
    first, second = attempt(job, metrics, settings), attempt(job, metrics, settings)
    assert first.record.environment["settings"] == {"threads": threads, "deterministic": True}
    assert first.record.environment["threads"] == threads
    assert first.arrays
    for name, array in first.arrays.items():
        np.testing.assert_array_equal(array, second.arrays[name], err_msg=name)
    for name, tensor in first.model.items():
        assert tensor.equal(second.model[name]), name


def test_a_log_without_end_keeps_its_beginning_and_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(cell_log, "MOST_CHARACTERS", 10_000)
    log = CellLog(tmp_path / "cell.log")
    log._room = log._room_of_file = 10_000
    for number in range(2000):
        log.add(f"line {number} of many")
    log.add("y" * 10_000_000)
    assert log.lines[0].endswith("line 0 of many")
    assert log.lines[-2].endswith("line 1999 of many")
    assert log.lines[-1].endswith("y...")
    (left_out,) = [line for line in log.lines if line.startswith("...")]
    assert int(left_out.split()[1]) + len(log.lines) - 1 == 2001
    assert sum(map(len, log.lines)) < 10_000 + TAIL_LINES * (LONGEST_TEXT + 20)
    assert log.tail() == log.lines[-TAIL_LINES:]
    assert (tmp_path / "cell.log").stat().st_size < 20_000
    assert tail_of(tmp_path / "cell.log", 2) == log.lines[-2:]


def test_a_warning_whose_text_cannot_be_made_fails_nothing(monkeypatch):
    logger = logging.getLogger("harness")
    monkeypatch.setattr(logger, "propagate", False)  # as on the command line
    monkeypatch.setattr(logger, "handlers", [])  # those of pytest raise
    log = CellLog()
    with log.listening():
        logger.warning("%d", "no number")
    assert [line.partition("warning ")[2] for line in log.lines] == ["harness: TypeError while its text was made"]


def test_the_log_can_be_read_when_the_process_is_gone(misbehaving, tmp_path):
    job, metrics = misbehaving("raise ValueError")
    file = tmp_path / "cell.log"
    outcome = attempt(job, metrics, CPU, log=CellLog(file))
    assert tail_of(file) == outcome.record.error.log
    assert tail_of(tmp_path / "none.log") == []


def test_a_log_that_cannot_be_written_stays_in_memory(tmp_path):
    log = CellLog(tmp_path / "no" / "such" / "folder.log")
    log.add("first")
    log.add("second")
    assert [line.split(" ", 1)[1] for line in (part.strip() for part in log.lines)] == ["first", "second"]


def test_the_command_line_s_own_logger_is_heard_too():
    logger = logging.getLogger("harness")
    before = logger.propagate
    logger.propagate = False
    try:
        log = CellLog()
        with log.listening():
            logging.getLogger("harness.somewhere").warning("a remark")
        assert [line.partition("warning ")[2] for line in log.lines] == ["harness.somewhere: a remark"]
    finally:
        logger.propagate = before
