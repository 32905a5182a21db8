"""Captions from the words in them: TF-IDF with truncated SVD, and random indexing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from harness import HarnessError
from harness.data.loading import Rows
from harness.plugin.interfaces import Run
from harness.runtime.seeding import numpy_generator

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

CAPTIONS_AT_ONCE = 20_000


class WeighedWords:
    """Captions as sparse rows of TF-IDF weights of words (or runs of words), of length 1.

    Args:
        backbone: Its name, for messages.
        words: Longest run of words that counts as a term.
        stop_words: Whether scikit-learn's English stop words count ("keep") or not ("english").
    """

    def __init__(self, backbone: str, words: int, stop_words: str) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self.backbone = backbone
        self.vectorizer = TfidfVectorizer(
            ngram_range=(1, words),
            sublinear_tf=True,
            token_pattern=r"(?u)\b\w+\b",
            stop_words=None if stop_words == "keep" else stop_words,
        )

    def fit(self, training: Sequence[str]) -> csr_matrix:
        """Vocabulary and weights from some captions; their rows (n, n_terms).

        Raises:
            HarnessError: They have no words.
        """
        try:
            return self.vectorizer.fit_transform(training)
        except ValueError as error:  # "empty vocabulary"
            raise HarnessError(
                f"text backbone {self.backbone!r} found no word to count in the training captions (stop words do not "
                "count): use --set text-backbone.stop_words=keep, or another text backbone."
            ) from error

    def in_parts(
        self, raw: Collection[Image.Image], features: Callable[[csr_matrix], NDArray[np.float64]]
    ) -> Iterator[Rows]:
        """Features of captions from their rows, some at a time, because the rows are float64."""
        captions = list(raw)
        for at in range(0, len(captions), CAPTIONS_AT_ONCE):
            part = captions[at : at + CAPTIONS_AT_ONCE]
            yield np.arange(at, at + len(part)), features(self.vectorizer.transform(part)).astype(np.float32)


class TfidfSvd:
    """(n, d) float32 from captions; vocabulary, weights and directions come from the training captions alone."""

    def __init__(self, *, dimension: int, words: int, stop_words: str) -> None:
        self.dimension, self.words = dimension, WeighedWords("tfidf-svd", words, stop_words)

    def fit(self, training: Sequence[str], run: Run) -> None:
        """Fit on the captions of the training images."""
        from sklearn.decomposition import TruncatedSVD

        weighted = self.words.fit(training)
        components = max(1, min(self.dimension, min(weighted.shape) - 1))
        self.svd = TruncatedSVD(components, algorithm="randomized", random_state=0).fit(weighted)

    def encode(self, raw: Collection[Image.Image], run: Run) -> Iterator[Rows]:
        """Captions to features."""
        return self.words.in_parts(raw, self.svd.transform)


class RandomIndexing:
    """(n, d) float32 from captions: the sum of the vectors of their words, weighed by TF-IDF.

    The vector of a word is the weighed sum of random vectors, one for each training caption that has it, so that words
    of the same captions have like vectors. Rows are centred over the training captions, and of length 1. As in a
    sentence encoder, what many captions share weighs most, and no dimension stands for a word.
    """

    def __init__(self, *, dimension: int, words: int, stop_words: str) -> None:
        self.dimension, self.words = dimension, WeighedWords("random-indexing", words, stop_words)

    def fit(self, training: Sequence[str], run: Run) -> None:
        """The vectors of the words of the captions of the training images."""
        weighted = self.words.fit(training)
        chance = numpy_generator(0, "random-indexing")
        self.vectors = weighted.T @ chance.standard_normal((weighted.shape[0], self.dimension))
        self.middle = (weighted @ self.vectors).mean(axis=0)

    def encode(self, raw: Collection[Image.Image], run: Run) -> Iterator[Rows]:
        """Captions to features."""
        return self.words.in_parts(raw, self._features)

    def _features(self, weighted: csr_matrix) -> NDArray[np.float64]:
        rows = weighted @ self.vectors - self.middle
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
