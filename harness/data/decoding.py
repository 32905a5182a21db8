"""Decoding an image file to RGB, the same way for every data set and backbone.

What is decided here (docs/backbones.md says it to users): the first frame counts; an orientation noted by a camera is
applied, because captions were written by people who saw the image upright; transparency is dropped, as all published
code does; 16-bit greys keep their upper 8 bits; CMYK is converted by Pillow's formula, without a colour profile.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import HarnessError
from harness.files.looks_like import looks_like
from harness.files.paths import require_regular
from harness.plugin.interfaces import ImageSource

if TYPE_CHECKING:
    from PIL.Image import Image

VERSION = 1
"""Raise it when the same file is decoded to other pixels, or another file counts as broken."""

FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP", "JPEG2000", "PPM")
"""Formats that are read, by Pillow's names, whatever a file is called. Others start programs (EPS starts Ghostscript),
hold no picture, or are found in no data set.
"""

# Pillow warns of large images on standard error, and refuses those of twice the size, which becomes a sentence here.
warnings.filterwarnings("ignore", message="Image size .* could be decompression bomb")

ORIENTATION = 0x0112
"""Number of the EXIF tag."""


def decoder_facts() -> dict[str, object]:
    """What decides which files can be decoded, for keys of the cache."""
    from PIL import __version__

    return {"pillow": __version__, "version": VERSION, "formats": list(FORMATS)}


def decode(path: Path) -> Image:
    """An image file as PIL RGB.

    Args:
        path: The file.

    Returns:
        The decoded image.

    Raises:
        HarnessError: It is missing, no regular file, empty, damaged, of a format that is not read, too large, or has
            pixels without an agreed range; the message names the file.
    """
    from PIL import Image, UnidentifiedImageError

    require_regular(path, "image")
    try:
        with Image.open(path, formats=FORMATS) as opened:
            if opened.mode == "F":
                raise HarnessError(
                    f"image {path} has floating-point pixels, and nobody knows what is black and white in them: "
                    "convert it to 8 bits."
                )
            opened.load()
            return _upright(_eight_bits(opened).convert("RGB"), opened)
    except HarnessError:
        raise
    except Image.DecompressionBombError as error:
        raise HarnessError(
            f"image {path} is refused: it unpacks to more than {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels, which a "
            "small file made to exhaust the memory would do; scale it down."
        ) from error
    except UnidentifiedImageError as error:
        seen = looks_like(path, "jpeg", "png")
        what = f"is {seen}" if seen else f"is no image, or of a format other than {', '.join(FORMATS)}"
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


def undecodable(images: ImageSource, watch: Callable[[int, int], None] = lambda done, total: None) -> dict[int, str]:
    """The images that cannot be decoded, each with the sentence that says why.

    Args:
        images: The images; every one of them is decoded, several at a time (Pillow decodes outside Python's lock).
        watch: Progress in images.

    Returns:
        Number of the image to sentence, in ascending order; images that can be decoded are not kept.
    """
    return complaints(images.__getitem__, range(len(images)), watch)


def complaints(
    use: Callable[[int], object],
    images: Sequence[int],
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> dict[int, str]:
    """Call a function for each image and collect its errors.

    Args:
        use: Takes the number of an image; called from several threads.
        images: Numbers of the images.
        watch: Progress in images.

    Returns:
        Number of the image to the message of its HarnessError, in the order of ``images``.
    """

    def complaint(index: int) -> str:
        try:
            use(index)
        except HarnessError as error:
            return str(error)
        return ""

    complaint_of = {}
    with ThreadPoolExecutor() as pool:
        for done, (index, text) in enumerate(zip(images, pool.map(complaint, images), strict=True), start=1):
            watch(done, len(images))
            if text:
                complaint_of[index] = text
    return complaint_of
