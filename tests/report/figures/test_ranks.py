"""The critical-difference diagram: what it shows and where it is written."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harness.report.figures.ranks import critical_difference_diagram
from harness.report.figures.sheet import write_figure
from harness.report.statistics.rankings import ranking

pytest.importorskip("matplotlib")


def found(n_rows=6, n_blocks=15, **options):
    random = np.random.default_rng(0)
    scores = random.normal(size=(n_blocks, n_rows)) + np.linspace(3, 0, n_rows)
    return ranking(pd.DataFrame(scores, columns=[f"method-{at}" for at in range(n_rows)]), **options)


def drawn(one):
    """Texts and lines of what is drawn."""
    (axes,) = critical_difference_diagram(one).axes
    lines = [(line.get_xdata(), line.get_ydata(), line.get_linewidth()) for line in axes.lines]
    return [text.get_text() for text in axes.texts], lines


@pytest.mark.parametrize("ending", [".svg", ".pdf", ".png"])
def test_file_is_of_the_kind_that_its_name_says(tmp_path, ending):
    path = tmp_path / f"ranks{ending}"
    write_figure(critical_difference_diagram(found()), path, "-o")
    starts = {".svg": b"<?xml", ".pdf": b"%PDF", ".png": b"\x89PNG"}
    assert path.read_bytes().startswith(starts[ending])
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_names_ranks_bars_and_critical_difference_are_drawn():
    one = found()
    texts, lines = drawn(one)
    for name, rank in zip(one.rows, one.average_ranks, strict=True):
        assert any(name in text and f"{rank:.2f}" in text for text in texts)
    assert f"CD = {one.critical_difference:.2f}" in texts
    bars = [line for line in lines if line[2] > 2]
    assert len(bars) == len(one.groups) > 1
    # Ranks 1 and 6 are the ends of the longest thin line; a bar is as long as its ranks are apart, with a little over.
    axis = max((x for x, y, width in lines if width < 1 and y[0] == y[-1] and len(x) == 2), key=lambda x: x[1] - x[0])
    inch = (axis[1] - axis[0]) / 5
    for (x, _, _), group in zip(bars, one.groups, strict=True):
        first, last = (one.average_ranks[one.rows.index(name)] for name in (group[0], group[-1]))
        assert x[0] == pytest.approx(axis[0] + inch * (first - 1), abs=0.05)
        assert x[1] == pytest.approx(axis[0] + inch * (last - 1), abs=0.05)
    at = {(round(float(x[0]), 6), round(float(y[0]), 6)) for x, y, width in lines if width > 2}
    assert len(at) == len(bars), "no bar lies upon another"


def test_wilcoxon_has_no_critical_difference():
    texts, _ = drawn(found(post_hoc="wilcoxon-holm"))
    assert not any(text.startswith("CD") for text in texts)
    assert any("Wilcoxon, Holm" in text for text in texts)


@pytest.mark.parametrize(("n_rows", "n_blocks"), [(2, 4), (3, 1), (6, 2), (20, 4)])
def test_every_text_lies_within_the_page(n_rows, n_blocks):
    figure = critical_difference_diagram(found(n_rows=n_rows, n_blocks=n_blocks))
    texts = figure.axes[0].texts
    assert len(texts) >= n_rows
    for text in texts:
        extent = text.get_window_extent()
        assert 0 <= extent.x0 < extent.x1 <= figure.bbox.x1, text.get_text()
        assert 0 <= extent.y0 < extent.y1 <= figure.bbox.y1, text.get_text()
