"""What each noise protocol promises, and what happens to one that breaks its promise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness.data.assemble import DataProtocol, assemble, training_pairs
from harness.data.splits import trusted_order, trusted_subset
from harness.data.table import FeatureTable, one_hot
from harness.errors import HarnessError
from harness.noise.plan import draw_plan
from harness.plugin.declarations import ProtocolDeclaration
from harness.plugin.interfaces import NOTHING
from harness.plugin.loading import load_registry

RATES = (0.0, 0.05, 0.2, 0.4, 0.8, 1.0)
EXCHANGES = ("derangement", "cross-class")  # an exact number of wrong pairs, none of them trusted
ALL_RATED = (*EXCHANGES, "shuffle", "chnr-released")


@pytest.fixture(scope="module")
def registry():
    return load_registry(environment={})


def balanced(n, classes):
    return one_hot(np.arange(n) * classes // n)


def several_labels(n, classes, seed=0):
    random = np.random.default_rng(seed)
    labels = random.random((n, classes)) < 0.15
    labels[np.arange(n), random.integers(0, classes, n)] = True
    return labels


def skewed(n, classes, share):
    """Class 0 holds ``share`` of the pairs."""
    return one_hot(np.where(np.random.default_rng(0).random(n) < share, 0, 1 + np.arange(n) % (classes - 1)))


LABELS = {
    "single": balanced(210, 21),
    "two classes": balanced(210, 2),
    "multi": several_labels(210, 8),
    "one class of 70 %": skewed(210, 5, 0.7),
    "one class of 95 %": skewed(210, 3, 0.95),
}


def draw(protocol, rate, *, labels=LABELS["single"], trusted=0.2, data_seed=0, given_wrong=None, no_labels=False):
    """A plan for pairs of these labels; caption i belongs to row i, image numbers are 3, 5, 7, ..."""
    n = len(labels)
    order = trusted_order(n, data_seed)
    return draw_plan(
        protocol,
        rate,
        image=3 + 2 * np.arange(n),
        own_caption=np.arange(n),
        trusted=trusted_subset(order, trusted),
        trusted_first_order=order,
        labels=None if no_labels else labels,
        given_wrong=given_wrong,
        data_seed=data_seed,
        data_fingerprint="data",
    )


def shares_a_label(labels, plan):
    return (labels & labels[plan.caption]).any(axis=1)


# --- derangement ---


@pytest.mark.parametrize("trusted", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("name", EXCHANGES)
@pytest.mark.parametrize("rate", RATES)
def test_exactly_the_rounded_share_of_untrusted_pairs_is_wrong(registry, name, rate, trusted):
    plan = draw(registry.get("protocol", name), rate, trusted=trusted)
    untrusted = 210 - int(210 * trusted)
    assert (~plan.trusted).sum() == untrusted
    assert plan.wrong.sum() == round(rate * untrusted)
    np.testing.assert_array_equal(plan.wrong, plan.caption != plan.own_caption)
    assert not (plan.wrong & plan.trusted).any()


@pytest.mark.parametrize("name", EXCHANGES)
@pytest.mark.parametrize(("n", "rate"), [(10, 0.1), (100, 0.01), (2, 0.5001), (2, 0.6)])
def test_a_single_wrong_pair_becomes_two(registry, name, n, rate):
    plan = draw(registry.get("protocol", name), rate, labels=balanced(n, 2), trusted=0.0)
    assert plan.wrong.sum() == 2


@pytest.mark.parametrize("name", EXCHANGES)
def test_one_untrusted_pair_cannot_be_made_wrong(registry, name):
    with pytest.raises(HarnessError, match="at least two untrusted"):
        draw(registry.get("protocol", name), 0.9, labels=balanced(10, 2), trusted=0.9)


@pytest.mark.parametrize("name", ALL_RATED)
@pytest.mark.parametrize("trusted", [0.2, 1.0])
def test_rate_zero_leaves_every_pair_right(registry, name, trusted):
    plan = draw(registry.get("protocol", name), 0.0, trusted=trusted)
    assert not plan.wrong.any()
    np.testing.assert_array_equal(plan.caption, plan.own_caption)


@pytest.mark.parametrize("name", ["derangement", "shuffle"])
@pytest.mark.parametrize("rate", RATES)
def test_captions_are_exchanged_so_that_each_is_given_once(registry, name, rate):
    plan = draw(registry.get("protocol", name), rate)
    np.testing.assert_array_equal(np.sort(plan.caption), np.sort(plan.own_caption))


@pytest.mark.parametrize("labels", ["single", "two classes", "one class of 70 %"])
@pytest.mark.parametrize("rate", RATES)
def test_cross_class_draws_captions_anew_only_where_one_class_is_too_frequent_to_exchange(registry, labels, rate):
    # once: two pairs that both hold a caption of their own class are never exchanged with one another: with two classes
    # half of the wrong captions are lost and others given twice.
    plan = draw(registry.get("protocol", "cross-class"), rate, labels=LABELS[labels])
    of_class = LABELS[labels][plan.wrong].sum(axis=0)
    too_many = max(0, 2 * int(of_class.max(initial=0)) - int(plan.wrong.sum()))
    assert len(np.unique(plan.caption)) >= 210 - too_many


@pytest.mark.parametrize("data_seed", range(6))
@pytest.mark.parametrize("n", [2, 20])
def test_cross_class_exchanges_the_captions_of_two_wrong_pairs(registry, n, data_seed):
    # once: as above: two fixed points are not exchanged, and the caption of a right pair is given twice.
    protocol = registry.get("protocol", "cross-class")
    plan = draw(protocol, 2 / n, labels=balanced(n, n), trusted=0.0, data_seed=data_seed)
    assert plan.wrong.sum() == 2
    np.testing.assert_array_equal(np.sort(plan.caption), np.arange(n))


def test_derangement_reaches_every_fixed_point_free_order_about_equally_often(registry):
    # of 4 pairs there are 9 derangements; 900 draws give each 100 +- 9.4
    protocol = registry.get("protocol", "derangement")
    drawn = [
        tuple(draw(protocol, 1.0, labels=balanced(4, 2), trusted=0.0, data_seed=seed).caption) for seed in range(900)
    ]
    counts = {order: drawn.count(order) for order in set(drawn)}
    assert len(counts) == 9
    assert min(counts.values()) > 65
    assert max(counts.values()) < 135


def test_derangement_knows_nothing_of_labels(registry):
    protocol = registry.get("protocol", "derangement")
    plans = [draw(protocol, 0.4, labels=LABELS[name]) for name in ("single", "multi")]
    plans.append(draw(protocol, 0.4, no_labels=True))
    assert len({plan.fingerprint for plan in plans}) == 1


# --- what all protocols share ---


@pytest.mark.parametrize("name", ALL_RATED)
def test_masks_are_nested_over_rates(registry, name):
    protocol = registry.get("protocol", name)
    before = draw(protocol, 0.0).wrong
    for rate in RATES[1:]:
        chosen = draw(protocol, rate).wrong
        # shuffle may leave a chosen pair right by chance, so a few are wrong at the lower rate alone
        lost = int((before & ~chosen).sum())
        assert lost <= (3 if name == "shuffle" else 0), rate
        assert chosen.sum() > before.sum()
        before = chosen


@pytest.mark.parametrize("name", ALL_RATED)
def test_a_data_seed_gives_one_plan_and_another_seed_another(registry, name):
    protocol = registry.get("protocol", name)
    first, again = draw(protocol, 0.4, data_seed=3), draw(protocol, 0.4, data_seed=3)
    assert first.fingerprint == again.fingerprint
    assert len({draw(protocol, 0.4, data_seed=seed).fingerprint for seed in range(8)}) == 8
    assert len({draw(protocol, 0.4, data_seed=seed).wrong.tobytes() for seed in range(8)}) == 8


@pytest.mark.parametrize("name", ALL_RATED)
def test_the_plan_says_how_it_was_made(registry, name):
    protocol = registry.get("protocol", name)
    plan = draw(protocol, 0.4, data_seed=3)
    assert (plan.protocol, plan.protocol_version, plan.rate, plan.data_seed) == (name, protocol.version, 0.4, 3)
    np.testing.assert_array_equal(plan.image, 3 + 2 * np.arange(210))


@pytest.mark.parametrize("name", ["derangement", "cross-class", "shuffle"])
def test_trusted_pairs_keep_their_captions(registry, name):
    plan = draw(registry.get("protocol", name), 1.0, trusted=0.3)
    np.testing.assert_array_equal(plan.caption[plan.trusted], plan.own_caption[plan.trusted])
    assert plan.trusted.sum() == 63


# --- cross-class ---


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("rate", [0.05, 0.4, 1.0])
def test_cross_class_gives_no_caption_of_an_image_that_shares_a_label(registry, labels, rate):
    plan = draw(registry.get("protocol", "cross-class"), rate, labels=LABELS[labels])
    assert plan.wrong.sum() == round(rate * 168)
    np.testing.assert_array_equal(shares_a_label(LABELS[labels], plan), ~plan.wrong)


def test_cross_class_makes_the_exact_number_wrong_where_some_images_have_no_label(registry):
    # once: an image without labels shares none even with itself, so its own caption passes for one of another class.
    labels = several_labels(60, 4)
    labels[::2] = False
    for data_seed in range(6):
        plan = draw(registry.get("protocol", "cross-class"), 1.0, labels=labels, trusted=0.0, data_seed=data_seed)
        assert plan.wrong.all()


@pytest.mark.parametrize("name", ["cross-class", "chnr-released"])
@pytest.mark.parametrize("labels", [np.ones((20, 1), dtype=bool), np.ones((20, 3), dtype=bool)])
def test_one_class_alone_is_an_error_that_says_so(registry, name, labels):
    with pytest.raises(HarnessError, match=rf"{name}.*(class|label)"):
        draw(registry.get("protocol", name), 0.5, labels=labels)


@pytest.mark.parametrize("name", ["cross-class", "chnr-released"])
def test_data_without_labels_are_an_error_that_says_so(registry, name):
    with pytest.raises(HarnessError, match=f"{name}.*needs class labels"):
        draw(registry.get("protocol", name), 0.5, no_labels=True)


# --- shuffle ---


@pytest.mark.parametrize("rate", RATES)
def test_shuffle_moves_captions_within_the_rounded_share_and_may_leave_some_right(registry, rate):
    protocol = registry.get("protocol", "shuffle")
    counts = [int(draw(protocol, rate, data_seed=seed).wrong.sum()) for seed in range(60)]
    chosen = round(rate * 168)
    assert max(counts) <= chosen
    if chosen > 1:  # a random permutation has one fixed point on average, whatever its length
        assert 0.4 < chosen - np.mean(counts) < 1.6


# --- given ---


def test_given_leaves_captions_alone_and_takes_the_mask_of_the_data(registry):
    mask = np.arange(210) % 3 == 0
    plan = draw(registry.get("protocol", "given"), None, given_wrong=mask)
    np.testing.assert_array_equal(plan.caption, plan.own_caption)
    np.testing.assert_array_equal(plan.wrong, mask)
    assert plan.rate is None


def test_given_without_a_mask_knows_nothing_of_right_and_wrong(registry):
    plan = draw(registry.get("protocol", "given"), None)
    assert plan.wrong is None
    np.testing.assert_array_equal(plan.caption, plan.own_caption)


def test_drawn_noise_comes_on_top_of_the_noise_in_the_data(registry):
    mask = np.arange(210) % 3 == 0
    plan = draw(registry.get("protocol", "derangement"), 0.4, given_wrong=mask)
    np.testing.assert_array_equal(plan.wrong, mask | (plan.caption != plan.own_caption))


# --- chnr-released ---


@pytest.mark.parametrize("trusted", [0.0, 0.1, 0.2, 0.3, 0.9])
def test_released_noise_exempts_a_fifth_of_all_pairs_whatever_is_trusted(registry, trusted):
    plan = draw(registry.get("protocol", "chnr-released"), 1.0, labels=balanced(503, 5), trusted=trusted)
    assert (~plan.wrong).sum() == int(503 * 0.2)
    if trusted <= 0.2:
        assert not (plan.wrong & plan.trusted).any()
    else:  # the exempt fifth is a part of the trusted pairs, the rest of them is wrong
        assert plan.trusted[~plan.wrong].all()
        assert (plan.wrong & plan.trusted).sum() == int(503 * trusted) - int(503 * 0.2)


@pytest.mark.parametrize("trusted", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5])
def test_released_noise_realises_about_four_fifths_of_the_rate_over_all_pairs(registry, rate, trusted):
    n = 10_000
    plan = draw(registry.get("protocol", "chnr-released"), rate, labels=balanced(n, 21), trusted=trusted)
    deviation = (0.8 * rate * (1 - rate) / n) ** 0.5  # Bernoulli over the four fifths that are not exempt
    assert abs(plan.wrong.mean() - 0.8 * rate) < 3 * deviation


def test_released_noise_draws_each_pair_by_itself(registry):
    # a fixed count would be the same for every seed; Bernoulli draws vary by +- 6
    protocol = registry.get("protocol", "chnr-released")
    counts = [int(draw(protocol, 0.4, data_seed=seed).wrong.sum()) for seed in range(100)]
    assert 4.5 < np.std(counts) < 8.5
    assert np.mean(counts) == pytest.approx(0.4 * 168, abs=2)


@pytest.mark.parametrize("labels", LABELS)
def test_released_noise_takes_captions_of_other_classes_with_replacement(registry, labels):
    plan = draw(registry.get("protocol", "chnr-released"), 0.9, labels=LABELS[labels])
    np.testing.assert_array_equal(shares_a_label(LABELS[labels], plan), ~plan.wrong)
    given = plan.caption[plan.wrong]
    assert len(np.unique(given)) < len(given)
    # drawn evenly from all pairs: in the balanced case about 1 - exp(-0.72) of the captions come up
    if labels == "single":
        assert 0.45 < len(np.unique(given)) / 210 < 0.58


def small_table(n=100):
    """Features that name their item: image i is [i, 0], caption row i is [i, 1], its view [i, 2]."""
    numbers = np.arange(n, dtype=np.float32)
    image, text, view = (np.stack([numbers, np.full(n, kind, dtype=np.float32)], axis=1) for kind in range(3))
    return FeatureTable("small", image, text, np.arange(n), np.arange(n) % 5, text_views=(view,), fingerprint="f")


@pytest.mark.parametrize(("trusted", "differ"), [(0.2, False), (0.5, True)])
def test_a_trusted_phase_sees_the_right_captions_even_where_released_noise_made_trusted_pairs_wrong(
    registry, trusted, differ
):
    table = small_table()
    split = np.zeros(100, dtype=np.int8)
    protocol = DataProtocol(registry.get("protocol", "chnr-released"), 0.8, trusted, 0, "none")
    data = assemble(table, protocol, split)
    pairs = training_pairs(data, torch.device("cpu"), NOTHING)
    shown, right = pairs.text[:, 0] == pairs.image[:, 0], pairs.as_trusted().text[:, 0] == pairs.image[:, 0]
    assert bool((~shown & pairs.trusted).any()) == differ
    assert bool(right[pairs.trusted].all())
    assert bool((pairs.as_trusted().text_views[0][pairs.trusted, 0] == pairs.image[pairs.trusted, 0]).all())
    # the other pairs, and everything else of the pairs, are the same in both phases
    assert torch.equal(pairs.as_trusted().text[~pairs.trusted], pairs.text[~pairs.trusted])
    assert torch.equal(pairs.text_views[0][:, 0], pairs.text[:, 0])
    assert bool((~shown & ~pairs.trusted).any())
    if not differ:
        assert pairs.as_trusted() is pairs


# --- contract ---


def declared(function, **facts):
    return ProtocolDeclaration("protocol", "mine", plugin="my-plugin", target=function, **facts)


@pytest.mark.parametrize(
    "function",
    [
        lambda pairs, rate: np.arange(len(pairs) - 1),
        lambda pairs, rate: np.arange(len(pairs))[:, None],
        lambda pairs, rate: np.arange(len(pairs)) / 1.0,
        lambda pairs, rate: np.arange(len(pairs)) > 3,
        lambda pairs, rate: np.full(len(pairs), len(pairs)),
        lambda pairs, rate: np.arange(len(pairs)) - 1,
        lambda pairs, rate: None,
    ],
    ids=["too few", "matrix", "float", "mask", "beyond the end", "negative", "nothing"],
)
def test_a_protocol_that_returns_no_rows_is_refused_by_name(function):
    with pytest.raises(HarnessError, match=r"'mine' of plugin 'my-plugin' must return .210,. row numbers"):
        draw(declared(function), 0.4)


def test_a_protocol_that_moves_trusted_captions_must_declare_it():
    def reverse(pairs, rate):
        return np.arange(len(pairs))[::-1]

    with pytest.raises(
        HarnessError, match=r"'mine' of plugin 'my-plugin' made 42 trusted pairs wrong.*touches_trusted"
    ):
        draw(declared(reverse), 0.4)
    assert draw(declared(reverse, touches_trusted=True), 0.4).wrong.all()


def test_a_protocol_sees_labels_only_if_it_declares_them():
    seen = []

    def look(pairs, rate):
        seen.append(pairs.labels)
        return np.arange(len(pairs))

    draw(declared(look), 0.4)
    draw(declared(look, labels=True), 0.4)
    assert seen[0] is None
    np.testing.assert_array_equal(seen[1], LABELS["single"])


def test_a_protocol_sees_untrusted_rows_in_an_order_that_does_not_depend_on_the_rate():
    seen = []

    def look(pairs, rate):
        seen.append((pairs.untrusted_order, pairs.trusted_first_order, len(pairs)))
        return np.arange(len(pairs))

    trusted = draw(declared(look), 0.1).trusted
    draw(declared(look), 0.9)
    np.testing.assert_array_equal(seen[0][0], seen[1][0])
    np.testing.assert_array_equal(np.sort(seen[0][0]), np.flatnonzero(~trusted))
    assert (np.diff(seen[0][0]) < 0).any()
    assert trusted[seen[0][1][:42]].all()
    assert seen[0][2] == 210
