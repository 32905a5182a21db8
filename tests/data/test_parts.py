"""Who is training, query and database image: every choice, images without a class, copies, validation."""

from __future__ import annotations

import numpy as np
import pytest

from harness.data.cards import CardProtocol
from harness.data.duplicates import find_copies, without_copies
from harness.data.parts import Choice, choose_parts, recorded
from harness.data.raw import RawDataset
from harness.data.splits import (
    cut_validation,
    paper_split,
    protocol_split,
    published_split,
    query_images,
    stratified_split,
    training_images,
)
from harness.data.table import FeatureTable
from harness.errors import HarnessError


class Pictures:
    """Images whose content is a word."""

    def __init__(self, contents):
        self.contents = contents

    def __len__(self):
        return len(self.contents)

    def __getitem__(self, index):
        raise AssertionError("nothing is decoded for a split")

    def fingerprint(self, index):
        return self.contents[index]


def data(n=40, contents=None, **changed):
    content = {
        "name": "small", "images": Pictures(contents or [f"image {row}" for row in range(n)]),
        "captions": [f"caption {row}" for row in range(n)], "caption_image": np.arange(n),
        "labels": np.arange(n) % 4, "filenames": [f"{row}.jpg" for row in range(n)],
    }  # fmt: skip
    return RawDataset(**{**content, **changed})


def table(n=40, **changed):
    content = {
        "name": "ready", "image": np.zeros((n, 2), np.float32), "text": np.zeros((n, 2), np.float32),
        "caption_image": np.arange(n), "labels": np.arange(n) % 4,
    }  # fmt: skip
    return FeatureTable(**{**content, **changed})


def told(function, *arguments, **named) -> str:
    with pytest.raises(HarnessError) as caught:
        function(*arguments, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- the choices ---


def test_the_default_is_the_paper_s_split_and_the_card_may_say_another():
    np.testing.assert_array_equal(choose_parts(data(), Choice(3)).split, paper_split(40, 3))
    parts = choose_parts(data(), Choice(3), default="protocol", protocol=CardProtocol(queries=4, training=10))
    assert (parts.name, (parts.split == 1).sum(), (parts.split == 3).sum()) == ("protocol", 4, 10)
    assert (parts.split == 2).sum() == 26


def test_stratified_parts_have_the_paper_s_sizes_and_each_class_its_share():
    labels = np.repeat([0, 1, 2], [100, 60, 50])
    split, paper = stratified_split(labels, 1), paper_split(210, 1)
    assert np.bincount(split).tolist() == np.bincount(paper).tolist()
    for label, size in enumerate((100, 60, 50)):
        own = split[labels == label]
        assert abs((own == 0).sum() - size / 2) <= 1
        assert abs((own == 1).sum() - size / 10) <= 1
    assert (stratified_split(labels, 2) != split).any()
    sets = np.eye(3, dtype=bool)[labels]
    np.testing.assert_array_equal(stratified_split(sets, 1) == 1, stratified_split(-labels, 1) == 1)


def test_published_parts_train_and_test_and_leave_validation_alone():
    parts = ("train", "restval", "val", "test")
    assert published_split(parts, "x").tolist() == [3, 3, -1, 1]
    assert published_split(("train", "query", "database"), "x").tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        (None, "comes without published parts"),
        (("train", "dev"), "has a part 'dev'; known are train, restval"),
        (("train", "val"), r"no published test part \(test or query\), only train, val"),
        (("test", "val"), r"no published training part \(train or restval\), only test, val"),
    ],
)
def test_parts_that_are_no_split_are_refused(parts, says):
    with pytest.raises(HarnessError, match=says):
        published_split(parts, "x")


def test_the_protocol_trains_on_part_of_the_database_or_on_all_of_it():
    split = protocol_split(30, 5, 0, 0)
    assert (np.bincount(split, minlength=4).tolist()) == [0, 5, 0, 25]
    assert "30 images: use --split paper" in told(protocol_split, 30, 25, 10, 0)


def test_the_protocol_is_scaled_down_with_a_limit():
    parts = choose_parts(
        data(40), Choice(0), default="protocol", protocol=CardProtocol(queries=20, training=100), whole=400
    )
    assert ((parts.split == 1).sum(), (parts.split == 3).sum()) == (2, 10)


def test_ready_features_of_the_user_keep_the_split_that_they_bring():
    brought = np.repeat(np.array([0, 1, 2], np.int8), [20, 5, 15])
    parts = choose_parts(table(split=brought), Choice(0), is_file=True)
    np.testing.assert_array_equal(parts.split, brought)
    assert parts.name == "given"
    assert "bring their own split" in told(choose_parts, table(split=brought), Choice(0, "paper"), is_file=True)


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        (Choice(0, "papers"), "unknown value of --split 'papers': did you mean 'paper'?"),
        (Choice(0, relevance="class"), "unknown value of --relevance 'class'"),
        (Choice(0, validation=1.5), "--validation 1.5: expected a share between 0 and 1."),
        (Choice(0, validation=0.999), "leaves none of 20 training images"),
        (Choice(0, "protocol"), "'small' has no usual protocol in its card"),
    ],
)
def test_a_choice_without_meaning_is_refused(choice, says):
    assert says in told(choose_parts, data(), choice)


# --- images without a class ---


def test_images_without_a_class_train_and_are_nothing_else():
    unlabelled = np.arange(40) % 5 == 0
    drawn = paper_split(40, 0)
    parts = choose_parts(data(unlabelled=unlabelled), Choice(0))
    assert set(parts.split[unlabelled].tolist()) == {0, -1}
    np.testing.assert_array_equal(parts.split[~unlabelled], drawn[~unlabelled])
    np.testing.assert_array_equal(training_images(parts.split), training_images(drawn))
    assert "8 images without a class" in parts.notes[0]


def test_training_images_without_a_class_leave_the_database_of_a_protocol():
    unlabelled = np.arange(40) % 5 == 0
    choice, protocol = Choice(0, "protocol"), CardProtocol(queries=5, training=20)
    before = protocol_split(40, 5, 20, 0)
    after = choose_parts(data(unlabelled=unlabelled), choice, protocol=protocol).split
    assert (after[unlabelled & (before == 3)] == 0).all()


def test_relevance_by_instance_needs_no_classes():
    nothing = data(unlabelled=np.ones(40, bool))
    np.testing.assert_array_equal(choose_parts(nothing, Choice(0, relevance="instance")).split, paper_split(40, 0))
    assert "add --relevance instance" in told(choose_parts, nothing, Choice(0))


# --- tuning ---


def test_validation_cuts_queries_from_the_training_images_and_leaves_the_real_ones_alone():
    for split in (paper_split(100, 0), protocol_split(100, 10, 50, 0)):
        cut = cut_validation(split, 0.1, 0)
        assert len(query_images(cut)) == 5
        assert np.isin(query_images(cut), training_images(split)).all()
        assert (cut[split == 1] == -1).all()
        assert (cut[split == 2] == 2).all()
        assert len(training_images(cut)) == 45


# --- copies ---


def test_copies_across_parts_are_found_and_queries_stay():
    #          0    1    2    3    4    5    6    7
    contents = ["a", "b", "a", "c", "b", "c", "d", "d"]
    split = np.array([1, 0, 0, 2, 2, 0, 2, 2], dtype=np.int8)
    found = find_copies(contents, split)
    assert found.training.tolist() == [2], "a is a query"
    assert found.database.tolist() == [3, 4], "c and b are trained on; two d in one part are no matter"
    assert without_copies(split, found).tolist() == [1, 0, -1, -1, -1, 0, 2, 2]
    by_codes = find_copies(data(contents=contents).content_codes, split)
    assert (by_codes.training.tolist(), by_codes.database.tolist()) == ([2], [3, 4])


def test_images_that_play_no_part_are_no_copies():
    assert len(find_copies(["a", "a"], np.array([-1, 2], dtype=np.int8))) == 0
    assert len(find_copies([], np.array([], dtype=np.int8))) == 0


def test_copies_are_reported_and_dropped_only_when_asked():
    split = paper_split(40, 0)
    query, trained = np.flatnonzero(split == 1)[0], np.flatnonzero(split == 0)[0]
    contents = [f"image {row}" for row in range(40)]
    contents[trained] = contents[query]
    kept = choose_parts(data(contents=contents), Choice(0))
    np.testing.assert_array_equal(kept.split, split)
    assert kept.copies == (f"{trained}.jpg",)
    assert "1 image (1 training) is a copy of one in another part: kept" in kept.notes[0]
    choice = Choice(0, drop_duplicates=True)
    dropped = choose_parts(data(contents=contents), choice)
    assert dropped.split[trained] == -1
    assert dropped.split[query] == 1
    assert "left out" in dropped.notes[0]
    assert recorded(dropped, choice)["copies"] == [f"{trained}.jpg"]


def test_ready_features_cannot_drop_copies():
    assert "compares images" in told(choose_parts, table(), Choice(0, drop_duplicates=True))
