"""``harness evaluate``: codes of any other program through the same metrics into the same records and tables."""

from __future__ import annotations

import json

import numpy as np
import pytest

from harness.cli import evaluate as evaluate_module

CODES = [f"{part}_{kind}_codes" for part in ("query", "database") for kind in ("image", "text")]


def foreign(seed: int = 0, n_bits: int = 12, queries: int = 7, database: int = 15) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    arrays = {
        name: random.choice([-1, 1], (queries if name.startswith("query") else database, n_bits)) for name in CODES
    }
    return {**arrays, "query_labels": np.arange(queries) % 3, "database_labels": np.arange(database) % 3}


@pytest.fixture
def codes_file(tmp_path):
    def write(name: str = "theirs", drop: tuple[str, ...] = (), **arrays):
        path = tmp_path / f"{name}.npz"
        np.savez(path, **{key: array for key, array in arrays.items() if key not in drop})
        return path

    return write


def brute_force_map(query, database, query_labels, database_labels) -> float:
    """Mean average precision with expectation over ties, by averaging over many random orders of them."""
    distance = (query[:, None] != database[None]).sum(axis=2)
    random, found = np.random.default_rng(0), []
    for row, label in zip(distance, query_labels, strict=True):
        relevant = database_labels == label
        for _ in range(3000):
            hits = relevant[np.lexsort((random.random(len(row)), row))]
            found.append((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())
    return float(np.mean(found))


def test_codes_of_a_foreign_program_are_scored_recorded_and_tabulated(harness, codes_file, stored):
    arrays = foreign()
    path = codes_file(**arrays)
    result = harness("evaluate", "--codes", path, "--name", "their method", "--noise", "0.4", "--dataset", "ucm")
    assert result.code == 0, result.err
    assert "external:their method" in result.out
    ((_, record),) = stored().items()
    cell = record["cell"]
    assert (cell["method"], cell["dataset"], cell["noise"], cell["bits"]) == ("external:their method", "ucm", 0.4, 12)
    expected = brute_force_map(
        arrays["query_image_codes"], arrays["database_text_codes"], arrays["query_labels"], arrays["database_labels"]
    )
    assert record["metrics"]["i2t"]["map"] == pytest.approx(expected, abs=0.01)
    assert "external:their method" in harness("table").out


FORMS = {
    "bool": lambda codes: codes > 0,
    "0 and 1": lambda codes: (codes > 0).astype(np.uint8),
    "real": lambda codes: codes * 0.3,
    "packed": lambda codes: np.packbits(codes > 0, axis=1, bitorder="little"),
    "float16": lambda codes: codes.astype(np.float16),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_codes_gives_the_same_metrics(harness, codes_file, form):
    arrays = foreign()
    plain = harness("evaluate", "--codes", codes_file("plain", **arrays), "--json").json[0]
    changed = {name: FORMS[form](array) if name in CODES else array for name, array in arrays.items()}
    extra = {"n_bits": np.array(12)} if form == "packed" else {}
    other = harness("evaluate", "--codes", codes_file("plain", **changed, **extra), "--json").json[0]
    assert other["metrics"] == plain["metrics"]
    assert other["hash"] == plain["hash"]


@pytest.mark.parametrize(
    ("left_out", "directions"),
    [
        (("query_text_codes", "database_image_codes"), {"i2t"}),
        (("query_text_codes",), {"i2t", "i2i"}),
        (("database_text_codes",), {"t2i", "i2i"}),
    ],
)
def test_one_modality_is_enough_for_the_directions_that_it_allows(harness, codes_file, left_out, directions):
    result = harness("evaluate", "--codes", codes_file(drop=left_out, **foreign()), "--json")
    assert {"i2t", "t2i", "i2i", "t2t"} & result.json[0]["metrics"].keys() == directions


@pytest.mark.parametrize("method", ["duch-noisy", "cca-itq"])
@pytest.mark.parametrize("multi", [False, True])
def test_own_arrays_of_a_run_give_exactly_its_metrics(harness, features, tiny, results, multi, method):
    (record,) = tiny(method, features(multi=multi), "--noise", "0.3", "--bits", "13")
    (path,) = results.rglob("arrays.npz")
    for words in ((), ("--cell", record["hash"][:7])):
        again = harness("evaluate", "--codes", path, "--name", "myself", *words, "--json").json[0]
        for direction in ("i2t", "t2i", "i2i", "t2t"):
            assert again["metrics"][direction] == record["metrics"][direction]
        assert again["queries"] == record["queries"]
        assert again["metric_definitions"] == record["metric_definitions"]
    table = harness("table", "--method", f"external:myself,{method}").out
    assert table.count("map on small") == 1, "the run and its own codes stand in one table"


def coded_like(arrays, shuffle: int | None = None) -> dict[str, np.ndarray]:
    """Random codes for the queries and the database of an export, in any order, without labels."""
    random = np.random.default_rng(0)
    found = {}
    for part, ids in (
        ("query", np.flatnonzero(arrays["split"] == 1)),
        ("database", np.flatnonzero(arrays["split"] >= 2)),
    ):
        order = np.arange(len(ids)) if shuffle is None else np.random.default_rng(shuffle).permutation(len(ids))
        for kind in ("image", "text"):
            found[f"{part}_{kind}_codes"] = random.choice([-1, 1], (len(ids), 16))[order]
        found[f"{part}_ids"] = ids[order]
    return found


@pytest.fixture
def exported(harness, features, tmp_path):
    path = tmp_path / "cell.npz"
    assert (
        harness("data", "export", "--features", features(), "--noise", "0.4", "--data-seed", "2", "-o", path).code == 0
    )
    with np.load(path) as opened:
        return path, dict(opened)


def test_cell_from_an_export_gives_labels_and_facts_in_whatever_order_the_codes_come(harness, codes_file, exported):
    path, arrays = exported
    record, shuffled = (
        harness("evaluate", "--codes", codes_file(**coded_like(arrays, order)), "--cell", path, "--json").json[0]
        for order in (None, 4)
    )
    for direction in ("i2t", "t2i", "i2i", "t2t"):
        assert shuffled["metrics"][direction] == pytest.approx(record["metrics"][direction], abs=1e-12)
    cell = record["cell"]
    assert (cell["dataset"], cell["noise"], cell["protocol"], cell["data_seed"]) == ("small", 0.4, "derangement", 2)
    assert cell["images"] == {"train": 60, "trusted": 12, "query": 12, "database": 48}


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda arrays: {"cell_header": np.array("{}")}, "is damaged: data, plan missing; export the cell"),
        (lambda arrays: {"cell_header": np.array("[" * 5000)}, "is no file of `harness data export`"),
        (
            lambda arrays: {"cell_header": np.array(changed_header(arrays, noise="much"))},
            "is damaged: noise: Input should",
        ),
        (lambda arrays: {"cell_header": np.array(changed_header(arrays, plan=3))}, "is damaged: plan: Input should be"),
        (
            lambda arrays: {"split": arrays["split"][:5]},
            "split (5,), labels (120,) and caption_choice (120,) must have",
        ),
        (lambda arrays: {"split": arrays["split"] / 2}, "split must be (n,) integers, not float64 (120,)"),
        (lambda arrays: {"caption_choice": arrays["caption_choice"] + 240}, "caption_choice names rows of text beyond"),
        (lambda arrays: {"labels": arrays["labels"][:5]}, "must have one row for each image"),
        (lambda arrays: {"split": None}, "is damaged: split missing"),
    ],
)
def test_a_damaged_cell_is_named(harness, codes_file, exported, tmp_path, spoil, says):
    _, arrays = exported
    spoilt = {name: array for name, array in {**arrays, **spoil(arrays)}.items() if array is not None}
    np.savez(tmp_path / "spoilt.npz", **spoilt)
    result = harness("evaluate", "--codes", codes_file(**coded_like(arrays)), "--cell", tmp_path / "spoilt.npz")
    assert result.code == 2
    assert f"--cell {tmp_path}/spoilt.npz" in result.err
    assert says in result.err


def changed_header(arrays, **changed) -> str:
    return json.dumps({**json.loads(str(arrays["cell_header"])), **changed})


def test_external_codes_on_an_export_stand_beside_our_own_run(harness, codes_file, exported, features, tiny):
    path, arrays = exported
    tiny("random-codes", features(), "--noise", "0.4", "--data-seed", "2", "--bits", "16")
    harness("evaluate", "--codes", codes_file(**coded_like(arrays)), "--cell", path, "--name", "theirs")
    out = harness("table").out
    assert out.count("map on small") == 1
    assert "external:theirs" in out
    assert "random-codes" in out


def test_external_codes_on_a_cell_with_an_imported_plan_stand_beside_the_run_with_that_plan(
    harness, codes_file, exported, features, tiny, tmp_path
):
    # once: the export of a cell with an imported plan does not say so, and its codes get a table of their own.
    path, arrays = exported
    words = ("--noise-plan", path, "--data-seed", "2")
    tiny("random-codes", features(), *words, "--bits", "16")
    assert harness("data", "export", "--features", features(), *words, "-o", tmp_path / "again.npz").code == 0
    harness("evaluate", "--codes", codes_file(**coded_like(arrays)), "--cell", tmp_path / "again.npz")
    assert harness("table").out.count("map on small") == 1


def test_new_codes_under_an_old_name_and_seed_replace_the_old_ones_in_tables(harness, codes_file):
    # once: two programs' runs under one name and one seed are averaged as if they were two seeds.
    for seed in (0, 1):
        harness("evaluate", "--codes", codes_file(**foreign(seed)), "--name", "theirs")
    assert "±" not in harness("table").out


def test_seeds_of_the_other_program_are_averaged(harness, codes_file):
    maps = []
    for seed in (0, 1):
        words = ("--codes", codes_file(**foreign(seed)), "--name", "theirs", "--seed", seed, "--json")
        maps.append(harness("evaluate", *words).json[0]["metrics"]["i2t"]["map"])
    assert f"{np.mean(maps):.3f} ± {np.std(maps, ddof=1):.3f}" in harness("table").out


def without(name):
    return lambda arrays: {key: array for key, array in arrays.items() if key != name}


def changed(name, change):
    return lambda arrays: {**arrays, name: change(arrays[name]) if name in arrays else change(None)}


REFUSED = {
    "no labels": (without("query_labels"), ["query_labels missing", "--cell"]),
    "no query": (lambda a: without("query_text_codes")(without("query_image_codes")(a)), ["no codes of the query"]),
    "NaN": (changed("query_text_codes", lambda codes: codes * np.nan), ["query_text_codes", "NaN"]),
    "other width": (
        changed("database_text_codes", lambda codes: codes[:, 1:]),
        ["database_text_codes has 11 bits, the others 12"],
    ),
    "other length": (changed("query_text_codes", lambda codes: codes[1:]), ["7 image codes and 6 caption codes"]),
    "a vector": (changed("query_text_codes", np.ravel), ["must be a matrix"]),
    "too few labels": (changed("query_labels", lambda labels: labels[1:]), ["query_labels must be (7,)"]),
    "labels of two kinds": (changed("query_labels", lambda labels: np.eye(3)[labels]), ["both be"]),
    "labels with NaN": (changed("query_labels", lambda labels: labels * np.nan), ["query_labels"]),
    "labels with fractions": (changed("query_labels", lambda labels: labels + 0.5), ["query_labels"]),
    "ids twice": (changed("query_ids", lambda _: np.zeros(7, dtype=int)), ["query_ids names some items twice"]),
    "ids with fractions": (changed("query_ids", lambda _: np.arange(7.0)), ["query_ids must be (7,) integers"]),
    "packed without n_bits": (changed("query_image_codes", lambda _: np.full((7, 2), 200, np.uint8)), ["add n_bits"]),
    "n_bits that is no number": (changed("n_bits", lambda _: np.array("many")), ["n_bits"]),
    "several n_bits": (changed("n_bits", lambda _: np.array([12, 12])), ["n_bits"]),
}


@pytest.mark.parametrize("what", REFUSED)
def test_codes_that_cannot_be_scored_are_refused_with_one_sentence(harness, codes_file, results, what):
    change, words = REFUSED[what]
    result = harness("evaluate", "--codes", codes_file(**change(foreign())))
    assert result.code == 2, (result.out, result.err)
    assert result.err.startswith("Error: --codes ")
    assert result.err.count("\n") == 1
    assert all(word in result.err for word in words), result.err
    assert not results.exists()


@pytest.mark.parametrize(
    "words", [("--noise", "2"), ("--noise=-0.1",), ("--trusted", "1"), ("--seed", "-1"), ("--data-seed", "-2")]
)
def test_numbers_that_mean_nothing_are_refused(harness, codes_file, words):
    # once: what `harness run` refuses is recorded here.
    result = harness("evaluate", "--codes", codes_file(**foreign()), *words)
    assert result.code == 2
    assert words[0].partition("=")[0] in result.err


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (("--noise", "0.2"), "0.4"),
        (("--data-seed", "0"), "2"),
        (("--protocol", "shuffle"), "derangement"),
        (("--dataset", "ucm"), "small"),
        (("--trusted", "0.3"), "0.2"),
    ],
)
def test_what_contradicts_the_cell_is_refused(harness, codes_file, exported, words, value):
    path, arrays = exported
    result = harness("evaluate", "--codes", codes_file(**coded_like(arrays)), "--cell", path, *words)
    assert result.code == 2
    assert f"{words[0]} {words[1]} contradicts the cell, which has {value}" in result.err


def test_what_agrees_with_the_cell_may_be_said(harness, codes_file, exported):
    path, arrays = exported
    words = ("--noise", "0.4", "--data-seed", "2", "--protocol", "derangement", "--dataset", "small")
    assert harness("evaluate", "--codes", codes_file(**coded_like(arrays)), "--cell", path, *words).code == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda a: {**a, "query_ids": a["query_ids"] + 1000}, "no query items of the cell"),
        (
            lambda a: {key: array[1:] if key.startswith("query") else array for key, array in a.items()},
            "all must be there",
        ),
        (lambda a: {key: array for key, array in a.items() if key != "database_ids"}, "database_ids is needed"),
    ],
)
def test_codes_of_other_items_than_the_cell_has_are_refused(harness, codes_file, exported, change, reason):
    path, arrays = exported
    result = harness("evaluate", "--codes", codes_file(**change(coded_like(arrays))), "--cell", path)
    assert result.code == 2
    assert reason in result.err


def test_padding_of_packed_codes_is_refused_or_ignored(harness, codes_file):
    # once: bits beyond n_bits count as bits of the code, or end in an internal error.
    packed = {
        name: np.packbits(array > 0, axis=1, bitorder="little") if name in CODES else array
        for name, array in {**foreign(), "n_bits": np.array(12)}.items()
    }
    clean = harness("evaluate", "--codes", codes_file("clean", **packed), "--json").json[0]
    for number, name in enumerate(CODES):
        packed[name] = packed[name] | np.array([0, 16 << number], dtype=np.uint8)
    result = harness("evaluate", "--codes", codes_file("padded", **packed), "--json")
    assert result.code == 2 or (result.code == 0 and result.json[0]["metrics"] == clean["metrics"])


def test_outputs_of_a_sigmoid_give_equal_codes_which_is_told_and_recorded(harness, codes_file):
    arrays = {name: 1 / (1 + np.exp(-array)) if name in CODES else array for name, array in foreign().items()}
    result = harness("evaluate", "--codes", codes_file(**arrays), "--json")
    said = "all 22 image codes are equal, so that they rank nothing: every output is above 0, so take 0.5 off"
    assert f"note: {said}" in result.err
    assert any(note.startswith(said) for note in result.json[0]["notes"])
    assert "codes are equal" not in harness("evaluate", "--codes", codes_file("plain", **foreign())).err


def test_a_column_of_labels_is_scored_as_classes(harness, codes_file):
    arrays = foreign()
    plain = harness("evaluate", "--codes", codes_file(**arrays), "--json").json[0]
    columns = {name: array[:, None] if name.endswith("labels") else array for name, array in arrays.items()}
    result = harness("evaluate", "--codes", codes_file(**columns), "--json")
    assert result.json[0]["metrics"] == plain["metrics"]
    assert "query_labels is one column (7, 1), read as the class of each item" in result.err


def test_codes_without_ids_are_scored_again_with_equal_values(harness, codes_file):
    first = harness("evaluate", "--codes", codes_file(**foreign()), "--json").json[0]
    again = harness("score", "--all", "--json")
    assert again.code == 0, again.err
    assert again.json[0]["metrics"] == first["metrics"]
    assert again.json[0]["hash"] == first["hash"]


def test_evaluation_needs_no_torch(codes_file):
    import subprocess
    import sys

    program = (
        "import sys\nfrom harness.cli import main\n"
        f"sys.argv = ['harness', 'evaluate', '--codes', {str(codes_file(**foreign()))!r}, '--results', sys.argv[1]]\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code\nassert 'torch' not in sys.modules"
    )
    place = str(codes_file(**foreign()).parent / "elsewhere")
    done = subprocess.run(
        [sys.executable, "-c", program, place], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_facts_of_the_cell_are_complete():
    assert {"dataset", "noise", "protocol", "trusted", "data_seed", "standardise", "limit", "backbones"} <= set(
        evaluate_module.DATA_FACTS
    )


def test_codes_too_long_for_a_record_are_refused_in_a_sentence(harness, tmp_path, results):
    packed = np.zeros((6, 70_000 // 8), dtype=np.uint8)
    numbers = np.arange(6)
    np.savez(
        tmp_path / "long.npz", n_bits=70_000, query_image_codes=packed, database_text_codes=packed,
        query_labels=numbers % 2, database_labels=numbers % 2, query_ids=numbers, database_ids=numbers + 6,
    )  # fmt: skip
    result = harness("evaluate", "--codes", tmp_path / "long.npz", "--name", "long", "--results", results)
    assert result.code == 2
    assert "long.npz: bits: Input should be less than or equal to 65536" in result.err
    assert not (results / "runs").exists()
