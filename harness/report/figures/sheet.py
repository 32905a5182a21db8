"""The page that figures are drawn on: panels, colours and markers by row, legend, caption, and files.

Colours are those of M. Okabe and K. Ito ("Color Universal Design", 2008), which colour-blind people tell apart; markers
and line styles go along with them, so that a grey print is read as well.
"""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError, unknown_name
from harness.files.whole import write_whole
from harness.text import one_line, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ENDINGS = (".svg", ".pdf", ".png")
"""Of files that figures are written to."""

STYLE: dict[Any, Any] = {
    "font.family": ["STIXGeneral", "DejaVu Serif", "DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.88",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.5,
    "hatch.linewidth": 0.6,
    "text.parse_math": False,  # a name with two dollar signs stays what it is
    "svg.fonttype": "path",  # the same in every browser, whatever fonts it has
    "svg.hashsalt": "harness",  # the same figure gives the same bytes
    "pdf.fonttype": 42,
}

MOST_PANELS = 12

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
_DASHES = ("solid", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.5, 1.2, 1.5)))

_CAPTION, _LEGEND, _TITLE = 7.5, 8.0, 9.0
"""Points."""

_LINE = 1.35
"""Height of a line of text, in its size."""

LONGEST_NAME = 70
"""Characters of a name in a figure; longer ones are cut."""


@dataclass(frozen=True)
class Look:
    """How a row is drawn, in every panel and every figure of the same records.

    Attributes:
        colour: Of lines, markers and bands.
        marker: Of points.
        dashes: Style of lines.
    """

    colour: str
    marker: str
    dashes: Any

    @property
    def line(self) -> dict[str, Any]:
        """As arguments of matplotlib's ``plot``."""
        return {"color": self.colour, "marker": self.marker, "linestyle": self.dashes}


@dataclass(frozen=True)
class Drawn:
    """A figure.

    Attributes:
        figure: matplotlib's.
        caption: What it shows, in sentences.
        remarks: What was left out, and the like.
    """

    figure: Figure
    caption: str
    remarks: tuple[str, ...] = ()


def looks_of(names: Iterable[str]) -> dict[str, Look]:
    """Row name to its look. The order is that of the names, whatever order they come in."""
    return {
        name: Look(COLOURS[at % len(COLOURS)], _MARKERS[at % len(_MARKERS)], _DASHES[at % len(_DASHES)])
        for at, name in enumerate(sorted(set(names)))
    }


def name_shown(name: str) -> str:
    """A name from a file, for a figure: in one line and not too long."""
    return shortened(one_line(name), LONGEST_NAME)


def check_matplotlib(what: str) -> None:
    """Whether figures can be drawn at all.

    Raises:
        HarnessError: matplotlib is missing.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise HarnessError(f"{what} needs matplotlib: pip install 'noisy-hashing-harness[figures]'.") from None


def check_figure(path: Path, option: str) -> None:
    """Whether a figure can be written there, before anything is computed.

    Args:
        path: The file.
        option: The option that names it, for messages.

    Raises:
        HarnessError: The ending is none of :data:`ENDINGS`, the folder is missing, or matplotlib is.
    """
    if path.suffix.lower() not in ENDINGS:
        raise unknown_name(f"ending of {option}", path.suffix or path.name, ENDINGS)
    if not path.absolute().parent.is_dir():
        raise HarnessError(f"{option} {path}: there is no folder {path.parent}.")
    check_matplotlib(option)


@contextmanager
def styled() -> Iterator[None]:
    """matplotlib with our settings, the user's put back afterwards; a sign that no font has is drawn as a box."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()  # a matplotlibrc of the user would change the bytes
        matplotlib.rcParams.update(STYLE)
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support", category=UserWarning)
        yield


def as_bytes(figure: Figure, ending: str) -> bytes:
    """A figure as the content of a file; the same figure gives the same bytes.

    Args:
        figure: The figure.
        ending: Of :data:`ENDINGS`.
    """
    undated: dict[str, Any] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {}}[ending]
    written = io.BytesIO()
    with styled():
        figure.savefig(written, format=ending[1:], metadata=undated)
    return written.getvalue()


def write_figure(figure: Figure, path: Path, option: str) -> None:
    """Write a figure; the ending of the file says in which format.

    Raises:
        HarnessError: As :func:`check_figure`, or the file cannot be written.
    """
    check_figure(path, option)
    content = as_bytes(figure, path.suffix.lower())
    write_whole(path, option, lambda opened: opened.write(content))


class Ruler:
    """Measures texts on a figure."""

    def __init__(self, figure: Figure) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        self._figure = figure
        self._renderer = FigureCanvasAgg(figure).get_renderer()

    def width(self, text: str, points: float) -> float:
        """Width of a text in inches."""
        shown = self._figure.text(0, 0, text, fontsize=points)
        extent = shown.get_window_extent(self._renderer).width / self._figure.dpi
        shown.remove()
        return float(extent)

    def wrapped(self, text: str, points: float, inches: float) -> str:
        """A text in lines that are not wider than this; words that are too long are divided."""
        signs = max(int(inches * 72 / (0.42 * points)), 8)
        while True:
            lines = textwrap.wrap(text, signs, break_on_hyphens=False) or [""]
            if signs <= 8 or all(self.width(line, points) <= inches for line in lines):
                return "\n".join(lines)
            signs = int(signs * 0.95)


class Sheet:
    """A figure of panels of equal size.

    Args:
        number: Panels.
        across: Panels beside each other, at most.
        size: Width and height of a panel in inches.
        kind: Name of the figure, for messages.
        share_y: Whether all panels have one scale upwards.

    Attributes:
        panels: The panels, row by row.

    Raises:
        HarnessError: There are more than :data:`MOST_PANELS`.
    """

    def __init__(
        self, number: int, *, kind: str, across: int = 3, size: tuple[float, float] = (2.9, 2.2), share_y: bool = False
    ) -> None:
        from matplotlib.figure import Figure

        if number > MOST_PANELS:
            raise HarnessError(
                f"{kind} would have {number} panels, and {MOST_PANELS} are the most that can be read: choose what it "
                "is about with --where, --dataset or --method."
            )
        across = min(across, number)
        down = -(-number // across)
        self._width, self._height = max(across * size[0], 4.2), down * size[1]
        self.figure = Figure(figsize=(self._width, self._height), dpi=200, layout="constrained")
        self.ruler = Ruler(self.figure)
        self._panel_width, self._down = self._width / across, down
        grid = self.figure.subplots(down, across, squeeze=False, sharey=share_y)
        self.panels: list[Axes] = list(grid.flat)[:number]
        for spare in list(grid.flat)[number:]:
            spare.remove()
        self._title_lines = [1] * down

    def title(self, at: int, text: str) -> None:
        """Give a panel its title, in as many lines as it takes."""
        wrapped = self.ruler.wrapped(one_line(text), _TITLE, self._panel_width - 0.75)
        self.panels[at].set_title(wrapped)
        row = at // -(-len(self.panels) // self._down)
        self._title_lines[row] = max(self._title_lines[row], wrapped.count("\n") + 1)

    def finish(
        self, caption: Sequence[str], legend: Sequence[tuple[Any, str]] = (), remarks: Sequence[str] = (),
        *, shows_caption: bool = True,
    ) -> Drawn:  # fmt: skip
        """Add legend and caption.

        Args:
            caption: Sentences below the panels.
            legend: Handles of matplotlib and what they are, above the panels.
            remarks: As of :class:`Drawn`.
            shows_caption: Whether the caption is drawn, too.
        """
        height = self._height + sum(lines - 1 for lines in self._title_lines) * _TITLE * _LINE / 72
        if legend:
            texts = [self.ruler.wrapped(text, _LEGEND, self._width - 0.8) for _, text in legend]
            widest = max(self.ruler.width(text, _LEGEND) for text in texts) + 0.55
            columns = max(1, min(len(texts), int((self._width - 0.2) / widest), 4))
            lines = sum(
                max(text.count("\n") + 1 for text in texts[row :: -(-len(texts) // columns)])
                for row in range(-(-len(texts) // columns))
            )
            height += (lines * _LEGEND * 1.5 + 8) / 72
            self.figure.legend(
                [handle for handle, _ in legend], texts, loc="outside upper center", ncols=columns, frameon=False,
                handlelength=2.6, columnspacing=1.4,
            )  # fmt: skip
        said = " ".join(one_line(sentence) for sentence in caption if sentence)
        if shows_caption:
            together = said.replace("(n - 1)", "(n\u00a0-\u00a01)")
            text = self.ruler.wrapped(together, _CAPTION, self._width - 0.25)
            height += ((text.count("\n") + 1) * _CAPTION * _LINE + 4) / 72
            self.figure.supxlabel(
                text, fontsize=_CAPTION, color="0.25", x=0.1 / self._width, ha="left", linespacing=1.2
            )
        self.figure.set_size_inches(self._width, height)
        # The layout is found once: found again for another format, it would move by a hair, and so would the bytes.
        self.figure.draw_without_rendering()
        self.figure.set_layout_engine("none")
        return Drawn(self.figure, said, tuple(remarks))
