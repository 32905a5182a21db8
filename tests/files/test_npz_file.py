"""Arrays that users bring: what is asked for is read, and a header is not believed."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from harness.errors import HarnessError
from harness.files import npz as npz_file
from harness.files.npz import names_in_npz, read_npy, read_npz

ARRAYS = {
    "a": np.arange(12, dtype=np.float32).reshape(3, 4),
    "b": np.array(["x", "yé"]),
    "c": np.array(3),
    "d": np.zeros((0, 5)),
    "f": np.asfortranarray(np.arange(6).reshape(2, 3)),
}


def header(text: str, version: int = 1, length: int | None = None) -> bytes:
    """The beginning of an npy file, with a header of one's own."""
    size = 2 if version == 1 else 4
    return (
        b"\x93NUMPY"
        + bytes([version, 0])
        + (len(text) if length is None else length).to_bytes(size, "little")
        + text.encode()
    )


def npz(path, members: dict[str, bytes], kind=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", kind) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return path


def npy(array) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_read_to_the_bit(tmp_path, save):
    save(tmp_path / "x.npz", **ARRAYS)
    found = read_npz(tmp_path / "x.npz", "--x", lambda name: True)
    assert list(found) == list(ARRAYS) == names_in_npz(tmp_path / "x.npz", "--x")
    with np.load(tmp_path / "x.npz") as stored:
        for name, array in found.items():
            np.testing.assert_array_equal(array, stored[name], strict=True)
            assert array.flags.writeable
            assert array.flags.f_contiguous == stored[name].flags.f_contiguous


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_format_is_read(tmp_path, version):
    out = io.BytesIO()
    np.lib.format.write_array(out, ARRAYS["a"], version)
    (tmp_path / "x.npy").write_bytes(out.getvalue())
    np.testing.assert_array_equal(read_npy(tmp_path / "x.npy", "--x"), ARRAYS["a"], strict=True)


def test_arrays_that_nobody_asked_for_are_not_unpacked(tmp_path, monkeypatch):
    path = npz(tmp_path / "x.npz", {"a.npy": npy(ARRAYS["a"]), "bomb.npy": b"", "notes.txt": b"no array"})
    opened = []
    original = zipfile.ZipFile.open

    def watched(self, member, *rest, **options):
        opened.append(member.filename)
        return original(self, member, *rest, **options)

    monkeypatch.setattr(zipfile.ZipFile, "open", watched)
    assert list(read_npz(path, "--x", lambda name: name == "a")) == ["a"]
    assert opened == ["a.npy"]


def test_an_array_that_unpacks_to_far_more_is_refused(tmp_path, monkeypatch):
    """2 GB of zeros come in 2 MB; here all limits are a thousand times smaller."""
    monkeypatch.setattr(npz_file, "LARGEST_UNPACKED", 1 << 18)
    path = npz(tmp_path / "x.npz", {"a.npy": npy(np.zeros(1 << 18))})
    with pytest.raises(
        HarnessError, match=r"array 'a' unpacks to \d+ bytes, .* refused as a bomb; store it with np.savez"
    ):
        read_npz(path, "--x", lambda name: True)
    np.savez(tmp_path / "y.npz", a=np.zeros(1 << 18))
    assert read_npz(tmp_path / "y.npz", "--x", lambda name: True)["a"].shape == (1 << 18,)


DEEP = "{'descr': '<f4', 'fortran_order': False, 'shape': " + "(" * 4000 + ")" * 4000 + "}"
MINUS = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "-" * 9000 + "1,)}"
SAYS = "{'descr': %r, 'fortran_order': False, 'shape': %s}"
HEADERS = {
    "deep brackets": header(DEEP),
    "deep signs": header(MINUS),
    "long": header(SAYS % ("<f4", "(1,)") + " " * 20_000),
    "announced": header("{", version=2, length=4_000_000_000),
    "more than there is": header(SAYS % ("<f4", "(100000000000000,)")) + bytes(8),
    "beyond all numbers": header(SAYS % ("<f4", f"({10**30}, {10**30})")) + bytes(8),
    "negative": header(SAYS % ("<f4", "(-1,)")) + bytes(8),
    "empty strings without end": header(SAYS % ("<U0", "(1000000000000000,)")),
    "unknown": header(SAYS % ("<f4", "(1,)"), version=9) + bytes(4),
    "no dtype": header(SAYS % ("nonsense", "(1,)")) + bytes(4),
    "cut": npy(ARRAYS["a"])[:-3],
    "text": b"hello",
    "empty": b"",
}


@pytest.mark.parametrize("kind", HEADERS)
def test_headers_that_lie_are_one_sentence(tmp_path, kind):
    npz(tmp_path / "x.npz", {"a.npy": HEADERS[kind]})
    with pytest.raises(HarnessError, match=r"--x .*x\.npz: array 'a' (is damaged|does not fit)") as caught:
        read_npz(tmp_path / "x.npz", "--x", lambda name: True)
    assert "pickle" not in str(caught.value)
    assert len(str(caught.value)) < 400
    (tmp_path / "x.npy").write_bytes(HEADERS[kind])
    with pytest.raises(
        HarnessError, match=r"--x .*x\.npy(: its array (is damaged|does not fit)| is no npy file)"
    ) as caught:
        read_npy(tmp_path / "x.npy", "--x")
    assert "\n" not in str(caught.value)


def test_python_objects_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.array([{}], dtype=object))
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object))
    with pytest.raises(HarnessError, match="array 'a' holds Python objects"):
        read_npz(tmp_path / "x.npz", "--x", lambda name: True)
    with pytest.raises(HarnessError, match="its array holds Python objects"):
        read_npy(tmp_path / "x.npy", "--x")


def test_a_member_that_is_no_array_is_told_where_it_is_wanted(tmp_path):
    path = npz(tmp_path / "x.npz", {"a": b"x"})
    with pytest.raises(HarnessError, match="no npz file of arrays: 'a' is none"):
        read_npz(path, "--x", lambda name: True)
