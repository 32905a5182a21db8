"""What becomes of image files of every kind, and of those that are none."""

from __future__ import annotations

import importlib
import io
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.data import decoding
from harness.data.content_hashes import hash_file
from harness.data.decoding import ORIENTATION, decode, undecodable
from harness.data.raw import ImageFiles
from harness.errors import HarnessError

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
COLOURS = Image.fromarray(PIXELS)


def saved(path: Path, image: Image.Image, **options) -> Path:
    image.save(path, **options)
    return path


def decoded(path: Path) -> np.ndarray:
    image = decode(path)
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_colours_stay_as_they_are(tmp_path, suffix):
    np.testing.assert_array_equal(decoded(saved(tmp_path / f"image{suffix}", COLOURS)), PIXELS)


def test_greys_of_16_bits_keep_their_upper_half(tmp_path):
    levels = (np.arange(600).reshape(20, 30) * 109).astype(np.uint16)
    for suffix in (".png", ".tif"):
        found = decoded(saved(tmp_path / f"grey{suffix}", Image.fromarray(levels)))
        np.testing.assert_array_equal(found, np.repeat((levels >> 8)[..., None], 3, axis=2))


def test_transparency_is_dropped(tmp_path):
    opaque = COLOURS.copy()
    opaque.putalpha(Image.fromarray(PIXELS[..., 0]))
    np.testing.assert_array_equal(decoded(saved(tmp_path / "rgba.png", opaque)), PIXELS)
    grey = Image.fromarray(PIXELS[..., 0])
    grey.putalpha(7)
    np.testing.assert_array_equal(decoded(saved(tmp_path / "la.png", grey))[..., 2], PIXELS[..., 0])


def test_palettes_become_their_colours(tmp_path):
    palette = COLOURS.quantize(16)
    expected = np.asarray(palette.convert("RGB"))
    np.testing.assert_array_equal(decoded(saved(tmp_path / "palette.png", palette)), expected)
    see_through = saved(tmp_path / "clear.png", palette, transparency=bytes([0, 128] + [255] * 14))
    np.testing.assert_array_equal(decoded(see_through), expected)


def test_cmyk_and_black_and_white_become_colours(tmp_path):
    cmyk = decoded(saved(tmp_path / "cmyk.jpg", COLOURS.convert("CMYK"), quality=95))
    assert np.abs(cmyk.astype(int).mean() - PIXELS.mean()) < 5
    bits = Image.fromarray(PIXELS[..., 0] > 127)
    np.testing.assert_array_equal(decoded(saved(tmp_path / "bits.png", bits))[..., 0], (PIXELS[..., 0] > 127) * 255)


@pytest.mark.parametrize(("orientation", "turned"), [(1, 0), (6, -1), (3, 2), (8, 1)])
def test_images_stand_as_their_camera_noted(tmp_path, orientation, turned):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = saved(tmp_path / "image.png", COLOURS, exif=exif)
    np.testing.assert_array_equal(decoded(path), np.rot90(PIXELS, turned))


def test_the_first_frame_counts(tmp_path):
    path = tmp_path / "frames.tif"
    COLOURS.save(path, save_all=True, append_images=[Image.new("RGB", (30, 20))])
    np.testing.assert_array_equal(decoded(path), PIXELS)


def truncated() -> bytes:
    buffer = io.BytesIO()
    COLOURS.resize((200, 200)).save(buffer, "JPEG")
    return buffer.getvalue()[:4000]


BAD = {
    "truncated.jpg": (truncated(), "cannot be decoded: "),
    "zero.jpg": (b"", "cannot be decoded: the file is empty (0 bytes)."),
    "text.jpg": (b"no image", "cannot be decoded: the file is text that begins with 'no image'."),
    "page.png": (b"<!DOCTYPE html>", "cannot be decoded: the file is a web page (HTML)"),
    "noise.png": (b"\x00\x01\x02", "cannot be decoded: the file is no image, or of a format other than JPEG, PNG, "),
    # Pillow would hand it to Ghostscript, a program with a language of its own.
    "script.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "cannot be decoded: the file is text that"),
}


@pytest.mark.parametrize("name", BAD)
def test_damaged_files_are_named_in_one_sentence(tmp_path, name):
    content, said = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(HarnessError) as caught:
        ImageFiles([tmp_path / name])[0]
    assert str(caught.value).startswith(f"image {tmp_path / name} {said}")
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_missing_floating_and_exploding_images_are_named(tmp_path):
    with pytest.raises(HarnessError, match=r"absent\.png is missing\."):
        decode(tmp_path / "absent.png")
    with pytest.raises(HarnessError, match="floating-point pixels"):
        decode(saved(tmp_path / "floats.tif", Image.fromarray(PIXELS[..., 0].astype(np.float32))))
    bomb = saved(tmp_path / "bomb.png", Image.new("1", (20_000, 20_000)))
    with pytest.raises(HarnessError, match=r"bomb\.png is refused: it unpacks to more than 178956970 pixels"):
        decode(bomb)


def test_undecodable_images_are_listed_with_their_reasons(tmp_path):
    paths = [saved(tmp_path / f"{number}.png", COLOURS) for number in range(5)]
    paths[1].write_bytes(b"")
    paths[3].write_bytes(paths[3].read_bytes()[:300])
    watched = []
    found = undecodable(ImageFiles(paths), lambda done, total: watched.append((done, total)))
    assert list(found) == [1, 3]
    assert all(str(paths[number]) in text for number, text in found.items())
    assert watched == [(done, 5) for done in range(1, 6)]
    assert undecodable(ImageFiles([])) == {}


@pytest.mark.parametrize("use", [decode, hash_file])
def test_what_is_no_regular_file_is_never_opened(tmp_path, use):
    os.mkfifo(tmp_path / "pipe.png")  # to open it would wait for ever
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "zeros.png").symlink_to("/dev/zero")
    for name, kind in (("pipe.png", "a pipe"), ("folder.png", "a folder"), ("zeros.png", "a device")):
        with pytest.raises(HarnessError, match=rf"^image .*{name} is no file but {kind}\.$"):
            use(tmp_path / name)


def test_large_images_are_decoded_without_a_word_of_pillow(tmp_path, monkeypatch, recwarn):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    with warnings.catch_warnings():
        importlib.reload(decoding)  # pytest has filters of its own in each test
        assert decode(saved(tmp_path / "large.png", COLOURS)).size == (30, 20)
    assert not recwarn.list


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_files_that_must_not_be_read_are_undecodable(tmp_path):
    path = saved(tmp_path / "secret.png", COLOURS)
    path.chmod(0)
    assert list(undecodable(ImageFiles([path]))) == [0]
