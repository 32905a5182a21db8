"""What a method is given, what the evaluator keeps, and which plans fit which data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from harness.data.assemble import DataProtocol, assemble, check_plan, training_pairs
from harness.data.splits import paper_split, training_images
from harness.data.table import FeatureTable
from harness.errors import HarnessError
from harness.plugin.interfaces import GRANTED_TO_METHODS, NOTHING, Need
from harness.plugin.loading import load_registry

CPU = torch.device("cpu")
N = 100  # images, three captions each


@pytest.fixture(scope="module")
def registry():
    return load_registry(environment={})


def small_table(seed=0, **changed):
    """Column 0 of every feature is the number of its image, column 1 that of its caption; the rest is random."""
    random = np.random.default_rng(seed)
    image, text = random.normal(size=(N, 6)).astype(np.float32), random.normal(size=(3 * N, 5)).astype(np.float32)
    image[:, 0] = np.arange(N)
    text[:, 0], text[:, 1] = np.arange(3 * N) // 3, np.arange(3 * N)
    table = FeatureTable(
        name="small",
        image=image,
        text=text,
        caption_image=np.repeat(np.arange(N), 3),
        labels=np.arange(N) % 5,
        image_views=(image + 1000, image * 2),
        text_views=(text + 1000,),
        fingerprint="0123abcd",
    )
    return replace(table, **changed)


def make(registry, table=None, split=None, **changed):
    facts = {"noise": "derangement", "rate": 0.4, "trusted": 0.2, "data_seed": 0, "standardise": "none"} | changed
    facts["noise"] = registry.get("protocol", facts["noise"])
    split = paper_split(N, facts["data_seed"]) if split is None else split
    return assemble(small_table() if table is None else table, DataProtocol(**facts), split)


def images_of(pairs):
    return pairs.image[:, 0].numpy().astype(int)


# --- training pairs ---


@pytest.mark.parametrize("noise", ["derangement", "cross-class", "shuffle", "chnr-released"])
def test_rows_are_the_training_images_in_another_order_each_with_the_caption_of_the_plan(registry, noise):
    data = make(registry, noise=noise)
    pairs = training_pairs(data, CPU, NOTHING)
    images = images_of(pairs)
    assert images.tolist() != sorted(images)
    np.testing.assert_array_equal(np.sort(images), training_images(data.split))
    given = dict(zip(data.plan.image, data.plan.caption, strict=True))
    np.testing.assert_array_equal(pairs.text[:, 1].numpy().astype(int), [given[image] for image in images])
    wrong = dict(zip(data.plan.image, data.plan.wrong, strict=True))
    np.testing.assert_array_equal(pairs.text[:, 0].numpy() != images, [wrong[image] for image in images])
    assert any(wrong.values())


def test_every_view_and_mask_has_the_same_rows(registry):
    data = make(registry)
    pairs = training_pairs(data, CPU, GRANTED_TO_METHODS)
    images, captions = images_of(pairs), pairs.text[:, 1].numpy().astype(int)
    torch.testing.assert_close(pairs.image_views[0], pairs.image + 1000)
    torch.testing.assert_close(pairs.image_views[1], pairs.image * 2)
    torch.testing.assert_close(pairs.text_views[0], pairs.text + 1000)
    of_image = {image: row for row, image in enumerate(data.plan.image)}
    rows = [of_image[image] for image in images]
    np.testing.assert_array_equal(pairs.trusted.numpy(), data.plan.trusted[rows])
    np.testing.assert_array_equal(pairs.granted[Need.CLASS_LABELS].numpy(), images % 5)
    np.testing.assert_array_equal(pairs.granted[Need.NOISE_MASK].numpy(), captions // 3 != images)
    np.testing.assert_array_equal(pairs.granted[Need.SOURCE_ORDER].numpy(), rows)


def test_tensors_are_of_the_types_of_the_contract(registry):
    pairs = training_pairs(make(registry), CPU, GRANTED_TO_METHODS)
    assert pairs.image.dtype == pairs.text.dtype == pairs.image_views[0].dtype == torch.float32
    assert pairs.trusted.dtype == pairs.granted[Need.NOISE_MASK].dtype == torch.bool
    assert pairs.granted[Need.CLASS_LABELS].dtype == torch.int64
    assert len(pairs) == 50


def test_trusted_pairs_are_right_and_as_many_as_asked_for(registry):
    pairs = training_pairs(make(registry, trusted=0.3, rate=1.0), CPU, NOTHING)
    assert pairs.trusted.sum() == 15
    right = pairs.text[:, 0] == pairs.image[:, 0]
    assert torch.equal(right, pairs.trusted)


@pytest.mark.parametrize("need", [Need.CLASS_LABELS, Need.NOISE_MASK, Need.SOURCE_ORDER])
def test_only_what_was_declared_is_granted(registry, need):
    data = make(registry)
    assert training_pairs(data, CPU, NOTHING).granted == {}
    assert set(training_pairs(data, CPU, need).granted) == {need}
    assert training_pairs(data, CPU, Need.TRUSTED | Need.EPOCHS | Need.PAIR_LOSSES).granted == {}


def test_label_matrices_are_granted_as_bool(registry):
    labels = np.random.default_rng(0).random((N, 4)) < 0.4
    pairs = training_pairs(make(registry, small_table(labels=labels)), CPU, Need.CLASS_LABELS)
    np.testing.assert_array_equal(pairs.granted[Need.CLASS_LABELS].numpy(), labels[images_of(pairs)])


def test_a_noise_mask_that_nobody_knows_cannot_be_granted(registry):
    data = make(registry, noise="given", rate=None)
    with pytest.raises(HarnessError, match="nobody knows which pairs"):
        training_pairs(data, CPU, Need.NOISE_MASK)
    assert training_pairs(data, CPU, NOTHING).granted == {}


def test_queries_and_database_are_kept_from_the_pairs(registry):
    split = np.array([0, 1, 2, 3, 2] * 20, dtype=np.int8)
    data = make(registry, split=split)
    assert data.queries.tolist() == list(range(1, 100, 5))
    np.testing.assert_array_equal(data.database, np.flatnonzero((split == 2) | (split == 3)))
    assert set(images_of(training_pairs(data, CPU, NOTHING)) % 5) == {0, 3}


# --- standardisation ---


@pytest.mark.parametrize("noise", ["derangement", "chnr-released"])  # the latter gives some captions twice
@pytest.mark.parametrize("choice", ["scalar", "feature", "center"])
def test_training_statistics_of_the_original_view_standardise_every_view_and_part(registry, choice, noise):
    data = make(registry, standardise=choice, noise=noise)
    pairs, raw = training_pairs(data, CPU, NOTHING), training_pairs(make(registry, noise=noise), CPU, NOTHING)
    axis = None if choice == "scalar" else 0
    for found, original, views, raw_views in (
        (pairs.image, raw.image, pairs.image_views, raw.image_views),
        (pairs.text, raw.text, pairs.text_views, raw.text_views),
    ):
        wide = original.numpy().astype(np.float64)
        mean, scale = wide.mean(axis=axis), 1.0 if choice == "center" else wide.std(axis=axis)
        np.testing.assert_allclose(found.numpy(), (wide - mean) / scale, rtol=1e-5, atol=1e-5)
        for view, raw_view in zip(views, raw_views, strict=True):
            np.testing.assert_allclose(view.numpy(), (raw_view.numpy() - mean) / scale, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(
        data.image_standardiser(data.table.image[data.queries]),
        (data.table.image[data.queries] - data.image_standardiser.mean) / data.image_standardiser.scale,
        rtol=1e-5,
    )


@pytest.mark.parametrize("choice", ["scalar", "feature", "center", "none"])
def test_queries_and_database_features_do_not_reach_the_pairs(registry, choice):
    table = small_table()
    train = training_images(paper_split(N, 0))
    other = np.setdiff1d(np.arange(N), train)
    of_other = np.isin(table.caption_image, other)
    image, text = table.image.copy(), table.text.copy()
    image[other], text[of_other] = 1e6, -1e6
    changed = replace(table, image=image, text=text, image_views=(image, image), text_views=(text,))
    same = replace(table, image_views=(table.image,) * 2, text_views=(table.text,))
    before, after = (training_pairs(make(registry, t, standardise=choice), CPU, NOTHING) for t in (same, changed))
    for one, two in (
        (before.image, after.image),
        (before.text, after.text),
        (before.text_views[0], after.text_views[0]),
    ):
        assert torch.equal(one, two)


# --- streams ---


def test_the_share_of_trusted_pairs_moves_neither_captions_nor_row_order(registry):
    few, many = make(registry, trusted=0.1), make(registry, trusted=0.6)
    np.testing.assert_array_equal(few.caption_of, many.caption_of)
    np.testing.assert_array_equal(few.order, many.order)
    assert (few.plan.trusted <= many.plan.trusted).all()


def test_rate_and_protocol_move_neither_captions_nor_trusted_pairs_nor_row_order(registry):
    cells = [
        make(registry, noise=noise, rate=rate)
        for noise in ("derangement", "shuffle", "chnr-released")
        for rate in (0.0, 0.4, 0.8)
    ]
    for other in cells[1:]:
        np.testing.assert_array_equal(cells[0].caption_of, other.caption_of)
        np.testing.assert_array_equal(cells[0].plan.trusted, other.plan.trusted)
        np.testing.assert_array_equal(cells[0].order, other.order)
        np.testing.assert_array_equal(cells[0].plan.own_caption, other.plan.own_caption)


def test_another_data_seed_moves_everything(registry):
    split = paper_split(N, 0)
    one, two = make(registry, split=split, data_seed=0), make(registry, split=split, data_seed=1)
    assert (one.caption_of != two.caption_of).any()
    assert (one.plan.trusted != two.plan.trusted).any()
    assert (one.plan.wrong != two.plan.wrong).any()
    assert (one.order != two.order).any()


# --- what data bring ---


def test_captions_that_the_data_chose_are_used(registry):
    choice = 3 * np.arange(N) + np.arange(N) % 3
    data = make(registry, small_table(caption_choice=choice))
    np.testing.assert_array_equal(data.caption_of, choice)
    np.testing.assert_array_equal(data.plan.own_caption, choice[data.plan.image])


@pytest.mark.parametrize("noise", ["derangement", "chnr-released"])
def test_trusted_pairs_that_the_data_bring_override_the_share(registry, noise):
    trusted = np.arange(N) % 10 == 3
    data = make(registry, small_table(trusted=trusted), noise=noise, trusted=0.9, rate=1.0)
    np.testing.assert_array_equal(data.plan.trusted, trusted[data.plan.image])
    assert not (data.plan.wrong & data.plan.trusted).any()


def test_natural_noise_is_taken_over(registry):
    wrong = np.arange(N) % 4 == 0
    data = make(registry, small_table(wrong=wrong), noise="given", rate=None, trusted=0.0)
    np.testing.assert_array_equal(data.plan.wrong, wrong[data.plan.image])
    np.testing.assert_array_equal(data.plan.caption, data.plan.own_caption)


def test_no_pair_that_is_known_to_be_wrong_is_drawn_as_trusted(registry):
    # once: the trusted subset, "known to be right", is drawn without a look at the mask that the data bring.
    wrong = np.arange(N) % 2 == 0
    data = make(registry, small_table(wrong=wrong), noise="given", rate=None, trusted=0.3)
    assert data.plan.trusted.any()
    assert not (data.plan.trusted & data.plan.wrong).any()


# --- plans ---


@pytest.fixture
def plan(registry):
    return make(registry).plan


def test_a_plan_of_these_data_gives_the_same_pairs(registry, plan):
    drawn, used = make(registry), make(registry, plan=plan, rate=0.4)
    assert used.plan is plan
    one, two = training_pairs(drawn, CPU, NOTHING), training_pairs(used, CPU, NOTHING)
    assert torch.equal(one.image, two.image)
    assert torch.equal(one.text, two.text)
    assert torch.equal(one.trusted, two.trusted)


def test_a_plan_brings_its_own_captions_for_training_images_alone(registry, plan):
    other = replace(plan, own_caption=3 * plan.image + 2)
    data = make(registry, plan=other)
    np.testing.assert_array_equal(data.caption_of[plan.image], 3 * plan.image + 2)
    rest = np.setdiff1d(np.arange(N), plan.image)
    np.testing.assert_array_equal(data.caption_of[rest], make(registry).caption_of[rest])


def test_a_plan_does_not_change_the_captions_of_the_table(registry, plan):
    choice = 3 * np.arange(N)
    make(registry, small_table(caption_choice=choice), plan=replace(plan, own_caption=3 * plan.image + 2))
    np.testing.assert_array_equal(choice, 3 * np.arange(N))


@pytest.mark.parametrize("fingerprint", ["0123abcd", "origin00", ""])
def test_a_plan_made_for_these_data_or_their_origin_fits(plan, fingerprint):
    table = small_table(origin="origin00")
    check_plan(replace(plan, data_fingerprint=fingerprint), table, plan.image)


def test_a_plan_of_other_data_is_refused(registry, plan):
    with pytest.raises(HarnessError, match=r"--noise-plan is of other data: .*ffff.*0123abcd"):
        make(registry, plan=replace(plan, data_fingerprint="ffff"))


def test_a_plan_of_another_split_is_refused_with_the_seed_it_was_made_with(registry):
    other = make(registry, data_seed=5).plan
    with pytest.raises(HarnessError, match=r"--noise-plan is of another split.*50 images.*use --data-seed 5"):
        make(registry, plan=other)


def test_a_plan_of_a_part_of_the_training_images_is_refused(registry, plan):
    rows = {name: getattr(plan, name)[:-1] for name in ("image", "caption", "own_caption", "wrong", "trusted")}
    with pytest.raises(HarnessError, match="49 images, 49 of the 50"):
        make(registry, plan=replace(plan, **rows))


@pytest.mark.parametrize("name", ["caption", "own_caption"])
@pytest.mark.parametrize("number", [300, -1])
def test_a_plan_with_captions_that_are_not_there_is_refused(registry, plan, name, number):
    captions = getattr(plan, name).copy()
    captions[7] = number
    with pytest.raises(HarnessError, match="captions beyond the 300"):
        make(registry, plan=replace(plan, **{name: captions}))


def test_a_plan_whose_own_captions_are_those_of_other_images_is_refused(registry, plan):
    with pytest.raises(HarnessError, match="own captions do not belong to its images"):
        make(registry, plan=replace(plan, own_caption=plan.own_caption[::-1].copy()))
