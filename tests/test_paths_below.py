from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.paths_below import path_below, plain_name


@pytest.mark.parametrize("name", ["a", "a/b.txt", "./a", ".", "", "a/./b", "été/x y.jpg", "..a", "a..b/c"])
def test_relative_names_stay_below_the_folder(name, tmp_path):
    path = path_below(tmp_path, name, "here")
    assert path == tmp_path / name
    assert path.resolve().is_relative_to(tmp_path.resolve())


@pytest.mark.parametrize(
    "name",
    ["..", "../a", "a/../../b", "a/..", "/etc/passwd", "//x/y", "C:/x", "C:x", "a\\..\\b", "a\0b", "a\x1b[2Jb", "a\nb",
     "x" * 256, "a/" * 3000 + "b", "\ud800"],
)  # fmt: skip
def test_other_names_are_refused_in_one_sentence(name, tmp_path):
    with pytest.raises(HarnessError, match=r"^card 'x': ") as caught:
        path_below(tmp_path, name, "card 'x'")
    assert len(str(caught.value)) < 400
    assert "\x1b" not in str(caught.value)


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    outside = tmp_path / "outside"
    folder = tmp_path / "folder"
    outside.mkdir()
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "within").symlink_to(folder / "real")
    for name in ("link", "link/deep/file", "loop/x"):
        with pytest.raises(HarnessError, match=r"leads out of|cannot be followed"):
            path_below(folder, name, "here")
    assert path_below(folder, "within/file", "here") == folder / "within/file"


def test_the_folder_may_be_a_link_itself(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "named").symlink_to(tmp_path / "real")
    assert path_below(tmp_path / "named", "a/b", "here") == Path(tmp_path / "named/a/b")


@pytest.mark.parametrize("name", ["ucm", "UCM_captions", "I-1.5+x", "7"])
def test_plain_names(name):
    assert plain_name(name, "card") == name


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "-x", "a/b", "a b", "a\\b", "é", "x" * 101, "a\n"])
def test_names_that_are_not_plain(name):
    with pytest.raises(HarnessError, match="no plain name"):
        plain_name(name, "card")
