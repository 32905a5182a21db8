"""Which queries are one observation: equal captions, equal features, or a chain of shared captions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import feature_arrays
from reference.cell import cell_data

from harness.data.query_blocks import blocks_of_captions, query_blocks


def data_with(captions=None, seed=0):
    """A cell of 60 images with two captions each; 6 of them are queries."""
    data = cell_data(feature_arrays(n=60, seed=seed))
    return data if captions is None else replace(data, table=replace(data.table, captions=captions))


def test_equal_words_are_one_block_numbered_by_first_appearance():
    captions = ["a ship", "a plane", "a ship", "trees", "a plane", "A ship"]
    rows = np.array([3, 1, 0, 2, 4, 5])
    assert blocks_of_captions(captions, np.zeros((6, 1)), rows).tolist() == [0, 1, 2, 2, 1, 3]
    assert blocks_of_captions(np.array(captions), np.zeros((6, 1)), rows).tolist() == [0, 1, 2, 2, 1, 3]


def test_without_words_equal_features_are_one_block():
    text = np.array([[1.0, 2.0], [1.0, 2.5], [1.0, 2.0]], dtype=np.float32)
    assert blocks_of_captions(None, text, np.array([2, 1, 0])).tolist() == [0, 1, 0]


def test_queries_go_by_the_caption_that_was_chosen_for_them():
    data = data_with()
    captions = [f"caption {row}" for row in range(120)]
    first, second = data.queries[[1, 4]]
    captions[data.caption_of[first]] = captions[data.caption_of[second]] = "the same"
    found = query_blocks(data_with(captions))
    assert found.dtype == np.int64
    assert found.tolist() == [0, 1, 2, 3, 1, 4]
    captions = [f"caption {row}" for row in range(120)]
    for image in (first, second):  # the caption that was not chosen
        captions[2 * image + 1 - data.caption_of[image] % 2] = "the same"
    assert query_blocks(data_with(captions)).tolist() == list(range(6))


def test_with_relevance_by_instance_a_chain_of_shared_captions_is_one_block():
    data = data_with()
    captions = [f"caption {row}" for row in range(120)]
    one, two, three = data.queries[[0, 2, 3]]
    captions[2 * one] = captions[2 * two] = "shared by one and two"
    captions[2 * two + 1] = captions[2 * three] = "shared by two and three"
    assert query_blocks(data_with(captions), "instance").tolist() == [0, 1, 0, 0, 2, 3]


# --- in records ---


def written(features, tmp_path, name, captions):
    return features(name, captions=2, n=60, extra={"captions": np.array(captions)})


@pytest.fixture
def blocks_in(tmp_path):
    def read(record):
        (path,) = tmp_path.glob(f"results/runs/*/*/{record['hash']}/arrays.npz")
        with np.load(path) as opened:
            return dict(opened)

    return read


def run(harness, path, *words):
    result = harness(
        "run", "--method", "cca-itq", "--features", path, "--bits", "8", "--noise", "0.4", *words, "--json"
    )
    assert result.code == 0, result.err
    return result.json[0]


def test_a_run_stores_the_blocks_of_its_queries_and_its_method_feels_nothing_of_them(
    harness, features, tmp_path, blocks_in
):
    alone = written(features, tmp_path, "alone", [f"caption {row}" for row in range(120)])
    alike = written(features, tmp_path, "alike", ["one and the same"] * 120)
    before, after = (blocks_in(run(harness, path)) for path in (alone, alike))
    assert before["query_blocks"].tolist() == list(range(6))
    assert after["query_blocks"].tolist() == [0] * 6
    for name in before:
        if name.endswith("_codes") or name in ("trust", "plan_caption", "query_ids"):
            np.testing.assert_array_equal(before[name], after[name])


def test_relevance_by_instance_stores_blocks_too(harness, features, tmp_path, blocks_in):
    path = written(features, tmp_path, "alike", ["one and the same"] * 120)
    assert blocks_in(run(harness, path, "--relevance", "instance"))["query_blocks"].tolist() == [0] * 6


def test_codes_of_another_program_get_the_blocks_of_their_cell(harness, features, tmp_path, blocks_in):
    path = written(features, tmp_path, "some", [f"caption {row % 3}" for row in range(120)])
    ours = run(harness, path)
    arrays = blocks_in(ours)
    assert 1 < len(set(arrays["query_blocks"].tolist())) < 6, "nothing would be shown otherwise"
    assert harness("data", "export", "--features", path, "--noise", "0.4", "-o", tmp_path / "cell.npz").code == 0
    order = np.random.default_rng(0).permutation(6)
    theirs = {f"query_{kind}_codes": arrays[f"query_{kind}_codes"][order] for kind in ("image", "text")}
    theirs.update({name: array for name, array in arrays.items() if name.startswith("database_")})
    np.savez(tmp_path / "codes.npz", query_ids=arrays["query_ids"][order], n_bits=8, **theirs)
    for cell in (tmp_path / "cell.npz", ours["hash"]):
        words = ("--codes", tmp_path / "codes.npz", "--cell", cell, "--name", "theirs", "--json")
        result = harness("evaluate", *words)
        assert result.code == 0, result.err
        found = blocks_in(result.json[0])["query_blocks"]
        expected = arrays["query_blocks"][order]
        np.testing.assert_array_equal(found[:, None] == found, expected[:, None] == expected)


def test_blocks_in_a_file_of_codes_are_kept_or_refused(harness, tmp_path, blocks_in):
    random = np.random.default_rng(0)
    arrays = {f"{part}_image_codes": random.choice([-1, 1], (4, 8)) for part in ("query", "database")}
    labels = {"query_labels": np.arange(4) % 2, "database_labels": np.arange(4) % 2}
    for number, blocks in enumerate([np.array([3, 3, 0, 1]), np.zeros(3, int), np.zeros(4)]):
        path = tmp_path / f"codes-{number}.npz"
        np.savez(path, query_blocks=blocks, **arrays, **labels)
        result = harness("evaluate", "--codes", path, "--json")
        if number == 0:
            assert blocks_in(result.json[0])["query_blocks"].tolist() == [3, 3, 0, 1]
        else:
            assert result.code == 2
            assert "query_blocks must be (4,) integers" in result.err
