"""Shape, texture and colour of images."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from harness.data.loading import Rows, encode_in_batches
from harness.plugin.interfaces import Run

CENTRE = 200 / 256
"""Share of the shorter side that is kept, as in the CHNR features (centre crop of 200 of 256 pixels)."""

DIRECTIONS = 9
"""Of gradients, over half a turn: light and dark sides may change places."""

RADII = (1, 2, 4)
"""Of local binary patterns, pixels."""

Part = NDArray[np.floating[Any]]


class ShapeTextureColour:
    """(n, d) float32: what an image looks like, without any learned weights.

    Four parts, so that no single one decides: histograms of oriented gradients, pooled over places with the strongest
    direction first (aerial images have no upright); uniform local binary patterns at three scales; colours of the four
    quarters, channel by channel; joint colours of the whole image. Each part is centred, and
    divided by its root mean square norm, both over the training images, so that all parts weigh the same.
    """

    def __init__(self, *, size: int, cell: int, bins: int) -> None:
        self.size, self.cell, self.bins = size, cell, bins

    def fit(self, training: Collection[Image.Image], run: Run) -> None:
        """Centre and spread of each part over the training images."""
        rows = []
        for image in training:
            rows.append(self._parts_of(image))
            if len(rows) % 50 == 0 or len(rows) == len(training):
                run.report(phase="images (fit)", epoch=len(rows), epochs=len(training))
        parts = [np.stack(part) for part in zip(*rows, strict=True)]
        self.centres = [part.mean(axis=0) for part in parts]
        self.spreads = [
            max(float(np.sqrt(np.square(part - centre).sum(axis=1).mean())), 1e-12)
            for part, centre in zip(parts, self.centres, strict=True)
        ]

    def encode(self, raw: Collection[Image.Image], run: Run) -> Iterator[Rows]:
        """PIL RGB images to features, batch by batch."""
        centre = torch.from_numpy(np.concatenate(self.centres))
        spread = torch.from_numpy(np.repeat(self.spreads, [len(part) for part in self.centres]))

        def scaled(rows: torch.Tensor) -> torch.Tensor:
            return (rows - centre) / spread

        return encode_in_batches(
            raw, self._row_of, scaled, run, batch_size=50, phase="images", device=torch.device("cpu")
        )

    def _row_of(self, image: Image.Image) -> torch.Tensor:
        """All parts, one after another, float64."""
        return torch.from_numpy(np.concatenate(self._parts_of(image)))

    def _parts_of(self, image: Image.Image) -> list[Part]:
        side = min(image.size) * CENTRE
        left, top = (image.width - side) / 2, (image.height - side) / 2
        scaled = image.resize(
            (self.size, self.size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side)
        )
        grey, hsv = np.asarray(scaled.convert("L")), np.asarray(scaled.convert("HSV"))
        return [
            _pooled_gradients(_by_cell(*_gradients(grey), self.cell)),
            np.concatenate([_patterns(grey, radius) for radius in RADII]),
            self._colours_by_quarter(hsv),
            _joint_colours(hsv),
        ]

    def _colours_by_quarter(self, hsv: NDArray[np.uint8]) -> Part:
        """(12 x bins,) shares of the levels of each channel in each quarter."""
        half = np.arange(len(hsv)) * 2 // len(hsv)
        quarter = half[:, None] * 2 + half
        kinds = (quarter[..., None] * 3 + np.arange(3)) * self.bins + hsv.astype(np.int64) * self.bins // 256
        return np.bincount(kinds.ravel(), minlength=12 * self.bins) * (4 / quarter.size)


def _gradients(grey: NDArray[np.uint8]) -> tuple[Part, NDArray[np.int64]]:
    """Strength and number of the direction of each inner pixel, (n - 2, n - 2) each."""
    levels = grey.astype(np.float64)
    down, right = levels[2:, 1:-1] - levels[:-2, 1:-1], levels[1:-1, 2:] - levels[1:-1, :-2]
    turns = np.arctan2(down, right) / np.pi
    return np.hypot(down, right), np.floor(turns * DIRECTIONS).astype(np.int64) % DIRECTIONS


def _by_cell(strength: Part, direction: NDArray[np.int64], cell: int) -> Part:
    """(cells, 9) shares of all gradients by cell and direction; a cell has ``cell`` pixels a side."""
    number = np.arange(len(strength)) // cell
    places = number[:, None] * (number[-1] + 1) + number
    kinds = (places * DIRECTIONS + direction).ravel()
    sums = np.bincount(kinds, weights=strength.ravel(), minlength=(number[-1] + 1) ** 2 * DIRECTIONS)
    return (sums / max(sums.sum(), 1e-12)).reshape(-1, DIRECTIONS)


def _pooled_gradients(cells: Part) -> Part:
    """(18,) mean and deviation over cells of the shares of directions, the largest mean turned to the front."""
    shares = cells / np.maximum(np.sqrt(np.square(cells).sum(axis=1, keepdims=True)), 1e-12)
    mean, deviation = shares.mean(axis=0), shares.std(axis=0)
    turn = -int(mean.argmax())
    return np.concatenate([np.roll(mean, turn), np.roll(deviation, turn)])


def _patterns(grey: NDArray[np.uint8], radius: int) -> Part:
    """(10,) square roots of the shares of uniform local binary patterns (Ojala et al. 2002) of eight neighbours."""
    steps = np.rint(radius * np.exp(0.25j * np.pi * np.arange(8)) * (1 + 1e-9))
    inner = slice(radius, len(grey) - radius)
    middle, code = grey[inner, inner], np.zeros((len(grey) - 2 * radius,) * 2, np.uint8)
    for bit, step in enumerate(steps):
        down, right = radius + int(step.imag), radius + int(step.real)
        neighbour = grey[down : down + len(code), right : right + len(code)]
        code |= (neighbour >= middle).astype(np.uint8) << np.uint8(bit)
    counts = np.bincount(UNIFORM[code].ravel(), minlength=10)
    return np.sqrt(counts / counts.sum())


def _kinds_of_patterns() -> NDArray[np.uint8]:
    """(256,) the number of ones of a pattern with at most two changes around the circle, or 9."""
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    changes = (bits != np.roll(bits, 1, axis=1)).sum(axis=1)
    return np.where(changes <= 2, bits.sum(axis=1), 9).astype(np.uint8)


UNIFORM = _kinds_of_patterns()


def _joint_colours(hsv: NDArray[np.uint8]) -> Part:
    """(72,) square roots of the shares of 8 x 3 x 3 boxes of hue, saturation and value."""
    hue, saturation, value = np.moveaxis(hsv.astype(np.int64), 2, 0)
    boxes = (hue // 32 * 3 + saturation * 3 // 256) * 3 + value * 3 // 256
    return np.sqrt(np.bincount(boxes.ravel(), minlength=72) / boxes.size)
