"""``harness run --from RUN``: the cell of a record again, with some of its values replaced."""

from __future__ import annotations

import json

import pytest

from harness.records.repeat import changed_since, request_of_record, threads_of_record


@pytest.fixture
def first(tiny, features):
    """A finished run of cca-itq."""
    (record,) = tiny("cca-itq", features(), "--noise", "0.4", "--set", "ridge=2", "--data-seed", "1")
    return record


def test_the_same_cell_is_there_already(harness, first, results, stored):
    by_hash = harness("run", "--from", first["hash"][:6], "--json")
    assert by_hash.code == 0, by_hash.err
    assert by_hash.json == [first]
    assert "kept" in by_hash.err
    assert "what differs" not in by_hash.err
    folder = results / "runs" / "cca-itq" / "small" / first["hash"]
    assert harness("run", "--from", folder, "--json").json == [first]
    assert list(stored()) == [first["hash"]]


def test_run_again_it_gives_the_same_codes(harness, first, codes_of):
    before = codes_of(first)
    (again,) = harness("run", "--from", first["hash"], "--overwrite", "always", "--json").json
    assert again["hash"] == first["hash"]
    assert again["metrics"] == first["metrics"]
    assert codes_of(again) == before


def test_options_replace_values_and_lists_span_a_grid(harness, first):
    result = harness("run", "--from", first["hash"], "--seed", "1-2", "--bits", "8,12", "--set", "ridge=3", "--json")
    assert result.code == 0, result.err
    cells = [record["cell"] for record in result.json]
    assert [(cell["bits"], cell["seed"]) for cell in cells] == [(8, 1), (8, 2), (12, 1), (12, 2)]
    for cell in cells:
        assert (cell["method"], cell["noise"], cell["data_seed"]) == ("cca-itq", 0.4, 1)
        assert cell["parameters"]["hasher.ridge"] == 3
        assert cell["dataset"] == "small"


def test_another_method_keeps_the_data_and_starts_from_its_own_recipe(harness, first):
    methods = ("--method", "random-codes,cca-itq")
    fresh, same = harness("run", "--from", first["hash"], *methods, "--dry-run", "--json").json
    assert fresh["cell"]["row"] == "random-codes"
    assert (fresh["cell"]["dataset"], fresh["cell"]["noise"], fresh["cell"]["data_seed"]) == ("small", 0.4, 1)
    assert same["hash"] == first["hash"]


def test_a_dataset_takes_the_place_of_features(harness, first):
    (planned,) = harness("run", "--from", first["hash"], "--dataset", "toy", "--dry-run", "--json").json
    assert planned["cell"]["dataset"] == "toy"


def test_what_differs_is_said_when_nothing_was_replaced(harness, moody, features, stored):
    path = features()
    ran = harness("run", "--method", "moody", "--plugin", moody, "--features", path, "--json")
    (before,) = ran.json
    moody.write_text(moody.read_text().replace("1.0 * torch.randn", "2.0 * torch.randn"))
    again = harness("run", "--from", before["hash"], "--json")
    assert again.code == 0, again.err
    (after,) = again.json
    assert after["hash"] != before["hash"]
    assert f"the cell of run {before['hash']} is now {after['hash']}: what differs is code of hasher moody" in again.err
    replaced = harness("run", "--from", before["hash"], "--seed", "5", "--json")
    assert "what differs" not in replaced.err


def test_a_failed_run_is_repeated(harness, moody, features, tmp_path):
    flag = tmp_path / "flag"
    flag.touch()
    words = ("--set", "mode=raise", "--set", f"while_there={flag}")
    (failed,) = harness("run", "--method", "moody", "--plugin", moody, "--features", features(), *words, "--json").json
    assert failed["status"] == "failed"
    flag.unlink()
    (again,) = harness("run", "--from", failed["hash"], "--json").json
    assert (again["hash"], again["status"]) == (failed["hash"], "ok")


def test_codes_of_another_program_cannot_be_repeated(harness, first, results, tmp_path):
    codes = results / "runs" / "cca-itq" / "small" / first["hash"] / "arrays.npz"
    told = harness("evaluate", "--codes", codes, "--name", "theirs", "--cell", first["hash"], "--json")
    (external,) = json.loads(told.out)
    result = harness("run", "--from", external["hash"])
    assert result.code == 2
    assert "its codes came from another program" in result.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "abcdef"), "no run 'abcdef'"),
        (("--from", "no/such/folder"), "no run 'no/such/folder'"),
        ((), "no method named"),
    ],
)
def test_mistakes(harness, words, said):
    result = harness("run", *words)
    assert result.code == 2
    assert said in result.err
    assert "Traceback" not in result.err


def test_a_record_with_an_unreadable_command_says_so(record):
    from harness.errors import HarnessError

    with pytest.raises(HarnessError, match=r"run 0123456789ab cannot be repeated: .*names no --method"):
        request_of_record(record(command="harness run --bits 8"))


def test_threads_are_those_of_the_record(record):
    assert threads_of_record(record(environment={"threads": 3})) == 3
    assert threads_of_record(record(environment={})) is None


def test_the_same_hash_has_not_changed(record):
    assert changed_since(record(), "0123456789ab", {}) is None
    assert "the data" in changed_since(record(), "ffff", {"data": "other"})


def test_a_deterministic_run_is_repeated_as_one(harness, features, stored):
    path = features()
    words = ("--method", "cca-itq", "--features", path, "--bits", "8", "--deterministic", "--threads", "2")
    assert harness("run", *words).code == 0
    (cell_hash,) = stored()
    assert harness("run", "--from", cell_hash, "--overwrite", "always").code == 0
    assert stored()[cell_hash]["environment"]["settings"] == {"threads": 2, "deterministic": True}
