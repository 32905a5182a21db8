"""Images that are named and are not there."""

from __future__ import annotations

import os
import unicodedata

import numpy as np
import pytest
from PIL import Image

from harness.data.absent import absent_images, names_in, refuse_absent
from harness.data.raw import ImageFiles, RawDataset
from harness.errors import HarnessError, MissingFilesError


def data(folder, *names) -> RawDataset:
    images = ImageFiles([folder / name for name in names])
    number = len(names)
    return RawDataset("d", images, list(names), np.arange(number), np.zeros(number, dtype=np.int64), list(names))


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "sub/b.png", "Big.PNG", unicodedata.normalize("NFD", "é.png")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (2, 2)).save(tmp_path / name)
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    return tmp_path


def test_all_of_them_are_known_and_a_few_are_named(folder):
    raw = data(folder, "a.png", *(f"{number}.png" for number in range(5)), "sub/b.png", "other/c.png", "gone.png")
    assert absent_images(raw) == [1, 2, 3, 4, 5, 7, 8]
    with pytest.raises(MissingFilesError) as caught:
        refuse_absent(raw)
    assert str(caught.value) == (
        f"data set 'd': 7 of 9 images are missing: {folder}/0.png, {folder}/1.png, {folder}/2.png, ...; `harness data "
        "check` lists all that is missing, and a run with --skip-broken leaves it out."
    )
    assert caught.value.files[-2:] == (str(folder / "other" / "c.png"), str(folder / "gone.png"))
    refuse_absent(data(folder, "a.png", "sub/b.png"))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("big.png", "big.png (there is Big.PNG, which differs in upper and lower case);"),
        ("sub", "sub (no file but a folder);"),
        ("pipe.png", "pipe.png (no file but a pipe);"),
        ("é.png", "é.png (there is one whose name differs only in its Unicode form);"),
    ],
)
def test_a_file_that_is_called_almost_so_is_told(folder, name, says):
    with pytest.raises(MissingFilesError) as caught:
        refuse_absent(data(folder, name))
    assert "1 of 1 images is missing: " in str(caught.value)
    assert says in str(caught.value)


def test_a_path_longer_than_paths_may_be_is_a_sentence(folder):
    with pytest.raises(HarnessError, match=r"cannot be read: File name too long\.$"):
        names_in(folder / ("x" * 300))
