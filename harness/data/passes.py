"""One pass of a backbone over items and their augmented views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import local
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.plugin.interfaces import ImageSource

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Pass(Sequence[Any]):
    """What a backbone is given: each item followed by its views, as far as their features are not there yet.

    Position ``p`` counts views within items: it is view ``p % views`` of item ``p // views``, view 0 the item itself.

    Attributes:
        sources: The items, then each view of them, all of one length.
        positions: (m,) int64, the positions that are asked for, ascending.
    """

    sources: Sequence[Any]
    positions: NDArray[np.int64]

    @property
    def views(self) -> int:
        """How many there are of each item, the item itself included."""
        return len(self.sources)

    @property
    def total(self) -> int:
        """All positions, asked for or not."""
        return self.views * len(self.sources[0])

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        item, view = divmod(int(self.positions[index]), self.views)
        return self.sources[view][item]


@dataclass(frozen=True)
class DecodedOnce:
    """Images of which each thread keeps the last, so that the views of an image decode it once.

    Attributes:
        images: The images.
    """

    images: ImageSource
    _last: local = field(default_factory=local, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Image:
        if getattr(self._last, "index", None) != index:
            self._last.image = self.images[index]
            self._last.index = index
        return self._last.image.copy()  # whoever gets it may change it

    def fingerprint(self, index: int) -> str:
        """That of the image."""
        return self.images.fingerprint(index)
