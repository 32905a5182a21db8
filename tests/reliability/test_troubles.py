"""One cell in trouble costs one cell: it gets its record, the others finish, and the summary says how to go on."""

from __future__ import annotations

import os
import shlex
import signal

from reliability_bench import until

LOCAL = ("--executor", "local", "--workers", "2")


def test_each_way_to_fail_has_its_record_and_the_others_finish(bench):
    bench.trouble(
        b8_0="hang", b8_1="raise", b8_2="exit 7", b8_3="exit 0", b8_4="segfault", b8_5="leak", b8_6="kill",
    )  # fmt: skip
    words = bench.words("8", "0-9", *LOCAL, "--timeout", "12", "--memory-limit", "1200MB")
    command = bench.start(*words)
    assert command.code() == 1, command.errors
    expected = {
        "8-6": ("failed", "its worker process was killed by SIGKILL, which the system sends when memory runs out"),
        "8-1": ("failed", "ValueError: out of patience"),
        "8-2": ("failed", "its worker process ended with exit code 7"),
        "8-3": ("failed", "its worker process ended with exit code 0"),
        "8-4": ("failed", "its worker process was killed by SIGSEGV"),
        "8-5": ("oom", "more than --memory-limit allows"),
        "8-0": ("timeout", "it ran longer than 12 s (--timeout)"),
    }
    records = bench.records()
    for name, (status, message) in expected.items():
        record = records[name]
        assert record["status"] == status, (name, record["error"])
        assert message in record["error"]["message"]
        assert any("counting 5/5" in line for line in record["error"]["log"]), (name, record["error"]["log"])
        assert message in command.errors
        assert f"repeat with: {record['command']}" in command.errors
    assert "8-6 prints this" in records["8-6"]["error"]["log"], "what it printed"
    assert "Fatal Python error: Segmentation fault" in "\n".join(records["8-4"]["error"]["log"])
    assert [records[f"8-{seed}"]["status"] for seed in (7, 8, 9)] == ["ok"] * 3
    assert "3 of 10 cells finished, 7 failed" in command.output

    for seed in range(7):
        (bench.counted / "trouble" / f"8-{seed}").unlink()
    repeated = bench.start(*shlex.split(records["8-1"]["command"])[1:])
    assert repeated.code() == 0, repeated.errors
    begun = len(bench.events("begin"))
    resumed = bench.resume(command)
    assert resumed.code() == 0, resumed.errors
    assert {record["status"] for record in bench.records().values()} == {"ok"}
    assert len(bench.events("begin")) - begun == 6, "only what was not finished ran again"


def test_worker_that_is_killed_from_outside_costs_its_cell(bench):
    bench.trouble(b8_0="hold", b8_1="hold")
    command = bench.start(*bench.words("8", "0-3", *LOCAL))
    bench.until_begun(2)
    (state,) = (bench.results / "sweeps").iterdir()

    def workers():
        return {path.name for path in (state / "workers").glob("*.json")}

    until(lambda: len(workers()) == 2, "two files of workers")
    victim = bench.events("begin")[0]
    assert any(name.endswith(f"-{victim.pid}.json") for name in workers())
    os.kill(victim.pid, signal.SIGKILL)
    until(lambda: "failed" in bench.statuses().values(), "a failed record")
    bench.go()
    assert command.code() == 1, command.errors
    records = bench.records()
    assert records.pop(victim.name)["error"]["message"].startswith("its worker process was killed by SIGKILL")
    assert [record["status"] for record in records.values()] == ["ok"] * 3
    assert not workers()


def test_cell_that_runs_out_of_gpu_memory_is_tried_again_alone(bench):
    bench.trouble(b8_0="gpu memory once", b8_1="gpu memory", b8_2="cublas once")
    command = bench.start(*bench.words("8", "0-5", *LOCAL, "--set", "hasher.seconds=0.3"))
    assert command.code() == 1, command.errors
    records = bench.records()
    assert {name: (record["status"], record["attempt"]) for name, record in records.items()} == {
        "8-0": ("ok", 2), "8-1": ("oom", 2), "8-2": ("ok", 2), "8-3": ("ok", 1), "8-4": ("ok", 1), "8-5": ("ok", 1),
    }  # fmt: skip
    assert "CUDA out of memory" in records["8-1"]["error"]["message"]
    assert command.errors.count("ran out of GPU memory and is tried again alone") == 3
    begins, ends = bench.events("begin"), {(event.name, event.pid): event.time for event in bench.events("end")}
    seen = set()
    for again in begins:
        if again.name not in seen:
            seen.add(again.name)
            continue
        for other in begins:
            if other is not again:
                ended = ends.get((other.name, other.pid), other.time)
                assert ended <= again.time or other.time >= again.time, "another cell ran meanwhile"
                if other.time < again.time:
                    assert ended <= again.time
    assert len(begins) == 9


def test_serial_sweep_goes_on_after_errors_too(bench):
    bench.trouble(b8_0="raise", b8_1="gpu memory once")
    command = bench.start(*bench.words("8", "0-2", "--executor", "serial"))
    assert command.code() == 1, command.errors
    records = bench.records()
    assert {name: record["status"] for name, record in records.items()} == {"8-0": "failed", "8-1": "ok", "8-2": "ok"}
    assert records["8-1"]["attempt"] == 2
