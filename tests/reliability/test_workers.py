"""What workers of the local executor are given: a GPU each, and features that one of them has computed for all."""

from __future__ import annotations

from reliability_bench import HERE

STAND_INS = ("--plugin", HERE / "stand_ins.py")


def test_worker_processes_get_the_variable_that_shows_them_their_gpu(bench):
    (bench.counted / "gpus").touch()
    bench.trouble(b8_0="hold", b8_1="hold")
    words = bench.words("8", "0-3", *STAND_INS, "--executor", "local")
    command = bench.start(*words, CUDA_VISIBLE_DEVICES="3,6")
    bench.until_begun(2)  # one on each GPU, at the same time
    bench.go()
    assert command.code() == 0, command.errors
    gpus: dict[int, set[str]] = {}
    for event in bench.events("begin"):
        gpus.setdefault(event.pid, set()).add(event.more["gpus"])
    assert sorted(map(sorted, gpus.values())) == [["3"], ["6"]]


def test_features_that_several_workers_want_at_once_are_computed_by_one(bench):
    command = bench.start(
        "run", "--method", "counted", "--plugin", bench.counted_plugin, *STAND_INS, "--dataset", "toy",
        "--image-backbone", "slow-image", "--text-backbone", "slow-text", "--limit", "60", "--bits", "8",
        "--seed", "0-3", "--executor", "local", "--workers", "2",
    )  # fmt: skip
    assert command.code() == 0, command.errors
    assert len({event.pid for event in bench.events("begin")}) == 2, "both workers had cells"
    assert sorted(event.name for event in bench.events("features")) == ["slow-Image", "slow-str"]
