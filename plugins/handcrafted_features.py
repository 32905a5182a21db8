"""HOG and colour histograms, and TF-IDF with truncated SVD."""

from __future__ import annotations

import numpy as np
from PIL import Image
from skimage.color import rgb2hsv
from skimage.feature import hog

CENTRE = 200 / 256
"""Share of the shorter side that is kept, as in the CHNR features (centre crop of 200 of 256 pixels)."""


class HogAndColour:
    """(n, d) float32: HOG of the grey image, L2-normalised blocks, and HSV histograms of the four quarters."""

    def __init__(self, *, size: int, cell: int, bins: int) -> None:
        self.size, self.cell, self.bins = size, cell, bins

    def encode(self, raw, run):
        """PIL RGB images to features."""
        features = []
        for image in raw:
            features.append(self._one(image))
            if len(features) % 50 == 0 or len(features) == len(raw):
                run.report(phase="images", epoch=len(features), epochs=len(raw))
        return np.stack(features).astype(np.float32)

    def _one(self, image: Image.Image) -> np.ndarray:
        side = min(image.size) * CENTRE
        left, top = (image.width - side) / 2, (image.height - side) / 2
        scaled = image.resize(
            (self.size, self.size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side)
        )
        pixels = np.asarray(scaled, dtype=np.float64) / 255
        gradients = hog(
            pixels.mean(axis=2),
            orientations=9,
            pixels_per_cell=(self.cell, self.cell),
            cells_per_block=(2, 2),
            feature_vector=True,
        )
        hsv = rgb2hsv(pixels)
        half = self.size // 2
        quarters = [
            hsv[rows, columns]
            for rows in (slice(0, half), slice(half, None))
            for columns in (slice(0, half), slice(half, None))
        ]
        colours = [
            np.histogram(quarter[..., channel], bins=self.bins, range=(0, 1))[0] / quarter[..., channel].size
            for quarter in quarters
            for channel in range(3)
        ]
        return np.concatenate([gradients, *colours])


class TfidfSvd:
    """(n, d) float32 from captions; vocabulary, weights and directions come from the training captions alone."""

    def __init__(self, *, dimension: int) -> None:
        self.dimension = dimension

    def fit(self, training, run):
        """Fit on the captions of the training images."""
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        self.vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
        weighted = self.vectorizer.fit_transform(training)
        components = max(1, min(self.dimension, min(weighted.shape) - 1))
        self.svd = TruncatedSVD(components, algorithm="randomized", random_state=0).fit(weighted)

    def encode(self, raw, run):
        """Captions to features."""
        return self.svd.transform(self.vectorizer.transform(list(raw))).astype(np.float32)
