"""The page of figures: looks, texts of strangers, files."""

from __future__ import annotations

import subprocess
import sys

import pytest
from report.figures.reading import texts_outside

from harness.api.figure_kinds import KINDS
from harness.errors import HarnessError
from harness.report.figures.sheet import check_figure, looks_of

pytest.importorskip("matplotlib")

PROGRAM = """
import sys
from pathlib import Path
from harness.api.plots import plot
plot(Path(sys.argv[1]), "noise-curve", Path(sys.argv[2]))
assert "torch" not in sys.modules
"""


def two_curves(written):
    return written(
        *({"method": method, "noise": noise, "seed": seed, "i2t": 0.5 - noise / 2 + seed / 10, "t2i": 0.4}
          for method in ("cca-itq", "duch-noisy") for noise in (0.0, 0.4) for seed in (0, 1))
    )  # fmt: skip


def test_looks_are_by_name_whatever_the_order_and_differ_in_more_than_colour():
    names = [f"row {at}" for at in range(20)]
    looks = looks_of(names)
    assert looks == looks_of(reversed(names))
    assert len({(look.colour, look.marker, str(look.dashes)) for look in looks.values()}) == 20
    assert len({look.marker for look in list(looks.values())[:9]}) == 9


def test_two_processes_write_the_same_svg(written, tmp_path):
    results = two_curves(written)
    for name in ("one.svg", "two.svg"):
        subprocess.run([sys.executable, "-c", PROGRAM, str(results), str(tmp_path / name)], check=True, timeout=120)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert b"<dc:date>" not in (tmp_path / "one.svg").read_bytes()


@pytest.mark.parametrize("ending", [".svg", ".pdf", ".png"])
def test_file_is_of_the_kind_that_its_name_says(written, tmp_path, drawn, ending):
    path = tmp_path / f"figure{ending}"
    drawn(two_curves(written), "noise-curve").save(path)
    content = path.read_bytes()
    assert content.startswith({".svg": b"<?xml", ".pdf": b"%PDF", ".png": b"\x89PNG"}[ending])
    if ending == ".png":
        from PIL import Image

        with Image.open(path) as image:
            image.load()
            assert image.width > 600


def test_names_of_strangers_stay_text_and_nothing_is_cut(written, drawn):
    names = [
        "a $\\frac{1}{0}$ b",
        "under_score ^2 {",
        "esc \x1b[2J new\nline",
        "long " * 60,
        "名前",
        "\u202erev",
        "w" * 90,
    ]
    results = written(*({"method": "cca-itq", "row": name, "noise": noise, "i2t": 0.5, "dataset": "d$x$_1"}
                        for name in names for noise in (0.0, 0.4)))  # fmt: skip
    made = drawn(results, "noise-curve")
    shown = [text.get_text() for text in made.figure.legends[0].get_texts()]
    assert names[0] in shown
    assert names[1] in shown
    assert any(text.startswith("esc \\x1b[2J new line") for text in shown)
    assert not any("\x1b" in text or "\u202e" in text for text in shown)
    assert texts_outside(made.figure) == []
    assert "d$x$_1" in made.caption


def test_settings_of_the_user_change_nothing(written, drawn):
    import matplotlib

    results = two_curves(written)
    before = drawn(results, "noise-curve")._repr_svg_()
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "text.usetex": True}):
        assert drawn(results, "noise-curve")._repr_svg_() == before
        assert matplotlib.rcParams["font.size"] == 30


def test_too_many_panels_are_refused(written, drawn):
    results = written(*({"dataset": f"d{at}", "noise": noise, "i2t": 0.5} for at in range(13) for noise in (0.0, 0.4)))
    with pytest.raises(HarnessError, match="noise-curve would have 13 panels, and 12 are the most"):
        drawn(results, "noise-curve")
    assert len(drawn(results, "noise-curve", datasets=["d1", "d2"]).figure.axes) == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ranks.jpg", "ending of --figure '.jpg'"),
        ("ranks", "ending of --figure"),
        ("no/ranks.svg", "there is no folder"),
    ],
)
def test_places_that_cannot_be_written_are_refused_first(tmp_path, name, message):
    with pytest.raises(HarnessError, match=message):
        check_figure(tmp_path / name, "--figure")


def test_missing_matplotlib_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(HarnessError, match=r"needs matplotlib: pip install 'noisy-hashing-harness\[figures\]'"):
        check_figure(tmp_path / "ranks.svg", "--figure")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_refuses_records_of_failures_only(written, drawn, kind):
    results = written({"status": "failed"}, {"status": "oom"})
    options = {"against": "cca-itq"} if kind == "forest" else {}
    with pytest.raises(HarnessError) as raised:
        drawn(results, kind, **options)
    assert "\n" not in str(raised.value)


def test_options_that_a_kind_does_not_take_are_refused(written, drawn):
    with pytest.raises(HarnessError, match="unknown option of trust 'published'"):
        drawn(written({}), "trust", published=True)
    with pytest.raises(HarnessError, match=r"^forest needs against\."):
        drawn(written({}), "forest")
    with pytest.raises(HarnessError, match="unknown kind of figure 'noise': did you mean 'noise-curve'"):
        drawn(written({}), "noise")
