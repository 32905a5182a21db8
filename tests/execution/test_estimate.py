"""The time that a sweep will take."""

from __future__ import annotations

import pytest

from harness.execution.estimate import CellKind, Estimate, PastCell, duration, estimate

CHNR = CellKind("chnr", "ucm", 64, "resnet + bert")


def past(kind, *seconds):
    return [PastCell(kind, second) for second in seconds]


def test_the_most_similar_cells_decide_by_their_median():
    rows = [
        *past(CHNR, 10, 20, 90),
        *past(CellKind("chnr", "ucm", 128, "resnet + bert"), 500),
        *past(CellKind("chnr", "toy", 64), 1),
    ]
    assert estimate([CHNR], rows).seconds == 20
    assert estimate([CHNR], rows).records == 3


@pytest.mark.parametrize(
    ("cell", "seconds", "records", "unknown"),
    [
        (CellKind("chnr", "ucm", 32, "resnet + bert"), 30, 2, 0),  # same method and data set
        (CellKind("chnr", "rsicd", 64), 40, 3, 0),  # same method
        (CellKind("new", "ucm", 64), 50, 4, 1),  # anything
    ],
)
def test_less_similar_cells_stand_in(cell, seconds, records, unknown):
    rows = [*past(CHNR, 20, 40), *past(CellKind("chnr", "toy", 64), 100), *past(CellKind("other", "ucm", 64), 60)]
    found = estimate([cell], rows)
    assert (found.seconds, found.records, found.unknown) == (seconds, records, unknown)


def test_workers_divide_the_time_down_to_the_longest_cell():
    rows = [*past(CHNR, 60), *past(CellKind("slow", "ucm", 64), 500)]
    assert estimate([CHNR] * 8, rows, workers=4).seconds == 120
    assert estimate([CHNR] * 3 + [CellKind("slow", "ucm", 64)], rows, workers=4).seconds == 500


def test_records_that_serve_twice_count_once():
    rows = past(CHNR, 1, 2)
    assert estimate([CHNR, CellKind("chnr", "ucm", 8), CellKind("new", "x", 8)], rows).records == 2


def test_sentences():
    assert str(estimate([CHNR] * 200, past(CHNR, *[240] * 12), 4)) == (
        "about 3 h 20 min on 4 workers (from 12 earlier records)"
    )
    mixed = estimate([CHNR] + [CellKind("new", "ucm", 64)] * 5, past(CHNR, 10), 1)
    assert str(mixed) == "about 1 min on 1 worker (from 1 earlier record; 5 cells have none of their method)"
    assert "no earlier record" in str(estimate([CHNR], []))
    assert str(Estimate(0.0, 0, 0, 0, 1)) == "nothing to run"
    assert str(estimate([], past(CHNR, 10))) == "nothing to run"


def test_the_kind_is_read_from_the_facts_of_a_cell():
    facts = {
        "method": "chnr", "dataset": "ucm", "bits": 64, "seed": 3,
        "backbones": {"image": {"name": "resnet", "weights": "w"}, "text": {"name": "bert"}},
    }  # fmt: skip
    assert CellKind.of(facts) == CHNR
    assert CellKind.of({**facts, "backbones": {}}).backbones == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "less than a second"), (40, "40 s"), (59.4, "59 s"), (720, "12 min"), (3600, "1 h"), (12000, "3 h 20 min"),
     (86400, "1 d"), (187200, "2 d 4 h")],
)  # fmt: skip
def test_durations(seconds, text):
    assert duration(seconds) == text
