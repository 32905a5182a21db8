"""Decoding an image file to RGB, the same way for every data set and backbone.

What is decided here (docs/backbones.md says it to users): the first frame counts; an orientation noted by a camera is
applied, because captions were written by people who saw the image upright; transparency is dropped, as all published
code does; 16-bit greys keep their upper 8 bits; CMYK is converted by Pillow's formula, without a colour profile.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import HarnessError
from harness.interfaces import ImageSource

if TYPE_CHECKING:
    from PIL.Image import Image

VERSION = 1
"""Raise it when the same file is decoded to other pixels, or another file counts as broken."""

ORIENTATION = 0x0112
"""Number of the EXIF tag."""


def decode(path: Path) -> Image:
    """An image file as PIL RGB.

    Args:
        path: The file.

    Returns:
        The decoded image.

    Raises:
        HarnessError: It is missing, empty, damaged, of an unknown format, too large, or has pixels without an agreed
            range; the message names the file.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            if opened.mode == "F":
                raise HarnessError(
                    f"image {path} has floating-point pixels, and nobody knows what is black and white in them: "
                    "convert it to 8 bits."
                )
            opened.load()
            return _upright(_eight_bits(opened).convert("RGB"), opened)
    except HarnessError:
        raise
    except FileNotFoundError:
        raise HarnessError(f"image {path} is missing.") from None
    except Image.DecompressionBombError as error:
        raise HarnessError(
            f"image {path} is refused: it unpacks to more than {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels, which a "
            "small file made to exhaust the memory would do; scale it down."
        ) from error
    except UnidentifiedImageError as error:
        empty = path.is_file() and path.stat().st_size == 0
        what = "is empty (0 bytes)" if empty else "is no image, or of a format that Pillow does not know"
        raise HarnessError(f"image {path} cannot be decoded: the file {what}.") from error
    except Exception as error:  # Pillow raises OSError, ValueError, SyntaxError and its own kinds for damaged files
        said = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise HarnessError(f"image {path} cannot be decoded: {said}.") from error


def _eight_bits(image: Image) -> Image:
    """Greys of 16 bits (which Pillow would clip at 255) to their upper 8 bits; other images as they are."""
    from PIL import Image

    if image.mode == "P" and "transparency" in image.info:
        return image.convert("RGBA")  # Pillow warns of the direct way to RGB
    if not image.mode.startswith("I"):
        return image
    levels = np.asarray(image).astype(np.int64)
    if levels.size and (levels.min() < 0 or levels.max() > 0xFFFF):
        raise ValueError("its grey levels need more than 16 bits")
    return Image.fromarray((levels >> 8).astype(np.uint8))


def _upright(converted: Image, opened: Image) -> Image:
    """The image turned as its camera noted."""
    from PIL import ImageOps

    if opened.getexif().get(ORIENTATION, 1) == 1:
        return converted
    converted.getexif()[ORIENTATION] = opened.getexif()[ORIENTATION]
    return ImageOps.exif_transpose(converted)


def undecodable(
    images: ImageSource,
    watch: Callable[[int, int], None] = lambda done, total: None,
    *,
    fingerprints: bool = False,
) -> dict[int, str]:
    """The images that cannot be decoded, each with the sentence that says why.

    Args:
        images: The images; every one of them is decoded, several at a time (Pillow decodes outside Python's lock).
        watch: Progress in images.
        fingerprints: Those that have no fingerprint count as well, which takes another read of each image.

    Returns:
        Number of the image to sentence, in ascending order; nothing is kept of those that are well.
    """

    def complaint(index: int) -> str:
        try:
            if fingerprints:
                images.fingerprint(index)
            images[index]
        except HarnessError as error:
            return str(error)
        return ""

    found = {}
    with ThreadPoolExecutor() as pool:
        for index, text in enumerate(pool.map(complaint, range(len(images)))):
            watch(index + 1, len(images))
            if text:
                found[index] = text
    return found
