"""What the Slurm executor makes of the states that jobs end in: journals and a queue by hand, no job runs."""

from __future__ import annotations

import json
import time

import pytest
from harness_plugins.executors import slurm
from harness_plugins.executors.slurm import SlurmExecutor
from harness_plugins.executors.slurm_job import journal_of
from harness_plugins.executors.slurm_queue import Refused, SlurmQueue

from harness.errors import HarnessError
from harness.execution import Session, Task

TASKS = [Task(name, f"cell {name}", "{}") for name in ("a", "b", "c")]


class HandQueue:
    """Jobs whose journals and states a script says: one list of (events, state) for each submission."""

    def __init__(self, script, refusals=()):
        self.script, self.refusals = list(script), list(refusals)
        self.groups, self.states, self.cancelled = [], {}, []

    def submit(self, folder, name, group_files, parameters):
        if self.refusals and (refusal := self.refusals.pop(0)):
            raise Refused(refusal)
        jobs = []
        for path in group_files:
            events, state = self.script.pop(0)
            job = f"{len(self.groups) + 1}_0"
            self.groups.append([task[0] for task in json.loads(path.read_text())["tasks"]])
            journal_of(path).write_text("".join(json.dumps(event) + "\n" for event in events))
            (folder / f"{job}_0_log.err").write_text("slurmstepd: error\n")
            self.states[job] = state
            jobs.append(job)
        return jobs

    def state(self, job):
        return self.states.get(job, "COMPLETED")

    def cancel(self, jobs, pending_only=False):
        self.cancelled += jobs

    def forget(self, name):
        self.cancelled.append(name)

    def close(self):
        pass


def began(name):
    return {"event": "began", "hash": name, "worker": "1_0/0"}


def ended(name, how="finished", reason=""):
    return {"event": "ended", "hash": name, "how": how, "reply": "{}", "reason": reason, "log": []}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """``run(script, **parameters)``: how each task ended, and the queue."""
    monkeypatch.setattr(slurm, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(slurm, "SETTLE_SECONDS", 0.0)

    def execute(script, refusals=(), tasks=TASKS, **parameters):
        queue = HandQueue(script, refusals)
        monkeypatch.setattr(slurm, "SlurmQueue", lambda requeues: queue)
        executor = SlurmExecutor(**{"cells_per_job": 3, **parameters})
        found = {}
        for end in executor.run(tasks, Session(tmp_path)):
            assert end.task.hash not in found, "a task ended twice"
            found[end.task.hash] = end
        return found, queue

    return execute


@pytest.mark.parametrize(
    ("state", "how", "words"),
    [
        ("TIMEOUT", "timeout", "ran out of time"),
        ("OUT_OF_MEMORY", "memory", "more memory than it may"),
        ("NODE_FAIL", "died", "ended as NODE_FAIL"),
        ("FAILED", "died", "ended as FAILED"),
    ],
)
def test_the_cell_that_ran_is_to_blame_and_the_others_are_submitted_again(run, state, how, words):
    found, queue = run([
        ([began("a"), ended("a"), began("b")], state),
        ([began("c"), ended("c")], "COMPLETED"),
    ])  # fmt: skip
    assert {name: end.how for name, end in found.items()} == {"a": "finished", "b": how, "c": "finished"}
    assert words in found["b"].reason
    assert found["b"].log == ("slurmstepd: error",)
    assert queue.groups == [["a", "b", "c"], ["c"]]


def test_a_job_that_fails_before_its_first_cell_is_not_tried_for_ever(run):
    found, queue = run([([{"event": "started", "job": "1"}], "FAILED")])
    assert {end.how for end in found.values()} == {"died"}
    assert len(queue.groups) == 1


def test_a_job_that_somebody_cancelled_is_not_submitted_again(run):
    found, _ = run([([began("a")], "CANCELLED")])
    assert {end.how for end in found.values()} == {"died"}


def test_a_pre_empted_job_that_slurm_gave_up_is_submitted_again_but_not_for_ever(run):
    found, queue = run(
        [([began("a"), ended("a"), began("b")], "PREEMPTED"), ([began("b"), ended("b"), ended("c")], "")]
    )
    assert {end.how for end in found.values()} == {"finished"}
    assert queue.groups == [["a", "b", "c"], ["b", "c"]]
    found, queue = run([([began("a")], "PREEMPTED")] * 3, requeues=2, tasks=TASKS[:1])
    assert found["a"].how == "died"
    assert len(queue.groups) == 3


def test_a_process_killed_within_a_job_ran_out_of_memory_if_slurm_says_so(run):
    killed = [began("a"), ended("a", "died", "its worker process was killed by SIGKILL"), ended("b"), ended("c")]
    found, _ = run([(killed, "OUT_OF_MEMORY")])
    assert found["a"].how == "memory"
    found, _ = run([(killed, "COMPLETED")])
    assert found["a"].how == "died"


def test_a_queue_that_is_full_is_asked_again_when_a_job_has_ended(run):
    finished = [[ended(name)] for name in ("a", "b", "c")]
    found, _ = run(
        [(events, "COMPLETED") for events in finished], refusals=["", "QOSMaxSubmitJobPerUserLimit"],
        cells_per_job=1, array_size=1,
    )  # fmt: skip
    assert {end.how for end in found.values()} == {"finished"}
    with pytest.raises(HarnessError, match="Slurm does not take the jobs: closed"):
        run([], refusals=["closed"])


def test_an_array_that_was_being_submitted_when_the_command_was_killed_is_cancelled(run, tmp_path):
    run([([ended("a"), ended("b"), ended("c")], "")])
    (submission,) = (tmp_path / "slurm").glob("harness-*")
    note = submission / "submission.json"
    note.write_text(json.dumps({"cluster": "slurm", "jobs": None}))
    _, queue = run([([ended("a"), ended("b"), ended("c")], "")])
    assert submission.name in queue.cancelled


def test_states_of_sacct_are_read_as_they_are_meant(monkeypatch):
    monkeypatch.setattr(SlurmQueue, "__init__", lambda self: None)
    queue = SlurmQueue()
    said, in_queue = {}, set()
    queue._unsure = {}
    queue.watcher = type("Watcher", (), {"get_state": lambda self, job: said[job]})()
    monkeypatch.setattr(SlurmQueue, "_queued", lambda self, job: job in in_queue)
    said |= {"1": "CANCELLED by 1000", "2": "RUNNING", "3": "SUSPENDED", "4": "PREEMPTED", "5": "UNKNOWN"}
    assert [queue.state(job) for job in "123"] == ["CANCELLED", "", ""]
    assert [queue.state(job) for job in "45"] == ["", ""]  # it may come back, and accounting may lag
    later = time.monotonic() + 60
    monkeypatch.setattr(time, "monotonic", lambda: later)
    in_queue.add("5")
    assert [queue.state(job) for job in "45"] == ["PREEMPTED", ""]
