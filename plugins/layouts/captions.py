"""Captions as files give them: what says nothing is left out, the same way by all readers."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import HarnessError
from harness.text import counted

log = logging.getLogger(__name__)

HALVES = re.compile("[\ud800-\udfff]")
"""Halves of characters (surrogates), which JSON can hold and no file can."""


@dataclass
class Captions:
    """The captions of a data set, as they are read.

    Attributes:
        source: The file that they come from, for messages.
        texts: The captions.
        images: Number of the image of each.
        blank: How many were left out: blanks, nulls, numbers.
        mended: How many held halves of characters.
    """

    source: Path
    texts: list[str] = field(default_factory=list)
    images: list[int] = field(default_factory=list)
    blank: int = 0
    mended: int = 0

    def add(self, image: int, values: Iterable[Any]) -> None:
        """Add captions of an image, without blanks around them.

        Args:
            image: Number of the image.
            values: What the file gives; what is no text, or nothing but blanks, is left out.
        """
        for value in values:
            text = value.strip() if isinstance(value, str) else ""
            if not text:
                self.blank += 1
                continue
            whole = HALVES.sub("\N{REPLACEMENT CHARACTER}", text)
            self.mended += whole != text
            self.texts.append(whole)
            self.images.append(image)

    def caption_image(self, number: int, where: Callable[[int], str]) -> NDArray[np.int64]:
        """Which image each caption belongs to. What was left out or mended is told.

        Args:
            number: Number of images.
            where: Number of an image to its place, for the message: "images[3] (4.jpg)".

        Returns:
            (n_captions,) int64.

        Raises:
            HarnessError: An image has no caption that says anything.
        """
        images = np.array(self.images, dtype=np.int64)
        without = np.flatnonzero(np.bincount(images, minlength=number) == 0)
        if len(without):
            raise HarnessError(f"{self.source}: {where(int(without[0]))} has no caption.")
        if self.blank:
            what = counted(self.blank, "sentence is", "sentences are")
            log.warning("%s: %s left out: blank, or no text (null, NaN).", self.source, what)
        if self.mended:
            what = counted(self.mended, "caption holds", "captions hold")
            log.warning("%s: %s halves of characters, which are replaced.", self.source, what)
        return images
