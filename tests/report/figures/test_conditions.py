"""A metric by noise rate, code length and K: what is drawn are the values of the tables."""

from __future__ import annotations

import pytest
from report.figures.reading import points_of, texts_outside

from harness.errors import HarnessError
from harness.report.figures.sheet import looks_of

METHODS = ("cca-itq", "duch-noisy")


def runs(**more):
    """Values of two methods: 0.8, 0.6 and 0.7, 0.3 in the mean of seeds that are 0.1 and 0.2 from it."""
    means = {("cca-itq", 0.0): 0.8, ("cca-itq", 0.4): 0.6, ("duch-noisy", 0.0): 0.7, ("duch-noisy", 0.4): 0.3}
    return [
        {"method": method, "noise": noise, "seed": seed, "i2t": mean + away, "t2i": mean / 2, **more}
        for (method, noise), mean in means.items()
        for seed, away in enumerate((-0.1, 0.1))
    ]


def test_noise_curve_draws_means_over_seeds_and_bands_of_one_deviation(written, drawn):
    made = drawn(written(*runs()), "noise-curve")
    looks = looks_of(METHODS)
    i2t, t2i = made.figure.axes
    assert (i2t.get_title(), t2i.get_title()) == ("image to text", "text to image")
    points = points_of(i2t)
    assert points[looks["cca-itq"].colour] == [(0.0, pytest.approx(0.8)), (0.4, pytest.approx(0.6))]
    assert points[looks["duch-noisy"].colour] == [(0.0, pytest.approx(0.7)), (0.4, pytest.approx(0.3))]
    assert points_of(t2i)[looks["cca-itq"].colour] == [(0.0, pytest.approx(0.4)), (0.4, pytest.approx(0.3))]
    heights = i2t.collections[0].get_paths()[0].vertices[:, 1]
    assert heights.min() == pytest.approx(0.6 - 0.1 * 2**0.5)  # n - 1: both seeds are 0.1 from the mean
    assert heights.max() == pytest.approx(0.8 + 0.1 * 2**0.5)
    assert "Means over 2 seeds; bands: ± one standard deviation (n - 1)." in made.caption
    assert "map: in words." in made.caption
    assert texts_outside(made.figure) == []


def test_what_tables_keep_apart_has_panels_of_its_own(written, drawn):
    made = drawn(written(*runs(), *runs(protocol="shuffle")), "noise-curve")
    assert [axes.get_title() for axes in made.figure.axes] == [
        "protocol derangement, image to text", "protocol derangement, text to image",
        "protocol shuffle, image to text", "protocol shuffle, text to image",
    ]  # fmt: skip


def test_one_seed_has_no_band_and_one_rate_is_a_point(written, drawn):
    made = drawn(written({"noise": 0.4, "i2t": 0.5, "t2i": 0.6}), "noise-curve")
    (i2t, _) = made.figure.axes
    assert not i2t.collections
    assert points_of(i2t) == {looks_of(["cca-itq"])["cca-itq"].colour: [(0.4, 0.5)]}
    assert "One run each, so there are no bands." in made.caption


def test_rates_that_nobody_knows_are_left_out_and_told(written, drawn):
    unknown = {"method": "duch-noisy", "noise": None, "i2t": 0.5, "protocol": None}
    with pytest.raises(HarnessError, match="whose noise rate nobody knows"):
        drawn(written(unknown), "noise-curve")


def test_caption_can_be_left_out_of_the_picture(written, drawn):
    results = written(*runs())
    shown, plain = drawn(results, "noise-curve"), drawn(results, "noise-curve", caption=False)
    assert shown.caption == plain.caption
    assert shown.figure.get_supxlabel()
    assert not plain.figure.get_supxlabel()


def test_failed_runs_are_told(written, drawn):
    heard = []
    drawn(written(*runs(), {"status": "failed", "seed": 9}), "noise-curve", note=heard.append)
    assert heard == ["left out: 1 run that failed; `harness table --runs` lists them."]


def test_metric_without_records_is_refused_as_tables_do(written, drawn):
    with pytest.raises(HarnessError, match="harness score --all --metric ndcg@10"):
        drawn(written(*runs()), "noise-curve", metric="ndcg@10")
    with pytest.raises(HarnessError, match="unknown metric 'mapp'"):
        drawn(written(*runs()), "noise-curve", metric="mapp")


def test_bits_are_equally_far_apart_where_they_double(written, drawn):
    results = written(*({"bits": bits, "i2t": bits / 100, "t2i": 0.5} for bits in (16, 32, 64)),
                      {"bits": 16, "noise": 0.2, "i2t": 0.1})  # fmt: skip
    made = drawn(results, "bits")
    axes = made.figure.axes[0]
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["16", "32", "64"]
    (points,) = points_of(axes).values()
    assert points == [(16, 0.16), (32, 0.32), (64, 0.64)]
    assert len(made.figure.axes) == 2, "one code length at another noise rate is no panel"
    assert any(remark.startswith("left out: 1 panel with one code length alone") for remark in made.remarks)


def test_precision_at_goes_by_k(record, written, drawn, tmp_path):
    results = written({"i2t": 0.9, "metric": "p@1"}, {"i2t": 0.4, "metric": "p@50", "seed": 0, "hash": "a" * 12})
    # Each run has one of the metrics; a cell without a value draws no point.
    (points,) = points_of(drawn(results, "precision-at").figure.axes[0]).values()
    assert points == [(50, 0.4)]  # the later of two runs of one seed counts
    with pytest.raises(HarnessError, match="no record has r@K"):
        drawn(results, "precision-at", metric="r")


def test_published_lines_stand_beside_ours(written, drawn):
    results = written(*({"method": "chnr", "preset": "described", "dataset": "ucm", "noise": noise, "bits": 64,
                         "metric": "map_relevant@20", "i2t": 0.5, "t2i": 0.5} for noise in (0.0, 0.2)))  # fmt: skip
    made = drawn(results, "noise-curve", metric="map_relevant@20", published=True)
    labels = [text.get_text() for text in made.figure.legends[0].get_texts()]
    assert labels == ["CHNR (normal weights), published", "chnr"]
    assert "as published" in made.caption
    plain = drawn(results, "noise-curve", metric="map_relevant@20")
    assert [text.get_text() for text in plain.figure.legends[0].get_texts()] == ["chnr"]
