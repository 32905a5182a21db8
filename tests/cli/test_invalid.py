"""Records that break an invariant: kept with their numbers, left out of tables, told, and mended by scoring."""

from __future__ import annotations

import numpy as np
import pytest

PLUGIN = """
import numpy
from harness import hookimpl

def strange(histogram):
    values = numpy.full(len(histogram.total_relevant), 0.5)
    values[0] = {value}
    return values

@hookimpl
def register_metrics(register):
    register("strange", strange, summary="s", definition="d", bounds={bounds})
"""


@pytest.fixture
def metric(tmp_path):
    """A plugin file with a metric whose first query in each part has a given value."""

    def write(value: str = "1.5", bounds: str = "(0, 1)"):
        file = tmp_path / "strange.py"
        file.write_text(PLUGIN.format(value=value, bounds=bounds))
        return file

    return write


@pytest.fixture
def words(features):
    return ("run", "--method", "cca-itq", "--features", features(), "--bits", "16")


def test_an_invalid_record_is_told_kept_and_left_out_of_tables(harness, words, metric, stored, arrays_of):
    result = harness(*words, "--plugin", metric())
    assert result.code == 1, "as for failed cells"
    assert "invalid: i2t: strange of query 0 is 1.5, outside of 0 to 1; 3 more, see the notes" in result.err
    ((_, record),) = stored().items()
    assert record["status"] == "invalid"
    assert record["error"]["kind"] == "InvariantViolation"
    assert record["metrics"]["i2t"]["map"] > 0
    assert "not valid: t2t: strange of query 0 is 1.5, outside of 0 to 1" in record["notes"]
    assert "query_image_codes" in arrays_of(record)
    table = harness("table")
    assert table.code == 2
    assert "no finished run" in table.err
    assert "left out: 1 invalid run, whose numbers contradict each other" in table.err
    listed = harness("results", "list", "--json").json
    assert [row["status"] for row in listed] == ["invalid"]
    shown = harness("show", record["hash"])
    assert "invalid" in shown.out.splitlines()[0]
    assert "outside of 0 to 1" in shown.out
    assert " 0." in shown.out, "its numbers are shown"


def test_a_metric_that_declares_no_bounds_may_return_anything_finite(harness, words, metric, stored):
    assert harness(*words, "--plugin", metric("-40.0", "None")).code == 0
    assert {record["status"] for record in stored().values()} == {"ok"}


def test_an_infinite_value_is_invalid_whatever_the_metric_declares(harness, words, metric, stored):
    result = harness(*words, "--plugin", metric("numpy.inf", "None"))
    assert result.code == 1
    assert "strange of query 0 is infinite" in result.err
    ((_, record),) = stored().items()
    assert record["status"] == "invalid"


def test_overwrite_failed_tries_an_invalid_cell_again_and_never_keeps_it(harness, words, metric, stored):
    harness(*words, "--plugin", metric())
    file = metric("0.25")
    kept = harness(*words, "--plugin", file, "--overwrite", "never")
    assert kept.code == 1
    assert "kept: " in kept.err
    assert "invalid: i2t: strange of query 0 is 1.5" in kept.err
    assert harness(*words, "--plugin", file).code == 0
    assert {record["status"] for record in stored().values()} == {"ok"}


def test_scoring_with_mended_metrics_makes_a_record_valid_without_training(harness, words, metric, stored):
    harness(*words, "--plugin", metric())
    ((name, before),) = stored().items()
    part = harness("score", name, "--metric", "map")
    assert part.code == 1, "the metric that was wrong was not computed again"
    assert stored()[name]["status"] == "invalid"
    result = harness("score", name, "--plugin", metric("0.25"))
    assert result.code == 0, result.err
    after = stored()[name]
    assert (after["status"], after["error"]) == ("ok", None)
    assert not [note for note in after["notes"] if note.startswith("not valid: ")]
    assert after["timings"] == before["timings"], "nothing was run"


def test_scoring_finds_what_was_not_looked_for_before(harness, words, metric, stored):
    assert harness(*words).code == 0
    result = harness("score", "--all", "--plugin", metric("numpy.nan"))
    assert result.code == 1
    assert "1 run scored, 0 with other values than before, 1 invalid" in result.out
    assert "strange of query 0 is not a number" in result.err
    ((_, record),) = stored().items()
    assert record["status"] == "invalid"


def test_verifying_an_invalid_run_compares_its_codes(harness, words, metric, stored):
    harness(*words, "--plugin", metric())
    ((name, _),) = stored().items()
    result = harness("results", "verify", name)
    assert result.code == 0, result.err


def test_codes_of_other_programs_are_checked_too(harness, tmp_path, monkeypatch, stored):
    from harness.retrieval import metrics

    random = np.random.default_rng(0)
    names = [f"{part}_{kind}_codes" for part in ("query", "database") for kind in ("image", "text")]
    arrays = {name: random.choice([-1, 1], (7 if name.startswith("query") else 15, 12)) for name in names}
    np.savez(tmp_path / "c.npz", **arrays, query_labels=np.arange(7) % 3, database_labels=np.arange(15) % 3)
    monkeypatch.setattr(metrics, "hit", lambda histogram, cutoff: np.full(len(histogram), 0.321))
    result = harness("evaluate", "--codes", tmp_path / "c.npz", "--name", "theirs", "--dataset", "ucm", "--noise", "0")
    assert result.code == 1
    assert "invalid: i2t: hit@1 of query 0 is 0.321 and p@1 is" in result.err
    assert "record in " in result.out
    ((_, record),) = stored().items()
    assert (record["status"], record["metrics"]["i2t"]["hit@1"]) == ("invalid", 0.321)
