"""The time that cells will take, from those that are like them."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from harness.execution.attempt import attempt
from harness.execution.estimate import (
    KIND,
    MARGIN,
    PastCell,
    Times,
    Work,
    duration,
    estimate,
    past_cells,
    shared_among,
    spoken_range,
    work_of,
)
from harness.records.store import RunStore
from harness.runtime.settings import RunSettings

CHNR = {
    "method": "chnr", "hasher": "contrastive", "detector": "adversarial", "objective": "nt-xent", "dataset": "ucm",
    "bits": 64, "precision": "bf16", "training_pairs": 1000, "query_images": 100, "database_images": 1000,
}  # fmt: skip


def work(epochs=10, parameters=None, **other):
    """Work of a cell whose warm-up and noisy phase have as many epochs each, and its detector too."""
    parameters = {"hasher.beta": 1, "detector.epochs": epochs, **(parameters or {})}
    return Work.of({**CHNR, **other}.values(), parameters, [("warm-up", epochs), ("noisy", epochs)])


def past(of, seconds, fitting=None, pace=None, here=True, where=("cpu", 1), **more):
    return PastCell(of, where, here, seconds, seconds if fitting is None else fitting, pace or {}, **more)


def seconds_of(*cells, wanted, **chosen):
    """The range of one cell without its margin, or None."""
    found, _, _ = Times(cells, **chosen).of(wanted)
    return None if found is None else pytest.approx((found[0] * MARGIN, found[1] / MARGIN))


@pytest.mark.parametrize(
    "other",
    [{name: 7 if isinstance(value, int) else "other"} for name, value in CHNR.items()],
    ids=lambda other: next(iter(other)),
)
def test_a_cell_that_differs_in_its_kind_tells_nothing(other):
    assert list(CHNR) == list(KIND)
    assert seconds_of(past(work(), 60), wanted=work(**other)) is None
    said = str(estimate([work(**other)], Times([past(work(), 60)])))
    assert said == "1 cell unknown: no record is like it"


def test_device_and_threads_must_agree():
    cells = [past(work(), 60), past(work(), 7, where=("cuda", 1)), past(work(), 40, where=("cpu", 2))]
    assert seconds_of(*cells, wanted=work(), device="cpu", threads=1) == (60, 60)
    assert seconds_of(*cells, wanted=work(), device="cuda", threads=1) == (7, 7)
    assert seconds_of(*cells, wanted=work(), device="cpu", threads=4) is None


def test_only_epochs_are_scaled_and_what_is_fixed_is_not():
    """Ten seconds of start, codes and metrics; five to get ready; one epoch of the detector takes .1 s, and so on."""
    pace = {"detector": 0.1, "warm-up": 0.2, "noisy": 1.0}
    small = past(work(2), 10 + 5 + 2 * 1.3, 5 + 2 * 1.3, pace)
    assert seconds_of(small, wanted=work(75)) == (10 + 5 + 75 * 1.3,) * 2
    assert seconds_of(past(work(75), 112.5, 102.5, pace), wanted=work(2)) == (10 + 5 + 2 * 1.3,) * 2


def test_without_the_time_of_an_epoch_the_range_holds_every_possibility():
    """Of 20 s in 10 + 10 epochs and 10 of the detector none, or all, may have been for getting ready."""
    assert seconds_of(past(work(10), 30, 20), wanted=work(100)) == (30, 10 + 200)
    assert seconds_of(past(work(10), 30, 20), wanted=work(1)) == (10 + 2, 30)
    assert seconds_of(past(work(10), 30, 20), wanted=work(10)) == (30, 30)


def test_phases_that_a_record_did_not_train_are_unknown():
    short = Work.of(CHNR.values(), {}, [("warm-up", 0), ("noisy", 2)])
    assert seconds_of(past(short, 9), wanted=replace(short, epochs=(("noisy", 4), ("warm-up", 0)))) == (9, 18)
    assert seconds_of(past(short, 9), wanted=replace(short, epochs=(("noisy", 4), ("warm-up", 1)))) is None
    assert seconds_of(past(short, 9), wanted=replace(short, epochs=(("noisy", 4),))) is None


def test_long_records_of_equal_parameters_and_this_machine_come_first():
    pace = {"detector": 0.0, "warm-up": 0.0, "noisy": 1.0}
    other = work(10, {"hasher.beta": 2})
    cells = [past(work(2), 2, pace=pace), past(work(10), 20, pace=pace), past(other, 5), past(work(10), 9, here=False)]
    assert seconds_of(*cells, wanted=work(20)) == (30, 30)
    remarks = [str(estimate([work()], Times(cells[at:]))) for at in (1, 2, 3)]
    assert [said.partition("of like cells")[2] for said in remarks] == [
        ")",
        ", of another machine)",
        ", of another machine)",
    ]
    assert "of like cells, of other parameters)" in str(estimate([work()], Times([past(other, 5)])))


def test_of_many_records_the_ends_do_not_count():
    assert seconds_of(*[past(work(), seconds) for seconds in (1, 9, 10, 11, 12, 90)], wanted=work()) == (9, 12)
    assert seconds_of(*[past(work(), seconds) for seconds in (1, 9, 90)], wanted=work()) == (1, 90)


def test_workers_divide_the_time_down_to_the_longest_cell():
    assert shared_among([(60, 120)] * 8, 4) == (120, 240)
    assert shared_among([(1, 2)] * 3 + [(500, 600)], 4) == (500, 600)


def test_sentences():
    cells = [past(work(), 240) for _ in range(12)]
    assert str(estimate([work()] * 200, Times(cells), 4)) == (
        "2 h 40 min to 4 h 10 min on 4 workers (from 12 records of like cells)"
    )
    mixed = estimate(
        [work()] + [work(bits=8)] * 5, Times(cells[:1]), 1, {"image features of ucm": (10.0, 20.0), "t": None}
    )
    assert str(mixed) == (
        "3 min to 5 min on 1 worker for 1 cell (from 1 record of like cells); 5 cells unknown: no record is like them; "
        "image features of ucm, which are not in the cache: 10 s to 20 s more; t, which are not in the cache: unknown: "
        "no record has their time"
    )
    assert str(estimate([], Times(cells))) == "nothing to run"


def test_a_cell_of_many_epochs_takes_what_short_ones_tell(prepared, tmp_path):
    """The right answer is what it then takes."""
    settings, store = RunSettings(device="cpu"), RunStore(tmp_path / "results")
    store.check_writable()

    def seconds_with(epochs):
        job, metrics = prepared("duch-noisy", epochs=epochs)
        result = attempt(job, metrics, settings)
        assert result.record.status == "ok", result.record.error
        store.write(result.record, result.arrays, result.model)
        return result.record.timings["total"]

    for epochs in (2, 10):
        seconds_with(epochs)
    job, _ = prepared("duch-noisy", epochs=150)
    found = past_cells(store.results, [work_of(job)])
    assert [sum(epochs for _, epochs in cell.work.epochs) for cell in sorted(found, key=lambda cell: cell.epochs)] == [
        2,
        10,
    ]
    low, high = estimate([work_of(job)], Times(found, "cpu", 1)).seconds
    taken = seconds_with(150)
    assert low / 2 < taken < high * 2
    assert high < 4 * low


def test_features_are_told_apart_and_only_where_they_were_computed(record, tmp_path):
    store = RunStore(tmp_path / "results")
    store.check_writable()
    backbones = {"image": {"name": "resnet"}, "text": {"name": "bert"}}
    facts = {"backbones": backbones, "parameters": {}}
    about = {
        "identity": {"phases": []}, "timings": {"features": 31.0, "total": 40.0},
        "environment": {"host": socket.gethostname(), "device": "cuda:1", "threads": 1},
    }  # fmt: skip
    costs = [{"computed_features": {"image": 30.0, "text": 0.0}}, {"computed_features": {}}, {}]
    for number, cost in enumerate(costs):
        store.write(record(cell=facts, hash=f"{number:012x}", cost=cost, **about))
    work = Work.of(["cca-itq", "cca-itq", "none", None, "small", 16, "fp32", 10, 2, 8], {}, [])
    cells = past_cells(store.results, [work])
    assert [(cell.work, cell.seconds, cell.features, cell.where, cell.here) for cell in cells] == [
        (work, 10, {"image": 30}, ("cuda", 1), True),
        (work, 9, {}, ("cuda", 1), True),
        (work, 9, {}, ("cuda", 1), True),
    ]


@pytest.mark.parametrize("phases", [None, [["warm-up"]], "warm-up", [["a", "trusted", None, "x"]]])
def test_records_of_another_form_tell_nothing(record, tmp_path, phases):
    store = RunStore(tmp_path / "results")
    store.check_writable()
    store.write(record(identity={"phases": phases}))
    kind = ["cca-itq", "cca-itq", "none", None, "small", 16, "fp32", 10, 2, 8]
    assert past_cells(store.results, [Work.of(kind, {}, [])]) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "less than a second"), (40, "40 s"), (59.4, "59 s"), (720, "12 min"), (3600, "1 h"), (12000, "3 h 20 min"),
     (86400, "1 d"), (187200, "2 d 4 h")],
)  # fmt: skip
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_a_range_that_reads_the_same_is_said_once():
    assert spoken_range((0.1, 0.2)) == "less than a second"
    assert spoken_range((40.0, 90.0)) == "40 s to 2 min"
