"""Shape, texture and colour of images, and TF-IDF with truncated SVD."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import product

import numpy as np
import torch
from PIL import Image
from skimage.color import rgb2hsv
from skimage.feature import hog, local_binary_pattern

from harness import HarnessError
from harness.data.loading import Rows, encode_in_batches
from harness.plugin.interfaces import Run

CAPTIONS_AT_ONCE = 20_000

CENTRE = 200 / 256
"""Share of the shorter side that is kept, as in the CHNR features (centre crop of 200 of 256 pixels)."""


class ShapeTextureColour:
    """(n, d) float32: what an image looks like, without any learned weights.

    Five parts, so that no single one decides: histograms of oriented gradients by place, and pooled over places with
    the strongest direction first (aerial images have no upright); uniform local binary patterns at three scales;
    colours of the four quarters, channel by channel; joint colours of the whole image. Each part is centred, and
    divided by its root mean square norm, both over the training images, so that all parts weigh the same.
    """

    def __init__(self, *, size: int, cell: int, bins: int) -> None:
        self.size, self.cell, self.bins = size, cell, bins

    def fit(self, training: Collection[Image.Image], run: Run) -> None:
        """Centre and spread of each part over the training images."""
        parts = self._parts(training, run, "images (fit)")
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

    def _parts(self, raw: Collection[Image.Image], run: Run, phase: str) -> list[np.ndarray]:
        """The five parts, (n, d_part) each."""
        rows = []
        for image in raw:
            rows.append(self._parts_of(image))
            if len(rows) % 50 == 0 or len(rows) == len(raw):
                run.report(phase=phase, epoch=len(rows), epochs=len(raw))
        return [np.stack(part) for part in zip(*rows, strict=True)]

    def _parts_of(self, image: Image.Image) -> list[np.ndarray]:
        side = min(image.size) * CENTRE
        left, top = (image.width - side) / 2, (image.height - side) / 2
        scaled = image.resize(
            (self.size, self.size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side)
        )
        pixels = np.asarray(scaled, dtype=np.float64) / 255
        grey, hsv = pixels.mean(axis=2), rgb2hsv(pixels)
        by_place = hog(grey, orientations=9, pixels_per_cell=(self.cell, self.cell), cells_per_block=(2, 2))
        return [by_place, _pooled_gradients(grey), _patterns(grey), self._colours_by_quarter(hsv), _joint_colours(hsv)]

    def _colours_by_quarter(self, hsv: np.ndarray) -> np.ndarray:
        half = len(hsv) // 2
        quarters = [hsv[rows, columns] for rows, columns in product((slice(0, half), slice(half, None)), repeat=2)]
        return np.concatenate(
            [_shares(quarter[..., channel], self.bins, (0, 1)) for quarter in quarters for channel in range(3)]
        )


def _shares(values: np.ndarray, bins: int, limits: tuple[float, float]) -> np.ndarray:
    return np.histogram(values, bins=bins, range=limits)[0] / values.size


def _pooled_gradients(grey: np.ndarray) -> np.ndarray:
    """(18,) mean and deviation over places of the histogram of orientations, its largest mean turned to the front."""
    cells = hog(grey, orientations=9, pixels_per_cell=(8, 8), cells_per_block=(1, 1)).reshape(-1, 9)
    mean, deviation = cells.mean(axis=0), cells.std(axis=0)
    turn = -int(mean.argmax())
    return np.concatenate([np.roll(mean, turn), np.roll(deviation, turn)])


def _patterns(grey: np.ndarray) -> np.ndarray:
    """(46,) square roots of the shares of uniform local binary patterns (Ojala et al. 2002) at three scales."""
    levels = (grey * 255).astype(np.uint8)
    return np.concatenate(
        [
            np.sqrt(_shares(local_binary_pattern(levels, points, radius, "uniform"), points + 2, (0, points + 2)))
            for radius, points in ((1, 8), (2, 16), (4, 16))
        ]
    )


def _joint_colours(hsv: np.ndarray) -> np.ndarray:
    """(72,) square roots of the shares of 8 x 3 x 3 boxes of hue, saturation and value."""
    counts = np.histogramdd(hsv.reshape(-1, 3), bins=(8, 3, 3), range=((0, 1),) * 3)[0]
    return np.sqrt(counts.ravel() / counts.sum())


class TfidfSvd:
    """(n, d) float32 from captions; vocabulary, weights and directions come from the training captions alone."""

    def __init__(self, *, dimension: int, words: int, stop_words: str) -> None:
        self.dimension, self.words, self.stop_words = dimension, words, stop_words

    def fit(self, training: Sequence[str], run: Run) -> None:
        """Fit on the captions of the training images."""
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        self.vectorizer = TfidfVectorizer(
            ngram_range=(1, self.words),
            sublinear_tf=True,
            token_pattern=r"(?u)\b\w+\b",
            stop_words=None if self.stop_words == "keep" else self.stop_words,
        )
        try:
            weighted = self.vectorizer.fit_transform(training)
        except ValueError as error:  # "empty vocabulary"
            raise HarnessError(
                "text backbone 'tfidf-svd' found no word to count in the training captions (stop words do not count): "
                "use --set text-backbone.stop_words=keep, or another text backbone."
            ) from error
        components = max(1, min(self.dimension, min(weighted.shape) - 1))
        self.svd = TruncatedSVD(components, algorithm="randomized", random_state=0).fit(weighted)

    def encode(self, raw: Collection[Image.Image], run: Run) -> Iterator[Rows]:
        """Captions to features, some at a time, because the decomposition works in float64."""
        captions = list(raw)
        for at in range(0, len(captions), CAPTIONS_AT_ONCE):
            part = captions[at : at + CAPTIONS_AT_ONCE]
            features = self.svd.transform(self.vectorizer.transform(part)).astype(np.float32)
            yield np.arange(at, at + len(part)), features
