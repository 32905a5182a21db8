"""Archives: files inside the folder, or one sentence and nothing."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile

import pytest

from harness.errors import HarnessError
from harness.files.unpack import ArchiveError, Limits, is_archive, unpack

FILES = {"set/imgs/1.jpg": b"one", "set/imgs/2.jpg": b"two" * 1000, "set/dataset.json": b"{}"}


def zipped(path, files=FILES, **changed):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files.items():
            member = zipfile.ZipInfo(name)
            member.compress_type = zipfile.ZIP_DEFLATED
            for key, value in changed.items():
                setattr(member, key, value)
            opened.writestr(member, content)
    return path


def tarred(path, files=FILES, mode="w:gz", **changed):
    with tarfile.open(path, mode) as opened:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for key, value in changed.items():
                setattr(member, key, value)
            opened.addfile(member, io.BytesIO(content) if member.isreg() else None)
    return path


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


ARCHIVES = {
    "a.zip": zipped,
    "a.tar": lambda path: tarred(path, mode="w"),
    "a.tar.gz": tarred,
    "a.tar.bz2": lambda path: tarred(path, mode="w:bz2"),
    "a.tar.xz": lambda path: tarred(path, mode="w:xz"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_every_kind_is_unpacked(tmp_path, name):
    ARCHIVES[name](tmp_path / name)
    assert is_archive(name)
    unpack(tmp_path / name, tmp_path / "out")
    assert content(tmp_path / "out") == FILES


def test_leftovers_of_file_managers_are_left_out(tmp_path):
    zipped(tmp_path / "a.zip", {**FILES, "__MACOSX/set/._1.jpg": b"x", "set/.DS_Store": b"x", "set/._1.jpg": b"x"})
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert content(tmp_path / "out") == FILES


OUTSIDE = [
    "a\x1b[2J",
    "x" * 300,
    "../evil",
    "set/../../evil",
    "/tmp/evil",
    "..\\evil",
    "C:/evil",
    "C:\\evil",
    "\\evil",
    "set/..",
]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_names_that_lead_out_are_refused(tmp_path, name, pack):
    archive = pack(tmp_path / "a", {"good": b"x", name: b"evil"})
    with pytest.raises(HarnessError, match="a name that leads out of its folder"):
        unpack(archive, tmp_path / "deep" / "out")
    assert not (tmp_path / "deep" / "out").exists()
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (tarfile.SYMTYPE, "a link"), (tarfile.LNKTYPE, "a link"), (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"), (tarfile.FIFOTYPE, "a device"),
    ],
)  # fmt: skip
def test_links_and_devices_are_refused(tmp_path, kind, what):
    archive = tarred(tmp_path / "a.tar", {"good": b""}, "w", type=kind, linkname="/etc/passwd")
    with pytest.raises(HarnessError, match=f"holds {what}"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_links_in_a_zip_are_refused(tmp_path):
    archive = zipped(tmp_path / "a.zip", {"l": b"/etc"}, create_system=3, external_attr=(stat.S_IFLNK | 0o777) << 16)
    with pytest.raises(HarnessError, match="holds a link"):
        unpack(archive, tmp_path / "out")


def test_a_member_without_a_name_is_left_out(tmp_path):
    unpack(zipped(tmp_path / "a.zip", {"": b"", "1.jpg": b"one"}), tmp_path / "out")
    assert content(tmp_path / "out") == {"1.jpg": b"one"}


def test_a_long_name_is_not_repeated_whole(tmp_path):
    with pytest.raises(ArchiveError, match="a name that leads out") as error:
        unpack(zipped(tmp_path / "a.zip", {"../" + "long " * 2000: b""}), tmp_path / "out")
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_bombs_are_refused_while_they_grow(tmp_path, pack):
    archive = pack(tmp_path / "a", {"zeros": bytes(30_000_000)})
    seen = []
    with pytest.raises(HarnessError, match="refused as a bomb"):
        unpack(archive, tmp_path / "out", watch=lambda done, total: seen.append(done))
    assert max(seen) < 10_000_000
    assert not (tmp_path / "out").exists()
    unpack(archive, tmp_path / "out", Limits(ratio=1e6))


def test_a_header_that_lies_about_the_size_does_not_help_a_bomb(tmp_path):
    archive = zipped(tmp_path / "a.zip", {"zeros": bytes(30_000_000)})
    data = bytearray(archive.read_bytes())
    place = data.rfind(b"PK\x01\x02")
    data[place + 24 : place + 28] = (10).to_bytes(4, "little")
    archive.write_bytes(data)
    with pytest.raises(HarnessError, match=r"bomb|damaged"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_too_many_members_are_refused(tmp_path):
    archive = zipped(tmp_path / "a.zip", {f"{number}": b"" for number in range(20)})
    with pytest.raises(HarnessError, match="more than 10 files"):
        unpack(archive, tmp_path / "out", Limits(members=10))


def test_attributes_of_a_member_are_bounded(tmp_path):
    """tarfile reads them into the memory, however much they are."""
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as opened:
        member = tarfile.TarInfo("a")
        member.pax_headers = {"comment": "x" * 3_000_000}
        opened.addfile(member)
    with pytest.raises(ArchiveError, match="bytes of attributes"):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_names_that_contradict_each_other_are_the_archive_s_fault(tmp_path, pack):
    archive = pack(tmp_path / "a", {"a": b"file", "a/b": b"below it"})
    with pytest.raises(ArchiveError, match="cannot be unpacked"):
        unpack(archive, tmp_path / "out")


def test_names_to_be_left_out_are_left_out_in_any_case(tmp_path):
    archive = zipped(tmp_path / "a.zip", {**FILES, ".mark": b"x", "set/.MARK": b"x"})
    unpack(archive, tmp_path / "out", ignored=[".Mark"])
    assert content(tmp_path / "out") == FILES


def test_a_full_disk_is_not_the_archive_s_fault(tmp_path, monkeypatch):
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    archive = zipped(tmp_path / "a.zip")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(1, 1, 2))
    with pytest.raises(HarnessError, match="more than the disk has free") as caught:
        unpack(archive, tmp_path / "out")
    assert not isinstance(caught.value, ArchiveError)
    assert not (tmp_path / "out").exists()


DAMAGED = {
    "cut zip": lambda path: path.write_bytes(zipped(path).read_bytes()[:-30]),
    "cut tar.gz": lambda path: path.write_bytes(tarred(path).read_bytes()[:-40]),
    "flipped bits": lambda path: path.write_bytes(
        zipped(path, {"a": bytes(range(256)) * 9}).read_bytes().replace(b"\x01", b"\x02", 40)
    ),
    "page": lambda path: path.write_text("<html>"),
    "empty": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_archives_leave_nothing(tmp_path, damage):
    DAMAGED[damage](tmp_path / "a.zip")
    with pytest.raises(HarnessError, match=r"a\.zip .*(damaged|no zip or tar)"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("magic", "name"), [(b"Rar!\x1a\x07\x01\x00", "RAR"), (b"7z\xbc\xaf\x27\x1c\x00\x04", "7z")])
def test_foreign_archives_are_named(tmp_path, magic, name):
    (tmp_path / "a.zip").write_bytes(magic + b"x" * 100)
    with pytest.raises(HarnessError, match=f"is a {name} archive"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_encrypted_archives_are_named(tmp_path):
    archive = zipped(tmp_path / "a.zip", {"a": b"x"})
    data = bytearray(archive.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(magic) + offset] |= 1
    archive.write_bytes(data)
    with pytest.raises(HarnessError, match="encrypted"):
        unpack(archive, tmp_path / "out")
