"""The layout of record.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from harness.cells.cell import SCHEMA
from harness.records.schema import Failure, record_from_json


def test_record_survives_the_way_through_json(record):
    written = record(error=Failure(kind="ValueError", message="m", traceback=["a", "b"]), status="failed")
    assert record_from_json(json.loads(json.dumps(written.to_json()))) == written


def test_schema_comes_first_and_has_the_number_of_this_version(record):
    content = record().to_json()
    assert next(iter(content)) == "schema"
    assert content["schema"] == SCHEMA
    assert "schema_" not in content


def test_every_field_of_the_issue_is_in_the_record(record):
    content = record().to_json()
    assert {"schema", "hash", "status", "cell", "metrics", "timings", "environment"} <= content.keys()
    named = {"method", "hasher", "detector", "objective", "dataset", "noise", "protocol", "trusted", "bits", "seed"}
    assert named | {"data_seed", "parameters", "backbones"} <= content["cell"].keys()


@pytest.mark.parametrize("status", ["ok", "failed", "timeout", "oom", "invalid"])
def test_every_status_of_the_design_is_known(record, status):
    assert record_from_json(record(status=status).to_json()).status == status


def test_another_status_is_refused(record):
    with pytest.raises(ValidationError, match="status"):
        record(status="done")


@pytest.mark.parametrize("schema", [None, 0, SCHEMA + 1, str(SCHEMA)])
def test_another_schema_is_refused(record, schema):
    with pytest.raises(ValueError, match="schema"):
        record_from_json({**record().to_json(), "schema": schema})


@pytest.mark.parametrize("lacking", ["hash", "cell", "metrics", "identity", "error", "finished"])
def test_missing_field_is_refused_by_name(record, lacking):
    content = record().to_json()
    del content[lacking]
    with pytest.raises(ValueError, match=lacking):
        record_from_json(content)


@pytest.mark.parametrize("place", ["record", "cell"])
def test_unknown_field_is_refused_by_name(record, place):
    content = record().to_json()
    (content if place == "record" else content["cell"])["misspelt"] = 1
    with pytest.raises(ValueError, match="misspelt"):
        record_from_json(content)


@pytest.mark.parametrize(("field", "value"), [("bits", "many"), ("seed", 1.5), ("granted", None), ("noise", "high")])
def test_field_of_another_type_is_refused_by_name(record, field, value):
    content = record().to_json()
    content["cell"][field] = value
    with pytest.raises(ValueError, match=field):
        record_from_json(content)


def test_natural_noise_and_foreign_codes_may_leave_facts_open(record):
    open_facts = dict.fromkeys(["noise", "protocol", "trusted", "data_seed", "standardise", "precision", "objective"])
    assert record_from_json(record(cell=open_facts).to_json()).cell.noise is None


def test_record_cannot_be_changed(record):
    with pytest.raises(ValidationError, match="frozen"):
        record().status = "ok"


HISTORIC = Path(__file__).parent / "historic"


@pytest.mark.parametrize("path", sorted(HISTORIC.glob("*/runs/*/*/*/record.json")), ids=lambda path: path.parts[-4])
def test_records_of_every_earlier_schema_keep_loading(path):
    """Kept as they were written by the version of their time."""
    content = json.loads(path.read_text())
    record = record_from_json(content)
    assert record.to_json()["schema"] == SCHEMA
    assert record.hash == path.parent.name
    unchanged = record.to_json()
    for key, value in content.items():
        if key not in ("schema", "error"):
            kept = unchanged[key]
            if key == "cell":  # choices that there were not yet have the values that everything had then
                kept = {name: kept[name] for name in value}
            assert kept == value
